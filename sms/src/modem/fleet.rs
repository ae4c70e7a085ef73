//! Several modems, each with a supervised thread of its own, around one outbox, one inbox and one
//! journal.

mod worker;

use super::{
    Config, Counters, DriverEvent, Held, Inbox, InboxConfig, Journal, JournalError, MessageId, ModemId, Outbound,
    Outbox, OutboxConfig, OutboxCounters, OutboxError, Outgoing, Priority, Received, Replay, Spent, State,
    port::Opener,
};
use crate::pdu::Deliver;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Instant,
};

/// One modem.
pub struct Modem {
    /// Its name.
    pub id: ModemId,
    /// The way to its port.
    pub opener: Box<dyn Opener>,
    /// Its settings.
    pub config: Config,
}

/// Settings of what all modems share.
#[derive(Debug, Clone, Default)]
pub struct FleetConfig {
    /// Messages that go out.
    pub outbox: OutboxConfig,
    /// Messages that come.
    pub inbox: InboxConfig,
}

/// What a journal knows at a start.
#[derive(Debug, Default)]
pub struct Past {
    /// Parts of messages that are done with: a modem that still has them is not heard twice.
    pub done: Vec<(ModemId, Deliver)>,
    /// Parts of messages that were not given out, or given out and not done with.
    pub parts: Vec<(ModemId, Deliver)>,
    /// Messages that have not gone out.
    pub sending: Replay,
    /// What the SIMs have used of their budgets.
    pub spent: BTreeMap<ModemId, Spent>,
}

/// What the fleet tells. Called on a modem's thread: what takes long belongs elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    /// A message came. Its parts are durable.
    Received(Received),
    /// What happened to a message that goes out. The record is durable.
    Outbound(Outbound),
    /// What a modem tells.
    Modem(ModemId, DriverEvent),
    /// The SIM rests, because the reports it waits for do not come.
    Resting(ModemId),
    /// A modem's thread panicked and is started again.
    Panicked(ModemId),
    /// The journal failed; what it did not take stays where it was.
    Journal(String),
}

/// Why a message is not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[allow(missing_docs, reason = "transparent")]
pub enum SendError {
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// How one modem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModemStatus {
    /// Where its driver stands.
    pub state: State,
    /// Its numbers.
    pub counters: Counters,
    /// Parts sent today by its SIM.
    pub used_today: u32,
    /// Parts that its SIM may send a day.
    pub daily_budget: u32,
    /// Whether its SIM rests, because the network refuses it or reports do not come.
    pub resting: bool,
    /// How often its thread panicked.
    pub panics: u64,
}

/// A request to one modem, from outside.
#[derive(Debug)]
enum Request {
    Ussd(String),
    Pin(String),
}

type Listener = dyn Fn(FleetEvent) + Send + Sync;

struct Shared {
    outbox: Mutex<Outbox>,
    inbox: Mutex<Inbox>,
    journal: Mutex<Box<dyn Journal>>,
    status: Mutex<BTreeMap<ModemId, ModemStatus>>,
    listener: Box<Listener>,
    stopping: AtomicBool,
}

