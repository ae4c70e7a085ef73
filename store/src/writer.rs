//! The one thread that decides and commits.
//!
//! It takes everything that waits as one batch: no timer ever delays a lone request, and under load the next batch
//! gathers while this one is synced.

mod commit;
mod decide;
mod draft;
mod observe;
mod repeats;
mod settle;
mod tidy;
mod upkeep;

use std::{
    any::Any,
    collections::BTreeMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use imbl::OrdMap;
use megamind_domain::{Access, Domain, Endpoint, EntityKey, Exchange, IdSource, Response, Time};
use tokio::sync::oneshot;

use self::{
    commit::Unresolved,
    draft::{Draft, Trial},
};
use crate::{
    Health, Outcome, Repeat, Settle, Span, SubmitError, Write,
    journal::{Journal, Record, Row},
    keys::KeyRow,
    queue::Changes,
    record::Head,
    store::{Cost, Shared},
    ticks::Ticks,
};

/// Something that is dropped when a message has been seen through.
pub(crate) type Held = Option<Box<dyn Any + Send>>;

/// How long the writer rests after a batch that nobody waits for, at most. Being woken for every single observation
/// costs more than the observation; whoever waits for an answer ends the rest at once.
const REST: Duration = Duration::from_millis(5);

/// How often a batch of unknown fate is looked for.
const RESOLVE_EVERY: Duration = Duration::from_millis(100);
/// How often a journal that failed is tried while nobody asks for it.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) enum Message<D: Domain> {
    Write {
        write: Box<Write<D>>,
        reply: oneshot::Sender<Result<Outcome, SubmitError>>,
        cost: Cost,
    },
    Observe {
        exchange: Box<Exchange<D::Command>>,
        span: Span,
        cost: Cost,
    },
    /// See [`crate::Store::answered`].
    Answered {
        key: KeyRow,
        answer: Option<Response>,
        held: Held,
        cost: Cost,
    },
    /// See [`crate::Store::attempt`] and [`crate::Store::split`].
    Attempt {
        keys: Vec<KeyRow>,
        /// The places of the items that are sent on, of a request that is split.
        forwarded: Option<Vec<u32>>,
        reply: oneshot::Sender<Result<(), SubmitError>>,
        cost: Cost,
    },
    /// See [`crate::Store::first`].
    Look {
        key: KeyRow,
        reply: oneshot::Sender<Result<Repeat, SubmitError>>,
        cost: Cost,
    },
    /// See [`crate::Store::upkeep`].
    Upkeep {
        command: Box<D::Command>,
        names: Vec<(Box<str>, EntityKey)>,
        reply: oneshot::Sender<Result<bool, SubmitError>>,
        cost: Cost,
    },
    /// See [`crate::Store::keep_sealed`].
    Keep {
        secrets: Vec<(Box<str>, Option<Vec<u8>>)>,
        reply: oneshot::Sender<Result<(), SubmitError>>,
        cost: Cost,
    },
    /// See [`crate::Store::tidy`].
    Tidy {
        reply: oneshot::Sender<()>,
    },
    /// See [`crate::Store::release`].
    Release {
        who: String,
        reply: oneshot::Sender<Result<(), SubmitError>>,
        cost: Cost,
    },
    Barrier {
        reply: oneshot::Sender<()>,
    },
    Settle {
        settle: Box<Settle<D>>,
        reply: oneshot::Sender<Result<(), SubmitError>>,
        cost: Cost,
    },
    Mode {
        mode: String,
        why: String,
        reply: oneshot::Sender<Result<(), SubmitError>>,
        cost: Cost,
    },
    Stop,
}

impl<D: Domain> Message<D> {
    fn cost(&self) -> Cost {
        match self {
            Self::Write { cost, .. }
            | Self::Observe { cost, .. }
            | Self::Answered { cost, .. }
            | Self::Attempt { cost, .. }
            | Self::Look { cost, .. }
            | Self::Settle { cost, .. }
            | Self::Upkeep { cost, .. }
            | Self::Keep { cost, .. }
            | Self::Release { cost, .. }
            | Self::Mode { cost, .. } => *cost,
            Self::Tidy { .. } | Self::Barrier { .. } | Self::Stop => Cost::default(),
        }
    }

