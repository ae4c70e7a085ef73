//! The task that makes the calls.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use megamind_conf::Config;
use megamind_gateway::Handle;
use megamind_handlers::{
    City, Deliveries,
    calls::{Call, CallKey, Channel, Kind, Outcome, Target},
    order::OrderKey,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep, sleep_until},
};

use super::{
    book::Book,
    client::{Client, Failure},
    lanes::{Failed, Lanes},
    metrics::Metrics,
    settings, webhook,
};

/// Calls under way at once, over all targets.
const AT_ONCE: usize = 256;

/// Outcomes that wait for the journal at most; beyond, no call is begun.
const UNSETTLED: usize = 4_096;

/// How often the city is looked at while it changes all the time.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long after a journal that does not take outcomes they are told again.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// A call is given up after so many attempts, once it is old enough.
const LEAST_ATTEMPTS: u32 = 3;

/// What the task, the pages and the other tasks share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) book: Book,
    pub(super) metrics: Metrics,
    /// Something of old is owed again: all calls are looked at.
    pub(super) look_again: Notify,
    tries: Mutex<HashMap<CallKey, Tried>>,
}

/// What was tried in this run.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) attempts: u32,
    pub(super) last_error: String,
}

impl Shared {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let callbacks = &config.callbacks;
        let client = Client::new(callbacks.timeout, settings(config).allow, callbacks.ca.as_deref())?;
        Ok(Self {
            client,
            book: Book::new(config),
            metrics: Metrics::new()?,
            look_again: Notify::new(),
            tries: Mutex::default(),
        })
    }

    pub(super) fn tries(&self) -> MutexGuard<'_, HashMap<CallKey, Tried>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes calls for as long as the gateway runs.
pub(super) async fn run(handle: Handle<Deliveries>, shared: Arc<Shared>) {
    shared.metrics.register(handle.registry());
    Worker::new(handle, shared).work().await;
}

/// What became of calls.
type Settled = Vec<(CallKey, Outcome)>;

/// The calls whose outcomes the journal has, or the outcomes that it did not take.
type Told = Result<Vec<CallKey>, Settled>;

type Attempt = (Call, Result<(), Failure>);

struct Worker {
    handle: Handle<Deliveries>,
    shared: Arc<Shared>,
    lanes: Lanes,
    /// Calls before this one have been looked at.
    next: CallKey,
    attempts: JoinSet<Attempt>,
    /// Outcomes that the journal does not have yet.
    settled: Settled,
    telling: JoinSet<Told>,
    /// Calls that go by SMS from now on, which the journal does not know yet: to whom, and about which order.
    handed_over: HashMap<CallKey, (Target, OrderKey)>,
}

impl Worker {
    fn new(handle: Handle<Deliveries>, shared: Arc<Shared>) -> Self {
        let callbacks = &handle.config().callbacks;
        Self {
            lanes: Lanes::new(callbacks.max_concurrency, callbacks.max_backoff),
            handle,
            shared,
            next: CallKey(NonZeroU64::MIN),
            attempts: JoinSet::new(),
            settled: Vec::new(),
            telling: JoinSet::new(),
            handed_over: HashMap::new(),
        }
    }

