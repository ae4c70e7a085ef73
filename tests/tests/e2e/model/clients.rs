//! Clients that do at random what clients do, and remember what they were told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use megamind_tests::city::order;
use megamind_tests::http::{Party, Trouble};
use megamind_tests::load::{Tag, Told, Written};
use megamind_tests::random::Random;
use megamind_tests::{Answer, Client, Request};
use serde_json::{Value, json};

use super::evidence::{self, Traces};

/// How often a client that is recognized asks where it is told nothing.
const RETRIES: usize = 6;
const PAUSE: Duration = Duration::from_millis(15);

/// How a client names what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// An `Idempotency-Key` with every write; it asks again until it is told something.
    Key,
    /// The same, and half of its orders it sends to the cloud itself first.
    DirectFirst,
    /// A `clientRef` in every order; it asks again for an order where it is told nothing.
    Reference,
    /// Nothing at all.
    Neither,
}

impl Habit {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Key, Self::DirectFirst, Self::Reference, Self::Neither];

    fn has_key(self) -> bool {
        matches!(self, Self::Key | Self::DirectFirst)
    }

    /// Whether to ask again has one effect at most.
    fn is_recognized(self, path: &str) -> bool {
        self.has_key() || self == Self::Reference && path == "/placeOrder"
    }
}

/// The order that a client is at.
#[derive(Debug)]
struct Current {
    id: String,
    status: &'static str,
    /// Whether the gateway itself has acknowledged that status. What it has only watched it may forget in a crash: the
    /// cloud knows it.
    durable: bool,
}

/// A client, who is the merchant and the pilot of one order after the other.
#[derive(Debug)]
pub(super) struct Person {
    gateway: SocketAddr,
    cloud: SocketAddr,
    random: Random,
    habit: Habit,
    /// Whether what the cloud was asked directly has one effect at most with what the gateway tells it.
    cloud_honours_keys: bool,
    client: Option<Client>,
    next: Tag,
    current: Option<Current>,
    /// What it wrote, in order.
    pub(super) written: Vec<Written>,
    /// What it was told and must not have been.
    pub(super) wrong: Vec<String>,
    /// What it saw.
    pub(super) traces: Traces,
}

impl Person {
    /// Somebody new.
    pub(super) fn new(
        name: usize,
        gateway: SocketAddr,
        cloud: SocketAddr,
        cloud_honours_keys: bool,
        random: Random,
    ) -> Self {
        Self {
            gateway,
            cloud,
            random,
            habit: Habit::ALL[name % Habit::ALL.len()],
            cloud_honours_keys,
            client: None,
            next: Tag { worker: name, order: 0, step: 0 },
            current: None,
            written: Vec::new(),
            wrong: Vec::new(),
            traces: Traces::new(),
        }
    }

    /// Does so many things, or fewer where it is told to stop.
    pub(super) fn live(&mut self, steps: usize, stop: &AtomicBool) {
        for _ in 0..steps {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            // While the gateway is dead, nobody can do anything.
            if let Ok(client) = self.connect() {
                self.client = Some(client);
                self.step();
            }
            thread::sleep(Duration::from_micros(self.random.below(4_000) as u64));
        }
    }

    fn step(&mut self) {
        let Some(current) = &self.current else {
            return self.place();
        };
        let (id, status, durable) = (current.id.clone(), current.status, current.durable);
        match self.random.below(10) {
            0 | 1 => self.track(&id, status, durable),
            2 => self.position(),
            3 if status == "placed" => {
                let change = json!({"orderId": id, "dropoff": {"lat": 12.93, "lng": 77.61}});
                self.change("/updateOrder", change, status);
            }
            4 if status == "placed" => {
                let path = *self.random.pick(&["/cancelOrder", "/cancelOrderll"]);
                self.change(path, json!({"orderId": id, "reason": "changed my mind"}), "cancelled");
            }
            _ => self.report(&id, status),
        }
    }

    fn place(&mut self) {
        let mut body = order(&format!("ref-{}-{}", self.next.worker, self.next.order));
        if self.habit == Habit::Neither {
            body.as_object_mut().expect("an order").remove("clientRef");
        }
        let (told, answer) = self.write("/placeOrder", body);
        if let (Told::Done, Some(answer)) = (told, answer) {
            let id = answer.json()["orderId"].as_str().expect("an order id").to_owned();
            if let Some(last) = self.written.last_mut() {
                last.id = Some(id.clone());
            }
            self.current = Some(Current { id, status: "placed", durable: answer.is_local() });
        }
    }

    /// A fact: the next thing that happens to an order on its way.
    fn report(&mut self, id: &str, status: &str) {
        let fact = match status {
            "placed" => *self.random.pick(&["accepted", "arrived_at_pickup"]),
            "accepted" => "arrived_at_pickup",
            "arrived_at_pickup" => "picked_up",
            "picked_up" => *self.random.pick(&["arrived_at_dropoff", "delivered"]),
            _ => *self.random.pick(&["delivered", "failed"]),
        };
        let body = json!({"orderId": id, "minionId": self.minion(), "status": fact});
        self.change("/updatemaster/ind/deliveryInfo", body, fact);
    }

