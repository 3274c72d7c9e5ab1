//! Access rules: security attributes that refer to a record of an EF.ARR (TS 102 221 section 9.2.7), in the expanded
//! format of ISO/IEC 7816-4.

use super::interface::Verified;
use crate::profile::{FileIndex, FileKind, Profile, Security};
use teuicc_apdu::ins;
use teuicc_tlv::{Reader, Tag, Tlv};

/// What is done with a file: the bit of the access mode byte, and the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// Its bit in the access mode byte of an EF or a DF (ISO/IEC 7816-4 tables 17 and 18); 0 if it has none.
    mode: u8,
    /// The instruction byte, for rules that name one.
    instruction: u8,
}

impl Operation {
    /// Reading with this instruction.
    pub(super) const fn read(instruction: u8) -> Self {
        Operation { mode: 0x01, instruction }
    }

    /// Updating with this instruction.
    pub(super) const fn update(instruction: u8) -> Self {
        Operation { mode: 0x02, instruction }
    }

    /// Something that only a rule with this instruction allows.
    pub(super) const fn only(instruction: u8) -> Self {
        Operation { mode: 0, instruction }
    }

    /// Whether it is for the administrative access domain of a remote application.
    fn is_administrative(self) -> bool {
        matches!(self.instruction, ins::CREATE_FILE | ins::DELETE_FILE | ins::RESIZE_FILE)
    }

    /// ACTIVATE FILE.
    pub(super) const ACTIVATE: Operation = Operation { mode: 0x10, instruction: ins::ACTIVATE_FILE };
    /// DEACTIVATE FILE.
    pub(super) const DEACTIVATE: Operation = Operation { mode: 0x08, instruction: ins::DEACTIVATE_FILE };
    /// TERMINATE EF, of the EF.
    pub(super) const TERMINATE_EF: Operation = Operation { mode: 0x20, instruction: ins::TERMINATE_EF };
    /// TERMINATE DF, of the DF.
    pub(super) const TERMINATE_DF: Operation = Operation { mode: 0x20, instruction: ins::TERMINATE_DF };
    /// DELETE FILE, of the file itself.
    pub(super) const DELETE: Operation = Operation { mode: 0x40, instruction: ins::DELETE_FILE };
    /// CREATE FILE of an EF, in the directory.
    pub(super) const CREATE_EF: Operation = Operation { mode: 0x02, instruction: ins::CREATE_FILE };
    /// CREATE FILE of a DF, in the directory.
    pub(super) const CREATE_DF: Operation = Operation { mode: 0x04, instruction: ins::CREATE_FILE };
}

/// How deep security conditions may be nested.
const MAX_DEPTH: u8 = 4;

const ACCESS_MODE: Tag = Tag(0x80);
const ACCESS_MODE_INSTRUCTION: Tag = Tag(0x84);
const ALWAYS: Tag = Tag(0x90);
const NEVER: Tag = Tag(0x97);
const OR: Tag = Tag(0xA0);
const AND: Tag = Tag(0xAF);
const AUTHENTICATION_TEMPLATE: Tag = Tag(0xA4);
const KEY_REFERENCE: Tag = Tag(0x83);

/// Whether the rule of the file at `index` allows `operation` to an interface with these PINs `verified`, or with these
/// access domains. A rule that is not there, or cannot be read, allows nothing.
pub(super) fn is_allowed(profile: &Profile, verified: &Verified, index: FileIndex, operation: Operation) -> bool {
    let directory = profile.directory_of(index);
    match verified.remote {
        None => opens(profile, index, operation, &|key| is_presented(profile, verified, directory, key)),
        Some(access) => {
            let domain = if operation.is_administrative() { access.administration } else { access.files };
            domain.covers(profile, directory) && opens(profile, index, operation, &|_| true)
        }
    }
}

/// Whether the rule of the file at `index` allows `operation`, where `presented` tells of a key reference whether it is
/// open. A rule that is not there, or cannot be read, allows nothing.
pub(super) fn opens(profile: &Profile, index: FileIndex, operation: Operation, presented: &dyn Fn(u8) -> bool) -> bool {
    let Some(file) = profile.file(index) else { return false };
    let Security::Arr { file: arr, record } = file.security else { return false };
    rule(profile, index, arr, record).is_some_and(|rule| rule_allows(rule, operation, presented))
}

