//! Readers and an LPA that are not ours: opensc-tool, pcsc-tools, lpac.

use crate::common::{Machine, Outcome, Started, description, run, run_with};
use crate::pcsc::{
    Pcsc, READER, Steps, await_card, await_iccid, ef_imsi, imsi, personalize_sgp26, published, scriptor, wanted,
};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const FIRST: Subscription = Subscription { iccid: "8988211000000000011", imsi: "001010000000001", name: "First" };
const SECOND: Subscription = Subscription { iccid: "8988211000000000024", imsi: "001010000000002", name: "Second" };
const GUARDED: Subscription = Subscription { iccid: "8988211000000000032", imsi: "001010000000003", name: "Guarded" };

struct Subscription {
    iccid: &'static str,
    imsi: &'static str,
    name: &'static str,
}

/// lpac, an LPA that is not ours.
struct Lpac<'a>(&'a Machine);

/// What lpac ended with.
struct Verdict {
    code: i64,
    message: String,
    data: Value,
    outcome: Outcome,
}

impl Lpac<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let program = std::env::var_os("TEUICC_LPAC").expect("TEUICC_LPAC names the command that runs lpac");
        let mut command = self.0.command(Path::new(&program).to_str().unwrap());
        command.args(arguments).env("LPAC_APDU", "pcsc").env("LPAC_HTTP", "curl").env("LPAC_APDU_PCSC_DRV_IFID", "0");
        command
    }

    fn run(&self, arguments: &[&str]) -> Verdict {
        Verdict::of(run(&mut self.command(arguments)))
    }

    /// Panics unless it works. What it gives.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> Value {
        let verdict = self.run(arguments);
        assert!(verdict.code == 0, "lpac should have done this:\n{}", verdict.outcome.describe());
        verdict.data
    }

    /// Panics unless it fails in this function with data that has each of `parts` in it.
    #[track_caller]
    fn refused(&self, arguments: &[&str], function: &str, parts: &[&str]) {
        let verdict = self.run(arguments);
        let data = verdict.data.as_str().unwrap_or_default();
        let as_expected = verdict.code == -1 && verdict.message == function && parts.iter().all(|p| data.contains(p));
        assert!(as_expected, "lpac should have failed in {function} with {parts:?}:\n{}", verdict.outcome.describe());
    }

    /// ICCID, state and nickname of each profile.
    #[track_caller]
    fn profiles(&self) -> Vec<(String, String, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let listed = self.ok(&["profile", "list"]);
        let profiles = listed.as_array().unwrap().iter().map(|profile| {
            let (iccid, state) = (text(&profile["iccid"]).unwrap(), text(&profile["profileState"]).unwrap());
            (iccid, state, text(&profile["profileNickname"]))
        });
        profiles.collect()
    }

    /// Sequence number, operation and ICCID of each notification.
    #[track_caller]
    fn notifications(&self) -> Vec<(u64, String, String)> {
        let listed = self.ok(&["notification", "list"]);
        let notifications = listed.as_array().unwrap().iter().map(|notification| {
            let text = |name: &str| notification[name].as_str().unwrap().to_owned();
            (notification["seqNumber"].as_u64().unwrap(), text("profileManagementOperation"), text("iccid"))
        });
        notifications.collect()
    }
}

impl Verdict {
    /// Reads the last object, which lpac marks with type "lpa".
    #[track_caller]
    fn of(outcome: Outcome) -> Verdict {
        let objects = outcome.objects();
        let last = objects.iter().find(|object| object["type"] == "lpa").map(|object| object["payload"].clone());
        let payload = last.unwrap_or_else(|| panic!("lpac gave no result:\n{}", outcome.describe()));
        Verdict {
            code: payload["code"].as_i64().unwrap(),
            message: payload["message"].as_str().unwrap().to_owned(),
            data: payload["data"].clone(),
            outcome,
        }
    }
}

