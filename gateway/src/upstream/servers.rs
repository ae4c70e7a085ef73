//! The servers of the upstream and their addresses.
//!
//! Names are resolved in the background, never on the way of a request, and the last good answer is kept: DNS is
//! down in exactly the outages that matter.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use megamind_conf::Upstream as Settings;
use pingora::upstreams::peer::HttpPeer;
use smallvec::SmallVec;

use super::idle::{Idle, Limit};

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    /// As written in the configuration: `host:port` or a URL.
    pub name: String,
    /// The value of the `Host` header in requests of the gateway's own.
    pub authority: String,
    host: String,
    port: u16,
    healthy: AtomicBool,
    peers: ArcSwapOption<Peers>,
}

/// One address.
#[derive(Debug)]
pub(crate) struct Peers {
    /// How to connect to it.
    pub peer: HttpPeer,
    /// The connections to it that wait for the next exchange.
    pub(super) idle: Idle,
}

impl Server {
    /// Whether the active checks find it well. True until the first check.
    pub(crate) fn healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Notes what a check found; answers whether that is news.
    pub(crate) fn set_healthy(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Ordering::Relaxed) != healthy
    }

    /// How to connect to it; `None` while its name has never been resolved.
    pub(crate) fn peers(&self) -> Option<Arc<Peers>> {
        self.peers.load_full()
    }
}

/// The indexes of servers that a request has been tried at in vain.
pub(crate) type Tried = SmallVec<[usize; 4]>;

/// All servers of the upstream.
#[derive(Debug)]
pub(crate) struct Servers {
    all: Vec<Server>,
    next: AtomicUsize,
    settings: Settings,
    /// Of the idle connections to all of them.
    limit: Arc<Limit>,
}

impl Servers {
    /// The servers of a configuration. Literal addresses are usable at once, names after [`Servers::resolve`].
    pub(crate) fn new(settings: &Settings) -> Self {
        let servers = settings
            .servers
            .iter()
            .map(|server| Server {
                name: server.name.clone(),
                authority: authority(&server.host, server.port, server.tls),
                host: server.host.clone(),
                port: server.port,
                healthy: AtomicBool::new(true),
                peers: ArcSwapOption::empty(),
            })
            .collect();
        let limit = Limit::new(settings.pool_size.get(), settings.pool_idle_timeout);
        let all = Self {
            all: servers,
            next: AtomicUsize::new(0),
            settings: settings.clone(),
            limit: Arc::new(limit),
        };
        for (index, server) in all.all.iter().enumerate() {
            if let Ok(ip) = server.host.trim_matches(['[', ']']).parse::<IpAddr>() {
                all.set_address(index, SocketAddr::new(ip, server.port));
            }
        }
        all
    }

    /// In the order of the configuration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.all.iter()
    }

    /// The server with this index.
    pub(crate) fn get(&self, index: usize) -> Option<&Server> {
        self.all.get(index)
    }

    /// The `Host` of requests of the gateway's own: the first server's.
    pub(crate) fn authority(&self) -> &str {
        self.all.first().map_or("", |server| &server.authority)
    }

    /// The next server in turn that has not been tried: among the healthy ones, or among all while none is.
    pub(crate) fn pick(&self, tried: &Tried) -> Option<(usize, Arc<Peers>)> {
        let count = self.all.len();
        let start = if count > 1 { self.next.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let in_turn = || {
            let all = (0..count).map(|step| (start + step) % count);
            all.filter(|index| !tried.contains(index))
        };
        in_turn()
            .filter(|index| self.all[*index].healthy())
            .chain(in_turn())
            .find_map(|index| Some((index, self.all[index].peers()?)))
    }

    /// A server could not be connected: where there are others, it gets no traffic until a check finds it well.
    pub(crate) fn pass_over(&self, index: usize) {
        if self.all.len() > 1 && self.all[index].set_healthy(false) {
            tracing::warn!(server = self.all[index].name, "server cannot be connected");
        }
    }

    /// Closes idle connections that nobody will use: too old, or closed by the server.
    pub(crate) fn sweep_idle(&self) {
        for peers in self.all.iter().filter_map(Server::peers) {
            peers.idle.sweep();
        }
    }

    /// Resolves the names that have no address yet.
    pub(crate) async fn resolve_unknown(&self) {
        self.resolve_those(|server| server.peers().is_none()).await;
    }

    /// Resolves every name once; a name that does not resolve keeps its last good address.
    pub(crate) async fn resolve(&self) {
        self.resolve_those(|server| server.host.parse::<IpAddr>().is_err()).await;
    }

    async fn resolve_those(&self, wanted: impl Fn(&Server) -> bool) {
        for (index, server) in self.all.iter().enumerate() {
            if !wanted(server) {
                continue;
            }
            match tokio::net::lookup_host((server.host.trim_matches(['[', ']']), server.port)).await {
                Ok(mut addresses) => {
                    if let Some(address) = addresses.next() {
                        self.set_address(index, address);
                    }
                }
                Err(error) => {
                    tracing::warn!(server = server.name, %error, "name not resolved; the last good address is kept");
                }
            }
        }
    }

    fn set_address(&self, index: usize, address: SocketAddr) {
        let server = &self.all[index];
        let known = server.peers();
        if known.is_some_and(|peers| peers.peer._address == address.into()) {
            return;
        }
        let peer = self.peer(server, address);
        server
            .peers
            .store(Some(Arc::new(Peers { peer, idle: Idle::new(self.limit.clone()) })));
    }

    fn peer(&self, server: &Server, address: SocketAddr) -> HttpPeer {
        let tls = self.settings.is_tls();
        let name = self
            .settings
            .tls
            .as_ref()
            .and_then(|tls| tls.server_name.clone())
            .unwrap_or_else(|| server.host.clone());
        let mut peer = HttpPeer::new(address, tls, if tls { name } else { String::new() });
        let options = &mut peer.options;
        options.connection_timeout = Some(self.settings.connect_timeout);
        options.total_connection_timeout = Some(self.settings.connect_timeout);
        options.read_timeout = Some(self.settings.response_timeout);
        options.write_timeout = Some(self.settings.response_timeout);
        options.idle_timeout = Some(self.settings.pool_idle_timeout);
        peer
    }
}

fn authority(host: &str, port: u16, tls: bool) -> String {
    match (tls, port) {
        (false, 80) | (true, 443) => host.to_owned(),
        _ => format!("{host}:{port}"),
    }
}
