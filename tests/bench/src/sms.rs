//! Messages through one modem: how fast they come in and go out, against an emulated modem without
//! artificial delay, so that the figure is the driver's own.

use std::{
    fs,
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use megamind_sim::modem::Emulator;
use megamind_sms::{
    modem::{
        Config, Durable, Fleet, FleetConfig, FleetEvent, Inbound, Journal, JournalError, Modem, ModemId, Outbound,
        OutboxConfig, Outgoing, Priority, port::TcpOpener,
    },
    pdu::Address,
};
use serde_json::json;

use crate::figures::grouped;
use crate::report::Report;

/// Nothing takes so long; it ends a run that hangs.
const BOUND: Duration = Duration::from_mins(5);

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Messages in each direction.
    #[arg(long, default_value_t = 1_000)]
    messages: usize,
}

/// Takes everything and keeps nothing: the disk is measured elsewhere.
struct Nowhere;

impl Journal for Nowhere {
    fn inbound(&mut self, _records: &[Inbound]) -> Result<Durable, JournalError> {
        Ok(Durable::after_commit())
    }

    fn outbound(&mut self, _records: &[Outbound]) -> Result<Durable, JournalError> {
        Ok(Durable::after_commit())
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let count = options.messages;
    let stored = receive(count, false)?;
    let direct = receive(count, true)?;
    let sent = send(count)?;

    let rate = |took: Duration| count as f64 / took.as_secs_f64();
    let mut report = Report::new(
        "sms",
        json!({
            "messages": count,
            "storedPerSecond": rate(stored.took),
            "directPerSecond": rate(direct.took),
            "sentPerSecond": rate(sent.took),
            "directToStored": rate(direct.took) / rate(stored.took),
            "residentGrowthBytes": stored.growth.max(direct.growth).max(sent.growth),
        }),
    );
    let row = |what: &str, run: &Run| {
        vec![
            what.to_owned(),
            grouped(rate(run.took)),
            format!("{:.2}", rate(run.took) / rate(stored.took)),
            format!("{}", run.growth / 1024),
        ]
    };
    report.table(
        &["", "messages/s", "ratio", "resident growth KiB"],
        &[
            row("in, stored, read and deleted", &stored),
            row("in, given directly and acknowledged", &direct),
            row("out", &sent),
        ],
    );
    report.note(format!(
        "{count} messages each way, none lost, none doubled; emulated modem on TCP in the same process"
    ));
    Ok(report)
}

struct Run {
    took: Duration,
    growth: u64,
}

struct Rig {
    modem: Emulator,
    fleet: Fleet,
    events: mpsc::Receiver<FleetEvent>,
}

fn rig(direct: bool) -> anyhow::Result<Rig> {
    let modem = Emulator::tcp()?;
    let address = modem.address().context("it is on TCP")?;
    let (sender, events) = mpsc::channel();
    let unlimited = OutboxConfig {
        per_minute: 1e9,
        burst: 1e9,
        daily_budget: u32::MAX,
        reserved_percent: 0,
        capacity: usize::MAX,
        ..OutboxConfig::default()
    };
    let config = FleetConfig { outbox: unlimited, ..FleetConfig::default() };
    let modems = vec![Modem {
        id: ModemId::new("bench"),
        opener: Box::new(TcpOpener { address }),
        config: Config { direct, ..Config::default() },
    }];
    let fleet = Fleet::start(modems, config, Box::new(Nowhere), move |event| {
        // The run may be over.
        let _ = sender.send(event);
    })?;
    let rig = Rig { modem, fleet, events };
    // The first message says that the modem is ready.
    rig.modem.deliver("+4366", "ready?");
    rig.received()?;
    Ok(rig)
}

impl Rig {
    fn received(&self) -> anyhow::Result<String> {
        loop {
            if let FleetEvent::Received(message) = self.events.recv_timeout(BOUND)? {
                return Ok(message.text);
            }
        }
    }
}

fn receive(count: usize, direct: bool) -> anyhow::Result<Run> {
    let rig = rig(direct)?;
    let before = resident()?;
    let started = Instant::now();
    for nth in 0..count {
        rig.modem.deliver("+4366", &nth.to_string());
    }
    let mut seen = vec![false; count];
    for _ in 0..count {
        let nth: usize = rig.received()?.parse()?;
        let first = !std::mem::replace(&mut seen[nth], true);
        ensure!(first, "message {nth} came twice");
    }
    Ok(Run { took: started.elapsed(), growth: resident()?.saturating_sub(before) })
}

fn send(count: usize) -> anyhow::Result<Run> {
    let rig = rig(false)?;
    let before = resident()?;
    let started = Instant::now();
    for nth in 0..count {
        rig.fleet.send(Outgoing {
            to: Address::number("+919876543210")?,
            text: nth.to_string(),
            priority: Priority::Normal,
            report: false,
            modem: None,
        })?;
    }
    while rig.fleet.waiting() > 0 {
        ensure!(started.elapsed() < BOUND, "not sent in {BOUND:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = started.elapsed();
    let sent = rig.modem.sent();
    ensure!(sent.len() == count, "{} of {count} sent", sent.len());
    Ok(Run { took, growth: resident()?.saturating_sub(before) })
}

/// Resident memory of this process in octets, the emulated modem included.
fn resident() -> anyhow::Result<u64> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1).context("two fields")?;
    Ok(pages.parse::<u64>()? * rustix::param::page_size() as u64)
}
