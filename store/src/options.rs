//! What a store is opened with.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use megamind_domain::{Request, Time};

use crate::timekeeping::Elapsed;

/// Where the writer takes the time from.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// A value of a slot that waits in the queue, or is about to.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// When it was decided.
    pub at: Time,
    /// The request that tells it.
    pub request: &'a Request,
}

/// Two values of one slot in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The request that tells both.
    pub request: Request,
    /// See [`megamind_domain::Replay::Newest`].
    pub fields: u32,
}

/// Merges an earlier value of a slot with a later one; `None` where the later one takes its place.
pub type Merge = Arc<dyn Fn(Told<'_>, Told<'_>) -> Option<Merged> + Send + Sync>;

/// Every limit of the store.
#[derive(Clone)]
pub struct Options {
    /// The database file. Its lock is `<path>.lock` beside it.
    pub path: PathBuf,
    /// The city: a prefix of the keys that the store makes for requests of its own.
    pub city: String,
    /// How long a sender waits for room in the writer's queue before it is told [`crate::SubmitError::Overloaded`].
    pub queue_timeout: Duration,
    /// Messages that may wait for the writer.
    pub max_queue: usize,
    /// Bytes of bodies that may wait for the writer.
    pub max_queue_bytes: usize,
    /// Messages in one commit at most.
    pub max_batch: usize,
    /// The longest that an observation stays undurable.
    pub shadow_flush: Duration,
    /// How long the answer to a request with an idempotency key is kept.
    pub keep_keys_for: Duration,
    /// Idempotency keys kept at most; the oldest go first.
    pub max_keys: usize,
    /// How long a record is kept that nobody needs any more and that carries no idempotency key; the others are kept for
    /// `keep_keys_for`.
    pub retention: Duration,
    /// How long the last row of an entity is kept after it left the city under a name.
    pub keep_left_for: Duration,
    /// How long a request without a key is recognized by its content ([`megamind_domain::Parsed::natural`]).
    pub natural_window: Duration,
    /// The seed of the ids; `None` takes one from the operating system.
    pub seed: Option<u64>,
    /// The wall clock.
    pub clock: Clock,
    /// A clock that nobody sets; `None` takes the system's.
    pub elapsed: Option<Elapsed>,
    /// A clock that stands before this is wrong.
    pub earliest: Time,
    /// How values of slots are merged; without it the newest takes the place of the one before.
    pub merge: Option<Merge>,
}

impl Options {
    /// The defaults for a database at `path`.
    pub fn new(path: impl Into<PathBuf>, city: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            city: city.into(),
            queue_timeout: Duration::from_secs(2),
            max_queue: 8192,
            max_queue_bytes: 64 << 20,
            max_batch: 512,
            shadow_flush: Duration::from_millis(100),
            keep_keys_for: Duration::from_hours(7 * 24),
            max_keys: 2_000_000,
            natural_window: Duration::from_mins(10),
            retention: Duration::from_hours(72),
            keep_left_for: Duration::from_hours(90 * 24),
            seed: None,
            clock: Arc::new(wall_clock),
            elapsed: None,
            earliest: Time(i64::MIN),
            merge: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("path", &self.path)
            .field("city", &self.city)
            .finish_non_exhaustive()
    }
}

/// Now, by the system's clock; 1970 where it stands before that.
fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
