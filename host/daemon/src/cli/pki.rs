//! `teuicc pki`: a test PKI.

use crate::home::Home;
use crate::report;
use anyhow::Context;
use serde_json::json;
use teuicc_rsp_server::TestPki;

/// What `teuicc pki` takes.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  teuicc pki")]
pub(super) struct Arguments {}

pub(super) fn run(home: &Home, _: &Arguments, json: bool) -> anyhow::Result<()> {
    let folder = home.pki();
    let pki = TestPki::generate(&folder).context("making the test PKI")?;
    report::result(json, json!({ "ok": true, "pki": folder, "ci_pem": pki.ci_pem() }), || {
        format!(
            "test PKI made in {}\n  trust anchor for TLS: {}\n  For tests only: its keys lie in files.",
            folder.display(),
            pki.ci_pem().display()
        )
    });
    Ok(())
}
