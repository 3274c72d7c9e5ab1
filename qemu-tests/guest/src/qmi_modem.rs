//! `teuicc-qmi-modem K OPC`: a modem on this machine's QRTR node, which takes its card by QMI UIM Remote from whoever is
//! the client. K and OPc, in hex, are those that the network has of the card's subscriber.
//!
//! It boots, authenticates, restarts, waits for a profile switch and for the card to leave, and prints a line at each:
//!
//! ```text
//! booted ICCID IMSI APDUS MILLISECONDS
//! authenticated
//! resynchronised
//! restarted ICCID                         after a restart of the modem
//! ready
//! switched ICCID MILLISECONDS             after the card was out for so long
//! left
//! ```

use std::fmt::Debug;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use teuicc_modem_bridge::testing::ModemSide;
use teuicc_modem_bridge::testing::modem::{Modem, ModemOptions};
use teuicc_modem_bridge::testing::network::{Authentication, Subscriber};
use teuicc_modem_bridge::testing::qmi::QmiModem;

/// How long something may take that a person or another program does.
const SOON: Duration = Duration::from_secs(90);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match &arguments[..] {
        [k, opc] => key(k).and_then(|k| key(opc).map(|opc| (k, opc))).and_then(|(k, opc)| run(k, opc)),
        _ => Err("usage: teuicc-qmi-modem K OPC".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn key(hex: &str) -> Outcome<[u8; 16]> {
    let bytes: Result<Vec<u8>, _> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or("?"), 16)).collect();
    bytes?.try_into().map_err(|_| "a key has 16 bytes".into())
}

fn run(k: [u8; 16], opc: [u8; 16]) -> Outcome<()> {
    let mut reader = QmiModem::qrtr()?;
    reader.await_offer(SOON)?;
    let mut modem = Modem::new(reader, ModemOptions::default());
    let started = Instant::now();
    let report = modem.boot()?;
    println!("booted {} {} {} {}", report.iccid, report.imsi, report.apdus, started.elapsed().as_millis());

    let mut subscriber = Subscriber::new(k, opc, 0);
    let challenge = subscriber.challenge(*b"a first nonce...");
    accepted(challenge.accepts(&modem.authenticate(&challenge.rand, &challenge.autn)?), "the challenge")?;
    println!("authenticated");

    // A network that has lost count.
    let newest = subscriber.sqn();
    subscriber.set_sqn(0);
    let stale = subscriber.challenge_with(*b"a second nonce..", newest);
    match modem.authenticate(&stale.rand, &stale.autn)? {
        Authentication::SynchronisationFailure(auts) => accepted(subscriber.resynchronise(&stale, &auts), "AUTS")?,
        other => return Err(unexpected("a stale challenge", &other)),
    }
    let challenge = subscriber.challenge(*b"a third nonce...");
    accepted(challenge.accepts(&modem.authenticate(&challenge.rand, &challenge.autn)?), "the challenge")?;
    println!("resynchronised");

    modem.transport().restart()?;
    modem.transport().await_offer(SOON)?;
    println!("restarted {}", modem.boot()?.iccid);

    println!("ready");
    modem.transport().await_removal(SOON)?;
    let removed = Instant::now();
    modem.transport().await_insertion()?;
    let away = removed.elapsed().as_millis();
    println!("switched {} {away}", modem.boot()?.iccid);

    for expected in [3, 0] {
        let event = modem.transport().await_event(SOON)?;
        if event.number != expected {
            return Err(unexpected("leaving", &event));
        }
    }
    modem.transport().await_release(SOON)?;
    println!("left");
    Ok(())
}

fn accepted(accepts: bool, what: &str) -> Outcome<()> {
    if accepts { Ok(()) } else { Err(format!("{what} is not answered as the network expects").into()) }
}

fn unexpected(what: &str, got: &impl Debug) -> Box<dyn std::error::Error> {
    format!("{what}: {got:?}").into()
}
