//! The one loop around modems, city and file.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use megamind_conf::Config;
use megamind_gateway::{Carrier, Handle};
use megamind_handlers::{
    Deliveries,
    calls::{Action, Call, CallKey, Kind as CallKind, Outcome, Target},
};
use megamind_sms::{
    grammar::Kind,
    modem::{
        Change, Config as ModemConfig, DriverEvent, Fleet, FleetConfig, FleetEvent, Modem, ModemId, OutboxConfig,
        Received, Spent, UnknownPolicy, port::SerialOpener,
    },
    pdu::Outcome as Delivery,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    Shared,
    act::line,
    care::Care,
    db::{ModemJournal, Out},
    dispatch::{Dispatcher, assumes_sent},
    now,
};
use crate::deliveries::calls;

/// How often everything is looked at, whatever happens.
const BEAT: Duration = Duration::from_millis(500);
/// Between two attempts at a message whose effect is not known.
const AGAIN: Duration = Duration::from_secs(2);
/// How long messages are kept where the configuration does not say.
const KEPT: Duration = Duration::from_hours(90 * 24);
/// How often old messages are deleted.
const TIDY: Duration = Duration::from_hours(1);

/// Runs the loop on a thread of its own, because its file waits for the disk.
pub(super) async fn supervised(handle: Handle<Deliveries>, shared: Arc<Shared>) {
    let (ended, end) = oneshot::channel();
    let started = std::thread::Builder::new().name("sms".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                if let Err(error) = runtime.block_on(run(handle, shared)) {
                    tracing::error!(%error, "the SMS channel stops and is started again");
                }
            }
            Err(error) => tracing::error!(%error, "no runtime for the SMS channel"),
        }
        // Nobody may be waiting any more.
        let _ = ended.send(());
    });
    if let Err(error) = started {
        tracing::error!(%error, "no thread for the SMS channel");
        return;
    }
    let _ = end.await;
}

pub(super) struct Worker {
    pub(super) handle: Handle<Deliveries>,
    pub(super) shared: Arc<Shared>,
    pub(super) carrier: Carrier<Deliveries>,
    fleet: Arc<Fleet>,
    spent: BTreeMap<ModemId, Spent>,
    next_tidy: Instant,
}

async fn run(handle: Handle<Deliveries>, shared: Arc<Shared>) -> anyhow::Result<()> {
    shared.metrics.register(handle.registry());
    // The old threads end before the ports are opened again.
    shared.set_fleet(None);
    let (sender, mut events) = mpsc::unbounded_channel();
    let listener = move |event| {
        // The loop is over: what came is in the file and comes again.
        let _ = sender.send(event);
    };
    let config = handle.config().clone();
    let doubtful = shared.db.take_up(assumes_sent(config.sms.as_ref()))?;
    if doubtful > 0 {
        tracing::warn!(doubtful, "of some messages nobody knows whether they went out");
    }
    let (modems, fleet) = configured(&config)?;
    let journal = Box::new(ModemJournal { db: shared.db.clone(), others: others(&config) });
    let fleet = Arc::new(Fleet::start_with(shared.db.past(now())?, modems, fleet, journal, listener)?);
    shared.set_fleet(Some(fleet.clone()));
    let (mut dispatcher, mut told) = Dispatcher::start(&config, &fleet, &shared)?;
    let mut care = Care::new(&config, &fleet, &shared);
    let mut publications = handle.publications();
    let mut worker = Worker {
        carrier: handle.carrier(),
        handle,
        shared,
        fleet,
        spent: BTreeMap::new(),
        next_tidy: Instant::now(),
    };
    let mut again: Vec<Received> = Vec::new();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(FleetEvent::Received(message)) => again.extend(worker.hear(message, &mut care).await?),
                Some(event) => worker.note(&event, &mut care),
                None => anyhow::bail!("the modems ended"),
            },
            Some(event) = told.recv() => dispatcher.take(event)?,
            _ = publications.changed() => {}
            () = worker.shared.wake.notified() => {}
            () = tokio::time::sleep(if again.is_empty() { BEAT } else { AGAIN }) => {
                for message in std::mem::take(&mut again) {
                    again.extend(worker.hear(message, &mut care).await?);
                }
            }
        }
        // All of it: a heartbeat that waits here has come.
        while let Ok(event) = told.try_recv() {
            dispatcher.take(event)?;
        }
        worker.owe()?;
        dispatcher.run().await?;
        care.run(|name| dispatcher.is_usable(name))?;
        worker.settle().await?;
        worker.keep()?;
    }
}

