//! The installer over published packages and edits of them.

extern crate std;

use super::*;

use crate::testing::MemoryStore;
use hex_literal::hex;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::{env, eprintln, fs, println, vec};

const SLOT: ProfileSlot = ProfileSlot::new(3).unwrap();

/// The packages of the folder `ts48` in TEUICC_TESTDATA, by name; none if it is not set.
fn published() -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = env::var("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> =
        fs::read_dir(Path::new(&folder).join("ts48")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.file_name().unwrap().to_string_lossy().to_string(), fs::read(path).unwrap()))
        .collect()
}

/// ICCID of the header, coded as EF.ICCID.
fn iccid_of(package: &[u8]) -> [u8; 10] {
    let element = next_element(package).unwrap().unwrap();
    match element.content {
        ProfileElement::Header(header) => header.iccid.map(|digits| digits.rotate_left(4)),
        _ => [0; 10],
    }
}

fn options(iccid: [u8; 10]) -> InstallOptions {
    InstallOptions {
        slot: SLOT,
        metadata: hex!("BF2503 800100").to_vec(),
        iccid,
        test_algorithm_allowed: true,
        test_class: false,
    }
}

fn install_in_pieces(package: &[u8], cuts: &[usize], options: InstallOptions) -> Result<Installed, InstallError> {
    let mut installer = Installer::new(options).unwrap();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([package.len()]) {
        installer.push(&package[start..cut])?;
        start = cut;
    }
    installer.finish()
}

fn install(package: &[u8]) -> Result<Installed, InstallError> {
    install_in_pieces(package, &[], options(iccid_of(package)))
}

fn statuses(response: &[u8]) -> Vec<PeStatus> {
    EuiccResponse::parse(response).unwrap().statuses
}

/// All three objects that the profile is stored as.
fn stored(profile: &mut Profile) -> std::collections::BTreeMap<crate::platform::ObjectId, Vec<u8>> {
    let mut store = MemoryStore::new();
    profile.store_new(&mut store).unwrap();
    profile.store_changes(&mut store).unwrap();
    store.snapshot()
}

#[test]
fn report_all() {
    for (name, package) in published() {
        match install(&package) {
            Ok(mut installed) => {
                let sizes: Vec<usize> = stored(&mut installed.profile).values().map(Vec::len).collect();
                let content: usize = installed.profile.files.iter().map(|file| file.content.len()).sum();
                eprintln!(
                    "{name}: ok {:?} files {} content {content} pins {} naas {} kept {} stored {sizes:?}",
                    statuses(&installed.response),
                    installed.profile.files.len(),
                    installed.profile.pins.len(),
                    installed.profile.naas.len(),
                    installed.profile.kept.len(),
                );
            }
            Err(error) => eprintln!("{name}: {:?} {:?}", error.reason, statuses(&error.response)),
        }
    }
}
