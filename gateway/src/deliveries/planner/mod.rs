//! The dispatcher: plans the published city beside the journal's writer, and has its result decided like any other
//! command. Planning blocks no request: it reads a city that nobody changes, on a thread of its own, and an order that
//! was taken meanwhile is left out by the decision.

mod external;
mod map;
mod osrm;
mod pages;
mod tracks;
mod worker;

use std::{future::ready, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use megamind_conf::{self as conf, Config};
use megamind_domain::{Stance, Time};
use megamind_gateway::{Builder, Handle};
use megamind_handlers::{
    City, Command, Deliveries,
    planning::next_lapse,
    settings::{Dispatch, Pace, Planner, Speeds},
};
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use tokio::time::{Instant, sleep, timeout};

use tracks::Tracks;
use worker::{Latest, Worker};

/// The shortest pause between two plannings; longer where one takes longer. What changes meanwhile is planned together.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the mode is looked at while there is nothing to plan.
const IDLE: Duration = Duration::from_millis(100);
/// Assignments that are decided in one go, at most.
const AT_ONCE: usize = 256;

/// The settings of a configuration, but for what has nothing to do with planning.
pub(crate) fn settings(config: &Config, rest: Dispatch) -> Dispatch {
    let dispatch = &config.dispatch;
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
    Dispatch {
        planner: match dispatch.planner {
            conf::Planner::Nearest => Planner::Nearest,
            conf::Planner::Plan if dispatch.osrm_url.is_none() => Planner::Plan,
            conf::Planner::Plan | conf::Planner::External => Planner::PlanOnly,
        },
        interval: millis(dispatch.interval),
        offer_timeout: millis(dispatch.offer_timeout),
        stale_after: millis(dispatch.stale_after),
        silent_after: millis(dispatch.silent_after),
        adopt_after: millis(dispatch.adopt_after),
        ask_again_after: millis(dispatch.ask_again_after),
        sms_lead: millis(dispatch.sms_lead),
        ready_spread: millis(dispatch.ready_spread),
        late_after: millis(dispatch.late_after),
        bundle_orders: dispatch.bundle_orders,
        bundle_pickups: dispatch.bundle_pickups,
        pace: Pace {
            detour: dispatch.detour,
            speeds: speeds(&dispatch.speeds),
            pickup_service: millis(dispatch.pickup_service),
            dropoff_service: millis(dispatch.dropoff_service),
        },
        ..rest
    }
}

fn speeds(speeds: &conf::Speeds) -> Speeds {
    let conf::Speeds { walk, bicycle, motorbike, car, other, .. } = *speeds;
    Speeds { walk, bicycle, motorbike, car, other }
}

/// What the planner's task and its pages share.
pub(super) struct Shared {
    latest: ArcSwap<Latest>,
    tracks: Tracks,
    seconds: Histogram,
    fallbacks: IntCounterVec,
}

impl Shared {
    fn new() -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new(
            "megamind_assignment_seconds",
            "Time from the look at the city to its assignments being decided and durable.",
        );
        let fallbacks = Opts::new(
            "megamind_planner_fallbacks_total",
            "Times that a source of plans or travel times was done without.",
        );
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let fallbacks = IntCounterVec::new(fallbacks, &["source"])?;
        for source in ["external", "osrm"] {
            fallbacks.with_label_values(&[source]);
        }
        Ok(Self {
            latest: ArcSwap::default(),
            tracks: Tracks::default(),
            seconds: Histogram::with_opts(seconds.buckets(buckets))?,
            fallbacks,
        })
    }

    /// A task that starts again registers again: that is no fault.
    fn register(&self, registry: &Registry) {
        let _ = registry.register(Box::new(self.seconds.clone()));
        let _ = registry.register(Box::new(self.fallbacks.clone()));
    }
}

/// Adds the dispatcher and its pages to a gateway.
///
/// # Errors
/// A metric that cannot be made.
pub(crate) fn add_to(builder: Builder<Deliveries>) -> anyhow::Result<Builder<Deliveries>> {
    let shared = Arc::new(Shared::new()?);
    let (work, drawn) = (shared.clone(), shared);
    Ok(builder
        .task("planner", move |handle| run(handle, work.clone()))
        .pages("admin/orders", pages::orders)
        .pages("admin/pilots", pages::pilots)
        .pages("admin/map.geojson", move |handle, asked| ready(map::map(&handle, &asked, &drawn))))
}

