//! The cloud's log against the clients' own records.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use megamind_tests::load::{Tag, Tally, Told, Written, audit_but};
use megamind_tests::wait::PATIENCE;
use megamind_tests::{City, Request, wait};
use serde_json::{Value, json};

use super::evidence::{self, Traces};
use super::{Settled, World};

/// Orders that are asked for by both ids, at most.
const ASKED: usize = 200;

/// Orders that may have arrived and cannot be asked for, and what waits behind them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Parked, since they may have been applied and cannot be repeated.
    pub(super) parked: HashSet<Tag>,
    /// Not sent, since they name an order with a parked write.
    pub(super) behind: HashSet<Tag>,
    /// Which client's orders these are about: the client and the order.
    owners: HashSet<(usize, usize)>,
}

/// Longer than any write takes that is applied late.
const SETTLED: Duration = Duration::from_secs(1);

/// Drains the queue as an operator would who can look into the cloud: what was refused is tried again, and so is what
/// may have been applied and was not; what was is discarded. Only an order that arrived stays parked, with what waits
/// behind it: to discard it would call it off.
///
/// It fails when nothing has moved for long.
pub(super) fn drain(world: &World, traces: &Traces) -> Waiting {
    let city = &world.city;
    thread::sleep(SETTLED);
    let (mut moved, mut before) = (Instant::now(), Value::Null);
    loop {
        let status = city.gateway.status();
        let (parked, pending) = (entries(city, "parked"), entries(city, "pending"));
        let mut waiting = Waiting::default();
        let mut left = 0;
        let log = if parked.is_empty() { Vec::new() } else { city.cloud.log() };
        let applied: HashSet<Tag> = log.iter().filter_map(|effect| Tag::find(effect.body())).collect();
        for entry in &parked {
            let arrived = tag_of(entry).is_some_and(|tag| applied.contains(&tag));
            if arrived && entry["path"] == "/placeOrder" && is_in_doubt(world.kind.settled, entry) {
                left += 1;
                waiting.parked.extend(tag_of(entry));
                waiting.owners.extend(owner_of(entry));
                continue;
            }
            // Where the cloud honours keys, or can be asked, the drain knows by itself.
            let discards = arrived && is_in_doubt(world.kind.settled, entry);
            let action = if discards { "discard" } else { "retry" };
            let why = json!({"who": "the test", "why": "it arrived"});
            let settle = Request::post(format!("/admin/queue/{}/{action}", entry["id"]), &why);
            // Gone already: that is as good.
            let _ = city.gateway.ask(&settle);
        }
        let is_held = |entry: &&Value| owner_of(entry).is_some_and(|owner| waiting.owners.contains(&owner));
        let behind: Vec<&Value> = pending.iter().filter(is_held).collect();
        waiting.behind = behind.iter().filter_map(|entry| tag_of(entry)).collect();
        if left == parked.len() && behind.len() == pending.len() && status["mode"] == "forwarding" {
            return waiting;
        }
        let now = json!([status["queue"], status["mode"]]);
        if now != before {
            (moved, before) = (Instant::now(), now);
        }
        assert!(
            moved.elapsed() < PATIENCE,
            "the queue does not drain: {status}\nparked: {:?}\npending: {:?}\n{}",
            &parked[..parked.len().min(5)],
            &pending[..pending.len().min(5)],
            evidence::of(city, parked.iter().chain(&pending).filter_map(tag_of), traces),
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Whether only an operator can settle an entry, since nobody can know what came of it.
fn is_in_doubt(settled: Settled, entry: &Value) -> bool {
    let in_doubt = entry["possiblyApplied"] == true
        && entry["lastStatus"].is_null()
        && entry["lastError"]
            .as_str()
            .is_some_and(|why| why.contains("may have been applied"));
    in_doubt
        && match settled {
            Settled::Key => false,
            // An order with a reference is found.
            Settled::Lookup => entry["path"] != "/placeOrder" || !has_reference(entry),
            Settled::Operator => true,
        }
}

fn has_reference(entry: &Value) -> bool {
    entry["body"].as_str().is_some_and(|body| body.contains("\"clientRef\""))
}

/// The entries of a state, in full.
fn entries(city: &City, state: &str) -> Vec<Value> {
    let ask = |path: String| city.gateway.ask(&Request::get(path)).expect("the admin listener answers");
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = ask(format!("/admin/queue?state={state}&after={after}&limit=200"))
            .expect(200)
            .json();
        let Some(last) = page["entries"].as_array().and_then(|page| page.last()) else {
            return all;
        };
        after = last["id"].as_u64().expect("a number");
        for entry in page["entries"].as_array().into_iter().flatten() {
            let whole = ask(format!("/admin/queue/{}", entry["id"]));
            // It may have left the queue meanwhile.
            if whole.status == 200 && whole.json()["state"] == state {
                all.push(whole.json());
            }
        }
    }
}

fn tag_of(entry: &Value) -> Option<Tag> {
    Tag::find(entry["body"].as_str()?)
}

/// Whose entry it is: no two clients share an order, and each order has a pilot of its own.
fn owner_of(entry: &Value) -> Option<(usize, usize)> {
    if let Some(tag) = tag_of(entry) {
        return Some((tag.worker, tag.order));
    }
    let body: Value = serde_json::from_str(entry["body"].as_str()?).ok()?;
    let (worker, order) = body["minionId"].as_str()?.strip_prefix('P')?.split_once('-')?;
    Some((worker.parse().ok()?, order.parse().ok()?))
}

/// Fails the test unless the cloud has what the clients were told, and everything can be found by both ids.
#[track_caller]
pub(super) fn audit(city: &City, written: &[Written], waiting: &Waiting, traces: &Traces) -> Tally {
    let log = city.cloud.log();
    let parked = waiting.parked.iter().map(|tag| (*tag, 1));
    let excused: HashMap<Tag, usize> = parked.chain(waiting.behind.iter().map(|tag| (*tag, 0))).collect();
    let (tally, wrong) = audit_but(written, &log, &excused);
    let shown: Vec<&str> = wrong.iter().take(20).map(|wrong| wrong.what.as_str()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} writes are wrong:\n{}\n{}",
        wrong.len(),
        written.len(),
        shown.join("\n"),
        evidence::of(city, wrong.iter().map(|wrong| wrong.tag), traces),
    );
    let names: HashMap<Tag, &str> = log
        .iter()
        .filter(|effect| effect.endpoint() == "/placeOrder")
        .filter_map(|effect| Some((Tag::find(effect.body())?, effect.text("orderId"))))
        .collect();
    let statuses: HashMap<String, Value> = city
        .cloud
        .orders()
        .into_iter()
        .map(|order| (order["orderId"].as_str().unwrap_or_default().to_owned(), order["status"].clone()))
        .collect();
    let placed: Vec<&Written> = written
        .iter()
        .filter(|write| write.tag.step == 0 && write.told == Told::Done && write.id.is_some())
        .filter(|write| !waiting.owners.contains(&(write.tag.worker, write.tag.order)))
        .collect();
    for write in placed.iter().step_by(placed.len() / ASKED + 1) {
        let (own, upstream) = (write.id.as_deref().unwrap_or_default(), names[&write.tag]);
        for id in [own, upstream] {
            // On a busy machine a read may be late, and is answered from what the gateway has seen.
            let forwarded = || Some(city.track(id).expect(200)).filter(|answer| !answer.is_local());
            let told = wait::until("the cloud tells of the order", forwarded).json();
            let why = || evidence::of(city, [write.tag], traces);
            assert_eq!(told["orderId"], id, "{}: asked for by {id}\n{}", write.tag, why());
            assert_eq!(
                told["status"],
                statuses[upstream],
                "{}: {own} is {upstream}: {told}\n{}",
                write.tag,
                why()
            );
        }
    }
    tally
}
