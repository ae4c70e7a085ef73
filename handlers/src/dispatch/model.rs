//! What the planner is told: a snapshot of the city in small integers.
//!
//! The planner knows no strings, no clock and no positions. Whoever calls it numbers the
//! places, fills in a [`Snapshot`] and maps the ids of the answer back.

use smallvec::SmallVec;

/// Whole seconds on the caller's clock. Any origin will do, as long as one snapshot and the
/// ones after it share it.
pub type Seconds = i64;

/// What the planner minimises: hundredths of a weighted second of click-to-door time, plus
/// small terms that only break ties.
pub type Cost = i64;

/// The cost of one second of an order of [`Priority::NORMAL`].
pub const COST_PER_SECOND: Cost = 100;

/// Times further than this from `now` are nonsense and are clamped (about three years), so
/// that no sum of them can overflow.
pub(super) const FAR: Seconds = 100_000_000;

/// An order, by the caller's own number. Ties are broken by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// A pilot, by the caller's own number. Ties are broken by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PilotId(pub u64);

/// A place known to the [`TravelTime`](super::travel::TravelTime) source, by its dense index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(pub u32);

/// What a pilot rides: a dense index into the speeds of the travel-time source, 0 to 15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vehicle(u8);

impl Vehicle {
    /// How many vehicles there can be.
    pub const COUNT: usize = 16;

    /// The vehicle with that index; indices beyond 15 are not vehicles.
    pub const fn new(index: u8) -> Option<Self> {
        if (index as usize) < Self::COUNT { Some(Self(index)) } else { None }
    }

    /// The index, below [`Vehicle::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of vehicles: which ones may carry an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vehicles(u16);

impl Vehicles {
    /// Any vehicle will do.
    pub const ANY: Self = Self(u16::MAX);

    /// The set of exactly these.
    pub fn of(vehicles: impl IntoIterator<Item = Vehicle>) -> Self {
        Self(vehicles.into_iter().fold(0, |set, v| set | 1 << v.0))
    }

    /// The vehicles of the set.
    pub fn members(self) -> impl Iterator<Item = Vehicle> {
        let all = (0..Vehicle::COUNT as u8).filter_map(Vehicle::new);
        all.filter(move |&vehicle| self.contains(vehicle))
    }

    /// Whether the set has it.
    pub const fn contains(self, vehicle: Vehicle) -> bool {
        self.0 >> vehicle.0 & 1 == 1
    }
}

/// How much an order's waiting counts, in percent of a normal order's: 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u16);

impl Priority {
    /// A second is a second.
    pub const NORMAL: Self = Self(100);

    /// A priority in percent, brought into 1 to 1,000.
    pub fn percent(percent: u16) -> Self {
        Self(percent.clamp(1, 1_000))
    }

    /// The cost of one second of waiting.
    pub const fn cost_per_second(self) -> Cost {
        self.0 as Cost * COST_PER_SECOND / 100
    }
}

/// An order that nobody has picked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// Where it is picked up.
    pub pickup: PlaceId,
    /// Where it goes.
    pub dropoff: PlaceId,
    /// When it was placed: click-to-door time counts from here.
    pub placed_at: Seconds,
    /// When it is expected to be ready for pickup.
    pub ready_at: Seconds,
    /// How far the true ready time usually lies from `ready_at`, either way; 0 where it is sure.
    pub ready_spread: Seconds,
    /// How much of a pilot's capacity it takes, in the caller's unit.
    pub load: u32,
    /// Cash that its pilot collects at the door, in the currency's minor unit.
    pub cash: u64,
    /// How much its waiting counts.
    pub priority: Priority,
    /// By when it was promised at the door, if it was.
    pub promised_by: Option<Seconds>,
    /// Which vehicles may carry it.
    pub vehicles: Vehicles,
    /// Pilots who rejected it or let its offer expire. They are asked again only when nobody
    /// else is left.
    pub excluded: SmallVec<[PilotId; 2]>,
    /// Whether they may be asked again now, where nobody else is left.
    pub ask_again: bool,
    /// The pilot who has been told of it already and has not picked it up: it stays there, ahead
    /// of everything new, and others may join it.
    pub told: Option<PilotId>,
}

impl Order {
    /// A plain order: ready and placed at those times, load 1, no cash, any vehicle.
    pub fn new(id: OrderId, (pickup, dropoff): (PlaceId, PlaceId), placed_at: Seconds, ready_at: Seconds) -> Self {
        Self {
            id,
            pickup,
            dropoff,
            placed_at,
            ready_at,
            ready_spread: 0,
            load: 1,
            cash: 0,
            priority: Priority::NORMAL,
            promised_by: None,
            vehicles: Vehicles::ANY,
            excluded: SmallVec::new(),
            ask_again: true,
            told: None,
        }
    }
}

/// How a pilot can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// By data: at once.
    #[default]
    Data,
    /// By SMS alone: told earlier, with more time to answer, and planned one bundle at a time.
    Sms,
}

/// A pilot on duty, soon free or soon on duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pilot {
    /// Its number.
    pub id: PilotId,
    /// Where it is, or will be at `free_at`.
    pub place: PlaceId,
    /// From when on it can do something new: what it carries already is done by then, and its
    /// shift has begun. In the past for an idle pilot.
    pub free_at: Seconds,
    /// The latest time at which it picks something up, if its shift ends.
    pub shift_end: Option<Seconds>,
    /// What it rides.
    pub vehicle: Vehicle,
    /// How much it carries at once, in the unit of [`Order::load`].
    pub capacity: u32,
    /// How much more cash it may hold, in minor units; `None` for no limit.
    pub cash_left: Option<u64>,
    /// How it is told.
    pub channel: Channel,
    /// The age of its last known position, in seconds.
    pub position_age: Seconds,
    /// Seconds of waiting per order that another pilot may cost more and still be preferred:
    /// positive for one who often rejects or has had plenty, negative for one to be favoured.
    pub handicap: Seconds,
}

impl Pilot {
    /// A plain pilot: free at that place from then on, unlimited.
    pub fn new(id: PilotId, place: PlaceId, free_at: Seconds) -> Self {
        Self {
            id,
            place,
            free_at,
            shift_end: None,
            vehicle: Vehicle::default(),
            capacity: u32::MAX,
            cash_left: None,
            channel: Channel::Data,
            position_age: 0,
            handicap: 0,
        }
    }
}

/// The city at one moment, as far as planning needs it.
///
/// The order of the entries does not matter; of entries with the same id only the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The moment.
    pub now: Seconds,
    /// Orders that wait, and those whose pilots are on their way to the pickup.
    pub orders: Vec<Order>,
    /// Pilots who may be given some.
    pub pilots: Vec<Pilot>,
}
