//! What clients of SAP and of JSON lines may do to a bridge that serves one of them at a time: go at any moment, stay
//! silent, read nothing, come in crowds.

mod common;

use common::{ATR, FakeCard, SELECT_MF, SOON, answer};
use hex_literal::hex;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use teuicc_modem_bridge::testing::json::JsonClient;
use teuicc_modem_bridge::testing::sap::SapClient;
use teuicc_modem_bridge::testing::{ModemSide, Running, Transport};
use teuicc_modem_bridge::{Endpoint, json, sap};
use teuicc_slot::{Interface, Slot, SlotConfig, Wire};

/// As osmocom-bb sends it.
const CONNECT_REQ: [u8; 12] = hex!("00010000 00000002 012c0000");

const STATUS: &str =
    "{\"ok\":true,\"present\":true,\"powered\":false,\"backend\":\"teuicc\",\"reader\":\"slot\",\"atr\":null}\n";

struct Rig {
    card: FakeCard,
    slot: Slot,
    _bridge: Running,
    address: SocketAddr,
}

impl Rig {
    fn sap(change: impl FnOnce(&mut sap::Config)) -> Rig {
        let mut config = sap::Config::new(anywhere());
        change(&mut config);
        Rig::start(|slot| Running::start(slot, |slot, status, end| sap::run(slot, config, status, end)).unwrap())
    }

    fn json(change: impl FnOnce(&mut json::Config)) -> Rig {
        let mut config = json::Config::new(Some(anywhere()));
        change(&mut config);
        Rig::start(|slot| Running::start(slot, |slot, status, end| json::run(slot, config, status, end)).unwrap())
    }

    fn start(run: impl FnOnce(&Slot) -> Running) -> Rig {
        let (card, slot) = card();
        let bridge = run(&slot);
        let address = bridge.address(SOON).unwrap();
        Rig { card, slot, _bridge: bridge, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    fn sap_client(&self) -> SapClient {
        let mut client = SapClient::new(self.connect()).unwrap();
        client.await_card(SOON).unwrap();
        client
    }

    fn json_client(&self) -> JsonClient {
        let mut client = JsonClient::new(self.connect()).unwrap();
        assert_eq!(client.cold_reset().unwrap(), ATR);
        client
    }

    /// The LPA enables a profile, and the modem is to see it.
    fn switch(&self) {
        let lpa = self.slot.blocking_power_up(Interface::Lpa).unwrap().generation;
        self.card.with(|fake| fake.script.push_back(Ok(answer(&[0x90, 0x00], true))));
        self.slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]]).unwrap();
    }
}

fn card() -> (FakeCard, Slot) {
    let card = FakeCard::default();
    let slot = Slot::start(Wire::new(card.clone()), SlotConfig::default()).unwrap();
    (card, slot)
}

fn anywhere() -> Endpoint {
    Endpoint::Tcp("127.0.0.1:0".into())
}

#[test]
fn a_card_that_is_looked_for_is_found_although_its_power_is_taken_meanwhile() {
    let rig = Rig::json(|config| config.absence = Duration::from_millis(10));
    let mut client = rig.json_client();
    let resets = rig.card.with(|fake| {
        fake.slow_reset = Duration::from_millis(300);
        fake.resets_begun
    });
    rig.switch();
    client.await_removal(SOON).unwrap();
    // The LPA's, and the one that looks for the card.
    rig.card.await_that("power-up", |fake| fake.resets_begun == resets + 2);
    client.power_down().unwrap();
    client.await_card(SOON).unwrap();
    assert_eq!(client.cold_reset().unwrap(), ATR);
}

#[test]
fn a_crowd_at_the_door_does_not_stop_the_client_that_has_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let (sap_path, json_path) = (folder.path().join("sap"), folder.path().join("json"));
    let (_, slot) = card();
    let config = sap::Config::new(Endpoint::Unix(sap_path.clone()));
    let bridge = Running::start(&slot, |slot, status, end| sap::run(slot, config, status, end)).unwrap();
    // CONNECT_RESP and STATUS_IND, then TRANSFER_CARD_READER_STATUS_RESP each time.
    in_a_crowd(&sap_path, (&CONNECT_REQ, 24), (&hex!("0f000000"), 20));
    drop(bridge);
    let config = json::Config::new(Some(Endpoint::Unix(json_path.clone())));
    let bridge = Running::start(&slot, |slot, status, end| json::run(slot, config, status, end)).unwrap();
    let status = b"{\"op\":\"status\"}\n";
    in_a_crowd(&json_path, (status, STATUS.len()), (status, STATUS.len()));
    drop(bridge);
}

/// A client that says `hello` and then asks again and again, each with the length of what is answered, while others
/// come and go as fast as they can.
fn in_a_crowd(path: &Path, hello: (&[u8], usize), request: (&[u8], usize)) {
    let mut client = connect(path);
    client.set_read_timeout(Some(SOON)).unwrap();
    let mut ask = |(request, answer): (&[u8], usize)| {
        client.write_all(request)?;
        client.read_exact(&mut vec![0; answer])
    };
    ask(hello).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    drop(UnixStream::connect(path));
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        let worked = (0..20).try_for_each(|_| ask(request));
        over.store(true, Ordering::Relaxed);
        worked.unwrap();
    });
}

