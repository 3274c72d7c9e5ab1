//! SAP, the SIM Access Profile of Bluetooth, without Bluetooth: this is the server, and modules that are SAP clients
//! reach it over a serial line, a TCP connection or a Unix socket.
//!
//! SAP has no authentication: keep TCP on loopback.

pub(crate) mod codec;
pub(crate) mod machine;

use crate::client::{self, Outgoing, Outputs, Service, Settings};
use crate::endpoint::{Clients, Endpoint};
use crate::port::attach;
use crate::status::{BridgeError, Patience, Status};
use codec::{Id, Message, Messages};
use machine::Machine;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use teuicc_slot::Slot;

/// Between an indication and the message before or after it: osmocom-bb takes all that it reads at once for one
/// message.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the client is, and how to speak with it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the client is.
    pub endpoint: Endpoint,
    /// Pad values whose length is a multiple of 4 with 4 bytes more, as osmocom-bb's `mobile` wants it; it does not
    /// understand what the specification says. Its own padding is understood in any case.
    pub osmocom_padding: bool,
    /// How long the card stays away when the modem is replugged.
    pub absence: Duration,
    /// How long a client that was asked to go may take until it is cut off.
    pub farewell: Duration,
    /// How long a client of a socket may stay without a connection at the level of SAP, before another one may try.
    pub introduction: Duration,
    /// How long to wait for a line or a card that is not there.
    pub patience: Patience,
}

impl Config {
    /// A client there, which keeps to the specification.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Config {
            endpoint,
            osmocom_padding: false,
            absence: Duration::from_secs(1),
            farewell: Duration::from_secs(3),
            introduction: Duration::from_secs(30),
            patience: Patience::default(),
        }
    }
}

/// Gives `slot`'s card to one client after another, until `shutdown` is ready; then the card is removed, and the client
/// asked to disconnect.
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
        farewell: config.farewell,
        introduction: config.introduction,
        pause: PAUSE,
        patience: config.patience,
    };
    let service = Service { modem: attach(&slot)?, status, settings };
    let (clients, endpoint) = Clients::listen(&config.endpoint, config.patience, &service.status).await?;
    tracing::info!(%endpoint, "the SAP server waits for a client");
    let protocol = || Protocol {
        messages: Messages::default(),
        machine: Machine::new(service.status.clone()),
        osmocom_padding: config.osmocom_padding,
    };
    service.serve_all(clients, protocol, shutdown).await
}

/// A machine with the messages of its client.
struct Protocol {
    messages: Messages,
    machine: Machine,
    osmocom_padding: bool,
}

impl client::Protocol for Protocol {
    type Machine = Machine;

    fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    fn is_introduced(&self) -> bool {
        self.machine.is_open()
    }

    /// What comes out of its order is answered so.
    fn is_busy(&self) -> bool {
        false
    }

    fn push(&mut self, bytes: &[u8]) {
        self.messages.push(bytes);
    }

    fn next(&mut self) -> Result<Option<Outputs<Self>>, String> {
        match self.messages.next_message() {
            Ok(message) => Ok(message.map(|message| self.machine.received(&message))),
            Err(malformed) => {
                tracing::warn!(%malformed, "what came is no SAP");
                Ok(Some(self.give_up_part()))
            }
        }
    }

    fn is_partial(&self) -> bool {
        self.messages.is_partial()
    }

    fn give_up_part(&mut self) -> Outputs<Self> {
        self.messages.clear();
        self.machine.malformed()
    }

    fn encode(&self, message: &Message) -> Option<Outgoing> {
        let is_event = matches!(message.id, Id::StatusInd | Id::DisconnectInd);
        Some(Outgoing { bytes: message.encode(self.osmocom_padding)?, is_event })
    }

    fn refusal(&self) -> Message {
        machine::refusal()
    }
}
