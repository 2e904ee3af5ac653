use proptest::prelude::*;

use super::*;
use crate::model;

fn symbols(names: &[String]) -> Symbols {
    let mut symbols = Symbols::new();
    for name in names {
        symbols.push(name.as_str().into());
    }
    symbols
}

/// Handles, names, ranks and order say the same as the plain list of names.
fn assert_is(symbols: &Symbols, names: &[String]) {
    assert_eq!(symbols.len(), names.len());
    assert_eq!(symbols.is_empty(), names.is_empty());
    assert!(symbols.names().map(|name| &**name).eq(names.iter().map(String::as_str)));
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let by_rank = symbols.handles_by_rank().iter().map(|handle| &names[*handle as usize]);
    assert!(by_rank.eq(sorted.iter().copied()));
    for (handle, name) in names.iter().enumerate() {
        assert_eq!(symbols.name(handle as u32), Some(name.as_str()));
        assert_eq!(symbols.handle(name), Some(handle as u32));
        let rank = symbols.rank(handle as u32).unwrap();
        assert_eq!(sorted[rank as usize], name);
    }
    assert_eq!(symbols.name(names.len() as u32), None);
    assert_eq!(symbols.rank(names.len() as u32), None);
    assert_eq!(symbols.name(u32::MAX), None);
    assert_eq!(symbols.handle("no such symbol"), None);
}

proptest! {
    #![proptest_config(model::cases(100))]

    #[test]
    fn order_is_by_the_bytes_of_the_names(names in prop::collection::btree_set("[A-Za-z.é中]{1,6}", 0..60), seed in any::<u64>()) {
        let mut names: Vec<String> = names.into_iter().collect();
        let length = names.len().max(1);
        names.rotate_left(seed as usize % length);
        assert_is(&symbols(&names), &names);
    }
}

#[test]
fn chunk_boundaries_are_not_seen() {
    for count in [1, CHUNK_NAMES - 1, CHUNK_NAMES, CHUNK_NAMES + 1, 3 * CHUNK_NAMES] {
        let names: Vec<String> = (0..count).map(|at| format!("S{}", at * 7919 % 100_000)).collect();
        assert_is(&symbols(&names), &names);
    }
}

#[test]
fn a_published_value_never_changes() {
    let names: Vec<String> = (0..CHUNK_NAMES + 2).map(|at| format!("S{at}")).collect();
    let mut live = Symbols::new();
    let mut published = Vec::new();
    for name in &names {
        published.push(live.clone());
        assert_eq!(live.push(name.as_str().into()) as usize, published.len() - 1);
    }
    for count in [0, 1, CHUNK_NAMES - 1, CHUNK_NAMES, CHUNK_NAMES + 1] {
        assert_is(&published[count], &names[..count]);
    }
    assert_is(&live, &names);
}

#[test]
fn the_next_value_shares_the_full_chunks() {
    let names: Vec<String> = (0..CHUNK_NAMES + 1).map(|at| format!("S{at}")).collect();
    let before = symbols(&names);
    let mut after = before.clone();
    after.push("new".into());
    let name_of = |symbols: &Symbols, handle| symbols.name(handle).unwrap().as_ptr();
    assert!(Arc::ptr_eq(&before.chunks[0], &after.chunks[0]));
    assert_eq!(name_of(&before, 0), name_of(&after, 0));
    assert_eq!(name_of(&before, CHUNK_NAMES as u32), name_of(&after, CHUNK_NAMES as u32));
}

#[test]
fn what_a_name_may_be() {
    for good in ["a", "SHFE.cu2501", "中国", " ", &"x".repeat(64)] {
        assert_eq!(check_symbol(good), Ok(()));
    }
    assert_eq!(check_symbol(""), Err(SymbolError::Empty));
    for bad in ["\0", "a\tb", "\u{7f}", "\u{85}"] {
        assert_eq!(check_symbol(bad), Err(SymbolError::ControlCharacter { name: bad.to_owned() }));
    }
    let long = "中".repeat(1_000);
    let shown = "中".repeat(32) + "…";
    assert_eq!(check_symbol(&long), Err(SymbolError::TooLong { name: shown, bytes: 3_000 }));
}
