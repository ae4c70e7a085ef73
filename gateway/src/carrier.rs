//! Requests that come by another way than HTTP, carried as if a client had sent them.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::header;
use megamind_domain::{Domain, Request};
use pingora::apps::HttpServerApp;
use pingora::{
    http::RequestHeader,
    protocols::http::{ServerSession, v1::client::HttpSession},
    proxy::{HttpProxy, http_proxy},
    server::configuration::ServerConf,
};
use tokio::sync::watch;

use crate::{
    Handle,
    proxy::{Proxy, head},
};

/// Bytes that wait between the two ends.
const PIPE: usize = 64 * 1024;

/// The longest answer that is read.
const LONGEST: usize = 256 * 1024;

/// Carries requests through the whole story of a client's: forwarded with its key, watched, rescued, fenced, or
/// answered here. There is no socket between the two; everything else is the same code.
pub struct Carrier<D: Domain> {
    proxy: Arc<HttpProxy<Proxy<D>>>,
    authority: String,
    deadline: Duration,
    stop: watch::Receiver<bool>,
    /// Held, so that `stop` never changes.
    _running: watch::Sender<bool>,
}

/// The answer to a carried request.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The status code.
    pub status: u16,
    /// Whether the gateway made it.
    pub local: bool,
    /// The whole body.
    pub body: Bytes,
}

/// There is no answer: what became of the request is unknown. Carrying the same again under the same key is safe.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no answer: {0}")]
pub struct NotCarried(String);

impl<D: Domain> Handle<D> {
    /// A carrier into this gateway.
    pub fn carrier(&self) -> Carrier<D> {
        let (running, stop) = watch::channel(false);
        let config = self.config();
        let proxy = Proxy { core: self.0.clone(), exchanger: crate::gateway::exchanger(config) };
        Carrier {
            proxy: Arc::new(http_proxy(&Arc::new(ServerConf::default()), proxy)),
            authority: format!("{}.megamind", config.city.as_str()),
            // The upstream's time, the wait for what is under way, and the journal's.
            deadline: config.upstream.response_timeout * 4 + Duration::from_secs(30),
            stop,
            _running: running,
        }
    }
}

impl<D: Domain> Carrier<D> {
    /// Carries one request, with headers of its own besides.
    ///
    /// # Errors
    /// No answer came in time, or one that is none.
    pub async fn carry(&self, request: &Request, headers: &[(&str, &str)]) -> Result<Carried, NotCarried> {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let serve = self
            .proxy
            .process_new_http(ServerSession::new_http1(Box::new(theirs)), &self.stop);
        let ask = self.ask(HttpSession::new(Box::new(ours)), request, headers);
        let both = async { tokio::join!(async { drop(serve.await) }, ask).1 };
        match tokio::time::timeout(self.deadline, both).await {
            Ok(Ok(carried)) => Ok(carried),
            Ok(Err(error)) => Err(NotCarried(error.to_string())),
            Err(_) => Err(NotCarried("it takes too long".to_owned())),
        }
    }

    async fn ask(
        &self,
        mut session: HttpSession,
        request: &Request,
        headers: &[(&str, &str)],
    ) -> pingora::Result<Carried> {
        let mut head = head::replayed(request, &head::target(request), &request.body, &self.authority, None)?;
        for (name, value) in headers {
            head.insert_header((*name).to_owned(), *value)?;
        }
        close(&mut head)?;
        session.write_request_header(Box::new(head)).await?;
        if !request.body.is_empty() {
            session.write_body(&request.body).await?;
        }
        session.finish_body().await?;
        let answer = session.read_resp_header_parts().await?;
        let mut body = BytesMut::new();
        while let Some(piece) = session.read_body_bytes().await? {
            if body.len() + piece.len() <= LONGEST {
                body.extend_from_slice(&piece);
            }
        }
        Ok(Carried {
            status: answer.status.as_u16(),
            local: answer.headers.contains_key("x-served-by"),
            body: body.freeze(),
        })
    }
}

fn close(head: &mut RequestHeader) -> pingora::Result<()> {
    head.insert_header(header::CONNECTION, "close")
}
