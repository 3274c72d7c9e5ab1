//! Who may be managed at all.

use super::*;

/// The rule of a production build: no test profile executes anything, and no published key opens anything.
#[test]
fn test_profiles_and_published_keys_are_for_builds_for_testing() {
    let published = (1, 0x12, hex!("66778899AABBCCDD1122334455EEFF10"), hex!("112233445566778899AABBCCDDEEFF10"));
    let pattern = (2, 0x22, core::array::from_fn(|at| at as u8), core::array::from_fn(|at| at as u8));
    let mut writer = teuicc_tlv::Writer::new();
    let sets = [&published, &pattern]
        .into_iter()
        .flat_map(|(version, _, kic, kid)| [DomainKey::new(*version, kic), DomainKey::new(*version, kid)]);
    security_domain(&mut writer, &sets.collect::<Vec<_>>()).unwrap();
    rfm(&mut writer, TAR_FILES, 0x02, FULL, None).unwrap();
    let weak = writer.into_bytes();
    for (version, indication, kic, kid) in [published, pattern] {
        let keys = [kic.to_vec(), kid.to_vec()];
        let [kic, kid] = keys.map(|key| (indication, key));
        let server = Server { kic, kid, ..Server::new(TAR_FILES, 1) };
        let mut bench = Bench::with(weak.clone(), OPERATIONAL);
        assert_eq!((bench.status(&server, UPDATE), bench.replaces()), (0x06, 0), "{version}");
        bench.policy = Policy::TESTING;
        assert_eq!(bench.status(&server, UPDATE), 0x00, "{version}");
    }
    for tar in [TAR_FILES, TAR_DOMAIN] {
        let server = Server::new(tar, 1);
        let mut bench = Bench::with(elements(&profile::USIM), TEST);
        assert_eq!((bench.status(&server, UPDATE), bench.replaces()), (0x09, 0));
        bench.policy = Policy::TESTING;
        assert_eq!(bench.status(&server, UPDATE), 0x00);
    }
}
