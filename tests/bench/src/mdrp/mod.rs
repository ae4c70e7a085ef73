//! Dispatch, on the public Meal Delivery Routing Problem.
//!
//! Reyes, Erera, Savelsbergh, Sahasrabudhe and O'Neil, "The Meal Delivery Routing Problem",
//! Optimization Online, 2018. The production planner drives every day of every instance, one
//! planning a minute; a checker that knows nothing of the planner judges whether what came of
//! it is feasible; the figures stand beside those of others.

mod check;
mod instance;
mod measure;
mod random;
mod simulate;

use std::fmt::Write as _;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use megamind_handlers::dispatch::{Policy, Settings};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::report::Report;

use instance::Instance;
use measure::{Figures, Mean};
use simulate::{Day, Trouble};

/// How to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Instances run at the same time; the result does not depend on it. 0: one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Runs of the largest day, alone, of which the best counts for the time of a tick.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Seed of the runs with noise and rejections, and of the city made up without data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Means that others reached: who, undelivered %, click-to-door, its p90, ready-to-pickup, cost.
const OTHERS: [(&str, [f64; 5]); 4] = [
    ("Reyes et al. 2018, 240 instances", [0.25, 32.74, 49.3, 1.93, 11.42]),
    ("one-order assignment, 240 instances", [0.53, 33.05, 48.6, 2.69, 11.32]),
    ("one-order assignment, these 144", [0.840, 33.66, 49.29, 2.97, 10.93]),
    ("a prototype, these 144", [0.043, 32.24, 47.99, 1.45, 10.79]),
];

/// Where the data is looked for unless told otherwise: beside the checkout.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// Everything of one run over all instances.
struct Run {
    figures: Vec<Figures>,
    faults: Vec<String>,
    hash: String,
}

/// Runs the benchmark and prints it, as text or as the JSON object that the gate reads.
pub(crate) fn run(options: &Options, data: Option<&Path>, as_json: bool) -> Result<()> {
    let Setup { instances, optima, missing } = setup(options, data)?;
    let threads = NonZero::new(options.threads)
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZero::get);
    let planner = Settings::default();
    let plain = run_all(&instances, &planner, Trouble::default(), threads);
    let mean = measure::mean(&plain.figures, &optima);
    let ticks = ticks_of_largest(&instances, &planner, options.repeat);
    if as_json {
        if let Some(missing) = &missing {
            eprintln!("{missing}");
        }
        let result = json!({
            "mean": mean,
            "tick": { "p99_ms": ticks.wall.p99, "max_ms": ticks.wall.max },
            "sha256": plain.hash,
            "feasible": plain.faults.is_empty(),
            "instances": plain.figures,
        });
        println!("{result}");
        return Ok(());
    }
    let mut report = Report::new("mdrp", serde_json::Value::Null);
    if let Some(missing) = &missing {
        report.note(missing);
    }
    let greedy = Settings { policy: Policy::Nearest, ..planner.clone() };
    let greedy = run_all(&instances, &greedy, Trouble::default(), threads);
    let mut rows = vec![
        row("greedy nearest idle", &measure::mean(&greedy.figures, &optima)),
        row("the planner", &mean),
    ];
    let mut faults = plain.faults;
    faults.extend(greedy.faults);
    for (name, trouble) in troubles(options.seed) {
        let run = run_all(&instances, &planner, trouble, threads);
        rows.push(row(name, &measure::mean(&run.figures, &[])));
        faults.extend(run.faults);
    }
    let others = OTHERS.iter().filter(|_| missing.is_none());
    rows.splice(1..1, others.map(|(name, figures)| published(name, figures)));
    report.note(format!(
        "{} instances, means of the instances' figures, minutes and dollars",
        instances.len()
    ));
    report.note("");
    report.table(&["policy", "undelivered %", "CtD", "CtD p90", "RtP", "cost/order", "gap %"], &rows);
    gaps(&mut report, &plain.figures, &optima);
    let Ticks { name, wall, processor } = ticks;
    report.note(format!("a tick of the largest day ({name}), best of {}: {wall}", options.repeat));
    report.note(format!("the same in processor time, where others want the processor too: {processor}"));
    report.note(format!("sha256 of all plans: {}", plain.hash));
    report.note(match &faults[..] {
        [] => "feasible: every errand of every run".to_owned(),
        faults => format!("NOT FEASIBLE, {} faults:\n  {}", faults.len(), faults.join("\n  ")),
    });
    report.print(false);
    anyhow::ensure!(faults.is_empty(), "the plans are not feasible");
    Ok(())
}

