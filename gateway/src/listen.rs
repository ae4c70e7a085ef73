//! Ports: taken before anything else starts, so that one in use is a clear message and port 0 is a known port.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use megamind_conf::Config;
use socket2::{Domain, Protocol, Socket, Type};

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
    /// Holds a port that the system chose until the listener has it too: bound, but not listening.
    reserved: Option<Socket>,
}

impl Listen {
    /// Whether the port was chosen by the system, so that it is bound twice.
    pub fn is_reserved(&self) -> bool {
        self.reserved.is_some()
    }
}

impl Listeners {
    /// Finds out whether all addresses of the configuration can be had.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn reserve(config: &Config) -> Result<Self, PortError> {
        let all = |key, addresses: &[SocketAddr]| -> Result<Vec<Listen>, PortError> {
            addresses.iter().map(|address| listen(key, *address)).collect()
        };
        Ok(Self {
            plain: all("gateway.listen", &config.gateway.listen)?,
            tls: match &config.gateway.tls {
                Some(tls) => all("gateway.tls.listen", &tls.listen)?,
                None => Vec::new(),
            },
            admin: listen("admin.listen", config.admin.listen)?,
        })
    }
}

fn listen(key: &'static str, address: SocketAddr) -> Result<Listen, PortError> {
    let reserved = if address.port() == 0 {
        reserve(address).map(|(address, socket)| Listen { address, reserved: Some(socket) })
    } else {
        // Let go again: only one socket may have it.
        TcpListener::bind(address).map(|_| Listen { address, reserved: None })
    };
    reserved.map_err(|source| PortError { key, address, source })
}

fn reserve(address: SocketAddr) -> io::Result<(SocketAddr, Socket)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    let bound = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("not an internet address"))?;
    Ok((bound, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_key() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        let error = listen("admin.listen", address).expect_err("taken");
        let text = error.to_string();
        assert!(text.starts_with(&format!("admin.listen: {address} cannot")), "{text}");
        assert!(text.contains("stop the process that has it"), "{text}");
    }

    #[test]
    fn port_zero_becomes_a_port() {
        let listen = listen("gateway.listen", "127.0.0.1:0".parse().expect("an address")).expect("free");
        assert_ne!(listen.address.port(), 0);
    }
}
