//! `teuicc smdp`: the test SM-DP+.

use crate::home::Home;
use crate::report;
use anyhow::{Context, bail};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use teuicc_rsp::metadata::NotificationEvent;
use teuicc_rsp::{Eid, Iccid};
use teuicc_rsp_server::{Metadata, NewProfile, OrderOptions, Server, SmDp, SmDpConfig};

/// The port that the SM-DP+ listens on unless told otherwise.
const DEFAULT_PORT: u16 = 8443;

/// What `teuicc smdp` does.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Serve ES9+ over TLS until interrupted
    #[command(after_help = "Example:\n  teuicc smdp serve --listen 127.0.0.1:8443")]
    Serve {
        /// Where to listen; anything but loopback can be reached from other machines
        #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT))]
        listen: SocketAddr,
        /// The address that LPAs know it by, HOST or HOST:PORT [default: localhost and the port]
        #[arg(long, value_name = "HOST")]
        address: Option<String>,
        #[command(flatten)]
        identity: Identity,
    },
    /// Add a profile: a profile package (.der) or a description (.toml)
    #[command(after_help = "Example:\n  teuicc smdp add-profile profile.toml")]
    AddProfile {
        /// The package or the description
        file: PathBuf,
        /// Service provider name
        #[arg(long, value_name = "NAME")]
        spn: Option<String>,
        /// Profile name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        identity: Identity,
    },
    /// Order the download of a profile; prints the activation code
    #[command(after_help = "Example:\n  teuicc smdp order 8988211000000000011 --confirmation-code 2024")]
    Order {
        /// ICCID of the profile
        iccid: String,
        /// Matching ID [default: random]
        #[arg(long, value_name = "ID")]
        matching_id: Option<String>,
        /// The only card that may download it
        #[arg(long, value_name = "DIGITS")]
        eid: Option<String>,
        /// A code that the user must enter
        #[arg(long, value_name = "CODE")]
        confirmation_code: Option<String>,
        #[command(flatten)]
        identity: Identity,
    },
    /// List profiles, orders and notifications
    #[command(after_help = "Example:\n  teuicc smdp list --json")]
    List {
        #[command(flatten)]
        identity: Identity,
    },
}

/// Whose certificates it runs on.
#[derive(clap::Args)]
pub(super) struct Identity {
    /// Run on the certificates in this folder (made by `teuicc pki`, or laid out as SGP.26) [default: HOME/pki]
    #[arg(long, value_name = "DIR")]
    pki: Option<PathBuf>,
}

pub(super) fn run(home: &Home, command: &Command, json: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the runtime")?;
    runtime.block_on(async {
        match command {
            Command::Serve { listen, address, identity } => {
                let smdp = open(home, identity, address.clone()).await?;
                serve(smdp, *listen, json).await
            }
            Command::AddProfile { file, spn, name, identity } => {
                let smdp = open(home, identity, None).await?;
                let mut metadata = Metadata::default();
                if let Some(spn) = spn {
                    metadata.service_provider_name.clone_from(spn);
                }
                if let Some(name) = name {
                    metadata.profile_name.clone_from(name);
                }
                let profile = NewProfile::from_file(file, metadata)?;
                let iccid = smdp.add_profile(&profile).await?;
                report::result(json, json!({ "ok": true, "iccid": iccid.to_string() }), || {
                    format!("profile {iccid} added; order it with: teuicc smdp order {iccid}")
                });
                Ok(())
            }
            Command::Order { iccid, matching_id, eid, confirmation_code, identity } => {
                let smdp = open(home, identity, None).await?;
                if smdp.address().is_err() {
                    // Never served yet: it will be, as `serve` does it without options.
                    smdp.set_address(&format!("localhost:{DEFAULT_PORT}")).await?;
                }
                let options = OrderOptions {
                    iccid: Some(parse_iccid(iccid)?),
                    matching_id: matching_id.clone(),
                    eid: eid.as_deref().map(super::card::parse_eid).transpose()?,
                    confirmation_code: confirmation_code.clone(),
                };
                let code = smdp.order(&options).await?.to_string();
                report::result(json, json!({ "ok": true, "activation_code": code }), || code.clone());
                Ok(())
            }
            Command::List { identity } => list(&open(home, identity, None).await?, json).await,
        }
    })
}

async fn open(home: &Home, identity: &Identity, address: Option<String>) -> anyhow::Result<SmDp> {
    let pki = identity.pki.clone().unwrap_or_else(|| home.pki());
    if !pki.exists() {
        bail!("there are no certificates in {}; make some with: teuicc pki", pki.display());
    }
    let config = SmDpConfig { folder: home.smdp(), pki: pki.clone(), address };
    SmDp::open(&config).await.with_context(|| {
        format!("opening the SM-DP+ in {} with the certificates in {}", config.folder.display(), pki.display())
    })
}

async fn serve(smdp: SmDp, listen: SocketAddr, json: bool) -> anyhow::Result<()> {
    let server = Server::start(Arc::new(smdp), listen).await?;
    report::result(
        json,
        json!({ "ok": true, "address": server.address, "listening": server.addr.to_string() }),
        || format!("SM-DP+ {} is listening on {}; stop it with Ctrl-C", server.address, server.addr),
    );
    crate::shutdown::requested().await;
    server.shutdown().await;
    Ok(())
}

async fn list(smdp: &SmDp, json: bool) -> anyhow::Result<()> {
    for profile in smdp.profiles().await? {
        let (name, state) = (&profile.metadata.profile_name, profile.euicc_state.as_str());
        let eid = profile.euicc_eid.map(|eid| eid.to_string());
        report::result(
            json,
            json!({ "profile": profile.iccid.to_string(), "name": name, "bytes": profile.size, "state": state, "eid": eid }),
            || format!("profile {}  {name}  {} bytes  {state}", profile.iccid, profile.size),
        );
    }
    for order in smdp.orders().await? {
        let eid = order.eid.map(|eid: Eid| eid.to_string());
        report::result(
            json,
            json!({ "order": order.id, "iccid": order.iccid.to_string(), "state": order.state.as_str(), "eid": eid,
                    "remark": order.remark }),
            || {
                let remark = order.remark.as_deref().map(|remark| format!("  ({remark})")).unwrap_or_default();
                format!("order {}  {}  {}{remark}", order.id, order.iccid, order.state.as_str())
            },
        );
    }
    for notification in smdp.notifications().await? {
        let event = event_name(notification.event);
        let iccid = notification.iccid.map(|iccid| iccid.to_string());
        report::result(
            json,
            json!({ "notification": notification.sequence, "eid": notification.eid.to_string(), "iccid": iccid,
                    "event": event }),
            || {
                let iccid = iccid.clone().unwrap_or_else(|| "-".into());
                format!("notification {}  {}  {iccid}  {event}", notification.sequence, notification.eid)
            },
        );
    }
    Ok(())
}

/// The event of a notification in a word.
fn event_name(event: NotificationEvent) -> &'static str {
    match event {
        NotificationEvent::INSTALL => "install",
        NotificationEvent::ENABLE => "enable",
        NotificationEvent::DISABLE => "disable",
        NotificationEvent::DELETE => "delete",
        _ => "unknown event",
    }
}

fn parse_iccid(digits: &str) -> anyhow::Result<Iccid> {
    Iccid::from_digits(digits).with_context(|| format!("{digits:?} is no ICCID: 18 to 20 digits are"))
}
