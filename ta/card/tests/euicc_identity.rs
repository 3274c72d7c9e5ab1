//! Factory: keys, certificate requests, personalization, import; with the published identities too.

mod common;

use common::*;
use teuicc_apdu::{StatusWord, encode_command};
use teuicc_card::testing::{MemoryStore, platform};
use teuicc_card::{Card, Platform, Rng};
use teuicc_rsp::certificate::Certificate;
use teuicc_rsp::crypto::{Curve, SecretKey};
use teuicc_rsp::csr::CertificateRequest;
use teuicc_rsp::es10::*;
use teuicc_rsp::object::Object;
use teuicc_rsp::oid::Role;
use teuicc_rsp::{Eid, aid, tags};
use teuicc_tlv::{Tag, Writer};
use teuicc_wire::{Chain, Error, FactoryRequest, Interface, Personalization, Request, Response, State};

fn blank() -> TestCard {
    Card::boot(platform(MemoryStore::new(), 42))
}

fn request(card: &mut TestCard, eid: &str, curve: u8, organization: &str) -> Result<Vec<u8>, Error> {
    let eid = *Eid::from_digits(eid).unwrap().as_bytes();
    match ask(card, &Request::FactoryRequest(FactoryRequest { eid, curve, organization })) {
        Response::CertificateRequest(csr) => Ok(csr),
        Response::Error(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn settings<'a>(chains: [Option<Chain<'a>>; 2]) -> Personalization<'a> {
    Personalization {
        chains,
        default_dp_address: DEFAULT_ADDRESS,
        root_ds_address: ROOT_DS,
        rules_authorisation_table: RAT,
    }
}

