//! HMAC-SHA-256 (RFC 2104), which the key derivations and MACs of 3GPP are made of, and the key derivation of GBA.

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

/// Ks_ext_NAF (TS 33.220 annex B.3): the key for a network application function, from Ks and RAND of a bootstrapping.
pub(crate) fn ks_ext_naf(ks: &[u8; 32], rand: &[u8; 16], impi: &[u8], naf_id: &[u8]) -> Zeroizing<[u8; 32]> {
    // Neither is longer than a command.
    let length = |parameter: &[u8]| u16::try_from(parameter.len()).unwrap_or(u16::MAX).to_be_bytes();
    hmac_sha256(ks, &[b"\x01gba-me\x00\x06", rand, b"\x00\x10", impi, &length(impi), naf_id, &length(naf_id)])
}
