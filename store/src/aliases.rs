//! Local ids and the upstream's for the same things: permanent on disk, the used ones in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    generations::Generations,
    journal::{Alias, JournalError, Reader},
};

/// Ids kept in each direction and generation.
const SIZE: usize = 1 << 15;

/// A lookup that is kept; `None` for an id that has no alias yet.
type Lookup = Generations<Arc<str>, Option<Arc<str>>>;

/// Both directions. A lookup that is not in memory reads the disk: rare, and a few tens of microseconds.
pub struct Aliases {
    reader: Arc<dyn Reader>,
    upstream: Mutex<Lookup>,
    local: Mutex<Lookup>,
}

impl Aliases {
    pub(crate) fn new(reader: Arc<dyn Reader>) -> Self {
        Self {
            reader,
            upstream: Mutex::new(Generations::new(SIZE)),
            local: Mutex::new(Generations::new(SIZE)),
        }
    }

    /// The upstream's id for what was created here as `local`.
    pub fn upstream_of(&self, local: &str) -> Option<Arc<str>> {
        find(&self.upstream, local, || self.reader.upstream_of(local))
    }

    /// The local id of what the upstream calls `upstream`.
    pub fn local_of(&self, upstream: &str) -> Option<Arc<str>> {
        find(&self.local, upstream, || self.reader.local_of(upstream))
    }

    /// A commit told these.
    pub(crate) fn learn(&self, aliases: &[Alias]) {
        for alias in aliases {
            let local: Arc<str> = Arc::from(&*alias.local);
            let upstream: Arc<str> = Arc::from(&*alias.upstream);
            lock(&self.upstream).insert(Arc::clone(&local), Some(Arc::clone(&upstream)));
            lock(&self.local).insert(upstream, Some(local));
        }
    }
}

fn lock(lookup: &Mutex<Lookup>) -> MutexGuard<'_, Lookup> {
    lookup.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock is kept while the disk is read, so that a commit that tells the alias meanwhile is not forgotten.
fn find(
    lookup: &Mutex<Lookup>,
    id: &str,
    read: impl FnOnce() -> Result<Option<String>, JournalError>,
) -> Option<Arc<str>> {
    let mut lookup = lock(lookup);
    if let Some(known) = lookup.get(id) {
        return known;
    }
    let found = match read() {
        Ok(found) => found.map(Arc::from),
        Err(error) => {
            tracing::error!(%error, id, "an alias cannot be read");
            return None;
        }
    };
    lookup.insert(Arc::from(id), found.clone());
    found
}
