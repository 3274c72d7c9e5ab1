//! The factory: how a card gets its identity.

use anyhow::{Context, bail};
use std::path::Path;
use teuicc_rsp::Eid;
use teuicc_rsp::certificate::Certificate;
#[cfg(feature = "server")]
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::crypto::SecretKey;
use teuicc_rsp::metadata::{OperatorId, PprIds, ProfilePolicyAuthorisationRule, RatFlags};
use teuicc_rsp::object::{List, concatenated};
use teuicc_slot::CardLink;
#[cfg(feature = "server")]
use teuicc_wire::FactoryRequest;
use teuicc_wire::{Chain, Personalization};
use zeroize::Zeroizing;

/// What a card is set to besides its identity.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Default SM-DP+ address, may be empty.
    pub default_dp_address: String,
    /// Root SM-DS address, may be empty.
    pub root_ds_address: String,
}

/// An identity that was made elsewhere: certificates in DER and the key.
pub struct ExternalChain {
    ci: Vec<u8>,
    eum: Vec<u8>,
    euicc: Vec<u8>,
    key: SecretKey,
    test_ci: bool,
}

impl ExternalChain {
    /// Reads CERT.CI, CERT.EUM, CERT.EUICC (DER) and SK.EUICC (PKCS#8, DER). Errors: name the file.
    pub fn read(ci: &Path, eum: &Path, euicc: &Path, key: &Path, test_ci: bool) -> anyhow::Result<Self> {
        let certificate = |path: &Path| -> anyhow::Result<Vec<u8>> {
            let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            Certificate::parse(&bytes).with_context(|| format!("{} is no certificate in DER", path.display()))?;
            Ok(bytes)
        };
        let encoded = Zeroizing::new(std::fs::read(key).with_context(|| format!("reading {}", key.display()))?);
        let key = teuicc_rsp::pkcs8::parse(&encoded)
            .with_context(|| format!("{} is no PKCS#8 key in DER on P-256 or brainpoolP256r1", key.display()))?;
        Ok(ExternalChain { ci: certificate(ci)?, eum: certificate(eum)?, euicc: certificate(euicc)?, key, test_ci })
    }
}

/// Makes a key in the card for each curve, has the test EUM sign the requests, and installs the certificates. The EID
/// of the card, `eid` or a new one.
///
/// Errors: the card is personalized already, or cannot be reached.
#[cfg(feature = "server")]
pub fn personalize(
    card: &mut dyn CardLink,
    pki: &teuicc_rsp_server::TestPki,
    eid: Option<Eid>,
    settings: &Settings,
) -> anyhow::Result<Eid> {
    let eid = match eid {
        Some(eid) => eid,
        None => pki.assign_eid()?,
    };
    let mut signed = Vec::new();
    for (number, curve) in [(0, Curve::P256), (1, Curve::BrainpoolP256r1)] {
        let (Some(ci), Some(eum)) = (pki.ci_certificate(curve), pki.eum_certificate(curve)) else { continue };
        let parsed = Certificate::parse(eum).context("the EUM's certificate")?;
        let organization = parsed.organization().and_then(|name| std::str::from_utf8(name).ok());
        let organization = organization.context("the EUM's certificate has no organization")?;
        let request = card
            .factory_request(&FactoryRequest { eid: *eid.as_bytes(), curve: number, organization })
            .context("asking the card for a certificate request")?;
        let euicc = pki.sign_euicc(&request, &eid).context("signing the card's certificate")?;
        signed.push((ci, eum, euicc));
    }
    let mut chains = signed.iter().map(|(ci, eum, euicc)| Chain { test_ci: true, ci, eum, euicc, key: None });
    install(card, [chains.next(), chains.next()], settings)?;
    Ok(eid)
}

/// Imports identities that were made elsewhere, one a curve. The EID in their certificates.
///
/// Errors: the card refuses (a production build does), or the certificates do not form a chain.
pub fn import(card: &mut dyn CardLink, identities: &[ExternalChain], settings: &Settings) -> anyhow::Result<Eid> {
    let mut chains = identities.iter().map(|identity| Chain {
        test_ci: identity.test_ci,
        ci: &identity.ci,
        eum: &identity.eum,
        euicc: &identity.euicc,
        key: Some(identity.key.expose_scalar()),
    });
    let Some(first) = identities.first() else { bail!("no identity to import") };
    install(card, [chains.next(), chains.next()], settings)?;
    let certificate = Certificate::parse(&first.euicc).context("the eUICC's certificate")?;
    let digits = certificate.serial_number().and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(Eid::from_digits).context("the eUICC's certificate names no EID")
}

fn install(card: &mut dyn CardLink, chains: [Option<Chain<'_>>; 2], settings: &Settings) -> anyhow::Result<()> {
    let table = default_rules_authorisation_table()?;
    card.personalize(&Personalization {
        chains,
        default_dp_address: &settings.default_dp_address,
        root_ds_address: &settings.root_ds_address,
        rules_authorisation_table: &table,
    })
    .context("personalizing the card")
}

/// Every operator may use PPR1 and PPR2, and the user must consent.
fn default_rules_authorisation_table() -> anyhow::Result<Vec<u8>> {
    let anyone = OperatorId { mcc_mnc: &[0xEE; 3], gid1: Some(&[]), gid2: Some(&[]) };
    let operators = concatenated([anyone])?;
    let rule = ProfilePolicyAuthorisationRule {
        ppr_ids: PprIds::PPR1.union(PprIds::PPR2),
        allowed_operators: List::new(&operators)?,
        flags: RatFlags::CONSENT_REQUIRED,
    };
    Ok(concatenated([rule])?)
}
