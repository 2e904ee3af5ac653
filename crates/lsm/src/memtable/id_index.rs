//! Rows by id: an index for each id column that somebody asked for.
//!
//! Writers know nothing of it. A reader who looks for an id first lets the index read the batches that came since
//! the last look-up, straight from their bytes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tapebook_record::{Id, RawRecord, Symbols, TableId, TableSchema};
use xxhash_rust::xxh3::xxh3_64;

use super::append_vec::{AppendVec, Appender};
use super::held_batch::{HeldBatch, HeldBatches};
use crate::key::Series;

/// The id indexes of a MemTable.
#[derive(Default)]
pub(super) struct IdIndexes {
    columns: Mutex<HashMap<(TableId, usize), SharedIndex>>,
    bytes: AtomicUsize,
}

type SharedIndex = Arc<Mutex<IdIndex>>;

impl IdIndexes {
    /// The rows that may have `id` in a column, those of batches that are there now.
    pub(super) fn find(
        &self,
        batches: &AppendVec<HeldBatch>,
        schema: &TableSchema,
        column: usize,
        id: Id<'_>,
    ) -> Option<Chain> {
        schema.id_columns().find(|(at, _)| *at == column)?;
        let index = {
            let mut columns = self.columns.lock().expect("nothing panics under this lock");
            Arc::clone(columns.entry((schema.id, column)).or_default())
        };
        let mut index = index.lock().expect("rows of a batch can be read");
        let added = index.extend(batches, schema, column);
        self.bytes.fetch_add(added, Ordering::Relaxed);
        let newest = *index.newest.get(&hash(id))?;
        Some(Chain { nodes: Arc::clone(index.nodes.shared()), newest })
    }

    /// What all of them take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The rows of one table by the id in one column.
///
/// Rows whose ids have the same hash form a chain from the newest to the oldest, which only ever grows at its newest
/// end: who has a chain can go through it while the index is extended.
struct IdIndex {
    newest: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    nodes: Appender<Node>,
    batches_read: usize,
}

impl Default for IdIndex {
    fn default() -> Self {
        Self { newest: HashMap::default(), nodes: Appender::new(), batches_read: 0 }
    }
}

impl IdIndex {
    /// Reads the batches that came since the last time. Returns by how many bytes the index grew.
    fn extend(&mut self, batches: &AppendVec<HeldBatch>, schema: &TableSchema, column: usize) -> usize {
        let capacity_before = self.newest.capacity();
        let mut bytes = 0;
        let batches = batches.prefix();
        while let Some(held) = batches.get(self.batches_read) {
            for row in 0..held.batch.len() {
                if held.batch.row_header(row).table != schema.id {
                    continue;
                }
                let Some(id) = held.record(row as u32, "").id(schema, column) else { continue };
                let position =
                    u32::try_from(self.nodes.len() + 1).expect("a MemTable has fewer than 2^32 rows");
                let older = self.newest.insert(hash(id), position).unwrap_or(0);
                bytes += self.nodes.push(Node { batch: self.batches_read as u32, row: row as u32, older });
            }
            self.batches_read += 1;
        }
        bytes + (self.newest.capacity() - capacity_before) * MAP_ENTRY_BYTES
    }
}

/// A key, a value and a byte of the map's own.
const MAP_ENTRY_BYTES: usize = size_of::<(u64, u32)>() + 1;

/// One row. Positions count from 1; 0 is the end of the chain.
#[derive(Clone, Copy)]
struct Node {
    batch: u32,
    row: u32,
    older: u32,
}

/// Where a chain begins.
pub(super) struct Chain {
    nodes: Arc<AppendVec<Node>>,
    newest: u32,
}

/// The rows that have an id in a column, newest first, each with its series.
pub struct IdMatches<'a> {
    held: &'a HeldBatches,
    chain: Option<Chain>,
    schema: &'a TableSchema,
    column: usize,
    id: Id<'a>,
    visible_seq: u64,
    symbols: &'a Symbols,
}

impl<'a> IdMatches<'a> {
    pub(super) fn new(
        held: &'a HeldBatches,
        chain: Option<Chain>,
        schema: &'a TableSchema,
        column: usize,
        id: Id<'a>,
        visible_seq: u64,
        symbols: &'a Symbols,
    ) -> Self {
        Self { held, chain, schema, column, id, visible_seq, symbols }
    }

    /// The row of a node, where it is visible and has the id.
    fn matching(&self, node: Node) -> Option<(Series, RawRecord<'a>)> {
        let held = self.held.batches.get(node.batch as usize)?;
        if held.first_seq + u64::from(node.row) > self.visible_seq {
            return None;
        }
        let record = held.record(node.row, "");
        if record.id(self.schema, self.column) != Some(self.id) {
            return None;
        }
        let name = held.batch.row_header(node.row as usize).symbol;
        let symbol = self.held.handle(held, name)?;
        let record = RawRecord { symbol: self.symbols.name(symbol)?, ..record };
        Some((Series { table: self.schema.id, symbol }, record))
    }
}

impl<'a> Iterator for IdMatches<'a> {
    type Item = (Series, RawRecord<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let chain = self.chain.as_mut()?;
            let node = *chain.nodes.get((chain.newest as usize).checked_sub(1)?)?;
            chain.newest = node.older;
            if let Some(found) = self.matching(node) {
                return Some(found);
            }
        }
    }
}

impl std::fmt::Debug for IdMatches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdMatches")
            .field("id", &self.id)
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

/// The same for equal ids; others with the same hash are told apart at the row.
fn hash(id: Id<'_>) -> u64 {
    match id {
        Id::Number(number) => xxh3_64(&number.to_le_bytes()),
        Id::Text(text) => xxh3_64(text.as_bytes()),
    }
}

/// Passes on what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
