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
    load::run(Plan {
        target,
        connections: LIVE_CONNECTIONS,
        source: &mut source,
        until,
        pace: Some(rate),
    })
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
    ensure!(
        queued.failed() == 0,
        "queueing failed: {:?}",
        queued.statuses
    );

    let upstream = dead.open(delay)?;
    let drained = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&gateway, &upstream, options.writes));
        // Before, an order that this city never saw is 503, and rightly so.
        while !watcher.is_finished() && matches!(gateway.mode()?.as_str(), "acting" | "recovering")
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut beside = Vec::new();
        while !watcher.is_finished() {
            beside.push(live(
                gateway.addr,
                options.live,
                Duration::from_millis(500),
            )?);
        }
        match watcher.join() {
            Ok(drained) => drained.map(|drained| (drained, beside)),
            Err(_) => bail!("watching the drain panicked"),
        }
    });
    let (drained, beside) = drained?;
    gateway.wait_for_mode("forwarding", PATIENCE)?;
    let after = live(gateway.addr, options.live, Duration::from_secs(3))?;
    Ok(report(options, &direct, drained, &beside, &after))
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

fn report(
    options: &Options,
    direct: &Outcome,
    drained: Duration,
    beside: &[Outcome],
    after: &Outcome,
) -> Report {
    let rate = options.writes as f64 / drained.as_secs_f64();
    let ratio = rate / direct.rate();
    let mut latency = after.latency.clone();
    latency.reset();
    for outcome in beside {
        // Both have the same bounds, so adding cannot fail.
        let _ = latency.add(&outcome.latency);
    }
    let p99 =
        |histogram: &hdrhistogram::Histogram<u64>| histogram.value_at_quantile(0.99) as f64 / 1e3;
    let (during, quiet) = (p99(&latency), p99(&after.latency));
    let failed: u64 = beside
        .iter()
        .map(|outcome| outcome.failed() + outcome.broken)
        .sum();
    let mut report = Report::new(
        "drain",
        json!({
            "writes": options.writes, "upstreamMillis": options.latency_ms, "concurrency": CONCURRENCY,
            "perSecond": rate, "seconds": drained.as_secs_f64(),
            "generatorPerSecond": direct.rate(), "ratioToGenerator": ratio,
            "live": { "perSecond": options.live, "p99MillisDuring": during, "p99MillisAfter": quiet, "failedDuring": failed },
        }),
    );
    report.table(
        &[
            &format!(
                "{} writes, cloud at {} ms",
                grouped(options.writes as f64),
                options.latency_ms
            ),
            "a second",
            "ratio",
        ],
        &[
            vec![
                "load generator, no gateway".to_owned(),
                grouped(direct.rate()),
                "1.000".to_owned(),
            ],
            vec!["drain".to_owned(), grouped(rate), format!("{ratio:.3}")],
        ],
    );
    report.table(
        &[
            &format!("live trackOrder, {} a second", options.live),
            "p99 ms",
            "requests",
            "failed",
        ],
        &[
            vec![
                "beside the drain".to_owned(),
                format!("{during:.2}"),
                latency.len().to_string(),
                failed.to_string(),
            ],
            vec![
                "after it".to_owned(),
                format!("{quiet:.2}"),
                after.answered.to_string(),
                (after.failed() + after.broken).to_string(),
            ],
        ],
    );
    report
}
