//! The planner: who carries what, and when they are told.
//!
//! Every pilot has a tentative plan: a few bundles of orders, one after another. Each planning
//! inserts what is new at its cheapest place, lets every order move to where it is cheaper now,
//! and then deals whole plans anew among the pilots by one exact linear assignment. Pilots are
//! told of their first bundle as late as it does not delay the pickup, because until then
//! something better may turn up.
//!
//! What is minimised is the waiting of all customers from placing to hand-over, in integers,
//! plus what it costs to leave pilots far from where the next orders will come from.
//!
//! The module is pure: it does no IO and reads no clock, and the same calls give the same
//! answers to the last bit. It knows nothing of the rest of the crate: [`model`] is all that it
//! is told, and travel times come from a [`TravelTime`].

pub mod assignment;
mod commit;
mod constraints;
mod deal;
pub mod external;
mod insertion;
pub mod model;
mod nearest;
pub mod osrm;
mod problem;
pub mod record;
mod reinsert;
mod route;
mod score;
pub mod settings;
mod solution;
pub mod travel;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use commit::{Commitment, Plan, Tentative, Visit};
pub use model::{
    Channel, Cost, Order, OrderId, Pilot, PilotId, PlaceId, Priority, Seconds, Snapshot, Vehicle, Vehicles,
};
pub use score::{Candidate, Explanation, Outlook, Ranking, Reason};
pub use settings::{Policy, Settings};
pub use travel::TravelTime;

use assignment::Solver;
use problem::{Job, Problem, Rider};
use route::{Bundle, Route};
use solution::Solution;

/// Plans a city, remembering its tentative plans from one call to the next.
#[derive(Clone, Debug)]
pub struct Planner {
    settings: Settings,
    version: u64,
    /// The tentative plan of each pilot that has one.
    kept: BTreeMap<PilotId, Vec<Vec<OrderId>>>,
    /// The dual price of each pilot in the last assignment, where it is not 0.
    prices: BTreeMap<PilotId, Cost>,
    solver: Solver,
}

impl Planner {
    /// A planner that has planned nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: settings.bounded(),
            version: 0,
            kept: BTreeMap::new(),
            prices: BTreeMap::new(),
            solver: Solver::new(),
        }
    }

    /// How many times it has planned.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Plans the city as it is now. What is committed is expected to be gone from the next
    /// snapshot's orders, or back with its pilot excluded.
    pub fn plan<T: TravelTime>(&mut self, snapshot: &Snapshot, travel: &T) -> Plan {
        let settings = self.settings.clone();
        let problem = Problem::compile(snapshot, &settings, travel);
        let mut solution = Solution::empty(&problem);
        match settings.policy {
            Policy::Nearest => nearest::assign(&problem, &mut solution),
            Policy::Plan => {
                self.restore(&problem, &mut solution);
                self.improve(&problem, &mut solution);
                self.remember(&problem, &solution);
            }
        }
        self.version += 1;
        commit::plan(&problem, &mut solution, self.version)
    }

    /// Ranks the snapshot's pilots for one of its orders against the plans as they are, or
    /// `None` if the order is not among them.
    pub fn rank<T: TravelTime>(&self, snapshot: &Snapshot, travel: &T, order: OrderId) -> Option<Ranking> {
        let problem = Problem::compile(snapshot, &self.settings, travel);
        let job = problem.find(order)?;
        let mut solution = Solution::empty(&problem);
        self.restore(&problem, &mut solution);
        if let Some(rider) = solution.rider_of(job) {
            let without = solution.route(rider).without(job);
            if !solution.set(&problem, rider, without) {
                solution.set(&problem, rider, Route::default());
            }
        }
        Some(Ranking { order, plan_version: self.version, candidates: score::rank(&problem, &solution, job) })
    }

    /// Inserts what is new, then alternates reinsertion and dealing while it helps.
    fn improve<T: TravelTime>(&mut self, problem: &Problem<'_, T>, solution: &mut Solution) {
        let price = |id| self.prices.get(&id).copied().unwrap_or(0);
        let mut prices: Vec<Cost> = problem.riders.iter().map(|rider| price(rider.id)).collect();
        reinsert::insert_open(problem, solution);
        reinsert::squeeze_in(problem, solution);
        for _ in 0..self.settings.rounds {
            let mut moved = false;
            for _ in 0..self.settings.passes {
                if !reinsert::reinsert_all(problem, solution) {
                    break;
                }
                moved = true;
            }
            let dealt = deal::deal(problem, solution, &mut self.solver, &mut prices);
            if !dealt && !moved {
                break;
            }
        }
        let priced = problem.riders.iter().zip(prices);
        self.prices = priced
            .filter(|&(_, price)| price != 0)
            .map(|(rider, price)| (rider.id, price))
            .collect();
    }

    /// Lays out the plans kept from last time, as far as their orders and pilots are still there.
    fn restore<T: TravelTime>(&self, problem: &Problem<'_, T>, solution: &mut Solution) {
        let mut held: BTreeMap<Rider, Vec<Job>> = BTreeMap::new();
        for (job, data) in (0..).zip(&problem.jobs) {
            if let Some(rider) = data.held.filter(|&rider| (rider as usize) < problem.riders.len()) {
                held.entry(rider).or_default().push(job);
            }
        }
        for (data, rider) in problem.riders.iter().zip(0..) {
            let kept = self.kept.get(&data.id).map_or(&[][..], Vec::as_slice);
            let told = told_first(problem, held.remove(&rider).unwrap_or_default(), kept);
            let mut route = told;
            for orders in kept {
                let mut bundle = Bundle::default();
                let jobs = orders.iter().filter_map(|&id| problem.find(id));
                for job in jobs.filter(|&job| problem.jobs[job as usize].held.is_none()) {
                    bundle = bundle.with(bundle.jobs().len(), job);
                }
                if !bundle.jobs().is_empty() {
                    route.push(bundle);
                }
            }
            if !problem.allows(rider, &route) || !solution.set(problem, rider, route) {
                // What was told stands, whatever the limits say now.
                solution.set(problem, rider, told);
            }
        }
    }

    fn remember<T: TravelTime>(&mut self, problem: &Problem<'_, T>, solution: &Solution) {
        let ids = |bundle: &Bundle| -> Vec<OrderId> {
            let jobs = bundle.jobs().iter();
            jobs.map(|&job| problem.jobs[job as usize].id).collect()
        };
        self.kept = (problem.riders.iter().zip(0..))
            .map(|(data, rider): (_, Rider)| (data.id, solution.route(rider)))
            .filter(|(_, route)| !route.is_empty())
            .map(|(id, route)| (id, route.bundles().iter().map(ids).collect()))
            .collect();
    }
}

/// What a pilot has been told of, in the sequence that was planned, as far as it fits into a plan.
fn told_first<T: TravelTime>(problem: &Problem<'_, T>, mut held: Vec<Job>, kept: &[Vec<OrderId>]) -> Route {
    let planned = |job: &Job| {
        let id = problem.jobs[*job as usize].id;
        kept.iter().flatten().position(|&other| other == id).unwrap_or(usize::MAX)
    };
    held.sort_by_key(planned);
    let mut route = Route::default();
    for jobs in held.chunks(settings::MAX_BUNDLE) {
        let bundle = jobs
            .iter()
            .fold(Bundle::default(), |bundle, &job| bundle.with(bundle.jobs().len(), job));
        route.push(bundle);
    }
    route
}
