//! The sections of a state file that keep positions and gaps. The byte maps are in `docs/format/state.md`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tapebook_record::TableId;
use tapebook_record::codec::{DecodeError, Decoder, Encoder};

use super::gaps::{Gap, Gaps, Moment, Open, OpenGaps};
use super::numbers::{Numbers, Stream};
use super::positions::{Position, Positions, Streams};

/// The table of a stream that is a channel; no table has it.
const CHANNEL: u16 = 0;
const STREAM_BYTES: usize = 2 + 4;

pub(crate) fn encode_positions(positions: &Positions) -> Vec<u8> {
    let mut out = Encoder::new();
    let producers = positions.iter();
    out.u32(producers.len() as u32);
    for (producer, streams) in producers {
        out.u64(producer).u64(streams.unwatched).u32(streams.by_stream.len() as u32);
        for (stream, position) in &streams.by_stream {
            put_stream(&mut out, *stream);
            out.u64(position.last).u8(u8::from(position.event.is_some()));
            if let Some(event) = position.event {
                out.u64(event.first).u64(event.last);
            }
        }
    }
    out.into_bytes()
}

pub(crate) fn decode_positions(bytes: &[u8]) -> Result<Positions, DecodeError> {
    let mut fields = Decoder::new(bytes);
    let mut positions = Positions::default();
    let mut before = None;
    for _ in 0..fields.count(20)? {
        let producer = ascending(&mut before, &mut fields, |fields| fields.u64())?;
        let mut streams = Streams { unwatched: fields.u64()?, ..Streams::default() };
        let mut last_stream = None;
        for _ in 0..fields.count(STREAM_BYTES + 9)? {
            let stream = ascending(&mut last_stream, &mut fields, decode_stream)?;
            let last = fields.u64()?;
            let offset = fields.offset();
            let event = match fields.u8()? {
                0 => None,
                1 => Some(decode_numbers(&mut fields)?),
                _ => return Err(DecodeError { offset, reason: "an event (1) or none (0)" }),
            };
            streams.by_stream.insert(stream, Position { last, event });
        }
        positions.insert(producer, streams);
    }
    fields.finish()?;
    Ok(positions)
}

pub(crate) fn encode_gaps(gaps: &Gaps) -> Vec<u8> {
    let mut out = Encoder::new();
    let producers = gaps.open();
    out.u32(producers.len() as u32);
    for (producer, open) in producers {
        out.u64(producer).u64(open.unlisted).u32(open.by_first.len() as u32);
        for ((stream, first), gap) in &open.by_first {
            put_stream(&mut out, *stream);
            out.u64(*first).u64(gap.last);
            put_moment(&mut out, gap.seen);
        }
    }
    out.u32(gaps.closed().len() as u32);
    for Gap { producer, stream, numbers, seen, closed } in gaps.closed() {
        out.u64(*producer);
        put_stream(&mut out, *stream);
        out.u64(numbers.first).u64(numbers.last);
        put_moment(&mut out, *seen);
        put_moment(&mut out, closed.expect("only closed gaps are kept here"));
    }
    out.into_bytes()
}

pub(crate) fn decode_gaps(bytes: &[u8]) -> Result<Gaps, DecodeError> {
    let mut fields = Decoder::new(bytes);
    let mut open = BTreeMap::new();
    let mut before = None;
    for _ in 0..fields.count(20)? {
        let producer = ascending(&mut before, &mut fields, |fields| fields.u64())?;
        open.insert(producer, Arc::new(decode_open(&mut fields)?));
    }
    let mut closed = VecDeque::new();
    for _ in 0..fields.count(8 + STREAM_BYTES + 48)? {
        closed.push_back(Gap {
            producer: fields.u64()?,
            stream: decode_stream(&mut fields)?,
            numbers: decode_numbers(&mut fields)?,
            seen: decode_moment(&mut fields)?,
            closed: Some(decode_moment(&mut fields)?),
        });
    }
    fields.finish()?;
    Ok(Gaps::from_parts(open, closed))
}

fn decode_open(fields: &mut Decoder<'_>) -> Result<OpenGaps, DecodeError> {
    let mut open = OpenGaps { unlisted: fields.u64()?, ..OpenGaps::default() };
    let mut before: Option<(Stream, u64)> = None;
    for _ in 0..fields.count(STREAM_BYTES + 32)? {
        let offset = fields.offset();
        let stream = decode_stream(fields)?;
        let numbers = decode_numbers(fields)?;
        if before.is_some_and(|before| before >= (stream, numbers.first)) {
            return Err(DecodeError { offset, reason: "gaps in order that do not overlap" });
        }
        before = Some((stream, numbers.last));
        let gap = Open { last: numbers.last, seen: decode_moment(fields)? };
        open.by_first.insert((stream, numbers.first), gap);
    }
    Ok(open)
}

