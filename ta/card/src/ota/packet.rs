//! Secured packets (TS 102 225 sections 5.1 and 5.2) as short messages carry them (TS 31.115 section 4).
//!
//! ```text
//! command   CPL 2, CHL 1, SPI 2, KIc 1, KID 1, TAR 3, [ CNTR 5, PCNTR 1, CC 0, 4 or 8, data, padding ]
//! response  UDH 02 71 00, RPL 2, RHL 1, TAR 3, [ CNTR 5, PCNTR 1, status 1, CC 0, 4 or 8, data, padding ]
//! ```
//!
//! What stands in brackets is encrypted if SPI says so. The checksum is taken over the plain packet without itself:
//! over the padding too, in a response over the user data header too.

use super::cipher::Key;
use alloc::vec::Vec;
use subtle::ConstantTimeEq;
use teuicc_tlv::{OutOfMemory, TryBytes, try_copy};
use zeroize::Zeroizing;

/// Most bytes of a response packet, its user data header included: what a SMS-DELIVER-REPORT takes from a card.
const MAX_RESPONSE: usize = 128;
/// The user data header of a response packet: one information element, the response packet identifier.
const RESPONSE_UDH: [u8; 3] = [0x02, 0x71, 0x00];
/// The plain beginning of a command packet: CPL to TAR.
const PLAIN_HEADER: usize = 10;
/// SPI to PCNTR: what CHL counts besides the checksum.
const HEADER: usize = 13;
/// TAR to the status: what RHL counts besides the checksum.
const RESPONSE_HEADER: usize = 10;
/// CNTR to the status.
const SECURED_HEADER: usize = 7;

/// The counter of replay detection: 40 bits.
pub(crate) type Counter = u64;
/// The counter that no other can follow: the key set is blocked.
pub(super) const MAX_COUNTER: Counter = 0xFF_FFFF_FFFF;

/// Response status code (TS 102 225 table 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The packet was accepted; what became of its commands is in the data.
    Ok = 0x00,
    /// RC, CC or DS failed.
    ChecksumFailed = 0x01,
    /// The counter is too low.
    CounterLow = 0x02,
    /// The counter is too high.
    CounterHigh = 0x03,
    /// The counter has reached its end.
    CounterBlocked = 0x04,
    /// The ciphered part is not whole blocks, or has more padding than data.
    CipheringError = 0x05,
    /// Undefined security error: no such key, an algorithm that is not supported or is another than the key's.
    SecurityError = 0x06,
    /// No application has this TAR.
    TarUnknown = 0x09,
    /// The security level is insufficient.
    InsufficientSecurity = 0x0A,
}

/// What is done about replays (SPI1 bits 5 and 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CounterMode {
    /// There is no counter.
    None,
    /// There is one, and it is not checked.
    Unchecked,
    /// It must be higher than the last one.
    Higher,
    /// It must be one higher than the last one.
    OneHigher,
}

impl CounterMode {
    /// Whether a packet can be executed once only.
    pub(super) fn is_checked(self) -> bool {
        matches!(self, CounterMode::Higher | CounterMode::OneHigher)
    }
}

/// What protects a packet against changes (SPI1 and SPI2 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Integrity {
    None,
    /// Redundancy check, which anyone can make.
    Redundancy,
    /// Cryptographic checksum.
    Checksum,
    /// Digital signature.
    Signature,
}

impl Integrity {
    fn of(bits: u8) -> Self {
        match bits & 0x03 {
            0 => Integrity::None,
            1 => Integrity::Redundancy,
            2 => Integrity::Checksum,
            _ => Integrity::Signature,
        }
    }
}

/// Security parameter indicator: SPI1 says how the command packet is protected, SPI2 what response is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spi(pub(super) [u8; 2]);

impl Spi {
    pub(super) fn counter(self) -> CounterMode {
        match (self.0[0] >> 3) & 0x03 {
            0 => CounterMode::None,
            1 => CounterMode::Unchecked,
            2 => CounterMode::Higher,
            _ => CounterMode::OneHigher,
        }
    }

    pub(super) fn ciphered(self) -> bool {
        self.0[0] & 0x04 != 0
    }

