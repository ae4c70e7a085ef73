//! The accept loop, with a port that can be closed and opened again.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::server::Shared;

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;
/// A pause after an accept that failed, for example for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// Which half of the interface a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plane {
    Public,
    Control,
}

/// Serves a listener for ever. While the fault `refuse` is set, the public one is closed.
pub(crate) async fn listen(mut listener: TcpListener, addr: SocketAddr, shared: Arc<Shared>, plane: Plane) {
    loop {
        let mut connections = JoinSet::new();
        tokio::select! {
            never = accept(&listener, &shared, plane, &mut connections) => match never {},
            () = shared.faults.until_refusing(true), if plane == Plane::Public => {}
        }
        drop(listener);
        connections.shutdown().await;
        // Bound, but not listening: connecting is refused, and nobody else can take the port.
        let placeholder = persistently(|| reserve(addr)).await;
        shared.faults.until_refusing(false).await;
        listener = match placeholder.listen(BACKLOG) {
            Ok(listener) => listener,
            Err(_) => persistently(|| reserve(addr)?.listen(BACKLOG)).await,
        };
    }
}

async fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    plane: Plane,
    connections: &mut JoinSet<()>,
) -> Infallible {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, Arc::clone(shared), plane));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            // Takes out the connections that have ended.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>, plane: Plane) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let io = TokioIo::new(stream);
    let ended = match plane {
        Plane::Public => serve(io, |request| Arc::clone(&shared).public(request)).await,
        Plane::Control => serve(io, |request| Arc::clone(&shared).control(request)).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn serve<F>(
    io: TokioIo<TcpStream>,
    answer: impl Fn(hyper::Request<hyper::body::Incoming>) -> F,
) -> hyper::Result<()>
where
    F: Future<Output = Result<hyper::Response<super::server::Answer>, super::server::Cut>>,
{
    http1::Builder::new().serve_connection(io, service_fn(answer)).await
}

fn reserve(addr: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

async fn persistently<T>(mut attempt: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) => {
                tracing::warn!(%error, "cannot have the port back yet");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
