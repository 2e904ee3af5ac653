//! Files come back as they were written, from anywhere in them; the format page shows the bytes of the code; whatever
//! byte is changed, it is noticed.

use std::path::Path;
use std::sync::Arc;

use tapebook_vfs::{MemoryVfs, OpenMode, Vfs};

use super::format::{BLOCK_ENTRY_BYTES, BlockEntry, SKIPPABLE_HEADER_BYTES};
use super::*;
use crate::format::{EntryKind, FrameMeta, LogId, LogIdentity};
use crate::page_example::{example, rows};

const PAGE: &str = include_str!("../../../../docs/format/archive.md");
const LOG: LogIdentity = LogIdentity { cluster_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff, node_id: 7 };
const DIR: &str = "/archive";

fn disk() -> (MemoryVfs, Arc<dyn Vfs>) {
    let memory = MemoryVfs::new(1);
    memory.create_dir_all(Path::new(DIR)).unwrap();
    let vfs = Arc::new(memory.clone());
    (memory, vfs)
}

fn point(index: u64, last_seq: u64) -> JournalPoint {
    JournalPoint {
        entry: LogId { term: 3, leader_node: 7, index },
        last_seq,
        rolling_hash: [index as u8; 16],
    }
}

fn header(before: JournalPoint) -> ArchiveHeader {
    ArchiveHeader { log: LOG, epoch: 1, before, previous: 0xa1b2_c3d4, created_at: 1_767_225_600_000_000_000 }
}

fn meta(index: u64) -> FrameMeta {
    let proposed_at = 1_767_225_600_000_000_000 + index as i64;
    FrameMeta { kind: EntryKind::Batch, flags: 0, term: 3, leader_node: 7, index, proposed_at }
}

/// Bytes that do not compress to nothing.
fn payload(index: u64, len: usize) -> Vec<u8> {
    let mut state = index | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8 & 0x0f
    };
    (0..len).map(|_| next()).collect()
}

/// Three rows an entry, every fifth entry gives none. Entries 42 to `last`.
fn write(vfs: &Arc<dyn Vfs>, last: u64, len: usize) -> ArchiveFooter {
    let mut writer = ArchiveWriter::create(vfs, Path::new(DIR), header(point(41, 100))).unwrap();
    let mut seq = 100;
    for index in 42..=last {
        let gives = !index.is_multiple_of(5);
        let first_seq = if gives { seq + 1 } else { 0 };
        writer.add(&meta(index), seq, first_seq, &payload(index, len)).unwrap();
        seq += if gives { 3 } else { 0 };
    }
    writer.finish(point(last, seq)).unwrap().1
}

fn open(vfs: &Arc<dyn Vfs>) -> Result<ArchiveFile, ArchiveError> {
    ArchiveFile::open(&**vfs, Path::new(DIR), LOG, 42)
}

fn indexes(entries: ArchiveEntries) -> Vec<u64> {
    entries.map(|entry| entry.unwrap().meta.index).collect()
}

#[test]
fn entries_come_back_from_anywhere() {
    let (_, vfs) = disk();
    let footer = write(&vfs, 241, 50_000);
    let file = open(&vfs).unwrap();
    assert_eq!(*file.footer(), footer);
    assert!(footer.blocks > 5, "{footer:?}");
    assert_eq!((footer.first_index, footer.entries, footer.through.entry.index), (42, 200, 241));
    let clocks = (footer.first_commit_clock, footer.last_commit_clock);
    assert_eq!(clocks, (meta(42).proposed_at, meta(241).proposed_at));
    for entry in file.entries_from(0) {
        let entry = entry.unwrap();
        assert_eq!(entry.meta, meta(entry.meta.index));
        assert_eq!(entry.payload[..], payload(entry.meta.index, 50_000)[..]);
        assert_eq!(entry.payload.as_ptr() as usize % 16, 0);
    }
    for from in [0, 42, 43, 62, 63, 64, 100, 240, 241] {
        assert_eq!(indexes(file.entries_from(from)), (from.max(42)..=241).collect::<Vec<_>>());
    }
    assert!(indexes(file.entries_from(242)).is_empty());
    for seq in 101..=footer.through.last_seq {
        let entry = file
            .entries_around(seq)
            .map(Result::unwrap)
            .find(|entry| entry.first_seq > 0 && (entry.first_seq..entry.first_seq + 3).contains(&seq));
        assert!(entry.is_some(), "{seq}");
    }
    assert_eq!(list_archive(&*vfs, Path::new(DIR)).unwrap(), [42]);
    assert!(list_archive(&*vfs, Path::new("/none")).unwrap().is_empty());
}

#[test]
fn another_zstd_decoder_finds_the_entries() {
    let (disk, vfs) = disk();
    let footer = write(&vfs, 60, 70_000);
    let bytes = disk.file_bytes("/archive/00000000000000000042.tape").unwrap();
    let entries = zstd::stream::decode_all(&bytes[..]).unwrap();
    assert_eq!(entries.len() as u64, footer.entry_bytes);
    assert_eq!(entries[48..70_048], payload(42, 70_000)[..]);
}

