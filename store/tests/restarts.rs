//! Any commands with restarts anywhere give the same city as without.

mod toy;

use std::{collections::BTreeMap, sync::Arc};

use megamind_store::{
    Outcome, Settle, Store, SubmitError, WriterHandle,
    journal::{Fault, Faults, Faulty, Memory},
};
use proptest::prelude::*;
use toy::{BOOK, City, Command, Toy, decided, exchange, options, span, write};

#[derive(Clone, Debug)]
enum Step {
    Open,
    Add {
        account: u64,
        teller: Option<u64>,
        amount: i64,
    },
    At {
        teller: u64,
        place: i64,
    },
    Close {
        account: u64,
    },
    Watch {
        account: u64,
        balance: i64,
    },
    Acknowledge {
        nth: usize,
    },
    Sent {
        nth: usize,
    },
    Park {
        nth: usize,
    },
    Retry {
        nth: usize,
    },
    Together {
        account: u64,
    },
    /// A write whose commit fails.
    Fault {
        account: u64,
        fault: Fault,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let account = 1..5u64;
    let fault = prop_oneof![Just(Fault::Full), Just(Fault::LostBefore), Just(Fault::LostAfter)];
    let nth = 0..8usize;
    prop_oneof![
        3 => Just(Step::Open),
        6 => (account.clone(), proptest::option::of(0..3u64), -2..9i64)
            .prop_map(|(account, teller, amount)| Step::Add { account, teller, amount }),
        2 => (0..3u64, any::<i64>()).prop_map(|(teller, place)| Step::At { teller, place }),
        1 => account.clone().prop_map(|account| Step::Close { account }),
        3 => (account.clone(), 0..99i64)
            .prop_map(|(account, balance)| Step::Watch { account, balance }),
        4 => nth.clone().prop_map(|nth| Step::Acknowledge { nth }),
        2 => nth.clone().prop_map(|nth| Step::Sent { nth }),
        1 => nth.clone().prop_map(|nth| Step::Park { nth }),
        1 => nth.prop_map(|nth| Step::Retry { nth }),
        2 => account.clone().prop_map(|account| Step::Together { account }),
        2 => (account, fault).prop_map(|(account, fault)| Step::Fault { account, fault }),
        2 => Just(Step::Restart),
    ]
}

/// What a reader can see, but for the order of the entries' insides.
#[derive(Debug, PartialEq)]
struct Seen {
    city: City,
    fences: BTreeMap<u64, u32>,
    counts: (u64, u64, u64),
    offered: Vec<u64>,
    last_seq: u64,
}

fn see(store: &Store<Toy>) -> Seen {
    let published = store.published();
    Seen {
        city: published.city.clone(),
        fences: published.fences.iter().map(|(key, count)| (*key, *count)).collect(),
        counts: (published.entries, published.sendable, published.parked),
        offered: store.work(1000, |_| false).iter().map(|work| work.seq).collect(),
        last_seq: published.last_seq,
    }
}

struct Run {
    disk: Memory,
    faults: Faults,
    running: Option<(Store<Toy>, WriterHandle)>,
}

impl Run {
    fn store(&self) -> &Store<Toy> {
        &self.running.as_ref().expect("always open between steps").0
    }

    /// Closes, opens, and compares what was seen before and after.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        let mut before = None;
        if let Some((store, writer)) = self.running.take() {
            writer.stop();
            before = Some(see(&store));
        }
        let journal = Box::new(Faulty::new(self.disk.reopen(), self.faults.clone()));
        let opened = Store::open_on(Arc::new(Toy), options("unused".as_ref()), journal);
        self.running = Some(opened.expect("opens"));
        if let Some(before) = before {
            prop_assert_eq!(before, see(self.store()));
        }
        Ok(())
    }

