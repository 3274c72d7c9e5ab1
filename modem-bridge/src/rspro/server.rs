//! The bank at the remsim-server: it registers, and is told which client has which card. Sans-IO.

use super::pdu::{Component, Identity, Message, Pdu, ResultCode, SlotId, VERSION};
use std::collections::BTreeMap;

/// Which client has which slot of the bank: one has one at most, both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mappings(BTreeMap<SlotId, u16>);

impl Mappings {
    /// The slot of the bank that `client` has.
    pub(crate) fn slot_of(&self, client: SlotId) -> Option<u16> {
        self.0.get(&client).copied()
    }

    fn insert(&mut self, client: SlotId, slot: u16) {
        self.0.retain(|_, taken| *taken != slot);
        self.0.insert(client, slot);
    }

    fn remove(&mut self, client: SlotId, slot: u16) -> bool {
        let found = self.slot_of(client) == Some(slot);
        if found {
            self.0.remove(&client);
        }
        found
    }
}

/// What no server does, or what it does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a message that is no server's, or out of order")]
    Unexpected,
    #[error("that the peer is no remsim-server: its address may be another component's")]
    NoServer,
    #[error("that it does not take the bank (result {}; 6: another bank has this number)", .0.0)]
    Refused(ResultCode),
}

/// The bank's side of the link to its server.
pub(crate) struct Machine {
    bank: u16,
    slots: u16,
    registered: bool,
}

impl Machine {
    /// A bank of this number and with so many slots, and the message that registers it.
    pub(crate) fn new(own: Identity, bank: u16, slots: u16) -> (Self, Pdu) {
        let hello = Message::ConnectBankReq { identity: own, bank, slots };
        (Machine { bank, slots, registered: false }, Pdu::new(0, hello))
    }

    /// Whether the server has taken the bank.
    pub(crate) fn is_registered(&self) -> bool {
        self.registered
    }

    /// Takes a message from the server, and changes the mappings by it. The answer, if there is one. Errors: no server
    /// does this, or it does not want this bank; hang up.
    pub(crate) fn received(&mut self, pdu: Pdu, mappings: &mut Mappings) -> Result<Option<Pdu>, Violation> {
        let Pdu { version, tag, message } = pdu;
        let answer = match (self.registered, message) {
            (false, Message::ConnectBankRes { identity, result }) => {
                if identity.component != Component::Server {
                    return Err(Violation::NoServer);
                }
                if result != ResultCode::OK {
                    return Err(Violation::Refused(result));
                }
                self.registered = true;
                return Ok(None);
            }
            (true, Message::CreateMappingReq { client, bank }) => {
                let result = self.check(version, bank);
                if result == ResultCode::OK {
                    mappings.insert(client, bank.slot);
                }
                Message::CreateMappingRes(result)
            }
            (true, Message::RemoveMappingReq { client, bank }) => {
                Message::RemoveMappingRes(match self.check(version, bank) {
                    ResultCode::OK if !mappings.remove(client, bank.slot) => ResultCode::UNKNOWN_SLOTMAP,
                    result => result,
                })
            }
            (true, Message::ResetStateReq) => {
                *mappings = Mappings::default();
                Message::ResetStateRes(ResultCode::OK)
            }
            (_, Message::Other(_)) => return Ok(None),
            _ => return Err(Violation::Unexpected),
        };
        Ok(Some(Pdu::new(tag, answer)))
    }

