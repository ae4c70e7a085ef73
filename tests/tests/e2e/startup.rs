//! What keeps a gateway from starting: each says why, and changes nothing.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use megamind_tests::{City, binary, skipped};
use rusqlite::Connection;
use serde_json::Value;

/// How often two gateways are started at the same moment.
const RACES: usize = 10;

/// Five mistakes, each in a line of its own.
const MISTAKES: &str = r#"city = "Bengaluru"
[gateway]
listen = "127.0.0.1:eighty"
[upstream]
servers = ["127.0.0.1:8081"]
conect_timeout = "300ms"
response_timeout = "soon"
idempotency = "maybe"
"#;

#[test]
fn a_configuration_with_mistakes_is_refused_with_all_of_them() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let file = dir.path().join("mistakes.toml");
    fs::write(&file, MISTAKES).expect("a writable folder");
    let run = |arguments: &[&str]| {
        Command::new(binary::megamind())
            .args(arguments)
            .arg("--config")
            .arg(&file)
            .current_dir(dir.path())
            .output()
            .expect("the binary runs")
    };
    for command in ["check", "run"] {
        let output = run(&[command]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        for (line, key) in [
            (1, "city"),
            (3, "gateway.listen"),
            (6, "upstream.conect_timeout"),
            (7, "upstream.response_timeout"),
            (8, "upstream.idempotency"),
        ] {
            let start = format!("{}:{line}:", file.display());
            let named = said
                .lines()
                .any(|said| said.contains(&start) && said.contains(&format!(" {key}: ")));
            assert!(named, "{command} does not name {key} in line {line}:\n{said}");
        }
        assert!(said.contains("connect_timeout"), "what was meant is told:\n{said}");
    }
    let output = run(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    let found: Vec<(u64, String)> = told
        .lines()
        .map(|line| {
            let told: Value = serde_json::from_str(line).expect("one object a line");
            let key = told["key"].as_str().expect("a key").to_owned();
            (told["line"].as_u64().expect("a line"), key)
        })
        .collect();
    assert!(found.contains(&(8, "upstream.idempotency".to_owned())), "{found:?}");
    assert_eq!(found.len(), 5, "{found:?}");
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing is created: {left:?}");
}

#[test]
fn good_configurations_pass() {
    for name in ["megamind.toml", "dialect-enveloped.toml"] {
        let output = Command::new(binary::megamind())
            .args(["check", "--config"])
            .arg(binary::root().join("conf").join(name))
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let output = Command::new(binary::megamind()).arg("dance").output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_missing_configuration_is_named() {
    let output = Command::new(binary::megamind())
        .args(["run", "--config", "/nowhere/megamind.toml"])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nowhere/megamind.toml"), "{said}");
}

/// Starts a gateway that cannot start. What it says names each of these.
#[track_caller]
fn refuses_to_start(city: &mut City, names: &[&str]) {
    let said = city.gateway.try_start().expect_err("it must not start");
    for name in names {
        assert!(said.contains(name), "{name:?} is not named: {said}");
    }
    assert!(said.contains("exit status: 1"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_port_in_use_is_named() {
    let mut city = City::with("").prepare();
    let taken = TcpListener::bind(city.gateway.addr).expect("a free port");
    let addr = city.gateway.addr.to_string();
    refuses_to_start(&mut city, &[&addr]);
    drop(taken);
    let _taken = TcpListener::bind(city.gateway.admin).expect("a free port");
    let admin = city.gateway.admin.to_string();
    refuses_to_start(&mut city, &[&admin]);
}

#[test]
fn of_two_gateways_that_want_a_port_at_the_same_moment_one_serves() {
    for _ in 0..RACES {
        let first = City::with("").prepare();
        let mut second = City::with(&format!("gateway.listen = \"{}\"", first.gateway.addr)).prepare();
        second.gateway.addr = first.gateway.addr;
        let mut cities = [first, second];
        let together = Barrier::new(cities.len());
        let started = thread::scope(|scope| {
            let start = |city: &mut City| {
                together.wait();
                city.gateway.try_start()
            };
            let starting = cities.each_mut().map(|city| scope.spawn(move || start(city)));
            starting.map(|starting| starting.join().expect("no panic"))
        });
        let served = cities.iter().zip(&started).filter(|(_, started)| started.is_ok());
        for (city, _) in served.clone() {
            city.place("served");
        }
        assert_eq!(served.count(), 1, "{started:?}");
        let said = started.into_iter().find_map(Result::err).expect("one does not serve");
        let address = cities[0].gateway.addr;
        assert!(said.contains(&format!("gateway.listen: {address} cannot be listened on")), "{said}");
        assert!(said.contains("exit status: 1") && !said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_database_that_is_none_is_left_alone() {
    let mut city = City::with("").prepare();
    let path = city.gateway.database();
    let bytes = b"Dear diary, this is not a database at all, and it is longer than a header.".repeat(20);
    fs::write(&path, &bytes).expect("a writable folder");
    refuses_to_start(&mut city, &["megamind.db", "not a MegaMind database"]);
    assert!(fs::read(&path).expect("it is there") == bytes, "it was changed");
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let mut city = City::with("").prepare();
    let path = city.gateway.database();
    Connection::open(&path)
        .and_then(|other| other.execute_batch("CREATE TABLE diary(line TEXT); INSERT INTO diary VALUES ('dear')"))
        .expect("a database");
    let bytes = fs::read(&path).expect("it is there");
    refuses_to_start(&mut city, &["megamind.db", "another program"]);
    assert!(fs::read(&path).expect("it is there") == bytes, "it was changed");
}

#[test]
fn a_newer_database_is_left_alone() {
    let mut city = City::with("").start_without_cloud();
    let id = city.place("from the future");
    city.gateway.stop();
    let path = city.gateway.database();
    let pragma = |value: u32| {
        let connection = Connection::open(&path).expect("a database");
        let old: u32 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .expect("a version");
        connection.pragma_update(None, "user_version", value).expect("a version");
        old
    };
    let ours = pragma(9_999);
    refuses_to_start(&mut city, &["megamind.db", "newer", "9999"]);
    assert_eq!(pragma(ours), 9_999);
    city.gateway.start();
    assert_eq!(city.status_of(&id), "placed");
}

#[test]
fn a_database_has_one_gateway() {
    let city = City::with("").start_without_cloud();
    let id = city.place("mine");
    let path = city.gateway.database();
    let mut other = City::with(&format!("store.path = '{}'", path.display())).prepare();
    refuses_to_start(&mut other, &["megamind.db", "locked by another gateway"]);
    assert_eq!(city.status_of(&id), "placed");
    city.place("mine, too");
}

#[test]
fn a_database_that_cannot_be_written_is_named() {
    // Root may write everywhere but below a file.
    let mut city = City::with("").prepare();
    let file = city.dir().join("a-file");
    fs::write(&file, "").expect("a writable folder");
    let mut config = city.config().clone();
    let store = config["store"].as_table_mut().expect("[store]");
    let path = file.join("megamind.db").display().to_string();
    store.insert("path".into(), path.clone().into());
    city.gateway.configure(&config);
    refuses_to_start(&mut city, &[&path]);
    assert_eq!(fs::read(&file).expect("it is there"), b"");
}

#[test]
fn a_read_only_file_system_is_named() {
    let mut city = City::with("").start_without_cloud();
    let id = city.place("kept");
    city.gateway.stop();
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let mount = |options: &[&str]| {
        Command::new("mount")
            .args(options)
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=16m", "tmpfs"]) {
        skipped("no read-only file system without root");
        return;
    }
    let copy = dir.path().join("megamind.db");
    fs::copy(city.gateway.database(), &copy).expect("room");
    let read_only = mount(&["-o", "remount,ro"]);
    let mut config = city.config().clone();
    let store = config["store"].as_table_mut().expect("[store]");
    store.insert("path".into(), copy.display().to_string().into());
    city.gateway.configure(&config);
    let said = city.gateway.try_start();
    let unmounted = Command::new("umount").arg(dir.path()).status();
    assert!(read_only && unmounted.is_ok_and(|status| status.success()));
    let said = said.expect_err("it must not start");
    assert!(said.contains("cannot be written") && said.contains("megamind.db"), "{said}");
    // The one beside it is as it was.
    let original = city.gateway.database().display().to_string();
    let store = config["store"].as_table_mut().expect("[store]");
    store.insert("path".into(), original.into());
    city.gateway.configure(&config);
    city.gateway.start();
    assert_eq!(city.status_of(&id), "placed");
}
