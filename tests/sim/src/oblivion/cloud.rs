//! The state, its log and the idempotency keys, put together: a write is applied once, logged,
//! on disk, and only then answered.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::ensure;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::endpoint::{Read, Write};
use super::log::{Journal, Line, LogEntry};
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Command, Outcome, State};

/// A write on its way to the cloud.
#[derive(Debug)]
pub(crate) struct WriteRequest {
    pub(crate) write: Write,
    pub(crate) params: Map<String, Value>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
    pub(crate) key: Option<String>,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    /// The status of the answer where it succeeds.
    pub(crate) success: u16,
}

/// The answer to a write that succeeded, now or the first time.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) value: Value,
    /// Whether it is the stored answer of an earlier request with the same key.
    pub(crate) replayed: bool,
}

#[derive(Debug)]
enum KeyUse {
    Running,
    Done { fingerprint: u64, seq: u64, answer: Value },
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    log: Vec<LogEntry>,
    keys: HashMap<String, KeyUse>,
    /// Set when the file could not be written: what is in memory is then ahead of the disk, and
    /// no further write is taken.
    broken: Option<String>,
}

/// The whole cloud without its network.
#[derive(Debug)]
pub(crate) struct Cloud {
    inner: Mutex<Inner>,
    journal: Option<Journal>,
    honours_keys: bool,
}

/// The right to use a key; given back when the request ends without having been applied.
#[derive(Debug)]
pub(crate) struct KeyClaim {
    cloud: Arc<Cloud>,
    key: Option<String>,
}

/// What is to be done with a request, by its key.
#[derive(Debug)]
pub(crate) enum Admission {
    Apply(KeyClaim),
    Answered(Answer),
}

impl Cloud {
    /// Opens the cloud; with a file, in the state that the file tells.
    pub(crate) fn open(data: Option<&Path>, honours_keys: bool, dispatches: bool) -> anyhow::Result<Self> {
        let mut inner = Inner { state: State::new(dispatches), ..Inner::default() };
        let journal = data
            .map(|path| Journal::open(path, |line| inner.restore(line, honours_keys)))
            .transpose()?;
        if let Some(journal) = &journal {
            tracing::info!(file = %journal.path().display(), entries = inner.log.len(), "the log is read");
        }
        Ok(Self { inner: Mutex::new(inner), journal, honours_keys })
    }

    /// Looks at the key of a write before anything else is done with it.
    pub(crate) async fn admit(self: &Arc<Self>, request: &WriteRequest) -> Result<Admission, Refusal> {
        let Some(key) = request.key.as_ref().filter(|_| self.honours_keys) else {
            return Ok(Admission::Apply(KeyClaim { cloud: Arc::clone(self), key: None }));
        };
        let (seq, value) = {
            let mut inner = self.lock();
            match inner.keys.get(key) {
                None => {
                    inner.keys.insert(key.clone(), KeyUse::Running);
                    return Ok(Admission::Apply(KeyClaim { cloud: Arc::clone(self), key: Some(key.clone()) }));
                }
                Some(KeyUse::Running) => return Err(Refusal::KeyRunning),
                Some(KeyUse::Done { fingerprint, .. }) if *fingerprint != fingerprint_of(request) => {
                    return Err(Refusal::KeyReused);
                }
                Some(KeyUse::Done { seq, answer, .. }) => (*seq, answer.clone()),
            }
        };
        self.durable(seq).await?;
        Ok(Admission::Answered(Answer { value, replayed: true }))
    }

    /// Applies a write and waits until it is on disk.
    ///
    /// When the caller stops waiting, the write has its effect all the same.
    pub(crate) async fn apply(self: &Arc<Self>, claim: KeyClaim, request: WriteRequest) -> Result<Answer, Refusal> {
        let (seq, value) = {
            let mut inner = self.lock();
            if let Some(why) = &inner.broken {
                return Err(Refusal::Storage(why.clone()));
            }
            let now = Timestamp::now();
            let at = inner.log.last().map_or(now, |last| last.at.max(now));
            let outcome = inner.decide(&request, at)?;
            let value = outcome.answer.clone();
            let line = inner.line(request, outcome, at);
            if let Some(Err(error)) = self.journal.as_ref().map(|journal| journal.append(&line)) {
                inner.broken = Some(error.to_string());
                return Err(Refusal::Storage(error.to_string()));
            }
            let seq = line.entry.seq;
            inner.record(line, value.clone(), self.honours_keys);
            (seq, value)
        };
        drop(claim);
        self.durable(seq).await?;
        Ok(Answer { value, replayed: false })
    }

