//! The worked examples of the format pages are the bytes that are written.

use super::*;
use crate::manifest::current::encode_current;
use crate::manifest::edit_codec::encode_edit;
use crate::manifest::frame::{
    FrameSeed, MANIFEST_BLOCK_BYTES, Mark, encode_frame, encode_header, encode_mark, stored_crc,
};
use crate::manifest::identity::encode_identity;

const MANIFEST_PAGE: &str = include_str!("../../../../../docs/format/manifest.md");
const STATE_PAGE: &str = include_str!("../../../../../docs/format/state.md");

pub(super) fn state_header() -> StateHeader {
    let Identity { cluster_id, node_id, epoch, .. } = identity();
    StateHeader {
        cluster_id,
        node_id,
        file_id: 7,
        applied: LogId { term: 1, leader_node: 3, index: 5 },
        last_seq: 30,
        epoch,
        rolling_hash: [0xab; 16],
        commit_clock: 2_000,
    }
}

pub(super) fn state_sections() -> Vec<StateSection> {
    let section = |tag, bytes: &[u8]| StateSection { tag, version: 1, bytes: bytes.to_vec() };
    vec![section(SectionTag::Symbols, b"SHFE.cu2501"), section(SectionTag::Settings, b"")]
}

/// Sixteen bytes a line, as the pages show them.
fn hex(bytes: &[u8]) -> String {
    let line = |(number, bytes): (usize, &[u8])| {
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}\n", number * 16, bytes.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

fn assert_shown(page: &str, examples: &[(&str, Vec<u8>)]) {
    let block = |(title, bytes): &(&str, Vec<u8>)| format!("{title}\n\n```text\n{}```\n", hex(bytes));
    let missing: Vec<_> = examples.iter().map(block).filter(|block| !page.contains(block)).collect();
    assert!(missing.is_empty(), "the page should show:\n\n{}", missing.join("\n"));
}

#[test]
fn manifest_page() {
    let seed = FrameSeed { identity: identity(), manifest: 1 };
    let Identity { cluster_id, node_id, .. } = identity();
    let header = ManifestHeader { cluster_id, node_id, number: 1, created_at: 1_000 };
    let edit = VersionEdit {
        tables_removed: vec![3],
        partitions_added: vec![Partition { id: 2, times: TimeRange { first: 100, last: 199 } }],
        epoch: Some(2),
        ..VersionEdit::default()
    };
    let frame = encode_frame(&encode_edit(&edit), 0, 0, seed, MANIFEST_BLOCK_BYTES).unwrap();
    let end = MANIFEST_BLOCK_BYTES + frame.len() as u64;
    let current = Current {
        cluster_id,
        node_id,
        manifest: 1,
        first_frame_end: end,
        first_frame_crc: stored_crc(&frame),
    };
    let mark = Mark { durable_end: end, frames: 1 };
    let examples = [
        ("`IDENTITY`:", encode_identity(&identity())),
        ("`CURRENT`:", encode_current(&current)),
        ("The manifest's header:", encode_header(&header)),
        ("The frame, at byte 4096 of the manifest:", frame),
        ("The mark, at byte 1024:", encode_mark(mark, seed)),
    ];
    assert_shown(MANIFEST_PAGE, &examples);
}

#[test]
fn state_page() {
    let file = encode_state(&state_header(), &state_sections()).unwrap();
    assert_shown(STATE_PAGE, &[("The file:", file)]);
}
