//! The RSP session as states: each consumes the one before, so that no step can be left out or done twice.
//!
//! [`Challenged`] → [`Authenticated`] → [`Prepared`] → a bound profile package being loaded. A [`Challenged`] is spent
//! by the first AuthenticateServer that is well-formed, whatever comes of it.

use super::Failure;
use super::bpp::Loading;
use super::identity::Personalized;
use super::registry::{MAX_ADDRESS, Registry};
use crate::platform::Env;
use alloc::vec::Vec;
use teuicc_rsp::certificate::{Certificate, check_server_certificate};
use teuicc_rsp::codes::{AuthenticateErrorCode, DownloadErrorCode};
use teuicc_rsp::crypto::{Curve, POINT, PublicKey, SIGNATURE, SecretKey, verify};
use teuicc_rsp::es10::{AuthenticateServerRequest, PrepareDownloadRequest};
use teuicc_rsp::oid::Role;
use teuicc_rsp::signing::with_signature;
use teuicc_tlv::{TryBytes, drop_first, try_copy};

/// How many one-time keys are kept for downloads that broke; the oldest is dropped for one more.
const MAX_HELD_KEYS: usize = 4;
/// Longest OID of a server in bytes.
const MAX_OID: usize = 64;

/// Where the session is.
#[derive(Default)]
#[allow(clippy::large_enum_variant, reason = "there is one session; a box would be an allocation that cannot fail")]
pub(super) enum Session {
    /// Nowhere.
    #[default]
    Idle,
    /// GetEUICCChallenge was answered.
    Challenged(Challenged),
    /// A server is authenticated.
    Authenticated(Authenticated),
    /// A download is prepared.
    Prepared(Prepared),
    /// A bound profile package is being loaded.
    Loading(Loading),
}

/// A challenge that no server answered yet.
pub(super) struct Challenged {
    challenge: [u8; 16],
}

/// An authenticated server. Made by [`Challenged::authenticate`] alone.
pub(super) struct Authenticated {
    pub(super) server: Server,
    /// What the eUICC answered with; the SM-DP+ signs it in smdpSigned2.
    euicc_signature1: [u8; SIGNATURE],
}

/// A server whose certificate and signature were checked. Made by [`Challenged::authenticate`] alone.
pub(super) struct Server {
    role: Role,
    /// transactionId, 1 to 16 bytes.
    pub(super) transaction_id: Vec<u8>,
    /// OID in the server's certificate, content octets.
    pub(super) oid: Vec<u8>,
    /// serverAddress as signed by the server, UTF-8.
    pub(super) address: Vec<u8>,
    /// The chain whose CI issued the server's certificate.
    pub(super) server_chain: u8,
    /// The chain that the eUICC signs with.
    pub(super) euicc_chain: u8,
}

/// A download that was prepared. Made by [`Authenticated::prepare`] alone.
pub(super) struct Prepared {
    pub(super) authenticated: Authenticated,
    /// PK.DPpb.ECDSA.
    pub(super) smdp_key: PublicKey,
    /// otPK.EUICC.ECKA; its private half is in [`HeldKeys`].
    pub(super) otpk: PublicKey,
}

impl Session {
    /// The authenticated server.
    pub(super) fn server(&self) -> Option<&Server> {
        match self {
            Session::Idle | Session::Challenged(_) => None,
            Session::Authenticated(authenticated) => Some(&authenticated.server),
            Session::Prepared(prepared) => Some(&prepared.authenticated.server),
            Session::Loading(loading) => Some(&loading.prepared().authenticated.server),
        }
    }
}

impl Challenged {
    /// Draws a new challenge.
    pub(super) fn new(env: &mut Env<'_>) -> Self {
        let mut challenge = [0; 16];
        env.rng.fill(&mut challenge);
        Challenged { challenge }
    }

    /// The challenge.
    pub(super) fn challenge(&self) -> &[u8; 16] {
        &self.challenge
    }

    /// The checks of AuthenticateServer (section 5.7.13).
    pub(super) fn authenticate(
        self,
        request: &AuthenticateServerRequest<'_>,
        identity: &Personalized,
        registry: &Registry,
    ) -> Result<Server, AuthenticateErrorCode> {
        let signed = &request.server_signed1;
        let certificate =
            Certificate::parse(request.server_certificate.0).map_err(|error| error.authenticate_error())?;
        let authority = certificate.authority_key_identifier.ok_or(AuthenticateErrorCode::InvalidCertificate)?;
        let (server_chain, ci) = identity.chain_of(authority).ok_or(AuthenticateErrorCode::CiPkUnknown)?;
        let role = if certificate.has_role(Role::DsAuth) { Role::DsAuth } else { Role::DpAuth };
        check_server_certificate(&certificate, role, &ci.ci_key).map_err(|error| error.authenticate_error())?;
        let oid = certificate
            .registered_id
            .filter(|oid| oid.len() <= MAX_OID && !registry.is_revoked(server_chain, certificate.serial))
            .ok_or(AuthenticateErrorCode::InvalidCertificate)?;
        let (euicc_chain, _) = identity
            .chain_of(request.euicc_ci_pk_id_to_be_used.as_bytes())
            .ok_or(AuthenticateErrorCode::CiPkUnknown)?;
        if !verify(&certificate.public_key, &[signed.raw], request.server_signature1) {
            return Err(AuthenticateErrorCode::InvalidSignature);
        }
        if *signed.euicc_challenge != self.challenge {
            return Err(AuthenticateErrorCode::EuiccChallengeMismatch);
        }
        let copy = |bytes: &[u8]| try_copy(bytes).map_err(|_| AuthenticateErrorCode::UndefinedError);
        if signed.server_address.len() > MAX_ADDRESS {
            return Err(AuthenticateErrorCode::UndefinedError);
        }
        Ok(Server {
            role,
            transaction_id: copy(signed.transaction_id.as_bytes())?,
            oid: copy(oid)?,
            address: copy(signed.server_address.as_bytes())?,
            server_chain,
            euicc_chain,
        })
    }
}

