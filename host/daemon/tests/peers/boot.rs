//! The whole boot of a phone (`Modem::replay_boot`) over pcscd, by way of `build/peers/pcsc_pipe.py`.

use crate::pcsc::{Bench, READER, Steps, packages, published, wanted};
use crate::pipe::Pipe;
use std::path::Path;
use teuicc_modem_bridge::testing::modem::{Modem, ModemOptions};

fn reader(bench: &Bench) -> Pipe {
    // Debian's own, which has Debian's pyscard.
    Pipe::start(&bench.machine, "/usr/bin/python3", "pcsc_pipe.py", &[READER])
}

fn boot(profile: &Path, data: Option<&Path>) {
    let bench = Bench::start(data);
    bench.install(profile);
    let replay = Modem::new(reader(&bench), ModemOptions::default()).replay_boot().unwrap();
    println!("{:>10}{} commands, {} TPDUs in {:?}", "", replay.commands, replay.tpdus, replay.duration);
    assert!(replay.commands > 400, "{replay:?}");
    assert!(replay.denied.is_empty(), "{:?}", replay.denied);
}

#[test]
fn a_phone_boots_a_built_profile() {
    if !wanted() {
        return;
    }
    Steps::start().step("the example of a description");
    boot(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rsp-server/examples/profile.toml")), None);
}

#[test]
fn a_phone_boots_a_published_profile() {
    if !wanted() {
        return;
    }
    let Some(data) = published() else { return };
    let package = packages(&data).pop().unwrap();
    Steps::start().step(package.file_name().unwrap().to_str().unwrap());
    boot(&package, Some(&data));
}
