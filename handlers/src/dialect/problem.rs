//! Refusals: RFC 9457 problem details, or the error envelope of the dialect.

use std::borrow::Cow;

use megamind_domain::{Rejection, Response};
use serde_json::{Map, Value};

use super::Dialect;

/// Renders a refusal.
pub(crate) fn render(dialect: &Dialect, rejection: &Rejection) -> Response {
    let error = dialect.envelope.as_ref().and_then(|envelope| envelope.error.as_ref());
    let (content_type, body) = match error {
        None => ("application/problem+json", problem(rejection)),
        Some(error) => {
            let mut body = error.fields.clone();
            set(&mut body, &error.message, rejection.detail.as_str().into());
            if let Some(code) = &error.code {
                set(&mut body, code, rejection.code.into());
            }
            ("application/json", body)
        }
    };
    Response {
        status: rejection.status,
        content_type: Cow::Borrowed(content_type),
        retry_after: rejection.retry_after,
        // Every key is a text, so this does not fail.
        body: serde_json::to_vec(&body).unwrap_or_default().into(),
    }
}

fn problem(rejection: &Rejection) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("type".into(), "about:blank".into());
    body.insert("title".into(), title(rejection.status).into());
    body.insert("status".into(), rejection.status.into());
    body.insert("detail".into(), rejection.detail.as_str().into());
    body.insert("code".into(), rejection.code.into());
    if let Some(field) = &rejection.field {
        body.insert("field".into(), field.as_str().into());
    }
    body
}

/// The phrase of a status (RFC 9110, section 15), which RFC 9457 asks for with `about:blank`.
fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

/// Sets a member by its dotted path.
fn set(body: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            body.insert(path.into(), value);
        }
        Some((first, rest)) => {
            let inner = body.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}
