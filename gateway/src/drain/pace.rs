//! How fast and how wide the drain goes: a token bucket for the rate, additive increase and multiplicative decrease
//! for the width (Chiu and Jain, 1989), full jitter for the pauses.

use std::time::Duration;

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
    width: usize,
    failures: u32,
    paused_until: Duration,
    tokens: f64,
    filled_at: Duration,
}

impl Pace {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            width: 1,
            failures: 0,
            paused_until: Duration::ZERO,
            tokens: 1.0,
            filled_at: Duration::ZERO,
        }
    }

    /// How many requests may be under way.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Takes the right to send one request; otherwise the time to wait until one is to be had.
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let pause = self.paused_until.saturating_sub(now);
        if !pause.is_zero() {
            return Err(pause);
        }
        if self.limits.max_rate == 0 {
            return Ok(());
        }
        let rate = f64::from(self.limits.max_rate);
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

    /// One request succeeded: a little wider.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.width = (self.width + 1).min(self.limits.max_width);
    }

    /// The upstream is overloaded or gone: half as wide, after a pause. `asked` is its `Retry-After`.
    pub(crate) fn failed(&mut self, now: Duration, asked: Option<Duration>, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        self.width = (self.width / 2).max(1);
        let pause = asked
            .unwrap_or_else(|| backoff(self.limits.backoff, self.limits.max_backoff, self.failures).mul_f64(jitter));
        self.paused_until = self.paused_until.max(now + pause);
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

    fn pace(max_rate: u32) -> Pace {
        Pace::new(Limits {
            max_rate,
            max_width: 8,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
        })
    }

    #[test]
    fn the_rate_is_kept_over_a_second() {
        let mut pace = pace(100);
        let sent = (0..1000)
            .filter(|millis| pace.take(Duration::from_millis(*millis)).is_ok())
            .count();
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
            pace.succeeded();
        }
        assert_eq!(pace.width(), 8);
        pace.failed(Duration::from_secs(1), None, 1.0);
        assert_eq!(pace.width(), 4);
        assert_eq!(pace.take(Duration::from_secs(1)), Err(Duration::from_millis(100)));
        assert_eq!(pace.take(Duration::from_millis(1100)), Ok(()));
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
