//! The slot: what a modem or an LPA attaches to.

use crate::link::{CardLink, LinkError};
use crate::replug::{Patience, Replug};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;
use teuicc_wire::{FactoryRequest, Hello, Interface, Personalization, Request, Transmitted};
use tokio::sync::{broadcast, oneshot};
use zeroize::Zeroizing;

/// How many events a subscriber may lag behind before it loses the oldest.
const EVENTS: usize = 64;

/// What happens to the card, told to all who subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The card can be reached (again).
    Inserted,
    /// The way to the card failed.
    Removed,
    /// Another profile is enabled than before.
    CardChanged,
    /// A REFRESH after a profile switch waits on the modem's interface, which was not so before.
    ProactivePending,
    /// The modem must see the card leave and come back: it will not, or did not, reset it by itself.
    Replug,
}

/// Settings of a slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlotConfig {
    /// When the modem is replugged after a profile switch.
    pub patience: Patience,
}

/// The outcome of a power-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoweredUp {
    /// The answer to reset, 2 to 32 bytes.
    pub atr: Vec<u8>,
    /// Names this power-up; every command says under which one it was meant.
    pub generation: u64,
}

/// A slot with a card, as a handle; clones are the same slot. One thread of its own does all work with the card, in
/// the order of the calls.
///
/// Every method queues its work when it is *called*, before the future is polled; dropping the future does not
/// take the work back. The `blocking_` methods must not be called in an async task.
#[derive(Clone)]
pub struct Slot {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    events: broadcast::Sender<Event>,
    /// Whether somebody has the modem's interface.
    attached: AtomicBool,
}

/// The one place where work is queued and generations are counted, so that both have the same order.
struct Queue {
    work: Option<mpsc::Sender<Work>>,
    thread: Option<thread::JoinHandle<()>>,
    latest: Latest,
}

/// The newest generation of each interface; shared with the thread, which drops what is older.
type Latest = Arc<Mutex<[u64; 2]>>;

type Reply<T> = oneshot::Sender<Result<T, LinkError>>;
type Answer<T> = oneshot::Receiver<Result<T, LinkError>>;

enum Work {
    Hello(Reply<Hello>),
    PowerUp { interface: Interface, generation: u64, reply: Reply<PoweredUp> },
    PowerDown { interface: Interface, reply: Reply<()> },
    Transmit { interface: Interface, generation: u64, commands: Vec<Vec<u8>>, reply: Reply<Transmitted> },
    FactoryRequest { encoded: Vec<u8>, reply: Reply<Vec<u8>> },
    Personalize { encoded: Zeroizing<Vec<u8>>, reply: Reply<()> },
    Close,
}

impl Slot {
    /// Starts the thread that owns `link`. Errors: the thread cannot be started.
    pub fn start(link: impl CardLink + 'static, config: SlotConfig) -> std::io::Result<Slot> {
        let (work, queue) = mpsc::channel();
        let (events, _) = broadcast::channel(EVENTS);
        let latest = Latest::default();
        let worker = Worker {
            link: Box::new(link),
            events: events.clone(),
            latest: latest.clone(),
            replug: Replug::new(config.patience),
            powered: [false; 2],
            present: None,
        };
        let thread = thread::Builder::new().name("card".into()).spawn(move || worker.run(&queue))?;
        let queue = Mutex::new(Queue { work: Some(work), thread: Some(thread), latest });
        Ok(Slot { shared: Arc::new(Shared { queue, events, attached: AtomicBool::new(false) }) })
    }

    /// The modem's interface, for one virtual SIM interface alone: two modems would register with one card. Errors:
    /// another one has it ([`LinkError::Attached`]).
    pub fn attach_modem(&self) -> Result<ModemAttachment, LinkError> {
        if self.shared.attached.swap(true, Ordering::AcqRel) {
            return Err(LinkError::Attached);
        }
        Ok(ModemAttachment { slot: self.clone(), powered: AtomicBool::new(false) })
    }

    /// Events from now on. A subscriber that lags far behind loses the oldest ones, and is told so.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Which card is this, and what can it do?
    pub fn hello(&self) -> impl Future<Output = Result<Hello, LinkError>> + Send + use<> {
        wait(self.queue(Work::Hello))
    }

    /// As [`Slot::hello`].
    pub fn blocking_hello(&self) -> Result<Hello, LinkError> {
        block(self.queue(Work::Hello))
    }

    /// Powers or resets an interface. Everything that was asked of it under an older generation is
    /// [`LinkError::Stale`] from the call on.
    pub fn power_up(&self, interface: Interface) -> impl Future<Output = Result<PoweredUp, LinkError>> + Send + use<> {
        wait(self.queue_power_up(interface))
    }

    /// As [`Slot::power_up`].
    pub fn blocking_power_up(&self, interface: Interface) -> Result<PoweredUp, LinkError> {
        block(self.queue_power_up(interface))
    }

