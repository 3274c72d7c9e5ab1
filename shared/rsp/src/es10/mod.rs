//! Requests and responses of the functions of the ISD-R: ES10a, ES10b and ES10c (SGP.22 v2.5 section 5.7).
//!
//! A request without content has a tag only; [`empty_request`] writes it.

mod authenticate;
mod configuration;
mod info;
mod notification;
mod profile;

pub use authenticate::*;
pub use configuration::*;
pub use info::*;
pub use notification::*;
pub use profile::*;

use alloc::vec::Vec;
use teuicc_tlv::{Error, Tag, Writer};

/// A signature as sent: r then s, 32 bytes each.
pub type Signature<'a> = &'a [u8; 64];

/// The request of a function that has no input: the tag with length 0. Errors: out of memory.
pub fn empty_request(tag: Tag) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new();
    writer.primitive(tag, &[])?;
    Ok(writer.into_bytes())
}
