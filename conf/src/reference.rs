//! The reference page and the example file, written from the definitions of the keys.

use std::fmt::Write as _;

use crate::config::Config;
use crate::not_built;
use crate::read::form::alternatives;
use crate::read::{Count, Entry, Ledger, Presence, Section};

/// What the example file sets, because it needs no more to be tried out; the rest it shows as
/// comments.
const SET: &[(&str, &str)] = &[("gateway.listen", "\"127.0.0.1:8080\"")];

/// All that the file may say, in the order in which it is read.
fn catalogue() -> Vec<Entry> {
    let mut ledger = Ledger { catalogue: Some(Vec::new()), ..Ledger::default() };
    let _: Config = Section::root(None, &mut ledger).read();
    ledger.catalogue.unwrap_or_default()
}

/// The full paths of the keys, in whatever section, that have this name; for who wrote the right
/// key in the wrong place.
pub(crate) fn elsewhere(name: &str) -> Option<String> {
    let paths = catalogue().into_iter().filter_map(|entry| match entry {
        Entry::Key { path, .. } | Entry::Table { path, .. } => (last(&path) == name).then_some(path),
    });
    let paths: Vec<_> = paths.collect();
    (!paths.is_empty()).then(|| alternatives(paths.into_iter()))
}

/// The paths of all keys that are in no list of tables.
#[cfg(test)]
pub(crate) fn keys() -> Vec<String> {
    let path = |entry| match entry {
        Entry::Key { path, .. } if !path.contains('[') => Some(path),
        _ => None,
    };
    catalogue().into_iter().filter_map(path).collect()
}

/// The reference page, in Markdown: every key with what it may hold, its default and what it does.
pub fn reference() -> String {
    let mut page = String::from(
        "# Configuration reference\n\n\
         <!-- Written from the definitions in conf/src/section; UPDATE_GOLDEN=1 cargo test -p megamind-conf rewrites it. -->\n\n\
         One TOML file. Unknown keys are errors, and `megamind check` names every mistake at once, with its line.\n\
         Durations are written `\"250ms\"`, `\"3s\"`, `\"1m30s\"`, `\"1h\"`, `\"7d\"`; sizes `\"64KiB\"`, `\"64MiB\"`, `\"1GiB\"`.\n\
         Relative paths start at the working directory. What is not built yet is refused, not ignored.\n\n\
         ## The top of the file\n",
    );
    let mut in_table = false;
    for entry in catalogue() {
        match entry {
            Entry::Table { path, about, count } => {
                in_table = false;
                let _ = write!(page, "\n## `{}`\n\n{}", header(&path, count), flow(about));
                match count {
                    Count::One => {}
                    Count::Optional => page.push_str(" The section may be left out."),
                    Count::Many => page.push_str(" The section may stand any number of times."),
                }
                if let Some(remark) = not_built::remark(&path) {
                    let _ = write!(page, " **{remark}**");
                }
                page.push('\n');
            }
            Entry::Key { path, doc, allowed, presence } => {
                if !in_table {
                    page.push_str("\n| key | allowed | default | what it does |\n| --- | --- | --- | --- |\n");
                    in_table = true;
                }
                let default = match presence {
                    Presence::Default(value) => format!("`{value}`"),
                    Presence::Required { .. } => "none: it must be set".to_owned(),
                    Presence::Optional { .. } => "unset".to_owned(),
                };
                let remark = not_built::remark(&path)
                    .map(|remark| format!(" **{remark}**"))
                    .unwrap_or_default();
                let name = last(&path);
                let row =
                    [format!("`{name}`"), allowed, default, flow(doc) + &remark].map(|cell| cell.replace('|', "\\|"));
                let _ = writeln!(page, "| {} |", row.join(" | "));
            }
        }
    }
    page
}

/// The example file: every section and key with its default as a comment, and set what must be
/// set. A remark begins with `# `, a setting that is commented out with `#` alone.
pub fn example() -> String {
    let mut file = String::from(
        "# MegaMind's configuration. `megamind check --config FILE` names every mistake in it.\n\
         # What is commented out shows the default, or an example where there is none.\n\
         # All keys and their limits: conf/REFERENCE.md.\n\n",
    );
    // A section whose mere presence would say something is commented out as a whole.
    let mut off = false;
    for entry in catalogue() {
        match entry {
            Entry::Table { path, about, count } => {
                off = count != Count::One;
                file.push('\n');
                remarks(&mut file, &path, about);
                setting(&mut file, !off, &header(&path, count));
            }
            Entry::Key { path, doc, presence, .. } => {
                remarks(&mut file, &path, doc);
                let set = SET.iter().find(|(key, _)| *key == path);
                let (value, on) = match (set, presence) {
                    (Some((_, value)), _) => ((*value).to_owned(), true),
                    (None, Presence::Required { sample }) => (sample, !off),
                    (None, Presence::Default(value) | Presence::Optional { sample: value }) => (value, false),
                };
                setting(&mut file, on, &format!("{} = {value}", last(&path)));
            }
        }
    }
    file
}

fn remarks(file: &mut String, path: &str, doc: &str) {
    let not_built = not_built::remark(path);
    for line in doc.lines().chain(not_built.as_deref()) {
        let _ = writeln!(file, "# {}", line.trim());
    }
}

fn setting(file: &mut String, on: bool, line: &str) {
    let _ = writeln!(file, "{}{line}", if on { "" } else { "#" });
}

/// The key's own name, without the path to it.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn header(path: &str, count: Count) -> String {
    let path = path.replace("[]", "");
    if count == Count::Many { format!("[[{path}]]") } else { format!("[{path}]") }
}

/// A doc comment as one paragraph.
fn flow(doc: &str) -> String {
    doc.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests;
