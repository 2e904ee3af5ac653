//! The server is killed with `kill -9` and started again, many times, while clients write and follow.
//!
//! Afterwards every receipt holds, nothing is there twice, sequences are dense, each producer's rows are in its order, and every
//! subscriber saw every row that it asked for once and in order, across all restarts.
//!
//! The short form is part of the tests. The long one, 64 clients and 50 kills:
//!
//! ```sh
//! TAPEBOOK_CRASH_CLIENTS=64 TAPEBOOK_CRASH_KILLS=50 cargo test -p tapebook-server --test all crash:: -- --nocapture
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tapebook::{Db, Id, Options, Record, Trade};
use tapebook_client::{Client, ClientOptions, ProducerOptions, Start, SubscribeOptions};
use tapebook_market::random::Random;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::support::{self, Setup, trade};

const DATA: &str = "TAPEBOOK_TEST_SERVE_DATA";
const ADDRESS: &str = "TAPEBOOK_TEST_SERVE_ADDRESS";

fn options() -> Options {
    // Small MemTables, so that flushes, the archive and replays are killed, too.
    Options {
        memtable_bytes: 1 << 20,
        journal_retention: Some(Duration::from_secs(3_600)),
        ..support::options()
    }
}

/// Not a test: where the variables are set, this process is the server that is killed.
#[test]
fn serve_where_told() {
    let (Ok(data), Ok(address)) = (std::env::var(DATA), std::env::var(ADDRESS)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        let node = support::node(Path::new(&data), Setup { options: options(), ..Setup::default() });
        support::serve(node, listener).await;
    });
}

/// The process that is killed, and what it needs to be started again.
struct Victim {
    data: PathBuf,
    address: SocketAddr,
    process: Child,
}

impl Victim {
    fn start(data: &Path, address: SocketAddr) -> Self {
        Self { data: data.to_owned(), address, process: Self::spawn(data, address) }
    }

