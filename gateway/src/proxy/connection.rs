//! Connections, and the requests on them that wait.
//!
//! Pingora's future of one request takes 14 KiB, and the task that accepts a connection another 9, most of it for a TLS
//! handshake. Over a request of milliseconds that is nothing, and too much for thousands of pilots' apps that wait for
//! minutes. So a connection becomes a task of its own, and a request that has to wait ends for Pingora: it leaves behind
//! what is still to be done ([`step_aside`]), and the connection does it when Pingora's future is gone.

use std::{cell::RefCell, io::Cursor, mem, pin::Pin, sync::Arc};

use async_trait::async_trait;
use megamind_domain::Domain;
use pingora::{
    apps::{HttpServerApp, ReusedHttpStream, ServerApp},
    protocols::{ALPN, Stream, http::ServerSession},
    proxy::{HttpProxy, Session},
    server::ShutdownWatch,
};

use super::Proxy;

/// What is left to do for a request. Its outcome is the connection, where that can be used again.
type Rest = Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send>>;

/// Seconds that a new connection may be idle; each request sets its own.
const FIRST_KEEPALIVE: u64 = 60;

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
pub(crate) struct Requests<D: Domain>(pub(crate) Arc<HttpProxy<Proxy<D>>>);

/// All connections.
pub(crate) struct Connections<D: Domain>(pub(crate) Arc<Requests<D>>);

impl<D: Domain> Requests<D> {
    /// Serves one request, and what it leaves.
    async fn serve(&self, session: ServerSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        let served = async {
            let reused = self.0.process_new_http(session, shutdown).await;
            (reused, REST.with(RefCell::take))
        };
        match REST.scope(RefCell::default(), served).await {
            (_, Some(rest)) => rest.await,
            (reused, None) => reused,
        }
    }

    /// Serves the requests of an HTTP/1 connection, one after the other.
    async fn serve_all(&self, stream: Stream, shutdown: &ShutdownWatch) {
        let mut session = ServerSession::new_http1(stream);
        session.set_keepalive((!*shutdown.borrow()).then_some(FIRST_KEEPALIVE));
        while let Some(reused) = self.serve(session, shutdown).await {
            let (stream, settings) = reused.consume();
            session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
        }
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
        self.0.http_cleanup().await;
    }
}

#[async_trait]
impl<D: Domain> ServerApp for Connections<D> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let (requests, shutdown) = (self.0.clone(), shutdown.clone());
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            tokio::spawn(async move { requests.process_new(stream, &shutdown).await });
        } else {
            tokio::spawn(async move { requests.serve_all(stream, &shutdown).await });
        }
        None
    }

    async fn cleanup(&self) {
        self.0.http_cleanup().await;
    }
}
