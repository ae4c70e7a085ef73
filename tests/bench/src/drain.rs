//! The drain: how fast a queue goes back to the cloud, and what live traffic feels of it.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::json;

use crate::client::Metrics;
use crate::figures::grouped;
use crate::gateway::{CONCURRENCY, Gateway, Setup};
use crate::load::{self, Outcome, Plan, Source, Until};
use crate::report::Report;
use crate::upstream::{ClosedPort, Upstream};
use crate::workload::{self, CONNECTIONS};

/// How much, and against what.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Writes in the queue.
    #[arg(long, default_value_t = 20_000)]
    writes: u64,
    /// Milliseconds that the cloud takes for an answer.
    #[arg(long, default_value_t = 5)]
    latency_ms: u64,
    /// Live requests a second beside the drain.
    #[arg(long, default_value_t = 200)]
    live: u32,
}

/// No drain of these sizes takes longer, unless it stands still.
const PATIENCE: Duration = Duration::from_mins(3);
const LIVE_CONNECTIONS: usize = 16;

fn live(target: std::net::SocketAddr, rate: u32, time: Duration) -> anyhow::Result<Outcome> {
    let mut source: Source = workload::track(workload::upstream_ids(1_000));
    let until = Until::Elapsed(time);
    load::run(Plan { target, connections: LIVE_CONNECTIONS, source: &mut source, until, pace: Some(rate) })
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.writes > 0, "an empty queue is drained already");
    let delay = Duration::from_millis(options.latency_ms);
    // The yardstick: as many requests at a time as the drain may have, without a gateway.
    let yardstick = Upstream::start(delay)?;
    let mut source = workload::place();
    let direct = load::run(Plan {
        target: yardstick.addr(),
        connections: CONCURRENCY,
        source: &mut source,
        until: Until::Answered(options.writes),
        pace: None,
    })?;

    let dead = ClosedPort::reserve()?;
    let gateway = Gateway::start(dead.addr(), Setup::default())?;
    gateway.wait_for_mode("acting", Duration::from_secs(30))?;
    let mut source = workload::place();
    let queued = load::run(Plan {
        target: gateway.addr,
        connections: CONNECTIONS,
        source: &mut source,
        until: Until::Answered(options.writes),
        pace: None,
    })?;
    ensure!(queued.failed() == 0, "queueing failed: {:?}", queued.statuses);

    let upstream = dead.open(delay)?;
    let drained = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&gateway, &upstream, options.writes));
        // Before, an order that this city never saw is 503, and rightly so.
        while !watcher.is_finished() && matches!(gateway.mode()?.as_str(), "acting" | "recovering") {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut beside: Option<Outcome> = None;
        while !watcher.is_finished() {
            let more = live(gateway.addr, options.live, Duration::from_millis(500))?;
            beside = Some(match beside {
                Some(so_far) => so_far.and(&more),
                None => more,
            });
        }
        match watcher.join() {
            Ok(drained) => drained.map(|drained| (drained, beside)),
            Err(_) => bail!("watching the drain panicked"),
        }
    });
    let (drained, beside) = drained?;
    gateway.wait_for_mode("forwarding", PATIENCE)?;
    let after = live(gateway.addr, options.live, Duration::from_secs(3))?;
    Ok(report(options, &direct, drained, beside.as_ref(), &after))
}

/// The time from the first replay to the last.
fn watch(gateway: &Gateway, upstream: &Upstream, writes: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut first = None;
    loop {
        let done = upstream.writes();
        if done > 0 {
            first.get_or_insert_with(Instant::now);
        }
        if let Some(first) = first.filter(|_| done >= writes) {
            return Ok(first.elapsed());
        }
        if began.elapsed() > PATIENCE {
            let left = Metrics::scrape(gateway.admin)?.get("megamind_queue_entries");
            bail!("{done} of {writes} writes were drained in {PATIENCE:?}; {left:?} are left");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn report(options: &Options, direct: &Outcome, drained: Duration, beside: Option<&Outcome>, after: &Outcome) -> Report {
    let rate = options.writes as f64 / drained.as_secs_f64();
    let ratio = rate / direct.rate();
    let json = json!({
        "writes": options.writes, "upstreamMillis": options.latency_ms, "concurrency": CONCURRENCY,
        "perSecond": rate, "seconds": drained.as_secs_f64(),
        "generatorPerSecond": direct.rate(), "ratioToGenerator": ratio,
        "live": {
            "perSecond": options.live,
            "p99MillisDuring": beside.map(|beside| beside.latency_ms(0.99)),
            "p99MillisAfter": after.latency_ms(0.99),
            "failedDuring": beside.map(|beside| beside.failed() + beside.broken),
        },
    });
    let mut report = Report::new("drain", json);
    let title = format!("{} writes, cloud at {} ms", grouped(options.writes as f64), options.latency_ms);
    let row = |name: &str, rate: f64, ratio: f64| vec![name.to_owned(), grouped(rate), format!("{ratio:.3}")];
    let rows = [row("load generator, no gateway", direct.rate(), 1.0), row("drain", rate, ratio)];
    report.table(&[&title, "a second", "ratio"], &rows);
    let title = format!("live trackOrder, {} a second", options.live);
    let row = |name: &str, outcome: &Outcome| {
        let failed = outcome.failed() + outcome.broken;
        let p99 = outcome.latency_ms(0.99);
        vec![name.to_owned(), format!("{p99:.2}"), outcome.answered.to_string(), failed.to_string()]
    };
    let rows: Vec<_> = beside
        .map(|beside| row("beside the drain", beside))
        .into_iter()
        .chain([row("after it", after)])
        .collect();
    report.table(&[&title, "p99 ms", "requests", "failed"], &rows);
    if beside.is_none() {
        report.note("the drain was over before live traffic began beside it");
    }
    report
}
