//! What the stand-ins for SES and SQS remember: one SQLite file, or memory.
//!
//! A change is in the file before anybody is told of it, so that `kill -9` loses nothing. The schema lives here; what the
//! rows mean lives with their owners, `ses` and `queue`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::Connection;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queued (
        id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, body TEXT NOT NULL,
        sent_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0, first_receive_ms INTEGER);
    CREATE INDEX IF NOT EXISTS queued_by_visibility ON queued (visible_ms);
    CREATE TABLE IF NOT EXISTS dead (
        id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, body TEXT NOT NULL, sent_ms INTEGER NOT NULL, dead_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS listed (
        tenant TEXT NOT NULL, address TEXT NOT NULL, key TEXT NOT NULL, reason TEXT NOT NULL, updated_ms INTEGER NOT NULL,
        message_id TEXT, feedback_id TEXT, PRIMARY KEY (tenant, address));
    CREATE INDEX IF NOT EXISTS listed_by_key ON listed (tenant, key);
    CREATE TABLE IF NOT EXISTS script (address TEXT PRIMARY KEY, outcome TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, message TEXT NOT NULL);
";

/// The stand-ins' memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    connection: Arc<Mutex<Connection>>,
}

impl Ledger {
    /// Opens the file, which is made if it does not exist.
    ///
    /// # Errors
    /// When the file cannot be opened as a ledger.
    pub fn file(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(path).and_then(|connection| {
            connection.pragma_update(None, "journal_mode", "wal")?;
            // With a write-ahead log this survives the end of the process, though not the end of the power.
            connection.pragma_update(None, "synchronous", "normal")?;
            connection.busy_timeout(Duration::from_secs(5))?;
            Ok(connection)
        });
        Self::prepare(connection.with_context(|| format!("open {}", path.display()))?)
    }

    /// Opens a ledger that is forgotten with its last clone.
    ///
    /// # Errors
    /// When SQLite cannot be opened.
    pub fn memory() -> anyhow::Result<Self> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(connection: Connection) -> anyhow::Result<Self> {
        connection
            .execute_batch(SCHEMA)
            .context("prepare the ledger")?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Runs `work` in a transaction: all of it is kept, or nothing.
    pub(crate) fn transact<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction().context("write to the ledger")?;
        let result = work(&transaction).context("write to the ledger")?;
        transaction.commit().context("write to the ledger")?;
        Ok(result)
    }
}
