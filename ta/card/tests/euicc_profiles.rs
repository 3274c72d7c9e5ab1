//! ES10a and ES10c: states, policy rules, what is shown of profiles, settings; notifications.

mod common;

use common::*;
use hex_literal::hex;
use teuicc_apdu::StatusWord;
use teuicc_rsp::aid;
use teuicc_rsp::certificate::Certificate;
use teuicc_rsp::codes::*;
use teuicc_rsp::crypto::{Curve, verify};
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::{NotificationEvent, PprIds};
use teuicc_rsp::object::{Aid, Object};
use teuicc_rsp::tags;
use teuicc_saip::build::Algorithm;
use teuicc_tlv::{Tag, Tlv};
use teuicc_wire::Interface;

const A: &str = ICCID;
const B: &str = "89000123456789012358";
const C: &str = "89000123456789012366";

fn device(profiles: &[TestProfile]) -> Device {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    profiles.iter().for_each(|profile| device.install(&pki, profile));
    device
}

fn of_class(iccid: &str, number: u8) -> TestProfile {
    TestProfile::with(iccid, Algorithm::Milenage, |writer| class(writer, number))
}

fn with_rules(iccid: &str, wanted: PprIds) -> TestProfile {
    TestProfile::with(iccid, Algorithm::Milenage, |writer| rules(writer, wanted))
}

/// Whether each of the profiles is enabled.
fn states(device: &mut Device) -> Vec<bool> {
    device.profiles().iter().map(|profile| profile.profile_state == Some(ProfileState::Enabled)).collect()
}

#[test]
fn bytes_as_recorded_from_cards() {
    let mut device = device(&[TestProfile::new(A)]);
    let iccid = digits(A);
    let enable = [&hex!("BF3111A00C5A0A")[..], iccid.as_bytes(), &hex!("810100")].concat();
    assert_eq!(device.es10(&enable), hex!("BF3103800100"));
    assert_eq!(device.es10(&enable), hex!("BF3103800102"));
    let disable = [&hex!("BF3211A00C5A0A")[..], iccid.as_bytes(), &hex!("8101FF")].concat();
    assert_eq!(device.es10(&disable), hex!("BF3203800100"));
    assert_eq!(device.es10(&disable), hex!("BF3203800102"));
    let delete = [&hex!("BF330C5A0A")[..], iccid.as_bytes()].concat();
    assert_eq!(device.es10(&delete), hex!("BF3303800100"));
    assert_eq!(device.es10(&delete), hex!("BF3303800101"));
    assert_eq!(device.es10(&enable), hex!("BF3103800101"));
    assert_eq!(device.es10(&disable), hex!("BF3203800101"));
    assert_eq!(device.es10(&hex!("BF2D00")), hex!("BF2D02A000"));
    assert_eq!(device.es10(&hex!("BF3E035C015A")), hex!("BF3E125A1089049032123451234512345678901235"));
    assert_eq!(device.es10(&hex!("BF3003800100")), hex!("BF3003800100"));
    assert_eq!(device.es10(&hex!("BF3003800100")), hex!("BF3003800101"));
    assert_eq!(device.es10(&hex!("BF3403820100")), hex!("BF3403800101"));
}

#[test]
fn the_isdr_says_what_it_is() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    let select = [&hex!("01A4040010")[..], &aid::ISDR, &[0]].concat();
    let fci = device.card.transmit(Interface::Lpa, &select).unwrap().data;
    assert_eq!(fci, hex!("6F1F8410A0000005591010FFFFFFFF8900000100A5049F6501FFE0058203020500"));
    let info: EuiccInfo2 = device.call(&hex!("BF2200"));
    assert_eq!((info.svn.to_string(), info.profile_version.to_string()), ("2.5.0".into(), "2.3.1".into()));
    let free = |info: &EuiccInfo2| {
        let resource = ExtCardResource::from_content(info.ext_card_resource).unwrap();
        u32::from_be_bytes(resource.free_non_volatile_memory.try_into().unwrap())
    };
    let before = free(&info);
    device.install(&pki, &TestProfile::new(A));
    assert!(free(&device.call(&hex!("BF2200"))) < before);
    assert_eq!(device.es10(&hex!("BF4300")), [&hex!("BF4318A016")[..], RAT].concat());
}

