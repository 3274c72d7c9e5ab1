//! Who the card is: EID, keys, certificates and the settings of the factory.
//!
//! Keys are made in the card, one a curve, and kept from the certificate request on. Personalization installs the
//! certificates, checks that they fit, and closes the factory operations for good.
//!
//! ```text
//! 01, stage 00 requested or 01 personalized, EID 16 bytes, number of keys 1 byte,
//! { curve 1 byte, test CI 1 byte, private key 32 bytes } *
//! personalized: { 30 { 04 CI public key, 04 CI key identifier, 30 CERT.EUM, 30 CERT.EUICC } } *
//!               80 default SM-DP+ address, 81 root SM-DS address, A0 rules authorisation table
//! ```

use super::Failure;
use super::registry::{MAX_ADDRESS, Registry};
use crate::platform::{Env, ObjectId, Store, StoreError};
use alloc::vec::Vec;
use teuicc_rsp::Eid;
use teuicc_rsp::certificate::{Certificate, check_ci_certificate, check_euicc_chain};
use teuicc_rsp::crypto::{Curve, PublicKey, SIGNATURE, SecretKey};
use teuicc_rsp::csr;
use teuicc_rsp::metadata::RulesAuthorisationTable;
use teuicc_rsp::x509::Name;
use teuicc_tlv::{Error, ErrorKind, Reader, Tag, TryBytes, Writer, try_copy};
use teuicc_wire::{self as wire, FactoryRequest, Personalization};
use zeroize::Zeroizing;

/// Version of the stored form.
const VERSION: u8 = 1;
const REQUESTED: u8 = 0;
const PERSONALIZED: u8 = 1;
/// Most chains of a card.
pub(crate) const MAX_CHAINS: usize = 2;
/// Longest certificate in bytes.
pub(crate) const MAX_CERTIFICATE: usize = 2048;
/// Longest rules authorisation table in bytes.
const MAX_RULES: usize = 4096;
/// Longest organization name in bytes (X.520, ub-organization-name).
const MAX_ORGANIZATION: usize = 64;

/// Who the card is.
pub(crate) enum Identity {
    /// Nobody yet.
    Blank,
    /// It has keys, and waits for certificates.
    Requested(Requested),
    /// An eUICC.
    Personalized(Personalized),
}

/// Keys for which certificates were requested.
pub(crate) struct Requested {
    eid: Eid,
    keys: Vec<SecretKey>,
}

/// A personalized card.
pub(crate) struct Personalized {
    /// The EID.
    pub(crate) eid: Eid,
    /// 1 or 2 chains, the first has priority.
    chains: Vec<Chain>,
    /// Default SM-DP+ address to go back to at a memory reset, UTF-8, empty for none.
    pub(crate) default_dp_address: Vec<u8>,
    /// Root SM-DS address, UTF-8.
    pub(crate) root_ds_address: Vec<u8>,
    /// The rules, as in GetRAT.
    pub(crate) rules_authorisation_table: Vec<u8>,
}

/// One CI, and the card's certificate under it.
pub(crate) struct Chain {
    /// Whether profiles under this CI may use the test algorithm.
    pub(crate) test_ci: bool,
    /// PK.CI.ECDSA.
    pub(crate) ci_key: PublicKey,
    /// Its SubjectKeyIdentifier.
    pub(crate) ci_key_id: Vec<u8>,
    /// CERT.EUM.ECDSA.
    pub(crate) eum: Vec<u8>,
    /// CERT.EUICC.ECDSA.
    pub(crate) euicc: Vec<u8>,
    /// SK.EUICC.ECDSA.
    key: SecretKey,
}

impl Chain {
    /// Signs with SK.EUICC.ECDSA.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> Result<[u8; SIGNATURE], Failure> {
        Ok(self.key.sign(parts)?)
    }
}

impl Personalized {
    /// All chains, best first.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter()
    }

    /// A chain by its number.
    pub(crate) fn chain(&self, number: u8) -> Option<&Chain> {
        self.chains.get(usize::from(number))
    }

    /// The chain under the CI with this key identifier, and its number.
    pub(crate) fn chain_of(&self, ci_key_id: &[u8]) -> Option<(u8, &Chain)> {
        (0..u8::MAX).zip(&self.chains).find(|(_, chain)| chain.ci_key_id == ci_key_id)
    }
}

