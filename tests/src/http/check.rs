//! The one strict checker: what the gateway promises of every answer.

use serde_json::Value;

use super::{Answer, Trouble};

/// Checks an answer of the gateway's public listener.
pub(super) fn check(answer: &Answer, method: &str) -> Result<(), Trouble> {
    let fault = via(answer).or_else(|| served_by(answer)).or_else(|| body(answer, method));
    match fault {
        Some(what) => Err(Trouble::Violation(format!("{what}: {answer}"))),
        None => Ok(()),
    }
}

/// Every answer says once that it came through the gateway.
fn via(answer: &Answer) -> Option<String> {
    let hops = answer
        .all("via")
        .flat_map(|value| value.split(','))
        .filter(|hop| hop.trim() == "1.1 megamind")
        .count();
    (hops != 1).then(|| format!("{hops} times Via: 1.1 megamind"))
}

/// The gateway's own answers say so, in one way only.
fn served_by(answer: &Answer) -> Option<String> {
    let values: Vec<&str> = answer.all("x-served-by").collect();
    let known = values.is_empty() || values == ["megamind"];
    (!known).then(|| format!("X-Served-By {values:?}"))
}

/// The gateway's own bodies are well formed, errors above all.
fn body(answer: &Answer, method: &str) -> Option<String> {
    let silent = method == "HEAD" || method == "OPTIONS" || answer.status == 204;
    if !answer.is_local() || silent {
        return None;
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return Some("a body of ours that is not JSON".to_owned());
    };
    let content_type = answer.header("content-type").unwrap_or_default();
    if answer.status < 400 {
        let good = content_type == "application/json";
        return (!good).then(|| format!("a success as {content_type:?}"));
    }
    match content_type {
        "application/problem+json" => problem(answer.status, &body),
        "application/json" => enveloped(&body),
        _ => Some(format!("an error as {content_type:?}")),
    }
}

/// RFC 9457, and a stable code.
fn problem(status: u16, body: &Value) -> Option<String> {
    let has_text = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
    let missing = ["type", "title", "detail", "code"].into_iter().find(|name| !has_text(name));
    if let Some(name) = missing {
        return Some(format!("a problem without {name:?}"));
    }
    (body["status"] != status).then(|| "a problem of another status".to_owned())
}

/// The error of the enveloped dialect.
fn enveloped(body: &Value) -> Option<String> {
    let marked = body["success"] == false;
    let speaks = |pointer: &str| body.pointer(pointer).is_some_and(Value::is_string);
    let told = speaks("/error/message") && speaks("/error/code") || speaks("/message") && speaks("/error_code");
    (!(marked && told)).then(|| "an error without a code and a text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.as_bytes().to_vec(),
            elapsed: Duration::ZERO,
        }
    }

    const VIA: (&str, &str) = ("via", "1.1 megamind");
    const OURS: (&str, &str) = ("x-served-by", "megamind");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const PROBLEM: (&str, &str) = ("content-type", "application/problem+json");
    const GONE: &str = r#"{"type":"about:blank","title":"t","detail":"d","code":"c","status":410}"#;

    #[test]
    fn good_answers_pass() {
        for good in [
            answer(200, &[VIA], "<html>"),
            answer(200, &[("via", "1.0 far, 1.1 megamind")], ""),
            answer(200, &[VIA, OURS, JSON], "{}"),
            answer(410, &[VIA, OURS, PROBLEM], GONE),
            answer(404, &[VIA, OURS, JSON], r#"{"success":false,"error":{"code":"c","message":"m"}}"#),
        ] {
            check(&good, "GET").expect("a good answer");
        }
    }

    #[test]
    fn bad_answers_do_not() {
        for bad in [
            answer(200, &[], ""),
            answer(200, &[VIA, VIA], ""),
            answer(200, &[VIA, ("x-served-by", "somebody")], "{}"),
            answer(200, &[VIA, OURS, JSON], "{"),
            answer(200, &[VIA, OURS, PROBLEM], "{}"),
            answer(404, &[VIA, OURS, PROBLEM], GONE),
            answer(410, &[VIA, OURS, PROBLEM], "{}"),
            answer(500, &[VIA, OURS, JSON], r#"{"success":true}"#),
            answer(500, &[VIA, OURS, ("content-type", "text/html")], "{}"),
        ] {
            assert!(check(&bad, "GET").is_err(), "{bad}");
        }
    }
}
