//! The certificates and keys an SM-DP+ runs on.

use crate::error::Error;
use crate::pki::{self, Credential};
use std::path::Path;
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
    pub(crate) tls: Credential,
}

impl Identity {
    /// Reads an identity from a folder made by [`crate::pki::TestPki::generate`], or from one with the layout of the
    /// SGP.26 files (`CertificateIssuer/`, `DPauth/`, `DPpb/`). SGP.26's own TLS certificates are for another host, so
    /// with that layout one for `host` is made with the CI's key.
    ///
    /// Errors: name the file that is missing or wrong.
    pub fn load(folder: &Path, host: &str) -> Result<Self, Error> {
        if folder.join("CertificateIssuer").is_dir() { Self::load_sgp26(folder, host) } else { Self::load_own(folder) }
    }

    fn load_own(folder: &Path) -> Result<Self, Error> {
        let signer = |curve| {
            let path = pki::certificate_path(folder, "ci", curve);
            let auth = pki::load(folder, "dpauth", curve, Role::DpAuth)?;
            let binding = pki::load(folder, "dppb", curve, Role::DpPb)?;
            Signer::new(&path, auth, binding)
        };
        Ok(Identity {
            signers: vec![signer(Curve::P256)?, signer(Curve::BrainpoolP256r1)?],
            tls: pki::load(folder, "dptls", Curve::P256, Role::DpTls)?,
        })
    }

    fn load_sgp26(folder: &Path, host: &str) -> Result<Self, Error> {
        let credential = |place: &str, name: &str, role| {
            let folder = folder.join(place);
            Credential::load(
                &folder.join(format!("CERT_{name}.der")),
                &folder.join(format!("SK_{name}.pkcs8.der")),
                role,
            )
        };
        let signer = |curve: &str| {
            let path = folder.join(format!("CertificateIssuer/CERT_CI_ECDSA_{curve}.der"));
            let auth = credential("DPauth", &format!("S_SM_DPauth_ECDSA_{curve}"), Role::DpAuth)?;
            let binding = credential("DPpb", &format!("S_SM_DPpb_ECDSA_{curve}"), Role::DpPb)?;
            Signer::new(&path, auth, binding)
        };
        let ci = credential("CertificateIssuer", "CI_ECDSA_NIST", Role::Ci)?;
        Ok(Identity { signers: vec![signer("NIST")?, signer("BRP")?], tls: pki::issue_tls(&ci, &[host])? })
    }

    /// The signer whose CI has this key identifier.
    pub(crate) fn signer(&self, ci_key_id: &[u8]) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.ci_key_id == ci_key_id)
    }

    /// The TLS certificate, DER, and its key in PKCS#8.
    pub(crate) fn tls(&self) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Error> {
        Ok((self.tls.certificate.clone(), pki::expose_pkcs8(&self.tls.key)?))
    }

    /// The host that the TLS certificate is for.
    pub(crate) fn tls_host(&self) -> Result<Option<&str>, Error> {
        Ok(self.tls.parsed()?.dns_name)
    }
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
