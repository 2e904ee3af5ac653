//! Opens a data directory: whose it is, which files there are, what the log still holds.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tapebook_history::{HistoryFile, HistoryIdentity, HistorySeal};
use tapebook_lsm::manifest::{
    Identity, Manifest, StateFile, StorageError, TableFile, Version, layout as names,
};
use tapebook_lsm::snapshot::HistorySet;
use tapebook_lsm::sstable::{Table, TableIdentity};
use tapebook_record::{Schemas, SharedBytes};
use tapebook_vfs::Vfs;
use tapebook_wal::{EntryKind, LogId, LogIdentity, Proposal, Recovered, RecoveryOptions, Vote, Wal};

use crate::append::{Completer, Completion, PendingAppend};
use crate::apply::Applier;
use crate::archive::{Archive, ArchiveBounds};
use crate::commit::{Change, Committer, Ticket};
use crate::compact::{Compactor, Wake};
use crate::files::{Files, FlushedTimes, TableStore};
use crate::flush::Flusher;
use crate::history_names::publish_names;
use crate::journal::Tail;
use crate::pinned::Pinned;
use crate::producers::IdleProducers;
use crate::proposals::Proposals;
use crate::recovery;
use crate::replay::{Jump, Replay};
use crate::replica::{Consensus, NewReplica, move_installed};
use crate::state::{StoredMembership, SystemState, decode_state};
use crate::{Db, Layout, Membership, OpenError, OpenReport, Options};

/// The node that a database is as long as it is alone.
pub(crate) const FIRST_NODE: u64 = 1;
/// The term of a log that no election has touched.
const FIRST_TERM: u64 = 1;
const FIRST_EPOCH: u64 = 1;

/// What a data directory is opened as.
pub(crate) enum Mode {
    /// A database that is alone: what is durable is committed.
    Alone,
    /// A node's copy of a journal that several nodes may keep.
    Replica { consensus: Arc<dyn Consensus>, beginning: Beginning },
}

/// What a new or empty data directory becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beginning {
    /// The only node of a cluster of its own.
    Founder { node_id: u64 },
    /// A node of a cluster that is there, with an empty log.
    Joiner(NewReplica),
}

/// An open database, and what its log said.
pub(crate) struct Opened {
    pub db: Db,
    pub log: OpenedLog,
}

/// What the log said when it was opened.
pub(crate) struct OpenedLog {
    pub vote: Option<Vote>,
    pub last: LogId,
    pub before_first: LogId,
    pub membership: Option<(LogId, Membership)>,
    pub last_proposed_at: i64,
    pub commit_index: u64,
}

