//! Kinds of values: how each is read from text and shown again.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use tapebook::{Durability, RetentionOptions};
use tapebook_server::Authentication;

use crate::{host_port, retention};

/// What the word of a value in the help is.
pub(super) trait Named {
    const VALUE: &'static str;
}

/// Reads and shows values of one type. What is shown is read as the same value.
pub(super) trait Kind<T>: Named {
    fn parse(text: &str) -> Result<T, String>;
    fn show(value: &T) -> String;
}

/// A number of bytes, with a binary unit.
pub(super) struct Bytes;
/// A number.
pub(super) struct Count;
/// A length of time, with a unit.
pub(super) struct Time;
/// `HOST:PORT`, or `off`.
pub(super) struct Address;
/// `HOST:PORT` as others are told it; empty: none.
pub(super) struct HostPort;
/// The id of a node; empty: none.
pub(super) struct NodeId;
/// Nodes with their ids; empty: none.
pub(super) struct Peers;
/// The path of a file; empty: none.
pub(super) struct FilePath;
/// The path of a directory.
pub(super) struct Directory;
/// Names with commas between them; empty: none.
pub(super) struct Names;
/// `true` or `false`.
pub(super) struct Switch;
/// How much of each table is kept.
pub(super) struct Retention;
/// Another kind, or `off`.
pub(super) struct OrOff<K>(std::marker::PhantomData<K>);
/// When a writer is answered.
pub(super) struct WhenAnswered;
/// Whether callers must say who they are.
pub(super) struct WhoMustAuthenticate;
/// What is logged.
pub(super) struct Level;

const OFF: &str = "off";
const BYTE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIME_UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Named for Bytes {
    const VALUE: &'static str = "BYTES";
}

impl<T: TryFrom<u64> + Copy + TryInto<u64>> Kind<T> for Bytes {
    fn parse(text: &str) -> Result<T, String> {
        let bytes = with_unit(text, &BYTE_UNITS, Some("B"))
            .ok_or_else(|| "expected bytes, such as 64MiB (units: B, KiB, MiB, GiB)".to_owned())?;
        T::try_from(bytes).map_err(|_| "the number is too large".to_owned())
    }

    fn show(value: &T) -> String {
        let bytes = (*value).try_into().unwrap_or(u64::MAX);
        shown_with_unit(bytes, &BYTE_UNITS)
    }
}

impl Named for Count {
    const VALUE: &'static str = "N";
}

impl<T: std::str::FromStr + ToString> Kind<T> for Count {
    fn parse(text: &str) -> Result<T, String> {
        text.parse().map_err(|_| "expected a number that is not too large".to_owned())
    }

    fn show(value: &T) -> String {
        value.to_string()
    }
}

impl Named for Names {
    const VALUE: &'static str = "NAME,…";
}

impl Kind<Vec<String>> for Names {
    fn parse(text: &str) -> Result<Vec<String>, String> {
        Ok(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    fn show(value: &Vec<String>) -> String {
        value.join(",")
    }
}

impl Named for Time {
    const VALUE: &'static str = "TIME";
}

impl Kind<Duration> for Time {
    fn parse(text: &str) -> Result<Duration, String> {
        with_unit(text, &TIME_UNITS, None).map(Duration::from_nanos).ok_or_else(|| {
            "expected a time with its unit, such as 5s (units: us, ms, s, min, h, d)".to_owned()
        })
    }

    fn show(value: &Duration) -> String {
        shown_with_unit(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX), &TIME_UNITS)
    }
}

impl<K: Named> Named for OrOff<K> {
    const VALUE: &'static str = K::VALUE;
}

impl<T, K: Kind<T>> Kind<Option<T>> for OrOff<K> {
    fn parse(text: &str) -> Result<Option<T>, String> {
        match text {
            OFF => Ok(None),
            text => K::parse(text).map(Some).map_err(|expected| format!("{expected}, or off")),
        }
    }

