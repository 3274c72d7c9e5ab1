//! ES10c: the profiles and their states (SGP.22 v2.5 sections 5.7.15 to 5.7.21).
//!
//! A switch commits with one replacement of the registry, which disables the one profile, enables the other and adds
//! the notifications of both.

use super::es10a::text;
use super::registry::Entry;
use super::{Effect, Euicc, Failure, Toolkit};
use crate::platform::{Env, ObjectId, ProfileSlot, Store, StoreError};
use crate::profile::Profile;
use alloc::vec::Vec;
use teuicc_rsp::codes::{
    DeleteProfileResult, DisableProfileResult, EnableProfileResult, EuiccMemoryResetResult, ProfileClass,
    ProfileInfoListError, ProfileState, SetNicknameResult,
};
use teuicc_rsp::es10::{
    DEFAULT_TAG_LIST, DeleteProfileRequest, DeleteProfileResponse, DisableProfileRequest, DisableProfileResponse,
    EnableProfileRequest, EnableProfileResponse, EuiccMemoryResetRequest, EuiccMemoryResetResponse, GetEidRequest,
    GetEidResponse, ProfileIdentifier, ProfileInfo, ProfileInfoListRequest, ProfileInfoListResponse,
    ProfileSearchCriteria, ResetOptions, SetNicknameRequest, SetNicknameResponse,
};
use teuicc_rsp::metadata::{Nickname, NotificationEvent, PprIds, StoreMetadata};
use teuicc_rsp::object::{Aid, Object, Raw};
use teuicc_rsp::tags;
use teuicc_tlv::{Tag, TryBytes, Writer, try_copy};

/// Most tags in a tag list.
const MAX_TAGS: usize = 64;

/// Members of ProfileInfo that only the profile's own metadata know.
const METADATA_TAGS: [Tag; 7] = [Tag(0x91), Tag(0x92), Tag(0x93), Tag(0x94), Tag(0xB6), Tag(0xB7), Tag(0xBF22)];

impl Euicc {
    /// GetEID. Errors: the tag list does not name the EID.
    pub(super) fn get_eid(&self, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let request = GetEidRequest::parse(command)?;
        if request.tag_list != [0x5A] {
            return Err(Failure::Malformed);
        }
        Ok(GetEidResponse { eid: self.personalized()?.eid }.encode()?)
    }

    /// GetProfilesInfo.
    pub(super) fn profiles_info(&self, env: &Env<'_>, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let asked = ProfileInfoListRequest::parse(command)
            .ok()
            .and_then(|request| Some((request.search_criteria, TagList::new(request.tag_list)?)));
        let Some((criteria, tag_list)) = asked else {
            let error = ProfileInfoListResponse::Error(ProfileInfoListError::IncorrectInputValues);
            return Ok(error.encode()?);
        };
        let mut writer = Writer::new();
        writer.nested::<Failure>(tags::PROFILE_INFO_LIST, |writer| {
            writer.nested(Tag(0xA0), |writer| {
                let found = self.registry.profiles.iter().filter(|entry| match criteria {
                    None => true,
                    Some(ProfileSearchCriteria::IsdpAid(aid)) => aid.as_bytes() == entry.aid(),
                    Some(ProfileSearchCriteria::Iccid(iccid)) => iccid == entry.iccid,
                    Some(ProfileSearchCriteria::ProfileClass(class)) => class == entry.class,
                });
                for entry in found {
                    write_profile_info(env.store, entry, &tag_list, writer)?;
                }
                Ok(())
            })
        })?;
        Ok(writer.into_bytes())
    }

