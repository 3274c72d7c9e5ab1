//! A SAP server (SIM Access Profile 1.1, section 4). Sans-IO: messages and the slot's answers come in, [`Output`]s go
//! out.
//!
//! One request at a time; but the power may be taken while another request runs, and the card may be reset while a
//! command runs, and the request that ran is then not answered any more. Everything else out of its order is answered
//! ERROR_RESP.

use super::codec::{Id, MAX_MESSAGE, MIN_MESSAGE, Message, ParameterId};
use crate::client;
use crate::session::{Answered, Away, Next, Session, Work};
use crate::status::Status;
use std::sync::Arc;
use teuicc_apdu::Response;

/// ConnectionStatus (section 5.2.2).
mod connection {
    pub(super) const OK: u8 = 0;
    pub(super) const UNABLE: u8 = 1;
    pub(super) const SIZE_NOT_SUPPORTED: u8 = 2;
    pub(super) const SIZE_TOO_SMALL: u8 = 3;
}

/// ResultCode (section 5.2.3).
mod result {
    pub(super) const OK: u8 = 0;
    pub(super) const NO_REASON: u8 = 1;
    pub(super) const NOT_ACCESSIBLE: u8 = 2;
    pub(super) const ALREADY_OFF: u8 = 3;
    pub(super) const REMOVED: u8 = 4;
    pub(super) const ALREADY_ON: u8 = 5;
    pub(super) const NOT_AVAILABLE: u8 = 6;
    pub(super) const NOT_SUPPORTED: u8 = 7;
}

/// StatusChange (section 5.2.9).
mod change {
    pub(super) const RESET: u8 = 1;
    pub(super) const NOT_ACCESSIBLE: u8 = 2;
    pub(super) const REMOVED: u8 = 3;
    pub(super) const INSERTED: u8 = 4;
    pub(super) const RECOVERED: u8 = 5;
}

/// CardReaderStatus: bits of TS 102 223 section 8.33.
mod reader {
    pub(super) const PRESENT: u8 = 0x10;
    pub(super) const CARD_PRESENT: u8 = 0x40;
    pub(super) const CARD_POWERED: u8 = 0x80;
}

const GRACEFUL: u8 = 0;
const IMMEDIATE: u8 = 1;
const T0: u8 = 0;

pub(crate) type Output = client::Output<Message>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// No CONNECT_REQ yet, or a DISCONNECT_REQ since.
    Closed,
    Open,
    /// The client was asked to disconnect.
    Closing,
}

/// A request that the slot works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Connect,
    Apdu,
    PowerOn,
    PowerOff { epoch: u64 },
    Reset,
}

/// A SAP server with one client.
pub(crate) struct Machine {
    link: Link,
    request: Option<Request>,
    away: Option<Away>,
    /// The card was inserted and has power, which the client, that has not said anything since, need not know.
    is_new: bool,
    atr: Vec<u8>,
    session: Session,
}

impl Machine {
    /// A server that no client has connected to.
    pub(crate) fn new(status: Arc<Status>) -> Self {
        let session = Session::new(status);
        Machine { link: Link::Closed, request: None, away: None, is_new: false, atr: Vec::new(), session }
    }

    /// Whether a client has connected.
    pub(crate) fn is_open(&self) -> bool {
        self.link != Link::Closed
    }

