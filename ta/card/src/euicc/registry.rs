//! The registry: which profiles there are and in which state, the notification counter and the pending notifications.
//! One object; replacing it is the commit point of every profile operation.
//!
//! ```text
//! 01                                  version
//! 80 sequence number of the next notification
//! 81 default SM-DP+ address, may be empty
//! 82 slot of the profile that a test or provisioning profile has displaced, optional
//! A3 { 30 { 80 slot, 5A iccid, 81 enabled, 95 class, 99 policy rules, 90 nickname, 82 chain, B8 optional,
//!           BF2A optional } * }
//! A4 { 30 { 80 sequence number, 81 event, 82 chain, 0C address, 5A iccid optional,
//!           A3 { 80 transactionId, 06 SM-DP+ OID, A2 finalResult } of an installation } * }
//! A5 { 30 { 82 chain, 80 CRL number, 04 serial number * } * }
//! ```

use crate::platform::{MAX_PROFILES, ObjectId, ProfileSlot, Store, StoreError};
use alloc::vec::Vec;
use teuicc_rsp::codes::ProfileClass;
use teuicc_rsp::metadata::{MAX_NICKNAME, NotificationEvent, PprIds, UpdateMetadata};
use teuicc_rsp::object::{Received, Value};
use teuicc_rsp::{Iccid, aid, tags};
use teuicc_tlv::{Error, ErrorKind, Reader, Tag, Tlv, TryBytes, Writer, drop_first, try_copy};

/// Version of the stored form.
const VERSION: u8 = 1;
/// Most notifications that wait; the oldest is dropped for one more (SGP.22 section 3.5).
pub(crate) const MAX_NOTIFICATIONS: usize = 32;
/// Longest server address in bytes.
pub(crate) const MAX_ADDRESS: usize = 255;
/// Longest EUICCResponse that is kept in a notification, in bytes.
pub(crate) const MAX_EUICC_RESPONSE: usize = 2048;
/// Longest dpProprietaryData in bytes, tag included (SGP.22 section 5.5.2).
pub(crate) const MAX_DP_PROPRIETARY_DATA: usize = 128;
/// Most revoked certificates that are kept for one CI.
pub(crate) const MAX_REVOKED: usize = 256;
/// Longest serial number of a certificate in bytes (RFC 5280 section 4.1.2.2).
pub(crate) const MAX_SERIAL: usize = 20;

/// The registry in memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Registry {
    /// Sequence number of the next notification; it only grows, also over a memory reset.
    pub(crate) next_sequence: u32,
    /// Default SM-DP+ address, UTF-8, empty for none.
    pub(crate) default_dp_address: Vec<u8>,
    /// The operational profile that was enabled before a test or provisioning profile took its place.
    pub(crate) displaced: Option<ProfileSlot>,
    /// The profiles, in the order of their installation.
    pub(crate) profiles: Vec<Entry>,
    /// The pending notifications, in the order of their sequence numbers.
    pub(crate) notifications: Vec<Notification>,
    /// The loaded revocation lists, one a CI at most.
    pub(crate) crls: Vec<Crl>,
}

/// An installed profile.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where its objects are stored; its ISD-P AID follows from it.
    pub(crate) slot: ProfileSlot,
    /// ICCID.
    pub(crate) iccid: Iccid,
    /// Whether it is enabled; at most one is.
    pub(crate) enabled: bool,
    /// Class.
    pub(crate) class: ProfileClass,
    /// Profile policy rules.
    pub(crate) rules: PprIds,
    /// Nickname, UTF-8, empty for none.
    pub(crate) nickname: Vec<u8>,
    /// The chain of certificates of the session that installed it: it signs the profile's notifications.
    pub(crate) chain: u8,
    /// dpProprietaryData, tag B8 included, empty for none.
    pub(crate) proprietary: Vec<u8>,
    /// What the operator changed of the metadata since the installation: an UpdateMetadataRequest, tag BF2A included,
    /// without policy rules; empty for nothing.
    pub(crate) updates: Vec<u8>,
}

/// A pending notification, not signed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    /// Sequence number.
    pub(crate) sequence: u32,
    /// What happened: one bit.
    pub(crate) event: NotificationEvent,
    /// The chain of certificates that signs it.
    pub(crate) chain: u8,
    /// Recipient, UTF-8.
    pub(crate) address: Vec<u8>,
    /// The profile; absent if an installation failed before it was known.
    pub(crate) iccid: Option<Iccid>,
    /// For a ProfileInstallationResult: its result.
    pub(crate) installation: Option<Installation>,
}

