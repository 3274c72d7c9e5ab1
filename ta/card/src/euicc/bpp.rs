//! LoadBoundProfilePackage (SGP.22 v2.5 sections 2.5.3 to 2.5.6, 5.7.6): the package streams through, segment by
//! segment, and nothing of it is stored before its last byte was good.
//!
//! The answer is the ProfileInstallationResult, with the last segment or as soon as an error is found; all other
//! segments are answered with 9000 and no data. The result is a notification, and is committed before it is given.

use super::es10a::text;
use super::notification::{notify_configured, signed};
use super::registry::{
    Entry, Installation, MAX_ADDRESS, MAX_DP_PROPRIETARY_DATA, MAX_EUICC_RESPONSE, Notification, Registry, isdp_aid,
};
use super::session::{Prepared, Session};
use super::{Euicc, Failure};
use crate::install::{InstallError, InstallOptions, Installed, Installer};
use crate::platform::{Env, ProfileSlot, StoreError};
use alloc::vec::Vec;
use core::mem::take;
use teuicc_rsp::Iccid;
use teuicc_rsp::bpp::{
    BppItem, BppStream, ConfigureIsdp, INSTALL_BOUND_PROFILE_PACKAGE, InitialiseSecureChannel, smdp_signed,
};
use teuicc_rsp::codes::{BppCommandId, ErrorReason, ProfileClass};
use teuicc_rsp::crypto::{PublicKey, SecretKey, verify};
use teuicc_rsp::es10::{ErrorResult, FinalResult, SuccessResult};
use teuicc_rsp::metadata::{
    Authorisation, NotificationEvent, OperatorId, PprIds, RulesAuthorisationTable, StoreMetadata, authorise,
};
use teuicc_rsp::object::{Aid, Object};
use teuicc_rsp::scp03t::{Scp03t, Scp03tError, SessionKeys};
use teuicc_rsp::signing::with_otpk;
use teuicc_rsp::tags;
use teuicc_tlv::{OutOfMemory, Reader, Tlv, TryBytes, try_copy};

/// Longest StoreMetadata in bytes: an icon of 1024 and room for the rest.
const MAX_METADATA: usize = 4096;

/// Most entries of a notification configuration: one event of one profile must not push the notifications of others out
/// of the list.
const MAX_RECIPIENTS: usize = 16;

/// A bound profile package being loaded.
pub(super) struct Loading {
    prepared: Prepared,
    stream: BppStream,
    /// After InitialiseSecureChannel.
    channel: Option<Scp03t>,
    /// dpProprietaryData of ConfigureISDP, whole, or empty.
    proprietary: Vec<u8>,
    /// Pieces of StoreMetadata, and all of it later.
    metadata: Vec<u8>,
    /// After StoreMetadata.
    profile: Option<Profile>,
}

/// What is known of the profile after StoreMetadata.
struct Profile {
    slot: ProfileSlot,
    iccid: Iccid,
    class: ProfileClass,
    rules: PprIds,
    /// Until the last segment.
    installer: Option<Installer>,
    installed: Option<Installed>,
}

/// Why a package is refused.
struct Refused {
    command: BppCommandId,
    reason: ErrorReason,
    /// EUICCResponse, may be empty.
    response: Vec<u8>,
}

impl Refused {
    fn new(command: BppCommandId, reason: ErrorReason) -> Self {
        Refused { command, reason, response: Vec::new() }
    }

    fn scp03t(command: BppCommandId) -> impl Fn(Scp03tError) -> Self {
        move |error| Refused::new(command, error.error_reason())
    }

    fn out_of_memory(command: BppCommandId) -> impl Fn(OutOfMemory) -> Self {
        move |_| Refused::new(command, ErrorReason::InstallFailedDueToInsufficientMemoryForProfile)
    }
}

impl From<InstallError> for Refused {
    fn from(error: InstallError) -> Self {
        Refused { command: BppCommandId::LoadProfileElements, reason: error.reason, response: error.response }
    }
}

