//! How the key-value engines keep a record: the key `(table, symbol, ts, seq)` as bytes that sort like it, and the row.
//!
//! The symbol is a `u32` given in the order of the names, which a program that knows all its symbols before can do; it is
//! shorter than a name and sorts alike. An id leads to its row through an entry with a shorter key, which is what a
//! secondary index on these engines looks like.

/// Bytes of a row's key.
pub const ROW_KEY_BYTES: usize = 22;
/// Bytes of an id's key.
pub const ID_KEY_BYTES: usize = 10;
/// What stands before the row in a value: `recv_ts`, `feed_seq`, layout version (a byte is enough here) and flags.
pub const VALUE_HEAD_BYTES: usize = 18;
/// The first two bytes of the keys of ids; tables are numbered from 1.
const IDS: u16 = 0;

/// The key of a row.
pub type RowKey = [u8; ROW_KEY_BYTES];
/// The key of an id.
pub type IdKey = [u8; ID_KEY_BYTES];
/// What an id leads to: the key of its row without the table.
pub type IdValue = [u8; ROW_KEY_BYTES - 2];

/// The key of a row; times sort as signed numbers.
pub fn row_key(table: u16, symbol: u32, ts: i64, seq: u64) -> RowKey {
    let mut key = [0; ROW_KEY_BYTES];
    key[..2].copy_from_slice(&table.to_be_bytes());
    key[2..6].copy_from_slice(&symbol.to_be_bytes());
    key[6..14].copy_from_slice(&(ts as u64 ^ 1 << 63).to_be_bytes());
    key[14..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The time in the key of a row.
#[inline]
pub fn ts_of(key: &[u8]) -> i64 {
    (u64_at(key, 6) ^ 1 << 63) as i64
}

/// The sequence number in the key of a row.
#[inline]
pub fn seq_of(key: &[u8]) -> u64 {
    u64_at(key, 14)
}

/// The key of an id.
pub fn id_key(id: u64) -> IdKey {
    let mut key = [0; ID_KEY_BYTES];
    key[..2].copy_from_slice(&IDS.to_be_bytes());
    key[2..].copy_from_slice(&id.to_be_bytes());
    key
}

/// What an id leads to.
pub fn id_value(row: &RowKey) -> IdValue {
    let mut value = [0; ROW_KEY_BYTES - 2];
    value.copy_from_slice(&row[2..]);
    value
}

/// The key of the row that an id leads to; `None` where the value has another length.
#[inline]
pub fn row_of_id(table: u16, value: &[u8]) -> Option<RowKey> {
    let mut key = [0; ROW_KEY_BYTES];
    key[..2].copy_from_slice(&table.to_be_bytes());
    if value.len() != ROW_KEY_BYTES - 2 {
        return None;
    }
    key[2..].copy_from_slice(value);
    Some(key)
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::{id_key, id_value, row_key, row_of_id, seq_of, ts_of};

    #[test]
    fn keys_sort_like_what_they_are_made_of() {
        let parts = [
            (1, 0, -5, 9),
            (1, 0, 0, 1),
            (1, 0, 7, 1),
            (1, 0, 7, 2),
            (1, 1, -9, 1),
            (1, 256, 0, 1),
            (2, 0, 0, 1),
        ];
        let keys = parts.map(|(table, symbol, ts, seq)| row_key(table, symbol, ts, seq));
        assert!(keys.is_sorted());
        for ((_, _, ts, seq), key) in parts.iter().zip(&keys) {
            assert_eq!((ts_of(key), seq_of(key)), (*ts, *seq));
        }
        assert!(id_key(u64::MAX).as_slice() < keys[0].as_slice());
        assert!(id_key(255) < id_key(256));
    }

    #[test]
    fn an_id_leads_to_its_row() {
        let key = row_key(1, 70_000, 1_723_161_600_000_000_000, 42);
        assert_eq!(row_of_id(1, &id_value(&key)), Some(key));
        assert_eq!(row_of_id(1, &[0; 3]), None);
    }
}
