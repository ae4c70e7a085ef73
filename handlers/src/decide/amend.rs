//! Telling of an order, changing it, and calling it off.

use megamind_domain::{Decision, Rejection, Replay, Time};

use super::{Decided, Desk, draft::Draft};
use crate::{
    command::Answer,
    event::{Event, OrderCancelled, OrderUpdated, V},
    id::Name,
    order::{Details, Order, Status},
    planning::expected,
    settings::Decides,
};

impl Desk<'_> {
    pub(super) fn track(&self, name: &Name) -> Decided {
        let order = self.order(name)?;
        Ok(Decision::answer(self.told(order, name)))
    }

    pub(super) fn update(&self, name: &Name, details: &Details) -> Decided {
        let order = self.order(name)?;
        self.within_limits(Decides::UpdateOrder)?;
        self.within_cash(details.cod_amount)?;
        if order.status().is_final() {
            return Err(self.is_final(order));
        }
        if order.status().is_picked_up()
            && let Some(canonical) = details.about_pickup()
        {
            let detail = "The parcel has been picked up: only its destination can change.";
            let field = self.domain.settings.dialect.canonical_field(canonical);
            return Err(Rejection::new(409, "already_picked_up", detail).at(field));
        }
        let mut updated = OrderUpdated {
            v: V,
            order: order.key(),
            at: self.now,
            details: Details { merchant: None, ..details.clone() },
            eta: None,
        };
        updated.eta = self.eta_after(order, &updated);
        Ok(Decision {
            events: vec![Event::OrderUpdated(Box::new(updated))],
            replay: Replay::AsSent,
            ..Decision::answer(self.told(order, name))
        })
    }

    /// When an order that was given out here will be at the door after this, where that changes.
    fn eta_after(&self, order: &Order, updated: &OrderUpdated) -> Option<Time> {
        let about_time = updated.details.ready_at.is_some() || updated.details.moves();
        if !about_time || !order.assigned_here() || order.status().is_picked_up() {
            return None;
        }
        let mut draft = Draft::new(self.city, self.now);
        draft.push(Event::OrderUpdated(Box::new(updated.clone())));
        let city = draft.city();
        let (order, pilot) = (city.order(order.key())?, city.pilot(order.carrier()?)?);
        expected(city, &self.domain.settings, self.now, order, pilot).filter(|eta| order.eta() != Some(*eta))
    }

    pub(super) fn cancel(&self, name: &Name, reason: Option<&str>) -> Decided {
        let order = self.order(name)?;
        match order.status() {
            // Said twice is said once.
            Status::Cancelled => return Ok(Decision::answer(self.told(order, name))),
            Status::Delivered | Status::Failed => return Err(self.is_final(order)),
            status if status.is_picked_up() => {
                let detail = "The parcel has been picked up already.";
                return Err(Rejection::new(409, "already_picked_up", detail));
            }
            _ => {}
        }
        self.within_limits(Decides::CancelOrder)?;
        let then = order
            .carrier()
            .map(|pilot| self.next_for(self.city, pilot, 1))
            .unwrap_or_default();
        Ok(Decision {
            events: vec![Event::OrderCancelled(OrderCancelled {
                v: V,
                order: order.key(),
                at: self.now,
                reason: reason.map(Into::into),
            })],
            replay: Replay::AsSent,
            then,
            ..Decision::answer(self.told(order, name))
        })
    }

    pub(super) fn is_final(&self, order: &Order) -> Rejection {
        let word = self.domain.settings.dialect.word(order.status().into());
        Rejection::new(409, "order_final", format!("The order is {word}."))
    }

    /// Now, where orders are given out here.
    pub(super) fn dispatched_at(&self) -> Option<Time> {
        self.dispatches().then_some(self.now)
    }

    fn told(&self, order: &Order, name: &Name) -> Answer {
        Answer::Order {
            key: order.key(),
            asked: Some(name.clone()),
            new: false,
            dispatched_at: self.dispatched_at(),
        }
    }
}
