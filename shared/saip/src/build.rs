//! A profile package from a short description: a USIM, with an ISIM if wanted, that a modem can work with.
//!
//! The package is of version 2.3 and uses the templates as they are: EF ARR has the record numbers of annex A, so
//! that each file's access rule is the template's.

mod content;
mod package;

use crate::pe::{DEFAULT_PIN_ATTRIBUTES, MAX_ELEMENT, PeKind, Service, next_element};
use crate::template::{self, Template};
use alloc::vec::Vec;
use content::Rules;
use core::fmt;
use package::{FieldSpec, Package};
use teuicc_tlv::{OutOfMemory, Tag, TryBytes, Writer};

/// The description of a profile. Debug output leaves the secrets out.
#[derive(Clone)]
pub struct ProfileSpec<'a> {
    /// ICCID, 18 to 20 decimal digits, the check digit included.
    pub iccid: &'a str,
    /// IMSI, 6 to 15 decimal digits.
    pub imsi: &'a str,
    /// Number of digits of the MNC in the IMSI, 2 or 3.
    pub mnc_len: u8,
    /// The authentication algorithm.
    pub algorithm: Algorithm,
    /// K: 16 bytes, for TUAK 16 or 32.
    pub key: &'a [u8],
    /// OPc: 16 bytes, for TUAK (TOPc) 32.
    pub opc: &'a [u8],
    /// profileType of the header, 1 to 100 bytes.
    pub profile_type: &'a str,
    /// Service provider name, at most 16 ASCII characters.
    pub service_provider_name: &'a str,
    /// PIN1, 4 to 8 digits.
    pub pin1: &'a str,
    /// Whether PIN1 is asked for.
    pub pin1_enabled: bool,
    /// PUK1, 8 digits.
    pub puk1: &'a str,
    /// PIN2, 4 to 8 digits.
    pub pin2: &'a str,
    /// PUK2, 8 digits.
    pub puk2: &'a str,
    /// ADM1, 4 to 8 digits.
    pub adm1: &'a str,
    /// MSISDN, at most 20 digits, with a leading `+` if international.
    pub msisdn: Option<&'a str>,
    /// Access control class, bit n for class n; else the class of the IMSI's last digit.
    pub access_class: Option<u16>,
    /// An ISIM beside the USIM.
    pub ims: Option<Ims<'a>>,
}

/// The identities of the ISIM; what is not given is derived from the IMSI (TS 23.003 section 13).
#[derive(Clone, Copy, Debug, Default)]
pub struct Ims<'a> {
    /// Private user identity.
    pub impi: Option<&'a str>,
    /// Public user identity, a SIP URI.
    pub impu: Option<&'a str>,
    /// Home network domain name.
    pub domain: Option<&'a str>,
}

/// The authentication algorithm of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Milenage (TS 35.206) with its standard constants.
    Milenage,
    /// TUAK (TS 35.231).
    Tuak,
    /// The XOR test algorithm (TS 34.108 section 8.1.2), for test profiles only.
    XorTest,
}

impl fmt::Debug for ProfileSpec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileSpec")
            .field("iccid", &self.iccid)
            .field("imsi", &self.imsi)
            .field("algorithm", &self.algorithm)
            .field("profile_type", &self.profile_type)
            .field("ims", &self.ims)
            .finish_non_exhaustive()
    }
}

/// Why no package could be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// A member of the description is not as it must be.
    Field {
        /// The member's name in [`ProfileSpec`] or [`Ims`].
        name: &'static str,
        /// What it must be.
        must_be: &'static str,
    },
    /// The memory could not be had.
    OutOfMemory,
    /// The builder wrote something that cannot be encoded.
    Encoding,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Field { name, must_be } => write!(f, "{name} must be {must_be}"),
            BuildError::OutOfMemory => f.write_str("out of memory"),
            BuildError::Encoding => f.write_str("the profile cannot be encoded"),
        }
    }
}

