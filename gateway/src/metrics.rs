//! Every metric of the contract, defined once: name, help and labels.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

use crate::modes::Mode;

/// Buckets for requests and commits, in seconds: 0.25 ms to 10 s.
const SECONDS: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Who answered a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServedBy {
    /// The upstream's own answer.
    Upstream,
    /// The gateway's.
    Megamind,
}

impl ServedBy {
    /// The label value.
    pub(crate) fn label(self) -> &'static str {
        match self {
            ServedBy::Upstream => "upstream",
            ServedBy::Megamind => "megamind",
        }
    }
}

/// All metrics of one gateway, in a registry of its own.
pub(crate) struct Metrics {
    registry: Registry,
    mode: IntGaugeVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    /// 1 for each server that the active checks find well.
    pub upstream_up: IntGaugeVec,
    /// Failed exchanges by server and reason.
    pub upstream_failures: IntCounterVec,
    /// Times that acting started, by cause.
    pub failovers: IntCounterVec,
    /// Seconds spent acting or recovering.
    pub outage_seconds: IntCounter,
    /// Entries that the upstream has not acknowledged.
    pub queue_entries: IntGauge,
    /// Age of the oldest of them.
    pub queue_oldest_seconds: IntGauge,
    /// Entries that were parked for the operator.
    pub parked_entries: IntGauge,
    /// Replays by outcome.
    pub drained: IntCounterVec,
    /// 1 while the drain pauses because the upstream refuses one entry after another.
    pub drain_paused: IntGauge,
    /// Replays that may be under way at once.
    pub drain_width: IntGauge,
    /// Fields in which the upstream had an order otherwise after it was drained.
    pub disagreements: IntCounterVec,
    /// Size of the journal's files.
    pub journal_bytes: IntGauge,
    /// Records committed.
    pub journal_records: IntCounter,
    /// Decisions that panicked in the journal's writer.
    pub journal_panics: IntCounter,
    /// 1 while the journal cannot be written.
    pub journal_failing: IntGauge,
    /// Requests that wait for news.
    pub requests_waiting: IntGauge,
    /// 1 while the clock is believed.
    pub clock_trusted: IntGauge,
    /// Those whose replays wait for a fresh credential.
    pub credentials_waiting: IntGauge,
    /// Those who have for longer than `drain.credential_wait`.
    pub credentials_overdue: IntGauge,
    /// Copies of the journal by outcome.
    pub backups: IntCounterVec,
    /// When the last copy was made.
    pub backup_last: IntGauge,
    /// Watched reads that were dropped under pressure.
    pub shadow_dropped: IntCounter,
    /// Rejections of bad input by code.
    pub bad_input: IntCounterVec,
    /// Answers of the upstream that broke off after their head had been passed on.
    pub truncated: IntCounter,
    /// Commands whose decision panicked.
    pub panics: IntCounter,
    /// Supervised tasks that ended and were started again.
    pub task_restarts: IntCounterVec,
    /// Orders by status.
    pub orders: IntGaugeVec,
    /// Pilots by status.
    pub pilots: IntGaugeVec,
}

