//! What is measured against each other: the gateway, a bare Pingora proxy, nginx and `HAProxy`,
//! each with two threads' worth of the same settings in front of the same upstream.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::client;
use crate::process::{Process, installed, sibling};

/// Idle connections to the upstream that every contender may keep.
pub(crate) const POOL: usize = 128;
/// How long the gateway waits for the cloud's answer in the measurements.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
const START: Duration = Duration::from_secs(20);

/// A proxy that is ready for requests.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    pub(crate) process: Process,
    /// What it works in, kept as long as it runs.
    _folder: Option<TempDir>,
}

/// The threads that each contender gets.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A port that was free a moment ago, for programs that cannot tell which one they took.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

impl Contender {
    fn ready(name: &'static str, addr: SocketAddr, process: Process) -> anyhow::Result<Self> {
        client::wait_until_ready(addr, "/plain/menu", START)
            .with_context(|| format!("{name} does not come up"))?;
        Ok(Self {
            name,
            addr,
            process,
            _folder: None,
        })
    }

    /// A Pingora proxy without anything of ours.
    pub(crate) fn bare(upstream: SocketAddr) -> anyhow::Result<Self> {
        let listen = free_port()?;
        let mut command = Command::new(sibling("bare-proxy", "megamind-bench")?);
        command
            .args([
                "--listen",
                &listen.to_string(),
                "--upstream",
                &upstream.to_string(),
            ])
            .args([
                "--threads",
                &threads().to_string(),
                "--pool",
                &POOL.to_string(),
            ]);
        Self::ready(
            "bare Pingora",
            listen,
            Process::spawn("bare-proxy", &mut command)?,
        )
    }

    /// nginx, where it is installed.
    pub(crate) fn nginx(upstream: SocketAddr, folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = installed("nginx") else {
            return Ok(None);
        };
        let listen = free_port()?;
        let (workers, home) = (threads(), folder.display());
        let text = format!(
            "worker_processes {workers};\ndaemon off;\npid {home}/nginx.pid;\nerror_log {home}/nginx.err;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  keepalive_requests 100000000;\n\
             client_body_temp_path {home}/b;\n  proxy_temp_path {home}/p;\n  fastcgi_temp_path {home}/f;\n\
             uwsgi_temp_path {home}/u;\n  scgi_temp_path {home}/s;\n\
             upstream cloud {{ server {upstream}; keepalive {POOL}; keepalive_requests 100000000; }}\n\
             server {{\n    listen {listen};\n    location / {{\n      proxy_pass http://cloud;\n\
             proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n"
        );
        let conf = folder.join("nginx.conf");
        fs::write(&conf, text)?;
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&conf)
            .arg("-e")
            .arg(folder.join("nginx.err"));
        Self::ready("nginx", listen, Process::spawn("nginx", &mut command)?).map(Some)
    }

    /// `HAProxy`, where it is installed.
    pub(crate) fn haproxy(upstream: SocketAddr, folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = installed("haproxy") else {
            return Ok(None);
        };
        let listen = free_port()?;
        let threads = threads();
        let text = format!(
            "global\n  nbthread {threads}\n  maxconn 4096\n\
             defaults\n  mode http\n  timeout connect 300ms\n  timeout client 60s\n  timeout server 2s\n  http-reuse always\n\
             frontend city\n  bind {listen}\n  default_backend cloud\n\
             backend cloud\n  server one {upstream} pool-max-conn {POOL}\n"
        );
        let conf = folder.join("haproxy.cfg");
        fs::write(&conf, text)?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&conf);
        Self::ready("HAProxy", listen, Process::spawn("haproxy", &mut command)?).map(Some)
    }
}

/// How a gateway is set up for a measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) access_log: bool,
}

/// A running gateway with a folder of its own, which goes when it does.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) addr: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) process: Process,
    folder: TempDir,
    upstream: SocketAddr,
    setup: Setup,
}

impl Gateway {
    /// Starts with an empty journal; `readyz` has answered when this returns.
    pub(crate) fn start(upstream: SocketAddr, setup: Setup) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("megamind-bench-")
            .tempdir()?;
        Self::launch(folder, upstream, setup).map(|(gateway, _)| gateway)
    }

    /// Ends the process and starts another one on the same journal; also how long that took
    /// from its start until it was ready.
    pub(crate) fn restart(self) -> anyhow::Result<(Self, Duration)> {
        self.process.stop()?;
        Self::launch(self.folder, self.upstream, self.setup)
    }

    fn launch(
        folder: TempDir,
        upstream: SocketAddr,
        setup: Setup,
    ) -> anyhow::Result<(Self, Duration)> {
        let (addr, admin) = (free_port()?, free_port()?);
        let journal = folder.path().join("journal.db");
        let text = format!(
            "city = \"bench\"\n\
             [gateway]\nlisten = \"{addr}\"\nthreads = {threads}\naccess_log = {access_log}\n\
             [admin]\nlisten = \"{admin}\"\n\
             [log]\nlevel = \"{level}\"\n\
             [upstream]\nservers = [\"{upstream}\"]\nidempotency = \"key\"\nresponse_timeout = \"{timeout}ms\"\n\
             [health]\ninterval = \"200ms\"\nfall = 2\nrise = 2\n\
             [store]\npath = \"{journal}\"\n\
             [drain]\nmax_rate = 0\nmax_concurrency = 32\n\
             [acting]\nmax_open_orders_per_merchant = 100000000\n",
            threads = threads(),
            timeout = RESPONSE_TIMEOUT.as_millis(),
            access_log = setup.access_log,
            level = if setup.access_log { "info" } else { "warn" },
            journal = journal.display(),
        );
        let conf = folder.path().join("megamind.toml");
        fs::write(&conf, text)?;
        let mut command = Command::new(sibling("megamind", "megamind-gateway")?);
        command.arg("run").arg("--config").arg(&conf);
        let process = Process::spawn("megamind", &mut command)?;
        // The executable is checked before the clock starts: building is not opening.
        let ready = client::wait_until_ready(admin, "/readyz", Duration::from_mins(2))?;
        Ok((
            Self {
                addr,
                admin,
                process,
                folder,
                upstream,
                setup,
            },
            ready,
        ))
    }

    /// The gateway as one of several proxies.
    pub(crate) fn into_contender(self, name: &'static str) -> Contender {
        Contender {
            name,
            addr: self.addr,
            process: self.process,
            _folder: Some(self.folder),
        }
    }

    /// Bytes that the journal takes on disk, its write-ahead log too.
    pub(crate) fn journal_bytes(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for entry in fs::read_dir(self.folder.path())? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("journal.db")
            {
                sum += entry.metadata()?.len();
            }
        }
        Ok(sum)
    }

    /// The mode that `/admin/status` tells.
    pub(crate) fn mode(&self) -> anyhow::Result<String> {
        let (_, text) = client::call(self.admin, "GET", "/admin/status", "")?;
        let status: serde_json::Value = serde_json::from_str(&text).context("/admin/status")?;
        Ok(status["mode"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until it is in a mode.
    pub(crate) fn wait_for_mode(&self, mode: &str, limit: Duration) -> anyhow::Result<()> {
        let began = std::time::Instant::now();
        while self.mode()? != mode {
            anyhow::ensure!(
                began.elapsed() < limit,
                "the gateway is not {mode} within {limit:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
