//! Instances of the Meal Delivery Routing Problem (Reyes et al. 2018), read from the public
//! tab-separated files or made up from a seed.

use std::collections::HashMap;
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

/// How deep below the data folder instances are looked for.
const DEPTH: usize = 4;

/// The instance folders below a folder, itself included, by path.
pub(crate) fn folders(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(data, DEPTH, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if folder.join("orders.txt").is_file() {
        found.push(folder.to_owned());
        return Ok(());
    }
    let cannot = || format!("cannot read {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if depth > 0 && path.is_dir() {
            collect(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

impl Instance {
    /// Reads one folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = whole.file_name().unwrap_or(folder.as_os_str());
        let parameters = Table::read(&folder.join("instance_parameters.txt"))?;
        let first = parameters.row(0)?;
        let restaurants = Table::read(&folder.join("restaurants.txt"))?;
        let orders = Table::read(&folder.join("orders.txt"))?;
        let couriers = Table::read(&folder.join("couriers.txt"))?;
        let names = (0..restaurants.rows.len()).map(|index| restaurants.row(index)?.text("restaurant"));
        let names: Vec<&str> = names.collect::<Result<_>>()?;
        let numbers: HashMap<&str, usize> = names.into_iter().zip(0..).collect();
        let restaurant = |row: &Row<'_>| -> Result<usize> {
            let name = row.text("restaurant")?;
            let known = numbers.get(name).copied();
            known.with_context(|| format!("{}: there is no restaurant {name}", row.place()))
        };
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            orders: (0..orders.rows.len())
                .map(|index| {
                    let row = orders.row(index)?;
                    Ok(Order {
                        door: row.point()?,
                        placed: row.minutes("placement_time")?,
                        restaurant: restaurant(&row)?,
                        ready: row.minutes("ready_time")?,
                    })
                })
                .collect::<Result<_>>()?,
            couriers: (0..couriers.rows.len())
                .map(|index| {
                    let row = couriers.row(index)?;
                    Ok(Courier { home: row.point()?, on: row.minutes("on_time")?, off: row.minutes("off_time")? })
                })
                .collect::<Result<_>>()?,
            restaurants: (0..restaurants.rows.len())
                .map(|index| restaurants.row(index)?.point())
                .collect::<Result<_>>()?,
            metres_per_minute: first.speed("meters_per_minute")?,
            pickup_service: first.minutes("pickup service minutes")?,
            dropoff_service: first.minutes("dropoff service minutes")?,
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
    /// The number of its line, and its cells.
    rows: Vec<(usize, Vec<String>)>,
}

struct Row<'a> {
    table: &'a Table,
    line: usize,
    cells: &'a [String],
}

impl Table {
    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let split = |line: &str| -> Vec<String> { line.split('\t').map(|cell| cell.trim().to_owned()).collect() };
        let header = lines.next().map(|(_, line)| split(line)).unwrap_or_default();
        let header: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let rows: Vec<(usize, Vec<String>)> = lines.map(|(number, line)| (number, split(line))).collect();
        if let Some((line, _)) = rows.iter().find(|(_, row)| row.len() < header.len()) {
            bail!("{}:{line}: fewer cells than the header has", path.display());
        }
        let path = path.to_owned();
        Ok(Self { path, header, rows })
    }

    fn row(&self, index: usize) -> Result<Row<'_>> {
        let row = self.rows.get(index);
        let (line, cells) = row.with_context(|| format!("{}: no row {index}", self.path.display()))?;
        Ok(Row { table: self, line: *line, cells })
    }
}

/// A column's name without what copies of the data differ in.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '-'], " ")
}

impl<'a> Row<'a> {
    /// The file and line, for messages.
    fn place(&self) -> String {
        format!("{}:{}", self.table.path.display(), self.line)
    }

    fn text(&self, column: &str) -> Result<&'a str> {
        let at = self.table.header.iter().position(|name| *name == plain(column));
        let at = at.with_context(|| format!("{}: no column {column}", self.table.path.display()))?;
        Ok(&self.cells[at])
    }

    /// A number that is one.
    fn number(&self, column: &str) -> Result<f64> {
        let text = self.text(column)?;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.with_context(|| format!("{}: {column}: {text:?} is not a number", self.place()))
    }

    /// Whole minutes, within some weeks.
    fn minutes(&self, column: &str) -> Result<i64> {
        const MOST: f64 = 100_000.0;
        let minutes = self.number(column)?;
        if minutes.abs() > MOST || minutes.fract() != 0.0 {
            bail!("{}: {column}: {minutes} is not a number of whole minutes", self.place());
        }
        Ok(minutes as i64)
    }

    /// More than nothing.
    fn speed(&self, column: &str) -> Result<f64> {
        let speed = self.number(column)?;
        if speed <= 0.0 {
            bail!("{}: {column}: {speed} is not a speed", self.place());
        }
        Ok(speed)
    }

    fn point(&self) -> Result<Point> {
        Ok(Point { x: self.number("x")?, y: self.number("y")? })
    }
}
