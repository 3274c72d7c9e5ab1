//! ES10b.AuthenticateServer, PrepareDownload and CancelSession: the common mutual authentication and what follows
//! (SGP.22 v2.5 sections 5.7.13, 5.7.5, 5.7.14).

use super::{EuiccInfo2, Signature};
use crate::codes::{AuthenticateErrorCode, CancelSessionErrorCode, CancelSessionReason, DownloadErrorCode};
use crate::object::{KeyId, Raw, Received, TransactionId, Value, Version, choice, object};
use crate::tags;
use core::fmt;
use teuicc_tlv::{Error, Tag, Tlv, Writer};

object! {
    /// ServerSigned1, signed by the SM-DP+ or SM-DS.
    pub struct ServerSigned1<'a>: Tag::SEQUENCE => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// The eUICC's challenge.
        euicc_challenge: required &'a [u8; 16] = 0x81,
        /// The server's address.
        server_address: required &'a str = 0x83,
        /// The server's challenge.
        server_challenge: required &'a [u8; 16] = 0x84,
    }
}

object! {
    /// Request of ES10b.AuthenticateServer.
    pub struct AuthenticateServerRequest<'a>: tags::AUTHENTICATE_SERVER => {
        /// What the server signed.
        server_signed1: required Received<'a, ServerSigned1<'a>> = 0x30,
        /// The signature over it.
        server_signature1: required Signature<'a> = 0x5F37,
        /// Which CI's certificate the eUICC shall use.
        euicc_ci_pk_id_to_be_used: required KeyId<'a> = 0x04,
        /// CERT.DPauth.ECDSA or CERT.DSauth.ECDSA, a whole X.509 certificate.
        server_certificate: required Raw<'a> = 0x30,
        /// What the LPA adds, common authentication being the only kind.
        ctx_params1: required Received<'a, CtxParams1<'a>> = 0xA0,
    }
}

object! {
    /// CtxParams1 with its alternative ctxParamsForCommonAuthentication, which is the only one.
    pub struct CtxParams1<'a>: Tag(0xA0) => {
        /// Matching ID; empty or absent: the default SM-DP+ chooses.
        matching_id: optional &'a str = 0x80,
        /// About the device.
        device_info: required Received<'a, DeviceInfo<'a>> = 0xA1,
    }
}

object! {
    /// DeviceInfo. Members it does not know pass through the eUICC in [`Received::raw`].
    pub struct DeviceInfo<'a>: Tag(0xA1) => {
        /// Type allocation code, 8 digits.
        tac: required &'a [u8; 4] = 0x80,
        /// Capabilities.
        device_capabilities: required DeviceCapabilities = 0xA1,
        /// IMEI, with its check digit.
        imei: optional &'a [u8; 8] = 0x82,
    }
}

object! {
    /// DeviceCapabilities: the release supported of each.
    pub struct DeviceCapabilities: Tag(0xA1) => {
        /// GSM.
        gsm_supported_release: optional Version = 0x80,
        /// UTRAN.
        utran_supported_release: optional Version = 0x81,
        /// CDMA 1X.
        cdma2000_onex_supported_release: optional Version = 0x82,
        /// CDMA HRPD.
        cdma2000_hrpd_supported_release: optional Version = 0x83,
        /// CDMA eHRPD.
        cdma2000_ehrpd_supported_release: optional Version = 0x84,
        /// E-UTRAN with EPC.
        eutran_epc_supported_release: optional Version = 0x85,
        /// Contactless.
        contactless_supported_release: optional Version = 0x86,
        /// CRLs of RSP.
        rsp_crl_supported_version: optional Version = 0x87,
        /// NR with EPC.
        nr_epc_supported_release: optional Version = 0x88,
        /// NR with 5GC.
        nr_5gc_supported_release: optional Version = 0x89,
        /// E-UTRAN with 5GC.
        eutran_5gc_supported_release: optional Version = 0x8A,
    }
}

choice! {
    /// Response of ES10b.AuthenticateServer.
    pub enum AuthenticateServerResponse<'a>: tags::AUTHENTICATE_SERVER => {
        /// The server is authenticated.
        Ok(AuthenticateResponseOk<'a>) = 0xA0,
        /// It is not.
        Error(AuthenticateResponseError<'a>) = 0xA1,
    }
}

object! {
    /// AuthenticateResponseOk.
    pub struct AuthenticateResponseOk<'a>: Tag(0xA0) => {
        /// What the eUICC signed.
        euicc_signed1: required Received<'a, EuiccSigned1<'a>> = 0x30,
        /// The signature over it.
        euicc_signature1: required Signature<'a> = 0x5F37,
        /// CERT.EUICC.ECDSA.
        euicc_certificate: required Raw<'a> = 0x30,
        /// CERT.EUM.ECDSA.
        eum_certificate: required Raw<'a> = 0x30,
    }
}

