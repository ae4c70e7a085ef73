//! Requests that come again get the answer of the first.
//!
//! Under a key of the client's own, in every mode: twins wait for each other, and what was answered is journaled, be it
//! by the handlers or by the upstream. Natural content (such as a merchant's reference) counts while acting; what the
//! upstream answered to it is remembered in memory, because the upstream sees the same derived key at a repetition.
//! An upstream that does not honour keys would take any repetition for a new request: there, natural content counts
//! in every mode, and a write that can be recognized is journaled before it is sent. So is a bulk request anywhere,
//! because it may be split when it comes again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::header;
use megamind_domain::{Access, Domain, EntityKey, Parsed, Rejection, Response, Role, Time, Touch, Touches};
use megamind_store::{Identity, Repeat};
use pingora::{Result, http::ResponseHeader, proxy::Session};

use super::{
    Proxy, RequestCtx,
    answer::{self, Extra},
    handled::Handled,
    local::admit,
};
use crate::{in_flight::Place, keys, upstream::refuses_content};

/// The longest answer that is remembered, in bytes.
const LONGEST: usize = 64 * 1024;

/// Answers to natural content that are remembered in memory, and what they may take together.
const MAX_RECENT: usize = 1 << 16;
const MAX_RECENT_BYTES: usize = 32 * 1024 * 1024;

/// A write whose repetition is recognized.
pub(super) struct Recognized {
    pub(super) identity: Identity,
    /// Its place among its twins, which wait until it is dropped.
    pub(super) twin: Place,
    /// Whether the journal knows of an attempt before it is made.
    noted: bool,
}

/// What is done with a write, as far as its identity says.
pub(super) enum Known {
    /// It is the first of its kind.
    New,
    /// The client has been answered.
    Answered,
    /// It was sent before, and nobody knows what came of it.
    InDoubt { at: Time },
    /// It was split before: these items were sent on.
    Split { forwarded: Vec<u32>, at: Time },
}

impl<D: Domain> Proxy<D> {
    /// Recognizes a write, waits for its twins, and gives it the answer of the first, if there was one.
    pub(super) async fn recognize(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        handled: &mut Handled<D>,
        ours: bool,
    ) -> Result<Known> {
        let Some(identity) = identity(handled) else {
            return Ok(Known::New);
        };
        let knows_keys = self.upstream_knows_keys();
        let is_bulk = self.is_bulk(handled);
        if !identity.is_from_client() && knows_keys && !is_bulk {
            // The upstream recognizes it while it is there.
            let recent = ours.then(|| self.core.recent.get(&identity)).flatten();
            return match recent {
                Some(response) if admit(session, handled).is_ok() => {
                    self.repeat(session, ctx, handled, &response).await
                }
                _ => Ok(Known::New),
            };
        }
        let twin = self.core.twins.enter(&touches(&identity));
        let enough = self.longest_forward() * 2;
        // After that nothing is known of the twin that could be waited for.
        let _ = tokio::time::timeout(enough, twin.wait_for_earlier()).await;
        let known = if self.core.store.is_repeated(&identity) && admit(session, handled).is_ok() {
            self.core.store.first(&identity).await
        } else {
            Ok(Repeat::First)
        };
        // A bulk request that comes again may find some of its items fenced, and be split: what was sent whole must not.
        handled.recognized = Some(Recognized { identity, twin, noted: !knows_keys || is_bulk });
        match known {
            Ok(Repeat::Answered(response)) => self.repeat(session, ctx, handled, &response).await,
            Ok(Repeat::OtherContent) => {
                self.refuse(session, ctx, &handled.route, &key_reused()).await?;
                Ok(Known::Answered)
            }
            Ok(Repeat::InDoubt { at }) => Ok(Known::InDoubt { at }),
            Ok(Repeat::Split { forwarded, at }) => Ok(Known::Split { forwarded, at }),
            Ok(Repeat::First) => Ok(Known::New),
            // The handlers will say so; and the upstream need not suffer from it.
            Err(error) => {
                tracing::warn!(%error, "the first answer to a repeated request cannot be read");
                Ok(Known::New)
            }
        }
    }

    /// Whether the request has items that may be sent on by themselves.
    fn is_bulk(&self, handled: &Handled<D>) -> bool {
        let published = self.core.store.published();
        let items = |parsed: &Parsed<D::Command>| {
            let (handback, domain) = (&self.core.handback, &self.core.domain);
            handback.fenced_items(domain, &published.city, &parsed.command, &|_| false)
        };
        handled
            .parsed
            .as_ref()
            .is_ok_and(|parsed| self.core.guarded(|| items(parsed)).is_ok_and(|items| items.is_some()))
    }

    async fn repeat(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        handled: &Handled<D>,
        response: &Response,
    ) -> Result<Known> {
        let extra = Extra { headers: Vec::new(), route: Some(handled.route.clone()) };
        answer::own(session.as_downstream_mut(), ctx, response, extra.repeated()).await?;
        Ok(Known::Answered)
    }

    /// A recognized write is about to be sent. Where its repetition would have a second effect, the journal knows first.
    pub(super) async fn note_attempt(&self, recognized: Option<&Recognized>) {
        if let Some(recognized) = recognized.filter(|recognized| recognized.noted)
            && let Err(error) = self.core.store.attempt(&recognized.identity).await
        {
            // The upstream serves; that the disk does not is no reason to refuse.
            tracing::warn!(%error, "a write is sent on without a trace in the journal");
        }
    }

    /// A recognized write that was sent had no effect: nothing is in doubt.
    pub(super) async fn forget_attempt(&self, recognized: Option<&Recognized>) {
        if let Some(recognized) = recognized.filter(|recognized| recognized.noted) {
            self.core.store.answered(&recognized.identity, None, None).await;
        }
    }

