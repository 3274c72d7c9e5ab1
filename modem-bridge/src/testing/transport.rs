//! How a modem reaches a card.

use std::io::{self, ErrorKind};
use std::time::Duration;
use teuicc_apdu::Response;
use teuicc_apdu::t0::{Step, T0};
use teuicc_slot::{Interface, Slot};

/// A card reader as a modem has it, with T=0 TPDUs. Errors of any call: the card is not there, or not any more.
pub trait Transport {
    /// Takes the power from the card and gives it back. The answer to reset.
    fn cold_reset(&mut self) -> io::Result<Vec<u8>>;

    /// Resets the card. The answer to reset.
    fn warm_reset(&mut self) -> io::Result<Vec<u8>>;

    /// Sends one TPDU of 4 to 261 bytes; the answer is data, SW1 and SW2, of 2 to 258 bytes.
    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>>;
}

/// A modem's slot behind a virtual SIM interface, which the card can leave and come back to.
pub trait ModemSide: Transport {
    /// Waits until the card is taken out. Errors: it was not in time, or something else came instead.
    fn await_removal(&mut self, within: Duration) -> io::Result<()>;

    /// Sees that the card stays in. Errors: it was taken out, or something else came.
    fn stays_in(&mut self, within: Duration) -> io::Result<()> {
        match self.await_removal(within) {
            Ok(()) => Err(io::Error::other("the card was taken out")),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until there is a card. Errors: none came in time.
    fn await_card(&mut self, within: Duration) -> io::Result<()>;

    /// Waits until the card counts as lost, where that is not the same as taken out.
    fn await_loss(&mut self, within: Duration) -> io::Result<()> {
        self.await_removal(within)
    }

    /// Waits until a card that was lost is there again.
    fn await_return(&mut self, within: Duration) -> io::Result<()> {
        self.await_card(within)
    }

    /// Says good-bye to a bridge that ends, where the interface has a word for it.
    fn part(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        (**self).cold_reset()
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        (**self).warm_reset()
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        (**self).tpdu(tpdu)
    }
}

/// Straight to a slot: no virtual SIM interface between.
pub struct SlotTransport {
    slot: Slot,
    t0: T0,
    generation: u64,
}

impl SlotTransport {
    /// The modem's interface of `slot`. Not to be used in an async task: its calls block.
    #[must_use]
    pub fn new(slot: Slot) -> Self {
        SlotTransport { slot, t0: T0::new(), generation: 0 }
    }
}

impl Transport for SlotTransport {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.slot.blocking_power_down(Interface::Modem).map_err(io::Error::other)?;
        self.warm_reset()
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        let powered = self.slot.blocking_power_up(Interface::Modem).map_err(io::Error::other)?;
        self.t0.reset();
        self.generation = powered.generation;
        Ok(powered.atr)
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        match self.t0.tpdu(tpdu) {
            Step::Answer(answer) => Ok(answer),
            Step::Execute(apdu) => {
                let done = self.slot.blocking_transmit(Interface::Modem, self.generation, vec![apdu]);
                let done = done.map_err(io::Error::other)?;
                let response = Response::parse(&done.last).ok_or_else(|| io::Error::other("no status word"))?;
                Ok(self.t0.response(response))
            }
        }
    }
}
