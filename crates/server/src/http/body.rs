//! Rows as the body of an answer, piece by piece.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::record_batch::RecordBatch;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};

use super::error::HttpError;

/// Times in UTC.
const UTC_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.9fZ";

const ARROW: &str = "application/vnd.apache.arrow.stream";
const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// What the rows are written as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// Arrow IPC, the stream format.
    Arrow,
}

impl Form {
    /// The first form that `Accept` names; JSON where it names none of them.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut named = accept.flat_map(|value| value.split(',')).filter_map(|part| {
            match part.split(';').next().unwrap_or_default().trim() {
                ARROW => Some(Self::Arrow),
                NDJSON => Some(Self::Ndjson),
                JSON => Some(Self::Json),
                _ => None,
            }
        });
        named.next().unwrap_or(Self::Json)
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Ndjson => NDJSON,
            Self::Arrow => ARROW,
        }
    }
}

/// Writes the rows of one result.
pub(super) enum Writer {
    Json { rows: u64 },
    Ndjson,
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Writer {
    pub(super) fn begin(form: Form, columns: &SchemaRef) -> Result<Self, HttpError> {
        Ok(match form {
            Form::Json => Self::Json { rows: 0 },
            Form::Ndjson => Self::Ndjson,
            Form::Arrow => Self::Arrow(Box::new(StreamWriter::try_new(Vec::new(), columns).map_err(failed)?)),
        })
    }

    /// The bytes of a batch.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<Bytes, HttpError> {
        let mut out = Vec::new();
        match self {
            Self::Json { rows } => objects(batch, &mut out, |out, _| {
                out.extend_from_slice(if *rows == 0 { b"[" } else { b",\n" });
                *rows += 1;
            })?,
            Self::Ndjson => {
                objects(batch, &mut out, |out, at| {
                    if at > 0 {
                        out.push(b'\n');
                    }
                })?;
                if batch.num_rows() > 0 {
                    out.push(b'\n');
                }
            }
            Self::Arrow(writer) => {
                writer.write(batch).map_err(failed)?;
                out = std::mem::take(writer.get_mut());
            }
        }
        Ok(out.into())
    }

    /// What comes behind the last one.
    pub(super) fn end(&mut self) -> Result<Bytes, HttpError> {
        Ok(match self {
            Self::Json { rows: 0 } => Bytes::from_static(b"[]\n"),
            Self::Json { .. } => Bytes::from_static(b"]\n"),
            Self::Ndjson => Bytes::new(),
            Self::Arrow(writer) => {
                writer.finish().map_err(failed)?;
                std::mem::take(writer.get_mut()).into()
            }
        })
    }
}

/// One object for each row, `before` each of them what separates them.
fn objects(
    batch: &RecordBatch,
    out: &mut Vec<u8>,
    mut before: impl FnMut(&mut Vec<u8>, usize),
) -> Result<(), HttpError> {
    let rows: ArrayRef = Arc::new(StructArray::from(batch.clone()));
    let field = Arc::new(Field::new("", DataType::clone(rows.data_type()), false));
    let options = EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_format(UTC_FORMAT.to_owned())
        .with_timestamp_tz_format(UTC_FORMAT.to_owned());
    let mut encoder = make_encoder(&field, &rows, &options).map_err(failed)?;
    for row in 0..batch.num_rows() {
        before(out, row);
        encoder.encode(row, out);
    }
    Ok(())
}

fn failed(error: ArrowError) -> HttpError {
    HttpError::Internal(format!("the rows cannot be written in this form: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use arrow::ipc::reader::StreamReader;

    fn written(form: Form, batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = Writer::begin(form, &batches[0].schema()).unwrap();
        let mut out = Vec::new();
        for batch in batches {
            out.extend(writer.batch(batch).unwrap());
        }
        out.extend(writer.end().unwrap());
        out
    }

    #[test]
    fn pieces_make_one_whole_in_every_form() {
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef),
            ("t", Arc::new(StringArray::from(vec!["a\"", "b"]))),
        ])
        .unwrap();
        let (both, none) = ([batch.clone(), batch.slice(0, 1)], [batch.slice(0, 0)]);
        let text = |form, batches: &[RecordBatch]| String::from_utf8(written(form, batches)).unwrap();
        let (first, second) = (r#"{"n":1,"t":"a\""}"#, r#"{"n":null,"t":"b"}"#);
        assert_eq!(text(Form::Json, &both), format!("[{first},\n{second},\n{first}]\n"));
        assert_eq!(text(Form::Ndjson, &both), format!("{first}\n{second}\n{first}\n"));
        assert_eq!((text(Form::Json, &none), text(Form::Ndjson, &none)), ("[]\n".to_owned(), String::new()));
        let arrow = written(Form::Arrow, &both);
        let read: Result<Vec<RecordBatch>, _> =
            StreamReader::try_new(arrow.as_slice(), None).unwrap().collect();
        assert_eq!(read.unwrap(), both);
    }
}
