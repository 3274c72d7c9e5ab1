//! The profile elements.

use crate::decode::{Item, Scan, Scanner};
pub use crate::decode::{List, Oid, UnknownMember};
use crate::fcp::{File, FileManagement, path};
use crate::status::{PeStatus, StatusCode};
use crate::template::{self, Template, TemplateFile};
use core::fmt;
use teuicc_tlv::{Reader, Tag, Tlv, leading_length};

type Result<T> = core::result::Result<T, PeStatus>;

/// Largest profile element that is accepted, tag and length included, in bytes.
pub const MAX_ELEMENT: usize = 32 * 1024;

/// First tag number of the files in a template profile element (0 is the header, 1 the template's identifier).
pub const FIRST_FILE_TAG: u8 = 2;

/// Which alternative of the CHOICE ProfileElement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeKind {
    /// A0 header.
    Header,
    /// A1 genericFileManagement.
    GenericFileManagement,
    /// A2 pinCodes.
    PinCodes,
    /// A3 pukCodes.
    PukCodes,
    /// A4 akaParameter.
    AkaParameter,
    /// A5 cdmaParameter.
    CdmaParameter,
    /// A6 securityDomain.
    SecurityDomain,
    /// A7 rfm.
    Rfm,
    /// A8 application.
    Application,
    /// A9 nonStandard.
    NonStandard,
    /// AA end.
    End,
    /// AB to AF rfu1 to rfu5.
    Rfu,
    /// B0 mf.
    Mf,
    /// B1 cd.
    Cd,
    /// B2 telecom.
    Telecom,
    /// B3 usim.
    Usim,
    /// B4 opt-usim.
    OptUsim,
    /// B5 isim.
    Isim,
    /// B6 opt-isim.
    OptIsim,
    /// B7 phonebook.
    Phonebook,
    /// B8 gsm-access.
    GsmAccess,
    /// B9 csim.
    Csim,
    /// BA opt-csim.
    OptCsim,
    /// BB eap.
    Eap,
    /// BC df-5gs.
    Df5gs,
    /// BD df-saip.
    DfSaip,
    /// BE df-snpn.
    DfSnpn,
    /// BF1F df-5gprose.
    Df5gprose,
    /// BF20 iot.
    Iot,
    /// BF21 opt-iot.
    OptIot,
    /// A tag that the ASN.1 does not define.
    Unknown,
}

/// Tag, alternative and its name in the ASN.1.
const KINDS: [(u32, PeKind, &str); 34] = [
    (0xA0, PeKind::Header, "header"),
    (0xA1, PeKind::GenericFileManagement, "genericFileManagement"),
    (0xA2, PeKind::PinCodes, "pinCodes"),
    (0xA3, PeKind::PukCodes, "pukCodes"),
    (0xA4, PeKind::AkaParameter, "akaParameter"),
    (0xA5, PeKind::CdmaParameter, "cdmaParameter"),
    (0xA6, PeKind::SecurityDomain, "securityDomain"),
    (0xA7, PeKind::Rfm, "rfm"),
    (0xA8, PeKind::Application, "application"),
    (0xA9, PeKind::NonStandard, "nonStandard"),
    (0xAA, PeKind::End, "end"),
    (0xAB, PeKind::Rfu, "rfu1"),
    (0xAC, PeKind::Rfu, "rfu2"),
    (0xAD, PeKind::Rfu, "rfu3"),
    (0xAE, PeKind::Rfu, "rfu4"),
    (0xAF, PeKind::Rfu, "rfu5"),
    (0xB0, PeKind::Mf, "mf"),
    (0xB1, PeKind::Cd, "cd"),
    (0xB2, PeKind::Telecom, "telecom"),
    (0xB3, PeKind::Usim, "usim"),
    (0xB4, PeKind::OptUsim, "opt-usim"),
    (0xB5, PeKind::Isim, "isim"),
    (0xB6, PeKind::OptIsim, "opt-isim"),
    (0xB7, PeKind::Phonebook, "phonebook"),
    (0xB8, PeKind::GsmAccess, "gsm-access"),
    (0xB9, PeKind::Csim, "csim"),
    (0xBA, PeKind::OptCsim, "opt-csim"),
    (0xBB, PeKind::Eap, "eap"),
    (0xBC, PeKind::Df5gs, "df-5gs"),
    (0xBD, PeKind::DfSaip, "df-saip"),
    (0xBE, PeKind::DfSnpn, "df-snpn"),
    (0xBF1F, PeKind::Df5gprose, "df-5gprose"),
    (0xBF20, PeKind::Iot, "iot"),
    (0xBF21, PeKind::OptIot, "opt-iot"),
];

impl PeKind {
    /// The alternative with this tag.
    #[must_use]
    pub fn from_tag(tag: Tag) -> Self {
        KINDS.iter().find(|(number, ..)| *number == tag.0).map_or(PeKind::Unknown, |(_, kind, _)| *kind)
    }

    /// The tag; of [`PeKind::Rfu`] the first, of [`PeKind::Unknown`] none.
    #[must_use]
    pub fn tag(self) -> Option<Tag> {
        KINDS.iter().find(|(_, kind, _)| *kind == self).map(|(number, ..)| Tag(*number))
    }

    /// The name in the ASN.1.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind, _)| *kind == self).map_or("unknown", |(_, _, name)| *name)
    }

    /// Whether it creates files by a template ([`ProfileElement::Template`]).
    #[must_use]
    pub fn is_template(self) -> bool {
        self.tag().is_some_and(|tag| tag.0 >= 0xB0)
    }
}

/// PEHeader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeHeader {
    /// Whether the installation must stop if the eUICC cannot process the element.
    pub mandated: bool,
    /// The number of the element, 0 to 32767.
    pub identification: u16,
}

impl PeHeader {
    fn read<'a>(reader: &mut Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let mut members = scan.expect(reader, 0xA0)?.members();
        let mandated = scan.optional_array::<0>(&mut members, 0x80)?.is_some();
        let tlv = scan.expect(&mut members, 0x81)?;
        let identification = scan.integer(&tlv)?;
        if identification > 0x7FFF {
            return Err(scan.bad(&tlv));
        }
        scan.identification = Some(identification);
        scan.rest(members)?;
        Ok(PeHeader { mandated, identification })
    }
}