    pub(super) fn integrity(self) -> Integrity {
        Integrity::of(self.0[0])
    }

    /// Whether the command packet is protected at least as `minimum` (coded as SPI1) wants it.
    pub(super) fn satisfies(self, minimum: u8) -> bool {
        let minimum = Spi([minimum, 0]);
        self.integrity() >= minimum.integrity()
            && (self.ciphered() || !minimum.ciphered())
            && self.0[0] & 0x18 >= minimum.0[0] & 0x18
    }

    /// Whether a response is asked for if the packet ends with `status`.
    pub(super) fn wants_response(self, status: Status) -> bool {
        match self.0[1] & 0x03 {
            1 => true,
            2 => status != Status::Ok,
            _ => false,
        }
    }

    pub(super) fn response_integrity(self) -> Integrity {
        Integrity::of(self.0[1] >> 2)
    }

    pub(super) fn response_ciphered(self) -> bool {
        self.0[1] & 0x10 != 0
    }
}

/// The two keys of a key set. The one that is not needed may be absent.
pub(super) struct Keys {
    /// KIc, for ciphering.
    pub(super) kic: Option<Key>,
    /// KID, for checksums.
    pub(super) kid: Key,
    /// Length of the checksums in bytes, 4 or 8.
    pub(super) checksum_length: usize,
}

/// A command packet, read as far as it is plain.
pub(super) struct CommandPacket<'a> {
    pub(super) spi: Spi,
    pub(super) kic: u8,
    pub(super) kid: u8,
    pub(super) tar: [u8; 3],
    /// CPL to TAR.
    header: [u8; PLAIN_HEADER],
    checksum_length: usize,
    /// From CNTR on, perhaps encrypted.
    rest: &'a [u8],
}

/// What was in a command packet that has the right checksum.
pub(super) struct Opened {
    pub(super) counter: Counter,
    pub(super) data: Zeroizing<Vec<u8>>,
}

/// Why a command packet was not accepted.
#[derive(Debug)]
pub(super) enum Refused {
    /// The response says why.
    Status(Status),
    OutOfMemory,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Refused::Status(status)
    }
}

impl From<OutOfMemory> for Refused {
    fn from(_: OutOfMemory) -> Self {
        Refused::OutOfMemory
    }
}

impl<'a> CommandPacket<'a> {
    /// Reads a packet from the user data behind its header. `None` if lengths contradict each other.
    pub(super) fn parse(packet: &'a [u8]) -> Option<Self> {
        let (header, rest) = packet.split_first_chunk::<PLAIN_HEADER>()?;
        let [cpl_high, cpl_low, chl, spi1, spi2, kic, kid, tar @ ..] = *header;
        let packet_length = usize::from(u16::from_be_bytes([cpl_high, cpl_low]));
        let checksum_length = usize::from(chl).checked_sub(HEADER)?;
        (packet.len().checked_sub(2)? == packet_length).then_some(CommandPacket {
            spi: Spi([spi1, spi2]),
            kic,
            kid,
            tar,
            header: *header,
            checksum_length,
            rest,
        })
    }

    /// Decrypts the packet if it is encrypted, checks the cryptographic checksum, and takes the padding off.
    pub(super) fn open(&self, keys: &Keys) -> Result<Opened, Refused> {
        let mut plain = Zeroizing::new(try_copy(self.rest)?);
        if self.spi.ciphered() {
            let kic = keys.kic.as_ref().ok_or(Status::SecurityError)?;
            if plain.is_empty() || !plain.len().is_multiple_of(kic.block()) {
                return Err(Status::CipheringError.into());
            }
            kic.decrypt(&mut plain);
        }
        if self.checksum_length != keys.checksum_length {
            return Err(Status::ChecksumFailed.into());
        }
        let (counters, rest) = plain.split_first_chunk::<6>().ok_or(Status::ChecksumFailed)?;
        let (checksum, data) = rest.split_at_checked(self.checksum_length).ok_or(Status::ChecksumFailed)?;
        let expected = keys.kid.checksum(&[&self.header, counters, data]);
        if !expected.get(..self.checksum_length).is_some_and(|expected| expected.ct_eq(checksum).into()) {
            return Err(Status::ChecksumFailed.into());
        }
        let [counter @ .., padding] = counters;
        let length = data.len().checked_sub(usize::from(*padding)).ok_or(Status::CipheringError)?;
        let data = Zeroizing::new(try_copy(data.get(..length).unwrap_or_default())?);
        Ok(Opened { counter: counter.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)), data })
    }
}

