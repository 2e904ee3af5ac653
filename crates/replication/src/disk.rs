//! Who writes what was logged: the log's own thread, or, where time is made up, a task after the time that a disk takes.

use std::sync::Arc;
use std::time::Duration;

use tapebook::replica::Replica;

/// How the disk of a replica is driven.
#[derive(Clone)]
pub enum Disk {
    /// The replica has threads of its own that write, sync and purge.
    Threads,
    /// Nothing is written but by a task, as late as this says; for simulations.
    Simulated(Arc<dyn SyncTime>),
}

/// How long the next write and sync take.
pub trait SyncTime: Send + Sync + 'static {
    /// The time until what was logged is durable.
    fn next(&self) -> Duration;
}

impl Disk {
    /// Sees to it that what was logged gets written.
    pub(crate) fn write(&self, replica: &Arc<Replica>) {
        let Self::Simulated(time) = self else { return };
        let (took, replica) = (time.next(), Arc::downgrade(replica));
        tokio::spawn(async move {
            tokio::time::sleep(took).await;
            if let Some(replica) = replica.upgrade() {
                // A log that fails tells those who wait.
                let _ = replica.drive();
            }
        });
    }

    /// Lets the log drop entries, in no hurry.
    pub(crate) fn purge(&self, replica: &Arc<Replica>, index: u64) {
        let purge = move |replica: &Replica| {
            if let Err(error) = replica.purge_through(index) {
                log::warn!(
                    "the log was not purged through entry {index}: {error}; the next purge tries again"
                );
            }
        };
        match self {
            Self::Simulated(_) => purge(replica),
            Self::Threads => {
                let replica = Arc::clone(replica);
                tokio::task::spawn_blocking(move || purge(&replica));
            }
        }
    }
}
