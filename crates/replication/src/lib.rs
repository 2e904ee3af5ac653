//! One journal on several nodes.
//!
//! Each node has a [`Replica`](tapebook::replica::Replica): a database that logs what a leader sends and applies what a majority
//! has. This crate decides which that is. The decisions are Raft's, as the library openraft makes them; none of its types leaves
//! the crate. Entries are the log's own frames and the engine's own batches, and are never encoded again.
//!
//! How bytes get to another node is a [`Transport`], so that a server speaks gRPC and a simulation does not; the time, the disk and
//! chance are made up in a simulation, too, and the code is the same.

#![forbid(unsafe_code)]

mod disk;
mod entry;
mod intake;
mod log_store;
mod messages;
mod network;
mod node;
mod options;
mod raft;
mod runtime;
mod state_machine;
mod status;
mod transport;

pub use tapebook_wal::{EntryKind, LogId, Vote};

pub use disk::{Disk, SyncTime};
pub use messages::{AppendAnswer, AppendRequest, TransferRequest, VoteAnswer, VoteRequest};
pub use node::Node;
pub use options::NodeOptions;
pub use status::{Follower, NodeError, NodeStatus, Role};
pub use transport::{Lane, Peer, PeerError, SILENCE_MAX, Transport};
