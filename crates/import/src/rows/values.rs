//! One value of a source, as the kind of column wants it; `None` is NULL.

use tapebook_record::Level;

use crate::cell::{Cell, Problem};
use crate::number::{self, DecimalFault};
use crate::time::whole;
use crate::words::{self, WordReader};

#[inline]
pub(super) fn utf8<'a>(cell: Cell<'_>, bytes: &'a [u8]) -> Result<&'a str, Box<Problem>> {
    std::str::from_utf8(bytes).map_err(|_| Problem::with(cell, "is not UTF-8; convert the file first"))
}

const NOT_FINITE: &str =
    "is not a finite number; an empty field is NULL, and --nan-as-null takes NaN as NULL";

#[inline]
pub(super) fn double_of(cell: Cell<'_>, nan_as_null: bool) -> Result<Option<f64>, Box<Problem>> {
    let value = match cell {
        Cell::Double(value) => value,
        Cell::Text { bytes, .. } => match number::double(bytes) {
            Some(value) => value,
            None => match cell.trimmed() {
                Cell::Text { bytes, .. } => {
                    number::double(bytes).ok_or_else(|| Problem::with(cell, "is not a number"))?
                }
                _ => return Ok(None),
            },
        },
        Cell::Null => return Ok(None),
        Cell::Int(value) => value as f64,
        Cell::UInt(value) => value as f64,
        Cell::Decimal { units, scale } => number::double_of_decimal(units, scale),
        other => return Err(Problem::with(other, "is not a number")),
    };
    if value.is_finite() {
        Ok(Some(value))
    } else if value.is_nan() && nan_as_null {
        Ok(None)
    } else {
        Err(Problem::with(cell, NOT_FINITE))
    }
}

pub(super) fn decimal_of(cell: Cell<'_>, nan_as_null: bool) -> Result<Option<i128>, Box<Problem>> {
    let units = match cell.trimmed() {
        Cell::Null => return Ok(None),
        Cell::Text { bytes, .. } => {
            if nan_as_null && bytes.eq_ignore_ascii_case(b"nan") {
                return Ok(None);
            }
            number::decimal(bytes)
        }
        Cell::Decimal { units, scale } => number::rescaled(units, scale),
        Cell::Double(value) if value.is_nan() && nan_as_null => return Ok(None),
        Cell::Double(value) if !value.is_finite() => return Err(Problem::with(cell, NOT_FINITE)),
        // The shortest text that is this number: what it was written from.
        Cell::Double(value) => number::decimal(value.to_string().as_bytes()),
        other => match whole(other) {
            Some(value) => number::rescaled(value, 0),
            None => return Err(Problem::with(cell, "is not a number")),
        },
    };
    units.map(Some).map_err(|fault| {
        Problem::with(
            cell,
            match fault {
                DecimalFault::NotANumber => "is not a number",
                DecimalFault::TooManyPlaces => {
                    "has more than nine places, which the column cannot hold exactly"
                }
                DecimalFault::OutOfRange => "is out of range",
            },
        )
    })
}

pub(super) fn word_of(cell: Cell<'_>, reader: &WordReader) -> Result<u8, Box<Problem>> {
    let code = match cell {
        Cell::Null => Some(0),
        Cell::Text { bytes, .. } => reader.code(bytes),
        other => whole(other).and_then(|number| reader.code(number.to_string().as_bytes())),
    };
    code.ok_or_else(|| Problem::with(cell, format!("is none of {}", reader.expected())))
}

pub(super) fn flag_of(cell: Cell<'_>) -> Result<Option<bool>, Box<Problem>> {
    let value = match cell.trimmed() {
        Cell::Null => return Ok(None),
        Cell::Bool(value) => Some(value),
        Cell::Text { bytes, .. } => words::flag(bytes),
        other => whole(other).filter(|number| (0..=1).contains(number)).map(|number| number == 1),
    };
    value.map(Some).ok_or_else(|| Problem::with(cell, "is neither true nor false"))
}

/// Appends a value that has one obvious text; false where it has none.
pub(super) fn append_text(cell: Cell<'_>, text: &mut String) -> bool {
    use std::fmt::Write as _;
    match cell {
        Cell::Int(value) => write!(text, "{value}").is_ok(),
        Cell::UInt(value) => write!(text, "{value}").is_ok(),
        Cell::Double(value) => write!(text, "{value}").is_ok(),
        Cell::Bool(value) => write!(text, "{value}").is_ok(),
        _ => false,
    }
}

pub(super) fn owned_text(cell: Cell<'_>) -> Result<String, Box<Problem>> {
    let mut text = String::new();
    if append_text(cell, &mut text) { Ok(text) } else { Err(Problem::with(cell, "is no text")) }
}

/// Levels as JSON writes them: pairs of numbers in brackets, quoted or not. False for NULL.
pub(super) fn levels_of_text(cell: Cell<'_>, levels: &mut Vec<Level>) -> Option<bool> {
    let bytes = match cell {
        Cell::Null => return Some(false),
        Cell::Text { bytes, .. } => bytes,
        _ => return None,
    };
    let inside = bytes.strip_prefix(b"[")?.strip_suffix(b"]")?.trim_ascii();
    let mut rest = inside;
    while !rest.is_empty() {
        let end = memchr::memchr(b']', rest)?;
        let mut pair = rest[..end].strip_prefix(b"[")?.split(|byte| *byte == b',');
        let mut number = || {
            let text = pair.next()?.trim_ascii();
            let text = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
            number::double(text)
        };
        levels.push(Level { price: number()?, size: number()? });
        if pair.next().is_some() {
            return None;
        }
        rest = rest[end + 1..].trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            if rest.is_empty() {
                return None;
            }
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(true)
}
