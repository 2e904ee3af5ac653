//! Clusters of real processes, and what may happen to them.
//!
//! Producers write the whole time; then faults stop, and it is checked that nothing that was acknowledged is lost, nothing is there
//! twice or was never sent, and all nodes hold the same.
//!
//! A normal run is short. `TAPEBOOK_CLUSTER_ROUNDS=200 cargo test -p tapebook-cli --test all cluster` has so many rounds of every
//! fault. As root each node lives in a network namespace of its own, and links are cut; otherwise, or with
//! `TAPEBOOK_CLUSTER_NETWORK=loopback`, the scenarios that cut links say that they pause nodes instead.
//!
//! How long there is no leader when one is killed is measured by `failover`, which runs only when it is asked for.

mod disk_full;
mod failover;
mod grow;
mod kill;
mod partition;
mod pause;
mod recover;
mod refusals;
mod support;