impl core::error::Error for BuildError {}

impl From<OutOfMemory> for BuildError {
    fn from(_: OutOfMemory) -> Self {
        BuildError::OutOfMemory
    }
}

impl From<teuicc_tlv::Error> for BuildError {
    fn from(error: teuicc_tlv::Error) -> Self {
        match error.kind {
            teuicc_tlv::ErrorKind::OutOfMemory => BuildError::OutOfMemory,
            _ => BuildError::Encoding,
        }
    }
}

type Result<T> = core::result::Result<T, BuildError>;

/// AID of the USIM (TS 101 220 annex E).
pub const USIM_AID: [u8; 16] = *b"\xA0\x00\x00\x00\x87\x10\x02\xFF\xFF\xFF\xFF\x89\x03\x02\x00\x00";

/// AID of the ISIM.
pub const ISIM_AID: [u8; 16] = *b"\xA0\x00\x00\x00\x87\x10\x04\xFF\xFF\xFF\xFF\x89\x03\x02\x00\x00";

/// Temporary file identifiers of the ADFs.
const USIM_FID: u16 = 0x7FD0;
const ISIM_FID: u16 = 0x7FB0;

/// Version of the profile package format.
const VERSION: (u8, u8) = (2, 3);

/// Key references (TS 102 221 section 9.5.1).
const PIN1: u8 = 0x01;
const PIN2: u8 = 0x81;
const ADM1: u8 = 0x0A;

/// pinAttributes: enabled, may be changed, may be disabled.
const ENABLED: u8 = 0x01;
const CHANGEABLE: u8 = 0x02;
const CAN_BE_DISABLED: u8 = 0x04;

/// Services of the UST (TS 31.102 section 4.2.8) that the profile has: SMS, SMSP, SPN, PLMNwAcT, GSM access, 33 which
/// must be set, GSM security context, OPLMNwAcT, HPLMNwAcT, EPS mobility management, 5GS mobility management and 5G
/// security parameters.
const UST_SERVICES: [u16; 12] = [10, 12, 19, 20, 27, 33, 38, 42, 43, 85, 122, 123];

/// Service of the UST: MSISDN.
const UST_MSISDN: u16 = 21;

/// Size of the UST in bytes.
const UST_SIZE: usize = 17;

/// Builds the package.
///
/// Errors: the member of the description that is wrong; out of memory.
pub fn build(spec: &ProfileSpec<'_>) -> Result<Vec<u8>> {
    let rules = content::arr()?;
    let mut package = Package::default();
    header(spec, &mut package)?;
    mf(spec, &rules, &mut package)?;
    puks(spec, &mut package)?;
    global_pins(spec, &mut package)?;
    usim(spec, &rules, &mut package)?;
    local_pin(spec, &mut package)?;
    opt_usim(spec, &mut package)?;
    aka(spec, &mut package)?;
    gsm_access(&mut package)?;
    df_5gs(&mut package)?;
    if let Some(ims) = &spec.ims {
        isim(spec, ims, &rules, &mut package)?;
        local_pin(spec, &mut package)?;
        aka(spec, &mut package)?;
    }
    package.element(PeKind::End, true, |_| Ok(()))?;
    Ok(package.into_bytes())
}

/// Adds a transparent EF below the MF to a package: a generic file management element before its end, which any
/// terminal may read (the first rule of the MF's EF.ARR as [`build`] makes it).
///
/// Errors: a package that is not whole, or a content that does not fit into an element; out of memory.
pub fn add_file(package: &mut Vec<u8>, fid: u16, content: &[u8]) -> Result<()> {
    let mut end = 0_usize;
    loop {
        let rest = package.get(end..).unwrap_or_default();
        let element = next_element(rest).ok().flatten().ok_or(BuildError::Encoding)?;
        if element.kind == PeKind::End {
            break;
        }
        end = end.saturating_add(element.raw.len());
    }
    let element = package::generic_file(fid, &[0x2F, 0x06, 0x01], content)?;
    if element.len() > MAX_ELEMENT {
        return Err(BuildError::Field { name: "file content", must_be: "less than an element, 32 KiB" });
    }
    package.try_reserve(element.len()).map_err(|_| OutOfMemory)?;
    package.splice(end..end, element);
    Ok(())
}

