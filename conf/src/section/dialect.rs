//! How Oblivion's clients speak: `[dialect]`.
//!
//! The names and shapes of the public interface are a table, so that a cloud of another dialect is
//! configuration. What is canonical is named here; what the names mean, the handlers say.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::read::field::{optional, optional_table, or, required};
use crate::read::form::{Form, Text, members, plain, scalar, text};
use crate::read::list::renames;
use crate::read::number::count;
use crate::read::{Section, section};
use crate::value::{Scalar, UrlPath, is_label};

/// The endpoints under their canonical paths.
pub const PATHS: &[&str] = &[
    "/placeOrder",
    "/trackOrder",
    "/updateOrder",
    "/cancelOrder",
    "/cancelOrderll",
    "/score",
    "/updatemaster/ind/generalinfo",
    "/updatemaster/bulk/generalinfo",
    "/updatemaster/ind/deliveryInfo",
    "/updatemaster/bulk/deliveryInfo",
    "/ind/assigntominion",
    "/bulk/assigntominions",
    "/ind/getminiongeneralinfo",
    "/bulk/getminionsgeneralinfo",
    "/ind/getminiondeliveryinfo",
    "/bulk/getminionsdeliveryinfo",
    "/ind/setminiongeneralinfo",
    "/bulk/setminionsgeneralinfo",
];

/// The members of requests and answers under their canonical names.
pub const FIELDS: &[&str] = &[
    "acceptance",
    "action",
    "addedSeconds",
    "address",
    "assignments",
    "at",
    "bearing",
    "callbackUrl",
    "candidates",
    "capacity",
    "cashLimit",
    "clientRef",
    "codAmount",
    "codCollected",
    "code",
    "completion",
    "contact",
    "currency",
    "cursor",
    "deliveries",
    "detail",
    "dropoff",
    "eta",
    "etaDropoff",
    "etaPickup",
    "feasible",
    "freshness",
    "history",
    "items",
    "known",
    "lat",
    "limit",
    "lng",
    "location",
    "merchantId",
    "minionId",
    "minionIds",
    "minions",
    "name",
    "near",
    "notes",
    "orderId",
    "orderIds",
    "orders",
    "parts",
    "phone",
    "pickup",
    "planVersion",
    "priority",
    "promisedAt",
    "proof",
    "punctuality",
    "readyAt",
    "reason",
    "reasons",
    "requestId",
    "results",
    "score",
    "shiftEnd",
    "since",
    "status",
    "vehicle",
    "vehicles",
    "version",
    "wait",
];

/// The statuses of orders, deliveries and pilots under their canonical names.
pub const STATUSES: &[&str] = &[
    "accepted",
    "arrived_at_dropoff",
    "arrived_at_pickup",
    "assigned",
    "available",
    "busy",
    "cancelled",
    "delivered",
    "failed",
    "lapsed",
    "offline",
    "picked_up",
    "placed",
    "rejected",
    "unknown",
];

section! {
    /// How the cloud's clients speak, where it differs from the default dialect.
    pub struct Dialect {
        /// What stands before every path, for instance `/api/v2`; empty, nothing.
        pub base_path: String = or(base_path(), String::new()),
        /// The status of the answer to a new order: 201 or 200.
        pub created_status: u16 = or(count(200..=201), 201),
        /// How times are written: `rfc3339`, `unix` (seconds), `unix_ms`, or a strftime pattern in UTC.
        pub time_format: TimeFormat = or(text(), TimeFormat::Rfc3339),
        /// Other names for paths, by canonical path; `base_path` goes before them.
        pub paths: BTreeMap<&'static str, UrlPath> = or(renames(PATHS), BTreeMap::new()),
        /// Other names for the members of requests and answers, at every depth, by canonical name.
        pub fields: BTreeMap<&'static str, WireName> = or(renames(FIELDS), BTreeMap::new()),
        /// Other words for the statuses of orders, deliveries and pilots, by canonical word.
        pub statuses: BTreeMap<&'static str, WireName> = or(renames(STATUSES), BTreeMap::new()),
        /// What wraps every answer.
        pub envelope: Option<Envelope> = optional_table(),
    }
}

