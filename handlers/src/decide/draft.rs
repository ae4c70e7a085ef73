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
pub(super) struct Draft<'c> {
    city: Cow<'c, City>,
    now: Time,
    events: Vec<Event>,
}

impl<'c> Draft<'c> {
    pub(super) fn new(city: &'c City, now: Time) -> Self {
        Self { city: Cow::Borrowed(city), now, events: Vec::new() }
    }

    /// The city after the events so far.
    pub(super) fn city(&self) -> &City {
        &self.city
    }

    pub(super) fn push(&mut self, event: Event) {
        evolve(self.city.to_mut(), &event);
        self.events.push(event);
    }

    /// The events so far, and the city after them.
    pub(super) fn finish(self) -> (Vec<Event>, Cow<'c, City>) {
        (self.events, self.city)
    }

    /// The pilot with this name, who appears if unknown; and whether the pilot was known.
    pub(super) fn pilot(&mut self, name: &Name) -> (PilotKey, bool) {
        if let Some(pilot) = self.city.find_pilot(name) {
            return (pilot.key(), true);
        }
        let pilot = PilotKey(self.city.next_key(0));
        self.push(Event::PilotSeen(PilotSeen { v: V, pilot, id: KeptName::from(name), at: self.now }));
        (pilot, false)
    }

    /// The order with this name, which appears if unknown; and whether it was known.
    pub(super) fn order(&mut self, name: &Name) -> (OrderKey, bool) {
        if let Some(order) = self.city.find_order(name) {
            return (order.key(), true);
        }
        let seen = OrderSeen {
            v: V,
            order: OrderKey(self.city.next_key(0)),
            at: self.now,
            local: name.local(),
            id: name.local().is_none().then(|| KeptName::from(name)),
            details: Details::default(),
            status: None,
            pilot: None,
            eta: None,
            odd: Oddities::NONE,
        };
        let key = seen.order;
        self.push(Event::OrderSeen(Box::new(seen)));
        (key, false)
    }
}