impl Authenticated {
    /// The state after the eUICC signed its answer to `server`.
    pub(super) fn new(server: Server, euicc_signature1: [u8; SIGNATURE]) -> Self {
        Authenticated { server, euicc_signature1 }
    }

    /// The checks of PrepareDownload (section 5.7.5). Gives PK.DPpb.ECDSA.
    pub(super) fn check_prepare(
        &self,
        request: &PrepareDownloadRequest<'_>,
        identity: &Personalized,
        registry: &Registry,
    ) -> Result<PublicKey, DownloadErrorCode> {
        let signed = &request.smdp_signed2;
        let certificate = Certificate::parse(request.smdp_certificate.0).map_err(|error| error.download_error())?;
        let chain = identity.chain(self.server.server_chain).ok_or(DownloadErrorCode::UndefinedError)?;
        let same_ci = certificate.authority_key_identifier == Some(&chain.ci_key_id);
        if !same_ci || self.server.role != Role::DpAuth {
            return Err(DownloadErrorCode::InvalidCertificate);
        }
        check_server_certificate(&certificate, Role::DpPb, &chain.ci_key).map_err(|error| error.download_error())?;
        let same_server = certificate.registered_id == Some(&self.server.oid);
        if !same_server || registry.is_revoked(self.server.server_chain, certificate.serial) {
            return Err(DownloadErrorCode::InvalidCertificate);
        }
        let parts = with_signature(signed.raw, &self.euicc_signature1);
        if !verify(&certificate.public_key, &parts, request.smdp_signature2) {
            return Err(DownloadErrorCode::InvalidSignature);
        }
        if signed.transaction_id.as_bytes() != self.server.transaction_id {
            return Err(DownloadErrorCode::InvalidTransactionId);
        }
        // There is no code for a missing confirmation code.
        if signed.cc_required_flag && request.hash_cc.is_none() {
            return Err(DownloadErrorCode::UndefinedError);
        }
        Ok(certificate.public_key)
    }

    /// The state after PrepareDownload succeeded.
    pub(super) fn prepare(self, smdp_key: PublicKey, otpk: PublicKey) -> Prepared {
        Prepared { authenticated: self, smdp_key, otpk }
    }
}

/// One-time private keys: one an SM-DP+ and transaction, kept until the bound profile package is installed, the
/// session is cancelled or the power goes, so that a download that broke can be resumed with the same package.
#[derive(Default)]
pub(super) struct HeldKeys(Vec<HeldKey>);

struct HeldKey {
    smdp_oid: Vec<u8>,
    transaction_id: Vec<u8>,
    key: SecretKey,
    otpk: PublicKey,
}

impl HeldKeys {
    /// The public one-time key for a download of `server`: the one that its SM-DP+ says a package is bound to, if it
    /// is held still; else the one of this transaction; else a new one.
    pub(super) fn key_for(
        &mut self,
        env: &mut Env<'_>,
        server: &Server,
        curve: Curve,
        bound_to: Option<&[u8; POINT]>,
    ) -> Result<PublicKey, Failure> {
        let held = self.0.iter_mut().find(|held| {
            let wanted = match bound_to {
                Some(point) => held.otpk.point() == point,
                None => held.transaction_id == server.transaction_id,
            };
            wanted && held.smdp_oid == server.oid && held.otpk.curve() == curve
        });
        if let Some(held) = held {
            held.transaction_id = try_copy(&server.transaction_id)?;
            return Ok(held.otpk);
        }
        let key = SecretKey::generate(curve, &mut |bytes| env.rng.fill(bytes))?;
        let otpk = key.public_key()?;
        let held =
            HeldKey { smdp_oid: try_copy(&server.oid)?, transaction_id: try_copy(&server.transaction_id)?, key, otpk };
        self.forget(server);
        if self.0.len() >= MAX_HELD_KEYS {
            drop_first(&mut self.0);
        }
        self.0.try_push(held)?;
        Ok(otpk)
    }

    /// The private half of `otpk`, for `server`.
    pub(super) fn secret(&self, server: &Server, otpk: &PublicKey) -> Option<&SecretKey> {
        self.0.iter().find(|held| held.smdp_oid == server.oid && held.otpk == *otpk).map(|held| &held.key)
    }

    /// Erases the key of the transaction with `server`.
    pub(super) fn forget(&mut self, server: &Server) {
        self.0.retain(|held| held.smdp_oid != server.oid || held.transaction_id != server.transaction_id);
    }
}
