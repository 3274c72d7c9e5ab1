//! RSPRO messages in BER. The module has IMPLICIT TAGS; `SEQUENCE`s are extensible, and unknown members at their ends
//! are passed over.
//!
//! ```text
//! RsproPDU ::= SEQUENCE { version [0] INTEGER, tag [1] INTEGER, msg [2] CHOICE }     the CHOICE has its own tag in [2]
//! ```

use teuicc_tlv::{Error, ErrorKind, Reader, Tag, Tlv, Writer};

/// The version of the protocol that is spoken here.
pub(crate) const VERSION: u32 = 2;

const ENUMERATED: Tag = Tag(0x0A);
const IA5_STRING: Tag = Tag(0x16);
/// The longest name of a component.
pub(crate) const MAX_NAME: usize = 32;
/// The largest number of a client, a bank, and a slot.
const MAX_ID: u32 = 1023;
/// The longest ATR.
const MAX_ATR: usize = 55;

/// One message, with the tag by which an answer belongs to its request. Clients were seen to send 0 always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pdu {
    pub(crate) version: u32,
    pub(crate) tag: u32,
    pub(crate) message: Message,
}

/// What a component is, as `ComponentType` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Component {
    Client = 0,
    Server = 1,
    Bank = 2,
}

/// Who is there. Members that say nothing of importance here are passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) component: Component,
    pub(crate) name: String,
    pub(crate) software: String,
    pub(crate) version: String,
}

/// A `ClientSlot` or a `BankSlot`: number of the client or the bank, and of the slot in it, 0 to 1023 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotId {
    pub(crate) id: u16,
    pub(crate) slot: u16,
}

/// How a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResultCode(pub(crate) u32);

impl ResultCode {
    pub(crate) const OK: ResultCode = ResultCode(0);
    pub(crate) const ILLEGAL_CLIENT_ID: ResultCode = ResultCode(1);
    pub(crate) const ILLEGAL_BANK_ID: ResultCode = ResultCode(2);
    pub(crate) const ILLEGAL_SLOT_ID: ResultCode = ResultCode(3);
    pub(crate) const UNSUPPORTED_PROTOCOL_VERSION: ResultCode = ResultCode(4);
    pub(crate) const UNKNOWN_SLOTMAP: ResultCode = ResultCode(5);
    pub(crate) const CARD_NOT_PRESENT: ResultCode = ResultCode(100);
    pub(crate) const CARD_UNRESPONSIVE: ResultCode = ResultCode(101);
}

/// What the modem's contacts carry. `None`: the client does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PhysicalStatus {
    pub(crate) reset: bool,
    pub(crate) vcc: Option<bool>,
    pub(crate) clk: Option<bool>,
    pub(crate) card_present: Option<bool>,
}

/// A T=0 TPDU, or the answer to one. Its flags are passed over: clients were seen to set none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Tpdu {
    pub(crate) from: SlotId,
    pub(crate) to: SlotId,
    pub(crate) data: Vec<u8>,
}

/// A message, by the names of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    ConnectBankReq {
        identity: Identity,
        bank: u16,
        slots: u16,
    },
    ConnectBankRes {
        identity: Identity,
        result: ResultCode,
    },
    ConnectClientReq {
        identity: Identity,
        client: Option<SlotId>,
    },
    ConnectClientRes {
        identity: Identity,
        result: ResultCode,
    },
    CreateMappingReq {
        client: SlotId,
        bank: SlotId,
    },
    CreateMappingRes(ResultCode),
    RemoveMappingReq {
        client: SlotId,
        bank: SlotId,
    },
    RemoveMappingRes(ResultCode),
    SetAtrReq {
        client: SlotId,
        atr: Vec<u8>,
    },
    SetAtrRes(ResultCode),
    TpduModemToCard(Tpdu),
    TpduCardToModem(Tpdu),
    ClientSlotStatusInd {
        client: SlotId,
        bank: SlotId,
        status: PhysicalStatus,
    },
    ResetStateReq,
    ResetStateRes(ResultCode),
    /// Another message of the module, by its number in the CHOICE; it concerns no bank.
    Other(u8),
}

