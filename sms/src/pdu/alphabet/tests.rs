use super::*;
use proptest::prelude::*;

fn shifts() -> impl Iterator<Item = Shift> {
    let languages = || std::iter::once(None).chain(Language::ALL.into_iter().map(Some));
    languages().flat_map(move |locking| languages().map(move |single| Shift { locking, single }))
}

#[test]
fn every_character_of_every_table_survives_the_round_trip() {
    for shift in shifts() {
        for septet in (0..128).filter(|s| *s != ESCAPE) {
            for written in [vec![septet], vec![ESCAPE, septet]] {
                let text = shift.decode(&written);
                if text.contains(UNKNOWN) {
                    continue;
                }
                let again = shift.encode(&text).expect("what was decoded has a code");
                assert_eq!(shift.decode(&again), text, "{shift:?} {written:02X?}");
            }
        }
    }
}

#[test]
fn no_table_has_a_character_twice() {
    let tables = Language::ALL
        .into_iter()
        .flat_map(|l| [l.locking(), l.single()])
        .chain([&tables::DEFAULT, &tables::EXTENSION]);
    for table in tables {
        for (septet, &unit) in table.iter().enumerate().filter(|(_, u)| **u != NONE) {
            // "*" (0x0B, 0x18) and "¡" (0x13, 0x15) are there twice in the Indic single shift
            // tables of the standard itself.
            let first = table.iter().position(|u| *u == unit).expect("itself");
            assert!(
                first == septet || matches!((first, septet), (0x0B, 0x18) | (0x13, 0x15)),
                "U+{unit:04X} at {first:#04X} and {septet:#04X}"
            );
        }
    }
}

