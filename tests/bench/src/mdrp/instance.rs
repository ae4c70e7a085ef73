//! Instances of the Meal Delivery Routing Problem (Reyes et al. 2018), read from the public
//! tab-separated files or made up from a seed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use megamind_handlers::dispatch::{PlaceId, Seconds, TravelTime, Vehicle};

use super::random::Random;

/// A point of the plane, in metres.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// An order; times are minutes of the day.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) door: Point,
    pub(crate) placed: i64,
    pub(crate) restaurant: usize,
    pub(crate) ready: i64,
}

/// A courier; times are minutes of the day.
#[derive(Clone, Debug)]
pub(crate) struct Courier {
    pub(crate) home: Point,
    pub(crate) on: i64,
    pub(crate) off: i64,
}

/// One day of one city.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) orders: Vec<Order>,
    pub(crate) couriers: Vec<Courier>,
    pub(crate) restaurants: Vec<Point>,
    pub(crate) metres_per_minute: f64,
    /// Minutes at a restaurant, half before and half after the pickup.
    pub(crate) pickup_service: i64,
    /// Minutes at a door, half before and half after the hand-over.
    pub(crate) dropoff_service: i64,
    /// Dollars per order.
    pub(crate) pay_per_order: f64,
    /// Dollars guaranteed per hour of a shift.
    pub(crate) pay_per_hour: f64,
}

/// The instance folders below a folder, by name.
pub(crate) fn folders(data: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(data).with_context(|| format!("cannot read {}", data.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("orders.txt").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

impl Instance {
    /// Reads one folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        let parameters = Table::read(&folder.join("instance_parameters.txt"))?;
        let first = parameters.row(0)?;
        let restaurants = Table::read(&folder.join("restaurants.txt"))?;
        let orders = Table::read(&folder.join("orders.txt"))?;
        let couriers = Table::read(&folder.join("couriers.txt"))?;
        let number = |name: &str| -> Result<usize> {
            let known = restaurants.rows.iter().position(|row| row[0] == name);
            known.with_context(|| format!("no restaurant {name}"))
        };
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            orders: (0..orders.rows.len())
                .map(|index| {
                    let row = orders.row(index)?;
                    Ok(Order {
                        door: row.point()?,
                        placed: row.number("placement_time")?,
                        restaurant: number(row.text("restaurant")?)?,
                        ready: row.number("ready_time")?,
                    })
                })
                .collect::<Result<_>>()?,
            couriers: (0..couriers.rows.len())
                .map(|index| {
                    let row = couriers.row(index)?;
                    Ok(Courier { home: row.point()?, on: row.number("on_time")?, off: row.number("off_time")? })
                })
                .collect::<Result<_>>()?,
            restaurants: (0..restaurants.rows.len())
                .map(|index| restaurants.row(index)?.point())
                .collect::<Result<_>>()?,
            metres_per_minute: first.number("meters_per_minute")?,
            pickup_service: first.number("pickup service minutes")?,
            dropoff_service: first.number("dropoff service minutes")?,
            pay_per_order: first.number("pay per order")?,
            pay_per_hour: first.number("guaranteed pay per hour")?,
        })
    }

    /// A made-up city of that many orders: a lunch and a dinner peak, restaurants around three
    /// centres, shifts of one to four hours.
    pub(crate) fn generated(seed: u64, orders: usize) -> Self {
        let mut random = Random::new(seed);
        let centres: [Point; 3] = std::array::from_fn(|_| Point {
            x: random.between(2_000, 10_000) as f64,
            y: random.between(2_000, 10_000) as f64,
        });
        let near = |random: &mut Random, spread: i64| {
            let centre = centres[random.between(0, 2) as usize];
            Point {
                x: centre.x + (random.between(-spread, spread) + random.between(-spread, spread)) as f64,
                y: centre.y + (random.between(-spread, spread) + random.between(-spread, spread)) as f64,
            }
        };
        let restaurants: Vec<Point> = (0..orders.div_ceil(5)).map(|_| near(&mut random, 1_500)).collect();
        let at = |random: &mut Random| {
            let peak = if random.between(0, 9) < 4 { 240 } else { 560 };
            peak + random.between(-70, 70) + random.between(-70, 70)
        };
        Self {
            name: format!("generated-{seed}-{orders}"),
            orders: (0..orders)
                .map(|_| {
                    let placed = at(&mut random);
                    Order {
                        door: near(&mut random, 3_000),
                        placed,
                        restaurant: random.between(0, restaurants.len() as i64 - 1) as usize,
                        ready: placed + random.between(5, 30),
                    }
                })
                .collect(),
            couriers: (0..orders.div_ceil(4))
                .map(|_| {
                    let on = at(&mut random) - 60;
                    let off = on + 60 * random.between(1, 4) + 30;
                    let home = near(&mut random, 3_000);
                    Courier { home, on, off }
                })
                .collect(),
            restaurants,
            metres_per_minute: 320.0,
            pickup_service: 4,
            dropoff_service: 4,
            pay_per_order: 10.0,
            pay_per_hour: 15.0,
        }
    }

    /// Whole minutes from one point to another.
    pub(crate) fn minutes(&self, from: Point, to: Point) -> i64 {
        ((from.x - to.x).hypot(from.y - to.y) / self.metres_per_minute).ceil() as i64
    }
}

