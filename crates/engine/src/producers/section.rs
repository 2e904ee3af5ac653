//! The section of a state file that keeps the producers. The byte map is in `docs/format/state.md`.

use std::collections::VecDeque;

use tapebook_record::codec::{DecodeError, Decoder, Encoder};

use super::{ProducerState, Producers, RECEIPTS_KEPT};
use crate::FeedNumbers;
use crate::feeds::{decode_feed_numbers, put_feed_numbers};

/// The version that is written. Version 1 knew nothing of expiry and feeds, and is still read.
pub(crate) const PRODUCERS_VERSION: u16 = 2;

const EXPIRED: u8 = 1;

pub(crate) fn encode_producers(producers: &Producers) -> Vec<u8> {
    let mut out = Encoder::new();
    out.u32(producers.len() as u32);
    for (id, producer) in producers.iter() {
        let ProducerState { epoch, last_number, receipts, last_seq, seen_at, expired, feed } = &**producer;
        out.u64(id).u32(*epoch).u64(*last_number).u64(*last_seq).i64(*seen_at);
        out.u8(if *expired { EXPIRED } else { 0 });
        put_feed_numbers(&mut out, *feed);
        out.u32(receipts.len() as u32);
        for (first_seq, last_seq) in receipts {
            out.u64(*first_seq).u64(*last_seq);
        }
    }
    out.into_bytes()
}

/// Reads the section. `commit_clock` is that of the state file: a producer of version 1 was heard of by then at the latest.
pub(crate) fn decode_producers(
    bytes: &[u8],
    version: u16,
    commit_clock: i64,
) -> Result<Producers, DecodeError> {
    let mut fields = Decoder::new(bytes);
    let mut producers = Producers::default();
    let mut before = None;
    for _ in 0..fields.count(24)? {
        let id = fields.u64()?;
        if before.is_some_and(|before| before >= id) {
            return Err(fields.error("producers in the order of their ids"));
        }
        before = Some(id);
        let state = match version {
            1 => decode_first_version(&mut fields, commit_clock)?,
            _ => decode_producer(&mut fields)?,
        };
        producers.insert(id, state);
    }
    fields.finish()?;
    Ok(producers)
}

fn decode_producer(fields: &mut Decoder<'_>) -> Result<ProducerState, DecodeError> {
    let (epoch, last_number) = (fields.u32()?, fields.u64()?);
    let (last_seq, seen_at) = (fields.u64()?, fields.i64()?);
    let offset = fields.offset();
    let expired = match fields.u8()? {
        0 => false,
        EXPIRED => true,
        _ => return Err(DecodeError { offset, reason: "expired (1) or not (0)" }),
    };
    let feed = decode_feed_numbers(fields)?;
    let receipts = decode_receipts(fields, last_number)?;
    if expired && !receipts.is_empty() {
        return Err(DecodeError { offset, reason: "no receipts of an expired producer" });
    }
    Ok(ProducerState { epoch, last_number, receipts, last_seq, seen_at, expired, feed })
}

fn decode_first_version(fields: &mut Decoder<'_>, seen_at: i64) -> Result<ProducerState, DecodeError> {
    let (epoch, last_number) = (fields.u32()?, fields.u64()?);
    let receipts = decode_receipts(fields, last_number)?;
    let last_seq = receipts.back().map_or(0, |(_, last_seq)| *last_seq);
    let (expired, feed) = (false, FeedNumbers::None);
    Ok(ProducerState { epoch, last_number, receipts, last_seq, seen_at, expired, feed })
}

fn decode_receipts(fields: &mut Decoder<'_>, last_number: u64) -> Result<VecDeque<(u64, u64)>, DecodeError> {
    let kept = fields.count(16)?;
    if kept > RECEIPTS_KEPT || kept as u64 > last_number {
        return Err(fields.error("as many receipts as are kept"));
    }
    let mut receipts = VecDeque::with_capacity(kept);
    for _ in 0..kept {
        receipts.push_back((fields.u64()?, fields.u64()?));
    }
    Ok(receipts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producers::Expiry;
    use proptest::prelude::*;
    use tapebook_record::Producer;

    fn some_producers() -> Producers {
        let mut producers = Producers::default();
        for number in 1..=70 {
            producers.applied(Producer { id: 9, epoch: 2, batch_number: number }, number, number + 1, 50);
        }
        producers.applied(Producer { id: 3, epoch: 0, batch_number: 1 }, 900, 901, 60);
        producers.applied(Producer { id: 5, epoch: 4, batch_number: 1 }, 902, 902, 70);
        producers.expire(&Expiry { producer: 5, epoch: 4, through_number: 1 });
        producers.declare(5, FeedNumbers::Ranges, 80);
        producers.declare(6, FeedNumbers::Backfill { of: 9 }, 90);
        producers
    }

    #[test]
    fn producers_come_back_from_their_section() {
        let producers = some_producers();
        assert_eq!(decode_producers(&encode_producers(&producers), 2, 0), Ok(producers));
    }

    /// What version 1 wrote, byte for byte.
    #[test]
    fn the_first_version_is_still_read() {
        let mut bytes = vec![1, 0, 0, 0];
        for (value, length) in [(9_u64, 8), (2, 4), (70, 8), (2, 4), (69, 8), (70, 8), (71, 8), (75, 8)] {
            bytes.extend(&value.to_le_bytes()[..length]);
        }
        let producers = decode_producers(&bytes, 1, 1_000).unwrap();
        let expected = ProducerState {
            epoch: 2,
            last_number: 70,
            receipts: [(69, 70), (71, 75)].into(),
            last_seq: 75,
            seen_at: 1_000,
            expired: false,
            feed: FeedNumbers::None,
        };
        assert_eq!(producers.get(9).map(|known| &**known), Some(&expected));
        assert_eq!(decode_producers(&encode_producers(&producers), 2, 0), Ok(producers));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let reason = |bytes: &[u8]| decode_producers(bytes, 2, 0).unwrap_err().reason;
        let mut one = Producers::default();
        one.applied(Producer { id: 3, epoch: 0, batch_number: 1 }, 900, 901, 0);
        let once = encode_producers(&one);
        let twice = [&2_u32.to_le_bytes(), &once[4..], &once[4..]].concat();
        assert_eq!(reason(&twice), "producers in the order of their ids");
        let flag = 4 + 8 + 4 + 8 + 8 + 8;
        let mut expired = once.clone();
        expired[flag] = 1;
        assert_eq!(reason(&expired), "no receipts of an expired producer");
        expired[flag] = 2;
        assert_eq!(reason(&expired), "expired (1) or not (0)");
        for length in 0..once.len() {
            assert!(decode_producers(&once[..length], 2, 0).is_err(), "{length}");
        }
    }

    proptest! {
        /// Random bytes alone would end at the count, so most inputs are sound ones with some bytes changed.
        #[test]
        fn any_bytes_are_refused_or_come_back_as_they_were(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            random in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut changed = encode_producers(&some_producers());
            for (at, byte) in changes {
                let at = at.index(changed.len());
                changed[at] = byte;
            }
            for bytes in [changed, random] {
                if let Ok(decoded) = decode_producers(&bytes, 2, 0) {
                    prop_assert_eq!(&encode_producers(&decoded), &bytes);
                }
                let _ = decode_producers(&bytes, 1, 0);
            }
        }
    }
}
