//! What clients feel of an outage: the cloud is killed, or hangs, under 64 keep-alive connections
//! that place and track orders.

use std::time::Duration;

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use crate::gateway::{Gateway, RESPONSE_TIMEOUT, Setup};
use crate::load::{Outcome, Source};
use crate::report::Report;
use crate::upstream::Upstream;
use crate::workload;

/// How long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds under load; the outage begins after a third of them.
    #[arg(long, default_value_t = 9.0)]
    seconds: f64,
}

#[derive(Clone, Copy, Debug)]
enum Outage {
    Killed,
    Hangs,
}

impl Outage {
    fn title(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Hangs => "hangs",
        }
    }
}

/// What one outage came to.
struct Felt {
    outage: Outage,
    /// The whole time around its beginning.
    across: Outcome,
    /// Afterwards, while the gateway acts.
    acting: Outcome,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.seconds > 0.0, "longer than 0 s");
    let time = Duration::from_secs_f64(options.seconds);
    let felt = [feel(Outage::Killed, time)?, feel(Outage::Hangs, time)?];
    let limit = RESPONSE_TIMEOUT.as_secs_f64() * 1e3;
    let heading = [
        "the cloud",
        "requests",
        "not 2xx",
        "broken",
        "p99 ms",
        "longest ms",
        "over response_timeout ms",
        "longest ms, acting",
    ];
    let row = |felt: &Felt| {
        vec![
            felt.outage.title().to_owned(),
            felt.across.answered.to_string(),
            felt.across.failed().to_string(),
            felt.across.broken.to_string(),
            format!("{:.2}", felt.across.latency_ms(0.99)),
            format!("{:.1}", felt.across.latency_ms(1.0)),
            format!("{:.1}", felt.across.latency_ms(1.0) - limit),
            format!("{:.1}", felt.acting.latency_ms(1.0)),
        ]
    };
    let figures = |felt: &Felt| -> (String, Value) {
        let longest = felt.across.latency_ms(1.0);
        let value = json!({
            "requests": felt.across.answered, "failed": felt.across.failed(), "broken": felt.across.broken,
            "statuses": felt.across.statuses, "p99Millis": felt.across.latency_ms(0.99), "longestMillis": longest,
            "overResponseTimeoutMillis": longest - limit, "longestMillisActing": felt.acting.latency_ms(1.0),
            "brokenActing": felt.acting.broken, "failedActing": felt.acting.failed(),
        });
        (felt.outage.title().to_owned(), value)
    };
    let json: serde_json::Map<_, _> = felt.iter().map(figures).collect();
    let mut report = Report::new("outage", Value::Object(json));
    report.table(&heading, &felt.iter().map(row).collect::<Vec<_>>());
    report.note(format!("response_timeout is {limit:.0} ms; negative: nobody waited that long"));
    Ok(report)
}

fn feel(outage: Outage, time: Duration) -> anyhow::Result<Felt> {
    let upstream = Upstream::start(Duration::ZERO)?;
    let gateway = Gateway::start(upstream.addr(), Setup::default())?;
    gateway.wait_for_mode("forwarding", Duration::from_secs(30))?;
    // Orders that the gateway has seen pass, so that it can tell of them later.
    let known = workload::place_some(gateway.addr, 500)?;
    let mut source = Source::mixed(workload::place(), [workload::track(known)]);
    let across = std::thread::scope(|scope| {
        let source = &mut source;
        let load = scope.spawn(|| workload::full_speed(gateway.addr, source, time));
        std::thread::sleep(time.div_f64(3.0));
        match outage {
            Outage::Killed => drop(upstream),
            Outage::Hangs => {
                upstream.hang();
                // Kept until the end: its connections stay open.
                while !load.is_finished() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        match load.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("the load generator panicked"),
        }
    })?;
    gateway.wait_for_mode("acting", Duration::from_secs(30))?;
    let acting = workload::full_speed(gateway.addr, &mut source, time.div_f64(3.0))?;
    Ok(Felt { outage, across, acting })
}
