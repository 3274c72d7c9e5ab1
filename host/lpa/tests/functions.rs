//! Profiles, notifications and SM-DS over a scripted card and servers.

mod peers;

use peers::*;
use serde_json::json;
use teuicc_lpa::download::Device;
use teuicc_lpa::drive::drive_card;
use teuicc_lpa::notifications::{self, DeliveryOutcome, Event, Which};
use teuicc_lpa::profiles::{self, ProfileId, ResetOptions};
use teuicc_lpa::{EventEntry, LpaError, Operation, discover, drive};
use teuicc_rsp::codes::{ProfileClass, ProfileState};
use teuicc_rsp::es10::{DisableProfileRequest, EnableProfileRequest, ProfileInfo, ProfileInfoListResponse};
use teuicc_rsp::metadata::{Nickname, NotificationEvent, ProfileName};
use teuicc_rsp::object::{List, Object, Octets, concatenated};
use teuicc_rsp::{Iccid, tags};

const OTHER: &str = "other.example.com";

fn card_with_notifications() -> FakeCard {
    let mut card = FakeCard::default();
    let all = [
        (12, HOST, NotificationEvent::ENABLE),
        (3, HOST, NotificationEvent::INSTALL),
        (5, OTHER, NotificationEvent::DISABLE),
        (0, OTHER, NotificationEvent::DELETE),
    ];
    card.notifications = all.map(|(number, to, event)| Kept::new(number, to, event)).to_vec();
    card
}

fn numbers(card: &FakeCard) -> Vec<u32> {
    card.notifications.iter().map(|notification| notification.number).collect()
}

#[test]
fn notifications_are_listed_by_number() {
    let mut card = card_with_notifications();
    let list = drive_card(notifications::list(), &mut card).unwrap();
    let seen: Vec<_> = list.iter().map(|n| (n.sequence_number, n.event, n.recipient.as_str())).collect();
    assert_eq!(
        seen,
        [(0, Event::Delete, OTHER), (3, Event::Install, HOST), (5, Event::Disable, OTHER), (12, Event::Enable, HOST)]
    );
    assert_eq!(card.open_channels, 0);
}

#[test]
fn notifications_go_in_order_and_leave_the_card_after_204() {
    let mut card = card_with_notifications();
    let encoded = card.notifications[3].encoded.clone();
    let (mut server, mut user): (FakeServer, FakeUser) = Default::default();
    let deliveries = drive(notifications::process(Which::All), &mut card, &mut server, &mut user).unwrap();
    assert!(deliveries.iter().all(|delivery| delivery.is_delivered()));
    let hosts: Vec<&str> = server.calls.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, [OTHER, HOST, OTHER, HOST]);
    use base64::Engine as _;
    let sent = base64::engine::general_purpose::STANDARD.encode(encoded);
    assert_eq!(server.requests[0]["pendingNotification"], sent);
    assert!(numbers(&card).is_empty());
}