/// Language, block, gaps of the block, and the entries at 0x60 and from 0x7B on.
type Row = (Language, u16, &'static [u16], [u16; 6]);

/// The nine Indic locking tables of annex A.3 follow the layout that the Indic blocks of Unicode
/// share: each letter sits where its offset in the block puts it. This states the layout once and
/// the gaps of each language, independently of the tables.
#[test]
fn the_indic_locking_tables_follow_the_common_layout() {
    let mut layout: Vec<(u8, u16)> = Vec::new();
    let mut run = |septets: std::ops::RangeInclusive<u8>, offset: u16| {
        layout.extend(septets.zip(offset..));
    };
    run(0x00..=0x02, 0x01);
    run(0x03..=0x09, 0x05);
    run(0x0B..=0x0C, 0x0C);
    run(0x0E..=0x1A, 0x0E);
    run(0x1C..=0x1F, 0x1B);
    run(0x22..=0x27, 0x1F);
    run(0x2A..=0x2B, 0x25);
    run(0x2D..=0x2D, 0x27);
    run(0x2F..=0x2F, 0x28);
    run(0x3C..=0x3E, 0x29);
    run(0x40..=0x4D, 0x2C);
    run(0x4E..=0x4F, 0x3C);
    run(0x50..=0x5F, 0x3E);

    let latin = "\n\r !)(,.0123456789:;?abcdefghijklmnopqrstuvwxyz";
    #[rustfmt::skip]
    let rows: [Row; 9] = [
        (Language::Bengali, 0x0980, &[0x0D, 0x0E, 0x11, 0x12, 0x29, 0x31, 0x33, 0x34, 0x35, 0x45, 0x46, 0x49, 0x4A], [0x9CE, 0x9D7, 0x9DC, 0x9DD, 0x9F0, 0x9F1]),
        (Language::Gujarati, 0x0A80, &[0x0E, 0x12, 0x29, 0x31, 0x34, 0x46, 0x4A], [0xAD0, 0xAE0, 0xAE1, 0xAE2, 0xAE3, 0xAF1]),
        (Language::Hindi, 0x0900, &[], [0x950, 0x972, 0x97B, 0x97C, 0x97E, 0x97F]),
        (Language::Kannada, 0x0C80, &[0x01, 0x0D, 0x11, 0x29, 0x34, 0x45, 0x49], [0xCD5, 0xCD6, 0xCE0, 0xCE1, 0xCE2, 0xCE3]),
        (Language::Malayalam, 0x0D00, &[0x01, 0x0D, 0x11, 0x29, 0x3C, 0x45, 0x49], [0xD57, 0xD60, 0xD61, 0xD62, 0xD63, 0xD79]),
        (Language::Oriya, 0x0B00, &[0x0D, 0x0E, 0x11, 0x12, 0x29, 0x31, 0x34, 0x45, 0x46, 0x49, 0x4A], [0xB56, 0xB57, 0xB60, 0xB61, 0xB62, 0xB63]),
        (Language::Punjabi, 0x0A00, &[0x0B, 0x0C, 0x0D, 0x0E, 0x11, 0x12, 0x29, 0x31, 0x34, 0x37, 0x3D, 0x43, 0x44, 0x45, 0x46, 0x49, 0x4A], [0xA51, 0xA70, 0xA71, 0xA72, 0xA73, 0xA74]),
        (Language::Tamil, 0x0B80, &[0x01, 0x0B, 0x0C, 0x0D, 0x11, 0x16, 0x17, 0x18, 0x1B, 0x1D, 0x20, 0x21, 0x22, 0x25, 0x26, 0x27, 0x2B, 0x2C, 0x2D, 0x3C, 0x3D, 0x43, 0x44, 0x45, 0x49], [0xBD0, 0xBD7, 0xBF0, 0xBF1, 0xBF2, 0xBF9]),
        (Language::Telugu, 0x0C00, &[0x0D, 0x11, 0x29, 0x34, 0x3C, 0x45, 0x49], [0xC55, 0xC56, 0xC60, 0xC61, 0xC62, 0xC63]),
    ];
    for (language, block, gaps, tail) in rows {
        let mut expected = [NONE; 128];
        for &(septet, offset) in layout.iter().filter(|(_, o)| !gaps.contains(o)) {
            expected[usize::from(septet)] = block + offset;
        }
        for character in latin.chars() {
            let septet = match character {
                // Mirrored with respect to ASCII in these tables.
                ')' => 0x28,
                '(' => 0x29,
                other => other as usize,
            };
            expected[septet] = character as u16;
        }
        for (septet, unit) in [0x60, 0x7B, 0x7C, 0x7D, 0x7E, 0x7F].into_iter().zip(tail) {
            expected[septet] = unit;
        }
        assert_eq!(*language.locking(), expected, "{language:?}");
    }
}

#[test]
fn the_standard_examples() {
    let plain = Shift::default();
    assert_eq!(plain.encode("@£€").unwrap(), [0x00, 0x01, ESCAPE, 0x65]);
    assert_eq!(
        plain.encode("^{}\\[~]|").unwrap().len(),
        16,
        "the extension costs two septets a character"
    );
    assert_eq!(plain.encode("ğ"), Err(Unencodable('ğ')));
    assert_eq!(plain.decode(&[ESCAPE, ESCAPE, 0x41]), " A");
    assert_eq!(plain.decode(&[ESCAPE, 0x41, ESCAPE]), "A");

    let turkish = Shift { locking: Some(Language::Turkish), single: Some(Language::Turkish) };
    assert_eq!(turkish.encode("ğ").unwrap(), [0x0C]);
    assert_eq!(Shift { locking: None, ..turkish }.encode("ğİ").unwrap(), [ESCAPE, 0x67, ESCAPE, 0x49]);
    let hindi = Shift { locking: None, single: Some(Language::Hindi) };
    assert_eq!(hindi.encode("१\u{95E}").unwrap(), [ESCAPE, 0x1D, ESCAPE, 0x33]);
    let urdu = Shift { locking: Some(Language::Urdu), single: Some(Language::Urdu) };
    assert_eq!(urdu.encode("اے۔").unwrap(), [0x00, 0x5B, ESCAPE, 0x3F]);
}

proptest! {
    #[test]
    fn packing_is_reversible(
        septets in prop::collection::vec(0u8..128, 0..200),
        fill in 0usize..7,
    ) {
        let octets = septets::pack(&septets, fill);
        prop_assert_eq!(octets.len(), septets::packed_len(septets.len(), fill));
        prop_assert_eq!(septets::unpack(&octets, fill, septets.len()), Some(septets));
    }

    #[test]
    fn any_septets_decode(septets in prop::collection::vec(any::<u8>(), 0..200)) {
        for shift in [Shift::default(), Shift { locking: Some(Language::Urdu), single: Some(Language::Tamil) }] {
            let text = shift.decode(&septets);
            prop_assert!(text.chars().count() <= septets.len());
        }
    }
}
