//! Finds a source for each column: what the user says, then equal names, then the usual aliases.

use tapebook_record::{Column, ColumnKind, TableSchema};

use super::aliases::{self, TimeAlias, plain};
use super::{ColumnPlan, Plan, Source, SourceColumn};
use crate::error::ImportError;
use crate::options::ImportOptions;

/// What a plan is made from.
pub(crate) struct Request<'a> {
    pub(crate) file: &'a str,
    pub(crate) schema: &'a TableSchema,
    pub(crate) options: &'a ImportOptions,
    /// The names of the file's columns.
    pub(crate) names: &'a [String],
}

/// Plans a file; an error where a row could not have symbol or time, or where names mean nothing.
pub(crate) fn make(request: &Request<'_>) -> Result<Plan, ImportError> {
    let mut matching = Matching {
        request,
        plain: request.names.iter().map(|name| plain(name)).collect(),
        used: vec![false; request.names.len()],
        found: vec![None; OWN + request.schema.columns.len()],
    };
    matching.constants()?;
    matching.mapped()?;
    matching.equal_names();
    matching.symbol_and_times();
    matching.columns();
    matching.finish()
}

const SYMBOL: usize = 0;
const TS: usize = 1;
const RECV_TS: usize = 2;
const FEED_SEQ: usize = 3;
/// Targets before the table's own columns.
const OWN: usize = 4;
const OWN_NAMES: [&str; OWN] = ["symbol", "ts", "recv_ts", "feed_seq"];

struct Matching<'a> {
    request: &'a Request<'a>,
    plain: Vec<String>,
    used: Vec<bool>,
    found: Vec<Option<Source>>,
}

