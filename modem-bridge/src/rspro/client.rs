//! A client at the bank: one slot of one modem. Sans-IO.
//!
//! The client names itself, the bank finds its mapping, powers the card up, and says the ATR; from then on TPDUs go one
//! at a time. VCC that falls and rises is a cold reset, RST that rises is a warm one. Nothing that a bank says of its
//! slots reaches a modem: to make it see another card the link is closed, and the client connects again.

use super::pdu::{Component, Identity, Message, Pdu, PhysicalStatus, ResultCode, SlotId, Tpdu, VERSION};
use crate::session::{Answered, Next, Overlap, Session, Work};
use crate::status::Status;
use std::collections::VecDeque;
use std::sync::Arc;
use teuicc_apdu::{Response, StatusWord};

/// The shortest and the longest TPDU: a header without P3, and a command with 255 bytes and Le.
const TPDU_LENGTHS: std::ops::RangeInclusive<usize> = 4..=261;
/// How many TPDUs may wait behind the one that is under way. A modem sends one at a time, a script sends what it has.
const MAX_WAITING: usize = 8;

/// The answer to a TPDU that could not be executed.
const FAILED: [u8; 2] = StatusWord::TECHNICAL_PROBLEM.0.to_be_bytes();

/// What is to be done next, in this order.
#[derive(PartialEq, Eq)]
pub(crate) enum Output {
    /// Send this to the client.
    Send(Pdu),
    /// Let the slot do this.
    Work(Work),
    /// Look up this client's mapping, now and whenever the mappings change: [`Machine::mapped`].
    LookUp(SlotId),
    /// Hang up: what was sent says why.
    Close,
}

/// What no client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a message that is no client's, or out of order")]
    Unexpected,
    #[error("a message for another slot")]
    WrongSlot,
    #[error("a TPDU of {0} bytes")]
    Length(usize),
    #[error(transparent)]
    Overlap(#[from] Overlap),
}

enum State {
    /// Nobody has said who this is.
    Unknown,
    /// No card is mapped to it.
    Unmapped { tag: u32, client: SlotId },
    /// The card is powered up, for its ATR.
    Inserting { tag: u32, client: SlotId, bank: SlotId },
    /// The card is in the modem's slot.
    Ready { client: SlotId, bank: SlotId },
    /// The link is being closed.
    Closed,
}

/// One client.
pub(crate) struct Machine {
    own: Identity,
    state: State,
    session: Session,
    /// The tag of the TPDU that is under way.
    tag: u32,
    /// TPDUs behind it, with their tags.
    waiting: VecDeque<(u32, Vec<u8>)>,
    /// What the client reported last of its contacts; before that, what a card has that is powered up for its ATR.
    vcc: bool,
    reset: bool,
}

impl Machine {
    /// A client of the bank `own`, which has not said anything yet.
    pub(crate) fn new(own: Identity, status: Arc<Status>) -> Self {
        Machine {
            own,
            state: State::Unknown,
            session: Session::new(status),
            tag: 0,
            waiting: VecDeque::new(),
            vcc: true,
            reset: false,
        }
    }

