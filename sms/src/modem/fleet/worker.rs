//! The thread of one modem: it moves bytes, journals, and asks the outbox for work. All decisions
//! are the driver's.

use super::{FleetEvent, Modem, ModemStatus, Panics, Request, Shared, lock};
use crate::modem::{
    Content, Driver, Inbound, Input, Job, ModemId, Output, SendOutcome,
    port::{Opener, Port},
};
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{atomic::Ordering, mpsc},
    time::{Duration, Instant},
};

/// How often time is noticed while there is no port to wait at.
const BEAT: Duration = Duration::from_millis(20);
/// How often the boxes look for what is overdue.
const CHORES: Duration = Duration::from_secs(1);
/// The wait after a panic doubles from here…
const RESTART_MIN: Duration = Duration::from_millis(100);
/// …to here.
const RESTART_MAX: Duration = Duration::from_mins(1);

/// Runs the modem until the fleet stops; after a panic it starts from the beginning.
pub(super) fn supervise(modem: Modem, requests: &mpsc::Receiver<Request>, shared: &Shared) {
    let Modem { id, mut opener, config } = modem;
    let panics = Panics::new(0);
    let mut wait = RESTART_MIN;
    while !shared.is_stopping() {
        let mut in_flight = None;
        let mut worker = Worker {
            driver: Driver::new(id.clone(), config.clone(), Instant::now()),
            id: &id,
            port: None,
            opener: opener.as_mut(),
            in_flight: &mut in_flight,
            requests,
            shared,
            panics: &panics,
            next_chores: Instant::now(),
            send_after: Instant::now(),
        };
        let ended = catch_unwind(AssertUnwindSafe(|| worker.run()));
        if let Some(job) = in_flight {
            finish(shared, &id, &job, &SendOutcome::Unknown);
        }
        if ended.is_err() {
            panics.fetch_add(1, Ordering::Relaxed);
            shared.tell(FleetEvent::Panicked(id.clone()));
            std::thread::sleep(wait);
            wait = (wait * 2).min(RESTART_MAX);
        }
    }
}

fn finish(shared: &Shared, modem: &ModemId, job: &Job, outcome: &SendOutcome) {
    let records = lock(&shared.outbox).result(modem, job, outcome, Instant::now());
    shared.record(records);
}

struct Worker<'a> {
    id: &'a ModemId,
    driver: Driver,
    port: Option<Box<dyn Port>>,
    opener: &'a mut dyn Opener,
    in_flight: &'a mut Option<Job>,
    requests: &'a mpsc::Receiver<Request>,
    shared: &'a Shared,
    panics: &'a Panics,
    next_chores: Instant,
    /// The journal has just failed: nothing is tried before.
    send_after: Instant,
}

