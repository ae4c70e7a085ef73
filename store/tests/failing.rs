//! Commits that fail: nothing acknowledged is lost, nothing refused is applied later, and it recovers by itself.

mod toy;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use megamind_store::{
    Health, Outcome, Settle, Store, SubmitError, WriterHandle,
    journal::{Fault, Faults, Faulty, Memory},
};
use tokio::time::timeout;
use toy::{BOOK, Command, Toy, account, add, balances, exchange, options, span};

/// Longer than anything here takes: a test that hangs fails instead.
const LONG: Duration = Duration::from_secs(30);

struct City {
    store: Store<Toy>,
    writer: Option<WriterHandle>,
    faults: Faults,
    /// The journal beneath, to look at it from a new owner.
    disk: Memory,
}

impl City {
    /// A new owner: the store's own journal is fenced from then on.
    fn restarted(&self) -> Store<Toy> {
        let journal = Box::new(self.disk.reopen());
        let (store, writer) = Store::open_on(Arc::new(Toy), options("unused".as_ref()), journal).expect("opens again");
        drop(writer);
        store
    }
}

fn city() -> City {
    let faults = Faults::default();
    let disk = Memory::new();
    let journal = Box::new(Faulty::new(disk.reopen(), faults.clone()));
    let (store, writer) = Store::open_on(Arc::new(Toy), options("unused".as_ref()), journal).expect("opens");
    City { store, writer: Some(writer), faults, disk }
}

async fn healthy(store: &Store<Toy>) {
    let recovered = async {
        while store.health() != Health::Ok {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, recovered).await.expect("recovers by itself");
}

#[tokio::test]
async fn a_full_disk_refuses_and_leaves_nothing_behind() {
    let city = city();
    let (key, _) = account(&city.store).await;
    city.faults.push(Fault::Full);
    assert_eq!(add(&city.store, key, 5).await, Err(SubmitError::JournalUnavailable));
    let Health::Failing { why, .. } = city.store.health() else { panic!("not failing") };
    assert!(why.contains("no space"), "{why}");
    assert_eq!(balances(&city.store)[&key], 0);
    assert_eq!(city.store.published().entries, 1);
    assert!(matches!(add(&city.store, key, 7).await, Ok(Outcome::Decided { .. })));
    assert_eq!(city.store.health(), Health::Ok, "there is room again");
    assert_eq!(balances(&city.store)[&key], 7);
    assert_eq!(balances(&city.restarted())[&key], 7);
}

#[tokio::test]
async fn it_recovers_without_a_write() {
    let city = city();
    let (key, _) = account(&city.store).await;
    city.faults.push(Fault::Full);
    assert!(add(&city.store, key, 5).await.is_err());
    healthy(&city.store).await;
    assert_eq!(city.faults.left(), 0);
    assert_eq!(balances(&city.restarted())[&key], 0);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_a_success() {
    let city = city();
    let (key, _) = account(&city.store).await;
    city.faults.push(Fault::LostAfter);
    assert!(matches!(add(&city.store, key, 5).await, Ok(Outcome::Decided { .. })));
    assert_eq!(balances(&city.store)[&key], 5);
    assert_eq!(city.store.health(), Health::Ok);
    assert!(add(&city.store, key, 1).await.is_ok());
    assert_eq!(balances(&city.restarted())[&key], 6);
}

#[tokio::test]
async fn nobody_is_answered_while_the_fate_of_a_batch_is_unknown() {
    for (fault, outcome, balance) in [(Fault::LostAfter, true, 5), (Fault::LostBefore, false, 0)] {
        let city = city();
        let (key, seq) = account(&city.store).await;
        city.faults.push(fault);
        // The read at the failure and one more. Then it can be read.
        city.faults.push(Fault::TailUnreadable);
        city.faults.push(Fault::TailUnreadable);
        let store = city.store.clone();
        let waiting = tokio::spawn(async move { add(&store, key, 5).await });
        while city.faults.left() == 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if city.faults.left() > 0 {
            let refused = city.store.settle(Settle::Sent { seq }).await;
            // Unless it was resolved in the meantime.
            assert!(matches!(refused, Err(SubmitError::JournalUnavailable) | Ok(())), "{refused:?}");
        }
        let answer = timeout(LONG, waiting).await.expect("resolved").expect("no panic");
        assert_eq!(answer.is_ok(), outcome, "{fault:?}: {answer:?}");
        assert_eq!(balances(&city.store)[&key], balance);
        assert_eq!(balances(&city.restarted())[&key], balance, "as a restart finds it");
    }
}

#[tokio::test]
async fn observations_outlive_a_failed_commit() {
    let city = city();
    let (key, seq) = account(&city.store).await;
    let done = Settle::Acknowledged { seq, exchange: None, span: span(&city.store) };
    city.store.settle(done).await.expect("acknowledged");
    for _ in 0..3 {
        city.faults.push(Fault::Full);
    }
    let booked = |balance: i64| {
        let command = Command::Add { account: key, teller: None, amount: 0 };
        exchange(BOOK, Some(command), &format!("balance={balance}"))
    };
    city.store.observe_write(booked(3), span(&city.store)).await;
    city.store.barrier().await;
    assert_eq!(balances(&city.store)[&key], 3, "published at once");
    let _ = add(&city.store, key, 100).await;
    city.store.observe_write(booked(4), span(&city.store)).await;
    let published = async {
        while balances(&city.store)[&key] != 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, published).await.expect("a later one is published too");
    healthy(&city.store).await;
    assert_eq!(balances(&city.restarted())[&key], 4);
}

#[tokio::test]
async fn a_deposed_owner_stops() {
    let mut city = city();
    let (key, _) = account(&city.store).await;
    city.faults.push(Fault::Fenced);
    assert_eq!(add(&city.store, key, 5).await, Err(SubmitError::JournalUnavailable));
    assert_eq!(add(&city.store, key, 5).await, Err(SubmitError::Closed));
    assert_ne!(city.store.health(), Health::Ok);
    city.writer.take().expect("runs").stop();
    assert_eq!(balances(&city.restarted())[&key], 0);
}

#[tokio::test]
async fn what_is_acknowledged_is_there_whatever_fails() {
    let city = city();
    let (key, _) = account(&city.store).await;
    let mut acknowledged = 0;
    for round in 0..60 {
        let faults = [Fault::Full, Fault::LostAfter, Fault::LostBefore, Fault::None];
        city.faults.push(faults[round % faults.len()]);
        let all = tokio::join!(add(&city.store, key, 1), add(&city.store, key, 1), add(&city.store, key, 1));
        let outcomes = [all.0, all.1, all.2];
        acknowledged += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as i64;
        assert_eq!(balances(&city.store)[&key], acknowledged, "round {round}: {outcomes:?}");
    }
    assert!((45..180).contains(&acknowledged), "some failed and some did not: {acknowledged}");
    assert!(city.store.metrics().failed_commits.load(Relaxed) >= 15);
    assert_eq!(balances(&city.restarted())[&key], acknowledged);
}
