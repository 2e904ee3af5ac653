//! The bytes of a version edit: fields of `tag u16, length u32, bytes`, in any order.
//!
//! A tag below `0x8000` must be understood, a higher one may be skipped. Lists repeat their field; the others appear
//! at most once.

use tapebook_record::TableId;
use tapebook_record::codec::{Decoder, Encoder};

use super::{
    FormatError, HistoryFile, LogId, LogRange, Partition, SeqRange, StateRef, TableFile, VersionEdit,
};
use crate::key::TimeRange;

/// From this tag on a field may be skipped by a reader that does not know it.
pub(crate) const OPTIONAL_TAGS: u16 = 0x8000;

mod tag {
    pub const TABLE_ADDED: u16 = 1;
    pub const TABLE_REMOVED: u16 = 2;
    pub const HISTORY_ADDED: u16 = 3;
    pub const HISTORY_REMOVED: u16 = 4;
    pub const PARTITION_ADDED: u16 = 5;
    pub const PARTITION_REMOVED: u16 = 6;
    pub const STATE: u16 = 10;
    pub const LOG_START: u16 = 11;
    pub const NEXT_FILE_ID: u16 = 12;
    pub const LAST_SEQ: u16 = 13;
    pub const EPOCH: u16 = 14;
}

/// The bytes of an edit, fields in the order of their tags.
pub fn encode_edit(edit: &VersionEdit) -> Vec<u8> {
    let mut out = Encoder::new();
    each(&mut out, tag::TABLE_ADDED, &edit.tables_added, put_table);
    each(&mut out, tag::TABLE_REMOVED, &edit.tables_removed, put_number);
    each(&mut out, tag::HISTORY_ADDED, &edit.history_added, put_history);
    each(&mut out, tag::HISTORY_REMOVED, &edit.history_removed, put_number);
    each(&mut out, tag::PARTITION_ADDED, &edit.partitions_added, put_partition);
    each(&mut out, tag::PARTITION_REMOVED, &edit.partitions_removed, put_number);
    each(&mut out, tag::STATE, &edit.state, put_state);
    each(&mut out, tag::LOG_START, &edit.log_start, put_number);
    each(&mut out, tag::NEXT_FILE_ID, &edit.next_file_id, put_number);
    each(&mut out, tag::LAST_SEQ, &edit.last_seq, put_number);
    each(&mut out, tag::EPOCH, &edit.epoch, put_number);
    out.into_bytes()
}

/// Decodes the payload of one frame of a manifest.
///
/// Says nothing about whether the edit fits a version; that is [`Version::apply`](super::Version::apply)'s answer.
pub fn decode_edit(bytes: &[u8]) -> Result<VersionEdit, FormatError> {
    let mut edit = VersionEdit::default();
    let mut fields = Decoder::new(bytes);
    while fields.remaining() > 0 {
        let offset = fields.offset() as u64;
        let tag = fields.u16()?;
        let content = fields.bytes()?;
        let base = (fields.offset() - content.len()) as u64;
        let mut field = Decoder::new(content);
        match put_field(&mut edit, tag, &mut field) {
            Err(error) => return Err(error.moved(base)),
            Ok(Known::Yes) => field.finish().map_err(|error| FormatError::from(error).moved(base))?,
            Ok(Known::No) if tag >= OPTIONAL_TAGS => {}
            Ok(Known::No) => return Err(FormatError::UnknownField { offset, tag }),
        }
    }
    Ok(edit)
}

enum Known {
    Yes,
    No,
}

fn put_field(edit: &mut VersionEdit, tag: u16, field: &mut Decoder<'_>) -> Result<Known, FormatError> {
    match tag {
        tag::TABLE_ADDED => edit.tables_added.push(table(field)?),
        tag::TABLE_REMOVED => edit.tables_removed.push(field.u64()?),
        tag::HISTORY_ADDED => edit.history_added.push(history(field)?),
        tag::HISTORY_REMOVED => edit.history_removed.push(field.u64()?),
        tag::PARTITION_ADDED => {
            edit.partitions_added.push(Partition { id: field.u64()?, times: times(field)? });
        }
        tag::PARTITION_REMOVED => edit.partitions_removed.push(field.u64()?),
        tag::STATE => once(&mut edit.state, state(field)?)?,
        tag::LOG_START => once(&mut edit.log_start, field.u64()?)?,
        tag::NEXT_FILE_ID => once(&mut edit.next_file_id, field.u64()?)?,
        tag::LAST_SEQ => once(&mut edit.last_seq, field.u64()?)?,
        tag::EPOCH => once(&mut edit.epoch, field.u64()?)?,
        _ => return Ok(Known::No),
    }
    Ok(Known::Yes)
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), FormatError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(FormatError::Field { offset: 0, reason: "a field that appears once" }),
    }
}

