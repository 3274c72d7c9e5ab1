//! What every virtual SIM interface does alike: one card, many users. The card is the real one where it matters, or
//! does what the test says.

mod common;

use common::{ATR, FakeCard, SELECT_MF, SOON, answer};
use hex_literal::hex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use teuicc_modem_bridge::testing::{Attached, Kind, SlotTransport, Transport};
use teuicc_modem_bridge::{BridgeError, Endpoint, Status, json, rspro, sap, vpcd};
use teuicc_slot::{Interface, LinkError, Patience, Slot, SlotConfig, Wire};
use teuicc_wire::Transmitted;

/// Long enough for any interface to take the card out and back in.
const ABSENCE: Duration = Duration::from_millis(2500);
/// How long any interface takes it out at least: pcscd, for one, looks every 0.44 s.
const NOTICEABLE: Duration = Duration::from_millis(500);
/// What a modem is given for its own reset in these tests.
const REFRESH: Duration = Duration::from_secs(3);

fn slot(card: &FakeCard) -> Slot {
    let patience = Patience { refresh: REFRESH, own_reset: Duration::ZERO };
    Slot::start(Wire::new(card.clone()), SlotConfig { patience }).unwrap()
}

/// Over every interface, at the same time.
fn with_each(test: impl Fn(Kind) + Sync) {
    std::thread::scope(|scope| {
        let tests: Vec<_> = Kind::ALL.iter().map(|kind| (*kind, scope.spawn(|| test(*kind)))).collect();
        let failed: Vec<_> = tests.into_iter().filter_map(|(kind, test)| test.join().err().map(|_| kind)).collect();
        assert!(failed.is_empty(), "over {failed:?}: see above");
    });
}

/// A card, and a modem that has powered it up, over every interface.
fn over_each(test: impl Fn(Kind, &FakeCard, &Slot, &mut Attached) + Sync) {
    with_each(|kind| {
        let card = FakeCard::default();
        let slot = slot(&card);
        let mut attached = kind.attach(&slot).unwrap();
        assert_eq!(attached.modem.cold_reset().unwrap(), ATR, "{kind}");
        // A reset over RSPRO has no answer: what comes after a command comes after the reset.
        assert_eq!(attached.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}");
        test(kind, &card, &slot, &mut attached);
    });
}

fn lpa(slot: &Slot) -> u64 {
    slot.blocking_power_up(Interface::Lpa).unwrap().generation
}

fn switch(card: &FakeCard, slot: &Slot, lpa: u64, proactive_pending: bool) {
    let switched = Transmitted { proactive_pending, ..answer(&[0x90, 0x00], true) };
    card.with(|fake| fake.script.push_back(Ok(switched)));
    slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]]).unwrap();
}

/// The card has begun with a command over the LPA's interface, and is kept at it. Its answer.
fn busy_with_the_lpa(card: &FakeCard, slot: &Slot) -> impl Future<Output = Result<Transmitted, LinkError>> + use<> {
    let generation = lpa(slot);
    let begun = card.with(|fake| {
        fake.requests.clear();
        fake.held = Some("Transmit(Lpa");
        fake.begun
    });
    let answer = slot.transmit(Interface::Lpa, generation, vec![vec![0x80, 0xE2, 0x91, 0x00]]);
    card.await_that("command", |fake| fake.begun > begun);
    answer
}

#[test]
fn tpdus_go_as_t0_has_them() {
    over_each(|kind, _, _, attached| {
        let modem = &mut attached.modem;
        assert_eq!(modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}");
        assert_eq!(modem.tpdu(&hex!("00C0000002")).unwrap(), hex!("AABB9000"), "{kind}");
        assert_eq!(modem.tpdu(&hex!("00B00000FF")).unwrap(), hex!("6C02"), "{kind}");
        assert_eq!(modem.tpdu(&hex!("00B0000002")).unwrap(), hex!("AABB9000"), "{kind}");
        assert_eq!(modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}");
        assert_eq!(modem.warm_reset().unwrap(), ATR, "{kind}");
        assert_eq!(modem.tpdu(&hex!("00C0000002")).unwrap(), hex!("6985"), "{kind}: a reset forgets pending data");
    });
}

#[test]
fn a_long_answer_and_a_long_command_go_through() {
    over_each(|kind, card, _, attached| {
        let modem = &mut attached.modem;
        let whole = [&[0x5A; 256][..], &[0x90, 0x00]].concat();
        card.with(|fake| fake.script.push_back(Ok(answer(&whole, false))));
        assert_eq!(modem.tpdu(&hex!("00B0000000")).unwrap(), whole, "{kind}");
        let update = [&hex!("00D60000FF")[..], &[0xA5; 255]].concat();
        card.with(|fake| fake.script.push_back(Ok(answer(&[0x90, 0x00], false))));
        assert_eq!(modem.tpdu(&update).unwrap(), [0x90, 0x00], "{kind}");
    });
}