#[test]
fn both_identifiers_find_a_profile() {
    let mut device = device(&[TestProfile::new(A), TestProfile::new(B)]);
    let second = aid::isdp(1).unwrap();
    let profile_identifier = ProfileIdentifier::IsdpAid(Aid::new(&second).unwrap());
    let enable = EnableProfileRequest { profile_identifier, refresh_flag: false }.encode().unwrap();
    assert_eq!(device.es10(&enable), hex!("BF3103800100"));
    assert_eq!(states(&mut device), [false, true]);
    let delete = DeleteProfileRequest(profile_identifier).encode().unwrap();
    assert_eq!(device.es10(&delete), hex!("BF3303800102"));
    let disable = DisableProfileRequest { profile_identifier, refresh_flag: false }.encode().unwrap();
    assert_eq!(device.es10(&disable), hex!("BF3203800100"));
    assert_eq!(device.es10(&delete), hex!("BF3303800100"));
    assert_eq!(states(&mut device), [false]);
}

#[test]
fn a_switch_disables_the_other_profile_and_tells_both_recipients() {
    let mut device = device(&[TestProfile::new(A), TestProfile::new(B)]);
    assert_eq!(device.enable(A, false), 0);
    assert_eq!(device.enable(B, false), 0);
    assert_eq!(states(&mut device), [false, true]);
    let notifications = device.notifications();
    assert_eq!(
        events(&notifications[2..]),
        [(2, NotificationEvent::ENABLE), (3, NotificationEvent::DISABLE), (4, NotificationEvent::ENABLE)]
    );
    let of: Vec<_> = notifications[2..].iter().map(|one| one.iccid.unwrap()).collect();
    assert_eq!(of, [digits(A), digits(A), digits(B)]);
}

#[test]
fn the_refresh_flag_reaches_the_modem_or_the_daemon() {
    let mut device = device(&[TestProfile::new(A)]);
    device.card.power_up(Interface::Modem).unwrap();
    // Without TERMINAL PROFILE nothing can be queued: the daemon has to replug.
    assert_eq!(device.enable(A, true), 0);
    assert!(device.card.take_card_changed());
    assert!(!device.card.proactive_pending());
    let profile = [&hex!("80100000 20")[..], &[0xFF; 32]].concat();
    device.card.power_up(Interface::Modem).unwrap();
    device.card.transmit(Interface::Modem, &profile).unwrap();
    device.connect();
    assert_eq!(device.disable(A, true), 0);
    assert!(device.card.proactive_pending());
    assert!(!device.card.take_card_changed());
}

/// A new device: the modem boots a card without a profile, the first one is enabled, and in the end the last one
/// disabled. Each time REFRESH (UICC reset) comes with the next command, and after the reset the card is another one.
#[test]
fn a_modem_sees_the_first_profile_come_and_the_last_one_go() {
    let mut device = device(&[TestProfile::new(A)]);
    let boot = |device: &mut Device| {
        device.card.power_up(Interface::Modem).unwrap();
        for apdu in [&hex!("00A40004023F00")[..], &hex!("80F2000000"), &hex!("80AA000005A903830107")] {
            assert_eq!(device.card.transmit(Interface::Modem, apdu).unwrap().sw, StatusWord::OK);
        }
        // REFRESH and nothing else, so that nothing else is queued.
        let profile = hex!("80100000 03 000080");
        assert_eq!(device.card.transmit(Interface::Modem, &profile).unwrap().sw, StatusWord::OK);
        let selected = device.card.transmit(Interface::Modem, &hex!("00A4000C022FE2")).unwrap();
        let iccid = device.card.transmit(Interface::Modem, &hex!("00B0000000")).unwrap();
        let usim = device.card.transmit(Interface::Modem, &hex!("00A4040C07A0000000871002")).unwrap().sw;
        (iccid.data, selected.sw, usim)
    };
    let refresh = |device: &mut Device| {
        let status = device.card.transmit(Interface::Modem, &hex!("80F2000C")).unwrap().sw;
        assert_eq!(status, StatusWord(0x910B));
        let command = device.card.transmit(Interface::Modem, &hex!("801200000B")).unwrap().data;
        assert_eq!((command[5], command[6]), (0x01, 0x04), "REFRESH, UICC reset");
    };
    let absent = (Vec::new(), StatusWord::FILE_NOT_FOUND, StatusWord::FILE_NOT_FOUND);
    let present = (digits(A).as_bytes().to_vec(), StatusWord::OK, StatusWord::OK);
    assert_eq!(boot(&mut device), absent);
    assert_eq!(device.enable(A, true), 0);
    refresh(&mut device);
    assert_eq!(boot(&mut device), present);
    device.connect();
    assert_eq!(device.disable(A, true), 0);
    refresh(&mut device);
    assert_eq!(boot(&mut device), absent);
}