    /// Takes a message from the client. Errors: no client does this; hang up.
    pub(crate) fn received(&mut self, pdu: Pdu) -> Result<Vec<Output>, Violation> {
        let Pdu { version, tag, message } = pdu;
        match (&self.state, message) {
            (State::Unknown, Message::ConnectClientReq { identity, client }) => {
                let refusal = match client {
                    _ if version != VERSION => ResultCode::UNSUPPORTED_PROTOCOL_VERSION,
                    Some(client) if identity.component == Component::Client => {
                        self.state = State::Unmapped { tag, client };
                        return Ok(vec![Output::LookUp(client)]);
                    }
                    _ => ResultCode::ILLEGAL_CLIENT_ID,
                };
                self.state = State::Closed;
                Ok(vec![self.connect_result(tag, refusal), Output::Close])
            }
            (State::Ready { client, bank }, Message::TpduModemToCard(Tpdu { from, to, data })) => {
                if (from, to) != (*client, *bank) {
                    return Err(Violation::WrongSlot);
                }
                if !TPDU_LENGTHS.contains(&data.len()) {
                    return Err(Violation::Length(data.len()));
                }
                if self.session.is_executing() {
                    if self.waiting.len() == MAX_WAITING {
                        return Err(Overlap.into());
                    }
                    self.waiting.push_back((tag, data));
                    return Ok(Vec::new());
                }
                self.tpdu(tag, &data)
            }
            (State::Ready { client: own, bank: card }, Message::ClientSlotStatusInd { client, bank, status }) => {
                if (client, bank) != (*own, *card) {
                    return Err(Violation::WrongSlot);
                }
                Ok(self.physical_status(status))
            }
            // A client that has no card yet may report its contacts all the same.
            (State::Unmapped { .. } | State::Inserting { .. }, Message::ClientSlotStatusInd { .. })
            | (State::Ready { .. }, Message::SetAtrRes(_))
            | (_, Message::Other(_)) => Ok(Vec::new()),
            _ => Err(Violation::Unexpected),
        }
    }

    /// The mappings say that this client has, or has not, the card in this slot of the bank. Only before it has one.
    pub(crate) fn mapped(&mut self, bank: Option<SlotId>) -> Vec<Output> {
        let State::Unmapped { tag, client } = self.state else { return Vec::new() };
        match bank {
            None => vec![self.connect_result(tag, ResultCode::CARD_NOT_PRESENT)],
            Some(bank) => {
                self.state = State::Inserting { tag, client, bank };
                vec![Output::Work(self.session.power_up())]
            }
        }
    }

    /// The power-up of `epoch` succeeded.
    pub(crate) fn powered_up(&mut self, epoch: u64, generation: u64, atr: Vec<u8>) -> Vec<Output> {
        let Some(held) = self.session.powered_up(epoch, generation) else { return Vec::new() };
        if let State::Inserting { tag, client, bank } = self.state {
            self.state = State::Ready { client, bank };
            let atr = Pdu::new(0, Message::SetAtrReq { client, atr });
            return vec![self.connect_result(tag, ResultCode::OK), Output::Send(atr)];
        }
        // Never an overlap: nothing is executing.
        let mut outputs = held.and_then(|tpdu| self.tpdu(self.tag, &tpdu).ok()).unwrap_or_default();
        outputs.extend(self.next_tpdus());
        outputs
    }

    /// The card answered the TPDU of `epoch`; `None` if it could not.
    pub(crate) fn answered(&mut self, epoch: u64, response: Option<Response>) -> Vec<Output> {
        let mut outputs = match self.session.answered(epoch, response) {
            Answered::Bytes(answer) => self.answer(answer),
            Answered::Failed => self.answer(FAILED.to_vec()),
            Answered::Late => return Vec::new(),
        };
        outputs.extend(self.next_tpdus());
        outputs
    }

    /// The link is about to be closed by the bank: what was asked is answered first, since clients wait for an answer
    /// without a limit.
    pub(crate) fn leave(&mut self) -> Vec<Output> {
        let executing = self.session.is_executing().then_some(self.tag);
        let tags: Vec<u32> = executing.into_iter().chain(self.waiting.drain(..).map(|(tag, _)| tag)).collect();
        let mut outputs = Vec::new();
        for tag in tags {
            self.tag = tag;
            outputs.extend(self.answer(FAILED.to_vec()));
        }
        self.state = State::Closed;
        outputs
    }

    /// Gives waiting TPDUs to the card as far as that is possible.
    fn next_tpdus(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while !self.session.is_executing() {
            let Some((tag, tpdu)) = self.waiting.pop_front() else { break };
            // Never an overlap: nothing is executing.
            outputs.extend(self.tpdu(tag, &tpdu).unwrap_or_default());
        }
        outputs
    }

