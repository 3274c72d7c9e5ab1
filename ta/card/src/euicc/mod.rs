//! SGP.22: the ISD-R, the profiles' states, download sessions and notifications.
//!
//! | module | what |
//! | --- | --- |
//! | [`identity`] | EID, keys, certificates; the factory operations |
//! | [`registry`] | profiles, notification counter and pending notifications; the commit point |
//! | [`store_data`] | commands in blocks |
//! | [`es6`] | UpdateMetadata, which the operator sends to its profile over the air |
//! | [`es10a`], [`es10b`], [`es10c`], [`info`], [`notification`], [`crl`] | the functions of the ISD-R |
//! | [`session`] | common mutual authentication and download preparation, as states that consume each other |
//! | [`bpp`] | the bound profile package, segment by segment |
//!
//! # Errors
//!
//! A function that fails answers with its own error code and status word 9000. A request that is malformed, and a
//! store or memory that fails, is `undefinedError` (127) where the function has one; where it has none it is a status
//! word: `6A80` malformed, `6581` store, `6A84` memory, `6F00` anything else. A tag that is no function is `6A88`; a
//! segment of a bound profile package without a prepared session is `6985`.
//!
//! Every code of SGP.22 v2.5 in the card's enumerations is given by the check it names, but for these:
//!
//! | code | why not |
//! | --- | --- |
//! | AuthenticateErrorCode 8 to 14, errorReason 17 to 32, EnableProfile 6 to 10 and the like | codes of v2.6 and later |
//! | LpaeActivation, all | there is no LPA in the eUICC: `BF42` is no function |
//! | LoadCRL, missingParts | partial lists are not taken, so no part can be missing |
//! | GetProfilesInfo 127, errorReason 127 | only if the store fails: what is wrong with a request has codes of its own |
//!
//! # Where the specification leaves room
//!
//! - A test or provisioning profile that takes the place of an operational one is followed by that one only
//!   (wrongProfileReenabling, 4), unless the user disables it first. PPR1 keeps others from following even then; only
//!   a provisioning profile may displace a profile with PPR1.
//! - A package that starts while another one is being loaded ends that one (errorReason 11). A new challenge ends it
//!   without a result, and the download can be resumed.
//! - PrepareDownload without the confirmation code that it needs is undefinedError; CERT.DPpb of another SM-DP+ or CI
//!   than CERT.DPauth is invalidCertificate.
//! - After a failed package the server stays authenticated, so that the session can be cancelled.
//! - Recipients of install notifications other than the session's SM-DP+, which gets the ProfileInstallationResult,
//!   get an OtherSignedNotification.
//! - A memory reset is told as deletions; the default SM-DP+ address goes back to what the factory set.
//! - Certificates' times are not checked: there is no clock. LoadCRL is how a certificate is refused.

mod bpp;
mod crl;
mod es10a;
mod es10b;
mod es10c;
mod es6;
mod identity;
mod info;
mod notification;
mod registry;
mod session;
mod store_data;

pub(crate) use store_data::Assembly;

use crate::platform::{Env, ObjectId, ProfileSlot, Store, StoreError};
use alloc::vec::Vec;
use identity::{Identity, Personalized};
use registry::Registry;
use session::{HeldKeys, Session};
use teuicc_apdu::{Command, Response, StatusWord};
use teuicc_rsp::crypto::InvalidKey;
use teuicc_rsp::tags;
use teuicc_tlv::{ErrorKind, OutOfMemory, Reader, Tag, Tlv, Writer};
use teuicc_wire::{FactoryRequest, Personalization};

/// The eUICC: identity, registry and the RSP session.
pub(crate) struct Euicc {
    identity: Identity,
    registry: Registry,
    session: Session,
    held: HeldKeys,
    /// Whether a write failed, so that only the store knows what it holds.
    stale: bool,
    /// Whether objects of profiles that the registry does not list may be there.
    leftovers: bool,
}

/// What the modem interface can do with a profile switch right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolkit {
    /// Nothing is going on.
    Idle,
    /// A proactive command is fetched and unanswered.
    Busy,
}

/// What a command changed outside of the ISD-R.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Another profile is enabled, or none; committed already.
    ProfileSwitched {
        /// refreshFlag: whether a REFRESH shall be queued.
        refresh: bool,
    },
}

/// Why a function could not answer as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The request is malformed.
    Malformed,
    /// It is no function of the ISD-R.
    NoFunction,
    /// There is no session in which this could be done.
    NoSession,
    /// The store failed.
    Store(StoreError),
    /// There is no memory.
    OutOfMemory,
    /// The card's own state is not what it must be.
    Internal,
}

impl Failure {
    fn status_word(self) -> StatusWord {
        match self {
            Failure::Malformed => StatusWord::INCORRECT_DATA,
            Failure::NoFunction => StatusWord::REFERENCE_DATA_NOT_FOUND,
            Failure::NoSession => StatusWord::CONDITIONS_OF_USE,
            Failure::Store(StoreError::OutOfMemory) | Failure::OutOfMemory => StatusWord::NOT_ENOUGH_MEMORY,
            Failure::Store(_) => StatusWord::MEMORY_PROBLEM,
            Failure::Internal => StatusWord::TECHNICAL_PROBLEM,
        }
    }
}

