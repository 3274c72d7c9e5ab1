//! QMI UIM Remote: a modem by Qualcomm takes the card of one of its slots from us. The modem offers the service, and
//! this is its client, over QRTR (on the modem's own SoC), over QMUX on a control device, or over MBIM that carries
//! QMUX.
//!
//! One client serves several slots of a modem, each with a card of its own.
//!
//! | module | what |
//! | --- | --- |
//! | `message`, `uim_remote` | codec: QMI messages, and those of UIM Remote |
//! | `machine` | the card in one slot of a modem |
//! | `requests` | requests that are not answered yet |
//! | `qmux`, `mbim`, `qrtr` | codec and client of each way to a modem |
//! | `link` | those ways, driven |

mod link;
pub(crate) mod machine;
pub(crate) mod mbim;
pub(crate) mod message;
pub(crate) mod qmux;
pub(crate) mod qrtr;
pub(crate) mod requests;
pub(crate) mod uim_remote;

use crate::port::{Happening, Port, TPDU_LIMIT, attach, power_down};
use crate::status::{BridgeError, Connected, Patience, Retry, Status};
use link::{Gone, Link};
use machine::{Machine, Output};
use message::{Kind, Malformed, Message, Outcome};
use requests::{Requests, Stalled};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use teuicc_slot::{ModemAttachment, Slot};
use tokio::time::{sleep_until, timeout};
use uim_remote::{Event, Indication, Request, Wish, segments};

/// How long a modem may take to hear that the card leaves.
const LEAVE: Duration = Duration::from_secs(3);

/// Where a modem's UIM Remote service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modem {
    /// On this SoC: the socket family AF_QIPCRTR.
    Qrtr {
        /// The processor that the modem runs on; `None`: whichever offers the service first, but for the one that this
        /// runs on.
        node: Option<u32>,
    },
    /// Behind a device that carries QMUX frames: `/dev/cdc-wdm0` with the driver `qmi_wwan`, or `/dev/wwan0qmi0`.
    Qmux {
        /// The device.
        device: PathBuf,
        /// Through libqmi's proxy, which shares the device with other programs, ModemManager among them.
        proxy: bool,
    },
    /// Behind a device that carries MBIM, of a modem that takes QMI over it: `/dev/cdc-wdm0` with the driver
    /// `cdc_mbim`.
    Mbim {
        /// The device.
        device: PathBuf,
    },
}

/// A slot of a modem: 1, 2 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModemSlot(u8);

impl ModemSlot {
    /// `None`: there is no slot of this number.
    #[must_use]
    pub fn new(number: u8) -> Option<ModemSlot> {
        (1..=3).contains(&number).then_some(ModemSlot(number))
    }
}

impl Default for ModemSlot {
    /// The first one.
    fn default() -> Self {
        ModemSlot(1)
    }
}

/// Where the modem is, and how patient to be with it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The modem.
    pub modem: Modem,
    /// How long the card stays away when the modem is replugged.
    pub absence: Duration,
    /// How long to wait for a modem or a card that is not there.
    pub patience: Patience,
}

impl Config {
    /// With the times that modems are known to take.
    #[must_use]
    pub fn new(modem: Modem) -> Config {
        Config { modem, absence: Duration::from_secs(3), patience: Patience::default() }
    }
}

