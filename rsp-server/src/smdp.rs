//! The SM-DP+: its checks, its orders and its sessions put together.

use crate::activation_code::ActivationCode;
use crate::dp::{self, BindingSecrets, Failure, InitiateAuthentication, Initiated, Refusal, ServerAuthentication};
use crate::error::Error;
use crate::identity::Identity;
use crate::profile::NewProfile;
use crate::session::{Session, Sessions, Stage};
use crate::store::{Delivery, NewOrder, NotificationRecord, OrderRecord, OrderState, ProfileRecord, Store};
use crate::{clock, pki, random};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Instant;
use teuicc_rsp::crypto::sha256;
use teuicc_rsp::es9;
use teuicc_rsp::es10::PendingNotification;
use teuicc_rsp::scp03t::SessionKeys;
use teuicc_rsp::{Eid, Iccid};
use zeroize::Zeroizing;

/// Longest matching ID in bytes.
const MAX_MATCHING_ID: usize = 64;
/// Longest confirmation code in bytes.
const MAX_CONFIRMATION_CODE: usize = 64;
/// Characters of a matching ID that is made here: none that are mistaken for each other.
const MATCHING_ID_ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Where an SM-DP+ finds what it needs.
#[derive(Clone, Debug)]
pub struct SmDpConfig {
    /// Folder of the data base. It is made if it is not there.
    pub folder: PathBuf,
    /// Folder of certificates and keys, see [`Identity::load`].
    pub pki: PathBuf,
    /// The address that LPAs know the server by: `host` or `host:port`. If absent, what the server was last served as,
    /// or, to serve, `localhost` with the port.
    pub address: Option<String>,
}

/// A download order to be made.
#[derive(Clone, Default)]
pub struct OrderOptions {
    /// The profile.
    pub iccid: Option<Iccid>,
    /// Matching ID; a random one if absent. Letters, digits, `-`, `.` and `_`.
    pub matching_id: Option<String>,
    /// The only eUICC that may download it. Without a matching ID it is what this eUICC gets.
    pub eid: Option<Eid>,
    /// A code that the end user must enter.
    pub confirmation_code: Option<String>,
}

impl std::fmt::Debug for OrderOptions {
    /// Without matching ID and confirmation code, which are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderOptions").field("iccid", &self.iccid).field("eid", &self.eid).finish_non_exhaustive()
    }
}

/// The first response of AuthenticateClient.
#[derive(Clone, Debug)]
pub struct ProfileOffer {
    /// StoreMetadataRequest.
    pub profile_metadata: Vec<u8>,
    /// smdpSigned2.
    pub smdp_signed2: Vec<u8>,
    /// smdpSignature2, with its tag.
    pub smdp_signature2: Vec<u8>,
    /// CERT.DPpb.ECDSA.
    pub smdp_certificate: Vec<u8>,
}

/// An SM-DP+.
#[derive(Debug)]
pub struct SmDp {
    store: Store,
    identity: Identity,
    /// As configured.
    given_address: Option<String>,
    /// As served.
    address: RwLock<Option<String>>,
    sessions: Sessions,
}

impl SmDp {
    /// Opens the server's data base and reads its certificates. Several processes may have the same folder open: one
    /// serves, others add profiles and orders.
    pub async fn open(config: &SmDpConfig) -> Result<Self, Error> {
        make_private_folder(&config.folder)?;
        let store = Store::open(&config.folder).await?;
        let address = RwLock::new(store.address().await?);
        let identity = Identity::load(&config.pki)?;
        let given_address = config.address.clone();
        let smdp = SmDp { store, identity, given_address, address, sessions: Sessions::default() };
        if let Some(address) = &config.address {
            smdp.set_address(address).await?;
        }
        Ok(smdp)
    }

    /// Closes the data base.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// The address that LPAs know the server by. Errors: it was never given, and the server never served.
    pub fn address(&self) -> Result<String, Error> {
        let address = self.address.read().unwrap_or_else(PoisonError::into_inner).clone();
        address.ok_or_else(|| Error::invalid("address", "the server has no address yet: serve once, or give one"))
    }

