//! Acting: the cloud is gone, and every order is on disk before it is answered.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::client::Metrics;
use crate::figures::grouped;
use crate::gateway::{Gateway, Setup};
use crate::report::Report;
use crate::series::Series;
use crate::upstream::{ClosedPort, Upstream};
use crate::workload::{self, CONNECTIONS, PILOTS};

/// How long and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Measurements of each kind.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

/// A gateway without its cloud, and one with it to compare.
struct City {
    acting: Gateway,
    forwarding: Gateway,
    /// The other one's, kept running.
    _upstream: Upstream,
    /// Nobody listens here, and nobody else can begin to.
    _dead: ClosedPort,
}

/// What was measured.
#[derive(Default)]
struct Figures {
    placed: Series,
    tracked: Series,
    passed: Series,
    orders: u64,
    /// Of the journal, where the gateway exports them.
    writes_per_fsync: Option<f64>,
    commit_millis: Option<f64>,
    resident: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.seconds > 0.0 && options.rounds > 0, "at least one round, longer than 0 s");
    let city = City::build()?;
    let figures = city.measure(options.rounds, Duration::from_secs_f64(options.seconds))?;
    Ok(figures.report())
}

impl City {
    fn build() -> anyhow::Result<Self> {
        let upstream = Upstream::start(Duration::ZERO)?;
        let dead = ClosedPort::reserve()?;
        let forwarding = Gateway::start(upstream.addr(), Setup::default())?;
        let acting = Gateway::start(dead.addr(), Setup::default())?;
        forwarding.wait_for_mode("forwarding", Duration::from_secs(30))?;
        acting.wait_for_mode("acting", Duration::from_secs(30))?;
        workload::register_pilots(acting.addr)?;
        Ok(Self { acting, forwarding, _upstream: upstream, _dead: dead })
    }

    fn measure(&self, rounds: usize, time: Duration) -> anyhow::Result<Figures> {
        let Self { acting, forwarding, .. } = self;
        let mut placing = workload::place();
        let mut tracking = workload::track(workload::place_some(acting.addr, 1_000)?);
        let mut passing = workload::track(workload::upstream_ids(1_000));
        workload::full_speed(acting.addr, &mut placing, time.div_f64(4.0))?;
        workload::full_speed(forwarding.addr, &mut passing, time.div_f64(4.0))?;

        let mut figures = Figures::default();
        let before = Metrics::scrape(acting.admin)?;
        for round in 0..rounds {
            let placed = figures.placed.measure(&acting.process, acting.addr, &mut placing, time)?;
            figures.orders += placed.answered;
            figures.tracked.measure(&acting.process, acting.addr, &mut tracking, time)?;
            figures
                .passed
                .measure(&forwarding.process, forwarding.addr, &mut passing, time)?;
            eprintln!("round {} of {rounds}", round + 1);
        }
        let after = Metrics::scrape(acting.admin)?;
        let risen = |name: &str| after.since(&before, name);
        let commits = risen("megamind_journal_commit_seconds_count").map(|commits| commits.max(1.0));
        let per_commit = |name: &str| Some(risen(name)? / commits?);
        figures.writes_per_fsync = per_commit("megamind_journal_records_total");
        figures.commit_millis = per_commit("megamind_journal_commit_seconds_sum").map(|seconds| seconds * 1e3);
        figures.resident = acting.process.resident()?;
        Ok(figures)
    }
}

impl Figures {
    fn report(&self) -> Report {
        let against = self.tracked.ratio_to(&self.passed);
        let json = json!({
            "connections": CONNECTIONS, "pilots": PILOTS, "orders": self.orders,
            "placeOrder": self.placed.json(),
            "writesPerFsync": self.writes_per_fsync, "commitMillis": self.commit_millis,
            "trackOrderActing": self.tracked.json(), "trackOrderForwarding": self.passed.json(),
            "trackOrderActingToForwarding": against, "residentBytes": self.resident,
        });
        let mut report = Report::new("acting", json);
        let row = |name: &str, series: &Series| std::iter::once(name.to_owned()).chain(series.cells()).collect();
        let rows = [
            row("placeOrder, acting, durable", &self.placed),
            row("trackOrder, acting", &self.tracked),
            row("trackOrder, forwarding", &self.passed),
        ];
        let heading: Vec<_> = std::iter::once("").chain(Series::HEADING).collect();
        report.table(&heading, &rows);
        let text =
            |figure: Option<f64>| figure.map_or_else(|| "not exported".to_owned(), |figure| format!("{figure:.2}"));
        let (writes, millis) = (text(self.writes_per_fsync), text(self.commit_millis));
        report.note(format!("writes per fsync: {writes}; a commit takes {millis} ms"));
        report.note(format!("trackOrder, acting to forwarding: {against:.3}"));
        let orders = grouped(self.orders as f64);
        report.note(format!("{CONNECTIONS} connections, {PILOTS} pilots, {orders} orders placed"));
        report
    }
}