fn state(subscription: &Subscription, state: &str, nickname: Option<&str>) -> (String, String, Option<String>) {
    (subscription.iccid.into(), state.into(), nickname.map(Into::into))
}

/// Adds a profile to the SM-DP+.
fn offer(machine: &Machine, subscription: &Subscription) {
    machine.offer(description(subscription.iccid, subscription.imsi, subscription.name));
}

/// The newest order of a profile at the SM-DP+: its state.
fn order_state(machine: &Machine, iccid: &str) -> String {
    let listed = machine.teuicc(&["--json", "smdp", "list"]).ok().objects();
    let order = listed.iter().rfind(|object| object["order"].is_u64() && object["iccid"] == iccid);
    order.unwrap_or_else(|| panic!("no order of {iccid}: {listed:?}"))["state"].as_str().unwrap().to_owned()
}

/// Panics unless readers see the card, its ATR checks, and T=0 is its only protocol.
fn check_atr(machine: &Machine) {
    let colons = run(machine.command("opensc-tool").args(["--reader", "0", "--atr"])).ok().stdout;
    let atr = colons.trim().replace(':', " ").to_uppercase();
    assert!(atr.starts_with("3B "), "opensc-tool says that the ATR is {atr:?}");
    let scan = run(machine.command("pcsc_scan").args(["-n", "-t", "1"])).stdout;
    assert!(
        scan.contains("Card inserted") && scan.contains(&atr),
        "pcsc_scan should see a card with ATR {atr}:\n{scan}"
    );
    // The list of known cards is asked for from the network, if there is none.
    std::fs::create_dir_all(machine.folder().join(".cache")).unwrap();
    machine.write(".cache/smartcard_list.txt", "");
    let mut command = machine.command("ATR_analysis");
    command.arg(&atr).env("HOME", machine.folder()).env("XDG_CACHE_HOME", machine.folder().join(".cache"));
    let analysis = run(&mut command).stdout;
    assert!(analysis.contains("Protocol T = 0"), "ATR_analysis should find T=0:\n{analysis}");
    assert!(!analysis.contains("Protocol T = 1 "), "ATR_analysis should not find T=1:\n{analysis}");
    assert!(analysis.contains("correct checksum"), "ATR_analysis should find the checksum correct:\n{analysis}");
    let t1 = run_with(machine.command("scriptor").args(["-r", READER, "-p", "T=1"]), "00 A4 00 04 02 3F 00");
    assert!(t1.stderr.contains("protocol mismatch"), "a session over T=1 should be refused:\n{}", t1.describe());
    let selected = scriptor(machine, &["00 A4 00 04 02 3F 00"]).unwrap();
    assert_eq!(selected[0].first(), Some(&0x61), "over T=0 a SELECT with a response answers 61xx: {selected:02x?}");
}

