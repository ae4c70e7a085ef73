//! Giving orders to pilots.

use megamind_domain::{Decision, Rejection, Replay, Time};

use super::{Decided, Desk, delivery::is_full, draft::Draft};
use crate::{
    City, Deliveries, Settings,
    command::{Answer, Assignment, AssignmentAnswer, Command, Items, Many},
    dialect::own,
    event::{Event, Missing, OrderAssigned, OrderLapsed, V},
    order::{Oddities, Order, OrderKey, Status},
    pilot::{Availability, PilotKey},
    planning::{Choice, MAX_ORDERS, Planned, best, candidates, due, everything, first, may_adopt, nearest, outlook},
    settings::{Assigned, Decides, Planner},
};

/// Waiting orders among which a new one is given out at once, at most.
pub(super) const FEW: usize = 8;
/// Commands that follow from one decision, at most.
pub(super) const MAX_THEN: usize = 16;
/// Waiting orders that are looked at for one freed pilot, and pilots for one order, at most.
pub(super) const LOOK_AT: usize = 64;
/// Orders that are given out in one go as time passes, at most.
const MAX_PLAN: usize = 256;
/// Waiting orders that are looked at for that, at most.
const MAX_LOOK: usize = 512;

/// At most [`MAX_THEN`] commands, each order once.
pub(super) fn bound(mut then: Vec<Command>) -> Vec<Command> {
    let mut seen = Vec::with_capacity(then.len().min(MAX_THEN));
    then.retain(|command| match command {
        Command::AssignNow(order) => {
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
    /// Gives an order to a pilot, or to the best where none is named.
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
        let again = order.carrier().filter(|carrier| pilot.is_none_or(|pilot| pilot == *carrier));
        if again.is_some() && (order.assigned_here() || order.status() > Status::Assigned) {
            // Said twice is said once, where the pilot was told from here, or has answered. Of what the upstream was only
            // seen to assign nobody here has told the pilot, and whoever asks relies on that.
            return Ok(Decision::answer(answer));
        }
        let offer = self.offer(city, order, pilot.or(again))?;
        let full = again.is_none() && is_full(city, offer.pilot);
        if full && self.acting() {
            let detail = "The pilot has no room for one more order.";
            return Err(Rejection::new(409, "pilot_full", detail).at(self.domain.wire(crate::dialect::Field::MinionId)));
        }
        let replay = self.tell(city, order, offer.pilot);
        let event = self.assigned(order, offer, Oddities::OVER_CAPACITY.when(full));
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

    fn offer(&self, city: &City, order: &Order, pilot: Option<PilotKey>) -> Result<Choice, Rejection> {
        let settings = &self.domain.settings;
        if let Some(pilot) = pilot.and_then(|pilot| city.pilot(pilot)) {
            return Ok(outlook(city, settings, self.now, order, pilot));
        }
        let choice = match settings.dispatch.planner {
            Planner::Nearest => nearest(city, settings, self.now, order),
            Planner::Plan | Planner::PlanOnly => first(&candidates(city, settings, self.now, order, LOOK_AT)),
        };
        choice.ok_or_else(|| {
            let detail = "No pilot can take this order now.";
            Rejection::new(409, "no_pilot", detail)
        })
    }

    fn assigned(&self, order: &Order, choice: Choice, odd: Oddities) -> Event {
        Event::OrderAssigned(OrderAssigned {
            v: V,
            order: order.key(),
            pilot: choice.pilot,
            at: self.now,
            here: true,
            eta: choice.eta,
            odd,
            why: Some(Box::new(choice.why)),
        })
    }

    fn tell(&self, city: &City, order: &Order, pilot: PilotKey) -> Replay {
        let settings = &self.domain.settings;
        match (settings.dispatch.assigned, city.pilot(pilot)) {
            (Assigned::Send, Some(pilot)) => Replay::Own(own::assigned(settings, order, pilot, self.now)),
            _ => Replay::Nothing,
        }
    }

    /// Gives a waiting order to the best pilot; changes nothing where it waits no more, or nobody should be told now.
    pub(super) fn assign_now(&self, key: OrderKey) -> Decision<Deliveries> {
        let nothing = Decision::answer(Answer::Done);
        let Some(order) = self.city.order(key).filter(|order| order.waits()) else {
            return nothing;
        };
        let settings = &self.domain.settings;
        let choice = match settings.dispatch.planner {
            Planner::Nearest => nearest(self.city, settings, self.now, order),
            Planner::Plan => best(self.city, settings, self.now, order),
            Planner::PlanOnly => None,
        };
        match choice {
            Some(choice) if !is_full(self.city, choice.pilot) => self.give(order, choice),
            _ => nothing,
        }
    }

    fn give(&self, order: &Order, choice: Choice) -> Decision<Deliveries> {
        let replay = self.tell(self.city, order, choice.pilot);
        Decision {
            events: vec![self.assigned(order, choice, Oddities::NONE)],
            replay,
            ..Decision::answer(Answer::Done)
        }
    }

    /// Follows a plan as far as it still holds: the order still waits, and the pilot can still take it.
    pub(super) fn assign_planned(&self, planned: &Planned) -> Decision<Deliveries> {
        let nothing = Decision::answer(Answer::Done);
        let settings = &self.domain.settings;
        let may = planned.asked || self.dispatches();
        let (Some(order), Some(pilot)) = (self.city.order(planned.order), self.city.pilot(planned.pilot)) else {
            return nothing;
        };
        let free = order.waits()
            || (planned.asked && is_unassigned(order))
            || (self.acting() && may_adopt(self.city, settings, order, planned.acting_since, self.now));
        let takes = pilot.availability() == Availability::Available && pilot.room() > 0;
        if !may || !free || !takes || order.carrier() == Some(planned.pilot) {
            return nothing;
        }
        let choice = Choice { pilot: planned.pilot, eta: Some(planned.eta), why: planned.why.clone() };
        self.give(order, choice)
    }

    /// Takes back what lapsed; and where each order goes to the nearest, gives out the waiting ones, oldest first, while
    /// there is somebody to take them.
    pub(super) fn dispatch_due(&self) -> Decision<Deliveries> {
        let mut decision = Decision::answer(Answer::Done);
        if !self.dispatches() {
            return decision;
        }
        let settings = &self.domain.settings;
        let lapsed = due(self.city, settings, self.now, MAX_PLAN).filter_map(|(order, missing)| {
            let lapsed = OrderLapsed { v: V, order: order.key(), pilot: order.carrier()?, at: self.now, missing };
            Some(Event::OrderLapsed(lapsed))
        });
        decision.events = lapsed.collect();
        if settings.dispatch.planner == Planner::Nearest {
            let again = decision.events.iter().filter_map(|event| match event {
                Event::OrderLapsed(event) if event.missing != Missing::LifeWithParcel => Some(event.order),
                _ => None,
            });
            decision.then = again.map(Command::AssignNow).chain(self.all_waiting()).collect();
        }
        decision
    }

    /// Those of the waiting orders that the nearest could take now. Each is looked at again when its turn comes.
    fn all_waiting(&self) -> impl Iterator<Item = Command> {
        let look = if self.city.free_pilots() == 0 { 0 } else { MAX_LOOK };
        (self.city.waiting().take(look))
            .filter(|order| nearest(self.city, &self.domain.settings, self.now, order).is_some())
            .take(MAX_PLAN)
            .map(|order| Command::AssignNow(order.key()))
    }

    /// Gives orders to pilots, each by itself; every waiting order where none is named.
    pub(super) fn assign_many(&self, many: Option<&Many<Assignment>>) -> Decision<Deliveries> {
        let Some(many) = many else {
            return self.assign_all(plan_all(self.city, &self.domain.settings, self.now));
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

    /// One plan for every order that nobody has, all of it told at once. Those for whom there is nobody are named too.
    pub(super) fn assign_all(&self, plan: Vec<Planned>) -> Decision<Deliveries> {
        let item = |order: &Order| AssignmentAnswer { order: order.key(), asked: None, pilot: None };
        let items = unassigned(self.city).take(MAX_ORDERS).map(|order| Ok(item(order))).collect();
        let then = plan.into_iter().map(|planned| Command::AssignPlanned(Box::new(planned)));
        let answer = Answer::Assignments(Items { items, bulk: true });
        Decision { then: then.collect(), ..Decision::answer(answer) }
    }
}

/// A plan for every order that nobody has.
pub(crate) fn plan_all(city: &City, settings: &Settings, now: Time) -> Vec<Planned> {
    everything(city, settings, now, unassigned(city))
}

/// The orders that nobody has: those that wait here, and those of the upstream's that nobody is known to have.
fn unassigned(city: &City) -> impl Iterator<Item = &Order> {
    city.waiting().chain(city.adoptable().filter(|order| is_unassigned(order)))
}

/// Whether an order that the upstream knows, or may know, is one that nobody is known to have.
fn is_unassigned(order: &Order) -> bool {
    order.is_adoptable() && order.status() == Status::Placed
}
