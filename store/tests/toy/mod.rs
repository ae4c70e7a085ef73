//! A small domain for the tests: accounts with balances, and tellers who book on them.
//!
//! `open` makes an account (the upstream will know it by an id of its own), `add` books on one, `at` says where a
//! teller is (only the newest counts). `boom` panics in decide, `crack` in evolve, `spoil` in encode.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{borrow::Cow, collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use imbl::OrdMap;
use megamind_domain::{
    Access, Ctx, Decision, Domain, Endpoint, EntityKey, Exchange, Observed, Parsed, Policy, Rejection, Replay, Request,
    Response, Role, RouteSpec, Stance, Time, Touch, Touches, Touching,
};
use megamind_store::{Key, Options, Outcome, Prior, Span, Store, SubmitError, Write};
use serde::{Deserialize, Serialize};

pub(crate) const BOOK: Endpoint = Endpoint(1);
pub(crate) const READ: Endpoint = Endpoint(2);

/// Tellers have keys from here on.
pub(crate) const TELLERS: u64 = 1 << 40;

/// A teller whose row panics when it is read back.
pub(crate) const POISON: u64 = 666;

pub(crate) struct Toy;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct City {
    pub(crate) accounts: OrdMap<u64, Account>,
    pub(crate) tellers: OrdMap<u64, i64>,
    pub(crate) next: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) upstream: Option<String>,
    pub(crate) balance: i64,
    pub(crate) bookings: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Open {
        bonus: Option<i64>,
    },
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
    Look {
        account: u64,
    },
    Learn {
        account: u64,
        balance: Option<i64>,
        upstream: Option<String>,
    },
    Boom,
    Crack,
    Spoil,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Event {
    #[serde(rename = "opened/1")]
    Opened { key: u64, id: String },
    #[serde(rename = "added/1")]
    Added {
        account: u64,
        teller: Option<u64>,
        amount: i64,
        at: i64,
    },
    #[serde(rename = "moved/1")]
    Moved { teller: u64, place: i64 },
    #[serde(rename = "closed/1")]
    Closed { account: u64 },
    #[serde(rename = "learned/1")]
    Learned {
        account: u64,
        balance: Option<i64>,
        upstream: Option<String>,
    },
    #[serde(rename = "cracked/1")]
    Cracked,
    #[serde(rename = "spoiled/1")]
    Spoiled,
}

/// The key of the row that no encoder likes.
const SPOILED: u64 = 1 << 50;

fn touch(key: u64, role: Role) -> Touch {
    Touch { key: EntityKey(key), role }
}

impl Domain for Toy {
    type City = City;
    type Command = Command;
    type Event = Event;
    type Answer = String;

    fn routes(&self) -> Vec<RouteSpec> {
        [("/book", BOOK, Access::Write), ("/read", READ, Access::Read)]
            .map(|(path, endpoint, access)| RouteSpec {
                path: path.into(),
                name: "toy",
                endpoint,
                policy: Policy::Act,
                creates: false,
                access,
            })
            .into()
    }

    fn parse(&self, _: Endpoint, _: &Request) -> Result<Parsed<Command>, Rejection> {
        Err(Rejection::new(400, "unused", "the tests make commands themselves"))
    }

    fn decide(&self, city: &City, command: &Command, ctx: &mut Ctx<'_>) -> Result<Decision<Self>, Rejection> {
        let known = |account: &u64| {
            city.accounts
                .contains_key(account)
                .then_some(())
                .ok_or_else(|| Rejection::new(404, "no_account", "no such account"))
        };
        let mut decision: Decision<Self> = Decision::answer(String::new());
        match command {
            Command::Open { bonus } => {
                let id = format!("toy-{:032x}", ctx.next_id());
                let key = city.next + 1;
                decision.created = Some(id.as_str().into());
                decision.answer.clone_from(&id);
                decision.events.push(Event::Opened { key, id });
                decision.replay = Replay::AsSent;
                if let Some(amount) = *bonus {
                    decision.then.push(Command::Add { account: key, teller: None, amount });
                }
            }
            Command::Add { account, teller, amount } => {
                known(account)?;
                if *amount < 0 && ctx.stance == Stance::Acting {
                    return Err(Rejection::new(409, "negative", "not negative"));
                }
                let (account, teller, amount, at) = (*account, *teller, *amount, ctx.now.0);
                decision.answer = format!("{account}");
                decision.events.push(Event::Added { account, teller, amount, at });
                decision.replay = if amount == 777 {
                    Replay::Own(Request {
                        method: "PUT".into(),
                        path: "/book".into(),
                        body: Bytes::from_static(b"own"),
                        ..Request::default()
                    })
                } else {
                    Replay::AsSent
                };
            }
            Command::At { teller, place } => {
                decision.events.push(Event::Moved { teller: *teller, place: *place });
                decision.replay = Replay::Newest { slot: EntityKey(TELLERS + teller), fields: 1 };
            }
            Command::Close { account } => {
                known(account)?;
                decision.events.push(Event::Closed { account: *account });
            }
            Command::Look { account } => {
                known(account)?;
                decision.answer = format!("{account}");
            }
            Command::Learn { account, balance, upstream } => {
                known(account)?;
                decision.events.push(Event::Learned {
                    account: *account,
                    balance: *balance,
                    upstream: upstream.clone(),
                });
            }
            Command::Boom => panic!("boom"),
            Command::Crack => decision.events.push(Event::Cracked),
            Command::Spoil => decision.events.push(Event::Spoiled),
        }
        Ok(decision)
    }

