//! Tentative plans: bundles of orders, one after another, for one pilot.

use super::constraints::suits;
use super::model::Cost;
use super::problem::{Job, Position, Problem, Rider, RiderData};
use super::settings::{MAX_BUNDLE, MAX_DEPTH};
use super::travel::TravelTime;

/// Orders carried at once: all picked up, then handed over in this order. Where they have
/// several pickups, those are visited in the sequence in which they come up in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bundle {
    jobs: [Job; MAX_BUNDLE],
    len: u8,
}

impl Bundle {
    pub(super) fn single(job: Job) -> Self {
        let mut bundle = Self::default();
        bundle.jobs[0] = job;
        bundle.len = 1;
        bundle
    }

    #[inline]
    pub(super) fn jobs(&self) -> &[Job] {
        &self.jobs[..usize::from(self.len)]
    }

    /// The bundle with a job inserted before the one at `index`. The caller has seen to it
    /// that there is room.
    #[inline]
    pub(super) fn with(&self, index: usize, job: Job) -> Self {
        let mut bundle = *self;
        bundle.jobs.copy_within(index..usize::from(self.len), index + 1);
        bundle.jobs[index] = job;
        bundle.len += 1;
        bundle
    }

    fn without(&self, job: Job) -> Self {
        let mut bundle = Self::default();
        for &kept in self.jobs().iter().filter(|&&other| other != job) {
            bundle.jobs[usize::from(bundle.len)] = kept;
            bundle.len += 1;
        }
        bundle
    }
}

/// A pilot's bundles in the order in which it will carry them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    bundles: [Bundle; MAX_DEPTH],
    len: u8,
}

impl Route {
    #[inline]
    pub(super) fn bundles(&self) -> &[Bundle] {
        &self.bundles[..usize::from(self.len)]
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = Job> + '_ {
        self.bundles().iter().flat_map(|bundle| bundle.jobs().iter().copied())
    }

    /// The job whose door the route ends at.
    #[inline]
    pub(super) fn last(&self) -> Option<Job> {
        self.bundles().last().and_then(|bundle| bundle.jobs().last().copied())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a bundle at the end; `false` if the route is full.
    pub(super) fn push(&mut self, bundle: Bundle) -> bool {
        let Some(slot) = self.bundles.get_mut(usize::from(self.len)) else {
            return false;
        };
        *slot = bundle;
        self.len += 1;
        true
    }

    /// Puts a bundle before the one at `index`. The caller has seen to it that there is room.
    pub(super) fn insert(&mut self, index: usize, bundle: Bundle) {
        self.bundles.copy_within(index..usize::from(self.len), index + 1);
        self.bundles[index] = bundle;
        self.len += 1;
    }

    pub(super) fn replace(&mut self, index: usize, bundle: Bundle) {
        self.bundles[index] = bundle;
    }

    /// The route without a job, empty bundles closed up.
    pub(super) fn without(&self, job: Job) -> Self {
        let mut route = Self::default();
        for bundle in self.bundles() {
            let rest = bundle.without(job);
            if rest.len > 0 {
                route.push(rest);
            }
        }
        route
    }
}

/// Where a rider stands before each bundle of its route and after the last, and the cost so
/// far, without what the ending costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks([(Position, Cost); MAX_DEPTH + 1]);

impl Marks {
    /// Of an empty route.
    pub(super) fn start(rider: &RiderData) -> Self {
        Self([(rider.start, 0); MAX_DEPTH + 1])
    }

    #[inline]
    pub(super) fn before(&self, bundle: usize) -> (Position, Cost) {
        self.0[bundle]
    }
}

impl<T: TravelTime> Problem<'_, T> {
    /// Whether the rider may carry a route's orders: each of them, each bundle's load, and the
    /// cash of all together.
    pub(super) fn allows(&self, rider: Rider, route: &Route) -> bool {
        let data = &self.riders[rider as usize];
        let mut cash = 0_u64;
        let each = route.jobs().all(|job| {
            let job = &self.jobs[job as usize];
            cash = cash.saturating_add(job.cash);
            suits(job, rider, data)
        });
        each && cash <= data.cash_left
            && self.carries_all(data, route.jobs())
            && route.bundles().len() <= data.depth
            && (route.bundles().iter()).all(|bundle| self.load(bundle) <= u64::from(data.capacity))
    }

    /// Whether a rider carries all these orders at once, where it is told of all of them at once.
    #[inline]
    pub(super) fn carries_all(&self, rider: &RiderData, jobs: impl Iterator<Item = Job>) -> bool {
        !self.settings.tell_all || {
            let load: u64 = jobs.map(|job| u64::from(self.jobs[job as usize].load)).sum();
            load <= u64::from(rider.capacity)
        }
    }

    /// How many bundles, from the first on, hold something that the pilot has been told of.
    pub(super) fn told_bundles(&self, route: &Route) -> usize {
        (route.bundles().iter()).take_while(|bundle| self.is_told(bundle)).count()
    }

    /// Whether the pilot has been told of something in the bundle.
    pub(super) fn is_told(&self, bundle: &Bundle) -> bool {
        bundle.jobs().iter().any(|&job| self.jobs[job as usize].held.is_some())
    }

    #[inline]
    pub(super) fn load(&self, bundle: &Bundle) -> u64 {
        let loads = bundle.jobs().iter();
        loads.map(|&job| u64::from(self.jobs[job as usize].load)).sum()
    }

    /// The cost of a rider driving a route, or `None` where something is picked up too late.
    pub(super) fn cost(&self, rider: Rider, route: &Route) -> Option<Cost> {
        let data = &self.riders[rider as usize];
        let mut position = data.start;
        let mut total = 0;
        for bundle in route.bundles() {
            let (after, cost) = self.drive(data, position, bundle.jobs())?;
            position = after;
            total += cost;
        }
        Some(total + self.ending(data, route.last()))
    }

    /// The marks of a rider along a route, and the cost of all of it.
    pub(super) fn marks(&self, rider: Rider, route: &Route) -> Option<(Marks, Cost)> {
        let data = &self.riders[rider as usize];
        let mut marks = Marks::start(data);
        let mut so_far = (data.start, 0);
        for (index, bundle) in route.bundles().iter().enumerate() {
            let (after, cost) = self.drive(data, so_far.0, bundle.jobs())?;
            so_far = (after, so_far.1 + cost);
            marks.0[index + 1] = so_far;
        }
        Some((marks, so_far.1 + self.ending(data, route.last())))
    }
}
