//! The way back: what goes to the upstream together, and how it has an order afterwards.

use std::{borrow::Cow, num::NonZeroU64};

use megamind_domain::{Endpoint, EntityKey, Exchange, Request};

use crate::{
    City, Command, Deliveries, coalesce,
    command::Watched,
    dialect::{Field, node::Node, request},
    endpoints::Route,
    id::LocalId,
    observe,
    order::{Order, OrderKey, Part, Status},
    settings::Assigned,
};

/// The member of an item of a bulk request that carries the item's own idempotency key. No matter of the dialect.
pub const ITEM_KEY: &str = "idempotencyKey";

impl Deliveries {
    /// What follows when the operator discards the request that placed an order here: it is called off.
    pub fn disowned(&self, created: &str, why: &str) -> Option<Command> {
        let local = LocalId::parse(self.settings().naming(), created)?;
        Some(Command::Disown { local, why: why.into() })
    }

    /// The request that tells how the upstream has an order.
    pub fn question(&self, city: &City, subject: EntityKey) -> Option<(Endpoint, Request)> {
        Some(self.question_about(order(city, subject)?.upstream()?))
    }

    /// The merchant who placed an order, as far as is known.
    pub fn merchant_of(&self, city: &City, subject: EntityKey) -> Option<Box<str>> {
        order(city, subject)?.text.get(Part::Merchant).map(Box::from)
    }

    /// The fields in which the upstream's answer to [`Deliveries::question`] differs from the city.
    pub fn differences(&self, city: &City, subject: EntityKey, exchange: &Exchange<Command>) -> Vec<&'static str> {
        let Some(order) = order(city, subject) else {
            return Vec::new();
        };
        if exchange.status == 404 {
            return vec!["orderId"];
        }
        let observed = observe::observe(self, city, exchange).command;
        let Some(Command::Watched(watched)) = observed else {
            return Vec::new();
        };
        let Watched::Order(seen) = *watched else {
            return Vec::new();
        };
        let mut fields = Vec::new();
        // A cloud that is not told of assignments has an assigned order as placed.
        let untold = self.settings().dispatch.assigned == Assigned::Skip
            && seen.status == Some(Status::Placed)
            && matches!(order.status(), Status::Assigned);
        let known = seen.status.filter(|status| *status != Status::Unknown && !untold);
        if known.is_some_and(|status| status != order.status()) {
            fields.push("status");
        }
        let theirs = seen.pilot.as_ref().map(crate::id::Name::text);
        let ours = order.carrier().or(order.pilot()).and_then(|pilot| city.pilot(pilot));
        let ours = ours.map(|pilot| pilot.id().text());
        if theirs.is_some_and(|theirs| ours.as_deref() != Some(theirs)) {
            fields.push("minionId");
        }
        fields
    }

    /// Whether requests of an endpoint have a bulk form.
    pub fn goes_in_bulk(&self, endpoint: Endpoint) -> bool {
        matches!(Route::of(endpoint), Some(Route::GeneralInfo | Route::DeliveryInfo))
    }

    /// One request for all of these, which are of one endpoint: each with everything that it said, and its own key
    /// where it has one. `None` where one of them cannot be read.
    pub fn bulk(&self, endpoint: Endpoint, members: &[(&Request, Option<&str>)]) -> Option<(Endpoint, Request)> {
        let (route, list, keyed) = match Route::of(endpoint)? {
            Route::GeneralInfo => (Route::GeneralInfos, Field::Minions, false),
            Route::DeliveryInfo => (Route::DeliveryInfos, Field::Deliveries, true),
            _ => return None,
        };
        let mut items = Vec::with_capacity(members.len());
        for (request, key) in members {
            let Node::Map(mut item) = request::content(request).ok()? else {
                return None;
            };
            coalesce::to_numbers(&self.settings().dialect, &mut item);
            if let (true, Some(key)) = (keyed, key) {
                item.push((Cow::Borrowed(ITEM_KEY), Node::Text(Cow::Borrowed(key))));
            }
            items.push(Node::Map(item));
        }
        let body = Node::Map(vec![(Cow::Borrowed(self.wire(list)), Node::List(items))]);
        let request = Request {
            method: "POST".into(),
            path: self.settings().dialect.path(route.path()).into(),
            content_type: Some("application/json".into()),
            body: body.to_json().into(),
            ..Request::default()
        };
        Some((route.endpoint(), request))
    }

    /// The status of each item of the answer to a bulk request; `None` where the answer has another form.
    pub fn results(&self, body: &[u8]) -> Option<Vec<u16>> {
        let content = request::json(body).ok()?;
        observe::statuses(self, &content)?.into_iter().collect()
    }
}

fn order(city: &City, subject: EntityKey) -> Option<&Order> {
    city.order(OrderKey(NonZeroU64::new(subject.0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn deliveries() -> Deliveries {
        Deliveries::new(Settings::new("tst"))
    }

    fn json_of(request: &Request) -> serde_json::Value {
        serde_json::from_slice(&request.body).expect("JSON")
    }

    #[test]
    fn items_keep_what_they_said_in_every_form_and_have_their_own_keys() {
        let json = Request {
            content_type: Some("application/json".into()),
            body: r#"{"orderId":"OB-1","minionId":7,"status":"delivered","extra":{"a":[1,"x"]}}"#.into(),
            ..Request::default()
        };
        let form = Request {
            query: Some("orderId=OB-2".into()),
            content_type: Some("application/x-www-form-urlencoded".into()),
            body: "minionId=8&status=accepted&lat=12.5&lng=77.25".into(),
            ..Request::default()
        };
        let members = [(&json, Some("k1")), (&form, Some("k2"))];
        let (endpoint, request) = deliveries()
            .bulk(Route::DeliveryInfo.endpoint(), &members)
            .expect("a bulk request");
        assert_eq!(endpoint, Route::DeliveryInfos.endpoint());
        assert_eq!(&*request.path, "/updatemaster/bulk/deliveryInfo");
        let expected = serde_json::json!({"deliveries": [
            {"orderId": "OB-1", "minionId": 7, "status": "delivered", "extra": {"a": [1, "x"]}, "idempotencyKey": "k1"},
            {"orderId": "OB-2", "minionId": "8", "status": "accepted", "lat": 12.5, "lng": 77.25, "idempotencyKey": "k2"},
        ]});
        assert_eq!(json_of(&request), expected);
    }

    #[test]
    fn positions_share_the_key_of_their_request() {
        let position = Request {
            content_type: Some("application/json".into()),
            body: r#"{"minionId":"P1","lat":1.5,"lng":2.5}"#.into(),
            ..Request::default()
        };
        let members = [(&position, Some("k1"))];
        let (_, request) = deliveries()
            .bulk(Route::GeneralInfo.endpoint(), &members)
            .expect("a bulk request");
        let expected = serde_json::json!({"minions": [{"minionId": "P1", "lat": 1.5, "lng": 2.5}]});
        assert_eq!(json_of(&request), expected);
        assert!(deliveries().bulk(Route::PlaceOrder.endpoint(), &members).is_none());
    }

    #[test]
    fn results_are_read_only_in_their_own_form() {
        let read = |body: &str| deliveries().results(body.as_bytes());
        assert_eq!(read(r#"{"results":[{"status":200},{"status":404,"code":"no"}]}"#), Some(vec![200, 404]));
        assert_eq!(read(r#"{"results":[{"status":"fine"}]}"#), None);
        assert_eq!(read(r#"{"ok":true}"#), None);
        assert_eq!(read("<html>"), None);
    }
}
