//! Whether a store holds what was sent.

use md5::{Digest, Md5};
use xxhash_rust::xxh3::Xxh3;

/// What was sent, as far as it can be compared with what a store says of an object.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) bytes: u64,
    parts: Vec<[u8; 16]>,
    whole: Option<Box<Xxh3>>,
}

impl Sent {
    pub(crate) fn add(&mut self, part: &[u8]) {
        self.bytes += part.len() as u64;
        self.parts.push(Md5::digest(part).into());
        self.whole.get_or_insert_with(Box::default).update(part);
    }

    /// The hash of all bytes.
    pub(crate) fn hash(&self) -> u128 {
        self.whole.as_ref().map_or_else(|| Xxh3::new().digest128(), |whole| whole.digest128())
    }

    /// True where the entity tag is the one that S3 gives to an object that was sent like this: the MD5 of the bytes, or of
    /// the MD5s of the parts. Other stores, and encryption with keys of one's own, give other tags, which say nothing.
    pub(crate) fn has_tag(&self, tag: Option<&str>, in_parts: bool) -> bool {
        let Some(tag) = tag else { return false };
        let tag = tag.trim_start_matches("W/").trim_matches('"');
        let expected = if in_parts {
            format!("{}-{}", hex(&Md5::digest(self.parts.concat())), self.parts.len())
        } else {
            hex(self.parts.first().unwrap_or(&Md5::digest(b"").into()))
        };
        tag.eq_ignore_ascii_case(&expected)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_that_s3_gives() {
        let mut sent = Sent::default();
        assert!(sent.has_tag(Some("\"d41d8cd98f00b204e9800998ecf8427e\""), false));
        sent.add(b"hello");
        assert!(sent.has_tag(Some("5D41402ABC4B2A76B9719D911017C592"), false));
        assert!(!sent.has_tag(Some("5d41402abc4b2a76b9719d911017c593"), false));
        sent.add(b" world");
        // md5(md5("hello") + md5(" world")), computed with md5sum.
        assert!(sent.has_tag(Some("\"a56979024342128ecebc884e3442121b-2\""), true));
        assert!(!sent.has_tag(None, true));
    }
}
