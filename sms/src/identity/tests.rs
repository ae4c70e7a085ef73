use super::*;
use crate::grammar::{Request, parse};

fn enrolment() -> Enrolment {
    Enrolment::new("P1", Secret::new(*b"12345678901234567890"), vec!["+919876543210".into()], "en", false)
}

fn request(text: &str) -> Request {
    parse(text).expect("a command").swap_remove(0)
}

fn answered(request: &Request) -> Answered {
    Answered {
        seq: request.seq,
        body: request.body.clone(),
        code: request.code.clone(),
        reply: Some(format!("#{} OK", request.seq)),
        at: 0,
        undo: None,
    }
}

#[test]
fn hand_codes_are_those_of_rfc_4226() {
    // Appendix D.
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
    ];
    for (counter, code) in (0..).zip(codes) {
        assert_eq!(hand_code(&enrolment().secret, counter), code);
    }
    assert_eq!(enrolment().secret.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}

#[test]
fn an_app_signs_all_that_matters() {
    let pilot = enrolment();
    let code = app_code(&pilot.secret, "blr", "+919876543210", 17, "P 4711");
    assert_eq!(code.len(), 6);
    let right = request(&format!("p 4711 17 {}", code.to_lowercase()));
    assert_eq!(pilot.verify("blr", "+919876543210", &right), Some(Proof::App));
    assert_eq!(pilot.verify("del", "+919876543210", &right), None);
    assert_eq!(pilot.verify("blr", "+919876543211", &right), None);
    assert_eq!(pilot.verify("blr", "+919876543210", &request(&format!("P 4712 17 {code}"))), None);
    assert_eq!(pilot.verify("blr", "+919876543210", &request(&format!("P 4711 18 {code}"))), None);
}

#[test]
fn a_hand_may_skip_codes_and_never_uses_one_twice() {
    let mut pilot = enrolment();
    let third = request("A 1 359152");
    let proof = pilot.verify("blr", "+919876543210", &third).expect("within the look-ahead");
    assert_eq!(proof, Proof::Hand { next: 3 });
    pilot.note(proof, answered(&third));
    assert_eq!(pilot.verify("blr", "+919876543210", &request("A 2 359152")), None);
    assert_eq!(pilot.verify("blr", "+919876543210", &request("A 2 287082")), None);
    assert!(pilot.verify("blr", "+919876543210", &request("A 2 969429")).is_some());
    assert!(pilot.repeated(&third).is_some() && pilot.repeated(&request("A 1 359153")).is_none());
}

#[test]
fn the_window_remembers_sixty_four() {
    let mut pilot = enrolment();
    for seq in (1..=200).filter(|seq| *seq != 150) {
        let request = request(&format!("P 1 {seq} 000000"));
        assert_eq!(pilot.seen(&request), Seen::Never, "{seq}");
        pilot.note(Proof::App, answered(&request));
    }
    assert_eq!(pilot.window.len(), WINDOW);
    assert_eq!(pilot.seen(&request("P 1 200 111111")), Seen::Again(Some("#200 OK".into())));
    assert_eq!(pilot.seen(&request("P 2 200 111111")), Seen::Other);
    assert_eq!(pilot.seen(&request("P 1 150 111111")), Seen::Never, "late, but within the window");
    assert_eq!(pilot.seen(&request("P 1 135 111111")), Seen::Other, "beyond it");
}

#[test]
fn five_wrong_codes_in_a_quarter_of_an_hour_lock() {
    let mut guard = Guard::default();
    let minute = 60_000;
    assert_eq!(guard.wrong(0), Verdict::Answer);
    for nth in 1..4 {
        assert_eq!(guard.wrong(nth * minute), Verdict::Silence);
    }
    assert!(!guard.is_locked(4 * minute));
    assert_eq!(guard.wrong(4 * minute), Verdict::Locked);
    assert!(guard.is_locked(4 * minute + LOCKED_FOR - 1) && !guard.is_locked(4 * minute + LOCKED_FOR));
    let mut patient = Guard::default();
    for nth in 0..50 {
        assert_eq!(patient.wrong(nth * 15 * minute), Verdict::Answer, "never five together");
    }
}

#[test]
fn free_text_is_answered_once_an_hour() {
    let mut guard = Guard::default();
    let hour = 60 * 60_000;
    assert_eq!(
        [0, 1, hour - 1, hour, hour + 1].map(|at| guard.may_answer(at)),
        [true, false, false, true, false]
    );
}

#[test]
fn one_number_has_many_forms() {
    let india = Country::of("IN");
    for text in [
        "+919812345678",
        "919812345678",
        "09812345678",
        "9812345678",
        "0091 98123 45678",
        "+91-98123-45678",
    ] {
        assert_eq!(normalised(text, india).as_deref(), Some("+919812345678"), "{text}");
    }
    assert_eq!(normalised("+49 151 12345678", india).as_deref(), Some("+4915112345678"));
    for text in ["VODAFONE", "12345", "", "+", "+0123456789", "09812", "+91981234567890123"] {
        assert_eq!(normalised(text, india), None, "{text}");
    }
    assert_eq!(normalised("9812345678", None), None);
}
