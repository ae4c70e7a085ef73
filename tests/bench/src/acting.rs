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

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(
        options.seconds > 0.0 && options.rounds > 0,
        "at least one round, longer than 0 s"
    );
    let time = Duration::from_secs_f64(options.seconds);
    let upstream = Upstream::start(Duration::ZERO)?;
    let dead = ClosedPort::reserve()?;
    let forwarding = Gateway::start(upstream.addr(), Setup::default())?;
    let acting = Gateway::start(dead.addr(), Setup::default())?;
    forwarding.wait_for_mode("forwarding", Duration::from_secs(30))?;
    acting.wait_for_mode("acting", Duration::from_secs(30))?;
    workload::register_pilots(acting.addr)?;
    let mut placing = workload::place();
    let mut tracking = workload::track(workload::place_some(acting.addr, 1_000)?);
    let mut passing = workload::track(workload::upstream_ids(1_000));
    workload::full_speed(acting.addr, &mut placing, time.div_f64(4.0))?;
    workload::full_speed(forwarding.addr, &mut passing, time.div_f64(4.0))?;

    let (mut placed, mut tracked, mut passed) =
        (Series::default(), Series::default(), Series::default());
    let before = Metrics::scrape(acting.admin)?;
    let mut orders = 0;
    for round in 0..options.rounds {
        orders += placed
            .measure(&acting.process, acting.addr, &mut placing, time)?
            .answered;
        tracked.measure(&acting.process, acting.addr, &mut tracking, time)?;
        passed.measure(&forwarding.process, forwarding.addr, &mut passing, time)?;
        eprintln!("round {} of {}", round + 1, options.rounds);
    }
    let after = Metrics::scrape(acting.admin)?;
    let commits = after.since(&before, "megamind_journal_commit_seconds_count");
    let spent = after.since(&before, "megamind_journal_commit_seconds_sum");
    let records = after.since(&before, "megamind_journal_records_total");
    let writes_per_fsync = records
        .zip(commits)
        .map(|(records, commits)| records / commits.max(1.0));
    let fsync_millis = commits
        .zip(spent)
        .map(|(commits, spent)| spent * 1e3 / commits.max(1.0));
    let against = tracked.ratio_to(&passed);

    let mut report = Report::new(
        "acting",
        json!({
            "connections": CONNECTIONS, "pilots": PILOTS,
            "placeOrder": placed.json(), "writesPerFsync": writes_per_fsync, "commitMillis": fsync_millis,
            "trackOrderActing": tracked.json(), "trackOrderForwarding": passed.json(),
            "trackOrderActingToForwarding": against,
            "residentBytes": acting.process.resident()?, "orders": orders,
        }),
    );
    let rows = [
        ("placeOrder, acting, durable", &placed),
        ("trackOrder, acting", &tracked),
        ("trackOrder, forwarding", &passed),
    ];
    let row = |(name, series): &(&str, &Series)| {
        let mut row = vec![(*name).to_owned()];
        row.extend(series.cells());
        row
    };
    let heading: Vec<_> = std::iter::once("").chain(Series::HEADING).collect();
    report.table(&heading, &rows.iter().map(row).collect::<Vec<_>>());
    let text = |figure: Option<f64>| {
        figure.map_or_else(
            || "not exported".to_owned(),
            |figure| format!("{figure:.2}"),
        )
    };
    report.note(format!(
        "writes per fsync: {}; a commit takes {} ms",
        text(writes_per_fsync),
        text(fsync_millis)
    ));
    report.note(format!("trackOrder, acting to forwarding: {against:.3}"));
    report.note(format!(
        "{CONNECTIONS} connections, {PILOTS} pilots, {} orders placed",
        grouped(orders as f64)
    ));
    Ok(report)
}