#[test]
fn a_fetched_proactive_command_makes_the_toolkit_busy() {
    let mut device = device(&[TestProfile::new(A), TestProfile::new(B)]);
    device.card.power_up(Interface::Modem).unwrap();
    let profile = [&hex!("80100000 20")[..], &[0xFF; 32]].concat();
    device.card.transmit(Interface::Modem, &profile).unwrap();
    device.connect();
    assert_eq!(device.enable(A, true), 0);
    device.connect();
    assert!(device.card.proactive_pending());
    assert_eq!(device.card.transmit(Interface::Modem, &hex!("8012000000")).unwrap().sw, StatusWord::OK);
    assert_eq!(device.enable(B, true), 5);
    assert_eq!(device.disable(A, true), 5);
    let reset = EuiccMemoryResetRequest { reset_options: ResetOptions(1) }.encode().unwrap();
    assert_eq!(device.es10(&reset), hex!("BF3403800105"));
    assert_eq!(states(&mut device), [true, false]);
    // Without the flag it is the caller's business.
    assert_eq!(device.disable(A, false), 0);
}

#[test]
fn policy_rules() {
    let mut device = device(&[with_rules(A, PprIds::PPR1.union(PprIds::PPR2)), of_class(B, 1), TestProfile::new(C)]);
    assert_eq!(device.delete(A), 3);
    assert_eq!(device.enable(A, false), 0);
    assert_eq!(device.disable(A, false), 3);
    assert_eq!(device.enable(C, false), 3);
    assert_eq!(states(&mut device), [true, false, false]);
    // A provisioning profile takes its place for a while, and no other profile does.
    assert_eq!(device.enable(B, false), 0);
    assert_eq!(device.enable(C, false), 4);
    assert_eq!(device.disable(B, false), 0);
    assert_eq!(device.enable(C, false), 4);
    device.reboot();
    assert_eq!(device.enable(C, false), 4);
    assert_eq!(device.enable(A, false), 0);
}

#[test]
fn after_a_test_profile_the_one_before_comes_back() {
    let mut device = device(&[TestProfile::new(A), of_class(B, 0), TestProfile::new(C)]);
    assert_eq!(device.enable(A, false), 0);
    assert_eq!(device.enable(B, false), 0);
    assert_eq!(device.enable(C, false), 4);
    // Unless the user takes the test profile away first, or the other profile is gone.
    assert_eq!(device.disable(B, false), 0);
    assert_eq!(device.enable(C, false), 0);
    assert_eq!(device.enable(B, false), 0);
    assert_eq!(device.delete(C), 0);
    assert_eq!(device.enable(A, false), 0);
}

#[test]
fn profiles_info_gives_what_is_asked_for() {
    let mut device = device(&[TestProfile::new(A), of_class(B, 0), with_rules(C, PprIds::PPR2)]);
    let mut ask = |criteria: &[u8], tag_list: Option<&[u8]>| {
        let mut request = criteria.to_vec();
        if let Some(list) = tag_list {
            request.extend([0x5C, list.len() as u8]);
            request.extend_from_slice(list);
        }
        let request = [&[0xBF, 0x2D, request.len() as u8], &request[..]].concat();
        device.es10(&request)
    };
    let tags_of = |answer: &[u8]| -> Vec<Vec<u32>> {
        let list = Tlv::parse(answer, tags::PROFILE_INFO_LIST).unwrap().value;
        let list = Tlv::parse(list, Tag(0xA0)).unwrap();
        list.members()
            .map(|profile| members(profile.unwrap().raw).iter().map(|member| member.tag.0).collect())
            .collect()
    };
    let all = hex!("5A 4F 9F70 90 91 92 93 94 95 B6 B7 B8 99 BF76 BF22");
    assert_eq!(tags_of(&ask(&[], None))[0], [0x5A, 0x4F, 0x9F70, 0x91, 0x92, 0x95]);
    assert_eq!(tags_of(&ask(&[], Some(&all)))[2], [0x5A, 0x4F, 0x9F70, 0x91, 0x92, 0x95, 0xB6, 0xB7, 0x99]);
    assert_eq!(tags_of(&ask(&[], Some(&hex!("5A"))))[1], [0x5A]);
    assert_eq!(tags_of(&ask(&[], Some(&hex!("9F709F7B91"))))[1], [0x9F70, 0x91]);
    assert_eq!(tags_of(&ask(&hex!("A003950100"), Some(&hex!("5A")))).len(), 1);
    assert_eq!(tags_of(&ask(&hex!("A003950102"), Some(&hex!("5A")))).len(), 2);
    assert_eq!(tags_of(&ask(&hex!("A003950101"), None)).len(), 0);
    let by_iccid = [&hex!("A00C5A0A")[..], digits(B).as_bytes()].concat();
    assert_eq!(tags_of(&ask(&by_iccid, None)).len(), 1);
    let by_aid = [&hex!("A0124F10")[..], &aid::isdp(2).unwrap()].concat();
    assert_eq!(tags_of(&ask(&by_aid, None)).len(), 1);
    // What is no criterion and no tag list.
    let incorrect = hex!("BF2D03810101");
    assert_eq!(ask(&hex!("A0025A00"), None), incorrect);
    assert_eq!(ask(&hex!("A000"), None), incorrect);
    assert_eq!(ask(&[], Some(&hex!("9F"))), incorrect);
    assert_eq!(ask(&[], Some(&hex!("5F818181"))), incorrect);
    assert_eq!(ask(&hex!("5C05"), None), incorrect);
}

