//! The other side, for tests: a modem, the readers that it sits behind, and a network.
//!
//! | module | what |
//! | --- | --- |
//! | [`transport`] | how the modem reaches a card: [`Transport`]; straight to a slot: [`SlotTransport`] |
//! | [`attached`] | a bridge that runs, with the modem's side of it |
//! | [`frames`] | every reader of what a peer sends, on any bytes |
//! | [`json`] | the client's side of JSON lines |
//! | [`qmi`] | the modem's side of QMI UIM Remote |
//! | [`rspro`] | the server's and a client's side of RSPRO |
//! | [`sap`] | the client's side of SAP |
//! | [`vpcd`] | the reader's side of vpcd |
//! | [`modem`] | a modem that boots (also with all that a phone asks), attaches and obeys a REFRESH |
//! | [`network`] | an authentication centre, by a Milenage that is not the card's |

pub mod attached;
pub mod frames;
pub mod json;
pub mod modem;
pub mod network;
pub mod qmi;
pub mod rspro;
pub mod sap;
pub mod transport;
pub mod vpcd;

pub use attached::{Attached, Kind, Running};
pub use transport::{ModemSide, SlotTransport, Transport};