/// One profile element, checked to its end; it borrows from the received bytes.
pub struct Element<'a> {
    /// Which alternative.
    pub kind: PeKind,
    /// The PEHeader; the profile header and the reserved elements have none.
    pub header: Option<PeHeader>,
    /// The typed members.
    pub content: ProfileElement<'a>,
    /// The first member that is not known, if any: to be reported as invalid-parameter (clause 7.3).
    pub unknown: Option<UnknownMember>,
    /// The element as received, tag and length included; its length is what was consumed.
    pub raw: &'a [u8],
}

impl fmt::Debug for Element<'_> {
    /// Without the received bytes, which may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element")
            .field("kind", &self.kind)
            .field("header", &self.header)
            .field("content", &self.content)
            .field("unknown", &self.unknown)
            .finish_non_exhaustive()
    }
}

/// The typed members of a profile element.
#[derive(Debug)]
pub enum ProfileElement<'a> {
    /// ProfileHeader.
    Header(ProfileHeader<'a>),
    /// PE-GenericFileManagement.
    GenericFileManagement(List<'a, FileManagement<'a>>),
    /// PE-PINCodes.
    PinCodes(PinCodes<'a>),
    /// PE-PUKCodes.
    PukCodes(List<'a, PukConfiguration>),
    /// PE-AKAParameter.
    AkaParameter(AkaParameter<'a>),
    /// PE-CDMAParameter.
    CdmaParameter(CdmaParameter<'a>),
    /// PE-SecurityDomain.
    SecurityDomain(SecurityDomain<'a>),
    /// PE-RFM.
    Rfm(Rfm<'a>),
    /// PE-Application.
    Application(Application<'a>),
    /// PE-NonStandard.
    NonStandard(NonStandard<'a>),
    /// PE-End.
    End,
    /// PE-Dummy, reserved: to be treated as not supported.
    Rfu,
    /// The elements that create files by a template: mf to opt-iot, [`Element::kind`] says which.
    Template(TemplateElement<'a>),
    /// An alternative that the ASN.1 does not define.
    Unknown,
}

/// Reads the profile element at the front of `bytes`, which may end anywhere: `None` if more bytes are needed.
///
/// Errors: what the report must say; [`PeStatus::identification`] is set if the element's header could be read.
/// An element of more than [`MAX_ELEMENT`] bytes is not-enough-memory as soon as its length is known.
pub fn next_element(bytes: &[u8]) -> Result<Option<Element<'_>>> {
    let Some((_, header, length)) = leading_length(bytes)? else { return Ok(None) };
    let total = header.saturating_add(length);
    if total > MAX_ELEMENT {
        return Err(PeStatus::new(StatusCode::NotEnoughMemory).at(0));
    }
    let Some(raw) = bytes.get(..total) else { return Ok(None) };
    Element::decode(raw).map(Some)
}

impl<'a> Element<'a> {
    /// Reads exactly one profile element. Errors: as [`next_element`], and anything after the element.
    pub fn decode(raw: &'a [u8]) -> Result<Self> {
        let mut scan = Scan::new(raw);
        let mut reader = Reader::new(raw);
        let tlv = scan.read(&mut reader)?;
        scan.place(reader.rest(), reader.finish())?;
        let kind = PeKind::from_tag(tlv.tag);
        let mut members = tlv.members();
        let header = match kind {
            PeKind::Header | PeKind::Rfu => None,
            PeKind::Unknown => PeHeader::read(&mut tlv.members(), &mut scan).ok(),
            _ => Some(PeHeader::read(&mut members, &mut scan)?),
        };
        let scan_ref = &mut scan;
        let content = match kind {
            PeKind::Header => ProfileElement::Header(ProfileHeader::read(members, scan_ref)?),
            PeKind::GenericFileManagement => ProfileElement::GenericFileManagement(read_list(members, scan_ref)?),
            PeKind::PinCodes => ProfileElement::PinCodes(PinCodes::read(members, scan_ref)?),
            PeKind::PukCodes => ProfileElement::PukCodes(read_list(members, scan_ref)?),
            PeKind::AkaParameter => ProfileElement::AkaParameter(AkaParameter::read(members, scan_ref)?),
            PeKind::CdmaParameter => ProfileElement::CdmaParameter(CdmaParameter::read(members, scan_ref)?),
            PeKind::SecurityDomain => ProfileElement::SecurityDomain(SecurityDomain::read(members, scan_ref)?),
            PeKind::Rfm => ProfileElement::Rfm(Rfm::read(members, scan_ref)?),
            PeKind::Application => ProfileElement::Application(Application::read(members, scan_ref)?),
            PeKind::NonStandard => ProfileElement::NonStandard(NonStandard::read(members, scan_ref)?),
            PeKind::End => {
                scan_ref.rest(members)?;
                ProfileElement::End
            }
            PeKind::Rfu => ProfileElement::Rfu,
            PeKind::Unknown => ProfileElement::Unknown,
            template => ProfileElement::Template(TemplateElement::read(template, members, scan_ref)?),
        };
        Ok(Element { kind, header, content, unknown: scan.unknown, raw })
    }

    /// The number of the element, if it has one.
    #[must_use]
    pub fn identification(&self) -> Option<u16> {
        self.header.map(|header| header.identification)
    }

    /// Whether the installation must stop if this element cannot be processed.
    #[must_use]
    pub fn mandated(&self) -> bool {
        self.header.is_none_or(|header| header.mandated)
    }
}

/// An element whose only member after the header is `[1] SEQUENCE (SIZE (1..MAX)) OF`.
fn read_list<'a, T: Item<'a>>(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<List<'a, T>> {
    let list = expect_list(&mut members, 0xA1, scan)?;
    scan.rest(members)?;
    Ok(list)
}

/// A SEQUENCE (SIZE (1..MAX)) OF.
fn expect_list<'a, T: Item<'a>>(reader: &mut Reader<'a>, tag: u32, scan: &mut Scan<'a>) -> Result<List<'a, T>> {
    let tlv = scan.expect(reader, tag)?;
    filled_list(&tlv, scan)
}

fn optional_list<'a, T: Item<'a>>(
    reader: &mut Reader<'a>,
    tag: u32,
    scan: &mut Scan<'a>,
) -> Result<Option<List<'a, T>>> {
    scan.optional(reader, tag)?.map(|tlv| filled_list(&tlv, scan)).transpose()
}

fn filled_list<'a, T: Item<'a>>(tlv: &Tlv<'a>, scan: &mut Scan<'a>) -> Result<List<'a, T>> {
    if tlv.value.is_empty() {
        return Err(scan.bad(tlv));
    }
    List::check(tlv.value, scan)
}

/// ServicesList: what the eUICC must support.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// Bit n is the member with tag 80 + n.
    pub bits: u32,
    /// A service that the ASN.1 does not define: the eUICC must stop (clause 7.2).
    pub unknown: Option<Tag>,
}

/// The members of ServicesList in their order, which is the order of their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the member of the ASN.1 with that name")]
pub enum Service {
    Contactless,
    Usim,
    Isim,
    Csim,
    Milenage,
    Tuak128,
    Cave,
    GbaUsim,
    GbaIsim,
    Mbms,
    Eap,
    Javacard,
    Multos,
    MultipleUsim,
    MultipleIsim,
    MultipleCsim,
    Tuak256,
    UsimTestAlgorithm,
    BerTlv,
    DfLink,
    CatTp,
    GetIdentity,
    ProfileAX25519,
    ProfileBP256,
    SuciCalculatorApi,
    DnsResolution,
    Scp11ac,
    Scp11cAuthorizationMechanism,
    S16mode,
    Eaka,
}

/// How many services the ASN.1 defines.
const SERVICES: u32 = 30;

impl Service {
    /// Its bit in [`Services::bits`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

impl Services {
    /// Whether `service` is required.
    #[must_use]
    pub const fn contains(self, service: Service) -> bool {
        self.bits & service.bit() != 0
    }

    /// The required services that are not in `supported` (bits as in [`Services::bits`]), as bits.
    #[must_use]
    pub const fn missing(self, supported: u32) -> u32 {
        self.bits & !supported
    }

    fn read<'a>(tlv: &Tlv<'a>, scan: &Scan<'a>) -> Result<Self> {
        let mut services = Services::default();
        let mut members = tlv.members();
        while !members.is_empty() {
            let service = scan.read(&mut members)?;
            let bit = service.tag.0.wrapping_sub(0x80);
            if bit < SERVICES && service.value.is_empty() {
                services.bits |= 1 << bit;
            } else {
                services.unknown.get_or_insert(service.tag);
            }
        }
        Ok(services)
    }
}

/// ProfileHeader.
#[derive(Debug)]
pub struct ProfileHeader<'a> {
    /// major-version.
    pub major: u8,
    /// minor-version.
    pub minor: u8,
    /// profileType, 1 to 100 bytes of text.
    pub profile_type: Option<&'a str>,
    /// iccid: two digits a byte, most significant first, padded with F.
    pub iccid: &'a [u8; 10],
    /// pol, the policy rules of SGP.02.
    pub pol: Option<&'a [u8]>,
    /// eUICC-Mandatory-services.
    pub services: Services,
    /// eUICC-Mandatory-GFSTEList: the templates that must be known.
    pub templates: List<'a, Oid<'a>>,
    /// connectivityParameters.
    pub connectivity: Option<&'a [u8]>,
    /// eUICC-Mandatory-AIDs.
    pub mandatory_aids: List<'a, MandatoryAid<'a>>,
    /// iotOptions: pix, 7 to 11 bytes.
    pub iot_pix: Option<&'a [u8]>,
}

impl<'a> ProfileHeader<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let major = scan.expect_integer(reader, 0x80)?;
        let minor = scan.expect_integer(reader, 0x81)?;
        let profile_type = match scan.optional(reader, 0x82)? {
            Some(tlv) if tlv.value.is_empty() => return Err(scan.bad(&tlv)),
            Some(tlv) => Some(scan.place(tlv.raw, tlv.text(100))?),
            None => None,
        };
        let iccid = scan.expect_array(reader, 0x83)?;
        let pol = scan.optional_octets(reader, 0x84, 0, usize::MAX)?;
        let services = scan.expect(reader, 0xA5)?;
        let services = Services::read(&services, scan)?;
        let templates = scan.expect(reader, 0xA6)?;
        let templates = List::check(templates.value, scan)?;
        let connectivity = scan.optional_octets(reader, 0x87, 0, usize::MAX)?;
        let mandatory_aids = match scan.optional(reader, 0xA8)? {
            Some(tlv) => List::check(tlv.value, scan)?,
            None => List::default(),
        };
        let iot_pix = match scan.optional(reader, 0xA9)? {
            Some(tlv) => {
                let mut options = tlv.members();
                let pix = scan.expect_octets(&mut options, 0x80, 7, 11)?;
                scan.rest(options)?;
                Some(pix)
            }
            None => None,
        };
        scan.rest(members)?;
        Ok(ProfileHeader {
            major,
            minor,
            profile_type,
            iccid,
            pol,
            services,
            templates,
            connectivity,
            mandatory_aids,
            iot_pix,
        })
    }
}

/// One of eUICC-Mandatory-AIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MandatoryAid<'a> {
    /// The AID of a library.
    pub aid: &'a [u8],
    /// Its version, major and minor.
    pub version: [u8; 2],
}

