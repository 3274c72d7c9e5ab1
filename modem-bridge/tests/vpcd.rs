//! The bridge to vpcd over a card that does what the test says, with the reader's side of vpcd.

mod common;

use common::{ATR, FakeCard, SELECT_MF, SOON, answer};
use hex_literal::hex;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use teuicc_modem_bridge::testing::vpcd::VpcdHost;
use teuicc_modem_bridge::testing::{ModemSide, Running, Transport};
use teuicc_modem_bridge::vpcd::{self, Config, Reader};
use teuicc_modem_bridge::{BridgeError, Patience, Status};
use teuicc_slot::{Interface, LinkError, Slot, SlotConfig, Wire};

/// The bridge between a fake card and a reader.
struct Rig {
    card: FakeCard,
    slot: Slot,
    reader: VpcdHost,
    bridge: Running,
}

const ABSENCE: Duration = Duration::from_millis(50);

impl Rig {
    fn start(card: FakeCard) -> Rig {
        let reader = VpcdHost::bind().unwrap();
        let slot = Slot::start(Wire::new(card.clone()), SlotConfig::default()).unwrap();
        let config = config(Reader::At(reader.address().unwrap().to_string()));
        let bridge = Running::start(&slot, |slot, status, end| vpcd::run(slot, config, status, end)).unwrap();
        Rig { card, slot, reader, bridge }
    }

    fn inserted() -> Rig {
        let mut rig = Rig::start(FakeCard::default());
        rig.reader.await_card(SOON).unwrap();
        rig
    }

    fn status(&self) -> &Status {
        self.bridge.status()
    }
}

fn config(reader: Reader) -> Config {
    let patience = Patience { first: Duration::from_millis(5), last: Duration::from_millis(20) };
    Config { reader, absence: ABSENCE, patience }
}

