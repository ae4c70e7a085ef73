//! Committing a draft, or finding out what became of it.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use megamind_domain::{Domain, EntityKey, Time};

use super::{Message, Pending, Verdict, Writer, draft::Draft};
use crate::{
    Health, SubmitError,
    journal::{AppendError, Batch, BatchId, Row},
    keys::{self, KeyRow},
    open, queue,
    record::Head,
};

/// A batch whose commit failed, and that may be in the journal all the same. Whoever waits for it keeps waiting.
pub(super) struct Unresolved<D: Domain> {
    draft: Draft<D>,
    id: BatchId,
    batch: Vec<Message<D>>,
    verdicts: Vec<Verdict>,
}

impl<D: Domain> Writer<D> {
    /// Publishes observations at once; commits everything else first. Then answers.
    pub(super) fn conclude(
        &mut self,
        mut draft: Draft<D>,
        rows: BTreeMap<EntityKey, Row>,
        batch: Vec<Message<D>>,
        verdicts: Vec<Verdict>,
    ) {
        if draft.durable {
            self.commit(draft, rows, batch, verdicts);
            return;
        }
        if !draft.records.is_empty() {
            self.pending.records.append(&mut draft.records);
            self.pending.rows.extend(rows);
            self.pending.queue = mem::take(&mut draft.queue);
            self.remember(&draft.keys, draft.base.last_at);
            self.pending.keys.append(&mut draft.keys);
            self.pending.since.get_or_insert_with(Instant::now);
            let touched = draft.take_touched();
            self.base = draft.base;
            self.publish();
            self.shared.changes.tell(touched.keys());
        }
        answer(batch, verdicts);
    }

    /// Commits the observations that wait.
    pub(super) fn flush(&mut self) {
        let draft = Draft::new(self.base.clone(), &self.pending);
        self.commit(draft, BTreeMap::new(), Vec::new(), Vec::new());
    }

    /// Tries a journal that failed, with a record that says so.
    pub(super) fn probe(&mut self) {
        let Health::Failing { since, why } = Health::clone(&self.shared.health.load()) else {
            return;
        };
        let mut draft = Draft::new(self.base.clone(), &self.pending);
        let now = self.shared.time.wall().max(draft.base.last_at);
        let head = Head::Recovered { since: since.0, why: why.into() };
        draft.note(now, self.journal.epoch(), &head);
        self.commit(draft, BTreeMap::new(), Vec::new(), Vec::new());
    }

    pub(super) fn commit(
        &mut self,
        mut draft: Draft<D>,
        rows: BTreeMap<EntityKey, Row>,
        batch: Vec<Message<D>>,
        verdicts: Vec<Verdict>,
    ) {
        let append = self.assemble(&mut draft, rows);
        if append.records.is_empty() {
            self.pending.since = None;
            answer(batch, verdicts);
            return;
        }
        let began = Instant::now();
        self.last_attempt = began;
        let result = self.journal.append(&append);
        let metrics = &self.shared.metrics;
        metrics.commit_seconds.observe(began.elapsed());
        match result {
            Ok(_) => {
                self.committed(draft, append.records.len());
                answer(batch, verdicts);
            }
            Err(AppendError::Ambiguous(error)) => {
                metrics.failed_commits.fetch_add(1, Relaxed);
                self.alarm(&error.to_string());
                self.unresolved = Some(Unresolved { draft, id: append.id(), batch, verdicts });
                self.keep_pending(append);
                self.resolve();
            }
            Err(AppendError::Fenced(why)) => {
                metrics.failed_commits.fetch_add(1, Relaxed);
                self.alarm(&why);
                self.fenced = true;
                answer_all(batch, SubmitError::JournalUnavailable);
            }
        }
    }

    /// The waiting observations and the draft as one batch. The rows that wait stay behind where the draft has newer
    /// ones.
    fn assemble(&mut self, draft: &mut Draft<D>, rows: BTreeMap<EntityKey, Row>) -> Batch {
        let mut records = mem::take(&mut self.pending.records);
        records.append(&mut draft.records);
        let mut all_rows = mem::take(&mut self.pending.rows);
        for (key, row) in rows {
            if let Some(older) = all_rows.insert(key, row) {
                self.pending.rows.insert(key, older);
            }
        }
        let pack = |(seq, entry): (&u64, &Option<queue::Queued>)| (*seq, entry.as_ref().map(queue::pack));
        Batch {
            epoch: self.journal.epoch(),
            expected_last: self.durable_seq,
            records,
            rows: all_rows.into_values().collect(),
            queue: draft.queue.iter().map(pack).collect(),
            aliases: draft.aliases.clone(),
            keys: keys::pack(&[&self.pending.keys[..], &draft.keys].concat()),
            mode: draft.mode.clone(),
            names: draft.names.clone(),
            secrets: draft.secrets.clone(),
            released: draft.released,
            trusted_since: draft.trusted_since,
            newest_id: draft.base.ids.newest(),
        }
    }

