//! The files that the configuration names: there, readable, and what they should be.
//!
//! A TLS library that is handed a bad certificate fails late and with little to say; here the key
//! that names it is known.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Config;
use crate::diagnostic::Diagnostic;

/// Certificates, keys and secrets are not larger.
const LARGEST: u64 = 1024 * 1024;

/// What a file must hold.
#[derive(Clone, Copy)]
enum Holds {
    Certificates,
    PrivateKey,
    Token,
    Secret,
    SigningSecrets,
}

impl Config {
    /// Looks at every file that the configuration names: whether it can be read, and holds
    /// certificates, a private key or a secret. One diagnostic for each that does not.
    pub fn check_files(&self) -> Vec<Diagnostic> {
        let problem = |(key, path, holds): (String, &Path, Holds)| {
            let reason = check(path, holds).err()?;
            Some(self.places.diagnostic(&key, format!("found \"{}\", {reason}", path.display())))
        };
        let mut problems: Vec<_> = self.files().into_iter().filter_map(problem).collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }

    fn files(&self) -> Vec<(String, &Path, Holds)> {
        let mut files: Vec<(String, Option<&Path>, Holds)> = Vec::new();
        if let Some(tls) = &self.gateway.tls {
            files.push(("gateway.tls.cert".into(), Some(&tls.cert), Holds::Certificates));
            files.push(("gateway.tls.key".into(), Some(&tls.key), Holds::PrivateKey));
        }
        files.push(("admin.token_file".into(), self.admin.token_file.as_deref(), Holds::Token));
        if let Some(tls) = &self.upstream.tls {
            files.push(("upstream.tls.ca".into(), tls.ca.as_deref(), Holds::Certificates));
            files.push(("upstream.tls.cert".into(), tls.cert.as_deref(), Holds::Certificates));
            files.push(("upstream.tls.key".into(), tls.key.as_deref(), Holds::PrivateKey));
        }
        files.push(("callbacks.ca".into(), self.callbacks.ca.as_deref(), Holds::Certificates));
        for (index, merchant) in self.merchants.iter().enumerate() {
            files.push((
                format!("merchant[{index}].secret_file"),
                Some(&merchant.secret_file),
                Holds::SigningSecrets,
            ));
        }
        for (index, modem) in self.modems.iter().enumerate() {
            files.push((format!("modem[{index}].pin_file"), modem.pin_file.as_deref(), Holds::Secret));
        }
        for (index, http) in self.sms.iter().flat_map(|sms| sms.http.iter().enumerate()) {
            files.push((format!("sms.http[{index}].secret_file"), http.secret_file.as_deref(), Holds::Secret));
            files.push((format!("sms.http[{index}].ca"), http.ca.as_deref(), Holds::Certificates));
        }
        for (index, smtp) in self.sms.iter().flat_map(|sms| sms.smtp.iter().enumerate()) {
            files.push((format!("sms.smtp[{index}].password_file"), smtp.password_file.as_deref(), Holds::Secret));
            files.push((format!("sms.smtp[{index}].ca"), smtp.ca.as_deref(), Holds::Certificates));
        }
        files
            .into_iter()
            .filter_map(|(key, path, holds)| Some((key, path?, holds)))
            .collect()
    }
}

fn check(path: &Path, holds: Holds) -> Result<(), String> {
    let bytes = read_bounded(path, LARGEST)?;
    match holds {
        Holds::Certificates => certificates(&bytes),
        Holds::PrivateKey => private_key(&bytes),
        Holds::Token => secret(&bytes, 16),
        Holds::Secret => secret(&bytes, 1),
        Holds::SigningSecrets => signing_secrets(&bytes),
    }
}

fn certificates(bytes: &[u8]) -> Result<(), String> {
    let mut found = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        certificate
            .map_err(|error| format!("which is no PEM file ({}), allowed is one with certificates", broken(&error)))?;
        found += 1;
    }
    if found > 0 {
        return Ok(());
    }
    let holds_key = PrivateKeyDer::from_pem_slice(bytes).is_ok();
    let instead = if holds_key {
        "which holds a private key and no certificate"
    } else {
        "in which there is no certificate"
    };
    Err(format!("{instead}, allowed is a PEM file with certificates"))
}

fn private_key(bytes: &[u8]) -> Result<(), String> {
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(_) => Ok(()),
        Err(pem::Error::NoItemsFound) => {
            let encrypted = bytes.windows(9).any(|window| window == b"ENCRYPTED");
            let holds_certificate = CertificateDer::from_pem_slice(bytes).is_ok();
            let instead = match (encrypted, holds_certificate) {
                (true, _) => "whose private key is encrypted",
                (false, true) => "which holds a certificate and no private key",
                (false, false) => "in which there is no private key",
            };
            Err(format!("{instead}, allowed is a PEM file with an unencrypted private key"))
        }
        Err(error) => Err(format!("which is no PEM file ({}), allowed is one with a private key", broken(&error))),
    }
}

/// The reason without the bytes: what is in a key file belongs in no log.
fn broken(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its section has no end",
        pem::Error::IllegalSectionStart { .. } => "its section begins wrongly",
        pem::Error::Base64Decode(_) => "its base64 is broken",
        _ => "it cannot be decoded",
    }
}

fn secret(bytes: &[u8], least: usize) -> Result<(), String> {
    let text = bytes.trim_ascii();
    if text.len() >= least && text.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    Err(format!(
        "which does not hold a secret, allowed is one line of at least {least} printable characters without spaces"
    ))
}

/// One or two secrets of Standard Webhooks, a line each: `whsec_` and the base64 of 24 to 64 bytes.
fn signing_secrets(bytes: &[u8]) -> Result<(), String> {
    let is_secret = |line: &[u8]| {
        let coded = line.strip_prefix(b"whsec_").unwrap_or(line);
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        (32..=88).contains(&coded.len()) && coded.len().is_multiple_of(4) && coded.iter().all(is_base64)
    };
    let lines: Vec<_> = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect();
    if (1..=2).contains(&lines.len()) && lines.iter().all(|line| is_secret(line)) {
        return Ok(());
    }
    Err(
        "which does not hold a signing secret, allowed is whsec_ and the base64 of 24 to 64 bytes, on one line or two"
            .to_owned(),
    )
}

/// The file's bytes, or why there are none, as the middle of a diagnostic.
pub(crate) fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    let read = || {
        let file = File::open(path)?;
        // A named pipe would be waited for, a device might never end.
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(largest + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if bytes.len() as u64 > largest => Err(format!("which is larger than allowed, {largest} bytes")),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("which cannot be read ({error}), allowed is a readable file")),
    }
}

#[cfg(test)]
mod tests;
