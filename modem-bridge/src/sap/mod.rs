//! SAP, the SIM Access Profile of Bluetooth, without Bluetooth: this is the server, and modules that are SAP clients
//! reach it over a serial line, a TCP connection or a Unix socket.
//!
//! SAP has no authentication: keep TCP on loopback.

pub(crate) mod codec;
pub(crate) mod machine;

use crate::endpoint::{Clients, Endpoint, Listener, Stream, at, write};
use crate::port::{Happening, Port, TPDU_LIMIT, attach, power_down};
use crate::session::Away;
use crate::status::{BridgeError, Connected, Patience, Retry, Status};
use codec::{Id, Malformed, Message, Messages};
use machine::{Machine, Output};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use teuicc_slot::{ModemAttachment, Slot};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep_until};

/// How long the rest of a message may take; a line may have carried something else before.
const REST: Duration = Duration::from_secs(2);
/// How long a client of a socket may take to connect at the level of SAP, before another one may try.
const INTRODUCTION: Duration = Duration::from_secs(30);
/// Between an indication and the message before or after it: osmocom-bb takes all that it reads at once for one message.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes read at a time.
const READ_CHUNK: usize = 4096;

/// Where the client is, and how to speak with it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the client is.
    pub endpoint: Endpoint,
    /// Pad values whose length is a multiple of 4 with 4 bytes more, as osmocom-bb's `mobile` wants it; it does not
    /// understand what the specification says. Its own padding is understood in any case.
    pub osmocom_padding: bool,
    /// How long the card stays away when the modem is replugged.
    pub absence: Duration,
    /// How long a client that was asked to go may take until it is cut off.
    pub farewell: Duration,
    /// How long to wait for a line or a card that is not there.
    pub patience: Patience,
}

impl Config {
    /// A client there, which keeps to the specification.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Config {
            endpoint,
            osmocom_padding: false,
            absence: Duration::from_secs(1),
            farewell: Duration::from_secs(3),
            patience: Patience::default(),
        }
    }
}

/// Gives `slot`'s card to one client after another, until `shutdown` is ready; then the card is removed, and the client
/// asked to disconnect.
///
/// Errors: the slot is closed, its card is in another modem, or the endpoint cannot be had.
pub async fn run(
    slot: Slot,
    config: Config,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BridgeError> {
    let server = Server { modem: attach(&slot)?, config, status };
    let listener = Listener::bind(&server.config.endpoint).await.map_err(BridgeError::listen)?;
    if let Some(address) = listener.address() {
        server.status.set_address(address);
    }
    let mut clients = Clients::new(listener, server.config.patience);
    tracing::info!(endpoint = %server.config.endpoint, "the SAP server waits for a client");
    let mut shutdown = std::pin::pin!(shutdown);
    while let Some(stream) = clients.next(shutdown.as_mut()).await {
        let mut connection = Connection::new(&server, stream, clients.is_shared());
        let leave = connection.serve(&clients, shutdown.as_mut()).await;
        if connection.was_open {
            clients.served();
        }
        drop(connection);
        // The modem has lost the card before the card loses its power.
        power_down(&server.modem).await;
        match leave {
            Leave::Shutdown => break,
            Leave::SlotClosed => return Err(BridgeError::SlotClosed),
            Leave::ClientLost(reason) => {
                tracing::warn!(endpoint = %server.config.endpoint, reason, "the SAP client is gone");
            }
        }
    }
    Ok(())
}

struct Server {
    modem: ModemAttachment,
    config: Config,
    status: Arc<Status>,
}

/// Why a connection ended.
enum Leave {
    ClientLost(String),
    SlotClosed,
    Shutdown,
}

struct Connection<'a> {
    server: &'a Server,
    stream: Box<dyn Stream>,
    port: Port<'a>,
    machine: Machine,
    messages: Messages,
    /// The last message to the client: when it was sent, and whether it was an indication.
    sent: Option<(Instant, bool)>,
    connected: Option<Connected>,
    was_open: bool,
    /// When a client that has not connected is given up: not on a line, which has no other.
    introduction: Option<Instant>,
    /// When the part of a message that has come is thrown away.
    rest: Option<Instant>,
    /// When to look for a card that is away.
    look: Option<Instant>,
    /// When a client that was asked to go is cut off.
    farewell: Option<Instant>,
    parted: bool,
    retry: Retry,
}

impl<'a> Connection<'a> {
    fn new(server: &'a Server, stream: Box<dyn Stream>, is_shared: bool) -> Self {
        Connection {
            server,
            stream,
            port: Port::new(&server.modem, Some(TPDU_LIMIT)),
            machine: Machine::new(server.status.clone()),
            messages: Messages::default(),
            sent: None,
            connected: None,
            was_open: false,
            introduction: is_shared.then(|| Instant::now() + INTRODUCTION),
            rest: None,
            look: None,
            farewell: None,
            parted: false,
            retry: Retry::new(server.config.patience),
        }
    }

