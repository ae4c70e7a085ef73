//! Deliveries as the configuration wants them.

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

use megamind_conf::{self as conf, Config, Scalar};
use megamind_domain::{Endpoint, EntityKey, Exchange, Request, Response, Touches};
use megamind_gateway::{Census, Handback, Handle, Member, Merged, PartSaid, Said, Told};
use megamind_handlers::{
    City, Command, Deliveries, Settings,
    dialect::{Dialect, Envelope, ErrorEnvelope, Table, TimeFormat},
    order::{OrderKey, Status},
    pilot::Availability,
    retire::Leaving,
    settings::{Acting, Allow, Assigned, Decides, Dispatch, Integers},
    split,
};
use serde_json::{Map, Value};
use tokio::time::{MissedTickBehavior, interval};

use crate::deliveries::{calls, planner};

/// The settings of a configuration.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        acting: Acting {
            max_cod_amount: config.acting.max_cod_amount.to_string().parse().ok(),
            max_open_orders_per_merchant: config.acting.max_open_orders_per_merchant,
            allow: config.acting.allow.iter().copied().map(decides).collect::<Allow>(),
        },
        dispatch: planner::settings(
            config,
            Dispatch {
                auto: config.dispatch.auto,
                assigned: match config.drain.assigned {
                    conf::Assigned::Send => Assigned::Send,
                    conf::Assigned::Skip => Assigned::Skip,
                },
                ..Dispatch::default()
            },
        ),
        calls: calls::settings(config),
        dialect: Dialect::new(table(&config.dialect)),
        upstream_numbers: config.ids.upstream_numbers,
        integers: config.ids.range().map(|(first, last)| Integers {
            first,
            last,
            skip: config.ids.skip,
            given: config.ids.form == conf::IdForm::Integer,
        }),
        ..Settings::new(config.city.as_str())
    }
}

/// What the drain asks of deliveries.
pub(super) struct Back;

impl Handback<Deliveries> for Back {
    fn discarded(&self, domain: &Deliveries, created: &str, why: &str) -> Option<Command> {
        domain.disowned(created, why)
    }

    fn question(&self, domain: &Deliveries, city: &City, subject: EntityKey) -> Option<(Endpoint, Request)> {
        domain.question(city, subject)
    }

    fn speaker(&self, domain: &Deliveries, city: &City, subject: EntityKey) -> Option<Box<str>> {
        domain.merchant_of(city, subject)
    }

    fn differences(
        &self,
        domain: &Deliveries,
        city: &City,
        subject: EntityKey,
        exchange: &Exchange<Command>,
    ) -> Vec<&'static str> {
        domain.differences(city, subject, exchange)
    }

    fn goes_in_bulk(&self, domain: &Deliveries, endpoint: Endpoint) -> bool {
        domain.goes_in_bulk(endpoint)
    }

    fn bulk(&self, domain: &Deliveries, members: &[Member<'_>]) -> Option<(Endpoint, Request)> {
        let parts: Vec<_> = members.iter().map(|member| (member.request, member.key)).collect();
        domain.bulk(members.first()?.endpoint, &parts)
    }

    fn results(&self, domain: &Deliveries, body: &[u8], _members: usize) -> Option<Vec<Said>> {
        let statuses = domain.results(body)?;
        Some(statuses.into_iter().map(|status| Said { status }).collect())
    }

    fn merge(&self, domain: &Deliveries, earlier: Told<'_>, later: Told<'_>) -> Option<Merged> {
        let merged = domain.merge_reports((earlier.at, earlier.request), (later.at, later.request));
        merged.map(|(request, fields)| Merged { request, fields })
    }

    fn outgoing(&self, domain: &Deliveries, request: &Request) -> Option<Request> {
        domain.outgoing(request)
    }

    fn fenced_items(
        &self,
        domain: &Deliveries,
        city: &City,
        command: &Command,
        is_fenced: &dyn Fn(&Touches) -> bool,
    ) -> Option<Vec<bool>> {
        domain.fenced_items(city, command, is_fenced)
    }

    fn part(&self, domain: &Deliveries, endpoint: Endpoint, request: &Request, keep: &[bool]) -> Option<Request> {
        domain.part(endpoint, request, keep)
    }

    fn merged(&self, domain: &Deliveries, parts: &[(&[bool], PartSaid<'_>)]) -> Option<Response> {
        let parts: Vec<_> = parts
            .iter()
            .map(|(items, said)| {
                let said = match said {
                    PartSaid::Body(body) => split::Said::Body(body),
                    PartSaid::Refused(refused) => split::Said::Refused(refused),
                };
                (*items, said)
            })
            .collect();
        Some(domain.merged(&parts))
    }
}

/// Orders that leave the memory in one commit at most.
const RETIRED_AT_ONCE: usize = 500;

/// Lets go of orders that ended `orders.keep_terminal` ago. Their rows stay on disk, and are found by their ids.
pub(super) async fn retire(handle: Handle<Deliveries>) {
    let keep = handle.config().orders.keep_terminal;
    let mut tick = interval((keep / 4).clamp(Duration::from_millis(250), Duration::from_mins(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        while retire_some(&handle, keep).await {}
    }
}

/// Whether there may be more of them.
async fn retire_some(handle: &Handle<Deliveries>, keep: Duration) -> bool {
    // Not while the clock is doubtful.
    let Some(before) = handle.store().time().before(keep) else {
        return false;
    };
    let leaving = {
        let published = handle.published();
        let queued = |key: EntityKey| published.fences.contains_key(&key.0);
        handle.domain().leaving(&published.city, before, RETIRED_AT_ONCE, queued)
    };
    let full = leaving.len() == RETIRED_AT_ONCE;
    if leaving.is_empty() {
        return false;
    }
    let orders = leaving.iter().map(|leaving| leaving.order).collect();
    let names = leaving
        .into_iter()
        .flat_map(|Leaving { order, names }| names.into_iter().map(move |name| (name, order.into())));
    match handle.store().upkeep(Command::Retire(orders), names.collect()).await {
        // Declined where one of them has just been written about: next time.
        Ok(done) => done && full,
        Err(error) => {
            tracing::warn!(%error, "ended orders stay in memory");
            false
        }
    }
}

/// The command that takes an order back.
pub(super) fn back(key: EntityKey, row: &[u8]) -> Option<Command> {
    let order = OrderKey(NonZeroU64::new(key.0)?);
    Some(Command::Recall { order, row: std::str::from_utf8(row).ok()?.into() })
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
