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
const START: Duration = Duration::from_secs(20);

/// A proxy that is ready for requests.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    pub(crate) process: Process,
    /// What it works in, kept as long as it runs.
    pub(crate) _folder: Option<TempDir>,
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
        client::wait_until_ready(addr, "/plain/menu", START).with_context(|| format!("{name} does not come up"))?;
        Ok(Self { name, addr, process, _folder: None })
    }

    /// A Pingora proxy without anything of ours.
    pub(crate) fn bare(upstream: SocketAddr) -> anyhow::Result<Self> {
        let listen = free_port()?;
        let mut command = Command::new(sibling("bare-proxy", "megamind-bench")?);
        command
            .args(["--listen", &listen.to_string(), "--upstream", &upstream.to_string()])
            .args(["--threads", &threads().to_string(), "--pool", &POOL.to_string()]);
        Self::ready("bare Pingora", listen, Process::spawn("bare-proxy", &mut command)?)
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
        command.arg("-c").arg(&conf).arg("-e").arg(folder.join("nginx.err"));
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
