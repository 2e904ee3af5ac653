//! The fixed structures of a batch: its header and the header of each row.

use crate::crc32c;
use crate::schema::TableId;
use crate::slot::{i64_at, u32_at, u64_at};

pub(super) const MAGIC: [u8; 4] = *b"TBKB";
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const ROW_HEADER_BYTES: usize = 40;
/// The checksum covers everything behind itself.
pub(super) const CRC_COVERS_FROM: usize = 8;

/// Who wrote a batch, and which of his batches it is: what makes a retry exactly once.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Producer {
    /// The producer's id; 0 for none, then nothing is recognised as a duplicate.
    pub id: u64,
    /// Grows each time the producer starts anew; an older one is fenced off.
    pub epoch: u32,
    /// The batch's number within the epoch, from 1 without gaps.
    pub batch_number: u64,
}

/// The first 64 bytes of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchHeader {
    /// CRC-32C of everything that follows the checksum.
    pub crc: u32,
    /// The format version.
    pub format: u16,
    /// No flag has a meaning yet; must be 0.
    pub flags: u16,
    /// Length of the whole batch in bytes.
    pub length: u32,
    /// Number of rows.
    pub count: u32,
    /// Number of names in the dictionary.
    pub symbol_count: u32,
    /// Where the row headers begin.
    pub row_headers_offset: u32,
    /// Where the rows begin.
    pub rows_offset: u32,
    /// Who wrote it.
    pub producer: Producer,
}

impl BatchHeader {
    /// Reads the fields; `None` where the bytes are too short or do not begin like a batch. Nothing else is
    /// checked here.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || bytes[..4] != MAGIC {
            return None;
        }
        let lengths = u32_at(bytes, 8);
        Some(Self {
            crc: u32_at(bytes, 4),
            format: lengths as u16,
            flags: (lengths >> 16) as u16,
            length: u32_at(bytes, 12),
            count: u32_at(bytes, 16),
            symbol_count: u32_at(bytes, 20),
            row_headers_offset: u32_at(bytes, 24),
            rows_offset: u32_at(bytes, 28),
            producer: Producer {
                id: u64_at(bytes, 32),
                epoch: u32_at(bytes, 40),
                batch_number: u64_at(bytes, 48),
            },
        })
    }

    /// Writes the header of a batch whose other bytes are all there, with their checksum.
    pub(super) fn seal(mut self, bytes: &mut [u8]) -> Self {
        self.write(bytes);
        self.crc = crc32c(&bytes[CRC_COVERS_FROM..]);
        self.write(bytes);
        self
    }

    fn write(&self, bytes: &mut [u8]) {
        bytes[..HEADER_BYTES].fill(0);
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.format.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.count.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.symbol_count.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.row_headers_offset.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.rows_offset.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.producer.id.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.producer.epoch.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.producer.batch_number.to_le_bytes());
    }

    /// True where the bytes whose meaning is not given yet are zero.
    pub(super) fn reserved_is_zero(bytes: &[u8]) -> bool {
        bytes[44..48].iter().chain(&bytes[56..64]).all(|byte| *byte == 0)
    }
}

/// What stands before every row, apart from it: key, times and place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RowHeader {
    /// The row's table.
    pub table: TableId,
    /// The layout version of the row.
    pub layout: u16,
    /// Position of the symbol's name in the batch's dictionary.
    pub symbol: u32,
    /// Event time, nanoseconds since the epoch, UTC.
    pub ts: i64,
    /// Time of receipt, or `i64::MIN` for NULL.
    pub recv_ts: i64,
    /// The feed's own number; 0 where the flag says that there is none.
    pub feed_seq: u64,
    /// Where the row begins, from the start of the batch.
    pub offset: u32,
    /// Bytes of the row, below 2^24.
    pub length: u32,
    /// See [`crate::record::flags`].
    pub flags: u8,
}

impl RowHeader {
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Self {
        let first = u64_at(bytes, 0);
        let last = u32_at(bytes, 36);
        Self {
            table: TableId(first as u16),
            layout: (first >> 16) as u16,
            symbol: (first >> 32) as u32,
            ts: i64_at(bytes, 8),
            recv_ts: i64_at(bytes, 16),
            feed_seq: u64_at(bytes, 24),
            offset: u32_at(bytes, 32),
            length: last & 0x00ff_ffff,
            flags: (last >> 24) as u8,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; ROW_HEADER_BYTES] {
        let mut bytes = [0; ROW_HEADER_BYTES];
        bytes[..2].copy_from_slice(&self.table.0.to_le_bytes());
        bytes[2..4].copy_from_slice(&self.layout.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.symbol.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ts.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.recv_ts.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.feed_seq.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.offset.to_le_bytes());
        bytes[36..40].copy_from_slice(&(self.length | u32::from(self.flags) << 24).to_le_bytes());
        bytes
    }
}
