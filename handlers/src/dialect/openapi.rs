//! The public interface as an `OpenAPI` 3.1 document, in the names of the dialect.
//!
//! The tables below stand beside what reads and writes the same members; a test holds every answer against them.

use serde_json::{Map, Value, json};

use super::{Dialect, Field, Word};
use crate::{Settings, endpoints::Route};

/// What a member holds.
enum Kind {
    /// An id: a text, or a number where it came as one.
    Id,
    Text,
    Number,
    Integer,
    Flag,
    Time,
    /// A decimal number as text.
    Money,
    Url,
    /// A phone number, E.164.
    Phone,
    Words(&'static [Word]),
    Object(Members),
    List(Members),
    Ids,
    Texts,
    /// JSON of the client's own form.
    Anything,
}

/// A member, and whether it is always there.
struct Member(Field, Kind, bool);

type Members = &'static [Member];

const fn needed(field: Field, kind: Kind) -> Member {
    Member(field, kind, true)
}

const fn may(field: Field, kind: Kind) -> Member {
    Member(field, kind, false)
}

const STOP: Members = &[
    needed(Field::Lat, Kind::Number),
    needed(Field::Lng, Kind::Number),
    may(Field::Address, Kind::Text),
    may(Field::Contact, Kind::Anything),
];

const PLACE: Members = &[
    needed(Field::MerchantId, Kind::Id),
    needed(Field::Pickup, Kind::Object(STOP)),
    needed(Field::Dropoff, Kind::Object(STOP)),
    may(Field::ReadyAt, Kind::Time),
    may(Field::PromisedAt, Kind::Time),
    may(Field::Priority, Kind::Integer),
    may(Field::Vehicles, Kind::Texts),
    may(Field::Items, Kind::Anything),
    may(Field::CodAmount, Kind::Money),
    may(Field::Currency, Kind::Text),
    may(Field::ClientRef, Kind::Text),
];

/// What changes about one end of the way.
const MOVED: Members = &[
    may(Field::Lat, Kind::Number),
    may(Field::Lng, Kind::Number),
    may(Field::Address, Kind::Text),
    may(Field::Contact, Kind::Anything),
];

const UPDATE: Members = &[
    needed(Field::OrderId, Kind::Id),
    may(Field::Pickup, Kind::Object(MOVED)),
    may(Field::Dropoff, Kind::Object(MOVED)),
    may(Field::ReadyAt, Kind::Time),
    may(Field::PromisedAt, Kind::Time),
    may(Field::Priority, Kind::Integer),
    may(Field::Vehicles, Kind::Texts),
    may(Field::Items, Kind::Anything),
    may(Field::CodAmount, Kind::Money),
    may(Field::Currency, Kind::Text),
];

const ORDER_STATUS: Kind = Kind::Words(&[
    Word::Unknown,
    Word::Placed,
    Word::Assigned,
    Word::Accepted,
    Word::ArrivedAtPickup,
    Word::PickedUp,
    Word::ArrivedAtDropoff,
    Word::Delivered,
    Word::Failed,
    Word::Cancelled,
]);

const STEP_STATUS: Kind = Kind::Words(&[
    Word::Placed,
    Word::Assigned,
    Word::Accepted,
    Word::Rejected,
    Word::ArrivedAtPickup,
    Word::PickedUp,
    Word::ArrivedAtDropoff,
    Word::Delivered,
    Word::Failed,
    Word::Cancelled,
]);

const NEWS: Kind = Kind::Words(&[
    Word::Accepted,
    Word::Rejected,
    Word::ArrivedAtPickup,
    Word::PickedUp,
    Word::ArrivedAtDropoff,
    Word::Delivered,
    Word::Failed,
]);

const AVAILABILITY: Kind = Kind::Words(&[Word::Available, Word::Busy, Word::Offline]);

const KNOWN_AVAILABILITY: Kind = Kind::Words(&[Word::Unknown, Word::Available, Word::Busy, Word::Offline]);

const PLACED: Members = &[
    needed(Field::OrderId, Kind::Id),
    needed(Field::Status, ORDER_STATUS),
    may(Field::MinionId, Kind::Id),
    may(Field::Eta, Kind::Time),
];

const LOCATION: Members = &[
    needed(Field::Lat, Kind::Number),
    needed(Field::Lng, Kind::Number),
    needed(Field::At, Kind::Time),
];

const STEP: Members = &[
    needed(Field::Status, STEP_STATUS),
    needed(Field::At, Kind::Time),
    may(Field::MinionId, Kind::Id),
];

const ORDER: Members = &[
    needed(Field::OrderId, Kind::Id),
    needed(Field::Status, ORDER_STATUS),
    may(Field::MinionId, Kind::Id),
    may(Field::Location, Kind::Object(LOCATION)),
    may(Field::Eta, Kind::Time),
    needed(Field::History, Kind::List(STEP)),
];

const GENERAL: Members = &[
    needed(Field::MinionId, Kind::Id),
    may(Field::Lat, Kind::Number),
    may(Field::Lng, Kind::Number),
    may(Field::Status, AVAILABILITY),
    may(Field::At, Kind::Time),
    may(Field::RequestId, Kind::Text),
];

const PROFILE: Members = &[
    needed(Field::MinionId, Kind::Id),
    may(Field::Name, Kind::Text),
    may(Field::Phone, Kind::Phone),
    may(Field::CallbackUrl, Kind::Url),
    may(Field::Vehicle, Kind::Text),
    may(Field::Capacity, Kind::Integer),
    may(Field::ShiftEnd, Kind::Time),
    may(Field::CashLimit, Kind::Money),
    may(Field::Lat, Kind::Number),
    may(Field::Lng, Kind::Number),
    may(Field::Status, AVAILABILITY),
    may(Field::At, Kind::Time),
];

const REPORTED: Members = &[
    needed(Field::MinionId, Kind::Id),
    may(Field::Status, KNOWN_AVAILABILITY),
    may(Field::Known, Kind::Flag),
];

const DELIVERY: Members = &[
    needed(Field::OrderId, Kind::Id),
    needed(Field::MinionId, Kind::Id),
    needed(Field::Status, NEWS),
    may(Field::At, Kind::Time),
    may(Field::Lat, Kind::Number),
    may(Field::Lng, Kind::Number),
    may(Field::Proof, Kind::Anything),
    may(Field::CodCollected, Kind::Money),
    may(Field::RequestId, Kind::Text),
];

const DELIVERED: Members = &[
    needed(Field::OrderId, Kind::Id),
    may(Field::Status, ORDER_STATUS),
    may(Field::Known, Kind::Flag),
];

/// An item of a bulk answer.
const RESULT: Members = &[
    needed(Field::Status, Kind::Integer),
    may(Field::Code, Kind::Text),
    may(Field::Detail, Kind::Text),
];

const RESULTS: Members = &[needed(Field::Results, Kind::List(RESULT))];

const ASSIGNMENT: Members = &[needed(Field::OrderId, Kind::Id), may(Field::MinionId, Kind::Id)];

const PILOT: Members = &[
    needed(Field::MinionId, Kind::Id),
    needed(Field::Status, KNOWN_AVAILABILITY),
    may(Field::Lat, Kind::Number),
    may(Field::Lng, Kind::Number),
    may(Field::At, Kind::Time),
    may(Field::Name, Kind::Text),
    may(Field::Phone, Kind::Phone),
    may(Field::CallbackUrl, Kind::Url),
    may(Field::Vehicle, Kind::Text),
    needed(Field::Capacity, Kind::Integer),
    needed(Field::Orders, Kind::Integer),
];

const CARRIED: Members = &[
    needed(Field::OrderId, Kind::Id),
    needed(Field::Status, ORDER_STATUS),
    may(Field::Pickup, Kind::Object(STOP)),
    may(Field::Dropoff, Kind::Object(STOP)),
    may(Field::Items, Kind::Anything),
    may(Field::CodAmount, Kind::Money),
    may(Field::Currency, Kind::Text),
    may(Field::ReadyAt, Kind::Time),
    may(Field::Eta, Kind::Time),
];

const CARRIES: Members = &[
    needed(Field::MinionId, Kind::Id),
    needed(Field::Orders, Kind::List(CARRIED)),
    needed(Field::Version, Kind::Integer),
];

const PILOT_QUERY: Members = &[
    may(Field::MinionIds, Kind::Ids),
    may(Field::Status, AVAILABILITY),
    may(Field::Near, Kind::Text),
    may(Field::Limit, Kind::Integer),
    may(Field::Cursor, Kind::Text),
];

const PARTS: Members = &[
    needed(Field::Acceptance, Kind::Integer),
    needed(Field::Completion, Kind::Integer),
    needed(Field::Punctuality, Kind::Integer),
    needed(Field::Freshness, Kind::Integer),
];

const CANDIDATE: Members = &[
    needed(Field::MinionId, Kind::Id),
    needed(Field::Score, Kind::Integer),
    needed(Field::Feasible, Kind::Flag),
    needed(Field::Reasons, Kind::Texts),
    may(Field::EtaPickup, Kind::Time),
    may(Field::EtaDropoff, Kind::Time),
    may(Field::AddedSeconds, Kind::Integer),
    may(Field::PlanVersion, Kind::Integer),
];

const SCORE: Members = &[
    may(Field::MinionId, Kind::Id),
    may(Field::Score, Kind::Integer),
    may(Field::Parts, Kind::Object(PARTS)),
    may(Field::OrderId, Kind::Id),
    may(Field::Candidates, Kind::List(CANDIDATE)),
];

const ASSIGN_CALL: Members = &[
    needed(Field::OrderId, Kind::Id),
    needed(Field::MinionId, Kind::Id),
    needed(Field::Action, Kind::Text),
    may(Field::Pickup, Kind::Object(STOP)),
    may(Field::Dropoff, Kind::Object(STOP)),
    may(Field::Items, Kind::Anything),
    may(Field::CodAmount, Kind::Money),
    may(Field::Currency, Kind::Text),
    may(Field::ReadyAt, Kind::Time),
    may(Field::Eta, Kind::Time),
    needed(Field::PlanVersion, Kind::Integer),
];

const PUSH_DELIVERY: Members = &[
    needed(Field::OrderId, Kind::Id),
    needed(Field::Status, ORDER_STATUS),
    may(Field::MinionId, Kind::Id),
    needed(Field::At, Kind::Time),
    may(Field::Location, Kind::Object(LOCATION)),
    may(Field::Eta, Kind::Time),
];

const PUSH_GENERAL: Members = &[
    needed(Field::OrderId, Kind::Id),
    needed(Field::MinionId, Kind::Id),
    may(Field::Name, Kind::Text),
    may(Field::Phone, Kind::Phone),
    may(Field::Vehicle, Kind::Text),
];

/// What an endpoint does, takes and answers.
fn about(route: Route) -> (&'static str, Members, Members) {
    const ONE_PILOT: Members = &[needed(Field::MinionId, Kind::Id)];
    const ONE_ORDER: Members = &[needed(Field::OrderId, Kind::Id)];
    const CANCEL: Members = &[needed(Field::OrderId, Kind::Id), may(Field::Reason, Kind::Text)];
    const EITHER: Members = &[may(Field::MinionId, Kind::Id), may(Field::OrderId, Kind::Id)];
    const GENERALS: Members = &[needed(Field::Minions, Kind::List(GENERAL))];
    const PROFILES: Members = &[needed(Field::Minions, Kind::List(PROFILE))];
    const DELIVERIES: Members = &[needed(Field::Deliveries, Kind::List(DELIVERY))];
    const ASSIGNMENTS: Members = &[may(Field::Assignments, Kind::List(ASSIGNMENT))];
    const PILOTS: Members = &[needed(Field::Minions, Kind::List(PILOT)), may(Field::Cursor, Kind::Text)];
    const ALL_CARRY: Members = &[needed(Field::Minions, Kind::List(CARRIES)), may(Field::Cursor, Kind::Text)];
    const WAIT: Members = &[
        needed(Field::MinionId, Kind::Id),
        may(Field::Since, Kind::Integer),
        may(Field::Wait, Kind::Text),
    ];
    match route {
        Route::PlaceOrder => ("Place an order.", PLACE, PLACED),
        Route::TrackOrder => ("Where an order is.", ONE_ORDER, ORDER),
        Route::UpdateOrder => ("Change an order.", UPDATE, ORDER),
        Route::CancelOrder | Route::CancelOrderll => ("Call an order off.", CANCEL, ORDER),
        Route::Score => ("A pilot's score, or the ranked candidates for an order.", EITHER, SCORE),
        Route::GeneralInfo => ("A pilot tells of itself.", GENERAL, REPORTED),
        Route::GeneralInfos => ("Pilots tell of themselves.", GENERALS, RESULTS),
        Route::DeliveryInfo => ("A pilot tells of an order.", DELIVERY, DELIVERED),
        Route::DeliveryInfos => ("Pilots tell of orders.", DELIVERIES, RESULTS),
        Route::Assign => ("Give an order to a pilot, or to the best.", ASSIGNMENT, PLACED),
        Route::AssignMany => (
            "Give orders to pilots; where none is named, every order that waits.",
            ASSIGNMENTS,
            RESULTS,
        ),
        Route::GetPilot => ("What is known of a pilot.", ONE_PILOT, PILOT),
        Route::GetPilots => ("What is known of pilots.", PILOT_QUERY, PILOTS),
        Route::GetDelivery => (
            "The orders that a pilot carries. With the version of an earlier answer and a time such as 25s, it waits \
             for news so long.",
            WAIT,
            CARRIES,
        ),
        Route::GetDeliveries => ("The orders that pilots carry.", PILOT_QUERY, ALL_CARRY),
        Route::SetPilot => ("Register or change a pilot.", PROFILE, REPORTED),
        Route::SetPilots => ("Register or change pilots.", PROFILES, RESULTS),
    }
}

/// The whole document.
pub fn document(settings: &Settings) -> Value {
    let writer = Writer { dialect: &settings.dialect };
    let paths: Map<_, _> = Route::ALL
        .iter()
        .map(|route| (settings.dialect.path(route.path()), writer.operations(*route)))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "MegaMind",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What merchants and pilots ask of the gateway, and what it calls.",
        },
        "paths": paths,
        "webhooks": writer.webhooks(),
        "components": {"schemas": {"Problem": {
            "description": "RFC 9457.",
            "type": "object",
            "required": ["status", "code", "detail"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "code": {"type": "string", "description": "A stable word for programs."},
                "detail": {"type": "string"},
                "field": {"type": "string"},
            },
        }}},
    })
}

