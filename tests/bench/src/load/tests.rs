use super::*;
use crate::upstream::Upstream;

#[test]
fn every_request_is_answered_once() {
    let upstream = Upstream::start(Duration::ZERO).expect("an upstream");
    let mut source = Source::counted("POST", "/placeOrder", r#"{"clientRef":"{n}"}"#);
    let plan = Plan {
        target: upstream.addr(),
        connections: 8,
        source: &mut source,
        until: Until::Answered(500),
        pace: None,
    };
    let outcome = run(plan).expect("a run");
    assert_eq!((outcome.answered, outcome.broken, outcome.failed()), (500, 0, 0));
    assert_eq!(outcome.statuses, BTreeMap::from([(201, 500)]));
    assert_eq!(outcome.latency.len(), 500);
    assert_eq!(upstream.answered(), 500);
}

#[test]
fn a_paced_run_sends_what_was_asked_for() {
    let upstream = Upstream::start(Duration::from_millis(1)).expect("an upstream");
    let mut source = Source::rotating(["/trackOrder?orderId=OB-000000007".to_owned()]);
    let plan = Plan {
        target: upstream.addr(),
        connections: 4,
        source: &mut source,
        until: Until::Answered(20),
        pace: Some(2_000),
    };
    assert_eq!(run(plan).expect("a run").answered, 20);
}

#[test]
fn nobody_there_is_an_error_and_no_result() {
    let closed = Upstream::start(Duration::ZERO).expect("an upstream").addr();
    let mut source = Source::rotating(["/".to_owned()]);
    let plan = Plan { target: closed, connections: 1, source: &mut source, until: Until::Answered(1), pace: None };
    assert!(run(plan).is_err());
}