impl Loading {
    fn new(prepared: Prepared) -> Self {
        Loading {
            prepared,
            stream: BppStream::new(),
            channel: None,
            proprietary: Vec::new(),
            metadata: Vec::new(),
            profile: None,
        }
    }

    /// The session that it is loaded in.
    pub(super) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// The command that the stream is at; a second piece of StoreMetadata is one of its own.
    fn command(&self) -> BppCommandId {
        match self.stream.command_id() {
            BppCommandId::StoreMetadata if !self.metadata.is_empty() => BppCommandId::StoreMetadata2,
            command => command,
        }
    }

    /// InitialiseSecureChannel (section 5.5.1). `otsk` is the private half of the prepared one-time key.
    fn initialise(&mut self, object: &Tlv<'_>, otsk: &SecretKey, eid: &teuicc_rsp::Eid) -> Result<(), Refused> {
        let refused = |reason| Refused::new(BppCommandId::InitialiseSecureChannel, reason);
        let malformed = |_| refused(ErrorReason::IncorrectInputValues);
        let request = InitialiseSecureChannel::parse(object.raw).map_err(malformed)?;
        if request.remote_op_id != INSTALL_BOUND_PROFILE_PACKAGE {
            return Err(refused(ErrorReason::UnsupportedRemoteOperationType));
        }
        if request.transaction_id.as_bytes() != self.prepared.authenticated.server.transaction_id {
            return Err(refused(ErrorReason::InvalidTransactionId));
        }
        if !request.control_ref_template.is_supported() {
            return Err(refused(ErrorReason::UnsupportedCrtValues));
        }
        let otpk = self.prepared.otpk;
        let parts = with_otpk(smdp_signed(object.raw).map_err(malformed)?, otpk.point());
        if !verify(&self.prepared.smdp_key, &parts, request.smdp_sign) {
            return Err(refused(ErrorReason::InvalidSignature));
        }
        let wrong_key = |_| refused(ErrorReason::IncorrectInputValues);
        let peer = PublicKey::new(otpk.curve(), request.smdp_otpk).map_err(wrong_key)?;
        let shared_secret = otsk.ecdh(&peer).map_err(wrong_key)?;
        let host_id = request.control_ref_template.host_id.as_bytes();
        let keys = SessionKeys::derive(&shared_secret, host_id, eid)
            .map_err(Refused::scp03t(BppCommandId::InitialiseSecureChannel))?;
        self.channel = Some(Scp03t::new(keys));
        Ok(())
    }

    /// The plain data of a protected object.
    fn unprotect(&mut self, object: &Tlv<'_>, command: BppCommandId) -> Result<zeroize::Zeroizing<Vec<u8>>, Refused> {
        let no_channel = Refused::new(command, ErrorReason::Scp03tStructureError);
        self.channel.as_mut().ok_or(no_channel)?.unprotect(object).map_err(Refused::scp03t(command))
    }

    /// ConfigureISDP (section 5.5.2).
    fn configure(&mut self, object: &Tlv<'_>) -> Result<(), Refused> {
        let command = BppCommandId::ConfigureIsdp;
        let plain = self.unprotect(object, command)?;
        let refused = |reason| Refused::new(command, reason);
        let request = ConfigureIsdp::parse(&plain).map_err(|_| refused(ErrorReason::IncorrectInputValues))?;
        let Some(data) = request.dp_proprietary_data else { return Ok(()) };
        // What was just read can be written, if there is memory.
        let insufficient = |_| refused(ErrorReason::InstallFailedDueToInsufficientMemoryForProfile);
        self.proprietary = data.encode().map_err(insufficient)?;
        if self.proprietary.len() > MAX_DP_PROPRIETARY_DATA {
            return Err(refused(ErrorReason::IncorrectInputValues));
        }
        Ok(())
    }

    /// A piece of StoreMetadata.
    fn metadata_piece(&mut self, object: &Tlv<'_>, command: BppCommandId) -> Result<(), Refused> {
        let plain = self.unprotect(object, command)?;
        if self.metadata.len().saturating_add(plain.len()) > MAX_METADATA {
            return Err(Refused::new(command, ErrorReason::IncorrectInputValues));
        }
        self.metadata.try_extend(&plain).map_err(Refused::out_of_memory(command))
    }

