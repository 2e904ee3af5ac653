//! Symbols: what a name may be, and the interned names with their order.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The most bytes that a symbol's name may have.
pub const SYMBOL_BYTES_MAX: usize = 64;

/// A name that cannot be a symbol.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SymbolError {
    /// No bytes at all.
    #[error("the symbol is empty")]
    Empty,
    /// More than [`SYMBOL_BYTES_MAX`] bytes.
    #[error("symbol {name:?} has {bytes} bytes, at most {SYMBOL_BYTES_MAX} are possible")]
    TooLong {
        /// The name, cut short.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// A control character, such as a line break.
    #[error("symbol {name:?} has a control character")]
    ControlCharacter {
        /// The name.
        name: String,
    },
}

/// Checks that `name` can be a symbol: 1 to 64 bytes of UTF-8 without control characters.
pub fn check_symbol(name: &str) -> Result<(), SymbolError> {
    if name.is_empty() {
        return Err(SymbolError::Empty);
    }
    if name.len() > SYMBOL_BYTES_MAX {
        let shown = name.chars().take(32).collect::<String>() + "…";
        return Err(SymbolError::TooLong { name: shown, bytes: name.len() });
    }
    if name.chars().any(char::is_control) {
        return Err(SymbolError::ControlCharacter { name: name.to_owned() });
    }
    Ok(())
}

const CHUNK_NAMES: usize = 1024;

/// Interned symbols: names by handle, handles by name, and the rank of each in name order.
///
/// A value is immutable; [`Symbols::push`] makes the next one and shares nearly everything with it, so that
/// publishing a new symbol is cheap. Order and look-up table are built when somebody first asks for them.
///
/// *Invariant*: handles are dense from 0 and never change their name.
#[derive(Clone, Default)]
pub struct Symbols {
    chunks: Arc<Vec<Arc<Vec<Arc<str>>>>>,
    len: usize,
    order: Arc<OnceLock<Order>>,
}

#[derive(Default)]
struct Order {
    handles_by_rank: Vec<u32>,
    ranks: Vec<u32>,
    by_name: HashMap<Arc<str>, u32>,
}

impl Symbols {
    /// No symbols.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of symbols.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a name that is not there yet and returns its handle.
    pub fn push(&mut self, name: Arc<str>) -> u32 {
        let handle = u32::try_from(self.len).expect("the engine bounds the number of symbols");
        let chunks = Arc::make_mut(&mut self.chunks);
        if self.len.is_multiple_of(CHUNK_NAMES) {
            chunks.push(Arc::default());
        }
        let last = chunks.last_mut().expect("a chunk was just made where there was none");
        Arc::make_mut(last).push(name);
        self.len += 1;
        self.order = Arc::default();
        handle
    }

    /// The name of a handle.
    #[inline]
    pub fn name(&self, handle: u32) -> Option<&str> {
        let at = handle as usize;
        self.chunks.get(at / CHUNK_NAMES)?.get(at % CHUNK_NAMES).map(|name| &**name)
    }

    /// The handle of a name.
    pub fn handle(&self, name: &str) -> Option<u32> {
        self.order().by_name.get(name).copied()
    }

    /// The position of a handle's name in name order.
    pub fn rank(&self, handle: u32) -> Option<u32> {
        self.order().ranks.get(handle as usize).copied()
    }

    /// Every handle in the order of the names (by bytes).
    pub fn handles_by_rank(&self) -> &[u32] {
        &self.order().handles_by_rank
    }

    /// Every name in the order of the handles.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    fn order(&self) -> &Order {
        self.order.get_or_init(|| {
            let names: Vec<&Arc<str>> = self.names().collect();
            let mut handles_by_rank: Vec<u32> = (0..names.len() as u32).collect();
            handles_by_rank.sort_by(|a, b| names[*a as usize].cmp(names[*b as usize]));
            let mut ranks = vec![0; names.len()];
            for (rank, handle) in handles_by_rank.iter().enumerate() {
                ranks[*handle as usize] = rank as u32;
            }
            let by_name = names.iter().enumerate().map(|(at, name)| (Arc::clone(name), at as u32)).collect();
            Order { handles_by_rank, ranks, by_name }
        })
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbols({})", self.len)
    }
}

#[cfg(test)]
mod tests;
