//! Peers that vanish, stall, flood, or speak nonsense, over real sockets: the bridge goes on, the card's LPA interface
//! is not disturbed, and the next peer has the card.

mod common;

use common::{ATR, FakeCard, SELECT_MF, SOON};
use hex_literal::hex;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use teuicc_modem_bridge::testing::json::JsonClient;
use teuicc_modem_bridge::testing::rspro::RemSim;
use teuicc_modem_bridge::testing::sap::SapClient;
use teuicc_modem_bridge::testing::vpcd::VpcdHost;
use teuicc_modem_bridge::testing::{ModemSide, Running, Transport};
use teuicc_modem_bridge::{Endpoint, Patience, json, rspro, sap, vpcd};
use teuicc_slot::{Interface, Slot, SlotConfig, Wire};

/// What a client of SAP says: connects, sends a command, resets, parts.
const SAP: &[u8] = &hex!(
    "00010000 00000002 012c0000 07000000 05010000 04000007 00a40004023f0000 0d000000 0f000000 09000000 0b000000 02000000"
);
/// What a client of RSPRO says (number 7, slot 0; bank 1, slot 0): PING, connects, status, a command.
const RSPRO: &[u8] = &hex!(
    "0001fe00"
    "0029ee07 3026 800102 810100 a21e a21c 3012 0a0100 160474657374 800474657374 810131 3006020107020100"
    "002bee07 3028 800102 810100 a220 ae1e 3006020107020100 3006020101020100 300c 800100 8101ff 8201ff 8301ff"
    "0034ee07 3031 800102 810100 a229 ac27 3006020107020100 3006020101020100 300c010100010100010100010100"
    "040700a40004023f00"
);
const JSON: &[u8] = b"{\"op\":\"power_up\"}\n{\"op\":\"tpdu\",\"data\":\"00a40004023f00\"}\n{\"op\":\"status\"}\n";
/// What vpcd says: power on, ATR, a command, reset, off.
const VPCD: &[u8] = &hex!("000101 000104 000700a40004023f00 000102 000104 000100");

fn slot() -> (FakeCard, Slot) {
    let card = FakeCard::default();
    let slot = Slot::start(Wire::new(card.clone()), SlotConfig::default()).unwrap();
    (card, slot)
}

fn anywhere() -> Endpoint {
    Endpoint::Tcp("127.0.0.1:0".into())
}

fn patience() -> Patience {
    Patience { first: Duration::from_millis(5), last: Duration::from_millis(20) }
}

/// The bridge's listener, a peer that behaves, and what such peers say.
struct Rig {
    slot: Slot,
    bridge: Running,
    address: SocketAddr,
    says: &'static [u8],
    behaved: Box<dyn FnMut() -> io::Result<Box<dyn ModemSide>>>,
}

fn sap_rig() -> Rig {
    let (_, slot) = slot();
    let config = sap::Config::new(anywhere());
    let bridge = Running::start(&slot, |slot, status, end| sap::run(slot, config, status, end)).unwrap();
    let address = bridge.address(SOON).unwrap();
    let behaved = move || {
        let mut client = SapClient::new(TcpStream::connect(address)?)?;
        client.await_card(SOON)?;
        Ok(Box::new(client) as Box<dyn ModemSide>)
    };
    Rig { slot, bridge, address, says: SAP, behaved: Box::new(behaved) }
}

fn json_rig() -> Rig {
    let (_, slot) = slot();
    let config = json::Config::new(Some(anywhere()));
    let bridge = Running::start(&slot, |slot, status, end| json::run(slot, config, status, end)).unwrap();
    let address = bridge.address(SOON).unwrap();
    let behaved = move || Ok(Box::new(JsonClient::new(TcpStream::connect(address)?)?) as Box<dyn ModemSide>);
    Rig { slot, bridge, address, says: JSON, behaved: Box::new(behaved) }
}

fn rspro_rig() -> Rig {
    let (_, slot) = slot();
    let (mut network, config) = RemSim::new().unwrap();
    let bridge = Running::start(&slot, |slot, status, end| rspro::run(vec![slot], config, status, end)).unwrap();
    let address = bridge.address(SOON).unwrap();
    network.register(address).unwrap();
    let behaved = move || Ok(Box::new(network.client(SOON)?) as Box<dyn ModemSide>);
    Rig { slot, bridge, address, says: RSPRO, behaved: Box::new(behaved) }
}

impl Rig {
    /// A peer that behaves has the card, soon, and the LPA can work.
    fn works(&mut self, after: &str) {
        let started = Instant::now();
        loop {
            let tried = (self.behaved)().and_then(|mut peer| {
                let atr = peer.cold_reset()?;
                Ok((atr, peer.tpdu(&SELECT_MF)?))
            });
            match tried {
                Ok((atr, answer)) => {
                    assert_eq!((atr.as_slice(), answer.as_slice()), (&ATR[..], &hex!("6102")[..]), "{after}");
                    break;
                }
                // Turned away: the one before has not been given up yet.
                Err(error) if started.elapsed() > SOON => panic!("{after}: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        let lpa = self.slot.blocking_power_up(Interface::Lpa).unwrap().generation;
        self.slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]]).unwrap();
        assert!(!self.bridge.has_ended(), "{after}");
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream
    }
}

#[test]
fn peers_that_vanish_at_every_byte() {
    for mut rig in [sap_rig(), json_rig(), rspro_rig()] {
        for cut in 0..=rig.says.len() {
            // One that has been turned away cannot be written to.
            let _ = rig.connect().write_all(&rig.says[..cut]);
        }
        rig.works("vanished");
    }
}

