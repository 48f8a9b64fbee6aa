//! The archive of evidence, and the counts of messages by day: what [`changes`](crate::changes) writes for others to read.
//!
//! A piece is counted once because its place in the archive and its count are written by one transaction, on the condition that
//! the place is empty: streams replay, and adding is no join. It is the only transaction there is.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use leadlight::account::AccountId;
use leadlight::address::AddressKey;
use leadlight::evidence::Piece;
use leadlight::reputation::{Counted, MailboxProvider, Outcome};

use super::item::{self, EXPIRES_AT, Key, PK, SK};
use super::{Consistency, Table, TableError};
use crate::apply::Attempts;

/// The most pieces of one transaction, which takes 100 actions: each may need a count of its own.
pub(crate) const ARCHIVED_AT_ONCE: usize = 50;
/// Among how many items a day's counts of one sender are spread, so that functions that write at the same time seldom meet.
const SHARES: u8 = 4;

/// A piece of evidence to be archived.
#[derive(Clone, Debug)]
pub(crate) struct Archived {
    pub(crate) account: AccountId,
    pub(crate) address: AddressKey,
    /// Who keeps the mailbox of the address.
    pub(crate) provider: MailboxProvider,
    pub(crate) piece: Piece,
}

type DayCounts = BTreeMap<(AccountId, Date, String), BTreeMap<Counted, u64>>;

impl Table {
    /// Archives and counts pieces, at most [`ARCHIVED_AT_ONCE`]; those that are in the archive already are left alone.
    pub(crate) async fn archive(&self, pieces: &[Archived]) -> Result<(), TableError> {
        let mut seen = HashSet::new();
        let key = |archived: &Archived| {
            Key::archived(&archived.account, &archived.address, &archived.piece)
        };
        let mut open: Vec<(Key<Piece>, &Archived)> = pieces
            .iter()
            .map(|archived| (key(archived), archived))
            .filter(|(key, _)| seen.insert(key.clone()))
            .collect();
        let mut attempts = Attempts::default();
        while !open.is_empty() {
            let Some(reasons) = self.archive_new(&open).await? else {
                return Ok(());
            };
            let before = open.len();
            let mut known = reasons
                .into_iter()
                .map(|reason| reason == "ConditionalCheckFailed");
            open.retain(|_| !known.next().unwrap_or(false));
            if open.len() == before {
                // Somebody else writes the same counts, or the table is throttled.
                attempts
                    .pause()
                    .await
                    .map_err(|_| TableError::Unprocessed)?;
            }
        }
        Ok(())
    }

    /// Those of `keys`, all different, that are in the archive.
    pub(crate) async fn archived(
        &self,
        keys: impl Iterator<Item = &Key<Piece>>,
    ) -> Result<HashSet<Key<Piece>>, TableError> {
        let keys = keys.map(Key::attributes).collect();
        let rows = self.load_rows(keys, Consistency::Strong).await?;
        // What was archived long ago need not be read to know that it is there.
        rows.iter().map(Key::read).collect()
    }

    /// One transaction. `None` if it was carried out, else why not, for each action in turn: pieces first.
    async fn archive_new(
        &self,
        open: &[(Key<Piece>, &Archived)],
    ) -> Result<Option<Vec<String>>, TableError> {
        let operation = "TransactWriteItems";
        let unwritable = |error: aws_sdk_dynamodb::error::BuildError| TableError::Unavailable {
            operation,
            source: error.into(),
        };
        let mut actions = Vec::new();
        for (key, archived) in open {
            let put = Put::builder()
                .table_name(&self.name)
                .set_item(Some(item::row(key, &archived.piece, None)?))
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", PK)
                .build()
                .map_err(unwritable)?;
            actions.push(TransactWriteItem::builder().put(put).build());
        }
        for ((account, day, sender), counts) in day_counts(open) {
            let update = self.add(&account, day, &sender, &counts);
            let update = update.map_err(unwritable)?;
            actions.push(TransactWriteItem::builder().update(update).build());
        }
        let written = self
            .client
            .transact_write_items()
            .set_transact_items(Some(actions))
            .send()
            .await;
        let Err(error) = written else {
            return Ok(None);
        };
        let cancelled = error
            .as_service_error()
            .filter(|refusal| refusal.is_transaction_canceled_exception());
        if cancelled.is_none() {
            return Err(TableError::unavailable(operation)(error));
        }
        Ok(Some(reasons(error.into_service_error())))
    }