    /// Takes a message from the client.
    pub(crate) fn received(&mut self, message: &Message) -> Vec<Output> {
        let is_new = std::mem::take(&mut self.is_new);
        match (self.link, message.id) {
            (Link::Closed, Id::ConnectReq) if self.request.is_none() => self.connect(message),
            (Link::Open | Link::Closing, Id::DisconnectReq) => self.disconnect(),
            (Link::Open | Link::Closing, Id::TransferApduReq) if self.request.is_none() => self.apdu(message),
            (Link::Open | Link::Closing, Id::TransferAtrReq) if self.request.is_none() => self.transfer_atr(),
            (Link::Open | Link::Closing, Id::TransferCardReaderStatusReq) if self.request.is_none() => {
                self.reader_status()
            }
            (Link::Open | Link::Closing, Id::SetTransportProtocolReq) if self.request.is_none() => {
                self.transport_protocol(message)
            }
            (Link::Open | Link::Closing, Id::PowerSimOnReq) if self.request.is_none() => {
                match self.refusal(is_new || !self.session.is_on(), result::ALREADY_ON) {
                    Some(refusal) => vec![resulting(Id::PowerSimOnResp, refusal)],
                    None => self.work_on(Request::PowerOn),
                }
            }
            (Link::Open | Link::Closing, Id::ResetSimReq) if matches!(self.request, None | Some(Request::Apdu)) => {
                match self.refusal(self.session.is_on(), result::ALREADY_OFF) {
                    Some(refusal) => vec![resulting(Id::ResetSimResp, refusal)],
                    None => self.work_on(Request::Reset),
                }
            }
            (Link::Open | Link::Closing, Id::PowerSimOffReq)
                if !matches!(self.request, Some(Request::PowerOff { .. } | Request::Connect)) =>
            {
                let has_power = self.session.is_on() || self.session.is_rising();
                match self.refusal(has_power, result::ALREADY_OFF) {
                    Some(refusal) => vec![resulting(Id::PowerSimOffResp, refusal)],
                    None => {
                        let work = self.session.power_down();
                        if let Work::PowerDown { epoch } = work {
                            self.request = Some(Request::PowerOff { epoch });
                        }
                        vec![Output::Work(work)]
                    }
                }
            }
            _ => vec![error()],
        }
    }

    /// Something came that is no message.
    pub(crate) fn malformed(&self) -> Vec<Output> {
        vec![error()]
    }

    fn connect(&mut self, message: &Message) -> Vec<Output> {
        let size = match message.parameter(ParameterId::MaxMsgSize) {
            Some([high, low]) => u16::from_be_bytes([*high, *low]),
            _ => return vec![error()],
        };
        if size > MAX_MESSAGE {
            return vec![connected(connection::SIZE_NOT_SUPPORTED, Some(MAX_MESSAGE))];
        }
        if size < MIN_MESSAGE {
            return vec![connected(connection::SIZE_TOO_SMALL, None)];
        }
        self.away = None;
        self.work_on(Request::Connect)
    }

    fn disconnect(&mut self) -> Vec<Output> {
        let is_leaving = self.link == Link::Closing;
        (self.link, self.request, self.away) = (Link::Closed, None, None);
        let mut outputs = vec![Output::Send(Message::new(Id::DisconnectResp))];
        if is_leaving {
            outputs.push(Output::Parted);
        } else {
            outputs.push(Output::Work(self.session.power_down()));
        }
        outputs
    }

    fn apdu(&mut self, message: &Message) -> Vec<Output> {
        let apdu = message.parameter(ParameterId::CommandApdu).or(message.parameter(ParameterId::CommandApdu7816));
        let Some(apdu) = apdu else { return vec![error()] };
        if let Some(refusal) = self.refusal(self.session.is_on(), result::ALREADY_OFF) {
            return vec![resulting(Id::TransferApduResp, refusal)];
        }
        match self.session.tpdu(apdu) {
            Ok(Next::Answer(answer)) => vec![answer_apdu(answer)],
            Ok(Next::Work(work)) => {
                self.request = Some(Request::Apdu);
                vec![Output::Work(work)]
            }
            Ok(Next::Held | Next::NoPower) | Err(_) => vec![resulting(Id::TransferApduResp, result::NO_REASON)],
        }
    }

    fn transfer_atr(&self) -> Vec<Output> {
        if let Some(refusal) = self.refusal(self.session.is_on(), result::ALREADY_OFF) {
            return vec![resulting(Id::TransferAtrResp, refusal)];
        }
        if self.atr.is_empty() {
            return vec![resulting(Id::TransferAtrResp, result::NOT_AVAILABLE)];
        }
        let ok = Message::new(Id::TransferAtrResp).byte(ParameterId::ResultCode, result::OK);
        vec![Output::Send(ok.bytes(ParameterId::Atr, self.atr.clone()))]
    }

    fn reader_status(&self) -> Vec<Output> {
        let mut bits = reader::PRESENT;
        if self.away.is_none() {
            bits |= reader::CARD_PRESENT;
        }
        if self.session.is_on() {
            bits |= reader::CARD_POWERED;
        }
        let ok = Message::new(Id::TransferCardReaderStatusResp).byte(ParameterId::ResultCode, result::OK);
        vec![Output::Send(ok.byte(ParameterId::CardReaderStatus, bits))]
    }

