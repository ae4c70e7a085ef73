//! What is kept for how long, on a clock that the test moves; copies, and what comes back of them.

mod toy;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use megamind_domain::{EntityKey, Time};
use megamind_store::{
    CopyError, Doubt, EntryState, OpenError, Options, Outcome, RestoreError, SendState, Settle, Store, Write,
    WriterHandle, restore,
};
use tempfile::TempDir;
use toy::{BOOK, Command, Toy, account, add, decided, exchange, keyed, span};

const NOW: i64 = 1_780_000_000_000;
const DAY: i64 = 24 * 3_600_000;

/// A clock that stands still until it is moved.
#[derive(Clone)]
struct Hand(Arc<AtomicI64>);

impl Hand {
    fn at(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Relaxed);
    }

    fn set(&self, millis: i64) {
        self.0.store(millis, Relaxed);
    }

    fn options(&self, path: &Path) -> Options {
        let (wall, steady) = (self.0.clone(), self.0.clone());
        Options {
            clock: Arc::new(move || Time(wall.load(Relaxed))),
            elapsed: Some(Arc::new(move || Duration::from_millis(steady.load(Relaxed).unsigned_abs()))),
            earliest: Time(NOW - 400 * DAY),
            ..toy::options(path)
        }
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(path: &Path, hand: &Hand) -> (Store<Toy>, WriterHandle) {
    Store::open(Arc::new(Toy), hand.options(path)).expect("opens")
}

async fn acknowledge(store: &Store<Toy>, seq: u64) {
    let acknowledged = Settle::Acknowledged { seq, exchange: None, span: span(store) };
    store.settle(acknowledged).await.expect("settled");
}

/// Records in a database that nobody has open.
fn records(path: &Path) -> i64 {
    let database = rusqlite::Connection::open(path).expect("opens");
    database
        .query_row("SELECT count(*) FROM record", [], |row| row.get(0))
        .expect("counts")
}

/// What a day leaves in the file.
#[derive(Clone, Copy, Debug)]
struct Size {
    pages: i64,
    records: i64,
    archived: i64,
    names: i64,
    aliases: i64,
    /// Everything else: entities, queue, secrets.
    others: i64,
}

impl Size {
    fn of(path: &Path) -> Self {
        let database = rusqlite::Connection::open(path).expect("opens");
        let number = |sql: &str| -> i64 { database.query_row(sql, [], |row| row.get(0)).expect("counts") };
        let rows = |table: &str| number(&format!("SELECT count(*) FROM {table}"));
        Self {
            pages: number("PRAGMA page_count"),
            records: rows("record"),
            archived: rows("archive"),
            names: rows("archive_name"),
            aliases: rows("alias"),
            others: rows("entity") + rows("queue") + rows("secret"),
        }
    }
}

/// An account that is opened, booked on and handed over in the space of an order's life; its key and names.
async fn order_of(store: &Store<Toy>, name: &str) -> (u64, Vec<(Box<str>, EntityKey)>) {
    let open = || Command::Open { bonus: None };
    let Ok(Outcome::Decided { seq, .. }) = store.submit(keyed(open(), name)).await else {
        panic!("not decided")
    };
    let key = store.published().city.next;
    let local = store.published().city.accounts[&key].id.clone();
    let upstream = format!("OB-{name}");
    let told = exchange(BOOK, Some(open()), &format!("id={upstream}"));
    let acknowledged = Settle::Acknowledged { seq, exchange: Some(told), span: span(store) };
    store.settle(acknowledged).await.expect("settled");
    let add = Command::Add { account: key, teller: None, amount: 1 };
    let secret = Some(Arc::from([7; 64]));
    let write = Write { sealed: secret, ..keyed(add, &format!("{name} again")) };
    let Ok(Outcome::Decided { seq, .. }) = store.submit(write).await else {
        panic!("not decided")
    };
    acknowledge(store, seq).await;
    (key, vec![(local.into(), EntityKey(key)), (upstream.into(), EntityKey(key))])
}

/// What nobody asks for leaves the city, and the file after its time; of an order nothing stays but its two ids.
#[tokio::test]
async fn two_busy_months_do_not_make_the_file_grow_without_bound() {
    const ORDERS: i64 = 15;
    let folder = folder();
    let path = folder.path().join("toy.db");
    let hand = Hand::at(NOW);
    let keep = Duration::from_hours(20 * 24);
    let options = Options { keep_left_for: keep, ..hand.options(&path) };
    let (store, writer) = Store::open(Arc::new(Toy), options).expect("opens");
    let mut sizes = Vec::new();
    for day in 0..60 {
        let mut orders = Vec::new();
        for nth in 0..ORDERS {
            orders.push(order_of(&store, &format!("{day}-{nth}")).await);
            hand.pass(DAY / ORDERS);
        }
        for (account, names) in orders {
            assert_eq!(store.upkeep(Command::Close { account }, names).await, Ok(true));
        }
        store.tidy().await;
        sizes.push(Size::of(&path));
    }
    writer.stop();
    let (middle, last) = (sizes[39], sizes[59]);
    assert_eq!((last.archived, last.names), (middle.archived, middle.names), "{sizes:?}");
    assert!(
        (20 * ORDERS..=21 * ORDERS).contains(&last.archived) && last.names == 2 * last.archived,
        "{last:?}"
    );
    // Keys are kept for a week, so records are.
    assert!(last.records <= middle.records && last.records < 9 * ORDERS * 5, "{last:?}");
    assert_eq!((last.others, last.aliases), (middle.others, 60 * ORDERS), "{last:?}");
    // Both ids, in the table and in its index.
    let for_aliases = (last.aliases - middle.aliases) * 200 / 8192;
    assert!(last.pages <= middle.pages + for_aliases, "{middle:?} to {last:?}");
}

#[tokio::test]
async fn a_key_is_answered_for_as_long_as_it_is_kept_and_what_is_queued_stays() {
    let folder = folder();
    let path = folder.path().join("toy.db");
    let hand = Hand::at(NOW);
    let (store, writer) = open(&path, &hand);
    let (key, _) = account(&store).await;
    let write = || keyed(Command::Add { account: key, teller: None, amount: 1 }, "once");
    let Ok(Outcome::Decided { seq: queued, .. }) = store.submit(write()).await else {
        panic!("not decided")
    };
    hand.pass(7 * DAY);
    store.tidy().await;
    assert!(matches!(store.submit(write()).await, Ok(Outcome::Repeated { .. })));
    hand.pass(DAY);
    store.tidy().await;
    // Too old to be a repetition; still to be sent.
    assert!(matches!(store.submit(write()).await, Ok(Outcome::Decided { .. })));
    assert!(store.entry(queued).expect("reads").is_some());
    writer.stop();
}

#[tokio::test]
async fn what_leaves_the_city_is_found_by_its_names_and_stays_while_it_is_queued() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let path = folder.path().join("toy.db");
    let (store, writer) = open(&path, &hand);
    let (key, opened) = account(&store).await;
    let booked = decided(&store, Command::Add { account: key, teller: None, amount: 5 }).await;
    let names = || vec![("ours".into(), EntityKey(key)), ("theirs".into(), EntityKey(key))];
    let close = || store.upkeep(Command::Close { account: key }, names());
    assert_eq!(close().await, Ok(false), "queued");
    acknowledge(&store, opened).await;
    assert_eq!(close().await, Ok(false), "the second is still queued");
    acknowledge(&store, booked).await;
    assert_eq!(close().await, Ok(true));
    assert!(store.published().city.accounts.is_empty());
    writer.stop();

    let (store, writer) = open(&path, &hand);
    assert!(store.published().city.accounts.is_empty());
    for name in ["ours", "theirs"] {
        assert_eq!(store.left_as(name).expect("reads"), Some(EntityKey(key)));
    }
    assert_eq!(store.left_as("nobody's").expect("reads"), None);
    let row = store.archived(EntityKey(key)).expect("reads").expect("is there");
    assert!(String::from_utf8_lossy(&row).contains("\"balance\":5"));
    writer.stop();
}

