//! Ports: taken before anything else starts, so that one in use is a clear message and port 0 is a known port. Pingora gets
//! the sockets; where it binds by itself, a port that is gone ends a thread of its and leaves the process standing.

use std::{
    io,
    net::SocketAddr,
    os::fd::{IntoRawFd, OwnedFd},
};

use async_trait::async_trait;
use megamind_conf::Config;
use pingora::{
    listeners::{ListenerConfig, tls::TlsSettings},
    protocols::l4::stream::L4BufferSettings,
    server::{ListenFds, RuntimeOpts, ShutdownWatch},
    services::{self, listening},
};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait until they are accepted; the system has a limit of its own.
const BACKLOG: i32 = 65_535;

/// Bytes of a connection that are buffered before Pingora's own buffers. Its 64 KiB make large uploads over TLS a little
/// cheaper, and thousands of pilots' apps that wait for news would hold as many of them. Heads are read 4 KiB at once
/// without it, bodies 64 KiB, TLS records in pieces of 4 KiB.
const READ_BUFFER: usize = 0;

/// A port that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {address} cannot be listened on: {source}{}", hint(source))]
pub struct PortError {
    /// The key of the configuration.
    pub key: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the process that has it, or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has the address",
        _ => "",
    }
}

/// The addresses of all listeners, with their ports.
#[derive(Debug)]
pub struct Listeners {
    /// Plain HTTP.
    pub plain: Vec<Listen>,
    /// HTTPS.
    pub tls: Vec<Listen>,
    /// Administration.
    pub admin: Listen,
}

/// One address to listen on.
#[derive(Debug)]
pub struct Listen {
    /// With its port.
    pub address: SocketAddr,
    key: &'static str,
    /// Bound. Nobody can connect before it is [opened](Self::open).
    socket: Socket,
}

impl Listen {
    fn bind(key: &'static str, address: SocketAddr) -> Result<Self, PortError> {
        bind(address)
            .map(|(address, socket)| Self { address, key, socket })
            .map_err(|source| PortError { key, address, source })
    }

    /// Connections are taken from now on, and wait until somebody accepts them.
    ///
    /// Of several that bound a port at the same time, one can do so.
    fn open(self) -> Result<OwnedFd, PortError> {
        let Self { address, key, socket } = self;
        match socket.listen(BACKLOG) {
            Ok(()) => Ok(socket.into()),
            Err(source) => Err(PortError { key, address, source }),
        }
    }
}

impl Listeners {
    /// Finds out whether all addresses of the configuration can be had.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn reserve(config: &Config) -> Result<Self, PortError> {
        let all = |key, addresses: &[SocketAddr]| -> Result<Vec<Listen>, PortError> {
            addresses.iter().map(|address| Listen::bind(key, *address)).collect()
        };
        Ok(Self {
            plain: all("gateway.listen", &config.gateway.listen)?,
            tls: match &config.gateway.tls {
                Some(tls) => all("gateway.tls.listen", &tls.listen)?,
                None => Vec::new(),
            },
            admin: Listen::bind("admin.listen", config.admin.listen)?,
        })
    }
}

/// The address with its port, and a socket that has it.
fn bind(address: SocketAddr) -> io::Result<(SocketAddr, Socket)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port may be had again while connections of its last owner are not forgotten yet. A port that the system chooses
    // is nobody's, and stays so.
    socket.set_reuse_address(address.port() != 0)?;
    // As Pingora's runtime needs it.
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let bound = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("not an internet address"))?;
    Ok((bound, socket))
}

/// A service of Pingora's with sockets that listen already.
pub(crate) struct Bound<A> {
    service: listening::Service<A>,
    sockets: Vec<(String, OwnedFd)>,
}

impl<A> Bound<A> {
    pub(crate) fn new(service: listening::Service<A>) -> Self {
        Self { service, sockets: Vec::new() }
    }

    /// Listens on an address.
    pub(crate) fn listen(&mut self, listen: Listen, tls: Option<TlsSettings>) -> Result<(), PortError> {
        let address = listen.address.to_string();
        let buffer = L4BufferSettings::default().read(READ_BUFFER);
        let mut config = ListenerConfig::tcp(address.clone()).l4_buffer(buffer);
        if let Some(tls) = tls {
            config = config.tls(tls);
        }
        self.sockets.push((address, listen.open()?));
        self.service.add_listener(config);
        Ok(())
    }
}

#[async_trait]
impl<A> services::Service for Bound<A>
where
    listening::Service<A>: services::Service,
    A: Send + Sync,
{
    /// Hands the sockets over as those of a process that was upgraded.
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, listeners_per_fd: usize) {
        for (address, socket) in self.sockets.drain(..) {
            // A server without such a table binds by itself, and this one is closed.
            if let Some(fds) = &fds {
                fds.lock().add(address, socket.into_raw_fd());
            }
        }
        self.service.start_service(fds, shutdown, listeners_per_fd).await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads
    }

    fn runtime_opts_override(&self, global: &RuntimeOpts) -> Option<RuntimeOpts> {
        services::Service::runtime_opts_override(&self.service, global)
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        services::Service::listen_addresses(&self.service)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_key() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        let error = Listen::bind("admin.listen", address).expect_err("taken");
        let text = error.to_string();
        assert!(text.starts_with(&format!("admin.listen: {address} cannot")), "{text}");
        assert!(text.contains("stop the process that has it"), "{text}");
    }

    #[test]
    fn of_two_who_bind_a_port_at_the_same_time_one_gets_it() {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("bound");
        drop(free);
        let bind = |key| Listen::bind(key, address).expect("nobody listens");
        let (first, second) = (bind("gateway.listen"), bind("admin.listen"));
        let _first = first.open().expect("the first gets it");
        let text = second.open().expect_err("taken").to_string();
        assert!(text.starts_with(&format!("admin.listen: {address} cannot")), "{text}");
    }

    #[test]
    fn port_zero_becomes_a_port() {
        let listen = Listen::bind("gateway.listen", "127.0.0.1:0".parse().expect("an address")).expect("free");
        assert_ne!(listen.address.port(), 0);
    }
}