    /// The address that was configured; without one, `localhost` with the port that is served, which is kept.
    pub(crate) async fn serve_as(&self, port: u16) -> Result<String, Error> {
        if let Some(address) = &self.given_address {
            return Ok(address.clone());
        }
        let address = format!("{}:{port}", pki::LOCALHOST);
        self.set_address(&address).await?;
        Ok(address)
    }

    /// Sets the address, `host` or `host:port`, and keeps it for those who open the data base later. Errors: it is
    /// neither.
    pub async fn set_address(&self, address: &str) -> Result<(), Error> {
        if address.is_empty() || address.contains('$') || !address.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid("address", format!("{address:?} is neither host nor host:port")));
        }
        self.store.set_address(address).await?;
        *self.address.write().unwrap_or_else(PoisonError::into_inner) = Some(address.to_owned());
        Ok(())
    }

    /// The certificates and keys.
    #[must_use]
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Adds a profile and gives its ICCID. Errors: there is one with this ICCID.
    pub async fn add_profile(&self, profile: &NewProfile) -> Result<Iccid, Error> {
        profile.metadata.check()?;
        self.store.add_profile(profile).await?;
        Ok(profile.iccid)
    }

    /// The profiles.
    pub async fn profiles(&self) -> Result<Vec<ProfileRecord>, Error> {
        self.store.profiles().await
    }

    /// Orders the download of a profile. It can be downloaded at once.
    pub async fn order(&self, options: &OrderOptions) -> Result<ActivationCode, Error> {
        let address = self.address()?;
        let matching_id = match &options.matching_id {
            Some(id) => checked_matching_id(id)?.to_owned(),
            None => new_matching_id()?,
        };
        let confirmation_code = options.confirmation_code.as_deref();
        if confirmation_code.is_some_and(|code| code.is_empty() || code.len() > MAX_CONFIRMATION_CODE) {
            return Err(Error::invalid("confirmation_code", format!("not 1 to {MAX_CONFIRMATION_CODE} bytes")));
        }
        let order = NewOrder {
            iccid: options.iccid.ok_or_else(|| Error::invalid("iccid", "an order needs a profile"))?,
            matching_id: matching_id.clone(),
            eid: options.eid,
            confirmation_code_hash: confirmation_code.map(|code| sha256(&[code.as_bytes()])),
        };
        self.store.add_order(&order).await?;
        tracing::info!(iccid = %order.iccid, eid = ?order.eid, "download order released");
        Ok(ActivationCode { address, matching_id, confirmation_code_required: confirmation_code.is_some() })
    }

    /// The orders.
    pub async fn orders(&self) -> Result<Vec<OrderRecord>, Error> {
        self.store.orders().await
    }

    /// The notifications, all of them verified.
    pub async fn notifications(&self) -> Result<Vec<NotificationRecord>, Error> {
        self.store.notifications().await
    }

    /// ES9+.InitiateAuthentication (section 5.6.1). Gives the transaction ID too.
    pub async fn initiate_authentication(
        &self,
        request: &InitiateAuthentication<'_>,
    ) -> Result<([u8; 16], ServerAuthentication), Failure> {
        let address = self.address()?;
        let (transaction_id, challenge) = (random::bytes()?, random::bytes()?);
        let (initiated, response) =
            dp::initiate_authentication(&self.identity, &address, request, transaction_id, challenge)?;
        self.sessions.put(Session { initiated, stage: Stage::Initiated }, Instant::now());
        Ok((transaction_id, response))
    }

    /// ES9+.AuthenticateClient (section 5.6.3). A failure ends the session.
    pub async fn authenticate_client(
        &self,
        transaction_id: &[u8],
        authenticate_server_response: &[u8],
    ) -> Result<ProfileOffer, Failure> {
        let session = self.take(transaction_id)?;
        if !matches!(session.stage, Stage::Initiated) {
            return Err(self.out_of_order(session));
        }
        let now = clock::certificate_time();
        let initiated = session.initiated;
        let client = dp::authenticate_client(&self.identity, &initiated, authenticate_server_response, now)?;
        let order = match &client.matching_id {
            Some(matching_id) => self.store.order(matching_id).await?,
            None => self.store.order_for_eid(&client.eid).await?,
        };
        dp::check_order(&client, order.as_ref())?;
        let order = order.ok_or_else(|| Error::invalid("order", "it is gone"))?;
        let profile = self.store.profile(order.profile).await?;
        dp::check_eligibility(&client, &self.store.package(profile.id).await?)?;
        let store_metadata = profile.metadata.store_metadata(profile.iccid, &self.address()?)?;
        // Only an order that is bound to this eUICC has been checked to be so; its last key is offered again.
        let otpk = order.euicc_otpk.filter(|_| order.eid == Some(client.eid));
        let offer = dp::offer(&self.identity, &initiated, &client, order.needs_confirmation_code(), otpk.as_ref())?;
        let response = ProfileOffer {
            profile_metadata: store_metadata.clone(),
            smdp_signed2: offer.smdp_signed2.clone(),
            smdp_signature2: offer.smdp_signature2_object.clone(),
            smdp_certificate: offer.smdp_certificate.clone(),
        };
        tracing::info!(eid = %client.eid, iccid = %profile.iccid, "profile offered");
        let stage = Stage::Offered { client, order: order.id, profile: profile.id, offer, store_metadata };
        self.sessions.put(Session { initiated, stage }, Instant::now());
        Ok(response)
    }

    /// ES9+.GetBoundProfilePackage (section 5.6.2). Gives the package. A failure ends the session, so
    /// that no cancellation follows it: lpac says after any failure that the end user refused, and a mistyped
    /// confirmation code must not cost the order.
    pub async fn get_bound_profile_package(
        &self,
        transaction_id: &[u8],
        prepare_download_response: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let Session { initiated, stage } = self.take(transaction_id)?;
        let Stage::Offered { client, order, profile, offer, store_metadata } = stage else {
            return Err(self.out_of_order(Session { initiated, stage }));
        };
        let prepared = dp::check_prepare_download(&initiated, &client, &offer, prepare_download_response)?;
        let order = self.store.order_by_id(order).await?;
        // Time has passed since the offer: the order may have been used, cancelled or blocked.
        dp::check_order(&client, Some(&order))?;
        self.check_confirmation_code(&order, &prepared, &initiated).await?;

        let secrets = BindingSecrets {
            otsk: random::secret_key(prepared.euicc_otpk.curve())?,
            profile_protection_keys: new_profile_protection_keys()?,
        };
        let package = self.store.package(profile).await?;
        let bound = dp::bind(&self.identity, &initiated, &client, &prepared, &store_metadata, &package, &secrets)?;
        let (eid, certificate) = (client.eid, client.certificate.clone());
        let delivery = Delivery { order: order.id, iccid: order.iccid, eid, certificate };
        if !self.store.deliver(&initiated.transaction_id, &delivery, prepared.euicc_otpk.point()).await? {
            let detail = "the order was used, or bound to another eUICC, in the meantime";
            return Err(Refusal::new(es9::BPP_REBINDING_REFUSED, detail).into());
        }
        tracing::info!(eid = %delivery.eid, iccid = %delivery.iccid, bytes = bound.len(), "package handed out");
        self.sessions.put(Session { initiated, stage: Stage::Ended { client, order: order.id } }, Instant::now());
        Ok(bound)
    }

    /// Checks the confirmation code, if one is needed. An attempt is used up before the code is looked at.
    async fn check_confirmation_code(
        &self,
        order: &OrderRecord,
        prepared: &dp::Prepared,
        session: &Initiated,
    ) -> Result<(), Failure> {
        let Some(hash) = &order.confirmation_code_hash else {
            return Ok(());
        };
        if !prepared.has_confirmation_code() {
            return Err(Refusal::new(es9::CONFIRMATION_CODE_MISSING, "the order needs one").into());
        }
        let exceeded = Refusal::new(es9::CONFIRMATION_CODE_RETRIES_EXCEEDED, "the order is blocked");
        let Some(left) = self.store.take_confirmation_attempt(order.id).await? else {
            return Err(exceeded.into());
        };
        if prepared.confirms(hash, session) {
            return Ok(self.store.restore_confirmation_attempts(order.id).await?);
        }
        tracing::warn!(iccid = %order.iccid, left, "wrong confirmation code");
        if left > 0 {
            return Err(Refusal::new(es9::CONFIRMATION_CODE_REFUSED, format!("{left} attempts are left")).into());
        }
        self.store.close_order(order.id, OrderState::Error, "the confirmation code was wrong too often").await?;
        Err(exceeded.into())
    }

    /// ES9+.CancelSession (section 5.6.5). A cancellation that cannot be verified changes nothing.
    pub async fn cancel_session(&self, transaction_id: &[u8], cancel_session_response: &[u8]) -> Result<(), Failure> {
        let session = self.take(transaction_id)?;
        let (client, order) = match &session.stage {
            Stage::Offered { client, order, .. } | Stage::Ended { client, order } => (client, *order),
            Stage::Initiated => return Err(self.out_of_order(session)),
        };
        let verified = dp::cancel_session(&self.identity, &session.initiated, client, cancel_session_response);
        let (reason, eid) = match verified {
            Ok(reason) => (reason, client.eid),
            Err(failure) => {
                self.sessions.put(session, Instant::now());
                return Err(failure);
            }
        };
        let state = dp::order_after_cancel(reason);
        self.store.close_order(order, state, &format!("session cancelled: {reason}")).await?;
        tracing::info!(%eid, %reason, order = state.as_str(), "session cancelled");
        Ok(())
    }

    /// ES9+.HandleNotification (section 5.6.4). One that was handled before is accepted and changes nothing.
    pub async fn handle_notification(&self, pending_notification: &[u8]) -> Result<(), Failure> {
        let parsed = PendingNotification::parse(pending_notification)
            .map_err(|error| Failure::Malformed { what: "pendingNotification", reason: error.to_string() })?;
        let notification = match &parsed {
            PendingNotification::ProfileInstallationResult(result) => {
                let delivery = self.store.delivery(result.data.transaction_id.as_bytes()).await?;
                let delivery = delivery.ok_or_else(|| {
                    Refusal::new(es9::TRANSACTION_ID_UNKNOWN, "no package was handed out in this transaction")
                })?;
                dp::installation_result(&self.identity, &delivery, result, pending_notification)?
            }
            PendingNotification::OtherSigned(other) => {
                dp::other_notification(&self.identity, other, pending_notification, clock::certificate_time())?
            }
        };
        let new = self.store.add_notification(&notification).await?;
        let result = notification.order.as_ref().map_or("", |(_, _, remark)| remark);
        tracing::info!(
            eid = %notification.eid, sequence = notification.sequence, iccid = ?notification.iccid,
            event = notification.event.0, result, new, "notification"
        );
        Ok(())
    }

    fn take(&self, transaction_id: &[u8]) -> Result<Session, Refusal> {
        let unknown = || Refusal::new(es9::TRANSACTION_ID_UNKNOWN, "there is no such session, or it has expired");
        self.sessions.take(transaction_id, Instant::now()).ok_or_else(unknown)
    }

    /// Puts a session back that a request came for which does not fit its stage.
    fn out_of_order(&self, session: Session) -> Failure {
        self.sessions.put(session, Instant::now());
        Refusal::new(es9::TRANSACTION_ID_UNKNOWN, "the session is at another step").into()
    }
}

fn make_private_folder(folder: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::io(folder))
}

/// The host of `host` or `host:port`.
pub(crate) fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn checked_matching_id(id: &str) -> Result<&str, Error> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if plain && (1..=MAX_MATCHING_ID).contains(&id.len()) {
        return Ok(id);
    }
    let reason = format!("{id:?} is not 1 to {MAX_MATCHING_ID} letters, digits, '-', '.' or '_'");
    Err(Error::invalid("matching_id", reason))
}

/// A matching ID of 16 characters: 80 random bits.
fn new_matching_id() -> Result<String, Error> {
    let random: [u8; 16] = random::bytes()?;
    Ok(random.iter().map(|byte| char::from(MATCHING_ID_ALPHABET[usize::from(byte & 0x1F)])).collect())
}

fn new_profile_protection_keys() -> Result<SessionKeys, Error> {
    let random: Zeroizing<[[u8; 16]; 3]> = Zeroizing::new([random::bytes()?, random::bytes()?, random::bytes()?]);
    let [chaining_value, enc, mac] = &*random;
    Ok(SessionKeys::new(chaining_value, enc, mac))
}
