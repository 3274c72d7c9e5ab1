//! The bridge to a modem's UIM Remote service over cards that do what the test says, with the modem's side of it on
//! pseudoterminals. Over QRTR the same is tried in a guest whose kernel has it (qemu-tests).

mod common;

use common::{ATR, FakeCard, SELECT_MF, SOON, answer};
use hex_literal::hex;
use std::io;
use std::time::{Duration, Instant};
use teuicc_modem_bridge::qmi::{self, Config, Modem, ModemSlot};
use teuicc_modem_bridge::testing::qmi::{ATR_LIMIT, Event, Heard, Part, QmiModem};
use teuicc_modem_bridge::testing::{ModemSide, Running, Transport};
use teuicc_modem_bridge::{BridgeError, Patience};
use teuicc_slot::{Interface, Slot, SlotConfig, Wire};

const ABSENCE: Duration = Duration::from_millis(100);

/// The bridge between fake cards and a modem.
struct Rig {
    cards: Vec<FakeCard>,
    slots: Vec<Slot>,
    modem: QmiModem,
    bridge: Running,
}

#[derive(Clone, Copy, Debug)]
enum Over {
    Qmux,
    Mbim,
}

impl Rig {
    fn start(modem: QmiModem, over: Over, cards: Vec<FakeCard>) -> Rig {
        let slots: Vec<Slot> =
            cards.iter().map(|card| Slot::start(Wire::new(card.clone()), SlotConfig::default()).unwrap()).collect();
        let device = modem.device();
        let config = Config {
            modem: match over {
                Over::Qmux => Modem::Qmux { device, proxy: false },
                Over::Mbim => Modem::Mbim { device },
            },
            absence: ABSENCE,
            patience: Patience { first: Duration::from_millis(5), last: Duration::from_millis(20) },
        };
        let others = slots[1..].to_vec();
        let bridge = Running::start(&slots[0], move |slot, status, end| {
            let cards = [slot].into_iter().chain(others).zip(1..);
            let cards = cards.map(|(slot, number)| (ModemSlot::new(number).unwrap(), slot));
            qmi::run(cards.collect(), config, status, end)
        })
        .unwrap();
        Rig { cards, slots, modem, bridge }
    }

    fn new() -> Rig {
        Rig::start(QmiModem::qmux().unwrap(), Over::Qmux, vec![FakeCard::default()])
    }

    /// A modem that is connected to the card.
    fn connected() -> Rig {
        let mut rig = Rig::new();
        rig.modem.await_offer(SOON).unwrap();
        assert_eq!(rig.modem.connect().unwrap(), ATR);
        rig
    }

    fn card(&self) -> &FakeCard {
        &self.cards[0]
    }

    /// The LPA enables another profile.
    fn switch_profile(&self) {
        let slot = &self.slots[0];
        let lpa = slot.blocking_power_up(Interface::Lpa).unwrap().generation;
        self.card().with(|fake| fake.script.push_back(Ok(answer(&[0x90, 0x00], true))));
        slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]]).unwrap();
    }

    /// The LPA gets its answers, whatever the modem does.
    fn lpa_works(&self) {
        let start = Instant::now();
        let slot = &self.slots[0];
        let lpa = slot.blocking_power_up(Interface::Lpa).unwrap().generation;
        slot.blocking_transmit(Interface::Lpa, lpa, vec![SELECT_MF.to_vec()]).unwrap();
        assert!(start.elapsed() < Duration::from_secs(3), "the LPA waited {:?}", start.elapsed());
    }
}

fn nothing_comes(modem: &mut QmiModem) {
    let heard = modem.hear(Duration::from_millis(150));
    assert!(matches!(&heard, Err(error) if error.kind() == io::ErrorKind::TimedOut), "{heard:?}");
}

fn number(heard: io::Result<Heard>) -> u32 {
    match heard.unwrap() {
        Heard::Event(event) => event.number,
        heard => panic!("{heard:?}"),
    }
}

