//! Reads of the database beside what the model says. A wrong answer is a violation; an error is handed back, because with
//! damage on the disk it may be the right answer.

use tapebook::{Direction, Id, JournalError, ReadError, ReadRecord, SeqRange, Snapshot, TimeRange};

use crate::model::{Model, View};
use crate::random::Random;
use crate::rows::{Kind, Row, StoredRow};

/// Single reads of each kind that one comparison makes.
const SAMPLES: u64 = 6;

/// Compares all that a snapshot shows, and a sample of every other kind of read.
pub(crate) fn compare(snapshot: &Snapshot, view: &View<'_>, random: &mut Random) -> Result<(), ReadError> {
    assert_eq!(snapshot.visible_seq(), view.last_seq(), "the last visible sequence");
    compare_retractions(snapshot, view);
    for kind in Kind::ALL {
        let expected = view.shown(kind);
        let mut scan = snapshot.scan_table(kind.table(), TimeRange::ALL);
        for expected in &expected {
            match scan.next().transpose()? {
                Some(record) => assert_eq!(&Row::read(kind, record), *expected, "a row of {}", kind.name()),
                None => panic!("{}: {expected:?} is missing", kind.name()),
            }
        }
        if let Some(record) = scan.next().transpose()? {
            panic!("{}: nobody wrote {:?}, or it is hidden", kind.name(), Row::read(kind, record));
        }
        let counted = snapshot.count_rows(kind.table(), SeqRange { first: 1, last: u64::MAX })?;
        assert_eq!(counted, expected.len() as u64, "rows of {}", kind.name());
        if !expected.is_empty() {
            compare_series(snapshot, kind, &expected, random)?;
        }
    }
    compare_single(snapshot, view, random)
}

fn compare_retractions(snapshot: &Snapshot, view: &View<'_>) {
    let found = snapshot.retractions().iter().map(|retraction| {
        let undone_at = retraction.undone.as_ref().map(|undone| undone.at_seq);
        (retraction.id, retraction.table, retraction.seqs, retraction.made.at_seq, undone_at)
    });
    let expected = (1..).zip(&view.retractions).map(|(id, hidden)| {
        let undone_at = hidden.undone.map(|(_, at_seq)| at_seq);
        (id, hidden.kind.table(), hidden.seqs, hidden.made_at, undone_at)
    });
    assert!(found.eq(expected), "retractions {:?}, expected {:?}", snapshot.retractions(), view.retractions);
}

/// Compares what is known of every producer.
pub(crate) fn compare_producers(db: &tapebook::Db, model: &Model) {
    let found = db.system_view().producers();
    let expected = model.producers();
    assert!(found.iter().map(|(id, _)| id).eq(expected.keys()), "producers {found:?}, expected {expected:?}");
    for ((id, found), expected) in found.iter().zip(expected.values()) {
        assert_eq!((found.epoch, found.last_number), (expected.epoch, expected.last), "producer {id}");
        assert_eq!(found.expired, expected.expired, "whether producer {id} has expired");
        assert_eq!(found.receipts, expected.receipts, "the receipts of producer {id}");
    }
}

/// Series in both directions, and the last row at a time.
fn compare_series(
    snapshot: &Snapshot,
    kind: Kind,
    shown: &[&StoredRow],
    random: &mut Random,
) -> Result<(), ReadError> {
    for _ in 0..SAMPLES / 2 {
        let (one, other) = (&random.pick(shown).row, &random.pick(shown).row);
        let range = TimeRange { first: one.ts.min(other.ts), last: one.ts.max(other.ts) };
        let symbol = &*one.symbol;
        let mut expected: Vec<&StoredRow> = shown
            .iter()
            .filter(|stored| stored.row.symbol == symbol && range.contains(stored.row.ts))
            .copied()
            .collect();
        for direction in [Direction::Forward, Direction::Backward] {
            let found = snapshot.scan_series(kind.table(), symbol, range, direction)?;
            let found = found.map(|record| record.map(|record| Row::read(kind, record)));
            let found = found.collect::<Result<Vec<_>, _>>()?;
            assert!(found.iter().eq(expected.iter().copied()), "{symbol} {range:?} {direction:?}");
            expected.reverse();
        }
        let last = snapshot.last(kind.table(), symbol, range.last)?;
        let last = last.map(|record| Row::read(kind, record));
        let of_symbol = |stored: &&&StoredRow| stored.row.symbol == symbol && stored.row.ts <= range.last;
        assert_eq!(last.as_ref(), shown.iter().rfind(of_symbol).copied(), "the last of {symbol}");
    }
    Ok(())
}

/// Rows by key and by id, hidden ones among them.
fn compare_single(snapshot: &Snapshot, view: &View<'_>, random: &mut Random) -> Result<(), ReadError> {
    if view.rows.is_empty() {
        return Ok(());
    }
    for _ in 0..SAMPLES {
        let stored = random.pick(view.rows);
        let StoredRow { seq, row } = stored;
        let expected = view.shows(stored).then_some(stored);
        let read = |record: ReadRecord<'_>| Row::read(row.kind, record);
        let found = snapshot.get(row.kind.table(), &row.symbol, row.ts, *seq)?;
        assert_eq!(found.map(read).as_ref(), expected, "the row with seq {seq}");
        if let Some(column) = row.kind.id_column() {
            let found = snapshot.by_id(row.kind.table(), column, Id::Number(row.number.into()))?;
            let found: Vec<StoredRow> = found.into_iter().map(read).collect();
            assert!(found.iter().eq(expected), "the row with id {}: {found:?}", row.number);
        }
    }
    let seq = random.below(view.last_seq() + 1);
    let (earlier, view) = (snapshot.as_of(seq)?, view.as_of(seq));
    compare_retractions(&earlier, &view);
    let kind = *random.pick(&Kind::ALL);
    let found = earlier.scan_table(kind.table(), TimeRange::ALL);
    let found = found.map(|record| record.map(|record| Row::read(kind, record)));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    assert!(found.iter().eq(view.shown(kind)), "{} as of {seq}", kind.name());
    Ok(())
}

/// Compares the journal from a sequence on, all of whose entries are known. True where it reaches back that far.
pub(crate) fn compare_journal(db: &tapebook::Db, model: &Model, from_seq: u64) -> Result<bool, JournalError> {
    let reader = match db.journal(from_seq) {
        Err(JournalError::Gone { .. }) => return Ok(false),
        other => other?,
    };
    let mut expected =
        model.batches.iter().filter(|batch| batch.first_seq + batch.encoded.len() as u64 > from_seq.max(1));
    for found in reader {
        let found = match found {
            Err(JournalError::Gone { .. }) => return Ok(false),
            other => other?,
        };
        let expected = expected.next().unwrap_or_else(|| panic!("nobody wrote journal batch {found:?}"));
        assert_eq!((found.first_seq, found.index), (expected.first_seq, expected.index), "a journal batch");
        assert!(found.batch.bytes()[..] == expected.encoded.bytes()[..], "the bytes of batch {found:?}");
    }
    if let Some(missing) = expected.next() {
        panic!("the journal lacks the batch at seq {}", missing.first_seq);
    }
    Ok(true)
}
