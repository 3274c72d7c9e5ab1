//! What a bridge is doing, how it ends, and how long it waits before it tries again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::sleep;

/// What a bridge is doing, for whoever wants to know.
#[derive(Debug, Default)]
pub struct Status {
    connected: AtomicU64,
    connections: AtomicU64,
    commands: AtomicU64,
    resets: AtomicU64,
    replugs: AtomicU64,
    address: OnceLock<SocketAddr>,
}

impl Status {
    /// Whether a modem has the card.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed) > 0
    }

    /// How often a modem got the card.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many TPDUs came from the modem.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    /// How often the modem powered the card up or reset it.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }

    /// How often the card was taken out for a profile switch to be noticed.
    #[must_use]
    pub fn replugs(&self) -> u64 {
        self.replugs.load(Ordering::Relaxed)
    }

    /// Where the bridge listens on TCP, once it does.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address.get().copied()
    }

    /// A modem has the card until the value is dropped.
    pub(crate) fn connect(self: &Arc<Self>) -> Connected {
        self.connected.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self.clone())
    }

    pub(crate) fn set_address(&self, address: SocketAddr) {
        let _ = self.address.set(address);
    }

    pub(crate) fn count_command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_reset(&self) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_replug(&self) {
        self.replugs.fetch_add(1, Ordering::Relaxed);
    }
}

/// That a modem has the card.
pub(crate) struct Connected(Arc<Status>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a bridge ended although nobody asked it to, or did not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// The slot was closed, or its thread died.
    #[error("the slot is closed")]
    SlotClosed,
    /// The slot's card is in another modem.
    #[error("the card is in another modem: a card can be in one only")]
    Attached,
    /// It cannot be where the modem should find it.
    #[error("the modem's end cannot be opened: {0}")]
    Listen(String),
}

impl BridgeError {
    pub(crate) fn listen(error: std::io::Error) -> Self {
        BridgeError::Listen(error.to_string())
    }
}

/// How long to wait before a peer or a card that is not there is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Before the second attempt; each further one waits twice as long,
    pub first: Duration,
    /// up to this.
    pub last: Duration,
}

impl Default for Patience {
    /// From half a second to ten.
    fn default() -> Self {
        Patience { first: Duration::from_millis(500), last: Duration::from_secs(10) }
    }
}

/// Waits that double.
pub(crate) struct Retry {
    patience: Patience,
    next: Duration,
}

impl Retry {
    pub(crate) fn new(patience: Patience) -> Self {
        Retry { patience, next: patience.first }
    }

    /// It worked: the next failure waits the shortest time again.
    pub(crate) fn reset(&mut self) {
        self.next = self.patience.first;
    }

    /// How long to wait now.
    pub(crate) fn delay(&mut self) -> Duration {
        let now = self.next;
        self.next = now.saturating_mul(2).min(self.patience.last);
        now
    }

    pub(crate) async fn wait(&mut self) {
        sleep(self.delay()).await;
    }
}
