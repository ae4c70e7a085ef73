//! `megamind run`.

use std::{
    io::{Write, stdout},
    net::{SocketAddr, TcpStream},
    path::Path,
    process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use async_trait::async_trait;
use megamind_conf::{AuthMode, Config};
use megamind_gateway::{Builder, Gateway, Listeners};
use megamind_handlers::{Command, Deliveries, import};
use pingora::server::{
    RunArgs, Server, ShutdownSignal, ShutdownSignalWatch,
    configuration::{Opt, ServerConf},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{deliveries, logging, told};
use crate::deliveries::{calls, planner, sms};

/// Runs the gateway until a signal ends it.
pub(super) fn run(path: &Path) -> anyhow::Result<()> {
    let config = super::load(path)?;
    let mistakes = config.check_files();
    if !mistakes.is_empty() {
        return Err(told(&mistakes));
    }
    logging::start(&logging::configured(&config));
    warn(&config);
    let listeners = Listeners::reserve(&config)?;
    let settings = deliveries::settings(&config);
    let mut builder = Builder::new(Deliveries::new(settings), config.clone())
        .census(deliveries::census)
        .gaps(Deliveries::gaps)
        .listed(Deliveries::listed)
        .handback(deliveries::Back)
        .recall(Deliveries::missing, deliveries::back, Deliveries::forgotten)
        .ahead(Deliveries::takes_long, Deliveries::plan_ahead)
        .task("retire", deliveries::retire)
        .import("pilots", |deliveries, text| lines(import::pilots(deliveries.settings(), text.as_bytes())))
        .import("orders", |deliveries, text| lines(import::orders(deliveries.settings(), text.as_bytes())));
    builder = calls::add_to(builder, &config)?;
    builder = planner::add_to(builder)?;
    builder = sms::add_to(builder, &config)?;
    let gateway = builder.open().context("the gateway cannot start")?;
    let mut server = Server::new_with_opt_and_conf(None::<Opt>, server_conf(&config));
    server.bootstrap();
    let addresses = addresses(&listeners);
    gateway.add_to(&mut server, listeners)?;
    thread::spawn(move || announce(&addresses));
    serve(server, gateway, config.gateway.grace);
    Ok(())
}

/// What is wrong with a file, line by line.
fn lines(read: Result<Vec<Command>, Vec<import::LineError>>) -> Result<Vec<Command>, Vec<String>> {
    read.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

/// Runs the server; on a signal stops accepting, finishes requests, closes the journal, and ends.
fn serve(server: Server, gateway: Gateway<Deliveries>, grace: Duration) {
    let (told, mut asked) = mpsc::channel(1);
    let gateway = Arc::new(std::sync::Mutex::new(Some(gateway)));
    let closing = gateway.clone();
    thread::spawn(move || {
        if asked.blocking_recv().is_none() {
            return;
        }
        // Pingora sleeps out its whole grace period; this ends the process as soon as nothing is left to do.
        thread::sleep(Duration::from_millis(100));
        if let Some(gateway) = closing.lock().ok().and_then(|mut gateway| gateway.take()) {
            gateway.wait_until_idle(grace);
            gateway.close();
        }
        tracing::info!("stopped");
        process::exit(0);
    });
    server.run(RunArgs { shutdown_signal: Box::new(Signals(told)) });
    // The grace period is over before the requests were.
    if let Some(gateway) = gateway.lock().ok().and_then(|mut gateway| gateway.take()) {
        gateway.close();
    }
}

/// TERM, INT and QUIT all end the gateway in order.
struct Signals(mpsc::Sender<()>);

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let streams = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()].map(signal);
        let [Ok(mut terminate), Ok(mut interrupt), Ok(mut quit)] = streams else {
            tracing::error!("signals cannot be listened for; only SIGKILL will end this process");
            return std::future::pending().await;
        };
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = quit.recv() => "SIGQUIT",
        };
        tracing::info!(signal = name, "stopping: requests are finished first");
        let _ = self.0.send(()).await;
        ShutdownSignal::GracefulTerminate
    }
}

fn server_conf(config: &Config) -> ServerConf {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    ServerConf {
        threads: match config.gateway.threads {
            0 => cores,
            threads => threads,
        },
        work_stealing: false,
        upstream_keepalive_pool_size: config.upstream.pool_size.get(),
        // One second beyond, so that the ordered end above comes first.
        grace_period_seconds: Some(config.gateway.grace.as_secs() + 1),
        graceful_shutdown_timeout_seconds: Some(1),
        // A request is tried at each server once, as long as none can be connected.
        max_retries: config.upstream.servers.len().max(2),
        ca_file: config
            .upstream
            .tls
            .as_ref()
            .and_then(|tls| tls.ca.as_ref())
            .map(|path| path.display().to_string()),
        ..ServerConf::default()
    }
}

fn addresses(listeners: &Listeners) -> Vec<(&'static str, SocketAddr)> {
    let plain = listeners.plain.iter().map(|listen| ("listening on", listen.address));
    let tls = listeners.tls.iter().map(|listen| ("listening with TLS on", listen.address));
    plain.chain(tls).chain([("admin on", listeners.admin.address)]).collect()
}

/// Prints the addresses on standard output, once each accepts connections.
fn announce(addresses: &[(&str, SocketAddr)]) {
    let until = Instant::now() + Duration::from_secs(10);
    for (what, address) in addresses {
        let mut target = *address;
        if target.ip().is_unspecified() {
            target.set_ip(match target {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        while TcpStream::connect_timeout(&target, Duration::from_secs(1)).is_err() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        // Nobody has to listen to it.
        let _ = writeln!(stdout(), "{what} {address}");
        tracing::info!(%address, "{what}");
    }
}

fn warn(config: &Config) {
    let beyond = config.gateway.listen.iter().any(|address| !address.ip().is_loopback());
    if config.auth.mode == AuthMode::Open && beyond {
        tracing::warn!(
            "auth.mode is \"open\" and gateway.listen reaches beyond this machine: while acting, anybody who reaches it may write"
        );
    }
}
