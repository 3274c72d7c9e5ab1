//! A test public key infrastructure in a folder: CI, EUM and the SM-DP+ certificates, on both curves (SGP.22 v2.5
//! section 4.5, the profile of SGP.26).
//!
//! `ci-nist.der` is a certificate and `ci-nist.key.der` its private key in PKCS#8, readable by the owner alone; `nist`
//! stands for P-256 and `brp` for brainpoolP256r1. The files are `ci`, `eum`, `dpauth` and `dppb` on both curves and
//! `dptls` on P-256; `ci-*.pem` and `dptls-nist.pem` are for programs that want PEM.

use crate::clock;
use crate::error::Error;
use crate::files;
use crate::random;
use base64::Engine;
use std::path::{Path, PathBuf};
use teuicc_rsp::Eid;
use teuicc_rsp::certificate::{Certificate, check_ci_certificate};
use teuicc_rsp::crypto::{Curve, PublicKey, SecretKey};
use teuicc_rsp::csr::CertificateRequest;
use teuicc_rsp::issue::{Issuer, Template, issue};
use teuicc_rsp::oid::{self, Role};
use teuicc_rsp::pkcs8;
use teuicc_rsp::x509::Name;
use zeroize::Zeroizing;

/// What the EIDs of the test EUM begin with: the issuer identification number of SGP.26.
pub const TEST_IIN: &str = "89049032";
/// A certificate that does not expire (RFC 5280 section 4.1.2.5): eUICCs have no other.
const NEVER: &str = "99991231235959Z";
const CURVES: [Curve; 2] = [Curve::P256, Curve::BrainpoolP256r1];
/// The host of a server that was given no other.
pub(crate) const LOCALHOST: &str = "localhost";
const COUNTRY: &str = "ZZ";
const ORGANIZATION: &str = "teuicc test";
const EUM_ORGANIZATION: &str = "teuicc test EUM";

/// A certificate and its private key.
pub struct Credential {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: SecretKey,
}

impl Credential {
    /// The certificate, read. Errors: [`Error::Making`]; none after [`Credential::load`].
    pub(crate) fn parsed(&self) -> Result<Certificate<'_>, Error> {
        Certificate::parse(&self.certificate).map_err(|error| Error::making("a certificate", error))
    }

    /// Reads both files. Errors: missing, malformed, another role, or the two do not belong together; the file is
    /// named.
    pub(crate) fn load(certificate: &Path, key: &Path, role: Role) -> Result<Self, Error> {
        let bytes = files::read(certificate)?;
        let parsed = Certificate::parse(&bytes).map_err(|error| Error::file(certificate, error))?;
        parsed.check_role(role).map_err(|_| Error::file(certificate, format!("no certificate for the role {role}")))?;
        let public = parsed.public_key;
        let pkcs8 = Zeroizing::new(files::read(key)?);
        let secret = pkcs8::parse(&pkcs8).map_err(|error| Error::file(key, format!("no PKCS#8 key: {error}")))?;
        if secret.public_key().ok() != Some(public) {
            return Err(Error::file(key, format!("not the key of {}", certificate.display())));
        }
        Ok(Credential { certificate: bytes, key: secret })
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(..)")
    }
}

/// CI and EUM on one curve.
#[derive(Debug)]
struct Authority {
    ci: Credential,
    eum: Credential,
}

/// The test PKI of a folder: what issues certificates.
#[derive(Debug)]
pub struct TestPki {
    folder: PathBuf,
    authorities: Vec<Authority>,
}

