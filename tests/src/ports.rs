//! Ports for processes that are restarted where they were.
//!
//! Port 0 gives a port of the range that outgoing connections take theirs from. While its owner is
//! dead, such a port may become the source of somebody's connection: the owner cannot have it back,
//! or a client that connects to it reaches itself. So ports that must survive a restart come from
//! below that range. While its owner is dead, nobody else may have it: whoever takes one holds the lock on a file of its
//! name until the test process ends, so that tests of several checkouts can run side by side.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

const FIRST: u32 = 10_000;
const BLOCK: u32 = 100;
const BLOCKS: u32 = 220;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The locks on the ports that this process has taken.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A loopback address that nobody listens on, and that no other process is given while this one lives.
pub fn reserve() -> SocketAddr {
    for _ in 0..BLOCK * BLOCKS {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        let offset = (process::id() % BLOCKS * BLOCK + taken) % (BLOCK * BLOCKS);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, (FIRST + offset) as u16));
        if let Some(lock) = lock(addr)
            && TcpListener::bind(addr).is_ok()
        {
            HELD.lock().expect("no panic").push(lock);
            return addr;
        }
    }
    panic!("no free port below the ephemeral ones");
}

fn lock(addr: SocketAddr) -> Option<File> {
    let folder = env::temp_dir().join("megamind-test-ports");
    fs::create_dir_all(&folder).expect("a writable folder for temporary files");
    let file = File::create(folder.join(addr.port().to_string())).expect("a writable file");
    // Two processes never have it; this one may ask again for what it has, and does not get it either.
    file.try_lock().is_ok().then_some(file)
}
