//! What can go wrong, where, whose fault it is, and what to do about it.

use crate::activation_code::ServerAddressError;
use crate::es9p::ServerStatus;
use core::fmt;
use teuicc_apdu::StatusWord;
use teuicc_rsp::codes::{BppCommandId, CancelSessionReason, ErrorReason};
use teuicc_saip::status::{EuiccResponse, PeStatus, StatusCode};

/// Why an operation of the LPA failed. `Display` says in one line which step failed and why; [`LpaError::hint`] says
/// what to do. Neither holds a confirmation code, a matching ID or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LpaError {
    /// The card could not be reached, or stopped answering.
    #[error("{function}: the card cannot be reached: {fault}")]
    Card {
        /// What was asked of it.
        function: &'static str,
        /// What the slot says.
        fault: CardFault,
    },
    /// The card answered with a status word that is an error.
    #[error("{function}: the card answered {:04X} ({})", .status.0, crate::es10::status_in_words(*.status))]
    CardStatus {
        /// What was asked of it.
        function: &'static str,
        /// The status word.
        status: StatusWord,
    },
    /// The card's answer makes no sense.
    #[error("{function}: the card's answer is not what SGP.22 says: {problem}")]
    CardAnswer {
        /// What was asked of it.
        function: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The card refused with a result code of SGP.22.
    #[error("{function} refused by the card: {words} (code {code})")]
    CardRefused {
        /// What was asked of it.
        function: &'static str,
        /// The number of the result.
        code: u32,
        /// The result in words.
        words: String,
    },
    /// The card did not install the bound profile package. The result went to the server.
    #[error("the card could not install the profile: {reason} (code {}), in {command}{}", .reason.code(), Detail(.detail))]
    Installation {
        /// Which part of the package failed.
        command: BppCommandId,
        /// Why.
        reason: ErrorReason,
        /// EUICCResponse of the profile package interpreter, in hex, if the card gave one.
        detail: Option<String>,
    },
    /// No answer came from a server.
    #[error("{function}: {server}: {error}")]
    Http {
        /// What was asked of it.
        function: &'static str,
        /// Which server.
        server: String,
        /// What happened to the connection.
        error: HttpError,
    },
    /// A server answered with an HTTP status that SGP.22 does not use.
    #[error("{function}: {server} answered with HTTP status {status}")]
    HttpStatus {
        /// What was asked of it.
        function: &'static str,
        /// Which server.
        server: String,
        /// The status.
        status: u16,
    },
    /// A server's answer makes no sense.
    #[error("{function}: the answer of {server} is not what SGP.22 says: {problem}")]
    ServerAnswer {
        /// What was asked of it.
        function: &'static str,
        /// Which server.
        server: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A server refused, with SGP.22's subject and reason codes.
    #[error("{function} refused by {server}: {status}")]
    ServerRefused {
        /// What was asked of it.
        function: &'static str,
        /// Which server.
        server: String,
        /// Subject and reason.
        status: Box<ServerStatus>,
    },
    /// The server that answered says it is another one.
    #[error("initiateAuthentication: {server} was asked, but {answered:?} answered")]
    WrongServer {
        /// Which server was asked.
        server: String,
        /// What the answering one calls itself.
        answered: String,
    },
    /// The server that answered has another OID than the activation code says.
    #[error("the activation code is for the SM-DP+ with OID {expected}, but {server} has {found}")]
    WrongServerOid {
        /// Which server was asked.
        server: String,
        /// The OID of the activation code.
        expected: String,
        /// The OID of the server's certificate.
        found: String,
    },
    /// The session was cancelled, at the card and at the server.
    #[error("the download was cancelled: {reason}")]
    Cancelled {
        /// Why.
        reason: CancelSessionReason,
    },
    /// There is no server to ask: the activation code names none, and neither does the card.
    #[error("the card has no default SM-DP+ address")]
    NoDefaultServer,
    /// The card names a server by something that is no host name.
    #[error("the card has {address:?} as {role}: {error}")]
    BadAddress {
        /// Default SM-DP+, root SM-DS or recipient of a notification.
        role: &'static str,
        /// What the card has.
        address: String,
        /// What is wrong with it.
        error: ServerAddressError,
    },
    /// A parameter of the caller is not one that can be sent.
    #[error("{0}")]
    Parameter(String),
    /// The caller gave an input that was not asked for. A mistake in the program that drives the operation.
    #[error("the LPA was given {given} where {expected} was asked for")]
    Misuse {
        /// What was given.
        given: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
}

struct Detail<'a>(&'a Option<String>);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hex) => match failed_element(hex) {
                Some(failed) => write!(f, "; the card's report is {hex}: {failed}"),
                None => write!(f, "; the card's report is {hex}"),
            },
            None => Ok(()),
        }
    }
}

/// What an EUICCResponse in hex says last, which is why the card stopped. `None` if it cannot be read.
fn failed_element(report: &str) -> Option<PeStatus> {
    EuiccResponse::parse(&hex::decode(report).ok()?).ok()?.statuses.pop().filter(|last| last.status != StatusCode::Ok)
}

