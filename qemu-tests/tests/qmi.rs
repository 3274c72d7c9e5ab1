//! QMI UIM Remote on the real socket family: in the guest, whose kernel has QRTR, the daemon gives the card in the
//! trusted application to a modem's side that has nothing of the bridge's code but the socket. Runs where
//! `TEUICC_QEMU=1` is set.

use anyhow::{Context, bail};
use serde_json::json;
use std::time::{Duration, Instant};
use teuicc_qemu_tests::relay::CLIENT;
use teuicc_qemu_tests::world::{Card, K, OPC};
use teuicc_qemu_tests::{Disk, Image, Machine, Relay, World};
use teuicc_slot::Wire;

/// How long any one thing may take in the guest.
const SOON: Duration = Duration::from_secs(120);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The words of the line of the modem's log that begins with `word`, once it is there.
fn told(machine: &mut Machine, word: &str) -> anyhow::Result<Vec<String>> {
    let deadline = Instant::now() + SOON;
    loop {
        let log = machine.run("cat /tmp/modem.log")?.text();
        if let Some(line) = log.lines().find(|line| line.split(' ').next() == Some(word)) {
            return Ok(line.split(' ').map(str::to_owned).collect());
        }
        let ended = machine.run("pidof teuicc-qmi-modem")?.code != 0;
        if ended || Instant::now() > deadline {
            let daemon = machine.run("cat /tmp/teuiccd.log")?.text();
            bail!("the modem does not say {word:?}; it said:\n{log}\nand the daemon:\n{daemon}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn as_client(command: &str) -> String {
    format!("su {CLIENT} -s /bin/sh -c 'TEUICC_HOME=/home/{CLIENT} {command}'")
}

#[test]
fn a_modem_boots_authenticates_restarts_and_sees_a_switch_over_qrtr() {
    let Some(image) = Image::for_test("TEUICC_QEMU_IMAGE") else { return };
    let world = World::new().unwrap();
    let disk = Disk::empty(&image).unwrap();
    let mut machine = Machine::boot(&image, &disk).unwrap();
    let profiles = [world.subscribe(1).unwrap(), world.subscribe(2).unwrap()];
    world.personalize(&mut Wire::new(Relay::start(&mut machine).unwrap())).unwrap();
    let card = Card::insert(&mut machine).unwrap();
    for profile in &profiles {
        world.download(&card, &world.order(profile.iccid).unwrap()).unwrap();
    }
    card.enable(profiles[0].iccid).unwrap();
    // The relay gives the trusted application back.
    drop(card);

    // The modem's side is on the guest's own node.
    machine.put("/tmp/teuiccd.toml", b"[modem]\ninterface = 'qmi'\ntransport = 'qrtr'\nnode = 1\n").unwrap();
    let daemon = as_client("teuiccd --tee optee --config /tmp/teuiccd.toml");
    machine.run(&format!("{daemon} >/tmp/teuiccd.log 2>&1 </dev/null &")).unwrap().success().unwrap();
    // The daemon first: the service is announced to it.
    await_daemon(&mut machine).unwrap();
    let modem = format!("teuicc-qmi-modem {} {}", hex(&K), hex(&OPC));
    machine.run(&format!("{modem} >/tmp/modem.log 2>&1 </dev/null &")).unwrap().success().unwrap();

    let booted = told(&mut machine, "booted").unwrap();
    assert_eq!(booted[1..3], [profiles[0].iccid.to_string(), profiles[0].imsi.clone()]);
    told(&mut machine, "authenticated").unwrap();
    told(&mut machine, "resynchronised").unwrap();
    let restarted = told(&mut machine, "restarted").unwrap();
    assert_eq!(restarted[1], profiles[0].iccid.to_string());
    told(&mut machine, "ready").unwrap();
    let switch = as_client(&format!("teuicc lpa enable --no-refresh {}", profiles[1].iccid));
    machine.run(&switch).unwrap().success().unwrap();
    let switched = told(&mut machine, "switched").unwrap();
    assert_eq!(switched[1], profiles[1].iccid.to_string());
    let away: u64 = switched[2].parse().unwrap();
    assert!((2900..10_000).contains(&away), "the card was away for {away} ms");
    machine.run("killall teuiccd").unwrap().success().unwrap();
    told(&mut machine, "left").unwrap();
    println!("{}", json!({ "numbers": "boot over QRTR", "apdus": booted[3], "ms": booted[4], "away_ms": away }));
}

fn await_daemon(machine: &mut Machine) -> anyhow::Result<()> {
    let deadline = Instant::now() + SOON;
    while !machine.run("cat /tmp/teuiccd.log")?.text().contains("UIM Remote") {
        if Instant::now() > deadline {
            return Err(anyhow::anyhow!(machine.run("cat /tmp/teuiccd.log")?.text()))
                .context("the daemon does not wait for a modem");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