/// What goes otherwise than the planner was told, beside the run without trouble.
fn troubles(seed: u64) -> [(&'static str, Trouble); 3] {
    let quiet = Trouble { seed, ..Trouble::default() };
    [
        ("  … ready times ± 5 min", Trouble { ready_noise: 5, ..quiet }),
        ("  … 10 % rejections", Trouble { rejections: 10, ..quiet }),
        ("  … both", Trouble { ready_noise: 5, rejections: 10, ..quiet }),
    ]
}

/// What there is to run on.
struct Setup {
    instances: Vec<Instance>,
    /// Name, the best that is possible, what was published.
    optima: Vec<Optimum>,
    /// Said where there is no data.
    missing: Option<String>,
}

/// A known optimum: mean click-to-door minutes of somebody who knows the future.
pub(crate) struct Optimum {
    pub(crate) name: String,
    pub(crate) reyes: f64,
    pub(crate) exact: f64,
}

fn setup(options: &Options, data: Option<&Path>) -> Result<Setup> {
    let data = data.unwrap_or(Path::new(DATA));
    let candidates = [data.join("mdrp"), data.to_owned()];
    let found = candidates.iter().find(|folder| folder.is_dir()).map(|folder| {
        let folders = instance::folders(folder)?;
        anyhow::Ok((folder, folders))
    });
    let found = found.transpose()?.filter(|(_, folders)| !folders.is_empty());
    let Some((data, folders)) = found else {
        return Ok(Setup {
            instances: vec![Instance::generated(options.seed, 600)],
            optima: Vec::new(),
            missing: Some(format!("skipped: no instances in {}; a generated city instead", data.display())),
        });
    };
    let read = folders.iter().map(|folder| Instance::read(folder));
    Ok(Setup { instances: read.collect::<Result<_>>()?, optima: optima(data)?, missing: None })
}

/// Reads the known optima, if there is such a file beside the instances, or above them where there is only one.
fn optima(data: &Path) -> Result<Vec<Optimum>> {
    let above = data.canonicalize().ok().and_then(|data| Some(data.parent()?.to_owned()));
    let places = [Some(data.to_owned()), above.filter(|_| data.join("orders.txt").is_file())];
    let found = places
        .into_iter()
        .flatten()
        .map(|folder| folder.join("optimum.tsv"))
        .find(|path| path.is_file());
    let Some(path) = found else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with(['#', '\r']) && !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with("instance\t"));
    lines
        .map(|line| {
            let mut cells = line.split('\t').map(str::trim);
            let wrong = || format!("{}: {line}: a name and two numbers are expected", path.display());
            let mut next = || cells.next().with_context(wrong);
            let name = next()?.to_owned();
            let (reyes, exact) = (next()?.parse().with_context(wrong)?, next()?.parse().with_context(wrong)?);
            Ok(Optimum { name, reyes, exact })
        })
        .collect()
}

/// Runs every instance, some at the same time; the result is in the instances' order.
fn run_all(instances: &[Instance], settings: &Settings, trouble: Trouble, threads: usize) -> Run {
    let next = AtomicUsize::new(0);
    let days = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(instances.len()) {
            scope.spawn(|| {
                while let Some((index, instance)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    instances.get(index).map(|instance| (index, instance))
                } {
                    let day = simulate::run(instance, settings, trouble);
                    let judged = judge(instance, &day);
                    days.lock().expect("no run panics").push((index, judged));
                }
            });
        }
    });
    let mut days = days.into_inner().expect("no run panics");
    days.sort_by_key(|&(index, _)| index);
    let mut hash = Sha256::new();
    let mut run = Run { figures: Vec::new(), faults: Vec::new(), hash: String::new() };
    for (_, judged) in days {
        hash.update(judged.hash);
        run.figures.push(judged.figures);
        run.faults.extend(judged.faults);
    }
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(run.hash, "{byte:02x}");
    }
    run
}