/// Why a card could not be reached, in words of the slot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CardFault(pub String);

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server could not be reached.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// TLS failed, or the server's certificate is not from a CI that is trusted here.
    #[error("TLS: {0}")]
    Tls(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No answer came in time.
    #[error("no answer in time")]
    Timeout,
    /// The answer is larger than this many bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(u64),
    /// The address is none that can be connected to.
    #[error("bad address: {0}")]
    Address(String),
}

impl HttpError {
    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, HttpError::Connect(_) | HttpError::Broken(_) | HttpError::Timeout)
    }
}

impl LpaError {
    /// What the user can do about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            LpaError::Card { .. } => Some("see that the daemon or the card reader runs and that the card is in it"),
            LpaError::CardStatus { function: "SELECT ISD-R", status } if status.0 == 0x6A82 => {
                Some("the card in this slot is no eUICC, or it hides its ISD-R")
            }
            LpaError::CardStatus { function: "MANAGE CHANNEL", .. } => {
                Some("another program may hold all logical channels of the card: end it, or reset the card")
            }
            LpaError::CardRefused { words, .. } if words.contains("busy") => {
                Some("try again in a few seconds, or without asking the card for a refresh")
            }
            LpaError::Installation { reason, detail, .. } => installation_hint(*reason, detail.as_deref()),
            LpaError::Http { error, .. } => Some(match error {
                HttpError::Connect(_) | HttpError::Address(_) => "check the network and the server's address",
                HttpError::Tls(_) => {
                    "check the server's address, and that the CI certificate given is the one its certificate is from"
                }
                HttpError::Broken(_) | HttpError::Timeout => {
                    "run it again with the same activation code: the order is not used up"
                }
                HttpError::TooLarge(_) => "this is not an SM-DP+, or a broken one",
            }),
            LpaError::HttpStatus { .. } | LpaError::ServerAnswer { .. } => {
                Some("the address may not be that of an SM-DP+, or its operator must look at its log")
            }
            LpaError::ServerRefused { status, .. } => status.hint(),
            LpaError::WrongServerOid { .. } => Some("the activation code may be mistyped; do not go on with it"),
            LpaError::Cancelled { reason } => match reason {
                CancelSessionReason::Postponed | CancelSessionReason::Timeout => {
                    Some("the order is kept: run it again with the same activation code")
                }
                CancelSessionReason::PprNotAllowed => {
                    Some("the profile wants rules that this card does not allow its operator")
                }
                _ => None,
            },
            LpaError::NoDefaultServer => Some("give an activation code"),
            _ => None,
        }
    }

    /// Whether an order is still there for another try with the same activation code, as far as the LPA knows.
    #[must_use]
    pub fn order_is_kept(&self) -> bool {
        match self {
            LpaError::Installation { .. } | LpaError::WrongServerOid { .. } => false,
            LpaError::ServerRefused { status, .. } => status.order_is_kept(),
            LpaError::Cancelled { reason } => {
                matches!(reason, CancelSessionReason::Postponed | CancelSessionReason::Timeout)
            }
            _ => true,
        }
    }
}

fn installation_hint(reason: ErrorReason, report: Option<&str>) -> Option<&'static str> {
    let status = report.and_then(failed_element).map(|failed| failed.status);
    match reason {
        ErrorReason::InstallFailedDueToIccidAlreadyExistsOnEuicc => {
            Some("the profile is on the card already: list the profiles, delete it first if it shall be replaced")
        }
        ErrorReason::InstallFailedDueToInsufficientMemoryForProfile => Some("delete a profile that is not needed"),
        ErrorReason::PprNotAllowed => Some("the profile wants rules that this card does not allow its operator"),
        ErrorReason::InstallFailedDueToPeProcessingError if status.is_none_or(StatusCode::is_missing_feature) => {
            Some("the profile needs something this card does not have; the operator must offer another one")
        }
        _ => Some("the operator must look into it; the result of the card was sent to the server"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(report: &str) -> LpaError {
        LpaError::Installation {
            command: BppCommandId::LoadProfileElements,
            reason: ErrorReason::InstallFailedDueToPeProcessingError,
            detail: Some(report.into()),
        }
    }

    #[test]
    fn the_report_of_a_card_is_told_in_words() {
        // A profile that needs a Java Card runtime, one that was cut short, and a report that is none.
        let missing = installation("300CA00830068001078301008100");
        assert!(missing.to_string().ends_with(": RuntimeNotSupported at byte 0"), "{missing}");
        assert!(missing.hint().is_some_and(|hint| hint.contains("does not have")));
        let damaged = installation("3017A013300C80010A81011482010183010030038001058100");
        assert!(damaged.to_string().ends_with(": InvalidRequestFormat"), "{damaged}");
        assert!(damaged.hint().is_some_and(|hint| hint.contains("the operator must look into it")));
        let strange = installation("0102");
        assert!(strange.to_string().ends_with("is 0102"), "{strange}");
    }
}
