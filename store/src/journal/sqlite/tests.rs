use super::*;

fn batch(journal: &Sqlite, expected_last: u64) -> Batch {
    let head = crate::record::Head::Retry { of: 1 };
    Batch {
        epoch: journal.epoch(),
        expected_last,
        records: vec![Record {
            events: b"[]".to_vec(),
            ..Record::bare(expected_last + 1, Time(1), journal.epoch(), &head)
        }],
        ..Batch::default()
    }
}

#[test]
fn a_suspect_connection_is_replaced_and_the_log_emptied_before_the_tail_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal.db");
    let mut journal = Sqlite::open(&path).expect("opens");
    let first = batch(&journal, 0);
    journal.append(&first).expect("appended");
    let reader = journal.reader();
    assert!(reader.record(1).expect("reads").is_some(), "a reader's connection stays open");
    let log = folder.path().join("journal.db-wal");
    let size = || std::fs::metadata(&log).map_or(0, |file| file.len());
    assert!(size() > 0);

    journal.suspect = true;
    assert_eq!(journal.tail().expect("reads").batch, first.id());
    assert_eq!(size(), 0, "nothing is left that a crash could bring back");
    assert!(!journal.suspect);
    let second = batch(&journal, 1);
    assert_eq!(journal.append(&second).expect("appended"), 2);
    assert!(reader.record(2).expect("reads").is_some(), "the reader sees what follows");
}

#[test]
fn an_append_that_fails_half_way_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Sqlite::open(&folder.path().join("journal.db")).expect("opens");
    let first = batch(&journal, 0);
    journal.append(&first).expect("appended");
    let mut broken = batch(&journal, 1);
    broken
        .rows
        .push(super::super::Row { key: EntityKey(1), seq: 2, value: Some(b"row".to_vec()) });
    // The same number twice.
    broken.records.push(broken.records[0].clone());
    assert!(matches!(journal.append(&broken), Err(AppendError::Ambiguous(_))));
    assert_eq!(journal.tail().expect("reads").batch, first.id());
    let second = batch(&journal, 1);
    assert_eq!(journal.append(&second).expect("appended"), 2);
}

/// A journal with two entities that left, one of them in its last batch: an account of an older release's.
fn with_archive(path: &Path) {
    let mut journal = Sqlite::open(path).expect("opens");
    let row = |key, seq, value: Option<&str>| super::super::Row {
        key: EntityKey(key),
        seq,
        value: value.map(|value| value.as_bytes().to_vec()),
    };
    let leaves = |key, name: &str, rows| Batch { rows, names: vec![(name.into(), EntityKey(key))], ..Batch::default() };
    for (last, one) in [
        Batch {
            rows: vec![row(1, 1, Some("one")), row(2, 1, Some("two")), row(3, 1, Some("three"))],
            ..Batch::default()
        },
        leaves(1, "a", vec![row(1, 2, None)]),
        leaves(2, "b", vec![row(2, 3, None)]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut full = Batch { rows: one.rows, names: one.names, ..batch(&journal, last as u64) };
        full.records[0].at = Time(1000 + last as i64);
        journal.append(&full).expect("appended");
    }
}

/// The same rows in a file as the release with this schema left it.
fn as_of(version: u32, from: &Path, to: &Path) {
    let mut old = Connection::open(to).expect("opens");
    schema::make_as_of(&mut old, version).expect("makes");
    old.execute("ATTACH ?1 AS new", [from.to_str().expect("UTF-8")])
        .expect("attaches");
    let common = ["meta", "record", "batch", "entity", "queue", "alias"];
    let names = (version >= 2).then_some("archive_name");
    for table in common.into_iter().chain(names) {
        old.execute_batch(&format!("INSERT OR REPLACE INTO {table} SELECT * FROM new.{table}"))
            .expect("copies");
    }
    old.execute_batch("INSERT INTO archive SELECT key, seq, value, sum FROM new.archive")
        .expect("copies");
}

#[test]
fn a_file_of_an_older_release_is_brought_up_to_date_and_forgets_nothing_early() {
    struct Rows(Vec<u64>);
    impl Visit for Rows {
        fn row(&mut self, key: EntityKey, _: u64, _: &[u8]) -> Result<(), LoadError> {
            self.0.push(key.0);
            Ok(())
        }
        fn queued(&mut self, _: u64, _: &[u8]) -> Result<(), LoadError> {
            Ok(())
        }
        fn keys(&mut self, _: Time, _: &[u8]) -> Result<(), LoadError> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let new = folder.path().join("new.db");
    with_archive(&new);
    for version in 1..schema::VERSION.min(3) {
        let path = folder.path().join(format!("{version}.db"));
        as_of(version, &new, &path);
        let mut journal = Sqlite::open(&path).expect("opens");
        let mut rows = Rows(Vec::new());
        assert_eq!(journal.load(&mut rows).expect("loads").tail.seq, 3);
        assert_eq!(rows.0, [3]);
        // Their checksums hold; they left no later than the newest record.
        let reader = journal.reader();
        let archived = |key| reader.archived(EntityKey(key)).expect("verifies");
        assert_eq!((archived(1), archived(2)), (Some(b"one".to_vec()), Some(b"two".to_vec())));
        let named = reader.left_as("a").expect("reads").map(|key| key.0);
        assert_eq!(named, (version >= 2).then_some(1));
        assert_eq!(journal.forget(Time(1002), 10).expect("forgets").gone, 0, "version {version}");
        assert_eq!(journal.forget(Time(1003), 10).expect("forgets").gone, 2, "version {version}");
        assert_eq!((archived(1), reader.left_as("a").expect("reads")), (None, None));
    }
}

#[test]
fn a_portion_is_found_without_reading_the_rest() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut journal = Sqlite::open(&folder.path().join("journal.db")).expect("opens");
    let plan = |connection: &Connection, sql: &str| -> String {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        connection.query_row(&explain, [], |row| row.get(3)).expect("explains")
    };
    // No portion reads more than it deletes.
    let connection = journal.connection().expect("is open");
    let old = plan(connection, "SELECT key FROM archive WHERE left_at < 7 ORDER BY left_at LIMIT 9");
    assert!(old.contains("INDEX archive_left"), "{old}");
    let names = plan(connection, "DELETE FROM archive_name WHERE key = 7");
    assert!(names.contains("INDEX archive_name_key"), "{names}");
}
