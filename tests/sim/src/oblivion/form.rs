//! Parameters out of a request: JSON, `application/x-www-form-urlencoded` with PHP's brackets,
//! and the query, all three on every endpoint.
//!
//! Query parameters fill in what the body does not say.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// Brackets deeper than this are refused.
const MAX_DEPTH: usize = 8;

/// Reads the parameters of one request.
pub(crate) fn parse(query: &str, content_type: &str, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let mut params = parse_form(query.as_bytes())?;
    let first = body.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    let is_form = content_type.to_ascii_lowercase().contains("x-www-form-urlencoded");
    let is_json = content_type.to_ascii_lowercase().contains("json") || (!is_form && first == Some(b'{'));
    let from_body = match first {
        None => Map::new(),
        Some(_) if is_json => match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => map,
            Ok(_) => return Err(Refusal::MalformedBody("a JSON object is expected".into())),
            Err(error) => return Err(Refusal::MalformedBody(error.to_string())),
        },
        Some(_) => parse_form(body)?,
    };
    params.extend(from_body);
    Ok(params)
}

/// `a[b][]=c` becomes `{"a": {"b": ["c"]}}`. As in PHP, the last value of a name wins.
fn parse_form(text: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let mut root = Map::new();
    for (name, value) in form_urlencoded::parse(text) {
        if name.is_empty() {
            continue;
        }
        let (first, rest) = segments(&name)?;
        insert(&mut root, first, &rest, value.into_owned());
    }
    Ok(root.into_iter().map(|(name, value)| (name, with_arrays(value))).collect())
}

/// Splits `a[b][]` into `a` and `["b", ""]`. A name with unbalanced brackets is taken as it is.
fn segments(name: &str) -> Result<(&str, Vec<&str>), Refusal> {
    let plain = Ok((name, Vec::new()));
    let Some(open) = name.find('[').filter(|open| *open > 0) else {
        return plain;
    };
    let mut rest = &name[open..];
    let mut inner = Vec::new();
    while let Some(after_open) = rest.strip_prefix('[') {
        let Some((segment, after_close)) = after_open.split_once(']') else {
            return plain;
        };
        if inner.len() == MAX_DEPTH {
            return Err(Refusal::invalid(&name[..open], "the brackets are nested too deeply"));
        }
        inner.push(segment);
        rest = after_close;
    }
    if rest.is_empty() { Ok((&name[..open], inner)) } else { plain }
}

fn insert(map: &mut Map<String, Value>, name: &str, rest: &[&str], value: String) {
    let name = if name.is_empty() { map.len().to_string() } else { name.to_owned() };
    let Some((next, rest)) = rest.split_first() else {
        map.insert(name, Value::String(value));
        return;
    };
    let slot = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(inner) = slot {
        insert(inner, next, rest, value);
    }
}

/// Objects whose names are 0, 1, 2 … are arrays.
fn with_arrays(value: Value) -> Value {
    let Value::Object(map) = value else {
        return value;
    };
    let length = map.len();
    let mut items: Vec<Option<Value>> = vec![None; length];
    let is_array = length > 0
        && map.keys().all(|name| {
            name.parse::<usize>()
                .is_ok_and(|index| index < length && name == &index.to_string())
        });
    if !is_array {
        return Value::Object(map.into_iter().map(|(name, value)| (name, with_arrays(value))).collect());
    }
    for (name, value) in map {
        if let Some(slot) = name.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            *slot = Some(with_arrays(value));
        }
    }
    Value::Array(items.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn check(query: &str, content_type: &str, body: &str, expect: &Value) {
        let params = parse(query, content_type, body.as_bytes()).expect("parameters");
        assert_eq!(&Value::Object(params), expect);
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let expect =
            json!({"merchantId": "m1", "pickup": {"lat": "1.5", "lng": "2"}, "items": [{"n": "a"}, {"n": "b"}]});
        let form = "merchantId=m1&pickup[lat]=1.5&pickup%5Blng%5D=2&items[0][n]=a&items[1][n]=b";
        check("", FORM, form, &expect);
        check(form, "", "", &expect);
        check("", "application/json", &expect.to_string(), &expect);
        check("", "", &expect.to_string(), &expect);
    }

    #[test]
    fn the_body_is_stronger_than_the_query() {
        check(
            "orderId=a&x=1",
            "application/json",
            r#"{"orderId":"b"}"#,
            &json!({"orderId": "b", "x": "1"}),
        );
    }

    #[test]
    fn empty_brackets_count_up_and_ten_comes_after_nine() {
        let many: Vec<String> = (0..11).map(|n| format!("a[]={n}")).collect();
        let expect: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        check("", FORM, &many.join("&"), &json!({ "a": expect }));
    }

    #[test]
    fn odd_names_are_kept_as_they_are() {
        check("", FORM, "a[b=1&[c]=2&d[e]f=3", &json!({"a[b": "1", "[c]": "2", "d[e]f": "3"}));
        check("", FORM, "a=1&a[b]=2", &json!({"a": {"b": "2"}}));
    }

    #[test]
    fn bad_bodies_are_refused() {
        for body in ["[1]", "{", "\"x\""] {
            assert!(
                matches!(parse("", "application/json", body.as_bytes()), Err(Refusal::MalformedBody(_))),
                "{body}"
            );
        }
        let deep = format!("a{}=1", "[b]".repeat(MAX_DEPTH + 1));
        assert!(parse("", FORM, deep.as_bytes()).is_err());
    }
}
