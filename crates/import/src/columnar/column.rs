//! The values of one column, of the type that they were found to have.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    LargeStringArray, StringArray, StringViewArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, Time64NanosecondType,
    TimeUnit as ArrowUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt64Type,
};
use arrow::error::ArrowError;
use tapebook_record::Level;

use crate::cell::Cell;
use crate::time::TimeUnit;

/// Decoded values.
#[derive(Clone, Debug)]
pub(super) enum ColumnValues {
    /// A column that is not needed, or has no value at all.
    Nothing,
    Int(Int64Array),
    UInt(UInt64Array),
    Double(Float64Array),
    Decimal {
        values: Decimal128Array,
        scale: u32,
    },
    Bool(BooleanArray),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Bytes(BinaryArray),
    Timestamp {
        values: ScalarBuffer<i64>,
        nulls: Option<NullBuffer>,
        unit: TimeUnit,
        utc: bool,
    },
    Date {
        values: ScalarBuffer<i32>,
        nulls: Option<NullBuffer>,
    },
    TimeOfDay {
        values: ScalarBuffer<i64>,
        nulls: Option<NullBuffer>,
    },
    Levels {
        offsets: OffsetBuffer<i32>,
        nulls: Option<NullBuffer>,
        prices: Float64Array,
        sizes: Float64Array,
    },
    Other,
}

/// True for the types that [`ColumnValues::of`] can take.
pub(super) fn is_readable(kind: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256,
        Dictionary, Float16, Float32, Float64, LargeBinary, LargeList, LargeUtf8, List, Null, Struct, Time32,
        Time64, Timestamp, Utf8, Utf8View,
    };
    match kind {
        Dictionary(_, values) => is_readable(values),
        Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) | Decimal256(_, scale) => {
            *scale >= 0
        }
        List(item) | LargeList(item) => match item.data_type() {
            Struct(fields) => fields.len() == 2 && fields.iter().all(|field| field.data_type().is_numeric()),
            _ => false,
        },
        kind => {
            kind.is_integer()
                || matches!(
                    kind,
                    Null | Boolean
                        | Float16
                        | Float32
                        | Float64
                        | Utf8
                        | LargeUtf8
                        | Utf8View
                        | Binary
                        | LargeBinary
                        | BinaryView
                        | Timestamp(..)
                        | Date32
                        | Date64
                        | Time32(_)
                        | Time64(_)
                )
        }
    }
}

impl ColumnValues {
    /// Takes the values of a column, converted to the few types above.
    pub(super) fn of(array: &ArrayRef) -> Result<Self, ArrowError> {
        use DataType::{
            Binary, BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256,
            Dictionary, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8, Null,
            Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
        };
        let as_kind = |kind: DataType| cast(array, &kind).and_then(|array| Self::of(&array));
        let nulls = || array.nulls().cloned();
        Ok(match array.data_type() {
            Null => Self::Nothing,
            Dictionary(_, values) => return as_kind(values.as_ref().clone()),
            Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32 => return as_kind(Int64),
            Float16 | Float32 => return as_kind(Float64),
            Decimal32(_, scale) | Decimal64(_, scale) | Decimal256(_, scale) => {
                return as_kind(Decimal128(38, *scale));
            }
            LargeBinary | BinaryView => return as_kind(Binary),
            Date64 => return as_kind(Timestamp(ArrowUnit::Millisecond, None)),
            Time32(_) | Time64(ArrowUnit::Microsecond) => return as_kind(Time64(ArrowUnit::Nanosecond)),
            Int64 => Self::Int(array.as_primitive::<Int64Type>().clone()),
            UInt64 => Self::UInt(array.as_primitive::<UInt64Type>().clone()),
            Float64 => Self::Double(array.as_primitive::<Float64Type>().clone()),
            Decimal128(_, scale) => match u32::try_from(*scale) {
                Ok(scale) => Self::Decimal { values: array.as_primitive::<Decimal128Type>().clone(), scale },
                Err(_) => Self::Other,
            },
            Boolean => Self::Bool(array.as_boolean().clone()),
            Utf8 => Self::Text(array.as_string::<i32>().clone()),
            LargeUtf8 => Self::LargeText(array.as_string::<i64>().clone()),
            Utf8View => Self::TextView(array.as_string_view().clone()),
            Binary => Self::Bytes(array.as_binary::<i32>().clone()),
            Timestamp(unit, zone) => {
                let (values, unit) = match unit {
                    ArrowUnit::Second => {
                        (array.as_primitive::<TimestampSecondType>().values(), TimeUnit::Second)
                    }
                    ArrowUnit::Millisecond => {
                        (array.as_primitive::<TimestampMillisecondType>().values(), TimeUnit::Millisecond)
                    }
                    ArrowUnit::Microsecond => {
                        (array.as_primitive::<TimestampMicrosecondType>().values(), TimeUnit::Microsecond)
                    }
                    ArrowUnit::Nanosecond => {
                        (array.as_primitive::<TimestampNanosecondType>().values(), TimeUnit::Nanosecond)
                    }
                };
                Self::Timestamp { values: values.clone(), nulls: nulls(), unit, utc: zone.is_some() }
            }
            Date32 => {
                Self::Date { values: array.as_primitive::<Date32Type>().values().clone(), nulls: nulls() }
            }
            Time64(_) => Self::TimeOfDay {
                values: array.as_primitive::<Time64NanosecondType>().values().clone(),
                nulls: nulls(),
            },
            kind @ (DataType::List(_) | DataType::LargeList(_)) if is_readable(kind) => {
                return Self::of_levels(array);
            }
            _ => Self::Other,
        })
    }