    fn show(value: &Option<T>) -> String {
        value.as_ref().map_or(OFF.to_owned(), K::show)
    }
}

impl Named for Address {
    const VALUE: &'static str = "HOST:PORT";
}

impl Kind<SocketAddr> for Address {
    fn parse(text: &str) -> Result<SocketAddr, String> {
        let mut found = text.to_socket_addrs().map_err(|error| format!("expected HOST:PORT ({error})"))?;
        found.next().ok_or_else(|| "the host has no address".to_owned())
    }

    fn show(value: &SocketAddr) -> String {
        value.to_string()
    }
}

impl Named for HostPort {
    const VALUE: &'static str = "HOST:PORT";
}

impl Kind<Option<String>> for HostPort {
    fn parse(text: &str) -> Result<Option<String>, String> {
        if text.is_empty() { Ok(None) } else { host_port::parse(text).map(Some) }
    }

    fn show(value: &Option<String>) -> String {
        value.clone().unwrap_or_default()
    }
}

impl Named for NodeId {
    const VALUE: &'static str = "N";
}

impl Kind<Option<u64>> for NodeId {
    fn parse(text: &str) -> Result<Option<u64>, String> {
        if text.is_empty() { Ok(None) } else { node_id(text).map(Some) }
    }

    fn show(value: &Option<u64>) -> String {
        value.map(|id| id.to_string()).unwrap_or_default()
    }
}

fn node_id(text: &str) -> Result<u64, String> {
    let id = text.parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| "expected the id of a node, a number from 1".to_owned())
}

impl Named for Peers {
    const VALUE: &'static str = "N=HOST:PORT,…";
}

impl Kind<Vec<(u64, String)>> for Peers {
    fn parse(text: &str) -> Result<Vec<(u64, String)>, String> {
        let mut peers: Vec<(u64, String)> = Vec::new();
        for peer in text.split(',').map(str::trim).filter(|peer| !peer.is_empty()) {
            let (id, address) = peer.split_once('=').ok_or_else(|| {
                format!("expected nodes with their addresses, such as 1=a:7700,2=b:7700,3=c:7700 ({peer:?} is none)")
            })?;
            let told = |expected| format!("{peer:?}: {expected}");
            let peer = (node_id(id).map_err(told)?, host_port::parse(address).map_err(told)?);
            if peers.iter().any(|(id, address)| *id == peer.0 || *address == peer.1) {
                return Err(format!(
                    "expected each id and each address once ({}={} is not new)",
                    peer.0, peer.1
                ));
            }
            peers.push(peer);
        }
        Ok(peers)
    }

    fn show(value: &Vec<(u64, String)>) -> String {
        let peers: Vec<String> = value.iter().map(|(id, address)| format!("{id}={address}")).collect();
        peers.join(",")
    }
}

impl Named for FilePath {
    const VALUE: &'static str = "FILE";
}