    /// ReplaceSessionKeys (section 5.5.4).
    fn replace_keys(&mut self, object: &Tlv<'_>) -> Result<(), Refused> {
        let command = BppCommandId::ReplaceSessionKeys;
        let plain = self.unprotect(object, command)?;
        let keys = SessionKeys::from_replace_session_keys(&plain)
            .map_err(|_| Refused::new(command, ErrorReason::IncorrectInputValues))?;
        if let Some(channel) = &mut self.channel {
            channel.replace_keys(keys);
        }
        Ok(())
    }

    /// A piece of the profile package.
    fn element(&mut self, object: &Tlv<'_>, last: bool) -> Result<(), Refused> {
        let command = BppCommandId::LoadProfileElements;
        let plain = self.unprotect(object, command)?;
        let structure = || Refused::new(command, ErrorReason::Scp03tStructureError);
        let profile = self.profile.as_mut().ok_or_else(structure)?;
        let mut installer = profile.installer.take().ok_or_else(structure)?;
        installer.push(&plain)?;
        if last {
            let installed = installer.finish()?;
            if installed.response.len() > MAX_EUICC_RESPONSE {
                return Err(Refused::new(command, ErrorReason::InstallFailedDueToInsufficientMemoryForProfile));
            }
            profile.installed = Some(installed);
        } else {
            profile.installer = Some(installer);
        }
        Ok(())
    }
}

impl Euicc {
    /// One segment of a bound profile package: 3 replaces with the last one, 1 with an error, else none.
    ///
    /// A package that starts while another one is being loaded ends that one: interrupted. Errors: there is no
    /// prepared session; the store fails, or there is no memory, and the server then is only authenticated.
    pub(super) fn load_segment(&mut self, env: &mut Env<'_>, segment: &[u8]) -> Result<Vec<u8>, Failure> {
        let starts = Reader::new(segment).peek() == Some(tags::BOUND_PROFILE_PACKAGE);
        let mut loading = match take(&mut self.session) {
            Session::Prepared(prepared) if starts => Loading::new(prepared),
            Session::Loading(loading) if starts => {
                let refused = Refused::new(loading.command(), ErrorReason::InstallFailedDueToInterruption);
                return self.refuse(env, loading, refused);
            }
            Session::Loading(loading) => loading,
            other => {
                self.session = other;
                return Err(Failure::NoSession);
            }
        };
        match self.take_segment(&mut loading, segment) {
            Err(refused) => self.refuse(env, loading, refused),
            Ok(()) if loading.stream.is_complete() => self.install(env, loading),
            Ok(()) => {
                self.session = Session::Loading(loading);
                Ok(Vec::new())
            }
        }
    }

    fn take_segment(&self, loading: &mut Loading, mut segment: &[u8]) -> Result<(), Refused> {
        loop {
            let command = loading.command();
            let item = loading.stream.next(&mut segment).map_err(|error| {
                let reason = match error.command_id {
                    BppCommandId::InitialiseSecureChannel => ErrorReason::IncorrectInputValues,
                    _ => ErrorReason::Scp03tStructureError,
                };
                Refused::new(command, reason)
            })?;
            match item {
                None => return Ok(()),
                Some(BppItem::InitialiseSecureChannel(object)) => {
                    let unknown = || Refused::new(command, ErrorReason::InvalidTransactionId);
                    let server = &loading.prepared.authenticated.server;
                    let otsk = self.held.secret(server, &loading.prepared.otpk).ok_or_else(unknown)?;
                    let identity = self.personalized().map_err(|_| unknown())?;
                    loading.initialise(&object, otsk, &identity.eid)?;
                }
                Some(BppItem::ConfigureIsdp(object)) => loading.configure(&object)?,
                Some(BppItem::Metadata { object, last }) => {
                    // The stream is behind the object already.
                    let pieces = !loading.metadata.is_empty();
                    let command = if pieces { BppCommandId::StoreMetadata2 } else { BppCommandId::StoreMetadata };
                    loading.metadata_piece(&object, command)?;
                    if last {
                        loading.profile = Some(self.accept(loading, command)?);
                    }
                }
                Some(BppItem::ReplaceSessionKeys(object)) => loading.replace_keys(&object)?,
                Some(BppItem::Element { object, last }) => loading.element(&object, last)?,
            }
        }
    }

