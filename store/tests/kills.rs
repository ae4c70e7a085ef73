//! kill -9 at any moment: whatever was acknowledged is there afterwards, once.
//!
//! The test runs itself as a child that writes and says what was acknowledged, and kills it.

mod toy;

use std::{
    env,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Command as Process, Stdio},
    sync::Arc,
    time::Duration,
};

use megamind_store::{Outcome, Settle, Store};
use toy::{Command, Toy, balances, keyed, options, span};

/// Set for the child: the database.
const CHILD: &str = "KILLED_CHILD";
const ROUNDS: u64 = 25;
const WRITERS: u64 = 8;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(path) = env::var_os(CHILD) {
        return write_until_killed(Path::new(&path));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("toy.db");
    // Its moments differ from run to run anyway, with the machine: the seed only spreads them.
    let mut state = 0x9e37_79b9_u64;
    let (mut opened, mut acknowledged) = (0, 0);
    for round in 0..ROUNDS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let lines = kill_after(&path, Duration::from_micros(1_000 + (state >> 33) % 40_000));
        let told: Vec<u64> = lines
            .iter()
            .filter_map(|line| line.strip_prefix("opened ")?.parse().ok())
            .collect();
        let settled = lines.iter().filter(|line| line.starts_with("settled")).count() as u64;
        opened += told.len() as u64;
        acknowledged += settled;

        let (store, writer) = Store::open(Arc::new(Toy), options(&path)).expect("opens after a kill");
        let accounts = balances(&store);
        for key in told {
            assert!(accounts.contains_key(&key), "round {round}: account {key} was acknowledged");
        }
        let published = Arc::clone(&store.published());
        let (known, queued) = (accounts.len() as u64, published.entries);
        let gone = known - queued;
        // At the moment of the kill, each writer had one thing under way that nobody was told of.
        assert!(known >= opened && gone >= acknowledged, "round {round}: {known} {queued}");
        assert!(known <= opened + WRITERS * (round + 1), "round {round}: {known} of {opened}");
        assert_eq!(published.fences.len() as u64, queued, "round {round}: one account an entry");
        writer.stop();
    }
    assert!(opened > 0, "not one write in {ROUNDS} rounds");
}

/// Starts the child, kills it after `time` from its first word on, and returns all that it said.
fn kill_after(path: &Path, time: Duration) -> Vec<String> {
    let mut child = Process::new(env::current_exe().expect("this program"))
        .args(["what_was_acknowledged_survives_a_kill", "--exact", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("ready"));
    assert!(ready, "the child never opened its journal");
    std::thread::sleep(time);
    child.kill().expect("killed");
    child.wait().expect("gone");
    lines.map_while(Result::ok).collect()
}

fn write_until_killed(path: &Path) {
    let (store, _writer) = Store::open(Arc::new(Toy), options(path)).expect("opens");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let epoch = store.published().last_seq;
    say("ready");
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            runtime.spawn(async move {
                // Bounded, should the parent die first.
                for turn in 0..100_000 {
                    open_and_settle(&store, &format!("{epoch}-{writer}-{turn}"), turn % 2 == 0).await;
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("writes");
    }
}

async fn open_and_settle(store: &Store<Toy>, key: &str, settle: bool) {
    let outcome = store.submit(keyed(Command::Open { bonus: None }, key)).await;
    let Ok(Outcome::Decided { response, seq }) = outcome else { panic!("{outcome:?}") };
    let id = String::from_utf8_lossy(&response.body).into_owned();
    let published = Arc::clone(&store.published());
    let account = published.city.accounts.iter().find(|(_, account)| account.id == id);
    say(&format!("opened {}", account.expect("published before it is answered").0));
    if settle {
        let acknowledged = Settle::Acknowledged { seq, exchange: None, span: span(store) };
        store.settle(acknowledged).await.expect("settled");
        say("settled");
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent listens");
}
