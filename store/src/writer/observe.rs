//! What exchanges with the upstream tell.

use bytes::Bytes;
use megamind_domain::{Domain, Exchange, Replay, Stance, Time};

use super::draft::{Trial, append_events};
use crate::{Span, published::fenced, record::Head};

/// Events in one record of observations, in bytes; the next exchange begins another one.
const MAX_EVENTS: usize = 64 * 1024;

impl<D: Domain> Trial<'_, D> {
    /// A watched exchange. Fenced entities ignore it; a read is ignored too where a write overlapped or followed it.
    pub(super) fn observe(&mut self, exchange: &Exchange<D::Command>, span: Span) {
        let read = self.routes.is_read(exchange.endpoint);
        if !read && let Some(parsed) = &exchange.parsed {
            let named = self.named_by(&parsed.command);
            self.ticks.written(&named, span.finished);
        }
        let observed = self.domain.observe(&self.draft.base.city, exchange);
        let Some(command) = observed.command else {
            return;
        };
        let named = self.named_by(&command);
        if !read {
            self.ticks.written(&named, span.finished);
        }
        let overtaken = read && !self.ticks.allow_read(&named, span.started);
        if overtaken || fenced(&self.draft.base.fences, &named) {
            self.shared.metrics.observation_ignored();
            return;
        }
        let now = self.now();
        let Ok(decision) = self.ask(&command, Stance::Standby, now) else {
            self.shared.metrics.observation_ignored();
            return;
        };
        if decision.events.is_empty() && decision.then.is_empty() {
            return;
        }
        let seq = self.record_observed(now, &decision.events);
        let touches = self.apply(&decision.events, seq);
        self.join(&decision.joined);
        if !read {
            self.ticks.written(&touches, span.finished);
            // The upstream has newer values than those that wait for it.
            match &decision.replay {
                Replay::Newest { slot, .. } => self.supersede(*slot, None),
                Replay::Known { slots } => slots.iter().for_each(|slot| self.supersede(*slot, None)),
                _ => {}
            }
        }
        self.follow(seq, exchange.endpoint, decision.then, Stance::Standby);
    }

    /// Adds what an exchange told to the record of those before it in this batch, as long as nothing else was recorded
    /// since: thousands of exchanges a second are not worth a record each.
    fn record_observed(&mut self, at: Time, events: &[D::Event]) -> u64 {
        let open = self.draft.watching;
        if let Some(record) = self.draft.records.last_mut()
            && open == Some(record.seq)
            && record.events.len() < MAX_EVENTS
        {
            append_events(&mut record.events, events);
            record.at = at;
            self.draft.base.last_at = at;
            return record.seq;
        }
        let seq = self.record(at, events, Bytes::new());
        if let Some(record) = self.recorded(seq) {
            record.head = Head::Watched.encode();
        }
        self.draft.watching = Some(seq);
        seq
    }
}
