//! Reports of pilots that wait for the upstream are merged: per field the one counts that was said last.
//!
//! A merged report keeps what it was made of, each part with its own time, under a media type of its own; it becomes one
//! report when it is sent. Availability and what else is told in order is not merged: it is left out of what is earlier.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use megamind_domain::{Request, Time};

use crate::{
    Deliveries,
    command::Fields,
    decide::is_far_off,
    dialect::{
        Dialect, Field,
        node::{Members, Node},
        read::Reader,
        request,
    },
    endpoints::Route,
};

/// The media type of a merged report.
const MERGED: &str = "application/vnd.megamind.merged+json";

/// Parts of a merged report at most; beyond that the earliest go.
const MOST: usize = 16;

/// Fields that say whose report it is and when.
const NAMING: [Field; 3] = [Field::MinionId, Field::At, Field::RequestId];

/// Fields that are told in order.
const IN_ORDER: [Field; 8] = [
    Field::Status,
    Field::Name,
    Field::Phone,
    Field::CallbackUrl,
    Field::Vehicle,
    Field::Capacity,
    Field::ShiftEnd,
    Field::CashLimit,
];

/// A part of a merged report: when it was said, in ms of 1970, and what.
type Part<'a> = (i64, Members<'a>);

fn is_one_of(dialect: &Dialect, fields: &[Field], name: &str) -> bool {
    fields.iter().any(|field| dialect.field(*field) == name)
}

/// Whether a field is merged.
fn is_merged(dialect: &Dialect, name: &str) -> bool {
    !is_one_of(dialect, &NAMING, name) && !is_one_of(dialect, &IN_ORDER, name)
}

/// Which fields a report has.
pub(crate) fn fields(reader: &Reader<'_>) -> Fields {
    let dialect = reader.dialect;
    let names: BTreeSet<&str> = reader.member_names().filter(|name| is_merged(dialect, name)).collect();
    let unknown = names.iter().any(|name| !is_one_of(dialect, &[Field::Lat, Field::Lng], name));
    Fields { hash: hash(&names), unknown }
}

/// Never 0.
fn hash(names: &BTreeSet<&str>) -> u32 {
    // Should it differ after an upgrade, values are merged that might have been replaced.
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    hasher.finish() as u32 | 1
}

/// A report as JSON.
pub(crate) fn told(reader: &Reader<'_>) -> Option<String> {
    let Node::Map(mut members) = reader.node().clone() else {
        return None;
    };
    to_numbers(reader.dialect, &mut members);
    Some(Node::Map(members).to_json())
}

/// Degrees that came as text, as forms have them, in JSON.
pub(crate) fn to_numbers(dialect: &Dialect, members: &mut Members<'_>) {
    for (name, value) in members {
        if is_one_of(dialect, &[Field::Lat, Field::Lng], name)
            && let Node::Text(text) = value
            && let Ok(degrees) = text.trim().parse()
        {
            *value = Node::Float(degrees);
        }
    }
}

impl Deliveries {
    /// The request that tells one report.
    pub(crate) fn telling(&self, report: &str) -> Request {
        Request {
            method: "POST".into(),
            path: self.settings().dialect.path(Route::GeneralInfo.path()).into(),
            content_type: Some("application/json".into()),
            body: report.to_owned().into(),
            ..Request::default()
        }
    }

    /// Merges a report that waits with a later one, each with the time of its decision; and what the fields of both
    /// hash to. `None` where the earlier one says nothing that counts.
    pub fn merge_reports(&self, earlier: (Time, &Request), later: (Time, &Request)) -> Option<(Request, u32)> {
        let dialect = &self.settings().dialect;
        let mut parts = self.report_parts(earlier.0, earlier.1)?;
        for (_, members) in &mut parts {
            members.retain(|(name, _)| !is_one_of(dialect, &IN_ORDER, name));
        }
        let told = parts.len();
        parts.extend(self.report_parts(later.0, later.1)?);
        let mut order: Vec<usize> = (0..parts.len()).collect();
        // Of two that were said at one time the later to arrive counts.
        order.sort_by_key(|index| parts[*index].0);
        let mut counts: BTreeSet<&str> = BTreeSet::new();
        let mut kept = Vec::new();
        for index in order.into_iter().rev() {
            let (_, members) = &parts[index];
            let mut news = false;
            for (name, _) in members {
                let says_more = is_merged(dialect, name) && counts.insert(name);
                news |= says_more || is_one_of(dialect, &IN_ORDER, name);
            }
            if news && kept.len() < MOST {
                kept.push(index);
            }
        }
        if kept.iter().all(|index| *index >= told) {
            return None;
        }
        let hash = hash(&counts);
        let list = kept.iter().rev().map(|index| {
            let (at, members) = &parts[*index];
            Node::List(vec![Node::Integer((*at).into()), Node::Map(members.clone())])
        });
        let body = Node::List(list.collect()).to_json();
        let request = Request { content_type: Some(MERGED.into()), ..self.telling(&body) };
        Some((request, hash))
    }

    /// A merged report as it goes out; `None` for any other request, which goes out as it is.
    pub fn outgoing(&self, request: &Request) -> Option<Request> {
        let report = Node::Map(self.merged_report(request)?);
        Some(self.telling(&report.to_json()))
    }

