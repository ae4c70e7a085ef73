//! One attempt at one entry.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use megamind_conf::Settlement;
use megamind_domain::{Domain, Exchange, Request, Role, Time};
use megamind_store::{Entry, SendState, Settle, Span, SubmitError, Work};
use pingora::http::ResponseHeader;
use tokio::task::JoinSet;

use super::{
    gate::Gate,
    items,
    lookup::{self, Found, NoAnswer},
    verdict::{About, Kind, Verdict, is_without_effect, judge},
};
use crate::{
    core::{Core, rfc3339, seen, wall_clock},
    credentials::{Carried, Speaker},
    outbound::{self, Ask},
    upstream::{Applied, Exchanger, Failure, media_type, retry_after},
};

/// The longest answer to a replay that is read.
const COLLECT: usize = 256 * 1024;

/// Why an entry is put aside that may have been applied.
const NO_PROOF: &str = "it may have been applied, and a repetition might have a second effect";

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The entry left the queue: the outcome's label.
    Settled(&'static str),
    /// It was parked; the status, where the upstream refused it.
    Refused {
        /// The upstream's answer.
        status: Option<u16>,
    },
    /// It stays, and goes by itself from now on.
    Alone,
    /// It stays; the upstream is there. Why.
    Again {
        /// For the log.
        why: String,
        /// Seconds of a `Retry-After`.
        after: Option<u32>,
        /// The upstream's answer, where there was one.
        status: Option<u16>,
    },
    /// It stays; the upstream failed by the test of failure.
    Failed {
        /// For the log.
        why: String,
        /// Seconds of a `Retry-After`.
        after: Option<u32>,
    },
    /// It stays, and was not sent or refused for want of a credential that the upstream accepts: others go on.
    Waits,
    /// It stays for that long, though nothing is wrong.
    Later {
        /// For the log.
        why: &'static str,
        /// How long.
        after: Duration,
    },
    /// It was not sent, because nothing is to be sent now.
    Held,
    /// It could not be read or settled here; the queue is as it was.
    Local(String),
}

/// Sends one entry and settles what came of it; and how long the upstream took.
pub(super) async fn attempt<D: Domain>(
    core: &Arc<Core<D>>,
    exchanger: &Exchanger,
    gate: &Arc<Gate>,
    work: &Work,
) -> (Ended, Option<Duration>) {
    let (entry, carried) = match prepared(core, exchanger, work).await {
        Ok(prepared) => prepared,
        Err(ended) => return (ended, None),
    };
    let Some(pass) = gate.enter().await else {
        return (unsent(core, &entry, Ended::Held).await, None);
    };
    let started = core.store.tick();
    let began = Instant::now();
    let exchanged = exchange(core, exchanger, &entry, &carried).await;
    drop(pass);
    let took = Some(began.elapsed());
    let ended = match exchanged {
        Ok((head, _)) if matches!(head.status.as_u16(), 401 | 403) && core.credentials.refused(&carried) => {
            // Whoever asks for a credential is there.
            core.modes.good();
            unsent(core, &entry, Ended::Waits).await
        }
        Ok((head, body)) => {
            if head.status.is_success() {
                core.credentials.passed(&carried);
            }
            answered(core, &entry, &head, &body, started).await
        }
        Err(failure) => failed(core, &entry, failure).await,
    };
    (ended, took)
}

/// The entry, read, with the credential that it goes with; marked as sent where a repetition would not be harmless.
async fn prepared<D: Domain>(
    core: &Arc<Core<D>>,
    exchanger: &Exchanger,
    work: &Work,
) -> Result<(Entry, Carried), Ended> {
    let seq = work.seq;
    let entry = match read(core, seq).await {
        Ok(Some(entry)) => entry,
        Ok(None) => return Err(Ended::Local("the entry is gone".into())),
        Err(error) => return Err(Ended::Local(error)),
    };
    let parsed = core.parsed(entry.endpoint, &request(&entry));
    let named = parsed.as_ref().and_then(|parsed| parsed.subject.as_deref());
    let owner = if named.is_none() { owner(core, work) } else { None };
    let speaker = match (named, owner.as_deref()) {
        (Some(named), _) => Speaker::Named(named),
        (None, Some(owner)) => Speaker::Owner(owner),
        (None, None) => Speaker::Nobody,
    };
    let carried = core.credential_for(&entry, speaker).await.ok_or(Ended::Waits)?;
    if let SendState::PossiblyApplied { since } = entry.state
        && !entry.insisted
        && let Some(ended) = in_doubt(core, exchanger, &entry, &carried, since).await
    {
        return Err(ended);
    }
    if let Err(error) = core.store.settle(Settle::Sent { seq }).await {
        return Err(Ended::Local(error.to_string()));
    }
    Ok((entry, carried))
}

