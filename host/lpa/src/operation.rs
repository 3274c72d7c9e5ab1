//! How an operation of the LPA runs without doing any input or output itself.
//!
//! An operation is written as a straight `async` function that asks `Io` for what it needs; the compiler makes the
//! state machine. [`Operation`] is that machine with its waking taken out: [`Operation::next`] takes the answer to the
//! last step and gives the next step. There is no executor, no socket, no clock and no thread in it.

use crate::download::ProfileMetadata;
use crate::error::{CardFault, HttpError, LpaError};
use crate::progress::Progress;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use teuicc_wire::Transmitted;
use zeroize::Zeroizing;

/// What an operation needs next.
pub enum Step<T> {
    /// Send these command APDUs to the card, as one batch, and answer with [`Input::Card`].
    Card(Vec<Vec<u8>>),
    /// Post this to a server and answer with [`Input::Http`].
    Http(HttpRequest),
    /// Show the user what the profile is, ask for consent and answer with [`Input::Consent`].
    AskConsent(ProfileMetadata),
    /// Ask the user for the confirmation code and answer with [`Input::ConfirmationCode`].
    AskConfirmationCode {
        /// Whether the server has just refused one.
        refused: bool,
    },
    /// Nothing is needed; answer with [`Input::Continue`].
    Progress(Progress),
    /// The operation is over.
    Done(T),
}

/// What the caller gives an operation.
pub enum Input {
    /// To begin with, and after [`Step::Progress`].
    Continue,
    /// How far the card came with the batch, or why it cannot be reached.
    Card(Result<Transmitted, CardFault>),
    /// The answer of the server, or what happened to the connection.
    Http(Result<HttpResponse, HttpError>),
    /// What the user says to the profile.
    Consent(Consent),
    /// The confirmation code, or `None` if the user has none.
    ConfirmationCode(Option<ConfirmationCode>),
}

/// A POST to a server. `Debug` leaves out the body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `https://<host>[:port]/gsma/rsp2/es9plus/<function>`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body, JSON.
    pub body: Vec<u8>,
}

/// The answer to a POST. `Debug` leaves out the body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status, 200 or 204 if all is well.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// What the user says to a profile that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Install it.
    Given,
    /// Do not install it, ever: the order is used up.
    Refused,
    /// Not now: the order is kept.
    Postponed,
    /// No answer came in time: the order is kept.
    TimedOut,
}

/// A confirmation code, as the user typed it without white space around it. Wiped when dropped; `Debug` shows nothing.
#[derive(Clone)]
pub struct ConfirmationCode(Zeroizing<String>);

impl ConfirmationCode {
    /// The code that the user typed. `None` if it is empty.
    #[must_use]
    pub fn new(code: String) -> Option<Self> {
        let typed = Zeroizing::new(code);
        let code = typed.trim();
        (!code.is_empty()).then(|| ConfirmationCode(Zeroizing::new(code.to_owned())))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConfirmationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfirmationCode(..)")
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({}, {} bytes)", self.url, self.body.len())
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} bytes)", self.status, self.body.len())
    }
}

impl<T> fmt::Debug for Step<T> {
    /// Kind and size only: APDUs hold a hash of the confirmation code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Card(batch) => write!(f, "Card({} commands)", batch.len()),
            Step::Http(request) => request.fmt(f),
            Step::AskConsent(_) => f.write_str("AskConsent"),
            Step::AskConfirmationCode { .. } => f.write_str("AskConfirmationCode"),
            Step::Progress(progress) => progress.fmt(f),
            Step::Done(_) => f.write_str("Done"),
        }
    }
}

impl Input {
    fn kind(&self) -> &'static str {
        match self {
            Input::Continue => CONTINUE,
            Input::Card(_) => CARD,
            Input::Http(_) => HTTP,
            Input::Consent(_) => CONSENT,
            Input::ConfirmationCode(_) => CONFIRMATION_CODE,
        }
    }
}

const CONTINUE: &str = "Continue";
const CARD: &str = "Card";
const HTTP: &str = "Http";
const CONSENT: &str = "Consent";
const CONFIRMATION_CODE: &str = "ConfirmationCode";
const NOTHING: &str = "nothing (it is over)";

/// An operation of the LPA, with a result of type `T`. Dropping it stops it where
/// it is: the order is kept, and the logical channel it may have open ends with the power of the interface.
pub struct Operation<T> {
    machine: Option<Machine<T>>,
    exchange: Exchange,
    expected: &'static str,
}

