//! The way back from silence.

use super::{Command, Driver, DriverEvent, Instant, Output, Phase, Rung, State, Task};
use crate::at::{Answer, ESC};

impl Driver {
    /// The modem has not answered: tries the next means.
    pub(super) fn climb(&mut self, now: Instant) {
        self.drop_task();
        let rung = self.ladder.climb(now, &self.config);
        self.event(DriverEvent::Recovering(rung));
        self.enter(State::Recovering);
        match rung {
            Rung::Escape => {
                // Out of a prompt; then silence, so that a late answer is not taken for that to
                // the next command.
                self.output.push(Output::Write(vec![ESC, b'\r']));
                self.phase = Phase::Draining { quiet: now + self.config.drain, next: Task::Sync };
            }
            Rung::Defaults => {
                self.phase = Phase::Recovering;
                let command = Command::new("ATZ", Answer::None, self.config.command_deadline);
                self.start_command(Task::Sync, command, now);
            }
            Rung::Restart => {
                self.counters.restarts += 1;
                self.phase = Phase::Recovering;
                self.run(Task::Restart, now);
            }
            Rung::Reopen => {
                let wait = self.ladder.wait(&self.config);
                self.close(now + wait);
            }
            Rung::Power => {
                self.counters.restarts += 1;
                self.output.push(Output::CyclePower);
                self.close(now + self.config.boot);
            }
        }
    }

    /// `AT+CFUN=1,1` has been answered, or not. The modem needs time; then everything begins
    /// again, on this port or, if it goes, on another.
    pub(super) fn restarted(&mut self, now: Instant) {
        self.phase = Phase::Draining { quiet: now + self.config.boot, next: Task::Sync };
    }
}
