//! How good a pilot is for an order, and why.

use serde::{Deserialize, Serialize};

use super::constraints::{Unsuited, unsuited};
use super::model::{COST_PER_SECOND, Channel, Cost, OrderId, PilotId, Seconds};
use super::problem::{Job, Problem, Rider, Stop};
use super::reinsert::TOO_DEAR;
use super::route::Route;
use super::solution::Solution;
use super::travel::TravelTime;

/// What speaks for or against a pilot for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its vehicle may not carry the order.
    Vehicle,
    /// The order is more than it can carry at once.
    Capacity,
    /// It would hold more cash than it may.
    CashLimit,
    /// It turned the order down, or let its offer expire.
    TurnedDown,
    /// Somebody else has been told of the order.
    Taken,
    /// Its plan is full, or its shift ends before it could pick the order up.
    NoRoom,
    /// The order adds least to its plan.
    Cheapest,
    /// Nobody could be at the pickup sooner.
    Soonest,
    /// It is at the pickup by the time the order is ready.
    InTime,
    /// It carries the order together with another.
    Bundled,
    /// It does something else first.
    AfterAnother,
    /// The order waits for it.
    Waits,
    /// A promised time is missed.
    BreaksPromise,
    /// Its last known position is old.
    StalePosition,
    /// It can be reached by SMS alone.
    SmsOnly,
    /// It has a handicap.
    Handicap,
    /// Somebody who may say so named it.
    Named,
    /// It is the nearest with room.
    Nearest,
    /// It is at work, but says that it takes nothing now.
    Busy,
}

impl Reason {
    /// The stable code that answers and the journal show.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Vehicle => "vehicle",
            Self::Capacity => "capacity",
            Self::CashLimit => "cash_limit",
            Self::TurnedDown => "turned_down",
            Self::Taken => "taken",
            Self::NoRoom => "no_room",
            Self::Cheapest => "cheapest",
            Self::Soonest => "soonest",
            Self::InTime => "in_time",
            Self::Bundled => "bundled",
            Self::AfterAnother => "after_another",
            Self::Waits => "waits",
            Self::BreaksPromise => "breaks_promise",
            Self::StalePosition => "stale_position",
            Self::SmsOnly => "sms_only",
            Self::Handicap => "handicap",
            Self::Named => "named",
            Self::Nearest => "nearest",
            Self::Busy => "busy",
        }
    }
}

/// One pilot as a candidate for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub pilot: PilotId,
    /// 100 for the best, less the more it adds beyond the best, 0 if it cannot.
    pub score: u8,
    /// What it would mean; `None` if it cannot carry the order.
    pub outlook: Option<Outlook>,
    /// What speaks for and against it.
    pub reasons: Vec<Reason>,
}

/// What giving an order to a pilot would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// When the order would be picked up.
    pub pickup_at: Seconds,
    /// When it would be handed over.
    pub dropoff_at: Seconds,
    /// What it adds to the waiting of all customers, in weighted seconds; and what it is worth
    /// where the pilot ends up.
    pub added_seconds: Seconds,
}

/// The candidates for an order, best first; those who cannot are last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// The order.
    pub order: OrderId,
    /// The version of the plan that the candidates were held against.
    pub plan_version: u64,
    /// The candidates.
    pub candidates: Vec<Candidate>,
}

/// Why an order went to the pilot that it went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The order.
    pub order: OrderId,
    /// What speaks for and against the pilot.
    pub reasons: Vec<Reason>,
    /// What the order adds to the waiting of all customers, its own included, in weighted
    /// seconds; and what it is worth where the pilot ends up.
    pub added_seconds: Seconds,
    /// The next best pilot, and what the order would have added there.
    pub runner_up: Option<(PilotId, Seconds)>,
}

/// Explains where a job is in the solution. The solution is the same afterwards.
pub(super) fn explain<T: TravelTime>(problem: &Problem<'_, T>, solution: &mut Solution, job: Job) -> Explanation {
    let data = &problem.jobs[job as usize];
    let mut explanation = Explanation { order: data.id, reasons: Vec::new(), added_seconds: 0, runner_up: None };
    let Some(rider) = solution.rider_of(job) else {
        return explanation;
    };
    let route = *solution.route(rider);
    let cost = solution.cost(rider);
    if !solution.set(problem, rider, route.without(job)) {
        return explanation;
    }
    let added = cost - solution.cost(rider);
    let mut runner_up: Option<(Cost, Rider)> = None;
    for &(arrival, other) in &problem.near[data.source as usize] {
        let other_data = &problem.riders[other as usize];
        let below = runner_up.map_or(TOO_DEAR, |(cost, _)| cost);
        if other == rider
            || unsuited(data, other, other_data).is_some()
            || problem.lower_bound(other_data, job, arrival) >= below
        {
            continue;
        }
        if let Some(found) = solution.fit_into(problem, job, other, below) {
            runner_up = Some((found.added, other));
        }
    }
    solution.set(problem, rider, route);
    explanation.added_seconds = added / COST_PER_SECOND;
    explanation.reasons = reasons(problem, rider, &route, job);
    if runner_up.is_none_or(|(cost, _)| cost >= added) {
        explanation.reasons.insert(0, Reason::Cheapest);
    }
    explanation.runner_up = runner_up.map(|(cost, other)| {
        let pilot = problem.riders[other as usize].id;
        (pilot, cost / COST_PER_SECOND)
    });
    explanation
}

