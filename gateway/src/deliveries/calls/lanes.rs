//! Which call is made next: pure, on injected time.
//!
//! A pilot's calls go one after the other; a merchant's go one after the other for each order, several orders side by
//! side. A call that fails is tried again before those behind it. A target that is away is probed with one call at a
//! time.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet},
    time::{Duration, Instant},
};

use megamind_handlers::{
    calls::{CallKey, Target},
    order::OrderKey,
};

/// The pause after the first failure is up to this; it doubles with each one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// One line of calls of a target: an order's, or all of a pilot's.
type LaneId = Option<OrderKey>;

/// Everything that is to be called.
pub(super) struct Lanes {
    concurrency: usize,
    max_backoff: Duration,
    targets: HashMap<Target, Line>,
    /// Every call in here, and those that are done but not yet known to be.
    known: HashSet<CallKey>,
    running: usize,
}

#[derive(Default)]
struct Line {
    lanes: HashMap<LaneId, Lane>,
    /// Lanes whose first call may be made, by it.
    ready: BTreeSet<(CallKey, LaneId)>,
    delayed: BinaryHeap<Reverse<(Instant, LaneId)>>,
    running: usize,
    /// Failures in a row that show that the target is away.
    fails: u32,
    not_before: Option<Instant>,
}

#[derive(Default)]
struct Lane {
    queue: BTreeSet<CallKey>,
    running: Option<CallKey>,
    delayed: bool,
    attempts: u32,
}

/// What a failure came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// Attempts at this call so far.
    pub(super) attempts: u32,
    /// Failures of the target in a row.
    pub(super) in_a_row: u32,
}

impl Lanes {
    pub(super) fn new(concurrency: usize, max_backoff: Duration) -> Self {
        Self { concurrency, max_backoff, targets: HashMap::new(), known: HashSet::new(), running: 0 }
    }

    /// Adds a call, unless it is in here.
    pub(super) fn add(&mut self, key: CallKey, target: &Target, order: OrderKey) {
        if !self.known.insert(key) {
            return;
        }
        let id = lane_of(target, order);
        if !self.targets.contains_key(target) {
            self.targets.insert(target.clone(), Line::default());
        }
        let Some(line) = self.targets.get_mut(target) else { return };
        let lane = line.lanes.entry(id).or_default();
        let before = lane.head();
        lane.queue.insert(key);
        if lane.running.is_none() && !lane.delayed {
            if let Some(before) = before {
                line.ready.remove(&(before, id));
            }
            line.ready.insert((before.map_or(key, |before| before.min(key)), id));
        }
    }

    /// Takes calls to be made now, `most` at most running at once over all targets. Targets that are away get half of that
    /// at most: thousands of them, each of which takes the whole of its time, must not hold up those that are there.
    pub(super) fn start(&mut self, now: Instant, most: usize) -> Vec<(CallKey, Target)> {
        let mut started = Vec::new();
        self.targets.retain(|_, line| !line.lanes.is_empty());
        for (away, most) in [(false, most), (true, most.div_ceil(2))] {
            let lines = self.targets.iter_mut().filter(|(_, line)| (line.fails > 0) == away);
            for (target, line) in lines {
                line.expire(now);
                let width = if away { 1 } else { self.concurrency };
                if line.not_before.is_some_and(|at| at > now) {
                    continue;
                }
                while line.running < width && self.running < most {
                    let Some((key, id)) = line.ready.pop_first() else { break };
                    let Some(lane) = line.lanes.get_mut(&id) else { continue };
                    lane.queue.remove(&key);
                    lane.running = Some(key);
                    line.running += 1;
                    self.running += 1;
                    started.push((key, target.clone()));
                }
            }
        }
        started
    }

