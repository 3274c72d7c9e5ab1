//! RSPRO, the remote SIM protocol of osmo-remsim: this is a bank of cards (`remsim-bankd`). It registers at a
//! remsim-server, which says which client has which card, and clients at modems elsewhere connect to it.
//!
//! RSPRO has no authentication and no encryption: keep it on loopback, and let SSH or a VPN bring remote clients.

pub(crate) mod client;
pub(crate) mod ipa;
pub(crate) mod pdu;
pub(crate) mod server;

use crate::endpoint::{listen, no_delay, write};
use crate::port::{Happening, Port, TPDU_LIMIT, attach, power_down};
use crate::status::{BridgeError, Patience, Retry, Status};
use client::Output;
use ipa::{Ipa, Received};
use pdu::{Component, Identity, MAX_NAME, Pdu, SlotId};
use server::Mappings;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use teuicc_slot::{ModemAttachment, Slot};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long a peer may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How long a client that no card is mapped to may stay. A real one comes again.
const UNMAPPED: Duration = Duration::from_secs(60);
/// How long the clients may take to be told that the bank goes away.
const FAREWELL: Duration = Duration::from_secs(3);
/// Connections of clients at the same time; more wait to be accepted.
const MAX_CLIENTS: usize = 64;
/// Bytes read at a time.
const READ_CHUNK: usize = 4096;

/// Where server and clients are, and who the bank is to them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The remsim-server, `HOST:PORT`.
    pub server: String,
    /// Where clients connect to, `HOST:PORT`. The server tells them so; osmo-remsim's always says port 9999, and the
    /// address that the bank's connection came from.
    pub listen: String,
    /// The number of the bank at the server, 0 to 1023; no two banks have the same.
    pub bank_id: u16,
    /// What the bank is called, 1 to 32 characters of ASCII.
    pub name: String,
    /// How long the card stays away when the modem is replugged. A client connects again at once, and pcscd, behind its
    /// IFD handler, looks every 0.44 s; a client waits 10 s for the card.
    pub absence: Duration,
    /// How long to wait for a server that is not there.
    pub patience: Patience,
}

impl Default for Config {
    /// Bank 1, with a server on this machine.
    fn default() -> Self {
        Config {
            server: "127.0.0.1:9998".into(),
            listen: "127.0.0.1:9999".into(),
            bank_id: 1,
            name: "teuicc".into(),
            absence: Duration::from_secs(1),
            patience: Patience::default(),
        }
    }
}

