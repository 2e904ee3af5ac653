//! What is encoded is what is decoded, and arbitrary bytes never do more than fail.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::manifest::current::encode_current;
use crate::manifest::edit_codec::encode_edit;
use crate::manifest::identity::encode_identity;

fn times() -> impl Strategy<Value = TimeRange> {
    any::<(i64, i64)>().prop_map(|(first, last)| TimeRange { first, last })
}

fn seqs() -> impl Strategy<Value = SeqRange> {
    any::<(u64, u64)>().prop_map(|(first, last)| SeqRange { first, last })
}

fn a_table() -> impl Strategy<Value = TableFile> {
    let numbers = any::<(u64, u8, u64, u64, u64, u64, u64, u32)>();
    (numbers, times(), seqs(), vec(any::<u16>(), 0..5)).prop_map(|(n, times, seqs, tables)| TableFile {
        file_id: n.0,
        level: n.1,
        bytes: n.2,
        rows: n.3,
        partition: n.4,
        times,
        seqs,
        log_indexes: LogRange { first: n.5, last: n.6 },
        checksum: n.7,
        tables: tables.into_iter().map(TableId).collect(),
    })
}

fn a_history() -> impl Strategy<Value = HistoryFile> {
    (any::<(u64, u16, u64, u64, u64, u64, u32)>(), times(), seqs(), any::<String>()).prop_map(
        |((file_id, table, partition, rows, bytes, tail_bytes, tail_crc), times, seqs, path)| {
            let table = TableId(table);
            HistoryFile { file_id, table, partition, rows, times, seqs, bytes, tail_bytes, tail_crc, path }
        },
    )
}

fn a_state() -> impl Strategy<Value = StateRef> {
    any::<(u64, u64, u64, u64, u64, [u8; 16])>().prop_map(
        |(file_id, term, leader_node, index, last_seq, rolling_hash)| {
            let applied = LogId { term, leader_node, index };
            StateRef { file_id, applied, last_seq, rolling_hash }
        },
    )
}

fn an_edit() -> impl Strategy<Value = VersionEdit> {
    let partitions = vec((any::<u64>(), times()).prop_map(|(id, times)| Partition { id, times }), 0..3);
    let lists = (vec(a_table(), 0..3), vec(a_history(), 0..3), partitions);
    let numbers = vec(vec(any::<u64>(), 0..3), 3);
    (lists, numbers, option::of(a_state()), any::<[Option<u64>; 4]>()).prop_map(
        |(lists, numbers, state, counters)| {
            let mut numbers = numbers.into_iter();
            let mut next = || numbers.next().unwrap();
            VersionEdit {
                tables_added: lists.0,
                tables_removed: next(),
                history_added: lists.1,
                history_removed: next(),
                partitions_added: lists.2,
                partitions_removed: next(),
                state,
                log_start: counters[0],
                next_file_id: counters[1],
                last_seq: counters[2],
                epoch: counters[3],
            }
        },
    )
}

fn sections() -> impl Strategy<Value = Vec<StateSection>> {
    let contents = vec(option::of((any::<u16>(), vec(any::<u8>(), 0..40))), SectionTag::ALL.len());
    contents.prop_map(|contents| {
        let tagged = SectionTag::ALL.into_iter().zip(contents);
        tagged
            .filter_map(|(tag, content)| content.map(|(version, bytes)| StateSection { tag, version, bytes }))
            .collect()
    })
}

proptest! {
    #[test]
    fn edits(edit in an_edit()) {
        prop_assert_eq!(decode_edit(&encode_edit(&edit)).unwrap(), edit);
    }

    #[test]
    fn cut_edits_are_edits_or_errors(edit in an_edit(), cut in any::<prop::sample::Index>()) {
        let bytes = encode_edit(&edit);
        let cut = cut.index(bytes.len() + 1);
        if let Ok(found) = decode_edit(&bytes[..cut]) {
            prop_assert_eq!(encode_edit(&found), &bytes[..cut]);
        }
    }

    #[test]
    fn identities(cluster_id: u128, node_id: u64, epoch: u64, created_at: i64) {
        let identity = Identity { cluster_id, node_id, epoch, created_at };
        prop_assert_eq!(decode_identity(&encode_identity(&identity)).unwrap(), identity);
    }

    #[test]
    fn currents(cluster_id: u128, n: (u64, u64, u64, u32)) {
        let (node_id, manifest, first_frame_end, first_frame_crc) = n;
        let current = Current { cluster_id, node_id, manifest, first_frame_end, first_frame_crc };
        prop_assert_eq!(decode_current(&encode_current(&current)).unwrap(), current);
    }

    #[test]
    fn states(state in a_state(), ids: (u128, u64, u64, i64), sections in sections()) {
        let (cluster_id, node_id, epoch, commit_clock) = ids;
        let StateRef { file_id, applied, last_seq, rolling_hash } = state;
        let header =
            StateHeader { cluster_id, node_id, file_id, applied, last_seq, epoch, rolling_hash, commit_clock };
        let bytes = encode_state(&header, &sections).unwrap();
        prop_assert_eq!(decode_state(&bytes).unwrap(), (header, sections));
    }

    #[test]
    fn versions(seed: u64, steps in 0..40) {
        let mut random = Random(seed);
        let mut version = Version::default();
        for _ in 0..steps {
            version = version.apply(&any_edit(&version, &mut random)).unwrap();
        }
        prop_assert_eq!(Version::default().apply(&version.to_edit()).unwrap(), version);
    }

    #[test]
    fn arbitrary_bytes(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode_edit(&bytes);
        let _ = decode_state(&bytes);
        let _ = decode_current(&bytes);
        let _ = decode_identity(&bytes);
        let _ = decode_manifest_header(&bytes);
    }
}

#[test]
fn unknown_fields_are_refused_or_skipped_by_their_tag() {
    let field = |tag: u16| [&tag.to_le_bytes()[..], &3u32.to_le_bytes(), &[1, 2, 3]].concat();
    assert_eq!(decode_edit(&field(0x8001)).unwrap(), VersionEdit::default());
    assert_eq!(decode_edit(&field(0x7fff)), Err(FormatError::UnknownField { offset: 0, tag: 0x7fff }));
    let twice = encode_edit(&VersionEdit { epoch: Some(1), ..VersionEdit::default() }).repeat(2);
    assert!(matches!(decode_edit(&twice), Err(FormatError::Field { .. })));
}

#[test]
fn a_tag_appears_once_in_a_state_file() {
    let section = StateSection { tag: SectionTag::Gaps, version: 1, bytes: vec![] };
    let twice = encode_state(&golden::state_header(), &[section.clone(), section]);
    assert!(matches!(twice, Err(FormatError::Field { .. })));
}
