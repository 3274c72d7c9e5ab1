//! The other side, for tests: a modem, the readers that it sits behind, and a network.
//!
//! | module | what |
//! | --- | --- |
//! | [`transport`] | how the modem reaches a card: [`Transport`]; straight to a slot: [`SlotTransport`] |
//! | [`vpcd`] | the reader's side of vpcd |
//! | [`modem`] | a modem that boots (also with all that a phone asks), attaches and obeys a REFRESH |
//! | [`network`] | an authentication centre, by a Milenage that is not the card's |

pub mod modem;
pub mod network;
pub mod transport;
pub mod vpcd;

pub use transport::{SlotTransport, Transport};