/// Closes the account, and gives its names.
async fn leave(store: &Store<Toy>, (key, names): (u64, Vec<(Box<str>, EntityKey)>)) -> [String; 2] {
    let [local, upstream] = [0, 1].map(|nth: usize| names[nth].0.to_string());
    assert_eq!(store.upkeep(Command::Close { account: key }, names).await, Ok(true));
    [local, upstream]
}

#[tokio::test]
async fn what_left_is_forgotten_after_its_time_and_its_ids_still_lead_to_one_another() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let path = folder.path().join("toy.db");
    let (store, writer) = open(&path, &hand);
    let order = order_of(&store, "1").await;
    let key = EntityKey(order.0);
    hand.pass(30 * DAY);
    let [local, upstream] = leave(&store, order).await;
    // It counts from when it left, not from when it was written about.
    hand.pass(90 * DAY);
    store.tidy().await;
    assert_eq!(store.left_as(&local).expect("reads"), Some(key));
    assert!(store.archived(key).expect("reads").is_some());
    hand.pass(1);
    store.tidy().await;
    for name in [&local, &upstream] {
        assert_eq!(store.left_as(name).expect("reads"), None);
    }
    assert_eq!(store.archived(key).expect("reads"), None);
    let copy = folder.path().join("copy.db");
    store.copy(&copy).expect("copied");
    writer.stop();
    restore(&copy, &path, store.time().wall()).expect("restored");
    let (store, writer) = open(&path, &hand);
    assert_eq!(store.aliases().upstream_of(&local).as_deref(), Some(&*upstream));
    assert_eq!(store.aliases().local_of(&upstream).as_deref(), Some(&*local));
    writer.stop();
}

