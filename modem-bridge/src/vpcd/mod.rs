//! vpcd: the virtual PC/SC reader of vsmartcard. This is the card, and connects to the reader.
//!
//! vpcd has no authentication, and listens on every address by default: keep it on loopback or in a network namespace.

pub(crate) mod codec;
mod machine;

use codec::Frames;
use machine::{Machine, Output};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use teuicc_apdu::Response;
use teuicc_slot::{Event, Interface, LinkError, PoweredUp, Slot, Transmitted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long a reader may take to accept an answer before it counts as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const READ_CHUNK: usize = 4096;
/// How much work the slot may have from one reader before no more is read; a reader asks one thing at a time.
const MAX_RUNNING: usize = 8;

/// Where the reader is, and how patient to be with it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port of vpcd.
    pub address: String,
    /// How long the card stays away when the modem is replugged. pcscd looks every 0.44 s, so longer than 0.5 s.
    pub absence: Duration,
    /// Time before the second attempt to connect; each further one waits twice as long,
    pub first_retry: Duration,
    /// up to this.
    pub last_retry: Duration,
}

impl Default for Config {
    /// The first slot of a vpcd on this machine.
    fn default() -> Self {
        Config {
            address: "127.0.0.1:35963".into(),
            absence: Duration::from_secs(1),
            first_retry: Duration::from_millis(500),
            last_retry: Duration::from_secs(10),
        }
    }
}

/// What the bridge is doing, for whoever wants to know.
#[derive(Debug, Default)]
pub struct Status {
    connected: AtomicBool,
    connections: AtomicU64,
    commands: AtomicU64,
    resets: AtomicU64,
    replugs: AtomicU64,
}

impl Status {
    /// Whether the card is in the reader.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// How often the card was put into the reader.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many TPDUs came from the reader.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// How often the reader powered the card up or reset it.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }

    /// How often the card was taken out for a profile switch to be noticed.
    #[must_use]
    pub fn replugs(&self) -> u64 {
        self.replugs.load(Ordering::Relaxed)
    }
}

/// Why the bridge ended although nobody asked it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// The slot was closed, or its thread died.
    #[error("the slot is closed")]
    SlotClosed,
}

/// Keeps `slot`'s card in the reader until `shutdown` is ready: connects, reconnects, and takes the card out and in
/// again when the slot says so. A reader or a card that is not there is waited for.
pub async fn run(
    slot: Slot,
    config: Config,
    status: &Status,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BridgeError> {
    let bridge = Bridge { slot, config, status };
    tokio::select! {
        () = shutdown => {}
        result = bridge.serve() => result?,
    }
    // Dropping the connection took the card out of the reader; only now may it lose its power.
    status.connected.store(false, Ordering::Relaxed);
    bridge.power_down().await;
    Ok(())
}

struct Bridge<'a> {
    slot: Slot,
    config: Config,
    status: &'a Status,
}

/// Why a connection ended.
enum Leave {
    Replug,
    CardLost(LinkError),
    ReaderLost(String),
    SlotClosed,
}

