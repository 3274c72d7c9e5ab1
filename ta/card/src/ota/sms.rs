//! Short messages from the network: SMS-PP download (TS 31.111 section 7.1), the SMS-DELIVER in it and its user data
//! header (TS 23.040 sections 9.2.2.1 and 9.2.3.24), and messages in several parts.

use alloc::vec::Vec;
use teuicc_tlv::{OutOfMemory, Reader, TryBytes, try_copy};

/// Most parts of a message.
pub(super) const MAX_PARTS: u8 = 16;
/// Most bytes of user data, its header included (TS 23.040 section 9.2.3.16).
const MAX_USER_DATA: usize = 140;
/// Most bytes of an address in a SMS-DELIVER, its length and type included.
const MAX_ADDRESS: usize = 12;

/// TP-MTI, 0 for SMS-DELIVER.
const MESSAGE_TYPE: u8 = 0x03;
/// TP-UDHI: the user data begins with a header.
const USER_DATA_HEADER: u8 = 0x40;

/// Information elements of a user data header.
const CONCATENATED_8_BIT: u8 = 0x00;
const CONCATENATED_16_BIT: u8 = 0x08;
const COMMAND_PACKET: u8 = 0x70;

/// A short message with a user data header, as far as it matters for secured packets.
pub(super) struct Message<'a> {
    /// TP-OA: length, type and digits, filled with 00.
    originator: [u8; MAX_ADDRESS],
    /// Whether its header says that a command packet begins here.
    is_command_packet: bool,
    part: Option<Part>,
    /// The user data behind its header.
    data: &'a [u8],
}

/// Which part of which message.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Part {
    reference: u16,
    total: u8,
    /// From 1.
    number: u8,
}

impl<'a> Message<'a> {
    /// Reads the value of a SMS-PP download object (D1). `None` if there is no short message with a header in it.
    ///
    /// TP-UDL is not looked at: the object's length and that of the packet say the same, and servers get it wrong.
    pub(super) fn parse(download: &'a [u8]) -> Option<Self> {
        // SMS TPDU, with or without the comprehension bit.
        let tpdu = Reader::new(download).flatten().find(|object| object.tag.0 & 0x7F == 0x0B)?.value;
        let (first, rest) = tpdu.split_first()?;
        if first & MESSAGE_TYPE != 0 || first & USER_DATA_HEADER == 0 {
            return None;
        }
        let digits = usize::from(*rest.first()?);
        let (address, rest) = rest.split_at_checked(digits.div_ceil(2).saturating_add(2))?;
        let mut originator = [0; MAX_ADDRESS];
        if address.len() > originator.len() {
            return None;
        }
        originator.iter_mut().zip(address).for_each(|(to, from)| *to = *from);
        // TP-PID, TP-DCS, TP-SCTS and TP-UDL.
        let (_, user_data) = rest.split_at_checked(1 + 1 + 7 + 1)?;
        if user_data.len() > MAX_USER_DATA {
            return None;
        }
        let (length, user_data) = user_data.split_first()?;
        let (header, data) = user_data.split_at_checked(usize::from(*length))?;
        let mut message = Message { originator, is_command_packet: false, part: None, data };
        message.read_header(header)?;
        Some(message)
    }

    fn read_header(&mut self, mut header: &[u8]) -> Option<()> {
        while let [identifier, length, rest @ ..] = header {
            let (element, behind) = rest.split_at_checked(usize::from(*length))?;
            match (*identifier, element) {
                (CONCATENATED_8_BIT, [reference, total, number]) => {
                    self.part = Some(Part { reference: u16::from(*reference), total: *total, number: *number });
                }
                (CONCATENATED_16_BIT, [high, low, total, number]) => {
                    let reference = u16::from_be_bytes([*high, *low]);
                    self.part = Some(Part { reference, total: *total, number: *number });
                }
                (COMMAND_PACKET, _) => self.is_command_packet = true,
                _ => {}
            }
            header = behind;
        }
        // A part that cannot be makes the element one that is not there (TS 23.040 section 9.2.3.24.1).
        self.part = self.part.filter(|part| part.number != 0 && part.number <= part.total);
        header.is_empty().then_some(())
    }
}

/// Puts together a message that comes in parts, one at a time: the first part of another one drops it.
#[derive(Default)]
pub(crate) struct Reassembly {
    originator: [u8; MAX_ADDRESS],
    reference: u16,
    total: u8,
    is_command_packet: bool,
    /// Number and data of the parts that are here.
    parts: Vec<(u8, Vec<u8>)>,
}

/// What a message brought.
pub(super) enum Brought {
    /// A whole command packet.
    CommandPacket(Vec<u8>),
    /// Nothing yet, or nothing that is a command packet.
    Nothing,
    /// More parts than the card takes.
    TooLong,
}

impl Reassembly {
    /// Takes a message. Errors: out of memory, what was there before is kept.
    pub(super) fn take(&mut self, message: &Message<'_>) -> Result<Brought, OutOfMemory> {
        let Some(part) = message.part.filter(|part| part.total > 1) else {
            return match message.is_command_packet {
                true => Ok(Brought::CommandPacket(try_copy(message.data)?)),
                false => Ok(Brought::Nothing),
            };
        };
        if part.total > MAX_PARTS {
            return Ok(Brought::TooLong);
        }
        let data = try_copy(message.data)?;
        let same = (self.originator, self.reference, self.total) == (message.originator, part.reference, part.total);
        if !same {
            let (originator, reference, total) = (message.originator, part.reference, part.total);
            *self = Reassembly { originator, reference, total, is_command_packet: false, parts: Vec::new() };
        }
        if self.parts.iter().any(|(number, _)| *number == part.number) {
            // The network repeats what it thinks was lost.
            return Ok(Brought::Nothing);
        }
        let last = self.parts.len().saturating_add(1) >= usize::from(self.total);
        let mut whole = Vec::new();
        if last {
            // Before the part counts as received: if there is no memory now, the network repeats it.
            let length = self.parts.iter().fold(data.len(), |sum, (_, data)| sum.saturating_add(data.len()));
            whole.try_reserve_exact(length).map_err(|_| OutOfMemory)?;
        }
        self.parts.try_push((part.number, data))?;
        self.is_command_packet |= part.number == 1 && message.is_command_packet;
        if !last {
            return Ok(Brought::Nothing);
        }
        for number in 1..=self.total {
            // Each is there once. Sorting would be shorter here, and 1.5 KiB more in the card.
            for (_, data) in self.parts.iter().filter(|(of, _)| *of == number) {
                whole.try_extend(data)?;
            }
        }
        let is_command_packet = self.is_command_packet;
        *self = Reassembly::default();
        Ok(if is_command_packet { Brought::CommandPacket(whole) } else { Brought::Nothing })
    }
}
