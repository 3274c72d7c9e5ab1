//! Reaching the card: through a running daemon, else by opening it here.

use crate::home::Home;
use anyhow::Context;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use teuicc_slot::socket::SocketLink;
use teuicc_slot::software::{Options, SoftwareTee};
use teuicc_slot::{CardLink, Wire};

/// Opens the card of `home`. Errors: the daemon refuses this user, or the state folder is damaged or in use.
pub fn card(home: &Home) -> anyhow::Result<Box<dyn CardLink>> {
    let socket = home.socket();
    // A socket that nobody listens on was left behind by a daemon that was killed.
    let alive = match UnixStream::connect(&socket) {
        Ok(_) => true,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => false,
        Err(error) => return Err(error).with_context(|| format!("the daemon's socket {}", socket.display())),
    };
    if alive {
        let link = SocketLink::connect(&socket).context("reaching the daemon")?;
        return Ok(Box::new(Wire::new(link)));
    }
    Ok(Box::new(Wire::new(open_here(home, "teuicc")?)))
}

/// Opens the software TEE's card of `home` in this process, which is called `owner` when others find it in use.
pub fn open_here(home: &Home, owner: &str) -> anyhow::Result<SoftwareTee> {
    let folder = home.card();
    std::fs::create_dir_all(home.folder()).with_context(|| format!("making {}", home.folder().display()))?;
    SoftwareTee::open(&folder, &Options { owner: owner.to_owned() })
        .with_context(|| format!("opening the card in {}", folder.display()))
}
