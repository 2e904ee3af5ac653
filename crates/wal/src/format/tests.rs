//! The bytes of the format page, the bytes of the code, and bytes from nowhere.

use super::*;
use crate::page_example::{example, rows};
use tapebook_record::AlignedBytes;

const PAGE: &str = include_str!("../../../../docs/format/log.md");
const IDENTITY: LogIdentity =
    LogIdentity { cluster_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff, node_id: 7 };
const POSITION: LogPosition = LogPosition(69_632);

fn header() -> SegmentHeader {
    SegmentHeader {
        identity: IDENTITY.segment(2),
        segment_bytes: 65_536,
        base: LogPosition(65_536),
        previous_end: LogPosition(60_000),
        created_at: 1_767_225_600_000_000_000,
        chain: 0xa1b2_c3d4,
        last_log_id: LogId { term: 3, leader_node: 7, index: 41 },
        last_proposed_at: 1_767_225_599_000_000_000,
        commit_index: 40,
        vote: Some(Vote { term: 3, node: 7, committed: true }),
        purge: Some(LogId { term: 2, leader_node: 5, index: 9 }),
        membership: Some(Membership {
            log_id: LogId { term: 1, leader_node: 5, index: 1 },
            bytes: b"nodes 5 6 7".to_vec(),
        }),
        facts: SegmentFacts { last_seq: 4100, at_index: 40, rolling_hash: [0x5e; 16] },
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let meta = FrameMeta {
        kind: EntryKind::Batch,
        flags: 0,
        term: 3,
        leader_node: 7,
        index: 42,
        proposed_at: 1_767_225_600_000_001_000,
    };
    let links = FrameLinks { position: POSITION, prev_crc: 0xa1b2_c3d4, synced_through: POSITION };
    let mut bytes = Vec::new();
    encode_frame_header(&mut bytes, &IDENTITY.segment(2).seed(), &meta, &links, payload);
    bytes.extend_from_slice(payload);
    bytes.resize(frame_bytes(payload.len()), 0);
    bytes
}

fn mark() -> Mark {
    Mark { counter: 1, position: LogPosition(69_728), segment_id: 2 }
}

fn footer() -> SegmentFooter {
    SegmentFooter {
        end: LogPosition(69_728),
        frames: 1,
        indexes: Some((42, 42)),
        proposed_at: Some((1_767_225_600_000_001_000, 1_767_225_600_000_001_000)),
        summary: SegmentSummary { seqs: Some((4101, 4110)), rolling_hash: [0x77; 16] },
    }
}

#[test]
fn the_page_shows_what_the_code_writes() {
    let written = [
        ("segment-header", encode_segment_header(&header())),
        ("frame", frame(b"ten records, opaque")),
        ("segment-footer", encode_segment_footer(&footer(), &IDENTITY.segment(2))),
        ("mark-slot", encode_mark(&mark(), IDENTITY).to_vec()),
    ];
    for (name, bytes) in &written {
        let shown = example(PAGE, name, bytes.len());
        assert!(shown == *bytes, "{name}: the code writes\n{}", rows(bytes));
    }
    assert_eq!(decode_segment_header(&written[0].1), Ok(header()));
    let decoded = decode_frame(&written[1].1, &IDENTITY.segment(2), POSITION).unwrap();
    assert_eq!(decoded.payload, b"ten records, opaque");
    assert_eq!((decoded.meta.index, decoded.prev_crc, decoded.bytes()), (42, 0xa1b2_c3d4, 96));
    assert_eq!(decode_segment_footer(&written[2].1, &IDENTITY.segment(2)), Some(footer()));
    assert_eq!(decode_mark(&written[3].1, IDENTITY), Some(mark()));
}

#[test]
fn the_page_names_every_kind() {
    for kind in EntryKind::ALL {
        let row = format!("| {} | {} |", kind as u8, kind.name());
        assert!(PAGE.contains(&row), "{row}");
        assert_eq!(EntryKind::from_number(kind as u8), Some(kind));
    }
    assert_eq!((EntryKind::from_number(0), EntryKind::from_number(12)), (None, None));
}

#[test]
fn every_changed_bit_is_noticed() {
    let whole = frame(&[9; 100]);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_frame(&bytes, &IDENTITY.segment(2), POSITION).is_err(), "bit {bit}");
    }
    let block = encode_segment_header(&header());
    let slot = encode_mark(&mark(), IDENTITY);
    let sealed = encode_segment_footer(&footer(), &IDENTITY.segment(2));
    for bit in 0..SEGMENT_BLOCK_BYTES * 8 {
        let mut bytes = block.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_segment_header(&bytes).is_err(), "bit {bit}");
        let mut bytes = sealed.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode_segment_footer(&bytes, &IDENTITY.segment(2)), None, "bit {bit}");
        if bit < slot.len() * 8 {
            let mut bytes = slot;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_mark(&bytes, IDENTITY), None, "bit {bit}");
        }
    }
}

