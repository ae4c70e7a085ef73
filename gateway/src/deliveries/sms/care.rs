//! Looking after SIMs: what is left on prepaid ones, and whether messages still get from one to another.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use megamind_conf::{Config, Modem};
use megamind_sms::{
    balance::Balance,
    grammar::Kind,
    modem::{Fleet, ModemId, State},
};

use super::{Shared, db::Out, now};

/// A probe that has not arrived by then is lost.
const PROBE_WITHIN: Duration = Duration::from_mins(10);
/// Between two attempts at a balance that was not told.
const ASK_AGAIN: Duration = Duration::from_mins(10);
/// Probes that are waited for at once, at most.
const PROBES: usize = 64;

/// What is known of a SIM besides its modem's state.
#[derive(Clone, Debug, Default)]
pub(super) struct SimView {
    /// Signal strength in dBm.
    pub(super) signal: Option<i16>,
    /// What it said last about its balance, and when (milliseconds of 1970).
    pub(super) balance: Option<(Balance, i64)>,
    /// Whether the last probe to it arrived, and when that was known.
    pub(super) probe: Option<(bool, i64)>,
}

struct Probe {
    nonce: String,
    from: String,
    to: String,
    since: Instant,
}

/// The rounds.
pub(super) struct Care {
    shared: Arc<Shared>,
    fleet: Arc<Fleet>,
    modems: Vec<Modem>,
    balance_every: Duration,
    probe_every: Option<Duration>,
    next_balance: BTreeMap<String, Instant>,
    next_probe: Instant,
    /// Where the round of probes stands.
    turn: usize,
    probes: Vec<Probe>,
}

impl Care {
    pub(super) fn new(config: &Config, fleet: &Arc<Fleet>, shared: &Arc<Shared>) -> Self {
        let sms = config.sms.as_ref();
        Self {
            shared: shared.clone(),
            fleet: fleet.clone(),
            modems: config.modems.clone(),
            balance_every: sms.map_or(Duration::from_hours(6), |sms| sms.balance_every),
            probe_every: sms.and_then(|sms| sms.probe_every),
            next_balance: BTreeMap::new(),
            next_probe: Instant::now(),
            turn: 0,
            probes: Vec::new(),
        }
    }

    /// Asks and probes what is due.
    ///
    /// # Errors
    /// The file's.
    pub(super) fn run(&mut self, is_usable: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let at = Instant::now();
        self.ask_balances(at);
        self.lose_probes(at);
        self.probe(at, is_usable)
    }

    fn ask_balances(&mut self, at: Instant) {
        let status = self.fleet.status();
        for modem in &self.modems {
            let Some(ussd) = &modem.balance_ussd else { continue };
            let id = ModemId::new(&modem.name);
            let ready = status.get(&id).is_some_and(|status| status.state == State::Ready);
            let due = self.next_balance.get(&modem.name).is_none_or(|next| *next <= at);
            if ready && due && self.fleet.ussd(&id, ussd) {
                // Until it has been told; then, the usual time.
                self.next_balance
                    .insert(modem.name.clone(), at + ASK_AGAIN.min(self.balance_every));
            }
        }
    }

    /// A SIM has answered.
    pub(super) fn balance(&mut self, modem: &ModemId, text: Option<&str>) {
        let name = modem.as_str();
        let Some(settings) = self.modems.iter().find(|one| one.name == name) else { return };
        let balance = Balance::read(text.unwrap_or_default());
        if balance == Balance::default() {
            tracing::warn!(%modem, text, "no balance can be read in what the SIM said");
            return;
        }
        self.next_balance.insert(name.to_owned(), Instant::now() + self.balance_every);
        let (hundredths, valid_until) = (balance.hundredths, balance.valid_until);
        tracing::info!(%modem, hundredths, valid_until = ?valid_until, "balance");
        let low = hundredths.is_some_and(|hundredths| hundredths < i64::from(settings.balance_alarm) * 100);
        let today = jiff::Zoned::now().date();
        let days = i64::try_from(settings.validity_alarm.as_secs().div_ceil(24 * 60 * 60)).unwrap_or(i64::MAX);
        let ends = valid_until.is_some_and(|until| i64::from((until - today).get_days()) <= days);
        if low {
            tracing::error!(%modem, hundredths, "the SIM's balance is low");
        }
        if ends {
            tracing::error!(%modem, until = ?valid_until, "the SIM's validity ends");
        }
        self.shared.metrics.alarm(name, "balance", low);
        self.shared.metrics.alarm(name, "validity", ends);
        if let Some(hundredths) = hundredths {
            self.shared.metrics.balance(name, hundredths as f64 / 100.0);
        }
        self.shared.sim(name, |sim| sim.balance = Some((balance, now())));
    }

    /// Sends the next probe: each modem with a number is written to by the next one that works.
    fn probe(&mut self, at: Instant, is_usable: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let Some(every) = self.probe_every else { return Ok(()) };
        let numbered: Vec<&Modem> = self.modems.iter().filter(|modem| modem.number.is_some()).collect();
        if at < self.next_probe || numbered.is_empty() || self.modems.len() < 2 || self.probes.len() >= PROBES {
            return Ok(());
        }
        let to = numbered[self.turn % numbered.len()];
        let place = self.modems.iter().position(|modem| modem.name == to.name).unwrap_or(0);
        let others = self.modems.iter().cycle().skip(place + 1).take(self.modems.len() - 1);
        let Some(from) = others.into_iter().find(|modem| is_usable(&modem.name)) else {
            return Ok(());
        };
        let nonce = format!("{:08X}", getrandom::u32()?);
        let text = self.shared.templates.plain(Kind::Probe, "en", false);
        let out = Out {
            number: to.number.clone().unwrap_or_default(),
            text: format!("{text} {nonce}"),
            template: self.shared.templates.number_of(Kind::Probe, "en"),
            assignment: false,
            report: true,
            modem: Some(from.name.clone()),
            call: None,
            expires: now() + PROBE_WITHIN.as_millis() as i64,
        };
        let probe = Probe { nonce, from: from.name.clone(), to: to.name.clone(), since: at };
        if self.shared.db.queue(&out, now())?.is_some() {
            self.probes.push(probe);
        }
        self.turn += 1;
        self.next_probe = at + every / u32::try_from(numbered.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Whether a message that a modem brought is a probe of ours, which has arrived then.
    pub(super) fn arrived(&mut self, modem: &ModemId, text: &str) -> bool {
        let nonce = text.trim().rsplit(' ').next().unwrap_or_default();
        let Some(at) = self
            .probes
            .iter()
            .position(|probe| probe.nonce == nonce && probe.to == modem.as_str())
        else {
            return false;
        };
        let probe = self.probes.remove(at);
        tracing::info!(from = probe.from, to = probe.to, "a probe has arrived");
        self.known(&probe, true);
        true
    }

    fn lose_probes(&mut self, at: Instant) {
        let is_lost = |probe: &mut Probe| at.saturating_duration_since(probe.since) >= PROBE_WITHIN;
        let lost: Vec<Probe> = self.probes.extract_if(.., is_lost).collect();
        for probe in lost {
            tracing::error!(
                from = probe.from,
                to = probe.to,
                "a probe did not arrive: one of the two SIMs does not work"
            );
            self.known(&probe, false);
        }
    }

    fn known(&self, probe: &Probe, arrived: bool) {
        self.shared.metrics.alarm(&probe.to, "probe", !arrived);
        self.shared.sim(&probe.to, |sim| sim.probe = Some((arrived, now())));
    }
}