/// Offers cards to slots of the modem until `shutdown` is ready, and then takes them away in order. A modem or a card
/// that is not there is waited for; a modem that restarts is offered them again.
///
/// Errors: a slot is closed, or its card is in another modem.
pub async fn run(
    cards: BTreeMap<ModemSlot, Slot>,
    config: Config,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BridgeError> {
    let mut attached = Vec::new();
    for (modem_slot, slot) in cards {
        attached.push((attach(&slot)?, modem_slot));
    }
    let mut shutdown = pin!(shutdown);
    let mut retry = Retry::new(config.patience);
    let mut told = None;
    let result = loop {
        let link = tokio::select! {
            () = &mut shutdown => break Ok(()),
            link = Link::open(&config.modem) => link,
        };
        let reason = match link {
            Ok(link) => {
                tracing::info!(modem = ?config.modem, "the modem's UIM Remote service is reached");
                let mut session = Session::new(&attached, &config, &status, link);
                let leave = session.serve(&mut shutdown).await;
                told = None;
                if session.served {
                    retry.reset();
                }
                match leave {
                    Leave::ModemLost(reason) => reason,
                    Leave::Asked => {
                        session.part().await;
                        break Ok(());
                    }
                    Leave::SlotClosed => {
                        session.part().await;
                        break Err(BridgeError::SlotClosed);
                    }
                }
            }
            Err(gone) => gone.to_string(),
        };
        // Without a modem the cards have no power. One that hangs is not to keep the others waiting.
        for (modem, _) in &attached {
            drop(modem.power_down());
        }
        if told.as_ref() == Some(&reason) {
            tracing::debug!(reason, "still no UIM Remote service of the modem");
        } else {
            tracing::warn!(reason, modem = ?config.modem, "no UIM Remote service of the modem: trying again");
            told = Some(reason);
        }
        tokio::select! {
            () = &mut shutdown => break Ok(()),
            () = retry.wait() => {}
        }
    };
    for (modem, _) in &attached {
        power_down(modem).await;
    }
    result
}

/// Why a session ended.
enum Leave {
    /// Somebody asked for it.
    Asked,
    ModemLost(String),
    SlotClosed,
}

impl From<Gone> for Leave {
    fn from(gone: Gone) -> Self {
        Leave::ModemLost(gone.to_string())
    }
}

impl From<Stalled> for Leave {
    fn from(stalled: Stalled) -> Self {
        Leave::ModemLost(stalled.to_string())
    }
}

/// A card in a slot of the modem.
struct Seat<'a> {
    machine: Machine,
    port: Port<'a>,
    modem_slot: ModemSlot,
    /// While the modem uses the card.
    connected: Option<Connected>,
    /// Whether the modem refused the card when it was offered last.
    refused: bool,
    /// The newest wish for power that waits for the slot to have time; older ones are made void by it.
    held: Option<Wish>,
}

impl Seat<'_> {
    fn number(&self) -> u32 {
        self.modem_slot.0.into()
    }
}

/// What was asked of the modem.
enum Asked {
    Event { seat: usize, event: Event },
    Answer { id: u32 },
}

/// One life of the modem's service.
struct Session<'a> {
    link: Link,
    seats: Vec<Seat<'a>>,
    requests: Requests<Asked>,
    status: &'a Arc<Status>,
    /// Whether the modem took a card.
    served: bool,
}

