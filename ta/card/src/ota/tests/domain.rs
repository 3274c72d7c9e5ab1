//! Commands to the security domain, on a card without a registry.

use super::*;

#[test]
fn commands_to_the_security_domain() {
    for (script, data) in [
        // This card has no registry, so that no profile of it is enabled.
        (&hex!("80E2910006 BF2A03920162")[..], &hex!("016985")[..]),
        (&hex!("80E2910003 BF2D00"), &hex!("016A88")),
        (&hex!("80E2910001 00"), &hex!("016A80")),
        (&hex!("80E2900006 BF2A03920162"), &hex!("016A86")),
        (&hex!("80E6200007 00000000000000"), &hex!("016A80")),
        (&hex!("80E6200016 000010A0000005591010FFFFFFFF8900001000000000"), &hex!("016A88")),
        (&hex!("80E6200006 000000000000"), &hex!("016A88")),
        (&hex!("80E6020000"), &hex!("016A86")),
        (&hex!("80CA006600"), &hex!("016D00")),
    ] {
        let mut bench = Bench::new();
        for tar in [TAR_DOMAIN, [0xB2, 0x01, 0x00]] {
            let report = bench.report(&Server::new(tar, 1 + u64::from(tar[0])), script);
            assert_eq!((report.status, report.data.as_slice()), (0, data), "{script:02X?}");
        }
    }
}
