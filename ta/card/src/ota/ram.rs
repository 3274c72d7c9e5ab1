//! Commands to the MNO-SD (TS 102 226 section 8, SGP.22 section 5.4): UpdateMetadata, and nothing of card content
//! management, since there is no card content.

use super::Host;
use super::script::Execute;
use crate::euicc::Assembly;
use crate::platform::Env;
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response, StatusWord, ins};
use teuicc_tlv::OutOfMemory;
use zeroize::Zeroizing;

/// P1 of INSTALL [for personalization] (GlobalPlatform Card Specification section 11.5.2.3.6).
const FOR_PERSONALIZATION: u8 = 0x20;

/// Runs a script for the security domain. Gives the response data, at most `room` bytes. Errors: out of memory.
pub(super) fn run(host: &mut Host<'_>, script: &[u8], room: usize) -> Result<Zeroizing<Vec<u8>>, OutOfMemory> {
    let mut assembly = Assembly::default();
    let execute: &mut Execute<'_> = &mut |command| match command.ins {
        ins::INSTALL => install(host, command).into(),
        ins::STORE_DATA => {
            let mut env = Env { rng: &mut *host.env.rng, store: &mut *host.env.store };
            host.euicc.isdp_store_data(&mut env, &mut assembly, command)
        }
        _ => Response::from(StatusWord::INSTRUCTION_NOT_SUPPORTED),
    };
    super::script::run(script, room, execute)
}

/// INSTALL [for personalization] may name the ISD-P that the STORE DATA behind it is for: the profile's own.
fn install(host: &Host<'_>, command: &Command<'_>) -> StatusWord {
    if (command.p1, command.p2) != (FOR_PERSONALIZATION, 0) {
        return StatusWord::INCORRECT_P1P2;
    }
    let aid = match command.data {
        [0, 0, length, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        _ => None,
    };
    match aid {
        // No privileges, no parameters, no token.
        Some((aid, [0, 0, 0])) if host.euicc.enabled_isdp().is_some_and(|isdp| isdp == aid) => StatusWord::OK,
        Some((_, [0, 0, 0])) => StatusWord::REFERENCE_DATA_NOT_FOUND,
        _ => StatusWord::INCORRECT_DATA,
    }
}
