//! Open orders of which too little is known: the upstream assigns without the gateway seeing it.

use std::{borrow::Cow, fmt::Display};

use bytes::Bytes;
use megamind_domain::{Endpoint, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    City, Deliveries,
    dialect::{Field, node::Node, request},
    endpoints::Route,
    order::Status,
};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Deliveries {
    /// Requests whose answers, watched, fill the gaps: trackOrder for open orders of the upstream's that nobody is
    /// known to carry, oldest first, `limit` at most.
    pub fn gaps(&self, city: &City, limit: usize) -> Vec<(Endpoint, Request)> {
        city.orders()
            .filter(|order| matches!(order.status(), Status::Unknown | Status::Placed))
            .filter_map(|order| order.upstream())
            .take(limit)
            .map(|id| self.question_about(id))
            .collect()
    }

    /// What a list of the upstream's holds, a list alone or one under a member: orders as answers to trackOrder, pilots as
    /// answers about one.
    pub fn listed(&self, body: &[u8]) -> Vec<(Endpoint, Request, Bytes)> {
        let Ok(content) = request::json(body) else {
            return Vec::new();
        };
        let inner = match self.settings().dialect.envelope_data() {
            Some(data) => content.get(data).unwrap_or(&content),
            None => &content,
        };
        let items: &[Node<'_>] = match inner {
            Node::List(items) => items,
            Node::Map(members) => members
                .iter()
                .find_map(|(_, value)| match value {
                    Node::List(items) if matches!(items.first(), Some(Node::Map(_))) => Some(items.as_slice()),
                    _ => None,
                })
                .unwrap_or_default(),
            _ => &[],
        };
        items.iter().filter_map(|item| self.thing(item)).collect()
    }

    fn thing(&self, item: &Node<'_>) -> Option<(Endpoint, Request, Bytes)> {
        let id = |field| match item.get(self.wire(field))? {
            Node::Text(text) if !text.is_empty() => Some(text.to_string()),
            Node::Integer(number) => Some(number.to_string()),
            _ => None,
        };
        let (endpoint, request) = match (id(Field::OrderId), id(Field::MinionId)) {
            (Some(order), _) => self.question_about(&order),
            (None, Some(pilot)) => self.read(Route::GetPilot, Field::MinionId, &pilot),
            (None, None) => return None,
        };
        let body = match self.settings().dialect.envelope_data() {
            Some(data) => Node::Map(vec![(Cow::Borrowed(data), item.clone())]).to_json(),
            None => item.to_json(),
        };
        Some((endpoint, request, body.into()))
    }

    /// trackOrder, by the upstream's id.
    pub(crate) fn question_about(&self, id: &str) -> (Endpoint, Request) {
        self.read(Route::TrackOrder, Field::OrderId, id)
    }

    /// A read about one thing.
    fn read(&self, route: Route, field: Field, id: &str) -> (Endpoint, Request) {
        let request = Request {
            method: "GET".into(),
            path: self.settings().dialect.path(route.path()).as_str().into(),
            query: Some(format!("{}={}", encoded(self.wire(field)), encoded(id)).into()),
            ..Request::default()
        };
        (route.endpoint(), request)
    }
}

/// Percent-encoded as a query wants it.
fn encoded(text: &str) -> impl Display + '_ {
    utf8_percent_encode(text, &RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Settings,
        dialect::{Dialect, Envelope, Table},
    };

    fn listed(domain: &Deliveries, body: &str) -> Vec<(String, String)> {
        let things = domain.listed(body.as_bytes()).into_iter();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).expect("text");
        things
            .map(|(_, request, body)| (format!("{}?{}", request.path, request.query.unwrap_or_default()), text(body)))
            .collect()
    }

    #[test]
    fn orders_and_pilots_are_found_in_lists_of_many_shapes() {
        let domain = Deliveries::new(Settings::new("tst"));
        let order = r#"{"orderId":"OB 1","status":"placed","minionId":"P1"}"#;
        let pilot = r#"{"minionId":7,"lat":1.5}"#;
        let expected = [
            ("/trackOrder?orderId=OB%201".to_owned(), order.to_owned()),
            ("/ind/getminiongeneralinfo?minionId=7".to_owned(), pilot.to_owned()),
        ];
        for body in [
            format!("[{order},{pilot},{{}},3]"),
            format!(r#"{{"count":2,"tags":["a"],"orders":[{order},{pilot}]}}"#),
        ] {
            assert_eq!(listed(&domain, &body), expected, "{body}");
        }
        for nothing in ["", "{}", "7", "[]", r#"{"orders":{}}"#] {
            assert_eq!(listed(&domain, nothing), [], "{nothing}");
        }
    }

    #[test]
    fn an_envelope_is_taken_off_and_put_on() {
        let envelope = Envelope { data: "data".into(), ..Envelope::default() };
        let dialect = Dialect::new(Table { envelope: Some(envelope), ..Table::default() });
        let domain = Deliveries::new(Settings { dialect, ..Settings::new("tst") });
        let things = listed(&domain, r#"{"ok":true,"data":{"orders":[{"orderId":"1"}]}}"#);
        assert_eq!(things, [("/trackOrder?orderId=1".to_owned(), r#"{"data":{"orderId":"1"}}"#.to_owned())]);
    }
}
