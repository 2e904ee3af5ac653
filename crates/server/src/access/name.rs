//! The names of callers, in certificates and tokens.

const CHARS_MAX: usize = 64;

/// What is wrong with the name of a caller.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{found:?} is no name of a caller: 1 to 64 letters, digits, '-', '_' and '.' of ASCII, a letter or digit first"
)]
pub struct NameError {
    /// The name, or its beginning.
    pub found: String,
}

/// Refuses a name that could be mistaken for something else in a log, a file name or a certificate.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if begins_well && is_plain && name.len() <= CHARS_MAX {
        return Ok(());
    }
    Err(NameError { found: name.chars().take(CHARS_MAX).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["feed-1", "a", "md.binance_spot", &"x".repeat(64)] {
            assert_eq!(check_name(good), Ok(()));
        }
        for bad in ["", ".hidden", "-x", "a b", "a/b", "é", "a\n", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
