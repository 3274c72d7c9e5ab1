//! What the eUICC reports of an installation: PEStatus and EUICCResponse of the profile package's ASN.1.

use alloc::vec::Vec;
use core::fmt;
use teuicc_tlv::{ErrorKind, OutOfMemory, Reader, Tag, Tlv, TryBytes, Writer};

/// Longest statusMessage, in bytes.
const MAX_MESSAGE: usize = 64;

/// Most PEStatus entries that are read from or written to one EUICCResponse.
pub const MAX_STATUSES: usize = 256;

/// The status values of PEStatus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// ok(0).
    Ok,
    /// pe-not-supported(1).
    PeNotSupported,
    /// memory-failure(2).
    MemoryFailure,
    /// bad-values(3).
    BadValues,
    /// not-enough-memory(4).
    NotEnoughMemory,
    /// invalid-request-format(5).
    InvalidRequestFormat,
    /// invalid-parameter(6).
    InvalidParameter,
    /// runtime-not-supported(7).
    RuntimeNotSupported,
    /// lib-not-supported(8).
    LibNotSupported,
    /// template-not-supported(9).
    TemplateNotSupported,
    /// feature-not-supported(10).
    FeatureNotSupported,
    /// pin-code-missing(11).
    PinCodeMissing,
    /// unsupported-profile-version(31).
    UnsupportedProfileVersion,
    /// Any other value: an ISO 7816 status word 6xxx or 9xxx, or a proprietary one.
    Other(u16),
}

/// The named values, both ways.
const NAMED: [(StatusCode, u16); 13] = [
    (StatusCode::Ok, 0),
    (StatusCode::PeNotSupported, 1),
    (StatusCode::MemoryFailure, 2),
    (StatusCode::BadValues, 3),
    (StatusCode::NotEnoughMemory, 4),
    (StatusCode::InvalidRequestFormat, 5),
    (StatusCode::InvalidParameter, 6),
    (StatusCode::RuntimeNotSupported, 7),
    (StatusCode::LibNotSupported, 8),
    (StatusCode::TemplateNotSupported, 9),
    (StatusCode::FeatureNotSupported, 10),
    (StatusCode::PinCodeMissing, 11),
    (StatusCode::UnsupportedProfileVersion, 31),
];

impl StatusCode {
    /// The INTEGER on the wire.
    #[must_use]
    pub fn value(self) -> u16 {
        match self {
            StatusCode::Other(value) => value,
            named => NAMED.iter().find(|(code, _)| *code == named).map_or(0, |(_, value)| *value),
        }
    }

    /// Whether the eUICC lacks what the package asks for. Else the package is at fault, or there was no room for it.
    #[must_use]
    pub fn is_missing_feature(self) -> bool {
        matches!(
            self,
            StatusCode::PeNotSupported
                | StatusCode::RuntimeNotSupported
                | StatusCode::LibNotSupported
                | StatusCode::TemplateNotSupported
                | StatusCode::FeatureNotSupported
                | StatusCode::UnsupportedProfileVersion
        )
    }

    /// The status of an INTEGER on the wire.
    #[must_use]
    pub fn from_value(value: u16) -> Self {
        NAMED.iter().find(|(_, number)| *number == value).map_or(StatusCode::Other(value), |(code, _)| *code)
    }
}

impl From<&teuicc_tlv::Error> for StatusCode {
    fn from(error: &teuicc_tlv::Error) -> Self {
        match error.kind {
            ErrorKind::Value { .. } => StatusCode::BadValues,
            ErrorKind::OutOfMemory => StatusCode::NotEnoughMemory,
            _ => StatusCode::InvalidRequestFormat,
        }
    }
}

/// One entry of the report; also the error type of this crate's decoding and layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeStatus {
    /// What happened.
    pub status: StatusCode,
    /// The identification of the profile element, absent for the header and the final ok.
    pub identification: Option<u16>,
    /// Details that depend on `status`.
    pub additional_information: Option<u8>,
    /// Where in the profile element, in bytes from its tag.
    pub offset: Option<u32>,
}

impl PeStatus {
    /// A status with nothing else said.
    #[must_use]
    pub const fn new(status: StatusCode) -> Self {
        PeStatus { status, identification: None, additional_information: None, offset: None }
    }

    /// The same, of this profile element, unless one is already named.
    #[must_use]
    pub fn of(mut self, identification: Option<u16>) -> Self {
        self.identification = self.identification.or(identification);
        self
    }

    /// The same with an offset in bytes from the profile element's tag, unless one is already there.
    #[must_use]
    pub fn at(mut self, offset: u32) -> Self {
        self.offset = self.offset.or(Some(offset));
        self
    }

