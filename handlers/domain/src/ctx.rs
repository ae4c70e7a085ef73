//! What a decision may know of the world: a time and fresh ids, both given by the writer.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// Milliseconds from `earlier` to here, 0 if it lies ahead.
    pub fn millis_since(self, earlier: Time) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// This time moved by `millis` milliseconds.
    pub fn plus_millis(self, millis: i64) -> Time {
        Time(self.0.saturating_add(millis))
    }
}

/// Whether the gateway stands in for the upstream while this is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// The gateway is the server: it may dispatch.
    Acting,
    /// The upstream serves: what comes here is taken as given, and nothing is dispatched.
    Standby,
}

/// The world as one decision sees it.
pub struct Ctx<'a> {
    /// max(wall clock, time of the last record): never earlier than a past decision.
    pub now: Time,
    /// Whether the gateway is acting.
    pub stance: Stance,
    /// Whether the upstream may have applied the request already: it was sent, and no answer came.
    pub in_doubt: bool,
    ids: &'a mut IdSource,
}

impl<'a> Ctx<'a> {
    /// A context at `now`, of a request that was never sent to the upstream.
    pub fn new(now: Time, stance: Stance, ids: &'a mut IdSource) -> Self {
        Self { now, stance, in_doubt: false, ids }
    }

    /// A fresh ULID, greater than every one before it.
    pub fn next_id(&mut self) -> u128 {
        self.ids.next(self.now)
    }
}

/// A monotonic ULID generator (<https://github.com/ulid/spec>): 48 bits of milliseconds, 80 random bits;
/// within one millisecond, or behind a clock that went back, the last id plus one.
///
/// The random part comes from a generator that the owner seeds: from the operating system in service, from a
/// printed number in a simulation.
#[derive(Clone)]
pub struct IdSource {
    last: u128,
    state: u64,
}

impl IdSource {
    /// A source whose ids are greater than `newest`.
    pub fn new(newest: u128, seed: u64) -> Self {
        Self { last: newest, state: seed }
    }

    /// The next id.
    pub fn next(&mut self, now: Time) -> u128 {
        let millis = u128::from(now.0.max(0).unsigned_abs()) & 0xffff_ffff_ffff;
        let random = (u128::from(self.splitmix()) << 64 | u128::from(self.splitmix())) >> 48;
        let fresh = millis << 80 | random;
        self.last = if fresh >> 80 > self.last >> 80 { fresh } else { self.last.saturating_add(1) };
        self.last
    }

    /// The newest id given so far.
    pub fn newest(&self) -> u128 {
        self.last
    }

    /// `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
    fn splitmix(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl fmt::Debug for IdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdSource").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_goes_back() {
        let mut ids = IdSource::new(0, 7);
        let mut last = 0;
        for now in [5, 5, 5, 9, 2, -4, 9, 10] {
            let id = ids.next(Time(now));
            assert!(id > last, "{id} after {last} at {now}");
            last = id;
        }
    }

    #[test]
    fn a_seed_repeats_the_ids() {
        let run = |seed| {
            let mut ids = IdSource::new(0, seed);
            (0..5).map(|at| ids.next(Time(at))).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn the_first_id_follows_the_newest_of_the_journal() {
        let newest = 1u128 << 120;
        assert_eq!(IdSource::new(newest, 1).next(Time(3)), newest + 1);
    }
}
