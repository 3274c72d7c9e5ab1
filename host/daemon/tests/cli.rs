//! The commands as a user meets them: help, the demo, bad input, damaged state, and ends that nobody planned.

mod common;

use common::{Machine, TEUICC, TEUICCD, description, run, run_with};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

const ICCID: &str = "8988211000000000011";
const OTHER_ICCID: &str = "8988211000000000024";

/// Calls `visit` with the help of a command and of each of its subcommands.
fn walk_help(program: &str, path: &mut Vec<String>, visit: &mut impl FnMut(&[String], &str)) {
    let help = run(Command::new(program).args(&*path).arg("--help")).ok().stdout;
    visit(path, &help);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for name in commands.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        path.push(name.to_owned());
        walk_help(program, path, visit);
        path.pop();
    }
}

#[test]
fn every_command_has_help_and_each_that_does_something_an_example() {
    let mut seen = Vec::new();
    for program in [TEUICC, TEUICCD] {
        walk_help(program, &mut Vec::new(), &mut |path, help| {
            let name = path.join(" ");
            assert!(help.contains("Usage:"), "{program} {name}: no usage");
            let group = help.contains("\nCommands:\n") && !path.is_empty();
            assert!(group || help.contains("Example"), "{program} {name} --help has no example:\n{help}");
            seen.push(name);
        });
    }
    for name in [
        "demo",
        "pki",
        "smdp serve",
        "card personalize",
        "lpa download",
        "lpa notifications process",
        "slot json",
        "bench slot",
    ] {
        assert!(seen.iter().any(|seen| seen == name), "teuicc {name} is not in the help: {seen:?}");
    }
}

/// The demo's steps as (name, object).
fn demo(machine: &Machine, arguments: &[&str]) -> Vec<Value> {
    let temporary = machine.folder().join("temporary");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = machine.command(TEUICC);
    let steps = run(command.args(["demo", "--json"]).args(arguments).env("TMPDIR", &temporary)).ok().objects();
    assert_eq!(entries(&temporary), Vec::<PathBuf>::new(), "the demo left something behind");
    assert!(!machine.home().exists(), "the demo has nothing to do with the home");
    steps
}

#[test]
fn the_demo_prints_an_object_a_step_and_leaves_nothing_behind() {
    let machine = Machine::new();
    let steps = demo(&machine, &[]);
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    let expected = [
        "pki",
        "personalize",
        "smdp",
        "order",
        "download",
        "enable",
        "attach",
        "aka",
        "resynchronize",
        "shutdown",
        "demo",
    ];
    assert_eq!(names, expected);
    for step in &steps {
        assert_eq!(step["ok"], true, "{step}");
        assert!(step["ms"].is_u64(), "{step}");
    }
    let made = |step: &str, field: &str| {
        let step = steps.iter().find(|object| object["step"] == step).unwrap();
        assert!(!step[field].is_null(), "{field} is not in {step}");
        step[field].clone()
    };
    assert_eq!(made("personalize", "eid").as_str().unwrap().len(), 32);
    assert!(made("order", "activation_code").as_str().unwrap().starts_with("LPA:1$localhost:"));
    assert_eq!(made("order", "iccid"), made("attach", "iccid"));
    assert_eq!(made("order", "imsi"), made("attach", "imsi"));
    assert!(made("attach", "apdus").as_u64().unwrap() > 100);
    assert!(made("download", "store_writes").as_u64().unwrap() > 0);
}

#[test]
fn the_demo_keeps_its_state_where_it_is_told_to() {
    let machine = Machine::new();
    let kept = machine.folder().join("kept");
    let steps = demo(&machine, &["--keep", kept.to_str().unwrap()]);
    let iccid = steps.iter().find(|step| step["step"] == "order").unwrap()["iccid"].clone();
    let profile = machine.teuicc(&["--home", kept.to_str().unwrap(), "--json", "lpa", "list"]).ok().object();
    assert_eq!((&profile["iccid"], &profile["enabled"]), (&iccid, &Value::Bool(true)));

    let before = snapshot(&kept);
    machine.teuicc(&["demo", "--keep", kept.to_str().unwrap()]).refused(&["kept is not empty"]);
    assert_eq!(snapshot(&kept), before, "a folder that is not empty must stay as it is");
}

