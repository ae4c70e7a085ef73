//! What is counted about messages.

use megamind_sms::modem::{ModemId, ModemStatus, State};
use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector};
use std::collections::BTreeMap;

pub(super) struct Metrics {
    messages: IntCounterVec,
    signal: IntGaugeVec,
    pub(super) queue: IntGauge,
    up: IntGaugeVec,
    resets: IntCounterVec,
    used: IntGaugeVec,
    channels: IntGaugeVec,
    balance: GaugeVec,
    alarms: IntGaugeVec,
}

impl Metrics {
    pub(super) fn new() -> prometheus::Result<Self> {
        let opts = |name: &str, help: &str| Opts::new(name, help).namespace("megamind");
        Ok(Self {
            messages: IntCounterVec::new(
                opts("sms_messages_total", "Short messages, by modem, direction and outcome."),
                &["modem", "direction", "outcome"],
            )?,
            signal: IntGaugeVec::new(opts("sms_signal_dbm", "Signal strength in dBm."), &["modem"])?,
            queue: IntGauge::with_opts(opts("sms_queue_entries", "Messages that wait or are under way."))?,
            up: IntGaugeVec::new(opts("modem_up", "1 while the modem works and has a network."), &["modem"])?,
            resets: IntCounterVec::new(opts("modem_resets_total", "Restarts of the modem."), &["modem"])?,
            used: IntGaugeVec::new(opts("sms_budget_used", "Messages that the SIM sent today."), &["modem"])?,
            channels: IntGaugeVec::new(opts("sms_channel_up", "1 while the channel's heartbeats come."), &["channel"])?,
            balance: GaugeVec::new(opts("sms_balance", "What the SIM has left, in its currency."), &["modem"])?,
            alarms: IntGaugeVec::new(
                opts(
                    "sms_alarm",
                    "1 while a SIM needs somebody: its balance, its validity, a probe that did not arrive.",
                ),
                &["modem", "alarm"],
            )?,
        })
    }

    /// Shows them on the page. A second time changes nothing.
    pub(super) fn register(&self, registry: &Registry) {
        let all: [Box<dyn Collector>; 9] = [
            Box::new(self.messages.clone()),
            Box::new(self.signal.clone()),
            Box::new(self.queue.clone()),
            Box::new(self.up.clone()),
            Box::new(self.resets.clone()),
            Box::new(self.used.clone()),
            Box::new(self.channels.clone()),
            Box::new(self.balance.clone()),
            Box::new(self.alarms.clone()),
        ];
        for metric in all {
            if let Err(error) = registry.register(metric)
                && !matches!(error, prometheus::Error::AlreadyReg)
            {
                tracing::error!(%error, "a metric cannot be registered");
            }
        }
    }

    pub(super) fn count(&self, modem: &str, direction: &str, outcome: &str) {
        self.messages.with_label_values(&[modem, direction, outcome]).inc();
    }

    pub(super) fn signal(&self, modem: &ModemId, dbm: i16) {
        self.signal.with_label_values(&[modem.as_str()]).set(dbm.into());
    }

    pub(super) fn channel(&self, name: &str, there: bool) {
        self.channels.with_label_values(&[name]).set(i64::from(there));
    }

    pub(super) fn balance(&self, modem: &str, left: f64) {
        self.balance.with_label_values(&[modem]).set(left);
    }

    pub(super) fn alarm(&self, modem: &str, alarm: &str, on: bool) {
        self.alarms.with_label_values(&[modem, alarm]).set(i64::from(on));
    }

    pub(super) fn modems(&self, status: &BTreeMap<ModemId, ModemStatus>) {
        for (modem, status) in status {
            let label = [modem.as_str()];
            self.up.with_label_values(&label).set(i64::from(status.state == State::Ready));
            let resets = self.resets.with_label_values(&label);
            // A driver that panicked counts from the beginning; a counter does not.
            resets.inc_by(status.counters.restarts.saturating_sub(resets.get()));
            self.used.with_label_values(&label).set(status.used_today.into());
        }
    }
}
