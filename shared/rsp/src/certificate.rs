//! Certificates of the RSP public key infrastructure (SGP.22 v2.5 section 4.5) and the checks of their chains.
//!
//! These are X.509 v3 certificates, but their chains do not pass RFC 5280 path validation (the EUM's name constraints
//! do not fit the eUICC's name the way that RFC wants it), so the checks here are those of SGP.22.

use crate::codes::{AuthenticateErrorCode, DownloadErrorCode};
use crate::crypto::{PublicKey, SIGNATURE, verify};
use crate::eid::Eid;
use crate::object::bits;
use crate::oid::{self, Role};
use crate::x509::{self, KeyError};
use core::fmt;
use teuicc_tlv::{Error, Reader, Tag, Tlv};

/// UTCTime.
const UTC_TIME: Tag = Tag(0x17);
/// GeneralizedTime.
const GENERALIZED_TIME: Tag = Tag(0x18);

/// Why a certificate, or a chain, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// It is badly encoded, or not of the RSP profile.
    Malformed(Error),
    /// Its key, or its issuer's key, is on a curve that is not supported, or the two are on different ones.
    UnsupportedCurve,
    /// Its signature is not its issuer's.
    Signature,
    /// It is for another role.
    Role,
    /// Its key may not be used so (keyUsage, basicConstraints).
    KeyUsage,
    /// It names another issuer key than the one given.
    Issuer,
    /// Its subject is not within what its issuer may name.
    NameConstraints,
}

impl CertificateError {
    /// The code for ES10b.AuthenticateServer.
    #[must_use]
    pub fn authenticate_error(self) -> AuthenticateErrorCode {
        match self {
            CertificateError::UnsupportedCurve => AuthenticateErrorCode::UnsupportedCurve,
            CertificateError::Role => AuthenticateErrorCode::InvalidOid,
            _ => AuthenticateErrorCode::InvalidCertificate,
        }
    }

    /// The code for ES10b.PrepareDownload.
    #[must_use]
    pub fn download_error(self) -> DownloadErrorCode {
        match self {
            CertificateError::UnsupportedCurve => DownloadErrorCode::UnsupportedCurve,
            _ => DownloadErrorCode::InvalidCertificate,
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateError::Malformed(error) => write!(f, "malformed certificate: {error}"),
            CertificateError::UnsupportedCurve => f.write_str("curve not supported"),
            CertificateError::Signature => f.write_str("signature of the certificate is wrong"),
            CertificateError::Role => f.write_str("certificate is for another role"),
            CertificateError::KeyUsage => f.write_str("key of the certificate may not be used so"),
            CertificateError::Issuer => f.write_str("certificate is of another issuer"),
            CertificateError::NameConstraints => f.write_str("subject is not within the issuer's names"),
        }
    }
}

impl core::error::Error for CertificateError {}

impl From<Error> for CertificateError {
    fn from(error: Error) -> Self {
        CertificateError::Malformed(error)
    }
}

impl From<KeyError> for CertificateError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Malformed(error) => CertificateError::Malformed(error),
            KeyError::UnsupportedCurve => CertificateError::UnsupportedCurve,
        }
    }
}

bits! {
    /// KeyUsage (RFC 5280 section 4.2.1.3).
    pub struct KeyUsage {
        /// digitalSignature.
        DIGITAL_SIGNATURE = 0,
        /// keyCertSign.
        KEY_CERT_SIGN = 5,
        /// cRLSign.
        CRL_SIGN = 6,
    }
}

/// BasicConstraints (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasicConstraints {
    /// Whether the subject issues certificates.
    pub ca: bool,
    /// How many certificates of issuers may follow.
    pub path_length: Option<u32>,
}

/// A certificate, borrowed from its encoding.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// The whole certificate.
    pub raw: &'a [u8],
    /// TBSCertificate, which is what its issuer signed, whole.
    pub tbs: &'a [u8],
    /// Serial number, content octets.
    pub serial: &'a [u8],
    /// The issuer's name, whole.
    pub issuer: &'a [u8],
    /// The subject's name, whole.
    pub subject: &'a [u8],
    /// First second of validity, `YYYYMMDDHHMMSSZ`.
    pub not_before: Time,
    /// Last second of validity.
    pub not_after: Time,
    /// The subject's key.
    pub public_key: PublicKey,
    /// The issuer's signature, r then s.
    pub signature: [u8; SIGNATURE],
    /// subjectKeyIdentifier.
    pub subject_key_identifier: Option<&'a [u8]>,
    /// keyIdentifier of authorityKeyIdentifier.
    pub authority_key_identifier: Option<&'a [u8]>,
    /// keyUsage.
    pub key_usage: Option<KeyUsage>,
    /// basicConstraints.
    pub basic_constraints: BasicConstraints,
    /// registeredID of subjectAltName, content octets.
    pub registered_id: Option<&'a [u8]>,
    /// First dNSName of subjectAltName.
    pub dns_name: Option<&'a str>,
    /// Content of certificatePolicies.
    policies: &'a [u8],
    /// Content of nameConstraints.
    name_constraints: Option<&'a [u8]>,
    /// Content of permittedEins.
    permitted_eins: Option<&'a [u8]>,
}