fn each<'a, T: 'a>(
    out: &mut Encoder,
    tag: u16,
    values: impl IntoIterator<Item = &'a T>,
    put: impl Fn(&mut Encoder, &T),
) {
    for value in values {
        let mut field = Encoder::new();
        put(&mut field, value);
        out.u16(tag).bytes(field.as_slice());
    }
}

fn put_number(out: &mut Encoder, number: &u64) {
    out.u64(*number);
}

fn put_times(out: &mut Encoder, times: TimeRange) {
    out.i64(times.first).i64(times.last);
}

fn put_seqs(out: &mut Encoder, seqs: SeqRange) {
    out.u64(seqs.first).u64(seqs.last);
}

fn put_table(out: &mut Encoder, file: &TableFile) {
    out.u64(file.file_id).u8(file.level).u64(file.bytes).u64(file.rows).u64(file.partition);
    put_times(out, file.times);
    put_seqs(out, file.seqs);
    out.u64(file.log_indexes.first).u64(file.log_indexes.last).u32(file.checksum);
    out.u32(file.tables.len() as u32);
    for table in &file.tables {
        out.u16(table.0);
    }
}

fn put_history(out: &mut Encoder, file: &HistoryFile) {
    out.u64(file.file_id).u16(file.table.0).u64(file.partition).u64(file.rows);
    put_times(out, file.times);
    put_seqs(out, file.seqs);
    out.u64(file.bytes).u64(file.tail_bytes).u32(file.tail_crc).text(&file.path);
}

fn put_partition(out: &mut Encoder, partition: &Partition) {
    out.u64(partition.id);
    put_times(out, partition.times);
}

fn put_state(out: &mut Encoder, state: &StateRef) {
    out.u64(state.file_id).u64(state.applied.term).u64(state.applied.leader_node).u64(state.applied.index);
    out.u64(state.last_seq).raw(&state.rolling_hash);
}

fn times(field: &mut Decoder<'_>) -> Result<TimeRange, FormatError> {
    Ok(TimeRange { first: field.i64()?, last: field.i64()? })
}

fn seqs(field: &mut Decoder<'_>) -> Result<SeqRange, FormatError> {
    Ok(SeqRange { first: field.u64()?, last: field.u64()? })
}

fn table(field: &mut Decoder<'_>) -> Result<TableFile, FormatError> {
    let mut file = TableFile {
        file_id: field.u64()?,
        level: field.u8()?,
        bytes: field.u64()?,
        rows: field.u64()?,
        partition: field.u64()?,
        times: times(field)?,
        seqs: seqs(field)?,
        log_indexes: LogRange { first: field.u64()?, last: field.u64()? },
        checksum: field.u32()?,
        tables: Vec::new(),
    };
    let count = field.count(2)?;
    file.tables.reserve_exact(count);
    for _ in 0..count {
        file.tables.push(TableId(field.u16()?));
    }
    Ok(file)
}

fn history(field: &mut Decoder<'_>) -> Result<HistoryFile, FormatError> {
    Ok(HistoryFile {
        file_id: field.u64()?,
        table: TableId(field.u16()?),
        partition: field.u64()?,
        rows: field.u64()?,
        times: times(field)?,
        seqs: seqs(field)?,
        bytes: field.u64()?,
        tail_bytes: field.u64()?,
        tail_crc: field.u32()?,
        path: field.text()?.to_owned(),
    })
}

fn state(field: &mut Decoder<'_>) -> Result<StateRef, FormatError> {
    Ok(StateRef {
        file_id: field.u64()?,
        applied: LogId { term: field.u64()?, leader_node: field.u64()?, index: field.u64()? },
        last_seq: field.u64()?,
        rolling_hash: {
            let mut hash = [0; 16];
            hash.copy_from_slice(field.raw(16)?);
            hash
        },
    })
}
