//! What pilots say about orders. Facts are taken whatever was planned; answers to offers are decisions.

use megamind_domain::{Decision, Rejection, Replay, Time};

use super::{
    Decided, Desk,
    draft::{Draft, saying_nothing},
};
use crate::{
    City, Fix,
    command::{Answer, Command, DeliveryAnswer, DeliveryReport, Items, Many, News},
    event::{Event, OrderAnswered, OrderAssigned, OrderProgressed, OrderSeen, PilotChanged, V},
    order::{Fact, Oddities, Order, OrderKey, Status},
    pilot::{PilotKey, Profile, is_newer},
};

/// A pilot's clock may be behind by a day (a phone without a network) and ahead by minutes.
const LATE: u64 = 24 * 60 * 60 * 1000;
const EARLY: u64 = 5 * 60 * 1000;

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// A pilot asks for it to be taken.
    Pilot,
    /// The upstream took it already.
    Upstream,
}

impl Desk<'_> {
    pub(super) fn report_deliveries(&self, many: &Many<DeliveryReport>) -> Decided {
        let mut draft = Draft::new(self.city, self.now);
        let items: Vec<_> = (many.items.iter())
            .map(|item| {
                item.as_ref()
                    .map_err(Clone::clone)
                    .and_then(|report| self.take(&mut draft, report, Voice::Pilot))
            })
            .collect();
        if let (false, [Err(refused)]) = (many.bulk, items.as_slice()) {
            return Err(refused.clone());
        }
        let (events, city) = draft.finish();
        let replay = if events.is_empty() { Replay::Nothing } else { Replay::AsSent };
        Ok(Decision {
            then: self.after_news(&city, &events),
            events,
            replay,
            ..Decision::answer(Answer::Deliveries(Items { items, bulk: many.bulk }))
        })
    }

    /// Takes one report into the draft.
    pub(super) fn take(
        &self,
        draft: &mut Draft<'_>,
        report: &DeliveryReport,
        voice: Voice,
    ) -> Result<DeliveryAnswer, Rejection> {
        if voice == Voice::Pilot {
            self.may_answer(draft.city(), report)?;
        }
        let (order, order_known) = draft.order(&report.order);
        let (pilot, pilot_known) = draft.pilot(&report.pilot);
        let event = match report.news {
            News::Fact(fact) => self.progressed(draft.city(), order, pilot, fact, report),
            News::Accepted => self.accepted(draft.city(), order, pilot, report),
            News::Rejected => self.rejected(draft.city(), order, pilot, report),
            News::Assigned => self.given(draft.city(), order, pilot),
        };
        if let Some(event) = event {
            draft.push(event);
        }
        if let Some(event) = self.moved(draft.city(), pilot, report) {
            draft.push(event);
        }
        Ok(DeliveryAnswer { order, asked: report.order.clone(), known: order_known && pilot_known })
    }

    /// Refuses an answer to an offer that does not stand.
    fn may_answer(&self, city: &City, report: &DeliveryReport) -> Result<(), Rejection> {
        if matches!(report.news, News::Fact(_)) {
            return Ok(());
        }
        let Some(order) = city.find_order(&report.order) else {
            return Ok(());
        };
        let speaker = city.find_pilot(&report.pilot).map(crate::pilot::Pilot::key);
        let conflict = |code, detail: &str| Err(Rejection::new(409, code, detail));
        let is_carrier = speaker.is_some() && order.carrier() == speaker;
        let turned_down = speaker.is_some_and(|pilot| order.excluded().contains(&pilot));
        let picked_up = order.status().is_picked_up();
        match report.news {
            _ if order.status().is_final() => Err(self.is_final(order)),
            News::Accepted if is_carrier => Ok(()),
            _ if picked_up => conflict("already_picked_up", "The parcel has been picked up already."),
            // Of those who said no, saying it twice is saying it once.
            News::Rejected if is_carrier || turned_down => Ok(()),
            // The upstream may have given it to this pilot without our seeing it; never an order of ours.
            _ if order.is_ours() || (order.assigned_here && order.carrier().is_some()) => {
                conflict("not_assigned", "The order is not assigned to this pilot.")
            }
            _ => Ok(()),
        }
    }

    /// What a pilot said last of an order is taken back, as if it had not been said: only while nothing else has
    /// happened to the order. Nobody upstream is told, for nobody was told of it.
    pub(super) fn take_back(&self, order: OrderKey, pilot: PilotKey, from: Status, to: Status) -> Decided {
        let since = || Rejection::new(409, "cannot_take_back", "Something else has happened to the order since.");
        let known = self.city.order(order).ok_or_else(since)?;
        let is_last = known.history().last().is_some_and(|step| step.pilot == Some(pilot));
        if known.status() != from || !is_last || !to.is_carried() {
            return Err(since());
        }
        let event = if from == Status::Placed {
            let (order, at) = (known.key(), self.now);
            Event::OrderAccepted(OrderAnswered { v: V, order, pilot, at, said_at: None, odd: Oddities::NONE })
        } else {
            let seen = OrderSeen { status: Some(to), pilot: Some(pilot), ..saying_nothing(order, self.now) };
            Event::OrderSeen(Box::new(seen))
        };
        Ok(Decision { events: vec![event], replay: Replay::Nothing, ..Decision::answer(Answer::Done) })
    }

    fn progressed(
        &self,
        city: &City,
        order: OrderKey,
        pilot: PilotKey,
        fact: Fact,
        report: &DeliveryReport,
    ) -> Option<Event> {
        let known = city.order(order)?;
        let now = known.status();
        let is_news = now != fact.status()
            || known.pilot() != Some(pilot)
            || report.proof.is_some()
            || (report.cod_collected.is_some() && known.cod_collected != report.cod_collected);
        if !is_news {
            return None;
        }
        let carries_already = known.carrier() == Some(pilot);
        let odd = self
            .odd_clock(report.at)
            .and(Oddities::OTHER_PILOT.when(known.pilot().is_some_and(|other| other != pilot)))
            .and(Oddities::OUT_OF_ORDER.when(!now.is_final() && fact.status() < now))
            .and(Oddities::AFTER_END.when(now.is_final()))
            .and(Oddities::OVER_CAPACITY.when(!carries_already && !fact.status().is_final() && is_full(city, pilot)));
        Some(Event::OrderProgressed(OrderProgressed {
            v: V,
            order,
            fact,
            pilot: Some(pilot),
            at: self.now,
            said_at: report.at,
            cod_collected: report.cod_collected,
            proof: report.proof.clone(),
            odd,
        }))
    }

    fn accepted(&self, city: &City, order: OrderKey, pilot: PilotKey, report: &DeliveryReport) -> Option<Event> {
        let known = city.order(order)?;
        let carries = known.carrier() == Some(pilot);
        let is_news = known.status() < Status::Accepted || (known.status() <= Status::ArrivedAtPickup && !carries);
        is_news.then(|| Event::OrderAccepted(self.answered(city, known, pilot, report)))
    }

    fn rejected(&self, city: &City, order: OrderKey, pilot: PilotKey, report: &DeliveryReport) -> Option<Event> {
        let known = city.order(order)?;
        let may = !known.status().is_final() && !known.status().is_picked_up();
        let is_news = known.carrier() == Some(pilot) || !known.excluded().contains(&pilot);
        (may && is_news).then(|| {
            let mut answered = self.answered(city, known, pilot, report);
            answered.odd = self.odd_clock(report.at);
            Event::OrderRejected(answered)
        })
    }

    fn answered(&self, city: &City, order: &Order, pilot: PilotKey, report: &DeliveryReport) -> OrderAnswered {
        let takes_over = order.carrier() != Some(pilot);
        OrderAnswered {
            v: V,
            order: order.key(),
            pilot,
            at: self.now,
            said_at: report.at,
            odd: self
                .odd_clock(report.at)
                .and(Oddities::OVER_CAPACITY.when(takes_over && is_full(city, pilot))),
        }
    }

    /// An assignment made elsewhere, taken as given.
    pub(super) fn given(&self, city: &City, order: OrderKey, pilot: PilotKey) -> Option<Event> {
        let known = city.order(order)?;
        let may = !known.status().is_final() && !known.status().is_picked_up();
        (may && known.carrier() != Some(pilot)).then(|| {
            Event::OrderAssigned(OrderAssigned {
                v: V,
                order,
                pilot,
                at: self.now,
                here: false,
                eta: None,
                odd: Oddities::OVER_CAPACITY.when(is_full(city, pilot)),
                why: None,
            })
        })
    }

    /// The position that comes with a report.
    fn moved(&self, city: &City, pilot: PilotKey, report: &DeliveryReport) -> Option<Event> {
        let fix = Fix { position: report.position?, at: self.plausible(report.at) };
        is_newer(city.pilot(pilot)?.fix(), fix.at).then(|| {
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

    /// Orders that find somebody now: those turned down, and those that a freed pilot can take.
    fn after_news(&self, city: &City, events: &[Event]) -> Vec<Command> {
        if !self.decides_at_once() {
            return Vec::new();
        }
        let mut then = Vec::new();
        for event in events.iter().take(super::assign::MAX_THEN) {
            match event {
                Event::OrderRejected(event) => {
                    if city.order(event.order).is_some_and(Order::waits) {
                        then.push(Command::AssignNow(event.order));
                    }
                    then.extend(self.next_for(city, event.pilot, 0));
                }
                Event::OrderProgressed(event) if event.fact.status().is_final() => {
                    then.extend(event.pilot.map(|pilot| self.next_for(city, pilot, 0)).unwrap_or_default());
                }
                _ => {}
            }
        }
        super::assign::bound(then)
    }

    /// When something was: as the pilot's clock says, unless that is far off.
    pub(super) fn plausible(&self, said_at: Option<Time>) -> Time {
        said_at.filter(|_| self.odd_clock(said_at).is_none()).unwrap_or(self.now)
    }

    fn odd_clock(&self, said_at: Option<Time>) -> Oddities {
        Oddities::CLOCK.when(said_at.is_some_and(|at| is_far_off(at, self.now)))
    }
}

/// Whether a pilot's clock says what cannot be.
pub(crate) fn is_far_off(at: Time, now: Time) -> bool {
    at.millis_since(now) > EARLY || now.millis_since(at) > LATE
}

/// Whether a pilot has no room for one more order.
pub(super) fn is_full(city: &City, pilot: PilotKey) -> bool {
    city.pilot(pilot).is_none_or(|pilot| pilot.room() == 0)
}
