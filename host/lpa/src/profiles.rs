//! The profiles on the card, and what the card says of itself: ES10c, and the ES10a and ES10b functions that inform
//! (SGP.22 v2.5 sections 5.7.3 to 5.7.8, 5.7.15 to 5.7.21).

use crate::activation_code::ServerAddress;
use crate::error::LpaError;
use crate::es10::{Isdr, on_isdr, read, refused};
use crate::operation::Operation;
use crate::session;
use core::fmt;
use core::str::FromStr;
use teuicc_rsp::codes::{
    DeleteProfileResult, DisableProfileResult, EnableProfileResult, EuiccMemoryResetResult, ProfileClass, ProfileState,
    SetDefaultDpAddressResult, SetNicknameResult,
};
use teuicc_rsp::es10::{
    DeleteProfileRequest, DeleteProfileResponse, DisableProfileRequest, DisableProfileResponse, EnableProfileRequest,
    EnableProfileResponse, EuiccInfo2, EuiccMemoryResetRequest, EuiccMemoryResetResponse, ExtCardResource,
    GetEidRequest, GetEidResponse, ProfileIdentifier, ProfileInfo, ProfileInfoListRequest, ProfileInfoListResponse,
    SetDefaultDpAddressRequest, SetDefaultDpAddressResponse, SetNicknameRequest, SetNicknameResponse,
};
pub use teuicc_rsp::es10::{ResetOptions, RspCapability, UiccCapability};
use teuicc_rsp::metadata::{MAX_NICKNAME, Nickname};
use teuicc_rsp::object::{Aid, KeyId, List, Version};
use teuicc_rsp::{Eid, Iccid, tags};

/// A profile on the card, by either of its names.
#[derive(Clone, PartialEq, Eq)]
pub enum ProfileId {
    /// By its ICCID.
    Iccid(Iccid),
    /// By the AID of its ISD-P: 5 to 16 bytes.
    IsdpAid(Vec<u8>),
}

impl FromStr for ProfileId {
    type Err = LpaError;

    /// Reads an ICCID of 18 to 20 digits, or the AID of an ISD-P in hex.
    fn from_str(text: &str) -> Result<Self, LpaError> {
        let text = text.trim();
        if let Some(iccid) = Iccid::from_digits(text).filter(|_| (18..=20).contains(&text.len())) {
            return Ok(ProfileId::Iccid(iccid));
        }
        match hex::decode(text) {
            Ok(aid) if text.len() == 32 => Ok(ProfileId::IsdpAid(aid)),
            _ => Err(LpaError::Parameter(format!(
                "{text:?} names no profile: an ICCID has 18 to 20 digits, the AID of an ISD-P 32 hex digits"
            ))),
        }
    }
}

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileId::Iccid(iccid) => iccid.fmt(f),
            ProfileId::IsdpAid(aid) => f.write_str(&hex::encode_upper(aid)),
        }
    }
}

impl fmt::Debug for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProfileId({self})")
    }
}

impl ProfileId {
    fn as_identifier(&self) -> Result<ProfileIdentifier<'_>, LpaError> {
        match self {
            ProfileId::Iccid(iccid) => Ok(ProfileIdentifier::Iccid(*iccid)),
            ProfileId::IsdpAid(aid) => Aid::new(aid)
                .map(ProfileIdentifier::IsdpAid)
                .ok_or_else(|| LpaError::Parameter("an AID has 5 to 16 bytes".into())),
        }
    }
}

/// A profile on the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// ICCID.
    pub iccid: Option<Iccid>,
    /// AID of its ISD-P.
    pub isdp_aid: Option<Vec<u8>>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// What the user calls it.
    pub nickname: Option<String>,
    /// Service provider name.
    pub service_provider_name: Option<String>,
    /// Profile name.
    pub profile_name: Option<String>,
    /// Test, provisioning or operational.
    pub class: ProfileClass,
}

impl From<&ProfileInfo<'_>> for Profile {
    fn from(info: &ProfileInfo<'_>) -> Self {
        Profile {
            iccid: info.iccid,
            isdp_aid: info.isdp_aid.map(|aid| aid.as_bytes().to_vec()),
            enabled: info.profile_state == Some(ProfileState::Enabled),
            nickname: info.profile_nickname.map(|name| name.to_string()).filter(|name| !name.is_empty()),
            service_provider_name: info.service_provider_name.map(|name| name.to_string()),
            profile_name: info.profile_name.map(|name| name.to_string()),
            class: info.profile_class.unwrap_or(ProfileClass::Operational),
        }
    }
}

