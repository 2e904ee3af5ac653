//! A server on a directory of its own, and clients with tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tapebook::{Batch, Db, Durability, Quote, Trade};
use tapebook_server::access::{Caller, Credential, Grant, Role};
use tapebook_server::{Authentication, Limits, Node, Server, ServerOptions};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

pub(crate) type Client = FlightSqlServiceClient<Channel>;

/// Who has a token.
const CALLERS: [(&str, Role, &[&str]); 5] = [
    ("admin", Role::Admin, &[]),
    ("writer", Role::Write, &[]),
    ("reader", Role::Read, &[]),
    ("trades-reader", Role::Read, &["trades"]),
    ("trades-writer", Role::Write, &["trades"]),
];

/// A server on a directory of its own, without TLS, that asks everybody who they are.
pub(crate) struct Place {
    server: Server,
    tokens: BTreeMap<&'static str, String>,
    _dir: TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let loopback = Some("127.0.0.1:0".parse().unwrap());
        let options = ServerOptions {
            listen: loopback,
            http_listen: loopback,
            authentication: Authentication::Required,
            http_hosts: vec!["db.example".to_owned()],
            limits,
            ..ServerOptions::new(dir.path().join("db"))
        };
        let server = Server::start(options).await.unwrap();
        let tokens = tokens(&server);
        Self { server, tokens, _dir: dir }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        self.server.node()
    }

    /// The token of somebody of [`CALLERS`]; nonsense for anybody else.
    pub(crate) fn token(&self, name: &str) -> String {
        self.tokens.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// With two hundred trades of `A` and `B`, and one quote.
    pub(crate) async fn with_trades() -> Self {
        let place = Self::new().await;
        fill(&place.node().db);
        place
    }

    /// Trades of one symbol whose prices are their numbers.
    pub(crate) fn append_trades(&self, symbol: &str, numbers: std::ops::Range<u32>) {
        append_trades(&self.node().db, symbol, numbers);
    }

    pub(crate) async fn channel(&self) -> Channel {
        let address = self.server.grpc_address().unwrap();
        Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
    }

    /// A client with the token of somebody.
    pub(crate) async fn client(&self, token: &str) -> Client {
        let mut client = Client::new(self.channel().await);
        client.set_token(self.token(token));
        client
    }

    /// A message of somebody.
    pub(crate) fn by<T>(&self, name: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {}", self.token(name)).parse().unwrap());
        request
    }

    /// A client that sends what it is told.
    pub(crate) async fn raw(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel().await)
    }

    /// The rows of a query of an administrator.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        text(
            &query(&mut self.client("admin").await, sql)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
        )
    }
}

/// Makes a token for each of [`CALLERS`].
pub(crate) fn tokens(server: &Server) -> BTreeMap<&'static str, String> {
    let token = |(name, role, tables): (&'static str, Role, &[&str])| {
        let grant = Grant::new(role, tables.iter().map(|table| (*table).to_owned())).unwrap();
        (name, server.node().tokens.create(name, grant, None).unwrap().reveal().to_owned())
    };
    CALLERS.map(token).into()
}

/// Somebody as a service sees them behind the door.
pub(crate) fn caller(name: &str) -> Option<Caller> {
    let known = CALLERS.iter().find(|known| known.0 == name);
    let (role, tables) = match known {
        Some((_, role, tables)) => (*role, *tables),
        None if name == "node" => (Role::Node, &[][..]),
        None => return None,
    };
    let grant = Grant::new(role, tables.iter().map(|table| (*table).to_owned())).unwrap();
    Some(Caller { name: name.into(), credential: Credential::None, grant: Arc::new(grant), address: None })
}

/// Two hundred trades of `A` and `B`, and one quote.
pub(crate) fn fill(db: &Db) {
    append_trades(db, "A", 0..150);
    append_trades(db, "B", 150..200);
    let mut batch = Batch::new();
    batch.push(Quote { symbol: "A", ts: 7, bid_price: Some(1.5), ..Quote::default() }).unwrap();
    db.append(batch, Durability::Synced).unwrap().wait().unwrap();
}

fn append_trades(db: &Db, symbol: &str, numbers: std::ops::Range<u32>) {
    let mut batch = Batch::new();
    for number in numbers {
        let (ts, price) = (i64::from(number), Some(f64::from(number)));
        batch.push(Trade { symbol, ts, price, ..Trade::default() }).unwrap();
    }
    db.append(batch, Durability::Synced).unwrap().wait().unwrap();
}

/// Asks and fetches, and checks that what is announced is what comes.
pub(crate) async fn query(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, Refused> {
    let info = client.execute(sql.to_owned(), None).await?;
    fetch(client, info).await
}

pub(crate) async fn fetch(client: &mut Client, info: FlightInfo) -> Result<Vec<RecordBatch>, Refused> {
    let announced = info.clone().try_decode_schema().unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut stream = client.do_get(ticket).await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        batches.push(batch);
    }
    let delivered: SchemaRef = stream.schema().cloned().expect("a schema before everything else");
    assert_eq!(*delivered, announced, "announced is delivered");
    Ok(batches)
}

/// What a client is told.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Status);

impl From<FlightError> for Refused {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => Self(*status),
            other => panic!("{other}"),
        }
    }
}

impl Refused {
    pub(crate) fn code(&self) -> Code {
        self.0.code()
    }

    /// Checks how it is told.
    pub(crate) fn is(&self, code: Code, part: &str) {
        assert_eq!((self.code(), self.0.message().contains(part)), (code, true), "{part:?}: {:?}", self.0);
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The rows of a result, values separated by blanks, rows by bars; NULL is `-`.
pub(crate) fn text(batches: &[RecordBatch]) -> String {
    let options = FormatOptions::new().with_null("-");
    let mut rows: Vec<String> = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(values.join(" "));
        }
    }
    rows.join(" | ")
}

/// Waits until something holds that happens soon.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 20 s: {what}");
}

/// A query that would run for very long if it were let.
pub(crate) const ENDLESS: &str =
    "SELECT a.value FROM generate_series(1, 1000) a, generate_series(1, 10000000000) b";