struct Judged {
    figures: Figures,
    faults: Vec<String>,
    hash: [u8; 32],
}

fn judge(instance: &Instance, day: &Day) -> Judged {
    let faults = check::faults(instance, day).into_iter();
    Judged {
        figures: measure::figures(instance, day),
        faults: faults.map(|fault| format!("{}: {fault}", instance.name)).collect(),
        hash: day.hash,
    }
}

/// Times of the ticks of one day.
struct Ticks {
    name: String,
    wall: Spread,
    /// Of the processor alone.
    processor: Spread,
}

/// What some times come to, in milliseconds.
#[derive(Clone, Copy)]
struct Spread {
    p99: f64,
    max: f64,
    day: f64,
}

impl Spread {
    const WORST: Self = Self { p99: f64::INFINITY, max: f64::INFINITY, day: f64::INFINITY };

    fn of(times: impl Iterator<Item = Duration>) -> Option<Self> {
        let mut ms: Vec<f64> = times.map(|time| time.as_secs_f64() * 1_000.0).collect();
        ms.sort_by(f64::total_cmp);
        let max = *ms.last()?;
        Some(Self { p99: ms[(ms.len() - 1) * 99 / 100], max, day: ms.iter().sum() })
    }

    /// The better of each.
    fn best(self, other: Self) -> Self {
        Self { p99: self.p99.min(other.p99), max: self.max.min(other.max), day: self.day.min(other.day) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { p99, max, day } = self;
        write!(f, "p99 {p99:.2} ms, worst {max:.2} ms, the day {day:.0} ms")
    }
}

/// Runs the largest day alone, several times; each figure is its best.
fn ticks_of_largest(instances: &[Instance], settings: &Settings, repeat: usize) -> Ticks {
    let mut best = Ticks { name: String::new(), wall: Spread::WORST, processor: Spread::WORST };
    let largest = instances.iter().max_by_key(|instance| instance.orders.len());
    for instance in std::iter::repeat_n(largest, repeat.max(1)).flatten() {
        let ticks = simulate::run(instance, settings, Trouble::default()).ticks;
        let wall = Spread::of(ticks.iter().map(|tick| tick.wall));
        let processor = Spread::of(ticks.iter().map(|tick| tick.processor));
        best.name.clone_from(&instance.name);
        best.wall = wall.map_or(best.wall, |wall| wall.best(best.wall));
        best.processor = processor.map_or(best.processor, |processor| processor.best(best.processor));
    }
    best
}

fn row(name: &str, mean: &Mean) -> Vec<String> {
    let gap = mean.gap_pct.map_or(String::new(), |gap| format!("{gap:.2}"));
    let figures = [mean.undelivered_pct, mean.ctd, mean.ctd_p90, mean.rtp, mean.cost_per_order];
    let [cells @ .., _] = &mut published(name, &figures)[..] else {
        return Vec::new();
    };
    cells.iter().cloned().chain([gap]).collect()
}

fn published(name: &str, figures: &[f64; 5]) -> Vec<String> {
    let cells = figures.iter().zip([3, 2, 2, 2, 2]);
    let cells = cells.map(|(figure, digits)| format!("{figure:.digits$}"));
    std::iter::once(name.to_owned()).chain(cells).chain([String::new()]).collect()
}

/// The instances whose optimum is known.
fn gaps(report: &mut Report, figures: &[Figures], optima: &[Optimum]) {
    let rows = optima.iter().filter_map(|optimum| {
        let found = figures.iter().find(|figures| figures.name == optimum.name)?;
        let gap = |ctd: f64| format!("{:+.2} %", 100.0 * (ctd / optimum.exact - 1.0));
        Some(vec![
            optimum.name.clone(),
            format!("{:.2}", optimum.exact),
            format!("{:.2}", optimum.reyes),
            gap(optimum.reyes),
            format!("{:.2}", found.ctd),
            gap(found.ctd),
        ])
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        report.table(&["CtD against the optimum", "optimum", "Reyes", "", "planner", ""], &rows);
    }
}
