//! The ciphers of secured packets (TS 102 225 sections 5.1.2 and 5.1.3): AES and triple DES in CBC mode with an initial
//! vector of zeros, and their checksums: AES-CMAC, and the last block of 3DES-CBC over the message padded with zeros.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use des::TdesEde3;
use zeroize::{Zeroize, Zeroizing};

/// Longest block in bytes.
const MAX_BLOCK: usize = 16;
/// Longest key in bytes.
const MAX_KEY: usize = 32;

/// Which cipher a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// AES with 16, 24 or 32 bytes of key.
    Aes,
    /// Triple DES with 16 (K1 K2 K1) or 24 bytes of key.
    TripleDes,
}

/// A key of a security domain. It is erased when dropped.
pub(crate) struct Key {
    algorithm: Algorithm,
    bytes: Zeroizing<[u8; MAX_KEY]>,
    length: usize,
}

impl Key {
    /// The key of these bytes. `None` if the algorithm has no keys of this length: single DES is none, nor is triple
    /// DES with two equal keys in a row, which is the same.
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        let usable = match (algorithm, key.len()) {
            (Algorithm::Aes, 16 | 24 | 32) => true,
            (Algorithm::TripleDes, 16 | 24) => {
                let (keys, _) = key.as_chunks::<8>();
                keys.iter().zip(keys.iter().skip(1)).all(|(key, next)| !is_same_des_key(key, next))
            }
            _ => false,
        };
        let mut bytes = Zeroizing::new([0; MAX_KEY]);
        bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        usable.then_some(Key { algorithm, bytes, length: key.len() })
    }

    /// The algorithm.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many bytes the key has.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Length of a block in bytes.
    pub(crate) fn block(&self) -> usize {
        match self.algorithm {
            Algorithm::Aes => 16,
            Algorithm::TripleDes => 8,
        }
    }

    /// Encrypts in place; `data` is whole blocks, a rest is left as it is.
    pub(crate) fn encrypt(&self, data: &mut [u8]) {
        let cipher = Cipher::new(self);
        let mut previous = [0; MAX_BLOCK];
        for block in data.chunks_exact_mut(self.block()) {
            xor(block, &previous);
            cipher.encrypt(block);
            copy(&mut previous, block);
        }
    }

    /// Decrypts in place; `data` is whole blocks, a rest is left as it is.
    pub(crate) fn decrypt(&self, data: &mut [u8]) {
        let cipher = Cipher::new(self);
        let mut previous = [0; MAX_BLOCK];
        for block in data.chunks_exact_mut(self.block()) {
            let mut received = [0; MAX_BLOCK];
            copy(&mut received, block);
            cipher.decrypt(block);
            xor(block, &previous);
            previous = received;
        }
    }

    /// The cryptographic checksum over the concatenation of `parts`; a checksum of fewer bytes is its beginning.
    pub(crate) fn checksum(&self, parts: &[&[u8]]) -> [u8; 8] {
        let mut checksum = [0; 8];
        let key = self.bytes.get(..self.length).unwrap_or_default();
        match (self.algorithm, self.length) {
            (Algorithm::Aes, 16) => cmac(Cmac::<Aes128>::new_from_slice(key), parts, &mut checksum),
            (Algorithm::Aes, 24) => cmac(Cmac::<Aes192>::new_from_slice(key), parts, &mut checksum),
            (Algorithm::Aes, _) => cmac(Cmac::<Aes256>::new_from_slice(key), parts, &mut checksum),
            (Algorithm::TripleDes, _) => {
                let cipher = Cipher::new(self);
                let mut filled = 0usize;
                for byte in parts.iter().copied().flatten() {
                    if filled == checksum.len() {
                        cipher.encrypt(&mut checksum);
                        filled = 0;
                    }
                    xor(checksum.get_mut(filled..).unwrap_or_default(), &[*byte]);
                    filled = filled.saturating_add(1);
                }
                cipher.encrypt(&mut checksum);
            }
        }
        checksum
    }
}

