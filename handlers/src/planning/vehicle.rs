//! What pilots ride.

use crate::{
    dispatch::{Vehicle, Vehicles},
    settings::Speeds,
};

/// The vehicle behind a word of somebody's. A "bike" has a motor in one city and pedals in the next, so it is not
/// guessed at.
pub(crate) fn vehicle(word: Option<&str>) -> Vehicle {
    let word = word.unwrap_or_default().trim().to_ascii_lowercase();
    let index = match word.as_str() {
        "walk" | "walker" | "walking" | "foot" | "on_foot" | "pedestrian" => 1,
        "bicycle" | "cycle" | "cyclist" | "ebike" | "e-bike" => 2,
        "motorbike" | "motorcycle" | "motor" | "scooter" => 3,
        "car" | "van" | "auto" | "rickshaw" | "truck" => 4,
        _ => 0,
    };
    Vehicle::new(index).unwrap_or_default()
}

/// A bit for each vehicle that the words name. Rows hold it: vehicles keep their numbers.
pub(crate) fn vehicle_bits(words: &[Box<str>]) -> u16 {
    words.iter().fold(0, |bits, word| bits | 1 << vehicle(Some(word)).index())
}

/// The vehicles behind the bits; all of them, where there is none.
pub(crate) fn vehicles(bits: u16) -> Vehicles {
    if bits == 0 {
        return Vehicles::ANY;
    }
    Vehicles::of(Vehicles::ANY.members().filter(|vehicle| bits >> vehicle.index() & 1 == 1))
}

/// Metres a second by [`Vehicle::index`]. The first is for whoever says nothing that is known here.
pub(crate) fn metres_a_second(speeds: &Speeds) -> [f64; 5] {
    let Speeds { walk, bicycle, motorbike, car, other } = *speeds;
    [other, walk, bicycle, motorbike, car]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_survives_in_bits() {
        let words = ["Car", "on_foot"].map(Box::from);
        let set = vehicles(vehicle_bits(&words));
        assert!(set.contains(vehicle(Some("van"))) && set.contains(vehicle(Some("walk"))));
        assert!(!set.contains(vehicle(Some("bicycle"))) && !set.contains(vehicle(None)));
        assert_eq!(vehicles(vehicle_bits(&[])), Vehicles::ANY);
    }

    #[test]
    fn every_vehicle_has_a_speed() {
        let speeds = metres_a_second(&Speeds::default());
        for word in ["", "bike", "On_Foot", "bicycle", "motorcycle", "van"] {
            assert!(vehicle(Some(word)).index() < speeds.len(), "{word}");
        }
        assert_ne!(vehicle(Some("FOOT")), vehicle(None));
        assert_eq!(vehicle(Some("bike")), vehicle(None));
        assert!(speeds[vehicle(Some("walk")).index()] < speeds[vehicle(Some("bicycle")).index()]);
    }
}
