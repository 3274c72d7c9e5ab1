//! What is signed (SGP.22 v2.5 section 2.6.7.2 and the functions' own sections): the parts to give to
//! [`SecretKey::sign`](crate::crypto::SecretKey::sign) and [`verify`](crate::crypto::verify). Signed objects not
//! named here are signed alone, as received: serverSigned1, euiccSigned1, ProfileInstallationResultData,
//! NotificationMetadata, EuiccCancelSessionSigned.

/// Tag and length of a signature.
const SIGNATURE_HEADER: &[u8] = &[0x5F, 0x37, 0x40];
/// Tag and length of a one-time public key.
const OTPK_HEADER: &[u8] = &[0x5F, 0x49, 0x41];

/// A signed object and an earlier signature, as data objects. smdpSignature2 is over smdpSigned2 and
/// euiccSignature1; euiccSignature2 over euiccSigned2 and smdpSignature2.
#[must_use]
pub fn with_signature<'a>(signed: &'a [u8], signature: &'a [u8; 64]) -> [&'a [u8]; 3] {
    [signed, SIGNATURE_HEADER, signature]
}

/// smdpSign of InitialiseSecureChannel: what [`smdp_signed`](crate::bpp::smdp_signed) gives, and otPK.EUICC.ECKA.
#[must_use]
pub fn with_otpk<'a>(signed: &'a [u8], euicc_otpk: &'a [u8; 65]) -> [&'a [u8]; 3] {
    [signed, OTPK_HEADER, euicc_otpk]
}
