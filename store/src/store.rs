//! The store as its users hold it.

use std::{
    any::Any,
    num::NonZeroU64,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, Thread},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use megamind_domain::{Domain, EntityKey, Exchange, Response, Role, Touches};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    Aliases, Entry, EntryState, EntrySummary, Health, Identity, Metrics, OpenError, Options, Outcome, Published,
    ReadError, Repeat, Settle, Span, SubmitError, Work, Write, WriterHandle,
    backup::{self, Copied, CopyError},
    changes::{Changes, Waiter},
    entry::SendState,
    journal::{Journal, Reader, Record, Restored, Sqlite},
    keys::{Keys, Seen},
    open,
    queue::{Queue, Queued, sealed_name},
    record::ReplayHead,
    timekeeping::Timekeeper,
    writer::Message,
};

/// A city and its journal. Clones are handles to the same.
pub struct Store<D: Domain>(Arc<Shared<D>>);

impl<D: Domain> Clone for Store<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What the writer and its users share.
pub(crate) struct Shared<D: Domain> {
    pub(crate) options: Options,
    pub(crate) published: ArcSwap<Published<D>>,
    /// Entries that are durable; changed by the writer after each commit.
    pub(crate) queue: Mutex<Queue>,
    pub(crate) keys: Mutex<Keys>,
    pub(crate) health: ArcSwap<Health>,
    pub(crate) mode: ArcSwapOption<String>,
    pub(crate) aliases: Aliases,
    pub(crate) metrics: Metrics,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) inbox: Inbox<D>,
    pub(crate) ticks: AtomicU64,
    pub(crate) changes: Arc<Changes>,
    pub(crate) time: Timekeeper,
    /// See [`Published::restored`].
    pub(crate) restored: ArcSwapOption<Restored>,
}

impl<D: Domain> Shared<D> {
    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest tick given: a local decision is as late as that.
    pub(crate) fn last_tick(&self) -> u64 {
        self.ticks.load(Relaxed)
    }
}

/// Bytes that one permit of [`Inbox::bytes`] stands for.
const BYTES_UNIT: usize = 256;

/// The bounded way to the writer.
pub(crate) struct Inbox<D: Domain> {
    sender: mpsc::Sender<Message<D>>,
    /// Messages that still fit.
    room: Semaphore,
    /// Bytes that still fit, in units.
    bytes: Semaphore,
    capacity: usize,
    byte_capacity: usize,
    closed: AtomicBool,
    /// The writer's thread, which rests a moment between observations.
    writer: OnceLock<Thread>,
}

/// The room that a message takes, given back when the writer takes the message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) messages: usize,
    pub(crate) units: usize,
}

impl<D: Domain> Inbox<D> {
    pub(crate) fn new(options: &Options, sender: mpsc::Sender<Message<D>>) -> Self {
        let capacity = options.max_queue.clamp(1, u32::MAX as usize);
        let byte_capacity = (options.max_queue_bytes / BYTES_UNIT).clamp(1, u32::MAX as usize);
        Self {
            sender,
            room: Semaphore::new(capacity),
            bytes: Semaphore::new(byte_capacity),
            capacity,
            byte_capacity,
            closed: AtomicBool::new(false),
            writer: OnceLock::new(),
        }
    }

    /// A body larger than the whole queue takes all of it.
    fn cost(&self, bytes: usize) -> Cost {
        Cost { messages: 1, units: (bytes / BYTES_UNIT + 1).min(self.byte_capacity) }
    }

    /// Takes room without waiting.
    fn try_reserve(&self, cost: Cost) -> bool {
        let Ok(room) = self.room.try_acquire() else {
            return false;
        };
        let Ok(bytes) = self.bytes.try_acquire_many(cost.units as u32) else {
            return false;
        };
        room.forget();
        bytes.forget();
        true
    }

    /// Takes room, waiting for it as long as it takes.
    async fn reserve(&self, cost: Cost) {
        // These semaphores are never closed, so acquiring cannot fail.
        if let Ok(room) = self.room.acquire().await
            && let Ok(bytes) = self.bytes.acquire_many(cost.units as u32).await
        {
            room.forget();
            bytes.forget();
        }
    }

    async fn reserve_within(&self, cost: Cost, limit: Duration) -> Result<(), SubmitError> {
        if self.closed.load(Relaxed) {
            return Err(SubmitError::Closed);
        }
        if self.try_reserve(cost) {
            return Ok(());
        }
        tokio::time::timeout(limit, self.reserve(cost))
            .await
            .map_err(|_| SubmitError::Overloaded)
    }

