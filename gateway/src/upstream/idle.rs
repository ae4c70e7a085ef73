//! Connections that wait for the next request to a server.
//!
//! Each thread of the proxy is a runtime of its own, and a connection wakes the thread that opened it. So every thread
//! keeps its own connections: an answer is read where its request was written, and no other thread is woken for it.
//! Nothing watches a connection that rests. One that the server has closed meanwhile is found so when it is taken.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use pingora::protocols::Stream;
use thread_local::ThreadLocal;
use tokio::io::{AsyncRead, ReadBuf};

/// How many connections rest, over all servers.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Connections at most.
    pub max: usize,
    /// How long one rests at most.
    pub keep: Duration,
    resting: AtomicUsize,
}

impl Limit {
    /// `max` connections, each for `keep` at most.
    pub(crate) fn new(max: usize, keep: Duration) -> Self {
        Self { max, keep, resting: AtomicUsize::new(0) }
    }
}

/// The idle connections to one address.
pub(crate) struct Idle {
    limit: Arc<Limit>,
    threads: ThreadLocal<Mutex<VecDeque<Resting>>>,
}

struct Resting {
    stream: Stream,
    since: Instant,
}

impl Idle {
    /// None yet.
    pub(crate) fn new(limit: Arc<Limit>) -> Self {
        Self { limit, threads: ThreadLocal::new() }
    }

    /// The connection of this thread that was used last, if it can be used again.
    pub(super) fn take(&self) -> Option<Stream> {
        loop {
            let mut newest = lock(self.threads.get()?).pop_back()?;
            self.limit.resting.fetch_sub(1, Ordering::Relaxed);
            if newest.since.elapsed() < self.limit.keep && is_quiet(&mut newest.stream) {
                return Some(newest.stream);
            }
        }
    }

    /// Keeps a connection for this thread's next request; the oldest goes where there are too many.
    pub(super) fn put(&self, stream: Stream) {
        let mut own = lock(self.threads.get_or_default());
        if self.limit.resting.fetch_add(1, Ordering::Relaxed) >= self.limit.max {
            self.limit.resting.fetch_sub(1, Ordering::Relaxed);
            if own.pop_front().is_none() {
                // All the room is taken by other threads.
                return;
            }
        }
        own.push_back(Resting { stream, since: Instant::now() });
    }

    /// Closes the connections that have rested too long, and those that the server has closed.
    pub(super) fn sweep(&self) {
        for thread in &self.threads {
            lock(thread).retain_mut(|resting| {
                let stays = resting.since.elapsed() < self.limit.keep && is_quiet(&mut resting.stream);
                if !stays {
                    self.limit.resting.fetch_sub(1, Ordering::Relaxed);
                }
                stays
            });
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let rested: usize = self.threads.iter().map(|thread| lock(thread).len()).sum();
        self.limit.resting.fetch_sub(rested, Ordering::Relaxed);
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("limit", &self.limit).finish_non_exhaustive()
    }
}

fn lock(thread: &Mutex<VecDeque<Resting>>) -> MutexGuard<'_, VecDeque<Resting>> {
    // A list of connections is whole between any two statements that can panic.
    thread.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the server has neither closed the connection nor said anything unasked, as far as is known without waiting.
fn is_quiet(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let read = poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut ReadBuf::new(&mut byte)));
    // A task that has read much would be told to wait, whatever there is to read.
    let read = pin!(tokio::task::unconstrained(read));
    matches!(read.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[cfg(test)]
mod tests {
    use pingora::protocols::l4::stream::Stream as Socket;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair(listener: &TcpListener) -> (Stream, TcpStream) {
        let address = listener.local_addr().expect("bound");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Box::new(Socket::from(near.expect("connects"))), far.expect("accepted").0)
    }

    async fn listener() -> TcpListener {
        TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port")
    }

    fn idle(max: usize, keep: Duration) -> Idle {
        Idle::new(Arc::new(Limit::new(max, keep)))
    }

    const LONG: Duration = Duration::from_mins(10);

    #[tokio::test]
    async fn the_last_used_is_taken_first_and_none_above_the_limit_is_kept() {
        let (listener, idle) = (listener().await, idle(2, LONG));
        let mut far = Vec::new();
        let mut ids = Vec::new();
        for _ in 0..3 {
            let (near, other) = pair(&listener).await;
            ids.push(near.id());
            far.push(other);
            idle.put(near);
        }
        let taken: Vec<_> = std::iter::from_fn(|| idle.take()).map(|stream| stream.id()).collect();
        assert_eq!(taken, [ids[2], ids[1]], "the oldest went when the third came");
        assert_eq!(idle.limit.resting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_the_server_closed_is_not_used_again() {
        let (listener, idle) = (listener().await, idle(8, LONG));
        let (near, far) = pair(&listener).await;
        idle.put(near);
        drop(far);
        // The close arrives in its own time.
        while idle.limit.resting.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
            idle.sweep();
        }
        assert!(idle.take().is_none());
    }

    #[tokio::test]
    async fn what_rested_too_long_is_closed() {
        let (listener, idle) = (listener().await, idle(8, Duration::ZERO));
        let (near, _far) = pair(&listener).await;
        idle.put(near);
        assert!(idle.take().is_none());
        assert_eq!(idle.limit.resting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_thread_has_its_own() {
        let (listener, idle) = (listener().await, idle(8, LONG));
        let (near, _far) = pair(&listener).await;
        idle.put(near);
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| idle.take().is_some()).join());
        assert!(matches!(elsewhere, Ok(false)));
        assert!(idle.take().is_some());
    }
}
