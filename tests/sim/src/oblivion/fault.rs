//! Ways to break, set at run time through `/__fault`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The port is closed: connecting is refused, open connections are reset.
    Refuse,
    /// A request is read and never answered; its connection closes when the fault is cleared.
    Hang,
    /// A request is read and its connection closed; nothing is applied.
    Reset,
    /// An answer of `status`; nothing is applied.
    Status,
    /// 200 with an error in the body; nothing is applied.
    ErrorBody,
    /// 200 with an HTML page; nothing is applied.
    Html,
    /// 302 to a portal's login page; nothing is applied.
    CaptivePortal,
    /// Everything `delay_ms` later.
    Slow,
    /// A write is applied, and its connection closed without an answer.
    LoseReply,
    /// A write is applied `delay_ms` after it came, and never answered.
    ApplyLate,
    /// Answers of `status` and good ones in turn: request by request, or, with `delay_ms`, for
    /// so long each.
    Flap,
    /// 429 with `Retry-After` of `delay_ms`, rounded up to seconds; nothing is applied.
    RateLimit,
    /// A write is applied, and its answer cut off in the middle of the body.
    Truncate,
    /// 404 with an HTML page, as a load balancer without a backend answers; nothing is applied.
    NoBackend,
    /// 401 with `WWW-Authenticate`: the credentials have expired; nothing is applied.
    ExpiredCredentials,
}

/// One fault, as it is set and shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The status of `status` and `flap`.
    #[serde(default = "default_status")]
    pub status: u16,
    /// Milliseconds; see [`FaultKind`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Paths as on the wire; one that ends in `*` covers all that begin so. Empty: all.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Methods; empty: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The part of the requests that is hit, from 0 to 1, spread evenly.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Only so many requests are hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Requests with one of these `Authorization` headers are spared: whoever else comes is not let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spare_authorization: Vec<String>,
    /// `/healthz` is spared.
    #[serde(default)]
    pub health_stays_ok: bool,
    /// What follows once `count` requests have been hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Box<Fault>>,
}

fn default_status() -> u16 {
    500
}

fn certain() -> f64 {
    1.0
}

impl Fault {
    /// A fault of a kind, hitting every request.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            status: default_status(),
            delay_ms: None,
            paths: Vec::new(),
            methods: Vec::new(),
            probability: certain(),
            count: None,
            spare_authorization: Vec::new(),
            health_stays_ok: false,
            then: None,
        }
    }

    /// The delay, 1 s where none is set.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or(1_000))
    }

    fn check(&self) -> Result<(), String> {
        if !(200..=599).contains(&self.status) {
            return Err(format!("status: {} is not within 200..=599", self.status));
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(format!("probability: {} is not within 0..=1", self.probability));
        }
        let picks =
            !self.paths.is_empty() || !self.methods.is_empty() || self.count.is_some() || self.probability < 1.0;
        if self.kind == FaultKind::Refuse && (picks || self.health_stays_ok) {
            return Err("refuse closes the whole port: it cannot be limited to some requests".into());
        }
        let Some(then) = &self.then else {
            return Ok(());
        };
        if self.count.is_none() || then.kind == FaultKind::Refuse {
            return Err("then: it follows a count of requests, and cannot be refuse".into());
        }
        then.check()
    }

    fn covers(&self, method: &str, path: &str) -> bool {
        let path_fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix),
            None => path == pattern,
        };
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|m| m.eq_ignore_ascii_case(method));
        let spared = self.health_stays_ok && path == "/healthz";
        method_fits && !spared && (self.paths.is_empty() || self.paths.iter().any(path_fits))
    }
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    since: Instant,
    /// Requests that the fault covers, hit or not.
    seen: u64,
    hits: u64,
    /// Rises by `probability` with each request; each whole number is a hit.
    dice: f64,
}

/// What the listener and waiting requests need to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signal {
    /// Changes whenever a fault is set or cleared.
    generation: u64,
    refusing: bool,
}

/// The fault that is set now, if any.
#[derive(Debug)]
pub struct Faults {
    active: Mutex<Option<Active>>,
    signal: watch::Sender<Signal>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { active: Mutex::default(), signal: watch::Sender::new(Signal::default()) }
    }
}

/// A fault that hits one request.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    generation: u64,
}

impl Faults {
    /// Sets a fault in place of the one before. An error says what is wrong with it.
    pub fn set(&self, fault: Fault) -> Result<(), String> {
        fault.check()?;
        let refusing = fault.kind == FaultKind::Refuse;
        self.replace(Some(Active::new(fault)), refusing);
        Ok(())
    }

    /// Everything works again.
    pub fn clear(&self) {
        self.replace(None, false);
    }

    fn replace(&self, active: Option<Active>, refusing: bool) {
        let mut slot = self.lock();
        *slot = active;
        self.signal
            .send_modify(|signal| *signal = Signal { generation: signal.generation + 1, refusing });
    }

    /// The fault with how often it hit, as JSON; `null` without one.
    pub(crate) fn show(&self) -> serde_json::Value {
        let slot = self.lock();
        slot.as_ref().map_or(
            serde_json::Value::Null,
            |active| serde_json::json!({ "fault": active.fault, "hits": active.hits }),
        )
    }

