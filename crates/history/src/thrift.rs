//! What Parquet's own structures declare, looked at before the decoder believes it.
//!
//! Footer, page index and page headers are Thrift structures in compact encoding. The decoder makes room for what some of
//! them declare: elements of a list, children in a schema, bytes of a page. In a damaged file that can be more memory than
//! there is, and running out of it cannot be caught. So each structure is walked through once, and refused where it
//! declares what it cannot have.

/// Bytes of a page before compression: a page ends with the batch in which it grows larger than 1 MiB, and a batch has at
/// most 64 MiB of rows.
const PAGE_BYTES_MAX: i64 = 128 << 20;
/// Deeper than any of the structures.
const DEPTH_MAX: usize = 16;
/// Deeper than any of our schemas: root, list, element, price.
const SCHEMA_DEPTH_MAX: usize = 8;

/// `FileMetaData`, its schema (a list of `SchemaElement`), and there the number of children.
const SCHEMA: &[i16] = &[2];
const CHILDREN: &[i16] = &[2, 5];
/// `PageHeader`: bytes before and after compression; values of a dictionary.
const UNCOMPRESSED_BYTES: &[i16] = &[2];
const DICTIONARY_VALUES: &[i16] = &[7, 1];

/// True where a footer declares no more than it has.
pub(crate) fn is_sane_footer(bytes: &[u8]) -> bool {
    let mut children: Vec<i64> = Vec::new();
    let visit = &mut |path: &[i16], number: Option<i64>| {
        match (number, children.last_mut()) {
            (None, _) if path == SCHEMA => children.push(0),
            (Some(number), Some(last)) if path == CHILDREN => *last = number,
            _ => {}
        }
        true
    };
    Walk { rest: bytes, path: [0; DEPTH_MAX] }.structure(0, visit).is_some() && is_sane_tree(&children)
}

/// True where the lists of a column or offset index have no more elements than bytes.
pub(crate) fn is_sane_index(bytes: &[u8]) -> bool {
    Walk { rest: bytes, path: [0; DEPTH_MAX] }.structure(0, &mut |_, _| true).is_some()
}

/// True where a page's header, which may be followed by anything, declares a page of a size that there can be.
pub(crate) fn is_sane_page_header(bytes: &[u8]) -> bool {
    let mut page_bytes = 0;
    let visit = &mut |path: &[i16], number: Option<i64>| match number {
        Some(bytes) if path == UNCOMPRESSED_BYTES => {
            page_bytes = bytes;
            (0..=PAGE_BYTES_MAX).contains(&bytes)
        }
        Some(values) if path == DICTIONARY_VALUES => (0..=page_bytes).contains(&values),
        _ => true,
    };
    Walk { rest: bytes, path: [0; DEPTH_MAX] }.structure(0, visit).is_some()
}

/// True where numbers of children, each node before its children, make one tree, and not a deep one.
fn is_sane_tree(children: &[i64]) -> bool {
    let mut missing: Vec<usize> = vec![1];
    for count in children {
        while missing.last() == Some(&0) {
            missing.pop();
        }
        let Ok(count) = usize::try_from(*count) else { return false };
        match missing.last_mut() {
            Some(here) if count <= children.len() => *here -= 1,
            _ => return false,
        }
        missing.push(count);
        if missing.len() > SCHEMA_DEPTH_MAX {
            return false;
        }
    }
    missing.iter().all(|missing| *missing == 0)
}

/// Called with the numbers of the fields that lead to a number, and at the beginning of a structure without one.
type Visit<'v> = &'v mut dyn FnMut(&[i16], Option<i64>) -> bool;

struct Walk<'a> {
    rest: &'a [u8],
    path: [i16; DEPTH_MAX],
}

