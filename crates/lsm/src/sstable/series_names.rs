//! Where in the directory a series stands, by its table and name.
//!
//! The directory is sorted, and a binary search over a thousand names takes as many misses of the cache as a whole point
//! read should. This table of hashes takes one. It is made when it is first asked, in memory alone.

use tapebook_record::TableId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::directory::SeriesEntry;

/// Open addressing with linear probing, at most half full. A slot holds the upper half of the hash above the position
/// in the directory plus one; 0 is an empty slot.
#[derive(Debug)]
pub(super) struct SeriesNames {
    slots: Box<[u64]>,
}

impl SeriesNames {
    /// Takes in the directory's entries, in their order; `names` holds the names that they speak of.
    pub(super) fn new(entries: impl ExactSizeIterator<Item = SeriesEntry>, names: &[u8]) -> Self {
        let mut slots = vec![0; (entries.len() * 2).next_power_of_two().max(2)].into_boxed_slice();
        for (position, entry) in entries.enumerate() {
            let hash = hash(entry.table, names.get(entry.name_range()).unwrap_or_default());
            let mut at = hash as usize & (slots.len() - 1);
            while slots[at] != 0 {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = tag(hash) | (position as u64 + 1);
        }
        Self { slots }
    }

    /// The position that `is_it` recognises among those whose hash fits.
    #[inline]
    pub(super) fn find(&self, table: TableId, name: &str, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let hash = hash(table, name.as_bytes());
        let mut at = hash as usize & (self.slots.len() - 1);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            let position = (slot as u32) as usize - 1;
            if slot & TAG == tag(hash) && is_it(position) {
                return Some(position);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

const TAG: u64 = !(u32::MAX as u64);

fn tag(hash: u64) -> u64 {
    hash & TAG
}

fn hash(table: TableId, name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, u64::from(table.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other_one() {
        for count in [0, 1, 2, 3, 1_000] {
            let mut names = Vec::new();
            let entries: Vec<SeriesEntry> = (0..count)
                .map(|number| {
                    let name = format!("SYM{}", number / 2);
                    let bytes = [0; super::super::directory::SERIES_ENTRY_BYTES];
                    let entry = SeriesEntry {
                        table: TableId(number % 2),
                        name_offset: names.len() as u32,
                        name_length: name.len() as u16,
                        ..SeriesEntry::read(&bytes)
                    };
                    names.extend_from_slice(name.as_bytes());
                    entry
                })
                .collect();
            let by_name = SeriesNames::new(entries.iter().copied(), &names);
            let find = |table, name: &str| {
                by_name.find(table, name, |at| {
                    entries[at].table == table && names[entries[at].name_range()] == *name.as_bytes()
                })
            };
            for number in 0..count + 2 {
                let expected = (number < count).then_some(usize::from(number));
                assert_eq!(find(TableId(number % 2), &format!("SYM{}", number / 2)), expected);
                assert_eq!(find(TableId(7), &format!("SYM{}", number / 2)), None);
            }
        }
    }
}
