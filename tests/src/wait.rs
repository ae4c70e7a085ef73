//! Waiting for what has to happen.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a busy machine; nothing takes so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_mins(2);

const PAUSE: Duration = Duration::from_millis(10);

/// Asks again and again until `probe` has something, and fails the test after [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    until_good(what, || probe().ok_or(""))
}

/// The same, for a probe that tells what is not as it should be yet.
#[track_caller]
pub fn until_good<T, E: Display>(what: &str, mut probe: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(now) if start.elapsed() >= PATIENCE => {
                panic!("waited {PATIENCE:?} in vain until {what} {now}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
