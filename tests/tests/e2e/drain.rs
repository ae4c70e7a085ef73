//! The drain is exact, gentle, and comes to an end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use megamind_tests::city::pilot;
use megamind_tests::cloud::Effect;
use megamind_tests::{City, Request};
use serde_json::{Value, json};

fn outage(city: &City) {
    city.cloud.fault(&json!({"kind": "refuse"}));
    city.gateway.await_mode("acting");
}

/// What a pilot says by turns: it is told in order, and fences the pilot.
fn turn(minion: &str, number: usize) -> Value {
    json!({"minionId": minion, "status": if number.is_multiple_of(2) { "busy" } else { "available" }})
}

/// Ends the load, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn it_ends_while_busy_pilots_say_more_than_its_rate() {
    const PILOTS: [&str; 5] = ["P1", "P2", "P3", "P4", "P5"];
    let city = City::with("drain.max_rate = 20").start();
    for minion in PILOTS {
        city.post("/updatemaster/ind/generalinfo", &pilot(minion)).expect(200);
    }
    outage(&city);
    for number in 0..8 {
        for minion in PILOTS {
            city.post("/updatemaster/ind/generalinfo", &turn(minion, number)).expect(200);
        }
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for minion in PILOTS {
            let (city, done) = (&city, &done);
            scope.spawn(move || {
                let mut client = city.client();
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    let said = city.dialect.post("/updatemaster/ind/generalinfo", &turn(minion, number));
                    client.send(&said).expect("an answer").expect(200);
                    number += 1;
                    // Each pilot's own writes go one after another: twelve a second each is what a busy machine keeps up with,
                    // and thrice the drain's rate together.
                    thread::sleep(Duration::from_millis(80));
                }
            });
        }
        let stop = Stop(&done);
        city.cloud.heal();
        city.gateway.await_mode("forwarding");
        drop(stop);
    });
    city.gateway.await_drained();
}

#[test]
fn it_ends_while_pilots_speak_faster_than_they_can_be_replayed_and_keeps_their_order() {
    const PILOTS: [&str; 2] = ["P1", "P2"];
    let city = City::with("").cloud_flags(&["--latency-ms", "20"]).start();
    for minion in PILOTS {
        city.post("/updatemaster/ind/generalinfo", &turn(minion, 1)).expect(200);
    }
    outage(&city);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = Stop(&done);
        for minion in PILOTS {
            let (city, done) = (&city, &done);
            scope.spawn(move || {
                let mut client = city.client();
                for number in 0.. {
                    let said = city.dialect.post("/updatemaster/ind/generalinfo", &turn(minion, number));
                    client.send(&said).expect("an answer").expect(200);
                    if done.load(Ordering::Relaxed) && number % 2 == 1 {
                        break;
                    }
                }
            });
        }
        city.cloud.heal();
        city.gateway.await_mode("forwarding");
        drop(stop);
    });
    city.gateway.await_drained();
    for minion in PILOTS {
        let said = city.cloud.effects_of(&format!("{minion:?}"));
        let turns: Vec<bool> = said.iter().map(|effect| effect.body().contains("busy")).collect();
        assert!(turns.len() > 2, "{turns:?}");
        // One twice, one missing or two the wrong way round would be two alike in a row.
        assert!(turns.windows(2).all(|pair| pair[0] != pair[1]), "{turns:?}");
        assert!(said.iter().any(Effect::is_replay) && !said.last().expect("some").is_replay());
    }
}

#[test]
fn it_ends_while_a_pilot_says_more_than_can_be_sent_one_after_the_other() {
    let city = City::with("").cloud_flags(&["--latency-ms", "20"]).start();
    city.post("/updatemaster/ind/generalinfo", &pilot("P1")).expect(200);
    outage(&city);
    for number in 0..20 {
        city.post("/updatemaster/ind/generalinfo", &turn("P1", number)).expect(200);
    }
    let done = AtomicBool::new(false);
    let said: Vec<usize> = thread::scope(|scope| {
        // One pilot, two phones, neither of which rests.
        let phones: Vec<_> = (0..2)
            .map(|_| {
                let (city, done) = (&city, &done);
                scope.spawn(move || {
                    let mut client = city.client();
                    let mut number = 0;
                    while !done.load(Ordering::Relaxed) {
                        let said = city.dialect.post("/updatemaster/ind/generalinfo", &turn("P1", number));
                        client.send(&said).expect("an answer").expect(200);
                        number += 1;
                    }
                    number
                })
            })
            .collect();
        let stop = Stop(&done);
        city.cloud.heal();
        city.gateway.await_mode("forwarding");
        drop(stop);
        phones.into_iter().map(|phone| phone.join().expect("no panic")).collect()
    });
    assert!(said.iter().all(|said| *said > 0));
    city.gateway.await_drained();
}

