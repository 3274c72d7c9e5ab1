//! Virtual SIM interfaces: each module gives a slot's card to a modem, by one protocol.
//!
//! Every interface is a codec, a machine that does no input or output, and a driver at the edge. All carry T=0
//! TPDUs; the T=0 layer is `teuicc_apdu::t0`. What they share: `session` in the machines (power, epochs, one TPDU at a
//! time), `port` in the drivers (the modem's side of a slot), `client` (the driver of those that serve one client at a
//! time), [`endpoint`] (where peers are) and [`status`].
//!
//! | module | interface |
//! | --- | --- |
//! | [`json`] | lines of JSON: the helper of wwand-rsim, for routers |
//! | [`qmi`] | QMI UIM Remote: phones and modules by Qualcomm, over QRTR, QMUX and MBIM |
//! | [`rspro`] | RSPRO of osmo-remsim: the card in a bank, for clients at modems elsewhere |
//! | [`sap`] | SAP, the SIM Access Profile, without Bluetooth: for modules that are SAP clients |
//! | [`vpcd`] | the virtual PC/SC reader of vsmartcard: pcscd and everything behind it |
//! | `testing` | the modem emulator, the modem side of each interface, and a network (feature `testing`) |
// Only `qmi::qrtr::socket` is exempt.
#![deny(unsafe_code)]

mod client;
pub mod endpoint;
mod inbox;
pub mod json;
mod port;
pub mod qmi;
pub mod rspro;
pub mod sap;
mod session;
pub mod status;
#[cfg(feature = "testing")]
pub mod testing;
pub mod vpcd;

pub use endpoint::Endpoint;
pub use status::{BridgeError, Patience, Status};
