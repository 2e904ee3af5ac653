//! Which series there are: look-up by table and symbol handle, and a list for each table.
//!
//! Both are trees with a byte of the number at each level, so every `u16` and `u32` has its place, memory follows
//! what is used, and a look-up is a few loads. Only the writer adds to them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use tapebook_record::TableId;

use super::append_vec::{AppendVec, Appender};
use super::series_index::SeriesIndex;
use crate::key::Series;

/// Every series of a MemTable.
#[derive(Default)]
pub(super) struct Directory {
    tables: Node<Node<Arc<TableIndex>>>,
}

impl Directory {
    /// The series of one table.
    #[inline]
    pub(super) fn table(&self, table: TableId) -> Option<&Arc<TableIndex>> {
        let [high, low] = table.0.to_be_bytes();
        self.tables.get(high)?.get(low)
    }

    /// Adds a table and returns how many bytes the tree took for it.
    pub(super) fn add_table(&self, table: &Arc<TableIndex>) -> usize {
        let [high, low] = table.id.0.to_be_bytes();
        let mut bytes = size_of::<TableIndex>() + Node::<Node<Positions>>::BYTES;
        self.tables.get_or_add(high, &mut bytes).children[usize::from(low)]
            .get_or_init(|| Box::new(Arc::clone(table)));
        bytes
    }

    /// One series.
    #[inline]
    pub(super) fn series(&self, series: Series) -> Option<&SeriesIndex> {
        let table = self.table(series.table)?;
        let position = table.position(series.symbol)?;
        table.series.get(position).map(|index| &**index)
    }

    /// Every table, by number.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Arc<TableIndex>> {
        self.tables.iter().flat_map(Node::iter)
    }
}

/// The series of one table.
pub(super) struct TableIndex {
    pub(super) id: TableId,
    /// The table's position among those of the writer.
    pub(super) slot: usize,
    /// The series in order of their first row.
    pub(super) series: Arc<AppendVec<Arc<SeriesIndex>>>,
    positions: Node<Node<Node<Positions>>>,
}

impl TableIndex {
    pub(super) fn new(id: TableId, slot: usize, series: &Appender<Arc<SeriesIndex>>) -> Self {
        Self { id, slot, series: Arc::clone(series.shared()), positions: Node::default() }
    }

    /// The position of a symbol's series in [`TableIndex::series`].
    #[inline]
    pub(super) fn position(&self, symbol: u32) -> Option<usize> {
        let [a, b, c, d] = symbol.to_be_bytes();
        let position = &self.positions.get(a)?.get(b)?.get(c)?.0[usize::from(d)];
        (position.load(Ordering::Acquire) as usize).checked_sub(1)
    }

    /// Notes the position of a symbol's series, which must be in the list already. Returns how many bytes the
    /// tree took for it.
    pub(super) fn set_position(&self, symbol: u32, position: usize) -> usize {
        let [a, b, c, d] = symbol.to_be_bytes();
        let mut bytes = 0;
        let leaf =
            self.positions.get_or_add(a, &mut bytes).get_or_add(b, &mut bytes).get_or_add(c, &mut bytes);
        let position = u32::try_from(position + 1).expect("there are no more series than symbol handles");
        leaf.0[usize::from(d)].store(position, Ordering::Release);
        bytes
    }

    /// The series that have a row up to `visible_seq`, in order of their first row.
    pub(super) fn visible(&self, visible_seq: u64) -> impl Iterator<Item = &SeriesIndex> {
        let series = self.series.prefix().cut(|series| series.first_seq <= visible_seq);
        series.iter().map(|series| &**series)
    }
}

/// A part of a tree that appears with the first number below it.
trait Level: Default {
    /// How much memory it takes by itself.
    const BYTES: usize;
}

/// One level of a tree.
struct Node<C> {
    children: Box<[OnceLock<Box<C>>]>,
}

impl<C> Node<C> {
    #[inline]
    fn get(&self, byte: u8) -> Option<&C> {
        self.children[usize::from(byte)].get().map(|child| &**child)
    }

    /// The child, made where there is none; what it takes is added to `bytes`.
    fn get_or_add(&self, byte: u8, bytes: &mut usize) -> &C
    where
        C: Level,
    {
        self.children[usize::from(byte)].get_or_init(|| {
            *bytes += C::BYTES;
            Box::default()
        })
    }

    fn iter(&self) -> impl Iterator<Item = &C> {
        self.children.iter().filter_map(|child| child.get().map(|child| &**child))
    }
}

impl<C> Level for Node<C> {
    const BYTES: usize = size_of::<Self>() + 256 * size_of::<OnceLock<Box<C>>>();
}

impl<C> Default for Node<C> {
    fn default() -> Self {
        Self { children: (0..256).map(|_| OnceLock::new()).collect() }
    }
}

/// The last level: positions from 1, 0 where there is no series.
struct Positions(Box<[AtomicU32]>);

impl Level for Positions {
    const BYTES: usize = size_of::<Self>() + 256 * size_of::<AtomicU32>();
}

impl Default for Positions {
    fn default() -> Self {
        Self((0..256).map(|_| AtomicU32::new(0)).collect())
    }
}
