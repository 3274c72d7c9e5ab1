//! Issuing certificates for a test public key infrastructure: CI, EUM, eUICC, SM-DP+ and SM-DS, on both curves, with
//! the extensions of SGP.22 v2.5 section 4.5.2.1 (variant O of SGP.26).
//!
//! Everything is passed in and nothing is random, so that the same inputs give the same certificates.

use crate::certificate::{Certificate, KeyUsage};
use crate::crypto::{PublicKey, SecretKey, sha256};
use crate::csr::SigningError;
use crate::object::Value;
use crate::oid::{self, Role};
use crate::x509::{self, Name};
use alloc::vec::Vec;
use teuicc_tlv::{Error, ErrorKind, Tag, Writer};

/// What a certificate shall say.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// What it is for.
    pub role: Role,
    /// Serial number, big endian, 1 to 20 bytes.
    pub serial: &'a [u8],
    /// The subject.
    pub subject: Name<'a>,
    /// First second of validity, `YYYYMMDDHHMMSSZ`.
    pub not_before: &'a str,
    /// Last second of validity, `YYYYMMDDHHMMSSZ`.
    pub not_after: &'a str,
    /// registeredID of the subject, content octets: the SM-DP+ OID.
    pub registered_id: Option<&'a [u8]>,
    /// Host name of a TLS server.
    pub dns_name: Option<&'a str>,
    /// What the EIDs of an EUM's eUICCs begin with, decimal digits.
    pub iin: Option<&'a str>,
}

/// Who issues a certificate.
#[derive(Clone, Copy, Debug)]
pub enum Issuer<'a> {
    /// The subject itself: a CI.
    SelfSigned,
    /// The owner of this certificate.
    Certificate(&'a Certificate<'a>),
}

/// Issues a certificate for `subject_key`, signed with `issuer_key`, which must be the issuer's.
pub fn issue(
    template: &Template<'_>,
    subject_key: &PublicKey,
    issuer: Issuer<'_>,
    issuer_key: &SecretKey,
) -> Result<Vec<u8>, SigningError> {
    let mut tbs = Writer::new();
    tbs.nested(Tag::SEQUENCE, |tbs| {
        tbs.nested(Tag(0xA0), |version| version.unsigned(Tag::INTEGER, 2))?;
        x509::write_integer(tbs, template.serial)?;
        x509::write_ecdsa_with_sha256(tbs)?;
        match issuer {
            Issuer::SelfSigned => template.subject.write(tbs)?,
            Issuer::Certificate(issuer) => tbs.raw(issuer.subject)?,
        }
        tbs.nested(Tag::SEQUENCE, |validity| {
            write_time(validity, template.not_before)?;
            write_time(validity, template.not_after)
        })?;
        template.subject.write(tbs)?;
        x509::write_public_key(tbs, subject_key)?;
        tbs.nested(Tag(0xA3), |tbs| {
            tbs.nested(Tag::SEQUENCE, |extensions| write_extensions(extensions, template, subject_key, issuer))
        })
    })?;
    let signature = issuer_key.sign(&[tbs.as_bytes()])?;
    let mut writer = Writer::new();
    x509::write_signed(&mut writer, tbs.as_bytes(), &signature)?;
    Ok(writer.into_bytes())
}

/// Length of a key identifier in bytes.
const KEY_IDENTIFIER: usize = 20;

/// The identifier of a key: the first 20 bytes of SHA-256 of the point (RFC 7093 section 2, method 1).
#[must_use]
pub fn key_identifier(key: &PublicKey) -> [u8; KEY_IDENTIFIER] {
    let mut identifier = [0u8; KEY_IDENTIFIER];
    identifier.iter_mut().zip(sha256(&[key.point()])).for_each(|(to, from)| *to = from);
    identifier
}

/// Writes UTCTime up to the year 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5).
fn write_time(writer: &mut Writer, time: &str) -> Result<(), Error> {
    let bad = Error { kind: ErrorKind::Value { tag: Tag::SEQUENCE }, offset: 0 };
    let (digits, zone) = time.split_at_checked(14).ok_or(bad)?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) || zone != "Z" {
        return Err(bad);
    }
    let (century, rest) = time.split_at_checked(2).ok_or(bad)?;
    if century == "20" && rest < "50" {
        writer.primitive(Tag(0x17), rest.as_bytes())
    } else {
        writer.primitive(Tag(0x18), time.as_bytes())
    }
}

