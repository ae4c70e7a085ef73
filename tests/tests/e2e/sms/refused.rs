//! What is refused: counted, and nothing changed.

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
    let told = rig.city.gateway.metric("megamind_sms_messages_total", "outcome=\"locked\"");
    assert_eq!(told, Some(1.0));
}