impl<'a> Item<'a> for MandatoryAid<'a> {
    fn read(tlv: &Tlv<'a>, Scanner(scan): &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::SEQUENCE {
            return Ok(None);
        }
        let mut members = tlv.members();
        let aid = scan.expect_octets(&mut members, 0x80, 5, 16)?;
        let version = *scan.expect_array(&mut members, 0x81)?;
        scan.rest(members)?;
        Ok(Some(MandatoryAid { aid, version }))
    }
}

/// A profile element that creates files by a template.
#[derive(Clone, Copy, Debug)]
pub struct TemplateElement<'a> {
    /// templateID.
    pub oid: Oid<'a>,
    /// The template, if it is known and one of this element's: if not, the status is template-not-supported.
    pub template: Option<&'static Template>,
    /// The fields, encoded; checked.
    fields: &'a [u8],
}

/// What an element says of one of its files.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Which file: its place in the ASN.1 and in [`Template::files`], from 0.
    pub index: usize,
    /// What is said.
    pub file: File<'a>,
}

/// The index of the file in a template element that has this tag.
fn field_index(tag: Tag) -> Option<usize> {
    let number = match tag.0 {
        tag @ 0xA0..=0xBE => tag.wrapping_sub(0xA0),
        tag @ 0xBF1F..=0xBF7F => tag.wrapping_sub(0xBF00),
        _ => return None,
    };
    usize::try_from(number.checked_sub(u32::from(FIRST_FILE_TAG))?).ok()
}

