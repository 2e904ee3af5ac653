//! Reads DER (X.690), one level at a time.
//!
//! Every length is checked against the bytes that are there; what is not DER ends the reading. Nothing is copied.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The bits of a tag that say that a longer one follows. Nothing that we read has one.
const LONG_TAG: u8 = 0x1f;
/// Bytes that the length of an element may have: 16 MiB are more than any certificate.
const LENGTH_BYTES_MAX: usize = 3;

/// Elements that stand one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, its tag and its content; `None` where there is none that is whole.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.rest.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            _ => long_length(usize::from(first & 0x7f), rest)?,
        };
        if tag & LONG_TAG == LONG_TAG {
            return None;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.next()?;
        (found == tag).then_some(content)
    }

    /// The content of the next element if it has this tag; else nothing is taken.
    pub(super) fn take_if(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.rest.first() == Some(&tag) { self.take(tag) } else { None }
    }

    /// What is in the next element, a sequence.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self::new)
    }
}

/// A length that has more than one byte, in the fewest that do.
fn long_length(bytes: usize, rest: &[u8]) -> Option<(usize, &[u8])> {
    if !(1..=LENGTH_BYTES_MAX).contains(&bytes) {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(bytes)?;
    let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    let is_shortest = length >= 0x80 && digits[0] != 0;
    is_shortest.then_some((length, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_one_after_another() {
        let mut der = Der::new(&[INTEGER, 1, 7, SEQUENCE, 3, BOOLEAN, 1, 0xff]);
        assert_eq!(der.take_if(SEQUENCE).map(<[u8]>::len), None);
        assert_eq!(der.take(INTEGER), Some(&[7][..]));
        let mut inner = der.sequence().unwrap();
        assert_eq!(inner.next(), Some((BOOLEAN, &[0xff][..])));
        assert!(inner.is_empty() && der.is_empty() && der.next().is_none());
        let long = [vec![OCTET_STRING, 0x81, 0x80], vec![9; 0x80]].concat();
        assert_eq!(Der::new(&long).take(OCTET_STRING).map(<[u8]>::len), Some(0x80));
    }

    #[test]
    fn what_is_not_der_ends_the_reading() {
        for bytes in [
            &[][..],
            &[INTEGER],
            &[INTEGER, 2, 1],
            &[INTEGER, 0x80, 1, 0, 0],
            &[INTEGER, 0x81, 1, 7],
            &[INTEGER, 0x82, 0, 0x80],
            &[INTEGER, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[INTEGER, 0xff],
            &[0x1f, 1, 7],
        ] {
            assert!(Der::new(bytes).next().is_none(), "{bytes:?}");
        }
    }
}