    pub(crate) fn is_observation(&self) -> bool {
        matches!(self, Self::Observe { .. } | Self::Answered { .. })
    }

    /// Tells whoever waits what became of it.
    fn answer(self, verdict: Verdict) {
        // Whoever does not listen any more has gone; nothing is owed to them.
        match (self, verdict) {
            (Self::Write { reply, .. }, Verdict::Outcome(outcome)) => {
                let _ = reply.send(Ok(outcome));
            }
            (Self::Write { reply, .. }, Verdict::Failed(error)) => {
                let _ = reply.send(Err(error));
            }
            (Self::Upkeep { reply, .. }, verdict) => {
                let _ = reply.send(match verdict {
                    Verdict::Failed(error) => Err(error),
                    Verdict::Declined => Ok(false),
                    _ => Ok(true),
                });
            }
            (
                Self::Settle { reply, .. }
                | Self::Mode { reply, .. }
                | Self::Attempt { reply, .. }
                | Self::Keep { reply, .. }
                | Self::Release { reply, .. },
                verdict,
            ) => {
                let _ = reply.send(match verdict {
                    Verdict::Failed(error) => Err(error),
                    _ => Ok(()),
                });
            }
            (Self::Tidy { reply } | Self::Barrier { reply }, _) => {
                let _ = reply.send(());
            }
            (Self::Look { reply, .. }, Verdict::Looked(repeat)) => {
                let _ = reply.send(Ok(repeat));
            }
            (Self::Look { reply, .. }, Verdict::Failed(error)) => {
                let _ = reply.send(Err(error));
            }
            // Whoever waits for it to be in the city may go on.
            (Self::Answered { held, .. }, _) => drop(held),
            (Self::Observe { .. } | Self::Stop | Self::Write { .. } | Self::Look { .. }, _) => {}
        }
    }
}

/// What was decided about one message.
#[derive(Clone, Debug)]
enum Verdict {
    Outcome(Outcome),
    Done,
    Declined,
    Looked(Repeat),
    Failed(SubmitError),
}

/// A city with what the writer needs to go on from it.
pub(crate) struct Base<D: Domain> {
    pub(crate) city: D::City,
    pub(crate) fences: OrdMap<u64, u32>,
    pub(crate) last_seq: u64,
    pub(crate) last_at: Time,
    pub(crate) ids: IdSource,
}

impl<D: Domain> Clone for Base<D> {
    fn clone(&self) -> Self {
        Self {
            city: self.city.clone(),
            fences: self.fences.clone(),
            last_seq: self.last_seq,
            last_at: self.last_at,
            ids: self.ids.clone(),
        }
    }
}

/// Observations that are published and not yet durable.
#[derive(Default)]
struct Pending {
    records: Vec<Record>,
    rows: BTreeMap<EntityKey, Row>,
    /// Waiting entries that a forwarded newer value made needless.
    queue: Changes,
    /// Keys of forwarded writes that have been answered.
    keys: Vec<KeyRow>,
    since: Option<Instant>,
}

/// Which endpoints only read, and which path is which endpoint.
struct Routes {
    reads: Vec<Endpoint>,
    paths: BTreeMap<String, Endpoint>,
}

impl Routes {
    fn new<D: Domain>(domain: &D) -> Self {
        let routes = domain.routes();
        Self {
            reads: routes
                .iter()
                .filter(|route| route.access == Access::Read)
                .map(|route| route.endpoint)
                .collect(),
            paths: routes.into_iter().map(|route| (route.path, route.endpoint)).collect(),
        }
    }

    fn is_read(&self, endpoint: Endpoint) -> bool {
        self.reads.contains(&endpoint)
    }

    fn endpoint(&self, path: &str) -> Option<Endpoint> {
        self.paths.get(path).copied()
    }
}

pub(crate) struct Writer<D: Domain> {
    domain: Arc<D>,
    shared: Arc<Shared<D>>,
    journal: Box<dyn Journal>,
    inbox: mpsc::Receiver<Message<D>>,
    routes: Routes,
    /// What is published.
    base: Base<D>,
    /// The last record that is on disk; those of `pending` follow.
    durable_seq: u64,
    pending: Pending,
    ticks: Ticks,
    /// Observations of a batch that failed, to be applied before the next one.
    carried: Vec<Message<D>>,
    unresolved: Option<Unresolved<D>>,
    last_attempt: Instant,
    last_tidy: Instant,
    last_look: Instant,
    fenced: bool,
}

