//! Copies of the journal, made while running: on demand, and every `backup.every`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use megamind_conf::Backup;
use megamind_domain::{Domain, Time};
use megamind_store::{Copied, CopyError};
use tokio::time::sleep;

use crate::core::{Core, rfc3339, wall_clock};

/// The longest wait after a copy that failed.
const RETRY: Duration = Duration::from_mins(5);

/// Something of the domain's own that belongs into every copy.
#[derive(Clone)]
pub(crate) struct Belonging {
    pub(crate) name: &'static str,
    pub(crate) image: Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>,
}

/// What goes into copies, and what became of the last ones.
pub(crate) struct Backups {
    last: Mutex<Last>,
    belongings: Vec<Belonging>,
}

/// The last copies that ended well and badly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Last {
    /// When one was made.
    pub(crate) at: Option<Time>,
    /// Why the newest try failed; `None` after one that did not.
    pub(crate) error: Option<String>,
}

impl Backups {
    pub(crate) fn new(belongings: Vec<Belonging>) -> Self {
        Self { last: Mutex::default(), belongings }
    }

    pub(crate) fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, outcome: &Result<Copied, CopyError>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(copied) => *last = Last { at: Some(copied.at), error: None },
            Err(error) => last.error = Some(error.to_string()),
        }
    }
}

/// Makes one copy, off the runtime's threads.
pub(crate) async fn copy<D: Domain>(core: &Arc<Core<D>>, to: PathBuf) -> Result<Copied, CopyError> {
    let path = to.clone();
    let store = core.store.clone();
    let belongings = core.backups.belongings.clone();
    let make = move || {
        let image = |one: &Belonging| Ok((one.name.to_owned(), (one.image)()?));
        let attached: io::Result<Vec<_>> = belongings.iter().map(image).collect();
        let attached = attached.map_err(|source| CopyError::Io { path: to.clone(), source })?;
        store.copy_with(&to, &attached)
    };
    let copied = tokio::task::spawn_blocking(make)
        .await
        .unwrap_or_else(|error| Err(CopyError::Io { path, source: io::Error::other(error) }));
    core.backups.note(&copied);
    let label = if copied.is_ok() { "done" } else { "failed" };
    core.metrics.backups.with_label_values(&[label]).inc();
    match &copied {
        Ok(copied) => {
            core.metrics.backup_last.set(copied.at.0 / 1000);
            tracing::info!(path = %copied.path.display(), bytes = copied.bytes, "backup made");
        }
        Err(error) => tracing::error!(%error, "backup failed"),
    }
    copied
}

/// Makes a copy every `backup.every`, and deletes those beyond `backup.keep`.
pub(crate) async fn rotate<D: Domain>(core: Arc<Core<D>>, settings: Backup) {
    let city = core.config.city.as_str().to_owned();
    sleep(first_wait(&settings, &city)).await;
    loop {
        let name = name(&city, core.store.published().last_seq, wall_clock());
        let to = settings.to.join(name);
        let made = match fs::create_dir_all(&settings.to) {
            Ok(()) => copy(&core, to).await.is_ok(),
            Err(error) => {
                core.backups
                    .note(&Err(CopyError::Io { path: settings.to.clone(), source: error }));
                false
            }
        };
        if made {
            let keep = usize::try_from(settings.keep.get()).unwrap_or(usize::MAX);
            if let Err(error) = delete_beyond(&settings.to, &city, keep) {
                tracing::warn!(%error, folder = %settings.to.display(), "old backups cannot be deleted");
            }
        }
        sleep(if made { settings.every } else { settings.every.min(RETRY) }).await;
    }
}

/// `CITY-NUMBER-TIME.db`: in the order of the newest record, whatever the clock says.
fn name(city: &str, last: u64, now: Time) -> String {
    let time: String = rfc3339(now).chars().filter(|letter| !matches!(letter, ':' | '-')).collect();
    format!("{city}-{last:017}-{time}.db")
}

/// The copies of a city in a folder, oldest first.
fn copies(folder: &Path, city: &str) -> io::Result<Vec<PathBuf>> {
    let prefix = format!("{city}-");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&prefix)) else {
            continue;
        };
        let number = rest
            .get(..17)
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        if number && rest.as_bytes().get(17) == Some(&b'-') && rest.strip_suffix(".db").is_some() {
            found.push(folder.join(&name));
        }
    }
    found.sort();
    Ok(found)
}

fn delete_beyond(folder: &Path, city: &str, keep: usize) -> io::Result<()> {
    let found = copies(folder, city)?;
    for old in found.iter().take(found.len().saturating_sub(keep)) {
        fs::remove_file(old)?;
        tracing::info!(path = %old.display(), "old backup deleted");
    }
    Ok(())
}

/// How long after the start the first copy is due: what an earlier run made counts.
fn first_wait(settings: &Backup, city: &str) -> Duration {
    let newest = copies(&settings.to, city).ok().and_then(|found| found.last().cloned());
    let made = newest.and_then(|path| fs::metadata(path).ok()?.modified().ok());
    // One from the future was made by another clock: it counts for nothing.
    let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
    age.map_or(Duration::ZERO, |age| settings.every.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        // A restore begins a higher range of numbers, and the clock went back.
        let names = [
            name("blr", 7, Time(1_780_000_000_000)),
            name("blr", 1_200, Time(1_780_000_900_000)),
            name("blr", 1 << 50, Time(1_770_000_000_000)),
        ];
        let others = [
            "blr-notes.txt",
            "pnq-00000000000000007-x.db",
            "blr-7.db",
            "blr-00000000000000007-x.db.partial",
        ];
        for name in names.iter().map(String::as_str).chain(others) {
            fs::write(folder.path().join(name), "").expect("written");
        }
        delete_beyond(folder.path(), "blr", 1).expect("deleted");
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .expect("reads")
            .map(|entry| entry.expect("reads").file_name().into_string().expect("text"))
            .collect();
        left.sort();
        let mut expect: Vec<_> = others.iter().map(|name| (*name).to_owned()).chain([names[2].clone()]).collect();
        expect.sort();
        assert_eq!(left, expect);
    }
}