/// The oldest version of the template of this kind, which every eUICC with that kind of NAA knows.
fn template_of(kind: PeKind) -> Result<&'static Template> {
    template::all().iter().find(|template| template.kind == kind).ok_or(BuildError::Encoding)
}

fn header(spec: &ProfileSpec<'_>, package: &mut Package) -> Result<()> {
    if !(1..=100).contains(&spec.profile_type.len()) {
        return Err(BuildError::Field { name: "profile_type", must_be: "1 to 100 bytes of text" });
    }
    let algorithm = match (spec.algorithm, spec.key.len()) {
        (Algorithm::Milenage, _) => Service::Milenage,
        (Algorithm::XorTest, _) => Service::UsimTestAlgorithm,
        (Algorithm::Tuak, 32) => Service::Tuak256,
        (Algorithm::Tuak, _) => Service::Tuak128,
    };
    let isim = spec.ims.map(|_| Service::Isim);
    let iccid = content::packed_digits("iccid", spec.iccid, 18..=20)?;
    package.header(|out| {
        out.unsigned(Tag(0x80), u32::from(VERSION.0))?;
        out.unsigned(Tag(0x81), u32::from(VERSION.1))?;
        out.primitive(Tag(0x82), spec.profile_type.as_bytes())?;
        out.primitive(Tag(0x83), &iccid)?;
        out.nested(Tag(0xA5), |out| {
            let services = [Some(Service::Usim), isim, Some(algorithm)];
            services.into_iter().flatten().try_for_each(|service| out.primitive(Tag::context(service as u8), &[]))
        })?;
        out.nested(Tag(0xA6), |out| {
            let usim = [PeKind::Mf, PeKind::Usim, PeKind::OptUsim, PeKind::GsmAccess];
            let kinds = usim.into_iter().chain(isim.map(|_| PeKind::Isim)).chain([PeKind::Df5gs]);
            kinds.into_iter().try_for_each(|kind| Ok(out.primitive(Tag::OID, template_of(kind)?.oid.0)?))
        })
    })
}

fn mf(spec: &ProfileSpec<'_>, rules: &Rules, package: &mut Package) -> Result<()> {
    let iccid = content::swapped(&content::packed_digits("iccid", spec.iccid, 18..=20)?);
    let applications: &[(&[u8], &str)] = &[(&USIM_AID, "USIM"), (&ISIM_AID, "ISIM")];
    let count = if spec.ims.is_some() { 2 } else { 1 };
    let dir = content::dir(applications.get(..count).unwrap_or_default())?;
    package.template(
        PeKind::Mf,
        true,
        &[
            FieldSpec::directory("mf", &[PIN1, ADM1]),
            FieldSpec::content("ef-pl", b"en"),
            FieldSpec::content("ef-iccid", &iccid),
            FieldSpec::records("ef-dir", dir.record_len, &dir.bytes),
            FieldSpec::records("ef-arr", rules.record_len, &rules.bytes),
            FieldSpec::content("ef-umpc", &content::UMPC),
        ],
    )
}

fn puks(spec: &ProfileSpec<'_>, package: &mut Package) -> Result<()> {
    let codes = [(PIN1, content::code("puk1", spec.puk1, 8)?), (PIN2, content::code("puk2", spec.puk2, 8)?)];
    package.element(PeKind::PukCodes, true, |out| {
        out.nested(Tag(0xA1), |out| {
            codes.iter().try_for_each(|(reference, value)| {
                out.nested(Tag::SEQUENCE, |out| {
                    out.unsigned(Tag(0x80), u32::from(*reference))?;
                    out.primitive(Tag(0x81), value).map_err(BuildError::from)
                })
            })
        })
    })
}