#[test]
fn a_modem_gets_a_card_over_qmux_and_over_mbim() {
    for over in [Over::Qmux, Over::Mbim] {
        let modem = match over {
            Over::Qmux => QmiModem::qmux(),
            Over::Mbim => QmiModem::mbim(),
        };
        let mut rig = Rig::start(modem.unwrap(), over, vec![FakeCard::default()]);
        rig.modem.await_offer(SOON).unwrap();
        assert!(!rig.bridge.status().connected());
        assert_eq!(rig.modem.cold_reset().unwrap(), ATR, "{over:?}");
        assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
        assert_eq!(rig.modem.tpdu(&hex!("00C0000002")).unwrap(), hex!("AABB9000"));
        assert_eq!(rig.modem.warm_reset().unwrap(), ATR);
        assert_eq!(rig.modem.tpdu(&hex!("00C0000002")).unwrap(), hex!("6985"));
        assert_eq!(rig.modem.cold_reset().unwrap(), ATR);
        let mut command = hex!("00D60000FF").to_vec();
        command.extend([0x5A; 255]);
        assert_eq!(rig.modem.tpdu(&command).unwrap(), hex!("6102"));
        rig.card().with(|fake| fake.script.push_back(Ok(answer(&[&[7; 256][..], &[0x90, 0x00]].concat(), false))));
        assert_eq!(rig.modem.tpdu(&hex!("00B0000000")).unwrap().len(), 258);
        let status = rig.bridge.status();
        assert_eq!((status.connected(), status.connections(), status.commands()), (true, 1, 5));

        rig.bridge.ask_to_end();
        assert_eq!(number(rig.modem.hear(SOON)), 3);
        assert_eq!(number(rig.modem.hear(SOON)), 0);
        rig.modem.await_release(SOON).unwrap();
        assert_eq!(rig.bridge.join(), Ok(()));
        assert!(!rig.bridge.status().connected());
    }
}

#[test]
fn a_card_that_does_not_answer_is_not_offered() {
    let card = FakeCard::default();
    card.with(|fake| fake.absent = true);
    let mut rig = Rig::start(QmiModem::qmux().unwrap(), Over::Qmux, vec![card]);
    rig.modem.await_client(SOON).unwrap();
    nothing_comes(&mut rig.modem);
    rig.card().with(|fake| fake.absent = false);
    rig.modem.await_offer(SOON).unwrap();
    rig.modem.connect().unwrap();
}

#[test]
fn a_modem_whose_service_is_off_is_waited_for() {
    let mut modem = QmiModem::qmux().unwrap();
    modem.switch_off();
    let mut rig = Rig::start(modem, Over::Qmux, vec![FakeCard::default()]);
    assert!(rig.modem.await_client(Duration::from_millis(200)).is_err());
    rig.modem.switch_on();
    rig.modem.await_offer(SOON).unwrap();
    rig.modem.connect().unwrap();
}

#[test]
fn a_profile_switch_takes_the_card_out_and_in_again_once() {
    let mut rig = Rig::connected();
    rig.switch_profile();
    rig.modem.await_removal(SOON).unwrap();
    let removed = Instant::now();
    assert_eq!(rig.modem.await_insertion().unwrap(), ATR);
    assert!(removed.elapsed() >= ABSENCE - Duration::from_millis(10));
    assert_eq!(rig.modem.warm_reset().unwrap(), ATR);
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    assert_eq!(rig.bridge.status().replugs(), 1);
    nothing_comes(&mut rig.modem);
}

#[test]
fn a_modem_that_does_not_use_the_card_is_not_told_of_a_switch() {
    let mut rig = Rig::new();
    rig.modem.await_offer(SOON).unwrap();
    rig.switch_profile();
    nothing_comes(&mut rig.modem);
    rig.modem.connect().unwrap();
    rig.card().with(|fake| fake.requests.clear());
    rig.modem.disconnect().unwrap();
    rig.card().await_request("PowerDown(Modem)");
    rig.switch_profile();
    nothing_comes(&mut rig.modem);
    assert_eq!(rig.modem.connect().unwrap(), ATR);
}