    /// The card cannot be reached.
    pub(crate) fn card_lost(&mut self) -> Vec<Output> {
        let refusal = match self.state {
            State::Inserting { tag, .. } => Some(self.connect_result(tag, ResultCode::CARD_UNRESPONSIVE)),
            _ => None,
        };
        self.state = State::Closed;
        refusal.into_iter().chain([Output::Close]).collect()
    }

    fn tpdu(&mut self, tag: u32, tpdu: &[u8]) -> Result<Vec<Output>, Violation> {
        // Clients that do not report VCC, or only that it fell, send commands all the same.
        let mut outputs = Vec::new();
        if !self.session.is_on() && !self.session.is_rising() {
            outputs.push(Output::Work(self.session.power_up()));
        }
        let next = self.session.tpdu(tpdu)?;
        self.tag = tag;
        match next {
            Next::Answer(answer) => outputs.extend(self.answer(answer)),
            Next::Work(work) => outputs.push(Output::Work(work)),
            Next::Held | Next::NoPower => {}
        }
        Ok(outputs)
    }

    fn answer(&self, data: Vec<u8>) -> Vec<Output> {
        let State::Ready { client, bank } = self.state else { return Vec::new() };
        vec![Output::Send(Pdu::new(self.tag, Message::TpduCardToModem(Tpdu { from: bank, to: client, data })))]
    }

    fn physical_status(&mut self, status: PhysicalStatus) -> Vec<Output> {
        let vcc = status.vcc.unwrap_or(true);
        let (vcc_before, reset_before) =
            (std::mem::replace(&mut self.vcc, vcc), std::mem::replace(&mut self.reset, status.reset));
        let has_power = self.session.is_on() || self.session.is_rising();
        let work = match (vcc_before, vcc) {
            // RST alone may say it again: a client that reports nothing but resets never says that VCC rose.
            (_, false) if has_power && (vcc_before || status.reset) => self.session.power_down(),
            (false, true) if !has_power => self.session.power_up(),
            (true, true) if status.reset && !reset_before => self.session.power_up(),
            _ => return Vec::new(),
        };
        // What the modem asked before is answered for nobody.
        self.waiting.clear();
        vec![Output::Work(work)]
    }

