//! Every setting of the server: its name, what it means, and where it goes.

use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use tapebook_server::ServerOptions;
use tapebook_server::access::AuditOptions;
use tapebook_server::cluster::ClusterOptions;
use tapebook_server::tls::TlsFiles;

use super::kind::{
    Address, Bytes, Count, Directory, FilePath, HostPort, Kind, Level, Named, Names, NodeId, OrOff, Peers,
    Retention, Switch, Time, WhenAnswered, WhoMustAuthenticate,
};

/// How long a database of this command keeps its journal, so that a backup leads to any sequence since the one before.
pub(crate) const JOURNAL_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// All settings, with their values.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    server: ServerOptions,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_ca: Option<PathBuf>,
    tls_crl: Option<PathBuf>,
    audit_log: Option<PathBuf>,
    pub(crate) log_level: LevelFilter,
}

impl Default for Settings {
    fn default() -> Self {
        let mut server = ServerOptions::new("./tapebook-data");
        server.database.journal_retention = Some(JOURNAL_RETENTION);
        Self {
            server,
            tls_cert: None,
            tls_key: None,
            tls_ca: None,
            tls_crl: None,
            audit_log: None,
            log_level: LevelFilter::Info,
        }
    }
}

impl Settings {
    /// What the server is started with, or which settings do not fit together.
    pub(crate) fn server_options(&self) -> Result<ServerOptions, String> {
        self.check_cluster()?;
        let mut options = ServerOptions { tls: self.tls()?, ..self.server.clone() };
        options.audit = match &self.audit_log {
            Some(path) => AuditOptions { path: path.clone(), ..self.server.audit.clone() },
            None => AuditOptions {
                path: ServerOptions::new(&options.data).audit.path,
                ..self.server.audit.clone()
            },
        };
        Ok(options)
    }

    fn check_cluster(&self) -> Result<(), String> {
        let ClusterOptions { node_id, peers, join, .. } = &self.server.cluster;
        match (node_id, &peers[..], join) {
            (_, [_, ..], Some(_)) => {
                Err("peers and join are set; a node founds a cluster or joins one".to_owned())
            }
            (None, [_, ..], None) => {
                Err("peers is set, and node_id is not; say which of them this node is".to_owned())
            }
            (None, [], Some(_)) => {
                Err("join is set, and node_id is not; give this node an id of its own".to_owned())
            }
            (Some(node_id), [_, ..], None) if peers.iter().all(|(id, _)| id != node_id) => Err(format!(
                "node_id is {node_id}, and peers has no such node; it lists every founding node, this one too"
            )),
            _ => Ok(()),
        }
    }

    fn tls(&self) -> Result<Option<TlsFiles>, String> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                ca: self.tls_ca.clone(),
                revoked: self.tls_crl.clone(),
            })),
            (None, None) if self.tls_ca.is_none() && self.tls_crl.is_none() => Ok(None),
            (Some(_), None) => Err("tls_cert is set, and tls_key is not; both belong together".to_owned()),
            (None, Some(_)) => Err("tls_key is set, and tls_cert is not; both belong together".to_owned()),
            (None, None) => Err("tls_ca and tls_crl need a server with tls_cert and tls_key".to_owned()),
        }
    }
}

/// One setting.
pub(crate) struct Setting {
    /// Its name as a flag, without the dashes before it.
    pub flag: &'static str,
    pub value: &'static str,
    pub help: &'static str,
    pub set: fn(&mut Settings, &str) -> Result<(), String>,
    pub show: fn(&Settings) -> String,
}

impl Setting {
    /// Its name in the file.
    pub(crate) fn key(&self) -> String {
        self.flag.replace('-', "_")
    }

    /// Its name in the environment.
    pub(crate) fn variable(&self) -> String {
        format!("TAPEBOOK_{}", self.key().to_ascii_uppercase())
    }

    /// True where the flag alone means `true`.
    pub(crate) fn is_switch(&self) -> bool {
        self.value == Switch::VALUE
    }
}

