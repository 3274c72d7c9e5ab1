//! Boots an image, runs commands in the guest, and cuts its power.

use crate::image::{Disk, Image};
use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a boot may take. Without KVM, and on a busy machine, it was seen to take 10 s.
const BOOT: Duration = Duration::from_secs(90);
/// How long a guest may take to switch itself off.
const POWER_OFF: Duration = Duration::from_secs(20);
/// How often is looked whether something has happened.
const POLL: Duration = Duration::from_millis(5);

/// The name of the port that the guest's control shell listens to (guest/init).
const CONTROL_PORT: &str = "teuicc.control";

/// This machine's loopback, as the guest sees it.
pub const HOST: &str = "10.0.2.2";

/// A machine that runs. Its power is cut when the value is dropped.
#[derive(Debug)]
pub struct Machine {
    power: Power,
    control: BufReader<UnixStream>,
    folder: TempDir,
    /// How long it took from power-on until the guest obeyed.
    pub boot_time: Duration,
}

/// What a command in the guest left.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output. Errors: the command did not end with 0; says what it printed.
    pub fn success(&self) -> anyhow::Result<String> {
        if self.code == 0 {
            return Ok(self.text());
        }
        bail!("exit code {}: {}{}", self.code, self.text(), String::from_utf8_lossy(&self.stderr));
    }

    /// Standard output as JSON, one value a line, whatever the exit code. Errors: it is something else.
    pub fn json(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        let lines = self.text();
        let values: Result<Vec<_>, _> = lines.lines().map(serde_json::from_str).collect();
        values.with_context(|| format!("exit code {}: {lines}{}", self.code, String::from_utf8_lossy(&self.stderr)))
    }
}

/// The power switch of a machine: whoever has one can cut it, at any moment.
#[derive(Clone, Debug)]
pub struct Power(Arc<Mutex<Child>>);

impl Power {
    /// Ends QEMU at once. Whatever the guest has written to its disk stays; nothing else does.
    pub fn cut(&self) {
        let mut qemu = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that it has ended by itself.
        let _ = qemu.kill();
        let _ = qemu.wait();
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).try_wait().ok().flatten()
    }
}

impl Machine {
    /// Boots `image` with `disk`, and waits until the guest obeys.
    ///
    /// Errors: QEMU does not start, or the guest is not there within a minute and a half; the message names the logs.
    pub fn boot(image: &Image, disk: &Disk) -> anyhow::Result<Self> {
        let started = Instant::now();
        let folder = tempfile::Builder::new().prefix("teuicc-machine-").tempdir()?;
        let socket = folder.path().join("control");
        let listener = UnixListener::bind(&socket)?;
        let qemu = Command::new("qemu-system-aarch64")
            .args(image.arguments())
            .args(devices(folder.path(), &socket, disk.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("qemu.log"))?)
            .spawn()
            .context("starting qemu-system-aarch64 (Debian package qemu-system-arm)")?;
        let power = Power(Arc::new(Mutex::new(qemu)));
        let control = match accept(&listener, &power, started) {
            Ok(control) => control,
            Err(error) => {
                power.cut();
                let said = fs::read_to_string(folder.path().join("qemu.log")).unwrap_or_default();
                return Err(error.context(format!("QEMU said: {said}")));
            }
        };
        let mut machine = Machine { power, control: BufReader::new(control), folder, boot_time: Duration::ZERO };
        match machine.run_within("true", BOOT) {
            Ok(_) => {
                machine.boot_time = started.elapsed();
                Ok(machine)
            }
            Err(error) => {
                Err(error.context(format!("the guest does not boot; its console ends so:\n{}", machine.tail())))
            }
        }
    }

    /// Runs a command line in the guest's shell as root, and waits for its end. Processes that it leaves in the
    /// background must have been given other places for their input and output.
    ///
    /// Errors: the machine is gone, or the command does not end within a minute.
    pub fn run(&mut self, command: &str) -> anyhow::Result<Output> {
        self.run_within(command, Duration::from_secs(60))
    }

