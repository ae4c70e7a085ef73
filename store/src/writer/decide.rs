//! Deciding a write.

use std::collections::VecDeque;

use bytes::Bytes;
use megamind_domain::{Decision, Domain, Endpoint, Rejection, Replay, Request, Stance, Time, Touches};

use super::draft::Trial;
use crate::{
    Outcome, Prior, SubmitError, Write,
    keys::{KeyRow, Seen},
    queue::{self, Progress, Queued, Retry, sealed_name},
    record::{AnswerHead, Decided, Followed, Head, Kept, KeyHead, RequestHead},
};

/// Commands that may follow from one write: a limit against a domain that never ends.
const MAX_FOLLOW_UPS: usize = 100_000;

/// Refusals that may turn out otherwise a moment later are not stored.
const PASSING: [u16; 4] = [408, 421, 425, 429];

impl<D: Domain> Trial<'_, D> {
    pub(super) fn write(&mut self, write: &Write<D>) -> Result<Outcome, SubmitError> {
        let now = self.now();
        let key = KeyRow::of(write.endpoint, &write.parsed, &write.request, write.key.as_ref());
        let mut unsettled = None;
        if let Some(key) = &key {
            match self.seen(key) {
                Seen::Never => {}
                Seen::OtherContent => return Ok(Outcome::KeyReused),
                Seen::Before(seq) => match self.kept(seq)? {
                    Kept::Answer(response) => return Ok(Outcome::Repeated { response }),
                    Kept::Attempted(_) | Kept::Nothing => unsettled = Some(seq),
                },
            }
        }
        let unsettled = unsettled.filter(|seq| self.queued(*seq).is_some());
        let named = self.named_by(&write.parsed.command);
        match self.ask(&write.parsed.command, write.stance, now) {
            Ok(decision) => {
                // Its first attempt was of unknown outcome and refused here; this decision takes its place.
                if let Some(seq) = unsettled {
                    self.change(seq, None);
                    self.draft.durable = true;
                }
                Ok(self.accept(write, decision, &named, key, now))
            }
            Err(rejection) => Ok(self.refuse(write, rejection, &named, key, unsettled, now)),
        }
    }

    fn accept(
        &mut self,
        write: &Write<D>,
        decision: Decision<D>,
        named: &Touches,
        key: Option<KeyRow>,
        now: Time,
    ) -> Outcome {
        let Decision { events, answer, created, replay, then } = decision;
        if events.is_empty() && then.is_empty() && replay == Replay::Nothing {
            let response = self.domain.render(&self.draft.base.city, Some(write.endpoint), Ok(&answer));
            return Outcome::Decided { response, seq: 0 };
        }
        let request = match &replay {
            Replay::Own(own) => own,
            _ => &*write.request,
        };
        let own = matches!(replay, Replay::Own(_));
        let endpoint = if own {
            self.routes.endpoint(&request.path).unwrap_or(write.endpoint)
        } else {
            write.endpoint
        };
        let seq = self.record(now, &events, request.body.clone());
        let mut touches = self.apply(&events, seq);
        queue::merge(&mut touches, named);
        self.ticks.written(&touches, self.shared.last_tick());
        let progress = match write.prior {
            Prior::PossiblyApplied { at } if !own => Progress::PossiblyApplied { since: at },
            _ => Progress::NeverSent,
        };
        self.enqueue(seq, endpoint, now, &replay, &touches, progress);
        self.seal(seq, write);
        self.follow(seq, endpoint, then, write.stance);

        let response = self.domain.render(&self.draft.base.city, Some(write.endpoint), Ok(&answer));
        let head = Head::Decided(Decided {
            endpoint: endpoint.0,
            request: RequestHead::from(request),
            key: write.key.as_ref().map(KeyHead::from),
            created: created.as_deref().map(Into::into),
            sent_at: write.prior.sent_at(),
            own,
            answer: AnswerHead::from(&response),
        });
        self.complete(seq, &head, response.body.clone());
        self.remember(key, seq);
        self.draft.durable = true;
        Outcome::Decided { response, seq }
    }

    fn complete(&mut self, seq: u64, head: &Head<'_>, answer: Bytes) {
        let head = head.encode();
        if let Some(record) = self.recorded(seq) {
            record.head = head;
            record.answer = answer;
        }
    }

    /// A refusal. What the upstream may have applied cannot be denied: it is queued, to be settled.
    fn refuse(
        &mut self,
        write: &Write<D>,
        rejection: Rejection,
        named: &Touches,
        key: Option<KeyRow>,
        unsettled: Option<u64>,
        now: Time,
    ) -> Outcome {
        let response = self.domain.render(&self.draft.base.city, Some(write.endpoint), Err(&rejection));
        let decided = || Decided {
            endpoint: write.endpoint.0,
            request: RequestHead::from(&*write.request),
            key: write.key.as_ref().map(KeyHead::from),
            created: None,
            sent_at: write.prior.sent_at(),
            own: false,
            answer: AnswerHead::from(&response),
        };
        let storable = (400..500).contains(&rejection.status) && !PASSING.contains(&rejection.status);
        if let Prior::PossiblyApplied { at } = write.prior {
            if unsettled.is_none() {
                let seq = self.record(now, &[], write.request.body.clone());
                self.complete(seq, &Head::Unknown(decided()), response.body.clone());
                let progress = Progress::PossiblyApplied { since: at };
                let entry = queued(write.endpoint, now, named, progress);
                self.change(seq, Some(Queued { unknown: true, ..entry }));
                self.seal(seq, write);
                self.remember(key, seq);
                self.draft.durable = true;
            }
        } else if storable && unsettled.is_none() && key.is_some_and(|key| key.from_client) {
            let seq = self.record(now, &[], write.request.body.clone());
            self.complete(seq, &Head::Refused(decided()), response.body.clone());
            self.remember(key, seq);
            self.draft.durable = true;
        }
        Outcome::Rejected { rejection, response }
    }

    /// Keeps what the replay of an entry needs besides.
    fn seal(&mut self, seq: u64, write: &Write<D>) {
        let (Some(sealed), Some(entry)) = (&write.sealed, self.queued(seq)) else {
            return;
        };
        self.draft.secrets.push((sealed_name(seq), Some(sealed.to_vec())));
        self.change(seq, Some(Queued { sealed: true, ..entry }));
    }

    /// Puts a decision into the queue, as its replay asks.
    fn enqueue(
        &mut self,
        seq: u64,
        endpoint: Endpoint,
        at: Time,
        replay: &Replay,
        touches: &Touches,
        progress: Progress,
    ) {
        let entry = match replay {
            Replay::Nothing => return,
            Replay::AsSent | Replay::Own(_) => queued(endpoint, at, touches, progress),
            Replay::Newest { slot } => {
                self.supersede(*slot);
                Queued { slot: Some(*slot), ..queued(endpoint, at, &Touches::new(), progress) }
            }
        };
        self.change(seq, Some(entry));
        self.draft.durable = true;
    }

    /// Decides the commands that follow from record `of`, each as a record of its own.
    pub(super) fn follow(&mut self, of: u64, endpoint: Endpoint, commands: Vec<D::Command>, stance: Stance) {
        let mut left: VecDeque<(u64, D::Command)> = commands.into_iter().map(|command| (of, command)).collect();
        for _ in 0..MAX_FOLLOW_UPS {
            let Some((of, command)) = left.pop_front() else {
                return;
            };
            left.extend(self.follow_one(of, endpoint, &command, stance));
        }
        tracing::error!(of, left = left.len(), "too many follow-ups: the rest is dropped");
    }

    /// Decides one such command; what follows from it in turn, with the number of the record it follows.
    pub(super) fn follow_one(
        &mut self,
        of: u64,
        endpoint: Endpoint,
        command: &D::Command,
        stance: Stance,
    ) -> Vec<(u64, D::Command)> {
        let now = self.now();
        let named = self.named_by(command);
        let decision = match self.ask(command, stance, now) {
            Ok(decision) => decision,
            Err(rejection) => {
                tracing::debug!(of, code = rejection.code, "a follow-up was refused");
                self.shared.metrics.follow_up_rejected();
                return Vec::new();
            }
        };
        let seq = if decision.events.is_empty() && decision.replay == Replay::Nothing {
            of
        } else {
            self.follow_up(of, endpoint, &decision, &named, now)
        };
        decision.then.into_iter().map(|command| (seq, command)).collect()
    }

    fn follow_up(&mut self, of: u64, endpoint: Endpoint, decision: &Decision<D>, named: &Touches, now: Time) -> u64 {
        let own: Option<&Request> = match &decision.replay {
            Replay::Own(request) => Some(request),
            // Nobody sent a follow-up: there is no request to replay.
            _ => None,
        };
        let body = own.map_or_else(Bytes::new, |request| request.body.clone());
        let endpoint = own.and_then(|request| self.routes.endpoint(&request.path)).unwrap_or(endpoint);
        let seq = self.record(now, &decision.events, body);
        let mut touches = self.apply(&decision.events, seq);
        queue::merge(&mut touches, named);
        self.ticks.written(&touches, self.shared.last_tick());
        if own.is_some() {
            self.enqueue(seq, endpoint, now, &decision.replay, &touches, Progress::NeverSent);
        }
        let head = Head::Followed(Followed {
            of,
            endpoint: endpoint.0,
            request: own.map(RequestHead::from),
            created: decision.created.as_deref().map(Into::into),
        });
        self.complete(seq, &head, Bytes::new());
        seq
    }
}

fn queued(endpoint: Endpoint, at: Time, touches: &Touches, progress: Progress) -> Queued {
    Queued {
        at,
        touches: queue::ordering(touches),
        slot: None,
        bundle: None,
        parked: None,
        progress,
        attempts: u32::from(progress != Progress::NeverSent),
        endpoint,
        rekeyed: 0,
        retry: Retry::default(),
        unknown: false,
        sealed: false,
    }
}
