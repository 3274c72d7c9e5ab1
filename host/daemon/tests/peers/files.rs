//! A reader that is not ours: `build/peers/read_card.py` reads every file of a profile, and compares it with the package.

use crate::common::{Machine, run};
use crate::pcsc::{Pcsc, READER, Steps, await_card, await_iccid, personalize_sgp26, published, wanted};
use std::path::Path;
use teuicc_rsp_server::profile::{Description, Metadata};

/// Downloads and enables the profile of `package` with our LPA, and lets the reader compare.
fn compare(package: &Path, data: Option<&Path>) {
    let machine = Machine::new();
    let _pcsc = Pcsc::start(&machine);
    let _daemon = machine.daemon(&[]);
    await_card(&machine, true);
    let mut identity = Vec::new();
    let mut trust = Vec::new();
    let (sgp26, ci);
    if let Some(data) = data {
        personalize_sgp26(&machine, data);
        sgp26 = data.join("sgp26");
        ci = sgp26.join("CertificateIssuer/CERT_CI_ECDSA_NIST.der");
        identity.extend(["--pki", sgp26.to_str().unwrap()]);
        trust.extend(["--ci", ci.to_str().unwrap()]);
    } else {
        machine.teuicc(&["pki"]).ok();
        machine.teuicc(&["card", "personalize"]).ok();
    }
    let (_smdp, _) = machine.smdp(&identity);
    let added = [&["--json", "smdp", "add-profile", package.to_str().unwrap()], &identity[..]].concat();
    let iccid = machine.teuicc(&added).ok().object()["iccid"].as_str().unwrap().to_owned();
    let code = machine.order(&iccid, &identity);
    machine.teuicc(&[&["lpa"], &trust[..], &["download", "--yes", &code]].concat()).ok();
    machine.teuicc(&["lpa", "enable", &iccid]).ok();
    await_iccid(&machine, Some(&iccid));

    let python = std::env::var("TEUICC_PYTHON").expect("TEUICC_PYTHON names the interpreter");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/peers/read_card.py");
    let outcome = run(machine.command(&python).arg(program).arg(READER).arg(package)).ok();
    print!("{:>10}{}", "", outcome.stdout);
}

#[test]
fn every_file_of_the_published_profiles() {
    if !wanted() {
        return;
    }
    let Some(data) = published() else { return };
    let steps = Steps::start();
    let entries = std::fs::read_dir(data.join("ts48")).unwrap().map(|entry| entry.unwrap().path());
    let mut packages: Vec<_> = entries.collect();
    packages.sort();
    assert!(!packages.is_empty());
    for package in packages {
        steps.step(package.file_name().unwrap().to_str().unwrap());
        compare(&package, Some(&data));
    }
}

#[test]
fn every_file_of_a_built_profile() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    let text = include_str!("../../../../rsp-server/examples/profile.toml");
    let profile = Description::parse(text).unwrap().build(Metadata::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("profile.der");
    std::fs::write(&package, profile.package.as_slice()).unwrap();
    steps.step("the example of a description");
    compare(&package, None);
}
