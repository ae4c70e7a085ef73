//! Typed access to the parameters of a request, whatever form they came in.
//!
//! A form or a query has only strings, so a number is taken from a string as well.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::refusal::Refusal;

/// A place on earth, WGS 84 degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Position {
    pub(crate) lat: f64,
    pub(crate) lng: f64,
}

impl Position {
    /// Metres, on a plane that is good enough within a city.
    pub(crate) fn metres_to(self, other: Self) -> f64 {
        const METRES_PER_DEGREE: f64 = 111_195.0;
        let shrink = f64::midpoint(self.lat, other.lat).to_radians().cos();
        let north = (self.lat - other.lat) * METRES_PER_DEGREE;
        let east = (self.lng - other.lng) * METRES_PER_DEGREE * shrink;
        north.hypot(east)
    }

    pub(crate) fn to_json(self) -> Value {
        serde_json::json!({ "lat": self.lat, "lng": self.lng })
    }
}

/// The canonical parameters of one request, or of one item of a bulk request.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Params<'a> {
    /// A text that must be there and not be empty. Numbers count as text: PHP sends either.
    pub(crate) fn text(self, name: &str) -> Result<String, Refusal> {
        self.optional_text(name)?.ok_or_else(|| Refusal::MissingField(name.to_owned()))
    }

    pub(crate) fn optional_text(self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(Refusal::invalid(name, "a text is expected")),
        }
    }

    pub(crate) fn optional_time(self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let parse = |text: String| {
            text.parse()
                .map_err(|_| Refusal::invalid(name, "a time of RFC 3339 is expected"))
        };
        self.optional_text(name)?.map(parse).transpose()
    }

    /// The members of a list that must be there.
    pub(crate) fn list(self, name: &str) -> Result<&'a [Value], Refusal> {
        match self.0.get(name) {
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Refusal::invalid(name, "a list is expected")),
            None => Err(Refusal::MissingField(name.to_owned())),
        }
    }

    /// `{lat, lng}` under a name, which must be there.
    pub(crate) fn place(self, name: &str) -> Result<Position, Refusal> {
        match self.0.get(name) {
            Some(Value::Object(map)) => Params(map)
                .optional_position(&format!("{name}."))?
                .ok_or_else(|| Refusal::MissingField(format!("{name}.lat"))),
            Some(_) => Err(Refusal::invalid(name, "an object with lat and lng is expected")),
            None => Err(Refusal::MissingField(name.to_owned())),
        }
    }

    /// `lat` and `lng` of this object, both or neither.
    pub(crate) fn optional_position(self, prefix: &str) -> Result<Option<Position>, Refusal> {
        let (lat, lng) = (self.degrees(prefix, "lat", 90.0)?, self.degrees(prefix, "lng", 180.0)?);
        match (lat, lng) {
            (Some(lat), Some(lng)) => Ok(Some(Position { lat, lng })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Refusal::MissingField(format!("{prefix}lat"))),
            (Some(_), None) => Err(Refusal::MissingField(format!("{prefix}lng"))),
        }
    }

    fn degrees(self, prefix: &str, name: &str, limit: f64) -> Result<Option<f64>, Refusal> {
        let field = || format!("{prefix}{name}");
        let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let number = value
            .as_f64()
            .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
        match number {
            Some(degrees) if (-limit..=limit).contains(&degrees) => Ok(Some(degrees)),
            Some(_) => Err(Refusal::invalid(field(), format!("must be within ±{limit}"))),
            None => Err(Refusal::invalid(field(), "a number is expected")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(value: &Value) -> Result<Position, Refusal> {
        let Value::Object(map) = json!({ "pickup": value }) else {
            unreachable!("an object literal")
        };
        Params(&map).place("pickup")
    }

    #[test]
    fn positions_are_numbers_or_texts_within_the_world() {
        let expect = Position { lat: 12.5, lng: -77.0 };
        assert_eq!(place(&json!({"lat": 12.5, "lng": -77})), Ok(expect));
        assert_eq!(place(&json!({"lat": "12.5", "lng": "-77"})), Ok(expect));
        for bad in [
            json!({"lat": 91, "lng": 0}),
            json!({"lat": "NaN", "lng": 0}),
            json!({"lat": [], "lng": 0}),
            json!(3),
        ] {
            assert!(matches!(place(&bad), Err(Refusal::InvalidField { .. })), "{bad}");
        }
        assert_eq!(place(&json!({"lat": 1})), Err(Refusal::MissingField("pickup.lng".into())));
    }
}
