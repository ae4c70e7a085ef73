//! Oblivion, and when it counts as failed: `[upstream]`, `[health]`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use crate::read::field::{optional, optional_table, or, required, table};
use crate::read::form::{Form, path, plain, scalar, text, word};
use crate::read::list::{list, some};
use crate::read::number::{count, duration, nz, nz32, ratio};
use crate::read::{Section, section, words};
use crate::value::duration::{DAY, HOUR, MINUTE, MS, SECOND, ms, secs};
use crate::value::net::is_host;
use crate::value::{JsonPointer, Ratio, Scalar, Server, UrlPath, is_label};

words! {
    /// What becomes of a write that was sent when its answer did not come in time.
    pub enum OnTimeout {
        /// It is decided here at once, and settled with Oblivion later.
        Act = "act",
        /// It waits up to 25 s for Oblivion's answer before it is decided here.
        Wait = "wait",
    }
}

words! {
    /// How a write that Oblivion may have applied already is settled.
    pub enum Settlement {
        /// Replayed with its idempotency key, which Oblivion honours.
        Key = "key",
        /// Asked for first, as `[upstream.lookup]` says.
        Lookup = "lookup",
        /// Kept for the operator.
        Hold = "hold",
    }
}

fn status() -> impl Form<Value = u16> {
    count(100..=599)
}

section! {
    /// The cloud that the gateway stands in front of.
    pub struct Upstream {
        /// Its servers, all in plain HTTP or all in HTTPS: `host:port`, or a URL. Names are resolved
        /// in the background, and the last good address is kept.
        pub servers: Vec<Server> = required(some(text()), vec![Server::sample()]),
        /// The longest that opening a connection may take, TLS included.
        pub connect_timeout: Duration = or(duration(MS..=MINUTE), ms(300)),
        /// The longest wait for the response head, retries included; so the longest that a failing
        /// forward delays the gateway's own answer.
        pub response_timeout: Duration = or(duration(ms(10)..=MINUTE * 5), secs(2)),
        /// What becomes of a write that was sent and not answered in time: `act` decides it here at
        /// once, `wait` gives Oblivion up to 25 s.
        pub on_timeout: OnTimeout = or(word(), OnTimeout::Act),
        /// Statuses that count as a failure, for traffic, checks and drain alike.
        pub failure_status: Vec<u16> = or(
            list(status()),
            vec![500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530],
        ),
        /// How a write that may have been applied already is settled: `key` replays it with its
        /// `Idempotency-Key`, which Oblivion must honour; `lookup` asks first; `hold` leaves it to
        /// the operator. Only you know which of them is safe, so there is no default.
        pub idempotency: Settlement = required(word(), Settlement::Key),
        /// How long Oblivion remembers an `Idempotency-Key`.
        pub key_retention: Duration = or(duration(SECOND..=DAY * 365), HOUR * 24),
        /// How long a 409 or 425 to the replay of a possibly applied write is retried before it
        /// counts as a conflict, and how long a lookup that finds nothing proves nothing: the first
        /// attempt may still be running.
        pub settle_after: Duration = or(duration(Duration::ZERO..=HOUR), MINUTE),
        /// Idle connections that are kept open, over all servers.
        pub pool_size: NonZeroUsize = or(
            count(nz::<1>()..=nz::<65_535>()),
            nz::<128>(),
        ),
        /// How long an idle connection is kept; keep it below what Oblivion allows.
        pub pool_idle_timeout: Duration = or(duration(SECOND..=HOUR), secs(30)),
        /// What an answer must look like to count as success.
        pub success: Option<Success> = optional_table(),
        /// How to ask whether a placeOrder arrived.
        pub lookup: Option<Lookup> = optional_table(),
        /// TLS to the servers.
        pub tls: Option<UpstreamTls> = optional_table(),
    }
    rules = Upstream::rules;
}

impl Upstream {
    /// Whether the servers are spoken to in TLS (all of them are, or none).
    pub fn is_tls(&self) -> bool {
        self.servers.iter().any(|server| server.tls)
    }

    fn rules(&self, section: &mut Section<'_, '_>) {
        if self.servers.iter().any(|server| server.tls != self.is_tls()) {
            section.refuse(
                "servers",
                "found servers with and without TLS, allowed are all with http or all with https",
            );
        }
        if self.idempotency == Settlement::Lookup && !section.has("lookup") {
            section.refuse("idempotency", "found \"lookup\" without [upstream.lookup], which says how to ask; allowed without it is \"key\" or \"hold\"");
        }
        if self.tls.is_some() && !self.servers.is_empty() && !self.is_tls() {
            section.refuse("tls", "found TLS settings, but upstream.servers speak plain HTTP; allowed with them are servers with https://");
        }
    }
}

