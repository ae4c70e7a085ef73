//! Several events in one decision, each decided in the city that those before it make.

use std::borrow::Cow;

use megamind_domain::Time;

use crate::{
    City,
    event::{Event, OrderSeen, PilotSeen, V},
    evolve::evolve,
    id::{KeptName, Name},
    order::{Details, Oddities, OrderKey},
    pilot::PilotKey,
};

/// Events, and the city after them. The city itself stays as it is.
///
/// Most decisions end with their first event, and nobody looks at the city after it: an event is applied when somebody
/// does.
pub(super) struct Draft<'c> {
    city: Cow<'c, City>,
    now: Time,
    events: Vec<Event>,
    /// How many of them are in `city`.
    applied: usize,
}

impl<'c> Draft<'c> {
    pub(super) fn new(city: &'c City, now: Time) -> Self {
        Self { city: Cow::Borrowed(city), now, events: Vec::new(), applied: 0 }
    }

    /// The city after the events so far.
    pub(super) fn city(&mut self) -> &City {
        for event in &self.events[self.applied..] {
            evolve(self.city.to_mut(), event);
        }
        self.applied = self.events.len();
        &self.city
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// The events from there on.
    pub(super) fn since(&self, first: usize) -> &[Event] {
        &self.events[first..]
    }

    /// The events.
    pub(super) fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// The events, and the city after them.
    pub(super) fn finish(mut self) -> (Vec<Event>, Cow<'c, City>) {
        self.city();
        (self.events, self.city)
    }

    /// The pilot with this name, who appears if unknown; and whether the pilot was known.
    pub(super) fn pilot(&mut self, name: &Name) -> (PilotKey, bool) {
        if let Some(pilot) = self.city().find_pilot(name) {
            return (pilot.key(), true);
        }
        let pilot = PilotKey(self.city.next_key(0));
        self.push(Event::PilotSeen(PilotSeen { v: V, pilot, id: KeptName::from(name), at: self.now }));
        (pilot, false)
    }

    /// The order with this name, which appears if unknown; and whether it was known.
    pub(super) fn order(&mut self, name: &Name) -> (OrderKey, bool) {
        if let Some(order) = self.city().find_order(name) {
            return (order.key(), true);
        }
        let seen = appears(&self.city, name, self.now);
        let key = seen.order;
        self.push(Event::OrderSeen(Box::new(seen)));
        (key, false)
    }
}

/// The appearance of an order that is unknown to the city; nothing but its name is said.
pub(super) fn appears(city: &City, name: &Name, at: Time) -> OrderSeen {
    OrderSeen {
        id: name.local().is_none().then(|| KeptName::from(name)),
        local: name.local(),
        ..saying_nothing(OrderKey(city.next_key(0)), at)
    }
}

/// News of an order that say nothing.
pub(super) fn saying_nothing(order: OrderKey, at: Time) -> OrderSeen {
    OrderSeen {
        v: V,
        order,
        at,
        local: None,
        id: None,
        details: Details::nothing(),
        status: None,
        pilot: None,
        eta: None,
        odd: Oddities::NONE,
    }
}
