//! ES10c: the profiles (SGP.22 v2.5 sections 5.7.15 to 5.7.18, 5.7.21).

use crate::codes::{
    DeleteProfileResult, DisableProfileResult, EnableProfileResult, IconType, ProfileClass, ProfileInfoListError,
    ProfileState, SetNicknameResult,
};
use crate::iccid::Iccid;
use crate::metadata::{
    Icon, Nickname, NotificationConfigurationInformation, OperatorId, PprIds, ProfileName, ServiceProviderName,
};
use crate::object::{Aid, List, Object, Raw, Value, choice, object};
use crate::tags;
use teuicc_tlv::{Error, ErrorKind, Reader, Tag, Tlv, Writer};

choice! {
    /// Which profiles ES10c.GetProfilesInfo shall list.
    pub enum ProfileSearchCriteria<'a>: Tag(0xA0) => {
        /// The one in this ISD-P.
        IsdpAid(Aid<'a>) = 0x4F,
        /// The one with this ICCID.
        Iccid(Iccid) = 0x5A,
        /// Those of this class.
        ProfileClass(ProfileClass) = 0x95,
    }
}

object! {
    /// Request of ES10c.GetProfilesInfo.
    pub struct ProfileInfoListRequest<'a>: tags::PROFILE_INFO_LIST => {
        /// Which profiles; all if absent.
        search_criteria: optional ProfileSearchCriteria<'a> = 0xA0,
        /// Which members of [`ProfileInfo`], their tags concatenated; [`DEFAULT_TAG_LIST`] if absent.
        tag_list: optional &'a [u8] = 0x5C,
    }
}

/// The members of [`ProfileInfo`] given when the request has no tag list.
pub const DEFAULT_TAG_LIST: &[u8] = &[0x5A, 0x4F, 0x9F, 0x70, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95];

choice! {
    /// Response of ES10c.GetProfilesInfo.
    pub enum ProfileInfoListResponse<'a>: tags::PROFILE_INFO_LIST => {
        /// The profiles.
        List(List<'a, ProfileInfo<'a>>) = 0xA0,
        /// Why not.
        Error(ProfileInfoListError) = 0x81,
    }
}

object! {
    /// ProfileInfo. Every member is there only if it was asked for and the profile has it.
    pub struct ProfileInfo<'a>: tags::PROFILE_INFO, any order => {
        /// ICCID.
        iccid: optional Iccid = 0x5A,
        /// The ISD-P.
        isdp_aid: optional Aid<'a> = 0x4F,
        /// State; disabled if absent from what was asked for.
        profile_state: optional ProfileState = 0x9F70,
        /// Nickname, given by the user.
        profile_nickname: optional Nickname<'a> = 0x90,
        /// Service provider name.
        service_provider_name: optional ServiceProviderName<'a> = 0x91,
        /// Profile name.
        profile_name: optional ProfileName<'a> = 0x92,
        /// Format of the icon.
        icon_type: optional IconType = 0x93,
        /// The icon.
        icon: optional Icon<'a> = 0x94,
        /// Class.
        profile_class: optional ProfileClass = 0x95,
        /// Who is told of what.
        notification_configuration: optional List<'a, NotificationConfigurationInformation<'a>> = 0xB6,
        /// The owner.
        profile_owner: optional OperatorId<'a> = 0xB7,
        /// dpProprietaryData.
        dp_proprietary_data: optional Raw<'a> = 0xB8,
        /// Profile policy rules.
        profile_policy_rules: optional PprIds = 0x99,
        /// Access rules for applications of the device, refArDo.
        ref_ar_do: optional Raw<'a> = 0xBF76,
        /// serviceSpecificDataStoredInEuicc.
        service_specific_data: optional Raw<'a> = 0xBF22,
    }
}

