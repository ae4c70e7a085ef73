//! The mode: one atomic for the proxy, one driver that owns the machine.

mod driver;
mod machine;
#[cfg(test)]
mod tests;
mod window;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use megamind_domain::{Stance, Time};
use tokio::sync::{Mutex, Notify, mpsc};

pub(crate) use driver::drive;
pub use machine::{Cause, Change, Limits, Machine, Mode, Observation, Order};

/// What is told about the mode.
#[derive(Clone, Debug)]
pub struct Status {
    /// The mode.
    pub mode: Mode,
    /// Since when.
    pub since: Time,
    /// While standing in: since when, over all changes between acting and recovering.
    pub acting_since: Time,
    /// While not standing in: since when, over all changes between draining and forwarding.
    pub serves_since: Time,
    /// Why, in a word of [`Cause`].
    pub reason: &'static str,
}

/// The mode as everybody else sees it. Reading it is one atomic load.
pub struct Modes {
    current: AtomicU8,
    status: ArcSwap<Status>,
    order: AtomicU8,
    good: AtomicU64,
    failed: AtomicU64,
    wants_proof: AtomicBool,
    wake: Notify,
    observations: mpsc::UnboundedSender<Observation>,
    /// Taken by the driver; put back when it ends, so that a restarted one goes on.
    inbox: Mutex<mpsc::UnboundedReceiver<Observation>>,
    limits: Limits,
}

impl Modes {
    /// The modes of a gateway that begins in `mode`.
    pub fn new(limits: Limits, mode: Mode, since: Time) -> Self {
        let (observations, inbox) = mpsc::unbounded_channel();
        let status = Status { mode, since, acting_since: since, serves_since: since, reason: Cause::Start.name() };
        Self {
            current: AtomicU8::new(mode as u8),
            status: ArcSwap::from_pointee(status),
            order: AtomicU8::new(Order::Auto as u8),
            good: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            wants_proof: AtomicBool::new(false),
            wake: Notify::new(),
            observations,
            inbox: Mutex::new(inbox),
            limits,
        }
    }

    /// Begins in [`Mode::Acting`]: before the driver runs.
    pub fn begin_acting(&self, since: Time) {
        self.current.store(Mode::Acting as u8, Ordering::Release);
        self.status.store(Arc::new(Status {
            mode: Mode::Acting,
            since,
            acting_since: since,
            serves_since: since,
            reason: Cause::Start.name(),
        }));
    }

    /// The mode now.
    pub fn current(&self) -> Mode {
        Mode::from_u8(self.current.load(Ordering::Acquire))
    }

    /// What decisions of this moment are told about the mode.
    pub fn stance(&self) -> Stance {
        if self.current().stands_in() { Stance::Acting } else { Stance::Standby }
    }

    /// What an operator asked for, once the driver has taken it.
    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            1 => Order::Act,
            2 => Order::Forward,
            _ => Order::Auto,
        }
    }

    /// The mode with its history.
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// A real request or replay got an answer that counts.
    pub fn good(&self) {
        self.good.fetch_add(1, Ordering::Relaxed);
    }

    /// A real request or replay failed.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Something else was seen.
    pub fn observe(&self, observation: Observation) {
        // The receiver lives as long as `self`.
        let _ = self.observations.send(observation);
    }

    /// Whether a real request has to succeed before the upstream is believed.
    pub fn wants_proof(&self) -> bool {
        self.wants_proof.load(Ordering::Relaxed)
    }
}
