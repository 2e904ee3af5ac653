//! One connection to one of several servers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tapebook_proto::v1::admin_client::AdminClient;
use tapebook_proto::v1::cluster_client::ClusterClient;
use tapebook_proto::v1::journal_client::JournalClient;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};

use crate::backoff::Backoff;
use crate::{Address, ClientError, ClientOptions};

/// A batch, and what the protocol puts around it.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// What a stream may bring before its reader has taken it: a few batches.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// What a connection may bring.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A connection that puts the access token into every call.
pub(crate) type WithAccess = InterceptedService<Channel, WithToken>;
/// The services as a client calls them.
pub(crate) type Journal = JournalClient<WithAccess>;
pub(crate) type Admin = AdminClient<WithAccess>;
pub(crate) type Cluster = ClusterClient<WithAccess>;

/// Knows the servers and holds one connection, which all calls share.
#[derive(Debug)]
pub(crate) struct Connections {
    options: ClientOptions,
    tls: Option<Arc<ClientConfig>>,
    token: WithToken,
    current: Mutex<Current>,
}

/// The connection that is used, where there is one.
#[derive(Debug, Default)]
struct Current {
    channel: Option<Channel>,
    /// Counts the connections, so that whoever finds one broken does not end the next one.
    number: u64,
    /// Where the leader is, by what a server has said since: it is tried before the others, once.
    leader: Option<Address>,
    /// The address that is tried next.
    next_address: usize,
}

/// A connection, as one call uses it.
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    connection: WithAccess,
    number: u64,
}