    /// EnableProfile, with the implicit disabling of the profile that is enabled: 1 replace.
    pub(super) fn enable_profile(
        &mut self,
        env: &mut Env<'_>,
        command: &[u8],
        toolkit: Toolkit,
    ) -> Result<(Vec<u8>, Effect), Failure> {
        let request = EnableProfileRequest::parse(command)?;
        let answer = |result| EnableProfileResponse { result }.encode();
        let target = match self.may_enable(&request, toolkit) {
            Ok(target) => target,
            Err(refused) => return Ok((answer(refused)?, Effect::None)),
        };
        if let Err(StoreError::Corrupt(_)) = Profile::load(env.store, target) {
            // Enabled, it would keep the card from starting, and the user from ever disabling it.
            return Ok((answer(EnableProfileResult::UndefinedError)?, Effect::None));
        }
        let mut next = self.registry.duplicate()?;
        let class = next.profile(target).ok_or(Failure::Internal)?.class;
        if let Some(enabled) = self.registry.enabled() {
            self.notify_of(env, &mut next, enabled.slot, NotificationEvent::DISABLE)?;
            next.profile_mut(enabled.slot).ok_or(Failure::Internal)?.enabled = false;
            if enabled.class == ProfileClass::Operational {
                next.displaced = Some(enabled.slot);
            }
        }
        if class == ProfileClass::Operational {
            next.displaced = None;
        }
        self.notify_of(env, &mut next, target, NotificationEvent::ENABLE)?;
        next.profile_mut(target).ok_or(Failure::Internal)?.enabled = true;
        self.commit(env, next)?;
        Ok((answer(EnableProfileResult::Ok)?, Effect::ProfileSwitched { refresh: request.refresh_flag }))
    }

    fn may_enable(
        &self,
        request: &EnableProfileRequest<'_>,
        toolkit: Toolkit,
    ) -> Result<ProfileSlot, EnableProfileResult> {
        let target = self.find(&request.profile_identifier).ok_or(EnableProfileResult::IccidOrAidNotFound)?;
        if target.enabled {
            return Err(EnableProfileResult::ProfileNotInDisabledState);
        }
        let enabled = self.registry.enabled();
        if target.class == ProfileClass::Operational && !self.may_follow(target.slot) {
            return Err(EnableProfileResult::WrongProfileReenabling);
        }
        let locked = enabled.is_some_and(|enabled| enabled.rules.contains(PprIds::PPR1));
        if locked && target.class != ProfileClass::Provisioning {
            return Err(EnableProfileResult::DisallowedByPolicy);
        }
        if request.refresh_flag && toolkit == Toolkit::Busy {
            return Err(EnableProfileResult::CatBusy);
        }
        Ok(target.slot)
    }

    /// Whether the operational profile in `target` may be enabled now: after a test or provisioning profile it must be
    /// the one that was enabled before. If that one was disabled by nobody but the user it counts as long as its own
    /// rule PPR1 forbade that.
    fn may_follow(&self, target: ProfileSlot) -> bool {
        let Some(displaced) = self.registry.displaced.and_then(|slot| self.registry.profile(slot)) else {
            return true;
        };
        let in_between = self.registry.enabled().is_some_and(|enabled| enabled.class != ProfileClass::Operational);
        displaced.slot == target || !(in_between || displaced.rules.contains(PprIds::PPR1))
    }

    /// DisableProfile: 1 replace.
    pub(super) fn disable_profile(
        &mut self,
        env: &mut Env<'_>,
        command: &[u8],
        toolkit: Toolkit,
    ) -> Result<(Vec<u8>, Effect), Failure> {
        let request = DisableProfileRequest::parse(command)?;
        let answer = |result| DisableProfileResponse { result }.encode();
        let target = match self.may_disable(&request, toolkit) {
            Ok(target) => target,
            Err(refused) => return Ok((answer(refused)?, Effect::None)),
        };
        let mut next = self.registry.duplicate()?;
        self.notify_of(env, &mut next, target, NotificationEvent::DISABLE)?;
        next.profile_mut(target).ok_or(Failure::Internal)?.enabled = false;
        self.commit(env, next)?;
        Ok((answer(DisableProfileResult::Ok)?, Effect::ProfileSwitched { refresh: request.refresh_flag }))
    }

    fn may_disable(
        &self,
        request: &DisableProfileRequest<'_>,
        toolkit: Toolkit,
    ) -> Result<ProfileSlot, DisableProfileResult> {
        let target = self.find(&request.profile_identifier).ok_or(DisableProfileResult::IccidOrAidNotFound)?;
        if !target.enabled {
            return Err(DisableProfileResult::ProfileNotInEnabledState);
        }
        if target.rules.contains(PprIds::PPR1) {
            return Err(DisableProfileResult::DisallowedByPolicy);
        }
        if request.refresh_flag && toolkit == Toolkit::Busy {
            return Err(DisableProfileResult::CatBusy);
        }
        Ok(target.slot)
    }

