//! The handlers' answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method};
use megamind_domain::{Access, Domain, Parsed, Policy, Rejection, Stance};
use megamind_store::{Outcome, Prior, SubmitError, Write};
use pingora::{Result, proxy::Session};
use tokio::time::timeout;

use super::{
    Proxy, RequestCtx, Route,
    answer::{self, Extra},
    connection::{may_step_aside, step_aside},
    handled::Handled,
    query::{Query, Said},
    repeats::key_reused,
};

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
                Access::Read => {
                    let query = Query { core: self.core.clone(), route: route.clone(), parsed };
                    if query.has_to_wait() && may_step_aside() {
                        let ctx = ctx.leave();
                        step_aside(session, |client| query.answer_aside(client, ctx));
                        return Ok(());
                    }
                    query.answer().await
                }
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
        let (response, extra) = self.core.reply(route, said);
        answer::own(session.as_downstream_mut(), ctx, &response, extra).await
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
            parsed: self.core.worked_ahead(parsed).await,
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
        if let Some(refused) = self.core.forgotten(&write.parsed.command, write.stance) {
            return Err(refused);
        }
        let standby = write.stance == Stance::Standby;
        let decided = timeout(self.core.config.store.commit_timeout, self.core.store.submit(write));
        let outcome = decided.await.map_err(|_| not_told())?.map_err(journal_said)?;
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
        answer::own(session.as_downstream_mut(), ctx, &response, extra).await
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

/// Nobody can tell whether the journal has it.
fn not_told() -> Rejection {
    Rejection::new(
        504,
        "outcome_unknown",
        "The disk does not say whether the request was stored. Repeat it with the same Idempotency-Key.",
    )
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
