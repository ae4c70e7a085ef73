//! Whose credentials the replays carry (`drain.credentials`).
//!
//! While the upstream serves, the credentials that it accepts are learned, by whom they speak for; what is news is put
//! into the journal, sealed, once a second. A replay carries the newest one of its speaker's; one that may have been
//! applied carries that of its first attempt, so that its key means the same. What is refused with 401 or 403 waits for
//! a fresh one, is tried again now and then, and never parked.

mod book;
mod secret;
mod vault;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName};
use megamind_conf::{Config, Credentials as Whose};
use megamind_domain::Domain;
use megamind_store::{Entry, Prior, SendState};
use tokio::time::{MissedTickBehavior, interval};

use self::book::{Book, Digest};
pub(crate) use self::secret::Secret;
pub use self::vault::Vault;
use crate::core::Core;

/// How often the journal is told what is new.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The name under which the credential of a first attempt is sealed; it is kept with its entry.
const FIRST: &str = "first attempt";

/// All credentials.
pub(crate) struct Credentials {
    whose: Whose,
    headers: Vec<HeaderName>,
    wait: Duration,
    service: Option<PathBuf>,
    vault: Option<Vault>,
    book: Book,
}

/// What a replay carries.
#[derive(Debug)]
pub(crate) struct Carried {
    /// The headers, if any.
    pub(crate) secret: Option<Secret>,
    speaker: Box<str>,
    digest: Digest,
}

impl Credentials {
    /// As the configuration wants it.
    ///
    /// # Errors
    /// A file cannot be used: which, and why.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let drain = &config.drain;
        let headers = drain.credential_headers.iter().filter_map(|name| name.parse().ok());
        let vault = match drain.credentials {
            Whose::Subject => Some(Vault::of(config)?),
            Whose::Service | Whose::None => None,
        };
        let credentials = Self {
            whose: drain.credentials,
            headers: headers.collect(),
            wait: drain.credential_wait,
            service: drain.service_credential_file.clone(),
            vault,
            book: Book::new(),
        };
        if drain.credentials == Whose::Service {
            credentials.own()?;
        }
        Ok(credentials)
    }

    /// The upstream accepted a request of `speaker`. Costs a hash where it tells nothing new.
    pub(crate) fn accepted(&self, speaker: Option<&str>, headers: &HeaderMap) {
        if self.whose == Whose::Subject
            && let Some(secret) = Secret::of(headers, &self.headers)
        {
            self.book.accepted(speaker.unwrap_or_default(), &secret);
        }
    }

    /// What is to be kept with a write that is queued: the credential of an attempt that may have been applied, the only
    /// one there is of this speaker, or that of one who is not named.
    pub(crate) fn kept_with(&self, speaker: Option<&str>, headers: &HeaderMap, prior: Prior) -> Option<Arc<[u8]>> {
        let vault = self.vault.as_ref()?;
        let secret = Secret::of(headers, &self.headers)?;
        self.book.presented(speaker.unwrap_or_default(), &secret);
        let known = speaker.is_some_and(|speaker| self.book.newest(speaker).is_some());
        let needed = matches!(prior, Prior::PossiblyApplied { .. }) || !known;
        needed.then(|| vault.seal(FIRST, secret.bytes()).map(Arc::from))?
    }

    /// The gateway's own credential, read anew: it may have been replaced.
    fn own(&self) -> Result<Secret, String> {
        let path = self.service.as_deref().unwrap_or(Path::new(""));
        let text = fs::read_to_string(path)
            .map_err(|error| format!("drain.service_credential_file: {}: {error}", path.display()))?;
        Secret::service(&text).ok_or_else(|| {
            format!("drain.service_credential_file: {}: allowed is one header or one token", path.display())
        })
    }

    /// A replay was answered with 401 or 403. Whether it waits for a fresh credential.
    pub(crate) fn refused(&self, carried: &Carried) -> bool {
        if self.whose == Whose::None {
            return false;
        }
        self.book.refused(&carried.speaker, carried.digest, Instant::now());
        true
    }

    /// A replay passed.
    pub(crate) fn passed(&self, carried: &Carried) {
        if self.whose != Whose::None {
            self.book.passed(&carried.speaker, carried.digest);
        }
    }

    /// Speakers whose replays wait for a fresh credential, and those who have for longer than `drain.credential_wait`.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        self.book.waiting(Instant::now(), self.wait)
    }

    /// The best of some credentials; `None` where all of them were refused just now.
    fn choose(&self, speaker: &str, secrets: Vec<Secret>) -> Option<Carried> {
        let now = Instant::now();
        let mut candidates: Vec<Option<Secret>> = secrets.into_iter().map(Some).collect();
        if candidates.is_empty() {
            candidates.push(None);
        }
        candidates.into_iter().find_map(|secret| {
            let digest = self.book.digest(secret.as_ref());
            let good = self.book.is_good(speaker, digest, now);
            good.then(|| Carried { secret, speaker: speaker.into(), digest })
        })
    }
}

