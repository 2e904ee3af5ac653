//! A server, asked over Arrow Flight SQL.

use std::sync::{Mutex, PoisonError};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightInfo;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tapebook_client::{Client, ClientOptions};
use tonic::transport::Channel;

use crate::error::CliError;

/// The one setting of a session, and the header that carries it: calls share nothing on the server.
const AS_OF_SEQ: &str = "tapebook.as_of_seq";
const AS_OF_SEQ_HEADER: &str = "tapebook-as-of-seq";

/// A connection to a server, as one session.
pub(crate) struct ServerSql {
    client: FlightSqlServiceClient<Channel>,
    /// Queries read what was known at this sequence; 0: what is known now.
    as_of_seq: Mutex<u64>,
}

/// What a statement gives.
pub(crate) enum ServerAnswer {
    Rows(ServerRows),
    /// Nothing: a setting was changed.
    Set,
}

/// The rows of a query, as they come.
pub(crate) struct ServerRows {
    pub columns: SchemaRef,
    pub batches: BoxStream<'static, Result<RecordBatch, CliError>>,
}

impl ServerSql {
    /// Connects to the first server that can be reached.
    pub(crate) async fn connect(options: ClientOptions) -> Result<Self, CliError> {
        let token = options.token.clone();
        let connected = Client::connect(options).await.map_err(CliError::failed)?;
        let mut client = FlightSqlServiceClient::new(connected.channel().await.map_err(CliError::failed)?);
        if let Some(token) = token {
            client.set_token(token);
        }
        Ok(Self { client, as_of_seq: Mutex::default() })
    }

    /// Changes a setting, or plans a query and begins to fetch it. Dropping the rows ends it on the server.
    pub(crate) async fn execute(&self, sql: &str) -> Result<ServerAnswer, CliError> {
        if let Some(value) = setting(sql) {
            let seq = value.ok_or_else(|| {
                CliError::failed(format!(
                    "{AS_OF_SEQ} takes a sequence number, 0 or DEFAULT for what is known now"
                ))
            })?;
            // The server says whether there is such a sequence.
            let mut client = self.client(seq);
            client.execute("SELECT 1".to_owned(), None).await.map_err(|error| told(&error))?;
            *self.as_of_seq.lock().unwrap_or_else(PoisonError::into_inner) = seq;
            return Ok(ServerAnswer::Set);
        }
        let mut client = self.client(self.seq());
        let info = client.execute(sql.to_owned(), None).await.map_err(|error| told(&error))?;
        let columns = columns(&info)?;
        let tickets = info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket);
        // This server gives one ticket; what the protocol allows are several, one after another.
        let batches = stream::iter(tickets)
            .then(move |ticket| {
                let mut client = client.clone();
                async move { client.do_get(ticket).await }
            })
            .try_flatten()
            .map_err(|error| told(&error))
            .boxed();
        Ok(ServerAnswer::Rows(ServerRows { columns, batches }))
    }

    /// The columns that a query gives.
    pub(crate) async fn schema(&self, sql: &str) -> Result<SchemaRef, CliError> {
        let mut client = self.client(self.seq());
        let info = client.execute(sql.to_owned(), None).await.map_err(|error| told(&error))?;
        columns(&info)
    }

    fn seq(&self) -> u64 {
        *self.as_of_seq.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn client(&self, as_of_seq: u64) -> FlightSqlServiceClient<Channel> {
        let mut client = self.client.clone();
        if as_of_seq > 0 {
            client.set_header(AS_OF_SEQ_HEADER, as_of_seq.to_string());
        }
        client
    }
}

/// What a statement sets [`AS_OF_SEQ`] to, `None` inside where that is no number; `None` where it sets nothing.
fn setting(sql: &str) -> Option<Option<u64>> {
    let sql = sql.trim().trim_end_matches(';').replace('=', " ").to_ascii_lowercase();
    let words: Vec<&str> = sql.split_whitespace().filter(|word| *word != "to").collect();
    match words[..] {
        ["set", AS_OF_SEQ, "default"] | ["reset", AS_OF_SEQ] => Some(Some(0)),
        ["set", AS_OF_SEQ, value] => Some(value.parse().ok()),
        _ => None,
    }
}

fn columns(info: &FlightInfo) -> Result<SchemaRef, CliError> {
    let schema: Schema = info.clone().try_decode_schema().map_err(CliError::failed)?;
    Ok(schema.into())
}

/// What the server says, or what came between.
fn told(error: &FlightError) -> CliError {
    match error {
        FlightError::Tonic(status) => CliError::failed(status.message()),
        other => CliError::failed(other),
    }
}

impl std::fmt::Debug for ServerSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSql").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_told_from_a_query() {
        assert_eq!(setting("SET tapebook.as_of_seq = 12;"), Some(Some(12)));
        assert_eq!(setting(" set Tapebook.as_of_seq TO 12"), Some(Some(12)));
        assert_eq!(setting("SET tapebook.as_of_seq=DEFAULT"), Some(Some(0)));
        assert_eq!(setting("RESET tapebook.as_of_seq"), Some(Some(0)));
        assert_eq!(setting("SET tapebook.as_of_seq = x"), Some(None));
        assert_eq!(setting("SET datafusion.x = 1"), None);
        assert_eq!(setting("SELECT 1"), None);
    }
}
