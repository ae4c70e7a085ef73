//! Every pilot's tentative plan, kept consistent while the search changes it.

use super::model::Cost;
use super::problem::{Job, Problem, Rider};
use super::route::{Marks, Route};
use super::travel::TravelTime;

/// Every rider's tentative plan, and who has which order.
pub(super) struct Solution {
    routes: Vec<Route>,
    marks: Vec<Marks>,
    costs: Vec<Cost>,
    rider_of: Vec<Option<Rider>>,
    /// How many insertions may still be tried.
    budget: u64,
}

impl Solution {
    /// Nobody has anything.
    pub(super) fn empty<T: TravelTime>(problem: &Problem<'_, T>) -> Self {
        let marks = problem.riders.iter().map(Marks::start).collect();
        Self {
            routes: vec![Route::default(); problem.riders.len()],
            marks,
            costs: vec![0; problem.riders.len()],
            rider_of: vec![None; problem.jobs.len()],
            budget: problem.settings.insertions,
        }
    }

    pub(super) fn route(&self, rider: Rider) -> &Route {
        &self.routes[rider as usize]
    }

    pub(super) fn cost(&self, rider: Rider) -> Cost {
        self.costs[rider as usize]
    }

    pub(super) fn rider_of(&self, job: Job) -> Option<Rider> {
        self.rider_of[job as usize]
    }

    pub(super) fn marks(&self, rider: Rider) -> &Marks {
        &self.marks[rider as usize]
    }

    /// Whether the budget of insertions is used up.
    pub(super) fn exhausted(&self) -> bool {
        self.budget == 0
    }

    /// Takes one insertion from the budget; `false` if there is none left.
    pub(super) fn spend(&mut self) -> bool {
        let left = !self.exhausted();
        self.budget = self.budget.saturating_sub(1);
        left
    }

    /// The jobs that nobody has, by id.
    pub(super) fn open(&self) -> impl Iterator<Item = Job> + '_ {
        let jobs = self.rider_of.iter().zip(0..);
        jobs.filter(|(rider, _)| rider.is_none()).map(|(_, job)| job)
    }

    /// Gives a rider a route if it can drive it; says whether it can. Orders that were in the
    /// old one and are not in the new are nobody's.
    pub(super) fn set<T: TravelTime>(&mut self, problem: &Problem<'_, T>, rider: Rider, route: Route) -> bool {
        let Some((marks, cost)) = problem.marks(rider, &route) else {
            return false;
        };
        let old = std::mem::replace(&mut self.routes[rider as usize], route);
        for job in old.jobs() {
            if self.rider_of[job as usize] == Some(rider) {
                self.rider_of[job as usize] = None;
            }
        }
        for job in route.jobs() {
            self.rider_of[job as usize] = Some(rider);
        }
        self.marks[rider as usize] = marks;
        self.costs[rider as usize] = cost;
        true
    }
}
