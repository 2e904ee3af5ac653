//! The statements of one connection or shell, one after another.

use std::sync::{Mutex, PoisonError};

use tapebook::Db;

use crate::settings::Settings;
use crate::{QueryStream, SqlEngine, SqlError};

/// What one connection or one shell has set; its queries follow it.
///
/// `SET tapebook.as_of_seq = n` shows all tables as they were known when the journal had reached sequence `n`, until it
/// is set to 0 or `DEFAULT`, or `RESET`; `SHOW tapebook.as_of_seq` tells it.
///
/// ```no_run
/// use tapebook::Db;
/// use tapebook_query::{Answer, SqlEngine, SqlOptions, SqlSession};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let db = Db::open("data")?;
/// let session = SqlSession::new(SqlEngine::new(&SqlOptions::default())?);
/// session.execute(&db, "SET tapebook.as_of_seq = 1000").await?;
/// if let Answer::Rows(stream) = session.execute(&db, "SELECT count(*) FROM trades").await? {
///     let counted = stream.collect().await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SqlSession {
    engine: SqlEngine,
    settings: Mutex<Settings>,
}

/// What a statement gives.
#[derive(Debug)]
pub enum Answer {
    /// The rows of a query.
    Rows(QueryStream),
    /// Nothing: a setting was changed.
    Set,
}

impl SqlSession {
    /// A session with the default settings.
    pub fn new(engine: SqlEngine) -> Self {
        Self { engine, settings: Mutex::default() }
    }

    /// Changes a setting, or plans a query and starts it as [`SqlEngine::query`] does, by the settings.
    pub async fn execute(&self, db: &Db, sql: &str) -> Result<Answer, SqlError> {
        let settings = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let statement = self.engine.understand(db, sql, settings).await?;
        match settings.changed(&statement.plan, &db.snapshot()) {
            Some(changed) => {
                *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = changed?;
                Ok(Answer::Set)
            }
            None => statement.start().await.map(Answer::Rows),
        }
    }
}
