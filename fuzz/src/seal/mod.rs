//! Gives bytes the checksums that a writer would have given them. What cannot be sealed is left as it is.

mod archive;
mod backup;
mod batch;
mod history;
mod log;
mod manifest;
mod state;
mod table;

pub use archive::{archive, archive_of};
pub use backup::backup;
pub use batch::batch;
pub use history::{Tail, history};
pub use log::{frame, mark, segment_footer, segment_header};
pub use manifest::{manifest, preamble};
pub use state::state;
pub use table::table;

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(field.len())) {
        place.copy_from_slice(field);
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).map(|field| u32::from_le_bytes(field) as usize)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<usize> {
    array(bytes, at).and_then(|field| usize::try_from(u64::from_le_bytes(field)).ok())
}

/// `length` bytes at `offset`, `None` where they lie outside.
fn part(bytes: &[u8], offset: usize, length: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(length)?)
}
