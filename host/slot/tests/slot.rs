//! The slot over a card that does what the test says.

mod common;

use common::{ATR, EID, FakeCard, transmitted};
use std::time::Duration;
use teuicc_slot::{Event, Exchange, Interface, LinkError, Patience, Slot, SlotConfig, Wire};
use teuicc_wire::{FactoryRequest, MAX_MESSAGE, State, Transmitted};
use tokio::sync::broadcast::error::TryRecvError;

const STATUS: [u8; 5] = [0x80, 0xF2, 0x00, 0x00, 0x00];

fn slot(card: &FakeCard, patience: Patience) -> Slot {
    Slot::start(Wire::new(card.clone()), SlotConfig { patience }).unwrap()
}

fn never() -> Patience {
    Patience { refresh: Duration::from_secs(3600), own_reset: Duration::from_secs(3600) }
}

fn at_once() -> Patience {
    Patience { refresh: Duration::ZERO, own_reset: Duration::ZERO }
}

#[test]
fn every_operation_reaches_the_card_and_its_answer_comes_back() {
    let card = FakeCard::default();
    let slot = slot(&card, never());
    assert_eq!(slot.blocking_hello().unwrap().state, State::Personalized(EID));
    let powered = slot.blocking_power_up(Interface::Lpa).unwrap();
    assert_eq!(powered.atr, ATR);
    let done = slot.blocking_transmit(Interface::Lpa, powered.generation, vec![STATUS.to_vec()]).unwrap();
    assert_eq!((done.executed, done.last), (1, vec![0x90, 0x00]));
    slot.blocking_power_down(Interface::Lpa).unwrap();
    let request = FactoryRequest { eid: EID, curve: 0, organization: "EUM" };
    assert_eq!(slot.blocking_factory_request(&request).unwrap(), [0x30, 0x00]);
    let expected = ["Hello", "PowerUp(Lpa)", "Transmit(Lpa)", "PowerDown(Lpa)", "FactoryRequest"];
    assert_eq!(card.requests(), expected);
}

#[test]
fn commands_of_an_older_generation_never_reach_the_card() {
    let card = FakeCard::default();
    let slot = slot(&card, never());
    let old = slot.blocking_power_up(Interface::Modem).unwrap().generation;
    let lpa = slot.blocking_power_up(Interface::Lpa).unwrap().generation;
    let new = slot.blocking_power_up(Interface::Modem).unwrap().generation;
    card.requests();
    let commands = || vec![STATUS.to_vec()];
    assert_eq!(slot.blocking_transmit(Interface::Modem, old, commands()), Err(LinkError::Stale));
    assert_eq!(card.requests(), [""; 0]);
    slot.blocking_transmit(Interface::Modem, new, commands()).unwrap();
    // One interface's reset is nothing to the other.
    slot.blocking_transmit(Interface::Lpa, lpa, commands()).unwrap();
    slot.blocking_power_down(Interface::Modem).unwrap();
    assert_eq!(slot.blocking_transmit(Interface::Modem, new, commands()), Err(LinkError::Stale));
}

