//! How long live exchanges with the upstream take: a cheap estimate of the 99th percentile, second by second.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Buckets for each doubling of the time.
const STEPS: u32 = 4;

/// Up to 2^26 µs, about a minute.
const BUCKETS: usize = 26 * STEPS as usize;

/// Fewer exchanges in a window say nothing about a percentile.
const ENOUGH: u32 = 20;

/// The length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Counts exchanges by how long they took. One relaxed addition each.
pub(crate) struct Live {
    counts: [AtomicU32; BUCKETS],
}

impl Default for Live {
    fn default() -> Self {
        Self { counts: [const { AtomicU32::new(0) }; BUCKETS] }
    }
}

impl Live {
    /// A live exchange took so long.
    pub(crate) fn note(&self, took: Duration) {
        self.counts[bucket(took)].fetch_add(1, Relaxed);
    }

    /// The 99th percentile since the last call, to within a fifth; `None` where too few were seen.
    fn turn(&self) -> Option<Duration> {
        let counts: Vec<u32> = self.counts.iter().map(|count| count.swap(0, Relaxed)).collect();
        let total: u32 = counts.iter().sum();
        if total < ENOUGH {
            return None;
        }
        let mut above = total / 100;
        for (bucket, count) in counts.iter().enumerate().rev() {
            if *count > above {
                return Some(upper(bucket));
            }
            above -= count;
        }
        None
    }
}

fn bucket(took: Duration) -> usize {
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
    let octave = micros.ilog2();
    // The two bits after the first.
    let step = (u64::from(micros) << 2 >> octave) & 3;
    ((octave * STEPS) as usize + step as usize).min(BUCKETS - 1)
}

fn upper(bucket: usize) -> Duration {
    let (octave, step) = (bucket / STEPS as usize, bucket % STEPS as usize);
    Duration::from_micros((1 << octave) * (5 + step as u64) / 4)
}

/// Whether live traffic is slower than it uses to be while nothing is drained.
pub(crate) struct Watch {
    turned: Instant,
    usual: Option<Duration>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { turned: Instant::now(), usual: None }
    }

    /// Once a window: whether live traffic suffers. `draining` tells whether anything was replayed meanwhile.
    pub(crate) fn look(&mut self, live: &Live, draining: bool) -> Option<bool> {
        if self.turned.elapsed() < WINDOW {
            return None;
        }
        self.turned = Instant::now();
        Some(live.turn().is_some_and(|now| self.suffers(now, draining)))
    }

    fn suffers(&mut self, now: Duration, draining: bool) -> bool {
        let usual = *self.usual.get_or_insert(now);
        // A slow mean of what is usual. While draining it only falls: what is slower then may be the drain's doing. The
        // best of many seconds would be no measure, for a second has few exchanges.
        if !draining || now < usual {
            self.usual = Some((usual * 7 + now) / 8);
        }
        draining && now > usual * 3 / 2 + Duration::from_millis(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_found_to_within_a_fifth() {
        let live = Live::default();
        for _ in 0..985 {
            live.note(Duration::from_millis(3));
        }
        for _ in 0..15 {
            live.note(Duration::from_millis(100));
        }
        let p99 = live.turn().expect("enough of them");
        assert!((100..125).contains(&p99.as_millis()), "{p99:?}");
        assert_eq!(live.turn(), None, "they are counted once");
        for _ in 0..1000 {
            live.note(Duration::from_millis(3));
        }
        live.note(Duration::from_mins(10));
        let p99 = live.turn().expect("enough of them");
        assert!((3_000..3_750).contains(&p99.as_micros()), "{p99:?}");
    }

    #[test]
    fn every_time_has_a_bucket_whose_bound_is_above_it() {
        for micros in (0..60_000_000).step_by(997) {
            let took = Duration::from_micros(micros);
            assert!(upper(bucket(took)) > took, "{took:?}");
        }
    }

    #[test]
    fn it_suffers_when_it_is_slower_than_before_the_drain() {
        let mut watch = Watch::new();
        let ms = Duration::from_millis;
        assert!(!watch.suffers(ms(10), false));
        assert!(!watch.suffers(ms(12), true));
        assert!(watch.suffers(ms(30), true));
        assert!(!watch.suffers(ms(10), true));
        for _ in 0..40 {
            assert!(!watch.suffers(ms(30), false), "without a drain it is what it is");
        }
        assert!(!watch.suffers(ms(35), true));
    }

    #[test]
    fn one_good_second_does_not_make_the_others_bad() {
        let mut watch = Watch::new();
        let ms = Duration::from_millis;
        for now in [10, 11, 9, 10] {
            assert!(!watch.suffers(ms(now), false));
        }
        for now in [3, 12, 9, 4, 14, 11] {
            assert!(!watch.suffers(ms(now), true), "{now} ms");
        }
        for _ in 0..40 {
            watch.suffers(ms(3), true);
        }
        assert!(watch.suffers(ms(12), true), "what was usual was too much");
    }
}