/// Plans the city whenever it has changed, and every `dispatch.interval`, for as long as the gateway acts.
async fn run(handle: Handle<Deliveries>, shared: Arc<Shared>) {
    shared.register(handle.registry());
    let interval = handle.config().dispatch.interval;
    let mut publications = handle.publications();
    let mut round = Round {
        worker: Some(Worker::new(handle.config(), handle.domain())),
        acting_since: None,
        seen: None,
        due: Instant::now(),
        shared: shared.clone(),
    };
    let mut sampled = Instant::now();
    loop {
        let began = Instant::now();
        if began >= sampled {
            shared.tracks.sample(&handle.published().city, handle.now());
            sampled = began + interval;
        }
        let wait = round.go(&handle).await;
        // As long a rest as the work was: half a core at most.
        sleep(began.elapsed().max(PAUSE).min(interval)).await;
        let _ = timeout(wait, publications.changed()).await;
    }
}

/// What is kept from one look at the city to the next.
struct Round {
    /// Away while it plans; never to come back where planning panicked, which ends the task.
    worker: Option<Worker>,
    acting_since: Option<Time>,
    /// What the city looked like when it was planned last.
    seen: Option<Glimpse>,
    /// When it is planned again even if nothing has changed.
    due: Instant,
    shared: Arc<Shared>,
}

impl Round {
    /// Looks at the city and does what is to be done; says how long nothing else will be, unless something changes.
    async fn go(&mut self, handle: &Handle<Deliveries>) -> Duration {
        let dispatch = handle.domain().settings().dispatch;
        if handle.stance() != Stance::Acting || !dispatch.auto {
            self.acting_since = None;
            self.seen = None;
            self.shared.latest.store(Arc::default());
            return IDLE;
        }
        let now = handle.now();
        let since = *self.acting_since.get_or_insert(now);
        let published = handle.published();
        let glimpse = Glimpse::of(&published.city);
        let lapse = next_lapse(&published.city, handle.domain().settings());
        drop(published);
        let is_due = self.due <= Instant::now();
        if lapse.is_some_and(|at| at <= now) || (is_due && dispatch.planner == Planner::Nearest) {
            decide(handle, Command::DispatchDue).await;
        }
        let changed = self.seen != Some(glimpse);
        if dispatch.planner != Planner::Nearest && (changed || is_due) && glimpse.has_work {
            self.plan(handle, since).await;
        }
        if changed || is_due {
            self.due = Instant::now() + handle.config().dispatch.interval;
        }
        self.seen = Some(glimpse);
        let until_due = self.due.saturating_duration_since(Instant::now());
        let until_lapse = lapse.map_or(until_due, |at| Duration::from_millis(at.millis_since(now)));
        // A mode that changes publishes no city.
        until_due.min(until_lapse).min(IDLE)
    }

    async fn plan(&mut self, handle: &Handle<Deliveries>, since: Time) {
        let began = Instant::now();
        let (now, published, shared) = (handle.now(), Arc::clone(&handle.published()), self.shared.clone());
        let Some(mut worker) = self.worker.take() else {
            return;
        };
        let planned = tokio::task::spawn_blocking(move || {
            let result = worker.plan(&published.city, now, since, &shared);
            (worker, result)
        });
        let (worker, (planned, latest)) = match planned.await {
            Ok(done) => done,
            // The task ends with it, is counted, and starts anew with nothing kept.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.worker = Some(worker);
        self.shared.latest.store(Arc::new(latest));
        if planned.is_empty() {
            return;
        }
        for some in planned.chunks(AT_ONCE) {
            decide(handle, Command::FollowPlan(some.to_vec())).await;
        }
        self.shared.seconds.observe(began.elapsed().as_secs_f64());
        tracing::debug!(assignments = planned.len(), "planned");
    }
}

async fn decide(handle: &Handle<Deliveries>, command: Command) {
    if let Err(error) = handle.submit(command).await {
        tracing::warn!(%error, "a plan was not decided; the next one is");
    }
}

/// What tells whether there is something new to plan, without looking at every order. Positions are not in it: they
/// change all the time, and count at the next interval.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Glimpse {
    changes: u64,
    has_work: bool,
}

impl Glimpse {
    fn of(city: &City) -> Self {
        let has_work = city.waiting_count() > 0 || city.adoptable_count() > 0;
        Self { changes: city.changes(), has_work }
    }
}

/// A client that gives up after `limit`, whatever it waits for.
fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .proxy(None)
        .build()
        .into()
}

fn rfc3339(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| String::new(), |at| at.to_string())
}
