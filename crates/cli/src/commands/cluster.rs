//! `tapebook cluster`: what the nodes do that keep one journal, and who belongs to them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use tapebook::Options;
use tapebook::replica::{NewReplica, found_cluster, recover_alone};
use tapebook_client::{ClientError, ClusterAdmin, Member, NodeState};
use tapebook_vfs::RealVfs;

use crate::args::Shared;
use crate::connect;
use crate::data_dir::DataDir;
use crate::error::CliError;
use crate::host_port;
use crate::output::OutputArgs;
use crate::remote::RemoteArgs;

/// Arguments of `tapebook cluster`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Any node may be asked; changes go on to the one that leads. With several addresses in --url the first that \
                        answers is asked."
)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Shows what each node does and how far it is behind
    Status(StatusArgs),
    /// Takes a node in that waits at an address to join; it follows without a vote
    Add {
        #[command(flatten)]
        node: NodeArg,
        #[command(flatten)]
        at: AddressArg,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Waits until a node has caught up, and gives it a vote
    Promote {
        #[command(flatten)]
        node: NodeArg,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Takes a node out; its id is never used again
    Remove {
        #[command(flatten)]
        node: NodeArg,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Takes a node out and another one in, which waits to join and votes before the old one goes
    Replace {
        #[command(flatten)]
        node: NodeArg,
        #[command(flatten)]
        at: AddressArg,
        /// The id of the node in its place
        #[arg(long, value_name = "NODE_ID", value_parser = clap::value_parser!(u64).range(1..))]
        by: u64,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Makes an empty data directory the only node of a new cluster; `serve` does so by itself for node 1
    Init {
        /// The id of the node, from 1
        #[arg(long, value_name = "NODE_ID", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        node_id: u64,
    },
    /// Where the majority is lost for ever: the node of the data directory goes on alone, with what it has. The others must never
    /// be started again
    Recover {
        /// The id of the node that goes on; said again so that it is the right one
        #[arg(long, value_name = "NODE_ID", value_parser = clap::value_parser!(u64).range(1..))]
        node_id: u64,
    },
    /// Has another node lead
    Transfer {
        /// Which one [default: whichever is best up to date]
        #[arg(value_name = "NODE_ID", value_parser = clap::value_parser!(u64).range(1..))]
        node_id: Option<u64>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, clap::Args)]
struct NodeArg {
    /// The id of the node, from 1
    #[arg(value_name = "NODE_ID", value_parser = clap::value_parser!(u64).range(1..))]
    node_id: u64,
}

#[derive(Debug, clap::Args)]
struct AddressArg {
    /// Where the new node is, for the other nodes and for clients
    #[arg(value_name = "HOST:PORT", value_parser = host_port::parse)]
    address: String,
}

pub(crate) fn run(shared: &Shared, args: &ClusterArgs) -> Result<(), CliError> {
    let done = match &args.action {
        Action::Status(args) => return status(args),
        Action::Init { node_id } => init(&shared.data_dir(), *node_id)?,
        Action::Recover { node_id } => recover(&shared.data_dir(), *node_id)?,
        Action::Add { node: NodeArg { node_id }, at, remote } => {
            let members = ask(remote, async |cluster| cluster.add(*node_id, &at.address).await)?;
            format!("node {node_id} follows; {}", in_words(&members))
        }
        Action::Promote { node: NodeArg { node_id }, remote } => {
            let members = ask(remote, async |cluster| cluster.promote(*node_id).await)?;
            format!("node {node_id} votes; {}", in_words(&members))
        }
        Action::Remove { node: NodeArg { node_id }, remote } => {
            let members = ask(remote, async |cluster| cluster.remove(*node_id).await)?;
            format!("node {node_id} is out; {}", in_words(&members))
        }
        Action::Replace { node: NodeArg { node_id }, at, by, remote } => {
            let members = ask(remote, async |cluster| cluster.replace(*node_id, *by, &at.address).await)?;
            format!("node {by} is in the place of node {node_id}; {}", in_words(&members))
        }
        Action::Transfer { node_id, remote } => {
            let leader = ask(remote, async |cluster| cluster.transfer(*node_id).await)?;
            format!("node {leader} leads")
        }
    };
    shared.log(done);
    Ok(())
}

fn init(data: &DataDir, node_id: u64) -> Result<String, CliError> {
    let path = data.path().display();
    if let Some(there) = NewReplica::existing(&RealVfs::new(), data.path()).map_err(CliError::failed)? {
        return Err(CliError::failed(format!(
            "{path}: node {} of cluster {:032x} is there already",
            there.node_id, there.cluster_id
        )));
    }
    let options = data.options(Options::default());
    let cluster_id = found_cluster(data.path(), options, node_id).map_err(CliError::failed)?;
    Ok(format!("{path}: node {node_id} of the new cluster {cluster_id:032x}"))
}

fn recover(data: &DataDir, node_id: u64) -> Result<String, CliError> {
    let path = data.path().display();
    let there = NewReplica::existing(&RealVfs::new(), data.path()).map_err(CliError::failed)?;
    match there {
        None => return Err(CliError::failed(format!("{path}: there is no node"))),
        Some(there) if there.node_id != node_id => {
            return Err(CliError::failed(format!(
                "{path}: node {} is there, not node {node_id}",
                there.node_id
            )));
        }
        Some(_) => {}
    }
    let recovered = recover_alone(data.path(), data.options(Options::default())).map_err(CliError::failed)?;
    let lost: Vec<String> =
        recovered.lost.iter().map(|member| format!("{} at {}", member.node_id, member.address)).collect();
    Ok(format!(
        "{path}: node {node_id} is alone in the new epoch {}, with everything up to sequence {}. What only {} had is lost; entries {} to {} may not have \
         been acknowledged and stay. Never start the others again: add new nodes with --join",
        recovered.epoch,
        recovered.last_seq,
        lost.join(", "),
        recovered.committed.index + 1,
        recovered.last.index
    ))
}

/// Asks a server for something that is about its cluster.
fn ask<T>(
    remote: &RemoteArgs,
    ask: impl AsyncFnOnce(ClusterAdmin) -> Result<T, ClientError>,
) -> Result<T, CliError> {
    let (runtime, client) = connect::connect(connect::required(remote)?)?;
    runtime.block_on(ask(client.cluster())).map_err(CliError::failed)
}

fn in_words(members: &[Member]) -> String {
    let in_words = |Member { node_id, address, votes }: &Member| {
        format!("{node_id} at {address}{}", if *votes { "" } else { " without a vote" })
    };
    format!("members: {}", members.iter().map(in_words).collect::<Vec<_>>().join(", "))
}

fn status(args: &StatusArgs) -> Result<(), CliError> {
    args.output.check()?;
    let status = ask(&args.remote, async |cluster| cluster.status().await)?;
    let rows = rows(&status.nodes).map_err(CliError::failed)?;
    let mut writer = args.output.begin(&rows.schema())?;
    let place = args.output.place();
    let written = writer.write(&rows).and_then(|()| writer.finish());
    written.map_err(|error| error.at(&place))?.commit()
}

/// One row for each node; what is not known of it is NULL.
fn rows(nodes: &[NodeState]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let texts = |of: fn(&NodeState) -> Option<String>| -> ArrayRef {
        Arc::new(nodes.iter().map(of).collect::<StringArray>())
    };
    let numbers = |of: fn(&NodeState) -> Option<u64>| -> ArrayRef {
        Arc::new(nodes.iter().map(of).collect::<UInt64Array>())
    };
    let seconds = |of: fn(&NodeState) -> Option<f64>| -> ArrayRef {
        Arc::new(nodes.iter().map(of).collect::<Float64Array>())
    };
    RecordBatch::try_from_iter_with_nullable([
        ("node_id", numbers(|node| Some(node.node_id)), false),
        ("address", texts(|node| Some(node.address.clone()).filter(|address| !address.is_empty())), true),
        ("role", texts(|node| node.role.map(|role| role.to_string())), true),
        ("term", numbers(|node| node.term), true),
        ("last_index", numbers(|node| node.last_index), true),
        ("commit_index", numbers(|node| node.commit_index), true),
        ("applied_index", numbers(|node| node.applied_index), true),
        ("applied_seq", numbers(|node| node.applied_seq), true),
        ("lag_records", numbers(|node| node.lag_records), true),
        ("lag_seconds", seconds(|node| node.lag_seconds), true),
        ("last_contact_seconds", seconds(|node| node.last_contact_seconds), true),
        ("problem", texts(|node| node.problem.clone()), true),
        ("rolling_hash", texts(|node| node.rolling_hash.map(in_hex)), true),
    ])
}

fn in_hex(hash: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(hash))
}

#[cfg(test)]
mod tests {
    use tapebook_client::NodeRole;

    use super::*;
    use crate::output::rows_as_text;

    #[test]
    fn a_node_is_a_row_and_what_is_not_known_is_null() {
        let silent = NodeState {
            node_id: 2,
            address: "b:7700".to_owned(),
            role: None,
            term: None,
            last_index: None,
            commit_index: None,
            applied_index: None,
            applied_seq: None,
            lag_records: None,
            lag_seconds: None,
            last_contact_seconds: Some(1.5),
            problem: Some("no answer".to_owned()),
            rolling_hash: None,
        };
        let leader = NodeState {
            node_id: 1,
            role: Some(NodeRole::Leader),
            term: Some(4),
            lag_records: Some(0),
            problem: None,
            rolling_hash: Some([0x0a; 16]),
            ..silent.clone()
        };
        let rows = rows(&[leader, silent]).unwrap();
        assert_eq!(rows.column_by_name("term").unwrap().null_count(), 1);
        let text = rows_as_text(&[rows]).unwrap();
        let hash = "0a".repeat(16);
        assert_eq!(text[0], ["1", "b:7700", "leader", "4", "", "", "", "", "0", "", "1.5", "", &hash]);
        assert_eq!(text[1], ["2", "b:7700", "", "", "", "", "", "", "", "", "1.5", "no answer", ""]);
    }

    #[test]
    fn members_are_told_with_their_places_and_who_has_no_vote() {
        let member = |node_id, address: &str, votes| Member { node_id, address: address.to_owned(), votes };
        let members = [member(1, "a:7700", true), member(4, "d:7700", false)];
        assert_eq!(in_words(&members), "members: 1 at a:7700, 4 at d:7700 without a vote");
    }
}