    /// Whether a request is hit, and by what.
    pub(crate) fn strike(&self, method: &str, path: &str, authorization: &str) -> Option<Strike> {
        let mut slot = self.lock();
        let generation = self.signal.borrow().generation;
        let active = slot.as_mut()?;
        active.go_on();
        if !active.fault.covers(method, path)
            || active.fault.spare_authorization.iter().any(|spared| spared == authorization)
            || active.fault.count.is_some_and(|count| active.hits >= count)
        {
            return None;
        }
        let is_up = active.fault.kind == FaultKind::Flap && !active.flap_is_down();
        active.seen += 1;
        if is_up {
            return None;
        }
        active.dice += active.fault.probability;
        if active.dice < 1.0 {
            return None;
        }
        active.dice -= 1.0;
        active.hits += 1;
        Some(Strike { fault: active.fault.clone(), generation })
    }

    /// Waits until another fault is set, or none.
    pub(crate) async fn until_changed(&self, strike: &Strike) {
        let mut signal = self.signal.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = signal.wait_for(|signal| signal.generation != strike.generation).await;
    }

    /// Waits until the port has to be closed, or opened again.
    pub(crate) async fn until_refusing(&self, wanted: bool) {
        let _ = self.signal.subscribe().wait_for(|signal| signal.refusing == wanted).await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    fn new(fault: Fault) -> Self {
        Self { fault, since: Instant::now(), seen: 0, hits: 0, dice: 0.0 }
    }

    /// Goes on to what follows, once all the requests have been hit.
    fn go_on(&mut self) {
        if self.fault.count.is_some_and(|count| self.hits >= count)
            && let Some(then) = self.fault.then.take()
        {
            *self = Self::new(*then);
        }
    }

    /// Down first, then up, and so on.
    fn flap_is_down(&self) -> bool {
        let turn = match self.fault.delay_ms {
            Some(period) => self.since.elapsed().as_millis() / u128::from(period.max(1)),
            None => u128::from(self.seen),
        };
        turn.is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(fault: Fault, requests: &[(&str, &str)]) -> Vec<bool> {
        let faults = Faults::default();
        faults.set(fault).expect("a good fault");
        requests
            .iter()
            .map(|(method, path)| faults.strike(method, path, "").is_some())
            .collect()
    }

    #[test]
    fn a_fault_hits_what_it_names() {
        let fault = Fault {
            paths: vec!["/placeOrder".into(), "/cat*".into()],
            methods: vec!["post".into()],
            ..Fault::new(FaultKind::Status)
        };
        let requests = [
            ("POST", "/placeOrder"),
            ("GET", "/placeOrder"),
            ("POST", "/placeOrders"),
            ("POST", "/cat/1"),
        ];
        assert_eq!(hits(fault, &requests), [true, false, false, true]);
    }

    #[test]
    fn counts_parts_and_turns() {
        let requests = [("GET", "/x"); 6];
        let count = Fault { count: Some(2), ..Fault::new(FaultKind::Hang) };
        assert_eq!(hits(count, &requests), [true, true, false, false, false, false]);
        let half = Fault { probability: 0.5, ..Fault::new(FaultKind::Hang) };
        assert_eq!(hits(half, &requests), [false, true, false, true, false, true]);
        let flap = Fault::new(FaultKind::Flap);
        assert_eq!(hits(flap, &requests), [true, false, true, false, true, false]);
    }

    #[test]
    fn one_fault_follows_another() {
        let last = Fault { count: Some(1), ..Fault::new(FaultKind::Reset) };
        let first = Fault { count: Some(1), then: Some(Box::new(last)), ..Fault::new(FaultKind::LoseReply) };
        let faults = Faults::default();
        faults.set(first).expect("a good fault");
        let kinds = std::iter::from_fn(|| faults.strike("POST", "/x", "")).map(|strike| strike.fault.kind);
        assert_eq!(kinds.collect::<Vec<_>>(), [FaultKind::LoseReply, FaultKind::Reset]);
    }

    #[test]
    fn a_spared_health_check_does_not_count() {
        let fault = Fault { health_stays_ok: true, count: Some(1), ..Fault::new(FaultKind::Html) };
        assert_eq!(hits(fault, &[("GET", "/healthz"), ("GET", "/x"), ("GET", "/x")]), [false, true, false]);
    }

    #[test]
    fn impossible_faults_are_refused_and_change_nothing() {
        let faults = Faults::default();
        faults.set(Fault::new(FaultKind::Hang)).expect("a good fault");
        let before = faults.show();
        let bad = [
            Fault { status: 99, ..Fault::new(FaultKind::Status) },
            Fault { probability: f64::NAN, ..Fault::new(FaultKind::Status) },
            Fault { count: Some(1), ..Fault::new(FaultKind::Refuse) },
            Fault { then: Some(Box::new(Fault::new(FaultKind::Hang))), ..Fault::new(FaultKind::Hang) },
        ];
        for fault in bad {
            assert!(faults.set(fault).is_err());
        }
        assert_eq!(faults.show(), before);
    }
}
