//! What the server adds to schema `sys`: the nodes of the cluster, and who follows the journal.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::record_batch::RecordBatch;
use futures::FutureExt;
use futures::future::BoxFuture;
use tapebook::Db;
use tapebook_proto::v1::{NodeRole, NodeState};
use tapebook_query::SystemSource;

use crate::cluster::Cluster;
use crate::journal::{SubscriberState, Subscribers};

/// `sys.nodes`.
#[derive(Debug)]
pub(crate) struct Nodes(pub Arc<Cluster>);

/// `sys.subscribers`.
#[derive(Debug)]
pub(crate) struct Following {
    pub db: Arc<Db>,
    pub subscribers: Arc<Subscribers>,
}

/// Whether a column can be NULL must not depend on whether it is: clients were told before.
fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, String> {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| error.to_string())
}

impl SystemSource for Nodes {
    fn name(&self) -> &'static str {
        "nodes"
    }

    fn rows(&self) -> BoxFuture<'_, Result<RecordBatch, String>> {
        async { nodes(&self.0.states().await) }.boxed()
    }
}

fn nodes(states: &[NodeState]) -> Result<RecordBatch, String> {
    // A node that did not answer has told nothing.
    let number = |value: fn(&NodeState) -> u64| -> ArrayRef {
        let told = |state: &NodeState| (state.role() != NodeRole::Unspecified).then(|| value(state));
        Arc::new(states.iter().map(told).collect::<UInt64Array>())
    };
    let text = |value: fn(&NodeState) -> Option<String>| -> ArrayRef {
        Arc::new(states.iter().map(value).collect::<StringArray>())
    };
    let seconds = |value: fn(&NodeState) -> Option<f64>| -> ArrayRef {
        Arc::new(states.iter().map(value).collect::<Float64Array>())
    };
    let hash = |state: &NodeState| {
        let digits = state.rolling_hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Some(digits).filter(|digits| !digits.is_empty())
    };
    batch(vec![
        ("node_id", Arc::new(UInt64Array::from_iter_values(states.iter().map(|state| state.node_id)))),
        ("address", text(|state| Some(state.address.clone()))),
        ("role", text(|state| role(state.role()).map(str::to_owned))),
        ("term", number(|state| state.term)),
        ("last_index", number(|state| state.last_index)),
        ("commit_index", number(|state| state.commit_index)),
        ("applied_index", number(|state| state.applied_index)),
        ("applied_seq", number(|state| state.applied_seq)),
        ("lag_records", Arc::new(states.iter().map(|state| state.lag_records).collect::<UInt64Array>())),
        ("lag_seconds", seconds(|state| state.lag_seconds)),
        ("last_contact_seconds", seconds(|state| state.last_contact_seconds)),
        ("problem", text(|state| Some(state.problem.clone()).filter(|problem| !problem.is_empty()))),
        ("rolling_hash", text(hash)),
    ])
}

fn role(role: NodeRole) -> Option<&'static str> {
    match role {
        NodeRole::Leader => Some("leader"),
        NodeRole::Follower => Some("follower"),
        NodeRole::Candidate => Some("candidate"),
        NodeRole::Learner => Some("learner"),
        NodeRole::Unspecified => None,
    }
}

impl SystemSource for Following {
    fn name(&self) -> &'static str {
        "subscribers"
    }

    fn rows(&self) -> BoxFuture<'_, Result<RecordBatch, String>> {
        async { subscribers(&self.subscribers.states(self.db.last_seq())) }.boxed()
    }
}

fn subscribers(states: &[SubscriberState]) -> Result<RecordBatch, String> {
    let number = |value: fn(&SubscriberState) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(states.iter().map(value)))
    };
    let text = |value: fn(&SubscriberState) -> Option<String>| -> ArrayRef {
        Arc::new(states.iter().map(value).collect::<StringArray>())
    };
    let since = TimestampNanosecondArray::from_iter_values(states.iter().map(|state| state.since));
    batch(vec![
        ("subscriber_id", number(|state| state.id)),
        ("name", text(|state| Some(state.name.to_string()))),
        ("address", text(|state| state.address.map(|address| address.to_string()))),
        ("tables", text(|state| Some(state.tables.join(",")))),
        ("symbols", number(|state| state.symbols as u64)),
        ("since", Arc::new(since.with_timezone("UTC"))),
        ("next_seq", number(|state| state.next_seq)),
        ("lag", number(|state| state.lag)),
        ("credit", Arc::new(Int64Array::from_iter_values(states.iter().map(|state| state.credit)))),
        ("live", Arc::new(BooleanArray::from_iter(states.iter().map(|state| Some(state.live))))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_has_not_answered_has_no_numbers() {
        let silent = NodeState { node_id: 2, problem: "no answer".to_owned(), ..NodeState::default() };
        let there = NodeState { node_id: 1, term: 7, role: NodeRole::Leader.into(), ..NodeState::default() };
        let rows = nodes(&[there, silent]).unwrap();
        let term = rows.column_by_name("term").unwrap();
        assert!(!term.is_null(0) && term.is_null(1));
        assert_eq!(nodes(&[]).unwrap().schema(), rows.schema());
    }
}
