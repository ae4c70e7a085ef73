//! The recorded PDUs of `../shared/data/pdu_vectors.json`, decoded by several independent
//! libraries. Skipped, visibly, where the folder is missing.

use megamind_sms::pdu::{
    Address, Concat, DataCoding, Direction, Frame, Header, Payload, Prefix, Reference, ServiceTime, Submit, Tpdu,
    UserData, Validity, header::Element, hex, validity::Relative,
};
use serde_json::Value;
use std::path::Path;

fn vectors() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/pdu_vectors.json");
    match std::fs::read(&path) {
        Ok(json) => serde_json::from_slice(&json).expect("an array of vectors"),
        Err(error) => {
            eprintln!("skipped: {}: {error}", path.display());
            Vec::new()
        }
    }
}

fn text<'a>(vector: &'a Value, key: &str) -> Option<&'a str> {
    vector[key].as_str()
}

fn number<T: TryFrom<u64>>(vector: &Value, key: &str) -> Option<T> {
    vector[key].as_u64().and_then(|n| T::try_from(n).ok())
}

fn decode(vector: &Value) -> Result<Frame, megamind_sms::pdu::Error> {
    let direction: Direction = text(vector, "direction").unwrap().parse().unwrap();
    let octets = hex::parse(text(vector, "pdu").unwrap())?;
    Frame::decode(&octets, Some(direction), Prefix::Detect)
}

fn is_hard(vector: &Value) -> bool {
    vector["hard"] == true
}

#[test]
fn hard_vectors_decode_to_what_they_say() {
    let mut wrong = Vec::new();
    for vector in vectors().iter().filter(|v| is_hard(v)) {
        let pdu = text(vector, "pdu").unwrap();
        let frame = match decode(vector) {
            Ok(frame) => frame,
            Err(error) => {
                wrong.push(format!("{pdu}: {error}"));
                continue;
            }
        };
        let data = frame.tpdu.user_data();
        let mut expect = |field: &str, found: Option<String>, expected: Option<String>| {
            if found != expected {
                wrong.push(format!("{pdu}: {field} {found:?}, expected {expected:?}"));
            }
        };
        let owned = |key| text(vector, key).map(str::to_owned);
        expect("number", Some(frame.tpdu.address().to_string()), owned("number"));
        expect(
            "smsc",
            frame.smsc.as_ref().map(Address::to_string).filter(|smsc| !smsc.is_empty()),
            owned("smsc"),
        );
        expect("text", data.map(UserData::text), owned("text"));
        let alphabet = data.map(|d| d.coding().alphabet().to_string());
        expect("alphabet", alphabet, owned("alphabet"));
        let time = frame.tpdu.timestamp().and_then(ServiceTime::rfc3339);
        expect("timestamp", time, owned("timestamp"));
        let place = data.and_then(UserData::concat);
        expect(
            "concat",
            place.map(|c| format!("{}/{}/{}", c.reference.value(), c.total, c.part)),
            vector["concat"]
                .as_object()
                .map(|c| format!("{}/{}/{}", c["ref"], c["total"], c["seq"])),
        );
        if let Tpdu::StatusReport(report) = &frame.tpdu {
            expect("status", Some(report.status.0.to_string()), Some(vector["status"].to_string()));
            expect("discharge", report.discharge.rfc3339(), owned("discharge"));
            let reference = Some(report.message_reference.to_string());
            expect("reference", reference, Some(vector["message_reference"].to_string()));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn submits_encode_back_from_their_stated_fields() {
    let mut tried = 0;
    let all = vectors();
    for vector in all.iter().filter(|v| is_hard(v) && v["direction"] == "submit") {
        let pdu = text(vector, "pdu").unwrap();
        let Ok(Frame { smsc, tpdu: Tpdu::Submit(decoded) }) = decode(vector) else {
            panic!("{pdu} is no SUBMIT");
        };
        let built = Frame { smsc, tpdu: build(vector, &decoded).into() };
        let stated = without_spare_bits(pdu, &built);
        assert_eq!(built.to_hex(), hex::format(&stated));
        tried += 1;
    }
    assert!(all.is_empty() || tried > 100, "only {tried} vectors state a SUBMIT");
}

/// The octets of `pdu`, except that the bits behind the last septet are as in `built`: one phone
/// leaves something there that no field states.
fn without_spare_bits(pdu: &str, built: &Frame) -> Vec<u8> {
    let mut octets = hex::parse(pdu).unwrap();
    let text = built.tpdu.user_data().unwrap();
    if let Payload::Gsm7(septets) = text.payload() {
        let header = text.header().map_or(0, |h| (h.len() * 8).div_ceil(7));
        let used = (header + septets.len()) * 7 % 8;
        if let (1.., Some(last)) = (used, octets.last_mut()) {
            *last &= (1 << used) - 1;
        }
    }
    octets
}

/// The message that the fields of `vector` describe. The flags of the first octet and the types of
/// address are not stated in the vectors; they are taken from what was decoded.
fn build(vector: &Value, decoded: &Submit) -> Submit {
    let header = text(vector, "udh").map(|udh| {
        let elements = vector["ies"].as_array().map_or_else(Vec::new, |elements| {
            elements
                .iter()
                .map(|e| Element { id: number(e, "iei").unwrap(), data: hex::parse(text(e, "data").unwrap()).unwrap() })
                .collect()
        });
        let header = Header::new(elements).unwrap();
        assert_eq!(hex::parse(udh).unwrap().len(), header.len());
        header
    });
    let destination = text(vector, "number").unwrap().trim_start_matches('+');
    let type_of_address = decoded.destination.type_of_address();
    let coding = DataCoding(number(vector, "dcs").unwrap());
    Submit {
        message_reference: number(vector, "message_reference").unwrap(),
        destination: Address::with_type(type_of_address, destination).unwrap(),
        protocol: number(vector, "pid").unwrap(),
        validity: vector["validity"].as_array().map(|validity| match validity[0].as_str() {
            Some("relative") => Validity::Relative(Relative(validity[1].as_u64().unwrap().try_into().unwrap())),
            Some("absolute") => {
                let octets = hex::parse(validity[1].as_str().unwrap()).unwrap();
                Validity::Absolute(ServiceTime(octets.try_into().unwrap()))
            }
            other => panic!("validity {other:?}"),
        }),
        user_data: UserData::from_text(coding, header, text(vector, "text").unwrap()).unwrap(),
        ..decoded.clone()
    }
}

#[test]
fn concatenation_is_written_as_it_was_read() {
    for vector in vectors().iter().filter(|v| is_hard(v) && v["concat"].is_object()) {
        let concat = &vector["concat"];
        let place = Concat {
            reference: match concat["ref_bits"].as_u64() {
                Some(16) => Reference::Wide(number(concat, "ref").unwrap()),
                _ => Reference::Short(number(concat, "ref").unwrap()),
            },
            total: number(concat, "total").unwrap(),
            part: number(concat, "seq").unwrap(),
        };
        let frame = decode(vector).unwrap();
        assert_eq!(frame.tpdu.user_data().and_then(UserData::concat), Some(place));
    }
}

#[test]
fn the_other_vectors_do_no_harm() {
    for vector in vectors().iter().filter(|v| !is_hard(v)) {
        match decode(vector) {
            Ok(frame) => assert!(!frame.to_hex().is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