#[test]
fn a_reader_gets_a_card_with_an_atr_and_its_commands_are_answered_as_t0_does() {
    let mut rig = Rig::inserted();
    assert_eq!(rig.reader.atr().unwrap(), ATR);
    assert_eq!(rig.reader.cold_reset().unwrap(), ATR);
    assert_eq!(rig.reader.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    assert_eq!(rig.reader.tpdu(&hex!("00C0000002")).unwrap(), hex!("AABB9000"));
    assert_eq!(rig.reader.warm_reset().unwrap(), ATR);
    assert_eq!(rig.reader.tpdu(&hex!("00C0000002")).unwrap(), hex!("6985"));
    let status = rig.status();
    assert_eq!((status.connected(), status.connections(), status.commands(), status.resets()), (true, 1, 3, 2));
    rig.bridge.end().unwrap();
    assert!(!rig.status().connected());
}

#[test]
fn no_exchange_waits_for_an_acknowledgement_of_the_network() {
    const EXCHANGES: usize = 100;
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    let mut took: Vec<_> = (0..EXCHANGES)
        .map(|_| {
            let start = Instant::now();
            rig.reader.tpdu(&SELECT_MF).unwrap();
            start.elapsed()
        })
        .collect();
    // A delayed acknowledgement holds the second write of a reader back for 40 ms each time; a busy machine, now and
    // then.
    took.sort();
    let median = took[EXCHANGES / 2];
    assert!(median < Duration::from_millis(35), "{median:?}");
}

#[test]
fn a_card_that_does_not_answer_is_not_offered() {
    let card = FakeCard::default();
    card.with(|fake| fake.absent = true);
    let mut rig = Rig::start(card);
    let waited = rig.reader.await_card(Duration::from_millis(150)).unwrap_err();
    assert_eq!(waited.kind(), ErrorKind::WouldBlock, "{waited}");
    rig.card.with(|fake| fake.absent = false);
    rig.reader.await_card(SOON).unwrap();
    assert_eq!(rig.reader.cold_reset().unwrap(), ATR);
}

#[test]
fn a_card_that_is_lost_leaves_the_reader_and_comes_back() {
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    rig.card.with(|fake| fake.absent = true);
    assert!(rig.reader.tpdu(&SELECT_MF).is_err());
    rig.reader.await_removal(SOON).unwrap();
    rig.card.with(|fake| fake.absent = false);
    rig.reader.await_card(SOON).unwrap();
    rig.reader.cold_reset().unwrap();
    assert_eq!(rig.reader.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn a_refusal_of_the_card_is_an_answer_and_not_a_silence() {
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    let refusal = Err(LinkError::Card(teuicc_wire::Error::StoreUnavailable));
    rig.card.with(|fake| fake.script.push_back(refusal));
    // The fake gives it as a transport error would come; the bridge tells them apart by its kind.
    assert_eq!(rig.reader.tpdu(&SELECT_MF).unwrap(), hex!("6F00"));
    assert_eq!(rig.reader.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn a_change_by_the_lpa_takes_the_card_out_and_in_again_once() {
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    let lpa = rig.slot.blocking_power_up(Interface::Lpa).unwrap().generation;
    rig.card.with(|fake| fake.script.push_back(Ok(answer(&[0x90, 0x00], true))));
    let before = Instant::now();
    rig.slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]]).unwrap();
    rig.reader.await_removal(SOON).unwrap();
    rig.reader.await_card(SOON).unwrap();
    assert!(before.elapsed() >= ABSENCE);
    assert_eq!(rig.reader.cold_reset().unwrap(), ATR);
    assert_eq!((rig.status().replugs(), rig.status().connections()), (1, 2));
    rig.reader.stays_in(2 * ABSENCE).unwrap();
}

#[test]
fn a_reader_that_goes_away_is_waited_for_and_the_interface_loses_its_power() {
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    rig.card.with(|fake| fake.requests.clear());
    let mut reader = std::mem::replace(&mut rig.reader, VpcdHost::bind().unwrap());
    let address = reader.address().unwrap();
    reader.eject();
    rig.card.await_request("PowerDown(Modem)");
    assert!(reader.await_card(SOON).is_ok(), "the same reader, at {address}, is tried again");
}

#[test]
fn a_reset_during_a_slow_command_gets_the_new_atr_and_no_stray_answer() {
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    rig.card.with(|fake| fake.slow = Duration::from_millis(100));
    rig.reader.send(&SELECT_MF).unwrap();
    assert_eq!(rig.reader.warm_reset().unwrap(), ATR);
    rig.card.with(|fake| fake.slow = Duration::ZERO);
    assert_eq!(rig.reader.tpdu(&hex!("00B0000002")).unwrap(), hex!("AABB9000"));
}

#[test]
fn a_card_leaves_the_reader_before_it_loses_its_power() {
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    let begun = rig.card.with(|fake| {
        fake.requests.clear();
        fake.held = Some("Transmit");
        fake.begun
    });
    rig.reader.send(&SELECT_MF).unwrap();
    rig.card.await_that("command", |fake| fake.begun > begun);
    rig.bridge.ask_to_end();
    // The slot is still busy with the command; the reader must not have to wait for it.
    rig.reader.await_removal(SOON).unwrap();
    assert_eq!(rig.card.with(|fake| fake.requests.len()), 0);
    rig.card.with(|fake| fake.held = None);
    assert_eq!(rig.bridge.join(), Ok(()));
    assert_eq!(rig.card.with(|fake| fake.requests.clone()), ["Transmit(Modem)", "PowerDown(Modem)"]);
}

#[test]
fn frames_that_no_reader_sends_end_the_connection_and_the_bridge_goes_on() {
    let mut rig = Rig::inserted();
    rig.card.with(|fake| fake.slow = Duration::from_millis(50));
    rig.reader.send(&[]).unwrap();
    rig.reader.await_removal(SOON).unwrap();
    rig.reader.await_card(SOON).unwrap();
    rig.reader.cold_reset().unwrap();
    rig.reader.send(&SELECT_MF).unwrap();
    rig.reader.send(&SELECT_MF).unwrap();
    rig.reader.await_removal(SOON).unwrap();
    rig.reader.await_card(SOON).unwrap();
    for _ in 0..20_000 {
        if rig.reader.send(&[1]).is_err() {
            break;
        }
    }
    assert_eq!(rig.reader.atr().unwrap(), ATR);
    rig.reader.send(&[9]).unwrap();
    assert_eq!(rig.reader.tpdu(&[0xAA; 60000]).unwrap(), hex!("6700"));
}

#[test]
fn a_slot_that_is_closed_ends_the_bridge_with_an_error() {
    let mut rig = Rig::inserted();
    rig.slot.blocking_close();
    rig.reader.send(&[1]).unwrap();
    rig.reader.await_removal(SOON).unwrap();
    assert_eq!(rig.bridge.join(), Err(BridgeError::SlotClosed));
}