impl Matching<'_> {
    fn table_columns(&self) -> &[Column] {
        &self.request.schema.columns
    }

    fn name(&self, target: usize) -> &str {
        match target.checked_sub(OWN) {
            Some(column) => &self.table_columns()[column].name,
            None => OWN_NAMES[target],
        }
    }

    fn target(&self, name: &str) -> Result<usize, ImportError> {
        (0..self.found.len()).find(|target| self.name(*target) == name).ok_or_else(|| {
            ImportError::UnknownColumn {
                table: self.request.schema.name.to_string(),
                column: name.to_owned(),
                known: (0..self.found.len()).map(|target| self.name(target)).collect::<Vec<_>>().join(", "),
            }
        })
    }

    fn constants(&mut self) -> Result<(), ImportError> {
        if let Some(symbol) = &self.request.options.symbol {
            self.found[SYMBOL] = Some(Source::Constant(symbol.clone()));
        }
        for (column, value) in &self.request.options.set {
            let target = self.target(column)?;
            self.found[target] = Some(Source::Constant(value.clone()));
        }
        Ok(())
    }

    fn mapped(&mut self) -> Result<(), ImportError> {
        for (column, wanted) in &self.request.options.map {
            let target = self.target(column)?;
            let source = self.mapped_source(column, wanted)?;
            if matches!(source, Source::DateAndTime { .. }) && !matches!(target, TS | RECV_TS) {
                return Err(ImportError::BadSource {
                    file: self.request.file.to_owned(),
                    column: column.clone(),
                    reason: format!("{wanted} is a date and a time, which only ts and recv_ts can come from"),
                });
            }
            self.put(target, source);
        }
        Ok(())
    }

    fn mapped_source(&self, column: &str, wanted: &str) -> Result<Source, ImportError> {
        if let Some(index) = self.by_given_name(wanted) {
            let words = aliases::true_false(column).iter().find(|(name, ..)| self.plain[index] == *name);
            return Ok(match words {
                Some((_, when_true, when_false)) => {
                    Source::TrueFalse { column: self.source(index), when_true, when_false }
                }
                None => Source::Column(self.source(index)),
            });
        }
        let mut parts = Vec::new();
        for part in wanted.split('+') {
            let index = self.by_given_name(part.trim()).ok_or_else(|| ImportError::UnknownSource {
                file: self.request.file.to_owned(),
                column: column.to_owned(),
                source_name: part.trim().to_owned(),
                found: self.request.names.join(", "),
            })?;
            parts.push(self.source(index));
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(date), Some(time), millis, None) => Ok(Source::DateAndTime { date, time, millis }),
            _ => Err(ImportError::BadSource {
                file: self.request.file.to_owned(),
                column: column.to_owned(),
                reason: format!("{wanted} is not of the form date+time or date+time+milliseconds"),
            }),
        }
    }

    fn by_given_name(&self, name: &str) -> Option<usize> {
        let exact = self.request.names.iter().position(|known| known == name);
        exact.or_else(|| {
            let name = plain(name);
            self.plain.iter().position(|known| !name.is_empty() && *known == name)
        })
    }

    fn source(&self, index: usize) -> SourceColumn {
        SourceColumn { index, name: self.request.names[index].clone() }
    }

    fn put(&mut self, target: usize, source: Source) {
        for column in source.columns() {
            self.used[column.index] = true;
        }
        self.found[target] = Some(source);
    }

    /// A column that nothing was taken from yet.
    fn free(&self, alias: &str) -> Option<usize> {
        (0..self.plain.len()).find(|at| !self.used[*at] && self.plain[*at] == alias)
    }

    fn equal_names(&mut self) {
        for target in 0..self.found.len() {
            let name = self.name(target);
            let same = self.request.names.iter().position(|known| known == name);
            if let Some(index) = same.filter(|index| self.found[target].is_none() && !self.used[*index]) {
                self.put(target, Source::Column(self.source(index)));
            }
        }
    }

    fn first_of(&mut self, target: usize, aliases: &[&str]) {
        if self.found[target].is_some() {
            return;
        }
        if let Some(index) = aliases.iter().find_map(|alias| self.free(alias)) {
            self.put(target, Source::Column(self.source(index)));
        }
    }

    fn symbol_and_times(&mut self) {
        self.first_of(SYMBOL, aliases::SYMBOL);
        if self.found[TS].is_none()
            && let Some(source) = aliases::TS.iter().find_map(|alias| self.time_source(alias))
        {
            self.put(TS, source);
        }
        self.first_of(RECV_TS, aliases::RECV_TS);
        self.first_of(FEED_SEQ, aliases::FEED_SEQ);
    }

    fn time_source(&self, alias: &TimeAlias) -> Option<Source> {
        match alias {
            TimeAlias::One(name) => self.free(name).map(|index| Source::Column(self.source(index))),
            TimeAlias::Pair(date, time) => {
                let millis =
                    aliases::MILLIS.iter().filter(|(of, _)| of == time).find_map(|(_, name)| self.free(name));
                Some(Source::DateAndTime {
                    date: self.source(self.free(date)?),
                    time: self.source(self.free(time)?),
                    millis: millis.map(|index| self.source(index)),
                })
            }
        }
    }

    fn columns(&mut self) {
        for target in OWN..self.found.len() {
            let name = plain(self.name(target));
            self.first_of(target, &[&name]);
        }
        for target in OWN..self.found.len() {
            let column = &self.table_columns()[target - OWN];
            let (name, kind) = (column.name.clone(), column.kind);
            match kind {
                ColumnKind::Levels => self.levels(target, &name),
                ColumnKind::Word(_) => {
                    self.first_of(target, aliases::of_column(&name));
                    self.true_false(target, &name);
                }
                _ => self.first_of(target, aliases::of_column(&name)),
            }
        }
    }

    fn true_false(&mut self, target: usize, name: &str) {
        if self.found[target].is_some() {
            return;
        }
        let source = aliases::true_false(name).iter().find_map(|(alias, when_true, when_false)| {
            let column = self.source(self.free(alias)?);
            Some(Source::TrueFalse { column, when_true, when_false })
        });
        if let Some(source) = source {
            self.put(target, source);
        }
    }

    fn levels(&mut self, target: usize, name: &str) {
        let Some(names) = aliases::levels(name).filter(|_| self.found[target].is_none()) else { return };
        let prices = names.prices.iter().map(|family| self.numbered(family)).find(|found| !found.is_empty());
        let sizes = names.sizes.iter().map(|family| self.numbered(family)).find(|found| !found.is_empty());
        let (Some(prices), Some(sizes)) = (prices, sizes) else { return };
        let levels: Vec<_> = prices
            .into_iter()
            .filter_map(|(number, price)| {
                let at = sizes.partition_point(|(of, _)| *of < number);
                let (_, size) = sizes.get(at).filter(|(of, _)| *of == number)?;
                Some((self.source(price), self.source(*size)))
            })
            .collect();
        if !levels.is_empty() {
            self.put(target, Source::Levels(levels));
        }
    }

    /// The columns of a family by their number.
    fn numbered(&self, (start, end): &(&str, &str)) -> Vec<(u32, usize)> {
        let mut found: Vec<(u32, usize)> = (0..self.plain.len())
            .filter(|at| !self.used[*at])
            .filter_map(|at| {
                let digits = self.plain[at].strip_prefix(start)?.strip_suffix(end)?;
                let number =
                    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
                Some((number, at))
            })
            .collect();
        found.sort_unstable();
        found
    }

    fn finish(self) -> Result<Plan, ImportError> {
        self.required(
            SYMBOL,
            "symbol",
            "give one symbol for all rows with --symbol NAME, or its column with --map symbol=COLUMN",
        )?;
        self.required(
            TS,
            "ts",
            "give its column with --map ts=COLUMN, or --map ts=DATE+TIME for two columns",
        )?;
        let ignored: Vec<String> = self.request.options.ignore.iter().map(|name| plain(name)).collect();
        // A constant was given on purpose, so the column that it takes the place of is not lost by accident.
        let constant = |target: usize| matches!(self.found[target], Some(Source::Constant(_)));
        let overruled = |at: usize| {
            (constant(SYMBOL) && aliases::SYMBOL.contains(&self.plain[at].as_str()))
                || (0..self.found.len()).any(|to| constant(to) && plain(self.name(to)) == self.plain[at])
        };
        let unplaced: Vec<String> = (0..self.plain.len())
            .filter(|at| !self.used[*at] && !ignored.contains(&self.plain[*at]) && !overruled(*at))
            .map(|at| self.request.names[at].clone())
            .collect();
        let table = self.request.schema.name.to_string();
        if self.request.options.strict && !unplaced.is_empty() {
            let columns = unplaced.join(", ");
            return Err(ImportError::Unplaced { file: self.request.file.to_owned(), table, columns });
        }
        let names: Vec<String> = (0..self.found.len()).map(|target| self.name(target).to_owned()).collect();
        let columns = names
            .into_iter()
            .zip(self.found)
            .filter_map(|(column, source)| source.map(|source| ColumnPlan { column, source }))
            .collect();
        Ok(Plan { table, columns, unplaced })
    }

    fn required(&self, target: usize, column: &'static str, advice: &'static str) -> Result<(), ImportError> {
        if self.found[target].is_some() {
            return Ok(());
        }
        Err(ImportError::MissingSource {
            file: self.request.file.to_owned(),
            table: self.request.schema.name.to_string(),
            column,
            advice,
            found: self.request.names.join(", "),
        })
    }
}
