//! Which application a packet is for and which keys protect it: read from the profile elements as they were installed.

use super::cipher::{Algorithm, Key};
use super::packet::{Counter, Keys, Status};
use super::policy::Policy;
use crate::profile::{FileIndex, Profile};
use crate::uicc::{AccessDomain, RemoteAccess, length_value};
use teuicc_saip::next_element;
use teuicc_saip::pe::{KeyObject, ProfileElement, Rfm, SecurityDomain};

/// TAR of the issuer security domain (TS 101 220 annex D).
const TAR_ISSUER: [u8; 3] = [0x00, 0x00, 0x00];
/// Access domain parameter, and administrative one: full access to the file system.
const FULL_ACCESS: [u8; 1] = [0x00];
/// The level of a security domain that names none: cryptographic checksum and ciphering.
const DEFAULT_LEVEL: u8 = 0x06;
/// Minimum security level parameter: the next byte is a minimum of SPI1 (TS 102 226 section 8.2.1.3.2.4).
const MINIMUM_SPI1: u8 = 0x01;

/// KVN of keys for secured packets: KIc and KID have 4 bits for it.
const MAX_VERSION: u8 = 0x0F;
/// Key identifiers of a key set for secured packets.
const IDENTIFIER_KIC: u8 = 0x01;
const IDENTIFIER_KID: u8 = 0x02;

/// Key types (GlobalPlatform Card Specification table 11-16).
const TYPE_DES: u8 = 0x80;
const TYPE_TRIPLE_DES_CBC: u8 = 0x82;
const TYPE_AES: u8 = 0x88;

/// An application that packets can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) application: Application,
    /// Least protection of a command packet, coded as SPI1.
    pub(super) minimum: u8,
    /// The security domain whose keys protect its packets: its place among those of the profile.
    pub(super) domain: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Application {
    /// Remote file management, with the ADF that is selected at its start.
    Rfm { adf: Option<FileIndex>, access: RemoteAccess },
    /// The MNO-SD, the first security domain of the profile.
    SecurityDomain,
}

/// The application with this TAR. `None` if there is none.
pub(super) fn find(profile: &Profile, tar: [u8; 3]) -> Option<Target> {
    let mut domains = (0u8..).zip(security_domains(&profile.kept)).map(|(place, domain)| (place, domain.instance));
    if let Some((0, instance)) = domains.next() {
        let toolkit = instance.toolkit_parameters.and_then(ToolkitParameters::read).unwrap_or_default();
        let has_tar = tar == TAR_ISSUER
            || toolkit.tars.as_chunks::<3>().0.contains(&tar)
            || (toolkit.tars.is_empty() && tar_of_aid(instance.instance_aid) == Some(tar));
        if has_tar {
            let minimum = match toolkit.minimum {
                [MINIMUM_SPI1, minimum, ..] => *minimum,
                _ => DEFAULT_LEVEL,
            };
            return Some(Target { application: Application::SecurityDomain, minimum, domain: 0 });
        }
    }
    let rfm = elements(&profile.kept).find_map(|content| match content {
        ProfileElement::Rfm(rfm) if has_tar(&rfm, tar) => Some(rfm),
        _ => None,
    })?;
    let domain = match rfm.security_domain_aid {
        None => 0,
        Some(aid) => {
            let mut domains = (0u8..).zip(security_domains(&profile.kept));
            domains.find(|(_, domain)| domain.instance.instance_aid == aid)?.0
        }
    };
    let with_aid = |aid: &[u8]| profile.adfs().find(|(_, file)| file.aid == aid).map(|(index, _)| index);
    // An ADF that is not there cannot be selected, and there is nothing that it could give access to.
    let adf = rfm.adf.and_then(|adf| with_aid(adf.aid));
    let access_domain = |uicc: &[u8], of_adf: Option<&[u8]>| AccessDomain {
        uicc: uicc == FULL_ACCESS,
        adf: adf.filter(|_| of_adf == Some(&FULL_ACCESS)),
    };
    let access = RemoteAccess {
        files: access_domain(rfm.access_domain, rfm.adf.map(|adf| adf.access_domain)),
        administration: access_domain(rfm.admin_access_domain, rfm.adf.map(|adf| adf.admin_access_domain)),
    };
    Some(Target { application: Application::Rfm { adf, access }, minimum: rfm.minimum_security_level, domain })
}

/// A key set for secured packets, and where its counter starts.
pub(super) struct KeySet {
    pub(super) version: u8,
    pub(super) keys: Keys,
    pub(super) first_counter: Counter,
}

