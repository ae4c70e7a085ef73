//! Once nothing is queued about an order any more, the upstream is asked how it has it.

use std::sync::Arc;

use megamind_domain::{Domain, EntityKey, Exchange};
use megamind_store::Span;

use crate::{core::Core, outbound, upstream::Exchanger};

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
    let speaker = core.guarded(|| core.handback.speaker(&core.domain, &published.city, subject));
    drop(published);
    let started = core.store.tick();
    let speaker = speaker.ok().flatten();
    // Whoever placed it may see it; else whoever asks without a name.
    let secret = core.credential_of(&[speaker.as_deref().unwrap_or_default(), ""]).await;
    let seen = outbound::watch(core, exchanger, endpoint, request, secret.as_ref(), COLLECT).await;
    let Ok(Some(exchange)) = seen else {
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
