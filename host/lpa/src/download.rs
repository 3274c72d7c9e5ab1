//! Downloading a profile: from an activation code to an installed profile (SGP.22 v2.5 section 3.1.3).

use crate::activation_code::{ActivationCode, ServerAddress};
use crate::error::LpaError;
use crate::es9p::{AuthenticateClient, EventEntry, Server, TransactionId};
use crate::es10::{Isdr, Outcome, on_isdr, outcome, read, read_error, refused, unencodable};
use crate::notifications::{Delivery, deliver_installation_result};
use crate::operation::{ConfirmationCode, Consent, Io, Operation};
use crate::progress::{Progress, Stage};
pub use crate::session::Device;
use crate::session::{self, Purpose};
use teuicc_rsp::codes::{CancelSessionReason, IconType, ProfileClass};
use teuicc_rsp::es10::{
    FinalResult, GetRatResponse, PrepareDownloadRequest, PrepareDownloadResponseError, ProfileInstallationResult,
    SmdpSigned2,
};
pub use teuicc_rsp::metadata::PprIds;
use teuicc_rsp::metadata::{Authorisation, StoreMetadata, authorise};
use teuicc_rsp::object::{Object, Raw, Received};
use teuicc_rsp::{Iccid, bpp, crypto, tags};
use teuicc_tlv::Tlv;

/// How many sessions a download may need: the first, and others after a confirmation code was refused or a server
/// forgot the session.
const MAX_SESSIONS: usize = 3;
/// Bytes of the MAC at the end of an 88 object (section 2.5.3).
const MAC: usize = 8;

/// What to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// What the activation code says.
    ActivationCode(ActivationCode),
    /// What the card's default SM-DP+ keeps for it.
    DefaultServer,
    /// What this SM-DP+ keeps for this card.
    Server(ServerAddress),
    /// What waits where an SM-DS says.
    Event(EventEntry),
}

/// A download: what, and what is known beforehand.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to download.
    pub order: Order,
    /// What the server is told about the device.
    pub device: Device,
    /// The confirmation code, if the user gave it already.
    pub confirmation_code: Option<ConfirmationCode>,
}

impl Request {
    /// A download of `order` for the default device and without a confirmation code.
    #[must_use]
    pub fn new(order: Order) -> Self {
        Request { order, device: Device::default(), confirmation_code: None }
    }
}

/// What a server says about the profile it offers. The user consents to this, and the card gets nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileMetadata {
    /// Who offers it.
    pub server: ServerAddress,
    /// ICCID.
    pub iccid: Iccid,
    /// Service provider name.
    pub service_provider_name: String,
    /// Profile name.
    pub profile_name: String,
    /// Test, provisioning or operational.
    pub class: ProfileClass,
    /// The icon, and its format.
    pub icon: Option<(IconType, Vec<u8>)>,
    /// Rules that take something away from the user: PPR1 forbids disabling the profile, PPR2 deleting it. To be
    /// shown, and consented to.
    pub policy_rules: PprIds,
    /// Whether a confirmation code is needed.
    pub confirmation_code_required: bool,
}

/// A profile was installed. It is disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What it is.
    pub metadata: ProfileMetadata,
    /// AID of its ISD-P.
    pub isdp_aid: Vec<u8>,
    /// Which servers were told; an error if not even the card could be asked. What failed stays on the card, for
    /// [`crate::notifications::process`].
    pub deliveries: Result<Vec<Delivery>, LpaError>,
}

/// Downloads and installs a profile, and delivers the result.
#[must_use]
pub fn download(request: Request) -> Operation<Installed> {
    on_isdr!(|io, isdr| Download::run(io, isdr, request))
}

struct Download<'a> {
    io: &'a Io,
    isdr: &'a Isdr<'a>,
    server: Server<'a>,
    device: Device,
    matching_id: Option<String>,
    server_oid: Option<String>,
    /// What the user has, or has consented to, in whichever session.
    confirmation_code: Option<ConfirmationCode>,
    /// The server's refusal of the last confirmation code.
    code_refused: Option<LpaError>,
    consented: Option<ProfileMetadata>,
}

