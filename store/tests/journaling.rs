//! What is decided, what is visible when, and what a restart brings back.

mod toy;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use megamind_domain::EntityKey;
use megamind_store::{EntryState, Identity, Outcome, Prior, Repeat, SendState, Settle, Store, SubmitError, Write};
use tempfile::TempDir;
use toy::{BOOK, Command, READ, Toy, account, add, balances, decided, exchange, keyed, options, span, write};

fn open(folder: &TempDir) -> (Store<Toy>, megamind_store::WriterHandle) {
    Store::open(Arc::new(Toy), options(&folder.path().join("toy.db"))).expect("the journal opens")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

#[tokio::test]
async fn a_decision_survives_a_restart_with_its_entry() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let (key, seq) = account(&store).await;
    assert!(matches!(add(&store, key, 5).await, Ok(Outcome::Decided { .. })));
    let before = store.published().city.clone();
    writer.stop();
    drop(store);

    let (store, _writer) = open(&folder);
    let published = store.published();
    assert_eq!(published.city, before);
    assert_eq!((published.entries, published.sendable, published.last_seq), (2, 2, 2));
    assert_eq!(published.fences.get(&key), Some(&2));
    let entry = store.entry(seq).expect("readable").expect("there");
    assert_eq!((&*entry.method, &*entry.path), ("POST", "/book"));
    assert_eq!(&entry.body[..], b"Open { bonus: None }");
    assert_eq!(entry.created.as_deref(), Some(before.accounts[&key].id.as_str()));
    assert_eq!(entry.key.as_deref(), Some("toy-1-1"), "city, epoch, seq");
    assert_eq!((entry.state, entry.place), (SendState::NeverSent, EntryState::Pending));
    let (next, _) = account(&store).await;
    let ids = |key: u64| store.published().city.accounts[&key].id.clone();
    assert!(ids(next) > ids(key), "ids go on after the newest of the journal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_shares_a_commit() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, _) = account(&store).await;
    let before = store.metrics().commits.load(Relaxed);
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { add(&store, key, 1).await })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await, Ok(Ok(Outcome::Decided { .. }))));
    }
    assert_eq!(balances(&store)[&key], 200);
    let commits = store.metrics().commits.load(Relaxed) - before;
    assert!(commits < 200, "{commits} commits for 200 writes");
    assert_eq!(store.metrics().records.load(Relaxed), 201);
}

#[tokio::test]
async fn follow_ups_are_records_of_their_own_and_show_in_the_answer() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let seq = decided(&store, Command::Open { bonus: Some(777) }).await;
    assert_eq!(balances(&store)[&1], 777);
    let own = store.entry(seq + 1).expect("readable").expect("the follow-up is queued");
    assert_eq!((&*own.method, &own.body[..], own.own), ("PUT", &b"own"[..], true));
    assert_eq!(own.endpoint, BOOK);
    let refused = store.submit(write(Command::Open { bonus: Some(-1) })).await;
    assert!(matches!(refused, Ok(Outcome::Decided { .. })), "{refused:?}");
    assert_eq!(store.metrics().rejected_follow_ups.load(Relaxed), 1);
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_answer_also_after_a_restart() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let (key, _) = account(&store).await;
    let five = || keyed(Command::Add { account: key, teller: None, amount: 5 }, "k");
    let Ok(Outcome::Decided { response: first, .. }) = store.submit(five()).await else {
        panic!("not decided")
    };
    assert!(add(&store, key, 1).await.is_ok());
    let repeated = Ok(Outcome::Repeated { response: first.clone() });
    assert_eq!(store.submit(five()).await, repeated);
    let six = keyed(Command::Add { account: key, teller: None, amount: 6 }, "k");
    assert_eq!(store.submit(six).await, Ok(Outcome::KeyReused));
    writer.stop();
    let (store, _writer) = open(&folder);
    assert_eq!(store.submit(five()).await, repeated);
    assert_eq!(balances(&store)[&key], 6);
}

#[tokio::test]
async fn twins_in_one_batch_take_effect_once() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, _) = account(&store).await;
    let twin = || store.submit(keyed(Command::Add { account: key, teller: None, amount: 5 }, "k"));
    let outcomes = tokio::join!(twin(), twin(), twin());
    let outcomes = [outcomes.0, outcomes.1, outcomes.2];
    let decided = |outcome: &&Result<Outcome, SubmitError>| matches!(outcome, Ok(Outcome::Decided { .. }));
    assert_eq!(outcomes.iter().filter(decided).count(), 1, "{outcomes:?}");
    assert_eq!(balances(&store)[&key], 5);
}

