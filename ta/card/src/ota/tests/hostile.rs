//! Whatever comes.

use super::*;
use proptest::prelude::*;

/// File identifiers, and no data.
const NAMES: &[&[u8]] = &[&[0x2F, 0x30], &[0x2F, 0x05], &[0x6F, 0x07], &[0x3F, 0x00], &[]];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, a card without the right checksum stays as it is.
    #[test]
    fn damaged_packets_change_nothing(
        version in 1u8..=6,
        spi in any::<[u8; 2]>(),
        data in proptest::collection::vec(any::<u8>(), 0..60),
        changes in proptest::collection::vec((any::<u16>(), 1u8..), 1..4),
    ) {
        let mut server = Server::with_version(version, TAR_FILES, 9);
        server.spi = spi;
        let packet = server.packet(&data);
        let mut changed = packet.clone();
        for (at, flip) in changes {
            let at = usize::from(at) % changed.len();
            changed[at] ^= flip;
        }
        prop_assume!(changed != packet);
        let mut bench = Bench::new();
        let before = bench.store.snapshot();
        bench.apdu(&envelope(&[&hex!("027000")[..], &changed].concat()));
        prop_assert_eq!(bench.store.snapshot(), before);
        prop_assert_eq!(bench.profile.ota_counters.len(), 0);
    }

    #[test]
    fn any_message_is_answered(
        object in proptest::collection::vec(any::<u8>(), 0..200),
        user_data in proptest::collection::vec(any::<u8>(), 0..150),
        header in proptest::collection::vec(0u8..9, 0..12),
    ) {
        let mut bench = Bench::new();
        let before = bench.store.snapshot();
        let env = Env { rng: &mut bench.rng, store: &mut bench.store };
        let host = Host {
            profile: &mut bench.profile,
            euicc: &mut bench.euicc,
            env,
            session: &mut bench.session,
            files_deleted: &mut false,
        };
        let _ = receive(host, &mut bench.reassembly, &object, Policy::PRODUCTION);
        bench.apdu(&envelope(&user_data));
        bench.apdu(&envelope(&[&[header.len() as u8], &header[..], &user_data].concat()));
        prop_assert_eq!(bench.store.snapshot(), before);
    }

    /// Signed scripts of any content: answered, and outside of the access domain nothing changes.
    #[test]
    fn any_signed_script_keeps_to_its_access_domain(
        script in proptest::collection::vec(any::<u8>(), 0..80),
        commands in proptest::collection::vec(
            (proptest::sample::select(&[0xA4u8, 0xD6, 0xDC, 0xB0, 0xB2, 0xA2, 0x32, 0x04, 0x44][..]), 0u8..10, 0u8..13,
             proptest::sample::select(NAMES)),
            0..6,
        ),
    ) {
        let mut bench = Bench::new();
        let before = bench.store.snapshot();
        let mut structured = Vec::new();
        for (ins, p1, p2, data) in commands {
            structured.extend([0x00, ins, p1, p2, data.len() as u8]);
            structured.extend(data);
        }
        for (counter, script) in (1..).zip([&script, &structured]) {
            let report = bench.report(&Server::new(TAR_NOTHING, counter), script);
            prop_assert_eq!(report.status, 0);
        }
        let mut after = bench.store.snapshot();
        after.remove(&ObjectId::Hot(SLOT));
        let mut before = before;
        before.remove(&ObjectId::Hot(SLOT));
        prop_assert_eq!(after, before);
        prop_assert_eq!(&bench.content(0x2F30)[..3], [0; 3]);
    }
}