impl Identity {
    /// Reads who the card is. Errors: damage; the store fails.
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let Some(stored) = store.load(ObjectId::Identity)?.map(Zeroizing::new) else {
            // Personalizing writes the registry first. Anything else came later: then the identity was lost, and
            // another one must not take over its profiles.
            let used = store.list()?.iter().any(|id| *id != ObjectId::Registry);
            return if used { Err(StoreError::Corrupt(ObjectId::Identity)) } else { Ok(Identity::Blank) };
        };
        Self::decode(&stored).map_err(|failure| match failure {
            Failure::OutOfMemory => StoreError::OutOfMemory,
            _ => StoreError::Corrupt(ObjectId::Identity),
        })
    }

    /// Makes a key pair, or takes the one made before for this EID and curve, and writes a certificate request.
    /// Keys made for another EID are forgotten. 1 replace if a key was made.
    pub(crate) fn request(&mut self, env: &mut Env<'_>, request: &FactoryRequest<'_>) -> Result<Vec<u8>, wire::Error> {
        if matches!(self, Identity::Personalized(_)) {
            return Err(wire::Error::FactoryClosed);
        }
        let curve = curve_of(request.curve).ok_or(wire::Error::Malformed)?;
        if request.organization.is_empty() || request.organization.len() > MAX_ORGANIZATION {
            return Err(wire::Error::Malformed);
        }
        let eid = Eid::from_bytes(request.eid).filter(Eid::is_checked).ok_or(wire::Error::BadIdentity)?;
        let held = match self {
            Identity::Requested(requested) if requested.eid == eid => requested.key(curve),
            _ => None,
        };
        if let Some(key) = held {
            return certificate_request(&eid, request.organization, key).map_err(wire_error);
        }
        let requested = self.with_new_key(env, eid, curve).map_err(wire_error)?;
        let key = requested.key(curve).ok_or(wire::Error::OutOfMemory)?;
        let answer = certificate_request(&eid, request.organization, key).map_err(wire_error)?;
        let stored = requested.encode().map_err(wire_error)?;
        env.store.replace(ObjectId::Identity, &stored).map_err(store_error)?;
        *self = Identity::Requested(requested);
        Ok(answer)
    }

    /// The keys of this EID, and a new one.
    fn with_new_key(&self, env: &mut Env<'_>, eid: Eid, curve: Curve) -> Result<Requested, Failure> {
        let mut keys = Vec::new();
        if let Identity::Requested(requested) = self
            && requested.eid == eid
        {
            for key in &requested.keys {
                keys.try_push(SecretKey::new(key.curve(), key.expose_scalar())?)?;
            }
        }
        keys.try_push(SecretKey::generate(curve, &mut |bytes| env.rng.fill(bytes))?)?;
        Ok(Requested { eid, keys })
    }

    /// Installs certificates and settings, once: 2 replaces, the registry and, to commit, the identity. Gives the
    /// registry.
    pub(crate) fn personalize(
        &mut self,
        env: &mut Env<'_>,
        settings: &Personalization<'_>,
    ) -> Result<Registry, wire::Error> {
        let requested = match self {
            Identity::Personalized(_) => return Err(wire::Error::FactoryClosed),
            Identity::Requested(requested) => Some(&*requested),
            Identity::Blank => None,
        };
        let personalized = personalized(requested, settings)?;
        let address = try_copy(&personalized.default_dp_address).map_err(|_| wire::Error::OutOfMemory)?;
        let registry = Registry { default_dp_address: address, ..Registry::default() };
        let stored_registry = registry.encode().map_err(|_| wire::Error::OutOfMemory)?;
        let stored = personalized.encode().map_err(wire_error)?;
        env.store.replace(ObjectId::Registry, &stored_registry).map_err(store_error)?;
        env.store.replace(ObjectId::Identity, &stored).map_err(store_error)?;
        *self = Identity::Personalized(personalized);
        Ok(registry)
    }

    /// Reads the stored form. Errors: anything that is not written by `encode`.
    fn decode(stored: &[u8]) -> Result<Self, Failure> {
        let mut members = Reader::new(stored);
        let [version, stage] = fixed::<2>(&mut members)?;
        if version != VERSION {
            return Err(Failure::Malformed);
        }
        let eid = Eid::from_bytes(fixed(&mut members)?).ok_or(Failure::Malformed)?;
        let [count] = fixed::<1>(&mut members)?;
        if !(1..=MAX_CHAINS).contains(&usize::from(count)) {
            return Err(Failure::Malformed);
        }
        let mut keys = Vec::new();
        for _ in 0..count {
            let [curve, test_ci] = fixed::<2>(&mut members)?;
            let scalar = Zeroizing::new(fixed::<32>(&mut members)?);
            let curve = curve_of(curve).filter(|_| test_ci <= 1).ok_or(Failure::Malformed)?;
            let key = SecretKey::new(curve, &scalar).map_err(|_| Failure::Malformed)?;
            keys.try_push((key, test_ci == 1))?;
        }
        match stage {
            REQUESTED => {
                members.finish()?;
                let mut requested = Requested { eid, keys: Vec::new() };
                for (key, _) in keys {
                    requested.keys.try_push(key)?;
                }
                Ok(Identity::Requested(requested))
            }
            PERSONALIZED => Personalized::decode(eid, keys, &mut members).map(Identity::Personalized),
            _ => Err(Failure::Malformed),
        }
    }
}

