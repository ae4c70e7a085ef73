//! The load generator: one thread, keep-alive connections, requests prepared in advance.
//!
//! A generator that eats the cores it measures on measures itself. This one makes two system
//! calls a request and no allocation; what it still costs is measured with its own thread clock
//! and reported beside each result.

mod connection;
mod source;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};

use self::connection::{Connection, Progress};
pub(crate) use self::source::Source;

/// More broken connections than this in one run, and there is nothing to measure.
const MAX_BROKEN: u64 = 1_000;
/// A run without any answer for so long ends with an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Elapsed(Duration),
    Answered(u64),
}

/// What to send, where, and how.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) target: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) source: &'a mut Source,
    pub(crate) until: Until,
    /// Requests a second over all connections. Latencies then count from when a request was due,
    /// so that a stall is felt by all that had to wait for it. `None`: as fast as answers come.
    pub(crate) pace: Option<u32>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    pub(crate) elapsed: Duration,
    /// In microseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Connections that ended under a request.
    pub(crate) broken: u64,
    /// What the generator itself used.
    pub(crate) cpu: Duration,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of the generator's own CPU time for each request.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.answered.max(1) as f64
    }

    /// Both runs taken as one.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.answered += other.answered;
        self.elapsed += other.elapsed;
        // All histograms have the same bounds, so adding cannot fail.
        let _ = self.latency.add(&other.latency);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_insert(0) += count;
        }
        self.broken += other.broken;
        self.cpu += other.cpu;
        self
    }

    /// Answers outside of 2xx.
    pub(crate) fn failed(&self) -> u64 {
        self.statuses
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(_, count)| count)
            .sum()
    }

    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Runs a plan on this thread.
pub(crate) fn run(plan: Plan<'_>) -> anyhow::Result<Outcome> {
    let mut run = Run::start(plan)?;
    let mut events = Events::with_capacity(1024);
    let mut last_answer = (0, Instant::now());
    while !run.is_over() {
        run.send_what_is_due()?;
        if let Err(error) = run.poll.poll(&mut events, Some(run.nap())) {
            if error.kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error.into());
        }
        for event in &events {
            run.attend(event.token().0)?;
        }
        if run.answered > last_answer.0 {
            last_answer = (run.answered, Instant::now());
        } else if last_answer.1.elapsed() > PATIENCE {
            bail!("no answer from {} for {PATIENCE:?}", run.plan.target);
        }
    }
    Ok(run.finish())
}

struct Run<'a> {
    plan: Plan<'a>,
    poll: Poll,
    connections: Vec<Connection>,
    /// Connections without a request, in the order of becoming so.
    idle: VecDeque<usize>,
    began: Instant,
    cpu_before: Duration,
    sent: u64,
    answered: u64,
    broken: u64,
    latency: Histogram<u64>,
    /// By status; a map would cost more than the whole parser.
    statuses: Vec<u64>,
}

impl<'a> Run<'a> {
    fn start(plan: Plan<'a>) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(plan.connections);
        for token in 0..plan.connections {
            connections.push(connect(&poll, plan.target, token)?);
        }
        Ok(Self {
            idle: (0..plan.connections).collect(),
            latency: Histogram::new_with_bounds(1, 60_000_000, 3)?,
            statuses: vec![0; 1000],
            began: Instant::now(),
            cpu_before: thread_cpu(),
            sent: 0,
            answered: 0,
            broken: 0,
            plan,
            poll,
            connections,
        })
    }
    fn is_over(&self) -> bool {
        match self.plan.until {
            Until::Elapsed(limit) => self.began.elapsed() >= limit,
            Until::Answered(limit) => self.answered >= limit,
        }
    }

    /// When the next request may go at the earliest.
    fn due(&self) -> Instant {
        match self.plan.pace {
            Some(rate) => self.began + Duration::from_secs_f64(self.sent as f64 / f64::from(rate.max(1))),
            None => self.began,
        }
    }

    fn nap(&self) -> Duration {
        let longest = Duration::from_millis(50);
        if self.plan.pace.is_some() && !self.idle.is_empty() {
            self.due().saturating_duration_since(Instant::now()).min(longest)
        } else {
            longest
        }
    }

    fn send_what_is_due(&mut self) -> anyhow::Result<()> {
        while !self.idle.is_empty() && !self.all_sent() {
            let now = Instant::now();
            let due = self.due();
            if due > now {
                break;
            }
            let since = if self.plan.pace.is_some() { due } else { now };
            if let Some(index) = self.idle.pop_front() {
                self.send(index, since)?;
            }
        }
        Ok(())
    }

    fn all_sent(&self) -> bool {
        matches!(self.plan.until, Until::Answered(limit) if self.sent >= limit)
    }

    fn send(&mut self, index: usize, since: Instant) -> anyhow::Result<()> {
        let request = self.plan.source.next_request();
        match self.connections[index].send(request, since) {
            Ok(()) => {
                self.sent += 1;
                Ok(())
            }
            Err(_) => self.replace(index),
        }
    }

    /// Takes what has come on a connection.
    fn attend(&mut self, index: usize) -> anyhow::Result<()> {
        match self.connections[index].receive() {
            Ok(Progress::Waiting) => Ok(()),
            Ok(Progress::Answered { status, since }) => {
                self.answered += 1;
                let micros = since.elapsed().as_micros() as u64;
                self.latency.saturating_record(micros.max(1));
                if let Some(count) = self.statuses.get_mut(usize::from(status)) {
                    *count += 1;
                }
                if self.plan.pace.is_none() && !self.all_sent() {
                    return self.send(index, Instant::now());
                }
                self.idle.push_back(index);
                Ok(())
            }
            Err(_) => self.replace(index),
        }
    }

    /// A connection that broke under a request is counted; its request is not sent again.
    fn replace(&mut self, index: usize) -> anyhow::Result<()> {
        let lost = self.connections[index].is_busy();
        self.broken += 1;
        if self.broken > MAX_BROKEN {
            bail!("{} broke {} connections", self.plan.target, self.broken);
        }
        self.sent -= u64::from(lost);
        self.connections[index] = connect(&self.poll, self.plan.target, index)?;
        self.idle.push_back(index);
        Ok(())
    }

    fn finish(self) -> Outcome {
        let counts = (0_u16..).zip(&self.statuses);
        Outcome {
            answered: self.answered,
            elapsed: self.began.elapsed(),
            latency: self.latency,
            statuses: counts
                .filter(|(_, count)| **count > 0)
                .map(|(status, count)| (status, *count))
                .collect(),
            broken: self.broken,
            cpu: thread_cpu().saturating_sub(self.cpu_before),
        }
    }
}

fn connect(poll: &Poll, target: SocketAddr, token: usize) -> anyhow::Result<Connection> {
    let stream = std::net::TcpStream::connect(target).with_context(|| format!("cannot connect to {target}"))?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = mio::net::TcpStream::from_std(stream);
    poll.registry()
        .register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
    Ok(Connection::new(stream))
}

/// The CPU time of this thread so far.
fn thread_cpu() -> Duration {
    // The clock counts up from zero, so the conversion does not fail.
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests;