    fn transport_protocol(&self, message: &Message) -> Vec<Output> {
        match message.parameter_byte(ParameterId::TransportProtocol) {
            None => vec![error()],
            Some(T0) => vec![resulting(Id::SetTransportProtocolResp, result::OK)],
            Some(_) => vec![resulting(Id::SetTransportProtocolResp, result::NOT_SUPPORTED)],
        }
    }

    /// Why the card cannot do what was asked: it is away, or `possible` is false, which is answered `otherwise`.
    fn refusal(&self, possible: bool, otherwise: u8) -> Option<u8> {
        match self.away {
            Some(Away::Replug) => Some(result::REMOVED),
            Some(Away::Lost) => Some(result::NOT_ACCESSIBLE),
            None => (!possible).then_some(otherwise),
        }
    }

    fn work_on(&mut self, request: Request) -> Vec<Output> {
        self.request = Some(request);
        vec![Output::Work(self.session.power_up())]
    }

    /// The client is told that the card is removed, unless it knows. Whether it is told.
    fn remove(&mut self, outputs: &mut Vec<Output>) -> bool {
        let is_news = Away::Replug.begin(&mut self.away) != Some(Away::Replug);
        if is_news {
            outputs.push(status(change::REMOVED));
        }
        is_news
    }

    /// Answers the request under way, which the card will not.
    fn give_up(&mut self, result: u8) -> Vec<Output> {
        let response = match self.request.take() {
            None => return Vec::new(),
            Some(Request::Connect) => return vec![connected(connection::UNABLE, None)],
            Some(Request::Apdu) => Id::TransferApduResp,
            Some(Request::PowerOn) => Id::PowerSimOnResp,
            Some(Request::PowerOff { .. }) => Id::PowerSimOffResp,
            Some(Request::Reset) => Id::ResetSimResp,
        };
        vec![resulting(response, result)]
    }
}

impl client::Machine for Machine {
    type Message = Message;

    fn powered_up(&mut self, epoch: u64, generation: u64, atr: Vec<u8>) -> Vec<Output> {
        // A TPDU is never held: requests do not overlap.
        if self.session.powered_up(epoch, generation).is_none() {
            return Vec::new();
        }
        self.atr = atr;
        match (self.request.take(), self.away.take()) {
            (Some(Request::Connect), _) => {
                self.link = Link::Open;
                vec![connected(connection::OK, None), status(change::RESET)]
            }
            (Some(Request::PowerOn), _) => vec![resulting(Id::PowerSimOnResp, result::OK)],
            (Some(Request::Reset), _) => vec![resulting(Id::ResetSimResp, result::OK)],
            (None, Some(Away::Replug)) => {
                self.is_new = true;
                vec![status(change::INSERTED)]
            }
            (None, Some(Away::Lost)) => vec![status(change::RECOVERED)],
            (request, _) => {
                self.request = request;
                Vec::new()
            }
        }
    }

    fn powered_down(&mut self, epoch: u64) -> Vec<Output> {
        if self.request != Some(Request::PowerOff { epoch }) {
            return Vec::new();
        }
        self.request = None;
        vec![resulting(Id::PowerSimOffResp, result::OK)]
    }

    fn answered(&mut self, epoch: u64, response: Option<Response>) -> Vec<Output> {
        match self.session.answered(epoch, response) {
            Answered::Bytes(answer) => {
                self.request = None;
                vec![answer_apdu(answer)]
            }
            Answered::Failed => {
                self.request = None;
                vec![resulting(Id::TransferApduResp, result::NOT_ACCESSIBLE)]
            }
            Answered::Late => Vec::new(),
        }
    }

    /// A result for both.
    fn timed_out(&mut self, epoch: u64) -> Vec<Output> {
        self.answered(epoch, None)
    }

    fn card_lost(&mut self) -> Vec<Output> {
        let mut outputs = self.give_up(result::NOT_ACCESSIBLE);
        // The slot has no power to take.
        let _ = self.session.power_down();
        if self.link == Link::Open {
            if Away::Lost.begin(&mut self.away).is_none() {
                outputs.push(status(change::NOT_ACCESSIBLE));
            }
            outputs.push(Output::Away(Away::Lost));
        }
        outputs
    }