impl Pdu {
    /// A message of this version.
    pub(crate) fn new(tag: u32, message: Message) -> Self {
        Pdu { version: VERSION, tag, message }
    }

    /// Reads one message. Errors: it is malformed, or a number or a text is outside of what the module allows.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Pdu, Error> {
        let mut members = Tlv::parse(bytes, Tag::SEQUENCE)?.members();
        let version = members.expect(Tag::context(0))?.unsigned()?;
        let tag = members.expect(Tag::context(1))?.unsigned()?;
        let mut choice = members.expect(Tag::context_constructed(2))?.members();
        members.finish()?;
        let message = choice.read()?;
        choice.finish()?;
        Ok(Pdu { version, tag, message: decode_message(message)? })
    }

    /// Errors: out of memory, or a member does not fit what the module allows.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new();
        writer.nested(Tag::SEQUENCE, |pdu| {
            pdu.unsigned(Tag::context(0), self.version)?;
            pdu.unsigned(Tag::context(1), self.tag)?;
            pdu.nested(Tag::context_constructed(2), |choice| self.message.encode(choice))
        })?;
        Ok(writer.into_bytes())
    }
}

fn decode_message(message: Tlv<'_>) -> Result<Message, Error> {
    // All are context-specific and constructed, with numbers below 31.
    let Some(number) = u8::try_from(message.tag.0).ok().filter(|tag| tag & 0xE0 == 0xA0).map(|tag| tag & 0x1F) else {
        return Err(message.bad_value());
    };
    let mut members = message.members();
    let m = &mut members;
    let message = match number {
        0 => Message::ConnectBankReq { identity: identity(m)?, bank: id(m)?, slots: id(m)? },
        1 => Message::ConnectBankRes { identity: identity(m)?, result: result(m)? },
        2 => Message::ConnectClientReq { identity: identity(m)?, client: optional_slot(m)? },
        3 => Message::ConnectClientRes { identity: identity(m)?, result: result(m)? },
        4 => Message::CreateMappingReq { client: slot(m)?, bank: slot(m)? },
        5 => Message::CreateMappingRes(result(m)?),
        6 => Message::RemoveMappingReq { client: slot(m)?, bank: slot(m)? },
        7 => Message::RemoveMappingRes(result(m)?),
        10 => {
            let (client, atr) = (slot(m)?, m.expect(Tag::OCTET_STRING)?);
            if !(1..=MAX_ATR).contains(&atr.value.len()) {
                return Err(atr.bad_value());
            }
            Message::SetAtrReq { client, atr: atr.value.to_vec() }
        }
        11 => Message::SetAtrRes(result(m)?),
        12 => Message::TpduModemToCard(tpdu(m)?),
        13 => Message::TpduCardToModem(tpdu(m)?),
        14 => Message::ClientSlotStatusInd { client: slot(m)?, bank: slot(m)?, status: physical_status(m)? },
        19 => Message::ResetStateReq,
        20 => Message::ResetStateRes(result(m)?),
        other => {
            members.skip_rest()?;
            return Ok(Message::Other(other));
        }
    };
    members.skip_rest()?;
    Ok(message)
}

fn id(members: &mut Reader<'_>) -> Result<u16, Error> {
    let number = members.expect(Tag::INTEGER)?;
    let value = number.unsigned()?;
    if value > MAX_ID {
        return Err(number.bad_value());
    }
    u16::try_from(value).map_err(|_| number.bad_value())
}

fn slot(members: &mut Reader<'_>) -> Result<SlotId, Error> {
    let mut members = members.expect(Tag::SEQUENCE)?.members();
    let slot = SlotId { id: id(&mut members)?, slot: id(&mut members)? };
    members.skip_rest()?;
    Ok(slot)
}

fn optional_slot(members: &mut Reader<'_>) -> Result<Option<SlotId>, Error> {
    if members.peek() == Some(Tag::SEQUENCE) { slot(members).map(Some) } else { Ok(None) }
}