/// A time of a certificate as text, `YYYYMMDDHHMMSSZ`: two of them compare as times.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub [u8; 15]);

impl Time {
    /// Reads UTCTime or GeneralizedTime (RFC 5280 section 4.1.2.5).
    fn read(tlv: &Tlv<'_>) -> Result<Self, Error> {
        let mut time = [0u8; 15];
        let (century, rest) = time.split_at_mut(2);
        match (tlv.tag, tlv.value.split_first_chunk::<2>()) {
            (UTC_TIME, Some((year, _))) if tlv.value.len() == rest.len() => {
                century.copy_from_slice(if year < b"50" { b"20" } else { b"19" });
                rest.copy_from_slice(tlv.value);
            }
            (GENERALIZED_TIME, _) if tlv.value.len() == time.len() => time.copy_from_slice(tlv.value),
            _ => return Err(tlv.bad_value()),
        }
        let digits = time.iter().take(14).all(u8::is_ascii_digit);
        if digits && time.last() == Some(&b'Z') { Ok(Time(time)) } else { Err(tlv.bad_value()) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'a> Certificate<'a> {
    /// Reads exactly one certificate. Errors: [`CertificateError::Malformed`], [`CertificateError::UnsupportedCurve`].
    pub fn parse(raw: &'a [u8]) -> Result<Self, CertificateError> {
        let mut members = Tlv::parse(raw, Tag::SEQUENCE)?.members();
        let tbs = members.expect(Tag::SEQUENCE)?;
        x509::expect_ecdsa_with_sha256(&mut members)?;
        let signature = members.expect(Tag::BIT_STRING)?;
        members.finish()?;

        let mut fields = tbs.members();
        let version = fields.expect(Tag(0xA0))?;
        if version.value != [0x02, 0x01, 0x02] {
            return Err(version.bad_value().into());
        }
        let serial = fields.expect(Tag::INTEGER)?.value;
        x509::expect_ecdsa_with_sha256(&mut fields)?;
        let issuer = fields.expect(Tag::SEQUENCE)?.raw;
        let mut validity = fields.expect(Tag::SEQUENCE)?.members();
        let (not_before, not_after) = (validity.read()?, validity.read()?);
        let subject = fields.expect(Tag::SEQUENCE)?.raw;
        let public_key = fields.expect(Tag::SEQUENCE)?;
        let extensions = fields.expect(Tag(0xA3))?;
        fields.finish()?;

        let mut certificate = Certificate {
            raw,
            tbs: tbs.raw,
            serial,
            issuer,
            subject,
            not_before: Time::read(&not_before)?,
            not_after: Time::read(&not_after)?,
            public_key: x509::read_public_key(&public_key)?,
            signature: x509::read_signature(&signature)?,
            subject_key_identifier: None,
            authority_key_identifier: None,
            key_usage: None,
            basic_constraints: BasicConstraints::default(),
            registered_id: None,
            dns_name: None,
            policies: &[],
            name_constraints: None,
            permitted_eins: None,
        };
        for extension in Tlv::parse(extensions.value, Tag::SEQUENCE)?.members() {
            certificate.extension(&extension?)?;
        }
        Ok(certificate)
    }

    /// Takes in what an extension says, if it is one of the RSP profile.
    fn extension(&mut self, extension: &Tlv<'a>) -> Result<(), Error> {
        let mut members = extension.members();
        let identifier = members.expect(Tag::OID)?.value;
        members.optional(Tag::BOOLEAN)?;
        let value = members.expect(Tag::OCTET_STRING)?.value;
        members.finish()?;
        let content = || Tlv::parse(value, Tag::SEQUENCE);
        match identifier {
            oid::SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_identifier = Some(Tlv::parse(value, Tag::OCTET_STRING)?.value);
            }
            oid::AUTHORITY_KEY_IDENTIFIER => {
                self.authority_key_identifier = content()?.members().optional(Tag(0x80))?.map(|id| id.value);
            }
            oid::KEY_USAGE => self.key_usage = Some(KeyUsage(Tlv::parse(value, Tag::BIT_STRING)?.bits()?)),
            oid::BASIC_CONSTRAINTS => {
                let mut members = content()?.members();
                self.basic_constraints = BasicConstraints {
                    ca: members.optional(Tag::BOOLEAN)?.is_some_and(|ca| ca.value != [0]),
                    path_length: members.optional(Tag::INTEGER)?.map(|length| length.unsigned()).transpose()?,
                };
            }
            oid::CERTIFICATE_POLICIES => self.policies = content()?.value,
            oid::SUBJECT_ALT_NAME => {
                for name in content()?.members() {
                    let name = name?;
                    match name.tag {
                        Tag(0x88) => self.registered_id = self.registered_id.or(Some(name.value)),
                        Tag(0x82) => self.dns_name = self.dns_name.or(Some(x509::text(name.value, name.tag)?)),
                        _ => (),
                    }
                }
            }
            oid::NAME_CONSTRAINTS => self.name_constraints = Some(content()?.value),
            oid::PERMITTED_EINS => self.permitted_eins = Some(content()?.value),
            _ => (),
        }
        Ok(())
    }

    /// organizationName of the subject.
    #[must_use]
    pub fn organization(&self) -> Option<&'a [u8]> {
        self.subject_attribute(oid::ORGANIZATION)
    }

    /// serialNumber of the subject: the EID in an eUICC's certificate.
    #[must_use]
    pub fn serial_number(&self) -> Option<&'a [u8]> {
        self.subject_attribute(oid::SERIAL_NUMBER)
    }

