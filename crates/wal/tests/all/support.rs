//! A sink that remembers, and the short forms that the scenarios are written in.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapebook_record::{AlignedBytes, SharedBytes};
use tapebook_vfs::{MemoryVfs, Vfs};
use tapebook_wal::{
    DurableEntry, DurableSink, EntryKind, LogIdentity, Proposal, Recovered, RecoveryError, RecoveryOptions,
    SegmentFacts, Wal, WalError, WalOptions, recover,
};

pub const IDENTITY: LogIdentity = LogIdentity { cluster_id: 0x7a9e_b00c, node_id: 3 };

pub fn dir() -> PathBuf {
    PathBuf::from("/data/wal")
}

/// What happened to one entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    pub index: u64,
    pub kind: EntryKind,
    pub payload: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct Memory {
    pub durable: Vec<Seen>,
    pub tickets: Vec<u64>,
    pub failed: Vec<(u64, String)>,
    pub groups: Vec<usize>,
}

/// Remembers every call; the ticket is any number.
#[derive(Debug, Default)]
pub struct RememberingSink {
    pub memory: Mutex<Memory>,
}

impl DurableSink for RememberingSink {
    type Ticket = u64;

    fn durable(&self, entries: &mut Vec<DurableEntry<u64>>) {
        let mut memory = self.memory.lock().unwrap();
        memory.groups.push(entries.len());
        for entry in entries.drain(..) {
            memory.tickets.push(entry.ticket);
            memory.durable.push(Seen {
                index: entry.meta.index,
                kind: entry.meta.kind,
                payload: entry.payload.to_vec(),
            });
        }
    }

    fn failed(&self, tickets: Vec<u64>, error: &WalError) {
        let mut memory = self.memory.lock().unwrap();
        memory.failed.extend(tickets.into_iter().map(|ticket| (ticket, error.to_string())));
    }

    fn segment_facts(&self) -> SegmentFacts {
        let at_index = self.memory.lock().unwrap().durable.last().map_or(0, |seen| seen.index);
        SegmentFacts { last_seq: at_index * 10, at_index, rolling_hash: [7; 16] }
    }
}

pub type TestWal = Wal<RememberingSink>;

/// Small segments, no threads.
pub fn stepped() -> WalOptions {
    WalOptions {
        segment_bytes: 64 << 10,
        payload_bytes_max: 20 << 10,
        background: false,
        linger_max: Duration::ZERO,
        ..WalOptions::default()
    }
}

pub fn payload(seed: u64, len: usize) -> SharedBytes {
    let mut random = Random(seed);
    let mut bytes = AlignedBytes::zeroed(len);
    for byte in bytes.iter_mut() {
        *byte = random.next() as u8;
    }
    bytes.into()
}

pub fn batch(payload: SharedBytes) -> Proposal {
    Proposal::batch(1, IDENTITY.node_id, payload)
}

/// Recovers and returns what was shown.
pub fn recover_all(vfs: &Arc<dyn Vfs>) -> Result<(Recovered, Vec<Seen>), RecoveryError> {
    recover_with(vfs, &RecoveryOptions::default())
}

pub fn recover_with(
    vfs: &Arc<dyn Vfs>,
    options: &RecoveryOptions,
) -> Result<(Recovered, Vec<Seen>), RecoveryError> {
    let mut shown = Vec::new();
    let recovered = recover(vfs, &dir(), IDENTITY, options, &mut |entry| {
        assert_eq!(entry.payload.as_ptr() as usize % 16, 0);
        shown.push(Seen { index: entry.meta.index, kind: entry.meta.kind, payload: entry.payload.to_vec() });
        Ok(())
    })?;
    Ok((recovered, shown))
}

pub fn start(vfs: &Arc<dyn Vfs>, options: WalOptions) -> (TestWal, Arc<RememberingSink>) {
    let (recovered, _) = recover_all(vfs).unwrap();
    let sink = Arc::new(RememberingSink::default());
    (Wal::start(vfs.clone(), options, recovered, sink.clone()).unwrap(), sink)
}

/// A disk, and the same one as everybody takes it.
pub fn disk(seed: u64) -> (MemoryVfs, Arc<dyn Vfs>) {
    let memory = MemoryVfs::new(seed);
    let vfs: Arc<dyn Vfs> = Arc::new(memory.clone());
    (memory, vfs)
}

pub fn segment(id: u64) -> PathBuf {
    tapebook_wal::segment_path(&dir(), id)
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to choose with.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