    fn check(&self, version: u32, bank: SlotId) -> ResultCode {
        if version != VERSION {
            ResultCode::UNSUPPORTED_PROTOCOL_VERSION
        } else if bank.id != self.bank {
            ResultCode::ILLEGAL_BANK_ID
        } else if bank.slot >= self.slots {
            ResultCode::ILLEGAL_SLOT_ID
        } else {
            ResultCode::OK
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: SlotId = SlotId { id: 7, slot: 1 };
    const OTHER: SlotId = SlotId { id: 8, slot: 0 };

    fn identity(component: Component) -> Identity {
        Identity { component, name: "x".into(), software: "y".into(), version: "z".into() }
    }

    fn registration(component: Component, result: ResultCode) -> Pdu {
        Pdu::new(0, Message::ConnectBankRes { identity: identity(component), result })
    }

    fn registered() -> (Machine, Mappings) {
        let (mut machine, hello) = Machine::new(identity(Component::Bank), 1, 2);
        let expected = Message::ConnectBankReq { identity: identity(Component::Bank), bank: 1, slots: 2 };
        assert_eq!(hello.message, expected);
        let mut mappings = Mappings::default();
        assert_eq!(machine.received(registration(Component::Server, ResultCode::OK), &mut mappings), Ok(None));
        (machine, mappings)
    }

    fn bank(id: u16, slot: u16) -> SlotId {
        SlotId { id, slot }
    }

    #[test]
    fn mappings_are_made_moved_and_removed() {
        let (mut machine, mut mappings) = registered();
        let mut ask = |message| {
            let answer = machine.received(Pdu::new(3, message), &mut mappings).unwrap().unwrap();
            assert_eq!(answer.tag, 3);
            let has = |client| mappings.slot_of(client);
            (answer.message, has(CLIENT), has(OTHER))
        };
        let create = |client, bank| Message::CreateMappingReq { client, bank };
        let remove = |client, bank| Message::RemoveMappingReq { client, bank };
        let (created, removed) = (Message::CreateMappingRes, Message::RemoveMappingRes);
        assert_eq!(ask(create(CLIENT, bank(1, 0))), (created(ResultCode::OK), Some(0), None));
        assert_eq!(ask(create(CLIENT, bank(1, 0))), (created(ResultCode::OK), Some(0), None));
        // One client a card, and one card a client.
        assert_eq!(ask(create(OTHER, bank(1, 0))), (created(ResultCode::OK), None, Some(0)));
        assert_eq!(ask(create(OTHER, bank(1, 1))), (created(ResultCode::OK), None, Some(1)));
        assert_eq!(ask(create(CLIENT, bank(2, 0))), (created(ResultCode::ILLEGAL_BANK_ID), None, Some(1)));
        assert_eq!(ask(create(CLIENT, bank(1, 2))), (created(ResultCode::ILLEGAL_SLOT_ID), None, Some(1)));
        assert_eq!(ask(remove(CLIENT, bank(1, 1))), (removed(ResultCode::UNKNOWN_SLOTMAP), None, Some(1)));
        assert_eq!(ask(remove(OTHER, bank(1, 0))), (removed(ResultCode::UNKNOWN_SLOTMAP), None, Some(1)));
        assert_eq!(ask(remove(OTHER, bank(2, 1))), (removed(ResultCode::ILLEGAL_BANK_ID), None, Some(1)));
        assert_eq!(ask(remove(OTHER, bank(1, 1))), (removed(ResultCode::OK), None, None));
    }

    #[test]
    fn a_reset_forgets_every_mapping() {
        let (mut machine, mut mappings) = registered();
        mappings.insert(CLIENT, 0);
        let answer = machine.received(Pdu::new(4, Message::ResetStateReq), &mut mappings);
        assert_eq!(answer, Ok(Some(Pdu::new(4, Message::ResetStateRes(ResultCode::OK)))));
        assert_eq!(mappings, Mappings::default());
    }

    #[test]
    fn a_server_that_is_none_or_refuses_is_told_apart() {
        let fresh = || Machine::new(identity(Component::Bank), 1, 2).0;
        let mut mappings = Mappings::default();
        let taken = ResultCode(6);
        let refused = fresh().received(registration(Component::Server, taken), &mut mappings);
        assert_eq!(refused, Err(Violation::Refused(taken)));
        let client = fresh().received(registration(Component::Client, ResultCode::OK), &mut mappings);
        assert_eq!(client, Err(Violation::NoServer));
        let early = fresh().received(Pdu::new(0, Message::ResetStateReq), &mut mappings);
        assert_eq!(early, Err(Violation::Unexpected));
        let other = Pdu { version: 3, tag: 0, message: Message::CreateMappingReq { client: CLIENT, bank: bank(1, 0) } };
        let (mut machine, mut mappings) = registered();
        let answer = machine.received(other, &mut mappings).unwrap().unwrap();
        assert_eq!(answer.message, Message::CreateMappingRes(ResultCode::UNSUPPORTED_PROTOCOL_VERSION));
    }
}
