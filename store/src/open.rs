//! Putting the city back together: rows, then the queue, then the keys.

use std::{
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Instant,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use megamind_domain::{Domain, EntityKey, IdSource, Time};

use crate::{
    Aliases, Health, Metrics, OpenError, Options, WriterHandle,
    changes::Changes,
    journal::{Journal, JournalError, LoadError, Restored, Visit, schema},
    keys::{self, Keys},
    published::Published,
    queue::{self, Queue},
    store::{Inbox, Shared},
    timekeeping::{Ages, Timekeeper},
    writer::{Base, Writer},
};

pub(crate) fn open<D: Domain>(
    domain: Arc<D>,
    options: Options,
    mut journal: Box<dyn Journal>,
) -> Result<(Arc<Shared<D>>, WriterHandle), OpenError> {
    let began = Instant::now();
    let mut loading = Loading {
        domain: &*domain,
        city: D::City::default(),
        queue: Queue::default(),
        keys: Keys::new(options.max_keys, options.keep_keys_for, options.natural_window),
    };
    let opening = journal.load(&mut loading).map_err(|error| explain(&options.path, error))?;
    let Loading { city, queue, keys, .. } = loading;

    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    let base = Base {
        city,
        fences: queue.fences(),
        last_seq: opening.tail.seq,
        last_at: opening.last_at,
        ids: IdSource::new(opening.newest_id, seed),
    };
    let time = Timekeeper::new(
        options.clock.clone(),
        options.elapsed.clone(),
        options.earliest,
        opening.last_at,
        opening.trusted_since,
    );
    let (sender, inbox) = mpsc::channel();
    let reader = journal.reader();
    let shared = Arc::new(Shared {
        published: ArcSwap::from_pointee(publish(&base, base.last_seq, &queue, opening.restored)),
        restored: ArcSwapOption::new(opening.restored.map(Arc::new)),
        time,
        health: ArcSwap::from_pointee(Health::Ok),
        mode: ArcSwapOption::new(opening.mode.map(Arc::new)),
        aliases: Aliases::new(Arc::clone(&reader)),
        metrics: Metrics::default(),
        inbox: Inbox::new(&options, sender.clone()),
        ticks: AtomicU64::new(0),
        changes: Arc::new(Changes::new()),
        queue: Mutex::new(queue),
        keys: Mutex::new(keys),
        reader,
        options,
    });
    let bytes = journal.bytes();
    shared.metrics.file_bytes.store(bytes, Relaxed);
    tracing::info!(
        path = %shared.options.path.display(),
        records = base.last_seq,
        queued = shared.published.load().entries,
        epoch = journal.epoch(),
        millis = began.elapsed().as_millis() as u64,
        "the journal is open"
    );
    let writer = Writer::new(domain, Arc::clone(&shared), journal, inbox, base);
    let handle = WriterHandle::spawn(writer, sender)
        .map_err(|source| OpenError::Io { path: shared.options.path.clone(), source })?;
    Ok((shared, handle))
}

/// What readers see of a city and its queue.
pub(crate) fn published<D: Domain>(base: &Base<D>, durable_seq: u64, shared: &Shared<D>) -> Published<D> {
    let queue = shared.queue();
    let restored = shared.restored.load().as_deref().copied();
    publish(base, durable_seq, &queue, restored)
}

fn publish<D: Domain>(base: &Base<D>, durable_seq: u64, queue: &Queue, restored: Option<Restored>) -> Published<D> {
    Published {
        city: base.city.clone(),
        fences: base.fences.clone(),
        last_seq: durable_seq,
        sendable: if restored.is_some() { 0 } else { queue.sendable() },
        parked: queue.parked(),
        entries: queue.len(),
        oldest_at: queue.oldest_at(),
        oldest_sendable_at: queue.oldest_sendable_at(),
        restored,
    }
}

struct Loading<'a, D: Domain> {
    domain: &'a D,
    city: D::City,
    queue: Queue,
    keys: Keys,
}

impl<D: Domain> Visit for Loading<'_, D> {
    fn row(&mut self, key: EntityKey, seq: u64, value: &[u8]) -> Result<(), LoadError> {
        let decoded = catch_unwind(AssertUnwindSafe(|| self.domain.decode(&mut self.city, key, value)));
        match decoded {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => {
                Err(LoadError::Corrupt(format!("the row of entity {}, written by record {seq}: {why}", key.0)))
            }
            Err(_) => Err(LoadError::Panicked(seq)),
        }
    }

    fn queued(&mut self, seq: u64, row: &[u8]) -> Result<(), LoadError> {
        let entry = queue::unpack(row).ok_or_else(|| LoadError::Corrupt(format!("entry {seq} of the queue")))?;
        self.queue.load(seq, entry);
        Ok(())
    }

    fn keys(&mut self, at: Time, packed: &[u8]) -> Result<(), LoadError> {
        let rows = keys::unpack(packed).ok_or_else(|| LoadError::Corrupt("the keys of a batch".into()))?;
        for key in rows {
            // Those too old by a clock that is right go with the first that comes.
            self.keys.insert(&key, at, Ages::suspended());
        }
        Ok(())
    }
}

fn explain(path: &Path, error: LoadError) -> OpenError {
    let path = path.to_path_buf();
    match error {
        LoadError::Corrupt(what) => OpenError::Corrupt { path, what },
        LoadError::Panicked(seq) => OpenError::Panicked { path, seq },
        LoadError::Journal(JournalError::Database(error)) => schema::explain(&path, error),
        LoadError::Journal(source) => OpenError::Journal { path, source },
    }
}