    fn of_levels(array: &ArrayRef) -> Result<Self, ArrowError> {
        let (offsets, values) = match array.as_list_opt::<i32>() {
            Some(list) => (list.offsets().clone(), list.values()),
            None => {
                let list = array.as_list::<i64>();
                let narrow =
                    list.offsets().iter().map(|offset| i32::try_from(*offset)).collect::<Result<Vec<_>, _>>();
                let narrow = narrow.map_err(|_| ArrowError::ComputeError("a list is too long".to_owned()))?;
                (OffsetBuffer::new(narrow.into()), list.values())
            }
        };
        let pairs = values.as_struct();
        let number = |at: usize| -> Result<Float64Array, ArrowError> {
            Ok(cast(pairs.column(at), &DataType::Float64)?.as_primitive::<Float64Type>().clone())
        };
        // The price is the field that is called so; else the first.
        let price = pairs.column_names().iter().position(|name| {
            let name = name.to_ascii_lowercase();
            name.starts_with('p') || name == "px"
        });
        let price = price.unwrap_or(0);
        Ok(Self::Levels {
            offsets,
            nulls: array.nulls().cloned(),
            prices: number(price)?,
            sizes: number(1 - price)?,
        })
    }

    /// The value in a row.
    #[inline]
    pub(super) fn cell(&self, row: usize) -> Cell<'_> {
        let is_null = |nulls: &Option<NullBuffer>| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        match self {
            Self::Nothing => Cell::Null,
            Self::Int(values) if values.is_valid(row) => Cell::Int(values.value(row)),
            Self::UInt(values) if values.is_valid(row) => Cell::UInt(values.value(row)),
            Self::Double(values) if values.is_valid(row) => Cell::Double(values.value(row)),
            Self::Decimal { values, scale } if values.is_valid(row) => {
                Cell::Decimal { units: values.value(row), scale: *scale }
            }
            Self::Bool(values) if values.is_valid(row) => Cell::Bool(values.value(row)),
            Self::Text(values) if values.is_valid(row) => text(values.value(row).as_bytes()),
            Self::LargeText(values) if values.is_valid(row) => text(values.value(row).as_bytes()),
            Self::TextView(values) if values.is_valid(row) => text(values.value(row).as_bytes()),
            Self::Bytes(values) if values.is_valid(row) => text(values.value(row)),
            Self::Timestamp { values, nulls, unit, utc } if !is_null(nulls) => {
                Cell::Timestamp { value: values[row], unit: *unit, utc: *utc }
            }
            Self::Date { values, nulls } if !is_null(nulls) => Cell::Date(values[row]),
            Self::TimeOfDay { values, nulls } if !is_null(nulls) => Cell::TimeOfDay(values[row]),
            Self::Levels { nulls, .. } if !is_null(nulls) => Cell::Other("a list"),
            Self::Other => Cell::Other("a value of a type that cannot be read"),
            _ => Cell::Null,
        }
    }

    /// Appends the levels in a row; `None` where the column holds none, `Some(false)` for NULL.
    pub(super) fn levels(&self, row: usize, out: &mut Vec<Level>) -> Option<bool> {
        let Self::Levels { offsets, nulls, prices, sizes } = self else { return None };
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Some(false);
        }
        let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        for at in start..end {
            let number =
                |values: &Float64Array| if values.is_valid(at) { values.value(at) } else { f64::NAN };
            out.push(Level { price: number(prices), size: number(sizes) });
        }
        Some(true)
    }
}

/// A text that says itself that it is one, as opposed to a field of CSV.
fn text(bytes: &[u8]) -> Cell<'_> {
    Cell::Text { bytes, quoted: true }
}

/// A conversion that fails where a value does not fit, instead of losing it.
fn cast(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, kind, &CastOptions { safe: false, ..CastOptions::default() })
}
