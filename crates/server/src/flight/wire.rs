//! Results as they travel: Arrow types that every client knows.
//!
//! Rows are kept with view types, which some clients cannot read (the JDBC driver among them), and the encoder of Flight
//! changes a few types by itself. So each result has a *wire* schema, made once; it is announced, and every batch is cast to
//! it before it is encoded.
//!
//! *Invariant*: the schema of a result that is announced is the one that is delivered.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::IpcWriteOptions;
use arrow::record_batch::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use tonic::Status;

use super::status;
use crate::queries::QueryRows;

/// The schema under which results with these columns travel.
pub(super) fn schema(columns: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = columns.fields().iter().map(field).collect();
    Arc::new(Schema::new(fields))
}

fn field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), data_type(field.data_type()), field.is_nullable()))
}

fn data_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => data_type(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

/// A batch with the wire's schema.
pub(super) fn batch(batch: &RecordBatch, wire: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |(values, field): (&ArrayRef, &FieldRef)| match values.data_type() == field.data_type() {
        true => Ok(Arc::clone(values)),
        false => cast(values, field.data_type()),
    };
    let columns = batch.columns().iter().zip(wire.fields()).map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(wire), columns, &options)
}

/// A schema as it stands in messages that are no streams.
pub(super) fn schema_bytes(wire: &Schema) -> Result<Bytes, Status> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(wire, &IpcWriteOptions::default()));
    message.map(|message| message.0).map_err(|error| Status::internal(error.to_string()))
}

/// The rows of a query as messages.
pub(super) fn rows(rows: QueryRows) -> BoxStream<'static, Result<FlightData, Status>> {
    let wire = schema(rows.columns());
    encode(
        Arc::clone(&wire),
        rows.map(move |next| {
            let next = next.map_err(|error| FlightError::Tonic(Box::new(status::of_query(error))))?;
            Ok(batch(&next, &wire)?)
        }),
    )
}

/// A small result as messages.
pub(super) fn one(result: RecordBatch) -> BoxStream<'static, Result<FlightData, Status>> {
    encode(result.schema(), futures::stream::iter([Ok(result)]))
}

fn encode(
    wire: SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> BoxStream<'static, Result<FlightData, Status>> {
    let encoder = FlightDataEncoderBuilder::new().with_schema(wire).build(batches);
    encoder
        .map_err(|error| match error {
            FlightError::Tonic(status) => *status,
            other => Status::internal(other.to_string()),
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, ListArray, StringViewArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Fields;

    #[test]
    fn views_and_dictionaries_become_what_everybody_reads() {
        let text = Field::new("text", DataType::Utf8View, true);
        let item = Field::new("item", DataType::Struct(Fields::from(vec![text.clone()])), true);
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec!["a longer text than twelve", "b"]));
        let pairs = StructArray::new(Fields::from(vec![text]), vec![Arc::clone(&texts)], None);
        let offsets = OffsetBuffer::new(vec![0, 2].into());
        let lists = ListArray::new(Arc::new(item), offsets, Arc::new(pairs), None);
        let numbers = cast(
            &Int32Array::from(vec![5]),
            &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int32)),
        );
        let rows = RecordBatch::try_from_iter([
            ("texts", texts.slice(0, 1)),
            ("lists", Arc::new(lists) as ArrayRef),
            ("numbers", numbers.unwrap()),
        ])
        .unwrap();
        let wire = schema(&rows.schema());
        let sent = batch(&rows, &wire).unwrap();
        assert_eq!(sent.schema(), wire);
        assert_eq!(wire.field(0).data_type(), &DataType::Utf8);
        assert_eq!(wire.field(2).data_type(), &DataType::Int32);
        assert!(!format!("{wire:?}").contains("View"), "{wire:?}");
    }
}
