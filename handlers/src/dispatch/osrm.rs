//! Travel times from a routing engine, without the IO: what to ask and how to read the answer.
//!
//! The form is that of OSRM's table service, version 1. Whoever fetches keeps the [`Matrix`] for
//! as long as its places are the same, and plans with the fall-back while there is none.

use serde::Deserialize;

use super::travel::{Matrix, UNREACHABLE};

/// Why an answer is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTable {
    /// Not JSON of the expected form.
    Form(String),
    /// The engine says that it failed, in its own words.
    Refused(String),
    /// Not as many rows or columns as places.
    Size,
}

impl std::fmt::Display for BadTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Form(why) => write!(f, "the table is not of the expected form: {why}"),
            Self::Refused(code) => write!(f, "the routing engine answered {code}"),
            Self::Size => write!(f, "the table does not have a row and a column for each place"),
        }
    }
}

impl std::error::Error for BadTable {}

/// The path and query that ask for the times between all these places, given as latitude and
/// longitude in degrees.
pub fn target(profile: &str, places: &[(f64, f64)]) -> String {
    let places = places.iter().map(|(lat, lng)| format!("{lng:.6},{lat:.6}"));
    let places: Vec<String> = places.collect();
    format!("/table/v1/{profile}/{}?annotations=duration", places.join(";"))
}

#[derive(Deserialize)]
struct Answer {
    code: String,
    #[serde(default)]
    durations: Vec<Vec<Option<f64>>>,
}

/// Reads the engine's answer for that many places. Pairs without a road, and durations that
/// make no sense, are left to the fall-back.
pub fn parse<F>(body: &[u8], places: usize, fallback: F) -> Result<Matrix<F>, BadTable> {
    let seconds = durations(body, places)?;
    Matrix::new(places, seconds, fallback).ok_or(BadTable::Size)
}

/// The same as whole seconds, row by row; what is left out is `None`.
pub fn durations(body: &[u8], places: usize) -> Result<Vec<Option<u32>>, BadTable> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| BadTable::Form(error.to_string()))?;
    if answer.code != "Ok" {
        return Err(BadTable::Refused(answer.code));
    }
    if answer.durations.len() != places || answer.durations.iter().any(|row| row.len() != places) {
        return Err(BadTable::Size);
    }
    let cells = answer.durations.into_iter().flatten();
    let seconds = cells.map(|cell| {
        let sane = cell.filter(|seconds| (0.0..=UNREACHABLE as f64).contains(seconds));
        sane.map(|seconds| seconds.ceil() as u32)
    });
    Ok(seconds.collect())
}

#[cfg(test)]
mod tests {
    use super::super::model::{PlaceId, Seconds, Vehicle};
    use super::super::travel::TravelTime;
    use super::*;

    #[derive(Debug)]
    struct Never;

    impl TravelTime for Never {
        fn seconds(&self, _: Vehicle, _: PlaceId, _: PlaceId) -> Seconds {
            777
        }
    }

    #[test]
    fn asks_in_longitude_latitude() {
        assert_eq!(
            target("bike", &[(12.97, 77.59), (-1.5, -0.25)]),
            "/table/v1/bike/77.590000,12.970000;-0.250000,-1.500000?annotations=duration"
        );
    }

    #[test]
    fn a_table_is_read_and_its_holes_are_left_to_the_fallback() {
        let body = br#"{"code":"Ok","durations":[[0,90.2],[null,0]],"sources":[]}"#;
        let table = parse(body, 2, Never).unwrap();
        let seconds = |from, to| table.seconds(Vehicle::default(), PlaceId(from), PlaceId(to));
        assert_eq!(seconds(0, 1), 91);
        assert_eq!(seconds(1, 0), 777);
        let odd = parse(br#"{"code":"Ok","durations":[[-3]]}"#, 1, Never).unwrap();
        assert_eq!(odd.seconds(Vehicle::default(), PlaceId(0), PlaceId(0)), 777);
    }

    #[test]
    fn other_answers_say_what_is_wrong() {
        let wrong = |body: &[u8]| parse(body, 1, Never).unwrap_err();
        assert!(matches!(wrong(b"<html>"), BadTable::Form(_)));
        assert_eq!(wrong(br#"{"code":"NoTable"}"#), BadTable::Refused("NoTable".to_owned()));
        assert_eq!(wrong(br#"{"code":"Ok","durations":[[1,2]]}"#), BadTable::Size);
    }
}
