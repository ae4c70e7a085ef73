//! The gateway as a process, with a journal and a configuration of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use crate::client;
use crate::contender::{Contender, POOL, threads};
use crate::process::{Process, sibling};

/// How long the gateway waits for the cloud's answer in the measurements.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Opening the longest queue that is measured takes less, unless something is wrong.
const START: Duration = Duration::from_mins(2);
/// Replays that the drain may have under way at once.
pub(crate) const CONCURRENCY: usize = 32;
const JOURNAL: &str = "journal.db";

/// How a gateway is set up for a measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) access_log: bool,
    /// Orders wait until they are assigned, and apps may wait long for them.
    pub(crate) by_hand: bool,
    /// The drain keeps to the rate that an operator gets who sets none. Otherwise its rate has no limit.
    pub(crate) default_rate: bool,
}

/// A running gateway; its folder goes when it does.
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
    /// Starts with an empty journal, and returns when `/readyz` has answered.
    pub(crate) fn start(upstream: SocketAddr, setup: Setup) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("megamind-bench-").tempdir()?;
        Self::launch(folder, upstream, setup).map(|(gateway, _)| gateway)
    }

    /// Ends the process and starts another one on the same journal; also how long that took
    /// from its start until it was ready.
    pub(crate) fn restart(self) -> anyhow::Result<(Self, Duration)> {
        self.process.stop()?;
        Self::launch(self.folder, self.upstream, self.setup)
    }

    fn launch(folder: TempDir, upstream: SocketAddr, setup: Setup) -> anyhow::Result<(Self, Duration)> {
        let conf = folder.path().join("megamind.toml");
        fs::write(&conf, configuration(folder.path(), upstream, setup))?;
        let (out, log) = (folder.path().join("stdout"), folder.path().join("stderr"));
        let mut command = Command::new(sibling("megamind", "megamind-gateway")?);
        command
            .arg("run")
            .arg("--config")
            .arg(&conf)
            .stdout(File::create(&out)?)
            .stderr(File::create(&log)?);
        let began = Instant::now();
        let mut process = Process::spawn_with_output("megamind", &mut command)?;
        let (addr, admin) = loop {
            let said = fs::read_to_string(&out)?;
            if let (Some(addr), Some(admin)) = (address(&said, "listening on "), address(&said, "admin on ")) {
                break (addr, admin);
            }
            if !process.is_running() || began.elapsed() > START {
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!("the gateway did not start: {}", said.trim());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        client::wait_until_ready(admin, "/readyz", START.saturating_sub(began.elapsed()))?;
        let ready = began.elapsed();
        Ok((Self { addr, admin, process, folder, upstream, setup }, ready))
    }

    /// The gateway as one of several proxies.
    pub(crate) fn into_contender(self, name: &'static str) -> Contender {
        Contender { name, addr: self.addr, process: self.process, _folder: Some(self.folder) }
    }

    /// Bytes that the journal takes on disk, with what belongs to it.
    pub(crate) fn journal_bytes(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for entry in fs::read_dir(self.folder.path())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(JOURNAL) {
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
        let began = Instant::now();
        while self.mode()? != mode {
            ensure!(began.elapsed() < limit, "the gateway is not {mode} within {limit:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The address in the line with this beginning, once the line is whole.
fn address(said: &str, prefix: &str) -> Option<SocketAddr> {
    let (lines, _) = said.rsplit_once('\n')?;
    lines.lines().find_map(|line| line.strip_prefix(prefix)?.trim().parse().ok())
}

fn configuration(folder: &Path, upstream: SocketAddr, setup: Setup) -> String {
    format!(
        r#"city = "bench"
[gateway]
listen = "127.0.0.1:0"
threads = {threads}
access_log = {access_log}
grace = "1s"
[admin]
listen = "127.0.0.1:0"
[log]
level = "{level}"
[upstream]
servers = ["{upstream}"]
idempotency = "key"
response_timeout = "{timeout}ms"
pool_size = {POOL}
[health]
interval = "200ms"
fall = 2
rise = 2
[store]
path = "{folder}/{JOURNAL}"
[drain]
{rate}
max_concurrency = {CONCURRENCY}
[acting]
max_open_orders_per_merchant = 100000000
[dispatch]
auto = {auto}
[callbacks]
max_wait = "5m"
"#,
        threads = threads(),
        auto = !setup.by_hand,
        rate = if setup.default_rate { "" } else { "max_rate = 0" },
        access_log = setup.access_log,
        level = if setup.access_log { "info" } else { "warn" },
        timeout = RESPONSE_TIMEOUT.as_millis(),
        folder = folder.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_whole_lines() {
        let said = "listening on 127.0.0.1:81\nadmin on 127.0.0.1:9";
        assert_eq!(address(said, "listening on "), Some(SocketAddr::from(([127, 0, 0, 1], 81))));
        assert_eq!(address(said, "admin on "), None);
    }
}
