//! Every allocation of every command fails once: an error answer, never an abort, and the card goes on.

#[path = "uicc/rules.rs"]
mod rules;

use teuicc_card::testing::{MemoryStore, ota, platform, profile};
use teuicc_card::{Card, ProfileSlot};
use teuicc_failing_alloc::{FailingAllocator, with_allocations};
use teuicc_wire::Interface::{Lpa, Modem};

#[global_allocator]
static ALLOCATOR: FailingAllocator = FailingAllocator;

const SLOT: ProfileSlot = ProfileSlot::new(0).unwrap();

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A session that reaches every command; each must succeed when memory is there.
const SESSION: &[&[u8]] = &[
    b"\x00\xA4\x00\x04\x02\x3F\x00",
    b"\x80\xAA\x00\x00\x05\xA9\x03\x83\x01\x07",
    b"\x80\x10\x00\x00\x04\xFF\xFF\xDF\xFF",
    b"\x80\xC2\x00\x00\x05\xD1\x03\x82\x01\x81",
    b"\x00\x84\x00\x00\x08",
    b"\x00\x70\x00\x00\x01",
    b"\x01\xA4\x04\x04\x10\xA0\x00\x00\x05\x59\x10\x10\xFF\xFF\xFF\xFF\x89\x00\x00\x01\x00",
    b"\x81\xF2\x00\x01\x00",
    b"\x00\xA4\x04\x04\x07\xA0\x00\x00\x00\x87\x10\x02",
    b"\x00\x20\x00\x01\x08\x31\x32\x33\x34\xFF\xFF\xFF\xFF",
    b"\x00\x24\x00\x01\x10\x31\x32\x33\x34\xFF\xFF\xFF\xFF\x31\x32\x33\x34\xFF\xFF\xFF\xFF",
    b"\x00\x26\x00\x01\x08\x31\x32\x33\x34\xFF\xFF\xFF\xFF",
    b"\x00\x28\x00\x01\x08\x31\x32\x33\x34\xFF\xFF\xFF\xFF",
    b"\x00\x2C\x00\x01\x10\x31\x32\x33\x34\x35\x36\x37\x38\x31\x32\x33\x34\xFF\xFF\xFF\xFF",
    b"\x80\xF2\x00\x00\x00",
    b"\x00\xB0\x87\x00\x00",
    b"\x00\xD6\x8B\x00\x01\x01",
    b"\x00\xDC\x00\xE3\x03\x61\x62\x63",
    b"\x00\xB2\x00\xE2\x03",
    b"\x00\x88\x00\x80\x11\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x80\x32\x9C\x00\x01\x01",
    b"\x00\xA2\x01\xE4\x01\x63",
    b"\x00\x20\x00\x0A\x08adminkey",
    b"\x80\xD4\x00\x00\x0A\x62\x08\x83\x02\x6F\x39\x80\x02\x00\x0C",
    b"\x00\xA4\x00\x0C\x02\x3F\x00",
    b"\x80\xDB\x00\x91\x04\x81\x02\x01\x02",
    b"\x80\xCB\x00\x80\x01\x81",
    b"\x80\xCB\x00\x80\x01\x5C",
    b"\x80\xDB\x00\x80\x01\x81",
    b"\x00\x04\x00\x00\x02\x2F\x30",
    b"\x00\x44\x00\x00",
    b"\x00\xE8\x00\x00",
    b"\x00\xE4\x00\x00\x02\x2F\x30",
    b"\x00\xE0\x00\x00\x18\x62\x16\x82\x02\x41\x21\x83\x02\x2F\x31\x8A\x01\x05\x8B\x03\x2F\x06\x05\x80\x02\x00\x10\x88\x00",
    b"\x00\xE0\x00\x00\x14\x62\x12\x82\x02\x78\x21\x83\x02\x5F\x50\x8A\x01\x05\x8B\x03\x2F\x06\x08\xC6\x00",
    b"\x00\xE6\x00\x00",
    b"\x00\xA4\x04\x0C\x07\xA0\x00\x00\x00\x87\x10\x04",
    // XOR with RAND and SQN of zeros: AUTN is AK, AMF 0 and the MAC.
    b"\x00\x88\x00\x81\x22\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
      \x10\x03\x04\x05\x06\x07\x08\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07",
];

/// The same in class A0.
const GSM_SESSION: &[&[u8]] = &[
    b"\xA0\xA4\x00\x00\x02\x3F\x00",
    b"\xA0\x10\x00\x00\x04\xFF\xFF\xDF\xFF",
    b"\xA0\xA4\x00\x00\x02\x7F\x20",
    b"\xA0\xF2\x00\x00\x16",
    b"\xA0\x20\x00\x01\x08\x31\x32\x33\x34\xFF\xFF\xFF\xFF",
    b"\xA0\x88\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\xA0\xA4\x00\x00\x02\x6F\xAE",
    b"\xA0\xB0\x00\x00\x01",
    b"\xA0\xA4\x00\x00\x02\x6F\x38",
    b"\xA0\xB0\x00\x00\x0E",
    b"\xA0\xA4\x00\x00\x02\x6F\x7E",
    b"\xA0\xD6\x00\x00\x01\x01",
    b"\xA0\xA4\x00\x00\x02\x6F\x39",
    b"\xA0\xDC\x00\x03\x03\x61\x62\x63",
    b"\xA0\xB2\x00\x04\x03",
];

