//! kill -9 between a message and its answer.

use super::Rig;

#[test]
fn no_message_is_lost_or_carried_out_twice_through_fifty_kills() {
    let mut rig = Rig::start();
    let number = rig.pilots[0].number().to_owned();
    let rounds = 50;
    for round in 1..=rounds {
        let order = rig.city.place(&format!("k{round}"));
        let pilot = &rig.pilots[0];
        rig.city.deliver(&order, pilot.id(), "accepted").expect(200);
        rig.modem.deliver(&number, &pilot.by_app(round, &format!("D {order} 1234")));
        // Each round at another moment.
        std::thread::sleep(std::time::Duration::from_millis(u64::from(round) * 7 % 160));
        rig.city.gateway.kill();
        rig.city.gateway.start();
        let wanted = format!("#{round} OK D {} 1234", order.to_ascii_uppercase());
        assert_eq!(rig.await_text(&number, &format!("#{round} ")), wanted);
        let effects = rig.city.cloud.effects_of(&format!("\"sms-{round}\""));
        assert_eq!(effects.len(), 1, "{effects:?}");
    }
    let texts = rig.texts(&number);
    for round in 1..=rounds {
        let answers = texts.iter().filter(|text| text.starts_with(&format!("#{round} "))).count();
        // A kill while the modem sends leaves its outcome unknown; only then may an answer go out twice.
        assert!((1..=2).contains(&answers), "round {round}: {answers} answers");
    }
    // The second of two says that it may be a repetition (TP-RD), and nothing else does.
    let again = rig.modem.sent().iter().filter(|sent| sent.submit.reject_duplicates).count();
    assert!(
        texts.len() - rounds as usize <= again,
        "{} answers in {rounds} rounds, {again} in doubt",
        texts.len()
    );
}
