//! What the process does until it is killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tapebook::{
    Batch, CompactionGoal, CompactionOptions, Db, DirectoryTarget, Durability, Id, Options, Producer, Trade,
    WalOptions,
};
use tapebook_vfs::Vfs;

use super::killing::{KillingVfs, Mode, Point};

/// Where a child finds its assignment. Without it the test of its name does nothing.
pub const VARIABLE: &str = "TAPEBOOK_KILLED_CHILD";
/// Batches that a child writes where nothing kills it.
const BATCHES: u64 = 260;

/// What a child is to do.
#[derive(Debug)]
pub struct Assignment {
    pub point: Point,
    pub nth: u64,
    pub mode: Mode,
    pub round: u64,
    pub next_batch: u64,
}

impl Assignment {
    pub fn encode(&self, place: &Path) -> String {
        let Self { point, nth, mode, round, next_batch } = self;
        format!("{point:?} {nth} {mode:?} {round} {next_batch} {}", place.display())
    }

    fn decode(text: &str) -> (Self, PathBuf) {
        let words: Vec<&str> = text.splitn(6, ' ').collect();
        let number = |at: usize| words[at].parse().expect("a number");
        let mode = [Mode::Before, Mode::Middle, Mode::After]
            .into_iter()
            .find(|mode| format!("{mode:?}") == words[2])
            .expect("a mode");
        let (nth, round, next_batch) = (number(1), number(3), number(4));
        let assignment = Self { point: Point::named(words[0]), nth, mode, round, next_batch };
        (assignment, words[5].into())
    }
}

pub fn options(vfs: Arc<dyn Vfs>) -> Options {
    Options {
        vfs,
        wal: WalOptions { segment_bytes: 64 << 10, payload_bytes_max: 32 << 10, ..WalOptions::default() },
        memtable_bytes: 40 << 10,
        compaction: CompactionOptions {
            file_bytes: 16_000,
            fan_in: 2,
            late_ratio: 2,
            partition_bytes_min: 4_000,
            partition_bytes_max: 40_000,
            late_allowance: None,
        },
        max_future: None,
        journal_retention: Some(Duration::from_secs(3_600)),
        ..Options::default()
    }
}

/// The rows of a batch, by its number alone: `(symbol, ts, number of the row)`.
pub fn rows_of(batch: u64) -> Vec<(String, i64, u32)> {
    let count = 1 + batch * 7 % 40;
    let late = if batch.is_multiple_of(9) { 500 } else { 0 };
    let row = |at: u64| {
        (format!("S{}", (batch + at) % 5), (batch * 50 + at) as i64 - late, (batch * 100 + at) as u32)
    };
    (0..count).map(row).collect()
}

fn encode(batch: u64) -> Batch {
    let mut encoded = Batch::from_producer(Producer { id: 1, epoch: 1, batch_number: batch });
    for (symbol, ts, number) in rows_of(batch) {
        let trade_id = Some(Id::Number(number.into()));
        let trade = Trade { symbol: &symbol, ts, price: Some(number.into()), trade_id, ..Trade::default() };
        encoded.push(trade).expect("a valid row");
    }
    encoded
}

/// The child itself; a test like any other where nobody has given it an assignment.
#[test]
fn work() {
    let Ok(text) = std::env::var(VARIABLE) else { return };
    let (assignment, place) = Assignment::decode(&text);
    let vfs = KillingVfs::new(assignment.point, assignment.nth, assignment.mode);
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let target = DirectoryTarget::new(Arc::clone(&shared), place.join("backups"));
    let db = Db::open_with(place.join("db"), options(shared)).expect("the database opens");
    for batch in assignment.next_batch..assignment.next_batch + BATCHES {
        let durability = if batch.is_multiple_of(4) { Durability::Buffered } else { Durability::Synced };
        let receipt = db.append(encode(batch), durability).and_then(|pending| pending.wait());
        let receipt = receipt.expect("an append");
        println!("receipt {batch} {} {}", receipt.first_seq, receipt.last_seq);
        let step = batch % 40;
        match step {
            11 | 31 => {
                let made = vfs.while_retracting(|| {
                    db.retract("trades", receipt.first_seq..=receipt.last_seq, "a wrong import")
                });
                let made = made.expect("a retraction");
                println!("retracted {} {} {}", made.id, receipt.first_seq, receipt.last_seq);
            }
            17 => {
                let dir = place.join(format!("checkpoint-{}-{batch}", assignment.round));
                let report = db.checkpoint(&dir).expect("a checkpoint");
                println!("checkpoint {} {}", report.last_seq, dir.display());
            }
            23 => {
                let report = db.backup(&target).expect("a backup");
                println!("backup {} {}", report.number, report.last_seq);
            }
            29 => drop(db.compact(CompactionGoal::Settled).expect("compaction")),
            35 => drop(db.compact(CompactionGoal::History).expect("conversion")),
            37 => db.flush().expect("a flush"),
            _ => {}
        }
    }
    db.close().expect("closing");
}
