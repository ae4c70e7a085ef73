//! What `check` says, mistake by mistake.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// The least that a file must say.
const LEAST: &str =
    "city = \"blr\"\n[upstream]\nservers = [\"10.0.0.5:80\"]\nidempotency = \"key\"\n";

fn said(text: &str) -> Vec<String> {
    parse("f", text)
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Asserts all that is said about a text, in order.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    assert_eq!(said(text), expect);
}

/// Asserts what is said about lines that follow the least file, whose four lines stand before.
#[track_caller]
fn check_more(more: &str, expect: &[&str]) {
    check(&format!("{LEAST}{more}"), expect);
}

#[test]
fn the_least_file_takes_every_default() {
    let config = parse("f", LEAST).expect("valid");
    assert_eq!(config.city.as_str(), "blr");
    assert_eq!(config.upstream.connect_timeout, Duration::from_millis(300));
    println!("{config:#?}");
}
#[test]
fn try_out() {
    for l in said(
        "citi = 3\n[gateway]\nlisten=8080\ninterval = \"3s\"\n[upstream]\nconect_timeout = 3\nresponse_timeout = '3 sec'\nidempotency = 'lookup'\nservers = ['10.0.0.5', 'https://a/b', 'http://[::1]:3']\n[upstream.tls]\ncert='x'\n[drain]\nmax_rate='3'\n[auth]\nmode='learned'\n[[route]]\npath='abc'\npolicy='cache'\n[dialect.fields]\norder='x'\norderId='status'\n[nope]\na=3\n",
    ) {
        println!("{l}");
    }
    for l in said("a = \nb = [1\n[c\n[d]\nx=1\nx=2\n") {
        println!("{l}");
    }
    println!("{}", example());
    println!(
        "{:?}",
        parse("f", &example())
            .err()
            .map(|v| v.iter().map(ToString::to_string).collect::<Vec<_>>())
    );
}
