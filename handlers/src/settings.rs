//! What the deliveries of one city are told at start.

use std::collections::BTreeSet;

use crate::{Money, calls::allow::AllowList, dialect::Dialect, id::Naming};

/// The settings of one city.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The city's short name, the prefix of its local ids.
    pub city: Box<str>,
    /// Numbers for ids, where some are reserved.
    pub integers: Option<Integers>,
    /// Whether the upstream writes its ids of orders as numbers.
    pub upstream_numbers: bool,
    /// What may be decided while the upstream is down.
    pub acting: Acting,
    /// Who carries what.
    pub dispatch: Dispatch,
    /// Whom the gateway calls.
    pub calls: Calls,
    /// How clients and the upstream speak.
    pub dialect: Dialect,
    /// Travel times by road, as far as somebody has found them out.
    pub roads: std::sync::Arc<crate::planning::Roads>,
}

impl Settings {
    /// The defaults for a city.
    pub fn new(city: impl Into<Box<str>>) -> Self {
        Self {
            city: city.into(),
            integers: None,
            upstream_numbers: false,
            acting: Acting::default(),
            dispatch: Dispatch::default(),
            calls: Calls::default(),
            dialect: Dialect::default(),
            roads: std::sync::Arc::default(),
        }
    }
}

impl Settings {
    /// How the ids that are given here are told from others.
    pub fn naming(&self) -> Naming<'_> {
        let integers = self.integers.map(|integers| (integers.first, integers.last));
        Naming { city: &self.city, integers }
    }
}

/// Numbers that nobody else gives to orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integers {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// So many from the first on are given no more.
    pub skip: u64,
    /// Whether orders get them; else only earlier ones have.
    pub given: bool,
}

/// Whom the gateway calls.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The only targets.
    pub allow: AllowList,
    /// Merchants whose services are configured, by their ids.
    pub merchants: BTreeSet<Box<str>>,
    /// Whether pilots without an app can be told by SMS.
    pub sms: bool,
    /// Calls that are owed at once, at most: beyond, merchants are told nothing new.
    pub max_calls: usize,
}

impl Default for Calls {
    fn default() -> Self {
        Self { allow: AllowList::default(), merchants: BTreeSet::new(), sms: false, max_calls: 200_000 }
    }
}

/// The limits of what is decided here while the upstream is down. Facts know no limits.
#[derive(Clone, Copy, Debug)]
pub struct Acting {
    /// The most cash to collect on one order, in the order's own currency.
    pub max_cod_amount: Option<Money>,
    /// Open orders of one merchant at most.
    pub max_open_orders_per_merchant: u32,
    /// The decisions that may be made.
    pub allow: Allow,
}

impl Default for Acting {
    fn default() -> Self {
        Self { max_cod_amount: "5000".parse().ok(), max_open_orders_per_merchant: 200, allow: Allow::ALL }
    }
}

/// A kind of decision that can be allowed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decides {
    /// Taking a new order.
    PlaceOrder,
    /// Changing an order.
    UpdateOrder,
    /// Cancelling an order.
    CancelOrder,
    /// Giving an order to a pilot.
    Assign,
    /// Registering or changing a pilot.
    SetPilot,
}

/// A set of [`Decides`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allow(u8);

impl Allow {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self(0b1_1111);

    /// This and `kind` as well.
    pub fn and(self, kind: Decides) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether `kind` is in it.
    pub fn contains(self, kind: Decides) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

impl FromIterator<Decides> for Allow {
    fn from_iter<I: IntoIterator<Item = Decides>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::and)
    }
}

/// Who carries what.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch {
    /// Whether orders are assigned unasked while the upstream is down.
    pub auto: bool,
    /// Whether the upstream is told of assignments.
    pub assigned: Assigned,
    /// Who decides.
    pub planner: Planner,
    /// Milliseconds from one planning to the next.
    pub interval: i64,
    /// Milliseconds for which an offer stands; by SMS five times as long.
    pub offer_timeout: i64,
    /// A position older than so many milliseconds counts for less.
    pub stale_after: i64,
    /// A pilot who carries something and has not been heard of for so many milliseconds is silent; one whom only SMS
    /// reaches, after twice as many.
    pub silent_after: i64,
    /// An order of the upstream's is taken over after so many milliseconds without a sign of life.
    pub adopt_after: i64,
    /// Who said no is not asked again before so many milliseconds, even where nobody else is left.
    pub ask_again_after: i64,
    /// Whom only SMS reaches is told so many milliseconds earlier.
    pub sms_lead: i64,
    /// Orders are usually ready within so many milliseconds of when they were said to be, either way.
    pub ready_spread: i64,
    /// An order without a promised time is late so many milliseconds after it was placed.
    pub late_after: i64,
    /// Orders that a pilot fetches before handing over the first, at most.
    pub bundle_orders: usize,
    /// Places where a pilot fetches them, at most.
    pub bundle_pickups: usize,
    /// How long things take.
    pub pace: Pace,
}

impl Default for Dispatch {
    fn default() -> Self {
        const MINUTE: i64 = 60_000;
        Self {
            auto: true,
            assigned: Assigned::Send,
            planner: Planner::Plan,
            interval: 15_000,
            offer_timeout: MINUTE,
            stale_after: 5 * MINUTE,
            silent_after: 15 * MINUTE,
            adopt_after: 30 * MINUTE,
            ask_again_after: 5 * MINUTE,
            sms_lead: MINUTE,
            ready_spread: 0,
            late_after: 40 * MINUTE,
            bundle_orders: 4,
            bundle_pickups: 2,
            pace: Pace::default(),
        }
    }
}

/// How fast pilots get through the city, lights and stairs included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Streets are so many times as long as straight lines.
    pub detour: f64,
    /// By vehicle.
    pub speeds: Speeds,
    /// Milliseconds at a pickup, half of them before the order is in hand.
    pub pickup_service: i64,
    /// Milliseconds at a door, half of them before the order is handed over.
    pub dropoff_service: i64,
}

impl Default for Pace {
    fn default() -> Self {
        const MINUTE: i64 = 60_000;
        Self {
            detour: 1.3,
            speeds: Speeds::default(),
            pickup_service: 4 * MINUTE,
            dropoff_service: 4 * MINUTE,
        }
    }
}

/// Metres a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speeds {
    /// On foot.
    pub walk: f64,
    /// By bicycle, with or without a motor.
    pub bicycle: f64,
    /// By motorbike.
    pub motorbike: f64,
    /// By car, van or rickshaw.
    pub car: f64,
    /// By anything else, or by what nobody has said.
    pub other: f64,
}

impl Default for Speeds {
    fn default() -> Self {
        Self { walk: 1.4, bicycle: 4.2, motorbike: 6.1, car: 5.6, other: 5.6 }
    }
}

/// Who decides which pilot carries what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planner {
    /// A plan over the whole city, made beside the journal. What is urgent and simple is decided at once.
    Plan,
    /// The same, but nothing is decided before the plan is: it knows travel times, or a service, that decisions do not.
    PlanOnly,
    /// Each order at once to the nearest pilot with room.
    Nearest,
}

/// Whether the upstream is told of assignments made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// As a delivery event with the status `assigned`.
    Send,
    /// It does not know them.
    Skip,
}
