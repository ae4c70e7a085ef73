//! What one SIM may still send, and the reports that it waits for.

use super::{Job, MessageId, OutboxConfig, Priority, Spent};
use crate::pdu::{Address, Outcome, StatusReport};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const DAY: Duration = Duration::from_hours(24);

#[derive(Debug)]
pub(super) struct Sim {
    tokens: f64,
    refilled: Instant,
    used_today: u32,
    /// Those of assignments among them.
    assignments: u32,
    /// Parts of assignments that the day before needed, as far as that is known.
    before: u32,
    /// Whether an assignment has found the day's budget used up.
    lacked: bool,
    day_began: Instant,
    rests_until: Option<Instant>,
    /// In the order of sending.
    awaited: VecDeque<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    reference: u8,
    number: Address,
    since: Instant,
    id: MessageId,
    part: usize,
}

impl Sim {
    pub(super) fn new(config: &OutboxConfig, now: Instant) -> Self {
        Self {
            tokens: config.burst,
            refilled: now,
            used_today: 0,
            assignments: 0,
            before: 0,
            lacked: false,
            day_began: now,
            rests_until: None,
            awaited: VecDeque::new(),
        }
    }

    pub(super) fn refill(&mut self, config: &OutboxConfig, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled);
        let earned = elapsed.as_secs_f64() * config.per_minute / 60.0;
        self.tokens = (self.tokens + earned).min(config.burst);
        self.refilled = now;
        let day = now.saturating_duration_since(self.day_began);
        if day >= DAY {
            // Where the budget did not reach, more were wanted; nobody counted how many. A day of silence says nothing
            // about the next one.
            let wanted = self.assignments + if self.lacked { self.assignments / 2 } else { 0 };
            self.lacked = false;
            self.before = if day < 2 * DAY { wanted } else { 0 };
            self.day_began = now;
            self.used_today = 0;
            self.assignments = 0;
        }
    }

    /// The least urgent priority that may be sent now; `None` when nothing may.
    pub(super) fn allows(&self, config: &OutboxConfig, now: Instant) -> Option<Priority> {
        self.has_budget(config, now).filter(|_| self.tokens >= 1.0)
    }

    /// The same, whatever was sent in the last minutes.
    pub(super) fn has_budget(&self, config: &OutboxConfig, now: Instant) -> Option<Priority> {
        if self.rests(now) || self.used_today >= config.daily_budget {
            return None;
        }
        let kept = self.kept(config);
        Some(if self.used_today + kept < config.daily_budget {
            Priority::Normal
        } else {
            Priority::Assignment
        })
    }

    /// Parts that are kept for assignments: a share of the budget, or as many as are still to come if today is like the
    /// day before, whichever is more. Answers and the like must not use up what tells a pilot of the evening's orders.
    fn kept(&self, config: &OutboxConfig) -> u32 {
        let share = config.daily_budget * config.reserved_percent.min(100) / 100;
        share.max(self.before.saturating_sub(self.assignments))
    }

    /// An assignment wants to go out.
    pub(super) fn wanted(&mut self, config: &OutboxConfig) {
        self.lacked |= self.used_today >= config.daily_budget;
    }

    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    pub(super) fn spend(&mut self, priority: Priority) {
        self.tokens -= 1.0;
        self.used_today += 1;
        self.assignments += u32::from(priority == Priority::Assignment);
    }

    pub(super) fn refund(&mut self, priority: Priority) {
        self.tokens += 1.0;
        self.used_today = self.used_today.saturating_sub(1);
        let assignments = u32::from(priority == Priority::Assignment);
        self.assignments = self.assignments.saturating_sub(assignments);
    }

    pub(super) fn spent(&self, now: Instant) -> Spent {
        Spent {
            began: now.saturating_duration_since(self.day_began),
            parts: self.used_today,
            assignments: self.assignments,
            before: self.before,
        }
    }

    pub(super) fn restore(&mut self, spent: Spent, now: Instant) {
        // A machine that started less than a day ago has no name for earlier moments: then the day ends late.
        self.day_began = now.checked_sub(spent.began).unwrap_or(now);
        self.used_today = spent.parts;
        self.assignments = spent.assignments;
        self.before = spent.before;
    }

    pub(super) fn used_today(&self) -> u32 {
        self.used_today
    }

    pub(super) fn rest(&mut self, until: Instant) {
        self.rests_until = Some(until);
    }

    pub(super) fn await_report(
        &mut self,
        config: &OutboxConfig,
        reference: u8,
        number: Address,
        job: &Job,
        now: Instant,
    ) {
        if self.awaited.len() >= config.awaited {
            self.awaited.pop_front();
        }
        self.awaited
            .push_back(Awaited { reference, number, since: now, id: job.id, part: job.part });
    }

    /// The part that `report` is about. It stays awaited while the service centre keeps trying.
    pub(super) fn reported(&mut self, report: &StatusReport) -> Option<(MessageId, usize)> {
        // Centres normalise numbers: the last digits have to do.
        let matches = |awaited: &Awaited| {
            awaited.reference == report.message_reference
                && same_number(awaited.number.value(), report.recipient.value())
        };
        // The newest, where a reference has come round.
        let at = self.awaited.iter().rposition(matches)?;
        let found = (self.awaited[at].id, self.awaited[at].part);
        if report.status.outcome() != Outcome::Trying {
            self.awaited.remove(at);
        }
        Some(found)
    }

    /// Whether the SIM begins to rest because reports do not come. What was awaited is given up.
    pub(super) fn falls_silent(&mut self, config: &OutboxConfig, now: Instant) -> bool {
        let overdue = self
            .awaited
            .front()
            .is_some_and(|oldest| oldest.since + config.silent_after <= now);
        if overdue {
            self.awaited.clear();
            self.rest(now + config.rest);
        }
        overdue
    }
}

/// Whether two numbers agree in their last nine digits, or in all where they have fewer.
fn same_number(one: &str, other: &str) -> bool {
    const SIGNIFICANT: usize = 9;
    let tail = |number: &str| -> Vec<u8> { number.bytes().rev().take(SIGNIFICANT).collect() };
    let (one, other) = (tail(one), tail(other));
    let shared = one.len().min(other.len());
    shared > 0 && one[..shared] == other[..shared]
}
