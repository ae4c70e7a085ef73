//! Files that cannot be used: each with a message that names the file and the way out, and each left as it was.

mod toy;

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use megamind_store::{OpenError, ReadError, Store, SubmitError};
use tempfile::TempDir;
use toy::{Command, POISON, Toy, account, add, balances, decided, options};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

fn refused(path: &Path) -> OpenError {
    match Store::open(Arc::new(Toy), options(path)) {
        Ok(_) => panic!("{} opened", path.display()),
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains(&path.display().to_string()), "{message}");
            error
        }
    }
}

/// A closed journal with one account and a booking on it.
async fn closed(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("toy.db");
    let (store, writer) = Store::open(Arc::new(Toy), options(&path)).expect("opens");
    let (key, _) = account(&store).await;
    add(&store, key, 5).await.expect("decided");
    writer.stop();
    path
}

#[tokio::test]
async fn another_gateway_has_it() {
    let folder = folder();
    let path = folder.path().join("toy.db");
    let (_store, writer) = Store::open(Arc::new(Toy), options(&path)).expect("opens");
    let error = refused(&path);
    assert!(
        matches!(error, OpenError::Locked { by: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    writer.stop();
    assert!(Store::open(Arc::new(Toy), options(&path)).is_ok(), "given back");
}

#[test]
fn not_a_database() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    let text = "Dear diary, ".repeat(400);
    fs::write(&path, &text).expect("written");
    assert!(matches!(refused(&path), OpenError::NotADatabase { .. }));
    assert_eq!(fs::read_to_string(&path).expect("read"), text);
    assert!(matches!(refused(folder.path()), OpenError::NotADatabase { .. }));
}

#[test]
fn a_database_of_another_program() {
    let folder = folder();
    let path = folder.path().join("other.db");
    let other = rusqlite::Connection::open(&path).expect("opens");
    other.execute_batch("CREATE TABLE things (name TEXT)").expect("made");
    drop(other);
    let error = refused(&path);
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
}

#[tokio::test]
async fn a_newer_one() {
    let folder = folder();
    let path = closed(&folder).await;
    let database = rusqlite::Connection::open(&path).expect("opens");
    database.pragma_update(None, "user_version", 99).expect("set");
    drop(database);
    let error = refused(&path);
    assert!(matches!(error, OpenError::TooNew { found: 99, supported: 3, .. }), "{error}");
}

#[test]
fn no_such_folder() {
    let folder = folder();
    let error = refused(&folder.path().join("nowhere").join("toy.db"));
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
}

#[tokio::test]
async fn one_that_cannot_be_written() {
    let folder = folder();
    let path = closed(&folder).await;
    let mut permissions = fs::metadata(&path).expect("there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).expect("set");
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("skipped: this user may write read-only files");
        return;
    }
    let error = refused(&path);
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
}

/// Flips the lowest bit of the first byte of `needle` in the file.
fn flip(path: &Path, needle: &[u8]) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).expect("opens");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("reads");
    let found = bytes.windows(needle.len()).position(|window| window == needle);
    let place = found.expect("what was written is in the file");
    file.seek(SeekFrom::Start(place as u64)).expect("seeks");
    file.write_all(&[bytes[place] ^ 1]).expect("writes");
}

#[tokio::test]
async fn a_flipped_bit_in_a_record_is_found_when_it_is_read() {
    let folder = folder();
    let path = folder.path().join("toy.db");
    let (store, writer) = Store::open(Arc::new(Toy), options(&path)).expect("opens");
    let (key, _) = account(&store).await;
    let seq = decided(&store, Command::Add { account: key, teller: Some(424_242), amount: 5 }).await;
    decided(&store, Command::Add { account: key, teller: None, amount: 6 }).await;
    writer.stop();
    drop(store);
    flip(&path, b"teller: Some(424242)");
    let (store, _writer) = Store::open(Arc::new(Toy), options(&path)).expect("opens");
    let error = store.entry(seq).expect_err("corrupt");
    assert!(matches!(error, ReadError::Corrupt { seq: found, .. } if found == seq), "{error}");
    assert!(store.entry(seq + 1).is_ok(), "the others can be read");
}

