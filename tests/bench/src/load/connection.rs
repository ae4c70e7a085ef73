//! One keep-alive connection of the generator.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::time::Instant;

use mio::net::TcpStream;

use crate::frame::{Frame, frame, status};

/// An answer larger than this does not belong into these measurements.
const BUFFER: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// The part of a request that the socket did not take at once.
    unsent: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
    /// Since when an answer is awaited.
    since: Option<Instant>,
}

/// What receiving came to.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting,
    Answered { status: u16, since: Instant },
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, unsent: Vec::new(), buffer: vec![0; BUFFER], filled: 0, since: None }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.since.is_some()
    }

    pub(super) fn send(&mut self, request: &[u8], since: Instant) -> std::io::Result<()> {
        self.since = Some(since);
        let written = match self.stream.write(request) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        self.unsent.extend_from_slice(&request[written..]);
        Ok(())
    }

    /// Reads what there is. Readiness is edge-triggered: a read that fills less than its buffer
    /// has emptied the socket, which saves the second call.
    pub(super) fn receive(&mut self) -> std::io::Result<Progress> {
        self.send_rest()?;
        loop {
            let room = self.buffer.get_mut(self.filled..).filter(|room| !room.is_empty());
            let room = room.ok_or(ErrorKind::FileTooLarge)?;
            let wanted = room.len();
            match self.stream.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.filled += read;
                    if read < wanted {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.take_answer()
    }

    fn take_answer(&mut self) -> std::io::Result<Progress> {
        let unsupported = |_| Error::from(ErrorKind::Unsupported);
        match frame(&self.buffer[..self.filled]).map_err(unsupported)? {
            Some(Frame { head, total }) if total <= self.filled => {
                let status = status(&self.buffer[..head]).ok_or(ErrorKind::InvalidData)?;
                self.buffer.copy_within(total..self.filled, 0);
                self.filled -= total;
                // An answer that nobody asked for is a broken server.
                let since = self.since.take().ok_or(ErrorKind::InvalidData)?;
                Ok(Progress::Answered { status, since })
            }
            _ => Ok(Progress::Waiting),
        }
    }

    fn send_rest(&mut self) -> std::io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