/// One file that the installer has to make: what the template and what the package says of it.
#[derive(Clone, Copy, Debug)]
pub struct TemplateEntry<'a> {
    /// Its place in [`Template::files`].
    pub index: usize,
    /// What the template says.
    pub definition: &'static TemplateFile,
    /// What the package says, empty if the file is made by the template alone.
    pub file: File<'a>,
}

impl<'a> TemplateElement<'a> {
    fn read(kind: PeKind, mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let oid = scan.expect(&mut members, 0x81)?;
        let oid = Oid::check(&oid, scan)?;
        let template = template::lookup(oid).filter(|template| template.kind == kind);
        let fields = members.rest();
        let known = template.map_or(usize::MAX, |template| template.files.len());
        let mut next = 0usize;
        while !members.is_empty() {
            let tlv = scan.read(&mut members)?;
            match field_index(tlv.tag) {
                Some(index) if index < next => return Err(scan.fail(StatusCode::InvalidRequestFormat, tlv.raw)),
                Some(index) if index < known => {
                    next = index.saturating_add(1);
                    File::check(tlv.value, scan)?;
                }
                _ => scan.note_unknown(&tlv),
            }
        }
        Ok(TemplateElement { oid, template, fields })
    }

    /// What the package says, field after field in ASN.1 order, also if the template is not known.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let known = self.template.map_or(usize::MAX, |template| template.files.len());
        Reader::new(self.fields).filter_map(move |tlv| {
            let tlv = tlv.ok()?;
            let index = field_index(tlv.tag).filter(|index| *index < known)?;
            Some(Field { index, file: File::checked(tlv.value) })
        })
    }

    /// What the package says of the file with this index.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<File<'a>> {
        self.fields().find(|field| field.index == index).map(|field| field.file)
    }

    /// The files to create, in the template's order, which puts each DF before its files: of a template that is
    /// created by default all but those with doNotCreate, else those that the package names. Nothing if the
    /// template is not known.
    pub fn creations(&self) -> impl Iterator<Item = TemplateEntry<'a>> + use<'a> {
        let element = *self;
        let (files, by_default) =
            self.template.map_or((&[][..], false), |template| (template.files, template.created_by_default));
        (0..usize::MAX).zip(files).filter_map(move |(index, definition)| {
            let file = match element.field(index) {
                Some(file) if file.do_not_create() && element.template.is_some_and(|it| it.kind != PeKind::Mf) => None,
                Some(file) => Some(file),
                None => by_default.then(File::default),
            };
            file.map(|file| TemplateEntry { index, definition, file })
        })
    }
}

/// PE-PINCodes.
#[derive(Debug)]
pub enum PinCodes<'a> {
    /// pinconfig: 1 to 26 PINs of the current context.
    Config(List<'a, PinConfiguration>),
    /// filePath: the PINs of another DF or ADF are shared.
    Shared(&'a [u8]),
}

impl<'a> PinCodes<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let choice = scan.expect(&mut members, 0xA1)?;
        scan.rest(members)?;
        let mut inner = choice.members();
        let codes = match scan.read(&mut inner)? {
            tlv if tlv.tag == Tag(0xA0) => PinCodes::Config(filled_list(&tlv, scan)?),
            tlv if tlv.tag == Tag(0x81) => PinCodes::Shared(path(&tlv, scan)?),
            tlv => return Err(scan.fail(StatusCode::InvalidRequestFormat, tlv.raw)),
        };
        scan.rest(inner)?;
        if let PinCodes::Config(list) = &codes
            && repeats(list.iter().map(|pin| pin.key_reference))
        {
            return Err(scan.bad(&choice));
        }
        Ok(codes)
    }
}

/// Whether a key reference comes twice.
fn repeats(references: impl Iterator<Item = u8>) -> bool {
    let mut seen = [0u64; 4];
    for reference in references {
        let bit = 1u64 << (reference & 0x3F);
        match seen.get_mut(usize::from(reference >> 6)) {
            Some(word) if *word & bit == 0 => *word |= bit,
            _ => return true,
        }
    }
    false
}

/// PINConfiguration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PinConfiguration {
    /// keyReference: 1 to 8 global PINs, 129 to 136 local ones, 10 to 14 and 138 to 142 administrative.
    pub key_reference: u8,
    /// pinValue, padded with FF.
    pub value: [u8; 8],
    /// unblockingPINReference: the PUK, if there is one.
    pub unblocking_reference: Option<u8>,
    /// pinAttributes: bit 0 enabled, bit 1 may be changed, bit 2 may be disabled and enabled. (Not in the ASN.1: as
    /// seen in TS.48 packages.)
    pub attributes: u8,
    /// maxNumOfAttemps: the retry counter's start value.
    pub max_attempts: u8,
    /// retryNumLeft: the retry counter.
    pub attempts_left: u8,
}

impl fmt::Debug for PinConfiguration {
    /// Without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinConfiguration")
            .field("key_reference", &self.key_reference)
            .field("unblocking_reference", &self.unblocking_reference)
            .field("attributes", &self.attributes)
            .field("max_attempts", &self.max_attempts)
            .field("attempts_left", &self.attempts_left)
            .finish_non_exhaustive()
    }
}

/// DEFAULT of pinAttributes.
pub(crate) const DEFAULT_PIN_ATTRIBUTES: u8 = 7;
/// DEFAULT of a PIN's maxNumOfAttemps-retryNumLeft: 3 of 3.
const DEFAULT_PIN_ATTEMPTS: u8 = 0x33;
/// DEFAULT of a PUK's maxNumOfAttemps-retryNumLeft: 10 of 10.
const DEFAULT_PUK_ATTEMPTS: u8 = 0xAA;

