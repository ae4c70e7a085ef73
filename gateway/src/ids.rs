//! Local ids in requests and answers, as text.
//!
//! An id given here is `CITY-ULID`: 26 characters of Crockford's base 32 behind the city's prefix. Nothing else looks
//! like it, and none of its characters is escaped in a URL, a form or JSON, so it is found and replaced in the raw
//! bytes of a path, a query or a body of any form, and everything around it stays as it was.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::memmem::{Finder, find_iter};

const ULID: usize = 26;

/// Finds the ids of one city.
pub(crate) struct LocalIds {
    prefix: Finder<'static>,
}

/// A local id and the upstream's name for the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    /// `CITY-ULID`.
    pub local: Box<str>,
    /// The upstream's.
    pub upstream: Arc<str>,
}

impl LocalIds {
    /// The ids of `city`.
    pub(crate) fn new(city: &str) -> Self {
        Self { prefix: Finder::new(&format!("{city}-")).into_owned() }
    }

    /// The local ids within `text`, in order.
    pub(crate) fn find<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = &'t str> + 't {
        let prefix = self.prefix.needle().len();
        self.prefix.find_iter(text).filter_map(move |start| {
            let end = start + prefix + ULID;
            let ulid = text.get(start + prefix..end)?;
            let alone = !start.checked_sub(1).is_some_and(|before| is_word(text[before]))
                && !text.get(end).is_some_and(|after| is_word(*after));
            (alone && ulid.iter().copied().all(is_crockford))
                .then(|| std::str::from_utf8(&text[start..end]).ok())
                .flatten()
        })
    }

    /// `text` with every local id replaced that `alias` knows. The aliases used are added to `used`.
    pub(crate) fn replace(
        &self,
        text: &Bytes,
        used: &mut Vec<Alias>,
        mut alias: impl FnMut(&str) -> Option<Arc<str>>,
    ) -> Bytes {
        let mut out = BytesMut::new();
        let mut copied = 0;
        for local in self.find(text) {
            let Some(upstream) = alias(local) else {
                continue;
            };
            let start = local.as_ptr() as usize - text.as_ptr() as usize;
            out.extend_from_slice(&text[copied..start]);
            out.extend_from_slice(upstream.as_bytes());
            copied = start + local.len();
            if !used.iter().any(|known| &*known.local == local) {
                used.push(Alias { local: local.into(), upstream });
            }
        }
        if copied == 0 {
            return text.clone();
        }
        out.extend_from_slice(&text[copied..]);
        out.freeze()
    }
}

/// A JSON answer with the upstream's ids put back into local ones: whole strings that equal an id of `aliases`.
pub(crate) fn back_to_local(body: &Bytes, aliases: &[Alias]) -> Bytes {
    aliases.iter().fold(body.clone(), |body, alias| {
        let quoted = format!("\"{}\"", alias.upstream);
        let mut out = BytesMut::with_capacity(body.len() + 64);
        let mut copied = 0;
        for start in find_iter(&body, quoted.as_bytes()) {
            out.extend_from_slice(&body[copied..start]);
            out.extend_from_slice(format!("\"{}\"", alias.local).as_bytes());
            copied = start + quoted.len();
        }
        if copied == 0 {
            return body;
        }
        out.extend_from_slice(&body[copied..]);
        out.freeze()
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Crockford's base 32, upper case: no I, L, O, U.
fn is_crockford(byte: u8) -> bool {
    byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'L' | b'O' | b'U'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "blr-01ARZ3NDEKTSV4RRFFQ69G5FAV";

    fn replaced(text: &str) -> (String, usize) {
        let mut used = Vec::new();
        let out = LocalIds::new("blr")
            .replace(&Bytes::from(text.to_owned()), &mut used, |local| (local == ID).then(|| Arc::from("OB-7")));
        (String::from_utf8(out.to_vec()).expect("text"), used.len())
    }

    #[test]
    fn ids_are_replaced_in_every_form() {
        for (before, after) in [
            (format!("/trackOrder/{ID}"), "/trackOrder/OB-7"),
            (format!("orderId={ID}&x=1"), "orderId=OB-7&x=1"),
            (format!(r#"{{"orderId":"{ID}"}}"#), r#"{"orderId":"OB-7"}"#),
            (format!("{ID},{ID}"), "OB-7,OB-7"),
        ] {
            assert_eq!(replaced(&before), (after.to_owned(), 1));
        }
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
            assert_eq!(replaced(&text), (text.clone(), 0));
        }
    }

    #[test]
    fn an_answer_gets_the_local_id_back_where_the_whole_string_is_the_id() {
        let alias = Alias { local: ID.into(), upstream: "OB-7".into() };
        let body = Bytes::from_static(br#"{"orderId":"OB-7","note":"OB-7 late","next":"OB-71"}"#);
        assert_eq!(
            back_to_local(&body, &[alias]),
            format!(r#"{{"orderId":"{ID}","note":"OB-7 late","next":"OB-71"}}"#)
        );
    }

    proptest! {
        #[test]
        fn nothing_else_changes(text in "[ -~]{0,60}(blr-)?[ -~]{0,60}") {
            let (out, used) = replaced(&text);
            prop_assert_eq!(used, 0);
            prop_assert_eq!(out, text);
        }
    }
}