/// keyReference, value, unblocking reference, attributes.
type Pin = (u8, [u8; 8], Option<u8>, u8);

/// PINs and PUKs have their default number of attempts, which DER leaves out: 3 and 10.
fn pin_codes(pins: &[Pin], package: &mut Package) -> Result<()> {
    package.element(PeKind::PinCodes, true, |out| {
        out.nested(Tag(0xA1), |out| {
            out.nested(Tag(0xA0), |out| {
                pins.iter().try_for_each(|(reference, value, unblocking, attributes)| {
                    out.nested(Tag::SEQUENCE, |out| {
                        out.unsigned(Tag(0x80), u32::from(*reference))?;
                        out.primitive(Tag(0x81), value)?;
                        if let Some(unblocking) = unblocking {
                            out.unsigned(Tag(0x82), u32::from(*unblocking))?;
                        }
                        if *attributes != DEFAULT_PIN_ATTRIBUTES {
                            out.unsigned(Tag(0x83), u32::from(*attributes))?;
                        }
                        Ok::<(), BuildError>(())
                    })
                })
            })
        })
    })
}

fn global_pins(spec: &ProfileSpec<'_>, package: &mut Package) -> Result<()> {
    let enabled = if spec.pin1_enabled { ENABLED } else { 0 };
    let pin1 = (PIN1, content::code("pin1", spec.pin1, 4)?, Some(PIN1), CHANGEABLE | CAN_BE_DISABLED | enabled);
    let adm1 = (ADM1, content::code("adm1", spec.adm1, 4)?, None, CHANGEABLE | ENABLED);
    pin_codes(&[pin1, adm1], package)
}

/// PIN2, which each NAA has of its own.
fn local_pin(spec: &ProfileSpec<'_>, package: &mut Package) -> Result<()> {
    pin_codes(&[(PIN2, content::code("pin2", spec.pin2, 4)?, Some(PIN2), CHANGEABLE | ENABLED)], package)
}

fn usim(spec: &ProfileSpec<'_>, rules: &Rules, package: &mut Package) -> Result<()> {
    if !matches!(spec.mnc_len, 2 | 3) {
        return Err(BuildError::Field { name: "mnc_len", must_be: "2 or 3" });
    }
    let imsi = content::imsi(spec.imsi)?;
    let services = UST_SERVICES.into_iter().chain(spec.msisdn.map(|_| UST_MSISDN));
    let ust = content::service_table::<UST_SIZE>(services);
    let spn = content::service_provider_name(spec.service_provider_name)?;
    let last = spec.imsi.bytes().last().map_or(0, |digit| digit.wrapping_sub(b'0'));
    let acc = spec.access_class.unwrap_or(1u16.checked_shl(u32::from(last)).unwrap_or(1)).to_be_bytes();
    package.template(
        PeKind::Usim,
        true,
        &[
            FieldSpec::adf("adf-usim", USIM_FID, &USIM_AID, &[PIN1, PIN2, ADM1]),
            FieldSpec::content("ef-imsi", &imsi),
            FieldSpec::records("ef-arr", rules.record_len, &rules.bytes),
            FieldSpec::sized("ef-ust", &ust),
            FieldSpec::content("ef-spn", &spn),
            FieldSpec::content("ef-est", &[0x00]),
            FieldSpec::content("ef-acc", &acc),
            FieldSpec::content("ef-ad", &[0x00, 0x00, 0x00, spec.mnc_len]),
            FieldSpec::records("ef-ecc", content::ECC_RECORD_LEN, &content::ECC),
        ],
    )
}

