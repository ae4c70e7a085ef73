//! What is refused: counted, and nothing changed.

use megamind_sms::pdu::{
    Address, Concat, DataCoding, Deliver, Frame, Header, Reference, ServiceTime, UserData, alphabet::Shift,
    compose::Composer,
};
use megamind_tests::wait;

use super::Rig;

#[test]
fn what_proves_nothing_changes_nothing() {
    let mut rig = Rig::start();
    rig.city.lose_cloud();
    let (first, second) = (&rig.pilots[0], &rig.pilots[1]);
    // Nobody's number; a right code from another's number.
    rig.modem.deliver("+919800000000", &first.by_app(1, "S busy"));
    rig.await_outcome("unregistered", 1);
    rig.modem.deliver(second.number(), &first.by_app(1, "S busy"));
    rig.await_outcome("wrong_code", 1);
    assert_eq!(rig.await_text(second.number(), "#1 "), "#1 E CODE");
    // Free text, malformed and too long: one answer an hour for all of them.
    rig.modem.deliver(first.number(), "where are you?");
    rig.await_text(first.number(), "E HELP");
    rig.modem.deliver(first.number(), "P");
    rig.await_outcome("malformed", 1);
    rig.modem.deliver(first.number(), "S ವ್ಯಸ್ತ 5 ABCDEF");
    rig.await_outcome("alphabet", 1);
    rig.modem.deliver(first.number(), &"S busy ".repeat(80));
    rig.await_outcome("too_long", 1);
    assert_eq!(rig.texts(first.number()).iter().filter(|text| text.starts_with("E ")).count(), 1);
    // The same number for something else.
    rig.modem.deliver(first.number(), &first.by_app(7, "S busy"));
    rig.await_outcome("done", 1);
    rig.modem.deliver(first.number(), &first.by_app(7, "S offline"));
    assert_eq!(rig.await_text(first.number(), "#7 "), "#7 E SEQ");
    // Five wrong codes lock the number, and the right one does not open it.
    for nth in 0..4 {
        rig.modem.deliver(second.number(), &format!("S busy {} ZZZZZZ", 20 + nth));
        rig.await_outcome("wrong_code", 2 + nth);
    }
    rig.modem.deliver(second.number(), &second.by_app(30, "S busy"));
    rig.await_outcome("locked", 1);
    assert_eq!(rig.texts(second.number()), ["#1 E CODE"], "no answer after the first");
    for (outcome, times) in [
        ("unregistered", 1.0),
        ("wrong_code", 5.0),
        ("no_command", 1.0),
        ("malformed", 1.0),
        ("alphabet", 1.0),
        ("too_long", 1.0),
        ("seq", 1.0),
        ("locked", 1.0),
    ] {
        let label = format!("outcome=\"{outcome}\"");
        rig.city.gateway.await_metric("megamind_sms_messages_total", &label, times);
    }
}

/// A message that was sent some time ago.
fn sent_at(from: &str, text: &str, at: jiff::Timestamp) -> String {
    let composer = Composer { languages: &[], reference: Reference::Short(1), max_parts: 1 };
    let data = composer.split(text).expect("one part").remove(0);
    let time = ServiceTime::at(at, 0).expect("a time");
    Frame::new(Deliver::new(Address::number(from).expect("a number"), time, data)).to_hex()
}

#[test]
fn what_is_replayed_has_no_second_effect() {
    let mut rig = Rig::start();
    rig.city.lose_cloud();
    let order = rig.city.place("replayed");
    let first = &rig.pilots[0];
    rig.city.deliver(&order, first.id(), "accepted");
    let delivered = first.by_app(1, &format!("D {order} 1234"));
    rig.modem.deliver(first.number(), &delivered);
    let answer = rig.await_text(first.number(), "#1 ");
    let queued = rig.city.gateway.status()["queue"]["entries"].clone();
    // Overheard, and sent again by whoever can forge a number: the same answer goes to the pilot, and nothing happens.
    // In the very same second it would be the same PDU, which a network sends when it missed the acknowledgement.
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    rig.modem.deliver_pdu(&sent_at(first.number(), &delivered, later));
    rig.await_outcome("repeated", 1);
    wait::until("the stored answer", || {
        let texts = rig.texts(first.number());
        (texts.iter().filter(|text| **text == answer).count() == 2).then_some(())
    });
    assert_eq!(rig.city.gateway.status()["queue"]["entries"], queued);
    // Its code under another number, and a number that lies too far back.
    let code = delivered.rsplit(' ').next().expect("a code");
    rig.modem.deliver(first.number(), &format!("D {order} 1234 2 {code}"));
    assert_eq!(rig.await_text(first.number(), "#2 "), "#2 E CODE");
    rig.modem.deliver(first.number(), &first.by_app(100, "H"));
    rig.await_text(first.number(), "#100 OK");
    rig.modem.deliver(first.number(), &first.by_app(30, "S busy"));
    assert_eq!(rig.await_text(first.number(), "#30 "), "#30 E SEQ");
    assert_eq!(rig.city.gateway.status()["queue"]["entries"], queued);
}

