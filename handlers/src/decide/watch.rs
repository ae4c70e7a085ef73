//! What the upstream was seen to decide. It happened: nothing of it is refused.

use std::borrow::Cow;

use megamind_domain::{Decision, Joined, Replay};

use super::{
    Desk,
    delivery::{Voice, is_full},
    draft::{Draft, appears, saying_nothing},
    pilot,
};
use crate::{
    City, Deliveries, Fix, Position,
    command::{Answer, Watched, WatchedOrder},
    event::{Event, OrderAliased, OrderCancelled, OrderJoined, OrderSeen, PilotChanged, V},
    id::{KeptName, LocalId, Name},
    order::{Details, Oddities, Order, Status},
    pilot::{PilotKey, Profile, is_newer},
};

impl Desk<'_> {
    pub(super) fn watch(&self, watched: &Watched) -> Decision<Deliveries> {
        let mut draft = Draft::new(self.city, self.now);
        let mut slots = Vec::new();
        match watched {
            Watched::Order(seen) => self.watch_order(&mut draft, seen),
            Watched::Pilots(reports) => {
                for report in reports {
                    let before = draft.len();
                    let answer = self.note_pilot(&mut draft, report);
                    if draft.since(before).iter().any(pilot::is_fix) {
                        slots.push(answer.pilot.into());
                    }
                }
            }
            Watched::Deliveries(reports) => {
                for report in reports {
                    // What the upstream said is never refused.
                    let _ = self.take(&mut draft, report, Voice::Upstream);
                }
            }
            Watched::Cancelled(name) => self.watch_cancelled(&mut draft, name),
        }
        // The upstream has a newer position than the one that waits for it.
        let replay = if slots.is_empty() { Replay::Nothing } else { Replay::Known { slots } };
        Decision { events: draft.into_events(), replay, ..Decision::answer(Answer::Done) }
    }

    fn watch_cancelled(&self, draft: &mut Draft<'_>, name: &Name) {
        let (order, _) = draft.order(name);
        let open = draft.city().order(order).is_some_and(|order| !order.status().is_final());
        if open {
            draft.push(Event::OrderCancelled(OrderCancelled { v: V, order, at: self.now, reason: None }));
        }
    }

    fn watch_order(&self, draft: &mut Draft<'_>, seen: &WatchedOrder) {
        let pilot = seen.pilot.as_ref().map(|pilot| draft.pilot(pilot).0);
        let city = draft.city();
        let known = city.find_order(&seen.order);
        let said = || match known {
            Some(order) => saying_nothing(order.key(), self.now),
            None => appears(city, &seen.order, self.now),
        };
        let order = known.map_or_else(|| Cow::Owned(Order::unknown(said().order, self.now)), Cow::Borrowed);
        let status = seen.status.filter(|&status| {
            if seen.settles {
                return settled(order.status(), status);
            }
            // A pilot who was given it from here keeps it, though the upstream has it as given to nobody: it need not know
            // `assigned`. It may still give it to somebody, and is seen doing so.
            if order.assigned_here() && order.status() == Status::Assigned && status == Status::Placed {
                return false;
            }
            let ends = order.status().is_final()
                && (seen.read || !status.is_final() || status.progress() < order.status().progress());
            !ends && status != order.status() && status != Status::Unknown
        });
        // A read tells nothing about an order that has ended.
        let ended = order.status().is_final() && status.is_none();
        let placed = seen.status == Some(Status::Placed);
        // Who was at a door was there, whoever was to go.
        let is_fact = seen.settles && is_fact(order.status());
        let pilot_news = pilot.filter(|_| !ended && !placed && !is_fact && order.pilot() != pilot);
        // Who has a pilot is with a pilot, whatever the word for it.
        let begins = pilot_news.is_some() && order.status() <= Status::Placed;
        let status = status.or_else(|| begins.then_some(Status::Assigned));
        let eta = seen.eta.filter(|_| !ended && order.eta != seen.eta);
        let details = if known.is_some() && seen.read { None } else { Some(&seen.details) };
        let details = details.filter(|details| !details.is_empty());
        let news = status.is_some() || pilot_news.is_some() || eta.is_some() || details.is_some();
        let event = (known.is_none() || news).then(|| {
            Event::OrderSeen(Box::new(OrderSeen {
                details: details.cloned().unwrap_or_else(Details::nothing),
                status,
                pilot: pilot_news,
                eta,
                odd: Oddities::OVER_CAPACITY.when(pilot_news.is_some_and(|pilot| is_full(city, pilot))),
                ..said()
            }))
        });
        let moved = pilot
            .zip(seen.position)
            .and_then(|(pilot, position)| self.moved_to(city, pilot, position));
        event.into_iter().chain(moved).for_each(|event| draft.push(event));
    }

    /// Where a pilot is now, if that is news.
    fn moved_to(&self, city: &City, pilot: PilotKey, position: Position) -> Option<Event> {
        let fix = Fix { position, at: self.now };
        let old = city.pilot(pilot)?.fix();
        (is_newer(old, fix.at) && old.is_none_or(|old| old.position != position)).then(|| {
            Event::PilotChanged(Box::new(PilotChanged {
                v: V,
                pilot,
                at: self.now,
                fix: Some(fix),
                availability: None,
                profile: Profile::default(),
            }))
        })
    }

    /// An order that the upstream will never hear of is called off, unless it is over or on its way already.
    pub(super) fn disown(&self, local: LocalId, why: &str) -> Decision<Deliveries> {
        let mut decision = Decision::answer(Answer::Done);
        let open = |order: &&Order| !order.status().is_final() && !order.status().is_picked_up();
        if let Some(order) = self.city.find_local(local).filter(open) {
            let (order, reason) = (order.key(), (!why.is_empty()).then(|| why.into()));
            let cancelled = OrderCancelled { v: V, order, at: self.now, reason };
            decision.events.push(Event::OrderCancelled(cancelled));
        }
        decision
    }

    /// The upstream's id for an order placed here. Where the upstream's order is known already, the two are one.
    pub(super) fn alias(&self, local: LocalId, upstream: &Name) -> Decision<Deliveries> {
        let mut decision = Decision::answer(Answer::Done);
        let Some(order) = self.city.find_local(local) else {
            return decision;
        };
        let id = KeptName::from(upstream);
        let (key, at) = (order.key(), self.now);
        match self.city.find_order(upstream).map(crate::order::Order::key) {
            Some(same) if same == key => {}
            Some(other) => {
                let joined = OrderJoined { v: V, order: key, other, id, at };
                decision.events.push(Event::OrderJoined(joined));
                decision.joined.push(Joined { kept: key.into(), gone: other.into() });
            }
            None => decision
                .events
                .push(Event::OrderAliased(OrderAliased { v: V, order: key, id, at })),
        }
        decision
    }
}

