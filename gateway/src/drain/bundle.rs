//! One request for many entries.
//!
//! Values of slots (positions) go under one key, and stay together until each is settled. Entries of other kinds go
//! each under its own key, once: what does not pass so goes by itself from then on.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::HeaderMap;
use megamind_conf::{Credentials, Settlement};
use megamind_domain::{Domain, Endpoint, Request};
use megamind_store::{Entry, Settle, Span, SubmitError, Work};
use pingora::http::ResponseHeader;
use tokio::task::JoinSet;

use super::{
    replay::{self, Ended},
    verdict::{About, Kind, Verdict, is_without_effect, judge},
    worker::Done,
};
use crate::{
    core::Core,
    credentials::Speaker,
    handback::{Member, Said},
    outbound::{self, Ask},
    upstream::{Applied, Exchanger, Failure, decoded, media_type, retry_after},
};

/// The longest answer that is read: some hundred bytes for each of ten thousand members.
const COLLECT: usize = 4 * 1024 * 1024;

/// Statuses that say that there is no such endpoint, or none that takes this form.
const NO_BULK: [u16; 8] = [400, 404, 405, 410, 413, 415, 422, 501];

/// Sends the values of slots.
pub(super) async fn slots<D: Domain>(core: &Arc<Core<D>>, exchanger: &Exchanger, work: &[Work]) -> Done {
    let entries = match together(core, work).await {
        Ok(entries) => entries,
        Err(ended) => return all(work, &ended),
    };
    let seqs: Vec<u64> = work.iter().map(|work| work.seq).collect();
    // The members are journaled before they are sent, so that a retry has the same even after a crash.
    match core.store.settle(Settle::Bundled { seqs }).await {
        Ok(()) => {}
        Err(SubmitError::NotQueued) => return all(work, &Ended::Alone),
        Err(error) => return all(work, &Ended::Local(error.to_string())),
    }
    let Some((endpoint, request)) = joined(core, &entries) else {
        undo(core, work).await;
        return all(work, &Ended::Alone);
    };
    let number = core.store.bundle_of(entries[0].seq).unwrap_or(0);
    let key = format!("{}-{}-b{number}", core.config.city.as_str(), entries[0].epoch);
    let began = Instant::now();
    let answer = exchange(core, exchanger, &entries, &request, Some(&key)).await;
    let took = Some(began.elapsed());
    let done = match answer {
        Ok((head, body)) if head.status.is_success() => {
            let said = results(core, &head, &body, work.len());
            // Whoever says yes to all of them may say so in any form.
            let said = said.unwrap_or_else(|| vec![Said { status: 200 }; work.len()]);
            settle_each(core, &entries, &said, &head.headers).await
        }
        Ok((head, _)) if NO_BULK.contains(&head.status.as_u16()) => {
            tracing::warn!(endpoint = endpoint.0, status = head.status.as_u16(), "a bulk request was refused");
            undo(core, work).await;
            Done { no_bulk: true, ..all(work, &Ended::Alone) }
        }
        Ok((head, _)) => not_now(core, work, &head).await,
        Err(failure) => failed(core, work, failure).await,
    };
    Done { took, ..done }
}

/// Sends entries that were never sent before, each under its own key.
pub(super) async fn events<D: Domain>(core: &Arc<Core<D>>, exchanger: &Exchanger, work: &[Work]) -> Done {
    let mut entries = match together(core, work).await {
        Ok(entries) => entries,
        Err(ended) => return all(work, &ended),
    };
    let marked = replay::mark_sent(core, entries.iter().map(|entry| entry.seq)).await;
    match marked {
        // Somebody may have settled one meanwhile.
        Ok(gone) => entries.retain(|entry| !gone.contains(&entry.seq)),
        Err(error) => return all(work, &Ended::Local(error.to_string())),
    }
    if entries.is_empty() {
        return all(&[], &Ended::Alone);
    }
    let Some((_, request)) = joined(core, &entries) else {
        undo(core, work).await;
        return all(work, &Ended::Alone);
    };
    let began = Instant::now();
    let answer = exchange(core, exchanger, &entries, &request, None).await;
    let took = Some(began.elapsed());
    let done = match answer {
        Ok((head, body)) if head.status.is_success() => match results(core, &head, &body, entries.len()) {
            Some(said) => settle_each(core, &entries, &said, &head.headers).await,
            // It did something, and nobody knows to which of them.
            None => Done { no_bulk: true, ..in_doubt(core, work, &Ended::Alone).await },
        },
        Ok((head, _)) if NO_BULK.contains(&head.status.as_u16()) => {
            undo(core, work).await;
            Done { no_bulk: true, ..all(work, &Ended::Alone) }
        }
        Ok((head, _)) => not_now(core, work, &head).await,
        Err(failure) => failed(core, work, failure).await,
    };
    Done { took, ..done }
}

