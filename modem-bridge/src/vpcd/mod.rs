//! vpcd: the virtual PC/SC reader of vsmartcard. This is the card: it connects to the reader, or the reader to it.
//!
//! vpcd has no authentication, and listens on every address by default: keep it on loopback or in a network namespace.

pub(crate) mod codec;
pub(crate) mod machine;

use crate::endpoint::{listen, no_delay, write};
use crate::port::{Happening, Port, attach, await_card, power_down};
use crate::status::{BridgeError, Patience, Retry, Status};
use codec::Frames;
use machine::{Machine, Output};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use teuicc_slot::{LinkError, ModemAttachment, Slot};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::sleep;
use zeroize::Zeroizing;

/// Bytes read at a time.
const READ_CHUNK: usize = 4096;

/// How card and reader find each other, `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// vpcd listens here: what Debian's package does.
    At(String),
    /// vpcd connects to here: its `DEVICENAME` is a host and a port.
    ConnectsTo(String),
}

/// Where the reader is, and how patient to be with it.
#[derive(Clone, Debug)]
pub struct Config {
    /// How card and reader find each other.
    pub reader: Reader,
    /// How long the card stays away when the modem is replugged. pcscd looks every 0.44 s, so longer than 0.5 s.
    pub absence: Duration,
    /// How long to wait for a reader or a card that is not there.
    pub patience: Patience,
}

impl Default for Config {
    /// The first slot of a vpcd on this machine.
    fn default() -> Self {
        Config {
            reader: Reader::At("127.0.0.1:35963".into()),
            absence: Duration::from_secs(1),
            patience: Patience::default(),
        }
    }
}

/// Keeps `slot`'s card in the reader until `shutdown` is ready: connects, reconnects, and takes the card out and in
/// again when the slot says so. A reader or a card that is not there is waited for.
///
/// Errors: the slot is closed, or its card is in another modem.
pub async fn run(
    slot: Slot,
    config: Config,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BridgeError> {
    let bridge = Bridge { modem: attach(&slot)?, config, status };
    tokio::select! {
        () = shutdown => {}
        result = bridge.serve() => result?,
    }
    // Dropping the connection took the card out of the reader; only now may it lose its power.
    power_down(&bridge.modem).await;
    Ok(())
}

struct Bridge {
    modem: ModemAttachment,
    config: Config,
    status: Arc<Status>,
}

/// Why a connection ended.
enum Leave {
    Replug,
    CardLost(LinkError),
    ReaderLost(String),
    SlotClosed,
}

impl Bridge {
    async fn serve(&self) -> Result<(), BridgeError> {
        let mut retry = Retry::new(self.config.patience);
        loop {
            // A card first: a reader is never offered one that does not answer.
            let atr = await_card(&self.modem, &mut retry).await?;
            let stream = self.await_reader(&mut retry).await;
            // A replug from here on is not missed; an older one is settled by the insertion.
            let port = Port::new(&self.modem, None);
            let connected = self.status.connect();
            tracing::info!(reader = ?self.config.reader, "the card is in the virtual reader");
            let (leave, served) = self.connection(stream, atr, port).await;
            drop(connected);
            power_down(&self.modem).await;
            if served {
                retry.reset();
            }
            match leave {
                Leave::SlotClosed => return Err(BridgeError::SlotClosed),
                Leave::Replug => {
                    tracing::info!("the card is taken out, for the reader to see that it changed");
                    self.status.count_replug();
                    sleep(self.config.absence).await;
                }
                Leave::CardLost(error) => {
                    tracing::warn!(%error, "the card is out of the virtual reader");
                    retry.wait().await;
                }
                Leave::ReaderLost(reason) => {
                    tracing::warn!(reason, "the virtual reader is gone");
                    retry.wait().await;
                }
            }
        }
    }

    async fn await_reader(&self, retry: &mut Retry) -> TcpStream {
        let mut told = false;
        loop {
            match self.reach_reader().await {
                Ok(stream) => return stream,
                Err(error) if told => tracing::debug!(%error, "no virtual reader"),
                Err(error) => {
                    tracing::warn!(reader = ?self.config.reader, %error, "no virtual reader: waiting for one");
                    told = true;
                }
            }
            retry.wait().await;
        }
    }

    async fn reach_reader(&self) -> io::Result<TcpStream> {
        no_delay(match &self.config.reader {
            Reader::At(address) => TcpStream::connect(address).await?,
            // Listens only now, and for one reader: to be refused is how a reader sees that there is no card.
            Reader::ConnectsTo(address) => {
                // The same port again, if the system chose it.
                let listener = match self.status.address() {
                    Some(address) => listen(&address.to_string()).await?,
                    None => listen(address).await?,
                };
                self.status.set_address(listener.local_addr()?);
                listener.accept().await?.0
            }
        })
    }

    /// Serves one connection to its end; says why it ended, and whether the reader was one at all.
    async fn connection(&self, stream: TcpStream, atr: Vec<u8>, port: Port<'_>) -> (Leave, bool) {
        let machine = Machine::new(atr, self.status.clone());
        let mut connection = Connection { stream, port, machine, frames: Frames::default(), served: false };
        loop {
            if let Err(leave) = connection.step().await {
                return (leave, connection.served);
            }
        }
    }
}

struct Connection<'a> {
    stream: TcpStream,
    port: Port<'a>,
    machine: Machine,
    frames: Frames,
    served: bool,
}

