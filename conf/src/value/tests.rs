use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::read::form::Text;

/// Asserts what a text is read as, and what is suggested where it is refused.
#[track_caller]
fn check<T: Text + PartialEq + Debug>(text: &str, expect: Result<&str, Option<&str>>) {
    let read = T::parse(text);
    let suggested = T::meant(text).filter(|meant| T::parse(meant).is_some());
    match expect {
        Ok(shown) => assert_eq!(read.map(|value| value.to_string()), Some(shown.to_owned()), "{text}"),
        Err(meant) => {
            assert_eq!(read, None, "{text}");
            assert_eq!(suggested.as_deref(), meant, "{text}");
        }
    }
}

#[test]
fn cities() {
    check::<City>("blr", Ok("blr"));
    check::<City>("a1", Ok("a1"));
    check::<City>("a", Err(None));
    check::<City>("abcdefghijklm", Err(Some("abcdefghijkl")));
    check::<City>("New Delhi", Err(Some("newdelhi")));
    check::<City>("münchen", Err(Some("mnchen")));
}

#[test]
fn servers() {
    for (text, host, port, tls) in [
        ("10.0.0.5:80", "10.0.0.5", 80, false),
        ("oblivion:8080", "oblivion", 8080, false),
        ("http://api.example.com", "api.example.com", 80, false),
        ("https://api.example.com/", "api.example.com", 443, true),
        ("https://api_1.example.com:8443", "api_1.example.com", 8443, true),
        ("[2001:db8::1]:80", "2001:db8::1", 80, false),
        ("http://[::1]", "::1", 80, false),
    ] {
        let server = Server::parse(text).unwrap_or_else(|| panic!("{text} is a server"));
        assert_eq!((server.host.as_str(), server.port, server.tls), (host, port, tls), "{text}");
        assert_eq!(server.name, text.trim_end_matches('/'));
    }
    check::<Server>("10.0.0.5", Err(Some("10.0.0.5:80")));
    check::<Server>("http://a.example.com/api", Err(Some("http://a.example.com")));
    check::<Server>("ftp://a.example.com", Err(Some("http://a.example.com")));
    check::<Server>("a:0", Err(None));
    check::<Server>("a:65536", Err(None));
    check::<Server>("a:80:80", Err(None));
    check::<Server>("10.0.0.500:80", Err(None));
    check::<Server>("user@host:80", Err(None));
    check::<Server>("[::1:80", Err(None));
    check::<Server>("::1", Err(None));
    check::<Server>("", Err(None));
}

#[test]
fn listen_addresses() {
    check::<SocketAddr>("0.0.0.0:8080", Ok("0.0.0.0:8080"));
    check::<SocketAddr>("[::]:0", Ok("[::]:0"));
    check::<SocketAddr>(":8080", Err(Some("0.0.0.0:8080")));
    check::<SocketAddr>("*:80", Err(Some("0.0.0.0:80")));
    check::<SocketAddr>("8080", Err(Some("0.0.0.0:8080")));
    check::<SocketAddr>("localhost:80", Err(Some("127.0.0.1:80")));
    check::<SocketAddr>("10.0.0.1", Err(Some("10.0.0.1:8080")));
    check::<SocketAddr>("gateway.example.com:80", Err(None));
}

#[test]
fn callback_targets() {
    check::<CallbackTarget>("10.0.0.0/8", Ok("10.0.0.0/8"));
    check::<CallbackTarget>("0.0.0.0/0", Ok("0.0.0.0/0"));
    check::<CallbackTarget>("10.1.2.3", Ok("10.1.2.3/32"));
    check::<CallbackTarget>("2001:db8::/32", Ok("2001:db8::/32"));
    check::<CallbackTarget>("::/0", Ok("::/0"));
    check::<CallbackTarget>("*.Example.com", Ok("*.example.com"));
    check::<CallbackTarget>("hooks.example.com", Ok("hooks.example.com"));
    check::<CallbackTarget>("10.1.2.3/8", Err(Some("10.0.0.0/8")));
    check::<CallbackTarget>("10.0.0.0/33", Err(None));
    check::<CallbackTarget>(".example.com", Err(Some("*.example.com")));
    check::<CallbackTarget>("https://hooks.example.com/x", Err(Some("hooks.example.com")));
    check::<CallbackTarget>("*", Err(None));
}

#[test]
fn paths() {
    check::<UrlPath>("/healthz", Ok("/healthz"));
    check::<UrlPath>("healthz", Err(Some("/healthz")));
    check::<UrlPath>("http://10.0.0.5/up?x=1", Err(Some("/up")));
    check::<UrlPath>("/a//b", Err(None));
    check::<UrlPath>("/a b", Err(None));
    check::<PathPattern>("/catalogue/*", Ok("/catalogue/*"));
    check::<PathPattern>("/prices/", Ok("/prices"));
    check::<PathPattern>("/", Ok("/"));
    check::<PathPattern>("/*", Ok("/*"));
    check::<PathPattern>("/catalogue*", Err(Some("/catalogue/*")));
    check::<PathPattern>("catalogue/*/x", Err(Some("/catalogue/*")));
}