    /// Takes the observations back from a batch that failed.
    fn keep_pending(&mut self, append: Batch) {
        let published = self.base.last_seq;
        let records = append.records.into_iter();
        self.pending.records = records.take_while(|record| record.seq <= published).collect();
        let rows = append.rows.into_iter().filter(|row| row.seq <= published);
        self.pending.rows.extend(rows.map(|row| (row.key, row)));
    }

    fn committed(&mut self, mut draft: Draft<D>, records: usize) {
        let touched = draft.take_touched();
        let Draft { base, queue, keys, aliases, mode, released, trusted_since, released_keys, .. } = draft;
        self.durable_seq = base.last_seq;
        self.pending = Pending::default();
        self.remember(&keys, base.last_at);
        let time = &self.shared.time;
        time.wrote(base.last_at);
        if let Some(since) = trusted_since {
            tracing::info!("the clock is right again: ages count from now on");
            time.trusted_from(since);
        }
        if released {
            self.shared.restored.store(None);
        }
        self.shared.aliases.learn(&aliases);
        if let Some(mode) = mode {
            self.shared.mode.store(Some(Arc::new(mode)));
        }
        self.shared.queue().apply(queue, &base.fences);
        self.base = base;
        self.publish();
        self.shared.changes.tell(touched.keys().chain(&released_keys));
        let metrics = &self.shared.metrics;
        metrics.commits.fetch_add(1, Relaxed);
        metrics.records.fetch_add(records as u64, Relaxed);
        if metrics.commits.load(Relaxed) % 64 == 1 {
            metrics.file_bytes.store(self.journal.bytes(), Relaxed);
        }
        if self.failing() {
            tracing::info!("the journal takes writes again");
            self.shared.health.store(Arc::new(Health::Ok));
        }
    }

    /// From now on the requests under these keys are repetitions.
    fn remember(&self, keys: &[KeyRow], at: Time) {
        if keys.is_empty() {
            return;
        }
        let ages = self.shared.time.ages();
        let mut known = self.shared.keys();
        for key in keys {
            known.insert(key, at, ages);
        }
    }

    fn publish(&mut self) {
        let published = open::published(&self.base, self.durable_seq, &self.shared);
        self.shared.published.store(Arc::new(published));
    }

    /// Looks whether the batch of unknown fate is in the journal, and answers whoever waits for it.
    pub(super) fn resolve(&mut self) {
        let Some(unresolved) = self.unresolved.take() else {
            return;
        };
        match self.journal.tail() {
            Ok(tail) if tail.batch == unresolved.id => {
                tracing::warn!("the commit that failed is in the journal");
                let records = tail.seq - self.durable_seq;
                self.committed(unresolved.draft, records as usize);
                answer(unresolved.batch, unresolved.verdicts);
            }
            Ok(_) => {
                let (observations, rest): (Vec<_>, Vec<_>) =
                    unresolved.batch.into_iter().partition(Message::is_observation);
                answer_all(rest, SubmitError::JournalUnavailable);
                self.carry(observations);
            }
            Err(error) => {
                tracing::error!(%error, "the tail cannot be read: nobody is answered until it can");
                self.unresolved = Some(unresolved);
            }
        }
    }

    /// What comes while the fate of a batch is unknown: observations wait, and the rest is refused before anything
    /// of it is written.
    pub(super) fn refuse(&mut self, batch: Vec<Message<D>>) {
        let (observations, rest): (Vec<_>, Vec<_>) = batch.into_iter().partition(Message::is_observation);
        self.carry(observations);
        answer_all(rest, SubmitError::JournalUnavailable);
    }

    /// Keeps observations for later, as many as the queue to the writer could hold.
    fn carry(&mut self, observations: Vec<Message<D>>) {
        let max = self.shared.options.max_queue;
        let room = max.saturating_sub(self.carried.len() + self.pending.records.len());
        let dropped = observations.len().saturating_sub(room);
        self.carried.extend(observations.into_iter().take(room));
        if dropped > 0 {
            let metrics = &self.shared.metrics;
            metrics.dropped_writes.fetch_add(dropped as u64, Relaxed);
            tracing::warn!(dropped, "observations dropped: the journal cannot be written");
        }
    }

    fn alarm(&mut self, why: &str) {
        tracing::error!(why, "the journal cannot be written");
        let known = Health::clone(&self.shared.health.load());
        let since = match known {
            Health::Failing { since, .. } => since,
            Health::Ok => self.now(),
        };
        self.shared.health.store(Arc::new(Health::Failing { since, why: why.into() }));
    }

    fn now(&self) -> Time {
        self.shared.time.wall().max(self.base.last_at)
    }
}

fn answer<D: Domain>(batch: Vec<Message<D>>, verdicts: Vec<Verdict>) {
    for (message, verdict) in batch.into_iter().zip(verdicts) {
        message.answer(verdict);
    }
}

fn answer_all<D: Domain>(batch: Vec<Message<D>>, error: SubmitError) {
    for message in batch {
        message.answer(Verdict::Failed(error));
    }
}
