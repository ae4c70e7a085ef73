//! A city in small numbers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use megamind_domain::Time;

use super::{
    clock,
    lapse::reachable_by_sms_alone,
    roads::{RoadTable, slowed, slowness},
    vehicle::{metres_a_second, vehicle, vehicles},
};
use crate::{
    City, Position, Settings,
    dispatch::{
        self, Channel, OrderId, PilotId, PlaceId, Priority, Seconds, Snapshot, TravelTime, Vehicle, record::Record,
        travel::Sphere,
    },
    order::{Happening, Order, OrderKey},
    pilot::{Availability, Pilot, Tally},
    settings::Dispatch,
};

/// Orders that are planned at once, at most: the oldest ones. More could not be told to anybody soon.
const MAX_ORDERS: usize = 5_000;
/// Orders that are planned for each pilot, at most: the planner looks no deeper.
const ORDERS_FOR_ONE: usize = 12;
/// Pilots that are planned with at once, at most.
const MAX_PILOTS: usize = 20_000;
/// Seconds for what is left of a delivery whose end nobody can tell.
const OVERDUE: Seconds = 5 * 60;
const UNKNOWN: Seconds = 20 * 60;

/// What is planned.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Since when the upstream has been stood in for; without it, its orders are left alone.
    pub acting_since: Option<Time>,
    /// Whether what pilots have been told and not picked up is in it, so that more can be put with it. Otherwise they
    /// are taken as free when all of it is done.
    pub joins: bool,
}

/// A city as the planner sees it, with the places behind its numbers.
#[derive(Clone, Debug)]
pub struct View {
    /// What the planner is told.
    pub snapshot: Snapshot,
    /// Positions by place, in degrees.
    pub places: Vec<(f64, f64)>,
    sphere: Sphere,
    speeds: [f64; 5],
    roads: Option<Arc<RoadTable>>,
    /// The number of each place in `roads`.
    numbers: Vec<Option<usize>>,
}

impl TravelTime for View {
    /// By road where that is known; else estimated.
    fn seconds(&self, vehicle: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
        let by_road = self.roads.as_ref().and_then(|table| {
            let number = |place: PlaceId| self.numbers.get(place.0 as usize).copied().flatten();
            let seconds = table.seconds(number(from)?, number(to)?)?;
            Some(slowed(seconds, slowness(&self.speeds, vehicle)))
        });
        by_road.unwrap_or_else(|| self.sphere.seconds(vehicle, from, to))
    }
}

impl View {
    /// Takes the travel times by road as they are now.
    pub fn take_roads(&mut self, roads: Option<Arc<RoadTable>>) {
        let number = |place| roads.as_ref().and_then(|table| table.number(place));
        self.numbers = match &roads {
            Some(_) => self.places.iter().copied().map(number).collect(),
            None => Vec::new(),
        };
        self.roads = roads;
    }

    /// All that is to be planned in a city now.
    pub fn of(city: &City, settings: &Settings, now: Time, scope: Scope) -> Self {
        let mut draft = Draft::new(city, settings, now, scope.joins);
        let adopted: Vec<&Order> = match scope.acting_since {
            Some(since) => {
                let quiet = city.adoptable().filter(|order| may_adopt(city, settings, order, since, now));
                quiet.take(MAX_ORDERS).collect()
            }
            None => Vec::new(),
        };
        draft.taken = adopted.iter().map(|order| order.key()).collect();
        let pilots = city.pilots().filter(|pilot| pilot.availability() == Availability::Available);
        for pilot in pilots.take(MAX_PILOTS) {
            draft.pilot(pilot);
        }
        let most = (draft.snapshot.pilots.len() * ORDERS_FOR_ONE).clamp(64, MAX_ORDERS);
        for order in city.waiting().take(most) {
            draft.order(order, None);
        }
        for order in adopted.into_iter().take(most) {
            draft.adopted(order);
        }
        draft.finish()
    }

    /// Some orders, taken from whoever has them, and some pilots with what they carry besides.
    pub(crate) fn some<'c>(
        city: &'c City,
        settings: &'c Settings,
        now: Time,
        orders: &[&'c Order],
        pilots: impl IntoIterator<Item = &'c Pilot>,
    ) -> Self {
        let mut draft = Draft::new(city, settings, now, true);
        draft.at_once = true;
        draft.taken = orders.iter().map(|order| order.key()).collect();
        for pilot in pilots {
            draft.pilot(pilot);
        }
        for order in orders {
            draft.order(order, None);
        }
        draft.finish()
    }
}

/// Whether an order of the upstream's may be taken over: its pilot, where it has one, has given no sign of life for
/// long, nor has anybody about the order.
pub(crate) fn may_adopt(city: &City, settings: &Settings, order: &Order, acting_since: Time, now: Time) -> bool {
    let pilot = order.carrier().and_then(|pilot| city.pilot(pilot)?.heard_at());
    let last = order.heard_at().max(acting_since).max(pilot.unwrap_or_default());
    let adopt_after = u64::try_from(settings.dispatch.adopt_after).unwrap_or(0);
    order.is_adoptable() && now.millis_since(last) >= adopt_after
}

/// A view in the making.
struct Draft<'c> {
    city: &'c City,
    settings: &'c Settings,
    now: Time,
    joins: bool,
    /// Whether all of it is told at once: then what a pilot carries already leaves less room.
    at_once: bool,
    /// Orders that are taken from whoever has them.
    taken: HashSet<OrderKey>,
    snapshot: Snapshot,
    numbers: HashMap<Position, PlaceId>,
    places: Vec<(f64, f64)>,
    speeds: [f64; 5],
    sphere: Sphere,
}