fn result(members: &mut Reader<'_>) -> Result<ResultCode, Error> {
    members.expect(ENUMERATED)?.unsigned().map(ResultCode)
}

fn identity(members: &mut Reader<'_>) -> Result<Identity, Error> {
    let mut members = members.expect(Tag::SEQUENCE)?.members();
    let component = members.expect(ENUMERATED)?;
    let component = match component.unsigned()? {
        0 => Component::Client,
        1 => Component::Server,
        2 => Component::Bank,
        _ => return Err(component.bad_value()),
    };
    let name = name(members.expect(IA5_STRING)?)?;
    let software = self::name(members.expect(Tag::context(0))?)?;
    let version = self::name(members.expect(Tag::context(1))?)?;
    members.skip_rest()?;
    Ok(Identity { component, name, software, version })
}

fn name(text: Tlv<'_>) -> Result<String, Error> {
    match text.text(MAX_NAME)? {
        "" => Err(text.bad_value()),
        name if name.is_ascii() => Ok(name.to_owned()),
        _ => Err(text.bad_value()),
    }
}

fn tpdu(members: &mut Reader<'_>) -> Result<Tpdu, Error> {
    let (from, to) = (slot(members)?, slot(members)?);
    let mut flags = members.expect(Tag::SEQUENCE)?.members();
    for _ in 0..4 {
        flags.expect(Tag::BOOLEAN)?.boolean()?;
    }
    flags.skip_rest()?;
    Ok(Tpdu { from, to, data: members.expect(Tag::OCTET_STRING)?.value.to_vec() })
}

fn physical_status(members: &mut Reader<'_>) -> Result<PhysicalStatus, Error> {
    let mut members = members.expect(Tag::SEQUENCE)?.members();
    let reset = members.expect(Tag::context(0))?.boolean()?;
    let mut optional = |number| members.optional(Tag::context(number))?.map(|bit| bit.boolean()).transpose();
    let status = PhysicalStatus { reset, vcc: optional(1)?, clk: optional(2)?, card_present: optional(3)? };
    members.skip_rest()?;
    Ok(status)
}

impl Message {
    fn number(&self) -> u8 {
        match self {
            Message::ConnectBankReq { .. } => 0,
            Message::ConnectBankRes { .. } => 1,
            Message::ConnectClientReq { .. } => 2,
            Message::ConnectClientRes { .. } => 3,
            Message::CreateMappingReq { .. } => 4,
            Message::CreateMappingRes(_) => 5,
            Message::RemoveMappingReq { .. } => 6,
            Message::RemoveMappingRes(_) => 7,
            Message::SetAtrReq { .. } => 10,
            Message::SetAtrRes(_) => 11,
            Message::TpduModemToCard(_) => 12,
            Message::TpduCardToModem(_) => 13,
            Message::ClientSlotStatusInd { .. } => 14,
            Message::ResetStateReq => 19,
            Message::ResetStateRes(_) => 20,
            Message::Other(number) => *number,
        }
    }

    fn encode(&self, choice: &mut Writer) -> Result<(), Error> {
        choice.nested(Tag::context_constructed(self.number()), |m| match self {
            Message::ConnectBankReq { identity, bank, slots } => {
                identity.encode(m)?;
                m.unsigned(Tag::INTEGER, (*bank).into())?;
                m.unsigned(Tag::INTEGER, (*slots).into())
            }
            Message::ConnectBankRes { identity, result } | Message::ConnectClientRes { identity, result } => {
                identity.encode(m)?;
                result.encode(m)
            }
            Message::ConnectClientReq { identity, client } => {
                identity.encode(m)?;
                client.map_or(Ok(()), |client| client.encode(m))
            }
            Message::CreateMappingReq { client, bank } | Message::RemoveMappingReq { client, bank } => {
                client.encode(m)?;
                bank.encode(m)
            }
            Message::CreateMappingRes(result)
            | Message::RemoveMappingRes(result)
            | Message::SetAtrRes(result)
            | Message::ResetStateRes(result) => result.encode(m),
            Message::SetAtrReq { client, atr } => {
                client.encode(m)?;
                m.primitive(Tag::OCTET_STRING, atr)
            }
            // A real client sets no flag in a command; a real bank says of an answer that it is the last part.
            Message::TpduModemToCard(tpdu) => tpdu.encode(m, false),
            Message::TpduCardToModem(tpdu) => tpdu.encode(m, true),
            Message::ClientSlotStatusInd { client, bank, status } => {
                client.encode(m)?;
                bank.encode(m)?;
                status.encode(m)
            }
            Message::ResetStateReq | Message::Other(_) => Ok(()),
        })
    }
}

