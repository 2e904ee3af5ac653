//! The slots of a row's fixed part: what each kind of column looks like in bytes, and what stands for NULL.
//!
//! Every slot is a pointer-free `rkyv` type for which all bit patterns are valid, so reading one can return a
//! wrong value at worst and never harm; what a pattern may be is checked when a batch comes from outside.

use std::fmt;

use rkyv::bytecheck::CheckBytes;
use rkyv::rend::{f64_le, i32_le, i64_le, i128_le, u32_le, u64_le};
use rkyv::{Archive, Portable, rancor::Failure};

/// The bits of the one NaN that stands for NULL. Other NaNs are refused.
pub const NULL_DOUBLE_BITS: u64 = 0x7ff8_0000_0000_0000;
/// NULL for `BIGINT` and `TIMESTAMP`.
pub const NULL_BIGINT: i64 = i64::MIN;
/// NULL for `DATE`.
pub const NULL_DATE: i32 = i32::MIN;
/// NULL for `DECIMAL`.
pub const NULL_DECIMAL: i128 = i128::MIN;
/// NULL for an id.
pub const NULL_ID: u64 = u64::MAX;
/// Set in an id slot whose text stands in the tail.
pub const ID_TEXT_BIT: u64 = 1 << 63;
/// Bytes of one price level.
pub const LEVEL_BYTES: usize = 16;

macro_rules! number_slot {
    ($(#[$doc:meta])* $name:ident, $le:ty, $native:ty, $null:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, CheckBytes, Portable)]
        #[bytecheck(crate = rkyv::bytecheck)]
        #[rkyv(crate = rkyv)]
        #[repr(transparent)]
        pub struct $name($le);

        impl $name {
            /// The value, `None` for NULL.
            #[inline]
            pub fn get(self) -> Option<$native> {
                let value = self.0.to_native();
                (value != $null).then_some(value)
            }
        }
    };
}

number_slot!(
    /// A `BIGINT`.
    BigIntSlot, i64_le, i64, NULL_BIGINT
);
number_slot!(
    /// A `TIMESTAMP`, nanoseconds since the epoch, UTC.
    TimestampSlot, i64_le, i64, NULL_BIGINT
);
number_slot!(
    /// A `DATE`, days since the epoch.
    DateSlot, i32_le, i32, NULL_DATE
);
number_slot!(
    /// A `DECIMAL(38,9)`, in units of 10^-9.
    DecimalSlot, i128_le, i128, NULL_DECIMAL
);

/// A `DOUBLE`.
#[derive(Clone, Copy, CheckBytes, Portable)]
#[bytecheck(crate = rkyv::bytecheck)]
#[rkyv(crate = rkyv)]
#[repr(transparent)]
pub struct DoubleSlot(f64_le);

impl DoubleSlot {
    /// The value, `None` for NULL.
    #[inline]
    pub fn get(self) -> Option<f64> {
        let value = self.0.to_native();
        (!value.is_nan()).then_some(value)
    }

    /// The value as it lies there; NaN for NULL.
    #[inline]
    pub fn raw(self) -> f64 {
        self.0.to_native()
    }
}

/// One of a column's words.
#[derive(Clone, Copy, CheckBytes, Portable)]
#[bytecheck(crate = rkyv::bytecheck)]
#[rkyv(crate = rkyv)]
#[repr(transparent)]
pub struct WordSlot(u8);

impl WordSlot {
    /// The code; 0 for NULL.
    #[inline]
    pub fn code(self) -> u8 {
        self.0
    }
}

/// A piece of the tail: a text, or price levels. Offset 0 is NULL.
#[derive(Clone, Copy, CheckBytes, Portable)]
#[bytecheck(crate = rkyv::bytecheck)]
#[rkyv(crate = rkyv)]
#[repr(C)]
pub struct TailSlot {
    offset: u32_le,
    length: u32_le,
}

impl TailSlot {
    /// The bytes in `row`, `None` for NULL or where they would lie outside.
    #[inline]
    pub fn get(self, row: &[u8]) -> Option<&[u8]> {
        tail(row, self.offset.to_native(), self.length.to_native())
    }
}

/// An id: a number inline, or a text in the tail.
#[derive(Clone, Copy, CheckBytes, Portable)]
#[bytecheck(crate = rkyv::bytecheck)]
#[rkyv(crate = rkyv)]
#[repr(transparent)]
pub struct IdSlot(u64_le);

impl IdSlot {
    /// The id in `row`, `None` for NULL.
    #[inline]
    pub fn get(self, row: &[u8]) -> Option<Id<'_>> {
        id(row, self.0.to_native())
    }
}

