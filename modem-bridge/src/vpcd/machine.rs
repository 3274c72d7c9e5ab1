//! What a card does in a virtual reader. Sans-IO: frames and the slot's answers come in, [`Output`]s go out.

use super::codec::control;
use crate::session::{Answered, Next, Overlap, Session, Work};
use crate::status::Status;
use std::sync::Arc;
use teuicc_apdu::{Response, StatusWord};

/// How many ATRs a reader may have asked for without having got one.
const MAX_ATRS_OWED: u8 = 8;

/// What is to be done next, in this order.
#[derive(PartialEq, Eq)]
pub(crate) enum Output {
    /// Send this payload to the reader.
    Send(Vec<u8>),
    /// Let the slot do this.
    Work(Work),
}

/// What no reader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame without content")]
    Empty,
    #[error(transparent)]
    Overlap(#[from] Overlap),
    #[error("too many requests for the ATR at once")]
    Flood,
}

/// A card in a virtual reader.
pub(crate) struct Machine {
    atr: Vec<u8>,
    atrs_owed: u8,
    session: Session,
}

impl Machine {
    /// A card that answered a reset with `atr`, and has no power now.
    pub(crate) fn new(atr: Vec<u8>, status: Arc<Status>) -> Self {
        Machine { atr, atrs_owed: 0, session: Session::new(status) }
    }

    /// Takes one frame's payload from the reader. Errors: no reader does this; hang up.
    pub(crate) fn frame(&mut self, payload: &[u8]) -> Result<Vec<Output>, Violation> {
        match payload {
            [] => Err(Violation::Empty),
            [control::OFF] => {
                let off = Output::Work(self.session.power_down());
                let mut outputs = self.owed_atrs();
                outputs.push(off);
                Ok(outputs)
            }
            [control::ON | control::RESET] => Ok(vec![Output::Work(self.session.power_up())]),
            [control::GET_ATR] => self.get_atr(),
            // No answer is known to be expected.
            [_] => Ok(Vec::new()),
            tpdu => Ok(self.tpdu(tpdu)?),
        }
    }

    /// The power-up of `epoch` succeeded.
    pub(crate) fn powered_up(&mut self, epoch: u64, generation: u64, atr: Vec<u8>) -> Vec<Output> {
        let Some(held) = self.session.powered_up(epoch, generation) else { return Vec::new() };
        self.atr = atr;
        let mut outputs = self.owed_atrs();
        if let Some(tpdu) = held {
            // Never an overlap: nothing is executing.
            outputs.extend(self.tpdu(&tpdu).unwrap_or_default());
        }
        outputs
    }

    /// The card answered the command of `epoch`; `None` if it could not.
    pub(crate) fn answered(&mut self, epoch: u64, response: Option<Response>) -> Vec<Output> {
        match self.session.answered(epoch, response) {
            Answered::Bytes(answer) => vec![Output::Send(answer)],
            Answered::Failed => vec![technical_problem()],
            Answered::Late => Vec::new(),
        }
    }

    fn get_atr(&mut self) -> Result<Vec<Output>, Violation> {
        if self.atrs_owed == MAX_ATRS_OWED {
            return Err(Violation::Flood);
        }
        self.atrs_owed += 1;
        Ok(if self.session.is_rising() { Vec::new() } else { self.owed_atrs() })
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> Result<Vec<Output>, Overlap> {
        Ok(match self.session.tpdu(tpdu)? {
            Next::Answer(answer) => vec![Output::Send(answer)],
            Next::Work(work) => vec![Output::Work(work)],
            Next::Held => Vec::new(),
            Next::NoPower => vec![technical_problem()],
        })
    }

    fn owed_atrs(&mut self) -> Vec<Output> {
        let owed = std::mem::take(&mut self.atrs_owed);
        (0..owed).map(|_| Output::Send(self.atr.clone())).collect()
    }
}

fn technical_problem() -> Output {
    Output::Send(StatusWord::TECHNICAL_PROBLEM.0.to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    const OLD_ATR: [u8; 2] = hex!("3B00");
    const ATR: [u8; 3] = hex!("3B0155");
    const SELECT_MF: [u8; 7] = hex!("00A40004023F00");

    impl std::fmt::Debug for Output {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Output::Send(payload) => write!(f, "Send({payload:02X?})"),
                Output::Work(work) => work.fmt(f),
            }
        }
    }

