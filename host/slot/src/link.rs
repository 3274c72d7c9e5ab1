//! The ways to reach a card.

use std::sync::Arc;
use teuicc_wire::{
    Commands, Error, FactoryRequest, Hello, Interface, MAX_MESSAGE, Personalization, Request, Response, Transmitted,
    encode_commands,
};

/// A card that can be reached. Calls block; one thread owns it (a TEE session is not shared).
///
/// Implemented for every [`Exchange`] by [`Wire`], and directly by what does not speak the wire (PC/SC).
pub trait CardLink: Send {
    /// Which card is this, and what can it do?
    fn hello(&mut self) -> Result<Hello, LinkError>;

    /// Powers or resets an interface. The answer to reset, 2 to 32 bytes.
    fn power_up(&mut self, interface: Interface) -> Result<Vec<u8>, LinkError>;

    /// Takes power from an interface.
    fn power_down(&mut self, interface: Interface) -> Result<(), LinkError>;

    /// Executes command APDUs in order, until one answers with data or with a status word other than 9000.
    fn transmit(&mut self, interface: Interface, commands: &[Vec<u8>]) -> Result<Transmitted, LinkError>;

    /// Factory: makes an eUICC key pair in the card. A PKCS#10 certificate request in DER.
    fn factory_request(&mut self, request: &FactoryRequest<'_>) -> Result<Vec<u8>, LinkError> {
        let _ = request;
        Err(LinkError::NotSupported("factory operations"))
    }

    /// Factory: installs certificates and settings, once.
    fn personalize(&mut self, settings: &Personalization<'_>) -> Result<(), LinkError> {
        let _ = settings;
        Err(LinkError::NotSupported("factory operations"))
    }
}

/// Why the card could not be asked, or what it refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The way to the card failed; this says nothing of the card.
    #[error("the card cannot be reached: {0}")]
    Transport(Arc<str>),
    /// The card itself refuses, or is broken.
    #[error(transparent)]
    Card(#[from] Error),
    /// What came back is no answer to what was asked.
    #[error("the card's side broke the protocol: {0}")]
    Protocol(Arc<str>),
    /// This way to a card cannot do that.
    #[error("{0} are not possible with this card")]
    NotSupported(&'static str),
    /// The request itself is too long, or out of order.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
    /// The interface was reset or powered down since the request was made.
    #[error("the interface was reset or powered down meanwhile")]
    Stale,
    /// Another client has the LPA's interface of the card.
    #[error("the card is busy: another client is using its LPA interface")]
    Busy,
    /// The slot's card is in a modem already.
    #[error("the card is in another modem: a card can be in one only")]
    Attached,
    /// The slot was closed.
    #[error("the slot is closed")]
    Closed,
}

impl LinkError {
    /// A transport error of this text.
    pub fn transport(error: impl ToString) -> Self {
        LinkError::Transport(error.to_string().into())
    }

    /// Whether the card may be gone: the way to it failed, rather than the card having answered.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self, LinkError::Transport(_) | LinkError::Protocol(_) | LinkError::Closed)
    }
}

/// Bytes in, bytes out: one request of `teuicc-wire`, one response.
pub trait Exchange: Send {
    /// Carries one encoded request, of at most [`MAX_MESSAGE`] bytes, to the card, and its encoded response back.
    /// Errors: of the transport alone; whatever the card decides is a response.
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError>;
}

impl<E: Exchange + ?Sized> Exchange for Box<E> {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, LinkError> {
        (**self).exchange(request)
    }
}

/// Speaks `teuicc-wire` over an [`Exchange`].
pub struct Wire<E> {
    exchange: E,
    crossings: u64,
}

/// Bytes of an encoded `Transmit` around its commands: version, opcode, interface, length.
const TRANSMIT_OVERHEAD: usize = 7;
/// Bytes before each command of a batch.
const COMMAND_OVERHEAD: usize = 2;

impl<E: Exchange> Wire<E> {
    /// A link over `exchange`.
    pub fn new(exchange: E) -> Self {
        Wire { exchange, crossings: 0 }
    }