#[test]
fn nicknames_and_addresses() {
    let mut device = device(&[TestProfile::new(A)]);
    let set = |iccid: &str, name: &[u8]| {
        let content = [&hex!("5A0A")[..], digits(iccid).as_bytes(), &[0x90, name.len() as u8], name].concat();
        [&[0xBF, 0x29, content.len() as u8], &content[..]].concat()
    };
    assert_eq!(device.es10(&set(A, "Büro".as_bytes())), hex!("BF2903800100"));
    assert_eq!(device.es10(&set(B, b"x")), hex!("BF2903800101"));
    assert_eq!(device.es10(&set(A, &[b'x'; 65])), hex!("BF290380017F"));
    assert_eq!(device.es10(&set(A, &[0xFF])), hex!("BF290380017F"));
    device.reboot();
    assert_eq!(device.profiles()[0].profile_nickname.unwrap().as_str(), "Büro");
    assert_eq!(device.es10(&set(A, b"")), hex!("BF2903800100"));
    assert_eq!(device.profiles()[0].profile_nickname, None);

    let addresses: EuiccConfiguredAddresses = device.call(&hex!("BF3C00"));
    assert_eq!((addresses.default_dp_address, addresses.root_ds_address), (Some(DEFAULT_ADDRESS), ROOT_DS));
    assert_eq!(device.es10(&hex!("BF3F028000")), hex!("BF3F03800100"));
    device.reboot();
    let addresses: EuiccConfiguredAddresses = device.call(&hex!("BF3C00"));
    assert_eq!(addresses.default_dp_address, None);
    let too_long = SetDefaultDpAddressRequest { default_dp_address: &"x".repeat(256) }.encode().unwrap();
    assert_eq!(device.es10(&too_long), hex!("BF3F0380017F"));
    // The address of the factory comes back.
    assert_eq!(device.es10(&hex!("BF340482020520")), hex!("BF3403800100"));
    let addresses: EuiccConfiguredAddresses = device.call(&hex!("BF3C00"));
    assert_eq!(addresses.default_dp_address, Some(DEFAULT_ADDRESS));
    assert_eq!(device.es10(&hex!("BF340482020520")), hex!("BF3403800101"));
}

#[test]
fn memory_reset_takes_what_is_named() {
    let mut device = device(&[with_rules(A, PprIds::PPR1.union(PprIds::PPR2)), of_class(B, 0), of_class(C, 1)]);
    assert_eq!(device.enable(A, false), 0);
    let _ = device.card.take_card_changed();
    device.store.take_replaces();
    assert_eq!(device.es10(&hex!("BF340482020780")), hex!("BF3403800100"));
    assert_eq!(device.store.take_replaces(), 1, "memory reset budget");
    assert!(device.card.take_card_changed());
    let left: Vec<_> = device.profiles().iter().map(|profile| profile.iccid.unwrap()).collect();
    assert_eq!(left, [digits(B), digits(C)]);
    assert_eq!(device.es10(&hex!("BF340482020640")), hex!("BF3403800100"));
    assert_eq!(device.profiles().len(), 1, "a provisioning profile stays");
    let deleted = events(&device.notifications()[4..]);
    assert_eq!(deleted, [(4, NotificationEvent::DELETE), (5, NotificationEvent::DELETE)]);
}

