//! `teuicc demo`: from an activation code to an authenticated modem.

use crate::factory::{self, Settings};
use crate::home::Home;
use crate::reach::{self, Tee};
use crate::report;
use crate::terminal::Terminal;
use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use teuicc_lpa::download::{Order, Request, download};
use teuicc_lpa::drive::{Card, SlotCard, drive_card};
use teuicc_lpa::http::TlsClient;
use teuicc_lpa::notifications::{self, Which};
use teuicc_lpa::profiles::{self, ProfileId};
use teuicc_lpa::{ActivationCode, CardFault, drive};
use teuicc_modem_bridge::testing::modem::{BootReport, Modem, ModemOptions};
use teuicc_modem_bridge::testing::network::{Authentication, Subscriber};
use teuicc_modem_bridge::testing::{Attached, Kind, ModemSide, Running, Transport};
use teuicc_rsp::crypto::Curve;
use teuicc_rsp::{Eid, Iccid};
use teuicc_rsp_server::{Metadata, NewProfile, OrderOptions, Server, ServerHandle, SmDp, SmDpConfig, TestPki};
use teuicc_slot::software::{Options, SoftwareTee, Writes};
use teuicc_slot::{CardLink, Exchange, Slot, SlotConfig, Transmitted, Wire};
use tokio::runtime::Runtime;

/// How long the modem waits for the card to be taken away.
const REMOVAL: Duration = Duration::from_secs(10);
/// The profile's subscriber: test network 001-01.
const ICCID: &str = "8988211000000000011";
const IMSI: &str = "001010000000001";

/// What `teuicc demo` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  teuicc demo\n  teuicc demo --interface sap\n  teuicc demo --json\n  teuicc demo --keep /tmp/teuicc-demo"
)]
pub(super) struct Arguments {
    /// The virtual SIM interface between card and modem
    #[arg(long, value_name = "INTERFACE", default_value = "vpcd")]
    interface: Kind,
    /// Keep the state in this folder, which must not exist or be empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) fn run(home: &Home, arguments: &Arguments, json: bool) -> anyhow::Result<()> {
    let trusted = match home.tee() {
        Tee::Software => None,
        Tee::Optee => Some(reach::open_here(home, "teuicc demo")?),
    };
    run_with(trusted, arguments.interface, arguments.keep.as_deref(), json)
}

/// Runs the demo with this card, which has no identity yet, or with one in a software TEE of its own.
pub(super) fn run_with(
    card: Option<Box<dyn Exchange>>,
    interface: Kind,
    keep: Option<&Path>,
    json: bool,
) -> anyhow::Result<()> {
    let output = if json { Output::Json } else { Output::Text };
    let mut steps = Steps { output, started: Instant::now(), done: 0 };
    let result = folder(keep).and_then(|folder| {
        let result = demo(card, interface, folder.path(), &mut steps);
        folder.close()?;
        result
    });
    let made = match &result {
        Ok(()) => Made::new("an activation code became an authenticated modem").with("steps", steps.done),
        Err(_) => Made::new("the demo did not work"),
    };
    steps.print("demo", result.is_ok(), steps.started.elapsed(), &made);
    result
}

/// The folder of the demo's state: kept, or removed when it ends.
enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

fn folder(keep: Option<&Path>) -> anyhow::Result<Folder> {
    let Some(keep) = keep else {
        return Ok(Folder::Temporary(tempfile::Builder::new().prefix("teuicc-demo-").tempdir()?));
    };
    if std::fs::read_dir(keep).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty; name a folder that is, or does not exist", keep.display());
    }
    std::fs::create_dir_all(keep).with_context(|| format!("making {}", keep.display()))?;
    Ok(Folder::Kept(keep.to_owned()))
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Folder::Kept(path) => path,
            Folder::Temporary(folder) => folder.path(),
        }
    }

    fn close(self) -> anyhow::Result<()> {
        match self {
            Folder::Kept(_) => Ok(()),
            Folder::Temporary(folder) => folder.close().context("removing the demo's folder"),
        }
    }
}

/// How what happens is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Text,
    Json,
    Nothing,
}

/// Prints what happens.
struct Steps {
    output: Output,
    started: Instant,
    done: u32,
}

/// What a step made: in words, and by name.
struct Made {
    text: String,
    fields: Map<String, Value>,
}

