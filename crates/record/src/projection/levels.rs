//! Columns of price levels.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, ListArray, NullBufferBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};

use super::column::Slot;
use super::schema::{level_field, level_fields};
use crate::record::RawRecord;
use crate::slot::{self, Levels};

#[derive(Debug)]
pub(super) struct LevelsBuilder {
    slot: Slot,
    prices: Vec<f64>,
    sizes: Vec<f64>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl LevelsBuilder {
    pub(super) fn new(slot: Slot) -> Self {
        Self {
            slot,
            prices: Vec::new(),
            sizes: Vec::new(),
            ends: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(super) fn append(&mut self, records: &[RawRecord<'_>]) {
        if self.ends.is_empty() {
            self.ends.push(0);
        }
        self.ends.reserve(records.len());
        for record in records {
            let levels = self.slot.read::<8>(record).and_then(|slot| slot::tail_of(record.row, slot));
            self.nulls.append(levels.is_some());
            for level in levels.into_iter().flat_map(|bytes| Levels::new(bytes).iter()) {
                self.prices.push(level.price);
                self.sizes.push(level.size);
            }
            let end =
                i32::try_from(self.prices.len()).expect("a batch is finished before it has 2^31 levels");
            self.ends.push(end);
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let prices = Float64Array::from(std::mem::take(&mut self.prices));
        let sizes = Float64Array::from(std::mem::take(&mut self.sizes));
        let mut ends = std::mem::take(&mut self.ends);
        if ends.is_empty() {
            ends.push(0);
        }
        let levels = StructArray::new(level_fields(), vec![Arc::new(prices), Arc::new(sizes)], None);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Arc::new(ListArray::new(level_field(), offsets, Arc::new(levels), self.nulls.finish()))
    }
}
