//! The card at the end of a JSON-lines connection. Sans-IO: requests and the slot's answers come in, [`Output`]s go
//! out.

use super::codec::{Error, Line, Request};
use crate::client;
use crate::session::{Answered, Away, Next, Session, Work};
use crate::status::Status;
use std::sync::Arc;
use teuicc_apdu::Response;

pub(crate) type Output = client::Output<Line>;

/// A request that the slot works on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    PowerUp,
    PowerDown { epoch: u64 },
    Tpdu,
}

/// The card, for one client.
pub(crate) struct Machine {
    open: Option<Open>,
    away: Option<Away>,
    atr: Option<Vec<u8>>,
    session: Session,
}

impl Machine {
    /// A card without power.
    pub(crate) fn new(status: Arc<Status>) -> Self {
        Machine { open: None, away: None, atr: None, session: Session::new(status) }
    }

    /// Whether a request is under way: the next one waits for its end.
    pub(crate) fn is_busy(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a request from the client; errors of its line are answered too.
    pub(crate) fn received(&mut self, request: Result<Request, Error>) -> Vec<Output> {
        let request = match request {
            Err(error) => return vec![Output::Send(Line::failed(error))],
            Ok(_) if self.open.is_some() => return vec![Output::Send(Line::failed(Error::Protocol))],
            Ok(request) => request,
        };
        match request {
            Request::Status => {
                let atr = self.atr.as_deref().filter(|_| self.session.is_on());
                vec![Output::Send(Line::status(self.away.is_none(), self.session.is_on(), atr))]
            }
            // It has none; and the card is looked for by a power-up.
            Request::PowerDown if self.away.is_some() => vec![Output::Send(Line::done())],
            Request::PowerDown => {
                let work = self.session.power_down();
                if let Work::PowerDown { epoch } = work {
                    self.open = Some(Open::PowerDown { epoch });
                }
                vec![Output::Work(work)]
            }
            _ if self.away == Some(Away::Replug) => vec![Output::Send(Line::failed(Error::NoCard))],
            Request::Tpdu(_) if self.away.is_some() => vec![Output::Send(Line::failed(Error::NoCard))],
            // One that was lost may be there again.
            Request::PowerUp | Request::Reset => {
                self.open = Some(Open::PowerUp);
                vec![Output::Work(self.session.power_up())]
            }
            Request::Tpdu(tpdu) => match self.session.tpdu(&tpdu) {
                Ok(Next::Answer(answer)) => vec![Output::Send(Line::data(answer))],
                Ok(Next::Work(work)) => {
                    self.open = Some(Open::Tpdu);
                    vec![Output::Work(work)]
                }
                Ok(Next::NoPower) => vec![Output::Send(Line::failed(Error::NotPowered))],
                // Requests do not overlap, so that a power-up is never under way here.
                Ok(Next::Held) | Err(_) => vec![Output::Send(Line::failed(Error::Protocol))],
            },
        }
    }

    fn answer(&mut self, epoch: u64, response: Option<Response>, failure: Error) -> Vec<Output> {
        match self.session.answered(epoch, response) {
            Answered::Bytes(answer) => self.close(Line::data(answer)),
            Answered::Failed => self.close(Line::failed(failure)),
            Answered::Late => Vec::new(),
        }
    }

    /// The card leaves; whether it was there, and what follows.
    fn go_away(&mut self, why: Away) -> (bool, Vec<Output>) {
        let is_new = why.begin(&mut self.away).is_none();
        let mut outputs = self.close_open();
        if is_new {
            outputs.push(Output::Send(Line::removed()));
        }
        outputs.push(Output::Away(why));
        (is_new, outputs)
    }

    /// Answers the request under way, which the card will not.
    fn close_open(&mut self) -> Vec<Output> {
        match self.open {
            None => Vec::new(),
            Some(Open::PowerDown { .. }) => self.close(Line::done()),
            Some(Open::PowerUp | Open::Tpdu) => self.close(Line::failed(Error::NoCard)),
        }
    }

    fn close(&mut self, line: Line) -> Vec<Output> {
        self.open = None;
        vec![Output::Send(line)]
    }
}

impl client::Machine for Machine {
    type Message = Line;