impl Made {
    fn new(text: impl Into<String>) -> Self {
        Made { text: text.into(), fields: Map::new() }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}

impl Steps {
    /// Runs one step and says how it went.
    fn step<T>(&mut self, name: &str, work: impl FnOnce() -> anyhow::Result<(T, Made)>) -> anyhow::Result<T> {
        let started = Instant::now();
        match work() {
            Ok((result, made)) => {
                self.print(name, true, started.elapsed(), &made);
                self.done += 1;
                Ok(result)
            }
            Err(error) => {
                self.print(name, false, started.elapsed(), &Made::new("failed").with("error", format!("{error:#}")));
                Err(error.context(format!("step {name:?}")))
            }
        }
    }

    fn print(&self, name: &str, ok: bool, took: Duration, made: &Made) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut object = json!({ "step": name, "ok": ok, "ms": ms });
        if let Some(object) = object.as_object_mut() {
            object.extend(made.fields.clone());
        }
        if self.output == Output::Nothing {
            return;
        }
        report::result(self.output == Output::Json, object, || {
            format!("{} {name:<14} {ms:>6} ms  {}", if ok { "ok    " } else { "FAILED" }, made.text)
        });
    }
}

fn demo(card: Option<Box<dyn Exchange>>, interface: Kind, folder: &Path, steps: &mut Steps) -> anyhow::Result<()> {
    let Provisioned { runtime, slot, eid, writes, server, iccid, mut subscriber } = provision(card, folder, steps)?;

    let mut attachment = steps.step("attach", || {
        let mut attachment = Attachment::new(interface, &slot)?;
        let report = attachment.boot(iccid)?;
        let made = Made::new(format!(
            "modem booted over {interface}: IMSI {}, {} APDUs, {} files read",
            report.imsi,
            report.apdus,
            report.files.len()
        ))
        .with("interface", interface.to_string())
        .with("iccid", report.iccid.clone())
        .with("imsi", report.imsi.clone())
        .with("apdus", report.apdus)
        .with("files_read", report.files.len())
        .with("store_writes", writes.take());
        Ok((attachment, made))
    })?;

    steps.step("aka", || {
        let challenge = subscriber.challenge(random()?);
        let answer = attachment.modem.authenticate(&challenge.rand, &challenge.autn)?;
        if !challenge.accepts(&answer) {
            bail!("the network does not accept the card's answer: {answer:?}");
        }
        let made = Made::new("AKA: card and network agree on RES, CK and IK").with("store_writes", writes.take());
        Ok(((), made))
    })?;

    steps.step("resynchronize", || {
        resynchronize(&mut attachment.modem, &mut subscriber)?;
        let made = Made::new("AKA with a stale sequence number: AUTS, resynchronization, then success")
            .with("store_writes", writes.take());
        Ok(((), made))
    })?;

    steps.step("shutdown", || {
        let apdus = attachment.detach()?;
        runtime.block_on(server.shutdown());
        slot.blocking_close();
        Ok(((), Made::new("modem, SM-DP+ and card stopped").with("apdus", apdus).with("eid", eid.to_string())))
    })?;
    Ok(())
}

/// A card with an enabled profile, and where it came from.
pub(super) struct Provisioned {
    runtime: Runtime,
    /// The card.
    pub(super) slot: Slot,
    eid: Eid,
    writes: Counter,
    server: ServerHandle,
    iccid: Iccid,
    subscriber: Subscriber,
}

impl Provisioned {
    /// Stops the server and lets go of the card.
    pub(super) fn close(self) {
        self.runtime.block_on(self.server.shutdown());
        self.slot.blocking_close();
    }
}

/// Runs the demo up to the modem, without a word.
pub(super) fn provision_quietly(folder: &Path) -> anyhow::Result<Provisioned> {
    provision(None, folder, &mut Steps { output: Output::Nothing, started: Instant::now(), done: 0 })
}

