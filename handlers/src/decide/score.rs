//! How good a pilot is, and who is best for an order.

use megamind_domain::{Decision, Rejection, Time};

use super::{Decided, Desk};
use crate::{
    Fix,
    command::{Answer, Candidate, Score},
    id::Name,
    nearest::{eta, eta_pickup, travel_millis},
    order::Order,
    pilot::{Pilot, PilotKey, Tally},
};

/// Candidates that are named for an order, at most.
const MAX_CANDIDATES: usize = 10;
/// A position as old as this is worth nothing, in milliseconds.
const STALE: u64 = 10 * 60 * 1000;
/// A pickup as far away in time as this is worth nothing, in milliseconds.
const FAR: u64 = 60 * 60 * 1000;

impl Desk<'_> {
    pub(super) fn score(&self, name: &Name) -> Decided {
        let pilot = self.city.find_pilot(name).ok_or_else(|| self.pilot_not_found())?;
        let score = score_of(pilot, self.now);
        Ok(Decision::answer(Answer::Score(pilot.key(), score)))
    }

    pub(super) fn rank(&self, name: &Name) -> Decided {
        let order = self.order(name)?;
        if order.status().is_final() {
            return Err(self.is_final(order));
        }
        let Some(pickup) = order.pickup() else {
            let detail = "Where this order is fetched is not known here.";
            return Err(Rejection::new(409, "pickup_unknown", detail));
        };
        let ranked = (self.city.ranked(pickup, MAX_CANDIDATES).into_iter())
            .filter_map(|(pilot, metres)| self.candidate(order, pilot, metres));
        let mut ranked: Vec<Candidate> = ranked.collect();
        ranked.sort_by_key(|candidate| (!candidate.feasible, std::cmp::Reverse(candidate.score), candidate.pilot));
        Ok(Decision::answer(Answer::Candidates { key: order.key(), asked: name.clone(), ranked }))
    }

    fn candidate(&self, order: &Order, pilot: PilotKey, metres: f64) -> Option<Candidate> {
        let pilot = self.city.pilot(pilot)?;
        let eta_pickup = eta_pickup(order, metres, self.now);
        let turned_down = order.excluded().contains(&pilot.key());
        let stale = freshness(pilot.fix(), self.now) == 0;
        let reasons: Vec<_> = [("turned_down", turned_down), ("stale_position", stale)]
            .into_iter()
            .filter_map(|(code, holds)| holds.then_some(code))
            .collect();
        let nearness = remaining(eta_pickup.millis_since(self.now), FAR);
        let quality = score_of(pilot, self.now).total;
        Some(Candidate {
            pilot: pilot.key(),
            score: if turned_down { 0 } else { mean(&[(nearness, 3), (quality, 1)]) },
            reasons,
            feasible: !turned_down,
            eta_pickup,
            eta_dropoff: eta(order, metres, self.now),
            added_seconds: travel_millis(metres).unsigned_abs() / 1000,
        })
    }
}

fn score_of(pilot: &Pilot, now: Time) -> Score {
    let Tally { accepted, rejected, delivered, failed, late, .. } = pilot.tally();
    // Who has done nothing yet has done nothing wrong: one good order is given in advance.
    let share = |good: u32, bad: u32| {
        let (good, bad) = (u64::from(good) + 1, u64::from(bad));
        (100 * good / (good + bad)) as u8
    };
    let acceptance = share(accepted, rejected);
    let completion = share(delivered, failed);
    let punctuality = share(delivered.saturating_sub(late), late);
    let freshness = freshness(pilot.fix(), now);
    Score {
        total: mean(&[(acceptance, 3), (completion, 3), (punctuality, 3), (freshness, 1)]),
        acceptance,
        completion,
        punctuality,
        freshness,
    }
}

fn freshness(fix: Option<Fix>, now: Time) -> u8 {
    fix.map_or(0, |fix| remaining(now.millis_since(fix.at), STALE))
}

/// 100 at 0, falling to 0 at `end`.
fn remaining(value: u64, end: u64) -> u8 {
    (100 * end.saturating_sub(value) / end) as u8
}

/// The mean of parts from 0 to 100 with weights.
fn mean(parts: &[(u8, u32)]) -> u8 {
    let (sum, weights) = parts.iter().fold((0, 0), |(sum, weights), (part, weight)| {
        (sum + u32::from(*part) * weight, weights + weight)
    });
    (sum / weights.max(1)) as u8
}
