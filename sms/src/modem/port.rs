//! The port: a trait, so that a driver can be tested without a device, and its implementations
//! for serial devices and TCP.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

/// How long a read waits. It bounds how late a message that is to go out is noticed.
const READ_WAIT: Duration = Duration::from_millis(20);
/// How long a write may take; a modem that does not take a command for so long is gone.
const WRITE_WAIT: Duration = Duration::from_secs(5);

/// An open port.
pub trait Port: Send {
    /// Waits a moment for bytes; 0 when none came. Every error means that the port is gone, and
    /// so does its end of file ([`ErrorKind::UnexpectedEof`]).
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes. Every error means that the port is gone.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// The way to a port that may come and go.
pub trait Opener: Send {
    /// Opens the port. Fails when it is not there, or when another process has it.
    fn open(&mut self) -> io::Result<Box<dyn Port>>;

    /// Switches the modem's power off and on; `false` when there is no way to do that.
    fn cycle_power(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// A serial device, taken exclusively.
///
/// A modem on USB gets another name whenever it comes back: give the stable one of
/// `/dev/serial/by-id/`, which is resolved at every opening.
#[derive(Debug, Clone)]
pub struct SerialOpener {
    /// The device.
    pub path: PathBuf,
    /// Baud rate; meaningless to most modems on USB.
    pub baud: u32,
}

impl Opener for SerialOpener {
    fn open(&mut self) -> io::Result<Box<dyn Port>> {
        // No modem lines are touched: a pty answers those with ENOTTY.
        let path = std::fs::canonicalize(&self.path)?;
        let port = serialport::new(path.to_string_lossy(), self.baud)
            .timeout(READ_WAIT)
            .open_native()?;
        Ok(Box::new(SerialPort(port)))
    }
}

struct SerialPort(serialport::TTYPort);

impl Port for SerialPort {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        heard(self.0.read(buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // The device's time-out is that of reads; a modem that is slow to take a message gets
        // more.
        let started = std::time::Instant::now();
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.0.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) if is_wait(&error) && started.elapsed() < WRITE_WAIT => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A modem behind a terminal server, or an emulated one.
#[derive(Debug, Clone)]
pub struct TcpOpener {
    /// Where it listens.
    pub address: SocketAddr,
}

impl Opener for TcpOpener {
    fn open(&mut self) -> io::Result<Box<dyn Port>> {
        let stream = TcpStream::connect_timeout(&self.address, WRITE_WAIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_WAIT))?;
        stream.set_write_timeout(Some(WRITE_WAIT))?;
        Ok(Box::new(TcpPort(stream)))
    }
}

struct TcpPort(TcpStream);

impl Port for TcpPort {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        heard(self.0.read(buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn heard(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if is_wait(&error) => Ok(0),
        other => other,
    }
}