/// A cipher with its key set up; wiped when dropped.
enum Cipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
    TripleDes(TdesEde3),
}

impl Cipher {
    fn new(key: &Key) -> Self {
        let bytes = &*key.bytes;
        match (key.algorithm, key.length) {
            (Algorithm::Aes, 16) => Cipher::Aes128(Aes128::new(&start(bytes).into())),
            (Algorithm::Aes, 24) => Cipher::Aes192(Aes192::new(&start(bytes).into())),
            (Algorithm::Aes, _) => Cipher::Aes256(Aes256::new(&start(bytes).into())),
            (Algorithm::TripleDes, length) => {
                let mut keys: [u8; 24] = start(bytes);
                if length == 16 {
                    let (first_two, third) = keys.split_at_mut(16);
                    third.iter_mut().zip(first_two).for_each(|(to, from)| *to = *from);
                }
                let cipher = TdesEde3::new(&keys.into());
                keys.zeroize();
                Cipher::TripleDes(cipher)
            }
        }
    }

    /// `block` is one whole block.
    fn encrypt(&self, block: &mut [u8]) {
        match self {
            Cipher::Aes128(cipher) => one(block, |block: &mut [u8; 16]| cipher.encrypt_block(block.into())),
            Cipher::Aes192(cipher) => one(block, |block: &mut [u8; 16]| cipher.encrypt_block(block.into())),
            Cipher::Aes256(cipher) => one(block, |block: &mut [u8; 16]| cipher.encrypt_block(block.into())),
            Cipher::TripleDes(cipher) => one(block, |block: &mut [u8; 8]| cipher.encrypt_block(block.into())),
        }
    }

    /// `block` is one whole block.
    fn decrypt(&self, block: &mut [u8]) {
        match self {
            Cipher::Aes128(cipher) => one(block, |block: &mut [u8; 16]| cipher.decrypt_block(block.into())),
            Cipher::Aes192(cipher) => one(block, |block: &mut [u8; 16]| cipher.decrypt_block(block.into())),
            Cipher::Aes256(cipher) => one(block, |block: &mut [u8; 16]| cipher.decrypt_block(block.into())),
            Cipher::TripleDes(cipher) => one(block, |block: &mut [u8; 8]| cipher.decrypt_block(block.into())),
        }
    }
}

fn one<const N: usize>(block: &mut [u8], with: impl FnOnce(&mut [u8; N])) {
    if let Some(block) = block.first_chunk_mut() {
        with(block);
    }
}

fn cmac<M: Mac, E>(mac: Result<M, E>, parts: &[&[u8]], checksum: &mut [u8; 8]) {
    // A key of the right length is never refused.
    if let Ok(mut mac) = mac {
        parts.iter().for_each(|part| mac.update(part));
        copy(checksum, &mac.finalize().into_bytes());
    }
}