    /// Gives room back.
    pub(crate) fn release(&self, cost: Cost) {
        self.room.add_permits(cost.messages);
        self.bytes.add_permits(cost.units);
    }

    /// Somebody waits for every message but observations, so the writer is woken from its rest for them, and when many
    /// observations have gathered.
    fn send(&self, message: Message<D>) -> Result<(), SubmitError> {
        let awaited = !message.is_observation() || self.is_filling();
        self.sender.send(message).map_err(|_| SubmitError::Closed)?;
        if awaited && let Some(writer) = self.writer.get() {
            writer.unpark();
        }
        Ok(())
    }

    /// Whether more than an eighth of the queue is full: well before reads are dropped.
    fn is_filling(&self) -> bool {
        self.room.available_permits() < self.capacity - self.capacity / 8
            || self.bytes.available_permits() < self.byte_capacity - self.byte_capacity / 8
    }

    /// Called once, by the writer's own thread.
    pub(crate) fn written_by_this_thread(&self) {
        let _ = self.writer.set(thread::current());
    }

    /// Nothing is taken any more. Whoever waits for room is let through, to be told.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
        self.release(Cost { messages: self.capacity, units: self.byte_capacity });
    }

    fn over_half_full(&self) -> bool {
        self.room.available_permits() * 2 < self.capacity || self.bytes.available_permits() * 2 < self.byte_capacity
    }

    pub(crate) fn depth(&self) -> u64 {
        self.capacity.saturating_sub(self.room.available_permits()) as u64
    }
}

impl<D: Domain> Store<D> {
    /// Takes the lock, migrates, verifies, and puts the city back together. Blocks.
    pub fn open(domain: Arc<D>, options: Options) -> Result<(Self, WriterHandle), OpenError> {
        let journal = Sqlite::open(&options.path)?;
        Self::open_on(domain, options, Box::new(journal))
    }

    /// The same on any journal. Blocks.
    pub fn open_on(
        domain: Arc<D>,
        options: Options,
        journal: Box<dyn Journal>,
    ) -> Result<(Self, WriterHandle), OpenError> {
        let (shared, handle) = open::open(domain, options, journal)?;
        Ok((Self(shared), handle))
    }

    /// The city now. Never waits.
    pub fn published(&self) -> Guard<Arc<Published<D>>> {
        self.0.published.load()
    }