#[tokio::test]
async fn a_flipped_bit_in_the_last_batch_stops_the_start() {
    let folder = folder();
    let path = closed(&folder).await;
    flip(&path, b"Add { account");
    let error = refused(&path);
    assert!(matches!(&error, OpenError::Corrupt { what, .. } if what.contains("record 2")), "{error}");
    assert!(error.to_string().contains("megamind restore"), "the way back: {error}");
}

#[tokio::test]
async fn a_flipped_bit_in_an_entity_stops_the_start() {
    let folder = folder();
    let path = closed(&folder).await;
    flip(&path, b"\"balance\":5");
    let error = refused(&path);
    assert!(matches!(&error, OpenError::Corrupt { what, .. } if what.contains("entity 1")), "{error}");
}

#[tokio::test]
async fn a_row_that_the_handlers_panic_on_stops_the_start_with_its_record() {
    let folder = folder();
    let path = folder.path().join("toy.db");
    let (store, writer) = Store::open(Arc::new(Toy), options(&path)).expect("opens");
    account(&store).await;
    let seq = decided(&store, Command::At { teller: POISON, place: 1 }).await;
    writer.stop();
    let error = refused(&path);
    assert!(matches!(error, OpenError::Panicked { seq: found, .. } if found == seq), "{error}");
}

#[tokio::test]
async fn garbage_anywhere_is_refused_or_harmless_and_never_a_panic() {
    let folder = folder();
    let path = closed(&folder).await;
    let original = fs::read(&path).expect("reads");
    for place in (0..original.len()).step_by(389) {
        let mut bytes = original.clone();
        bytes[place] ^= 0x55;
        fs::write(&path, &bytes).expect("writes");
        match Store::open(Arc::new(Toy), options(&path)) {
            Ok((store, writer)) => {
                assert_eq!(balances(&store).get(&1), Some(&5), "byte {place}");
                writer.stop();
            }
            Err(OpenError::Panicked { seq, .. }) => panic!("byte {place}: record {seq}"),
            Err(_) => {}
        }
        for suffix in ["-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            let _ = fs::remove_file(name);
        }
    }
}

/// A disk of 16 MiB that really fills up, comes free again, and the journal with it.
#[tokio::test]
async fn a_disk_that_fills_up() {
    let folder = folder();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("made");
    let size = c"size=16m";
    let mounted = rustix::mount::mount("tmpfs", &disk, "tmpfs", rustix::mount::MountFlags::empty(), size);
    if let Err(error) = mounted {
        eprintln!("skipped: mounting a tmpfs needs root ({error})");
        return;
    }
    let outcome = fill_up(&disk).await;
    rustix::mount::unmount(&disk, rustix::mount::UnmountFlags::DETACH).expect("unmounted");
    outcome.expect("as promised");
}

async fn fill_up(disk: &Path) -> Result<(), String> {
    let path = disk.join("toy.db");
    let open = || Store::open(Arc::new(Toy), options(&path)).map_err(|error| error.to_string());
    let (store, writer) = open()?;
    let (key, _) = account(&store).await;
    let ballast = disk.join("ballast");
    let mut acknowledged = 0;
    for round in 0..3 {
        leave_little(&ballast).map_err(|error| error.to_string())?;
        let mut refused = 0;
        for _ in 0..20_000 {
            match add(&store, key, 1).await {
                Ok(_) => acknowledged += 1,
                Err(SubmitError::JournalUnavailable) => refused += 1,
                Err(other) => return Err(other.to_string()),
            }
            if refused == 5 {
                break;
            }
        }
        if refused == 0 {
            return Err(format!("round {round}: the disk never filled up"));
        }
        if balances(&store)[&key] != acknowledged {
            return Err(format!("round {round}: something refused is visible"));
        }
        fs::remove_file(&ballast).map_err(|error| error.to_string())?;
        add(&store, key, 1).await.map_err(|error| format!("with room again: {error}"))?;
        acknowledged += 1;
    }
    writer.stop();
    drop(store);
    let (store, _writer) = open()?;
    match balances(&store)[&key] {
        found if found == acknowledged => Ok(()),
        found => Err(format!("{acknowledged} acknowledged, {found} after a restart")),
    }
}

/// Fills the disk but for half a MiB.
fn leave_little(ballast: &Path) -> std::io::Result<()> {
    let mut file = fs::File::create(ballast)?;
    let mut filled = 0u64;
    while file.write_all(&[0; 4096]).is_ok() {
        filled += 4096;
    }
    file.set_len(filled.saturating_sub(512 << 10))
}
