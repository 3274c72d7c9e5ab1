//! What the card says of itself: the ISD-R's FCI, EUICCInfo1 and EUICCInfo2 (SGP.22 v2.5 sections 4.3, 5.7.1, 5.7.8).

use super::identity::Personalized;
use super::{Euicc, Failure};
use crate::platform::MAX_PROFILES;
use crate::services;
use alloc::vec::Vec;
use teuicc_rsp::aid;
use teuicc_rsp::es10::{EuiccInfo1, EuiccInfo2, ExtCardResource, GetRatResponse, RspCapability, UiccCapability};
use teuicc_rsp::metadata::RulesAuthorisationTable;
use teuicc_rsp::object::{KeyId, List, Object, Text, Version};
use teuicc_tlv::{Reader, Tag, Writer};

/// SGP.22 version supported.
pub(crate) const SVN: Version = Version(2, 5, 0);
/// Profile package version supported (TCA).
pub(crate) const PROFILE_VERSION: Version = Version(2, 3, 1);
/// Protection profile version: this card was evaluated against none.
const PP_VERSION: Version = Version(0, 0, 0);
/// The maker of this card is not accredited, and says so.
const SAS_ACCREDITATION_NUMBER: &str = "TEUICC-NOT-ACCREDITED";
/// What a free profile slot is good for, in bytes: a profile larger than any published test profile.
const SLOT_SIZE: u32 = 64 * 1024;
/// Memory for an installation in bytes.
const FREE_VOLATILE_MEMORY: u32 = 256 * 1024;

impl Euicc {
    /// The answer to SELECT of the ISD-R: the FCI, and the ISDRProprietaryApplicationTemplate behind its other members.
    pub(super) fn isdr_fci(&self) -> Result<Vec<u8>, Failure> {
        let mut writer = Writer::new();
        writer.nested::<teuicc_tlv::Error>(Tag(0x6F), |writer| {
            writer.primitive(Tag(0x84), &aid::ISDR)?;
            writer.nested(Tag(0xA5), |writer| writer.primitive(Tag(0x9F65), &[0xFF]))?;
            writer.nested(Tag(0xE0), |writer| writer.primitive(Tag(0x82), &[SVN.0, SVN.1, SVN.2]))
        })?;
        Ok(writer.into_bytes())
    }

    /// GetEUICCInfo with EUICCInfo1.
    pub(super) fn euicc_info1(&self) -> Result<Vec<u8>, Failure> {
        let ids = key_ids(self.personalized()?)?;
        let info = EuiccInfo1 {
            svn: SVN,
            ci_pk_ids_for_verification: List::new(&ids)?,
            ci_pk_ids_for_signing: List::new(&ids)?,
        };
        Ok(info.encode()?)
    }

    /// GetEUICCInfo with EUICCInfo2, also what goes into euiccSigned1.
    pub(super) fn euicc_info2(&self) -> Result<Vec<u8>, Failure> {
        let ids = key_ids(self.personalized()?)?;
        let resource = self.ext_card_resource()?;
        let mut resource_reader = Reader::new(&resource);
        let info = EuiccInfo2 {
            profile_version: PROFILE_VERSION,
            svn: SVN,
            euicc_firmware_ver: firmware_version(),
            ext_card_resource: resource_reader.expect(Tag(0x84))?.value,
            uicc_capability: UiccCapability(services::UICC_CAPABILITY),
            ts102241_version: None,
            globalplatform_version: None,
            rsp_capability: RspCapability::ADDITIONAL_PROFILE
                .union(RspCapability::CRL)
                .union(RspCapability::TEST_PROFILE)
                .union(RspCapability::DEVICE_INFO_EXTENSIBILITY),
            ci_pk_ids_for_verification: List::new(&ids)?,
            ci_pk_ids_for_signing: List::new(&ids)?,
            euicc_category: None,
            forbidden_profile_policy_rules: None,
            pp_version: PP_VERSION,
            sas_accreditation_number: Text::new(SAS_ACCREDITATION_NUMBER).ok_or(Failure::Internal)?,
            certification_data_object: None,
        };
        Ok(info.encode()?)
    }

    /// GetRAT.
    pub(super) fn rat(&self) -> Result<Vec<u8>, Failure> {
        let rat = RulesAuthorisationTable::new(&self.personalized()?.rules_authorisation_table)?;
        Ok(GetRatResponse { rat }.encode()?)
    }

    /// Extended card resources: installed profiles, room for more, and memory for one installation.
    fn ext_card_resource(&self) -> Result<Vec<u8>, Failure> {
        let installed = u8::try_from(self.registry.profiles.len()).map_err(|_| Failure::Internal)?;
        let free = SLOT_SIZE.saturating_mul(u32::from(MAX_PROFILES.saturating_sub(installed)));
        let resource = ExtCardResource {
            installed_applications: &[installed],
            free_non_volatile_memory: &free.to_be_bytes(),
            free_volatile_memory: &FREE_VOLATILE_MEMORY.to_be_bytes(),
        };
        Ok(resource.encode()?)
    }
}

/// The CI key identifiers, best first, each as an OCTET STRING.
fn key_ids(identity: &Personalized) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer::new();
    for chain in identity.chains() {
        KeyId::new(&chain.ci_key_id).ok_or(Failure::Internal)?.write(&mut writer)?;
    }
    Ok(writer.into_bytes())
}

/// The crate's version.
fn firmware_version() -> Version {
    let number = |text: &str| text.parse::<u8>().unwrap_or(u8::MAX);
    Version(
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    )
}
