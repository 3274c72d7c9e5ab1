//! A running daemon, its card given to a modem over each virtual SIM interface, while the user downloads and switches
//! profiles through the daemon's socket: one card, many users.

mod common;

use common::{Background, Machine, TEUICC, description};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;
use teuicc_modem_bridge::testing::json::JsonClient;
use teuicc_modem_bridge::testing::modem::{Idle, Modem, ModemOptions};
use teuicc_modem_bridge::testing::network::Subscriber;
use teuicc_modem_bridge::testing::qmi::QmiModem;
use teuicc_modem_bridge::testing::rspro::RemSim;
use teuicc_modem_bridge::testing::sap::SapClient;
use teuicc_modem_bridge::testing::vpcd::VpcdHost;
use teuicc_modem_bridge::testing::{ModemSide, Transport};

const FIRST: (&str, &str) = ("8988211000000000011", "001010000000001");
const SECOND: (&str, &str) = ("8988211000000000024", "001010000000002");
const SOON: Duration = Duration::from_secs(20);
/// Longer than any interface takes to take the card out.
const NO_REPLUG: Duration = Duration::from_secs(2);
/// What the SM-DP+ says when the card is about to get the profile.
const HANDED_OUT: &str = "package handed out";
const SELECT_MF: [u8; 7] = [0x00, 0xA4, 0x00, 0x04, 0x02, 0x3F, 0x00];

type Side = Box<dyn ModemSide + Send>;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn daemon(machine: &Machine, modem: &str) -> Background {
    let config = machine.write("teuiccd.toml", format!("[modem]\n{modem}\n"));
    machine.daemon(&["--config", config.to_str().unwrap()])
}

fn over_vpcd(machine: &Machine) -> (Background, Side) {
    let mut reader = VpcdHost::bind().unwrap();
    let daemon = daemon(machine, &format!("interface = \"vpcd\"\nconnect = \"{}\"", reader.address().unwrap()));
    reader.await_card(SOON).unwrap();
    (daemon, Box::new(reader))
}

fn over_qmi(machine: &Machine) -> (Background, Side) {
    let mut modem = QmiModem::qmux().unwrap();
    let device = modem.device();
    let daemon =
        daemon(machine, &format!("interface = \"qmi\"\ntransport = \"qmux\"\ndevice = \"{}\"", device.display()));
    modem.await_card(SOON).unwrap();
    (daemon, Box::new(modem))
}

fn over_rspro(machine: &Machine) -> (Background, Side) {
    let (mut network, config) = RemSim::new().unwrap();
    let bank = format!("127.0.0.1:{}", free_port());
    let modem = format!("interface = \"rspro\"\nserver = \"{}\"\nlisten = \"{bank}\"", config.server);
    let daemon = daemon(machine, &modem);
    network.register(bank.parse().unwrap()).unwrap();
    network.await_card(SOON).unwrap();
    (daemon, Box::new(network))
}

fn over_sap(machine: &Machine) -> (Background, Side) {
    let mut daemon = daemon(machine, "interface = \"sap\"\nendpoint = \"tcp:127.0.0.1:0\"");
    let address = daemon.tcp_address("waits for a client");
    let mut client = SapClient::new(TcpStream::connect(address).unwrap()).unwrap();
    client.await_card(SOON).unwrap();
    (daemon, Box::new(client))
}

fn over_json(machine: &Machine) -> (Background, Side) {
    let mut daemon = daemon(machine, "interface = \"json\"\nlisten = \"tcp:127.0.0.1:0\"");
    let address = daemon.tcp_address("waiting for a client");
    let client = JsonClient::new(TcpStream::connect(address).unwrap()).unwrap();
    (daemon, Box::new(client))
}

#[test]
fn a_card_is_shared_over_vpcd() {
    share(over_vpcd);
}

#[test]
fn a_card_is_shared_over_qmi() {
    share(over_qmi);
}

#[test]
fn a_card_is_shared_over_rspro() {
    share(over_rspro);
}

#[test]
fn a_card_is_shared_over_sap() {
    share(over_sap);
}

#[test]
fn a_card_is_shared_over_json() {
    share(over_json);
}