impl<'c> Draft<'c> {
    fn new(city: &'c City, settings: &'c Settings, now: Time, joins: bool) -> Self {
        let pace = &settings.dispatch.pace;
        let speeds = metres_a_second(&pace.speeds);
        Self {
            city,
            settings,
            now,
            joins,
            at_once: false,
            taken: HashSet::new(),
            snapshot: Snapshot { now: clock(now), ..Snapshot::default() },
            numbers: HashMap::new(),
            places: Vec::new(),
            speeds,
            sphere: Sphere::new(pace.detour, &speeds),
        }
    }

    fn finish(self) -> View {
        let mut view = View {
            snapshot: self.snapshot,
            places: self.places,
            sphere: self.sphere,
            speeds: self.speeds,
            roads: None,
            numbers: Vec::new(),
        };
        view.take_roads(self.settings.roads.table());
        view
    }

    /// The number of a position: one restaurant is one place.
    fn place(&mut self, position: Position) -> PlaceId {
        let (sphere, places) = (&mut self.sphere, &mut self.places);
        *self.numbers.entry(position).or_insert_with(|| {
            places.push((position.lat(), position.lng()));
            sphere.add(position.lat(), position.lng())
        })
    }

    /// Adds an order; one without both its ends cannot be planned.
    fn order(&mut self, order: &Order, told: Option<PilotId>) -> bool {
        let (Some(pickup), Some(dropoff)) = (order.pickup(), order.dropoff()) else {
            return false;
        };
        let places = (self.place(pickup), self.place(dropoff));
        let placed_at = clock(order.placed_at());
        let ready_at = order.ready_at().map_or(placed_at, clock);
        let refused = |step: &&crate::order::Step| matches!(step.what, Happening::Rejected | Happening::Lapsed);
        let last_no = order.history().iter().rfind(refused);
        let id = OrderId(order.key().0.get());
        let Dispatch { ready_spread, ask_again_after, .. } = self.settings.dispatch;
        self.snapshot.orders.push(dispatch::Order {
            // Where nobody said when it is ready, it is ready.
            ready_spread: order.ready_at().map_or(0, |_| ready_spread / 1000),
            cash: order.cod_amount.map_or(0, crate::Money::normal),
            priority: match order.priority {
                0 => Priority::NORMAL,
                percent => Priority::percent(percent),
            },
            vehicles: vehicles(order.vehicles),
            promised_by: order.promised_at().map(clock),
            excluded: order.excluded().iter().map(|pilot| PilotId(pilot.0.get())).collect(),
            ask_again: last_no.is_none_or(|step| self.now.millis_since(step.at) >= ask_again_after.unsigned_abs()),
            told,
            ..dispatch::Order::new(id, places, placed_at, ready_at)
        });
        true
    }

    /// Adds an order of the upstream's that is taken over: from a pilot who is silent, if it has one.
    fn adopted(&mut self, order: &Order) {
        let silent = order.carrier().map(|pilot| PilotId(pilot.0.get()));
        if self.order(order, None)
            && let (Some(silent), Some(order)) = (silent, self.snapshot.orders.last_mut())
        {
            order.excluded.push(silent);
            order.ask_again = false;
        }
    }

    /// Adds a pilot whose position is known, with what it has been told and not picked up.
    fn pilot(&mut self, pilot: &Pilot) {
        let Some(fix) = pilot.fix() else { return };
        let id = PilotId(pilot.key().0.get());
        let profile = pilot.profile();
        let (mut at, mut free_at) = (fix.position, clock(self.now));
        let mut capacity = u32::from(pilot.capacity());
        let mut cash_left = profile.cash_limit.map(crate::Money::normal);
        let city = self.city;
        let carried = city.carried_by(pilot.key()).filter_map(|key| city.order(key));
        for order in carried {
            if self.taken.contains(&order.key()) {
                continue;
            }
            if self.joins && !order.status().is_picked_up() && self.order(order, Some(id)) {
                continue;
            }
            // Otherwise it has room again when it is free: it has handed them over by then.
            capacity = capacity.saturating_sub(u32::from(self.at_once));
            let cash = order.cod_amount.map_or(0, crate::Money::normal);
            cash_left = cash_left.map(|left| left.saturating_sub(cash));
            let end = order.eta().map_or(clock(self.now) + UNKNOWN, clock);
            let end = end.max(clock(self.now) + OVERDUE);
            if end > free_at {
                (at, free_at) = (order.dropoff().unwrap_or(at), end);
            }
        }
        let place = self.place(at);
        self.snapshot.pilots.push(dispatch::Pilot {
            shift_end: profile.shift_end.map(clock),
            vehicle: vehicle(profile.vehicle.as_deref()),
            capacity,
            cash_left,
            channel: if reachable_by_sms_alone(pilot, self.settings) {
                Channel::Sms
            } else {
                Channel::Data
            },
            position_age: (self.now.millis_since(fix.at) / 1000).cast_signed(),
            handicap: record(pilot, self.now).handicap(super::seconds(self.settings.dispatch.offer_timeout)),
            ..dispatch::Pilot::new(id, place, free_at)
        });
    }
}

/// What a pilot has done so far.
pub(crate) fn record(pilot: &Pilot, now: Time) -> Record {
    let Tally { accepted, rejected, lapsed, delivered, failed, late, .. } = pilot.tally();
    let [accepted, rejected, lapsed, delivered, failed, late] =
        [accepted, rejected, lapsed, delivered, failed, late].map(u64::from);
    Record {
        offered: accepted + rejected + lapsed,
        accepted,
        ended: delivered + failed,
        delivered,
        on_time: delivered.saturating_sub(late),
        position_age: pilot.fix().map(|fix| (now.millis_since(fix.at) / 1000).cast_signed()),
    }
}
