//! `megamind backup`, `megamind restore`, and what follows them: `queue release`, `queue export`.

use std::{
    io::{Write, stdout},
    path::{Path, PathBuf, absolute},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use megamind_domain::Time;
use serde_json::{Value, json};

use super::remote::Remote;

/// `megamind backup`: the running gateway makes the copy.
pub(super) fn backup(config: &Path, file: &Path) -> anyhow::Result<()> {
    let file = absolute(file).with_context(|| file.display().to_string())?;
    let remote = Remote::patient(config, &super::load(config)?)?;
    let made = remote.post("/admin/backup", &json!({"file": file}))?;
    let word = |name: &str| made.get(name).map(Value::to_string).unwrap_or_default();
    println!("{} ({} bytes)", file.display(), word("bytes"));
    println!("bring it back with: megamind restore {}    (while no gateway runs)", file.display());
    Ok(())
}

/// `megamind restore`: no gateway may run.
pub(super) fn restore(config: &Path, file: &Path) -> anyhow::Result<()> {
    let settings = super::load(config)?;
    let database = &settings.store.path;
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = Time(i64::try_from(millis).unwrap_or(i64::MAX));
    let back = megamind_store::restore(file, database, now)?;
    println!("{} is back as {}", file.display(), database.display());
    let messages = crate::deliveries::sms::bring_back(&settings, &back.attached)
        .context("the journal is back; its messages are not")?;
    if let Some((path, held)) = &messages {
        println!("its messages are back as {}; {held} of them waited, and are not sent", path.display());
    }
    if let Some(moved) = &back.moved_to {
        println!("what was there is now {}", moved.display());
    }
    println!(
        "the copy was made at {}; its newest record ({}) is of {}",
        told(back.copied_at),
        back.last,
        told(back.last_at)
    );
    println!();
    println!("What the copy cannot know:");
    println!(
        " - what was decided here after {}: orders placed here since then are not known,",
        told(back.copied_at)
    );
    println!("   and clients hold ids for them that lead nowhere here;");
    println!(
        " - which of its {} queued writes have reached Oblivion since: all of them count as possibly applied;",
        back.queued
    );
    println!(" - what Oblivion decided since: it is asked and watched again once it serves.");
    if settings.ids.form == megamind_conf::IdForm::Integer {
        println!(
            " - which numbers orders got since: they would be given again. Raise `skip` in [ids], now {}, by",
            settings.ids.skip
        );
        println!("   more than can have been given since then, before the gateway runs.");
    }
    if messages.is_some() {
        println!(" - which codes pilots have used by SMS since: enrol whoever may have been overheard again.");
    }
    println!();
    println!(
        "Numbers of records and keys begin anew at {}. Nothing of the queue is sent until you say so:",
        back.first
    );
    println!("  megamind run --config {}", config.display());
    println!(
        "  megamind queue list; megamind queue export > queue.jsonl    # look at it, discard what must not be sent"
    );
    println!("  megamind queue release");
    Ok(())
}

/// `megamind queue release`.
pub(super) fn release(remote: &Remote, who: &str) -> anyhow::Result<()> {
    remote.post("/admin/queue/release", &json!({"who": who}))?;
    println!("the queue is released: what waits will be sent");
    Ok(())
}

/// `megamind queue export`: one JSON object a line.
pub(super) fn export(remote: &Remote) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    let mut after = 0;
    loop {
        let lines = remote.get_text(&format!("/admin/queue/export?after={after}"))?;
        let Some(last) = lines.lines().last() else {
            return Ok(());
        };
        out.write_all(lines.as_bytes())?;
        let last: Value = serde_json::from_str(last).context("the export is no JSON")?;
        after = last.get("id").and_then(Value::as_u64).context("the export has no ids")?;
    }
}

fn told(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| "an unknown time".into(), |time| format!("{time:.0}"))
}

/// What `restore` takes: a file that is there.
pub(super) fn existing(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_file() { Ok(path) } else { Err("there is no such file".into()) }
}
