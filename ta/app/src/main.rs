//! The trusted application: the card of `teuicc-card` on OP-TEE. Entry points and platform, nothing else.
//!
//! One command takes one request of `teuicc-wire` and gives one response. The card lives from the opening of the first
//! session to the closing of the last: a client that leaves takes the power from the card.
#![no_std]
#![no_main]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic kills the card for every client"
)]

extern crate alloc;

mod client;
mod panic;
mod platform;
mod storage;

use alloc::vec::Vec;
use core::cell::{RefCell, RefMut};
use optee_utee::prelude::*;
use optee_utee::{ErrorKind, Result};
use platform::TeeRng;
use storage::TeeStore;
use teuicc_card::{Card, Platform};
use teuicc_tlv::TryBytes;
use teuicc_wire::{Interface, MAX_MESSAGE, TEE_COMMAND};
use zeroize::{Zeroize, Zeroizing};

/// What an invocation carries: a request of 1 to [`MAX_MESSAGE`] bytes, and room for a response of that length.
type Exchange<'a> = (ParameterMemrefInput<'a>, ParameterMemrefOutput<'a>, ParameterNone, ParameterNone);

/// The card and who uses it.
struct Instance {
    /// There while a session is open.
    card: Option<Card<TeeRng, TeeStore>>,
    sessions: u32,
}

/// The one instance of the TA.
struct Shared(RefCell<Instance>);

// SAFETY: OP-TEE runs an instance of a TA on one thread at a time (TEE Internal Core API, section 2.1.3).
unsafe impl Sync for Shared {}

static INSTANCE: Shared = Shared(RefCell::new(Instance { card: None, sessions: 0 }));

/// The instance. Errors: busy, should OP-TEE ever enter it twice.
fn instance() -> Result<RefMut<'static, Instance>> {
    INSTANCE.0.try_borrow_mut().map_err(|_| ErrorKind::Busy.into())
}

#[ta_create]
fn create() -> Result<()> {
    Ok(())
}

#[ta_open_session]
fn open_session(_: &mut ParametersNone) -> Result<()> {
    client::check()?;
    let mut instance = instance()?;
    instance.sessions = instance.sessions.checked_add(1).ok_or(ErrorKind::Busy)?;
    if instance.card.is_none() {
        let rollback_protection = storage::ROLLBACK_PROTECTION;
        instance.card = Some(Card::boot(Platform { rng: TeeRng, store: TeeStore, rollback_protection }));
    }
    Ok(())
}

#[ta_invoke_command]
fn invoke(command: u32, parameters: &mut Exchange<'_>) -> Result<()> {
    let (request, response, _, _) = parameters;
    if command != TEE_COMMAND {
        return Err(ErrorKind::NotSupported.into());
    }
    // Before anything is executed: an answer that has no room would be lost.
    if response.buffer_len() < MAX_MESSAGE {
        return Err(ErrorKind::ShortBuffer.into());
    }
    let request = copy(request)?;
    let mut instance = instance()?;
    let card = instance.card.as_mut().ok_or(ErrorKind::BadState)?;
    let mut answer = card.process(&request);
    let sent = if answer.is_empty() { Err(ErrorKind::OutOfMemory.into()) } else { response.set_output(&answer) };
    // It may hold keys of a 3G authentication.
    answer.zeroize();
    sent
}

/// The one look at the request: the normal world may go on changing it.
fn copy(request: &ParameterMemrefInput<'_>) -> Result<Zeroizing<Vec<u8>>> {
    let length = request.buffer_len();
    if !(1..=MAX_MESSAGE).contains(&length) {
        return Err(ErrorKind::BadParameters.into());
    }
    let mut copy = Zeroizing::new(Vec::new());
    copy.try_resize(length, 0).map_err(|_| ErrorKind::OutOfMemory)?;
    let read = request.read_at(0, &mut copy)?;
    copy.truncate(read);
    Ok(copy)
}

#[ta_close_session]
fn close_session() {
    let Ok(mut instance) = instance() else { return };
    instance.sessions = instance.sessions.saturating_sub(1);
    if instance.sessions == 0
        && let Some(mut card) = instance.card.take()
    {
        for interface in [Interface::Modem, Interface::Lpa] {
            // What the modem wrote is lost if it cannot be stored; nobody is left to be told.
            let _ = card.power_down(interface);
        }
    }
}

#[ta_destroy]
fn destroy() {}

#[allow(clippy::undocumented_unsafe_blocks, reason = "generated")]
mod header {
    include!(concat!(env!("OUT_DIR"), "/user_ta_header.rs"));
}