/// What a ProfileInstallationResult says beside the notification metadata.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installation {
    /// transactionId, 1 to 16 bytes.
    pub(crate) transaction_id: Vec<u8>,
    /// OID of the SM-DP+, content octets.
    pub(crate) smdp_oid: Vec<u8>,
    /// finalResult, tag A2 included.
    pub(crate) final_result: Vec<u8>,
}

/// What is kept of a certificate revocation list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crl {
    /// Whose chain's CI issued it.
    pub(crate) chain: u8,
    /// CRL number, big endian, without leading zeros.
    pub(crate) number: Vec<u8>,
    /// Serial numbers of revoked certificates, content octets.
    pub(crate) revoked: Vec<Vec<u8>>,
}

impl Entry {
    /// AID of the ISD-P.
    pub(crate) fn aid(&self) -> [u8; 16] {
        isdp_aid(self.slot)
    }
}

/// AID of the ISD-P in `slot`.
pub(crate) fn isdp_aid(slot: ProfileSlot) -> [u8; 16] {
    // Fewer slots than AIDs: the default is never taken.
    aid::isdp(u16::from(slot.number())).unwrap_or(aid::ISDP_MODULE)
}

impl Registry {
    /// Reads the registry of a personalized card. Errors: it is missing or damaged; the store fails.
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let stored = store.load(ObjectId::Registry)?.ok_or(StoreError::Corrupt(ObjectId::Registry))?;
        Self::decode(&stored).map_err(|error| match error.kind {
            ErrorKind::OutOfMemory => StoreError::OutOfMemory,
            _ => StoreError::Corrupt(ObjectId::Registry),
        })
    }

    /// A copy to change and commit. Errors: out of memory.
    pub(crate) fn duplicate(&self) -> Result<Self, Error> {
        Self::decode(&self.encode()?)
    }

    /// The enabled profile.
    pub(crate) fn enabled(&self) -> Option<&Entry> {
        self.profiles.iter().find(|entry| entry.enabled)
    }

    /// The profile in `slot`.
    pub(crate) fn profile(&self, slot: ProfileSlot) -> Option<&Entry> {
        self.profiles.iter().find(|entry| entry.slot == slot)
    }

    /// The profile in `slot`, to be changed.
    pub(crate) fn profile_mut(&mut self, slot: ProfileSlot) -> Option<&mut Entry> {
        self.profiles.iter_mut().find(|entry| entry.slot == slot)
    }

    /// Whether a profile with this ICCID is installed.
    pub(crate) fn has_iccid(&self, iccid: &Iccid) -> bool {
        self.profiles.iter().any(|entry| entry.iccid == *iccid)
    }

    /// A slot that no profile has.
    pub(crate) fn free_slot(&self) -> Option<ProfileSlot> {
        ProfileSlot::all().find(|slot| self.profile(*slot).is_none())
    }

    /// Takes a profile out of the list.
    pub(crate) fn remove_profile(&mut self, slot: ProfileSlot) {
        self.profiles.retain(|entry| entry.slot != slot);
        if self.displaced == Some(slot) {
            self.displaced = None;
        }
    }

    /// Adds a notification, gives it the next sequence number, and drops the oldest one when there are too many.
    /// Errors: out of memory, or the counter is used up.
    pub(crate) fn notify(&mut self, mut notification: Notification) -> Result<(), Error> {
        let next = self.next_sequence.checked_add(1).ok_or(Error { kind: ErrorKind::OutOfMemory, offset: 0 })?;
        notification.sequence = self.next_sequence;
        self.notifications.try_push(notification)?;
        self.next_sequence = next;
        if self.notifications.len() > MAX_NOTIFICATIONS {
            drop_first(&mut self.notifications);
        }
        Ok(())
    }

    /// Whether a certificate of the CI of `chain` is revoked.
    pub(crate) fn is_revoked(&self, chain: u8, serial: &[u8]) -> bool {
        self.crls.iter().any(|crl| crl.chain == chain && crl.revoked.iter().any(|revoked| revoked == serial))
    }

    /// The stored form. Errors: out of memory.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new();
        writer.raw(&[VERSION])?;
        writer.unsigned(Tag(0x80), self.next_sequence)?;
        writer.primitive(Tag(0x81), &self.default_dp_address)?;
        if let Some(slot) = self.displaced {
            writer.primitive(Tag(0x82), &[slot.number()])?;
        }
        writer.nested(Tag(0xA3), |writer| self.profiles.iter().try_for_each(|entry| entry.write(writer)))?;
        writer.nested(Tag(0xA4), |writer| self.notifications.iter().try_for_each(|entry| entry.write(writer)))?;
        writer.nested(Tag(0xA5), |writer| self.crls.iter().try_for_each(|crl| crl.write(writer)))?;
        Ok(writer.into_bytes())
    }

    /// Reads the stored form. Errors: another version, or anything that [`Registry::encode`] does not write.
    pub(crate) fn decode(stored: &[u8]) -> Result<Self, Error> {
        let mut members = Reader::new(stored);
        if Reader::take(&mut members, 1)? != [VERSION] {
            return Err(members.error(ErrorKind::Encoding));
        }
        let mut registry = Registry {
            next_sequence: members.expect(Tag(0x80))?.unsigned()?,
            default_dp_address: text(&members.expect(Tag(0x81))?, MAX_ADDRESS)?,
            displaced: members.optional(Tag(0x82))?.as_ref().map(slot).transpose()?,
            ..Registry::default()
        };
        let profiles = members.expect(Tag(0xA3))?;
        for entry in profiles.members() {
            let entry = Entry::read(&entry?)?;
            let clash = registry.profile(entry.slot).is_some()
                || registry.has_iccid(&entry.iccid)
                || (entry.enabled && registry.enabled().is_some());
            if clash || registry.profiles.len() >= usize::from(MAX_PROFILES) {
                return Err(profiles.bad_value());
            }
            registry.profiles.try_push(entry)?;
        }
        let notifications = members.expect(Tag(0xA4))?;
        for notification in notifications.members() {
            let notification = Notification::read(&notification?)?;
            let ascending = registry.notifications.last().is_none_or(|last| last.sequence < notification.sequence);
            if !ascending
                || notification.sequence >= registry.next_sequence
                || registry.notifications.len() >= MAX_NOTIFICATIONS
            {
                return Err(notifications.bad_value());
            }
            registry.notifications.try_push(notification)?;
        }
        for crl in members.expect(Tag(0xA5))?.members() {
            registry.crls.try_push(Crl::read(&crl?)?)?;
        }
        members.finish()?;
        Ok(registry)
    }
}

