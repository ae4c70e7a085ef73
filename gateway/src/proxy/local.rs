//! The handlers' answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method};
use megamind_domain::{
    Access, Ctx, Domain, IdSource, Parsed, Patience, Policy, Rejection, Response, Stance, UNCHANGED,
};
use megamind_store::{Outcome, Prior, SubmitError, Write};
use pingora::{Result, proxy::Session};
use tokio::time::Instant;

use super::{
    Proxy, RequestCtx, Route,
    answer::{self, Extra},
    handled::Handled,
    repeats::{REPLAYED, key_reused},
};
use crate::core::wall_clock;

/// How long a reader about to say that it does not know waits for what is being watched.
const CATCH_UP: Duration = Duration::from_millis(200);

/// What the handlers say.
pub(super) struct Said {
    pub(super) response: Response,
    /// A stored answer to a repeated request.
    pub(super) repeated: bool,
    /// The rejection behind the response, if it is one.
    pub(super) rejection: Option<Rejection>,
}

impl<D: Domain> Proxy<D> {
    /// Answers a request from the city. `prior` says what may have become of it at the upstream already.
    pub(super) async fn answer_here(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        handled: Handled<D>,
        prior: Prior,
    ) -> Result<()> {
        let route = handled.route.clone();
        let key = handled.key.as_ref().ok().cloned().flatten();
        let possibly_applied = matches!(prior, Prior::PossiblyApplied { .. });
        let said = match admit(session, &handled).and_then(|parsed| self.within_limits(&route, parsed)) {
            Err(rejection) => Err(rejection),
            Ok(parsed) => match route.access {
                Access::Read => self.query(&route, &parsed).await,
                Access::Write => {
                    let headers = &session.req_header().headers;
                    let sealed = self.core.credentials.kept_with(parsed.subject.as_deref(), headers, prior);
                    self.decide(handled, parsed, prior, sealed).await
                }
            },
        };
        let rejection = match &said {
            Ok(said) => said.rejection.as_ref(),
            Err(rejection) => Some(rejection),
        };
        if let Some(rejection) = rejection
            && possibly_applied
            && route.access == Access::Write
        {
            return self.outcome_unknown(session, ctx, &route, key.as_ref(), rejection).await;
        }
        match said {
            Err(rejection) => self.refuse(session, ctx, &route, &rejection).await,
            Ok(said) => {
                let mut extra = Extra { headers: Vec::new(), route: Some(route) };
                if said.repeated {
                    extra = extra.with(REPLAYED, HeaderValue::from_static("true"));
                }
                answer::own(session, ctx, &said.response, extra).await
            }
        }
    }

    /// Whether the gateway has not been standing in for longer than it may. Facts know no limits.
    pub(super) fn within_limits(
        &self,
        route: &Route,
        parsed: Arc<Parsed<D::Command>>,
    ) -> Result<Arc<Parsed<D::Command>>, Rejection> {
        let Some(longest) = self.core.config.acting.max_duration else {
            return Ok(parsed);
        };
        let bound = route.access == Access::Write && route.policy == Policy::Act && !parsed.fact;
        let status = self.core.modes.status();
        // While the clock is doubtful nobody knows for how long.
        let stands_in_for = self.core.store.time().age(status.acting_since).map(Duration::from_millis);
        if bound && status.mode.stands_in() && stands_in_for.is_some_and(|age| age > longest) {
            return Err(Rejection::new(
                503,
                "beyond_stand_in",
                "The main service has been unreachable for longer than it may be stood in for.",
            )
            .retry_after(60));
        }
        Ok(parsed)
    }

    /// Answers from the published city.
    async fn query(&self, route: &Route, parsed: &Parsed<D::Command>) -> Result<Said, Rejection> {
        let first = match &parsed.patience {
            None => self.ask(route, &parsed.command)?,
            Some(patience) => self.wait(route, parsed, patience).await?,
        };
        if first.rejection.is_some()
            && let Some(city) = self.core.city_with_left(&parsed.command).await
        {
            return self.ask_in(&city, route, &parsed.command);
        }
        let unknown = first
            .rejection
            .as_ref()
            .is_some_and(|rejection| rejection.code == "not_known_here");
        if !unknown {
            return Ok(first);
        }
        // What makes it known may have passed a moment ago and still be on its way to the city.
        let caught_up = tokio::time::timeout(CATCH_UP, self.core.store.barrier()).await;
        if caught_up.is_err() {
            return Ok(first);
        }
        self.ask(route, parsed.patience.as_ref().map_or(&parsed.command, |patience| &patience.at_last))
    }

