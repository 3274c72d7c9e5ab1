//! GET CHALLENGE (TS 102 221 section 11.1.18).

use super::{Context, Outcome, Refusal, expect_p1p2, le, no_data};
use alloc::vec::Vec;
use teuicc_apdu::{Command, Response};
use teuicc_tlv::TryBytes;

/// A GET CHALLENGE command.
pub(super) struct GetChallenge {
    /// How many random bytes, 1 to 256.
    length: usize,
}

impl GetChallenge {
    /// Reads the command. Errors: P1 or P2 other than 00; data.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        no_data(command)?;
        Ok(GetChallenge { length: le(command).min(256) })
    }
}

/// Gives random bytes. Nothing remembers them: no command here takes a challenge.
pub(super) fn get(cx: &mut Context<'_>, command: GetChallenge) -> Outcome {
    let mut bytes = Vec::new();
    bytes.try_resize(command.length, 0)?;
    cx.env.rng.fill(&mut bytes);
    Ok(Response::data(bytes))
}
