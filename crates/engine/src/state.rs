//! System state: what is not a row, changed only at apply, the same on every node.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tapebook_lsm::manifest::{self, SectionTag, StateHeader, StateSection};
use tapebook_lsm::retraction::Retractions;
use tapebook_record::codec::{DecodeError, Decoder, Encoder};
use tapebook_record::symbol::check_symbol;
use tapebook_record::{EncodedBatch, Schemas, Symbols};
use tapebook_wal::LogId;

use crate::Membership;
use crate::feeds::{Gaps, Positions, decode_gaps, decode_positions, encode_gaps, encode_positions};
use crate::producers::{PRODUCERS_VERSION, Producers, decode_producers, encode_producers};
use crate::retraction::{decode_retractions, encode_retractions};

/// Everything that applying an entry reads and changes beside the MemTable. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct SystemState {
    /// The last entry applied.
    pub applied: LogId,
    /// The commit clock of that entry.
    pub commit_clock: i64,
    /// The last sequence number given.
    pub last_seq: u64,
    /// Rolling hash over every applied batch and its first sequence number.
    pub rolling_hash: [u8; 16],
    pub symbols: Symbols,
    pub schemas: Schemas,
    pub producers: Producers,
    pub feeds: Positions,
    pub gaps: Gaps,
    pub retractions: Retractions,
    /// The newest membership; `None` before the first entry.
    pub membership: Option<StoredMembership>,
    /// The greatest node id that a membership ever had.
    pub node_ids_through: u64,
}

/// A membership and the entry that it came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StoredMembership {
    pub log_id: LogId,
    /// As the entry says it.
    pub bytes: Vec<u8>,
}

impl StoredMembership {
    /// With the nodes that it names; they were looked at before the entry was taken.
    pub(crate) fn decoded(&self) -> Option<(LogId, Membership)> {
        Membership::decode(&self.bytes).ok().map(|membership| (self.log_id, membership))
    }
}

impl SystemState {
    pub(crate) fn new() -> Self {
        Self {
            applied: LogId::default(),
            commit_clock: i64::MIN,
            last_seq: 0,
            rolling_hash: [0; 16],
            symbols: Symbols::new(),
            schemas: Schemas::standard(),
            producers: Producers::default(),
            feeds: Positions::default(),
            gaps: Gaps::default(),
            retractions: Retractions::default(),
            membership: None,
            node_ids_through: 0,
        }
    }

    /// Takes note of a membership, whose bytes were looked at before.
    pub(crate) fn set_membership(&mut self, stored: StoredMembership) {
        let greatest = stored.decoded().map_or(0, |(_, membership)| membership.greatest_id());
        self.node_ids_through = self.node_ids_through.max(greatest);
        self.membership = Some(stored);
    }
}

fn encode_membership(state: &SystemState) -> Vec<u8> {
    let mut out = Encoder::new();
    if let Some(StoredMembership { log_id, bytes }) = &state.membership {
        out.u64(log_id.term).u64(log_id.leader_node).u64(log_id.index);
        out.u64(state.node_ids_through).raw(bytes);
    }
    out.into_bytes()
}

fn decode_membership(state: &mut SystemState, bytes: &[u8], version: u16) -> Result<(), DecodeError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut fields = Decoder::new(bytes);
    let log_id = match version {
        // Of a database that was always alone: the first entry of its log.
        1 => LogId { term: 1, leader_node: 1, index: 1 },
        _ => {
            let (term, leader_node, index) = (fields.u64()?, fields.u64()?, fields.u64()?);
            LogId { term, leader_node, index }
        }
    };
    // Before nodes could be taken out, those that there are were all that there ever were.
    state.node_ids_through = if version < 3 { 0 } else { fields.u64()? };
    let at = fields.offset();
    let in_section = |error: DecodeError| DecodeError { offset: at + error.offset, ..error };
    Membership::decode(&bytes[at..]).map_err(in_section)?;
    state.set_membership(StoredMembership { log_id, bytes: bytes[at..].to_vec() });
    Ok(())
}

