//! Producers that expire: asked to, or because they were idle. What is left of them says what must never be taken as new.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tapebook::{
    AppendError, Batch, Db, DirectoryTarget, Durability, Options, Producer, ProducerRefusal, ProducerState,
    Receipt, RestoreBound, restore,
};
use tapebook_vfs::{MemoryVfs, Vfs};

use crate::support::{on, open, trades};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn options(disk: &MemoryVfs) -> Options {
    Options { journal_retention: Some(100 * DAY), ..on(Arc::new(disk.clone())) }
}

fn send(db: &Db, id: u64, epoch: u32, batch_number: u64) -> Result<Receipt, AppendError> {
    let mut batch = Batch::from_producer(Producer { id, epoch, batch_number });
    for number in 0..3 {
        let trade = tapebook::Trade { symbol: "S", ts: number, ..Default::default() };
        batch.push(trade).unwrap();
    }
    db.append(batch, Durability::Synced)?.wait()
}

fn refusal(db: &Db, id: u64, epoch: u32, batch_number: u64) -> ProducerRefusal {
    match send(db, id, epoch, batch_number) {
        Err(AppendError::Producer(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn expire(db: &Db, id: u64) {
    db.expire_producer(id).unwrap().wait().unwrap();
}

/// What must be true wherever the state went.
fn check(db: &Db, expected: &[(u64, ProducerState)], place: &str) {
    for (id, state) in expected {
        assert_eq!(db.producer(*id).as_ref(), Some(state), "{place}: producer {id}");
    }
    let listed: Vec<u64> = db.system_view().producers().iter().map(|(id, _)| *id).collect();
    assert!(listed.iter().eq(expected.iter().map(|(id, _)| id)), "{place}: {listed:?}");
    for batch_number in [1, 2, 3, 70] {
        let expired = ProducerRefusal::Expired { producer: 7, epoch: 2 };
        assert_eq!(refusal(db, 7, 2, batch_number), expired, "{place}");
    }
    let again = send(db, 9, 1, 1).unwrap();
    assert!(again.duplicate && again.first_seq == 4, "{place}: {again:?}");
}

#[test]
fn what_is_known_of_producers_goes_wherever_the_database_goes() {
    let disk = MemoryVfs::new(1);
    let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
    let db = open(options(&disk));
    send(&db, 7, 2, 1).unwrap();
    send(&db, 9, 1, 1).unwrap();
    send(&db, 7, 2, 2).unwrap();
    assert!(matches!(
        db.expire_producer(8),
        Err(AppendError::Producer(ProducerRefusal::Unknown { producer: 8 }))
    ));
    expire(&db, 7);
    expire(&db, 7);
    let expected = [(7, db.producer(7).unwrap()), (9, db.producer(9).unwrap())];
    assert!(expected[0].1.expired && expected[0].1.receipts.is_empty() && expected[0].1.last_seq == 9);
    assert!(!expected[1].1.expired && expected[1].1.receipts == [(4, 6)]);
    check(&db, &expected, "at once");
    db.close().unwrap();

    let db = open(options(&disk));
    check(&db, &expected, "replayed");
    db.flush().unwrap();
    check(&db, &expected, "flushed");
    db.checkpoint("/checkpoint").unwrap();
    let target = DirectoryTarget::new(Arc::clone(&vfs), "/backups");
    db.backup(&target).unwrap();
    db.close().unwrap();
    check(&open(options(&disk)), &expected, "read from the state file");
    check(&Db::open_with("/checkpoint", options(&disk)).unwrap(), &expected, "a checkpoint");
    restore(&target, &vfs, Path::new("/restored"), RestoreBound::Latest, "test").unwrap();
    let db = Db::open_with("/restored", options(&disk)).unwrap();
    check(&db, &expected, "restored");

    // A greater epoch goes on, from number 1.
    let gap = ProducerRefusal::Gap { producer: 7, expected: 1, found: 3 };
    assert_eq!(refusal(&db, 7, 3, 3), gap);
    assert_eq!(send(&db, 7, 3, 1).unwrap().first_seq, 10);
    assert!(!db.producer(7).unwrap().expired);
    assert_eq!(refusal(&db, 7, 2, 3), ProducerRefusal::Fenced { producer: 7, current: 3, found: 2 });
}

/// Whoever was silent for long expires with the first flush behind that, by the clock of the journal alone.
#[test]
fn idle_producers_expire_by_the_commit_clock() {
    let disk = MemoryVfs::new(2);
    let options = Options { producer_idle_max: Some(30 * DAY), ..options(&disk) };
    let db = open(options.clone());
    send(&db, 1, 1, 1).unwrap();
    send(&db, 2, 1, 1).unwrap();
    let flush = |db: &Db| {
        db.flush().unwrap();
        db.drive().unwrap();
    };
    let expired = |db: &Db| -> Vec<u64> {
        let all = db.system_view().producers();
        all.iter().filter(|(_, state)| state.expired).map(|(id, _)| *id).collect()
    };
    disk.manual_clock().advance(20 * DAY);
    send(&db, 2, 1, 2).unwrap();
    flush(&db);
    assert_eq!(expired(&db), [0; 0]);
    disk.manual_clock().advance(20 * DAY);
    db.append(trades("S", 0, 0..1), Durability::Synced).unwrap().wait().unwrap();
    flush(&db);
    assert_eq!(expired(&db), [1]);
    assert_eq!(refusal(&db, 1, 1, 2), ProducerRefusal::Expired { producer: 1, epoch: 1 });
    assert!(send(&db, 2, 1, 3).is_ok());
    db.close().unwrap();
    let db = open(options);
    assert_eq!(expired(&db), [1], "replayed");
    assert_eq!(db.producer(1).unwrap().last_number, 1);
}

#[test]
fn an_expired_producer_counts_as_one() {
    let db = open(Options { producers_max: 2, ..options(&MemoryVfs::new(3)) });
    send(&db, 1, 1, 1).unwrap();
    send(&db, 2, 1, 1).unwrap();
    expire(&db, 1);
    assert_eq!(refusal(&db, 3, 1, 1), ProducerRefusal::TooMany { producer: 3, max: 2 });
    assert!(send(&db, 1, 2, 1).is_ok(), "one that is known goes on");
}
