//! What a card does in one slot of a modem that takes it by UIM Remote. Sans-IO: the modem's wishes, what happens to
//! the card and the time come in, [`Output`]s go out.
//!
//! ```text
//! card answers an ATR -> connection available -> CONNECT -> power up -> card reset (ATR) -> APDUs
//! profile switch      -> card removed -> pause -> power up -> card inserted (ATR)
//! card lost           -> card error, card removed -> power up until it answers -> card inserted (ATR)
//! leaving             -> card removed -> connection unavailable
//! ```

use super::uim_remote::{Cause, Event, MAX_ATR, Wish};
use crate::session::{Answered, Next, Session, Work};
use crate::status::{Patience, Retry, Status};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use teuicc_apdu::Response;

/// How long a power-up may take before the modem is told that the card does not work: a modem was seen to wait 7 s.
const POWER_UP: Duration = Duration::from_secs(6);
/// How many commands may wait behind the one that is executed. A modem sends one at a time.
const MAX_WAITING: usize = 8;

/// What is to be done next, in this order.
#[derive(PartialEq, Eq)]
pub(crate) enum Output {
    /// Tell the modem.
    Tell(Event),
    /// Answer the modem's command; `None`: it could not be executed.
    Answer { id: u32, answer: Option<Vec<u8>> },
    /// Have the slot do this.
    Work(Work),
}

/// The card as the modem was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// It has not answered yet, so nothing was told; or the modem refused it.
    Unproven,
    /// It may be connected to.
    Offered,
    /// The modem uses it.
    Connected,
    /// The modem uses it, and was told that it is away.
    Away,
    /// It is not offered any more.
    Withdrawn,
}

/// When the card is powered up without the modem having asked.
#[derive(Clone, Copy)]
enum Wake {
    /// The end of an absence for the modem to notice; until then nothing else powers it up.
    Return(Instant),
    /// It did not answer, or was refused.
    Retry(Instant),
}

struct Command {
    id: u32,
    tpdu: Vec<u8>,
}

/// A card in one slot of a modem.
pub(crate) struct Machine {
    session: Session,
    offer: Offer,
    /// The number of the command that the card executes.
    executing: Option<u32>,
    waiting: VecDeque<Command>,
    /// When the modem gives up waiting for the ATR.
    atr_due: Option<Instant>,
    wake: Option<Wake>,
    retry: Retry,
    /// How long the card stays away for the modem to notice.
    absence: Duration,
}

impl Machine {
    /// A card that has not answered yet. Call [`Machine::start`] next.
    pub(crate) fn new(absence: Duration, patience: Patience, status: Arc<Status>) -> Self {
        Machine {
            session: Session::new(status),
            offer: Offer::Unproven,
            executing: None,
            waiting: VecDeque::new(),
            atr_due: None,
            wake: None,
            retry: Retry::new(patience),
            absence,
        }
    }

    /// Sees whether there is a card: it is offered when it has answered.
    pub(crate) fn start(&mut self, now: Instant) -> Vec<Output> {
        self.power_up(now, POWER_UP)
    }