impl Identity {
    fn encode(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.nested(Tag::SEQUENCE, |identity| {
            identity.unsigned(ENUMERATED, self.component as u32)?;
            for (tag, text) in
                [(IA5_STRING, &self.name), (Tag::context(0), &self.software), (Tag::context(1), &self.version)]
            {
                if !(1..=MAX_NAME).contains(&text.len()) || !text.is_ascii() {
                    return Err(Error { kind: ErrorKind::Value { tag }, offset: 0 });
                }
                identity.primitive(tag, text.as_bytes())?;
            }
            Ok(())
        })
    }
}

impl SlotId {
    fn encode(self, writer: &mut Writer) -> Result<(), Error> {
        writer.nested(Tag::SEQUENCE, |slot| {
            slot.unsigned(Tag::INTEGER, self.id.into())?;
            slot.unsigned(Tag::INTEGER, self.slot.into())
        })
    }
}

impl std::fmt::Display for SlotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.id, self.slot)
    }
}

impl ResultCode {
    fn encode(self, writer: &mut Writer) -> Result<(), Error> {
        writer.unsigned(ENUMERATED, self.0)
    }
}

impl std::fmt::Debug for Tpdu {
    /// Without the data, which may be a PIN or keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tpdu({} to {}, {} bytes)", self.from, self.to, self.data.len())
    }
}

impl Tpdu {
    fn encode(&self, writer: &mut Writer, is_final: bool) -> Result<(), Error> {
        self.from.encode(writer)?;
        self.to.encode(writer)?;
        writer.nested(Tag::SEQUENCE, |flags| {
            for flag in [false, is_final, false, false] {
                flags.boolean(Tag::BOOLEAN, flag)?;
            }
            Ok::<_, Error>(())
        })?;
        writer.primitive(Tag::OCTET_STRING, &self.data)
    }
}

