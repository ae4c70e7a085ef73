//! Clients that place orders and carry them through their lives, and an audit of what became of
//! every write in the cloud.

use std::net::SocketAddr;
use std::{collections::HashMap, hash::BuildHasher};

use serde_json::{Value, json};

use crate::city;
use crate::cloud::Effect;
use crate::dialect::Dialect;
use crate::http::{Answer, Client, Trouble};

/// What the client was told about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// 2xx: it must have effect, once.
    Done,
    /// It was refused, and a retry is safe: it must have no effect.
    Refused,
    /// The connection broke, or the gateway said that it does not know: at most one effect.
    Nothing,
}

/// Names one write: its body carries it as `tag`, which every dialect leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// Which client sent it.
    pub worker: usize,
    /// Which of its orders it is about.
    pub order: usize,
    /// Which step in the life of that order it is.
    pub step: usize,
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "t-{}-{}-{}", self.worker, self.order, self.step)
    }
}

impl Tag {
    /// The tag in a JSON body, if it has one.
    pub fn find(body: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(body).ok()?;
        let mut parts = body["tag"].as_str()?.strip_prefix("t-")?.split('-');
        let mut next = || parts.next()?.parse().ok();
        Some(Self { worker: next()?, order: next()?, step: next()? })
    }
}

/// One write and what its client was told.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name.
    pub tag: Tag,
    /// The order, where its id is known.
    pub id: Option<String>,
    /// What was said.
    pub told: Told,
}

/// The lives that orders are given, one after the other.
const LIVES: [&[&str]; 3] = [
    &["place", "update", "arrived_at_pickup", "picked_up", "delivered"],
    &["place", "update", "cancel"],
    &["place", "arrived_at_pickup", "picked_up", "arrived_at_dropoff", "failed"],
];

/// A client with one connection that takes one order after the other through its life. A write is
/// sent only after the one before it was acknowledged; an order whose write was not is given up.
#[derive(Debug)]
pub struct Worker {
    addr: SocketAddr,
    dialect: Dialect,
    name: usize,
    client: Option<Client>,
    order: usize,
    step: usize,
    id: Option<String>,
    one_pilot: bool,
    /// Everything that it sent.
    pub written: Vec<Written>,
}

impl Worker {
    /// A worker; its name must be its own.
    pub fn new(addr: SocketAddr, dialect: &Dialect, name: usize) -> Self {
        Self {
            addr,
            dialect: dialect.clone(),
            name,
            client: None,
            order: 0,
            step: 0,
            id: None,
            one_pilot: false,
            written: Vec::new(),
        }
    }

    /// All its orders are carried by one pilot, who thereby stays fenced for as long as events come
    /// faster than they are handed over. Otherwise each order has a pilot of its own.
    pub fn with_one_pilot(mut self) -> Self {
        self.one_pilot = true;
        self
    }

    /// Sends the next write and keeps what was said. An error is trouble with the connection, which
    /// is opened anew at the next step.
    pub fn step(&mut self) -> Result<Answer, Trouble> {
        let life = LIVES[self.order % LIVES.len()];
        let tag = Tag { worker: self.name, order: self.order, step: self.step };
        let (path, mut body) = self.write(life[self.step]);
        body["tag"] = tag.to_string().into();
        let request = self.dialect.post(path, &body);
        // Not connected: nothing was sent, so there is nothing to remember.
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(self.addr)?,
        };
        let answer = client.send(&request);
        let told = match &answer {
            Ok(answer) if answer.status < 300 => Told::Done,
            Ok(answer) if answer.code().as_deref() == Some("outcome_unknown") => Told::Nothing,
            Ok(_) => Told::Refused,
            Err(_) => Told::Nothing,
        };
        if let (Told::Done, "place", Ok(answer)) = (told, life[self.step], &answer) {
            let id = &self.dialect.read(answer)["orderId"];
            self.id = id.as_str().map(str::to_owned);
        }
        self.written.push(Written { tag, id: self.id.clone(), told });
        if answer.is_ok() {
            self.client = Some(client);
        }
        self.step += 1;
        if told != Told::Done || self.step == life.len() {
            (self.order, self.step, self.id) = (self.order + 1, 0, None);
        }
        answer
    }

    /// Asks for the order that it is at, if there is one.
    pub fn track(&mut self) -> Result<Option<Answer>, Trouble> {
        let (Some(id), Some(client)) = (&self.id, &mut self.client) else {
            return Ok(None);
        };
        client.send(&self.dialect.get("/trackOrder", "orderId", id)).map(Some)
    }

    fn minion(&self) -> String {
        if self.one_pilot {
            format!("P{}", self.name)
        } else {
            format!("P{}-{}", self.name, self.order)
        }
    }

    fn write(&self, step: &str) -> (&'static str, Value) {
        let id = self.id.as_deref().unwrap_or_default();
        match step {
            "place" => {
                let client_ref = format!("ref-{}-{}", self.name, self.order);
                ("/placeOrder", city::order(&client_ref))
            }
            "update" => ("/updateOrder", json!({"orderId": id, "dropoff": {"lat": 12.93, "lng": 77.61}})),
            "cancel" => ("/cancelOrder", json!({"orderId": id, "reason": "changed my mind"})),
            status => (
                "/updatemaster/ind/deliveryInfo",
                json!({"orderId": id, "minionId": self.minion(), "status": status}),
            ),
        }
    }
}

