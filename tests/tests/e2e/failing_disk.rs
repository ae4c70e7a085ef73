//! EIO from the operating system, in the real process: calls that write or sync the journal fail for a while, again and
//! again, under load. A sync that failed has lost its pages, as it does with Linux, and a power cut shows it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use megamind_tests::disk::{Disk, Fault};
use megamind_tests::load::{Told, Worker, audit};
use megamind_tests::random::Random;
use megamind_tests::{City, Request, city, wait};

const WORKERS: usize = 6;
/// How often the disk fails in one life of the gateway.
const FAILURES: usize = 2;
/// How often it lives.
const LIVES: usize = 6;
/// Acknowledged writes between two failures, at most.
const BETWEEN: usize = 60;

/// How a life of the gateway ends, while its disk fails.
#[derive(Clone, Copy)]
enum End {
    /// kill -9: the system still has what was written.
    Killed,
    /// Only what was synced is left.
    PowerCut,
}

/// What the workers have been told so far.
#[derive(Default)]
struct Counts {
    done: AtomicUsize,
    refused: AtomicUsize,
    stop: AtomicBool,
}

impl Counts {
    fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// One write. What is refused is refused in one way. False when the gateway is dead.
    fn step(&self, worker: &mut Worker) -> bool {
        let Ok(answer) = worker.step() else {
            return false;
        };
        if answer.status < 300 {
            self.done.fetch_add(1, Ordering::Relaxed);
        } else {
            answer.expect_problem(503, "journal_unavailable");
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        true
    }
}

#[test]
fn writes_that_fail_lose_nothing_and_are_got_over() {
    a_disk_fails(Fault::Write);
}

#[test]
fn syncs_that_fail_lose_nothing_and_are_got_over() {
    a_disk_fails(Fault::Sync);
}

#[test]
fn whoever_waits_for_a_disk_that_says_nothing_is_told_so_and_learns_more_later() {
    let mut city = City::with("store.commit_timeout = '1s'").prepare();
    let Some(disk) = Disk::below(&mut city.gateway) else {
        return;
    };
    city.cloud.start();
    city.gateway.start();
    city.lose_cloud();
    // The change of mode is stored with it, so that the next to be stored is what fails.
    city.place("before");
    disk.fail(Fault::Sync);
    let request = |city: &City| {
        let order = city.dialect.post("/placeOrder", &city::order("unknown"));
        city.send(&order.header("Idempotency-Key", "the-first"))
    };
    request(&city).expect_problem(504, "outcome_unknown");
    request(&city).expect_problem(503, "journal_unavailable");
    disk.heal();
    await_ready(&city, true);
    request(&city).expect(201).expect_local();
    city.regain_cloud();
    assert_eq!(city.cloud.effects_of("\"unknown\"").len(), 1);
}

fn a_disk_fails(fault: Fault) {
    let mut random = Random::seeded();
    let mut city = City::with("").prepare();
    let Some(disk) = Disk::below(&mut city.gateway) else {
        return;
    };
    city.cloud.start();
    city.gateway.start();
    city.gateway.await_mode("forwarding");
    forwarding_goes_on(&city, &disk, fault);
    city.lose_cloud();
    let mut workers: Vec<Worker> = (0..WORKERS)
        .map(|name| Worker::new(city.gateway.addr, &city.dialect, name))
        .collect();
    for end in [End::PowerCut, End::Killed].into_iter().cycle().take(LIVES) {
        live_and_die(&mut city, &disk, fault, &mut workers, &mut random);
        disk.heal();
        match end {
            End::Killed => disk.keep_all(),
            End::PowerCut => disk.power_cut(),
        }
        city.gateway.start();
        city.gateway.await_mode("acting");
        all_are_known(&city, &workers);
    }
    city.regain_cloud();
    let written: Vec<_> = workers.into_iter().flat_map(|worker| worker.written).collect();
    let tally = audit(&written, &city.cloud.log());
    eprintln!("{fault:?}: {tally:?}");
    assert!(tally.done > LIVES && tally.refused > LIVES, "{tally:?}");
}

/// What is forwarded needs no journal.
fn forwarding_goes_on(city: &City, disk: &Disk, fault: Fault) {
    disk.fail(fault);
    let forward = |count: usize| {
        city.post("/placeOrder", &city::order(&format!("forwarded {count}")))
            .expect(201)
            .expect_forwarded();
    };
    forward(0);
    await_ready(city, false);
    (1..20).for_each(forward);
    disk.heal();
    await_ready(city, true);
}

/// Under load, the disk fails and works again, many times; while it fails once more, the gateway dies.
fn live_and_die(city: &mut City, disk: &Disk, fault: Fault, workers: &mut Vec<Worker>, random: &mut Random) {
    let counts = Counts::default();
    let names = workers.len();
    let late = thread::scope(|scope| {
        for worker in workers.iter_mut().take(WORKERS) {
            let counts = &counts;
            scope.spawn(move || while !counts.stopped() && counts.step(worker) {});
        }
        let mut late = Vec::new();
        for failure in 0..=FAILURES {
            let enough = counts.done() + 1 + random.below(BETWEEN);
            wait::until("writes are stored", || (counts.done() >= enough).then_some(()));
            disk.fail(fault);
            await_ready(city, false);
            let before = counts.refused();
            // Those of the batch that failed wait until its fate is known; others are refused meanwhile.
            wait::until("a write is refused", || {
                let mut worker = Worker::new(city.gateway.addr, &city.dialect, names + late.len());
                let counts = &counts;
                late.push(scope.spawn(move || {
                    counts.step(&mut worker);
                    worker
                }));
                (counts.refused() > before).then_some(())
            });
            if failure < FAILURES {
                disk.heal();
                await_ready(city, true);
            }
        }
        counts.stop.store(true, Ordering::Relaxed);
        let said = city.gateway.process().stderr();
        assert!(!said.contains("panicked"), "{said}");
        city.gateway.kill();
        let joined = late.into_iter().map(|late| late.join().expect("a good answer"));
        joined.collect::<Vec<_>>()
    });
    workers.extend(late);
}

/// Whether the gateway says that it can store writes.
fn await_ready(city: &City, ready: bool) {
    let status = if ready { 200 } else { 503 };
    wait::until(&format!("/readyz says {status}"), || {
        let answer = city.gateway.ask(&Request::get("/readyz")).expect("the admin listener answers");
        (answer.status == status).then_some(())
    });
}

/// Every order that was acknowledged is there, not only what has not been drained.
fn all_are_known(city: &City, workers: &[Worker]) {
    let written = workers.iter().flat_map(|worker| &worker.written);
    let placed = written.filter(|write| write.told == Told::Done && write.tag.step == 0);
    for write in placed {
        let id = write.id.as_deref().expect("an acknowledged order has an id");
        city.track(id).expect(200);
    }
}