impl Dialect {
    /// A canonical path as clients ask for it, the base path included.
    pub fn wire_path(&self, canonical: &str) -> String {
        let own = self.paths.get(canonical).map_or(canonical, UrlPath::as_str);
        format!("{}{own}", self.base_path)
    }
}

fn base_path() -> impl Form<Value = String> {
    plain("\"\", or a path without a slash at its end such as \"/api/v2\"", |text| {
        text.is_empty() || (UrlPath::parse(text).is_some() && !text.ends_with('/'))
    })
}

fn member() -> impl Form<Value = String> {
    plain("the name of a member", is_label)
}

section! {
    /// The object that wraps every answer.
    pub struct Envelope {
        /// The member that holds the answer itself.
        pub data: String = required(member(), "data".to_owned()),
        /// Constant members beside it.
        pub fields: BTreeMap<String, Scalar> = or(members(scalar()), BTreeMap::new()),
        /// What errors look like.
        pub error: Option<ErrorEnvelope> = optional_table(),
    }
    rules = Envelope::rules;
}

impl Envelope {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if self.fields.contains_key(&self.data) {
            section.refuse(
                "data",
                format!(
                    "found \"{}\", which dialect.envelope.fields sets too; allowed is a name of its own",
                    self.data
                ),
            );
        }
    }
}

section! {
    /// What errors look like; without this section they are RFC 9457 problems.
    pub struct ErrorEnvelope {
        /// The member that holds the text.
        pub message: String = required(member(), "message".to_owned()),
        /// The member that holds the stable code.
        pub code: Option<String> = optional(member(), "code".to_owned()),
        /// Constant members beside them.
        pub fields: BTreeMap<String, Scalar> = or(members(scalar()), BTreeMap::new()),
    }
    rules = ErrorEnvelope::rules;
}

impl ErrorEnvelope {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if self.fields.contains_key(&self.message) {
            section.refuse(
                "message",
                "found a name that dialect.envelope.error.fields sets too; allowed is a name of its own",
            );
        }
        if self
            .code
            .as_ref()
            .is_some_and(|code| *code == self.message || self.fields.contains_key(code))
        {
            section.refuse("code", "found a name that another member has; allowed is a name of its own");
        }
    }
}

/// A name or a word as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireName(String);

impl WireName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for WireName {
    const ALLOWED: &'static str = "the name on the wire, without brackets";

    fn parse(text: &str) -> Option<Self> {
        // Brackets nest in form-encoded bodies.
        (is_label(text) && !text.contains(['[', ']'])).then(|| Self(text.to_owned()))
    }
}

/// How times are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 with offset.
    Rfc3339,
    /// Seconds since 1970, a number.
    Unix,
    /// Milliseconds since 1970, a number.
    UnixMillis,
    /// A strftime pattern; times are UTC unless the pattern carries an offset.
    Pattern(String),
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rfc3339 => "rfc3339",
            Self::Unix => "unix",
            Self::UnixMillis => "unix_ms",
            Self::Pattern(pattern) => pattern,
        })
    }
}

impl Text for TimeFormat {
    const ALLOWED: &'static str = "\"rfc3339\", \"unix\", \"unix_ms\", or a strftime pattern that carries date and time such as \"%Y-%m-%d %H:%M:%S\"";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "rfc3339" => Some(Self::Rfc3339),
            "unix" => Some(Self::Unix),
            "unix_ms" => Some(Self::UnixMillis),
            pattern => carries_time(pattern).then(|| Self::Pattern(pattern.to_owned())),
        }
    }

    fn meant(refused: &str) -> Option<String> {
        Some(crate::read::nearest(refused, ["rfc3339", "unix", "unix_ms"].into_iter())?.to_owned())
    }
}

/// Whether a time that is written with the pattern can be read back to the second.
fn carries_time(pattern: &str) -> bool {
    // Every part differs from its default, so that a pattern that leaves one out is seen.
    let time = DateTime::constant(2031, 11, 29, 17, 43, 58, 0);
    let Ok(zoned) = time.to_zoned(TimeZone::UTC) else {
        return false;
    };
    let Ok(written) = strtime::format(pattern, &zoned) else {
        return false;
    };
    strtime::parse(pattern, &written)
        .and_then(|parts| parts.to_datetime())
        .is_ok_and(|read| read == time)
}