#[test]
fn a_server_that_is_down_keeps_its_notifications_and_no_others() {
    let mut card = card_with_notifications();
    let mut server = FakeServer { down: vec![HOST], ..Default::default() };
    let deliveries =
        drive(notifications::process(Which::All), &mut card, &mut server, &mut FakeUser::default()).unwrap();
    assert_eq!(numbers(&card), [12, 3]);
    let outcome = |number: u32| {
        &deliveries.iter().find(|delivery| delivery.notification.sequence_number == number).unwrap().outcome
    };
    assert_eq!(outcome(0), &DeliveryOutcome::Delivered);
    assert_eq!(outcome(5), &DeliveryOutcome::Delivered);
    assert_eq!(outcome(12), &DeliveryOutcome::NotTried);
    match outcome(3) {
        DeliveryOutcome::Failed(error) => {
            assert_eq!(error.to_string(), "handleNotification: smdp.example.com answered with HTTP status 500");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_200_is_no_204() {
    let mut card = card_with_notifications();
    let mut server = FakeServer::default();
    server.answers.insert("handleNotification", vec![ok(json!({}))]);
    let which = Which::Only(vec![3, 12]);
    let deliveries = drive(notifications::process(which), &mut card, &mut server, &mut FakeUser::default()).unwrap();
    assert!(matches!(deliveries[0].outcome, DeliveryOutcome::Failed(LpaError::HttpStatus { status: 200, .. })));
    assert_eq!(numbers(&card), [12, 3, 5, 0]);
}

#[test]
fn a_recipient_that_is_no_host_does_not_stop_the_others() {
    let mut card = card_with_notifications();
    card.notifications.push(Kept::new(1, "https://evil/\n", NotificationEvent::ENABLE));
    let deliveries =
        drive(notifications::process(Which::All), &mut card, &mut FakeServer::default(), &mut FakeUser::default())
            .unwrap();
    assert_eq!(deliveries.iter().filter(|delivery| delivery.is_delivered()).count(), 4);
    assert_eq!(numbers(&card), [1]);
}

#[test]
fn a_notification_can_be_removed_unsent() {
    let mut card = card_with_notifications();
    drive_card(notifications::remove(5), &mut card).unwrap();
    assert_eq!(numbers(&card), [12, 3, 0]);
    let error = drive_card(notifications::remove(5), &mut card).unwrap_err();
    let expected = "RemoveNotificationFromList refused by the card: there is no such notification (code 1)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn profiles_are_listed() {
    let info = ProfileInfo {
        iccid: Iccid::from_digits(ICCID),
        isdp_aid: Octets::new(&[0xA0; 16]),
        profile_state: Some(ProfileState::Enabled),
        profile_nickname: Nickname::new("work"),
        service_provider_name: None,
        profile_name: ProfileName::new("Test"),
        icon_type: None,
        icon: None,
        profile_class: Some(ProfileClass::Test),
        notification_configuration: None,
        profile_owner: None,
        dp_proprietary_data: None,
        profile_policy_rules: None,
        ref_ar_do: None,
        service_specific_data: None,
    };
    let list = concatenated([info]).unwrap();
    let answer = ProfileInfoListResponse::List(List::new(&list).unwrap()).encode().unwrap();
    let mut card = FakeCard::default();
    card.answers.insert(0xBF2D, (answer, 0x9000));
    let profiles = drive_card(profiles::list(), &mut card).unwrap();
    assert_eq!(profiles.len(), 1);
    assert!(profiles[0].enabled);
    assert_eq!(profiles[0].nickname.as_deref(), Some("work"));
    assert_eq!(profiles[0].isdp_aid.as_deref(), Some(&[0xA0; 16][..]));
    assert_eq!(profiles[0].class, ProfileClass::Test);
}

#[test]
fn both_names_of_a_profile_and_both_refresh_flags() {
    let iccid: ProfileId = ICCID.parse().unwrap();
    let aid: ProfileId = "A0000005591010FFFFFFFF8900001000".parse().unwrap();
    for refresh in [true, false] {
        for profile in [&iccid, &aid] {
            let mut card = FakeCard::default();
            drive_card(profiles::enable(profile.clone(), refresh), &mut card).unwrap();
            let request = EnableProfileRequest::parse(card.request(tags::ENABLE_PROFILE)).unwrap();
            assert_eq!(request.refresh_flag, refresh);
            drive_card(profiles::disable(profile.clone(), refresh), &mut card).unwrap();
            let request = DisableProfileRequest::parse(card.request(tags::DISABLE_PROFILE)).unwrap();
            assert_eq!(request.refresh_flag, refresh);
            drive_card(profiles::delete(profile.clone()), &mut card).unwrap();
        }
    }
    // The bytes of a real trace.
    let mut card = FakeCard::default();
    drive_card(profiles::enable(iccid, false), &mut card).unwrap();
    let sent = hex::encode_upper(card.request(tags::ENABLE_PROFILE));
    assert_eq!(sent, "BF3111A00C5A0A98001032547698103214810100");
    for wrong in ["", "8900", "A000", "890001234567890123411"] {
        assert!(wrong.parse::<ProfileId>().is_err(), "{wrong}");
    }
}

#[test]
fn a_proactive_command_that_waits_is_no_error() {
    let mut card = FakeCard::default();
    card.answers.insert(0xBF31, (tlv(0xBF31, &tlv(0x80, &[0])), 0x910B));
    drive_card(profiles::enable(ICCID.parse().unwrap(), true), &mut card).unwrap();
}

#[test]
fn every_refusal_of_the_card_has_words_and_its_number() {
    let iccid: ProfileId = ICCID.parse().unwrap();
    type Make = Box<dyn Fn() -> Operation<()>>;
    let (a, b, c) = (iccid.clone(), iccid.clone(), iccid);
    let number = Iccid::from_digits(ICCID).unwrap();
    let table: Vec<(u32, u8, Make, &str)> = vec![
        (
            0xBF31,
            2,
            Box::new(move || profiles::enable(a.clone(), true)),
            "EnableProfile refused by the card: the profile is not disabled (code 2)",
        ),
        (
            0xBF32,
            5,
            Box::new(move || profiles::disable(b.clone(), true)),
            "DisableProfile refused by the card: the card is busy with a proactive command (code 5)",
        ),
        (
            0xBF33,
            3,
            Box::new(move || profiles::delete(c.clone())),
            "DeleteProfile refused by the card: a profile policy rule forbids it (code 3)",
        ),
        (
            0xBF29,
            1,
            Box::new(move || profiles::set_nickname(number, "x".into())),
            "SetNickname refused by the card: there is no such profile (code 1)",
        ),
        (
            0xBF34,
            1,
            Box::new(|| profiles::reset(ResetOptions::DELETE_OPERATIONAL_PROFILES)),
            "eUICCMemoryReset refused by the card: there is nothing to delete (code 1)",
        ),
        (
            0xBF3F,
            99,
            Box::new(|| profiles::set_default_dp_address(None)),
            "SetDefaultDpAddress refused by the card: code 99 (code 99)",
        ),
    ];
    for (tag, code, operation, words) in table {
        let mut card = FakeCard::default();
        card.answers.insert(tag, (tlv(tag, &tlv(0x80, &[code])), 0x9000));
        assert_eq!(drive_card(operation(), &mut card).unwrap_err().to_string(), words);
        assert_eq!(card.open_channels, 0);
        card.answers.clear();
        drive_card(operation(), &mut card).unwrap();
    }
}

#[test]
fn a_nickname_that_is_too_long_does_not_reach_the_card() {
    let mut card = FakeCard::default();
    let error = drive_card(profiles::set_nickname(Iccid::from_digits(ICCID).unwrap(), "x".repeat(65)), &mut card);
    assert_eq!(error.unwrap_err().to_string(), "a nickname has at most 64 bytes; this has 65");
    assert_eq!(card.called(tags::SET_NICKNAME), 0);
}

#[test]
fn an_sm_ds_names_the_events() {
    let mut server = FakeServer { name: "ds.example.com".into(), ..Default::default() };
    let entries = json!([{ "eventId": "E-1", "rspServerAddress": HOST }]);
    server.fields = vec![("authenticateClient", "eventEntries", entries)];
    let mut card = FakeCard::default();
    let events =
        drive(discover::discover(None, Device::default()), &mut card, &mut server, &mut FakeUser::default()).unwrap();
    assert_eq!(events, [EventEntry { event_id: "E-1".into(), rsp_server_address: HOST.into() }]);
    assert_eq!(server.calls[0].0, "ds.example.com");

    server.fields = vec![("authenticateClient", "eventEntries", json!([{ "eventId": 1 }]))];
    let error = drive(discover::discover(None, Device::default()), &mut card, &mut server, &mut FakeUser::default());
    assert!(error.unwrap_err().to_string().contains("eventEntries has no text eventId"));
}
