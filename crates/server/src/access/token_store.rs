//! The tokens of one server.
//!
//! They are kept in a file of the data directory, so a copy of the database does not let anybody in: checkpoints and backups
//! leave it out. Readers see one map as a whole; a change is durable before it counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tapebook_vfs::Vfs;

use super::token::{Presented, Token, TokenText, generate};
use super::token_file::{self, TokenFileError};
use super::{Grant, NameError, check_name};

/// Tokens that there may be.
const TOKENS_MAX: usize = 10_000;
const TABLES_MAX: usize = 1_000;

/// Why a token was not made or not ended.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is one with this name.
    #[error("there is a token {name} already; revoke it, or choose another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// There is none with this name.
    #[error("there is no token {name}; `tapebook token list` shows all")]
    Unknown {
        /// The name.
        name: String,
    },
    /// It would never be good.
    #[error("the token would expire in the past")]
    Expired,
    /// There are too many.
    #[error(
        "there are {TOKENS_MAX} tokens already, or more than {TABLES_MAX} tables in this one; revoke what is not needed"
    )]
    TooMany,
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] TokenFileError),
}

/// Why a token does not let anybody in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenRefusal {
    /// It has not the form of one.
    #[error("the credential is not a token")]
    Malformed,
    /// There is no such token, or no longer.
    #[error("the token is unknown or was revoked")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// The tokens of one server.
#[derive(Debug)]
pub struct TokenStore {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    tokens: ArcSwap<BTreeMap<u64, Token>>,
    /// Held while the file is replaced.
    changing: Mutex<()>,
}

impl TokenStore {
    /// Reads the tokens of a data directory, whose lock the caller holds.
    pub fn open(vfs: Arc<dyn Vfs>, dir: impl Into<PathBuf>) -> Result<Self, TokenError> {
        let dir = dir.into();
        let tokens = token_file::read(&*vfs, &dir)?;
        Ok(Self { vfs, dir, tokens: ArcSwap::from_pointee(tokens), changing: Mutex::new(()) })
    }

    /// Makes a token. Its text is in the answer and nowhere else.
    pub fn create(&self, name: &str, grant: Grant, expires_at: Option<i64>) -> Result<TokenText, TokenError> {
        check_name(name)?;
        let now = self.now();
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(TokenError::Expired);
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tokens = BTreeMap::clone(&self.tokens.load());
        let tables = grant.tables.as_ref().map_or(0, |tables| tables.len());
        if tokens.len() >= TOKENS_MAX || tables > TABLES_MAX {
            return Err(TokenError::TooMany);
        }
        if tokens.values().any(|token| &*token.name == name) {
            return Err(TokenError::Exists { name: name.to_owned() });
        }
        let (id, text, hash) = generate(&*self.vfs);
        let grant = Arc::new(grant);
        tokens.insert(id, Token { id, name: Arc::from(name), grant, created_at: now, expires_at, hash });
        self.publish(tokens)?;
        Ok(text)
    }

