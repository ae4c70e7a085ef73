//! Any octets as a PDU: no panic, and what was understood is understood again.
//!
//! `cargo +nightly fuzz run pdu --fuzz-dir tests/fuzz`
#![no_main]

use libfuzzer_sys::fuzz_target;
use megamind_sms::pdu::{Direction, Frame, Prefix, ServiceTime, UserData};

fuzz_target!(|octets: &[u8]| {
    let directions = [Direction::Deliver, Direction::Submit, Direction::StatusReport];
    for prefix in [Prefix::Present, Prefix::Absent, Prefix::Detect] {
        for direction in directions.into_iter().map(Some).chain([None]) {
            let Ok(frame) = Frame::decode(octets, direction, prefix) else {
                continue;
            };
            let _ = frame.tpdu.user_data().map(UserData::text);
            let _ = frame.tpdu.timestamp().map(ServiceTime::rfc3339);
            let (encoded, _) = frame.encode();
            let again = Frame::decode(&encoded, direction, Prefix::Present).expect("it was understood before");
            assert_eq!(again.encode().0, encoded);
        }
    }
});
