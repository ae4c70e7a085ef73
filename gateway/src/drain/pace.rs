//! How fast and how wide the drain goes: a token bucket for the rate, additive increase and multiplicative decrease
//! for the width (Chiu and Jain, 1989) that also follows the upstream's latency, full jitter for the pauses, and a
//! share that shrinks while live traffic suffers.

use std::time::Duration;

/// Latency may grow to this multiple of the best seen before the drain goes narrower.
const TOLERANCE: f64 = 2.0;

/// Differences of latency that mean nothing, in seconds.
const GRACE: f64 = 0.005;

/// How much one replay counts in the running mean of latency.
const WEIGHT: f64 = 0.1;

/// By how much the best latency is forgotten with each replay: an upstream that got slower for good is no reason to
/// stay narrow for ever.
const FORGET: f64 = 1.001;

/// The smallest part of its pace that the drain keeps while live traffic suffers.
const LEAST_SHARE: f64 = 1.0 / 16.0;

/// The limits of the drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests a second; 0 for no limit.
    pub(crate) max_rate: u32,
    /// Requests under way at once.
    pub(crate) max_width: usize,
    /// The first pause after a failure.
    pub(crate) backoff: Duration,
    /// The longest.
    pub(crate) max_backoff: Duration,
}

/// The pace now. Times are durations since an arbitrary start; `jitter` is a number from 0 to 1.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: Limits,
    width: f64,
    /// Until something goes wrong the width grows with every success, afterwards by one a round.
    ramping: bool,
    failures: u32,
    paused_until: Duration,
    /// The end of the longest pause that the upstream itself asked for.
    asked_until: Duration,
    tokens: f64,
    filled_at: Duration,
    /// The running mean of the replays' latency and its best, in seconds; 0 before the first.
    recent: f64,
    best: f64,
    /// The part of the pace that live traffic leaves.
    share: f64,
}

impl Pace {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            width: 1.0,
            ramping: true,
            failures: 0,
            paused_until: Duration::ZERO,
            asked_until: Duration::ZERO,
            tokens: 1.0,
            filled_at: Duration::ZERO,
            recent: 0.0,
            best: 0.0,
            share: 1.0,
        }
    }

    /// How many requests may be under way.
    pub(crate) fn width(&self) -> usize {
        // Between 1 and the limit.
        ((self.width * self.share) as usize).max(1)
    }

    /// Failures since the last success.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// The time to wait while the upstream has asked for a pause, or failed.
    pub(crate) fn pause(&self, now: Duration) -> Option<Duration> {
        let pause = self.paused_until.saturating_sub(now);
        (!pause.is_zero()).then_some(pause)
    }

    /// Takes the right to send `count` requests; otherwise the time to wait until it is to be had.
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        if let Some(pause) = self.pause(now) {
            return Err(pause);
        }
        if self.limits.max_rate == 0 {
            return Ok(());
        }
        let rate = f64::from(self.limits.max_rate) * self.share;
        // A tenth of a second's worth may go at once, so that the clock's grain does not lower the rate.
        let burst = (rate / 10.0).max(1.0);
        let gained = now.saturating_sub(self.filled_at).as_secs_f64() * rate;
        self.tokens = (self.tokens + gained).min(burst);
        self.filled_at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - self.tokens) / rate))
        }
    }

    /// One request succeeded and took so long: a little wider, or narrower where the upstream gets slower.
    pub(crate) fn succeeded(&mut self, took: Duration) {
        self.failures = 0;
        let took = took.as_secs_f64();
        if self.best == 0.0 {
            (self.recent, self.best) = (took, took);
        }
        self.recent += (took - self.recent) * WEIGHT;
        self.best = (self.best * FORGET).min(self.recent);
        if self.width <= 1.0 {
            // One at a time makes nobody slow: that is how long it takes now, whatever it took before.
            self.best += (self.recent - self.best) * WEIGHT;
        }
        if self.recent > self.best * TOLERANCE + GRACE {
            self.ramping = false;
            // A third less after a round.
            self.width -= 1.0 / 3.0;
        } else if self.ramping {
            self.width += 1.0;
        } else {
            self.width += 1.0 / self.width;
        }
        self.width = self.width.clamp(1.0, self.limits.max_width as f64);
    }

    /// The upstream is overloaded or gone: half as wide, after a pause. `asked` is its `Retry-After`.
    pub(crate) fn failed(&mut self, now: Duration, asked: Option<Duration>, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        self.ramping = false;
        self.width = (self.width / 2.0).max(1.0);
        let pause = asked
            .unwrap_or_else(|| backoff(self.limits.backoff, self.limits.max_backoff, self.failures).mul_f64(jitter));
        self.paused_until = self.paused_until.max(now + pause);
        if asked.is_some() {
            self.asked_until = self.asked_until.max(now + pause);
        }
    }

    /// The upstream is back after an outage: what it asked for holds, pauses of the drain's own choosing end.
    pub(crate) fn back(&mut self) {
        self.failures = 0;
        self.paused_until = self.asked_until;
    }

    /// Once a second: whether live traffic is slower than it uses to be.
    pub(crate) fn live(&mut self, suffers: bool) {
        self.share = if suffers {
            (self.share / 2.0).max(LEAST_SHARE)
        } else {
            (self.share * 1.25).min(1.0)
        };
    }
}

