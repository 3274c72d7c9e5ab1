//! `teuiccd`, the daemon that gives a card to a modem, and `teuicc`, everything a person types.
//!
//! | module | what |
//! | --- | --- |
//! | [`daemon`] | a card in a slot, attached to a virtual SIM interface, and the socket for `teuicc` |
//! | [`modem`] | which virtual SIM interface, and where |
//! | [`cli`] | the commands of `teuicc` |
//! | [`factory`] | how a card gets its identity |
//! | [`reach`] | through the daemon, or by opening the card here |
//! | [`home`] | where things are kept |
#![forbid(unsafe_code)]

pub mod cli;
pub mod daemon;
pub mod factory;
pub mod home;
pub mod logging;
pub mod modem;
pub mod reach;
pub mod report;
pub mod shutdown;
pub mod terminal;
