//! Lines of JSON: the helper protocol of wwand-rsim, which drives the QMI of a router's module and asks a helper for
//! the card. The helper is `teuicc slot json`, at its standard input and output, or this bridge's socket.

pub(crate) mod codec;
pub(crate) mod machine;

use crate::client::{self, Leave, Outgoing, Outputs, Service, Settings};
use crate::endpoint::{Clients, Endpoint, Peer};
use crate::port::attach;
use crate::status::{BridgeError, Patience, Status};
use codec::{Line, Lines, Request};
use machine::{Machine, Output};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use teuicc_slot::Slot;

/// How long a client may take to read the last words of a bridge that ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whether a line is what a client gets that is turned away, because another one has the card.
#[must_use]
pub fn is_refusal(line: &[u8]) -> bool {
    line == Line::in_use().encode().as_slice()
}

/// Where the client is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the client is. `None`: at standard input and output, once.
    pub endpoint: Option<Endpoint>,
    /// How long the card stays away when the modem is replugged.
    pub absence: Duration,
    /// How long a client of a socket may take for its first request, before another one may try.
    pub introduction: Duration,
    /// How long to wait for a card that is not there.
    pub patience: Patience,
}

impl Config {
    /// A client there.
    #[must_use]
    pub fn new(endpoint: Option<Endpoint>) -> Self {
        Config {
            endpoint,
            absence: Duration::from_secs(1),
            introduction: Duration::from_secs(30),
            patience: Patience::default(),
        }
    }
}

/// Gives `slot`'s card to one client after another, until `shutdown` is ready, or to the one at standard input until
/// it ends.
///
/// Errors: the slot is closed, its card is in another modem, or the endpoint cannot be had.
pub async fn run(
    slot: Slot,
    config: Config,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), BridgeError> {
    let settings = Settings {
        absence: config.absence,
        farewell: FAREWELL,
        introduction: config.introduction,
        pause: Duration::ZERO,
        patience: config.patience,
    };
    let service = Service { modem: attach(&slot)?, status, settings };
    let protocol =
        || Protocol { lines: Lines::default(), machine: Machine::new(service.status.clone()), is_introduced: false };
    let Some(endpoint) = config.endpoint else {
        let peer = Peer::new(tokio::io::stdin(), tokio::io::stdout());
        return match service.serve(peer, None, protocol(), std::pin::pin!(shutdown)).await {
            Leave::SlotClosed => Err(BridgeError::SlotClosed),
            Leave::Shutdown | Leave::ClientLost(_) => Ok(()),
        };
    };
    let (clients, endpoint) = Clients::listen(&endpoint, config.patience, &service.status).await?;
    tracing::info!(%endpoint, "waiting for a client that speaks JSON lines");
    service.serve_all(clients, protocol, shutdown).await
}

/// A machine with the lines of its client.
struct Protocol {
    lines: Lines,
    machine: Machine,
    /// Whether there was a request.
    is_introduced: bool,
}

impl client::Protocol for Protocol {
    type Machine = Machine;

    fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    fn is_introduced(&self) -> bool {
        self.is_introduced
    }

    /// Requests may come before the last one is answered: they are done in order.
    fn is_busy(&self) -> bool {
        self.machine.is_busy()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    fn next(&mut self) -> Result<Option<Outputs<Self>>, String> {
        let Some(line) = self.lines.next_line().map_err(|error| format!("it sent {error}"))? else { return Ok(None) };
        let request = Request::parse(&line);
        self.is_introduced |= request.is_ok();
        Ok(Some(self.machine.received(request)))
    }

    /// Somebody may be typing.
    fn is_partial(&self) -> bool {
        false
    }

    fn give_up_part(&mut self) -> Vec<Output> {
        Vec::new()
    }

    fn encode(&self, line: &Line) -> Option<Outgoing> {
        Some(Outgoing { bytes: line.encode(), is_event: matches!(line, Line::Event { .. }) })
    }

    fn refusal(&self) -> Line {
        Line::in_use()
    }
}