    /// Ends a token. Who is connected with it is refused from the next check on.
    pub fn revoke(&self, name: &str) -> Result<(), TokenError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tokens = BTreeMap::clone(&self.tokens.load());
        let before = tokens.len();
        tokens.retain(|_, token| &*token.name != name);
        if tokens.len() == before {
            return Err(TokenError::Unknown { name: name.to_owned() });
        }
        self.publish(tokens)
    }

    /// All tokens, by name.
    pub fn list(&self) -> Vec<Token> {
        let mut tokens: Vec<Token> = self.tokens.load().values().cloned().collect();
        tokens.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        tokens
    }

    /// The token that a text proves to own.
    pub(super) fn find(&self, text: &str) -> Result<Token, TokenRefusal> {
        let presented = Presented::parse(text).ok_or(TokenRefusal::Malformed)?;
        let tokens = self.tokens.load();
        let token = tokens.get(&presented.id).filter(|token| token.hash.matches(&presented.hash));
        let token = token.ok_or(TokenRefusal::Unknown)?;
        if token.is_expired(self.now()) {
            return Err(TokenRefusal::Expired);
        }
        Ok(token.clone())
    }

    /// Says whether a token that let somebody in still would.
    pub(super) fn check(&self, id: u64) -> Result<(), TokenRefusal> {
        match self.tokens.load().get(&id) {
            Some(token) if token.is_expired(self.now()) => Err(TokenRefusal::Expired),
            Some(_) => Ok(()),
            None => Err(TokenRefusal::Unknown),
        }
    }

    fn publish(&self, tokens: BTreeMap<u64, Token>) -> Result<(), TokenError> {
        token_file::replace(&*self.vfs, &self.dir, &tokens)?;
        self.tokens.store(Arc::new(tokens));
        Ok(())
    }

    fn now(&self) -> i64 {
        self.vfs.clock().unix_nanos()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use tapebook_vfs::{Fault, FaultRule, FaultVfs, MemoryVfs, Operation};

    use super::super::Role;
    use super::*;

    fn disk() -> Arc<MemoryVfs> {
        let vfs = MemoryVfs::new(3);
        vfs.create_dir_all(Path::new("/db")).unwrap();
        Arc::new(vfs)
    }

    fn read() -> Grant {
        Grant::new(Role::Read, []).unwrap()
    }

    #[test]
    fn a_token_is_good_until_it_is_revoked_also_after_a_restart() {
        let vfs = disk();
        let store = TokenStore::open(vfs.clone(), "/db").unwrap();
        let text = store.create("board", read(), None).unwrap();
        let token = store.find(text.reveal()).unwrap();
        assert_eq!((&*token.name, token.grant.role), ("board", Role::Read));
        assert!(matches!(store.create("board", read(), None), Err(TokenError::Exists { .. })));

        let store = TokenStore::open(vfs.clone(), "/db").unwrap();
        let id = store.find(text.reveal()).unwrap().id;
        assert_eq!(store.check(id), Ok(()));
        store.revoke("board").unwrap();
        assert_eq!(store.check(id), Err(TokenRefusal::Unknown));
        assert_eq!(store.find(text.reveal()).unwrap_err(), TokenRefusal::Unknown);
        assert!(matches!(store.revoke("board"), Err(TokenError::Unknown { .. })));
        assert!(TokenStore::open(vfs, "/db").unwrap().list().is_empty());
    }

    #[test]
    fn a_token_expires() {
        let vfs = disk();
        let store = TokenStore::open(vfs.clone(), "/db").unwrap();
        let now = vfs.clock().unix_nanos();
        let text = store.create("board", read(), Some(now + 1_000_000_000)).unwrap();
        let id = store.find(text.reveal()).unwrap().id;
        vfs.clock().sleep(Duration::from_secs(1));
        assert_eq!(store.check(id), Err(TokenRefusal::Expired));
        assert_eq!(store.find(text.reveal()).unwrap_err(), TokenRefusal::Expired);
        assert!(matches!(store.create("late", read(), Some(now)), Err(TokenError::Expired)));
    }

    #[test]
    fn a_change_that_is_not_durable_does_not_count() {
        for operation in [Operation::Write, Operation::Sync, Operation::Rename] {
            let disk = disk();
            let first = TokenStore::open(disk.clone(), "/db").unwrap();
            let kept = first.create("kept", read(), None).unwrap();
            let rule = FaultRule::new(Fault::Error(std::io::ErrorKind::StorageFull)).on(operation);
            let faulty = Arc::new(FaultVfs::new(disk.clone(), rule.into()));
            let store = TokenStore::open(faulty, "/db").unwrap();
            assert!(store.create("lost", read(), None).is_err(), "{operation:?}");
            assert_eq!(store.list().len(), 1);
            assert!(TokenStore::open(disk, "/db").unwrap().find(kept.reveal()).is_ok());
        }
    }
}
