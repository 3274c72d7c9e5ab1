//! Reaching the card: through a running daemon, else by opening it here.

use crate::home::Home;
use anyhow::Context;
use serde::Deserialize;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use teuicc_rsp::Eid;
use teuicc_slot::socket::SocketLink;
use teuicc_slot::{CardLink, Exchange, Wire};
use teuicc_wire::{Hello, State};

/// Where the card runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tee {
    /// In this process, over a folder of files: for development
    #[cfg_attr(feature = "software", default)]
    Software,
    /// In the trusted application, under OP-TEE
    #[cfg_attr(not(feature = "software"), default)]
    Optee,
}

/// Opens the card of `home`. Errors: the daemon refuses this user, or the card cannot be opened or is in use.
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

/// The EID of a card that is personalized.
pub(crate) fn eid(hello: &Hello) -> Option<Eid> {
    match hello.state {
        State::Factory => None,
        State::Personalized(eid) => Eid::from_bytes(eid),
    }
}

/// Opens the card of `home` in this process, which is called `owner` when others find it in use.
pub fn open_here(home: &Home, owner: &str) -> anyhow::Result<Box<dyn Exchange>> {
    std::fs::create_dir_all(home.folder()).with_context(|| format!("making {}", home.folder().display()))?;
    match home.tee() {
        Tee::Software => software(home, owner),
        Tee::Optee => optee(),
    }
}

#[cfg(feature = "software")]
fn software(home: &Home, owner: &str) -> anyhow::Result<Box<dyn Exchange>> {
    use teuicc_slot::software::{Options, SoftwareTee};
    let folder = home.card();
    let card = SoftwareTee::open(&folder, &Options { owner: owner.to_owned() })
        .with_context(|| format!("opening the card in {}", folder.display()))?;
    Ok(Box::new(card))
}

#[cfg(not(feature = "software"))]
fn software(_: &Home, _: &str) -> anyhow::Result<Box<dyn Exchange>> {
    anyhow::bail!("this build has no software TEE (feature `software`): its card is in OP-TEE")
}

#[cfg(feature = "optee")]
fn optee() -> anyhow::Result<Box<dyn Exchange>> {
    use teuicc_slot::optee::{Client, Optee};
    Ok(Box::new(Client::exclusive().and_then(Optee::open).context("opening the card in OP-TEE")?))
}

#[cfg(not(feature = "optee"))]
fn optee() -> anyhow::Result<Box<dyn Exchange>> {
    anyhow::bail!("this build does not reach OP-TEE (feature `optee`)")
}