impl Metrics {
    /// All metrics at zero.
    ///
    /// # Errors
    /// Two metrics of one name, which a test rules out.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let make = Maker(Registry::new());
        let metrics = Self {
            mode: make.gauges("mode", "1 on the current mode.", &["mode"])?,
            requests: make.counters(
                "requests_total",
                "Requests answered, by route, by who answered, and status.",
                &["route", "served_by", "status"],
            )?,
            request_seconds: make.histograms(
                "request_duration_seconds",
                "Time from the request's head to the end of its answer.",
                &["route", "served_by"],
            )?,
            upstream_up: make.gauges("upstream_up", "1 while the active checks find the server well.", &["server"])?,
            upstream_failures: make.counters(
                "upstream_failures_total",
                "Exchanges that did not count, by server and reason.",
                &["server", "reason"],
            )?,
            failovers: make.counters("failovers_total", "Times that acting started.", &["cause"])?,
            outage_seconds: make.counter("outage_seconds_total", "Seconds acting or recovering.")?,
            queue_entries: make.gauge("queue_entries", "Entries the upstream has not acknowledged.")?,
            queue_oldest_seconds: make.gauge("queue_oldest_seconds", "Age of the oldest queued entry.")?,
            parked_entries: make.gauge("parked_entries", "Entries that wait for the operator.")?,
            drained: make.counters("drained_total", "Replays, by outcome.", &["outcome"])?,
            drain_paused: make
                .gauge("drain_paused", "1 while the drain pauses because one entry after another does not pass.")?,
            drain_width: make.gauge("drain_width", "Replays that may be under way at once.")?,
            disagreements: make.counters(
                "drain_disagreements_total",
                "Fields in which the upstream had an order otherwise after it was drained.",
                &["field"],
            )?,
            journal_bytes: make.gauge("journal_bytes", "Size of the journal's files.")?,
            journal_records: make.counter("journal_records_total", "Records committed.")?,
            journal_panics: make.counter("journal_panics_total", "Decisions that panicked in the journal's writer.")?,
            journal_failing: make.gauge("journal_failing", "1 while the journal cannot be written.")?,
            requests_waiting: make.gauge("requests_waiting", "Requests that wait for news.")?,
            clock_trusted: make.gauge("clock_trusted", "1 while the clock is believed: rules of age hold.")?,
            credentials_waiting: make
                .gauge("drain_credentials_waiting", "Those whose replays wait for a credential that is accepted.")?,
            credentials_overdue: make.gauge(
                "drain_credentials_overdue",
                "Those whose replays have waited for one longer than drain.credential_wait.",
            )?,
            backups: make.counters("backups_total", "Copies of the journal, by outcome.", &["outcome"])?,
            backup_last: make.gauge("backup_last_seconds", "When the last copy was made, in seconds of 1970.")?,
            shadow_dropped: make.counter("shadow_dropped_total", "Watched reads dropped under pressure.")?,
            bad_input: make.counters("bad_input_total", "Requests refused for what they contain.", &["code"])?,
            truncated: make
                .counter("truncated_answers_total", "Answers that broke off after their head had been passed on.")?,
            panics: make.counter("panics_total", "Decisions that panicked and were dropped.")?,
            task_restarts: make.counters("task_restarts_total", "Background tasks started again.", &["task"])?,
            orders: make.gauges("orders", "Orders in memory, by status.", &["status"])?,
            pilots: make.gauges("pilots", "Pilots known, by status.", &["status"])?,
            registry: make.0,
        };
        // What Prometheus users expect of every process; not there on systems without /proc.
        #[cfg(target_os = "linux")]
        metrics
            .registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        for mode in Mode::ALL {
            metrics.mode.with_label_values(&[mode.name()]).set(0);
        }
        for cause in ["checks", "passive", "operator", "start"] {
            metrics.failovers.with_label_values(&[cause]);
        }
        for outcome in ["done", "failed"] {
            metrics.backups.with_label_values(&[outcome]);
        }
        for outcome in ["acknowledged", "parked", "retried", "yielded"] {
            metrics.drained.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    /// Where more metrics can be registered.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Marks the current mode.
    pub(crate) fn set_mode(&self, current: Mode) {
        for mode in Mode::ALL {
            self.mode.with_label_values(&[mode.name()]).set(i64::from(mode == current));
        }
    }

    /// Counts one answered request.
    pub(crate) fn request(&self, route: &str, served_by: ServedBy, status: u16, took: Duration) {
        let mut digits = [0; 3];
        self.requests
            .with_label_values(&[route, served_by.label(), status_text(status, &mut digits)])
            .inc();
        self.request_seconds
            .with_label_values(&[route, served_by.label()])
            .observe(took.as_secs_f64());
    }

    /// The exposition format of Prometheus, version 0.0.4.
    ///
    /// # Errors
    /// Never in practice: the registry holds only well-formed metrics.
    pub(crate) fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// A status as text, without allocating.
fn status_text(status: u16, digits: &mut [u8; 3]) -> &str {
    let status = status.min(999);
    digits[0] = b'0' + (status / 100) as u8;
    digits[1] = b'0' + (status / 10 % 10) as u8;
    digits[2] = b'0' + (status % 10) as u8;
    std::str::from_utf8(digits).unwrap_or("000")
}

/// Registers what it makes under `megamind_`.
struct Maker(Registry);

impl Maker {
    fn keep<C: Collector + Clone + 'static>(&self, metric: C) -> prometheus::Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace("megamind")
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.keep(IntCounter::with_opts(Self::opts(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.keep(IntCounterVec::new(Self::opts(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.keep(IntGauge::with_opts(Self::opts(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.keep(IntGaugeVec::new(Self::opts(name, help), labels)?)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::from(Self::opts(name, help)).buckets(SECONDS.to_vec());
        self.keep(HistogramVec::new(opts, labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_and_is_exposed() {
        let metrics = Metrics::new().expect("no two metrics of one name");
        metrics.set_mode(Mode::Draining);
        metrics.request("placeOrder", ServedBy::Megamind, 201, Duration::from_millis(1));
        let text = metrics.text().expect("well formed");
        for line in [
            "megamind_mode{mode=\"draining\"} 1",
            "megamind_mode{mode=\"acting\"} 0",
            "megamind_requests_total{route=\"placeOrder\",served_by=\"megamind\",status=\"201\"} 1",
            "megamind_queue_entries 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