/// The owner of what a request is about.
fn owner<D: Domain>(core: &Core<D>, work: &Work) -> Option<Box<str>> {
    let published = core.store.published();
    let mut subjects = work.touches.iter().filter(|touch| touch.role == Role::Subject);
    core.guarded(|| subjects.find_map(|touch| core.handback.speaker(&core.domain, &published.city, touch.key)))
        .ok()
        .flatten()
}

/// The attempt was turned away: nothing of it was applied, and the entry is as it was before.
async fn unsent<D: Domain>(core: &Core<D>, entry: &Entry, ended: Ended) -> Ended {
    let seq = entry.seq;
    match entry.state {
        SendState::NeverSent => settled(core, Settle::NotSent { seq }, ended).await,
        // The operator's word still stands.
        SendState::PossiblyApplied { .. } if entry.insisted => settled(core, Settle::Retry { seq }, ended).await,
        SendState::PossiblyApplied { .. } => ended,
    }
}

/// Marks entries as sent, before the first byte of the attempt; those that left the queue meanwhile.
pub(super) async fn mark_sent<D: Domain>(
    core: &Core<D>,
    seqs: impl Iterator<Item = u64>,
) -> Result<Vec<u64>, SubmitError> {
    mark(core, seqs, |seq| Settle::Sent { seq }).await
}

/// Settles entries alike, in as few commits as can be; those that had left the queue.
pub(super) async fn mark<D: Domain>(
    core: &Core<D>,
    seqs: impl Iterator<Item = u64>,
    settle: impl Fn(u64) -> Settle<D>,
) -> Result<Vec<u64>, SubmitError> {
    let mut marks = JoinSet::new();
    for seq in seqs {
        let (store, settle) = (core.store.clone(), settle(seq));
        marks.spawn(async move { (seq, store.settle(settle).await) });
    }
    let mut gone = Vec::new();
    while let Some(marked) = marks.join_next().await {
        match marked {
            Ok((_, Ok(()))) => {}
            Ok((seq, Err(SubmitError::NotQueued))) => gone.push(seq),
            Ok((_, Err(error))) => return Err(error),
            Err(_) => return Err(SubmitError::Panicked),
        }
    }
    Ok(gone)
}

