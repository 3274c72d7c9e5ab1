//! `teuicc lpa`: profiles, for the user of a device.

use crate::daemon::DAMAGED_PROFILE;
use crate::home::Home;
use crate::terminal::Terminal;
use crate::{reach, report};
use anyhow::{Context, bail};
use clap::Subcommand;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use std::path::{Path, PathBuf};
use teuicc_lpa::download::{Order, Request, download};
use teuicc_lpa::drive::{LinkCard, drive_card};
use teuicc_lpa::http::TlsClient;
use teuicc_lpa::notifications::{self, Delivery, DeliveryOutcome, Which};
use teuicc_lpa::profiles::{self, Profile, ProfileId, ResetOptions};
use teuicc_lpa::{ActivationCode, ConfirmationCode, LpaError, drive};
use teuicc_rsp::Iccid;
use teuicc_wire::State;

/// What `teuicc lpa` takes.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// CERT.CI of a CI whose servers are trusted (DER or PEM); may be repeated [default: that of HOME/pki]
    #[arg(long, value_name = "FILE", global = true)]
    ci: Vec<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the card says of itself
    #[command(after_help = "Example:\n  teuicc lpa info")]
    Info,
    /// List the profiles
    #[command(after_help = "Example:\n  teuicc lpa list --json")]
    List,
    /// Download and install a profile
    #[command(after_help = "Example:\n  teuicc lpa download 'LPA:1$localhost:8443$ABCDE-FGHIJ'")]
    Download {
        /// The activation code; without one the card's default SM-DP+ is asked
        activation_code: Option<String>,
        /// The confirmation code, if the order has one [default: asked for]
        #[arg(long, value_name = "CODE", env = "TEUICC_CONFIRMATION_CODE", hide_env_values = true)]
        confirmation_code: Option<String>,
        /// Do not ask for consent: the caller has the user's
        #[arg(long)]
        yes: bool,
    },
    /// Enable a profile; the enabled one is disabled
    #[command(after_help = "Example:\n  teuicc lpa enable 8988211000000000011")]
    Enable(Switch),
    /// Disable the enabled profile
    #[command(after_help = "Example:\n  teuicc lpa disable 8988211000000000011")]
    Disable(Switch),
    /// Delete a disabled profile for good
    #[command(after_help = "Example:\n  teuicc lpa delete 8988211000000000011")]
    Delete {
        /// ICCID, or AID of the ISD-P
        profile: String,
    },
    /// Name a profile
    #[command(after_help = "Example:\n  teuicc lpa nickname 8988211000000000011 Holiday")]
    Nickname {
        /// ICCID
        iccid: String,
        /// At most 64 bytes; empty removes it
        nickname: String,
    },
    /// Notifications that servers have not got yet
    #[command(subcommand)]
    Notifications(Notifications),
    /// Delete all profiles of a kind for good, or the default SM-DP+ address
    #[command(after_help = "Example:\n  teuicc lpa reset --operational --yes")]
    Reset {
        /// Operational profiles
        #[arg(long)]
        operational: bool,
        /// Test profiles that were downloaded
        #[arg(long)]
        test: bool,
        /// The default SM-DP+ address
        #[arg(long)]
        default_smdp: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(clap::Args)]
struct Switch {
    /// ICCID, or AID of the ISD-P
    profile: String,
    /// Do not have the card send a REFRESH; the modem is replugged instead
    #[arg(long)]
    no_refresh: bool,
}

#[derive(Subcommand)]
enum Notifications {
    /// List them
    #[command(after_help = "Example:\n  teuicc lpa notifications list")]
    List,
    /// Send them to their servers, and remove those that arrived
    #[command(after_help = "Example:\n  teuicc lpa notifications process")]
    Process {
        /// Sequence numbers [default: all]
        sequence_numbers: Vec<u32>,
    },
    /// Remove one without sending it
    #[command(after_help = "Example:\n  teuicc lpa notifications remove 3")]
    Remove {
        /// Sequence number
        sequence_number: u32,
    },
}