fn install(card: &mut TestCard, settings: Personalization<'_>) -> Result<(), Error> {
    match ask(card, &Request::Personalize(settings)) {
        Response::Done => Ok(()),
        Response::Error(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn chain<'a>(pki: &'a Pki, euicc: &'a [u8], key: Option<&'a [u8; 32]>) -> Chain<'a> {
    Chain { test_ci: false, ci: &pki.ci.certificate, eum: &pki.eum.certificate, euicc, key }
}

#[test]
fn keys_are_made_once_and_survive_a_power_cut() {
    let store = MemoryStore::new();
    let mut card = Card::boot(platform(store.clone(), 42));
    let first = request(&mut card, EID, 0, "Test").unwrap();
    let parsed = CertificateRequest::parse(&first).unwrap();
    assert_eq!(parsed.organization, Some(&b"Test"[..]));
    assert_eq!(parsed.serial_number, Some(EID.as_bytes()));
    let mut card = Card::boot(platform(store.clone(), 43));
    assert_eq!(request(&mut card, EID, 0, "Test").unwrap(), first);
    assert_eq!(store.take_replaces(), 1);
    let other = request(&mut card, EID, 1, "Test").unwrap();
    assert_eq!(CertificateRequest::parse(&other).unwrap().public_key.curve(), Curve::BrainpoolP256r1);
    assert_eq!(request(&mut card, EID, 0, "Test").unwrap(), first);
    // Another EID begins anew.
    let eid = Eid::complete_check_digits("890490320000000000000000000000").unwrap().to_string();
    request(&mut card, &eid, 0, "Test").unwrap();
    assert_ne!(request(&mut card, EID, 0, "Test").unwrap(), first);
}

#[test]
fn bad_factory_requests() {
    let mut card = blank();
    assert_eq!(request(&mut card, EID, 2, "Test"), Err(Error::Malformed));
    assert_eq!(request(&mut card, EID, 0, ""), Err(Error::Malformed));
    assert_eq!(request(&mut card, EID, 0, &"x".repeat(65)), Err(Error::Malformed));
    assert_eq!(request(&mut card, "89049032123451234512345678901236", 0, "Test"), Err(Error::BadIdentity));
    let eid = [0xFF; 16];
    let refused = ask(&mut card, &Request::FactoryRequest(FactoryRequest { eid, curve: 0, organization: "Test" }));
    assert_eq!(refused, Response::Error(Error::BadIdentity));
}

#[test]
fn certificates_that_do_not_fit_are_refused() {
    let pki = Pki::new(Curve::P256);
    let other = Pki::named(Curve::P256, "Other CI", 2);
    let mut card = blank();
    let csr = request(&mut card, EID, 0, "Test").unwrap();
    let public = CertificateRequest::parse(&csr).unwrap().public_key;
    let good = pki.euicc_certificate(&csr);
    let another_eid = Eid::complete_check_digits("890490320000000000000000000000").unwrap().to_string();
    let foreign_eid = Eid::complete_check_digits("890330000000000000000000000000").unwrap().to_string();
    let of_another_key = pki.euicc_certificate_for(EID, &pki.dp_auth.key.public_key().unwrap());
    let of_another_eid = pki.euicc_certificate_for(&another_eid, &public);
    let of_a_foreign_eid = pki.euicc_certificate_for(&foreign_eid, &public);
    let by_another_eum = other.euicc_certificate(&csr);
    for euicc in [&of_another_key, &of_another_eid, &of_a_foreign_eid, &by_another_eum, &pki.eum.certificate, &vec![]] {
        let refused = install(&mut card, settings([Some(chain(&pki, euicc, None)), None]));
        assert_eq!(refused, Err(Error::BadIdentity));
    }
    // A CI that did not issue the EUM's certificate, and one that is none.
    for ci in [&other.ci.certificate, &pki.eum.certificate] {
        let refused = install(&mut card, settings([Some(Chain { ci, ..chain(&pki, &good, None) }), None]));
        assert_eq!(refused, Err(Error::BadIdentity));
    }
    // The same chain twice.
    let twice = settings([Some(chain(&pki, &good, None)), Some(chain(&pki, &good, None))]);
    assert_eq!(install(&mut card, twice), Err(Error::BadIdentity));
    // Settings that cannot be.
    let one = [Some(chain(&pki, &good, None)), None];
    let bad_rules = Personalization { rules_authorisation_table: &[0x30, 0x00], ..settings(one) };
    assert_eq!(install(&mut card, bad_rules), Err(Error::Malformed));
    let long = "x".repeat(256);
    let long_address = Personalization { root_ds_address: &long, ..settings(one) };
    assert_eq!(install(&mut card, long_address), Err(Error::Malformed));
    // After all that the good one still works, once.
    assert_eq!(install(&mut card, settings(one)), Ok(()));
    assert_eq!(install(&mut card, settings(one)), Err(Error::FactoryClosed));
    assert_eq!(request(&mut card, EID, 0, "Test"), Err(Error::FactoryClosed));
    let Response::Hello(hello) = ask(&mut card, &Request::Hello) else { panic!() };
    assert_eq!(hello.state, State::Personalized(*Eid::from_digits(EID).unwrap().as_bytes()));
}

#[test]
fn an_imported_key_has_to_fit() {
    let pki = Pki::new(Curve::P256);
    let key = &pki.dp_pb.key;
    let euicc = pki.euicc_certificate_for(EID, &key.public_key().unwrap());
    let mut card = blank();
    let wrong = install(&mut card, settings([Some(chain(&pki, &euicc, Some(pki.ci.key.expose_scalar()))), None]));
    assert_eq!(wrong, Err(Error::BadIdentity));
    let zero = install(&mut card, settings([Some(chain(&pki, &euicc, Some(&[0; 32]))), None]));
    assert_eq!(zero, Err(Error::BadIdentity));
    assert_eq!(install(&mut card, settings([Some(chain(&pki, &euicc, None)), None])), Err(Error::BadIdentity));
    assert_eq!(install(&mut card, settings([Some(chain(&pki, &euicc, Some(key.expose_scalar()))), None])), Ok(()));
}

#[test]
fn the_identity_of_sgp_26_on_both_curves() {
    let (Some(nist), Some(brainpool)) = (Pki::sgp26(Curve::P256), Pki::sgp26(Curve::BrainpoolP256r1)) else { return };
    let euicc = |curve: &str| {
        let key = published(&format!("sgp26/eUICC/SK_EUICC_ECDSA_{curve}.pkcs8.der")).unwrap();
        let certificate = published(&format!("sgp26/eUICC/CERT_EUICC_ECDSA_{curve}.der")).unwrap();
        (teuicc_rsp::pkcs8::parse(&key).unwrap(), certificate)
    };
    let (nist_euicc, brainpool_euicc) = (euicc("NIST"), euicc("BRP"));
    let import = |pki: &'static Pki, euicc: &'static (SecretKey, Vec<u8>)| {
        Some(Chain { test_ci: true, ..chain(pki, &euicc.1, Some(euicc.0.expose_scalar())) })
    };
    let (nist, brainpool): (&'static Pki, &'static Pki) = (Box::leak(Box::new(nist)), Box::leak(Box::new(brainpool)));
    let nist_euicc: &'static _ = Box::leak(Box::new(nist_euicc));
    let brainpool_euicc: &'static _ = Box::leak(Box::new(brainpool_euicc));
    let store = MemoryStore::new();
    let mut card = Card::boot(platform(store.clone(), 42));
    let both = settings([import(nist, nist_euicc), import(brainpool, brainpool_euicc)]);
    assert_eq!(install(&mut card, both), Ok(()));
    let mut device = Device::boot(store);
    // The test algorithm in an operational profile, as osmo-smdpp hands it out: the CI is a test CI.
    let package = published("ts48/TS48v5_SAIP2.3_NoBERTLV.der").unwrap();
    for pki in [nist, brainpool] {
        let metadata = metadata(ICCID, |_| ());
        let profile = TestProfile { iccid: ICCID.into(), metadata, package: package.clone() };
        let mut smdp = Smdp::new(pki, profile);
        let answer = smdp.download(&mut device);
        let result = ProfileInstallationResult::parse(&answer).unwrap();
        assert!(matches!(result.data.final_result, FinalResult::Success(_)), "{:?}", result.data.final_result);
        assert_eq!(device.enable(ICCID, false), 0);
        assert_eq!(device.disable(ICCID, false), 0);
        assert_eq!(device.delete(ICCID), 0);
    }
}

/// Gives the published challenge first.
struct Scripted(Vec<u8>);

impl Rng for Scripted {
    fn fill(&mut self, bytes: &mut [u8]) {
        let script = &self.0[..bytes.len().min(self.0.len())];
        bytes[..script.len()].copy_from_slice(script);
    }
}

/// The published session as far as a card can follow it: the server's first message is accepted, the answer has the
/// shape of the published one, and the second message, which is over another answer, is refused.
#[test]
fn the_published_session() {
    let read = |name: &str| published(&format!("rsp-session/{name}"));
    let Some(challenge) = read("euicc-challenge.bin") else { return };
    let of = |name: &str| read(name).unwrap();
    let key = teuicc_rsp::pkcs8::parse(&of("euicc-key.pkcs8.der")).unwrap();
    let (eum, euicc) = (of("eum.der"), of("euicc.der"));
    let authority = Certificate::parse(&eum).unwrap().authority_key_identifier.unwrap();
    let ci = [of("ci.der"), of("ci-2017.der")]
        .into_iter()
        .find(|ci| Certificate::parse(ci).unwrap().subject_key_identifier == Some(authority))
        .unwrap();
    let chain = Chain { test_ci: true, ci: &ci, eum: &eum, euicc: &euicc, key: Some(key.expose_scalar()) };
    let platform = Platform { rng: Scripted(challenge.clone()), store: MemoryStore::new(), rollback_protection: false };
    let mut card = Card::boot(platform);
    let request = Request::Personalize(settings([Some(chain), None])).encode().unwrap();
    assert_eq!(Response::decode(&card.process(&request)).unwrap(), Response::Done);
    card.power_up(Interface::Lpa).unwrap();
    let select = encode_command([0x00, 0xA4, 0x04, 0x00], &aid::ISDR, Some(256)).unwrap();
    assert_eq!(card.transmit(Interface::Lpa, &select).unwrap().sw, StatusWord::OK);
    let mut es10 = |command: &[u8]| {
        let count = command.chunks(255).count();
        let mut data = Vec::new();
        for (number, block) in command.chunks(255).enumerate() {
            let p1 = if number + 1 == count { 0x91 } else { 0x11 };
            let apdu = encode_command([0x80, 0xE2, p1, number as u8], block, None).unwrap();
            data = card.transmit(Interface::Lpa, &apdu).unwrap().data;
        }
        data
    };
    assert_eq!(es10(&empty_request(tags::GET_EUICC_CHALLENGE).unwrap())[5..], challenge);

    let initiate = of("initiate-response.der");
    let answer = of("auth-server-response.der");
    let AuthenticateServerResponse::Ok(golden) = AuthenticateServerResponse::parse(&answer).unwrap() else { panic!() };
    // transactionId, serverSigned1, serverSignature1, euiccCiPKIdToBeUsed, serverCertificate.
    let initiated = members(&initiate);
    let mut writer = Writer::new();
    writer
        .nested::<teuicc_tlv::Error>(tags::AUTHENTICATE_SERVER, |writer| {
            initiated.iter().skip(1).try_for_each(|member| writer.raw(member.raw))?;
            writer.raw(golden.euicc_signed1.ctx_params1.raw)
        })
        .unwrap();
    let answer = es10(writer.as_bytes());
    let response = AuthenticateServerResponse::parse(&answer).unwrap();
    let AuthenticateServerResponse::Ok(own) = response else { panic!("{response:?}") };
    let tags_of = |signed: &[u8]| members(signed).iter().map(|member| member.tag.0).collect::<Vec<_>>();
    assert_eq!(tags_of(own.euicc_signed1.raw), tags_of(golden.euicc_signed1.raw));
    for (own, golden) in members(own.euicc_signed1.raw).iter().zip(members(golden.euicc_signed1.raw)) {
        if own.tag != tags::GET_EUICC_INFO2 {
            assert_eq!(own.raw, golden.raw);
        }
    }
    assert_eq!(own.euicc_certificate, golden.euicc_certificate);
    assert_eq!(own.eum_certificate, golden.eum_certificate);

    let client = of("authenticate-response.der");
    let members_of = members(members(&client)[0].raw);
    let from = members_of.iter().position(|member| member.tag == Tag::SEQUENCE).unwrap();
    let mut writer = Writer::new();
    writer
        .nested::<teuicc_tlv::Error>(tags::PREPARE_DOWNLOAD, |writer| {
            members_of[from..].iter().try_for_each(|member| writer.raw(member.raw))
        })
        .unwrap();
    let answer = es10(writer.as_bytes());
    let response = PrepareDownloadResponse::parse(&answer).unwrap();
    let PrepareDownloadResponse::Error(error) = response else { panic!("{response:?}") };
    assert_eq!(error.error.code(), 2);
}

/// A CRL of `pki`'s CI: number, what it goes on from, serial numbers.
fn crl(pki: &Pki, number: &[u8], base: Option<&[u8]>, serials: &[&[u8]]) -> Vec<u8> {
    let ecdsa = [0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
    let extension = |writer: &mut Writer, oid: &[u8], value: &[u8]| {
        writer.nested::<teuicc_tlv::Error>(Tag::SEQUENCE, |writer| {
            writer.primitive(Tag::OID, oid)?;
            writer.primitive(Tag::OCTET_STRING, value)
        })
    };
    let integer = |value: &[u8]| [&[0x02, value.len() as u8], value].concat();
    let mut tbs = Writer::new();
    tbs.nested::<teuicc_tlv::Error>(Tag::SEQUENCE, |tbs| {
        tbs.unsigned(Tag::INTEGER, 1)?;
        tbs.raw(&ecdsa)?;
        tbs.raw(pki.ci.parsed().subject)?;
        tbs.primitive(Tag(0x17), b"250101000000Z")?;
        tbs.primitive(Tag(0x17), b"260101000000Z")?;
        tbs.nested(Tag::SEQUENCE, |tbs| {
            serials.iter().try_for_each(|serial| {
                tbs.nested(Tag::SEQUENCE, |tbs| {
                    tbs.primitive(Tag::INTEGER, serial)?;
                    tbs.primitive(Tag(0x17), b"250101000000Z")
                })
            })
        })?;
        tbs.nested(Tag(0xA0), |tbs| {
            tbs.nested(Tag::SEQUENCE, |tbs| {
                let key_id = pki.ci_key_id();
                let authority = [&[0x30, 0x16, 0x80, 0x14], &key_id[..]].concat();
                extension(tbs, &[0x55, 0x1D, 0x23], &authority)?;
                extension(tbs, &[0x55, 0x1D, 0x14], &integer(number))?;
                base.map_or(Ok(()), |base| extension(tbs, &[0x55, 0x1D, 0x1B], &integer(base)))
            })
        })
    })
    .unwrap();
    let signature = pki.ci.key.sign(&[tbs.as_bytes()]).unwrap();
    let half = |bytes: &[u8]| integer(&[&[0][..], bytes].concat());
    let (r, s) = (half(&signature[..32]), half(&signature[32..]));
    let strip = |integer: Vec<u8>| {
        let value: Vec<u8> = integer[2..].to_vec();
        let zeros = value.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
        [&[0x02, (value.len() - zeros) as u8], &value[zeros..]].concat()
    };
    let value = [strip(r), strip(s)].concat();
    let mut writer = Writer::new();
    writer
        .nested::<teuicc_tlv::Error>(tags::LOAD_CRL, |writer| {
            writer.nested(Tag(0xA0), |writer| {
                writer.raw(tbs.as_bytes())?;
                writer.raw(&ecdsa)?;
                let bits = [&[0x00, 0x30, value.len() as u8], &value[..]].concat();
                writer.primitive(Tag::BIT_STRING, &bits)
            })
        })
        .unwrap();
    writer.into_bytes()
}

#[test]
fn revocation_lists() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let mut load = |request: &[u8]| match device.call(request) {
        LoadCrlResponse::Ok(_) => 0,
        LoadCrlResponse::Error(error) => error.code(),
    };
    assert_eq!(load(&crl(&pki, &[1], Some(&[1]), &[])), 6, "base missing");
    assert_eq!(load(&crl(&pki, &[5], None, &[&[0x77]])), 0);
    assert_eq!(load(&crl(&pki, &[5], None, &[])), 5, "not fresher");
    assert_eq!(load(&crl(&pki, &[4], None, &[])), 5);
    assert_eq!(load(&crl(&pki, &[7], Some(&[6]), &[])), 6, "base is newer than what is loaded");
    let other = Pki::named(Curve::P256, "Other CI", 2);
    assert_eq!(load(&crl(&other, &[9], None, &[])), 4, "key not found");
    let mut forged = crl(&pki, &[9], None, &[&[0x77]]);
    let at = forged.windows(3).position(|window| window == [0x02, 0x01, 0x77]).unwrap();
    forged[at + 2] = 0x78;
    assert_eq!(load(&forged), 1, "signature");
    assert_eq!(load(&[0xBF, 0x35, 0x02, 0xA0, 0x00]), 2, "format");
    let many: Vec<[u8; 2]> = (0..257u16).map(|number| (number + 0x1000).to_be_bytes()).collect();
    let many: Vec<&[u8]> = many.iter().map(|serial| &serial[..]).collect();
    assert_eq!(load(&crl(&pki, &[9], None, &many)), 3, "too many");

    // The serial number of CERT.DPpb, and then of CERT.DPauth.
    let dp_pb =
        pki.issue(Role::DpPb, SecretKey::new(Curve::P256, pki.dp_pb.key.expose_scalar()).unwrap(), |template| {
            template.serial = &[0x66];
        });
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    smdp.pb_certificate = dp_pb.certificate;
    smdp.authenticate(&mut device);
    smdp.prepare(&mut device);
    let delta = crl(&pki, &[8], Some(&[5]), &[&[0x66]]);
    assert_eq!(device.es10(&delta), [0xBF, 0x35, 0x02, 0xA0, 0x00]);
    device.reboot();
    smdp.authenticate(&mut device);
    let response: PrepareDownloadResponse = device.call(&smdp.prepare_download(None));
    let PrepareDownloadResponse::Error(error) = response else { panic!("{response:?}") };
    assert_eq!(error.error.code(), 1);
    assert_eq!(device.es10(&crl(&pki, &[9], Some(&[8]), &[&[0x10]])), [0xBF, 0x35, 0x02, 0xA0, 0x00]);
    let challenge = device.challenge();
    let response: AuthenticateServerResponse = device.call(&smdp.authenticate_server(&challenge));
    let AuthenticateServerResponse::Error(error) = response else { panic!("{response:?}") };
    assert_eq!(error.error.code(), 1);
}