impl Connection<'_> {
    /// Waits for one thing to happen, and does what follows from it.
    async fn step(&mut self) -> Result<(), Leave> {
        let mut chunk = Zeroizing::new([0; READ_CHUNK]);
        let reads_on = !self.port.is_full();
        tokio::select! {
            biased;
            happening = self.port.next() => self.happened(happening).await,
            read = self.stream.read(&mut chunk[..]), if reads_on => match read {
                Ok(0) => Err(Leave::ReaderLost("it closed the connection".into())),
                Ok(length) => self.received(&chunk[..length]).await,
                Err(error) => Err(Leave::ReaderLost(error.to_string())),
            },
        }
    }

    async fn received(&mut self, bytes: &[u8]) -> Result<(), Leave> {
        acknowledge_now(&self.stream);
        self.frames.push(bytes);
        while let Some(payload) = self.frames.next_frame() {
            self.served = true;
            match self.machine.frame(&payload) {
                Ok(outputs) => self.perform(outputs).await?,
                Err(violation) => return Err(Leave::ReaderLost(format!("it sent {violation}"))),
            }
        }
        Ok(())
    }

    async fn happened(&mut self, happening: Happening) -> Result<(), Leave> {
        let outputs = match happening {
            Happening::PoweredUp { epoch, generation, atr } => self.machine.powered_up(epoch, generation, atr),
            Happening::Answered { epoch, response } => self.machine.answered(epoch, response),
            Happening::TimedOut { epoch } => self.machine.answered(epoch, None),
            Happening::PoweredDown { .. } | Happening::Nothing => return Ok(()),
            Happening::Replug => return Err(Leave::Replug),
            Happening::CardLost(error) => return Err(Leave::CardLost(error)),
            Happening::SlotClosed => return Err(Leave::SlotClosed),
        };
        self.perform(outputs).await
    }

    async fn perform(&mut self, outputs: Vec<Output>) -> Result<(), Leave> {
        for output in outputs {
            match output {
                Output::Send(payload) => self.send(&Zeroizing::new(payload)).await?,
                Output::Work(work) => self.port.start(work),
            }
        }
        Ok(())
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), Leave> {
        let Some(frame) = codec::encode(payload) else {
            return Err(Leave::ReaderLost("an answer is longer than a frame".into()));
        };
        write(&mut self.stream, &frame).await.map_err(Leave::ReaderLost)
    }
}

/// Acknowledges what was read. A reader writes a frame's length and its payload one by one, and its system holds the
/// payload back until the length is acknowledged, which this system else puts off by 40 ms. The kernel forgets the
/// setting, so that it is made after every read; failing, it costs time only.
fn acknowledge_now(stream: &TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = stream.set_quickack(true);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = stream;
}
