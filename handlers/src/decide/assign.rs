//! Giving orders to pilots.

use megamind_domain::{Decision, Rejection, Replay};

use super::{Decided, Desk, delivery::is_full, draft::Draft};
use crate::{
    City, Deliveries,
    command::{Answer, Assignment, AssignmentAnswer, Command, Items, Many},
    dialect::own,
    event::{Event, OrderAssigned, V},
    nearest::{Offer, eta},
    order::{Oddities, Order, OrderKey},
    pilot::PilotKey,
    settings::{Assigned, Decides},
};

/// Commands that follow from one decision, at most.
pub(super) const MAX_THEN: usize = 16;
/// Waiting orders that are looked at for one freed pilot, at most.
pub(super) const LOOK_AT: usize = 64;
/// Orders that are given out in one go, at most.
const MAX_PLAN: usize = 256;
/// Waiting orders that are looked at for that, at most.
const MAX_LOOK: usize = 1_024;

/// At most [`MAX_THEN`] commands, each order once.
pub(super) fn bound(mut then: Vec<Command>) -> Vec<Command> {
    let mut seen = Vec::with_capacity(then.len().min(MAX_THEN));
    then.retain(|command| match command {
        Command::AssignNearest(order) => {
            let fresh = !seen.contains(order) && seen.len() < MAX_THEN;
            if fresh {
                seen.push(*order);
            }
            fresh
        }
        _ => true,
    });
    then
}

