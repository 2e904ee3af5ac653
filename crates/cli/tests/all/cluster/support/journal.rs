//! Reads the journal of one node.

use std::time::Duration;

use tapebook_client::{Client, JournalBatch, Start, SubscribeOptions};
use tokio::time::timeout;

use super::PATIENCE;

/// Takes every batch from one sequence through another one, which comes within patience.
pub(crate) async fn read(
    client: &Client,
    from_seq: u64,
    through_seq: u64,
    mut take: impl FnMut(&JournalBatch),
) {
    let mut journal = client.subscribe(SubscribeOptions::new(Start::Seq(from_seq)));
    let mut next_seq = from_seq;
    while next_seq <= through_seq {
        let batch = timeout(PATIENCE, journal.next_batch()).await;
        let batch = batch.unwrap_or_else(|_| panic!("seq {next_seq} of {through_seq} does not come"));
        let batch = batch.unwrap_or_else(|error| panic!("seq {next_seq}: {error}"));
        take(&batch);
        next_seq = batch.last_seq() + 1;
    }
}

/// How long nodes get to be equal when the faults stop.
pub(crate) const CONVERGENCE_TIME_MAX: Duration = Duration::from_secs(30);
