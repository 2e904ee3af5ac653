//! What clients ask about the database without SQL: catalogs, schemas, tables, keys, types, and what the server can do.
//!
//! A caller is told of the tables that they may read and of no others; those of schema `sys` are for administrators.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables,
};
use tapebook_query::{CATALOG, TableDescription};
use tonic::Status;

use super::{sql_info, status, type_info, wire};
use crate::Node;
use crate::access::{Caller, Right};

const TABLE: &str = "TABLE";
const SYSTEM_TABLE: &str = "SYSTEM TABLE";

/// The answer to a command that asks for metadata.
pub(super) async fn result(
    node: &Arc<Node>,
    caller: &Caller,
    command: &Command,
) -> Result<RecordBatch, Status> {
    node.access.authorize(caller, Right::Read, None).map_err(|error| status::denied(&error))?;
    let result = match command {
        Command::CommandGetCatalogs(command) => catalogs(*command),
        Command::CommandGetDbSchemas(command) => {
            schemas(command.clone(), &readable_tables(node, caller).await?)
        }
        Command::CommandGetTables(command) => tables(command.clone(), &readable_tables(node, caller).await?),
        Command::CommandGetTableTypes(command) => table_types(*command),
        Command::CommandGetSqlInfo(command) => sql_info::result(command),
        Command::CommandGetXdbcTypeInfo(command) => type_info::result(command),
        // A row's key is its table, symbol, time and sequence, which no client can use as one; nothing refers to anything.
        Command::CommandGetPrimaryKeys(_) => Ok(RecordBatch::new_empty(primary_keys())),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(RecordBatch::new_empty(foreign_keys())),
        other => {
            return Err(status::unsupported(&format!(
                "{} is not answered here",
                status::excerpt(other.type_url())
            )));
        }
    };
    result.map_err(|error| Status::internal(error.to_string()))
}

/// The tables that a caller may read.
async fn readable_tables(node: &Arc<Node>, caller: &Caller) -> Result<Vec<TableDescription>, Status> {
    let admin = node.access.allows(caller, Right::Admin, None);
    // What `sys` shows is counted when it is described, so this is the work of a query.
    let asked = Arc::clone(node);
    let described = node.queries.handle().spawn(async move { asked.sql.tables(&asked.db, admin).await });
    let described = described.await.map_err(|error| Status::internal(error.to_string()))?;
    let mut tables = described.map_err(|error| Status::internal(error.to_string()))?;
    tables.retain(|table| table.is_system() || node.access.allows(caller, Right::Read, Some(&table.name)));
    Ok(tables)
}

fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    builder.append(CATALOG);
    builder.build()
}

fn schemas(command: CommandGetDbSchemas, tables: &[TableDescription]) -> Result<RecordBatch, FlightError> {
    let mut names: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    names.dedup();
    let mut builder = command.into_builder();
    for name in names {
        builder.append(CATALOG, name);
    }
    builder.build()
}

fn tables(command: CommandGetTables, tables: &[TableDescription]) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    for table in tables {
        let kind = if table.is_system() { SYSTEM_TABLE } else { TABLE };
        builder.append(CATALOG, &table.schema, &table.name, kind, &wire::schema(&table.columns))?;
    }
    builder.build()
}

fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch, FlightError> {
    let mut builder = command.into_builder();
    builder.append(TABLE);
    builder.append(SYSTEM_TABLE);
    builder.build()
}

fn primary_keys() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

fn foreign_keys() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}
