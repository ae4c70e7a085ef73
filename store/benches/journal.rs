//! How fast the journal takes writes, and how long a long queue takes to open.
//!
//! `cargo bench -p megamind-store -- [SECONDS] [QUEUED]`

#[path = "../tests/toy/mod.rs"]
mod toy;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use megamind_store::{Options, Store, Write};
use toy::{Command, Toy, write};

const SUBMITTERS: usize = 64;

/// Set to a database: open it, print how long it took, end.
const REOPEN: &str = "JOURNAL_REOPEN";

fn main() {
    if let Some(path) = std::env::var_os(REOPEN) {
        return reopen(Path::new(&path));
    }
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let seconds = numbers.next().unwrap_or(5);
    let queued = numbers.next().unwrap_or(0);
    let folder = tempfile::tempdir_in(".").expect("a folder beside the sources, on a real disk");
    let path = folder.path().join("bench.db");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (store, writer) = Store::open(Arc::new(Toy), Options::new(&path, "toy")).expect("opens");
    let done = run(&runtime, &store, Duration::from_secs(seconds), queued);
    let metrics = store.metrics();
    let (commits, records) = (metrics.commits.load(Relaxed), metrics.records.load(Relaxed));
    println!(
        "{SUBMITTERS} submitters: {:.0} writes/s, {:.1} writes a commit, {:.2} ms a commit, {:.2} us of the writer's CPU a write",
        done.writes as f64 / done.wall.as_secs_f64(),
        records as f64 / commits as f64,
        metrics.commit_seconds.sum_seconds() * 1e3 / commits as f64,
        done.writer_cpu.as_secs_f64() * 1e6 / done.writes as f64,
    );
    println!("slowest answer {:.1} ms", done.slowest.as_secs_f64() * 1e3);
    for (bound, count) in metrics.commit_seconds.cumulative() {
        println!("  commits up to {bound:>8} s: {count}");
    }
    let closing = Instant::now();
    writer.stop();
    println!("closed in {:.2} s", closing.elapsed().as_secs_f64());
    drop(store);
    // A process of its own, whose memory holds nothing but the open city.
    std::process::Command::new(std::env::current_exe().expect("this program"))
        .env(REOPEN, &path)
        .status()
        .expect("runs");
}

fn reopen(path: &Path) {
    let size = fs::metadata(path).map_or(0, |file| file.len());
    let began = Instant::now();
    let (store, writer) = Store::open(Arc::new(Toy), Options::new(path, "toy")).expect("opens");
    println!(
        "{} queued entries, {} MiB: open in {:.2} s, {} MiB resident at most",
        store.published().entries,
        size >> 20,
        began.elapsed().as_secs_f64(),
        peak_mib()
    );
    writer.stop();
}

struct Done {
    writes: u64,
    wall: Duration,
    writer_cpu: Duration,
    slowest: Duration,
}

/// Writes for `time`, or until `queued` entries are there.
fn run(runtime: &tokio::runtime::Runtime, store: &Store<Toy>, time: Duration, queued: u64) -> Done {
    let (writes, slowest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let tasks: Vec<_> = (0..SUBMITTERS)
        .map(|_| {
            let (store, writes, stop) = (store.clone(), Arc::clone(&writes), Arc::clone(&stop));
            let slowest = Arc::clone(&slowest);
            runtime.spawn(async move {
                while !stop.load(Relaxed) {
                    let sent = Instant::now();
                    store.submit(order()).await.expect("decided");
                    slowest.fetch_max(sent.elapsed().as_micros() as u64, Relaxed);
                    writes.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    let before = writer_cpu();
    while began.elapsed() < time || writes.load(Relaxed) < queued {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (wall, writer_cpu) = (began.elapsed(), writer_cpu().saturating_sub(before));
    let total = writes.load(Relaxed);
    stop.store(true, Relaxed);
    for task in tasks {
        runtime.block_on(task).expect("a submitter ends");
    }
    Done { writes: total, wall, writer_cpu, slowest: Duration::from_micros(slowest.load(Relaxed)) }
}

/// As large as a placeOrder.
fn order() -> Write<Toy> {
    let mut write = write(Command::Open { bonus: None });
    Arc::make_mut(&mut write.request).body = Bytes::from_static(&[b'x'; 300]);
    write
}

/// CPU time of the writer's thread, in the kernel's ticks of 10 ms.
fn writer_cpu() -> Duration {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Duration::ZERO;
    };
    let ticks: u64 = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("stat")).ok())
        .filter(|stat| stat.contains("(journal)"))
        .filter_map(|stat| {
            let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
            Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
        })
        .sum();
    Duration::from_millis(ticks * 10)
}

fn peak_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}
