//! Calls to pilots and merchants: what the city owes is made here, and what became of it is told back.
//!
//! A call that goes by SMS ([`Channel::Sms`]) is left alone: whoever has a modem takes it from
//! [`City::calls_due_by_sms`] and says what became of it with [`settle`].
//!
//! [`City::calls_due_by_sms`]: megamind_handlers::City::calls_due_by_sms
//! [`Channel::Sms`]: megamind_handlers::calls::Channel::Sms

mod address;
mod book;
pub(super) mod client;
mod lanes;
mod metrics;
mod pages;
mod refresh;
mod webhook;
mod worker;

use std::sync::Arc;

use megamind_conf::{CallbackTarget, Config};
use megamind_gateway::{Builder, Handle};
use megamind_handlers::{
    Command, Deliveries,
    calls::{
        CallKey, Outcome,
        allow::{AllowList, Allowed},
    },
    settings::Calls,
};
use megamind_store::SubmitError;

use worker::Shared;

/// Whom the configuration lets the gateway call.
pub(crate) fn settings(config: &Config) -> Calls {
    let allowed = config.callbacks.allow.iter().map(|target| match target {
        CallbackTarget::Network { address, prefix } => Allowed::Network { address: *address, prefix: *prefix },
        CallbackTarget::Host(host) => Allowed::Host(host.as_str().into()),
        CallbackTarget::Below(domain) => Allowed::Below(domain.as_str().into()),
    });
    Calls {
        allow: AllowList::new(allowed.collect()),
        merchants: config.merchants.iter().map(|merchant| merchant.id.as_str().into()).collect(),
        sms: config.sms.is_some() || !config.modems.is_empty(),
        max_calls: config.callbacks.max_calls,
    }
}

/// Adds the tasks and pages to a gateway.
///
/// # Errors
/// The certificates cannot be read.
pub(crate) fn add_to(builder: Builder<Deliveries>, config: &Config) -> anyhow::Result<Builder<Deliveries>> {
    let shared = Arc::new(Shared::new(config)?);
    let (work, ask, list) = (shared.clone(), shared.clone(), shared);
    Ok(builder
        .task("calls", move |handle| worker::run(handle, work.clone()))
        .task("pilots", move |handle| refresh::run(handle, ask.clone()))
        .pages("admin/calls", move |handle, asked| pages::calls(handle, asked, list.clone()))
        .pages("admin/merchants", pages::merchants)
        .pages("admin/pilot", pages::pilot)
        .pages("openapi.json", pages::interface))
}

/// Journals what became of calls. Durable when this returns.
///
/// # Errors
/// The journal's; then it is to be said again.
pub(crate) async fn settle(handle: &Handle<Deliveries>, settled: Vec<(CallKey, Outcome)>) -> Result<(), SubmitError> {
    handle.submit(Command::SettleCalls(settled)).await.map(drop)
}
