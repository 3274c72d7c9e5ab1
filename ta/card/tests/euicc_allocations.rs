//! Every allocation of every ES10 function fails once: an error answer, never an abort, and the eUICC goes on.

mod common;

use common::*;
use teuicc_apdu::{StatusWord, encode_command};
use teuicc_card::testing::ota::{Server, TAR_DOMAIN};
use teuicc_card::testing::{MemoryStore, SeededRng};
use teuicc_card::{Card, ObjectId, Platform, Store, StoreError};
use teuicc_failing_alloc::{FailingAllocator, with_allocations};
use teuicc_rsp::aid;
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::es10::*;
use teuicc_rsp::metadata::Nickname;
use teuicc_rsp::object::Object;
use teuicc_rsp::tags;
use teuicc_wire::Interface;

#[global_allocator]
static ALLOCATOR: FailingAllocator = FailingAllocator;

/// A store that allocates for values alone, and says so when it cannot.
struct Slots(Vec<(ObjectId, Option<Vec<u8>>)>);

impl Slots {
    fn new(source: &MemoryStore) -> Self {
        let content = source.snapshot();
        Slots(ObjectId::all().map(|id| (id, content.get(&id).cloned())).collect())
    }

    fn value(&mut self, id: ObjectId) -> &mut Option<Vec<u8>> {
        &mut self.0.iter_mut().find(|(other, _)| *other == id).unwrap().1
    }
}

impl Store for Slots {
    fn load(&self, id: ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.0.iter().find(|(other, _)| *other == id).unwrap().1.as_deref();
        value.map(|value| teuicc_tlv::try_copy(value).map_err(StoreError::from)).transpose()
    }

    fn replace(&mut self, id: ObjectId, value: &[u8]) -> Result<(), StoreError> {
        *self.value(id) = Some(teuicc_tlv::try_copy(value)?);
        Ok(())
    }

    fn remove(&mut self, id: ObjectId) -> Result<(), StoreError> {
        *self.value(id) = None;
        Ok(())
    }

    fn list(&self) -> Result<Vec<ObjectId>, StoreError> {
        let mut ids = Vec::new();
        for (id, value) in &self.0 {
            if value.is_some() {
                teuicc_tlv::TryBytes::try_push(&mut ids, *id)?;
            }
        }
        Ok(ids)
    }
}

/// A card with its LPA connected to the ISD-R on channel 0.
struct Subject(Card<SeededRng, Slots>);

impl Subject {
    fn boot(slots: Slots) -> Self {
        let mut card = Card::boot(Platform { rng: SeededRng::new(4711), store: slots, rollback_protection: false });
        card.power_up(Interface::Lpa).unwrap();
        let select = encode_command([0x00, 0xA4, 0x04, 0x00], &aid::ISDR, Some(256)).unwrap();
        assert_eq!(card.transmit(Interface::Lpa, &select).unwrap().sw, StatusWord::OK);
        Subject(card)
    }

    /// One command, with all the memory or with `allowed` allocations.
    fn es10(&mut self, command: &[u8], allowed: Option<u32>) -> (Vec<u8>, StatusWord) {
        let count = command.chunks(255).count();
        let apdus: Vec<_> = command
            .chunks(255)
            .enumerate()
            .map(|(number, block)| {
                let p1 = if number + 1 == count { 0x91 } else { 0x11 };
                encode_command([0x80, 0xE2, p1, number as u8], block, None).unwrap()
            })
            .collect();
        let last = with_allocations(allowed, || {
            let mut last = None;
            for apdu in &apdus {
                let response = self.0.transmit(Interface::Lpa, apdu);
                let go_on = response.as_ref().is_ok_and(|response| response.sw == StatusWord::OK);
                last = Some(response);
                if !go_on {
                    break;
                }
            }
            last
        });
        let response = last.unwrap().unwrap();
        (response.data, response.sw)
    }

    /// A command with no memory at all: it may fail, the card may not.
    fn starve(&mut self) {
        let _ = with_allocations(Some(0), || self.0.transmit(Interface::Lpa, &[0x80, 0xF2, 0x00, 0x00]));
    }
}

/// Runs `command` after `before` with every number of allocations, in steps, until it answers what it answers with all
/// the memory; and checks that the card goes on each time.
fn fail_each(flash: &MemoryStore, before: &[Vec<u8>], command: &[u8], step: u32) {
    let run = |allowed| {
        let mut subject = Subject::boot(Slots::new(flash));
        before.iter().for_each(|command| assert_eq!(subject.es10(command, None).1, StatusWord::OK));
        let answer = subject.es10(command, allowed);
        (subject, answer)
    };
    let good = run(None).1;
    assert_eq!(good.1, StatusWord::OK);
    let mut failures = 0;
    for allowed in (0..).step_by(step as usize) {
        assert!(allowed < 100_000, "{:02X?} never succeeds", &command[..2]);
        let (mut subject, answer) = run(Some(allowed));
        let eid = GetEidRequest { tag_list: &[0x5A] }.encode().unwrap();
        subject.starve();
        let (data, sw) = subject.es10(&eid, None);
        assert_eq!((data.len(), sw), (21, StatusWord::OK), "the card goes on");
        let (_, sw) = subject.es10(&empty_request(tags::PROFILE_INFO_LIST).unwrap(), None);
        assert_eq!(sw, StatusWord::OK, "the card goes on");
        // And so it does after a power cut.
        let mut subject = Subject::boot(subject.0.into_platform().store);
        assert_eq!(subject.es10(&eid, None).1, StatusWord::OK);
        if answer == good {
            break;
        }
        failures += 1;
    }
    println!("{:02X?}: {failures} failures", &command[..2]);
}

