//! TERMINAL CAPABILITY (TS 102 221 section 11.1.19).

use super::{Outcome, Refusal, expect_p1p2};
use teuicc_apdu::{Command, StatusWord};
use teuicc_tlv::{Reader, Tag};

/// Terminal capability template.
const TEMPLATE: Tag = Tag(0xA9);

/// A TERMINAL CAPABILITY command, read as far as it concerns this card: not at all. An LPA in the terminal needs no
/// permission, and power and interfaces are not the card's business.
pub(super) struct Capability;

impl Capability {
    /// Reads the command. Errors: P1 or P2 other than 00; data that is not one template of data objects.
    pub(super) fn parse(command: &Command<'_>) -> Result<Self, Refusal> {
        expect_p1p2(command, 0)?;
        if command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH.into());
        }
        let mut reader = Reader::new(command.data);
        let well_formed = reader.expect(TEMPLATE).is_ok_and(|template| template.members().skip_rest().is_ok());
        if well_formed && reader.is_empty() { Ok(Capability) } else { Err(StatusWord::INCORRECT_DATA.into()) }
    }
}

/// Takes note of it.
pub(super) fn capability(_: &Capability) -> Outcome {
    Ok(StatusWord::OK.into())
}
