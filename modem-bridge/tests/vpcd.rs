//! The bridge to vpcd over a card that does what the test says, with the reader's side of vpcd.

use hex_literal::hex;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use teuicc_modem_bridge::testing::Transport;
use teuicc_modem_bridge::testing::vpcd::VpcdHost;
use teuicc_modem_bridge::vpcd::{self, BridgeError, Config, Status};
use teuicc_slot::{Exchange, Interface, LinkError, Slot, SlotConfig, Wire};
use teuicc_wire::{Request, Response, Transmitted};
use tokio::sync::oneshot;

const ATR: [u8; 2] = hex!("3B00");
const SELECT_MF: [u8; 7] = hex!("00A40004023F00");
const SOON: Duration = Duration::from_secs(10);

/// Answers every command with 2 bytes and 9000, or from the script; notes every request.
#[derive(Clone, Default)]
struct FakeCard(Arc<Mutex<Fake>>);

#[derive(Default)]
struct Fake {
    requests: Vec<String>,
    script: VecDeque<Result<Transmitted, LinkError>>,
    absent: bool,
    slow: Duration,
    /// Commands that arrived, the slow one among them.
    begun: usize,
}

impl FakeCard {
    fn with<T>(&self, change: impl FnOnce(&mut Fake) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn await_request(&self, request: &str) {
        let start = Instant::now();
        while !self.with(|fake| fake.requests.iter().any(|seen| seen == request)) {
            assert!(start.elapsed() < SOON, "no {request}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Exchange for FakeCard {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        let request = Request::decode(request).unwrap();
        if matches!(request, Request::Transmit { .. }) {
            std::thread::sleep(self.with(|fake| {
                fake.begun += 1;
                fake.slow
            }));
        }
        self.with(|fake| {
            if fake.absent {
                return Err(LinkError::transport("no card"));
            }
            fake.requests.push(format!("{request:?}"));
            let response = match request {
                Request::PowerUp(_) => Response::Atr(ATR.to_vec()),
                Request::Transmit { .. } => Response::Transmitted(match fake.script.pop_front() {
                    Some(answer) => answer?,
                    None => answer(&[0xAA, 0xBB, 0x90, 0x00], false),
                }),
                _ => Response::Done,
            };
            Ok(response.encode().unwrap())
        })
    }
}

fn answer(last: &[u8], card_changed: bool) -> Transmitted {
    Transmitted { executed: 1, last: last.to_vec(), proactive_pending: false, card_changed }
}

/// The bridge between a fake card and a reader.
struct Rig {
    card: FakeCard,
    slot: Slot,
    reader: VpcdHost,
    status: Arc<Status>,
    end: Option<oneshot::Sender<()>>,
    bridge: Option<std::thread::JoinHandle<Result<(), BridgeError>>>,
}

const ABSENCE: Duration = Duration::from_millis(50);

impl Rig {
    fn start(card: FakeCard) -> Rig {
        let reader = VpcdHost::bind().unwrap();
        let slot = Slot::start(Wire::new(card.clone()), SlotConfig::default()).unwrap();
        let config = Config {
            address: reader.address().unwrap().to_string(),
            absence: ABSENCE,
            first_retry: Duration::from_millis(5),
            last_retry: Duration::from_millis(20),
        };
        let (end, ended) = oneshot::channel();
        let (bridged, status) = (slot.clone(), Arc::new(Status::default()));
        let shown = status.clone();
        let bridge = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let shutdown = async {
                let _ = ended.await;
            };
            runtime.block_on(vpcd::run(bridged, config, &shown, shutdown))
        });
        Rig { card, slot, reader, status, end: Some(end), bridge: Some(bridge) }
    }

    fn inserted() -> Rig {
        let mut rig = Rig::start(FakeCard::default());
        rig.reader.await_card(SOON).unwrap();
        rig
    }

    fn end(&mut self) -> Result<(), BridgeError> {
        drop(self.end.take());
        self.bridge.take().unwrap().join().unwrap()
    }
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
    let status = &rig.status;
    assert_eq!((status.connected(), status.connections(), status.commands(), status.resets()), (true, 1, 3, 2));
    rig.end().unwrap();
    assert!(!rig.status.connected());
}

#[test]
fn no_exchange_waits_for_an_acknowledgement_of_the_network() {
    const EXCHANGES: u32 = 100;
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    let start = Instant::now();
    for _ in 0..EXCHANGES {
        rig.reader.tpdu(&SELECT_MF).unwrap();
    }
    // A delayed acknowledgement holds the second write of a reader back for 40 ms.
    let each = start.elapsed() / EXCHANGES;
    assert!(each < Duration::from_millis(20), "{each:?} each");
}

#[test]
fn a_card_that_does_not_answer_is_not_offered() {
    let card = FakeCard::default();
    card.with(|fake| fake.absent = true);
    let mut rig = Rig::start(card);
    assert!(rig.reader.await_card(Duration::from_millis(150)).is_err());
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
    rig.slot.blocking_transmit(Interface::Lpa, lpa, vec![vec![0x80, 0xE2, 0x91, 0x00]]).unwrap();
    rig.reader.await_removal(SOON).unwrap();
    let removed = Instant::now();
    rig.reader.await_card(SOON).unwrap();
    assert!(removed.elapsed() >= ABSENCE - Duration::from_millis(5));
    assert_eq!(rig.reader.cold_reset().unwrap(), ATR);
    assert_eq!((rig.status.replugs(), rig.status.connections()), (1, 2));
    assert!(rig.reader.await_removal(2 * ABSENCE).is_err(), "it stays in");
}

#[test]
fn a_reader_that_goes_away_is_waited_for_and_the_interface_loses_its_power() {
    let mut rig = Rig::inserted();
    rig.reader.cold_reset().unwrap();
    rig.card.with(|fake| fake.requests.clear());
    let mut reader = std::mem::replace(&mut rig.reader, VpcdHost::bind().unwrap());
    let address = reader.address().unwrap();
    reader.await_removal(Duration::from_millis(1)).unwrap_err();
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
    rig.card.with(|fake| fake.slow = Duration::from_secs(1));
    let begun = rig.card.with(|fake| fake.begun);
    rig.reader.send(&SELECT_MF).unwrap();
    while rig.card.with(|fake| fake.begun) == begun {
        std::thread::sleep(Duration::from_millis(2));
    }
    rig.card.with(|fake| fake.requests.clear());
    drop(rig.end.take());
    // The slot is still busy with the command; the reader must not have to wait for it.
    rig.reader.await_removal(Duration::from_millis(900)).unwrap();
    assert!(!rig.card.with(|fake| fake.requests.contains(&"PowerDown(Modem)".to_string())));
    assert_eq!(rig.bridge.take().unwrap().join().unwrap(), Ok(()));
    assert!(rig.card.with(|fake| fake.requests.contains(&"PowerDown(Modem)".to_string())));
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
    assert_eq!(rig.bridge.take().unwrap().join().unwrap(), Err(BridgeError::SlotClosed));
}
