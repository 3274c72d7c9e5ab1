//! What a card does in a virtual reader. Sans-IO: frames and the slot's answers come in, [`Output`]s go out.

use super::codec::control;
use teuicc_apdu::t0::{Step, T0};
use teuicc_apdu::{Response, StatusWord};

/// How many ATRs a reader may have asked for without having got one.
const MAX_ATRS_OWED: u8 = 8;

/// What is to be done next, in this order.
#[derive(PartialEq, Eq)]
pub(crate) enum Output {
    /// Send this payload to the reader.
    Send(Vec<u8>),
    /// Power up or reset the modem's interface, then call [`Machine::powered_up`].
    PowerUp { epoch: u64 },
    /// Take the power from the modem's interface.
    PowerDown,
    /// Give this command to the card, then call [`Machine::answered`].
    Transmit { epoch: u64, generation: u64, apdu: Vec<u8> },
}

/// What no reader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame without content")]
    Empty,
    #[error("a command before the last one was answered")]
    Overlap,
    #[error("too many requests for the ATR at once")]
    Flood,
}

enum Power {
    Off,
    /// Asked for, and the command that came meanwhile.
    Rising {
        held: Option<Vec<u8>>,
    },
    On {
        generation: u64,
        executing: bool,
    },
}

/// A card in a virtual reader.
pub(crate) struct Machine {
    atr: Vec<u8>,
    atrs_owed: u8,
    power: Power,
    t0: T0,
    /// Counts power-ups, resets and power-offs: what belongs to an older one is dropped.
    epoch: u64,
}

impl Machine {
    /// A card that answered a reset with `atr`, and has no power now.
    pub(crate) fn new(atr: Vec<u8>) -> Self {
        Machine { atr, atrs_owed: 0, power: Power::Off, t0: T0::new(), epoch: 0 }
    }

    /// Takes one frame's payload from the reader. Errors: no reader does this; hang up.
    pub(crate) fn frame(&mut self, payload: &[u8]) -> Result<Vec<Output>, Violation> {
        match payload {
            [] => Err(Violation::Empty),
            [control::OFF] => Ok(self.power_off()),
            [control::ON | control::RESET] => {
                self.next_epoch();
                self.power = Power::Rising { held: None };
                Ok(vec![Output::PowerUp { epoch: self.epoch }])
            }
            [control::GET_ATR] => self.get_atr(),
            // No answer is known to be expected.
            [_] => Ok(Vec::new()),
            tpdu => self.tpdu(tpdu),
        }
    }

    /// The power-up of `epoch` succeeded.
    pub(crate) fn powered_up(&mut self, epoch: u64, generation: u64, atr: Vec<u8>) -> Vec<Output> {
        let Power::Rising { held } = &mut self.power else { return Vec::new() };
        if epoch != self.epoch {
            return Vec::new();
        }
        let held = held.take();
        self.atr = atr;
        self.power = Power::On { generation, executing: false };
        let mut outputs = self.owed_atrs();
        if let Some(tpdu) = held {
            // Never an overlap: nothing is executing.
            outputs.extend(self.tpdu(&tpdu).unwrap_or_default());
        }
        outputs
    }

    /// The card answered the command of `epoch`; `None` if it could not.
    pub(crate) fn answered(&mut self, epoch: u64, response: Option<Response>) -> Vec<Output> {
        match &mut self.power {
            Power::On { executing, .. } if epoch == self.epoch && *executing => {
                *executing = false;
                let response = response.unwrap_or(Response::status(StatusWord::TECHNICAL_PROBLEM));
                vec![Output::Send(self.t0.response(response))]
            }
            _ => Vec::new(),
        }
    }

    fn power_off(&mut self) -> Vec<Output> {
        self.next_epoch();
        self.power = Power::Off;
        let mut outputs = self.owed_atrs();
        outputs.push(Output::PowerDown);
        outputs
    }