    fn machine() -> Machine {
        Machine::new(OLD_ATR.to_vec(), Arc::default())
    }

    fn powered() -> Machine {
        let mut machine = machine();
        assert_eq!(machine.frame(&[1]), Ok(power_up(1)));
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), []);
        machine
    }

    fn send(bytes: &[u8]) -> Vec<Output> {
        vec![Output::Send(bytes.to_vec())]
    }

    fn power_up(epoch: u64) -> Vec<Output> {
        vec![Output::Work(Work::PowerUp { epoch })]
    }

    fn power_down(epoch: u64) -> Output {
        Output::Work(Work::PowerDown { epoch })
    }

    #[test]
    fn what_pcscd_does_at_insertion() {
        let mut machine = machine();
        assert_eq!(machine.frame(&[4]), Ok(send(&OLD_ATR)));
        assert_eq!(machine.frame(&[4]), Ok(send(&OLD_ATR)));
        assert_eq!(machine.frame(&[1]), Ok(power_up(1)));
        // Its ATR is due when the card has answered the power-up.
        assert_eq!(machine.frame(&[4]), Ok(vec![]));
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), send(&ATR));
        assert_eq!(machine.frame(&[0]), Ok(vec![power_down(2)]));
        assert_eq!(machine.frame(&[4]), Ok(send(&ATR)));
    }

    #[test]
    fn a_card_that_cannot_answer_leaves_no_silence() {
        let mut machine = powered();
        machine.frame(&SELECT_MF).unwrap();
        assert_eq!(machine.answered(1, None), send(&hex!("6F00")));
        machine.frame(&SELECT_MF).unwrap();
        assert_eq!(machine.answered(1, Some(Response::data(vec![1, 2]))), send(&hex!("6102")));
        assert_eq!(super::tests::machine().frame(&SELECT_MF), Ok(send(&hex!("6F00"))));
    }

    #[test]
    fn a_command_during_the_power_up_waits_and_power_off_answers_what_is_owed() {
        let mut machine = machine();
        machine.frame(&[1]).unwrap();
        assert_eq!(machine.frame(&SELECT_MF), Ok(vec![]));
        let expected = Output::Work(Work::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() });
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), [expected]);
        machine.frame(&[2]).unwrap();
        assert_eq!(machine.answered(1, Some(Response::data(vec![1, 2]))), []);
        machine.frame(&[4]).unwrap();
        assert_eq!(machine.frame(&[0]), Ok(vec![Output::Send(ATR.to_vec()), power_down(3)]));
        assert_eq!(machine.powered_up(2, 71, ATR.to_vec()), []);
    }

    #[test]
    fn what_no_reader_does_is_told() {
        let mut machine = powered();
        assert_eq!(machine.frame(&[]), Err(Violation::Empty));
        machine.frame(&SELECT_MF).unwrap();
        assert_eq!(machine.frame(&SELECT_MF), Err(Violation::Overlap(Overlap)));
        machine.frame(&[1]).unwrap();
        for _ in 0..MAX_ATRS_OWED {
            assert_eq!(machine.frame(&[4]), Ok(vec![]));
        }
        assert_eq!(machine.frame(&[4]), Err(Violation::Flood));
        assert_eq!(machine.frame(&[3]), Ok(vec![]));
    }

    proptest! {
        /// Whatever comes, every command and every GET ATR is answered once, and no command overlaps another.
        #[test]
        fn no_sequence_panics_or_leaves_the_reader_waiting(
            frames in proptest::collection::vec(proptest::collection::vec(0..8u8, 0..7), 0..40),
            late in any::<bool>(),
        ) {
            let mut machine = machine();
            let mut todo: Vec<Output> = Vec::new();
            for frame in frames {
                let Ok(outputs) = machine.frame(&frame) else { break };
                todo.extend(outputs);
                while todo.len() >= if late { 3 } else { 1 } {
                    match todo.remove(0) {
                        Output::Work(Work::PowerUp { epoch }) => {
                            todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec()));
                        }
                        Output::Work(Work::Transmit { epoch, .. }) => {
                            todo.extend(machine.answered(epoch, Some(Response::data(vec![0; 3]))));
                        }
                        Output::Work(Work::PowerDown { .. }) => {}
                        Output::Send(payload) => prop_assert!(payload.len() >= 2),
                    }
                }
            }
        }
    }
}