/// A life of a card with a modem at it.
fn share(attach: impl Fn(&Machine) -> (Background, Side)) {
    let machine = Machine::personalized();
    let (mut smdp, _) = machine.smdp(&[]);
    let (daemon, side) = attach(&machine);
    let mut modem = Modem::new(side, ModemOptions::default());

    // A modem that resets all the time does not disturb a download; nor does a download that breaks leave anything
    // behind that hinders the next.
    machine.offer(description(FIRST.0, FIRST.1, "First"));
    let code = machine.order(FIRST.0, &[]);
    let mut broken = start_download(&machine, &code);
    while !smdp.log().contains(HANDED_OUT) {
        assert!(smdp.running() && broken.try_wait().unwrap().is_none(), "{}", smdp.log());
        reset_for(modem.transport(), Duration::from_millis(10));
    }
    broken.kill().unwrap();
    assert!(!broken.wait().unwrap().success(), "it was over before it could break");
    let mut download = start_download(&machine, &code);
    while download.try_wait().unwrap().is_none() {
        reset_for(modem.transport(), Duration::from_millis(20));
    }
    let listed = machine.teuicc(&["lpa", "list"]).ok().stdout;
    assert!(listed.contains(FIRST.0), "{listed}");

    // The first enable: this modem has not announced REFRESH.
    machine.teuicc(&["lpa", "enable", FIRST.0]).ok();
    replugged(&mut modem);
    boots(&mut modem, FIRST.1);
    let challenge = subscriber().challenge([0x42; 16]);
    assert!(challenge.accepts(&modem.authenticate(&challenge.rand, &challenge.autn).unwrap()));

    // A switch is a REFRESH for one that has, and then no replug.
    machine.offer(description(SECOND.0, SECOND.1, "Second"));
    let code = machine.order(SECOND.0, &[]);
    machine.teuicc(&["lpa", "download", "--yes", &code]).ok();
    machine.teuicc(&["lpa", "enable", SECOND.0]).ok();
    match modem.idle().unwrap() {
        Idle::Refreshed(report) => assert_eq!(report.imsi, SECOND.1),
        Idle::Quiet => panic!("no REFRESH"),
    }
    not_replugged(&mut modem);

    // Without a refresh it is a replug all the same.
    machine.teuicc(&["lpa", "enable", FIRST.0, "--no-refresh"]).ok();
    replugged(&mut modem);
    boots(&mut modem, FIRST.1);

    // The last profile is disabled: there is a card, and no subscription.
    machine.teuicc(&["lpa", "disable", FIRST.0]).ok();
    assert!(modem.idle().is_err(), "refreshed, and nothing to boot from");
    assert_eq!(modem.transport().tpdu(&SELECT_MF).unwrap()[0], 0x61);
    machine.teuicc(&["lpa", "enable", FIRST.0]).ok();
    replugged(&mut modem);
    boots(&mut modem, FIRST.1);

    // The daemon ends: the card leaves first.
    let leaves = std::thread::spawn(move || daemon.stop());
    modem.transport().await_removal(SOON).unwrap();
    let _ = modem.transport().part();
    assert!(leaves.join().unwrap().success());
}

fn start_download(machine: &Machine, code: &str) -> std::process::Child {
    let mut command = machine.command(TEUICC);
    command.args(["lpa", "download", "--yes", code]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn reset_for(side: &mut Side, time: Duration) {
    let started = std::time::Instant::now();
    while started.elapsed() < time {
        side.cold_reset().unwrap();
        side.tpdu(&SELECT_MF).unwrap();
        side.warm_reset().unwrap();
    }
}

fn subscriber() -> Subscriber {
    let key = |digits| hex::decode::<&str>(digits).unwrap().try_into().unwrap();
    Subscriber::new(key("465b5ce8b199b49faa5f0a2ee238a6bc"), key("cd63cb71954a9f4e48a5994e37a02baf"), 0)
}

fn replugged(modem: &mut Modem<Side>) {
    modem.transport().await_removal(SOON).unwrap();
    modem.transport().await_card(SOON).unwrap();
}

fn not_replugged(modem: &mut Modem<Side>) {
    modem.transport().stays_in(NO_REPLUG).unwrap();
    assert_eq!(modem.transport().tpdu(&SELECT_MF).unwrap()[0], 0x61, "the card is still in");
}

fn boots(modem: &mut Modem<Side>, imsi: &str) {
    let report = modem.boot().unwrap();
    assert_eq!((report.imsi.as_str(), report.refreshes), (imsi, 0));
}
