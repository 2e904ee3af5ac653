//! The payload of a retraction's log entry. The byte map is in `docs/format/log.md`.

use tapebook_lsm::manifest::SeqRange;
use tapebook_record::TableId;
use tapebook_record::codec::{DecodeError, Decoder, Encoder};

use super::ReasonError;

/// The longest reason.
pub const REASON_BYTES_MAX: usize = 1024;

const VERSION: u16 = 1;
const RETRACT: u8 = 1;
const UNDO: u8 = 2;

/// What a log entry of kind *retraction* asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RetractionEntry {
    /// Hide rows.
    Retract {
        /// The table.
        table: TableId,
        /// What is to be hidden of it.
        seqs: SeqRange,
        /// Why.
        reason: String,
    },
    /// Show them again.
    Undo {
        /// The retraction.
        id: u64,
        /// Why; may be empty.
        reason: String,
    },
}

impl RetractionEntry {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u16(VERSION);
        match self {
            Self::Retract { table, seqs, reason } => {
                out.u8(RETRACT).u16(table.0).u64(seqs.first).u64(seqs.last).text(reason)
            }
            Self::Undo { id, reason } => out.u8(UNDO).u64(*id).text(reason),
        };
        out.into_bytes()
    }

    /// Reads a payload. Whatever the bytes are, it answers; what it takes is encoded to the same bytes again.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Decoder::new(bytes);
        if fields.u16()? != VERSION {
            return Err(DecodeError { offset: 0, reason: "version 1 of a retraction" });
        }
        let at = fields.offset();
        let entry = match fields.u8()? {
            RETRACT => {
                let table = TableId(fields.u16()?);
                let seqs = decode_seqs(&mut fields)?;
                Self::Retract { table, seqs, reason: decode_reason(&mut fields)? }
            }
            UNDO => {
                let id = fields.u64()?;
                Self::Undo { id, reason: decode_optional_reason(&mut fields)? }
            }
            _ => return Err(DecodeError { offset: at, reason: "retract (1) or undo (2)" }),
        };
        fields.finish()?;
        Ok(entry)
    }
}

/// Checks that a text can be a reason: one line that is not empty, of at most [`REASON_BYTES_MAX`] bytes.
pub fn check_reason(reason: &str) -> Result<(), ReasonError> {
    if reason.trim().is_empty() {
        return Err(ReasonError::Missing);
    }
    if reason.len() > REASON_BYTES_MAX {
        return Err(ReasonError::TooLong { bytes: reason.len() });
    }
    match reason.chars().find(|character| character.is_control()) {
        Some(found) => Err(ReasonError::Control { found }),
        None => Ok(()),
    }
}

/// As [`check_reason`], for where there may be none.
pub(super) fn check_optional_reason(reason: &str) -> Result<(), ReasonError> {
    if reason.is_empty() { Ok(()) } else { check_reason(reason) }
}

pub(super) fn decode_seqs(fields: &mut Decoder<'_>) -> Result<SeqRange, DecodeError> {
    let offset = fields.offset();
    let seqs = SeqRange { first: fields.u64()?, last: fields.u64()? };
    if seqs.is_sane() {
        return Ok(seqs);
    }
    Err(DecodeError { offset, reason: "a range of sequence numbers from 1, the first not above the last" })
}

pub(super) fn decode_reason(fields: &mut Decoder<'_>) -> Result<String, DecodeError> {
    let offset = fields.offset();
    let reason = fields.text()?;
    check_reason(reason).map_err(|_| DecodeError { offset, reason: "a reason of one line" })?;
    Ok(reason.to_owned())
}

pub(super) fn decode_optional_reason(fields: &mut Decoder<'_>) -> Result<String, DecodeError> {
    if fields.clone().u32()? == 0 {
        fields.u32()?;
        return Ok(String::new());
    }
    decode_reason(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> RetractionEntry {
        let seqs = SeqRange { first: 1_001, last: 1_250 };
        RetractionEntry::Retract { table: TableId(1), seqs, reason: "wrong file".to_owned() }
    }

    #[test]
    fn the_format_page_shows_these_bytes() {
        let page = include_str!("../../../../docs/format/log.md");
        for (name, entry) in [
            ("retraction", example()),
            ("retraction-undone", RetractionEntry::Undo { id: 3, reason: String::new() }),
        ] {
            let shown = page.split_once(&format!("```text {name}\n")).expect("an example on the page").1;
            let shown: Vec<u8> = shown
                .lines()
                .take_while(|line| !line.starts_with("```"))
                .flat_map(|line| line.split_whitespace().skip(1))
                .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
                .collect();
            assert_eq!(shown, entry.encode(), "{name}");
            assert_eq!(RetractionEntry::decode(&shown), Ok(entry));
        }
    }

    #[test]
    fn what_does_not_do_is_refused_with_its_place() {
        let bytes = example().encode();
        for length in 0..bytes.len() {
            assert!(RetractionEntry::decode(&bytes[..length]).is_err(), "{length}");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            let error = RetractionEntry::decode(&bytes).unwrap_err();
            (error.offset, error.reason)
        };
        assert_eq!(changed(0, 2), (0, "version 1 of a retraction"));
        assert_eq!(changed(2, 3), (2, "retract (1) or undo (2)"));
        assert_eq!(changed(6, 5).0, 5, "a first sequence above the last");
        assert_eq!(changed(25, b'\n'), (21, "a reason of one line"));
        let longer = [&bytes[..], b"!"].concat();
        assert_eq!(RetractionEntry::decode(&longer).unwrap_err().reason, "the end");
        let RetractionEntry::Retract { table, seqs, .. } = example() else { unreachable!() };
        for reason in [String::new(), " ".to_owned(), "x".repeat(REASON_BYTES_MAX + 1)] {
            let bytes = RetractionEntry::Retract { table, seqs, reason }.encode();
            assert_eq!(RetractionEntry::decode(&bytes).unwrap_err().offset, 21);
        }
        let reason = "x".repeat(REASON_BYTES_MAX);
        RetractionEntry::decode(&RetractionEntry::Retract { table, seqs, reason }.encode()).unwrap();
    }

    fn entry() -> impl Strategy<Value = RetractionEntry> {
        let reason = "[ -~é]{0,30}[a-z]";
        prop_oneof![
            (any::<u16>(), 1..u64::MAX, any::<u64>(), reason).prop_map(|(table, first, length, reason)| {
                let seqs = SeqRange { first, last: first.saturating_add(length) };
                RetractionEntry::Retract { table: TableId(table), seqs, reason }
            }),
            (any::<u64>(), prop_oneof![Just(String::new()), reason])
                .prop_map(|(id, reason)| RetractionEntry::Undo { id, reason }),
        ]
    }

    proptest! {
        #[test]
        fn entries_come_back(entry in entry()) {
            prop_assert_eq!(RetractionEntry::decode(&entry.encode()), Ok(entry));
        }

        /// Random bytes alone would end at the version, so most inputs are sound ones with some bytes changed.
        #[test]
        fn any_bytes_are_refused_or_come_back_as_they_were(
            entry in entry(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            random in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut changed = entry.encode();
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = byte;
            }
            let with_a_right_start = [&[1, 0, random.len() as u8 % 3][..], &random].concat();
            for bytes in [changed, random, with_a_right_start] {
                if let Ok(decoded) = RetractionEntry::decode(&bytes) {
                    prop_assert_eq!(decoded.encode(), bytes);
                }
            }
        }
    }
}
