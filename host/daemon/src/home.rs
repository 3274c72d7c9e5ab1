//! Where things are kept on this machine.

use crate::reach::Tee;
use std::path::PathBuf;

/// The environment variable that names the folder of everything.
pub const HOME_VARIABLE: &str = "TEUICC_HOME";

/// The environment variable that says where the card runs.
pub const TEE_VARIABLE: &str = "TEUICC_TEE";

/// The folder of everything: the test PKI, the SM-DP+'s database, the card; and where the card runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Home {
    /// The folder that holds the test PKI, the SM-DP+ and the card
    /// [default: $XDG_DATA_HOME/teuicc, or ~/.local/share/teuicc]
    #[arg(long = "home", value_name = "DIR", env = HOME_VARIABLE, global = true)]
    pub folder: Option<PathBuf>,
    /// Where the card runs, unless a daemon has it [default: software, else optee, whichever this build has]
    #[arg(long, value_name = "TEE", env = TEE_VARIABLE, global = true)]
    pub tee: Option<Tee>,
}

impl Home {
    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        if let Some(folder) = &self.folder {
            return folder.clone();
        }
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let data = data.unwrap_or_else(|| {
            std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from).join(".local/share")
        });
        data.join("teuicc")
    }

    /// Where the card runs.
    #[must_use]
    pub fn tee(&self) -> Tee {
        self.tee.unwrap_or_default()
    }

    /// The test PKI.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.folder().join("pki")
    }

    /// The SM-DP+'s database.
    #[must_use]
    pub fn smdp(&self) -> PathBuf {
        self.folder().join("smdp")
    }

    /// The card's stored state (software TEE).
    #[must_use]
    pub fn card(&self) -> PathBuf {
        self.folder().join("card")
    }

    /// The daemon's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder().join("teuiccd.sock")
    }

    /// The daemon's socket for a modem that asks with lines of JSON.
    #[must_use]
    pub fn modem_socket(&self) -> PathBuf {
        self.folder().join("modem.sock")
    }
}