impl<'a> Download<'a> {
    async fn run(io: &'a Io, isdr: &'a Isdr<'a>, request: Request) -> Result<Installed, LpaError> {
        let Request { order, device, confirmation_code } = request;
        let (address, matching_id, server_oid) = match order {
            Order::ActivationCode(code) => (code.address, Some(code.matching_id), code.smdp_oid),
            Order::Server(address) => (address, None, None),
            Order::Event(event) => {
                let address = session::card_address("SM-DS event's server", &event.rsp_server_address)?;
                (address, Some(event.event_id), None)
            }
            Order::DefaultServer => {
                let address = session::configured_addresses(isdr).await?.0.ok_or(LpaError::NoDefaultServer)?;
                (session::card_address("default SM-DP+ address", &address)?, None, None)
            }
        };
        let mut download = Download {
            io,
            isdr,
            server: Server::new(io, address),
            device,
            matching_id,
            server_oid,
            confirmation_code,
            code_refused: None,
            consented: None,
        };
        for _ in 1..MAX_SESSIONS {
            match download.session().await {
                Err(LpaError::ServerRefused { status, .. }) if status.is("8.10.1", "3.9") => {}
                Err(LpaError::ServerRefused { function, server, status }) if status.is("8.2.7", "3.8") => {
                    download.confirmation_code = None;
                    download.code_refused = Some(LpaError::ServerRefused { function, server, status });
                }
                result => return result,
            }
        }
        download.session().await
    }

    /// One session, from mutual authentication to the delivery of the result.
    async fn session(&mut self) -> Result<Installed, LpaError> {
        self.step(Stage::Authenticating).await;
        let purpose = Purpose {
            device: &self.device,
            matching_id: self.matching_id.as_deref(),
            server_oid: self.server_oid.as_deref(),
        };
        let session = session::authenticate(self.isdr, &self.server, &purpose).await?;
        let transaction = &session.transaction;
        let offer = self.server.authenticate_client(transaction, &session.authenticate_server_response).await?;
        let metadata = self.read_offer(transaction, &offer)?;
        self.check_policy_rules(transaction, &offer.profile_metadata, &metadata).await?;
        self.ask_consent(transaction, &metadata).await?;

        let code = self.ask_confirmation_code(transaction, &metadata).await?;
        self.step(Stage::Preparing).await;
        let prepared = self.prepare_download(transaction, &offer, code.as_ref()).await?;
        self.step(Stage::Fetching).await;
        let package = self.server.get_bound_profile_package(transaction, &prepared).await?;
        let (result, isdp_aid) = self.install(transaction, &offer.profile_metadata, &package).await?;
        let deliveries = self.deliver(&result).await;
        isdp_aid.map(|isdp_aid| Installed { metadata, isdp_aid, deliveries })
    }

    async fn step(&self, stage: Stage) {
        self.io.progress(Progress { stage, done: 0, total: 1 }).await;
    }

    /// Reads what the server offers in its answer to AuthenticateClient.
    fn read_offer(&self, transaction: &TransactionId, offer: &AuthenticateClient) -> Result<ProfileMetadata, LpaError> {
        let wrong = |name: &str, problem: &dyn core::fmt::Display| {
            self.server_answer("authenticateClient", format!("{name}: {problem}"))
        };
        let signed2 = SmdpSigned2::parse(&offer.smdp_signed2).map_err(|error| wrong("smdpSigned2", &error))?;
        if signed2.transaction_id.as_bytes() != transaction.bytes {
            return Err(wrong("smdpSigned2", &"it is for another transaction"));
        }
        let metadata =
            StoreMetadata::parse(&offer.profile_metadata).map_err(|error| wrong("profileMetadata", &error))?;
        Ok(ProfileMetadata {
            server: self.server.address.clone(),
            iccid: metadata.iccid,
            service_provider_name: metadata.service_provider_name.to_string(),
            profile_name: metadata.profile_name.to_string(),
            class: metadata.class(),
            icon: metadata.icon_type.zip(metadata.icon.map(|icon| icon.as_bytes().to_vec())),
            policy_rules: metadata.rules(),
            confirmation_code_required: signed2.cc_required_flag,
        })
    }

