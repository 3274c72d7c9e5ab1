//! The card as a whole: two interfaces, one UICC, one eUICC.

use crate::platform::{Platform, Rng, Store};
use alloc::vec::Vec;
use teuicc_apdu::Response;
use teuicc_wire::{Error, Interface};

/// The card.
pub struct Card<R: Rng, S: Store> {
    platform: Platform<R, S>,
}

impl<R: Rng, S: Store> Card<R, S> {
    /// Boots the card from its store. Never fails: an error is kept, and is the answer to every request.
    #[must_use]
    pub fn boot(platform: Platform<R, S>) -> Self {
        Card { platform }
    }

    /// Answers one request of `teuicc-wire` with one response, both encoded. Never fails.
    #[must_use]
    pub fn process(&mut self, _request: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    /// Powers or resets an interface; the answer to reset, at most 32 bytes. Errors: a card that did not boot.
    pub fn power_up(&mut self, _interface: Interface) -> Result<&'static [u8], Error> {
        Err(Error::StoreUnavailable)
    }

    /// Takes power from an interface. Errors: a card that did not boot, or a store that does not write.
    pub fn power_down(&mut self, _interface: Interface) -> Result<(), Error> {
        Err(Error::StoreUnavailable)
    }

    /// Executes one command APDU. Errors: a card that did not boot, or an interface without power.
    pub fn transmit(&mut self, _interface: Interface, _command: &[u8]) -> Result<Response, Error> {
        Err(Error::NotPowered)
    }

    /// Takes the power from everything and gives the platform back.
    #[must_use]
    pub fn into_platform(self) -> Platform<R, S> {
        self.platform
    }
}
