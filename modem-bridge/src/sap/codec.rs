//! Messages of the Bluetooth SIM Access Profile 1.1 (section 5).
//!
//! ```text
//! message   = id u8, number of parameters u8, 2 reserved bytes, parameters
//! parameter = id u8, reserved byte, length u16 big-endian, value, 0 to 3 zero bytes up to a multiple of 4
//! ```

use crate::inbox::Inbox;
use zeroize::Zeroizing;

/// The longest message that is taken. A TPDU needs 272 bytes.
pub(crate) const MAX_MESSAGE: u16 = 4096;
/// The shortest MaxMsgSize that is enough: the answer to a TPDU with 256 bytes of data, SW1 and SW2. Modules were seen
/// to offer just that.
pub(crate) const MIN_MESSAGE: u16 = 276;

const HEADER: usize = 4;
const PARAMETER_HEADER: usize = 4;
/// More parameters than any message has.
const MAX_PARAMETERS: u8 = 8;

/// What a message is (table 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Id {
    ConnectReq = 0x00,
    ConnectResp = 0x01,
    DisconnectReq = 0x02,
    DisconnectResp = 0x03,
    DisconnectInd = 0x04,
    TransferApduReq = 0x05,
    TransferApduResp = 0x06,
    TransferAtrReq = 0x07,
    TransferAtrResp = 0x08,
    PowerSimOffReq = 0x09,
    PowerSimOffResp = 0x0A,
    PowerSimOnReq = 0x0B,
    PowerSimOnResp = 0x0C,
    ResetSimReq = 0x0D,
    ResetSimResp = 0x0E,
    TransferCardReaderStatusReq = 0x0F,
    TransferCardReaderStatusResp = 0x10,
    StatusInd = 0x11,
    ErrorResp = 0x12,
    SetTransportProtocolReq = 0x13,
    SetTransportProtocolResp = 0x14,
}

impl Id {
    const ALL: [Id; 21] = [
        Id::ConnectReq,
        Id::ConnectResp,
        Id::DisconnectReq,
        Id::DisconnectResp,
        Id::DisconnectInd,
        Id::TransferApduReq,
        Id::TransferApduResp,
        Id::TransferAtrReq,
        Id::TransferAtrResp,
        Id::PowerSimOffReq,
        Id::PowerSimOffResp,
        Id::PowerSimOnReq,
        Id::PowerSimOnResp,
        Id::ResetSimReq,
        Id::ResetSimResp,
        Id::TransferCardReaderStatusReq,
        Id::TransferCardReaderStatusResp,
        Id::StatusInd,
        Id::ErrorResp,
        Id::SetTransportProtocolReq,
        Id::SetTransportProtocolResp,
    ];

    fn from_byte(byte: u8) -> Option<Id> {
        Id::ALL.get(usize::from(byte)).copied()
    }
}

/// What a parameter is (table 5.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ParameterId {
    MaxMsgSize = 0x00,
    ConnectionStatus = 0x01,
    ResultCode = 0x02,
    DisconnectionType = 0x03,
    CommandApdu = 0x04,
    ResponseApdu = 0x05,
    Atr = 0x06,
    CardReaderStatus = 0x07,
    StatusChange = 0x08,
    TransportProtocol = 0x09,
    CommandApdu7816 = 0x10,
}

impl ParameterId {
    const ALL: [ParameterId; 11] = [
        ParameterId::MaxMsgSize,
        ParameterId::ConnectionStatus,
        ParameterId::ResultCode,
        ParameterId::DisconnectionType,
        ParameterId::CommandApdu,
        ParameterId::ResponseApdu,
        ParameterId::Atr,
        ParameterId::CardReaderStatus,
        ParameterId::StatusChange,
        ParameterId::TransportProtocol,
        ParameterId::CommandApdu7816,
    ];
}

/// A message with the parameters that are known; others are passed over.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: Id,
    parameters: Vec<(ParameterId, Zeroizing<Vec<u8>>)>,
}

impl Message {
    /// A message without parameters.
    pub(crate) fn new(id: Id) -> Self {
        Message { id, parameters: Vec::new() }
    }

    /// Adds a parameter of one byte.
    pub(crate) fn byte(self, id: ParameterId, value: u8) -> Self {
        self.bytes(id, vec![value])
    }

    /// Adds a parameter.
    pub(crate) fn bytes(mut self, id: ParameterId, value: Vec<u8>) -> Self {
        self.parameters.push((id, Zeroizing::new(value)));
        self
    }