#[test]
fn identity_and_place_are_part_of_the_checksum() {
    let whole = frame(b"x");
    assert!(decode_frame(&whole, &IDENTITY.segment(2), POSITION).is_ok());
    let elsewhere = LogPosition(POSITION.0 + 16);
    assert!(matches!(
        decode_frame(&whole, &IDENTITY.segment(2), elsewhere),
        Err(FrameError::Position { found: POSITION, .. })
    ));
    for identity in [
        IDENTITY.segment(3),
        LogIdentity { node_id: 8, ..IDENTITY }.segment(2),
        LogIdentity { cluster_id: 1, ..IDENTITY }.segment(2),
    ] {
        assert!(matches!(decode_frame(&whole, &identity, POSITION), Err(FrameError::Checksum { .. })));
    }
    assert_eq!(decode_mark(&encode_mark(&mark(), IDENTITY), LogIdentity { node_id: 8, ..IDENTITY }), None);
}

#[test]
fn cut_off_and_meaningless_bytes_are_refused() {
    let whole = frame(b"a payload that is longer than its padding");
    for len in 0..whole.len() {
        assert!(decode_frame(&whole[..len], &IDENTITY.segment(2), POSITION).is_err());
    }
    let block = encode_segment_header(&header());
    for len in 0..block.len() {
        assert!(matches!(decode_segment_header(&block[..len]), Err(HeaderError::TooShort { .. })));
    }
    // A length that would be ruinous to believe.
    let mut long = whole.clone();
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(
        decode_frame(&long, &IDENTITY.segment(2), POSITION),
        Err(FrameError::PayloadBytes { max: PAYLOAD_BYTES_MAX, .. })
    ));
    assert_eq!(decode_frame(&[0; 64], &IDENTITY.segment(2), POSITION), Err(FrameError::Empty));
}

#[test]
fn newer_versions_are_told_from_damage() {
    let mut block = encode_segment_header(&header());
    block[12] = 2;
    let mut crc = tapebook_record::Crc32c::seeded(&block[..8]);
    crc.update(&block[12..]);
    block[8..12].copy_from_slice(&crc.finish().to_le_bytes());
    assert_eq!(decode_segment_header(&block), Err(HeaderError::Newer { found: 2, supported: 1 }));

    let mut bytes = AlignedBytes::from(&frame(b"")[..]);
    bytes[12] = 200;
    let mut crc = IDENTITY.segment(2).seed();
    crc.update(&bytes[4..64]);
    bytes[..4].copy_from_slice(&crc.finish().to_le_bytes());
    let decoded = decode_frame(&bytes, &IDENTITY.segment(2), POSITION);
    assert_eq!(decoded, Err(FrameError::Newer { version: 1, kind: 200 }));
}

/// Whoever can write right checksums can still not make a decoder panic, read outside its bytes, or believe a length.
#[test]
fn wrong_fields_under_right_checksums_do_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let identity = IDENTITY.segment(2);
    let (mut frames, mut headers) = ([0; 2], [0; 2]);
    for round in 0..20_000 {
        let mut bytes = frame(&[7; 40]);
        let mut block = encode_segment_header(&header());
        for bytes in [&mut bytes, &mut block] {
            // The first 256 bytes hold every field of both.
            let at = next() as usize % (bytes.len().min(256) - 8);
            let word = if next() & 1 == 0 { next() } else { u64::MAX >> (next() % 64) };
            bytes[at..at + 1 + round % 8].copy_from_slice(&word.to_le_bytes()[..1 + round % 8]);
        }

        let claimed = u32_at(&bytes, 4) as usize;
        let end = (FRAME_HEADER_BYTES + claimed).min(bytes.len());
        let mut crc = identity.seed();
        crc.update(&bytes[4..end]);
        bytes[..4].copy_from_slice(&crc.finish().to_le_bytes());
        match decode_frame(&bytes, &identity, POSITION) {
            Ok(frame) => {
                assert!(frame.payload.len() == claimed && frame.bytes() <= bytes.len());
                frames[1] += 1;
            }
            Err(_) => frames[0] += 1,
        }

        let mut crc = tapebook_record::Crc32c::seeded(&block[..8]);
        crc.update(&block[12..]);
        block[8..12].copy_from_slice(&crc.finish().to_le_bytes());
        match decode_segment_header(&block) {
            Ok(header) => {
                assert!(header.frames_start() < header.next_base());
                assert!(header.membership.is_none_or(|found| found.bytes.len() <= MEMBERSHIP_BYTES_MAX));
                headers[1] += 1;
            }
            Err(_) => headers[0] += 1,
        }
    }
    let counted = [frames, headers].concat();
    assert!(counted.iter().all(|count| *count > 500), "{counted:?}");
}

#[test]
fn random_bytes_are_nothing() {
    let mut state = 5_u64;
    let mut bytes = vec![0; SEGMENT_BLOCK_BYTES];
    for round in 0..500 {
        for byte in &mut bytes {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *byte = (state >> 56) as u8;
        }
        let bytes = &bytes[..bytes.len() * round / 499];
        assert!(decode_frame(bytes, &IDENTITY.segment(2), POSITION).is_err());
        assert!(decode_segment_header(bytes).is_err());
        assert_eq!(decode_segment_footer(bytes, &IDENTITY.segment(2)), None);
        assert_eq!(decode_mark(bytes, IDENTITY), None);
    }
}