    /// Cancels if the card's Rules Authorisation Table forbids a rule of the profile (section 2.9.2.4).
    async fn check_policy_rules(
        &self,
        transaction: &TransactionId,
        encoded: &[u8],
        metadata: &ProfileMetadata,
    ) -> Result<(), LpaError> {
        const FUNCTION: &str = "GetRAT";
        if !metadata.policy_rules.contains(PprIds::PPR1) && !metadata.policy_rules.contains(PprIds::PPR2) {
            return Ok(());
        }
        let answer = self.isdr.get(FUNCTION, tags::GET_RAT).await?;
        let table = read::<GetRatResponse<'_>>(FUNCTION, &answer)?.rat;
        let owner = StoreMetadata::parse(encoded).ok().and_then(|metadata| metadata.profile_owner);
        match authorise(&table, metadata.policy_rules, owner.as_ref(), PprIds::default()) {
            Authorisation::Allowed { .. } => Ok(()),
            Authorisation::Forbidden => Err(self.cancel(transaction, CancelSessionReason::PprNotAllowed).await),
        }
    }

    /// Asks the user, once for the same offer.
    async fn ask_consent(&mut self, transaction: &TransactionId, metadata: &ProfileMetadata) -> Result<(), LpaError> {
        if self.consented.as_ref() == Some(metadata) {
            return Ok(());
        }
        let reason = match self.io.consent(metadata.clone()).await {
            Consent::Given => {
                self.consented = Some(metadata.clone());
                return Ok(());
            }
            Consent::Refused => CancelSessionReason::EndUserRejection,
            Consent::Postponed => CancelSessionReason::Postponed,
            Consent::TimedOut => CancelSessionReason::Timeout,
        };
        Err(self.cancel(transaction, reason).await)
    }

    /// The confirmation code, if one is required. A user who has none yet postpones; one who has no other after a
    /// refusal is told of the refusal.
    async fn ask_confirmation_code(
        &mut self,
        transaction: &TransactionId,
        metadata: &ProfileMetadata,
    ) -> Result<Option<ConfirmationCode>, LpaError> {
        if !metadata.confirmation_code_required {
            return Ok(None);
        }
        if self.confirmation_code.is_none() {
            self.confirmation_code = self.io.confirmation_code(self.code_refused.is_some()).await;
        }
        match &self.confirmation_code {
            Some(code) => Ok(Some(code.clone())),
            None => {
                let cancelled = self.cancel(transaction, CancelSessionReason::Postponed).await;
                Err(self.code_refused.take().unwrap_or(cancelled))
            }
        }
    }

    /// ES10b.PrepareDownload (section 5.7.5): the card's encoded response, which is a good one.
    async fn prepare_download(
        &self,
        transaction: &TransactionId,
        offer: &AuthenticateClient,
        code: Option<&ConfirmationCode>,
    ) -> Result<Vec<u8>, LpaError> {
        const FUNCTION: &str = "PrepareDownload";
        let wrong =
            |name: &str, error: teuicc_tlv::Error| self.server_answer("authenticateClient", format!("{name}: {error}"));
        let hash_cc = code.map(|code| crypto::hash_cc(code.expose(), &transaction.bytes));
        let request = PrepareDownloadRequest {
            smdp_signed2: Received::parse(&offer.smdp_signed2).map_err(|error| wrong("smdpSigned2", error))?,
            smdp_signature2: Tlv::parse(&offer.smdp_signature2, tags::SIGNATURE)
                .and_then(|tlv| tlv.array())
                .map_err(|error| wrong("smdpSignature2", error))?,
            hash_cc: hash_cc.as_ref().map(teuicc_rsp::es10::HashCc),
            smdp_certificate: Raw(&offer.smdp_certificate),
        };
        let request = request.encode().map_err(|error| unencodable(FUNCTION, error))?;
        let response = self.isdr.call(FUNCTION, &request).await?;
        if let Outcome::Error(error) = outcome(FUNCTION, tags::PREPARE_DOWNLOAD, &response)? {
            let code = read_error::<PrepareDownloadResponseError<'_>>(FUNCTION, &error)?.error;
            return Err(refused(FUNCTION, code.code(), &code));
        }
        Ok(response)
    }

