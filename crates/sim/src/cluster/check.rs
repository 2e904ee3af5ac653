//! What must hold, looked at while the cluster runs and at its end.

use std::collections::{BTreeMap, BTreeSet};

use tapebook::{JournalError, Record, StandardTable, TimeRange, Trade};
use tapebook_replication::Role;

use super::Cluster;
use super::client::batch;
use super::log::Log;
use super::network::Life;
use super::server::Server;

/// What was seen of the nodes so far.
#[derive(Default)]
pub(super) struct Watcher {
    /// The rolling hash at each sequence at which a node was seen.
    hashes: BTreeMap<u64, [u8; 16]>,
    /// The greatest term that each node had, in whatever life.
    terms: BTreeMap<u64, u64>,
    /// What each life had applied last.
    applied: BTreeMap<Life, u64>,
    led: BTreeSet<(u64, u64)>,
}

impl Watcher {
    /// **O4** and **O5**.
    pub fn look(&mut self, servers: &[Server], log: &Log) -> Result<(), String> {
        for running in servers.iter().filter_map(|server| server.running.as_ref()) {
            let node_id = running.life.node_id;
            let status = running.node.status();
            if let Some(failure) = status.failure {
                return Err(format!("node {node_id} has stopped: {failure}"));
            }
            let term = self.terms.entry(node_id).or_default();
            if status.term < *term {
                return Err(format!("O5: node {node_id} went back from term {term} to {}", status.term));
            }
            *term = status.term;
            if status.role == Role::Leader && self.led.insert((status.term, node_id)) {
                log.line(format_args!("node {node_id} leads in term {}", status.term));
            }
            let (last_seq, hash) = running.node.replica().applied_hash();
            let expected = *self.hashes.entry(last_seq).or_insert(hash);
            if expected != hash {
                let at = format!("node {node_id} has another journal up to sequence {last_seq}");
                return Err(format!("O4: {at}; {}", difference(servers)));
            }
            let applied = self.applied.entry(running.life).or_default();
            if last_seq < *applied {
                return Err(format!("O5: node {node_id} went back from sequence {applied} to {last_seq}"));
            }
            *applied = last_seq;
        }
        Ok(())
    }

    pub fn elections(&self) -> u64 {
        self.led.len() as u64
    }
}

/// Where the journals of the nodes that run differ first.
fn difference(servers: &[Server]) -> String {
    let mut first: Option<(u64, Vec<String>)> = None;
    for contact in servers.iter().filter_map(Server::contact) {
        let replica = contact.node.replica();
        let entries = replica.db().journal(1).into_iter().flatten().map(|entry| match entry {
            Ok(entry) => {
                format!("entry {} at {}: {:?}", entry.index, entry.first_seq, entry.batch.producer())
            }
            Err(error) => error.to_string(),
        });
        let journal: Vec<String> = entries.collect();
        let Some((of, before)) = &first else {
            first = Some((replica.node_id(), journal));
            continue;
        };
        if let Some((ours, theirs)) = journal.iter().zip(before).find(|(ours, theirs)| ours != theirs) {
            return format!("node {of} has {theirs}, node {} has {ours}", replica.node_id());
        }
    }
    "as far as they go, the journals are the same".to_owned()
}

impl Cluster {
    /// **O1** and **O3**, on every node: in its rows, and in its journal as far back as that goes.
    pub(super) fn check_journals(&self) -> Result<(), String> {
        for server in &self.servers {
            let contact = server.contact().ok_or("every node runs at the end")?;
            let db = contact.node.replica().db();
            self.check_rows(db)
                .and_then(|rows| Ok((rows, self.check_journal(db)?)))
                .map(|(rows, batches)| {
                    let node_id = server.node_id;
                    self.log
                        .line(format_args!("node {node_id}: {rows} rows, {batches} batches in its journal"));
                })
                .map_err(|reason| format!("node {}: {reason}", server.node_id))?;
        }
        Ok(())
    }

    /// Every row that is there, by its sequence number, is that of a batch that was sent, in its place; every batch that has a
    /// receipt is there. How many rows there are.
    fn check_rows(&self, db: &tapebook::Db) -> Result<u64, String> {
        let snapshot = db.snapshot();
        let mut prices = BTreeMap::new();
        for row in snapshot.scan_table(Trade::ID, TimeRange::ALL) {
            let row = row.map_err(|error| error.to_string())?;
            let (seq, price) =
                (row.seq(), Record::<Trade<'static>>::new(row).and_then(|trade| trade.price()));
            if prices.insert(seq, price.unwrap_or_default()).is_some() {
                return Err(format!("O3: two rows have sequence {seq}"));
            }
        }
        let (last_seq, rows) = (snapshot.visible_seq(), prices.len() as u64);
        if prices.keys().copied().ne(1..=last_seq) {
            return Err(format!("O3: {rows} rows, not one for each sequence up to {last_seq}"));
        }
        self.told.with(|writes| {
            for ((producer, number), receipt) in &writes.receipts {
                let expected = (producer * 1_000_000 + number) as f64;
                let found =
                    prices.range(receipt.first_seq..=receipt.last_seq).all(|(_, price)| *price == expected);
                if !found || receipt.last_seq > last_seq {
                    let at = receipt.first_seq;
                    return Err(format!(
                        "O1: batch {number} of producer {producer} was acknowledged at {at}, and is not there"
                    ));
                }
            }
            Ok(rows)
        })
    }

    /// How many batches there are in the journal.
    fn check_journal(&self, db: &tapebook::Db) -> Result<u64, String> {
        // A snapshot of another node takes the place of what was before it.
        let (mut next_seq, journal) = match db.journal(1) {
            Err(JournalError::Gone { first_seq, .. }) if first_seq > db.last_seq() => return Ok(0),
            Err(JournalError::Gone { first_seq, .. }) => (first_seq, db.journal(first_seq)),
            journal => (1, journal),
        };
        let from_seq = next_seq;
        let mut found = BTreeMap::new();
        for entry in journal.map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            let producer = entry.batch.producer();
            let place = (producer.id, producer.batch_number);
            if entry.first_seq != next_seq {
                return Err(format!("O3: sequence {} follows {}", entry.first_seq, next_seq - 1));
            }
            next_seq += entry.batch.len() as u64;
            let sent = self.told.with(|writes| writes.sent.get(&producer.id).copied().unwrap_or(0));
            if producer.batch_number > sent || entry.batch.bytes()[..] != batch(place.0, place.1).bytes()[..]
            {
                return Err(format!("O3: batch {} of producer {} was never sent so", place.1, place.0));
            }
            if found.insert(place, entry.first_seq).is_some() {
                return Err(format!("O3: batch {} of producer {} is there twice", place.1, place.0));
            }
        }
        self.told.with(|writes| {
            for ((producer, number), receipt) in writes.receipts.iter().filter(|(_, receipt)| receipt.first_seq >= from_seq) {
                match found.get(&(*producer, *number)) {
                    Some(first_seq) if *first_seq == receipt.first_seq => {}
                    other => {
                        return Err(format!(
                            "O1: batch {number} of producer {producer} was acknowledged at {}, and is at {other:?}",
                            receipt.first_seq
                        ));
                    }
                }
            }
            Ok(found.len() as u64)
        })
    }
}
