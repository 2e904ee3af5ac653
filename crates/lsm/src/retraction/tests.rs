//! What is hidden against a list of numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use tapebook_record::TableId;

use super::{Change, Retraction, Retractions, Shown};
use crate::manifest::SeqRange;

const TABLE: TableId = TableId(1);

fn change(at_seq: u64) -> Change {
    Change { at_seq, at: 0, reason: "a wrong import".to_owned() }
}

fn retraction(id: u64, first: u64, last: u64, at_seq: u64) -> Retraction {
    Retraction { id, table: TABLE, seqs: SeqRange { first, last }, made: change(at_seq), undone: None }
}

fn hidden_numbers(retractions: &Retractions, visible_seq: u64) -> Vec<u64> {
    let hidden = retractions.hidden(TABLE, visible_seq);
    (1..=visible_seq).filter(|seq| hidden.contains(*seq)).collect()
}

#[test]
fn ranges_that_overlap_or_touch_hide_their_union() {
    let retractions = Retractions::default().with(retraction(1, 5, 7, 20)).with(retraction(2, 8, 9, 20));
    let retractions = retractions.with(retraction(3, 6, 6, 20)).with(retraction(4, 2, 2, 20));
    assert_eq!(hidden_numbers(&retractions, 20), [2, 5, 6, 7, 8, 9]);
    assert!(matches!(retractions.hidden(TABLE, 20).among(5, 9), Shown::Nothing), "two that touch are one");
    let without_the_first = retractions.with_undone(1, &change(21));
    assert_eq!(hidden_numbers(&without_the_first, 20), [2, 6, 8, 9], "what another one hides stays hidden");
    assert!(hidden_numbers(&retractions, 1).is_empty());
    let other = retractions.hidden(TableId(2), 20);
    assert!((1..=20).all(|seq| !other.contains(seq)), "of other tables nothing is hidden");
}

#[test]
fn a_reader_as_of_the_moment_of_a_change_does_not_see_it() {
    let retractions = Retractions::default().with(retraction(1, 3, 10, 10)).with_undone(1, &change(15));
    assert!(hidden_numbers(&retractions.as_of(10), 10).is_empty());
    assert!(retractions.as_of(10).is_empty());
    for seq in 11..=15 {
        assert_eq!(hidden_numbers(&retractions.as_of(seq), seq), [3, 4, 5, 6, 7, 8, 9, 10], "{seq}");
        assert!(retractions.as_of(seq).get(1).unwrap().stands());
    }
    assert!(hidden_numbers(&retractions.as_of(16), 16).is_empty());
    assert_eq!(retractions.as_of(16), retractions);
}

#[test]
fn a_range_names_the_retraction_that_stands() {
    let twice = Retractions::default().with(retraction(1, 3, 4, 9)).with_undone(1, &change(9));
    let seqs = SeqRange { first: 3, last: 4 };
    assert_eq!(twice.of_range(TABLE, seqs).unwrap().id, 1);
    let twice = twice.with(retraction(2, 3, 4, 9)).with(retraction(3, 3, 5, 9));
    assert_eq!(twice.of_range(TABLE, seqs).unwrap().id, 2);
    let twice = twice.with_undone(2, &change(9));
    assert_eq!(twice.of_range(TABLE, seqs).unwrap().id, 2);
    assert_eq!(twice.of_range(TableId(2), seqs), None);
}

proptest! {
    #[test]
    fn what_is_hidden_is_the_union_of_what_stands(
        made in vec((1..40_u64, 0..6_u64, any::<bool>()), 0..8),
        visible_seq in 0..45_u64,
        first in 1..45_u64,
        length in 0..20_u64,
    ) {
        let all: Vec<_> = (1..)
            .zip(&made)
            .map(|(id, (first, length, stands))| {
                let undone = (!stands).then(|| change(50));
                Arc::new(Retraction { undone, ..retraction(id, *first, first + length, 46) })
            })
            .collect();
        let expected: BTreeSet<u64> = made
            .iter()
            .filter(|(.., stands)| *stands)
            .flat_map(|(first, length, _)| *first..=first + length)
            .chain(visible_seq + 1..70)
            .collect();
        let retractions = Retractions::new(all);
        let hidden = retractions.hidden(TABLE, visible_seq);
        prop_assert!((1..70).all(|seq| hidden.contains(seq) == expected.contains(&seq)));

        let last = first + length;
        let seen: Vec<u64> = (first..=last).filter(|seq| !expected.contains(seq)).collect();
        match hidden.among(first, last) {
            Shown::All => prop_assert_eq!(seen.len() as u64, length + 1),
            Shown::Nothing => prop_assert!(seen.is_empty()),
            Shown::Except(hidden) => {
                prop_assert!(!seen.is_empty() && (seen.len() as u64) < length + 1, "rows are looked at for a reason");
                let again: Vec<u64> = (first..=last).filter(|seq| !hidden.contains(*seq)).collect();
                prop_assert_eq!(again, seen);
            }
        }
    }
}