pub(crate) fn open(dir: &Path, options: Options, mode: Mode) -> Result<Opened, OpenError> {
    let retention = options.retention.resolve(&Schemas::standard())?;
    let vfs = Arc::clone(&options.vfs);
    let started = vfs.clock().monotonic();
    let layout = Layout::new(dir);
    vfs.create_dir_all(dir).map_err(|source| io_error("create the directory", dir, source))?;
    // Before the lock, which leaves a file behind.
    refuse_foreign(&*vfs, dir)?;
    let lock = vfs.lock_dir(dir, &options.command)?;
    let beginning = match &mode {
        Mode::Replica { beginning, .. } => *beginning,
        Mode::Alone => Beginning::Founder { node_id: FIRST_NODE },
    };
    let (identity, created) = identity(&*vfs, dir, beginning)?;
    for folder in [layout.tables(), layout.states()] {
        vfs.create_dir_all(&folder).map_err(|source| io_error("create the directory", &folder, source))?;
    }
    let manifest = open_manifest(&vfs, dir, identity, created)?;
    let version = Arc::clone(manifest.version());
    move_installed(&*vfs, &layout, &version)?;
    let state = read_state(&*vfs, dir, &identity, &version)?;
    let (tables, history) = open_files(&*vfs, &layout, identity, &version, &state.schemas)?;
    let log = LogIdentity { cluster_id: identity.cluster_id, node_id: identity.node_id };
    let archive = match options.journal_retention {
        Some(age_max) => {
            let bounds = ArchiveBounds { age_max, bytes_max: options.journal_bytes_max };
            Some(Archive::open(&vfs, &layout, log, bounds)?)
        }
        None => None,
    };
    let mut replay = Replay::new(Applier::new(state), recovery::bounds(&options, recovery::ASSUMED_RATE));
    let replay_started = vfs.clock().monotonic();
    let recovered = replay.run(
        &vfs,
        &layout,
        log,
        &RecoveryOptions {
            replay_from: version.log_start(),
            durable_index: version
                .state()
                .map_or(0, |state| state.applied.index)
                .max(archive.as_ref().map_or(0, Archive::last_index)),
        },
        options.background,
    )?;
    let replay_took = vfs.clock().monotonic().saturating_sub(replay_started);
    let removed = remove_garbage(&*vfs, dir, &manifest)?;
    let report = OpenReport {
        created,
        tables: tables.len(),
        replayed_entries: replay.entries,
        replayed_bytes: replay.bytes,
        took: Default::default(),
        torn: recovered.torn.clone(),
        removed,
    };
    let is_empty = recovered.state.last_log_id == LogId::default() && recovered.state.vote.is_none();
    let joins = is_empty && matches!(beginning, Beginning::Joiner(_));
    let first_entry = is_empty && !joins;
    // A snapshot that was to take the place of the entries behind the log's end was not installed.
    let undone =
        replay.jump.filter(|jump| jump.to.index > version.state().map_or(0, |state| state.applied.index));
    let opened_log =
        opened_log(&layout, &recovered, &version, undone, replay.applier.state.membership.as_ref())?;
    let proposals = match mode {
        Mode::Alone => alone(&layout, identity.node_id, &opened_log)?,
        Mode::Replica { consensus, .. } => Proposals::Cluster(consensus),
    };
    // Nothing depends on the names, and what is missing now is made with the next conversion.
    let named = publish_names(&*vfs, dir, manifest.version());
    let flushed = FlushedTimes::of(&tables, history.files(), &replay.applier.state.symbols);
    // Time that a simulation makes up says nothing.
    let measured = recovery::measured(replay.bytes, replay_took).filter(|_| options.background);
    let bounds = recovery::bounds(&options, measured.unwrap_or(recovery::ASSUMED_RATE));
    let pinned = Pinned::new(options.pinned_bytes_max);
    let tail = Tail::new(replay.applier.state.last_seq, options.tail_bytes_max);
    let committer = Arc::new(Committer::new(replay.applier, tables, history, bounds, pinned, tail));
    committer.flush.lock().leftovers = named.err().map(Arc::new);
    let wal = Wal::start(
        Arc::clone(&vfs),
        tapebook_wal::WalOptions { background: options.background, ..options.wal.clone() },
        recovered,
        Arc::clone(&committer),
    )?;
    if let Some(jump) = undone {
        wal.append(Proposal::truncate(jump.from), Ticket::Quiet).map_err(|refused| refused.error)?;
    }
    let mut opened_log = opened_log;
    if joins {
        // Whatever it is opened as from now on, it does not found a cluster of the same name.
        let nobody = Vote { term: 0, node: identity.node_id, committed: false };
        wal.append(Proposal::vote(nobody), Ticket::Quiet).map_err(|refused| refused.error)?;
    }
    if first_entry {
        write_first_entry(&wal, &committer, identity.node_id)?;
        opened_log.last = LogId { term: FIRST_TERM, leader_node: identity.node_id, index: 1 };
        opened_log.membership = Some((opened_log.last, Membership::of_one(identity.node_id)));
    }
    let files = Files::new(manifest, flushed, archive);
    let flusher = Arc::new(Flusher {
        store: TableStore {
            vfs: Arc::clone(&vfs),
            layout: layout.clone(),
            identity,
            options: options.table,
            history_options: options.history,
        },
        current: Arc::clone(&files.current),
        files: Mutex::new(files),
        compaction: Wake::default(),
        idle: IdleProducers { idle_max: options.producer_idle_max },
        proposals,
    });
    let rate = options.compaction_bytes_per_second.filter(|_| options.background);
    let compactor = Compactor::new(Arc::clone(&flusher), options.compaction, retention, rate);
    let mut db = Db {
        committer,
        wal: Some(Arc::new(wal)),
        flusher,
        compactor: Arc::new(compactor),
        scrubber: Arc::default(),
        threads: Vec::new(),
        layout,
        report,
        stalls: AtomicU64::new(0),
        stall_nanos: AtomicU64::new(0),
        vfs,
        options,
        _lock: lock,
    };
    if db.options.background {
        db.start_threads().map_err(|source| io_error("start a thread", dir, source))?;
    }
    db.report.took = db.vfs.clock().monotonic().saturating_sub(started);
    Ok(Opened { db, log: opened_log })
}

fn opened_log(
    layout: &Layout,
    recovered: &Recovered,
    version: &Version,
    undone: Option<Jump>,
    applied: Option<&StoredMembership>,
) -> Result<OpenedLog, OpenError> {
    let state = &recovered.state;
    let logged = state.membership.as_ref().map(|newest| (newest.log_id, &newest.bytes));
    let applied = applied.map(|newest| (newest.log_id, &newest.bytes));
    let newest = logged.into_iter().chain(applied).max_by_key(|(log_id, _)| log_id.index);
    let membership = match newest {
        None => None,
        Some((log_id, bytes)) => {
            let decoded = Membership::decode(bytes);
            let path = layout.root().to_owned();
            Some((log_id, decoded.map_err(|source| OpenError::Membership { path, source })?))
        }
    };
    Ok(OpenedLog {
        vote: state.vote.filter(|vote| vote.term > 0),
        last: undone.map_or(state.last_log_id, |jump| jump.from),
        before_first: before_first(recovered, version),
        membership,
        last_proposed_at: state.last_proposed_at,
        commit_index: state.commit_index,
    })
}

