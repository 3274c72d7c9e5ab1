//! The daemon's socket, both ends.

mod common;

use common::{ATR, EID, FakeCard, transmitted};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use teuicc_slot::socket::{Server, ServerError, SocketLink};
use teuicc_slot::{CardLink, Interface, LinkError, Slot, SlotConfig, Wire};
use teuicc_wire::{FactoryRequest, State};
use tokio::sync::oneshot;

/// A daemon in this process: its card, its socket, and the way to end it.
struct Daemon {
    card: FakeCard,
    slot: Slot,
    folder: TempDir,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    fn start() -> Daemon {
        let folder = TempDir::new().unwrap();
        let card = FakeCard::default();
        let slot = Slot::start(Wire::new(card.clone()), SlotConfig::default()).unwrap();
        let (end, ended) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (path, served) = (folder.path().join("socket"), slot.clone());
        let thread = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let server = Server::bind(&path).unwrap();
                ready.send(()).unwrap();
                let shutdown = async {
                    let _ = ended.await;
                };
                server.run(served, shutdown).await;
            });
        });
        is_ready.recv().unwrap();
        Daemon { card, slot, folder, end: Some(end), thread: Some(thread) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn client(&self) -> Wire<SocketLink> {
        Wire::new(SocketLink::connect(&self.path()).unwrap())
    }

    fn end(&mut self) {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
    }

    /// Waits until the card was asked this.
    fn await_request(&self, request: &str) {
        let start = Instant::now();
        while !self.card.0.lock().unwrap().requests.iter().any(|seen| seen == request) {
            assert!(start.elapsed() < Duration::from_secs(10), "no {request}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_client_has_the_lpa_interface_and_the_factory_operations() {
    let mut daemon = Daemon::start();
    let mut client = daemon.client();
    assert_eq!(client.hello().unwrap().state, State::Personalized(EID));
    assert_eq!(client.power_up(Interface::Lpa).unwrap(), ATR);
    daemon.card.script(transmitted(true, true));
    let done = client.transmit(Interface::Lpa, &[vec![0x80, 0xF2, 0, 0, 0]]).unwrap();
    assert!(done.card_changed && done.proactive_pending && done.last == [0x90, 0x00]);
    client.power_down(Interface::Lpa).unwrap();
    let request = FactoryRequest { eid: EID, curve: 0, organization: "EUM" };
    assert_eq!(client.factory_request(&request).unwrap(), [0x30, 0x00]);
    daemon.end();
    assert!(!daemon.path().exists());
    assert!(matches!(client.hello(), Err(LinkError::Transport(_))));
}

#[test]
fn the_modems_interface_is_out_of_reach() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let error = client.power_up(Interface::Modem).unwrap_err();
    assert_eq!(error, LinkError::Request("the daemon does not allow it over its socket"));
    assert_eq!(client.power_down(Interface::Modem).unwrap_err(), error);
    assert_eq!(client.transmit(Interface::Modem, &[vec![0, 0xA4, 0, 0]]).unwrap_err(), error);
    assert_eq!(daemon.card.requests(), [""; 0]);
}

#[test]
fn commands_before_power_up_are_refused_as_the_card_would() {
    let daemon = Daemon::start();
    let error = daemon.client().transmit(Interface::Lpa, &[vec![0, 0xA4, 0, 0]]).unwrap_err();
    assert_eq!(error, LinkError::Card(teuicc_wire::Error::NotPowered));
}

#[test]
fn one_client_at_a_time_has_the_interface_and_a_vanished_one_leaves_it_without_power() {
    let daemon = Daemon::start();
    let (mut first, mut second) = (daemon.client(), daemon.client());
    first.power_up(Interface::Lpa).unwrap();
    first.power_up(Interface::Lpa).unwrap();
    assert_eq!(second.power_up(Interface::Lpa), Err(LinkError::Busy));
    second.hello().unwrap();
    drop(first);
    daemon.await_request("PowerDown(Lpa)");
    second.power_up(Interface::Lpa).unwrap();
    let expected = ["PowerUp(Lpa)", "PowerUp(Lpa)", "Hello", "PowerDown(Lpa)", "PowerUp(Lpa)"];
    assert_eq!(daemon.card.requests(), expected);
    second.power_down(Interface::Lpa).unwrap();
    daemon.client().power_up(Interface::Lpa).unwrap();
}

#[test]
fn a_daemon_that_ends_takes_the_power_from_its_client() {
    let mut daemon = Daemon::start();
    let mut client = daemon.client();
    client.power_up(Interface::Lpa).unwrap();
    daemon.end();
    daemon.slot.blocking_close();
    assert_eq!(daemon.card.requests(), ["PowerUp(Lpa)", "PowerDown(Lpa)"]);
    assert!(client.hello().is_err());
}

#[test]
fn the_socket_is_private_replaces_an_abandoned_one_and_never_a_live_one() {
    let daemon = Daemon::start();
    assert_eq!(std::fs::metadata(daemon.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let bind = |path: &Path| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Server::bind(path).map(drop) })
    };
    assert!(matches!(bind(&daemon.path()), Err(ServerError::InUse(_))));
    let abandoned = daemon.folder.path().join("abandoned");
    drop(std::os::unix::net::UnixListener::bind(&abandoned).unwrap());
    bind(&abandoned).unwrap();
    let file = daemon.folder.path().join("file");
    std::fs::write(&file, b"precious").unwrap();
    assert!(matches!(bind(&file), Err(ServerError::NoSocket(_))));
    assert!(matches!(bind(&daemon.folder.path().join("no/folder")), Err(ServerError::Io { .. })));
    assert!(matches!(SocketLink::connect(&abandoned), Err(LinkError::Transport(_))));
}

#[test]
fn frames_that_are_none_end_the_connection_and_nothing_else() {
    let daemon = Daemon::start();
    let hostile: [&[u8]; 4] = [&[0xFF; 4], &[0, 0, 0, 0], &[0, 0, 0, 3, 9, 1, 1], &[0, 1, 0x80, 2, 0]];
    for bytes in hostile {
        let mut stream = UnixStream::connect(daemon.path()).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, [], "{bytes:?}");
    }
    // A half frame, held open, is in nobody's way.
    let mut half = UnixStream::connect(daemon.path()).unwrap();
    half.write_all(&[0, 0]).unwrap();
    // A frame of the right form whose message is nonsense: the card's answer to nonsense.
    let mut stream = UnixStream::connect(daemon.path()).unwrap();
    stream.write_all(&[0, 0, 0, 3, 0, 1, 0x77]).unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 0, 0, 3, 0, 1, 2]);
    daemon.client().hello().unwrap();
}
