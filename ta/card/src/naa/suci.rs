//! Concealment of a SUPI: ECIES with the profiles A and B (TS 33.501 annex C.3).

use super::kdf::hmac_sha256;
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use curve25519_dalek::constants::X25519_BASEPOINT;
use curve25519_dalek::montgomery::MontgomeryPoint;
use subtle::ConstantTimeEq;
use teuicc_rsp::crypto::{self, COMPRESSED_POINT, Curve, InvalidKey, PublicKey, SecretKey};
use zeroize::{Zeroize, Zeroizing};

/// Length of an X25519 key in bytes.
const X25519_KEY: usize = 32;

/// A protection scheme that conceals (TS 33.501 annex C.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EciesProfile {
    /// Profile A: X25519.
    A = 1,
    /// Profile B: P-256, points compressed.
    B = 2,
}

/// What goes with the ciphertext.
pub(crate) struct Sealed {
    key: [u8; COMPRESSED_POINT],
    key_len: usize,
    /// The MAC tag.
    pub(crate) mac: [u8; 8],
}

impl Sealed {
    /// The ephemeral public key: 32 bytes of profile A, 33 of profile B.
    pub(crate) fn ephemeral_key(&self) -> &[u8] {
        self.key.get(..self.key_len).unwrap_or(&self.key)
    }
}

/// Encrypts `text`, the scheme input, in place for the home network with this public key: 32 bytes of profile A, a
/// point of profile B in either form. `fill` fills what it is given with random bytes for the ephemeral key.
///
/// Errors: no public key of the profile, or one that any ephemeral key gives the same shared secret with.
pub(crate) fn seal(
    profile: EciesProfile,
    home_network_key: &[u8],
    fill: &mut dyn FnMut(&mut [u8]),
    text: &mut [u8],
) -> Result<Sealed, InvalidKey> {
    let mut key = [0; COMPRESSED_POINT];
    let (key_len, shared) = match profile {
        EciesProfile::A => {
            let home: [u8; X25519_KEY] = home_network_key.try_into().map_err(|_| InvalidKey)?;
            let mut scalar = Zeroizing::new([0; X25519_KEY]);
            fill(scalar.as_mut_slice());
            let public = X25519_BASEPOINT.mul_clamped(*scalar).to_bytes();
            key.iter_mut().zip(public).for_each(|(to, from)| *to = from);
            (X25519_KEY, Zeroizing::new(MontgomeryPoint(home).mul_clamped(*scalar).to_bytes()))
        }
        EciesProfile::B => {
            let home = PublicKey::p256_from_sec1(home_network_key)?;
            let ephemeral = SecretKey::generate(Curve::P256, fill)?;
            key = ephemeral.public_key()?.compressed();
            (COMPRESSED_POINT, ephemeral.ecdh(&home)?)
        }
    };
    // A point of small order (RFC 7748 section 6.1).
    if shared.ct_eq(&[0; 32]).into() {
        return Err(InvalidKey);
    }
    let mut sealed = Sealed { key, key_len, mac: [0; 8] };
    let key_data = crypto::x963_kdf(&shared, &[sealed.ephemeral_key()]);
    let (cipher_keys, mac_key) = key_data.split_first_chunk::<32>().ok_or(InvalidKey)?;
    let (encryption_key, counter) = cipher_keys.split_first_chunk::<16>().ok_or(InvalidKey)?;
    let counter: &[u8; 16] = counter.try_into().map_err(|_| InvalidKey)?;
    encrypt(encryption_key, counter, text);
    let mac = hmac_sha256(mac_key.try_into().map_err(|_| InvalidKey)?, &[text]);
    sealed.mac.iter_mut().zip(mac.iter()).for_each(|(to, from)| *to = *from);
    Ok(sealed)
}

