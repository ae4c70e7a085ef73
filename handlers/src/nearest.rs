//! Who carries what, in its simplest form: the nearest who can.

use megamind_domain::Time;

use crate::{City, Position, order::Order, pilot::PilotKey};

/// Chooses who carries an order.
pub trait Assigner: Send + Sync + 'static {
    /// The best pilot for an order now, if there is one who can take it.
    fn choose(&self, city: &City, order: &Order, now: Time) -> Option<Offer>;
}

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who.
    pub pilot: PilotKey,
    /// When the order should be at the door, where that can be said.
    pub eta: Option<Time>,
}

/// The nearest available pilot with room who has not said no.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nearest;

impl Assigner for Nearest {
    fn choose(&self, city: &City, order: &Order, now: Time) -> Option<Offer> {
        let pickup = order.pickup()?;
        let allows = |pilot| !order.excluded().contains(&pilot);
        let (pilot, metres) = city.nearest(pickup, allows)?;
        Some(Offer { pilot, eta: eta(order, metres, now) })
    }
}

/// Metres a second through a city, waiting at lights included.
const SPEED: f64 = 5.6;
/// Streets are that much longer than straight lines.
const DETOUR: f64 = 1.3;
/// Milliseconds at each door.
const SERVICE: i64 = 4 * 60 * 1000;

/// Milliseconds for a way.
pub(crate) fn travel_millis(metres: f64) -> i64 {
    (metres * DETOUR / SPEED * 1000.0) as i64
}

/// When a pilot who is so far away has an order.
pub(crate) fn eta_pickup(order: &Order, metres: f64, now: Time) -> Time {
    let there = now.plus_millis(travel_millis(metres));
    let ready = order.ready_at.unwrap_or(there).max(there);
    ready.plus_millis(SERVICE)
}

/// When a pilot who is so far away has an order at the door.
pub(crate) fn eta(order: &Order, metres: f64, now: Time) -> Option<Time> {
    let (pickup, dropoff): (Position, Position) = (order.pickup()?, order.dropoff()?);
    let way = travel_millis(pickup.metres_to(dropoff));
    let at_door = eta_pickup(order, metres, now).plus_millis(way + SERVICE / 2);
    // To the second: nothing here is more exact.
    Some(Time(at_door.0 / 1000 * 1000))
}