fn opt_usim(spec: &ProfileSpec<'_>, package: &mut Package) -> Result<()> {
    let hplmn = content::plmn_with_access(spec.imsi, spec.mnc_len)?;
    let msisdn = spec.msisdn.map(content::msisdn).transpose()?;
    let mut fields: Vec<FieldSpec<'_>> = Vec::new();
    fields.try_push(FieldSpec::content("ef-li", b"en"))?;
    if let Some(msisdn) = &msisdn {
        fields.try_push(FieldSpec::content("ef-msisdn", msisdn))?;
    }
    fields.try_push(FieldSpec::template("ef-plmnwact"))?;
    fields.try_push(FieldSpec::template("ef-oplmnwact"))?;
    fields.try_push(FieldSpec::content("ef-hplmnwact", &hplmn))?;
    package.template(PeKind::OptUsim, true, &fields)
}

fn gsm_access(package: &mut Package) -> Result<()> {
    package.template(
        PeKind::GsmAccess,
        false,
        &[
            FieldSpec::directory("df-gsm-access", &[PIN1, ADM1]),
            FieldSpec::template("ef-kc"),
            FieldSpec::template("ef-kcgprs"),
        ],
    )
}

fn df_5gs(package: &mut Package) -> Result<()> {
    package.template(
        PeKind::Df5gs,
        false,
        &[
            FieldSpec::directory("df-df-5gs", &[PIN1, ADM1]),
            FieldSpec::template("ef-5gs3gpploci"),
            FieldSpec::template("ef-5gsn3gpploci"),
            FieldSpec::template("ef-5gs3gppnsc"),
            FieldSpec::template("ef-5gsn3gppnsc"),
            FieldSpec::content("ef-5gauthkeys", &[0xFF; 110]),
            FieldSpec::template("ef-routing-indicator"),
        ],
    )
}

fn isim(spec: &ProfileSpec<'_>, ims: &Ims<'_>, rules: &Rules, package: &mut Package) -> Result<()> {
    let domain = content::home_domain(spec.imsi, spec.mnc_len, ims.domain)?;
    let impi = content::private_identity(spec.imsi, &domain, ims.impi)?;
    let impu = content::public_identity(&impi, ims.impu)?;
    let (impi, impu, domain) = (content::wrapped(&impi)?, content::wrapped(&impu)?, content::wrapped(&domain)?);
    package.template(
        PeKind::Isim,
        true,
        &[
            FieldSpec::adf("adf-isim", ISIM_FID, &ISIM_AID, &[PIN1, PIN2, ADM1]),
            FieldSpec::sized("ef-impi", &impi),
            FieldSpec::records("ef-impu", impu.len(), &impu),
            FieldSpec::sized("ef-domain", &domain),
            FieldSpec::content("ef-ist", &[0x00]),
            FieldSpec::records("ef-arr", rules.record_len, &rules.bytes),
        ],
    )
}

fn aka(spec: &ProfileSpec<'_>, package: &mut Package) -> Result<()> {
    let (identifier, options, key_fits, opc_len) = match spec.algorithm {
        Algorithm::Milenage => (1, 0x00, spec.key.len() == 16, 16),
        Algorithm::Tuak => (2, 0x00, matches!(spec.key.len(), 16 | 32), 32),
        // 128 bits of RES.
        Algorithm::XorTest => (3, 0x02, spec.key.len() == 16, 16),
    };
    if !key_fits {
        return Err(BuildError::Field { name: "key", must_be: "16 bytes (16 or 32 for TUAK)" });
    }
    if spec.opc.len() != opc_len {
        return Err(BuildError::Field { name: "opc", must_be: "16 bytes (32 for TUAK)" });
    }
    package.element(PeKind::AkaParameter, true, |out: &mut Writer| {
        out.nested(Tag(0xA1), |out| {
            out.nested(Tag(0xA1), |out| {
                out.unsigned(Tag(0x80), identifier)?;
                out.primitive(Tag(0x81), &[options])?;
                out.primitive(Tag(0x82), spec.key)?;
                out.primitive(Tag(0x83), spec.opc).map_err(BuildError::from)
            })
        })
    })
}
