//! Back from answering here to forwarding, for what is still fenced.
//!
//! A write about something with queued entries is answered here and queues behind them. Whoever writes faster than
//! his entries are replayed, one after the other, would so keep the drain from ever ending. So once the drain has caught
//! up with the outage, such a write waits a moment for the entries before it, and is forwarded then.

use std::time::Duration;

use megamind_domain::{Access, Domain, Touches};
use tokio::time::{Instant, timeout_at};

use super::{Proxy, handled::Handled};

/// Entries looked at for each entity: more are no matter of moments.
const SHORT: usize = 64;

/// Writes that wait at once, with the queries that wait for news; further ones are answered here.
const MOST: usize = 100_000;

/// How often the mode is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

impl<D: Domain> Proxy<D> {
    /// Waits until nothing is queued any more about what a write names, where that is a matter of moments. Half of
    /// `response_timeout` at most: the other half is for the upstream. Answers with whether it waited.
    pub(super) async fn wait_for_the_drain(&self, handled: &Handled<D>) -> bool {
        let (Ok(parsed), Access::Write) = (&handled.parsed, handled.route.access) else {
            return false;
        };
        if self.core.store.published().fences.is_empty() {
            return false;
        }
        let touches = self.touches(parsed);
        let until = Instant::now() + self.core.config.upstream.response_timeout / 2;
        let mut waited = false;
        let Some(waiter) = self.core.store.waiter(&touches, MOST) else {
            return false;
        };
        while self.core.store.published().fenced(&touches)
            && self.moves(&touches)
            && !waiter.is_over()
            && Instant::now() < until
        {
            // Whether something has changed or not, the loop looks again.
            let _ = timeout_at(until.min(Instant::now() + LOOK), waiter.changed()).await;
            waited = true;
        }
        waited
    }

    /// Whether all that is queued about these will be gone in a moment, unless something goes wrong.
    fn moves(&self, touches: &Touches) -> bool {
        let drain = &self.core.drain;
        let pending = self.core.store.pending_about(touches, SHORT);
        !self.core.modes.current().stands_in()
            && drain.is_caught_up()
            && pending.is_some_and(|seqs| !drain.troubles_any(&seqs))
    }
}
