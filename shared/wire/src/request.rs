use crate::codec::{DecodeError, Fields, put_bytes};
use crate::version;
use alloc::vec::Vec;
use core::fmt;
use teuicc_tlv::{OutOfMemory, TryBytes};

/// Who is asking: each has its own power, logical channels, selections and pending data (the logical SE
/// interfaces of TS 102 221).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The modem, or whatever a virtual SIM interface serves.
    Modem,
    /// The local profile assistant of this device.
    Lpa,
}

impl Interface {
    fn byte(self) -> u8 {
        match self {
            Interface::Modem => 0,
            Interface::Lpa => 1,
        }
    }

    fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            0 => Ok(Interface::Modem),
            1 => Ok(Interface::Lpa),
            _ => Err(DecodeError::Unknown("interface")),
        }
    }
}

/// What the normal world asks of the card.
#[derive(Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// Which card is this, and what can it do? The first request of every session.
    Hello,
    /// Powers or resets an interface: its channels, selections and PIN state are those after a reset.
    PowerUp(Interface),
    /// Takes power from an interface, after writing what is kept in memory for it.
    PowerDown(Interface),
    /// Executes command APDUs in order, until one answers with data or with a status word other than 9000.
    Transmit {
        /// Whose channels.
        interface: Interface,
        /// The command APDUs.
        commands: Commands<'a>,
    },
    /// Factory: makes an eUICC key pair in the card and asks for a certificate request.
    FactoryRequest(FactoryRequest<'a>),
    /// Factory: installs certificates and settings, once. Closes the factory operations for good.
    Personalize(Personalization<'a>),
}

/// A key pair to make, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactoryRequest<'a> {
    /// The EID, 16 bytes of BCD (SGP.02 section 2.2.2, SGP.29).
    pub eid: [u8; 16],
    /// Which curve: 0 NIST P-256, 1 brainpoolP256r1.
    pub curve: u8,
    /// The EUM's organization name, UTF-8 of 1 to 64 bytes; it becomes the certificate's O.
    pub organization: &'a str,
}

/// Certificates and settings of a card. One chain a curve.
#[derive(Clone, PartialEq, Eq)]
pub struct Personalization<'a> {
    /// 1 or 2 chains, the first has priority.
    pub chains: [Option<Chain<'a>>; 2],
    /// Default SM-DP+ address (SGP.22 BF3C tag 80), empty for none.
    pub default_dp_address: &'a str,
    /// Root SM-DS address (SGP.22 BF3C tag 81).
    pub root_ds_address: &'a str,
    /// The Rules Authorisation Table: the ProfilePolicyAuthorisationRule objects in DER, one after the other
    /// (the value of tag A0 in SGP.22 BF43). Empty forbids every profile policy rule.
    pub rules_authorisation_table: &'a [u8],
}

/// One CI's certificates in DER, and possibly a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain<'a> {
    /// Whether profiles under this CI may be for tests: the XOR algorithm is then allowed in any of them.
    pub test_ci: bool,
    /// CERT.CI.ECDSA.
    pub ci: &'a [u8],
    /// CERT.EUM.ECDSA.
    pub eum: &'a [u8],
    /// CERT.EUICC.ECDSA.
    pub euicc: &'a [u8],
    /// SK.EUICC.ECDSA, the 32-byte scalar, when an external test identity is imported; `None` if the key was
    /// made in the card. Refused by a card built without that import.
    pub key: Option<&'a [u8; 32]>,
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("test_ci", &self.test_ci).field("imported", &self.key.is_some()).finish()
    }
}

impl fmt::Debug for Request<'_> {
    /// The operation alone: command APDUs may hold a PIN.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Hello => f.write_str("Hello"),
            Request::PowerUp(interface) => write!(f, "PowerUp({interface:?})"),
            Request::PowerDown(interface) => write!(f, "PowerDown({interface:?})"),
            Request::Transmit { interface, .. } => write!(f, "Transmit({interface:?})"),
            Request::FactoryRequest(_) => f.write_str("FactoryRequest"),
            Request::Personalize(_) => f.write_str("Personalize"),
        }
    }
}

/// A batch of command APDUs, each behind a 16-bit length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Commands<'a>(pub(crate) &'a [u8]);