impl ProfileInfo<'_> {
    /// What is left of it when only the members in `tag_list` (their tags, concatenated) are asked for. Errors: it is
    /// no list of tags.
    pub fn restricted_to(mut self, tag_list: &[u8]) -> Result<Self, Error> {
        let keep = |tag: u32| tags_in(tag_list).any(|listed| listed == Some(Tag(tag)));
        if tags_in(tag_list).any(|listed| listed.is_none()) {
            return Err(Error { kind: ErrorKind::Value { tag: tags::TAG_LIST }, offset: 0 });
        }
        restrict(&mut self.iccid, keep(0x5A));
        restrict(&mut self.isdp_aid, keep(0x4F));
        restrict(&mut self.profile_state, keep(0x9F70));
        restrict(&mut self.profile_nickname, keep(0x90));
        restrict(&mut self.service_provider_name, keep(0x91));
        restrict(&mut self.profile_name, keep(0x92));
        restrict(&mut self.icon_type, keep(0x93));
        restrict(&mut self.icon, keep(0x94));
        restrict(&mut self.profile_class, keep(0x95));
        restrict(&mut self.notification_configuration, keep(0xB6));
        restrict(&mut self.profile_owner, keep(0xB7));
        restrict(&mut self.dp_proprietary_data, keep(0xB8));
        restrict(&mut self.profile_policy_rules, keep(0x99));
        restrict(&mut self.ref_ar_do, keep(0xBF76));
        restrict(&mut self.service_specific_data, keep(0xBF22));
        Ok(self)
    }
}

/// Removes a member that is not to be kept.
fn restrict<T>(member: &mut Option<T>, keep: bool) {
    if !keep {
        *member = None;
    }
}

/// The tags in a list of tags; `None` once, at the end, where a tag is not encoded as one.
fn tags_in(list: &[u8]) -> impl Iterator<Item = Option<Tag>> {
    let mut rest = list;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let tag = Reader::new(rest).peek();
        rest = tag.and_then(|tag| rest.get(tag.encoded_len()..)).unwrap_or_default();
        Some(tag)
    })
}

choice! {
    /// A profile, by the ISD-P or by the ICCID.
    pub enum ProfileIdentifier<'a>: Tag(0xA0) => {
        /// The one in this ISD-P.
        IsdpAid(Aid<'a>) = 0x4F,
        /// The one with this ICCID.
        Iccid(Iccid) = 0x5A,
    }
}

object! {
    /// Request of ES10c.EnableProfile.
    pub struct EnableProfileRequest<'a>: tags::ENABLE_PROFILE => {
        /// The profile.
        profile_identifier: required ProfileIdentifier<'a> = 0xA0,
        /// Whether the card shall have the device refresh.
        refresh_flag: required bool = 0x81,
    }
}

object! {
    /// Response of ES10c.EnableProfile.
    pub struct EnableProfileResponse: tags::ENABLE_PROFILE => {
        /// The result.
        result: required EnableProfileResult = 0x80,
    }
}

object! {
    /// Request of ES10c.DisableProfile.
    pub struct DisableProfileRequest<'a>: tags::DISABLE_PROFILE => {
        /// The profile.
        profile_identifier: required ProfileIdentifier<'a> = 0xA0,
        /// Whether the card shall have the device refresh.
        refresh_flag: required bool = 0x81,
    }
}

object! {
    /// Response of ES10c.DisableProfile.
    pub struct DisableProfileResponse: tags::DISABLE_PROFILE => {
        /// The result.
        result: required DisableProfileResult = 0x80,
    }
}

/// Request of ES10c.DeleteProfile: the identifier stands right under the tag here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteProfileRequest<'a>(pub ProfileIdentifier<'a>);

impl<'a> Value<'a> for DeleteProfileRequest<'a> {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        ProfileIdentifier::read(tlv).map(Self)
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        self.0.put(tag, writer)
    }
}

impl<'a> Object<'a> for DeleteProfileRequest<'a> {
    const TAG: Tag = tags::DELETE_PROFILE;
}

object! {
    /// Response of ES10c.DeleteProfile.
    pub struct DeleteProfileResponse: tags::DELETE_PROFILE => {
        /// The result.
        result: required DeleteProfileResult = 0x80,
    }
}

object! {
    /// Request of ES10c.SetNickname.
    pub struct SetNicknameRequest<'a>: tags::SET_NICKNAME => {
        /// The profile.
        iccid: required Iccid = 0x5A,
        /// The nickname; an empty one removes it.
        profile_nickname: required Nickname<'a> = 0x90,
    }
}

object! {
    /// Response of ES10c.SetNickname.
    pub struct SetNicknameResponse: tags::SET_NICKNAME => {
        /// The result.
        result: required SetNicknameResult = 0x80,
    }
}
