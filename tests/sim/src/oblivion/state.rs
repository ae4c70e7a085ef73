//! What the cloud knows, and how a write changes it. Pure: no clock, no files, no randomness, so
//! that applying the durable log again gives the same state.

mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::endpoint::Write;
use super::log::ItemEffect;
use super::order::{Availability, DeliveryStatus, OrderStatus};
use super::params::{Params, Position};
use super::refusal::Refusal;

/// Pilots ride at 20 km/h.
const METRES_PER_SECOND: f64 = 5.5;

/// The cloud's own order id, `OB-7` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderId(u64);

impl OrderId {
    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix("OB-")?.parse().ok().map(Self)
    }
}

impl std::fmt::Display for OrderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OB-{}", self.0)
    }
}

#[derive(Debug)]
struct Step {
    status: OrderStatus,
    at: Timestamp,
    minion: Option<String>,
}

#[derive(Debug)]
struct Order {
    /// As the client sent it, with every field that this cloud does not know.
    fields: Map<String, Value>,
    pickup: Position,
    dropoff: Position,
    status: OrderStatus,
    minion: Option<String>,
    eta: Timestamp,
    history: Vec<Step>,
    /// Replayed by a stand-in, which tells the assignments that it made: not dispatched here.
    decided_elsewhere: bool,
}

#[derive(Debug)]
struct Minion {
    position: Option<Position>,
    availability: Availability,
    open: BTreeSet<OrderId>,
    delivered: u64,
    rejected: u64,
}

impl Minion {
    fn new() -> Self {
        Self {
            position: None,
            availability: Availability::Offline,
            open: BTreeSet::new(),
            delivered: 0,
            rejected: 0,
        }
    }
}

/// One write, as decided from a request.
pub(crate) struct Command<'a> {
    pub(crate) write: Write,
    pub(crate) params: Params<'a>,
    pub(crate) at: Timestamp,
    /// The path and the body as they came, for the endpoints without parameters.
    pub(crate) path: &'a str,
    pub(crate) body: &'a str,
    /// Whether the request is a replay of what a stand-in decided.
    pub(crate) replay: bool,
}

/// What a write did.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The canonical answer.
    pub(crate) answer: Value,
    pub(crate) effect: &'static str,
    pub(crate) order: Option<OrderId>,
    pub(crate) minion: Option<String>,
    /// For a bulk request, what each item did.
    pub(crate) items: Vec<ItemEffect>,
}

impl Outcome {
    fn of(effect: &'static str, answer: Value) -> Self {
        Self { answer, effect, order: None, minion: None, items: Vec::new() }
    }
}

/// Orders, pilots, and the pages of the catalogue.
#[derive(Debug, Default)]
pub(crate) struct State {
    orders: BTreeMap<OrderId, Order>,
    minions: BTreeMap<String, Minion>,
    /// Available pilots without an order.
    free: BTreeSet<String>,
    /// Orders that wait for a pilot, oldest first.
    waiting: BTreeSet<OrderId>,
    by_ref: HashMap<(String, String), Vec<OrderId>>,
    catalogue: BTreeMap<String, String>,
    /// Whether orders are assigned by themselves.
    dispatches: bool,
}

impl State {
    /// An empty city, which assigns orders by itself or does not.
    pub(crate) fn new(dispatches: bool) -> Self {
        Self { dispatches, ..Self::default() }
    }

    /// Decides and applies one write. A refusal has changed nothing.
    pub(crate) fn apply(&mut self, command: &Command<'_>) -> Result<Outcome, Refusal> {
        let (params, at) = (command.params, command.at);
        let outcome = match command.write {
            Write::PlaceOrder => self.place(params, at, command.replay)?,
            Write::UpdateOrder => self.update(params)?,
            Write::CancelOrder | Write::CancelOrderll => self.cancel(params, at)?,
            Write::GeneralInfo => self.general_info(params)?,
            Write::DeliveryInfo => self.delivery_info(params, at)?,
            Write::GeneralInfoBulk => self.bulk(params.list("minions")?, Self::general_info),
            Write::DeliveryInfoBulk => {
                self.bulk(params.list("deliveries")?, |state, item| state.delivery_info(item, at))
            }
            Write::Catalogue => {
                self.catalogue.insert(command.path.to_owned(), command.body.to_owned());
                Outcome::of("catalogue", json!({ "path": command.path }))
            }
            Write::Echo => Outcome::of("echoed", Value::Null),
        };
        self.dispatch(at);
        Ok(outcome)
    }

