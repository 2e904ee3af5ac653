//! What a database keeps of each table.

use std::collections::BTreeMap;

use tapebook_lsm::compaction::{Retention, RetentionPolicy};
use tapebook_record::Schemas;

use crate::OpenError;

/// What a database keeps of each table. The default keeps everything.
///
/// What goes are *slices*, a table's part of a partition, as a whole: a day's trades, or the quotes of a longer stretch
/// where there are few. Compaction drops them, see [`RetentionPolicy`]. The journal behind the log has settings of its own,
/// [`Options::journal_retention`](crate::Options::journal_retention) and
/// [`Options::journal_bytes_max`](crate::Options::journal_bytes_max).
///
/// ```
/// use std::time::Duration;
/// use tapebook::{Options, RetentionOptions, RetentionPolicy};
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let quotes = RetentionPolicy { age_max: Some(30 * day), bytes_max: Some(200 << 30) };
/// let retention = RetentionOptions {
///     tables: [("quotes".to_owned(), quotes)].into(),
///     default: RetentionPolicy { age_max: Some(365 * day), ..RetentionPolicy::default() },
/// };
/// let options = Options { retention, ..Options::default() };
/// # drop(options);
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RetentionOptions {
    /// Tables with a policy of their own, by name.
    pub tables: BTreeMap<String, RetentionPolicy>,
    /// The policy of all others.
    pub default: RetentionPolicy,
}

impl RetentionOptions {
    /// The same by the tables' numbers; refuses a name that no table has.
    pub(crate) fn resolve(&self, schemas: &Schemas) -> Result<Retention, OpenError> {
        let number = |(name, policy): (&String, &RetentionPolicy)| match schemas.by_name(name) {
            Some(schema) => Ok((schema.id, *policy)),
            None => {
                let known: Vec<&str> = schemas.iter().map(|schema| &*schema.name).collect();
                Err(OpenError::RetentionOfUnknownTable { name: name.clone(), known: known.join(", ") })
            }
        };
        let tables = self.tables.iter().map(number).collect::<Result<_, _>>()?;
        Ok(Retention { tables, default: self.default })
    }
}
