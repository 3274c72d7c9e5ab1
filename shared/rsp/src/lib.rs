//! Remote SIM provisioning: what the card, the LPA and the SM-DP+ of SGP.22 v2.5 say to each other.
//!
//! - [`es10`], [`metadata`]: the data objects, read without copying, written without infallible allocation;
//!   [`object`] says how. [`tags`] and [`codes`] name tags and numbers, [`es9`] paths and status codes of the servers;
//!
//! Signatures are taken over received bytes: whatever is signed is read as [`object::Received`].
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

pub mod aid;
pub mod bpp;
pub mod codes;
pub mod crypto;
pub mod eid;
pub mod es10;
pub mod iccid;
pub mod metadata;
pub mod object;
pub mod scp03t;
pub mod signing;
pub mod tags;

pub use eid::Eid;
pub use iccid::Iccid;
