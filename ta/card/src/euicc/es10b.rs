//! ES10b: the session (SGP.22 v2.5 sections 5.7.5, 5.7.7, 5.7.13, 5.7.14).

use super::session::{Authenticated, Challenged, Session};
use super::{Euicc, Failure, Stop};
use crate::euicc::es10a::text;
use crate::platform::Env;
use alloc::vec::Vec;
use core::mem::take;
use teuicc_rsp::codes::{AuthenticateErrorCode, CancelSessionErrorCode, DownloadErrorCode};
use teuicc_rsp::crypto::PublicKey;
use teuicc_rsp::es10::{
    AuthenticateResponseError, AuthenticateResponseOk, AuthenticateServerRequest, AuthenticateServerResponse,
    CancelSessionRequest, CancelSessionResponse, CancelSessionResponseOk, EuiccCancelSessionSigned, EuiccSigned1,
    EuiccSigned2, GetEuiccChallengeResponse, PrepareDownloadRequest, PrepareDownloadResponse,
    PrepareDownloadResponseError, PrepareDownloadResponseOk,
};
use teuicc_rsp::object::{Object, Raw, Received, TransactionId};
use teuicc_rsp::signing::with_signature;
use teuicc_tlv::{Reader, Tag};

impl Euicc {
    /// GetEUICCChallenge: a new session takes the place of whatever session there was.
    pub(super) fn get_challenge(&mut self, env: &mut Env<'_>) -> Result<Vec<u8>, Failure> {
        let challenged = Challenged::new(env);
        let response = GetEuiccChallengeResponse { challenge: challenged.challenge() }.encode()?;
        self.session = Session::Challenged(challenged);
        Ok(response)
    }

    /// AuthenticateServer.
    pub(super) fn authenticate_server(&mut self, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let request = AuthenticateServerRequest::parse(command)?;
        let transaction_id = request.server_signed1.transaction_id;
        let refused = |error| {
            let error = AuthenticateResponseError { transaction_id, error };
            Ok(AuthenticateServerResponse::Error(error).encode()?)
        };
        let challenged = match take(&mut self.session) {
            Session::Challenged(challenged) => challenged,
            other => {
                self.session = other;
                return refused(AuthenticateErrorCode::NoSession);
            }
        };
        let identity = self.personalized()?;
        let server = match challenged.authenticate(&request, identity, &self.registry) {
            Ok(server) => server,
            Err(error) => return refused(error),
        };
        let chain = identity.chain(server.euicc_chain).ok_or(Failure::Internal)?;
        let info = self.euicc_info2()?;
        let signed = EuiccSigned1 {
            transaction_id,
            server_address: text(&server.address)?,
            server_challenge: request.server_signed1.server_challenge,
            euicc_info2: Received::parse(&info)?,
            ctx_params1: request.ctx_params1,
        }
        .encode()?;
        let signature = chain.sign(&[&signed])?;
        let response = AuthenticateServerResponse::Ok(AuthenticateResponseOk {
            euicc_signed1: Received::parse(&signed)?,
            euicc_signature1: &signature,
            euicc_certificate: Raw(&chain.euicc),
            eum_certificate: Raw(&chain.eum),
        })
        .encode()?;
        self.session = Session::Authenticated(Authenticated::new(server, signature));
        Ok(response)
    }

    /// PrepareDownload. It may be repeated with another confirmation code, until a package is loaded.
    pub(super) fn prepare_download(&mut self, env: &mut Env<'_>, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let request = PrepareDownloadRequest::parse(command)?;
        let refused = |error| {
            let error = PrepareDownloadResponseError { transaction_id: request.smdp_signed2.transaction_id, error };
            Ok(PrepareDownloadResponse::Error(error).encode()?)
        };
        let authenticated = match take(&mut self.session) {
            Session::Authenticated(authenticated) => authenticated,
            Session::Prepared(prepared) => prepared.authenticated,
            other => {
                self.session = other;
                return refused(DownloadErrorCode::NoSession);
            }
        };
        match self.prepared(env, &authenticated, &request) {
            Ok((response, smdp_key, otpk)) => {
                self.session = Session::Prepared(authenticated.prepare(smdp_key, otpk));
                Ok(response)
            }
            Err(stop) => {
                self.session = Session::Authenticated(authenticated);
                match stop {
                    Stop::Refused(error) => refused(error),
                    Stop::Failed(failure) => Err(failure),
                }
            }
        }
    }

    /// The answer to a good PrepareDownload, PK.DPpb.ECDSA and otPK.EUICC.ECKA.
    fn prepared(
        &mut self,
        env: &mut Env<'_>,
        authenticated: &Authenticated,
        request: &PrepareDownloadRequest<'_>,
    ) -> Result<(Vec<u8>, PublicKey, PublicKey), Stop<DownloadErrorCode>> {
        let server = &authenticated.server;
        let smdp_key =
            authenticated.check_prepare(request, self.personalized()?, &self.registry).map_err(Stop::Refused)?;
        let bound_to = request.smdp_signed2.bpp_euicc_otpk;
        let otpk = self.held.key_for(env, server, smdp_key.curve(), bound_to)?;
        let signed = EuiccSigned2 {
            transaction_id: request.smdp_signed2.transaction_id,
            euicc_otpk: otpk.point(),
            hash_cc: request.hash_cc,
        }
        .encode()?;
        let chain = self.personalized()?.chain(server.euicc_chain).ok_or(Failure::Internal)?;
        let signature = chain.sign(&with_signature(&signed, request.smdp_signature2))?;
        let response = PrepareDownloadResponse::Ok(PrepareDownloadResponseOk {
            euicc_signed2: Received::parse(&signed)?,
            euicc_signature2: &signature,
        })
        .encode()?;
        Ok((response, smdp_key, otpk))
    }

    /// CancelSession, from authentication on.
    pub(super) fn cancel_session(&mut self, command: &[u8]) -> Result<Vec<u8>, Failure> {
        let request = CancelSessionRequest::parse(command)?;
        let server = self.session.server().filter(|server| server.transaction_id == request.transaction_id.as_bytes());
        let Some(server) = server else {
            let error = CancelSessionResponse::Error(CancelSessionErrorCode::InvalidTransactionId);
            return Ok(error.encode()?);
        };
        let signed = EuiccCancelSessionSigned {
            transaction_id: TransactionId::new(&server.transaction_id).ok_or(Failure::Internal)?,
            smdp_oid: &server.oid,
            reason: request.reason,
        }
        .encode()?;
        let chain = self.personalized()?.chain(server.euicc_chain).ok_or(Failure::Internal)?;
        let signature = chain.sign(&[&signed])?;
        let response = CancelSessionResponse::Ok(CancelSessionResponseOk {
            euicc_cancel_session_signed: Received::parse(&signed)?,
            euicc_cancel_session_signature: &signature,
        })
        .encode()?;
        self.held.forget(server);
        self.session = Session::Idle;
        Ok(response)
    }
}

/// The transactionId of a request that begins with a signed object (AuthenticateServer, PrepareDownload), also if the
/// rest of it is malformed.
pub(super) fn transaction_id(command: &[u8]) -> Option<&[u8]> {
    let signed = Reader::new(command).read().ok()?.members().expect(Tag::SEQUENCE).ok()?;
    let transaction_id = signed.members().expect(Tag(0x80)).ok()?;
    TransactionId::new(transaction_id.value).map(|id| id.as_bytes())
}
