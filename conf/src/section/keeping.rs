//! What is kept on disk and in memory: `[store]`, `[orders]`, `[idempotency]`, `[ids]`, `[backup]`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use crate::read::field::{optional, or, required};
use crate::read::form::{flag, path, word};
use crate::read::number::{bytes, count, duration, nz, nz32};
use crate::read::{Section, section, words};
use crate::value::duration::{DAY, HOUR, MINUTE, MS, SECOND, secs};
use crate::value::size::{GIB, KIB, MIB};

section! {
    /// The journal, and the bounds of the queue before its writer.
    pub struct Store {
        /// The database file. A relative path starts at the working directory.
        pub path: PathBuf = or(path(), PathBuf::from("megamind.db")),
        /// The longest that a request waits for a place in the writer's queue before it is answered
        /// 503 `overloaded`.
        pub queue_timeout: Duration = or(duration(MS..=MINUTE), secs(2)),
        /// The longest that a request waits for its commit, while nobody can tell whether the disk has it. Then it is
        /// answered 504 `outcome_unknown`; whoever repeats it with its key learns more.
        pub commit_timeout: Duration = or(duration(MS..=MINUTE * 10), secs(25)),
        /// Commands that may wait for the writer.
        pub max_queue: NonZeroUsize = or(count(nz::<1>()..=nz::<1_000_000>()), nz::<16_384>()),
        /// Bytes of their bodies.
        pub max_queue_bytes: u64 = or(bytes(64 * KIB..=64 * GIB), 64 * MIB),
        /// How long a record is kept that nobody needs any more: of an acknowledged write, of what was watched.
        /// Those with an idempotency key stay for `idempotency.keep_for`.
        pub retention: Duration = or(duration(MINUTE..=DAY * 365), DAY * 3),
        /// Commands that are committed together at most.
        pub batch: NonZeroUsize = or(count(nz::<1>()..=nz::<65_536>()), nz::<512>()),
    }
}

section! {
    /// Finished orders.
    pub struct Orders {
        /// How long a finished order stays in memory. On disk it is kept for `keep_archived`, and is found by both its ids.
        pub keep_terminal: Duration = or(duration(SECOND..=DAY * 365), HOUR * 24),
        /// How long a finished order that has left the memory can still be asked for here. After that it is to this gateway
        /// like an order that it never saw; its ids go on leading to one another for ever.
        pub keep_archived: Duration = or(duration(SECOND..=DAY * 3650), DAY * 90),
    }
}

section! {
    /// Repeated requests, which get the first answer again.
    pub struct Idempotency {
        /// While acting, the same (merchantId, clientRef, content) within this window is one order.
        pub natural_window: Duration = or(duration(Duration::ZERO..=DAY), MINUTE * 10),
        /// How long a key and its answer are kept: longer than the longest outage and its drain.
        pub keep_for: Duration = or(duration(MINUTE..=DAY * 365), DAY * 7),
        /// Keys that are kept at most; the oldest settled ones go first.
        pub max_keys: NonZeroUsize = or(count(nz::<1>()..=nz::<1_000_000_000>()), nz::<10_000_000>()),
    }
}

words! {
    /// The form of the ids that are given here.
    pub enum IdForm {
        /// `CITY-ULID`.
        Ulid = "ulid",
        /// Whole numbers from a reserved range, for clouds whose clients expect numbers.
        Integer = "integer",
    }
}

/// The range that is reserved where none is named. All of its numbers begin alike, and a double holds each exactly.
const FIRST: u64 = 900_000_000_000;
const LAST: u64 = 900_999_999_999;

/// The greatest integer that JSON carries everywhere (RFC 8259, 6).
const MOST: u64 = (1 << 53) - 1;

section! {
    /// The ids of orders placed here.
    pub struct Ids {
        /// `ulid` is `CITY-ULID`; `integer` takes numbers from a reserved range.
        pub form: IdForm = or(word(), IdForm::Ulid),
        /// The first number of the reserved range, 900000000000 where it is left out. The cloud must never give one of
        /// the range itself. Pilots and calls use up numbers as orders do.
        pub first: Option<u64> = optional(count(1_000..=MOST), FIRST),
        /// The last number of the range, 900999999999 where it is left out. It has as many digits as the first, and
        /// begins with the same two at least: by these they are found in what clients send.
        pub last: Option<u64> = optional(count(1_000..=MOST), LAST),
        /// Numbers at the beginning of the range that are given no more. After `restore` as many more as may have been
        /// given since the copy, which does not know of them.
        pub skip: u64 = or(count(0..=MOST), 0),
        /// Whether the cloud reads and writes ids of orders as numbers in JSON. An id of digits then goes out as a number
        /// though clients name ours as text, and the answers made here have numbers though a form has texts alone.
        pub upstream_numbers: bool = or(flag(), false),
    }
    rules = Ids::rules;
}

impl Ids {
    /// The reserved range, both ends in it, where numbers are given, or were once. With `form = "ulid"` the earlier ones
    /// are known for as long as `first` or `last` is set.
    pub fn range(&self) -> Option<(u64, u64)> {
        let reserved = self.form == IdForm::Integer || self.first.is_some() || self.last.is_some();
        reserved.then(|| (self.first.unwrap_or(FIRST), self.last.unwrap_or(LAST)))
    }

    fn rules(&self, section: &mut Section<'_, '_>) {
        let Some((first, last)) = self.range() else {
            return;
        };
        let key = if self.last.is_some() { "last" } else { "first" };
        let (low, high) = (first.to_string(), last.to_string());
        let alike = low.bytes().zip(high.bytes()).take_while(|(low, high)| low == high).count();
        if last < first {
            let message = format!("found {first} to {last}, allowed is a last number that is not below the first");
            section.refuse(key, message);
        } else if low.len() != high.len() || alike < 2 {
            let message = format!(
                "found {first} to {last}, allowed is a range whose numbers have as many digits and begin with the same two"
            );
            section.refuse(key, message);
        } else if self.skip > last - first {
            let message =
                format!("found {}, allowed is less than the numbers of the range, {first} to {last}", self.skip);
            section.refuse("skip", message);
        }
    }
}

section! {
    /// Copies made while running.
    pub struct Backup {
        /// How often.
        pub every: Duration = required(duration(SECOND..=DAY * 31), HOUR),
        /// The folder that the copies go to.
        pub to: PathBuf = required(path(), PathBuf::from("/var/backups/megamind")),
        /// Copies that are kept; older ones are deleted.
        pub keep: NonZeroU32 = or(
            count(nz32::<1>()..=nz32::<10_000>()),
            nz32::<24>(),
        ),
    }
}
