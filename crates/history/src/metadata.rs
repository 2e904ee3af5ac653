//! What a file says of itself in the key-value metadata of its footer.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use parquet::file::metadata::KeyValue;

use crate::identity::HistoryIdentity;

const FORMAT: &str = "tapebook.format";
const CLUSTER_ID: &str = "tapebook.cluster_id";
const FILE_ID: &str = "tapebook.file_id";
const TABLE: &str = "tapebook.table";
const TABLE_ID: &str = "tapebook.table_id";
const LAYOUT: &str = "tapebook.layout";
const ROW_LAYOUTS: &str = "tapebook.row_layouts";
const ROWS: &str = "tapebook.rows";
const TS: &str = "tapebook.ts";
const SEQ: &str = "tapebook.seq";
const RETRACTIONS: &str = "tapebook.retractions_through";
const TAIL: &str = "tapebook.tail";
const GRAIN_BYTES: &str = "tapebook.grain_bytes";
const DIRECTORY_BYTES: &str = "tapebook.directory_bytes";

/// What a file says of itself. Ranges of an empty file end before they begin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Facts {
    pub(crate) format: u16,
    pub(crate) identity: HistoryIdentity,
    pub(crate) table: String,
    pub(crate) table_id: u16,
    /// The layout version whose columns the file has.
    pub(crate) layout: u16,
    /// The layout versions that its rows had when they came.
    pub(crate) row_layouts: RangeInclusive<u16>,
    pub(crate) rows: u64,
    pub(crate) times: RangeInclusive<i64>,
    pub(crate) seqs: RangeInclusive<u64>,
    pub(crate) retractions_through: u64,
    /// Where the tail begins.
    pub(crate) tail: u64,
    pub(crate) grain_bytes: u64,
    /// The directory stands at the beginning of the tail, the checksums of the grains behind it.
    pub(crate) directory_bytes: u64,
}

/// Why there are no [`Facts`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FactsError {
    /// A Parquet file of somebody else.
    NotOurs,
    Newer(u16),
    Bad(&'static str),
}

impl Facts {
    pub(crate) fn to_key_values(&self) -> Vec<KeyValue> {
        let range = |first: &dyn ToString, last: &dyn ToString| {
            format!("{}..={}", first.to_string(), last.to_string())
        };
        [
            (FORMAT, self.format.to_string()),
            (CLUSTER_ID, format!("{:032x}", self.identity.cluster_id)),
            (FILE_ID, self.identity.file_id.to_string()),
            (TABLE, self.table.clone()),
            (TABLE_ID, self.table_id.to_string()),
            (LAYOUT, self.layout.to_string()),
            (ROW_LAYOUTS, range(self.row_layouts.start(), self.row_layouts.end())),
            (ROWS, self.rows.to_string()),
            (TS, range(self.times.start(), self.times.end())),
            (SEQ, range(self.seqs.start(), self.seqs.end())),
            (RETRACTIONS, self.retractions_through.to_string()),
            (TAIL, self.tail.to_string()),
            (GRAIN_BYTES, self.grain_bytes.to_string()),
            (DIRECTORY_BYTES, self.directory_bytes.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value))
        .collect()
    }

    /// Reads what [`Facts::to_key_values`] wrote. A format from `newest` on is refused before anything else is looked at.
    pub(crate) fn read(pairs: &[KeyValue], newest: u16) -> Result<Self, FactsError> {
        let pairs: HashMap<&str, &str> =
            pairs.iter().filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?))).collect();
        let Some(format) = pairs.get(FORMAT) else {
            return Err(FactsError::NotOurs);
        };
        let format = match format.parse::<u16>() {
            Ok(found) if found > newest => return Err(FactsError::Newer(found)),
            Ok(found) if found > 0 => found,
            _ => return Err(FactsError::Bad(FORMAT)),
        };
        let text = |key: &'static str| pairs.get(key).copied().ok_or(FactsError::Bad(key));
        let cluster_id =
            u128::from_str_radix(text(CLUSTER_ID)?, 16).map_err(|_| FactsError::Bad(CLUSTER_ID))?;
        Ok(Self {
            format,
            identity: HistoryIdentity { cluster_id, file_id: number(FILE_ID, text(FILE_ID)?)? },
            table: text(TABLE)?.to_owned(),
            table_id: number(TABLE_ID, text(TABLE_ID)?)?,
            layout: number(LAYOUT, text(LAYOUT)?)?,
            row_layouts: range(ROW_LAYOUTS, text(ROW_LAYOUTS)?)?,
            rows: number(ROWS, text(ROWS)?)?,
            times: range(TS, text(TS)?)?,
            seqs: range(SEQ, text(SEQ)?)?,
            retractions_through: number(RETRACTIONS, text(RETRACTIONS)?)?,
            tail: number(TAIL, text(TAIL)?)?,
            grain_bytes: number(GRAIN_BYTES, text(GRAIN_BYTES)?)?,
            directory_bytes: number(DIRECTORY_BYTES, text(DIRECTORY_BYTES)?)?,
        })
    }
}

fn number<T: FromStr>(key: &'static str, text: &str) -> Result<T, FactsError> {
    text.parse().map_err(|_| FactsError::Bad(key))
}

fn range<T: FromStr>(key: &'static str, text: &str) -> Result<RangeInclusive<T>, FactsError> {
    let (first, last) = text.split_once("..=").ok_or(FactsError::Bad(key))?;
    Ok(number(key, first)?..=number(key, last)?)
}
