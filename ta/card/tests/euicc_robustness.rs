//! Whatever comes in over STORE DATA: no panic, nothing half done, and the next good request works.

mod common;

use common::*;
use proptest::prelude::*;
use std::sync::OnceLock;
use teuicc_card::testing::MemoryStore;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es10::*;
use teuicc_rsp::object::Object;
use teuicc_rsp::tags;
use teuicc_tlv::Tag;
use teuicc_wire::Interface;

fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| Pki::new(Curve::P256))
}

/// A card with a profile, from a flash that is made once.
fn device() -> Device {
    static FLASH: OnceLock<std::collections::BTreeMap<teuicc_card::ObjectId, Vec<u8>>> = OnceLock::new();
    let flash = FLASH.get_or_init(|| {
        let mut device = Device::new(&[pki()]);
        device.install(pki(), &TestProfile::new(ICCID));
        device.store.snapshot()
    });
    let store = MemoryStore::new();
    store.restore(flash.clone());
    Device::boot(store)
}

/// The next good requests: the card still knows who it is, downloads, and comes up again.
fn works(device: &mut Device) {
    let eid: GetEidResponse = device.call(&GetEidRequest { tag_list: &[0x5A] }.encode().unwrap());
    assert_eq!(eid.eid.to_string(), EID);
    let iccid = "89000123456789012358";
    device.install(pki(), &TestProfile::new(iccid));
    device.reboot();
    assert_eq!(device.delete(iccid), 0);
}

/// Requests that are nearly good: each function's tag, and members with tags that occur.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop_oneof![
        (0x20u32..0x46).prop_map(|low| 0xBF00 | low),
        Just(0xA0),
        Just(0xA1),
        Just(0xA2),
        Just(0xA3),
        Just(0x86),
        Just(0x87),
        Just(0x88),
        any::<u8>().prop_map(u32::from),
    ];
    let member = (
        prop::sample::select(vec![0x80u32, 0x81, 0x82, 0x5A, 0x4F, 0x90, 0xA0, 0x30, 0x5C, 0x04, 0x5F37, 0x5F49]),
        prop::collection::vec(any::<u8>(), 0..40),
    );
    (tag, prop::collection::vec(member, 0..6)).prop_map(|(tag, members)| {
        let mut writer = teuicc_tlv::Writer::new();
        writer
            .nested::<teuicc_tlv::Error>(Tag(tag), |writer| {
                members.iter().try_for_each(|(tag, value)| writer.primitive(Tag(*tag), value))
            })
            .unwrap();
        writer.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_requests(requests in prop::collection::vec(request(), 1..30)) {
        let mut device = device();
        for request in requests {
            device.es10_sw(&request);
        }
        works(&mut device);
    }

    #[test]
    fn random_apdus(apdus in prop::collection::vec(
        (0u8..=3, prop_oneof![Just(0xE2u8), any::<u8>()], prop_oneof![Just(0x91u8), Just(0x11), any::<u8>()], 0u8..3,
            prop::collection::vec(any::<u8>(), 0..60)), 1..40)) {
        let mut device = device();
        for (channel, ins, p1, p2, data) in apdus {
            let apdu = teuicc_apdu::encode_command([0x80 | channel, ins, p1, p2], &data, None).unwrap();
            device.card.transmit(Interface::Lpa, &apdu).unwrap();
        }
        device.connect();
        works(&mut device);
    }

    /// A bound profile package with a byte changed somewhere: an error result or no progress, never a profile.
    #[test]
    fn changed_packages(position in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let mut device = device();
        let mut smdp = Smdp::new(pki(), TestProfile::new("89000123456789012366"));
        smdp.authenticate(&mut device);
        smdp.prepare(&mut device);
        let package = smdp.package();
        let segments = teuicc_rsp::bpp::segments(&package).unwrap();
        let mut position = position.index(package.len());
        for segment in segments {
            let mut segment = segment.to_vec();
            if let Some(byte) = segment.get_mut(position) {
                *byte ^= flip;
            }
            position = position.wrapping_sub(segment.len());
            let (data, _) = device.es10_in_blocks(&segment, 255);
            if !data.is_empty() {
                error_of(&data);
                break;
            }
        }
        prop_assert_eq!(device.profiles().len(), 1);
        cancel(&mut device, &smdp.transaction_id);
        works(&mut device);
    }

    /// AuthenticateServer and PrepareDownload with a byte changed: never accepted.
    #[test]
    fn changed_signed_requests(position in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let mut device = device();
        let mut smdp = Smdp::new(pki(), TestProfile::new("89000123456789012366"));
        let challenge = device.challenge();
        let mut request = smdp.authenticate_server(&challenge);
        // All but ctxParams1, which the server does not sign, and the choice of the CI.
        let end = request.len() - common::device().len();
        let at = position.index(end);
        request[at] ^= flip;
        let (data, _) = device.es10_sw(&request);
        if let Ok(response) = AuthenticateServerResponse::parse(&data) {
            prop_assert!(matches!(response, AuthenticateServerResponse::Error(_)), "{at}");
        }
        smdp.authenticate(&mut device);
        let mut request = smdp.prepare_download(None);
        let at = position.index(request.len());
        request[at] ^= flip;
        let (data, _) = device.es10_sw(&request);
        if let Ok(response) = PrepareDownloadResponse::parse(&data) {
            prop_assert!(matches!(response, PrepareDownloadResponse::Error(_)), "{at}");
        }
        works(&mut device);
    }
}

#[test]
fn everything_may_come_in_blocks_of_any_size() {
    let mut device = device();
    let command = empty_request(tags::GET_EUICC_INFO2).unwrap();
    let whole = device.es10(&command);
    for size in 1..=3 {
        assert_eq!(device.es10_in_blocks(&command, size).0, whole);
    }
    let mut smdp = Smdp::new(pki(), TestProfile::new("89000123456789012366"));
    let challenge = device.challenge();
    let request = smdp.authenticate_server(&challenge);
    let (answer, _) = device.es10_in_blocks(&request, 7);
    assert!(matches!(AuthenticateServerResponse::parse(&answer), Ok(AuthenticateServerResponse::Ok(_))));
    smdp.authenticate(&mut device);
}
