//! The payload of a retraction's log entry.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tapebook::{REASON_BYTES_MAX, RetractionEntry};

fuzz_target!(|bytes: &[u8]| {
    match RetractionEntry::decode(bytes) {
        Ok(entry) => {
            let (RetractionEntry::Retract { reason, .. } | RetractionEntry::Undo { reason, .. }) = &entry;
            assert!(reason.len() <= REASON_BYTES_MAX && !reason.contains('\n'));
            if let RetractionEntry::Retract { seqs, reason, .. } = &entry {
                assert!(seqs.is_sane() && !reason.is_empty());
            }
            assert_eq!(entry.encode(), bytes, "an entry has only one form");
        }
        Err(error) => drop(error.to_string()),
    }
});
