use super::{
    address::AddressError,
    alphabet::Language,
    alphabet::Shift,
    compose::Composer,
    header::Element,
    user_data::UserDataError,
    validity::{Enhanced, Relative},
    *,
};
use proptest::prelude::*;
use std::time::Duration;

fn to() -> Address {
    Address::number("+919876543210").unwrap()
}

fn decode(hex: &str) -> Result<Tpdu, Error> {
    Frame::from_hex(hex).map(|frame| frame.tpdu)
}

#[test]
fn poison_headers_are_refused() {
    // A delivery with TP-UDHI whose header says 255 octets in user data of five.
    let poison = "0791198948004544440C91198948820062000870503070400422 05 FF00030102";
    assert_eq!(
        decode(&poison.replace(' ', "")),
        Err(Error::HeaderLength { declared: 0xFF, available: 4 })
    );
    // An element that is longer than its header.
    let overrun = "0791198948004544440C91198948820062000870503070400422 05 0400FF0102";
    assert!(matches!(
        decode(&overrun.replace(' ', "")),
        Err(Error::Truncated { field: "information element data", .. })
    ));
    // A 7-bit header that takes more septets than there are.
    let short = "0791198948004544440C91198948820062000070503070400422 01 00";
    assert!(matches!(decode(&short.replace(' ', "")), Err(Error::HeaderLength { .. })));
}

#[test]
fn absurd_places_are_ignored() {
    let header = |data: &[u8]| Header::new(vec![Element { id: 0, data: data.to_vec() }]).unwrap().concat();
    for absurd in [&[7, 0, 0][..], &[7, 3, 0], &[7, 3, 4], &[7, 3], &[7, 3, 1, 1]] {
        assert_eq!(header(absurd), None, "{absurd:?}");
    }
    let place = Concat { reference: Reference::Short(7), total: 3, part: 3 };
    assert_eq!(header(&[7, 3, 3]), Some(place));
    let wide = Concat { reference: Reference::Wide(0x1234), ..place };
    let element = Element { id: 8, data: vec![0x12, 0x34, 3, 3] };
    assert_eq!(Header::new(vec![element]).unwrap().concat(), Some(wide));
}

#[test]
fn reserved_languages_mean_the_default_alphabet() {
    let header = |id, data| Header::new(vec![Element { id, data: vec![data] }]).unwrap().shift();
    assert_eq!(header(0x24, 0), Shift::default());
    assert_eq!(header(0x25, 14), Shift::default());
    assert_eq!(header(0x25, 2), Shift::default(), "Spanish has no locking table");
    assert_eq!(header(0x24, 2).single, Some(Language::Spanish));
}

#[test]
fn a_frame_without_service_centre_is_recognised() {
    let submit = Submit::new(to(), UserData::from_text(DataCoding::GSM7, None, "hello").unwrap());
    let frame = Frame::new(submit);
    let (octets, length) = frame.encode();
    assert_eq!(length, octets.len() - 1);
    assert_eq!(Frame::decode(&octets, None, Prefix::Detect), Ok(frame.clone()));
    assert_eq!(Frame::decode(&octets[1..], None, Prefix::Detect), Ok(frame.clone()));
    assert_eq!(Frame::decode(&octets[1..], None, Prefix::Absent), Ok(frame));
    assert!(Frame::decode(&octets[1..], None, Prefix::Present).is_err());
}

#[test]
fn the_wrong_direction_is_an_error() {
    let octets = hex::parse("0001000B914316565811F900000432DB3C06").unwrap_or_default();
    let found = Frame::decode(&octets, Some(Direction::Deliver), Prefix::Present);
    assert_eq!(found, Err(Error::Type { expected: Direction::Deliver, found: 1 }));
}

#[test]
fn hexadecimal_text() {
    assert_eq!(hex::parse(" 0aFf\r\n"), Ok(vec![0x0A, 0xFF]));
    assert_eq!(hex::parse("0aF"), Err(Error::OddHex));
    assert_eq!(hex::parse("0g"), Err(Error::Hex { at: 1 }));
    assert_eq!(hex::format(&[0x0A, 0xFF]), "0AFF");
}