    /// As [`Machine::run`], with its own time limit.
    pub fn run_within(&mut self, command: &str, limit: Duration) -> anyhow::Result<Output> {
        let framed = format!(
            "( {command}\n) >/tmp/.out 2>/tmp/.err </dev/null; echo \"$? $(base64 -w0 </tmp/.out) $(base64 -w0 </tmp/.err)\"\n"
        );
        let deadline = Instant::now() + limit;
        let port = self.control.get_mut();
        port.set_write_timeout(Some(limit))?;
        port.write_all(framed.as_bytes()).context("the guest is gone")?;
        let mut line = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{command:?} did not end within {} s", limit.as_secs());
            }
            self.control.get_mut().set_read_timeout(Some(left))?;
            match self.control.read_until(b'\n', &mut line) {
                Ok(0) => bail!("the guest is gone"),
                Ok(_) if line.ends_with(b"\n") => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error).context("the guest is gone"),
            }
        }
        let line = String::from_utf8(line)?;
        let mut fields = line.trim_end_matches('\n').split(' ');
        let mut next = || fields.next().context("the guest's shell broke the protocol");
        Ok(Output {
            code: next()?.parse().with_context(|| format!("no exit code in {line:?}"))?,
            stdout: BASE64.decode(next()?)?,
            stderr: BASE64.decode(next()?)?,
        })
    }

    /// Puts a file into the guest.
    pub fn put(&mut self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let command = format!("base64 -d >{path} <<'END'\n{}\nEND", BASE64.encode(content));
        self.run(&command)?.success().map(|_| ())
    }

    /// Puts a folder with everything in it into the guest.
    pub fn put_folder(&mut self, path: &str, folder: &Path) -> anyhow::Result<()> {
        let packed = Command::new("tar").arg("-C").arg(folder).args(["-c", "."]).output().context("running tar")?;
        self.put("/tmp/.tar", &packed.stdout)?;
        let unpack =
            format!("mkdir -p {path} && tar -x -f /tmp/.tar -C {path} && chmod -R a+rX {path} && rm /tmp/.tar");
        self.run(&unpack)?.success().map(|_| ())
    }

    /// The switch of its power.
    #[must_use]
    pub fn power(&self) -> Power {
        self.power.clone()
    }

    /// Whether QEMU still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.power.ended().is_none()
    }

    /// Has the guest switch itself off.
    pub fn power_off(mut self) -> anyhow::Result<()> {
        // The answer may come, or the end.
        let _ = self.run_within("sync; poweroff -f", POWER_OFF);
        let deadline = Instant::now() + POWER_OFF;
        while self.is_running() {
            if Instant::now() > deadline {
                bail!("the guest did not switch itself off");
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// What the normal world printed to its console, and what OP-TEE logged.
    #[must_use]
    pub fn logs(&self) -> [PathBuf; 2] {
        ["normal.log", "secure.log"].map(|name| self.folder.path().join(name))
    }

    /// The last lines of both consoles.
    #[must_use]
    pub fn tail(&self) -> String {
        let mut tail = String::new();
        for log in self.logs() {
            let text = fs::read(&log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            tail.push_str(&lines[lines.len().saturating_sub(25)..].join("\n"));
            tail.push('\n');
        }
        tail
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power.cut();
        if thread::panicking() {
            eprintln!("the consoles of the machine end so:\n{}", self.tail());
        }
    }
}

fn devices(folder: &Path, control: &Path, disk: &Path) -> Vec<String> {
    [
        "-chardev",
        &format!("socket,id=control,path={}", control.display()),
        "-device",
        "virtio-serial-pci",
        "-device",
        &format!("virtserialport,chardev=control,name={CONTROL_PORT}"),
        "-serial",
        &format!("file:{}", folder.join("normal.log").display()),
        "-serial",
        &format!("file:{}", folder.join("secure.log").display()),
        "-drive",
        &format!("if=none,id=disk,file={},format=raw,cache=writethrough", disk.display()),
        "-device",
        "virtio-blk-pci,drive=disk",
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn accept(listener: &UnixListener, power: &Power, started: Instant) -> anyhow::Result<UnixStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((control, _)) => {
                control.set_nonblocking(false)?;
                return Ok(control);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = power.ended() {
            bail!("QEMU ended at once: {status}");
        }
        if started.elapsed() > BOOT {
            bail!("QEMU does not start");
        }
        thread::sleep(POLL);
    }
}
