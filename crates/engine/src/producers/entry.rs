//! The payload of the log entry that expires producers. The byte map is in `docs/format/log.md`.

use tapebook_record::codec::{DecodeError, Decoder, Encoder};

const VERSION: u16 = 1;
const EXPIRY_BYTES: usize = 8 + 4 + 8;

/// The most producers that one entry expires.
pub const EXPIRIES_MAX: usize = 4096;

/// One producer that is to expire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// The producer.
    pub producer: u64,
    /// Its epoch when it was looked at. Where it has a greater one by now, it does not expire.
    pub epoch: u32,
    /// Where it has written a batch behind this one in that epoch, it does not expire.
    pub through_number: u64,
}

/// What a log entry of kind *producer expiry* asks for.
///
/// *Invariant*: there is at least one, at most [`EXPIRIES_MAX`], by ascending producer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProducerExpiry {
    /// Who is to expire.
    pub expiries: Vec<Expiry>,
}

impl ProducerExpiry {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u16(VERSION).u32(self.expiries.len() as u32);
        for Expiry { producer, epoch, through_number } in &self.expiries {
            out.u64(*producer).u32(*epoch).u64(*through_number);
        }
        out.into_bytes()
    }

    /// Reads a payload. Whatever the bytes are, it answers; what it takes is encoded to the same bytes again.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Decoder::new(bytes);
        if fields.u16()? != VERSION {
            return Err(DecodeError { offset: 0, reason: "version 1 of a producer expiry" });
        }
        let offset = fields.offset();
        let count = fields.count(EXPIRY_BYTES)?;
        if count == 0 || count > EXPIRIES_MAX {
            return Err(DecodeError { offset, reason: "1 to 4096 producers" });
        }
        let mut expiries: Vec<Expiry> = Vec::with_capacity(count);
        for _ in 0..count {
            let offset = fields.offset();
            let expiry =
                Expiry { producer: fields.u64()?, epoch: fields.u32()?, through_number: fields.u64()? };
            let before = expiries.last().map_or(0, |before| before.producer);
            if expiry.producer <= before {
                return Err(DecodeError { offset, reason: "producers by ascending id, from 1" });
            }
            expiries.push(expiry);
        }
        fields.finish()?;
        Ok(Self { expiries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_format_page_shows_these_bytes() {
        let entry = ProducerExpiry { expiries: vec![Expiry { producer: 7, epoch: 2, through_number: 300 }] };
        let page = include_str!("../../../../docs/format/log.md");
        let bytes = entry.encode();
        let mut shown = String::from("```text producer-expiry\n");
        for (row, bytes) in bytes.chunks(16).enumerate() {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            shown += &format!("{:04x}  {}\n", row * 16, digits.join(" "));
        }
        assert!(page.contains(&shown), "{shown}");
        assert_eq!(ProducerExpiry::decode(&bytes), Ok(entry));
    }

    #[test]
    fn what_is_no_expiry_is_refused() {
        let entry = |ids: &[u64]| ProducerExpiry {
            expiries: ids.iter().map(|id| Expiry { producer: *id, epoch: 1, through_number: 1 }).collect(),
        };
        let reason = |ids: &[u64]| ProducerExpiry::decode(&entry(ids).encode()).unwrap_err().reason;
        assert_eq!(reason(&[]), "1 to 4096 producers");
        assert_eq!(reason(&(1..=4097).collect::<Vec<_>>()), "1 to 4096 producers");
        assert_eq!(reason(&[0]), "producers by ascending id, from 1");
        assert_eq!(reason(&[3, 3]), "producers by ascending id, from 1");
        let bytes = entry(&[3, 4]).encode();
        for length in 0..bytes.len() {
            assert!(ProducerExpiry::decode(&bytes[..length]).is_err(), "{length}");
        }
        assert!(ProducerExpiry::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_come_back_as_they_were(
            ids in prop::collection::btree_set(1_u64.., 1..5),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let expiries = ids.into_iter().map(|producer| Expiry { producer, epoch: 3, through_number: 9 });
            let mut bytes = ProducerExpiry { expiries: expiries.collect() }.encode();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(decoded) = ProducerExpiry::decode(&bytes) {
                prop_assert_eq!(decoded.encode(), bytes);
            }
        }
    }
}
