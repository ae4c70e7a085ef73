//! The languages that the stand-in cloud speaks.
//!
//! Inside, everything has its *canonical* name, which is the default dialect's. Another dialect is
//! a table of what differs on the wire:
//!
//! | | `default` | `enveloped` |
//! | --- | --- | --- |
//! | base path | none | `/api/v2` |
//! | created | 201 | 200 |
//! | times (`at`, `readyAt`, `eta`) | RFC 3339 | unix seconds |
//! | answers | the bare object | `{"success": true, "data": {…}}` |
//! | errors | RFC 9457 problem | `{"success": false, "error": {"code": …, "message": …}}` |
//! | names | `orderId` | `order_id`, see [`Table::fields`] |
//! | statuses | `picked_up` | `PICKED_UP`, see [`Table::statuses`] |
//! | paths | `/placeOrder` | `/orders/create`, see [`Table::paths`] |
//!
//! `conf/dialect-enveloped.toml` tells the gateway the same table.

use bytes::Bytes;
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::endpoint::{Endpoint, Write};
use super::refusal::Refusal;

/// Which table the cloud speaks by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// The shapes of the public interface.
    #[default]
    Default,
    /// Another base path, an envelope, other names, 200 instead of 201.
    Enveloped,
}

/// What differs from the canonical form. Pairs are (canonical, on the wire); what is not listed
/// is the same in both.
struct Table {
    base_path: &'static str,
    created: StatusCode,
    unix_times: bool,
    envelope: bool,
    paths: &'static [(&'static str, &'static str)],
    fields: &'static [(&'static str, &'static str)],
    statuses: &'static [(&'static str, &'static str)],
}

static DEFAULT: Table = Table {
    base_path: "",
    created: StatusCode::CREATED,
    unix_times: false,
    envelope: false,
    paths: &[],
    fields: &[],
    statuses: &[],
};

static ENVELOPED: Table = Table {
    base_path: "/api/v2",
    created: StatusCode::OK,
    unix_times: true,
    envelope: true,
    paths: &[
        ("/placeOrder", "/orders/create"),
        ("/trackOrder", "/orders/track"),
        ("/updateOrder", "/orders/update"),
        ("/cancelOrder", "/orders/cancel"),
        ("/cancelOrderll", "/orders/withdraw"),
        ("/findOrder", "/orders/find"),
        ("/score", "/minions/score"),
        ("/updatemaster/ind/generalinfo", "/minions/update"),
        ("/updatemaster/bulk/generalinfo", "/minions/update_bulk"),
        ("/updatemaster/ind/deliveryInfo", "/deliveries/update"),
        ("/updatemaster/bulk/deliveryInfo", "/deliveries/update_bulk"),
    ],
    fields: &[
        ("orderId", "order_id"),
        ("merchantId", "merchant_id"),
        ("minionId", "minion_id"),
        ("minionIds", "minion_ids"),
        ("clientRef", "client_ref"),
        ("readyAt", "ready_at"),
        ("codAmount", "cod_amount"),
        ("codCollected", "cod_collected"),
        ("requestId", "request_id"),
        ("callbackUrl", "callback_url"),
    ],
    statuses: &[
        ("placed", "PLACED"),
        ("assigned", "ASSIGNED"),
        ("accepted", "ACCEPTED"),
        ("rejected", "REJECTED"),
        ("arrived_at_pickup", "AT_PICKUP"),
        ("picked_up", "PICKED_UP"),
        ("arrived_at_dropoff", "AT_DROPOFF"),
        ("delivered", "DELIVERED"),
        ("failed", "FAILED"),
        ("cancelled", "CANCELLED"),
        ("available", "AVAILABLE"),
        ("busy", "BUSY"),
        ("offline", "OFFLINE"),
    ],
};

/// The canonical names of the members that are times.
const TIMES: [&str; 3] = ["at", "readyAt", "eta"];

/// An answer on its way out.
pub(crate) struct Rendered {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
}

#[derive(Clone, Copy)]
enum Direction {
    FromWire,
    ToWire,
}