/// The instance's plane as a source of travel times: restaurants first, then doors, then homes.
pub(crate) struct Plane {
    points: Vec<Point>,
    metres_per_minute: f64,
    restaurants: usize,
    orders: usize,
}

impl Plane {
    pub(crate) fn new(instance: &Instance) -> Self {
        let doors = instance.orders.iter().map(|order| order.door);
        let homes = instance.couriers.iter().map(|courier| courier.home);
        Self {
            points: (instance.restaurants.iter().copied()).chain(doors).chain(homes).collect(),
            metres_per_minute: instance.metres_per_minute,
            restaurants: instance.restaurants.len(),
            orders: instance.orders.len(),
        }
    }

    pub(crate) fn restaurant(&self, index: usize) -> PlaceId {
        debug_assert!(index < self.restaurants);
        PlaceId(index as u32)
    }

    pub(crate) fn door(&self, order: usize) -> PlaceId {
        debug_assert!(order < self.orders);
        PlaceId((self.restaurants + order) as u32)
    }

    pub(crate) fn home(&self, courier: usize) -> PlaceId {
        PlaceId((self.restaurants + self.orders + courier) as u32)
    }
}

impl TravelTime for Plane {
    #[inline]
    fn seconds(&self, _: Vehicle, from: PlaceId, to: PlaceId) -> Seconds {
        let (a, b) = (self.points[from.0 as usize], self.points[to.0 as usize]);
        let (dx, dy) = (a.x - b.x, a.y - b.y);
        let minutes = (dx * dx + dy * dy).sqrt() / self.metres_per_minute;
        // `ceil` is a call on older processors, and this is the innermost line of the benchmark.
        let whole = minutes as Seconds;
        (whole + Seconds::from((whole as f64) < minutes)) * 60
    }
}

/// A tab-separated file with a header.
struct Table {
    path: PathBuf,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

struct Row<'a> {
    table: &'a Table,
    line: usize,
    cells: &'a [String],
}

impl Table {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let split = |line: &str| -> Vec<String> { line.split('\t').map(|cell| cell.trim().to_owned()).collect() };
        let header = split(lines.next().unwrap_or_default());
        let rows: Vec<_> = lines.map(split).collect();
        if let Some(line) = rows.iter().position(|row| row.len() != header.len()) {
            bail!("{}:{}: not as many cells as the header", path.display(), line + 2);
        }
        let path = path.to_owned();
        Ok(Self { path, header, rows })
    }

    fn row(&self, index: usize) -> Result<Row<'_>> {
        let cells = self.rows.get(index);
        let cells = cells.with_context(|| format!("{}: no row {index}", self.path.display()))?;
        let line = index + 2;
        Ok(Row { table: self, line, cells })
    }
}

impl Row<'_> {
    fn text(&self, column: &str) -> Result<&str> {
        let at = self.table.header.iter().position(|name| name == column);
        let at = at.with_context(|| format!("{}: no column {column}", self.table.path.display()))?;
        Ok(&self.cells[at])
    }

    fn number<N: std::str::FromStr>(&self, column: &str) -> Result<N> {
        let text = self.text(column)?;
        let line = self.line;
        let place = || format!("{}:{line}: {column}: {text}", self.table.path.display());
        text.parse().ok().with_context(place)
    }

    fn point(&self) -> Result<Point> {
        Ok(Point { x: self.number("x")?, y: self.number("y")? })
    }
}
