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
