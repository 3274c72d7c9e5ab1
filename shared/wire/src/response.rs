use crate::codec::{DecodeError, Fields, put_bytes};
use crate::version;
use alloc::vec::Vec;
use core::fmt;
use teuicc_tlv::{OutOfMemory, TryBytes, try_copy};

/// What the card answers. Which fields follow is known from the request.
#[derive(PartialEq, Eq)]
pub enum Response {
    /// To `Hello`.
    Hello(Hello),
    /// To `PowerUp`: the answer to reset, 2 to 32 bytes.
    Atr(Vec<u8>),
    /// To `PowerDown` and `Personalize`.
    Done,
    /// To `Transmit`.
    Transmitted(Transmitted),
    /// To `FactoryRequest`: a PKCS#10 certificate request in DER.
    CertificateRequest(Vec<u8>),
    /// The card refuses, or is broken.
    Error(Error),
}

/// What a card says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Whether the card has its identity, and which.
    pub state: State,
    /// What it can do, and what its storage is good for.
    pub features: Features,
    /// What is stored of the enabled profile is damaged: the card works as without an enabled profile until another one
    /// is enabled.
    pub profile_damaged: bool,
}

/// Life-cycle state of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Before personalization: the factory operations are open, the eUICC is not.
    Factory,
    /// Personalized with this EID, 16 bytes of BCD.
    Personalized([u8; 16]),
}

/// What a card can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The stored state is protected against being rolled back to an older copy.
    pub rollback_protection: bool,
    /// An external test identity can be imported: a development build.
    pub identity_import: bool,
}

/// The outcome of a batch.
#[derive(PartialEq, Eq)]
pub struct Transmitted {
    /// How many commands were executed; all before the last one answered 9000 without data.
    pub executed: u16,
    /// The response APDU of the last executed command: data, SW1, SW2.
    pub last: Vec<u8>,
    /// A proactive command that tells of a profile switch waits to be fetched on the modem's interface.
    pub proactive_pending: bool,
    /// The enabled profile is another one than before: the modem must reset or be replugged.
    pub card_changed: bool,
}

impl fmt::Debug for Response {
    /// Kind and lengths: response data may be a key (CK, IK).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Response::Hello(hello) => write!(f, "{hello:?}"),
            Response::Atr(atr) => write!(f, "Atr({} bytes)", atr.len()),
            Response::Done => f.write_str("Done"),
            Response::Transmitted(done) => write!(f, "{done:?}"),
            Response::CertificateRequest(csr) => write!(f, "CertificateRequest({} bytes)", csr.len()),
            Response::Error(error) => write!(f, "{error:?}"),
        }
    }
}

impl fmt::Debug for Transmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transmitted({} executed, last {} bytes)", self.executed, self.last.len())
    }
}

/// Why the card refuses, or how it is broken. The numbers are the wire's and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Error {
    /// The request's version is not spoken.
    Version = 1,
    /// The request is malformed or unknown.
    Malformed = 2,
    /// The card is not personalized yet.
    NotPersonalized = 3,
    /// The factory operations are closed: the card is personalized.
    FactoryClosed = 4,
    /// A certificate of the chain is not what it must be, or does not fit the key or the EID.
    BadIdentity = 5,
    /// This build does not import keys.
    ImportNotSupported = 6,
    /// Stored state other than that of a profile is damaged or missing. The card does nothing until it is repaired;
    /// nothing was overwritten.
    StoreCorrupt = 7,
    /// The storage cannot be reached or written.
    StoreUnavailable = 8,
    /// Not enough memory.
    OutOfMemory = 9,
    /// The interface is not powered.
    NotPowered = 10,
}

impl Error {
    const ALL: [Error; 10] = [
        Error::Version,
        Error::Malformed,
        Error::NotPersonalized,
        Error::FactoryClosed,
        Error::BadIdentity,
        Error::ImportNotSupported,
        Error::StoreCorrupt,
        Error::StoreUnavailable,
        Error::OutOfMemory,
        Error::NotPowered,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Version => "the card does not speak this version of the wire protocol",
            Error::Malformed => "the card does not understand the request",
            Error::NotPersonalized => "the card is not personalized: run `teuicc card personalize` first",
            Error::FactoryClosed => "the card is personalized already, which can be done once only",
            Error::BadIdentity => "the certificates do not form an eUICC chain that fits the key and the EID",
            Error::ImportNotSupported => "this build of the card does not import keys",
            Error::StoreCorrupt => "the card's stored state is damaged or incomplete; nothing was overwritten",
            Error::StoreUnavailable => "the card's storage cannot be read or written",
            Error::OutOfMemory => "the card is out of memory",
            Error::NotPowered => "the interface is not powered up",
        })
    }
}

impl core::error::Error for Error {}

/// What stands before the response of the last command: version, status, kind, two numbers and flags.
const TRANSMITTED_HEADER: usize = 10;

