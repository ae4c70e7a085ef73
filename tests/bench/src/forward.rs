//! Forwarding, against a bare Pingora proxy, nginx and `HAProxy`.
//!
//! Each round measures every contender on every workload, one right after the other, so that a
//! ratio compares neighbours in time; the median over the rounds is what is reported.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Map, Value, json};

use crate::client::Metrics;
use crate::contender::Contender;
use crate::gateway::{Gateway, Setup};
use crate::load::Source;
use crate::report::Report;
use crate::series::Series;
use crate::upstream::Upstream;
use crate::workload;

/// How long and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each measures every contender once on every workload.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Seconds of one measurement.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only these workloads.
    #[arg(long, value_enum)]
    workload: Vec<Workload>,
    /// Only contenders with these names, such as `megamind`; ratios are to the first that is left.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

impl Options {
    fn workloads(&self) -> impl Iterator<Item = Workload> {
        let wanted = |workload: &Workload| self.workload.is_empty() || self.workload.contains(workload);
        Workload::ALL.into_iter().filter(wanted)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

const DROPPED: &str = "megamind_shadow_dropped_total";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Workload {
    Plain,
    Write,
    Read,
}

impl Workload {
    const ALL: [Self; 3] = [Self::Plain, Self::Write, Self::Read];

    fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain route",
            Self::Write => "watched write",
            Self::Read => "watched read",
        }
    }

    fn source(self) -> Source {
        match self {
            Self::Plain => workload::plain(),
            Self::Write => workload::place(),
            Self::Read => workload::track(workload::upstream_ids(1_000)),
        }
    }
}

/// A proxy with its figures, one series a workload.
struct Lane {
    contender: Contender,
    series: [Series; Workload::ALL.len()],
}

/// A gateway's admin listener, and its metrics before the first round.
struct Watched {
    name: &'static str,
    admin: SocketAddr,
    before: Metrics,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.seconds > 0.0 && options.rounds > 0, "at least one round, longer than 0 s");
    let time = Duration::from_secs_f64(options.seconds);
    let upstream = Upstream::start(Duration::ZERO)?;
    let folder = tempfile::tempdir()?;
    let (mut contenders, watched, skipped) = line_up(upstream.addr(), folder.path())?;
    contenders.retain(|contender| options.wants(contender.name));
    ensure!(!contenders.is_empty(), "no contender has one of these names: {:?}", options.only);
    let lane = |contender| Lane { contender, series: Default::default() };
    let mut lanes: Vec<Lane> = contenders.into_iter().map(lane).collect();
    for round in 0..options.rounds {
        for workload in options.workloads() {
            for lane in &mut lanes {
                lane.measure(workload, time)?;
            }
        }
        eprintln!("round {} of {}", round + 1, options.rounds);
    }
    let dropped = |watched: &Watched| {
        let now = Metrics::scrape(watched.admin)?;
        Ok((watched.name, now.since(&watched.before, DROPPED)))
    };
    let measured = watched.iter().filter(|watched| options.wants(watched.name));
    let dropped: Vec<_> = measured.map(dropped).collect::<anyhow::Result<_>>()?;
    Ok(report(options, &lanes, &dropped, &skipped))
}

/// Starts all contenders, the bare proxy first; says which ones are not installed.
fn line_up(upstream: SocketAddr, folder: &Path) -> anyhow::Result<(Vec<Contender>, Vec<Watched>, Vec<String>)> {
    let mut contenders = vec![Contender::bare(upstream)?];
    let (mut watched, mut skipped) = (Vec::new(), Vec::new());
    for (name, setup) in [
        ("megamind", Setup::default()),
        ("megamind, access log", Setup { access_log: true, ..Setup::default() }),
    ] {
        let gateway = Gateway::start(upstream, setup)?;
        gateway.wait_for_mode("forwarding", Duration::from_secs(30))?;
        let before = Metrics::scrape(gateway.admin)?;
        watched.push(Watched { name, admin: gateway.admin, before });
        contenders.push(gateway.into_contender(name));
    }
    for (name, found) in [
        ("nginx", Contender::nginx(upstream, folder)?),
        ("HAProxy", Contender::haproxy(upstream, folder)?),
    ] {
        match found {
            Some(contender) => contenders.push(contender),
            None => skipped.push(format!("skipped: {name} is not installed")),
        }
    }
    Ok((contenders, watched, skipped))
}

impl Lane {
    fn measure(&mut self, workload: Workload, time: Duration) -> anyhow::Result<()> {
        let Contender { addr, process, .. } = &self.contender;
        let mut source = workload.source();
        // Connections to the upstream are opened, and the CPU's clock is up.
        workload::full_speed(*addr, &mut source, time.div_f64(8.0))?;
        self.series[workload as usize].measure(process, *addr, &mut source, time)?;
        Ok(())
    }
}

fn report(options: &Options, lanes: &[Lane], dropped: &[(&str, Option<f64>)], skipped: &[String]) -> Report {
    let mut workloads = Map::new();
    let mut tables = Vec::new();
    for workload in options.workloads() {
        let mut rows = Vec::new();
        let mut json = Map::new();
        let base = lanes
            .first()
            .map(|lane| lane.series[workload as usize].clone())
            .unwrap_or_default();
        for lane in lanes {
            let series = &lane.series[workload as usize];
            let ratio = series.ratio_to(&base);
            let mut row = vec![lane.contender.name.to_owned(), format!("{ratio:.3}")];
            row.extend(series.cells());
            rows.push(row);
            let mut figures = series.json();
            figures["ratioToBare"] = json!(ratio);
            json.insert(lane.contender.name.to_owned(), figures);
        }
        tables.push((workload.title(), rows));
        workloads.insert(workload.title().to_owned(), Value::Object(json));
    }
    let counts: Map<_, _> = dropped.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    let mut report = Report::new("forward", json!({ "workloads": workloads, "droppedObservations": counts }));
    for (title, rows) in tables {
        let heading: Vec<_> = [title, "to bare"].into_iter().chain(Series::HEADING).collect();
        report.table(&heading, &rows);
    }
    for (name, count) in dropped {
        let count = count.map_or_else(|| "not exported".to_owned(), |count| format!("{count:.0}"));
        report.note(format!("dropped observations, {name}: {count}"));
    }
    for line in skipped {
        report.note(line);
    }
    report
}