#[tokio::test]
async fn a_natural_key_is_recognized_without_the_client_naming_one() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, _) = account(&store).await;
    let order = |body: &'static [u8]| {
        let mut write = write(Command::Add { account: key, teller: None, amount: 5 });
        Arc::make_mut(&mut write.request).body = bytes::Bytes::from_static(body);
        write.parsed = Arc::new(megamind_domain::Parsed {
            command: Command::Add { account: key, teller: None, amount: 5 },
            subject: Some("m1".into()),
            natural: Some(b"ref 1".to_vec()),
            fact: false,
            patience: None,
        });
        write
    };
    assert!(matches!(store.submit(order(b"a=1&b=2")).await, Ok(Outcome::Decided { .. })));
    let again = store.submit(order(b"b=2&a=1")).await;
    assert!(matches!(again, Ok(Outcome::Repeated { .. })), "{again:?}");
    assert_eq!(balances(&store)[&key], 5);
}

#[tokio::test]
async fn a_refusal_changes_nothing_and_is_repeated_under_its_key() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, _) = account(&store).await;
    let negative = || keyed(Command::Add { account: key, teller: None, amount: -1 }, "k");
    let Ok(Outcome::Rejected { rejection, response }) = store.submit(negative()).await else {
        panic!("not rejected")
    };
    assert_eq!((rejection.code, response.status), ("negative", 409));
    assert_eq!(store.submit(negative()).await, Ok(Outcome::Repeated { response }));
    assert_eq!((balances(&store)[&key], store.published().entries), (0, 1));
}

#[tokio::test]
async fn what_may_have_been_applied_is_kept_although_it_is_refused_here() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, first) = account(&store).await;
    let acknowledged = Settle::Acknowledged { seq: first, exchange: None, span: span(&store) };
    store.settle(acknowledged).await.expect("acknowledged");
    let lost = || megamind_store::Write {
        prior: Prior::PossiblyApplied { at: megamind_domain::Time(3) },
        ..keyed(Command::Add { account: key, teller: None, amount: -1 }, "k")
    };
    for _ in 0..2 {
        let outcome = store.submit(lost()).await;
        assert!(matches!(outcome, Ok(Outcome::Rejected { .. })), "{outcome:?}");
    }
    let published = store.published();
    assert_eq!(published.entries, 1, "once, whatever the client repeats");
    assert_eq!(published.fences.get(&key), Some(&1));
    let seq = store.entries(EntryState::Pending, 0, 10)[0].seq;
    let entry = store.entry(seq).expect("readable").expect("there");
    assert!(entry.unknown);
    assert_eq!(entry.key.as_deref(), Some("k"));
    assert_eq!(entry.state, SendState::PossiblyApplied { since: megamind_domain::Time(3) });
}

#[tokio::test]
async fn a_query_needs_no_record() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, _) = account(&store).await;
    let look = store.submit(write(Command::Look { account: key })).await;
    assert!(matches!(look, Ok(Outcome::Decided { seq: 0, .. })), "{look:?}");
    assert_eq!(store.published().last_seq, 1);
}

#[tokio::test]
async fn only_the_newest_of_a_slot_waits_unless_one_is_under_way() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let first = decided(&store, Command::At { teller: 1, place: 10 }).await;
    let second = decided(&store, Command::At { teller: 1, place: 11 }).await;
    let waiting = |store: &Store<Toy>| -> Vec<u64> { store.work(10, |_| false).iter().map(|work| work.seq).collect() };
    assert_eq!(waiting(&store), [second]);
    assert!(store.published().fences.is_empty());
    store.settle(Settle::Sent { seq: second }).await.expect("sent");
    let third = decided(&store, Command::At { teller: 1, place: 12 }).await;
    assert_eq!(store.published().entries, 2, "one under way is never superseded");
    assert_eq!(waiting(&store), [second], "nor overtaken");
    assert_eq!(store.settle(Settle::Sent { seq: first }).await, Err(SubmitError::NotQueued));
    writer.stop();
    let (store, _writer) = open(&folder);
    assert_eq!((waiting(&store), store.published().entries), (vec![second], 2));
    assert!(third > second);
    let newer = exchange(BOOK, Some(Command::At { teller: 1, place: 13 }), "");
    store.observe_write(newer, span(&store)).await;
    assert!(store.set_mode("acting", "a commit").await.is_ok());
    assert_eq!(store.published().entries, 1, "a newer one was forwarded");
    assert_eq!(store.published().city.tellers[&1], 13);
}