/// Orders that Oblivion knows, carried by a pilot each, and delivered in an outage.
fn delivered(city: &City) -> Vec<String> {
    let ids: Vec<String> = (0..4).map(|number| city.place(&format!("bulk-{number}"))).collect();
    for (number, id) in ids.iter().enumerate() {
        city.deliver(id, &format!("P{number}"), "picked_up").expect(200);
    }
    outage(city);
    for (number, id) in ids.iter().enumerate() {
        city.deliver(id, &format!("P{number}"), "delivered").expect(200).expect_local();
    }
    ids
}

fn assert_delivered_once(city: &City, ids: &[String]) {
    for id in ids {
        let order = city.cloud.order(id).expect("the cloud knows it");
        assert_eq!(order["status"], "delivered");
        let history = order["history"].as_array().cloned().unwrap_or_default();
        let times = history.iter().filter(|step| step["status"] == "delivered").count();
        assert!(times <= 1, "{history:?}");
    }
}

#[test]
fn delivery_events_go_together_each_under_its_own_key() {
    let city = City::with("drain.bulk = true\ndrain.max_rate = 0")
        .cloud_flags(&["--no-dispatch"])
        .start();
    let ids = delivered(&city);
    city.cloud.heal();
    city.gateway.await_drained();
    assert_delivered_once(&city, &ids);
    let log = city.cloud.log();
    let bulk: Vec<&Effect> = log
        .iter()
        .filter(|effect| effect.endpoint() == "/updatemaster/bulk/deliveryInfo")
        .collect();
    assert!(!bulk.is_empty(), "{log:?}");
    for effect in bulk {
        let body: Value = serde_json::from_str(effect.body()).expect("JSON");
        let items = body["deliveries"].as_array().expect("a list").clone();
        assert!(items.iter().all(|item| item["idempotencyKey"].is_string()), "{items:?}");
    }
}

#[test]
fn a_bulk_answer_of_another_shape_makes_them_go_one_by_one() {
    let city = City::with("drain.bulk = true\ndrain.max_rate = 0")
        .cloud_flags(&["--no-dispatch"])
        .start();
    let ids = delivered(&city);
    let odd = json!({"kind": "html", "paths": ["/updatemaster/bulk/deliveryInfo"]});
    city.cloud.fault(&odd);
    city.gateway.await_drained();
    assert_delivered_once(&city, &ids);
}

#[test]
fn what_oblivion_decided_meanwhile_is_taken_over_and_counted() {
    let city = City::with("").cloud_flags(&["--no-dispatch"]).start();
    let id = city.place("overruled");
    city.gateway
        .ask(&Request::post("/admin/mode", &json!({"mode": "act"})))
        .expect("an answer")
        .expect(200);
    city.gateway.await_mode("acting");
    city.post("/cancelOrder", &json!({"orderId": id})).expect(200).expect_local();
    assert_eq!(city.status_of(&id), "cancelled");
    // A pilot who talks to Oblivion directly has picked it up: it cannot be cancelled any more.
    let mut direct =
        megamind_tests::Client::connect_to(city.cloud.addr, megamind_tests::http::Party::Other).expect("up");
    let said = json!({"orderId": id, "minionId": "P1", "status": "picked_up"});
    let said = city.dialect.post("/updatemaster/ind/deliveryInfo", &said);
    direct.send(&said).expect("an answer").expect(200);
    city.gateway
        .ask(&Request::post("/admin/mode", &json!({"mode": "auto"})))
        .expect("an answer")
        .expect(200);
    city.gateway.await_drained();
    megamind_tests::wait::until("the difference is counted", || {
        let count = city.gateway.metric("megamind_drain_disagreements_total", "status");
        count.filter(|count| *count >= 1.0)
    });
    assert!(
        city.gateway
            .metric("megamind_drained_total", "yielded")
            .is_some_and(|count| count >= 1.0)
    );
    city.gateway
        .ask(&Request::post("/admin/mode", &json!({"mode": "act"})))
        .expect("an answer")
        .expect(200);
    city.gateway.await_mode("acting");
    megamind_tests::wait::until("Oblivion's word is taken", || (city.status_of(&id) == "picked_up").then_some(()));
}
