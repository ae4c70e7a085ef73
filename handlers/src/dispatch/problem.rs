//! A snapshot compiled for the search: dense, sorted, bounded, with now = 0.

use super::constraints;
use super::model::{
    COST_PER_SECOND, Channel, Cost, FAR, Order, OrderId, PilotId, PlaceId, Seconds, Snapshot, Vehicle, Vehicles,
};
use super::settings::Settings;
use super::travel::{TravelTime, UNREACHABLE};

/// The index of an order in [`Problem::jobs`].
pub(super) type Job = u32;
/// The index of a pilot in [`Problem::riders`].
pub(super) type Rider = u32;

/// An order as the search sees it. Times count from now.
#[derive(Clone, Debug)]
pub(super) struct JobData {
    pub(super) id: OrderId,
    pub(super) pickup: PlaceId,
    pub(super) dropoff: PlaceId,
    pub(super) placed: Seconds,
    pub(super) ready: Seconds,
    pub(super) spread: Seconds,
    /// Late after this.
    pub(super) due: Seconds,
    pub(super) promised: bool,
    /// Cost per second of click-to-door time.
    pub(super) rate: Cost,
    /// Cost per second after `due`, on top.
    pub(super) late_rate: Cost,
    /// Cost of ending a route at its door.
    pub(super) remoteness: Cost,
    pub(super) load: u32,
    pub(super) cash: u64,
    pub(super) vehicles: Vehicles,
    /// The index of its pickup among the distinct pickups.
    pub(super) source: u32,
    /// Riders who must not be asked.
    pub(super) banned: Vec<Rider>,
    /// The rider who has been told of it already; one that does not exist where it is not there.
    pub(super) held: Option<Rider>,
}

impl JobData {
    fn new(order: &Order, now: Seconds, settings: &Settings) -> Self {
        let since_now = |at: Seconds| at.saturating_sub(now).clamp(-FAR, FAR);
        let placed = since_now(order.placed_at);
        let rate = order.priority.cost_per_second();
        let (due, late_percent) = match order.promised_by {
            Some(promised) => (since_now(promised), settings.promise_percent),
            None => (placed + settings.target, settings.lateness_percent),
        };
        Self {
            id: order.id,
            pickup: order.pickup,
            dropoff: order.dropoff,
            placed,
            ready: since_now(order.ready_at),
            spread: order.ready_spread.clamp(0, UNREACHABLE),
            due,
            promised: order.promised_by.is_some(),
            rate,
            late_rate: rate * late_percent / 100,
            remoteness: 0,
            load: order.load,
            cash: order.cash,
            vehicles: order.vehicles,
            source: 0,
            banned: Vec::new(),
            held: None,
        }
    }

    /// What it costs to hand it over at that time.
    #[inline]
    pub(super) fn cost_at(&self, handed_over: Seconds) -> Cost {
        self.rate * (handed_over - self.placed) + self.late_rate * (handed_over - self.due).max(0)
    }
}

/// A pilot as the search sees it. Times count from now.
#[derive(Clone, Debug)]
pub(super) struct RiderData {
    pub(super) id: PilotId,
    pub(super) start: Position,
    /// How much earlier than it has to leave it must be told.
    pub(super) lead: Seconds,
    /// Whether it has nothing to do right now.
    pub(super) free: bool,
    pub(super) last_pickup: Seconds,
    pub(super) vehicle: Vehicle,
    pub(super) capacity: u32,
    pub(super) cash_left: u64,
    /// Cost of each order that it carries, on top.
    pub(super) handicap: Cost,
    pub(super) channel: Channel,
    pub(super) stale: bool,
    pub(super) depth: usize,
    /// Cost of staying where it starts.
    pub(super) remoteness: Cost,
    /// How much of a difference in remoteness counts: seconds of the fade left.
    pub(super) fade: Seconds,
}

/// Where and from when on a pilot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) at: Seconds,
    pub(super) place: PlaceId,
}