#[test]
fn every_byte_counts() {
    let (disk, vfs) = disk();
    write(&vfs, 50, 60);
    let path = "/archive/00000000000000000042.tape";
    let whole = disk.file_bytes(path).unwrap();
    let read = || -> Result<Vec<ArchivedEntry>, ArchiveError> { open(&vfs)?.entries_from(0).collect() };
    assert_eq!(read().unwrap().len(), 9);
    for at in 0..whole.len() {
        for mask in [0x01, 0x80, 0xff] {
            disk.mutate(path, |bytes| bytes[at] ^= mask).unwrap();
            let error = read().err().unwrap_or_else(|| panic!("byte {at} with {mask:#x} is not noticed"));
            assert!(error.to_string().contains(path), "{error}");
            disk.mutate(path, |bytes| bytes[at] ^= mask).unwrap();
        }
    }
    for length in 0..whole.len() {
        disk.mutate(path, |bytes| bytes.truncate(length)).unwrap();
        assert!(read().is_err(), "cut at {length}");
        disk.mutate(path, |bytes| *bytes = whole.clone()).unwrap();
    }
    let other = LogIdentity { node_id: 8, ..LOG };
    let foreign = ArchiveFile::open(&*vfs, Path::new(DIR), other, 42).unwrap_err();
    assert!(matches!(foreign, ArchiveError::Foreign { .. }), "{foreign}");
    vfs.rename(Path::new(path), &Path::new(DIR).join(archive_name(43))).unwrap();
    let misplaced = ArchiveFile::open(&*vfs, Path::new(DIR), LOG, 43).unwrap_err();
    assert!(matches!(misplaced, ArchiveError::Order { expected: 43, found: 42, .. }), "{misplaced}");
}

#[test]
fn a_newer_version_is_told_apart_from_damage() {
    let mut bytes = super::format::encode_header(&header(point(41, 100)));
    bytes[16] = 2;
    let crc = tapebook_record::crc32c(&bytes[..124]);
    bytes[124..].copy_from_slice(&crc.to_le_bytes());
    let error = decode_archive_header(&bytes).unwrap_err();
    assert_eq!(error, ArchiveFormatError::Newer { found: 2, supported: 1 });
}

#[test]
fn entries_follow_one_another() {
    let (_, vfs) = disk();
    let mut writer = ArchiveWriter::create(&vfs, Path::new(DIR), header(point(41, 100))).unwrap();
    writer.add(&meta(42), 100, 101, b"x").unwrap();
    let error = writer.add(&meta(44), 101, 102, b"y").unwrap_err();
    assert!(matches!(error, ArchiveError::Order { expected: 43, found: 44, .. }), "{error}");
    let vote = FrameMeta { kind: EntryKind::Vote, ..meta(43) };
    assert!(writer.add(&vote, 101, 0, b"").is_err());
}

#[test]
fn an_unfinished_file_has_no_name_and_is_replaced() {
    let (disk, vfs) = disk();
    let mut writer = ArchiveWriter::create(&vfs, Path::new(DIR), header(point(41, 100))).unwrap();
    writer.add(&meta(42), 100, 101, b"x").unwrap();
    drop(writer);
    assert!(list_archive(&*vfs, Path::new(DIR)).unwrap().is_empty());
    write(&vfs, 44, 10);
    for seed in 0..20 {
        let after = disk.fork();
        after.crash(seed);
        let vfs: Arc<dyn Vfs> = Arc::new(after);
        assert_eq!(indexes(open(&vfs).unwrap().entries_from(0)), [42, 43, 44]);
    }
}

/// What zstd makes of the entries may differ from version to version, so the page shows what stands around them, and
/// them before they are compressed.
#[test]
fn the_page_shows_these_bytes() {
    let mut block = Vec::new();
    super::format::encode_entry(&mut block, &meta(42), 101, b"ten records, opaque");
    let header = super::format::encode_header(&header(point(41, 100)));
    let seed = super::format::seed(LOG, 42);
    let begun = BlockEntry {
        offset: 128,
        compressed_bytes: 97,
        entry_bytes: 80,
        first_index: 42,
        seq_before: 100,
        first_commit_clock: meta(42).proposed_at,
        crc: 0x5555_aaaa,
    };
    let mut directory = Vec::new();
    super::format::encode_block_entry(&mut directory, &begun);
    let footer = ArchiveFooter {
        directory_offset: 225,
        blocks: 1,
        directory_crc: super::format::part_crc(&seed, 225, &directory),
        first_index: 42,
        entries: 1,
        entry_bytes: 80,
        through: point(42, 110),
        first_commit_clock: meta(42).proposed_at,
        last_commit_clock: meta(42).proposed_at,
        header_crc: crate::format::u32_at(&header, 124),
        crc: 0,
    };
    let mut end = super::format::skippable_header((BLOCK_ENTRY_BYTES + ARCHIVE_FOOTER_BYTES) as u32).to_vec();
    end.extend_from_slice(&directory);
    end.extend_from_slice(&super::format::encode_footer(&footer, &seed));
    assert_eq!(end.len(), SKIPPABLE_HEADER_BYTES + BLOCK_ENTRY_BYTES + ARCHIVE_FOOTER_BYTES);
    for (name, bytes) in [("archive-header", &header[..]), ("archive-entry", &block), ("archive-end", &end)] {
        assert_eq!(
            rows(&example(PAGE, name, bytes.len())),
            rows(bytes),
            "{name}: the page should show\n{}",
            rows(bytes)
        );
    }
    assert_eq!(decode_archive_footer(&end, &self::header(point(41, 100))).unwrap().through, footer.through);
}

#[test]
fn bytes_from_nowhere_are_refused() {
    let (_, vfs) = disk();
    for len in [0, 100, 128, 300, 5_000] {
        let bytes = payload(len as u64 + 1, len);
        assert!(decode_archive_header(&bytes).is_err());
        assert!(decode_archive_footer(&bytes, &header(point(41, 100))).is_err());
        let path = Path::new(DIR).join(archive_name(42));
        let _ = vfs.remove_file(&path);
        let file = vfs.open(&path, OpenMode::CreateNew).unwrap();
        file.write_all_at(0, &[std::io::IoSlice::new(&bytes)]).unwrap();
        assert!(open(&vfs).is_err());
    }
}
