//! Decides what is sent when.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use megamind_domain::{Domain, EntityKey, Role, Time};
use megamind_store::{Settle, Work};
use tokio::task::{Id, JoinSet};

use super::{
    audit, bundle,
    circuit::Circuit,
    gate::Gate,
    live::Watch,
    pace::{Limits, Pace, backoff},
    plan::{Job, Jobs},
    replay::{self, Ended},
};
use crate::{core::Core, modes::Mode, upstream::Exchanger};

/// Entries looked at for some that may be sent now.
const WINDOW: usize = 4096;

/// Replays that are tried while the upstream is not believed yet, each time that it seems to be back.
const TRIALS: u32 = 3;

/// The longest sleep without being woken.
const IDLE: Duration = Duration::from_secs(1);

/// How often an entry that waits for a credential is looked at.
const CREDENTIAL: Duration = Duration::from_secs(1);

/// Orders whose next entry is looked for first, at most.
const NEXT: usize = 64;

/// Comparisons that wait, at most; the oldest is dropped, and the next watched read does its work.
const AUDITS: usize = 50_000;

/// The longest pause that an upstream may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Failures in a row after which the operator is told.
const ALARM: u32 = 5;

/// An entry that did not go through.
struct Trouble {
    attempts: u32,
    not_before: Instant,
    /// The upstream itself named that time.
    asked: bool,
    /// Entries settled when it first failed: whether others pass meanwhile.
    settled_before: u64,
}

/// What came of a job.
pub(super) struct Done {
    /// Of each entry.
    pub(super) ended: Vec<(u64, Ended)>,
    /// How long the upstream took; `None` where it was not asked.
    pub(super) took: Option<Duration>,
    /// The upstream does not take bulk requests of this kind.
    pub(super) no_bulk: bool,
}

struct Worker<D: Domain> {
    core: Arc<Core<D>>,
    exchanger: Arc<Exchanger>,
    pace: Pace,
    circuit: Circuit,
    watch: Watch,
    gate: Arc<Gate>,
    started: Instant,
    under_way: JoinSet<Done>,
    jobs: HashMap<Id, Job>,
    flying: HashSet<u64>,
    troubled: HashMap<u64, Trouble>,
    plan: Jobs,
    settled: u64,
    /// Entries settled when live traffic was last looked at.
    settled_at_look: u64,
    /// Trial replays begun since the upstream seems to be back.
    trials: u32,
    /// When the mode that they are counted in began.
    mode_since: Time,
    /// Orders of which an entry has just been settled: their next one goes first.
    next: VecDeque<EntityKey>,
    /// Orders of which nothing is queued any more: they are compared.
    audits: VecDeque<EntityKey>,
    last_failure: String,
}

