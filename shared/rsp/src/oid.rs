//! Object identifiers as content octets, without tag and length.

use core::fmt;

/// id-ecPublicKey, 1.2.840.10045.2.1.
pub const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
/// P-256, 1.2.840.10045.3.1.7.
pub const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
/// brainpoolP256r1, 1.3.36.3.3.2.8.1.1.7.
pub const BRAINPOOL_P256R1: &[u8] = &[0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07];
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2.
pub const ECDSA_WITH_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];

/// commonName, 2.5.4.3.
pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// serialNumber, 2.5.4.5.
pub const SERIAL_NUMBER: &[u8] = &[0x55, 0x04, 0x05];
/// countryName, 2.5.4.6.
pub const COUNTRY: &[u8] = &[0x55, 0x04, 0x06];
/// organizationName, 2.5.4.10.
pub const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0A];

/// subjectKeyIdentifier, 2.5.29.14.
pub const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x0E];
/// keyUsage, 2.5.29.15.
pub const KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x0F];
/// subjectAltName, 2.5.29.17.
pub const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1D, 0x11];
/// basicConstraints, 2.5.29.19.
pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x13];
/// nameConstraints, 2.5.29.30.
pub const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1D, 0x1E];
/// certificatePolicies, 2.5.29.32.
pub const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1D, 0x20];
/// authorityKeyIdentifier, 2.5.29.35.
pub const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1D, 0x23];
/// extKeyUsage, 2.5.29.37.
pub const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1D, 0x25];
/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1.
pub const SERVER_AUTH: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
pub const CLIENT_AUTH: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// permittedEins of an EUM certificate of SGP.22 v3, 2.23.146.1.2.2.0.
pub const PERMITTED_EINS: &[u8] = &[0x67, 0x81, 0x12, 0x01, 0x02, 0x02, 0x00];

/// What a certificate of the RSP public key infrastructure is for (section 4.5.2). Its certificatePolicies extension
/// says it with an identifier under id-rspRole, 2.23.146.1.2.1; v2 and v3 of SGP.22 have different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// GSMA certificate issuer.
    Ci,
    /// eUICC.
    Euicc,
    /// eUICC manufacturer.
    Eum,
    /// SM-DP+, TLS.
    DpTls,
    /// SM-DP+, authentication.
    DpAuth,
    /// SM-DP+, profile binding.
    DpPb,
    /// SM-DS, TLS.
    DsTls,
    /// SM-DS, authentication.
    DsAuth,
}

impl Role {
    /// The identifier in v2 (SGP.26 variant O).
    #[must_use]
    pub const fn v2(self) -> &'static [u8] {
        match self {
            Role::Ci => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00],
            Role::Euicc => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x01],
            Role::Eum => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x02],
            Role::DpTls => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x03],
            Role::DpAuth => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x04],
            Role::DpPb => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x05],
            Role::DsTls => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x06],
            Role::DsAuth => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x07],
        }
    }

    /// The identifier in v3 (SGP.26 variants Ov3, A, B, C).
    #[must_use]
    pub const fn v3(self) -> &'static [u8] {
        match self {
            Role::Ci => Role::Ci.v2(),
            Role::Eum => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00, 0x00, 0x00],
            Role::Euicc => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00],
            Role::DpTls => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00, 0x00, 0x01, 0x00],
            Role::DpAuth => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00, 0x00, 0x01, 0x01],
            Role::DpPb => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00, 0x00, 0x01, 0x02],
            Role::DsTls => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00, 0x00, 0x02, 0x00],
            Role::DsAuth => &[0x67, 0x81, 0x12, 0x01, 0x02, 0x01, 0x00, 0x00, 0x02, 0x01],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Ci => "CI",
            Role::Euicc => "eUICC",
            Role::Eum => "EUM",
            Role::DpTls => "SM-DP+ TLS",
            Role::DpAuth => "SM-DP+ authentication",
            Role::DpPb => "SM-DP+ profile binding",
            Role::DsTls => "SM-DS TLS",
            Role::DsAuth => "SM-DS authentication",
        })
    }
}

/// Prints content octets in dotted form, `2.999.10`; what is no identifier is printed as `?`.
#[derive(Clone, Copy, Debug)]
pub struct Dotted<'a>(pub &'a [u8]);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        let mut arc = 0u64;
        let mut open = true;
        for octet in self.0 {
            arc = match arc.checked_mul(128) {
                Some(shifted) => shifted | u64::from(octet & 0x7F),
                None => return f.write_str("?"),
            };
            open = octet & 0x80 != 0;
            if open {
                continue;
            }
            if first {
                let root = (arc / 40).min(2);
                write!(f, "{root}.{}", arc.saturating_sub(root.saturating_mul(40)))?;
            } else {
                write!(f, ".{arc}")?;
            }
            first = false;
            arc = 0;
        }
        if open { f.write_str("?") } else { Ok(()) }
    }
}

/// The content octets of a dotted identifier of at most 32 octets: the octets, and how many count. `None` if it is no
/// identifier, or longer.
#[must_use]
pub fn from_dotted(dotted: &str) -> Option<([u8; 32], usize)> {
    let mut octets = [0u8; 32];
    let mut length = 0usize;
    let mut arcs = dotted.split('.').map(|arc| arc.parse::<u64>().ok());
    let (root, second) = (arcs.next()??, arcs.next()??);
    if root > 2 || (root < 2 && second > 39) {
        return None;
    }
    let first = root.checked_mul(40)?.checked_add(second)?;
    for arc in core::iter::once(Some(first)).chain(arcs) {
        let arc = arc?;
        let groups = (64u32.saturating_sub((arc | 1).leading_zeros())).div_ceil(7);
        for group in (0..groups).rev() {
            let bits = u8::try_from((arc >> group.checked_mul(7)?) & 0x7F).ok()?;
            *octets.get_mut(length)? = if group == 0 { bits } else { bits | 0x80 };
            length = length.checked_add(1)?;
        }
    }
    Some((octets, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn dotted_form_both_ways() {
        let all = [
            ("2.999.10", &[0x88, 0x37, 0x0A][..]),
            ("2.23.146.1.2.1.4", Role::DpAuth.v2()),
            ("2.23.146.1.2.1.0.0.1.1", Role::DpAuth.v3()),
            ("2.23.146.1.2.2.0", PERMITTED_EINS),
            ("1.2.840.10045.2.1", EC_PUBLIC_KEY),
            ("1.3.36.3.3.2.8.1.1.7", BRAINPOOL_P256R1),
        ];
        for (dotted, octets) in all {
            assert_eq!(Dotted(octets).to_string(), dotted);
            let (found, length) = from_dotted(dotted).unwrap();
            assert_eq!(&found[..length], octets, "{dotted}");
        }
        for wrong in ["", "1", "3.1", "1.40", "1.2.x", "1.2."] {
            assert_eq!(from_dotted(wrong), None, "{wrong}");
        }
        assert_eq!(Dotted(&[]).to_string(), "?");
    }
}