#[test]
fn old_wishes_are_refused_and_facts_that_come_late_are_taken() {
    let rig = Rig::start();
    let order = rig.city.place("late");
    let writer = &rig.pilots[0];
    rig.city.deliver(&order, writer.id(), "accepted").expect(200);
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3);
    rig.modem
        .deliver_pdu(&sent_at(writer.number(), &writer.by_app(1, "S busy"), then));
    assert_eq!(rig.await_text(writer.number(), "#1 "), "#1 E OLD");
    rig.modem
        .deliver_pdu(&sent_at(writer.number(), &writer.by_app(2, &format!("J {order}")), then));
    assert_eq!(rig.await_text(writer.number(), "#2 "), "#2 E OLD");
    assert!(rig.city.cloud.effects_of("sms-").is_empty(), "nothing changed");
    for (seq, body) in [(3, format!("P {order}")), (4, format!("D {order} 77"))] {
        rig.modem
            .deliver_pdu(&sent_at(writer.number(), &writer.by_app(seq, &body), then));
    }
    rig.await_text(writer.number(), "#4 OK D");
    let effects = rig.city.cloud.effects_of("sms-");
    let said_at = then.to_string()[..16].to_owned();
    assert_eq!(effects.len(), 2);
    for effect in effects {
        assert!(
            effect.body().contains(&said_at),
            "with the service centre's time {said_at}: {}",
            effect.body()
        );
    }
}

#[test]
fn absurd_parts_and_poison_stop_nothing() {
    let rig = Rig::start();
    let writer = &rig.pilots[0];
    // One part of 255, and one of a message whose other part never comes; a header that claims more than there is.
    let data = |total: u8, part: u8| {
        let place = Concat { reference: Reference::Short(9), total, part };
        let header = Header::for_text(Some(place), Shift::default());
        let text = UserData::from_text(DataCoding(0), header, "A 1 ABCDEF").expect("fits");
        let number = Address::number(writer.number()).expect("a number");
        let now = ServiceTime::at(jiff::Timestamp::now(), 0).expect("a time");
        Frame::new(Deliver::new(number, now, text)).to_hex()
    };
    rig.modem.deliver_pdu(&data(255, 1));
    rig.await_outcome("incomplete", 1);
    rig.modem.deliver_pdu(&data(2, 1));
    // gammu-smsd 1.42 spins on it: UDHI set, and a header longer than the data.
    rig.modem
        .deliver_pdu("07919730071111F1440B919781329843F600006211211260000006FF0003090201");
    wait::until("it is quarantined", || {
        (rig.city.gateway.status()["modems"][0]["poison"].as_u64()? >= 1).then_some(())
    });
    rig.modem.deliver(writer.number(), &writer.by_app(1, "A"));
    rig.await_text(writer.number(), "#1 OK 0/0");
    assert_eq!(rig.modem.stored(), 0, "all of it is deleted from the modem");
}

#[test]
fn what_a_hand_says_is_not_answered_unless_something_is_wrong() {
    let mut rig = Rig::start();
    rig.city.lose_cloud();
    let writer = &rig.pilots[0];
    for (seq, body) in [(1, "L 12.97160,77.59456"), (2, "S busy"), (3, "S available")] {
        rig.modem.deliver(writer.number(), &writer.by_card(seq, body));
    }
    rig.await_outcome("done", 3);
    assert!(rig.texts(writer.number()).is_empty(), "{:?}", rig.texts(writer.number()));
    rig.modem.deliver(writer.number(), &writer.by_card(4, "P 999999"));
    assert_eq!(rig.await_text(writer.number(), "#4 "), "#4 E ORDER");
    // It goes back to what it was before.
    rig.modem.deliver(writer.number(), &writer.by_card(5, "S offline"));
    rig.modem.deliver(writer.number(), &writer.by_card(6, "U 5"));
    assert_eq!(rig.await_text(writer.number(), "#6 "), "#6 OK U 5");
    let info = rig
        .city
        .send(&megamind_tests::Request::get("/ind/getminiongeneralinfo?minionId=P1"))
        .expect(200)
        .json();
    assert_eq!(info["status"], "available", "{info}");
    rig.modem.deliver(writer.number(), &writer.by_card(7, "U 1"));
    assert_eq!(rig.await_text(writer.number(), "#7 "), "#7 E UNDO");
}
