//! A request's content from its query and its body, in any of the three forms.

use megamind_domain::{Rejection, Request};

use super::{
    form,
    node::{JsonError, MAX_DEPTH, Members, Node},
};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Urlencoded,
}

/// Everything that a request says: the query, and over it the body.
pub(crate) fn content(request: &Request) -> Result<Node<'_>, Rejection> {
    let mut members = Members::new();
    let query = request.query.as_deref().unwrap_or_default();
    form::read(query.as_bytes(), &mut members)?;
    match form_of(request)? {
        None => {}
        Some(Form::Urlencoded) => form::read(&request.body, &mut members)?,
        Some(Form::Json) => {
            form::lists(&mut members);
            let Node::Map(body) = json(&request.body)? else {
                return Err(Rejection::new(400, "wrong_type", "The body must be a JSON object."));
            };
            // In a list of members the last one counts.
            members.extend(body);
            return Ok(Node::Map(members));
        }
    }
    form::lists(&mut members);
    Ok(Node::Map(members))
}

/// Reads a JSON body.
pub(crate) fn json(body: &[u8]) -> Result<Node<'_>, Rejection> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Rejection::new(400, "invalid_utf8", format!("The body is not UTF-8 (at byte {at})."))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Node::from_json(text).map_err(|error| match error {
        JsonError::TooDeep => too_deep(),
        JsonError::Malformed(error) => Rejection::new(400, "malformed_json", format!("The body is not JSON: {error}.")),
    })
}

pub(super) fn too_deep() -> Rejection {
    Rejection::new(400, "too_deep", format!("At most {MAX_DEPTH} levels of nesting are taken."))
}

/// The form of the body, by its type, and where there is none by its look.
pub(crate) fn form_of(request: &Request) -> Result<Option<Form>, Rejection> {
    let first = request.body.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
    let Some(first) = first else { return Ok(None) };
    if let Some(coding) = request.content_encoding.as_deref()
        && !coding.trim().eq_ignore_ascii_case("identity")
    {
        return Err(Rejection::new(
            415,
            "unsupported_media_type",
            "The body must come without a content coding.",
        ));
    }
    let full = request.content_type.as_deref().unwrap_or_default();
    let kind = full.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "" | "text/plain" | "application/octet-stream" => Ok(Some(match first {
            b'{' | b'[' | 0xef => Form::Json,
            _ => Form::Urlencoded,
        })),
        "application/json" | "text/json" => Ok(Some(Form::Json)),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Some(Form::Json)),
        // Old clients send JSON under curl's default type.
        "application/x-www-form-urlencoded" => Ok(Some(match first {
            b'{' => Form::Json,
            _ => Form::Urlencoded,
        })),
        _ => Err(Rejection::new(
            415,
            "unsupported_media_type",
            "The body must be application/json or application/x-www-form-urlencoded.",
        )),
    }
}
