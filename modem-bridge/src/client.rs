//! The driver of the interfaces that serve one client at a time, SAP and JSON lines: bytes become messages, messages go
//! to a machine, and what the machine wants done is done. Between any two messages everything else has its turn: the
//! end, the card, another client. A client that reads nothing holds up nobody but itself.

use crate::endpoint::{Clients, Peer, WRITE_TIMEOUT, at};
use crate::port::{Happening, Port, TPDU_LIMIT, power_down};
use crate::session::{Away, Work};
use crate::status::{BridgeError, Connected, Patience, Retry, Status};
use std::collections::VecDeque;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use teuicc_apdu::Response;
use teuicc_slot::ModemAttachment;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

/// Bytes read at a time.
const READ_CHUNK: usize = 4096;
/// How long the rest of a message may take; a line may have carried something else before.
const REST: Duration = Duration::from_secs(2);
/// How long the last words to a client may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What is to be done next. Messages go out in this order, and work is done in this order.
#[derive(PartialEq, Eq)]
pub(crate) enum Output<M> {
    /// Send this to the client.
    Send(M),
    /// Let the slot do this.
    Work(Work),
    /// The card is away: try again after a while, by [`Machine::look_for_card`].
    Away(Away),
    /// All has been said.
    Parted,
}

/// The card, as one client sees it. Sans-IO: the slot's answers come in, [`Output`]s go out.
pub(crate) trait Machine {
    /// What is sent to the client.
    type Message;

    /// The power-up of `epoch` succeeded.
    fn powered_up(&mut self, epoch: u64, generation: u64, atr: Vec<u8>) -> Vec<Output<Self::Message>>;

    /// The power-down of `epoch` is done.
    fn powered_down(&mut self, epoch: u64) -> Vec<Output<Self::Message>>;

    /// The card answered the TPDU of `epoch`; `None` if it could not.
    fn answered(&mut self, epoch: u64, response: Option<Response>) -> Vec<Output<Self::Message>>;

    /// The card has not answered the TPDU of `epoch` in time.
    fn timed_out(&mut self, epoch: u64) -> Vec<Output<Self::Message>>;

    /// The card cannot be reached.
    fn card_lost(&mut self) -> Vec<Output<Self::Message>>;

    /// The modem must see the card leave and come back.
    fn replug(&mut self) -> Vec<Output<Self::Message>>;

    /// Looks whether the card is there again.
    fn look_for_card(&mut self) -> Vec<Output<Self::Message>>;

    /// The bridge ends: the card is removed, and the client asked to go.
    fn leave(&mut self) -> Vec<Output<Self::Message>>;

    /// The client was asked to go, and has not gone.
    fn leave_now(&mut self) -> Vec<Output<Self::Message>>;
}

/// A message as it goes out.
pub(crate) struct Outgoing {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Whether nobody asked for it.
    pub(crate) is_event: bool,
}

/// A machine with the messages that its client sends.
pub(crate) trait Protocol {
    type Machine: Machine;

    fn machine(&mut self) -> &mut Self::Machine;

    /// Whether the client has shown that it is one.
    fn is_introduced(&self) -> bool;

    /// Whether the next message waits for the end of a request.
    fn is_busy(&self) -> bool;

    /// Takes bytes that have come.
    fn push(&mut self, bytes: &[u8]);

    /// What follows from the next message that has come; `None` if it is not whole yet. Errors: why the client is
    /// given up.
    fn next(&mut self) -> Result<Option<Outputs<Self>>, String>;

    /// Whether a part of a message has come whose rest is to come soon.
    fn is_partial(&self) -> bool;

    /// Throws that part away.
    fn give_up_part(&mut self) -> Outputs<Self>;

    /// `None`: it has no bytes.
    fn encode(&self, message: &Sent<Self>) -> Option<Outgoing>;

    /// What a client is told that cannot have the card because another one has it.
    fn refusal(&self) -> Sent<Self>;
}

pub(crate) type Sent<P> = <<P as Protocol>::Machine as Machine>::Message;
pub(crate) type Outputs<P> = Vec<Output<Sent<P>>>;

/// How clients are served.
pub(crate) struct Settings {
    /// How long the card stays away when the modem is replugged.
    pub(crate) absence: Duration,
    /// How long a client that was asked to go may take until it is cut off.
    pub(crate) farewell: Duration,
    /// How long a client that has not introduced itself keeps its place against another one.
    pub(crate) introduction: Duration,
    /// How long nothing is sent between an event and the message before or after it.
    pub(crate) pause: Duration,
    /// How long to wait for a card that is not there.
    pub(crate) patience: Patience,
}

/// The modem's side of a slot, for one client after another.
pub(crate) struct Service {
    pub(crate) modem: ModemAttachment,
    pub(crate) status: Arc<Status>,
    pub(crate) settings: Settings,
}

/// Why a connection ended.
pub(crate) enum Leave {
    ClientLost(String),
    SlotClosed,
    Shutdown,
}

