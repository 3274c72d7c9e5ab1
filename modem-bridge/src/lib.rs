//! Virtual SIM interfaces: each module gives a slot's card to a modem, by one protocol.
//!
//! Every interface is a codec, a machine that does no input or output, and a driver at the edge. All carry T=0
//! TPDUs; the T=0 layer is `teuicc_apdu::t0`.
//!
//! | module | interface |
//! | --- | --- |
//! | [`vpcd`] | the virtual PC/SC reader of vsmartcard: pcscd and everything behind it |
//! | `testing` | the modem emulator, the modem side of each interface, and a network (feature `testing`) |
#![forbid(unsafe_code)]

#[cfg(feature = "testing")]
pub mod testing;
pub mod vpcd;
