//! The ways to reach a card, and [`Slot`]: what a modem or an LPA attaches to.
//!
//! | module | what |
//! | --- | --- |
//! | [`link`] | [`CardLink`]: a card that can be reached; [`Wire`]: over anything that carries bytes |
//! | [`slot`] | [`Slot`]: one thread owns the link; generations and events |
//! | `software` | the software TEE: the card built in, for development (feature `software`) |
//! | [`optee`] | the card in the secure world (the client library: feature `optee`) |
//! | [`socket`] | the daemon's socket: the LPA's interface of its card, for other processes |
//! | `replug` | when the modem is replugged after a profile switch |
#![forbid(unsafe_code)]

pub mod link;
pub mod optee;
mod replug;
pub mod slot;
pub mod socket;
#[cfg(feature = "software")]
pub mod software;

pub use link::{CardLink, Exchange, LinkError, Wire};
pub use replug::Patience;
pub use slot::{Event, ModemAttachment, PoweredUp, Slot, SlotConfig};
pub use teuicc_wire::{Hello, Interface, Transmitted};