impl Kind<Option<PathBuf>> for FilePath {
    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        Ok(Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty()))
    }

    fn show(value: &Option<PathBuf>) -> String {
        value.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

impl Named for Directory {
    const VALUE: &'static str = "DIR";
}

impl Kind<PathBuf> for Directory {
    fn parse(text: &str) -> Result<PathBuf, String> {
        match text {
            "" => Err("expected a directory".to_owned()),
            text => Ok(PathBuf::from(text)),
        }
    }

    fn show(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

impl Named for Retention {
    const VALUE: &'static str = "TEXT";
}

impl Kind<RetentionOptions> for Retention {
    fn parse(text: &str) -> Result<RetentionOptions, String> {
        retention::parse(text)
    }

    fn show(value: &RetentionOptions) -> String {
        retention::show(value)
    }
}

impl Named for Switch {
    const VALUE: &'static str = "true|false";
}

impl Kind<bool> for Switch {
    fn parse(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "expected true or false".to_owned())
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// A kind of a few words.
macro_rules! words {
    ($kind:ty, $type:ty, $value:literal: $($word:literal => $meaning:expr),+) => {
        impl Named for $kind {
            const VALUE: &'static str = $value;
        }

        impl Kind<$type> for $kind {
            fn parse(text: &str) -> Result<$type, String> {
                $(if text == $word {
                    return Ok($meaning);
                })+
                Err(concat!("expected one of ", $value).to_owned())
            }

            fn show(value: &$type) -> String {
                $(if *value == $meaning {
                    return $word.to_owned();
                })+
                String::new()
            }
        }
    };
}

words!(WhenAnswered, Durability, "synced|buffered": "synced" => Durability::Synced, "buffered" => Durability::Buffered);
words!(WhoMustAuthenticate, Authentication, "with-tls|required|off":
    "with-tls" => Authentication::WithTls, "required" => Authentication::Required, "off" => Authentication::Off);
words!(Level, LevelFilter, "error|warn|info|debug":
    "error" => LevelFilter::Error, "warn" => LevelFilter::Warn, "info" => LevelFilter::Info, "debug" => LevelFilter::Debug);

/// A whole number and a unit, with or without spaces between.
fn with_unit(text: &str, units: &[(&str, u64)], default: Option<&str>) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim() {
        "" => default?,
        unit => unit,
    };
    let (_, size) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

/// In the largest unit of which it is a whole number.
fn shown_with_unit(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, size): &&(&str, u64)| number >= *size && number.is_multiple_of(*size);
    let smallest = &units[units.len() - 1];
    let (name, size) = units.iter().find(fits).unwrap_or(smallest);
    format!("{}{name}", number / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("1024 KiB", 1 << 20, "1MiB"),
            ("100", 100, "100B"),
            ("0", 0, "0B"),
            ("1536KiB", 1536 << 10, "1536KiB"),
        ] {
            assert_eq!(<Bytes as Kind<u64>>::parse(text), Ok(bytes), "{text}");
            assert_eq!(<Bytes as Kind<u64>>::show(&bytes), shown);
        }
        for (text, micros, shown) in
            [("60us", 60, "60us"), ("5 min", 300_000_000, "5min"), ("1500ms", 1_500_000, "1500ms")]
        {
            assert_eq!(Time::parse(text), Ok(Duration::from_micros(micros)), "{text}");
            assert_eq!(Time::show(&Duration::from_micros(micros)), shown);
        }
    }

    #[test]
    fn nodes_are_read_and_shown() {
        let peers = Peers::parse("1=a.example:7700, 2=[::1]:7700").unwrap();
        assert_eq!(peers, [(1, "a.example:7700".to_owned()), (2, "[::1]:7700".to_owned())]);
        assert_eq!(Peers::show(&peers), "1=a.example:7700,2=[::1]:7700");
        assert_eq!((NodeId::parse("7"), NodeId::parse("")), (Ok(Some(7)), Ok(None)));
        assert_eq!(HostPort::parse("a:1"), Ok(Some("a:1".to_owned())));
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        for text in ["", "MiB", "-1", "1.5MiB", "1MB", "99999999999GiB"] {
            assert!(<Bytes as Kind<u64>>::parse(text).is_err(), "{text}");
        }
        assert!(<Bytes as Kind<u32>>::parse("4GiB").is_err());
        for text in ["5", "5 minutes", "-5s", "s"] {
            assert!(Time::parse(text).unwrap_err().contains("5s"), "{text}");
        }
        assert!(<OrOff<Time> as Kind<_>>::parse("never").unwrap_err().contains("or off"));
        assert_eq!(<OrOff<Time> as Kind<_>>::parse("off"), Ok(None));
        for (text, expected) in [
            ("a:7700", "1=a:7700"),
            ("0=a:7700", "from 1"),
            ("1=a", "HOST:PORT"),
            ("1=a:1,1=b:1", "each id"),
            ("1=a:1,2=a:1", "each address"),
        ] {
            assert!(Peers::parse(text).unwrap_err().contains(expected), "{text}");
        }
        for text in ["0", "-1", "one", "18446744073709551616"] {
            assert!(NodeId::parse(text).unwrap_err().contains("from 1"), "{text}");
        }
        assert!(HostPort::parse("7700").unwrap_err().contains("HOST:PORT"));
        assert!(WhenAnswered::parse("later").unwrap_err().contains("synced|buffered"));
    }
}
