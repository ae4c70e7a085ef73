//! The drain at the rate that is the default, and what live traffic feels of it: reads and writes, before the outage,
//! while the queue is drained, and after it, on one gateway.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Options, PATIENCE, fill, live, track_live, while_draining};
use crate::figures::{grouped, median};
use crate::gateway::{Gateway, Setup};
use crate::load::{Outcome, Source};
use crate::report::Report;
use crate::upstream::Upstream;
use crate::workload;

/// Live traffic is measured in pieces of this length, each on connections of its own.
const SLICE: Duration = Duration::from_secs(1);

pub(super) struct Gentle<'a> {
    options: &'a Options,
    drained: Duration,
    before: Felt,
    beside: Felt,
    after: Felt,
}

/// What live traffic felt, slice by slice.
#[derive(Default)]
struct Felt {
    total: Option<Outcome>,
    /// The 99th percentile of each slice, in milliseconds.
    slices: Vec<f64>,
}

impl Felt {
    fn add(&mut self, slice: Outcome) {
        self.slices.push(slice.latency_ms(0.99));
        self.total = Some(match self.total.take() {
            Some(total) => total.and(&slice),
            None => slice,
        });
    }

    fn p99(&self) -> f64 {
        self.total.as_ref().map_or(f64::NAN, |total| total.latency_ms(0.99))
    }

    fn requests(&self) -> u64 {
        self.total.as_ref().map_or(0, |total| total.answered)
    }

    fn failed(&self) -> u64 {
        self.total.as_ref().map_or(0, |total| total.failed() + total.broken)
    }

    fn json(&self) -> Value {
        json!({
            "p99Millis": self.p99(), "medianSliceP99Millis": median(&self.slices),
            "requests": self.requests(), "failed": self.failed(),
        })
    }

    fn row(&self, name: &str) -> Vec<String> {
        let millis = |figure: f64| format!("{figure:.2}");
        let counts = [self.requests(), self.failed()].map(|count| count.to_string());
        let mut row = vec![name.to_owned(), millis(self.p99()), millis(median(&self.slices))];
        row.extend(counts);
        row
    }
}

pub(super) fn measure(options: &Options) -> anyhow::Result<Gentle<'_>> {
    let delay = Duration::from_millis(options.latency_ms);
    let upstream = Upstream::start(delay)?;
    let gateway = Gateway::start(upstream.addr(), Setup { default_rate: true, ..Setup::default() })?;
    gateway.wait_for_mode("forwarding", PATIENCE)?;
    let mut source = Source::mixed(track_live(), [workload::place_live()]);
    let mut slice = || live(gateway.addr, &mut source, options.live, SLICE);
    // Connections are opened, and the orders are known.
    slice()?;
    let mut before = Felt::default();
    for _ in 0..options.alone {
        before.add(slice()?);
    }

    let dead = upstream.close()?;
    fill(&gateway, options.writes)?;
    let upstream = dead.open(delay)?;
    let mut beside = Felt::default();
    let drained = while_draining(&gateway, &upstream, options.writes, |is_over| {
        let slice = slice()?;
        // One that goes on beyond the end is not wholly beside the drain.
        if !is_over() {
            beside.add(slice);
        }
        Ok(())
    })?;
    gateway.wait_for_mode("forwarding", PATIENCE)?;
    let mut after = Felt::default();
    for _ in 0..options.alone {
        after.add(slice()?);
    }
    beside
        .total
        .as_ref()
        .context("the queue is too short: no second of live traffic was beside its drain")?;
    Ok(Gentle { options, drained, before, beside, after })
}

impl Gentle<'_> {
    fn rate(&self) -> f64 {
        self.options.writes as f64 / self.drained.as_secs_f64()
    }

    /// The 99th percentile of all that was measured without a drain, in milliseconds.
    fn undisturbed(&self) -> f64 {
        let mut both = Felt { total: None, slices: Vec::new() };
        for felt in [&self.before, &self.after] {
            both.total = match (both.total.take(), &felt.total) {
                (Some(total), Some(more)) => Some(total.and(more)),
                (total, more) => total.or_else(|| more.clone()),
            };
        }
        both.p99()
    }

    fn ratio(&self) -> f64 {
        self.beside.p99() / self.undisturbed()
    }

    /// The same from the medians of the slices, which one bad second of the machine does not move.
    fn ratio_of_medians(&self) -> f64 {
        let alone = [&self.before.slices[..], &self.after.slices].concat();
        median(&self.beside.slices) / median(&alone)
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "writes": self.options.writes, "upstreamMillis": self.options.latency_ms,
            "perSecond": self.rate(), "seconds": self.drained.as_secs_f64(),
            "live": {
                "perSecond": self.options.live, "besideP99Millis": self.beside.p99(),
                "undisturbedP99Millis": self.undisturbed(), "ratio": self.ratio(),
                "ratioOfMedians": self.ratio_of_medians(),
                "before": self.before.json(), "beside": self.beside.json(), "after": self.after.json(),
            },
        })
    }

    pub(super) fn tell(&self, report: &mut Report) {
        report.note(format!(
            "at the default drain.max_rate: {} writes in {:.1} s, {} a second",
            grouped(self.options.writes as f64),
            self.drained.as_secs_f64(),
            grouped(self.rate())
        ));
        report.note("");
        let title = format!("live trackOrder and placeOrder, {} a second", self.options.live);
        let rows = [
            self.before.row("before the outage"),
            self.beside.row("beside the drain"),
            self.after.row("after it"),
        ];
        report.table(&[&title, "p99 ms", "median of seconds", "requests", "failed"], &rows);
        report.note(format!(
            "p99 beside the drain / undisturbed: {:.2} / {:.2} = {:.2}; of the medians: {:.2}",
            self.beside.p99(),
            self.undisturbed(),
            self.ratio(),
            self.ratio_of_medians()
        ));
    }
}
