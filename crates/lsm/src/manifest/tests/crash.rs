//! The power fails at any operation; afterwards the version is the last committed one or that of the commit in flight.

use tapebook_vfs::{Fault, FaultPlan, FaultRule, FaultVfs};

use super::*;

/// What may be on the disk: the last committed version, and the one that was being committed.
struct Expected {
    committed: Version,
    in_flight: Option<Version>,
}

/// Works until the disk is gone.
fn work(vfs: &Arc<dyn Vfs>, expected: &mut Option<Expected>, random: &mut Random) {
    let mut manifest = match open_or_create(vfs) {
        Ok(manifest) => manifest,
        Err(_) => return,
    };
    let version = Version::clone(manifest.version());
    if let Some(expected) = expected {
        let found = Some(&version);
        assert!(found == Some(&expected.committed) || found == expected.in_flight.as_ref());
    }
    *expected = Some(Expected { committed: version, in_flight: None });
    for _ in 0..30 {
        let edit = any_edit(manifest.version(), random);
        let next = manifest.version().apply(&edit).unwrap();
        let expected = expected.as_mut().unwrap();
        expected.in_flight = Some(next.clone());
        if manifest.commit(&edit).is_err() {
            return;
        }
        *expected = Expected { committed: next, in_flight: None };
    }
    if random.below(2) == 0 {
        let _ = manifest.close();
    }
}

fn open_or_create(vfs: &Arc<dyn Vfs>) -> Result<Manifest, ManifestError> {
    match Identity::read_own(&**vfs, &dir(), identity().cluster_id, 3) {
        Err(StorageError::Missing { .. }) => identity().write(&**vfs, &dir())?,
        Err(error) => return Err(error.into()),
        Ok(found) => assert_eq!(found, identity()),
    }
    match reopen(vfs) {
        Err(ManifestError::Storage(StorageError::Missing { path })) if path.ends_with("CURRENT") => {
            Manifest::create_with(Arc::clone(vfs), &dir(), identity(), SMALL)
        }
        other => Ok(other?.0),
    }
}

fn run(seed: u64) -> (u64, u64) {
    let mut random = Random(seed);
    let (memory, _) = new_disk(seed);
    let mut expected = None;
    let (mut torn, mut in_flight_kept) = (0, 0);
    for round in 0..4 {
        // Most of a life's calls are commits; a few are the creation, so the first power cut comes early.
        let lifetime = if round == 0 { 60 } else { 220 };
        let (last, bytes) = (1 + random.below(lifetime), random.below(1200) as usize);
        let error = std::io::ErrorKind::Other;
        let plan = FaultPlan::none()
            .with(FaultRule::new(Fault::ShortWrite { bytes, error }).nth(last))
            .with(FaultRule::new(Fault::Error(error)).nth(last + 1).for_ever());
        let faulty: Arc<dyn Vfs> = Arc::new(FaultVfs::new(Arc::new(memory.clone()), plan));
        work(&faulty, &mut expected, &mut random);
        match random.below(4) {
            0 => memory.crash_process(),
            _ => _ = memory.crash(random.next()),
        }

        let whole: Arc<dyn Vfs> = Arc::new(memory.clone());
        let was_created = expected.is_some();
        let manifest = match open_or_create(&whole) {
            Ok(manifest) => manifest,
            Err(error) => panic!("seed {seed}, round {round}: {error}"),
        };
        torn += u64::from(manifest.torn_tail().is_some());
        let found = Version::clone(manifest.version());
        if let Some(Expected { committed, in_flight }) = &expected {
            let kept = Some(&found) == in_flight.as_ref();
            in_flight_kept += u64::from(kept);
            assert!(found == *committed || kept, "seed {seed}, round {round}: another version");
        } else {
            assert!(!was_created);
            assert_eq!(
                found,
                Version::default().apply(&VersionEdit { epoch: Some(2), ..Default::default() }).unwrap()
            );
        }
        // What an opened manifest answered must survive the next power cut as well.
        memory.crash(random.next());
        let (_, again) = reopen(&whole).unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error}"));
        assert_eq!(*again, found, "seed {seed}, round {round}: relied on what was not durable");
        expected = Some(Expected { committed: found, in_flight: None });
    }
    (torn, in_flight_kept)
}

#[test]
fn a_power_cut_leaves_the_last_committed_version_or_the_one_in_flight() {
    let outcomes: Vec<_> = (0..400).map(run).collect();
    let torn: u64 = outcomes.iter().map(|(torn, _)| torn).sum();
    let kept: u64 = outcomes.iter().map(|(_, kept)| kept).sum();
    assert!(torn > 10 && kept > 10, "the crashes reach both outcomes: {torn} torn, {kept} kept");
}

#[test]
fn what_survived_a_failed_sync_only_in_the_cache_is_made_durable_before_it_is_relied_on() {
    let (memory, vfs) = new_disk(1);
    identity().write(&*vfs, &dir()).unwrap();
    let mut manifest = Manifest::create(Arc::clone(&vfs), &dir(), identity()).unwrap();
    manifest.commit(&flush(manifest.version(), 1)).unwrap();
    let edit = flush(manifest.version(), 2);
    memory.fail_next_sync("MANIFEST");
    assert!(manifest.commit(&edit).unwrap_err().is_poisoned());
    assert!(manifest.commit(&edit).unwrap_err().is_poisoned(), "poisoned until it is opened again");
    memory.crash_process();
    let (_, version) = Manifest::open(Arc::clone(&vfs), &dir(), identity()).unwrap();
    memory.crash(0);
    let (_, again) = Manifest::open(vfs, &dir(), identity()).unwrap();
    assert_eq!(version, again);
}
