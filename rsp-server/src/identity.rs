//! The certificates and keys an SM-DP+ runs on.

use crate::error::Error;
use crate::pki::{self, Credential};
use std::path::{Path, PathBuf};
use teuicc_rsp::certificate::{Certificate, check_ci_certificate, check_server_certificate};
use teuicc_rsp::crypto::{Curve, PublicKey};
use teuicc_rsp::oid::Role;
use zeroize::Zeroizing;

/// The SM-DP+ under one CI.
#[derive(Debug)]
pub(crate) struct Signer {
    /// subjectKeyIdentifier of the CI.
    pub(crate) ci_key_id: Vec<u8>,
    pub(crate) ci_key: PublicKey,
    pub(crate) auth: Credential,
    pub(crate) binding: Credential,
    /// The SM-DP+ OID, content octets.
    pub(crate) oid: Vec<u8>,
}

/// Everything an SM-DP+ is known by.
#[derive(Debug)]
pub struct Identity {
    pub(crate) signers: Vec<Signer>,
    layout: Layout,
}

/// Where in a folder things are.
#[derive(Debug)]
enum Layout {
    /// As [`pki::TestPki::generate`] writes them.
    Own(PathBuf),
    /// As the SGP.26 files are published.
    Sgp26(PathBuf),
}

impl Identity {
    /// Reads an identity from a folder made by [`crate::pki::TestPki::generate`], or from one with the layout of the
    /// SGP.26 files (`CertificateIssuer/`, `DPauth/`, `DPpb/`).
    ///
    /// Errors: name the file that is missing or wrong.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let sgp26 = folder.join("CertificateIssuer").is_dir();
        let layout = if sgp26 { Layout::Sgp26(folder.into()) } else { Layout::Own(folder.into()) };
        let signers = vec![layout.signer(Curve::P256)?, layout.signer(Curve::BrainpoolP256r1)?];
        Ok(Identity { signers, layout })
    }

    /// The signer whose CI has this key identifier.
    pub(crate) fn signer(&self, ci_key_id: &[u8]) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.ci_key_id == ci_key_id)
    }

    /// A TLS certificate for `host`, DER, and its key in PKCS#8: the folder's, or a new one of the folder's CI.
    pub(crate) fn tls(&self, host: &str) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Error> {
        let kept = match &self.layout {
            Layout::Own(folder) => Some(pki::load(folder, "dptls", Curve::P256, Role::DpTls)?),
            // SGP.26's are for a host that is not ours.
            Layout::Sgp26(_) => None,
        };
        let fits = |tls: &Credential| tls.parsed().is_ok_and(|certificate| certificate.dns_name == Some(host));
        let tls = match kept.filter(fits) {
            Some(tls) => tls,
            None => pki::issue_tls(&self.layout.ci()?, host)?,
        };
        let key = pki::expose_pkcs8(&tls.key)?;
        Ok((tls.certificate, key))
    }
}

impl Layout {
    fn signer(&self, curve: Curve) -> Result<Signer, Error> {
        match self {
            Layout::Own(folder) => {
                let auth = pki::load(folder, "dpauth", curve, Role::DpAuth)?;
                let binding = pki::load(folder, "dppb", curve, Role::DpPb)?;
                Signer::new(&pki::certificate_path(folder, "ci", curve), auth, binding)
            }
            Layout::Sgp26(folder) => {
                let curve = match curve {
                    Curve::P256 => "NIST",
                    Curve::BrainpoolP256r1 => "BRP",
                };
                let auth = load_sgp26(folder, "DPauth", &format!("S_SM_DPauth_ECDSA_{curve}"), Role::DpAuth)?;
                let binding = load_sgp26(folder, "DPpb", &format!("S_SM_DPpb_ECDSA_{curve}"), Role::DpPb)?;
                Signer::new(&folder.join(format!("CertificateIssuer/CERT_CI_ECDSA_{curve}.der")), auth, binding)
            }
        }
    }

    /// The CI on P-256, with its key.
    fn ci(&self) -> Result<Credential, Error> {
        match self {
            Layout::Own(folder) => pki::load(folder, "ci", Curve::P256, Role::Ci),
            Layout::Sgp26(folder) => load_sgp26(folder, "CertificateIssuer", "CI_ECDSA_NIST", Role::Ci),
        }
    }
}

fn load_sgp26(folder: &Path, place: &str, name: &str, role: Role) -> Result<Credential, Error> {
    let folder = folder.join(place);
    Credential::load(&folder.join(format!("CERT_{name}.der")), &folder.join(format!("SK_{name}.pkcs8.der")), role)
}

impl Signer {
    /// Checks that everything is of the CI whose certificate is at `path`, and that the OIDs agree.
    fn new(path: &Path, auth: Credential, binding: Credential) -> Result<Self, Error> {
        let bytes = crate::files::read(path)?;
        let named = |error| Error::file(path, error);
        let ci = Certificate::parse(&bytes).map_err(named)?;
        check_ci_certificate(&ci).map_err(named)?;
        let ci_key_id = ci.subject_key_identifier.ok_or_else(|| Error::file(path, "it has no key identifier"))?;
        let (auth_certificate, binding_certificate) = (auth.parsed()?, binding.parsed()?);
        for (certificate, role) in [(&auth_certificate, Role::DpAuth), (&binding_certificate, Role::DpPb)] {
            check_server_certificate(certificate, role, &ci.public_key)
                .map_err(|error| Error::file(path, format!("as issuer of the {role} certificate: {error}")))?;
        }
        let oid =
            auth_certificate.registered_id.ok_or_else(|| Error::file(path, "the SM-DP+ certificate has no OID"))?;
        if binding_certificate.registered_id != Some(oid) {
            return Err(Error::file(path, "the SM-DP+ certificates have different OIDs"));
        }
        let (ci_key_id, ci_key, oid) = (ci_key_id.to_vec(), ci.public_key, oid.to_vec());
        Ok(Signer { ci_key_id, ci_key, auth, binding, oid })
    }
}
