//! Signed calls, as Standard Webhooks has them (<https://www.standardwebhooks.com>, version 1.0.0).

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue};
use megamind_domain::Time;
use ring::hmac;

/// How long a file of secrets is trusted before it is read again: a rotation takes effect within that.
const KEEP: Duration = Duration::from_secs(5);

/// The secrets of one merchant: the current one, and the other during rotation.
pub(super) type Keys = Vec<hmac::Key>;

/// Files of secrets, read.
#[derive(Default)]
pub(super) struct Secrets(Mutex<HashMap<PathBuf, (Instant, Keys)>>);

impl Secrets {
    /// The secrets in a file.
    ///
    /// # Errors
    /// What is wrong with the file, without anything of its content.
    pub(super) fn read(&self, path: &Path) -> Result<Keys, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, keys)) = known.get(path)
            && at.elapsed() < KEEP
        {
            return Ok(keys.clone());
        }
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let keys = keys(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        known.insert(path.to_owned(), (Instant::now(), keys.clone()));
        Ok(keys)
    }
}

/// One or two secrets, a line each.
fn keys(text: &str) -> Result<Keys, &'static str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Result<Keys, _> = lines
        .map(|line| {
            let secret = STANDARD.decode(line.strip_prefix("whsec_").unwrap_or(line));
            secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, &secret))
        })
        .collect();
    match keys {
        Ok(keys) if (1..=2).contains(&keys.len()) => Ok(keys),
        Ok(_) => Err("allowed are one or two lines"),
        Err(_) => Err("allowed is whsec_ and base64"),
    }
}

/// The headers of a call: an id that stays the same over all attempts, the time of this one, and a signature by each
/// secret.
pub(super) fn headers(id: &str, at: Time, body: &[u8], keys: &Keys) -> Vec<(HeaderName, HeaderValue)> {
    let seconds = at.0.div_euclid(1000).to_string();
    let mut signatures = String::new();
    for key in keys {
        let mut signed = hmac::Context::with_key(key);
        for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
            signed.update(part);
        }
        let separator = if signatures.is_empty() { "" } else { " " };
        // Writing to a text does not fail.
        let _ = write!(signatures, "{separator}v1,{}", STANDARD.encode(signed.sign()));
    }
    let mut headers = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", seconds)];
    if !keys.is_empty() {
        headers.push(("webhook-signature", signatures));
    }
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
    };
    headers.into_iter().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's repository (libraries' tests).
    #[test]
    fn the_published_vector_is_met() {
        let keys = keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("a secret");
        let body = br#"{"test": 2432232314}"#;
        let headers = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", Time(1_614_265_330_000), body, &keys);
        let signature = headers.iter().find(|(name, _)| name == "webhook-signature").expect("signed");
        assert_eq!(signature.1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn during_rotation_both_secrets_sign() {
        let two =
            keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n\nwhsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n").expect("two");
        let headers = headers("msg_1", Time(0), b"{}", &two);
        let signature = headers.iter().find(|(name, _)| name == "webhook-signature").expect("signed");
        assert_eq!(signature.1.to_str().expect("text").split(' ').count(), 2);
        assert!(keys("").is_err() && keys("whsec_?").is_err() && keys("AA==\nAA==\nAA==").is_err());
    }
}
