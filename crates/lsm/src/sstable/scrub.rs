//! Checksums of a file that is in use, read again.

use super::error::TableError;
use super::layout::PAGE_BYTES;
use super::table::Table;

impl Table {
    /// Verifies the checksum of every block and of every page of filters and id indexes again, also of those that were
    /// verified before. `pace` is told the bytes of each before it is read; where it answers false, checking ends.
    ///
    /// True where all of it was checked. The rest of the file was checked when it was opened and is not read again.
    pub fn scrub(&self, mut pace: impl FnMut(u64) -> bool) -> Result<bool, TableError> {
        for number in 0..self.block_count() {
            let index = self.block_entry(number);
            if !pace(index.length.into()) {
                return Ok(false);
            }
            let start = index.offset as usize;
            self.verify_block(number, &index, &self.source[start..start + index.length as usize])?;
        }
        for column in &self.id_columns {
            let filter = (column.first_page, column.filter_offset, column.filter_length);
            let index_page = column.first_page + column.filter_pages() as u32;
            let index = (index_page, column.index_offset, column.index_length);
            for (first_page, offset, length) in [filter, index] {
                let bytes = &self.source[offset as usize..(offset + length) as usize];
                for (at, page) in bytes.chunks(PAGE_BYTES).enumerate() {
                    if !pace(page.len() as u64) {
                        return Ok(false);
                    }
                    self.verify_page(first_page + at as u32, offset + (at * PAGE_BYTES) as u64, page)?;
                }
            }
        }
        Ok(true)
    }
}