    fn evolve(&self, city: &mut City, event: &Event) {
        match event {
            Event::Opened { key, id } => {
                city.next = *key;
                let account = Account { id: id.clone(), ..Account::default() };
                city.accounts.insert(*key, account);
            }
            Event::Added { account, amount, .. } => {
                if let Some(account) = city.accounts.get_mut(account) {
                    account.balance += amount;
                    account.bookings += 1;
                }
            }
            Event::Moved { teller, place } => {
                city.tellers.insert(*teller, *place);
            }
            Event::Closed { account } => {
                city.accounts.remove(account);
            }
            Event::Learned { account, balance, upstream } => {
                if let Some(account) = city.accounts.get_mut(account) {
                    account.balance = balance.unwrap_or(account.balance);
                    if upstream.is_some() {
                        account.upstream.clone_from(upstream);
                    }
                }
            }
            Event::Cracked => {
                city.next += 1_000_000;
                panic!("crack");
            }
            Event::Spoiled => {}
        }
    }

    fn touches(&self, _: &City, what: Touching<'_, Self>) -> Touches {
        let mut touches = Touches::new();
        match what {
            Touching::Command(Command::Add { account, teller, .. })
            | Touching::Event(Event::Added { account, teller, .. }) => {
                touches.push(touch(*account, Role::Subject));
                touches.extend(teller.map(|teller| touch(TELLERS + teller, Role::Actor)));
            }
            Touching::Command(
                Command::Close { account } | Command::Look { account } | Command::Learn { account, .. },
            )
            | Touching::Event(Event::Closed { account } | Event::Learned { account, .. }) => {
                touches.push(touch(*account, Role::Subject));
            }
            Touching::Command(Command::At { teller, .. }) | Touching::Event(Event::Moved { teller, .. }) => {
                touches.push(touch(TELLERS + teller, Role::Row));
            }
            Touching::Event(Event::Opened { key, .. }) => {
                touches.push(touch(*key, Role::Subject));
                touches.push(touch(0, Role::Row));
            }
            Touching::Event(Event::Spoiled) => touches.push(touch(SPOILED, Role::Row)),
            Touching::Event(Event::Cracked)
            | Touching::Command(Command::Open { .. } | Command::Boom | Command::Crack | Command::Spoil) => {}
        }
        touches
    }

    fn render(&self, city: &City, _: Option<Endpoint>, outcome: Result<&String, &Rejection>) -> Response {
        let (status, text) = match outcome {
            Ok(answer) => {
                let account = answer.parse().ok().and_then(|key: u64| city.accounts.get(&key));
                (200, account.map_or(answer.clone(), |account| format!("balance {}", account.balance)))
            }
            Err(rejection) => (rejection.status, rejection.detail.clone()),
        };
        Response {
            status,
            content_type: Cow::Borrowed("text/plain"),
            retry_after: None,
            body: Bytes::from(text),
        }
    }

