//! Remote management over the air: SCP80 (TS 102 225) in short messages (TS 31.115), that is what an operator does to
//! the profile that is its own.
//!
//! | module | what |
//! | --- | --- |
//! | [`policy`] | who may be managed at all: no test profile, no published key |
//! | [`sms`] | ENVELOPE (SMS-PP download) to command packet, from one message or from several |
//! | [`packet`], [`cipher`] | secured packets: reading, checking, and the response |
//! | [`target`] | TAR to application, KIc and KID to keys, from the profile elements as installed |
//! | [`script`] | the commands in a packet, compact and expanded |
//! | [`rfm`], [`ram`] | what executes them: files, and UpdateMetadata |
//!
//! Checks are made in this order, and the first that fails is the status of the response: TAR, security level, keys,
//! ciphering, checksum, counter. Up to the checksum the sender has not shown that it has a key, so the response is then
//! not protected by one either, and tells nothing that was decrypted; from the counter on it is what SPI asks for.
//!
//! The counter of the key set is stored before anything is executed. A packet without a cryptographic checksum is never
//! executed, whatever level the profile sets; nor is one without a counter that is checked, but in a build for testing.
//!
//! # Where the specifications leave room
//!
//! - A response goes into the SMS-DELIVER-REPORT, that is the answer to the ENVELOPE, also if SPI asks for one in an
//!   SMS-SUBMIT, which the card cannot send. It has at most 128 bytes, and status word 9000 whatever it says.
//! - A packet that is refused without a response, or that cannot be read, is 6200: the terminal tells the network that
//!   the card did not take it. Whatever is no command packet is 9000 without effect.
//! - KIc and KID must name the same key set, 1 to 15; algorithm 0 leaves it to the key. Single DES is never accepted.
//! - A counter that is there but not to be checked (SPI 01) neither moves nor sets ours, where it is taken at all.
//! - A response with a redundancy check or a signature is a security error: the keys make checksums.
//! - Files that were changed are told by REFRESH to a terminal that announced it: with file change notification, and
//!   NAA initialisation where it needs that.
//! - Only full access (00) opens files, and only full administrative access lets files be created, deleted and resized;
//!   access domains of other kinds open nothing.
//! - TERMINATE DF and EF, script chaining, immediate and error actions are not there. SELECT by DF name is no command
//!   of remote file management (TS 102 226 section 7.1).

mod cipher;
mod packet;
mod policy;
mod ram;
mod rfm;
mod script;
mod sms;
mod target;
#[cfg(test)]
mod tests;

/// What the operator's side of the tests shares with the card: the ciphers, which have vectors of their own.
#[cfg(feature = "testing")]
pub(crate) mod testing {
    pub(crate) use super::cipher::{Algorithm, Key};
}

pub(crate) use packet::Counter;
pub(crate) use policy::Policy;
pub(crate) use sms::Reassembly;

use crate::euicc::Euicc;
use crate::platform::Env;
use crate::profile::Profile;
use crate::uicc::Refusal;
use crate::uicc::proactive::Session;
use alloc::vec::Vec;
use packet::{CommandPacket, CounterMode, Integrity, MAX_COUNTER, Opened, Protection, Refused, Status};
use sms::{Brought, Message};
use target::{Application, KeySet, Target};
use teuicc_apdu::{Response, StatusWord};
use teuicc_tlv::OutOfMemory;
use zeroize::Zeroizing;

/// No information given, and nothing changed.
const NOT_TAKEN: StatusWord = StatusWord(0x6200);

/// What messages are for: the enabled profile, and what is around it.
pub(crate) struct Host<'a> {
    pub(crate) profile: &'a mut Profile,
    pub(crate) euicc: &'a mut Euicc,
    pub(crate) env: Env<'a>,
    /// Where the terminal is told of changes.
    pub(crate) session: &'a mut Session,
    /// Set if files of the profile are deleted.
    pub(crate) files_deleted: &'a mut bool,
}

