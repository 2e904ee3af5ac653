//! Scans read records where they lie: what they allocate depends on the number of blocks and pieces, never on the number
//! of records. A binary of its own, because it counts every allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use tapebook::{Batch, Db, Durability, Options, Snapshot, Trade};
use tapebook_vfs::MemoryVfs;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting touches nothing of its own memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TRADES: u32 = 100_000;
const BATCH_TRADES: u32 = 1_000;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn scan(snapshot: &Snapshot) -> u64 {
    allocations(|| {
        let (mut rows, mut sum) = (0_u32, 0.0);
        for trade in snapshot.scan::<Trade>("S", ..).unwrap() {
            let trade = trade.unwrap();
            rows += 1;
            sum += trade.price().unwrap();
        }
        assert_eq!((rows, sum), (TRADES, f64::from(TRADES) * f64::from(TRADES - 1) / 2.0));
    })
}

#[test]
fn a_scan_allocates_nothing_for_a_record() {
    let options = Options {
        vfs: Arc::new(MemoryVfs::new(1)),
        max_future: None,
        background: false,
        command: "test".to_owned(),
        ..Options::default()
    };
    let db = Db::open_with("/db", options).unwrap();
    for first in (0..TRADES).step_by(BATCH_TRADES as usize) {
        let mut batch = Batch::new();
        for number in first..first + BATCH_TRADES {
            let trade =
                Trade { symbol: "S", ts: number.into(), price: Some(number.into()), ..Trade::default() };
            batch.push(trade).unwrap();
        }
        db.append(batch, Durability::Synced).unwrap().wait().unwrap();
    }
    let snapshot = db.snapshot();
    assert_eq!(snapshot.pieces().tables.len(), 0);
    let in_memory = scan(&snapshot);
    db.flush().unwrap();
    let snapshot = db.snapshot();
    assert_eq!(snapshot.pieces().tables.len(), 1);
    let at_first_touch = scan(&snapshot);
    let again = scan(&snapshot);
    println!("MemTable {in_memory}, SSTable {at_first_touch}, again {again}");
    assert!(in_memory <= 16, "{in_memory} allocations for a scan of a MemTable");
    assert!(at_first_touch <= 16, "{at_first_touch} allocations for a scan of an SSTable");
    assert!(again <= 16, "{again} allocations for a second scan");
    assert!(allocations(|| drop(vec![1])) == 1, "allocations are counted");
}