/// The keys of security domain `domain` that KIc and KID of a packet name.
///
/// Errors, all of them [`Status::SecurityError`]: the two name different key sets, or none; there is no such key; the
/// algorithm named is not the key's; `policy` does not permit the key.
pub(super) fn keys(kept: &[u8], domain: u8, kic: u8, kid: u8, policy: Policy) -> Result<KeySet, Status> {
    let version = kid >> 4;
    if version == 0 || kic >> 4 != version {
        return Err(Status::SecurityError);
    }
    let domain = security_domains(kept).nth(usize::from(domain)).ok_or(Status::SecurityError)?;
    let with_identifier = |identifier| {
        domain
            .keys
            .iter()
            .find(|key| key.version == version && key.version <= MAX_VERSION && key.identifier == identifier)
    };
    let object = with_identifier(IDENTIFIER_KID).ok_or(Status::SecurityError)?;
    let checksum_length = match object.components.iter().next().map(|component| component.mac_length) {
        Some(4) => 4,
        _ => 8,
    };
    let first_counter = first_counter(&object);
    let kid = key(&object, kid, policy).ok_or(Status::SecurityError)?;
    let kic = with_identifier(IDENTIFIER_KIC).and_then(|object| key(&object, kic, policy));
    let checksum_length = if kid.algorithm() == Algorithm::TripleDes { 8 } else { checksum_length };
    Ok(KeySet { version, keys: Keys { kic, kid, checksum_length }, first_counter })
}

/// The key of a key object, if `indication` (KIc or KID) names its algorithm, or leaves that to the key.
fn key(object: &KeyObject<'_>, indication: u8, policy: Policy) -> Option<Key> {
    let component = object.components.iter().next()?;
    let algorithm = match *component.key_type {
        [TYPE_AES] => Algorithm::Aes,
        [TYPE_DES | TYPE_TRIPLE_DES_CBC] => Algorithm::TripleDes,
        _ => return None,
    };
    let key = Key::new(algorithm, component.data).filter(|_| policy.permits_key(component.data))?;
    let right = match indication & 0x0F {
        0x0 => true,
        0x2 => algorithm == Algorithm::Aes,
        0x5 => algorithm == Algorithm::TripleDes && key.len() == 16,
        0x9 => algorithm == Algorithm::TripleDes && key.len() == 24,
        _ => false,
    };
    right.then_some(key)
}

/// keyCounterValue; 0 without it, the end if it is longer than a counter.
fn first_counter(object: &KeyObject<'_>) -> Counter {
    let value = object.counter.unwrap_or_default();
    let significant = value.iter().copied().skip_while(|byte| *byte == 0);
    significant.fold(0, |sum: Counter, byte| sum.saturating_mul(0x100).saturating_add(byte.into()))
}

/// Whether a remote file management application has this TAR: one of its list, or without a list bytes 13 to 15 of
/// its AID (SAIP clause 8.8).
fn has_tar(rfm: &Rfm<'_>, tar: [u8; 3]) -> bool {
    if rfm.tars.iter().next().is_none() {
        return tar_of_aid(rfm.instance_aid) == Some(tar);
    }
    rfm.tars.iter().any(|listed| listed.0 == tar)
}

/// Bytes 13 to 15 of an AID.
fn tar_of_aid(aid: &[u8]) -> Option<[u8; 3]> {
    aid.get(12..15)?.try_into().ok()
}

/// UICC toolkit application specific parameters (TS 102 226 section 8.2.1.3.2.2.1), as far as they matter.
#[derive(Default)]
struct ToolkitParameters<'a> {
    /// Minimum security level: its parameter, then what belongs to it.
    minimum: &'a [u8],
    /// TAR after TAR.
    tars: &'a [u8],
}

impl<'a> ToolkitParameters<'a> {
    /// Priority, timers, text length, menu entries and two bytes each, channels; then level and TARs behind their
    /// lengths. `None` if they end too early.
    fn read(parameters: &'a [u8]) -> Option<Self> {
        let ([_, _, _, entries], rest) = parameters.split_first_chunk::<4>()?;
        let (_, rest) = rest.split_at_checked(usize::from(*entries).saturating_mul(2).saturating_add(1))?;
        let (minimum, rest) = length_value(rest)?;
        let (tars, _) = length_value(rest)?;
        Some(ToolkitParameters { minimum, tars })
    }
}

fn security_domains(kept: &[u8]) -> impl Iterator<Item = SecurityDomain<'_>> {
    elements(kept).filter_map(|content| match content {
        ProfileElement::SecurityDomain(domain) => Some(domain),
        _ => None,
    })
}

/// The profile elements that are only kept.
fn elements(kept: &[u8]) -> impl Iterator<Item = ProfileElement<'_>> {
    let mut rest = kept;
    core::iter::from_fn(move || {
        let element = next_element(rest).ok().flatten()?;
        rest = rest.get(element.raw.len()..).unwrap_or_default();
        Some(element.content)
    })
}