    fn connect_result(&self, tag: u32, result: ResultCode) -> Output {
        Output::Send(Pdu::new(tag, Message::ConnectClientRes { identity: self.own.clone(), result }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    const CLIENT: SlotId = SlotId { id: 7, slot: 1 };
    const BANK: SlotId = SlotId { id: 1, slot: 0 };
    const OTHER: SlotId = SlotId { id: 1, slot: 1 };
    const ATR: [u8; 2] = hex!("3B00");
    const SELECT_MF: [u8; 7] = hex!("00A40004023F00");

    impl std::fmt::Debug for Output {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Output::Send(pdu) => pdu.fmt(f),
                Output::Work(work) => work.fmt(f),
                Output::LookUp(client) => write!(f, "LookUp({client})"),
                Output::Close => f.write_str("Close"),
            }
        }
    }

    fn identity(component: Component) -> Identity {
        Identity { component, name: "x".into(), software: "y".into(), version: "z".into() }
    }

    fn unknown() -> Machine {
        Machine::new(identity(Component::Bank), Arc::default())
    }

    fn hello(component: Component, client: Option<SlotId>) -> Pdu {
        Pdu::new(5, Message::ConnectClientReq { identity: identity(component), client })
    }

    fn connected(result: ResultCode) -> Output {
        Output::Send(Pdu::new(5, Message::ConnectClientRes { identity: identity(Component::Bank), result }))
    }

    fn ready() -> Machine {
        let mut machine = unknown();
        let looked_up = machine.received(hello(Component::Client, Some(CLIENT)));
        assert_eq!(looked_up, Ok(vec![Output::LookUp(CLIENT)]));
        assert_eq!(machine.mapped(Some(BANK)), [Output::Work(Work::PowerUp { epoch: 1 })]);
        let atr = Output::Send(Pdu::new(0, Message::SetAtrReq { client: CLIENT, atr: ATR.to_vec() }));
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), [connected(ResultCode::OK), atr]);
        machine
    }

    fn command(from: SlotId, to: SlotId, data: &[u8]) -> Pdu {
        Pdu::new(9, Message::TpduModemToCard(Tpdu { from, to, data: data.to_vec() }))
    }

    fn answer(data: &[u8]) -> Vec<Output> {
        let answer = Tpdu { from: BANK, to: CLIENT, data: data.to_vec() };
        vec![Output::Send(Pdu::new(9, Message::TpduCardToModem(answer)))]
    }

    fn contacts(vcc: Option<bool>, reset: bool) -> Pdu {
        let status = PhysicalStatus { reset, vcc, clk: None, card_present: None };
        Pdu::new(0, Message::ClientSlotStatusInd { client: CLIENT, bank: BANK, status })
    }

    #[test]
    fn a_mapped_client_gets_the_atr_and_its_tpdus_are_answered() {
        let mut machine = ready();
        let work = Work::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() };
        assert_eq!(machine.received(command(CLIENT, BANK, &SELECT_MF)), Ok(vec![Output::Work(work)]));
        assert_eq!(machine.answered(1, Some(Response::data(vec![1, 2]))), answer(&hex!("6102")));
        let fetched = machine.received(command(CLIENT, BANK, &hex!("00C0000002")));
        assert_eq!(fetched, Ok(answer(&hex!("01029000"))));
        machine.received(command(CLIENT, BANK, &SELECT_MF)).unwrap();
        assert_eq!(machine.answered(1, None), answer(&hex!("6F00")));
        assert_eq!(machine.received(Pdu::new(0, Message::SetAtrRes(ResultCode::OK))), Ok(vec![]));
    }

    #[test]
    fn a_client_without_a_mapping_waits_for_one() {
        let mut machine = unknown();
        machine.received(hello(Component::Client, Some(CLIENT))).unwrap();
        assert_eq!(machine.mapped(None), [connected(ResultCode::CARD_NOT_PRESENT)]);
        assert_eq!(machine.mapped(Some(BANK)), [Output::Work(Work::PowerUp { epoch: 1 })]);
        assert_eq!(machine.card_lost(), [connected(ResultCode::CARD_UNRESPONSIVE), Output::Close]);
    }

    #[test]
    fn whoever_is_no_client_or_speaks_another_version_is_refused() {
        let refusals = [
            (hello(Component::Server, Some(CLIENT)), ResultCode::ILLEGAL_CLIENT_ID),
            (hello(Component::Client, None), ResultCode::ILLEGAL_CLIENT_ID),
            (Pdu { version: 1, ..hello(Component::Client, Some(CLIENT)) }, ResultCode::UNSUPPORTED_PROTOCOL_VERSION),
        ];
        for (pdu, result) in refusals {
            assert_eq!(unknown().received(pdu), Ok(vec![connected(result), Output::Close]));
        }
        assert_eq!(unknown().received(command(CLIENT, BANK, &SELECT_MF)), Err(Violation::Unexpected));
    }

    fn tagged(tag: u32, data: &[u8]) -> Pdu {
        Pdu { tag, ..command(CLIENT, BANK, data) }
    }

    fn answers(tags: &[u32], data: &[u8]) -> Vec<Output> {
        let answer = |tag: &u32| {
            let answer = Tpdu { from: BANK, to: CLIENT, data: data.to_vec() };
            Output::Send(Pdu::new(*tag, Message::TpduCardToModem(answer)))
        };
        tags.iter().map(answer).collect()
    }

    #[test]
    fn commands_that_come_before_an_answer_are_executed_in_their_order() {
        let mut machine = ready();
        let work = || Output::Work(Work::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() });
        assert_eq!(machine.received(tagged(1, &SELECT_MF)), Ok(vec![work()]));
        assert_eq!(machine.received(tagged(2, &SELECT_MF)), Ok(vec![]));
        assert_eq!(machine.received(tagged(3, &SELECT_MF)), Ok(vec![]));
        for (tag, goes_on) in [(1, true), (2, true), (3, false)] {
            let mut expected = answers(&[tag], &hex!("9000"));
            expected.extend(goes_on.then(work));
            assert_eq!(machine.answered(1, Some(Response::status(StatusWord::OK))), expected);
        }
        machine.received(tagged(1, &SELECT_MF)).unwrap();
        for tag in 0..8 {
            assert_eq!(machine.received(tagged(tag, &SELECT_MF)), Ok(vec![]));
        }
        assert_eq!(machine.received(tagged(9, &SELECT_MF)), Err(Violation::Overlap(Overlap)), "a flood");
    }

    #[test]
    fn whoever_waits_when_the_bank_closes_the_link_is_answered_first() {
        let mut machine = ready();
        assert_eq!(machine.leave(), []);
        let mut machine = ready();
        machine.received(tagged(1, &SELECT_MF)).unwrap();
        machine.received(tagged(2, &SELECT_MF)).unwrap();
        assert_eq!(machine.leave(), answers(&[1, 2], &hex!("6F00")));
        assert_eq!(machine.answered(1, Some(Response::status(StatusWord::OK))), [], "too late");
    }

    #[test]
    fn messages_for_other_slots_and_strange_lengths_end_the_link() {
        let mut machine = ready();
        assert_eq!(machine.received(command(OTHER, BANK, &SELECT_MF)), Err(Violation::WrongSlot));
        assert_eq!(machine.received(command(CLIENT, OTHER, &SELECT_MF)), Err(Violation::WrongSlot));
        assert_eq!(machine.received(command(CLIENT, BANK, &[0; 3])), Err(Violation::Length(3)));
        assert_eq!(machine.received(command(CLIENT, BANK, &[0; 262])), Err(Violation::Length(262)));
        assert_eq!(machine.received(hello(Component::Client, Some(CLIENT))), Err(Violation::Unexpected));
        assert_eq!(machine.received(Pdu::new(0, Message::Other(16))), Ok(vec![]));
    }

    #[test]
    fn vcc_is_power_and_a_rising_rst_is_a_reset() {
        let mut machine = ready();
        let epoch = |epoch| Output::Work(Work::PowerUp { epoch });
        assert_eq!(machine.received(contacts(Some(true), false)), Ok(vec![]), "it was just powered up");
        assert_eq!(machine.received(contacts(Some(true), true)), Ok(vec![epoch(2)]));
        assert_eq!(machine.received(contacts(Some(true), true)), Ok(vec![]));
        assert_eq!(machine.received(contacts(Some(true), false)), Ok(vec![]));
        let off = Output::Work(Work::PowerDown { epoch: 3 });
        assert_eq!(machine.received(contacts(Some(false), true)), Ok(vec![off]));
        assert_eq!(machine.received(contacts(Some(true), false)), Ok(vec![epoch(4)]));
        // A client that does not know VCC.
        machine.powered_up(4, 74, ATR.to_vec());
        assert_eq!(machine.received(contacts(None, true)), Ok(vec![epoch(5)]));
    }

    #[test]
    fn what_a_client_reports_first_may_be_a_reset() {
        // A modem that is off, and is switched on.
        let mut machine = ready();
        let off = |epoch| Output::Work(Work::PowerDown { epoch });
        assert_eq!(machine.received(contacts(Some(false), true)), Ok(vec![off(2)]));
        assert_eq!(machine.received(contacts(Some(true), false)), Ok(vec![Output::Work(Work::PowerUp { epoch: 3 })]));
        // One that has been on all the time resets the card that it found.
        let mut machine = ready();
        assert_eq!(machine.received(contacts(Some(true), true)), Ok(vec![Output::Work(Work::PowerUp { epoch: 2 })]));
    }

    #[test]
    fn a_client_that_only_ever_reports_a_reset_without_vcc_resets_each_time() {
        // The command RESET of client-shell: nothing follows by which RST or VCC would rise.
        let reset = || contacts(Some(false), true);
        let mut machine = ready();
        machine.received(command(CLIENT, BANK, &SELECT_MF)).unwrap();
        assert_eq!(machine.received(reset()), Ok(vec![Output::Work(Work::PowerDown { epoch: 2 })]));
        assert_eq!(machine.received(reset()), Ok(vec![]), "it has no power");
        machine.received(command(CLIENT, BANK, &SELECT_MF)).unwrap();
        machine.powered_up(3, 73, ATR.to_vec());
        assert_eq!(machine.received(reset()), Ok(vec![Output::Work(Work::PowerDown { epoch: 4 })]));
        // A modem at which VCC cannot be measured stops the clock, to save power: no reset.
        machine.received(command(CLIENT, BANK, &SELECT_MF)).unwrap();
        machine.powered_up(5, 75, ATR.to_vec());
        assert_eq!(machine.received(contacts(Some(false), false)), Ok(vec![]));
    }

    #[test]
    fn a_command_without_power_powers_the_card_up_first() {
        let mut machine = ready();
        machine.received(contacts(Some(true), false)).unwrap();
        machine.received(contacts(Some(false), true)).unwrap();
        let held = machine.received(command(CLIENT, BANK, &SELECT_MF));
        assert_eq!(held, Ok(vec![Output::Work(Work::PowerUp { epoch: 3 })]));
        let work = Work::Transmit { epoch: 3, generation: 73, apdu: SELECT_MF.to_vec() };
        assert_eq!(machine.powered_up(3, 73, ATR.to_vec()), [Output::Work(work)]);
        assert_eq!(machine.answered(3, Some(Response::data(vec![1, 2]))), answer(&hex!("6102")));
    }

    #[test]
    fn a_reset_drops_the_answer_under_way() {
        let mut machine = ready();
        machine.received(contacts(Some(true), false)).unwrap();
        machine.received(command(CLIENT, BANK, &SELECT_MF)).unwrap();
        machine.received(contacts(Some(true), true)).unwrap();
        assert_eq!(machine.answered(1, Some(Response::data(vec![1, 2]))), []);
        assert_eq!(machine.powered_up(2, 72, ATR.to_vec()), []);
    }

    fn message() -> impl Strategy<Value = Pdu> {
        let slot = prop_oneof![Just(CLIENT), Just(BANK), Just(OTHER)];
        let data = proptest::collection::vec(0..4u8, 0..9);
        prop_oneof![
            Just(hello(Component::Client, Some(CLIENT))),
            (slot.clone(), slot, data).prop_map(|(from, to, data)| command(from, to, &data)),
            proptest::collection::vec(0..4u8, 4..9).prop_map(|data| command(CLIENT, BANK, &data)),
            (proptest::option::of(any::<bool>()), any::<bool>()).prop_map(|(vcc, reset)| contacts(vcc, reset)),
            Just(Pdu::new(0, Message::Other(3))),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: one answer at most for each TPDU, and never two under way.
        #[test]
        fn no_sequence_panics_or_answers_twice(messages in proptest::collection::vec(message(), 0..40)) {
            let mut machine = unknown();
            let mut open = 0u32;
            for pdu in messages {
                let is_tpdu = matches!(pdu.message, Message::TpduModemToCard(_));
                let Ok(outputs) = machine.received(pdu) else { break };
                open += u32::from(is_tpdu);
                let mut todo = outputs;
                while !todo.is_empty() {
                    match todo.remove(0) {
                        Output::LookUp(_) => todo.extend(machine.mapped(Some(BANK))),
                        Output::Work(Work::PowerUp { epoch }) => {
                            todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec()));
                        }
                        Output::Work(Work::Transmit { epoch, .. }) => {
                            todo.extend(machine.answered(epoch, Some(Response::data(vec![0; 3]))));
                        }
                        Output::Send(Pdu { message: Message::TpduCardToModem(_), .. }) => {
                            prop_assert!(open > 0);
                            open -= 1;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}