impl<'a> Session<'a> {
    fn new(cards: &'a [(ModemAttachment, ModemSlot)], config: &Config, status: &'a Arc<Status>, link: Link) -> Self {
        let seat = |(modem, modem_slot): &'a (ModemAttachment, ModemSlot)| Seat {
            machine: Machine::new(config.absence, config.patience, status.clone()),
            port: Port::new(modem, Some(TPDU_LIMIT)),
            modem_slot: *modem_slot,
            connected: None,
            refused: false,
            held: None,
        };
        let seats = cards.iter().map(seat).collect();
        Session { link, seats, requests: Requests::new(), status, served: false }
    }

    /// Serves the modem until it is gone or `shutdown` is ready.
    async fn serve(&mut self, shutdown: &mut (impl Future<Output = ()> + Unpin)) -> Leave {
        for seat in 0..self.seats.len() {
            if let Err(leave) = self.drive(seat, |machine, now| machine.start(now)).await {
                return leave;
            }
        }
        loop {
            // What was waited for is dealt with to its end: a message that is half written is none.
            let what = tokio::select! {
                () = &mut *shutdown => return Leave::Asked,
                what = self.next() => what,
            };
            if let Err(leave) = self.happened(what).await {
                return leave;
            }
        }
    }

    /// Takes the cards away, and gives the client back when the modem has heard it.
    async fn part(mut self) {
        match timeout(LEAVE, self.take_away()).await {
            Ok(Ok(())) => {}
            Ok(Err(Leave::ModemLost(reason))) => tracing::warn!(reason, "the modem was gone before the card left"),
            Ok(Err(Leave::Asked | Leave::SlotClosed)) => {}
            Err(_) => tracing::warn!("the modem did not say that it knows that the card left"),
        }
        // Nobody has the cards any more.
        self.seats.clear();
        self.link.close().await;
    }

    /// What the slots still do does not matter now.
    async fn take_away(&mut self) -> Result<(), Leave> {
        for seat in 0..self.seats.len() {
            self.drive(seat, |machine, _| machine.leave()).await?;
        }
        while !self.requests.is_empty() {
            let message = self.link.receive().await;
            self.happened(What::Message(message)).await?;
        }
        Ok(())
    }

    /// Waits for one thing to happen. Dropping the future loses nothing.
    async fn next(&mut self) -> What {
        let machines = self.seats.iter().filter_map(|seat| seat.machine.deadline());
        let deadline = machines.chain(self.requests.deadline()).min();
        tokio::select! {
            biased;
            (seat, happening) = next_of(&mut self.seats) => What::Slot(seat, happening),
            // Before the modem, which may flood.
            () = sleep_until(deadline.unwrap_or_else(Instant::now).into()), if deadline.is_some() => What::Time,
            message = self.link.receive() => What::Message(message),
        }
    }

    async fn happened(&mut self, what: What) -> Result<(), Leave> {
        match what {
            What::Slot(seat, happening) => self.slot(seat, happening).await,
            What::Message(message) => match Message::parse(&message?) {
                Ok(message) => self.message(&message).await,
                Err(malformed) => {
                    ignored(malformed);
                    Ok(())
                }
            },
            What::Time => {
                self.requests.check(Instant::now())?;
                for seat in 0..self.seats.len() {
                    self.drive(seat, Machine::tick).await?;
                }
                Ok(())
            }
        }
    }

    async fn slot(&mut self, seat: usize, happening: Happening) -> Result<(), Leave> {
        let now = Instant::now();
        let Some(at) = self.seats.get_mut(seat) else { return Ok(()) };
        let outputs = match happening {
            Happening::PoweredUp { epoch, generation, atr } => at.machine.powered_up(now, epoch, generation, atr),
            Happening::PoweredDown { .. } | Happening::Nothing => Vec::new(),
            Happening::Answered { epoch, response } => at.machine.answered(epoch, response),
            Happening::TimedOut { epoch } => at.machine.answered(epoch, None),
            Happening::Replug => {
                let outputs = at.machine.replug(now);
                if !outputs.is_empty() {
                    self.status.count_replug();
                    tracing::info!(slot = at.number(), "the card is taken out, for the modem to see that it changed");
                }
                outputs
            }
            Happening::CardLost(error) => {
                tracing::warn!(slot = at.number(), %error, "the card is lost");
                at.machine.lost(now)
            }
            Happening::SlotClosed => return Err(Leave::SlotClosed),
        };
        self.perform(seat, outputs).await?;
        self.wish(seat, None).await
    }

    /// The modem wants this of the card at `seat`, or what it wanted before can be done now.
    async fn wish(&mut self, seat: usize, wish: Option<Wish>) -> Result<(), Leave> {
        let Some(at) = self.seats.get_mut(seat) else { return Ok(()) };
        let wish = match wish {
            // A modem that floods one card with resets is not to keep the others waiting.
            Some(wish) if at.port.is_full() && !matches!(wish, Wish::Apdu { .. }) => {
                at.held = Some(wish);
                return Ok(());
            }
            None if !at.port.is_full() => at.held.take(),
            wish => wish,
        };
        match wish {
            Some(wish) => self.drive(seat, |machine, now| machine.wish(now, wish)).await,
            None => Ok(()),
        }
    }

    async fn message(&mut self, message: &Message) -> Result<(), Leave> {
        match message.kind {
            Kind::Response => match self.requests.close(message) {
                Ok(Some((asked, result))) => self.response(asked, result),
                Ok(None) => Ok(()),
                Err(malformed) => {
                    ignored(malformed);
                    Ok(())
                }
            },
            Kind::Indication => match Indication::parse(message) {
                Ok(Some(Indication { slot, wish })) => {
                    let Some(seat) = self.seats.iter().position(|seat| seat.number() == slot) else {
                        tracing::debug!(slot, "no card is offered for this slot of the modem: ignored");
                        return Ok(());
                    };
                    self.served = true;
                    self.wish(seat, Some(wish)).await
                }
                Ok(None) => Ok(()),
                Err(malformed) => {
                    ignored(malformed);
                    Ok(())
                }
            },
            Kind::Request => Ok(()),
        }
    }

    fn response(&mut self, asked: Asked, result: Outcome) -> Result<(), Leave> {
        match (asked, result) {
            (Asked::Event { seat, event: Event::ConnectionAvailable }, result) => self.offered(seat, result),
            (_, Ok(())) => Ok(()),
            (Asked::Event { event, .. }, Err(refusal)) => {
                tracing::warn!(?event, %refusal, "the modem refused an event");
                Ok(())
            }
            (Asked::Answer { id }, Err(refusal)) => {
                tracing::warn!(id, %refusal, "the modem refused the answer to its command");
                Ok(())
            }
        }
    }

    /// Whether the modem takes the card at `seat`. Errors: it takes none, and may have forgotten this client.
    fn offered(&mut self, seat: usize, result: Outcome) -> Result<(), Leave> {
        let Some(at) = self.seats.get_mut(seat) else { return Ok(()) };
        at.refused = result.is_err();
        let Err(refusal) = result else { return Ok(()) };
        at.machine.refused(Instant::now());
        let slot = at.number();
        if self.seats.iter().all(|seat| seat.refused) {
            return Err(Leave::ModemLost(format!("it refused the card for its slot {slot}: {refusal}")));
        }
        tracing::warn!(slot, %refusal, "the modem refused the card for this slot: it is offered again");
        Ok(())
    }

    async fn drive(
        &mut self,
        seat: usize,
        step: impl FnOnce(&mut Machine, Instant) -> Vec<Output>,
    ) -> Result<(), Leave> {
        let outputs = self.seats.get_mut(seat).map(|seat| step(&mut seat.machine, Instant::now()));
        self.perform(seat, outputs.unwrap_or_default()).await
    }

    async fn perform(&mut self, seat: usize, outputs: Vec<Output>) -> Result<(), Leave> {
        for output in outputs {
            match output {
                Output::Work(work) => {
                    if let Some(seat) = self.seats.get_mut(seat) {
                        seat.port.start(work);
                    }
                }
                Output::Tell(event) => {
                    tracing::info!(slot = self.seats.get(seat).map(Seat::number), ?event, "the modem is told");
                    let asked = Asked::Event { seat, event: event.clone() };
                    self.ask(seat, asked, &Request::Event(event)).await?;
                }
                Output::Answer { id, answer: None } => {
                    self.ask(seat, Asked::Answer { id }, &Request::Failure { id }).await?;
                }
                Output::Answer { id, answer: Some(answer) } => {
                    for segment in segments(&answer) {
                        self.ask(seat, Asked::Answer { id }, &Request::Answer { id, segment }).await?;
                    }
                }
            }
        }
        if let Some(seat) = self.seats.get_mut(seat) {
            match (seat.machine.is_connected(), &seat.connected) {
                (true, None) => seat.connected = Some(self.status.connect()),
                (false, Some(_)) => seat.connected = None,
                _ => {}
            }
        }
        Ok(())
    }

    async fn ask(&mut self, seat: usize, asked: Asked, request: &Request) -> Result<(), Leave> {
        let Some(slot) = self.seats.get(seat).map(Seat::number) else { return Ok(()) };
        let transaction = self.requests.open(Instant::now(), asked)?;
        Ok(self.link.send(&request.message(transaction, slot).encode()).await?)
    }
}

/// What was waited for.
enum What {
    Slot(usize, Happening),
    Message(Result<Vec<u8>, Gone>),
    Time,
}

/// What happens next at any of the slots.
async fn next_of(seats: &mut [Seat<'_>]) -> (usize, Happening) {
    let mut all: Vec<_> = seats.iter_mut().map(|seat| Box::pin(seat.port.next())).collect();
    poll_fn(|context| {
        for (seat, next) in all.iter_mut().enumerate() {
            if let Poll::Ready(happening) = next.as_mut().poll(context) {
                return Poll::Ready((seat, happening));
            }
        }
        Poll::Pending
    })
    .await
}

fn ignored(malformed: Malformed) {
    tracing::debug!(%malformed, "what the modem sent is ignored");
}
