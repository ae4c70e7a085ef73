//! A process that a test has started, and that does not outlive it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{self, PATIENCE};

/// How much of a process's output is shown when a test fails.
const SHOWN_LINES: usize = 60;

/// A child process with its output in files. Dropping it kills it, and shows its last lines if
/// the test is failing.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts a command, its output going to files in `dir` that begin with `name`.
    pub fn spawn(name: &str, command: &mut Command, dir: &Path) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let count = STARTED.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| dir.join(format!("{name}.{count}.{kind}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let create = |path| Stdio::from(File::create(path).expect("a writable folder"));
        let no_terminal_opens = megamind_sim::modem::starting();
        let child = command
            .stdin(Stdio::null())
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        drop(no_terminal_opens);
        Self { name: name.to_owned(), child, stdout, stderr }
    }

    /// Waits for a line on standard output and returns what follows `prefix` in it. An error, if
    /// the process ends first, is everything that it said.
    pub fn await_line(&mut self, prefix: &str) -> Result<String, String> {
        wait::until(&format!("{} says {prefix:?}", self.name), || {
            // Asked before looking, so that what it said last is seen.
            let ended = self.ended();
            let text = self.stdout();
            let mut whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            match (whole.find_map(|line| line.strip_prefix(prefix)), ended) {
                (Some(rest), _) => Some(Ok(rest.to_owned())),
                (None, Some(status)) => Some(Err(format!("{status}\n{text}{}", self.stderr()))),
                (None, None) => None,
            }
        })
    }

    /// Everything on standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Everything on standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid is not 0");
        kill_process(pid, signal).expect("a child of ours");
    }

    /// SIGKILL, as power loss does it, and waits for the end.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("a child of ours");
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "{} does not end", self.name);
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn show(&self) {
        for (kind, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            let lines: Vec<&str> = text.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
            eprintln!("--- {} (pid {}), {kind}, last lines:", self.name, self.pid());
            eprintln!("{}", shown.join("\n"));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
