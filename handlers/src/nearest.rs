//! Who carries what, in its simplest form: the nearest who can.

use megamind_domain::Time;

use crate::{
    City, Position,
    dispatch::Reason,
    event::Why,
    order::Order,
    planning::{Choice, DETOUR, SPEEDS},
};

/// The nearest available pilot with room who has not said no.
pub(crate) fn nearest(city: &City, order: &Order, now: Time) -> Option<Choice> {
    let pickup = order.pickup()?;
    let allows = |pilot| !order.excluded().contains(&pilot);
    let (pilot, metres) = city.nearest(pickup, allows)?;
    let why = Why { reasons: vec![Reason::Nearest], ..Why::default() };
    Some(Choice { pilot, eta: eta(order, metres, now), why })
}

/// Milliseconds at each door.
const SERVICE: i64 = 4 * 60 * 1000;

/// Milliseconds for a way.
fn travel_millis(metres: f64) -> i64 {
    (metres * DETOUR / SPEEDS[0] * 1000.0) as i64
}

/// When a pilot who is so far away has an order.
fn eta_pickup(order: &Order, metres: f64, now: Time) -> Time {
    let there = now.plus_millis(travel_millis(metres));
    let ready = order.ready_at.unwrap_or(there).max(there);
    ready.plus_millis(SERVICE)
}

/// When a pilot who is so far away has an order at the door.
fn eta(order: &Order, metres: f64, now: Time) -> Option<Time> {
    let (pickup, dropoff): (Position, Position) = (order.pickup()?, order.dropoff()?);
    let way = travel_millis(pickup.metres_to(dropoff));
    let at_door = eta_pickup(order, metres, now).plus_millis(way + SERVICE / 2);
    // To the second: nothing here is more exact.
    Some(Time(at_door.0 / 1000 * 1000))
}
