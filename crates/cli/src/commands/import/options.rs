//! What the user says about the files, as the importer takes it.

use std::str::FromStr;

use tapebook_import::{DateOption, ImportOptions, OnError, TimeUnit, Zone};

use crate::clock::unix_nanos;

/// How files are read.
#[derive(Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// Takes COLUMN from SOURCE; SOURCE can be `date+time` for a date and a time in two columns
    #[arg(long, value_name = "COLUMN=SOURCE")]
    map: Vec<Assignment>,
    /// Gives COLUMN this value in every row
    #[arg(long, value_name = "COLUMN=VALUE")]
    set: Vec<Assignment>,
    /// Gives every row this symbol
    #[arg(long, value_name = "NAME")]
    symbol: Option<String>,
    /// Puts this before every symbol of the file
    #[arg(long, value_name = "TEXT")]
    symbol_prefix: Option<String>,
    /// The day of times that have none; `name` takes it from the file's name
    #[arg(long, value_name = "YYYY-MM-DD|name")]
    date: Option<DateOption>,
    /// The zone of times that name none, such as Asia/Shanghai or +08:00
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: Zone,
    /// The unit of times that are numbers [default: what their size says]
    #[arg(long, value_name = "s|ms|us|ns")]
    time_unit: Option<TimeUnit>,
    /// The columns of a text file without a header, in order
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// What stands between the fields of a text file; `\t` for a tab [default: found out]
    #[arg(long, value_name = "CHAR")]
    delimiter: Option<Delimiter>,
    /// Columns of the file to leave out on purpose
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Refuses a file that has columns without a place
    #[arg(long)]
    strict: bool,
    /// What to do at a bad row: stop there, or leave it out and count it
    #[arg(long, value_name = "stop|skip", default_value = "stop")]
    on_error: OnError,
    /// Takes NaN for NULL
    #[arg(long)]
    nan_as_null: bool,
    /// The most rows that are written and acknowledged together
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    batch_rows: u32,
    /// Takes rows whose time is more than a day ahead of the clock
    #[arg(long)]
    pub(super) allow_future: bool,
}

impl ReadArgs {
    /// All that decides which rows and batches come of a file. Two that read alike are described alike.
    pub(super) fn describe(&self) -> String {
        let Self { map, set, symbol, symbol_prefix, date, time_zone, time_unit, columns, delimiter, .. } =
            self;
        let Self { ignore, strict, on_error, nan_as_null, batch_rows, allow_future, .. } = self;
        let zone = time_zone.to_string();
        let values = (map, set, symbol, symbol_prefix, date, zone, time_unit, columns, delimiter);
        let rules = (ignore, strict, on_error, nan_as_null, batch_rows, allow_future);
        format!("{values:?} {rules:?}")
    }

    /// True where a file's name says which day it is.
    pub(super) fn takes_date_from_name(&self) -> bool {
        self.date == Some(DateOption::Name)
    }

    pub(super) fn to_options(&self) -> ImportOptions {
        let pairs = |assignments: &[Assignment]| -> Vec<(String, String)> {
            assignments.iter().map(|Assignment(column, value)| (column.clone(), value.clone())).collect()
        };
        let mut options = ImportOptions::new(unix_nanos());
        options.columns = self.columns.clone();
        options.delimiter = self.delimiter.map(|Delimiter(byte)| byte);
        options.map = pairs(&self.map);
        options.set = pairs(&self.set);
        options.ignore = self.ignore.clone();
        options.symbol = self.symbol.clone();
        options.symbol_prefix = self.symbol_prefix.clone();
        options.date = self.date;
        options.time_zone = self.time_zone.clone();
        options.time_unit = self.time_unit;
        options.strict = self.strict;
        options.on_error = self.on_error;
        options.nan_as_null = self.nan_as_null;
        options.batch_rows = self.batch_rows as usize;
        if self.allow_future {
            options.latest_ts = None;
        }
        options
    }
}

/// `column=value`.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Assignment(String, String);

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((column, value)) if !column.is_empty() => Ok(Self(column.to_owned(), value.to_owned())),
            _ => Err(format!("{text:?} is not COLUMN=VALUE")),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Delimiter(u8);

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"\\t" => Ok(Self(b'\t')),
            [byte]
                if byte.is_ascii()
                    && !byte.is_ascii_alphanumeric()
                    && !matches!(byte, b'"' | b'\n' | b'\r') =>
            {
                Ok(Self(*byte))
            }
            _ => Err(format!("{text:?} is not one character such as `;`, or \\t")),
        }
    }
}
