//! An order from `A` to `D`, by app and by card, acting and forwarding; and once by both ways.

use serde_json::json;

use super::Rig;

#[test]
fn an_order_by_sms_alone_while_acting() {
    let mut rig = Rig::start();
    rig.city.lose_cloud();
    let order = rig.city.place("acting");
    let pilot = rig.carrier(&order);
    let writer = &rig.pilots[pilot];
    let short = rig.assigned(writer.number());
    rig.modem.deliver(writer.number(), &writer.by_app(1, "A"));
    let answer = rig.await_text(writer.number(), "#1 OK 1/1 ");
    assert!(
        answer.contains(&format!("{short} PICK 12.97160,77.59460 7J4VXHCV+JR 1 Church Street")),
        "{answer}"
    );
    let by = answer.rsplit(" BY").next().expect("the end");
    assert!(by.len() == 4 && by.bytes().all(|digit| digit.is_ascii_digit()), "by when: {answer}");
    rig.modem.deliver(writer.number(), &writer.by_app(2, &format!("P {short}")));
    rig.modem
        .deliver(writer.number(), &writer.by_app(3, &format!("D {short} 1234")));
    assert_eq!(rig.await_text(writer.number(), "#3 "), format!("#3 OK D {short} 1234"));
    assert_eq!(rig.city.status_of(&order), "delivered");

    // The next by the card: a proof code is asked for.
    let order = rig.city.place("card");
    let writer = &rig.pilots[rig.carrier(&order)];
    rig.modem.deliver(writer.number(), &writer.by_card(11, "A"));
    let answer = rig.await_text(writer.number(), "#11 OK 1/1 ");
    let short = answer.split(' ').nth(3).expect("a number").to_owned();
    rig.modem.deliver(writer.number(), &writer.by_card(12, &format!("P {short}")));
    rig.modem.deliver(writer.number(), &writer.by_card(13, &format!("D {short}")));
    assert_eq!(rig.await_text(writer.number(), "#13 "), "#13 E PIN");
    rig.modem
        .deliver(writer.number(), &writer.by_card(14, &format!("D {short} 1234")));
    assert_eq!(rig.await_text(writer.number(), "#14 "), format!("#14 OK D {short} 1234"));
    assert_eq!(rig.city.status_of(&order), "delivered");
    rig.city.regain_cloud();
}

#[test]
fn an_order_by_sms_alone_through_to_the_cloud() {
    let rig = Rig::start();
    let order = rig.city.place("forwarding");
    let writer = &rig.pilots[0];
    rig.city.deliver(&order, writer.id(), "accepted").expect(200).expect_forwarded();
    rig.modem.deliver(writer.number(), &writer.by_card(1, "A"));
    let answer = rig.await_text(writer.number(), "#1 OK 1/1 ");
    let short = answer.split(' ').nth(3).expect("a number").to_owned();
    rig.modem.deliver(writer.number(), &writer.by_app(2, &format!("P {short}")));
    rig.modem
        .deliver(writer.number(), &writer.by_card(3, &format!("D {short} 77 450")));
    assert_eq!(rig.await_text(writer.number(), "#3 "), format!("#3 OK D {short} 77 450"));
    let told: Vec<String> = rig
        .city
        .cloud
        .effects_of("sms-")
        .iter()
        .map(|effect| effect.body().to_owned())
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("picked_up") && told[1].contains("delivered") && told[1].contains(&order),
        "{told:?}"
    );

    // The same intention by HTTP has no second effect. The cloud sees other bytes under the key that it knows, and may
    // say so (422).
    let body = json!({"orderId": order, "minionId": writer.id(), "status": "delivered", "requestId": "sms-3"});
    let again = rig.city.post("/updatemaster/ind/deliveryInfo", &body);
    assert!(matches!(again.status, 200 | 422), "{again}");
    assert_eq!(rig.city.cloud.effects_of("sms-").len(), 2);
}

#[test]
fn a_slip_of_the_hand_is_undone_before_the_cloud_hears_of_it() {
    let mut rig = Rig::start();
    rig.city.lose_cloud();
    let order = rig.city.place("slip");
    let writer = &rig.pilots[rig.carrier(&order)];
    let short = rig.assigned(writer.number());
    for (seq, body) in [(1, format!("P {short}")), (2, format!("D {short} 1234"))] {
        rig.modem.deliver(writer.number(), &writer.by_card(seq, &body));
    }
    rig.await_text(writer.number(), "#2 OK");
    let queued = rig.queued();
    rig.modem.deliver(writer.number(), &writer.by_card(3, "U 2"));
    assert_eq!(rig.await_text(writer.number(), "#3 "), "#3 OK U 2");
    assert_eq!(rig.city.status_of(&order), "picked_up");
    assert_eq!(rig.queued(), queued - 1);
    // Twice is once; what was never sent cannot be undone.
    rig.modem.deliver(writer.number(), &writer.by_card(4, "U 2"));
    assert_eq!(rig.await_text(writer.number(), "#4 "), "#4 E UNDO");
    rig.modem.deliver(writer.number(), &writer.by_card(5, "U 99"));
    assert_eq!(rig.await_text(writer.number(), "#5 "), "#5 E UNDO");

    // It failed, in the end. The cloud hears of that alone, and what it knows is not undone here.
    rig.modem
        .deliver(writer.number(), &writer.by_card(6, &format!("F {short} nobody home")));
    rig.await_text(writer.number(), "#6 OK");
    let number = writer.number().to_owned();
    let undo = writer.by_card(7, "U 6");
    rig.city.regain_cloud();
    rig.modem.deliver(&number, &undo);
    assert_eq!(rig.await_text(&number, "#7 "), "#7 E UNDO");
    let told = rig.city.cloud.effects_of("\"sms-");
    let bodies: Vec<&str> = told.iter().map(megamind_tests::cloud::Effect::body).collect();
    assert_eq!(bodies.len(), 2, "{bodies:?}");
    assert!(bodies[0].contains("picked_up") && bodies[1].contains("failed"), "{bodies:?}");
    assert_eq!(rig.city.status_of(&order), "failed");
}

impl Rig {
    fn queued(&self) -> u64 {
        let status = self.city.gateway.status();
        status["queue"]["entries"].as_u64().expect("a number")
    }

    /// Which of the pilots was given an order.
    fn carrier(&self, order: &str) -> usize {
        megamind_tests::wait::until("somebody has the order", || {
            let answer = self.city.track(order).expect(200).json();
            let carrier = answer["minionId"].as_str()?.to_owned();
            self.pilots.iter().position(|pilot| pilot.id() == carrier)
        })
    }
}