object! {
    /// EuiccSigned1.
    pub struct EuiccSigned1<'a>: Tag::SEQUENCE => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// The server's address.
        server_address: required &'a str = 0x83,
        /// The server's challenge.
        server_challenge: required &'a [u8; 16] = 0x84,
        /// EUICCInfo2.
        euicc_info2: required Received<'a, EuiccInfo2<'a>> = 0xBF22,
        /// As the LPA sent it.
        ctx_params1: required Received<'a, CtxParams1<'a>> = 0xA0,
    }
}

object! {
    /// AuthenticateResponseError.
    pub struct AuthenticateResponseError<'a>: Tag(0xA1) => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// Why.
        error: required AuthenticateErrorCode = 0x02,
    }
}

/// Hash of the confirmation code; six digits can be guessed from it, so `Debug` leaves it out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashCc<'a>(pub &'a [u8; 32]);

impl fmt::Debug for HashCc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashCc(..)")
    }
}

impl<'a> Value<'a> for HashCc<'a> {
    fn read(tlv: &Tlv<'a>) -> Result<Self, Error> {
        Ok(HashCc(tlv.array()?))
    }

    fn put(&self, tag: Tag, writer: &mut Writer) -> Result<(), Error> {
        writer.primitive(tag, self.0)
    }
}

object! {
    /// SmdpSigned2, signed with SK.DPpb.ECDSA.
    pub struct SmdpSigned2<'a>: Tag::SEQUENCE => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// Whether a confirmation code is required.
        cc_required_flag: required bool = 0x01,
        /// otPK.EUICC.ECKA of an earlier attempt, which the package is bound to already.
        bpp_euicc_otpk: optional &'a [u8; 65] = 0x5F49,
    }
}

object! {
    /// Request of ES10b.PrepareDownload.
    pub struct PrepareDownloadRequest<'a>: tags::PREPARE_DOWNLOAD => {
        /// What the SM-DP+ signed.
        smdp_signed2: required Received<'a, SmdpSigned2<'a>> = 0x30,
        /// The signature over it and over euiccSignature1.
        smdp_signature2: required Signature<'a> = 0x5F37,
        /// The hashed confirmation code.
        hash_cc: optional HashCc<'a> = 0x04,
        /// CERT.DPpb.ECDSA.
        smdp_certificate: required Raw<'a> = 0x30,
    }
}

choice! {
    /// Response of ES10b.PrepareDownload.
    pub enum PrepareDownloadResponse<'a>: tags::PREPARE_DOWNLOAD => {
        /// The eUICC is ready.
        Ok(PrepareDownloadResponseOk<'a>) = 0xA0,
        /// It is not.
        Error(PrepareDownloadResponseError<'a>) = 0xA1,
    }
}

object! {
    /// PrepareDownloadResponseOk.
    pub struct PrepareDownloadResponseOk<'a>: Tag(0xA0) => {
        /// What the eUICC signed.
        euicc_signed2: required Received<'a, EuiccSigned2<'a>> = 0x30,
        /// The signature over it and over smdpSignature2.
        euicc_signature2: required Signature<'a> = 0x5F37,
    }
}

object! {
    /// EUICCSigned2.
    pub struct EuiccSigned2<'a>: Tag::SEQUENCE => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// otPK.EUICC.ECKA.
        euicc_otpk: required &'a [u8; 65] = 0x5F49,
        /// The hashed confirmation code.
        hash_cc: optional HashCc<'a> = 0x04,
    }
}

object! {
    /// PrepareDownloadResponseError.
    pub struct PrepareDownloadResponseError<'a>: Tag(0xA1) => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// Why.
        error: required DownloadErrorCode = 0x02,
    }
}

object! {
    /// Request of ES10b.CancelSession.
    pub struct CancelSessionRequest<'a>: tags::CANCEL_SESSION => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// Why.
        reason: required CancelSessionReason = 0x81,
    }
}

choice! {
    /// Response of ES10b.CancelSession.
    pub enum CancelSessionResponse<'a>: tags::CANCEL_SESSION => {
        /// The session is cancelled.
        Ok(CancelSessionResponseOk<'a>) = 0xA0,
        /// It is not.
        Error(CancelSessionErrorCode) = 0x81,
    }
}

object! {
    /// CancelSessionResponseOk.
    pub struct CancelSessionResponseOk<'a>: Tag(0xA0) => {
        /// What the eUICC signed.
        euicc_cancel_session_signed: required Received<'a, EuiccCancelSessionSigned<'a>> = 0x30,
        /// The signature over it.
        euicc_cancel_session_signature: required Signature<'a> = 0x5F37,
    }
}

object! {
    /// EuiccCancelSessionSigned.
    pub struct EuiccCancelSessionSigned<'a>: Tag::SEQUENCE => {
        /// The transaction.
        transaction_id: required TransactionId<'a> = 0x80,
        /// SM-DP+ OID as contained in CERT.DPauth.ECDSA, content octets.
        smdp_oid: required &'a [u8] = 0x81,
        /// Why.
        reason: required CancelSessionReason = 0x82,
    }
}