pub(super) fn run(home: &Home, arguments: &Arguments, json: bool) -> anyhow::Result<()> {
    let mut link = reach::card(home)?;
    let hello = link.hello()?;
    if hello.state == State::Factory {
        bail!("the card is not personalized yet; do it with: teuicc card personalize");
    }
    if hello.profile_damaged {
        tracing::warn!("{DAMAGED_PROFILE}");
    }
    let mut card = LinkCard::power_up(link.as_mut()).context("powering the card's LPA interface")?;
    let card = &mut card;
    match &arguments.command {
        Command::Info => info(&drive_card(profiles::info(), card).map_err(explained)?, json),
        Command::List => list(&drive_card(profiles::list(), card).map_err(explained)?, json),
        Command::Download { activation_code, confirmation_code, yes } => {
            let order = match activation_code {
                Some(code) => {
                    Order::ActivationCode(code.parse::<ActivationCode>().context("reading the activation code")?)
                }
                None => Order::DefaultServer,
            };
            let mut request = Request::new(order);
            request.confirmation_code = confirmation_code.clone().and_then(ConfirmationCode::new);
            let mut http = http_client(home, arguments)?;
            let mut user = Terminal::new(*yes, json);
            let installed = drive(download(request), card, &mut http, &mut user);
            user.finish();
            let installed = installed.map_err(explained)?;
            let metadata = &installed.metadata;
            // Whatever became of them, the profile is installed, and the card keeps what did not arrive.
            let undelivered = installed.deliveries.as_ref().map_or(1, |deliveries| undelivered(deliveries));
            report::result(
                json,
                json!({ "ok": true, "iccid": metadata.iccid.to_string(), "name": metadata.profile_name,
                        "spn": metadata.service_provider_name, "isdp_aid": hex::encode_upper(&installed.isdp_aid),
                        "undelivered_notifications": undelivered }),
                || {
                    format!(
                        "installed {} ({}, {}); enable it with: teuicc lpa enable {}",
                        metadata.iccid, metadata.service_provider_name, metadata.profile_name, metadata.iccid
                    )
                },
            );
            warn_undelivered(undelivered);
        }
        Command::Enable(switch) => {
            let operation = profiles::enable(profile_id(&switch.profile)?, !switch.no_refresh);
            drive_card(operation, card).map_err(explained)?;
            done(json, &switch.profile, "enabled");
        }
        Command::Disable(switch) => {
            let operation = profiles::disable(profile_id(&switch.profile)?, !switch.no_refresh);
            drive_card(operation, card).map_err(explained)?;
            done(json, &switch.profile, "disabled");
        }
        Command::Delete { profile } => {
            drive_card(profiles::delete(profile_id(profile)?), card).map_err(explained)?;
            done(json, profile, "deleted");
        }
        Command::Nickname { iccid, nickname } => {
            let parsed = Iccid::from_digits(iccid).with_context(|| format!("{iccid:?} is no ICCID"))?;
            drive_card(profiles::set_nickname(parsed, nickname.clone()), card).map_err(explained)?;
            done(json, iccid, "named");
        }
        Command::Notifications(Notifications::List) => {
            for pending in drive_card(notifications::list(), card).map_err(explained)? {
                let iccid = pending.iccid.map(|iccid| iccid.to_string());
                report::result(
                    json,
                    json!({ "sequence_number": pending.sequence_number, "event": pending.event.to_string(),
                            "recipient": pending.recipient, "iccid": iccid }),
                    || {
                        let iccid = iccid.clone().unwrap_or_else(|| "-".into());
                        format!("{}  {}  {iccid}  to {}", pending.sequence_number, pending.event, pending.recipient)
                    },
                );
            }
        }
        Command::Notifications(Notifications::Process { sequence_numbers }) => {
            let which = if sequence_numbers.is_empty() { Which::All } else { Which::Only(sequence_numbers.clone()) };
            let mut http = http_client(home, arguments)?;
            let mut user = Terminal::new(true, json);
            let deliveries = drive(notifications::process(which), card, &mut http, &mut user);
            user.finish();
            let deliveries = deliveries.map_err(explained)?;
            for delivery in &deliveries {
                report_delivery(delivery, json);
            }
            let missing = undelivered(&deliveries);
            if missing > 0 {
                bail!("{missing} notifications were not delivered; the card keeps them");
            }
        }
        Command::Notifications(Notifications::Remove { sequence_number }) => {
            drive_card(notifications::remove(*sequence_number), card).map_err(explained)?;
            done(json, &sequence_number.to_string(), "removed");
        }
        Command::Reset { operational, test, default_smdp, yes } => {
            let mut options = ResetOptions::default();
            for (wanted, option) in [
                (operational, ResetOptions::DELETE_OPERATIONAL_PROFILES),
                (test, ResetOptions::DELETE_FIELD_LOADED_TEST_PROFILES),
                (default_smdp, ResetOptions::RESET_DEFAULT_SMDP_ADDRESS),
            ] {
                if *wanted {
                    options = options.union(option);
                }
            }
            if options.is_empty() {
                bail!("say what to reset: --operational, --test, --default-smdp");
            }
            if !yes && !Terminal::confirm("This deletes for good. Go on?")? {
                bail!("nothing was reset");
            }
            drive_card(profiles::reset(options), card).map_err(explained)?;
            done(json, "card", "reset");
        }
    }
    Ok(())
}

/// The error with the advice that belongs to it.
fn explained(error: LpaError) -> anyhow::Error {
    match error.hint() {
        Some(hint) => anyhow::anyhow!("{error}\n  {hint}"),
        None => error.into(),
    }
}

fn profile_id(text: &str) -> anyhow::Result<ProfileId> {
    Ok(text.parse()?)
}