/// Whether what the key `reference` protects is open: it was presented, or it need not be.
pub(super) fn is_presented(profile: &Profile, verified: &Verified, directory: FileIndex, reference: u8) -> bool {
    profile.pin_index(reference, directory).is_some_and(|place| {
        let pin = profile.pins.get(place);
        pin.is_some_and(|pin| !pin.enabled || (pin.tries_left > 0 && verified.contains(place)))
    })
}

/// The record of the EF.ARR that a file refers to. It is looked for where the file lies, and in the directories above;
/// of a directory at last also in itself.
fn rule(profile: &Profile, index: FileIndex, arr: u16, record: u8) -> Option<&[u8]> {
    let parent = profile.file(index)?.parent;
    let found = profile
        .upwards(parent)
        .chain([profile.directory_of(index)])
        .find_map(|directory| profile.child(directory, arr))?;
    let FileKind::LinearFixed(length) = profile.file(found)?.kind else { return None };
    let place = usize::from(record).checked_sub(1)?;
    profile.content(found).chunks_exact(usize::from(length.max(1))).nth(place)
}

/// Whether an access rule allows `operation`, where `presented` tells of a key reference whether it is open.
///
/// A rule is access modes, each with the conditions that follow it up to the next access mode; any one of them opens
/// what its mode names. It ends at the padding. What cannot be understood opens nothing.
fn rule_allows(rule: &[u8], operation: Operation, presented: &dyn Fn(u8) -> bool) -> bool {
    let mut reader = Reader::new(rule);
    let mut applies = false;
    while !matches!(reader.rest().first(), None | Some(0xFF | 0x00)) {
        let Ok(object) = reader.read() else { return false };
        match object.tag {
            ACCESS_MODE => {
                // With bit 8 set the other bits are proprietary.
                applies = matches!(object.value, [mode] if mode & 0x80 == 0 && mode & operation.mode != 0);
            }
            ACCESS_MODE_INSTRUCTION => applies = object.value.contains(&operation.instruction),
            Tag(0x81..=0x8F) => applies = false,
            _ if applies && is_fulfilled(&object, presented, MAX_DEPTH) => return true,
            _ => {}
        }
    }
    false
}

