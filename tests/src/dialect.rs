//! The language of the city's clients: the default one, or the one of the example file.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value};
use toml::Table;

use crate::binary;
use crate::http::{Answer, Request};

/// How canonical names look on the wire. Tests speak canonically; this translates.
#[derive(Clone, Debug, Default)]
pub struct Dialect {
    /// What the cloud's `--dialect` is told.
    pub name: &'static str,
    /// The sections of the gateway's configuration that go with it.
    pub config: Table,
    base_path: String,
    paths: BTreeMap<String, String>,
    fields: BTreeMap<String, String>,
    statuses: BTreeMap<String, String>,
    /// The member of an answer that holds the answer itself.
    envelope: Option<String>,
}

impl Dialect {
    /// The names and shapes of the contract.
    pub fn standard() -> Self {
        Self { name: "default", ..Self::default() }
    }

    /// The dialect of `conf/dialect-enveloped.toml`: an envelope, other names, a base path.
    pub fn enveloped() -> Self {
        let path = binary::root().join("conf/dialect-enveloped.toml");
        let text = fs::read_to_string(&path).expect("the example file");
        let example: Table = text.parse().expect("good TOML");
        let dialect = example["dialect"].as_table().expect("[dialect]");
        let names = |section: &str| -> BTreeMap<String, String> {
            let table = dialect.get(section).and_then(toml::Value::as_table);
            let pairs = table.into_iter().flatten();
            pairs
                .map(|(canonical, wire)| {
                    let wire = wire.as_str().expect("a name");
                    (canonical.clone(), wire.to_owned())
                })
                .collect()
        };
        let text = |value: Option<&toml::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        let mut config = Table::new();
        config.insert("dialect".into(), dialect.clone().into());
        let mut upstream = Table::new();
        upstream.insert("success".into(), example["upstream"]["success"].clone());
        config.insert("upstream".into(), upstream.into());
        Self {
            name: "enveloped",
            base_path: text(dialect.get("base_path")).unwrap_or_default(),
            paths: names("paths"),
            fields: names("fields"),
            statuses: names("statuses"),
            envelope: text(dialect.get("envelope").and_then(|envelope| envelope.get("data"))),
            config,
        }
    }

    /// The path of an endpoint on the wire.
    pub fn path(&self, canonical: &str) -> String {
        let below = self.paths.get(canonical).map_or(canonical, String::as_str);
        format!("{}{below}", self.base_path)
    }

    /// The name of a member on the wire.
    pub fn field<'a>(&'a self, canonical: &'a str) -> &'a str {
        self.fields.get(canonical).map_or(canonical, String::as_str)
    }

    /// A POST of a canonical body to a canonical path.
    pub fn post(&self, path: &str, body: &Value) -> Request {
        Request::post(self.path(path), &self.to_wire(body))
    }

    /// A GET of a canonical path with one parameter, which must not need encoding.
    pub fn get(&self, path: &str, name: &str, value: &str) -> Request {
        Request::get(format!("{}?{}={value}", self.path(path), self.field(name)))
    }

    /// What an answer says, in canonical names and without the envelope.
    #[track_caller]
    pub fn read(&self, answer: &Answer) -> Value {
        let body = answer.json();
        let inner = match &self.envelope {
            None => &body,
            Some(member) => {
                assert_eq!(body["success"], true, "{answer}");
                &body[member]
            }
        };
        let flip = |map: &BTreeMap<String, String>| {
            map.iter().map(|(canonical, wire)| (wire.clone(), canonical.clone())).collect()
        };
        translate(inner, &flip(&self.fields), &flip(&self.statuses), self.field("status"))
    }

    fn to_wire(&self, body: &Value) -> Value {
        translate(body, &self.fields, &self.statuses, "status")
    }
}

fn translate(
    value: &Value,
    fields: &BTreeMap<String, String>,
    statuses: &BTreeMap<String, String>,
    status: &str,
) -> Value {
    match value {
        Value::Object(map) => {
            let member = |(name, value): (&String, &Value)| {
                let value = match value {
                    Value::String(word) if name == status => statuses.get(word).unwrap_or(word).clone().into(),
                    value => translate(value, fields, statuses, status),
                };
                (fields.get(name).unwrap_or(name).clone(), value)
            };
            Value::Object(map.iter().map(member).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|item| translate(item, fields, statuses, status)).collect(),
        other => other.clone(),
    }
}