impl PhysicalStatus {
    fn encode(self, writer: &mut Writer) -> Result<(), Error> {
        writer.nested(Tag::SEQUENCE, |status| {
            status.boolean(Tag::context(0), self.reset)?;
            for (number, value) in [(1, self.vcc), (2, self.clk), (3, self.card_present)] {
                if let Some(value) = value {
                    status.boolean(Tag::context(number), value)?;
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;
    use proptest::prelude::*;

    const CLIENT: SlotId = SlotId { id: 0, slot: 0 };
    const BANK: SlotId = SlotId { id: 1, slot: 0 };

    fn check(bytes: &[u8], tag: u32, message: Message) {
        let pdu = Pdu::new(tag, message);
        assert_eq!(Pdu::decode(bytes).unwrap(), pdu);
        assert_eq!(pdu.encode().unwrap(), bytes);
    }

    /// Captured between the real osmo-remsim-server, client-shell and IFD handler (Debian trixie) and a bank.
    #[test]
    fn messages_of_the_real_server_and_client() {
        let identity = Identity {
            component: Component::Bank,
            name: "tc-bankd".into(),
            software: "rig".into(),
            version: "0".into(),
        };
        check(
            &hex!("3027 800102 810101 a21f a01d 3015 0a0102 160874632d62616e6b64 8003726967 810130 020101 020108"),
            1,
            Message::ConnectBankReq { identity, bank: 1, slots: 8 },
        );
        check(
            &hex!("301a 800102 810100 a212 a410 3006020101020100 3006020100020100"),
            0,
            Message::CreateMappingReq { client: SlotId { id: 1, slot: 0 }, bank: SlotId { id: 0, slot: 0 } },
        );
        check(&hex!("300d 800102 810100 a205 a503 0a0100"), 0, Message::CreateMappingRes(ResultCode::OK));
        check(
            &hex!("3016 800102 810100 a20e aa0c 3006020100020100 04023b00"),
            0,
            Message::SetAtrReq { client: CLIENT, atr: hex!("3b00").to_vec() },
        );
        let select = hex!("00a40004023f00").to_vec();
        check(
            &hex!(
                "3031 800102 810100 a229 ac27 3006020100020100 3006020101020100 300c010100010100010100010100"
                "040700a40004023f00"
            ),
            0,
            Message::TpduModemToCard(Tpdu { from: CLIENT, to: BANK, data: select }),
        );
        check(
            &hex!(
                "302c 800102 810100 a224 ad22 3006020101020100 3006020100020100 300c0101000101ff010100010100 04026115"
            ),
            0,
            Message::TpduCardToModem(Tpdu { from: BANK, to: CLIENT, data: hex!("6115").to_vec() }),
        );
        let powered = PhysicalStatus { reset: false, vcc: Some(true), clk: Some(true), card_present: Some(true) };
        check(
            &hex!("3028 800102 810100 a220 ae1e 3006020100020100 3006020101020100 300c 800100 8101ff 8201ff 8301ff"),
            0,
            Message::ClientSlotStatusInd { client: CLIENT, bank: BANK, status: powered },
        );
        let reset = PhysicalStatus { reset: true, vcc: Some(false), clk: Some(false), card_present: Some(true) };
        check(
            &hex!("3028 800102 810100 a220 ae1e 3006020100020100 3006020101020100 300c 8001ff 810100 820100 8301ff"),
            0,
            Message::ClientSlotStatusInd { client: CLIENT, bank: BANK, status: reset },
        );
    }

    #[test]
    fn what_is_outside_of_the_module_is_refused() {
        // Client 1024.
        assert!(Pdu::decode(&hex!("3018 800102 810100 a210 a20e 3004 020100 0200 3006 02020400 0201 00")).is_err());
        // Something after the message, and after the PDU.
        assert!(Pdu::decode(&hex!("300f 800102 810100 a205 a503 0a0100 0500")).is_err());
        assert!(Pdu::decode(&hex!("300d 800102 810100 a205 a503 0a0100 00")).is_err());
        // An ATR of no bytes.
        assert!(Pdu::decode(&hex!("3014 800102 810100 a20c aa0a 3006020100020100 0400")).is_err());
        // Not a choice.
        assert!(Pdu::decode(&hex!("300d 800102 810100 a205 0403 0a0100")).is_err());
    }

    #[test]
    fn members_of_later_versions_and_messages_for_others_are_passed_over() {
        let with_more = hex!("300f 800102 810100 a207 a505 0a0100 9f01 00");
        assert!(Pdu::decode(&with_more).is_err(), "a bad length in the rest is an error");
        let with_more = hex!("3010 800102 810100 a208 a506 0a0100 800100");
        assert_eq!(Pdu::decode(&with_more).unwrap().message, Message::CreateMappingRes(ResultCode::OK));
        let config = hex!("300d 800102 810100 a205 b203 0a0100");
        assert_eq!(Pdu::decode(&config).unwrap().message, Message::Other(18));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pdu::decode(&bytes);
        }

        /// One byte of a good message changed: an error, or a message that is written as it is read.
        #[test]
        fn damaged_messages_are_read_as_they_are_written(at in 0..50usize, byte in any::<u8>()) {
            let mut bytes = hex!(
                "3031 800102 810100 a229 ac27 3006020100020100 3006020101020100 300c010100010100010100010100"
                "040700a40004023f00"
            );
            bytes[at] = byte;
            if let Ok(pdu) = Pdu::decode(&bytes) {
                let again = Pdu::decode(&pdu.encode().unwrap()).unwrap();
                prop_assert_eq!(again, pdu);
            }
        }
    }
}