fn start<const N: usize>(bytes: &[u8; MAX_KEY]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

fn xor(block: &mut [u8], with: &[u8]) {
    block.iter_mut().zip(with).for_each(|(byte, other)| *byte ^= other);
}

fn copy(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// Whether two DES keys are one: they may differ in the parity bits.
fn is_same_des_key(one: &[u8; 8], other: &[u8; 8]) -> bool {
    one.iter().zip(other).all(|(one, other)| (one ^ other) & 0xFE == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn key(algorithm: Algorithm, bytes: &[u8]) -> Key {
        Key::new(algorithm, bytes).unwrap()
    }

    /// NIST SP 800-38A sections F.2.1, F.2.3 and F.2.5 encrypt the second block with the first one's ciphertext before
    /// it; with the initial vector taken into the first block the same values hold here.
    #[test]
    fn aes_cbc_of_sp_800_38a() {
        let iv = hex!("000102030405060708090A0B0C0D0E0F");
        for (bytes, first, second) in [
            (
                &hex!("2B7E151628AED2A6ABF7158809CF4F3C")[..],
                hex!("7649ABAC8119B246CEE98E9B12E9197D"),
                hex!("5086CB9B507219EE95DB113A917678B2"),
            ),
            (
                &hex!("8E73B0F7DA0E6452C810F32B809079E562F8EAD2522C6B7B"),
                hex!("4F021DB243BC633D7178183A9FA071E8"),
                hex!("B4D9ADA9AD7DEDF4E5E738763F69145A"),
            ),
            (
                &hex!("603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4"),
                hex!("F58C4C04D6E5F1BA779EABFB5F7BFBD6"),
                hex!("9CFC4E967EDB808D679F777BC6702C7D"),
            ),
        ] {
            let mut plain = hex!("6BC1BEE22E409F96E93D7E117393172A AE2D8A571E03AC9C9EB76FAC45AF8E51");
            xor(&mut plain, &iv);
            let mut data = plain;
            key(Algorithm::Aes, bytes).encrypt(&mut data);
            assert_eq!(data[..16], first);
            assert_eq!(data[16..], second);
            key(Algorithm::Aes, bytes).decrypt(&mut data);
            assert_eq!(data, plain);
        }
    }

    /// RFC 4493 section 4, examples 2 and 3, and NIST SP 800-38B annex D.2 and D.3, the same messages.
    #[test]
    fn aes_cmac_of_rfc_4493_and_sp_800_38b() {
        let message = hex!("6BC1BEE22E409F96E93D7E117393172A AE2D8A571E03AC9C9EB76FAC45AF8E51 30C81C46A35CE411");
        for (bytes, of_16, of_40) in [
            (&hex!("2B7E151628AED2A6ABF7158809CF4F3C")[..], hex!("070A16B46B4D4144"), hex!("DFA66747DE9AE630")),
            (
                &hex!("8E73B0F7DA0E6452C810F32B809079E562F8EAD2522C6B7B"),
                hex!("9E99A7BF31E71090"),
                hex!("8A1DE5BE2EB31AAD"),
            ),
            (
                &hex!("603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4"),
                hex!("28A7023F452E8F82"),
                hex!("AAF3D8F1DE5640C2"),
            ),
        ] {
            let key = key(Algorithm::Aes, bytes);
            assert_eq!(key.checksum(&[&message[..16]]), of_16);
            assert_eq!(key.checksum(&[&message[..7], &message[7..]]), of_40);
        }
    }

    /// The TDEA example of NIST SP 800-67 annex B.1 is ECB; its first block is CBC with zeros before it.
    #[test]
    fn triple_des_of_sp_800_67() {
        let bytes = hex!("0123456789ABCDEF 23456789ABCDEF01 456789ABCDEF0123");
        let mut data = *b"The qufc";
        key(Algorithm::TripleDes, &bytes).encrypt(&mut data);
        assert_eq!(data, hex!("A826FD8CE53B855F"));
        assert_eq!(key(Algorithm::TripleDes, &bytes).checksum(&[b"The ", b"qufc"]), data);
        key(Algorithm::TripleDes, &bytes).decrypt(&mut data);
        assert_eq!(&data, b"The qufc");
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        assert!(Key::new(Algorithm::Aes, &[1; 8]).is_none());
        assert!(Key::new(Algorithm::Aes, &[1; 33]).is_none());
        assert!(Key::new(Algorithm::TripleDes, &hex!("0123456789ABCDEF")).is_none(), "single DES");
        assert!(Key::new(Algorithm::TripleDes, &hex!("0123456789ABCDEF 0022446688AACCEE")).is_none());
        assert!(Key::new(Algorithm::TripleDes, &hex!("23456789ABCDEF01 0123456789ABCDEF 0122456789ABCDEF")).is_none());
        assert!(Key::new(Algorithm::TripleDes, &hex!("23456789ABCDEF01 0123456789ABCDEF")).is_some());
    }
}