#[test]
fn peers_that_say_everything_twice_or_backwards() {
    for mut rig in [sap_rig(), json_rig(), rspro_rig()] {
        let _ = rig.connect().write_all(&rig.says.repeat(3));
        let backwards: Vec<u8> = rig.says.iter().rev().copied().collect();
        let _ = rig.connect().write_all(&backwards);
        rig.works("twice and backwards");
    }
}

#[test]
fn peers_that_flood_and_read_nothing() {
    for mut rig in [sap_rig(), json_rig(), rspro_rig()] {
        for flood in [rig.says.repeat(2000), vec![0xFF; 1 << 20], vec![0x00; 1 << 20], vec![b'{'; 1 << 20]] {
            let mut stream = rig.connect();
            stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            let _ = stream.write_all(&flood);
            drop(stream);
            rig.works("flooded");
        }
    }
}

#[test]
fn clients_of_a_bank_that_stall_hold_up_nobody() {
    let mut rig = rspro_rig();
    let stalled: Vec<_> = (0..10)
        .map(|part| {
            let mut stream = rig.connect();
            stream.write_all(&rig.says[..part * 5]).unwrap();
            stream
        })
        .collect();
    rig.works("stalled");
    drop(stalled);
}

#[test]
fn a_client_that_comes_again_has_the_card_at_once() {
    let mut rig = rspro_rig();
    let mut first = (rig.behaved)().unwrap();
    first.tpdu(&SELECT_MF).unwrap();
    let mut second = (rig.behaved)().unwrap();
    first.await_removal(SOON).unwrap();
    assert_eq!(second.tpdu(&hex!("00C0000002")).unwrap(), hex!("6985"), "of a new power session");
    assert_eq!(second.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    assert_eq!(rig.bridge.status().connections(), 2);
}

#[test]
fn a_mapping_that_is_removed_takes_the_card_and_one_that_is_made_gives_it() {
    let (_, slot) = slot();
    let (mut network, config) = RemSim::new().unwrap();
    let bridge = Running::start(&slot, |slot, status, end| rspro::run(vec![slot], config, status, end)).unwrap();
    network.register(bridge.address(SOON).unwrap()).unwrap();
    network.await_card(SOON).unwrap();
    network.tpdu(&SELECT_MF).unwrap();
    network.map(false).unwrap();
    network.await_removal(SOON).unwrap();
    assert!(network.await_card(Duration::from_millis(100)).is_err(), "no mapping, no card");
    network.map(true).unwrap();
    network.await_card(SOON).unwrap();
    assert_eq!(network.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn two_clients_have_two_cards_of_one_bank() {
    let ((_, first), (_, second)) = (slot(), slot());
    let (mut network, config) = RemSim::new().unwrap();
    let other = second.clone();
    let bridge =
        Running::start(&first, |first, status, end| rspro::run(vec![first, other], config, status, end)).unwrap();
    network.register(bridge.address(SOON).unwrap()).unwrap();
    let mut one = network.client(SOON).unwrap();
    let mut two = network.client_of_slot(1, SOON).unwrap();
    one.tpdu(&SELECT_MF).unwrap();
    assert_eq!(two.tpdu(&hex!("00C0000002")).unwrap(), hex!("6985"), "of another card");
    assert_eq!(one.tpdu(&hex!("00C0000002")).unwrap(), hex!("AABB9000"));
    assert_eq!(bridge.status().connections(), 2);
    drop(two);
    assert_eq!(one.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
}

#[test]
fn readers_that_vanish_at_every_byte() {
    let (_, slot) = slot();
    let mut reader = VpcdHost::bind().unwrap();
    let config = vpcd::Config {
        reader: vpcd::Reader::At(reader.address().unwrap().to_string()),
        absence: Duration::ZERO,
        patience: patience(),
    };
    let bridge = Running::start(&slot, |slot, status, end| vpcd::run(slot, config, status, end)).unwrap();
    for cut in 0..VPCD.len() {
        reader.await_card(SOON).unwrap();
        reader.send_raw(&VPCD[..cut]).unwrap();
        reader.eject();
    }
    reader.await_card(SOON).unwrap();
    assert_eq!(reader.cold_reset().unwrap(), ATR);
    assert!(!bridge.has_ended());
}

#[test]
fn a_reader_connects_to_the_card_if_it_is_to() {
    let (card, slot) = slot();
    let config = vpcd::Config {
        reader: vpcd::Reader::ConnectsTo("127.0.0.1:0".into()),
        absence: Duration::from_millis(50),
        patience: patience(),
    };
    let bridge = Running::start(&slot, |slot, status, end| vpcd::run(slot, config, status, end)).unwrap();
    let address = bridge.address(SOON).unwrap();
    let mut reader = VpcdHost::connected(TcpStream::connect(address).unwrap()).unwrap();
    assert_eq!(reader.cold_reset().unwrap(), ATR);
    assert_eq!(reader.tpdu(&SELECT_MF).unwrap(), hex!("6102"));
    assert!(TcpStream::connect(address).is_err(), "one reader, one card");
    // A replug: refused while the card is away, and there again.
    let lpa = slot.blocking_power_up(Interface::Lpa).unwrap().generation;
    card.with(|fake| fake.script.push_back(Ok(common::answer(&[0x90, 0x00], true))));
    slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]]).unwrap();
    reader.await_removal(SOON).unwrap();
    let started = Instant::now();
    let stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) if started.elapsed() > SOON => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let mut reader = VpcdHost::connected(stream).unwrap();
    assert_eq!(reader.cold_reset().unwrap(), ATR);
    assert_eq!(bridge.status().replugs(), 1);
}
