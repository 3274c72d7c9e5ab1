//! A machine with a real OP-TEE, under QEMU, and the card in it.
//!
//! | module | what |
//! | --- | --- |
//! | [`image`] | what `build/image` assembled, and the disk that outlives the machine |
//! | [`machine`] | boots it, runs commands in it, cuts its power |
//! | [`relay`] | the TA of the guest as an `Exchange` of this process |
//! | [`world`] | around the card: a test PKI, an SM-DP+, subscribers, an LPA, a modem |
//!
//! The tests need the image and QEMU; they run where `TEUICC_QEMU=1` is set, and say so where it is not.

pub mod image;
pub mod machine;
pub mod relay;
pub mod world;

pub use image::{Disk, Image};
pub use machine::{Machine, Output};
pub use relay::Relay;
pub use world::World;
