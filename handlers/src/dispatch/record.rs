//! A pilot's record, in four parts of 0 to 100 and one number.

use super::model::Seconds;

/// What a pilot has done with what it was offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Offers made to it.
    pub offered: u64,
    /// Offers that it accepted.
    pub accepted: u64,
    /// Accepted orders that have ended, one way or another.
    pub ended: u64,
    /// Of those, delivered.
    pub delivered: u64,
    /// Of those, by the time that was expected when it was told.
    pub on_time: u64,
    /// The age of its last known position, in seconds; `None` if it never sent one.
    pub position_age: Option<Seconds>,
}

/// A pilot's score, each part from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PilotScore {
    /// All of it: acceptance and completion count 30 %, punctuality and freshness 20 %.
    pub score: u8,
    /// How often it accepts.
    pub acceptance: u8,
    /// How often it brings what it accepted.
    pub completion: u8,
    /// How often that is in time.
    pub punctuality: u8,
    /// How fresh its position is.
    pub freshness: u8,
}

impl Record {
    /// The score. A pilot without a past has a good one: nobody starts at the bottom, and one
    /// bad day does not outweigh a hundred good ones.
    pub fn score(&self, stale_after: Seconds) -> PilotScore {
        let acceptance = share(self.accepted, self.offered);
        let completion = share(self.delivered, self.ended);
        let punctuality = share(self.on_time, self.delivered);
        let stale_after = stale_after.max(1);
        let freshness = self.position_age.map_or(0, |age| {
            let overdue = age.saturating_sub(stale_after).max(0);
            (stale_after * 100 / stale_after.saturating_add(overdue)) as u8
        });
        let [a, c, p, f] = [acceptance, completion, punctuality, freshness].map(u32::from);
        PilotScore {
            score: ((30 * a + 30 * c + 20 * p + 20 * f + 50) / 100) as u8,
            acceptance,
            completion,
            punctuality,
            freshness,
        }
    }

    /// The handicap that follows from it: how many seconds an order is expected to lose because
    /// this pilot's offer, open for `offer_ttl`, comes to nothing.
    pub fn handicap(&self, offer_ttl: Seconds) -> Seconds {
        let refused = 100 - Seconds::from(share(self.accepted, self.offered));
        offer_ttl.clamp(0, 86_400) * refused / 100
    }
}

/// Successes in percent, as if there had been five more tries and all of them good.
fn share(successes: u64, tries: u64) -> u8 {
    const PRIOR: u128 = 5;
    let (successes, tries) = (u128::from(successes.min(tries)), u128::from(tries));
    ((successes + PRIOR) * 100 / (tries + PRIOR)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_pilot_starts_well_and_a_record_counts() {
        let new = Record { position_age: Some(10), ..Record::default() };
        assert_eq!(new.score(120).score, 100);
        assert_eq!(new.handicap(60), 0);
        let refuses = Record { offered: 95, accepted: 0, ..new };
        assert_eq!(refuses.score(120).acceptance, 5);
        assert_eq!(refuses.handicap(60), 57);
    }

    #[test]
    fn nonsense_stays_within_bounds() {
        let record = Record {
            offered: 0,
            accepted: u64::MAX,
            ended: u64::MAX,
            delivered: u64::MAX,
            on_time: 0,
            position_age: Some(Seconds::MAX),
        };
        let score = record.score(Seconds::MIN);
        assert_eq!((score.acceptance, score.completion), (100, 100));
        assert_eq!((score.punctuality, score.freshness), (0, 0));
        assert_eq!(record.handicap(Seconds::MAX), 0);
    }
}
