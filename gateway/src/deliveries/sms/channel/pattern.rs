//! Texts with placeholders: `{"to": "{number}"}`.

use std::{borrow::Cow, fmt::Write as _};

use super::Message;

/// How a value is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Within a URL or a form: percent-encoded.
    Encoded,
    /// Within a string of JSON.
    Json,
    /// On one line: what would end it is left out.
    Line,
    /// Anywhere.
    Plain,
}

impl Place {
    /// What a body of a media type is.
    pub(super) fn of(content_type: &str) -> Self {
        let content_type = content_type.to_ascii_lowercase();
        if content_type.contains("json") {
            Self::Json
        } else if content_type.contains("form-urlencoded") {
            Self::Encoded
        } else {
            Self::Plain
        }
    }

    fn write(self, value: &str, out: &mut String) {
        match self {
            Self::Encoded => {
                out.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
            }
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
            Self::Line => out.extend(value.chars().filter(|c| !c.is_control())),
            Self::Plain => out.push_str(value),
        }
    }
}

/// Puts the parts of a message into a pattern, in one pass: what a text itself says in braces stays as it is.
pub(super) fn fill(pattern: &str, message: &Message, secret: &str, place: Place) -> String {
    let mut out = String::with_capacity(pattern.len() + message.text.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest[1..].split_once('}').map(|(name, _)| name);
        match name.and_then(|name| Some((name, value(name, message, secret)?))) {
            Some((name, value)) => {
                place.write(&value, &mut out);
                rest = &rest[name.len() + 2..];
            }
            None => {
                let _ = out.write_char('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn value<'m>(name: &str, message: &'m Message, secret: &'m str) -> Option<Cow<'m, str>> {
    Some(match name {
        "number" => Cow::Borrowed(&*message.number),
        "digits" => Cow::Borrowed(message.number.trim_start_matches('+')),
        "text" => Cow::Borrowed(&*message.text),
        "template_id" => Cow::Borrowed(&*message.template_id),
        "id" => Cow::Borrowed(&*message.id),
        "secret" => Cow::Borrowed(secret),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message {
            row: 7,
            id: "blr-1-7".into(),
            number: "+919812345678".into(),
            text: text.into(),
            template_id: "1107".into(),
            assignment: true,
            report: false,
        }
    }

    #[track_caller]
    fn check(pattern: &str, text: &str, place: Place, wanted: &str) {
        assert_eq!(fill(pattern, &message(text), "s3cret", place), wanted);
    }

    #[test]
    fn values_are_written_as_their_place_demands() {
        check(
            "http://x/?to={number}&t={text}",
            "a b&c",
            Place::Encoded,
            "http://x/?to=%2B919812345678&t=a%20b%26c",
        );
        check(
            r#"{"to":"{digits}","text":"{text}"}"#,
            "say \"hi\"\n",
            Place::Json,
            r#"{"to":"919812345678","text":"say \"hi\"\n"}"#,
        );
        check("Bearer {secret}", "", Place::Line, "Bearer s3cret");
        check("{id} {template_id} {}{other} {", "", Place::Plain, "blr-1-7 1107 {}{other} {");
        check("T: {text}", "a\r\nX: b", Place::Line, "T: aX: b");
    }

    #[test]
    fn a_text_in_braces_is_no_placeholder() {
        check("{text} {text}", "{secret}", Place::Plain, "{secret} {secret}");
    }

    #[test]
    fn the_media_type_tells_the_place() {
        assert_eq!(Place::of("application/JSON; charset=utf-8"), Place::Json);
        assert_eq!(Place::of("application/x-www-form-urlencoded"), Place::Encoded);
        assert_eq!(Place::of("text/plain"), Place::Plain);
    }
}
