//! A day's budget of one SIM, three pilots at full work: who is told of the evening's orders? The outbox as it is, on a
//! clock of its own; what cannot go out is given up after an hour, as the gateway does it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use megamind_sms::modem::{ModemId, Outbox, OutboxConfig, Outgoing, Priority, SendOutcome};

const MINUTE: Duration = Duration::from_mins(1);
const PILOTS: usize = 3;
/// Ten hours of work a day.
const SHIFT: u32 = 10 * 60;
/// An answer is worth nothing after an hour.
const ANSWER_EXPIRES: u32 = 60;
/// And an order's message after four.
const MESSAGE_EXPIRES: u32 = 4 * 60;

/// What became of one day's messages.
#[derive(Debug, Default)]
struct Day {
    assignments_due: u32,
    /// Within five minutes.
    assignments_in_time: u32,
    answers_due: u32,
    answers_sent: u32,
    /// All that went out, also what is of the day before.
    sent: u32,
}

struct Sim {
    outbox: Outbox,
    modem: ModemId,
    budget: u32,
    start: Instant,
    /// By number: how urgent, and since which minute.
    waiting: BTreeMap<u64, (Priority, u32)>,
}

impl Sim {
    fn new(budget: u32) -> Self {
        Self {
            outbox: Outbox::new(OutboxConfig { daily_budget: budget, ..OutboxConfig::default() }),
            modem: ModemId::new("sim1"),
            budget,
            start: Instant::now(),
            waiting: BTreeMap::new(),
        }
    }

    fn push(&mut self, priority: Priority, text: &str, now: Instant) -> u64 {
        let message = Outgoing {
            to: "+919812345678".parse().expect("a number"),
            text: text.to_owned(),
            priority,
            report: false,
            modem: Some(self.modem.clone()),
        };
        let record = self.outbox.push(message, now).expect("there is room");
        record.id.0
    }

    /// One day: each pilot gets an order every `every` minutes, asks once for each (`A`, `T` or `H`) and delivers it
    /// (`D`), and every answer wants to go out.
    fn day(&mut self, nth: u32, every: u32) -> Day {
        let mut day = Day::default();
        let morning = self.start + Duration::from_hours(24) * nth;
        for minute in 0..24 * 60 {
            let (now, at_all) = (morning + MINUTE * minute, nth * 24 * 60 + minute);
            if minute < SHIFT {
                for pilot in 0..PILOTS {
                    let phase = (minute + pilot as u32 * 7) % every;
                    for (at, priority, text) in [
                        (0, Priority::Assignment, "NEW 4711 PICK"),
                        (every / 3, Priority::Normal, "#1 OK 1/1 4711 PICK"),
                        (every - 1, Priority::Normal, "#2 OK D 4711 1234"),
                    ] {
                        if phase == at {
                            let id = self.push(priority, text, now);
                            self.waiting.insert(id, (priority, at_all));
                            match priority {
                                Priority::Assignment => day.assignments_due += 1,
                                Priority::Normal => day.answers_due += 1,
                            }
                        }
                    }
                }
            }
            while let Some(job) = self.outbox.take(&self.modem, now) {
                self.outbox.result(&self.modem, &job, &SendOutcome::Sent { reference: 0 }, now);
                let (priority, since) = self.waiting.remove(&job.id.0).expect("sent once");
                day.sent += 1;
                match priority {
                    Priority::Assignment => day.assignments_in_time += u32::from(at_all - since <= 5),
                    Priority::Normal => day.answers_sent += 1,
                }
            }
            for held in self.outbox.held() {
                let expires = match held.priority {
                    Priority::Normal => ANSWER_EXPIRES,
                    Priority::Assignment => MESSAGE_EXPIRES,
                };
                if at_all - self.waiting[&held.id.0].1 >= expires {
                    self.outbox.take_back(held.id).expect("nothing of it went out");
                    self.waiting.remove(&held.id.0);
                }
            }
        }
        println!("day {nth}, an order every {every} minutes: {day:?}");
        assert!(day.sent <= self.budget, "more than the budget: {day:?}");
        day
    }
}

#[test]
fn assignments_still_go_out_at_the_end_of_the_first_day() {
    let mut sim = Sim::new(90);
    // An order every fifty minutes: 36 assignments and 72 answers want to go out, 108 of 90.
    let day = sim.day(0, 50);
    assert_eq!(day.assignments_due, 36, "{day:?}");
    assert_eq!(day.assignments_in_time, 36, "{day:?}");
    assert!(day.answers_sent >= 40, "what is left is used: {day:?}");
}

#[test]
fn after_a_busy_day_as_much_is_kept_as_that_needed() {
    let mut sim = Sim::new(90);
    // An order every half hour: 60 assignments, and twice as many answers. The usual share does not reach to the
    // evening of the first day, when nobody knows what a day is like…
    let first = sim.day(0, 30);
    assert_eq!(first.assignments_due, 60, "{first:?}");
    assert!(first.assignments_in_time >= 27, "the share that is kept: {first:?}");
    // …and what the first day needed is kept on the others.
    for nth in 1..5 {
        let day = sim.day(nth, 30);
        assert_eq!(day.assignments_in_time, 60, "day {nth}: {day:?}");
        assert!(day.answers_sent >= 15, "day {nth}: what is left is used: {day:?}");
    }
    // Quiet days bring the answers back.
    let quiet = sim.day(5, 100);
    assert_eq!(quiet.assignments_in_time, quiet.assignments_due, "{quiet:?}");
    let after = sim.day(6, 100);
    assert_eq!(
        (after.answers_sent, after.assignments_in_time),
        (after.answers_due, after.assignments_due),
        "{after:?}"
    );
}

#[test]
fn a_restart_does_not_make_the_budget_new() {
    let mut sim = Sim::new(90);
    for _ in 0..40 {
        sim.push(Priority::Normal, "x", sim.start);
    }
    let mut now = sim.start;
    let mut sent = 0;
    for _ in 0..10 {
        now += MINUTE;
        while let Some(job) = sim.outbox.take(&sim.modem, now) {
            sim.outbox.result(&sim.modem, &job, &SendOutcome::Sent { reference: 0 }, now);
            sent += 1;
        }
    }
    assert_eq!(sent, 40);
    let spent = sim.outbox.spent(now);
    let mut after = Sim::new(90);
    after.outbox.restore_spent(&spent, now);
    assert_eq!(after.outbox.budget(&after.modem), (40, 90));
    let tomorrow = now + Duration::from_hours(24);
    assert!(after.outbox.may_send(&after.modem, Priority::Normal, tomorrow));
    assert_eq!(after.outbox.budget(&after.modem), (0, 90));
}
