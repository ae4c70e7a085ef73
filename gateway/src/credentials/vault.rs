//! Sealing: ChaCha20-Poly1305 (RFC 8439) under a key in a file of its own. Whoever gets the database, or a copy of it,
//! does not get what is sealed in it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use megamind_conf::Config;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Bytes of the key.
const KEY: usize = 32;

/// A key, ready for use.
pub struct Vault(LessSafeKey);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// The key that this configuration names, or the one beside the database.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn of(config: &Config) -> Result<Self, String> {
        let path = config.drain.credential_key_file.clone();
        let path = path.unwrap_or_else(|| beside(&config.store.path));
        Self::open(&path).map_err(|why| format!("drain.credential_key_file: {why}"))
    }

    /// The key in the file; where there is none, a fresh one, which only this user may read.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds something else: the reason, with the file's name.
    pub fn open(path: &Path) -> Result<Self, String> {
        let explain = |error: io::Error| format!("{}: {error}", path.display());
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(explain)?,
            other => other.map_err(explain)?,
        };
        let bytes = unhex(text.trim())
            .ok_or_else(|| format!("{}: not a key: allowed are {} hexadecimal digits", path.display(), 2 * KEY))?;
        Self::new(&bytes).ok_or_else(|| format!("{}: not a key", path.display()))
    }

    fn new(key: &[u8; KEY]) -> Option<Self> {
        Some(Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?)))
    }

    /// Seals something so that it opens under the same name only. `None` without randomness.
    pub fn seal(&self, name: &str, secret: &[u8]) -> Option<Vec<u8>> {
        // Chosen at random: with 2^32 of them the chance that any two meet is below 2^-32.
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let mut sealed = nonce.to_vec();
        let mut text = secret.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()), &mut text)
            .ok()?;
        sealed.append(&mut text);
        Some(sealed)
    }

    /// Opens what was sealed under this name with this key; `None` for anything else.
    pub fn open_sealed(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(name.as_bytes()), &mut text).ok()?.len();
        text.truncate(plain);
        Some(text)
    }
}

fn make(path: &Path) -> io::Result<String> {
    let mut key = [0; KEY];
    getrandom::fill(&mut key).map_err(|_| io::Error::other("the system gives no randomness"))?;
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    let text: String = key.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    tracing::info!(path = %path.display(), "a key was made; keep it, but not where the database is kept");
    Ok(text)
}

/// The key's file, where none is named: beside the database, and not in it.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

fn unhex(text: &str) -> Option<[u8; KEY]> {
    let digits = text.as_bytes();
    let mut key = [0; KEY];
    if digits.len() != 2 * KEY {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |letter: u8| char::from(letter).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_name_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("megamind.key");
        let vault = Vault::open(&path).expect("a fresh key");
        let sealed = vault.seal("M1", b"Bearer secret").expect("sealed");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_ne!(vault.seal("M1", b"Bearer secret"), Some(sealed.clone()), "never twice the same");
        let again = Vault::open(&path).expect("the same key");
        assert_eq!(again.open_sealed("M1", &sealed).as_deref(), Some(&b"Bearer secret"[..]));
        assert_eq!(again.open_sealed("M2", &sealed), None);
        let mut broken = sealed.clone();
        broken[20] ^= 1;
        assert_eq!(again.open_sealed("M1", &broken), None);
        assert_eq!(again.open_sealed("M1", &sealed[..5]), None);
        let other = Vault::open(&folder.path().join("other.key")).expect("another key");
        assert_eq!(other.open_sealed("M1", &sealed), None);
    }

    #[test]
    fn a_file_without_a_key_is_named_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes");
        fs::write(&path, "Dear diary").expect("written");
        let error = Vault::open(&path).expect_err("no key");
        assert!(error.contains("notes") && error.contains("64 hexadecimal digits"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("reads"), "Dear diary");
    }
}
