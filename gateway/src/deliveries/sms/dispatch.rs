//! Which channel gets which message, and what becomes of it there.
//!
//! A message goes by one channel at a time, and by another only when it certainly did not go out by the one before.
//! When that is not known, the same channel tries again under the same id, or it is taken as sent
//! (`sms.on_unknown`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use megamind_conf::{Config, Scheduler as Chosen, Sms, Unknown};
use megamind_sms::{
    channel::{Candidate, ChannelId, LeastBusy, Priority, Random, Registry, RoundRobin, Scheduler, Turn},
    modem::Fleet,
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    Shared,
    channel::{self, Channel, Message, Sending},
    db::Due,
    now,
};

/// Rounds through all channels, or attempts by the one that may have sent it, until a message is given up.
pub(super) const ROUNDS: u32 = 8;
/// The wait after the first of them, in milliseconds; it doubles…
const AGAIN_MIN: i64 = 5_000;
/// …up to this.
const AGAIN_MAX: i64 = 10 * 60 * 1000;

/// What channels tell.
pub(super) enum Event {
    /// A heartbeat, or why there is none.
    Beat(ChannelId, Result<(), String>, Instant),
    /// What became of a message.
    Ended(ChannelId, Due, Sending),
}

/// The channels, and what they have to do.
pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    fleet: Arc<Fleet>,
    channels: Vec<Arc<dyn Channel>>,
    /// Messages that each of them is sending.
    under_way: Vec<usize>,
    registry: Registry,
    scheduler: Box<dyn Scheduler>,
    assume_sent: bool,
    /// Until then the channels of the file may still be starting.
    settled_at: Instant,
    events: mpsc::UnboundedSender<Event>,
    /// Heartbeats and messages under way; they end with the dispatcher.
    tasks: JoinSet<()>,
}

impl Dispatcher {
    /// Registers all channels and starts their heartbeats. What they tell comes by the receiver.
    ///
    /// # Errors
    /// A channel cannot be made.
    pub(super) fn start(
        config: &Config,
        fleet: &Arc<Fleet>,
        shared: &Arc<Shared>,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<Event>)> {
        let sms = config.sms.as_ref();
        let (heartbeat, drop_after) = limits(sms);
        let channels = channel::all(config, fleet, &shared.db)?;
        let mut registry = Registry::new(drop_after);
        let (events, heard) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for one in &channels {
            let id = registry.register(one.name());
            tasks.spawn(beat(id, one.clone(), heartbeat, drop_after, events.clone()));
        }
        let dispatcher = Self {
            shared: shared.clone(),
            fleet: fleet.clone(),
            under_way: vec![0; channels.len()],
            channels,
            registry,
            scheduler: scheduler(sms.map_or(Chosen::Priority, |sms| sms.scheduler)),
            assume_sent: assumes_sent(sms),
            settled_at: Instant::now() + drop_after,
            events,
            tasks,
        };
        Ok((dispatcher, heard))
    }