impl Connected {
    pub(crate) fn journal(&self) -> Journal {
        JournalClient::new(self.connection.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(crate) fn admin(&self) -> Admin {
        AdminClient::new(self.connection.clone())
    }

    pub(crate) fn cluster(&self) -> Cluster {
        ClusterClient::new(self.connection.clone())
    }
}

impl Connections {
    pub(crate) fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let tls = options.tls.as_ref().map(crate::Tls::to_config).transpose()?;
        let token = WithToken::new(options.token.as_deref())?;
        Ok(Self { options, tls, token, current: Mutex::default() })
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// The connection that there is, or a new one to the first server that can be reached; each is tried once.
    pub(crate) async fn connected(&self) -> Result<Connected, ClientError> {
        let (channel, number) = self.channel().await?;
        Ok(Connected { connection: InterceptedService::new(channel, self.token.clone()), number })
    }

    pub(crate) async fn channel(&self) -> Result<(Channel, u64), ClientError> {
        let mut current = self.current.lock().await;
        let channel = match current.channel.clone() {
            Some(channel) => channel,
            None => {
                let leader = current.leader.take();
                let (channel, next_address) = self.connect(leader.as_ref(), current.next_address).await?;
                let number = current.number + 1;
                *current = Current { channel: Some(channel.clone()), number, leader: None, next_address };
                channel
            }
        };
        Ok((channel, current.number))
    }

    /// The connection is broken, or its server does not want to go on: the leader is tried, where the server has named one, then the next
    /// address.
    pub(crate) async fn forget(&self, broken: &Connected, leader: Option<&str>) {
        let mut current = self.current.lock().await;
        if current.number == broken.number {
            current.channel = None;
            let named = leader.and_then(|leader| leader.parse().ok());
            current.leader = named.filter(|leader| self.may_follow(leader)).or(current.leader.take());
        }
    }

    /// In clear a token goes where its owner has sent it, and not where a server says.
    fn may_follow(&self, leader: &Address) -> bool {
        let in_clear = self.options.token.is_some() && self.tls.is_none();
        !in_clear || leader.is_loopback() || self.options.addresses.contains(leader)
    }

    /// Asks the journal, and asks again, perhaps another server, while there is time and the error may pass.
    pub(crate) async fn call<T, F: Future<Output = Result<T, Status>>>(
        &self,
        call: impl Fn(Journal) -> F,
    ) -> Result<T, ClientError> {
        self.call_on(|connected| call(connected.journal()), ClientError::may_pass).await
    }

    /// Makes a call, and makes it again, perhaps to another server, while there is time and the error is one of those that `again` names.
    pub(crate) async fn call_on<T, F: Future<Output = Result<T, Status>>>(
        &self,
        call: impl Fn(&Connected) -> F,
        again: impl Fn(&ClientError) -> bool,
    ) -> Result<T, ClientError> {
        let mut until = None;
        let mut backoff = Backoff::new();
        loop {
            let error = match self.connected().await {
                Ok(connected) => match call(&connected).await {
                    Ok(answer) => return Ok(answer),
                    Err(status) => {
                        let error = ClientError::of_status(&status);
                        if error.may_pass() {
                            self.forget(&connected, error.leader()).await;
                        }
                        error
                    }
                },
                Err(error) => error,
            };
            // A call may last long before it fails, so the time begins with the first failure.
            let until = *until.get_or_insert_with(|| Instant::now() + self.options.retry_for);
            if !again(&error) || Instant::now() >= until {
                return Err(error);
            }
            backoff.pause_unless_redirected(error.leader()).await;
        }
    }

    /// Tries the leader, where one was named, then every other server once, beginning with one of them. Says with which one to begin
    /// after this connection.
    async fn connect(&self, leader: Option<&Address>, first: usize) -> Result<(Channel, usize), ClientError> {
        let addresses = &self.options.addresses;
        let mut last = "there is no address".to_owned();
        if let Some(leader) = leader {
            match self.reach(leader).await {
                Ok(channel) => {
                    let place = addresses.iter().position(|address| address == leader);
                    return Ok((channel, place.map_or(first, |place| place + 1)));
                }
                Err(reason) => last = format!("{leader}: {reason}"),
            }
        }
        for at in (0..addresses.len()).map(|more| (first + more) % addresses.len()) {
            if leader == Some(&addresses[at]) {
                continue;
            }
            match self.reach(&addresses[at]).await {
                Ok(channel) => return Ok((channel, at + 1)),
                Err(reason) => last = format!("{}: {reason}", addresses[at]),
            }
        }
        Err(ClientError::Unreachable { last })
    }

    async fn reach(&self, address: &Address) -> Result<Channel, String> {
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
        let endpoint = endpoint
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        let (address, tls) = (address.clone(), self.tls.clone());
        let connector = tower::service_fn(move |_: Uri| open(address.clone(), tls.clone()));
        match timeout(self.options.connect_time_max, endpoint.connect_with_connector(connector)).await {
            Ok(connected) => connected.map_err(|error| causes(&error)),
            Err(_) => Err(format!("no connection within {} s", self.options.connect_time_max.as_secs_f32())),
        }
    }
}

/// What an error says, and what its causes say.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// A connection, with TLS or without.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

async fn open(
    address: Address,
    tls: Option<Arc<ClientConfig>>,
) -> std::io::Result<TokioIo<Box<dyn Connection>>> {
    let stream = TcpStream::connect((&*address.host, address.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(TokioIo::new(Box::new(stream))) };
    let name = ServerName::try_from(address.host).map_err(std::io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(TokioIo::new(Box::new(stream)))
}

/// Puts the access token into every call.
#[derive(Clone, Debug)]
pub(crate) struct WithToken {
    authorization: Option<MetadataValue<Ascii>>,
}

impl WithToken {
    fn new(token: Option<&str>) -> Result<Self, ClientError> {
        let value = |token: &str| {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let bad = || ClientError::Failed("the token has characters that no token has".to_owned());
        let authorization = token.map(|token| value(token).ok_or_else(bad)).transpose()?;
        Ok(Self { authorization })
    }
}

impl Interceptor for WithToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_follow_a_leader_in_clear() {
        let follows = |token: Option<&str>, leader: &str| {
            let options = ClientOptions::from_url("grpc://10.0.0.1:7700,10.0.0.2:7700").unwrap();
            let options = ClientOptions { token: token.map(str::to_owned), ..options };
            Connections::new(options).unwrap().may_follow(&leader.parse().unwrap())
        };
        assert!(follows(None, "10.0.0.3:7700"));
        assert!(follows(Some("tbk_x"), "10.0.0.2:7700"));
        assert!(follows(Some("tbk_x"), "127.0.0.1:1"));
        assert!(!follows(Some("tbk_x"), "10.0.0.3:7700"));
    }
}
