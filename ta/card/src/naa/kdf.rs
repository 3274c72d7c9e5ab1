//! HMAC-SHA-256 (RFC 2104), which the key derivations and MACs of 3GPP are made of.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// HMAC-SHA-256 of the concatenation of `parts` under a key of 32 bytes.
pub(crate) fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    // A key of this length always fits.
    let mut output = Zeroizing::new([0; 32]);
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
        parts.iter().for_each(|part| mac.update(part));
        *output = mac.finalize().into_bytes().into();
    }
    output
}