struct Writer<'d> {
    dialect: &'d Dialect,
}

impl Writer<'_> {
    fn operations(&self, route: Route) -> Value {
        let (summary, takes, answers) = about(route);
        let status = if route == Route::PlaceOrder { self.dialect.created_status } else { 200 };
        let mut responses = Map::new();
        responses.insert(
            status.to_string(),
            json!({"description": "Done.", "content": {"application/json": {"schema": self.wrapped(answers)}}}),
        );
        responses.insert(
            "default".into(),
            json!({
                "description": "Refused.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }),
        );
        let schema = self.schema(takes);
        let post = json!({
            "summary": summary,
            "requestBody": {"content": {
                "application/json": {"schema": schema},
                "application/x-www-form-urlencoded": {"schema": schema},
            }},
            "responses": responses,
        });
        let mut operations = Map::new();
        if route.access() == megamind_domain::Access::Read {
            let parameters: Vec<_> = takes.iter().map(|member| self.parameter(member)).collect();
            operations.insert(
                "get".into(),
                json!({"summary": summary, "parameters": parameters, "responses": responses}),
            );
        }
        operations.insert("post".into(), post);
        operations.into()
    }

    fn parameter(&self, Member(field, kind, needed): &Member) -> Value {
        json!({"name": self.dialect.field(*field), "in": "query", "required": needed, "schema": self.kind(kind)})
    }

    /// What the gateway calls.
    fn webhooks(&self) -> Value {
        const ASKED: Members = &[needed(Field::MinionId, Kind::Id), may(Field::OrderId, Kind::Id)];
        let call = |summary: &str, takes: Members, answers: Option<Members>| {
            let mut done = json!({"description": "Taken: any 2xx."});
            if let Some(answers) = answers {
                done["content"] = json!({"application/json": {"schema": self.schema(answers)}});
            }
            let header = |name: &str, description: &str| json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}});
            json!({"post": {
                "summary": summary,
                "parameters": [
                    header("webhook-id", "The same at every attempt: what came before is not done again."),
                    header("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
                    header("webhook-signature", "Standard Webhooks v1 (HMAC-SHA256), to merchants."),
                ],
                "requestBody": {"content": {"application/json": {"schema": self.schema(takes)}}},
                "responses": {"2XX": done},
            }})
        };
        json!({
            "assign": call("A pilot's app is told to carry, look again at, or leave an order (action: assign, change, cancel).", ASSIGN_CALL, None),
            "getgeneralinfo": call("A pilot's app is asked where it is.", ASKED, Some(GENERAL)),
            "getdeliveryinfo": call("A pilot's app is asked how far an order is.", ASKED, Some(DELIVERY)),
            "pushdeliveryinfo": call("A merchant's service is told where its order is.", PUSH_DELIVERY, None),
            "pushgeneralinfo": call("A merchant's service is told who carries its order.", PUSH_GENERAL, None),
        })
    }

    /// An answer within the dialect's envelope.
    fn wrapped(&self, members: Members) -> Value {
        let schema = self.schema(members);
        match self.dialect.envelope_data() {
            None => schema,
            Some(data) => json!({"type": "object", "required": [data], "properties": {data: schema}}),
        }
    }

    fn schema(&self, members: Members) -> Value {
        let required: Vec<_> = members
            .iter()
            .filter(|Member(_, _, needed)| *needed)
            .map(|Member(field, ..)| self.dialect.field(*field))
            .collect();
        let properties: Map<_, _> = members
            .iter()
            .map(|Member(field, kind, _)| (self.dialect.field(*field).to_owned(), self.kind(kind)))
            .collect();
        let mut schema = json!({"type": "object", "properties": properties});
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        schema
    }

    fn kind(&self, kind: &Kind) -> Value {
        match kind {
            Kind::Id => json!({"type": ["string", "integer"]}),
            Kind::Text => json!({"type": "string"}),
            Kind::Number => json!({"type": "number"}),
            Kind::Integer => json!({"type": "integer"}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Time if self.dialect.time_format.is_number() => json!({"type": "integer"}),
            Kind::Time => json!({"type": "string", "format": "date-time"}),
            Kind::Money => json!({"type": "string", "pattern": r"^\d+(\.\d{1,4})?$"}),
            Kind::Url => json!({"type": "string", "format": "uri"}),
            Kind::Phone => json!({"type": "string", "pattern": r"^\+[1-9]\d{3,14}$"}),
            Kind::Words(words) => {
                let words: Vec<_> = words.iter().map(|word| self.dialect.word(*word)).collect();
                json!({"type": "string", "enum": words})
            }
            Kind::Object(members) => self.schema(members),
            Kind::List(members) => json!({"type": "array", "items": self.schema(members)}),
            Kind::Ids => json!({"type": "array", "items": {"type": ["string", "integer"]}}),
            Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Kind::Anything => json!({}),
        }
    }
}
