//! Divides the series of a scan among threads.

use std::sync::Arc;

use tapebook::{Snapshot, TableId};

use crate::constraints::Constraints;

/// The symbols of one partition, in name order. Every name of a partition sorts before those of the next, so
/// that partitions one after another are the whole scan in order.
pub(crate) type Partition = Arc<[String]>;

/// A partition is not worth a thread of its own below so many rows.
const PARTITION_ROWS_MIN: u64 = 16 * 1024;

/// Divides the matching series into at most `partitions_max` parts of about the same number of rows.
pub(crate) fn partition(
    snapshot: &Snapshot,
    table: TableId,
    constraints: &Constraints,
    partitions_max: usize,
) -> Vec<Partition> {
    let symbols: Vec<(&str, u64)> = snapshot
        .symbols_of(table)
        .into_iter()
        .filter(|name| constraints.symbols.as_ref().is_none_or(|wanted| wanted.contains(*name)))
        .map(|name| (name, snapshot.series_rows(table, name)))
        .collect();
    let rows: u64 = symbols.iter().map(|(_, rows)| rows).sum();
    let parts = u64::try_from(partitions_max).unwrap_or(1).clamp(1, 1 + rows / PARTITION_ROWS_MIN);
    let target = rows.div_ceil(parts).max(1);
    let mut partitions: Vec<Vec<String>> = vec![Vec::new()];
    let mut filled = 0;
    for (name, rows) in symbols {
        if filled >= target && partitions.len() < partitions_max {
            partitions.push(Vec::new());
            filled = 0;
        }
        filled += rows;
        if let Some(last) = partitions.last_mut() {
            last.push(name.to_owned());
        }
    }
    partitions.into_iter().map(Into::into).collect()
}
