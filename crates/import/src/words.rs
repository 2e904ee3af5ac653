//! The words of a column, and what sources write for them.

use tapebook_record::Words;

/// What sources write for a word, in lower case. `a` is the side of DBN that asks.
const SPELLINGS: &[(&str, &[&str])] = &[
    ("buy", &["b", "bid", "buyer", "1"]),
    ("sell", &["s", "a", "ask", "offer", "seller", "2"]),
    ("bid", &["b", "bids", "buy", "1"]),
    ("ask", &["a", "asks", "s", "sell", "offer", "2"]),
    ("set", &["update"]),
    ("add", &["a", "insert", "new"]),
    ("delete", &["d", "remove"]),
    ("modify", &["m"]),
    ("fill", &["f"]),
    ("clear", &["r"]),
    ("open", &["o"]),
    ("close", &["c"]),
    ("close_today", &["closetoday", "close today", "close-today"]),
    ("accepted", &["new"]),
    ("partially_filled", &["partiallyfilled", "partially filled", "partial"]),
    ("cancelled", &["canceled"]),
    ("maker", &["m", "add", "added"]),
    ("taker", &["t", "remove", "removed"]),
];

/// What stands for "no side", as feeds write it for auctions.
const NO_SIDE: &[&str] = &["n", "0", "none", "unknown"];

/// Turns what a source writes into the codes of one column.
#[derive(Clone, Debug)]
pub(crate) struct WordReader {
    words: &'static Words,
    /// Lower case; code 0 is NULL.
    spellings: Vec<(&'static str, u8)>,
}

impl WordReader {
    pub(crate) fn new(words: &'static Words) -> Self {
        let mut spellings: Vec<(&'static str, u8)> =
            words.words.iter().zip(1..).map(|(word, code)| (*word, code)).collect();
        for (word, code) in words.words.iter().zip(1..) {
            let others = SPELLINGS.iter().filter(|(known, _)| known == word).flat_map(|(_, others)| *others);
            for other in others {
                if !spellings.iter().any(|(known, _)| known == other) {
                    spellings.push((other, code));
                }
            }
        }
        if matches!(words.words, ["buy", "sell"] | ["bid", "ask"]) {
            spellings.extend(NO_SIDE.iter().map(|word| (*word, 0)));
        }
        Self { words, spellings }
    }

    /// The code of a word, 0 for NULL; `None` where it means nothing here.
    #[inline]
    pub(crate) fn code(&self, bytes: &[u8]) -> Option<u8> {
        for (word, code) in self.words.words.iter().zip(1..) {
            if word.as_bytes() == bytes {
                return Some(code);
            }
        }
        self.spellings
            .iter()
            .find(|(word, _)| word.as_bytes().eq_ignore_ascii_case(bytes))
            .map(|(_, code)| *code)
    }

    /// The words for a message.
    pub(crate) fn expected(&self) -> String {
        self.words.words.join(", ")
    }
}

/// True or false as sources write it.
pub(crate) fn flag(bytes: &[u8]) -> Option<bool> {
    const TRUE: [&str; 5] = ["true", "1", "t", "yes", "y"];
    const FALSE: [&str; 5] = ["false", "0", "f", "no", "n"];
    let is = |words: [&str; 5]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(bytes));
    match (is(TRUE), is(FALSE)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tapebook_record::{Action, BookSide, OrderStatus, Side};

    use super::*;

    #[test]
    fn sides_in_many_spellings() {
        let side = WordReader::new(Side::WORDS);
        for text in ["buy", "BUY", "b", "B", "bid", "1"] {
            assert_eq!(side.code(text.as_bytes()), Some(1), "{text}");
        }
        for text in ["sell", "S", "ask", "2", "A"] {
            assert_eq!(side.code(text.as_bytes()), Some(2), "{text}");
        }
        assert_eq!(side.code(b"N"), Some(0));
        assert_eq!(side.code(b"0"), Some(0));
        assert_eq!(side.code(b"3"), None);
        assert_eq!(side.code(b""), None);
        assert_eq!(WordReader::new(BookSide::WORDS).code(b"Buy"), Some(1));
        assert_eq!(WordReader::new(Action::WORDS).code(b"DELETE"), Some(2));
        assert_eq!(WordReader::new(OrderStatus::WORDS).code(b"Canceled"), Some(4));
        assert_eq!(WordReader::new(OrderStatus::WORDS).code(b"0"), None);
    }

    #[test]
    fn flags() {
        assert_eq!(flag(b"TRUE"), Some(true));
        assert_eq!(flag(b"0"), Some(false));
        assert_eq!(flag(b"maybe"), None);
    }
}