#[tokio::test]
async fn a_copy_brings_back_what_left_with_the_time_when_it_did() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let (path, copy) = (folder.path().join("toy.db"), folder.path().join("copy.db"));
    let (store, writer) = open(&path, &hand);
    let order = order_of(&store, "1").await;
    let key = EntityKey(order.0);
    leave(&store, order).await;
    store.copy(&copy).expect("copied");
    writer.stop();
    hand.pass(60 * DAY);
    restore(&copy, &path, store.time().wall()).expect("restored");
    let (store, writer) = open(&path, &hand);
    store.tidy().await;
    assert!(store.archived(key).expect("reads").is_some());
    hand.pass(31 * DAY);
    store.tidy().await;
    assert_eq!(store.archived(key).expect("reads"), None);
    writer.stop();
}

#[tokio::test]
async fn nothing_is_forgotten_while_the_clock_is_doubtful() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let path = folder.path().join("toy.db");
    let (store, writer) = open(&path, &hand);
    let order = order_of(&store, "1").await;
    let key = EntityKey(order.0);
    leave(&store, order).await;
    // The clock jumps a year ahead, and the upstream says so.
    hand.pass(365 * DAY);
    store.time().told(Time(NOW));
    assert!(matches!(store.time().doubt(), Some(Doubt::OffReference { .. })));
    store.tidy().await;
    assert!(store.archived(key).expect("reads").is_some());
    // It turns out to be right after all: what is old counts from there.
    store.time().told(Time(NOW + 365 * DAY));
    while store.time().age(Time(NOW)).is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.tidy().await;
    assert!(store.archived(key).expect("reads").is_some());
    hand.pass(91 * DAY);
    store.tidy().await;
    assert_eq!(store.archived(key).expect("reads"), None);
    writer.stop();
}

#[tokio::test]
async fn sealed_things_survive_a_restart() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let path = folder.path().join("toy.db");
    let (store, writer) = open(&path, &hand);
    store
        .keep_sealed(vec![("a".into(), Some(vec![1, 2])), ("b".into(), Some(vec![3]))])
        .await
        .expect("kept");
    store.keep_sealed(vec![("b".into(), None)]).await.expect("forgotten");
    writer.stop();
    let (store, writer) = open(&path, &hand);
    assert_eq!(store.sealed("a").expect("reads"), Some(vec![1, 2]));
    assert_eq!(store.sealed("b").expect("reads"), None);
    writer.stop();
}

