//! What is only kept: security domains, remote file management, CDMA parameters (clauses 8.4.3, 8.6 and 8.8).

use super::{Build, Outcome};
use crate::profile::MAX_KEPT;
use crate::wiped;
use alloc::vec::Vec;
use teuicc_saip::StatusCode;
use teuicc_saip::pe::{self, KeyObject, Rfm};
use teuicc_tlv::{TryBytes, try_copy};

/// Life cycle state PERSONALIZED of a security domain (GlobalPlatform Card Specification section 11.1.1).
const PERSONALIZED: u8 = 0x0F;

/// A security domain that came in the package.
pub(super) struct SecurityDomain {
    aid: Vec<u8>,
    personalized: bool,
}

impl Build {
    /// Keeps an element as it is. Errors: there are too many.
    pub(super) fn keep(&mut self, raw: &[u8]) -> Outcome {
        if self.profile.kept.len().saturating_add(raw.len()) > MAX_KEPT {
            return Err(StatusCode::NotEnoughMemory.into());
        }
        Ok(wiped::try_extend(&mut self.profile.kept, raw)?)
    }

    /// Errors: an AID that is taken; a key that comes twice; a key type that does not exist.
    pub(super) fn security_domain(&mut self, domain: &pe::SecurityDomain<'_>, raw: &[u8]) -> Outcome {
        let aid = domain.instance.instance_aid;
        if self.security_domains.iter().any(|other| other.aid == aid) {
            return Err(StatusCode::InvalidParameter.into());
        }
        for (at, key) in (0..usize::MAX).zip(domain.keys.iter()) {
            let same = |other: KeyObject<'_>| other.identifier == key.identifier && other.version == key.version;
            if domain.keys.iter().take(at).any(same) {
                return Err(StatusCode::BadValues.into());
            }
            if key.components.iter().any(|component| !is_key_type(component.key_type)) {
                return Err(StatusCode::FeatureNotSupported.into());
            }
        }
        let personalized = domain.instance.life_cycle == PERSONALIZED;
        self.keep(raw)?;
        Ok(self.security_domains.try_push(SecurityDomain { aid: try_copy(aid)?, personalized })?)
    }

    /// Errors: its security domain (the first of the package, if it names none) did not come before, or is not
    /// personalized.
    pub(super) fn rfm(&mut self, rfm: &Rfm<'_>, raw: &[u8]) -> Outcome {
        let domain = match rfm.security_domain_aid {
            Some(aid) => self.security_domains.iter().find(|domain| domain.aid == aid),
            None => self.security_domains.first(),
        };
        if !domain.is_some_and(|domain| domain.personalized) {
            return Err(StatusCode::InvalidParameter.into());
        }
        self.keep(raw)
    }
}

/// Whether a key type is one of GlobalPlatform Card Specification table 11-16: DES, PSK, AES, HMAC, RSA, ECC.
fn is_key_type(key_type: &[u8]) -> bool {
    matches!(key_type, [0x80..=0x85 | 0x88 | 0x90 | 0x91 | 0xA0..=0xA9 | 0xB0..=0xB8])
}
