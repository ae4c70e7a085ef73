//! Pilots and orders from CSV.

use megamind_handlers::{
    Settings,
    import::{LineError, orders, pilots},
};
use serde_json::json;

use crate::support::World;

#[test]
fn pilots_are_known_beforehand() {
    let mut world = World::acting();
    let text = "minionId,name,phone,lat,lng,status,capacity\r\n\
                P1,\"Asha, K.\",+919800000001,12.97,77.59,available,2\r\n\
                P2,,,,,,\r\n";
    let commands = pilots(&Settings::new("blr"), text.as_bytes()).expect("pilots");
    for command in &commands {
        let decision = world.decide(command).expect("never refused");
        // Oblivion is told nothing.
        let replay = &decision.replay;
        assert!(
            matches!(replay, megamind_domain::Replay::Nothing | megamind_domain::Replay::Known { .. }),
            "{replay:?}"
        );
    }
    let (_, told) = world.get("/bulk/getminionsgeneralinfo", "");
    assert_eq!(told["minions"][0]["name"], "Asha, K.");
    assert_eq!(told["minions"][0]["capacity"], 2);
    assert_eq!(told["minions"][1]["status"], "unknown");
}

#[test]
fn open_orders_are_known_beforehand() {
    let mut world = World::acting();
    let text = "orderId,status,minionId,merchantId,pickup.lat,pickup.lng,dropoff[lat],dropoff[lng]\n\
                OB-1,picked_up,P1,M7,12.97,77.59,12.93,77.62\n\
                OB-2,,,M7,12.97,77.59,12.93,77.62\n\
                OB-3,,P1,,,,,\n";
    let commands = orders(&Settings::new("blr"), text.as_bytes()).expect("orders");
    for command in &commands {
        world.decide(command).expect("never refused");
    }
    assert_eq!(world.track("OB-1")["minionId"], "P1");
    assert_eq!(world.track("OB-1")["status"], "picked_up");
    assert_eq!(world.track("OB-2")["status"], "placed");
    assert_eq!(world.track("OB-3")["status"], "assigned");
    assert_eq!(world.city.open_orders("M7"), 2);
    let (_, carried) = world.get("/ind/getminiondeliveryinfo", "minionId=P1");
    assert_eq!(carried["orders"][0]["pickup"], json!({"lat": 12.97, "lng": 77.59}));
}

#[test]
fn every_bad_line_is_named() {
    let text = "minionId,lat,lng,phone\nP1,91,0,\n,1,1,\nP3,1,1,12345\nP4,1\nP5,1,2,\n";
    let errors = pilots(&Settings::new("blr"), text.as_bytes()).expect_err("four bad lines");
    let found: Vec<_> = (errors.iter())
        .map(|LineError { line, field, .. }| (*line, field.as_deref()))
        .collect();
    assert_eq!(found, [(2, Some("lat")), (3, Some("minionId")), (4, Some("phone")), (5, None)]);
    assert_eq!(errors[3].detail, "2 cells where the header has 4");
    assert!(orders(&Settings::new("blr"), b"orderId\n\xff\n").is_err());
    assert_eq!(pilots(&Settings::new("blr"), b"").expect("nothing").len(), 0);
}