impl Entry {
    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.nested(Tag::SEQUENCE, |writer| {
            writer.primitive(Tag(0x80), &[self.slot.number()])?;
            self.iccid.put(Tag(0x5A), writer)?;
            writer.boolean(Tag(0x81), self.enabled)?;
            self.class.put(Tag(0x95), writer)?;
            self.rules.put(Tag(0x99), writer)?;
            writer.primitive(Tag(0x90), &self.nickname)?;
            writer.primitive(Tag(0x82), &[self.chain])?;
            writer.raw(&self.proprietary)?;
            writer.raw(&self.updates)
        })
    }

    fn read(tlv: &Tlv<'_>) -> Result<Self, Error> {
        let mut members = sequence(tlv)?;
        let entry = Entry {
            slot: slot(&members.expect(Tag(0x80))?)?,
            iccid: Iccid::read(&members.expect(Tag(0x5A))?)?,
            enabled: members.expect(Tag(0x81))?.boolean()?,
            class: ProfileClass::read(&members.expect(Tag(0x95))?)?,
            rules: PprIds::read(&members.expect(Tag(0x99))?)?,
            nickname: text(&members.expect(Tag(0x90))?, MAX_NICKNAME)?,
            chain: byte(&members.expect(Tag(0x82))?)?,
            proprietary: try_copy(members.optional(Tag(0xB8))?.map_or(&[][..], |data| data.raw))?,
            updates: match members.optional(tags::UPDATE_METADATA)? {
                Some(updates) => try_copy(Received::<UpdateMetadata<'_>>::parse(updates.raw)?.raw)?,
                None => Vec::new(),
            },
        };
        members.finish()?;
        Ok(entry)
    }
}

