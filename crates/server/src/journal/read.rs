//! `Get`: one row by its key.

use std::sync::Arc;

use tapebook::{Batch, ReadError, ReadRecord, Snapshot, TableSchema};
use tapebook_proto::v1::{GetRequest, GetResponse, Refusal, RefusalReason as Reason};
use tonic::Status;

use super::message::bytes_of;
use super::{on_blocking_thread, refusal};
use crate::Node;
use crate::access::{Caller, Right};

pub(super) async fn get(
    node: &Arc<Node>,
    caller: &Caller,
    request: GetRequest,
) -> Result<GetResponse, Status> {
    let snapshot = node.db.snapshot();
    let schema = readable_table(node, caller, &snapshot, &request.table)?;
    let found = on_blocking_thread(move || find(&snapshot, &schema, &request)).await?;
    Ok(found?)
}

/// The table of that name, where the caller may read it. Who may not does not learn whether there is one.
pub(super) fn readable_table(
    node: &Node,
    caller: &Caller,
    snapshot: &Snapshot,
    name: &str,
) -> Result<Arc<TableSchema>, Refusal> {
    let may = node.access.authorize(caller, Right::Read, Some(name));
    may.map_err(|denied| refusal::of_denied(&denied))?;
    snapshot.schemas().by_name(name).cloned().ok_or_else(|| refusal::unknown_table(name))
}

fn find(snapshot: &Snapshot, schema: &TableSchema, request: &GetRequest) -> Result<GetResponse, Refusal> {
    let found = look_up(snapshot, schema, request).map_err(|error| refusal::of_read(&error))?;
    let as_of_seq = snapshot.visible_seq();
    let Some(record) = found else { return Ok(GetResponse { as_of_seq, ..GetResponse::default() }) };
    let mut batch = Batch::new();
    let pushed = batch.push_record(schema, &record.raw());
    pushed.map_err(|error| Refusal::new(Reason::TooLarge, error))?;
    Ok(GetResponse { batch: bytes_of(&batch.encode()), seq: record.seq(), as_of_seq })
}

fn look_up<'a>(
    snapshot: &'a Snapshot,
    schema: &TableSchema,
    request: &GetRequest,
) -> Result<Option<ReadRecord<'a>>, ReadError> {
    let (table, symbol, ts) = (schema.id, &request.symbol, request.ts);
    match request.seq {
        0 => Ok(snapshot.last(table, symbol, ts)?.filter(|last| last.ts() == ts)),
        seq => snapshot.get(table, symbol, ts, seq),
    }
}