    fn place(&mut self, params: Params<'_>, at: Timestamp, replay: bool) -> Result<Outcome, Refusal> {
        let merchant = params.text("merchantId")?;
        let (pickup, dropoff) = (params.place("pickup")?, params.place("dropoff")?);
        let ready = params.optional_time("readyAt")?.unwrap_or(at);
        let id = OrderId(self.orders.last_key_value().map_or(1, |(last, _)| last.0 + 1));
        if let Some(client_ref) = params.optional_text("clientRef")? {
            self.by_ref.entry((merchant, client_ref)).or_default().push(id);
        }
        let mut order = Order {
            fields: params.0.clone(),
            pickup,
            dropoff,
            status: OrderStatus::Placed,
            minion: None,
            eta: later(ready.max(at), pickup.metres_to(dropoff)),
            history: Vec::new(),
            decided_elsewhere: replay,
        };
        order.enter(OrderStatus::Placed, at);
        self.orders.insert(id, order);
        if !replay {
            self.waiting.insert(id);
            // The answer names the pilot where one is found at once.
            self.dispatch(at);
        }
        let order = self.order(id)?;
        let mut answer =
            json!({ "orderId": id.to_string(), "status": order.status.word(), "eta": order.eta.to_string() });
        if let (Some(minion), Value::Object(map)) = (&order.minion, &mut answer) {
            map.insert("minionId".into(), minion.clone().into());
        }
        let minion = order.minion.clone();
        Ok(Outcome { order: Some(id), minion, ..Outcome::of("placed", answer) })
    }

    fn update(&mut self, params: Params<'_>) -> Result<Outcome, Refusal> {
        /// What only the cloud itself decides.
        const OURS: [&str; 6] = ["orderId", "status", "minionId", "history", "location", "eta"];
        let (id, order) = self.order_mut(params)?;
        if !order.status.is_changeable() {
            return Err(Refusal::Conflict(format!("{id} is {} and cannot be changed", order.status.word())));
        }
        let pickup = params.0.contains_key("pickup").then(|| params.place("pickup")).transpose()?;
        let dropoff = params.0.contains_key("dropoff").then(|| params.place("dropoff")).transpose()?;
        params.optional_time("readyAt")?;
        let changes = params.0.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
        order.fields.extend(changes.map(|(name, value)| (name.clone(), value.clone())));
        order.pickup = pickup.unwrap_or(order.pickup);
        order.dropoff = dropoff.unwrap_or(order.dropoff);
        self.done("updated", id)
    }

    fn cancel(&mut self, params: Params<'_>, at: Timestamp) -> Result<Outcome, Refusal> {
        let (id, order) = self.order_mut(params)?;
        if order.status == OrderStatus::Cancelled {
            return self.done("unchanged", id);
        }
        if !order.status.is_changeable() {
            return Err(Refusal::Conflict(format!("{id} is {} and cannot be cancelled", order.status.word())));
        }
        order.enter(OrderStatus::Cancelled, at);
        if let Some(minion) = order.minion.clone() {
            self.release(&minion, id);
        }
        self.waiting.remove(&id);
        self.done("cancelled", id)
    }

    /// The answer of a merchant's command: the order as it is now.
    fn done(&self, effect: &'static str, id: OrderId) -> Result<Outcome, Refusal> {
        let order = self.order(id)?;
        let answer = self.order_json(id, order);
        Ok(Outcome { order: Some(id), minion: order.minion.clone(), ..Outcome::of(effect, answer) })
    }

    fn general_info(&mut self, params: Params<'_>) -> Result<Outcome, Refusal> {
        let name = params.text("minionId")?;
        let position = params.optional_position("")?;
        params.optional_time("at")?;
        let word = params.optional_text("status")?;
        let unknown = || Refusal::invalid("status", "available, busy or offline is expected");
        let availability = word.map(|word| Availability::parse(&word).ok_or_else(unknown)).transpose()?;
        let minion = self.minions.entry(name.clone()).or_insert_with(Minion::new);
        minion.position = position.or(minion.position);
        minion.availability = availability.unwrap_or(minion.availability);
        let answer = json!({ "minionId": name, "status": minion.availability.word() });
        self.settle(&name);
        Ok(Outcome { minion: Some(name), ..Outcome::of("generalinfo", answer) })
    }

