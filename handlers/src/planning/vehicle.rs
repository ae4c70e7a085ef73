//! What pilots ride, and how fast that is through a city, lights and stairs included.

use crate::dispatch::Vehicle;

/// Metres a second by vehicle. The first is for whoever says nothing that is known here.
pub(crate) const SPEEDS: [f64; 5] = [5.6, 1.4, 4.2, 6.1, 5.6];

/// Streets are that much longer than straight lines.
pub(crate) const DETOUR: f64 = 1.3;

/// The vehicle behind a word of somebody's. A "bike" has a motor in one city and pedals in the next, so it is not
/// guessed at.
pub(crate) fn vehicle(word: Option<&str>) -> Vehicle {
    let word = word.unwrap_or_default().trim().to_ascii_lowercase();
    let index = match word.as_str() {
        "walk" | "walker" | "walking" | "foot" | "on_foot" | "pedestrian" => 1,
        "bicycle" | "cycle" | "cyclist" | "ebike" | "e-bike" => 2,
        "motorbike" | "motorcycle" | "motor" => 3,
        "car" | "van" | "auto" | "rickshaw" | "truck" => 4,
        _ => 0,
    };
    Vehicle::new(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vehicle_has_a_speed() {
        for word in ["", "bike", "On_Foot", "bicycle", "motorcycle", "van"] {
            assert!(vehicle(Some(word)).index() < SPEEDS.len(), "{word}");
        }
        assert_ne!(vehicle(Some("FOOT")), vehicle(None));
        assert_eq!(vehicle(Some("bike")), vehicle(None));
    }
}
