//! The metrics page: what is counted elsewhere is taken over when it is asked for.

use std::{fmt::Write as _, sync::atomic::Ordering::Relaxed};

use megamind_domain::Domain;
use megamind_store::Health;
use prometheus::IntCounter;

use crate::{
    core::{Core, wall_clock},
    gateway::Count,
};

/// The whole page, in the exposition format 0.0.4.
pub(super) fn text<D: Domain>(core: &Core<D>, census: Option<&Count<D>>) -> prometheus::Result<String> {
    let metrics = &core.metrics;
    let published = core.store.published();
    metrics.queue_entries.set(gauge(published.entries));
    metrics.parked_entries.set(gauge(published.parked));
    let oldest = published.oldest_at.map_or(0, |at| wall_clock().millis_since(at) / 1000);
    metrics.queue_oldest_seconds.set(gauge(oldest));
    if let Some(census) = census {
        let count = census(&published.city);
        for (status, number) in count.orders {
            metrics.orders.with_label_values(&[status]).set(gauge(number));
        }
        for (status, number) in count.pilots {
            metrics.pilots.with_label_values(&[status]).set(gauge(number));
        }
    }
    let journal = core.store.metrics();
    catch_up(&metrics.journal_records, journal.records.load(Relaxed));
    catch_up(&metrics.journal_panics, journal.panics.load(Relaxed));
    catch_up(
        &metrics.shadow_dropped,
        journal.dropped_reads.load(Relaxed) + journal.dropped_writes.load(Relaxed),
    );
    let (waiting, overdue) = core.credentials.waiting();
    metrics.credentials_waiting.set(gauge(waiting));
    metrics.credentials_overdue.set(gauge(overdue));
    metrics.requests_waiting.set(gauge(core.store.waiting() as u64));
    metrics.clock_trusted.set(i64::from(core.store.time().doubt().is_none()));
    metrics.journal_bytes.set(gauge(journal.file_bytes.load(Relaxed)));
    let failing = matches!(core.store.health(), Health::Failing { .. });
    metrics.journal_failing.set(i64::from(failing));
    let mut text = metrics.text()?;
    commit_seconds(&mut text, journal);
    Ok(text)
}

/// Brings a counter of this page to the state of one elsewhere, which only grows.
fn catch_up(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The journal keeps its own buckets.
fn commit_seconds(text: &mut String, journal: &megamind_store::Metrics) {
    const NAME: &str = "megamind_journal_commit_seconds";
    let mut count = 0;
    let _ = writeln!(text, "# HELP {NAME} Time of a durable commit.\n# TYPE {NAME} histogram");
    for (bound, total) in journal.commit_seconds.cumulative() {
        let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
        let _ = writeln!(text, "{NAME}_bucket{{le=\"{bound}\"}} {total}");
        count = total;
    }
    let sum = journal.commit_seconds.sum_seconds();
    let _ = writeln!(text, "{NAME}_sum {sum}\n{NAME}_count {count}");
}
