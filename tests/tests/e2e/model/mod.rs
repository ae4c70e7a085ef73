//! Random clients, pilots, faults, networks and kills, against a cloud that honours keys, one that ignores them and can
//! be asked for an order, and one that can do neither. In the end the cloud's log is held against what the clients were
//! told.
//!
//! The seed is printed and taken back in `MEGAMIND_SEED`. `MEGAMIND_MODEL_ROUNDS` says how often each test goes round,
//! with another seed each time. Seeds that have failed once are in `seeds.txt`, and are run first.

mod audit;
mod clients;
mod evidence;
mod faults;

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use megamind_sim::chaos::{Chaos, Proxy};
use megamind_tests::City;
use megamind_tests::clock::Clock;
use megamind_tests::random::Random;
use tokio::runtime::{Builder, Runtime};

use self::clients::Person;
use self::evidence::Traces;
use self::faults::Disturbance;

const PEOPLE: usize = 12;
/// What each of them does in one round, at most.
const STEPS: usize = 3_000;
/// What goes wrong in one round.
const DISTURBANCES: usize = 70;

const COMMON: &str = r#"
    [upstream]
    idempotency = "SETTLEMENT"
    response_timeout = "250ms"
    settle_after = "3s"
    [health]
    interval = "20ms"
    timeout = "200ms"
    [drain]
    on_conflict = "park"
    [dispatch]
    auto = false
    [log]
    level = "info"
"#;

/// How to ask whether an order arrived.
const ASK: &str = r#"
    [upstream.lookup]
    path = "/findOrder"
    match = ["merchantId", "clientRef"]
    found = "/orders/0/orderId"
"#;

/// How a write is settled that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SettledBy {
    /// The cloud remembers it by its key.
    Key,
    /// The cloud can be asked for what creates something.
    Lookup,
    /// Nobody can know.
    Operator,
}

/// A kind of cloud.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    settled: SettledBy,
    /// `upstream.idempotency`, and more of the configuration.
    settlement: &'static str,
    config: &'static str,
    flags: &'static [&'static str],
}

const KEYS: Kind = Kind {
    name: "keys",
    settled: SettledBy::Key,
    settlement: "key",
    config: "",
    flags: &["--no-lookup"],
};
const LOOKUP: Kind = Kind {
    name: "lookup",
    settled: SettledBy::Lookup,
    settlement: "lookup",
    config: ASK,
    flags: &["--ignore-keys"],
};
const NEITHER: Kind = Kind {
    name: "neither",
    settled: SettledBy::Operator,
    settlement: "hold",
    config: "",
    flags: &["--ignore-keys", "--no-lookup"],
};

#[test]
fn a_cloud_that_honours_keys_has_every_write_once() {
    run(KEYS);
}

#[test]
fn a_cloud_that_can_be_asked_has_every_write_once_but_for_those_that_are_parked() {
    run(LOOKUP);
}

#[test]
fn a_cloud_that_knows_no_keys_has_every_write_once_but_for_those_that_are_parked() {
    run(NEITHER);
}

fn run(kind: Kind) {
    let known = include_str!("seeds.txt").lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == kind.name).then(|| words.next()?.parse::<u64>().ok())?
    });
    for seed in known {
        eprintln!("{}: seed {seed} of seeds.txt", kind.name);
        round(kind, Random::of(seed));
    }
    let rounds = env::var("MEGAMIND_MODEL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let mut seeds = Random::seeded();
    for number in 0..rounds.unwrap_or(1_u64) {
        // The first round's seed is the one that was printed.
        let seed = if number == 0 { seeds.seed() } else { seeds.fork().seed() };
        eprintln!("{}: round {number}, MEGAMIND_SEED={seed}", kind.name);
        round(kind, Random::of(seed));
    }
}

/// A city through which every byte to the cloud passes the network's chaos.
struct World {
    kind: Kind,
    /// The gateway's, where it can be wrong.
    clock: Option<Clock>,
    city: City,
    network: Proxy,
    // Last: the proxy runs on it.
    _runtime: Runtime,
}

impl World {
    /// The gateway may start in 1970, and be told the time a little later.
    fn start(kind: Kind, in_1970: bool) -> Self {
        let config = COMMON.replace("SETTLEMENT", kind.settlement) + kind.config;
        let mut city = City::with(&config).cloud_flags(kind.flags).prepare();
        city.cloud.start();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let network = runtime.block_on(Proxy::start(city.cloud.addr)).expect("a free port");
        let mut config = city.config().clone();
        config["upstream"]["servers"] = vec![network.addr().to_string()].into();
        city.gateway.configure(&config);
        let clock = Clock::new(city.dir());
        if let Some(clock) = &clock {
            city.gateway.environment(clock.environment());
            if in_1970 {
                clock.start_in_1970();
            }
        }
        city.gateway.start();
        city.gateway.await_mode("forwarding");
        Self { kind, clock, city, network, _runtime: runtime }
    }

    fn set_clock(&self, seconds: i64) {
        if let Some(clock) = &self.clock {
            clock.step(seconds);
        }
    }

    fn heal(&self) {
        self.network.set(Chaos::Pass);
        self.city.cloud.heal();
    }

    /// Things go wrong one after the other, and sometimes together.
    fn disturb(&mut self, random: &mut Random) -> usize {
        let mut kills = 0;
        for _ in 0..DISTURBANCES {
            let what = Disturbance::any(random);
            match &what {
                Disturbance::Cloud(fault) => self.city.cloud.fault(fault),
                Disturbance::Network(chaos) => self.network.set(*chaos),
                Disturbance::Kill => {
                    self.city.gateway.kill();
                    self.city.gateway.start();
                    kills += 1;
                }
                Disturbance::Clock(seconds) => self.set_clock(*seconds),
                Disturbance::Rest => self.heal(),
            }
            thread::sleep(Duration::from_millis(random.below(160) as u64));
            if random.percent(60) {
                self.heal();
            }
        }
        kills
    }
}

/// Tells everybody to stop when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn round(kind: Kind, mut random: Random) {
    let mut world = World::start(kind, random.percent(25));
    let (gateway, cloud) = (world.city.gateway.addr, world.city.cloud.addr);
    let honours_keys = kind.settled == SettledBy::Key;
    let mut people: Vec<Person> = (0..PEOPLE)
        .map(|name| Person::new(name, gateway, cloud, honours_keys, random.fork()))
        .collect();
    let stop = AtomicBool::new(false);
    let kills = thread::scope(|scope| {
        for person in &mut people {
            let stop = &stop;
            scope.spawn(move || person.live(STEPS, stop));
        }
        // Also where the test fails meanwhile: it ends when everybody has.
        let _stop = Stop(&stop);
        world.disturb(&mut random)
    });
    world.heal();
    world.set_clock(0);
    let (mut written, mut wrong, mut traces) = (Vec::new(), Vec::new(), Traces::new());
    for person in people {
        written.extend(person.written);
        wrong.extend(person.wrong);
        traces.extend(person.traces);
    }
    let waiting = audit::drain(&world, &traces);
    let tally = audit::audit(&world.city, &written, &waiting, &traces);
    eprintln!(
        "{}: {kills} kills, {tally:?}, {} parked, {} behind them",
        kind.name,
        waiting.parked.len(),
        waiting.behind.len()
    );
    assert!(
        wrong.is_empty(),
        "{} answers are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
    assert!(tally.done > DISTURBANCES, "there was hardly any load: {tally:?}");
}
