//! Once nothing is queued about an order any more, the upstream is asked how it has it.

use std::{sync::Arc, time::Duration};

use megamind_domain::{Domain, EntityKey, Exchange, Request};
use megamind_store::Span;

use crate::{
    core::{Core, seen},
    outbound::Outbound,
    upstream::{Answer, Call, Exchanger, Subject},
};

/// The longest answer that is read.
const COLLECT: usize = 64 * 1024;

/// Asks about `subject`, counts where the upstream has it otherwise, and hands the answer to the domain, which settles
/// it. An answer that does not come is not asked for again: the next watched read tells the same.
pub(super) async fn compare<D: Domain>(core: &Arc<Core<D>>, exchanger: &Exchanger, subject: EntityKey) {
    let published = core.store.published().clone();
    if published.fences.contains_key(&subject.0) {
        return;
    }
    let asked = core.guarded(|| core.handback.question(&core.domain, &published.city, subject));
    let Ok(Some((endpoint, request))) = asked else {
        return;
    };
    drop(published);
    let started = core.store.tick();
    let Some((head, body)) = ask(core, exchanger, &request).await else {
        return;
    };
    core.modes.good();
    let parsed = core.parsed(endpoint, &request);
    let Some(exchange) = seen(endpoint, Arc::new(request), parsed, &head, &body) else {
        return;
    };
    let exchange = Exchange { settles: true, ..exchange };
    let published = core.store.published().clone();
    // A write meanwhile makes it another order than was asked about.
    if published.fences.contains_key(&subject.0) {
        return;
    }
    let differs = core
        .guarded(|| core.handback.differences(&core.domain, &published.city, subject, &exchange))
        .unwrap_or_default();
    for field in &differs {
        core.metrics.disagreements.with_label_values(&[field]).inc();
    }
    if !differs.is_empty() {
        tracing::info!(subject = subject.0, fields = ?differs, "the upstream has it otherwise after the drain");
    }
    let span = Span { started, finished: core.store.tick() };
    // Dropped under pressure; the store counts it.
    let _ = core.store.observe_read(exchange, span);
}

async fn ask<D: Domain>(
    core: &Core<D>,
    exchanger: &Exchanger,
    request: &Request,
) -> Option<(Box<pingora::http::ResponseHeader>, bytes::Bytes)> {
    let outbound = Outbound::of(core, request);
    let mut head = outbound.replayed(request, core.servers.authority(), None).ok()?;
    if let Some(secret) = core.credentials.service() {
        secret.put(&mut head).ok()?;
    }
    let call = Call {
        head,
        body: outbound.body,
        deadline: core.config.upstream.response_timeout,
        patience: Duration::ZERO,
        collect: COLLECT,
        repeatable: true,
        subject: Subject::Traffic,
    };
    match exchanger.exchange(&core.servers, call).await {
        Ok(Answer::Whole { head, body }) => Some((head, body)),
        Ok(Answer::Long(_)) => None,
        Err(failure) => {
            core.note_failure(&failure);
            None
        }
    }
}