    /// DeleteProfile: 1 replace, then the removal of the profile's objects.
    pub(super) fn delete_profile(&mut self, env: &mut Env<'_>, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let DeleteProfileRequest(identifier) = DeleteProfileRequest::parse(command)?;
        let answer = |result| Ok(DeleteProfileResponse { result }.encode()?);
        let target = match self.find(&identifier) {
            None => return answer(DeleteProfileResult::IccidOrAidNotFound),
            Some(entry) if entry.enabled => return answer(DeleteProfileResult::ProfileNotInDisabledState),
            Some(entry) if entry.rules.contains(PprIds::PPR2) => {
                return answer(DeleteProfileResult::DisallowedByPolicy);
            }
            Some(entry) => entry.slot,
        };
        let mut next = self.registry.duplicate()?;
        self.notify_of(env, &mut next, target, NotificationEvent::DELETE)?;
        next.remove_profile(target);
        self.commit(env, next)?;
        self.remove_objects(env, target);
        answer(DeleteProfileResult::Ok)
    }

    /// eUICCMemoryReset: 1 replace, then the removal of the profiles' objects. Profile policy rules do not stop it; the
    /// notification counter and the pending notifications stay.
    pub(super) fn memory_reset(
        &mut self,
        env: &mut Env<'_>,
        command: &[u8],
        toolkit: Toolkit,
    ) -> Result<(Vec<u8>, Effect), Failure> {
        let options = EuiccMemoryResetRequest::parse(command)?.reset_options;
        let answer = |result| EuiccMemoryResetResponse { result }.encode();
        let mut doomed = Vec::new();
        for entry in self.registry.profiles.iter().filter(|entry| is_reset(entry, options)) {
            doomed.try_push(entry.slot)?;
        }
        let initial_address = &self.personalized()?.default_dp_address;
        let address_changes = options.contains(ResetOptions::RESET_DEFAULT_SMDP_ADDRESS)
            && self.registry.default_dp_address != *initial_address;
        if doomed.is_empty() && !address_changes {
            return Ok((answer(EuiccMemoryResetResult::NothingToDelete)?, Effect::None));
        }
        let switches = self.registry.enabled().is_some_and(|enabled| doomed.contains(&enabled.slot));
        if switches && toolkit == Toolkit::Busy {
            return Ok((answer(EuiccMemoryResetResult::CatBusy)?, Effect::None));
        }
        let mut next = self.registry.duplicate()?;
        for slot in &doomed {
            self.notify_of(env, &mut next, *slot, NotificationEvent::DELETE)?;
            next.remove_profile(*slot);
        }
        if address_changes {
            next.default_dp_address = try_copy(initial_address)?;
        }
        self.commit(env, next)?;
        for slot in doomed {
            self.remove_objects(env, slot);
        }
        let effect = if switches { Effect::ProfileSwitched { refresh: true } } else { Effect::None };
        Ok((answer(EuiccMemoryResetResult::Ok)?, effect))
    }

    /// SetNickname: 1 replace. An empty nickname removes it.
    pub(super) fn set_nickname(&mut self, env: &mut Env<'_>, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let request = SetNicknameRequest::parse(command)?;
        let mut next = self.registry.duplicate()?;
        let entry = next.profiles.iter_mut().find(|entry| entry.iccid == request.iccid);
        let result = match entry {
            None => SetNicknameResult::IccidNotFound,
            Some(entry) => {
                entry.nickname = try_copy(request.profile_nickname.as_str().as_bytes())?;
                self.commit(env, next)?;
                SetNicknameResult::Ok
            }
        };
        Ok(SetNicknameResponse { result }.encode()?)
    }

    fn find(&self, identifier: &ProfileIdentifier<'_>) -> Option<&Entry> {
        self.registry.profiles.iter().find(|entry| match identifier {
            ProfileIdentifier::IsdpAid(aid) => aid.as_bytes() == entry.aid(),
            ProfileIdentifier::Iccid(iccid) => *iccid == entry.iccid,
        })
    }

    /// Removes what is stored of a profile that the registry no longer lists. What cannot be removed now is removed
    /// at the next start, or before the slot is used again.
    pub(super) fn remove_objects(&mut self, env: &mut Env<'_>, slot: ProfileSlot) {
        if remove_objects(env.store, slot).is_err() {
            self.leftovers = true;
        }
    }
}

/// Removes the objects of `slot`.
pub(super) fn remove_objects(store: &mut dyn Store, slot: ProfileSlot) -> Result<(), StoreError> {
    for id in [ObjectId::Base(slot), ObjectId::Changes(slot), ObjectId::Hot(slot)] {
        store.remove(id)?;
    }
    Ok(())
}

