//! Asking the upstream whether a write of unknown fate arrived, as `[upstream.lookup]` says.
//!
//! Only what creates something can be asked for, by the fields that tell it from any other; where one of them is
//! missing, its absence cannot be proved.

use std::sync::Arc;

use bytes::Bytes;
use megamind_conf::{Lookup, LookupMethod};
use megamind_domain::{Domain, Request};
use megamind_store::Entry;
use pingora::http::ResponseHeader;
use serde_json::{Map, Value};

use crate::{
    core::Core,
    credentials::Carried,
    outbound::{self, Ask},
    upstream::{Exchanger, Failure, decoded, media_type, retry_after},
};

/// The longest answer that is read: 64 KiB.
const COLLECT: usize = 64 * 1024;

/// What the upstream knows of a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It arrived: the upstream's id for what it created.
    Arrived(Box<str>),
    /// It has not arrived.
    Absent,
    /// It is nothing that can be asked for.
    NotProvable,
}

/// Why nothing was learned.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The upstream failed by the test of failure.
    Failed(Failure),
    /// The credential that was carried is not accepted.
    Credential,
    /// The answer says neither yes nor no.
    Unclear {
        /// For the log.
        why: String,
        /// Seconds of a `Retry-After`.
        after: Option<u32>,
    },
}

/// Asks for an entry, with the credential that it would be sent with.
///
/// # Errors
/// See [`NoAnswer`]; nothing is known then.
pub(super) async fn look_up<D: Domain>(
    core: &Arc<Core<D>>,
    exchanger: &Exchanger,
    entry: &Entry,
    carried: &Carried,
) -> Result<Found, NoAnswer> {
    let (Some(lookup), true) = (&core.config.upstream.lookup, core.routes.creates(entry.endpoint)) else {
        return Ok(Found::NotProvable);
    };
    let Some(fields) = fields(entry, &lookup.match_fields) else {
        return Ok(Found::NotProvable);
    };
    let question = question(lookup, &fields);
    let ask = Ask::read(&question, carried.secret.as_ref(), COLLECT);
    let (head, body) = outbound::ask(core, exchanger, ask).await.map_err(NoAnswer::Failed)?;
    let Some(body) = body else {
        return Err(NoAnswer::Unclear { why: "the answer to the lookup is too long".into(), after: None });
    };
    read(&head, &body, lookup.found.as_str())
}

/// The fields that tell the write from any other, by the names that the client used; `None` if one is not there.
fn fields(entry: &Entry, names: &[String]) -> Option<Vec<(String, Value)>> {
    // A coded body is no text; what is in it is looked for in vain, and the write is held.
    let sent = Sent::of(entry.query.as_deref().unwrap_or_default(), &entry.body);
    names.iter().map(|name| Some((name.clone(), sent.get(name)?))).collect()
}

/// The members at the top of a request.
struct Sent {
    json: Map<String, Value>,
    pairs: Vec<(String, String)>,
}

impl Sent {
    fn of(query: &str, body: &[u8]) -> Self {
        let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let json = serde_json::from_slice(body).unwrap_or_else(|_| {
            pairs.extend(form_urlencoded::parse(body).into_owned());
            Map::new()
        });
        Self { json, pairs }
    }

    /// A member that identifies: an empty one does not.
    fn get(&self, name: &str) -> Option<Value> {
        let pair = || self.pairs.iter().find(|(known, _)| known == name);
        let value = self.json.get(name).cloned().or_else(|| Some(pair()?.1.clone().into()))?;
        let is_name = match &value {
            Value::String(text) => !text.is_empty(),
            Value::Number(_) => true,
            _ => false,
        };
        is_name.then_some(value)
    }
}

fn question(lookup: &Lookup, fields: &[(String, Value)]) -> Request {
    let path = lookup.path.as_str().into();
    match lookup.method {
        LookupMethod::Get => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            for (name, value) in fields {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                query.append_pair(name, &text);
            }
            Request { method: "GET".into(), path, query: Some(query.finish().into()), ..Request::default() }
        }
        LookupMethod::Post => {
            let body: Map<String, Value> = fields.iter().cloned().collect();
            Request {
                method: "POST".into(),
                path,
                content_type: Some("application/json".into()),
                body: Value::from(body).to_string().into(),
                ..Request::default()
            }
        }
    }
}

