//! Deleting what is old, in portions between two batches, so that nobody waits long for it.

use std::time::{Duration, Instant};

use megamind_domain::{Domain, Time};

use super::Writer;
use crate::{Options, journal::Older};

/// Records deleted in one go.
const RECORDS: usize = 500;

/// Entities that left the city deleted in one go. Their names lie anywhere in the file, so each costs a few pages: a
/// portion takes about as long as one of records does.
const LEFT: usize = 100;

/// How often what is old is looked for while nothing happens: once in a quarter of the shortest time of retention, within
/// these bounds.
const MOST_OFTEN: Duration = Duration::from_millis(250);
const LEAST_OFTEN: Duration = Duration::from_mins(1);

impl<D: Domain> Writer<D> {
    /// Until old things are looked for next.
    pub(super) fn until_tidy(&self) -> Duration {
        every(&self.shared.options).saturating_sub(self.last_tidy.elapsed())
    }

    /// Deletes what nobody needs any more, a little at a time. Whether there may be more.
    pub(super) fn tidy(&mut self) -> bool {
        if self.trim() || self.forget() {
            // Again as soon as there is time.
            return true;
        }
        self.last_tidy = Instant::now();
        false
    }

    fn trim(&mut self) -> bool {
        let options = &self.shared.options;
        let older = Older {
            than: self.older_than(options.retention.min(options.keep_keys_for)),
            with_keys_than: self.older_than(options.keep_keys_for),
        };
        match self.journal.trim(older, RECORDS) {
            Ok(trimmed) => trimmed.more,
            Err(error) => {
                tracing::warn!(%error, "old records cannot be deleted");
                false
            }
        }
    }

    fn forget(&mut self) -> bool {
        let before = self.older_than(self.shared.options.keep_left_for);
        match self.journal.forget(before, LEFT) {
            Ok(forgotten) => forgotten.more,
            Err(error) => {
                tracing::warn!(%error, "what left the city long ago cannot be deleted");
                false
            }
        }
    }

    /// What is from before this is older than `keep`: nothing, while the clock is doubtful.
    fn older_than(&self, keep: Duration) -> Time {
        self.shared.time.before(keep).unwrap_or(Time(i64::MIN))
    }
}

fn every(options: &Options) -> Duration {
    let shortest = options.retention.min(options.keep_keys_for).min(options.keep_left_for);
    (shortest / 4).clamp(MOST_OFTEN, LEAST_OFTEN)
}