/// The modems at work. Stops them when dropped.
pub struct Fleet {
    shared: Arc<Shared>,
    requests: BTreeMap<ModemId, mpsc::Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Fleet {
    /// Starts a thread for each modem. Fails when the system has no thread to give.
    pub fn start(
        modems: Vec<Modem>,
        config: FleetConfig,
        journal: Box<dyn Journal>,
        listener: impl Fn(FleetEvent) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        Self::start_with(Past::default(), modems, config, journal, listener)
    }

    /// The same, taking up what the journal knows before any modem speaks.
    pub fn start_with(
        past: Past,
        modems: Vec<Modem>,
        config: FleetConfig,
        journal: Box<dyn Journal>,
        listener: impl Fn(FleetEvent) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let now = Instant::now();
        let mut inbox = Inbox::new(config.inbox);
        for (modem, part) in &past.done {
            inbox.remember(modem, part);
        }
        let complete: Vec<Received> = past
            .parts
            .into_iter()
            .flat_map(|(modem, part)| inbox.add(&modem, part, now))
            .collect();
        let mut outbox = Outbox::new(config.outbox);
        outbox.restore_spent(&past.spent, now);
        outbox
            .restore(past.sending.known_to(|id| modems.iter().any(|modem| modem.id == *id)), now)
            .map_err(std::io::Error::other)?;
        for message in complete {
            listener(FleetEvent::Received(message));
        }
        let shared = Arc::new(Shared {
            outbox: Mutex::new(outbox),
            inbox: Mutex::new(inbox),
            journal: Mutex::new(journal),
            status: Mutex::default(),
            listener: Box::new(listener),
            stopping: AtomicBool::new(false),
        });
        let mut fleet = Self { shared, requests: BTreeMap::new(), threads: Vec::new() };
        for modem in modems {
            let (sender, requests) = mpsc::channel();
            fleet.requests.insert(modem.id.clone(), sender);
            let shared = Arc::clone(&fleet.shared);
            let thread = std::thread::Builder::new()
                .name(format!("modem {}", modem.id))
                .spawn(move || worker::supervise(modem, &requests, &shared))?;
            fleet.threads.push(thread);
        }
        Ok(fleet)
    }

    /// Takes a message that goes out; it is durable when this returns.
    pub fn send(&self, message: Outgoing) -> Result<MessageId, SendError> {
        // The outbox stays locked until the record is durable, so that no modem is faster.
        let mut outbox = lock(&self.shared.outbox);
        let record = outbox.push(message, Instant::now())?;
        let durable = lock(&self.shared.journal).outbound(std::slice::from_ref(&record));
        match durable {
            Ok(_durable) => Ok(record.id),
            Err(error) => {
                outbox.withdraw(record.id);
                Err(error.into())
            }
        }
    }

    /// Whether a message of this priority may go out by `modem` today, as far as its SIM is concerned.
    pub fn may_send(&self, modem: &ModemId, priority: Priority) -> bool {
        lock(&self.shared.outbox).may_send(modem, priority, Instant::now())
    }

    /// Messages that wait for `modem` alone, or are under way by it.
    pub fn load(&self, modem: &ModemId) -> usize {
        lock(&self.shared.outbox).load(modem)
    }

    /// The messages that wait for one modem and can still go by another channel.
    pub fn held(&self) -> Vec<Held> {
        lock(&self.shared.outbox).held()
    }

    /// Takes a message back that can still go by another channel. Durable when this returns; `false` where it is too
    /// late for that.
    ///
    /// # Errors
    /// The journal's; then the message stays where it is.
    pub fn take_back(&self, id: MessageId) -> Result<bool, JournalError> {
        let mut outbox = lock(&self.shared.outbox);
        let Some(record) = outbox.take_back(id) else { return Ok(false) };
        // On an error the record may be there or not. Without the entry here nobody sends it by a modem; whoever owns
        // the journal reads what is so.
        let _durable = lock(&self.shared.journal).outbound(std::slice::from_ref(&record))?;
        Ok(true)
    }

    /// What the SIMs have used of their budgets.
    pub fn spent(&self) -> BTreeMap<ModemId, Spent> {
        lock(&self.shared.outbox).spent(Instant::now())
    }

    /// Sends a USSD request; the answer comes as an event. `false` for an unknown modem.
    pub fn ussd(&self, modem: &ModemId, request: &str) -> bool {
        self.request(modem, Request::Ussd(request.to_owned()))
    }

    /// Gives a modem another PIN. `false` for an unknown modem.
    pub fn pin(&self, modem: &ModemId, pin: &str) -> bool {
        self.request(modem, Request::Pin(pin.to_owned()))
    }

    fn request(&self, modem: &ModemId, request: Request) -> bool {
        self.requests.get(modem).is_some_and(|sender| sender.send(request).is_ok())
    }

    /// How the modems are.
    pub fn status(&self) -> BTreeMap<ModemId, ModemStatus> {
        lock(&self.shared.status).clone()
    }

    /// Numbers of the outbox.
    pub fn outbox(&self) -> OutboxCounters {
        lock(&self.shared.outbox).counters()
    }

    /// Messages that wait or are under way.
    pub fn waiting(&self) -> usize {
        lock(&self.shared.outbox).len()
    }

    /// Ends the threads. What is in flight gets the outcome "unknown".
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a modem's supervisor panicked");
            }
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn tell(&self, event: FleetEvent) {
        (self.listener)(event);
    }

    /// Makes records durable and tells them. A journal that fails does not stop the modem: the
    /// records of what already happened are only lost, and the message may go out again.
    fn record(&self, records: Vec<Outbound>) {
        if records.is_empty() {
            return;
        }
        let durable = lock(&self.journal).outbound(&records);
        match durable {
            Ok(_durable) => records.into_iter().for_each(|record| self.tell(FleetEvent::Outbound(record))),
            Err(error) => self.tell(FleetEvent::Journal(error.to_string())),
        }
    }
}

/// A panic of one modem's thread must not stop the others: what it left is used as it is.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the panics of one thread.
type Panics = AtomicU64;