pub(crate) fn encode_symbols(symbols: &Symbols) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.u32(symbols.len() as u32);
    for name in symbols.names() {
        encoder.u8(name.len() as u8).raw(name.as_bytes());
    }
    encoder.into_bytes()
}

pub(crate) fn decode_symbols(bytes: &[u8]) -> Result<Symbols, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.count(2)?;
    let mut symbols = Symbols::new();
    let mut seen = HashSet::with_capacity(count);
    for _ in 0..count {
        let at = decoder.offset();
        let bad = DecodeError { offset: at, reason: "a symbol's name" };
        let length = decoder.u8()?;
        let name = std::str::from_utf8(decoder.raw(usize::from(length))?).map_err(|_| bad.clone())?;
        check_symbol(name).map_err(|_| bad)?;
        if !seen.insert(name) {
            return Err(DecodeError { offset: at, reason: "a symbol's name that did not come before" });
        }
        symbols.push(Arc::from(name));
    }
    decoder.finish()?;
    Ok(symbols)
}

/// The log's name of an entry, as the manifest keeps it. The log and the LSM tree do not know each other.
pub(crate) fn to_manifest(id: LogId) -> manifest::LogId {
    manifest::LogId { term: id.term, leader_node: id.leader_node, index: id.index }
}

/// The opposite of [`to_manifest`].
pub(crate) fn from_manifest(id: manifest::LogId) -> LogId {
    LogId { term: id.term, leader_node: id.leader_node, index: id.index }
}

/// The version of a section that this code writes, and the newest that it reads.
fn section_version(tag: SectionTag) -> u16 {
    match tag {
        SectionTag::Producers => PRODUCERS_VERSION,
        SectionTag::Membership => 3,
        _ => 1,
    }
}

/// The sections of a state file. The numbers that its header carries are not among them.
pub(crate) fn encode_sections(state: &SystemState) -> Vec<StateSection> {
    let section = |tag, bytes| StateSection { tag, version: section_version(tag), bytes };
    vec![
        section(SectionTag::Symbols, encode_symbols(&state.symbols)),
        section(SectionTag::Producers, encode_producers(&state.producers)),
        section(SectionTag::Feeds, encode_positions(&state.feeds)),
        section(SectionTag::Gaps, encode_gaps(&state.gaps)),
        section(SectionTag::Retractions, encode_retractions(&state.retractions)),
        section(SectionTag::Membership, encode_membership(state)),
    ]
}

/// The state that a state file describes.
pub(crate) fn decode_state(
    header: &StateHeader,
    sections: &[StateSection],
) -> Result<SystemState, DecodeError> {
    let mut state = SystemState {
        applied: from_manifest(header.applied),
        commit_clock: header.commit_clock,
        last_seq: header.last_seq,
        rolling_hash: header.rolling_hash,
        ..SystemState::new()
    };
    for section in sections {
        if section.version > section_version(section.tag) {
            return Err(DecodeError { offset: 0, reason: "a section of a version that this program knows" });
        }
        match section.tag {
            SectionTag::Symbols => state.symbols = decode_symbols(&section.bytes)?,
            SectionTag::Producers => {
                state.producers = decode_producers(&section.bytes, section.version, header.commit_clock)?;
            }
            SectionTag::Feeds => state.feeds = decode_positions(&section.bytes)?,
            SectionTag::Gaps => state.gaps = decode_gaps(&section.bytes)?,
            SectionTag::Retractions => state.retractions = decode_retractions(&section.bytes)?,
            SectionTag::Membership => {
                decode_membership(&mut state, &section.bytes, section.version)?;
            }
            _ => return Err(DecodeError { offset: 0, reason: "a section that this program knows" }),
        }
    }
    Ok(state)
}

/// Symbols by name, for interning. Lives with the one thread that applies.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    by_name: HashMap<Arc<str>, u32>,
    last: LastDictionary,
}

/// The dictionary of the batch before, and the handle of each of its names: a feed often sends the same symbols again.
#[derive(Debug, Default)]
struct LastDictionary {
    encoded: Vec<u8>,
    handles: Vec<u32>,
}

