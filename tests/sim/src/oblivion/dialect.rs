//! The languages that the stand-in cloud speaks.
//!
//! Inside, everything has its *canonical* name, which is the default dialect's. Another dialect is
//! a table of what differs on the wire:
//!
//! | | `default` | `enveloped` |
//! | --- | --- | --- |
//! | base path | none | `/api/v2` |
//! | created | 201 | 200 |
//! | times (`at`, `readyAt`, `eta`) | RFC 3339 | `2026-01-31 12:00:00`, UTC |
//! | answers | the bare object | `{"success": true, "data": {…}}` |
//! | errors | RFC 9457 problem | `{"success": false, "error_code": …, "message": …}` |
//! | names | `orderId`, `minionId`, `lat` … | `order_id`, `rider_id`, `latitude` … |
//! | statuses | `picked_up`, `delivered` | `collected`, `completed` |
//! | paths | `/placeOrder` … | `/orders/create` … |
//!
//! `conf/dialect-enveloped.toml` tells the gateway the same table; a test compares the two.

use bytes::Bytes;
use hyper::StatusCode;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
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
    civil_times: bool,
    envelope: bool,
    paths: &'static [(&'static str, &'static str)],
    fields: &'static [(&'static str, &'static str)],
    statuses: &'static [(&'static str, &'static str)],
}

static DEFAULT: Table = Table {
    base_path: "",
    created: StatusCode::CREATED,
    civil_times: false,
    envelope: false,
    paths: &[],
    fields: &[],
    statuses: &[],
};

static ENVELOPED: Table = Table {
    base_path: "/api/v2",
    created: StatusCode::OK,
    civil_times: true,
    envelope: true,
    paths: &[
        ("/placeOrder", "/orders/create"),
        ("/trackOrder", "/orders/track"),
        ("/updateOrder", "/orders/update"),
        ("/cancelOrder", "/orders/cancel"),
        ("/updatemaster/ind/generalinfo", "/riders/update"),
        ("/updatemaster/ind/deliveryInfo", "/riders/delivery"),
    ],
    fields: &[
        ("orderId", "order_id"),
        ("merchantId", "merchant_id"),
        ("minionId", "rider_id"),
        ("clientRef", "client_ref"),
        ("readyAt", "ready_at"),
        ("codAmount", "cod_amount"),
        ("codCollected", "cod_collected"),
        ("lat", "latitude"),
        ("lng", "longitude"),
    ],
    statuses: &[("picked_up", "collected"), ("delivered", "completed")],
};

/// How the enveloped dialect writes times; they are UTC.
const CIVIL: &str = "%Y-%m-%d %H:%M:%S";
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
        let status = if write == Some(Write::PlaceOrder) { table.created } else { StatusCode::OK };
        let value = if self == Self::Default {
            value
        } else {
            self.translate(value, Direction::ToWire)
        };
        let value = if table.envelope { json!({"success": true, "data": value}) } else { value };
        Rendered { status, content_type: "application/json", body: value.to_string().into() }
    }

    /// An answer that did not.
    pub(crate) fn render_refusal(self, refusal: &Refusal) -> Rendered {
        let status = refusal.status();
        let (content_type, body) = if self.table().envelope {
            let error = json!({"success": false, "error_code": refusal.code(), "message": refusal.to_string()});
            ("application/json", error)
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
        Rendered { status, content_type, body: body.to_string().into() }
    }

    /// What a cloud with a broken database says with a 200.
    pub(crate) fn error_body(self) -> Value {
        if self.table().envelope {
            json!({"success": false, "error_code": "internal", "message": "database unavailable"})
        } else {
            json!({"success": false, "error": "database unavailable"})
        }
    }

    fn translate(self, value: Value, direction: Direction) -> Value {
        match value {
            Value::Object(map) => Value::Object(self.translate_map(map, direction)),
            Value::Array(items) => items.into_iter().map(|item| self.translate(item, direction)).collect(),
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
                Value::String(word) if canonical == "status" => lookup(table.statuses, &word, direction).into(),
                value if table.civil_times && TIMES.contains(&canonical) => translate_time(value, direction),
                value => self.translate(value, direction),
            };
            (renamed, value)
        };
        map.into_iter().map(one).collect()
    }
}

fn lookup<'a>(pairs: &[(&'static str, &'static str)], name: &'a str, direction: Direction) -> &'a str {
    let found = pairs.iter().find_map(|&(canonical, wire)| match direction {
        Direction::FromWire => (wire == name).then_some(canonical),
        Direction::ToWire => (canonical == name).then_some(wire),
    });
    found.unwrap_or(name)
}

/// What is no time is passed on unchanged: it is for the endpoint to refuse it.
fn translate_time(value: Value, direction: Direction) -> Value {
    let text = value.as_str();
    let translated = match direction {
        Direction::FromWire => text
            .and_then(|text| DateTime::strptime(CIVIL, text).ok())
            .and_then(|civil| civil.to_zoned(TimeZone::UTC).ok())
            .map(|zoned| zoned.timestamp().to_string()),
        Direction::ToWire => text
            .and_then(|text| text.parse::<Timestamp>().ok())
            .map(|at| at.strftime(CIVIL).to_string()),
    };
    translated.map_or(value, Value::from)
}

#[cfg(test)]
mod tests;
