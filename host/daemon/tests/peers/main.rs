//! The card with programs that are not ours, through pcscd and its virtual reader, or straight over an interface. Each
//! module has a script of its name in `build/peers`, which installs the programs and runs the tests in a network of
//! their own; without it they skip.

mod boot;
#[path = "../common/mod.rs"]
mod common;
mod eap;
mod files;
mod lpac;
mod pcsc;
mod pipe;
mod remote;
mod rspro;
mod sap;
