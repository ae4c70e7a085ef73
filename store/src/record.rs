//! What a record says about itself: its head, JSON with a kind and a version.
//!
//! The body of the request, the events and the body of the answer stand beside the head, unchanged. A kind whose
//! meaning changes gets a new version; the old one stays readable for ever (`record/golden.txt`).

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use megamind_domain::{Endpoint, Request, Response, Time};
use serde::{Deserialize, Serialize};

use crate::{
    entry::Parked,
    journal::Record,
    write::{Key, Prior},
};

/// The head of a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub(crate) enum Head<'a> {
    /// A write that was decided here.
    #[serde(rename = "decided/1", borrow)]
    Decided(Decided<'a>),
    /// A command that followed from another record.
    #[serde(rename = "followed/1", borrow)]
    Followed(Followed<'a>),
    /// A refusal, kept for the repetition of its request.
    #[serde(rename = "refused/1", borrow)]
    Refused(Decided<'a>),
    /// A write that was refused here and that the upstream may have applied.
    #[serde(rename = "unknown/1", borrow)]
    Unknown(Decided<'a>),
    /// A write is about to be sent on, to an upstream that would take its repetition for another one.
    #[serde(rename = "attempted/1")]
    Attempted,
    /// A bulk request is about to be split: the items at these places are sent on, the others decided here.
    #[serde(rename = "split/1")]
    Split { forwarded: Vec<u32> },
    /// The upstream answered a forwarded write; without an answer where it had no effect.
    #[serde(rename = "answered/1")]
    Answered {
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        answer: Option<AnswerHead<'a>>,
    },
    /// What one exchange with the upstream told: a form of earlier releases, read for ever.
    #[serde(rename = "observed/1")]
    Observed {
        /// The endpoint of the exchange.
        endpoint: u16,
        /// The upstream's status.
        status: u16,
    },
    /// What exchanges with the upstream told, one after the other.
    #[serde(rename = "observed/2")]
    Watched,
    /// An attempt to replay an entry begins.
    #[serde(rename = "sent/1")]
    Sent { of: u64 },
    /// An attempt with several entries in one request begins; its number is the bundle's.
    #[serde(rename = "bundled/1")]
    Bundled { of: Vec<u64> },
    /// The attempt had no effect.
    #[serde(rename = "not_sent/1")]
    NotSent { of: u64 },
    /// The upstream took an entry; the events are what its answer told.
    #[serde(rename = "acknowledged/1")]
    Acknowledged {
        of: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        upstream_id: Option<Cow<'a, str>>,
        /// Who knew of it, where not the upstream itself said so.
        #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
        by: Option<By<'a>>,
    },
    /// An entry was put aside.
    #[serde(rename = "parked/1")]
    Parked { of: u64, parked: Parked },
    /// An entry was taken back.
    #[serde(rename = "retry/1")]
    Retry { of: u64 },
    /// An entry will never be sent.
    #[serde(rename = "discarded/1")]
    Discarded {
        of: u64,
        /// Others that went with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<u64>,
        who: Cow<'a, str>,
        why: Cow<'a, str>,
    },
    /// The gateway's mode changed.
    #[serde(rename = "mode/1")]
    Mode { mode: Cow<'a, str>, why: Cow<'a, str> },
    /// What the house does by itself: the events.
    #[serde(rename = "upkeep/1")]
    Upkeep,
    /// Something was put under so many names, sealed, or taken away.
    #[serde(rename = "sealed/1")]
    Sealed { names: u64 },
    /// The journal was brought back from a copy; numbers before this one are those of the copy.
    #[serde(rename = "restored/1")]
    Restored { copied_at: i64 },
    /// The queue may be drained after a restore.
    #[serde(rename = "released/1")]
    Released { who: Cow<'a, str> },
    /// A doubtful clock was right again at this time.
    #[serde(rename = "clock_trusted/1")]
    ClockTrusted { since: i64 },
    /// The journal takes writes again.
    #[serde(rename = "recovered/1")]
    Recovered { since: i64, why: Cow<'a, str> },
}

/// The head of what came from outside.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Decided<'a> {
    pub(crate) endpoint: u16,
    /// The request that the upstream is to see, or the client's where there is nothing to tell.
    #[serde(borrow)]
    pub(crate) request: RequestHead<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<KeyHead<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<Cow<'a, str>>,
    /// Since when the upstream may have applied it, in ms of 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sent_at: Option<i64>,
    /// Whether the request is of the gateway's own making.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) own: bool,
    #[serde(borrow)]
    pub(crate) answer: AnswerHead<'a>,
}

/// On whose word something was done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct By<'a> {
    #[serde(borrow)]
    pub(crate) who: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) why: Cow<'a, str>,
}

/// The head of a follow-up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Followed<'a> {
    /// The record it follows.
    pub(crate) of: u64,
    pub(crate) endpoint: u16,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<RequestHead<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) created: Option<Cow<'a, str>>,
    /// Whether a client said it, among other things, in the request of the record that it follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) said: bool,
}

