//! Columns of symbols, words, ids and texts, all as string views.
//!
//! Few symbols and words stand in many rows, so rows are gathered as positions in a small array of views and the
//! views are copied once at the end.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringViewArray, StringViewBuilder, UInt8Array, UInt32Array};
use arrow::compute::take;

use super::column::{Slot, validity};
use crate::record::RawRecord;
use crate::schema::Words;
use crate::slot::{self, Id};

/// Runs of rows with one symbol share one view.
#[derive(Debug, Default)]
pub(super) struct SymbolBuilder {
    names: StringViewBuilder,
    name_count: u32,
    positions: Vec<u32>,
}

impl SymbolBuilder {
    pub(super) fn append(&mut self, records: &[RawRecord<'_>]) {
        self.positions.reserve(records.len());
        for run in records.chunk_by(|a, b| same_text(a.symbol, b.symbol)) {
            self.names.append_value(run[0].symbol);
            self.positions.resize(self.positions.len() + run.len(), self.name_count);
            self.name_count += 1;
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        self.name_count = 0;
        let names = self.names.finish();
        gather(&names, &UInt32Array::from(std::mem::take(&mut self.positions)))
    }
}

/// Rows of one series mostly refer to one and the same text in memory.
#[inline]
fn same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && (std::ptr::eq(a.as_ptr(), b.as_ptr()) || a == b)
}

fn gather(views: &StringViewArray, positions: &dyn Array) -> ArrayRef {
    take(views, positions, None).expect("every position is one of the views")
}

/// One of a column's words.
#[derive(Debug)]
pub(super) struct WordBuilder {
    slot: Slot,
    /// By code; what stands at 0 is never seen.
    words: StringViewArray,
    codes: Vec<u8>,
}

impl WordBuilder {
    pub(super) fn new(slot: Slot, words: &Words) -> Self {
        let words = StringViewArray::from_iter_values([""].iter().chain(words.words));
        Self { slot, words, codes: Vec::new() }
    }

    pub(super) fn append(&mut self, records: &[RawRecord<'_>]) {
        let (slot, count) = (self.slot, self.words.len());
        self.codes.extend(records.iter().map(|record| match slot.read(record) {
            Some([code]) if usize::from(code) < count => code,
            _ => 0,
        }));
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let codes = std::mem::take(&mut self.codes);
        let nulls = validity(codes.len(), |at| codes[at] != 0);
        gather(&self.words, &UInt8Array::new(codes.into(), nulls))
    }
}

/// Texts of the tail.
#[derive(Debug)]
pub(super) struct TextBuilder {
    slot: Slot,
    views: StringViewBuilder,
}

impl TextBuilder {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot, views: StringViewBuilder::with_capacity(0) }
    }

    pub(super) fn append(&mut self, records: &[RawRecord<'_>]) {
        for record in records {
            let text =
                self.slot.read(record).and_then(|slot| slot::tail_of(record.row, slot)).and_then(slot::text);
            self.views.append_option(text);
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.views.finish())
    }
}

/// Ids as texts, numbers in decimal.
#[derive(Debug)]
pub(super) struct IdBuilder {
    slot: Slot,
    views: StringViewBuilder,
}

impl IdBuilder {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot, views: StringViewBuilder::with_capacity(0) }
    }

    pub(super) fn append(&mut self, records: &[RawRecord<'_>]) {
        let mut digits = [0; DIGITS_MAX];
        for record in records {
            let id = self.slot.read(record).and_then(|slot| slot::id(record.row, u64::from_le_bytes(slot)));
            match id {
                Some(Id::Number(number)) => self.views.append_value(decimal(number, &mut digits)),
                Some(Id::Text(text)) => self.views.append_value(text),
                None => self.views.append_null(),
            }
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.views.finish())
    }
}

/// Digits of the largest `u64`.
const DIGITS_MAX: usize = 20;

/// The decimal digits of `number`, written to the end of `digits`, two at a time: a division costs more than a look-up.
pub(super) fn decimal(mut number: u64, digits: &mut [u8; DIGITS_MAX]) -> &str {
    let mut at = DIGITS_MAX;
    while number >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    // What is left is one digit, or nothing but where the number was 0.
    if number > 0 || at == DIGITS_MAX {
        at -= 1;
        digits[at] = b'0' + number as u8;
    }
    std::str::from_utf8(&digits[at..]).expect("digits are ASCII")
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};
