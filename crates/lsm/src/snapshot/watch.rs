//! A long scan looks from time to time whether its snapshot may still be read.

use super::{ReadError, Snapshot};

/// Rows between two looks: seldom enough to cost nothing, often enough to end a scan within microseconds.
const ROWS: u32 = 1024;

/// Whose snapshot a scan reads, where it reads one.
#[derive(Default)]
pub(super) struct Watch<'a> {
    snapshot: Option<&'a Snapshot>,
    rows: u32,
}

impl<'a> Watch<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        Self { snapshot: Some(snapshot), rows: 0 }
    }

    /// Counts a row; true where it is time to look.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        self.rows = self.rows.wrapping_add(1);
        self.rows.is_multiple_of(ROWS)
    }

    #[cold]
    pub(super) fn look(&self) -> Result<(), ReadError> {
        self.snapshot.map_or(Ok(()), Snapshot::check_held)
    }
}