/// Is a bank with these cards, the first of them in slot 0, until `shutdown` is ready.
///
/// Errors: a slot is closed, its card is in another modem, or the address for the clients cannot be had.
pub async fn run(
    slots: Vec<Slot>,
    config: Config,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BridgeError> {
    let slots = slots.iter().map(BankSlot::new).collect::<Result<_, _>>()?;
    let listener = listen(&config.listen).await.map_err(BridgeError::listen)?;
    if let Ok(address) = listener.local_addr() {
        status.set_address(address);
    }
    let own = Identity {
        component: Component::Bank,
        name: config.name.chars().filter(char::is_ascii).take(MAX_NAME).collect(),
        software: "teuiccd".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let mappings = watch::Sender::new(Mappings::default());
    let bank = Arc::new(Bank { config, own, slots, mappings, status, leaving: watch::Sender::new(false) });
    bank.clone().serve(listener, shutdown).await?;
    for slot in &bank.slots {
        power_down(&*slot.modem.lock().await).await;
    }
    Ok(())
}

struct Bank {
    config: Config,
    own: Identity,
    slots: Vec<BankSlot>,
    mappings: watch::Sender<Mappings>,
    status: Arc<Status>,
    /// Whether the bank is about to close every link.
    leaving: watch::Sender<bool>,
}

struct BankSlot {
    modem: Mutex<ModemAttachment>,
    /// Counts the connections that wanted the card: the newest has it. A client that comes again does not wait until
    /// its last connection, of which no more is heard, has been found out.
    claims: watch::Sender<u64>,
}

impl BankSlot {
    fn new(slot: &Slot) -> Result<Self, BridgeError> {
        Ok(BankSlot { modem: Mutex::new(attach(slot)?), claims: watch::Sender::new(0) })
    }

    fn claim(&self) -> Claim {
        self.claims.send_modify(|claims| *claims += 1);
        let mut latest = self.claims.subscribe();
        let number = *latest.borrow_and_update();
        Claim { number, latest }
    }
}

/// A connection's right to the card of a slot.
struct Claim {
    number: u64,
    latest: watch::Receiver<u64>,
}

impl Claim {
    /// Waits until another connection has the right.
    async fn lost(&mut self) {
        let number = self.number;
        let _ = self.latest.wait_for(|latest| *latest != number).await;
    }
}

/// Why a connection ended.
struct Lost(String);

impl Bank {
    async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), BridgeError> {
        // Dropped last: the clients lose their cards before the server loses the bank.
        let link = self.server_link();
        let mut clients = JoinSet::new();
        tokio::pin!(link, shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                () = &mut link => {}
                Some(ended) = clients.join_next(), if !clients.is_empty() => {
                    // A task that panicked counts as a connection that ended.
                    ended.unwrap_or(Ok(()))?;
                }
                accepted = listener.accept(), if clients.len() < MAX_CLIENTS => match accepted {
                    Ok((stream, address)) => {
                        let bank = self.clone();
                        clients.spawn(async move { bank.client(stream, address.to_string()).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a client could not be accepted");
                        sleep(self.config.patience.first).await;
                    }
                },
            }
        }
        self.leaving.send_replace(true);
        let gone = async { while clients.join_next().await.is_some() {} };
        // Whoever does not take what it is told is hung up on.
        let _ = timeout(FAREWELL, gone).await;
        clients.shutdown().await;
        Ok(())
    }

    /// Stays registered at the server. Mappings outlive the link: modems go on working when the server is gone.
    async fn server_link(&self) {
        let mut retry = Retry::new(self.config.patience);
        loop {
            let (registered, Lost(reason)) = self.registration().await;
            if registered {
                retry.reset();
            }
            tracing::warn!(server = self.config.server, reason, "not registered at the remsim-server");
            retry.wait().await;
        }
    }

    /// One connection to the server, to its end; whether the server had taken the bank.
    async fn registration(&self) -> (bool, Lost) {
        let slots = u16::try_from(self.slots.len()).unwrap_or(u16::MAX);
        let (mut machine, hello) = server::Machine::new(self.own.clone(), self.config.bank_id, slots);
        let connection = async {
            let stream = TcpStream::connect(&self.config.server).await.and_then(no_delay).map_err(lost)?;
            let mut link = Link::new(stream, &self.own.name);
            link.send(&hello).await?;
            let introduction = Instant::now() + INTRODUCTION;
            loop {
                tokio::select! {
                    waited = link.wait() => waited?,
                    () = sleep_until(introduction), if !machine.is_registered() => {
                        return Err::<(), _>(Lost("it does not answer".into()));
                    }
                }
                for pdu in link.received().await? {
                    let was_registered = machine.is_registered();
                    let mut result = Ok(None);
                    self.mappings.send_if_modified(|mappings| {
                        let before = mappings.clone();
                        result = machine.received(pdu, mappings);
                        *mappings != before
                    });
                    if let Some(answer) = result.map_err(|violation| Lost(format!("it sent {violation}")))? {
                        link.send(&answer).await?;
                    }
                    if machine.is_registered() && !was_registered {
                        tracing::info!(server = self.config.server, "registered at the remsim-server");
                    }
                }
            }
        };
        let lost = match connection.await {
            Err(lost) => lost,
            Ok(()) => Lost(String::new()),
        };
        (machine.is_registered(), lost)
    }

    /// Serves one client to its end. Errors: those that end the bank.
    async fn client(&self, stream: TcpStream, address: String) -> Result<(), BridgeError> {
        let Ok(stream) = no_delay(stream) else { return Ok(()) };
        let machine = client::Machine::new(self.own.clone(), self.status.clone());
        let mut client = Client { bank: self, link: Link::new(stream, &self.own.name), machine, looked_up: None };
        let mut mappings = self.mappings.subscribe();
        let mut leaving = self.leaving.subscribe();
        let identified = tokio::select! {
            identified = client.identify(&mut mappings) => identified,
            () = left(&mut leaving) => return Ok(()),
        };
        let (id, slot) = match identified {
            Ok(found) => found,
            Err(Lost(reason)) => {
                tracing::info!(address, reason, "a client is gone before it had a card");
                return Ok(());
            }
        };
        let Some(bank_slot) = self.slots.get(usize::from(slot)) else { return Ok(()) };
        let mut claim = bank_slot.claim();
        let modem = tokio::select! {
            biased;
            () = left(&mut leaving) => return Ok(()),
            () = claim.lost() => return Ok(()),
            modem = bank_slot.modem.lock() => modem,
        };
        tracing::info!(client = %id, slot, address, "a client has the card");
        let (mut client, ended) =
            client.serve(Port::new(&modem, Some(TPDU_LIMIT)), id, slot, mappings, claim, leaving).await;
        // The modem loses the card before the card loses its power.
        let outputs = client.machine.leave();
        let _ = client.perform(outputs, None).await;
        drop(client);
        // At its end the bank takes the power of all its cards.
        if !matches!(ended, Ended::Leaving) {
            power_down(&modem).await;
        }
        match ended {
            Ended::SlotClosed => return Err(BridgeError::SlotClosed),
            Ended::Replug => {
                tracing::info!(client = %id, "the link is closed, for the modem to see that the card changed");
                // Nobody has the card meanwhile: whoever connects waits for the slot.
                sleep(self.config.absence).await;
            }
            Ended::Leaving => {}
            Ended::Lost(Lost(reason)) => tracing::info!(client = %id, reason, "a client's card is out"),
        }
        Ok(())
    }
}

struct Client<'a> {
    bank: &'a Bank,
    link: Link,
    machine: client::Machine,
    looked_up: Option<SlotId>,
}

/// Why a client does not have the card any more.
enum Ended {
    Replug,
    Leaving,
    Lost(Lost),
    SlotClosed,
}

impl From<Lost> for Ended {
    fn from(lost: Lost) -> Self {
        Ended::Lost(lost)
    }
}

impl Client<'_> {
    /// Waits until the client has said who it is and a card is mapped to it: who, and the card's slot.
    async fn identify(&mut self, mappings: &mut watch::Receiver<Mappings>) -> Result<(SlotId, u16), Lost> {
        let mut deadline = Instant::now() + INTRODUCTION;
        let mut told = false;
        loop {
            if let Some(client) = self.looked_up {
                if let Some(slot) = mappings.borrow_and_update().slot_of(client) {
                    return Ok((client, slot));
                }
                if !std::mem::replace(&mut told, true) {
                    deadline = Instant::now() + UNMAPPED;
                    let outputs = self.machine.mapped(None);
                    self.perform(outputs, None).await?;
                }
            }
            tokio::select! {
                waited = self.link.wait() => waited?,
                _ = mappings.changed() => {}
                () = sleep_until(deadline) => {
                    let reason = if told { "no card was mapped to it" } else { "it does not say who it is" };
                    return Err(Lost(reason.into()));
                }
            }
            self.read(None).await?;
        }
    }

    /// Serves the client that has the card, to the end.
    async fn serve(
        mut self,
        mut port: Port<'_>,
        id: SlotId,
        slot: u16,
        mut mappings: watch::Receiver<Mappings>,
        mut claim: Claim,
        mut leaving: watch::Receiver<bool>,
    ) -> (Self, Ended) {
        let served = async {
            let bank = SlotId { id: self.bank.config.bank_id, slot };
            let outputs = self.machine.mapped(Some(bank));
            self.perform(outputs, Some(&mut port)).await?;
            let mut connected = None;
            loop {
                let reads_on = !port.is_full();
                let outputs = tokio::select! {
                    biased;
                    happening = port.next() => match happening {
                        Happening::PoweredUp { epoch, generation, atr } => {
                            connected.get_or_insert_with(|| self.bank.status.connect());
                            self.machine.powered_up(epoch, generation, atr)
                        }
                        Happening::Answered { epoch, response } => self.machine.answered(epoch, response),
                        Happening::TimedOut { epoch } => self.machine.answered(epoch, None),
                        Happening::PoweredDown { .. } | Happening::Nothing => Vec::new(),
                        Happening::CardLost(error) => {
                            tracing::warn!(%error, "the card is lost");
                            self.machine.card_lost()
                        }
                        Happening::Replug => {
                            self.bank.status.count_replug();
                            return Err(Ended::Replug);
                        }
                        Happening::SlotClosed => return Err(Ended::SlotClosed),
                    },
                    () = left(&mut leaving) => return Err(Ended::Leaving),
                    () = claim.lost() => return Err(Lost("it connected again".into()).into()),
                    () = unmapped(&mut mappings, id, slot) => {
                        return Err(Lost("the server took its mapping away".into()).into());
                    }
                    waited = self.link.wait(), if reads_on => {
                        waited?;
                        self.read(Some(&mut port)).await?;
                        continue;
                    }
                };
                self.perform(outputs, Some(&mut port)).await?;
            }
        };
        let ended = match served.await {
            Err(ended) => ended,
            Ok(never) => never,
        };
        (self, ended)
    }

    /// Takes everything that has come in.
    async fn read(&mut self, mut port: Option<&mut Port<'_>>) -> Result<(), Lost> {
        for pdu in self.link.received().await? {
            let outputs = self.machine.received(pdu).map_err(|violation| Lost(format!("it sent {violation}")))?;
            self.perform(outputs, port.as_deref_mut()).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, outputs: Vec<Output>, mut port: Option<&mut Port<'_>>) -> Result<(), Lost> {
        for output in outputs {
            match output {
                Output::Send(pdu) => self.link.send(&pdu).await?,
                Output::LookUp(client) => self.looked_up = Some(client),
                Output::Close => return Err(Lost("it was refused".into())),
                Output::Work(work) => {
                    if let Some(port) = port.as_deref_mut() {
                        port.start(work);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Waits until the bank leaves.
async fn left(leaving: &mut watch::Receiver<bool>) {
    let _ = leaving.wait_for(|leaving| *leaving).await;
}

/// Waits until the client does not have the slot any more.
async fn unmapped(mappings: &mut watch::Receiver<Mappings>, client: SlotId, slot: u16) {
    let _ = mappings.wait_for(|mappings| mappings.slot_of(client) != Some(slot)).await;
}

/// One IPA connection.
struct Link {
    stream: TcpStream,
    ipa: Ipa,
}

impl Link {
    fn new(stream: TcpStream, name: &str) -> Self {
        Link { stream, ipa: Ipa::new(std::time::Instant::now(), name) }
    }

    /// Waits until [`Link::received`] has something to do. Dropping the future loses nothing.
    async fn wait(&mut self) -> Result<(), Lost> {
        let mut chunk = [0; READ_CHUNK];
        tokio::select! {
            read = self.stream.read(&mut chunk) => match read {
                Ok(0) => Err(Lost("it closed the connection".into())),
                Ok(length) => {
                    self.ipa.push(std::time::Instant::now(), &chunk[..length]);
                    Ok(())
                }
                Err(error) => Err(lost(error)),
            },
            () = sleep_until(self.ipa.wake_at().into()) => Ok(()),
        }
    }

    /// The messages that have come in; answers what is only about the connection.
    async fn received(&mut self) -> Result<Vec<Pdu>, Lost> {
        let mut pdus = Vec::new();
        if let Some(ping) = self.ipa.woken(std::time::Instant::now()).map_err(lost)? {
            self.write(&ping).await?;
        }
        while let Some(received) = self.ipa.next_received().map_err(lost)? {
            match received {
                Received::Answer(frame) => self.write(&frame).await?,
                Received::Rspro(message) => {
                    pdus.push(Pdu::decode(&message).map_err(|error| Lost(format!("it sent no RSPRO: {error}")))?);
                }
            }
        }
        Ok(pdus)
    }

    async fn send(&mut self, pdu: &Pdu) -> Result<(), Lost> {
        let message = pdu.encode().map_err(lost)?;
        let frame = ipa::encode(&message).ok_or_else(|| Lost("a message is longer than a frame".into()))?;
        self.write(&frame).await
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), Lost> {
        write(&mut self.stream, frame).await.map_err(Lost)
    }
}

fn lost(error: impl std::fmt::Display) -> Lost {
    Lost(error.to_string())
}