/// A request without its body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RequestHead<'a> {
    #[serde(borrow)]
    pub(crate) method: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) path: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Request> for RequestHead<'a> {
    fn from(request: &'a Request) -> Self {
        Self {
            method: Cow::Borrowed(&request.method),
            path: Cow::Borrowed(&request.path),
            query: request.query.as_deref().map(Cow::Borrowed),
            content_type: request.content_type.as_deref().map(Cow::Borrowed),
            content_encoding: request.content_encoding.as_deref().map(Cow::Borrowed),
        }
    }
}

/// An idempotency key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyHead<'a> {
    #[serde(borrow)]
    pub(crate) text: Cow<'a, str>,
    pub(crate) from_client: bool,
}

impl<'a> From<&'a Key> for KeyHead<'a> {
    fn from(key: &'a Key) -> Self {
        Self { text: Cow::Borrowed(&key.text), from_client: key.from_client }
    }
}

/// An answer without its body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AnswerHead<'a> {
    pub(crate) status: u16,
    #[serde(borrow)]
    pub(crate) content_type: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after: Option<u32>,
}

impl<'a> From<&'a Response> for AnswerHead<'a> {
    fn from(response: &'a Response) -> Self {
        Self {
            status: response.status,
            content_type: Cow::Borrowed(&response.content_type),
            retry_after: response.retry_after,
        }
    }
}

impl Prior {
    pub(crate) fn sent_at(self) -> Option<i64> {
        match self {
            Prior::NeverSent => None,
            Prior::PossiblyApplied { at } => Some(at.0),
        }
    }
}

impl Head<'_> {
    /// As it is written.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(384);
        // Writing to memory cannot fail, and every map of a head has strings for keys.
        let written = serde_json::to_writer(&mut json, self);
        debug_assert!(written.is_ok(), "{written:?}");
        json
    }
}

impl Record {
    pub(crate) fn read_head(&self) -> Result<Head<'_>, serde_json::Error> {
        serde_json::from_slice(&self.head)
    }

    /// What is kept for the repetition of a write.
    pub(crate) fn kept(&self) -> Kept {
        let answer = match self.read_head() {
            Ok(Head::Decided(head) | Head::Refused(head)) => head.answer,
            Ok(Head::Answered { answer: Some(answer) }) => answer,
            Ok(Head::Attempted) => return Kept::Attempted(self.at),
            Ok(Head::Split { forwarded }) => return Kept::Split { forwarded, at: self.at },
            _ => return Kept::Nothing,
        };
        Kept::Answer(Response {
            status: answer.status,
            content_type: Cow::Owned(answer.content_type.into_owned()),
            retry_after: answer.retry_after,
            body: self.answer.clone(),
        })
    }

    /// The request to replay, whole.
    pub(crate) fn request(&self) -> Option<Request> {
        let RequestHead { method, path, query, content_type, content_encoding } = self.replay()?.request;
        let text = |text: Option<Cow<'_, str>>| text.map(|text| Box::from(&*text));
        Some(Request {
            method: Box::from(&*method),
            path: Box::from(&*path),
            query: text(query),
            content_type: text(content_type),
            content_encoding: text(content_encoding),
            body: self.body.clone(),
        })
    }

    /// The request to replay, the parts that an entry needs; `None` for a record that has none.
    pub(crate) fn replay(&self) -> Option<ReplayHead<'_>> {
        match self.read_head().ok()? {
            Head::Decided(head) | Head::Unknown(head) => Some(ReplayHead {
                endpoint: Endpoint(head.endpoint),
                request: head.request,
                from_client: head.key.as_ref().is_some_and(|key| key.from_client),
                key: head.key.map(|key| key.text),
                created: head.created,
                own: head.own,
            }),
            Head::Followed(head) => Some(ReplayHead {
                endpoint: Endpoint(head.endpoint),
                request: head.request?,
                key: None,
                from_client: false,
                created: head.created,
                own: !head.said,
            }),
            _ => None,
        }
    }
}

/// What is kept for the repetition of a write.
pub(crate) enum Kept {
    /// Its answer.
    Answer(Response),
    /// It was sent then, and nobody knows what came of it.
    Attempted(Time),
    /// It was split then.
    Split { forwarded: Vec<u32>, at: Time },
    /// Nothing: it may be decided anew.
    Nothing,
}

/// What a replay needs of a head.
pub(crate) struct ReplayHead<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) request: RequestHead<'a>,
    pub(crate) key: Option<Cow<'a, str>>,
    /// Whether the key is the client's own.
    pub(crate) from_client: bool,
    pub(crate) created: Option<Cow<'a, str>>,
    pub(crate) own: bool,
}

impl Record {
    /// A record of a head alone.
    pub(crate) fn bare(seq: u64, at: megamind_domain::Time, epoch: u64, head: &Head<'_>) -> Self {
        Self {
            seq,
            at,
            epoch,
            head: head.encode(),
            body: Bytes::new(),
            events: Vec::new(),
            answer: Bytes::new(),
        }
    }
}