impl Requested {
    fn key(&self, curve: Curve) -> Option<&SecretKey> {
        self.keys.iter().find(|key| key.curve() == curve)
    }

    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        encode(REQUESTED, &self.eid, self.keys.iter().map(|key| (key, false)), &[])
    }
}

impl Personalized {
    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut writer = Writer::new();
        for chain in &self.chains {
            writer.nested::<Error>(Tag::SEQUENCE, |writer| {
                writer.primitive(Tag::OCTET_STRING, chain.ci_key.point())?;
                writer.primitive(Tag::OCTET_STRING, &chain.ci_key_id)?;
                writer.raw(&chain.eum)?;
                writer.raw(&chain.euicc)
            })?;
        }
        writer.primitive(Tag(0x80), &self.default_dp_address)?;
        writer.primitive(Tag(0x81), &self.root_ds_address)?;
        writer.primitive(Tag(0xA0), &self.rules_authorisation_table)?;
        let keys = self.chains.iter().map(|chain| (&chain.key, chain.test_ci));
        encode(PERSONALIZED, &self.eid, keys, writer.as_bytes())
    }

    fn decode(eid: Eid, keys: Vec<(SecretKey, bool)>, members: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut chains = Vec::new();
        for (key, test_ci) in keys {
            let mut fields = members.expect(Tag::SEQUENCE)?.members();
            let ci_key = fields.expect(Tag::OCTET_STRING)?.value;
            let chain = Chain {
                test_ci,
                ci_key: PublicKey::new(key.curve(), ci_key).map_err(|_| Failure::Malformed)?,
                ci_key_id: try_copy(fields.expect(Tag::OCTET_STRING)?.value)?,
                eum: try_copy(fields.expect(Tag::SEQUENCE)?.raw)?,
                euicc: try_copy(fields.expect(Tag::SEQUENCE)?.raw)?,
                key,
            };
            fields.finish()?;
            chains.try_push(chain)?;
        }
        let personalized = Personalized {
            eid,
            chains,
            default_dp_address: try_copy(members.expect(Tag(0x80))?.text(MAX_ADDRESS)?.as_bytes())?,
            root_ds_address: try_copy(members.expect(Tag(0x81))?.text(MAX_ADDRESS)?.as_bytes())?,
            rules_authorisation_table: try_copy(members.expect(Tag(0xA0))?.value)?,
        };
        members.finish()?;
        RulesAuthorisationTable::new(&personalized.rules_authorisation_table)?;
        Ok(personalized)
    }
}

