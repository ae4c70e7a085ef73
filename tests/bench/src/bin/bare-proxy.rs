//! The yardstick for forwarding: a Pingora proxy that does nothing but pass on, with the same
//! version, profile and settings as the gateway beside it.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use pingora::prelude::{HttpPeer, Result};
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;

/// The gateway's own, so that the difference measured is not the allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Passes requests on, and nothing else.
#[derive(Debug, Parser)]
struct Cli {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
    /// Threads of the proxy.
    #[arg(long)]
    threads: usize,
    /// Idle connections to the upstream that are kept.
    #[arg(long)]
    pool: usize,
    /// Lets threads take over each other's tasks.
    #[arg(long)]
    work_stealing: bool,
}

struct Bare {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut Self::CTX) -> Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.upstream, false, String::new());
        // Every timeout set, as any proxy in use has them.
        peer.options.connection_timeout = Some(Duration::from_millis(300));
        peer.options.total_connection_timeout = Some(Duration::from_millis(300));
        peer.options.read_timeout = Some(Duration::from_secs(2));
        peer.options.write_timeout = Some(Duration::from_secs(2));
        peer.options.idle_timeout = Some(Duration::from_secs(30));
        Ok(Box::new(peer))
    }
}

fn main() {
    let cli = Cli::parse();
    let conf = ServerConf {
        threads: cli.threads,
        upstream_keepalive_pool_size: cli.pool,
        work_stealing: cli.work_stealing,
        // Pingora sleeps the whole period after SIGTERM.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Bare { upstream: cli.upstream });
    proxy.add_tcp(&cli.listen.to_string());
    server.add_service(proxy);
    server.run_forever();
}