macro_rules! settings {
    ($($flag:literal $kind:ty: $($place:ident).+, $help:literal;)+) => {
        /// Every setting, in the order in which they are shown.
        pub(crate) const SETTINGS: &[Setting] = &[$(Setting {
            flag: $flag,
            value: <$kind as Named>::VALUE,
            help: $help,
            set: |settings, text| {
                settings.$($place).+ = <$kind as Kind<_>>::parse(text)?;
                Ok(())
            },
            show: |settings| <$kind as Kind<_>>::show(&settings.$($place).+),
        }),+];
    };
}

settings! {
    "data" Directory: server.data, "The data directory";
    "listen" OrOff<Address>: server.listen, "Where gRPC is: the journal, Flight SQL, administration, health";
    "http-listen" OrOff<Address>: server.http_listen, "Where HTTP is: probes, metrics, queries";
    "http-hosts" Names: server.http_hosts, "Names besides localhost and addresses by which HTTP may be called, with commas between them";
    "insecure" Switch: server.insecure, "Listens on any address also without TLS or authentication";
    "tls-cert" FilePath: tls_cert, "The server's certificate, PEM, intermediate ones behind it";
    "tls-key" FilePath: tls_key, "Its private key, PEM";
    "tls-ca" FilePath: tls_ca, "The CAs whose certificates let clients in, PEM";
    "tls-crl" FilePath: tls_crl, "What these CAs have revoked, PEM";
    "tls-reload" Time: server.tls_reload_every, "How often the files of the certificates are looked at";
    "auth" WhoMustAuthenticate: server.authentication, "Whether callers must say who they are, by certificate or token";
    "audit-log" FilePath: audit_log, "Where the audit log lies; empty: audit.jsonl in the data directory";
    "audit-file-bytes-max" Bytes: server.audit.file_bytes_max, "A file of the audit log with so many bytes is numbered and another one begun";
    "audit-files-kept" Count: server.audit.files_kept, "Numbered files of the audit log that are kept";
    "log-level" Level: log_level, "What is logged to standard error";
    "durability" WhenAnswered: server.durability, "When a writer is answered that does not say when";

    "node-id" NodeId: server.cluster.node_id, "The id of this node, from 1; empty: that of the data directory";
    "peers" Peers: server.cluster.peers, "All founding nodes of a cluster, the same list on each, as in 1=a:7700,2=b:7700,3=c:7700";
    "join" HostPort: server.cluster.join, "Where a node of the cluster is that this one joins at its first start";
    "advertise" HostPort: server.cluster.advertise, "Where other nodes and clients reach this one; empty: its entry in peers, else where gRPC is";
    "log-entries-kept" Count: server.cluster.log_entries_kept, "Entries that the log keeps for nodes that are behind, of those that files hold; who lacks more is sent files";
    "snapshot-rate" Bytes: server.cluster.snapshot_bytes_per_second, "Bytes of files that are sent to one node in a second";
    "disk-stall-max" Time: server.cluster.disk_stall_max, "A leader whose disk has synced nothing for so long while something waits hands over";
    "disk-hang-max" Time: server.cluster.disk_hang_max, "A node whose disk has synced nothing for so long while something waits ends";

    "connections-max" Count: server.limits.connections_max, "Connections at one time, on all ports";
    "handshake-time-max" Time: server.limits.handshake_time_max, "A connection that has not said who and what it is by then is closed";
    "streams-per-connection-max" Count: server.limits.streams_per_connection_max, "Calls at one time on one connection";
    "message-bytes-max" Bytes: server.limits.message_bytes_max, "Bytes of one message or body";
    "request-stall-max" Time: server.limits.request_stall_max, "A message that has begun must go on within this time";
    "appends-in-flight-max" Count: server.limits.appends_in_flight_max, "Batches of one stream that wait for their receipt";
    "append-wait-max" Time: server.limits.append_wait_max, "How long a batch that the database has no room for is held before it is refused";
    "subscriptions-max" Count: server.limits.subscriptions_max, "Subscriptions at one time";
    "subscriber-bytes-max" Bytes: server.limits.subscriber_bytes_max, "Bytes that may be on their way to one subscriber";
    "subscriber-stall-max" Time: server.limits.subscriber_stall_max, "A subscriber that takes nothing for so long is ended";
    "queries-max" Count: server.limits.queries_max, "Queries at one time; others wait";
    "query-memory-max" Bytes: server.limits.query_memory_max, "Memory of all queries together";
    "query-memory-each-max" Bytes: server.limits.query_memory_each_max, "Memory of one query";
    "query-time-max" Time: server.limits.query_time_max, "The time that one query may take, results included";
    "shutdown-time-max" Time: server.limits.shutdown_time_max, "The time that calls get to end when the server does";

    "memtable-bytes" Bytes: server.database.memtable_bytes, "A MemTable with so many bytes is flushed";
    "pinned-bytes-max" Bytes: server.database.pinned_bytes_max, "Bytes of flushed MemTables that readers may hold; past it the oldest reads end";
    "frozen-memtables-max" Count: server.database.frozen_memtables_max, "MemTables that may wait to be flushed; with more, appends wait";
    "recovery-target" Time: server.database.recovery_target, "A restart after a crash shall have replayed the log within this time";
    "retention" Retention: server.database.retention, "How much of each table is kept, as in trades=90d,*=1y; empty: all";
    "journal-retention" OrOff<Time>: server.database.journal_retention, "How long the journal is kept behind the log";
    "journal-bytes-max" OrOff<Bytes>: server.database.journal_bytes_max, "With more bytes the oldest files of the journal go before their time";
    "tail-bytes-max" Bytes: server.database.tail_bytes_max, "Bytes of the newest batches that are kept in memory for those who follow the journal";
    "producer-idle-max" OrOff<Time>: server.database.producer_idle_max, "A producer that was not heard of for so long expires";
    "max-future" OrOff<Time>: server.database.max_future, "Rows whose time is further ahead of the clock are refused";
    "symbols-max" Count: server.database.symbols_max, "Symbols that there may be";
    "producers-max" Count: server.database.producers_max, "Producers that there may be";
    "wal-segment-bytes" Bytes: server.database.wal.segment_bytes, "The length of a new segment of the log";
    "wal-unsynced-bytes-max" Bytes: server.database.wal.unsynced_bytes_max, "Bytes that wait for a sync; past it appends wait";
    "wal-group-bytes-max" Bytes: server.database.wal.group_bytes_max, "The most bytes that one sync covers";
    "wal-linger-max" Time: server.database.wal.linger_max, "How long a group waits for as many entries as the last one had";
    "wal-spare-segments-max" Count: server.database.wal.spare_segments_max, "Prepared segments that are kept";
    "compaction-bytes-per-second" OrOff<Bytes>: server.database.compaction_bytes_per_second, "Bytes that merging may write in a second; off: as fast as it can";
    "compaction-file-bytes" Bytes: server.database.compaction.file_bytes, "A merged file ends with about so many bytes";
    "compaction-fan-in" Count: server.database.compaction.fan_in, "Files of about one size that are merged together";
    "compaction-late-ratio" Count: server.database.compaction.late_ratio, "Late rows are merged into what has at most this many times their bytes";
    "partition-bytes-min" Bytes: server.database.compaction.partition_bytes_min, "A day with fewer bytes shares a partition with its neighbours";
    "partition-bytes-max" Bytes: server.database.compaction.partition_bytes_max, "A partition with more bytes is divided, if it is longer than a day";
    "late-allowance" OrOff<Time>: server.database.compaction.late_allowance, "A partition becomes history when nothing has come for it for so long; off: only when asked";
    "scrub-every" OrOff<Time>: server.database.scrub.every, "How long after one pass of the scrubber the next begins; off: none does";
    "scrub-bytes-per-second" Bytes: server.database.scrub.bytes_per_second, "Bytes that the scrubber reads in a second";
    "table-block-bytes" Bytes: server.database.table.block_bytes, "A block of an SSTable ends before it would have more bytes";
    "table-bloom-bits-per-key" Count: server.database.table.bloom_bits_per_key, "Bits of a Bloom filter for each different id";
    "history-row-group-rows" Count: server.database.history.row_group_rows, "Rows of a row group of a history file";
    "history-row-group-bytes" Bytes: server.database.history.row_group_bytes, "A row group of a history file ends when its rows have so many bytes";
    "history-zstd-level" Count: server.database.history.zstd_level, "The level of compression of history files";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_read_as_itself() {
        for setting in SETTINGS {
            let shown = (setting.show)(&Settings::default());
            let mut settings = Settings::default();
            (setting.set)(&mut settings, &shown).unwrap_or_else(|error| panic!("{}: {error}", setting.flag));
            assert_eq!((setting.show)(&settings), shown, "{}", setting.flag);
        }
    }

    #[test]
    fn no_two_settings_share_a_name_or_a_place() {
        let mut flags: Vec<_> = SETTINGS.iter().map(|setting| setting.flag).collect();
        flags.sort_unstable();
        assert!(flags.windows(2).all(|pair| pair[0] != pair[1]), "{flags:?}");
        for (place, setting) in SETTINGS.iter().enumerate() {
            let mut settings = Settings::default();
            let shown = (setting.show)(&settings);
            let other =
                ["true", "off", "7", "7s", "7MiB", "7B", "127.0.0.1:7", "buffered", "debug", "x=7d", "7=a:7"];
            let changed = other
                .into_iter()
                .any(|text| (setting.set)(&mut settings, text).is_ok() && (setting.show)(&settings) != shown);
            assert!(changed, "{}", setting.flag);
            for (other_place, other) in SETTINGS.iter().enumerate() {
                let is_default = (other.show)(&settings) == (other.show)(&Settings::default());
                assert_eq!(is_default, place != other_place, "{} and {}", setting.flag, other.flag);
            }
        }
    }

    #[test]
    fn a_node_founds_a_cluster_with_its_peers_or_joins_one() {
        let check = |given: &[(&str, &str)]| {
            let mut settings = Settings::default();
            for (flag, text) in given {
                let setting = SETTINGS.iter().find(|setting| setting.flag == *flag).unwrap();
                (setting.set)(&mut settings, text).unwrap();
            }
            settings.server_options().map(|options| options.cluster.node_id)
        };
        let (peers, join) = (("peers", "1=a:7,2=b:7"), ("join", "a:7"));
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&[("node-id", "3")]), Ok(Some(3)));
        assert_eq!(check(&[("node-id", "2"), peers]), Ok(Some(2)));
        assert_eq!(check(&[("node-id", "3"), join]), Ok(Some(3)));
        for (given, said) in [
            (vec![("node-id", "1"), peers, join], "founds a cluster or joins one"),
            (vec![peers], "which of them"),
            (vec![("node-id", "3"), peers], "no such node"),
            (vec![join], "an id of its own"),
        ] {
            let refused = check(&given).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn half_a_pair_of_certificate_and_key_is_refused() {
        let path = || Some(PathBuf::from("x"));
        let tls = |settings: Settings| settings.server_options().map(|options| options.tls.is_some());
        assert_eq!(tls(Settings::default()), Ok(false));
        let pair = Settings { tls_cert: path(), tls_key: path(), ..Settings::default() };
        assert_eq!(tls(pair), Ok(true));
        for half in [
            Settings { tls_cert: path(), ..Settings::default() },
            Settings { tls_key: path(), ..Settings::default() },
            Settings { tls_ca: path(), ..Settings::default() },
            Settings { tls_crl: path(), ..Settings::default() },
        ] {
            assert!(tls(half).is_err());
        }
    }
}