    /// Takes power from an interface; ends its generation.
    pub fn power_down(&self, interface: Interface) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        wait(self.queue_power_down(interface))
    }

    /// As [`Slot::power_down`].
    pub fn blocking_power_down(&self, interface: Interface) -> Result<(), LinkError> {
        block(self.queue_power_down(interface))
    }

    /// Executes command APDUs in order, until one answers with data or with a status word other than 9000.
    /// `generation` is that of the [`PoweredUp`] that they are meant for.
    ///
    /// The modem waits while a batch runs: send batches that take well below a second.
    pub fn transmit(
        &self,
        interface: Interface,
        generation: u64,
        commands: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<Transmitted, LinkError>> + Send + use<> {
        wait(self.queue(|reply| Work::Transmit { interface, generation, commands, reply }))
    }

    /// As [`Slot::transmit`].
    pub fn blocking_transmit(
        &self,
        interface: Interface,
        generation: u64,
        commands: Vec<Vec<u8>>,
    ) -> Result<Transmitted, LinkError> {
        block(self.queue(|reply| Work::Transmit { interface, generation, commands, reply }))
    }

    /// Factory: makes an eUICC key pair in the card. A PKCS#10 certificate request in DER.
    pub fn factory_request(
        &self,
        request: &FactoryRequest<'_>,
    ) -> impl Future<Output = Result<Vec<u8>, LinkError>> + Send + use<> {
        wait(self.queue_factory_request(request))
    }

    /// As [`Slot::factory_request`].
    pub fn blocking_factory_request(&self, request: &FactoryRequest<'_>) -> Result<Vec<u8>, LinkError> {
        block(self.queue_factory_request(request))
    }

    /// Factory: installs certificates and settings, once.
    pub fn personalize(
        &self,
        settings: &Personalization<'_>,
    ) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        wait(self.queue_personalize(settings))
    }

    /// As [`Slot::personalize`].
    pub fn blocking_personalize(&self, settings: &Personalization<'_>) -> Result<(), LinkError> {
        block(self.queue_personalize(settings))
    }

    /// Finishes the queued work, takes the power from both interfaces and lets go of the card. Blocks until the
    /// card is free again. Without it the same happens, unawaited, when the last handle is dropped.
    pub fn blocking_close(&self) {
        let thread = {
            let mut queue = self.lock();
            if let Some(work) = queue.work.take() {
                let _ = work.send(Work::Close);
            }
            queue.thread.take()
        };
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the card's thread panicked");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Answer<T> {
        self.lock().push(work)
    }

    fn queue_power_up(&self, interface: Interface) -> Answer<PoweredUp> {
        let queue = self.lock();
        let generation = queue.next_generation(interface);
        queue.push(|reply| Work::PowerUp { interface, generation, reply })
    }

    fn queue_power_down(&self, interface: Interface) -> Answer<()> {
        let queue = self.lock();
        queue.next_generation(interface);
        queue.push(|reply| Work::PowerDown { interface, reply })
    }

    fn queue_factory_request(&self, request: &FactoryRequest<'_>) -> Answer<Vec<u8>> {
        match Request::FactoryRequest(*request).encode() {
            Ok(encoded) => self.queue(|reply| Work::FactoryRequest { encoded, reply }),
            Err(_) => refuse(LinkError::Request("out of memory")),
        }
    }

    fn queue_personalize(&self, settings: &Personalization<'_>) -> Answer<()> {
        match Request::Personalize(settings.clone()).encode() {
            Ok(encoded) => self.queue(|reply| Work::Personalize { encoded: Zeroizing::new(encoded), reply }),
            Err(_) => refuse(LinkError::Request("out of memory")),
        }
    }
}

/// The modem's interface of a slot, until it is dropped; then the interface has no power, whatever happened.
pub struct ModemAttachment {
    slot: Slot,
    powered: AtomicBool,
}

impl ModemAttachment {
    /// As [`Slot::subscribe`].
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.slot.subscribe()
    }

    /// As [`Slot::power_up`].
    pub fn power_up(&self) -> impl Future<Output = Result<PoweredUp, LinkError>> + Send + use<> {
        self.powered.store(true, Ordering::Relaxed);
        self.slot.power_up(Interface::Modem)
    }

    /// As [`Slot::power_down`].
    pub fn power_down(&self) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        self.powered.store(false, Ordering::Relaxed);
        self.slot.power_down(Interface::Modem)
    }

    /// As [`Slot::transmit`], of one command.
    pub fn transmit(
        &self,
        generation: u64,
        command: Vec<u8>,
    ) -> impl Future<Output = Result<Transmitted, LinkError>> + Send + use<> {
        self.slot.transmit(Interface::Modem, generation, vec![command])
    }
}

impl Drop for ModemAttachment {
    fn drop(&mut self) {
        if self.powered.load(Ordering::Relaxed) {
            // Queued by the call itself, before the next one can have the interface.
            drop(self.slot.power_down(Interface::Modem));
        }
        self.slot.shared.attached.store(false, Ordering::Release);
    }
}

impl Queue {
    /// Queues work; a slot that is closed drops it, which the answer shows.
    fn push<T>(&self, work: impl FnOnce(Reply<T>) -> Work) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        if let Some(sender) = &self.work {
            let _ = sender.send(work(reply));
        }
        answer
    }

    fn next_generation(&self, interface: Interface) -> u64 {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = &mut latest[index(interface)];
        *generation += 1;
        *generation
    }
}