    async fn serve<F: Future<Output = ()>>(&mut self, clients: &Clients, mut shutdown: Pin<&mut F>) -> Leave {
        loop {
            match self.step(clients, shutdown.as_mut()).await {
                // It was asked to go, and no other one is waited for.
                Err(Leave::ClientLost(_)) if self.farewell.is_some() => return Leave::Shutdown,
                Err(leave) => return leave,
                Ok(()) => {}
            }
            if self.parted {
                return Leave::Shutdown;
            }
        }
    }

    /// Waits for one thing to happen, and does what follows from it.
    async fn step<F: Future<Output = ()>>(
        &mut self,
        clients: &Clients,
        mut shutdown: Pin<&mut F>,
    ) -> Result<(), Leave> {
        let mut chunk = [0; READ_CHUNK];
        let reads_on = !self.port.is_full();
        let outputs = tokio::select! {
            biased;
            () = &mut shutdown, if self.farewell.is_none() => {
                self.farewell = Some(Instant::now() + self.server.config.farewell);
                self.look = None;
                self.machine.leave()
            }
            () = at(self.farewell) => {
                self.parted = true;
                self.machine.leave_now()
            }
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
                // A modem that is losing its card needs no other one.
                Happening::Replug if self.farewell.is_some() => return Ok(()),
                Happening::Replug => {
                    let outputs = self.machine.replug();
                    if !outputs.is_empty() {
                        tracing::info!("the card is taken out, for the modem to see that it changed");
                        self.server.status.count_replug();
                    }
                    outputs
                }
                Happening::SlotClosed => return Err(Leave::SlotClosed),
                Happening::Nothing => return Ok(()),
            },
            () = at(self.look) => {
                self.look = None;
                self.machine.look_for_card()
            }
            () = at(self.rest) => {
                self.rest = None;
                self.messages.clear();
                self.machine.malformed()
            }
            () = at(self.introduction), if !self.was_open => {
                return Err(Leave::ClientLost("it does not connect".into()));
            }
            () = clients.turn_away() => return Ok(()),
            read = self.stream.read(&mut chunk), if reads_on => match read {
                Ok(0) => return Err(Leave::ClientLost("it closed the connection".into())),
                Ok(length) => return self.received(&chunk[..length]).await,
                Err(error) => return Err(Leave::ClientLost(error.to_string())),
            },
        };
        self.perform(outputs).await
    }

    async fn received(&mut self, bytes: &[u8]) -> Result<(), Leave> {
        self.messages.push(bytes);
        loop {
            match self.messages.next_message() {
                Ok(Some(message)) => {
                    let outputs = self.machine.received(&message);
                    self.perform(outputs).await?;
                }
                Ok(None) => break,
                Err(malformed) => {
                    self.log_malformed(malformed);
                    self.messages.clear();
                    let outputs = self.machine.malformed();
                    self.perform(outputs).await?;
                    break;
                }
            }
        }
        self.rest = self.messages.is_partial().then(|| Instant::now() + REST);
        Ok(())
    }

    fn log_malformed(&self, malformed: Malformed) {
        tracing::warn!(endpoint = %self.server.config.endpoint, %malformed, "what came is no SAP");
    }

    async fn perform(&mut self, outputs: Vec<Output>) -> Result<(), Leave> {
        for output in outputs {
            match output {
                Output::Send(message) => self.send(&message).await?,
                Output::Work(work) => self.port.start(work),
                Output::Away(Away::Replug) => self.look = Some(Instant::now() + self.server.config.absence),
                Output::Away(Away::Lost) => self.look = Some(Instant::now() + self.retry.delay()),
                Output::Parted => self.parted = true,
            }
        }
        if self.machine.is_open() {
            self.was_open = true;
            if self.connected.is_none() {
                self.connected = Some(self.server.status.connect());
            }
        } else {
            self.connected = None;
            self.look = None;
        }
        Ok(())
    }

    /// In one piece, and what the client did not ask for by itself: see [`PAUSE`].
    async fn send(&mut self, message: &Message) -> Result<(), Leave> {
        let Some(bytes) = message.encode(self.server.config.osmocom_padding) else { return Ok(()) };
        let is_indication = matches!(message.id, Id::StatusInd | Id::DisconnectInd);
        if let Some((sent, was_indication)) = self.sent
            && (is_indication || was_indication)
        {
            sleep_until(sent + PAUSE).await;
        }
        write(&mut self.stream, &bytes).await.map_err(Leave::ClientLost)?;
        self.sent = Some((Instant::now(), is_indication));
        Ok(())
    }
}