#[test]
fn patterns_match_whole_segments() {
    let matches = |pattern, path| PathPattern::parse(pattern).expect("a pattern").matches(path);
    assert!(matches("/prices", "/prices"));
    assert!(matches("/prices", "/prices/"));
    assert!(!matches("/prices", "/prices/today"));
    assert!(matches("/catalogue/*", "/catalogue"));
    assert!(matches("/catalogue/*", "/catalogue/a/b"));
    assert!(!matches("/catalogue/*", "/catalogues"));
    assert!(matches("/*", "/anything") && matches("/*", "/"));
    assert!(matches("/", "/") && !matches("/", "/a"));
}

#[test]
fn json_pointers() {
    check::<JsonPointer>("", Ok(""));
    check::<JsonPointer>("/orders/0/orderId", Ok("/orders/0/orderId"));
    check::<JsonPointer>("/a~1b~0", Ok("/a~1b~0"));
    check::<JsonPointer>("/a~b", Err(None));
    check::<JsonPointer>("$.orders[0].id", Err(Some("/orders/0/id")));
}

#[test]
fn amounts() {
    check::<Amount>("5000", Ok("5000"));
    check::<Amount>("0.5", Ok("0.5"));
    check::<Amount>("-1", Err(Some("1")));
    check::<Amount>("5,000", Err(Some("5000")));
    check::<Amount>("1.", Err(None));
    check::<Amount>("1e9", Err(Some("19")));
    check::<Amount>("", Err(None));
}

#[test]
fn durations() {
    let read = |text| duration::parse(text).map(|duration| duration.as_millis());
    assert_eq!(read("250ms"), Some(250));
    assert_eq!(read("3s"), Some(3_000));
    assert_eq!(read("1h"), Some(3_600_000));
    assert_eq!(read("1m30s"), Some(90_000));
    assert_eq!(read("7d"), Some(604_800_000));
    assert_eq!(read("0s"), Some(0));
    for refused in [
        "",
        "3",
        "s",
        "3 s",
        "3S",
        "1.5s",
        "30s1m",
        "1m1m",
        "-1s",
        "99999999999999999999s",
        "9999999999999999d",
    ] {
        assert_eq!(read(refused), None, "{refused}");
    }
    let guess = |text| duration::guess(text).next().map(duration::show);
    assert_eq!(guess("3 seconds").as_deref(), Some("3s"));
    assert_eq!(guess("1.5s").as_deref(), Some("1500ms"));
    assert_eq!(guess("2 weeks").as_deref(), Some("14d"));
    assert_eq!(guess("5").as_deref(), Some("5s"));
    assert_eq!(guess("5 parsecs"), None);
    assert_eq!(duration::show(Duration::from_hours(24)), "24h");
    assert_eq!(duration::show(Duration::ZERO), "0s");
}

#[test]
fn sizes() {
    assert_eq!(size::parse("64MiB"), Some(64 << 20));
    assert_eq!(size::parse("1B"), Some(1));
    for refused in ["", "64", "64MB", "64 MiB", "MiB", "1.5GiB", "99999999999GiB"] {
        assert_eq!(size::parse(refused), None, "{refused}");
    }
    assert_eq!(size::guess("64 mb").map(size::show).as_deref(), Some("64MiB"));
    assert_eq!(size::guess("1048576").map(size::show).as_deref(), Some("1MiB"));
}

proptest! {
    #[test]
    fn durations_read_back(millis in 0_u64..u64::MAX / 2) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(duration::parse(&duration::show(duration)), Some(duration));
    }

    #[test]
    fn sizes_read_back(bytes: u64) {
        prop_assert_eq!(size::parse(&size::show(bytes)), Some(bytes));
    }

    /// What is read is written so that it is read the same again; what is refused, panics nowhere.
    #[test]
    fn texts_read_back(text in "[a-z0-9:/.*\\[\\]~?#% -]{0,24}|\\PC{0,24}") {
        fn check<T: Text + PartialEq + Debug>(text: &str) {
            let _ = (T::meant(text), T::meant_by_integer(text.len() as i64));
            if let Some(value) = T::parse(text) {
                assert_eq!(T::parse(&value.to_string()), Some(value));
            }
        }
        check::<City>(&text);
        check::<Server>(&text);
        check::<SocketAddr>(&text);
        check::<CallbackTarget>(&text);
        check::<UrlPath>(&text);
        check::<PathPattern>(&text);
        check::<JsonPointer>(&text);
        check::<Amount>(&text);
        check::<crate::TimeFormat>(&text);
        let _ = (duration::parse(&text), duration::guess(&text).count(), size::parse(&text), size::guess(&text));
    }
}
