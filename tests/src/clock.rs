//! A wall clock that is wrong, for one process: libfaketime (<https://github.com/wolfcw/libfaketime>), as Debian's
//! `faketime` has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::skipped;

const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Seconds of a day.
pub const DAY: i64 = 24 * 60 * 60;

/// The clock of one process. What measures durations (`CLOCK_MONOTONIC`) stays as it is.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that is right so far; it keeps its offset in `dir`. `None`, and said so, where the library is missing.
    pub fn new(dir: &Path) -> Option<Self> {
        let Some(library) = library() else {
            skipped("faketime is not installed");
            return None;
        };
        let clock = Self { library, file: dir.join("clock") };
        clock.step(0);
        Some(clock)
    }

    /// What the process must have in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        vec![
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file)),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    /// So many seconds off, within a second.
    pub fn step(&self, seconds: i64) {
        // In one go: the process must not read half of it.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("a writable folder");
        fs::rename(&new, &self.file).expect("a writable folder");
    }

    /// As a board without a battery starts.
    pub fn start_in_1970(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later than 1970");
        self.step(-(now.as_secs() as i64));
    }
}

/// Debian keeps it in a folder of its architecture's.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    folders.map(|folder| folder.join(LIBRARY)).find(|library| library.exists())
}
