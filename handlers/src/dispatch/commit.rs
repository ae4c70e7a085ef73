//! What is told to whom, and when: as late as it does no harm.
//!
//! A pilot who has been told is bound; one who has not can still be given something better.
//! So a bundle is told only when waiting for the next planning would delay its pickup.

use super::model::{Channel, Cost, OrderId, PilotId, Seconds};
use super::problem::{Job, Position, Problem, Rider, Stop};
use super::route::Bundle;
use super::score::{Explanation, explain};
use super::settings::Policy;
use super::solution::Solution;
use super::travel::TravelTime;

/// The result of one planning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Counts the plannings of this planner.
    pub version: u64,
    /// What must be told to pilots now, by pilot.
    pub commitments: Vec<Commitment>,
    /// What is planned but need not be told yet, by pilot, in the order of carrying.
    pub tentative: Vec<Tentative>,
    /// Orders that no pilot can take within the plan's depth, by id.
    pub later: Vec<OrderId>,
    /// The sum of the plans' costs.
    pub cost: Cost,
}

/// One bundle that a pilot is to be told of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// Who carries it.
    pub pilot: PilotId,
    /// The orders that are new to the pilot, in the sequence in which they are handed over, with
    /// their expected times. Others of which it has been told already may be among them.
    pub visits: Vec<Visit>,
    /// Why this pilot, for each of the visits.
    pub explanations: Vec<Explanation>,
    /// The latest time to set off without delaying the pickup.
    pub leave_at: Seconds,
    /// When the offer expires if the pilot does not answer.
    pub expires_at: Seconds,
    /// When the pilot is expected to be done, at the last order's door.
    pub free_at: Seconds,
}

/// A bundle that is planned but not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tentative {
    /// Who would carry it.
    pub pilot: PilotId,
    /// The orders with their expected times.
    pub visits: Vec<Visit>,
}

/// When an order is expected to be picked up and handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The order.
    pub order: OrderId,
    /// When it is in the pilot's hands.
    pub pickup_at: Seconds,
    /// When it is in the customer's hands.
    pub dropoff_at: Seconds,
}

/// Reads the plan off a solution. The solution is the same afterwards.
pub(super) fn plan<T: TravelTime>(problem: &Problem<'_, T>, solution: &mut Solution, version: u64) -> Plan {
    let mut plan = Plan {
        version,
        later: (solution.open()).map(|job| problem.jobs[job as usize].id).collect(),
        ..Plan::default()
    };
    for (data, rider) in problem.riders.iter().zip(0..) {
        plan.cost += solution.cost(rider);
        let route = *solution.route(rider);
        let mut position = data.start;
        for (depth, bundle) in route.bundles().iter().enumerate() {
            let from = position;
            let leg = first_leg(problem, rider, from, bundle);
            position = leg.end;
            let pilot = data.id;
            let is_due = || depth == 0 && (leg.is_due(problem, rider) || problem.is_told(bundle));
            if !problem.settings.tell_all && !is_due() {
                let visits = leg.visits;
                plan.tentative.push(Tentative { pilot, visits });
                continue;
            }
            let fresh = |job: &&Job| problem.jobs[**job as usize].held.is_none();
            let fresh = bundle.jobs().iter().filter(fresh);
            if fresh.clone().next().is_none() {
                continue;
            }
            let ttl = match data.channel {
                Channel::Data => problem.settings.offer_ttl,
                Channel::Sms => problem.settings.sms_offer_ttl,
            };
            plan.commitments.push(Commitment {
                pilot,
                explanations: fresh.map(|&job| explain(problem, solution, job)).collect(),
                visits: leg.visits,
                leave_at: problem.clock(leg.leave),
                expires_at: problem.clock(ttl),
                free_at: problem.clock(position.at),
            });
        }
    }
    plan
}

/// A bundle laid out in time.
struct Leg {
    visits: Vec<Visit>,
    /// The latest departure that does not delay the first pickup, or the earliest possible.
    leave: Seconds,
    end: Position,
}

impl Leg {
    /// Whether the pilot must be told before the next planning.
    fn is_due<T: TravelTime>(&self, problem: &Problem<'_, T>, rider: Rider) -> bool {
        let lead = problem.riders[rider as usize].lead;
        problem.settings.policy == Policy::Nearest || self.leave - lead < problem.settings.interval.max(1)
    }
}

fn first_leg<T: TravelTime>(problem: &Problem<'_, T>, rider: Rider, from: Position, bundle: &Bundle) -> Leg {
    let data = &problem.riders[rider as usize];
    let mut visits: Vec<Visit> = Vec::with_capacity(bundle.jobs().len());
    let mut leave = None;
    for &job in bundle.jobs().iter().filter(|&&job| problem.jobs[job as usize].held.is_none()) {
        visits.push(Visit {
            order: problem.jobs[job as usize].id,
            pickup_at: problem.clock(from.at),
            dropoff_at: problem.clock(from.at),
        });
    }
    let driven = problem.drive_with(data, from, bundle.jobs(), |job, stop, at| {
        let stopped = &problem.jobs[job as usize];
        if stop == Stop::Pickup && leave.is_none() {
            let travel = problem.leg(data, from.place, stopped.pickup);
            // Where the ready time is uncertain, the pilot is there when it may be ready.
            let spread = bundle.jobs().iter().map(|&job| problem.jobs[job as usize].spread);
            let early = spread.max().unwrap_or(0);
            leave = Some(at - problem.settings.pickup_service / 2 - travel - early);
        }
        for visit in visits.iter_mut().filter(|visit| visit.order == stopped.id) {
            match stop {
                Stop::Pickup => visit.pickup_at = problem.clock(at),
                Stop::Dropoff => visit.dropoff_at = problem.clock(at),
            }
        }
    });
    Leg {
        visits,
        leave: leave.map_or(from.at, |leave| leave.max(from.at)),
        end: driven.map_or(from, |(end, _)| end),
    }
}
