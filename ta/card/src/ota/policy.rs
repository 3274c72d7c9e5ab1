//! Who may be managed over the air at all: the one rule against published keys.
//!
//! Test profiles come with published keys for remote management, and profiles for operation were made with those same
//! keys. On real cards that gave everybody the authority of the operator, and in the end the card's own keys.

use teuicc_rsp::codes::ProfileClass;
use teuicc_rsp::metadata::StoreMetadata;
use teuicc_rsp::object::Object;

/// What this build of the card allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Whether it is a build for testing: then everything is allowed.
    testing: bool,
}

/// Keys of the published TS.48 test profiles that follow no pattern.
const PUBLISHED: [[u8; 16]; 3] = [
    [0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0x11, 0x22, 0x33, 0x44, 0x55, 0xEE, 0xFF, 0x10],
    [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0x10],
    [0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0x10, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88],
];

impl Policy {
    /// The policy of this build. The import of identities is what no product has, so it marks a build for testing.
    pub(crate) const BUILD: Policy = Policy { testing: cfg!(feature = "import-identity") };

    /// Whether a profile with this metadata (StoreMetadataRequest BF25) may be managed over the air: not one of the
    /// test class, and not one whose class cannot be read.
    pub(super) fn permits_profile(self, metadata: &[u8]) -> bool {
        let class = StoreMetadata::parse(metadata).map(|metadata| metadata.class());
        self.testing || class.is_ok_and(|class| class != ProfileClass::Test)
    }

    /// Whether packets may be executed that nothing keeps from being sent again, where the profile would take them.
    pub(super) fn permits_replays(self) -> bool {
        self.testing
    }

    /// Whether messages under this key may be believed: not if it is published, or a pattern (all but its first two
    /// bytes count up or down in equal steps, as in `000102...`, `200102...` or `1111...`).
    pub(super) fn permits_key(self, key: &[u8]) -> bool {
        let published = key.get(..16).is_some_and(|start| PUBLISHED.iter().any(|published| published == start));
        self.testing || !(published || is_pattern(key))
    }
}

fn is_pattern(key: &[u8]) -> bool {
    let mut steps = key.iter().skip(2).zip(key.iter().skip(3)).map(|(byte, next)| next.wrapping_sub(*byte));
    steps.next().is_none_or(|first| steps.all(|step| step == first))
}

#[cfg(test)]
impl Policy {
    pub(super) const PRODUCTION: Policy = Policy { testing: false };
    pub(super) const TESTING: Policy = Policy { testing: true };
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use hex_literal::hex;

    fn metadata(class: &[u8]) -> Vec<u8> {
        let members = [&hex!("5A0A98001032547698103214 910161 920162"), class].concat();
        [&[0xBF, 0x25, members.len() as u8], &members[..]].concat()
    }

    #[test]
    fn test_profiles_are_managed_in_a_build_for_testing_only() {
        for (class, production) in [(&hex!("950100")[..], false), (&hex!("950101"), true), (&hex!("950102"), true)] {
            assert_eq!(Policy::PRODUCTION.permits_profile(&metadata(class)), production, "{class:02X?}");
            assert!(Policy::TESTING.permits_profile(&metadata(class)));
        }
        assert!(Policy::PRODUCTION.permits_profile(&metadata(&[])), "the default class is operational");
        assert!(!Policy::PRODUCTION.permits_profile(&hex!("BF2500")), "metadata that cannot be read");
    }

    #[test]
    fn published_keys_are_believed_in_a_build_for_testing_only() {
        for key in [
            &hex!("66778899AABBCCDD1122334455EEFF10")[..],
            &hex!("112233445566778899AABBCCDDEEFF10"),
            &hex!("99AABBCCDDEEFF101122334455667788"),
            &hex!("66778899AABBCCDD1122334455EEFF10 0011223344556677"),
            &hex!("000102030405060708090A0B0C0D0E0F"),
            &hex!("200102030405060708090A0B0C0D0E0F"),
            &hex!("301102030405060708090A0B0C0D0E0F"),
            &hex!("00112233445566778899AABBCCDDEEFF"),
            &hex!("11111111111111111111111111111111"),
            &[0; 32],
            &[],
        ] {
            assert!(!Policy::PRODUCTION.permits_key(key), "{key:02X?}");
            assert!(Policy::TESTING.permits_key(key));
        }
        // TS 35.207 test set 1, as good as random.
        assert!(Policy::PRODUCTION.permits_key(&hex!("465B5CE8B199B49FAA5F0A2EE238A6BC")));
    }
}
