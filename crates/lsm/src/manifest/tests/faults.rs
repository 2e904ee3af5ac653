//! Every call to the operating system fails in turn: a clean error, and nothing half done.

use std::io::ErrorKind;

use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs, Operation};

use super::*;

/// Creates, commits past two switches, opens again. Returns the version last committed and the one in flight.
fn script(vfs: &Arc<dyn Vfs>) -> (Option<Version>, Option<Version>) {
    let (mut committed, mut random) = (None, Random(7));
    if identity().write(&**vfs, &dir()).is_err() {
        return (None, None);
    }
    let Ok(mut manifest) = Manifest::create_with(Arc::clone(vfs), &dir(), identity(), SMALL) else {
        return (None, None);
    };
    for step in 0..40 {
        if step == 20 {
            let version = Version::clone(manifest.version());
            match reopen(vfs) {
                Ok((opened, _)) => manifest = opened,
                Err(_) => return (Some(version), None),
            }
        }
        let before = Version::clone(manifest.version());
        committed = Some(before.clone());
        let edit = any_edit(&before, &mut random);
        let next = before.apply(&edit).unwrap();
        match manifest.commit(&edit) {
            Ok(version) => assert_eq!(*version, next),
            Err(ManifestError::NotPrepared(_)) => {
                assert_eq!(**manifest.version(), before, "nothing changed");
                if manifest.commit(&edit).is_err() {
                    return (committed, None);
                }
            }
            Err(error) => {
                assert!(error.is_poisoned(), "{error}");
                assert!(manifest.commit(&edit).unwrap_err().is_poisoned());
                return (committed, Some(next));
            }
        }
        committed = Some(next);
    }
    let _ = manifest.close();
    (committed, None)
}

fn calls() -> u64 {
    let (memory, _) = new_disk(0);
    let faulty = FaultVfs::new(Arc::new(memory), FaultPlan::none());
    let (committed, _) = script(&(Arc::new(faulty.clone()) as Arc<dyn Vfs>));
    assert!(committed.is_some());
    assert!(faulty.calls_of(Operation::Rename) >= 4, "the script switches manifests");
    faulty.calls()
}

#[test]
fn every_call_fails_once_and_for_ever() {
    let short = Fault::ShortWrite { bytes: 13, error: ErrorKind::StorageFull };
    let rules = [
        FaultRule::new(Fault::OsError(5)),
        FaultRule::new(Fault::OsError(5)).for_ever(),
        FaultRule::new(short),
    ];
    for nth in 1..=calls() {
        for (kind, rule) in rules.iter().enumerate() {
            let (memory, whole) = new_disk(nth);
            let faulty: Arc<dyn Vfs> =
                Arc::new(FaultVfs::new(Arc::new(memory.clone()), rule.clone().nth(nth).into()));
            let (committed, in_flight) = script(&faulty);
            match nth % 2 {
                0 => memory.crash_process(),
                _ => _ = memory.crash(nth),
            }
            let opened = reopen(&whole);
            match (opened, committed) {
                (Ok((_, found)), Some(committed)) => {
                    let expected = *found == committed || Some(&*found) == in_flight.as_ref();
                    assert!(expected, "call {nth}, fault {kind}: another version");
                }
                (Ok((_, found)), None) => assert_eq!(found.last_seq(), 0),
                (Err(ManifestError::Storage(StorageError::Missing { .. })), None) => {
                    identity().write(&*whole, &dir()).unwrap();
                    Manifest::create(Arc::clone(&whole), &dir(), identity()).unwrap();
                }
                (Err(error), _) => panic!("call {nth}, fault {kind}: {error}"),
            }
        }
    }
}

#[test]
fn a_write_that_was_reported_and_never_stored_is_corruption() {
    let (memory, whole) = new_disk(3);
    let faulty = FaultVfs::new(Arc::new(memory), FaultPlan::none());
    let vfs: Arc<dyn Vfs> = Arc::new(faulty.clone());
    let mut manifest = Manifest::create(vfs, &dir(), identity()).unwrap();
    manifest.commit(&flush(manifest.version(), 1)).unwrap();
    faulty.set_plan(FaultRule::new(Fault::Skip).on(Operation::Write).into());
    manifest.commit(&flush(manifest.version(), 1)).unwrap();
    manifest.close().unwrap();
    let error = reopen(&whole).unwrap_err();
    assert!(matches!(error, ManifestError::Corrupt { ordinal: 2, .. }), "{error}");
}

#[test]
fn a_full_disk_is_met_before_anything_changes_and_room_is_enough_to_go_on() {
    let (memory, vfs) = new_disk(4);
    let mut manifest = Manifest::create_with(Arc::clone(&vfs), &dir(), identity(), SMALL).unwrap();
    memory.set_capacity_bytes(Some(8192));
    let refused = loop {
        if let Err(error) = manifest.commit(&flush(manifest.version(), 1)) {
            break error;
        }
    };
    assert!(refused.is_no_space(), "{refused}");
    let before = Arc::clone(manifest.version());
    memory.set_capacity_bytes(None);
    let after = manifest.commit(&flush(&before, 1)).unwrap();
    assert_eq!(after.tables().count(), before.tables().count() + 1);
    assert_eq!(reopen(&vfs).unwrap().1, after);
}

#[test]
fn a_state_file_is_there_whole_or_not_at_all() {
    let header = golden::state_header();
    let sections = golden::state_sections();
    let (memory, _) = new_disk(0);
    let counted = FaultVfs::new(Arc::new(memory), FaultPlan::none());
    StateFile::write(&counted, &path("7.state"), &header, &sections).unwrap();
    for nth in 1..=counted.calls() {
        let (memory, _) = new_disk(nth);
        let rule = FaultRule::new(Fault::OsError(28)).nth(nth).for_ever();
        let faulty = FaultVfs::new(Arc::new(memory.clone()), rule.into());
        assert!(StateFile::write(&faulty, &path("7.state"), &header, &sections).is_err());
        memory.crash(nth);
        match StateFile::read(&memory, &path("7.state"), &identity()) {
            Ok(found) => assert_eq!(found, (header, sections.clone())),
            Err(error) => assert!(matches!(error, StorageError::Missing { .. }), "{error}"),
        }
        StateFile::write(&memory, &path("7.state"), &header, &sections).unwrap();
    }
}
