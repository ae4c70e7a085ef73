//! An emulated GSM modem, for anyone without hardware: a real dialogue over a pseudo terminal or a
//! TCP port, with echo, prompt, storage, long messages, delivery reports, USSD and unsolicited
//! codes at any moment; and everything that real modems do wrong, on demand.
//!
//! ```no_run
//! use megamind_sim::modem::{Emulator, Fault, Cure};
//!
//! let modem = Emulator::tcp()?;
//! println!("connect to {}", modem.address().expect("it is on TCP"));
//! modem.deliver("+919876543210", "A 17 K7Q4X2");
//! modem.fault(Fault::Silent(Cure::Escape));
//! # Ok::<(), std::io::Error>(())
//! ```

mod commands;
mod control;
mod device;
mod fault;
mod host;
mod storage;
#[cfg(test)]
mod tests;

pub use control::{Options, run};
pub use device::Sent;
pub use fault::{Cure, Fault};
pub use host::{Emulator, starting};
