//! Asking an SM-DS where orders wait for this card: ES11 (SGP.22 v2.5 section 3.6.2).

use crate::activation_code::ServerAddress;
use crate::error::LpaError;
use crate::es9p::{EventEntry, Server};
use crate::es10::{Isdr, on_isdr};
use crate::operation::{Io, Operation};
use crate::session::{self, Device, Purpose};

/// Asks the SM-DS at `address`, or the root SM-DS that the card names, for the card's events. Each names a server and
/// the matching ID to download with there.
#[must_use]
pub fn discover(address: Option<ServerAddress>, device: Device) -> Operation<Vec<EventEntry>> {
    on_isdr!(|io, isdr| events(io, isdr, address, &device))
}

async fn events(
    io: &Io,
    isdr: &Isdr<'_>,
    address: Option<ServerAddress>,
    device: &Device,
) -> Result<Vec<EventEntry>, LpaError> {
    let address = match address {
        Some(address) => address,
        None => session::card_address("root SM-DS address", &session::configured_addresses(isdr).await?.1)?,
    };
    let server = Server::new(io, address);
    let purpose = Purpose { device, matching_id: None, server_oid: None };
    let session = session::authenticate(isdr, &server, &purpose).await?;
    server.authenticate_client_ds(&session.transaction, &session.authenticate_server_response).await
}