const ROLLBACK_PROTECTION: u32 = 1 << 0;
const IDENTITY_IMPORT: u32 = 1 << 1;
const PROFILE_DAMAGED: u32 = 1 << 2;
const PROACTIVE_PENDING: u8 = 1 << 0;
const CARD_CHANGED: u8 = 1 << 1;

/// Kinds of response on the wire, after the status byte 0.
mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const ATR: u8 = 2;
    pub(super) const DONE: u8 = 3;
    pub(super) const TRANSMITTED: u8 = 4;
    pub(super) const CERTIFICATE_REQUEST: u8 = 5;
}

impl Response {
    /// Reads a response. Errors: another version, or fields that do not fit; `Missing` also when memory for the
    /// data runs out.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields(bytes);
        let spoken = fields.u8("version")?;
        if !(version::MIN..=version::CURRENT).contains(&spoken) {
            return Err(DecodeError::Version(spoken));
        }
        let copy = |bytes: &[u8]| try_copy(bytes).map_err(|_| DecodeError::Missing("memory"));
        let status = fields.u8("status")?;
        let response = if status != 0 {
            let error = Error::ALL.into_iter().find(|error| error.code() == status);
            Response::Error(error.ok_or(DecodeError::Unknown("status"))?)
        } else {
            match fields.u8("kind")? {
                kind::HELLO => Response::Hello(hello(&mut fields)?),
                kind::ATR => Response::Atr(copy(fields.bytes("atr")?)?),
                kind::DONE => Response::Done,
                kind::TRANSMITTED => {
                    let executed = fields.u16("executed")?;
                    let flags = fields.u8("flags")?;
                    Response::Transmitted(Transmitted {
                        executed,
                        proactive_pending: flags & PROACTIVE_PENDING != 0,
                        card_changed: flags & CARD_CHANGED != 0,
                        last: copy(fields.bytes("last")?)?,
                    })
                }
                kind::CERTIFICATE_REQUEST => Response::CertificateRequest(copy(fields.bytes("request")?)?),
                _ => return Err(DecodeError::Unknown("kind")),
            }
        };
        fields.finish()?;
        Ok(response)
    }

    /// Writes a response. Errors: out of memory.
    pub fn encode(&self) -> Result<Vec<u8>, OutOfMemory> {
        let mut out = Vec::new();
        if let Response::Transmitted(done) = self {
            // At once: what every command takes should not grow bit by bit.
            out.try_reserve_exact(done.last.len().saturating_add(TRANSMITTED_HEADER)).map_err(|_| OutOfMemory)?;
        }
        out.try_push(version::CURRENT)?;
        match self {
            Response::Error(error) => out.try_push(error.code())?,
            Response::Hello(hello) => {
                let flags = (if hello.features.rollback_protection { ROLLBACK_PROTECTION } else { 0 })
                    | (if hello.features.identity_import { IDENTITY_IMPORT } else { 0 })
                    | (if hello.profile_damaged { PROFILE_DAMAGED } else { 0 });
                out.try_extend(&[0, kind::HELLO, version::MIN, version::CURRENT])?;
                out.try_extend(&flags.to_be_bytes())?;
                match &hello.state {
                    State::Factory => out.try_push(0)?,
                    State::Personalized(eid) => {
                        out.try_push(1)?;
                        out.try_extend(eid)?;
                    }
                }
            }
            Response::Atr(atr) => {
                out.try_extend(&[0, kind::ATR])?;
                put_bytes(&mut out, atr)?;
            }
            Response::Done => out.try_extend(&[0, kind::DONE])?,
            Response::Transmitted(done) => {
                let flags = (if done.proactive_pending { PROACTIVE_PENDING } else { 0 })
                    | (if done.card_changed { CARD_CHANGED } else { 0 });
                out.try_extend(&[0, kind::TRANSMITTED])?;
                out.try_extend(&done.executed.to_be_bytes())?;
                out.try_push(flags)?;
                put_bytes(&mut out, &done.last)?;
            }
            Response::CertificateRequest(request) => {
                out.try_extend(&[0, kind::CERTIFICATE_REQUEST])?;
                put_bytes(&mut out, request)?;
            }
        }
        Ok(out)
    }
}

fn hello(fields: &mut Fields<'_>) -> Result<Hello, DecodeError> {
    let _min = fields.u8("min")?;
    let _current = fields.u8("current")?;
    let flags = fields.u32("flags")?;
    let state = match fields.u8("state")? {
        0 => State::Factory,
        1 => State::Personalized(fields.array("eid")?),
        _ => return Err(DecodeError::Unknown("state")),
    };
    Ok(Hello {
        state,
        features: Features {
            rollback_protection: flags & ROLLBACK_PROTECTION != 0,
            identity_import: flags & IDENTITY_IMPORT != 0,
        },
        profile_damaged: flags & PROFILE_DAMAGED != 0,
    })
}
