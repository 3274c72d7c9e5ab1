//! The services that this card supports: one table for the installer, EUICCInfo2 and the documentation.

/// UICCCapability of EUICCInfo2 (85), bit 0 first: usimSupport(1), isimSupport(2), csimSupport(3),
/// akaMilenage(4), akaUsimTestAlgorithm(8), multipleUsimSupport(16), multipleIsimSupport(17), berTlvFileSupport(19),
/// getIdentity(22), profile-a-x25519(23), profile-b-p256(24).
pub(crate) const UICC_CAPABILITY: u32 =
    1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 22 | 1 << 23 | 1 << 24;
