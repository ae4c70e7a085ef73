//! What a number may do that proves nothing: little, and for a while nothing.

use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60 * 1000;
/// Wrong codes within this time count together.
const TOGETHER: i64 = 15 * MINUTE;
/// So many lock the number.
const MOST: usize = 5;
/// How long a number stays locked, in milliseconds.
pub const LOCKED_FOR: i64 = 60 * MINUTE;
/// One answer to what proves nothing in so long.
const ANSWER_EVERY: i64 = 60 * MINUTE;

/// What is remembered of a number. Times are milliseconds of 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    wrong: Vec<i64>,
    locked_until: i64,
    answered: Option<i64>,
}

/// What follows from a wrong code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Answer,
    /// It is not.
    Silence,
    /// It is not, and the number is locked from now on.
    Locked,
}

impl Guard {
    /// Whether the number is locked.
    pub fn is_locked(&self, now: i64) -> bool {
        now < self.locked_until
    }

    /// Notes a wrong code.
    pub fn wrong(&mut self, now: i64) -> Verdict {
        self.wrong.retain(|at| now - at < TOGETHER);
        self.wrong.push(now);
        match self.wrong.len() {
            1 => Verdict::Answer,
            count if count < MOST => Verdict::Silence,
            _ => {
                self.wrong.clear();
                self.locked_until = now + LOCKED_FOR;
                Verdict::Locked
            }
        }
    }

    /// Whether a text that proves nothing gets an answer: one an hour.
    pub fn may_answer(&mut self, now: i64) -> bool {
        let may = self.answered.is_none_or(|at| now - at >= ANSWER_EVERY || now < at);
        if may {
            self.answered = Some(now);
        }
        may
    }
}
