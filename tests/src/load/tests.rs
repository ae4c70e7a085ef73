use serde_json::json;

use super::*;

fn write(order: usize, step: usize, told: Told) -> Written {
    Written { tag: Tag { worker: 1, order, step }, id: None, told }
}

/// The log of a cloud in which these writes had effect, all by one pilot.
fn log(tags: &[(usize, usize)]) -> Vec<Effect> {
    let effect = |&(order, step): &(usize, usize)| {
        let tag = Tag { worker: 1, order, step };
        Effect::from(json!({
            "endpoint": "/updatemaster/ind/deliveryInfo",
            "minionId": "P1",
            "body": json!({"tag": tag.to_string()}).to_string(),
        }))
    };
    tags.iter().map(effect).collect()
}

#[test]
fn what_is_right_passes() {
    let written = [
        write(0, 0, Told::Done),
        write(0, 1, Told::Nothing),
        write(1, 0, Told::Done),
        write(1, 1, Told::Refused),
        write(2, 0, Told::Nothing),
    ];
    let tally = audit(&written, &log(&[(0, 0), (1, 0), (2, 0)]));
    assert_eq!((tally.done, tally.refused, tally.open), (2, 1, 2));
}

#[test]
#[should_panic(expected = "t-1-0-0 (None) was told Done and had effect 0 times")]
fn a_lost_write_is_found() {
    audit(&[write(0, 0, Told::Done)], &[]);
}

#[test]
#[should_panic(expected = "was told Done and had effect 2 times")]
fn a_repeated_write_is_found() {
    audit(&[write(0, 0, Told::Done)], &log(&[(0, 0), (0, 0)]));
}

#[test]
#[should_panic(expected = "was told Refused and had effect 1 times")]
fn a_refused_write_with_effect_is_found() {
    audit(&[write(0, 0, Told::Refused)], &log(&[(0, 0)]));
}

#[test]
#[should_panic(expected = "was told Nothing and had effect 2 times")]
fn an_open_write_with_two_effects_is_found() {
    audit(&[write(0, 0, Told::Nothing)], &log(&[(0, 0), (0, 0)]));
}

#[test]
#[should_panic(expected = "t-1-0-1 had effect before t-1-0-0: order 1-0")]
fn disorder_in_an_order_is_found() {
    audit(&[write(0, 0, Told::Done), write(0, 1, Told::Done)], &log(&[(0, 1), (0, 0)]));
}

#[test]
#[should_panic(expected = "t-1-1-0 had effect before t-1-0-0: pilot P1")]
fn disorder_of_a_pilot_is_found() {
    audit(&[write(0, 0, Told::Done), write(1, 0, Told::Done)], &log(&[(1, 0), (0, 0)]));
}