    /// commonName of the subject.
    #[must_use]
    pub fn common_name(&self) -> Option<&'a [u8]> {
        self.subject_attribute(oid::COMMON_NAME)
    }

    fn subject_attribute(&self, attribute: &[u8]) -> Option<&'a [u8]> {
        let name = Tlv::parse(self.subject, Tag::SEQUENCE).ok()?;
        x509::attribute(name.value, attribute).ok()?
    }

    /// The identifiers of certificatePolicies, content octets.
    pub fn policies(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Reader::new(self.policies).filter_map(|policy| Some(policy.ok()?.members().expect(Tag::OID).ok()?.value))
    }

    /// Whether certificatePolicies names `role`, in v2 or v3.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.policies().any(|policy| policy == role.v2() || policy == role.v3())
    }

    /// Whether `now` is within the validity. The eUICC has no trusted clock; a server or an LPA has.
    #[must_use]
    pub fn is_valid_at(&self, now: Time) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Checks the signature with the issuer's key. Errors: [`CertificateError::UnsupportedCurve`] if the keys are on
    /// different curves, [`CertificateError::Signature`].
    pub fn check_signature(&self, issuer: &PublicKey) -> Result<(), CertificateError> {
        if self.public_key.curve() != issuer.curve() {
            return Err(CertificateError::UnsupportedCurve);
        }
        let valid = verify(issuer, &[self.tbs], &self.signature);
        if valid { Ok(()) } else { Err(CertificateError::Signature) }
    }

    /// Checks the role. Errors: [`CertificateError::Role`].
    pub fn check_role(&self, role: Role) -> Result<(), CertificateError> {
        if self.has_role(role) { Ok(()) } else { Err(CertificateError::Role) }
    }

    /// Checks that the key may make signatures, and is no issuer's. Errors: [`CertificateError::KeyUsage`].
    fn check_end_entity(&self) -> Result<(), CertificateError> {
        let signs = self.key_usage.is_some_and(|usage| usage.contains(KeyUsage::DIGITAL_SIGNATURE));
        if signs && !self.basic_constraints.ca { Ok(()) } else { Err(CertificateError::KeyUsage) }
    }

    /// Checks that the key may sign certificates. Errors: [`CertificateError::KeyUsage`].
    fn check_issuer(&self) -> Result<(), CertificateError> {
        let signs = self.key_usage.is_some_and(|usage| usage.contains(KeyUsage::KEY_CERT_SIGN));
        if signs && self.basic_constraints.ca { Ok(()) } else { Err(CertificateError::KeyUsage) }
    }

    /// Checks that the certificate names `issuer`'s key and name. Errors: [`CertificateError::Issuer`].
    fn check_issued_by(&self, issuer: &Certificate<'_>) -> Result<(), CertificateError> {
        let same_key = match (self.authority_key_identifier, issuer.subject_key_identifier) {
            (Some(authority), Some(subject)) => authority == subject,
            _ => false,
        };
        if same_key && self.issuer == issuer.subject { Ok(()) } else { Err(CertificateError::Issuer) }
    }

    /// Whether an EUM with this certificate may make an eUICC with `organization` and `eid`: nameConstraints in v2,
    /// permittedEins in v3. Errors: these are badly encoded.
    fn permits(&self, organization: &[u8], eid: &[u8]) -> Result<bool, Error> {
        if let Some(eins) = self.permitted_eins {
            for ein in Reader::new(eins) {
                if is_prefix(ein?.value, eid) {
                    return Ok(true);
                }
            }
        }
        let Some(constraints) = self.name_constraints else {
            return Ok(false);
        };
        let Some(permitted) = Reader::new(constraints).optional(Tag(0xA0))? else {
            return Ok(false);
        };
        for subtree in permitted.members() {
            let Some(name) = subtree?.members().optional(Tag(0xA4))? else { continue };
            let name = Tlv::parse(name.value, Tag::SEQUENCE)?.value;
            let same_organization = x509::attribute(name, oid::ORGANIZATION)?.is_none_or(|own| own == organization);
            let iin = x509::attribute(name, oid::SERIAL_NUMBER)?;
            if same_organization && iin.is_some_and(|iin| is_prefix(iin, eid)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether `prefix` is not empty and begins `digits`.
fn is_prefix(prefix: &[u8], digits: &[u8]) -> bool {
    !prefix.is_empty() && digits.starts_with(prefix)
}

/// The checks an eUICC makes of a server's certificate that a CI issued (sections 5.7.13 and 5.7.5): curve, signature,
/// role, key usage. The CI's key is found by [`Certificate::authority_key_identifier`]. Time is not checked.
pub fn check_server_certificate(
    certificate: &Certificate<'_>,
    role: Role,
    ci: &PublicKey,
) -> Result<(), CertificateError> {
    certificate.check_signature(ci)?;
    certificate.check_role(role)?;
    certificate.check_end_entity()
}

/// Checks the certificate of a CI that is to be trusted: signed by itself, role, key usage.
pub fn check_ci_certificate(ci: &Certificate<'_>) -> Result<(), CertificateError> {
    ci.check_signature(&ci.public_key)?;
    ci.check_role(Role::Ci)?;
    ci.check_issuer()
}

/// A chain of an eUICC is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainError {
    /// Which certificate: [`Role::Eum`] or [`Role::Euicc`].
    pub role: Role,
    /// Why.
    pub error: CertificateError,
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificate: {}", self.role, self.error)
    }
}

impl core::error::Error for ChainError {}

/// The checks a server makes of an eUICC's chain (section 4.5.2.2; SGP.26 variants O and v3): signatures, roles, key
/// usage, and that the EUM may make an eUICC with this EID. Gives the EID. Time is not checked.
pub fn check_euicc_chain(ci: &PublicKey, eum: &Certificate<'_>, euicc: &Certificate<'_>) -> Result<Eid, ChainError> {
    let of_eum = |error| ChainError { role: Role::Eum, error };
    let of_euicc = |error| ChainError { role: Role::Euicc, error };
    eum.check_signature(ci).map_err(of_eum)?;
    eum.check_role(Role::Eum).map_err(of_eum)?;
    eum.check_issuer().map_err(of_eum)?;
    euicc.check_issued_by(eum).map_err(of_euicc)?;
    euicc.check_signature(&eum.public_key).map_err(of_euicc)?;
    euicc.check_role(Role::Euicc).map_err(of_euicc)?;
    euicc.check_end_entity().map_err(of_euicc)?;
    check_euicc_name(eum, euicc).map_err(of_euicc)
}

/// Checks that the EUM may give the eUICC its name, which holds the EID.
fn check_euicc_name(eum: &Certificate<'_>, euicc: &Certificate<'_>) -> Result<Eid, CertificateError> {
    let refused = CertificateError::NameConstraints;
    let (organization, digits) = (euicc.organization().ok_or(refused)?, euicc.serial_number().ok_or(refused)?);
    let eid = core::str::from_utf8(digits).ok().and_then(Eid::from_digits).ok_or(refused)?;
    if eum.organization() == Some(organization) && eum.permits(organization, digits)? { Ok(eid) } else { Err(refused) }
}
