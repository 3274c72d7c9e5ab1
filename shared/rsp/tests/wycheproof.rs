//! Project Wycheproof's vectors for what the crate does with the curves and with CMAC. The counts are checked, so that
//! vectors cannot go unread.

use teuicc_rsp::crypto::{Curve, PublicKey, SecretKey, verify};
use teuicc_rsp::x509::parse_public_key;
use wycheproof::{TestResult, ecdh, ecdsa, mac};

fn check_ecdsa(name: ecdsa::TestName, curve: Curve, expected: usize) {
    let set = ecdsa::TestSet::load(name).unwrap();
    let mut count = 0;
    for group in set.test_groups {
        let key = PublicKey::new(curve, &group.key.key).unwrap();
        for test in group.tests {
            let accepted =
                <&[u8; 64]>::try_from(test.sig.as_slice()).is_ok_and(|signature| verify(&key, &[&test.msg], signature));
            assert_eq!(accepted, test.result == TestResult::Valid, "{curve} {}: {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert_eq!(count, expected);
}

#[test]
fn ecdsa_p256() {
    check_ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256P1363, Curve::P256, 262);
}

#[test]
fn ecdsa_brainpool() {
    check_ecdsa(ecdsa::TestName::EcdsaBrainpool256r1Sha256P1363, Curve::BrainpoolP256r1, 261);
}

/// Runs the vectors: all read, and how many agreed on the right secret. Acceptable ones may be refused.
fn check_ecdh(name: ecdh::TestName, curve: Curve, expected: usize) -> usize {
    let set = ecdh::TestSet::load(name).unwrap();
    let (mut count, mut agreed) = (0, 0);
    for group in set.test_groups {
        for test in group.tests {
            count += 1;
            let private: &[u8] = &test.private_key;
            let significant = private.iter().position(|byte| *byte != 0).map_or(&[][..], |start| &private[start..]);
            let mut scalar = [0u8; 32];
            let Some(start) = scalar.len().checked_sub(significant.len()) else {
                assert_ne!(test.result, TestResult::Valid);
                continue;
            };
            scalar[start..].copy_from_slice(significant);
            let public = match group.encoding {
                ecdh::EcdhEncoding::EcPoint => PublicKey::new(curve, &test.public_key).ok(),
                ecdh::EcdhEncoding::Asn1 => parse_public_key(&test.public_key).ok(),
            };
            let secret = public.and_then(|public| SecretKey::new(curve, &scalar).unwrap().ecdh(&public).ok());
            match secret {
                Some(secret) => {
                    assert_ne!(test.result, TestResult::Invalid, "{curve} {}: {}", test.tc_id, test.comment);
                    assert_eq!(secret.as_slice(), test.shared_secret.as_slice(), "{curve} {}", test.tc_id);
                    agreed += 1;
                }
                None => assert_ne!(test.result, TestResult::Valid, "{curve} {}: {}", test.tc_id, test.comment),
            }
        }
    }
    assert_eq!(count, expected);
    agreed
}

#[test]
fn ecdh_p256() {
    assert!(check_ecdh(ecdh::TestName::EcdhSecp256r1Ecpoint, Curve::P256, 355) > 200);
    assert!(check_ecdh(ecdh::TestName::EcdhSecp256r1, Curve::P256, 612) > 200);
}

#[test]
fn ecdh_brainpool() {
    assert!(check_ecdh(ecdh::TestName::EcdhBrainpool256r1, Curve::BrainpoolP256r1, 804) > 200);
}

#[test]
fn aes_cmac() {
    use cmac::{Cmac, KeyInit, Mac};
    let set = mac::TestSet::load(mac::TestName::AesCmac).unwrap();
    let (mut count, mut computed) = (0, 0);
    for group in set.test_groups {
        for test in group.tests {
            count += 1;
            let Ok(key) = <[u8; 16]>::try_from(test.key.as_slice()) else { continue };
            computed += 1;
            let mut mac = Cmac::<aes::Aes128>::new(&key.into());
            mac.update(&test.msg);
            let tag = mac.finalize().into_bytes();
            let same = tag[..test.tag.len()] == test.tag[..];
            assert_eq!(same, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
        }
    }
    assert_eq!(count, 311);
    assert!(computed > 80);
}