impl<'a> Item<'a> for PinConfiguration {
    fn read(tlv: &Tlv<'a>, Scanner(scan): &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::SEQUENCE {
            return Ok(None);
        }
        let mut members = tlv.members();
        let key_reference = reference(&scan.expect(&mut members, 0x80)?, scan, is_pin_reference)?;
        let value = *scan.expect_array(&mut members, 0x81)?;
        let unblocking = scan.optional(&mut members, 0x82)?;
        let unblocking_reference = unblocking.map(|tlv| reference(&tlv, scan, is_puk_reference)).transpose()?;
        let attributes = scan.optional_integer(&mut members, 0x83)?.unwrap_or(DEFAULT_PIN_ATTRIBUTES);
        let attempts = scan.optional_integer(&mut members, 0x84)?.unwrap_or(DEFAULT_PIN_ATTEMPTS);
        scan.rest(members)?;
        let (max_attempts, attempts_left) = (attempts >> 4, attempts & 0x0F);
        Ok(Some(PinConfiguration {
            key_reference,
            value,
            unblocking_reference,
            attributes,
            max_attempts,
            attempts_left,
        }))
    }
}

/// A key reference of an allowed value.
fn reference<'a>(tlv: &Tlv<'a>, scan: &Scan<'a>, allowed: fn(u8) -> bool) -> Result<u8> {
    let reference = scan.integer(tlv)?;
    if allowed(reference) { Ok(reference) } else { Err(scan.bad(tlv)) }
}

/// PINKeyReferenceValue.
fn is_pin_reference(reference: u8) -> bool {
    is_puk_reference(reference) || matches!(reference, 10..=14 | 138..=142)
}

/// PUKKeyReferenceValue.
fn is_puk_reference(reference: u8) -> bool {
    matches!(reference, 1..=8 | 129..=136)
}

/// PUKConfiguration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PukConfiguration {
    /// keyReference: 1 to 8 and 129 to 136.
    pub key_reference: u8,
    /// pukValue.
    pub value: [u8; 8],
    /// maxNumOfAttemps: the retry counter's start value.
    pub max_attempts: u8,
    /// retryNumLeft: the retry counter.
    pub attempts_left: u8,
}

impl fmt::Debug for PukConfiguration {
    /// Without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PukConfiguration")
            .field("key_reference", &self.key_reference)
            .field("max_attempts", &self.max_attempts)
            .field("attempts_left", &self.attempts_left)
            .finish_non_exhaustive()
    }
}

impl<'a> Item<'a> for PukConfiguration {
    fn read(tlv: &Tlv<'a>, Scanner(scan): &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::SEQUENCE {
            return Ok(None);
        }
        let mut members = tlv.members();
        let key_reference = reference(&scan.expect(&mut members, 0x80)?, scan, is_puk_reference)?;
        let value = *scan.expect_array(&mut members, 0x81)?;
        let attempts = scan.optional_integer(&mut members, 0x82)?.unwrap_or(DEFAULT_PUK_ATTEMPTS);
        scan.rest(members)?;
        Ok(Some(PukConfiguration { key_reference, value, max_attempts: attempts >> 4, attempts_left: attempts & 0x0F }))
    }
}

/// PE-AKAParameter, its defaults filled in.
#[derive(Debug)]
pub struct AkaParameter<'a> {
    /// algoConfiguration.
    pub algorithm: AlgoConfiguration<'a>,
    /// sqnOptions.
    pub sqn_options: u8,
    /// sqnDelta: how far a SEQ (without IND, at most 43 bits) may jump.
    pub sqn_delta: u64,
    /// sqnAgeLimit, as SEQ.
    pub sqn_age_limit: u64,
    /// sqnInit: the SEQ of each of the 32 INDs.
    pub sqn_init: [u64; SQN_COUNT],
}

/// Number of SQN values, one for each IND.
pub const SQN_COUNT: usize = 32;

/// DEFAULT of sqnOptions.
const DEFAULT_SQN_OPTIONS: u8 = 0x02;
/// DEFAULT of sqnDelta and sqnAgeLimit.
const DEFAULT_SQN_LIMIT: u64 = 0x1000_0000;
/// The largest SEQ.
const MAX_SEQ: u64 = 0x07FF_FFFF_FFFF;

impl<'a> AkaParameter<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let choice = scan.expect(reader, 0xA1)?;
        let algorithm = AlgoConfiguration::read(choice.members(), scan)?;
        let sqn_options = scan.optional_array(reader, 0x82)?.map_or(DEFAULT_SQN_OPTIONS, |[options]| *options);
        let sqn_delta = scan.optional(reader, 0x83)?.map_or(Ok(DEFAULT_SQN_LIMIT), |tlv| seq(&tlv, scan))?;
        let sqn_age_limit = scan.optional(reader, 0x84)?.map_or(Ok(DEFAULT_SQN_LIMIT), |tlv| seq(&tlv, scan))?;
        let mut sqn_init = [0u64; SQN_COUNT];
        if let Some(list) = scan.optional(reader, 0xA5)? {
            let mut values = list.members();
            for to in &mut sqn_init {
                *to = seq(&scan.expect(&mut values, Tag::OCTET_STRING.0)?, scan)?;
            }
            scan.place(values.rest(), values.finish())?;
        }
        scan.rest(members)?;
        Ok(AkaParameter { algorithm, sqn_options, sqn_delta, sqn_age_limit, sqn_init })
    }
}

/// A SEQ: six bytes, at most [`MAX_SEQ`].
fn seq<'a>(tlv: &Tlv<'a>, scan: &Scan<'a>) -> Result<u64> {
    let value = scan.array::<6>(tlv)?.iter().fold(0u64, |sum, octet| (sum << 8) | u64::from(*octet));
    if value <= MAX_SEQ { Ok(value) } else { Err(scan.bad(tlv)) }
}

/// algoConfiguration.
#[derive(Debug)]
pub enum AlgoConfiguration<'a> {
    /// mappingParameter: the parameters of another NAA are used.
    Mapping {
        /// mappingOptions.
        options: u8,
        /// mappingSource: the AID of that NAA.
        source: &'a [u8],
    },
    /// algoParameter.
    Algorithm(AlgoParameter<'a>),
}

impl<'a> AlgoConfiguration<'a> {
    fn read(mut choice: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let tlv = scan.read(&mut choice)?;
        scan.rest(choice)?;
        let mut members = tlv.members();
        match tlv.tag.0 {
            0xA0 => {
                let [options] = *scan.expect_array(&mut members, 0x80)?;
                let source = scan.expect_octets(&mut members, 0x81, 5, 16)?;
                scan.rest(members)?;
                Ok(AlgoConfiguration::Mapping { options, source })
            }
            0xA1 => AlgoParameter::read(members, scan).map(AlgoConfiguration::Algorithm),
            _ => Err(scan.fail(StatusCode::InvalidRequestFormat, tlv.raw)),
        }
    }
}

