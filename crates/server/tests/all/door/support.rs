//! A server on a directory of its own, certificates for it, and clients.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use serde_json::Value;
use tapebook_proto::v1::admin_client::AdminClient;
use tapebook_server::access::{Grant, RefusalKind, Role};
use tapebook_server::tls::{Authority, Issued, Subject, TlsFiles};
use tapebook_server::{Server, ServerOptions};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Whatever must happen has so long; nothing that is right takes a tenth of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const DAY: i64 = 86_400;

/// A directory with a CA and a server's certificate.
pub(crate) struct Place {
    dir: TempDir,
    pub(crate) authority: Authority,
    ca: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (authority, issued) = Authority::create(now(), 30).unwrap();
        let place = Self { dir, authority, ca: issued.certificate };
        place.write("ca.crt", &place.ca);
        place.write("ca.crl", &place.authority.revoke(None, &[], now(), 30).unwrap());
        place.write_pair("node", &place.node());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn write_pair(&self, name: &str, issued: &Issued) {
        self.write(&format!("{name}.crt"), &issued.certificate);
        self.write(&format!("{name}.key"), &issued.key);
    }

    pub(crate) fn node(&self) -> Issued {
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.authority.issue(&Subject::Node { id: 1, hosts }, now(), 30).unwrap()
    }

    /// A certificate whose 10 days began so many days ago.
    pub(crate) fn client(&self, name: &str, role: Role, days_ago: i64) -> Issued {
        let grant = Grant::new(role, []).unwrap();
        let subject = Subject::Client { name: name.to_owned(), grant };
        self.authority.issue(&subject, now() - days_ago * DAY, 10).unwrap()
    }

    /// A loopback server with TLS and authentication.
    pub(crate) fn options(&self) -> ServerOptions {
        ServerOptions {
            tls: Some(TlsFiles {
                certificate: self.path("node.crt"),
                key: self.path("node.key"),
                ca: Some(self.path("ca.crt")),
                revoked: Some(self.path("ca.crl")),
            }),
            ..self.open_options()
        }
    }

    /// One without either.
    pub(crate) fn open_options(&self) -> ServerOptions {
        let mut options = ServerOptions {
            listen: Some(loopback()),
            http_listen: Some(loopback()),
            tls_reload_every: Duration::from_secs(3_600),
            ..ServerOptions::new(self.path("db"))
        };
        options.database.wal.segment_bytes = 1 << 20;
        options
    }

    pub(crate) async fn start(&self) -> Server {
        Server::start(self.options()).await.unwrap()
    }

    /// How somebody with this certificate, or with none, speaks to the server.
    pub(crate) fn tls(&self, own: Option<&Issued>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }

    /// The lines of the audit log, which a thread writes: waits for one that `found` knows.
    pub(crate) async fn audit_line(&self, found: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                if let Some(line) = self.audit().into_iter().find(&found) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("no such line in {:#?}", self.audit()))
    }

    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("db/audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Seconds since the epoch.
pub(crate) fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn refused(server: &Server, kind: RefusalKind) -> u64 {
    server.node().access.refusals().count(kind)
}

/// Waits until so many of a kind were refused.
pub(crate) async fn until_refused(server: &Server, kind: RefusalKind, count: u64) {
    let look = async {
        while refused(server, kind) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, look).await;
    assert!(found.is_ok(), "{kind:?}: {} of {count}", refused(server, kind));
}

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) async fn shake_hands(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut tls = ClientConfig::clone(&tls);
    tls.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

async fn open(
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
) -> std::io::Result<TokioIo<Box<dyn Duplex>>> {
    let io: Box<dyn Duplex> = match tls {
        None => Box::new(TcpStream::connect(address).await?),
        Some(tls) => Box::new(shake_hands(address, tls, b"h2").await?),
    };
    Ok(TokioIo::new(io))
}

/// A connection to the port of gRPC.
pub(crate) async fn connect(
    server: &Server,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Channel, tonic::transport::Error> {
    let address = server.grpc_address().unwrap();
    let connector = tower::service_fn(move |_: Uri| open(address, tls.clone()));
    Endpoint::from_static("http://localhost").connect_with_connector(connector).await
}

/// What the other end is told that cannot even connect, or whose first call fails.
pub(crate) async fn first_call(server: &Server, tls: Arc<ClientConfig>) -> Result<(), String> {
    let channel = connect(server, Some(tls)).await.map_err(|error| format!("{error:?}"))?;
    list_tokens(channel, None).await.map(drop).map_err(|status| format!("{status:?}"))
}

pub(crate) fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

pub(crate) async fn list_tokens(channel: Channel, token: Option<&str>) -> Result<Vec<String>, Status> {
    let request = with_token(tapebook_proto::v1::ListTokensRequest {}, token);
    let listed = AdminClient::new(channel).list_tokens(request).await?.into_inner();
    Ok(listed.tokens.into_iter().map(|token| token.name).collect())
}

pub(crate) async fn is_healthy(channel: Channel) -> Result<(), Status> {
    let request = HealthCheckRequest { service: String::new() };
    HealthClient::new(channel).check(request).await.map(drop)
}

/// Somebody who does nothing wrong, and must not notice what others do.
pub(crate) struct Bystander {
    ends: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Bystander {
    /// Calls again and again, on one connection and on fresh ones.
    pub(crate) async fn begin(server: &Arc<Server>, tls: Option<Arc<ClientConfig>>) -> Self {
        let (ends, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (server, stop, count) = (Arc::clone(server), Arc::clone(&ends), Arc::clone(&calls));
        let lasting = connect(&server, tls.clone()).await.unwrap();
        let task = tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let fresh = connect(&server, tls.clone()).await.unwrap();
                for channel in [lasting.clone(), fresh] {
                    tokio::time::timeout(PATIENCE, is_healthy(channel)).await.unwrap().unwrap();
                }
                count.fetch_add(2, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { ends, calls, task }
    }

    /// Waits for some more calls, which must all succeed.
    pub(crate) async fn goes_on(&self) {
        let before = self.calls.load(Ordering::SeqCst);
        let look = async {
            while self.calls.load(Ordering::SeqCst) < before + 4 {
                assert!(!self.task.is_finished(), "a bystander was harmed");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("a bystander was held up");
    }

    pub(crate) async fn end(self) {
        self.goes_on().await;
        self.ends.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

/// Stops a server that others had a part in.
pub(crate) async fn stop(server: Arc<Server>) {
    Arc::into_inner(server).expect("the others have ended").stop().await.unwrap();
}

/// Every file under a directory, for looking for what must not be there.
pub(crate) fn all_bytes(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(all_bytes(&path));
        } else {
            bytes.extend(std::fs::read(&path).unwrap());
        }
    }
    bytes
}
