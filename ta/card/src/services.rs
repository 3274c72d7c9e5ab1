//! The services that this card supports: one table for the installer, EUICCInfo2 and the documentation.

use teuicc_saip::pe::Service;

/// A service that a profile package may demand.
struct Supported {
    service: Service,
    /// Its bit in UICCCapability.
    capability: u32,
}

const fn supported(service: Service, capability: u32) -> Supported {
    Supported { service, capability }
}

/// What is supported. csim and ber-tlv: their files are installed and kept.
const SUPPORTED: [Supported; 15] = [
    supported(Service::Usim, 1),
    supported(Service::Isim, 2),
    supported(Service::Csim, 3),
    supported(Service::Milenage, 4),
    supported(Service::Tuak128, 6),
    supported(Service::Tuak256, 7),
    supported(Service::UsimTestAlgorithm, 8),
    supported(Service::GbaUsim, 10),
    supported(Service::GbaIsim, 11),
    supported(Service::MultipleUsim, 16),
    supported(Service::MultipleIsim, 17),
    supported(Service::BerTlv, 19),
    supported(Service::GetIdentity, 22),
    supported(Service::ProfileAX25519, 23),
    supported(Service::ProfileBP256, 24),
];

/// The supported services as bits of `teuicc_saip::pe::Services`.
pub(crate) const SERVICES: u32 = {
    let mut bits = 0;
    let mut rest = SUPPORTED.as_slice();
    while let [first, others @ ..] = rest {
        bits |= first.service.bit();
        rest = others;
    }
    bits
};

/// UICCCapability of EUICCInfo2 (tag 85, SGP.22 section 5.7.8), bit 0 being the first of the bit string.
pub(crate) const UICC_CAPABILITY: u32 = {
    let mut bits = 0;
    let mut rest = SUPPORTED.as_slice();
    while let [first, others @ ..] = rest {
        bits |= 1 << first.capability;
        rest = others;
    }
    bits
};

/// Services of the UST (TS 31.102 section 4.2.8) that need something of the card that it has not got, and that are
/// therefore not available whatever the package says: VGCS and VBS security, MBMS security, local keys by GBA.
pub(crate) const USIM_UNAVAILABLE: [u16; 4] = [64, 65, 69, 76];

/// The same of the IST (TS 31.103 section 4.2.7): HTTP digest, local keys by GBA.
pub(crate) const ISIM_UNAVAILABLE: [u16; 2] = [3, 4];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_follow_the_table() {
        assert_eq!(UICC_CAPABILITY, 0b1_1100_1011_0000_1101_1101_1110);
        assert_eq!(SERVICES.count_ones(), UICC_CAPABILITY.count_ones());
    }
}
