//! The database as a whole: one binary, one scenario to a file.

mod archive;
mod backpressure;
mod backup;
mod basics;
mod checkpoint;
mod clients;
mod crash;
mod damage;
mod faults;
mod feeds;
mod follow;
mod hook;
mod model;
mod pinned;
mod producers;
mod random;
mod readers;
mod replay;
mod replica;
mod retention;
mod retraction_crash;
mod retractions;
mod rows;
mod scrub;
mod support;
mod syncs;
