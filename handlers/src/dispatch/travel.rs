//! How long it takes to get from one place to another.

use std::f64::consts::PI;

use super::model::{PlaceId, Seconds, Vehicle};

/// A source of travel times. It must be pure: the same question, the same answer.
///
/// Answers should obey the triangle inequality, as every real network does when a detour is
/// never faster; where they do not, plans stay feasible but may miss a cheaper insertion.
pub trait TravelTime {
    /// Whole seconds from door to door. Unknown places are far away, never a panic.
    fn seconds(&self, vehicle: Vehicle, from: PlaceId, to: PlaceId) -> Seconds;
}

impl<T: TravelTime + ?Sized> TravelTime for &T {
    fn seconds(&self, vehicle: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
        (**self).seconds(vehicle, from, to)
    }
}

/// The answer for a place that the source does not know: a day, longer than any plan.
pub const UNREACHABLE: Seconds = 86_400;

/// The mean radius of the earth in metres (IUGG, R1).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Great-circle distance times a detour factor, over the vehicle's speed.
///
/// Places are kept as points on the unit sphere: there a distance is a chord, which needs no
/// special case at the poles or across the date line, and one `asin` instead of the five
/// trigonometric calls of the usual haversine formula that it equals.
#[derive(Clone, Debug)]
pub struct Sphere {
    points: Vec<[f64; 3]>,
    /// Seconds per unit of angle, detour included, by vehicle.
    seconds_per_radian: [f64; Vehicle::COUNT],
}

impl Sphere {
    /// A sphere without places. `detour` is how much longer the road is than the straight line
    /// (1.3 is usual in a city); `speeds` are metres per second by vehicle. A speed or detour
    /// that is not a positive number counts as 5 m/s and 1.3.
    pub fn new(detour: f64, speeds: &[f64]) -> Self {
        let detour = if detour.is_finite() && detour > 0.0 { detour } else { 1.3 };
        let mut seconds_per_radian = [0.0; Vehicle::COUNT];
        for (index, entry) in seconds_per_radian.iter_mut().enumerate() {
            let speed = speeds.get(index).or(speeds.last()).copied();
            let speed = speed.filter(|s| s.is_finite() && *s > 0.0).unwrap_or(5.0);
            *entry = EARTH_RADIUS_M * detour / speed;
        }
        Self { points: Vec::new(), seconds_per_radian }
    }

    /// Adds a place at WGS 84 degrees and numbers it. Longitudes wrap, latitudes are clamped; a
    /// position that is not a number is a place that nobody reaches.
    pub fn add(&mut self, lat: f64, lng: f64) -> PlaceId {
        let (lat, lng) = (lat.clamp(-90.0, 90.0) * PI / 180.0, lng * PI / 180.0);
        let id = PlaceId(u32::try_from(self.points.len()).unwrap_or(u32::MAX));
        self.points.push([lat.cos() * lng.cos(), lat.cos() * lng.sin(), lat.sin()]);
        id
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

impl TravelTime for Sphere {
    fn seconds(&self, vehicle: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
        let (Some(a), Some(b)) = (self.points.get(from.0 as usize), self.points.get(to.0 as usize)) else {
            return UNREACHABLE;
        };
        let (dx, dy, dz) = (a[0] - b[0], a[1] - b[1], a[2] - b[2]);
        let half_chord = (dx * dx + dy * dy + dz * dz).sqrt() / 2.0;
        if half_chord.is_nan() {
            return UNREACHABLE;
        }
        let seconds = 2.0 * half_chord.min(1.0).asin() * self.seconds_per_radian[vehicle.index()];
        // Up to the next whole second. A cast saturates, so this cannot overflow.
        let whole = (seconds as Seconds).min(UNREACHABLE);
        whole + Seconds::from(whole < UNREACHABLE && (whole as f64) < seconds)
    }
}

/// A table of travel times, as a routing engine's table service gives it, with another source
/// for the pairs that it does not have.
#[derive(Clone, Debug)]
pub struct Matrix<F> {
    places: usize,
    seconds: Vec<Option<u32>>,
    fallback: F,
}

impl<F> Matrix<F> {
    /// A table of the first `places` places, row by row: seconds from one to each other. `None`
    /// if the table is not square.
    pub fn new(places: usize, seconds: Vec<Option<u32>>, fallback: F) -> Option<Self> {
        let cells = places.checked_mul(places)?;
        (cells == seconds.len()).then_some(Self { places, seconds, fallback })
    }
}

impl<F: TravelTime> TravelTime for Matrix<F> {
    fn seconds(&self, vehicle: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
        let (row, column) = (from.0 as usize, to.0 as usize);
        let known = if row < self.places && column < self.places {
            self.seconds[row * self.places + column]
        } else {
            None
        };
        known.map_or_else(
            || self.fallback.seconds(vehicle, from, to),
            |seconds| Seconds::from(seconds).min(UNREACHABLE),
        )
    }
}
