//! Any text from a phone: no panic, and what is read is read again from its canonical form.
//!
//! `cargo +nightly fuzz run grammar --fuzz-dir tests/fuzz`
#![no_main]

use libfuzzer_sys::fuzz_target;
use megamind_sms::grammar::parse;

fuzz_target!(|text: &str| {
    for request in parse(text).unwrap_or_default() {
        let again = parse(&format!("{} {} {}", request.body, request.seq, request.code)).expect("canonical");
        assert!(again.iter().any(|other| other.body == request.body && other.seq == request.seq));
    }
});
