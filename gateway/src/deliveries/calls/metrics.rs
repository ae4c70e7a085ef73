//! What is counted about calls.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector};

/// Calls by target and outcome, and those that wait.
pub(super) struct Metrics {
    made: IntCounterVec,
    /// Age of the oldest call that is to be made.
    pub(super) oldest_seconds: IntGauge,
    /// Calls that are owed.
    pub(super) waiting: IntGaugeVec,
}

impl Metrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(name, help).namespace("megamind");
        let metrics = Self {
            made: IntCounterVec::new(
                opts("calls_total", "Calls to pilots and merchants, by outcome."),
                &["target", "outcome"],
            )?,
            oldest_seconds: IntGauge::with_opts(opts("calls_oldest_seconds", "Age of the oldest call to be made."))?,
            waiting: IntGaugeVec::new(opts("calls_waiting", "Calls that are owed, by state."), &["state"])?,
        };
        for target in ["pilot", "merchant"] {
            for outcome in ["done", "failed", "by_sms", "parked"] {
                metrics.made.with_label_values(&[target, outcome]);
            }
        }
        for state in ["due", "parked"] {
            metrics.waiting.with_label_values(&[state]);
        }
        Ok(metrics)
    }

    /// Shows them on the page. A second time changes nothing.
    pub(super) fn register(&self, registry: &Registry) {
        let all: [Box<dyn Collector>; 3] = [
            Box::new(self.made.clone()),
            Box::new(self.oldest_seconds.clone()),
            Box::new(self.waiting.clone()),
        ];
        for metric in all {
            if let Err(error) = registry.register(metric)
                && !matches!(error, prometheus::Error::AlreadyReg)
            {
                tracing::error!(%error, "a metric cannot be registered");
            }
        }
    }

    pub(super) fn count(&self, target: &str, outcome: &str) {
        self.made.with_label_values(&[target, outcome]).inc();
    }
}