#[test]
fn a_missing_pki_is_named_with_the_command_that_makes_one() {
    let machine = Machine::new();
    machine.teuicc(&["card", "personalize"]).refused(&["share/teuicc/pki", "teuicc pki"]);
    for arguments in
        [&["smdp", "list"][..], &["smdp", "serve"], &["smdp", "order", ICCID], &["smdp", "add-profile", "x"]]
    {
        machine.teuicc(arguments).refused(&["share/teuicc/pki", "teuicc pki"]);
    }
    assert!(!machine.home().join("smdp").exists(), "a refused command made an SM-DP+");
    machine.teuicc(&["pki"]).ok();
    machine.teuicc(&["card", "personalize"]).ok();
    fs::rename(machine.home().join("pki"), machine.home().join("elsewhere")).unwrap();
    machine.teuicc(&["lpa", "download", "--yes", "LPA:1$localhost:1$X"]).refused(&["--ci", "teuicc pki"]);
}

#[test]
fn a_pki_that_lacks_a_file_names_the_file_once() {
    let machine = Machine::personalized();
    let missing = machine.home().join("pki/dpauth-nist.der");
    fs::remove_file(&missing).unwrap();
    let outcome = machine.teuicc(&["smdp", "list"]);
    outcome.refused(&[missing.to_str().unwrap(), "No such file"]);
    assert_eq!(outcome.stderr.matches("No such file").count(), 1, "{}", outcome.stderr);
}

#[test]
fn a_pki_is_never_made_over_another() {
    let machine = Machine::personalized();
    let before = snapshot(&machine.home().join("pki"));
    machine.teuicc(&["pki"]).refused(&["share/teuicc/pki", "not empty"]);
    assert_eq!(snapshot(&machine.home().join("pki")), before);
}

#[test]
fn a_card_without_identity_says_what_to_do() {
    let machine = Machine::new();
    for arguments in [&["info"][..], &["list"], &["download", "LPA:1$localhost:1$X"], &["enable", ICCID]] {
        machine.teuicc(&[&["lpa"], arguments].concat()).refused(&["not personalized", "teuicc card personalize"]);
    }
    let status = machine.teuicc(&["--json", "card", "status"]).ok().object();
    assert_eq!((&status["ok"], &status["eid"]), (&Value::Bool(true), &Value::Null));
}

#[test]
fn a_card_is_personalized_once() {
    let machine = Machine::personalized();
    let status = || machine.teuicc(&["--json", "card", "status"]).ok().object();
    let before = status();
    machine.teuicc(&["card", "personalize"]).refused(&["personalized already"]);
    assert_eq!(status(), before);
}

#[test]
fn a_card_in_use_names_its_owner() {
    let machine = Machine::personalized();
    let daemon = machine.daemon(&["--no-modem"]);
    let owner = format!("in use by teuiccd (pid {})", daemon.id());
    machine.teuiccd(&["--no-modem"]).refused(&[machine.home().join("card").to_str().unwrap(), &owner]);
    // The one that was refused took nothing from the one that runs.
    machine.teuicc(&["lpa", "info"]).ok();
}

