//! Common mutual authentication of card and server (SGP.22 v2.5 section 3.0.1), and how a session is cancelled (3.0.2).

use crate::activation_code::ServerAddress;
use crate::error::LpaError;
use crate::es9p::{Server, TransactionId};
use crate::es10::{Isdr, Outcome, outcome, read, read_error, refused, unencodable};
use teuicc_rsp::certificate::Certificate;
use teuicc_rsp::codes::CancelSessionReason;
use teuicc_rsp::es10::{
    AuthenticateResponseError, AuthenticateServerRequest, CancelSessionRequest, CtxParams1, DeviceCapabilities,
    DeviceInfo, EuiccConfiguredAddresses, GetEuiccChallengeResponse, ServerSigned1,
};
use teuicc_rsp::object::{KeyId, Object, Octets, Raw, Received, Version};
use teuicc_rsp::{oid, tags};
use teuicc_tlv::Tlv;

/// What servers are told about the device (section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Type allocation code of the device: 8 digits, two to a byte.
    pub tac: [u8; 4],
    /// IMEI, if servers shall know it: 15 digits and a filler, two to a byte.
    pub imei: Option<[u8; 8]>,
}

impl Default for Device {
    /// A type allocation code of the range for tests (TS.06 section 5), and no IMEI.
    fn default() -> Self {
        Device { tac: [0x00, 0x10, 0x10, 0x01], imei: None }
    }
}

/// The release of 3GPP that the device is said to support, of each access technology that it has.
const RELEASE: Version = Version(15, 0, 0);

impl Device {
    fn ctx_params1(&self, matching_id: Option<&str>) -> Result<Vec<u8>, teuicc_tlv::Error> {
        let device_info = DeviceInfo {
            tac: &self.tac,
            device_capabilities: DeviceCapabilities {
                gsm_supported_release: Some(RELEASE),
                utran_supported_release: Some(RELEASE),
                cdma2000_onex_supported_release: None,
                cdma2000_hrpd_supported_release: None,
                cdma2000_ehrpd_supported_release: None,
                eutran_epc_supported_release: Some(RELEASE),
                contactless_supported_release: None,
                rsp_crl_supported_version: None,
                nr_epc_supported_release: Some(RELEASE),
                nr_5gc_supported_release: Some(RELEASE),
                eutran_5gc_supported_release: None,
            },
            imei: self.imei.as_ref(),
        };
        let raw = device_info.encode()?;
        CtxParams1 { matching_id, device_info: Received { raw: &raw, object: device_info } }.encode()
    }
}

/// What a session is opened for.
pub(crate) struct Purpose<'a> {
    pub(crate) device: &'a Device,
    pub(crate) matching_id: Option<&'a str>,
    /// The OID that the server must have, dotted.
    pub(crate) server_oid: Option<&'a str>,
}

/// A session whose server the card has authenticated.
pub(crate) struct Session {
    pub(crate) transaction: TransactionId,
    /// The card's response, for ES9+.AuthenticateClient.
    pub(crate) authenticate_server_response: Vec<u8>,
}

