//! `tapebook backup` to a bucket, against a real server that checks signatures (moto, see `scripts/s3-server/`).

mod proxy;
mod server;

use std::process::Stdio;

use self::proxy::{Proxy, Then};
use self::server::{Bucket, Key, server};
use crate::support::{Place, Ran};

/// Rows for an SSTable that takes several parts.
const MANY: usize = 160_000;

fn many_trades() -> String {
    let row = |n: usize| {
        let (ts, price, id) =
            (1_723_161_600_000_000_000 + n * 1_000_003, 61_800 + n % 977, n * 7919 % 1_000_003);
        format!("{ts},B.BTC,{price}.{:02},{}.5,{}\n", n % 89, n % 13, 10_000_000_000 + id)
    };
    ["timestamp,symbol,px,qty,trade_id\n".to_owned()].into_iter().chain((0..MANY).map(row)).collect()
}

/// The value of a field that `inspect backup` shows, of the newest backup.
fn field(shown: &str, name: &str) -> String {
    let start = format!("  {name}: ");
    shown
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(&start))
        .unwrap_or_else(|| panic!("{shown}"))
        .to_owned()
}

impl Bucket {
    fn run(&self, place: &Place, args: &[&str]) -> Ran {
        place.run_with(args, &self.variables())
    }

    fn ok(&self, place: &Place, args: &[&str]) -> String {
        let ran = self.run(place, args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// The one line of an error, which tells no secret.
    fn fails(&self, place: &Place, args: &[&str]) -> String {
        let ran = self.run(place, args);
        assert_eq!((ran.code, ran.err.trim_end().lines().count()), (1, 1), "{args:?}: {ran:?}");
        let told = format!("{}{}", ran.out, ran.err);
        for secret in [&self.key.secret, &server().writer.secret] {
            assert!(!told.contains(secret.as_str()), "{told}");
        }
        ran.err
    }

    fn sound(&self, place: &Place) {
        let found = self.ok(place, &["backup", "verify", &self.url]);
        assert!(found.contains("0 problems"), "{found}");
    }
}

#[test]
fn backups_in_a_bucket_are_made_listed_verified_and_restored() {
    let (place, bucket) = (Place::with_trades(), server().bucket("full"));
    let url = bucket.url.as_str();
    let ran = bucket.run(&place, &["backup", "create", url]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains(&format!("backup 1 in {url}: seq 1..3; copied")), "{ran:?}");
    // What the source was in between is known from backups elsewhere.
    place.ok(&["import", "trades", "trades.csv", "--again"]);
    place.ok(&["backup", "create", "between"]);
    place.ok(&["import", "trades", "trades.csv", "--again"]);
    let ran = bucket.run(&place, &["backup", "create", url]);
    assert!(ran.err.contains("seq 1..9") && !ran.err.contains(" 0 there already"), "{ran:?}");
    let again = bucket.run(&place, &["backup", "create", url]);
    assert!(
        again.err.contains("backup 3") && again.err.contains("copied 5 files"),
        "state, manifest, CURRENT, log and mark: {again:?}"
    );

    let listed = bucket.ok(&place, &["backup", "list", url]);
    assert!(listed.lines().count() == 3 && listed.lines().nth(1).unwrap().contains("seq 1..9"), "{listed}");
    bucket.sound(&place);
    let between = place.ok(&["inspect", "backup", "between"]);
    let newest = bucket.ok(&place, &["inspect", "backup", url]);
    assert!(newest.contains(&format!("{url}/backups/000003.backup: backup 3")), "{newest}");
    assert!(newest.contains("archive/") && newest.contains("objects/tables/"), "{newest}");

    let time = field(&between, "commit clock");
    for (data, bound, shown) in [
        ("latest", &[][..], &newest),
        ("seq", &["--to-seq", "8"], &between),
        ("time", &["--to", &time], &between),
    ] {
        let out = bucket.ok(&place, &[&["backup", "restore", url, "--data", data], bound].concat());
        let last = field(shown, "last seq");
        assert!(out.starts_with(&format!("restored seq 1..{last}, committed ")), "{data}: {out}");
        place.ok(&["backup", "create", &format!("of-{data}"), "--data", data]);
        let restored = place.ok(&["inspect", "backup", &format!("of-{data}")]);
        assert_eq!(field(&restored, "rolling hash"), field(shown, "rolling hash"), "{data}");
        let out = place.ok(&["verify", "--data", data]);
        assert!(out.contains("0 problems"), "{data}: {out}");
        assert_ne!(field(&restored, "epoch"), field(shown, "epoch"));
    }
}

#[test]
fn what_is_missing_cut_or_flipped_is_found_by_its_key() {
    let (place, bucket) = (Place::with_trades(), server().bucket("damage"));
    let url = bucket.url.as_str();
    bucket.ok(&place, &["backup", "create", url]);
    for _ in 0..2 {
        place.ok(&["import", "trades", "trades.csv", "--again"]);
    }
    bucket.ok(&place, &["backup", "create", url]);
    bucket.sound(&place);
    for (round, folder) in ["objects/tables", "objects/state", "objects/archive"].into_iter().enumerate() {
        let key = bucket.keys(folder).pop().unwrap();
        let whole = bucket.get(&key);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let damages = [None, Some(whole[..whole.len() - 1].to_vec()), Some(flipped)];
        for (kind, damage) in damages.into_iter().enumerate() {
            match damage {
                None => bucket.delete(&key),
                Some(bytes) => bucket.put(&key, bytes),
            }
            let ran = bucket.run(&place, &["backup", "verify", url]);
            assert!(ran.code == 1 && ran.out.contains(&key), "{key}: {ran:?}");
            let data = format!("damaged-{round}-{kind}");
            let bound: &[&str] = if folder == "objects/archive" { &["--to-seq", "6"] } else { &[] };
            let args = [&["backup", "restore", url, "--data", &data], bound].concat();
            let line = bucket.fails(&place, &args);
            assert!(line.contains(&key) && line.contains("cannot be restored"), "{line}");
            assert!(!place.path(&format!("{data}/IDENTITY")).exists());
            bucket.put(&key, whole.clone());
        }
    }
    bucket.sound(&place);
    // The next backup sends again what is missing or has another length.
    let keys = bucket.keys("objects/tables");
    bucket.delete(&keys[0]);
    let whole = bucket.get(&keys[1]);
    bucket.put(&keys[1], whole[..10].to_vec());
    bucket.ok(&place, &["backup", "create", url]);
    bucket.sound(&place);
}

#[test]
fn a_backup_that_is_cut_off_leaves_the_earlier_ones_and_the_next_one_succeeds() {
    let (place, bucket) = (Place::with_trades(), server().bucket("cut"));
    let url = bucket.url.as_str();
    bucket.ok(&place, &["backup", "create", url]);
    place.write("many.csv", &many_trades());
    place.ok(&["import", "trades", "many.csv"]);

    // The network goes away in the middle of a part.
    let proxy = Proxy::start(&server().endpoint, 5 << 20, Then::Cut);
    let line = bucket.through(&proxy).fails(&place, &["backup", "create", url]);
    assert!(line.contains("cannot write") && line.contains("objects/tables/"), "{line}");
    assert!(line.contains("cannot reach") || line.contains("did not answer"), "{line}");
    drop(proxy);
    let whole = |backups: &str| {
        let found = bucket.ok(&place, &["backup", "verify", url]);
        assert!(found.contains(backups) && found.contains("0 problems"), "{found}");
    };
    whole("1 backup,");

    // The process dies while the store takes its time.
    let proxy = Proxy::start(&server().endpoint, 5 << 20, Then::Stall);
    let mut command = place.command(&["backup", "create", url]);
    let command =
        command.envs(bucket.through(&proxy).variables()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    proxy.wait_for_the_end();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(proxy);
    whole("1 backup,");
    let out = bucket.ok(&place, &["backup", "restore", url, "--data", "earlier"]);
    assert!(out.starts_with("restored seq 1..3,"), "{out}");

    let ran = bucket.run(&place, &["backup", "create", url]);
    assert!(ran.err.contains("backup 2 in") && ran.err.contains("MiB"), "{ran:?}");
    whole("2 backups,");
    let out = bucket.ok(&place, &["backup", "restore", url, "--data", "latest"]);
    assert!(out.starts_with(&format!("restored seq 1..{},", MANY + 3)), "{out}");
    let counted = place.ok(&["sql", "--format", "csv", "--data", "latest", "SELECT count(*) FROM trades"]);
    assert_eq!(counted.lines().nth(1).unwrap(), (MANY + 3).to_string());
}

#[test]
fn what_a_store_refuses_is_said_with_what_to_do() {
    let (place, bucket) = (Place::with_trades(), server().bucket("refused"));
    let url = bucket.url.clone();
    bucket.ok(&place, &["backup", "create", &url]);
    let create = ["backup", "create", url.as_str()];
    let told = |bucket: &Bucket, args: &[&str], expected: &[&str]| {
        let line = bucket.fails(&place, args);
        assert!(expected.iter().all(|part| line.contains(part)), "{args:?}: {line}");
    };

    let nowhere = "s3://no-such-bucket/x";
    for action in ["create", "list", "verify"] {
        told(&bucket, &["backup", action, nowhere], &[nowhere, "bucket no-such-bucket does not exist"]);
    }
    let mistyped = format!("{url}x");
    told(&bucket, &["backup", "list", &mistyped], &[&mistyped, "there is no backup", "prefix"]);

    let unknown = Key { id: "AKIAUNKNOWN".to_owned(), ..bucket.key.clone() };
    told(&bucket.with_key(unknown), &create, &[&url, "AWS_ACCESS_KEY_ID"]);
    let wrong = Key { secret: "not-the-secret-of-this-key".to_owned(), ..bucket.key.clone() };
    told(&bucket.with_key(wrong), &create, &[&url, "AWS_SECRET_ACCESS_KEY"]);
    let reader = bucket.with_key(server().reader.clone());
    assert_eq!(reader.ok(&place, &["backup", "list", &url]).lines().count(), 1);
    reader.ok(&place, &["backup", "restore", &url, "--data", "by-the-reader"]);
    told(&reader, &create, &[&url, "refuses access", "s3:PutObject"]);

    let half = Bucket { dropped: vec!["AWS_SECRET_ACCESS_KEY"], ..bucket.clone() };
    told(&half, &create, &["AWS_SECRET_ACCESS_KEY is not set"]);
    let unclear = Bucket { endpoint: "localhost:9000".to_owned(), ..bucket.clone() };
    told(&unclear, &create, &["AWS_ENDPOINT_URL", "http://"]);
    let closed = Bucket { endpoint: "http://127.0.0.1:1".to_owned(), ..bucket.clone() };
    told(&closed, &create, &["cannot reach http://127.0.0.1:1", "AWS_ENDPOINT_URL"]);
    let keyless = Bucket { dropped: vec!["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], ..bucket.clone() };
    told(&keyless, &create, &["no credentials", "AWS_ACCESS_KEY_ID"]);
    told(&bucket, &["backup", "create", "gs://backups/x"], &["gs://backups/x", "s3://"]);
    bucket.sound(&place);
}
