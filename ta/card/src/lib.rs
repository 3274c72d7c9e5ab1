//! The card: a UICC with USIM and ISIM, and the eUICC around it, as a library with no operating system
//! under it.
//!
//! Bytes in, bytes out: [`Card::process`] takes a request of `teuicc-wire` and gives its response; nothing here
//! waits, sleeps or knows OP-TEE. What it needs from the world is a [`Platform`]: a random source and a
//! store whose `replace` is atomic.
//!
//! | module | what |
//! | --- | --- |
//! | [`platform`] | the seam: [`Rng`], [`Store`], [`ObjectId`] |
//! | [`profile`] | a profile as it is stored and as it runs: files, PINs, network access applications |
//! | `install` | a TCA profile package, streamed, becomes a profile |
//! | `uicc` | TS 102 221: channels, selection, files, access rules, PIN, toolkit |
//! | `naa` | USIM and ISIM: AUTHENTICATE, Milenage, TUAK, XOR, sequence numbers; SUCI |
//! | `ota` | remote management over the air: SCP80, remote file management, UpdateMetadata |
//! | `euicc` | SGP.22: ISD-R, ECASD, profiles' states, sessions, notifications |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;

mod card;
mod euicc;
mod install;
mod naa;
mod ota;
pub mod platform;
pub mod profile;
mod services;
#[cfg(feature = "testing")]
pub mod testing;
mod uicc;
mod wiped;

pub use card::Card;
pub use platform::{ObjectId, Platform, ProfileSlot, Rng, Store, StoreError};
