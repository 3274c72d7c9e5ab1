//! Certificate requests (PKCS#10, RFC 2986), with which a card asks its maker for its certificate.

use crate::certificate::CertificateError;
use crate::crypto::{InvalidKey, PublicKey, SecretKey, verify};
use crate::oid;
use crate::x509::{self, Name};
use alloc::vec::Vec;
use teuicc_tlv::{Error, Tag, Tlv, Writer};

/// A certificate request whose signature was verified.
#[derive(Clone, Copy, Debug)]
pub struct CertificateRequest<'a> {
    /// The subject's name, whole.
    pub subject: &'a [u8],
    /// organizationName of the subject.
    pub organization: Option<&'a [u8]>,
    /// serialNumber of the subject: the EID.
    pub serial_number: Option<&'a [u8]>,
    /// The subject's key, which the request is signed with.
    pub public_key: PublicKey,
}

impl<'a> CertificateRequest<'a> {
    /// Reads exactly one request and verifies that it is signed with its own key. Errors: it is badly encoded, on
    /// another curve, or the signature is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CertificateError> {
        let mut members = Tlv::parse(bytes, Tag::SEQUENCE)?.members();
        let info = members.expect(Tag::SEQUENCE)?;
        x509::expect_ecdsa_with_sha256(&mut members)?;
        let signature = members.expect(Tag::BIT_STRING)?;
        members.finish()?;
        let mut fields = info.members();
        fields.expect(Tag::INTEGER)?;
        let subject = fields.expect(Tag::SEQUENCE)?;
        let public_key = x509::read_public_key(&fields.expect(Tag::SEQUENCE)?)?;
        if !verify(&public_key, &[info.raw], &x509::read_signature(&signature)?) {
            return Err(CertificateError::Signature);
        }
        Ok(CertificateRequest {
            subject: subject.raw,
            organization: x509::attribute(subject.value, oid::ORGANIZATION)?,
            serial_number: x509::attribute(subject.value, oid::SERIAL_NUMBER)?,
            public_key,
        })
    }
}

/// Why a request or a certificate could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningError {
    /// There is no memory, or a part is too long.
    Object(Error),
    /// The signing key is unusable.
    Key(InvalidKey),
}

impl core::fmt::Display for SigningError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SigningError::Object(error) => error.fmt(f),
            SigningError::Key(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SigningError {}

impl From<Error> for SigningError {
    fn from(error: Error) -> Self {
        SigningError::Object(error)
    }
}

impl From<InvalidKey> for SigningError {
    fn from(error: InvalidKey) -> Self {
        SigningError::Key(error)
    }
}

/// Writes a request for a certificate for `key` with the name `subject`, signed with `key`.
pub fn request(subject: &Name<'_>, key: &SecretKey) -> Result<Vec<u8>, SigningError> {
    let public_key = key.public_key()?;
    let mut info = Writer::new();
    info.nested(Tag::SEQUENCE, |info| {
        info.unsigned(Tag::INTEGER, 0)?;
        subject.write(info)?;
        x509::write_public_key(info, &public_key)?;
        info.primitive(Tag(0xA0), &[])
    })?;
    let mut writer = Writer::new();
    x509::write_signed(&mut writer, info.as_bytes(), &key.sign(&[info.as_bytes()])?)?;
    Ok(writer.into_bytes())
}
