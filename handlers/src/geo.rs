//! Positions on the earth and the distances between them.

use serde::{Deserialize, Serialize};

/// A position in WGS 84, in steps of 10⁻⁷ degrees (about a centimetre).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    lat: i32,
    lng: i32,
}

/// Steps in a degree.
const STEPS: f64 = 1e7;

/// Metres in a degree of latitude, on a sphere of the earth's mean radius (6,371,008.8 m).
pub(crate) const METRES_PER_DEGREE: f64 = 111_195.08;

impl Position {
    /// The position at these degrees, or `None` where there is no such place.
    pub fn from_degrees(lat: f64, lng: f64) -> Option<Self> {
        // A NaN is in no range.
        ((-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lng))
            .then(|| Self { lat: (lat * STEPS).round() as i32, lng: (lng * STEPS).round() as i32 })
    }

    /// Degrees north.
    pub fn lat(self) -> f64 {
        f64::from(self.lat) / STEPS
    }

    /// Degrees east.
    pub fn lng(self) -> f64 {
        f64::from(self.lng) / STEPS
    }

    /// Metres to another position: equirectangular, exact to a few metres within a city.
    pub fn metres_to(self, other: Self) -> f64 {
        let north = self.lat() - other.lat();
        let mut east = (self.lng() - other.lng()).abs();
        if east > 180.0 {
            east = 360.0 - east;
        }
        let shrink = f64::midpoint(self.lat(), other.lat()).to_radians().cos();
        north.hypot(east * shrink) * METRES_PER_DEGREE
    }
}

/// A position at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Where.
    #[serde(flatten)]
    pub position: Position,
    /// When.
    pub at: megamind_domain::Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_survive() {
        for (lat, lng) in [(12.9716, 77.5946), (-90.0, 180.0), (0.0, -180.0), (51.477_811, -0.001_475)] {
            let position = Position::from_degrees(lat, lng).expect("on earth");
            assert_eq!((position.lat(), position.lng()), (lat, lng));
        }
    }

    #[test]
    fn what_is_not_on_earth_is_refused() {
        for (lat, lng) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Position::from_degrees(lat, lng), None, "{lat} {lng}");
        }
    }

    #[test]
    fn distances_are_metres() {
        let at = |lat, lng| Position::from_degrees(lat, lng).expect("on earth");
        let check = |a: Position, b: Position, expect: f64| {
            let got = a.metres_to(b);
            assert!((got - expect).abs() < expect * 0.005 + 0.01, "{got}");
        };
        // Haversine distances.
        check(at(12.9716, 77.5946), at(12.9352, 77.6245), 5_189.0);
        check(at(0.0, 179.95), at(0.0, -179.95), 11_119.5);
        check(at(60.0, 10.0), at(60.0, 10.1), 5_559.7);
        check(at(1.0, 1.0), at(1.0, 1.0), 0.0);
    }
}