#[test]
fn readers_and_lpac_use_the_card() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    let machine = Machine::new();
    let lpac = Lpac(&machine);

    steps.step("pcscd with an empty virtual reader");
    let _pcsc = Pcsc::start(&machine);
    await_card(&machine, false);

    steps.step("a card without identity: readers see it, lpac says that it is no eUICC yet");
    let daemon = machine.daemon(&[]);
    await_card(&machine, true);
    check_atr(&machine);
    assert_ne!(lpac.run(&["chip", "info"]).code, 0, "a card without identity has no EID to show");

    steps.step("personalized, no profile: readers see it, lpac reads the EID");
    machine.teuicc(&["pki"]).ok();
    let eid = machine.teuicc(&["--json", "card", "personalize"]).ok().object()["eid"].clone();
    check_atr(&machine);
    await_iccid(&machine, None);
    let info = lpac.ok(&["chip", "info"]);
    assert_eq!(info["eidValue"], eid, "lpac's EID");
    assert_eq!(info["EUICCInfo2"]["svn"], "2.5.0");
    assert_eq!(info["EUICCInfo2"]["euiccCiPKIdListForVerification"].as_array().unwrap().len(), 2);
    assert_eq!(lpac.profiles(), []);
    assert_eq!(lpac.notifications(), []);

    steps.step("lpac sets the default SM-DP+");
    lpac.ok(&["chip", "defaultsmdp", "smdp.example"]);
    assert_eq!(lpac.ok(&["chip", "info"])["EuiccConfiguredAddresses"]["defaultDpAddress"], "smdp.example");

    steps.step("lpac downloads a profile by its activation code");
    let (smdp, address) = machine.smdp(&[]);
    offer(&machine, &FIRST);
    let code = machine.order(FIRST.iccid, &[]);
    assert_eq!(order_state(&machine, FIRST.iccid), "released");
    lpac.ok(&["profile", "download", "-a", &code]);
    assert_eq!(lpac.profiles(), [state(&FIRST, "disabled", None)]);
    assert_eq!(lpac.notifications(), [(0, "install".into(), FIRST.iccid.into())]);
    await_iccid(&machine, None);

    steps.step("lpac names and enables it; the modem's side sees the switch");
    lpac.ok(&["profile", "nickname", FIRST.iccid, "Work phone"]);
    lpac.ok(&["profile", "enable", FIRST.iccid]);
    assert_eq!(lpac.profiles(), [state(&FIRST, "enabled", Some("Work phone"))]);
    await_iccid(&machine, Some(FIRST.iccid));
    assert_eq!(imsi(&machine), ef_imsi(FIRST.imsi));
    lpac.refused(&["profile", "enable", FIRST.iccid], "es10c_enable_profile", &["not in disabled state"]);

    steps
        .step("lpac downloads a second one by server and matching ID, while our LPA lists profiles through the daemon");
    offer(&machine, &SECOND);
    machine.order(SECOND.iccid, &["--matching-id", "SECOND-1"]);
    let download = ["profile", "download", "-s", &address, "-m", "SECOND-1"];
    let mut download = Started::new(&mut lpac.command(&download), "");
    let mut listed = 0;
    while download.running() {
        let objects = machine.teuicc(&["--json", "lpa", "list"]).ok().objects();
        assert_eq!(objects[0]["iccid"], FIRST.iccid, "our LPA's list beside lpac's download");
        listed += 1;
    }
    let verdict = Verdict::of(download.wait());
    assert!(verdict.code == 0, "lpac's download beside our LPA should have worked:\n{}", verdict.outcome.describe());
    assert!(listed > 1, "lpac was done before our LPA had listed twice");
    assert_eq!(lpac.profiles(), [state(&FIRST, "enabled", Some("Work phone")), state(&SECOND, "disabled", None)]);
    await_iccid(&machine, Some(FIRST.iccid));

    steps.step("lpac switches with and without a refresh, by ICCID and by AID; the modem's side sees each");
    lpac.ok(&["profile", "enable", SECOND.iccid, "0"]);
    await_iccid(&machine, Some(SECOND.iccid));
    assert_eq!(imsi(&machine), ef_imsi(SECOND.imsi));
    let aid = lpac.ok(&["profile", "list"])[0]["isdpAid"].as_str().unwrap().to_owned();
    lpac.ok(&["profile", "enable", &aid, "1"]);
    await_iccid(&machine, Some(FIRST.iccid));
    assert_eq!(imsi(&machine), ef_imsi(FIRST.imsi));

    steps.step("our LPA switches; the modem's side sees that too");
    machine.teuicc(&["lpa", "enable", SECOND.iccid]).ok();
    await_iccid(&machine, Some(SECOND.iccid));

    steps.step("lpac deletes no enabled profile; it disables and deletes");
    lpac.refused(&["profile", "delete", SECOND.iccid], "es10c_delete_profile", &["not in disabled state"]);
    lpac.ok(&["profile", "disable", SECOND.iccid]);
    await_iccid(&machine, None);
    lpac.refused(&["profile", "disable", SECOND.iccid], "es10c_disable_profile", &["not in enabled state"]);
    lpac.ok(&["profile", "delete", SECOND.iccid]);
    assert_eq!(lpac.profiles(), [state(&FIRST, "disabled", Some("Work phone"))]);
    lpac.refused(&["profile", "delete", SECOND.iccid], "es10c_delete_profile", &["not found"]);

    steps.step("lpac lists, sends and removes notifications; the SM-DP+ has them");
    let pending = lpac.notifications();
    let operations: Vec<_> = pending.iter().map(|(number, operation, _)| (*number, operation.as_str())).collect();
    let switches =
        ["enable", "install", "disable", "enable", "disable", "enable", "disable", "enable", "disable", "delete"];
    let expected: Vec<_> = (0..).zip(["install"].into_iter().chain(switches)).collect();
    assert_eq!(operations, expected, "in the order in which it happened");
    lpac.ok(&["notification", "process", "1"]);
    assert_eq!(lpac.notifications(), pending, "sent is not removed");
    lpac.ok(&["notification", "remove", "1"]);
    lpac.ok(&["notification", "process", "-r", "2"]);
    // lpac 2.3.0 takes no 0 for a sequence number: the first one waits for those that are sent all together.
    assert_eq!(lpac.notifications(), [&pending[..1], &pending[3..]].concat());
    assert_eq!(received(&machine, &eid), [1, 2]);
    assert_eq!(order_state(&machine, FIRST.iccid), "downloaded", "its installation is not known yet");
    assert_eq!(order_state(&machine, SECOND.iccid), "installed");
    lpac.ok(&["notification", "process", "-a", "-r"]);
    assert_eq!(lpac.notifications(), []);
    assert_eq!(received(&machine, &eid), (0..=10).collect::<Vec<_>>());
    assert_eq!(order_state(&machine, FIRST.iccid), "installed");
    let deleted = machine.teuicc(&["--json", "smdp", "list"]).ok().objects();
    let deleted = deleted.iter().find(|object| object["profile"] == SECOND.iccid).unwrap();
    assert_eq!(deleted["state"], "deleted", "the SM-DP+ follows the notifications");

    steps.step("a wrong matching ID: lpac shows the server's words, our LPA also subject and reason code");
    let wrong = format!("LPA:1${address}$NO-SUCH-ORDER");
    let words = "there is no order with this matching ID";
    lpac.refused(
        &["profile", "download", "-a", &wrong],
        "es9p_authenticate_client",
        &["matching ID is refused", words],
    );
    machine.teuicc(&["lpa", "download", "--yes", &wrong]).refused(&["8.2.6", "3.8", words]);

    steps.step("confirmation codes: none, a wrong one, the right one");
    offer(&machine, &GUARDED);
    let guarded = machine.order(GUARDED.iccid, &["--confirmation-code", "2024"]);
    lpac.refused(&["profile", "download", "-a", &guarded], "confirmation_code", &["required"]);
    assert_eq!(order_state(&machine, GUARDED.iccid), "released", "no code, no attempt");
    let arguments = ["profile", "download", "-a", &guarded, "-c", "1111"];
    lpac.refused(
        &arguments,
        "es9p_get_bound_profile_package",
        &["confirmation code is refused", "2 attempts are left"],
    );
    // lpac then cancels the session as if its user had refused the profile; the order is for the next attempt.
    assert_eq!(order_state(&machine, GUARDED.iccid), "released");
    lpac.ok(&["profile", "download", "-a", &guarded, "-c", "2024"]);
    assert_eq!(lpac.profiles(), [state(&FIRST, "disabled", Some("Work phone")), state(&GUARDED, "disabled", None)]);

    steps.step("a profile that the card has is not installed again, and stays as it is");
    let again = machine.order(FIRST.iccid, &[]);
    let reason = "install_failed_due_to_iccid_already_exists_on_euicc";
    lpac.refused(&["profile", "download", "-a", &again], "es10b_load_bound_profile_package", &[reason]);
    assert_eq!(lpac.profiles()[0], state(&FIRST, "disabled", Some("Work phone")));

    steps.step("lpac asks nobody whom it trusts, our LPA does: a server of another CI is refused");
    let stranger = Machine::new();
    stranger.teuicc(&["pki"]).ok();
    let other_ci = stranger.home().join("pki/ci-nist.pem");
    let offered = machine.order(SECOND.iccid, &[]);
    let arguments = ["lpa", "--ci", other_ci.to_str().unwrap(), "download", "--yes", &offered];
    machine.teuicc(&arguments).refused(&["certificate"]);
    assert_eq!(order_state(&machine, SECOND.iccid), "released", "a refused server has used up no order");

    steps.step("lpac purges the card; the modem's side sees no profile");
    lpac.ok(&["profile", "enable", FIRST.iccid]);
    await_iccid(&machine, Some(FIRST.iccid));
    lpac.ok(&["chip", "purge", "yes"]);
    assert_eq!(lpac.profiles(), []);
    await_iccid(&machine, None);
    lpac.ok(&["notification", "process", "-a", "-r"]);
    assert_eq!(lpac.notifications(), []);

    steps.step("the SM-DP+ and the daemon end; the card is out of the reader, and back with the next daemon");
    assert!(smdp.stop().success(), "the SM-DP+ ends in order");
    assert!(daemon.stop().success(), "the daemon ends in order");
    await_card(&machine, false);
    let _daemon = machine.daemon(&[]);
    await_card(&machine, true);
    assert_eq!(lpac.ok(&["chip", "info"])["eidValue"], eid);
    steps.step("done");
}

