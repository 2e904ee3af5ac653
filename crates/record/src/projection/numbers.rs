//! Columns of numbers. The value that stands for NULL in a slot is copied like every other; which ones are NULL is
//! found in one pass over the finished column.

use arrow::array::PrimitiveArray;
use arrow::datatypes::ArrowPrimitiveType;

use super::column::{Slot, validity};
use crate::record::RawRecord;
use crate::slot::{NULL_BIGINT, NULL_DATE, NULL_DECIMAL, NULL_DOUBLE_BITS};

/// A number that a slot of `N` bytes can hold.
pub(super) trait Native<const N: usize>: Copy {
    const NULL: Self;
    fn from_slot(bytes: [u8; N]) -> Self;
    fn is_null(self) -> bool;

    fn array<T: ArrowPrimitiveType<Native = Self>>(values: Vec<Self>) -> PrimitiveArray<T>
    where
        Self: arrow::datatypes::ArrowNativeType,
    {
        let nulls = validity(values.len(), |at| !values[at].is_null());
        PrimitiveArray::new(values.into(), nulls)
    }
}

impl Native<8> for f64 {
    const NULL: Self = f64::from_bits(NULL_DOUBLE_BITS);

    #[inline]
    fn from_slot(bytes: [u8; 8]) -> Self {
        Self::from_le_bytes(bytes)
    }

    #[inline]
    fn is_null(self) -> bool {
        self.is_nan()
    }
}

macro_rules! whole_number {
    ($number:ty, $bytes:literal, $null:expr) => {
        impl Native<$bytes> for $number {
            const NULL: Self = $null;

            #[inline]
            fn from_slot(bytes: [u8; $bytes]) -> Self {
                Self::from_le_bytes(bytes)
            }

            #[inline]
            fn is_null(self) -> bool {
                self == Self::NULL
            }
        }
    };
}

whole_number!(i64, 8, NULL_BIGINT);
whole_number!(i32, 4, NULL_DATE);
whole_number!(i128, 16, NULL_DECIMAL);

#[derive(Debug)]
pub(super) struct NumberBuilder<V, const N: usize> {
    slot: Slot,
    values: Vec<V>,
}

impl<V: Native<N> + arrow::datatypes::ArrowNativeType, const N: usize> NumberBuilder<V, N> {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot, values: Vec::new() }
    }

    pub(super) fn append(&mut self, records: &[RawRecord<'_>]) {
        let slot = self.slot;
        self.values.extend(records.iter().map(|record| slot.read(record).map_or(V::NULL, V::from_slot)));
    }

    pub(super) fn finish<T: ArrowPrimitiveType<Native = V>>(&mut self) -> PrimitiveArray<T> {
        V::array(std::mem::take(&mut self.values))
    }
}
