//! How good a pilot is, and who is best for an order.

use megamind_domain::{Decision, Rejection};

use super::{Decided, Desk};
use crate::{
    command::{Answer, Candidate, Score},
    id::Name,
    planning::{candidates, pilot_key, record, time, unable},
};

/// Candidates that are named for an order, at most, besides who has it.
const MAX_CANDIDATES: usize = 20;

impl Desk<'_> {
    pub(super) fn score(&self, name: &Name) -> Decided {
        let pilot = self.city.find_pilot(name).ok_or_else(|| self.pilot_not_found())?;
        let stale_after = (self.domain.settings.dispatch.stale_after / 1000).max(1);
        let score = record(pilot, self.now).score(stale_after);
        let score = Score {
            total: score.score,
            acceptance: score.acceptance,
            completion: score.completion,
            punctuality: score.punctuality,
            freshness: score.freshness,
        };
        Ok(Decision::answer(Answer::Score(pilot.key(), score)))
    }

    pub(super) fn rank(&self, name: &Name) -> Decided {
        let order = self.order(name)?;
        if order.status().is_final() {
            return Err(self.is_final(order));
        }
        if order.pickup().is_none() {
            let detail = "Where this order is fetched is not known here.";
            return Err(Rejection::new(409, "pickup_unknown", detail));
        }
        let mut ranked = candidates(self.city, &self.domain.settings, self.now, order, MAX_CANDIDATES);
        ranked.extend(unable(self.city, order, MAX_CANDIDATES.saturating_sub(ranked.len())));
        let ranked = ranked.into_iter().filter_map(|candidate| {
            let outlook = candidate.outlook;
            Some(Candidate {
                pilot: pilot_key(candidate.pilot)?,
                score: candidate.score,
                reasons: candidate.reasons.iter().map(|reason| reason.code()).collect(),
                feasible: outlook.is_some(),
                eta_pickup: outlook.map(|outlook| time(outlook.pickup_at)),
                eta_dropoff: outlook.map(|outlook| time(outlook.dropoff_at)),
                added_seconds: outlook.map(|outlook| outlook.added_seconds),
            })
        });
        Ok(Decision::answer(Answer::Candidates {
            key: order.key(),
            asked: name.clone(),
            ranked: ranked.collect(),
        }))
    }
}