    async fn work(mut self) {
        let mut publications = self.handle.publications();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            self.look();
            self.start();
            self.tell();
            let wake = self.lanes.wake_at().unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
            tokio::select! {
                changed = publications.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // What comes in the meantime is looked at together.
                    sleep(LOOK_EVERY).await;
                    publications.mark_unchanged();
                }
                Some(attempt) = self.attempts.join_next() => self.finished(attempt),
                Some(told) = self.telling.join_next() => self.told(told),
                () = self.shared.look_again.notified() => self.next = CallKey(NonZeroU64::MIN),
                () = sleep_until(wake.into()) => {}
                _ = tick.tick() => self.measure(),
            }
        }
    }

    /// Takes in what is newly owed.
    fn look(&mut self) {
        let published = self.handle.published();
        for call in published.city.calls_due_from(self.next) {
            self.next = self.next.max(CallKey(call.key().0.saturating_add(1)));
            if call.channel == Channel::Http {
                self.lanes.add(call.key(), &call.target, call.order);
            }
        }
    }

    fn start(&mut self) {
        if self.settled.len() >= UNSETTLED {
            return;
        }
        for (key, target) in self.lanes.start(Instant::now(), AT_ONCE) {
            let published = self.handle.published();
            let found = published
                .city
                .call(key)
                .filter(|call| call.parked.is_none() && call.channel == Channel::Http);
            let Some(call) = found.cloned() else {
                // Settled by the operator meanwhile. Whose lane it was in is not in the city any more: it is over.
                self.lanes.drop_running(key, &target);
                self.lanes.forget(key);
                continue;
            };
            if self.follows_by_sms(&published.city, &call) {
                drop(published);
                self.hand_over(&call, "an earlier call about the order goes by SMS");
                continue;
            }
            let (shared, now) = (self.shared.clone(), self.handle.now());
            let goes_to = shared.book.find(&published.city, &target, shared.client.allow());
            self.attempts.spawn(async move {
                let (url, keys) = match goes_to {
                    Ok(found) => found,
                    Err(failure) => return (call, Err(failure)),
                };
                let body = Bytes::copy_from_slice(call.payload.as_bytes());
                let headers = webhook::headers(&format!("msg_{}", call.id), now, &body, &keys);
                let answer = shared.client.tell(&url, call.kind.path(), headers, body).await;
                (call, answer)
            });
        }
    }

    fn finished(&mut self, attempt: Result<Attempt, tokio::task::JoinError>) {
        let Ok((call, result)) = attempt else {
            // A panic in an attempt: the task starts anew, and every call with it.
            panic!("an attempt at a call panicked");
        };
        let key = call.key();
        let kind = label(&call.target);
        let Err(failure) = result else {
            self.shared.metrics.count(kind, "done");
            self.over(&call, Outcome::Done, true);
            return;
        };
        self.shared.metrics.count(kind, "failed");
        let failed = self.lanes.note_failure(&call.target, call.order, failure.is_targets());
        let why = failure.to_string();
        tracing::debug!(call = key.0, target = kind, attempts = failed.attempts, %why, "a call failed");
        if self.goes_by_sms(&call, &failure, failed) {
            self.hand_over(&call, &why);
            return;
        }
        let old = self.handle.now().millis_since(call.at) >= millis(self.handle.config().callbacks.give_up_after);
        let enough = failed.attempts >= LEAST_ATTEMPTS || failed.in_a_row >= LEAST_ATTEMPTS;
        let for_good = match failure {
            Failure::NotAllowed(_) => true,
            Failure::Status { status, .. } => status == StatusCode::GONE,
            _ => false,
        };
        if for_good || (old && enough) {
            self.park(&call, &why);
            if !for_good && failed.in_a_row >= LEAST_ATTEMPTS {
                self.park_the_old(&call.target, &why);
            }
            return;
        }
        let at_least = match failure {
            Failure::Status { retry_after: Some(pause), .. } => pause,
            _ => Duration::ZERO,
        };
        self.shared
            .tries()
            .insert(key, Tried { attempts: failed.attempts, last_error: why });
        self.lanes
            .again(key, &call.target, call.order, (Instant::now(), jitter()), at_least);
    }

    /// Whether a pilot is told by SMS, since the app does not answer.
    fn goes_by_sms(&self, call: &Call, failure: &Failure, failed: Failed) -> bool {
        let Target::Pilot(pilot) = &call.target else { return false };
        let published = self.handle.published();
        let phone = published.city.pilot(*pilot).and_then(|pilot| pilot.profile().phone.as_deref());
        let to_pilot = matches!(call.kind, Kind::Assign(_));
        let unanswered = failure.is_targets()
            || matches!(failure, Failure::Broken(_) | Failure::NotAllowed(_))
            || failed.attempts >= LEAST_ATTEMPTS;
        to_pilot && unanswered && phone.is_some() && self.handle.domain().settings().calls.sms
    }

    /// Whether a call about the same order is on its way by SMS: this one must not overtake it.
    fn follows_by_sms(&self, city: &City, call: &Call) -> bool {
        let same = |target: &Target, order: OrderKey| *target == call.target && order == call.order;
        let earlier = |other: &Call| other.key() < call.key() && same(&other.target, other.order);
        matches!(call.target, Target::Pilot(_))
            && (city.calls_due_by_sms().any(earlier)
                || self.handed_over.values().any(|(target, order)| same(target, *order)))
    }

    /// The call goes by SMS from now on.
    fn hand_over(&mut self, call: &Call, why: &str) {
        self.shared.metrics.count(label(&call.target), "by_sms");
        self.handed_over.insert(call.key(), (call.target.clone(), call.order));
        self.over(call, Outcome::BySms { why: why.into() }, false);
    }

    fn park(&mut self, call: &Call, why: &str) {
        let kind = label(&call.target);
        tracing::warn!(call = call.key().0, target = kind, why, "a call waits for the operator");
        self.shared.metrics.count(kind, "parked");
        self.over(call, Outcome::Parked { why: why.into() }, false);
    }

    /// The target is away for longer than it is waited for: whatever else is as old is parked with the probe.
    fn park_the_old(&mut self, target: &Target, why: &str) {
        let published = self.handle.published();
        let limit = millis(self.handle.config().callbacks.give_up_after);
        for key in self.lanes.waiting_for(target) {
            let Some(call) = published.city.call(key) else { continue };
            if self.handle.now().millis_since(call.at) >= limit {
                self.lanes.remove(key, target, call.order);
                self.shared.metrics.count(label(target), "parked");
                self.settled.push((key, Outcome::Parked { why: why.into() }));
            }
        }
    }

    fn over(&mut self, call: &Call, outcome: Outcome, reached: bool) {
        self.lanes.over(call.key(), &call.target, call.order, reached);
        self.shared.tries().remove(&call.key());
        self.settled.push((call.key(), outcome));
    }

    /// Has the journal take what became of calls. One batch at a time: what comes meanwhile is the next.
    fn tell(&mut self) {
        if self.settled.is_empty() || !self.telling.is_empty() {
            return;
        }
        let (handle, settled) = (self.handle.clone(), std::mem::take(&mut self.settled));
        self.telling.spawn(async move {
            match super::settle(&handle, settled.clone()).await {
                Ok(()) => Ok(settled.into_iter().map(|(key, _)| key).collect()),
                Err(error) => {
                    tracing::warn!(%error, "the journal does not take what became of calls; it is told again");
                    sleep(TELL_AGAIN).await;
                    Err(settled)
                }
            }
        });
    }

    fn told(&mut self, told: Result<Told, tokio::task::JoinError>) {
        match told {
            Ok(Ok(keys)) => {
                let published = self.handle.published();
                for key in keys {
                    self.lanes.forget(key);
                    self.handed_over.remove(&key);
                    // Parked, and had made again by the operator before this was known here.
                    let again = published.city.call(key).filter(|call| call.parked.is_none());
                    if let Some(call) = again.filter(|call| call.channel == Channel::Http) {
                        self.lanes.add(key, &call.target, call.order);
                    }
                }
            }
            Ok(Err(mut settled)) => {
                settled.append(&mut self.settled);
                self.settled = settled;
            }
            Err(error) => panic!("telling the journal: {error}"),
        }
    }

    fn measure(&self) {
        let published = self.handle.published();
        let city: &City = &published.city;
        let oldest = city
            .calls_due()
            .next()
            .map_or(0, |call| self.handle.now().millis_since(call.at) / 1000);
        let metrics = &self.shared.metrics;
        metrics.oldest_seconds.set(i64::try_from(oldest).unwrap_or(i64::MAX));
        let (all, parked) = (city.calls_count(), city.calls_parked());
        metrics.waiting.with_label_values(&["parked"]).set(parked as i64);
        metrics
            .waiting
            .with_label_values(&["due"])
            .set(all.saturating_sub(parked) as i64);
    }
}

/// The metric's label.
pub(super) fn label(target: &Target) -> &'static str {
    match target {
        Target::Pilot(_) => "pilot",
        Target::Merchant(_) => "merchant",
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Evenly from 0 to 1. Without randomness, the longest pause.
fn jitter() -> f64 {
    getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}