impl Worker<'_> {
    fn run(&mut self) {
        let mut buffer = [0; 4096];
        while !self.shared.is_stopping() {
            let input = self.listen(&mut buffer);
            self.step(input);
            while let Ok(request) = self.requests.try_recv() {
                self.step(match request {
                    Request::Ussd(request) => Input::Ussd(request),
                    Request::Pin(pin) => Input::Pin(pin),
                });
            }
            self.send();
            self.chores();
        }
    }

    fn listen(&mut self, buffer: &mut [u8]) -> Input {
        let Some(port) = &mut self.port else {
            std::thread::sleep(BEAT);
            return Input::Tick;
        };
        match port.read(buffer) {
            Ok(0) => Input::Tick,
            Ok(count) => Input::Bytes(buffer[..count].to_vec()),
            Err(error) => Input::Gone(error.to_string()),
        }
    }

    /// Feeds the driver, and what comes of its outputs back into it.
    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.driver.step(input, Instant::now()) {
                inputs.extend(self.perform(output));
            }
        }
    }

    fn perform(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Open => Some(match self.opener.open() {
                Ok(port) => {
                    self.port = Some(port);
                    Input::Opened
                }
                Err(error) => Input::OpenFailed(error.to_string()),
            }),
            Output::Close => {
                self.port = None;
                lock(&self.shared.outbox).modem_lost(self.id);
                None
            }
            Output::Write(bytes) => {
                let written = self.port.as_mut().map(|port| port.write(&bytes))?;
                written.err().map(|error| Input::Gone(error.to_string()))
            }
            Output::CyclePower => {
                match self.opener.cycle_power() {
                    Ok(cycled) => tracing::warn!(modem = %self.id, cycled, "power"),
                    Err(error) => tracing::warn!(modem = %self.id, %error, "power"),
                }
                None
            }
            Output::Journal(batch, records) => Some(self.journal(batch, records)),
            Output::Sent(outcome) => {
                if let Some(job) = self.in_flight.take() {
                    finish(self.shared, self.id, &job, &outcome);
                }
                None
            }
            Output::Event(event) => {
                self.shared.tell(FleetEvent::Modem(self.id.clone(), event));
                None
            }
        }
    }

    /// Makes what came durable, then gives it to the boxes.
    fn journal(&self, batch: u64, records: Vec<Inbound>) -> Input {
        let durable = lock(&self.shared.journal).inbound(&records);
        let durable = match durable {
            Ok(durable) => durable,
            Err(error) => {
                self.shared.tell(FleetEvent::Journal(error.to_string()));
                return Input::NotDurable(batch);
            }
        };
        for record in records {
            match record.content {
                Content::Message(part) => {
                    let ready = lock(&self.shared.inbox).add(self.id, part, Instant::now());
                    for message in ready {
                        self.shared.tell(FleetEvent::Received(message));
                    }
                }
                Content::Report(report) => {
                    let found = lock(&self.shared.outbox).report(self.id, &report);
                    self.shared.record(found.into_iter().collect());
                }
                Content::Poison { error } => {
                    tracing::warn!(modem = %self.id, pdu = record.pdu, error, "quarantined");
                }
            }
        }
        Input::Durable(batch, durable)
    }

    fn send(&mut self) {
        let now = Instant::now();
        if !self.driver.can_send() || now < self.send_after {
            return;
        }
        let taken = lock(&self.shared.outbox).take(self.id, now);
        let Some(job) = taken else { return };
        // The driver answers every part before it wants another one; were it not so, no part may
        // be forgotten.
        if let Some(forgotten) = self.in_flight.take() {
            finish(self.shared, self.id, &forgotten, &SendOutcome::Unknown);
        }
        let trying = job.trying(self.id);
        let durable = lock(&self.shared.journal).outbound(std::slice::from_ref(&trying));
        if let Err(error) = durable {
            self.send_after = now + CHORES;
            self.shared.tell(FleetEvent::Journal(error.to_string()));
            finish(self.shared, self.id, &job, &SendOutcome::NotSent(error.to_string()));
            return;
        }
        let (pdu, length) = (job.frame.to_hex(), job.frame.encode().1);
        *self.in_flight = Some(job);
        self.step(Input::Send { pdu, length });
    }

    fn chores(&mut self) {
        let now = Instant::now();
        if now < self.next_chores {
            return;
        }
        self.next_chores = now + CHORES;
        let late = lock(&self.shared.inbox).tick(now);
        for message in late {
            self.shared.tell(FleetEvent::Received(message));
        }
        let mut outbox = lock(&self.shared.outbox);
        let resting = outbox.tick(now);
        let (used_today, daily_budget) = outbox.budget(self.id);
        let rests = outbox.rests(self.id, now);
        drop(outbox);
        for modem in resting {
            self.shared.tell(FleetEvent::Resting(modem));
        }
        let status = ModemStatus {
            state: self.driver.state(),
            counters: self.driver.counters(),
            used_today,
            daily_budget,
            resting: rests,
            panics: self.panics.load(Ordering::Relaxed),
        };
        lock(&self.shared.status).insert(self.id.clone(), status);
    }
}
