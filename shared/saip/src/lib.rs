//! TCA (SIMalliance) eUICC profile packages: reading, the rules for creating files from them, and building.
//!
//! A package is a plain concatenation of profile elements, read one at a time from pieces that arrive in any
//! size: [`next_element`] gives an [`Element`] that borrows from the received bytes and is checked to its end, so
//! that its iterators cannot fail. [`template`] holds the file templates of annex A, [`layout`] merges a template
//! file with what the package says of it, [`order`] checks the order of the elements, and [`status`] is the report.
//! With the feature `build`, `build` makes a package from a short description.
//!
//! The format is that of the "eUICC Profile Package: Interoperable Format Technical Specification", read by its
//! ASN.1 of version 3.3.1, which extends 2.x without changing it.
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

#[cfg(feature = "build")]
pub mod build;
mod decode;
mod fcp;
pub mod layout;
pub mod order;
pub mod pe;
pub mod status;
pub mod template;

pub use fcp::{Fcp, File, FileElement, FileInstance, FileManagement, GfmCommand, MAX_INSTANCES, ProprietaryEfInfo};
pub use pe::{Element, MAX_ELEMENT, PeHeader, PeKind, ProfileElement, next_element};
pub use status::{EuiccResponse, PeStatus, StatusCode};