#[tokio::test]
async fn an_acknowledgement_drops_the_fence_and_brings_the_id_in_one_commit() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let (key, seq) = account(&store).await;
    let local = store.published().city.accounts[&key].id.clone();
    assert_eq!(store.aliases().upstream_of(&local), None);
    store.settle(Settle::Sent { seq }).await.expect("sent");
    let entry = store.entry(seq).expect("readable").expect("there");
    assert!(matches!(entry.state, SendState::PossiblyApplied { .. }));
    assert_eq!(entry.attempts, 1);
    let answer = exchange(BOOK, Some(Command::Open { bonus: None }), "id=UP-1&balance=9");
    store
        .settle(Settle::Acknowledged { seq, exchange: Some(answer), span: span(&store) })
        .await
        .expect("acknowledged");
    let check = |store: &Store<Toy>| {
        let published = store.published();
        assert_eq!((published.entries, published.fences.len()), (0, 0));
        let account = &published.city.accounts[&key];
        assert_eq!((account.balance, account.upstream.as_deref()), (9, Some("UP-1")));
        assert_eq!(store.aliases().upstream_of(&local).as_deref(), Some("UP-1"));
        assert_eq!(store.aliases().local_of("UP-1").as_deref(), Some(&*local));
        assert_eq!(store.entries(EntryState::Done, 0, 10).len(), 1);
    };
    check(&store);
    writer.stop();
    let (store, _writer) = open(&folder);
    check(&store);
}

#[tokio::test]
async fn parked_entries_come_back_with_a_new_key_and_can_be_discarded() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let (key, seq) = account(&store).await;
    assert!(add(&store, key, 5).await.is_ok());
    store.settle(Settle::Sent { seq }).await.expect("sent");
    let park = |status| Settle::Parked { seq, status, reason: "no".into(), left: None };
    store.settle(park(Some(422))).await.expect("parked");
    writer.stop();
    let (store, _writer) = open(&folder);
    let published = Arc::clone(&store.published());
    assert_eq!((published.parked, published.sendable, published.entries), (1, 0, 2));
    assert_eq!(store.entries(EntryState::Parked, 0, 10)[0].seq, seq);
    store.settle(Settle::Retry { seq }).await.expect("taken back");
    let entry = store.entry(seq).expect("readable").expect("there");
    assert_eq!(entry.key.as_deref(), Some("toy-1-1-r1"), "a definite refusal: a new key");
    store.settle(Settle::Sent { seq }).await.expect("sent");
    store.settle(park(None)).await.expect("parked");
    store.settle(Settle::Retry { seq }).await.expect("taken back");
    let entry = store.entry(seq).expect("readable").expect("there");
    assert_eq!(entry.key.as_deref(), Some("toy-1-1-r1"), "possibly applied: the old key");
    assert!(entry.insisted, "the operator wants it sent");
    store.settle(Settle::Sent { seq }).await.expect("sent");
    assert!(!store.entry(seq).expect("readable").expect("there").insisted, "once");
    let discard = Settle::Discarded { seq, who: "op".into(), why: "twice".into(), then: None };
    store.settle(discard).await.expect("discarded");
    assert_eq!(store.published().entries, 0, "all of the account goes with what opened it");
    assert!(store.published().fences.is_empty());
}

#[tokio::test]
async fn a_clients_own_key_is_kept_once_after_a_conflict() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let outcome = store.submit(keyed(Command::Open { bonus: None }, "mine")).await;
    let Ok(Outcome::Decided { seq, .. }) = outcome else {
        panic!("not decided: {outcome:?}");
    };
    for (status, key) in [(409, "mine"), (409, "mine-r1"), (422, "mine-r2")] {
        store.settle(Settle::Sent { seq }).await.expect("sent");
        let parked = Settle::Parked { seq, status: Some(status), reason: "no".into(), left: None };
        store.settle(parked).await.expect("parked");
        store.settle(Settle::Retry { seq }).await.expect("taken back");
        let entry = store.entry(seq).expect("readable").expect("there");
        assert_eq!(entry.key.as_deref(), Some(key));
    }
}

#[tokio::test]
async fn discarding_one_booking_leaves_the_others() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, opened) = account(&store).await;
    let booking = decided(&store, Command::Add { account: key, teller: None, amount: 5 }).await;
    let other = decided(&store, Command::Add { account: key, teller: None, amount: 6 }).await;
    let then = Some(Command::Close { account: key });
    let discard = Settle::Discarded { seq: booking, who: "op".into(), why: "twice".into(), then };
    store.settle(discard).await.expect("discarded");
    assert_eq!(
        store
            .entries(EntryState::Pending, 0, 10)
            .iter()
            .map(|entry| entry.seq)
            .collect::<Vec<_>>(),
        [opened, other]
    );
    assert!(!store.published().city.accounts.contains_key(&key), "what follows is in the same commit");
}

