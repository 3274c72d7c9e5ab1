//! Golden bytes of version 1. If a test in this file fails, do not change the test: an existing message was
//! changed, and every card and daemon in the field would misunderstand it. Add a version instead.

use hex_literal::hex;
use proptest::prelude::*;
use teuicc_wire::{
    Chain, Commands, DecodeError, Error, FactoryRequest, Features, Hello, Interface, Personalization, Request,
    Response, State, Transmitted, encode_commands,
};

const EID: [u8; 16] = hex!("89049032123451234512345678901235");

fn request(request: &Request<'_>, golden: &[u8]) {
    assert_eq!(request.encode().unwrap(), golden, "{request:?}");
    assert!(Request::decode(golden).unwrap() == *request, "{request:?}");
    for length in 0..golden.len() {
        assert!(Request::decode(&golden[..length]).is_err(), "{request:?} cut to {length}");
    }
    let mut longer = golden.to_vec();
    longer.push(0);
    assert_eq!(Request::decode(&longer), Err(DecodeError::Trailing));
}

fn response(response: &Response, golden: &[u8]) {
    assert_eq!(response.encode().unwrap(), golden, "{response:?}");
    assert!(Response::decode(golden).unwrap() == *response, "{response:?}");
    for length in 0..golden.len() {
        assert!(Response::decode(&golden[..length]).is_err(), "{response:?} cut to {length}");
    }
}

#[test]
fn requests() {
    request(&Request::Hello, &hex!("01 01"));
    request(&Request::PowerUp(Interface::Modem), &hex!("01 10 00"));
    request(&Request::PowerDown(Interface::Lpa), &hex!("01 11 01"));
    let batch = encode_commands(&[&hex!("0070000001")[..], &hex!("00A40004")]).unwrap();
    request(
        &Request::Transmit { interface: Interface::Lpa, commands: Commands::new(&batch).unwrap() },
        &hex!("01 12 01 0000000D 0005 0070000001 0004 00A40004"),
    );
    request(
        &Request::FactoryRequest(FactoryRequest { eid: EID, curve: 1, organization: "EUM" }),
        &hex!("01 80 89049032123451234512345678901235 01 00000003 45554D"),
    );
    let made = Chain { test_ci: true, ci: &[1], eum: &[2, 2], euicc: &[], key: None };
    let imported = Chain { test_ci: false, ci: &[3], eum: &[4], euicc: &[5], key: Some(&[0x11; 32]) };
    request(
        &Request::Personalize(Personalization {
            chains: [Some(made), Some(imported)],
            default_dp_address: "a",
            root_ds_address: "",
            rules_authorisation_table: &[0x30],
        }),
        &hex!(
            "01 81 00000001 61 00000000 00000001 30 02
             01 00 00000001 01 00000002 0202 00000000
             00 01 1111111111111111111111111111111111111111111111111111111111111111 00000001 03 00000001 04 00000001 05"
        ),
    );
}

#[test]
fn responses() {
    response(
        &Response::Hello(Hello {
            state: State::Personalized(EID),
            features: Features { rollback_protection: true, identity_import: false },
            profile_damaged: false,
        }),
        &hex!("01 00 01 01 01 00000001 01 89049032123451234512345678901235"),
    );
    response(
        &Response::Hello(Hello {
            state: State::Factory,
            features: Features { rollback_protection: false, identity_import: true },
            profile_damaged: false,
        }),
        &hex!("01 00 01 01 01 00000002 00"),
    );
    response(
        &Response::Hello(Hello {
            state: State::Personalized(EID),
            features: Features { rollback_protection: true, identity_import: false },
            profile_damaged: true,
        }),
        &hex!("01 00 01 01 01 00000005 01 89049032123451234512345678901235"),
    );
    response(&Response::Atr(vec![0x3B, 0x00]), &hex!("01 00 02 00000002 3B00"));
    response(&Response::Done, &hex!("01 00 03"));
    response(
        &Response::Transmitted(Transmitted {
            executed: 2,
            last: vec![0x90, 0x00],
            proactive_pending: true,
            card_changed: true,
        }),
        &hex!("01 00 04 0002 03 00000002 9000"),
    );
    response(&Response::CertificateRequest(vec![0x30]), &hex!("01 00 05 00000001 30"));
    response(&Response::Error(Error::StoreCorrupt), &hex!("01 07"));
}

#[test]
fn other_versions_and_operations_are_named() {
    assert_eq!(Request::decode(&hex!("00 01")), Err(DecodeError::Version(0)));
    assert_eq!(Request::decode(&hex!("02 01")), Err(DecodeError::Version(2)));
    assert_eq!(Request::decode(&hex!("01 FF")), Err(DecodeError::Unknown("opcode")));
    assert_eq!(Request::decode(&hex!("01 10 02")), Err(DecodeError::Unknown("interface")));
    assert_eq!(Request::decode(&hex!("01 12 00 00000003 0005 00")), Err(DecodeError::Missing("commands")));
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes);
    }
}