impl TestPki {
    /// Makes a new PKI in `folder`, which must not exist or be empty. It appears whole or not at all. The TLS
    /// certificate is for `localhost`; a server with another name makes its own, see [`crate::Identity`].
    pub fn generate(folder: &Path) -> Result<Self, Error> {
        if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::file(folder, "the folder is not empty"));
        }
        let name = folder.file_name().ok_or_else(|| Error::file(folder, "not a folder that can be made"))?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let draft = parent.join(format!(".{}.{}", name.to_string_lossy(), hex::encode(random::bytes::<4>()?)));
        std::fs::create_dir(&draft).map_err(Error::io(&draft))?;
        let made = write_pki(&draft)
            .and_then(|()| std::fs::rename(&draft, folder).map_err(Error::io(folder)))
            .and_then(|()| Self::load(folder));
        if made.is_err() {
            // It may be gone already; what counts is the first error.
            let _ = std::fs::remove_dir_all(&draft);
        }
        made
    }

    /// Reads the CIs and EUMs of a folder made by [`TestPki::generate`]. Errors: name the file.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let mut authorities = Vec::new();
        for curve in CURVES {
            let ci = load(folder, "ci", curve, Role::Ci)?;
            let eum = load(folder, "eum", curve, Role::Eum)?;
            let (ci_certificate, eum_certificate) = (ci.parsed()?, eum.parsed()?);
            let named = |role| move |error| Error::file(certificate_path(folder, role, curve), error);
            check_ci_certificate(&ci_certificate).map_err(named("ci"))?;
            eum_certificate.check_signature(&ci_certificate.public_key).map_err(named("eum"))?;
            authorities.push(Authority { ci, eum });
        }
        Ok(TestPki { folder: folder.to_owned(), authorities })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The CI's certificate on a curve, DER.
    #[must_use]
    pub fn ci_certificate(&self, curve: Curve) -> Option<&[u8]> {
        Some(&self.authority(curve)?.ci.certificate)
    }

    /// The EUM's certificate on a curve, DER.
    #[must_use]
    pub fn eum_certificate(&self, curve: Curve) -> Option<&[u8]> {
        Some(&self.authority(curve)?.eum.certificate)
    }

    /// Where the CI's certificate on P-256 is in PEM: the trust anchor for TLS.
    #[must_use]
    pub fn ci_pem(&self) -> PathBuf {
        pem_path(&self.folder, "ci", Curve::P256)
    }

    /// A new EID of the test EUM: random, with check digits.
    pub fn assign_eid(&self) -> Result<Eid, Error> {
        let digits = format!("{TEST_IIN}{}", random::digits(30 - TEST_IIN.len())?);
        Eid::complete_check_digits(&digits).ok_or_else(|| Error::making("an EID", digits))
    }

    /// Signs a card's certificate request (PKCS#10, DER) as its EUM. Gives the eUICC's certificate, DER.
    ///
    /// Errors: the request is malformed, is not signed with its own key, or names another EID than `eid`; `eid` is not
    /// the EUM's.
    pub fn sign_euicc(&self, request: &[u8], eid: &Eid) -> Result<Vec<u8>, Error> {
        let request =
            CertificateRequest::parse(request).map_err(|error| Error::invalid("certificate request", error))?;
        let digits = eid.to_string();
        if request.serial_number.is_some_and(|named| named != digits.as_bytes()) {
            return Err(Error::invalid("certificate request", format!("it is not for the EID {digits}")));
        }
        if !digits.starts_with(TEST_IIN) {
            return Err(Error::invalid("eid", format!("the EIDs of this EUM begin with {TEST_IIN}")));
        }
        let curve = request.public_key.curve();
        let authority =
            self.authority(curve).ok_or_else(|| Error::invalid("certificate request", format!("no EUM on {curve}")))?;
        let eum = authority.eum.parsed()?;
        let organization = eum.organization().and_then(|name| std::str::from_utf8(name).ok());
        let template = Template {
            role: Role::Euicc,
            serial: &serial()?,
            subject: Name {
                country: Some(COUNTRY),
                organization,
                serial_number: Some(&digits),
                common_name: Some("teuicc"),
            },
            not_before: &clock::timestamp(clock::now()),
            not_after: NEVER,
            registered_id: None,
            dns_name: None,
            iin: None,
        };
        issue(&template, &request.public_key, Issuer::Certificate(&eum), &authority.eum.key)
            .map_err(|error| Error::making("an eUICC certificate", error))
    }

    fn authority(&self, curve: Curve) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.ci.key.curve() == curve)
    }
}

/// A TLS server certificate for `host`, issued by a CI on P-256, and its key.
pub(crate) fn issue_tls(ci: &Credential, host: &str) -> Result<Credential, Error> {
    let host = Some(host);
    let draft = Draft { role: Role::DpTls, common_name: "SM-DP+ TLS", registered_id: "2.999.10", host, iin: None };
    draft.issue(Curve::P256, Some(ci))
}

/// Reads the credential of `name` on `curve` from a folder made by [`TestPki::generate`].
pub(crate) fn load(folder: &Path, name: &str, curve: Curve, role: Role) -> Result<Credential, Error> {
    Credential::load(&certificate_path(folder, name, curve), &folder.join(file_name(name, curve, "key.der")), role)
}

/// Where a certificate is in a folder made by [`TestPki::generate`].
pub(crate) fn certificate_path(folder: &Path, name: &str, curve: Curve) -> PathBuf {
    folder.join(file_name(name, curve, "der"))
}