type Machine<T> = Pin<Box<dyn Future<Output = Result<T, LpaError>> + Send>>;
type Exchange = Arc<Mutex<Mailbox>>;

/// What passes between an operation and its caller: a step going out, an answer coming in.
#[derive(Default)]
struct Mailbox {
    step: Option<Step<core::convert::Infallible>>,
    input: Option<Input>,
}

fn open(exchange: &Exchange) -> MutexGuard<'_, Mailbox> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Operation<T> {
    /// The operation that `body` describes.
    pub(crate) fn new<F>(body: impl FnOnce(Io) -> F) -> Self
    where
        F: Future<Output = Result<T, LpaError>> + Send + 'static,
    {
        let exchange = Exchange::default();
        let machine = Box::pin(body(Io(exchange.clone())));
        Operation { machine: Some(machine), exchange, expected: CONTINUE }
    }

    /// Takes the answer to the last step, [`Input::Continue`] at first, and gives the next step.
    ///
    /// Errors: the operation failed and is over; or [`LpaError::Misuse`] if something else was asked for, which
    /// changes nothing.
    pub fn next(&mut self, input: Input) -> Result<Step<T>, LpaError> {
        if input.kind() != self.expected {
            return Err(LpaError::Misuse { given: input.kind(), expected: self.expected });
        }
        let Some(machine) = &mut self.machine else {
            return Err(LpaError::Misuse { given: input.kind(), expected: NOTHING });
        };
        open(&self.exchange).input = Some(input);
        let polled = machine.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let step = open(&self.exchange).step.take();
        let (step, expected) = match (polled, step) {
            (Poll::Pending, Some(Step::Card(batch))) => (Step::Card(batch), CARD),
            (Poll::Pending, Some(Step::Http(request))) => (Step::Http(request), HTTP),
            (Poll::Pending, Some(Step::AskConsent(metadata))) => (Step::AskConsent(metadata), CONSENT),
            (Poll::Pending, Some(Step::AskConfirmationCode { refused })) => {
                (Step::AskConfirmationCode { refused }, CONFIRMATION_CODE)
            }
            (Poll::Pending, Some(Step::Progress(progress))) => (Step::Progress(progress), CONTINUE),
            (Poll::Pending, Some(Step::Done(never))) => match never {},
            (Poll::Pending, None) => return Err(LpaError::Misuse { given: CONTINUE, expected: NOTHING }),
            (Poll::Ready(result), _) => {
                self.machine = None;
                self.expected = NOTHING;
                return result.map(Step::Done);
            }
        };
        self.expected = expected;
        Ok(step)
    }
}

/// An operation's side of the exchange.
pub(crate) struct Io(Exchange);

impl Io {
    pub(crate) async fn card(&self, batch: Vec<Vec<u8>>) -> Result<Transmitted, CardFault> {
        match self.ask(Step::Card(batch)).await {
            Input::Card(answer) => answer,
            _ => Err(CardFault("no answer".into())),
        }
    }

    pub(crate) async fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.ask(Step::Http(request)).await {
            Input::Http(answer) => answer,
            _ => Err(HttpError::Broken("no answer".into())),
        }
    }

    pub(crate) async fn consent(&self, metadata: ProfileMetadata) -> Consent {
        match self.ask(Step::AskConsent(metadata)).await {
            Input::Consent(consent) => consent,
            _ => Consent::Postponed,
        }
    }

    pub(crate) async fn confirmation_code(&self, refused: bool) -> Option<ConfirmationCode> {
        match self.ask(Step::AskConfirmationCode { refused }).await {
            Input::ConfirmationCode(code) => code,
            _ => None,
        }
    }

    pub(crate) async fn progress(&self, progress: Progress) {
        self.ask(Step::Progress(progress)).await;
    }

    /// Hands out a step and waits for its answer, whose kind [`Operation::next`] has checked.
    async fn ask(&self, step: Step<core::convert::Infallible>) -> Input {
        {
            let mut mailbox = open(&self.0);
            mailbox.input = None;
            mailbox.step = Some(step);
        }
        core::future::poll_fn(|_| match open(&self.0).input.take() {
            Some(input) => Poll::Ready(input),
            None => Poll::Pending,
        })
        .await
    }
}
