//! What a task or page of the domain's own may do with a running gateway.

use std::{future::Future, pin::Pin, sync::Arc};

use arc_swap::Guard;
use bytes::Bytes;
use megamind_conf::Config;
use megamind_domain::{Domain, Endpoint, Parsed, Request, Stance, Time};
use megamind_store::{Outcome, Prior, Published, Store, SubmitError, Write};
use prometheus::Registry;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    core::{Core, wall_clock},
    modes::Mode,
};

/// A running gateway. Clones are handles to the same.
pub struct Handle<D: Domain>(pub(crate) Arc<Core<D>>);

impl<D: Domain> Clone for Handle<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: Domain> Handle<D> {
    /// The configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.0.config
    }

    /// The domain.
    pub fn domain(&self) -> &Arc<D> {
        &self.0.domain
    }

    /// The city and its journal.
    pub fn store(&self) -> &Store<D> {
        &self.0.store
    }

    /// The city now. Never waits.
    pub fn published(&self) -> Guard<Arc<Published<D>>> {
        self.0.store.published()
    }

    /// Counts publications of the city: `changed()` on it returns after the next one.
    pub fn publications(&self) -> watch::Receiver<u64> {
        self.0.store.publications()
    }

    /// What the gateway does with traffic now.
    pub fn mode(&self) -> Mode {
        self.0.modes.current()
    }

    /// Whether the gateway is the server now.
    pub fn stance(&self) -> Stance {
        self.0.modes.stance()
    }

    /// Since when it has been the server, while it is.
    pub fn acting_since(&self) -> Option<Time> {
        let status = self.0.modes.status();
        status.mode.stands_in().then_some(status.acting_since)
    }

    /// The wall clock.
    pub fn now(&self) -> Time {
        wall_clock()
    }

    /// Where metrics of the domain's own are registered. Their names begin with `megamind_`.
    pub fn registry(&self) -> &Registry {
        self.0.metrics.registry()
    }

    /// Has the journal's writer decide a command that nobody asked for by HTTP. Durable when this returns.
    ///
    /// # Errors
    /// The journal's.
    pub async fn submit(&self, command: D::Command) -> Result<Outcome, SubmitError> {
        let parsed = Parsed { command, subject: None, natural: None, fact: false, patience: None };
        // Of no route: nobody is answered.
        self.write(Endpoint(u16::MAX), Arc::new(parsed), Arc::new(Request::default()))
            .await
    }

    /// Has it decide a request as if a client had sent it, to be replayed like any other.
    ///
    /// # Errors
    /// The journal's.
    pub async fn write(
        &self,
        endpoint: Endpoint,
        parsed: Arc<Parsed<D::Command>>,
        request: Arc<Request>,
    ) -> Result<Outcome, SubmitError> {
        self.0.recall_for(&parsed.command).await;
        let stance = self.stance();
        let write = Write {
            endpoint,
            parsed,
            request,
            key: None,
            prior: Prior::NeverSent,
            stance,
            identity: None,
            sealed: None,
        };
        let outcome = self.0.store.submit(write).await?;
        if stance == Stance::Standby {
            self.0.drain_wake.notify_one();
        }
        Ok(outcome)
    }
}

/// A task of the domain's own: started with the gateway, and again whenever it ends.
pub(crate) struct Task<D: Domain> {
    pub(crate) name: &'static str,
    pub(crate) run: Run<D>,
}

type Run<D> = Arc<dyn Fn(Handle<D>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl<D: Domain> Clone for Task<D> {
    fn clone(&self) -> Self {
        Self { name: self.name, run: self.run.clone() }
    }
}

impl<D: Domain> Task<D> {
    pub(crate) fn new<F>(name: &'static str, run: impl Fn(Handle<D>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { name, run: Arc::new(move |handle| Box::pin(run(handle))) }
    }
}

/// A request to the administration, for a page of the domain's own.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whether something is to be done (POST), not only told (GET).
    pub post: bool,
    /// What follows the page's own path, split at its slashes.
    pub rest: Vec<String>,
    /// The query without `?`, still encoded.
    pub query: String,
    /// The whole body.
    pub body: Bytes,
}

impl Asked {
    /// A value of the query, as it is written there.
    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// Why a page does not answer: an RFC 9457 problem.
#[derive(Clone, Debug)]
pub struct PageError {
    /// The HTTP status code.
    pub status: u16,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

impl PageError {
    /// A refusal.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// There is nothing here.
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "There is nothing under this path.")
    }
}

/// The answer of a page: JSON.
pub type PageAnswer = Result<Value, PageError>;

/// Pages under a path of the domain's own.
pub(crate) struct Pages<D: Domain> {
    /// The first segments of the path, such as `admin/calls`.
    pub(crate) path: &'static str,
    pub(crate) answer: Answer<D>,
}

type Answer<D> = Arc<dyn Fn(Handle<D>, Asked) -> Pin<Box<dyn Future<Output = PageAnswer> + Send>> + Send + Sync>;

impl<D: Domain> Clone for Pages<D> {
    fn clone(&self) -> Self {
        Self { path: self.path, answer: self.answer.clone() }
    }
}

impl<D: Domain> Pages<D> {
    pub(crate) fn new<F>(path: &'static str, answer: impl Fn(Handle<D>, Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = PageAnswer> + Send + 'static,
    {
        let answer: Answer<D> = Arc::new(move |handle, asked| Box::pin(answer(handle, asked)));
        Self { path: path.trim_matches('/'), answer }
    }

    /// What follows the pages' path, where `path` is one of theirs.
    pub(crate) fn rest(&self, path: &str) -> Option<Vec<String>> {
        let rest = path.trim_matches('/').strip_prefix(self.path)?;
        if rest.is_empty() {
            return Some(Vec::new());
        }
        Some(rest.strip_prefix('/')?.split('/').map(str::to_owned).collect())
    }
}
