//! Any bytes from a modem, in any pieces: no panic, and the same events however they are cut.
//!
//! `cargo +nightly fuzz run at --fuzz-dir tests/fuzz`
#![no_main]

use libfuzzer_sys::fuzz_target;
use megamind_sms::at::{Answer, Digester, Event, Expect};

fn digester() -> Digester {
    let mut digester = Digester::default();
    digester.expect(Expect {
        command: "AT+CMGL=4".to_owned(),
        answer: Answer::Pdus("+CMGL:"),
        typed: Some("0011".to_owned()),
    });
    digester
}

fuzz_target!(|bytes: &[u8]| {
    let whole = digester().feed(bytes);
    let mut bytewise = digester();
    let cut: Vec<Event> = bytes.iter().flat_map(|byte| bytewise.feed(&[*byte])).collect();
    assert_eq!(whole, cut);
});
