//! Runs an operation: over a card, an HTTP client and a user, blocking.

use crate::download::ProfileMetadata;
use crate::error::{CardFault, HttpError, LpaError};
use crate::operation::{ConfirmationCode, Consent, HttpRequest, HttpResponse, Input, Operation, Step};
use crate::progress::Progress;
use teuicc_slot::{CardLink, Interface, LinkError, Slot};
use teuicc_wire::Transmitted;

/// A card's LPA interface, with power.
pub trait Card {
    /// Executes command APDUs in order, until one answers with data or with a status word other than 9000.
    fn transmit(&mut self, commands: Vec<Vec<u8>>) -> Result<Transmitted, CardFault>;
}

/// Posts to servers. Redirects are not followed.
pub trait HttpClient {
    /// Posts once. A status other than 200 is an answer, not an error.
    fn post(&mut self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;
}

/// The person in front of the device.
pub trait User {
    /// Shows the profile and asks whether to install it.
    fn consent(&mut self, metadata: &ProfileMetadata) -> Consent;

    /// Asks for the confirmation code, `None` if there is none. `refused`: the last one was wrong.
    fn confirmation_code(&mut self, refused: bool) -> Option<ConfirmationCode>;

    /// Shows how far it is.
    fn progress(&mut self, progress: Progress) {
        let _ = progress;
    }
}

/// Runs an operation to its end.
///
/// Errors: the operation's.
pub fn drive<T>(
    mut operation: Operation<T>,
    card: &mut dyn Card,
    http: &mut dyn HttpClient,
    user: &mut dyn User,
) -> Result<T, LpaError> {
    let mut input = Input::Continue;
    loop {
        input = match operation.next(input)? {
            Step::Card(commands) => Input::Card(card.transmit(commands)),
            Step::Http(request) => Input::Http(http.post(&request)),
            Step::AskConsent(metadata) => Input::Consent(user.consent(&metadata)),
            Step::AskConfirmationCode { refused } => Input::ConfirmationCode(user.confirmation_code(refused)),
            Step::Progress(progress) => {
                user.progress(progress);
                Input::Continue
            }
            Step::Done(result) => return Ok(result),
        };
    }
}

/// Runs an operation that needs the card alone.
///
/// Errors: the operation's; one that needs more gets no answer.
pub fn drive_card<T>(operation: Operation<T>, card: &mut dyn Card) -> Result<T, LpaError> {
    drive(operation, card, &mut Nobody, &mut Nobody)
}

/// No server and no user.
struct Nobody;

impl HttpClient for Nobody {
    fn post(&mut self, _: &HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::Address("there is no network here".into()))
    }
}

impl User for Nobody {
    fn consent(&mut self, _: &ProfileMetadata) -> Consent {
        Consent::Postponed
    }

    fn confirmation_code(&mut self, _: bool) -> Option<ConfirmationCode> {
        None
    }
}

impl From<LinkError> for CardFault {
    fn from(error: LinkError) -> Self {
        CardFault(error.to_string())
    }
}

/// The LPA interface of a slot's card, powered as long as this value lives.
pub struct SlotCard {
    slot: Slot,
    generation: u64,
}

impl SlotCard {
    /// Powers the interface. Blocks; not for an async task. Errors: the card cannot be reached.
    pub fn power_up(slot: &Slot) -> Result<Self, CardFault> {
        let powered = slot.blocking_power_up(Interface::Lpa)?;
        Ok(SlotCard { slot: slot.clone(), generation: powered.generation })
    }
}

impl Card for SlotCard {
    fn transmit(&mut self, commands: Vec<Vec<u8>>) -> Result<Transmitted, CardFault> {
        Ok(self.slot.blocking_transmit(Interface::Lpa, self.generation, commands)?)
    }
}

impl Drop for SlotCard {
    fn drop(&mut self) {
        // Queued, not awaited: a power-down that fails takes nothing from the next power-up.
        drop(self.slot.power_down(Interface::Lpa));
    }
}

/// The LPA interface of a card that is reached without a slot, powered as long as this value lives.
pub struct LinkCard<'a> {
    link: &'a mut dyn CardLink,
}

impl<'a> LinkCard<'a> {
    /// Powers the interface. Errors: the card cannot be reached.
    pub fn power_up(link: &'a mut dyn CardLink) -> Result<Self, CardFault> {
        link.power_up(Interface::Lpa)?;
        Ok(LinkCard { link })
    }
}

impl Card for LinkCard<'_> {
    fn transmit(&mut self, commands: Vec<Vec<u8>>) -> Result<Transmitted, CardFault> {
        Ok(self.link.transmit(Interface::Lpa, &commands)?)
    }
}

impl Drop for LinkCard<'_> {
    fn drop(&mut self) {
        let _ = self.link.power_down(Interface::Lpa);
    }
}