impl Interner {
    pub(crate) fn new(symbols: &Symbols) -> Self {
        let by_name = symbols.names().enumerate().map(|(at, name)| (Arc::clone(name), at as u32)).collect();
        Self { by_name, last: LastDictionary::default() }
    }

    /// The handle of each name of the batch, new or not.
    pub(crate) fn intern_all(&mut self, batch: &EncodedBatch, symbols: &mut Symbols) -> &[u32] {
        let encoded = batch.encoded_symbols();
        // The padding behind the names could be read as names, so their number counts, too.
        let same =
            self.last.handles.len() == batch.header().symbol_count as usize && self.last.encoded == encoded;
        if !same {
            let mut handles = std::mem::take(&mut self.last.handles);
            handles.clear();
            handles.extend(batch.symbols().map(|name| self.intern(name, symbols)));
            self.last.handles = handles;
            self.last.encoded.clear();
            self.last.encoded.extend_from_slice(encoded);
        }
        &self.last.handles
    }

    fn intern(&mut self, name: &str, symbols: &mut Symbols) -> u32 {
        if let Some(handle) = self.by_name.get(name) {
            return *handle;
        }
        let name: Arc<str> = name.into();
        let handle = symbols.push(Arc::clone(&name));
        self.by_name.insert(name, handle);
        handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tapebook_record::{Batch, Trade};

    #[test]
    fn symbols_come_back_from_their_section() {
        let mut symbols = Symbols::new();
        for name in ["B", "A.1", "é"] {
            symbols.push(name.into());
        }
        let again = decode_symbols(&encode_symbols(&symbols)).unwrap();
        assert!(again.names().eq(symbols.names()));
    }

    #[test]
    fn a_name_has_one_handle_whatever_stands_beside_it() {
        let batch = |names: &[&str]| {
            let mut batch = Batch::new();
            for symbol in names {
                batch.push(Trade { symbol, price: Some(1.0), ..Trade::default() }).unwrap();
            }
            batch.encode()
        };
        let (mut symbols, mut interner) = (Symbols::new(), Interner::default());
        let mut handles = |names: &[&str]| interner.intern_all(&batch(names), &mut symbols).to_vec();
        assert_eq!(handles(&["A"]), [0]);
        assert_eq!(handles(&["A"]), [0], "the same dictionary again");
        assert_eq!(handles(&["B"]), [1], "another one of the same length");
        assert_eq!(handles(&["C", "A"]), [2, 0]);
        assert_eq!(handles(&["A", "C"]), [0, 2]);
        assert!(symbols.names().map(|name| &**name).eq(["A", "B", "C"]));
    }

    #[test]
    fn what_comes_twice_is_refused() {
        let mut symbols = Symbols::new();
        for name in ["A", "B", "A"] {
            symbols.push(name.into());
        }
        let error = decode_symbols(&encode_symbols(&symbols)).unwrap_err();
        assert_eq!((error.offset, error.reason), (8, "a symbol's name that did not come before"));
    }

    proptest! {
        /// Whatever is decoded has only one form, and nothing panics. Random bytes alone would end at the count, so
        /// most inputs are sound ones with some bytes changed.
        #[test]
        fn any_bytes_are_refused_or_come_back_as_they_were(
            names in prop::collection::vec("[A-D]{1,2}", 0..6),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            random in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut symbols = Symbols::new();
            for name in &names {
                symbols.push(name.as_str().into());
            }
            let changed = |mut bytes: Vec<u8>| {
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                bytes
            };
            for bytes in [changed(encode_symbols(&symbols)), random.clone()] {
                if let Ok(decoded) = decode_symbols(&bytes) {
                    prop_assert_eq!(encode_symbols(&decoded), bytes);
                }
            }
        }
    }

    #[test]
    fn cut_off_sections_are_refused() {
        let mut symbols = Symbols::new();
        symbols.push("ABC".into());
        let bytes = encode_symbols(&symbols);
        for length in 0..bytes.len() {
            assert!(decode_symbols(&bytes[..length]).is_err(), "{length}");
        }
    }
}
