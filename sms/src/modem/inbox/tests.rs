use super::*;
use crate::pdu::{
    DataCoding, UserData,
    compose::Composer,
    header::{Concat, Header},
};

fn modem() -> ModemId {
    ModemId::new("test")
}

fn part(second: u8, data: UserData) -> Deliver {
    let from = Address::number("+4366").unwrap();
    Deliver::new(from, ServiceTime([0x62, 0x11, 0x12, 0x10, 0x00, second, 0]), data)
}

fn parts(reference: u8, text: &str) -> Vec<Deliver> {
    let composer = Composer { reference: Reference::Short(reference), ..Composer::default() };
    composer.split(text).unwrap().into_iter().map(|data| part(0, data)).collect()
}

fn inbox() -> (Inbox, Instant) {
    (Inbox::new(InboxConfig::default()), Instant::now())
}

#[test]
fn a_repetition_is_known() {
    let (mut inbox, now) = inbox();
    let single = parts(1, "once").remove(0);
    assert_eq!(inbox.add(&modem(), single.clone(), now).len(), 1);
    assert!(inbox.add(&modem(), single.clone(), now).is_empty());
    let later = Deliver { timestamp: ServiceTime([0x62, 0x11, 0x12, 0x10, 0x00, 0x10, 0]), ..single };
    assert_eq!(inbox.add(&modem(), later, now).len(), 1, "the same text a second later is new");
}

#[test]
fn incomplete_messages_come_out_in_time() {
    let (mut inbox, now) = inbox();
    let mut long = parts(1, &"x".repeat(400));
    inbox.add(&modem(), long.remove(1), now);
    let timeout = InboxConfig::default().timeout;
    assert!(inbox.tick(now + timeout / 2).is_empty());
    let out = inbox.tick(now + timeout);
    assert_eq!(out[0].missing, [1, 3]);
    assert_eq!(inbox.pending(), 0);
}

#[test]
fn a_reference_comes_round() {
    let (mut inbox, now) = inbox();
    let first = parts(7, &"a".repeat(200));
    let second = parts(7, &"b".repeat(200));
    assert!(inbox.add(&modem(), first[0].clone(), now).is_empty());
    let out = inbox.add(&modem(), second[0].clone(), now);
    assert_eq!((out.len(), &out[0].missing[..]), (1, &[2][..]));
    let out = inbox.add(&modem(), second[1].clone(), now);
    assert_eq!(out[0].text, "b".repeat(200));
}

#[test]
fn the_oldest_makes_room() {
    let config = InboxConfig { max_pending: 2, ..InboxConfig::default() };
    let (mut inbox, now) = (Inbox::new(config), Instant::now());
    for reference in 0..2 {
        let first = parts(reference, &format!("{reference}").repeat(200)).remove(0);
        assert!(
            inbox
                .add(&modem(), first, now + Duration::from_secs(reference.into()))
                .is_empty()
        );
    }
    let out = inbox.add(&modem(), parts(2, &"2".repeat(200)).remove(0), now);
    assert!(out[0].text.starts_with("000"));
    assert_eq!(inbox.pending(), 2);
}

#[test]
fn a_character_split_by_the_sender_is_whole_again() {
    let (mut inbox, now) = inbox();
    let truck = "🚚".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let half = |nth: usize| {
        let concat = Concat { reference: Reference::Short(1), total: 2, part: nth as u8 + 1 };
        let header = Header::for_text(Some(concat), crate::pdu::alphabet::Shift::default());
        let payload = Payload::Ucs2(truck[nth * 2..nth * 2 + 2].to_vec());
        part(0, UserData::new(DataCoding::UCS2, header, payload).unwrap())
    };
    assert!(inbox.add(&modem(), half(1), now).is_empty());
    assert_eq!(inbox.add(&modem(), half(0), now)[0].text, "🚚");
}

#[test]
fn memory_is_bounded() {
    let config = InboxConfig { remembered: 10, ..InboxConfig::default() };
    let (mut inbox, now) = (Inbox::new(config), Instant::now());
    for nth in 0..1000 {
        let single = parts(1, &format!("message {nth}")).remove(0);
        assert_eq!(inbox.add(&modem(), single, now).len(), 1);
    }
    assert_eq!((inbox.seen.len(), inbox.seen_order.len()), (10, 10));
}
