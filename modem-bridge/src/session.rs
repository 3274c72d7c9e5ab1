//! What every interface's machine has in it: the card's power, and one T=0 TPDU at a time. Sans-IO.
//!
//! Every power-up, reset and power-down begins an epoch; what belongs to an older one is dropped. A machine gives the
//! [`Work`] to its driver, whose [`Port`](crate::port::Port) does it with the slot and says how it went, by the epoch.

use crate::status::Status;
use std::sync::Arc;
use teuicc_apdu::Response;
use teuicc_apdu::t0::{Step, T0};

/// What the slot is to do.
#[derive(PartialEq, Eq)]
pub(crate) enum Work {
    /// Power up or reset the modem's interface.
    PowerUp { epoch: u64 },
    /// Take the power from the modem's interface.
    PowerDown { epoch: u64 },
    /// Give this command to the card.
    Transmit { epoch: u64, generation: u64, apdu: Vec<u8> },
}

/// What follows from a TPDU.
#[derive(PartialEq, Eq)]
pub(crate) enum Next {
    /// These bytes answer it: data, SW1, SW2.
    Answer(Vec<u8>),
    /// This is to be done; [`Session::answered`] gives the answer.
    Work(Work),
    /// It waits for the power-up: [`Session::powered_up`] gives it back.
    Held,
    /// The card has no power.
    NoPower,
}

/// How the card answered the TPDU that was given to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// With these bytes: data, SW1, SW2.
    Bytes(Vec<u8>),
    /// Not at all, or not in time.
    Failed,
    /// For nobody any more: the answer belongs to an older epoch.
    Late,
}

/// Why the card is away, where an interface can say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    /// Taken out, for the modem to see that it changed.
    Replug,
    /// It cannot be reached.
    Lost,
}

impl Away {
    /// The card leaves for this reason; `away` says whether and why it is away. What it was before: whether the modem
    /// has been told. A replug stays one until the card is back, for the modem to see that it changed.
    pub(crate) fn begin(self, away: &mut Option<Away>) -> Option<Away> {
        let before = *away;
        if before != Some(Away::Replug) {
            *away = Some(self);
        }
        before
    }
}

/// A TPDU came before the last one was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a command before the last one was answered")]
pub(crate) struct Overlap;

enum Power {
    Off,
    /// Asked for, and the TPDU that came meanwhile.
    Rising {
        held: Option<Vec<u8>>,
    },
    On {
        generation: u64,
        executing: bool,
    },
}

/// The card's power and its T=0 state, as one modem has them.
pub(crate) struct Session {
    power: Power,
    t0: T0,
    epoch: u64,
    status: Arc<Status>,
}

impl Session {
    /// A card without power. `status` counts what the modem does.
    pub(crate) fn new(status: Arc<Status>) -> Self {
        Session { power: Power::Off, t0: T0::new(), epoch: 0, status }
    }

    /// The modem powers the card up or resets it. A TPDU that was under way is forgotten.
    pub(crate) fn power_up(&mut self) -> Work {
        self.next_epoch();
        self.status.count_reset();
        self.power = Power::Rising { held: None };
        Work::PowerUp { epoch: self.epoch }
    }

    /// The card's power is taken away. A TPDU that was under way is forgotten.
    pub(crate) fn power_down(&mut self) -> Work {
        self.next_epoch();
        self.power = Power::Off;
        Work::PowerDown { epoch: self.epoch }
    }

    /// The modem is told that the card leaves, for it to see that it changed.
    pub(crate) fn count_replug(&self) {
        tracing::info!("the card is taken out, for the modem to see that it changed");
        self.status.count_replug();
    }

    /// Whether a power-up is under way.
    pub(crate) fn is_rising(&self) -> bool {
        matches!(self.power, Power::Rising { .. })
    }

    /// Whether the card has power.
    pub(crate) fn is_on(&self) -> bool {
        matches!(self.power, Power::On { .. })
    }

    /// Whether a TPDU is under way.
    pub(crate) fn is_executing(&self) -> bool {
        matches!(self.power, Power::Rising { held: Some(_) } | Power::On { executing: true, .. })
    }

    /// The power-up of `epoch` succeeded. `None`: nobody waits for it any more. Otherwise the TPDU that came meanwhile,
    /// if there is one, to be given to [`Session::tpdu`].
    pub(crate) fn powered_up(&mut self, epoch: u64, generation: u64) -> Option<Option<Vec<u8>>> {
        let Power::Rising { held } = &mut self.power else { return None };
        if epoch != self.epoch {
            return None;
        }
        let held = held.take();
        self.power = Power::On { generation, executing: false };
        Some(held)
    }

    /// Takes a TPDU from the modem. Errors: the last one has not been answered yet.
    pub(crate) fn tpdu(&mut self, tpdu: &[u8]) -> Result<Next, Overlap> {
        if self.is_executing() {
            return Err(Overlap);
        }
        match &mut self.power {
            Power::Off => Ok(Next::NoPower),
            Power::Rising { held } => {
                *held = Some(tpdu.to_vec());
                Ok(Next::Held)
            }
            Power::On { generation, executing } => {
                self.status.count_command();
                match self.t0.tpdu(tpdu) {
                    Step::Answer(answer) => Ok(Next::Answer(answer)),
                    Step::Execute(apdu) => {
                        *executing = true;
                        Ok(Next::Work(Work::Transmit { epoch: self.epoch, generation: *generation, apdu }))
                    }
                }
            }
        }
    }