/// The entry before the first one that the log has, and all behind: the one before its oldest segment, or where it jumped to.
fn before_first(recovered: &Recovered, version: &Version) -> LogId {
    let oldest = recovered.segments.first().map_or_else(LogId::default, |oldest| oldest.last_log_id);
    let applied = version.state().map_or(0, |state| state.applied.index);
    let jumped = recovered.state.purge.filter(|purge| purge.index <= applied);
    jumped.filter(|jumped| jumped.index > oldest.index).unwrap_or(oldest)
}

/// A database that is alone leads: in the term of its log where it has led in it before, else in a new one.
fn alone(layout: &Layout, node_id: u64, log: &OpenedLog) -> Result<Proposals, OpenError> {
    if let Some((_, membership)) =
        log.membership.as_ref().filter(|(_, membership)| !membership.is_ruled_by(node_id))
    {
        let voters = membership.members.iter().filter(|member| member.votes != 0).count();
        return Err(OpenError::Clustered { path: layout.root().to_owned(), node_id, voters });
    }
    let voted = log.vote.map_or(0, |vote| vote.term);
    let has_led = log.last.leader_node == node_id && log.last.term >= voted;
    let term = if has_led { log.last.term } else { log.last.term.max(voted) + 1 };
    Ok(Proposals::Own { term, node_id })
}

/// Reads whose directory it is; a new or empty one becomes a database of its own. True where it did.
fn identity(vfs: &dyn Vfs, dir: &Path, beginning: Beginning) -> Result<(Identity, bool), OpenError> {
    match Identity::read(vfs, dir) {
        Ok(identity) => {
            let made = vfs
                .exists(&dir.join(names::CURRENT_NAME))
                .map_err(|source| io_error("read the directory", dir, source))?;
            // Creating the database may have been cut off before it had a manifest; then nobody has written to it.
            Ok((identity, !made && is_unused(vfs, dir)?))
        }
        Err(StorageError::Missing { .. }) => {
            refuse_foreign(vfs, dir)?;
            let NewReplica { cluster_id, node_id, epoch } = match beginning {
                Beginning::Joiner(new) => new,
                Beginning::Founder { node_id } => NewReplica {
                    cluster_id: u128::from(vfs.random_u64()) << 64 | u128::from(vfs.random_u64()),
                    node_id,
                    epoch: FIRST_EPOCH,
                },
            };
            let identity = Identity { cluster_id, node_id, epoch, created_at: vfs.clock().unix_nanos() };
            identity.write(vfs, dir)?;
            Ok((identity, true))
        }
        Err(error) => Err(error.into()),
    }
}

/// Refuses a directory that holds something, but not a database.
fn refuse_foreign(vfs: &dyn Vfs, dir: &Path) -> Result<(), OpenError> {
    let entries = vfs.read_dir(dir).map_err(|source| io_error("read the directory", dir, source))?;
    if entries.iter().any(|entry| entry.name == names::IDENTITY_NAME) {
        return Ok(());
    }
    if entries.iter().any(|entry| entry.name == names::UNFINISHED_NAME) {
        return Err(OpenError::Unfinished { path: dir.to_owned() });
    }
    let ours = |name: &str| {
        name == "LOCK" || name.strip_suffix(names::TEMPORARY_SUFFIX) == Some(names::IDENTITY_NAME)
    };
    match entries.into_iter().find(|entry| !ours(&entry.name)) {
        Some(other) => Err(OpenError::Foreign { path: dir.to_owned(), found: other.name }),
        None => Ok(()),
    }
}