/// How a response packet is protected.
pub(super) struct Protection<'a> {
    /// KID and the length of the checksum in bytes.
    checksum: Option<(&'a Key, usize)>,
    /// KIc.
    cipher: Option<&'a Key>,
}

impl<'a> Protection<'a> {
    /// None at all: for somebody who has not shown that he has the keys.
    pub(super) const NONE: Protection<'static> = Protection { checksum: None, cipher: None };

    /// What `spi` asks for. Errors: it asks for something that there is not.
    pub(super) fn new(spi: Spi, keys: &'a Keys) -> Result<Self, Status> {
        let checksum = match spi.response_integrity() {
            Integrity::None => None,
            Integrity::Checksum => Some((&keys.kid, keys.checksum_length)),
            Integrity::Redundancy | Integrity::Signature => return Err(Status::SecurityError),
        };
        let cipher = if spi.response_ciphered() { Some(keys.kic.as_ref().ok_or(Status::SecurityError)?) } else { None };
        Ok(Protection { checksum, cipher })
    }

    fn checksum_length(&self) -> usize {
        self.checksum.map_or(0, |(_, length)| length)
    }

    /// How many bytes of data a response packet takes.
    pub(super) fn room(&self) -> usize {
        // UDH, RPL, RHL and TAR are never encrypted.
        let plain = RESPONSE_UDH.len().saturating_add(6);
        let block = self.cipher.map_or(1, Key::block);
        let rest = MAX_RESPONSE.saturating_sub(plain);
        let whole_blocks = rest.saturating_sub(rest.checked_rem(block).unwrap_or(0));
        whole_blocks.saturating_sub(self.checksum_length()).saturating_sub(SECURED_HEADER)
    }

    /// The response packet with its user data header, for the application `tar` and the packet with this `counter`.
    /// `data` is at most [`Protection::room`] bytes. Errors: out of memory.
    pub(super) fn response(
        &self,
        tar: [u8; 3],
        counter: Counter,
        status: Status,
        data: &[u8],
    ) -> Result<Vec<u8>, OutOfMemory> {
        let secured = self.checksum_length().saturating_add(data.len()).saturating_add(SECURED_HEADER);
        let padding = self.cipher.map_or(0, |key| {
            let blocks = secured.div_ceil(key.block());
            blocks.saturating_mul(key.block()).saturating_sub(secured)
        });
        let length = secured.saturating_add(padding).saturating_add(4);
        let header_length = self.checksum_length().saturating_add(RESPONSE_HEADER);
        let mut response = Vec::new();
        // All of it at once: growing would leave copies of what is to be encrypted behind.
        response.try_reserve_exact(length.saturating_add(5)).map_err(|_| OutOfMemory)?;
        response.try_extend(&RESPONSE_UDH)?;
        response.try_extend(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes())?;
        response.try_push(u8::try_from(header_length).unwrap_or(u8::MAX))?;
        response.try_extend(&tar)?;
        let plain = response.len();
        response.try_extend(counter.to_be_bytes().split_at(3).1)?;
        response.try_push(u8::try_from(padding).unwrap_or(u8::MAX))?;
        response.try_push(status as u8)?;
        let pad = [0; 16];
        let pad = pad.get(..padding).unwrap_or_default();
        if let Some((key, length)) = self.checksum {
            let checksum = key.checksum(&[&response, data, pad]);
            response.try_extend(checksum.get(..length).unwrap_or(&checksum))?;
        }
        response.try_extend(data)?;
        response.try_extend(pad)?;
        if let Some(key) = self.cipher {
            key.encrypt(response.get_mut(plain..).unwrap_or_default());
        }
        Ok(response)
    }
}