    fn add(
        &self,
        account: &AccountId,
        day: Date,
        sender: &str,
        counts: &BTreeMap<Counted, u64>,
    ) -> Result<Update, aws_sdk_dynamodb::error::BuildError> {
        let share = fastrand::u8(0..SHARES);
        let (key, expires_at) = item::mail_count(account, day, sender, share);
        let mut names = HashMap::from([("#expires_at".to_owned(), EXPIRES_AT.to_owned())]);
        let number = |number: String| AttributeValue::N(number);
        let mut values =
            HashMap::from([(":expires_at".to_owned(), number(expires_at.to_string()))]);
        let mut additions = Vec::new();
        for (index, (counted, messages)) in counts.iter().enumerate() {
            let attribute = [counted.provider.code(), " ", counted.outcome.code()].concat();
            names.insert(format!("#c{index}"), attribute);
            values.insert(format!(":c{index}"), number(messages.to_string()));
            additions.push(format!("#c{index} :c{index}"));
        }
        let additions = additions.join(", ");
        Update::builder()
            .table_name(&self.name)
            .set_key(Some(key))
            .update_expression(format!("SET #expires_at = :expires_at ADD {additions}"))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .build()
    }

    /// What was counted of an account's messages on `day`.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn mail_counts(
        &self,
        account: &AccountId,
        day: Date,
    ) -> Result<BTreeMap<Counted, u64>, TableError> {
        let (pk, prefix) = item::mail_counts(account, day);
        let mut rows = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("#pk = :pk AND begins_with(#sk, :prefix)")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
            .into_paginator()
            .items()
            .send();
        let mut all = BTreeMap::new();
        while let Some(row) = rows.next().await {
            let row = row.map_err(TableError::unavailable("Query"))?;
            let key = row.get(SK).and_then(|key| key.as_s().ok());
            let sender = key
                .and_then(|key| key.strip_prefix(prefix)?.split_once('#'))
                .map_or("", |(_, sender)| sender);
            for (name, value) in &row {
                let Some((counted, messages)) = count(sender, name, value) else {
                    continue;
                };
                let sum: &mut u64 = all.entry(counted).or_default();
                *sum = sum.saturating_add(messages);
            }
        }
        Ok(all)
    }
}

fn day_counts(open: &[(Key<Piece>, &Archived)]) -> DayCounts {
    let mut all = DayCounts::new();
    for (_, archived) in open {
        let Some(outcome) = Outcome::of(&archived.piece.fact) else {
            continue;
        };
        let message = archived.piece.fact.message();
        let sender = message
            .and_then(|message| message.sender.clone())
            .unwrap_or_default();
        let day = archived.piece.at.to_zoned(TimeZone::UTC).date();
        let counted = Counted {
            sender: sender.clone(),
            provider: archived.provider,
            outcome,
        };
        let counts = all
            .entry((archived.account.clone(), day, sender))
            .or_default();
        *counts.entry(counted).or_default() += 1;
    }
    all
}

/// The count that an attribute is, if it is one.
fn count(sender: &str, name: &str, value: &AttributeValue) -> Option<(Counted, u64)> {
    let (provider, outcome) = name.split_once(' ')?;
    let counted = Counted {
        sender: sender.to_owned(),
        provider: MailboxProvider::from_code(provider)?,
        outcome: Outcome::from_code(outcome)?,
    };
    Some((counted, value.as_n().ok()?.parse().ok()?))
}

fn reasons(
    error: aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError,
) -> Vec<String> {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return Vec::new();
    };
    let reasons = cancelled.cancellation_reasons.unwrap_or_default();
    reasons
        .into_iter()
        .map(|reason| reason.code.unwrap_or_default())
        .collect()
}