/// What the card says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardInfo {
    /// EID.
    pub eid: Eid,
    /// The SM-DP+ that is asked without an activation code.
    pub default_dp_address: Option<String>,
    /// The SM-DS that is asked for events.
    pub root_ds_address: String,
    /// Version of SGP.22.
    pub svn: Version,
    /// Version of profile packages.
    pub profile_version: Version,
    /// Version of the eUICC's firmware.
    pub firmware_version: Version,
    /// Version of the protection profile.
    pub pp_version: Version,
    /// Free non-volatile memory in bytes.
    pub free_non_volatile_memory: Option<u64>,
    /// Services for profiles.
    pub uicc_capability: UiccCapability,
    /// Capabilities of remote SIM provisioning.
    pub rsp_capability: RspCapability,
    /// CI keys with which servers are verified, best first: subject key identifiers.
    pub ci_keys_for_verification: Vec<Vec<u8>>,
    /// CI keys for which the card has a certificate, best first.
    pub ci_keys_for_signing: Vec<Vec<u8>>,
    /// SAS accreditation number.
    pub sas_accreditation_number: String,
}

/// Reads what the card says of itself.
#[must_use]
pub fn info() -> Operation<CardInfo> {
    on_isdr!(|io, isdr| read_info(isdr))
}

/// Lists the profiles.
#[must_use]
pub fn list() -> Operation<Vec<Profile>> {
    on_isdr!(|io, isdr| read_profiles(isdr))
}

/// Enables a profile; the one that is enabled is disabled. With `refresh` the card has the modem read it anew, without
/// it the modem must be reset.
#[must_use]
pub fn enable(profile: ProfileId, refresh: bool) -> Operation<()> {
    on_isdr!(|io, isdr| enable_on(isdr, &profile, refresh))
}

/// Disables a profile. `refresh` as in [`enable`].
#[must_use]
pub fn disable(profile: ProfileId, refresh: bool) -> Operation<()> {
    on_isdr!(|io, isdr| disable_on(isdr, &profile, refresh))
}

/// Deletes a profile for good; it must be disabled.
#[must_use]
pub fn delete(profile: ProfileId) -> Operation<()> {
    on_isdr!(|io, isdr| delete_on(isdr, &profile))
}

/// Gives a profile a nickname of at most 64 bytes of UTF-8; an empty one removes it.
#[must_use]
pub fn set_nickname(iccid: Iccid, nickname: String) -> Operation<()> {
    on_isdr!(|io, isdr| set_nickname_on(isdr, iccid, &nickname))
}

/// Resets the card's memory: deletes the kinds of profiles named, for good.
#[must_use]
pub fn reset(options: ResetOptions) -> Operation<()> {
    on_isdr!(|io, isdr| reset_on(isdr, options))
}

/// Sets the SM-DP+ that is asked without an activation code, or with `None` removes it.
#[must_use]
pub fn set_default_dp_address(address: Option<ServerAddress>) -> Operation<()> {
    on_isdr!(|io, isdr| set_default_dp_address_on(isdr, address.as_ref()))
}

async fn read_info(isdr: &Isdr<'_>) -> Result<CardInfo, LpaError> {
    const EID: &str = "GetEID";
    const INFO: &str = "GetEUICCInfo";
    let eid = isdr.send(EID, &GetEidRequest { tag_list: &[0x5A] }).await?;
    let eid = read::<GetEidResponse>(EID, &eid)?.eid;
    let (default_dp_address, root_ds_address) = session::configured_addresses(isdr).await?;
    let info2 = isdr.get(INFO, tags::GET_EUICC_INFO2).await?;
    let info2: EuiccInfo2<'_> = read(INFO, &info2)?;
    let resources = ExtCardResource::from_content(info2.ext_card_resource).ok();
    Ok(CardInfo {
        eid,
        default_dp_address,
        root_ds_address,
        svn: info2.svn,
        profile_version: info2.profile_version,
        firmware_version: info2.euicc_firmware_ver,
        pp_version: info2.pp_version,
        free_non_volatile_memory: resources.and_then(|resources| number(resources.free_non_volatile_memory)),
        uicc_capability: info2.uicc_capability,
        rsp_capability: info2.rsp_capability,
        ci_keys_for_verification: key_ids(&info2.ci_pk_ids_for_verification),
        ci_keys_for_signing: key_ids(&info2.ci_pk_ids_for_signing),
        sas_accreditation_number: info2.sas_accreditation_number.to_string(),
    })
}

