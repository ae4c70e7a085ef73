//! A cloud of another kind (`tests/sim/php/cloud.php`): sessions that expire, numbers for ids, forms alone, errors under
//! status 200, no idempotency keys, and a 500 without its database while its health page stays green. A whole outage,
//! with nothing but configuration.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use megamind_tests::http::Party;
use megamind_tests::process::Process;
use megamind_tests::{Answer, City, Client, Request, binary, ports, skipped, wait};
use serde_json::Value;

const CONFIG: &str = r#"
    [upstream]
    idempotency = "SETTLEMENT"
    settle_after = "1s"
    [upstream.success]
    status = [200]
    content_type = "application/json"
    pointer = "/ok"
    values = [1]
    [upstream.lookup]
    path = "/order_find.php"
    match = ["merchant_id", "reference"]
    found = "/result/orders/0/order_id"
    [health]
    path = "/ping.php"
    [health.passive]
    window = "5s"
    min_requests = 3
    [ids]
    form = "integer"
    first = 71000000
    last = 71999999
    upstream_numbers = true
    [drain]
    assigned = "skip"
    [dispatch]
    auto = false
    [dialect]
    created_status = 200
    time_format = "%Y-%m-%d %H:%M:%S"
    [dialect.paths]
    "/placeOrder" = "/order_new.php"
    "/trackOrder" = "/order_get.php"
    "/updateOrder" = "/order_change.php"
    "/cancelOrder" = "/order_void.php"
    "/updatemaster/ind/generalinfo" = "/rider_place.php"
    "/updatemaster/ind/deliveryInfo" = "/rider_event.php"
    [dialect.fields]
    orderId = "order_id"
    merchantId = "merchant_id"
    minionId = "rider_id"
    clientRef = "reference"
    status = "state"
    [dialect.statuses]
    placed = "NEW"
    accepted = "ACCEPTED"
    arrived_at_pickup = "AT_SHOP"
    picked_up = "COLLECTED"
    arrived_at_dropoff = "AT_DOOR"
    delivered = "DONE"
    failed = "FAILED"
    cancelled = "VOID"
    [dialect.envelope]
    data = "result"
    fields = { ok = 1 }
    [dialect.envelope.error]
    message = "error"
    code = "error_code"
    fields = { ok = 0 }
"#;

/// The range of `CONFIG`.
const OURS: std::ops::RangeInclusive<u64> = 71_000_000..=71_999_999;

#[test]
fn a_php_cloud_that_can_be_asked_has_everything_once_after_an_outage() {
    outage("lookup");
}

#[test]
fn a_php_cloud_that_is_not_asked_has_everything_once_after_an_outage_and_an_operator() {
    outage("hold");
}

fn outage(settlement: &str) {
    let Some(mut town) = Town::start(settlement) else {
        return;
    };
    let (merchant, rider) = (town.log_in("M1"), town.log_in("R1"));
    assert_eq!(
        town.call("/login.php", "user=M1&password=wrong", "").expect(200).json()["ok"],
        0,
        "untouched"
    );
    let early = town.place(&merchant, "early");
    assert!(!OURS.contains(&early), "the cloud's own number: {early}");
    town.event(&rider, early, "AT_SHOP");

    town.lose_database();
    // A read, answered here; it has to succeed before the cloud is believed again.
    assert_eq!(town.track(&merchant, early)["order_id"], early);
    // The page stays green: it is the failing requests that tell.
    let mut orders = Vec::new();
    wait::until("it acts", || {
        orders.push(town.place(&merchant, &format!("down-{}", orders.len())));
        (town.city.gateway.mode() == "acting").then_some(())
    });
    let sent = orders.len();
    eprintln!("{sent} orders were taken until it acted");
    for number in sent..sent + 5 {
        orders.push(town.place(&merchant, &format!("down-{number}")));
    }
    assert!(orders.iter().all(|id| OURS.contains(id)), "{orders:?}");
    town.event(&rider, early, "COLLECTED");
    town.city.gateway.kill();
    town.city.gateway.start();
    town.event(&rider, orders[sent], "AT_SHOP");
    town.event(&rider, orders[sent], "COLLECTED");
    town.write("/order_void.php", &format!("order_id={}&reason=late", orders[sent + 1]), &merchant);
    town.write("/order_change.php", &format!("order_id={}&notes=ring", orders[sent + 2]), &merchant);
    let told = town.track(&merchant, orders[sent]);
    assert_eq!((told["order_id"].as_u64(), &told["state"]), (Some(orders[sent]), &"COLLECTED".into()));

    // It comes back, and knows nobody any more.
    town.end_sessions();
    town.regain_database();
    wait::until("replays wait for somebody to log in", || {
        town.city.gateway.status()["credentials"]["waiting"]
            .as_u64()
            .filter(|waiting| *waiting > 0)
    });
    let (merchant, rider) = (town.log_in("M1"), town.log_in("R1"));
    let after = town.place(&merchant, "after");
    town.event(&rider, early, "DONE");
    town.drain(&merchant, after, settlement == "hold");
    town.event(&rider, orders[sent], "DONE");
    town.audit(&merchant, &orders);
}

/// The cloud, its folder, and the gateway before it.
struct Town {
    city: City,
    _php: Process,
    cloud: PathBuf,
    /// Every write by its tag, with the order that it is about, in the order in which they were acknowledged.
    written: Vec<(String, u64)>,
}

