//! One day, one tick a minute: the production planner is asked, couriers do as they are told.

use std::time::{Duration, Instant};

use megamind_handlers::dispatch::{
    Commitment, Order, OrderId, Pilot, PilotId, PlaceId, Plan, Planner, Settings, Snapshot, TravelTime, Vehicle, Visit,
};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

use super::instance::{Instance, Plane};
use super::random::Random;

/// What goes otherwise than the planner was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// True ready times lie up to this many minutes from the expected ones.
    pub(crate) ready_noise: i64,
    /// Percent of the offers that are rejected.
    pub(crate) rejections: i64,
    pub(crate) seed: u64,
}

/// A courier's errand, as it happened; times in minutes.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(crate) courier: usize,
    pub(crate) told: i64,
    /// In the sequence of hand-over.
    pub(crate) orders: Vec<usize>,
    pub(crate) picked_up: i64,
    pub(crate) handed_over: Vec<i64>,
}

/// What became of a day.
pub(crate) struct Day {
    pub(crate) errands: Vec<Errand>,
    /// When each order was truly ready.
    pub(crate) ready: Vec<i64>,
    pub(crate) ticks: Vec<Tick>,
    /// Of every plan, tentative ones included.
    pub(crate) hash: [u8; 32],
}

/// How long one planning took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    pub(crate) wall: Duration,
    /// Of the processor: what is left where others want it too.
    pub(crate) processor: Duration,
}

/// The processor time of this thread so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// How long before its shift a courier is planned with, in minutes.
const SHIFT_AHEAD: i64 = 60;

struct CourierState {
    place: PlaceId,
    free: i64,
    /// Where the current errand's pickup is still ahead: expected and true minute.
    pickup: Option<(i64, i64)>,
}

struct Simulation<'a> {
    instance: &'a Instance,
    plane: Plane,
    couriers: Vec<CourierState>,
    ready: Vec<i64>,
    pending: Vec<Order>,
    random: Random,
    trouble: Trouble,
    errands: Vec<Errand>,
}

/// Runs a day.
pub(crate) fn run(instance: &Instance, settings: &Settings, trouble: Trouble) -> Day {
    let settings = Settings {
        interval: 60,
        bundle_places: 1,
        pickup_service: instance.pickup_service * 60,
        dropoff_service: instance.dropoff_service * 60,
        ..settings.clone()
    };
    let mut planner = Planner::new(settings);
    let mut simulation = Simulation::new(instance, trouble);
    let mut arrivals: Vec<usize> = (0..instance.orders.len()).collect();
    arrivals.sort_by_key(|&order| (instance.orders[order].placed, order));
    let mut arrivals = arrivals.into_iter().peekable();
    let first = arrivals.peek().map_or(0, |&order| instance.orders[order].placed);
    let last = instance.couriers.iter().map(|courier| courier.off).max().unwrap_or(0);
    let mut ticks = Vec::new();
    let mut hash = Sha256::new();
    for now in first..=last {
        while let Some(order) = arrivals.next_if(|&order| instance.orders[order].placed <= now) {
            simulation.place(order);
        }
        let snapshot = simulation.snapshot(now);
        let (started, before) = (Instant::now(), processor_time());
        let plan = planner.plan(&snapshot, &simulation.plane);
        ticks.push(Tick { wall: started.elapsed(), processor: processor_time().saturating_sub(before) });
        add_plan(&mut hash, &plan);
        for commitment in &plan.commitments {
            simulation.tell(now, commitment);
        }
    }
    Day { errands: simulation.errands, ready: simulation.ready, ticks, hash: hash.finalize().into() }
}

/// Hashes all that a plan says.
fn add_plan(hash: &mut Sha256, plan: &Plan) {
    let mut add = |figures: &[i64]| {
        for figure in figures {
            hash.update(figure.to_le_bytes());
        }
    };
    let visit = |v: &Visit| [v.order.0 as i64, v.pickup_at, v.dropoff_at];
    add(&[plan.version as i64, plan.cost, plan.commitments.len() as i64]);
    for told in &plan.commitments {
        add(&[told.pilot.0 as i64, told.leave_at, told.expires_at, told.free_at]);
        for (seen, why) in told.visits.iter().zip(&told.explanations) {
            let (other, cost) = why.runner_up.map_or((-1, 0), |(id, cost)| (id.0 as i64, cost));
            add(&visit(seen));
            add(&[why.added_seconds, other, cost]);
            add(&why.reasons.iter().map(|&reason| reason as i64).collect::<Vec<_>>());
        }
    }
    for kept in &plan.tentative {
        add(&[kept.pilot.0 as i64, kept.visits.len() as i64]);
        kept.visits.iter().for_each(|seen| add(&visit(seen)));
    }
    add(&plan.later.iter().map(|id| id.0 as i64).collect::<Vec<_>>());
}

