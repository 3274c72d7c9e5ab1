//! No input makes a reader panic: random bytes, and valid objects with changes in them.

mod common;

use common::published;
use proptest::prelude::*;
use teuicc_rsp::bpp::{BppStream, InitialiseSecureChannel, segments, smdp_signed};
use teuicc_rsp::certificate::{Certificate, check_euicc_chain};
use teuicc_rsp::csr::CertificateRequest;
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::{PprIds, RulesAuthorisationTable, StoreMetadata, UpdateMetadata, authorise};
use teuicc_rsp::object::Object;
use teuicc_rsp::oid::Dotted;
use teuicc_rsp::scp03t::{Scp03t, SessionKeys};
use teuicc_rsp::{Eid, Iccid, pkcs8, x509};
use teuicc_tlv::{Tag, Tlv, Writer};

/// Reads `bytes` as an object, prints it, and writes it.
fn read_and_write<'a, T: Object<'a> + std::fmt::Debug>(bytes: &'a [u8]) {
    if let Ok(object) = T::parse(bytes) {
        let _ = format!("{object:?}");
        object.encode().unwrap();
    }
}

/// Every reader of the crate, over the same bytes.
fn read_everything(bytes: &[u8]) {
    macro_rules! objects { ($($type:ty),* $(,)?) => { $( read_and_write::<$type>(bytes); )* } }
    objects!(
        EuiccConfiguredAddresses,
        SetDefaultDpAddressRequest,
        SetDefaultDpAddressResponse,
        GetEidRequest,
        GetEidResponse,
        EuiccMemoryResetRequest,
        EuiccMemoryResetResponse,
        GetRatResponse,
        EuiccInfo1,
        EuiccInfo2,
        GetEuiccChallengeResponse,
        AuthenticateServerRequest,
        AuthenticateServerResponse,
        PrepareDownloadRequest,
        PrepareDownloadResponse,
        CancelSessionRequest,
        CancelSessionResponse,
        NotificationMetadata,
        ListNotificationRequest,
        ListNotificationResponse,
        RetrieveNotificationsListRequest,
        RetrieveNotificationsListResponse,
        OtherSignedNotification,
        NotificationSentRequest,
        NotificationSentResponse,
        ProfileInstallationResult,
        LoadCrlRequest,
        LoadCrlResponse,
        ProfileInfoListRequest,
        ProfileInfoListResponse,
        EnableProfileRequest,
        EnableProfileResponse,
        DisableProfileRequest,
        DisableProfileResponse,
        DeleteProfileRequest,
        DeleteProfileResponse,
        SetNicknameRequest,
        SetNicknameResponse,
        StoreMetadata,
        UpdateMetadata,
        InitialiseSecureChannel,
    );
    let _ = PendingNotification::parse(bytes).map(|notification| format!("{:?}", notification.metadata()));
    pending_notifications(bytes).for_each(drop);
    let _ = ExtCardResource::from_content(bytes);
    let _ = SessionKeys::from_replace_session_keys(bytes);
    let _ = smdp_signed(bytes);
    let _ = segments(bytes);
    let mut rest = bytes;
    let mut stream = BppStream::new();
    while let Ok(Some(_)) = stream.next(&mut rest) {}
    if let Ok(certificate) = Certificate::parse(bytes) {
        let _ = check_euicc_chain(&certificate.public_key, &certificate, &certificate);
        let _ = (certificate.organization(), certificate.policies().count());
    }
    let _ = CertificateRequest::parse(bytes);
    let _ = x509::parse_public_key(bytes);
    let _ = pkcs8::parse(bytes);
    let _ = Dotted(bytes).to_string();
    if let Ok(table) = RulesAuthorisationTable::new(bytes) {
        let owner = table.iter().find_map(|entry| entry.allowed_operators.iter().next());
        let _ = authorise(&table, PprIds(7), owner.as_ref(), PprIds(0));
    }
    let tlv = Tlv { tag: Tag(0x86), raw: bytes, value: bytes };
    let _ = Scp03t::new(SessionKeys::new(&[0; 16], &[0; 16], &[0; 16])).unprotect(&tlv);
    let text = String::from_utf8_lossy(bytes);
    let _ = (Eid::from_digits(&text), Iccid::from_digits(&text), teuicc_rsp::oid::from_dotted(&text));
}

/// A tree of data objects with tags that the crate knows.
fn object_tree() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::sample::select(vec![
        0x80u32, 0x81, 0x82, 0x83, 0x84, 0x90, 0x91, 0x92, 0x95, 0x99, 0x01, 0x02, 0x03, 0x04, 0x06, 0x0C, 0x4F, 0x5A,
        0x5C, 0x5F37, 0x5F49, 0x9F70, 0x86, 0x87, 0x88,
    ]);
    let constructed = prop::sample::select(vec![
        0x30u32, 0x31, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA6, 0xA9, 0xAA, 0xB6, 0xB7, 0xE3, 0xBF20, 0xBF21, 0xBF22,
        0xBF23, 0xBF25, 0xBF26, 0xBF27, 0xBF28, 0xBF29, 0xBF2B, 0xBF2D, 0xBF2F, 0xBF30, 0xBF31, 0xBF33, 0xBF36, 0xBF37,
        0xBF38, 0xBF41, 0xBF43,
    ]);
    let leaf = (tags, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(tag, value)| write(tag, &value));
    leaf.prop_recursive(5, 64, 6, move |inner| {
        (constructed.clone(), prop::collection::vec(inner, 0..6))
            .prop_map(|(tag, members)| write(tag, &members.concat()))
    })
}

fn write(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.primitive(Tag(tag), value).unwrap();
    writer.into_bytes()
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    #[test]
    fn trees_of_objects(bytes in object_tree()) {
        read_everything(&bytes);
    }
}

/// Published objects with one byte changed, or cut off.
#[test]
fn changed_objects() {
    for name in [
        "rsp-session/auth-server-response.der",
        "rsp-session/bound-profile-package.der",
        "rsp-session/euicc-info1.der",
        "rsp-session/pending-notification.der",
        "rsp-session/prepare-download-response.der",
        "rsp-session/store-metadata.der",
        "rsp-session/dppb-key.pkcs8.der",
        "sgp26/EUM/CERT_EUM_ECDSA_BRP.der",
        "sgp26/eUICC/CERT_EUICC_ECDSA_NIST.der",
    ] {
        let Some(bytes) = published(name) else { return };
        for position in 0..bytes.len() {
            read_everything(&bytes[..position]);
            for change in [0x01, 0x80] {
                let mut changed = bytes.clone();
                changed[position] ^= change;
                read_everything(&changed);
            }
        }
    }
}
