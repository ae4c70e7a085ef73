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

/// A copy of `table` with some entries of the standard put in.
fn changed(table: &Table, entries: &[(u8, char)]) -> Table {
    let mut table = *table;
    for &(septet, character) in entries {
        table[usize::from(septet)] = u16::try_from(u32::from(character)).expect("of the basic plane");
    }
    table
}

/// The tables of the Latin languages (A.2.1 to A.2.3, A.3.1, A.3.3), stated as what they change in
/// the default alphabet and its extension.
#[test]
#[rustfmt::skip]
fn the_latin_tables_change_the_default_ones() {
    let turkish = [(0x04, '€'), (0x07, 'ı'), (0x0B, 'Ğ'), (0x0C, 'ğ'), (0x1C, 'Ş'), (0x1D, 'ş'), (0x40, 'İ'), (0x60, 'ç')];
    assert_eq!(locking::TURKISH, changed(&tables::DEFAULT, &turkish));
    let portuguese = [
        (0x04, 'ê'), (0x06, 'ú'), (0x07, 'í'), (0x08, 'ó'), (0x09, 'ç'), (0x0B, 'Ô'), (0x0C, 'ô'), (0x0E, 'Á'), (0x0F, 'á'),
        (0x12, 'ª'), (0x13, 'Ç'), (0x14, 'À'), (0x15, '∞'), (0x16, '^'), (0x17, '\\'), (0x18, '€'), (0x19, 'Ó'), (0x1A, '|'),
        (0x1C, 'Â'), (0x1D, 'â'), (0x1E, 'Ê'), (0x24, 'º'), (0x40, 'Í'), (0x5B, 'Ã'), (0x5C, 'Õ'), (0x5D, 'Ú'), (0x60, '~'),
        (0x7B, 'ã'), (0x7C, 'õ'), (0x7D, '`'),
    ];
    assert_eq!(locking::PORTUGUESE, changed(&tables::DEFAULT, &portuguese));

    let turkish = [(0x47, 'Ğ'), (0x49, 'İ'), (0x53, 'Ş'), (0x63, 'ç'), (0x67, 'ğ'), (0x69, 'ı'), (0x73, 'ş')];
    assert_eq!(single::TURKISH, changed(&tables::EXTENSION, &turkish));
    let vowels = [(0x41, 'Á'), (0x49, 'Í'), (0x4F, 'Ó'), (0x55, 'Ú'), (0x61, 'á'), (0x69, 'í'), (0x6F, 'ó'), (0x75, 'ú')];
    let spanish = changed(&tables::EXTENSION, &vowels);
    assert_eq!(single::SPANISH, changed(&spanish, &[(0x09, 'ç')]));
    let portuguese = [
        (0x05, 'ê'), (0x09, 'ç'), (0x0B, 'Ô'), (0x0C, 'ô'), (0x0E, 'Á'), (0x0F, 'á'), (0x12, 'Φ'), (0x13, 'Γ'), (0x15, 'Ω'),
        (0x16, 'Π'), (0x17, 'Ψ'), (0x18, 'Σ'), (0x19, 'Θ'), (0x1F, 'Ê'), (0x41, 'À'), (0x5B, 'Ã'), (0x5C, 'Õ'), (0x61, 'Â'),
        (0x7B, 'ã'), (0x7C, 'õ'), (0x7F, 'â'),
    ];
    assert_eq!(single::PORTUGUESE, changed(&spanish, &portuguese));
}