/// An id as sources give them: order, trade, account numbers or names.
///
/// A text that is a canonical decimal number (no sign, no leading zero, below 2^63) *is* that number, so
/// `Id::from("17")` and `Id::Number(17)` are the same id.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Id<'a> {
    /// A canonical decimal number below 2^63.
    Number(u64),
    /// Any other text.
    Text(&'a str),
}

impl<'a> From<&'a str> for Id<'a> {
    fn from(text: &'a str) -> Self {
        canonical_number(text.as_bytes()).map_or(Self::Text(text), Self::Number)
    }
}

impl From<u64> for Id<'_> {
    /// Numbers from 2^63 on cannot lie inline; a batch refuses them, write those as text.
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The number that `text` is the canonical spelling of, where it is below 2^63.
pub(crate) fn canonical_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut number = 0_u64;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(byte - b'0');
    }
    (number < ID_TEXT_BIT).then_some(number)
}

/// Price and size of one level of an order book.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// The level's price.
    pub price: f64,
    /// The size that stands there.
    pub size: f64,
}

/// Price levels in place, best first.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    bytes: &'a [u8],
}

impl<'a> Levels<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The number of levels.
    pub fn len(&self) -> usize {
        self.bytes.len() / LEVEL_BYTES
    }

    /// True where there is no level.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The levels, best first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Level> + use<'a> {
        self.bytes.chunks_exact(LEVEL_BYTES).map(|bytes| Level {
            price: f64::from_bits(u64_at(bytes, 0)),
            size: f64::from_bits(u64_at(bytes, 8)),
        })
    }
}

/// Reads a fixed part in place; `None` where `row` is too short or not aligned.
#[inline]
pub(crate) fn fixed_part<T>(row: &[u8]) -> Option<&T>
where
    T: Portable + for<'a> CheckBytes<rkyv::api::low::LowValidator<'a, Failure>>,
{
    let fixed = row.get(..size_of::<T>())?;
    rkyv::api::low::access_pos::<T, Failure>(fixed, 0).ok()
}

/// Texts are checked when a batch comes from outside and covered by checksums from then on; should one be
/// damaged all the same, it reads as NULL.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[inline]
pub(crate) fn tail(row: &[u8], offset: u32, length: u32) -> Option<&[u8]> {
    if offset == 0 {
        return None;
    }
    let start = offset as usize;
    row.get(start..start.checked_add(length as usize)?)
}

#[inline]
pub(crate) fn tail_at(row: &[u8], slot: usize) -> Option<&[u8]> {
    tail(row, u32_at(row, slot), u32_at(row, slot + 4))
}

/// The piece of the tail that a slot's bytes describe.
#[cfg(feature = "arrow")]
#[inline]
pub(crate) fn tail_of(row: &[u8], slot: [u8; 8]) -> Option<&[u8]> {
    tail(row, u32_at(&slot, 0), u32_at(&slot, 4))
}

#[inline]
pub(crate) fn id(row: &[u8], slot: u64) -> Option<Id<'_>> {
    if slot < ID_TEXT_BIT {
        return Some(Id::Number(slot));
    }
    if slot == NULL_ID {
        return None;
    }
    let (offset, length) = id_text_span(slot);
    tail(row, offset, length).and_then(text).map(Id::Text)
}

/// Offset and length of an id's text.
#[inline]
pub(crate) fn id_text_span(slot: u64) -> (u32, u32) {
    (slot as u32, (slot >> 32) as u32 & 0x7fff_ffff)
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}

#[inline]
pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    u64_at(bytes, at) as i64
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}

#[inline]
pub(crate) fn i128_at(bytes: &[u8], at: usize) -> i128 {
    let mut array = [0; 16];
    array.copy_from_slice(&bytes[at..at + 16]);
    i128::from_le_bytes(array)
}

/// The types of this module archive as themselves; this keeps the trait's name in scope for the derive.
#[allow(dead_code, reason = "proves at compile time that the pinned rkyv features give the layout on disk")]
const _: () = {
    assert!(size_of::<<u64 as Archive>::Archived>() == 8 && align_of::<<u64 as Archive>::Archived>() == 8);
    assert!(size_of::<i128_le>() == 16 && align_of::<i128_le>() == 16);
    assert!(size_of::<TailSlot>() == 8 && align_of::<TailSlot>() == 4);
    assert!(size_of::<DateSlot>() == 4 && size_of::<WordSlot>() == 1);
};
