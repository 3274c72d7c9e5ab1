//! `teuiccd`: a card in a slot, given to a modem over a virtual SIM interface, and a socket for `teuicc`.

use crate::home::Home;
use crate::{logging, reach, report, shutdown};
use anyhow::{Context, bail};
use clap::Parser;
use serde::Deserialize;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use teuicc_modem_bridge::vpcd;
use teuicc_slot::socket::Server;
use teuicc_slot::{Patience, Slot, SlotConfig, Wire};
use tokio::sync::watch;

const EXAMPLES: &str = "\
Examples:
  teuiccd                                 the card in HOME/card, attached to a vpcd on this machine
  teuiccd --vpcd 127.0.0.1:35964          another slot of the vpcd
  teuiccd --tee optee                     the card in the trusted application, under OP-TEE
  teuiccd --no-modem                      no modem: for `teuicc lpa` alone
  teuiccd --config /etc/teuiccd.toml      settings from a file; options on the command line win";

/// The daemon that gives a card to a modem.
#[derive(Parser)]
#[command(name = "teuiccd", version, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    home: Home,
    /// Read settings from this file (TOML: home, tee, vpcd, refresh_timeout)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The vpcd to attach the card to, HOST:PORT [default: 127.0.0.1:35963]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_modem")]
    vpcd: Option<String>,
    /// Attach the card to no modem
    #[arg(long)]
    no_modem: bool,
    /// How long a modem may take to act on a REFRESH before it is replugged, in seconds [default: 35]
    #[arg(long, value_name = "SECONDS")]
    refresh_timeout: Option<u64>,
}

/// The configuration file. Unknown settings are errors, so that a typing mistake is not a silent default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    home: Option<PathBuf>,
    tee: Option<reach::Tee>,
    vpcd: Option<String>,
    refresh_timeout: Option<u64>,
}

/// What the daemon runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the card and the socket are.
    pub home: Home,
    /// The vpcd to attach the card to, `HOST:PORT`.
    pub vpcd: Option<String>,
    /// When the modem is replugged after a profile switch.
    pub patience: Patience,
}

impl Config {
    fn new(arguments: Arguments) -> anyhow::Result<Self> {
        let file = arguments.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let defaults = vpcd::Config::default();
        let mut patience = Patience::default();
        if let Some(seconds) = arguments.refresh_timeout.or(file.refresh_timeout) {
            if !(1..=600).contains(&seconds) {
                bail!("refresh_timeout is {seconds}: 1 to 600 seconds are possible");
            }
            patience.refresh = Duration::from_secs(seconds);
        }
        let vpcd = (!arguments.no_modem).then(|| arguments.vpcd.or(file.vpcd).unwrap_or(defaults.address));
        Ok(Config {
            home: Home { folder: arguments.home.folder.or(file.home), tee: arguments.home.tee.or(file.tee) },
            vpcd,
            patience,
        })
    }
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("the configuration file {}", path.display()))
}

/// Runs `teuiccd` with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start("info");
    let result = Config::new(arguments).and_then(|config| {
        let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
        runtime.block_on(run(config, shutdown::requested()))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error, false);
            ExitCode::FAILURE
        }
    }
}

/// Runs the daemon until `stop` is ready: takes the card away from the modem, then lets go of it.
///
/// Errors: the card cannot be opened, the socket is in use, the bridge ended by itself.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let card = reach::open_here(&config.home, "teuiccd")?;
    let socket = config.home.socket();
    let slot =
        Slot::start(Wire::new(card), SlotConfig { patience: config.patience }).context("starting the card's thread")?;
    let hello = slot.hello().await.context("asking the card who it is")?;
    let server = Server::bind(&socket)?;
    tracing::info!(state = ?hello.state, socket = %socket.display(), "card is in the slot");
    let (stopping, stopped) = watch::channel(false);
    let socket_task = tokio::spawn(server.run(slot.clone(), wait_for(stopped.clone())));
    let bridge_task = config.vpcd.map(|address| {
        let (slot, stopped) = (slot.clone(), wait_for(stopped));
        tokio::spawn(async move {
            let status = Arc::new(vpcd::Status::default());
            let settings = vpcd::Config { address, ..vpcd::Config::default() };
            vpcd::run(slot, settings, &status, stopped).await
        })
    });
    let ended = match bridge_task {
        Some(mut bridge) => {
            tokio::select! {
                () = stop => {
                    stopping.send_replace(true);
                    bridge.await
                }
                ended = &mut bridge => ended,
            }
        }
        None => {
            stop.await;
            Ok(Ok(()))
        }
    };
    stopping.send_replace(true);
    socket_task.await.context("the socket's task died")?;
    tokio::task::spawn_blocking(move || slot.blocking_close()).await.context("closing the slot")?;
    ended.context("the bridge's task died")?.context("the bridge to the modem ended")
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