impl<'a> Commands<'a> {
    /// Takes the bytes that [`encode_commands`] made. Errors: a length that does not fit.
    pub fn new(encoded: &'a [u8]) -> Result<Self, DecodeError> {
        let commands = Commands(encoded);
        let counted: usize =
            commands.fold(0, |sum: usize, command| sum.saturating_add(command.len()).saturating_add(2));
        if counted == encoded.len() { Ok(commands) } else { Err(DecodeError::Missing("commands")) }
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (command, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.0 = rest;
        Some(command)
    }
}

/// Joins command APDUs (each at most 65535 bytes) for [`Commands::new`]. Errors: out of memory, or longer.
pub fn encode_commands<T: AsRef<[u8]>>(commands: &[T]) -> Result<Vec<u8>, OutOfMemory> {
    let mut encoded = Vec::new();
    for command in commands {
        let command = command.as_ref();
        let length = u16::try_from(command.len()).map_err(|_| OutOfMemory)?;
        encoded.try_extend(&length.to_be_bytes())?;
        encoded.try_extend(command)?;
    }
    Ok(encoded)
}

mod opcode {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const POWER_UP: u8 = 0x10;
    pub(super) const POWER_DOWN: u8 = 0x11;
    pub(super) const TRANSMIT: u8 = 0x12;
    pub(super) const FACTORY_REQUEST: u8 = 0x80;
    pub(super) const PERSONALIZE: u8 = 0x81;
}

impl<'a> Request<'a> {
    /// Reads a request. Errors: another version, an unknown operation, or fields that do not fit.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields(bytes);
        let spoken = fields.u8("version")?;
        if !(version::MIN..=version::CURRENT).contains(&spoken) {
            return Err(DecodeError::Version(spoken));
        }
        let request = match fields.u8("opcode")? {
            opcode::HELLO => Request::Hello,
            opcode::POWER_UP => Request::PowerUp(Interface::from_byte(fields.u8("interface")?)?),
            opcode::POWER_DOWN => Request::PowerDown(Interface::from_byte(fields.u8("interface")?)?),
            opcode::TRANSMIT => Request::Transmit {
                interface: Interface::from_byte(fields.u8("interface")?)?,
                commands: Commands::new(fields.bytes("commands")?)?,
            },
            opcode::FACTORY_REQUEST => Request::FactoryRequest(FactoryRequest {
                eid: fields.array("eid")?,
                curve: fields.u8("curve")?,
                organization: text(&mut fields, "organization")?,
            }),
            opcode::PERSONALIZE => Request::Personalize(Personalization {
                default_dp_address: text(&mut fields, "default_dp_address")?,
                root_ds_address: text(&mut fields, "root_ds_address")?,
                rules_authorisation_table: fields.bytes("rules_authorisation_table")?,
                chains: match fields.u8("chains")? {
                    1 => [Some(chain(&mut fields)?), None],
                    2 => [Some(chain(&mut fields)?), Some(chain(&mut fields)?)],
                    _ => return Err(DecodeError::Unknown("chains")),
                },
            }),
            _ => return Err(DecodeError::Unknown("opcode")),
        };
        fields.finish()?;
        Ok(request)
    }

    /// Writes a request. Errors: out of memory.
    pub fn encode(&self) -> Result<Vec<u8>, OutOfMemory> {
        let mut out = Vec::new();
        out.try_push(version::CURRENT)?;
        match self {
            Request::Hello => out.try_push(opcode::HELLO)?,
            Request::PowerUp(interface) => out.try_extend(&[opcode::POWER_UP, interface.byte()])?,
            Request::PowerDown(interface) => out.try_extend(&[opcode::POWER_DOWN, interface.byte()])?,
            Request::Transmit { interface, commands } => {
                out.try_extend(&[opcode::TRANSMIT, interface.byte()])?;
                put_bytes(&mut out, commands.0)?;
            }
            Request::FactoryRequest(request) => {
                out.try_push(opcode::FACTORY_REQUEST)?;
                out.try_extend(&request.eid)?;
                out.try_push(request.curve)?;
                put_bytes(&mut out, request.organization.as_bytes())?;
            }
            Request::Personalize(settings) => {
                out.try_push(opcode::PERSONALIZE)?;
                put_bytes(&mut out, settings.default_dp_address.as_bytes())?;
                put_bytes(&mut out, settings.root_ds_address.as_bytes())?;
                put_bytes(&mut out, settings.rules_authorisation_table)?;
                let count = settings.chains.iter().flatten().count();
                out.try_push(u8::try_from(count).unwrap_or(0))?;
                for chain in settings.chains.iter().flatten() {
                    out.try_extend(&[u8::from(chain.test_ci), u8::from(chain.key.is_some())])?;
                    out.try_extend(chain.key.map_or(&[][..], |key| key))?;
                    for certificate in [chain.ci, chain.eum, chain.euicc] {
                        put_bytes(&mut out, certificate)?;
                    }
                }
            }
        }
        Ok(out)
    }
}

fn text<'a>(fields: &mut Fields<'a>, field: &'static str) -> Result<&'a str, DecodeError> {
    core::str::from_utf8(fields.bytes(field)?).map_err(|_| DecodeError::Unknown(field))
}

fn flag(fields: &mut Fields<'_>, field: &'static str) -> Result<bool, DecodeError> {
    match fields.u8(field)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Unknown(field)),
    }
}

fn chain<'a>(fields: &mut Fields<'a>) -> Result<Chain<'a>, DecodeError> {
    let test_ci = flag(fields, "test_ci")?;
    let key = if flag(fields, "key")? {
        let (key, rest) = fields.0.split_first_chunk::<32>().ok_or(DecodeError::Missing("key"))?;
        fields.0 = rest;
        Some(key)
    } else {
        None
    };
    Ok(Chain { test_ci, key, ci: fields.bytes("ci")?, eum: fields.bytes("eum")?, euicc: fields.bytes("euicc")? })
}