#[tokio::test]
async fn a_bundle_keeps_its_members_over_a_restart() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let first = decided(&store, Command::At { teller: 1, place: 10 }).await;
    let second = decided(&store, Command::At { teller: 2, place: 20 }).await;
    store
        .settle(Settle::Bundled { seqs: vec![first, second] })
        .await
        .expect("bundled");
    let third = decided(&store, Command::At { teller: 1, place: 11 }).await;
    writer.stop();
    let (store, _writer) = open(&folder);
    let bundles = |store: &Store<Toy>| -> Vec<_> {
        store.work(10, |_| false).iter().map(|work| (work.seq, work.bundle)).collect()
    };
    let bundle = bundles(&store)[0].1;
    assert!(bundle.is_some());
    assert_eq!(bundles(&store), [(first, bundle), (second, bundle)], "the newer one waits");
    assert_eq!(
        store.settle(Settle::Bundled { seqs: vec![first, 999] }).await,
        Err(SubmitError::NotQueued)
    );
    store
        .settle(Settle::Bundled { seqs: vec![first, second] })
        .await
        .expect("sent again");
    assert_eq!(bundles(&store), [(first, bundle), (second, bundle)], "under the same number");
    for seq in [first, second] {
        let taken = Settle::Acknowledged { seq, exchange: None, span: span(&store) };
        store.settle(taken).await.expect("acknowledged");
    }
    assert_eq!(bundles(&store), [(third, None)]);
}

#[tokio::test]
async fn observations_are_published_at_once_and_durable_soon() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let (key, seq) = account(&store).await;
    let answer = |balance: &str, endpoint| {
        let command = match endpoint {
            READ => Command::Look { account: key },
            _ => Command::Add { account: key, teller: None, amount: 0 },
        };
        exchange(endpoint, Some(command), &format!("balance={balance}"))
    };
    store.observe_write(answer("7", BOOK), span(&store)).await;
    store.barrier().await;
    assert_eq!(balances(&store)[&key], 0, "fenced");
    let done = Settle::Acknowledged { seq, exchange: None, span: span(&store) };
    store.settle(done).await.expect("acknowledged");

    let early = store.tick();
    store.observe_write(answer("7", BOOK), span(&store)).await;
    let overlapped = megamind_store::Span { started: early, finished: store.tick() };
    assert!(store.observe_read(answer("1", READ), overlapped));
    store.barrier().await;
    assert_eq!(balances(&store)[&key], 7, "the read began before the write ended");
    assert!(store.observe_read(answer("8", READ), span(&store)));
    store.barrier().await;
    assert_eq!(balances(&store)[&key], 8);
    assert_eq!(store.metrics().ignored_observations.load(Relaxed), 2);
    writer.stop();
    let (store, _writer) = open(&folder);
    assert_eq!(balances(&store)[&key], 8);
}

#[tokio::test]
async fn a_panic_harms_nobody_else() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let (key, _) = account(&store).await;
    let bad = |command| store.submit(write(command));
    let (first, boom, second, crack, spoil, third) = tokio::join!(
        add(&store, key, 1),
        bad(Command::Boom),
        add(&store, key, 2),
        bad(Command::Crack),
        bad(Command::Spoil),
        add(&store, key, 4),
    );
    for fine in [first, second, third] {
        assert!(matches!(fine, Ok(Outcome::Decided { .. })), "{fine:?}");
    }
    assert_eq!([boom, crack, spoil], [(); 3].map(|()| Err(SubmitError::Panicked)));
    assert_eq!(balances(&store)[&key], 7);
    assert_eq!(store.published().city.next, key, "nothing of the half-applied event is left");
    assert!(store.metrics().panics.load(Relaxed) >= 3);
}

#[tokio::test]
async fn the_mode_is_journaled() {
    let folder = folder();
    let (store, writer) = open(&folder);
    assert_eq!(store.last_mode(), None);
    store.set_mode("acting", "the cloud is gone").await.expect("journaled");
    assert_eq!(store.last_mode().as_deref(), Some("acting"));
    writer.stop();
    assert_eq!(open(&folder).0.last_mode().as_deref(), Some("acting"));
}

