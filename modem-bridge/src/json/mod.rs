//! Lines of JSON: the helper protocol of wwand-rsim, which drives the QMI of a router's module and asks a helper for the
//! card. The helper is `teuicc slot json`, at its standard input and output, or this bridge's socket.

pub(crate) mod codec;
pub(crate) mod machine;

use crate::endpoint::{Clients, Endpoint, Listener, Stream, at, write};
use crate::port::{Happening, Port, TPDU_LIMIT, attach, power_down};
use crate::session::Away;
use crate::status::{BridgeError, Connected, Patience, Retry, Status};
use codec::{Line, Lines, Request};
use machine::{Machine, Output};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use teuicc_slot::{ModemAttachment, Slot};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// Bytes read at a time.
const READ_CHUNK: usize = 4096;

/// Where the client is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the client is. `None`: at standard input and output, once.
    pub endpoint: Option<Endpoint>,
    /// How long the card stays away when the modem is replugged.
    pub absence: Duration,
    /// How long to wait for a card that is not there.
    pub patience: Patience,
}

impl Config {
    /// A client there.
    #[must_use]
    pub fn new(endpoint: Option<Endpoint>) -> Self {
        Config { endpoint, absence: Duration::from_secs(1), patience: Patience::default() }
    }
}

/// Gives `slot`'s card to one client after another, until `shutdown` is ready, or to the one at standard input until
/// it ends.
///
/// Errors: the slot is closed, its card is in another modem, or the endpoint cannot be had.
pub async fn run(
    slot: Slot,
    config: Config,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BridgeError> {
    let helper = Helper { modem: attach(&slot)?, absence: config.absence, patience: config.patience, status };
    let mut shutdown = std::pin::pin!(shutdown);
    let Some(endpoint) = config.endpoint else {
        let stream = Box::new(tokio::io::join(tokio::io::stdin(), tokio::io::stdout()));
        return match helper.serve(stream, None, shutdown.as_mut()).await {
            Leave::SlotClosed => Err(BridgeError::SlotClosed),
            Leave::Shutdown | Leave::ClientLost(_) => Ok(()),
        };
    };
    let listener = Listener::bind(&endpoint).await.map_err(BridgeError::listen)?;
    if let Some(address) = listener.address() {
        helper.status.set_address(address);
    }
    let mut clients = Clients::new(listener, config.patience);
    tracing::info!(%endpoint, "waiting for a client that speaks JSON lines");
    while let Some(stream) = clients.next(shutdown.as_mut()).await {
        match helper.serve(stream, Some(&clients), shutdown.as_mut()).await {
            Leave::Shutdown => break,
            Leave::SlotClosed => return Err(BridgeError::SlotClosed),
            Leave::ClientLost(reason) => tracing::info!(%endpoint, reason, "the client is gone"),
        }
        clients.served();
    }
    Ok(())
}

struct Helper {
    modem: ModemAttachment,
    absence: Duration,
    patience: Patience,
    status: Arc<Status>,
}

/// Why a connection ended.
enum Leave {
    ClientLost(String),
    SlotClosed,
    Shutdown,
}

impl Helper {
    /// Serves one client to its end; the card then has no power.
    async fn serve<F: Future<Output = ()>>(
        &self,
        stream: Box<dyn Stream>,
        clients: Option<&Clients>,
        mut shutdown: Pin<&mut F>,
    ) -> Leave {
        let mut connection = Connection {
            helper: self,
            stream,
            port: Port::new(&self.modem, Some(TPDU_LIMIT)),
            machine: Machine::new(self.status.clone()),
            lines: Lines::default(),
            is_last: false,
            look: None,
            retry: Retry::new(self.patience),
            _connected: self.status.connect(),
        };
        let leave = loop {
            if let Err(leave) = connection.step(clients, shutdown.as_mut()).await {
                break leave;
            }
        };
        if matches!(leave, Leave::Shutdown) {
            let outputs = connection.machine.end();
            // It may be gone.
            let _ = connection.perform(outputs).await;
        }
        drop(connection);
        power_down(&self.modem).await;
        leave
    }
}

struct Connection<'a> {
    helper: &'a Helper,
    stream: Box<dyn Stream>,
    port: Port<'a>,
    machine: Machine,
    lines: Lines,
    /// Whether the client will ask nothing more than what is in `lines`.
    is_last: bool,
    /// When to look for a card that is away.
    look: Option<Instant>,
    retry: Retry,
    _connected: Connected,
}

impl Connection<'_> {
    /// Waits for one thing to happen, and does what follows from it.
    async fn step<F: Future<Output = ()>>(
        &mut self,
        clients: Option<&Clients>,
        mut shutdown: Pin<&mut F>,
    ) -> Result<(), Leave> {
        let mut chunk = [0; READ_CHUNK];
        let reads_on = !self.port.is_full() && !self.lines.is_full() && !self.is_last;
        let turned_away = async {
            match clients {
                Some(clients) => clients.turn_away().await,
                None => std::future::pending().await,
            }
        };
        let outputs = tokio::select! {
            biased;
            () = &mut shutdown => return Err(Leave::Shutdown),
            happening = self.port.next() => match happening {
                Happening::PoweredUp { epoch, generation, atr } => {
                    self.retry.reset();
                    self.machine.powered_up(epoch, generation, atr)
                }
                Happening::PoweredDown { epoch } => self.machine.powered_down(epoch),
                Happening::Answered { epoch, response } => self.machine.answered(epoch, response),
                Happening::CardLost(error) => {
                    tracing::warn!(%error, "the card is lost");
                    self.machine.card_lost()
                }
                Happening::Replug => {
                    self.helper.status.count_replug();
                    self.machine.replug()
                }
                Happening::SlotClosed => return Err(Leave::SlotClosed),
                Happening::Nothing => return Ok(()),
            },
            () = at(self.look) => {
                self.look = None;
                self.machine.look_for_card()
            }
            () = turned_away => return Ok(()),
            read = self.stream.read(&mut chunk), if reads_on => match read {
                Ok(0) => {
                    self.is_last = true;
                    Vec::new()
                }
                Ok(length) => {
                    self.lines.push(&chunk[..length]);
                    Vec::new()
                }
                Err(error) => return Err(Leave::ClientLost(error.to_string())),
            },
        };
        self.perform(outputs).await?;
        self.serve_lines().await
    }

    /// Takes the requests that have come, one after the other.
    async fn serve_lines(&mut self) -> Result<(), Leave> {
        while !self.machine.is_busy() {
            match self.lines.next_line() {
                Ok(Some(line)) => {
                    let outputs = self.machine.received(Request::parse(&line));
                    self.perform(outputs).await?;
                }
                Ok(None) if self.is_last => return Err(Leave::ClientLost("it closed the connection".into())),
                Ok(None) => break,
                Err(error) => return Err(Leave::ClientLost(format!("it sent {error}"))),
            }
        }
        Ok(())
    }

    async fn perform(&mut self, outputs: Vec<Output>) -> Result<(), Leave> {
        for output in outputs {
            match output {
                Output::Send(line) => self.send(&line).await?,
                Output::Work(work) => self.port.start(work),
                Output::Away(Away::Replug) => self.look = Some(Instant::now() + self.helper.absence),
                Output::Away(Away::Lost) => self.look = Some(Instant::now() + self.retry.delay()),
            }
        }
        Ok(())
    }

    async fn send(&mut self, line: &Line) -> Result<(), Leave> {
        write(&mut self.stream, &line.encode()).await.map_err(Leave::ClientLost)
    }
}
