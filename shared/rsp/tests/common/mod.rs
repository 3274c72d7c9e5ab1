//! Published test material, read from the folder that `TEUICC_TESTDATA` names.

use std::path::PathBuf;

/// The file at `path` in the folder of published material; `None`, and a line that says so, if there is no folder.
pub(crate) fn published(path: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("TEUICC_TESTDATA") else {
        println!("skipped: TEUICC_TESTDATA is not set");
        return None;
    };
    let path = PathBuf::from(folder).join(path);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