impl Town {
    fn start(settlement: &str) -> Option<Self> {
        if Command::new("php").arg("--version").output().is_err() {
            skipped("php is not installed");
            return None;
        }
        let city = City::with(&CONFIG.replace("SETTLEMENT", settlement)).prepare();
        let cloud = city.dir().join("php");
        fs::create_dir(&cloud).expect("a folder");
        fs::write(cloud.join("orders.json"), "{}").expect("a file");
        let addr = ports::reserve();
        let mut command = Command::new("php");
        command
            .args(["-d", "display_errors=stderr", "-S", &addr.to_string()])
            .arg(binary::root().join("tests/sim/php/cloud.php"))
            .env("CLOUD_DIR", &cloud);
        let php = Process::spawn("php", &mut command, city.dir());
        wait::until("php listens", || TcpStream::connect(addr).ok());
        let mut town = Self { city, _php: php, cloud, written: Vec::new() };
        town.begin(addr);
        Some(town)
    }

    fn begin(&mut self, addr: SocketAddr) {
        let mut config = self.city.config().clone();
        config["upstream"]["servers"] = vec![addr.to_string()].into();
        self.city.gateway.configure(&config);
        self.city.gateway.start();
        self.city.gateway.await_mode("forwarding");
    }

    fn call(&self, path: &str, form: &str, cookie: &str) -> Answer {
        self.city.send(&Request::form(path, form).header("Cookie", cookie))
    }

    /// A session; the path is none of the handlers'.
    fn log_in(&self, user: &str) -> String {
        wait::until("the cloud lets somebody in", || {
            let form = format!("user={user}&password=secret+of+{user}");
            // Nobody passes while the cloud is away, and the refusal has this cloud's form.
            let mut client = Client::connect_to(self.city.gateway.addr, Party::Other).ok()?;
            let answer = client.send(&Request::form("/login.php", &form)).ok()?;
            let cookie = answer.header("set-cookie")?.split(';').next()?.to_owned();
            (answer.status == 200).then_some(cookie)
        })
    }

    /// A write that must be acknowledged, be it by whom it may.
    fn write(&mut self, path: &str, form: &str, cookie: &str) -> Value {
        let tag = format!("w{}", self.written.len());
        let told = self.call(path, &format!("{form}&tag={tag}"), cookie).expect(200).json();
        assert_eq!(told["ok"], 1, "{path} {form}: {told}");
        let order = told["result"]["order_id"].as_u64().expect("a number");
        self.written.push((tag, order));
        told["result"].clone()
    }

    fn place(&mut self, cookie: &str, reference: &str) -> u64 {
        let form = format!(
            "merchant_id=M1&reference={reference}&pickup[lat]=12.97&pickup[lng]=77.59&dropoff[lat]=12.93&dropoff[lng]=77.62"
        );
        self.write("/order_new.php", &form, cookie)["order_id"]
            .as_u64()
            .expect("a number")
    }

    fn event(&mut self, cookie: &str, order: u64, state: &str) {
        self.write("/rider_event.php", &format!("order_id={order}&rider_id=R1&state={state}"), cookie);
    }

    fn track(&self, cookie: &str, order: u64) -> Value {
        let request = Request::get(format!("/order_get.php?order_id={order}")).header("Cookie", cookie);
        let told = self.city.send(&request).expect(200).json();
        assert_eq!(told["ok"], 1, "{told}");
        told["result"].clone()
    }

    fn lose_database(&self) {
        fs::rename(self.cloud.join("orders.json"), self.cloud.join("gone.json")).expect("a file");
    }

    fn regain_database(&self) {
        fs::rename(self.cloud.join("gone.json"), self.cloud.join("orders.json")).expect("a file");
    }

    fn end_sessions(&self) {
        fs::remove_file(self.cloud.join("sessions.json")).expect("a file");
    }

    /// Waits until the cloud has everything, while the merchant's page asks for the newest order.
    ///
    /// What was sent before it was known that the cloud does not serve may have been applied, and an operator who looks
    /// there sees that it was not.
    fn drain(&self, merchant: &str, newest: u64, has_operator: bool) {
        assert!(!self.effects().iter().any(|effect| effect["in"]["reference"] == "down-0"));
        wait::until_good("everything is there", || {
            self.track(merchant, newest);
            let status = self.city.gateway.status();
            let nothing_sendable = status["mode"] == "forwarding";
            if nothing_sendable && status["queue"]["entries"] == 0 {
                return Ok(());
            }
            if nothing_sendable && status["queue"]["parked"] != 0 && has_operator {
                let retried = self.city.gateway.command(&["queue", "retry", "--all-parked"]);
                assert!(retried.status.success(), "{retried:?}");
            }
            Err(status)
        });
    }

    fn effects(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.cloud.join("effects.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// Everything that was acknowledged has had effect once, in order; and every order is known by both its numbers.
    fn audit(&self, cookie: &str, orders: &[u64]) {
        let effects = self.effects();
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, effect) in effects.iter().enumerate() {
            if let Some(tag) = effect["in"]["tag"].as_str() {
                places.entry(tag).or_default().push(place);
            }
        }
        let mut latest: HashMap<u64, usize> = HashMap::new();
        for (tag, order) in &self.written {
            let found = places.get(tag.as_str()).map_or(&[][..], Vec::as_slice);
            assert_eq!(found.len(), 1, "{tag} about {order}: {effects:?}");
            let before = latest.insert(*order, found[0]);
            assert!(before.is_none_or(|before| before < found[0]), "{tag} about {order} came too early");
        }
        assert_eq!(places.len(), self.written.len(), "nothing else had effect");
        for order in orders {
            let (tag, _) = self.written.iter().find(|(_, about)| about == order).expect("it was placed");
            let theirs = effects[places[tag.as_str()][0]]["order_id"].as_u64().expect("a number");
            for id in [*order, theirs] {
                let told = self.track(cookie, id);
                assert_eq!(told["order_id"], id, "{order} is {theirs}");
            }
        }
    }
}