/// Whether there are several channels.
fn others(config: &Config) -> bool {
    let more = config.sms.as_ref().map_or(0, |sms| sms.http.len() + sms.smtp.len());
    config.modems.len() + more > 1
}

/// The modems and their limits, as the configuration wants them.
fn configured(config: &Config) -> anyhow::Result<(Vec<Modem>, FleetConfig)> {
    let mut outbox = OutboxConfig::default();
    if let Some(sms) = &config.sms {
        outbox.daily_budget = sms.daily_budget;
        outbox.per_minute = sms.per_minute.into();
        outbox.burst = (outbox.per_minute / 4.0).max(1.0);
        outbox.reserved_percent = (sms.assignment_share.get() * 100.0).round() as u32;
        outbox.silent_after = sms.silent_after;
        outbox.rest = sms.rest;
        if assumes_sent(Some(sms)) {
            outbox.unknown = UnknownPolicy::AssumeSent;
        }
    }
    let modem = |modem: &megamind_conf::Modem| -> anyhow::Result<Modem> {
        let pin = modem.pin_file.as_ref().map(std::fs::read_to_string).transpose()?;
        Ok(Modem {
            id: ModemId::new(&modem.name),
            opener: Box::new(SerialOpener { path: modem.device.clone(), baud: modem.baud }),
            config: ModemConfig { pin: pin.map(|pin| pin.trim().to_owned()), ..ModemConfig::default() },
        })
    };
    let modems = config.modems.iter().map(modem).collect::<anyhow::Result<_>>()?;
    Ok((modems, FleetConfig { outbox, ..FleetConfig::default() }))
}

impl Worker {
    fn note(&self, event: &FleetEvent, care: &mut Care) {
        let metrics = &self.shared.metrics;
        match event {
            FleetEvent::Outbound(record) => {
                let (modem, outcome) = match &record.change {
                    Change::Sent { modem, .. } => (modem.as_str(), "sent"),
                    Change::Unknown { modem, .. } => (modem.as_str(), "unknown"),
                    Change::Failed { modem, .. } => (modem.as_str(), "failed"),
                    Change::Dead { .. } => ("", "dead"),
                    Change::Reported { status, .. } => match status.outcome() {
                        Delivery::Completed => ("", "delivered"),
                        Delivery::Failed => ("", "undelivered"),
                        Delivery::Trying => return,
                    },
                    Change::Queued { .. } | Change::Trying { .. } | Change::Assumed { .. } | Change::Withdrawn => {
                        return;
                    }
                };
                metrics.count(modem, "out", outcome);
            }
            FleetEvent::Modem(modem, DriverEvent::Signal(dbm)) => {
                metrics.signal(modem, *dbm);
                self.shared.sim(modem.as_str(), |sim| sim.signal = Some(*dbm));
            }
            FleetEvent::Modem(modem, DriverEvent::Ussd(text)) => care.balance(modem, text.as_deref()),
            FleetEvent::Modem(modem, DriverEvent::UssdFailed(why)) => {
                tracing::warn!(%modem, why, "the SIM was not told its balance");
            }
            FleetEvent::Modem(modem, DriverEvent::Alarm(alarm)) => tracing::error!(%modem, ?alarm, "modem"),
            FleetEvent::Modem(modem, event) => tracing::info!(%modem, ?event, "modem"),
            FleetEvent::Resting(modem) => tracing::error!(%modem, "no delivery reports come: the SIM rests"),
            FleetEvent::Panicked(modem) => tracing::error!(%modem, "the modem's thread panicked"),
            FleetEvent::Journal(error) => tracing::error!(error, "the messages cannot be stored"),
            FleetEvent::Received(_) => {}
        }
    }

