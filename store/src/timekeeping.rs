//! What time it is, and whether that can be believed.
//!
//! Records carry times, and some rules go by age: how long keys, answers and finished orders are kept, how long the
//! upstream remembers a key. A clock that stands behind the journal, or far from what others say, is *doubtful*; until
//! it is not, nothing is taken to be old. What was written before the clock came right is no older than that moment, as
//! far as anybody can tell.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use megamind_domain::Time;

use crate::options::Clock;

/// A clock farther than this from what another one says is doubtful.
const FAR: u64 = 5 * 60 * 1000;

/// A clock behind the journal by no more than this was set by its keeper (NTP), not lost.
const SLEWED: u64 = 1000;

/// Why the clock is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It stands before the time of the newest record.
    BehindJournal {
        /// By how much, in milliseconds.
        millis: u64,
    },
    /// It stands before this release was made.
    BeforeRelease,
    /// Another clock says otherwise.
    OffReference {
        /// How far it is from the other, in milliseconds; negative where it is behind.
        millis: i64,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BehindJournal { millis } => {
                write!(f, "the clock is {} s behind the newest record of the journal", millis / 1000)
            }
            Self::BeforeRelease => f.write_str("the clock stands before the time when this release was made"),
            Self::OffReference { millis } => {
                let side = if *millis < 0 { "behind" } else { "ahead of" };
                write!(f, "the clock is {} s {side} what the upstream says", millis.abs() / 1000)
            }
        }
    }
}

/// The clock of a store.
pub struct Timekeeper {
    wall: Clock,
    earliest: Time,
    started: Instant,
    elapsed: Option<Elapsed>,
    /// The time of the newest record.
    last: AtomicI64,
    /// What another clock said last, and when on the steady one.
    reference: Mutex<Option<(Time, Duration)>>,
    /// There was a doubt that the writer has not noted the end of.
    doubted: AtomicBool,
    /// Since when the clock is trusted.
    since: AtomicI64,
}

/// A steady clock, which nobody sets.
pub type Elapsed = std::sync::Arc<dyn Fn() -> Duration + Send + Sync>;

impl Timekeeper {
    pub(crate) fn new(wall: Clock, elapsed: Option<Elapsed>, earliest: Time, last: Time, since: Option<Time>) -> Self {
        let keeper = Self {
            wall,
            earliest,
            started: Instant::now(),
            elapsed,
            last: AtomicI64::new(last.0),
            reference: Mutex::new(None),
            doubted: AtomicBool::new(false),
            since: AtomicI64::new(since.map_or(i64::MIN, |since| since.0)),
        };
        // A doubt at the start counts, even if the clock is set before anybody asks.
        let _ = keeper.doubt();
        keeper
    }

    /// What the wall clock says.
    pub fn wall(&self) -> Time {
        (self.wall)()
    }

    /// Another clock, one that is looked after, says `time` just now.
    pub fn told(&self, time: Time) {
        let now = self.steady();
        *self.reference.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, now));
        let _ = self.doubt();
    }

    /// Why the clock is not believed, if it is not.
    pub fn doubt(&self) -> Option<Doubt> {
        let doubt = self.look();
        if doubt.is_some() {
            self.doubted.store(true, Relaxed);
        }
        doubt
    }

    fn look(&self) -> Option<Doubt> {
        let wall = self.wall();
        if wall < self.earliest {
            return Some(Doubt::BeforeRelease);
        }
        let behind = Time(self.last.load(Relaxed)).millis_since(wall);
        if behind > SLEWED {
            return Some(Doubt::BehindJournal { millis: behind });
        }
        let reference = *self.reference.lock().unwrap_or_else(PoisonError::into_inner);
        let (time, then) = reference?;
        let passed = self.steady().saturating_sub(then);
        let expected = time.plus_millis(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX));
        let off = wall.0.saturating_sub(expected.0);
        (off.unsigned_abs() > FAR).then_some(Doubt::OffReference { millis: off })
    }

    /// How old something of this time is, in milliseconds: certainly no less. `None` while that cannot be said.
    pub fn age(&self, at: Time) -> Option<u64> {
        self.ages().of(at)
    }

    /// Whatever is from before this is older than `keep`; `None` where that cannot be said.
    pub fn before(&self, keep: Duration) -> Option<Time> {
        self.ages().before(keep)
    }

    /// Ages as of now.
    pub(crate) fn ages(&self) -> Ages {
        let suspended = self.doubt().is_some() || self.doubted.load(Relaxed);
        Ages { now: (!suspended).then(|| self.wall()), since: Time(self.since.load(Relaxed)) }
    }

    /// A record of this time was written.
    pub(crate) fn wrote(&self, at: Time) {
        self.last.store(at.0, Relaxed);
    }

    /// Whether a doubt has ended that is still to be noted.
    pub(crate) fn has_come_right(&self) -> bool {
        self.doubted.load(Relaxed) && self.look().is_none()
    }

    /// The end of the doubt was noted: ages count again, from this moment on.
    pub(crate) fn trusted_from(&self, since: Time) {
        self.since.store(since.0, Relaxed);
        self.doubted.store(false, Relaxed);
    }

    fn steady(&self) -> Duration {
        self.elapsed
            .as_ref()
            .map_or_else(|| self.started.elapsed(), |elapsed| elapsed())
    }
}