/// The two ends of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Pickup,
    Dropoff,
}

/// The whole problem of one planning.
pub(super) struct Problem<'a, T> {
    /// The caller's now; everything below counts from it.
    pub(super) now: Seconds,
    pub(super) settings: &'a Settings,
    travel: &'a T,
    pub(super) jobs: Vec<JobData>,
    pub(super) riders: Vec<RiderData>,
    /// For each distinct pickup, the riders soonest there, soonest first.
    pub(super) near: Vec<Vec<(Seconds, Rider)>>,
}

impl<'a, T: TravelTime> Problem<'a, T> {
    pub(super) fn compile(snapshot: &Snapshot, settings: &'a Settings, travel: &'a T) -> Self {
        let mut orders: Vec<_> = snapshot.orders.iter().collect();
        orders.sort_by_key(|order| order.id);
        orders.dedup_by_key(|order| order.id);
        let mut sources: Vec<PlaceId> = orders.iter().map(|order| order.pickup).collect();
        sources.sort_unstable();
        sources.dedup();
        let riders = constraints::riders(snapshot, settings);
        let job = |order: &&Order| JobData {
            source: sources.binary_search(&order.pickup).unwrap_or(0) as u32,
            banned: constraints::banned(order, &riders),
            held: constraints::held(order, &riders),
            ..JobData::new(order, snapshot.now, settings)
        };
        let mut problem = Self {
            now: snapshot.now,
            settings,
            travel,
            jobs: orders.iter().map(job).collect(),
            riders,
            near: Vec::new(),
        };
        problem.near = (sources.iter()).map(|&place| problem.soonest(place)).collect();
        problem.weigh_places();
        problem
    }

    /// A time of the problem on the caller's clock.
    pub(super) fn clock(&self, at: Seconds) -> Seconds {
        self.now.saturating_add(at)
    }

    /// The job of an order.
    pub(super) fn find(&self, id: OrderId) -> Option<Job> {
        let found = self.jobs.binary_search_by_key(&id, |job| job.id);
        found.ok().map(|index| index as Job)
    }

    /// The travel time, whatever the source says, between 0 and [`UNREACHABLE`].
    #[inline]
    pub(super) fn leg(&self, rider: &RiderData, from: PlaceId, to: PlaceId) -> Seconds {
        let seconds = self.travel.seconds(rider.vehicle, from, to);
        seconds.clamp(0, UNREACHABLE)
    }

    /// The riders soonest at a pickup, soonest first, ties by id.
    fn soonest(&self, pickup: PlaceId) -> Vec<(Seconds, Rider)> {
        let keep = self.settings.neighbours;
        let arrival = |data: &RiderData| data.start.at + self.leg(data, data.start.place, pickup);
        let mut near: Vec<_> = self.riders.iter().map(arrival).zip(0..).collect();
        if near.len() > keep {
            near.select_nth_unstable(keep);
            near.truncate(keep);
        }
        near.sort_unstable();
        near
    }

    /// Works out how remote each place is at which a pilot stands or will end: the mean travel
    /// time to a sample of the present orders' pickups, which tell best where the next orders
    /// will come from.
    fn weigh_places(&mut self) {
        const SAMPLE: usize = 32;
        if self.settings.remoteness_percent == 0 || self.jobs.is_empty() {
            return;
        }
        let step = self.jobs.len().div_ceil(SAMPLE);
        let pickups: Vec<PlaceId> = (self.jobs.iter().step_by(step)).map(|job| job.pickup).collect();
        let (cap, percent) = (self.settings.remoteness_cap, self.settings.remoteness_percent);
        let remoteness = |place: PlaceId| -> Cost {
            let legs = pickups.iter().map(|&pickup| {
                let leg = self.travel.seconds(Vehicle::default(), place, pickup);
                leg.clamp(0, cap)
            });
            legs.sum::<Seconds>() * COST_PER_SECOND / 100 * percent / pickups.len() as Cost
        };
        let ends: Vec<Cost> = (self.jobs.iter()).map(|job| remoteness(job.dropoff)).collect();
        let starts: Vec<Cost> = (self.riders.iter()).map(|rider| remoteness(rider.start.place)).collect();
        for (job, end) in self.jobs.iter_mut().zip(ends) {
            job.remoteness = end;
        }
        for (rider, start) in self.riders.iter_mut().zip(starts) {
            rider.remoteness = start;
        }
    }