    fn spawn(data: &Path, address: SocketAddr) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::crash::serve_where_told", "--nocapture"])
            .env(DATA, data)
            .env(ADDRESS, address.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::spawn(&self.data, self.address);
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_holds_and_every_row_is_there_once_however_often_the_server_is_killed() {
    let (clients, kills) = (number_of("TAPEBOOK_CRASH_CLIENTS", 8), number_of("TAPEBOOK_CRASH_KILLS", 5));
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut victim = Victim::start(dir.path(), address);

    let stop = Arc::new(AtomicBool::new(false));
    let receipts = Arc::new(AtomicU64::new(0));
    let writers: Vec<JoinHandle<Vec<u64>>> = (0..clients)
        .map(|n| tokio::spawn(write(address, n, Arc::clone(&stop), Arc::clone(&receipts))))
        .collect();
    let (end, ended) = tokio::sync::watch::channel(u64::MAX);
    let all = tokio::spawn(follow(address, None, ended.clone()));
    let one = tokio::spawn(follow(address, Some("C1"), ended));

    let mut random = Random::new(20_261_129);
    for _ in 0..kills {
        // Something was written since the last restart, and then it is any moment.
        let before = receipts.load(Ordering::Relaxed);
        support::until("receipts", || receipts.load(Ordering::Relaxed) > before + clients).await;
        tokio::time::sleep(Duration::from_millis(random.below(200))).await;
        victim.kill();
        tokio::time::sleep(Duration::from_millis(random.below(50))).await;
        victim.restart();
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    let last_seq = written.iter().flatten().copied().max().unwrap();
    end.send(last_seq).unwrap();
    let (all, one) = (all.await.unwrap(), one.await.unwrap());
    victim.kill();

    let total: usize = written.iter().map(Vec::len).sum();
    eprintln!("{clients} clients, {kills} kills: {total} rows acknowledged, {} followed", all.len());
    assert_eq!(all, journal_of(dir.path(), last_seq), "the follower saw what is stored");
    for (seq, row) in (1..).zip(&all) {
        assert_eq!(row.seq, seq, "sequences are dense, each comes once and in order");
    }
    assert_eq!(total, all.len(), "a row for each receipt and none beside");
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for row in &all {
        let count = counts.entry(&row.symbol).or_default();
        *count += 1;
        assert_eq!(row.number, *count, "{}: its rows stand in its order, each once", row.symbol);
        let client: usize = row.symbol[1..].parse().unwrap();
        assert_eq!(written[client][row.number as usize - 1], row.seq, "the receipt says where it is");
    }
    let of_one: Vec<Row> = all.iter().filter(|row| row.symbol == "C1").cloned().collect();
    assert_eq!(one, of_one, "the other follower saw its symbol's rows");
}

/// What tells one row from another.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Row {
    seq: u64,
    symbol: String,
    number: u64,
}

impl Row {
    fn of(raw: tapebook::RawRecord<'_>) -> Self {
        let trade = Record::<Trade>::new(raw).unwrap();
        let Some(Id::Number(number)) = trade.trade_id() else { panic!("{trade:?}") };
        Self { seq: trade.seq(), symbol: trade.symbol().to_owned(), number }
    }
}

async fn connect(address: SocketAddr) -> Client {
    let url = format!("grpc://{address}");
    let options = ClientOptions { retry_for: support::PATIENCE, ..ClientOptions::from_url(&url).unwrap() };
    Client::connect(options).await.unwrap()
}

/// Writes numbered rows until told to stop; the sequence of each.
async fn write(
    address: SocketAddr,
    client: u64,
    stop: Arc<AtomicBool>,
    receipts: Arc<AtomicU64>,
) -> Vec<u64> {
    let symbol = format!("C{client}");
    let options = ProducerOptions { give_up_after: support::PATIENCE, ..ProducerOptions::new(client + 1) };
    let producer = connect(address).await.producer(options).await.unwrap();
    let mut seqs = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut rows = Vec::new();
        // A few at a time; not all batches are alike.
        for _ in 0..1 + (number + client) % 13 {
            number += 1;
            rows.push(producer.push(trade(&symbol, number)).await.unwrap());
        }
        for row in rows {
            seqs.push(row.await.unwrap().seq);
            receipts.fetch_add(1, Ordering::Relaxed);
        }
    }
    seqs
}

/// Everything that comes up to the end, once that is known.
async fn follow(
    address: SocketAddr,
    symbol: Option<&'static str>,
    mut end: tokio::sync::watch::Receiver<u64>,
) -> Vec<Row> {
    let mut options = SubscribeOptions::new(Start::Seq(1)).table("trades");
    options.symbols.extend(symbol.map(str::to_owned));
    let mut journal = connect(address).await.subscribe(options);
    let mut rows = Vec::new();
    loop {
        let at_end = |journal: &tapebook_client::Subscription, end: u64| {
            journal.cursor().is_some_and(|cursor| cursor.seq > end)
        };
        if at_end(&journal, *end.borrow()) {
            return rows;
        }
        tokio::select! {
            event = journal.next() => {
                if let tapebook_client::Event::Batch(batch) = event.unwrap() {
                    rows.extend(batch.records().map(|(_, row)| Row::of(row)));
                }
            }
            changed = end.changed() => changed.unwrap(),
        }
    }
}

/// The rows that are stored.
fn journal_of(data: &Path, last_seq: u64) -> Vec<Row> {
    let db = Db::open_with(data, options()).unwrap();
    assert_eq!(db.snapshot().visible_seq(), last_seq);
    let mut rows = Vec::new();
    for found in db.journal(1).unwrap() {
        let found = found.unwrap();
        let stored = found.batch.rows();
        let places =
            (0..found.batch.len()).filter_map(|place| stored.get(place, found.first_seq + place as u64));
        rows.extend(places.map(|(_, row)| Row::of(row)));
    }
    db.close().unwrap();
    rows
}