#[test]
fn a_client_that_says_nothing_makes_room_for_another_one() {
    const INTRODUCTION: Duration = Duration::from_secs(1);
    let rig = Rig::json(|config| config.introduction = INTRODUCTION);
    // A helper is started before its modem asks: it may wait as long as nobody else wants the card.
    let mut patient = rig.connect();
    std::thread::sleep(2 * INTRODUCTION);
    patient.write_all(b"{\"op\":\"power_down\"}\n").unwrap();
    let mut told = [0; 12];
    patient.read_exact(&mut told).unwrap();
    assert_eq!(told, *b"{\"ok\":true}\n");
    drop(patient);
    let mut silent = rig.connect();
    silent.write_all(b"nonsense\n{\"op\":").unwrap();
    std::thread::sleep(2 * INTRODUCTION);
    // One that has spoken may be silent.
    let mut client = rig.json_client();
    let mut told = String::new();
    silent.read_to_string(&mut told).unwrap();
    assert_eq!(told, "{\"ok\":false,\"error\":\"bad_request\"}\n");
    std::thread::sleep(2 * INTRODUCTION);
    assert_eq!(client.tpdu(&SELECT_MF).unwrap(), hex!("6102"));

    let rig = Rig::sap(|config| config.introduction = INTRODUCTION);
    let mut client = rig.sap_client();
    std::thread::sleep(2 * INTRODUCTION);
    assert_eq!(client.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    drop(client);
    let mut leaves = rig.connect();
    leaves.write_all(&CONNECT_REQ).unwrap();
    let mut told = [0; 24];
    leaves.read_exact(&mut told).unwrap();
    leaves.write_all(&hex!("02000000")).unwrap();
    std::thread::sleep(2 * INTRODUCTION);
    rig.sap_client();
    let mut told = Vec::new();
    leaves.read_to_end(&mut told).unwrap();
    assert_eq!(told, hex!("03000000"));
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (sap_path, json_path) = (folder.path().join("sap"), folder.path().join("json"));
    let (_, slot) = card();
    let mut config = sap::Config::new(Endpoint::Unix(sap_path.clone()));
    config.farewell = Duration::from_millis(200);
    let mut bridge = Running::start(&slot, |slot, status, end| sap::run(slot, config, status, end)).unwrap();
    let _client = silenced(&sap_path, &[&CONNECT_REQ, &hex!("0f000000").repeat(1000)[..]].concat());
    ends_soon(&mut bridge);
    let config = json::Config::new(Some(Endpoint::Unix(json_path.clone())));
    let mut bridge = Running::start(&slot, |slot, status, end| json::run(slot, config, status, end)).unwrap();
    let _client = silenced(&json_path, &b"{\"op\":\"status\"}\n".repeat(100));
    ends_soon(&mut bridge);
}

/// A client that has said this until nobody listened any more, and has read nothing.
fn silenced(path: &Path, words: &[u8]) -> UnixStream {
    let mut client = connect(path);
    client.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    while client.write_all(words).is_ok() {}
    client
}

fn ends_soon(bridge: &mut Running) {
    let asked = Instant::now();
    assert_eq!(bridge.end(), Ok(()));
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
}

fn connect(path: &Path) -> UnixStream {
    loop {
        match UnixStream::connect(path) {
            Ok(client) => return client,
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

#[test]
fn what_a_sap_client_did_not_ask_for_comes_by_itself_and_answers_do_not_wait() {
    let rig = Rig::sap(|_| ());
    let mut stream = rig.connect();
    let asked = Instant::now();
    stream.write_all(&CONNECT_REQ).unwrap();
    let mut both = [0; 24];
    stream.read_exact(&mut both).unwrap();
    assert_eq!(both, hex!("01010000 01000001 00000000 11010000 08000001 01000000"));
    assert!(asked.elapsed() >= Duration::from_millis(50), "{:?}", asked.elapsed());
    // The first answer may still.
    stream.write_all(&hex!("0f000000")).unwrap();
    stream.read_exact(&mut both[..20]).unwrap();
    let asked = Instant::now();
    for _ in 0..100 {
        stream.write_all(&hex!("0f000000")).unwrap();
        stream.read_exact(&mut both[..20]).unwrap();
        assert_eq!(both[0], 0x10);
    }
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}

#[test]
fn a_client_that_is_turned_away_is_told_so() {
    let rig = Rig::json(|_| ());
    let mut first = rig.json_client();
    let mut told = String::new();
    rig.connect().read_to_string(&mut told).unwrap();
    assert!(told.starts_with("{\"ok\":false,\"error\":\"no_card\",\"detail\":\""), "{told}");
    assert!(told.ends_with("}\n") && told.lines().count() == 1, "{told}");
    assert_eq!(first.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    let rig = Rig::sap(|_| ());
    let mut first = rig.sap_client();
    let mut told = Vec::new();
    rig.connect().read_to_end(&mut told).unwrap();
    assert_eq!(told, hex!("01010000 01000001 01000000"), "CONNECT_RESP: unable");
    assert_eq!(first.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}