    /// When something may be made that may not be made now.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let waiting = |line: &Line| {
            let delayed = line.delayed.peek().map(|Reverse((at, _))| *at);
            let ready = line.not_before.filter(|_| !line.ready.is_empty() && line.running == 0);
            match (delayed.map(|at| line.not_before.map_or(at, |bound| bound.max(at))), ready) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        };
        self.targets.values().filter_map(waiting).min()
    }

    /// The running call is over: it was taken, or is not tried again now. `reached` says whether the target is there.
    pub(super) fn over(&mut self, key: CallKey, target: &Target, order: OrderKey, reached: bool) {
        let id = lane_of(target, order);
        let Some(line) = self.targets.get_mut(target) else { return };
        if reached {
            (line.fails, line.not_before) = (0, None);
        }
        let Some(lane) = line.lanes.get_mut(&id) else { return };
        if lane.running == Some(key) {
            lane.running = None;
            line.running -= 1;
            self.running -= 1;
        }
        lane.attempts = 0;
        self.go_on(target, id);
    }

    /// The running call is owed no more, and of its order nothing is known.
    pub(super) fn drop_running(&mut self, key: CallKey, target: &Target) {
        let lanes = self.targets.get(target).into_iter().flat_map(|line| &line.lanes);
        let of = lanes.into_iter().find(|(_, lane)| lane.running == Some(key)).map(|(id, _)| *id);
        match of {
            Some(Some(order)) => self.over(key, target, order, false),
            // A pilot's lane is the same for every order.
            Some(None) => self.over(key, target, OrderKey(key.0), false),
            None => {}
        }
    }

    /// Counts a failure of the running call.
    pub(super) fn note_failure(&mut self, target: &Target, order: OrderKey, target_is_away: bool) -> Failed {
        let Some(line) = self.targets.get_mut(target) else {
            return Failed { attempts: 1, in_a_row: 1 };
        };
        line.fails = if target_is_away { line.fails.saturating_add(1) } else { 0 };
        let lane = line.lanes.entry(lane_of(target, order)).or_default();
        lane.attempts = lane.attempts.saturating_add(1);
        Failed { attempts: lane.attempts, in_a_row: line.fails }
    }

    /// The running call is tried again later. `jitter` is drawn evenly from 0 to 1.
    pub(super) fn again(
        &mut self,
        key: CallKey,
        target: &Target,
        order: OrderKey,
        (now, jitter): (Instant, f64),
        at_least: Duration,
    ) {
        let id = lane_of(target, order);
        let Some(line) = self.targets.get_mut(target) else { return };
        let Some(lane) = line.lanes.get_mut(&id) else { return };
        if lane.running.take().is_some() {
            line.running -= 1;
            self.running -= 1;
        }
        lane.queue.insert(key);
        lane.delayed = true;
        let failures = lane.attempts.max(line.fails).max(1);
        let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(20)).min(self.max_backoff);
        let at = now + pause.mul_f64(jitter).max(at_least);
        line.delayed.push(Reverse((at, id)));
        if line.fails > 0 {
            line.not_before = Some(at);
        }
    }

    /// All calls of a target that are not being made.
    pub(super) fn waiting_for(&self, target: &Target) -> Vec<CallKey> {
        let lanes = self.targets.get(target).into_iter().flat_map(|line| line.lanes.values());
        lanes.flat_map(|lane| lane.queue.iter().copied()).collect()
    }

    /// Takes a call out that is not being made.
    pub(super) fn remove(&mut self, key: CallKey, target: &Target, order: OrderKey) {
        let id = lane_of(target, order);
        let Some(line) = self.targets.get_mut(target) else { return };
        let Some(lane) = line.lanes.get_mut(&id) else { return };
        if lane.running == Some(key) || !lane.queue.remove(&key) {
            return;
        }
        line.ready.remove(&(key, id));
        self.go_on(target, id);
    }

    /// A lane goes on with its next call; a target without any is forgotten.
    fn go_on(&mut self, target: &Target, id: LaneId) {
        let Some(line) = self.targets.get_mut(target) else { return };
        line.go_on(id);
        if line.lanes.is_empty() {
            self.targets.remove(target);
        }
    }

    /// What became of it is journaled: should it be owed again, it is taken in again.
    pub(super) fn forget(&mut self, key: CallKey) {
        self.known.remove(&key);
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.running == 0
    }
}

impl Line {
    /// Lets lanes go whose pause is over.
    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.delayed.peek().copied()
            && at <= now
        {
            self.delayed.pop();
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.delayed = false;
            self.go_on(id);
        }
    }

    /// The next call of a lane may be made, unless one runs or its pause is not over. A lane without calls is over: all of
    /// them were made, or settled elsewhere meanwhile.
    fn go_on(&mut self, id: LaneId) {
        let free = |lane: &&Lane| lane.running.is_none() && !lane.delayed;
        let Some(lane) = self.lanes.get(&id).filter(free) else { return };
        match lane.head() {
            Some(head) => {
                self.ready.insert((head, id));
            }
            None => {
                self.lanes.remove(&id);
            }
        }
    }
}

impl Lane {
    fn head(&self) -> Option<CallKey> {
        self.queue.first().copied()
    }
}

fn lane_of(target: &Target, order: OrderKey) -> LaneId {
    match target {
        Target::Pilot(_) => None,
        Target::Merchant(_) => Some(order),
    }
}

#[cfg(test)]
mod tests;