/// Drains whenever the mode allows it.
pub(crate) async fn drain<D: Domain>(core: Arc<Core<D>>, exchanger: Arc<Exchanger>) {
    let mut worker = Worker::new(core, exchanger);
    loop {
        let wait = worker.send();
        worker.show();
        tokio::select! {
            Some(done) = worker.under_way.join_next_with_id() => match done {
                Ok((id, done)) => worker.done(id, done).await,
                // A replay that panicked: its entries are as they were.
                Err(panicked) => {
                    worker.land(panicked.id());
                }
            },
            () = worker.core.drain_wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl<D: Domain> Worker<D> {
    fn new(core: Arc<Core<D>>, exchanger: Arc<Exchanger>) -> Self {
        let settings = &core.config.drain;
        let limits = Limits {
            max_rate: settings.max_rate,
            max_width: settings.max_concurrency.get(),
            backoff: settings.backoff,
            max_backoff: settings.max_backoff,
        };
        Self {
            pace: Pace::new(limits),
            circuit: Circuit::new(settings.backoff, settings.max_backoff),
            plan: Jobs::new(settings.bulk_size.get(), settings.bulk),
            watch: Watch::new(),
            gate: Arc::default(),
            core,
            exchanger,
            started: Instant::now(),
            under_way: JoinSet::new(),
            jobs: HashMap::new(),
            flying: HashSet::new(),
            troubled: HashMap::new(),
            settled: 0,
            settled_at_look: 0,
            trials: 0,
            mode_since: Time::default(),
            next: VecDeque::new(),
            audits: VecDeque::new(),
            last_failure: String::new(),
        }
    }

    /// Sends what may be sent now; answers with the time after which to look again.
    fn send(&mut self) -> Duration {
        self.look_at_live_traffic();
        let (width, ahead) = match self.mode() {
            Mode::Acting => {
                self.gate.set(0);
                return IDLE;
            }
            Mode::Recovering => (1, 0),
            Mode::Forwarding | Mode::Draining => {
                let width = self.pace.width();
                if self.circuit.open().is_some() || self.pace.failures() > 0 {
                    (1, 0)
                } else {
                    (width, width)
                }
            }
        };
        let elapsed = self.started.elapsed();
        if let Some(pause) = self.circuit.pause(elapsed).or_else(|| self.pace.pause(elapsed)) {
            self.gate.set(0);
            return pause.min(IDLE);
        }
        self.gate.set(width);
        if self.core.modes.current() == Mode::Recovering && self.trials >= TRIALS {
            return IDLE;
        }
        // As many again are read and marked, or settled, meanwhile.
        let width = width + ahead;
        if self.under_way.len() >= width {
            return IDLE;
        }
        let published = self.core.store.published().clone();
        if published.entries == 0 {
            self.forget_trouble();
        }
        if published.sendable == 0 {
            self.core.drain.set_caught_up(true);
            if self.circuit.open().is_some() && self.under_way.is_empty() {
                if let Some(seq) = self.circuit.trial() {
                    self.take_back(seq);
                }
                return IDLE;
            }
            return self.compare(width);
        }
        let mut wait = self.until_next_try();
        let room = width - self.under_way.len();
        let next: Vec<EntityKey> = self.next.drain(..).collect();
        let handback = self.core.handback.clone();
        let now = Instant::now();
        let left_out =
            |seq| self.flying.contains(&seq) || self.troubled.get(&seq).is_some_and(|trouble| trouble.not_before > now);
        let work = self.core.store.work_after(&next, WINDOW, self.plan.most(room), left_out);
        let bulk = |work: &Work| handback.goes_in_bulk(&self.core.domain, work.endpoint);
        let jobs = self.plan.of(work, bulk, |number| self.core.store.bundle(number));
        if !jobs.is_empty() {
            // The oldest are looked at first.
            self.core.drain.set_caught_up(jobs.iter().all(|job| self.is_live(job)));
        }
        for job in jobs {
            if self.under_way.len() >= width {
                return IDLE;
            }
            if !self.is_live(&job)
                && let Err(pause) = self.pace.take(elapsed)
            {
                // What is live waits behind nothing but its own order.
                wait = wait.min(pause);
                continue;
            }
            self.trials += 1;
            self.launch(job);
        }
        wait
    }

    /// The mode now, after taking notice of a change. Modes may pass faster than this worker looks, so it goes by when
    /// they began.
    fn mode(&mut self) -> Mode {
        let status = self.core.modes.status();
        if status.since != self.mode_since {
            (self.trials, self.mode_since) = (0, status.since);
            if status.mode.stands_in() {
                self.core.drain.set_caught_up(false);
            }
            if status.mode != Mode::Acting {
                self.forgive();
            }
        }
        status.mode
    }

    /// The upstream seems to be back: pauses that grew while nobody was there end, those that it asked for hold.
    fn forgive(&mut self) {
        self.pace.back();
        let now = Instant::now();
        for trouble in self.troubled.values_mut().filter(|trouble| !trouble.asked) {
            trouble.not_before = trouble.not_before.min(now);
        }
    }

    /// Nothing is queued any more, so whatever had trouble is gone: settled by others, or out of date.
    fn forget_trouble(&mut self) {
        for (seq, _) in self.troubled.drain() {
            self.core.drain.forget(seq);
        }
    }

    /// The time until the first of those that wait after a failure may be tried again.
    fn until_next_try(&self) -> Duration {
        let now = Instant::now();
        let pauses = self.troubled.values().map(|trouble| trouble.not_before);
        pauses
            .filter(|not_before| *not_before > now)
            .map(|not_before| not_before - now)
            .fold(IDLE, Duration::min)
    }

    /// Whether all of it came while the upstream served: without the fence it would have been forwarded at once, so it
    /// does not count against the rate of the drain. Otherwise busy pilots could add to the queue faster than
    /// `drain.max_rate` takes from it, and draining would never end.
    fn is_live(&self, job: &Job) -> bool {
        let status = self.core.modes.status();
        let serves_since: Time = status.serves_since;
        !status.mode.stands_in() && job.work().iter().all(|work| work.at >= serves_since)
    }

    fn launch(&mut self, job: Job) {
        let (core, exchanger, gate) = (self.core.clone(), self.exchanger.clone(), self.gate.clone());
        self.flying.extend(job.work().iter().map(|work| work.seq));
        let kept = job.clone();
        let handle = self.under_way.spawn(async move {
            match job {
                Job::Entry(work) => {
                    let (ended, took) = replay::attempt(&core, &exchanger, &gate, &work).await;
                    Done { ended: vec![(work.seq, ended)], took, no_bulk: false }
                }
                Job::Slots(work) => match gate.enter().await {
                    Some(_pass) => bundle::slots(&core, &exchanger, &work).await,
                    None => held(&work),
                },
                Job::Events(work) => match gate.enter().await {
                    Some(_pass) => bundle::events(&core, &exchanger, &work).await,
                    None => held(&work),
                },
                Job::Compare(subject) => {
                    if let Some(_pass) = gate.enter().await {
                        audit::compare(&core, &exchanger, subject).await;
                    }
                    held(&[])
                }
            }
        });
        self.jobs.insert(handle.id(), kept);
    }

    /// Gives a parked entry another chance.
    fn take_back(&self, seq: u64) {
        let core = self.core.clone();
        tokio::spawn(async move {
            // Somebody else may have settled it meanwhile.
            let _ = core.store.settle(Settle::Retry { seq }).await;
            core.drain_wake.notify_one();
        });
    }

    /// With nothing left to send: how the upstream has what was sent.
    fn compare(&mut self, width: usize) -> Duration {
        if self.core.modes.current().stands_in() {
            return IDLE;
        }
        while self.under_way.len() < width
            && let Some(subject) = self.audits.front().copied()
        {
            if let Err(pause) = self.pace.take(self.started.elapsed()) {
                return pause.min(IDLE);
            }
            self.audits.pop_front();
            self.launch(Job::Compare(subject));
        }
        IDLE
    }

    /// A job is over, however it ended.
    fn land(&mut self, id: Id) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        for work in job.work() {
            self.flying.remove(&work.seq);
        }
        Some(job)
    }

    async fn done(&mut self, id: Id, done: Done) {
        let Some(job) = self.land(id) else { return };
        if done.no_bulk {
            self.plan.without(&job);
        }
        if done.took.is_none() {
            // The upstream was not asked: that was no trial of it.
            self.trials = self.trials.saturating_sub(1);
        }
        let settled_before = self.settled;
        let mut failed = None;
        for (seq, ended) in done.ended {
            let Some(work) = job.work().iter().find(|work| work.seq == seq) else {
                continue;
            };
            match ended {
                Ended::Settled(outcome) => self.settled(work, outcome),
                Ended::Refused { status } => self.refused(work, status),
                Ended::Alone => self.plan.alone(seq),
                Ended::Held => {}
                Ended::Again { why, after, status } => {
                    self.again(seq, &why, after, status).await;
                    self.core.modes.good();
                    failed = Some((why, after));
                }
                Ended::Failed { why, after } => {
                    self.again(seq, &why, after, None).await;
                    failed = Some((why, after));
                }
                Ended::Waits => {
                    self.core
                        .drain
                        .waits(seq, "it waits for a credential that the upstream accepts");
                    let not_before = Instant::now() + CREDENTIAL;
                    let trouble = Trouble { attempts: 0, not_before, asked: false, settled_before: self.settled };
                    self.troubled.insert(seq, trouble);
                }
                Ended::Later { why, after } => {
                    tracing::debug!(seq, why, "entry waits");
                    self.core.drain.waits(seq, why);
                    self.core.modes.good();
                    let trouble = self.trouble(seq);
                    (trouble.asked, trouble.not_before) = (true, Instant::now() + after);
                }
                Ended::Local(why) => {
                    tracing::warn!(seq, why, "replay not settled");
                    failed = Some((why, None));
                }
            }
        }
        if let Some((why, after)) = failed {
            self.pace.failed(self.started.elapsed(), asked(after), jitter());
            self.last_failure = why;
        } else if self.settled > settled_before {
            // What was parked unsent says nothing about the upstream.
            if done.took.is_some() {
                self.core.modes.good();
            }
            self.pace.succeeded(done.took.unwrap_or_default());
        }
    }

    /// An entry left the queue.
    fn settled(&mut self, work: &Work, outcome: &'static str) {
        self.leave(work, outcome);
        for seq in self.circuit.passed() {
            self.take_back(seq);
        }
        let published = self.core.store.published();
        for touch in work.touches.iter().filter(|touch| touch.role == Role::Subject) {
            let queued = published.fences.contains_key(&touch.key.0);
            let (list, most) = if queued { (&mut self.next, NEXT) } else { (&mut self.audits, AUDITS) };
            if list.len() >= most {
                list.pop_front();
            }
            list.push_back(touch.key);
        }
    }

    /// An entry was refused for good, and is parked.
    fn refused(&mut self, work: &Work, status: Option<u16>) {
        self.leave(work, "parked");
        let about = work.touches.iter().map(|touch| touch.key);
        if let Some(status) = status
            && self.circuit.refused(self.started.elapsed(), work.seq, status, about)
        {
            tracing::error!(status, "the upstream refuses one entry after another: the drain pauses");
        }
    }

    fn leave(&mut self, work: &Work, outcome: &'static str) {
        self.core.metrics.drained.with_label_values(&[outcome]).inc();
        self.settled += 1;
        self.troubled.remove(&work.seq);
        self.plan.forget(work.seq);
        self.core.drain.forget(work.seq);
    }

    fn trouble(&mut self, seq: u64) -> &mut Trouble {
        self.troubled.entry(seq).or_insert(Trouble {
            attempts: 0,
            not_before: Instant::now(),
            asked: false,
            settled_before: self.settled,
        })
    }

    /// Keeps an entry for later; parks it where it alone keeps failing.
    async fn again(&mut self, seq: u64, why: &str, after: Option<u32>, status: Option<u16>) {
        let core = self.core.clone();
        let settings = &core.config.drain;
        self.core.metrics.drained.with_label_values(&["retried"]).inc();
        self.core.drain.note(seq, status, why);
        let settled = self.settled;
        let trouble = self.trouble(seq);
        trouble.attempts += 1;
        let pause = backoff(settings.backoff, settings.max_backoff, trouble.attempts);
        trouble.asked = after.is_some();
        trouble.not_before = Instant::now() + asked(after).unwrap_or_else(|| pause.mul_f64(jitter()));
        let alone = settled > trouble.settled_before;
        tracing::info!(seq, attempts = trouble.attempts, why, "replay will be repeated");
        if alone && trouble.attempts >= settings.max_attempts.get() {
            let parked = Settle::Parked {
                seq,
                status: None,
                reason: format!("{} attempts failed while others passed: {why}", trouble.attempts),
                left: None,
            };
            match self.core.store.settle(parked).await {
                Ok(()) => {
                    self.troubled.remove(&seq);
                    self.core.drain.forget(seq);
                    self.core.metrics.drained.with_label_values(&["parked"]).inc();
                }
                Err(error) => tracing::warn!(seq, %error, "entry not parked"),
            }
        }
    }

    fn look_at_live_traffic(&mut self) {
        // What live traffic suffers while there is one replay at a time is not the drain's doing.
        let draining = self.settled > self.settled_at_look && self.pace.width() > 1;
        if let Some(suffers) = self.watch.look(&self.core.live, draining) {
            self.settled_at_look = self.settled;
            self.pace.live(suffers);
        }
    }

    /// Tells the operator how it goes.
    fn show(&self) {
        let failures = self.pace.failures();
        let paused = match self.circuit.open() {
            Some(status) => Some(format!("one entry after another is refused with {status}")),
            None if failures >= ALARM => {
                Some(format!("{failures} replays in a row did not pass: {}", self.last_failure))
            }
            None => None,
        };
        self.core.metrics.drain_paused.set(i64::from(paused.is_some()));
        self.core.metrics.drain_width.set(self.pace.width() as i64);
        self.core.drain.set(self.pace.width(), paused);
    }
}

/// Nothing was sent.
fn held(work: &[Work]) -> Done {
    Done {
        ended: work.iter().map(|work| (work.seq, Ended::Held)).collect(),
        took: None,
        no_bulk: false,
    }
}

/// The pause that the upstream asks for.
fn asked(after: Option<u32>) -> Option<Duration> {
    after.map(|seconds| Duration::from_secs(seconds.into()).min(LONGEST_RETRY_AFTER))
}

/// A number from 0 to 1. Not random enough for anything but spreading retries.
fn jitter() -> f64 {
    let mut byte = [0; 4];
    if getrandom::fill(&mut byte).is_err() {
        return 1.0;
    }
    f64::from(u32::from_le_bytes(byte)) / f64::from(u32::MAX)
}