fn pem_path(folder: &Path, name: &str, curve: Curve) -> PathBuf {
    folder.join(file_name(name, curve, "pem"))
}

fn file_name(name: &str, curve: Curve, extension: &str) -> String {
    let curve = match curve {
        Curve::P256 => "nist",
        Curve::BrainpoolP256r1 => "brp",
    };
    format!("{name}-{curve}.{extension}")
}

/// A certificate to be made, with a new key.
struct Draft<'a> {
    role: Role,
    common_name: &'a str,
    registered_id: &'a str,
    host: Option<&'a str>,
    iin: Option<&'a str>,
}

impl Draft<'_> {
    /// Makes key and certificate; without `issuer` it signs itself.
    fn issue(&self, curve: Curve, issuer: Option<&Credential>) -> Result<Credential, Error> {
        let key = random::secret_key(curve)?;
        let public = public_key(&key)?;
        let organization = if self.role == Role::Eum { EUM_ORGANIZATION } else { ORGANIZATION };
        let (registered_id, length) =
            oid::from_dotted(self.registered_id).ok_or_else(|| Error::invalid("oid", self.registered_id))?;
        let now = clock::now();
        let template = Template {
            role: self.role,
            serial: &serial()?,
            subject: Name {
                country: Some(COUNTRY),
                organization: Some(organization),
                serial_number: None,
                common_name: Some(self.common_name),
            },
            not_before: &clock::timestamp(now),
            not_after: &clock::timestamp(now + clock::TEN_YEARS),
            registered_id: Some(&registered_id[..length]),
            dns_name: self.host,
            iin: self.iin,
        };
        let certificate = match issuer {
            None => issue(&template, &public, Issuer::SelfSigned, &key),
            Some(issuer) => issue(&template, &public, Issuer::Certificate(&issuer.parsed()?), &issuer.key),
        };
        let certificate = certificate.map_err(|error| Error::making(format!("{} certificate", self.role), error))?;
        Ok(Credential { certificate, key })
    }
}

/// Makes all certificates and writes them to `folder`.
fn write_pki(folder: &Path) -> Result<(), Error> {
    for curve in CURVES {
        // A name of its own: two test CIs of one name are hard to tell apart when a chain does not verify.
        let ci_name = format!("teuicc test CI {}", hex::encode(random::bytes::<4>()?));
        let draft = |role, common_name, registered_id, iin| Draft { role, common_name, registered_id, host: None, iin };
        let ci = draft(Role::Ci, &ci_name, "2.999.1", None).issue(curve, None)?;
        let eum = draft(Role::Eum, "teuicc test EUM", "2.999.5", Some(TEST_IIN)).issue(curve, Some(&ci))?;
        let auth = draft(Role::DpAuth, "teuicc test SM-DP+", "2.999.10", None).issue(curve, Some(&ci))?;
        let binding = draft(Role::DpPb, "teuicc test SM-DP+", "2.999.10", None).issue(curve, Some(&ci))?;
        for (name, credential) in [("ci", &ci), ("eum", &eum), ("dpauth", &auth), ("dppb", &binding)] {
            write(folder, name, credential)?;
        }
        write_pem(folder, "ci", &ci)?;
        if curve == Curve::P256 {
            let tls = issue_tls(&ci, LOCALHOST)?;
            write(folder, "dptls", &tls)?;
            write_pem(folder, "dptls", &tls)?;
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, credential: &Credential) -> Result<(), Error> {
    let curve = credential.key.curve();
    files::write_public(&certificate_path(folder, name, curve), &credential.certificate)?;
    files::write_private(&folder.join(file_name(name, curve, "key.der")), &expose_pkcs8(&credential.key)?)
}

fn write_pem(folder: &Path, name: &str, credential: &Credential) -> Result<(), Error> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(&credential.certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    files::write_public(&pem_path(folder, name, credential.key.curve()), pem.as_bytes())
}

/// A private key in PKCS#8.
pub(crate) fn expose_pkcs8(key: &SecretKey) -> Result<Zeroizing<Vec<u8>>, Error> {
    pkcs8::expose(key, &public_key(key)?).map_err(|error| Error::making("a key file", error))
}

fn public_key(key: &SecretKey) -> Result<PublicKey, Error> {
    key.public_key().map_err(|error| Error::making("a public key", error))
}

/// A random positive serial number.
fn serial() -> Result<[u8; 9], Error> {
    let mut serial = random::bytes::<9>()?;
    serial[0] = serial[0] & 0x3F | 0x40;
    Ok(serial)
}
