//! `?` where a statement has parameters, as JDBC and ODBC write them: the same as `$1`, `$2`, … in this order.

use std::borrow::Cow;
use std::collections::HashSet;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The statement with numbers for question marks. What is no SQL stays as it is, for the parser to complain about.
pub(crate) fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location() else {
        return Cow::Borrowed(sql);
    };
    // Numbers and question marks in one statement could mean each other.
    if tokens.iter().any(|token| matches!(token.token, Token::Placeholder(_))) {
        return Cow::Borrowed(sql);
    }
    let questions = tokens.iter().filter(|token| matches!(token.token, Token::Question));
    let places: HashSet<(u64, u64)> =
        questions.map(|token| (token.span.start.line, token.span.start.column)).collect();
    // Only the marks are replaced: tokens written out again need not be what they were.
    let mut numbered = String::with_capacity(sql.len() + places.len());
    let (mut line, mut column, mut last) = (1, 1, 0);
    for character in sql.chars() {
        if character == '?' && places.contains(&(line, column)) {
            last += 1;
            numbered.push_str(&format!("${last}"));
        } else {
            numbered.push(character);
        }
        (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    if last == places.len() { Cow::Owned(numbered) } else { Cow::Borrowed(sql) }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn question_marks_are_numbered_in_order() {
        assert_eq!(
            numbered("SELECT ? + ?, a FROM t WHERE b IN (?,?)"),
            "SELECT $1 + $2, a FROM t WHERE b IN ($3,$4)"
        );
    }

    #[test]
    fn texts_names_and_comments_keep_theirs() {
        let sql = "SELECT 'a?''b\\', \"c?\"\"d\", E'\\'?', $x$ ? $x$ -- ?\n, /* ? /* ? */ */ ? FROM t";
        assert_eq!(numbered(sql), sql.replace("*/ */ ?", "*/ */ $1"));
    }

    #[test]
    fn characters_of_several_bytes_and_lines_do_not_move_them() {
        assert_eq!(numbered("SELECT 'é🙂', ?\r\n,\t'x\ny', ?"), "SELECT 'é🙂', $1\r\n,\t'x\ny', $2");
    }

    #[test]
    fn what_has_none_or_numbers_already_or_is_no_sql_stays() {
        for sql in ["SELECT 1", "SELECT '?'", "SELECT $1, ?", "SELECT 'open ?"] {
            assert_eq!(numbered(sql), sql);
        }
    }
}
