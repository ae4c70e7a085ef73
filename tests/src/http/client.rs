//! One connection of one client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::check::check;
use super::wire::Wire;
use super::{Answer, Party, Request, Trouble};
use crate::wait::PATIENCE;

/// What a connection runs over.
pub trait Transport: Read + Write + Send {
    /// Whether there is something to read at once: bytes, or the end.
    fn is_readable(&mut self) -> io::Result<bool>;
}

impl Transport for TcpStream {
    fn is_readable(&mut self) -> io::Result<bool> {
        self.set_nonblocking(true)?;
        let peeked = self.peek(&mut [0]);
        self.set_nonblocking(false)?;
        match peeked {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A keep-alive connection. It is never reopened: that the server closes it, or says anything
/// unasked, is an error.
pub struct Client {
    transport: Box<dyn Transport>,
    wire: Wire,
    party: Party,
    closed: bool,
}

impl Client {
    /// Connects to the gateway.
    pub fn connect(addr: SocketAddr) -> Result<Self, Trouble> {
        Self::connect_to(addr, Party::Gateway)
    }

    /// Connects to the gateway or to somebody else.
    pub fn connect_to(addr: SocketAddr, party: Party) -> Result<Self, Trouble> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::over(Box::new(stream), party))
    }

    /// Speaks over a connection that is open already.
    pub fn over(transport: Box<dyn Transport>, party: Party) -> Self {
        Self { transport, wire: Wire::default(), party, closed: false }
    }

    /// Sends a request and reads its answer, whole and checked.
    pub fn send(&mut self, request: &Request) -> Result<Answer, Trouble> {
        let start = Instant::now();
        self.still_usable()?;
        self.write(&request.encode())?;
        let mut answer = self.read(&request.method)?;
        answer.elapsed = start.elapsed();
        Ok(answer)
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.transport.write_all(bytes)?;
        Ok(self.transport.flush()?)
    }

    /// Reads the answer to a request of the given method.
    pub fn read(&mut self, method: &str) -> Result<Answer, Trouble> {
        let answer = self.wire.answer(&mut *self.transport, method)?;
        if self.party == Party::Gateway {
            check(&answer, method)?;
        }
        if self.wire.has_stray() {
            return Err(Trouble::Violation("bytes after the answer".to_owned()));
        }
        self.closed = answer.closes();
        Ok(answer)
    }

    /// Whether the next request may be sent: the server has said nothing unasked and has not
    /// closed the connection.
    pub fn still_usable(&mut self) -> Result<(), Trouble> {
        if self.closed {
            return Err(Trouble::Closed);
        }
        if !self.transport.is_readable()? {
            return Ok(());
        }
        match self.transport.read(&mut [0])? {
            0 => Err(Trouble::Closed),
            _ => Err(Trouble::Violation("bytes that nobody asked for".to_owned())),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("party", &self.party)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