#[test]
fn addresses() {
    assert_eq!(to().to_string(), "+919876543210");
    assert_eq!(Address::number("*141#").unwrap().to_string(), "*141#");
    assert_eq!(Address::number("+91 98"), Err(AddressError::Character(' ')));
    assert_eq!(Address::number("+"), Err(AddressError::Empty));
    assert!(Address::number(&"1".repeat(20)).is_ok());
    assert_eq!(Address::number(&"1".repeat(21)), Err(AddressError::TooLong(21)));
    assert!(Address::alphanumeric("elevenchars").is_ok());
    assert_eq!(Address::alphanumeric("twelve chars"), Err(AddressError::TooLong(12)));
    assert_eq!(Address::alphanumeric("тест"), Err(AddressError::Character('т')));
}

#[test]
fn times_with_negative_zones() {
    let time = ServiceTime([0x70, 0x11, 0x10, 0x31, 0x05, 0x45, 0x8A]);
    assert_eq!(time.rfc3339().unwrap(), "2007-11-01T13:50:54-07:00");
    let instant = time.timestamp().unwrap();
    assert_eq!(instant.to_string(), "2007-11-01T20:50:54Z");
    assert_eq!(ServiceTime::at(instant, -28), Some(time));
    assert_eq!(ServiceTime([0; 7]).rfc3339(), None);
    assert_eq!(ServiceTime([0xFF; 7]).timestamp(), None);
}

#[test]
fn validity_periods() {
    let minutes = |value| Relative(value).duration().as_secs() / 60;
    assert_eq!(
        [0, 143, 144, 167, 168, 196, 197, 255].map(minutes),
        [5, 720, 750, 1440, 2880, 43_200, 50_400, 635_040]
    );
    assert_eq!(Relative::at_least(Duration::from_hours(24)), Relative(167));
    assert_eq!(Relative::at_least(Duration::MAX), Relative(255));
    assert_eq!(Enhanced::seconds(90).duration(), Some(Duration::from_secs(90)));
    let clock = Enhanced::clock(1, 2, 3).single_shot();
    assert!(clock.is_single_shot());
    assert_eq!(clock.duration(), Some(Duration::from_secs(3723)));
    assert_eq!(Enhanced([0x83, 0, 0x10, 0x20, 0x30, 0, 0]).duration().unwrap().as_secs(), 3723);
    assert_eq!(Enhanced([0x07, 1, 0, 0, 0, 0, 0]).duration(), None);
}

#[test]
fn statuses() {
    assert_eq!(Status::RECEIVED.outcome(), Outcome::Completed);
    assert_eq!(Status(0x20).outcome(), Outcome::Trying);
    assert_eq!(Status::EXPIRED.outcome(), Outcome::Failed);
    assert_eq!(Status(0x60).outcome(), Outcome::Failed);
    assert_eq!(Status(0xFF).outcome(), Outcome::Failed);
}

#[test]
fn user_data_that_does_not_fit_together() {
    let gsm7 = |text: &str| UserData::from_text(DataCoding::GSM7, None, text);
    assert!(gsm7(&"a".repeat(160)).is_ok());
    assert_eq!(gsm7(&"a".repeat(161)), Err(UserDataError::TooLong { octets: 141 }));
    assert!(matches!(gsm7("я"), Err(UserDataError::Unencodable(_))));
    let mismatch = UserData::new(DataCoding::UCS2, None, Payload::Data(vec![1]));
    assert!(matches!(mismatch, Err(UserDataError::Coding { .. })));
}

