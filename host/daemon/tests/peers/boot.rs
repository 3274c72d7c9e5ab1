//! The whole boot of a phone (`Modem::replay_boot`) over pcscd, by way of `build/peers/pcsc_pipe.py`.

use crate::pcsc::{Bench, READER, Steps, packages, published, wanted};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use teuicc_modem_bridge::testing::Transport;
use teuicc_modem_bridge::testing::modem::{Modem, ModemOptions};

/// A reader of pcscd.
struct Reader {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reader {
    fn open(bench: &Bench) -> Reader {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/peers/pcsc_pipe.py");
        // Debian's own, which has Debian's pyscard.
        let mut command = bench.machine.command("/usr/bin/python3");
        let mut child = command.arg(program).arg(READER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Reader { child, commands, answers: BufReader::new(answers) }
    }

    fn ask(&mut self, line: &str) -> io::Result<Vec<u8>> {
        writeln!(self.commands, "{line}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let bytes = hex::decode(answer.trim_end()).map_err(io::Error::other)?;
        if bytes.is_empty() { Err(io::Error::other("the reader is gone")) } else { Ok(bytes) }
    }
}

impl Transport for Reader {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.ask("cold")
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.ask("warm")
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        self.ask(&hex::encode(tpdu))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn boot(profile: &Path, data: Option<&Path>) {
    let bench = Bench::start(data);
    bench.install(profile);
    let replay = Modem::new(Reader::open(&bench), ModemOptions::default()).replay_boot().unwrap();
    println!("{:>10}{} commands, {} TPDUs in {:?}", "", replay.commands, replay.tpdus, replay.duration);
    assert!(replay.commands > 400, "{replay:?}");
    assert!(replay.denied.is_empty(), "{:?}", replay.denied);
}

#[test]
fn a_phone_boots_a_built_profile() {
    if !wanted() {
        return;
    }
    Steps::start().step("the example of a description");
    boot(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rsp-server/examples/profile.toml")), None);
}

#[test]
fn a_phone_boots_a_published_profile() {
    if !wanted() {
        return;
    }
    let Some(data) = published() else { return };
    let package = packages(&data).pop().unwrap();
    Steps::start().step(package.file_name().unwrap().to_str().unwrap());
    boot(&package, Some(&data));
}
