//! Pilots' apps that wait for news: what each costs, how soon news reaches one, and what others feel of them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::client;
use crate::figures::grouped;
use crate::frame::frame;
use crate::gateway::{Gateway, Setup};
use crate::report::Report;
use crate::upstream::ClosedPort;
use crate::workload;

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Apps that wait.
    #[arg(long, default_value_t = 2_000)]
    apps: usize,
    /// Assignments that are measured, each to another app.
    #[arg(long, default_value_t = 500)]
    assignments: usize,
    /// Seconds of requests without and with those who wait.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.apps <= workload::PILOTS, "there are {} pilots", workload::PILOTS);
    let dead = ClosedPort::reserve()?;
    let gateway = Gateway::start(dead.addr(), Setup { by_hand: true, ..Setup::default() })?;
    gateway.wait_for_mode("acting", Duration::from_secs(30))?;
    workload::register_pilots(gateway.addr)?;
    let orders = workload::place_some(gateway.addr, options.assignments.min(options.apps))?;
    let time = Duration::from_secs(options.seconds);
    let mut reads = workload::track(orders.clone());
    workload::full_speed(gateway.addr, &mut reads, time)?;
    let alone = workload::full_speed(gateway.addr, &mut reads, time)?;

    let before = gateway.process.resident()?;
    let mut apps = (0..options.apps)
        .map(|_| App::connect(gateway.addr))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut versions = Vec::with_capacity(options.apps);
    for (number, app) in apps.iter_mut().enumerate() {
        versions.push(app.version(number)?);
    }
    let idle = gateway.process.resident()?.saturating_sub(before);
    for (number, (app, version)) in apps.iter_mut().zip(versions).enumerate() {
        app.wait(number, version)?;
    }
    // Until all of them stand where they wait.
    std::thread::sleep(Duration::from_secs(2));
    let waiting = gateway.process.resident()?.saturating_sub(before);
    let beside = workload::full_speed(gateway.addr, &mut reads, time)?;

    let mut latency = Histogram::<u64>::new(3)?;
    let step = options.apps / orders.len().max(1);
    for (number, order) in orders.iter().enumerate() {
        let app = number * step;
        let body = json!({"orderId": order, "minionId": pilot(app)}).to_string();
        let began = Instant::now();
        let (status, answer) = client::call(gateway.addr, "POST", "/ind/assigntominion", &body)?;
        ensure!(status == 200, "assigning was answered {status}: {answer}");
        let news = apps.get_mut(app).context("an app")?.news()?;
        latency.record(u64::try_from(began.elapsed().as_micros())?)?;
        ensure!(news["orders"][0]["orderId"] == **order, "other news than expected: {news}");
    }

    let each = waiting as f64 / options.apps as f64;
    let idle = idle as f64 / options.apps as f64;
    let ratio = beside.rate() / alone.rate();
    let millis = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1000.0;
    let mut report = Report::new(
        "waiting",
        json!({
            "apps": options.apps, "bytesEach": each, "idleBytesEach": idle, "alonePerSecond": alone.rate(), "besidePerSecond": beside.rate(),
            "ratio": ratio, "newsMillis": {"p50": millis(0.5), "p99": millis(0.99), "max": millis(1.0)},
        }),
    );
    report.note(format!(
        "{} apps wait: {:.1} KiB each; an idle connection takes {:.1} KiB",
        grouped(options.apps as f64),
        each / 1024.0,
        idle / 1024.0
    ));
    report.note(format!(
        "from the start of an assignment until its pilot's app has it: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        millis(0.5),
        millis(0.99),
        millis(1.0)
    ));
    report.note(format!(
        "reads a second beside them / without them: {} / {} = {ratio:.3}",
        grouped(beside.rate()),
        grouped(alone.rate())
    ));
    Ok(report)
}

fn pilot(app: usize) -> String {
    format!("p{app:05}")
}

/// One app, waiting.
struct App(TcpStream);

impl App {
    fn connect(target: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(stream))
    }

    /// The version of what the pilot carries now.
    fn version(&mut self, app: usize) -> anyhow::Result<u64> {
        self.ask(&format!("/ind/getminiondeliveryinfo?minionId={}", pilot(app)))?;
        self.news()?["version"].as_u64().context("a version")
    }

    /// Asks for something newer.
    fn wait(&mut self, app: usize, version: u64) -> anyhow::Result<()> {
        self.ask(&format!("/ind/getminiondeliveryinfo?minionId={}&since={version}&wait=300s", pilot(app)))
    }

    fn ask(&mut self, target: &str) -> anyhow::Result<()> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\n\r\n");
        Ok(self.0.write_all(request.as_bytes())?)
    }

    /// The next answer.
    fn news(&mut self) -> anyhow::Result<Value> {
        let mut buffer = Vec::new();
        loop {
            let found = frame(&buffer).map_err(|_| anyhow::anyhow!("an answer of another form"))?;
            if let Some(found) = found.filter(|found| found.total <= buffer.len()) {
                return Ok(serde_json::from_slice(&buffer[found.head..found.total])?);
            }
            let mut piece = [0; 4096];
            let read = self.0.read(&mut piece)?;
            ensure!(read > 0, "the gateway closed the connection of an app that waits");
            buffer.extend_from_slice(&piece[..read]);
        }
    }
}