impl Service {
    /// Serves one client after another, until `shutdown` is ready. Errors: the slot is closed.
    pub(crate) async fn serve_all<P: Protocol>(
        &self,
        mut clients: Clients,
        protocol: impl Fn() -> P,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), BridgeError> {
        let mut shutdown = std::pin::pin!(shutdown);
        while let Some(peer) = clients.next(shutdown.as_mut()).await {
            match self.serve(peer, Some(&mut clients), protocol(), shutdown.as_mut()).await {
                Leave::Shutdown => break,
                Leave::SlotClosed => return Err(BridgeError::SlotClosed),
                Leave::ClientLost(reason) => tracing::info!(reason, "the client is gone"),
            }
        }
        Ok(())
    }

    /// Serves one client to its end; the card then has no power. [`Leave::Shutdown`]: `shutdown` is ready, and is not
    /// to be asked again.
    pub(crate) async fn serve<P: Protocol, F: Future<Output = ()>>(
        &self,
        peer: Peer,
        mut clients: Option<&mut Clients>,
        protocol: P,
        mut shutdown: Pin<&mut F>,
    ) -> Leave {
        let is_shared = clients.as_ref().is_some_and(|clients| clients.is_shared());
        let mut connection = Connection::new(self, peer, protocol, is_shared);
        let leave = loop {
            match connection.step(clients.as_deref_mut(), shutdown.as_mut()).await {
                // That it goes is what it was asked for.
                Err(Leave::ClientLost(_)) if connection.farewell.is_some() => break Leave::Shutdown,
                Err(leave) => break leave,
                Ok(()) if connection.has_parted() => break Leave::Shutdown,
                Ok(()) => {}
            }
        };
        if let Some(clients) = clients
            && connection.was_introduced
        {
            clients.served();
        }
        drop(connection);
        // The modem has lost the card before the card loses its power.
        power_down(&self.modem).await;
        leave
    }
}

struct Connection<'a, P: Protocol> {
    service: &'a Service,
    peer: Peer,
    port: Port<'a>,
    protocol: P,
    outbox: Outbox,
    /// Whether there may be a whole message in what has come.
    unread: bool,
    /// Whether the client will send nothing more.
    ended: bool,
    connected: Option<Connected>,
    is_shared: bool,
    was_introduced: bool,
    /// From when on a client that has not introduced itself makes room for another one.
    introduction: Option<Instant>,
    makes_room: bool,
    /// When the part of a message that has come is thrown away.
    rest: Option<Instant>,
    /// When to look for a card that is away.
    look: Option<Instant>,
    /// When a client that was asked to go is cut off.
    farewell: Option<Instant>,
    parted: bool,
    retry: Retry,
}

impl<'a, P: Protocol> Connection<'a, P> {
    fn new(service: &'a Service, peer: Peer, protocol: P, is_shared: bool) -> Self {
        let mut connection = Connection {
            service,
            peer,
            port: Port::new(&service.modem, Some(TPDU_LIMIT)),
            protocol,
            outbox: Outbox::new(service.settings.pause),
            unread: false,
            ended: false,
            connected: None,
            is_shared,
            was_introduced: false,
            introduction: None,
            makes_room: false,
            rest: None,
            look: None,
            farewell: None,
            parted: false,
            retry: Retry::new(service.settings.patience),
        };
        connection.note_introduction();
        connection
    }

    /// Whether there is nothing more to be said.
    fn has_parted(&self) -> bool {
        self.parted && self.outbox.is_empty()
    }

    /// Waits for one thing to happen, and does what follows from it.
    async fn step<F: Future<Output = ()>>(
        &mut self,
        clients: Option<&mut Clients>,
        mut shutdown: Pin<&mut F>,
    ) -> Result<(), Leave> {
        let mut chunk = Zeroizing::new([0; READ_CHUNK]);
        let has_room = !self.port.is_full() && !self.parted;
        let takes = self.unread && has_room && self.outbox.is_empty() && !self.protocol.is_busy();
        let reads = !self.unread && has_room && !self.ended;
        let refusal = || self.protocol.encode(&self.protocol.refusal());
        let makes_room = self.makes_room;
        let another = async {
            match clients {
                Some(clients) if makes_room => clients.another().await,
                Some(clients) => clients.turn_away(refusal).await,
                None => std::future::pending().await,
            }
        };
        let outputs = tokio::select! {
            biased;
            () = &mut shutdown, if self.farewell.is_none() => {
                self.farewell = Some(Instant::now() + self.service.settings.farewell);
                self.look = None;
                self.protocol.machine().leave()
            }
            () = at(self.farewell) => {
                if self.parted {
                    return Err(Leave::Shutdown);
                }
                self.parted = true;
                self.farewell = Some(Instant::now() + LAST_WORDS);
                self.protocol.machine().leave_now()
            }
            happening = self.port.next() => {
                // A message may have waited for it.
                self.unread = true;
                self.happened(happening)?
            }
            () = at(self.look) => {
                self.look = None;
                self.protocol.machine().look_for_card()
            }
            () = at(self.rest) => {
                self.rest = None;
                self.protocol.give_up_part()
            }
            () = at(self.introduction) => {
                self.introduction = None;
                self.makes_room = true;
                return Ok(());
            }
            () = at(self.outbox.deadline) => return Err(Leave::ClientLost("it does not read what it is sent".into())),
            () = ready(()), if takes => return self.take_message(),
            written = self.outbox.write_next(&mut self.peer.writer), if !self.outbox.is_empty() => {
                return written.map_err(|error| Leave::ClientLost(error.to_string()));
            }
            read = self.peer.reader.read(&mut chunk[..]), if reads => {
                match read {
                    Ok(0) => self.ended = true,
                    Ok(length) => self.protocol.push(&chunk[..length]),
                    Err(error) => return Err(Leave::ClientLost(error.to_string())),
                }
                self.unread = true;
                self.rest = None;
                return Ok(());
            }
            () = another => {
                if makes_room {
                    return Err(Leave::ClientLost("it does not say what it wants, and another one came".into()));
                }
                return Ok(());
            }
        };
        self.perform(outputs);
        Ok(())
    }