/// True where neither a log nor a table was ever begun.
fn is_unused(vfs: &dyn Vfs, dir: &Path) -> Result<bool, OpenError> {
    for folder in ["wal", names::TABLES_FOLDER, names::STATE_FOLDER] {
        let path = dir.join(folder);
        let exists = vfs.exists(&path).map_err(|source| io_error("read the directory", &path, source))?;
        if exists
            && !vfs
                .read_dir(&path)
                .map_err(|source| io_error("read the directory", &path, source))?
                .is_empty()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn open_manifest(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    identity: Identity,
    created: bool,
) -> Result<Manifest, OpenError> {
    if created {
        return Ok(Manifest::create(Arc::clone(vfs), dir, identity)?);
    }
    let (manifest, _) = Manifest::open(Arc::clone(vfs), dir, identity)?;
    Ok(manifest)
}

/// Opens every SSTable and history file that a version names.
pub(crate) fn open_files(
    vfs: &dyn Vfs,
    layout: &Layout,
    identity: Identity,
    version: &Version,
    schemas: &Schemas,
) -> Result<(Vec<Arc<Table>>, HistorySet), OpenError> {
    let tables = open_tables(vfs, layout, identity, version)?;
    Ok((tables, open_history(vfs, layout, identity, version, schemas)?))
}

fn open_tables(
    vfs: &dyn Vfs,
    layout: &Layout,
    identity: Identity,
    version: &Version,
) -> Result<Vec<Arc<Table>>, OpenError> {
    let mut files: Vec<_> = version.tables().collect();
    files.sort_unstable_by_key(|file| file.seqs.first);
    let open = |file: &Arc<TableFile>| {
        let identity = TableIdentity { cluster_id: identity.cluster_id, file_id: file.file_id };
        let path = layout.table(file.file_id);
        let table = Table::open(vfs, &path, identity)?;
        let (expected, found) = (file.checksum, table.footer_checksum());
        if expected != found {
            return Err(OpenError::OtherTable { path, expected, found });
        }
        Ok(table)
    };
    files.into_iter().map(open).collect()
}

fn open_history(
    vfs: &dyn Vfs,
    layout: &Layout,
    identity: Identity,
    version: &Version,
    schemas: &Schemas,
) -> Result<HistorySet, OpenError> {
    let mut files = Vec::new();
    for file in version.history() {
        files.push(Arc::new(open_history_file(vfs, layout, identity, file, schemas)?));
    }
    Ok(HistorySet::new(files))
}

/// Opens the very file that the manifest names.
pub(crate) fn open_history_file(
    vfs: &dyn Vfs,
    layout: &Layout,
    identity: Identity,
    file: &tapebook_lsm::manifest::HistoryFile,
    schemas: &Schemas,
) -> Result<HistoryFile, OpenError> {
    let path = layout.history(file.file_id);
    let Some(schema) = schemas.get(file.table) else {
        return Err(OpenError::UnknownTable { path, table: file.table.0 });
    };
    let seal = HistorySeal { file_bytes: file.bytes, tail_bytes: file.tail_bytes, tail_crc: file.tail_crc };
    let identity = HistoryIdentity { cluster_id: identity.cluster_id, file_id: file.file_id };
    Ok(HistoryFile::open(vfs, &path, identity, Some(seal), schema).map_err(Box::new)?)
}

fn read_state(
    vfs: &dyn Vfs,
    dir: &Path,
    identity: &Identity,
    version: &Version,
) -> Result<SystemState, OpenError> {
    let Some(named) = version.state() else {
        return Ok(SystemState::new());
    };
    let (header, sections) = StateFile::read_named(vfs, dir, identity, named)?;
    decode_state(&header, &sections).map_err(|source| OpenError::StateSection {
        path: dir.join(names::state_name(named.file_id)),
        source,
    })
}

/// Removes what a crash left over, now that everything that counts was read without an error.
fn remove_garbage(vfs: &dyn Vfs, dir: &Path, manifest: &Manifest) -> Result<Vec<String>, OpenError> {
    let mut listing = Vec::new();
    for folder in ["", names::TABLES_FOLDER, names::STATE_FOLDER] {
        let path = dir.join(folder);
        let entries = vfs.read_dir(&path).map_err(|source| io_error("read the directory", &path, source))?;
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        listing.extend(
            entries.iter().filter(|entry| !entry.is_dir).map(|entry| format!("{prefix}{}", entry.name)),
        );
    }
    let garbage =
        names::garbage([&**manifest.version()], manifest.number(), listing.iter().map(String::as_str));
    for name in &garbage {
        let path = dir.join(name);
        vfs.remove_file(&path).map_err(|source| io_error("remove a leftover file", &path, source))?;
    }
    Ok(garbage)
}

/// The membership entry of a cluster of one, so that any database can grow.
fn write_first_entry(
    wal: &Wal<Committer>,
    committer: &Arc<Committer>,
    node_id: u64,
) -> Result<(), OpenError> {
    let completion = Completion::new(&committer.waiters);
    let payload = SharedBytes::from(&*Membership::of_one(node_id).encode());
    let proposal = Proposal::entry(EntryKind::Membership, FIRST_TERM, node_id, payload);
    let ticket = Ticket::Apply { change: Change::Other, completer: Completer::new(&completion) };
    wal.append(proposal, ticket).map_err(|refused| refused.error)?;
    PendingAppend { completion }.wait().map_err(OpenError::FirstEntry)?;
    Ok(())
}

fn io_error(operation: &'static str, path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { operation, path: path.to_owned(), source }
}
