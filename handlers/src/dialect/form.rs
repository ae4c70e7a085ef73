//! `application/x-www-form-urlencoded` and queries, with PHP's brackets: `pickup[lat]=…`, `items[]=…`,
//! `items[0][name]=…`.

use std::borrow::Cow;

use megamind_domain::Rejection;
use percent_encoding::percent_decode;

use super::node::{MAX_DEPTH, Members, Node};

/// Pairs at most.
const MAX_PAIRS: usize = 2_000;

/// Reads pairs into `members`; what comes later replaces what was there.
pub(crate) fn read<'a>(text: &'a [u8], members: &mut Members<'a>) -> Result<(), Rejection> {
    let pairs = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (count, pair) in pairs.enumerate() {
        if count == MAX_PAIRS {
            return Err(Rejection::new(400, "too_many_fields", format!("At most {MAX_PAIRS} fields are taken.")));
        }
        let (key, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[pair.len()..]),
        };
        let key = decode(key)?;
        let value = decode(value)?;
        insert(members, key, value)?;
    }
    Ok(())
}

fn decode(text: &[u8]) -> Result<Cow<'_, str>, Rejection> {
    let decoded = if text.contains(&b'+') {
        let spaced: Vec<u8> = (text.iter()).map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        let owned: Vec<u8> = percent_decode(&spaced).collect();
        String::from_utf8(owned).map(Cow::Owned).ok()
    } else {
        percent_decode(text).decode_utf8().ok()
    };
    decoded.ok_or_else(|| Rejection::new(400, "invalid_utf8", "The request holds text that is not UTF-8."))
}

/// Puts a value where its key says.
pub(crate) fn insert<'a>(members: &mut Members<'a>, key: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), Rejection> {
    // Like PHP: without a well-formed bracket behind a name, the whole key is the name.
    let Some((first, steps)) = brackets(&key)? else {
        put(members, key, Node::Text(value));
        return Ok(());
    };
    let mut at = slot(members, &first);
    for step in steps {
        if !matches!(at, Node::Map(_)) {
            *at = Node::Map(Vec::new());
        }
        let Node::Map(inner) = at else {
            // Made so above.
            return Ok(());
        };
        let name = if step.is_empty() { inner.len().to_string() } else { step };
        at = slot(inner, &name);
    }
    *at = Node::Text(value);
    Ok(())
}

/// Splits `a[b][]` into `a` and the steps `b` and the empty one; `None` where there are no brackets.
fn brackets(key: &str) -> Result<Option<(String, Vec<String>)>, Rejection> {
    let Some((first, mut rest)) = key.split_once('[') else {
        return Ok(None);
    };
    if first.is_empty() {
        return Ok(None);
    }
    let mut steps = Vec::new();
    loop {
        let Some((step, behind)) = rest.split_once(']') else {
            return Ok(None);
        };
        if steps.len() + 1 >= usize::from(MAX_DEPTH) {
            return Err(super::request::too_deep().at(first));
        }
        steps.push(step.to_owned());
        match behind.strip_prefix('[') {
            Some(next) => rest = next,
            None => return Ok(Some((first.to_owned(), steps))),
        }
    }
}

fn put<'a>(members: &mut Members<'a>, key: Cow<'a, str>, value: Node<'a>) {
    match members.iter_mut().find(|(name, _)| *name == key) {
        Some((_, old)) => *old = value,
        None => members.push((key, value)),
    }
}

fn slot<'m, 'a>(members: &'m mut Members<'a>, name: &str) -> &'m mut Node<'a> {
    let index = members.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
        members.push((Cow::Owned(name.to_owned()), Node::Null));
        members.len() - 1
    });
    &mut members[index].1
}

