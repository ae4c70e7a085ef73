//! What is said about the files that a configuration names.

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2l0eQ==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";

/// Checks a configuration whose two TLS files and token file hold the given texts; what is said
/// about them, with the folder's name left out.
fn said(cert: &str, key: &str, token: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("cert", cert), ("key", key), ("token", token)] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let at = folder.path().display();
    let text = format!(
        "city = \"blr\"\nupstream = {{ servers = [\"a:1\"], idempotency = \"key\" }}\n\
         admin.token_file = \"{at}/token\"\n[gateway.tls]\ncert = \"{at}/cert\"\nkey = \"{at}/key\"\n"
    );
    let config = crate::parse("f", &text).expect("valid");
    let mistakes = config.check_files();
    mistakes
        .iter()
        .map(|mistake| mistake.to_string().replace(&format!("{at}/"), ""))
        .collect()
}

#[track_caller]
fn check(cert: &str, key: &str, expect: &[&str]) {
    assert_eq!(said(cert, key, "0123456789abcdef\n"), expect);
}

#[test]
fn good_files_pass() {
    check(CERTIFICATE, KEY, &[]);
    check(&CERTIFICATE.repeat(3), &format!("{CERTIFICATE}{KEY}"), &[]);
}

#[test]
fn every_bad_file_is_named_with_its_key() {
    assert_eq!(
        said("hello", "", "short"),
        [
            "f:3:20 admin.token_file: found \"token\", which does not hold a secret, allowed is one line of at least 16 printable characters without spaces",
            "f:5:8 gateway.tls.cert: found \"cert\", in which there is no certificate, allowed is a PEM file with certificates",
            "f:6:7 gateway.tls.key: found \"key\", in which there is no private key, allowed is a PEM file with an unencrypted private key",
        ]
    );
}

#[test]
fn swapped_files_are_seen() {
    check(
        KEY,
        CERTIFICATE,
        &[
            "f:5:8 gateway.tls.cert: found \"cert\", which holds a private key and no certificate, allowed is a PEM file with certificates",
            "f:6:7 gateway.tls.key: found \"key\", which holds a certificate and no private key, allowed is a PEM file with an unencrypted private key",
        ],
    );
}

#[test]
fn broken_and_encrypted_pem_is_seen() {
    let cut = &CERTIFICATE[..60];
    let encrypted = KEY.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    check(
        cut,
        &encrypted,
        &[
            "f:5:8 gateway.tls.cert: found \"cert\", which is no PEM file (its section has no end), allowed is one with certificates",
            "f:6:7 gateway.tls.key: found \"key\", whose private key is encrypted, allowed is a PEM file with an unencrypted private key",
        ],
    );
    let garbled = CERTIFICATE.replace("MIIB", "M?IB");
    check(
        &garbled,
        KEY,
        &[
            "f:5:8 gateway.tls.cert: found \"cert\", which is no PEM file (its base64 is broken), allowed is one with certificates",
        ],
    );
}

#[test]
fn missing_files_and_folders_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "city = \"blr\"\nupstream = {{ servers = [\"https://a\"], idempotency = \"key\", tls.ca = \"{}\" }}\n\
         admin.token_file = \"/nonexistent/token\"\n",
        folder.path().display()
    );
    let mistakes = crate::parse("f", &text).expect("valid").check_files();
    let keys: Vec<_> = mistakes.iter().map(|mistake| (mistake.line, mistake.key.as_str())).collect();
    assert_eq!(keys, [(2, "upstream.tls.ca"), (3, "admin.token_file")]);
    let messages = [&mistakes[0].message, &mistakes[1].message];
    assert!(messages[0].contains("it is no regular file"), "{}", messages[0]);
    assert!(messages[1].contains("cannot be read (No such file"), "{}", messages[1]);
}
