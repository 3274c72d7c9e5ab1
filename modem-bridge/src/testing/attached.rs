//! A bridge that runs, with the modem's side of it.

use super::ModemSide;
use super::json::JsonClient;
use super::qmi::QmiModem;
use super::rspro::RemSim;
use super::sap::SapClient;
use super::vpcd::VpcdHost;
use crate::status::{BridgeError, Status};
use crate::{Endpoint, json, qmi, rspro, sap, vpcd};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use teuicc_slot::Slot;
use tokio::sync::oneshot;

/// How long the modem waits for the card.
const INSERTION: Duration = Duration::from_secs(10);

/// The virtual SIM interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The virtual PC/SC reader of vsmartcard.
    Vpcd,
    /// QMI UIM Remote, over QMUX on a pseudoterminal.
    Qmi,
    /// osmo-remsim's protocol.
    Rspro,
    /// The SIM Access Profile, over TCP.
    Sap,
    /// Lines of JSON, over TCP.
    Json,
}

impl Kind {
    /// Every one.
    pub const ALL: &[Kind] = &[Kind::Vpcd, Kind::Qmi, Kind::Rspro, Kind::Sap, Kind::Json];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Vpcd => "vpcd",
            Kind::Qmi => "qmi",
            Kind::Rspro => "rspro",
            Kind::Sap => "sap",
            Kind::Json => "json",
        }
    }

    /// Starts the bridge, and the modem's side as soon as it has the card. Errors: the system's, or no card came.
    pub fn attach(self, slot: &Slot) -> io::Result<Attached> {
        match self {
            Kind::Vpcd => {
                let mut reader = VpcdHost::bind()?;
                let config =
                    vpcd::Config { reader: vpcd::Reader::At(reader.address()?.to_string()), ..Default::default() };
                let bridge = Running::start(slot, |slot, status, end| vpcd::run(slot, config, status, end))?;
                reader.await_card(INSERTION)?;
                Ok(Attached { modem: Box::new(reader), bridge })
            }
            Kind::Qmi => {
                let mut modem = QmiModem::qmux()?;
                let config = qmi::Config::new(qmi::Modem::Qmux { device: modem.device(), proxy: false });
                let bridge = Running::start(slot, |slot, status, end| {
                    qmi::run(BTreeMap::from([(qmi::ModemSlot::default(), slot)]), config, status, end)
                })?;
                modem.await_card(INSERTION)?;
                Ok(Attached { modem: Box::new(modem), bridge })
            }
            Kind::Rspro => {
                let (mut network, config) = RemSim::new()?;
                let bridge = Running::start(slot, |slot, status, end| rspro::run(vec![slot], config, status, end))?;
                network.register(bridge.address(INSERTION)?)?;
                network.await_card(INSERTION)?;
                Ok(Attached { modem: Box::new(network), bridge })
            }
            Kind::Sap => {
                let config = sap::Config::new(loopback());
                let bridge = Running::start(slot, |slot, status, end| sap::run(slot, config, status, end))?;
                let mut client = SapClient::new(TcpStream::connect(bridge.address(INSERTION)?)?)?;
                client.await_card(INSERTION)?;
                Ok(Attached { modem: Box::new(client), bridge })
            }
            Kind::Json => {
                let config = json::Config::new(Some(loopback()));
                let bridge = Running::start(slot, |slot, status, end| json::run(slot, config, status, end))?;
                let client = JsonClient::new(TcpStream::connect(bridge.address(INSERTION)?)?)?;
                Ok(Attached { modem: Box::new(client), bridge })
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        Kind::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| format!("known are {}", known()))
    }
}

fn loopback() -> Endpoint {
    Endpoint::Tcp("127.0.0.1:0".into())
}

/// A bridge that runs, and the modem's side of it.
pub struct Attached {
    /// The modem's side.
    pub modem: Box<dyn ModemSide + Send>,
    /// The bridge.
    pub bridge: Running,
}

/// A bridge that runs in a thread of its own, until it is ended or dropped.
pub struct Running {
    status: Arc<Status>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), BridgeError>>>,
}

/// What tells a bridge to end.
pub struct End(oneshot::Receiver<()>);

impl Future for End {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        // An error means that the sender is gone, which is an end too.
        std::pin::Pin::new(&mut self.0).poll(context).map(drop)
    }
}

impl Running {
    /// Runs the bridge that `run` makes of a slot. Errors: the system's.
    pub fn start<F: Future<Output = Result<(), BridgeError>>>(
        slot: &Slot,
        run: impl FnOnce(Slot, Arc<Status>, End) -> F + Send + 'static,
    ) -> io::Result<Running> {
        let (end, ended) = oneshot::channel();
        let (slot, status) = (slot.clone(), Arc::new(Status::default()));
        let shown = status.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("bridge".into())
            .spawn(move || runtime.block_on(run(slot, shown, End(ended))))?;
        Ok(Running { status, end: Some(end), thread: Some(thread) })
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Where it listens on TCP. Errors: it did not come to listen in time.
    pub fn address(&self, within: Duration) -> io::Result<SocketAddr> {
        let start = Instant::now();
        loop {
            match self.status.address() {
                Some(address) => return Ok(address),
                None if start.elapsed() < within => std::thread::sleep(Duration::from_millis(2)),
                None => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// Tells it to end, without waiting.
    pub fn ask_to_end(&mut self) {
        drop(self.end.take());
    }

    /// Whether it has ended by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it and waits. Errors: those of the bridge.
    pub fn end(&mut self) -> Result<(), BridgeError> {
        self.ask_to_end();
        self.join()
    }

    /// Waits until it ends by itself. Errors: those of the bridge; a panic counts as a closed slot.
    pub fn join(&mut self) -> Result<(), BridgeError> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or(Err(BridgeError::SlotClosed)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask_to_end();
        let _ = self.join();
    }
}