#[test]
fn no_two_modems_have_one_card() {
    over_each(|kind, _, slot, attached| {
        assert_eq!(slot.attach_modem().err(), Some(LinkError::Attached));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (status, never) = (Arc::<Status>::default, std::future::pending::<()>);
            let anywhere = || Endpoint::Tcp("127.0.0.1:0".into());
            let refused = Err(BridgeError::Attached);
            assert_eq!(vpcd::run(slot.clone(), vpcd::Config::default(), status(), never()).await, refused);
            assert_eq!(rspro::run(vec![slot.clone()], rspro::Config::default(), status(), never()).await, refused);
            assert_eq!(sap::run(slot.clone(), sap::Config::new(anywhere()), status(), never()).await, refused);
            assert_eq!(json::run(slot.clone(), json::Config::new(Some(anywhere())), status(), never()).await, refused);
        });
        assert_eq!(attached.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}: the first one does not notice");
    });
}

#[test]
fn a_switch_without_a_refresh_is_one_replug() {
    over_each(|kind, card, slot, attached| {
        let lpa = lpa(slot);
        switch(card, slot, lpa, false);
        attached.modem.await_removal(SOON).unwrap();
        let removed = Instant::now();
        attached.modem.await_card(SOON).unwrap();
        assert!(removed.elapsed() > NOTICEABLE, "{kind}: {:?}", removed.elapsed());
        assert_eq!(attached.modem.cold_reset().unwrap(), ATR, "{kind}");
        assert_eq!(attached.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}");
        assert_eq!(attached.bridge.status().replugs(), 1, "{kind}");
        attached.modem.stays_in(ABSENCE).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(attached.bridge.status().replugs(), 1, "{kind}");
    });
}

#[test]
fn a_modem_that_obeys_a_refresh_is_not_replugged() {
    over_each(|kind, card, slot, attached| {
        let lpa = lpa(slot);
        switch(card, slot, lpa, true);
        assert_eq!(attached.modem.warm_reset().unwrap(), ATR, "{kind}");
        // The interface is settled by the reset, so that the time limit passes without effect.
        assert_eq!(attached.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}");
        attached.modem.stays_in(REFRESH + ABSENCE).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(attached.bridge.status().replugs(), 0, "{kind}");
    });
}

#[test]
fn a_modem_that_lets_a_refresh_lie_is_replugged_once_after_its_time() {
    over_each(|kind, card, slot, attached| {
        let lpa = lpa(slot);
        let started = Instant::now();
        switch(card, slot, lpa, true);
        attached.modem.await_removal(SOON).unwrap();
        assert!(started.elapsed() >= REFRESH, "{kind}");
        attached.modem.await_card(SOON).unwrap();
        assert_eq!(attached.modem.cold_reset().unwrap(), ATR, "{kind}");
        attached.modem.stays_in(ABSENCE).unwrap_or_else(|error| panic!("{kind}: once: {error}"));
        assert_eq!(attached.bridge.status().replugs(), 1, "{kind}");
    });
}

#[test]
fn a_modem_that_resets_and_goes_does_not_disturb_the_lpa() {
    over_each(|kind, card, slot, attached| {
        let lpa = lpa(slot);
        let command = || vec![hex!("80E2910003BF3E00").to_vec()];
        slot.blocking_transmit(Interface::Lpa, lpa, command()).unwrap();
        attached.modem.cold_reset().unwrap();
        attached.modem.warm_reset().unwrap();
        let done = slot.blocking_transmit(Interface::Lpa, lpa, command()).unwrap();
        assert_eq!(done.last, hex!("AABB9000"), "{kind}");
        attached.bridge.end().unwrap();
        slot.blocking_transmit(Interface::Lpa, lpa, command()).unwrap();
        let of_the_lpa: Vec<_> =
            card.with(|fake| fake.requests.iter().filter(|request| request.contains("Lpa")).cloned().collect());
        let expected = ["PowerUp(Lpa)", "Transmit(Lpa)", "Transmit(Lpa)", "Transmit(Lpa)"];
        assert_eq!(of_the_lpa, expected, "{kind}");
    });
}

