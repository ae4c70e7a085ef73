//! The stand-in cloud, as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::http::{Answer, Client, Party, Request};
use crate::process::Process;
use crate::{binary, ports};

/// One write that the cloud has applied, as its log tells it.
#[derive(Clone, Debug)]
pub struct Effect(Value);

impl From<Value> for Effect {
    fn from(entry: Value) -> Self {
        Self(entry)
    }
}

impl Effect {
    /// A member as text; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// A header of the gateway's, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"][name].as_str()
    }

    /// The body as it came.
    pub fn body(&self) -> &str {
        self.text("body")
    }

    /// The canonical path.
    pub fn endpoint(&self) -> &str {
        self.text("endpoint")
    }

    /// The idempotency key.
    pub fn key(&self) -> Option<&str> {
        self.0["key"].as_str()
    }

    /// Whether the gateway replayed it.
    pub fn is_replay(&self) -> bool {
        self.0["replay"].is_string()
    }
}

/// The stand-in cloud. What it applied survives its death.
#[derive(Debug)]
pub struct Cloud {
    /// The public interface.
    pub addr: SocketAddr,
    control: SocketAddr,
    flags: Vec<String>,
    dir: PathBuf,
    process: Option<Process>,
}

impl Cloud {
    /// A cloud that keeps its log in `dir`, not started yet.
    pub fn new(dir: &Path, flags: &[&str]) -> Self {
        Self {
            addr: ports::reserve(),
            control: ports::reserve(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            dir: dir.to_owned(),
            process: None,
        }
    }

    /// Starts it, where it was before.
    pub fn start(&mut self) {
        let mut command = Command::new(binary::megamind());
        command
            .arg("oblivion")
            .arg("--listen")
            .arg(self.addr.to_string())
            .arg("--control")
            .arg(self.control.to_string())
            .arg("--data")
            .arg(self.dir.join("oblivion.jsonl"))
            .args(&self.flags);
        let mut process = Process::spawn("oblivion", &mut command, &self.dir);
        process.await_line("control on ").expect("the stand-in cloud starts");
        self.process = Some(process);
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Where faults are set, whatever is broken.
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// Sets a fault.
    pub fn fault(&self, fault: &Value) {
        self.ask(&Request::post("/__fault", fault)).expect(200);
    }

    /// Ends the fault.
    pub fn heal(&self) {
        self.ask(&Request::new("DELETE", "/__fault")).expect(200);
    }

    /// How many requests the fault has hit.
    pub fn hits(&self) -> u64 {
        let shown = self.ask(&Request::get("/__fault")).expect(200).json();
        shown["hits"].as_u64().unwrap_or(0)
    }

    /// Every write that it applied, in order.
    pub fn log(&self) -> Vec<Effect> {
        match self.ask(&Request::get("/__log")).expect(200).json() {
            Value::Array(entries) => entries.into_iter().map(Effect::from).collect(),
            other => panic!("not a log: {other}"),
        }
    }

    /// Those whose body contains a text.
    pub fn effects_of(&self, text: &str) -> Vec<Effect> {
        let mut log = self.log();
        log.retain(|effect| effect.body().contains(text) || effect.text("query").contains(text));
        log
    }

    /// An order as the cloud knows it, by its own id.
    pub fn order(&self, id: &str) -> Option<Value> {
        self.orders().into_iter().find(|order| order["orderId"] == id)
    }

    /// Every order as the cloud knows it.
    pub fn orders(&self) -> Vec<Value> {
        let mut all = self.ask(&Request::get("/__orders")).expect(200).json();
        match all["orders"].take() {
            Value::Array(orders) => orders,
            other => panic!("not a list of orders: {other}"),
        }
    }

    fn ask(&self, request: &Request) -> Answer {
        Client::connect_to(self.control, Party::Other)
            .and_then(|mut client| client.send(request))
            .expect("the control plane answers")
    }
}
