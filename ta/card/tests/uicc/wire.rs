//! The card behind `teuicc-wire`: batches, flags, errors.

use crate::{Bench, hex};
use teuicc_card::testing::{MemoryStore, platform};
use teuicc_card::{Card, ObjectId, Store};
use teuicc_wire::{Commands, Error, Interface, Request, Response, State, Transmitted, encode_commands};

fn ask(bench: &mut Bench, request: &Request<'_>) -> Response {
    Response::decode(&bench.card.process(&request.encode().unwrap())).unwrap()
}

fn batch(bench: &mut Bench, commands: &[&str]) -> Transmitted {
    let commands: Vec<Vec<u8>> = commands.iter().map(|command| hex(command)).collect();
    let encoded = encode_commands(&commands).unwrap();
    let commands = Commands::new(&encoded).unwrap();
    match ask(bench, &Request::Transmit { interface: Interface::Modem, commands }) {
        Response::Transmitted(done) => done,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_stops_at_data_or_at_another_status_word() {
    let mut bench = Bench::new();
    for (commands, executed, last) in [
        (&["00A4000C", "00A4000C022FE2", "00B0000001"][..], 3, "989000"),
        (&["00A4000C", "00B0820001", "00A4000C"], 2, "989000"),
        (&["00A4000C", "00A4000C020000", "00A4000C"], 2, "6A82"),
        (&["00A4000C", "00A4000C"], 2, "9000"),
        (&[], 0, ""),
    ] {
        let done = batch(&mut bench, commands);
        assert_eq!((done.executed, crate::string(&done.last).as_str()), (executed, last), "{commands:?}");
        assert!(!done.proactive_pending && !done.card_changed);
    }
}

#[test]
fn hello_and_power() {
    let mut bench = Bench::empty();
    let Response::Hello(hello) = ask(&mut bench, &Request::Hello) else { panic!() };
    assert_eq!(hello.state, State::Factory);
    let Response::Atr(atr) = ask(&mut bench, &Request::PowerUp(Interface::Modem)) else { panic!() };
    assert_eq!(atr[0], 0x3B);
    assert_eq!(ask(&mut bench, &Request::PowerDown(Interface::Modem)), Response::Done);
    let encoded = encode_commands(&[hex("00A4000C")]).unwrap();
    let transmit = Request::Transmit { interface: Interface::Modem, commands: Commands::new(&encoded).unwrap() };
    assert_eq!(ask(&mut bench, &transmit), Response::Error(Error::NotPowered));
}

#[test]
fn what_is_no_request_is_refused() {
    let mut bench = Bench::new();
    for (request, error) in [
        (&[][..], Error::Malformed),
        (&[0], Error::Version),
        (&[1], Error::Malformed),
        (&[1, 0x55], Error::Malformed),
        (&[2, 1], Error::Version),
    ] {
        assert_eq!(Response::decode(&bench.card.process(request)).unwrap(), Response::Error(error), "{request:?}");
    }
    let huge = vec![1; teuicc_wire::MAX_MESSAGE + 1];
    assert_eq!(Response::decode(&bench.card.process(&huge)).unwrap(), Response::Error(Error::Malformed));
}

#[test]
fn a_card_that_does_not_boot_says_why_to_everything() {
    let mut store = MemoryStore::new();
    store.replace(ObjectId::Identity, &[0xFF]).unwrap();
    let objects = store.snapshot();
    let card = Card::boot(platform(store.clone(), 1));
    let mut bench = Bench { card, store };
    for request in [Request::Hello, Request::PowerUp(Interface::Lpa), Request::PowerDown(Interface::Modem)] {
        assert_eq!(ask(&mut bench, &request), Response::Error(Error::StoreCorrupt));
    }
    assert_eq!(bench.store.snapshot(), objects, "nothing was overwritten");
}
