//! `\d`: which tables there are, and which columns a table has, in the words of SQL.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, TimeUnit};

use super::runner::Runner;
use crate::error::CliError;
use crate::output::OutputArgs;

/// Lists the tables.
pub(super) fn tables(runner: &Runner, output: &OutputArgs) -> Result<(), CliError> {
    let sql = match runner.asks_server() {
        // How much there is, only administrators of a server are told.
        true => {
            "SELECT table_name AS \"table\" FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        }
        false => "SELECT name AS \"table\", symbols, rows FROM sys.tables ORDER BY table_id",
    };
    runner.run(sql, output).map(drop)
}

/// Lists the columns of a table.
pub(super) fn table(runner: &Runner, name: &str, output: &OutputArgs) -> Result<(), CliError> {
    let quoted: Vec<String> =
        name.split('.').map(|part| format!("\"{}\"", part.trim_matches('"').replace('"', "\"\""))).collect();
    let schema = runner.schema(&format!("SELECT * FROM {} LIMIT 0", quoted.join(".")))?;
    let fields = schema.fields();
    let texts = |text: fn(&arrow::datatypes::Field) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(fields.iter().map(|field| text(field))))
    };
    let columns = RecordBatch::try_from_iter([
        ("column", texts(|field| field.name().clone())),
        ("type", texts(|field| sql_type(field.data_type()))),
        ("null", texts(|field| if field.is_nullable() { "yes" } else { "no" }.to_owned())),
    ])
    .map_err(CliError::failed)?;
    let mut writer = output.begin(&columns.schema())?;
    writer.write(&columns).map_err(|error| error.at("standard output"))?;
    writer.finish().map_err(|error| error.at("standard output"))?.commit()
}

/// The name of a type in SQL.
fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "TINYINT UNSIGNED".to_owned(),
        DataType::UInt16 => "SMALLINT UNSIGNED".to_owned(),
        DataType::UInt32 => "INT UNSIGNED".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Float32 => "REAL".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second => "s",
                TimeUnit::Millisecond => "ms",
                TimeUnit::Microsecond => "us",
                TimeUnit::Nanosecond => "ns",
            };
            match zone {
                Some(zone) => format!("TIMESTAMP({unit}, {zone})"),
                None => format!("TIMESTAMP({unit})"),
            }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".to_owned(),
        DataType::List(item) | DataType::LargeList(item) => format!("LIST<{}>", sql_type(item.data_type())),
        DataType::Struct(fields) => {
            let fields =
                fields.iter().map(|field| format!("{} {}", field.name(), sql_type(field.data_type())));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