    /// What it costs, or gains, that the rider ends at the last job's door and not where it
    /// starts.
    #[inline]
    pub(super) fn ending(&self, rider: &RiderData, last: Option<Job>) -> Cost {
        let Some(last) = last else {
            return 0;
        };
        let moved = self.jobs[last as usize].remoteness - rider.remoteness;
        match self.settings.remoteness_fade {
            0 => moved,
            fade => moved * rider.fade / fade,
        }
    }

    /// Drives one bundle from a position: the position afterwards and the cost, or `None` if
    /// something could not be picked up in time.
    #[inline]
    pub(super) fn drive(&self, rider: &RiderData, from: Position, bundle: &[Job]) -> Option<(Position, Cost)> {
        self.drive_with(rider, from, bundle, |_, _, _| {})
    }

    /// As [`Problem::drive`], reporting each stop as it is made.
    #[inline]
    pub(super) fn drive_with(
        &self,
        rider: &RiderData,
        from: Position,
        bundle: &[Job],
        mut stop: impl FnMut(Job, Stop, Seconds),
    ) -> Option<(Position, Cost)> {
        let half_pickup = self.settings.pickup_service / 2;
        let half_dropoff = self.settings.dropoff_service / 2;
        let mut position = from;
        let mut cost = 0;
        for (index, &job) in bundle.iter().enumerate() {
            let pickup = self.jobs[job as usize].pickup;
            let here = |other: &&Job| self.jobs[**other as usize].pickup == pickup;
            if bundle[..index].iter().any(|other| here(&other)) {
                continue;
            }
            let leg = self.leg(rider, position.place, pickup);
            cost += leg; // One hundredth of what waiting costs: it only breaks ties.
            let mut picked_up = position.at + leg + half_pickup;
            for &other in bundle[index..].iter().filter(here) {
                picked_up = picked_up.max(self.jobs[other as usize].ready);
            }
            // Whoever was told already goes there, whenever the shift ends.
            let held = || bundle[index..].iter().any(|&other| self.jobs[other as usize].held.is_some());
            if picked_up > rider.last_pickup && !held() {
                return None;
            }
            for &other in bundle[index..].iter().filter(here) {
                stop(other, Stop::Pickup, picked_up);
            }
            position = Position { at: picked_up + half_pickup, place: pickup };
        }
        for &job in bundle {
            let data = &self.jobs[job as usize];
            let leg = self.leg(rider, position.place, data.dropoff);
            let handed_over = position.at + leg + half_dropoff;
            cost += data.cost_at(handed_over) + rider.handicap;
            stop(job, Stop::Dropoff, handed_over);
            position = Position { at: handed_over + half_dropoff, place: data.dropoff };
        }
        Some((position, cost))
    }

    /// What the job costs at least with a rider who can be at its pickup at `arrival`, whatever
    /// else the rider does: picked up no earlier than ready, and driven straight to its door.
    #[inline]
    pub(super) fn lower_bound(&self, rider: &RiderData, job: Job, arrival: Seconds) -> Cost {
        let data = &self.jobs[job as usize];
        let half_pickup = self.settings.pickup_service / 2;
        let picked_up = data.ready.max(arrival + half_pickup);
        let leg = self.leg(rider, data.pickup, data.dropoff);
        data.cost_at(picked_up + half_pickup + leg + self.settings.dropoff_service / 2) + rider.handicap
    }
}