section! {
    /// What an answer must look like to count as success, for a cloud that says 200 with an error
    /// in the body. Every key that is set must hold.
    pub struct Success {
        /// The statuses of a success; empty, every status that is no `failure_status`.
        pub status: Vec<u16> = or(list(status()), Vec::new()),
        /// The media type that the answer must have, parameters aside.
        pub content_type: Option<String> = optional(
            plain("a media type such as \"application/json\"", |text| is_label(text) && text.contains('/') && !text.contains(';')),
            "application/json".to_owned(),
        ),
        /// A JSON pointer into the answer, at which there must be something.
        pub pointer: Option<JsonPointer> = optional(text(), JsonPointer::known("/success")),
        /// The values that may stand at `pointer`; empty, any.
        pub values: Vec<Scalar> = or(list(scalar()), Vec::new()),
    }
    rules = Success::rules;
}

impl Success {
    fn rules(&self, section: &mut Section<'_, '_>) {
        if !self.values.is_empty() && self.pointer.is_none() {
            section.refuse("values", "found values without upstream.success.pointer, allowed are both");
        }
        if self.status.is_empty() && self.content_type.is_none() && self.pointer.is_none() {
            section.refuse(
                "pointer",
                "found a section that asks for nothing, allowed is at least one of status, content_type, pointer",
            );
        }
    }
}

words! {
    /// The method of a lookup.
    pub enum LookupMethod {
        /// The `match` fields go as query.
        Get = "GET",
        /// The `match` fields go as JSON body.
        Post = "POST",
    }
}

section! {
    /// How to ask Oblivion whether a placeOrder arrived.
    pub struct Lookup {
        /// `GET` sends the `match` fields as query, `POST` as JSON body.
        pub method: LookupMethod = or(word(), LookupMethod::Get),
        /// The path that is asked.
        pub path: UrlPath = required(text(), UrlPath::known("/findOrder")),
        /// The fields of the order that identify it.
        pub match_fields as "match": Vec<String> = required(
            some(plain("the name of a field", is_label)),
            vec!["merchantId".to_owned(), "clientRef".to_owned()],
        ),
        /// A JSON pointer to Oblivion's id in the answer; nothing there means that the order did not
        /// arrive.
        pub found: JsonPointer = required(text(), JsonPointer::known("/orders/0/orderId")),
    }
}

section! {
    /// TLS to Oblivion's servers, where it differs from the system's roots and the server's own
    /// name. Certificates are always verified.
    pub struct UpstreamTls {
        /// The authorities that are trusted instead of the system's, in PEM.
        pub ca: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/oblivion-ca.pem")),
        /// The name that the certificate must carry, sent as SNI.
        pub server_name: Option<String> = optional(plain("a host name", is_host), "api.example.com".to_owned()),
        /// The gateway's own certificate, in PEM, for a cloud that asks for one; with `key`.
        pub cert: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/client.pem")),
        /// The private key of `cert`, in PEM.
        pub key: Option<PathBuf> = optional(path(), PathBuf::from("/etc/megamind/client.key")),
    }
    rules = UpstreamTls::rules;
}

impl UpstreamTls {
    fn rules(&self, section: &mut Section<'_, '_>) {
        match (&self.cert, &self.key) {
            (Some(_), None) => section.refuse(
                "key",
                "found nothing, but upstream.tls.cert is set: allowed is the path of its private key",
            ),
            (None, Some(_)) => section.refuse(
                "cert",
                "found nothing, but upstream.tls.key is set: allowed is the path of its certificate",
            ),
            _ => {}
        }
    }
}

fn times() -> impl Form<Value = NonZeroU32> {
    count(nz32::<1>()..=nz32::<1_000>())
}

section! {
    /// When Oblivion counts as down, and when as up again: active checks, and what traffic shows.
    pub struct Health {
        /// What the checks ask each server for.
        pub path: UrlPath = or(text(), UrlPath::known("/healthz")),
        /// How often.
        pub interval: Duration = or(duration(ms(10)..=HOUR), SECOND),
        /// The longest that a check may take.
        pub timeout: Duration = or(duration(MS..=MINUTE), ms(500)),
        /// Failed checks in a row after which the gateway acts.
        pub fall: NonZeroU32 = or(times(), nz32::<3>()),
        /// Good checks in a row after which Oblivion counts as back. It doubles on each relapse within
        /// `flap_window`, to 8 times at most.
        pub rise: NonZeroU32 = or(times(), nz32::<5>()),
        /// How long a recovery must hold not to count as flapping.
        pub flap_window: Duration = or(duration(SECOND..=DAY), MINUTE * 5),
        /// What traffic shows.
        pub passive: Passive = table(),
    }
}

section! {
    /// Failures seen in real traffic. The gateway acts when the share of failed forwards in the
    /// window passes the limit.
    pub struct Passive {
        /// The window that is looked at.
        pub window: Duration = or(duration(ms(100)..=HOUR), secs(10)),
        /// The share of failed forwards at which the gateway acts.
        pub failure_ratio: Ratio = or(ratio(), Ratio::HALF),
        /// Fewer requests than this in the window say nothing.
        pub min_requests: NonZeroU32 = or(
            count(nz32::<1>()..=nz32::<1_000_000>()),
            nz32::<10>(),
        ),
    }
}