    /// Asks again whenever something that the query names has changed, until there is something new.
    async fn wait(
        &self,
        route: &Route,
        parsed: &Parsed<D::Command>,
        patience: &Patience<D::Command>,
    ) -> Result<Said, Rejection> {
        let until = Instant::now() + patience.limit.min(self.core.config.callbacks.max_wait);
        loop {
            let waiter = self
                .core
                .store
                .waiter(&self.touches(parsed), self.core.config.callbacks.max_waiting);
            let said = self.ask(route, &parsed.command)?;
            let unchanged = said.rejection.as_ref().is_some_and(|rejection| rejection.code == UNCHANGED);
            if !unchanged {
                return Ok(said);
            }
            let Some(waiter) = waiter.filter(|waiter| !waiter.is_over()) else {
                return self.ask(route, &patience.at_last);
            };
            if tokio::time::timeout_at(until, waiter.changed()).await.is_err() {
                return self.ask(route, &patience.at_last);
            }
        }
    }

    fn ask(&self, route: &Route, command: &D::Command) -> Result<Said, Rejection> {
        let published = self.core.store.published();
        self.ask_in(&published.city, route, command)
    }

    fn ask_in(&self, city: &D::City, route: &Route, command: &D::Command) -> Result<Said, Rejection> {
        self.core.guarded(|| {
            // A query makes no ids.
            let mut ids = IdSource::new(0, 0);
            let stance = self.core.modes.stance();
            let mut ctx = Ctx::new(wall_clock(), stance, &mut ids);
            let decided = self.core.domain.decide(city, command, &mut ctx);
            let answer = decided.map(|decision| decision.answer);
            Said {
                response: self.core.domain.render(city, Some(route.endpoint), answer.as_ref()),
                repeated: false,
                rejection: answer.err(),
            }
        })
    }

    /// Has the journal's writer decide.
    async fn decide(
        &self,
        handled: Handled<D>,
        parsed: Arc<Parsed<D::Command>>,
        prior: Prior,
        sealed: Option<Arc<[u8]>>,
    ) -> Result<Said, Rejection> {
        self.submit(Write {
            endpoint: handled.route.endpoint,
            parsed,
            request: handled.request,
            key: handled.key.ok().flatten(),
            prior,
            stance: self.core.modes.stance(),
            identity: None,
            sealed,
        })
        .await
    }

    /// The same for a write as it is.
    pub(super) async fn submit(&self, write: Write<D>) -> Result<Said, Rejection> {
        self.core.recall_for(&write.parsed.command).await;
        let standby = write.stance == Stance::Standby;
        let outcome = self.core.store.submit(write).await.map_err(journal_said)?;
        if standby {
            // While acting the drain stands; it need not be woken.
            self.core.drain_wake.notify_one();
        }
        let (response, repeated, rejection) = match outcome {
            Outcome::Decided { response, .. } => (response, false, None),
            Outcome::Repeated { response } => (response, true, None),
            Outcome::Rejected { rejection, response } => (response, false, Some(rejection)),
            Outcome::KeyReused => return Err(key_reused()),
        };
        Ok(Said { response, repeated, rejection })
    }

    /// A write that may have been applied is never denied.
    pub(super) async fn outcome_unknown(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        route: &Arc<Route>,
        key: Option<&megamind_store::Key>,
        because: &Rejection,
    ) -> Result<()> {
        let rejection = Rejection::new(
            504,
            "outcome_unknown",
            format!(
                "The request was sent on and may have taken effect; it cannot be decided here ({}). Repeat it with the same Idempotency-Key.",
                because.code
            ),
        );
        let response = self.core.render(Some(route.endpoint), &rejection);
        let mut extra = Extra { headers: Vec::new(), route: Some(route.clone()) };
        if let Some(key) = key
            && let Ok(value) = HeaderValue::from_str(&key.text)
        {
            extra = extra.with(HeaderName::from_static("idempotency-key"), value);
        }
        answer::own(session, ctx, &response, extra).await
    }
}

/// Whether the handlers take the request at all.
pub(super) fn admit<D: Domain>(session: &Session, handled: &Handled<D>) -> Result<Arc<Parsed<D::Command>>, Rejection> {
    let method = &session.req_header().method;
    let fits = match handled.route.access {
        Access::Read => matches!(*method, Method::GET | Method::HEAD | Method::POST),
        Access::Write => matches!(*method, Method::GET | Method::POST),
    };
    if !fits {
        return Err(Rejection::new(405, "method_not_allowed", format!("{method} does not work on this path.")));
    }
    if let Err(rejection) = &handled.key {
        return Err(rejection.clone());
    }
    handled.parsed.clone()
}

/// The journal's refusals, as clients see them.
fn journal_said(error: SubmitError) -> Rejection {
    match error {
        SubmitError::Overloaded => Rejection::new(
            503,
            "overloaded",
            "More requests are waiting than can be taken in time. Nothing was changed.",
        )
        .retry_after(1),
        SubmitError::JournalUnavailable => {
            Rejection::new(503, "journal_unavailable", "The request could not be stored. Nothing was changed.")
                .retry_after(5)
        }
        SubmitError::Closed => Rejection::new(
            504,
            "outcome_unknown",
            "The gateway is stopping; whether the request was stored is unknown. Repeat it with the same Idempotency-Key.",
        ),
        SubmitError::Panicked | SubmitError::NotQueued => {
            Rejection::new(500, "internal_error", "The request could not be decided. Nothing was changed.")
        }
    }
}
