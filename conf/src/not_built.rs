//! What the file may say but the gateway does not do yet: an error, not silence.
//!
//! Whoever builds one of these deletes its line.

use toml::de::{DeTable, DeValue};

use crate::read::form::alternatives;
use crate::read::{At, Ledger, describe, join, key_name};

/// A key, or some values of it, behind which nothing is built yet.
struct NotBuilt {
    /// The key's path; members of lists as `[]`.
    key: &'static str,
    when: When,
    /// What to do meanwhile, as the end of "allowed is …".
    instead: &'static str,
}

enum When {
    /// It is one of these words.
    OneOf(&'static [&'static str]),
}

const NOT_BUILT: &[NotBuilt] = &[
    NotBuilt { key: "auth.mode", when: When::OneOf(&["learned", "jwt", "keys"]), instead: "\"open\"" },
    NotBuilt {
        key: "route[].policy",
        when: When::OneOf(&["cache", "queue"]),
        instead: "\"forward\", \"act\" or \"local\"",
    },
];

impl When {
    fn holds(&self, value: &DeValue<'_>) -> bool {
        match self {
            Self::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        }
    }
}

/// What the reference page says about a key; `None` where all of it is built.
pub(crate) fn remark(key: &str) -> Option<String> {
    let entry = NOT_BUILT.iter().find(|entry| entry.key == key)?;
    Some(match entry.when {
        When::OneOf(words) => {
            let are = if words.len() == 1 { "is" } else { "are" };
            format!(
                "{} {are} not built yet.",
                alternatives(words.iter().map(|word| format!("`{word}`"))).replace(" or ", " and ")
            )
        }
    })
}

/// Notes everything in the document that is not built.
pub(crate) fn find(document: &DeTable<'_>, ledger: &mut Ledger) {
    walk(document, "", "", ledger);
}

fn walk(table: &DeTable<'_>, path: &str, pattern: &str, ledger: &mut Ledger) {
    for (name, value) in table {
        let at = At { key: join(path, &key_name(name.get_ref())), value };
        visit(&at, &join(pattern, name.get_ref()), ledger);
    }
}

fn visit(at: &At<'_>, pattern: &str, ledger: &mut Ledger) {
    let value = at.value.get_ref();
    let entry = NOT_BUILT.iter().find(|entry| entry.key == pattern);
    if let Some(entry) = entry.filter(|entry| entry.when.holds(value)) {
        let message = format!("found {}, which is not built yet, allowed is {}", describe(value), entry.instead);
        ledger.note(at.value.span().start, &at.key, message);
        return;
    }
    match value {
        DeValue::Table(inner) => walk(inner, &at.key, pattern, ledger),
        DeValue::Array(members) => {
            for (index, value) in members.iter().enumerate() {
                let at = At { key: format!("{}[{index}]", at.key), value };
                visit(&at, &format!("{pattern}[]"), ledger);
            }
        }
        _ => {}
    }
}
