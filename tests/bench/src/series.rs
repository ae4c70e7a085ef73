//! The figures of one thing that is measured again and again.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::figures::{grouped, median};
use crate::load::{Outcome, Source};
use crate::process::Process;
use crate::workload;

/// One value a measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    rate: Vec<f64>,
    /// Microseconds of the measured process's CPU a request.
    cpu: Vec<f64>,
    p99: Vec<f64>,
    /// Microseconds of the generator's CPU a request.
    generator: Vec<f64>,
    failed: u64,
}

impl Series {
    /// The headings of [`Self::cells`].
    pub(crate) const HEADING: [&str; 5] = ["requests/s", "CPU µs", "p99 ms", "generator µs", "failed"];

    /// One more measurement at full speed.
    pub(crate) fn measure(
        &mut self,
        process: &Process,
        addr: SocketAddr,
        source: &mut Source,
        time: Duration,
    ) -> anyhow::Result<Outcome> {
        let before = process.cpu();
        let outcome = workload::full_speed(addr, source, time)?;
        let cpu = process.cpu().saturating_sub(before);
        self.rate.push(outcome.rate());
        self.cpu.push(cpu.as_secs_f64() * 1e6 / outcome.answered.max(1) as f64);
        self.p99.push(outcome.latency_ms(0.99));
        self.generator.push(outcome.cpu_per_request());
        self.failed += outcome.failed() + outcome.broken;
        Ok(outcome)
    }

    /// The median, measurement by measurement, of this rate divided by another's.
    pub(crate) fn ratio_to(&self, base: &Self) -> f64 {
        median(
            &self
                .rate
                .iter()
                .zip(&base.rate)
                .map(|(rate, base)| rate / base)
                .collect::<Vec<_>>(),
        )
    }

    pub(crate) fn cells(&self) -> [String; 5] {
        [
            grouped(median(&self.rate)),
            format!("{:.1}", median(&self.cpu)),
            format!("{:.2}", median(&self.p99)),
            format!("{:.1}", median(&self.generator)),
            self.failed.to_string(),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "perSecond": median(&self.rate), "cpuMicros": median(&self.cpu), "p99Millis": median(&self.p99),
            "generatorCpuMicros": median(&self.generator), "failed": self.failed, "rounds": self.rate,
        })
    }
}