    /// Counts publications of the city. Whoever holds it is woken by every one, and looks as often as it likes.
    pub fn publications(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// A place among those who wait for a change of certain entities; `None` if `most` wait already.
    pub fn waiter(&self, touches: &Touches, most: usize) -> Option<Waiter> {
        let changes = &self.0.changes;
        (changes.count() < most).then(|| Waiter::new(changes, touches))
    }

    /// How many wait for a change of certain entities.
    pub fn waiting(&self) -> usize {
        self.0.changes.count()
    }

    /// Ends the wait of everybody, now and later: the gateway is stopping.
    pub fn end_waiting(&self) {
        self.0.changes.close();
    }

    /// Decides a write, makes it durable, and only then answers.
    pub async fn submit(&self, write: Write<D>) -> Result<Outcome, SubmitError> {
        let inbox = &self.0.inbox;
        let cost = inbox.cost(write.request.body.len());
        inbox.reserve_within(cost, self.0.options.queue_timeout).await?;
        let (reply, answer) = oneshot::channel();
        inbox.send(Message::Write { write: Box::new(write), reply, cost })?;
        answer.await.map_err(|_| SubmitError::Closed)?
    }

    /// The outcome of a forwarded write. Waits for room; it is in the queue when this returns.
    pub async fn observe_write(&self, exchange: Exchange<D::Command>, span: Span) {
        let inbox = &self.0.inbox;
        let cost = inbox.cost(exchange_size(&exchange));
        inbox.reserve(cost).await;
        // After the end of the writer there is nobody left who could use it.
        let _ = inbox.send(Message::Observe { exchange: Box::new(exchange), span, cost });
    }

    /// Whether a request of this identity came before: what became of it, [`Store::first`] tells. Never waits.
    pub fn is_repeated(&self, identity: &Identity) -> bool {
        self.0.keys().look(&identity.0, self.0.time.ages()) != Seen::Never
    }

    /// What came of the first request of this identity.
    pub async fn first(&self, identity: &Identity) -> Result<Repeat, SubmitError> {
        let key = identity.0;
        self.ask(0, |reply, cost| Message::Look { key, reply, cost }).await
    }

    /// A write is about to be sent to an upstream that would take its repetition for another one. Durable when this
    /// returns: until it is answered or decided here, its repetition is in doubt.
    pub async fn attempt(&self, identity: &Identity) -> Result<(), SubmitError> {
        let keys = vec![identity.0];
        self.ask(0, |reply, cost| Message::Attempt { keys, forwarded: None, reply, cost })
            .await
    }

    /// A bulk request is about to be split: the items at the places `forwarded` are sent on as `part`, the others decided
    /// here. Durable when this returns: its repetition is split alike.
    pub async fn split(&self, whole: &Identity, part: &Identity, forwarded: Vec<u32>) -> Result<(), SubmitError> {
        let keys = vec![whole.0, part.0];
        let size = forwarded.len() * size_of::<u32>();
        self.ask(size, |reply, cost| Message::Attempt { keys, forwarded: Some(forwarded), reply, cost })
            .await
    }

    /// What the upstream answered to a forwarded write, for its repetition; `None` if it had no effect. Waits for room,
    /// and is durable as soon as an observation is. `held` is dropped when a repetition gets this answer.
    pub async fn answered(&self, identity: &Identity, answer: Option<Response>, held: Option<Box<dyn Any + Send>>) {
        let inbox = &self.0.inbox;
        let cost = inbox.cost(answer.as_ref().map_or(0, |answer| answer.body.len()));
        inbox.reserve(cost).await;
        // After the end of the writer there is nobody left who could use it.
        let _ = inbox.send(Message::Answered { key: identity.0, answer, held, cost });
    }

    /// A watched read. False if it was dropped, because more than half of the queue is full.
    pub fn observe_read(&self, exchange: Exchange<D::Command>, span: Span) -> bool {
        let inbox = &self.0.inbox;
        let cost = inbox.cost(exchange_size(&exchange));
        let taken = !inbox.over_half_full()
            && inbox.try_reserve(cost)
            && inbox
                .send(Message::Observe { exchange: Box::new(exchange), span, cost })
                .is_ok();
        if !taken {
            self.0.metrics.dropped_reads.fetch_add(1, Relaxed);
        }
        taken
    }

    /// Returns when everything that entered before is in the published city. Not necessarily on disk.
    pub async fn barrier(&self) {
        let (reply, passed) = oneshot::channel();
        if self.0.inbox.send(Message::Barrier { reply }).is_ok() {
            // An error means that the writer has ended: nothing more will be applied.
            let _ = passed.await;
        }
    }

    /// What became of an entry. Durable when this returns.
    pub async fn settle(&self, settle: Settle<D>) -> Result<(), SubmitError> {
        let inbox = &self.0.inbox;
        let size = match &settle {
            Settle::Acknowledged { exchange: Some(exchange), .. }
            | Settle::Confirmed { exchange: Some(exchange), .. } => exchange_size(exchange),
            _ => 0,
        };
        let cost = inbox.cost(size);
        inbox.reserve_within(cost, self.0.options.queue_timeout).await?;
        let (reply, done) = oneshot::channel();
        inbox.send(Message::Settle { settle: Box::new(settle), reply, cost })?;
        done.await.map_err(|_| SubmitError::Closed)?
    }

    /// Journals a change of the mode.
    pub async fn set_mode(&self, mode: &str, why: &str) -> Result<(), SubmitError> {
        let inbox = &self.0.inbox;
        let cost = inbox.cost(0);
        inbox.reserve_within(cost, self.0.options.queue_timeout).await?;
        let (reply, done) = oneshot::channel();
        inbox.send(Message::Mode { mode: mode.into(), why: why.into(), reply, cost })?;
        done.await.map_err(|_| SubmitError::Closed)?
    }

    /// Decides a command of the house's own, and makes it durable: nobody is answered, nothing is queued. Left undone,
    /// false, where something that it names waits in the queue or is being written, or where it is refused.
    ///
    /// Entities that it takes out of the city are found afterwards by `names`: see [`Store::left_as`].
    pub async fn upkeep(&self, command: D::Command, names: Vec<(Box<str>, EntityKey)>) -> Result<bool, SubmitError> {
        let command = Box::new(command);
        self.ask(256, |reply, cost| Message::Upkeep { command, names, reply, cost })
            .await
    }

    /// Keeps something under names, or no longer; the journal never reads it. Durable when this returns.
    pub async fn keep_sealed(&self, secrets: Vec<(Box<str>, Option<Vec<u8>>)>) -> Result<(), SubmitError> {
        let size = secrets.iter().map(|(_, sealed)| sealed.as_ref().map_or(0, Vec::len)).sum();
        self.ask(size, |reply, cost| Message::Keep { secrets, reply, cost }).await
    }

    /// What is kept under a name. Blocks.
    pub fn sealed(&self, name: &str) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.0.reader.secret(name)?)
    }

    /// After a restore: the queue may be drained. Durable when this returns.
    pub async fn release(&self, who: &str) -> Result<(), SubmitError> {
        let who = who.to_owned();
        self.ask(0, |reply, cost| Message::Release { who, reply, cost }).await
    }

    /// Sends the writer a message of so many bytes, and waits until it is done and durable.
    async fn ask<T>(
        &self,
        bytes: usize,
        message: impl FnOnce(oneshot::Sender<Result<T, SubmitError>>, Cost) -> Message<D>,
    ) -> Result<T, SubmitError> {
        let inbox = &self.0.inbox;
        let cost = inbox.cost(bytes);
        inbox.reserve_within(cost, self.0.options.queue_timeout).await?;
        let (reply, done) = oneshot::channel();
        inbox.send(message(reply, cost))?;
        done.await.map_err(|_| SubmitError::Closed)?
    }

    /// Deletes now what nobody needs any more; otherwise that is looked for once a minute. Returns when it is done.
    pub async fn tidy(&self) {
        let (reply, done) = oneshot::channel();
        if self.0.inbox.send(Message::Tidy { reply }).is_ok() {
            // An error means that the writer has ended.
            let _ = done.await;
        }
    }

    /// Copies the journal into a new file, as of one moment, while it goes on being written. Blocks.
    pub fn copy(&self, to: &Path) -> Result<Copied, CopyError> {
        self.copy_with(to, &[])
    }

    /// The same, with files of somebody else's in it, by name: [`restore`](crate::restore) gives them back. A file is
    /// smaller than a gigabyte.
    pub fn copy_with(&self, to: &Path, attached: &[(String, Vec<u8>)]) -> Result<Copied, CopyError> {
        backup::copy(&*self.0.reader, to, self.0.time.wall(), attached)
    }

    /// The clock, and whether it is believed.
    pub fn time(&self) -> &Timekeeper {
        &self.0.time
    }

    /// The mode last journaled, of an earlier run too.
    pub fn last_mode(&self) -> Option<String> {
        self.0.mode.load().as_deref().cloned()
    }

    /// What may be sent now without breaking the order per subject and actor, oldest first, looking at the `window`
    /// oldest entries. `in_flight` tells which are being sent: they keep their place and are not offered.
    pub fn work(&self, window: usize, in_flight: impl Fn(u64) -> bool) -> Vec<Work> {
        self.work_after(&[], window, (window, window), in_flight)
    }

    /// The same, `limit` entries at most (of those that are no slot's, and in all), and first of all what comes next about
    /// the entities of `next`.
    pub fn work_after(
        &self,
        next: &[EntityKey],
        window: usize,
        limit: (usize, usize),
        in_flight: impl Fn(u64) -> bool,
    ) -> Vec<Work> {
        if self.0.restored.load().is_some() {
            return Vec::new();
        }
        self.0.queue().work(window, limit, next, in_flight)
    }

    /// What is queued about any of these entities, `most` entries of each at most; `None` where some of it is parked or
    /// held back, so that nobody knows how long it stays.
    pub fn pending_about(&self, touches: &Touches, most: usize) -> Option<Vec<u64>> {
        let fences = self.published().fences.clone();
        let queue = self.0.queue();
        let mut seqs = Vec::new();
        for touch in touches.iter().filter(|touch| touch.role != Role::Row) {
            let pending = queue.pending_about(touch.key, most);
            let all = fences.get(&touch.key.0).copied().unwrap_or(0) as usize;
            if pending.len() < most.min(all) {
                return None;
            }
            seqs.extend(pending);
        }
        Some(seqs)
    }

    /// All entries of a bulk request that was sent before, in order.
    pub fn bundle(&self, number: u64) -> Vec<Work> {
        self.0.queue().bundle(number)
    }

    /// The number of the bulk request that an entry goes in.
    pub fn bundle_of(&self, seq: u64) -> Option<u64> {
        let queue = self.0.queue();
        queue.get(seq)?.bundle.map(NonZeroU64::get)
    }

    /// One entry with its body. Blocks: for a thread that may.
    pub fn entry(&self, seq: u64) -> Result<Option<Entry>, ReadError> {
        let Some(record) = self.0.reader.record(seq)? else {
            return Ok(None);
        };
        let Some(replay) = record.replay() else {
            return Ok(None);
        };
        let mut entry = self.entry_of(&record, replay);
        if self.0.queue().get(seq).is_some_and(|queued| queued.sealed) {
            entry.sealed = self.0.reader.secret(&sealed_name(seq))?;
        }
        Ok(Some(entry))
    }

    fn entry_of(&self, record: &Record, replay: ReplayHead<'_>) -> Entry {
        let queued = self.0.queue().get(record.seq);
        let rekeyed = queued.as_ref().map_or(0, |queued| queued.rekeyed);
        let key = replay
            .key
            .map_or_else(|| format!("{}-{}-{}", self.0.options.city, record.epoch, record.seq), String::from);
        let key = match rekeyed {
            0 => key,
            n => format!("{key}-r{n}"),
        };
        let text = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| Box::from(&*text));
        let request = replay.request;
        Entry {
            seq: record.seq,
            at: record.at,
            epoch: record.epoch,
            endpoint: replay.endpoint,
            method: Box::from(&*request.method),
            path: Box::from(&*request.path),
            query: text(request.query),
            content_type: text(request.content_type),
            content_encoding: text(request.content_encoding),
            body: record.body.clone(),
            key: Some(key.into()),
            created: text(replay.created),
            bundle: queued.as_ref().and_then(|queued| queued.bundle).map(NonZeroU64::get),
            state: queued.as_ref().map_or(SendState::NeverSent, Queued::send_state),
            attempts: queued.as_ref().map_or(0, |queued| queued.attempts),
            insisted: queued.as_ref().is_some_and(|queued| queued.retry.insisted),
            left: queued.as_ref().and_then(|queued| queued.left.clone()),
            own: replay.own,
            answer: record.answer.clone(),
            unknown: queued.as_ref().is_some_and(|queued| queued.unknown),
            place: queued.as_ref().map_or(EntryState::Done, Queued::place),
            sealed: None,
            parked: queued.and_then(|queued| queued.parked).map(|parked| *parked),
        }
    }

    /// Up to `limit` entries after the number `after`. Those that are done are read from disk, which blocks.
    pub fn entries(&self, state: EntryState, after: u64, limit: usize) -> Vec<EntrySummary> {
        if state != EntryState::Done {
            return self.0.queue().list(state, after, limit);
        }
        let done = self.0.reader.done(after, limit).unwrap_or_else(|error| {
            tracing::error!(%error, "the journal cannot be read");
            Vec::new()
        });
        done.into_iter()
            .map(|(seq, at)| EntrySummary { seq, at, state, attempts: 0, parked: None })
            .collect()
    }

    /// The entity that left the city under this name. Blocks.
    pub fn left_as(&self, name: &str) -> Result<Option<EntityKey>, ReadError> {
        Ok(self.0.reader.left_as(name)?)
    }

    /// The last row of an entity that has left the city. Blocks.
    pub fn archived(&self, key: EntityKey) -> Result<Option<Vec<u8>>, ReadError> {
        self.0.reader.archived(key)
    }

    /// Whether the journal takes writes.
    pub fn health(&self) -> Health {
        Health::clone(&self.0.health.load())
    }

    /// What the store counts.
    pub fn metrics(&self) -> &Metrics {
        let metrics = &self.0.metrics;
        metrics.queue_depth.store(self.0.inbox.depth(), Relaxed);
        metrics
    }

    /// Local ids and the upstream's.
    pub fn aliases(&self) -> &Aliases {
        &self.0.aliases
    }

    /// The next tick: one for the start and one for the end of every watched exchange.
    pub fn tick(&self) -> u64 {
        self.0.ticks.fetch_add(1, Relaxed) + 1
    }
}

fn exchange_size<C>(exchange: &Exchange<C>) -> usize {
    exchange.request.body.len() + exchange.body.len()
}