impl Desk<'_> {
    /// Gives an order to a pilot, or to the nearest where none is named.
    pub(super) fn assign(&self, assignment: &Assignment) -> Decided {
        self.within_limits(Decides::Assign)?;
        let mut draft = Draft::new(self.city, self.now);
        if self.acting() {
            // Everybody whom the upstream knows is not known here: what it would say cannot be said.
            self.order(&assignment.order)?;
            if let Some(pilot) = &assignment.pilot {
                self.city.find_pilot(pilot).ok_or_else(|| self.pilot_not_found())?;
            }
        }
        let (key, _) = draft.order(&assignment.order);
        let pilot = assignment.pilot.as_ref().map(|pilot| draft.pilot(pilot).0);
        let city = draft.city();
        let Some(order) = city.order(key) else {
            return Err(self.order_not_found(&assignment.order));
        };
        self.may_assign(order)?;
        let answer = Answer::Assignments(Items {
            items: vec![Ok(AssignmentAnswer { order: key, asked: Some(assignment.order.clone()), pilot })],
            bulk: false,
        });
        if order.carrier().is_some() && pilot.is_none_or(|pilot| order.carrier() == Some(pilot)) {
            // Said twice is said once.
            return Ok(Decision::answer(answer));
        }
        let offer = self.offer(city, order, pilot)?;
        let full = is_full(city, offer.pilot);
        if full && self.acting() {
            let detail = "The pilot has no room for one more order.";
            return Err(Rejection::new(409, "pilot_full", detail).at(self.domain.wire(crate::dialect::Field::MinionId)));
        }
        let event = self.assigned(order, offer, Oddities::OVER_CAPACITY.when(full));
        let replay = self.tell(city, order, offer.pilot);
        draft.push(event);
        Ok(Decision { events: draft.into_events(), replay, ..Decision::answer(answer) })
    }

    fn may_assign(&self, order: &Order) -> Result<(), Rejection> {
        if order.status().is_final() {
            return Err(self.is_final(order));
        }
        if order.status().is_picked_up() {
            let detail = "The parcel has been picked up already.";
            return Err(Rejection::new(409, "already_picked_up", detail));
        }
        Ok(())
    }

    fn offer(&self, city: &City, order: &Order, pilot: Option<PilotKey>) -> Result<Offer, Rejection> {
        if let Some(pilot) = pilot {
            let metres = city
                .pilot(pilot)
                .and_then(|pilot| Some(pilot.fix()?.position.metres_to(order.pickup()?)));
            return Ok(Offer { pilot, eta: metres.and_then(|metres| eta(order, metres, self.now)) });
        }
        let offer = self.domain.assigner.choose(city, order, self.now);
        offer.ok_or_else(|| {
            let detail = "No pilot can take this order now.";
            Rejection::new(409, "no_pilot", detail)
        })
    }

    fn assigned(&self, order: &Order, offer: Offer, odd: Oddities) -> Event {
        Event::OrderAssigned(OrderAssigned {
            v: V,
            order: order.key(),
            pilot: offer.pilot,
            at: self.now,
            here: true,
            eta: offer.eta,
            odd,
        })
    }

    fn tell(&self, city: &City, order: &Order, pilot: PilotKey) -> Replay {
        let settings = &self.domain.settings;
        match (settings.dispatch.assigned, city.pilot(pilot)) {
            (Assigned::Send, Some(pilot)) => Replay::Own(own::assigned(settings, order, pilot, self.now)),
            _ => Replay::Nothing,
        }
    }

    /// Gives a waiting order to the best pilot; changes nothing where it waits no more or nobody can take it.
    pub(super) fn assign_nearest(&self, key: OrderKey) -> Decision<Deliveries> {
        let nothing = Decision::answer(Answer::Done);
        let Some(order) = self.city.order(key).filter(|order| order.waits()) else {
            return nothing;
        };
        let Some(offer) = self.domain.assigner.choose(self.city, order, self.now) else {
            return nothing;
        };
        if is_full(self.city, offer.pilot) {
            return nothing;
        }
        Decision {
            events: vec![self.assigned(order, offer, Oddities::NONE)],
            replay: self.tell(self.city, order, offer.pilot),
            ..nothing
        }
    }

    /// Gives out the waiting orders, oldest first, while there is somebody to take them.
    pub(super) fn dispatch_due(&self) -> Decision<Deliveries> {
        let mut decision = Decision::answer(Answer::Done);
        if self.dispatches() {
            decision.then = self.all_waiting();
        }
        decision
    }

    /// Those of the waiting orders that somebody could take now. Each is looked at again when its turn comes.
    fn all_waiting(&self) -> Vec<Command> {
        if self.city.free_pilots() == 0 {
            return Vec::new();
        }
        (self.city.waiting().take(MAX_LOOK))
            .filter(|order| self.domain.assigner.choose(self.city, order, self.now).is_some())
            .take(MAX_PLAN)
            .map(|order| Command::AssignNearest(order.key()))
            .collect()
    }

    /// Gives orders to pilots, each by itself; every waiting order where none is named.
    pub(super) fn assign_many(&self, many: Option<&Many<Assignment>>) -> Decision<Deliveries> {
        let Some(many) = many else {
            let then = self.all_waiting();
            let answer = |command: &Command| match command {
                Command::AssignNearest(order) => Some(Ok(AssignmentAnswer { order: *order, asked: None, pilot: None })),
                _ => None,
            };
            let items = then.iter().filter_map(answer).collect();
            let answer = Answer::Assignments(Items { items, bulk: true });
            return Decision { then, ..Decision::answer(answer) };
        };
        let mut then = Vec::new();
        let mut check = |assignment: &Assignment| {
            // The order and the pilot are looked up again by what carries it out: here they may not exist yet.
            let decision = self.assign(assignment)?;
            then.push(Command::Assign(assignment.clone()));
            match decision.answer {
                Answer::Assignments(mut answer) => answer.items.pop(),
                _ => None,
            }
            .unwrap_or_else(|| Err(self.order_not_found(&assignment.order)))
        };
        let items = (many.items.iter())
            .map(|item| item.as_ref().map_err(Clone::clone).and_then(&mut check))
            .collect();
        Decision { then, ..Decision::answer(Answer::Assignments(Items { items, bulk: true })) }
    }
}