    /// The value of a parameter, if the message has it.
    pub(crate) fn parameter(&self, id: ParameterId) -> Option<&[u8]> {
        self.parameters.iter().find(|(found, _)| *found == id).map(|(_, value)| value.as_slice())
    }

    /// The value of a parameter of one byte.
    pub(crate) fn parameter_byte(&self, id: ParameterId) -> Option<u8> {
        match self.parameter(id) {
            Some([byte]) => Some(*byte),
            _ => None,
        }
    }

    /// The bytes of the message. `osmocom_padding`: with 4 bytes of padding after a value whose length is a multiple
    /// of 4, as osmocom-bb writes and wants it. `None`: a value is longer than a parameter.
    pub(crate) fn encode(&self, osmocom_padding: bool) -> Option<Zeroizing<Vec<u8>>> {
        let longest = |(_, value): &(_, Zeroizing<Vec<u8>>)| PARAMETER_HEADER + value.len() + 4;
        let capacity = HEADER + self.parameters.iter().map(longest).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        bytes.extend([self.id as u8, u8::try_from(self.parameters.len()).ok()?, 0, 0]);
        for (id, value) in &self.parameters {
            bytes.extend([*id as u8, 0]);
            bytes.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(value);
            let padding = if osmocom_padding { 4 - value.len() % 4 } else { padding(value.len()) };
            let length = bytes.len() + padding;
            bytes.resize(length, 0);
        }
        Some(bytes)
    }
}

impl std::fmt::Debug for Message {
    /// Without the values, which may be a PIN or keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}(", self.id)?;
        for (id, value) in &self.parameters {
            write!(f, "{id:?} {} bytes ", value.len())?;
        }
        f.write_str(")")
    }
}

/// What is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a message longer than {MAX_MESSAGE} bytes")]
    TooLong,
    #[error("message {0:02X}, which does not exist")]
    Unknown(u8),
    #[error("a message with {0} parameters")]
    Parameters(u8),
}

fn padding(length: usize) -> usize {
    length.next_multiple_of(4) - length
}

/// Puts messages together from bytes as they arrive. A length is only found by walking over the parameters, so that
/// after something malformed everything that came with it is lost: [`Messages::clear`].
#[derive(Default)]
pub(crate) struct Messages(Inbox);

