//! The payload of the log entry that declares a feed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook::FeedDeclaration;

fuzz_target!(|bytes: &[u8]| {
    match FeedDeclaration::decode(bytes) {
        Ok(entry) => {
            assert!(entry.producer > 0);
            assert_eq!(entry.encode(), bytes, "an entry has only one form");
        }
        Err(error) => drop(error.to_string()),
    }
});