#[test]
fn the_socket_is_for_its_owner_alone_and_goes_with_the_daemon() {
    let machine = Machine::personalized();
    let daemon = machine.daemon(&["--no-modem"]);
    let socket = machine.home().join("teuiccd.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let through_the_daemon = machine.teuicc(&["--json", "lpa", "info"]).ok().object();
    assert!(daemon.stop().success(), "SIGTERM is an orderly end");
    assert!(!socket.exists(), "the socket outlived the daemon");
    assert_eq!(machine.teuicc(&["--json", "lpa", "info"]).ok().object(), through_the_daemon);
}

#[test]
fn a_daemon_that_was_killed_hinders_nobody() {
    let machine = Machine::personalized();
    machine.daemon(&["--no-modem"]).kill();
    assert!(machine.home().join("teuiccd.sock").exists(), "nothing to clean up: this test tests nothing");
    machine.teuicc(&["lpa", "info"]).ok();
    let daemon = machine.daemon(&["--no-modem"]);
    machine.teuicc(&["lpa", "info"]).ok();
    daemon.kill();
    machine.daemon(&["--no-modem"]);
}

#[test]
fn a_broken_configuration_names_file_and_setting() {
    let machine = Machine::new();
    let cases = [
        ("vpcd = ", &["bad.toml", "line 1"][..]),
        ("refresh_timeout = 5\nmodme = \"none\"", &["bad.toml", "line 2", "modme", "expected one of", "modem"]),
        ("[modem]\ninterface = \"smoke\"", &["bad.toml", "smoke", "expected one of", "vpcd"]),
        ("refresh_timeout = \"soon\"", &["bad.toml", "line 1", "refresh_timeout"]),
        ("refresh_timeout = 0", &["refresh_timeout", "1 to 600 seconds"]),
        ("refresh_timeout = 601", &["refresh_timeout", "1 to 600 seconds"]),
        ("refresh_timeout = -1", &["bad.toml", "line 1"]),
        ("\0", &["bad.toml", "line 1"]),
    ];
    for (text, parts) in cases {
        let file = machine.write("bad.toml", text);
        machine.teuiccd(&["--no-modem", "--config", file.to_str().unwrap()]).refused(parts);
    }
    let file = machine.write("bad.toml", [0xFF, 0xFE]);
    machine.teuiccd(&["--config", file.to_str().unwrap()]).refused(&["bad.toml"]);
    machine.teuiccd(&["--config", "missing.toml"]).refused(&["missing.toml", "No such file"]);
    machine.teuiccd(&["--config", "/"]).refused(&["reading /"]);
    assert!(!machine.home().exists(), "a daemon that did not start made a card");
    let file = machine.write("good.toml", format!("home = {:?}", machine.folder().join("other")));
    let mut command = machine.command(TEUICCD);
    command.env_remove("TEUICC_HOME").args(["--no-modem", "--config"]).arg(file);
    let mut daemon = common::Background::start(&mut command, &machine.folder().join("teuiccd.log"));
    daemon.await_text("card is in the slot");
    assert!(machine.folder().join("other/teuiccd.sock").exists());
}

/// A card with two profiles, one enabled: every kind of object is in its folder.
fn used_card() -> Machine {
    let machine = Machine::personalized();
    let (_server, _) = machine.smdp(&[]);
    for (iccid, imsi) in [(ICCID, "001010000000001"), (OTHER_ICCID, "001010000000002")] {
        let file = machine.write("profile.toml", description(iccid, imsi, "Damage"));
        machine.teuicc(&["smdp", "add-profile", file.to_str().unwrap()]).ok();
        let code = machine.teuicc(&["smdp", "order", iccid]).ok().stdout;
        machine.teuicc(&["lpa", "download", "--yes", code.trim()]).ok();
    }
    machine.teuicc(&["lpa", "enable", ICCID]).ok();
    machine
}

#[test]
fn damage_to_any_stored_file_is_named_and_nothing_is_overwritten() {
    let machine = used_card();
    let card = machine.home().join("card");
    let files: Vec<_> = entries(&card).into_iter().filter(|file| !file.ends_with("lock")).collect();
    assert!(files.len() >= 6, "key, identity, registry and the profiles' objects: {files:?}");
    let good = snapshot(&card);
    for file in files {
        let name = file.to_str().unwrap();
        let whole = fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for (what, damaged) in [("emptied", &[][..]), ("cut in half", &whole[..whole.len() / 2]), ("one bit", &flipped)]
        {
            fs::write(&file, damaged).unwrap();
            let listed = machine.teuicc(&["lpa", "list"]);
            // With another key no object can be read: then the first of them is named.
            let named = if what == "one bit" && name.ends_with("/key") { card.to_str().unwrap() } else { name };
            if listed.succeeded() {
                // What belongs to a disabled profile alone is looked at when that is enabled; without what belongs to
                // the enabled one the card works on, and another one can be enabled.
                let enabled = machine.teuicc(&["lpa", "enable", OTHER_ICCID]);
                if enabled.succeeded() {
                    listed.warned(&["damaged", named, "enable another one"]);
                } else {
                    enabled.refused(&["damaged", named]);
                }
            } else {
                listed.refused(&["damaged", named]);
            }
            assert_eq!(fs::read(&file).unwrap(), damaged, "{name} {what}: it was overwritten");
            good.iter().for_each(|(path, content)| fs::write(path, content).unwrap());
            assert_eq!(snapshot(&card), good, "{name} {what}: files were added");
        }
    }
    machine.teuicc(&["lpa", "enable", OTHER_ICCID]).ok();
    fs::write(card.join("object-rg"), "").unwrap();
    machine.teuiccd(&["--no-modem"]).refused(&["damaged", "object-rg"]);
}

#[test]
fn a_lost_key_or_object_is_not_replaced_by_an_empty_one() {
    let machine = used_card();
    let card = machine.home().join("card");
    for file in entries(&card).into_iter().filter(|file| !file.ends_with("lock")) {
        let hidden = machine.folder().join("hidden");
        fs::rename(&file, &hidden).unwrap();
        let before = snapshot(&card);
        let listed = machine.teuicc(&["lpa", "list"]);
        if !listed.succeeded() {
            listed.error();
        } else if !listed.stderr.contains("damaged") {
            machine.teuicc(&["lpa", "enable", OTHER_ICCID]).error();
        }
        machine.teuicc(&["card", "personalize"]).error();
        assert_eq!(snapshot(&card), before, "without {}", file.display());
        fs::rename(&hidden, &file).unwrap();
    }
    assert_eq!(machine.teuicc(&["--json", "lpa", "list"]).ok().objects().len(), 2);
}

#[test]
fn a_state_folder_that_others_can_write_or_whose_key_they_can_read_is_refused() {
    let machine = Machine::personalized();
    let card = machine.home().join("card");
    fs::set_permissions(&card, fs::Permissions::from_mode(0o777)).unwrap();
    machine.teuicc(&["lpa", "info"]).refused(&[card.to_str().unwrap(), "chmod go-w"]);
    fs::set_permissions(&card, fs::Permissions::from_mode(0o700)).unwrap();
    let key = card.join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    machine.teuicc(&["lpa", "info"]).refused(&[key.to_str().unwrap(), "644"]);
}

#[test]
fn a_bad_activation_code_says_what_is_wrong_with_it() {
    let machine = Machine::personalized();
    let long = format!("LPA:1${}$X", "a".repeat(300));
    let cases = [
        ("", "LPA:1$"),
        ("hello", "LPA:1$"),
        ("LPA:1", "LPA:1$"),
        ("LPA:2$localhost$X", "format \"2\""),
        ("LPA:1$$X", "SM-DP+ address"),
        ("LPA:1$local host$X", "SM-DP+ address"),
        ("LPA:1$user@host$X", "SM-DP+ address"),
        ("LPA:1$localhost/path$X", "SM-DP+ address"),
        ("LPA:1$localhost:notaport$X", "SM-DP+ address"),
        ("LPA:1$localhost$X Y", "field 3"),
        ("LPA:1$localhost$X$not.an.oid", "field 4"),
        ("LPA:1$localhost$X$1.3.6$2", "field 5"),
        ("LPA:1$a$b$1.2.3$1$f$g", "fields"),
        (&long, "activation code"),
    ];
    for (code, part) in cases {
        machine.teuicc(&["lpa", "download", "--yes", code]).refused(&["activation code", part]);
    }
    let refused = machine.teuicc(&["--json", "lpa", "download", "--yes", "LPA:1$$X"]);
    refused.error();
    let object = refused.object();
    assert_eq!(object["ok"], false);
    assert!(object["error"].as_str().unwrap().contains("SM-DP+ address"), "{object}");
    machine.teuicc(&["lpa", "download", "--yes", "LPA:1$localhost:1$X"]).refused(&["localhost:1", "cannot connect"]);
}

#[test]
fn a_bad_profile_description_names_file_line_and_field_but_no_key() {
    let machine = Machine::personalized();
    let good = description(ICCID, "001010000000001", "Bad input");
    let key = "465b5ce8b199b49faa5f0a2ee238a6bc";
    let cases = [
        (good.replace(key, &key[1..]), &["line 3", "k:", "32 hexadecimal digits"][..]),
        (good.replace("k = ", "kk = "), &["line 3", "kk"]),
        (good.replace("001010000000001", "0010100000000O1"), &["imsi"]),
        (good.replace(ICCID, "8988"), &["iccid"]),
        (good.replace("spn = ", "pin = 1234\nspn = "), &["line 5", "pin"]),
        (good.replace("spn = ", "op = \"cd63cb71954a9f4e48a5994e37a02baf\"\nspn = "), &["opc"]),
        (good.replace("spn = \"", "spn = "), &["line 5"]),
        (good.replace("imsi", "imsi = \"1\"\nimsi"), &["line 3", "imsi"]),
        (String::new(), &["iccid"]),
    ];
    for (text, parts) in cases {
        let file = machine.write("bad.toml", &text);
        let refused = machine.teuicc(&["smdp", "add-profile", file.to_str().unwrap()]);
        refused.refused(&[&["bad.toml"], parts].concat());
        assert!(!refused.stderr.contains(&key[1..]), "the key is in the error:\n{}", refused.stderr);
    }
    let file = machine.write("bad.der", [0x30, 0x00]);
    machine.teuicc(&["smdp", "add-profile", file.to_str().unwrap()]).refused(&["bad.der", "element 0"]);
    let file = machine.write("bad.txt", &good);
    machine.teuicc(&["smdp", "add-profile", file.to_str().unwrap()]).refused(&["bad.txt"]);
    machine.teuicc(&["smdp", "add-profile", "missing.toml"]).refused(&["missing.toml", "No such file"]);
    assert_eq!(machine.teuicc(&["--json", "smdp", "list"]).ok().stdout, "", "a refused profile was added");
    let file = machine.write("good.toml", &good);
    machine.teuicc(&["smdp", "add-profile", file.to_str().unwrap()]).ok();
    machine.teuicc(&["smdp", "add-profile", file.to_str().unwrap()]).refused(&[ICCID]);
}

#[test]
fn bad_arguments_are_refused_before_anything_happens() {
    let machine = Machine::personalized();
    let before = snapshot(&machine.home().join("pki"));
    machine.teuicc(&["lpa", "enable", "12x"]).refused(&["\"12x\"", "18 to 20 digits"]);
    machine.teuicc(&["lpa", "delete", ICCID]).refused(&["no such profile"]);
    machine.teuicc(&["lpa", "nickname", "x", "name"]).refused(&["\"x\" is no ICCID"]);
    machine.teuicc(&["lpa", "nickname", ICCID, &"n".repeat(65)]).refused(&["64"]);
    machine.teuicc(&["lpa", "notifications", "remove", "7"]).error();
    machine.teuicc(&["lpa", "reset"]).refused(&["--operational"]);
    machine.teuicc(&["lpa", "reset", "--operational"]).refused(&["nothing was reset"]);
    machine.teuicc(&["lpa", "--ci", "missing.pem", "download", "LPA:1$localhost:1$X"]).refused(&["missing.pem"]);
    machine.teuicc(&["smdp", "order", "x"]).refused(&["\"x\" is no ICCID"]);
    let other = Machine::new();
    other.teuicc(&["pki"]).ok();
    other.teuicc(&["card", "personalize", "--eid", "1"]).refused(&["\"1\" is no EID"]);
    other.teuicc(&["card", "personalize", "--eid", "89049032123451234512345678901234"]).refused(&["check digits"]);
    other.teuicc(&["card", "personalize", "--import-ci", "x"]).refused(&["--import-eum"]);
    assert_eq!(snapshot(&machine.home().join("pki")), before);
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Every file of a folder with its content, but for the lock, which names the last owner.
fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = entries(folder).into_iter().filter(|path| path.is_file() && !path.ends_with("lock"));
    files.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// What a modem's helper asks, a line each.
const HELPER: &str = "{\"op\":\"status\"}\n{\"op\":\"power_up\"}\n{\"op\":\"tpdu\",\"data\":\"00a40004023f00\"}\nnonsense\n\
                      {\"op\":\"power_down\"}\n";

fn check_helper(outcome: &common::Outcome) {
    let lines = outcome.objects();
    let [status, up, selected, nonsense, down] = &lines[..] else { panic!("{}", outcome.describe()) };
    assert_eq!((&status["present"], &status["powered"], &status["atr"]), (&true.into(), &false.into(), &Value::Null));
    assert!(up["atr"].as_str().unwrap().starts_with("3b"), "{up}");
    assert!(selected["data"].as_str().unwrap().starts_with("61"), "{selected}");
    assert_eq!((&nonsense["ok"], &nonsense["error"]), (&false.into(), &"bad_request".into()));
    assert_eq!(down["ok"], true);
}

#[test]
fn a_modems_helper_has_the_card_of_a_running_daemon_and_without_one_its_own() {
    let machine = Machine::personalized();
    let helper = || run_with(machine.command(TEUICC).args(["slot", "json"]), HELPER);
    check_helper(&helper().ok());
    let daemon = machine.daemon(&["--json-lines"]);
    for _ in 0..2 {
        check_helper(&helper().ok());
        machine.teuicc(&["lpa", "info"]).ok();
    }
    assert!(daemon.stop().success());
    let daemon = machine.daemon(&["--no-modem"]);
    helper().refused(&["to none", "--json-lines"]);
    assert!(daemon.stop().success());
    let elsewhere = format!("unix:{}", machine.folder().join("elsewhere").display());
    let config = format!("[modem]\ninterface = \"json\"\nlisten = \"{elsewhere}\"\n");
    let daemon = machine.daemon(&["--config", machine.write("elsewhere.toml", config).to_str().unwrap()]);
    helper().refused(&["listens elsewhere"]);
    assert!(daemon.stop().success());
    check_helper(&helper().ok());
}

#[test]
fn a_second_helper_is_told_that_the_card_is_in_use() {
    let machine = Machine::personalized();
    let mut daemon = machine.daemon(&["--json-lines"]);
    daemon.await_text("waiting for a client");
    let mut first = UnixStream::connect(machine.home().join("modem.sock")).unwrap();
    first.write_all(b"{\"op\":\"power_up\"}\n").unwrap();
    let mut answers = BufReader::new(&first);
    answers.read_line(&mut String::new()).unwrap();
    let second = run_with(machine.command(TEUICC).args(["slot", "json"]), HELPER);
    second.refused(&["another helper has the card"]);
    assert_eq!(second.object()["error"], "no_card", "{}", second.describe());
    (&first).write_all(b"{\"op\":\"status\"}\n").unwrap();
    let mut status = String::new();
    answers.read_line(&mut status).unwrap();
    assert!(status.contains("\"powered\":true"), "{status}");
    // Nothing asked, nothing wrong.
    drop(answers);
    drop(first);
    assert_eq!(run_with(machine.command(TEUICC).args(["slot", "json"]), "").ok().stdout, "");
}

#[test]
fn a_daemon_warns_when_it_listens_for_other_machines() {
    let machine = Machine::personalized();
    let mut daemon = machine.daemon(&["--sap", "tcp:0.0.0.0:0"]);
    daemon.await_text("anybody who reaches this address can use the card");
    assert!(daemon.stop().success());
    let mut daemon = machine.daemon(&["--sap", "tcp:127.0.0.1:0"]);
    daemon.await_text("the SAP server waits");
    assert!(!daemon.log().contains("anybody"));
    assert!(daemon.stop().success());
    machine.teuiccd(&["--sap", "/dev/ttyUSB2"]).refused(&["none of tcp:HOST:PORT"]);
    machine.teuiccd(&["--sap", "serial:/dev/none"]).refused(&["serial:/dev/none", "No such file"]);
    machine.teuiccd(&["--qmi", "/dev/cdc-wdm0"]).refused(&["none of qrtr, qmux:DEVICE"]);
    machine.teuiccd(&["--sap", "tcp:127.0.0.1:1", "--no-modem"]).refused(&["cannot be used with"]);
}

#[test]
fn the_demo_goes_over_every_interface() {
    let machine = Machine::new();
    for interface in ["qmi", "rspro", "sap", "json"] {
        let steps = demo(&machine, &["--interface", interface]);
        let attached = steps.iter().find(|step| step["step"] == "attach").unwrap();
        assert_eq!(attached["interface"], interface);
    }
    machine.teuicc(&["demo", "--interface", "pigeon"]).refused(&["pigeon", "known are vpcd"]);
}

#[test]
fn what_every_interface_costs_is_measured() {
    let machine = Machine::new();
    let measured = machine.teuicc(&["bench", "slot", "--json"]).ok().objects();
    let names: Vec<_> = measured.iter().map(|object| object["interface"].as_str().unwrap()).collect();
    assert_eq!(names, ["none", "vpcd", "qmi", "rspro", "sap", "json"]);
}
