//! `U seq`: taking back what was sent under a number, within ten minutes.
//!
//! Availability goes back to what it was, by the same request that set it. What was said of an order can be taken back
//! while the gateway acts and the order is as that message left it: then the cloud has not heard of it, and never will,
//! for what waits in the queue about it is discarded. What the cloud knows already is not ours to undo, and its
//! interface has no way to ask for it: that is answered so.

use megamind_gateway::modes::Mode;
use megamind_handlers::{
    Command,
    order::{OrderKey, Status},
    pilot::Availability,
};
use megamind_sms::{
    grammar::{Request, Trouble, confirmed},
    identity::{Answered, Enrolment},
};
use megamind_store::{EntryState, Outcome, SendState, Settle, SubmitError};

use super::{
    act::{Done, request_id},
    now,
    worker::Worker,
};

/// How many queued entries are looked at, newest first.
const LOOKED_AT: u64 = 50_000;
/// From a report's decision to its answer, in milliseconds.
const DECIDED_WITHIN: i64 = 2 * 60 * 1000;

/// What undoes a message, as it is kept with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// This was so before.
    Availability(Availability),
    /// What was said of an order.
    Report {
        order: OrderKey,
        /// The status that it brought.
        from: Status,
        /// The one before it.
        to: Status,
    },
}

impl Undo {
    /// What would undo a report of an order that was at `before`; `None` where nothing does.
    pub(super) fn of_report(order: OrderKey, before: Status, after: Status) -> Option<Self> {
        // Who reported it has it, whatever was answered to the offer.
        let to = before.max(Status::Accepted);
        (before.is_carried() && before != after).then_some(Self::Report { order, from: after, to })
    }

    pub(super) fn write(self) -> Option<String> {
        match self {
            Self::Availability(before) => word(&before),
            Self::Report { order, from, to } => Some(format!("order {} {} {}", order.0, word(&from)?, word(&to)?)),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        match words.as_slice() {
            [before] => Some(Self::Availability(named(before)?)),
            ["order", order, from, to] => {
                Some(Self::Report { order: OrderKey(order.parse().ok()?), from: named(from)?, to: named(to)? })
            }
            _ => None,
        }
    }
}

fn word(value: &impl serde::Serialize) -> Option<String> {
    Some(serde_json::to_value(value).ok()?.as_str()?.to_owned())
}

fn named<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(word.into()).ok()
}

impl Worker {
    /// Undoes what was sent under `other`; `None` where it is to be tried again.
    pub(super) async fn undo(&self, who: &Enrolment, request: &Request, other: u32, at: i64) -> Option<Done> {
        let known = who.undoable(other, now());
        match known.and_then(|known| Some((known, Undo::read(known.undo.as_deref()?)?))) {
            Some((_, Undo::Availability(Availability::Unknown))) | None => {
                Some(Done::refused("undo", request.seq, Trouble::Undo))
            }
            Some((_, Undo::Availability(before))) => self.whereabouts(who, request, None, Some(before), at).await,
            Some((known, Undo::Report { order, from, to })) => {
                self.take_back(who, request, known, (order, from, to)).await
            }
        }
    }

    async fn take_back(
        &self,
        who: &Enrolment,
        request: &Request,
        known: &Answered,
        (order, from, to): (OrderKey, Status, Status),
    ) -> Option<Done> {
        let refused = || Some(Done::refused("undo", request.seq, Trouble::Undo));
        // Recovering, the queue is tried out already.
        if self.handle.mode() != Mode::Acting {
            return refused();
        }
        let (pilot, status) = {
            let published = self.handle.published();
            let pilot = published
                .city
                .pilot_called(&who.pilot)
                .map(megamind_handlers::pilot::Pilot::key);
            (pilot, published.city.order(order).map(megamind_handlers::order::Order::status))
        };
        let (Some(pilot), Some(entry)) = (pilot, self.queued(who, known)) else {
            return refused();
        };
        // After a crash between the two halves, the first is done already.
        if status != Some(to) {
            match self.handle.submit(Command::TakeBack { order, pilot, from, to }).await {
                Ok(Outcome::Decided { .. }) => {}
                Ok(_) => return refused(),
                Err(error) => {
                    tracing::warn!(%error, "a report cannot be taken back now");
                    return None;
                }
            }
        }
        let why = format!("taken back by message {}", request.seq);
        let discarded = Settle::Discarded { seq: entry, who: who.pilot.clone(), why, then: None };
        match self.handle.store().settle(discarded).await {
            Ok(()) | Err(SubmitError::NotQueued) => {}
            Err(error) => {
                tracing::warn!(%error, "what was taken back cannot be discarded now");
                return None;
            }
        }
        Some(Done::said(confirmed(request.seq, &request.body)))
    }

    /// The entry of the queue that a message made, as long as it was never sent.
    fn queued(&self, who: &Enrolment, known: &Answered) -> Option<u64> {
        let store = self.handle.store();
        let after = self.handle.published().last_seq.saturating_sub(LOOKED_AT);
        let quoted = |text: &str| format!("\"{text}\"").into_bytes();
        let (id, pilot) = (quoted(&request_id(known.seq)), who.pilot.as_bytes().to_vec());
        let has = |body: &[u8], part: &[u8]| body.windows(part.len()).any(|window| window == part);
        let waiting = store.entries(EntryState::Pending, after, LOOKED_AT as usize);
        let near = waiting
            .iter()
            .rev()
            .filter(|entry| (known.at - DECIDED_WITHIN..=known.at).contains(&entry.at.0));
        near.filter_map(|summary| store.entry(summary.seq).ok().flatten())
            .find(|entry| entry.state == SendState::NeverSent && has(&entry.body, &id) && has(&entry.body, &pilot))
            .map(|entry| entry.seq)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn what_undoes_is_read_as_it_was_written() {
        let order = OrderKey(NonZeroU64::MIN);
        for undo in [
            Undo::Availability(Availability::Busy),
            Undo::Report { order, from: Status::Delivered, to: Status::PickedUp },
        ] {
            assert_eq!(Undo::read(&undo.write().expect("words")), Some(undo));
        }
        for text in ["", "order", "order 0 delivered picked_up", "order 1 delivered nowhere", "sideways"] {
            assert_eq!(Undo::read(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_moved_an_order_on_its_way_can_be_undone() {
        let order = OrderKey(NonZeroU64::MIN);
        let of = |before, after| Undo::of_report(order, before, after);
        assert_eq!(
            of(Status::PickedUp, Status::Delivered),
            Some(Undo::Report { order, from: Status::Delivered, to: Status::PickedUp })
        );
        assert_eq!(
            of(Status::Assigned, Status::PickedUp),
            Some(Undo::Report { order, from: Status::PickedUp, to: Status::Accepted })
        );
        assert_eq!(of(Status::PickedUp, Status::PickedUp), None);
        assert_eq!(of(Status::Delivered, Status::Failed), None);
        assert_eq!(of(Status::Placed, Status::Delivered), None);
    }
}
