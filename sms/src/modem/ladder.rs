//! What to try, in which order, on a modem that has stopped answering; and when to stop trying.

use super::Config;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// One means of recovery, from the mildest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// Leave a prompt (ESC), let late answers pass, ask again.
    Escape,
    /// `ATZ`.
    Defaults,
    /// `AT+CFUN=1,1`: the modem restarts and may vanish from the bus for a while.
    Restart,
    /// Close the port and open it again.
    Reopen,
    /// Switch the power off and on, where the hardware can.
    Power,
}

/// The climb. It remembers restarts across ports, so that recovery cannot become a reset loop.
#[derive(Debug)]
pub(super) struct Ladder {
    last: Option<Rung>,
    restarts: VecDeque<Instant>,
    appeared: Option<Instant>,
    waits: Backoff,
    ready_since: Option<Instant>,
}

impl Ladder {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            last: None,
            restarts: VecDeque::new(),
            appeared: None,
            waits: Backoff { next: config.reopen_min },
            ready_since: None,
        }
    }

    /// The port is there.
    pub(super) fn appeared(&mut self, now: Instant) {
        self.appeared = Some(now);
    }

    /// The modem is initialised.
    pub(super) fn ready(&mut self, now: Instant) {
        self.last = None;
        self.ready_since = Some(now);
    }

    /// Forgets past trouble when the modem has been well for long enough.
    pub(super) fn tick(&mut self, now: Instant, config: &Config) {
        let well = self.ready_since.is_some_and(|t| now >= t + config.healthy);
        if well {
            self.waits.next = config.reopen_min;
        }
    }

    /// How long to wait before the port is opened again.
    pub(super) fn wait(&mut self, config: &Config) -> Duration {
        self.ready_since = None;
        self.waits.take(config.reopen_max)
    }

    /// The next rung.
    pub(super) fn climb(&mut self, now: Instant, config: &Config) -> Rung {
        self.ready_since = None;
        while self.restarts.front().is_some_and(|then| *then + config.restart_window <= now) {
            self.restarts.pop_front();
        }
        let just_appeared = self.appeared.is_none_or(|t| now < t + config.settle);
        let may_restart = self.restarts.len() < config.max_restarts;
        let rung = match self.last {
            None => Rung::Escape,
            Some(Rung::Escape) => Rung::Defaults,
            Some(Rung::Defaults) if may_restart && !just_appeared => Rung::Restart,
            Some(Rung::Reopen) if may_restart => Rung::Power,
            Some(_) => Rung::Reopen,
        };
        if matches!(rung, Rung::Restart | Rung::Power) {
            self.restarts.push_back(now);
        }
        self.last = Some(rung);
        rung
    }
}

#[derive(Debug)]
struct Backoff {
    next: Duration,
}

impl Backoff {
    fn take(&mut self, limit: Duration) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(limit);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Rung::{Defaults, Escape, Power, Reopen, Restart},
        *,
    };

    fn climb(ladder: &mut Ladder, now: Instant, count: usize) -> Vec<Rung> {
        let config = Config::default();
        (0..count).map(|_| ladder.climb(now, &config)).collect()
    }

    #[test]
    fn the_mildest_first() {
        let config = Config::default();
        let start = Instant::now();
        let mut ladder = Ladder::new(&config);
        ladder.appeared(start);
        let later = start + config.settle;
        assert_eq!(climb(&mut ladder, later, 5), [Escape, Defaults, Restart, Reopen, Power]);
        ladder.ready(later);
        assert_eq!(climb(&mut ladder, later, 1), [Escape]);
    }

    #[test]
    fn a_port_that_has_just_appeared_is_not_restarted() {
        let config = Config::default();
        let start = Instant::now();
        let mut ladder = Ladder::new(&config);
        ladder.appeared(start);
        let rungs = climb(&mut ladder, start + config.settle / 2, 3);
        assert_eq!(rungs, [Rung::Escape, Rung::Defaults, Rung::Reopen]);
    }

    #[test]
    fn restarts_are_capped_in_a_window() {
        let config = Config::default();
        let start = Instant::now();
        let mut ladder = Ladder::new(&config);
        ladder.appeared(start);
        let later = start + config.settle;
        let is_restart = |rung: &Rung| matches!(rung, Rung::Restart | Rung::Power);
        let all = climb(&mut ladder, later, 100);
        assert_eq!(all.iter().filter(|r| is_restart(r)).count(), config.max_restarts);
        let next_window = later + config.restart_window;
        assert!(climb(&mut ladder, next_window, 2).iter().any(is_restart));
    }

    #[test]
    fn waits_double_until_the_modem_is_well() {
        let config = Config::default();
        let now = Instant::now();
        let mut ladder = Ladder::new(&config);
        let waits: Vec<u64> = (0..8).map(|_| ladder.wait(&config).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        ladder.ready(now);
        ladder.tick(now + config.healthy / 2, &config);
        assert_eq!(ladder.wait(&config), config.reopen_max);
        ladder.ready(now);
        ladder.tick(now + config.healthy, &config);
        assert_eq!(ladder.wait(&config), config.reopen_min);
    }
}