/// Writes the stored form. The keys are written into memory that is not moved afterwards.
fn encode<'a>(
    stage: u8,
    eid: &Eid,
    keys: impl Iterator<Item = (&'a SecretKey, bool)> + Clone,
    public: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let count = keys.clone().count();
    let length = count.saturating_mul(34).saturating_add(19).saturating_add(public.len());
    let mut bytes = Zeroizing::new(Vec::new());
    bytes.try_reserve_exact(length).map_err(|_| Failure::OutOfMemory)?;
    bytes.try_extend(&[VERSION, stage])?;
    bytes.try_extend(eid.as_bytes())?;
    bytes.try_push(u8::try_from(count).map_err(|_| Failure::Internal)?)?;
    for (key, test_ci) in keys {
        bytes.try_extend(&[curve_byte(key.curve()), u8::from(test_ci)])?;
        bytes.try_extend(key.expose_scalar())?;
    }
    bytes.try_extend(public)?;
    Ok(bytes)
}

/// Checks the certificates and settings against each other and against the requested keys.
fn personalized(requested: Option<&Requested>, settings: &Personalization<'_>) -> Result<Personalized, wire::Error> {
    let copy = |bytes: &[u8]| try_copy(bytes).map_err(|_| wire::Error::OutOfMemory);
    let too_long = settings.default_dp_address.len() > MAX_ADDRESS
        || settings.root_ds_address.len() > MAX_ADDRESS
        || settings.rules_authorisation_table.len() > MAX_RULES;
    if too_long || RulesAuthorisationTable::new(settings.rules_authorisation_table).is_err() {
        return Err(wire::Error::Malformed);
    }
    let mut eid = requested.map(|requested| requested.eid);
    let mut chains: Vec<Chain> = Vec::new();
    for certificates in settings.chains.iter().flatten() {
        let (chain, of_chain) = chain(requested, certificates)?;
        let known = chains.iter().any(|other| other.ci_key_id == chain.ci_key_id);
        if known || eid.is_some_and(|eid| eid != of_chain) {
            return Err(wire::Error::BadIdentity);
        }
        eid = Some(of_chain);
        chains.try_push(chain).map_err(|_| wire::Error::OutOfMemory)?;
    }
    Ok(Personalized {
        eid: eid.filter(|_| !chains.is_empty()).ok_or(wire::Error::Malformed)?,
        chains,
        default_dp_address: copy(settings.default_dp_address.as_bytes())?,
        root_ds_address: copy(settings.root_ds_address.as_bytes())?,
        rules_authorisation_table: copy(settings.rules_authorisation_table)?,
    })
}

/// Checks one chain. Gives it, and the EID in its certificate.
fn chain(requested: Option<&Requested>, certificates: &wire::Chain<'_>) -> Result<(Chain, Eid), wire::Error> {
    let parse = |raw| Certificate::parse(raw).map_err(|_| wire::Error::BadIdentity);
    let (ci, eum, euicc) = (parse(certificates.ci)?, parse(certificates.eum)?, parse(certificates.euicc)?);
    check_ci_certificate(&ci).map_err(|_| wire::Error::BadIdentity)?;
    let eid = check_euicc_chain(&ci.public_key, &eum, &euicc).map_err(|_| wire::Error::BadIdentity)?;
    let ci_key_id = ci.subject_key_identifier.ok_or(wire::Error::BadIdentity)?;
    let fits = eum.authority_key_identifier == Some(ci_key_id)
        && (1..=32).contains(&ci_key_id.len())
        && certificates.eum.len() <= MAX_CERTIFICATE
        && certificates.euicc.len() <= MAX_CERTIFICATE;
    let curve = euicc.public_key.curve();
    let scalar = match (certificates.key, requested.and_then(|requested| requested.key(curve))) {
        (Some(_), _) if !cfg!(feature = "import-identity") => return Err(wire::Error::ImportNotSupported),
        (Some(imported), _) => imported,
        (None, Some(own)) => own.expose_scalar(),
        (None, None) => return Err(wire::Error::BadIdentity),
    };
    let key = SecretKey::new(curve, scalar).map_err(|_| wire::Error::BadIdentity)?;
    if !fits || key.public_key() != Ok(euicc.public_key) {
        return Err(wire::Error::BadIdentity);
    }
    let copy = |bytes: &[u8]| try_copy(bytes).map_err(|_| wire::Error::OutOfMemory);
    let chain = Chain {
        test_ci: certificates.test_ci,
        ci_key: ci.public_key,
        ci_key_id: copy(ci_key_id)?,
        eum: copy(certificates.eum)?,
        euicc: copy(certificates.euicc)?,
        key,
    };
    Ok((chain, eid))
}

