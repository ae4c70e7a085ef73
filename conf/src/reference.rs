//! The reference page and the example file, written from the definitions of the keys.

use std::fmt::Write as _;

use crate::config::Config;
use crate::not_built;
use crate::read::{Count, Entry, Ledger, Presence, Section};

/// What the example file sets, because it needs no more to be tried out; the rest it shows as
/// comments.
const SET: &[(&str, &str)] = &[("gateway.listen", "\"127.0.0.1:8080\"")];

/// All that the file may say, in the order in which it is read.
fn catalogue() -> Vec<Entry> {
    let mut ledger = Ledger {
        catalogue: Some(Vec::new()),
        ..Ledger::default()
    };
    let _: Config = Section::root(None, &mut ledger).read();
    ledger.catalogue.unwrap_or_default()
}

/// The full path of the one key, in whatever section, that has this name; for who wrote the right
/// key in the wrong place.
pub(crate) fn elsewhere(name: &str) -> Option<String> {
    let mut found = catalogue().into_iter().filter_map(|entry| match entry {
        Entry::Key { path, .. } | Entry::Table { path, .. } => {
            (path.rsplit('.').next() == Some(name)).then_some(path)
        }
    });
    let only = found.next()?;
    found.next().is_none().then_some(only)
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
            Entry::Key {
                path,
                doc,
                allowed,
                presence,
            } => {
                if !in_table {
                    page.push_str(
                        "\n| key | allowed | default | what it does |\n| --- | --- | --- | --- |\n",
                    );
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
                let name = path.rsplit('.').next().unwrap_or_default();
                let row = [format!("`{name}`"), allowed, default, flow(doc) + &remark]
                    .map(|cell| cell.replace('|', "\\|"));
                let _ = writeln!(page, "| {} |", row.join(" | "));
            }
        }
    }
    page
}

/// The example file: every section and key with its default, as comments, and set what must be set.
pub fn example() -> String {
    let mut file = String::from(
        "# MegaMind's configuration. `megamind check --config FILE` names every mistake in it.\n\
         # What is commented out shows the default, or an example where there is none.\n\
         # All keys and their limits: conf/REFERENCE.md.\n",
    );
    // Comment out a section as a whole where its mere presence would say something.
    let mut commented = false;
    for entry in catalogue() {
        match entry {
            Entry::Table { path, about, count } => {
                commented = count != Count::One;
                file.push('\n');
                comment(&mut file, about);
                let _ = writeln!(
                    file,
                    "{}{}",
                    if commented { "# " } else { "" },
                    header(&path, count)
                );
            }
            Entry::Key {
                path,
                doc,
                presence,
                ..
            } => {
                comment(&mut file, doc);
                let set = SET
                    .iter()
                    .find(|(key, _)| *key == path)
                    .map(|(_, value)| (*value).to_owned());
                let (value, live) = match (set, presence) {
                    (Some(value), _) => (value, true),
                    (None, Presence::Required { sample }) => (sample, !commented),
                    (None, Presence::Default(value) | Presence::Optional { sample: value }) => {
                        (value, false)
                    }
                };
                let name = path.rsplit('.').next().unwrap_or_default();
                let _ = writeln!(file, "{}{name} = {value}", if live { "" } else { "# " });
            }
        }
    }
    file
}

fn header(path: &str, count: Count) -> String {
    let path = path.replace("[]", "");
    if count == Count::Many {
        format!("[[{path}]]")
    } else {
        format!("[{path}]")
    }
}

/// A doc comment as one paragraph.
fn flow(doc: &str) -> String {
    doc.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned()
}

fn comment(file: &mut String, doc: &str) {
    for line in doc.lines() {
        let _ = writeln!(file, "# {}", line.trim());
    }
}

#[cfg(test)]
mod tests;
