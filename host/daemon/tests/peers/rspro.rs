//! The daemon as a bank of osmo-remsim, with a server and a client whose codec is asn1tools', made from the module
//! (`build/peers/rspro_pipe.py`).

use crate::common::Machine;
use crate::pcsc::{Steps, wanted};
use crate::pipe::Pipe;
use crate::remote::{self, ICCID, IMSI, free_port};
use teuicc_modem_bridge::testing::modem::{Modem, ModemOptions};

#[test]
fn a_bank_serves_a_client_whose_codec_is_not_ours() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    let machine = Machine::personalized();
    remote::install(&machine);
    let (server, bank) = (free_port(), free_port());
    let config = machine.write(
        "rspro.toml",
        format!("[modem]\ninterface = \"rspro\"\nserver = \"127.0.0.1:{server}\"\nlisten = \"127.0.0.1:{bank}\"\n"),
    );
    let _daemon = machine.daemon(&["--config", config.to_str().unwrap()]);
    let python = std::env::var("TEUICC_PYTHON").expect("build/peers/rspro sets TEUICC_PYTHON");
    let ports = [server.to_string(), bank.to_string()];
    let mut pipe = Pipe::start(&machine, &python, "rspro_pipe.py", &[&ports[0], &ports[1]]);
    assert_eq!(pipe.line().unwrap(), "ready");
    steps.step("registered, mapped, and a client has the card");
    let mut modem = Modem::new(pipe, ModemOptions { without_refresh: true, ..ModemOptions::default() });
    let report = modem.boot().unwrap();
    assert_eq!((report.iccid.as_str(), report.imsi.as_str()), (ICCID, IMSI));
    remote::authenticate(&mut modem);
    steps.step("booted and authenticated");
    machine.teuicc(&["lpa", "disable", ICCID]).ok();
    assert_eq!(modem.transport().ask("gone").unwrap(), "gone");
    modem.transport().ask("back").unwrap();
    assert!(modem.boot().is_err(), "there is no profile any more");
    machine.teuicc(&["lpa", "enable", ICCID]).ok();
    assert_eq!(modem.transport().ask("gone").unwrap(), "gone");
    modem.transport().ask("back").unwrap();
    assert_eq!(modem.boot().unwrap().imsi, IMSI);
    steps.step("the last profile disabled and enabled: the link closed each time");
    assert_eq!(modem.transport().ask("unmap").unwrap(), "done");
    assert_eq!(modem.transport().ask("gone").unwrap(), "gone");
    assert_eq!(modem.transport().ask("map").unwrap(), "done");
    modem.transport().ask("back").unwrap();
    assert_eq!(modem.boot().unwrap().imsi, IMSI);
    steps.step("mapping removed and made again");
    println!("{:>10}{} TPDUs", "", modem.replay_boot().unwrap().tpdus);
    steps.step("the boot of a phone");
}
