//! The types of columns, as `GetXdbcTypeInfo` asks: those that tables have.

use std::sync::OnceLock;

use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// The answer; no number asks for all types.
pub(super) fn result(command: &CommandGetXdbcTypeInfo) -> Result<RecordBatch, FlightError> {
    static DATA: OnceLock<XdbcTypeInfoData> = OnceLock::new();
    let data = match DATA.get() {
        Some(data) => data,
        None => {
            let data = data()?;
            DATA.get_or_init(|| data)
        }
    };
    data.record_batch(command.data_type)
}

fn data() -> Result<XdbcTypeInfoData, FlightError> {
    use XdbcDataType::{
        XdbcBigint, XdbcBit, XdbcDate, XdbcDecimal, XdbcDouble, XdbcInteger, XdbcTimestamp, XdbcVarchar,
    };
    let number = |name: &str, data_type, bits| XdbcTypeInfo {
        num_prec_radix: Some(2),
        unsigned_attribute: Some(name.ends_with("UNSIGNED")),
        ..plain(name, data_type, bits)
    };
    let quoted = |info: XdbcTypeInfo| XdbcTypeInfo {
        literal_prefix: Some("'".to_owned()),
        literal_suffix: Some("'".to_owned()),
        ..info
    };
    let mut data = XdbcTypeInfoDataBuilder::new();
    data.append(plain("BOOLEAN", XdbcBit, 1));
    data.append(number("INTEGER", XdbcInteger, 32));
    data.append(number("BIGINT", XdbcBigint, 64));
    data.append(number("BIGINT UNSIGNED", XdbcBigint, 64));
    data.append(number("DOUBLE", XdbcDouble, 53));
    data.append(XdbcTypeInfo {
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        fixed_prec_scale: true,
        minimum_scale: Some(0),
        maximum_scale: Some(38),
        num_prec_radix: Some(10),
        unsigned_attribute: Some(false),
        ..plain("DECIMAL", XdbcDecimal, 38)
    });
    data.append(quoted(XdbcTypeInfo {
        case_sensitive: true,
        searchable: Searchable::Full,
        column_size: None,
        ..plain("TEXT", XdbcVarchar, 0)
    }));
    data.append(quoted(plain("DATE", XdbcDate, 10)));
    data.append(quoted(XdbcTypeInfo {
        datetime_subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone),
        maximum_scale: Some(9),
        minimum_scale: Some(9),
        ..plain("TIMESTAMP", XdbcTimestamp, 35)
    }));
    data.build()
}

fn plain(name: &str, data_type: XdbcDataType, size: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        local_type_name: Some(name.to_owned()),
        data_type,
        sql_data_type: data_type,
        column_size: Some(size),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Basic,
        auto_increment: Some(false),
        ..XdbcTypeInfo::default()
    }
}
