//! Filling gaps: what the upstream did without the gateway seeing it is asked for.

use std::{sync::Arc, time::Duration};

use megamind_domain::{Domain, Endpoint, Request};
use megamind_store::Span;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{
    core::Core,
    modes::Mode,
    outbound,
    tasks::Gaps,
    upstream::{Exchanger, Failure},
};

/// Questions in one round.
const ROUND: usize = 200;

/// The pause between two questions: the upstream's own clients come first.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest answer that is read.
const COLLECT: usize = 64 * 1024;

/// Asks every `shadow.refresh`; never, if that is 0.
pub(crate) async fn refresh<D: Domain>(core: Arc<Core<D>>, exchanger: Arc<Exchanger>, gaps: Gaps<D>) {
    let every = core.config.shadow.refresh;
    if every.is_zero() {
        return std::future::pending().await;
    }
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, when nothing is known yet.
    tick.tick().await;
    loop {
        tick.tick().await;
        let questions = {
            let published = core.store.published();
            core.guarded(|| gaps(&core.domain, &published.city, ROUND)).unwrap_or_default()
        };
        for (endpoint, request) in questions {
            // Between outages only, and while nothing is being drained.
            if core.modes.current() != Mode::Forwarding {
                break;
            }
            if ask(&core, &exchanger, endpoint, request).await.is_err() {
                break;
            }
            sleep(PAUSE).await;
        }
    }
}

async fn ask<D: Domain>(
    core: &Core<D>,
    exchanger: &Exchanger,
    endpoint: Endpoint,
    request: Request,
) -> Result<(), Failure> {
    let started = core.store.tick();
    let seen = outbound::watch(core, exchanger, endpoint, request, None, COLLECT).await?;
    if let Some(exchange) = seen {
        let span = Span { started, finished: core.store.tick() };
        // Dropped under pressure; the store counts it.
        let _ = core.store.observe_read(exchange, span);
    }
    Ok(())
}
