//! A journal on a file system that is full. (One that fails otherwise: `failing_disk`.)

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use megamind_tests::load::{Told, Worker, Written, audit};
use megamind_tests::{City, skipped, wait};
use tempfile::TempDir;

/// Attempts until a full disk is felt: what is left of the journal's last page goes first.
const ATTEMPTS: usize = 5_000;

/// A file system of 16 MiB, gone when this is dropped.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// Mounts one. Says so and has none where that is not allowed.
    fn mount() -> Option<Self> {
        let dir = TempDir::new().expect("a folder for temporary files");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { dir }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                skipped(&format!("no small file system without root ({})", why.trim()));
                None
            }
            Err(error) => {
                skipped(&format!("no small file system without mount ({error})"));
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Fills it to the last byte. Removing the file makes room again.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).expect("room for a name");
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.dir.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("cannot unmount {}", self.dir.path().display());
        }
    }
}

/// Takes one step after the other until the gateway cannot store one.
fn until_refused(worker: &mut Worker) {
    for _ in 0..ATTEMPTS {
        let answer = worker.step().expect("an answer");
        if answer.status >= 300 {
            answer.expect_problem(503, "journal_unavailable");
            return;
        }
    }
    panic!("{ATTEMPTS} writes fit on a full disk");
}

#[test]
fn a_full_disk_loses_nothing_refuses_cleanly_and_is_got_over() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let config = format!("store.path = '{}'", disk.path().join("megamind.db").display());
    let mut city = City::with(&config).start();
    let mut workers: Vec<Worker> = (0..4).map(|name| Worker::new(city.gateway.addr, &city.dialect, name)).collect();

    let filler = disk.fill();
    // Forwarding goes on, whatever the journal does.
    for count in 0..20 {
        city.post("/placeOrder", &megamind_tests::city::order(&format!("full {count}")))
            .expect(201)
            .expect_forwarded();
    }
    city.lose_cloud();
    for worker in &mut workers {
        until_refused(worker);
    }
    std::fs::remove_file(filler).expect("the filler is there");
    // By itself, without a restart.
    wait::until("it stores again", || {
        let answer = workers[0].step().expect("an answer");
        (answer.status < 300).then_some(())
    });
    for worker in &mut workers {
        for _ in 0..10 {
            worker.step().expect("an answer");
        }
    }
    // What was acknowledged is on disk, not only in memory.
    city.gateway.kill();
    city.gateway.start();
    city.regain_cloud();
    let written: Vec<Written> = workers.into_iter().flat_map(|worker| worker.written).collect();
    let tally = audit(&written, &city.cloud.log());
    assert!(tally.done > 0 && tally.refused >= 4, "{tally:?}");
    assert_eq!(tally.open, 0, "a full disk leaves no doubt: {tally:?}");
    assert!(written.iter().rev().any(|write| write.told == Told::Done));
    drop(city);
    drop(disk);
}
