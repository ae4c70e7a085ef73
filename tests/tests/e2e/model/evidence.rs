//! What a failure is to be explained from: what the client saw, what the cloud did, what the journal knows, and what the
//! gateway said.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;
use std::time::Instant;

use megamind_tests::City;
use megamind_tests::cloud::Effect;
use megamind_tests::load::Tag;
use rusqlite::{Connection, OpenFlags};

/// Writes that are told about in full; many more are wrong for the same reason.
const SHOWN: usize = 3;

/// What clients saw of each write, one line an exchange.
pub(super) type Traces = HashMap<Tag, Vec<String>>;

/// The time of the test, in seconds.
pub(super) fn now() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// All that is known of these writes.
pub(super) fn of(city: &City, tags: impl IntoIterator<Item = Tag>, traces: &Traces) -> String {
    let log = city.cloud.log();
    let mut out = String::new();
    for tag in tags.into_iter().take(SHOWN) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "=== {tag}");
        for step in 0..=tag.step {
            for line in traces.get(&Tag { step, ..tag }).into_iter().flatten() {
                let _ = writeln!(out, "client, step {step}: {line}");
            }
        }
        let of_order = |found: Tag| (found.worker, found.order) == (tag.worker, tag.order);
        for effect in log.iter().filter(|effect| Tag::find(effect.body()).is_some_and(of_order)) {
            let _ = writeln!(out, "cloud: {}", told(effect));
        }
        match journaled(city, tag) {
            Ok(lines) => out.extend(lines.into_iter().map(|line| format!("journal: {line}\n"))),
            Err(error) => {
                let _ = writeln!(out, "journal: it cannot be read: {error}");
            }
        }
    }
    out
}

fn told(effect: &Effect) -> String {
    let what = [effect.text("at"), effect.text("effect"), effect.text("orderId"), effect.endpoint()];
    let (key, replay) = (effect.key().unwrap_or("-"), effect.text("replay"));
    format!("{} key {key} replay [{replay}] {}", what.join(" "), effect.body())
}

/// The records with this write's body, those about them, and what the gateway logged of them.
fn journaled(city: &City, tag: Tag) -> rusqlite::Result<Vec<String>> {
    let journal = Connection::open_with_flags(city.gateway.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut seqs: Vec<i64> = Vec::new();
    let mut find = journal.prepare("SELECT seq FROM record WHERE instr(body, ?1) > 0 ORDER BY seq")?;
    let named = find.query_map([format!("\"{tag}\"").into_bytes()], |row| row.get::<_, i64>(0))?;
    seqs.extend(named.collect::<rusqlite::Result<Vec<_>>>()?);
    let mut lines = Vec::new();
    let mut about = journal.prepare(
        "SELECT seq, at, head, body FROM record WHERE seq = ?1 OR json_extract(head, '$.of') = ?1 ORDER BY seq",
    )?;
    for seq in &seqs {
        let records = about.query_map([seq], |row| {
            let (seq, at, head, body): (i64, i64, String, Vec<u8>) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(format!("{seq} at {at}: {head} {}", String::from_utf8_lossy(&body)))
        })?;
        lines.extend(records.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    lines.extend(logged(city, &seqs));
    Ok(lines)
}

fn logged(city: &City, seqs: &[i64]) -> Vec<String> {
    let mut lines = Vec::new();
    for file in fs::read_dir(city.dir()).into_iter().flatten().flatten() {
        if !file.file_name().to_string_lossy().starts_with("gateway.") {
            continue;
        }
        let text = fs::read(file.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let about = |line: &&str| seqs.iter().any(|seq| line.split(' ').any(|word| word == format!("seq={seq}")));
        lines.extend(text.lines().filter(about).map(str::to_owned));
    }
    lines.sort_unstable();
    lines
}