    /// The card answered the TPDU of `epoch`; `None` if it could not.
    pub(crate) fn answered(&mut self, epoch: u64, response: Option<Response>) -> Answered {
        match &mut self.power {
            Power::On { executing, .. } if epoch == self.epoch && *executing => {
                *executing = false;
                response.map_or(Answered::Failed, |response| Answered::Bytes(self.t0.response(response)))
            }
            _ => Answered::Late,
        }
    }

    fn next_epoch(&mut self) {
        self.epoch += 1;
        self.t0.reset();
    }
}

#[cfg(test)]
impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Work::PowerUp { epoch } => write!(f, "PowerUp({epoch})"),
            Work::PowerDown { epoch } => write!(f, "PowerDown({epoch})"),
            Work::Transmit { epoch, generation, apdu } => write!(f, "Transmit({epoch}, {generation}, {apdu:02X?})"),
        }
    }
}

#[cfg(test)]
impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Next::Answer(answer) => write!(f, "Answer({answer:02X?})"),
            Next::Work(work) => work.fmt(f),
            Next::Held => f.write_str("Held"),
            Next::NoPower => f.write_str("NoPower"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const SELECT_MF: [u8; 7] = hex!("00A40004023F00");

    fn powered() -> Session {
        let mut session = Session::new(Arc::default());
        assert_eq!(session.power_up(), Work::PowerUp { epoch: 1 });
        assert_eq!(session.powered_up(1, 70), Some(None));
        session
    }

    fn executes(session: &mut Session, epoch: u64, generation: u64) {
        let work = Work::Transmit { epoch, generation, apdu: SELECT_MF.to_vec() };
        assert_eq!(session.tpdu(&SELECT_MF), Ok(Next::Work(work)));
    }

    fn bytes(bytes: &[u8]) -> Answered {
        Answered::Bytes(bytes.to_vec())
    }

    #[test]
    fn commands_go_through_t0() {
        let mut session = powered();
        let work = Work::Transmit { epoch: 1, generation: 70, apdu: SELECT_MF.to_vec() };
        assert_eq!(session.tpdu(&hex!("00A40004023F0000")), Ok(Next::Work(work)));
        assert_eq!(session.tpdu(&SELECT_MF), Err(Overlap));
        assert_eq!(session.answered(1, Some(Response::data(vec![1, 2]))), bytes(&hex!("6102")));
        assert_eq!(session.tpdu(&hex!("00C0000002")), Ok(Next::Answer(hex!("01029000").to_vec())));
        assert_eq!(session.tpdu(&hex!("00A4")), Ok(Next::Answer(hex!("6700").to_vec())));
    }

    #[test]
    fn a_card_without_power_or_without_an_answer_is_told_apart() {
        assert_eq!(Session::new(Arc::default()).tpdu(&SELECT_MF), Ok(Next::NoPower));
        let mut session = powered();
        executes(&mut session, 1, 70);
        assert_eq!(session.answered(1, None), Answered::Failed);
        executes(&mut session, 1, 70);
        session.power_down();
        assert_eq!(session.answered(1, Some(Response::data(vec![1]))), Answered::Late);
        assert_eq!(session.tpdu(&SELECT_MF), Ok(Next::NoPower));
    }

    #[test]
    fn a_reset_drops_the_running_command_and_pending_data() {
        let mut session = powered();
        executes(&mut session, 1, 70);
        session.answered(1, Some(Response::data(vec![1, 2])));
        assert_eq!(session.power_up(), Work::PowerUp { epoch: 2 });
        assert_eq!(session.powered_up(2, 71), Some(None));
        assert_eq!(session.tpdu(&hex!("00C0000002")), Ok(Next::Answer(hex!("6985").to_vec())));
        executes(&mut session, 2, 71);
        session.power_up();
        assert_eq!(session.powered_up(2, 71), None);
        assert_eq!(session.answered(2, Some(Response::data(vec![1, 2]))), Answered::Late);
        assert_eq!(session.powered_up(3, 72), Some(None));
        // Neither does a late answer to the second epoch end the third one's command.
        executes(&mut session, 3, 72);
        assert_eq!(session.answered(2, Some(Response::data(vec![1, 2]))), Answered::Late);
        assert_eq!(session.answered(3, Some(Response::data(vec![1, 2]))), bytes(&hex!("6102")));
    }

    #[test]
    fn a_command_during_the_power_up_waits_for_it() {
        let mut session = Session::new(Arc::default());
        session.power_up();
        assert_eq!(session.tpdu(&SELECT_MF), Ok(Next::Held));
        assert_eq!(session.tpdu(&SELECT_MF), Err(Overlap));
        assert_eq!(session.powered_up(1, 70), Some(Some(SELECT_MF.to_vec())));
        executes(&mut session, 1, 70);
    }
}
