//! Arrow Flight SQL: SQL from any client that speaks it (ADBC, JDBC, ODBC), and bulk ingest of Arrow tables.
//!
//! A query takes two calls. `GetFlightInfo` plans it and answers its columns and a ticket; `DoGet` fetches its rows with the
//! ticket, once. What the server holds in between is in `statements`. Metadata needs nothing held: its ticket is the command
//! itself. `DoPut` binds parameters and takes bulk ingest; the rest are actions.
//!
//! SQL only reads. Rows come in by bulk ingest, which appends to a table as `tapebook import` does.
//!
//! *Boundary*: this speaks the protocol. What a statement means is `tapebook-query`'s, how it runs [`crate::queries`]'s, which
//! column goes where `tapebook-import`'s.

mod actions;
mod handshake;
mod ingest;
mod metadata;
mod parameters;
mod service;
mod sql_info;
mod statements;
mod status;
mod type_info;
mod wire;

use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;

pub use service::FlightSql;

use crate::Node;

/// The service, to be added to a gRPC server. Every request's extensions must hold a [`Caller`](crate::access::Caller).
pub fn service(node: Arc<Node>) -> FlightServiceServer<FlightSql> {
    let bytes_max = node.limits.message_bytes_max;
    FlightServiceServer::new(FlightSql::new(node)).max_decoding_message_size(bytes_max)
}
