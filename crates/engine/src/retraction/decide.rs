//! Whether a change of the retractions holds, and what then stands.

use tapebook_lsm::manifest::SeqRange;
use tapebook_lsm::retraction::{Change, Retraction};
use tapebook_record::TableId;

use super::{RetractError, RetractionEntry, RetractionReceipt, api};
use crate::state::SystemState;

/// Retractions that are kept at most, undone ones included. A bound of the format and not a setting, because every node
/// must decide alike.
pub(crate) const RETRACTIONS_MAX: usize = 1 << 16;

/// Decides about an entry and changes the state where it holds; the same on every node, because it depends on nothing
/// but earlier entries.
pub(crate) fn apply(
    state: &mut SystemState,
    entry: &RetractionEntry,
    at: i64,
) -> Result<RetractionReceipt, RetractError> {
    let at_seq = state.last_seq;
    let change = |reason: &str| Change { at_seq, at, reason: reason.to_owned() };
    let (id, seqs) = match entry {
        RetractionEntry::Retract { table, seqs, reason } => {
            let id = check_new(state, *table, *seqs)?;
            let made = change(reason);
            let retraction = Retraction { id, table: *table, seqs: *seqs, made, undone: None };
            state.retractions = state.retractions.with(retraction);
            (id, *seqs)
        }
        RetractionEntry::Undo { id, reason } => {
            let standing = state.retractions.get(*id).ok_or(RetractError::NoSuchId { id: *id })?;
            let seqs = api::standing(standing)?.seqs;
            state.retractions = state.retractions.with_undone(*id, &change(reason));
            (*id, seqs)
        }
    };
    Ok(RetractionReceipt { id, seqs, at_seq })
}

/// The id of a new retraction, where it can be made.
fn check_new(state: &SystemState, table: TableId, seqs: SeqRange) -> Result<u64, RetractError> {
    if state.schemas.get(table).is_none() {
        return Err(RetractError::UnknownTable(format!("number {}", table.0)));
    }
    api::check_range(seqs, state.last_seq)?;
    if let Some(standing) = state.retractions.of_range(table, seqs).filter(|known| known.stands()) {
        return Err(RetractError::Standing { id: standing.id, seqs });
    }
    let known = state.retractions.len();
    if known >= RETRACTIONS_MAX {
        return Err(RetractError::TooMany { max: RETRACTIONS_MAX });
    }
    Ok(known as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapebook_lsm::retraction::Retractions;

    fn state() -> SystemState {
        SystemState { last_seq: 10, ..SystemState::new() }
    }

    fn retract(table: u16, first: u64, last: u64) -> RetractionEntry {
        let seqs = SeqRange { first, last };
        RetractionEntry::Retract { table: TableId(table), seqs, reason: "x".to_owned() }
    }

    fn undo(id: u64) -> RetractionEntry {
        RetractionEntry::Undo { id, reason: String::new() }
    }

    /// Whoever proposed it may have looked at an older state, so everything is decided here once more.
    #[test]
    fn an_entry_that_does_not_hold_changes_nothing() {
        let mut state = state();
        let refused = |state: &mut SystemState, entry| {
            let before = state.retractions.clone();
            let error = apply(state, &entry, 7).unwrap_err();
            assert_eq!(state.retractions, before);
            error
        };
        assert!(matches!(refused(&mut state, retract(999, 1, 2)), RetractError::UnknownTable(_)));
        assert!(matches!(refused(&mut state, retract(1, 1, 11)), RetractError::BeyondJournal { .. }));
        assert!(matches!(refused(&mut state, undo(1)), RetractError::NoSuchId { id: 1 }));
        assert_eq!(apply(&mut state, &retract(1, 1, 2), 7).unwrap().id, 1);
        assert!(matches!(refused(&mut state, retract(1, 1, 2)), RetractError::Standing { id: 1, .. }));
        assert_eq!(apply(&mut state, &retract(2, 1, 2), 7).unwrap().id, 2, "another table is another range");
        assert_eq!(apply(&mut state, &retract(1, 2, 3), 7).unwrap().id, 3, "ranges may overlap");
        state.last_seq = 12;
        assert_eq!(apply(&mut state, &undo(1), 9).unwrap().at_seq, 12);
        assert!(matches!(refused(&mut state, undo(1)), RetractError::UndoneAlready { at_seq: 12, .. }));
        let ended = state.retractions.get(1).unwrap().undone.clone().unwrap();
        assert_eq!((ended.at_seq, ended.at), (12, 9));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut state = state();
        let undone = |id: u64| {
            let change = Change { at_seq: 9, at: 0, reason: "x".to_owned() };
            let seqs = SeqRange { first: 1, last: 1 };
            let retraction =
                Retraction { id, table: TableId(1), seqs, made: change.clone(), undone: Some(change) };
            std::sync::Arc::new(retraction)
        };
        state.retractions = Retractions::new((1..=RETRACTIONS_MAX as u64).map(undone).collect());
        let error = apply(&mut state, &retract(1, 2, 2), 7).unwrap_err();
        assert!(matches!(error, RetractError::TooMany { max: RETRACTIONS_MAX }));
    }
}