    /// Whether the modem uses the card.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.offer, Offer::Connected | Offer::Away)
    }

    /// The modem wants something.
    pub(crate) fn wish(&mut self, now: Instant, wish: Wish) -> Vec<Output> {
        match (wish, self.offer) {
            (Wish::Apdu { id, tpdu }, _) => self.command(Command { id, tpdu }),
            // What is not offered cannot be connected to; the modem may not know yet.
            (_, Offer::Unproven | Offer::Withdrawn) => Vec::new(),
            (Wish::Connect | Wish::Reset, _) => self.connect(now, POWER_UP),
            (Wish::PowerUp { within }, _) => {
                // No time at all is none that was said.
                let within = within.filter(|ms| *ms > 0).map_or(POWER_UP, |ms| Duration::from_millis(ms.into()));
                self.connect(now, within.min(POWER_UP))
            }
            // It was told that the card is away, which comes back by itself.
            (Wish::PowerDown, Offer::Away) => Vec::new(),
            (Wish::PowerDown, _) => self.power_down(),
            (Wish::Disconnect, _) => {
                self.offer = Offer::Offered;
                self.wake = None;
                self.power_down()
            }
        }
    }

    /// The power-up of `epoch` succeeded.
    pub(crate) fn powered_up(&mut self, now: Instant, epoch: u64, generation: u64, atr: Vec<u8>) -> Vec<Output> {
        if self.session.powered_up(epoch, generation).is_none() {
            return Vec::new();
        }
        if !(2..=MAX_ATR).contains(&atr.len()) {
            return self.lost(now);
        }
        self.atr_due = None;
        let event = match self.offer {
            Offer::Connected => Event::CardReset { atr },
            Offer::Away => {
                self.offer = Offer::Connected;
                Event::CardInserted { atr }
            }
            Offer::Unproven => {
                self.offer = Offer::Offered;
                let mut outputs = self.power_down();
                outputs.push(Output::Tell(Event::ConnectionAvailable));
                return outputs;
            }
            Offer::Offered | Offer::Withdrawn => return self.power_down(),
        };
        self.retry.reset();
        let mut outputs = vec![Output::Tell(event)];
        outputs.extend(self.next_commands());
        outputs
    }

    /// The modem refused the card that was offered. It is offered again by itself.
    pub(crate) fn refused(&mut self, now: Instant) {
        if self.offer == Offer::Offered {
            self.offer = Offer::Unproven;
            self.wake = now.checked_add(self.retry.delay()).map(Wake::Retry);
        }
    }

    /// The card answered the command of `epoch`; `None` if it could not, or not in time.
    pub(crate) fn answered(&mut self, epoch: u64, response: Option<Response>) -> Vec<Output> {
        let answer = match self.session.answered(epoch, response) {
            Answered::Bytes(bytes) => Some(bytes),
            Answered::Failed => None,
            Answered::Late => return Vec::new(),
        };
        let mut outputs: Vec<Output> =
            self.executing.take().map(|id| Output::Answer { id, answer }).into_iter().collect();
        outputs.extend(self.next_commands());
        outputs
    }

    /// The card cannot be reached. It is tried again by itself.
    pub(crate) fn lost(&mut self, now: Instant) -> Vec<Output> {
        // Away for the modem to notice, or about to be tried again: both end with a power-up anyway.
        if self.wake.is_some() {
            return Vec::new();
        }
        let mut outputs = self.fail_commands();
        outputs.extend(self.go_away(Cause::NoLinkEstablished));
        if matches!(self.offer, Offer::Unproven | Offer::Away) {
            self.wake = now.checked_add(self.retry.delay()).map(Wake::Retry);
        }
        outputs
    }

    /// Takes the card away and gives it back, for the modem to see that it changed. Nothing, if the modem does not use
    /// it or has it coming back anyway.
    pub(crate) fn replug(&mut self, now: Instant) -> Vec<Output> {
        if self.offer != Offer::Connected {
            return Vec::new();
        }
        let mut outputs = self.fail_commands();
        self.offer = Offer::Away;
        self.wake = now.checked_add(self.absence).map(Wake::Return);
        outputs.push(Output::Tell(Event::CardRemoved));
        outputs.extend(self.power_down());
        outputs
    }

    /// Takes the card away for good. The power stays until the modem has been told.
    pub(crate) fn leave(&mut self) -> Vec<Output> {
        let mut outputs = self.fail_commands();
        let told = std::mem::replace(&mut self.offer, Offer::Withdrawn);
        self.wake = None;
        if !matches!(told, Offer::Unproven | Offer::Withdrawn) {
            outputs.extend([Event::CardRemoved, Event::ConnectionUnavailable].map(Output::Tell));
        }
        outputs
    }

    /// When [`Machine::tick`] is to be called, if nothing else happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let wake = self.wake.map(|(Wake::Return(at) | Wake::Retry(at))| at);
        [self.atr_due, wake].into_iter().flatten().min()
    }

    /// Does what the time asks for.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<Output> {
        if self.atr_due.is_some_and(|due| due <= now) {
            // The modem will not wait any longer. When the card answers after all, it is inserted.
            self.atr_due = None;
            return self.go_away(Cause::CommandTimeout);
        }
        match self.wake {
            Some(Wake::Return(at) | Wake::Retry(at)) if at <= now => self.power_up(now, POWER_UP),
            _ => Vec::new(),
        }
    }

    /// The modem connects, or resets the card.
    fn connect(&mut self, now: Instant, within: Duration) -> Vec<Output> {
        if self.offer == Offer::Offered {
            self.offer = Offer::Connected;
        }
        match self.wake {
            // It was told that the card is away, and will be told when it is back.
            Some(Wake::Return(_)) => Vec::new(),
            _ => self.power_up(now, within),
        }
    }

    fn power_up(&mut self, now: Instant, within: Duration) -> Vec<Output> {
        self.forget_commands();
        self.wake = None;
        self.atr_due = now.checked_add(within);
        vec![Output::Work(self.session.power_up())]
    }

    fn power_down(&mut self) -> Vec<Output> {
        self.forget_commands();
        self.atr_due = None;
        vec![Output::Work(self.session.power_down())]
    }

    fn command(&mut self, command: Command) -> Vec<Output> {
        let in_hand = self.waiting.iter().map(|waiting| waiting.id).chain(self.executing);
        if in_hand.into_iter().any(|id| id == command.id) {
            // Said twice; it is answered once.
            return Vec::new();
        }
        let usable = self.offer == Offer::Connected && (self.session.is_on() || self.session.is_rising());
        if !usable || self.waiting.len() == MAX_WAITING {
            return vec![Output::Answer { id: command.id, answer: None }];
        }
        self.waiting.push_back(command);
        self.next_commands()
    }

    /// Gives waiting commands out as far as that is possible.
    fn next_commands(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while self.session.is_on() && self.executing.is_none() {
            let Some(Command { id, tpdu }) = self.waiting.pop_front() else { break };
            outputs.push(match self.session.tpdu(&tpdu) {
                Ok(Next::Work(work)) => {
                    self.executing = Some(id);
                    Output::Work(work)
                }
                Ok(Next::Answer(answer)) => Output::Answer { id, answer: Some(answer) },
                // Neither happens with power and nothing under way.
                Ok(Next::Held | Next::NoPower) | Err(_) => Output::Answer { id, answer: None },
            });
        }
        outputs
    }

    /// The modem ended the power session: it waits for no answer of it.
    fn forget_commands(&mut self) {
        self.waiting.clear();
        self.executing = None;
    }

    /// The card's side ends the power session: the modem must not be left without an answer. The power itself stays.
    fn fail_commands(&mut self) -> Vec<Output> {
        let ids = self.executing.take().into_iter().chain(self.waiting.drain(..).map(|command| command.id));
        let outputs = ids.map(|id| Output::Answer { id, answer: None }).collect();
        let _ = self.session.power_down();
        self.atr_due = None;
        outputs
    }

    /// Tells a modem that uses the card that it does not work.
    fn go_away(&mut self, cause: Cause) -> Vec<Output> {
        if self.offer != Offer::Connected {
            return Vec::new();
        }
        self.offer = Offer::Away;
        let mut outputs: Vec<Output> =
            self.waiting.drain(..).map(|command| Output::Answer { id: command.id, answer: None }).collect();
        outputs.extend([Event::CardError(cause), Event::CardRemoved].map(Output::Tell));
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    const ATR: [u8; 2] = hex!("3B00");
    const SELECT_MF: [u8; 7] = hex!("00A40004023F00");
    const ABSENCE: Duration = Duration::from_secs(3);
    const FIRST: Duration = Duration::from_secs(1);
    const LAST: Duration = Duration::from_secs(2);

    impl std::fmt::Debug for Output {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Output::Tell(event) => write!(f, "Tell({event:?})"),
                Output::Answer { id, answer } => write!(f, "Answer({id}, {answer:02X?})"),
                Output::Work(work) => write!(f, "{work:?}"),
            }
        }
    }

    fn machine() -> Machine {
        Machine::new(ABSENCE, Patience { first: FIRST, last: LAST }, Arc::default())
    }

    fn up(epoch: u64) -> Output {
        Output::Work(Work::PowerUp { epoch })
    }

    fn down(epoch: u64) -> Output {
        Output::Work(Work::PowerDown { epoch })
    }

    fn transmit(epoch: u64, generation: u64) -> Output {
        Output::Work(Work::Transmit { epoch, generation, apdu: SELECT_MF.to_vec() })
    }

    fn failure(id: u32) -> Output {
        Output::Answer { id, answer: None }
    }

    fn data(bytes: &[u8]) -> Option<Response> {
        Some(Response::data(bytes.to_vec()))
    }

    /// The card answers the power-up of `epoch`.
    fn rise(machine: &mut Machine, now: Instant, epoch: u64) -> Vec<Output> {
        machine.powered_up(now, epoch, 70 + epoch, ATR.to_vec())
    }

    fn apdu(id: u32, tpdu: &[u8]) -> Wish {
        Wish::Apdu { id, tpdu: tpdu.to_vec() }
    }

    fn answer(id: u32, answer: &[u8]) -> Output {
        Output::Answer { id, answer: Some(answer.to_vec()) }
    }

    fn reset() -> Output {
        Output::Tell(Event::CardReset { atr: ATR.to_vec() })
    }

    fn inserted() -> Output {
        Output::Tell(Event::CardInserted { atr: ATR.to_vec() })
    }

    fn tell(events: &[Event]) -> Vec<Output> {
        events.iter().cloned().map(Output::Tell).collect()
    }

    fn offered(now: Instant) -> Machine {
        let mut machine = machine();
        assert_eq!(machine.start(now), [up(1)]);
        assert_eq!(rise(&mut machine, now, 1), [down(2), Output::Tell(Event::ConnectionAvailable)]);
        machine
    }

    fn connected(now: Instant) -> Machine {
        let mut machine = offered(now);
        assert_eq!(machine.wish(now, Wish::Connect), [up(3)]);
        assert_eq!(rise(&mut machine, now, 3), [reset()]);
        machine
    }

    #[test]
    fn a_card_is_offered_when_it_has_answered_and_no_earlier() {
        let now = Instant::now();
        let mut machine = machine();
        machine.start(now);
        assert_eq!(machine.wish(now, Wish::Connect), []);
        assert_eq!(machine.lost(now), []);
        assert_eq!(machine.deadline(), Some(now + FIRST));
        assert_eq!(machine.tick(now), []);
        let later = now + FIRST;
        assert_eq!(machine.tick(later), [up(3)]);
        assert_eq!(machine.lost(later), []);
        // Twice as long, but no longer than the configuration says.
        assert_eq!(machine.deadline(), Some(later + 2 * FIRST));
        let later = later + LAST;
        machine.tick(later);
        machine.lost(later);
        assert_eq!(machine.deadline(), Some(later + LAST));
        machine.tick(later + LAST);
        assert_eq!(rise(&mut machine, later, 7), [down(8), Output::Tell(Event::ConnectionAvailable)]);
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn a_card_that_is_refused_is_offered_again_later_and_later() {
        let now = Instant::now();
        let mut machine = offered(now);
        machine.refused(now);
        assert_eq!(machine.wish(now, Wish::Connect), []);
        let later = now + FIRST;
        assert_eq!(machine.deadline(), Some(later));
        assert_eq!(machine.tick(later), [up(3)]);
        assert_eq!(rise(&mut machine, later, 3), [down(4), Output::Tell(Event::ConnectionAvailable)]);
        machine.refused(later);
        assert_eq!(machine.deadline(), Some(later + 2 * FIRST));
        // What the modem took is not refused any more, and what was refused is not taken away.
        assert_eq!(machine.leave(), []);
        let mut connected = connected(now);
        connected.refused(now);
        assert_eq!(connected.deadline(), None);
    }

    #[test]
    fn an_atr_that_no_event_can_carry_is_no_card() {
        let now = Instant::now();
        for atr in [&[0x3B][..], &[0; MAX_ATR + 1]] {
            let mut machine = machine();
            machine.start(now);
            assert_eq!(machine.powered_up(now, 1, 70, atr.to_vec()), []);
            assert_eq!(machine.deadline(), Some(now + FIRST));
        }
    }

    #[test]
    fn commands_go_through_t0_one_at_a_time_and_in_order() {
        let now = Instant::now();
        let mut machine = connected(now);
        assert_eq!(machine.wish(now, apdu(1, &SELECT_MF)), [transmit(3, 73)]);
        assert_eq!(machine.wish(now, apdu(2, &hex!("00C0000002"))), []);
        assert_eq!(machine.wish(now, apdu(3, &SELECT_MF)), []);
        let outputs = machine.answered(3, data(&[1, 2]));
        assert_eq!(outputs, [answer(1, &hex!("6102")), answer(2, &hex!("01029000")), transmit(3, 73)]);
        assert_eq!(machine.answered(3, None), [failure(3)]);
    }

    #[test]
    fn a_command_that_is_said_twice_is_executed_and_answered_once() {
        let now = Instant::now();
        let mut machine = connected(now);
        assert_eq!(machine.wish(now, apdu(1, &SELECT_MF)), [transmit(3, 73)]);
        assert_eq!(machine.wish(now, apdu(1, &SELECT_MF)), []);
        machine.wish(now, apdu(2, &SELECT_MF));
        assert_eq!(machine.wish(now, apdu(2, &SELECT_MF)), []);
        assert_eq!(machine.answered(3, data(&[1, 2])), [answer(1, &hex!("6102")), transmit(3, 73)]);
        assert_eq!(machine.answered(3, data(&[1, 2])), [answer(2, &hex!("6102"))]);
    }

    #[test]
    fn a_flood_of_commands_is_answered_with_failures() {
        let now = Instant::now();
        let mut machine = connected(now);
        machine.wish(now, apdu(0, &SELECT_MF));
        for id in 1..=MAX_WAITING as u32 {
            assert_eq!(machine.wish(now, apdu(id, &SELECT_MF)), []);
        }
        assert_eq!(machine.wish(now, apdu(99, &SELECT_MF)), [failure(99)]);
    }

    #[test]
    fn late_answers_of_an_older_power_session_are_dropped() {
        let now = Instant::now();
        let mut machine = connected(now);
        machine.wish(now, apdu(1, &SELECT_MF));
        assert_eq!(machine.wish(now, Wish::Reset), [up(4)]);
        assert_eq!(machine.answered(3, data(&[1, 2])), []);
        assert_eq!(machine.wish(now, Wish::Reset), [up(5)]);
        assert_eq!(rise(&mut machine, now, 4), []);
        assert_eq!(rise(&mut machine, now, 5), [reset()]);
        machine.wish(now, apdu(2, &SELECT_MF));
        assert_eq!(machine.answered(3, data(&[1, 2])), []);
        assert_eq!(machine.answered(5, data(&[1, 2])), [answer(2, &hex!("6102"))]);
        // Neither does pending data outlive a reset.
        machine.wish(now, Wish::Reset);
        rise(&mut machine, now, 6);
        assert_eq!(machine.wish(now, apdu(3, &hex!("00C0000002"))), [answer(3, &hex!("6985"))]);
    }

    #[test]
    fn power_down_and_disconnect_end_the_power_session() {
        let now = Instant::now();
        let mut machine = connected(now);
        machine.wish(now, apdu(1, &SELECT_MF));
        assert_eq!(machine.wish(now, Wish::PowerDown), [down(4)]);
        assert_eq!(machine.answered(3, data(&[1])), []);
        assert_eq!(machine.wish(now, apdu(2, &SELECT_MF)), [failure(2)]);
        assert_eq!(machine.wish(now, Wish::PowerUp { within: None }), [up(5)]);
        assert_eq!(rise(&mut machine, now, 5), [reset()]);
        assert_eq!(machine.wish(now, Wish::Disconnect), [down(6)]);
        assert!(!machine.is_connected());
        assert_eq!(machine.wish(now, Wish::Connect), [up(7)]);
        // A power-up that comes too late for a power-down is not told.
        machine.wish(now, Wish::PowerDown);
        assert_eq!(rise(&mut machine, now, 7), []);
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn a_replug_is_removed_a_pause_and_inserted_with_the_atr() {
        let now = Instant::now();
        let mut machine = connected(now);
        machine.wish(now, apdu(7, &SELECT_MF));
        assert_eq!(machine.replug(now), [failure(7), Output::Tell(Event::CardRemoved), down(5)]);
        assert_eq!(machine.replug(now), []);
        // Nothing shortens the absence.
        for wish in [Wish::Connect, Wish::Reset, Wish::PowerUp { within: Some(1) }, Wish::PowerDown] {
            assert_eq!(machine.wish(now, wish), []);
        }
        assert_eq!(machine.wish(now, apdu(8, &SELECT_MF)), [failure(8)]);
        assert_eq!(machine.tick(now + ABSENCE - Duration::from_millis(1)), []);
        assert_eq!(machine.deadline(), Some(now + ABSENCE));
        let back = now + ABSENCE;
        assert_eq!(machine.tick(back), [up(6)]);
        assert_eq!(rise(&mut machine, back, 6), [inserted()]);
        assert_eq!(machine.wish(back, Wish::Reset), [up(7)]);
        assert_eq!(rise(&mut machine, back, 7), [reset()]);
    }

    #[test]
    fn a_modem_that_does_not_use_the_card_is_not_replugged() {
        let now = Instant::now();
        let mut machine = offered(now);
        assert_eq!(machine.replug(now), []);
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn a_disconnect_in_the_absence_ends_it() {
        let now = Instant::now();
        let mut machine = connected(now);
        machine.replug(now);
        machine.wish(now, Wish::Disconnect);
        assert_eq!(machine.deadline(), None);
        assert_eq!(machine.wish(now, Wish::Connect), [up(7)]);
        assert_eq!(rise(&mut machine, now, 7), [reset()]);
    }

    #[test]
    fn a_card_that_is_lost_is_told_and_comes_back_by_itself() {
        let now = Instant::now();
        let mut machine = connected(now);
        machine.wish(now, apdu(1, &SELECT_MF));
        machine.wish(now, apdu(2, &SELECT_MF));
        let mut expected = vec![failure(1), failure(2)];
        expected.extend(tell(&[Event::CardError(Cause::NoLinkEstablished), Event::CardRemoved]));
        assert_eq!(machine.lost(now), expected);
        assert_eq!(machine.lost(now), []);
        let later = now + FIRST;
        assert_eq!(machine.tick(later), [up(5)]);
        assert_eq!(machine.lost(later), []);
        // The modem may ask before the next attempt.
        assert_eq!(machine.wish(later, Wish::Reset), [up(7)]);
        assert_eq!(rise(&mut machine, later, 7), [inserted()]);
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn a_card_that_is_lost_while_nobody_uses_it_is_tried_at_the_next_connection() {
        let now = Instant::now();
        let mut machine = offered(now);
        assert_eq!(machine.lost(now), []);
        assert_eq!(machine.wish(now, Wish::Connect), [up(4)]);
        assert_eq!(machine.lost(now), tell(&[Event::CardError(Cause::NoLinkEstablished), Event::CardRemoved]));
    }

    #[test]
    fn an_atr_that_is_late_is_an_error_in_time_and_an_insertion_when_it_comes() {
        let now = Instant::now();
        let mut machine = offered(now);
        machine.wish(now, Wish::Connect);
        assert_eq!(machine.deadline(), Some(now + POWER_UP));
        machine.wish(now, Wish::PowerUp { within: Some(0) });
        assert_eq!(machine.deadline(), Some(now + POWER_UP));
        machine.wish(now, Wish::PowerUp { within: Some(500) });
        let late = now + Duration::from_millis(500);
        assert_eq!(machine.deadline(), Some(late));
        machine.wish(now, apdu(1, &SELECT_MF));
        let mut expected = vec![failure(1)];
        expected.extend(tell(&[Event::CardError(Cause::CommandTimeout), Event::CardRemoved]));
        assert_eq!(machine.tick(late), expected);
        assert_eq!(machine.deadline(), None);
        assert_eq!(rise(&mut machine, late, 5), [inserted()]);
    }

    #[test]
    fn leaving_is_removed_and_then_unavailable() {
        let now = Instant::now();
        let mut connected = connected(now);
        connected.wish(now, apdu(1, &SELECT_MF));
        let mut expected = vec![failure(1)];
        expected.extend(tell(&[Event::CardRemoved, Event::ConnectionUnavailable]));
        assert_eq!(connected.leave(), expected);
        assert_eq!(connected.wish(now, Wish::Connect), []);
        assert_eq!(connected.wish(now, apdu(2, &SELECT_MF)), [failure(2)]);
        assert_eq!(connected.leave(), []);
        // What was never offered is not taken away.
        assert_eq!(machine().leave(), []);
    }

    fn wishes() -> impl Strategy<Value = Wish> {
        prop_oneof![
            2 => Just(Wish::Connect),
            1 => Just(Wish::Disconnect),
            1 => proptest::option::of(0..9000u32).prop_map(|within| Wish::PowerUp { within }),
            1 => Just(Wish::PowerDown),
            1 => Just(Wish::Reset),
            6 => (0..40u32, proptest::collection::vec(0..6u8, 0..7)).prop_map(|(id, tpdu)| Wish::Apdu { id, tpdu }),
        ]
    }

    #[derive(Clone)]
    enum Happening {
        Wish(Wish),
        Work { succeeds: bool },
        Lost,
        Refused,
        Replug,
        Time(u64),
    }

    impl std::fmt::Debug for Happening {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Happening::Wish(Wish::Apdu { id, tpdu }) => write!(f, "Apdu({id}, {tpdu:02X?})"),
                Happening::Wish(wish) => write!(f, "Wish({:?})", std::mem::discriminant(wish)),
                Happening::Work { succeeds } => write!(f, "Work({succeeds})"),
                Happening::Lost => f.write_str("Lost"),
                Happening::Refused => f.write_str("Refused"),
                Happening::Replug => f.write_str("Replug"),
                Happening::Time(ms) => write!(f, "Time({ms})"),
            }
        }
    }

    proptest! {
        /// Whatever comes in whatever order: events keep the order of the interface, no command is answered twice, and
        /// none is left without an answer unless the modem itself ended its power session.
        #[test]
        fn no_sequence_breaks_the_order_or_leaves_the_modem_waiting(
            happenings in proptest::collection::vec(prop_oneof![
                6 => wishes().prop_map(Happening::Wish),
                6 => proptest::bool::weighted(0.8).prop_map(|succeeds| Happening::Work { succeeds }),
                1 => Just(Happening::Lost),
                1 => Just(Happening::Refused),
                1 => Just(Happening::Replug),
                2 => (0..5000u64).prop_map(Happening::Time),
            ], 0..80),
        ) {
            let mut now = Instant::now();
            let mut machine = machine();
            let (mut work, mut owed) = (VecDeque::new(), Vec::new());
            let (mut available, mut away) = (false, false);
            let mut outputs = machine.start(now);
            for happening in happenings.into_iter().map(Some).chain([None]) {
                outputs.extend(match happening {
                    Some(Happening::Wish(wish)) => {
                        match &wish {
                            Wish::Apdu { id, .. } if !owed.contains(id) => owed.push(*id),
                            Wish::Apdu { .. } => {}
                            // In an absence these are not obeyed, but no command is owed then.
                            _ if available => owed.clear(),
                            _ => {}
                        }
                        machine.wish(now, wish)
                    }
                    Some(Happening::Work { succeeds }) => match work.pop_front() {
                        Some(Work::PowerUp { .. }) if !succeeds => machine.lost(now),
                        Some(Work::PowerUp { epoch }) => rise(&mut machine, now, epoch),
                        Some(Work::Transmit { epoch, .. }) => {
                            machine.answered(epoch, succeeds.then(|| Response::data(vec![0; 3])))
                        }
                        _ => Vec::new(),
                    },
                    Some(Happening::Lost) => machine.lost(now),
                    Some(Happening::Refused) => {
                        available &= machine.offer != Offer::Offered;
                        machine.refused(now);
                        Vec::new()
                    }
                    Some(Happening::Replug) => machine.replug(now),
                    Some(Happening::Time(ms)) => {
                        now += Duration::from_millis(ms);
                        machine.tick(now)
                    }
                    None => machine.leave(),
                });
                for output in outputs.drain(..) {
                    match output {
                        // The slot drops what is older than a power-down or a power-up.
                        Output::Work(new) => {
                            if !matches!(new, Work::Transmit { .. }) {
                                work.clear();
                            }
                            work.push_back(new);
                        }
                        Output::Answer { id, answer } => {
                            let place = owed.iter().position(|owed| *owed == id);
                            prop_assert!(place.is_some(), "an answer to {} that is not owed", id);
                            owed.remove(place.unwrap());
                            prop_assert!(answer.is_none_or(|answer| answer.len() >= 2));
                        }
                        Output::Tell(Event::ConnectionAvailable) => {
                            prop_assert!(!available);
                            available = true;
                        }
                        Output::Tell(Event::CardRemoved) => {
                            prop_assert!(available);
                            away = true;
                        }
                        Output::Tell(Event::CardInserted { .. }) => {
                            prop_assert!(away, "inserted without having been removed");
                            away = false;
                        }
                        // After a disconnection the modem begins anew.
                        Output::Tell(Event::CardReset { .. }) => away = false,
                        Output::Tell(Event::ConnectionUnavailable) => {
                            prop_assert!(away, "unavailable without having been removed");
                            available = false;
                        }
                        Output::Tell(Event::CardError(_)) => prop_assert!(available),
                    }
                }
                // A machine that waits for nothing owes nothing.
                if !work.iter().any(|work| matches!(work, Work::Transmit { .. } | Work::PowerUp { .. }))
                    && machine.deadline().is_none()
                {
                    prop_assert_eq!(&owed, &Vec::<u32>::new());
                }
            }
            prop_assert!(!available, "it left without a word");
            prop_assert_eq!(owed, Vec::<u32>::new());
        }
    }
}
