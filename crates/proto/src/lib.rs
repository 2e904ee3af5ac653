//! The network protocol: messages and services of package `tapebook.v1`, generated from `proto/`.
//!
//! *Boundary*: nothing but what is on the wire. What a message means to a database is the server's business, and what it
//! means to a program the client's.

#![forbid(unsafe_code)]

mod refusal;

/// Package `tapebook.v1`.
#[allow(missing_docs, clippy::pedantic, reason = "generated; the .proto files say what each item means")]
pub mod v1 {
    tonic::include_proto!("tapebook.v1");
}

/// The descriptors of every message and service, as reflection hands them out.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");