impl From<teuicc_tlv::Error> for Failure {
    fn from(error: teuicc_tlv::Error) -> Self {
        match error.kind {
            ErrorKind::OutOfMemory => Failure::OutOfMemory,
            _ => Failure::Malformed,
        }
    }
}

impl From<OutOfMemory> for Failure {
    fn from(_: OutOfMemory) -> Self {
        Failure::OutOfMemory
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(error)
    }
}

impl From<InvalidKey> for Failure {
    fn from(_: InvalidKey) -> Self {
        Failure::Internal
    }
}

/// Why a function ends without success: with an error code of its own, or as any function may fail.
enum Stop<C> {
    /// What the function answers with.
    Refused(C),
    /// What keeps it from answering.
    Failed(Failure),
}

impl<C> From<Failure> for Stop<C> {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl<C> From<teuicc_tlv::Error> for Stop<C> {
    fn from(error: teuicc_tlv::Error) -> Self {
        Stop::Failed(error.into())
    }
}

impl Euicc {
    /// Reads identity and registry, checks that every listed profile is stored, and repeats the removals that a power
    /// cut left over.
    ///
    /// Errors: damage, or a listed profile without its objects; the store fails; out of memory.
    pub(crate) fn load(store: &mut dyn Store) -> Result<Self, StoreError> {
        let identity = Identity::load(store)?;
        let registry = match identity {
            Identity::Personalized(_) => Registry::load(store)?,
            _ => Registry::default(),
        };
        let mut euicc = Euicc {
            identity,
            registry,
            session: Session::default(),
            held: HeldKeys::default(),
            stale: false,
            leftovers: false,
        };
        euicc.remove_leftovers(store)?;
        Ok(euicc)
    }

    /// The enabled profile.
    pub(crate) fn enabled(&self) -> Option<ProfileSlot> {
        self.registry.enabled().map(|entry| entry.slot)
    }

    /// The EID, 16 bytes of BCD, once personalized.
    pub(crate) fn eid(&self) -> Option<[u8; 16]> {
        self.personalized().ok().map(|identity| *identity.eid.as_bytes())
    }

    /// The answer to SELECT of the ISD-R: its FCI.
    pub(crate) fn select_response(&self) -> Result<Vec<u8>, OutOfMemory> {
        self.isdr_fci().map_err(|_| OutOfMemory)
    }

    /// One STORE DATA command to the ISD-R. `assembly` is the block buffer of the channel it came on.
    pub(crate) fn store_data(
        &mut self,
        env: &mut Env<'_>,
        assembly: &mut Assembly,
        command: &Command<'_>,
        toolkit: Toolkit,
    ) -> (Response, Effect) {
        let command = match assembly.block(command) {
            Ok(Some(whole)) => whole,
            Ok(None) => return (Response::status(StatusWord::OK), Effect::None),
            Err(status_word) => return (Response::status(status_word), Effect::None),
        };
        let before = self.enabled();
        let believed = self.believe_the_store(env);
        let found = if self.enabled() == before { Effect::None } else { Effect::ProfileSwitched { refresh: false } };
        if let Err(failure) = believed {
            return (Response::status(failure.status_word()), found);
        }
        match self.execute(env, &command, toolkit) {
            Ok((data, Effect::None)) => (Response::data(data), found),
            Ok((data, effect)) => (Response::data(data), effect),
            Err(failure) => {
                let response = match undefined_error(&command) {
                    Some(data) if failure != Failure::NoFunction => Response::data(data),
                    _ => Response::status(failure.status_word()),
                };
                (response, found)
            }
        }
    }

    /// Makes a key pair and gives its certificate request.
    pub(crate) fn factory_request(
        &mut self,
        env: &mut Env<'_>,
        request: &FactoryRequest<'_>,
    ) -> Result<Vec<u8>, teuicc_wire::Error> {
        self.identity.request(env, request)
    }

    /// Installs certificates and settings, once.
    pub(crate) fn personalize(
        &mut self,
        env: &mut Env<'_>,
        settings: &Personalization<'_>,
    ) -> Result<(), teuicc_wire::Error> {
        self.registry = self.identity.personalize(env, settings)?;
        Ok(())
    }

