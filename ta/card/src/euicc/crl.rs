//! ES10b.LoadCRL (SGP.22 v2.5 section 5.7.12): revoked certificates of servers. A card without a clock has no other way
//! to refuse a certificate of the past.
//!
//! Whole lists and delta lists (RFC 5280 section 5.2.4) are taken; partial lists of SGP.22 are not, their critical
//! extension makes them malformed here, so that no part is ever missing.

use super::registry::{Crl, MAX_REVOKED, MAX_SERIAL};
use super::{Euicc, Failure, Stop};
use crate::platform::Env;
use alloc::vec::Vec;
use teuicc_rsp::codes::LoadCrlError;
use teuicc_rsp::crypto::{SIGNATURE, verify};
use teuicc_rsp::es10::{LoadCrlRequest, LoadCrlResponse, LoadCrlResponseOk};
use teuicc_rsp::object::Object;
use teuicc_rsp::oid;
use teuicc_rsp::x509::{expect_ecdsa_with_sha256, read_signature};
use teuicc_tlv::{Error, ErrorKind, Reader, Tag, Tlv, TryBytes, swap_take, try_copy};

/// cRLNumber, 2.5.29.20.
const CRL_NUMBER: &[u8] = &[0x55, 0x1D, 0x14];
/// deltaCRLIndicator, 2.5.29.27.
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1D, 0x1B];

/// A certificate revocation list, as received.
struct CertificateList<'a> {
    /// tbsCertList, which is what is signed.
    tbs: &'a [u8],
    signature: [u8; SIGNATURE],
    /// revokedCertificates, the value.
    revoked: &'a [u8],
    authority_key_identifier: &'a [u8],
    /// cRLNumber without leading zeros.
    number: &'a [u8],
    /// For a delta list: the number that it goes on from.
    base: Option<&'a [u8]>,
}

impl Euicc {
    /// LoadCRL: 1 replace if the list is taken.
    pub(super) fn load_crl(&mut self, env: &mut Env<'_>, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let response = match self.take_crl(env, LoadCrlRequest::parse(command)?.crl) {
            Ok(()) => LoadCrlResponse::Ok(LoadCrlResponseOk { missing_parts: None }),
            Err(Stop::Refused(error)) => LoadCrlResponse::Error(error),
            Err(Stop::Failed(failure)) => return Err(failure),
        };
        Ok(response.encode()?)
    }

    fn take_crl(&mut self, env: &mut Env<'_>, received: &[u8]) -> Result<(), Stop<LoadCrlError>> {
        let list = CertificateList::read(received).map_err(|_| Stop::Refused(LoadCrlError::InvalidCrlFormat))?;
        let identity = self.personalized()?;
        let (chain, ci) = identity
            .chain_of(list.authority_key_identifier)
            .ok_or(Stop::Refused(LoadCrlError::VerificationKeyNotFound))?;
        if !verify(&ci.ci_key, &[list.tbs], &list.signature) {
            return Err(Stop::Refused(LoadCrlError::InvalidSignature));
        }
        let mut next = self.registry.duplicate()?;
        let loaded =
            next.crls.iter().position(|crl| crl.chain == chain).and_then(|index| swap_take(&mut next.crls, index));
        if loaded.as_ref().is_some_and(|loaded| !is_greater(list.number, &loaded.number)) {
            return Err(Stop::Refused(LoadCrlError::FresherCrlAlreadyLoaded));
        }
        let kept = match (list.base, loaded) {
            (None, _) => Vec::new(),
            (Some(base), Some(loaded)) if !is_greater(base, &loaded.number) => loaded.revoked,
            (Some(_), _) => return Err(Stop::Refused(LoadCrlError::BaseCrlMissing)),
        };
        let merged = list.merged(chain, kept).ok_or(Stop::Refused(LoadCrlError::NotEnoughMemorySpace))?;
        next.crls.try_push(merged).map_err(Failure::from)?;
        Ok(self.commit(env, next)?)
    }
}

