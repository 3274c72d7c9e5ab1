//! What the tests of interfaces without a reader share.

use crate::common::{Machine, description};
use std::net::TcpListener;
use teuicc_modem_bridge::testing::Transport;
use teuicc_modem_bridge::testing::modem::Modem;
use teuicc_modem_bridge::testing::network::Subscriber;

pub(crate) const ICCID: &str = "8988211000000000011";
pub(crate) const IMSI: &str = "001010000000001";

/// A port that nobody has, in a network of one's own.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Brings a profile into the card, and enables it.
pub(crate) fn install(machine: &Machine) {
    let (_smdp, _) = machine.smdp(&[]);
    machine.offer(description(ICCID, IMSI, "First"));
    let code = machine.order(ICCID, &[]);
    machine.teuicc(&["lpa", "download", "--yes", &code]).ok();
    machine.teuicc(&["lpa", "enable", ICCID]).ok();
}

/// AKA with a network that has the profile's keys: `common::description`.
pub(crate) fn authenticate(modem: &mut Modem<impl Transport>) {
    let key = |digits: &str| hex::decode(digits).unwrap().try_into().unwrap();
    let (k, opc) = (key("465b5ce8b199b49faa5f0a2ee238a6bc"), key("cd63cb71954a9f4e48a5994e37a02baf"));
    let challenge = Subscriber::new(k, opc, 0).challenge([0x23; 16]);
    let answer = modem.authenticate(&challenge.rand, &challenge.autn).unwrap();
    assert!(challenge.accepts(&answer), "{answer:?}");
}
