//! The local profile assistant: ES9+ to SM-DP+ servers, ES10 to the card, ES11 to SM-DS servers (SGP.22 v2.5).
//!
//! | module | what |
//! | --- | --- |
//! | [`activation_code`] | what a user types or scans |
//! | [`download`] | from an activation code to an installed profile |
//! | [`profiles`] | list, enable, disable, delete, nickname, reset, and what the card says of itself |
//! | [`notifications`] | telling servers what happened |
//! | [`discover`] | asking an SM-DS where orders wait |
//! | [`operation`] | the shape of all of these: steps out, inputs in; no input or output inside |
//! | [`drive()`] | runs an operation over a [`drive::Card`], an [`drive::HttpClient`] and a [`drive::User`] |
//! | [`http`] | an HTTP client whose only trust anchors are CI certificates |
//! | [`error`] | which step failed, why, and what to do |
//!
//! The LPA is in the normal world and is not trusted by the card: it moves signed data between card and servers. What
//! it decides itself is what the user must be asked, and that it talks to the server that the user named.
#![forbid(unsafe_code)]

pub mod activation_code;
pub mod discover;
pub mod download;
pub mod drive;
pub mod error;
mod es10;
mod es9p;
#[cfg(feature = "http")]
pub mod http;
pub mod notifications;
pub mod operation;
pub mod profiles;
pub mod progress;
mod session;

pub use activation_code::{ActivationCode, ServerAddress};
pub use drive::drive;
pub use error::{CardFault, HttpError, LpaError};
pub use es9p::{EventEntry, MAX_BODY, ServerStatus};
pub use operation::{ConfirmationCode, Consent, HttpRequest, HttpResponse, Input, Operation, Step};
pub use progress::{Progress, Stage};