    fn powered_up(&mut self, epoch: u64, generation: u64, atr: Vec<u8>) -> Vec<Output> {
        if self.session.powered_up(epoch, generation).is_none() {
            return Vec::new();
        }
        let was_away = self.away.take().is_some();
        if self.open == Some(Open::PowerUp) {
            let line = Line::atr(&atr);
            self.atr = Some(atr);
            return self.close(line);
        }
        if !was_away {
            return Vec::new();
        }
        // The client powers it up itself.
        vec![Output::Work(self.session.power_down()), Output::Send(Line::inserted())]
    }

    fn powered_down(&mut self, epoch: u64) -> Vec<Output> {
        if self.open != Some(Open::PowerDown { epoch }) {
            return Vec::new();
        }
        self.close(Line::done())
    }

    fn answered(&mut self, epoch: u64, response: Option<Response>) -> Vec<Output> {
        self.answer(epoch, response, Error::Io)
    }

    fn timed_out(&mut self, epoch: u64) -> Vec<Output> {
        self.answer(epoch, None, Error::Timeout)
    }

    fn card_lost(&mut self) -> Vec<Output> {
        // The slot has no power to take.
        let _ = self.session.power_down();
        self.go_away(Away::Lost).1
    }

    fn replug(&mut self) -> Vec<Output> {
        let mut outputs = vec![Output::Work(self.session.power_down())];
        let (is_new, left) = self.go_away(Away::Replug);
        if is_new {
            self.session.count_replug();
        }
        outputs.extend(left);
        outputs
    }

    fn look_for_card(&mut self) -> Vec<Output> {
        match self.away {
            None => Vec::new(),
            // Not in the middle of a request.
            Some(away) if self.open.is_some() => vec![Output::Away(away)],
            Some(_) => vec![Output::Work(self.session.power_up())],
        }
    }

    fn leave(&mut self) -> Vec<Output> {
        let mut outputs = self.close_open();
        if Away::Replug.begin(&mut self.away).is_none() {
            outputs.push(Output::Send(Line::removed()));
        }
        outputs.push(Output::Parted);
        outputs
    }

