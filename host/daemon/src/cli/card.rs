//! `teuicc card`: the factory.

use crate::daemon::DAMAGED_PROFILE;
use crate::factory::{self, ExternalChain, Settings};
use crate::home::Home;
use crate::{reach, report};
#[cfg(feature = "server")]
use anyhow::Context;
use anyhow::bail;
use serde_json::json;
use std::path::PathBuf;
use teuicc_rsp::Eid;

const PERSONALIZE_EXAMPLES: &str = "\
Examples:
  teuicc card personalize                     a key made in the card, signed by the test EUM of `teuicc pki`
  teuicc card personalize --test-ci --import-ci CI.der --import-eum EUM.der \\
      --import-euicc EUICC.der --import-key KEY.pkcs8.der
                                              an external test identity; repeat the four options for a second curve";

/// What `teuicc card` does.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Give the card its identity, once
    #[command(after_help = PERSONALIZE_EXAMPLES)]
    Personalize(Personalize),
    /// Say which card this is
    #[command(after_help = "Example:\n  teuicc card status --json")]
    Status,
}

/// What `teuicc card personalize` takes.
#[derive(clap::Args)]
pub(super) struct Personalize {
    /// Folder of the test PKI that signs the card's certificates [default: HOME/pki]
    #[arg(long, value_name = "DIR")]
    pki: Option<PathBuf>,
    /// The EID, 32 digits [default: a random one of the test EUM]
    #[arg(long, value_name = "DIGITS", conflicts_with = "import_ci")]
    eid: Option<String>,
    /// Default SM-DP+ address of the card
    #[arg(long, value_name = "HOST", default_value = "")]
    default_smdp: String,
    /// Root SM-DS address of the card
    #[arg(long, value_name = "HOST", default_value = "")]
    root_smds: String,
    /// Import: the CI is one for tests, whose operational profiles may use the XOR test algorithm
    #[arg(long, requires = "import_ci")]
    test_ci: bool,
    /// Import: CERT.CI.ECDSA in DER
    #[arg(long, value_name = "FILE", requires_all = ["import_eum", "import_euicc", "import_key"])]
    import_ci: Vec<PathBuf>,
    /// Import: CERT.EUM.ECDSA in DER
    #[arg(long, value_name = "FILE", requires = "import_ci")]
    import_eum: Vec<PathBuf>,
    /// Import: CERT.EUICC.ECDSA in DER
    #[arg(long, value_name = "FILE", requires = "import_ci")]
    import_euicc: Vec<PathBuf>,
    /// Import: SK.EUICC.ECDSA, PKCS#8 in DER
    #[arg(long, value_name = "FILE", requires = "import_ci")]
    import_key: Vec<PathBuf>,
}

pub(super) fn run(home: &Home, command: &Command, json: bool) -> anyhow::Result<()> {
    match command {
        Command::Personalize(arguments) => personalize(home, arguments, json),
        Command::Status => status(home, json),
    }
}

fn personalize(home: &Home, arguments: &Personalize, json: bool) -> anyhow::Result<()> {
    let mut card = reach::card(home)?;
    let settings =
        Settings { default_dp_address: arguments.default_smdp.clone(), root_ds_address: arguments.root_smds.clone() };
    let eid = if arguments.import_ci.is_empty() {
        personalize_with_test_pki(home, arguments, card.as_mut(), &settings)?
    } else {
        factory::import(card.as_mut(), &external_chains(arguments)?, &settings)?
    };
    report::result(json, json!({ "ok": true, "eid": eid.to_string() }), || format!("card personalized, EID {eid}"));
    Ok(())
}

#[cfg(feature = "server")]
fn personalize_with_test_pki(
    home: &Home,
    arguments: &Personalize,
    card: &mut dyn teuicc_slot::CardLink,
    settings: &Settings,
) -> anyhow::Result<Eid> {
    let folder = arguments.pki.clone().unwrap_or_else(|| home.pki());
    let pki = teuicc_rsp_server::TestPki::load(&folder).context("reading the test PKI (made by `teuicc pki`)")?;
    let eid = arguments.eid.as_deref().map(parse_eid).transpose()?;
    factory::personalize(card, &pki, eid, settings)
}

#[cfg(not(feature = "server"))]
fn personalize_with_test_pki(
    _: &Home,
    _: &Personalize,
    _: &mut dyn teuicc_slot::CardLink,
    _: &Settings,
) -> anyhow::Result<Eid> {
    bail!("this build has no test PKI: import an identity with --import-ci and the options beside it")
}

fn external_chains(arguments: &Personalize) -> anyhow::Result<Vec<ExternalChain>> {
    let count = arguments.import_ci.len();
    let same = [&arguments.import_eum, &arguments.import_euicc, &arguments.import_key].iter().all(|l| l.len() == count);
    if !same || count > 2 {
        bail!("--import-ci, --import-eum, --import-euicc and --import-key must be given alike, once or twice");
    }
    let files = arguments.import_ci.iter().zip(&arguments.import_eum);
    let files = files.zip(arguments.import_euicc.iter().zip(&arguments.import_key));
    files.map(|((ci, eum), (euicc, key))| ExternalChain::read(ci, eum, euicc, key, arguments.test_ci)).collect()
}

fn status(home: &Home, json: bool) -> anyhow::Result<()> {
    let hello = reach::card(home)?.hello()?;
    let eid = reach::eid(&hello).map(|eid| eid.to_string());
    let rollback = hello.features.rollback_protection;
    report::result(
        json,
        json!({ "ok": true, "eid": eid, "rollback_protection": rollback, "identity_import": hello.features.identity_import,
                "profile_damaged": hello.profile_damaged }),
        || {
            let eid = eid.clone().map_or_else(|| "not personalized".to_owned(), |eid| format!("EID {eid}"));
            let damaged = if hello.profile_damaged { format!("\n{DAMAGED_PROFILE}") } else { String::new() };
            format!("{eid}\nrollback protection of its storage: {}{damaged}", if rollback { "yes" } else { "no" })
        },
    );
    Ok(())
}

#[cfg(feature = "server")]
pub(super) fn parse_eid(digits: &str) -> anyhow::Result<Eid> {
    let eid = Eid::from_digits(digits).with_context(|| format!("{digits:?} is no EID: 32 digits are"))?;
    if !eid.is_checked() {
        bail!("the check digits of the EID {digits} are wrong: the whole number modulo 97 must be 1");
    }
    Ok(eid)
}
