//! The log's own threads: one writes what callers hand over, one prepares segments ahead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::{io, mem};

use super::prepare::prepare_spare;
use super::shared::{Shared, lock, wait};
use crate::DurableSink;

/// Spares that are kept ready beyond those that are promised.
const SPARES_AHEAD: usize = 1;

pub(crate) fn spawn<S: DurableSink>(shared: &Arc<Shared<S>>) -> io::Result<Vec<JoinHandle<()>>> {
    let (writes, prepares) = (shared.clone(), shared.clone());
    let writer = thread::Builder::new().name("tapebook-log".into()).spawn(move || write_groups(&writes))?;
    let preparer =
        thread::Builder::new().name("tapebook-log-prepare".into()).spawn(move || prepare_ahead(&prepares))?;
    Ok(vec![writer, preparer])
}

/// Writes groups whenever something is queued and nobody else does, until the log is closed and the queue empty.
fn write_groups<S: DurableSink>(shared: &Shared<S>) {
    let mut queue = lock(&shared.queue);
    loop {
        if queue.poisoned.is_some() || (queue.closing && queue.entries.is_empty()) {
            return;
        }
        if queue.writing || queue.entries.is_empty() {
            queue = wait(&shared.work, queue);
            continue;
        }
        queue.writing = true;
        drop(queue);
        shared.write_group();
        queue = lock(&shared.queue);
    }
}

/// Keeps a spare ready. After a failure it tries again only when somebody needs one.
fn prepare_ahead<S: DurableSink>(shared: &Shared<S>) {
    let mut queue = lock(&shared.queue);
    loop {
        if queue.refusal().is_some() {
            return;
        }
        let short = queue.free_spares() < SPARES_AHEAD;
        let wanted = mem::take(&mut queue.preparation.wanted);
        if !short || (queue.preparation.failed.is_some() && !wanted) {
            queue = wait(&shared.prepare, queue);
            continue;
        }
        let number = queue.preparation.take_number();
        drop(queue);
        let prepared = prepare_spare(&*shared.vfs, &shared.dir, number, shared.options.segment_bytes);
        queue = lock(&shared.queue);
        queue.preparation.attempts += 1;
        match prepared {
            Ok(spare) => {
                shared.counters.segments_zeroed.fetch_add(1, Ordering::Relaxed);
                queue.preparation.failed = None;
                queue.spares.push(spare);
            }
            Err(error) => queue.preparation.failed = Some(error),
        }
        shared.room.notify_all();
    }
}
