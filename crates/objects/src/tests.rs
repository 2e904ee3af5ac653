//! Against a store in memory that fails where the scenario says. How the crate speaks to a server is tested with a real one, by
//! the tests of the command.

mod failing;

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use object_store::ObjectStore;
use tapebook::BackupTarget;

use self::failing::{Failing, Failure};
use crate::settings::Address;
use crate::{Limits, ObjectTarget};

const PART: u64 = 64 << 10;

fn over(store: &Arc<Failing>) -> ObjectTarget {
    let limits = Limits { part_bytes: PART, parts_in_flight: 3, ..Limits::default() };
    let address = Address::parse("s3://backups/here").unwrap();
    let store: Arc<dyn ObjectStore> = Arc::clone(store) as _;
    ObjectTarget::over(store, address, "memory".to_owned(), limits).unwrap()
}

fn content(bytes: u64) -> Vec<u8> {
    (0..bytes).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

fn put(target: &ObjectTarget, name: &str, content: &[u8]) -> io::Result<()> {
    target.put(name, &mut &*content, content.len() as u64)
}

fn get(target: &ObjectTarget, name: &str) -> io::Result<Vec<u8>> {
    let mut found = Vec::new();
    target.get(name)?.read_to_end(&mut found).map(|_| found)
}

#[test]
fn objects_of_every_length_come_back_whole() {
    let target = over(&Failing::new(Failure::None));
    for bytes in [0, 1, PART - 1, PART, PART + 1, 3 * PART, 20 * PART + 7] {
        let content = content(bytes);
        let name = format!("objects/{bytes}");
        put(&target, &name, &content).unwrap();
        assert!(get(&target, &name).unwrap() == content, "{bytes}");
    }
    let listed = target.list("objects").unwrap();
    assert_eq!(listed.len(), 7);
    assert!(listed.iter().all(|object| object.name == format!("objects/{}", object.bytes)), "{listed:?}");
    assert_eq!(target.list("backups").unwrap(), []);
    assert_eq!(get(&target, "objects/none").unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn no_more_parts_are_in_flight_than_allowed() {
    let store = Failing::new(Failure::None);
    put(&over(&store), "objects/large", &content(40 * PART)).unwrap();
    let most = store.most_in_flight.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most}");
}

#[test]
fn an_upload_that_fails_at_any_part_is_no_object_and_is_given_up() {
    for failure in [Failure::Part(0), Failure::Part(5), Failure::Part(9), Failure::Complete] {
        let store = Failing::new(failure);
        let target = over(&store);
        put(&target, "objects/large", &content(10 * PART)).unwrap_err();
        assert_eq!(target.list("objects").unwrap(), [], "{failure:?}");
        assert_eq!(store.given_up.load(Ordering::SeqCst), 1, "{failure:?}: parts that stay cost room");
    }
}

#[test]
fn content_of_another_length_than_announced_is_refused() {
    let target = over(&Failing::new(Failure::None));
    for bytes in [10, 10 * PART] {
        let content = content(bytes);
        for announced in [bytes - 1, bytes + 1] {
            target.put("objects/x", &mut &*content, announced).unwrap_err();
            assert_eq!(target.list("objects").unwrap(), [], "{bytes} as {announced}");
        }
    }
}

#[test]
fn a_store_that_keeps_something_else_is_found_out_at_once() {
    for bytes in [100, 4 * PART] {
        for failure in [Failure::FlipsStored, Failure::CutsStored] {
            let target = over(&Failing::new(failure));
            let error = put(&target, "objects/x", &content(bytes)).unwrap_err().to_string();
            assert!(error.contains("not what was sent"), "{failure:?}: {error}");
        }
    }
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_an_error() {
    let target = over(&Failing::new(Failure::None));
    put(&target, "objects/x", &content(20 * PART)).unwrap();
    let mut reader = target.get("objects/x").unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    put(&target, "objects/x", &content(20 * PART)).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("replaced"), "{error}");
}

#[test]
fn a_record_is_written_once() {
    // Also where nobody saw that it is there before the write itself, and where the store knows no conditional writes.
    for (failure, hides) in [(Failure::None, false), (Failure::None, true), (Failure::NoConditions, false)] {
        let store = Failing::new(failure);
        let target = over(&store);
        target.put_new("backups/1", b"first").unwrap();
        store.hides.store(hides, Ordering::SeqCst);
        let error = target.put_new("backups/1", b"second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{failure:?}, {hides}");
        assert_eq!(get(&target, "backups/1").unwrap(), b"first", "{failure:?}, {hides}");
    }
    // The answer to a write was lost, and it was sent again.
    let target = over(&Failing::new(Failure::CreatesTwice));
    target.put_new("backups/1", b"first").unwrap();
    assert_eq!(get(&target, "backups/1").unwrap(), b"first");
}
