//! Connections, and the requests on them that wait.
//!
//! Pingora's future of one request takes 14 KiB, and the task that accepts a connection another 9, most of it for a TLS
//! handshake. Over a request of milliseconds that is nothing, and too much for thousands of pilots' apps that are idle or
//! wait for minutes. So a connection becomes a task of its own; Pingora gets to see it when a request begins; and a request
//! that has to wait ends for Pingora: it leaves behind what is still to be done ([`step_aside`]), and the connection does it
//! when Pingora's future is gone.

use std::{cell::RefCell, io::Cursor, mem, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::BytesMut;
use megamind_domain::Domain;
use pingora::{
    apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream, ServerApp},
    protocols::{ALPN, Stream, http::ServerSession},
    proxy::{HttpProxy, Session},
    server::ShutdownWatch,
    time::timeout,
};
use tokio::io::AsyncReadExt;

use super::Proxy;

/// What is left to do for a request. Its outcome is the connection, where that can be used again.
type Rest = Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send>>;

/// Bytes of a request that are read at once. Pingora reads its head as far as it came, and the rest of it by itself.
const FIRST_READ: usize = 4 * 1024;

tokio::task_local! {
    /// Where the request that is being served leaves what is left to do.
    static REST: RefCell<Option<Rest>>;
}

/// Whether somebody would do what is left; not where the proxy is part of a service of somebody else's.
pub(super) fn may_step_aside() -> bool {
    REST.try_with(|_| ()).is_ok()
}

/// Ends a request as far as Pingora is concerned. `rest` gets the client, and does what is left.
pub(super) fn step_aside<F>(session: &mut Session, rest: impl FnOnce(Box<ServerSession>) -> F)
where
    F: Future<Output = Option<ReusedHttpStream>> + Send + 'static,
{
    // To nobody Pingora may say what it likes.
    let nobody: Stream = Box::new(Cursor::new(Vec::new()));
    let nobody = Box::new(ServerSession::new_http1(nobody));
    let client = mem::replace(&mut session.downstream_session, nobody);
    REST.with(|left| left.replace(Some(Box::pin(rest(client)))));
}

/// The requests of all connections.
pub(crate) struct Requests<D: Domain> {
    pub(crate) proxy: Arc<HttpProxy<Proxy<D>>>,
    /// How long a connection may be idle.
    pub(crate) keepalive: Duration,
}

/// All connections.
pub(crate) struct Connections<D: Domain>(pub(crate) Arc<Requests<D>>);

impl<D: Domain> Requests<D> {
    /// Serves one request, and what it leaves.
    async fn serve(&self, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let served = async {
            let reused = self.proxy.process_new_http(session, shutdown).await;
            (reused, REST.with(RefCell::take))
        };
        match REST.scope(RefCell::default(), served).await {
            (_, Some(rest)) => rest.await,
            (reused, None) => reused,
        }
    }

    /// Serves the requests of an HTTP/1 connection, one after the other.
    async fn serve_all(&self, mut stream: Stream, mut shutdown: ShutdownWatch) {
        let mut settings = None;
        while let Some(beginning) = self.beginning(&mut stream, &mut shutdown).await {
            let mut session = ServerSession::new_http1(stream);
            session.set_keepalive((!*shutdown.borrow()).then_some(self.keepalive.as_secs().max(1)));
            if let Some(settings) = settings {
                HttpPersistentSettings::apply_to_session(settings, &mut session);
            }
            // To Pingora it came behind the request before.
            session.set_pipelined_prefix(beginning);
            let Some(reused) = self.serve(session, &shutdown).await else { return };
            (stream, settings) = reused.consume();
        }
    }

    /// The first bytes of the next request; `None` where none comes.
    async fn beginning(&self, stream: &mut Stream, shutdown: &mut ShutdownWatch) -> Option<BytesMut> {
        let mut beginning = BytesMut::with_capacity(FIRST_READ);
        let read = async {
            tokio::select! {
                // What has come is served, also by a gateway that is about to stop.
                biased;
                read = stream.read_buf(&mut beginning) => read.ok(),
                _ = shutdown.wait_for(|stops| *stops) => None,
            }
        };
        let read = timeout(self.keepalive, read).await.ok().flatten();
        read.filter(|read| *read > 0).map(|_| beginning)
    }
}

/// The streams of an HTTP/2 connection are requests side by side.
#[async_trait]
impl<D: Domain> HttpServerApp for Requests<D> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.serve(session, shutdown).await
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

#[async_trait]
impl<D: Domain> ServerApp for Connections<D> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let (requests, shutdown) = (self.0.clone(), shutdown.clone());
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            tokio::spawn(async move { requests.process_new(stream, &shutdown).await });
        } else {
            tokio::spawn(async move { requests.serve_all(stream, shutdown).await });
        }
        None
    }

    async fn cleanup(&self) {
        self.0.http_cleanup().await;
    }
}
