//! `teuicc bench`: what the virtual SIM interfaces cost.

use super::demo::provision_quietly;
use crate::report;
use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;
use std::io;
use std::time::{Duration, Instant};
use teuicc_modem_bridge::testing::modem::{Modem, ModemOptions};
use teuicc_modem_bridge::testing::{Attached, Kind, SlotTransport, Transport};

/// TPDUs whose latency is measured, after some that are not.
const MEASURED: usize = 2000;
const WARM_UP: usize = 200;
/// STATUS without data: what the card does for it is next to nothing.
const STATUS: [u8; 5] = [0x80, 0xF2, 0x00, 0x0C, 0x00];

/// What `teuicc bench` measures.
#[derive(Subcommand)]
pub(super) enum Command {
    /// The latency that each virtual SIM interface adds to a TPDU, and the boot of a phone over each
    #[command(after_help = "Example:\n  teuicc bench slot --json")]
    Slot,
}

pub(super) fn run(command: &Command, json: bool) -> anyhow::Result<()> {
    match command {
        Command::Slot => slot(json),
    }
}

fn slot(json: bool) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("teuicc-bench-").tempdir()?;
    let provisioned = provision_quietly(folder.path()).context("making a card with a profile")?;
    let slot = &provisioned.slot;
    let script = Script::record(SlotTransport::new(slot.clone())).context("a boot in the process")?;
    let alone = Measured::new(&mut SlotTransport::new(slot.clone()), &script)?;
    alone.report("none", None, &script, json);
    for kind in Kind::ALL {
        let Attached { mut modem, mut bridge } = kind.attach(slot).with_context(|| kind.name())?;
        let measured = Measured::new(&mut modem, &script).with_context(|| kind.name())?;
        measured.report(kind.name(), Some(&alone), &script, json);
        drop(modem);
        bridge.end().with_context(|| kind.name())?;
    }
    provisioned.close();
    folder.close().context("removing the folder")
}

/// What goes over a transport when a phone boots twice, some 540 commands each time: the second boot changes back what
/// the first one changed, and so every round gets the same answers.
struct Script {
    steps: Vec<Step>,
    /// Of one boot.
    commands: u64,
    tpdus: u64,
}

enum Step {
    Reset,
    Tpdu { sent: Vec<u8>, answer: Vec<u8> },
}

impl Script {
    fn record(transport: SlotTransport) -> anyhow::Result<Script> {
        let mut modem = Modem::new(Recorder { transport, steps: Vec::new() }, ModemOptions::default());
        let replay = modem.replay_boot()?;
        modem.replay_boot()?;
        let steps = std::mem::take(&mut modem.transport().steps);
        Ok(Script { steps, commands: replay.commands, tpdus: replay.tpdus })
    }

    /// Does it over `transport`, and checks that every answer is the one that was recorded. How long one boot took.
    fn replay(&self, transport: &mut dyn Transport) -> anyhow::Result<Duration> {
        let started = Instant::now();
        for step in &self.steps {
            match step {
                Step::Reset => {
                    transport.cold_reset()?;
                }
                Step::Tpdu { sent, answer } if transport.tpdu(sent)? != *answer => {
                    bail!("the answer to {:02X} differs from the one without an interface", sent.get(1).unwrap_or(&0));
                }
                Step::Tpdu { .. } => {}
            }
        }
        Ok(started.elapsed() / 2)
    }
}

/// Writes down what goes over a transport.
struct Recorder {
    transport: SlotTransport,
    steps: Vec<Step>,
}

impl Transport for Recorder {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.steps.push(Step::Reset);
        self.transport.cold_reset()
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.steps.push(Step::Reset);
        self.transport.warm_reset()
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        let answer = self.transport.tpdu(tpdu)?;
        self.steps.push(Step::Tpdu { sent: tpdu.to_vec(), answer: answer.clone() });
        Ok(answer)
    }
}

struct Measured {
    p50: Duration,
    p99: Duration,
    boot: Duration,
}

impl Measured {
    fn new(transport: &mut dyn Transport, script: &Script) -> anyhow::Result<Measured> {
        transport.cold_reset()?;
        let mut took = Vec::with_capacity(MEASURED);
        for round in 0..WARM_UP + MEASURED {
            let started = Instant::now();
            if transport.tpdu(&STATUS)? != [0x90, 0x00] {
                bail!("STATUS was not answered 9000");
            }
            if round >= WARM_UP {
                took.push(started.elapsed());
            }
        }
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        Ok(Measured { p50: at(50), p99: at(99), boot: script.replay(transport)? })
    }

    fn report(&self, name: &str, alone: Option<&Measured>, script: &Script, json: bool) {
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        let added =
            |own: Duration, of: fn(&Measured) -> Duration| micros(own) - alone.map_or(0.0, |alone| micros(of(alone)));
        let (p50, p99) = (added(self.p50, |alone| alone.p50), added(self.p99, |alone| alone.p99));
        let boot = self.boot.as_secs_f64() * 1e3;
        let object = json!({
            "interface": name,
            "p50_us": micros(self.p50), "p99_us": micros(self.p99),
            "added_p50_us": if alone.is_some() { Some(p50) } else { None },
            "added_p99_us": if alone.is_some() { Some(p99) } else { None },
            "boot_commands": script.commands, "boot_tpdus": script.tpdus, "boot_ms": boot,
        });
        report::result(json, object, || {
            let what = if alone.is_some() { "adds" } else { "is" };
            let Script { commands, tpdus, .. } = script;
            format!(
                "{name:<6} {what:<4} p50 {p50:>8.1} us  p99 {p99:>8.1} us a TPDU;  \
                 boot of {commands} commands, {tpdus} TPDUs: {boot:>7.1} ms"
            )
        });
    }
}
