//! How many requests of the drain are under way at once. An entry is read and marked before it comes here and settled
//! after it has left, so that the journal's commits take nothing from the drain's width.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The way to the upstream, so many at a time.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// 0 while nothing is to be sent.
    width: usize,
    inside: usize,
}

/// The right to send one request. Dropping it lets the next one in.
pub(super) struct Pass(Arc<Gate>);

impl Gate {
    /// So many may be inside from now on; 0 turns away whoever waits.
    pub(super) fn set(&self, width: usize) {
        let mut state = self.state();
        let wakes = width > state.width || width == 0;
        state.width = width;
        drop(state);
        if wakes {
            self.changed.notify_waiters();
        }
    }

    /// Waits for room; `None` where nothing is to be sent any more.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Pass> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the check, so that no departure is missed in between.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.width == 0 {
                    return None;
                }
                if state.inside < state.width {
                    state.inside += 1;
                    return Some(Pass(self.clone()));
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Two numbers, whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.state().inside -= 1;
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn tried(gate: &Arc<Gate>) -> Poll<Option<Pass>> {
        pin!(gate.enter()).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn so_many_are_let_in_and_the_rest_waits_or_is_turned_away() {
        let gate = Arc::new(Gate::default());
        assert!(matches!(tried(&gate), Poll::Ready(None)), "closed at first");
        gate.set(2);
        let (one, two) = (tried(&gate), tried(&gate));
        assert!(matches!((&one, &two), (Poll::Ready(Some(_)), Poll::Ready(Some(_)))));
        let mut waits = pin!(gate.enter());
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        drop(one);
        assert!(matches!(waits.as_mut().poll(&mut context), Poll::Ready(Some(_))));
        // Narrower than what is inside: nobody is thrown out, and nobody let in.
        gate.set(1);
        drop(two);
        let mut waits = pin!(gate.enter());
        assert!(matches!(waits.as_mut().poll(&mut context), Poll::Ready(Some(_))));
        gate.set(0);
        assert!(matches!(tried(&gate), Poll::Ready(None)));
    }
}
