//! Who writes and reads meanwhile.

use std::path::Path;
use std::time::Instant;

use tapebook::{Batch, Db, Durability, EncodedBatch, Producer, Receipt};
use tapebook_market::generator;
use tapebook_record::{Quote, Trade};

use super::figures::Minute;
use super::{BATCH_ROWS, BEGAN_AT, DAY, EVENT_SECONDS, LATE_SHARE, ROWS_PER_SECOND, SYMBOLS};
use crate::AnyError;
use crate::bare::BareFile;

/// Every so many batches one is sent again.
const RESENT_EVERY: u64 = 50;
/// Every so many batches the bare disk is asked.
const BARE_EVERY: u64 = 20;
const BARE_BYTES: u64 = 64 << 20;

/// One producer, and a reader that goes from symbol to symbol.
pub struct Load {
    ticks: generator::Ticks,
    bare: BareFile,
    batches: u64,
    reads: usize,
    /// Rows sent so far.
    pub rows: u64,
    /// Bytes of their batches.
    pub batch_bytes: u64,
    /// Bytes that the bare disk was given.
    pub bare_bytes: u64,
}

impl Load {
    /// `bare_path` is for a file beside the database.
    pub fn new(bare_path: &Path) -> Result<Self, AnyError> {
        let gap_nanos = u32::try_from(u64::from(EVENT_SECONDS) * 1_000_000_000 / ROWS_PER_SECOND)?;
        let ticks = generator::ticks(1, SYMBOLS, 1.0)?.start(BEGAN_AT);
        let ticks = ticks.gap(gap_nanos).late(LATE_SHARE, u64::try_from(DAY.as_nanos())?);
        let bare = BareFile::prepared(bare_path, BARE_BYTES)?;
        Ok(Self { ticks, bare, batches: 0, reads: 0, rows: 0, batch_bytes: 0, bare_bytes: 0 })
    }

    /// Sends the next batch; now and then once more, and now and then its bytes to the bare disk.
    pub fn send(&mut self, db: &Db, minute: &mut Minute) -> Result<(), AnyError> {
        self.batches += 1;
        let mut batch = Batch::from_producer(Producer { id: 1, epoch: 1, batch_number: self.batches });
        self.rows += self.ticks.fill_batch(&mut batch, BATCH_ROWS)? as u64;
        let batch = batch.encode();
        self.batch_bytes += batch.bytes().len() as u64;
        let first = timed(&mut minute.append_micros, || append(db, batch.clone()))?;
        if self.batches.is_multiple_of(BARE_EVERY) {
            timed(&mut minute.bare_micros, || self.bare.write(batch.bytes()))?;
            self.bare_bytes += batch.bytes().len() as u64;
        }
        if self.batches.is_multiple_of(RESENT_EVERY) {
            let again = append(db, batch)?;
            if !again.duplicate || (again.first_seq, again.last_seq) != (first.first_seq, first.last_seq) {
                return Err(format!("a batch that was sent again got {again:?} after {first:?}").into());
            }
        }
        Ok(())
    }

    /// Reads all that there is of the next symbol, through history, SSTables and memory.
    pub fn read(&mut self, db: &Db) -> Result<(), AnyError> {
        let symbols = self.ticks.symbols();
        let symbol = &symbols[self.reads % symbols.len()];
        let snapshot = db.snapshot();
        let mut last = i64::MIN;
        for trade in snapshot.scan::<Trade>(symbol, ..)? {
            let ts = trade?.ts();
            if ts < last {
                return Err(format!("{symbol}: a trade at {ts} comes after one at {last}").into());
            }
            last = ts;
        }
        snapshot.last_record::<Quote>(symbol, i64::MAX)?;
        self.reads += 1;
        Ok(())
    }
}

fn append(db: &Db, batch: EncodedBatch) -> Result<Receipt, AnyError> {
    Ok(db.append_encoded(batch, Durability::Synced)?.wait()?)
}

fn timed<T>(micros: &mut Vec<f64>, run: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = run();
    micros.push(began.elapsed().as_secs_f64() * 1e6);
    result
}