#[tokio::test]
async fn what_a_replay_needs_is_kept_until_its_entry_leaves() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let path = folder.path().join("toy.db");
    let (store, writer) = open(&path, &hand);
    let (key, _) = account(&store).await;
    let add = Command::Add { account: key, teller: None, amount: 1 };
    let write = Write { sealed: Some(Arc::from([1, 2, 3])), ..toy::write(add) };
    let Ok(Outcome::Decided { seq, .. }) = store.submit(write).await else {
        panic!("not decided")
    };
    writer.stop();
    let (store, writer) = open(&path, &hand);
    let sealed = || store.entry(seq).expect("reads").expect("is there").sealed;
    assert_eq!(sealed(), Some(vec![1, 2, 3]));
    acknowledge(&store, seq).await;
    assert_eq!(sealed(), None);
    assert_eq!(store.sealed(&format!("entry {seq}")).expect("reads"), None);
    writer.stop();
}

#[tokio::test]
async fn a_start_in_1970_forgets_nothing_when_the_clock_is_set() {
    let folder = folder();
    let hand = Hand::at(7_000);
    let path = folder.path().join("toy.db");
    let (store, writer) = open(&path, &hand);
    assert_eq!(store.time().doubt(), Some(Doubt::BeforeRelease));
    let (key, _) = account(&store).await;
    let write = || keyed(Command::Add { account: key, teller: None, amount: 1 }, "early");
    assert!(matches!(store.submit(write()).await, Ok(Outcome::Decided { .. })));
    hand.set(NOW);
    // Whoever looks before the journal knows that the clock is right takes nothing to be old.
    assert!(matches!(store.submit(write()).await, Ok(Outcome::Repeated { .. })));
    while store.time().age(Time(7_000)).is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.tidy().await;
    assert!(matches!(store.submit(write()).await, Ok(Outcome::Repeated { .. })));
    writer.stop();
    // The end of the doubt is remembered.
    let (store, writer) = open(&path, &hand);
    hand.pass(DAY);
    assert_eq!(store.time().age(Time(7_000)), Some(DAY as u64));
    assert!(matches!(store.submit(write()).await, Ok(Outcome::Repeated { .. })));
    hand.pass(7 * DAY);
    assert!(matches!(store.submit(write()).await, Ok(Outcome::Decided { .. })));
    writer.stop();
}

#[tokio::test]
async fn a_clock_that_steps_back_decides_no_earlier_and_ages_nothing() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let path = folder.path().join("toy.db");
    let (store, writer) = open(&path, &hand);
    let (key, _) = account(&store).await;
    hand.pass(-8 * DAY);
    let seq = decided(&store, Command::Add { account: key, teller: None, amount: 1 }).await;
    let entry = store.entry(seq).expect("reads").expect("is queued");
    assert_eq!(entry.at, Time(NOW));
    assert_eq!(store.time().doubt(), Some(Doubt::BehindJournal { millis: 8 * DAY as u64 }));
    assert_eq!(store.time().age(Time(NOW - 30 * DAY)), None);
    writer.stop();
}

/// A closed journal with one account acknowledged and two bookings queued, one of them parked.
async fn with_queue(path: &Path, hand: &Hand) -> u64 {
    let (store, writer) = open(path, hand);
    let (key, opened) = account(&store).await;
    acknowledge(&store, opened).await;
    decided(&store, Command::Add { account: key, teller: None, amount: 5 }).await;
    let (_, other) = account(&store).await;
    let parked = Settle::Parked { seq: other, status: Some(422), reason: "no".into(), left: None };
    store.settle(parked).await.expect("parked");
    writer.stop();
    key
}

