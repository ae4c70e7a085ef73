//! A city: a stand-in cloud and a gateway before it.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use toml::Table;

use crate::cloud::Cloud;
use crate::dialect::Dialect;
use crate::gateway::Gateway;
use crate::http::{Answer, Client, Request};
use crate::ports;

/// What all cities have in common. Checks are frequent, so that tests need not wait; what is
/// judged slow is slow enough for a busy machine.
const COMMON: &str = r#"
    city = "tst"
    [gateway]
    access_log = false
    [upstream]
    response_timeout = "5s"
    connect_timeout = "2s"
    idempotency = "key"
    [health]
    interval = "50ms"
    timeout = "3s"
    fall = 2
    rise = 2
    [drain]
    max_rate = 5000
    backoff = "20ms"
    max_backoff = "200ms"
    [acting]
    max_open_orders_per_merchant = 1000000
    [log]
    level = "info"
"#;

/// A stand-in cloud, a gateway, and the folder that both live in.
#[derive(Debug)]
pub struct City {
    /// The gateway.
    pub gateway: Gateway,
    /// The cloud.
    pub cloud: Cloud,
    /// How clients speak.
    pub dialect: Dialect,
    config: Table,
    // Last: removed when both processes are gone.
    dir: TempDir,
}

/// How a city is to be.
#[derive(Debug)]
pub struct Plan {
    config: String,
    dialect: Dialect,
    cloud_flags: Vec<&'static str>,
    dir: Option<TempDir>,
}

impl City {
    /// Both running, Oblivion serving.
    pub fn start() -> Self {
        Self::with("").start()
    }

    /// A city whose configuration differs from the usual one by `config`, in TOML.
    pub fn with(config: &str) -> Plan {
        Plan {
            config: config.to_owned(),
            dialect: Dialect::standard(),
            cloud_flags: Vec::new(),
            dir: None,
        }
    }

    /// The folder that both live in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration as it is.
    pub fn config(&self) -> &Table {
        &self.config
    }

    /// A new connection to the gateway.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.gateway.addr).expect("the gateway accepts")
    }

    /// One exchange with the gateway, after which the connection must be usable still.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        let mut client = self.client();
        match client.send(request) {
            Ok(answer) => {
                if !answer.closes() {
                    client.still_usable().expect("a usable connection");
                }
                answer
            }
            Err(trouble) => panic!("{trouble}, after {request:?}"),
        }
    }

    /// A POST of a canonical body to a canonical path, in the city's dialect.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&self.dialect.post(path, body))
    }

    /// Places an order and tells its id.
    #[track_caller]
    pub fn place(&self, client_ref: &str) -> String {
        let answer = self.post("/placeOrder", &order(client_ref));
        assert!(matches!(answer.status, 200 | 201), "{answer}");
        self.id_of(&answer)
    }

    /// The id in the answer to a placeOrder.
    #[track_caller]
    pub fn id_of(&self, answer: &Answer) -> String {
        let id = &self.dialect.read(answer)["orderId"];
        id.as_str().expect("an order id").to_owned()
    }

    /// Asks for an order.
    #[track_caller]
    pub fn track(&self, id: &str) -> Answer {
        self.send(&self.dialect.get("/trackOrder", "orderId", id))
    }

    /// The status that an order has according to the gateway.
    #[track_caller]
    pub fn status_of(&self, id: &str) -> String {
        let answer = self.track(id).expect(200);
        let status = &self.dialect.read(&answer)["status"];
        status.as_str().expect("a status").to_owned()
    }

    /// Tells what a pilot did with an order.
    #[track_caller]
    pub fn deliver(&self, id: &str, minion: &str, status: &str) -> Answer {
        let body = json!({"orderId": id, "minionId": minion, "status": status});
        self.post("/updatemaster/ind/deliveryInfo", &body)
    }

    /// Kills the cloud and waits until the gateway acts.
    pub fn lose_cloud(&mut self) {
        self.cloud.kill();
        self.gateway.await_mode("acting");
    }

    /// Starts the cloud again and waits until it has everything.
    pub fn regain_cloud(&mut self) {
        self.cloud.start();
        self.gateway.await_drained();
    }
}

impl Plan {
    /// In another dialect.
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// With more flags for the cloud.
    pub fn cloud_flags(mut self, flags: &[&'static str]) -> Self {
        self.cloud_flags.extend_from_slice(flags);
        self
    }

    /// In a folder that exists already.
    pub fn within(mut self, dir: TempDir) -> Self {
        self.dir = Some(dir);
        self
    }

    /// Starts the cloud and the gateway, and waits until it forwards.
    #[track_caller]
    pub fn start(self) -> City {
        let mut city = self.prepare();
        city.cloud.start();
        city.gateway.start();
        city.gateway.await_mode("forwarding");
        city
    }

    /// Starts the gateway alone.
    #[track_caller]
    pub fn start_without_cloud(self) -> City {
        let mut city = self.prepare();
        city.gateway.start();
        city.gateway.await_mode("acting");
        city
    }

    /// Prepares everything and starts nothing.
    #[track_caller]
    pub fn prepare(self) -> City {
        let dir = self
            .dir
            .unwrap_or_else(|| TempDir::new().expect("a folder for temporary files"));
        let cloud_dir = dir.path().join("cloud");
        std::fs::create_dir_all(&cloud_dir).expect("a writable folder");
        let mut flags = vec!["--dialect", self.dialect.name];
        flags.extend(self.cloud_flags);
        let cloud = Cloud::new(&cloud_dir, &flags);
        let (addr, admin) = (ports::reserve(), ports::reserve());
        let gateway = Gateway::new(dir.path(), addr, admin);
        let mut config: Table = COMMON.parse().expect("good TOML");
        let own = format!(
            "gateway.listen = \"{addr}\"\nadmin.listen = \"{admin}\"\nupstream.servers = [\"{}\"]\nstore.path = '{}'\n",
            cloud.addr,
            gateway.database().display(),
        );
        merge(&mut config, own.parse().expect("good TOML"));
        merge(&mut config, self.dialect.config.clone());
        merge(&mut config, self.config.parse().expect("a test's TOML"));
        gateway.configure(&config);
        City { gateway, cloud, dialect: self.dialect, config, dir }
    }
}

/// The later table wins, key by key.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// A good order, in canonical names.
pub fn order(client_ref: &str) -> Value {
    json!({
        "merchantId": "M1",
        "clientRef": client_ref,
        "pickup": {"lat": 12.9716, "lng": 77.5946, "address": "1 Church Street"},
        "dropoff": {"lat": 12.9352, "lng": 77.6245, "contact": "+919812345678"},
        "items": [{"name": "dosa", "quantity": 2}],
        "codAmount": "149.50",
        "currency": "INR",
    })
}

/// A pilot where the orders are, ready to take one.
pub fn pilot(minion: &str) -> Value {
    json!({"minionId": minion, "lat": 12.97, "lng": 77.59, "status": "available"})
}