fn done(json: bool, what: &str, how: &str) {
    report::result(json, json!({ "ok": true, "what": what, "result": how }), || format!("{what} {how}"));
}

fn http_client(home: &Home, arguments: &Arguments) -> anyhow::Result<TlsClient> {
    let certificates = if arguments.ci.is_empty() {
        default_ci(home)?
    } else {
        arguments.ci.iter().map(|file| read_certificate(file)).collect::<anyhow::Result<_>>()?
    };
    Ok(TlsClient::new(&certificates)?)
}

/// A certificate from a file, DER or PEM.
fn read_certificate(file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(file).with_context(|| format!("reading the CI certificate {}", file.display()))?;
    if !bytes.starts_with(b"-----BEGIN") {
        return Ok(bytes);
    }
    let certificate = CertificateDer::from_pem_slice(&bytes)
        .map_err(|error| anyhow::anyhow!("the CI certificate {}: {error}", file.display()))?;
    Ok(certificate.to_vec())
}

#[cfg(feature = "server")]
fn default_ci(home: &Home) -> anyhow::Result<Vec<Vec<u8>>> {
    let pki = teuicc_rsp_server::TestPki::load(&home.pki())
        .context("no --ci is given, and there is no test PKI (made by `teuicc pki`)")?;
    Ok(pki.ci_certificate(teuicc_rsp::crypto::Curve::P256).map(<[u8]>::to_vec).into_iter().collect())
}

#[cfg(not(feature = "server"))]
fn default_ci(_: &Home) -> anyhow::Result<Vec<Vec<u8>>> {
    bail!("give the CI certificates of the servers to trust with --ci")
}

fn undelivered(deliveries: &[Delivery]) -> usize {
    deliveries.iter().filter(|delivery| !delivery.is_delivered()).count()
}

fn warn_undelivered(count: usize) {
    if count > 0 {
        eprintln!("{count} notifications were not delivered; try again with: teuicc lpa notifications process");
    }
}

fn report_delivery(delivery: &Delivery, json: bool) {
    let notification = &delivery.notification;
    let outcome = match &delivery.outcome {
        DeliveryOutcome::Delivered => "delivered".to_owned(),
        DeliveryOutcome::Failed(error) => error.to_string(),
        DeliveryOutcome::NotTried => "not tried, an earlier one to the same server failed".to_owned(),
    };
    report::result(
        json,
        json!({ "sequence_number": notification.sequence_number, "event": notification.event.to_string(),
                "recipient": notification.recipient, "delivered": delivery.is_delivered(), "outcome": outcome }),
        || {
            format!(
                "{}  {}  to {}: {outcome}",
                notification.sequence_number, notification.event, notification.recipient
            )
        },
    );
}

fn list(profiles: &[Profile], json: bool) {
    if profiles.is_empty() && !json {
        report::line("no profiles");
    }
    for profile in profiles {
        let iccid = profile.iccid.map(|iccid| iccid.to_string());
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        report::result(
            json,
            json!({ "iccid": iccid, "isdp_aid": profile.isdp_aid.as_ref().map(hex::encode_upper),
                    "enabled": profile.enabled, "nickname": profile.nickname, "spn": profile.service_provider_name,
                    "name": profile.profile_name, "class": profile.class.to_string() }),
            || {
                format!(
                    "{}  {}  {}  {}  {}",
                    iccid.clone().unwrap_or_else(|| "-".into()),
                    if profile.enabled { "enabled " } else { "disabled" },
                    name(&profile.service_provider_name),
                    name(&profile.profile_name),
                    name(&profile.nickname),
                )
            },
        );
    }
}

fn info(info: &profiles::CardInfo, json: bool) {
    let keys = |keys: &[Vec<u8>]| keys.iter().map(hex::encode).collect::<Vec<_>>();
    report::result(
        json,
        json!({ "eid": info.eid.to_string(), "svn": info.svn.to_string(), "profile_version": info.profile_version.to_string(),
                "firmware_version": info.firmware_version.to_string(), "default_smdp": info.default_dp_address,
                "root_smds": info.root_ds_address, "free_bytes": info.free_non_volatile_memory,
                "ci_for_verification": keys(&info.ci_keys_for_verification),
                "ci_for_signing": keys(&info.ci_keys_for_signing) }),
        || {
            let smdp = info.default_dp_address.clone().unwrap_or_else(|| "none".into());
            let free = info.free_non_volatile_memory.map_or_else(|| "?".into(), |bytes| bytes.to_string());
            format!(
                "EID                {}\nSGP.22 version     {}\nprofile packages   {}\nfirmware           {}\n\
                 default SM-DP+     {smdp}\nroot SM-DS         {}\nfree memory        {free} bytes\nCI keys trusted    {}",
                info.eid,
                info.svn,
                info.profile_version,
                info.firmware_version,
                info.root_ds_address,
                keys(&info.ci_keys_for_verification).join("\n                   "),
            )
        },
    );
}
