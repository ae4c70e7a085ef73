//! Memory: at rest, and with a long queue of which the bodies are on disk.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::client::Metrics;
use crate::figures::{grouped, mebibytes};
use crate::gateway::{Gateway, Setup};
use crate::load::{self, Plan, Until};
use crate::report::Report;
use crate::upstream::{ClosedPort, Upstream};
use crate::workload::{self, CONNECTIONS};

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Orders in the queue.
    #[arg(long, default_value_t = 1_000_000)]
    orders: u64,
}

/// The longest queue that is measured is drained in less.
const PATIENCE: Duration = Duration::from_mins(30);

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let upstream = Upstream::start(Duration::ZERO)?;
    let resting = Gateway::start(upstream.addr(), Setup::default())?;
    resting.wait_for_mode("forwarding", Duration::from_secs(30))?;
    // Long enough for everything that starts late.
    std::thread::sleep(Duration::from_secs(3));
    let at_rest = resting.process.resident()?;
    drop(resting);

    let dead = ClosedPort::reserve()?;
    let gateway = Gateway::start(dead.addr(), Setup::default())?;
    gateway.wait_for_mode("acting", Duration::from_secs(30))?;
    let mut source = workload::place();
    let placed = load::run(Plan {
        target: gateway.addr,
        connections: CONNECTIONS,
        source: &mut source,
        until: Until::Answered(options.orders),
        pace: None,
    })?;
    ensure!(placed.failed() == 0, "placing failed: {:?}", placed.statuses);
    let filled = gateway.process.resident()?;
    let journal = gateway.journal_bytes()?;
    let (gateway, opening) = gateway.restart()?;
    let opened = gateway.process.resident()?;
    let queued = Metrics::scrape(gateway.admin)?.get("megamind_queue_entries");

    // The same orders without their entries. Each has the cloud's id besides, which makes the difference a little smaller.
    let upstream = dead.open(Duration::ZERO)?;
    gateway.wait_for_mode("forwarding", PATIENCE)?;
    let (gateway, _) = gateway.restart()?;
    gateway.wait_for_mode("forwarding", Duration::from_secs(30))?;
    let drained = gateway.process.resident()?;
    drop((gateway, upstream));
    let entry = opened.saturating_sub(drained) as f64 / options.orders as f64;

    let mut report = Report::new(
        "memory",
        json!({
            "restBytes": at_rest, "orders": options.orders, "filledBytes": filled, "journalBytes": journal,
            "openSeconds": opening.as_secs_f64(), "openedBytes": opened, "queueEntriesAfterOpening": queued,
            "placedPerSecond": placed.rate(), "drainedBytes": drained, "bytesPerQueuedEntry": entry,
        }),
    );
    let mib = |bytes: u64| format!("{:.1}", mebibytes(bytes));
    let orders = grouped(options.orders as f64);
    report.table(
        &["", "resident MiB"],
        &[
            vec!["at rest, forwarding".to_owned(), mib(at_rest)],
            vec![format!("{orders} queued orders"), mib(filled)],
            vec!["the same, opened again".to_owned(), mib(opened)],
            vec!["the same orders, nothing queued".to_owned(), mib(drained)],
        ],
    );
    report.note(format!(
        "opened in {:.2} s; the journal takes {} MiB on disk",
        opening.as_secs_f64(),
        mib(journal)
    ));
    report.note(format!("a queued entry takes {entry:.0} bytes besides its order"));
    let queued = queued.map_or_else(|| "not exported".to_owned(), grouped);
    report.note(format!(
        "queue entries after opening: {queued}; placed at {} a second",
        grouped(placed.rate())
    ));
    Ok(report)
}