#[test]
fn every_allocation_fails_once() {
    let pki = Pki::new(Curve::P256);
    let other = "89000123456789012358";
    let mut device = Device::new(&[&pki]);
    device.install(&pki, &TestProfile::new(ICCID));
    assert_eq!(device.enable(ICCID, false), 0);
    device.install(&pki, &TestProfile::new(other));
    let flash = device.store.clone();
    let profile_identifier = ProfileIdentifier::Iccid(digits(other));
    let functions = [
        empty_request(tags::EUICC_CONFIGURED_ADDRESSES).unwrap(),
        empty_request(tags::GET_EUICC_INFO1).unwrap(),
        empty_request(tags::GET_EUICC_INFO2).unwrap(),
        empty_request(tags::GET_EUICC_CHALLENGE).unwrap(),
        empty_request(tags::GET_RAT).unwrap(),
        empty_request(tags::LIST_NOTIFICATION).unwrap(),
        empty_request(tags::RETRIEVE_NOTIFICATIONS_LIST).unwrap(),
        empty_request(tags::PROFILE_INFO_LIST).unwrap(),
        NotificationSentRequest { seq_number: 0 }.encode().unwrap(),
        SetDefaultDpAddressRequest { default_dp_address: "other" }.encode().unwrap(),
        EnableProfileRequest { profile_identifier, refresh_flag: true }.encode().unwrap(),
        DeleteProfileRequest(profile_identifier).encode().unwrap(),
        SetNicknameRequest { iccid: digits(other), profile_nickname: Nickname::new("x").unwrap() }.encode().unwrap(),
        EuiccMemoryResetRequest { reset_options: ResetOptions(7) }.encode().unwrap(),
    ];
    for command in functions {
        fail_each(&flash, &[], &command, 1);
    }
}

#[test]
fn every_allocation_of_an_update_over_the_air_fails_once() {
    let pki = Pki::new(Curve::P256);
    let mut device = Device::new(&[&pki]);
    device.install(&pki, &TestProfile::new(ICCID).managed());
    assert_eq!(device.enable(ICCID, false), 0);
    let flash = device.store.clone();
    let server = Server::new(TAR_DOMAIN, 1);
    let envelope = &server.envelopes(b"\x80\xE2\x91\x00\x08\xBF\x2A\x05\x91\x03New")[0];
    let list = empty_request(tags::PROFILE_INFO_LIST).unwrap();
    let says_new = |subject: &mut Subject| {
        let (data, sw) = subject.es10(&list, None);
        assert_eq!(sw, StatusWord::OK, "the card goes on");
        data.windows(5).any(|bytes| bytes == b"\x91\x03New")
    };
    for allowed in 0.. {
        assert!(allowed < 10_000, "it never succeeds");
        let mut subject = Subject::boot(Slots::new(&flash));
        subject.0.power_up(Interface::Modem).unwrap();
        let response = with_allocations(Some(allowed), || subject.0.transmit(Interface::Modem, envelope)).unwrap();
        let done = server.report(&response.data).is_some_and(|report| report.data == [1, 0x90, 0x00]);
        assert!(!done || says_new(&mut subject), "what is said to be done is done");
        let now = says_new(&mut subject);
        let mut subject = Subject::boot(Slots(subject.0.into_platform().store.0));
        assert_eq!(says_new(&mut subject), now, "and so it is after a power cut");
        if done {
            println!("{allowed} failures");
            return;
        }
    }
}

#[test]
fn every_allocation_of_a_download_fails_once() {
    let pki = Pki::new(Curve::P256);
    let flash = Device::new(&[&pki]).store;
    // What a card that boots with the same random numbers is going to be asked.
    let mut subject = Subject::boot(Slots::new(&flash));
    let mut smdp = Smdp::new(&pki, TestProfile::new(ICCID));
    let mut commands = vec![empty_request(tags::GET_EUICC_CHALLENGE).unwrap()];
    let challenge = subject.es10(&commands[0], None).0;
    commands.push(smdp.authenticate_server(challenge[5..].try_into().unwrap()));
    let answer = subject.es10(&commands[1], None).0;
    let AuthenticateServerResponse::Ok(ok) = AuthenticateServerResponse::parse(&answer).unwrap() else { panic!() };
    smdp.euicc_signature1 = Some(*ok.euicc_signature1);
    commands.push(smdp.prepare_download(None));
    let answer = subject.es10(&commands[2], None).0;
    let PrepareDownloadResponse::Ok(ok) = PrepareDownloadResponse::parse(&answer).unwrap() else { panic!() };
    smdp.euicc_otpk = Some(*ok.euicc_signed2.euicc_otpk);
    let package = smdp.package();
    commands.extend(teuicc_rsp::bpp::segments(&package).unwrap().into_iter().map(<[u8]>::to_vec));
    let last = commands.len() - 1;
    for (place, command) in commands.iter().enumerate() {
        // The first pieces of the profile, and the last one, which installs it; in between it is the same again.
        if place < 10 || place == last {
            fail_each(&flash, &commands[..place], command, if place < 8 { 1 } else { 9 });
        }
    }
    let cancel = CancelSessionRequest {
        transaction_id: teuicc_rsp::object::TransactionId::new(&smdp.transaction_id).unwrap(),
        reason: teuicc_rsp::codes::CancelSessionReason::Timeout,
    };
    fail_each(&flash, &commands[..3], &cancel.encode().unwrap(), 1);
}
