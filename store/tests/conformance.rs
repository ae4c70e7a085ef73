//! What every journal promises, run on every implementation.

use std::path::PathBuf;

use bytes::Bytes;
use megamind_domain::{EntityKey, Time};
use megamind_store::journal::{
    Alias, AppendError, Batch, Fault, Faults, Faulty, Journal, LoadError, Memory, Older, Opening, Record, Row, Sqlite,
    Visit,
};
use tempfile::TempDir;

/// A journal and its next owner after a restart.
trait Kind {
    type Journal: Journal;
    fn start() -> (Self, Self::Journal)
    where
        Self: Sized;
    fn restart(&self, journal: Self::Journal) -> Self::Journal;
}

struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("journal.db")
    }
}

impl Kind for File {
    type Journal = Sqlite;

    fn start() -> (Self, Sqlite) {
        let file = Self(tempfile::tempdir().expect("a folder"));
        let journal = Sqlite::open(&file.path()).expect("opens");
        (file, journal)
    }

    fn restart(&self, journal: Sqlite) -> Sqlite {
        drop(journal);
        Sqlite::open(&self.path()).expect("opens again")
    }
}

struct InMemory;

impl Kind for InMemory {
    type Journal = Memory;

    fn start() -> (Self, Memory) {
        (Self, Memory::new())
    }

    fn restart(&self, journal: Memory) -> Memory {
        journal.reopen()
    }
}

struct Wrapped;

impl Kind for Wrapped {
    type Journal = Faulty<Memory>;

    fn start() -> (Self, Faulty<Memory>) {
        (Self, Faulty::new(Memory::new(), Faults::default()))
    }

    fn restart(&self, journal: Faulty<Memory>) -> Faulty<Memory> {
        Faulty::new(journal.into_inner().reopen(), Faults::default())
    }
}