fn provision(card: Option<Box<dyn Exchange>>, folder: &Path, steps: &mut Steps) -> anyhow::Result<Provisioned> {
    let quiet = steps.output != Output::Text;
    let runtime = Runtime::new().context("starting the runtime")?;

    let pki = steps.step("pki", || {
        let pki = TestPki::generate(&folder.join("pki"))?;
        Ok((pki, Made::new("test PKI: CI, EUM and SM-DP+, on NIST P-256 and brainpoolP256r1")))
    })?;

    let (slot, eid, writes) = steps.step("personalize", || {
        let kind = if card.is_some() { "trusted application" } else { "card in the software TEE" };
        let (slot, eid, writes) = personalized_card(card, &folder.join("card"), &pki)?;
        let made =
            Made::new(format!("{kind}, EID {eid}")).with("eid", eid.to_string()).with("store_writes", writes.take());
        Ok(((slot, eid, writes), made))
    })?;

    let server = steps.step("smdp", || {
        let server = runtime.block_on(serve(folder, &pki))?;
        let made = Made::new(format!("SM-DP+ {} serves ES9+ over TLS", server.address))
            .with("address", server.address.clone());
        Ok((server, made))
    })?;

    let (code, subscriber) = steps.step("order", || {
        let (code, subscriber) = order(folder, &runtime, &server.smdp)?;
        let made = Made::new(format!("ordered; activation code {code}"))
            .with("activation_code", code.clone())
            .with("iccid", ICCID)
            .with("imsi", IMSI);
        Ok(((code, subscriber), made))
    })?;

    let mut http = TlsClient::new(&[pki.ci_certificate(Curve::P256).context("the test PKI has no CI on P-256")?])?;
    let iccid = steps.step("download", || {
        let mut card = Counted::new(&slot)?;
        let mut user = Terminal::new(true, quiet);
        let request = Request::new(Order::ActivationCode(code.parse::<ActivationCode>()?));
        let installed = drive(download(request), &mut card, &mut http, &mut user);
        user.finish();
        let installed = installed?;
        let iccid = installed.metadata.iccid;
        let made = Made::new(format!("profile {iccid} downloaded, installed, and its SM-DP+ told"))
            .with("apdus", card.apdus)
            .with("crossings", card.crossings)
            .with("iccid", iccid.to_string())
            .with("isdp_aid", hex::encode_upper(&installed.isdp_aid))
            .with("store_writes", writes.take());
        Ok((iccid, made))
    })?;

    steps.step("enable", || {
        let mut card = SlotCard::power_up(&slot)?;
        drive_card(profiles::enable(ProfileId::Iccid(iccid), true), &mut card)?;
        let listed = drive_card(profiles::list(), &mut card)?;
        if !listed.iter().any(|profile| profile.iccid == Some(iccid) && profile.enabled) {
            bail!("the card does not list the profile as enabled");
        }
        let switch_writes = writes.take();
        let delivered =
            drive(notifications::process(Which::All), &mut card, &mut http, &mut Terminal::new(true, true))?;
        let made = Made::new("profile enabled, and its SM-DP+ told")
            .with("iccid", iccid.to_string())
            .with("store_writes", switch_writes)
            .with("notifications", delivered.iter().filter(|delivery| delivery.is_delivered()).count());
        writes.take();
        Ok(((), made))
    })?;

    Ok(Provisioned { runtime, slot, eid, writes, server, iccid, subscriber })
}

/// The card's LPA interface, counting what is asked of it.
struct Counted {
    card: SlotCard,
    /// Command APDUs that the card executed.
    apdus: u64,
    /// Batches that crossed to it.
    crossings: u64,
}

impl Counted {
    fn new(slot: &Slot) -> anyhow::Result<Self> {
        Ok(Counted { card: SlotCard::power_up(slot)?, apdus: 0, crossings: 0 })
    }
}

impl Card for Counted {
    fn transmit(&mut self, commands: Vec<Vec<u8>>) -> Result<Transmitted, CardFault> {
        let done = self.card.transmit(commands)?;
        self.apdus += u64::from(done.executed);
        self.crossings += 1;
        Ok(done)
    }
}

/// Counts what is written to the store; a trusted application does not tell.
struct Counter(Option<Writes>);

impl Counter {
    fn take(&self) -> Option<u64> {
        self.0.as_ref().map(Writes::take)
    }
}