#[test]
fn the_card_leaves_the_modem_before_it_loses_its_power() {
    over_each(|kind, card, slot, attached| {
        // As long as the card is busy with it, nobody can take its power.
        let running = busy_with_the_lpa(card, slot);
        attached.bridge.ask_to_end();
        attached.modem.await_removal(SOON).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(card.with(|fake| fake.requests.len()), 0, "{kind}");
        card.with(|fake| fake.held = None);
        attached.modem.part().unwrap();
        attached.bridge.join().unwrap();
        drop(running);
        let requests = card.with(|fake| fake.requests.clone());
        assert_eq!(requests, ["Transmit(Lpa)", "PowerDown(Modem)"], "{kind}");
    });
}

#[test]
fn no_modem_is_offered_a_card_that_does_not_answer() {
    with_each(|kind| {
        let card = FakeCard::default();
        card.with(|fake| fake.absent = true);
        let slot = slot(&card);
        // Lines of JSON offer nothing by themselves: the client asks.
        let mut attached = if kind == Kind::Json {
            let mut attached = kind.attach(&slot).unwrap();
            assert!(attached.modem.warm_reset().is_err());
            attached.modem.await_removal(SOON).unwrap();
            card.await_that("second attempt", |fake| fake.resets_begun >= 2);
            card.with(|fake| fake.absent = false);
            attached.modem.await_card(SOON).unwrap();
            attached
        } else {
            std::thread::scope(|scope| {
                let attaches = scope.spawn(|| kind.attach(&slot));
                card.await_that("second attempt", |fake| fake.resets_begun >= 2);
                assert!(!attaches.is_finished(), "{kind}");
                card.with(|fake| fake.absent = false);
                attaches.join().unwrap().unwrap()
            })
        };
        assert_eq!(attached.modem.cold_reset().unwrap(), ATR, "{kind}");
    });
}

#[test]
fn a_card_that_is_lost_leaves_the_modem_and_comes_back() {
    over_each(|kind, card, _, attached| {
        card.with(|fake| fake.absent = true);
        let _ = attached.modem.tpdu(&SELECT_MF);
        attached.modem.await_loss(SOON).unwrap_or_else(|error| panic!("{kind}: {error}"));
        card.with(|fake| fake.absent = false);
        attached.modem.await_return(SOON).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(attached.modem.cold_reset().unwrap(), ATR, "{kind}");
        assert_eq!(attached.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}");
    });
}

#[test]
fn a_closed_slot_ends_every_bridge_with_an_error() {
    over_each(|kind, _, slot, attached| {
        slot.blocking_close();
        let _ = attached.modem.tpdu(&SELECT_MF);
        assert_eq!(attached.bridge.join(), Err(BridgeError::SlotClosed), "{kind}");
    });
}

#[test]
fn a_modem_may_hang_up_while_the_card_leaves() {
    for kind in Kind::ALL {
        let slot = slot(&FakeCard::default());
        let Attached { mut modem, mut bridge } = kind.attach(&slot).unwrap();
        assert_eq!(modem.cold_reset().unwrap(), ATR, "{kind}");
        bridge.ask_to_end();
        let _ = modem.await_removal(SOON);
        drop(modem);
        assert_eq!(bridge.join(), Ok(()), "{kind}");
    }
}

#[test]
fn a_slow_command_over_the_lpas_interface_only_delays_the_modem() {
    over_each(|kind, card, slot, attached| {
        let running = busy_with_the_lpa(card, slot);
        std::thread::scope(|scope| {
            let modem = scope.spawn(|| attached.modem.tpdu(&SELECT_MF));
            std::thread::sleep(Duration::from_millis(100));
            assert!(!modem.is_finished(), "{kind}");
            card.with(|fake| fake.held = None);
            assert_eq!(modem.join().unwrap().unwrap(), hex!("6102"), "{kind}");
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(running).unwrap().last, hex!("AABB9000"), "{kind}");
        let requests = card.with(|fake| fake.requests.clone());
        assert_eq!(requests, ["Transmit(Lpa)", "Transmit(Modem)"], "{kind}: in order");
    });
}

#[test]
fn two_slots_have_a_modem_each() {
    with_each(|kind| {
        let (first, second) = (slot(&FakeCard::default()), slot(&FakeCard::default()));
        let mut one = kind.attach(&first).unwrap();
        let mut other = kind.attach(&second).unwrap();
        one.modem.cold_reset().unwrap();
        other.modem.cold_reset().unwrap();
        one.modem.tpdu(&SELECT_MF).unwrap();
        assert_eq!(other.modem.tpdu(&hex!("00C0000002")).unwrap(), hex!("6985"), "{kind}: of another card");
        drop(one);
        assert_eq!(other.modem.tpdu(&SELECT_MF).unwrap(), hex!("6102"), "{kind}");
        drop(other);
        // Free again.
        let mut straight = SlotTransport::new(first.clone());
        assert_eq!(straight.cold_reset().unwrap(), ATR);
        kind.attach(&first).unwrap();
    });
}
