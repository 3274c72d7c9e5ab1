//! A reader that is not ours: `build/peers/read_card.py` reads every file of a profile, and compares it with the
//! package.

use crate::common::run;
use crate::pcsc::{Bench, READER, Steps, packages, published, wanted};
use std::path::Path;
use teuicc_rsp_server::profile::{Description, Metadata};

/// Lets the reader compare the card with the package of the enabled profile, and search for files that are not in it.
fn compare(bench: &Bench, package: &Path, search: bool) {
    let python = std::env::var("TEUICC_PYTHON").expect("TEUICC_PYTHON names the interpreter");
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/peers/read_card.py");
    let mut command = bench.machine.command(&python);
    command.arg(program).args(search.then_some("--search")).arg(READER).arg(package);
    let outcome = run(&mut command).ok();
    print!("{:>10}{}", "", outcome.stdout);
}

#[test]
fn every_file_of_the_published_profiles() {
    if !wanted() {
        return;
    }
    let Some(data) = published() else { return };
    let steps = Steps::start();
    let packages = packages(&data);
    for package in &packages {
        steps.step(package.file_name().unwrap().to_str().unwrap());
        // They have one ICCID.
        let bench = Bench::start(Some(&data));
        bench.install(package);
        // Thousands of commands: once is enough.
        compare(&bench, package, Some(package) == packages.last());
    }
}

#[test]
fn every_file_of_a_built_profile() {
    if !wanted() {
        return;
    }
    let steps = Steps::start();
    let bench = Bench::start(None);
    let text = include_str!("../../../../rsp-server/examples/profile.toml");
    let profile = Description::parse(text).unwrap().build(Metadata::default()).unwrap();
    let package = bench.machine.write("profile.der", profile.package.as_slice());
    steps.step("the example of a description");
    bench.install(&package);
    compare(&bench, &package, true);
}
