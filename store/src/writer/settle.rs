//! What became of queued entries.

use std::num::NonZeroU64;

use bytes::Bytes;
use megamind_domain::{Domain, EntityKey, Exchange, Stance, Time};

use super::{Message, draft::Trial};
use crate::{
    Left, Parked, Settle, Span, SubmitError,
    journal::{Alias, Reader},
    published::fenced,
    queue::{self, Progress, Queued, Retry},
    record::{By, Head, ReplayHead},
};

/// Tells the exchanges of acknowledged entries what their requests had created.
pub(super) fn name_created<D: Domain>(batch: &mut [Message<D>], reader: &dyn Reader) {
    for message in batch {
        let Message::Settle { settle, .. } = message else {
            continue;
        };
        let Settle::Acknowledged { seq, exchange: Some(exchange), .. } = &mut **settle else {
            continue;
        };
        if exchange.created.is_some() {
            continue;
        }
        match reader.record(*seq) {
            Ok(Some(record)) => {
                let created = record.replay().and_then(|replay| replay.created);
                exchange.created = created.map(|id| Box::from(&*id));
            }
            Ok(None) => {}
            Err(error) => tracing::error!(seq, %error, "an acknowledged record cannot be read"),
        }
    }
}

impl<D: Domain> Trial<'_, D> {
    pub(super) fn settle(&mut self, settle: &Settle<D>) -> Result<(), SubmitError> {
        match settle {
            Settle::Bundled { seqs } => return self.bundle(seqs),
            Settle::Discarded { seq, who, why, then } => return self.discard(*seq, who, why, then.as_ref()),
            _ => {}
        }
        let of = settle.seq();
        let entry = self.queued(of).ok_or(SubmitError::NotQueued)?;
        let now = self.now();
        let (entry, head) = match settle {
            Settle::Acknowledged { exchange, span, .. } => {
                self.acknowledge(of, exchange.as_ref(), *span, None);
                return Ok(());
            }
            Settle::Confirmed { exchange, who, why, .. } => {
                let now = self.shared.last_tick();
                let by = By { who: who.into(), why: why.into() };
                self.acknowledge(of, exchange.as_ref(), Span { started: now, finished: now }, Some(by));
                return Ok(());
            }
            Settle::Sent { .. } => (Some(sent(entry, now)), Head::Sent { of }),
            Settle::InDoubt { .. } => (Some(in_doubt(entry, now)), Head::Sent { of }),
            Settle::NotSent { .. } => {
                let entry = without_effect(entry);
                let outdated = entry.outdated && entry.may_be_replaced();
                (Some(entry).filter(|_| !outdated), Head::NotSent { of })
            }
            Settle::Parked { status, reason, left, .. } => {
                let parked = Parked { at: now, status: *status, reason: reason.clone() };
                let head = Head::Parked { of, parked: parked.clone() };
                let entry = match left {
                    Some(left) => self.in_part(entry, left),
                    None => entry,
                };
                (Some(park(entry, parked)), head)
            }
            Settle::Retry { .. } => (Some(self.retry(of, entry)), Head::Retry { of }),
            // Done above.
            Settle::Bundled { .. } | Settle::Discarded { .. } => return Ok(()),
        };
        self.change(of, entry);
        self.draft.note(now, self.epoch, &head);
        Ok(())
    }

    /// All or none of the entries: one that left the queue meanwhile makes it another bundle.
    fn bundle(&mut self, seqs: &[u64]) -> Result<(), SubmitError> {
        let entries: Option<Vec<Queued>> = seqs.iter().map(|seq| self.queued(*seq)).collect();
        let entries = entries.ok_or(SubmitError::NotQueued)?;
        let now = self.now();
        let number = NonZeroU64::new(self.draft.base.last_seq + 1);
        for (seq, entry) in seqs.iter().zip(entries) {
            let bundle = entry.bundle.or(number);
            self.change(*seq, Some(Queued { bundle, ..sent(entry, now) }));
        }
        self.draft.note(now, self.epoch, &Head::Bundled { of: seqs.into() });
        Ok(())
    }

    /// The entry leaves; where it created something, all that is queued about that leaves with it.
    fn discard(&mut self, of: u64, who: &str, why: &str, then: Option<&D::Command>) -> Result<(), SubmitError> {
        let entry = self.queued(of).ok_or(SubmitError::NotQueued)?;
        let now = self.now();
        let endpoint = entry.endpoint;
        let mut also = Vec::new();
        if self.creates(of) {
            let gone: Vec<EntityKey> = entry.subjects().collect();
            for seq in self.queued_about(&gone) {
                // What names others too is still for them.
                let all = |entry: &Queued| entry.subjects().all(|key| gone.contains(&key));
                if seq != of && self.queued(seq).as_ref().is_some_and(all) {
                    also.push(seq);
                }
            }
        }
        for seq in also.iter().chain([&of]) {
            self.change(*seq, None);
        }
        self.draft
            .note(now, self.epoch, &Head::Discarded { of, also, who: who.into(), why: why.into() });
        let seq = self.draft.base.last_seq;
        if let Some(command) = then {
            for (of, command) in self.follow_one(seq, endpoint, command, Stance::Standby) {
                self.follow(of, endpoint, vec![command], Stance::Standby);
            }
        }
        Ok(())
    }

    /// What is left of an entry. The upstream answered for each item, so it has nothing of these.
    fn in_part(&self, entry: Queued, left: &Left<D>) -> Queued {
        let mut touches = queue::ordering(&self.named_by(&left.parsed.command));
        // Nobody is held back who was not before.
        touches.retain(|touch| entry.keys().any(|key| key == touch.key));
        Queued { touches, left: Some(left.places.clone()), progress: Progress::NeverSent, ..entry }
    }

    /// The upstream remembers its refusal under the old key; but where it may have applied the entry, only the old key is
    /// safe. A client may have used a key of its own elsewhere, too, and a conflict may be with that: the first retry
    /// after one keeps such a key.
    fn retry(&mut self, seq: u64, entry: Queued) -> Queued {
        let refused = entry.parked.as_ref().and_then(|parked| parked.status);
        let rekeys = refused.is_some() && entry.progress == Progress::NeverSent;
        let conflict = matches!(refused, Some(409 | 425));
        let keeps = rekeys && conflict && !entry.retry.kept_key && self.is_about(seq, |replay| replay.from_client);
        Queued {
            parked: None,
            rekeyed: entry.rekeyed.saturating_add(u8::from(rekeys && !keeps)),
            retry: Retry { kept_key: entry.retry.kept_key || keeps, insisted: true },
            ..entry
        }
    }

    /// Whether the entry created something that the upstream was to know.
    fn creates(&mut self, seq: u64) -> bool {
        self.is_about(seq, |replay| replay.created.is_some())
    }

    fn is_about(&mut self, seq: u64, is: impl Fn(&ReplayHead<'_>) -> bool) -> bool {
        if let Some(record) = self.recorded(seq) {
            return record.replay().is_some_and(|replay| is(&replay));
        }
        match self.shared.reader.record(seq) {
            Ok(record) => record.is_some_and(|record| record.replay().is_some_and(|replay| is(&replay))),
            Err(error) => {
                tracing::error!(seq, %error, "the record of an entry cannot be read");
                false
            }
        }
    }

    /// The entries about any of these subjects, with the changes of this batch.
    pub(super) fn queued_about(&self, subjects: &[EntityKey]) -> Vec<u64> {
        let mut seqs: Vec<u64> = subjects.iter().flat_map(|key| self.shared.queue().about(*key)).collect();
        seqs.extend(self.draft.queue.keys());
        seqs.sort_unstable();
        seqs.dedup();
        seqs.retain(|seq| {
            self.queued(*seq)
                .is_some_and(|entry| entry.subjects().any(|key| subjects.contains(&key)))
        });
        seqs
    }

    /// The entry leaves, its fences fall, the upstream's id is kept and its answer observed: one record.
    ///
    /// An answer that names the id of something created here is always told to the domain: it is the only one that
    /// will. Any other is ignored where further entries are queued about the same.
    fn acknowledge(&mut self, of: u64, exchange: Option<&Exchange<D::Command>>, span: Span, by: Option<By<'_>>) {
        let now = self.now();
        self.change(of, None);
        let observed = exchange.map(|exchange| self.domain.observe(&self.draft.base.city, exchange));
        let created = exchange.and_then(|exchange| exchange.created.as_deref());
        let (command, upstream_id) = observed.map_or((None, None), |observed| (observed.command, observed.upstream_id));
        let events = command.and_then(|command| {
            let named = self.named_by(&command);
            self.ticks.written(&named, span.finished);
            if created.is_none() && fenced(&self.draft.base.fences, &named) {
                return None;
            }
            self.ask(&command, Stance::Standby, now).ok()
        });
        let (events, then, joined) =
            events.map_or_else(Default::default, |decision| (decision.events, decision.then, decision.joined));
        let seq = self.record(now, &events, Bytes::new());
        self.join(&joined);
        let touches = self.apply(&events, seq);
        self.ticks.written(&touches, span.finished);
        if let (Some(local), Some(upstream)) = (created, &upstream_id) {
            self.draft
                .aliases
                .push(Alias { local: local.into(), upstream: upstream.clone(), seq });
        }
        let head = Head::Acknowledged {
            of,
            status: exchange.map(|exchange| exchange.status),
            upstream_id: upstream_id.as_deref().map(Into::into),
            by,
        };
        if let Some(record) = self.recorded(seq) {
            record.head = head.encode();
        }
        self.draft.durable = true;
        if let Some(exchange) = exchange {
            self.follow(seq, exchange.endpoint, then, Stance::Standby);
        }
    }
}

