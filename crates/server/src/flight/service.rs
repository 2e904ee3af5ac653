//! The calls of Flight, and what each command of Flight SQL does in them.

use std::sync::Arc;

use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    Any, Command, DoPutPreparedStatementResult, DoPutUpdateResult, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaAsIpc, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::ingest::Ingests;
use super::statements::Statements;
use super::{actions, handshake, metadata, parameters, status, wire};
use crate::Node;
use crate::access::Caller;
use crate::queries::{self, Question, ReadyQuery};

/// The header with which a client reads what was known at an earlier sequence. Calls share no session that could keep it.
const AS_OF_SEQ: &str = "tapebook-as-of-seq";

/// What is said of every statement that would write.
pub(super) const READ_ONLY: &str =
    "SQL only reads here; rows come in by bulk ingest (adbc_ingest), `tapebook import` and the clients";

/// Answers the calls of Flight SQL.
#[derive(Debug)]
pub struct FlightSql {
    pub(super) node: Arc<Node>,
    pub(super) statements: Statements,
    pub(super) ingests: Ingests,
}

impl FlightSql {
    pub(super) fn new(node: Arc<Node>) -> Self {
        let statements = Statements::new(Arc::clone(node.db.vfs()));
        Self { node, statements, ingests: Ingests::default() }
    }

    /// The question that a command asks; `None` where it asks for metadata.
    fn question(&self, call: &Call, command: &Command) -> Result<Option<Question>, Status> {
        let (sql, parameters) = match command {
            Command::CommandStatementQuery(query) => {
                no_transaction(query.transaction_id.as_ref())?;
                (query.query.clone(), None)
            }
            Command::CommandPreparedStatementQuery(query) => {
                let prepared = self.statements.prepared(&call.caller, &query.prepared_statement_handle)?;
                (prepared.sql.to_string(), prepared.parameters)
            }
            _ => return Ok(None),
        };
        Ok(Some(Question { sql, parameters, as_of_seq: call.as_of_seq }))
    }

    async fn plan(&self, caller: &Caller, question: Question) -> Result<ReadyQuery, Status> {
        queries::plan(&self.node, caller, question).await.map_err(status::of_query)
    }

    fn run(&self, query: ReadyQuery) -> BoxStream<'static, Result<FlightData, Status>> {
        wire::rows(query.run(&self.node))
    }
}

#[tonic::async_trait]
impl FlightService for FlightSql {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        caller(&request)?;
        handshake::answer(request.metadata())
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        caller(&request)?;
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let call = Call::of(&request)?;
        let descriptor = request.into_inner();
        let command = command("the command", &descriptor.cmd)?;
        let (schema, ticket) = match self.question(&call, &command)? {
            Some(question) => {
                let query = self.plan(&call.caller, question).await?;
                let schema = wire::schema(&query.columns());
                let statement_handle = self.statements.hold(&call.caller, query)?;
                (schema, TicketStatementQuery { statement_handle }.as_any())
            }
            None => {
                let result = metadata::result(&self.node, &call.caller, &command).await?;
                (result.schema(), command.into_any())
            }
        };
        // No address: where the caller is connected already.
        let endpoint = FlightEndpoint::new().with_ticket(Ticket { ticket: ticket.encode_to_vec().into() });
        let info = FlightInfo::new().with_descriptor(descriptor).with_endpoint(endpoint).with_ordered(true);
        let info = info.try_with_schema(&schema).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(info))
    }

    async fn poll_flight_info(
        &self,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(status::unsupported(
            "a query is planned at once and then runs as it is fetched; use GetFlightInfo",
        ))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let call = Call::of(&request)?;
        let command = command("the command", &request.get_ref().cmd)?;
        let schema = match self.question(&call, &command)? {
            Some(question) => wire::schema(&self.plan(&call.caller, question).await?.columns()),
            None => metadata::result(&self.node, &call.caller, &command).await?.schema(),
        };
        let options = IpcWriteOptions::default();
        let result = SchemaResult::try_from(SchemaAsIpc::new(&schema, &options));
        result.map(Response::new).map_err(|error| Status::internal(error.to_string()))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let call = Call::of(&request)?;
        let command = command("the ticket", &request.get_ref().ticket)?;
        let rows = match &command {
            Command::TicketStatementQuery(ticket) => {
                self.run(self.statements.take(&call.caller, &ticket.statement_handle)?)
            }
            _ => match self.question(&call, &command)? {
                // Some clients fetch without asking what they will get.
                Some(question) => self.run(self.plan(&call.caller, question).await?),
                None => wire::one(metadata::result(&self.node, &call.caller, &command).await?),
            },
        };
        Ok(Response::new(rows))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = caller(&request)?;
        let mut data = request.into_inner();
        let Some(first) = data.message().await? else {
            return Err(Status::invalid_argument("the stream is empty; it begins with a command"));
        };
        let descriptor = first.flight_descriptor.clone();
        let descriptor = descriptor.ok_or_else(|| {
            Status::invalid_argument("the first message has no descriptor, which says the command")
        })?;
        let data = stream::iter([Ok(first)]).chain(data).boxed();
        let result = match command("the command", &descriptor.cmd)? {
            Command::CommandStatementIngest(command) => {
                let record_count = self.ingest(&caller, &command, data).await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            Command::CommandPreparedStatementQuery(query) => {
                let parameters = parameters::read(data).await?;
                self.statements.bind(&caller, &query.prepared_statement_handle, parameters)?;
                DoPutPreparedStatementResult { prepared_statement_handle: None }.encode_to_vec()
            }
            Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
                return Err(Status::invalid_argument(READ_ONLY));
            }
            other => {
                return Err(status::unsupported(&format!(
                    "{} cannot be put",
                    status::excerpt(other.type_url())
                )));
            }
        };
        let result = PutResult { app_metadata: result.into() };
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(status::unsupported("nothing of Flight SQL needs DoExchange"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = caller(&request)?;
        let result = self.act(&caller, &request.into_inner()).await?;
        Ok(Response::new(stream::iter(result.map(Ok)).boxed()))
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        caller(&request)?;
        Ok(Response::new(stream::iter(actions::types().map(Ok)).boxed()))
    }
}

/// What the headers of a call say.
struct Call {
    caller: Caller,
    /// What [`AS_OF_SEQ`] says.
    as_of_seq: Option<u64>,
}

impl Call {
    fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = caller(request)?;
        let Some(header) = request.metadata().get(AS_OF_SEQ) else {
            return Ok(Self { caller, as_of_seq: None });
        };
        let seq = header.to_str().ok().and_then(|text| text.parse().ok());
        let seq = seq.ok_or_else(|| status::malformed(AS_OF_SEQ, "it takes a sequence number, or 0"))?;
        Ok(Self { caller, as_of_seq: Some(seq) })
    }
}

/// Who calls.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| {
        Status::unauthenticated("nobody knows who calls; send a token or a client certificate")
    })
}

/// A command, out of bytes that may be anything.
fn command(what: &str, bytes: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(bytes).map_err(|error| status::malformed(what, error))?;
    Command::try_from(any).map_err(|error| status::malformed(what, error))
}

/// Refuses to be part of a transaction.
pub(super) fn no_transaction(transaction: Option<&Bytes>) -> Result<(), Status> {
    match transaction {
        Some(id) if !id.is_empty() => Err(no_transactions()),
        _ => Ok(()),
    }
}

pub(super) fn no_transactions() -> Status {
    status::unsupported(
        "there are no transactions: every query reads one snapshot, and every batch is written as a whole",
    )
}
