//! What became of queued entries.

use bytes::Bytes;
use megamind_domain::{Domain, Exchange, Stance, Time};

use super::{Message, draft::Trial};
use crate::{
    Parked, Settle, Span, SubmitError,
    journal::{Alias, Reader},
    published::fenced,
    queue::{Progress, Queued},
    record::Head,
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
        let of = settle.seq();
        let entry = self.queued(of).ok_or(SubmitError::NotQueued)?;
        let now = self.now();
        let (entry, head) = match settle {
            Settle::Acknowledged { exchange, span, .. } => {
                self.acknowledge(of, exchange.as_ref(), *span, now);
                return Ok(());
            }
            Settle::Sent { .. } => (Some(sent(entry, now)), Head::Sent { of }),
            Settle::NotSent { .. } => (Some(without_effect(entry)), Head::NotSent { of }),
            Settle::Parked { status, reason, .. } => {
                let parked = Parked { at: now, status: *status, reason: reason.clone() };
                let head = Head::Parked { of, parked: parked.clone() };
                (Some(park(entry, parked)), head)
            }
            Settle::Retry { .. } => (Some(retry(entry)), Head::Retry { of }),
            Settle::Discarded { who, why, .. } => {
                let head = Head::Discarded { of, who: who.into(), why: why.into() };
                (None, head)
            }
        };
        self.change(of, entry);
        self.draft.note(now, self.epoch, &head);
        Ok(())
    }

    /// The entry leaves, its fences fall, the upstream's id is kept and its answer observed: one record.
    ///
    /// An answer that names the id of something created here is always told to the domain: it is the only one that
    /// will. Any other is ignored where further entries are queued about the same.
    fn acknowledge(&mut self, of: u64, exchange: Option<&Exchange<D::Command>>, span: Span, now: Time) {
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
        let (events, then) = events.map_or_else(Default::default, |decision| (decision.events, decision.then));
        let seq = self.record(now, &events, Bytes::new());
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
    Queued { progress, attempts: entry.attempts.saturating_add(1), ..entry }
}

/// The attempt under way had a definite end without effect.
fn without_effect(entry: Queued) -> Queued {
    let progress = match entry.progress {
        Progress::Attempting { .. } => Progress::NeverSent,
        other => other,
    };
    Queued { progress, ..entry }
}

fn park(entry: Queued, parked: Parked) -> Queued {
    let entry = match parked.status {
        Some(_) => without_effect(entry),
        None => entry,
    };
    Queued { parked: Some(Box::new(parked)), ..entry }
}

/// The upstream remembers its refusal under the old key; but where it may have applied the entry, only the old key is
/// safe.
fn retry(entry: Queued) -> Queued {
    let refused = entry.parked.as_ref().is_some_and(|parked| parked.status.is_some());
    let fresh_key = refused && entry.progress == Progress::NeverSent;
    Queued { parked: None, rekeyed: entry.rekeyed.saturating_add(u8::from(fresh_key)), ..entry }
}