#[test]
fn notifications_are_filtered_signed_and_removed() {
    let mut device = device(&[TestProfile::new(A)]);
    assert_eq!(device.enable(A, false), 0);
    assert_eq!(device.disable(A, false), 0);
    assert_eq!(device.delete(A), 0);
    let all = device.notifications();
    use NotificationEvent as Event;
    assert_eq!(events(&all), [(0, Event::INSTALL), (1, Event::ENABLE), (2, Event::DISABLE), (3, Event::DELETE)]);
    let request = ListNotificationRequest { profile_management_operation: Some(Event::ENABLE.union(Event::DELETE)) };
    let ListNotificationResponse::List(list) = device.call(&request.encode().unwrap()) else { panic!() };
    assert_eq!(events(&list.iter().collect::<Vec<_>>()), [(1, Event::ENABLE), (3, Event::DELETE)]);

    let mut retrieve = |criteria| {
        let request = RetrieveNotificationsListRequest { search_criteria: Some(criteria) }.encode().unwrap();
        match device.call(&request) {
            RetrieveNotificationsListResponse::List(list) => Ok(list),
            RetrieveNotificationsListResponse::Error(error) => Err(error),
        }
    };
    let one = retrieve(NotificationSearchCriteria::SeqNumber(3)).unwrap();
    let PendingNotification::OtherSigned(delete) = PendingNotification::parse(one).unwrap() else { panic!() };
    let key = Certificate::parse(delete.euicc_certificate.0).unwrap().public_key;
    assert!(verify(&key, &[delete.tbs_other_notification.raw], delete.euicc_notification_signature));
    let nothing = Err(RetrieveNotificationsListError::NoResultAvailable);
    assert_eq!(retrieve(NotificationSearchCriteria::SeqNumber(4)), nothing);
    let installed = retrieve(NotificationSearchCriteria::ProfileManagementOperation(Event::INSTALL)).unwrap();
    assert_eq!(pending_notifications(installed).count(), 1);

    for seq_number in [2, 0, 3, 1] {
        device.store.take_replaces();
        let request = NotificationSentRequest { seq_number }.encode().unwrap();
        assert_eq!(device.call::<NotificationSentResponse>(&request).result, NotificationSentResult::Ok);
        assert_eq!(device.store.take_replaces(), 1, "notification removal budget");
    }
    assert_eq!(device.retrieve().len(), 0);
}

#[test]
fn when_there_are_too_many_the_oldest_is_dropped() {
    let mut device = device(&[TestProfile::new(A)]);
    for _ in 0..20 {
        assert_eq!(device.enable(A, false), 0);
        assert_eq!(device.disable(A, false), 0);
    }
    let notifications = device.notifications();
    assert_eq!(notifications.len(), 32);
    assert_eq!((notifications[0].seq_number, notifications[31].seq_number), (9, 40));
    assert_eq!(device.retrieve().len(), 32);
    device.reboot();
    assert_eq!(device.notifications().len(), 32);
}

#[test]
fn malformed_requests_and_unknown_tags() {
    let mut device = device(&[]);
    for tag in [0x31u8, 0x32, 0x33, 0x34, 0x29, 0x3F, 0x30] {
        assert_eq!(device.es10(&[0xBF, tag, 0x00]), [0xBF, tag, 0x03, 0x80, 0x01, 0x7F], "{tag:02X}");
    }
    for tag in [0x28u8, 0x2B, 0x35, 0x41] {
        assert_eq!(device.es10(&[0xBF, tag, 0x02, 0x5A, 0x7F]), [0xBF, tag, 0x03, 0x81, 0x01, 0x7F], "{tag:02X}");
    }
    assert_eq!(device.es10_sw(&hex!("BF3E00")).1, StatusWord::INCORRECT_DATA);
    assert_eq!(device.es10_sw(&hex!("BF3E035C014F")).1, StatusWord::INCORRECT_DATA);
    for unknown in [&hex!("BF4200")[..], &hex!("BF5500"), &hex!("3000")] {
        assert_eq!(device.es10_sw(unknown).1, StatusWord::REFERENCE_DATA_NOT_FOUND);
    }
    for segment in [&hex!("A000")[..], &hex!("8600"), &hex!("BF3600")] {
        assert_eq!(device.es10_sw(segment).1, StatusWord::CONDITIONS_OF_USE);
    }
    for malformed in [&hex!("BF")[..], &hex!("BF2005"), &hex!("BF200000"), &hex!("BF2280")] {
        assert_eq!(device.es10_sw(malformed).1, StatusWord::INCORRECT_DATA);
    }
}

#[test]
fn a_card_without_identity_does_nothing() {
    let mut device = Device::boot(teuicc_card::testing::MemoryStore::new());
    assert_eq!(device.es10_sw(&hex!("BF2000")).1, StatusWord::CONDITIONS_OF_USE);
}
