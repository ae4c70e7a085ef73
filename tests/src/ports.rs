//! Ports for processes that are restarted where they were.
//!
//! Port 0 gives a port of the range that outgoing connections take theirs from. While its owner is
//! dead, such a port may become the source of somebody's connection: the owner cannot have it back,
//! or a client that connects to it reaches itself. So ports that must survive a restart come from
//! below that range, each test process taking from a block of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const BLOCK: u32 = 100;
const BLOCKS: u32 = 220;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A loopback address that nobody listens on, and that nobody is given twice for a long while.
pub fn reserve() -> SocketAddr {
    for _ in 0..BLOCK * BLOCKS {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let offset = (process::id() % BLOCKS * BLOCK + taken) % (BLOCK * BLOCKS);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, (FIRST + offset) as u16));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no free port below the ephemeral ones");
}
