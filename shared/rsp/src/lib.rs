//! Remote SIM provisioning: what the card, the LPA and the SM-DP+ of SGP.22 v2.5 say to each other.
//!
//! - [`es10`], [`metadata`]: the data objects, read without copying, written without infallible allocation;
//!   [`object`] says how. [`tags`], [`oid`] and [`codes`] name tags, identifiers and numbers; [`es9`] paths and status
//!   codes of the servers;
//! - [`certificate`], [`csr`] and `issue` (a feature): certificates of the RSP profile and the checks of their chains;
//! - [`crypto`]: keys and signatures on both curves, with [`signing`] saying what is signed; [`scp03t`]: session keys
//!   and secure messaging;
//! - [`bpp`]: the bound profile package in segments, as a stream, and built.
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
pub mod certificate;
pub mod codes;
pub mod crypto;
pub mod csr;
pub mod eid;
pub mod es10;
pub mod es9;
pub mod iccid;
#[cfg(feature = "issue")]
pub mod issue;
pub mod metadata;
pub mod object;
pub mod oid;
pub mod pkcs8;
pub mod scp03t;
pub mod signing;
pub mod tags;
pub mod x509;

pub use eid::Eid;
pub use iccid::Iccid;