    fn merged_report<'r>(&self, request: &'r Request) -> Option<Members<'r>> {
        let dialect = &self.settings().dialect;
        if request.content_type.as_deref() != Some(MERGED) {
            return None;
        }
        let mut merged: Members<'r> = Vec::new();
        for (_, members) in self.report_parts(Time(0), request)? {
            // What was said at no time of its own is not older than anything.
            merged.retain(|(name, _)| !is_one_of(dialect, &[Field::At], name));
            for (name, value) in members {
                match merged.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => *known = value,
                    None => merged.push((name, value)),
                }
            }
        }
        to_numbers(dialect, &mut merged);
        Some(merged)
    }

    /// What a report is made of, in the order of its times.
    fn report_parts<'r>(&self, decided: Time, request: &'r Request) -> Option<Vec<Part<'r>>> {
        if request.content_type.as_deref() == Some(MERGED) {
            let Node::List(parts) = request::json(&request.body).ok()? else {
                return None;
            };
            return parts.into_iter().map(part).collect();
        }
        let content = request::content(request).ok()?;
        let at = Reader::new(&content, &self.settings().dialect).time(Field::At).ok().flatten();
        let Node::Map(members) = content else {
            return None;
        };
        // A clock that is far off orders nothing.
        let at = at.filter(|at| !is_far_off(*at, decided)).unwrap_or(decided);
        Some(vec![(at.0, members)])
    }
}

fn part(node: Node<'_>) -> Option<Part<'_>> {
    let Node::List(pair) = node else {
        return None;
    };
    match <[Node<'_>; 2]>::try_from(pair).ok()? {
        [Node::Integer(at), Node::Map(members)] => Some((i64::try_from(at).ok()?, members)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    fn deliveries() -> Deliveries {
        Deliveries::new(Settings::new("tst"))
    }

    fn report(json: &str) -> Request {
        deliveries().telling(json)
    }

    /// 2026-01-31T09:30:00Z in ms of 1970.
    const MORNING: i64 = 1_769_851_800_000;

    fn at(second: u32) -> String {
        format!("2026-01-31T09:30:{second:02}Z")
    }

    /// What is sent of reports that arrive one after the other, decided one second apart.
    fn sent(reports: &[Request]) -> serde_json::Value {
        let domain = deliveries();
        let mut told = reports[0].clone();
        for (second, later) in (1..).zip(&reports[1..]) {
            let (before, now) = (Time(MORNING + second * 1000), Time(MORNING + (second + 1) * 1000));
            let merged = domain.merge_reports((before, &told), (now, later));
            told = merged.map_or_else(|| later.clone(), |(request, _)| request);
        }
        let told = domain.outgoing(&told).unwrap_or(told);
        serde_json::from_slice(&told.body).expect("JSON")
    }

    #[test]
    fn per_field_the_last_word_counts_in_whatever_order_it_arrives() {
        let one = report(&format!(r#"{{"minionId":"P1","lat":1.0,"lng":1.0,"at":"{}"}}"#, at(10)));
        let two = report(&format!(r#"{{"minionId":"P1","battery":50,"at":"{}"}}"#, at(5)));
        let three = report(&format!(r#"{{"minionId":"P1","battery":60,"lat":9.0,"lng":9.0,"at":"{}"}}"#, at(7)));
        let expected = serde_json::json!({"minionId": "P1", "lat": 1.0, "lng": 1.0, "battery": 60, "at": at(10)});
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let all = [&one, &two, &three];
            assert_eq!(sent(&order.map(|index| all[index].clone())), expected, "{order:?}");
        }
    }

    #[test]
    fn what_says_all_that_an_earlier_one_said_takes_its_place_as_it_is() {
        let domain = deliveries();
        let earlier = report(r#"{"minionId":"P1","lat":1.0,"lng":1.0}"#);
        let form = Request {
            content_type: Some("application/x-www-form-urlencoded".into()),
            body: "minionId=P1&lat=2&lng=2&speed=4".into(),
            ..report("")
        };
        assert_eq!(domain.merge_reports((Time(1), &earlier), (Time(2), &form)), None);
        assert_eq!(domain.outgoing(&form), None);
        // The other way round nothing of it is lost, and a form's degrees are numbers.
        let expected = serde_json::json!({"minionId": "P1", "lat": 1.0, "lng": 1.0, "speed": "4"});
        assert_eq!(sent(&[form.clone(), earlier]), expected);
        let bare = report(r#"{"minionId":"P1","heading":90}"#);
        let expected = serde_json::json!({"minionId": "P1", "lat": 2.0, "lng": 2.0, "speed": "4", "heading": 90});
        assert_eq!(sent(&[form, bare]), expected);
    }

    #[test]
    fn what_is_told_in_order_is_not_told_again() {
        let earlier = report(r#"{"minionId":"P1","status":"available","name":"Asha","battery":1}"#);
        let later = report(r#"{"minionId":"P1","status":"busy","lat":1.0,"lng":1.0}"#);
        let expected = serde_json::json!({"minionId": "P1", "battery": 1, "status": "busy", "lat": 1.0, "lng": 1.0});
        assert_eq!(sent(&[earlier.clone(), later]), expected);
        let quiet = report(r#"{"minionId":"P1","lat":1.0,"lng":1.0}"#);
        let expected = serde_json::json!({"minionId": "P1", "battery": 1, "lat": 1.0, "lng": 1.0});
        assert_eq!(sent(&[earlier, quiet]), expected);
    }

    #[test]
    fn a_merged_report_has_few_parts() {
        let domain = deliveries();
        let mut told = report(r#"{"minionId":"P1","lat":1.0,"lng":1.0}"#);
        for number in 0..50 {
            let later = report(&format!(r#"{{"minionId":"P1","field{number}":1}}"#));
            let (merged, _) = domain
                .merge_reports((Time(number), &told), (Time(number + 1), &later))
                .expect("merged");
            told = merged;
        }
        assert_eq!(domain.report_parts(Time(0), &told).expect("parts").len(), MOST);
    }
}
