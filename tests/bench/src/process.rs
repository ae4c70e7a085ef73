//! Processes that the bench starts, what they use, and their end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(20);
/// The same when nothing depends on it.
const KINDNESS: Duration = Duration::from_secs(2);

/// A running process; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a program that says nothing of use.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        Self::spawn_with_output(name, command.stdout(Stdio::null()))
    }

    /// Starts a program; where its output goes has been set.
    pub(crate) fn spawn_with_output(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// CPU time used so far by the process and its children, in the clock ticks of `/proc`.
    pub(crate) fn cpu(&self) -> Duration {
        let ticks: u64 = family(self.child.id())
            .iter()
            .filter_map(|pid| stat(*pid))
            .map(|stat| stat.ticks)
            .sum();
        Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
    }

    /// Resident memory in bytes, of the process alone.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib << 10)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        if self.ends_within(GRACE)? {
            return Ok(());
        }
        bail!("{} did not end within {GRACE:?} of SIGTERM", self.name)
    }

    fn ends_within(&mut self, limit: Duration) -> anyhow::Result<bool> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = Instant::now();
        while self.is_running() {
            if began.elapsed() > limit {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(true)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Kindly first: a master that is killed cannot end its workers.
        if self.is_running() && !self.ends_within(KINDNESS).unwrap_or(false) {
            for pid in family(self.child.id()) {
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    // It may have ended by now.
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
        }
        let _ = self.child.wait();
    }
}

struct Stat {
    parent: u32,
    ticks: u64,
}

/// Fields of `/proc/PID/stat`, proc(5).
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows its end is plain.
    let (_, rest) = text.rsplit_once(')')?;
    let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3);
    let ticks = field(14)?.parse::<u64>().ok()? + field(15)?.parse::<u64>().ok()?;
    Some(Stat { parent: field(4)?.parse().ok()?, ticks })
}

/// A process and its children, itself first.
fn family(pid: u32) -> Vec<u32> {
    let mut members = vec![pid];
    let Ok(entries) = fs::read_dir("/proc") else {
        return members;
    };
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    members.extend(pids.filter(|other| stat(*other).is_some_and(|stat| stat.parent == pid)));
    members
}

/// An executable of the same profile, beside this one.
///
/// Cargo brings it up to date before it is used for the first time, and never again: what is
/// measured does not change in the middle of a run.
pub(crate) fn sibling(name: &'static str, package: &str) -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(name) {
        return Ok(path.clone());
    }
    let path = build(name, package)?;
    built.insert(name, path.clone());
    Ok(path)
}

fn build(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("this executable is in no folder")?;
    let target = folder.parent().context("no target folder")?;
    // `target/PROFILE/…`: the folder's name is the profile, except for `dev`.
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let path = folder.join(name);
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--package",
            package,
            "--bin",
            name,
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    match status {
        Ok(status) if status.success() => Ok(path),
        _ if path.exists() => {
            eprintln!("cargo did not build {name}: measuring the one that is there");
            Ok(path)
        }
        _ => bail!(
            "{} is missing; build it with: cargo build -p {package} --profile {profile}",
            path.display()
        ),
    }
}

/// A program of the system, where it is installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders
        .map(|folder| folder.join(name))
        .find(|path: &PathBuf| Path::is_file(path))
}
