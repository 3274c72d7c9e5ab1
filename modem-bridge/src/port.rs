//! What every interface's driver has in it: the modem's side of a slot.

use crate::session::Work;
use crate::status::{BridgeError, Retry};
use std::future::Future;
use std::time::Duration;
use teuicc_apdu::Response;
use teuicc_slot::{Event, LinkError, ModemAttachment, PoweredUp, Slot, Transmitted};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

/// How much work the slot may have from one modem before no more is read; a modem asks one thing at a time.
const MAX_RUNNING: usize = 8;
/// What a TPDU may take before it is told: the shortest patience of a modem is 5 s.
const TPDU_BUDGET: Duration = Duration::from_secs(3);
/// What a TPDU may take before the modem is told that it failed. Modems were seen to wait 14 s and more; one that is
/// told later is not there any more.
pub(crate) const TPDU_LIMIT: Duration = Duration::from_secs(10);

/// Takes the modem's interface of `slot` for one bridge.
pub(crate) fn attach(slot: &Slot) -> Result<ModemAttachment, BridgeError> {
    slot.attach_modem().map_err(|_| BridgeError::Attached)
}

/// The ATR of a card that answers; the modem's interface then has no power. A modem is never offered a card that does
/// not answer.
pub(crate) async fn await_card(modem: &ModemAttachment, retry: &mut Retry) -> Result<Vec<u8>, BridgeError> {
    loop {
        match modem.power_up().await {
            Ok(PoweredUp { atr, .. }) => {
                power_down(modem).await;
                return Ok(atr);
            }
            Err(LinkError::Closed) => return Err(BridgeError::SlotClosed),
            Err(error) => tracing::warn!(%error, "no card for the modem"),
        }
        retry.wait().await;
    }
}

/// Takes the power from the modem's interface, after the modem has lost the card.
pub(crate) async fn power_down(modem: &ModemAttachment) {
    match modem.power_down().await {
        Ok(()) | Err(LinkError::Closed) => {}
        Err(error) => tracing::warn!(%error, "the modem's interface was not powered down"),
    }
}

/// What happened at the slot.
pub(crate) enum Happening {
    /// The power-up of `epoch` succeeded.
    PoweredUp { epoch: u64, generation: u64, atr: Vec<u8> },
    /// The power-down of `epoch` is done.
    PoweredDown { epoch: u64 },
    /// The card answered the TPDU of `epoch`; `None` if it could not.
    Answered { epoch: u64, response: Option<Response> },
    /// The card has not answered the TPDU of `epoch` in time.
    TimedOut { epoch: u64 },
    /// The modem must see the card leave and come back.
    Replug,
    /// The card cannot be reached, or does not answer a reset.
    CardLost(LinkError),
    /// The slot was closed, or its thread died.
    SlotClosed,
    /// Nothing that concerns the modem.
    Nothing,
}

/// Work that the slot finished.
enum Done {
    PoweredUp(u64, Result<PoweredUp, LinkError>),
    PoweredDown(u64, Result<(), LinkError>),
    Answered(u64, Result<Transmitted, LinkError>),
    TimedOut(u64),
}

/// The modem's side of a slot, while one modem is connected: starts [`Work`], and says what happens.
pub(crate) struct Port<'a> {
    modem: &'a ModemAttachment,
    events: broadcast::Receiver<Event>,
    running: JoinSet<Done>,
    /// The newest epoch that work was started for. That the card could not do older work concerns nobody.
    latest: u64,
    /// Whether the card was lost, and nothing has said so to the modem yet.
    removed: bool,
    limit: Option<Duration>,
}

impl<'a> Port<'a> {
    /// From here on no replug is missed. After `limit` a TPDU counts as failed ([`TPDU_LIMIT`], if the modem has no
    /// patience of its own).
    pub(crate) fn new(modem: &'a ModemAttachment, limit: Option<Duration>) -> Self {
        Port { modem, events: modem.subscribe(), running: JoinSet::new(), latest: 0, removed: false, limit }
    }

    /// Whether so much is under way that no more should be read from the modem.
    pub(crate) fn is_full(&self) -> bool {
        self.running.len() >= MAX_RUNNING
    }

    /// Gives work to the slot, in the order of the calls.
    pub(crate) fn start(&mut self, work: Work) {
        let (Work::PowerUp { epoch } | Work::PowerDown { epoch } | Work::Transmit { epoch, .. }) = work;
        self.latest = epoch;
        // The slot's calls queue the work at once.
        match work {
            Work::PowerUp { .. } => {
                let work = self.modem.power_up();
                self.running.spawn(async move { Done::PoweredUp(epoch, work.await) });
            }
            Work::PowerDown { .. } => {
                let work = self.modem.power_down();
                self.running.spawn(async move { Done::PoweredDown(epoch, work.await) });
            }
            Work::Transmit { generation, apdu, .. } => {
                let instruction = apdu.get(1).copied().unwrap_or_default();
                let work = self.modem.transmit(generation, apdu);
                self.running.spawn(timed(epoch, instruction, work, self.limit));
            }
        }
    }

