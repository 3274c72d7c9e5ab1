//! ES10b.GetEUICCInfo and GetEUICCChallenge (sections 5.7.7, 5.7.8, 4.3).

use crate::codes::EuiccCategory;
use crate::metadata::PprIds;
use crate::object::{KeyId, List, Text, Version, bits, object};
use crate::tags;
use teuicc_tlv::Tag;

object! {
    /// EUICCInfo1: what any server may know.
    pub struct EuiccInfo1<'a>: tags::GET_EUICC_INFO1, any order => {
        /// SGP.22 version supported.
        svn: required Version = 0x82,
        /// CI keys with which servers' certificates are verified, best first.
        ci_pk_ids_for_verification: required List<'a, KeyId<'a>> = 0xA9,
        /// CI keys for which the eUICC has a certificate, best first.
        ci_pk_ids_for_signing: required List<'a, KeyId<'a>> = 0xAA,
    }
}

bits! {
    /// RspCapability.
    pub struct RspCapability {
        /// Several profiles.
        ADDITIONAL_PROFILE = 0,
        /// LoadCRL.
        CRL = 1,
        /// Remote profile management.
        RPM = 2,
        /// Test profiles.
        TEST_PROFILE = 3,
        /// Unknown members of DeviceInfo are passed on.
        DEVICE_INFO_EXTENSIBILITY = 4,
        /// Service specific data.
        SERVICE_SPECIFIC_DATA = 5,
    }
}

bits! {
    /// UICCCapability (TCA "eUICC Profile Package", ServicesList).
    pub struct UiccCapability {
        /// Contactless.
        CONTACTLESS = 0,
        /// USIM.
        USIM = 1,
        /// ISIM.
        ISIM = 2,
        /// CSIM.
        CSIM = 3,
        /// Milenage.
        AKA_MILENAGE = 4,
        /// CAVE.
        AKA_CAVE = 5,
        /// TUAK with 128 bit keys.
        AKA_TUAK128 = 6,
        /// TUAK with 256 bit keys.
        AKA_TUAK256 = 7,
        /// USIM test algorithm.
        USIM_TEST_ALGORITHM = 8,
        /// BER-TLV files.
        BER_TLV = 15,
        /// GET IDENTITY.
        GET_IDENTITY = 22,
        /// SUCI profile A.
        PROFILE_A_X25519 = 23,
        /// SUCI profile B.
        PROFILE_B_P256 = 24,
        /// SUCI is calculated here.
        SUCI_CALCULATOR_API = 25,
    }
}

object! {
    /// CertificationDataObject.
    pub struct CertificationDataObject<'a>: Tag(0xAC) => {
        /// Platform label (TCA).
        platform_label: required &'a str = 0x80,
        /// Discovery base URL.
        discovery_base_url: required &'a str = 0x81,
    }
}

object! {
    /// EUICCInfo2: what an authenticated server may know (section 4.3).
    pub struct EuiccInfo2<'a>: tags::GET_EUICC_INFO2, any order => {
        /// Profile package version supported.
        profile_version: required Version = 0x81,
        /// SGP.22 version supported.
        svn: required Version = 0x82,
        /// Firmware version.
        euicc_firmware_ver: required Version = 0x83,
        /// Extended card resources (TS 102 226); see [`ExtCardResource`].
        ext_card_resource: required &'a [u8] = 0x84,
        /// Services for profiles.
        uicc_capability: required UiccCapability = 0x85,
        /// TS 102 241 version, with Java Card only.
        ts102241_version: optional Version = 0x86,
        /// GlobalPlatform version, with GlobalPlatform only.
        globalplatform_version: optional Version = 0x87,
        /// RSP capabilities.
        rsp_capability: required RspCapability = 0x88,
        /// CI keys with which servers' certificates are verified, best first.
        ci_pk_ids_for_verification: required List<'a, KeyId<'a>> = 0xA9,
        /// CI keys for which the eUICC has a certificate, best first.
        ci_pk_ids_for_signing: required List<'a, KeyId<'a>> = 0xAA,
        /// Category.
        euicc_category: optional EuiccCategory = 0x8B,
        /// Rules that are never allowed.
        forbidden_profile_policy_rules: optional PprIds = 0x99,
        /// Protection profile version.
        pp_version: required Version = 0x04,
        /// SAS accreditation number.
        sas_accreditation_number: required Text<'a, 64> = 0x0C,
        /// Certification data.
        certification_data_object: optional CertificationDataObject<'a> = 0xAC,
    }
}

object! {
    /// Extended card resources information (TS 102 226 section 8.2.1.7.2): the content of EUICCInfo2's member 84,
    /// which is these members without a tag of their own; [`ExtCardResource::from_content`] reads them.
    pub struct ExtCardResource<'a>: Tag(0x84), any order => {
        /// Number of installed applications.
        installed_applications: required &'a [u8] = 0x81,
        /// Free non-volatile memory in bytes, big endian.
        free_non_volatile_memory: required &'a [u8] = 0x82,
        /// Free volatile memory in bytes, big endian.
        free_volatile_memory: required &'a [u8] = 0x83,
    }
}

impl<'a> ExtCardResource<'a> {
    /// Reads the value of EUICCInfo2's member 84. Errors: a member is missing or badly encoded.
    pub fn from_content(content: &'a [u8]) -> Result<Self, teuicc_tlv::Error> {
        <Self as crate::object::Value>::read(&teuicc_tlv::Tlv { tag: Tag(0x84), raw: content, value: content })
    }
}

object! {
    /// Response of ES10b.GetEUICCChallenge (section 5.7.7).
    pub struct GetEuiccChallengeResponse<'a>: tags::GET_EUICC_CHALLENGE => {
        /// The challenge.
        challenge: required &'a [u8; 16] = 0x80,
    }
}