    /// How many requests crossed so far.
    #[must_use]
    pub fn crossings(&self) -> u64 {
        self.crossings
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Response, LinkError> {
        let encoded = zeroize::Zeroizing::new(request.encode().map_err(|_| LinkError::Request("out of memory"))?);
        if encoded.len() > MAX_MESSAGE {
            return Err(LinkError::Request("it is longer than a message can be"));
        }
        self.crossings += 1;
        let answer = zeroize::Zeroizing::new(self.exchange.exchange(&encoded)?);
        if answer.len() > MAX_MESSAGE {
            return Err(LinkError::Protocol("the response is longer than a message can be".into()));
        }
        match Response::decode(&answer) {
            Ok(Response::Error(error)) => Err(LinkError::Card(error)),
            Ok(response) => Ok(response),
            Err(error) => Err(LinkError::Protocol(error.to_string().into())),
        }
    }

    fn transmit_once(&mut self, interface: Interface, commands: &[Vec<u8>]) -> Result<Transmitted, LinkError> {
        let encoded = zeroize::Zeroizing::new(
            encode_commands(commands).map_err(|_| LinkError::Request("a command is longer than 65535 bytes"))?,
        );
        let batch = Commands::new(&encoded).map_err(|_| LinkError::Request("a malformed batch"))?;
        match self.ask(&Request::Transmit { interface, commands: batch })? {
            Response::Transmitted(done) if usize::from(done.executed) <= commands.len() => Ok(done),
            Response::Transmitted(_) => Err(LinkError::Protocol("more commands were executed than sent".into())),
            other => Err(unexpected(&other)),
        }
    }
}

impl<E: Exchange> CardLink for Wire<E> {
    fn hello(&mut self) -> Result<Hello, LinkError> {
        match self.ask(&Request::Hello)? {
            Response::Hello(hello) => Ok(hello),
            other => Err(unexpected(&other)),
        }
    }

    fn power_up(&mut self, interface: Interface) -> Result<Vec<u8>, LinkError> {
        match self.ask(&Request::PowerUp(interface))? {
            Response::Atr(atr) if (2..=32).contains(&atr.len()) => Ok(atr),
            Response::Atr(_) => Err(LinkError::Protocol("an answer to reset has 2 to 32 bytes".into())),
            other => Err(unexpected(&other)),
        }
    }

    fn power_down(&mut self, interface: Interface) -> Result<(), LinkError> {
        done(self.ask(&Request::PowerDown(interface))?)
    }

    /// A batch that is longer than a message crosses in several.
    fn transmit(&mut self, interface: Interface, commands: &[Vec<u8>]) -> Result<Transmitted, LinkError> {
        let mut total: u16 = 0;
        let mut changed = false;
        let mut rest = commands;
        loop {
            let (now, later) = rest.split_at(fitting(rest)?);
            let mut done = self.transmit_once(interface, now)?;
            total = total.checked_add(done.executed).ok_or(LinkError::Request("more than 65535 commands"))?;
            changed |= done.card_changed;
            let stopped = usize::from(done.executed) < now.len() || done.last != [0x90, 0x00];
            if later.is_empty() || stopped {
                done.executed = total;
                done.card_changed = changed;
                return Ok(done);
            }
            rest = later;
        }
    }

    fn factory_request(&mut self, request: &FactoryRequest<'_>) -> Result<Vec<u8>, LinkError> {
        match self.ask(&Request::FactoryRequest(*request))? {
            Response::CertificateRequest(request) => Ok(request),
            other => Err(unexpected(&other)),
        }
    }

    fn personalize(&mut self, settings: &Personalization<'_>) -> Result<(), LinkError> {
        done(self.ask(&Request::Personalize(settings.clone()))?)
    }
}

/// How many of the first commands fit into one message. Errors: not even one.
fn fitting(commands: &[Vec<u8>]) -> Result<usize, LinkError> {
    let mut room = MAX_MESSAGE - TRANSMIT_OVERHEAD;
    for (count, command) in commands.iter().enumerate() {
        match room.checked_sub(command.len() + COMMAND_OVERHEAD) {
            Some(left) if count < usize::from(u16::MAX) => room = left,
            _ if count == 0 => return Err(LinkError::Request("a command is longer than a message can be")),
            _ => return Ok(count),
        }
    }
    Ok(commands.len())
}

fn done(response: Response) -> Result<(), LinkError> {
    match response {
        Response::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(response: &Response) -> LinkError {
    LinkError::Protocol(format!("{response:?} answers another request").into())
}
