//! Sixty-four clients with keep-alive connections, to whom an outage must not show.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use megamind_tests::load::{Worker, Written, audit};
use megamind_tests::{Answer, City, Dialect, wait};
use serde_json::{Value, json};

const CLIENTS: usize = 64;
/// Requests in each of the three parts: before, during, after.
const REQUESTS: usize = 10 * CLIENTS;
/// Sixty-four clients that do not pause leave two cores nothing for the gateway.
const PAUSE: Duration = Duration::from_millis(50);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

const CONFIG: &str = r#"
    [upstream]
    response_timeout = "2s"
    connect_timeout = "2s"
    [health]
    timeout = "1s"
    [health.passive]
    window = "2s"
    min_requests = 5
"#;

/// What the clients have seen together.
#[derive(Default)]
struct Sight {
    stop: AtomicBool,
    /// Whether the gateway was seen acting: from then on nothing may wait for Oblivion.
    acting: AtomicBool,
    requests: AtomicUsize,
    failures: Mutex<Vec<String>>,
    longest: Mutex<Duration>,
    longest_acting: Mutex<Duration>,
}

impl Sight {
    fn see(&self, was_acting: bool, answer: &Answer) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if answer.status >= 400 || answer.closes() {
            self.fail(answer.to_string());
        }
        let longest = if was_acting { &self.longest_acting } else { &self.longest };
        let mut longest = longest.lock().expect("no panic");
        *longest = answer.elapsed.max(*longest);
    }

    fn fail(&self, what: String) {
        self.failures.lock().expect("no panic").push(what);
    }

    /// Places orders, carries them on, and asks for them, until told to stop.
    fn client(&self, worker: &mut Worker) {
        while !self.stop.load(Ordering::Relaxed) {
            let was_acting = self.acting.load(Ordering::Acquire);
            match worker.step() {
                Ok(answer) => self.see(was_acting, &answer),
                Err(trouble) => return self.fail(trouble.to_string()),
            }
            let was_acting = self.acting.load(Ordering::Acquire);
            match worker.track() {
                Ok(Some(answer)) => self.see(was_acting, &answer),
                Ok(None) => {}
                Err(trouble) => return self.fail(trouble.to_string()),
            }
            thread::sleep(PAUSE);
        }
    }

    /// Waits until the clients have had so many more answers. Stops waiting once one has failed.
    fn await_requests(&self) {
        let goal = self.requests.load(Ordering::Relaxed) + REQUESTS;
        wait::until("the clients are answered", || {
            let failed = !self.failures.lock().expect("no panic").is_empty();
            (failed || self.requests.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }
}

/// Runs the clients through a failure and its end. Returns what they have seen.
fn carry(city: &mut City, fail: impl Fn(&mut City), heal: impl Fn(&mut City)) -> Sight {
    let sight = Sight::default();
    let (addr, dialect) = (city.gateway.addr, city.dialect.clone());
    let written: Vec<Written> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|name| {
                let (sight, dialect) = (&sight, &dialect);
                scope.spawn(move || {
                    let mut worker = Worker::new(addr, dialect, name);
                    sight.client(&mut worker);
                    worker.written
                })
            })
            .collect();
        // Whatever goes wrong in between, the clients must be told to stop.
        let stopper = Stopper(&sight);
        sight.await_requests();
        fail(city);
        city.gateway.await_mode("acting");
        sight.acting.store(true, Ordering::Release);
        sight.await_requests();
        sight.acting.store(false, Ordering::Release);
        heal(city);
        city.gateway.await_mode("forwarding");
        sight.await_requests();
        drop(stopper);
        let join = |client: thread::ScopedJoinHandle<'_, Vec<Written>>| client.join().expect("no panic");
        clients.into_iter().flat_map(join).collect()
    });
    let failures = sight.failures.lock().expect("no panic");
    assert!(failures.is_empty(), "{} failures, the first: {}", failures.len(), failures[0]);
    drop(failures);
    city.gateway.await_drained();
    let tally = audit(&written, &city.cloud.log());
    assert_eq!((tally.refused, tally.open), (0, 0));
    sight
}

struct Stopper<'a>(&'a Sight);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

fn with_fault(dialect: Dialect, fault: &Value) -> Sight {
    let mut city = City::with(CONFIG).speaking(dialect).start();
    carry(&mut city, |city| city.cloud.fault(fault), |city| city.cloud.heal())
}

#[test]
fn killing_the_upstream() {
    let mut city = City::with(CONFIG).start();
    carry(&mut city, |city| city.cloud.kill(), |city| city.cloud.start());
}

#[test]
fn an_upstream_that_hangs() {
    let sight = with_fault(Dialect::standard(), &json!({"kind": "hang"}));
    // The bound is the promise itself: `response_timeout` plus one second.
    let longest = *sight.longest.lock().expect("no panic");
    assert!(longest <= RESPONSE_TIMEOUT + Duration::from_secs(1), "a request took {longest:?}");
    // One that asked Oblivion first would have taken all of `response_timeout`.
    let longest = *sight.longest_acting.lock().expect("no panic");
    assert!(longest < RESPONSE_TIMEOUT, "a request took {longest:?} while acting");
}

#[test]
fn an_upstream_that_answers_500() {
    with_fault(Dialect::standard(), &json!({"kind": "status", "status": 500}));
}

#[test]
fn an_upstream_that_answers_200_with_an_error() {
    with_fault(Dialect::enveloped(), &json!({"kind": "error_body"}));
}

#[test]
fn a_captive_portal() {
    with_fault(Dialect::enveloped(), &json!({"kind": "captive_portal"}));
}

#[test]
fn a_health_page_that_stays_green_over_a_dead_database() {
    with_fault(Dialect::standard(), &json!({"kind": "status", "status": 500, "health_stays_ok": true}));
}
