//! The commands as a user meets them: real processes over a folder of their own.
#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest that a command may run.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often something is looked at again.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// What a command printed, and how it ended.
pub(crate) struct Outcome {
    command: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end. Panics if it takes longer than [`PATIENCE`].
pub(crate) fn run(command: &mut Command) -> Outcome {
    run_with(command, "")
}

/// Runs a command with `input` on its standard input.
pub(crate) fn run_with(command: &mut Command, input: &str) -> Outcome {
    Started::new(command, input).wait()
}

/// A command that is under way.
pub(crate) struct Started {
    name: String,
    child: Child,
    out: File,
    error: File,
}

impl Started {
    pub(crate) fn new(command: &mut Command, input: &str) -> Started {
        // Files instead of pipes: nobody has to read them for the command to go on.
        let file = || tempfile::tempfile().expect("a temporary file");
        let (mut stdin, out, error) = (file(), file(), file());
        std::io::Write::write_all(&mut stdin, input.as_bytes()).unwrap();
        stdin.rewind().unwrap();
        command.stdin(stdin).stdout(out.try_clone().unwrap()).stderr(error.try_clone().unwrap());
        let name = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
        Started { name, child, out, error }
    }

    pub(crate) fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn wait(mut self) -> Outcome {
        let started = Instant::now();
        while self.running() {
            assert!(started.elapsed() < PATIENCE, "{} did not end in {} s", self.name, PATIENCE.as_secs());
            std::thread::sleep(POLL);
        }
        let text = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Outcome {
            command: self.name.clone(),
            status: self.child.wait().unwrap(),
            stdout: text(&mut self.out),
            stderr: text(&mut self.error),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Outcome {
    /// Panics unless the command succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.success(), "this should have worked:\n{}", self.describe());
        self
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Panics unless the command ended with an error status (a signal or a panic is no such end). The error's text.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        assert!(matches!(self.status.code(), Some(1 | 2)), "this should have been refused:\n{}", self.describe());
        assert!(!self.stderr.contains("panicked"), "this panicked:\n{}", self.describe());
        &self.stderr
    }

    /// Panics unless the command was refused with a text that has each of `parts` in it.
    #[track_caller]
    pub(crate) fn refused(&self, parts: &[&str]) {
        let error = self.error();
        for part in parts {
            assert!(error.contains(part), "the error should say {part:?}:\n{}", self.describe());
        }
    }

    /// Panics unless the command succeeded and said each of `parts` beside its result.
    #[track_caller]
    pub(crate) fn warned(&self, parts: &[&str]) {
        assert!(self.succeeded(), "this should have worked:\n{}", self.describe());
        for part in parts {
            assert!(self.stderr.contains(part), "the warning should say {part:?}:\n{}", self.describe());
        }
    }

    /// The JSON objects of standard output, one a line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}:\n{}", self.describe()));
        self.stdout.lines().map(parse).collect()
    }

    /// The only JSON object of standard output.
    #[track_caller]
    pub(crate) fn object(&self) -> Value {
        match <[Value; 1]>::try_from(self.objects()) {
            Ok([object]) => object,
            Err(_) => panic!("one JSON object was expected:\n{}", self.describe()),
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!("{} ended with {}\n-- output\n{}\n-- errors\n{}", self.command, self.status, self.stdout, self.stderr)
    }
}

/// A folder for everything of `teuicc`, and the commands over it.
pub(crate) struct Machine {
    folder: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        Machine { folder: TempDir::new().expect("a temporary folder") }
    }

    /// A machine with a test PKI and a card of it.
    pub(crate) fn personalized() -> Machine {
        let machine = Machine::new();
        machine.teuicc(&["pki"]).ok();
        machine.teuicc(&["card", "personalize"]).ok();
        machine
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that `--home` names. It does not exist before the first command.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("share/teuicc")
    }

    /// Writes a file beside the home.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder());
        command.env_remove("TEUICC_CONFIRMATION_CODE").env_remove("TEUICC_LOG");
        command.env("TEUICC_HOME", self.home()).env("NO_COLOR", "1");
        command
    }

    /// `teuicc` with these arguments.
    pub(crate) fn teuicc(&self, arguments: &[&str]) -> Outcome {
        run(self.command(TEUICC).args(arguments))
    }