/// Reads the answer. A 404 in the upstream's own form says no; a page of something between says nothing.
fn read(head: &ResponseHeader, body: &Bytes, found: &str) -> Result<Found, NoAnswer> {
    let status = head.status.as_u16();
    let unclear = |why: &str| NoAnswer::Unclear { why: format!("{why} ({status})"), after: retry_after(head) };
    let json = decoded(&head.headers, body).and_then(|plain| serde_json::from_slice::<Value>(&plain).ok());
    match (status, json) {
        (200..=299, Some(json)) => Ok(match json.pointer(found) {
            Some(Value::String(id)) if !id.is_empty() => Found::Arrived(id.as_str().into()),
            Some(Value::Number(id)) => Found::Arrived(id.to_string().into()),
            Some(Value::Null) | None => Found::Absent,
            Some(_) => return Err(unclear("what the lookup found is no id")),
        }),
        (401 | 403, _) => Err(NoAnswer::Credential),
        (404, Some(_)) if media_type(&head.headers).contains("json") => Ok(Found::Absent),
        _ => Err(unclear("the lookup was not answered")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Found, NoAnswer> {
        let mut head = ResponseHeader::build(status, None).expect("a head");
        head.insert_header("Content-Type", "application/json").expect("a header");
        read(&head, &Bytes::from(body.to_owned()), "/orders/0/orderId")
    }

    #[test]
    fn an_id_proves_arrival_and_its_lack_absence() {
        for (body, id) in [
            (r#"{"orders":[{"orderId":"OB-7"}]}"#, Some("OB-7")),
            (r#"{"orders":[{"orderId":4711}]}"#, Some("4711")),
            (r#"{"orders":[]}"#, None),
            (r#"{"orders":[{"orderId":null}]}"#, None),
        ] {
            let expected = id.map_or(Found::Absent, |id| Found::Arrived(id.into()));
            assert_eq!(answer(200, body).expect("an answer"), expected, "{body}");
        }
        assert_eq!(answer(404, r#"{"code":"none"}"#).expect("an answer"), Found::Absent);
    }

    #[test]
    fn anything_else_proves_nothing() {
        assert!(matches!(answer(401, "{}"), Err(NoAnswer::Credential)));
        for (status, body) in [(200, "<html>"), (200, r#"{"orders":[{"orderId":{}}]}"#), (404, "gone"), (429, "{}")] {
            assert!(matches!(answer(status, body), Err(NoAnswer::Unclear { .. })), "{status} {body}");
        }
    }

    #[test]
    fn fields_are_found_in_every_form() {
        for sent in [
            Sent::of("", br#"{"merchantId":"m","clientRef":"7"}"#),
            Sent::of("", b"merchantId=m&clientRef=7"),
            Sent::of("merchantId=m&clientRef=7", b""),
            Sent::of("merchantId=m", b"clientRef=7"),
        ] {
            assert_eq!(sent.get("merchantId"), Some("m".into()));
            assert_eq!(sent.get("clientRef"), Some("7".into()));
        }
        assert_eq!(Sent::of("", br#"{"clientRef":""}"#).get("clientRef"), None);
        assert_eq!(Sent::of("", br#"{"clientRef":["a"]}"#).get("clientRef"), None);
    }

    #[test]
    fn a_question_is_asked_as_the_configuration_says() {
        let fields = [("merchantId".to_owned(), Value::from("m & co")), ("clientRef".to_owned(), Value::from(7))];
        let lookup = |method: &str| {
            let text = format!("method = '{method}'\npath = '/findOrder'\nmatch = ['x']\nfound = '/id'");
            let text = format!(
                "city = 'blr'\n[upstream]\nservers = ['127.0.0.1:1']\nidempotency = 'lookup'\n[upstream.lookup]\n{text}\n[drain]\ncredentials = 'none'\n"
            );
            let config = megamind_conf::parse("test.toml", &text).expect("a configuration");
            config.upstream.lookup.expect("a lookup")
        };
        let get = question(&lookup("GET"), &fields);
        assert_eq!(get.query.as_deref(), Some("merchantId=m+%26+co&clientRef=7"));
        let post = question(&lookup("POST"), &fields);
        assert_eq!(post.body, r#"{"clientRef":7,"merchantId":"m & co"}"#);
    }
}
