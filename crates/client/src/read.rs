//! Rows by key, and the rows of one series.

use tapebook_proto::v1::{GetRequest, ScanRequest, ScanResponse};
use tapebook_record::{EncodedBatch, RawRecord, SharedBytes};
use tonic::Streaming;

use crate::ClientError;
use crate::connect::Connections;

/// A row, in a batch of its own.
#[derive(Clone, Debug)]
pub struct FoundRow {
    batch: EncodedBatch,
    seq: u64,
    as_of_seq: u64,
}

impl FoundRow {
    /// The row, read in place.
    pub fn record(&self) -> RawRecord<'_> {
        let (_, record) = self.batch.rows().get(0, self.seq).expect("it was looked at when it came");
        record
    }

    /// The sequence up to which the answer knows the journal.
    pub fn as_of_seq(&self) -> u64 {
        self.as_of_seq
    }
}

/// Which rows of a series.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// The table.
    pub table: String,
    /// The symbol.
    pub symbol: String,
    /// From this time on.
    pub from_ts: Option<i64>,
    /// Before this time.
    pub to_ts: Option<i64>,
    /// At most so many; `None`: all.
    pub limit: Option<u64>,
    /// From the newest back.
    pub newest_first: bool,
    /// As the journal stood when it had reached this sequence; `None`: now.
    pub as_of_seq: Option<u64>,
}

impl ScanOptions {
    /// All rows of a series.
    pub fn new(table: impl Into<String>, symbol: impl Into<String>) -> Self {
        Self { table: table.into(), symbol: symbol.into(), ..Self::default() }
    }
}

/// The rows of a series, some at a time.
#[derive(Debug)]
pub struct ScannedRows {
    pieces: Streaming<ScanResponse>,
}

/// Rows of a series that came together.
#[derive(Clone, Debug)]
pub struct ScannedPiece {
    batch: EncodedBatch,
    seqs: Vec<u64>,
    as_of_seq: u64,
}

impl ScannedRows {
    /// The next rows; `None` behind the last one. A scan that breaks is not begun again: rows may have come already.
    pub async fn next(&mut self) -> Result<Option<ScannedPiece>, ClientError> {
        let piece = self.pieces.message().await.map_err(|status| ClientError::of_status(&status))?;
        let Some(piece) = piece else { return Ok(None) };
        let batch = decode(&piece.batch)?;
        if batch.len() != piece.seqs.len() {
            return Err(ClientError::Failed("rows came without their sequences".to_owned()));
        }
        Ok(Some(ScannedPiece { batch, seqs: piece.seqs, as_of_seq: piece.as_of_seq }))
    }
}

impl ScannedPiece {
    /// The rows, read in place.
    pub fn records(&self) -> impl Iterator<Item = RawRecord<'_>> {
        let rows = self.batch.rows();
        self.seqs.iter().enumerate().filter_map(move |(place, seq)| Some(rows.get(place, *seq)?.1))
    }

    /// The sequence up to which the answer knows the journal.
    pub fn as_of_seq(&self) -> u64 {
        self.as_of_seq
    }
}

pub(crate) async fn get(
    connections: &Connections,
    table: &str,
    symbol: &str,
    ts: i64,
    seq: u64,
) -> Result<Option<FoundRow>, ClientError> {
    let request = GetRequest { table: table.to_owned(), symbol: symbol.to_owned(), ts, seq };
    let answer = connections.call(|mut journal| {
        let request = request.clone();
        async move { journal.get(request).await }
    });
    let answer = answer.await?.into_inner();
    if answer.batch.is_empty() {
        return Ok(None);
    }
    let found = FoundRow { batch: decode(&answer.batch)?, seq: answer.seq, as_of_seq: answer.as_of_seq };
    match found.batch.rows().get(0, found.seq) {
        Some(_) => Ok(Some(found)),
        None => Err(ClientError::Failed("a row came without its symbol".to_owned())),
    }
}

pub(crate) async fn scan(
    connections: &Connections,
    options: ScanOptions,
) -> Result<ScannedRows, ClientError> {
    let request = ScanRequest {
        table: options.table,
        symbol: options.symbol,
        from_ts: options.from_ts,
        to_ts: options.to_ts,
        limit: options.limit.unwrap_or(0),
        newest_first: options.newest_first,
        as_of_seq: options.as_of_seq.unwrap_or(0),
    };
    if options.limit == Some(0) {
        return Err(ClientError::Failed("a scan of no rows; leave the limit away for all".to_owned()));
    }
    let answer = connections.call(|mut journal| {
        let request = request.clone();
        async move { journal.scan(request).await }
    });
    Ok(ScannedRows { pieces: answer.await?.into_inner() })
}

/// A batch as it came: where it lies must be aligned, so it is copied once.
pub(crate) fn decode(bytes: &[u8]) -> Result<EncodedBatch, ClientError> {
    EncodedBatch::from_log(SharedBytes::from(bytes))
        .map_err(|error| ClientError::Failed(format!("the server sent what is not a batch: {error}")))
}