fn is_reset(entry: &Entry, options: ResetOptions) -> bool {
    match entry.class {
        ProfileClass::Operational => options.contains(ResetOptions::DELETE_OPERATIONAL_PROFILES),
        ProfileClass::Test => options.contains(ResetOptions::DELETE_FIELD_LOADED_TEST_PROFILES),
        _ => false,
    }
}

/// Which members of ProfileInfo are asked for.
struct TagList {
    tags: Vec<Tag>,
}

impl TagList {
    /// Reads a tag list, the default one if there is none. `None` if it is malformed or memory runs out.
    fn new(encoded: Option<&[u8]>) -> Option<Self> {
        let mut rest = encoded.unwrap_or(DEFAULT_TAG_LIST);
        let mut tags = Vec::new();
        while let Some((first, behind)) = rest.split_first() {
            let mut tag = u32::from(*first);
            rest = behind;
            if first & 0x1F == 0x1F {
                loop {
                    let (octet, behind) = rest.split_first()?;
                    if tag > 0xFFFF {
                        return None;
                    }
                    tag = tag.checked_mul(0x100)?.checked_add(u32::from(*octet))?;
                    rest = behind;
                    if octet & 0x80 == 0 {
                        break;
                    }
                }
            }
            if tags.len() >= MAX_TAGS {
                return None;
            }
            tags.try_push(Tag(tag)).ok()?;
        }
        Some(TagList { tags })
    }

    fn has(&self, tag: u32) -> bool {
        self.tags.contains(&Tag(tag))
    }

    /// `member` if `tag` is asked for.
    fn give<T>(&self, tag: u32, member: Option<T>) -> Option<T> {
        member.filter(|_| self.has(tag))
    }
}

/// Writes the ProfileInfo of `entry` with the members asked for. What the registry knows does not touch the profile's
/// stored objects.
fn write_profile_info(
    store: &dyn Store,
    entry: &Entry,
    tag_list: &TagList,
    writer: &mut Writer,
) -> Result<(), Failure> {
    let aid = entry.aid();
    let nickname = text(&entry.nickname)?;
    let state = if entry.enabled { ProfileState::Enabled } else { ProfileState::Disabled };
    let known = ProfileInfo {
        iccid: tag_list.give(0x5A, Some(entry.iccid)),
        isdp_aid: tag_list.give(0x4F, Aid::new(&aid)),
        profile_state: tag_list.give(0x9F70, Some(state)),
        profile_nickname: tag_list.give(0x90, Nickname::new(nickname).filter(|_| !nickname.is_empty())),
        profile_class: tag_list.give(0x95, Some(entry.class)),
        profile_policy_rules: tag_list.give(0x99, Some(entry.rules).filter(|rules| !rules.is_empty())),
        service_provider_name: None,
        profile_name: None,
        icon_type: None,
        icon: None,
        notification_configuration: None,
        profile_owner: None,
        dp_proprietary_data: tag_list.give(0xB8, Some(Raw(&entry.proprietary)).filter(|data| !data.0.is_empty())),
        ref_ar_do: None,
        service_specific_data: None,
    };
    if !METADATA_TAGS.iter().any(|tag| tag_list.tags.contains(tag)) {
        return Ok(known.write(writer)?);
    }
    let stored = Profile::load_metadata(store, entry.slot)?;
    let Some(metadata) = stored.as_deref().and_then(|stored| StoreMetadata::parse(stored).ok()) else {
        // Damaged: what the registry knows is enough to disable and delete it.
        return Ok(known.write(writer)?);
    };
    let metadata = entry.updated(metadata)?;
    let info = ProfileInfo {
        service_provider_name: tag_list.give(0x91, Some(metadata.service_provider_name)),
        profile_name: tag_list.give(0x92, Some(metadata.profile_name)),
        icon_type: tag_list.give(0x93, metadata.icon_type),
        icon: tag_list.give(0x94, metadata.icon),
        notification_configuration: tag_list.give(0xB6, metadata.notification_configuration),
        profile_owner: tag_list.give(0xB7, metadata.profile_owner),
        service_specific_data: tag_list.give(0xBF22, metadata.service_specific_data),
        ..known
    };
    Ok(info.write(writer)?)
}