impl<'a> Simulation<'a> {
    fn new(instance: &'a Instance, trouble: Trouble) -> Self {
        let plane = Plane::new(instance);
        let mut random = Random::new(trouble.seed);
        let noise = trouble.ready_noise;
        let couriers = instance.couriers.iter().enumerate().map(|(index, courier)| CourierState {
            place: plane.home(index),
            free: courier.on,
            pickup: None,
        });
        Self {
            couriers: couriers.collect(),
            ready: (instance.orders.iter())
                .map(|order| (order.ready + random.between(-noise, noise)).max(order.placed))
                .collect(),
            instance,
            plane,
            pending: Vec::new(),
            random,
            trouble,
            errands: Vec::new(),
        }
    }

    fn place(&mut self, index: usize) {
        let order = &self.instance.orders[index];
        let places = (self.plane.restaurant(order.restaurant), self.plane.door(index));
        let mut order = Order::new(OrderId(index as u64), places, order.placed * 60, order.ready * 60);
        order.ready_spread = self.trouble.ready_noise * 60;
        self.pending.push(order);
    }

    /// What the planner may know at `now`: an order that is ready is known to be, one that
    /// should be and is not will be soon; a courier that should be done and is not, likewise.
    fn snapshot(&self, now: i64) -> Snapshot {
        let orders = self.pending.iter().map(|order| {
            let mut order = order.clone();
            let index = order.id.0 as usize;
            if self.trouble.ready_noise > 0 {
                if self.ready[index] <= now {
                    order.ready_at = self.ready[index] * 60;
                    order.ready_spread = 0;
                } else {
                    order.ready_at = order.ready_at.max(now * 60 + 60);
                }
            }
            order
        });
        let on_duty = self.couriers.iter().zip(&self.instance.couriers).enumerate();
        let on_duty = on_duty.filter(|(_, (_, shift))| shift.on <= now + SHIFT_AHEAD && shift.off >= now);
        let pilots = on_duty.map(|(index, (courier, shift))| {
            let free = match courier.pickup {
                Some((expected, truly)) if now < truly => courier.free - truly + expected.max(now + 1),
                _ => courier.free,
            };
            let mut pilot = Pilot::new(PilotId(index as u64), courier.place, free * 60);
            pilot.shift_end = Some(shift.off * 60);
            pilot
        });
        Snapshot { now: now * 60, orders: orders.collect(), pilots: pilots.collect() }
    }

    fn tell(&mut self, now: i64, commitment: &Commitment) {
        let courier = commitment.pilot.0 as usize;
        let orders: Vec<usize> = commitment.visits.iter().map(|visit| visit.order.0 as usize).collect();
        if self.random.between(0, 99) < self.trouble.rejections {
            for order in &mut self.pending {
                if orders.contains(&(order.id.0 as usize)) {
                    order.excluded.push(commitment.pilot);
                }
            }
            return;
        }
        let errand = self.drive(now, courier, orders);
        let expected = commitment.visits.first().map_or(0, |visit| visit.pickup_at / 60);
        let last = errand.orders.last().copied().unwrap_or(0);
        self.pending.retain(|order| !errand.orders.contains(&(order.id.0 as usize)));
        self.couriers[courier] = CourierState {
            place: self.plane.door(last),
            free: errand.handed_over.last().copied().unwrap_or(now) + self.instance.dropoff_service / 2,
            pickup: Some((expected, errand.picked_up)),
        };
        self.errands.push(errand);
    }

    /// The errand as it will truly happen.
    fn drive(&self, told: i64, courier: usize, orders: Vec<usize>) -> Errand {
        let instance = self.instance;
        let state = &self.couriers[courier];
        let minutes = |from, to| self.plane.seconds(Vehicle::default(), from, to) / 60;
        let restaurant = orders.first().map_or(0, |&order| instance.orders[order].restaurant);
        let restaurant = self.plane.restaurant(restaurant);
        let ready = orders.iter().map(|&order| self.ready[order]).max().unwrap_or(told);
        let arrived = told.max(state.free) + minutes(state.place, restaurant);
        let picked_up = ready.max(arrived + instance.pickup_service / 2);
        let mut at = picked_up + instance.pickup_service / 2;
        let mut place = restaurant;
        let mut handed_over = Vec::with_capacity(orders.len());
        for &order in &orders {
            at += minutes(place, self.plane.door(order)) + instance.dropoff_service / 2;
            handed_over.push(at);
            at += instance.dropoff_service / 2;
            place = self.plane.door(order);
        }
        Errand { courier, told, orders, picked_up, handed_over }
    }
}