fn write_extensions(
    writer: &mut Writer,
    template: &Template<'_>,
    subject_key: &PublicKey,
    issuer: Issuer<'_>,
) -> Result<(), Error> {
    let own = key_identifier(subject_key);
    let authority = match issuer {
        Issuer::SelfSigned => own.as_slice(),
        Issuer::Certificate(issuer) => issuer.subject_key_identifier.unwrap_or_default(),
    };
    extension(writer, oid::AUTHORITY_KEY_IDENTIFIER, false, |value| {
        value.nested(Tag::SEQUENCE, |value| value.primitive(Tag(0x80), authority))
    })?;
    extension(writer, oid::SUBJECT_KEY_IDENTIFIER, false, |value| value.primitive(Tag::OCTET_STRING, &own))?;
    extension(writer, oid::KEY_USAGE, true, |value| key_usage(template.role).put(Tag::BIT_STRING, value))?;
    let tls = matches!(template.role, Role::DpTls | Role::DsTls);
    // TLS libraries refuse a critical extension they do not know, and many do not know this one.
    extension(writer, oid::CERTIFICATE_POLICIES, !tls && template.role != Role::Ci, |value| {
        value.nested(Tag::SEQUENCE, |value| {
            value.nested(Tag::SEQUENCE, |value| value.primitive(Tag::OID, template.role.v2()))
        })
    })?;
    write_names(writer, template)?;
    if tls {
        extension(writer, oid::EXTENDED_KEY_USAGE, true, |value| {
            value.nested(Tag::SEQUENCE, |value| {
                value.primitive(Tag::OID, oid::SERVER_AUTH)?;
                value.primitive(Tag::OID, oid::CLIENT_AUTH)
            })
        })?;
    }
    write_constraints(writer, template)
}

/// subjectAltName, if there is anything to say.
fn write_names(writer: &mut Writer, template: &Template<'_>) -> Result<(), Error> {
    if template.dns_name.is_none() && template.registered_id.is_none() {
        return Ok(());
    }
    extension(writer, oid::SUBJECT_ALT_NAME, false, |value| {
        value.nested(Tag::SEQUENCE, |value| {
            if let Some(name) = template.dns_name {
                value.primitive(Tag(0x82), name.as_bytes())?;
            }
            if let Some(identifier) = template.registered_id {
                value.primitive(Tag(0x88), identifier)?;
            }
            Ok(())
        })
    })
}

/// basicConstraints of an issuer, and nameConstraints of an EUM.
fn write_constraints(writer: &mut Writer, template: &Template<'_>) -> Result<(), Error> {
    if matches!(template.role, Role::Ci | Role::Eum) {
        extension(writer, oid::BASIC_CONSTRAINTS, true, |value| {
            value.nested(Tag::SEQUENCE, |value| {
                value.boolean(Tag::BOOLEAN, true)?;
                if template.role == Role::Eum { value.unsigned(Tag::INTEGER, 0) } else { Ok(()) }
            })
        })?;
    }
    let Some(iin) = template.iin else { return Ok(()) };
    let permitted = Name { organization: template.subject.organization, serial_number: Some(iin), ..Name::default() };
    extension(writer, oid::NAME_CONSTRAINTS, true, |value| {
        value.nested(Tag::SEQUENCE, |value| {
            value.nested(Tag(0xA0), |value| {
                value.nested(Tag::SEQUENCE, |value| value.nested(Tag(0xA4), |value| permitted.write(value)))
            })
        })
    })
}

fn extension(
    writer: &mut Writer,
    identifier: &[u8],
    critical: bool,
    value: impl FnOnce(&mut Writer) -> Result<(), Error>,
) -> Result<(), Error> {
    writer.nested(Tag::SEQUENCE, |writer| {
        writer.primitive(Tag::OID, identifier)?;
        if critical {
            writer.boolean(Tag::BOOLEAN, true)?;
        }
        writer.nested(Tag::OCTET_STRING, value)
    })
}

fn key_usage(role: Role) -> KeyUsage {
    match role {
        Role::Ci => KeyUsage::KEY_CERT_SIGN.union(KeyUsage::CRL_SIGN),
        Role::Eum => KeyUsage::KEY_CERT_SIGN,
        _ => KeyUsage::DIGITAL_SIGNATURE,
    }
}
