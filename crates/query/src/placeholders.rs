//! `?` where a statement has parameters, as JDBC and ODBC write them: the same as `$1`, `$2`, … in this order.

use std::borrow::Cow;

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The statement with numbers for question marks. What is no SQL stays as it is, for the parser to complain about.
pub(crate) fn numbered(sql: &str) -> Cow<'_, str> {
    if !sql.contains('?') {
        return Cow::Borrowed(sql);
    }
    let Ok(mut tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).with_unescape(false).tokenize() else {
        return Cow::Borrowed(sql);
    };
    // Numbers and question marks in one statement could mean each other.
    if tokens.iter().any(|token| matches!(token, Token::Placeholder(_))) {
        return Cow::Borrowed(sql);
    }
    let mut last = 0;
    for token in &mut tokens {
        if matches!(token, Token::Question) {
            last += 1;
            *token = Token::Placeholder(format!("${last}"));
        }
    }
    if last == 0 {
        return Cow::Borrowed(sql);
    }
    Cow::Owned(tokens.iter().map(ToString::to_string).collect())
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
    fn what_has_none_or_numbers_already_or_is_no_sql_stays() {
        for sql in ["SELECT 1", "SELECT '?'", "SELECT $1, ?", "SELECT 'open ?"] {
            assert_eq!(numbered(sql), sql);
        }
    }
}