/// algorithmID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgorithmId {
    /// milenage(1).
    Milenage,
    /// tuak(2).
    Tuak,
    /// usim-test-algorithm(3), the XOR algorithm of TS 34.108.
    UsimTestAlgorithm,
    /// A value that the ASN.1 does not name.
    Other(u32),
}

impl AlgorithmId {
    fn from_value(value: u32) -> Self {
        match value {
            1 => AlgorithmId::Milenage,
            2 => AlgorithmId::Tuak,
            3 => AlgorithmId::UsimTestAlgorithm,
            other => AlgorithmId::Other(other),
        }
    }
}

/// AlgoParameter, its defaults filled in.
pub struct AlgoParameter<'a> {
    /// algorithmID.
    pub algorithm: AlgorithmId,
    /// algorithmOptions.
    pub options: u8,
    /// key: K, 16 bytes (TUAK: 16 or 32).
    pub key: &'a [u8],
    /// opc: OPc of Milenage (16 bytes), TOPc of TUAK (32 bytes), ignored for the test algorithm.
    pub opc: &'a [u8],
    /// rotationConstants of Milenage, in bits, with flags in the low bits as in the ASN.1.
    pub rotation: [u8; 5],
    /// xoringConstants of Milenage: c1 to c5.
    pub xoring: [u8; 80],
    /// authCounterMax: how often authentication may be tried.
    pub auth_counter_max: Option<[u8; 3]>,
    /// numberOfKeccak of TUAK.
    pub number_of_keccak: u8,
}

impl fmt::Debug for AlgoParameter<'_> {
    /// Without the keys and the operator's constants.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlgoParameter")
            .field("algorithm", &self.algorithm)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// DEFAULT of rotationConstants: r1 to r5 of TS 35.206.
pub const DEFAULT_ROTATION: [u8; 5] = [0x40, 0x00, 0x20, 0x40, 0x60];

/// DEFAULT of xoringConstants: c1 to c5 of TS 35.206, of which the last bytes are 0, 1, 2, 4, 8.
pub const DEFAULT_XORING: [u8; 80] = {
    let mut constants = [0u8; 80];
    constants[31] = 1;
    constants[47] = 2;
    constants[63] = 4;
    constants[79] = 8;
    constants
};

impl<'a> AlgoParameter<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let algorithm = AlgorithmId::from_value(scan.expect_integer(reader, 0x80)?);
        let [options] = *scan.expect_array(reader, 0x81)?;
        let (key_tlv, opc_tlv) = (scan.expect(reader, 0x82)?, scan.expect(reader, 0x83)?);
        let rotation = scan.optional_array(reader, 0x84)?.copied().unwrap_or(DEFAULT_ROTATION);
        let xoring = scan.optional_array(reader, 0x85)?.copied().unwrap_or(DEFAULT_XORING);
        let auth_counter_max = scan.optional_array(reader, 0x86)?.copied();
        let number_of_keccak = scan.optional_integer(reader, 0x87)?.unwrap_or(1);
        scan.rest(members)?;
        let lengths_fit = match algorithm {
            AlgorithmId::Milenage => key_tlv.value.len() == 16 && opc_tlv.value.len() == 16,
            AlgorithmId::Tuak => matches!(key_tlv.value.len(), 16 | 32) && opc_tlv.value.len() == 32,
            AlgorithmId::UsimTestAlgorithm => key_tlv.value.len() == 16,
            AlgorithmId::Other(_) => true,
        };
        if !lengths_fit {
            return Err(scan.bad(&key_tlv));
        }
        let (key, opc) = (key_tlv.value, opc_tlv.value);
        Ok(AlgoParameter { algorithm, options, key, opc, rotation, xoring, auth_counter_max, number_of_keccak })
    }
}

/// PE-CDMAParameter.
pub struct CdmaParameter<'a> {
    /// authenticationKey: the A-key.
    pub authentication_key: &'a [u8; 8],
    /// ssd: shared secret data A and B.
    pub ssd: Option<&'a [u8; 16]>,
    /// hrpdAccessAuthenticationData, 2 to 32 bytes.
    pub hrpd: Option<&'a [u8]>,
    /// simpleIPAuthenticationData, 3 to 483 bytes.
    pub simple_ip: Option<&'a [u8]>,
    /// mobileIPAuthenticationData, 5 to 957 bytes.
    pub mobile_ip: Option<&'a [u8]>,
}

impl fmt::Debug for CdmaParameter<'_> {
    /// Without the secrets, which is all of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CdmaParameter").finish_non_exhaustive()
    }
}

impl<'a> CdmaParameter<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let parameter = CdmaParameter {
            authentication_key: scan.expect_array(reader, 0x81)?,
            ssd: scan.optional_array(reader, 0x82)?,
            hrpd: scan.optional_octets(reader, 0x83, 2, 32)?,
            simple_ip: scan.optional_octets(reader, 0x84, 3, 483)?,
            mobile_ip: scan.optional_octets(reader, 0x85, 5, 957)?,
        };
        scan.rest(members)?;
        Ok(parameter)
    }
}

/// PE-SecurityDomain.
#[derive(Debug)]
pub struct SecurityDomain<'a> {
    /// instance.
    pub instance: ApplicationInstance<'a>,
    /// keyList.
    pub keys: List<'a, KeyObject<'a>>,
    /// sdPersoData: STORE DATA commands.
    pub perso_data: List<'a, &'a [u8]>,
    /// openPersoData, its members as encoded.
    pub open_perso_data: Option<&'a [u8]>,
    /// catTpParameters: the largest SDU and PDU, in bytes.
    pub cat_tp: Option<(u16, u16)>,
}

impl<'a> SecurityDomain<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let instance = scan.expect(reader, 0xA1)?;
        let instance = ApplicationInstance::read_members(instance.members(), scan)?;
        let keys: List<'a, KeyObject<'a>> = optional_list(reader, 0xA2, scan)?.unwrap_or_default();
        let perso_data = optional_list(reader, 0xA3, scan)?.unwrap_or_default();
        let open_perso_data = scan.optional_octets(reader, 0xA4, 0, usize::MAX)?;
        let cat_tp = match scan.optional(reader, 0xA5)? {
            Some(tlv) => {
                let mut sizes = tlv.members();
                let pair = (scan.expect_integer(&mut sizes, 0x80)?, scan.expect_integer(&mut sizes, 0x81)?);
                scan.rest(sizes)?;
                Some(pair)
            }
            None => None,
        };
        scan.rest(members)?;
        Ok(SecurityDomain { instance, keys, perso_data, open_perso_data, cat_tp })
    }
}