impl Dialect {
    fn table(self) -> &'static Table {
        match self {
            Self::Default => &DEFAULT,
            Self::Enveloped => &ENVELOPED,
        }
    }

    /// The endpoint at a path of the wire; a trailing slash is the same path.
    pub(crate) fn endpoint(self, path: &str) -> Option<Endpoint> {
        let table = self.table();
        let path = path.strip_suffix('/').unwrap_or(path);
        let below = path.strip_prefix(table.base_path)?;
        Endpoint::ALL.iter().copied().find(|endpoint| {
            let canonical = endpoint.path();
            lookup(table.paths, canonical, Direction::ToWire) == below
        })
    }

    /// Parameters of the wire in canonical names, words and times.
    pub(crate) fn read(self, params: Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::Default => params,
            Self::Enveloped => self.translate_map(params, Direction::FromWire),
        }
    }

    /// An answer that succeeded.
    pub(crate) fn render(self, write: Option<Write>, value: Value) -> Rendered {
        let table = self.table();
        let status = if write == Some(Write::PlaceOrder) {
            table.created
        } else {
            StatusCode::OK
        };
        let value = if self == Self::Default {
            value
        } else {
            self.translate(value, Direction::ToWire)
        };
        let value = if table.envelope {
            json!({"success": true, "data": value})
        } else {
            value
        };
        Rendered {
            status,
            content_type: "application/json",
            body: value.to_string().into(),
        }
    }

    /// An answer that did not.
    pub(crate) fn render_refusal(self, refusal: &Refusal) -> Rendered {
        let status = refusal.status();
        let (content_type, body) = if self.table().envelope {
            let error = json!({"code": refusal.code(), "message": refusal.to_string()});
            (
                "application/json",
                json!({"success": false, "error": error}),
            )
        } else {
            let problem = json!({
                "type": "about:blank",
                "title": status.canonical_reason(),
                "status": status.as_u16(),
                "code": refusal.code(),
                "detail": refusal.to_string(),
            });
            ("application/problem+json", problem)
        };
        Rendered {
            status,
            content_type,
            body: body.to_string().into(),
        }
    }

    /// What a cloud with a broken database says with a 200.
    pub(crate) fn error_body(self) -> Value {
        if self.table().envelope {
            json!({"success": false, "error": {"code": "internal", "message": "database unavailable"}})
        } else {
            json!({"success": false, "error": "database unavailable"})
        }
    }

    fn translate(self, value: Value, direction: Direction) -> Value {
        match value {
            Value::Object(map) => Value::Object(self.translate_map(map, direction)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.translate(item, direction))
                .collect(),
            other => other,
        }
    }

    fn translate_map(self, map: Map<String, Value>, direction: Direction) -> Map<String, Value> {
        let table = self.table();
        let one = |(name, value): (String, Value)| {
            let renamed = lookup(table.fields, &name, direction).to_owned();
            let canonical = match direction {
                Direction::FromWire => renamed.as_str(),
                Direction::ToWire => name.as_str(),
            };
            let value = match value {
                Value::String(word) if canonical == "status" => {
                    lookup(table.statuses, &word, direction).into()
                }
                value if table.unix_times && TIMES.contains(&canonical) => {
                    translate_time(value, direction)
                }
                value => self.translate(value, direction),
            };
            (renamed, value)
        };
        map.into_iter().map(one).collect()
    }
}

fn lookup<'a>(
    pairs: &[(&'static str, &'static str)],
    name: &'a str,
    direction: Direction,
) -> &'a str {
    let found = pairs.iter().find_map(|&(canonical, wire)| match direction {
        Direction::FromWire => (wire == name).then_some(canonical),
        Direction::ToWire => (canonical == name).then_some(wire),
    });
    found.unwrap_or(name)
}

/// What is no time is passed on unchanged: it is for the endpoint to refuse it.
fn translate_time(value: Value, direction: Direction) -> Value {
    let translated = match direction {
        Direction::FromWire => {
            let seconds = value
                .as_i64()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            seconds
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .map(|at| Value::from(at.to_string()))
        }
        Direction::ToWire => {
            let at = value
                .as_str()
                .and_then(|text| text.parse::<Timestamp>().ok());
            at.map(|at| Value::from(at.as_second()))
        }
    };
    translated.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oblivion::endpoint::Read;

    #[test]
    fn every_endpoint_has_one_path_in_each_dialect() {
        for dialect in [Dialect::Default, Dialect::Enveloped] {
            for endpoint in Endpoint::ALL {
                let table = dialect.table();
                let wire = lookup(table.paths, endpoint.path(), Direction::ToWire);
                let path = format!("{}{wire}", table.base_path);
                assert_eq!(dialect.endpoint(&path), Some(*endpoint), "{path}");
                assert_eq!(
                    dialect.endpoint(&format!("{path}/")),
                    Some(*endpoint),
                    "{path}/"
                );
            }
        }
        assert_eq!(Dialect::Enveloped.endpoint("/placeOrder"), None);
        assert_eq!(
            Dialect::Enveloped.endpoint("/api/v2/orders/track"),
            Some(Endpoint::Read(Read::TrackOrder))
        );
    }

    #[test]
    fn names_words_and_times_go_both_ways() {
        let wire = json!({"order_id": "OB-1", "status": "AT_PICKUP", "eta": 1_700_000_000, "x": [{"minion_id": "m"}]});
        let canonical = json!({
            "orderId": "OB-1", "status": "arrived_at_pickup", "eta": "2023-11-14T22:13:20Z", "x": [{"minionId": "m"}],
        });
        assert_eq!(
            Dialect::Enveloped.translate(wire.clone(), Direction::FromWire),
            canonical
        );
        assert_eq!(
            Dialect::Enveloped.translate(canonical, Direction::ToWire),
            wire
        );
    }

    #[test]
    fn an_envelope_is_around_every_answer() {
        let created =
            Dialect::Enveloped.render(Some(Write::PlaceOrder), json!({"orderId": "OB-1"}));
        assert_eq!(created.status, StatusCode::OK);
        assert_eq!(
            created.body,
            r#"{"data":{"order_id":"OB-1"},"success":true}"#
        );
        let refused = Dialect::Enveloped.render_refusal(&Refusal::Conflict("no".into()));
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert_eq!(
            refused.body,
            r#"{"error":{"code":"conflict","message":"no"},"success":false}"#
        );
    }
}