    /// Executes one whole command.
    fn execute(&mut self, env: &mut Env<'_>, command: &[u8], toolkit: Toolkit) -> Result<(Vec<u8>, Effect), Failure> {
        self.personalized().map_err(|_| Failure::NoSession)?;
        let tag = Reader::new(command).peek().ok_or(Failure::Malformed)?;
        if is_segment(tag) {
            return Ok((self.load_segment(env, command)?, Effect::None));
        }
        Tlv::parse(command, tag)?;
        let response = match tag {
            tags::ENABLE_PROFILE => return self.enable_profile(env, command, toolkit),
            tags::DISABLE_PROFILE => return self.disable_profile(env, command, toolkit),
            tags::EUICC_MEMORY_RESET => return self.memory_reset(env, command, toolkit),
            tags::DELETE_PROFILE => self.delete_profile(env, command),
            tags::PROFILE_INFO_LIST => self.profiles_info(env, command),
            tags::SET_NICKNAME => self.set_nickname(env, command),
            tags::GET_EID => self.get_eid(command),
            tags::EUICC_CONFIGURED_ADDRESSES => self.configured_addresses(),
            tags::SET_DEFAULT_DP_ADDRESS => self.set_default_dp_address(env, command),
            tags::GET_EUICC_INFO1 => self.euicc_info1(),
            tags::GET_EUICC_INFO2 => self.euicc_info2(),
            tags::GET_RAT => self.rat(),
            tags::GET_EUICC_CHALLENGE => self.get_challenge(env),
            tags::AUTHENTICATE_SERVER => self.authenticate_server(command),
            tags::PREPARE_DOWNLOAD => self.prepare_download(env, command),
            tags::CANCEL_SESSION => self.cancel_session(command),
            tags::LIST_NOTIFICATION => self.list_notifications(command),
            tags::RETRIEVE_NOTIFICATIONS_LIST => self.retrieve_notifications(command),
            tags::NOTIFICATION_SENT => self.remove_notification(env, command),
            tags::LOAD_CRL => self.load_crl(env, command),
            _ => Err(Failure::NoFunction),
        }?;
        Ok((response, Effect::None))
    }

    /// Who the card is. Errors: it is not personalized.
    fn personalized(&self) -> Result<&Personalized, Failure> {
        match &self.identity {
            Identity::Personalized(identity) => Ok(identity),
            _ => Err(Failure::Internal),
        }
    }

    /// Replaces the registry: the commit point. Errors: the store fails, and what it holds is to be read again.
    fn commit(&mut self, env: &mut Env<'_>, next: Registry) -> Result<(), Failure> {
        let stored = next.encode()?;
        if let Err(error) = env.store.replace(ObjectId::Registry, &stored) {
            self.stale = true;
            return Err(error.into());
        }
        self.registry = next;
        Ok(())
    }

    /// After a write that failed: reads again what is stored, since the write may have happened.
    fn believe_the_store(&mut self, env: &mut Env<'_>) -> Result<(), Failure> {
        if self.stale {
            self.registry = Registry::load(env.store)?;
            self.stale = false;
            self.leftovers = true;
        }
        if core::mem::take(&mut self.leftovers) {
            self.remove_leftovers(env.store).inspect_err(|_| self.leftovers = true)?;
        }
        Ok(())
    }

    /// Removes the objects of profiles that are not listed. What cannot be removed is left for later.
    fn remove_leftovers(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        let stored = store.list()?;
        for slot in ProfileSlot::all().filter(|slot| self.registry.profile(*slot).is_none()) {
            for id in [ObjectId::Base(slot), ObjectId::Changes(slot), ObjectId::Hot(slot)] {
                if stored.contains(&id) && store.remove(id).is_err() {
                    self.leftovers = true;
                }
            }
        }
        Ok(())
    }
}

/// Whether a command is a segment of a bound profile package: it may be a header alone.
fn is_segment(tag: Tag) -> bool {
    matches!(
        tag,
        tags::BOUND_PROFILE_PACKAGE
            | tags::FIRST_SEQUENCE_OF_87
            | tags::SEQUENCE_OF_88
            | tags::SECOND_SEQUENCE_OF_87
            | tags::SEQUENCE_OF_86
            | tags::SCP03T_COMMAND
            | tags::SCP03T_MAC_ONLY
            | tags::SCP03T_ELEMENT
    )
}

/// The answer `undefinedError` of the function that `command` calls; `None` if it has none.
fn undefined_error(command: &[u8]) -> Option<Vec<u8>> {
    let tag = Reader::new(command).peek()?;
    let mut writer = Writer::new();
    match tag {
        tags::AUTHENTICATE_SERVER | tags::PREPARE_DOWNLOAD => {
            let transaction_id = es10b::transaction_id(command)?;
            writer.nested(tag, |writer| {
                writer.nested(Tag(0xA1), |writer| {
                    writer.primitive(Tag(0x80), transaction_id)?;
                    writer.unsigned(Tag::INTEGER, UNDEFINED_ERROR)
                })
            })
        }
        _ => {
            let member = match tag {
                tags::SET_DEFAULT_DP_ADDRESS
                | tags::NOTIFICATION_SENT
                | tags::ENABLE_PROFILE
                | tags::DISABLE_PROFILE
                | tags::DELETE_PROFILE
                | tags::EUICC_MEMORY_RESET
                | tags::SET_NICKNAME => Tag(0x80),
                tags::LIST_NOTIFICATION
                | tags::RETRIEVE_NOTIFICATIONS_LIST
                | tags::LOAD_CRL
                | tags::PROFILE_INFO_LIST
                | tags::CANCEL_SESSION => Tag(0x81),
                _ => return None,
            };
            writer.nested(tag, |writer| writer.unsigned(member, UNDEFINED_ERROR))
        }
    }
    .ok()?;
    Some(writer.into_bytes())
}

/// undefinedError, the same number in every function.
const UNDEFINED_ERROR: u32 = 127;