/// KeyObject.
#[derive(Clone, Copy, Debug)]
pub struct KeyObject<'a> {
    /// keyUsageQualifier, 1 or 2 bytes (GlobalPlatform Card Specification section 11.1.9).
    pub usage: &'a [u8],
    /// keyAccess.
    pub access: u8,
    /// keyIdentifier.
    pub identifier: u8,
    /// keyVersionNumber.
    pub version: u8,
    /// keyCounterValue.
    pub counter: Option<&'a [u8]>,
    /// keyComponents.
    pub components: List<'a, KeyComponent<'a>>,
}

impl<'a> Item<'a> for KeyObject<'a> {
    fn read(tlv: &Tlv<'a>, Scanner(scan): &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::SEQUENCE {
            return Ok(None);
        }
        let mut members = tlv.members();
        let reader = &mut members;
        let usage = scan.expect_octets(reader, 0x95, 1, 2)?;
        let access = scan.optional_array(reader, 0x96)?.map_or(0, |[access]| *access);
        let [identifier] = *scan.expect_array(reader, 0x82)?;
        let [version] = *scan.expect_array(reader, 0x83)?;
        let counter = scan.optional_octets(reader, 0x85, 0, usize::MAX)?;
        let components = expect_list(reader, Tag::SEQUENCE.0, scan)?;
        scan.rest(members)?;
        Ok(Some(KeyObject { usage, access, identifier, version, counter, components }))
    }
}

/// One of keyComponents.
#[derive(Clone, Copy)]
pub struct KeyComponent<'a> {
    /// keyType (GlobalPlatform Card Specification section 11.1.8).
    pub key_type: &'a [u8],
    /// keyData.
    pub data: &'a [u8],
    /// macLength, in bytes.
    pub mac_length: u8,
}

impl fmt::Debug for KeyComponent<'_> {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyComponent(type {:02X?}, {} bytes)", self.key_type, self.data.len())
    }
}

/// DEFAULT of macLength.
const DEFAULT_MAC_LENGTH: u8 = 8;

impl<'a> Item<'a> for KeyComponent<'a> {
    fn read(tlv: &Tlv<'a>, Scanner(scan): &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::SEQUENCE {
            return Ok(None);
        }
        let mut members = tlv.members();
        let key_type = scan.expect_octets(&mut members, 0x80, 1, 2)?;
        let data = scan.expect_octets(&mut members, 0x86, 0, usize::MAX)?;
        let mac_length = scan.optional_integer(&mut members, 0x87)?.unwrap_or(DEFAULT_MAC_LENGTH);
        scan.rest(members)?;
        Ok(Some(KeyComponent { key_type, data, mac_length }))
    }
}

/// ApplicationInstance.
#[derive(Clone, Copy, Debug)]
pub struct ApplicationInstance<'a> {
    /// applicationLoadPackageAID.
    pub load_package_aid: &'a [u8],
    /// classAID.
    pub class_aid: &'a [u8],
    /// instanceAID.
    pub instance_aid: &'a [u8],
    /// extraditeSecurityDomainAID.
    pub extradite_aid: Option<&'a [u8]>,
    /// applicationPrivileges.
    pub privileges: &'a [u8],
    /// lifeCycleState.
    pub life_cycle: u8,
    /// applicationSpecificParametersC9.
    pub parameters: &'a [u8],
    /// systemSpecificParameters, its members as encoded.
    pub system_parameters: Option<&'a [u8]>,
    /// uiccToolkitApplicationSpecificParametersField.
    pub toolkit_parameters: Option<&'a [u8]>,
    /// uiccAccessApplicationSpecificParametersField.
    pub access_parameters: Option<&'a [u8]>,
    /// uiccAdministrativeAccessApplicationSpecificParametersField.
    pub administrative_access_parameters: Option<&'a [u8]>,
    /// processData: commands for the instance.
    pub process_data: List<'a, &'a [u8]>,
    /// controlReferenceTemplate, its members as encoded.
    pub control_reference: Option<&'a [u8]>,
}

/// DEFAULT of lifeCycleState: SELECTABLE, which GlobalPlatform codes 07.
const DEFAULT_LIFE_CYCLE: u8 = 0x07;

impl<'a> ApplicationInstance<'a> {
    fn read_members(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let load_package_aid = scan.expect_octets(reader, 0x4F, 5, 16)?;
        let class_aid = scan.expect_octets(reader, 0x4F, 5, 16)?;
        let instance_aid = scan.expect_octets(reader, 0x4F, 5, 16)?;
        let extradite_aid = scan.optional_octets(reader, 0x4F, 5, 16)?;
        let privileges = scan.expect_octets(reader, 0x82, 1, 3)?;
        let life_cycle = scan.optional_array(reader, 0x83)?.map_or(DEFAULT_LIFE_CYCLE, |[state]| *state);
        let parameters = scan.expect_octets(reader, 0xC9, 0, usize::MAX)?;
        let system_parameters = scan.optional_octets(reader, 0xEF, 0, usize::MAX)?;
        let mut uicc = scan.optional(reader, 0xEA)?.map_or(Reader::new(&[]), |tlv| tlv.members());
        let toolkit_parameters = scan.optional_octets(&mut uicc, 0x80, 0, usize::MAX)?;
        let access_parameters = scan.optional_octets(&mut uicc, 0x81, 0, usize::MAX)?;
        let administrative_access_parameters = scan.optional_octets(&mut uicc, 0x82, 0, usize::MAX)?;
        scan.rest(uicc)?;
        let process_data = optional_list(reader, Tag::SEQUENCE.0, scan)?.unwrap_or_default();
        let control_reference = scan.optional_octets(reader, 0xB0, 0, usize::MAX)?;
        scan.rest(members)?;
        Ok(ApplicationInstance {
            load_package_aid,
            class_aid,
            instance_aid,
            extradite_aid,
            privileges,
            life_cycle,
            parameters,
            system_parameters,
            toolkit_parameters,
            access_parameters,
            administrative_access_parameters,
            process_data,
            control_reference,
        })
    }
}