    fn replug(&mut self) -> Vec<Output> {
        if self.link != Link::Open {
            return Vec::new();
        }
        let mut outputs = self.give_up(result::REMOVED);
        if self.remove(&mut outputs) {
            self.session.count_replug();
        }
        outputs.push(Output::Work(self.session.power_down()));
        outputs.push(Output::Away(Away::Replug));
        outputs
    }

    fn look_for_card(&mut self) -> Vec<Output> {
        if self.away.is_none() || self.link != Link::Open {
            return Vec::new();
        }
        vec![Output::Work(self.session.power_up())]
    }

    fn leave(&mut self) -> Vec<Output> {
        if !self.is_open() {
            return vec![Output::Parted];
        }
        self.link = Link::Closing;
        let mut outputs = self.give_up(result::REMOVED);
        let _ = self.session.power_down();
        self.remove(&mut outputs);
        outputs.push(disconnection(GRACEFUL));
        outputs
    }

    fn leave_now(&mut self) -> Vec<Output> {
        self.link = Link::Closed;
        vec![disconnection(IMMEDIATE)]
    }
}

/// The answer to a CONNECT_REQ that cannot be granted.
pub(super) fn refusal() -> Message {
    Message::new(Id::ConnectResp).byte(ParameterId::ConnectionStatus, connection::UNABLE)
}

fn connected(status: u8, size: Option<u16>) -> Output {
    let response = Message::new(Id::ConnectResp).byte(ParameterId::ConnectionStatus, status);
    Output::Send(match size {
        Some(size) => response.bytes(ParameterId::MaxMsgSize, size.to_be_bytes().to_vec()),
        None => response,
    })
}

fn resulting(response: Id, result: u8) -> Output {
    Output::Send(Message::new(response).byte(ParameterId::ResultCode, result))
}

fn answer_apdu(answer: Vec<u8>) -> Output {
    let ok = Message::new(Id::TransferApduResp).byte(ParameterId::ResultCode, result::OK);
    Output::Send(ok.bytes(ParameterId::ResponseApdu, answer))
}

fn status(change: u8) -> Output {
    Output::Send(Message::new(Id::StatusInd).byte(ParameterId::StatusChange, change))
}

fn disconnection(kind: u8) -> Output {
    Output::Send(Message::new(Id::DisconnectInd).byte(ParameterId::DisconnectionType, kind))
}

