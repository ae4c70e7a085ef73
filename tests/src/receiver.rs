//! A pilot's app or a merchant's service, as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::http::{Client, Party, Request};
use crate::process::Process;
use crate::{binary, ports, wait};

/// A receiver of calls. What it was told survives its death.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub addr: SocketAddr,
    name: String,
    dir: PathBuf,
    process: Option<Process>,
}

impl Receiver {
    /// A receiver that keeps its log in `dir`, not started yet.
    pub fn new(dir: &Path, name: &str) -> Self {
        Self { addr: ports::reserve(), name: name.to_owned(), dir: dir.to_owned(), process: None }
    }

    /// The same, started.
    pub fn start_new(dir: &Path, name: &str) -> Self {
        let mut receiver = Self::new(dir, name);
        receiver.start();
        receiver
    }

    /// The URL that calls go to.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.jsonl", self.name))
    }

    /// Starts it, where it was before.
    pub fn start(&mut self) {
        let mut command = Command::new(binary::receiver());
        command.arg("--listen").arg(self.addr.to_string()).arg("--log").arg(self.log());
        let mut process = Process::spawn(&self.name, &mut command, &self.dir);
        if let Err(said) = process.await_line("listening on ") {
            panic!("the receiver does not start: {said}");
        }
        self.process = Some(process);
    }

    /// kill -9: calls are refused from now on.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Breaks it.
    #[track_caller]
    pub fn fault(&self, fault: &Value) {
        self.control("/__fault", fault);
    }

    /// Sets what a path answers.
    #[track_caller]
    pub fn answer(&self, path: &str, body: &Value) {
        self.control("/__answer", &json!({"path": path, "body": body}));
    }

    #[track_caller]
    fn control(&self, path: &str, body: &Value) {
        let mut client = Client::connect_to(self.addr, Party::Other).expect("the receiver accepts");
        client
            .send(&Request::post(path, body))
            .expect("the receiver answers")
            .expect(200);
    }

    /// Every call so far, repetitions and refused ones too.
    pub fn calls(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The calls that took effect, in order.
    pub fn effects(&self) -> Vec<Value> {
        self.calls().into_iter().filter(|call| call["effective"] == true).collect()
    }

    /// The statuses of an order that `/pushdeliveryinfo` told with effect, in order.
    pub fn statuses(&self, order: &str) -> Vec<String> {
        let told = self.effects().into_iter().filter(|call| call["path"] == "/pushdeliveryinfo");
        told.filter(|call| call["body"]["orderId"] == order)
            .map(|call| call["body"]["status"].as_str().expect("a status").to_owned())
            .collect()
    }

    /// The actions about an order that `/assign` told with effect, in order.
    pub fn actions(&self, order: &str) -> Vec<String> {
        let told = self.effects().into_iter().filter(|call| call["path"] == "/assign");
        told.filter(|call| call["body"]["orderId"] == order)
            .map(|call| call["body"]["action"].as_str().expect("an action").to_owned())
            .collect()
    }

    /// Waits until an order has been told so far.
    #[track_caller]
    pub fn await_statuses(&self, order: &str, expected: &[&str]) {
        wait::until_good(&format!("{} knows {expected:?} of {order}", self.name), || {
            let told = self.statuses(order);
            if told == expected { Ok(()) } else { Err(format!("{told:?}")) }
        });
    }
}