#[test]
fn a_card_that_is_lost_is_removed_and_inserted_when_it_is_back() {
    let mut rig = Rig::connected();
    rig.card().with(|fake| fake.absent = true);
    let id = rig.modem.send_command(&SELECT_MF).unwrap();
    assert_eq!(rig.modem.await_answer(id, SOON).unwrap(), None);
    let error = Event { number: 4, slot: 1, atr: None, cause: Some(1) };
    assert_eq!(rig.modem.await_event(SOON).unwrap(), error);
    rig.modem.await_removal(SOON).unwrap();
    rig.card().with(|fake| fake.absent = false);
    assert_eq!(rig.modem.await_insertion().unwrap(), ATR);
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn an_atr_that_is_late_is_an_error_in_time() {
    let mut rig = Rig::connected();
    rig.card().with(|fake| fake.slow_reset = Duration::from_millis(700));
    rig.modem.ask_power_up(Duration::from_millis(200)).unwrap();
    let error = Event { number: 4, slot: 1, atr: None, cause: Some(2) };
    assert_eq!(rig.modem.await_event(Duration::from_millis(600)).unwrap(), error);
    rig.modem.await_removal(SOON).unwrap();
    assert_eq!(rig.modem.await_insertion().unwrap(), ATR);
}

#[test]
fn a_reset_during_a_slow_command_gets_the_new_atr_and_no_stray_answer() {
    let mut rig = Rig::connected();
    rig.card().with(|fake| fake.slow = Duration::from_millis(200));
    rig.modem.send_command(&SELECT_MF).unwrap();
    assert_eq!(rig.modem.warm_reset().unwrap(), ATR);
    rig.card().with(|fake| fake.slow = Duration::ZERO);
    assert_eq!(rig.modem.tpdu(&hex!("00B0000002")).unwrap(), hex!("AABB9000"));
    nothing_comes(&mut rig.modem);
}

#[test]
fn two_slots_of_a_modem_have_two_cards() {
    let cards = vec![FakeCard::default(), FakeCard::default()];
    let mut rig = Rig::start(QmiModem::qmux().unwrap(), Over::Qmux, cards);
    rig.modem.await_offer(SOON).unwrap();
    rig.modem.slot(2);
    rig.modem.await_offer(SOON).unwrap();
    assert_eq!(rig.modem.connect().unwrap(), ATR);
    rig.cards[1].with(|fake| fake.requests.clear());
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    assert_eq!(rig.cards[1].with(|fake| fake.requests.len()), 1);
    rig.modem.slot(1);
    // The second card hangs; the first one does not.
    rig.cards[1].with(|fake| fake.slow = Duration::from_secs(2));
    rig.modem.slot(2);
    rig.modem.send_command(&SELECT_MF).unwrap();
    for _ in 0..50 {
        rig.modem.ask_reset().unwrap();
    }
    rig.modem.slot(1);
    let start = Instant::now();
    assert_eq!(rig.modem.connect().unwrap(), ATR);
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    // A third slot is nobody's.
    rig.modem.slot(3);
    rig.modem.ask_reset().unwrap();
    rig.modem.slot(1);
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn a_modem_that_restarts_is_offered_the_card_again() {
    let mut rig = Rig::connected();
    for _ in 0..3 {
        rig.card().with(|fake| fake.requests.clear());
        rig.modem.restart().unwrap();
        rig.card().await_request("PowerDown(Modem)");
        rig.modem.await_offer(SOON).unwrap();
        assert_eq!(rig.modem.connect().unwrap(), ATR);
        assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    }
    assert_eq!(rig.bridge.status().connections(), 4);
}

#[test]
fn a_modem_that_refuses_the_card_is_asked_again() {
    let mut rig = Rig::new();
    assert_eq!(number(rig.modem.refuse(SOON, 3)), 1);
    rig.modem.await_offer(SOON).unwrap();
    assert_eq!(rig.modem.connect().unwrap(), ATR);
}

#[test]
fn a_slot_that_is_refused_is_offered_again_and_the_others_work_on() {
    let cards = vec![FakeCard::default(), FakeCard::default()];
    cards[1].with(|fake| fake.absent = true);
    let mut rig = Rig::start(QmiModem::qmux().unwrap(), Over::Qmux, cards);
    rig.modem.await_offer(SOON).unwrap();
    assert_eq!(rig.modem.connect().unwrap(), ATR);
    rig.cards[1].with(|fake| fake.absent = false);
    for _ in 0..3 {
        let offer = Event { number: 1, slot: 2, atr: None, cause: None };
        assert_eq!(rig.modem.refuse(SOON, 48).unwrap(), Heard::Event(offer));
    }
    rig.modem.slot(2);
    rig.modem.await_offer(SOON).unwrap();
    assert_eq!(rig.modem.connect().unwrap(), ATR);
    rig.modem.slot(1);
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    assert_eq!(rig.bridge.status().connections(), 2);
}

#[test]
fn a_modem_that_vanishes_at_any_message_is_waited_for_and_the_lpa_works_on() {
    for step in 0..5 {
        let mut rig = Rig::new();
        if step > 0 {
            rig.modem.await_client(SOON).unwrap();
        }
        if step > 1 {
            rig.modem.await_offer(SOON).unwrap();
        }
        if step > 2 {
            rig.modem.connect().unwrap();
        }
        if step > 3 {
            rig.modem.send_command(&SELECT_MF).unwrap();
        }
        // Its device goes away with it.
        drop(rig.modem);
        let slot = &rig.slots[0];
        let lpa = slot.blocking_power_up(Interface::Lpa).unwrap().generation;
        slot.blocking_transmit(Interface::Lpa, lpa, vec![SELECT_MF.to_vec()]).unwrap();
        assert_eq!(rig.bridge.end(), Ok(()), "step {step}");
    }
}

#[test]
fn a_modem_that_stalls_does_not_keep_the_card_or_the_end_waiting() {
    let mut rig = Rig::new();
    assert_eq!(number(rig.modem.await_client(SOON).and_then(|()| rig.modem.ignore(SOON))), 1);
    rig.lpa_works();
    let start = Instant::now();
    assert_eq!(rig.bridge.end(), Ok(()));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[test]
fn a_modem_that_floods_does_not_keep_the_lpa_waiting() {
    let mut rig = Rig::connected();
    rig.card().with(|fake| fake.slow = Duration::from_millis(5));
    for id in 0..400 {
        rig.modem.send_command_as(1000 + id, &SELECT_MF).unwrap();
        rig.modem.ask_reset().unwrap();
    }
    rig.lpa_works();
    // It has not answered a thing meanwhile, which no modem does: it begins anew.
    rig.modem.restart().unwrap();
    let deadline = Instant::now() + SOON;
    loop {
        match rig.modem.hear(Duration::from_secs(5)) {
            Ok(Heard::Event(Event { number: 1, .. })) => break,
            _ => assert!(Instant::now() < deadline),
        }
    }
    assert_eq!(rig.modem.connect().unwrap(), ATR);
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn what_no_modem_sends_is_ignored() {
    let mut rig = Rig::connected();
    // Truncated, other lengths, unknown messages and TLVs, a response nobody waits for, a request, another slot.
    for message in [
        &hex!("")[..],
        &hex!("04 0000 2200"),
        &hex!("04 0000 2200 0700 01 0400 0100"),
        &hex!("04 0000 2200 0700 01 0400 01000000"),
        &hex!("04 0000 2700 0000"),
        &hex!("04 0000 7777 0700 01 0400 01000000"),
        &hex!("02 FFFF 2100 0700 02 0400 00000000"),
        &hex!("02 0100 2100 0000"),
        &hex!("00 0100 2100 0000"),
        &hex!("04 0000 2700 0700 01 0400 09000000"),
        &hex!("05 0000 2700 0700 01 0400 01000000"),
    ] {
        rig.modem.raw(message).unwrap();
    }
    let mut long = hex!("04 0000 2200 1901 01 0400 01000000 02 0400 07000000 03 0801 0601").to_vec();
    long.extend([0; 262]);
    rig.modem.raw(&long).unwrap();
    nothing_comes(&mut rig.modem);
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    // Bytes that are no frame lose what comes with them, and no more.
    rig.modem.raw_bytes(&[0x77; 3000]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(rig.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn a_command_that_is_sent_twice_is_answered_once() {
    let mut rig = Rig::connected();
    rig.card().with(|fake| fake.slow = Duration::from_millis(100));
    rig.modem.send_command_as(5, &SELECT_MF).unwrap();
    rig.modem.send_command_as(5, &SELECT_MF).unwrap();
    rig.modem.send_command_as(6, &hex!("00C0000002")).unwrap();
    assert_eq!(rig.modem.await_answer(5, SOON).unwrap().unwrap(), hex!("6102"));
    assert_eq!(rig.modem.await_answer(6, SOON).unwrap().unwrap(), hex!("AABB9000"));
    nothing_comes(&mut rig.modem);
}

#[test]
fn commands_without_power_fail_and_are_no_silence() {
    let mut rig = Rig::new();
    rig.modem.await_offer(SOON).unwrap();
    let id = rig.modem.send_command(&SELECT_MF).unwrap();
    let heard = rig.modem.hear(SOON).unwrap();
    assert_eq!(heard, Heard::Answer(Part { status: 1, slot: 1, id, place: None, bytes: Vec::new() }));
    rig.modem.connect().unwrap();
    rig.modem.power_down().unwrap();
    let id = rig.modem.send_command(&SELECT_MF).unwrap();
    assert_eq!(rig.modem.await_answer(id, SOON).unwrap(), None);
    assert_eq!(rig.modem.power_up(ATR_LIMIT).unwrap(), ATR);
}

#[test]
fn one_card_is_for_one_modem() {
    let rig = Rig::connected();
    let config = Config::new(Modem::Qmux { device: rig.modem.device(), proxy: false });
    let mut second = Running::start(&rig.slots[0], |slot, status, end| {
        qmi::run([(ModemSlot::default(), slot)].into(), config, status, end)
    })
    .unwrap();
    assert_eq!(second.join(), Err(BridgeError::Attached));
}

#[test]
fn a_slot_that_is_closed_ends_the_bridge_with_an_error() {
    let mut rig = Rig::connected();
    rig.slots[0].blocking_close();
    rig.modem.ask_reset().unwrap();
    // The modem is not left with a card that is silent.
    rig.modem.await_removal(SOON).unwrap();
    rig.modem.part().unwrap();
    assert_eq!(rig.bridge.join(), Err(BridgeError::SlotClosed));
}

#[test]
fn slots_of_a_modem_are_1_to_3() {
    assert!(ModemSlot::new(0).is_none() && ModemSlot::new(4).is_none());
    assert_eq!(ModemSlot::new(1), Some(ModemSlot::default()));
}
