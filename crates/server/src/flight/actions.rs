//! The actions of Flight SQL: prepared statements come and go, queries are cancelled.

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

use super::service::{FlightSql, no_transaction, no_transactions};
use super::{status, wire};
use crate::access::Caller;
use crate::queries;

/// Of `ActionCancelQueryResult`; its enumeration is not exported.
const CANCEL_RESULT_CANCELLED: i32 = 1;
const CANCEL_RESULT_NOT_CANCELLABLE: i32 = 3;

/// The actions that there are.
pub(super) fn types() -> [ActionType; 4] {
    [
        ("CreatePreparedStatement", "Prepares a statement: ActionCreatePreparedStatementRequest"),
        ("ClosePreparedStatement", "Forgets it: ActionClosePreparedStatementRequest"),
        ("CancelFlightInfo", "Cancels a query, fetched or not: CancelFlightInfoRequest"),
        ("CancelQuery", "The same, as it was before: ActionCancelQueryRequest"),
    ]
    .map(|(name, description)| ActionType { r#type: name.to_owned(), description: description.to_owned() })
}

impl FlightSql {
    /// Does what an action says; what it answers, where it answers at all.
    pub(super) async fn act(
        &self,
        caller: &Caller,
        action: &Action,
    ) -> Result<std::option::IntoIter<arrow_flight::Result>, Status> {
        let body = match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let result = self.create_prepared(caller, &unpack(&action.body)?).await?;
                Some(result.as_any().encode_to_vec())
            }
            "ClosePreparedStatement" => {
                let request: ActionClosePreparedStatementRequest = unpack(&action.body)?;
                self.statements.close(caller, &request.prepared_statement_handle)?;
                None
            }
            "CancelFlightInfo" => {
                let request = CancelFlightInfoRequest::decode(&*action.body);
                let request = request.map_err(|error| status::malformed("the action", error))?;
                let status = match self.cancel(caller, request.info)? {
                    true => CancelStatus::Cancelled,
                    false => CancelStatus::NotCancellable,
                };
                Some(CancelFlightInfoResult { status: status.into() }.encode_to_vec())
            }
            "CancelQuery" => {
                let request: ActionCancelQueryRequest = unpack(&action.body)?;
                let info = FlightInfo::decode(&*request.info);
                let info = info.map_err(|error| status::malformed("the action", error))?;
                let result = match self.cancel(caller, Some(info))? {
                    true => CANCEL_RESULT_CANCELLED,
                    false => CANCEL_RESULT_NOT_CANCELLABLE,
                };
                Some(ActionCancelQueryResult { result }.as_any().encode_to_vec())
            }
            "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
                return Err(no_transactions());
            }
            other => {
                return Err(status::unsupported(&format!("there is no action {:?}", status::excerpt(other))));
            }
        };
        Ok(body.map(|body| arrow_flight::Result { body: body.into() }).into_iter())
    }

    async fn create_prepared(
        &self,
        caller: &Caller,
        request: &ActionCreatePreparedStatementRequest,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        no_transaction(request.transaction_id.as_ref())?;
        let understood = queries::understand(&self.node, caller, &request.query).await;
        let understood = understood.map_err(status::of_query)?;
        let parameter_schema = match understood.parameters.fields().is_empty() {
            true => Bytes::new(),
            false => wire::schema_bytes(&wire::schema(&understood.parameters))?,
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.statements.prepare(caller, &request.query)?,
            dataset_schema: wire::schema_bytes(&wire::schema(&understood.columns))?,
            parameter_schema,
        })
    }

    /// Cancels the query of a ticket; false where there is none any more.
    fn cancel(&self, caller: &Caller, info: Option<FlightInfo>) -> Result<bool, Status> {
        let endpoints = info.into_iter().flat_map(|info| info.endpoint);
        let Some(ticket) = endpoints.filter_map(|endpoint| endpoint.ticket).next() else {
            return Err(status::malformed("the action", "it names no ticket"));
        };
        let any = Any::decode(&*ticket.ticket).map_err(|error| status::malformed("the ticket", error))?;
        match Command::try_from(any).map_err(|error| status::malformed("the ticket", error))? {
            Command::TicketStatementQuery(ticket) => {
                Ok(self.statements.cancel(caller, &ticket.statement_handle).is_ok())
            }
            _ => Ok(false),
        }
    }
}

/// The message of an action.
fn unpack<M: ProstMessageExt>(body: &[u8]) -> Result<M, Status> {
    let any = Any::decode(body).map_err(|error| status::malformed("the action", error))?;
    let found = any.unpack().map_err(|error| status::malformed("the action", error))?;
    found.ok_or_else(|| {
        status::malformed("the action", format!("it holds {}", status::excerpt(&any.type_url)))
    })
}
