//! Which calls a decision owes.
//!
//! Pilots are told of what is decided here, whoever is the server; of what the upstream decided they are told only
//! where it takes away what was given here, or gives back what was taken away here. Merchants are told by whoever is the
//! server: by the gateway while it acts, when the upstream overrules what they were told, and when the operator calls off
//! what the upstream will never hear of.

use megamind_domain::Ctx;

use super::{Action, Call, CallKey, Channel, Kind, Target};
use crate::{
    City, Deliveries,
    command::{Command, Watched},
    dialect::render_call,
    event::{CallDue, Event, V},
    evolve::evolve,
    id::LocalId,
    order::{Order, OrderKey, Status},
    pilot::PilotKey,
};

/// Adds the calls that a decision owes to its events.
pub(crate) fn add_due(domain: &Deliveries, city: &City, command: &Command, events: &mut Vec<Event>, ctx: &mut Ctx<'_>) {
    let settings = &domain.settings.calls;
    let nobody = settings.allow.is_empty() && !settings.sms && city.merchants().next().is_none();
    if nobody || !events.iter().any(|event| order_of(event).is_some()) {
        return;
    }
    let watched = matches!(command, Command::Watched(_) | Command::Alias { .. });
    let taken_over = match command {
        Command::Watched(watched) => matches!(&**watched, Watched::Order(seen) if seen.settles),
        _ => false,
    };
    let disowned = matches!(command, Command::Disown { .. });
    let mut owed = Owed { domain, city: city.clone(), watched, taken_over, disowned, calls: Vec::new(), ctx };
    for event in &*events {
        owed.take(event);
    }
    let calls = owed.calls;
    events.extend(calls);
}

/// The order whose state an event changes. Every kind is named here, so that whoever adds one thinks of who is told.
fn order_of(event: &Event) -> Option<OrderKey> {
    match event {
        Event::OrderPlaced(event) => Some(event.order),
        Event::OrderSeen(event) => Some(event.order),
        Event::OrderAssigned(event) => Some(event.order),
        Event::OrderAccepted(event) | Event::OrderRejected(event) => Some(event.order),
        Event::OrderLapsed(event) => Some(event.order),
        Event::OrderProgressed(event) => Some(event.order),
        Event::OrderUpdated(event) => Some(event.order),
        Event::OrderCancelled(event) => Some(event.order),
        Event::OrderJoined(event) => Some(event.order),
        Event::OrderAliased(_)
        | Event::OrderRetired(_)
        | Event::OrderRecalled(_)
        | Event::PilotSeen(_)
        | Event::PilotChanged(_)
        | Event::CallDue(_)
        | Event::CallSettled(_)
        | Event::MerchantSet(_) => None,
    }
}

/// What calls depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Glimpse {
    status: Status,
    pilot: Option<PilotKey>,
    carrier: Option<PilotKey>,
    assigned_here: bool,
    ours: bool,
}

impl Glimpse {
    fn of(order: Option<&Order>) -> Self {
        let Some(order) = order else {
            return Self { status: Status::Unknown, pilot: None, carrier: None, assigned_here: false, ours: false };
        };
        Self {
            status: order.status(),
            pilot: order.pilot(),
            carrier: order.carrier(),
            assigned_here: order.assigned_here,
            ours: order.local().is_some(),
        }
    }
}

/// The calls that are owed so far.
struct Owed<'a, 'c> {
    domain: &'a Deliveries,
    /// The city after the events so far, and the calls.
    city: City,
    /// Whether the upstream decided it.
    watched: bool,
    /// Whether it replaces what was decided here, after the drain.
    taken_over: bool,
    /// Whether the upstream will never hear of the order.
    disowned: bool,
    calls: Vec<Event>,
    ctx: &'a mut Ctx<'c>,
}

