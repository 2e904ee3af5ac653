//! Many writers at once, on the machine's own disk: order, completions, and groups of more than one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tapebook_vfs::{RealVfs, Vfs};
use tapebook_wal::{DurableEntry, DurableSink, RecoveryOptions, Wal, WalError, WalOptions, recover};

use crate::support::{IDENTITY, batch, disk, payload, recover_all, stepped};

const WRITERS: u64 = 64;
const EACH: u64 = 40;

/// One cell per writer: how many of its entries are complete.
struct CellSink {
    cells: Vec<(Mutex<u64>, Condvar)>,
    indexes: Mutex<Vec<u64>>,
}

impl CellSink {
    fn new() -> Self {
        let cells = (0..WRITERS).map(|_| (Mutex::new(0), Condvar::new())).collect();
        Self { cells, indexes: Mutex::default() }
    }

    fn wait(&self, writer: u64, completed: u64) {
        let (cell, changed) = &self.cells[writer as usize];
        let _cell = changed.wait_while(cell.lock().unwrap(), |found| *found < completed).unwrap();
    }
}

impl DurableSink for CellSink {
    type Ticket = (u64, u64);

    fn durable(&self, entries: &mut Vec<DurableEntry<(u64, u64)>>) {
        // One call at a time: nobody else may hold it.
        let mut indexes = self.indexes.try_lock().unwrap();
        for entry in entries.drain(..) {
            let (writer, number) = entry.ticket;
            assert_eq!(entry.payload[..], payload(writer << 32 | number, 128)[..]);
            indexes.push(entry.meta.index);
            let (cell, changed) = &self.cells[writer as usize];
            let mut completed = cell.lock().unwrap();
            assert_eq!(*completed, number, "a writer's entries complete in its order");
            *completed += 1;
            changed.notify_all();
        }
    }

    fn failed(&self, _: Vec<(u64, u64)>, error: &WalError) {
        panic!("{error}");
    }
}

#[derive(Clone, Copy)]
enum How {
    Append,
    Enqueue,
    EnqueueAhead,
}

fn many_writers(how: How) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("wal");
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs::new());
    let recovered = recover(&vfs, &dir, IDENTITY, &RecoveryOptions::default(), &mut |_| Ok(())).unwrap();
    let options = WalOptions {
        segment_bytes: 128 << 10,
        payload_bytes_max: 64 << 10,
        unsynced_bytes_max: 64 << 10,
        ..WalOptions::default()
    };
    let sink = Arc::new(CellSink::new());
    let wal = Wal::start(vfs.clone(), options, recovered, sink.clone()).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (wal, sink) = (&wal, &sink);
            scope.spawn(move || {
                for number in 0..EACH {
                    let proposal = batch(payload(writer << 32 | number, 128));
                    match how {
                        How::Append => wal.append(proposal, (writer, number)).unwrap(),
                        How::Enqueue | How::EnqueueAhead => wal.enqueue(proposal, (writer, number)).unwrap(),
                    }
                    if !matches!(how, How::EnqueueAhead) {
                        sink.wait(writer, number + 1);
                    }
                }
                sink.wait(writer, EACH);
            });
        }
    });
    let stats = wal.stats();
    wal.close().unwrap();
    assert_eq!(*sink.indexes.lock().unwrap(), (1..=WRITERS * EACH).collect::<Vec<_>>());
    assert_eq!(stats.entries, WRITERS * EACH);
    assert!(stats.group_entries_max > 1 && stats.groups < stats.entries, "{stats:?}");
    assert!(stats.segments_begun > 1);
    let mut shown = 0;
    recover(&vfs, &dir, IDENTITY, &RecoveryOptions::default(), &mut |_| {
        shown += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(shown, WRITERS * EACH);
}

#[test]
fn callers_that_write_themselves() {
    many_writers(How::Append);
}

#[test]
fn callers_that_hand_over() {
    many_writers(How::Enqueue);
}

#[test]
fn callers_that_run_ahead_up_to_the_bound() {
    many_writers(How::EnqueueAhead);
}

/// The closing thread takes the role and lingers for company; the log's thread comes back from the sink, finds entries
/// queued and somebody writing, and goes to sleep. Once it was not woken again, and closing waited for it for ever.
#[test]
fn closing_wakes_a_thread_that_found_another_writing() {
    const COMPANY: u64 = 200;

    #[derive(Default)]
    struct GatedSink {
        calls: AtomicU64,
        opened: AtomicU64,
    }
    impl DurableSink for GatedSink {
        type Ticket = ();
        fn durable(&self, entries: &mut Vec<DurableEntry<()>>) {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            while self.opened.load(Ordering::SeqCst) < call {
                thread::yield_now();
            }
            // Long enough for the closing thread to take the role, far shorter than it lingers.
            (0..200).for_each(|_| thread::yield_now());
            entries.clear();
        }
        fn failed(&self, _: Vec<()>, _: &WalError) {}
    }
    let until = |sink: &GatedSink, calls| {
        while sink.calls.load(Ordering::SeqCst) < calls {
            thread::yield_now();
        }
    };
    for seed in 0..20 {
        let (_, vfs) = disk(seed);
        let (recovered, _) = recover_all(&vfs).unwrap();
        let sink = Arc::new(GatedSink::default());
        // The clock of this disk stands still while somebody lingers.
        let options = WalOptions { background: true, linger_max: Duration::from_secs(1), ..stepped() };
        let wal = Wal::start(vfs, options, recovered, sink.clone()).unwrap();
        wal.enqueue(batch(payload(1, 30)), ()).unwrap();
        until(&sink, 1);
        (0..COMPANY).for_each(|n| wal.enqueue(batch(payload(n, 30)), ()).unwrap());
        sink.opened.store(1, Ordering::SeqCst);
        until(&sink, 2);
        wal.enqueue(batch(payload(2, 30)), ()).unwrap();
        sink.opened.store(u64::MAX, Ordering::SeqCst);
        wal.close().unwrap();
        assert_eq!(sink.calls.load(Ordering::SeqCst), 3);
    }
}

/// Two threads, one after the other, complete their groups in the order in which they were written, also when the first
/// is slow: the second holds its turn before it gives the role up.
#[test]
fn groups_complete_in_the_order_in_which_they_were_written() {
    struct SlowSink {
        seen: Mutex<Vec<u64>>,
    }
    impl DurableSink for SlowSink {
        type Ticket = ();
        fn durable(&self, entries: &mut Vec<DurableEntry<()>>) {
            for entry in entries.drain(..) {
                thread::yield_now();
                self.seen.lock().unwrap().push(entry.meta.index);
            }
        }
        fn failed(&self, _: Vec<()>, _: &WalError) {}
    }
    let (_, vfs) = disk(3);
    let (recovered, _) = recover_all(&vfs).unwrap();
    let sink = Arc::new(SlowSink { seen: Mutex::default() });
    let options = WalOptions { background: true, ..stepped() };
    let wal = Wal::start(vfs, options, recovered, sink.clone()).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..2000).for_each(|n| wal.append(batch(payload(n, 30)), ()).unwrap()));
        }
    });
    wal.close().unwrap();
    assert_eq!(*sink.seen.lock().unwrap(), (1..=16_000).collect::<Vec<_>>());
}