    /// A write about the current order, which has the status `then` afterwards.
    fn change(&mut self, path: &'static str, body: Value, then: &'static str) {
        let (told, answer) = self.write(path, body);
        let durable = answer.is_some_and(|answer| answer.is_local());
        let ends = matches!(then, "cancelled" | "delivered" | "failed");
        match &mut self.current {
            Some(current) if told == Told::Done && !ends => (current.status, current.durable) = (then, durable),
            // An order whose fate is not known is given up.
            _ => self.give_up(),
        }
    }

    fn give_up(&mut self) {
        self.current = None;
        self.next = Tag { order: self.next.order + 1, step: 0, ..self.next };
    }

    /// What was acknowledged is what is read.
    fn track(&mut self, id: &str, status: &str, durable: bool) {
        let Ok(answer) = self.send(&Request::get(format!("/trackOrder?orderId={id}"))) else {
            return;
        };
        if answer.status != 200 {
            // An order that the cloud has placed need not be known here, and the cloud's own refusals pass.
            if id.starts_with("tst-") && answer.is_local() {
                self.wrong.push(format!("{id} is not known: {answer}"));
            }
            return;
        }
        let told = answer.json();
        let known = durable || !answer.is_local();
        if told["orderId"] != id || known && told["status"] != status {
            self.wrong.push(format!("{id} is {status}, and was read as {answer}"));
        }
    }

    /// Positions are merged on their way: nothing is expected of a single one.
    fn position(&mut self) {
        let lat = 12.9 + self.random.below(1_000) as f64 / 10_000.0;
        let body = json!({"minionId": self.minion(), "lat": lat, "lng": 77.6, "status": "busy"});
        // Whatever comes of it.
        let _ = self.send(&Request::post("/updatemaster/ind/generalinfo", &body));
    }

    fn minion(&self) -> String {
        format!("P{}-{}", self.next.worker, self.next.order)
    }

    fn write(&mut self, path: &str, mut body: Value) -> (Told, Option<Answer>) {
        let tag = self.next;
        body["tag"] = tag.to_string().into();
        let mut request = Request::post(path, &body);
        if self.habit.has_key() {
            request = request.header("Idempotency-Key", &format!("key-of-{tag}"));
        }
        let mut doubt = self.cloud_honours_keys && self.habit == Habit::DirectFirst && path == "/placeOrder";
        if doubt && self.random.percent(50) {
            // Whatever comes of it.
            let direct = Client::connect_to(self.cloud, Party::Other).and_then(|mut client| client.send(&request));
            self.trace("to the cloud itself", path, &direct);
        } else {
            doubt = false;
        }
        let attempts = if self.habit.is_recognized(path) { RETRIES } else { 1 };
        let (mut told, mut answer) = (Told::Nothing, None);
        for _ in 0..attempts {
            (told, answer) = self.once(path, &request);
            if told != Told::Nothing {
                break;
            }
            doubt = true;
            thread::sleep(PAUSE);
        }
        if doubt && told == Told::Refused {
            // A refusal says nothing of the attempt before it.
            told = Told::Nothing;
        }
        let id = self.current.as_ref().map(|current| current.id.clone());
        self.written.push(Written { tag, id, told });
        self.next.step += 1;
        if told != Told::Done && self.current.is_none() {
            self.give_up();
        }
        (told, answer)
    }

    fn once(&mut self, path: &str, request: &Request) -> (Told, Option<Answer>) {
        let answer = self.send(request);
        self.trace("to the gateway", path, &answer);
        let Ok(answer) = answer else {
            return (Told::Nothing, None);
        };
        let code = answer.code().unwrap_or_default();
        let told = match answer.status {
            200..=299 => Told::Done,
            _ if matches!(code.as_str(), "outcome_unknown" | "idempotency_key_running") => Told::Nothing,
            _ => Told::Refused,
        };
        // No client sees the outage.
        let excused = matches!(code.as_str(), "outcome_unknown" | "not_known_here" | "overloaded");
        if answer.status >= 500 && !excused {
            self.wrong.push(format!("a failure reached the client: {answer}"));
        }
        (told, Some(answer))
    }

    fn trace(&mut self, to: &str, path: &str, answer: &Result<Answer, Trouble>) {
        let said = match answer {
            Ok(answer) => answer.to_string(),
            Err(trouble) => trouble.to_string(),
        };
        let line = format!("{:.3} s, {path} {to}: {said}", evidence::now());
        self.traces.entry(self.next).or_default().push(line);
    }

    /// The open connection, or a new one; it stays open when it is put back.
    fn connect(&mut self) -> Result<Client, Trouble> {
        match self.client.take() {
            Some(client) => Ok(client),
            None => Client::connect(self.gateway).inspect_err(|_| thread::sleep(PAUSE)),
        }
    }

    /// One exchange. The connection is opened anew after trouble; a gateway that is dead for now is no trouble that
    /// counts, an answer that breaks its promises is.
    fn send(&mut self, request: &Request) -> Result<Answer, Trouble> {
        let mut client = self.connect()?;
        let answer = client.send(request);
        match &answer {
            Ok(answer) if !answer.closes() => self.client = Some(client),
            Err(Trouble::Violation(what)) => self.wrong.push(what.clone()),
            _ => {}
        }
        answer
    }
}
