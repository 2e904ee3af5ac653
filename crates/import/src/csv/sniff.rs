//! Finds out what a text file does not say: its delimiter, and whether its first line is a header.

const DELIMITERS: [u8; 4] = *b",;\t|";
const LINES_LOOKED_AT: usize = 20;

/// The delimiter that stands equally often in the first lines, most often where several do. A comma where none
/// does.
pub(crate) fn delimiter(head: &[u8]) -> u8 {
    let lines: Vec<[usize; 4]> = head
        .split_inclusive(|byte| *byte == b'\n')
        // The last line may be cut off by the end of the buffer.
        .filter(|line| line.ends_with(b"\n"))
        .chain(std::iter::once(head).filter(|head| !head.contains(&b'\n')))
        .filter(|line| !line.trim_ascii().is_empty())
        .take(LINES_LOOKED_AT)
        .map(counts)
        .collect();
    let first = lines.first().copied().unwrap_or_default();
    let score = |at: usize| {
        let same = lines.iter().filter(|line| line[at] == first[at]).count();
        (first[at] > 0).then_some((same, first[at]))
    };
    let best = (0..DELIMITERS.len()).rev().filter(|at| score(*at).is_some()).max_by_key(|at| score(*at));
    best.map_or(b',', |at| DELIMITERS[at])
}

fn counts(line: &[u8]) -> [usize; 4] {
    let mut counts = [0; 4];
    let mut quoted = false;
    for byte in line {
        if *byte == b'"' {
            quoted = !quoted;
        } else if !quoted && let Some(at) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
            counts[at] += 1;
        }
    }
    counts
}

/// True where no field of the first record is a number or a time, and at least one is a word.
pub(crate) fn is_header<'a>(fields: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut words = 0;
    for field in fields {
        let field = field.trim_ascii();
        if is_value(field) {
            return false;
        }
        words += usize::from(!field.is_empty());
    }
    words > 0
}

fn is_value(field: &[u8]) -> bool {
    let digits = field.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits > 0
        && (crate::number::double(field).is_some()
            || field.iter().all(|byte| byte.is_ascii_digit() || b"+-.:/TZ ".contains(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        assert_eq!(delimiter(b"a,b,c\n1,2,3\n"), b',');
        assert_eq!(delimiter(b"a;b\n1,5;2,5\n1;2\n"), b';');
        assert_eq!(delimiter(b"a\tb\n1\t2\n"), b'\t');
        assert_eq!(delimiter(b"a|b"), b'|');
        assert_eq!(delimiter(b"\"x;y;z\",b\n"), b',');
        assert_eq!(delimiter(b"alone\n1\n"), b',');
        assert_eq!(delimiter(b""), b',');
        assert_eq!(delimiter(b"1,5;2,5;3\n1,5;2,5;3\n1;2;3\n"), b';');
    }

    #[test]
    fn headers() {
        let header = |line: &str| is_header(line.split(',').map(str::as_bytes));
        assert!(header("symbol,ts,bid_price1,bids[0].price"));
        assert!(header(",open,close"));
        assert!(header("NAN,inf"));
        assert!(!header("1787,1.38727,1.38729"));
        assert!(!header("BTCUSDT,2021-01-04T00:00:00Z,x"));
        assert!(!header("a,09:30:00"));
        assert!(!header(",,"));
    }
}