/// The entries, read, where they may go together. Where one of them has a credential of its own speaker, which speaks
/// for nobody else, each goes by itself; but what was sent together before stays together.
async fn together<D: Domain>(core: &Arc<Core<D>>, work: &[Work]) -> Result<Vec<Entry>, Ended> {
    let entries = read(core, work).await.map_err(Ended::Local)?;
    let sent_before = work.iter().any(|work| work.bundle.is_some());
    if sent_before || core.config.drain.credentials != Credentials::Subject {
        return Ok(entries);
    }
    for entry in &entries {
        let parsed = core.parsed(entry.endpoint, &replay::request(entry));
        let speaker = parsed.and_then(|parsed| parsed.subject.clone());
        let carried = core
            .credential_for(entry, speaker.as_deref().map_or(Speaker::Nobody, Speaker::Named))
            .await;
        if carried.is_none_or(|carried| carried.secret.is_some()) {
            return Err(Ended::Alone);
        }
    }
    Ok(entries)
}

fn all(work: &[Work], ended: &Ended) -> Done {
    Done {
        ended: work.iter().map(|work| (work.seq, ended.clone())).collect(),
        took: None,
        no_bulk: false,
    }
}

/// An answer that is neither yes nor no.
async fn not_now<D: Domain>(core: &Arc<Core<D>>, work: &[Work], head: &ResponseHeader) -> Done {
    let status = head.status.as_u16();
    let again = Ended::Again {
        why: format!("a bulk request was answered with {status}"),
        after: retry_after(head),
        status: Some(status),
    };
    if is_without_effect(status, false) {
        undo(core, work).await;
        return all(work, &again);
    }
    in_doubt(core, work, &again).await
}

/// No answer that counts.
async fn failed<D: Domain>(core: &Arc<Core<D>>, work: &[Work], failure: Failure) -> Done {
    core.note_failure(&failure);
    let failed = Ended::Failed { why: failure.reason.to_string(), after: failure.retry_after };
    if failure.applied == Applied::No {
        undo(core, work).await;
        return all(work, &failed);
    }
    in_doubt(core, work, &failed).await
}

/// None of them was applied, for certain.
async fn undo<D: Domain>(core: &Arc<Core<D>>, work: &[Work]) {
    let seqs = work.iter().map(|work| work.seq);
    if let Err(error) = replay::mark(core, seqs, |seq| Settle::NotSent { seq }).await {
        tracing::warn!(%error, "entries stay possibly applied");
    }
}

/// Each of them may have been applied: so it stays, whatever a later attempt is answered.
async fn in_doubt<D: Domain>(core: &Arc<Core<D>>, work: &[Work], ended: &Ended) -> Done {
    let seqs = work.iter().map(|work| work.seq);
    match replay::mark(core, seqs, |seq| Settle::InDoubt { seq }).await {
        Ok(_) => all(work, ended),
        Err(error) => all(work, &Ended::Local(error.to_string())),
    }
}

