//! ES6: what the operator does to its enabled profile over the air (SGP.22 v2.5 section 5.4).

use super::registry::{Entry, Registry, isdp_aid};
use super::{Assembly, Euicc, Failure, Stop};
use crate::platform::Env;
use crate::profile::Profile;
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_rsp::metadata::{StoreMetadata, UpdateMetadata};
use teuicc_rsp::object::Object;
use teuicc_rsp::tags;
use teuicc_tlv::{Error, Reader};

impl Euicc {
    /// AID of the ISD-P of the enabled profile.
    pub(crate) fn enabled_isdp(&self) -> Option<[u8; 16]> {
        self.enabled().map(isdp_aid)
    }

    /// One STORE DATA command to the ISD-P of the enabled profile. `assembly` is the block buffer of the script.
    ///
    /// Errors, as status words: malformed (6A80), no function of the ISD-P (6A88), rules that the profile may not have
    /// (6985), the store or memory.
    pub(crate) fn isdp_store_data(
        &mut self,
        env: &mut Env<'_>,
        assembly: &mut Assembly,
        command: &Command<'_>,
    ) -> Response {
        let command = match assembly.block(command) {
            Ok(Some(whole)) => whole,
            Ok(None) => return StatusWord::OK.into(),
            Err(status_word) => return status_word.into(),
        };
        let believed = self.believe_the_same_profile(env).map_err(Stop::Failed);
        let updated = believed.and_then(|()| match Reader::new(&command).peek() {
            Some(tags::UPDATE_METADATA) => self.update_metadata(env, &command),
            Some(_) => Err(Failure::NoFunction.into()),
            None => Err(Failure::Malformed.into()),
        });
        match updated {
            Ok(()) => StatusWord::OK.into(),
            Err(Stop::Refused(status_word)) => status_word.into(),
            Err(Stop::Failed(failure)) => failure.status_word().into(),
        }
    }

    /// As [`Euicc::believe_the_store`]. Errors also: after a write that failed another profile is enabled than the one
    /// that runs; that is for the ISD-R to find, which can tell.
    fn believe_the_same_profile(&mut self, env: &mut Env<'_>) -> Result<(), Failure> {
        if self.stale && Registry::load(env.store)?.enabled().map(|entry| entry.slot) != self.enabled() {
            return Err(Failure::Internal);
        }
        self.believe_the_store(env)
    }

    /// UpdateMetadata (section 5.4.1): 1 replace. All of it is done, or nothing.
    fn update_metadata(&mut self, env: &mut Env<'_>, command: &[u8]) -> Result<(), Stop<StatusWord>> {
        let update = UpdateMetadata::parse(command)?;
        // An icon without its format could not be shown.
        let shown = update.icon.filter(|icon| !icon.as_bytes().is_empty());
        if shown.is_some() != update.icon_type.is_some() {
            return Err(Failure::Malformed.into());
        }
        let slot = self.enabled().ok_or(Failure::NoSession)?;
        let mut next = self.registry.duplicate()?;
        let entry = next.profile_mut(slot).ok_or(Failure::Internal)?;
        if let Some(rules) = update.profile_policy_rules {
            let stored = Profile::load_metadata(env.store, slot).map_err(Failure::from)?.ok_or(Failure::Internal)?;
            let metadata = StoreMetadata::parse(&stored)?;
            if !self.may_have(rules, metadata.profile_owner.as_ref(), Some(slot)) {
                return Err(Stop::Refused(StatusWord::CONDITIONS_OF_USE));
            }
            entry.rules = rules;
        }
        entry.updates = merged(&entry.updates, update)?;
        Ok(self.commit(env, next)?)
    }
}

impl Entry {
    /// The metadata as installed with what was updated since. Errors: the updates are damaged.
    pub(super) fn updated<'a>(&'a self, installed: StoreMetadata<'a>) -> Result<StoreMetadata<'a>, Error> {
        if self.updates.is_empty() {
            return Ok(installed);
        }
        let updates = UpdateMetadata::parse(&self.updates)?;
        let (icon_type, icon) = match updates.icon {
            None => (installed.icon_type, installed.icon),
            Some(icon) if icon.as_bytes().is_empty() => (None, None),
            Some(icon) => (updates.icon_type, Some(icon)),
        };
        Ok(StoreMetadata {
            service_provider_name: updates.service_provider_name.unwrap_or(installed.service_provider_name),
            profile_name: updates.profile_name.unwrap_or(installed.profile_name),
            icon_type,
            icon,
            service_specific_data: updates.service_specific_data.or(installed.service_specific_data),
            ..installed
        })
    }
}

/// What stands of earlier updates and of this one, without the policy rules, which the registry has.
fn merged(earlier: &[u8], update: UpdateMetadata<'_>) -> Result<Vec<u8>, Error> {
    let both = match earlier {
        [] => update,
        earlier => {
            let earlier = UpdateMetadata::parse(earlier)?;
            let (icon_type, icon) = match update.icon {
                None => (earlier.icon_type, earlier.icon),
                icon => (update.icon_type, icon),
            };
            UpdateMetadata {
                service_provider_name: update.service_provider_name.or(earlier.service_provider_name),
                profile_name: update.profile_name.or(earlier.profile_name),
                icon_type,
                icon,
                profile_policy_rules: None,
                service_specific_data: update.service_specific_data.or(earlier.service_specific_data),
            }
        }
    };
    UpdateMetadata { profile_policy_rules: None, ..both }.encode()
}