/// Ranks all riders for a job against the plans of a solution, in which nobody has the job.
pub(super) fn rank<T: TravelTime>(problem: &Problem<'_, T>, solution: &Solution, job: Job) -> Vec<Candidate> {
    let data = &problem.jobs[job as usize];
    let tried = (problem.riders.iter().zip(0..)).map(|(rider_data, rider)| {
        let unsuited = unsuited(data, rider, rider_data);
        let found = match unsuited {
            None => solution.fit_into(problem, job, rider, TOO_DEAR),
            Some(_) => None,
        };
        (found.map_or(Cost::MAX, |found| found.added), rider, found, unsuited)
    });
    let mut tried: Vec<_> = tried.collect();
    tried.sort_unstable_by_key(|&(added, rider, ..)| (added, rider));
    let best = tried.first().map_or(0, |&(added, ..)| added);
    let candidates = tried.into_iter().enumerate().map(|(place, (added, rider, found, not))| {
        let mut reasons = match (not, &found) {
            (Some(Unsuited::Vehicle), _) => vec![Reason::Vehicle],
            (Some(Unsuited::Capacity), _) => vec![Reason::Capacity],
            (Some(Unsuited::Cash), _) => vec![Reason::CashLimit],
            (Some(Unsuited::Banned), _) => vec![Reason::TurnedDown],
            (Some(Unsuited::Held), _) => vec![Reason::Taken],
            (None, None) => vec![Reason::NoRoom],
            (None, Some(found)) => reasons(problem, rider, &found.route, job),
        };
        if place == 0 && found.is_some() {
            reasons.insert(0, Reason::Cheapest);
        }
        Candidate {
            pilot: problem.riders[rider as usize].id,
            score: found.map_or(0, |_| closeness((added - best) / COST_PER_SECOND)),
            outlook: found.and_then(|found| {
                let (pickup, dropoff) = times(problem, rider, &found.route, job)?;
                Some(Outlook {
                    pickup_at: problem.clock(pickup),
                    dropoff_at: problem.clock(dropoff),
                    added_seconds: added / COST_PER_SECOND,
                })
            }),
            reasons,
        }
    });
    candidates.collect()
}

/// 100 for nothing extra, 50 for ten minutes, never 0.
fn closeness(extra: Seconds) -> u8 {
    const HALF: Seconds = 600;
    (100 * HALF / (HALF + extra.max(0))).clamp(1, 100) as u8
}

/// When a job of a route is picked up and handed over.
fn times<T: TravelTime>(problem: &Problem<'_, T>, rider: Rider, route: &Route, job: Job) -> Option<(Seconds, Seconds)> {
    let data = &problem.riders[rider as usize];
    let mut position = data.start;
    let (mut pickup, mut dropoff) = (None, None);
    for bundle in route.bundles() {
        let note = |stopped: Job, stop: Stop, at: Seconds| match stop {
            Stop::Pickup if stopped == job => pickup = Some(at),
            Stop::Dropoff if stopped == job => dropoff = Some(at),
            _ => {}
        };
        position = problem.drive_with(data, position, bundle.jobs(), note)?.0;
    }
    pickup.zip(dropoff)
}

/// What can be said about a job in a rider's route.
fn reasons<T: TravelTime>(problem: &Problem<'_, T>, rider: Rider, route: &Route, job: Job) -> Vec<Reason> {
    let data = &problem.jobs[job as usize];
    let rider_data = &problem.riders[rider as usize];
    let mut reasons = Vec::new();
    let mut note = |applies: bool, reason| {
        if applies {
            reasons.push(reason);
        }
    };
    let bundles = route.bundles().iter();
    let holding = bundles.clone().position(|bundle| bundle.jobs().contains(&job));
    let alone = (bundles.clone()).all(|b| b.jobs().len() == 1 || !b.jobs().contains(&job));
    let soonest = problem.near[data.source as usize].first();
    if let Some((pickup, dropoff)) = times(problem, rider, route, job) {
        note(soonest.is_some_and(|&(_, first)| first == rider), Reason::Soonest);
        note(pickup <= data.ready, Reason::InTime);
        note(!alone, Reason::Bundled);
        note(holding.is_some_and(|depth| depth > 0), Reason::AfterAnother);
        note(pickup > data.ready.max(0), Reason::Waits);
        note(data.promised && dropoff > data.due, Reason::BreaksPromise);
    }
    note(rider_data.stale, Reason::StalePosition);
    note(rider_data.channel == Channel::Sms, Reason::SmsOnly);
    note(rider_data.handicap > 0, Reason::Handicap);
    reasons
}
