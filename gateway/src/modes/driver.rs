//! Feeds the machine, and tells everybody what it says.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use megamind_domain::Domain;
use tokio::time::{MissedTickBehavior, interval};

use super::{Change, Machine, Mode, Observation, Status};
use crate::core::{Core, wall_clock};

/// How often counters of traffic are taken over when nothing fails. A failure wakes the driver at once.
const TICK: Duration = Duration::from_millis(100);

/// Runs the machine until the runtime ends.
pub(crate) async fn drive<D: Domain>(core: Arc<Core<D>>) {
    let modes = &core.modes;
    let mut inbox = modes.inbox.lock().await;
    let mut machine = Machine::new(modes.limits.clone(), modes.current());
    let started = Instant::now();
    let mut acted_since = started;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    core.metrics.set_mode(machine.mode());
    loop {
        let told = tokio::select! {
            observation = inbox.recv() => observation,
            () = modes.wake.notified() => None,
            _ = tick.tick() => None,
        };
        let traffic = Observation::Traffic {
            good: modes.good.swap(0, Ordering::Relaxed),
            failed: modes.failed.swap(0, Ordering::Relaxed),
        };
        let sendable = Observation::Sendable(core.store.published().sendable);
        for observation in [sendable, traffic].into_iter().chain(told) {
            if let Some(change) = machine.observe(started.elapsed(), observation) {
                publish(&core, &change).await;
            }
        }
        modes.order.store(machine.order() as u8, Ordering::Release);
        modes.wants_proof.store(machine.wants_proof(), Ordering::Relaxed);
        count_outage(&core, &machine, &mut acted_since);
    }
}

/// Whole seconds of outage since the last call go to the counter; the rest is kept.
fn count_outage<D: Domain>(core: &Core<D>, machine: &Machine, acted_since: &mut Instant) {
    if machine.mode().stands_in() {
        let seconds = acted_since.elapsed().as_secs();
        core.metrics.outage_seconds.inc_by(seconds);
        *acted_since += Duration::from_secs(seconds);
    } else {
        *acted_since = Instant::now();
    }
}

/// The proxy first, then the journal: a mode that could not be journaled is still the mode.
async fn publish<D: Domain>(core: &Core<D>, change: &Change) {
    let Change { from, to, cause } = change;
    core.modes.current.store(*to as u8, Ordering::Release);
    let since = wall_clock();
    let before = core.modes.status();
    let acting_since = if from.stands_in() { before.acting_since } else { since };
    let serves_since = if from.stands_in() { since } else { before.serves_since };
    core.modes
        .status
        .store(Arc::new(Status { mode: *to, since, acting_since, serves_since, reason: cause.name() }));
    core.metrics.set_mode(*to);
    if *to == Mode::Acting && !from.stands_in() {
        core.metrics.failovers.with_label_values(&[cause.name()]).inc();
    }
    tracing::info!(%from, %to, cause = cause.name(), "mode changed");
    core.drain_wake.notify_one();
    // In order, but not for ever: a journal that stalls must not stall the mode.
    let journaled = tokio::time::timeout(TICK, core.store.set_mode(to.name(), cause.name())).await;
    match journaled {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, mode = %to, "mode not journaled"),
        Err(_) => {
            tracing::warn!(mode = %to, "the journal is slow; the mode will be journaled late or not");
        }
    }
}
