//! The stand-in for Oblivion: the cloud's side of the public interface, as a process of its own.
//!
//! It takes and tells orders and pilots as the real one does, assigns orders to the nearest free
//! pilot by itself, honours `Idempotency-Key`, and can be broken on purpose:
//!
//! * `GET`, `PUT` (or `POST`) and `DELETE` of `/__fault` show, set and clear a [`Fault`].
//! * `GET /__log?since=SEQ` tells every write that it applied, in order.
//! * `GET /__orders` tells every order and pilot in full.
//!
//! These three are also on a second listener, the *control* listener, which stays open while the
//! fault `refuse` has closed the public one.
//!
//! Beside the contract's endpoints there are `/findOrder` (which orders a merchant placed under a
//! `clientRef`), `/catalogue/*` (static pages; anything but GET and HEAD replaces one) and `/echo`
//! (tells the request back). They stand for what a `lookup`, a cached and a plain route need.
//!
//! Only answers of writes that took effect are stored under their key; a refusal is decided anew.

mod cloud;
mod dialect;
mod endpoint;
mod fault;
mod form;
mod listen;
mod log;
mod order;
mod params;
mod refusal;
mod server;
mod state;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

pub use self::dialect::Dialect;
pub use self::fault::{Fault, FaultKind, Faults};

use self::cloud::Cloud;
use self::listen::Plane;
use self::server::Shared;

/// How the stand-in cloud is started. These are its command-line flags, too.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// Where the public interface listens; port 0 picks one, which is printed.
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Where faults are set and the log is read while the public port is closed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub control: SocketAddr,
    /// Keeps everything in this file, over a restart too.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// The names and shapes on the wire.
    #[arg(long, value_enum, default_value_t)]
    pub dialect: Dialect,
    /// Takes no notice of Idempotency-Key, as many clouds do.
    #[arg(long)]
    pub ignore_keys: bool,
    /// Has no /findOrder: nobody can ask what became of a write.
    #[arg(long)]
    pub no_lookup: bool,
    /// Leaves orders unassigned until somebody assigns them.
    #[arg(long)]
    pub no_dispatch: bool,
    /// Answers gzipped where the client accepts it.
    #[arg(long)]
    pub gzip: bool,
    /// Every answer comes so many milliseconds later.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub latency_ms: u64,
}

impl Options {
    /// A cloud in memory on free ports of the loopback interface.
    pub fn loopback() -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: anywhere,
            control: anywhere,
            data: None,
            dialect: Dialect::Default,
            ignore_keys: false,
            no_lookup: false,
            no_dispatch: false,
            gzip: false,
            latency_ms: 0,
        }
    }
}

/// A stand-in cloud that runs in this process, until it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where the public interface is.
    pub addr: SocketAddr,
    /// Where the control plane is.
    pub control: SocketAddr,
    /// The faults, to be set without HTTP.
    pub faults: Arc<Faults>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Waits for ever, or until a listener ends, which it does not.
    pub async fn run(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Opens both listeners and serves them on the current tokio runtime.
///
/// Fails when the data file cannot be read, or a port cannot be had.
pub async fn serve(options: &Options) -> anyhow::Result<Server> {
    let cloud = Cloud::open(options.data.as_deref(), !options.ignore_keys, !options.no_dispatch)?;
    let faults = Arc::new(Faults::default());
    let shared = Arc::new(Shared {
        cloud: Arc::new(cloud),
        faults: Arc::clone(&faults),
        dialect: options.dialect,
        latency: Duration::from_millis(options.latency_ms),
        gzip: options.gzip,
        can_be_asked: !options.no_lookup,
    });
    let bind = async |addr| {
        TcpListener::bind(addr)
            .await
            .with_context(|| format!("cannot listen on {addr}"))
    };
    let (public, control) = (bind(options.listen).await?, bind(options.control).await?);
    let (addr, control_addr) = (public.local_addr()?, control.local_addr()?);
    let mut tasks = JoinSet::new();
    tasks.spawn(listen::listen(public, addr, Arc::clone(&shared), Plane::Public));
    tasks.spawn(listen::listen(control, control_addr, shared, Plane::Control));
    Ok(Server { addr, control: control_addr, faults, tasks })
}

/// Serves until SIGTERM or SIGINT. The first two lines on standard output name the listeners:
/// `listening on ADDR` and `control on ADDR`.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let server = serve(options).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on {}\ncontrol on {}", server.addr, server.control)?;
        out.flush()?;
        drop(out);
        tokio::select! {
            () = server.run() => {}
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        Ok(())
    })
}