/// Makes lists of objects whose names are all numbers.
pub(crate) fn lists(members: &mut Members<'_>) {
    for (_, value) in members {
        let Node::Map(inner) = value else { continue };
        lists(inner);
        let is_number = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        if inner.iter().all(|(name, _)| is_number(name)) {
            let mut items: Vec<(u64, Node<'_>)> = std::mem::take(inner)
                .into_iter()
                .map(|(name, item)| (name.parse().unwrap_or(u64::MAX), item))
                .collect();
            items.sort_by_key(|(index, _)| *index);
            *value = Node::List(items.into_iter().map(|(_, item)| item).collect());
        }
    }
}

/// Pairs with those items alone, in the list under `name`, that `keep` says, numbered anew; each piece of `pieces` by
/// itself, in the order in which [`read`] takes them. `None` where the list is another one.
pub(crate) fn with_items(pieces: &[&str], name: &str, keep: &[bool]) -> Option<Vec<String>> {
    // The names of the items in the order in which they appear.
    let mut names: Vec<String> = Vec::new();
    let mut places: Vec<Vec<(&str, Option<usize>)>> = Vec::new();
    for piece in pieces {
        let mut pairs = Vec::new();
        for pair in piece.split('&').filter(|pair| !pair.is_empty()) {
            let key = pair.split_once('=').map_or(pair, |(key, _)| key);
            let place = match brackets(&decode(key.as_bytes()).ok()?).ok()? {
                Some((first, steps)) if first == name => {
                    let step = steps.first()?;
                    let step = if step.is_empty() { names.len().to_string() } else { step.clone() };
                    let known = names.iter().position(|known| *known == step);
                    Some(known.unwrap_or_else(|| {
                        names.push(step);
                        names.len() - 1
                    }))
                }
                _ => None,
            };
            pairs.push((pair, place));
        }
        places.push(pairs);
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    let numbers: Vec<u64> = names.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?;
    order.sort_by_key(|place| numbers[*place]);
    if order.len() != keep.len() {
        return None;
    }
    // What an item is called afterwards; nothing for one that goes.
    let mut renamed = vec![None; order.len()];
    let kept = order.iter().zip(keep).filter(|(_, keep)| **keep);
    for (number, (place, _)) in kept.enumerate() {
        renamed[*place] = Some(number);
    }
    let kept = |(pair, place): &(&str, Option<usize>)| match place {
        None => Some((*pair).to_owned()),
        Some(place) => renumbered(pair, renamed[*place]?),
    };
    Some(
        places
            .iter()
            .map(|pairs| pairs.iter().filter_map(kept).collect::<Vec<_>>().join("&"))
            .collect(),
    )
}

/// A pair with another number between its first brackets, which may be encoded.
fn renumbered(pair: &str, number: usize) -> Option<String> {
    let bracket = |from: usize, plain: &str, coded: &str| {
        let rest = pair.get(from..)?;
        let at = rest.find(plain).map(|at| (at, plain.len()));
        let coded = rest.to_ascii_uppercase().find(coded).map(|at| (at, coded.len()));
        let (at, length) = at.into_iter().chain(coded).min()?;
        Some((from + at, from + at + length))
    };
    let (_, begin) = bracket(0, "[", "%5B")?;
    let (end, _) = bracket(begin, "]", "%5D")?;
    Some(format!("{}{number}{}", &pair[..begin], &pair[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, expect: &str) {
        let mut members = Vec::new();
        read(form.as_bytes(), &mut members).expect("a form");
        lists(&mut members);
        assert_eq!(Node::Map(members).to_json(), expect, "{form}");
    }

    #[test]
    fn forms_nest_by_brackets() {
        check("a=1&b=x+y%26z", r#"{"a":"1","b":"x y&z"}"#);
        check("pickup[lat]=12.9&pickup[lng]=77", r#"{"pickup":{"lat":"12.9","lng":"77"}}"#);
        check("pickup%5Blat%5D=12.9&pickup%5blng%5d=77", r#"{"pickup":{"lat":"12.9","lng":"77"}}"#);
        check("items[]=a&items[]=b", r#"{"items":["a","b"]}"#);
        check(
            "items[1][name]=b&items[0][name]=a&items[0][n]=2",
            r#"{"items":[{"name":"a","n":"2"},{"name":"b"}]}"#,
        );
        check("m[x][][y]=1", r#"{"m":{"x":[{"y":"1"}]}}"#);
    }

    #[test]
    fn odd_keys_are_names() {
        check("a[b=1", r#"{"a[b":"1"}"#);
        check("[a]=1", r#"{"[a]":"1"}"#);
        check("a", r#"{"a":""}"#);
        check("a=1&&b=2&", r#"{"a":"1","b":"2"}"#);
        check("a=1&a=2", r#"{"a":"2"}"#);
        check("a=1&a[b]=2", r#"{"a":{"b":"2"}}"#);
        check("a=b=c", r#"{"a":"b=c"}"#);
    }

    #[test]
    fn limits_hold() {
        let code = |form: String| {
            let refused = read(form.as_bytes(), &mut Vec::new()).expect_err("too much");
            refused.code
        };
        assert_eq!(code(format!("a{}=1", "[b]".repeat(40))), "too_deep");
        assert_eq!(code("a=1&".repeat(2_001)), "too_many_fields");
        assert_eq!(code("a=%ff".into()), "invalid_utf8");
        assert_eq!(code("a=+%ff".into()), "invalid_utf8");
    }
}