/// Opens a session with `server` and has the card authenticate it (section 3.0.1, steps 1 to 12).
pub(crate) async fn authenticate(
    isdr: &Isdr<'_>,
    server: &Server<'_>,
    purpose: &Purpose<'_>,
) -> Result<Session, LpaError> {
    const FUNCTION: &str = "AuthenticateServer";
    const INFO: &str = "GetEUICCInfo";
    let info1 = isdr.get(INFO, tags::GET_EUICC_INFO1).await?;
    // It is for the server; here it is only seen to be one.
    Tlv::parse(&info1, tags::GET_EUICC_INFO1)
        .map_err(|error| LpaError::CardAnswer { function: INFO, problem: error.to_string() })?;
    let challenge = isdr.get("GetEUICCChallenge", tags::GET_EUICC_CHALLENGE).await?;
    let challenge = *read::<GetEuiccChallengeResponse<'_>>("GetEUICCChallenge", &challenge)?.challenge;
    let initiated = server.initiate_authentication(&challenge, &info1).await?;

    let wrong = |name: &str, error: &dyn core::fmt::Display| LpaError::ServerAnswer {
        function: "initiateAuthentication",
        server: server.address.to_string(),
        problem: format!("{name}: {error}"),
    };
    let signed1 = Received::<ServerSigned1<'_>>::parse(&initiated.server_signed1)
        .map_err(|error| wrong("serverSigned1", &error))?;
    if signed1.transaction_id.as_bytes() != initiated.transaction_id.bytes {
        return Err(wrong("serverSigned1", &"it is for another transaction"));
    }
    if signed1.euicc_challenge != &challenge {
        return Err(wrong("serverSigned1", &"it is for another challenge"));
    }
    if !server.address.is(signed1.server_address) {
        let answered = signed1.server_address.chars().take(100).collect();
        return Err(LpaError::WrongServer { server: server.address.to_string(), answered });
    }
    if let Some(expected) = purpose.server_oid {
        check_oid(&server.address, expected, &initiated.server_certificate, &wrong)?;
    }
    let signature = Tlv::parse(&initiated.server_signature1, tags::SIGNATURE)
        .and_then(|tlv| tlv.array())
        .map_err(|error| wrong("serverSignature1", &error))?;
    let key_id = KeyId::parse(&initiated.euicc_ci_pk_id).map_err(|error| wrong("euiccCiPKIdToBeUsed", &error))?;
    let ctx_params1 = purpose.device.ctx_params1(purpose.matching_id).map_err(|error| unencodable(FUNCTION, error))?;
    let request = AuthenticateServerRequest {
        server_signed1: signed1,
        server_signature1: signature,
        euicc_ci_pk_id_to_be_used: key_id,
        server_certificate: Raw(&initiated.server_certificate),
        ctx_params1: Received::<CtxParams1<'_>>::parse(&ctx_params1).map_err(|error| unencodable(FUNCTION, error))?,
    };
    let request = request.encode().map_err(|error| wrong("serverCertificate", &error))?;
    let response = isdr.call(FUNCTION, &request).await?;
    if let Outcome::Error(error) = outcome(FUNCTION, tags::AUTHENTICATE_SERVER, &response)? {
        let code = read_error::<AuthenticateResponseError<'_>>(FUNCTION, &error)?.error;
        return Err(refused(FUNCTION, code.code(), &code));
    }
    Ok(Session { transaction: initiated.transaction_id, authenticate_server_response: response })
}

/// Checks the OID of the activation code against the server's certificate (section 3.0.1 step 7).
fn check_oid(
    address: &ServerAddress,
    expected: &str,
    certificate: &[u8],
    wrong: &dyn Fn(&str, &dyn core::fmt::Display) -> LpaError,
) -> Result<(), LpaError> {
    let certificate = Certificate::parse(certificate).map_err(|error| wrong("serverCertificate", &error))?;
    let found = certificate.registered_id.map(|octets| oid::Dotted(octets).to_string());
    if found.as_deref() == Some(expected) {
        return Ok(());
    }
    Err(LpaError::WrongServerOid {
        server: address.to_string(),
        expected: expected.into(),
        found: found.unwrap_or_else(|| "none".into()),
    })
}

/// Cancels a session at the card and, with the card's signature, at the server (section 3.0.2). What fails here is
/// not worth an error of its own: the server forgets the session by itself, and the card at the next one.
pub(crate) async fn cancel(
    isdr: &Isdr<'_>,
    server: &Server<'_>,
    transaction: &TransactionId,
    reason: CancelSessionReason,
) {
    const FUNCTION: &str = "CancelSession";
    let Some(transaction_id) = Octets::new(&transaction.bytes) else { return };
    let request = CancelSessionRequest { transaction_id, reason };
    let Ok(response) = isdr.send(FUNCTION, &request).await else { return };
    if let Ok(Outcome::Result) = outcome(FUNCTION, tags::CANCEL_SESSION, &response) {
        let _ = server.cancel_session(transaction, &response).await;
    }
}

/// The default SM-DP+ and the root SM-DS that the card names (section 5.7.3), the former possibly absent.
pub(crate) async fn configured_addresses(isdr: &Isdr<'_>) -> Result<(Option<String>, String), LpaError> {
    const FUNCTION: &str = "GetEuiccConfiguredAddresses";
    let answer = isdr.get(FUNCTION, tags::EUICC_CONFIGURED_ADDRESSES).await?;
    let addresses: EuiccConfiguredAddresses<'_> = read(FUNCTION, &answer)?;
    let default_dp = addresses.default_dp_address.filter(|address| !address.is_empty());
    Ok((default_dp.map(str::to_owned), addresses.root_ds_address.to_owned()))
}

/// An address that the card names, in the role that it has there.
pub(crate) fn card_address(role: &'static str, address: &str) -> Result<ServerAddress, LpaError> {
    address.parse().map_err(|error| LpaError::BadAddress { role, address: address.chars().take(100).collect(), error })
}