    fn happened(&mut self, happening: Happening) -> Result<Outputs<P>, Leave> {
        let machine = self.protocol.machine();
        Ok(match happening {
            Happening::PoweredUp { epoch, generation, atr } => {
                self.retry.reset();
                machine.powered_up(epoch, generation, atr)
            }
            Happening::PoweredDown { epoch } => machine.powered_down(epoch),
            Happening::Answered { epoch, response } => machine.answered(epoch, response),
            Happening::TimedOut { epoch } => machine.timed_out(epoch),
            Happening::CardLost(error) => {
                tracing::warn!(%error, "the card is lost");
                machine.card_lost()
            }
            Happening::Replug => machine.replug(),
            Happening::SlotClosed => return Err(Leave::SlotClosed),
            Happening::Nothing => Vec::new(),
        })
    }

    fn take_message(&mut self) -> Result<(), Leave> {
        match self.protocol.next().map_err(Leave::ClientLost)? {
            Some(outputs) => self.perform(outputs),
            None if self.ended => return Err(Leave::ClientLost("it closed the connection".into())),
            None => {
                self.unread = false;
                self.rest = self.protocol.is_partial().then(|| Instant::now() + REST);
            }
        }
        Ok(())
    }

    fn perform(&mut self, outputs: Outputs<P>) {
        for output in outputs {
            match output {
                Output::Send(message) => self.outbox.queue.extend(self.protocol.encode(&message)),
                Output::Work(work) => self.port.start(work),
                // A modem that is losing its card needs no other one.
                Output::Away(_) if self.farewell.is_some() => {}
                Output::Away(Away::Replug) => self.look = Some(Instant::now() + self.service.settings.absence),
                Output::Away(Away::Lost) => self.look = Some(Instant::now() + self.retry.delay()),
                Output::Parted => self.parted = true,
            }
        }
        self.outbox.note_deadline();
        self.note_introduction();
    }

    /// A client that has not introduced itself, or takes it back, has its time to do so.
    fn note_introduction(&mut self) {
        if self.protocol.is_introduced() {
            self.was_introduced = true;
            (self.introduction, self.makes_room) = (None, false);
            self.connected.get_or_insert_with(|| self.service.status.connect());
        } else {
            self.connected = None;
            if self.is_shared && !self.makes_room && self.introduction.is_none() {
                self.introduction = Some(Instant::now() + self.service.settings.introduction);
            }
        }
    }
}

/// Messages that are to be written, one by one.
struct Outbox {
    queue: VecDeque<Outgoing>,
    /// Bytes of the first one that have been.
    written: usize,
    /// When the client counts as gone, because it has not taken the first one.
    deadline: Option<Instant>,
    pause: Duration,
    /// The last message that was written: when, and whether it was an event.
    last: Option<(Instant, bool)>,
}

impl Outbox {
    fn new(pause: Duration) -> Self {
        Outbox { queue: VecDeque::new(), written: 0, deadline: None, pause, last: None }
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn note_deadline(&mut self) {
        if self.is_empty() {
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = Some(Instant::now() + WRITE_TIMEOUT);
        }
    }

    /// Writes the next message. Dropping the future loses nothing.
    async fn write_next(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let Some(first) = self.queue.front() else { return Ok(()) };
        if let Some((then, was_event)) = self.last
            && (first.is_event || was_event)
        {
            sleep_until(then + self.pause).await;
        }
        while let Some(rest) = first.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match writer.write(rest).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.written += count,
            }
        }
        writer.flush().await?;
        self.last = Some((Instant::now(), first.is_event));
        self.queue.pop_front();
        self.written = 0;
        self.deadline = None;
        self.note_deadline();
        Ok(())
    }
}
