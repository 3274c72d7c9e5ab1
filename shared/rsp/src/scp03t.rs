//! Session keys and SCP03t, the secure messaging of a bound profile package (SGP.22 v2.5 sections 2.5.3, 2.6.4 and
//! annex G; GlobalPlatform SCP03 in its TLV form).
//!
//! One counter and one MAC chaining value run over all of a package's 87, 88 and 86 objects: the counter makes the
//! initial vector of the encryption, the chaining value begins the MAC. Both start anew with ReplaceSessionKeys.

use crate::codes::ErrorReason;
use crate::crypto;
use crate::eid::Eid;
use crate::tags;
use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use alloc::vec::Vec;
use cmac::{Cmac, Mac};
use core::fmt;
use subtle::ConstantTimeEq;
use teuicc_tlv::{Error, ErrorKind, Tag, Tlv, TryBytes, Writer, try_copy};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Length of the MAC at the end of each object; the chaining value is twice that.
pub const MAC: usize = 8;
/// Most plain data in one object, so that it is at most 1020 bytes long in all (section 2.5.3).
pub const MAX_PLAIN: usize = 1007;
/// Key type of the control reference template: AES.
pub const KEY_TYPE_AES: u8 = 0x88;
/// Key length of the control reference template, in bytes.
pub const KEY_LENGTH: u8 = 0x10;
const BLOCK: usize = 16;

/// Why an object could not be unprotected or protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scp03tError {
    /// Its length, tag or padding is not what SCP03t has: the sender's fault.
    Structure,
    /// Its MAC is wrong: the data was changed, or the keys are others.
    Security,
    /// The memory for the result could not be had.
    OutOfMemory,
}

impl Scp03tError {
    /// The reason to give in a profile installation result.
    #[must_use]
    pub fn error_reason(self) -> ErrorReason {
        match self {
            Scp03tError::Structure => ErrorReason::Scp03tStructureError,
            Scp03tError::Security => ErrorReason::Scp03tSecurityError,
            Scp03tError::OutOfMemory => ErrorReason::InstallFailedDueToInsufficientMemoryForProfile,
        }
    }
}

impl fmt::Display for Scp03tError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scp03tError::Structure => "protected data has a wrong structure",
            Scp03tError::Security => "protected data has a wrong MAC",
            Scp03tError::OutOfMemory => "out of memory",
        })
    }
}

impl core::error::Error for Scp03tError {}

impl From<Error> for Scp03tError {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::OutOfMemory => Scp03tError::OutOfMemory,
            _ => Scp03tError::Structure,
        }
    }
}

impl From<teuicc_tlv::OutOfMemory> for Scp03tError {
    fn from(_: teuicc_tlv::OutOfMemory) -> Self {
        Scp03tError::OutOfMemory
    }
}

/// Session keys or profile protection keys: the initial MAC chaining value, the key for encryption, the key for MACs.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SessionKeys {
    mac_chaining_value: [u8; 16],
    enc: [u8; 16],
    mac: [u8; 16],
}

impl SessionKeys {
    /// Keys given as they are: those of ReplaceSessionKeys.
    #[must_use]
    pub fn new(mac_chaining_value: &[u8; 16], enc: &[u8; 16], mac: &[u8; 16]) -> Self {
        SessionKeys { mac_chaining_value: *mac_chaining_value, enc: *enc, mac: *mac }
    }

    /// Derives the session keys from the shared secret (annex G; X9.63 key derivation with SHA-256). `host_id` is 1 to
    /// 16 bytes from the control reference template. Errors: [`Scp03tError::Structure`], another length.
    pub fn derive(shared_secret: &[u8; 32], host_id: &[u8], eid: &Eid) -> Result<Self, Scp03tError> {
        let length = u8::try_from(host_id.len()).map_err(|_| Scp03tError::Structure)?;
        if !(1..=16).contains(&length) {
            return Err(Scp03tError::Structure);
        }
        let info = [&[KEY_TYPE_AES, KEY_LENGTH, length][..], host_id, &[16], eid.as_bytes()];
        let key_data = crypto::x963_kdf(shared_secret, &info);
        let ([mac_chaining_value, enc, mac, _], _) = key_data.as_chunks::<16>() else {
            return Err(Scp03tError::Structure);
        };
        let keys = Self::new(mac_chaining_value, enc, mac);
        Ok(keys)
    }