    /// `teuiccd` with these arguments, when it ends by itself.
    pub(crate) fn teuiccd(&self, arguments: &[&str]) -> Outcome {
        run(self.command(TEUICCD).args(arguments))
    }

    /// A running `teuiccd`, its card in the slot.
    pub(crate) fn daemon(&self, arguments: &[&str]) -> Background {
        let mut daemon = Background::start(self.command(TEUICCD).args(arguments), &self.folder().join("teuiccd.log"));
        daemon.await_text("card is in the slot");
        daemon
    }

    /// A running SM-DP+ on the PKI of the home, or on another one, and its address.
    pub(crate) fn smdp(&self, arguments: &[&str]) -> (Background, String) {
        let mut command = self.command(TEUICC);
        command.args(["--json", "smdp", "serve", "--listen", "127.0.0.1:0"]).args(arguments).env("TEUICC_LOG", "info");
        let mut server = Background::start(&mut command, &self.folder().join("smdp.log"));
        server.await_text("\"listening\"");
        let log = server.log();
        let line = log.lines().find(|line| line.contains("\"listening\"")).unwrap();
        let object: Value = serde_json::from_str(line).unwrap();
        (server, object["address"].as_str().unwrap().to_owned())
    }

    /// Adds a profile to the SM-DP+, by its description.
    pub(crate) fn offer(&self, description: impl AsRef<[u8]>) {
        let file = self.write("profile.toml", description);
        self.teuicc(&["smdp", "add-profile", file.to_str().unwrap()]).ok();
    }

    /// Orders a profile at the SM-DP+. The activation code.
    pub(crate) fn order(&self, iccid: &str, options: &[&str]) -> String {
        let ordered = self.teuicc(&[&["--json", "smdp", "order", iccid], options].concat()).ok().object();
        ordered["activation_code"].as_str().unwrap().to_owned()
    }
}

pub(crate) const TEUICC: &str = env!("CARGO_BIN_EXE_teuicc");
pub(crate) const TEUICCD: &str = env!("CARGO_BIN_EXE_teuiccd");

/// A process that goes on until it is told to end, or is dropped.
pub(crate) struct Background {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Background {
    pub(crate) fn start(command: &mut Command, log: &Path) -> Background {
        let out = File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        let name = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
        Background { name, child, log: log.to_owned() }
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    #[track_caller]
    pub(crate) fn await_text(&mut self, text: &str) {
        let started = Instant::now();
        while !self.log().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{} ended with {ended:?} before it said {text:?}:\n{}", self.name, self.log());
            assert!(started.elapsed() < PATIENCE, "{} does not say {text:?}:\n{}", self.name, self.log());
            std::thread::sleep(POLL);
        }
    }

    /// The TCP address that it says when it says `text`.
    #[track_caller]
    pub(crate) fn tcp_address(&mut self, text: &str) -> String {
        self.await_text(text);
        let log = self.log();
        let line = log.lines().find(|line| line.contains(text)).unwrap();
        let (_, address) = line.split_once("tcp:").unwrap_or_else(|| panic!("no address: {line}"));
        address.split_whitespace().next().unwrap().to_owned()
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        terminate(&mut self.child).unwrap_or_else(|| panic!("{} did not end when asked to:\n{}", self.name, self.log()))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a child: politely, then not.
fn end(child: &mut Child) {
    if terminate(child).is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn terminate(child: &mut Child) -> Option<ExitStatus> {
    if let Ok(Some(status)) = child.try_wait() {
        return Some(status);
    }
    // The shell's own kill: nothing else has to be installed.
    let _ = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).stderr(Stdio::null()).status();
    wait_until(Duration::from_secs(10), || child.try_wait().ok().flatten())
}

/// Asks again and again. `None` if there is no answer in time.
pub(crate) fn wait_until<T>(patience: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if started.elapsed() > patience {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

/// The description of a profile with published test keys.
pub(crate) fn description(iccid: &str, imsi: &str, name: &str) -> String {
    format!(
        "iccid = \"{iccid}\"\nimsi = \"{imsi}\"\nk = \"465b5ce8b199b49faa5f0a2ee238a6bc\"\n\
         opc = \"cd63cb71954a9f4e48a5994e37a02baf\"\nspn = \"Test network\"\nname = \"{name}\"\n"
    )
}