fn card() -> Card<teuicc_card::testing::SeededRng, MemoryStore> {
    let mut store = MemoryStore::new();
    profile::store(&mut store, rules::administered()).unwrap();
    let mut card = Card::boot_with_profile(platform(store, 1), SLOT);
    card.power_up(Modem).unwrap();
    card.power_up(Lpa).unwrap();
    card
}

#[test]
fn every_allocation_fails_once() {
    for (session, place, command) in [SESSION, GSM_SESSION]
        .into_iter()
        .flat_map(|session| session.iter().enumerate().map(move |(place, command)| (session, place, command)))
    {
        let mut failures = 0;
        for allowed in 0.. {
            assert!(allowed < 1000, "{command:02X?} never succeeds");
            let mut card = card();
            for before in &session[..place] {
                assert_eq!(card.transmit(Modem, before).unwrap().sw.0, 0x9000, "{before:02X?}");
            }
            let response = with_allocations(Some(allowed), || card.transmit(Modem, command));
            let sw = response.unwrap().sw.0;
            if sw == 0x9000 {
                break;
            }
            assert!(matches!(sw, 0x6F00 | 0x6581 | 0x6A84 | 0x9240), "{command:02X?}: {sw:04X}");
            failures += 1;
            assert_eq!(card.transmit(Modem, session[0]).unwrap().sw.0, 0x9000, "the card goes on");
        }
        println!("{command:02X?}: {failures} failures");
    }
}

/// A command packet in two parts: whatever fails, it is done once, or not at all and may come again.
#[test]
fn a_command_packet_without_memory_is_done_or_not() {
    let server = ota::Server::new(ota::TAR_FILES, 1);
    let script = [&b"\x00\xA4\x00\x0C\x02\x2F\x30\x00\xD6\x00\x00\xA0"[..], &[0x5A; 0xA0]].concat();
    let envelopes = server.envelopes(&script);
    assert_eq!(envelopes.len(), 2);
    let (mut failures, mut retried) = (0, 0);
    for allowed in 0.. {
        assert!(allowed < 1000, "it never succeeds");
        let mut profile = profile::profile(SLOT);
        profile.kept = ota::elements(&profile::USIM);
        let mut store = MemoryStore::new();
        profile::store(&mut store, profile).unwrap();
        let mut card = Card::boot_with_profile(platform(store, 1), SLOT);
        card.power_up(Modem).unwrap();
        let first = with_allocations(Some(allowed), || {
            let mut last = None;
            for envelope in &envelopes {
                last = Some(card.transmit(Modem, envelope));
                if !last.as_ref().is_some_and(|response| response.as_ref().is_ok_and(|it| it.sw.0 == 0x9000)) {
                    break;
                }
            }
            last
        });
        let first = first.unwrap().unwrap();
        let done = first.sw.0 == 0x9000 && server.report(&first.data).unwrap().data == b"\x02\x90\x00";
        assert!(matches!(first.sw.0, 0x9000 | 0x6F00 | 0x6581), "{:04X}", first.sw.0);
        assert_eq!(card.transmit(Modem, b"\x00\xA4\x00\x0C\x02\x2F\x30").unwrap().sw.0, 0x9000);
        let content = |card: &mut Card<_, _>| card.transmit(Modem, b"\x00\xB0\x00\x00\xA0").unwrap().data;
        let before = content(&mut card);
        assert!(before == [0; 0xA0] || before == [0x5A; 0xA0], "all of it or nothing");
        if done {
            break;
        }
        failures += 1;
        // The network sends it again: it is done now, unless its counter was used.
        let again = envelopes.iter().map(|envelope| card.transmit(Modem, envelope).unwrap()).last();
        let report = server.report(&again.unwrap().data).unwrap();
        match report.status {
            0 => retried += 1,
            2 => {}
            other => panic!("{other}"),
        }
        assert!(report.status == 2 || content(&mut card) == [0x5A; 0xA0]);
    }
    println!("{failures} failures, {retried} done later");
}

#[test]
fn requests_without_memory_are_answered_or_empty() {
    let mut request = vec![1, 0x12, 0, 0, 0, 0, 9, 0, 7];
    request.extend_from_slice(SESSION[0]);
    for allowed in 0.. {
        let mut card = card();
        let answer = with_allocations(Some(allowed), || card.process(&request));
        match answer.as_slice() {
            [] => assert_eq!(allowed, 0),
            [1, 0, ..] if answer.ends_with(&[0x90, 0x00]) => return,
            [1, 0, ..] => assert!(answer.ends_with(&[0x6F, 0x00])),
            other => assert_eq!(other, [1, teuicc_wire::Error::OutOfMemory.code()]),
        }
    }
}

#[test]
fn booting_without_memory_is_an_error() {
    let mut store = MemoryStore::new();
    profile::store(&mut store, profile::profile(SLOT)).unwrap();
    for allowed in 0..100_000 {
        // Cloned before, for the sake of the platform's own allocations.
        let platform = platform(store.clone(), 1);
        let mut card = with_allocations(Some(allowed), || Card::boot_with_profile(platform, SLOT));
        match card.power_up(Modem) {
            Ok(_) => return,
            Err(error) => assert_eq!(error, teuicc_wire::Error::OutOfMemory),
        }
    }
    panic!("it never boots");
}