/// The numbers of the notifications that the SM-DP+ has of this card.
fn received(machine: &Machine, eid: &Value) -> Vec<u64> {
    let listed = machine.teuicc(&["--json", "smdp", "list"]).ok().objects();
    let of_card = listed.iter().filter(|object| object["eid"] == *eid);
    let mut numbers: Vec<_> = of_card.filter_map(|object| object["notification"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn lpac_installs_a_published_test_profile_under_the_published_test_identity() {
    if !wanted() {
        return;
    }
    let Some(data) = published() else { return };
    let steps = Steps::start();
    let machine = Machine::new();
    let lpac = Lpac(&machine);

    steps.step("a card with the SGP.26 identity on both curves");
    let _pcsc = Pcsc::start(&machine);
    let _daemon = machine.daemon(&[]);
    await_card(&machine, true);
    personalize_sgp26(&machine, &data);
    let info = lpac.ok(&["chip", "info"]);
    assert_eq!(info["eidValue"], "89049032123451234512345678901235");
    assert_eq!(info["EUICCInfo2"]["euiccCiPKIdListForSigning"].as_array().unwrap().len(), 2);

    steps.step("an SM-DP+ with the SGP.26 certificates offers a TS.48 profile");
    let sgp26 = data.join("sgp26");
    let identity = ["--pki", sgp26.to_str().unwrap()];
    let (_smdp, _) = machine.smdp(&identity);
    let package = data.join("ts48/TS48v5_SAIP2.3_BERTLV_SUCI.der");
    let added = [&["--json", "smdp", "add-profile", package.to_str().unwrap()], &identity[..]].concat();
    let iccid = machine.teuicc(&added).ok().object()["iccid"].as_str().unwrap().to_owned();
    let code = machine.order(&iccid, &identity);

    steps.step("lpac downloads and enables it; the modem's side reads its ICCID and IMSI");
    lpac.ok(&["profile", "download", "-a", &code]);
    lpac.ok(&["profile", "enable", &iccid]);
    assert_eq!(iccid, "89000123456789012341");
    await_iccid(&machine, Some(&iccid));
    assert_eq!(hex::encode(imsi(&machine)), "080910101032540636", "EF.IMSI of the published package: 001010123456063");
    steps.step("done");
}
