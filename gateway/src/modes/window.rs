//! A sliding window of good and failed requests, in ten buckets.

use std::time::Duration;

const BUCKETS: u32 = 10;

/// Counts over the last `length`, exact to a tenth of it.
#[derive(Debug)]
pub(super) struct Window {
    width: Duration,
    buckets: [Bucket; BUCKETS as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which tenth since the start these counts belong to.
    tenth: u128,
    good: u64,
    failed: u64,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            width: (length / BUCKETS).max(Duration::from_millis(1)),
            buckets: [Bucket::default(); BUCKETS as usize],
        }
    }

    pub(super) fn add(&mut self, now: Duration, good: u64, failed: u64) {
        let tenth = self.tenth(now);
        let bucket = &mut self.buckets[(tenth % u128::from(BUCKETS)) as usize];
        if bucket.tenth != tenth {
            *bucket = Bucket { tenth, ..Bucket::default() };
        }
        bucket.good += good;
        bucket.failed += failed;
    }

    /// Good and failed requests within the window.
    pub(super) fn sums(&self, now: Duration) -> (u64, u64) {
        let tenth = self.tenth(now);
        self.buckets
            .iter()
            .filter(|bucket| bucket.tenth + u128::from(BUCKETS) > tenth)
            .fold((0, 0), |(good, failed), bucket| (good + bucket.good, failed + bucket.failed))
    }

    pub(super) fn clear(&mut self) {
        self.buckets = [Bucket::default(); BUCKETS as usize];
    }

    /// Numbered from ten, so that an untouched bucket (tenth 0) is out of every window.
    fn tenth(&self, now: Duration) -> u128 {
        now.as_nanos() / self.width.as_nanos() + u128::from(BUCKETS)
    }
}