#[test]
fn the_cheapest_writing_is_taken() {
    let split = |languages: &[Language], text: &str| {
        let composer = Composer { languages, ..Composer::default() };
        composer.split(text).unwrap()
    };
    let single = |text: &str| {
        let mut parts = split(&[], text);
        assert_eq!(parts.len(), 1);
        parts.remove(0)
    };
    assert_eq!(single("").text(), "");
    assert_eq!(single(&"x".repeat(160)).coding(), DataCoding::GSM7);
    assert_eq!(single("Заказ").coding(), DataCoding::UCS2);
    assert_eq!(split(&[], &"€".repeat(81)).len(), 2);
    assert_eq!(split(&[], &"Ж".repeat(71)).len(), 2);

    let hindi = "नमस्ते".repeat(20);
    assert_eq!(split(&[], &hindi).len(), 2);
    let national = split(&[Language::Turkish, Language::Hindi], &hindi);
    assert_eq!(national.len(), 1);
    assert_eq!(national[0].shift().locking, Some(Language::Hindi));
    assert_eq!(national[0].text(), hindi);
}

#[test]
fn too_many_parts_are_refused() {
    let composer = Composer { max_parts: 3, ..Composer::default() };
    assert_eq!(composer.split(&"x".repeat(459)).unwrap().len(), 3);
    let error = composer.split(&"x".repeat(460)).unwrap_err();
    assert_eq!((error.parts, error.limit), (4, 3));
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        for prefix in [Prefix::Present, Prefix::Absent, Prefix::Detect] {
            for direction in Direction::ALL.into_iter().map(Some).chain([None]) {
                if let Ok(frame) = Frame::decode(&octets, direction, prefix) {
                    let _ = frame.tpdu.user_data().map(UserData::text);
                    let _ = frame.tpdu.timestamp().map(ServiceTime::timestamp);
                    let (again, _) = frame.encode();
                    // What was understood once is understood again, as the same.
                    let again = Frame::decode(&again, direction, Prefix::Present);
                    prop_assert_eq!(
                        again.map(|f| f.encode()),
                        Ok(frame.encode())
                    );
                }
            }
        }
    }

    #[test]
    fn damaged_pdus_do_not_panic(at in 0usize..40, value in any::<u8>(), cut in 0usize..40) {
        let good = hex::parse(
            "07911326040000F0440ED0CDF2396C7EBB0100005020708021732B0D0B000317020124010625010641E19058341E",
        ).unwrap();
        let mut octets = good.clone();
        octets[at] = value;
        octets.truncate(good.len() - cut);
        let _ = Frame::decode(&octets, None, Prefix::Detect);
    }

    #[test]
    fn texts_arrive(text in "[ -~а-яÀ-ÿअ-ह😀-😎€\\n]{0,400}", reference in any::<u16>()) {
        let composer = Composer {
            languages: &[Language::Hindi, Language::Portuguese],
            reference: Reference::Wide(reference),
            max_parts: u8::MAX,
        };
        let messages = composer.submit(&to(), &text).unwrap();
        let mut whole: Option<(Payload, Shift)> = None;
        for (at, message) in messages.iter().enumerate() {
            let octets = Frame::new(message.clone()).encode().0;
            let frame = Frame::decode(&octets, Some(Direction::Submit), Prefix::Present);
            let Ok(Frame { tpdu: Tpdu::Submit(arrived), .. }) = frame else {
                return Err(TestCaseError::fail("not decoded"));
            };
            prop_assert_eq!(&arrived, message);
            prop_assert_eq!(arrived.user_data.concat().is_some(), messages.len() > 1);
            if let Some(place) = arrived.user_data.concat() {
                prop_assert_eq!(usize::from(place.part), at + 1);
                prop_assert_eq!(usize::from(place.total), messages.len());
            }
            let payload = arrived.user_data.payload();
            match &mut whole {
                None => whole = Some((payload.clone(), arrived.user_data.shift())),
                Some((joined, _)) => prop_assert!(joined.append(payload)),
            }
        }
        let (joined, shift) = whole.expect("at least one message");
        prop_assert_eq!(joined.text(shift), text);
    }
}