fn error() -> Output {
    Output::Send(Message::new(Id::ErrorResp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Machine as _;
    use hex_literal::hex;
    use proptest::prelude::*;

    const ATR: [u8; 2] = hex!("3B00");
    const SELECT_MF: [u8; 7] = hex!("00A40004023F00");

    impl std::fmt::Debug for Output {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Output::Send(message) => write!(f, "Send({:02X?})", message.encode(false)),
                Output::Work(work) => work.fmt(f),
                Output::Away(away) => away.fmt(f),
                Output::Parted => f.write_str("Parted"),
            }
        }
    }

    fn connect_req(size: u16) -> Message {
        Message::new(Id::ConnectReq).bytes(ParameterId::MaxMsgSize, size.to_be_bytes().to_vec())
    }

    fn open() -> Machine {
        let mut machine = Machine::new(Arc::default());
        assert_eq!(machine.received(&connect_req(300)), [power_up(1)]);
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), [connected(0, None), status(change::RESET)]);
        machine
    }

    fn power_up(epoch: u64) -> Output {
        Output::Work(Work::PowerUp { epoch })
    }

    fn power_down(epoch: u64) -> Output {
        Output::Work(Work::PowerDown { epoch })
    }

    fn ask(id: Id) -> Message {
        Message::new(id)
    }

    fn apdu(bytes: &[u8]) -> Message {
        ask(Id::TransferApduReq).bytes(ParameterId::CommandApdu, bytes.to_vec())
    }

    fn protocol(byte: u8) -> Message {
        ask(Id::SetTransportProtocolReq).byte(ParameterId::TransportProtocol, byte)
    }

    #[test]
    fn a_client_connects_asks_for_the_atr_and_sends_commands() {
        let mut machine = open();
        let atr = ask(Id::TransferAtrResp).byte(ParameterId::ResultCode, 0).bytes(ParameterId::Atr, ATR.to_vec());
        assert_eq!(machine.received(&ask(Id::TransferAtrReq)), [Output::Send(atr)]);
        let work = Work::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() };
        assert_eq!(machine.received(&apdu(&SELECT_MF)), [Output::Work(work)]);
        assert_eq!(machine.received(&apdu(&SELECT_MF)), [error()], "one request at a time");
        assert_eq!(machine.received(&ask(Id::TransferAtrReq)), [error()]);
        let answer = machine.answered(1, Some(Response::data(vec![1, 2])));
        assert_eq!(answer, [answer_apdu(hex!("6102").to_vec())]);
        let get_response = ask(Id::TransferApduReq).bytes(ParameterId::CommandApdu7816, hex!("00C0000002").to_vec());
        assert_eq!(machine.received(&get_response), [answer_apdu(hex!("01029000").to_vec())]);
        let status = ask(Id::TransferCardReaderStatusResp)
            .byte(ParameterId::ResultCode, 0)
            .byte(ParameterId::CardReaderStatus, 0xD0);
        assert_eq!(machine.received(&ask(Id::TransferCardReaderStatusReq)), [Output::Send(status)]);
        assert_eq!(machine.received(&ask(Id::DisconnectReq)), [Output::Send(ask(Id::DisconnectResp)), power_down(2)]);
        assert_eq!(machine.received(&apdu(&SELECT_MF)), [error()]);
        assert_eq!(machine.received(&connect_req(300)), [power_up(3)], "and again");
    }

    #[test]
    fn the_message_size_is_agreed_on() {
        let mut machine = Machine::new(Arc::default());
        assert_eq!(machine.received(&connect_req(0xFFFF)), [connected(2, Some(MAX_MESSAGE))]);
        assert_eq!(machine.received(&connect_req(275)), [connected(3, None)]);
        assert_eq!(machine.received(&ask(Id::ConnectReq)), [error()]);
        assert_eq!(machine.received(&connect_req(276)), [power_up(1)]);
        assert_eq!(machine.received(&connect_req(276)), [error()]);
    }

    #[test]
    fn power_and_reset_have_every_result() {
        let mut machine = open();
        let result = |id, code| [resulting(id, code)];
        assert_eq!(machine.received(&ask(Id::PowerSimOnReq)), result(Id::PowerSimOnResp, result::ALREADY_ON));
        assert_eq!(machine.received(&ask(Id::ResetSimReq)), [power_up(2)]);
        assert_eq!(machine.powered_up(2, 71, ATR.to_vec()), result(Id::ResetSimResp, result::OK));
        assert_eq!(machine.received(&ask(Id::PowerSimOffReq)), [power_down(3)]);
        assert_eq!(machine.received(&ask(Id::PowerSimOffReq)), [error()]);
        assert_eq!(machine.powered_down(2), []);
        assert_eq!(machine.powered_down(3), result(Id::PowerSimOffResp, result::OK));
        for (request, response) in [
            (ask(Id::PowerSimOffReq), Id::PowerSimOffResp),
            (ask(Id::ResetSimReq), Id::ResetSimResp),
            (apdu(&SELECT_MF), Id::TransferApduResp),
            (ask(Id::TransferAtrReq), Id::TransferAtrResp),
        ] {
            assert_eq!(machine.received(&request), result(response, result::ALREADY_OFF));
        }
        assert_eq!(machine.received(&ask(Id::PowerSimOnReq)), [power_up(4)]);
        assert_eq!(machine.powered_up(4, 72, ATR.to_vec()), result(Id::PowerSimOnResp, result::OK));
    }

    #[test]
    fn power_off_and_reset_overtake_a_running_command() {
        for (request, expected) in [(Id::PowerSimOffReq, power_down(2)), (Id::ResetSimReq, power_up(2))] {
            let mut machine = open();
            machine.received(&apdu(&SELECT_MF));
            assert_eq!(machine.received(&ask(request)), [expected]);
            assert_eq!(machine.answered(1, Some(Response::data(vec![1, 2]))), [], "not answered any more");
        }
        let mut machine = open();
        machine.received(&ask(Id::ResetSimReq));
        assert_eq!(machine.received(&ask(Id::ResetSimReq)), [error()]);
        assert_eq!(machine.received(&ask(Id::PowerSimOffReq)), [power_down(3)]);
        assert_eq!(machine.powered_up(2, 71, ATR.to_vec()), []);
        assert_eq!(machine.powered_down(3), [resulting(Id::PowerSimOffResp, result::OK)]);
    }

    #[test]
    fn only_t0_is_spoken() {
        let mut machine = open();
        let answer = |code| [resulting(Id::SetTransportProtocolResp, code)];
        assert_eq!(machine.received(&protocol(0)), answer(result::OK));
        assert_eq!(machine.received(&protocol(1)), answer(result::NOT_SUPPORTED));
        assert_eq!(machine.received(&ask(Id::SetTransportProtocolReq)), [error()]);
        assert_eq!(machine.received(&ask(Id::TransferApduReq)), [error()]);
    }

    /// A client whose card was taken out and is in again.
    fn inserted() -> Machine {
        let mut machine = open();
        machine.replug();
        machine.look_for_card();
        assert_eq!(machine.powered_up(3, 72, ATR.to_vec()), [status(change::INSERTED)]);
        machine
    }

    #[test]
    fn a_replug_is_removed_then_inserted() {
        let mut machine = open();
        machine.received(&apdu(&SELECT_MF));
        assert_eq!(
            machine.replug(),
            [
                resulting(Id::TransferApduResp, result::REMOVED),
                status(change::REMOVED),
                power_down(2),
                Output::Away(Away::Replug)
            ]
        );
        assert_eq!(machine.received(&apdu(&SELECT_MF)), [resulting(Id::TransferApduResp, result::REMOVED)]);
        assert_eq!(machine.received(&ask(Id::PowerSimOnReq)), [resulting(Id::PowerSimOnResp, result::REMOVED)]);
        assert_eq!(machine.look_for_card(), [power_up(3)]);
        assert_eq!(machine.powered_up(3, 72, ATR.to_vec()), [status(change::INSERTED)]);
        assert_eq!(machine.look_for_card(), []);
        assert!(matches!(machine.received(&ask(Id::TransferAtrReq))[..], [Output::Send(_)]));
        assert_eq!(Machine::new(Arc::default()).replug(), [], "nobody is there to see it");
    }

    #[test]
    fn an_inserted_card_may_be_powered_up_once_more() {
        // As osmocom-bb's client does whenever a card is inserted.
        let mut machine = inserted();
        assert_eq!(machine.received(&ask(Id::PowerSimOnReq)), [power_up(4)]);
        assert_eq!(machine.powered_up(4, 73, ATR.to_vec()), [resulting(Id::PowerSimOnResp, result::OK)]);
        let already_on = [resulting(Id::PowerSimOnResp, result::ALREADY_ON)];
        assert_eq!(machine.received(&ask(Id::PowerSimOnReq)), already_on);
        // One that has used the card, or asked whether it has power, knows.
        for other in [Id::TransferAtrReq, Id::TransferCardReaderStatusReq] {
            let mut machine = inserted();
            machine.received(&ask(other));
            assert_eq!(machine.received(&ask(Id::PowerSimOnReq)), already_on);
        }
    }

    #[test]
    fn a_replug_while_the_card_is_away_is_the_same_one_and_one_of_a_lost_card_is_told() {
        let status_of = Arc::<Status>::default();
        let mut machine = Machine::new(status_of.clone());
        machine.received(&connect_req(300));
        machine.powered_up(1, 70, ATR.to_vec());
        let away = Output::Away(Away::Replug);
        machine.replug();
        assert_eq!(machine.look_for_card(), [power_up(3)]);
        assert_eq!(machine.replug(), [power_down(4), Output::Away(Away::Replug)]);
        assert_eq!(machine.powered_up(3, 71, ATR.to_vec()), []);
        assert_eq!(machine.look_for_card(), [power_up(5)]);
        assert_eq!(machine.powered_up(5, 72, ATR.to_vec()), [status(change::INSERTED)]);
        assert_eq!(status_of.replugs(), 1);
        machine.card_lost();
        assert_eq!(machine.replug(), [status(change::REMOVED), power_down(7), away]);
        assert_eq!(status_of.replugs(), 2);
        machine.card_lost();
        machine.look_for_card();
        assert_eq!(machine.powered_up(9, 73, ATR.to_vec()), [status(change::INSERTED)]);
    }

    #[test]
    fn a_card_that_is_lost_is_told_once_and_may_recover() {
        let mut machine = open();
        machine.received(&ask(Id::ResetSimReq));
        let lost = Output::Away(Away::Lost);
        assert_eq!(
            machine.card_lost(),
            [
                resulting(Id::ResetSimResp, result::NOT_ACCESSIBLE),
                status(change::NOT_ACCESSIBLE),
                Output::Away(Away::Lost)
            ]
        );
        assert_eq!(machine.look_for_card(), [power_up(4)]);
        assert_eq!(machine.card_lost(), [lost]);
        assert_eq!(machine.received(&apdu(&SELECT_MF)), [resulting(Id::TransferApduResp, result::NOT_ACCESSIBLE)]);
        assert_eq!(machine.look_for_card(), [power_up(6)]);
        assert_eq!(machine.powered_up(6, 72, ATR.to_vec()), [status(change::RECOVERED)]);
        let mut machine = Machine::new(Arc::default());
        machine.received(&connect_req(300));
        assert_eq!(machine.card_lost(), [connected(connection::UNABLE, None)], "no card is offered that is not there");
        assert!(!machine.is_open());
    }

    #[test]
    fn leaving_is_removed_then_a_graceful_and_at_last_an_immediate_disconnection() {
        let mut machine = open();
        machine.received(&apdu(&SELECT_MF));
        assert_eq!(
            machine.leave(),
            [resulting(Id::TransferApduResp, result::REMOVED), status(change::REMOVED), disconnection(GRACEFUL)]
        );
        assert_eq!(machine.received(&apdu(&SELECT_MF)), [resulting(Id::TransferApduResp, result::REMOVED)]);
        assert_eq!(machine.received(&ask(Id::DisconnectReq)), [Output::Send(ask(Id::DisconnectResp)), Output::Parted]);
        let mut machine = open();
        machine.replug();
        machine.look_for_card();
        assert_eq!(machine.leave(), [disconnection(GRACEFUL)], "it knows");
        let mut machine = open();
        machine.leave();
        assert_eq!(machine.card_lost(), [], "nor is it offered again");
        assert_eq!(machine.replug(), []);
        assert_eq!(machine.look_for_card(), []);
        assert_eq!(machine.leave_now(), [disconnection(IMMEDIATE)]);
        assert_eq!(Machine::new(Arc::default()).leave(), [Output::Parted]);
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        let mut machine = open();
        for id in [Id::ConnectReq, Id::ConnectResp, Id::StatusInd, Id::DisconnectInd, Id::ErrorResp] {
            assert_eq!(machine.received(&ask(id)), [error()]);
        }
        assert_eq!(machine.malformed(), [error()]);
    }

    fn request() -> impl Strategy<Value = Message> {
        prop_oneof![
            Just(connect_req(300)),
            Just(ask(Id::DisconnectReq)),
            proptest::collection::vec(0..4u8, 0..8).prop_map(|bytes| apdu(&bytes)),
            Just(ask(Id::TransferAtrReq)),
            Just(ask(Id::PowerSimOffReq)),
            Just(ask(Id::PowerSimOnReq)),
            Just(ask(Id::ResetSimReq)),
            Just(ask(Id::TransferCardReaderStatusReq)),
            (0..3u8).prop_map(protocol),
        ]
    }

    proptest! {
        /// Whatever is asked while whatever goes on: every request that the slot has done is answered, once.
        #[test]
        fn no_sequence_panics_or_leaves_a_request_open(
            requests in proptest::collection::vec((request(), 0..6u8), 0..40),
        ) {
            let mut machine = Machine::new(Arc::default());
            for (request, also) in requests {
                let mut todo = machine.received(&request);
                match also {
                    0 => todo.extend(machine.replug()),
                    1 => todo.extend(machine.card_lost()),
                    _ => {}
                }
                while !todo.is_empty() {
                    match todo.remove(0) {
                        Output::Work(Work::PowerUp { epoch }) => {
                            todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec()));
                        }
                        Output::Work(Work::PowerDown { epoch }) => todo.extend(machine.powered_down(epoch)),
                        Output::Work(Work::Transmit { epoch, .. }) => {
                            todo.extend(machine.answered(epoch, Some(Response::data(vec![0; 3]))));
                        }
                        Output::Away(_) => todo.extend(machine.look_for_card()),
                        Output::Send(_) | Output::Parted => {}
                    }
                }
                prop_assert_eq!(machine.request, None);
            }
        }
    }
}
