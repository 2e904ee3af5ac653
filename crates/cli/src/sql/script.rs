//! Splits text into statements at semicolons, but not at those in quotes and comments.
//!
//! It follows PostgreSQL's lexical rules as far as they decide where a statement ends: `'…'` with doubled quotes,
//! `E'…'` with backslashes, `"…"`, `$tag$…$tag$`, `-- …` and `/* … */`, which nests.

/// What a script consists of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Item {
    /// A statement without its semicolon.
    Statement(String),
    /// A command of the shell: a line that begins with a backslash, but not inside quotes and comments.
    Command(String),
}

/// Takes text line by line and gives out what is complete.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    text: String,
}

impl Script {
    /// Takes a line, without its end, and gives out the statements that it completes.
    pub(crate) fn push_line(&mut self, line: &str) -> Vec<Item> {
        if line.trim_start().starts_with('\\') && self.would_end() {
            let command = line.trim().trim_end_matches(';').trim_end();
            if command == "\\r" || !self.is_open() {
                self.clear();
            }
            return vec![Item::Command(command.to_owned())];
        }
        self.text.push_str(line);
        self.text.push('\n');
        let mut items = Vec::new();
        while let Some(end) = statement_end(&self.text) {
            push_statement(&mut items, &self.text[..end]);
            self.text.drain(..=end);
        }
        items
    }

    /// What is left at the end counts as a statement, with or without its semicolon.
    pub(crate) fn finish(&mut self) -> Option<Item> {
        let mut items = Vec::new();
        push_statement(&mut items, &std::mem::take(&mut self.text));
        items.pop()
    }

    /// Forgets an unfinished statement.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
    }

    /// True in the middle of a statement.
    pub(crate) fn is_open(&self) -> bool {
        !is_blank(&self.text)
    }

    /// True where a semicolon would end the statement: outside quotes and comments.
    fn would_end(&self) -> bool {
        statement_end(&format!("{};", self.text)).is_some()
    }

    /// All items of a whole text.
    pub(crate) fn items(text: &str) -> Vec<Item> {
        let mut script = Self::default();
        let mut items: Vec<Item> = text.lines().flat_map(|line| script.push_line(line)).collect();
        items.extend(script.finish());
        items
    }
}

fn push_statement(items: &mut Vec<Item>, text: &str) {
    if !is_blank(text) {
        items.push(Item::Statement(text.trim().to_owned()));
    }
}

/// True where there is nothing but space and comments.
fn is_blank(text: &str) -> bool {
    let mut at = 0;
    while at < text.len() {
        let token = Token::at(text, at);
        if !matches!(token.kind, Kind::Space | Kind::Comment { closed: true }) {
            return false;
        }
        at += token.bytes;
    }
    true
}

/// Where the semicolon of the first statement stands.
fn statement_end(text: &str) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        let token = Token::at(text, at);
        if token.kind == Kind::Semicolon {
            return Some(at);
        }
        at += token.bytes;
    }
    None
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Space,
    Comment { closed: bool },
    Semicolon,
    Other,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Token {
    kind: Kind,
    bytes: usize,
}

impl Token {
    /// The token that begins at `at`; what is not closed goes to the end.
    fn at(text: &str, at: usize) -> Self {
        let rest = &text[at..];
        let other = |bytes| Self { kind: Kind::Other, bytes };
        let Some(first) = rest.chars().next() else { return other(0) };
        match first {
            ';' => Self { kind: Kind::Semicolon, bytes: 1 },
            '\'' => other(quoted(rest, b'\'', escapes_before(text, at))),
            '"' => other(quoted(rest, b'"', false)),
            '$' => other(dollar_quoted(rest, &text[..at])),
            '-' if rest.starts_with("--") => {
                // Without its end of line the comment could still go on, but nothing in it matters.
                let bytes = rest.find('\n').map_or(rest.len(), |end| end + 1);
                Self { kind: Kind::Comment { closed: true }, bytes }
            }
            '/' if rest.starts_with("/*") => {
                let (bytes, closed) = block_comment(rest);
                Self { kind: Kind::Comment { closed }, bytes }
            }
            c if c.is_whitespace() => Self { kind: Kind::Space, bytes: c.len_utf8() },
            c => other(c.len_utf8()),
        }
    }
}