fn refuse<T>(error: LinkError) -> Answer<T> {
    let (reply, answer) = oneshot::channel();
    let _ = reply.send(Err(error));
    answer
}

async fn wait<T>(answer: Answer<T>) -> Result<T, LinkError> {
    answer.await.unwrap_or(Err(LinkError::Closed))
}

fn block<T>(answer: Answer<T>) -> Result<T, LinkError> {
    answer.blocking_recv().unwrap_or(Err(LinkError::Closed))
}

fn index(interface: Interface) -> usize {
    match interface {
        Interface::Modem => 0,
        Interface::Lpa => 1,
    }
}

/// The thread that owns the link.
struct Worker {
    link: Box<dyn CardLink>,
    events: broadcast::Sender<Event>,
    latest: Latest,
    replug: Replug,
    powered: [bool; 2],
    /// Whether the card could be reached last time; `None` before the first time.
    present: Option<bool>,
}

impl Worker {
    fn run(mut self, queue: &mpsc::Receiver<Work>) {
        loop {
            let work = match self.replug.wait(Instant::now()) {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => queue.recv_timeout(wait),
            };
            match work {
                Ok(Work::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(work) => self.execute(work),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.replug.take_due(Instant::now()) {
                self.tell(Event::Replug);
            }
        }
        for interface in [Interface::Modem, Interface::Lpa] {
            if self.powered[index(interface)]
                && let Err(error) = self.link.power_down(interface)
            {
                tracing::warn!(%error, ?interface, "the interface was not powered down");
            }
        }
    }

    /// Replies are dropped where nobody waits any more.
    fn execute(&mut self, work: Work) {
        match work {
            Work::Hello(reply) => {
                let result = self.link.hello();
                let _ = reply.send(self.seen(result));
            }
            Work::PowerUp { interface, generation, reply } => {
                let _ = reply.send(self.power_up(interface, generation));
            }
            Work::PowerDown { interface, reply } => {
                let _ = reply.send(self.power_down(interface));
            }
            Work::Transmit { interface, generation, commands, reply } => {
                let _ = reply.send(self.transmit(interface, generation, &commands));
            }
            Work::FactoryRequest { encoded, reply } => {
                let result = match Request::decode(&encoded) {
                    Ok(Request::FactoryRequest(request)) => self.link.factory_request(&request),
                    _ => Err(LinkError::Request("it is malformed")),
                };
                let _ = reply.send(self.seen(result));
            }
            Work::Personalize { encoded, reply } => {
                let result = match Request::decode(&encoded) {
                    Ok(Request::Personalize(settings)) => self.link.personalize(&settings),
                    _ => Err(LinkError::Request("it is malformed")),
                };
                let _ = reply.send(self.seen(result));
            }
            Work::Close => {}
        }
    }

    fn power_up(&mut self, interface: Interface, generation: u64) -> Result<PoweredUp, LinkError> {
        // A newer power-up or power-down is queued behind: it does the same work, for a caller that still wants it.
        self.current(interface, generation)?;
        let result = self.link.power_up(interface);
        let atr = self.seen(result)?;
        self.powered[index(interface)] = true;
        self.modem_reset(interface);
        self.current(interface, generation)?;
        Ok(PoweredUp { atr, generation })
    }

    fn power_down(&mut self, interface: Interface) -> Result<(), LinkError> {
        self.modem_reset(interface);
        self.powered[index(interface)] = false;
        let result = self.link.power_down(interface);
        self.seen(result)
    }

    fn transmit(
        &mut self,
        interface: Interface,
        generation: u64,
        commands: &[Vec<u8>],
    ) -> Result<Transmitted, LinkError> {
        self.current(interface, generation)?;
        let result = self.link.transmit(interface, commands);
        let done = self.seen(result)?;
        let news = self.replug.transmitted(Instant::now(), interface, &done);
        if news.changed {
            self.tell(Event::CardChanged);
        }
        if news.pending {
            self.tell(Event::ProactivePending);
        }
        self.current(interface, generation)?;
        Ok(done)
    }

    fn modem_reset(&mut self, interface: Interface) {
        if interface == Interface::Modem {
            self.replug.modem_reset();
        }
    }

    /// Errors: the interface was powered or reset since.
    fn current(&self, interface: Interface, generation: u64) -> Result<(), LinkError> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner)[index(interface)];
        if latest == generation { Ok(()) } else { Err(LinkError::Stale) }
    }

    /// Notes whether the card could be reached.
    fn seen<T>(&mut self, result: Result<T, LinkError>) -> Result<T, LinkError> {
        let present = !matches!(&result, Err(error) if error.is_lost());
        if self.present.replace(present) != Some(present) {
            self.tell(if present { Event::Inserted } else { Event::Removed });
        }
        result
    }

    fn tell(&self, event: Event) {
        tracing::info!(?event, "card");
        let _ = self.events.send(event);
    }
}
