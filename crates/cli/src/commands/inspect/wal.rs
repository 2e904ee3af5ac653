//! Log segments: header, every frame, footer.

use std::path::{Path, PathBuf};

use tapebook::{FeedDeclaration, ProducerExpiry, RetractionEntry, Schemas};
use tapebook_vfs::{File, OpenMode, RealVfs, Vfs};
use tapebook_wal::{EntryKind, FRAME_HEADER_BYTES, FrameReport, SegmentHeader, inspect_segment};

use super::{Page, clock, damaged, hex};
use crate::error::CliError;
use crate::text::count;

pub(super) fn inspect(path: &Path, page: &mut Page<'_>) -> Result<(), CliError> {
    let vfs = RealVfs::new();
    let segments = match vfs.read_dir(path) {
        Ok(entries) => entries
            .into_iter()
            .filter(|entry| entry.name.ends_with(".log"))
            .map(|entry| path.join(entry.name))
            .collect(),
        Err(_) => vec![path.to_owned()],
    };
    if segments.is_empty() {
        let path = path.display();
        return page.fail(format!(
            "{path}: there is no log segment in it; segments are wal/*.log of a data directory"
        ));
    }
    let mut damage = None;
    for path in &segments {
        if let Some(found) = segment(&vfs, path, page)? {
            damage = damage.or(Some(found));
        }
    }
    match damage {
        Some((path, reason)) => page.fail(damaged(&path, reason)),
        None => Ok(()),
    }
}

/// Describes one segment; returns the first thing that is wrong in it.
fn segment(vfs: &RealVfs, path: &Path, page: &mut Page<'_>) -> Result<Option<(PathBuf, String)>, CliError> {
    let inspection = inspect_segment(vfs, path).map_err(|error| {
        let text = error.to_string();
        let place = path.display().to_string();
        CliError::failed(if text.contains(&place) { text } else { format!("{place}: {text}") })
    })?;
    page.line(format_args!("{}: {} bytes", path.display(), inspection.file_bytes))?;
    let header = match &inspection.header {
        Ok(header) => header,
        Err(error) => return Ok(Some((path.to_owned(), error.to_string()))),
    };
    describe_header(header, page)?;
    let unreadable = |error| CliError::failed(format!("{}: {error}", path.display()));
    let file = vfs.open(path, OpenMode::Read).map_err(unreadable)?;
    let (mut whole, mut wrong) = (0, None);
    for report in inspection.frames() {
        let report = report.map_err(unreadable)?;
        match &report.frame {
            Ok(_) => whole += 1,
            Err(error) => {
                wrong.get_or_insert_with(|| (path.to_owned(), format!("at byte {}: {error}", report.offset)));
            }
        }
        describe_frame(&report, page)?;
        for line in content(&*file, &report).map_err(unreadable)? {
            page.line(format_args!("  {:>10}  {line}", ""))?;
        }
    }
    page.field("whole frames", whole)?;
    match &inspection.footer {
        Some(footer) => {
            page.field(
                "sealed",
                format_args!("{}, end at position {}", count(footer.frames, "frame"), footer.end),
            )?;
            if let Some((first, last)) = footer.summary.seqs {
                page.field("seq", format_args!("{first}..{last}"))?;
            }
            page.field("rolling hash", hex(&footer.summary.rolling_hash))?;
        }
        None => page.field("sealed", "no")?,
    }
    Ok(wrong)
}

fn describe_header(header: &SegmentHeader, page: &mut Page<'_>) -> Result<(), CliError> {
    let identity = &header.identity;
    page.field("segment", identity.segment_id)?;
    page.field("cluster", format_args!("{:032x} node {}", identity.log.cluster_id, identity.log.node_id))?;
    page.field("positions", format_args!("{}..{}", header.base, header.base.0 + header.segment_bytes))?;
    page.field("created", clock(header.created_at))?;
    let before = &header.last_log_id;
    page.field(
        "before it",
        format_args!("index {}, term {}, chain {:#010x}", before.index, before.term, header.chain),
    )?;
    page.field("commit index", header.commit_index)?;
    if let Some(vote) = &header.vote {
        let kind = if vote.committed { "elected" } else { "voted for" };
        page.field("vote", format_args!("term {}, {kind} node {}", vote.term, vote.node))?;
    }
    if let Some(purge) = &header.purge {
        page.field("purged through", format_args!("index {}", purge.index))?;
    }
    if let Some(membership) = &header.membership {
        page.field(
            "membership",
            format_args!("of index {}, {} bytes", membership.log_id.index, membership.bytes.len()),
        )?;
    }
    let facts = &header.facts;
    page.field(
        "applied",
        format_args!(
            "seq {} at index {}, rolling hash {}",
            facts.last_seq,
            facts.at_index,
            hex(&facts.rolling_hash)
        ),
    )
}

fn describe_frame(report: &FrameReport, page: &mut Page<'_>) -> Result<(), CliError> {
    match &report.frame {
        Ok(frame) => {
            let meta = &frame.meta;
            page.line(format_args!(
                "  {:>10}  {:<10} index {:<8} term {:<4} {:>7} bytes  {}  crc {:#010x}  synced through {}",
                report.offset,
                meta.kind.name(),
                meta.index,
                meta.term,
                frame.payload_bytes,
                clock(meta.proposed_at),
                frame.crc,
                frame.synced_through,
            ))
        }
        Err(error) => page.line(format_args!("  {:>10}  NO FRAME   {error}", report.offset)),
    }
}

/// What the frame of a change asks for, in words.
fn content(file: &dyn File, report: &FrameReport) -> std::io::Result<Vec<String>> {
    let Ok(frame) = &report.frame else { return Ok(Vec::new()) };
    let describe: fn(&[u8]) -> Vec<String> = match frame.meta.kind {
        EntryKind::Retraction => |payload: &[u8]| vec![retraction(payload)],
        EntryKind::ProducerExpiry => expiry,
        EntryKind::FeedDeclaration => |payload: &[u8]| vec![declaration(payload)],
        _ => return Ok(Vec::new()),
    };
    let mut payload = vec![0; frame.payload_bytes];
    file.read_exact_at(report.offset + FRAME_HEADER_BYTES as u64, &mut payload)?;
    Ok(describe(&payload))
}

fn retraction(payload: &[u8]) -> String {
    match RetractionEntry::decode(payload) {
        Ok(RetractionEntry::Retract { table, seqs, reason }) => {
            let name = Schemas::standard()
                .get(table)
                .map_or_else(|| format!("table {}", table.0), |table| table.name.to_string());
            format!("retracts {name}, seq {seqs}: {reason:?}")
        }
        Ok(RetractionEntry::Undo { id, reason }) if reason.is_empty() => format!("undoes retraction {id}"),
        Ok(RetractionEntry::Undo { id, reason }) => format!("undoes retraction {id}: {reason:?}"),
        Err(error) => format!("NOT A RETRACTION: {error}"),
    }
}

fn declaration(payload: &[u8]) -> String {
    match FeedDeclaration::decode(payload) {
        Ok(FeedDeclaration { producer, numbers }) => {
            format!("feed numbers of producer {producer}: {numbers:?}")
        }
        Err(error) => format!("NOT A FEED DECLARATION: {error}"),
    }
}

fn expiry(payload: &[u8]) -> Vec<String> {
    match ProducerExpiry::decode(payload) {
        Ok(entry) => entry
            .expiries
            .iter()
            .map(|expiry| format!("expires producer {} up to epoch {}", expiry.producer, expiry.epoch))
            .collect(),
        Err(error) => vec![format!("NOT A PRODUCER EXPIRY: {error}")],
    }
}
