//! The cheapest place for one more order.

use super::constraints::suits;
use super::model::Cost;
use super::problem::{Job, Position, Problem, Rider, RiderData};
use super::route::{Bundle, Route};
use super::solution::Solution;
use super::travel::TravelTime;

/// A way to fit an order in: the whole new route of one rider, and what it adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Insertion {
    pub(super) rider: Rider,
    pub(super) route: Route,
    pub(super) added: Cost,
}

/// A trial is cut off only this far above the limit, since ending at a better place may still
/// bring it below.
const ENDING_SLACK: Cost = 60_000;

impl Solution {
    /// The cheapest insertion of a job that adds less than `below`, among its neighbours.
    pub(super) fn cheapest<T: TravelTime>(
        &mut self,
        problem: &Problem<'_, T>,
        job: Job,
        below: Cost,
    ) -> Option<Insertion> {
        let data = &problem.jobs[job as usize];
        let mut best: Option<Insertion> = None;
        let mut below = below;
        for &(arrival, rider) in &problem.near[data.source as usize] {
            let rider_data = &problem.riders[rider as usize];
            // This leaves out what a better ending may be worth: looking at every such rider is slow
            // and finds nothing.
            if problem.lower_bound(rider_data, job, arrival) >= below || !suits(data, rider, rider_data) {
                continue;
            }
            if !self.spend() {
                break;
            }
            if let Some(found) = self.fit_into(problem, job, rider, below) {
                below = found.added;
                best = Some(found);
            }
        }
        best
    }

    /// The cheapest way to fit a job into one rider's route that adds less than `below`.
    pub(super) fn fit_into<T: TravelTime>(
        &self,
        problem: &Problem<'_, T>,
        job: Job,
        rider: Rider,
        below: Cost,
    ) -> Option<Insertion> {
        let data = &problem.riders[rider as usize];
        let route = self.route(rider);
        let new = &problem.jobs[job as usize];
        let cash = route.jobs().map(|job| problem.jobs[job as usize].cash);
        if cash.fold(new.cash, u64::saturating_add) > data.cash_left {
            return None;
        }
        if !problem.carries_all(data, route.jobs().chain([job])) {
            return None;
        }
        let old = self.cost(rider);
        let mut trial = Trial { problem, rider: data, route, limit: old.saturating_add(below) };
        let mut best: Option<Route> = None;
        for (index, bundle) in route.bundles().iter().enumerate() {
            if !trial.may_join(bundle, job) {
                continue;
            }
            for at in 0..=bundle.jobs().len() {
                let joined = bundle.with(at, job);
                let from = self.marks(rider).before(index);
                if trial.cheaper(from, &joined, index + 1) {
                    let mut changed = *route;
                    changed.replace(index, joined);
                    best = Some(changed);
                }
            }
        }
        if route.bundles().len() < data.depth {
            let alone = Bundle::single(job);
            // What the pilot has been told of comes first.
            for index in problem.told_bundles(route)..=route.bundles().len() {
                let from = self.marks(rider).before(index);
                if trial.cheaper(from, &alone, index) {
                    let mut changed = *route;
                    changed.insert(index, alone);
                    best = Some(changed);
                }
            }
        }
        best.map(|route| Insertion { rider, route, added: trial.limit - old })
    }
}

/// Trying changes of one rider's route against the best so far.
struct Trial<'a, T> {
    problem: &'a Problem<'a, T>,
    rider: &'a RiderData,
    route: &'a Route,
    /// A change must cost less than this; it is the cost of the best so far.
    limit: Cost,
}

impl<T: TravelTime> Trial<'_, T> {
    /// Whether a bundle has room for one more order of this pickup.
    fn may_join(&self, bundle: &Bundle, job: Job) -> bool {
        let settings = self.problem.settings;
        let jobs = &self.problem.jobs;
        let new = &jobs[job as usize];
        if bundle.jobs().len() >= settings.bundle_orders
            || self.problem.load(bundle) + u64::from(new.load) > u64::from(self.rider.capacity)
        {
            return false;
        }
        let mut places = 1;
        let mut known = false;
        for (index, &other) in bundle.jobs().iter().enumerate() {
            let pickup = jobs[other as usize].pickup;
            known |= pickup == new.pickup;
            let before = &bundle.jobs()[..index];
            places += usize::from(!before.iter().any(|&j| jobs[j as usize].pickup == pickup));
        }
        known || places <= settings.bundle_places
    }

    /// Whether the route with `bundle` driven from a mark and the rest from bundle `rest` on
    /// costs less than the limit; if so, that is the new limit.
    #[inline]
    fn cheaper(&mut self, from: (Position, Cost), bundle: &Bundle, rest: usize) -> bool {
        let (mut position, mut total) = from;
        let mut last = bundle;
        for bundle in std::iter::once(bundle).chain(&self.route.bundles()[rest..]) {
            let driven = self.problem.drive(self.rider, position, bundle.jobs());
            let Some((after, cost)) = driven else {
                return false;
            };
            position = after;
            total += cost;
            if total >= self.limit.saturating_add(ENDING_SLACK) {
                return false;
            }
            last = bundle;
        }
        total += self.problem.ending(self.rider, last.jobs().last().copied());
        let cheaper = total < self.limit;
        self.limit = self.limit.min(total);
        cheaper
    }
}
