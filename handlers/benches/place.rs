//! How long the writer thread and the proxy's threads work on one order. Prints; asserts nothing.
//!
//! `cargo bench -p megamind-handlers`

use std::{hint::black_box, time::Instant};

use megamind_domain::{Ctx, Domain, Endpoint, EntityKey, IdSource, Request, Stance, Time};
use megamind_handlers::{City, Command, Deliveries, Settings};

const PILOTS: u32 = 5_000;
const ORDERS: u32 = 200_000;
const MANY: u32 = 1_000_000;
/// Decisions between two clones of the city, as between two commits.
const BATCH: u32 = 64;

fn main() {
    let domain = domain();
    let mut bench = Bench { ids: IdSource::new(0, 1), city: City::default(), now: Time(1_769_832_000_000), domain };
    bench.pilots(u16::MAX);
    bench.parse();
    bench.place("placeOrder, nearest of 5,000 pilots", ORDERS);
    bench.city = City::default();
    bench.pilots(1);
    bench.place("placeOrder, pilots soon full", ORDERS);
    bench.city = City::default();
    bench.reports();
    bench.rows();
}

fn domain() -> Deliveries {
    let mut settings = Settings::new("blr");
    settings.acting.max_open_orders_per_merchant = u32::MAX;
    Deliveries::new(settings)
}

struct Bench {
    domain: Deliveries,
    city: City,
    ids: IdSource,
    now: Time,
}

/// Degrees from a low-discrepancy sequence, within about 30 km.
fn spread(number: u32) -> (f64, f64) {
    let part = |ratio: f64| (f64::from(number) * ratio).fract() * 0.25;
    (12.85 + part(0.754_877_666), 77.45 + part(0.569_840_291))
}

fn order(number: u32) -> Request {
    let ((from, to), (there, yonder)) = (spread(number), spread(number + 7));
    let body = format!(
        r#"{{"merchantId":"M{}","pickup":{{"lat":{from},"lng":{to},"address":"12 MG Road, Bengaluru","contact":{{"name":"Ravi","phone":"+918022223333"}}}},"dropoff":{{"lat":{there},"lng":{yonder},"address":"4th Cross, Koramangala"}},"items":[{{"name":"idli","count":2}}],"codAmount":"349.50","currency":"INR","clientRef":"A-{number}"}}"#,
        number % 1_000
    );
    request("/placeOrder", body)
}

fn request(path: &str, body: String) -> Request {
    Request {
        method: "POST".into(),
        path: path.into(),
        content_type: Some("application/json".into()),
        body: body.into(),
        ..Request::default()
    }
}

/// CPU time of this thread, which a busy machine does not stretch; wall time where there is no Linux.
struct Clock {
    wall: Instant,
    cpu: Option<u64>,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: cpu_nanos() }
    }

    fn nanos(&self) -> u128 {
        match (self.cpu, cpu_nanos()) {
            (Some(start), Some(end)) => u128::from(end - start),
            _ => self.wall.elapsed().as_nanos(),
        }
    }
}

/// The first number of Linux's schedstat: nanoseconds on a core.
fn cpu_nanos() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok()
}

#[allow(clippy::needless_pass_by_value, reason = "the clock ends here")]
fn report(what: &str, count: u32, start: Clock) {
    let nanos = start.nanos() / u128::from(count);
    println!("{what:<44} {nanos:>7} ns");
}

impl Bench {
    fn endpoint(&self, path: &str) -> Endpoint {
        let routes = self.domain.routes();
        let route = routes.iter().find(|route| route.path == path);
        route.expect("a route").endpoint
    }

    /// Decides and applies as the writer does; the rows are encoded too, as at a commit.
    fn run(&mut self, command: &Command, endpoint: Endpoint) {
        let mut ctx = Ctx::new(self.now, Stance::Acting, &mut self.ids);
        let decision = self.domain.decide(&self.city, command, &mut ctx).expect("decided");
        for event in &decision.events {
            self.domain.evolve(&mut self.city, event);
        }
        for command in &decision.then {
            self.run(command, endpoint);
        }
        let answer = Ok(&decision.answer);
        black_box(self.domain.render(&self.city, Some(endpoint), answer));
    }

    fn pilots(&mut self, capacity: u16) {
        let endpoint = self.endpoint("/ind/setminiongeneralinfo");
        for number in 0..PILOTS {
            let (lat, lng) = spread(number * 3 + 1);
            let body = format!(
                r#"{{"minionId":"P{number}","lat":{lat},"lng":{lng},"status":"available","capacity":{capacity}}}"#
            );
            let request = request("/ind/setminiongeneralinfo", body);
            let parsed = self.domain.parse(endpoint, &request).expect("a pilot");
            self.run(&parsed.command, endpoint);
        }
    }

    fn parse(&self) {
        let endpoint = self.endpoint("/placeOrder");
        let request = order(1);
        let start = Clock::start();
        for _ in 0..ORDERS {
            black_box(self.domain.parse(endpoint, black_box(&request)).is_ok());
        }
        report("parse placeOrder (JSON)", ORDERS, start);
    }

    fn place(&mut self, what: &str, count: u32) {
        let endpoint = self.endpoint("/placeOrder");
        let commands: Vec<Command> = (0..count)
            .map(|number| {
                let parsed = self.domain.parse(endpoint, &order(number));
                parsed.expect("an order").command
            })
            .collect();
        let mut published = self.city.clone();
        let start = Clock::start();
        for (number, command) in (0..).zip(&commands) {
            self.run(command, endpoint);
            if number % BATCH == 0 {
                published = self.city.clone();
                self.now.0 += 2;
            }
        }
        report(what, count, start);
        drop(published);
        println!("  waiting {}, pilots free {}", self.city.waiting_count(), self.city.free_pilots());
    }

    fn reports(&mut self) {
        self.pilots(3);
        let endpoint = self.endpoint("/updatemaster/ind/generalinfo");
        let commands: Vec<Command> = (0..ORDERS)
            .map(|number| {
                let (lat, lng) = spread(number);
                let body =
                    format!(r#"{{"minionId":"P{}","lat":{lat},"lng":{lng},"status":"available"}}"#, number % PILOTS);
                let request = request("/updatemaster/ind/generalinfo", body);
                let parsed = self.domain.parse(endpoint, &request);
                parsed.expect("a report").command
            })
            .collect();
        let start = Clock::start();
        for command in &commands {
            self.now.0 += 1;
            self.run(command, endpoint);
        }
        report("generalinfo, a position", ORDERS, start);
    }

    fn rows(&mut self) {
        let endpoint = self.endpoint("/placeOrder");
        for number in 0..MANY {
            let parsed = self.domain.parse(endpoint, &order(number));
            self.run(&parsed.expect("an order").command, endpoint);
        }
        println!("  resident with {MANY} orders: {} MiB", resident());
        let last = u64::from(MANY + PILOTS);
        let start = Clock::start();
        let rows: Vec<Vec<u8>> = (0..=last)
            .map(|key| self.domain.encode(&self.city, EntityKey(key)).expect("a row"))
            .collect();
        report("encode a row", MANY, start);
        self.city = City::default();
        let start = Clock::start();
        for (key, row) in (0..).zip(&rows) {
            let read = self.domain.decode(&mut self.city, EntityKey(key), row);
            read.expect("a row");
        }
        report("decode a row", MANY, start);
    }
}

/// Mebibytes resident, from Linux's /proc; 0 elsewhere.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.unwrap_or(0_u64) / 1024
}