/// Takes the value of a SMS-PP download object (D1) of an ENVELOPE. Gives the answer to the ENVELOPE, whose data is the
/// user data of a SMS-DELIVER-REPORT. Errors: the store does not write (6581), out of memory (6F00).
pub(crate) fn receive(
    host: Host<'_>,
    reassembly: &mut Reassembly,
    download: &[u8],
    policy: Policy,
) -> Result<Response, Refusal> {
    let Some(message) = Message::parse(download) else { return Ok(StatusWord::OK.into()) };
    match reassembly.take(&message)? {
        Brought::CommandPacket(packet) => execute(host, &packet, policy),
        Brought::Nothing => Ok(StatusWord::OK.into()),
        Brought::TooLong => Ok(StatusWord::NOT_ENOUGH_MEMORY.into()),
    }
}

/// Executes a command packet.
fn execute(mut host: Host<'_>, packet: &[u8], policy: Policy) -> Result<Response, Refusal> {
    let Some(packet) = CommandPacket::parse(packet) else { return Ok(NOT_TAKEN.into()) };
    let (target, key_set, opened) = match accept(host.profile, &packet, policy) {
        Ok(accepted) => accepted,
        Err(Refused::OutOfMemory) => return Err(OutOfMemory.into()),
        Err(Refused::Status(status)) => return respond(&packet, &Protection::NONE, 0, status, &[]),
    };
    let protection = match Protection::new(packet.spi, &key_set.keys) {
        Ok(protection) => protection,
        Err(status) => return respond(&packet, &Protection::NONE, 0, status, &[]),
    };
    if let Err(status) = count(&mut host, &packet, &target, &key_set, opened.counter)? {
        return respond(&packet, &protection, opened.counter, status, &[]);
    }
    let (script, room) = (opened.data.as_slice(), protection.room());
    let data = match target.application {
        _ if script.is_empty() => Zeroizing::new(Vec::new()),
        Application::Rfm { adf, access } => rfm::run(&mut host, adf, access, script, room)?,
        Application::SecurityDomain => ram::run(&mut host, script, room)?,
    };
    respond(&packet, &protection, opened.counter, Status::Ok, &data)
}

/// Finds the application and the keys of a packet, and opens it.
fn accept(profile: &Profile, packet: &CommandPacket<'_>, policy: Policy) -> Result<(Target, KeySet, Opened), Refused> {
    // What may not be managed has no application.
    let target = target::find(profile, packet.tar).filter(|_| policy.permits_profile(&profile.metadata));
    let target = target.ok_or(Status::TarUnknown)?;
    let counted = packet.spi.counter().is_checked() || policy.permits_replays();
    if packet.spi.integrity() != Integrity::Checksum || !counted || !packet.spi.satisfies(target.minimum) {
        return Err(Status::InsufficientSecurity.into());
    }
    let key_set = target::keys(&profile.kept, target.domain, packet.kic, packet.kid, policy)?;
    let opened = packet.open(&key_set.keys)?;
    Ok((target, key_set, opened))
}

/// Checks the counter and stores it, where SPI asks for that: 1 replace. The inner result says what is wrong with it.
///
/// Errors: the store does not write; the counter is then what it was.
fn count(
    host: &mut Host<'_>,
    packet: &CommandPacket<'_>,
    target: &Target,
    key_set: &KeySet,
    received: Counter,
) -> Result<Result<(), Status>, Refusal> {
    let mode = packet.spi.counter();
    if !mode.is_checked() {
        return Ok(Ok(()));
    }
    let last = host.profile.ota_counter(target.domain, key_set.version).unwrap_or(key_set.first_counter);
    if last >= MAX_COUNTER {
        return Ok(Err(Status::CounterBlocked));
    }
    if received <= last {
        return Ok(Err(Status::CounterLow));
    }
    if mode == CounterMode::OneHigher && received != last.saturating_add(1) {
        return Ok(Err(Status::CounterHigh));
    }
    host.profile.set_ota_counter(target.domain, key_set.version, received)?;
    if let Err(error) = host.profile.store_hot(host.env.store) {
        // There is a place for it already.
        host.profile.set_ota_counter(target.domain, key_set.version, last)?;
        return Err(error.into());
    }
    Ok(Ok(()))
}

/// The answer to the ENVELOPE.
fn respond(
    packet: &CommandPacket<'_>,
    protection: &Protection<'_>,
    counter: Counter,
    status: Status,
    data: &[u8],
) -> Result<Response, Refusal> {
    if packet.spi.wants_response(status) {
        return Ok(Response::data(protection.response(packet.tar, counter, status, data)?));
    }
    Ok(if status == Status::Ok { StatusWord::OK } else { NOT_TAKEN }.into())
}
