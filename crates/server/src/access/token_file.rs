//! The file `TOKENS` of a data directory (docs/format/tokens.md).
//!
//! It is replaced as a whole: a crash leaves the old one or the new one.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tapebook_record::codec::{DecodeError, Decoder, Encoder};
use tapebook_record::crc32c;
use tapebook_vfs::{OpenMode, Vfs};

use super::token::{HASH_BYTES, SecretHash, Token};
use super::{Grant, Role, check_name};

/// Its name in the data directory.
pub const TOKENS_NAME: &str = "TOKENS";
const TEMPORARY_NAME: &str = "TOKENS.tmp";
const MAGIC: &[u8; 8] = b"TBKTOKEN";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;
/// The least that a record takes: id, name, role, tables, two times, hash.
const RECORD_BYTES_MIN: usize = 8 + 4 + 1 + 4 + 8 + 8 + HASH_BYTES;
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The operating system refused.
    #[error("{}: cannot {operation}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// It does not say what it should.
    #[error("{}: {source}; move the file away and make the tokens anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, and what was expected.
        source: DecodeError,
    },
    /// A newer program wrote it.
    #[error("{}: version {found} of the format, this program knows {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// Reads the tokens of a data directory; none where there is no file.
pub(super) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<BTreeMap<u64, Token>, TokenFileError> {
    let path = dir.join(TOKENS_NAME);
    let bytes = match vfs.read_file(&path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(TokenFileError::Io { operation: "read", path, source }),
    };
    match decode(&bytes) {
        Ok(tokens) => Ok(tokens),
        Err(Refused::Version(found)) => Err(TokenFileError::Version { path, found }),
        Err(Refused::Damaged(source)) => Err(TokenFileError::Damaged { path, source }),
    }
}

/// Puts the tokens in the place of those that were there.
pub(super) fn replace(
    vfs: &dyn Vfs,
    dir: &Path,
    tokens: &BTreeMap<u64, Token>,
) -> Result<(), TokenFileError> {
    let (temporary, path) = (dir.join(TEMPORARY_NAME), dir.join(TOKENS_NAME));
    let fail = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| TokenFileError::Io { operation, path, source }
    };
    match vfs.remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(fail("remove", &temporary)(error));
        }
        _ => {}
    }
    let file = vfs.open(&temporary, OpenMode::CreateNew).map_err(fail("create", &temporary))?;
    file.write_all_at(0, &[IoSlice::new(&encode(tokens))]).map_err(fail("write", &temporary))?;
    file.sync_data().map_err(fail("sync", &temporary))?;
    vfs.rename(&temporary, &path).map_err(fail("rename to", &path))?;
    vfs.sync_dir(dir).map_err(fail("sync the directory", dir))
}

fn encode(tokens: &BTreeMap<u64, Token>) -> Vec<u8> {
    let mut content = Encoder::new();
    content.u32(u32::try_from(tokens.len()).expect("tokens are bounded"));
    for token in tokens.values() {
        content.u64(token.id).text(&token.name).u8(role_number(token.grant.role));
        let tables = token.grant.tables.iter().flatten();
        content.u32(u32::try_from(tables.clone().count()).expect("a grant names few tables"));
        for table in tables {
            content.text(table);
        }
        content.i64(token.created_at).i64(token.expires_at.unwrap_or(0)).raw(&token.hash.0);
    }
    let content = content.into_bytes();
    let mut file = Encoder::new();
    file.raw(MAGIC).u32(VERSION).bytes(&content);
    let checksum = crc32c(file.as_slice());
    file.u32(checksum);
    file.into_bytes()
}

#[derive(Debug, Eq, PartialEq)]
enum Refused {
    Version(u32),
    Damaged(DecodeError),
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error)
    }
}

fn decode(bytes: &[u8]) -> Result<BTreeMap<u64, Token>, Refused> {
    let mut file = Decoder::new(bytes);
    if file.raw(MAGIC.len())? != MAGIC {
        return Err(DecodeError { offset: 0, reason: "TBKTOKEN" }.into());
    }
    let version = file.u32()?;
    if version != VERSION {
        return Err(Refused::Version(version));
    }
    let content = file.bytes()?;
    let covered = HEADER_BYTES + content.len();
    let at = file.offset();
    if file.u32()? != crc32c(&bytes[..covered]) {
        return Err(DecodeError { offset: at, reason: "the checksum of all before" }.into());
    }
    file.finish()?;
    debug_assert_eq!(bytes.len(), covered + CHECKSUM_BYTES);
    Ok(decode_content(content)?)
}