    /// Takes what a channel tells.
    pub(super) fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Beat(id, beat, at) => {
                if let Some(Turn::Back(id)) = self.registry.beat(id, beat, at) {
                    tracing::info!(channel = self.registry.name(id), "the channel works");
                    self.shared.metrics.channel(self.registry.name(id), true);
                }
            }
            Event::Ended(id, due, sending) => {
                if let Some(count) = self.under_way.get_mut(id.0) {
                    *count -= 1;
                }
                self.ended(id, &due, sending)?;
            }
        }
        Ok(())
    }

    /// Does what is due: drops who is silent, takes back what cannot go out where it waits, and gives out what waits.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        for turn in self.registry.tick(Instant::now()) {
            if let Turn::Dropped(id) = turn {
                let (name, why) = (self.registry.name(id), self.registry.trouble(id).unwrap_or("no heartbeat"));
                tracing::error!(channel = name, why, "the channel is dropped");
                self.shared.metrics.channel(name, false);
            }
        }
        while self.tasks.try_join_next().is_some() {}
        self.take_back()?;
        let expired = self.shared.db.expire(now())?;
        (0..expired).for_each(|_| self.shared.metrics.count("", "out", "expired"));
        self.give_out().await?;
        self.tell();
        Ok(())
    }

    /// Takes messages from modems that died, that may send no more today, or whose network refused them where there is
    /// another way.
    fn take_back(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        for held in self.fleet.held() {
            let Some(id) = self.registry.called(held.modem.as_str()) else { continue };
            let works = self.registry.is_there(id) && self.fleet.may_send(&held.modem, held.priority);
            let others = || {
                self.registry
                    .ids()
                    .any(|other| other != id && self.registry.is_usable(other, now))
            };
            if works && !(held.refused > 0 && others()) {
                continue;
            }
            if held.refused > 0 {
                self.shared.db.avoid(held.id.0, held.modem.as_str())?;
            }
            if self.fleet.take_back(held.id)? {
                tracing::info!(channel = %held.modem, "a message is taken back from it");
            }
        }
        Ok(())
    }

    /// Gives messages to channels.
    async fn give_out(&mut self) -> anyhow::Result<()> {
        if self.channels.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        // After a start, the first channel is not passed over only because it needs a few seconds.
        let starting = now < self.settled_at && self.registry.ids().any(|id| !self.registry.is_there(id));
        for due in self.shared.db.due(super::now())? {
            if starting && due.doubt.is_none() && !self.is_preferred_there(&due) {
                continue;
            }
            let message = self.message(&due);
            if let Some(chosen) = self.choose(&due, &message, now)? {
                self.give(chosen, due, message).await?;
            }
        }
        Ok(())
    }

    /// Whether the modem that was written to is there to answer.
    fn is_preferred_there(&self, due: &Due) -> bool {
        let preferred = due.out.modem.as_deref().and_then(|modem| self.registry.called(modem));
        preferred.is_some_and(|id| self.registry.is_there(id))
    }

    fn message(&self, due: &Due) -> Message {
        Message {
            row: due.row,
            id: format!("{}-{:x}-{}", self.shared.city, due.at, due.row),
            number: due.out.number.clone(),
            text: due.out.text.clone(),
            template_id: self.shared.templates.id_of(due.out.template).to_owned(),
            assignment: due.out.assignment,
            report: due.out.report,
        }
    }

    /// The channel for a message; `None` where none has it now.
    fn choose(&mut self, due: &Due, message: &Message, now: Instant) -> anyhow::Result<Option<ChannelId>> {
        let usable = |id: &ChannelId| self.registry.is_usable(*id, now);
        let takes = |id: &ChannelId| self.channels.get(id.0).is_some_and(|one| one.takes(message));
        let has_room = |id: &ChannelId| !self.is_full(*id);
        if let Some(doubt) = &due.doubt {
            let Some(id) = self.registry.called(doubt) else {
                let why = format!("{doubt} may have sent it, and is no channel any more");
                self.give_up(due, doubt, Some(&why))?;
                return Ok(None);
            };
            return Ok(Some(id).filter(usable).filter(takes).filter(has_room));
        }
        let avoided = |id: &ChannelId| due.avoid.iter().any(|name| name == self.registry.name(*id));
        let preferred = due.out.modem.as_deref().and_then(|modem| self.registry.called(modem));
        if let Some(id) = preferred.filter(usable).filter(takes).filter(|id| !avoided(id)) {
            return Ok(Some(id).filter(has_room));
        }
        let all: Vec<ChannelId> = self.registry.ids().filter(usable).collect();
        if !all.is_empty() && all.iter().all(avoided) {
            self.next_round(due)?;
            return Ok(None);
        }
        let candidates: Vec<Candidate> = all
            .into_iter()
            .filter(|id| !avoided(id) && takes(id))
            .map(|id| Candidate { id, load: self.load(id), full: self.is_full(id) })
            .collect();
        Ok(self.scheduler.choose(&candidates).map(|candidate| candidate.id))
    }

    fn is_full(&self, id: ChannelId) -> bool {
        self.channels.get(id.0).is_none_or(|one| self.load(id) >= one.most())
    }

    /// Messages that a channel has and has not sent.
    fn load(&self, id: ChannelId) -> usize {
        let queued = self.channels.get(id.0).and_then(|one| one.queued());
        queued.unwrap_or_else(|| self.under_way.get(id.0).copied().unwrap_or(0))
    }

    async fn give(&mut self, id: ChannelId, due: Due, message: Message) -> anyhow::Result<()> {
        let Some(one) = self.channels.get(id.0).cloned() else { return Ok(()) };
        if one.queued().is_some() {
            let sending = one.send(&message).await;
            return self.ended(id, &due, sending);
        }
        self.shared.db.sending(due.row, one.name())?;
        if let Some(count) = self.under_way.get_mut(id.0) {
            *count += 1;
        }
        let events = self.events.clone();
        self.tasks.spawn(async move {
            let sending = one.send(&message).await;
            // The dispatcher is gone: after the next start, nobody knows whether it is out.
            let _ = events.send(Event::Ended(id, due, sending));
        });
        Ok(())
    }

    fn ended(&mut self, id: ChannelId, due: &Due, sending: Sending) -> anyhow::Result<()> {
        let name = self.registry.name(id).to_owned();
        let db = &self.shared.db;
        let outcome = match sending {
            Sending::Queued => return Ok(()),
            Sending::Sent => {
                db.sent(due.row)?;
                self.registry.succeeded(id);
                "sent"
            }
            // Whatever a later attempt is answered, an earlier one may have gone out.
            Sending::NotSent(why) | Sending::Refused(why) if due.doubt.is_some() => {
                self.registry.failed(id, Instant::now());
                self.stays_in_doubt(due, &name, &why)?;
                "unknown"
            }
            Sending::NotSent(why) => {
                tracing::warn!(channel = name, why, "a message did not go out; the channel pauses");
                db.not_sent(due.row, &name, &why)?;
                self.registry.failed(id, Instant::now());
                "failed"
            }
            Sending::Refused(why) => {
                tracing::warn!(channel = name, why, "the channel refuses a message");
                db.refused(due.row, &name, &why)?;
                "refused"
            }
            Sending::Unknown(why) => {
                tracing::warn!(channel = name, why, "nobody knows whether a message went out; the channel pauses");
                self.registry.failed(id, Instant::now());
                if self.assume_sent {
                    db.sent(due.row)?;
                } else {
                    self.stays_in_doubt(due, &name, &why)?;
                }
                "unknown"
            }
        };
        self.shared.metrics.count(&name, "out", outcome);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// The same channel tries again, later; no other does.
    fn stays_in_doubt(&self, due: &Due, channel: &str, why: &str) -> anyhow::Result<()> {
        if due.attempts + 1 >= ROUNDS {
            return self.give_up(due, channel, Some(&format!("it may have gone out: {why}")));
        }
        Ok(self.shared.db.in_doubt(due.row, why, now() + pause(due.attempts))?)
    }

    /// No channel took it.
    fn next_round(&self, due: &Due) -> anyhow::Result<()> {
        if due.attempts + 1 >= ROUNDS {
            return self.give_up(due, "", None);
        }
        Ok(self.shared.db.next_round(due.row, now() + pause(due.attempts))?)
    }

    fn give_up(&self, due: &Due, channel: &str, why: Option<&str>) -> anyhow::Result<()> {
        tracing::error!(to = due.out.number, why, "a message is given up");
        self.shared.metrics.count(channel, "out", "dead");
        Ok(self.shared.db.give_up(due.row, why)?)
    }

    /// Tells the pages who is there.
    fn tell(&self) {
        let now = Instant::now();
        let seen = self.registry.ids().map(|id| super::ChannelView {
            name: self.registry.name(id).to_owned(),
            there: self.registry.is_there(id),
            usable: self.registry.is_usable(id, now),
            load: self.load(id),
            trouble: self.registry.trouble(id).map(str::to_owned),
        });
        self.shared.set_channels(seen.collect());
    }

    /// Whether a channel can be given messages.
    pub(super) fn is_usable(&self, name: &str) -> bool {
        self.registry
            .called(name)
            .is_some_and(|id| self.registry.is_usable(id, Instant::now()))
    }
}

