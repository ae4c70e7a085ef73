//! Which orders have ended and may leave the memory, and by which ids they are asked for later.

use std::collections::BTreeSet;

use megamind_domain::{EntityKey, Rejection, Stance, Time};
use smallvec::SmallVec;

use crate::{City, Command, Deliveries, calls::Call, decide::order_not_known_here, id::Name, order::OrderKey};

/// An order that may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Its key.
    pub order: OrderKey,
    /// Its ids: ours, and the upstream's.
    pub names: SmallVec<[Box<str>; 2]>,
}

impl Deliveries {
    /// Up to `limit` orders that ended before `before`, oldest first, and that nothing is owed about: neither a call nor
    /// what `queued` says. Orders stand in the order of their first appearance, so this looks at old ones only.
    pub fn leaving(&self, city: &City, before: Time, limit: usize, queued: impl Fn(EntityKey) -> bool) -> Vec<Leaving> {
        let owed: BTreeSet<OrderKey> = city.calls().map(|call: &Call| call.order).collect();
        city.orders()
            .take_while(|order| order.placed_at() < before)
            .filter(|order| order.ended_at().is_some_and(|ended| ended < before))
            .filter(|order| !owed.contains(&order.key()) && !queued(order.key().into()))
            .take(limit)
            .map(|order| {
                let local = order.local().into_iter().chain(order.former());
                let local = local.map(|id| id.name(&self.settings().city).into());
                let upstream = order.upstream().map(Box::from);
                Leaving { order: order.key(), names: local.chain(upstream).collect() }
            })
            .collect()
    }

    /// What is said to a command about an order of which nothing is left here but its ids: the upstream knows it. `None`
    /// where the command is taken about unknown orders too.
    pub fn forgotten(&self, command: &Command, stance: Stance) -> Option<Rejection> {
        let refused = match command {
            Command::TrackOrder(_)
            | Command::UpdateOrder { .. }
            | Command::CancelOrder { .. }
            | Command::RankPilots(_) => true,
            Command::Assign(_) => stance == Stance::Acting,
            _ => false,
        };
        refused.then(|| order_not_known_here(self))
    }

    /// The ids of orders that a command names and the city does not know: they may have left it.
    pub fn missing(&self, city: &City, command: &Command) -> Vec<Box<str>> {
        let mut missing = Vec::new();
        let mut look = |name: &Name| {
            if city.find_order(name).is_none() {
                missing.push(name.text().into());
            }
        };
        match command {
            Command::TrackOrder(order)
            | Command::UpdateOrder { order, .. }
            | Command::CancelOrder { order, .. }
            | Command::RankPilots(order) => look(order),
            Command::ReportDeliveries(many) => many.read().for_each(|report| look(&report.order)),
            Command::Assign(assignment) => look(&assignment.order),
            Command::AssignMany(Some(many)) => many.read().for_each(|assignment| look(&assignment.order)),
            _ => {}
        }
        missing
    }
}
