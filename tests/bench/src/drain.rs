//! The drain: how fast a queue goes back to the cloud, and what live traffic feels of it. First without a limit, then at
//! the rate that is the default.

mod gentle;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use serde_json::{Value, json};

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
    /// Seconds of live traffic alone before the outage of the drain at the default rate, and as many after it.
    #[arg(long, default_value_t = 20)]
    alone: u32,
}

/// No drain of these sizes takes longer, unless it stands still.
const PATIENCE: Duration = Duration::from_mins(3);
const LIVE_CONNECTIONS: usize = 16;
/// Orders that live traffic asks for: numbers that no drained order gets.
const LIVE_ORDERS: RangeInclusive<u32> = 500_000_001..=500_001_000;

fn track_live() -> Source {
    workload::track(LIVE_ORDERS.map(|number| format!("OB-{number:09}")))
}

fn live(target: SocketAddr, source: &mut Source, rate: u32, time: Duration) -> anyhow::Result<Outcome> {
    let until = Until::Elapsed(time);
    load::run(Plan { target, connections: LIVE_CONNECTIONS, source, until, pace: Some(rate) })
}

/// Places so many orders while the cloud is gone.
fn fill(gateway: &Gateway, writes: u64) -> anyhow::Result<()> {
    gateway.wait_for_mode("acting", Duration::from_secs(30))?;
    let queued = load::run(Plan {
        target: gateway.addr,
        connections: CONNECTIONS,
        source: &mut workload::place(),
        until: Until::Answered(writes),
        pace: None,
    })?;
    ensure!(queued.failed() == 0, "queueing failed: {:?}", queued.statuses);
    Ok(())
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.writes > 0, "an empty queue is drained already");
    let unlimited = unlimited(options)?;
    let gentle = gentle::measure(options)?;
    let mut json = unlimited.json();
    json["atDefaultRate"] = gentle.json();
    let mut report = Report::new("drain", json);
    unlimited.tell(&mut report);
    gentle.tell(&mut report);
    Ok(report)
}

/// The drain without a limit.
struct Unlimited<'a> {
    options: &'a Options,
    /// A load generator of the same concurrency, without a gateway.
    direct: Outcome,
    drained: Duration,
    beside: Option<Outcome>,
    after: Outcome,
}

fn unlimited(options: &Options) -> anyhow::Result<Unlimited<'_>> {
    let delay = Duration::from_millis(options.latency_ms);
    // The yardstick: as many requests at a time as the drain may have, without a gateway.
    let yardstick = Upstream::start(delay)?;
    let direct = load::run(Plan {
        target: yardstick.addr(),
        connections: CONCURRENCY,
        source: &mut workload::place(),
        until: Until::Answered(options.writes),
        pace: None,
    })?;

    let dead = ClosedPort::reserve()?;
    let gateway = Gateway::start(dead.addr(), Setup::default())?;
    fill(&gateway, options.writes)?;
    let upstream = dead.open(delay)?;
    let mut source = track_live();
    let mut beside: Option<Outcome> = None;
    let drained = while_draining(&gateway, &upstream, options.writes, |_| {
        let more = live(gateway.addr, &mut source, options.live, Duration::from_millis(500))?;
        beside = Some(match beside.take() {
            Some(so_far) => so_far.and(&more),
            None => more,
        });
        Ok(())
    })?;
    gateway.wait_for_mode("forwarding", PATIENCE)?;
    let after = live(gateway.addr, &mut source, options.live, Duration::from_secs(3))?;
    Ok(Unlimited { options, direct, drained, beside, after })
}

/// Does something again and again, from when the gateway forwards live traffic until its queue is drained; it can ask
/// whether that is so. The time from the first replay to the last.
fn while_draining(
    gateway: &Gateway,
    upstream: &Upstream,
    writes: u64,
    mut act: impl FnMut(&dyn Fn() -> bool) -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(gateway, upstream, writes));
        // Before, an order that this city never saw is 503, and rightly so.
        while !watcher.is_finished() && matches!(gateway.mode()?.as_str(), "acting" | "recovering") {
            std::thread::sleep(Duration::from_millis(1));
        }
        while !watcher.is_finished() {
            act(&|| watcher.is_finished())?;
        }
        watcher.join().unwrap_or_else(|_| bail!("watching the drain panicked"))
    })
}

/// The time from the first replay to the last.
fn watch(gateway: &Gateway, upstream: &Upstream, writes: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut first = None;
    loop {
        let done = upstream.replays();
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

impl Unlimited<'_> {
    fn rate(&self) -> f64 {
        self.options.writes as f64 / self.drained.as_secs_f64()
    }

    fn ratio(&self) -> f64 {
        self.rate() / self.direct.rate()
    }

    fn json(&self) -> Value {
        let Self { options, direct, drained, beside, after } = self;
        let beside = beside.as_ref();
        json!({
            "writes": options.writes, "upstreamMillis": options.latency_ms, "concurrency": CONCURRENCY,
            "perSecond": self.rate(), "seconds": drained.as_secs_f64(),
            "generatorPerSecond": direct.rate(), "ratioToGenerator": self.ratio(),
            "live": {
                "perSecond": options.live,
                "p99MillisDuring": beside.map(|beside| beside.latency_ms(0.99)),
                "p99MillisAfter": after.latency_ms(0.99),
                "failedDuring": beside.map(|beside| beside.failed() + beside.broken),
            },
        })
    }

    fn tell(&self, report: &mut Report) {
        let Self { options, direct, beside, after, .. } = self;
        let title = format!("{} writes, no limit, cloud at {} ms", grouped(options.writes as f64), options.latency_ms);
        let row = |name: &str, rate: f64, ratio: f64| vec![name.to_owned(), grouped(rate), format!("{ratio:.3}")];
        let rows = [
            row("load generator, no gateway", direct.rate(), 1.0),
            row("drain", self.rate(), self.ratio()),
        ];
        report.table(&[&title, "a second", "ratio"], &rows);
        let title = format!("live trackOrder, {} a second", options.live);
        let row = |name: &str, outcome: &Outcome| {
            let failed = outcome.failed() + outcome.broken;
            let p99 = outcome.latency_ms(0.99);
            vec![name.to_owned(), format!("{p99:.2}"), outcome.answered.to_string(), failed.to_string()]
        };
        let beside = beside.as_ref();
        let rows: Vec<_> = beside
            .map(|beside| row("beside the drain", beside))
            .into_iter()
            .chain([row("after it", after)])
            .collect();
        report.table(&[&title, "p99 ms", "requests", "failed"], &rows);
        if beside.is_none() {
            report.note("the drain was over before live traffic began beside it");
        }
    }
}