impl<'a> Item<'a> for ApplicationInstance<'a> {
    fn read(tlv: &Tlv<'a>, Scanner(scan): &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::SEQUENCE {
            return Ok(None);
        }
        Self::read_members(tlv.members(), scan).map(Some)
    }
}

/// PE-RFM: a remote file management application.
#[derive(Debug)]
pub struct Rfm<'a> {
    /// instanceAID.
    pub instance_aid: &'a [u8],
    /// securityDomainAID; absent is the MNO-SD.
    pub security_domain_aid: Option<&'a [u8]>,
    /// tarList; if empty, the TAR is bytes 13 to 15 of the instance AID.
    pub tars: List<'a, Tar>,
    /// minimumSecurityLevel.
    pub minimum_security_level: u8,
    /// uiccAccessDomain.
    pub access_domain: &'a [u8],
    /// uiccAdminAccessDomain.
    pub admin_access_domain: &'a [u8],
    /// adfRFMAccess: the ADF that is selected by default.
    pub adf: Option<AdfRfmAccess<'a>>,
}

/// One of tarList: a toolkit application reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tar(pub [u8; 3]);

impl<'a> Item<'a> for Tar {
    fn read(tlv: &Tlv<'a>, Scanner(scan): &mut Scanner<'_, 'a>) -> Result<Option<Self>> {
        if tlv.tag != Tag::OCTET_STRING {
            return Ok(None);
        }
        scan.array(tlv).map(|tar| Some(Tar(*tar)))
    }
}

/// ADFRFMAccess.
#[derive(Clone, Copy, Debug)]
pub struct AdfRfmAccess<'a> {
    /// adfAID.
    pub aid: &'a [u8],
    /// adfAccessDomain.
    pub access_domain: &'a [u8],
    /// adfAdminAccessDomain.
    pub admin_access_domain: &'a [u8],
}

impl<'a> Rfm<'a> {
    /// The header and the list of TARs have the same tag; their order tells them apart.
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let instance_aid = scan.expect_octets(reader, 0x4F, 5, 16)?;
        let security_domain_aid = scan.optional_octets(reader, 0x4F, 5, 16)?;
        let tars = optional_list(reader, 0xA0, scan)?.unwrap_or_default();
        let [minimum_security_level] = *scan.expect_array(reader, 0x81)?;
        let access_domain = scan.expect_octets(reader, 0x04, 0, usize::MAX)?;
        let admin_access_domain = scan.expect_octets(reader, 0x04, 0, usize::MAX)?;
        let adf = match scan.optional(reader, 0x30)? {
            Some(tlv) => {
                let mut access = tlv.members();
                let adf = AdfRfmAccess {
                    aid: scan.expect_octets(&mut access, 0x80, 5, 16)?,
                    access_domain: scan.expect_octets(&mut access, 0x81, 0, usize::MAX)?,
                    admin_access_domain: scan.expect_octets(&mut access, 0x82, 0, usize::MAX)?,
                };
                scan.rest(access)?;
                Some(adf)
            }
            None => None,
        };
        scan.rest(members)?;
        Ok(Rfm {
            instance_aid,
            security_domain_aid,
            tars,
            minimum_security_level,
            access_domain,
            admin_access_domain,
            adf,
        })
    }
}

/// PE-Application.
#[derive(Debug)]
pub struct Application<'a> {
    /// loadBlock.
    pub load_block: Option<ApplicationLoadPackage<'a>>,
    /// instanceList.
    pub instances: List<'a, ApplicationInstance<'a>>,
}

/// ApplicationLoadPackage.
#[derive(Clone, Copy, Debug)]
pub struct ApplicationLoadPackage<'a> {
    /// loadPackageAID.
    pub aid: &'a [u8],
    /// securityDomainAID.
    pub security_domain_aid: Option<&'a [u8]>,
    /// nonVolatileCodeLimitC6.
    pub code_limit: Option<&'a [u8]>,
    /// volatileDataLimitC7.
    pub volatile_limit: Option<&'a [u8]>,
    /// nonVolatileDataLimitC8.
    pub non_volatile_limit: Option<&'a [u8]>,
    /// hashValue.
    pub hash: Option<&'a [u8]>,
    /// loadBlockObject.
    pub load_block: &'a [u8],
}

impl<'a> Application<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let load_block = match scan.optional(&mut members, 0xA1)? {
            Some(tlv) => Some(ApplicationLoadPackage::read(tlv.members(), scan)?),
            None => None,
        };
        let instances = optional_list(&mut members, 0xA2, scan)?.unwrap_or_default();
        scan.rest(members)?;
        Ok(Application { load_block, instances })
    }
}

impl<'a> ApplicationLoadPackage<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let reader = &mut members;
        let package = ApplicationLoadPackage {
            aid: scan.expect_octets(reader, 0x4F, 5, 16)?,
            security_domain_aid: scan.optional_octets(reader, 0x4F, 5, 16)?,
            code_limit: scan.optional_octets(reader, 0xC6, 0, usize::MAX)?,
            volatile_limit: scan.optional_octets(reader, 0xC7, 0, usize::MAX)?,
            non_volatile_limit: scan.optional_octets(reader, 0xC8, 0, usize::MAX)?,
            hash: scan.optional_octets(reader, 0xC1, 0, usize::MAX)?,
            load_block: scan.expect_octets(reader, 0xC4, 0, usize::MAX)?,
        };
        scan.rest(members)?;
        Ok(package)
    }
}

/// PE-NonStandard.
pub struct NonStandard<'a> {
    /// issuerID.
    pub issuer: Oid<'a>,
    /// content.
    pub content: &'a [u8],
}

impl fmt::Debug for NonStandard<'_> {
    /// Without the content, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonStandard({:?}, {} bytes)", self.issuer, self.content.len())
    }
}

impl<'a> NonStandard<'a> {
    fn read(mut members: Reader<'a>, scan: &mut Scan<'a>) -> Result<Self> {
        let issuer = scan.expect(&mut members, 0x81)?;
        let issuer = Oid::check(&issuer, scan)?;
        let content = scan.expect_octets(&mut members, 0x82, 0, usize::MAX)?;
        scan.rest(members)?;
        Ok(NonStandard { issuer, content })
    }
}