    fn get_atr(&mut self) -> Result<Vec<Output>, Violation> {
        if self.atrs_owed == MAX_ATRS_OWED {
            return Err(Violation::Flood);
        }
        self.atrs_owed += 1;
        Ok(if matches!(self.power, Power::Rising { .. }) { Vec::new() } else { self.owed_atrs() })
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> Result<Vec<Output>, Violation> {
        match &mut self.power {
            Power::Off => Ok(vec![Output::Send(StatusWord::TECHNICAL_PROBLEM.0.to_be_bytes().to_vec())]),
            Power::Rising { held: Some(_) } | Power::On { executing: true, .. } => Err(Violation::Overlap),
            Power::Rising { held } => {
                *held = Some(tpdu.to_vec());
                Ok(Vec::new())
            }
            Power::On { generation, executing } => Ok(vec![match self.t0.tpdu(tpdu) {
                Step::Answer(answer) => Output::Send(answer),
                Step::Execute(apdu) => {
                    *executing = true;
                    Output::Transmit { epoch: self.epoch, generation: *generation, apdu }
                }
            }]),
        }
    }

    fn owed_atrs(&mut self) -> Vec<Output> {
        let owed = std::mem::take(&mut self.atrs_owed);
        (0..owed).map(|_| Output::Send(self.atr.clone())).collect()
    }

    fn next_epoch(&mut self) {
        self.epoch += 1;
        self.t0.reset();
    }
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
                Output::PowerUp { epoch } => write!(f, "PowerUp({epoch})"),
                Output::PowerDown => f.write_str("PowerDown"),
                Output::Transmit { epoch, generation, apdu } => {
                    write!(f, "Transmit({epoch}, {generation}, {apdu:02X?})")
                }
            }
        }
    }

    fn powered() -> Machine {
        let mut machine = Machine::new(OLD_ATR.to_vec());
        assert_eq!(machine.frame(&[1]), Ok(vec![Output::PowerUp { epoch: 1 }]));
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), []);
        machine
    }

    fn send(bytes: &[u8]) -> Vec<Output> {
        vec![Output::Send(bytes.to_vec())]
    }

    #[test]
    fn what_pcscd_does_at_insertion() {
        let mut machine = Machine::new(OLD_ATR.to_vec());
        assert_eq!(machine.frame(&[4]), Ok(send(&OLD_ATR)));
        assert_eq!(machine.frame(&[4]), Ok(send(&OLD_ATR)));
        assert_eq!(machine.frame(&[1]), Ok(vec![Output::PowerUp { epoch: 1 }]));
        // Its ATR is due when the card has answered the power-up.
        assert_eq!(machine.frame(&[4]), Ok(vec![]));
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), send(&ATR));
        assert_eq!(machine.frame(&[0]), Ok(vec![Output::PowerDown]));
        assert_eq!(machine.frame(&[4]), Ok(send(&ATR)));
    }

    #[test]
    fn commands_go_through_t0() {
        let mut machine = powered();
        let expected = Output::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() };
        assert_eq!(machine.frame(&hex!("00A40004023F0000")), Ok(vec![expected]));
        assert_eq!(machine.answered(1, Some(Response::data(vec![1, 2]))), send(&hex!("6102")));
        assert_eq!(machine.frame(&hex!("00C0000002")), Ok(send(&hex!("01029000"))));
        assert_eq!(machine.frame(&hex!("00A4")), Ok(send(&hex!("6700"))));
    }

    #[test]
    fn a_card_that_cannot_answer_leaves_no_silence() {
        let mut machine = powered();
        machine.frame(&SELECT_MF).unwrap();
        assert_eq!(machine.answered(1, None), send(&hex!("6F00")));
        assert_eq!(Machine::new(OLD_ATR.to_vec()).frame(&SELECT_MF), Ok(send(&hex!("6F00"))));
    }

    #[test]
    fn a_reset_drops_the_running_command_and_pending_data() {
        let mut machine = powered();
        machine.frame(&SELECT_MF).unwrap();
        machine.answered(1, Some(Response::data(vec![1, 2])));
        assert_eq!(machine.frame(&[2]), Ok(vec![Output::PowerUp { epoch: 2 }]));
        machine.powered_up(2, 71, ATR.to_vec());
        assert_eq!(machine.frame(&hex!("00C0000002")), Ok(send(&hex!("6985"))));
        machine.frame(&SELECT_MF).unwrap();
        machine.frame(&[2]).unwrap();
        assert_eq!(machine.answered(2, Some(Response::data(vec![1, 2]))), []);
        assert_eq!(machine.powered_up(2, 71, OLD_ATR.to_vec()), []);
        machine.powered_up(3, 72, ATR.to_vec());
        // Neither does a late answer to the second epoch end the third one's command.
        machine.frame(&SELECT_MF).unwrap();
        assert_eq!(machine.answered(2, Some(Response::data(vec![1, 2]))), []);
        assert_eq!(machine.answered(3, Some(Response::data(vec![1, 2]))), send(&hex!("6102")));
    }

    #[test]
    fn a_command_during_the_power_up_waits_and_power_off_answers_what_is_owed() {
        let mut machine = Machine::new(OLD_ATR.to_vec());
        machine.frame(&[1]).unwrap();
        assert_eq!(machine.frame(&SELECT_MF), Ok(vec![]));
        let expected = Output::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() };
        assert_eq!(machine.powered_up(1, 70, ATR.to_vec()), [expected]);
        machine.frame(&[2]).unwrap();
        machine.frame(&[4]).unwrap();
        assert_eq!(machine.frame(&[0]), Ok(vec![Output::Send(ATR.to_vec()), Output::PowerDown]));
        assert_eq!(machine.powered_up(2, 71, ATR.to_vec()), []);
    }

    #[test]
    fn what_no_reader_does_is_told() {
        let mut machine = powered();
        assert_eq!(machine.frame(&[]), Err(Violation::Empty));
        machine.frame(&SELECT_MF).unwrap();
        assert_eq!(machine.frame(&SELECT_MF), Err(Violation::Overlap));
        let mut machine = Machine::new(ATR.to_vec());
        machine.frame(&[1]).unwrap();
        machine.frame(&SELECT_MF).unwrap();
        assert_eq!(machine.frame(&SELECT_MF), Err(Violation::Overlap));
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
            let mut machine = Machine::new(ATR.to_vec());
            let mut todo: Vec<Output> = Vec::new();
            for frame in frames {
                let Ok(outputs) = machine.frame(&frame) else { break };
                todo.extend(outputs);
                while todo.len() >= if late { 3 } else { 1 } {
                    match todo.remove(0) {
                        Output::PowerUp { epoch } => todo.extend(machine.powered_up(epoch, epoch, ATR.to_vec())),
                        Output::Transmit { epoch, .. } => {
                            todo.extend(machine.answered(epoch, Some(Response::data(vec![0; 3]))));
                        }
                        Output::Send(payload) => prop_assert!(payload.len() >= 2),
                        Output::PowerDown => {}
                    }
                }
            }
        }
    }
}
