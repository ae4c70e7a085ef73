//! Decides what is sent when.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use megamind_domain::Domain;
use megamind_store::{Settle, Work};
use tokio::task::JoinSet;

use super::{
    pace::{Limits, Pace, backoff},
    replay::{self, Ended},
};
use crate::{core::Core, modes::Mode, upstream::Exchanger};

/// Entries looked at for some that may be sent now.
const WINDOW: usize = 1024;

/// Replays that are tried while the upstream is not believed yet, each time that it seems to be back.
const TRIALS: u32 = 3;

/// The longest sleep without being woken.
const IDLE: Duration = Duration::from_secs(1);

/// How often an entry that waits for a credential is looked at.
const CREDENTIAL: Duration = Duration::from_secs(1);

/// An entry that did not go through.
struct Trouble {
    attempts: u32,
    not_before: Instant,
    /// Entries settled when it first failed: whether others pass meanwhile.
    settled_before: u64,
}

struct Worker<D: Domain> {
    core: Arc<Core<D>>,
    exchanger: Arc<Exchanger>,
    pace: Pace,
    started: Instant,
    under_way: JoinSet<(u64, Ended)>,
    flying: HashSet<u64>,
    troubled: HashMap<u64, Trouble>,
    settled: u64,
    /// Trial replays begun since the upstream seems to be back.
    trials: u32,
}

/// Drains whenever the mode allows it.
pub(crate) async fn drain<D: Domain>(core: Arc<Core<D>>, exchanger: Arc<Exchanger>) {
    let settings = &core.config.drain;
    let limits = Limits {
        max_rate: settings.max_rate,
        max_width: settings.max_concurrency.get(),
        backoff: settings.backoff,
        max_backoff: settings.max_backoff,
    };
    let mut worker = Worker {
        pace: Pace::new(limits),
        core,
        exchanger,
        started: Instant::now(),
        under_way: JoinSet::new(),
        flying: HashSet::new(),
        troubled: HashMap::new(),
        settled: 0,
        trials: 0,
    };
    loop {
        let wait = worker.send();
        tokio::select! {
            Some(done) = worker.under_way.join_next() => match done {
                Ok((seq, ended)) => worker.ended(seq, ended).await,
                // A replay that panicked: its entry is as it was. Which it was is not known, so all are looked at anew.
                Err(_) => worker.flying.clear(),
            },
            () = worker.core.drain_wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl<D: Domain> Worker<D> {
    /// Sends what may be sent now; answers with the time after which to look again.
    fn send(&mut self) -> Duration {
        let width = match self.core.modes.current() {
            Mode::Acting => {
                self.trials = 0;
                return IDLE;
            }
            Mode::Recovering if self.trials >= TRIALS => return IDLE,
            Mode::Recovering => 1,
            Mode::Forwarding | Mode::Draining => {
                self.trials = 0;
                self.pace.width()
            }
        };
        if self.under_way.len() >= width || self.core.store.published().sendable == 0 {
            return IDLE;
        }
        let now = Instant::now();
        let mut wait = IDLE;
        let mut left_out = self.flying.clone();
        for (seq, trouble) in &self.troubled {
            if trouble.not_before > now {
                left_out.insert(*seq);
                wait = wait.min(trouble.not_before - now);
            }
        }
        for work in self.core.store.work(WINDOW, |seq| left_out.contains(&seq)) {
            if self.under_way.len() >= width {
                return IDLE;
            }
            self.trials += 1;
            if let Err(pause) = self.pace.take(self.started.elapsed()) {
                return pause.min(IDLE);
            }
            self.launch(&work);
        }
        wait
    }

    fn launch(&mut self, work: &Work) {
        let seq = work.seq;
        let (core, exchanger) = (self.core.clone(), self.exchanger.clone());
        self.flying.insert(seq);
        self.under_way
            .spawn(async move { (seq, replay::attempt(&core, &exchanger, seq).await) });
    }

    async fn ended(&mut self, seq: u64, ended: Ended) {
        self.flying.remove(&seq);
        match ended {
            Ended::Settled(outcome) => {
                self.core.metrics.drained.with_label_values(&[outcome]).inc();
                self.settled += 1;
                self.troubled.remove(&seq);
                self.pace.succeeded();
                self.core.modes.good();
            }
            Ended::Again { why, after } => {
                self.core.modes.good();
                self.again(seq, &why, after).await;
            }
            Ended::Later { why, after } => {
                tracing::debug!(seq, why, "entry waits");
                self.core.modes.good();
                let trouble = self.trouble(seq);
                trouble.not_before = Instant::now() + after;
            }
            Ended::Failed { why, after } => self.again(seq, &why, after).await,
            Ended::Waits => {
                let settled_before = self.settled;
                let trouble = Trouble { attempts: 0, not_before: Instant::now() + CREDENTIAL, settled_before };
                self.troubled.insert(seq, trouble);
            }
            Ended::Local(why) => {
                tracing::warn!(seq, why, "replay not settled");
                self.pace.failed(self.started.elapsed(), None, 1.0);
            }
        }
    }

    fn trouble(&mut self, seq: u64) -> &mut Trouble {
        self.troubled.entry(seq).or_insert(Trouble {
            attempts: 0,
            not_before: Instant::now(),
            settled_before: self.settled,
        })
    }

    /// Keeps an entry for later, and goes more slowly; parks it where it alone keeps failing.
    async fn again(&mut self, seq: u64, why: &str, after: Option<u32>) {
        let core = self.core.clone();
        let settings = &core.config.drain;
        self.core.metrics.drained.with_label_values(&["retried"]).inc();
        let asked = after.map(|seconds| Duration::from_secs(seconds.into()).min(settings.max_backoff));
        self.pace.failed(self.started.elapsed(), asked, jitter());
        let settled = self.settled;
        let trouble = self.trouble(seq);
        trouble.attempts += 1;
        let pause = backoff(settings.backoff, settings.max_backoff, trouble.attempts);
        trouble.not_before = Instant::now() + asked.unwrap_or_else(|| pause.mul_f64(jitter()));
        let alone = settled > trouble.settled_before;
        tracing::info!(seq, attempts = trouble.attempts, why, "replay will be repeated");
        if alone && trouble.attempts >= settings.max_attempts.get() {
            let parked = Settle::Parked {
                seq,
                status: None,
                reason: format!("{} attempts failed while others passed: {why}", trouble.attempts),
            };
            match self.core.store.settle(parked).await {
                Ok(()) => {
                    self.troubled.remove(&seq);
                    self.core.metrics.drained.with_label_values(&["parked"]).inc();
                }
                Err(error) => tracing::warn!(seq, %error, "entry not parked"),
            }
        }
    }
}

/// A number from 0 to 1. Not random enough for anything but spreading retries.
fn jitter() -> f64 {
    let mut byte = [0; 4];
    if getrandom::fill(&mut byte).is_err() {
        return 1.0;
    }
    f64::from(u32::from_le_bytes(byte)) / f64::from(u32::MAX)
}