/// Ages as of one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    /// `None` while the clock is doubtful.
    now: Option<Time>,
    since: Time,
}

impl Ages {
    /// No ages: nothing is old.
    pub(crate) fn suspended() -> Self {
        Self { now: None, since: Time(i64::MIN) }
    }

    /// Ages by a clock that nobody doubts.
    #[cfg(test)]
    pub(crate) fn at(now: Time) -> Self {
        Self { now: Some(now), since: Time(i64::MIN) }
    }

    /// See [`Timekeeper::age`].
    pub(crate) fn of(self, at: Time) -> Option<u64> {
        Some(self.now?.millis_since(at.max(self.since)))
    }

    /// Whether something of this time is older than so many milliseconds, for certain.
    pub(crate) fn older(self, at: Time, millis: u64) -> bool {
        self.of(at).is_some_and(|age| age > millis)
    }

    /// Whatever is from before this is older than `keep`; `None` where nothing is, for certain.
    pub(crate) fn before(self, keep: Duration) -> Option<Time> {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = self.now?.plus_millis(keep.saturating_neg());
        (before > self.since).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicU64};

    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    /// Some day in 2026.
    const NOW: i64 = 1_780_000_000_000;

    /// A wall clock and a steady one.
    #[derive(Clone, Default)]
    struct Hands {
        wall: Arc<AtomicI64>,
        steady: Arc<AtomicU64>,
    }

    impl Hands {
        fn keeper(&self, last: i64) -> Timekeeper {
            let (wall, steady) = (self.wall.clone(), self.steady.clone());
            let elapsed: Elapsed = Arc::new(move || Duration::from_millis(steady.load(Relaxed)));
            let wall: Clock = Arc::new(move || Time(wall.load(Relaxed)));
            Timekeeper::new(wall, Some(elapsed), Time(NOW - DAY), Time(last), None)
        }

        fn pass(&self, millis: i64) {
            self.wall.fetch_add(millis, Relaxed);
            self.steady.fetch_add(millis as u64, Relaxed);
        }
    }

    fn start(at: i64) -> Hands {
        let hands = Hands::default();
        hands.wall.store(at, Relaxed);
        hands
    }

    #[test]
    fn a_good_clock_is_believed() {
        let hands = start(NOW);
        let keeper = hands.keeper(NOW - HOUR);
        keeper.told(Time(NOW + 4 * 60_000));
        hands.pass(HOUR);
        assert_eq!(keeper.doubt(), None);
        assert_eq!(keeper.age(Time(NOW)), Some(HOUR as u64));
    }

    #[test]
    fn a_start_in_1970_suspends_ages_until_the_clock_is_set() {
        let hands = start(5_000);
        let keeper = hands.keeper(0);
        assert_eq!(keeper.doubt(), Some(Doubt::BeforeRelease));
        keeper.wrote(Time(5_000));
        hands.wall.store(NOW, Relaxed);
        assert_eq!(keeper.age(Time(5_000)), None, "not before the end of the doubt is noted");
        assert!(keeper.has_come_right());
        keeper.trusted_from(Time(NOW));
        hands.pass(HOUR);
        assert_eq!(keeper.age(Time(5_000)), Some(HOUR as u64), "no older than the clock is right");
        assert_eq!(keeper.ages().before(Duration::from_hours(2)), None);
        assert_eq!(keeper.ages().before(Duration::from_mins(1)), Some(Time(NOW + HOUR - 60_000)));
    }

    #[test]
    fn a_step_of_eight_days_is_told_by_the_upstream_and_seen_without_it() {
        for step in [8 * DAY, -8 * DAY] {
            let hands = start(NOW);
            let keeper = hands.keeper(NOW - 9 * DAY);
            keeper.told(Time(NOW));
            // The upstream is gone; the clock steps an hour later.
            hands.pass(HOUR);
            hands.wall.fetch_add(step, Relaxed);
            if step > 0 {
                assert_eq!(keeper.doubt(), Some(Doubt::OffReference { millis: step }));
            } else {
                // Before the release, or off what the upstream had said.
                assert!(keeper.doubt().is_some());
            }
            assert_eq!(keeper.age(Time(NOW)), None);
            // It is back, and so is the clock.
            hands.wall.fetch_sub(step, Relaxed);
            keeper.told(Time(NOW + HOUR));
            assert!(keeper.has_come_right());
        }
    }

    #[test]
    fn a_clock_behind_the_journal_is_doubtful_beyond_a_second() {
        let hands = start(NOW);
        let keeper = hands.keeper(NOW + 800);
        assert_eq!(keeper.doubt(), None);
        keeper.wrote(Time(NOW + 2_000));
        assert_eq!(keeper.doubt(), Some(Doubt::BehindJournal { millis: 2_000 }));
    }
}