#[test]
fn an_answer_that_a_reset_overtook_is_dropped_but_what_it_did_is_told() {
    let card = FakeCard::default();
    let slot = slot(&card, never());
    let mut events = slot.subscribe();
    let generation = slot.blocking_power_up(Interface::Modem).unwrap().generation;
    card.script(transmitted(true, false));
    let (resetting, modem) = (slot.clone(), std::sync::mpsc::channel());
    card.0.lock().unwrap().during = Some(Box::new(move || {
        // The call alone queues it.
        modem.0.send(Box::pin(resetting.power_up(Interface::Modem))).unwrap();
    }));
    assert_eq!(slot.blocking_transmit(Interface::Modem, generation, vec![STATUS.to_vec()]), Err(LinkError::Stale));
    slot.blocking_hello().unwrap();
    assert_eq!(card.requests(), ["PowerUp(Modem)", "Transmit(Modem)", "PowerUp(Modem)", "Hello"]);
    assert_eq!(events.try_recv(), Ok(Event::Inserted));
    assert_eq!(events.try_recv(), Ok(Event::CardChanged));
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_change_is_followed_by_a_replug_and_a_modem_that_resets_by_none() {
    let card = FakeCard::default();
    let slot = slot(&card, never());
    let lpa = slot.blocking_power_up(Interface::Lpa).unwrap().generation;
    let mut events = slot.subscribe();
    card.script(transmitted(true, false));
    slot.blocking_transmit(Interface::Lpa, lpa, vec![STATUS.to_vec()]).unwrap();
    assert_eq!(events.blocking_recv(), Ok(Event::CardChanged));
    assert_eq!(events.blocking_recv(), Ok(Event::Replug));
    card.script(transmitted(true, true));
    slot.blocking_transmit(Interface::Lpa, lpa, vec![STATUS.to_vec()]).unwrap();
    slot.blocking_power_up(Interface::Modem).unwrap();
    slot.blocking_hello().unwrap();
    assert_eq!(events.try_recv(), Ok(Event::CardChanged));
    assert_eq!(events.try_recv(), Ok(Event::ProactivePending));
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn patience_that_runs_out_while_the_slot_is_idle_replugs() {
    let card = FakeCard::default();
    let slot = slot(&card, at_once());
    let modem = slot.blocking_power_up(Interface::Modem).unwrap().generation;
    let mut events = slot.subscribe();
    card.script(transmitted(true, true));
    slot.blocking_transmit(Interface::Modem, modem, vec![STATUS.to_vec()]).unwrap();
    let told: Vec<Event> = (0..3).map(|_| events.blocking_recv().unwrap()).collect();
    assert_eq!(told, [Event::CardChanged, Event::ProactivePending, Event::Replug]);
}

#[test]
fn a_card_that_is_lost_and_found_is_told_once_each() {
    let card = FakeCard::default();
    let slot = slot(&card, never());
    let mut events = slot.subscribe();
    slot.blocking_hello().unwrap();
    card.0.lock().unwrap().lost = true;
    for _ in 0..2 {
        assert!(matches!(slot.blocking_hello(), Err(LinkError::Transport(_))));
    }
    card.0.lock().unwrap().lost = false;
    slot.blocking_hello().unwrap();
    let told: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert_eq!(told, [Event::Inserted, Event::Removed, Event::Inserted]);
}

#[test]
fn one_modem_at_a_time_and_whoever_lets_go_leaves_no_power() {
    let card = FakeCard::default();
    let slot = slot(&card, never());
    let first = slot.attach_modem().unwrap();
    assert_eq!(slot.attach_modem().err(), Some(LinkError::Attached));
    // Queued by the calls; `hello` is answered after them.
    drop(first.power_up());
    drop(first);
    let second = slot.attach_modem().unwrap();
    drop(second.power_up());
    drop(second.power_down());
    drop(second);
    slot.attach_modem().unwrap();
    slot.blocking_hello().unwrap();
    let expected = ["PowerDown(Modem)", "PowerDown(Modem)", "Hello"];
    let mut requests = card.requests();
    // A power-up that a power-down overtook in the queue may be left out.
    requests.retain(|request| request != "PowerUp(Modem)");
    assert_eq!(requests, expected);
}

#[test]
fn closing_powers_down_and_frees_the_card() {
    let card = FakeCard::default();
    let slot = slot(&card, never());
    slot.blocking_power_up(Interface::Modem).unwrap();
    slot.blocking_close();
    assert_eq!(card.requests(), ["PowerUp(Modem)", "PowerDown(Modem)"]);
    assert_eq!(std::sync::Arc::strong_count(&card.0), 1);
    assert_eq!(slot.blocking_hello(), Err(LinkError::Closed));
    slot.blocking_close();
}

#[test]
fn a_thread_that_panics_is_a_closed_slot() {
    struct Broken;
    impl Exchange for Broken {
        fn exchange(&mut self, _: &[u8]) -> Result<Vec<u8>, LinkError> {
            panic!("as a TA does");
        }
    }
    let slot = Slot::start(Wire::new(Broken), SlotConfig::default()).unwrap();
    assert_eq!(slot.blocking_hello(), Err(LinkError::Closed));
    assert_eq!(slot.blocking_hello(), Err(LinkError::Closed));
}

#[test]
fn a_batch_longer_than_a_message_crosses_in_several_and_stops_where_the_card_stops() {
    let card = FakeCard::default();
    let mut wire = Wire::new(card.clone());
    let commands: Vec<Vec<u8>> = (0..900).map(|n: u32| [vec![0; 250], n.to_be_bytes().to_vec()].concat()).collect();
    let done = teuicc_slot::CardLink::transmit(&mut wire, Interface::Lpa, &commands).unwrap();
    assert_eq!(done.executed, 900);
    assert!(card.0.lock().unwrap().commands == commands);
    assert_eq!(wire.crossings(), 3);
    // The card stops in the second message.
    let first = (MAX_MESSAGE - 7) / 256;
    card.script(Transmitted { executed: first as u16, ..transmitted(false, false) });
    card.script(Transmitted { executed: 5, last: vec![1, 2, 0x90, 0x00], ..transmitted(false, false) });
    let done = teuicc_slot::CardLink::transmit(&mut wire, Interface::Lpa, &commands).unwrap();
    assert_eq!((usize::from(done.executed), done.last), (first + 5, vec![1, 2, 0x90, 0x00]));
    let giant = vec![vec![0; 65535], vec![0; 65535]];
    assert_eq!(teuicc_slot::CardLink::transmit(&mut wire, Interface::Lpa, &giant).unwrap().executed, 2);
    let too_long = vec![vec![0; MAX_MESSAGE]];
    assert!(matches!(
        teuicc_slot::CardLink::transmit(&mut wire, Interface::Lpa, &too_long),
        Err(LinkError::Request(_))
    ));
}

#[test]
fn what_is_no_answer_is_a_broken_protocol() {
    struct Says(Vec<u8>);
    impl Exchange for Says {
        fn exchange(&mut self, _: &[u8]) -> Result<Vec<u8>, LinkError> {
            Ok(self.0.clone())
        }
    }
    for answer in [vec![], vec![1, 0, 3], vec![0xFF; 100], vec![0; MAX_MESSAGE + 1]] {
        let error = teuicc_slot::CardLink::hello(&mut Wire::new(Says(answer))).unwrap_err();
        assert!(matches!(error, LinkError::Protocol(_)), "{error}");
    }
}
