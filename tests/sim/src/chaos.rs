//! A TCP proxy that loses, delays and cuts what passes through it.
//!
//! It knows nothing of HTTP: it stands between two processes and does to their bytes what
//! networks do. Each setting holds for all connections, open ones too, from when it is made.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is done to the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chaos {
    /// Nothing.
    #[default]
    Pass,
    /// What the target says is read and thrown away; the connection stays open.
    SwallowReplies,
    /// Each answer direction ends after so many bytes, counted from when this was set.
    CutAfter(u64),
    /// What the target says comes so much later.
    Delay(Duration),
    /// New connections are accepted and closed at once, open ones are closed.
    Refuse,
}

/// A running proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    chaos: watch::Sender<Chaos>,
    counters: Arc<Counters>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    swallowed: AtomicU64,
}

impl Proxy {
    /// Listens on a free loopback port and forwards to `target`, on the current tokio runtime.
    pub async fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let chaos = watch::Sender::new(Chaos::Pass);
        let counters = Arc::new(Counters::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, chaos.clone(), Arc::clone(&counters)));
        Ok(Self { addr, chaos, counters, _tasks: tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Does this from now on.
    pub fn set(&self, chaos: Chaos) {
        self.chaos.send_replace(chaos);
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.counters.connections.load(Ordering::Relaxed)
    }

    /// Bytes of answers thrown away so far.
    pub fn swallowed(&self) -> u64 {
        self.counters.swallowed.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, chaos: watch::Sender<Chaos>, counters: Arc<Counters>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    counters.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(carry(client, target, chaos.subscribe(), Arc::clone(&counters)));
                }
                // For want of file descriptors, for example: others may end meanwhile.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(client: TcpStream, target: SocketAddr, chaos: watch::Receiver<Chaos>, counters: Arc<Counters>) {
    let mut until_refused = chaos.clone();
    let conversation = async {
        let server = TcpStream::connect(target).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (client_in, client_out) = client.into_split();
        let (server_in, server_out) = server.into_split();
        // Whoever ends first ends both: half-open connections are not what is tested here.
        tokio::select! {
            ended = requests(client_in, server_out) => ended,
            ended = answers(server_in, client_out, chaos, &counters) => ended,
        }
    };
    // Both streams are dropped, and so closed, whichever comes first. An error is an end, too.
    tokio::select! {
        _ = conversation => {}
        _ = until_refused.wait_for(|chaos| *chaos == Chaos::Refuse) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await.map(|_| ())
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut chaos: watch::Receiver<Chaos>,
    counters: &Counters,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    let mut passed_since_set = 0;
    loop {
        let read = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        if chaos.has_changed().unwrap_or(false) {
            passed_since_set = 0;
        }
        let now = *chaos.borrow_and_update();
        match now {
            Chaos::Pass => to.write_all(bytes).await?,
            Chaos::SwallowReplies => {
                counters.swallowed.fetch_add(read as u64, Ordering::Relaxed);
            }
            Chaos::Delay(delay) => {
                tokio::time::sleep(delay).await;
                to.write_all(bytes).await?;
            }
            Chaos::CutAfter(limit) => {
                let left = usize::try_from(limit.saturating_sub(passed_since_set)).unwrap_or(usize::MAX);
                if left <= read {
                    to.write_all(&bytes[..left]).await?;
                    return to.shutdown().await;
                }
                to.write_all(bytes).await?;
            }
            Chaos::Refuse => return Ok(()),
        }
        passed_since_set += read as u64;
    }
}

#[cfg(test)]
mod tests;
