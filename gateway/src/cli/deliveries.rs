//! Deliveries as the configuration wants them.

use std::collections::BTreeMap;

use megamind_conf::{self as conf, Config, Scalar};
use megamind_gateway::Census;
use megamind_handlers::{
    City, Command, Settings,
    dialect::{Dialect, Envelope, ErrorEnvelope, Table, TimeFormat},
    order::Status,
    pilot::Availability,
    settings::{Acting, Allow, Assigned, Decides, Dispatch},
};
use serde_json::{Map, Value};

/// The settings of a configuration.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        acting: Acting {
            max_cod_amount: config.acting.max_cod_amount.to_string().parse().ok(),
            max_open_orders_per_merchant: config.acting.max_open_orders_per_merchant,
            allow: config.acting.allow.iter().copied().map(decides).collect::<Allow>(),
        },
        dispatch: Dispatch {
            auto: config.dispatch.auto,
            assigned: match config.drain.assigned {
                conf::Assigned::Send => Assigned::Send,
                conf::Assigned::Skip => Assigned::Skip,
            },
        },
        dialect: Dialect::new(table(&config.dialect)),
        ..Settings::new(config.city.as_str())
    }
}

/// What the city is told whenever it is time to look for pilots again.
pub(super) fn dispatch_due() -> Command {
    Command::DispatchDue
}

/// Orders and pilots by status, for the metrics.
pub(super) fn census(city: &City) -> Census {
    let orders = Status::ALL.into_iter().map(order_label).zip(city.orders_by_status()).collect();
    let mut pilots: BTreeMap<_, u64> = ["unknown", "available", "busy", "offline"].map(|label| (label, 0)).into();
    for pilot in city.pilots() {
        *pilots.entry(pilot_label(pilot.availability())).or_default() += 1;
    }
    Census { orders, pilots: pilots.into_iter().collect() }
}

/// The metric's label: the canonical word, whatever the dialect.
fn order_label(status: Status) -> &'static str {
    match status {
        Status::Unknown => "unknown",
        Status::Placed => "placed",
        Status::Assigned => "assigned",
        Status::Accepted => "accepted",
        Status::ArrivedAtPickup => "arrived_at_pickup",
        Status::PickedUp => "picked_up",
        Status::ArrivedAtDropoff => "arrived_at_dropoff",
        Status::Delivered => "delivered",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}

fn pilot_label(availability: Availability) -> &'static str {
    match availability {
        Availability::Unknown => "unknown",
        Availability::Available => "available",
        Availability::Busy => "busy",
        Availability::Offline => "offline",
    }
}

fn decides(command: conf::Command) -> Decides {
    match command {
        conf::Command::PlaceOrder => Decides::PlaceOrder,
        conf::Command::UpdateOrder => Decides::UpdateOrder,
        conf::Command::CancelOrder => Decides::CancelOrder,
        conf::Command::Assign => Decides::Assign,
        conf::Command::SetPilot => Decides::SetPilot,
    }
}

fn table(dialect: &conf::Dialect) -> Table {
    Table {
        base_path: dialect.base_path.clone(),
        created_status: dialect.created_status,
        time_format: match &dialect.time_format {
            conf::TimeFormat::Rfc3339 => TimeFormat::Rfc3339,
            conf::TimeFormat::Unix => TimeFormat::Unix,
            conf::TimeFormat::UnixMillis => TimeFormat::UnixMillis,
            conf::TimeFormat::Pattern(pattern) => TimeFormat::Pattern(pattern.clone()),
        },
        paths: renamed(&dialect.paths),
        fields: renamed(&dialect.fields),
        statuses: renamed(&dialect.statuses),
        envelope: dialect.envelope.as_ref().map(|envelope| Envelope {
            data: envelope.data.clone(),
            fields: members(&envelope.fields),
            error: envelope.error.as_ref().map(|error| ErrorEnvelope {
                message: error.message.clone(),
                code: error.code.clone(),
                fields: members(&error.fields),
            }),
        }),
    }
}

fn renamed(names: &BTreeMap<&'static str, impl ToString>) -> BTreeMap<String, String> {
    names
        .iter()
        .map(|(canonical, wire)| ((*canonical).to_owned(), wire.to_string()))
        .collect()
}

fn members(scalars: &BTreeMap<String, Scalar>) -> Map<String, Value> {
    scalars
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Scalar::Text(text) => text.clone().into(),
                Scalar::Integer(number) => (*number).into(),
                Scalar::Flag(flag) => (*flag).into(),
            };
            (name.clone(), value)
        })
        .collect()
}
