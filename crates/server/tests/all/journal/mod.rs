//! The journal over the network: a real database, a real connection on loopback, and clients of both kinds, the one that users
//! have and one that can say whatever the protocol allows.

mod access;
mod append;
mod crash;
mod examples;
mod filter;
mod producer;
mod read;
mod slow;
mod subscribe;
mod support;
