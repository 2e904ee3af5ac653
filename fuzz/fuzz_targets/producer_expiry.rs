//! The payload of the log entry that expires producers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook::{EXPIRIES_MAX, ProducerExpiry};

fuzz_target!(|bytes: &[u8]| {
    match ProducerExpiry::decode(bytes) {
        Ok(entry) => {
            assert!((1..=EXPIRIES_MAX).contains(&entry.expiries.len()));
            assert!(entry.expiries.is_sorted_by(|a, b| a.producer < b.producer));
            assert_eq!(entry.encode(), bytes, "an entry has only one form");
        }
        Err(error) => drop(error.to_string()),
    }
});