    /// Remembers the upstream's answer to a write, before it is passed on.
    pub(super) async fn remember(
        &self,
        recognized: Option<Recognized>,
        natural: Option<Identity>,
        answer: Option<Response>,
    ) {
        if let Some(Recognized { identity, twin, noted }) = recognized {
            if answer.is_some() || noted {
                self.core.store.answered(&identity, answer, Some(Box::new(twin))).await;
            }
        } else if let (Some(identity), Some(answer)) = (natural, answer) {
            self.core
                .recent
                .put(&identity, answer, self.core.config.idempotency.natural_window);
        }
    }
}

/// Another request under the same key.
pub(super) fn key_reused() -> Rejection {
    Rejection::new(422, "idempotency_key_reused", "This Idempotency-Key was used with other content.").at(keys::HEADER)
}

/// What makes a write recognizable; `None` for a read, or one that is not.
pub(super) fn identity<D: Domain>(handled: &Handled<D>) -> Option<Identity> {
    let (Access::Write, Ok(parsed), Ok(key)) = (handled.route.access, &handled.parsed, &handled.key) else {
        return None;
    };
    Identity::of(handled.route.endpoint, parsed, &handled.request, key.as_ref())
}

/// An answer of the upstream's as it is remembered; `None` for one that says nothing about the content, or is too long.
pub(super) fn rememberable(head: &ResponseHeader, body: &Bytes) -> Option<Response> {
    let status = head.status.as_u16();
    let is_decided = head.status.is_success() || refuses_content(status, &head.headers);
    if !is_decided || body.len() > LONGEST {
        return None;
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Some(Response {
        status,
        content_type: content_type.unwrap_or_default().to_owned().into(),
        retry_after: None,
        body: body.clone(),
    })
}

/// Twins are about the same.
fn touches(identity: &Identity) -> Touches {
    Touches::from_slice(&[Touch { key: EntityKey(identity.number()), role: Role::Subject }])
}

/// The upstream's answers to natural content, for as long as that counts.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    known: HashMap<u64, (Instant, Arc<Response>)>,
    by_age: VecDeque<(Instant, u64)>,
    bytes: usize,
}

impl Recent {
    fn put(&self, identity: &Identity, answer: Response, window: Duration) {
        if window.is_zero() {
            return;
        }
        let mut answers = self.answers();
        let (now, number) = (Instant::now(), identity.number());
        answers.bytes += answer.body.len();
        if let Some((_, before)) = answers.known.insert(number, (now + window, Arc::new(answer))) {
            answers.bytes -= before.body.len();
        }
        answers.by_age.push_back((now + window, number));
        while let Some((until, number)) = answers.by_age.front().copied() {
            if until > now && answers.by_age.len() <= MAX_RECENT && answers.bytes <= MAX_RECENT_BYTES {
                break;
            }
            answers.by_age.pop_front();
            // One that was answered again has a younger place in the line.
            if answers.known.get(&number).is_some_and(|(known, _)| *known == until)
                && let Some((_, gone)) = answers.known.remove(&number)
            {
                answers.bytes -= gone.body.len();
            }
        }
    }

    fn get(&self, identity: &Identity) -> Option<Arc<Response>> {
        let answers = self.answers();
        let (until, answer) = answers.known.get(&identity.number())?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        // A panic cannot leave more behind than a wrong count.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use megamind_domain::{Endpoint, Parsed, Request};

    use super::*;

    fn natural(content: &[u8]) -> Identity {
        let parsed =
            Parsed { command: (), subject: None, natural: Some(content.to_vec()), fact: false, patience: None };
        Identity::of(Endpoint(0), &parsed, &Request::default(), None).expect("an identity")
    }

    fn answer(length: usize) -> Response {
        Response {
            status: 200,
            content_type: "text/plain".into(),
            retry_after: None,
            body: vec![0; length].into(),
        }
    }

    #[test]
    fn answers_are_remembered_within_their_window_and_bounds() {
        let recent = Recent::default();
        let window = Duration::from_mins(1);
        recent.put(&natural(b"a"), answer(1), window);
        recent.put(&natural(b"b"), answer(2), Duration::ZERO);
        assert_eq!(recent.get(&natural(b"a")).as_deref(), Some(&answer(1)));
        assert_eq!(recent.get(&natural(b"b")), None);
        recent.put(&natural(b"a"), answer(3), window);
        recent.put(&natural(b"c"), answer(MAX_RECENT_BYTES), window);
        assert_eq!(recent.get(&natural(b"a")), None, "the oldest goes");
        assert!(recent.get(&natural(b"c")).is_some());
        recent.put(&natural(b"d"), answer(MAX_RECENT_BYTES + 1), window);
        let answers = recent.answers();
        assert_eq!((answers.bytes, answers.known.len()), (0, 0));
    }

    #[test]
    fn only_what_was_decided_about_the_content_is_remembered() {
        let remembered = |status: u16, kind: &str| {
            let mut head = ResponseHeader::build(status, None).expect("a head");
            head.insert_header("Content-Type", kind).expect("a header");
            rememberable(&head, &Bytes::new()).is_some()
        };
        for (status, kind, expect) in [
            (201, "text/html", true),
            (404, "text/html", false),
            (404, "application/problem+json", true),
            (422, "text/plain", true),
            (401, "application/json", false),
            (409, "application/json", false),
            (302, "text/html", false),
            (500, "application/json", false),
        ] {
            assert_eq!(remembered(status, kind), expect, "{status} {kind}");
        }
    }
}
