use super::*;
use proptest::prelude::*;

fn one(text: &str) -> Request {
    let found = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found.into_iter().next().expect("one")
}

#[test]
fn every_command_is_read() {
    let id = || "4711".to_owned();
    for (text, wanted) in [
        ("A 17 K7Q4X2", Command::Next),
        ("t 4711 17 k7q4x2", Command::Track(id())),
        ("P 4711 17 K7Q4X2", Command::PickedUp(id())),
        ("D 4711 17 K7Q4X2", Command::Delivered { order: id(), pin: None, amount: None }),
        (
            "D 4711 C450 17 K7Q4X2",
            Command::Delivered { order: id(), pin: None, amount: Some("450".into()) },
        ),
        (
            "D 4711 450.50 17 K7Q4X2",
            Command::Delivered { order: id(), pin: None, amount: Some("450.50".into()) },
        ),
        (
            "D 4711 1234 450 17 K7Q4X2",
            Command::Delivered { order: id(), pin: Some("1234".into()), amount: Some("450".into()) },
        ),
        (
            "F 4711 nobody there 17 K7Q4X2",
            Command::Failed { order: id(), reason: "nobody there".into() },
        ),
        ("J 4711 17 K7Q4X2", Command::Rejected(id())),
        ("S busy 17 K7Q4X2", Command::State(State::Busy)),
        ("S o 17 K7Q4X2", Command::State(State::Offline)),
        ("N 17 K7Q4X2", Command::More),
        ("U 16 17 K7Q4X2", Command::Undo(16)),
        ("h 17 123456", Command::Help),
    ] {
        assert_eq!(one(text).command, wanted, "{text}");
    }
    let request = one("  d   4711  1234   17 k7q4x2 at the gate ");
    assert_eq!((request.seq, &*request.code, &*request.body), (17, "K7Q4X2", "D 4711 1234"));
    assert_eq!(request.note.as_deref(), Some("at the gate"));
}

#[test]
fn what_can_be_read_twice_is_read_twice() {
    // A proof code and a sequence number look alike: the code tells which is meant.
    let found = parse("D 4711 1234 123456 17 654321").expect("a command");
    let seqs: Vec<u32> = found.iter().map(|request| request.seq).collect();
    assert_eq!(seqs, [17, 1234]);
}

#[test]
fn what_is_no_command_is_refused() {
    for (text, wanted) in [
        ("hello, where are you?", ParseError::NotACommand),
        ("", ParseError::NotACommand),
        ("Assign me", ParseError::NotACommand),
        ("A", ParseError::Malformed),
        ("A 17", ParseError::Malformed),
        ("A 0 K7Q4X2", ParseError::Malformed),
        ("A 17 K7Q4", ParseError::Malformed),
        ("P 17 K7Q4X2", ParseError::Malformed),
        ("L nowhere 17 K7Q4X2", ParseError::Malformed),
        ("L 91,0 17 K7Q4X2", ParseError::Malformed),
        ("S asleep 17 K7Q4X2", ParseError::Malformed),
        ("P ಆರ್ಡರ್ 17 K7Q4X2", ParseError::Alphabet),
    ] {
        assert_eq!(parse(text), Err(wanted), "{text}");
    }
    assert_eq!(parse(&"A ".repeat(300)), Err(ParseError::TooLong));
}

#[test]
fn plus_codes_are_those_of_the_specification() {
    // test_data/encoding.csv of the specification.
    for (lat, lng, code) in [
        (20.370_062_5, 2.782_187_5, "7FG49QCJ+2V"),
        (47.000_062_5, 8.000_062_5, "8FVC2222+22"),
        (-41.273_062_5, 174.785_937_5, "4VCPPQGP+Q9"),
    ] {
        assert_eq!(plus_code(lat, lng), code);
    }
    let place: Place = "7J4VXHCV+JR".parse().expect("a code");
    let (lat, lng) = place.degrees(None).expect("a place");
    assert_eq!(plus_code(lat, lng), "7J4VXHCV+JR");
    let short: Place = "xhcv+jr".parse().expect("a short code");
    assert_eq!(short.degrees(None), None);
    let (near_lat, near_lng) = short.degrees(Some((12.97, 77.6))).expect("near the reference");
    assert!((near_lat - lat).abs() < 1e-9 && (near_lng - lng).abs() < 1e-9, "{near_lat},{near_lng}");
}

fn line() -> OrderLine {
    OrderLine {
        number: 4711,
        what: "PICK".into(),
        stop: Stop {
            degrees: Some((12.971_60, 77.594_56)),
            address: Some("MG Rd 5".into()),
            phone: Some("+919812345678".into()),
        },
        cash: Some("450".into()),
        by: Some("1840".into()),
    }
}

#[test]
fn an_order_is_one_message() {
    assert_eq!(
        order(17, 1, 1, &line(), false),
        "#17 OK 1/1 4711 PICK 12.97160,77.59456 7J4VXHCV+JR MG Rd 5 T+919812345678 C450 BY1840"
    );
    let mut long = line();
    long.stop.address = Some("ಮಹಾತ್ಮ ಗಾಂಧಿ ರಸ್ತೆ {5}, ".repeat(20));
    for ucs2 in [false, true] {
        let text = order(17, 1, 3, &long, ucs2);
        assert!(fits(&text) && text.ends_with("C450 BY1840"), "{text}");
    }
}

#[test]
fn every_template_fits_with_any_order() {
    let templates = Templates::built_in();
    let mut long = line();
    long.stop.address = Some("Ünïcödé ".repeat(40));
    for kind in [Kind::Assign, Kind::Change, Kind::Cancel] {
        for language in ["en", "hi", "kn", "xx"] {
            for ucs2 in [false, true] {
                let text = templates.about(kind, language, ucs2, &long);
                assert!(fits(&text) && text.contains("4711 PICK"), "{text}");
            }
        }
    }
    assert!(
        templates
            .about(Kind::Assign, "kn", true, &line())
            .starts_with("ಹೊಸ 4711 PICK 12.97160,77.59456")
    );
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn a_command_is_found_in_what_looks_like_one(text in "[ATPDFJLSNUH]( [0-9A-Z.,+]{1,8}){1,8}") {
        for request in parse(&text).unwrap_or_default() {
            prop_assert!(request.seq > 0 && request.code.len() == 6);
            // The canonical body with the same number and code is the same command.
            let again = parse(&format!("{} {} {}", request.body, request.seq, request.code)).expect("canonical");
            prop_assert!(again.iter().any(|other| other.body == request.body && other.seq == request.seq));
        }
    }

    #[test]
    fn whatever_is_transliterated_is_gsm(text in any::<String>()) {
        prop_assert!(septets(&transliterate(&text)).is_some());
    }

    #[test]
    fn every_answer_fits(text in any::<String>(), seq in any::<u32>()) {
        prop_assert!(fits(&confirmed(seq, &text)));
        prop_assert!(fits(&said(seq, &text, true)));
    }

    #[test]
    fn a_place_is_in_the_field_of_its_code(lat in -89.9..89.9_f64, lng in -179.9..179.9_f64) {
        let place: Place = plus_code(lat, lng).parse().expect("a code");
        let (north, east) = place.degrees(None).expect("a full code");
        prop_assert!((north - lat).abs() <= 0.000_063 && (east - lng).abs() <= 0.000_063);
    }
}
