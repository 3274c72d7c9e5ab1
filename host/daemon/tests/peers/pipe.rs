//! A modem's slot on a pipe: programs in `build/peers` whose names end in `_pipe.py`. Each line that they are given is
//! answered by one.

use crate::common::Machine;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use teuicc_modem_bridge::testing::Transport;

/// Such a program.
pub(crate) struct Pipe {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Pipe {
    /// Runs `build/peers/PROGRAM` with an interpreter.
    pub(crate) fn start(machine: &Machine, python: &str, program: &str, arguments: &[&str]) -> Pipe {
        let program = format!("{}/../../build/peers/{program}", env!("CARGO_MANIFEST_DIR"));
        let mut command = machine.command(python);
        command.arg(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Pipe { child, commands, answers: BufReader::new(answers) }
    }

    /// The next line of the program.
    pub(crate) fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() { Err(io::Error::other("the program has ended")) } else { Ok(line.trim_end().to_owned()) }
    }

    /// Gives the program a line.
    pub(crate) fn tell(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.commands, "{line}")
    }

    /// Gives the program a line: its answer.
    pub(crate) fn ask(&mut self, line: &str) -> io::Result<String> {
        self.tell(line)?;
        self.line()
    }

    fn ask_bytes(&mut self, line: &str) -> io::Result<Vec<u8>> {
        hex::decode(self.ask(line)?).map_err(io::Error::other)
    }
}

impl Transport for Pipe {
    fn cold_reset(&mut self) -> io::Result<Vec<u8>> {
        self.ask_bytes("cold")
    }

    fn warm_reset(&mut self) -> io::Result<Vec<u8>> {
        self.ask_bytes("warm")
    }

    fn tpdu(&mut self, tpdu: &[u8]) -> io::Result<Vec<u8>> {
        self.ask_bytes(&hex::encode(tpdu))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
