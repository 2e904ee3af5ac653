//! Which rows a subscriber gets.

use std::collections::{BTreeSet, HashSet};

use tapebook::{EncodedBatch, FeedGap, Schemas, TableId};
use tapebook_proto::v1::{Refusal, SubscribeStart};

use super::refusal;
use crate::Node;
use crate::access::{Caller, Right};

/// What a subscriber asked for, within what he may read.
///
/// *Invariant*: a row of a table that the caller may not read never passes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Filter {
    /// Rows before this sequence are not wanted: a subscription may begin in the middle of a batch.
    from_seq: u64,
    /// Only rows of these tables; `None`: of all.
    tables: Option<BTreeSet<TableId>>,
    /// Only rows of these symbols; `None`: of all.
    symbols: Option<HashSet<Box<str>>>,
}

/// Which rows of a batch pass.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Selection {
    All,
    None,
    /// Those in these places, ascending.
    Some(Vec<u32>),
}

/// The tables that a subscriber gets rows of; `None`: all. One that there is not, or that he may not read, is refused.
pub(super) fn tables_for(
    node: &Node,
    caller: &Caller,
    start: &SubscribeStart,
) -> Result<Option<BTreeSet<TableId>>, Refusal> {
    let may = |table: Option<&str>| {
        let may = node.access.authorize(caller, Right::Read, table);
        may.map_err(|denied| refusal::of_denied(&denied))
    };
    may(None)?;
    let snapshot = node.db.snapshot();
    let schemas = snapshot.schemas();
    if start.tables.is_empty() {
        return Ok(caller.grant.tables.as_ref().map(|granted| ids_of(schemas, granted)));
    }
    for table in &start.tables {
        may(Some(table))?;
        schemas.by_name(table).ok_or_else(|| refusal::unknown_table(table))?;
    }
    Ok(Some(ids_of(schemas, &start.tables)))
}

impl Filter {
    /// Rows of these tables, and of the symbols that were asked for.
    pub(super) fn new(tables: Option<BTreeSet<TableId>>, start: &SubscribeStart) -> Self {
        let symbols = start.symbols.iter().map(|name| Box::from(&**name)).collect();
        let symbols = (!start.symbols.is_empty()).then_some(symbols);
        Self { from_seq: 0, tables, symbols }
    }

    /// The same without the rows before a sequence.
    pub(super) fn beginning_at(self, from_seq: u64) -> Self {
        Self { from_seq, ..self }
    }

    /// The same with other tables; `None` where they are not other ones.
    pub(super) fn with_tables(&self, tables: Option<BTreeSet<TableId>>) -> Option<Self> {
        (tables != self.tables).then(|| Self { tables, ..self.clone() })
    }

    /// True where the subscriber is told of a gap: one in the numbers of a table and symbol whose rows he gets, or of a feed as a
    /// whole, which may lack any row.
    pub(super) fn takes_gap(&self, gap: &FeedGap) -> bool {
        let symbol = match (&self.symbols, &gap.symbol) {
            (Some(symbols), Some(symbol)) => symbols.contains(&**symbol),
            _ => true,
        };
        symbol && gap.table.is_none_or(|table| self.takes(table))
    }

    fn takes(&self, table: TableId) -> bool {
        self.tables.as_ref().is_none_or(|tables| tables.contains(&table))
    }

    /// Which rows of a batch pass whose first one has this sequence.
    pub(super) fn select(&self, batch: &EncodedBatch, first_seq: u64) -> Selection {
        if self.tables.is_none() && self.symbols.is_none() && first_seq >= self.from_seq {
            return Selection::All;
        }
        let wanted: Option<Vec<bool>> =
            self.symbols.as_ref().map(|symbols| batch.symbols().map(|name| symbols.contains(name)).collect());
        if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&true)) {
            return Selection::None;
        }
        let first = usize::try_from(self.from_seq.saturating_sub(first_seq)).unwrap_or(usize::MAX);
        let places: Vec<u32> = (first..batch.len())
            .filter(|place| {
                let row = batch.row_header(*place);
                let symbol =
                    wanted.as_ref().is_none_or(|wanted| wanted.get(row.symbol as usize) == Some(&true));
                symbol && self.takes(row.table)
            })
            .map(|place| place as u32)
            .collect();
        match places.len() {
            0 => Selection::None,
            all if all == batch.len() => Selection::All,
            _ => Selection::Some(places),
        }
    }
}

fn ids_of<'a>(schemas: &Schemas, names: impl IntoIterator<Item = &'a String>) -> BTreeSet<TableId> {
    names.into_iter().filter_map(|name| schemas.by_name(name)).map(|schema| schema.id).collect()
}

#[cfg(test)]
mod tests {
    use tapebook::{Batch, Quote, StandardTable, Trade};

    use super::*;

    fn batch() -> EncodedBatch {
        let mut batch = Batch::new();
        batch.push(Trade { symbol: "A", ts: 1, ..Trade::default() }).unwrap();
        batch.push(Quote { symbol: "B", ts: 2, ..Quote::default() }).unwrap();
        batch.push(Trade { symbol: "B", ts: 3, ..Trade::default() }).unwrap();
        batch.encode()
    }

    fn symbols(names: &[&str]) -> Option<HashSet<Box<str>>> {
        Some(names.iter().map(|name| Box::from(*name)).collect())
    }

    #[test]
    fn without_bounds_every_row_passes() {
        assert_eq!(Filter::default().select(&batch(), 10), Selection::All);
    }

    #[test]
    fn tables_symbols_and_the_beginning_each_leave_rows_out() {
        let trades = Filter { tables: Some([Trade::ID].into()), ..Filter::default() };
        assert_eq!(trades.select(&batch(), 10), Selection::Some(vec![0, 2]));
        let of_b = Filter { symbols: symbols(&["B", "C"]), ..Filter::default() };
        assert_eq!(of_b.select(&batch(), 10), Selection::Some(vec![1, 2]));
        let both = Filter { tables: trades.tables.clone(), ..of_b.clone() };
        assert_eq!(both.select(&batch(), 10), Selection::Some(vec![2]));
        assert_eq!(
            Filter { symbols: symbols(&["C"]), ..Filter::default() }.select(&batch(), 10),
            Selection::None
        );
        assert_eq!(Filter::default().beginning_at(12).select(&batch(), 10), Selection::Some(vec![2]));
        assert_eq!(Filter::default().beginning_at(13).select(&batch(), 10), Selection::None);
        assert_eq!(
            Filter { symbols: symbols(&["A", "B"]), ..Filter::default() }.select(&batch(), 10),
            Selection::All
        );
    }
}
