//! The account's suppression list, with SES's treatment of letter case.
//!
//! Entries keep their case, and get, put and delete need it exact; sending matches without case (SES developer guide,
//! *tenant-level suppression list*). So one mailbox can have several entries, and deleting one of them may lift nothing.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// The address, as it was put.
    pub address: String,
    /// `BOUNCE` or `COMPLAINT`.
    pub reason: String,
    /// When it was put.
    pub updated_at: Timestamp,
    /// The message that it follows from, unless a person put it.
    pub message_id: Option<String>,
    /// The feedback that it follows from, unless a person put it.
    pub feedback_id: Option<String>,
}

const COLUMNS: &str = "address, reason, updated_ms, message_id, feedback_id";

impl Suppressed {
    pub(super) fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        let updated_ms = self.updated_at.as_millisecond();
        connection.execute(
            "INSERT OR REPLACE INTO suppressed (address, key, reason, updated_ms, message_id, feedback_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![self.address, key(&self.address), self.reason, updated_ms, self.message_id, self.feedback_id],
        )?;
        Ok(())
    }

    /// The entry of exactly this spelling.
    pub(super) fn find(connection: &Connection, address: &str) -> rusqlite::Result<Option<Self>> {
        let query = format!("SELECT {COLUMNS} FROM suppressed WHERE address = ?1");
        connection
            .query_row(&query, [address], Self::read)
            .optional()
    }

    /// The entry that makes SES withhold mail to `address`, of whatever spelling; a complaint rather than a bounce.
    pub(super) fn matching(
        connection: &Connection,
        address: &str,
    ) -> rusqlite::Result<Option<Self>> {
        let query = format!(
            "SELECT {COLUMNS} FROM suppressed WHERE key = ?1 ORDER BY reason = 'COMPLAINT' DESC LIMIT 1"
        );
        connection
            .query_row(&query, [key(address)], Self::read)
            .optional()
    }

    /// Whether there was an entry of exactly this spelling.
    pub(super) fn delete(connection: &Connection, address: &str) -> rusqlite::Result<bool> {
        Ok(connection.execute("DELETE FROM suppressed WHERE address = ?1", [address])? > 0)
    }

    /// A page of the list in the order of the addresses, beginning after `after`.
    pub(super) fn page(
        connection: &Connection,
        after: &str,
        most: u32,
    ) -> rusqlite::Result<Vec<Self>> {
        let query = format!(
            "SELECT {COLUMNS} FROM suppressed WHERE address > ?1 ORDER BY address LIMIT ?2"
        );
        let mut rows = connection.prepare(&query)?;
        rows.query_map(params![after, most], Self::read)?.collect()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            address: row.get(0)?,
            reason: row.get(1)?,
            updated_at: Timestamp::from_millisecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
            message_id: row.get(3)?,
            feedback_id: row.get(4)?,
        })
    }

    /// As `GetSuppressedDestination` answers it.
    pub(super) fn describe(&self) -> Value {
        let mut entry = self.summarise();
        if let (Some(message), Some(feedback), Some(entry)) =
            (&self.message_id, &self.feedback_id, entry.as_object_mut())
        {
            entry.insert(
                "Attributes".to_owned(),
                json!({ "MessageId": message, "FeedbackId": feedback }),
            );
        }
        entry
    }

    /// As `ListSuppressedDestinations` answers it.
    pub(super) fn summarise(&self) -> Value {
        let updated = self.updated_at.as_second();
        json!({ "EmailAddress": self.address, "Reason": self.reason, "LastUpdateTime": updated })
    }
}

fn key(address: &str) -> String {
    address.to_lowercase()
}
