use proptest::prelude::*;

use super::*;

const ID: &str = "blr-01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn replaced(text: &str, place: Place, upstream: &str) -> (String, Vec<Alias>) {
    let mut used = Vec::new();
    let out = LocalIds::new("blr", None, false).replace(&Bytes::from(text.to_owned()), place, &mut used, |local| {
        (local == ID).then(|| Arc::from(upstream))
    });
    (String::from_utf8(out.to_vec()).expect("text"), used)
}

#[test]
fn ids_are_replaced_in_every_form() {
    for (before, after) in [
        (format!("/trackOrder/{ID}"), "/trackOrder/OB-7"),
        (format!("orderId={ID}&x=1"), "orderId=OB-7&x=1"),
        (format!(r#"{{"orderId":"{ID}"}}"#), r#"{"orderId":"OB-7"}"#),
        (format!("{ID},{ID}"), "OB-7,OB-7"),
        (format!("?ids=%5B%22{ID}%22%2C%22{ID}%22%5D"), "?ids=%5B%22OB-7%22%2C%22OB-7%22%5D"),
        (ID.replace('-', "%2D"), "OB-7"),
        (format!("/x?orderId={}&y", ID.replace('-', "%2d")), "/x?orderId=OB-7&y"),
        (format!(r#"["{}"]"#, ID.replace('-', "\\u002d")), r#"["OB-7"]"#),
    ] {
        let (out, used) = replaced(&before, Place::Url, "OB-7");
        assert_eq!((out.as_str(), used.len()), (after, 1));
        assert_eq!(&*used[0].local, ID);
    }
}

#[test]
fn an_id_is_escaped_as_its_place_demands() {
    let id = "a/b \"7\"";
    assert_eq!(replaced(&format!("/o/{ID}"), Place::Url, id).0, "/o/a%2Fb%20%227%22");
    assert_eq!(replaced(&format!("\"{ID}\""), Place::Json, id).0, "\"a/b \\\"7\\\"\"");
    assert_eq!(replaced(ID, Place::Raw, id).0, id);
}

const RANGE: Option<(u64, u64)> = Some((71_000_000, 71_999_999));

fn numbered(text: &str, place: Place, upstream: &str, upstream_numbers: bool) -> String {
    let ids = LocalIds::new("blr", RANGE, upstream_numbers);
    let alias = |local: &str| (local == ID || local == "71000005").then(|| Arc::from(upstream));
    let out = ids.replace(&Bytes::from(text.to_owned()), place, &mut Vec::new(), alias);
    String::from_utf8(out.to_vec()).expect("text")
}

#[test]
fn a_number_of_the_reserved_range_is_replaced() {
    for (before, after) in [
        ("/orders/71000005/track", "/orders/4711/track"),
        ("id=71000005&x=1", "id=4711&x=1"),
        ("?ids=%5B71000005%2C71000006%5D", "?ids=%5B4711%2C71000006%5D"),
    ] {
        assert_eq!(numbered(before, Place::Url, "4711", false), after);
    }
    let both = format!("71000005,{ID},71000005");
    assert_eq!(numbered(&both, Place::Raw, "4711", false), "4711,4711,4711");
}

#[test]
fn a_json_number_stays_one_where_it_can() {
    let json = r#"{"id":71000005,"ids":["71000005", 71000005 ],"note":"see 71000005, please"}"#;
    assert_eq!(
        numbered(json, Place::Json, "4711", false),
        r#"{"id":4711,"ids":["4711", 4711 ],"note":"see 4711, please"}"#
    );
    assert_eq!(
        numbered(json, Place::Json, "OB-7", false),
        r#"{"id":"OB-7","ids":["OB-7", "OB-7" ],"note":"see OB-7, please"}"#
    );
    // A text that begins with zero is no number.
    assert_eq!(numbered(r#"{"id":71000005}"#, Place::Json, "007", false), r#"{"id":"007"}"#);
}

#[test]
fn an_upstream_that_wants_numbers_gets_them() {
    let json = format!(r#"{{"id":"71000005","order":"{ID}","note":"see {ID}"}}"#);
    assert_eq!(
        numbered(&json, Place::Json, "4711", true),
        r#"{"id":4711,"order":4711,"note":"see 4711"}"#
    );
    assert_eq!(numbered(r#"["71000005"]"#, Place::Json, "OB-7", true), r#"["OB-7"]"#);
    assert_eq!(numbered("id=71000005", Place::Url, "4711", true), "id=4711");
}

#[test]
fn what_is_no_number_of_ours_stays() {
    for text in [
        "710000051",
        "171000005",
        "7100000",
        "72000005",
        "+71000005",
        "%2B71000005",
        "71000005.5",
        "0.71000005",
        "71000005e2",
        "a71000005",
        "%71000005",
        "-71000005",
        "71000005-1",
    ] {
        assert_eq!(numbered(text, Place::Raw, "4711", false), text);
    }
}

#[test]
fn the_way_back_keeps_numbers_where_ours_are_numbers() {
    let alias = Alias { local: "71000005".into(), upstream: "4711".into(), member: None };
    let body = Bytes::from_static(br#"{"orderId":4711,"order_id":"4711","cash":4711}"#);
    let back = back_to_local(&body, &[alias]);
    assert_eq!(&back[..], br#"{"orderId":71000005,"order_id":"71000005","cash":4711}"#);
}

#[test]
fn it_is_known_what_the_request_called_it() {
    let member = |text: String, place| replaced(&text, place, "7").1[0].member.clone();
    assert_eq!(member(format!("{{\"nr\" : \"{ID}\"}}"), Place::Json).as_deref(), Some("nr"));
    assert_eq!(member(format!("/x?a=1&nr={ID}"), Place::Url).as_deref(), Some("nr"));
    assert_eq!(member(format!("nr={ID}"), Place::Url).as_deref(), Some("nr"));
    let mut used = Vec::new();
    let ids = LocalIds::new("blr", RANGE, false);
    ids.replace(&Bytes::from_static(b"{\"nr\": 71000005}"), Place::Json, &mut used, |_| {
        Some(Arc::from("7"))
    });
    assert_eq!(used[0].member.as_deref(), Some("nr"));
    assert_eq!(member(format!("/x/{ID}"), Place::Url), None);
}

#[test]
fn what_only_looks_alike_stays() {
    for text in [
        format!("x{ID}"),
        format!("{ID}9"),
        format!("a-{ID}"),
        ID.to_lowercase(),
        "blr-01ARZ3NDEKTSV4RRFFQ69G5FAI".to_owned(),
        "blr-".to_owned(),
    ] {
        assert_eq!(replaced(&text, Place::Json, "OB-7"), (text.clone(), Vec::new()));
    }
}

fn back(body: &'static str, upstream: &str, member: Option<&str>) -> String {
    let alias = Alias { local: "L".into(), upstream: upstream.into(), member: member.map(Box::from) };
    String::from_utf8(back_to_local(&Bytes::from_static(body.as_bytes()), &[alias]).to_vec()).expect("text")
}

#[test]
fn an_answer_gets_the_local_id_back_where_the_whole_string_is_the_id() {
    assert_eq!(
        back(
            r#"{"orderId":"OB-7","note":"OB-7 late","next":"OB-71","all":["x","OB-7"],"OB-7":1}"#,
            "OB-7",
            None
        ),
        r#"{"orderId":"L","note":"OB-7 late","next":"OB-71","all":["x","L"],"OB-7":1}"#
    );
    assert_eq!(back(r#"{"said":"\"OB-7\""}"#, "OB-7", None), r#"{"said":"\"OB-7\""}"#);
    assert_eq!(back(r#"{"id":"a\"b"}"#, "a\"b", None), r#"{"id":"L"}"#);
}

#[test]
fn an_id_of_digits_is_mapped_where_it_is_called_an_id() {
    let body = r#"{"orderId": 7, "codAmount": 7, "cod":"7", "order_ids":[7,70,"7"], "id":-7, "nr":7}"#;
    assert_eq!(
        back(body, "7", None),
        r#"{"orderId": "L", "codAmount": 7, "cod":"7", "order_ids":["L",70,"L"], "id":-7, "nr":7}"#
    );
    assert!(back(body, "7", Some("nr")).ends_with(r#""nr":"L"}"#));
}

#[test]
fn a_header_gets_whole_words_back() {
    let alias = Alias { local: "L".into(), upstream: "7".into(), member: None };
    assert_eq!(words_to_local("http://h:70/o/7?x=7", &[alias]), "http://h:70/o/L?x=L");
}

proptest! {
    #[test]
    fn nothing_else_changes(text in "[ -~]{0,60}(blr-)?[ -~]{0,60}") {
        let (out, used) = replaced(&text, Place::Url, "7");
        prop_assert_eq!(used.len(), 0);
        prop_assert_eq!(out, text);
    }

    #[test]
    fn no_answer_is_too_odd(text in "[\\[\\]{}:,\"\\\\0-9a-e -]{0,60}") {
        let alias = Alias { local: "L".into(), upstream: "no such id".into(), member: None };
        let body = Bytes::from(text);
        prop_assert_eq!(back_to_local(&body, &[alias]), body);
    }
}