impl<D: Domain> Writer<D> {
    pub(crate) fn new(
        domain: Arc<D>,
        shared: Arc<Shared<D>>,
        journal: Box<dyn Journal>,
        inbox: mpsc::Receiver<Message<D>>,
        base: Base<D>,
    ) -> Self {
        Self {
            routes: Routes::new(&*domain),
            durable_seq: base.last_seq,
            domain,
            shared,
            journal,
            inbox,
            base,
            pending: Pending::default(),
            ticks: Ticks::new(),
            carried: Vec::new(),
            unresolved: None,
            last_attempt: Instant::now(),
            last_tidy: Instant::now(),
            last_look: Instant::now(),
            fenced: false,
        }
    }

    fn work_until_stopped(&mut self) {
        self.shared.inbox.written_by_this_thread();
        let mut stop = false;
        while !stop && !self.fenced {
            let (batch, stopped) = self.take();
            stop = stopped;
            let unawaited = !batch.is_empty() && batch.iter().all(Message::is_observation);
            if self.unresolved.is_some() {
                self.refuse(batch);
                self.resolve();
            } else {
                self.run(batch);
            }
            self.do_what_is_due(stop);
            if unawaited && !stop {
                thread::park_timeout(REST.min(self.shared.options.shadow_flush / 4));
            }
        }
        // The last chance for a batch of unknown fate; who waits for it is told `Closed` otherwise.
        self.resolve();
    }

    /// Everything that waits, up to a batch; empty if something else is due first. True if it is the last one.
    fn take(&mut self) -> (Vec<Message<D>>, bool) {
        let mut batch = std::mem::take(&mut self.carried);
        let first = match self.inbox.try_recv() {
            Ok(first) => Some(first),
            Err(_) if batch.is_empty() => self.inbox.recv_timeout(self.until_due()).ok(),
            // What was carried over from a failure is not tried again without a pause.
            Err(_) => self.inbox.recv_timeout(RESOLVE_EVERY).ok(),
        };
        let Some(first) = first else {
            return (batch, false);
        };
        let max = batch.len() + self.shared.options.max_batch.max(1);
        let mut next = Some(first);
        let mut room = Cost::default();
        let mut stop = false;
        while let Some(message) = next.take() {
            let cost = message.cost();
            room.messages += cost.messages;
            room.units += cost.units;
            stop = matches!(message, Message::Stop);
            batch.push(message);
            if !stop && batch.len() < max {
                next = self.inbox.try_recv().ok();
            }
        }
        self.shared.inbox.release(room);
        (batch, stop)
    }

    fn until_due(&self) -> Duration {
        if self.unresolved.is_some() {
            return RESOLVE_EVERY;
        }
        let tidy = self.until_tidy().min(LOOK_EVERY);
        if self.failing() {
            return tidy.min(PROBE_EVERY.saturating_sub(self.last_attempt.elapsed()));
        }
        let flush = self
            .pending
            .since
            .map(|since| self.shared.options.shadow_flush.saturating_sub(since.elapsed()));
        tidy.min(flush.unwrap_or(LOOK_EVERY))
    }

    fn do_what_is_due(&mut self, stop: bool) {
        if self.unresolved.is_some() || self.fenced {
            return;
        }
        if self.failing() {
            if stop || self.last_attempt.elapsed() >= PROBE_EVERY {
                self.probe();
            }
            return;
        }
        let flush = self.shared.options.shadow_flush;
        if self.pending.since.is_some_and(|since| stop || since.elapsed() >= flush) {
            self.flush();
        }
        if self.last_look.elapsed() >= LOOK_EVERY {
            self.last_look = Instant::now();
            self.note_the_time();
        }
        if self.unresolved.is_none() && self.until_tidy().is_zero() {
            self.tidy();
        }
    }

    fn failing(&self) -> bool {
        **self.shared.health.load() != Health::Ok
    }