async fn read<D: Domain>(core: &Arc<Core<D>>, work: &[Work]) -> Result<Vec<Entry>, String> {
    let (store, seqs) = (core.store.clone(), work.iter().map(|work| work.seq).collect::<Vec<_>>());
    let read = tokio::task::spawn_blocking(move || {
        let entries = seqs.into_iter().map(|seq| store.entry(seq));
        entries.collect::<Result<Option<Vec<_>>, _>>()
    });
    match read.await {
        Ok(Ok(Some(entries))) if !entries.is_empty() => {
            Ok(entries.into_iter().map(|entry| replay::outgoing(core, entry)).collect())
        }
        Ok(Ok(_)) => Err("an entry is gone".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// The one request for all of them.
fn joined<D: Domain>(core: &Core<D>, entries: &[Entry]) -> Option<(Endpoint, Request)> {
    let requests: Vec<Request> = entries.iter().map(replay::request).collect();
    let members: Vec<Member<'_>> = (entries.iter().zip(&requests))
        .map(|(entry, request)| Member { endpoint: entry.endpoint, request, key: entry.key.as_deref() })
        .collect();
    core.guarded(|| core.handback.bulk(&core.domain, &members)).ok()?
}

async fn exchange<D: Domain>(
    core: &Core<D>,
    exchanger: &Exchanger,
    entries: &[Entry],
    request: &Request,
    key: Option<&str>,
) -> Result<(Box<ResponseHeader>, Bytes), Failure> {
    let first = &entries[0];
    let carried = core.credential_for(first, Speaker::Nobody).await;
    let ask = Ask {
        request,
        key,
        secret: carried.as_ref().and_then(|carried| carried.secret.as_ref()),
        headers: replay::headers(first),
        collect: COLLECT,
        repeatable: core.config.upstream.idempotency == Settlement::Key,
    };
    let (head, body) = outbound::ask(core, exchanger, ask).await?;
    Ok((head, body.unwrap_or_default()))
}

fn results<D: Domain>(core: &Core<D>, head: &ResponseHeader, body: &Bytes, members: usize) -> Option<Vec<Said>> {
    let plain = decoded(&head.headers, body)?;
    let said = core.guarded(|| core.handback.results(&core.domain, &plain, members));
    said.ok().flatten().filter(|said| said.len() == members)
}

/// What the upstream said about each, as if each had been sent alone.
async fn settle_each<D: Domain>(core: &Arc<Core<D>>, entries: &[Entry], said: &[Said], headers: &HeaderMap) -> Done {
    let in_form = media_type(headers).contains("json");
    let mut settling = JoinSet::new();
    for (entry, said) in entries.iter().zip(said) {
        let request = Arc::new(replay::request(entry));
        let fact = core.parsed(entry.endpoint, &request).is_some_and(|parsed| parsed.fact);
        let kind = match (entry.own, fact) {
            (true, _) => Kind::Own,
            (_, true) => Kind::Fact,
            _ => Kind::Decision,
        };
        let about = About { kind, unnamed: false, unsettled: false, in_form };
        let verdict = judge(said.status, about, core.config.drain.on_conflict);
        let (core, seq, status) = (core.clone(), entry.seq, said.status);
        settling.spawn(async move { (seq, settle_one(&core, seq, status, verdict).await) });
    }
    let mut ended = Vec::with_capacity(entries.len());
    while let Some(settled) = settling.join_next().await {
        ended.extend(settled);
    }
    // One that panicked is as it was.
    Done { ended, took: None, no_bulk: false }
}

async fn settle_one<D: Domain>(core: &Core<D>, seq: u64, status: u16, verdict: Verdict) -> Ended {
    match verdict {
        Verdict::Acknowledged => {
            let tick = core.store.tick();
            let span = Span { started: tick, finished: tick };
            replay::settled(core, Settle::Acknowledged { seq, exchange: None, span }, Ended::Settled("acknowledged"))
                .await
        }
        Verdict::Yielded(why) => replay::discard(core, seq, why, status).await,
        Verdict::Parked(reason) => {
            let parked = Settle::Parked { seq, status: Some(status), reason, left: None };
            replay::settled(core, parked, Ended::Refused { status: Some(status) }).await
        }
        Verdict::Again(why) => {
            let again = Ended::Again { why: format!("{why} ({status})"), after: None, status: Some(status) };
            let of = if is_without_effect(status, true) {
                Settle::NotSent { seq }
            } else {
                Settle::InDoubt { seq }
            };
            replay::settled(core, of, again).await
        }
    }
}