impl Owed<'_, '_> {
    fn take(&mut self, event: &Event) {
        let Some(key) = order_of(event) else {
            evolve(&mut self.city, event);
            return;
        };
        let before = Glimpse::of(self.city.order(key));
        let other = match event {
            Event::OrderJoined(event) => self.city.order(event.other).map(|order| Glimpse::of(Some(order))),
            _ => None,
        };
        evolve(&mut self.city, event);
        let after = Glimpse::of(self.city.order(key));
        for lost in [Some(before), other].into_iter().flatten() {
            self.lost(event, key, lost, after, other.is_some());
        }
        match event {
            Event::OrderAssigned(event) if event.here && !self.watched => {
                self.pilot(event.pilot, Action::Assign, key);
            }
            Event::OrderUpdated(_) if !self.watched => {
                if let Some(pilot) = after.carrier {
                    self.pilot(pilot, Action::Change, key);
                }
            }
            // Who was told to leave it is to carry it after all.
            _ if self.taken_over && before.status == Status::Cancelled && before.pilot == after.carrier => {
                if let Some(pilot) = after.carrier {
                    self.pilot(pilot, Action::Assign, key);
                }
            }
            _ => {}
        }
        self.tell_merchant(key, before, after, other.is_some());
    }

    /// Whoever carried it and does not any more is told, unless the news is the pilot's own.
    fn lost(&mut self, event: &Event, key: OrderKey, before: Glimpse, after: Glimpse, joined: bool) {
        let Some(pilot) = before.carrier.filter(|pilot| after.carrier != Some(*pilot)) else {
            return;
        };
        let own_news = match event {
            Event::OrderRejected(event) => event.pilot == pilot,
            _ => matches!(after.status, Status::Delivered | Status::Failed) && after.pilot == Some(pilot),
        };
        if !own_news && (!self.watched || before.assigned_here || joined) {
            self.pilot(pilot, Action::Cancel, key);
        }
    }

    /// Owes a pilot a call, where there is a way to make one.
    fn pilot(&mut self, pilot: PilotKey, action: Action, order: OrderKey) {
        let profile = self.city.pilot(pilot).map(crate::pilot::Pilot::profile);
        let channel = match profile {
            Some(profile) if profile.callback_url.is_some() => Channel::Http,
            Some(profile) if profile.phone.is_some() && self.domain.settings.calls.sms => Channel::Sms,
            _ => return,
        };
        let payload = render_call::assign(&self.city, &self.domain.settings, order, pilot, action);
        self.owe(Target::Pilot(pilot), Kind::Assign(action), order, channel, payload);
    }

    fn tell_merchant(&mut self, key: OrderKey, before: Glimpse, after: Glimpse, joined: bool) {
        let changed = before.status != after.status || before.carrier != after.carrier;
        let overruled =
            self.watched && (joined || before.assigned_here || (before.ours && after.status == Status::Cancelled));
        let tells = if self.watched {
            overruled || self.taken_over
        } else {
            self.disowned || self.ctx.stance == megamind_domain::Stance::Acting
        };
        if !changed || !tells {
            return;
        }
        let Some(merchant) = self.city.order(key).and_then(Order::merchant).map(Box::<str>::from) else {
            return;
        };
        let settings = &self.domain.settings;
        let known = settings.calls.merchants.contains(&*merchant) || self.city.merchant(&merchant).is_some();
        if !known || self.city.calls_count() >= settings.calls.max_calls {
            return;
        }
        let target = Target::Merchant(merchant);
        let payload = render_call::delivery_info(&self.city, settings, key, self.ctx.now);
        self.owe(target.clone(), Kind::DeliveryInfo, key, Channel::Http, payload);
        if let Some(pilot) = after.carrier.filter(|pilot| before.carrier != Some(*pilot)) {
            let payload = render_call::general_info(&self.city, settings, key, pilot);
            self.owe(target, Kind::GeneralInfo, key, Channel::Http, payload);
        }
    }

    fn owe(&mut self, target: Target, kind: Kind, order: OrderKey, channel: Channel, payload: Box<str>) {
        let key = CallKey(self.city.next_key(0));
        let id = LocalId(self.ctx.next_id());
        let call = Call { key, id, target, kind, order, at: self.ctx.now, channel, payload, parked: None };
        let event = Event::CallDue(Box::new(CallDue { v: V, call: key, owed: call }));
        evolve(&mut self.city, &event);
        self.calls.push(event);
    }
}