    /// The same with additional-information.
    #[must_use]
    pub fn with_additional(mut self, additional_information: u8) -> Self {
        self.additional_information = Some(additional_information);
        self
    }

    fn write(&self, out: &mut Writer) -> Result<(), teuicc_tlv::Error> {
        out.nested(Tag::SEQUENCE, |out| {
            out.unsigned(Tag(0x80), u32::from(self.status.value()))?;
            if let Some(identification) = self.identification {
                out.unsigned(Tag(0x81), u32::from(identification))?;
            }
            if let Some(information) = self.additional_information {
                out.unsigned(Tag(0x82), u32::from(information))?;
            }
            if let Some(offset) = self.offset {
                out.unsigned(Tag(0x83), offset)?;
            }
            Ok(())
        })
    }

    fn parse(tlv: &Tlv<'_>) -> Result<Self, teuicc_tlv::Error> {
        let mut members = tlv.members();
        let status = narrow(&members.expect(Tag(0x80))?)?;
        let identification = members.optional(Tag(0x81))?.map(|tlv| narrow(&tlv)).transpose()?;
        let additional_information = members.optional(Tag(0x82))?.map(|tlv| narrow(&tlv)).transpose()?;
        let offset = members.optional(Tag(0x83))?.map(|tlv| tlv.unsigned()).transpose()?;
        members.skip_rest()?;
        Ok(PeStatus { status: StatusCode::from_value(status), identification, additional_information, offset })
    }
}

/// An INTEGER of a narrower type. Errors: it does not fit.
pub(crate) fn narrow<T: TryFrom<u32>>(tlv: &Tlv<'_>) -> Result<T, teuicc_tlv::Error> {
    T::try_from(tlv.unsigned()?).map_err(|_| tlv.bad_value())
}

impl From<teuicc_tlv::Error> for PeStatus {
    fn from(error: teuicc_tlv::Error) -> Self {
        PeStatus::new(StatusCode::from(&error))
    }
}

impl From<OutOfMemory> for PeStatus {
    fn from(_: OutOfMemory) -> Self {
        PeStatus::new(StatusCode::NotEnoughMemory)
    }
}

impl fmt::Display for PeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.status)?;
        if let Some(identification) = self.identification {
            write!(f, " in profile element {identification}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        Ok(())
    }
}

impl core::error::Error for PeStatus {}

/// The report of one installation: the content of the OCTET STRING in the ProfileInstallationResult.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EuiccResponse {
    /// One entry for each warning, then the error or the final ok.
    pub statuses: Vec<PeStatus>,
    /// profileInstallationAborted: nothing was installed.
    pub aborted: bool,
    /// statusMessage, 2 to 64 bytes of text.
    pub message: Option<&'static str>,
}

impl EuiccResponse {
    /// Appends an entry; entries after the first [`MAX_STATUSES`] are dropped. Errors: out of memory.
    pub fn push(&mut self, status: PeStatus) -> Result<(), OutOfMemory> {
        if self.statuses.len() >= MAX_STATUSES {
            return Ok(());
        }
        self.statuses.try_push(status)
    }

    /// The DER encoding; with nothing to report it is `3000`, as eUICCs in the field send it. Errors: out of memory.
    pub fn encode(&self) -> Result<Vec<u8>, teuicc_tlv::Error> {
        let mut out = Writer::new();
        out.nested(Tag::SEQUENCE, |out| {
            if !self.statuses.is_empty() {
                out.nested(Tag(0xA0), |out| self.statuses.iter().try_for_each(|status| status.write(out)))?;
            }
            if self.aborted {
                out.primitive(Tag(0x81), &[])?;
            }
            match self.message {
                Some(message) if (2..=MAX_MESSAGE).contains(&message.len()) => {
                    out.primitive(Tag(0x82), message.as_bytes())
                }
                _ => Ok(()),
            }
        })?;
        Ok(out.into_bytes())
    }

    /// Reads a response; the message is not kept. `3000`, which some eUICCs send for "all ok", reads as empty.
    ///
    /// Errors: not an EUICCResponse, more than [`MAX_STATUSES`] entries, out of memory.
    pub fn parse(bytes: &[u8]) -> Result<Self, teuicc_tlv::Error> {
        let mut members = Tlv::parse(bytes, Tag::SEQUENCE)?.members();
        let mut response = EuiccResponse::default();
        if let Some(list) = members.optional(Tag(0xA0))? {
            for entry in Reader::new(list.value) {
                let entry = entry?;
                if entry.tag != Tag::SEQUENCE || response.statuses.len() >= MAX_STATUSES {
                    return Err(list.bad_value());
                }
                response.push(PeStatus::parse(&entry)?)?;
            }
        }
        response.aborted = members.optional(Tag(0x81))?.is_some();
        members.skip_rest()?;
        Ok(response)
    }
}