    /// The checks of StoreMetadata (section 5.5.3).
    fn accept(&self, loading: &Loading, command: BppCommandId) -> Result<Profile, Refused> {
        let refused = |reason| Refused::new(command, reason);
        let metadata =
            StoreMetadata::parse(&loading.metadata).map_err(|_| refused(ErrorReason::IncorrectInputValues))?;
        if let Some(recipients) = &metadata.notification_configuration {
            let too_long = recipients.iter().any(|one| one.address.len() > MAX_ADDRESS);
            if too_long || recipients.iter().nth(MAX_RECIPIENTS).is_some() {
                return Err(refused(ErrorReason::IncorrectInputValues));
            }
        }
        let class = metadata.class();
        if matches!(class, ProfileClass::Other(_)) {
            return Err(refused(ErrorReason::UnsupportedProfileClass));
        }
        if !self.may_have(metadata.rules(), metadata.profile_owner.as_ref(), None) {
            return Err(refused(ErrorReason::PprNotAllowed));
        }
        if self.registry.has_iccid(&metadata.iccid) {
            return Err(refused(ErrorReason::InstallFailedDueToIccidAlreadyExistsOnEuicc));
        }
        let insufficient = || refused(ErrorReason::InstallFailedDueToInsufficientMemoryForProfile);
        let slot = self.registry.free_slot().ok_or_else(insufficient)?;
        let server_chain = loading.prepared.authenticated.server.server_chain;
        let test_ci = self.personalized().ok().and_then(|identity| identity.chain(server_chain)).map(|ci| ci.test_ci);
        let installer = Installer::new(InstallOptions {
            slot,
            metadata: try_copy(&loading.metadata).map_err(|_| insufficient())?,
            iccid: *metadata.iccid.as_bytes(),
            test_algorithm_allowed: class == ProfileClass::Test || test_ci == Some(true),
            test_class: class == ProfileClass::Test,
        })
        .map_err(|_| insufficient())?;
        Ok(Profile {
            slot,
            iccid: metadata.iccid,
            class,
            rules: metadata.rules(),
            installer: Some(installer),
            installed: None,
        })
    }

    /// Whether a profile of `owner` may have these policy rules (section 2.9.2.4): the table authorises them, and with
    /// PPR1 there is no operational profile but itself, the one in `slot` if it is installed.
    pub(super) fn may_have(&self, rules: PprIds, owner: Option<&OperatorId<'_>>, slot: Option<ProfileSlot>) -> bool {
        let Ok(identity) = self.personalized() else { return false };
        let Ok(table) = RulesAuthorisationTable::new(&identity.rules_authorisation_table) else { return false };
        let others = self
            .registry
            .profiles
            .iter()
            .any(|entry| entry.class == ProfileClass::Operational && Some(entry.slot) != slot);
        let authorised = authorise(&table, rules, owner, PprIds::default());
        matches!(authorised, Authorisation::Allowed { .. }) && !(others && rules.contains(PprIds::PPR1))
    }

    /// Stores the profile and commits it together with its notifications: 3 replaces.
    fn install(&mut self, env: &mut Env<'_>, mut loading: Loading) -> Result<Vec<u8>, Failure> {
        let insufficient = Refused::new(
            BppCommandId::LoadProfileElements,
            ErrorReason::InstallFailedDueToInsufficientMemoryForProfile,
        );
        let installed = loading.profile.as_mut().and_then(|profile| profile.installed.take());
        let Some(mut installed) = installed.filter(|_| !self.leftovers) else {
            return self.refuse(env, loading, insufficient);
        };
        if let Err(error) = installed.profile.store_new(env.store) {
            // Whatever was written belongs to no profile.
            self.leftovers = true;
            let reason = match error {
                StoreError::Full | StoreError::OutOfMemory => insufficient.reason,
                _ => ErrorReason::InstallFailedDueToUnknownError,
            };
            return self.refuse(env, loading, Refused { reason, ..insufficient });
        }
        let committed = self.commit_installed(env, &mut loading, &installed.response);
        if committed.is_ok() {
            self.held.forget(&loading.prepared.authenticated.server);
        } else {
            self.leftovers = true;
            self.session = Session::Authenticated(loading.prepared.authenticated);
        }
        committed
    }

