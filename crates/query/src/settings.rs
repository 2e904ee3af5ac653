//! What `SET` changes for the queries that follow.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{LogicalPlan, ResetVariable, SetVariable, Statement};
use tapebook::Snapshot;

use crate::SqlError;

const AS_OF_SEQ: &str = "tapebook.as_of_seq";
const AS_OF_SEQ_MEANING: &str =
    "All tables as they were known when the journal had reached this sequence; 0: as they are now";

/// The settings of one session.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Settings {
    /// Queries read what was known at this sequence; 0: what is known now.
    pub as_of_seq: u64,
}

impl Settings {
    /// With the change that a plan asks for; `None` where the plan is none for settings.
    pub(crate) fn changed(self, plan: &LogicalPlan, newest: &Snapshot) -> Option<Result<Self, SqlError>> {
        let (variable, value) = match plan {
            LogicalPlan::Statement(Statement::SetVariable(SetVariable { variable, value })) => {
                (variable, value.as_str())
            }
            LogicalPlan::Statement(Statement::ResetVariable(ResetVariable { variable })) => {
                (variable, "default")
            }
            _ => return None,
        };
        Some(match variable.as_str() {
            AS_OF_SEQ => as_of_seq(value, newest).map(|as_of_seq| Self { as_of_seq }),
            _ => Err(SqlError::Setting(format!("{variable:?} is no setting; there is {AS_OF_SEQ}"))),
        })
    }

    /// What queries read of `newest`.
    pub(crate) fn view(self, newest: &Snapshot) -> Result<Snapshot, SqlError> {
        match self.as_of_seq {
            0 => Ok(newest.clone()),
            seq => newest.as_of(seq).map_err(|error| SqlError::Setting(error.to_string())),
        }
    }
}

fn as_of_seq(value: &str, newest: &Snapshot) -> Result<u64, SqlError> {
    if value.eq_ignore_ascii_case("default") {
        return Ok(0);
    }
    let seq = value.parse().map_err(|_| {
        SqlError::Setting(format!(
            "{AS_OF_SEQ} takes a sequence number, 0 or DEFAULT for what is known now, not {value:?}"
        ))
    })?;
    newest.as_of(seq).map_err(|error| SqlError::Setting(error.to_string()))?;
    Ok(seq)
}

/// So that `SHOW` finds them.
impl ConfigExtension for Settings {
    const PREFIX: &'static str = "tapebook";
}

impl ExtensionOptions for Settings {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(*self)
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        Err(DataFusionError::Plan(format!("{key} is set by a session")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![ConfigEntry {
            key: AS_OF_SEQ.to_owned(),
            value: Some(self.as_of_seq.to_string()),
            description: AS_OF_SEQ_MEANING,
        }]
    }
}