/// True where the quote at `at` belongs to an `E'…'`.
fn escapes_before(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    matches!(before.next(), Some('e' | 'E')) && !before.next().is_some_and(is_name_char)
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The length of a quoted text; a doubled quote is part of it, for here that is two texts in a row.
fn quoted(rest: &str, quote: u8, escapes: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] == quote {
            return at + 1;
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The length of `$tag$…$tag$`, or of the dollar sign alone where it begins no such text.
fn dollar_quoted(rest: &str, before: &str) -> usize {
    let tag_end = rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map(|end| end + 1);
    let Some(tag_end) = tag_end.filter(|end| rest[*end..].starts_with('$')) else { return 1 };
    let tag = &rest[..=tag_end];
    let starts_with_digit = tag[1..].starts_with(|c: char| c.is_ascii_digit());
    if starts_with_digit || before.chars().next_back().is_some_and(is_name_char) {
        return 1;
    }
    rest[tag.len()..].find(tag).map_or(rest.len(), |at| tag.len() + at + tag.len())
}

/// The length of a comment with the comments in it, and whether it is closed.
fn block_comment(rest: &str) -> (usize, bool) {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return (at, true);
                }
            }
            _ => at += 1,
        }
    }
    (bytes.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<String> {
        let items = Script::items(text).into_iter();
        items
            .map(|item| match item {
                Item::Statement(text) => text,
                Item::Command(text) => format!("command {text}"),
            })
            .collect()
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        for one in [
            "SELECT ';'",
            "SELECT 'it''s; fine'",
            r"SELECT E'a\';b'",
            "SELECT \"a;b\"",
            "SELECT $$a;b$$",
            "SELECT $x$a;$y$;b$x$",
            "SELECT 1 -- no; end\n+ 1",
            "SELECT /* a; /* b; */ c; */ 1",
            "SELECT 'ä;ö'",
            "SELECT e'\\\\'",
        ] {
            assert_eq!(statements(&format!("{one}; SELECT 2")), [one, "SELECT 2"], "{one}");
        }
    }

    #[test]
    fn what_looks_like_a_quote_and_is_none() {
        assert_eq!(statements("SELECT a$b$; SELECT $1; SELECT 1"), ["SELECT a$b$", "SELECT $1", "SELECT 1"]);
        assert_eq!(statements(r"SELECT 'a\'; SELECT 1"), [r"SELECT 'a\'", "SELECT 1"]);
    }

    #[test]
    fn empty_statements_and_comments_are_nothing() {
        assert!(statements(";; \n -- nothing\n/* nothing */ ;\n").is_empty());
        assert_eq!(statements("-- first\nSELECT 1"), ["-- first\nSELECT 1"]);
    }

    #[test]
    fn commands_stand_on_a_line_of_their_own() {
        assert_eq!(
            statements("\\d trades;\nSELECT 1;\n\\q"),
            ["command \\d trades", "SELECT 1", "command \\q"]
        );
        assert_eq!(statements("SELECT '\n\\d'"), ["SELECT '\n\\d'"]);
        assert_eq!(statements("SELECT /*\n\\d */ 1"), ["SELECT /*\n\\d */ 1"]);
    }

    #[test]
    fn commands_leave_an_open_statement_alone_but_for_the_one_that_forgets_it() {
        assert_eq!(statements("SELECT\n\\d\n1;"), ["command \\d", "SELECT\n1"]);
        assert_eq!(statements("SELECT\n  \\r\nSELECT 2;"), ["command \\r", "SELECT 2"]);
    }

    #[test]
    fn what_is_open_waits_for_more() {
        let mut script = Script::default();
        assert!(script.push_line("SELECT 1").is_empty());
        assert!(script.is_open());
        assert_eq!(script.push_line("+ 1; SELECT").len(), 1);
        assert!(script.is_open());
        assert_eq!(script.push_line("2;"), [Item::Statement("SELECT\n2".to_owned())]);
        assert!(!script.is_open());
        assert!(script.push_line("/* open").is_empty());
        assert!(script.is_open());
    }
}