    fn commit_installed(
        &mut self,
        env: &mut Env<'_>,
        loading: &mut Loading,
        response: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let profile = loading.profile.as_ref().ok_or(Failure::Internal)?;
        let server = &loading.prepared.authenticated.server;
        let aid = isdp_aid(profile.slot);
        let result = FinalResult::Success(SuccessResult {
            aid: Aid::new(&aid).ok_or(Failure::Internal)?,
            simpl_response: response,
        });
        let mut next = self.registry.duplicate()?;
        notify_result(&mut next, loading, &result)?;
        next.profiles.try_push(Entry {
            slot: profile.slot,
            iccid: profile.iccid,
            enabled: false,
            class: profile.class,
            rules: profile.rules,
            nickname: Vec::new(),
            chain: server.euicc_chain,
            proprietary: take(&mut loading.proprietary),
            updates: Vec::new(),
        })?;
        let server = &loading.prepared.authenticated.server;
        let metadata = StoreMetadata::parse(&loading.metadata)?;
        let address = text(&server.address)?;
        let answer = self.sign_result(&next)?;
        notify_configured(&mut next, &metadata, server.euicc_chain, NotificationEvent::INSTALL, address)?;
        self.commit(env, next)?;
        Ok(answer)
    }

    /// Ends a package with an error: 1 replace. The server stays authenticated, so that the session can be cancelled.
    fn refuse(&mut self, env: &mut Env<'_>, loading: Loading, refused: Refused) -> Result<Vec<u8>, Failure> {
        let answer = self.commit_refused(env, &loading, &refused);
        self.session = Session::Authenticated(loading.prepared.authenticated);
        answer
    }

    fn commit_refused(&mut self, env: &mut Env<'_>, loading: &Loading, refused: &Refused) -> Result<Vec<u8>, Failure> {
        let simpl_response = Some(&*refused.response).filter(|bytes| (1..=MAX_EUICC_RESPONSE).contains(&bytes.len()));
        let result = FinalResult::Error(ErrorResult {
            bpp_command_id: refused.command,
            error_reason: refused.reason,
            simpl_response,
        });
        let mut next = self.registry.duplicate()?;
        notify_result(&mut next, loading, &result)?;
        let answer = self.sign_result(&next)?;
        self.commit(env, next)?;
        Ok(answer)
    }

    /// The ProfileInstallationResult that `next` has as its newest notification.
    fn sign_result(&self, next: &Registry) -> Result<Vec<u8>, Failure> {
        signed(next.notifications.last().ok_or(Failure::Internal)?, self.personalized()?)
    }
}

/// Adds the ProfileInstallationResult to the notifications.
fn notify_result(next: &mut Registry, loading: &Loading, result: &FinalResult<'_>) -> Result<(), Failure> {
    let server = &loading.prepared.authenticated.server;
    let iccid = match &loading.profile {
        Some(profile) => Some(profile.iccid),
        None => StoreMetadata::parse(&loading.metadata).ok().map(|metadata| metadata.iccid),
    };
    next.notify(Notification {
        sequence: 0,
        event: NotificationEvent::INSTALL,
        chain: server.euicc_chain,
        address: try_copy(&server.address)?,
        iccid,
        installation: Some(Installation {
            transaction_id: try_copy(&server.transaction_id)?,
            smdp_oid: try_copy(&server.oid)?,
            final_result: result.encode()?,
        }),
    })?;
    Ok(())
}
