//! Which entities something concerns, and in what role.

use megamind_domain::{EntityKey, Role, Touch, Touches};

use crate::{
    City,
    city::COUNTER,
    command::{Command, DeliveryReport, PilotQuery, Watched},
    event::Event,
    id::Name,
    order::OrderKey,
    pilot::PilotKey,
};

fn subject(order: OrderKey) -> Touch {
    Touch { key: order.into(), role: Role::Subject }
}

fn actor(pilot: PilotKey) -> Touch {
    Touch { key: pilot.into(), role: Role::Actor }
}

fn row(key: EntityKey) -> Touch {
    Touch { key, role: Role::Row }
}

/// The entities that an event changed, in the city after it.
pub(crate) fn changed(event: &Event) -> Touches {
    let mut touches = Touches::new();
    match event {
        Event::OrderPlaced(event) => touches.extend([subject(event.order), row(COUNTER)]),
        Event::OrderSeen(event) => {
            touches.extend([subject(event.order), row(COUNTER)]);
            touches.extend(event.pilot.map(actor));
        }
        Event::OrderAssigned(event) => touches.extend([subject(event.order), actor(event.pilot)]),
        Event::OrderAccepted(event) | Event::OrderRejected(event) => {
            touches.extend([subject(event.order), actor(event.pilot)]);
        }
        Event::OrderLapsed(event) => touches.extend([subject(event.order), actor(event.pilot)]),
        Event::OrderProgressed(event) => {
            touches.push(subject(event.order));
            touches.extend(event.pilot.map(actor));
        }
        Event::OrderUpdated(event) => touches.push(subject(event.order)),
        Event::OrderCancelled(event) => touches.push(subject(event.order)),
        Event::OrderAliased(event) => touches.push(subject(event.order)),
        Event::OrderJoined(event) => touches.extend([subject(event.order), subject(event.other)]),
        Event::OrderRetired(event) => touches.push(row(event.order.into())),
        Event::OrderRecalled(event) => touches.push(row(event.order.into())),
        Event::PilotSeen(event) => touches.extend([row(event.pilot.into()), row(COUNTER)]),
        // A position alone is overwritten by the next one: nothing has to wait for it.
        Event::PilotChanged(event) if event.availability.is_none() && event.profile.is_empty() => {
            touches.push(row(event.pilot.into()));
        }
        Event::PilotChanged(event) => touches.push(actor(event.pilot)),
        Event::CallDue(event) => touches.extend([row(event.call.into()), row(COUNTER)]),
        Event::CallSettled(event) => touches.push(row(event.call.into())),
        Event::MerchantSet(event) => touches.extend([row(event.merchant.into()), row(COUNTER)]),
    }
    touches
}

/// The known entities that a command names.
pub(crate) fn named(city: &City, command: &Command) -> Touches {
    let mut names = Names { city, touches: Touches::new() };
    match command {
        Command::PlaceOrder(_)
        | Command::DispatchDue
        | Command::FollowPlan(_)
        | Command::AssignMany(None)
        | Command::AssignAll(_)
        | Command::SettleCalls(_)
        | Command::SetMerchant { .. }
        | Command::Recall { .. } => {}
        Command::Retire(orders) => orders.iter().for_each(|&order| names.add(subject(order))),
        Command::AssignNow(order) => names.add(subject(*order)),
        Command::TakeBack { order, pilot, .. } => {
            names.add(subject(*order));
            names.add(actor(*pilot));
        }
        Command::AssignPlanned(planned) => {
            names.add(subject(planned.order));
            names.add(actor(planned.pilot));
        }
        Command::TrackOrder(order)
        | Command::UpdateOrder { order, .. }
        | Command::CancelOrder { order, .. }
        | Command::RankPilots(order) => names.order(order),
        Command::ScorePilot(pilot) => names.pilot(pilot),
        Command::ReportPilots(many) | Command::SetPilots(many) => {
            many.read().for_each(|report| names.pilot(&report.pilot));
        }
        Command::ReportDeliveries(many) => many.read().for_each(|report| names.delivery(report)),
        Command::Assign(assignment) => {
            names.order(&assignment.order);
            assignment.pilot.iter().for_each(|pilot| names.pilot(pilot));
        }
        Command::AssignMany(Some(many)) => {
            many.read().for_each(|assignment| names.order(&assignment.order));
        }
        Command::ShowPilots(query) | Command::ShowDeliveries(query) => {
            query.one.iter().for_each(|pilot| names.pilot(pilot));
            if query.since.is_some() {
                names.carried(query);
            }
        }
        Command::Watched(watched) => names.watched(watched),
        Command::Disown { local, .. } => {
            if let Some(order) = city.find_local(*local) {
                names.add(subject(order.key()));
            }
        }
        Command::Alias { local, upstream } => {
            if let Some(order) = city.find_local(*local) {
                names.add(subject(order.key()));
            }
            names.order(upstream);
        }
    }
    names.touches
}

/// The pilot behind a name, if known.
pub(crate) fn of_pilot(city: &City, pilot: &Name) -> Touches {
    let mut names = Names { city, touches: Touches::new() };
    names.pilot(pilot);
    names.touches
}

/// The known entities that a report names.
pub(crate) fn of_delivery(city: &City, report: &DeliveryReport) -> Touches {
    let mut names = Names { city, touches: Touches::new() };
    names.delivery(report);
    names.touches
}

/// Collects the entities behind names, each once.
struct Names<'c> {
    city: &'c City,
    touches: Touches,
}

impl Names<'_> {
    fn add(&mut self, touch: Touch) {
        if !self.touches.contains(&touch) {
            self.touches.push(touch);
        }
    }

    fn order(&mut self, name: &Name) {
        if let Some(order) = self.city.find_order(name) {
            self.add(subject(order.key()));
        }
    }

    fn pilot(&mut self, name: &Name) {
        if let Some(pilot) = self.city.find_pilot(name) {
            self.add(actor(pilot.key()));
        }
    }

    /// What the pilot carries: news about any of it is news for who waits.
    fn carried(&mut self, query: &PilotQuery) {
        let pilot = query.one.as_ref().and_then(|name| self.city.find_pilot(name));
        for order in pilot.into_iter().flat_map(|pilot| self.city.carried_by(pilot.key())) {
            self.add(subject(order));
        }
    }

    fn delivery(&mut self, report: &DeliveryReport) {
        self.order(&report.order);
        self.pilot(&report.pilot);
    }

    fn watched(&mut self, watched: &Watched) {
        match watched {
            Watched::Order(seen) => {
                self.order(&seen.order);
                seen.pilot.iter().for_each(|pilot| self.pilot(pilot));
            }
            Watched::Pilots(reports) => {
                for report in reports {
                    self.pilot(&report.pilot);
                }
            }
            Watched::Deliveries(reports) => {
                for report in reports {
                    self.delivery(report);
                }
            }
            Watched::Cancelled(order) => self.order(order),
        }
    }
}
