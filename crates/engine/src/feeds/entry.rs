//! The payload of the log entry that declares a feed. The byte map is in `docs/format/log.md`.

use tapebook_record::codec::{DecodeError, Decoder, Encoder};

use super::FeedNumbers;
use super::numbers::{decode_feed_numbers, put_feed_numbers};

const VERSION: u16 = 1;

/// What a log entry of kind *feed declaration* says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeedDeclaration {
    /// The producer, not 0.
    pub producer: u64,
    /// What its numbers mean from now on.
    pub numbers: FeedNumbers,
}

impl FeedDeclaration {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.u16(VERSION).u64(self.producer);
        put_feed_numbers(&mut out, self.numbers);
        out.into_bytes()
    }

    /// Reads a payload. Whatever the bytes are, it answers; what it takes is encoded to the same bytes again.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Decoder::new(bytes);
        if fields.u16()? != VERSION {
            return Err(DecodeError { offset: 0, reason: "version 1 of a feed declaration" });
        }
        let offset = fields.offset();
        let producer = fields.u64()?;
        if producer == 0 {
            return Err(DecodeError { offset, reason: "a producer, which is not 0" });
        }
        let numbers = decode_feed_numbers(&mut fields)?;
        fields.finish()?;
        Ok(Self { producer, numbers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [FeedNumbers; 5] = [
        FeedNumbers::None,
        FeedNumbers::PerSymbol,
        FeedNumbers::PerChannel,
        FeedNumbers::Ranges,
        FeedNumbers::Backfill { of: 7 },
    ];

    #[test]
    fn the_format_page_shows_these_bytes() {
        let page = include_str!("../../../../docs/format/log.md");
        let entry = FeedDeclaration { producer: 300, numbers: FeedNumbers::Backfill { of: 7 } };
        let mut shown = String::from("```text feed-declaration\n");
        for (row, bytes) in entry.encode().chunks(16).enumerate() {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            shown += &format!("{:04x}  {}\n", row * 16, digits.join(" "));
        }
        assert!(page.contains(&shown), "{shown}");
    }

    #[test]
    fn declarations_come_back_and_what_is_none_is_refused() {
        for numbers in ALL {
            let entry = FeedDeclaration { producer: 300, numbers };
            let bytes = entry.encode();
            assert_eq!(FeedDeclaration::decode(&bytes), Ok(entry));
            for length in 0..bytes.len() {
                assert!(FeedDeclaration::decode(&bytes[..length]).is_err(), "{length}");
            }
            assert!(FeedDeclaration::decode(&[&bytes[..], &[0]].concat()).is_err());
            for at in 0..bytes.len() {
                for value in 0..=u8::MAX {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    if let Ok(decoded) = FeedDeclaration::decode(&changed) {
                        assert_eq!(decoded.encode(), changed, "only one form");
                    }
                }
            }
        }
        let nobody = FeedDeclaration { producer: 0, numbers: FeedNumbers::None };
        let reason = FeedDeclaration::decode(&nobody.encode()).unwrap_err().reason;
        assert_eq!(reason, "a producer, which is not 0");
    }
}
