//! Access tokens: what their owner holds, and what the server keeps.
//!
//! A token is `tbk_`, its id as 16 hexadecimal digits, `_`, and a secret of 256 random bits as 64 more. The id finds the
//! record, the secret proves the owner. The server keeps SHA-256 of the secret: with so many random bits nothing is gained by a slower
//! hash, and every call pays for it.

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use tapebook_vfs::Vfs;

use super::Grant;

const PREFIX: &str = "tbk_";
const SECRET_BYTES: usize = 32;
/// Bytes of the hash that is kept.
pub(super) const HASH_BYTES: usize = 32;

/// What the server keeps of a token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Finds it; random.
    pub id: u64,
    /// What its owner is called.
    pub name: Arc<str>,
    /// What its owner may do.
    pub grant: Arc<Grant>,
    /// When it was made, nanoseconds since the epoch.
    pub created_at: i64,
    /// From this time on it is refused.
    pub expires_at: Option<i64>,
    pub(super) hash: SecretHash,
}

impl Token {
    /// True where its time is over.
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|expires_at| now >= expires_at)
    }
}

/// The text that a token's owner holds. It can be shown once and is never printed by accident.
pub struct TokenText(String);

impl TokenText {
    /// The text itself, for its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(…)")
    }
}

/// SHA-256 of a token's secret.
#[derive(Clone, Copy)]
pub(super) struct SecretHash(pub [u8; HASH_BYTES]);

impl SecretHash {
    fn of(secret: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(hash)
    }

    /// Compares in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// A text that has the form of a token: which one it says to be, and the hash of what shall prove it.
pub(super) struct Presented {
    pub id: u64,
    pub hash: SecretHash,
}

impl Presented {
    /// Reads a token; `None` where the text has not its form.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let id = u64::from_be_bytes(from_hex(id)?);
        let secret: [u8; SECRET_BYTES] = from_hex(secret)?;
        Some(Self { id, hash: SecretHash::of(&secret) })
    }
}

/// A new token: its id, its text and the hash of its secret.
pub(super) fn generate(vfs: &dyn Vfs) -> (u64, TokenText, SecretHash) {
    let id = vfs.random_u64();
    let mut secret = [0; SECRET_BYTES];
    for part in secret.chunks_exact_mut(8) {
        part.copy_from_slice(&vfs.random_u64().to_be_bytes());
    }
    let text = format!("{PREFIX}{id:016x}_{}", to_hex(&secret));
    (id, TokenText(text), SecretHash::of(&secret))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use tapebook_vfs::MemoryVfs;

    use super::*;

    #[test]
    fn a_token_proves_itself_and_no_other_text_does() {
        let vfs = MemoryVfs::new(7);
        let (id, text, hash) = generate(&vfs);
        let presented = Presented::parse(text.reveal()).unwrap();
        assert!(presented.id == id && presented.hash.matches(&hash));
        let last = text.reveal().chars().last().unwrap();
        let changed =
            format!("{}{}", &text.reveal()[..text.reveal().len() - 1], if last == '0' { '1' } else { '0' });
        assert!(!Presented::parse(&changed).unwrap().hash.matches(&hash));
        let whole = text.reveal();
        for broken in [
            "",
            "tbk_",
            &whole[1..],
            &whole[..whole.len() - 1],
            &format!("{whole}0"),
            &whole.replace('_', "-"),
        ] {
            assert!(Presented::parse(broken).is_none(), "{broken}");
        }
        assert!(!format!("{text:?} {hash:?}").contains(&whole[22..]));
    }
}