/// Whether a message of which nobody knows whether it went out is taken as sent.
pub(super) fn assumes_sent(sms: Option<&Sms>) -> bool {
    sms.is_some_and(|sms| sms.on_unknown == Unknown::AssumeSent)
}

fn limits(sms: Option<&Sms>) -> (Duration, Duration) {
    sms.map_or((Duration::from_secs(10), Duration::from_secs(30)), |sms| (sms.heartbeat, sms.drop_after))
}

fn scheduler(chosen: Chosen) -> Box<dyn Scheduler> {
    match chosen {
        Chosen::Priority => Box::new(Priority),
        Chosen::RoundRobin => Box::new(RoundRobin::default()),
        Chosen::LeastBusy => Box::new(LeastBusy),
        Chosen::Random => Box::new(Random(|| getrandom::u32().unwrap_or(0))),
    }
}

fn pause(attempts: u32) -> i64 {
    AGAIN_MIN.saturating_mul(1 << attempts.min(16)).min(AGAIN_MAX)
}

/// A channel's heartbeats, until the dispatcher ends. One that hangs is none.
async fn beat(
    id: ChannelId,
    channel: Arc<dyn Channel>,
    every: Duration,
    deadline: Duration,
    events: mpsc::UnboundedSender<Event>,
) {
    loop {
        let beat = timeout(deadline, channel.beat())
            .await
            .unwrap_or_else(|_| Err(format!("no heartbeat within {deadline:?}")));
        if events.send(Event::Beat(id, beat, Instant::now())).is_err() {
            return;
        }
        tokio::time::sleep(every).await;
    }
}