/// A big-endian number of at most 8 bytes.
fn number(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

fn key_ids(list: &List<'_, KeyId<'_>>) -> Vec<Vec<u8>> {
    list.iter().map(|key| key.as_bytes().to_vec()).collect()
}

async fn read_profiles(isdr: &Isdr<'_>) -> Result<Vec<Profile>, LpaError> {
    const FUNCTION: &str = "GetProfilesInfo";
    /// The members of [`Profile`]: without the icons, which are large.
    const TAGS: &[u8] = &[0x5A, 0x4F, 0x9F, 0x70, 0x90, 0x91, 0x92, 0x95];
    let request = ProfileInfoListRequest { search_criteria: None, tag_list: Some(TAGS) };
    let answer = isdr.send(FUNCTION, &request).await?;
    match read(FUNCTION, &answer)? {
        ProfileInfoListResponse::List(list) => Ok(list.iter().map(|info| Profile::from(&info)).collect()),
        ProfileInfoListResponse::Error(code) => Err(refused(FUNCTION, code.code(), &code)),
    }
}

async fn enable_on(isdr: &Isdr<'_>, profile: &ProfileId, refresh_flag: bool) -> Result<(), LpaError> {
    const FUNCTION: &str = "EnableProfile";
    let request = EnableProfileRequest { profile_identifier: profile.as_identifier()?, refresh_flag };
    let answer = isdr.send(FUNCTION, &request).await?;
    match read::<EnableProfileResponse>(FUNCTION, &answer)?.result {
        EnableProfileResult::Ok => Ok(()),
        code => Err(refused(FUNCTION, code.code(), &code)),
    }
}

async fn disable_on(isdr: &Isdr<'_>, profile: &ProfileId, refresh_flag: bool) -> Result<(), LpaError> {
    const FUNCTION: &str = "DisableProfile";
    let request = DisableProfileRequest { profile_identifier: profile.as_identifier()?, refresh_flag };
    let answer = isdr.send(FUNCTION, &request).await?;
    match read::<DisableProfileResponse>(FUNCTION, &answer)?.result {
        DisableProfileResult::Ok => Ok(()),
        code => Err(refused(FUNCTION, code.code(), &code)),
    }
}

async fn delete_on(isdr: &Isdr<'_>, profile: &ProfileId) -> Result<(), LpaError> {
    const FUNCTION: &str = "DeleteProfile";
    let answer = isdr.send(FUNCTION, &DeleteProfileRequest(profile.as_identifier()?)).await?;
    match read::<DeleteProfileResponse>(FUNCTION, &answer)?.result {
        DeleteProfileResult::Ok => Ok(()),
        code => Err(refused(FUNCTION, code.code(), &code)),
    }
}

async fn set_nickname_on(isdr: &Isdr<'_>, iccid: Iccid, nickname: &str) -> Result<(), LpaError> {
    const FUNCTION: &str = "SetNickname";
    let profile_nickname = Nickname::new(nickname).ok_or_else(|| {
        LpaError::Parameter(format!("a nickname has at most {MAX_NICKNAME} bytes; this has {}", nickname.len()))
    })?;
    let answer = isdr.send(FUNCTION, &SetNicknameRequest { iccid, profile_nickname }).await?;
    match read::<SetNicknameResponse>(FUNCTION, &answer)?.result {
        SetNicknameResult::Ok => Ok(()),
        code => Err(refused(FUNCTION, code.code(), &code)),
    }
}

async fn reset_on(isdr: &Isdr<'_>, reset_options: ResetOptions) -> Result<(), LpaError> {
    const FUNCTION: &str = "eUICCMemoryReset";
    let answer = isdr.send(FUNCTION, &EuiccMemoryResetRequest { reset_options }).await?;
    match read::<EuiccMemoryResetResponse>(FUNCTION, &answer)?.result {
        EuiccMemoryResetResult::Ok => Ok(()),
        code => Err(refused(FUNCTION, code.code(), &code)),
    }
}

async fn set_default_dp_address_on(isdr: &Isdr<'_>, address: Option<&ServerAddress>) -> Result<(), LpaError> {
    const FUNCTION: &str = "SetDefaultDpAddress";
    let default_dp_address = address.map_or("", ServerAddress::as_str);
    let answer = isdr.send(FUNCTION, &SetDefaultDpAddressRequest { default_dp_address }).await?;
    match read::<SetDefaultDpAddressResponse>(FUNCTION, &answer)?.result {
        SetDefaultDpAddressResult::Ok => Ok(()),
        code => Err(refused(FUNCTION, code.code(), &code)),
    }
}
