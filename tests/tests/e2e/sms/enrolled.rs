//! Who may write: enrolment and cards by the command line, two numbers, changed numbers, secrets on disk and in copies.

use megamind_sms::identity::{Secret, hand_code};
use megamind_tests::wait;
use serde_json::json;

use super::{Rig, decoded};

#[test]
fn a_pilot_is_enrolled_with_two_numbers_and_gets_a_card() {
    let rig = Rig::start();
    let told = rig
        .city
        .gateway
        .said(&["pilot", "enrol", "P1", "--number", "098123 45679", "--language", "hi"]);
    let line = |name: &str| {
        let found = told.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} in {told}")).trim().to_owned()
    };
    assert_eq!(line("numbers"), "+919812345671 +919812345679");
    assert_eq!((line("gateway"), line("counter")), ("tst".into(), "0".into()));
    let base32 = line("secret");
    assert!(told.contains(&format!("otpauth://hotp/MegaMind-tst:P1?secret={base32}")), "{told}");
    assert!(told.contains('█') || told.contains('▀'), "a QR code: {told}");

    let card = rig.city.gateway.said(&["pilot", "card", "P1"]);
    let codes: Vec<&str> = card.lines().skip(1).flat_map(str::split_whitespace).collect();
    let secret = Secret::new(decoded(&base32));
    let made: Vec<String> = (0..100).map(|counter| hand_code(&secret, counter)).collect();
    assert_eq!(codes, made);

    // From both numbers, the second written as at home; a code of the earlier enrolment is worth nothing.
    let old = &rig.pilots[0];
    rig.modem.deliver("+919812345671", &format!("A 1 {}", codes[0]));
    rig.await_text("+919812345671", "#1 OK 0/0");
    rig.modem.deliver("09812345679", &format!("A 2 {}", codes[1]));
    rig.await_text("+919812345679", "#2 OK 0/0");
    rig.modem.deliver("+919812345671", &old.by_app(3, "A"));
    assert_eq!(rig.await_text("+919812345671", "#3 "), "#3 E CODE");
    // A spent code is none, and a used card goes on.
    rig.modem.deliver("+919812345679", &format!("A 4 {}", codes[1]));
    assert_eq!(rig.await_text("+919812345679", "#4 "), "#4 E CODE");
    let card = rig.city.gateway.said(&["pilot", "card", "P1"]);
    assert!(card.lines().nth(1).is_some_and(|row| row.starts_with(codes[2])), "{card}");

    let nobody = rig.city.gateway.command(&["pilot", "enrol", "P9"]);
    assert!(!nobody.status.success() && String::from_utf8_lossy(&nobody.stderr).contains("There is no pilot P9"));
}

#[test]
fn a_changed_number_ends_the_enrolment() {
    let rig = Rig::start();
    let writer = &rig.pilots[0];
    rig.modem.deliver(writer.number(), &writer.by_app(1, "A"));
    rig.await_text(writer.number(), "#1 OK");
    let body = json!({"minionId": "P1", "phone": "+919812340000"});
    rig.city.post("/ind/setminiongeneralinfo", &body).expect(200);
    rig.modem.deliver(writer.number(), &writer.by_app(2, "A"));
    rig.await_outcome("unregistered", 1);
    rig.modem.deliver("+919812340000", &writer.from("+919812340000", 3, "A"));
    rig.await_outcome("unregistered", 2);
    assert_eq!(
        rig.texts(writer.number()).len() + rig.texts("+919812340000").len(),
        1,
        "only the first was answered"
    );
    // And it does not come back with the old number.
    let body = json!({"minionId": "P1", "phone": writer.number()});
    rig.city.post("/ind/setminiongeneralinfo", &body).expect(200);
    rig.modem.deliver(writer.number(), &writer.by_app(4, "A"));
    rig.await_outcome("unregistered", 3);
}

#[test]
fn a_copy_brings_enrolments_back_and_shows_no_secret() {
    let mut rig = Rig::start();
    let copy = rig.city.dir().join("copy.db");
    let number = rig.pilots[0].number().to_owned();
    rig.modem.deliver(&number, &rig.pilots[0].by_app(1, "A"));
    rig.await_text(&number, "#1 OK");
    rig.city.gateway.said(&["backup", copy.to_str().expect("text")]);
    rig.city.gateway.kill();
    let messages = rig.city.gateway.database().with_extension("sms.db");
    for path in [&copy, &messages, &messages.with_extension("db-wal")] {
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(!bytes.windows(9).any(|part| part == b"\"secret\":"), "{}", path.display());
    }
    for suffix in ["db", "db-wal", "db-shm"] {
        let _ = std::fs::remove_file(messages.with_extension(suffix));
    }
    let told = rig.city.gateway.said(&["restore", copy.to_str().expect("text")]);
    assert!(told.contains("its messages are back"), "{told}");
    rig.city.gateway.start();
    rig.modem.deliver(&number, &rig.pilots[0].by_app(2, "A"));
    rig.await_text(&number, "#2 OK");
    // What was heard before the copy is known: the same message, the same answer, no effect.
    let sent = rig.modem.sent().len();
    rig.modem.deliver(&number, &rig.pilots[0].by_app(1, "A"));
    rig.await_outcome("repeated", 1);
    wait::until("the stored answer goes out", || (rig.modem.sent().len() > sent).then_some(()));
}