#[tokio::test]
async fn what_left_the_city_without_a_name_is_gone() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let (key, _) = account(&store).await;
    decided(&store, Command::Close { account: key }).await;
    assert!(balances(&store).is_empty());
    // By a name it would be kept: `what_leaves_the_city_is_found_by_its_names_and_stays_while_it_is_queued`.
    assert_eq!(store.archived(EntityKey(key)).expect("readable"), None);
    writer.stop();
    assert!(balances(&open(&folder).0).is_empty());
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = folder();
    let (store, writer) = open(&folder);
    assert!(writer.is_running());
    writer.stop();
    assert_eq!(add(&store, 1, 1).await, Err(SubmitError::Closed));
    store.barrier().await;
    assert!(!store.observe_read(exchange(READ, None, ""), span(&store)));
}

#[tokio::test]
async fn a_full_queue_is_overload_and_drops_reads_first() {
    let folder = folder();
    let path = folder.path().join("toy.db");
    let options = megamind_store::Options { max_queue: 1, queue_timeout: std::time::Duration::ZERO, ..options(&path) };
    let (store, _writer) = Store::open(Arc::new(Toy), options).expect("opens");
    let mut overloaded = 0;
    for _ in 0..50 {
        let all = tokio::join!(
            store.submit(write(Command::Open { bonus: None })),
            store.submit(write(Command::Open { bonus: None })),
        );
        for outcome in [all.0, all.1] {
            match outcome {
                Ok(_) => {}
                Err(SubmitError::Overloaded) => overloaded += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert_eq!(balances(&store).len() + overloaded, 100, "decided or refused, nothing in between");
}

#[tokio::test]
async fn a_value_on_its_way_goes_when_it_did_not_arrive_and_a_newer_one_is_known() {
    let folder = folder();
    let (store, _writer) = open(&folder);
    let queued = |store: &Store<Toy>| -> Vec<u64> { store.work(10, |_| false).iter().map(|work| work.seq).collect() };
    let first = decided(&store, Command::At { teller: 1, place: 1 }).await;
    store.settle(Settle::Sent { seq: first }).await.expect("sent");
    // What may have arrived stays, and the newer one queues behind.
    let second = decided(&store, Command::At { teller: 1, place: 2 }).await;
    assert_eq!(queued(&store), [first]);
    store.settle(Settle::NotSent { seq: first }).await.expect("not sent");
    assert_eq!(queued(&store), [second]);
    // Without an answer it stays until it is settled.
    store.settle(Settle::Sent { seq: second }).await.expect("sent");
    store.settle(Settle::InDoubt { seq: second }).await.expect("in doubt");
    let third = decided(&store, Command::At { teller: 1, place: 3 }).await;
    store.settle(Settle::NotSent { seq: second }).await.expect("not sent");
    assert_eq!(queued(&store), [second]);
    let acknowledged = Settle::Acknowledged { seq: second, exchange: None, span: span(&store) };
    store.settle(acknowledged).await.expect("acknowledged");
    assert_eq!(queued(&store), [third]);
}

#[tokio::test]
async fn a_part_of_a_request_is_recognized_by_itself_and_the_split_by_the_whole() {
    let folder = folder();
    let (store, writer) = open(&folder);
    let (key, _) = account(&store).await;
    let whole = keyed(Command::Add { account: key, teller: None, amount: 1 }, "k");
    let identity =
        Identity::of(whole.endpoint, &whole.parsed, &whole.request, whole.key.as_ref()).expect("an identity");
    let (there, here) = (identity.part("forwarded"), identity.part("here"));
    store.split(&identity, &there, vec![0, 2]).await.expect("durable");
    let part = || Write { key: None, identity: Some(here), ..whole.clone() };
    let first = store.submit(part()).await.expect("an outcome");
    assert!(matches!(first, Outcome::Decided { .. }), "{first:?}");
    let again = store.submit(part()).await.expect("an outcome");
    assert!(matches!(again, Outcome::Repeated { .. }), "{again:?}");
    // After a crash as well.
    drop((store, writer));
    let (store, _writer) = open(&folder);
    for of in [identity, there] {
        let known = store.first(&of).await;
        assert!(matches!(&known, Ok(Repeat::Split { forwarded, .. }) if forwarded == &[0, 2]), "{known:?}");
    }
    assert!(matches!(store.first(&here).await, Ok(Repeat::Answered(_))));
    assert_eq!(store.first(&identity.part("another")).await, Ok(Repeat::First));
    store.answered(&there, None, None).await;
    assert_eq!(store.first(&there).await, Ok(Repeat::First));
}