fn personalized_card(
    card: Option<Box<dyn Exchange>>,
    folder: &Path,
    pki: &TestPki,
) -> anyhow::Result<(Slot, Eid, Counter)> {
    let (card, writes) = match card {
        Some(card) => (card, Counter(None)),
        None => {
            let card = SoftwareTee::open(folder, &Options { owner: "teuicc demo".into() })?;
            let writes = Counter(Some(card.writes()));
            (Box::new(card) as Box<dyn Exchange>, writes)
        }
    };
    let mut link = Wire::new(card);
    link.hello().context("asking the card who it is")?;
    let eid = factory::personalize(&mut link, pki, None, &Settings::default())?;
    Ok((Slot::start(link, SlotConfig::default())?, eid, writes))
}

async fn serve(folder: &Path, pki: &TestPki) -> anyhow::Result<ServerHandle> {
    let config = SmDpConfig { folder: folder.join("smdp"), pki: pki.folder().to_owned(), address: None };
    let smdp = Arc::new(SmDp::open(&config).await?);
    Ok(Server::start(smdp, (Ipv4Addr::LOCALHOST, 0).into()).await?)
}

/// Describes a profile with fresh keys, adds and orders it. The activation code, and the subscriber as the network
/// knows it.
fn order(folder: &Path, runtime: &Runtime, smdp: &SmDp) -> anyhow::Result<(String, Subscriber)> {
    let (k, opc) = (random()?, random()?);
    let description = folder.join("profile.toml");
    let text = format!(
        "iccid = \"{ICCID}\"\nimsi = \"{IMSI}\"\nk = \"{}\"\nopc = \"{}\"\nspn = \"teuicc\"\nname = \"Demo\"\n",
        hex::encode(k),
        hex::encode(opc)
    );
    std::fs::write(&description, text).with_context(|| format!("writing {}", description.display()))?;
    let profile = NewProfile::from_file(&description, Metadata::default())?;
    let code = runtime.block_on(async {
        let iccid = smdp.add_profile(&profile).await?;
        smdp.order(&OrderOptions { iccid: Some(iccid), ..OrderOptions::default() }).await
    })?;
    Ok((code.to_string(), Subscriber::new(k, opc, 0)))
}

/// A modem with the card in it.
struct Attachment {
    modem: Modem<Box<dyn ModemSide + Send>>,
    bridge: Running,
}

impl Attachment {
    fn new(interface: Kind, slot: &Slot) -> anyhow::Result<Self> {
        let Attached { modem, bridge } = interface.attach(slot).context("giving the card to the modem")?;
        Ok(Attachment { modem: Modem::new(modem, ModemOptions::default()), bridge })
    }

    fn boot(&mut self, iccid: Iccid) -> anyhow::Result<BootReport> {
        let report = self.modem.boot().context("the modem's boot")?;
        if report.iccid != iccid.to_string() || report.imsi != IMSI {
            bail!(
                "the modem found ICCID {} and IMSI {}: not the profile that was installed",
                report.iccid,
                report.imsi
            );
        }
        Ok(report)
    }

    /// Takes the card away. How many TPDUs the modem sent in all.
    fn detach(mut self) -> anyhow::Result<u64> {
        self.bridge.ask_to_end();
        let modem = self.modem.transport();
        modem.await_removal(REMOVAL).and_then(|()| modem.part()).context("the card's leaving")?;
        self.bridge.join().context("the bridge to the modem")?;
        Ok(self.modem.tpdus())
    }
}

/// The network has lost count: its challenge is stale, the card answers AUTS, and the network catches up.
fn resynchronize<T: Transport>(modem: &mut Modem<T>, subscriber: &mut Subscriber) -> anyhow::Result<()> {
    let newest = subscriber.sqn();
    subscriber.set_sqn(0);
    let stale = subscriber.challenge_with(random()?, newest);
    let answer = modem.authenticate(&stale.rand, &stale.autn)?;
    let Authentication::SynchronisationFailure(auts) = answer else {
        bail!("the card took a sequence number that it had seen: {answer:?}");
    };
    if !subscriber.resynchronise(&stale, &auts) {
        bail!("AUTS does not come from this card");
    }
    let challenge = subscriber.challenge(random()?);
    let answer = modem.authenticate(&challenge.rand, &challenge.autn)?;
    if !challenge.accepts(&answer) {
        bail!("after the resynchronization the card still answers {answer:?}");
    }
    Ok(())
}

fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system's random source")?;
    Ok(bytes)
}
