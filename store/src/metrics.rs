//! Counters that the writer keeps and whoever exports metrics reads.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What the store counts. All counters only grow; gauges are named so.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Batches committed.
    pub commits: AtomicU64,
    /// Time from the start of a transaction to the end of its fsync.
    pub commit_seconds: Histogram,
    /// Commits that failed, whatever was found afterwards.
    pub failed_commits: AtomicU64,
    /// Records committed.
    pub records: AtomicU64,
    /// Gauge: bytes of the database and its write-ahead log.
    pub file_bytes: AtomicU64,
    /// Gauge: messages that wait for the writer.
    pub queue_depth: AtomicU64,
    /// Watched reads dropped under pressure.
    pub dropped_reads: AtomicU64,
    /// Outcomes of forwarded writes dropped because the journal could not be written for long.
    pub dropped_writes: AtomicU64,
    /// Observations ignored because what they touch has queued entries, or was written meanwhile.
    pub ignored_observations: AtomicU64,
    /// Follow-up commands ([`megamind_domain::Decision::then`]) that were refused.
    pub rejected_follow_ups: AtomicU64,
    /// Panics of the domain that were caught.
    pub panics: AtomicU64,
}

impl Metrics {
    pub(crate) fn follow_up_rejected(&self) {
        self.rejected_follow_ups.fetch_add(1, Relaxed);
    }

    pub(crate) fn observation_ignored(&self) {
        self.ignored_observations.fetch_add(1, Relaxed);
    }
}

/// The upper bounds of the buckets of a [`Histogram`], in microseconds.
const BOUNDS: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
];

/// Durations counted in fixed buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    /// (upper bound in seconds, observations up to it), cumulative, the last bound infinite: as Prometheus counts.
    pub fn cumulative(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
        let mut total = 0;
        bounds
            .zip(&self.buckets)
            .map(|(bound, count)| {
                total += count.load(Relaxed);
                (bound, total)
            })
            .collect()
    }

    /// The sum of all durations, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_micros.load(Relaxed) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_and_including_each_bound() {
        let histogram = Histogram::default();
        for micros in [100, 101, 6_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts = histogram.cumulative();
        assert_eq!(counts[0], (0.0001, 1));
        assert_eq!(counts[1], (0.00025, 2));
        assert_eq!(counts.last(), Some(&(f64::INFINITY, 3)));
        assert!((histogram.sum_seconds() - 6.000_201).abs() < 1e-9);
    }
}
