//! The server: one database, reached over the network by many.
//!
//! [`Server::start`] binds two ports. gRPC ([`journal`], [`admin`], [`flight`]) is the way of programs;
//! HTTP ([`http`]) is for people, probes and metrics. Whoever comes is known by certificate or token before anything is done ([`access`]), and every call is checked.
//! What is malformed, slow, endless or too large is refused within a bound ([`Limits`]) before a service sees it (`listen`).
//!
//! *Invariant*: a receipt leaves the server only after the engine has said that the batch is durable.
//! *Boundary*: only this crate and `tapebook-proto` know wire formats. What is durable, in order and visible is the engine's
//! business; what SQL means is `tapebook-query`'s.

#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
pub mod cluster;
pub mod flight;
mod gate;
pub mod http;
pub mod journal;
mod lifecycle;
mod limits;
mod listen;
pub mod metrics;
mod node;
mod options;
pub mod queries;
mod serve;
mod threads;
pub mod tls;
mod waiting;

pub use gate::Gate;
pub use lifecycle::{Lifecycle, Phase};
pub use limits::Limits;
pub use node::Node;
pub use options::{Authentication, Exposed, ServerOptions};
pub use serve::{Server, StartError};