/// The certificate request for `key`: O is the EUM's, serialNumber the EID.
fn certificate_request(eid: &Eid, organization: &str, key: &SecretKey) -> Result<Vec<u8>, Failure> {
    let digits = eid.digits();
    let subject = Name {
        organization: Some(organization),
        serial_number: Some(core::str::from_utf8(&digits).map_err(|_| Failure::Internal)?),
        ..Name::default()
    };
    csr::request(&subject, key).map_err(|error| match error {
        csr::SigningError::Object(Error { kind: ErrorKind::OutOfMemory, .. }) => Failure::OutOfMemory,
        _ => Failure::Internal,
    })
}

fn fixed<const N: usize>(members: &mut Reader<'_>) -> Result<[u8; N], Failure> {
    members.take(N)?.try_into().map_err(|_| Failure::Malformed)
}

/// The curve of a number on the wire and in the store.
fn curve_of(byte: u8) -> Option<Curve> {
    match byte {
        0 => Some(Curve::P256),
        1 => Some(Curve::BrainpoolP256r1),
        _ => None,
    }
}

fn curve_byte(curve: Curve) -> u8 {
    match curve {
        Curve::P256 => 0,
        Curve::BrainpoolP256r1 => 1,
    }
}

fn store_error(error: StoreError) -> wire::Error {
    match error {
        StoreError::Corrupt(_) => wire::Error::StoreCorrupt,
        StoreError::OutOfMemory => wire::Error::OutOfMemory,
        StoreError::Unavailable | StoreError::Full => wire::Error::StoreUnavailable,
    }
}

fn wire_error(failure: Failure) -> wire::Error {
    match failure {
        Failure::Store(error) => store_error(error),
        // What is left: there was no memory, or no random numbers.
        _ => wire::Error::OutOfMemory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn key(curve: Curve, byte: u8) -> SecretKey {
        SecretKey::new(curve, &[byte; 32]).unwrap()
    }

    fn eid() -> Eid {
        Eid::from_digits("89049032123451234512345678901235").unwrap()
    }

    /// What version 1 wrote must be read for ever: do not change the layout.
    #[test]
    fn layout_of_version_1() {
        let requested = Requested { eid: eid(), keys: vec![key(Curve::P256, 1), key(Curve::BrainpoolP256r1, 2)] };
        let stored = requested.encode().unwrap();
        let expected = [&[1, 0][..], eid().as_bytes(), &[2, 0, 0], &[1; 32], &[1, 0], &[2; 32]].concat();
        assert_eq!(*stored, expected);
        let Identity::Requested(read) = Identity::decode(&stored).unwrap() else { panic!() };
        assert_eq!(read.keys[1].expose_scalar(), &[2; 32]);

        let ci_key = key(Curve::P256, 3).public_key().unwrap();
        let personalized = Personalized {
            eid: eid(),
            chains: vec![Chain {
                test_ci: true,
                ci_key,
                ci_key_id: vec![0xAA; 20],
                eum: vec![0x30, 0x01, 0x05],
                euicc: vec![0x30, 0x01, 0x06],
                key: key(Curve::P256, 4),
            }],
            default_dp_address: b"d".to_vec(),
            root_ds_address: b"r".to_vec(),
            rules_authorisation_table: vec![],
        };
        let stored = personalized.encode().unwrap();
        let expected = [
            &[1, 1][..],
            eid().as_bytes(),
            &[1, 0, 1],
            &[4; 32],
            &[0x30, 0x5F, 0x04, 0x41],
            ci_key.point(),
            &[0x04, 0x14],
            &[0xAA; 20],
            &[0x30, 0x01, 0x05, 0x30, 0x01, 0x06],
            b"\x80\x01d\x81\x01r\xA0\x00",
        ]
        .concat();
        assert_eq!(*stored, expected);
        let Identity::Personalized(read) = Identity::decode(&stored).unwrap() else { panic!() };
        assert_eq!(*read.encode().unwrap(), expected);
        for length in 0..expected.len() {
            assert!(Identity::decode(&expected[..length]).is_err());
        }
        for position in 0..expected.len() {
            let mut damaged = expected.clone();
            damaged[position] ^= 0x81;
            let _ = Identity::decode(&damaged);
        }
    }
}