/// The longest pause after `failures` in a row: doubling from `first`, `most` at most.
pub(crate) fn backoff(first: Duration, most: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    first.saturating_mul(1 << doublings).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace(max_rate: u32) -> Pace {
        Pace::new(Limits {
            max_rate,
            max_width: 8,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
        })
    }

    fn sent_in_a_second(pace: &mut Pace) -> usize {
        (0..1000).filter(|millis| pace.take(MS * *millis).is_ok()).count()
    }

    #[test]
    fn the_rate_is_kept_over_a_second() {
        let sent = sent_in_a_second(&mut pace(100));
        assert!((90..=110).contains(&sent), "{sent} in a second");
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = pace(0);
        assert!((0..1000).all(|_| pace.take(Duration::ZERO).is_ok()));
    }

    #[test]
    fn success_widens_and_failure_halves_and_pauses() {
        let mut pace = pace(0);
        for _ in 0..20 {
            pace.succeeded(5 * MS);
        }
        assert_eq!(pace.width(), 8);
        pace.failed(Duration::from_secs(1), None, 1.0);
        assert_eq!(pace.width(), 4);
        assert_eq!(pace.take(Duration::from_secs(1)), Err(Duration::from_millis(100)));
        assert_eq!(pace.take(Duration::from_millis(1100)), Ok(()));
        for _ in 0..4 {
            pace.succeeded(5 * MS);
        }
        assert!(pace.width() < 6, "after a failure one wider a round: {}", pace.width());
    }

    #[test]
    fn an_upstream_that_gets_slower_is_given_less() {
        let mut pace = pace(0);
        for _ in 0..20 {
            pace.succeeded(5 * MS);
        }
        let narrowed = (0..40).position(|_| {
            pace.succeeded(50 * MS);
            pace.width() == 1
        });
        assert!(narrowed.is_some());
        // It stays that slow though there is one at a time: it is not the drain.
        for _ in 0..60 {
            pace.succeeded(50 * MS);
        }
        assert_eq!(pace.width(), 8);
    }

    #[test]
    fn small_differences_of_latency_mean_nothing() {
        let mut pace = pace(0);
        for round in 0..200 {
            pace.succeeded(MS * (1 + round % 4));
        }
        assert_eq!(pace.width(), 8);
    }

    #[test]
    fn live_traffic_comes_first() {
        let mut pace = pace(100);
        for _ in 0..20 {
            pace.succeeded(5 * MS);
        }
        pace.live(true);
        pace.live(true);
        assert_eq!(pace.width(), 2);
        let sent = sent_in_a_second(&mut pace);
        assert!((20..=30).contains(&sent), "{sent} in a second");
        for _ in 0..10 {
            pace.live(true);
        }
        assert_eq!(pace.width(), 1, "it goes on all the same");
        for _ in 0..20 {
            pace.live(false);
        }
        assert_eq!(pace.width(), 8);
    }

    #[test]
    fn an_upstream_that_is_back_need_not_wait_for_pauses_of_our_choosing() {
        let mut pace = pace(0);
        for _ in 0..10 {
            pace.failed(Duration::ZERO, None, 1.0);
        }
        assert_eq!(pace.pause(MS), Some(Duration::from_millis(1999)));
        pace.back();
        assert_eq!(pace.pause(MS), None);
        pace.failed(MS, Some(Duration::from_secs(7)), 1.0);
        pace.back();
        assert_eq!(pace.pause(MS), Some(Duration::from_secs(7)));
    }

    #[test]
    fn the_upstream_may_name_the_pause() {
        let mut pace = pace(0);
        pace.failed(Duration::ZERO, Some(Duration::from_secs(9)), 0.0);
        assert_eq!(pace.take(Duration::ZERO), Err(Duration::from_secs(9)));
    }

    #[test]
    fn pauses_double_to_the_most() {
        let pauses: Vec<_> = (1..7)
            .map(|failures| backoff(Duration::from_millis(100), Duration::from_secs(1), failures).as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
    }
}