impl Notification {
    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.nested(Tag::SEQUENCE, |writer| {
            writer.unsigned(Tag(0x80), self.sequence)?;
            self.event.put(Tag(0x81), writer)?;
            writer.primitive(Tag(0x82), &[self.chain])?;
            writer.primitive(Tag::UTF8_STRING, &self.address)?;
            if let Some(iccid) = &self.iccid {
                iccid.put(Tag(0x5A), writer)?;
            }
            let Some(installation) = &self.installation else { return Ok(()) };
            writer.nested(Tag(0xA3), |writer| {
                writer.primitive(Tag(0x80), &installation.transaction_id)?;
                writer.primitive(Tag::OID, &installation.smdp_oid)?;
                writer.raw(&installation.final_result)
            })
        })
    }

    fn read(tlv: &Tlv<'_>) -> Result<Self, Error> {
        let mut members = sequence(tlv)?;
        let notification = Notification {
            sequence: members.expect(Tag(0x80))?.unsigned()?,
            event: NotificationEvent::read(&members.expect(Tag(0x81))?)?,
            chain: byte(&members.expect(Tag(0x82))?)?,
            address: text(&members.expect(Tag::UTF8_STRING)?, MAX_ADDRESS)?,
            iccid: members.optional(Tag(0x5A))?.as_ref().map(Iccid::read).transpose()?,
            installation: members.optional(Tag(0xA3))?.as_ref().map(Installation::read).transpose()?,
        };
        members.finish()?;
        Ok(notification)
    }
}

impl Installation {
    fn read(tlv: &Tlv<'_>) -> Result<Self, Error> {
        let mut members = tlv.members();
        let installation = Installation {
            transaction_id: try_copy(members.expect(Tag(0x80))?.value)?,
            smdp_oid: try_copy(members.expect(Tag::OID)?.value)?,
            final_result: try_copy(members.expect(Tag(0xA2))?.raw)?,
        };
        members.finish()?;
        Ok(installation)
    }
}

impl Crl {
    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.nested(Tag::SEQUENCE, |writer| {
            writer.primitive(Tag(0x82), &[self.chain])?;
            writer.primitive(Tag(0x80), &self.number)?;
            self.revoked.iter().try_for_each(|serial| writer.primitive(Tag::OCTET_STRING, serial))
        })
    }

    fn read(tlv: &Tlv<'_>) -> Result<Self, Error> {
        let mut members = sequence(tlv)?;
        let mut crl = Crl {
            chain: byte(&members.expect(Tag(0x82))?)?,
            number: try_copy(members.expect(Tag(0x80))?.value)?,
            revoked: Vec::new(),
        };
        while !members.is_empty() {
            let serial = members.expect(Tag::OCTET_STRING)?;
            if crl.revoked.len() >= MAX_REVOKED || serial.value.len() > MAX_SERIAL || crl.number.len() > MAX_SERIAL {
                return Err(tlv.bad_value());
            }
            crl.revoked.try_push(try_copy(serial.value)?)?;
        }
        Ok(crl)
    }
}

fn sequence<'a>(tlv: &Tlv<'a>) -> Result<Reader<'a>, Error> {
    if tlv.tag == Tag::SEQUENCE { Ok(tlv.members()) } else { Err(tlv.bad_value()) }
}

fn byte(tlv: &Tlv<'_>) -> Result<u8, Error> {
    let [byte] = *tlv.array()?;
    Ok(byte)
}

fn slot(tlv: &Tlv<'_>) -> Result<ProfileSlot, Error> {
    ProfileSlot::new(byte(tlv)?).ok_or_else(|| tlv.bad_value())
}

