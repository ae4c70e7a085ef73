//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header-07).
//!
//! Every forwarded write of a handled route carries one: the client's own, or one of the gateway's. The gateway's is
//! derived from what makes a repetition of the request recognizable, where there is such a thing, and random else;
//! it is the same at every attempt, by proxy, handlers and drain.

use std::sync::atomic::{AtomicU64, Ordering};

use megamind_domain::Parsed;
use megamind_store::Key;
use pingora::http::RequestHeader;

/// The header's name.
pub(crate) const HEADER: &str = "Idempotency-Key";

/// The longest key that is taken from a client, in bytes.
pub(crate) const MAX: usize = 255;

/// Makes keys.
pub(crate) struct Keys {
    secret: [u8; 32],
    count: AtomicU64,
    /// Begins the hash of what makes a repetition recognizable.
    natural: blake3::Hasher,
}

impl Keys {
    /// A source whose random keys nobody else makes.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        let natural = blake3::Hasher::new_derive_key("megamind 2026 natural idempotency key");
        Ok(Self { secret, count: AtomicU64::new(0), natural })
    }

    /// The key of the part of a request that is decided here while the rest is sent on under the request's own: the same
    /// at every attempt.
    pub(crate) fn of_part(whole: &Key) -> Key {
        let hash = blake3::derive_key("megamind 2026 part of a bulk request", whole.text.as_bytes());
        let text = format!("mm-{}", &blake3::Hash::from_bytes(hash).to_hex()[..32]);
        Key { text: text.into(), from_client: false }
    }

    /// The key of a write: the client's, or one derived from what `parsed` says, or a random one.
    ///
    /// `None` where the client's own is empty, too long or not visible ASCII.
    pub(crate) fn of<C>(&self, head: &RequestHeader, path: &str, parsed: Option<&Parsed<C>>) -> Option<Key> {
        if let Some(own) = head.headers.get(HEADER) {
            let text = own.to_str().ok()?.trim();
            return (!text.is_empty() && text.len() <= MAX).then(|| Key { text: text.into(), from_client: true });
        }
        let hash = match parsed.and_then(|parsed| parsed.natural.as_ref()) {
            Some(natural) => {
                let mut hasher = self.natural.clone();
                hasher.update(path.as_bytes());
                hasher.update(&[0]);
                hasher.update(natural);
                hasher.finalize()
            }
            None => {
                let count = self.count.fetch_add(1, Ordering::Relaxed);
                blake3::keyed_hash(&self.secret, &count.to_le_bytes())
            }
        };
        let text = format!("mm-{}", &hash.to_hex()[..32]);
        Some(Key { text: text.into(), from_client: false })
    }
}
