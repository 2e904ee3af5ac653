//! Databases that all hold the same trades, in the form that each of them reads best.

use std::sync::Arc;

use tempfile::TempDir;

use crate::AnyError;
use crate::engine::{self, Engine};
use crate::ingest::proof;
use crate::input::{Known, Source};
use crate::setting::Setting;

/// Some 250 MB: more than the caches of the processor, less than memory.
const ROWS: u64 = 2_000_000;
/// Every so many rows is one that is asked for.
const KNOWN_EVERY: u64 = 37;

/// The databases, in the order of [`engine::ALL`].
pub struct Loaded {
    /// Open ones.
    pub engines: Vec<Arc<dyn Engine>>,
    /// Rows to ask for, in order of time.
    pub known: Vec<Known>,
    /// Trades of each database.
    pub rows: u64,
    _dir: TempDir,
}

impl Loaded {
    /// Loads, flushes and compacts them.
    pub fn new(setting: &Setting) -> Result<Self, AnyError> {
        let dir = setting.scratch()?;
        let (mut source, mut known, mut all) = (Source::trades()?, Vec::new(), Vec::new());
        let mut rows = 0;
        while rows < setting.size(ROWS) {
            let batch = source.batch(|trade| {
                if trade.seq % KNOWN_EVERY == 0 {
                    known.push(trade);
                }
            })?;
            rows += batch.trades;
            all.push(batch);
        }
        let mut engines = Vec::new();
        for kind in engine::ALL {
            let engine = kind.open(&dir.path().join(kind.name()))?;
            engine.load(&all)?;
            engine.compact()?;
            engine::settle(engine.as_ref())?;
            // Every block is read once before anything is measured.
            proof(engine.as_ref(), &all)?;
            engines.push(engine);
        }
        Ok(Self { engines, known, rows, _dir: dir })
    }
}