    pub(crate) fn read(&self, read: Read, params: &Map<String, Value>) -> Result<Value, Refusal> {
        self.lock().state.read(read, Params(params))
    }

    pub(crate) fn page(&self, path: &str) -> String {
        self.lock().state.page(path)
    }

    /// The entries after `since`, oldest first.
    pub(crate) fn log_since(&self, since: u64) -> Vec<LogEntry> {
        let inner = self.lock();
        let skip = usize::try_from(since).unwrap_or(usize::MAX).min(inner.log.len());
        inner.log[skip..].to_vec()
    }

    pub(crate) fn snapshot(&self) -> Value {
        let inner = self.lock();
        serde_json::json!({ "orders": inner.state.all_orders(), "minions": inner.state.all_minions() })
    }

    async fn durable(self: &Arc<Self>, seq: u64) -> Result<(), Refusal> {
        let cloud = Arc::clone(self);
        if cloud.journal.is_none() {
            return Ok(());
        }
        let sync = move || match &cloud.journal {
            Some(journal) => journal.sync(seq, || cloud.lock().log.len() as u64),
            None => Ok(()),
        };
        let synced = tokio::task::spawn_blocking(sync).await;
        let error = match synced {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // After a failed fsync the system may have dropped the pages: nothing more is promised.
        self.lock().broken = Some(error.clone());
        Err(Refusal::Storage(error))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeyClaim {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let mut inner = self.cloud.lock();
            if matches!(inner.keys.get(&key), Some(KeyUse::Running)) {
                inner.keys.remove(&key);
            }
        }
    }
}

impl Inner {
    fn decide(&mut self, request: &WriteRequest, at: Timestamp) -> Result<Outcome, Refusal> {
        self.state.apply(&Command {
            write: request.write,
            params: Params(&request.params),
            at,
            path: &request.path,
            body: &request.body,
            replay: request.headers.contains_key(REPLAY),
        })
    }

    fn line(&self, request: WriteRequest, outcome: Outcome, at: Timestamp) -> Line {
        let entry = LogEntry {
            seq: self.log.len() as u64 + 1,
            at,
            method: request.method,
            path: request.path,
            query: request.query,
            endpoint: request.write,
            content_type: request.content_type,
            body: request.body,
            key: request.key,
            replay: request.headers.get(REPLAY).cloned(),
            headers: request.headers,
            effect: outcome.effect.to_owned(),
            order_id: outcome.order.map(|id| id.to_string()),
            minion_id: outcome.minion,
            status: request.success,
            items: outcome.items,
        };
        Line { entry, params: request.params }
    }

    /// Takes a line that has been applied into the log, and its answer under its key.
    fn record(&mut self, line: Line, answer: Value, honours_keys: bool) {
        let Line { entry, params } = line;
        if let Some(key) = entry.key.as_ref().filter(|_| honours_keys) {
            let fingerprint = fingerprint(entry.endpoint, &entry.path, &params, &entry.body);
            self.keys
                .insert(key.clone(), KeyUse::Done { fingerprint, seq: entry.seq, answer });
        }
        self.log.push(entry);
    }

    /// Applies a line of the file again.
    fn restore(&mut self, line: Line, honours_keys: bool) -> anyhow::Result<()> {
        let entry = &line.entry;
        ensure!(entry.seq == self.log.len() as u64 + 1, "entry {} is out of order", entry.seq);
        let outcome = self.state.apply(&Command {
            write: entry.endpoint,
            params: Params(&line.params),
            at: entry.at,
            path: &entry.path,
            body: &entry.body,
            replay: entry.replay.is_some(),
        })?;
        let order = outcome.order.map(|id| id.to_string());
        ensure!(order == entry.order_id && outcome.effect == entry.effect, "it has another effect now");
        self.record(line, outcome.answer, honours_keys);
        Ok(())
    }
}

/// The header that marks a replay, as it is kept.
const REPLAY: &str = "x-megamind-replay";

fn fingerprint_of(request: &WriteRequest) -> u64 {
    fingerprint(request.write, &request.path, &request.params, &request.body)
}

/// Two requests under one key are the same when these are: the form of the body is not content.
fn fingerprint(write: Write, path: &str, params: &Map<String, Value>, body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    write.path().hash(&mut hasher);
    if matches!(write, Write::Catalogue | Write::Echo) {
        (path, body).hash(&mut hasher);
    } else {
        serde_json::to_string(params).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}