    /// Decides a batch and sees it through.
    fn run(&mut self, mut batch: Vec<Message<D>>) {
        if batch.is_empty() {
            return;
        }
        if batch.iter().any(|message| matches!(message, Message::Tidy { .. })) {
            while self.tidy() {}
        }
        settle::name_created(&mut batch, &*self.shared.reader);
        let mut panicked: Vec<usize> = Vec::new();
        let (draft, verdicts) = loop {
            let (draft, outcome) = self.decide(&batch, &panicked);
            match outcome {
                Ok(verdicts) => break (draft, verdicts),
                // The city of this draft may be half changed: it is dropped, and the others are decided again.
                Err(culprit) => panicked.push(culprit),
            }
        };
        let rows = catch_unwind(AssertUnwindSafe(|| draft.rows(&*self.domain)));
        match rows {
            Ok(rows) => self.conclude(draft, rows, batch, verdicts),
            Err(_) => self.run_one_by_one(batch),
        }
    }

    /// A row of this batch cannot be encoded: whose it is shows when each goes alone.
    fn run_one_by_one(&mut self, mut batch: Vec<Message<D>>) {
        if batch.len() > 1 {
            for message in batch {
                self.run(vec![message]);
            }
        } else if let Some(message) = batch.pop() {
            self.shared.metrics.panics.fetch_add(1, Relaxed);
            message.answer(Verdict::Failed(SubmitError::Panicked));
        }
    }

    /// Decides all messages but those that panicked before. The index of one that panics.
    fn decide(&mut self, batch: &[Message<D>], panicked: &[usize]) -> (Draft<D>, Result<Vec<Verdict>, usize>) {
        let mut trial = Trial::new(self);
        let mut verdicts = Vec::with_capacity(batch.len());
        for (index, message) in batch.iter().enumerate() {
            if panicked.contains(&index) {
                verdicts.push(Verdict::Failed(SubmitError::Panicked));
                continue;
            }
            let Ok(verdict) = catch_unwind(AssertUnwindSafe(|| trial.decide(message))) else {
                trial.shared.metrics.panics.fetch_add(1, Relaxed);
                return (trial.into_draft(), Err(index));
            };
            verdicts.push(verdict);
        }
        (trial.into_draft(), Ok(verdicts))
    }

    /// Writes down that the clock is right again: ages count from here on.
    fn note_the_time(&mut self) {
        if !self.shared.time.has_come_right() {
            return;
        }
        let mut draft = Draft::new(self.base.clone(), &self.pending);
        let since = self.shared.time.wall();
        draft.note(
            since.max(draft.base.last_at),
            self.journal.epoch(),
            &Head::ClockTrusted { since: since.0 },
        );
        draft.trusted_since = Some(since);
        self.commit(draft, BTreeMap::new(), Vec::new(), Vec::new());
    }
}

/// The writer's thread. Dropping it stops the writer as [`WriterHandle::stop`] does.
pub struct WriterHandle {
    stop: Option<Box<dyn FnOnce() + Send>>,
    thread: Option<JoinHandle<()>>,
}

impl WriterHandle {
    pub(crate) fn spawn<D: Domain>(mut writer: Writer<D>, sender: mpsc::Sender<Message<D>>) -> io::Result<Self> {
        let thread = thread::Builder::new().name("journal".into()).spawn(move || {
            let ended = Ended(Arc::clone(&writer.shared));
            writer.work_until_stopped();
            drop(writer);
            drop(ended);
        })?;
        Ok(Self {
            stop: Some(Box::new(move || {
                // An error means that it has ended already.
                let _ = sender.send(Message::Stop);
            })),
            thread: Some(thread),
        })
    }

    /// Whether the writer works. Once it does not, nothing is decided any more.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Commits what was submitted before, closes the journal and gives the lock back. Blocks.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer panicked");
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Closes the way to a writer that ends, however it ends.
struct Ended<D: Domain>(Arc<Shared<D>>);

impl<D: Domain> Drop for Ended<D> {
    fn drop(&mut self) {
        self.0.inbox.close();
        if **self.0.health.load() == Health::Ok {
            self.0.health.store(Arc::new(Health::Failing {
                since: (self.0.options.clock)(),
                why: "the writer has ended".into(),
            }));
        }
    }
}
