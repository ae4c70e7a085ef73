//! Telling whoever waits that the city has changed.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use megamind_domain::{EntityKey, Touches};
use tokio::sync::{Notify, watch};

/// Who waits for a change, of anything or of certain entities. Costs a few loads where nobody does.
#[derive(Debug)]
pub(crate) struct Changes {
    /// Counts publications, for those who look at everything.
    published: watch::Sender<u64>,
    waiting: Mutex<HashMap<EntityKey, Vec<Arc<Notify>>>>,
    /// How many wait for certain entities.
    count: AtomicUsize,
    closed: AtomicBool,
}

impl Changes {
    pub(crate) fn new() -> Self {
        Self {
            published: watch::Sender::new(0),
            waiting: Mutex::default(),
            count: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Wakes whoever waits for one of these, now that the city has been published.
    pub(crate) fn tell<'k>(&self, touched: impl Iterator<Item = &'k EntityKey>) {
        if self.published.receiver_count() > 0 {
            self.published.send_modify(|count| *count += 1);
        }
        if self.count.load(SeqCst) > 0 {
            let waiting = self.waiting();
            for key in touched {
                for waiter in waiting.get(key).into_iter().flatten() {
                    waiter.notify_one();
                }
            }
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(SeqCst)
    }

    /// Nobody waits any longer, now or later.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
        for waiter in self.waiting().values().flatten() {
            waiter.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<EntityKey, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait for certain entities, from its making to its end.
///
/// To miss nothing: make it, look at the city, and only then wait.
pub struct Waiter {
    changes: Arc<Changes>,
    keys: Vec<EntityKey>,
    told: Arc<Notify>,
}

impl Waiter {
    pub(crate) fn new(changes: &Arc<Changes>, touches: &Touches) -> Self {
        let keys: Vec<_> = touches.iter().map(|touch| touch.key).collect();
        let told = Arc::new(Notify::new());
        changes.count.fetch_add(1, SeqCst);
        let mut waiting = changes.waiting();
        for key in &keys {
            waiting.entry(*key).or_default().push(Arc::clone(&told));
        }
        drop(waiting);
        Self { changes: Arc::clone(changes), keys, told }
    }

    /// Returns when one of the entities has changed since the last time, or nobody is to wait any longer.
    pub async fn changed(&self) {
        if !self.is_over() {
            self.told.notified().await;
        }
    }

    /// Whether nobody is to wait any longer: the gateway is stopping.
    pub fn is_over(&self) -> bool {
        self.changes.closed.load(SeqCst)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiting = self.changes.waiting();
        for key in &self.keys {
            if let Some(others) = waiting.get_mut(key) {
                others.retain(|other| !Arc::ptr_eq(other, &self.told));
                if others.is_empty() {
                    waiting.remove(key);
                }
            }
        }
        drop(waiting);
        self.changes.count.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use megamind_domain::{Role, Touch};

    use super::*;

    fn touches(keys: &[u64]) -> Touches {
        keys.iter()
            .map(|key| Touch { key: EntityKey(*key), role: Role::Actor })
            .collect()
    }

    #[tokio::test]
    async fn only_those_who_wait_for_it_are_woken() {
        let changes = Arc::new(Changes::new());
        let one = Waiter::new(&changes, &touches(&[1, 2]));
        let other = Waiter::new(&changes, &touches(&[3]));
        changes.tell([EntityKey(2)].iter());
        one.changed().await;
        assert!(pends(one.changed()) && pends(other.changed()));
        changes.close();
        other.changed().await;
        assert_eq!(changes.count(), 2);
        drop((one, other));
        assert_eq!(changes.count(), 0);
        assert!(changes.waiting().is_empty());
    }

    /// Whether it would have to be waited for.
    fn pends(future: impl Future<Output = ()>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(future).as_mut().poll(&mut context).is_pending()
    }
}
