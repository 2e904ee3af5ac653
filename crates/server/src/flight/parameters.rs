//! The parameters of a prepared statement, as they come.

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tonic::Status;

use super::status;

/// Batches that one row of parameters may come in, most of them empty.
const BATCHES_MAX: usize = 16;

/// The one row that is bound; `None` where none is.
pub(super) async fn read(
    data: BoxStream<'static, Result<FlightData, Status>>,
) -> Result<Option<RecordBatch>, Status> {
    let data = data.map_err(|status| FlightError::Tonic(Box::new(status)));
    let mut batches = FlightRecordBatchStream::new_from_flight_data(data);
    let mut found: Vec<RecordBatch> = Vec::new();
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(of_flight)?;
        rows += batch.num_rows();
        if rows > 1 || found.len() == BATCHES_MAX {
            return Err(Status::invalid_argument(
                "a query takes one row of parameters; bind the rows one after another, or join with VALUES",
            ));
        }
        found.push(batch);
    }
    let Some(schema) = found.iter().find(|batch| batch.num_rows() > 0).map(RecordBatch::schema) else {
        return Ok(None);
    };
    let one = concat_batches(&schema, &found).map_err(|error| status::malformed("the parameters", error))?;
    Ok(Some(one))
}

/// What goes wrong while Arrow data comes in.
pub(super) fn of_flight(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => status::malformed("the Arrow data", other),
    }
}