impl Bridge<'_> {
    async fn serve(&self) -> Result<(), BridgeError> {
        let mut retry = Retry::new(&self.config);
        loop {
            // A card first: a reader is never offered one that does not answer.
            let atr = self.await_card(&mut retry).await?;
            let stream = self.await_reader(&mut retry).await;
            // From before the first power-up on, no replug is missed; an older one is settled by the insertion.
            let events = self.slot.subscribe();
            self.status.connections.fetch_add(1, Ordering::Relaxed);
            self.status.connected.store(true, Ordering::Relaxed);
            tracing::info!(address = self.config.address, "the card is in the virtual reader");
            let (leave, served) = self.connection(stream, atr, events).await;
            self.status.connected.store(false, Ordering::Relaxed);
            self.power_down().await;
            if served {
                retry.reset();
            }
            match leave {
                Leave::SlotClosed => return Err(BridgeError::SlotClosed),
                Leave::Replug => {
                    tracing::info!("the card is taken out, for the reader to see that it changed");
                    self.status.replugs.fetch_add(1, Ordering::Relaxed);
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

    /// The ATR of a card that answers.
    async fn await_card(&self, retry: &mut Retry) -> Result<Vec<u8>, BridgeError> {
        loop {
            match self.slot.power_up(Interface::Modem).await {
                Ok(PoweredUp { atr, .. }) => {
                    self.power_down().await;
                    return Ok(atr);
                }
                Err(LinkError::Closed) => return Err(BridgeError::SlotClosed),
                Err(error) => tracing::warn!(%error, "no card for the virtual reader"),
            }
            retry.wait().await;
        }
    }

    async fn await_reader(&self, retry: &mut Retry) -> TcpStream {
        let mut told = false;
        loop {
            let connected = async {
                let stream = TcpStream::connect(&self.config.address).await?;
                stream.set_nodelay(true)?;
                Ok::<_, std::io::Error>(stream)
            };
            match connected.await {
                Ok(stream) => return stream,
                Err(error) if told => tracing::debug!(%error, "no virtual reader"),
                Err(error) => {
                    tracing::warn!(address = self.config.address, %error, "no virtual reader: waiting for one");
                    told = true;
                }
            }
            retry.wait().await;
        }
    }

    /// Serves one connection to its end; says why it ended, and whether the reader was one at all.
    async fn connection(&self, stream: TcpStream, atr: Vec<u8>, events: broadcast::Receiver<Event>) -> (Leave, bool) {
        let mut connection = Connection {
            bridge: self,
            stream,
            events,
            machine: Machine::new(atr),
            frames: Frames::default(),
            running: JoinSet::new(),
            served: false,
        };
        let leave = loop {
            if let Err(leave) = connection.step().await {
                break leave;
            }
        };
        (leave, connection.served)
    }

    async fn power_down(&self) {
        match self.slot.power_down(Interface::Modem).await {
            Ok(()) | Err(LinkError::Closed) => {}
            Err(error) => tracing::warn!(%error, "the modem's interface was not powered down"),
        }
    }
}

/// Work that the slot finished.
enum Done {
    PoweredUp(u64, Result<PoweredUp, LinkError>),
    PoweredDown(Result<(), LinkError>),
    Answered(u64, Result<Transmitted, LinkError>),
}

struct Connection<'a> {
    bridge: &'a Bridge<'a>,
    stream: TcpStream,
    events: broadcast::Receiver<Event>,
    machine: Machine,
    frames: Frames,
    running: JoinSet<Done>,
    served: bool,
}

impl Connection<'_> {
    /// Waits for one thing to happen, and does what follows from it.
    async fn step(&mut self) -> Result<(), Leave> {
        let mut chunk = [0; READ_CHUNK];
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Ok(Event::Replug) => Err(Leave::Replug),
                Ok(Event::Removed) => Err(Leave::CardLost(LinkError::transport("it was removed"))),
                Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
                Err(RecvError::Closed) => Err(Leave::SlotClosed),
            },
            Some(done) = self.running.join_next(), if !self.running.is_empty() => match done {
                Ok(done) => self.finished(done).await,
                Err(_) => Err(Leave::SlotClosed),
            },
            read = self.stream.read(&mut chunk), if self.running.len() < MAX_RUNNING => match read {
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
            if payload.len() > 1 {
                self.bridge.status.commands.fetch_add(1, Ordering::Relaxed);
            }
            match self.machine.frame(&payload) {
                Ok(outputs) => self.perform(outputs).await?,
                Err(violation) => return Err(Leave::ReaderLost(format!("it sent {violation}"))),
            }
        }
        Ok(())
    }

    async fn finished(&mut self, done: Done) -> Result<(), Leave> {
        let outputs = match done {
            Done::PoweredUp(epoch, Ok(PoweredUp { atr, generation })) => {
                self.machine.powered_up(epoch, generation, atr)
            }
            Done::Answered(epoch, Ok(done)) => self.machine.answered(epoch, Response::parse(&done.last)),
            Done::PoweredUp(_, Err(LinkError::Stale)) | Done::PoweredDown(Ok(())) => Vec::new(),
            Done::Answered(epoch, Err(LinkError::Stale)) => self.machine.answered(epoch, None),
            Done::Answered(epoch, Err(error)) if !error.is_lost() => {
                tracing::warn!(%error, "a command of the modem was not executed");
                self.machine.answered(epoch, None)
            }
            Done::PoweredDown(Err(error)) if !error.is_lost() => {
                tracing::warn!(%error, "the modem's interface was not powered down");
                Vec::new()
            }
            Done::PoweredUp(_, Err(error)) | Done::PoweredDown(Err(error)) | Done::Answered(_, Err(error)) => {
                return Err(if error == LinkError::Closed { Leave::SlotClosed } else { Leave::CardLost(error) });
            }
        };
        self.perform(outputs).await
    }

    async fn perform(&mut self, outputs: Vec<Output>) -> Result<(), Leave> {
        let slot = &self.bridge.slot;
        for output in outputs {
            // The slot's calls queue the work at once, so its order is this one.
            match output {
                Output::Send(payload) => self.send(&payload).await?,
                Output::PowerUp { epoch } => {
                    self.bridge.status.resets.fetch_add(1, Ordering::Relaxed);
                    let work = slot.power_up(Interface::Modem);
                    self.running.spawn(async move { Done::PoweredUp(epoch, work.await) });
                }
                Output::PowerDown => {
                    let work = slot.power_down(Interface::Modem);
                    self.running.spawn(async move { Done::PoweredDown(work.await) });
                }
                Output::Transmit { epoch, generation, apdu } => {
                    let work = slot.transmit(Interface::Modem, generation, vec![apdu]);
                    self.running.spawn(async move { Done::Answered(epoch, work.await) });
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, payload: &[u8]) -> Result<(), Leave> {
        let Some(frame) = codec::encode(payload) else {
            return Err(Leave::ReaderLost("an answer is longer than a frame".into()));
        };
        match timeout(WRITE_TIMEOUT, self.stream.write_all(&frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Leave::ReaderLost(error.to_string())),
            Err(_) => Err(Leave::ReaderLost("it does not read its answers".into())),
        }
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

/// Waits that double.
struct Retry {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Retry {
    fn new(config: &Config) -> Self {
        Retry { first: config.first_retry, last: config.last_retry, next: config.first_retry }
    }

    fn reset(&mut self) {
        self.next = self.first;
    }

    fn wait(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.last);
        Box::pin(sleep(now))
    }
}