#[tokio::test]
async fn a_copy_made_while_it_is_written_is_whole() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let (path, to) = (folder.path().join("toy.db"), folder.path().join("copy.db"));
    let (store, writer) = open(&path, &hand);
    let (key, _) = account(&store).await;
    let copying = std::thread::spawn({
        let (store, to) = (store.clone(), to.clone());
        move || store.copy(&to).expect("copied")
    });
    for _ in 0..200 {
        add(&store, key, 1).await.expect("decided");
    }
    let copied = copying.join().expect("no panic");
    assert_eq!((copied.path.as_path(), copied.at), (to.as_path(), Time(NOW)));
    assert!(matches!(store.copy(&to), Err(CopyError::Exists(_))), "nothing is overwritten");
    let again = store.copy(&folder.path().join("none").join("copy.db"));
    assert!(matches!(again, Err(CopyError::Io { .. })), "{again:?}");
    writer.stop();
    // Balance and bookings of one moment.
    let (copy, writer) = open(&to, &hand);
    let city = copy.published().city.clone();
    let account = &city.accounts[&key];
    assert_eq!(account.balance, account.bookings as i64);
    assert_eq!(copy.published().entries, 1 + account.bookings);
    writer.stop();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&to).expect("is there").permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_restored_queue_may_have_been_applied_and_waits_to_be_released() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let (path, to) = (folder.path().join("toy.db"), folder.path().join("copy.db"));
    let key = with_queue(&path, &hand).await;
    let (store, writer) = open(&path, &hand);
    store.copy(&to).expect("copied");
    let old_epoch = decided(&store, Command::Add { account: key, teller: None, amount: 1 }).await;
    let old_epoch = store.entry(old_epoch).expect("reads").expect("is queued").epoch;

    hand.pass(DAY);
    let refused = restore(&to, &path, Time(NOW + DAY));
    assert!(
        matches!(refused, Err(RestoreError::Open(OpenError::Locked { .. }))),
        "not while a gateway has it: {refused:?}"
    );
    writer.stop();
    let replaced = restore(&to, &path, Time(NOW + DAY)).expect("restored");
    assert_eq!((replaced.copied_at, replaced.queued), (Time(NOW), 2));
    assert!(replaced.moved_to.as_ref().is_some_and(|path| path.exists()), "{replaced:?}");

    let (store, writer) = open(&path, &hand);
    let published = store.published();
    let restored = published.restored.expect("waits");
    assert_eq!((restored.at, restored.copied_at), (Time(NOW + DAY), Time(NOW)));
    assert_eq!((published.entries, published.sendable, published.parked), (2, 0, 1));
    assert_eq!(published.city.accounts[&key].balance, 5, "what came after the copy is not there");
    assert_eq!(store.work(10, |_| false), []);
    let seq = decided(&store, Command::Add { account: key, teller: None, amount: 1 }).await;
    assert!(seq >= replaced.first && seq > 1 << 40, "{seq}: no number is given twice");
    let entry = store.entry(seq).expect("reads").expect("is queued");
    assert!(entry.epoch > old_epoch, "{} after {old_epoch}", entry.epoch);
    assert_eq!(entry.state, SendState::NeverSent);

    store.release("the test").await.expect("released");
    let work = store.work(10, |_| false);
    assert!(matches!(work[0].state, SendState::PossiblyApplied { since: Time(NOW) }), "{work:?}");
    assert!(store.published().restored.is_none());
    let parked = store.entries(EntryState::Parked, 0, 10);
    assert!(matches!(
        store.entry(parked[0].seq).expect("reads").expect("is parked").state,
        SendState::PossiblyApplied { .. }
    ));
    writer.stop();
    let (store, writer) = open(&path, &hand);
    assert!(store.published().restored.is_none(), "once for all");
    writer.stop();

    // The same copy brought back again: other numbers.
    let again = restore(&to, &path, Time(NOW + DAY + 1000)).expect("restored");
    assert!(again.first > seq);
}

#[tokio::test]
async fn what_is_no_copy_is_not_brought_back() {
    let folder = folder();
    let hand = Hand::at(NOW);
    let path = folder.path().join("toy.db");
    with_queue(&path, &hand).await;
    let before = records(&path);
    let bad = folder.path().join("bad.db");
    let missing = restore(&bad, &path, Time(NOW));
    assert!(matches!(missing, Err(RestoreError::Io { .. })), "{missing:?}");
    fs::write(&bad, "Dear diary, ".repeat(1000)).expect("written");
    let diary = restore(&bad, &path, Time(NOW));
    assert!(matches!(diary, Err(RestoreError::Open(OpenError::NotADatabase { .. }))), "{diary:?}");
    assert_eq!(records(&path), before, "the old one is still there");
}
