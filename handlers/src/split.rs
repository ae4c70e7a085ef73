//! A bulk request apart: some of its items go to the upstream, the others are decided here, and their results are put
//! together again.

use megamind_domain::{EntityKey, Rejection, Request, Response, Role, Touches};

use crate::{
    City, Command, Deliveries,
    command::Many,
    dialect::{Field, form, json, raw, render, request},
    endpoints::Route,
    id::Name,
    observe, touch,
};

/// What one of the parts was answered.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// The body of a good answer. One that is not `{results}` says yes to every item.
    Body(&'a [u8]),
    /// A refusal of all of its items.
    Refused(&'a Rejection),
}

impl Deliveries {
    /// Which items of a bulk request have to wait for what is queued: those that name something fenced, and those that
    /// name the same as an earlier one of these. `None` for any other request.
    pub fn fenced_items(
        &self,
        city: &City,
        command: &Command,
        is_fenced: &dyn Fn(&Touches) -> bool,
    ) -> Option<Vec<bool>> {
        match command {
            Command::ReportPilots(many) if many.bulk => Some(fenced(many, is_fenced, |report| {
                (touch::of_pilot(city, &report.pilot), vec![&report.pilot])
            })),
            Command::ReportDeliveries(many) if many.bulk => Some(fenced(many, is_fenced, |report| {
                (touch::of_delivery(city, report), vec![&report.order, &report.pilot])
            })),
            _ => None,
        }
    }

    /// The same request with the items alone that `keep` says, in the form that it came in. `None` where that cannot be
    /// told apart.
    pub fn part(&self, endpoint: megamind_domain::Endpoint, request: &Request, keep: &[bool]) -> Option<Request> {
        let list = self.wire(match Route::of(endpoint)? {
            Route::GeneralInfos => Field::Minions,
            Route::DeliveryInfos => Field::Deliveries,
            _ => return None,
        });
        let query = request.query.as_deref().unwrap_or_default();
        let mut part = request.clone();
        match request::form_of(request).ok()? {
            Some(request::Form::Json) => {
                let body = std::str::from_utf8(&request.body).ok()?.trim_start_matches('\u{feff}');
                match raw::with_items(body, list, keep)? {
                    raw::Kept::Object(body) => part.body = body.into(),
                    // The list stands in the query.
                    raw::Kept::NoList => part.query = Some(form::with_items(&[query], list, keep)?.pop()?.into()),
                }
            }
            Some(request::Form::Urlencoded) => {
                let body = std::str::from_utf8(&request.body).ok()?;
                let mut pieces = form::with_items(&[query, body], list, keep)?;
                part.body = pieces.pop()?.into();
                part.query = request.query.as_ref().and(pieces.pop()).map(Into::into);
            }
            None => part.query = Some(form::with_items(&[query], list, keep)?.pop()?.into()),
        }
        Some(part)
    }

    /// The answer to the whole request, from those to its parts; each says which items were in it.
    pub fn merged(&self, parts: &[(&[bool], Said<'_>)]) -> Response {
        let dialect = &self.settings().dialect;
        let mut results: Vec<Vec<u8>> = Vec::new();
        for (items, said) in parts {
            results.resize(results.len().max(items.len()), Vec::new());
            let places = items.iter().enumerate().filter(|(_, is_in)| **is_in).map(|(place, _)| place);
            let places: Vec<usize> = places.collect();
            for (place, result) in places.iter().zip(self.each(*said, places.len())) {
                results[*place] = result;
            }
        }
        let list = [b"[".to_vec(), results.join(&b','), b"]".to_vec()].concat();
        let mut data = Vec::with_capacity(list.len() + 16);
        json::object(&mut data, dialect, |object| object.fixed_raw(dialect.field(Field::Results), &list));
        render::good(dialect, data)
    }

    /// The result of each of `count` items, as JSON.
    fn each(&self, said: Said<'_>, count: usize) -> Vec<Vec<u8>> {
        let dialect = &self.settings().dialect;
        let one = |fill: &dyn Fn(&mut json::Object<'_>)| {
            let mut result = Vec::new();
            json::object(&mut result, dialect, fill);
            vec![result; count]
        };
        match said {
            Said::Refused(refused) => one(&|object| render::refused_item(object, refused)),
            Said::Body(body) => {
                let content = request::json(body).ok();
                let known = content.as_ref().and_then(|node| observe::results(self, node));
                match known.filter(|items| items.len() == count) {
                    Some(items) => items.iter().map(|item| item.to_json().into_bytes()).collect(),
                    None => one(&|object| object.integer(Field::Status, 200)),
                }
            }
        }
    }
}

/// Items that could not be read name nothing, so the upstream judges them.
fn fenced<'m, T>(
    many: &'m Many<T>,
    is_fenced: &dyn Fn(&Touches) -> bool,
    names: impl Fn(&'m T) -> (Touches, Vec<&'m Name>),
) -> Vec<bool> {
    let (mut keys, mut unknown): (Vec<EntityKey>, Vec<&'m str>) = (Vec::new(), Vec::new());
    let mut waits = |item: &'m T| {
        let (touches, names) = names(item);
        let touched = touches.iter().filter(|touch| touch.role != Role::Row).map(|touch| touch.key);
        let after =
            touched.clone().any(|key| keys.contains(&key)) || names.iter().any(|name| unknown.contains(&name.text()));
        if after || is_fenced(&touches) {
            keys.extend(touched);
            unknown.extend(names.iter().map(|name| name.text()));
            return true;
        }
        false
    };
    (many.items.iter()).map(|item| item.as_ref().is_ok_and(&mut waits)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Settings,
        dialect::{Dialect, Envelope, Table},
    };

    fn deliveries() -> Deliveries {
        Deliveries::new(Settings::new("tst"))
    }

    fn posted(kind: &str, query: Option<&str>, body: &str) -> Request {
        Request {
            method: "POST".into(),
            path: "/updatemaster/bulk/deliveryInfo".into(),
            query: query.map(Into::into),
            content_type: Some(kind.into()),
            body: body.to_owned().into(),
            ..Request::default()
        }
    }

    fn part(request: &Request, keep: &[bool]) -> (String, String) {
        let part = deliveries()
            .part(Route::DeliveryInfos.endpoint(), request, keep)
            .expect("a part");
        let body = String::from_utf8(part.body.to_vec()).expect("text");
        (part.query.as_deref().unwrap_or_default().to_owned(), body)
    }

    #[test]
    fn json_keeps_every_byte_of_the_items() {
        let body = r#"{"v": 1.50, "deliveries": [{"orderId":"a","x":1.0}, {"orderId": "b"},{"orderId":"c","n":1e2}], "e":"\u00e9"}"#;
        let json = posted("application/json", Some("t=1"), body);
        let (query, body) = part(&json, &[true, false, true]);
        assert_eq!(query, "t=1");
        assert_eq!(
            body,
            r#"{"v":1.50,"deliveries":[{"orderId":"a","x":1.0},{"orderId":"c","n":1e2}],"e":"\u00e9"}"#
        );
    }

    #[test]
    fn forms_keep_their_pairs_and_are_numbered_anew() {
        let form = "application/x-www-form-urlencoded";
        let numbered =
            "v=1&deliveries[0][orderId]=a&deliveries[1][orderId]=b%20c&deliveries[0][status]=s&deliveries[1][x][]=1";
        assert_eq!(
            part(&posted(form, None, numbered), &[false, true]).1,
            "v=1&deliveries[0][orderId]=b%20c&deliveries[0][x][]=1"
        );
        let encoded = "deliveries%5B7%5D%5BorderId%5D=a&deliveries%5b9%5d%5BorderId%5D=b";
        assert_eq!(part(&posted(form, None, encoded), &[false, true]).1, "deliveries%5b0%5d%5BorderId%5D=b");
        // Over query and body, and in the query alone.
        let split = posted(form, Some("deliveries[1][orderId]=b"), "deliveries[0][orderId]=a");
        assert_eq!(part(&split, &[true, false]), (String::new(), "deliveries[0][orderId]=a".into()));
        assert_eq!(part(&split, &[false, true]), ("deliveries[0][orderId]=b".into(), String::new()));
        let query = Request {
            method: "GET".into(),
            ..posted(form, Some("deliveries[][orderId]=a&deliveries[][orderId]=b"), "")
        };
        assert_eq!(part(&query, &[false, true]).0, "deliveries[0][orderId]=b");
    }

    #[test]
    fn what_does_not_fit_is_not_split() {
        let json = posted("application/json", None, r#"{"deliveries":[{}]}"#);
        assert!(
            deliveries()
                .part(Route::DeliveryInfos.endpoint(), &json, &[true, false])
                .is_none()
        );
        assert!(deliveries().part(Route::PlaceOrder.endpoint(), &json, &[true]).is_none());
    }

    #[test]
    fn results_are_merged_in_order_whatever_the_parts_said() {
        let refused = Rejection::new(503, "overloaded", "Later.");
        let there = br#"{"results":[{"status":200,"known":true},{"status":404,"code":"no"}]}"#;
        let text = |response: Response| String::from_utf8(response.body.to_vec()).expect("text");
        let merged = deliveries().merged(&[
            (&[true, false, true, false], Said::Body(there)),
            (&[false, true, false, true], Said::Refused(&refused)),
        ]);
        let item = r#"{"status":503,"code":"overloaded","detail":"Later."}"#;
        assert_eq!(
            text(merged),
            format!(r#"{{"results":[{{"status":200,"known":true}},{item},{{"status":404,"code":"no"}},{item}]}}"#)
        );
        let merged = deliveries().merged(&[(&[true], Said::Body(b"ok"))]);
        assert_eq!(text(merged), r#"{"results":[{"status":200}]}"#);
    }

    #[test]
    fn the_envelope_is_that_of_the_dialect() {
        let envelope = Envelope { data: "data".into(), ..Envelope::default() };
        let dialect = Dialect::new(Table { envelope: Some(envelope), ..Table::default() });
        let domain = Deliveries::new(Settings { dialect, ..Settings::new("tst") });
        let merged = domain.merged(&[
            (&[true, false], Said::Body(br#"{"data":{"results":[{"status":201}]}}"#)),
            (&[false, true], Said::Body(br#"{"data":{"results":[{"status":202}]}}"#)),
        ]);
        assert_eq!(&merged.body[..], br#"{"data":{"results":[{"status":201},{"status":202}]}}"#);
    }

    #[test]
    fn an_item_waits_for_what_is_fenced_and_for_those_that_wait() {
        let report = |order: &str, pilot: &str| crate::command::DeliveryReport {
            order: Name::order("tst", order, false),
            pilot: Name::foreign(pilot, false),
            news: crate::command::News::Accepted,
            at: None,
            position: None,
            proof: None,
            cod_collected: None,
        };
        let items = [("1", "P"), ("2", "Q"), ("3", "Q"), ("4", "R"), ("2", "S"), ("5", "P")];
        let items = items.map(|(order, pilot)| Ok(report(order, pilot))).into_iter();
        let command = Command::ReportDeliveries(Many { items: items.collect(), bulk: true, request: None });
        let first = std::cell::Cell::new(0);
        // Only the second is fenced.
        let is_fenced = |_: &Touches| {
            first.set(first.get() + 1);
            first.get() == 2
        };
        let fenced = deliveries().fenced_items(&City::default(), &command, &is_fenced);
        assert_eq!(fenced, Some(vec![false, true, true, false, true, false]));
        assert_eq!(deliveries().fenced_items(&City::default(), &Command::DispatchDue, &|_| true), None);
    }
}
