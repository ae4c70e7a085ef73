use std::path::Path;

use super::*;
use crate::parse;

/// The file beside the crate is what the definitions say; `UPDATE_GOLDEN=1` makes it so.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(on_disk == text, "conf/{name} is out of date: UPDATE_GOLDEN=1 cargo test -p megamind-conf");
}

#[test]
fn the_reference_page_is_up_to_date() {
    golden("REFERENCE.md", &reference());
}

#[test]
fn the_example_file_is_up_to_date() {
    golden("megamind.toml", &example());
}

#[test]
fn the_shipped_files_are_valid() {
    for name in ["megamind.toml", "dialect-enveloped.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let config = crate::load(&path).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}"));
        assert_eq!(config.check_files(), [], "{name}");
    }
}

/// Every key with a default, written out: `(path, value)`, without those that are not built.
fn defaults() -> Vec<(String, String)> {
    let mut optional = Vec::new();
    let mut defaults = Vec::new();
    for entry in catalogue() {
        match entry {
            Entry::Table { path, count, .. } if count != Count::One => {
                optional.push(format!("{path}."));
            }
            Entry::Key { path, presence: Presence::Default(value), .. } => {
                let inside_optional = optional.iter().any(|table| path.starts_with(table));
                let built = not_built::remark(&path).is_none_or(|remark| remark != "Not built yet.");
                if built && !inside_optional {
                    defaults.push((path, value));
                }
            }
            _ => {}
        }
    }
    defaults
}

#[test]
fn the_defaults_as_shown_are_the_defaults_that_hold() {
    let least = "city = \"demo\"\nupstream.servers = [\"127.0.0.1:8081\"]\nupstream.idempotency = \"key\"\n";
    let mut written = least.to_owned();
    for (path, value) in defaults() {
        let _ = writeln!(written, "{path} = {value}");
    }
    assert!(written.lines().count() > 60, "{written}");
    assert_eq!(parse("written", &written), parse("least", least));
}

#[test]
fn every_setting_of_the_example_can_be_switched_on() {
    let on: Vec<_> = example()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let mistakes = parse("on", &on.join("\n")).expect_err("some of it is not built yet");
    // What the values are is never refused, only what is not built and what excludes each other.
    let refused: Vec<_> = mistakes
        .iter()
        .filter(|mistake| !mistake.message.contains("not built yet"))
        .map(|mistake| mistake.key.as_str())
        .collect();
    assert_eq!(refused, ["upstream.tls", "route[0].stale_for", "route[0].invalidated_by"]);
}

#[test]
fn every_key_is_documented() {
    for entry in catalogue() {
        let (path, doc) = match entry {
            Entry::Table { path, about, .. } => (path, about),
            Entry::Key { path, doc, .. } => (path, doc),
        };
        assert!(flow(doc).ends_with('.'), "{path}: {doc:?}");
    }
}