    /// Makes messages of the calls that go by SMS.
    fn owe(&self) -> anyhow::Result<()> {
        let published = self.handle.published();
        for call in published.city.calls_due_by_sms() {
            let key = call.key().0.get();
            if self.shared.db.has_call(key)? {
                continue;
            }
            if let Some(out) = self.told(&published.city, call) {
                let _ = self.shared.db.queue(&Out { call: Some(key), ..out }, now())?;
            }
        }
        Ok(())
    }

    /// A call to a pilot as a message; `None` where there is no number.
    fn told(&self, city: &megamind_handlers::City, call: &Call) -> Option<Out> {
        let (Target::Pilot(pilot), CallKind::Assign(action)) = (&call.target, call.kind) else {
            return None;
        };
        let pilot = city.pilot(*pilot)?;
        let number = pilot.profile().phone.as_deref()?.to_owned();
        let kind = match action {
            Action::Assign => Kind::Assign,
            Action::Change => Kind::Change,
            Action::Cancel => Kind::Cancel,
        };
        let (language, ucs2) = match self.shared.enrolled().get(&*pilot.id().text()) {
            Some(enrolled) => (enrolled.language.clone(), enrolled.ucs2),
            None => ("en".to_owned(), false),
        };
        let order = city.order(call.order)?;
        let line = line(&city.brief(&self.shared.city, order), self.shared.offset);
        let text = self.shared.templates.about(kind, &language, ucs2, &line);
        Some(Out {
            number,
            text,
            template: self.shared.templates.number_of(kind, &language),
            assignment: true,
            report: true,
            modem: None,
            call: None,
            expires: now() + self.shared.expiry.message,
        })
    }

    /// Keeps what has to outlive a restart, and shows the rest.
    fn keep(&mut self) -> anyhow::Result<()> {
        let spent = self.fleet.spent();
        let same = |one: &Spent, other: &Spent| (one.parts, one.before) == (other.parts, other.before);
        let changed = spent
            .iter()
            .any(|(modem, now)| !self.spent.get(modem).is_some_and(|then| same(then, now)));
        if changed {
            self.shared.db.keep_spent(&spent, now())?;
            self.spent = spent;
        }
        if self.next_tidy <= Instant::now() {
            self.next_tidy = Instant::now() + TIDY;
            let kept = self.handle.config().sms.as_ref().map_or(KEPT, |sms| sms.keep_log);
            // Not while the clock is doubtful.
            if let Some(before) = self.handle.store().time().before(kept) {
                self.shared.db.trim(before.0)?;
            }
        }
        self.shared.metrics.queue.set(self.shared.db.waiting()?);
        self.shared.metrics.modems(&self.fleet.status());
        Ok(())
    }

    /// Tells the city what became of its calls.
    async fn settle(&self) -> anyhow::Result<()> {
        let ended = self.shared.db.ended_calls()?;
        if ended.is_empty() {
            return Ok(());
        }
        let outcomes = ended.iter().filter_map(|(_, call, error)| {
            let key = CallKey(std::num::NonZeroU64::new(*call)?);
            let outcome = match error {
                None => Outcome::Done,
                Some(why) => Outcome::Parked { why: why.as_str().into() },
            };
            Some((key, outcome))
        });
        if let Err(error) = calls::settle(&self.handle, outcomes.collect()).await {
            tracing::warn!(%error, "what became of messages cannot be journaled now");
            return Ok(());
        }
        let ids: Vec<i64> = ended.iter().map(|(id, ..)| *id).collect();
        Ok(self.shared.db.told(&ids)?)
    }
}