/// UTF-8 of at most `max` bytes.
fn text(tlv: &Tlv<'_>, max: usize) -> Result<Vec<u8>, Error> {
    Ok(try_copy(tlv.text(max)?.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use hex_literal::hex;

    fn example() -> Registry {
        Registry {
            next_sequence: 0x80,
            default_dp_address: b"smdp".to_vec(),
            displaced: ProfileSlot::new(1),
            profiles: vec![
                Entry {
                    slot: ProfileSlot::new(0).unwrap(),
                    iccid: Iccid::from_digits("89000123456789012341").unwrap(),
                    enabled: true,
                    class: ProfileClass::Test,
                    rules: PprIds::default(),
                    nickname: b"nick".to_vec(),
                    chain: 1,
                    proprietary: hex!("B803800188").to_vec(),
                    updates: hex!("BF2A03920162").to_vec(),
                },
                Entry {
                    slot: ProfileSlot::new(1).unwrap(),
                    iccid: Iccid::from_digits("89000123456789012358").unwrap(),
                    enabled: false,
                    class: ProfileClass::Operational,
                    rules: PprIds::PPR1.union(PprIds::PPR2),
                    nickname: vec![],
                    chain: 0,
                    proprietary: vec![],
                    updates: vec![],
                },
            ],
            notifications: vec![
                Notification {
                    sequence: 5,
                    event: NotificationEvent::INSTALL,
                    chain: 0,
                    address: b"a".to_vec(),
                    iccid: None,
                    installation: Some(Installation {
                        transaction_id: vec![1, 2],
                        smdp_oid: hex!("88370A").to_vec(),
                        final_result: hex!("A208A106800101810102").to_vec(),
                    }),
                },
                Notification {
                    sequence: 0x7F,
                    event: NotificationEvent::DELETE,
                    chain: 1,
                    address: b"b".to_vec(),
                    iccid: Some(Iccid::from_digits("89000123456789012341").unwrap()),
                    installation: None,
                },
            ],
            crls: vec![Crl { chain: 0, number: vec![7], revoked: vec![vec![0x12], vec![0x00, 0x99]] }],
        }
    }

    /// What version 1 wrote must be read for ever: do not change the bytes.
    const VERSION_1: &[u8] = &hex!(
        "01 80020080 8104736D6470 820101"
        "A34E 302C 800100 5A0A98001032547698103214 8101FF 950100 990100 90046E69636B 820101 B803800188 BF2A03920162"
        "     301E 800101 5A0A98001032547698103285 810100 950102 99020560 9000 820100"
        "A43F 3022 800105 81020780 820100 0C0161 A313 80020102 060388370A A208A106800101810102"
        "     3019 80017F 81020410 820101 0C0162 5A0A98001032547698103214"
        "A50F 300D 820100 800107 040112 04020099"
    );

    #[test]
    fn golden_bytes_of_version_1() {
        assert_eq!(example().encode().unwrap(), VERSION_1);
        assert_eq!(Registry::decode(VERSION_1).unwrap(), example());
        assert_eq!(Registry::default().encode().unwrap(), hex!("01 800100 8100 A300 A400 A500"));
    }

    #[test]
    fn every_damage_is_seen_or_harmless() {
        for length in 0..VERSION_1.len() {
            assert!(Registry::decode(&VERSION_1[..length]).is_err(), "{length}");
        }
        let longer = [VERSION_1, &[0]].concat();
        assert!(Registry::decode(&longer).is_err());
        for position in 0..VERSION_1.len() {
            for flip in 1..=255u8 {
                let mut damaged = VERSION_1.to_vec();
                damaged[position] ^= flip;
                // The store authenticates what it gives back; here nothing may panic, and what is read is written
                // again.
                if let Ok(registry) = Registry::decode(&damaged) {
                    assert_eq!(Registry::decode(&registry.encode().unwrap()).unwrap(), registry);
                }
            }
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |change: fn(&mut Registry)| {
            let mut registry = example();
            change(&mut registry);
            Registry::decode(&registry.encode().unwrap()).is_err()
        };
        assert!(refused(|registry| registry.profiles[1].enabled = true));
        assert!(refused(|registry| registry.profiles[1].slot = registry.profiles[0].slot));
        assert!(refused(|registry| registry.profiles[1].iccid = registry.profiles[0].iccid));
        assert!(refused(|registry| registry.notifications.swap(0, 1)));
        assert!(refused(|registry| registry.next_sequence = 0x7F));
        assert!(refused(|registry| registry.default_dp_address = vec![0xFF]));
    }

    #[test]
    fn a_counter_that_is_used_up_is_an_error_and_changes_nothing() {
        let mut registry = Registry { next_sequence: u32::MAX, ..Registry::default() };
        let notification = example().notifications.remove(1);
        assert!(registry.notify(notification).is_err());
        assert_eq!(registry, Registry { next_sequence: u32::MAX, ..Registry::default() });
    }
}
