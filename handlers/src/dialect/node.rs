//! The content of a request or an answer, whatever form it came in.

use std::{borrow::Cow, fmt};

use serde::{
    Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

/// How deep values may be nested.
pub(crate) const MAX_DEPTH: u8 = 32;

/// A value. Texts are borrowed from the body where nothing in them is escaped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    /// An integer that fits.
    Integer(i128),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Members<'a>),
}

/// The members of an object in their order; of two with one name, the later counts.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

/// Why a text is not JSON that is taken.
#[derive(Debug)]
pub(crate) enum JsonError {
    TooDeep,
    Malformed(serde_json::Error),
}

const TOO_DEEP: &str = "nested too deep";

impl<'a> Node<'a> {
    /// Reads JSON.
    pub(crate) fn from_json(text: &'a str) -> Result<Self, JsonError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Nested(MAX_DEPTH)
            .deserialize(&mut reader)
            .and_then(|node| reader.end().map(|()| node));
        read.map_err(|error| {
            if error.to_string().starts_with(TOO_DEEP) {
                JsonError::TooDeep
            } else {
                JsonError::Malformed(error)
            }
        })
    }

    /// The member with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        let Self::Map(members) = self else {
            return None;
        };
        let found = members.iter().rfind(|(key, _)| *key == name);
        found.map(|(_, value)| value)
    }

    /// The value that a JSON document has here.
    pub(crate) fn to_json(&self) -> String {
        // Every key is a text, so this does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.collect_str(value),
            },
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(members) => serializer.collect_map(members.iter().map(|(key, value)| (&**key, value))),
        }
    }
}

/// Reads a node that may have this many more levels.
struct Nested(u8);

impl Nested {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        match self.0.checked_sub(1) {
            Some(levels) => Ok(Self(levels)),
            None => Err(E::custom(TOO_DEEP)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Node<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Node<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(self.deeper()?)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = from.next_key_seed(Key)? {
            members.push((key, from.next_value_seed(self.deeper()?)?));
        }
        Ok(Node::Map(members))
    }
}

/// Reads a key, borrowed where it can be.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_kept_as_it_is() {
        let text = r#"{"a":[1,-2,2.5,null,true],"b":{"c":"\u0001é\"","d":18446744073709551615},"e":{}}"#;
        let node = Node::from_json(text).expect("JSON");
        assert_eq!(node.to_json(), text);
    }

    #[test]
    fn texts_are_borrowed() {
        let node = Node::from_json(r#"{"a":"b"}"#).expect("JSON");
        assert!(matches!(node.get("a"), Some(Node::Text(Cow::Borrowed("b")))));
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let node = Node::from_json(r#"{"a":1,"a":2}"#).expect("JSON");
        assert_eq!(node.get("a"), Some(&Node::Integer(2)));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(Node::from_json(&nested(32)).is_ok());
        assert!(matches!(Node::from_json(&nested(33)), Err(JsonError::TooDeep)));
        assert!(matches!(Node::from_json(&"[".repeat(100_000)), Err(JsonError::TooDeep)));
    }

    #[test]
    fn what_follows_is_malformed() {
        for text in ["", "{", "{} x", "{'a':1}", "{\"a\":01}", "nul"] {
            assert!(matches!(Node::from_json(text), Err(JsonError::Malformed(_))), "{text}");
        }
    }
}
