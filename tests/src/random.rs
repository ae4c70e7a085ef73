//! Random choices that can be repeated.

use std::env;
use std::time::SystemTime;

/// Marsaglia's xorshift: good enough to pick moments and mistakes.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Seeded from `MEGAMIND_SEED`, or by the clock. The seed is printed.
    pub fn seeded() -> Self {
        let given = env::var("MEGAMIND_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64)
        });
        eprintln!("MEGAMIND_SEED={seed}");
        Self::of(seed)
    }

    /// Seeded with a number.
    pub fn of(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed | 1)
    }

    /// What [`Self::of`] makes the same choices from, from here on.
    pub fn seed(&self) -> u64 {
        self.0
    }

    /// Another one whose choices follow from those of this one.
    pub fn fork(&mut self) -> Self {
        Self::of(((self.below(1 << 31) as u64) << 32) | self.below(1 << 31) as u64)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
