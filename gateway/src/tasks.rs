//! Background tasks, each supervised: one that ends is started again, with backoff, and counted.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use megamind_domain::{Domain, Endpoint, Parsed, Request, Stance};
use megamind_store::{Prior, Write};
use pingora::{server::ShutdownWatch, services::background::BackgroundService};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    backup, bootstrap,
    core::Core,
    credentials, drain,
    handle::{Handle, Task},
    health, modes, refresh,
    upstream::Exchanger,
};

/// The longest wait before a task is started again.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A command of the domain's own, given at a fixed interval while the gateway acts.
pub(crate) struct Periodic<D: Domain> {
    pub(crate) every: Duration,
    pub(crate) command: Arc<dyn Fn() -> D::Command + Send + Sync>,
}

impl<D: Domain> Clone for Periodic<D> {
    fn clone(&self) -> Self {
        Self { every: self.every, command: self.command.clone() }
    }
}

/// Asks the upstream for what is missing of the city.
pub(crate) type Gaps<D> = Arc<dyn Fn(&D, &<D as Domain>::City, usize) -> Vec<(Endpoint, Request)> + Send + Sync>;

/// Reads what the upstream lists: the read that each thing might be an answer to, and that answer's body.
pub(crate) type Listed<D> = Arc<dyn Fn(&D, &[u8]) -> Vec<(Endpoint, Request, Bytes)> + Send + Sync>;

/// All background tasks of a gateway, as one Pingora service.
pub(crate) struct Tasks<D: Domain> {
    pub(crate) core: Arc<Core<D>>,
    pub(crate) exchanger: Arc<Exchanger>,
    pub(crate) periodic: Vec<Periodic<D>>,
    pub(crate) gaps: Option<Gaps<D>>,
    pub(crate) listed: Option<Listed<D>>,
    /// The domain's own.
    pub(crate) own: Vec<Task<D>>,
}

#[async_trait]
impl<D: Domain> BackgroundService for Tasks<D> {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let core = &self.core;
        let with_core = || self.core.clone();
        let with_both = || (self.core.clone(), self.exchanger.clone());
        let own = with_core();
        supervise("modes", core, move || modes::drive(own.clone()));
        let own = with_core();
        supervise("names", core, move || health::resolve_names(own.clone()));
        let (own, exchanger) = with_both();
        supervise("checks", core, move || health::check_servers(own.clone(), exchanger.clone()));
        let (own, exchanger) = with_both();
        supervise("drain", core, move || drain::drain(own.clone(), exchanger.clone()));
        if let Some(settings) = core.config.backup.clone() {
            let own = with_core();
            supervise("backups", core, move || backup::rotate(own.clone(), settings.clone()));
        }
        let own = with_core();
        supervise("credentials", core, move || credentials::tell(own.clone()));
        supervise("signals", core, ignore_hangups);
        if let Some(listed) = self.listed.clone() {
            let (own, exchanger) = with_both();
            supervise("bootstrap", core, move || {
                bootstrap::bootstrap(own.clone(), exchanger.clone(), listed.clone())
            });
        }
        if let Some(gaps) = self.gaps.clone() {
            let (own, exchanger) = with_both();
            supervise("refresh", core, move || refresh::refresh(own.clone(), exchanger.clone(), gaps.clone()));
        }
        for periodic in self.periodic.clone() {
            let own = with_core();
            supervise("periodic", core, move || give(own.clone(), periodic.clone()));
        }
        for task in self.own.clone() {
            let handle = Handle(with_core());
            supervise(task.name, core, move || (task.run)(handle.clone()));
        }
        // Dropping the runtime ends the tasks.
        while shutdown.changed().await.is_ok() && !*shutdown.borrow() {}
    }
}

/// Runs a task for as long as the runtime lives.
fn supervise<D, F>(name: &'static str, core: &Arc<Core<D>>, make: impl Fn() -> F + Send + 'static)
where
    D: Domain,
    F: Future<Output = ()> + Send + 'static,
{
    let core = core.clone();
    tokio::spawn(async move {
        let mut wait = Duration::from_millis(100);
        loop {
            let ended = tokio::spawn(make()).await;
            tracing::error!(task = name, panicked = ended.is_err(), "task ended; it is started again");
            core.metrics.task_restarts.with_label_values(&[name]).inc();
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(MAX_WAIT);
        }
    });
}

/// SIGHUP ends a process that does not take it. There is nothing to reload yet.
async fn ignore_hangups() {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        return std::future::pending().await;
    };
    while hangups.recv().await.is_some() {
        tracing::info!("SIGHUP: the configuration is read at start only; nothing changed");
    }
}

/// Gives a command whenever it is due and the gateway acts.
async fn give<D: Domain>(core: Arc<Core<D>>, periodic: Periodic<D>) {
    let request = Arc::new(Request::default());
    let mut tick = interval(periodic.every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if core.modes.stance() != Stance::Acting {
            continue;
        }
        let write = Write {
            // Of no route: nobody is answered.
            endpoint: Endpoint(u16::MAX),
            parsed: Arc::new(Parsed {
                command: (periodic.command)(),
                subject: None,
                natural: None,
                fact: false,
                patience: None,
            }),
            request: request.clone(),
            key: None,
            prior: Prior::NeverSent,
            stance: Stance::Acting,
            identity: None,
            sealed: None,
        };
        if let Err(error) = core.store.submit(write).await {
            tracing::warn!(%error, "periodic command not decided");
        }
    }
}