    /// The content of ReplaceSessionKeys (`BF26`), for the server. Errors: out of memory.
    pub fn expose_replace_session_keys(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut writer = Writer::new();
        writer.nested(tags::REPLACE_SESSION_KEYS, |writer| {
            writer.primitive(Tag(0x80), &self.mac_chaining_value)?;
            writer.primitive(Tag(0x81), &self.enc)?;
            writer.primitive(Tag(0x82), &self.mac)
        })?;
        Ok(Zeroizing::new(writer.into_bytes()))
    }

    /// Reads ReplaceSessionKeys (section 5.5.4). Errors: other members or lengths.
    pub fn from_replace_session_keys(bytes: &[u8]) -> Result<Self, Error> {
        let mut members = Tlv::parse(bytes, tags::REPLACE_SESSION_KEYS)?.members();
        let mac_chaining_value = members.expect(Tag(0x80))?;
        let enc = members.expect(Tag(0x81))?;
        let mac = members.expect(Tag(0x82))?;
        members.skip_rest()?;
        Ok(Self::new(mac_chaining_value.array()?, enc.array()?, mac.array()?))
    }

    /// A copy, for a server that needs the keys twice.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::new(&self.mac_chaining_value, &self.enc, &self.mac)
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

/// One end of a protected stream. Both ends do the same in the same order.
#[derive(Debug)]
pub struct Scp03t {
    keys: SessionKeys,
    counter: u128,
}

impl Scp03t {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(keys: SessionKeys) -> Self {
        Scp03t { keys, counter: 1 }
    }

    /// Goes on with other keys, from the beginning (ReplaceSessionKeys).
    pub fn replace_keys(&mut self, keys: SessionKeys) {
        *self = Self::new(keys);
    }

    /// The plain data of a received object: 87 and 86 are checked and decrypted, 88 only checked.
    ///
    /// Errors: a wrong structure or MAC; the stream is of no use then.
    pub fn unprotect(&mut self, tlv: &Tlv<'_>) -> Result<Zeroizing<Vec<u8>>, Scp03tError> {
        let split = tlv.value.len().checked_sub(MAC).ok_or(Scp03tError::Structure)?;
        let (data, mac) = tlv.value.split_at_checked(split).ok_or(Scp03tError::Structure)?;
        let encrypted = is_encrypted(tlv.tag)?;
        if encrypted && (data.is_empty() || !data.len().is_multiple_of(BLOCK)) {
            return Err(Scp03tError::Structure);
        }
        let chaining_value = self.chain(tlv.tag, data)?;
        let expected = chaining_value.get(..MAC).ok_or(Scp03tError::Structure)?;
        if !bool::from(expected.ct_eq(mac)) {
            return Err(Scp03tError::Security);
        }
        self.keys.mac_chaining_value = chaining_value;
        let mut data = Zeroizing::new(try_copy(data)?);
        if encrypted {
            self.decrypt(&mut data);
            let length = unpadded_length(&data).ok_or(Scp03tError::Structure)?;
            data.truncate(length);
        }
        self.counter = self.counter.wrapping_add(1);
        Ok(data)
    }

    /// Protects plain data as an object with `tag`: 87 and 86 are encrypted and get a MAC, 88 only a MAC. Gives the
    /// whole object. Errors: another tag, out of memory.
    pub fn protect(&mut self, tag: Tag, plain: &[u8]) -> Result<Vec<u8>, Scp03tError> {
        let mut data = Zeroizing::new(Vec::new());
        let padded = plain.len().checked_div(BLOCK).and_then(|blocks| blocks.checked_add(1));
        let padded = padded.and_then(|blocks| blocks.checked_mul(BLOCK)).ok_or(Scp03tError::Structure)?;
        data.try_reserve_exact(padded).map_err(|_| Scp03tError::OutOfMemory)?;
        data.try_extend(plain)?;
        if is_encrypted(tag)? {
            data.try_push(0x80)?;
            data.try_resize(padded, 0)?;
            self.encrypt(&mut data);
        }
        let chaining_value = self.chain(tag, &data)?;
        self.keys.mac_chaining_value = chaining_value;
        self.counter = self.counter.wrapping_add(1);
        let mut writer = Writer::new();
        writer.header(tag, data.len().saturating_add(MAC))?;
        writer.raw(&data)?;
        writer.raw(chaining_value.get(..MAC).ok_or(Scp03tError::Structure)?)?;
        Ok(writer.into_bytes())
    }