/// An attempt begins. Whatever comes of it, an earlier one without an answer stays possibly applied.
fn sent(entry: Queued, now: Time) -> Queued {
    let progress = match entry.progress {
        Progress::NeverSent => Progress::Attempting { since: now },
        Progress::Attempting { since } | Progress::PossiblyApplied { since } => Progress::PossiblyApplied { since },
    };
    let retry = Retry { insisted: false, ..entry.retry };
    Queued { progress, attempts: entry.attempts.saturating_add(1), retry, ..entry }
}

/// An attempt is over without a definite end, marked beforehand or not.
fn in_doubt(entry: Queued, now: Time) -> Queued {
    let (since, more) = match entry.progress {
        Progress::NeverSent => (now, 1),
        Progress::Attempting { since } | Progress::PossiblyApplied { since } => (since, 0),
    };
    let attempts = entry.attempts.saturating_add(more);
    Queued { progress: Progress::PossiblyApplied { since }, attempts, ..entry }
}

/// The attempt under way had a definite end without effect.
fn without_effect(entry: Queued) -> Queued {
    let progress = match entry.progress {
        Progress::Attempting { .. } => Progress::NeverSent,
        other => other,
    };
    // What the upstream may have of a bundle stays in it.
    let bundle = entry.bundle.filter(|_| progress != Progress::NeverSent);
    Queued { bundle, progress, ..entry }
}

fn park(entry: Queued, parked: Parked) -> Queued {
    let entry = match parked.status {
        Some(_) => without_effect(entry),
        None => entry,
    };
    Queued { parked: Some(Box::new(parked)), ..entry }
}
