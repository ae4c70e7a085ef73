//! What the cloud shows of its state.

use serde_json::{Map, Value, json};

use super::{Order, OrderId, State};
use crate::oblivion::endpoint::Read;
use crate::oblivion::params::Params;
use crate::oblivion::refusal::Refusal;

/// Candidates that `/score` names for an order, at most.
const MAX_CANDIDATES: usize = 10;

impl State {
    /// Answers a request that changes nothing.
    pub(crate) fn read(&self, read: Read, params: Params<'_>) -> Result<Value, Refusal> {
        match read {
            Read::TrackOrder => self.track(params),
            Read::FindOrder => self.find(params),
            Read::Score => self.score(params),
            Read::Orders => Ok(json!({ "orders": self.all_orders() })),
            Read::Minions => Ok(json!({ "minions": self.minions_said() })),
        }
    }

    /// The page of the catalogue at a path; one that nobody wrote has a fixed content.
    pub(crate) fn page(&self, path: &str) -> String {
        let written = self.catalogue.get(path).cloned();
        written.unwrap_or_else(|| json!({ "path": path, "items": ["idli", "dosa", "vada"], "version": 1 }).to_string())
    }

    /// Every order in full, in the order of their ids.
    pub(crate) fn all_orders(&self) -> Vec<Value> {
        self.orders.iter().map(|(id, order)| self.order_json(*id, order)).collect()
    }

    /// Every pilot.
    pub(crate) fn all_minions(&self) -> Vec<Value> {
        let one = |(name, minion): (&String, &super::Minion)| {
            let orders: Vec<String> = minion.open.iter().map(OrderId::to_string).collect();
            let position = minion.position.map(super::Position::to_json);
            json!({ "minionId": name, "status": minion.availability.word(), "location": position, "orders": orders })
        };
        self.minions.iter().map(one).collect()
    }

    /// Every pilot, as a report would say it.
    fn minions_said(&self) -> Vec<Value> {
        let one = |(name, minion): (&String, &super::Minion)| {
            let mut said = json!({ "minionId": name, "status": minion.availability.word() });
            if let (Value::Object(said), Some(Value::Object(position))) =
                (&mut said, minion.position.map(super::Position::to_json))
            {
                said.extend(position);
            }
            said
        };
        self.minions.iter().map(one).collect()
    }

    /// The order with everything that the client ever said about it.
    pub(super) fn order_json(&self, id: OrderId, order: &Order) -> Value {
        let mut map = order.fields.clone();
        map.extend(self.tracked(id, order));
        Value::Object(map)
    }

    fn track(&self, params: Params<'_>) -> Result<Value, Refusal> {
        let text = params.text("orderId")?;
        let id = OrderId::parse(&text).ok_or_else(|| Refusal::OrderNotFound(text.clone()))?;
        let order = self.orders.get(&id).ok_or(Refusal::OrderNotFound(text))?;
        Ok(Value::Object(self.tracked(id, order)))
    }

    /// What `/trackOrder` tells.
    fn tracked(&self, id: OrderId, order: &Order) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("orderId".into(), id.to_string().into());
        map.insert("status".into(), order.status.word().into());
        if let Some(name) = &order.minion {
            map.insert("minionId".into(), name.clone().into());
            if let Some(position) = self.minions.get(name).and_then(|minion| minion.position) {
                map.insert("location".into(), position.to_json());
            }
        }
        if !order.status.is_final() {
            map.insert("eta".into(), order.eta.to_string().into());
        }
        let step = |step: &super::Step| {
            let mut map = Map::new();
            map.insert("status".into(), step.status.word().into());
            map.insert("at".into(), step.at.to_string().into());
            if let Some(minion) = &step.minion {
                map.insert("minionId".into(), minion.clone().into());
            }
            Value::Object(map)
        };
        map.insert("history".into(), order.history.iter().map(step).collect());
        map
    }

    /// Which orders a merchant placed under a reference of its own, oldest first.
    fn find(&self, params: Params<'_>) -> Result<Value, Refusal> {
        let key = (params.text("merchantId")?, params.text("clientRef")?);
        let found = self.by_ref.get(&key).map(Vec::as_slice).unwrap_or_default();
        let orders: Vec<Value> = found.iter().map(|id| json!({ "orderId": id.to_string() })).collect();
        Ok(json!({ "orders": orders }))
    }

    /// A pilot's score from 0 to 100 with its parts, or the nearest free pilots for an order.
    fn score(&self, params: Params<'_>) -> Result<Value, Refusal> {
        if let Some(name) = params.optional_text("minionId")? {
            let minion = self.minions.get(&name).ok_or_else(|| Refusal::MinionNotFound(name.clone()))?;
            let decided = minion.delivered + minion.rejected;
            let score = (100 * (minion.delivered + 1)).checked_div(decided + 1).unwrap_or(100);
            let parts = json!({ "delivered": minion.delivered, "rejected": minion.rejected });
            return Ok(json!({ "minionId": name, "score": score, "parts": parts }));
        }
        let text = params.text("orderId")?;
        let order = OrderId::parse(&text).and_then(|id| self.orders.get(&id));
        let order = order.ok_or_else(|| Refusal::OrderNotFound(text.clone()))?;
        let distance = |name: &String| {
            let position = self.minions.get(name)?.position?;
            Some((position.metres_to(order.pickup), name.clone()))
        };
        let mut ranked: Vec<(f64, String)> = self.free.iter().filter_map(distance).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        ranked.truncate(MAX_CANDIDATES);
        let candidate = |(metres, name): (f64, String)| {
            // One point for every 100 m.
            let score = 100_u64.saturating_sub((metres / 100.0) as u64);
            json!({ "minionId": name, "score": score, "metres": metres.round() })
        };
        let candidates: Vec<Value> = ranked.into_iter().map(candidate).collect();
        Ok(json!({ "orderId": text, "candidates": candidates }))
    }
}