    fn annotate(&self, _: &City, _: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The answer of the upstream is `id=…` or `balance=…`.
    fn observe(&self, city: &City, exchange: &Exchange<Command>) -> Observed<Command> {
        let text = std::str::from_utf8(&exchange.body).unwrap_or_default();
        let (mut balance, mut upstream) = (None, None);
        for part in text.split('&') {
            match part.split_once('=') {
                Some(("balance", value)) => balance = value.parse().ok(),
                Some(("id", value)) => upstream = Some(value.to_owned()),
                _ => {}
            }
        }
        let named = exchange.parsed.as_ref().map(|parsed| &parsed.command);
        let created = exchange.created.as_deref().and_then(|local| {
            let mut all = city.accounts.iter();
            all.find(|(_, account)| account.id == local).map(|(key, _)| *key)
        });
        let account = created.or(match named {
            Some(Command::Add { account, .. } | Command::Look { account }) => Some(*account),
            _ => None,
        });
        let command = match (account, named) {
            (_, Some(Command::At { teller, place })) => Some(Command::At { teller: *teller, place: *place }),
            (Some(account), _) => Some(Command::Learn { account, balance, upstream: upstream.clone() }),
            _ => None,
        };
        Observed { command, upstream_id: upstream.map(Into::into) }
    }

    fn encode(&self, city: &City, EntityKey(key): EntityKey) -> Option<Vec<u8>> {
        match key {
            0 => Some(city.next.to_le_bytes().to_vec()),
            SPOILED => panic!("spoiled"),
            TELLERS.. => Some(city.tellers.get(&(key - TELLERS))?.to_le_bytes().to_vec()),
            _ => Some(serde_json::to_vec(city.accounts.get(&key)?).expect("an account is JSON")),
        }
    }

    fn decode(&self, city: &mut City, EntityKey(key): EntityKey, row: &[u8]) -> Result<(), String> {
        let number = || row.try_into().map(i64::from_le_bytes).map_err(|_| "not a number".to_owned());
        match key {
            0 => city.next = number()? as u64,
            TELLERS.. => {
                assert!(key != TELLERS + POISON, "poison");
                city.tellers.insert(key - TELLERS, number()?);
            }
            _ => {
                let account = serde_json::from_slice(row).map_err(|error| error.to_string())?;
                city.accounts.insert(key, account);
            }
        }
        Ok(())
    }
}

/// A clock that stands still until a test moves it is not needed here: 2026, one millisecond a look.
pub(crate) fn options(path: &Path) -> Options {
    let ticks = std::sync::atomic::AtomicI64::new(1_780_000_000_000);
    Options {
        shadow_flush: Duration::from_millis(20),
        seed: Some(7),
        clock: Arc::new(move || Time(ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed))),
        ..Options::new(path, "toy")
    }
}

pub(crate) fn write(command: Command) -> Write<Toy> {
    let text = format!("{command:?}");
    Write {
        endpoint: BOOK,
        parsed: Arc::new(Parsed { command, subject: None, natural: None, fact: false, patience: None }),
        request: Arc::new(Request {
            method: "POST".into(),
            path: "/book".into(),
            content_type: Some("text/plain".into()),
            body: Bytes::from(text),
            ..Request::default()
        }),
        key: None,
        prior: Prior::NeverSent,
        stance: Stance::Acting,
        identity: None,
        sealed: None,
    }
}

pub(crate) fn keyed(command: Command, key: &str) -> Write<Toy> {
    Write { key: Some(Key { text: key.into(), from_client: true }), ..write(command) }
}

pub(crate) fn exchange(endpoint: Endpoint, command: Option<Command>, answer: &str) -> Exchange<Command> {
    Exchange {
        endpoint,
        request: Arc::new(Request::default()),
        parsed: command
            .map(|command| Arc::new(Parsed { command, subject: None, natural: None, fact: false, patience: None })),
        status: 200,
        content_type: None,
        body: Bytes::copy_from_slice(answer.as_bytes()),
        at: Time(0),
        created: None,
        named: None,
        settles: false,
    }
}

pub(crate) fn span(store: &Store<Toy>) -> Span {
    Span { started: store.tick(), finished: store.tick() }
}

/// Submits a write that must be decided; its record.
pub(crate) async fn decided(store: &Store<Toy>, command: Command) -> u64 {
    match store.submit(write(command)).await {
        Ok(Outcome::Decided { seq, .. }) => seq,
        other => panic!("not decided: {other:?}"),
    }
}

/// Opens an account; its key and its record.
pub(crate) async fn account(store: &Store<Toy>) -> (u64, u64) {
    let seq = decided(store, Command::Open { bonus: None }).await;
    (store.published().city.next, seq)
}

pub(crate) async fn add(store: &Store<Toy>, account: u64, amount: i64) -> Result<Outcome, SubmitError> {
    store.submit(write(Command::Add { account, teller: None, amount })).await
}

pub(crate) fn balances(store: &Store<Toy>) -> BTreeMap<u64, i64> {
    let published = store.published();
    let accounts = published.city.accounts.iter();
    accounts.map(|(key, account)| (*key, account.balance)).collect()
}