/// How many writes were told what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Acknowledged.
    pub done: usize,
    /// Refused.
    pub refused: usize,
    /// Not answered.
    pub open: usize,
}

/// Fails the test unless every acknowledged write has had effect once, no refused one has, no
/// other one twice, and those about each order, and of each pilot, came in the order in which they
/// were sent.
#[track_caller]
pub fn audit(written: &[Written], log: &[Effect]) -> Tally {
    let (tally, wrong) = audit_but(written, log, &HashMap::new());
    let shown: Vec<&str> = wrong.iter().take(20).map(|wrong| wrong.what.as_str()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} writes are wrong:\n{}",
        wrong.len(),
        written.len(),
        shown.join("\n")
    );
    tally
}

/// A write that did not come out as its client was told.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// Which.
    pub tag: Tag,
    /// What is wrong about it.
    pub what: String,
}

/// The same, but for writes that wait in the queue for an operator: each of those has had effect so many times at most.
pub fn audit_but<S: BuildHasher>(
    written: &[Written],
    log: &[Effect],
    waiting: &HashMap<Tag, usize, S>,
) -> (Tally, Vec<Wrong>) {
    let mut effects: HashMap<Tag, Vec<usize>> = HashMap::new();
    for (position, effect) in log.iter().enumerate() {
        if let Some(tag) = Tag::find(effect.body()) {
            effects.entry(tag).or_default().push(position);
        }
    }
    let mut tally = Tally::default();
    let mut wrong = Vec::new();
    for Written { tag, id, told } in written {
        let count = effects.get(tag).map_or(0, Vec::len);
        let good = match told {
            Told::Done => waiting.get(tag).map_or(count == 1, |most| count <= *most),
            Told::Refused => count == 0,
            Told::Nothing => count <= 1,
        };
        match told {
            Told::Done => tally.done += 1,
            Told::Refused => tally.refused += 1,
            Told::Nothing => tally.open += 1,
        }
        if !good {
            let what = format!("{tag} ({id:?}) was told {told:?} and had effect {count} times");
            wrong.push(Wrong { tag: *tag, what });
        }
    }
    wrong.extend(disorder(written, log, &effects));
    (tally, wrong)
}

/// Where acknowledged writes about one order, or events of one pilot, had effect in another order
/// than they were sent in.
fn disorder(written: &[Written], log: &[Effect], effects: &HashMap<Tag, Vec<usize>>) -> Vec<Wrong> {
    let mut latest: HashMap<String, (Tag, usize)> = HashMap::new();
    let mut wrong = Vec::new();
    // Each client's writes are in the order in which it sent them, and no two clients share an
    // order or a pilot.
    for Written { tag, told, .. } in written {
        let (Told::Done, Some(&position)) = (told, effects.get(tag).and_then(|all| all.first())) else {
            continue;
        };
        let order = format!("order {}-{}", tag.worker, tag.order);
        let pilot = Some(log[position].text("minionId"))
            .filter(|_| log[position].endpoint() == "/updatemaster/ind/deliveryInfo")
            .map(|minion| format!("pilot {minion}"));
        for about in [Some(order), pilot].into_iter().flatten() {
            let before = latest.insert(about.clone(), (*tag, position));
            if let Some((before, _)) = before.filter(|(_, earlier)| *earlier > position) {
                let what = format!("{tag} had effect before {before}: {about}");
                wrong.push(Wrong { tag: *tag, what });
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests;
