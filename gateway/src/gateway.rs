//! Putting a gateway together, and adding it to a Pingora server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use megamind_conf::Config;
use megamind_domain::{Domain, Endpoint, EntityKey, Rejection, Request, Stance, Time};
use megamind_store::{Merge, OpenError, Options, Store, WriterHandle};
use pingora::{
    connectors::ConnectorOptions,
    listeners::tls::TlsSettings,
    proxy::http_proxy,
    server::Server,
    services::{background::background_service, listening::Service},
};
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    admin::Admin,
    ahead::{Ahead, Work},
    backup::{Backups, Belonging},
    core::{Core, wall_clock},
    credentials::Credentials,
    drain,
    handback::Handback,
    handle::{Asked, Handle, PageAnswer, Pages, Task},
    health,
    ids::LocalIds,
    in_flight::InFlight,
    keys::Keys,
    listen::{Bound, Listeners, PortError},
    metrics::Metrics,
    modes::{Limits, Mode, Modes},
    proxy::{Connections, Proxy, Recent, Requests, Routes},
    recall::Recall,
    tasks::{Gaps, Listed, Periodic, Tasks},
    upstream::{Exchanger, FailureTest, Servers},
};

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The operating system.
    #[error("the system gives no {0}")]
    System(&'static str),
    /// A port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A file that was there when the configuration was checked.
    #[error("{0}")]
    File(String),
    /// Metrics of one name.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// How many there are of each kind and status, for the metrics.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Orders by status.
    pub orders: Vec<(&'static str, u64)>,
    /// Pilots by status.
    pub pilots: Vec<(&'static str, u64)>,
}

/// Reads a file that an operator hands in: commands, or what is wrong with which line.
pub(crate) type Import<D> = Arc<dyn Fn(&D, &str) -> Result<Vec<<D as Domain>::Command>, Vec<String>> + Send + Sync>;

/// Tells a member of the status.
pub(crate) type Tell<D> = Arc<dyn Fn(&Handle<D>) -> Value + Send + Sync>;

/// Counts a city.
pub(crate) type Count<D> = Arc<dyn Fn(&<D as Domain>::City) -> Census + Send + Sync>;

/// What a gateway is made of.
pub struct Builder<D: Domain> {
    config: Arc<Config>,
    domain: Arc<D>,
    periodic: Vec<Periodic<D>>,
    gaps: Option<Gaps<D>>,
    listed: Option<Listed<D>>,
    handback: Arc<dyn Handback<D>>,
    tasks: Vec<Task<D>>,
    ahead: Option<Ahead<D>>,
    recall: Option<Recall<D>>,
    desk: Desk<D>,
    copied: Vec<Belonging>,
}

/// What the domain adds to the administration.
pub(crate) struct Desk<D: Domain> {
    pub(crate) census: Option<Count<D>>,
    pub(crate) imports: Vec<(&'static str, Import<D>)>,
    pub(crate) pages: Vec<Pages<D>>,
    pub(crate) status: Vec<(&'static str, Tell<D>)>,
}

impl<D: Domain> Clone for Desk<D> {
    fn clone(&self) -> Self {
        Self {
            census: self.census.clone(),
            imports: self.imports.clone(),
            pages: self.pages.clone(),
            status: self.status.clone(),
        }
    }
}

impl<D: Domain> Builder<D> {
    /// A gateway for `domain`.
    pub fn new(domain: D, config: Config) -> Self {
        Self {
            config: Arc::new(config),
            domain: Arc::new(domain),
            periodic: Vec::new(),
            gaps: None,
            listed: None,
            handback: Arc::new(()),
            tasks: Vec::new(),
            ahead: None,
            recall: None,
            desk: Desk { census: None, imports: Vec::new(), pages: Vec::new(), status: Vec::new() },
            copied: Vec::new(),
        }
    }

    /// Gives the domain a command every so often while the gateway acts.
    pub fn every(mut self, interval: Duration, command: impl Fn() -> D::Command + Send + Sync + 'static) -> Self {
        self.periodic.push(Periodic { every: interval, command: Arc::new(command) });
        self
    }

    /// Asks the upstream, every `shadow.refresh` while it serves, for what is missing of the city: reads of handled routes,
    /// as many as the last argument allows, whose answers are watched like any other.
    pub fn gaps(
        mut self,
        find: impl Fn(&D, &D::City, usize) -> Vec<(Endpoint, Request)> + Send + Sync + 'static,
    ) -> Self {
        self.gaps = Some(Arc::new(find));
        self
    }

    /// Runs a task of the domain's own beside the gateway's: it is started again, with backoff, whenever it ends.
    pub fn task<F>(mut self, name: &'static str, run: impl Fn(Handle<D>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.push(Task::new(name, run));
        self
    }

    /// Answers `path` and everything under it on the administration's listener. The gateway's own pages come first.
    pub fn pages<F>(
        mut self,
        path: &'static str,
        answer: impl Fn(Handle<D>, Asked) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = PageAnswer> + Send + 'static,
    {
        self.desk.pages.push(Pages::new(path, answer));
        self
    }

    /// Adds a member to `/admin/status`.
    pub fn status(mut self, name: &'static str, tell: impl Fn(&Handle<D>) -> Value + Send + Sync + 'static) -> Self {
        self.desk.status.push((name, Arc::new(tell)));
        self
    }

    /// Puts something of the domain's own into every copy of the journal, under a name; [`megamind_store::restore`]
    /// gives it back. It is asked for before the journal is copied, so it may know of less than the journal does.
    pub fn copied(
        mut self,
        name: &'static str,
        image: impl Fn() -> std::io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.copied.push(Belonging { name, image: Arc::new(image) });
        self
    }

    /// Reads what the endpoints of `shadow.bootstrap` list, asked when the gateway begins to forward and every now and then:
    /// for each thing the read whose answer it might be, and that answer's body.
    pub fn listed(
        mut self,
        read: impl Fn(&D, &[u8]) -> Vec<(Endpoint, Request, Bytes)> + Send + Sync + 'static,
    ) -> Self {
        self.listed = Some(Arc::new(read));
        self
    }

    /// Works out writes that take too long for the journal's writer, over the published city and off its thread: `work`
    /// makes of one the command that is decided instead.
    pub fn ahead(mut self, takes_long: fn(&D::Command) -> bool, work: Work<D>) -> Self {
        self.ahead = Some(Ahead { takes_long, work, turn: Arc::default() });
        self
    }

    /// Finds what has left the city ([`Store::upkeep`]) when it is asked about again: `missing` tells the names in a
    /// command that the city does not know, `back` makes the command that takes a row back into it. Where only the ids are
    /// left of it, `forgotten` says how a command about it is refused, if it is not taken all the same.
    pub fn recall(
        mut self,
        missing: impl Fn(&D, &D::City, &D::Command) -> Vec<Box<str>> + Send + Sync + 'static,
        back: impl Fn(EntityKey, &[u8]) -> Option<D::Command> + Send + Sync + 'static,
        forgotten: impl Fn(&D, &D::Command, Stance) -> Option<Rejection> + Send + Sync + 'static,
    ) -> Self {
        self.recall = Some(Recall { missing: Arc::new(missing), back: Arc::new(back), forgotten: Arc::new(forgotten) });
        self
    }

    /// What the drain asks of the domain.
    pub fn handback(mut self, handback: impl Handback<D>) -> Self {
        self.handback = Arc::new(handback);
        self
    }

    /// Counts the city for the metrics.
    pub fn census(mut self, count: impl Fn(&D::City) -> Census + Send + Sync + 'static) -> Self {
        self.desk.census = Some(Arc::new(count));
        self
    }

    /// Takes files of a kind at `POST /admin/import/NAME`.
    pub fn import(
        mut self,
        name: &'static str,
        read: impl Fn(&D, &str) -> Result<Vec<D::Command>, Vec<String>> + Send + Sync + 'static,
    ) -> Self {
        self.desk.imports.push((name, Arc::new(read)));
        self
    }

    /// How values that wait in the queue are merged.
    fn merge(&self) -> Merge {
        let (handback, domain) = (self.handback.clone(), self.domain.clone());
        Arc::new(move |earlier, later| handback.merge(&domain, earlier, later))
    }

    /// Opens the journal and asks the upstream once how it is. Takes `health.timeout` at most, besides the time that
    /// the journal needs.
    ///
    /// # Errors
    /// A [`StartError`] whose text names the file and what to do.
    pub fn open(self) -> Result<Gateway<D>, StartError> {
        let merge = Some(self.merge());
        let config = self.config;
        let options = Options { merge, ..store_options(&config) };
        let (store, writer) = Store::open(self.domain.clone(), options)?;
        let last_mode = store.last_mode();
        let core = Arc::new(Core {
            modes: Modes::new(limits(&config), Mode::Forwarding, wall_clock()),
            servers: Servers::new(&config.upstream),
            routes: Routes::new(self.domain.routes(), &config.routes),
            metrics: Metrics::new()?,
            ids: LocalIds::new(config.city.as_str(), config.ids.range(), config.ids.upstream_numbers),
            keys: Keys::new().map_err(|_| StartError::System("randomness"))?,
            unanswered: Arc::new(AtomicUsize::new(0)),
            in_flight: Arc::new(InFlight::default()),
            twins: Arc::default(),
            recent: Recent::default(),
            probe: ArcSwapOption::empty(),
            credentials: Credentials::new(&config).map_err(StartError::File)?,
            ahead: self.ahead,
            recall: self.recall,
            backups: Backups::new(self.copied),
            drain_wake: Notify::new(),
            handback: self.handback,
            drain: drain::View::default(),
            live: drain::Live::default(),
            domain: self.domain,
            store,
            config,
        });
        let unclean = last_mode.is_some_and(|mode| mode != Mode::Forwarding.name());
        if !reachable(&core)? || unclean {
            core.modes.begin_acting(wall_clock());
        }
        Ok(Gateway {
            core,
            writer: Some(writer),
            periodic: self.periodic,
            gaps: self.gaps,
            listed: self.listed,
            tasks: self.tasks,
            desk: self.desk,
        })
    }
}

/// A gateway, ready to be added to a server.
pub struct Gateway<D: Domain> {
    core: Arc<Core<D>>,
    writer: Option<WriterHandle>,
    periodic: Vec<Periodic<D>>,
    gaps: Option<Gaps<D>>,
    listed: Option<Listed<D>>,
    tasks: Vec<Task<D>>,
    desk: Desk<D>,
}

impl<D: Domain> Gateway<D> {
    /// What a thread or program of the server's own may do with it.
    pub fn handle(&self) -> Handle<D> {
        Handle(self.core.clone())
    }

    /// The proxy alone, for a service of the server's own.
    pub fn proxy(&self) -> Proxy<D> {
        Proxy { core: self.core.clone(), exchanger: exchanger(&self.core.config) }
    }

    /// The administration alone, for a service of the server's own.
    ///
    /// # Errors
    /// The token file cannot be read.
    pub fn admin(&self) -> Result<Admin<D>, StartError> {
        Admin::new(self.core.clone(), self.desk.clone())
    }

    /// Adds proxy, administration and background tasks to a server.
    ///
    /// # Errors
    /// A certificate or token file that cannot be read (any more), or a port that somebody else took meanwhile.
    pub fn add_to(&self, server: &mut Server, listeners: Listeners) -> Result<(), StartError> {
        let config = &self.core.config;
        let requests = Requests {
            proxy: Arc::new(http_proxy(&server.configuration, self.proxy())),
            keepalive: config.gateway.keepalive_timeout,
        };
        let mut proxy = Bound::new(Service::new("proxy".into(), Connections(Arc::new(requests))));
        for listen in listeners.plain {
            proxy.listen(listen, None)?;
        }
        for listen in listeners.tls {
            proxy.listen(listen, tls(config)?)?;
        }
        let mut admin = Service::new("admin".into(), self.admin()?);
        admin.threads = Some(1);
        let mut admin = Bound::new(admin);
        admin.listen(listeners.admin, None)?;
        server.add_service(proxy);
        server.add_service(admin);
        server.add_service(background_service("tasks", self.tasks()));
        Ok(())
    }

    /// Waits until no request is being answered, `grace` at most.
    pub fn wait_until_idle(&self, grace: Duration) {
        self.core.store.end_waiting();
        let until = Instant::now() + grace;
        while self.core.unanswered.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Flushes and closes the journal.
    pub fn close(mut self) {
        if let Some(writer) = self.writer.take() {
            writer.stop();
        }
    }

    fn tasks(&self) -> Tasks<D> {
        Tasks {
            core: self.core.clone(),
            exchanger: Arc::new(exchanger(&self.core.config)),
            periodic: self.periodic.clone(),
            gaps: self.gaps.clone(),
            listed: self.listed.clone(),
            own: self.tasks.clone(),
        }
    }
}

fn tls(config: &Config) -> Result<Option<TlsSettings>, StartError> {
    let Some(tls) = &config.gateway.tls else {
        return Ok(None);
    };
    let mut settings = TlsSettings::intermediate(&tls.cert.display().to_string(), &tls.key.display().to_string())
        .map_err(|error| StartError::File(format!("gateway.tls: {error}")))?;
    settings.enable_h2();
    Ok(Some(settings))
}

fn limits(config: &Config) -> Limits {
    let health = &config.health;
    Limits {
        fall: health.fall.get(),
        rise: health.rise.get(),
        flap_window: health.flap_window,
        window: health.passive.window,
        failure_ratio: health.passive.failure_ratio.get(),
        min_requests: health.passive.min_requests.get().into(),
    }
}

/// A clock that stands before this release was made, at the beginning of 2026, is wrong.
const MADE: Time = Time(1_767_225_600_000);

fn store_options(config: &Config) -> Options {
    let store = &config.store;
    Options {
        queue_timeout: store.queue_timeout,
        max_queue: store.max_queue.get(),
        max_queue_bytes: usize::try_from(store.max_queue_bytes).unwrap_or(usize::MAX),
        max_batch: store.batch.get(),
        shadow_flush: config.shadow.flush,
        keep_keys_for: config.idempotency.keep_for,
        max_keys: config.idempotency.max_keys.get(),
        natural_window: config.idempotency.natural_window,
        retention: store.retention,
        keep_left_for: config.orders.keep_archived,
        clock: Arc::new(wall_clock),
        earliest: MADE,
        ..Options::new(&store.path, config.city.as_str())
    }
}

pub(crate) fn exchanger(config: &Config) -> Exchanger {
    let upstream = &config.upstream;
    let mut options = ConnectorOptions::new(upstream.pool_size.get());
    if let Some(tls) = &upstream.tls {
        options.ca_file = tls.ca.as_ref().map(|path| path.display().to_string());
        options.cert_key_file = tls
            .cert
            .as_ref()
            .zip(tls.key.as_ref())
            .map(|(cert, key)| (cert.display().to_string(), key.display().to_string()));
    }
    let test = FailureTest::new(&upstream.failure_status, upstream.success.as_ref());
    Exchanger::new(options, test)
}

/// Whether the upstream is well now: the first round of checks, before the first request.
fn reachable<D: Domain>(core: &Arc<Core<D>>) -> Result<bool, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| StartError::System("threads"))?;
    let exchanger = Arc::new(exchanger(&core.config));
    Ok(runtime.block_on(async {
        let check = async {
            core.servers.resolve_unknown().await;
            health::check_all(core, &exchanger).await
        };
        tokio::time::timeout(core.config.health.timeout * 2, check)
            .await
            .unwrap_or(false)
    }))
}