    /// The next chaining value: the MAC over the last one, tag, length with MAC, and data.
    fn chain(&self, tag: Tag, data: &[u8]) -> Result<[u8; 16], Scp03tError> {
        let mut header = Writer::new();
        header.header(tag, data.len().checked_add(MAC).ok_or(Scp03tError::Structure)?)?;
        let mut mac = Cmac::<Aes128>::new(&self.keys.mac.into());
        mac.update(&self.keys.mac_chaining_value);
        mac.update(header.as_bytes());
        mac.update(data);
        Ok(mac.finalize().into_bytes().into())
    }

    /// The initial vector for the current counter.
    fn initial_vector(&self, cipher: &Aes128) -> [u8; BLOCK] {
        let mut block = self.counter.to_be_bytes().into();
        cipher.encrypt_block(&mut block);
        block.into()
    }

    /// AES-CBC in place; `data` is whole blocks.
    fn encrypt(&self, data: &mut [u8]) {
        let cipher = Aes128::new(&self.keys.enc.into());
        let mut previous = self.initial_vector(&cipher);
        for block in data.as_chunks_mut::<BLOCK>().0 {
            xor(block, &previous);
            cipher.encrypt_block(block.into());
            previous = *block;
        }
    }

    /// AES-CBC in place; `data` is whole blocks.
    fn decrypt(&self, data: &mut [u8]) {
        let cipher = Aes128::new(&self.keys.enc.into());
        let mut previous = self.initial_vector(&cipher);
        for block in data.as_chunks_mut::<BLOCK>().0 {
            let received = *block;
            cipher.decrypt_block(block.into());
            xor(block, &previous);
            previous = received;
        }
    }
}

fn is_encrypted(tag: Tag) -> Result<bool, Scp03tError> {
    match tag {
        tags::SCP03T_COMMAND | tags::SCP03T_ELEMENT => Ok(true),
        tags::SCP03T_MAC_ONLY => Ok(false),
        _ => Err(Scp03tError::Structure),
    }
}

fn xor(block: &mut [u8; BLOCK], with: &[u8; BLOCK]) {
    block.iter_mut().zip(with).for_each(|(byte, other)| *byte ^= other);
}

/// The length without padding: 80 and up to 15 bytes 00 (section 2.6.4.4). Data with a right MAC reaches this only.
fn unpadded_length(data: &[u8]) -> Option<usize> {
    let end = data.iter().rposition(|byte| *byte != 0)?;
    let padding = data.len().checked_sub(end)?;
    (data.get(end) == Some(&0x80) && padding <= BLOCK).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn eid(digits: &str) -> Eid {
        Eid::from_digits(digits).unwrap()
    }

    fn session() -> SessionKeys {
        let shared = hex!("c9a993dd4879a8f7161f2085410edd4f9652f1df37be097ba96ba2ca6be528fe");
        SessionKeys::derive(&shared, &[0x80; 8], &eid("89049032123451234512345678901235")).unwrap()
    }

    #[test]
    fn key_derivation_of_a_third_party_server() {
        let keys = session();
        assert_eq!(keys.mac_chaining_value, hex!("406d507b448a699e7a36a38494debbde"));
        assert_eq!(keys.enc, hex!("472f5bfadd97f21d34f3ce9b51b92751"));
        assert_eq!(keys.mac, hex!("9ec07f5b36a13e12a991d66e294e6242"));

        let shared = hex!("8902dca391bbb22570fe60c176076246f568b1941265dff1d729e63039658089");
        let keys = SessionKeys::derive(&shared, &[0x80; 8], &eid("89049032123451234512345678901335")).unwrap();
        assert_eq!(keys.mac_chaining_value, hex!("734bc93ddb10c71c5ad13d420dc08b5b"));
        assert_eq!(keys.enc, hex!("d782d575b22a38334556a3d9a1e2ae6b"));
        assert_eq!(keys.mac, hex!("a35addc192ae8f934e2932116c7e89e7"));
    }

    #[test]
    fn configure_isdp_of_a_third_party_server() {
        let wire = hex!("8718f6fe031e4b9cfe87c8e1e62f3fde85c49412d7722a6a2d89");
        assert_eq!(Scp03t::new(session()).protect(tags::SCP03T_COMMAND, &hex!("BF2400")).unwrap(), wire);
        let tlv = Tlv::parse(&wire, tags::SCP03T_COMMAND).unwrap();
        assert_eq!(*Scp03t::new(session()).unprotect(&tlv).unwrap(), hex!("BF2400"));
    }

    #[test]
    fn every_length_goes_both_ways() {
        let (mut send, mut receive) = (Scp03t::new(session()), Scp03t::new(session()));
        for length in 0..70usize {
            let plain: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            for tag in [tags::SCP03T_COMMAND, tags::SCP03T_MAC_ONLY, tags::SCP03T_ELEMENT] {
                let wire = send.protect(tag, &plain).unwrap();
                assert_eq!(*receive.unprotect(&Tlv::parse(&wire, tag).unwrap()).unwrap(), plain);
            }
        }
    }

    #[test]
    fn the_longest_plain_data_makes_1020_bytes() {
        let mut send = Scp03t::new(session());
        assert_eq!(send.protect(tags::SCP03T_ELEMENT, &[0; MAX_PLAIN]).unwrap().len(), 1020);
        assert_eq!(send.protect(tags::SCP03T_ELEMENT, &[0; MAX_PLAIN + 1]).unwrap().len(), 1036);
    }

    #[test]
    fn every_changed_byte_is_a_security_error() {
        let wire = Scp03t::new(session()).protect(tags::SCP03T_COMMAND, b"some content").unwrap();
        for position in 2..wire.len() {
            let mut changed = wire.clone();
            changed[position] ^= 1;
            let tlv = Tlv::parse(&changed, tags::SCP03T_COMMAND).unwrap();
            assert_eq!(Scp03t::new(session()).unprotect(&tlv).err(), Some(Scp03tError::Security));
        }
        let other_tag = Tlv { tag: tags::SCP03T_ELEMENT, raw: &wire, value: &wire[2..] };
        assert_eq!(Scp03t::new(session()).unprotect(&other_tag).err(), Some(Scp03tError::Security));
        let repeated = Tlv::parse(&wire, tags::SCP03T_COMMAND).unwrap();
        let mut receive = Scp03t::new(session());
        receive.unprotect(&repeated).unwrap();
        assert_eq!(receive.unprotect(&repeated).err(), Some(Scp03tError::Security));
    }

    #[test]
    fn lengths_that_cannot_be_are_structure_errors() {
        for length in [0usize, 7, 8, 9, 23, 25] {
            let value = alloc::vec![0; length];
            let tlv = Tlv { tag: tags::SCP03T_COMMAND, raw: &[], value: &value };
            assert_eq!(Scp03t::new(session()).unprotect(&tlv).err(), Some(Scp03tError::Structure), "{length}");
        }
        let tlv = Tlv { tag: Tag(0x85), raw: &[], value: &[0; 24] };
        assert_eq!(Scp03t::new(session()).unprotect(&tlv).err(), Some(Scp03tError::Structure));
    }

    #[test]
    fn debug_prints_no_keys() {
        assert_eq!(alloc::format!("{:?}", Scp03t::new(session())), "Scp03t { keys: SessionKeys(..), counter: 1 }");
    }

    #[test]
    fn replace_session_keys_goes_both_ways() {
        let keys = SessionKeys::new(&[1; 16], &[2; 16], &[3; 16]);
        let wire = keys.expose_replace_session_keys().unwrap();
        assert_eq!(wire[..5], hex!("BF26368010"));
        let read = SessionKeys::from_replace_session_keys(&wire).unwrap();
        assert_eq!((read.mac_chaining_value, read.enc, read.mac), ([1; 16], [2; 16], [3; 16]));
        assert!(SessionKeys::from_replace_session_keys(&wire[..50]).is_err());
    }
}