/// What stands between header and checksum; offsets of errors count from its begin.
fn decode_content(content: &[u8]) -> Result<BTreeMap<u64, Token>, DecodeError> {
    let mut fields = Decoder::new(content);
    let mut tokens = BTreeMap::new();
    for _ in 0..fields.count(RECORD_BYTES_MIN)? {
        let token = decode_token(&mut fields)?;
        let known = tokens.values().any(|other: &Token| other.name == token.name);
        if known || tokens.insert(token.id, token).is_some() {
            return Err(fields.error("ids and names that appear once"));
        }
    }
    fields.finish()?;
    Ok(tokens)
}

fn decode_token(fields: &mut Decoder<'_>) -> Result<Token, DecodeError> {
    let id = fields.u64()?;
    let name = fields.text()?;
    if check_name(name).is_err() {
        return Err(fields.error("the name of a caller before here"));
    }
    let name = Arc::from(name);
    let Some(role) = role_of(fields.u8()?) else {
        return Err(fields.error("a role before here"));
    };
    let mut tables = Vec::new();
    for _ in 0..fields.count(4)? {
        tables.push(fields.text()?.to_owned());
    }
    let Ok(grant) = Grant::new(role, tables) else {
        return Err(fields.error("no tables for this role"));
    };
    let (created_at, expires_at) = (fields.i64()?, fields.i64()?);
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(fields.raw(HASH_BYTES)?);
    Ok(Token {
        id,
        name,
        grant: Arc::new(grant),
        created_at,
        expires_at: Some(expires_at).filter(|at| *at != 0),
        hash: SecretHash(hash),
    })
}

fn role_number(role: Role) -> u8 {
    match role {
        Role::Read => 1,
        Role::Write => 2,
        Role::Admin => 3,
        Role::Node => 4,
    }
}

fn role_of(number: u8) -> Option<Role> {
    [Role::Read, Role::Write, Role::Admin, Role::Node].into_iter().find(|role| role_number(*role) == number)
}

#[cfg(test)]
mod tests {
    use tapebook_vfs::MemoryVfs;

    use super::super::token::generate;
    use super::*;

    fn example() -> BTreeMap<u64, Token> {
        let vfs = MemoryVfs::new(1);
        let token = |name: &str, grant, expires_at| {
            let (id, _, hash) = generate(&vfs);
            (id, Token { id, name: Arc::from(name), grant: Arc::new(grant), created_at: 5, expires_at, hash })
        };
        let some = Grant::new(Role::Read, ["quotes".to_owned(), "trades".to_owned()]).unwrap();
        BTreeMap::from([token("board", some, Some(9)), token("ops", Grant::everything(), None)])
    }

    fn text_of(tokens: &BTreeMap<u64, Token>) -> String {
        tokens.values().map(|token| format!("{token:?} {:?}", token.hash.0)).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let tokens = example();
        assert_eq!(text_of(&decode(&encode(&tokens)).unwrap()), text_of(&tokens));
        assert!(decode(&encode(&BTreeMap::new())).unwrap().is_empty());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let bytes = encode(&example());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        assert!(decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut bytes = encode(&BTreeMap::new());
        bytes[8] = 2;
        assert_eq!(decode(&bytes).unwrap_err(), Refused::Version(2));
    }

    /// The page of the format shows this file.
    #[test]
    fn the_example_of_the_page_is_what_is_written() {
        let token = Token {
            id: 0x0123_4567_89ab_cdef,
            name: Arc::from("board"),
            grant: Arc::new(Grant::new(Role::Read, ["trades".to_owned()]).unwrap()),
            created_at: 1_723_161_600_000_000_000,
            expires_at: None,
            hash: SecretHash([0x5a; HASH_BYTES]),
        };
        let bytes = encode(&BTreeMap::from([(token.id, token)]));
        let page = include_str!("../../../../docs/format/tokens.md");
        let shown: Vec<u8> = page
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .flat_map(|line| line.split("  ").next().unwrap_or_default().split(' '))
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        assert_eq!(shown, bytes, "{}", bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>());
    }
}
