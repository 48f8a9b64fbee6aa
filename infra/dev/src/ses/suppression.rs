//! The suppression lists of the account and of its tenants, with SES's treatment of letter case.
//!
//! Entries keep their case, and get, put and delete need it exact; sending matches without case (SES developer guide,
//! *tenant-level suppression list*). So one mailbox can have several entries, and deleting one of them may lift nothing.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// The tenant whose list it is on; the account's own list has none.
    pub tenant: Option<String>,
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

const COLUMNS: &str = "tenant, address, reason, updated_ms, message_id, feedback_id";

impl Suppressed {
    /// An entry that an operator makes now.
    pub(super) fn by_hand(tenant: Option<&str>, address: &str, reason: &str) -> Self {
        Self {
            tenant: tenant.map(str::to_owned),
            address: address.to_owned(),
            reason: reason.to_owned(),
            updated_at: Timestamp::now(),
            message_id: None,
            feedback_id: None,
        }
    }

    pub(super) fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        let updated_ms = self.updated_at.as_millisecond();
        connection.execute(
            "INSERT OR REPLACE INTO listed (tenant, address, key, reason, updated_ms, message_id, feedback_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                self.tenant.as_deref().unwrap_or_default(),
                self.address,
                key(&self.address),
                self.reason,
                updated_ms,
                self.message_id,
                self.feedback_id
            ],
        )?;
        Ok(())
    }

    /// The entry of exactly this spelling.
    pub(super) fn find(
        connection: &Connection,
        tenant: Option<&str>,
        address: &str,
    ) -> rusqlite::Result<Option<Self>> {
        let query = format!("SELECT {COLUMNS} FROM listed WHERE tenant = ?1 AND address = ?2");
        connection
            .query_row(&query, [tenant.unwrap_or_default(), address], Self::read)
            .optional()
    }

    /// The entry of the account's list that makes SES withhold mail to `address`, of whatever spelling; a complaint rather
    /// than a bounce. Tenants send under the account's list unless they are told otherwise.
    pub(super) fn matching(
        connection: &Connection,
        address: &str,
    ) -> rusqlite::Result<Option<Self>> {
        let query = format!(
            "SELECT {COLUMNS} FROM listed WHERE tenant = '' AND key = ?1 ORDER BY reason = 'COMPLAINT' DESC LIMIT 1"
        );
        connection
            .query_row(&query, [key(address)], Self::read)
            .optional()
    }

    /// Whether there was an entry of exactly this spelling.
    pub(super) fn delete(
        connection: &Connection,
        tenant: Option<&str>,
        address: &str,
    ) -> rusqlite::Result<bool> {
        let deleted = connection.execute(
            "DELETE FROM listed WHERE tenant = ?1 AND address = ?2",
            [tenant.unwrap_or_default(), address],
        )?;
        Ok(deleted > 0)
    }

    /// A page of a list in the order of the addresses, beginning after `after`.
    pub(super) fn page(
        connection: &Connection,
        tenant: Option<&str>,
        after: &str,
        most: u32,
    ) -> rusqlite::Result<Vec<Self>> {
        let query = format!(
            "SELECT {COLUMNS} FROM listed WHERE tenant = ?1 AND address > ?2 ORDER BY address LIMIT ?3"
        );
        let mut rows = connection.prepare(&query)?;
        rows.query_map(params![tenant.unwrap_or_default(), after, most], Self::read)?
            .collect()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let tenant: String = row.get(0)?;
        Ok(Self {
            tenant: Some(tenant).filter(|tenant| !tenant.is_empty()),
            address: row.get(1)?,
            reason: row.get(2)?,
            updated_at: Timestamp::from_millisecond(row.get(3)?).unwrap_or(Timestamp::UNIX_EPOCH),
            message_id: row.get(4)?,
            feedback_id: row.get(5)?,
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
        // Seconds with a fraction: SES's own examples have milliseconds.
        let updated = self.updated_at.as_duration().as_secs_f64();
        json!({ "EmailAddress": self.address, "Reason": self.reason, "LastUpdateTime": updated })
    }
}

fn key(address: &str) -> String {
    address.to_lowercase()
}