    /// Waits until something happens. Dropping the future loses nothing. Returns after everything that ends, so that
    /// the caller looks at [`Port::is_full`] again.
    pub(crate) async fn next(&mut self) -> Happening {
        // Work under way says better than the event whether, and for which epoch, the card is lost.
        if self.removed && self.running.is_empty() && self.events.is_empty() {
            self.removed = false;
            return Happening::CardLost(LinkError::transport("it was removed"));
        }
        tokio::select! {
            biased;
            event = self.events.recv() => self.event_came(event),
            Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                done.map_or(Happening::SlotClosed, |done| self.work_ended(done))
            }
        }
    }

    fn event_came(&mut self, event: Result<Event, RecvError>) -> Happening {
        match event {
            Ok(Event::Replug) => return Happening::Replug,
            Ok(Event::Removed) => self.removed = true,
            Ok(Event::Inserted) => self.removed = false,
            Ok(Event::CardChanged | Event::ProactivePending) => {}
            // What was lost may have been a replug; one too many does no harm.
            Err(RecvError::Lagged(_)) => return Happening::Replug,
            Err(RecvError::Closed) => return Happening::SlotClosed,
        }
        Happening::Nothing
    }

    fn work_ended(&mut self, done: Done) -> Happening {
        match done {
            Done::PoweredUp(epoch, Ok(PoweredUp { atr, generation })) => {
                Happening::PoweredUp { epoch, generation, atr }
            }
            Done::PoweredUp(_, Err(LinkError::Stale)) => Happening::Nothing,
            Done::PoweredDown(epoch, Ok(())) => Happening::PoweredDown { epoch },
            Done::PoweredDown(epoch, Err(error)) if !error.is_lost() => {
                tracing::warn!(%error, "the modem's interface was not powered down");
                Happening::PoweredDown { epoch }
            }
            Done::Answered(epoch, Ok(done)) => {
                let last = Zeroizing::new(done.last);
                Happening::Answered { epoch, response: Response::parse(&last) }
            }
            Done::TimedOut(epoch) => Happening::TimedOut { epoch },
            Done::Answered(epoch, Err(LinkError::Stale)) => Happening::Answered { epoch, response: None },
            Done::Answered(epoch, Err(error)) if !error.is_lost() => {
                tracing::warn!(%error, "a command of the modem was not executed");
                Happening::Answered { epoch, response: None }
            }
            Done::PoweredUp(_, Err(LinkError::Closed))
            | Done::PoweredDown(_, Err(LinkError::Closed))
            | Done::Answered(_, Err(LinkError::Closed)) => Happening::SlotClosed,
            Done::PoweredUp(epoch, Err(error))
            | Done::PoweredDown(epoch, Err(error))
            | Done::Answered(epoch, Err(error)) => {
                if epoch < self.latest {
                    return Happening::Nothing;
                }
                self.removed = false;
                Happening::CardLost(error)
            }
        }
    }
}

async fn timed(
    epoch: u64,
    instruction: u8,
    work: impl Future<Output = Result<Transmitted, LinkError>>,
    limit: Option<Duration>,
) -> Done {
    let started = Instant::now();
    let result = match limit {
        Some(limit) => timeout(limit, work).await,
        None => Ok(work.await),
    };
    let (took, ins) = (started.elapsed(), format!("{instruction:02X}"));
    match result {
        Ok(result) => {
            if took > TPDU_BUDGET {
                tracing::warn!(ins, ?took, "a command took longer than a modem should wait");
            }
            Done::Answered(epoch, result)
        }
        Err(_) => {
            tracing::warn!(ins, ?took, "the card has not answered: the modem is told that the command failed");
            Done::TimedOut(epoch)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::mpsc;
    use teuicc_slot::{Exchange, SlotConfig, Wire};
    use teuicc_wire::Request;

    const ATR: [u8; 2] = [0x3B, 0x00];

    /// A card that says when it is asked, and answers when it is told to.
    struct Flaky {
        /// Whether it can be reached, time after time; then it can.
        reached: VecDeque<bool>,
        asked: mpsc::Sender<()>,
        go: mpsc::Receiver<()>,
    }

    impl Exchange for Flaky {
        fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
            let _ = self.asked.send(());
            let _ = self.go.recv();
            if !self.reached.pop_front().unwrap_or(true) {
                return Err(LinkError::transport("no card"));
            }
            let response = match Request::decode(request).unwrap() {
                Request::PowerUp(_) => teuicc_wire::Response::Atr(ATR.to_vec()),
                _ => teuicc_wire::Response::Done,
            };
            Ok(response.encode().unwrap())
        }
    }

    /// What happens when the card is powered up, and again `times` while it is busy with the first time.
    async fn happenings(reached: &[bool], times: u64) -> Vec<String> {
        let ((asked, is_asked), (end, go)) = (mpsc::channel(), mpsc::channel::<()>());
        let card = Flaky { reached: reached.iter().copied().collect(), asked, go };
        let slot = Slot::start(Wire::new(card), SlotConfig::default()).unwrap();
        let modem = slot.attach_modem().unwrap();
        let mut port = Port::new(&modem, None);
        port.start(Work::PowerUp { epoch: 1 });
        is_asked.recv().unwrap();
        (0..times).for_each(|time| port.start(Work::PowerUp { epoch: 2 + time }));
        drop(end);
        let mut happened = Vec::new();
        while !port.running.is_empty() || !port.events.is_empty() || port.removed {
            match port.next().await {
                Happening::PoweredUp { epoch, .. } => happened.push(format!("powered up {epoch}")),
                Happening::CardLost(_) => happened.push("lost".into()),
                Happening::Nothing => {}
                _ => happened.push("another".into()),
            }
        }
        happened
    }

    #[tokio::test]
    async fn a_card_is_lost_once() {
        assert_eq!(happenings(&[false], 0).await, ["lost"]);
        assert_eq!(happenings(&[false, false], 1).await, ["lost"]);
    }

    #[tokio::test]
    async fn what_the_card_could_not_do_before_does_not_concern_what_is_asked_now() {
        assert_eq!(happenings(&[false, true], 1).await, ["powered up 2"]);
    }
}
