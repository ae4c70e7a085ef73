//! What goes back to Oblivion and what is learned from it: `[drain]`, `[shadow]`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use crate::read::field::{optional, or};
use crate::read::form::{flag, path, plain, text, word};
use crate::read::list::list;
use crate::read::number::{count, duration, nz, nz32};
use crate::read::{Section, section, words};
use crate::value::UrlPath;
use crate::value::duration::{DAY, HOUR, MINUTE, MS, SECOND, ms, secs};

words! {
    /// What becomes of the gateway's own assignments.
    pub enum Assigned {
        /// They are sent as `/updatemaster/ind/deliveryInfo` with `status: assigned`.
        Send = "send",
        /// They are kept here, for a cloud that does not know them.
        Skip = "skip",
    }
}

words! {
    /// Who yields when Oblivion answers a replay with 409.
    pub enum OnConflict {
        /// Decisions yield to Oblivion's; pilot and merchant are told.
        Upstream = "upstream",
        /// The entry is parked for the operator.
        Park = "park",
    }
}

words! {
    /// Whose credentials the replays carry.
    pub enum Credentials {
        /// None.
        None = "none",
        /// The newest that Oblivion accepted for the same subject.
        Subject = "subject",
        /// The gateway's own.
        Service = "service",
    }
}

section! {
    /// The replay of queued writes to Oblivion once it is back.
    pub struct Drain {
        /// Replays a second at most; 0 is no limit.
        pub max_rate: u32 = or(count(0..=1_000_000), 500),
        /// Replays under way at once at most.
        pub max_concurrency: NonZeroUsize = or(
            count(nz::<1>()..=nz::<4_096>()),
            nz::<32>(),
        ),
        /// Members of one bulk call at most.
        pub bulk_size: NonZeroUsize = or(
            count(nz::<1>()..=nz::<10_000>()),
            nz::<200>(),
        ),
        /// Whether delivery events that were never sent before go in bulk calls. Each item carries its own key as
        /// `idempotencyKey`; an answer without `results` for each item switches it off until the next start.
        pub bulk: bool = or(flag(), false),
        /// Whether the gateway's own assignments are sent; `skip` is for a cloud that does not know
        /// `status: assigned`.
        pub assigned: Assigned = or(word(), Assigned::Send),
        /// Attempts after which an entry is parked that keeps failing while others pass.
        pub max_attempts: NonZeroU32 = or(
            count(nz32::<1>()..=nz32::<1_000_000>()),
            nz32::<20>(),
        ),
        /// The pause after a first failed attempt; it doubles with each further one, with jitter.
        pub backoff: Duration = or(duration(MS..=HOUR), ms(200)),
        /// The longest such pause.
        pub max_backoff: Duration = or(duration(MS..=DAY), secs(30)),
        /// What a 409 does to a decision: `upstream` lets it yield to Oblivion's, `park` leaves it to
        /// the operator. Facts never yield.
        pub on_conflict: OnConflict = or(word(), OnConflict::Upstream),
        /// Whose credentials the replays carry: `none`; `subject`, the newest that Oblivion accepted
        /// for the same one; `service`, the gateway's own.
        pub credentials: Credentials = or(word(), Credentials::Subject),
        /// The headers of a request that are its credential.
        pub credential_headers: Vec<String> = or(
            list(plain("the name of a header", is_header)),
            ["authorization", "cookie", "x-api-key"].map(str::to_owned).to_vec(),
        ),
        /// The file with the key that seals them in the database, made at the first start; without it, `store.path`
        /// with `.key` appended. Keep it out of backups of the database.
        pub credential_key_file: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/credentials.key")),
        /// The file with the gateway's own credential, needed with `credentials = "service"`: one header
        /// (`X-Api-Key: …`), or a token alone, which is sent as `Authorization: Bearer`. Read anew for each replay.
        pub service_credential_file: Option<PathBuf> =
            optional(path(), PathBuf::from("/etc/megamind/service.credential")),
        /// How long a replay that was refused with 401 or 403 waits for a fresh credential before that is an alarm.
        pub credential_wait: Duration = or(duration(SECOND..=DAY * 31), HOUR),
    }
    rules = Drain::rules;
}

/// Whether a text is a token of HTTP (RFC 9110, 5.6.2), as names of headers are.
fn is_header(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

impl Drain {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if self.credentials == Credentials::Service && self.service_credential_file.is_none() {
            section.refuse("credentials", "found \"service\", allowed is that with drain.service_credential_file");
        }
        if self.backoff > self.max_backoff {
            section.refuse("backoff", "found more than drain.max_backoff, allowed is at most that");
        }
    }
}

section! {
    /// What the gateway learns by watching while it forwards.
    pub struct Shadow {
        /// The longest that a watched write stays undurable.
        pub flush: Duration = or(duration(MS..=MINUTE), ms(100)),
        /// How often open orders with gaps are asked for in the background; "0s" never.
        pub refresh: Duration = or(duration(Duration::ZERO..=DAY), MINUTE),
        /// Paths of Oblivion that list pilots or orders, asked when forwarding begins and every ten `refresh`.
        pub bootstrap: Vec<UrlPath> = or(list(text()), Vec::new()),
    }
}
