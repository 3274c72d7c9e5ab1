//! `teuicc slot`: the modem's interface of the card, for programs that ask for it.

use crate::daemon::{self, Config};
use crate::home::Home;
use crate::modem::Modem;
use crate::shutdown;
use anyhow::{Context, bail};
use clap::Subcommand;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use teuicc_modem_bridge::json;
use teuicc_slot::Patience;
use zeroize::Zeroizing;

const JSON_EXAMPLES: &str = "\
Example:
  echo '{\"op\":\"power_up\"}' | teuicc slot json

Requests, a line each: {\"op\":\"power_up\"}, reset, power_down, status, {\"op\":\"tpdu\",\"data\":\"00a40004023f00\"}.
The card is the running daemon's (teuiccd --json-lines), else it is opened here.";

/// What `teuicc slot` does.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Lines of JSON at standard input and output: the helper of wwand-rsim
    #[command(after_help = JSON_EXAMPLES)]
    Json,
}

pub(super) fn run(home: &Home, command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Json => helper(home),
    }
}

/// Errors: the daemon's card is in another modem, or the card cannot be opened.
fn helper(home: &Home) -> anyhow::Result<()> {
    let is_there = |error: &io::Error| !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
    match UnixStream::connect(home.modem_socket()) {
        Ok(stream) => return relay(&stream),
        Err(error) if is_there(&error) => return Err(error).context("reaching the daemon"),
        Err(_) => {}
    }
    if UnixStream::connect(home.socket()).is_ok() {
        bail!(
            "the running daemon does not offer its card here: it gives it to another modem, to none, or listens elsewhere \
             (listen in its configuration); start it with --json-lines"
        );
    }
    let config = Config { home: home.clone(), modem: Modem::Standard, patience: Patience::default() };
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    let result = runtime.block_on(daemon::run(config, shutdown::requested()));
    // Whoever reads standard input cannot be interrupted.
    runtime.shutdown_background();
    result
}

/// Carries standard input and output to the daemon and back, until one of the two ends. Errors: the daemon will not
/// have this client, or is gone.
fn relay(stream: &UnixStream) -> anyhow::Result<()> {
    let mut to_daemon = stream.try_clone().context("the daemon's socket")?;
    let input_ended = Arc::new(AtomicBool::new(false));
    let ended = input_ended.clone();
    std::thread::spawn(move || {
        // An error means that one of the two is gone, which the other direction sees.
        let _ = io::copy(&mut io::stdin().lock(), &mut to_daemon);
        ended.store(true, Ordering::Release);
        let _ = to_daemon.shutdown(Shutdown::Write);
    });
    let mut from_daemon = BufReader::new(stream);
    let mut first = Zeroizing::new(Vec::new());
    from_daemon.read_until(b'\n', &mut first).context("the daemon's socket")?;
    let mut out = LineByLine(io::stdout().lock());
    out.write_all(&first).context("standard output")?;
    if json::is_refusal(&first) {
        bail!("another helper has the card of the daemon, which serves one at a time");
    }
    if first.is_empty() && !input_ended.load(Ordering::Acquire) {
        bail!("the daemon ended the connection before it was asked for anything");
    }
    io::copy(&mut from_daemon, &mut out).context("the daemon's socket")?;
    Ok(())
}

/// Standard output, flushed after every write: the other side waits for each line.
struct LineByLine<W>(W);

impl<W: io::Write> io::Write for LineByLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