    /// ES10b.LoadBoundProfilePackage (section 5.7.6): the encoded ProfileInstallationResult, and the ISD-P or why there
    /// is none. Whatever comes to no result is cancelled.
    async fn install(
        &self,
        transaction: &TransactionId,
        profile_metadata: &[u8],
        package: &[u8],
    ) -> Result<(Vec<u8>, Result<Vec<u8>, LpaError>), LpaError> {
        const FUNCTION: &str = "LoadBoundProfilePackage";
        let segments = match bpp::segments(package) {
            Ok(segments) => segments,
            Err(error) => {
                self.cancel(transaction, CancelSessionReason::LoadBppExecutionError).await;
                return Err(self.server_answer("getBoundProfilePackage", format!("boundProfilePackage: {error}")));
            }
        };
        if !same_metadata(profile_metadata, &segments) {
            return Err(self.cancel(transaction, CancelSessionReason::MetadataMismatch).await);
        }
        let loaded = self.isdr.load(&segments).await.and_then(|result| {
            let isdp_aid = read_result(FUNCTION, &result)?;
            Ok((result, isdp_aid))
        });
        if matches!(loaded, Err(LpaError::CardStatus { .. } | LpaError::CardAnswer { .. })) {
            self.cancel(transaction, CancelSessionReason::LoadBppExecutionError).await;
        }
        loaded
    }

    async fn deliver(&self, result: &[u8]) -> Result<Vec<Delivery>, LpaError> {
        self.step(Stage::Notifying).await;
        let read: ProfileInstallationResult<'_> = read("LoadBoundProfilePackage", result)?;
        deliver_installation_result(self.io, self.isdr, &read.data.notification_metadata, result).await
    }

    /// Cancels the session, and gives the error that says so.
    async fn cancel(&self, transaction: &TransactionId, reason: CancelSessionReason) -> LpaError {
        session::cancel(self.isdr, &self.server, transaction, reason).await;
        LpaError::Cancelled { reason }
    }

    fn server_answer(&self, function: &'static str, problem: String) -> LpaError {
        LpaError::ServerAnswer { function, server: self.server.address.to_string(), problem }
    }
}

/// Reads a ProfileInstallationResult: the AID of the new ISD-P, or why there is none.
fn read_result(function: &'static str, result: &[u8]) -> Result<Result<Vec<u8>, LpaError>, LpaError> {
    if result.is_empty() {
        let problem = "the whole package was sent, and no result came".into();
        return Err(LpaError::CardAnswer { function, problem });
    }
    Ok(match read::<ProfileInstallationResult<'_>>(function, result)?.data.final_result {
        FinalResult::Success(success) => Ok(success.aid.as_bytes().to_vec()),
        FinalResult::Error(error) => Err(LpaError::Installation {
            command: error.bpp_command_id,
            reason: error.error_reason,
            detail: error.simpl_response.map(hex::encode_upper),
        }),
    })
}

/// Whether the metadata in the package, which the card will store, is what the server showed before (section 3.1.3.2).
/// Only the MAC protects it there, so that the LPA can read it. What cannot be read is left to the card to refuse.
fn same_metadata(shown: &[u8], segments: &[&[u8]]) -> bool {
    let packaged: Vec<u8> = segments
        .iter()
        .filter_map(|segment| Tlv::parse(segment, tags::SCP03T_MAC_ONLY).ok())
        .filter_map(|object| object.value.split_last_chunk::<MAC>())
        .flat_map(|(data, _)| data.iter().copied())
        .collect();
    let (Ok(shown), Ok(packaged)) = (StoreMetadata::parse(shown), StoreMetadata::parse(&packaged)) else {
        return true;
    };
    shown.iccid == packaged.iccid
        && shown.service_provider_name == packaged.service_provider_name
        && shown.profile_name == packaged.profile_name
        && shown.icon == packaged.icon
        && shown.class() == packaged.class()
        && shown.rules() == packaged.rules()
        && shown.profile_owner == packaged.profile_owner
}