    /// It has been told all that there is.
    fn leave_now(&mut self) -> Vec<Output> {
        Vec::new()
    }
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
                Output::Send(line) => f.write_str(&String::from_utf8_lossy(&line.encode())),
                Output::Work(work) => work.fmt(f),
                Output::Away(away) => away.fmt(f),
                Output::Parted => f.write_str("Parted"),
            }
        }
    }

    fn power_up(epoch: u64) -> Output {
        Output::Work(Work::PowerUp { epoch })
    }

    fn power_down(epoch: u64) -> Output {
        Output::Work(Work::PowerDown { epoch })
    }

    fn powered() -> Machine {
        let mut machine = Machine::new(Arc::default());
        assert_eq!(machine.received(Ok(Request::PowerUp)), [power_up(1)]);
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), [Output::Send(Line::atr(&ATR))]);
        machine
    }

    fn tpdu(bytes: &[u8]) -> Result<Request, Error> {
        Ok(Request::Tpdu(bytes.to_vec()))
    }

    fn failed(error: Error) -> [Output; 1] {
        [Output::Send(Line::failed(error))]
    }

    #[test]
    fn the_five_verbs() {
        let mut machine = Machine::new(Arc::default());
        let status = machine.received(Ok(Request::Status));
        assert_eq!(status, [Output::Send(Line::status(true, false, None))]);
        assert_eq!(machine.received(tpdu(&SELECT_MF)), failed(Error::NotPowered));
        let mut machine = powered();
        let work = Work::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() };
        assert_eq!(machine.received(tpdu(&SELECT_MF)), [Output::Work(work)]);
        assert_eq!(machine.received(Ok(Request::Status)), failed(Error::Protocol), "one at a time");
        let answered = machine.answered(1, Some(Response::data(vec![1, 2])));
        assert_eq!(answered, [Output::Send(Line::data(hex!("6102").to_vec()))]);
        let fetched = machine.received(tpdu(&hex!("00C0000002")));
        assert_eq!(fetched, [Output::Send(Line::data(hex!("01029000").to_vec()))]);
        let status = machine.received(Ok(Request::Status));
        assert_eq!(status, [Output::Send(Line::status(true, true, Some(&ATR)))]);
        assert_eq!(machine.received(Ok(Request::Reset)), [power_up(2)]);
        assert_eq!(machine.powered_up(2, 71, ATR.to_vec()), [Output::Send(Line::atr(&ATR))]);
        assert_eq!(machine.received(Ok(Request::PowerDown)), [power_down(3)]);
        assert_eq!(machine.powered_down(3), [Output::Send(Line::done())]);
        assert_eq!(machine.received(Err(Error::BadRequest)), failed(Error::BadRequest));
    }

    #[test]
    fn a_replug_is_removed_then_inserted_and_no_event_comes_within_a_request() {
        let mut machine = powered();
        machine.received(tpdu(&SELECT_MF));
        assert_eq!(
            machine.replug(),
            [
                power_down(2),
                Output::Send(Line::failed(Error::NoCard)),
                Output::Send(Line::removed()),
                Output::Away(Away::Replug)
            ]
        );
        assert_eq!(machine.received(Ok(Request::PowerUp)), failed(Error::NoCard));
        assert_eq!(machine.look_for_card(), [power_up(3)]);
        assert_eq!(machine.received(Ok(Request::PowerDown)), [Output::Send(Line::done())]);
        assert_eq!(machine.powered_up(3, 73, ATR.to_vec()), [power_down(4), Output::Send(Line::inserted())]);
        assert_eq!(machine.received(Ok(Request::PowerUp)), [power_up(5)]);
    }

    #[test]
    fn a_card_that_is_lost_is_told_once_and_may_come_back() {
        let mut machine = powered();
        let lost = Output::Away(Away::Lost);
        assert_eq!(machine.card_lost(), [Output::Send(Line::removed()), Output::Away(Away::Lost)]);
        assert_eq!(machine.card_lost(), [lost]);
        assert_eq!(machine.received(tpdu(&SELECT_MF)), failed(Error::NoCard));
        assert_eq!(machine.received(Ok(Request::PowerUp)), [power_up(4)]);
        assert_eq!(machine.powered_up(4, 73, ATR.to_vec()), [Output::Send(Line::atr(&ATR))]);
        assert_eq!(machine.look_for_card(), []);
        machine.received(tpdu(&SELECT_MF));
        assert_eq!(machine.answered(4, None), failed(Error::Io));
        machine.received(tpdu(&SELECT_MF));
        assert_eq!(machine.timed_out(4), failed(Error::Timeout));
    }

    #[test]
    fn the_end_is_told() {
        let mut machine = powered();
        machine.received(tpdu(&SELECT_MF));
        assert_eq!(
            machine.leave(),
            [Output::Send(Line::failed(Error::NoCard)), Output::Send(Line::removed()), Output::Parted]
        );
    }

    proptest! {
        /// Whatever is asked while whatever goes on: every request is answered once.
        #[test]
        fn no_sequence_panics_or_leaves_a_request_open(steps in proptest::collection::vec((0..6u8, 0..6u8), 0..40)) {
            let mut machine = Machine::new(Arc::default());
            for (request, also) in steps {
                let request = match request {
                    0 => Ok(Request::PowerUp),
                    1 => Ok(Request::Reset),
                    2 => Ok(Request::PowerDown),
                    3 => Ok(Request::Status),
                    4 => tpdu(&SELECT_MF),
                    _ => Err(Error::BadRequest),
                };
                let mut todo = machine.received(request);
                match also {
                    0 => todo.extend(machine.replug()),
                    1 => todo.extend(machine.card_lost()),
                    _ => {}
                }
                let mut answers = 0;
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
                        Output::Send(Line::Event { .. }) | Output::Parted => {}
                        Output::Send(_) => answers += 1,
                    }
                }
                prop_assert_eq!(answers, 1);
            }
        }
    }
}