/// Whether what happened at the doors says where an order is.
fn is_fact(status: Status) -> bool {
    status >= Status::ArrivedAtPickup && status != Status::Cancelled
}

/// Whether the upstream's word for where an order is replaces ours, once it has seen all that we know of it. Of
/// decisions its own count; a fact gives way only to one that is further along. That it has given the order to nobody
/// takes it from no pilot: it may still do so, and is seen doing it.
fn settled(ours: Status, theirs: Status) -> bool {
    match ours {
        _ if theirs == ours || theirs == Status::Unknown => false,
        Status::Delivered | Status::Failed => false,
        Status::Assigned | Status::Accepted if theirs == Status::Placed => false,
        _ if is_fact(ours) => is_fact(theirs) && theirs.progress() > ours.progress(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstreams_decisions_count_and_facts_stay() {
        let takes = |ours| -> Vec<Status> { Status::ALL.into_iter().filter(|theirs| settled(ours, *theirs)).collect() };
        // A cancellation that the upstream refused: the order goes on.
        assert!(takes(Status::Cancelled).contains(&Status::Assigned));
        assert!(takes(Status::Cancelled).contains(&Status::Placed));
        assert!(takes(Status::Assigned).contains(&Status::Cancelled));
        assert!(!takes(Status::Assigned).contains(&Status::Placed));
        assert_eq!(takes(Status::PickedUp), [Status::ArrivedAtDropoff, Status::Delivered, Status::Failed]);
        for over in [Status::Delivered, Status::Failed] {
            assert_eq!(takes(over), []);
        }
        for status in Status::ALL {
            assert!(!settled(status, status) && !settled(status, Status::Unknown));
        }
    }
}
