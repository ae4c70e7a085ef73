//! Certificates made for one test, a client that speaks TLS, and a server that does.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Client, Party, Transport};
use crate::wait::PATIENCE;

/// An authority, and a certificate that it has issued.
#[derive(Debug)]
pub struct Certificate {
    /// The authority's certificate, in PEM.
    pub ca: PathBuf,
    /// The issued certificate, in PEM.
    pub cert: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    root: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    secret: Vec<u8>,
}

impl Certificate {
    /// Issues a certificate for one host name, by a new authority, into files of `dir` that begin
    /// with `label`.
    pub fn issue(dir: &Path, label: &str, host: &str) -> Self {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new(Vec::new()).expect("good parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).expect("an authority");
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec![host.to_owned()])
            .expect("a host name")
            .signed_by(&key, &issuer)
            .expect("a certificate");
        let file = |kind: &str, pem: String| {
            let path = dir.join(format!("{label}-{kind}.pem"));
            fs::write(&path, pem).expect("a writable folder");
            path
        };
        Self {
            ca: file("ca", root.pem()),
            cert: file("cert", leaf.pem()),
            key: file("key", key.serialize_pem()),
            root: root.der().clone(),
            leaf: leaf.der().clone(),
            secret: key.serialize_der(),
        }
    }

    /// Connects to a server that must show this certificate.
    pub fn connect(&self, addr: SocketAddr, host: &str) -> io::Result<Client> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client::over(Box::new(StreamOwned::new(tls, stream)), Party::Gateway))
    }

    /// Starts a server that shows this certificate and answers every request 200, until the test
    /// process ends.
    pub fn serve(&self) -> io::Result<Server> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.secret.clone()));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone()], key)
            .map_err(io::Error::other)?;
        let (config, seen) = (Arc::new(config), Arc::new(Mutex::new(Vec::new())));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server = Server { addr: listener.local_addr()?, seen: Arc::clone(&seen) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
                // A client that does not trust us hangs up, which is what some tests want.
                thread::spawn(move || converse(stream, config, &seen).ok());
            }
        });
        Ok(server)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl Transport for StreamOwned<ClientConnection, TcpStream> {
    fn is_readable(&mut self) -> io::Result<bool> {
        // Session tickets make the socket readable without a word of HTTP.
        Ok(false)
    }
}

/// A request that a [`Server`] has had.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The name that the client asked for in its TLS handshake.
    pub sni: Option<String>,
    /// The request's head.
    pub head: String,
}

/// A server that speaks TLS.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers requests without bodies until the client closes.
fn converse(stream: TcpStream, config: Arc<ServerConfig>, seen: &Mutex<Vec<Seen>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(tls, stream);
    let mut head = Vec::new();
    loop {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.extend(byte);
        if head.ends_with(b"\r\n\r\n") {
            let body = r#"{"status":"ok"}"#;
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            stream.flush()?;
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(Seen {
                sni: stream.conn.server_name().map(str::to_owned),
                head: String::from_utf8_lossy(&head).into_owned(),
            });
            head.clear();
        }
    }
}
