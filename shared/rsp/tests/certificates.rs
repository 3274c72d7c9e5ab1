//! The published SGP.26 chains on both curves, accepted whole and refused when anything is changed.

mod common;

use common::published;
use teuicc_rsp::certificate::{
    Certificate, CertificateError, Time, check_ci_certificate, check_euicc_chain, check_server_certificate,
};
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::oid::{Dotted, Role};
use teuicc_rsp::pkcs8;

const CURVES: [(&str, Curve); 2] = [("NIST", Curve::P256), ("BRP", Curve::BrainpoolP256r1)];

fn file(path: &str) -> Option<Vec<u8>> {
    published(&format!("sgp26/{path}"))
}

fn parse(der: &[u8]) -> Certificate<'_> {
    Certificate::parse(der).unwrap()
}

#[test]
fn chains_of_both_curves_are_accepted() {
    for (name, curve) in CURVES {
        let Some(ci) = file(&format!("CertificateIssuer/CERT_CI_ECDSA_{name}.der")) else { return };
        let ci = parse(&ci);
        assert_eq!(ci.public_key.curve(), curve);
        check_ci_certificate(&ci).unwrap();
        let eum = file(&format!("EUM/CERT_EUM_ECDSA_{name}.der")).unwrap();
        let euicc = file(&format!("eUICC/CERT_EUICC_ECDSA_{name}.der")).unwrap();
        let (eum, euicc) = (parse(&eum), parse(&euicc));
        let eid = check_euicc_chain(&ci.public_key, &eum, &euicc).unwrap();
        assert_eq!(eid.to_string(), "89049032123451234512345678901235");
        assert_eq!(euicc.serial, [2, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(euicc.not_after.as_str().get(..4), Some("7496"));
        for (folder, server, role) in [
            ("DPauth", "DPauth", Role::DpAuth),
            ("DPauth", "DP2auth", Role::DpAuth),
            ("DPpb", "DPpb", Role::DpPb),
            ("DPpb", "DP2pb", Role::DpPb),
        ] {
            let der = file(&format!("{folder}/CERT_S_SM_{server}_ECDSA_{name}.der")).unwrap();
            let key = pkcs8::parse(&file(&format!("{folder}/SK_S_SM_{server}_ECDSA_{name}.pkcs8.der")).unwrap());
            let certificate = parse(&der);
            check_server_certificate(&certificate, role, &ci.public_key).unwrap();
            assert_eq!(key.unwrap().public_key().unwrap(), certificate.public_key, "{name} {server}");
            assert!(Dotted(certificate.registered_id.unwrap()).to_string().starts_with("2.999.1"));
            let other = if role == Role::DpAuth { Role::DpPb } else { Role::DpAuth };
            let refused = check_server_certificate(&certificate, other, &ci.public_key);
            assert_eq!(refused, Err(CertificateError::Role));
            assert!(certificate.is_valid_at(Time(*b"20260101000000Z")));
            assert!(!certificate.is_valid_at(Time(*b"20310101000000Z")));
        }
        let tls = file(&format!("DPtls/CERT_S_SM_DP_VARO_TLS_{name}.der")).unwrap();
        let tls = parse(&tls);
        check_server_certificate(&tls, Role::DpTls, &ci.public_key).unwrap();
        assert_eq!(tls.dns_name, Some("testsmdpplus1.example.com"));
    }
}

#[test]
fn a_chain_across_curves_is_refused() {
    let Some(ci) = file("CertificateIssuer/CERT_CI_ECDSA_NIST.der") else { return };
    let server = file("DPauth/CERT_S_SM_DPauth_ECDSA_BRP.der").unwrap();
    let refused = check_server_certificate(&parse(&server), Role::DpAuth, &parse(&ci).public_key);
    assert_eq!(refused, Err(CertificateError::UnsupportedCurve));
}

#[test]
fn no_changed_byte_is_accepted() {
    for (name, _) in CURVES {
        let Some(ci) = file(&format!("CertificateIssuer/CERT_CI_ECDSA_{name}.der")) else { return };
        let ci = parse(&ci);
        let der = file(&format!("DPauth/CERT_S_SM_DPauth_ECDSA_{name}.der")).unwrap();
        for position in 0..der.len() {
            let mut changed = der.clone();
            changed[position] ^= 0x01;
            let accepted = Certificate::parse(&changed)
                .and_then(|changed| check_server_certificate(&changed, Role::DpAuth, &ci.public_key));
            assert!(accepted.is_err(), "{name}, byte {position}");
        }
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_err(), "{name}, {length} bytes");
        }
    }
}

#[test]
fn an_euicc_needs_its_own_manufacturer() {
    let Some(ci) = file("CertificateIssuer/CERT_CI_ECDSA_NIST.der") else { return };
    let (eum, euicc) = (file("EUM/CERT_EUM_ECDSA_NIST.der").unwrap(), file("eUICC/CERT_EUICC_ECDSA_NIST.der").unwrap());
    let server = file("DPauth/CERT_S_SM_DPauth_ECDSA_NIST.der").unwrap();
    let (ci, eum, euicc, server) = (parse(&ci), parse(&eum), parse(&euicc), parse(&server));
    assert_eq!(check_euicc_chain(&ci.public_key, &server, &euicc).unwrap_err().role, Role::Eum);
    assert_eq!(check_euicc_chain(&eum.public_key, &eum, &euicc).unwrap_err().role, Role::Eum);
    assert_eq!(check_euicc_chain(&ci.public_key, &eum, &server).unwrap_err().role, Role::Euicc);
    assert_eq!(check_euicc_chain(&ci.public_key, &eum, &eum).unwrap_err().role, Role::Euicc);
}