/// Whose request an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Speaker<'a> {
    /// The request says so.
    Named(&'a str),
    /// The request does not; this is the owner of what it is about.
    Owner(&'a str),
    /// Nobody can tell.
    Nobody,
}

impl<D: Domain> Core<D> {
    /// What the replay of an entry carries; `None` where it waits for a fresh credential.
    ///
    /// What nobody was named in carries its own; where that is refused, the newest of its owner's: never one that somebody
    /// else came with.
    pub(crate) async fn credential_for(&self, entry: &Entry, speaker: Speaker<'_>) -> Option<Carried> {
        let credentials = &self.credentials;
        match credentials.whose {
            Whose::None => credentials.choose("", Vec::new()),
            Whose::Service => match credentials.own() {
                Ok(own) => credentials.choose("", vec![own]),
                Err(why) => {
                    tracing::error!(why, "the gateway's own credential cannot be read");
                    None
                }
            },
            Whose::Subject => {
                let (name, own_first) = match speaker {
                    Speaker::Named(name) => (name, false),
                    Speaker::Owner(name) => (name, true),
                    Speaker::Nobody => ("", true),
                };
                let vault = credentials.vault.as_ref()?;
                let first = entry.sealed.as_deref().and_then(|sealed| vault.open_sealed(FIRST, sealed));
                let first = first.map(Secret::from_bytes);
                let (newest, fresh) = match speaker {
                    Speaker::Nobody => (None, None),
                    _ => (self.newest_of(name, vault).await, credentials.book.fresh(name)),
                };
                // What the upstream has accepted goes before what it has not seen.
                let known = newest.into_iter().chain(fresh);
                let secrets: Vec<Secret> = match entry.state {
                    SendState::NeverSent if !own_first => known.chain(first).collect(),
                    _ => first.into_iter().chain(known).collect(),
                };
                credentials.choose(name, secrets)
            }
        }
    }

    /// What a question of the gateway's own carries, that one of `speakers` might ask: the credential of the first who
    /// has one.
    pub(crate) async fn credential_of(&self, speakers: &[&str]) -> Option<Secret> {
        let credentials = &self.credentials;
        match credentials.whose {
            Whose::None => None,
            Whose::Service => credentials.own().ok(),
            Whose::Subject => {
                let vault = credentials.vault.as_ref()?;
                for speaker in speakers {
                    if let Some(newest) = self.newest_of(speaker, vault).await {
                        return Some(newest);
                    }
                }
                None
            }
        }
    }

    /// The newest credential of a speaker, of an earlier run too.
    async fn newest_of(&self, speaker: &str, vault: &Vault) -> Option<Secret> {
        let book = &self.credentials.book;
        if let Some(known) = book.newest(speaker) {
            return Some(known);
        }
        if book.is_unknown(speaker) {
            return None;
        }
        let (store, name) = (self.store.clone(), name(speaker));
        let read = tokio::task::spawn_blocking({
            let name = name.clone();
            move || store.sealed(&name)
        });
        let sealed = match read.await {
            Ok(Ok(Some(sealed))) => sealed,
            Ok(Ok(None)) => {
                book.not_remembered(speaker);
                return None;
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a credential cannot be read");
                return None;
            }
            Err(_) => return None,
        };
        let Some(plain) = vault.open_sealed(&name, &sealed) else {
            tracing::warn!("a credential was sealed with another key than that of drain.credential_key_file");
            return None;
        };
        let secret = Secret::from_bytes(plain);
        book.remembered(speaker, &secret);
        Some(secret)
    }
}

/// Tells the journal, once a second, which credentials are new.
pub(crate) async fn tell<D: Domain>(core: Arc<Core<D>>) {
    let Some(vault) = &core.credentials.vault else {
        return std::future::pending().await;
    };
    let book = &core.credentials.book;
    let mut overdue_before = 0;
    let mut tick = interval(TELL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (waiting, overdue) = core.credentials.waiting();
        if overdue > overdue_before {
            tracing::error!(waiting, overdue, "replays wait for credentials that the upstream accepts");
        }
        overdue_before = overdue;
        let dirty = book.take_dirty();
        if dirty.is_empty() {
            continue;
        }
        let sealed = dirty.iter().filter_map(|(speaker, secret)| {
            let name = name(speaker);
            let sealed = vault.seal(&name, secret.bytes())?;
            Some((name.into(), Some(sealed)))
        });
        if let Err(error) = core.store.keep_sealed(sealed.collect()).await {
            tracing::warn!(%error, "credentials are not kept yet");
            book.still_dirty(dirty.into_iter().map(|(speaker, _)| speaker));
        }
    }
}

/// The name under which the credential of a speaker is sealed and kept.
fn name(speaker: &str) -> String {
    format!("of {speaker}")
}