/// Whether one security condition is fulfilled; those deeper than `depth` are not.
fn is_fulfilled(condition: &Tlv<'_>, presented: &dyn Fn(u8) -> bool, depth: u8) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let fulfilled = |member: Result<Tlv<'_>, _>| member.is_ok_and(|member| is_fulfilled(&member, presented, depth));
    match condition.tag {
        ALWAYS => condition.value.is_empty(),
        NEVER => false,
        OR => condition.members().any(fulfilled),
        AND => !condition.value.is_empty() && condition.members().all(fulfilled),
        AUTHENTICATION_TEMPLATE => {
            let mut keys = condition.members().flatten().filter(|member| member.tag == KEY_REFERENCE);
            match (keys.next().map(|key| key.value), keys.next()) {
                (Some([reference]), None) => presented(*reference),
                _ => false,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use hex_literal::hex;
    use proptest::prelude::*;

    const READ: Operation = Operation::read(0xB0);
    const UPDATE: Operation = Operation::update(0xD6);

    fn allows(rule: &[u8], operation: Operation, presented: &[u8]) -> bool {
        rule_allows(rule, operation, &|key| presented.contains(&key))
    }

    #[test]
    fn rules_as_profiles_have_them() {
        // READ always, UPDATE ADM1.
        let rule = hex!("8001019000 800102A40683010A950108 FFFFFFFF");
        assert!(allows(&rule, READ, &[]));
        assert!(!allows(&rule, UPDATE, &[1]));
        assert!(allows(&rule, UPDATE, &[0x0A]));
        // READ PIN1 and UPDATE never.
        let rule = hex!("800101A406830101950108 8001029700");
        assert!(!allows(&rule, READ, &[]));
        assert!(allows(&rule, READ, &[1]));
        assert!(!allows(&rule, UPDATE, &[1, 0x0A]));
        // One mode byte for both; PIN1 or ADM1.
        let rule = hex!("800103 A010 A406830101950108 A40683010A950108");
        for (keys, allowed) in [(&[][..], false), (&[1], true), (&[0x0A], true), (&[2], false)] {
            assert_eq!(allows(&rule, READ, keys), allowed);
            assert_eq!(allows(&rule, UPDATE, keys), allowed);
        }
        // PIN1 and ADM1.
        let rule = hex!("800102 AF10 A406830101950108 A40683010A950108");
        for (keys, allowed) in [(&[][..], false), (&[1], false), (&[0x0A], false), (&[1, 0x0A], true)] {
            assert_eq!(allows(&rule, UPDATE, keys), allowed);
        }
        // Several conditions after one mode: any opens.
        let rule = hex!("800102 A406830101950108 A40683010A950108");
        assert!(allows(&rule, UPDATE, &[0x0A]));
    }

    #[test]
    fn a_mode_that_names_an_instruction() {
        let rule = hex!("8401D69000 8001029700");
        assert!(allows(&rule, UPDATE, &[]));
        assert!(!allows(&rule, Operation::update(0xDC), &[]));
    }

    #[test]
    fn what_cannot_be_understood_opens_nothing() {
        for rule in [
            &hex!("")[..],
            &hex!("FFFFFF"),
            &hex!("9000"),
            &hex!("800101"),
            &hex!("8001819000"),
            &hex!("80020101 9000"),
            &hex!("8001019001"),
            &hex!("800101 900100"),
            &hex!("800101 A400"),
            &hex!("800101 A406 830101 830102"),
            &hex!("800101 AF00"),
            &hex!("800101 A000"),
            &hex!("800101 A702 9700"),
            &hex!("800101 9E0100"),
            &hex!("8C0101 9000"),
            // Nested deeper than the limit.
            &hex!("800101 A008A006A004A0029000"),
        ] {
            assert!(!allows(rule, READ, &[1, 2, 0x0A]), "{rule:02X?}");
        }
        assert!(allows(&hex!("800101 A006A004A0029000"), READ, &[]));
    }

    /// A condition as a tree, and what it means.
    #[derive(Clone, Debug)]
    enum Condition {
        Always,
        Never,
        Key(u8),
        Any(Vec<Condition>),
        All(Vec<Condition>),
    }

    impl Condition {
        fn encode(&self) -> Vec<u8> {
            let nested = |tag: u8, members: &[Condition]| {
                let value: Vec<u8> = members.iter().flat_map(Condition::encode).collect();
                let mut out = alloc::vec![tag];
                if value.len() > 127 {
                    out.push(0x81);
                }
                out.push(value.len() as u8);
                out.extend(value);
                out
            };
            match self {
                Condition::Always => hex!("9000").to_vec(),
                Condition::Never => hex!("9700").to_vec(),
                Condition::Key(key) => alloc::vec![0xA4, 0x06, 0x83, 0x01, *key, 0x95, 0x01, 0x08],
                Condition::Any(members) => nested(0xA0, members),
                Condition::All(members) => nested(0xAF, members),
            }
        }

        fn holds(&self, keys: u8) -> bool {
            match self {
                Condition::Always => true,
                Condition::Never => false,
                Condition::Key(key) => keys & (1 << key) != 0,
                Condition::Any(members) => members.iter().any(|member| member.holds(keys)),
                Condition::All(members) => members.iter().all(|member| member.holds(keys)),
            }
        }
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let leaf = prop_oneof![Just(Condition::Always), Just(Condition::Never), (0u8..8).prop_map(Condition::Key)];
        leaf.prop_recursive(2, 9, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..3).prop_map(Condition::Any),
                proptest::collection::vec(inner, 1..3).prop_map(Condition::All),
            ]
        })
    }

    proptest! {
        #[test]
        fn rules_mean_what_the_model_says(
            rules in proptest::collection::vec((1u8..128, condition()), 0..4),
            keys in any::<u8>(),
            padding in 0usize..5,
        ) {
            let mut encoded: Vec<u8> = Vec::new();
            for (mode, condition) in &rules {
                encoded.extend([0x80, 0x01, *mode]);
                encoded.extend(condition.encode());
            }
            encoded.extend(core::iter::repeat_n(0xFF, padding));
            for operation in [READ, UPDATE] {
                let expected = rules.iter().any(|(mode, condition)| mode & operation.mode != 0 && condition.holds(keys));
                let actual = rule_allows(&encoded, operation, &|key| key < 8 && keys & (1 << key) != 0);
                prop_assert_eq!(actual, expected);
            }
        }

        #[test]
        fn any_bytes_are_a_rule_that_does_not_panic(rule in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = allows(&rule, READ, &[1]);
        }
    }
}