/// One suite, one module for each kind.
macro_rules! conformance {
    ($($module:ident: $kind:ty),*; $tests:tt) => {
        $(conformance!(@ $module $kind $tests);)*
    };
    (@ $module:ident $kind:ty { $($test:ident),* $(,)? }) => {
        mod $module {
            use super::*;
            $(#[test] fn $test() { super::$test::<$kind>(); })*
        }
    };
}

conformance!(sqlite: File, memory: InMemory, faulty: Wrapped; {
    an_empty_journal_is_empty,
    what_was_appended_is_read_back,
    only_the_expected_place_is_written,
    an_older_owner_is_fenced,
    the_newest_rows_are_loaded,
    reads_are_bounded_and_make_progress,
    trimming_keeps_what_is_needed,
    what_has_keys_may_be_kept_for_longer,
    what_left_long_ago_is_forgotten,
    what_came_back_and_left_again_is_kept_anew,
    names_and_secrets_are_found_again,
    a_reader_finds_single_things,
    batches_differ_in_their_ids,
});

fn record(seq: u64, epoch: u64, body: &str) -> Record {
    Record {
        seq,
        at: Time(1000 + seq as i64),
        epoch,
        head: br#"{"kind":"retry/1","of":1}"#.to_vec(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        events: b"[]".to_vec(),
        answer: Bytes::from_static(&[0xff, 0]),
    }
}

fn batch(journal: &impl Journal, expected_last: u64, records: u64) -> Batch {
    let epoch = journal.epoch();
    Batch {
        epoch,
        expected_last,
        records: (1..=records)
            .map(|offset| record(expected_last + offset, epoch, "body"))
            .collect(),
        keys: vec![7; 33],
        newest_id: u128::from(expected_last + records) << 64,
        ..Batch::default()
    }
}

fn append(journal: &mut impl Journal, batch: &Batch) {
    assert_eq!(journal.append(batch).expect("appended"), batch.last());
}

/// Everything that is loaded.
#[derive(Debug, Default, PartialEq)]
struct State {
    rows: Vec<(u64, u64, Vec<u8>)>,
    queue: Vec<(u64, Vec<u8>)>,
    keys: Vec<(Time, Vec<u8>)>,
}

impl Visit for State {
    fn row(&mut self, key: EntityKey, seq: u64, value: &[u8]) -> Result<(), LoadError> {
        self.rows.push((key.0, seq, value.to_vec()));
        Ok(())
    }

    fn queued(&mut self, seq: u64, row: &[u8]) -> Result<(), LoadError> {
        self.queue.push((seq, row.to_vec()));
        Ok(())
    }

    fn keys(&mut self, at: Time, packed: &[u8]) -> Result<(), LoadError> {
        self.keys.push((at, packed.to_vec()));
        Ok(())
    }
}

fn load(journal: &mut impl Journal) -> (State, Opening) {
    let mut state = State::default();
    let opening = journal.load(&mut state).expect("loads");
    (state, opening)
}

fn an_empty_journal_is_empty<K: Kind>() {
    let (_kind, mut journal) = K::start();
    let (state, opening) = load(&mut journal);
    assert_eq!(state, State::default());
    assert_eq!((opening.tail.seq, opening.newest_id, opening.mode), (0, 0, None));
    assert_eq!(journal.read(1, usize::MAX).expect("reads"), []);
    assert_eq!(trim(&mut journal, i64::MAX, 10), (0, false));
}

fn what_was_appended_is_read_back<K: Kind>() {
    let (kind, mut journal) = K::start();
    let first = batch(&journal, 0, 3);
    let second = Batch { mode: Some("acting".into()), ..batch(&journal, 3, 1) };
    append(&mut journal, &first);
    append(&mut journal, &second);
    let mut journal = kind.restart(journal);
    let all: Vec<Record> = [first.records.clone(), second.records.clone()].concat();
    assert_eq!(journal.read(1, usize::MAX).expect("reads"), all);
    let (state, opening) = load(&mut journal);
    assert_eq!((opening.tail.seq, opening.tail.batch), (4, second.id()));
    assert_eq!((opening.last_at, opening.newest_id), (Time(1004), second.newest_id));
    assert_eq!(opening.mode.as_deref(), Some("acting"));
    assert_eq!(state.keys, [(Time(1003), vec![7; 33]), (Time(1004), vec![7; 33])]);
}

fn only_the_expected_place_is_written<K: Kind>() {
    let (_kind, mut journal) = K::start();
    let first = batch(&journal, 0, 2);
    append(&mut journal, &first);
    for wrong in [0, 1, 3] {
        let misplaced = batch(&journal, wrong, 1);
        assert!(matches!(journal.append(&misplaced), Err(AppendError::Fenced(_))), "after {wrong}");
    }
    assert_eq!(journal.tail().expect("reads").batch, first.id());
}

fn an_older_owner_is_fenced<K: Kind>() {
    let (kind, mut journal) = K::start();
    let old = batch(&journal, 0, 1);
    append(&mut journal, &old);
    let before = journal.epoch();
    let mut journal = kind.restart(journal);
    assert!(journal.epoch() > before);
    let deposed = Batch { expected_last: 1, ..batch(&journal, 1, 1) };
    let deposed = Batch { epoch: before, ..deposed };
    assert!(matches!(journal.append(&deposed), Err(AppendError::Fenced(_))));
    let next = batch(&journal, 1, 1);
    append(&mut journal, &next);
}

fn row(key: u64, seq: u64, value: Option<&str>) -> Row {
    Row { key: EntityKey(key), seq, value: value.map(|value| value.as_bytes().to_vec()) }
}

fn the_newest_rows_are_loaded<K: Kind>() {
    let (kind, mut journal) = K::start();
    let first = Batch {
        rows: vec![
            row(5, 1, Some("five")),
            row(2, 1, Some("two")),
            row(8, 1, Some("eight")),
            row(9, 1, Some("nine")),
        ],
        queue: vec![(1, Some(b"one".to_vec())), (2, Some(b"two".to_vec()))],
        ..batch(&journal, 0, 2)
    };
    let second = Batch {
        rows: vec![row(5, 3, Some("FIVE")), row(8, 3, None), row(9, 3, None), row(77, 3, None)],
        names: vec![("nine".into(), EntityKey(9))],
        queue: vec![(1, None), (2, Some(b"TWO".to_vec())), (8, None)],
        ..batch(&journal, 2, 1)
    };
    append(&mut journal, &first);
    append(&mut journal, &second);
    let mut journal = kind.restart(journal);
    let (state, _) = load(&mut journal);
    assert_eq!(state.rows, [(2, 1, b"two".to_vec()), (5, 3, b"FIVE".to_vec())]);
    assert_eq!(state.queue, [(2, b"TWO".to_vec())]);
    let archived = |key| journal.reader().archived(EntityKey(key)).expect("reads");
    assert_eq!((archived(9), archived(5)), (Some(b"nine".to_vec()), None));
    assert_eq!(archived(8), None, "nobody could ask for it");
}

fn reads_are_bounded_and_make_progress<K: Kind>() {
    let (_kind, mut journal) = K::start();
    let five = batch(&journal, 0, 5);
    append(&mut journal, &five);
    assert_eq!(journal.read(2, 0).expect("reads").len(), 1);
    let size = five.records[0].size();
    assert_eq!(journal.read(2, size).expect("reads").len(), 2);
    assert_eq!(journal.read(6, size).expect("reads"), []);
}

/// Trims what is older, with keys or without: how many went, and whether there may be more.
fn trim(journal: &mut impl Journal, than: i64, limit: usize) -> (u64, bool) {
    let trimmed = journal
        .trim(Older { than: Time(than), with_keys_than: Time(than) }, limit)
        .expect("trims");
    (trimmed.gone, trimmed.more)
}

fn left(journal: &mut impl Journal) -> Vec<u64> {
    let records = journal.read(1, usize::MAX).expect("reads");
    records.iter().map(|record| record.seq).collect()
}

fn trimming_keeps_what_is_needed<K: Kind>() {
    let (kind, mut journal) = K::start();
    for (last, queued) in [(0, None), (2, Some(3)), (4, None), (6, None)] {
        let queue = queued.map(|seq| (seq, Some(b"entry".to_vec()))).into_iter().collect();
        let two = Batch { queue, ..batch(&journal, last, 2) };
        append(&mut journal, &two);
    }
    assert_eq!(trim(&mut journal, 1002, 100), (0, false), "not older than its last record");
    assert_eq!(trim(&mut journal, i64::MAX, 1).0, 2, "a batch goes as a whole");
    assert_eq!(left(&mut journal), [3, 4, 5, 6, 7, 8]);
    assert_eq!(trim(&mut journal, i64::MAX, 100).0, 2);
    assert_eq!(left(&mut journal), [3, 4, 7, 8], "neither what is queued nor the newest batch");
    let acknowledged = Batch { queue: vec![(3, None)], ..batch(&journal, 8, 1) };
    append(&mut journal, &acknowledged);
    while trim(&mut journal, i64::MAX, 100).1 {}
    trim(&mut journal, i64::MAX, 100);
    assert_eq!(left(&mut journal), [9], "what is queued no longer goes too");
    let mut journal = kind.restart(journal);
    assert_eq!(load(&mut journal).1.tail.seq, 9);
    let next = batch(&journal, 9, 1);
    append(&mut journal, &next);
}

fn what_has_keys_may_be_kept_for_longer<K: Kind>() {
    let (_kind, mut journal) = K::start();
    for (last, keys) in [(0, vec![7; 33]), (1, Vec::new()), (2, vec![7; 33]), (3, Vec::new()), (4, Vec::new())] {
        let one = Batch { keys, ..batch(&journal, last, 1) };
        append(&mut journal, &one);
    }
    let older = Older { than: Time(1004), with_keys_than: Time(1002) };
    while journal.trim(older, 1).expect("trims").more {}
    assert_eq!(left(&mut journal), [3, 4, 5]);
}

/// A batch in which an entity leaves under these names; its time is 1000 and its record's number.
fn leaving(journal: &impl Journal, last: u64, key: u64, names: &[&str]) -> Batch {
    Batch {
        rows: vec![row(key, last + 1, None)],
        names: names.iter().map(|name| ((*name).into(), EntityKey(key))).collect(),
        ..batch(journal, last, 1)
    }
}

fn forget(journal: &mut impl Journal, before: i64, limit: usize) -> (u64, bool) {
    let forgotten = journal.forget(Time(before), limit).expect("forgets");
    (forgotten.gone, forgotten.more)
}

/// Which of the entities 1 to 3 are in the archive, and where these names lead.
fn kept<const N: usize>(journal: &impl Journal, names: [&str; N]) -> (Vec<u64>, [Option<u64>; N]) {
    let reader = journal.reader();
    let archived = |key: &u64| reader.archived(EntityKey(*key)).expect("reads").is_some();
    let named = |name: &str| reader.left_as(name).expect("reads").map(|key| key.0);
    ((1..=3).filter(archived).collect(), names.map(named))
}

fn what_left_long_ago_is_forgotten<K: Kind>() {
    let (kind, mut journal) = K::start();
    let came = Batch {
        rows: (1..=3).map(|key| row(key, 1, Some("row"))).collect(),
        aliases: vec![Alias { local: "c".into(), upstream: "C".into(), seq: 1 }],
        ..batch(&journal, 0, 1)
    };
    append(&mut journal, &came);
    // The younger one left first.
    for (last, key, names) in [(1, 3, ["c", "C"]), (2, 1, ["a", "twice"]), (3, 2, ["b", "twice"])] {
        let one = leaving(&journal, last, key, &names);
        append(&mut journal, &one);
    }
    let names = ["c", "C", "a", "b", "twice"];
    assert_eq!(forget(&mut journal, i64::MIN, 10), (0, false), "while no time is certain");
    assert_eq!(forget(&mut journal, 1002, 10), (0, false), "not older");
    assert_eq!(forget(&mut journal, 1004, 1), (1, true));
    assert_eq!(kept(&journal, names), (vec![1, 2], [None, None, Some(1), Some(2), Some(2)]));
    assert_eq!(forget(&mut journal, 1004, 10), (1, false));
    let mut journal = kind.restart(journal);
    assert_eq!(kept(&journal, names), (vec![2], [None, None, None, Some(2), Some(2)]));
    // Its ids go on leading to one another.
    let reader = journal.reader();
    assert_eq!(reader.upstream_of("c").expect("reads").as_deref(), Some("C"));
    assert_eq!(reader.local_of("C").expect("reads").as_deref(), Some("c"));
    assert_eq!(forget(&mut journal, i64::MAX, 10), (1, false));
    assert_eq!(kept(&journal, names), (vec![], [None; 5]));
}

fn what_came_back_and_left_again_is_kept_anew<K: Kind>() {
    let (_kind, mut journal) = K::start();
    let came = |journal: &K::Journal, last| Batch {
        rows: vec![row(1, last + 1, Some(&format!("of {last}")))],
        ..batch(journal, last, 1)
    };
    for last in [0, 2] {
        let came = came(&journal, last);
        append(&mut journal, &came);
        let left = leaving(&journal, last + 1, 1, &["a"]);
        append(&mut journal, &left);
    }
    assert_eq!(forget(&mut journal, 1004, 10), (0, false));
    let row = journal.reader().archived(EntityKey(1)).expect("reads");
    assert_eq!(row.as_deref(), Some(&b"of 2"[..]));
    // What is in the city does not need the row of its last absence.
    let back = came(&journal, 4);
    append(&mut journal, &back);
    assert_eq!(forget(&mut journal, 1005, 10), (1, false));
    assert_eq!(load(&mut journal).0.rows, [(1, 5, b"of 4".to_vec())]);
}

fn names_and_secrets_are_found_again<K: Kind>() {
    let (kind, mut journal) = K::start();
    let sealed = |text: &str| Some(text.as_bytes().to_vec());
    let first = Batch {
        names: vec![("blr-1".into(), EntityKey(7)), ("OB-1".into(), EntityKey(7))],
        secrets: vec![("a".into(), sealed("one")), ("b".into(), sealed("two"))],
        trusted_since: Some(Time(5)),
        ..batch(&journal, 0, 1)
    };
    append(&mut journal, &first);
    let second = Batch {
        names: vec![("OB-1".into(), EntityKey(9))],
        secrets: vec![("a".into(), None), ("b".into(), sealed("TWO"))],
        ..batch(&journal, 1, 1)
    };
    append(&mut journal, &second);
    let mut journal = kind.restart(journal);
    let reader = journal.reader();
    let named = |name: &str| reader.left_as(name).expect("reads").map(|key| key.0);
    assert_eq!((named("blr-1"), named("OB-1"), named("none")), (Some(7), Some(9), None));
    let kept = |name: &str| reader.secret(name).expect("reads");
    assert_eq!((kept("a"), kept("b")), (None, sealed("TWO")));
    assert_eq!(load(&mut journal).1.trusted_since, Some(Time(5)));
}

fn a_reader_finds_single_things<K: Kind>() {
    let (_kind, mut journal) = K::start();
    let reader = journal.reader();
    assert_eq!(reader.record(1).expect("reads"), None);
    let alias = |local: &str, upstream: &str| Alias { local: local.into(), upstream: upstream.into(), seq: 1 };
    let first = Batch { aliases: vec![alias("blr-1", "OB-1"), alias("blr-2", "OB-2")], ..batch(&journal, 0, 2) };
    append(&mut journal, &first);
    assert_eq!(reader.record(2).expect("reads").as_ref(), Some(&first.records[1]));
    assert_eq!(reader.upstream_of("blr-2").expect("reads").as_deref(), Some("OB-2"));
    assert_eq!(reader.local_of("OB-1").expect("reads").as_deref(), Some("blr-1"));
    assert_eq!(reader.upstream_of("OB-1").expect("reads"), None);
}

fn batches_differ_in_their_ids<K: Kind>() {
    let (_kind, journal) = K::start();
    let plain = batch(&journal, 0, 2);
    let mut other_body = plain.clone();
    other_body.records[1].body = Bytes::from_static(b"bodY");
    let others = [
        Batch { epoch: plain.epoch + 1, ..plain.clone() },
        Batch { expected_last: 1, ..plain.clone() },
        Batch { newest_id: 1, ..plain.clone() },
        Batch { keys: Vec::new(), ..plain.clone() },
        other_body,
    ];
    for other in others {
        assert_ne!(plain.id(), other.id());
    }
}

#[test]
fn an_ambiguous_append_is_told_by_the_tail() {
    let faults = Faults::default();
    let mut journal = Faulty::new(Memory::new(), faults.clone());
    for (fault, written) in [(Fault::LostBefore, false), (Fault::LostAfter, true), (Fault::Full, false)] {
        let last = journal.tail().expect("reads").seq;
        let next = batch(&journal, last, 1);
        faults.push(fault);
        assert!(matches!(journal.append(&next), Err(AppendError::Ambiguous(_))));
        assert_eq!(journal.tail().expect("reads").batch == next.id(), written, "{fault:?}");
    }
}
