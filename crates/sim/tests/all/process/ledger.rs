//! What children have told, and whether the directory still says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook::{
    Db, DirectoryTarget, Options, RestoreBound, Snapshot, StandardTable, TimeRange, Trade, restore, verify,
};
use tapebook_vfs::{RealVfs, Vfs};

use super::child::{options, rows_of};

/// Everything that was reported before a kill.
#[derive(Debug, Default)]
pub struct Ledger {
    /// First and last sequence of each batch.
    receipts: BTreeMap<u64, (u64, u64)>,
    /// Range of each retraction.
    retractions: BTreeMap<u64, (u64, u64)>,
    checkpoints: Vec<(u64, PathBuf)>,
    backed_up: Option<u64>,
}

impl Ledger {
    /// The first batch that got no receipt: the next child sends it, whether it is there already or not.
    pub fn next_batch(&self) -> u64 {
        self.receipts.last_key_value().map_or(1, |(batch, _)| batch + 1)
    }

    /// Takes note of what a child has told; returns how many receipts that were.
    pub fn take(&mut self, told: &str) -> usize {
        let before = self.receipts.len();
        for line in told.lines() {
            // What the test harness prints may stand before it on the line.
            let Some(at) =
                ["receipt ", "retracted ", "checkpoint ", "backup "].iter().find_map(|word| line.find(word))
            else {
                continue;
            };
            let words: Vec<&str> = line[at..].splitn(4, ' ').collect();
            let number = |at: usize| words[at].parse::<u64>().expect("a number");
            match words[0] {
                "receipt" => drop(self.receipts.insert(number(1), (number(2), number(3)))),
                "retracted" => drop(self.retractions.insert(number(1), (number(2), number(3)))),
                "checkpoint" => self.checkpoints.push((number(1), words[2].into())),
                _ => self.backed_up = Some(number(2)),
            }
        }
        self.receipts.len() - before
    }

    /// Opens what the kill has left. Every receipt stands, nothing is there twice, and nothing that nobody wrote.
    pub fn check(&mut self, place: &Path, what: &str) {
        let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
        let dir = place.join("db");
        let db = open(&dir).unwrap_or_else(|error| panic!("{what}: {error}"));
        let snapshot = db.snapshot();
        self.check_rows(&snapshot, what);
        for (id, (first, last)) in &self.retractions {
            let found = snapshot.retractions().get(*id).unwrap_or_else(|| panic!("{what}: retraction {id}"));
            assert_eq!((found.seqs.first, found.seqs.last), (*first, *last), "{what}: retraction {id}");
        }
        db.close().unwrap_or_else(|error| panic!("{what}: {error}"));
        let report = verify(&vfs, &dir, "verify").unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(report.problems, Vec::<String>::new(), "{what}");
        for (last_seq, dir) in std::mem::take(&mut self.checkpoints) {
            let copy = open(&dir).unwrap_or_else(|error| panic!("{what}: {}: {error}", dir.display()));
            assert_eq!(copy.snapshot().visible_seq(), last_seq, "{what}: {}", dir.display());
        }
        if let Some(last_seq) = self.backed_up.take() {
            let target = DirectoryTarget::new(Arc::clone(&vfs), place.join("backups"));
            let to = tempfile::tempdir().expect("a temporary directory");
            let restored = restore(&target, &vfs, &to.path().join("db"), RestoreBound::Latest, "restore");
            let restored = restored.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(restored.last_seq >= last_seq, "{what}: {restored:?}, backed up was {last_seq}");
            let copy = open(&to.path().join("db")).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(copy.snapshot().visible_seq(), restored.last_seq, "{what}");
        }
    }

    fn check_rows(&self, snapshot: &Snapshot, what: &str) {
        // As of now without what is hidden: the rows themselves are what receipts are about.
        let bare = snapshot.clone().with_retractions(Default::default());
        let mut found: BTreeMap<u64, (String, i64, u32)> = BTreeMap::new();
        for record in bare.scan_table(Trade::ID, TimeRange::ALL) {
            let record = record.unwrap_or_else(|error| panic!("{what}: {error}"));
            let (symbol, ts, seq) = (record.symbol().to_owned(), record.ts(), record.seq());
            let price = tapebook::Record::<Trade<'static>>::new(record).and_then(|trade| trade.price());
            let row = (symbol, ts, price.expect("every row has its number") as u32);
            assert!(found.insert(seq, row).is_none(), "{what}: seq {seq} twice");
        }
        let last_seq = snapshot.visible_seq();
        assert!(found.keys().copied().eq(1..=last_seq), "{what}: sequences are dense from 1");
        let numbers: BTreeSet<u32> = found.values().map(|(_, _, number)| *number).collect();
        assert_eq!(numbers.len(), found.len(), "{what}: a row is there twice");
        for (batch, (first, last)) in &self.receipts {
            let rows = found.range(first..=last).map(|(_, row)| row);
            assert!(rows.eq(&rows_of(*batch)), "{what}: batch {batch} at {first}..={last}");
        }
        // Behind what was acknowledged there may be the one batch that was on its way.
        let acknowledged = self.receipts.last_key_value().map_or(0, |(_, (_, last))| *last);
        let rest: Vec<_> = found.range(acknowledged + 1..).map(|(_, row)| row.clone()).collect();
        let on_its_way = rows_of(self.next_batch());
        assert!(rest.is_empty() || rest == on_its_way, "{what}: nobody wrote {rest:?}");
    }
}

fn open(dir: &Path) -> Result<Db, tapebook::OpenError> {
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    Db::open_with(dir, Options { background: false, ..options(vfs) })
}
