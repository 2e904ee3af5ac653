//! The payload of the log entry that says who belongs to the cluster.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook::Membership;

fuzz_target!(|bytes: &[u8]| {
    match Membership::decode(bytes) {
        Ok(membership) => {
            assert!(membership.members.is_sorted_by(|a, b| a.node_id < b.node_id));
            assert_eq!(membership.encode(), bytes, "a membership has only one form");
        }
        Err(error) => drop(error.to_string()),
    }
});
