//! `POST /query`: a statement and its parameters as JSON, rows as JSON or Arrow.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, StringArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde_json::Value;

use super::body::{Form, Writer};
use super::error::HttpError;
use super::known;
use crate::Node;
use crate::access::Caller;
use crate::queries::{self, QueryRows, Question};

/// Runs a query. An error before the first rows is an answer of its own; one behind them cuts the body off, which every
/// client notices.
pub(super) async fn answer(
    State(node): State<Arc<Node>>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, HttpError> {
    let caller = known(caller)?;
    if !is_json(&headers) {
        return Err(HttpError::ContentType);
    }
    let body = body.map_err(|rejected| match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => HttpError::TooLarge(node.limits.message_bytes_max),
        _ => HttpError::Malformed("the body was cut off".to_owned()),
    })?;
    let question = question(&body)?;
    let form = Form::wanted(&headers);
    let mut rows = queries::plan(&node, &caller, question).await?.run(&node);
    let first = rows.next().await.transpose()?;
    let mut writer = Writer::begin(form, rows.columns())?;
    let beginning = match first {
        Some(batch) => writer.batch(&batch)?,
        None => Bytes::new(),
    };
    let rest = stream::try_unfold(Some((rows, writer)), next);
    let body = Body::from_stream(stream::iter([Ok(beginning)]).chain(rest));
    Ok(([(header::CONTENT_TYPE, form.content_type())], body).into_response())
}

/// The next piece of the body.
async fn next(
    state: Option<(QueryRows, Writer)>,
) -> Result<Option<(Bytes, Option<(QueryRows, Writer)>)>, HttpError> {
    let Some((mut rows, mut writer)) = state else { return Ok(None) };
    match rows.next().await {
        Some(batch) => {
            let piece = writer.batch(&batch?)?;
            Ok(Some((piece, Some((rows, writer)))))
        }
        None => Ok(Some((writer.end()?, None))),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The question in a body.
fn question(body: &[u8]) -> Result<Question, HttpError> {
    let malformed = |reason: String| HttpError::Malformed(reason);
    let value: Value =
        serde_json::from_slice(body).map_err(|error| malformed(format!("the body is no JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(malformed("the body must be an object: {\"sql\": \"SELECT 1\"}".to_owned()));
    };
    let Some(Value::String(sql)) = fields.remove("sql") else {
        return Err(malformed("`sql` must be a text".to_owned()));
    };
    let parameters = match fields.remove("parameters") {
        None | Some(Value::Null) => None,
        Some(Value::Array(values)) => parameters(&values)?,
        Some(_) => {
            return Err(malformed(
                "`parameters` must be an array, one value for each of $1, $2, …".to_owned(),
            ));
        }
    };
    let as_of_seq = match fields.remove("as_of_seq") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seq = value.as_u64();
            Some(seq.ok_or_else(|| malformed("`as_of_seq` must be a sequence number".to_owned()))?)
        }
    };
    match fields.keys().next() {
        Some(unknown) => {
            let unknown: String = unknown.chars().take(80).collect();
            let known = "`sql`, `parameters` and `as_of_seq`";
            Err(malformed(format!("{unknown:?} is not known; there are {known}")))
        }
        None => Ok(Question { sql, parameters, as_of_seq }),
    }
}

fn parameters(values: &[Value]) -> Result<Option<RecordBatch>, HttpError> {
    if values.is_empty() {
        return Ok(None);
    }
    let columns: Vec<(String, ArrayRef)> = (1..)
        .zip(values)
        .map(|(number, value)| Ok((format!("${number}"), column(value)?)))
        .collect::<Result<_, HttpError>>()?;
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    );
    batch.map(Some).map_err(|error| HttpError::Malformed(error.to_string()))
}

/// One value as a column of one row.
fn column(value: &Value) -> Result<ArrayRef, HttpError> {
    let refused =
        || HttpError::Malformed("a parameter must be a text, a number, true, false or null".to_owned());
    Ok(match value {
        Value::Null => Arc::new(NullArray::new(1)),
        Value::Bool(value) => Arc::new(BooleanArray::from(vec![*value])),
        Value::String(value) => Arc::new(StringArray::from(vec![value.as_str()])),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), ..) => Arc::new(Int64Array::from(vec![value])),
            (_, Some(value), _) => Arc::new(UInt64Array::from(vec![value])),
            (.., Some(value)) => Arc::new(Float64Array::from(vec![value])),
            _ => return Err(refused()),
        },
        Value::Array(_) | Value::Object(_) => return Err(refused()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_a_statement_and_plain_parameters() {
        let asked = question(
            br#"{"sql": "SELECT $1", "parameters": [1, -2.5, "x", true, null, 18446744073709551615]}"#,
        );
        let asked = asked.unwrap();
        let types: Vec<String> =
            asked.parameters.unwrap().columns().iter().map(|column| column.data_type().to_string()).collect();
        assert_eq!(types, ["Int64", "Float64", "Utf8", "Boolean", "Null", "UInt64"]);
        assert!(question(br#"{"sql": "SELECT 1", "parameters": []}"#).unwrap().parameters.is_none());
    }

    #[test]
    fn everything_else_is_told_what_is_wrong() {
        for (body, part) in [
            ("", "no JSON"),
            ("[]", "must be an object"),
            ("{}", "`sql`"),
            (r#"{"sql": 1}"#, "`sql`"),
            (r#"{"sql": "", "parameters": {}}"#, "must be an array"),
            (r#"{"sql": "", "parameters": [[1]]}"#, "a parameter must be"),
            (r#"{"sql": "", "as_of_seq": -1}"#, "sequence number"),
            (r#"{"sql": "", "format": "csv"}"#, "\"format\" is not known"),
        ] {
            let error = question(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
    }
}
