//! Orders that ended long ago leave the memory, and come back when somebody asks.

use megamind_domain::Decision;

use super::Desk;
use crate::{
    Deliveries,
    command::Answer,
    entity,
    event::{Event, OrderRecalled, OrderRetired, V},
    order::OrderKey,
};

impl Desk<'_> {
    /// Who asks for it has seen to it that they are old enough; what has not ended stays all the same.
    pub(super) fn retire(&self, orders: &[OrderKey]) -> Decision<Deliveries> {
        let ended = orders
            .iter()
            .filter(|&&order| self.city.order(order).is_some_and(|order| order.ended_at().is_some()));
        let events = ended.map(|&order| Event::OrderRetired(OrderRetired { v: V, order, at: self.now }));
        Decision { events: events.collect(), ..Decision::answer(Answer::Done) }
    }

    /// Nothing, where the row cannot be read, or where its order or one of its ids is there again.
    pub(super) fn recall(&self, order: OrderKey, row: &str) -> Decision<Deliveries> {
        let mut decision = Decision::answer(Answer::Done);
        let is_away = self.city.order(order).is_none()
            && entity::read_order(order, row.as_bytes()).is_ok_and(|order| !self.city.has_names_of(&order));
        if is_away {
            let event = OrderRecalled { v: V, order, at: self.now, row: row.into() };
            decision.events.push(Event::OrderRecalled(event));
        }
        decision
    }
}
