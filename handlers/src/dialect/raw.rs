//! JSON of which only some is read, so that the rest keeps every byte.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::json::text_into;

/// The members of an object in their order, their values unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = from.next_entry::<String, &'de RawValue>()? {
            members.push((Cow::Owned(name), value));
        }
        Ok(Members(members))
    }
}

/// A JSON object of whose list only some items are kept.
pub(crate) enum Kept {
    /// The object.
    Object(Vec<u8>),
    /// It has no such list.
    NoList,
}

/// A JSON object with those items alone, in the list under `name`, that `keep` says. `None` where it is something else.
pub(crate) fn with_items(json: &str, name: &str, keep: &[bool]) -> Option<Kept> {
    let Members(members) = serde_json::from_str(json).ok()?;
    // Of two members with one name the last counts.
    let Some(place) = members.iter().rposition(|(known, _)| known == name) else {
        return Some(Kept::NoList);
    };
    let items: Vec<&RawValue> = serde_json::from_str(members[place].1.get()).ok()?;
    if items.len() != keep.len() {
        return None;
    }
    let kept: Vec<&str> = (items.iter().zip(keep))
        .filter(|(_, keep)| **keep)
        .map(|(item, _)| item.get())
        .collect();
    let list = format!("[{}]", kept.join(","));
    let mut out = vec![b'{'];
    for (index, (known, value)) in members.iter().enumerate() {
        if known == name && index != place {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        text_into(known, &mut out);
        out.push(b':');
        out.extend_from_slice(if index == place { list.as_bytes() } else { value.get().as_bytes() });
    }
    out.push(b'}');
    Some(Kept::Object(out))
}
