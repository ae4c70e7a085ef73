//! kill -9 of the gateway at random moments under load, while it acts and while it drains.

use std::thread;
use std::time::Duration;

use megamind_tests::load::{Told, Worker, audit};
use megamind_tests::random::Random;
use megamind_tests::{City, wait};
use serde_json::json;

const ROUNDS: usize = 50;
const WORKERS: usize = 8;
/// Writes of one worker in one round, at most: what is left at the end has to be drained.
const WRITES: usize = 12;
/// Orders that are asked for again after each kill.
const ASKED_AGAIN: usize = 8;

const CONFIG: &str = r#"
    [health]
    interval = "20ms"
    [drain]
    max_rate = 400
"#;

#[test]
fn a_gateway_killed_at_any_moment_loses_nothing_and_repeats_nothing() {
    let mut random = Random::seeded();
    let mut city = City::with(CONFIG).start();
    let (addr, dialect) = (city.gateway.addr, city.dialect.clone());
    let mut workers: Vec<Worker> = (0..WORKERS)
        .map(|name| Worker::new(addr, &dialect, name).with_one_pilot())
        .collect();
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
    let mut drained_at_kill = 0;
    for round in 0..ROUNDS {
        let drains = round % 2 == 1;
        if drains {
            city.cloud.heal();
            wait::until("the drain has begun", || {
                matches!(city.gateway.mode().as_str(), "draining" | "forwarding").then_some(())
            });
        }
        let moment = Duration::from_micros(random.below(250_000) as u64);
        thread::scope(|scope| {
            for worker in &mut workers {
                scope.spawn(move || load(worker));
            }
            thread::sleep(moment);
            if drains && city.gateway.mode() == "draining" {
                drained_at_kill += 1;
            }
            city.gateway.kill();
        });
        if drains {
            city.cloud.fault(&json!({"kind": "refuse"}));
        }
        city.gateway.start();
        if !drains {
            city.gateway.await_mode("acting");
        }
        ask_again(&city, &workers);
    }
    eprintln!("{ROUNDS} kills, {drained_at_kill} of them while draining");
    city.cloud.heal();
    city.gateway.await_drained();
    let written: Vec<_> = workers.into_iter().flat_map(|worker| worker.written).collect();
    let tally = audit(&written, &city.cloud.log());
    eprintln!("{tally:?}");
    assert!(tally.done > ROUNDS, "there was hardly any load: {tally:?}");
}

/// Writes until the gateway dies. Nothing is to be refused, but for one thing: what was forwarded
/// in the moment before a kill has been watched, and is not on disk yet.
fn load(worker: &mut Worker) {
    for _ in 0..WRITES {
        let Ok(answer) = worker.step() else {
            return;
        };
        if answer.status >= 300 {
            let code = answer.code().unwrap_or_default();
            assert!(matches!(code.as_str(), "not_known_here" | "outcome_unknown"), "{answer}");
        }
    }
}

/// Orders that were acknowledged by the gateway itself are known when it is started again.
fn ask_again(city: &City, workers: &[Worker]) {
    let acknowledged = workers.iter().filter_map(|worker| {
        let done = worker.written.iter().rev().find(|write| write.told == Told::Done)?;
        done.id.as_deref().filter(|id| id.starts_with("tst-"))
    });
    for id in acknowledged.take(ASKED_AGAIN) {
        city.track(id).expect(200);
    }
}
