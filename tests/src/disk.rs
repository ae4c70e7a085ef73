//! A disk that fails, under the real gateway: a small library that is preloaded into its process stands before the system
//! calls that write the journal's files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::gateway::Gateway;
use crate::{binary, skipped};

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Writing and truncating.
    Write,
    /// fsync and fdatasync. What they should have brought to the disk is not there, and later ones do not say so.
    Sync,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Sync => "sync",
        }
    }
}

/// The disk below one gateway's journal.
#[derive(Debug)]
pub struct Disk {
    dir: TempDir,
    database: PathBuf,
}

impl Disk {
    /// The disk of a gateway's next starts. Says so and has none where there is no C compiler.
    pub fn below(gateway: &mut Gateway) -> Option<Self> {
        let dir = TempDir::new().expect("a folder for temporary files");
        let library = dir.path().join("failing.so");
        let compiled = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(binary::root().join("tests/src/disk/failing.c"))
            .arg("-ldl")
            .output();
        match compiled {
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "the failing disk does not compile: {why}");
            }
            Err(error) => {
                skipped(&format!("no failing disk without a C compiler ({error})"));
                return None;
            }
        }
        let parent = dir.path().join("gateway");
        let database = gateway.database();
        gateway.environment(vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("MEGAMIND_DISK_DATABASE", database.display().to_string()),
            ("MEGAMIND_DISK_FOLDER", parent.display().to_string()),
        ]);
        fs::create_dir(parent).expect("a writable folder");
        Some(Self { dir, database })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("gateway").join(name)
    }

    /// From now on it fails.
    pub fn fail(&self, fault: Fault) {
        File::create(self.file(fault.name())).expect("a writable folder");
    }

    /// It works again.
    pub fn heal(&self) {
        for fault in [Fault::Write, Fault::Sync] {
            remove(&self.file(fault.name()));
        }
    }

    /// After the end of the process: what was written and not synced is on the disk all the same.
    pub fn keep_all(&self) {
        for (image, _) in self.images() {
            remove(&image);
        }
    }

    /// After the end of the process: what was never synced is gone.
    pub fn power_cut(&self) {
        for (image, file) in self.images() {
            if image.exists() {
                fs::copy(image, file).expect("the image of a file");
            }
        }
        // Made anew from the log.
        remove(&self.beside("-shm"));
    }

    fn images(&self) -> [(PathBuf, PathBuf); 2] {
        [(self.file("database"), self.database.clone()), (self.file("log"), self.beside("-wal"))]
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.database.clone().into_os_string();
        name.push(suffix);
        name.into()
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", path.display());
    }
}