impl<'a> CertificateList<'a> {
    /// Reads the content of CertificateList; its own SEQUENCE tag may be there too.
    fn read(received: &'a [u8]) -> Result<Self, Error> {
        let content = Tlv::parse(received, Tag::SEQUENCE).map_or(received, |list| list.value);
        let mut members = Reader::new(content);
        let tbs = members.expect(Tag::SEQUENCE)?;
        expect_ecdsa_with_sha256(&mut members)?;
        let signature = read_signature(&members.expect(Tag::BIT_STRING)?)?;
        members.finish()?;

        let mut fields = tbs.members();
        fields.expect(Tag::INTEGER)?;
        expect_ecdsa_with_sha256(&mut fields)?;
        fields.expect(Tag::SEQUENCE)?;
        fields.read()?;
        if fields.peek().is_some_and(|tag| tag != Tag::SEQUENCE && tag != Tag(0xA0)) {
            fields.read()?;
        }
        let revoked = fields.optional(Tag::SEQUENCE)?.map_or(&[][..], |revoked| revoked.value);
        let extensions = fields.expect(Tag(0xA0))?;
        fields.finish()?;
        let mut list = CertificateList {
            tbs: tbs.raw,
            signature,
            revoked,
            authority_key_identifier: &[],
            number: &[],
            base: None,
        };
        for serial in list.serials() {
            serial?;
        }
        for extension in Tlv::parse(extensions.value, Tag::SEQUENCE)?.members() {
            list.extension(&extension?)?;
        }
        if list.number.is_empty() { Err(extensions.bad_value()) } else { Ok(list) }
    }

    fn extension(&mut self, extension: &Tlv<'a>) -> Result<(), Error> {
        let mut members = extension.members();
        let identifier = members.expect(Tag::OID)?.value;
        let critical = members.optional(Tag::BOOLEAN)?.is_some_and(|critical| critical.value != [0]);
        let value = members.expect(Tag::OCTET_STRING)?.value;
        members.finish()?;
        match identifier {
            oid::AUTHORITY_KEY_IDENTIFIER => {
                let identifier = Tlv::parse(value, Tag::SEQUENCE)?.members().expect(Tag(0x80))?;
                self.authority_key_identifier = identifier.value;
            }
            CRL_NUMBER => self.number = number(value)?,
            DELTA_CRL_INDICATOR => self.base = Some(number(value)?),
            _ if critical => return Err(extension.bad_value()),
            _ => (),
        }
        Ok(())
    }

    /// The serial numbers of the revoked certificates.
    fn serials(&self) -> impl Iterator<Item = Result<&'a [u8], Error>> + use<'a> {
        Reader::new(self.revoked).map(|entry| {
            let serial = entry?.members().expect(Tag::INTEGER)?;
            if serial.value.len() <= MAX_SERIAL { Ok(serial.value) } else { Err(serial.bad_value()) }
        })
    }

    /// What is kept of the list, behind the certificates of the base list. `None` if these are too many, or there is no
    /// memory for them.
    fn merged(&self, chain: u8, mut revoked: Vec<Vec<u8>>) -> Option<Crl> {
        for serial in self.serials().flatten() {
            if revoked.iter().any(|known| known == serial) {
                continue;
            }
            if revoked.len() >= MAX_REVOKED {
                return None;
            }
            revoked.try_push(try_copy(serial).ok()?).ok()?;
        }
        Some(Crl { chain, number: try_copy(self.number).ok()?, revoked })
    }
}

/// A CRL number: a positive INTEGER of at most 20 bytes, without leading zeros.
fn number(encoded: &[u8]) -> Result<&[u8], Error> {
    let integer = Tlv::parse(encoded, Tag::INTEGER)?;
    match integer.value {
        [0, rest @ ..] if !rest.is_empty() && rest.len() <= MAX_SERIAL => Ok(rest),
        [first, ..] if *first < 0x80 && integer.value.len() <= MAX_SERIAL => Ok(integer.value),
        _ => Err(Error { kind: ErrorKind::Value { tag: Tag::INTEGER }, offset: 0 }),
    }
}

/// Whether one number without leading zeros is greater than another.
fn is_greater(one: &[u8], other: &[u8]) -> bool {
    (one.len(), one) > (other.len(), other)
}
