//! What has left the city and is asked about again.

use std::sync::Arc;

use megamind_domain::{Domain, EntityKey, Rejection, Stance};

use crate::core::Core;

/// Which names of a command the city does not know.
type Missing<D> = dyn Fn(&D, &<D as Domain>::City, &<D as Domain>::Command) -> Vec<Box<str>> + Send + Sync;

/// The command that takes an entity back into the city.
type Back<D> = dyn Fn(EntityKey, &[u8]) -> Option<<D as Domain>::Command> + Send + Sync;

/// What is said to a command about something of which nothing is left here but its ids.
type Forgotten<D> = dyn Fn(&D, &<D as Domain>::Command, Stance) -> Option<Rejection> + Send + Sync;

/// How a domain's entities come back.
pub(crate) struct Recall<D: Domain> {
    pub(crate) missing: Arc<Missing<D>>,
    pub(crate) back: Arc<Back<D>>,
    pub(crate) forgotten: Arc<Forgotten<D>>,
}

impl<D: Domain> Core<D> {
    /// The names in a command that the city does not know.
    fn missing(&self, recall: &Recall<D>, command: &D::Command) -> Vec<Box<str>> {
        let published = self.store.published();
        self.guarded(|| (recall.missing)(&self.domain, &published.city, command))
            .unwrap_or_default()
    }

    /// The refusal of a command about something that was here so long ago that only its ids are left, where it cannot be
    /// taken all the same: an id that was given here is not denied.
    pub(crate) fn forgotten(&self, command: &D::Command, stance: Stance) -> Option<Rejection> {
        let recall = self.recall.as_ref()?;
        let names = self.missing(recall, command);
        let was_here = names.iter().any(|name| self.store.aliases().upstream_of(name).is_some());
        if !was_here {
            return None;
        }
        self.guarded(|| (recall.forgotten)(&self.domain, command, stance)).ok()?
    }

    /// The rows of what a command names and what has left the city, read off the runtime's threads.
    async fn left(&self, command: &D::Command) -> Vec<(EntityKey, Vec<u8>)> {
        let Some(recall) = &self.recall else {
            return Vec::new();
        };
        let names = self.missing(recall, command);
        if names.is_empty() {
            return Vec::new();
        }
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut rows: Vec<(EntityKey, Vec<u8>)> = Vec::new();
            for name in names {
                let Some(key) = store.left_as(&name)? else { continue };
                if let Some(row) = store.archived(key)?
                    && rows.iter().all(|(known, _)| *known != key)
                {
                    rows.push((key, row));
                }
            }
            Ok::<_, megamind_store::ReadError>(rows)
        });
        match read.await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                tracing::error!(%error, "what has left the city cannot be read");
                Vec::new()
            }
            Err(error) => {
                tracing::error!(%error, "what has left the city cannot be read");
                Vec::new()
            }
        }
    }

    /// A city of this reader's own with what its query names and what had left; `None` where there is nothing such.
    pub(crate) async fn city_with_left(&self, query: &D::Command) -> Option<D::City> {
        let rows = self.left(query).await;
        if rows.is_empty() {
            return None;
        }
        let mut city = self.store.published().city.clone();
        let decoded = self.guarded(|| rows.iter().try_for_each(|(key, row)| self.domain.decode(&mut city, *key, row)));
        match decoded {
            Ok(Ok(())) => Some(city),
            Ok(Err(why)) => {
                tracing::error!(why, "a row of what has left the city cannot be read");
                None
            }
            Err(_) => None,
        }
    }

    /// Takes back into the city what a write names and what had left, before it is decided.
    pub(crate) async fn recall_for(&self, write: &D::Command) {
        for (key, row) in self.left(write).await {
            let back = self.recall.as_ref().and_then(|recall| (recall.back)(key, &row));
            let Some(command) = back else { continue };
            // Whoever was faster took it back; and where the journal refuses this, it refuses the write too.
            if let Err(error) = self.store.upkeep(command, Vec::new()).await {
                tracing::warn!(%error, "what has left the city cannot be taken back");
            }
        }
    }
}