/// The journal's files are read off the runtime's threads.
async fn read<D: Domain>(core: &Arc<Core<D>>, seq: u64) -> Result<Option<Entry>, String> {
    let store = core.store.clone();
    match tokio::task::spawn_blocking(move || store.entry(seq)).await {
        Ok(Ok(entry)) => Ok(entry.map(|entry| outgoing(core, entry))),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// An entry as it goes out: what is left of it, and one that was put together from several, which is kept in another form.
pub(crate) fn outgoing<D: Domain>(core: &Core<D>, entry: Entry) -> Entry {
    let entry = items::in_part(core, entry);
    let goes = core.guarded(|| core.handback.outgoing(&core.domain, &request(&entry)));
    let Ok(Some(Request { method, path, query, content_type, content_encoding, body })) = goes else {
        return entry;
    };
    Entry { method, path, query, content_type, content_encoding, body, ..entry }
}

/// A write that may have been applied is repeated only where a repetition is known to have no second effect. Answers
/// with how the attempt ended where it is not repeated now.
async fn in_doubt<D: Domain>(
    core: &Arc<Core<D>>,
    exchanger: &Exchanger,
    entry: &Entry,
    carried: &Carried,
    since: Time,
) -> Option<Ended> {
    let settings = &core.config.upstream;
    let reason = match settings.idempotency {
        Settlement::Key => {
            let retention = u64::try_from(settings.key_retention.as_millis()).unwrap_or(u64::MAX);
            // While the clock is doubtful nothing is known to be old.
            let forgotten = core.store.time().age(since).is_some_and(|age| age > retention);
            if !forgotten {
                return None;
            }
            "it may have been applied, and the upstream no longer remembers its key"
        }
        Settlement::Hold => NO_PROOF,
        Settlement::Lookup => match lookup::look_up(core, exchanger, entry, carried).await {
            Ok(Found::Arrived(id)) => {
                core.modes.good();
                return Some(arrived(core, entry, id).await);
            }
            Ok(Found::Absent) if unsettled(core, entry.seq, since) > Duration::ZERO => {
                let why = "it has not arrived, but an earlier attempt may still be running";
                return Some(Ended::Later { why, after: unsettled(core, entry.seq, since) });
            }
            Ok(Found::Absent) if entry.unknown => {
                let why = "it did not arrive; its client knows that the outcome was unknown".into();
                let discarded = Settle::Discarded { seq: entry.seq, who: "drain".into(), why, then: None };
                return Some(settled(core, discarded, Ended::Settled("yielded")).await);
            }
            Ok(Found::Absent) => return None,
            Ok(Found::NotProvable) => NO_PROOF,
            Err(NoAnswer::Failed(failure)) => {
                core.note_failure(&failure);
                return Some(Ended::Failed { why: failure.reason.to_string(), after: failure.retry_after });
            }
            Err(NoAnswer::Credential) if core.credentials.refused(carried) => {
                core.modes.good();
                return Some(Ended::Waits);
            }
            Err(NoAnswer::Credential) => {
                let why = "the lookup was refused for want of a credential".into();
                return Some(Ended::Again { why, after: None, status: None });
            }
            Err(NoAnswer::Unclear { why, after }) => return Some(Ended::Again { why, after, status: None }),
        },
    };
    let parked = Settle::Parked { seq: entry.seq, status: None, reason: reason.into(), left: None };
    Some(settled(core, parked, Ended::Refused { status: None }).await)
}

/// How long the attempt that left an entry in doubt may still be running at the upstream. While the clock is doubtful, it
/// counts from when the doubt was first looked at: a clock that was set back would make it last for ever.
fn unsettled<D: Domain>(core: &Core<D>, seq: u64, since: Time) -> Duration {
    let age = core.store.time().age(since).map(Duration::from_millis);
    let age = age.unwrap_or_else(|| core.drain.in_doubt_for(seq));
    core.config.upstream.settle_after.saturating_sub(age)
}

/// The entry was applied by an earlier attempt, and this is the upstream's id for what it created.
async fn arrived<D: Domain>(core: &Core<D>, entry: &Entry, id: Box<str>) -> Ended {
    let now = core.store.tick();
    let span = Span { started: now, finished: now };
    let exchange = Some(arrival(core, entry, id));
    let acknowledged = Settle::Acknowledged { seq: entry.seq, exchange, span };
    settled(core, acknowledged, Ended::Settled("acknowledged")).await
}

/// What the upstream would have answered to an entry of which only the id is known that it gave to what was created.
pub(crate) fn arrival<D: Domain>(core: &Core<D>, entry: &Entry, id: Box<str>) -> Exchange<D::Command> {
    let request = Arc::new(request(entry));
    Exchange {
        endpoint: entry.endpoint,
        parsed: core.parsed(entry.endpoint, &request),
        request,
        status: 200,
        content_type: None,
        body: Bytes::new(),
        at: wall_clock(),
        created: entry.created.clone(),
        named: Some(id),
        settles: false,
    }
}

async fn exchange<D: Domain>(
    core: &Core<D>,
    exchanger: &Exchanger,
    entry: &Entry,
    carried: &Carried,
) -> Result<(Box<ResponseHeader>, Bytes), Failure> {
    let mut headers = headers(entry);
    if let Some(created) = &entry.created {
        let published = core.store.published();
        let annotated = core.guarded(|| core.domain.annotate(&published.city, created));
        headers.extend(annotated.unwrap_or_default());
    }
    let ask = Ask {
        request: &request(entry),
        key: entry.key.as_deref(),
        secret: carried.secret.as_ref(),
        headers,
        collect: COLLECT,
        repeatable: core.config.upstream.idempotency == Settlement::Key && entry.key.is_some(),
    };
    let (head, body) = outbound::ask(core, exchanger, ask).await?;
    Ok((head, body.unwrap_or_default()))
}

/// What a cloud can tell a replay by.
pub(super) fn headers(entry: &Entry) -> Vec<(&'static str, String)> {
    vec![
        // A restore begins a new range of numbers, so this one means one thing for ever.
        ("X-MegaMind-Replay", entry.seq.to_string()),
        ("X-MegaMind-Decided-At", rfc3339(entry.at)),
    ]
}

pub(super) fn request(entry: &Entry) -> Request {
    Request {
        method: entry.method.clone(),
        path: entry.path.clone(),
        query: entry.query.clone(),
        content_type: entry.content_type.clone(),
        content_encoding: entry.content_encoding.clone(),
        body: entry.body.clone(),
    }
}

async fn answered<D: Domain>(
    core: &Arc<Core<D>>,
    entry: &Entry,
    head: &ResponseHeader,
    body: &Bytes,
    started: u64,
) -> Ended {
    let status = head.status.as_u16();
    let request = Arc::new(request(entry));
    let parsed = core.parsed(entry.endpoint, &request);
    let seen = seen(entry.endpoint, request, parsed, head, body)
        .map(|exchange| Exchange { created: entry.created.clone(), ..exchange });
    let about = about(core, entry, seen.as_ref(), &head.headers);
    let seq = entry.seq;
    match judge(status, about, core.config.drain.on_conflict) {
        Verdict::Acknowledged => {
            let refused = seen.as_ref().and_then(|exchange| items::refused(core, entry, exchange));
            if let Some(items::Refused { reason, left }) = refused {
                let parked = Settle::Parked { seq, status: Some(status), reason, left };
                return settled(core, parked, Ended::Refused { status: Some(status) }).await;
            }
            let span = Span { started, finished: core.store.tick() };
            let acknowledged = Settle::Acknowledged { seq, exchange: seen.filter(|_| !entry.own), span };
            settled(core, acknowledged, Ended::Settled("acknowledged")).await
        }
        Verdict::Yielded(why) => discard(core, seq, why, status).await,
        Verdict::Parked(reason) => {
            let parked = Settle::Parked { seq, status: Some(status), reason, left: None };
            settled(core, parked, Ended::Refused { status: Some(status) }).await
        }
        Verdict::Again(why) => {
            let again =
                Ended::Again { why: format!("{why} ({status})"), after: retry_after(head), status: Some(status) };
            if is_without_effect(status, about.in_form) {
                unsent(core, entry, again).await
            } else {
                doubtful(core, entry, again).await
            }
        }
    }
}

fn about<D: Domain>(core: &Core<D>, entry: &Entry, seen: Option<&Exchange<D::Command>>, headers: &HeaderMap) -> About {
    let named = || {
        let published = core.store.published();
        seen.is_some_and(|exchange| {
            core.guarded(|| core.domain.observe(&published.city, exchange))
                .is_ok_and(|observed| observed.upstream_id.is_some())
        })
    };
    let unsettled = match entry.state {
        SendState::NeverSent => false,
        SendState::PossiblyApplied { since } => unsettled(core, entry.seq, since) > Duration::ZERO,
    };
    let kind = media_type(headers);
    let fact = seen
        .and_then(|exchange| exchange.parsed.as_ref())
        .is_some_and(|parsed| parsed.fact);
    About {
        kind: match (entry.own, entry.unknown) {
            (true, _) => Kind::Own,
            (_, true) => Kind::Unknown,
            _ if fact => Kind::Fact,
            _ if entry.created.is_some() => Kind::Creation,
            _ => Kind::Decision,
        },
        unnamed: entry.created.is_some() && !named(),
        unsettled,
        in_form: kind.contains("json"),
    }
}

/// The entry yields to the upstream's decision. How the upstream has it is asked once nothing more is queued about it.
pub(super) async fn discard<D: Domain>(core: &Core<D>, seq: u64, why: &str, status: u16) -> Ended {
    let why = format!("{why} ({status})");
    let discarded = Settle::Discarded { seq, who: "drain".into(), why, then: None };
    settled(core, discarded, Ended::Settled("yielded")).await
}

/// Settles an entry; `ended` is what that makes of the attempt.
pub(super) async fn settled<D: Domain>(core: &Core<D>, settle: Settle<D>, ended: Ended) -> Ended {
    match core.store.settle(settle).await {
        // Somebody else has settled it meanwhile, an operator for example.
        Ok(()) | Err(SubmitError::NotQueued) => ended,
        Err(error) => Ended::Local(error.to_string()),
    }
}

async fn failed<D: Domain>(core: &Core<D>, entry: &Entry, failure: Failure) -> Ended {
    core.note_failure(&failure);
    let ended = Ended::Failed { why: failure.reason.to_string(), after: failure.retry_after };
    match failure.applied {
        Applied::No => unsent(core, entry, ended).await,
        Applied::Possibly => doubtful(core, entry, ended).await,
    }
}

/// The attempt may have had effect: so it stays, whatever a later one is answered.
async fn doubtful<D: Domain>(core: &Core<D>, entry: &Entry, ended: Ended) -> Ended {
    match entry.state {
        SendState::NeverSent => settled(core, Settle::InDoubt { seq: entry.seq }, ended).await,
        SendState::PossiblyApplied { .. } => ended,
    }
}