impl Walk<'_> {
    /// The fields of a structure, up to its stop; `None` where it goes on behind the end or is refused.
    fn structure(&mut self, depth: usize, visit: Visit<'_>) -> Option<()> {
        self.accept(depth, None, visit)?;
        let mut field = 0_i16;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            field = match header >> 4 {
                0 => i16::try_from(self.zigzag()?).ok()?,
                delta => field.checked_add(i16::from(delta))?,
            };
            *self.path.get_mut(depth)? = field;
            let kind = header & 15;
            // A truth value of a field is its type.
            if !matches!(kind, 1 | 2) {
                self.value(kind, depth + 1, visit)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize, visit: Visit<'_>) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => {
                let number = self.zigzag()?;
                self.accept(depth, Some(number), visit)
            }
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => {
                let header = self.byte()?;
                let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
                self.elements(count, &[header & 15], depth, visit)
            }
            11 => match self.varint()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.elements(count, &[kinds >> 4, kinds & 15], depth, visit)
                }
            },
            12 => self.structure(depth, visit),
            13 => self.skip(16),
            _ => None,
        }
    }

    /// Each element has at least a byte.
    fn elements(&mut self, count: u64, kinds: &[u8], depth: usize, visit: Visit<'_>) -> Option<()> {
        if count > self.rest.len() as u64 {
            return None;
        }
        for _ in 0..count {
            for kind in kinds {
                self.value(*kind, depth, visit)?;
            }
        }
        Some(())
    }

    fn accept(&self, depth: usize, number: Option<i64>, visit: Visit<'_>) -> Option<()> {
        visit(self.path.get(..depth)?, number).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of a structure: delta and type, then what it holds.
    fn field(delta: u8, kind: u8, value: &[u8]) -> Vec<u8> {
        [&[delta << 4 | kind], value].concat()
    }

    /// A list whose length is said apart.
    fn list(kind: u8, count: u8, elements: &[u8]) -> Vec<u8> {
        [&[0xf0 | kind, count], elements].concat()
    }

    #[test]
    fn a_list_that_is_longer_than_what_follows_is_refused() {
        let of = |count| [field(1, 9, &list(3, count, b"abc")), vec![0]].concat();
        assert!(is_sane_index(&of(3)));
        for count in [4, 5, 127] {
            assert!(!is_sane_index(&of(count)), "{count}");
        }
        assert!(!is_sane_index(&[]));
        let deep = [0x1c; 20];
        assert!(!is_sane_index(&deep));
    }

    #[test]
    fn a_schema_is_one_tree() {
        // Number of children as a zigzag number, field 5 of an element.
        let element = |children: u8| [field(5, 5, &[children * 2]), vec![0]].concat();
        let footer = |children: &[u8]| {
            let elements: Vec<u8> = children.iter().flat_map(|children| element(*children)).collect();
            [field(2, 9, &list(12, children.len() as u8, &elements)), vec![0]].concat()
        };
        for good in [&[0][..], &[2, 0, 0], &[2, 1, 1, 2, 0, 0, 0]] {
            assert!(is_sane_footer(&footer(good)), "{good:?}");
        }
        for bad in [&[][..], &[1], &[2, 0], &[0, 0], &[60, 0, 0], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 0]] {
            assert!(!is_sane_footer(&footer(bad)), "{bad:?}");
        }
    }

    #[test]
    fn a_page_of_gigabytes_is_refused() {
        let header = |bytes: &[u8]| [field(2, 5, bytes), vec![0], b"the page".to_vec()].concat();
        assert!(is_sane_page_header(&header(&[0x80, 0x80, 0x80, 0x01])));
        assert!(!is_sane_page_header(&header(&[0xfe, 0xff, 0xff, 0xff, 0x0f])));
        assert!(!is_sane_page_header(&header(&[0x01])));
        let dictionary = |values| {
            let header = [field(1, 5, &[values]), vec![0]].concat();
            [field(2, 5, &[16]), field(5, 12, &header), vec![0]].concat()
        };
        assert!(is_sane_page_header(&dictionary(16)));
        assert!(!is_sane_page_header(&dictionary(18)));
    }
}
