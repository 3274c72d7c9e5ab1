//! `teuiccd`: a card in a slot, given to a modem over a virtual SIM interface, and a socket for `teuicc`.

use crate::home::Home;
use crate::modem::{Modem, Qmi};
use crate::{logging, reach, report, shutdown};
use anyhow::{Context, bail};
use clap::Parser;
use serde::Deserialize;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use teuicc_modem_bridge::Endpoint;
use teuicc_slot::socket::Server;
use teuicc_slot::{Patience, Slot, SlotConfig, Wire};
use tokio::sync::watch;

const EXAMPLES: &str = "\
Examples:
  teuiccd                                 the card in HOME/card, attached to a vpcd on this machine
  teuiccd --vpcd 127.0.0.1:35964          another slot of the vpcd
  teuiccd --tee optee                     the card in the trusted application, under OP-TEE
  teuiccd --qmi qmux:/dev/cdc-wdm0        a modem of Qualcomm's, behind a QMI device
  teuiccd --sap serial:/dev/ttyUSB2       a module that is a SAP client, on a serial line
  teuiccd --rspro 127.0.0.1:9998          a bank of osmo-remsim, registered at this server
  teuiccd --json-lines                    a modem's helper: see teuicc slot json
  teuiccd --no-modem                      no modem: for `teuicc lpa` alone
  teuiccd --config /etc/teuiccd.toml      settings from a file; options on the command line win";

/// The daemon that gives a card to a modem.
#[derive(Parser)]
#[command(name = "teuiccd", version, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    home: Home,
    /// Read settings from this file (TOML: home, tee, refresh_timeout, and a table `modem`: docs/interfaces)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    modem: Interfaces,
    /// How long a modem may take to act on a REFRESH before it is replugged, in seconds [default: 35]
    #[arg(long, value_name = "SECONDS")]
    refresh_timeout: Option<u64>,
}

/// One virtual SIM interface; what else there is to say about it stands in the configuration file.
#[derive(clap::Args)]
#[group(multiple = false)]
struct Interfaces {
    /// The vpcd to attach the card to, HOST:PORT [default: 127.0.0.1:35963]
    #[arg(long, value_name = "ADDRESS")]
    vpcd: Option<String>,
    /// Give the card to a modem by QMI UIM Remote: qrtr (the modem of this SoC), qmux:DEVICE or mbim:DEVICE
    #[arg(long, value_name = "WAY")]
    qmi: Option<Qmi>,
    /// Be a SAP server there: tcp:HOST:PORT, unix:PATH or serial:PATH[,SPEED]
    #[arg(long, value_name = "ENDPOINT")]
    sap: Option<Endpoint>,
    /// Be a bank of osmo-remsim, registered at this remsim-server, HOST:PORT
    #[arg(long, value_name = "SERVER")]
    rspro: Option<String>,
    /// Give the card to teuicc slot json, which a modem's helper runs
    #[arg(long)]
    json_lines: bool,
    /// Attach the card to no modem
    #[arg(long)]
    no_modem: bool,
}

impl Interfaces {
    fn modem(self) -> Option<Modem> {
        match self {
            Interfaces { no_modem: true, .. } => Some(Modem::None {}),
            Interfaces { vpcd: Some(address), .. } => Some(Modem::Vpcd { connect: Some(address), listen: None }),
            Interfaces { qmi: Some(modem), .. } => Some(Modem::Qmi(modem)),
            Interfaces { sap: Some(endpoint), .. } => Some(Modem::Sap { endpoint, osmocom_padding: false }),
            Interfaces { rspro: Some(server), .. } => {
                Some(Modem::Rspro { server: Some(server), listen: None, bank: None })
            }
            Interfaces { json_lines: true, .. } => Some(Modem::Json { listen: None }),
            _ => None,
        }
    }
}

/// The configuration file. Unknown settings are errors, so that a typing mistake is not a silent default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    home: Option<PathBuf>,
    tee: Option<reach::Tee>,
    modem: Option<Modem>,
    refresh_timeout: Option<u64>,
}

/// What the daemon runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the card and the socket are.
    pub home: Home,
    /// The modem that the card is given to.
    pub modem: Modem,
    /// When the modem is replugged after a profile switch.
    pub patience: Patience,
}

impl Config {
    fn new(arguments: Arguments) -> anyhow::Result<Self> {
        let file = arguments.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let mut patience = Patience::default();
        if let Some(seconds) = arguments.refresh_timeout.or(file.refresh_timeout) {
            if !(1..=600).contains(&seconds) {
                bail!("refresh_timeout is {seconds}: 1 to 600 seconds are possible");
            }
            patience.refresh = Duration::from_secs(seconds);
        }
        let modem = arguments.modem.modem().or(file.modem).unwrap_or_default();
        modem.check()?;
        Ok(Config {
            home: Home { folder: arguments.home.folder.or(file.home), tee: arguments.home.tee.or(file.tee) },
            modem,
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

/// What a user is told of a card whose enabled profile cannot be read.
pub(crate) const DAMAGED_PROFILE: &str = "what is stored of the enabled profile is damaged: a modem sees a card without a \
     profile; enable another one, or disable and delete this one and download it again";

/// Runs the daemon until `stop` is ready: takes the card away from the modem, then lets go of it.
///
/// Errors: the card cannot be opened, the socket is in use, the bridge ended by itself.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let card = reach::open_here(&config.home, "teuiccd")?;
    let socket = config.home.socket();
    let slot =
        Slot::start(Wire::new(card), SlotConfig { patience: config.patience }).context("starting the card's thread")?;
    let hello = slot.hello().await.context("asking the card who it is")?;
    if hello.profile_damaged {
        tracing::warn!("{DAMAGED_PROFILE}");
    }
    let server = Server::bind(&socket)?;
    let eid = reach::eid(&hello).map_or_else(|| "none: not personalized".to_owned(), |eid| eid.to_string());
    tracing::info!(eid, socket = %socket.display(), "card is in the slot");
    let (stopping, stopped) = watch::channel(false);
    let socket_task = tokio::spawn(server.run(slot.clone(), wait_for(stopped.clone())));
    let mut bridge = tokio::spawn(config.modem.run(config.home, slot.clone(), wait_for(stopped)));
    let ended = tokio::select! {
        () = stop => {
            stopping.send_replace(true);
            bridge.await
        }
        ended = &mut bridge => ended,
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