/// Language, the first digit, the two dandas or their like, and what is added at 0x26, 0x2A and 0x30.
type Additions = (Language, u16, [u16; 2], &'static [u16], &'static [u16], &'static [u16]);
const DANDAS: [u16; 2] = [0x964, 0x965];

/// The single shift tables of the Indic languages and Urdu (A.2.4 to A.2.13): one frame of signs and
/// capitals, the digits of the script, and what each script adds.
#[test]
#[rustfmt::skip]
fn the_indic_single_shift_tables_share_a_frame() {
    let mut frame = tables::EXTENSION;
    for (septet, character) in (0x00u8..).zip("@£$¥¿\"¤%&'\u{C}*+\u{0}-/<=>¡^¡_#*".chars()) {
        frame[usize::from(septet)] = character as u16;
    }
    for (septet, character) in (0x41..).zip('A'..='Z') {
        frame[septet] = character as u16;
    }
    let rows: [Additions; 9] = [
        (Language::Gujarati, 0xAE6, DANDAS, &[], &[], &[]),
        (Language::Hindi, 0x966, DANDAS, &[0x951, 0x952], &[0x953, 0x954, 0x958, 0x959, 0x95A], &[0x95B, 0x95C, 0x95D, 0x95E, 0x95F, 0x960, 0x961, 0x962, 0x963, 0x970, 0x971]),
        (Language::Kannada, 0xCE6, DANDAS, &[0xCDE, 0xCF1], &[0xCF2], &[]),
        (Language::Malayalam, 0xD66, DANDAS, &[0xD70, 0xD71], &[0xD72, 0xD73, 0xD74, 0xD75, 0xD7A], &[0xD7B, 0xD7C, 0xD7D, 0xD7E, 0xD7F]),
        (Language::Oriya, 0xB66, DANDAS, &[0xB5C, 0xB5D], &[0xB5F, 0xB70, 0xB71], &[]),
        (Language::Punjabi, 0xA66, DANDAS, &[0xA59, 0xA5A], &[0xA5B, 0xA5C, 0xA5E, 0xA75], &[]),
        (Language::Tamil, 0xBE6, DANDAS, &[0xBF3, 0xBF4], &[0xBF5, 0xBF6, 0xBF7, 0xBF8, 0xBFA], &[]),
        (Language::Telugu, 0xC66, [NONE, NONE], &[0xC58, 0xC59], &[0xC78, 0xC79, 0xC7A, 0xC7B, 0xC7C], &[0xC7D, 0xC7E, 0xC7F]),
        (Language::Urdu, 0x6F0, [0x600, 0x601], &[0x60C, 0x60D], &[0x60E, 0x60F, 0x610, 0x611, 0x612], &[0x613, 0x614, 0x61B, 0x61F, 0x640, 0x652, 0x658, 0x66B, 0x66C, 0x672, 0x673, 0x6CD]),
    ];
    for (language, zero, dandas, at_26, at_2a, at_30) in rows {
        let mut expected = frame;
        expected[0x19..0x1B].copy_from_slice(&dandas);
        let digits: Vec<u16> = (zero..zero + 10).collect();
        for (start, run) in [(0x1C, &digits[..]), (0x26, at_26), (0x2A, at_2a), (0x30, at_30)] {
            expected[start..start + run.len()].copy_from_slice(run);
        }
        if language == Language::Urdu {
            expected[0x3F] = 0x6D4;
        }
        assert_eq!(*language.single(), expected, "{language:?}");
    }

    // Bengali has its first two digits where the others have the dandas.
    let mut expected = frame;
    expected[0x19..0x1B].copy_from_slice(&[0x9E6, 0x9E7]);
    let run: Vec<u16> = (0x9E8..0x9F0).chain([0x9DF, 0x9E0, 0x9E1, 0x9E2]).collect();
    expected[0x1C..0x28].copy_from_slice(&run);
    expected[0x2A..0x2F].copy_from_slice(&[0x9E3, 0x9F2, 0x9F3, 0x9F4, 0x9F5]);
    expected[0x30..0x35].copy_from_slice(&[0x9F6, 0x9F7, 0x9F8, 0x9F9, 0x9FA]);
    assert_eq!(*Language::Bengali.single(), expected);
}

/// The Urdu locking table, A.3.13, septet by septet.
#[test]
fn the_urdu_locking_table() {
    let expected = concat!(
        "0627 0622 0628 067B 0680 067E 06A6 062A 06C2 067F 000A 0679 067D 000D 067A 067C ",
        "062B 062C 0681 0684 0683 0685 0686 0687 062D 062E 062F 0000 068C 0688 0689 068A ",
        "0020 0021 068F 068D 0630 0631 0691 0693 0029 0028 0699 0632 002C 0696 002E 0698 ",
        "0030 0031 0032 0033 0034 0035 0036 0037 0038 0039 003A 003B 069A 0633 0634 003F ",
        "0635 0636 0637 0638 0639 0641 0642 06A9 06AA 06AB 06AF 06B3 06B1 0644 0645 0646 ",
        "06BA 06BB 06BC 0648 06C4 06D5 06C1 06BE 0621 06CC 06D0 06D2 064D 0650 064F 0657 ",
        "0654 0061 0062 0063 0064 0065 0066 0067 0068 0069 006A 006B 006C 006D 006E 006F ",
        "0070 0071 0072 0073 0074 0075 0076 0077 0078 0079 007A 0655 0651 0653 0656 0670",
    );
    let found: Vec<String> = locking::URDU.iter().map(|unit| format!("{unit:04X}")).collect();
    assert_eq!(found.join(" "), expected);
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