/// AES-128 in CTR mode; the last 32 bits of the initial counter block count.
fn encrypt(key: &[u8; 16], initial: &[u8; 16], text: &mut [u8]) {
    let cipher = Aes128::new(key.into());
    let [.., a, b, c, d] = *initial;
    let mut count = u32::from_be_bytes([a, b, c, d]);
    for chunk in text.chunks_mut(16) {
        let mut block = *initial;
        if let Some(low) = block.last_chunk_mut() {
            *low = count.to_be_bytes();
        }
        let mut stream = block.into();
        cipher.encrypt_block(&mut stream);
        chunk.iter_mut().zip(stream.iter()).for_each(|(to, from)| *to ^= from);
        stream.zeroize();
        count = count.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const HOME_A: [u8; 32] = hex!("5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650");
    const HOME_B: [u8; 33] = hex!("0272DA71976234CE833A6907425867B82E074D44EF907DFB4B3E21C1C2256EBCD1");
    const HOME_B_LONG: [u8; 65] = hex!(
        "0472DA71976234CE833A6907425867B82E074D44EF907DFB4B3E21C1C2256EBCD1"
        "5A7DED52FCBB097A4ED250E036C7B9C8C7004C4EEDC4F068CD7BF8D3F900E3B4"
    );
    const MSIN: [u8; 5] = hex!("00012080F6");
    const USERNAME: &[u8] = b"verylongusername1";

    /// TS 33.501 annex C.4.3 and C.4.4.
    #[test]
    fn test_data_of_ts_33_501() {
        struct Set<'a> {
            profile: EciesProfile,
            home: &'a [u8],
            ephemeral: [u8; 32],
            input: &'a [u8],
            output: (&'a [u8], &'a [u8], [u8; 8]),
        }
        let ephemeral_b = hex!("99798858A1DC6A2C68637149A4B1DBFD1FDFF5ADDD62A2142F06699ED7602529");
        let output_b: (&[u8], &[u8], [u8; 8]) = (
            &hex!("039AAB8376597021E855679A9778EA0B67396E68C66DF32C0F41E9ACCA2DA9B9D1"),
            &hex!("46A33FC271"),
            hex!("6AC7DAE96AA30A4D"),
        );
        for set in [
            Set {
                profile: EciesProfile::A,
                home: &HOME_A,
                ephemeral: hex!("c80949f13ebe61af4ebdbd293ea4f942696b9e815d7e8f0096bbf6ed7de62256"),
                input: &MSIN,
                output: (
                    &hex!("b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457d"),
                    &hex!("cb02352410"),
                    hex!("cddd9e730ef3fa87"),
                ),
            },
            Set {
                profile: EciesProfile::A,
                home: &HOME_A,
                ephemeral: hex!("BE9EFF3E9F22A4B42A3D236E7A6C500B3F2E7E0C7449988BA800D664BF4FCD97"),
                input: USERNAME,
                output: (
                    &hex!("977D8B2FDAA7B64AA700D04227D5B440630EA4EC50F9082273A26BB678C92222"),
                    &hex!("8E358A1582ADB15322C10E515141D2039A"),
                    hex!("12E1D7783A97F1AC"),
                ),
            },
            Set { profile: EciesProfile::B, home: &HOME_B, ephemeral: ephemeral_b, input: &MSIN, output: output_b },
            Set {
                profile: EciesProfile::B,
                home: &HOME_B_LONG,
                ephemeral: ephemeral_b,
                input: &MSIN,
                output: output_b,
            },
            Set {
                profile: EciesProfile::B,
                home: &HOME_B,
                ephemeral: hex!("90A5898BD29FFA3F261E00E980067C70A2B1B992A21F5B4FEF6D4DF69FE804AD"),
                input: USERNAME,
                output: (
                    &hex!("03759BB22C563D9F4A6B3C1419E543FC2F39D6823F02A9D71162B39399218B244B"),
                    &hex!("BE22D8B9F856A52ED381CD7EAF4CF2D525"),
                    hex!("3CDDC61A0A7882EB"),
                ),
            },
        ] {
            let mut text = set.input.to_vec();
            let mut fill = |bytes: &mut [u8]| bytes.copy_from_slice(&set.ephemeral);
            let sealed = seal(set.profile, set.home, &mut fill, &mut text).unwrap();
            assert_eq!((sealed.ephemeral_key(), &text[..], sealed.mac), set.output);
        }
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        // The points of small order that RFC 7748 warns of: 0, 1, and one of order 8.
        let order_8 = hex!("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
        let mut off_curve = HOME_B;
        off_curve[32] ^= 4;
        for (profile, key) in [
            (EciesProfile::A, &[0; 32][..]),
            (EciesProfile::A, &one),
            (EciesProfile::A, &order_8),
            (EciesProfile::A, &HOME_A[1..]),
            (EciesProfile::A, &HOME_B),
            (EciesProfile::B, &HOME_A),
            (EciesProfile::B, &off_curve),
            (EciesProfile::B, &HOME_B_LONG[..64]),
            (EciesProfile::B, &[]),
        ] {
            let mut fill = |bytes: &mut [u8]| bytes.fill(0x42);
            assert!(seal(profile, key, &mut fill, &mut [1, 2, 3]).is_err(), "{key:02x?}");
        }
    }
}
