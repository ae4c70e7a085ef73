//! A cloud as fast as one thread can be: fixed answers, nothing stored. Behind a proxy that is
//! measured, everything slower would be measured with it.

mod answers;

use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Socket, Type};

use crate::frame::{Frame, frame, has_header};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST_CONNECTION: usize = 2;
/// No request of the measurements is larger.
const BUFFER: usize = 256 << 10;

/// A port that is taken, but where nobody listens: connecting is refused.
#[derive(Debug)]
pub(crate) struct ClosedPort {
    socket: Socket,
    addr: SocketAddr,
}

impl ClosedPort {
    pub(crate) fn reserve() -> anyhow::Result<Self> {
        Self::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn bind(addr: SocketAddr) -> anyhow::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        let addr = socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| anyhow::anyhow!("not an IP socket"))?;
        Ok(Self { socket, addr })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The cloud comes back, on the same port.
    pub(crate) fn open(self, delay: Duration) -> anyhow::Result<Upstream> {
        self.socket.listen(1024)?;
        Upstream::on(self.socket.into(), delay)
    }
}

/// The running server; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    addr: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    hangs: AtomicBool,
    answered: AtomicU64,
    writes: AtomicU64,
    replays: AtomicU64,
}

impl Upstream {
    /// Listens on a free port. Each answer waits for `delay`.
    pub(crate) fn start(delay: Duration) -> anyhow::Result<Self> {
        ClosedPort::reserve()?.open(delay)
    }

    fn on(listener: std::net::TcpListener, delay: Duration) -> anyhow::Result<Self> {
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut listener = TcpListener::from_std(listener);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let shared = Arc::new(Shared::default());
        let mut server = Server {
            poll,
            listener,
            delay,
            connections: HashMap::new(),
            next: FIRST_CONNECTION,
            pending: VecDeque::new(),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new().name("upstream".into()).spawn(move || {
            if let Err(error) = server.run() {
                eprintln!("the upstream ended: {error}");
            }
        })?;
        Ok(Self { addr, shared, waker, thread: Some(thread) })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Requests answered so far, health checks too.
    #[cfg(test)]
    pub(crate) fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// From now on requests are read and never answered.
    pub(crate) fn hang(&self) {
        self.shared.hangs.store(true, Ordering::Relaxed);
    }

    /// Orders placed so far that came from a gateway's queue.
    pub(crate) fn replays(&self) -> u64 {
        self.shared.replays.load(Ordering::Relaxed)
    }

    /// The cloud is gone, and its port stays taken.
    pub(crate) fn close(self) -> anyhow::Result<ClosedPort> {
        let addr = self.addr;
        drop(self);
        ClosedPort::bind(addr)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let woken = self.waker.wake();
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            // A panic of the thread has been printed already.
            let _ = thread.join();
        }
    }
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    delay: Duration,
    connections: HashMap<usize, Peer>,
    next: usize,
    /// Answers that wait, in the order of their time: the delay is the same for all.
    pending: VecDeque<(Instant, usize)>,
    shared: Arc<Shared>,
}

struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    answer: Vec<u8>,
}

impl Server {
    fn run(&mut self) -> std::io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let nap = self
                .pending
                .front()
                .map(|(due, _)| due.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, nap) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    WAKER => {}
                    Token(token) => self.attend(token),
                }
            }
            while self.pending.front().is_some_and(|(due, _)| *due <= Instant::now()) {
                if let Some((_, token)) = self.pending.pop_front() {
                    self.flush(token);
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> std::io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let token = self.next;
            self.next += 1;
            self.poll
                .registry()
                .register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
            let peer = Peer { stream, buffer: vec![0; 4 << 10], filled: 0, answer: Vec::with_capacity(1 << 10) };
            self.connections.insert(token, peer);
        }
    }

    fn attend(&mut self, token: usize) {
        let Some(peer) = self.connections.get_mut(&token) else {
            return;
        };
        let Ok(answered) = peer.take_requests(&self.shared) else {
            self.connections.remove(&token);
            return;
        };
        if self.shared.hangs.load(Ordering::Relaxed) {
            return;
        }
        if !answered || self.delay.is_zero() {
            self.flush(token);
        } else {
            self.pending.push_back((Instant::now() + self.delay, token));
        }
    }

    fn flush(&mut self, token: usize) {
        let Some(peer) = self.connections.get_mut(&token) else {
            return;
        };
        // What the socket does not take now goes when it is writable again.
        while !peer.answer.is_empty() {
            match peer.stream.write(&peer.answer) {
                Ok(written) => drop(peer.answer.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.connections.remove(&token);
                    return;
                }
            }
        }
    }
}

impl Peer {
    /// Reads what there is and prepares the answers. Whether there were any; an error ends the
    /// connection.
    fn take_requests(&mut self, shared: &Shared) -> std::io::Result<bool> {
        loop {
            if self.filled == self.buffer.len() {
                let larger = (self.buffer.len() * 2).min(BUFFER);
                if larger == self.buffer.len() {
                    return Err(ErrorKind::FileTooLarge.into());
                }
                self.buffer.resize(larger, 0);
            }
            let wanted = self.buffer.len() - self.filled;
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.filled += read;
                    if read < wanted {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let mut answered = false;
        while let Some(Frame { head, total }) = frame(&self.buffer[..self.filled])
            .map_err(|_| ErrorKind::Unsupported)?
            .filter(|frame| frame.total <= self.filled)
        {
            let count = shared.writes.load(Ordering::Relaxed);
            let head_bytes = &self.buffer[..head];
            if answers::answer(head_bytes, count + 1, &mut self.answer) {
                shared.writes.store(count + 1, Ordering::Relaxed);
                let is_replay = has_header(head_bytes, b"x-megamind-replay:");
                shared.replays.fetch_add(u64::from(is_replay), Ordering::Relaxed);
            }
            shared.answered.fetch_add(1, Ordering::Relaxed);
            self.buffer.copy_within(total..self.filled, 0);
            self.filled -= total;
            answered = true;
        }
        Ok(answered)
    }
}
