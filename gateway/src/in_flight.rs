//! Forwarded writes that have not been answered yet, by what they are about.
//!
//! A decision here about the same order or pilot waits for those that came before it: until they are answered, or are
//! known to be ambiguous and decided here themselves. So the journal has them in the order of their first arrival.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use megamind_domain::{EntityKey, Role, Touches};
use tokio::sync::Notify;

/// The register of forwarded writes.
#[derive(Default)]
pub(crate) struct InFlight {
    state: Mutex<State>,
    left: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    /// The tickets of the writes about each entity, in order.
    writes: HashMap<EntityKey, Vec<u64>>,
}

/// The place of one write in the order of arrival. Dropping it lets those behind it go on.
pub(crate) struct Place {
    register: Arc<InFlight>,
    keys: Vec<EntityKey>,
    ticket: u64,
}

impl InFlight {
    /// A write that is about to be forwarded, or decided here.
    pub(crate) fn enter(self: &Arc<Self>, touches: &Touches) -> Place {
        let keys = keys(touches);
        if keys.is_empty() {
            return Place { register: self.clone(), keys, ticket: 0 };
        }
        let mut state = self.state();
        let ticket = state.take_ticket();
        for key in &keys {
            state.writes.entry(*key).or_default().push(ticket);
        }
        drop(state);
        Place { register: self.clone(), keys, ticket }
    }

    async fn wait(&self, keys: &[EntityKey], ticket: u64) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Registered before the check, so that no departure is missed in between.
            left.as_mut().enable();
            if !self.state().has_earlier(keys, ticket) {
                return;
            }
            left.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic leaves is a list of numbers, whole between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits for the writes about the same entities that were forwarded before this one.
    pub(crate) async fn wait_for_earlier(&self) {
        self.register.wait(&self.keys, self.ticket).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        let mut state = self.register.state();
        for key in &self.keys {
            if let Some(tickets) = state.writes.get_mut(key) {
                tickets.retain(|ticket| *ticket != self.ticket);
                if tickets.is_empty() {
                    state.writes.remove(key);
                }
            }
        }
        drop(state);
        self.register.left.notify_waiters();
    }
}

impl State {
    fn take_ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn has_earlier(&self, keys: &[EntityKey], ticket: u64) -> bool {
        keys.iter()
            .filter_map(|key| self.writes.get(key))
            .any(|tickets| tickets.iter().any(|other| *other < ticket))
    }
}

fn keys(touches: &Touches) -> Vec<EntityKey> {
    touches
        .iter()
        .filter(|touch| touch.role != Role::Row)
        .map(|touch| touch.key)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use megamind_domain::Touch;

    use super::*;

    fn about(keys: &[u64]) -> Touches {
        keys.iter()
            .map(|key| Touch { key: EntityKey(*key), role: Role::Subject })
            .collect()
    }

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn a_decision_waits_for_what_was_forwarded_about_the_same() {
        let register = Arc::new(InFlight::default());
        let first = register.enter(&about(&[1, 2]));
        let (same, other) = (register.enter(&about(&[2])), register.enter(&about(&[3])));
        assert!(!is_ready(same.wait_for_earlier()));
        assert!(is_ready(other.wait_for_earlier()));
        drop(first);
        assert!(is_ready(same.wait_for_earlier()));
    }

    #[test]
    fn forwarded_writes_are_decided_in_the_order_of_their_arrival() {
        let register = Arc::new(InFlight::default());
        let first = register.enter(&about(&[1]));
        let second = register.enter(&about(&[1]));
        assert!(is_ready(first.wait_for_earlier()));
        assert!(!is_ready(second.wait_for_earlier()));
        drop(first);
        assert!(is_ready(second.wait_for_earlier()));
    }

    #[test]
    fn a_departure_wakes_who_waits() {
        let register = Arc::new(InFlight::default());
        let first = register.enter(&about(&[1]));
        let second = register.enter(&about(&[1]));
        let mut waiting = Box::pin(second.wait_for_earlier());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        drop(first);
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(()));
        drop(waiting);
        drop(second);
        assert!(register.state().writes.is_empty(), "nothing is kept of what is gone");
    }
}
