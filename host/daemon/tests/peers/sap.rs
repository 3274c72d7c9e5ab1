//! The daemon as a SAP server, with a client written from the tables alone (`build/peers/sap_pipe.py`): over a Unix
//! socket, TCP, and a pseudo terminal; strict, and with the padding of osmocom-bb.

use crate::common::{Background, Machine};
use crate::pcsc::{Steps, wanted};
use crate::pipe::Pipe;
use crate::remote::{self, ICCID, IMSI};
use teuicc_modem_bridge::testing::modem::{Modem, ModemOptions};

/// Debian's: nothing but its standard library is needed.
const PYTHON: &str = "/usr/bin/python3";

/// The daemon with an endpoint in its configuration file.
fn daemon(machine: &Machine, endpoint: &str, osmocom: bool) -> Background {
    let text = format!("[modem]\ninterface = \"sap\"\nendpoint = \"{endpoint}\"\nosmocom_padding = {osmocom}\n");
    let config = machine.write("sap.toml", text);
    let mut daemon = machine.daemon(&["--config", config.to_str().unwrap()]);
    daemon.await_text("the SAP server waits");
    daemon
}

fn machine() -> Machine {
    let machine = Machine::personalized();
    remote::install(&machine);
    machine
}

/// Boots, authenticates, tries every request, sees a switch, and parts.
fn check(mut pipe: Pipe, machine: &Machine, steps: &Steps) {
    assert_eq!(pipe.line().unwrap(), "ready");
    assert_eq!(pipe.ask("every").unwrap(), "done");
    steps.step("every request, and what is none");
    let mut modem = Modem::new(pipe, ModemOptions { without_refresh: true, ..ModemOptions::default() });
    let report = modem.boot().unwrap();
    assert_eq!((report.iccid.as_str(), report.imsi.as_str()), (ICCID, IMSI));
    remote::authenticate(&mut modem);
    steps.step("booted and authenticated");
    machine.teuicc(&["lpa", "disable", ICCID]).ok();
    assert_eq!(modem.transport().ask("removed").unwrap(), "done");
    assert_eq!(modem.transport().ask("inserted").unwrap(), "done");
    assert!(modem.boot().is_err(), "there is no profile any more");
    machine.teuicc(&["lpa", "enable", ICCID]).ok();
    assert_eq!(modem.transport().ask("removed").unwrap(), "done");
    assert_eq!(modem.transport().ask("inserted").unwrap(), "done");
    assert_eq!(modem.boot().unwrap().imsi, IMSI);
    steps.step("the last profile disabled and enabled: removed and inserted each time");
    assert_eq!(modem.transport().ask("part").unwrap(), "done");
}

#[test]
fn a_client_at_a_unix_socket() {
    if !wanted() {
        return;
    }
    let (steps, machine) = (Steps::start(), machine());
    let endpoint = format!("unix:{}", machine.folder().join("sap").display());
    let _daemon = daemon(&machine, &endpoint, false);
    check(Pipe::start(&machine, PYTHON, "sap_pipe.py", &[&endpoint]), &machine, &steps);
}

#[test]
fn a_client_over_tcp_that_pads_as_osmocom_bb_does() {
    if !wanted() {
        return;
    }
    let (steps, machine) = (Steps::start(), machine());
    let mut daemon = daemon(&machine, "tcp:127.0.0.1:0", true);
    let endpoint = format!("tcp:{}", daemon.tcp_address("the SAP server waits"));
    check(Pipe::start(&machine, PYTHON, "sap_pipe.py", &["--osmocom", &endpoint]), &machine, &steps);
}

#[test]
fn a_module_on_a_serial_line() {
    if !wanted() {
        return;
    }
    let (steps, machine) = (Steps::start(), machine());
    let mut pipe = Pipe::start(&machine, PYTHON, "sap_pipe.py", &["pty"]);
    let line = pipe.line().unwrap();
    let _daemon = daemon(&machine, &format!("serial:{line}"), false);
    pipe.tell("the server is there").unwrap();
    check(pipe, &machine, &steps);
}
