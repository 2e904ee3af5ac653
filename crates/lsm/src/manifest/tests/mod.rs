//! What a data directory's metadata promises, one scenario per file.

mod crash;
mod damage;
mod faults;
mod garbage;
mod golden;
mod invariants;
mod round_trip;
mod switching;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_record::TableId;
use tapebook_vfs::{MemoryVfs, Vfs};

use super::*;
use crate::key::TimeRange;

/// SplitMix64: tests choose, and choose the same again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn dir() -> PathBuf {
    PathBuf::from("/data")
}

fn identity() -> Identity {
    Identity {
        cluster_id: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        node_id: 3,
        epoch: 2,
        created_at: 1_000,
    }
}

/// So little room that a few edits begin a new manifest.
const SMALL: ManifestOptions = ManifestOptions { append_bytes: 64 };

fn new_disk(seed: u64) -> (MemoryVfs, Arc<dyn Vfs>) {
    let memory = MemoryVfs::new(seed);
    memory.create_dir_all(&dir()).unwrap();
    (memory.clone(), Arc::new(memory))
}

fn path(name: &str) -> PathBuf {
    dir().join(name)
}

fn table_file(file_id: u64, partition: u64, seqs: SeqRange, index: u64) -> TableFile {
    let first = partition as i64 * 100;
    TableFile {
        file_id,
        level: 0,
        bytes: 4096,
        rows: seqs.len(),
        partition,
        times: TimeRange { first, last: first + 99 },
        seqs,
        log_indexes: LogRange { first: index, last: index },
        checksum: 0xfeed_0000 + file_id as u32,
        tables: vec![TableId(1), TableId(2)],
    }
}

fn history_file(file_id: u64, table: &TableFile) -> HistoryFile {
    HistoryFile {
        file_id,
        table: TableId(1),
        partition: table.partition,
        rows: table.rows,
        times: table.times,
        seqs: table.seqs,
        bytes: 1 << 20,
        tail_bytes: 100,
        tail_crc: 0x1234_5678,
        path: format!("history/trades/p{}/{file_id:06}.parquet", table.partition),
    }
}

fn state_ref(file_id: u64, index: u64, last_seq: u64) -> StateRef {
    let applied = LogId { term: 1, leader_node: 3, index };
    StateRef { file_id, applied, last_seq, rolling_hash: [index as u8; 16] }
}

/// A flush of ten rows into a partition: what an engine commits most often.
fn flush(version: &Version, partition: u64) -> VersionEdit {
    let (id, seq) = (version.next_file_id(), version.last_seq());
    let index = version.state().map_or(0, |state| state.applied.index) + 1;
    let times = TimeRange { first: partition as i64 * 100, last: partition as i64 * 100 + 99 };
    let new = version.partition(partition).is_none();
    VersionEdit {
        tables_added: vec![table_file(id, partition, SeqRange { first: seq + 1, last: seq + 10 }, index)],
        partitions_added: new.then_some(Partition { id: partition, times }).into_iter().collect(),
        state: Some(state_ref(id + 1, index, seq + 10)),
        log_start: Some(index + 1),
        next_file_id: Some(id + 2),
        last_seq: Some(seq + 10),
        ..VersionEdit::default()
    }
}

/// A valid edit of any kind.
fn any_edit(version: &Version, random: &mut Random) -> VersionEdit {
    let tables: Vec<_> = version.tables().collect();
    let id = version.next_file_id();
    match random.below(7) {
        0 if !tables.is_empty() => {
            let file = TableFile::clone(tables[random.below(tables.len() as u64) as usize]);
            let moved = TableFile { level: (file.level + 1) % LEVELS as u8, ..file.clone() };
            VersionEdit {
                tables_removed: vec![file.file_id],
                tables_added: vec![moved],
                ..VersionEdit::default()
            }
        }
        1 if !tables.is_empty() => {
            let file = tables[random.below(tables.len() as u64) as usize];
            VersionEdit {
                tables_removed: vec![file.file_id],
                history_added: vec![history_file(id, file)],
                next_file_id: Some(id + 1),
                ..VersionEdit::default()
            }
        }
        2 => {
            // A long edit.
            let mut edit = flush(version, 1 + random.below(5));
            edit.tables_added[0].tables = (1..=1 + random.below(500) as u16).map(TableId).collect();
            edit
        }
        3 if version.history().count() > 3 => {
            let first = version.history().next().unwrap().file_id;
            VersionEdit { history_removed: vec![first], ..VersionEdit::default() }
        }
        4 => VersionEdit { epoch: Some(version.epoch() + 1), ..VersionEdit::default() },
        _ => flush(version, 1 + random.below(5)),
    }
}

fn reopen(vfs: &Arc<dyn Vfs>) -> Result<(Manifest, Arc<Version>), ManifestError> {
    Manifest::open_with(Arc::clone(vfs), &dir(), identity(), SMALL)
}

fn assert_names(text: &str, file: &Path) {
    assert!(text.contains(&file.display().to_string()), "{text} does not name {}", file.display());
}