    fn delivery_info(&mut self, params: Params<'_>, now: Timestamp) -> Result<Outcome, Refusal> {
        let name = params.text("minionId")?;
        let word = params.text("status")?;
        let at = params.optional_time("at")?.unwrap_or(now);
        let position = params.optional_position("")?;
        let event = DeliveryStatus::parse(&word).ok_or_else(|| Refusal::invalid("status", "an unknown status"))?;
        let (id, order) = self.order_mut(params)?;
        let same_pilot = order.minion.as_ref().is_none_or(|minion| *minion == name);
        let repeated = event == DeliveryStatus::Forward(order.status) && event.word() == "assigned" && same_pilot;
        let next = event.after(order.status).filter(|_| same_pilot);
        let Some(next) = next else {
            if repeated {
                return self.done("unchanged", id);
            }
            let whom = order.minion.as_deref().unwrap_or("nobody");
            let now = order.status.word();
            return Err(Refusal::Conflict(format!("{id} is {now} with {whom}: {word} by {name} is not possible")));
        };
        order.minion = Some(name.clone());
        order.enter(next, at);
        if event == DeliveryStatus::Rejected {
            order.minion = None;
        }
        let (finished, waits) = (next.is_final(), next == OrderStatus::Placed && !order.decided_elsewhere);
        let minion = self.minions.entry(name.clone()).or_insert_with(Minion::new);
        minion.position = position.or(minion.position);
        match event {
            DeliveryStatus::Rejected => minion.rejected += 1,
            DeliveryStatus::Forward(OrderStatus::Delivered) => minion.delivered += 1,
            DeliveryStatus::Forward(_) => {}
        }
        self.waiting.remove(&id);
        if waits {
            self.waiting.insert(id);
        }
        if finished || event == DeliveryStatus::Rejected {
            self.release(&name, id);
        } else {
            self.carry(&name, id);
        }
        let answer = json!({ "orderId": id.to_string(), "minionId": name, "status": next.word() });
        Ok(Outcome { order: Some(id), minion: Some(name), ..Outcome::of(event.word(), answer) })
    }

    /// One item after the other; what one refuses does not hold back the others.
    fn bulk(
        &mut self,
        list: &[Value],
        mut apply: impl FnMut(&mut Self, Params<'_>) -> Result<Outcome, Refusal>,
    ) -> Outcome {
        let mut results = Vec::with_capacity(list.len());
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            let outcome = match item {
                Value::Object(map) => apply(self, Params(map)),
                _ => Err(Refusal::MalformedBody("each item must be an object".into())),
            };
            match outcome {
                Ok(outcome) => {
                    results.push(json!({ "status": 200 }));
                    items.push(ItemEffect {
                        order_id: outcome.order.map(|id| id.to_string()),
                        minion_id: outcome.minion,
                        effect: outcome.effect.to_owned(),
                        status: 200,
                    });
                }
                Err(refusal) => {
                    let status = refusal.status().as_u16();
                    results.push(json!({ "status": status, "code": refusal.code(), "detail": refusal.to_string() }));
                    items.push(ItemEffect {
                        order_id: None,
                        minion_id: None,
                        effect: refusal.code().to_owned(),
                        status,
                    });
                }
            }
        }
        Outcome { items, ..Outcome::of("bulk", json!({ "results": results })) }
    }

    /// Gives waiting orders to the nearest free pilots, the oldest order first.
    fn dispatch(&mut self, at: Timestamp) {
        while self.dispatches {
            let Some((id, pickup)) = self.waiting.first().and_then(|id| Some((*id, self.orders.get(id)?.pickup)))
            else {
                return;
            };
            let distance = |name| Some((self.minions.get(name)?.position?.metres_to(pickup), name));
            let nearest = self.free.iter().filter_map(distance).min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((metres, name)) = nearest.map(|(metres, name)| (metres, name.clone())) else {
                return;
            };
            self.waiting.remove(&id);
            if let Some(order) = self.orders.get_mut(&id) {
                order.minion = Some(name.clone());
                order.eta = later(order.eta, metres);
                order.enter(OrderStatus::Assigned, at);
            }
            self.carry(&name, id);
        }
    }

    fn carry(&mut self, name: &str, id: OrderId) {
        if let Some(minion) = self.minions.get_mut(name) {
            minion.open.insert(id);
        }
        self.settle(name);
    }

    fn release(&mut self, name: &str, id: OrderId) {
        if let Some(minion) = self.minions.get_mut(name) {
            minion.open.remove(&id);
        }
        self.settle(name);
    }

    /// Keeps `free` true for one pilot.
    fn settle(&mut self, name: &str) {
        let is_free = self
            .minions
            .get(name)
            .is_some_and(|minion| minion.availability == Availability::Available && minion.open.is_empty());
        if is_free {
            self.free.insert(name.to_owned());
        } else {
            self.free.remove(name);
        }
    }

    fn order(&self, id: OrderId) -> Result<&Order, Refusal> {
        self.orders.get(&id).ok_or_else(|| Refusal::OrderNotFound(id.to_string()))
    }

    fn order_mut(&mut self, params: Params<'_>) -> Result<(OrderId, &mut Order), Refusal> {
        let text = params.text("orderId")?;
        let found = OrderId::parse(&text).and_then(|id| Some((id, self.orders.get_mut(&id)?)));
        found.ok_or(Refusal::OrderNotFound(text))
    }
}

impl Order {
    fn enter(&mut self, status: OrderStatus, at: Timestamp) {
        self.status = status;
        self.history.push(Step { status, at, minion: self.minion.clone() });
    }
}

/// `at`, plus the time for a way of so many metres, in whole seconds.
fn later(at: Timestamp, metres: f64) -> Timestamp {
    let way = SignedDuration::from_secs((metres / METRES_PER_SECOND) as i64);
    at.checked_add(way).unwrap_or(at)
}

#[cfg(test)]
mod tests;