impl Messages {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.push(bytes);
    }

    /// Whether there is a part of a message.
    pub(crate) fn is_partial(&self) -> bool {
        !self.0.is_empty()
    }

    /// Forgets what has come.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The next whole message. Errors: what came is none.
    pub(crate) fn next_message(&mut self) -> Result<Option<Message>, Malformed> {
        // The padding that osmocom-bb adds: a CONNECT_REQ without a parameter does not exist.
        while self.0.len() >= HEADER && self.0.iter().take(HEADER).all(|byte| *byte == 0) {
            self.0.take(HEADER);
        }
        let (Some(id), Some(count)) = (self.0.first(), self.0.get(1)) else { return Ok(None) };
        let id = Id::from_byte(*id).ok_or(Malformed::Unknown(*id))?;
        if *count > MAX_PARAMETERS {
            return Err(Malformed::Parameters(*count));
        }
        let mut parameters = Vec::new();
        let mut at = HEADER;
        for _ in 0..*count {
            let (Some(kind), Some(high), Some(low)) = (self.0.get(at), self.0.get(at + 2), self.0.get(at + 3)) else {
                return if at > usize::from(MAX_MESSAGE) { Err(Malformed::TooLong) } else { Ok(None) };
            };
            let (kind, length) = (*kind, usize::from(u16::from_be_bytes([*high, *low])));
            let start = at + PARAMETER_HEADER;
            at = start + length + padding(length);
            if at > usize::from(MAX_MESSAGE) {
                return Err(Malformed::TooLong);
            }
            if let Some(known) = ParameterId::ALL.iter().find(|known| **known as u8 == kind) {
                parameters.push((*known, start..start + length));
            }
        }
        if self.0.len() < at {
            return Ok(None);
        }
        let bytes = self.0.take(at);
        let value = |range| bytes.get::<std::ops::Range<usize>>(range).map(|value| Zeroizing::new(value.to_vec()));
        let parameters = parameters.into_iter().filter_map(|(id, range)| Some((id, value(range)?))).collect();
        Ok(Some(Message { id, parameters }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Message {
        let mut messages = Messages::default();
        messages.push(bytes);
        messages.next_message().unwrap().unwrap()
    }

    /// Captured from osmocom-bb's `mobile`, and the answers that it took.
    #[test]
    fn messages_of_osmocom_bb() {
        let connect = read(&hex!("00010000 00000002 012c0000"));
        assert_eq!((connect.id, connect.parameter(ParameterId::MaxMsgSize)), (Id::ConnectReq, Some(&hex!("012c")[..])));
        let ok = Message::new(Id::ConnectResp).byte(ParameterId::ConnectionStatus, 0);
        assert_eq!(*ok.encode(false).unwrap(), hex!("01010000 01000001 00000000"));
        let reset = Message::new(Id::StatusInd).byte(ParameterId::StatusChange, 1);
        assert_eq!(*reset.encode(true).unwrap(), hex!("11010000 08000001 01000000"));
        assert_eq!(read(&hex!("07000000")), Message::new(Id::TransferAtrReq));
        let select = read(&hex!("05010000 04000007 a0a40000023f0000"));
        assert_eq!(select.parameter(ParameterId::CommandApdu), Some(&hex!("a0a40000023f00")[..]));
    }

    #[test]
    fn padding_is_strict_or_osmocoms() {
        let answer = Message::new(Id::TransferApduResp)
            .byte(ParameterId::ResultCode, 0)
            .bytes(ParameterId::ResponseApdu, hex!("01029000").to_vec());
        assert_eq!(*answer.encode(false).unwrap(), hex!("06020000 02000001 00000000 05000004 01029000"));
        assert_eq!(*answer.encode(true).unwrap(), hex!("06020000 02000001 00000000 05000004 01029000 00000000"));
        // Its own requests come with the same 4 bytes more.
        let mut messages = Messages::default();
        messages.push(&hex!("05010000 04000008 a0c000000f000000 00000000 07000000 00000000 0900"));
        assert_eq!(messages.next_message().unwrap().unwrap().id, Id::TransferApduReq);
        assert_eq!(messages.next_message().unwrap().unwrap().id, Id::TransferAtrReq);
        assert_eq!(messages.next_message(), Ok(None));
        messages.push(&hex!("0000"));
        assert_eq!(messages.next_message().unwrap().unwrap().id, Id::PowerSimOffReq);
    }

    #[test]
    fn what_is_no_message_is_told() {
        let malformed = |bytes: &[u8]| {
            let mut messages = Messages::default();
            messages.push(bytes);
            messages.next_message()
        };
        assert_eq!(malformed(&hex!("15000000")), Err(Malformed::Unknown(0x15)));
        assert_eq!(malformed(&hex!("0509")), Err(Malformed::Parameters(9)));
        assert_eq!(malformed(&hex!("05010000 0400ffff")), Err(Malformed::TooLong));
        assert_eq!(malformed(&hex!("05010000 04001000")), Err(Malformed::TooLong));
        assert_eq!(malformed(&hex!("05010000 04000007 a0")), Ok(None));
        assert_eq!(malformed(&hex!("05010000 40000001 00000000")).unwrap().unwrap(), Message::new(Id::TransferApduReq));
    }

    fn message() -> impl Strategy<Value = Message> {
        let parameter = (0..ParameterId::ALL.len(), proptest::collection::vec(any::<u8>(), 0..300));
        (0..Id::ALL.len(), proptest::collection::vec(parameter, 0..4)).prop_map(|(id, parameters)| Message {
            id: Id::ALL[id],
            parameters: parameters
                .into_iter()
                .map(|(id, value)| (ParameterId::ALL[id], Zeroizing::new(value)))
                .collect(),
        })
    }

    proptest! {
        #[test]
        fn messages_survive_any_cutting(sent in proptest::collection::vec(message(), 0..6), cut in 1..50usize) {
            let sent: Vec<_> =
                sent.into_iter().filter(|m| m.id != Id::ConnectReq || !m.parameters.is_empty()).collect();
            let bytes: Vec<u8> = sent.iter().flat_map(|message| message.encode(false).unwrap().to_vec()).collect();
            let mut messages = Messages::default();
            let mut got = Vec::new();
            for piece in bytes.chunks(cut) {
                messages.push(piece);
                while let Some(message) = messages.next_message().unwrap() {
                    got.push(message);
                }
            }
            prop_assert_eq!(got, sent);
        }

        #[test]
        fn no_bytes_panic_or_are_collected_without_end(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
            let mut messages = Messages::default();
            messages.push(&bytes);
            while let Ok(Some(_)) = messages.next_message() {}
            if messages.next_message() == Ok(None) {
                prop_assert!(messages.0.len() <= usize::from(MAX_MESSAGE) + PARAMETER_HEADER);
            }
        }
    }
}
