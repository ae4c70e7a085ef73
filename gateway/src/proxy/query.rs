//! Questions to the city, and waiting for other answers.

use std::{pin::Pin, sync::Arc, time::Duration};

use megamind_domain::{Ctx, Domain, IdSource, Parsed, Patience, Rejection, Response, Touching, UNCHANGED};
use pingora::{
    ErrorType,
    apps::{HttpPersistentSettings, ReusedHttpStream},
    protocols::http::ServerSession,
};
use tokio::time::Instant;

use super::{
    RequestCtx, Route,
    answer::{self, Extra},
};
use crate::{
    core::{Core, wall_clock},
    metrics::ServedBy,
};

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

impl Said {
    /// Whether it is refused for this reason.
    fn is(&self, code: &str) -> bool {
        self.rejection.as_ref().is_some_and(|rejection| rejection.code == code)
    }
}

/// A read that is answered from the published city.
pub(super) struct Query<D: Domain> {
    pub(super) core: Arc<Core<D>>,
    pub(super) route: Arc<Route>,
    pub(super) parsed: Arc<Parsed<D::Command>>,
}

impl<D: Domain> Query<D> {
    /// Whether nothing has happened yet of what it waits for.
    pub(super) fn has_to_wait(&self) -> bool {
        self.parsed.patience.is_some() && self.ask(&self.parsed.command).is_ok_and(|said| said.is(UNCHANGED))
    }

    /// The answer; waits for it where the query is patient.
    pub(super) async fn answer(&self) -> Result<Said, Rejection> {
        let (first, at_last) = match &self.parsed.patience {
            None => (self.ask(&self.parsed.command)?, &self.parsed.command),
            Some(patience) => (self.wait(patience).await?, &patience.at_last),
        };
        if first.rejection.is_some() {
            if let Some(city) = self.core.city_with_left(&self.parsed.command).await {
                return self.ask_in(&city, &self.parsed.command);
            }
            if let Some(refused) = self.core.forgotten(&self.parsed.command, self.core.modes.stance()) {
                return Err(refused);
            }
        }
        if !first.is("not_known_here") {
            return Ok(first);
        }
        // What makes it known may have passed a moment ago and still be on its way to the city.
        let caught_up = tokio::time::timeout(CATCH_UP, self.core.store.barrier()).await;
        if caught_up.is_err() {
            return Ok(first);
        }
        self.ask(at_last)
    }

    /// Asks again whenever something that the query names has changed, until there is something new.
    async fn wait(&self, patience: &Patience<D::Command>) -> Result<Said, Rejection> {
        let callbacks = &self.core.config.callbacks;
        let until = Instant::now() + patience.limit.min(callbacks.max_wait);
        loop {
            let touches = {
                let published = self.core.store.published();
                let touched = || {
                    self.core
                        .domain
                        .touches(&published.city, Touching::Command(&self.parsed.command))
                };
                self.core.guarded(touched).unwrap_or_default()
            };
            let waiter = self.core.store.waiter(&touches, callbacks.max_waiting);
            let said = self.ask(&self.parsed.command)?;
            if !said.is(UNCHANGED) {
                return Ok(said);
            }
            let Some(waiter) = waiter.filter(|waiter| !waiter.is_over()) else {
                return self.ask(&patience.at_last);
            };
            if tokio::time::timeout_at(until, waiter.changed()).await.is_err() {
                return self.ask(&patience.at_last);
            }
        }
    }

    fn ask(&self, command: &D::Command) -> Result<Said, Rejection> {
        self.ask_in(&self.core.store.published().city, command)
    }

    fn ask_in(&self, city: &D::City, command: &D::Command) -> Result<Said, Rejection> {
        let core = &self.core;
        core.guarded(|| {
            // A query makes no ids.
            let mut ids = IdSource::new(0, 0);
            let mut ctx = Ctx::new(wall_clock(), core.modes.stance(), &mut ids);
            let decided = core.domain.decide(city, command, &mut ctx);
            let answer = decided.map(|decision| decision.answer);
            Said {
                response: core.domain.render(city, Some(self.route.endpoint), answer.as_ref()),
                repeated: false,
                rejection: answer.err(),
            }
        })
    }

    /// Waits for the answer and gives it, on a connection that Pingora has let go of. What can be used again of it
    /// afterwards is returned.
    pub(super) async fn answer_aside(
        self,
        mut client: Box<ServerSession>,
        mut ctx: RequestCtx,
    ) -> Option<ReusedHttpStream> {
        ctx.served_by = ServedBy::Megamind;
        let said = tokio::select! {
            said = self.answer() => said,
            () = gone(&mut client) => {
                self.core.conclude(&client, &ctx, None);
                return None;
            }
        };
        // In a box of its own: while it waits, a connection holds no room for its end.
        let end: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
            let (response, extra) = self.core.reply(self.route, said);
            let written = answer::own(&mut client, &mut ctx, &response, extra).await;
            self.core.conclude(&client, &ctx, written.as_ref().err().map(|error| &**error));
            written.ok()?;
            let settings = HttpPersistentSettings::for_session(&client);
            let stream = client.finish().await.ok().flatten()?;
            Some(ReusedHttpStream::from_reusable_stream(stream, settings))
        });
        end.await
    }
}

impl<D: Domain> Core<D> {
    /// What is written to the client.
    pub(super) fn reply(&self, route: Arc<Route>, said: Result<Said, Rejection>) -> (Response, Extra) {
        match said {
            Err(rejection) => self.refusal(route, &rejection),
            Ok(said) => {
                let extra = Extra { headers: Vec::new(), route: Some(route) };
                (said.response, if said.repeated { extra.repeated() } else { extra })
            }
        }
    }
}

/// Returns when the client has closed the connection.
async fn gone(client: &mut ServerSession) {
    match client.read_body_or_idle(true).await {
        Err(error) if *error.etype() != ErrorType::ConnectError => {}
        // It has begun to send its next request, the beginning of which is lost with that: the connection ends with the
        // answer to this one.
        _ => {
            client.set_keepalive(None);
            std::future::pending::<()>().await;
        }
    }
}