/// What must be greater than the one before.
fn ascending<T: Copy + Ord>(
    before: &mut Option<T>,
    fields: &mut Decoder<'_>,
    decode: impl FnOnce(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let offset = fields.offset();
    let next = decode(fields)?;
    if before.is_some_and(|before| before >= next) {
        return Err(DecodeError { offset, reason: "producers and streams in order, each once" });
    }
    *before = Some(next);
    Ok(next)
}

fn put_stream(out: &mut Encoder, stream: Stream) {
    match stream {
        Stream::Channel => out.u16(CHANNEL).u32(0),
        Stream::Series { table, symbol } => out.u16(table.0).u32(symbol),
    };
}

fn decode_stream(fields: &mut Decoder<'_>) -> Result<Stream, DecodeError> {
    let offset = fields.offset();
    match (fields.u16()?, fields.u32()?) {
        (CHANNEL, 0) => Ok(Stream::Channel),
        (CHANNEL, _) => Err(DecodeError { offset, reason: "a channel, or a table and a symbol" }),
        (table, symbol) => Ok(Stream::Series { table: TableId(table), symbol }),
    }
}

fn decode_numbers(fields: &mut Decoder<'_>) -> Result<Numbers, DecodeError> {
    let offset = fields.offset();
    let numbers = Numbers { first: fields.u64()?, last: fields.u64()? };
    if numbers.first > numbers.last {
        return Err(DecodeError { offset, reason: "numbers, the first not above the last" });
    }
    Ok(numbers)
}

fn put_moment(out: &mut Encoder, moment: Moment) {
    out.u64(moment.seq).i64(moment.at);
}

fn decode_moment(fields: &mut Decoder<'_>) -> Result<Moment, DecodeError> {
    Ok(Moment { seq: fields.u64()?, at: fields.i64()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeedNumbers;
    use crate::feeds::{FeedRow, Watch};
    use proptest::prelude::*;

    /// Positions and gaps as rows of three producers leave them.
    fn some(rows: &[(u64, u8, u64, bool)]) -> (Positions, Gaps) {
        let (mut positions, mut gaps) = (Positions::default(), Gaps::default());
        for (seq, (producer, series, number, ends_event)) in (1..).zip(rows) {
            let numbers = match producer {
                1 => FeedNumbers::PerSymbol,
                2 => FeedNumbers::PerChannel,
                _ => FeedNumbers::Ranges,
            };
            let mut watch = Watch {
                positions: &mut positions,
                gaps: &mut gaps,
                producer: *producer,
                at: seq as i64,
                changes: &mut Vec::new(),
            };
            let (table, symbol) = (TableId(1 + u16::from(series % 2)), u32::from(series / 2));
            let row = FeedRow { table, symbol, number: Some(*number), ends_event: *ends_event, seq };
            watch.row(numbers, numbers, row);
        }
        (positions, gaps)
    }

    fn rows() -> impl Strategy<Value = Vec<(u64, u8, u64, bool)>> {
        prop::collection::vec((1..4_u64, 0..4_u8, 0..60_u64, any::<bool>()), 0..40)
    }

    proptest! {
        #[test]
        fn positions_and_gaps_come_back_from_their_sections(rows in rows()) {
            let (positions, gaps) = some(&rows);
            prop_assert_eq!(decode_positions(&encode_positions(&positions)), Ok(positions));
            prop_assert_eq!(decode_gaps(&encode_gaps(&gaps)), Ok(gaps));
        }

        #[test]
        fn any_bytes_are_refused_or_come_back_as_they_were(
            rows in rows(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            random in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let (positions, gaps) = some(&rows);
            let changed = |mut bytes: Vec<u8>| {
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                bytes
            };
            for bytes in [changed(encode_positions(&positions)), random.clone()] {
                if let Ok(decoded) = decode_positions(&bytes) {
                    prop_assert_eq!(encode_positions(&decoded), bytes);
                }
            }
            for bytes in [changed(encode_gaps(&gaps)), random] {
                if let Ok(decoded) = decode_gaps(&bytes) {
                    prop_assert_eq!(encode_gaps(&decoded), bytes);
                }
            }
        }
    }

    #[test]
    fn gaps_that_overlap_are_refused() {
        let stream = Stream::Channel;
        let seen = Moment { seq: 1, at: 1 };
        let of = |gaps: &[(u64, u64)]| {
            let by_first = gaps.iter().map(|(first, last)| ((stream, *first), Open { last: *last, seen }));
            let open = OpenGaps { by_first: by_first.collect(), unlisted: 0 };
            Gaps::from_parts([(7, Arc::new(open))].into(), VecDeque::new())
        };
        assert!(decode_gaps(&encode_gaps(&of(&[(1, 3), (4, 4)]))).is_ok());
        let error = decode_gaps(&encode_gaps(&of(&[(1, 4), (4, 6)]))).unwrap_err();
        assert_eq!(error.reason, "gaps in order that do not overlap");
        let error = decode_gaps(&encode_gaps(&of(&[(4, 3)]))).unwrap_err();
        assert_eq!(error.reason, "numbers, the first not above the last");
    }
}
