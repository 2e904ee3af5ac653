//! The section of a state file that keeps the retractions. The byte map is in `docs/format/state.md`.

use std::sync::Arc;

use tapebook_lsm::retraction::{Change, Retraction, Retractions};
use tapebook_record::TableId;
use tapebook_record::codec::{DecodeError, Decoder, Encoder};

use super::entry::{decode_optional_reason, decode_reason, decode_seqs};

/// What a retraction takes at least: id, table, range, and one change with a reason of one byte.
const RETRACTION_BYTES_MIN: usize = 8 + 2 + 16 + 21 + 1;

pub(crate) fn encode_retractions(retractions: &Retractions) -> Vec<u8> {
    let mut out = Encoder::new();
    out.u32(retractions.len() as u32);
    for retraction in retractions.iter() {
        let Retraction { id, table, seqs, made, undone } = &**retraction;
        out.u64(*id).u16(table.0).u64(seqs.first).u64(seqs.last);
        put_change(&mut out, made);
        out.u8(u8::from(undone.is_some()));
        if let Some(undone) = undone {
            put_change(&mut out, undone);
        }
    }
    out.into_bytes()
}

fn put_change(out: &mut Encoder, change: &Change) {
    out.u64(change.at_seq).i64(change.at).text(&change.reason);
}

pub(crate) fn decode_retractions(bytes: &[u8]) -> Result<Retractions, DecodeError> {
    let mut fields = Decoder::new(bytes);
    let mut all: Vec<Arc<Retraction>> = Vec::new();
    for _ in 0..fields.count(RETRACTION_BYTES_MIN)? {
        let offset = fields.offset();
        let bad = |reason| DecodeError { offset, reason };
        let retraction = decode_retraction(&mut fields)?;
        if retraction.id != all.len() as u64 + 1 {
            return Err(bad("retractions numbered from 1"));
        }
        let made = &retraction.made;
        if made.at_seq < retraction.seqs.last || all.last().is_some_and(|last| last.made.at_seq > made.at_seq)
        {
            return Err(bad("a retraction of what was there when it was made"));
        }
        if retraction.undone.as_ref().is_some_and(|undone| undone.at_seq < made.at_seq) {
            return Err(bad("a retraction that was undone after it was made"));
        }
        all.push(Arc::new(retraction));
    }
    fields.finish()?;
    Ok(Retractions::new(all))
}

fn decode_retraction(fields: &mut Decoder<'_>) -> Result<Retraction, DecodeError> {
    let (id, table) = (fields.u64()?, TableId(fields.u16()?));
    let seqs = decode_seqs(fields)?;
    let made = Change { at_seq: fields.u64()?, at: fields.i64()?, reason: decode_reason(fields)? };
    let offset = fields.offset();
    let undone = match fields.u8()? {
        0 => None,
        1 => {
            let (at_seq, at) = (fields.u64()?, fields.i64()?);
            Some(Change { at_seq, at, reason: decode_optional_reason(fields)? })
        }
        _ => return Err(DecodeError { offset, reason: "undone (1) or not (0)" }),
    };
    Ok(Retraction { id, table, seqs, made, undone })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tapebook_lsm::manifest::SeqRange;

    fn retractions() -> impl Strategy<Value = Retractions> {
        let one = (any::<u16>(), 1..30_u64, 0..5_u64, any::<i64>(), prop::option::of(0..9_u64));
        prop::collection::vec(one, 0..5).prop_map(|made| {
            let all = made.into_iter().enumerate().map(|(at, (table, first, length, clock, undone))| {
                let at_seq = 40 + at as u64;
                let undone = undone.map(|later| Change {
                    at_seq: at_seq + later,
                    at: clock,
                    reason: if later > 4 { String::new() } else { "not so".to_owned() },
                });
                Arc::new(Retraction {
                    id: at as u64 + 1,
                    table: TableId(table),
                    seqs: SeqRange { first, last: first + length },
                    made: Change { at_seq, at: clock, reason: format!("reason {at}") },
                    undone,
                })
            });
            Retractions::new(all.collect())
        })
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let one = |id, first, last, at_seq, undone: Option<u64>| {
            let change = |at_seq| Change { at_seq, at: 5, reason: "x".to_owned() };
            Arc::new(Retraction {
                id,
                table: TableId(1),
                seqs: SeqRange { first, last },
                made: change(at_seq),
                undone: undone.map(change),
            })
        };
        let reason =
            |all| decode_retractions(&encode_retractions(&Retractions::new(all))).unwrap_err().reason;
        assert_eq!(reason(vec![one(2, 1, 1, 1, None)]), "retractions numbered from 1");
        assert_eq!(reason(vec![one(1, 1, 9, 8, None)]), "a retraction of what was there when it was made");
        assert_eq!(
            reason(vec![one(1, 1, 1, 9, None), one(2, 1, 1, 8, None)]),
            "a retraction of what was there when it was made"
        );
        assert_eq!(reason(vec![one(1, 1, 1, 9, Some(8))]), "a retraction that was undone after it was made");
        assert!(reason(vec![one(1, 3, 2, 9, None)]).contains("range of sequence numbers"));
        let bytes = encode_retractions(&Retractions::new(vec![one(1, 1, 1, 9, Some(9))]));
        for length in 0..bytes.len() {
            assert!(decode_retractions(&bytes[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn retractions_come_back_from_their_section(retractions in retractions()) {
            prop_assert_eq!(decode_retractions(&encode_retractions(&retractions)), Ok(retractions));
        }

        #[test]
        fn any_bytes_are_refused_or_come_back_as_they_were(
            retractions in retractions(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            random in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut changed = encode_retractions(&retractions);
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = byte;
            }
            for bytes in [changed, random] {
                if let Ok(decoded) = decode_retractions(&bytes) {
                    prop_assert_eq!(encode_retractions(&decoded), bytes);
                }
            }
        }
    }
}
