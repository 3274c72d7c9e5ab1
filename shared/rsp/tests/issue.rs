//! A test public key infrastructure of our own, on both curves: issued, checked, and read by OpenSSL.
#![cfg(feature = "issue")]

use std::process::{Command, Stdio};
use std::{io::Write, path::Path};
use teuicc_rsp::certificate::{
    Certificate, CertificateError, check_ci_certificate, check_euicc_chain, check_server_certificate,
};
use teuicc_rsp::crypto::{Curve, SecretKey};
use teuicc_rsp::csr::{self, CertificateRequest};
use teuicc_rsp::issue::{Issuer, Template, issue};
use teuicc_rsp::oid::Role;
use teuicc_rsp::x509::Name;
use teuicc_rsp::{Eid, pkcs8};

const CURVES: [Curve; 2] = [Curve::P256, Curve::BrainpoolP256r1];
const OID_OF_DP: &[u8] = &[0x88, 0x37, 0x0A];

/// A key that depends on `number` only.
fn key(curve: Curve, number: u8) -> SecretKey {
    SecretKey::new(curve, &[number; 32]).unwrap()
}

fn template(role: Role, common_name: &'static str) -> Template<'static> {
    Template {
        role,
        serial: &[0x80, 0x01],
        subject: Name { common_name: Some(common_name), organization: Some("ACME"), ..Name::default() },
        not_before: "20260101000000Z",
        not_after: "20491231235959Z",
        registered_id: None,
        dns_name: None,
        iin: None,
    }
}

fn ci(curve: Curve) -> Vec<u8> {
    let key = key(curve, 1);
    issue(&template(Role::Ci, "Test CI"), &key.public_key().unwrap(), Issuer::SelfSigned, &key).unwrap()
}

fn eum(curve: Curve) -> Vec<u8> {
    let ci = ci(curve);
    let issuer = Certificate::parse(&ci).unwrap();
    let template = Template { iin: Some("89049032"), ..template(Role::Eum, "Test EUM") };
    issue(&template, &key(curve, 2).public_key().unwrap(), Issuer::Certificate(&issuer), &key(curve, 1)).unwrap()
}

fn euicc(curve: Curve, eid: &str, organization: &str) -> Vec<u8> {
    let eum = eum(curve);
    let issuer = Certificate::parse(&eum).unwrap();
    let template = Template {
        subject: Name { organization: Some(organization), serial_number: Some(eid), ..Name::default() },
        serial: &[2, 0, 0, 0, 0, 0, 0, 0, 1],
        not_after: "74960124094858Z",
        ..template(Role::Euicc, "")
    };
    issue(&template, &key(curve, 3).public_key().unwrap(), Issuer::Certificate(&issuer), &key(curve, 2)).unwrap()
}

fn server(curve: Curve, role: Role) -> Vec<u8> {
    let ci = ci(curve);
    let issuer = Certificate::parse(&ci).unwrap();
    let dns_name = (role == Role::DpTls).then_some("smdp.example.com");
    let template = Template { registered_id: Some(OID_OF_DP), dns_name, ..template(role, "Test SM-DP+") };
    issue(&template, &key(curve, 4).public_key().unwrap(), Issuer::Certificate(&issuer), &key(curve, 1)).unwrap()
}

#[test]
fn issued_chains_are_accepted() {
    let eid = Eid::complete_check_digits("890490320010010012345678901234").unwrap().to_string();
    for curve in CURVES {
        let (ci, eum, euicc) = (ci(curve), eum(curve), euicc(curve, &eid, "ACME"));
        let (ci, eum) = (Certificate::parse(&ci).unwrap(), Certificate::parse(&eum).unwrap());
        let euicc = Certificate::parse(&euicc).unwrap();
        check_ci_certificate(&ci).unwrap();
        assert_eq!(check_euicc_chain(&ci.public_key, &eum, &euicc).unwrap().to_string(), eid);
        assert_eq!(euicc.serial, [2, 0, 0, 0, 0, 0, 0, 0, 1]);
        for role in [Role::DpAuth, Role::DpPb, Role::DpTls, Role::DsAuth, Role::DsTls] {
            let der = server(curve, role);
            let server = Certificate::parse(&der).unwrap();
            check_server_certificate(&server, role, &ci.public_key).unwrap();
            assert_eq!(server.registered_id, Some(OID_OF_DP));
            assert_eq!(server.authority_key_identifier, ci.subject_key_identifier);
            assert_eq!(server.dns_name.is_some(), role == Role::DpTls);
        }
    }
}

#[test]
fn a_name_outside_the_manufacturers_is_refused() {
    for (eid, organization) in [
        ("89049033001001001234567890123456", "ACME"),
        ("89049032001001001234567890123456", "Acme"),
        ("8904903200100100123456789012345", "ACME"),
    ] {
        let (ci, eum, euicc) = (ci(Curve::P256), eum(Curve::P256), euicc(Curve::P256, eid, organization));
        let (ci, eum) = (Certificate::parse(&ci).unwrap(), Certificate::parse(&eum).unwrap());
        let refused = check_euicc_chain(&ci.public_key, &eum, &Certificate::parse(&euicc).unwrap()).unwrap_err();
        assert_eq!((refused.role, refused.error), (Role::Euicc, CertificateError::NameConstraints));
    }
}

#[test]
fn requests_go_both_ways() {
    for curve in CURVES {
        let key = key(curve, 5);
        let subject = Name {
            organization: Some("ACME"),
            serial_number: Some("89049032123451234512345678901235"),
            ..Name::default()
        };
        let der = csr::request(&subject, &key).unwrap();
        let read = CertificateRequest::parse(&der).unwrap();
        assert_eq!(read.public_key, key.public_key().unwrap());
        assert_eq!(read.serial_number, Some(b"89049032123451234512345678901235".as_slice()));
        assert_eq!(read.organization, Some(b"ACME".as_slice()));
        for position in 0..der.len() {
            let mut changed = der.clone();
            changed[position] ^= 1;
            assert!(CertificateRequest::parse(&changed).is_err(), "byte {position}");
        }
        let Some(text) = openssl(&["req", "-inform", "DER", "-noout", "-verify", "-text"], &der) else { return };
        assert!(text.contains("89049032123451234512345678901235"), "{text}");
    }
}

#[test]
fn openssl_reads_what_was_issued() {
    for curve in CURVES {
        let eid = "89049032123451234512345678901235";
        for (der, words) in [
            (ci(curve), "CA:TRUE"),
            (eum(curve), "serialNumber = 89049032"),
            (euicc(curve, eid, "ACME"), "7496 GMT"),
            (server(curve, Role::DpAuth), "2.23.146.1.2.1.4"),
            (server(curve, Role::DpTls), "DNS:smdp.example.com, Registered ID:2.999.10"),
        ] {
            let Some(text) = openssl(&["x509", "-inform", "DER", "-noout", "-text"], &der) else { return };
            assert!(text.contains(words), "{words} not in {text}");
        }
        let key = key(curve, 6);
        let der = pkcs8::expose(&key, &key.public_key().unwrap()).unwrap();
        assert_eq!(pkcs8::parse(&der).unwrap().expose_scalar(), key.expose_scalar());
        openssl(&["pkey", "-inform", "DER", "-noout", "-check"], &der).unwrap();
    }
}

#[test]
fn openssl_verifies_a_server_against_its_ci() {
    let folder = std::env::temp_dir().join(format!("teuicc-rsp-issue-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for curve in CURVES {
        let (ca, server) = (folder.join("ca.pem"), folder.join("server.pem"));
        if !pem(&ci(curve), &ca) || !pem(&self::server(curve, Role::DpTls), &server) {
            return;
        }
        let arguments = ["verify", "-purpose", "sslserver", "-verify_hostname", "smdp.example.com", "-CAfile"];
        let paths = [ca.to_str().unwrap(), server.to_str().unwrap()];
        let text = openssl(&[&arguments[..], &paths[..]].concat(), &[]).unwrap();
        assert!(text.contains("OK"), "{text}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Writes a certificate in PEM; `false` if OpenSSL is not installed.
fn pem(der: &[u8], path: &Path) -> bool {
    openssl(&["x509", "-inform", "DER", "-out", path.to_str().unwrap()], der).is_some()
}

/// What the OpenSSL command prints; `None`, and a line that says so, if it is not installed.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<String> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: openssl is not installed");
        return None;
    };
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