    async fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        let store = self.store();
        let entry = |nth: usize| {
            let all = [megamind_store::EntryState::Pending, megamind_store::EntryState::Parked];
            let mut all: Vec<u64> = all
                .iter()
                .flat_map(|state| store.entries(*state, 0, 100))
                .map(|entry| entry.seq)
                .collect();
            all.sort_unstable();
            all.get(nth).copied()
        };
        let settled = |result: Result<(), SubmitError>| result.expect("no faults here");
        match step {
            Step::Open => drop(decided(store, Command::Open { bonus: Some(1) }).await),
            Step::Add { account, teller, amount } => {
                let outcome = store.submit(write(Command::Add { account, teller, amount })).await;
                prop_assert!(outcome.is_ok());
            }
            Step::At { teller, place } => drop(decided(store, Command::At { teller, place }).await),
            Step::Close { account } => {
                let closed = store.submit(write(Command::Close { account })).await;
                prop_assert!(closed.is_ok());
            }
            Step::Watch { account, balance } => {
                let command = Command::Add { account, teller: None, amount: 0 };
                let seen = exchange(BOOK, Some(command), &format!("balance={balance}"));
                store.observe_write(seen, span(store)).await;
            }
            Step::Acknowledge { nth } => {
                if let Some(seq) = entry(nth) {
                    let answer = exchange(BOOK, None, &format!("id=UP-{seq}"));
                    let span = span(store);
                    settled(store.settle(Settle::Acknowledged { seq, exchange: Some(answer), span }).await);
                }
            }
            Step::Sent { nth } => {
                if let Some(seq) = entry(nth) {
                    settled(store.settle(Settle::Sent { seq }).await);
                }
            }
            Step::Park { nth } => {
                if let Some(seq) = entry(nth) {
                    let status = Some(422);
                    settled(
                        store
                            .settle(Settle::Parked { seq, status, reason: "no".into(), left: None })
                            .await,
                    );
                }
            }
            Step::Retry { nth } => {
                if let Some(seq) = entry(nth) {
                    settled(store.settle(Settle::Retry { seq }).await);
                }
            }
            Step::Together { account } => {
                let add = |amount| store.submit(write(Command::Add { account, teller: Some(1), amount }));
                let all = tokio::join!(add(1), add(2), add(3), store.barrier());
                prop_assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok());
            }
            Step::Fault { account, fault } => {
                let before = store.published().city.accounts.get(&account).cloned();
                self.faults.push(fault);
                let add = Command::Add { account, teller: None, amount: 1 };
                let outcome = store.submit(write(add)).await;
                // A refusal needs no commit: the fault is left for the next one.
                let applied = matches!(outcome, Ok(Outcome::Decided { .. }));
                let after = store.published().city.accounts.get(&account).cloned();
                let bookings = |account: Option<toy::Account>| account.map_or(0, |account| account.bookings);
                prop_assert_eq!(bookings(after), bookings(before) + u64::from(applied));
                if self.faults.left() > 0 {
                    prop_assert!(
                        store.set_mode("any", "a commit for the fault").await.is_ok() == (fault == Fault::LostAfter)
                    );
                }
            }
            Step::Restart => self.restart()?,
        }
        self.invariants()
    }

    /// The fences are exactly the subjects and actors of the entries; every entry is readable.
    fn invariants(&self) -> Result<(), TestCaseError> {
        let published = Arc::clone(&self.store().published());
        prop_assert!(published.entries > 0 || published.fences.is_empty());
        prop_assert!(published.sendable + published.parked <= published.entries);
        for work in self.store().work(1000, |_| false) {
            let entry = self.store().entry(work.seq).expect("readable");
            prop_assert!(entry.is_some_and(|entry| entry.seq == work.seq));
            for touch in &work.touches {
                prop_assert!(published.fences.contains_key(&touch.key.0));
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_restart_changes_nothing(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut run = Run { disk: Memory::new(), faults: Faults::default(), running: None };
        run.restart()?;
        runtime.block_on(async {
            for step in steps {
                run.apply(step).await?;
            }
            run.restart()
        })?;
    }
}
