//! The one table: loading, and the one conditional write.
//!
//! Every change is one put of one item on the condition that its version is still the one that was read. There is no scan, no
//! transaction, and no read or write whose cost grows with the account. Limits of requests: `DynamoDB` developer guide,
//! *batch operations* (100 keys, `UnprocessedKeys` to be asked again).

mod archive;
pub mod definition;
mod deliveries;
pub mod item;

pub(crate) use archive::{ARCHIVED_AT_ONCE, Archived};

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use jiff::civil::Date;
use leadlight::account::AccountId;
use leadlight::address::AddressKey;
use leadlight::lead::LeadId;
use leadlight::policy::Policy;

use crate::apply::Attempts;
use crate::config::cause;
use item::{
    Account, Attributes, DueVerification, EXPIRES_AT, Identity, Item, Key, Limited, PK, SK, Stored,
    VERSION, Version,
};

/// The most keys of one `BatchGetItem`.
const MAX_BATCH: usize = 100;

/// The most that is due on one page: the leads of all of it are read by one request.
const DUE_PAGE: i32 = 100;

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every write that was answered before. Where a decision is made.
    Strong,
    /// May lag behind by moments, at half the price. Where something is shown.
    Eventual,
}

/// How a conditional write ended. Neither is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// The item is stored.
    Committed,
    /// Somebody else wrote first, or the condition does not hold; nothing was stored.
    Conflict,
}

/// Why the table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The request was not answered, or was refused.
    #[error("ask the table ({operation})")]
    Unavailable {
        /// The operation as `DynamoDB` calls it.
        operation: &'static str,
        /// What the SDK said.
        source: Box<dyn core::error::Error + Send + Sync>,
    },
    /// A batch came back with keys left over, time after time: the table is throttled.
    #[error("read all keys of a batch")]
    Unprocessed,
    /// An item is not what its key promises. What it is instead is not said: it may be an address.
    #[error("read the item {key}")]
    Unreadable {
        /// Its key.
        key: String,
    },
    /// An item cannot be written in attribute values.
    #[error("write an item of the table")]
    Unwritable(#[source] serde_dynamo::Error),
}

impl TableError {
    fn unavailable<E>(operation: &'static str) -> impl FnOnce(SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + core::error::Error + Send + Sync + 'static,
    {
        move |error| Self::Unavailable {
            operation,
            source: cause(error),
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unprocessed => true,
            Self::Unreadable { .. } | Self::Unwritable(_) => false,
        }
    }
}

/// The items that were found under some keys.
pub type Loaded<T> = HashMap<Key<T>, Stored<T>>;

/// A page of what is due, the longest due first.
#[derive(Debug)]
pub struct DuePage<T = DueVerification> {
    /// What is due; an error where an item cannot be read.
    pub due: Vec<Result<T, TableError>>,
    /// Asks for the next page; `None` after the last.
    pub next: Option<DueCursor>,
}

/// Where a page of what is due ended.
#[derive(Clone, Debug)]
pub struct DueCursor(Attributes);

/// The table. Cheap to clone; all clones share one connection pool.
#[derive(Clone, Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table `name`, reached by `client`.
    #[must_use]
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Loads one item; `None` if there is none.
    ///
    /// # Errors
    /// When the table cannot be asked, or the item is of another kind.
    pub async fn load<T: Item>(
        &self,
        key: &Key<T>,
        consistency: Consistency,
    ) -> Result<Option<Stored<T>>, TableError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(consistency == Consistency::Strong)
            .send()
            .await
            .map_err(TableError::unavailable("GetItem"))?;
        answer.item.map(Stored::read).transpose()
    }

    /// Loads the policy of an account and nothing else of it: its keys are for whoever checks tokens.
    ///
    /// # Errors
    /// When the table cannot be asked, or the item is no account.
    pub async fn load_policy(&self, account: &AccountId) -> Result<Option<Policy>, TableError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(Key::account(account).attributes()))
            .projection_expression("#pk, #sk, #policy")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_names("#policy", "policy")
            .send()
            .await
            .map_err(TableError::unavailable("GetItem"))?;
        let account = answer.item.map(Stored::<Account>::read).transpose()?;
        Ok(account.map(|stored| stored.item.policy))
    }

    /// Loads many items, in one request for each 100 different keys. Keys without an item are absent from the answer.
    ///
    /// # Errors
    /// When the table cannot be asked, leaves keys unprocessed time after time, or holds an item of another kind.
    pub async fn load_many<T: Item>(
        &self,
        keys: &[Key<T>],
        consistency: Consistency,
    ) -> Result<Loaded<T>, TableError> {
        let different: HashSet<&Key<T>> = keys.iter().collect();
        let keys = different.into_iter().map(Key::attributes).collect();
        read(self.load_rows(keys, consistency).await?)
    }

    /// Loads items of two kinds, mixed: one request for each 100 different keys of both together.
    ///
    /// # Errors
    /// As [`Table::load_many`].
    pub async fn load_both<A: Item, B: Item>(
        &self,
        keys: (&[Key<A>], &[Key<B>]),
        consistency: Consistency,
    ) -> Result<(Loaded<A>, Loaded<B>), TableError> {
        let (first, second): (HashSet<_>, HashSet<_>) =
            (keys.0.iter().collect(), keys.1.iter().collect());
        let keys = first.iter().map(|key| key.attributes());
        let keys = keys
            .chain(second.iter().map(|key| key.attributes()))
            .collect();
        let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
        for row in self.load_rows(keys, consistency).await? {
            if first.contains(&Key::read(&row)?) {
                of_first.push(row);
            } else {
                of_second.push(row);
            }
        }
        Ok((read(of_first)?, read(of_second)?))
    }

    /// One request for each 100 keys, all at the same time. The keys must be different.
    async fn load_rows(
        &self,
        keys: Vec<Attributes>,
        consistency: Consistency,
    ) -> Result<Vec<Attributes>, TableError> {
        let batches = keys
            .chunks(MAX_BATCH)
            .map(|batch| self.load_batch(batch.to_vec(), consistency));
        let rows = try_join_all(batches).await?;
        Ok(rows.into_iter().flatten().collect())
    }

    async fn load_batch(
        &self,
        mut open: Vec<Attributes>,
        consistency: Consistency,
    ) -> Result<Vec<Attributes>, TableError> {
        let mut found = Vec::with_capacity(open.len());
        let mut attempts = Attempts::default();
        loop {
            let (rows, unprocessed) = self.ask_for(open, consistency).await?;
            found.extend(rows);
            if unprocessed.is_empty() {
                return Ok(found);
            }
            open = unprocessed;
            attempts
                .pause()
                .await
                .map_err(|_| TableError::Unprocessed)?;
        }
    }

    async fn ask_for(
        &self,
        keys: Vec<Attributes>,
        consistency: Consistency,
    ) -> Result<(Vec<Attributes>, Vec<Attributes>), TableError> {
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(consistency == Consistency::Strong)
            .build()
            .map_err(|error| TableError::Unavailable {
                operation: "BatchGetItem",
                source: error.into(),
            })?;
        let answer = self
            .client
            .batch_get_item()
            .request_items(&self.name, wanted)
            .send()
            .await
            .map_err(TableError::unavailable("BatchGetItem"))?;
        let items = answer
            .responses
            .and_then(|mut tables| tables.remove(&self.name))
            .unwrap_or_default();
        let unprocessed = answer
            .unprocessed_keys
            .and_then(|mut tables| tables.remove(&self.name));
        Ok((items, unprocessed.map(|rest| rest.keys).unwrap_or_default()))
    }

    /// Writes one item, if its version is still `read`; `None` stands for an item that did not exist.
    ///
    /// A write that was carried out although its answer was lost looks like a conflict when it is repeated; reading again
    /// shows that it is there.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn commit<T: Item>(
        &self,
        key: &Key<T>,
        item: &T,
        read: Option<Version>,
    ) -> Result<Commit, TableError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item::row(key, item, read)?));
        let put = match read {
            None => put
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", PK),
            Some(version) => put
                .condition_expression("#version = :read")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":read", AttributeValue::N(version.to_string())),
        };
        match put.send().await {
            Ok(_) => Ok(Commit::Committed),
            Err(error) => conflict_or(
                error,
                PutItemError::is_conditional_check_failed_exception,
                "PutItem",
            ),
        }
    }

    /// Notes that `lead` has `address` now. Saying it again changes nothing.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn link(
        &self,
        account: &AccountId,
        address: &AddressKey,
        lead: &LeadId,
    ) -> Result<(), TableError> {
        self.put(Key::<item::Link>::link(account, address, lead).attributes())
            .await
    }

    /// The leads that have or had `address`, all pages of them.
    ///
    /// # Errors
    /// When the table cannot be asked, or a link names no lead.
    pub async fn linked_leads(
        &self,
        account: &AccountId,
        address: &AddressKey,
    ) -> Result<Vec<LeadId>, TableError> {
        let (pk, prefix) = item::links(account, address);
        let mut pages = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("#pk = :pk AND begins_with(#sk, :links)")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(":links", AttributeValue::S(prefix.to_owned()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut leads = Vec::new();
        while let Some(row) = pages.next().await {
            let row = row.map_err(TableError::unavailable("Query"))?;
            leads.push(item::linked_lead(&row, prefix)?);
        }
        Ok(leads)
    }

    /// Notes that something is to be verified. Saying it again changes nothing.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn plan_verification(&self, due: &DueVerification) -> Result<(), TableError> {
        self.keep(&Key::due(due), due).await
    }

    /// A page of what was to be verified by `now`.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn due_verifications(
        &self,
        now: Timestamp,
        after: Option<DueCursor>,
    ) -> Result<DuePage, TableError> {
        self.due(item::due_until(now), after).await
    }

    async fn due<T: Item>(
        &self,
        (pk, until): (&str, String),
        after: Option<DueCursor>,
    ) -> Result<DuePage<T>, TableError> {
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("#pk = :pk AND #sk < :until")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":until", AttributeValue::S(until))
            .limit(DUE_PAGE)
            .set_exclusive_start_key(after.map(|cursor| cursor.0))
            .send()
            .await
            .map_err(TableError::unavailable("Query"))?;
        let rows = page.items.unwrap_or_default().into_iter();
        Ok(DuePage {
            due: rows
                .map(|row| Stored::read(row).map(|stored| stored.item))
                .collect(),
            next: page.last_evaluated_key.map(DueCursor),
        })
    }

    /// Takes something off the list of what is due. What is not there is as good.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn settle_verification(&self, due: &DueVerification) -> Result<(), TableError> {
        self.remove(&Key::due(due)).await
    }

    async fn remove<T>(&self, key: &Key<T>) -> Result<(), TableError> {
        let deletion = self
            .client
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .send();
        deletion
            .await
            .map(drop)
            .map_err(TableError::unavailable("DeleteItem"))
    }

    /// Keeps an item, whatever was there before.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn keep<T: Item>(&self, key: &Key<T>, item: &T) -> Result<(), TableError> {
        self.put(item::row(key, item, None)?).await
    }

    /// Counts one of what an account may do at most `most` times a day (UTC). `Conflict` is the limit.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn count(
        &self,
        account: &AccountId,
        day: Date,
        what: Limited,
        most: u32,
    ) -> Result<Commit, TableError> {
        let (key, expires_at) = item::day_count(account, day, what);
        if most == 0 {
            return Ok(Commit::Conflict);
        }
        let counted = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key))
            .update_expression("SET #expires_at = :expires_at ADD #count :one")
            .condition_expression("attribute_not_exists(#count) OR #count < :most")
            .expression_attribute_names("#count", "count")
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .expression_attribute_values(":most", AttributeValue::N(most.to_string()))
            .expression_attribute_values(":expires_at", AttributeValue::N(expires_at.to_string()))
            .send()
            .await;
        match counted {
            Ok(_) => Ok(Commit::Committed),
            Err(error) => conflict_or(
                error,
                UpdateItemError::is_conditional_check_failed_exception,
                "UpdateItem",
            ),
        }
    }

    /// Adds to the requests of an account, or of the token with this hash, in the minute that begins at `minute` (in seconds since
    /// 1970), and gives back how many there are then. Repeated by the SDK, it may count them twice.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub(crate) async fn count_requests(
        &self,
        account: &AccountId,
        minute: i64,
        token: Option<&str>,
        requests: u32,
    ) -> Result<u32, TableError> {
        let (key, expires_at) = item::request_count(account, minute, token);
        let counted = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.clone()))
            .update_expression("SET #expires_at = :expires_at ADD #count :more")
            .expression_attribute_names("#count", "count")
            .expression_attribute_names("#expires_at", EXPIRES_AT)
            .expression_attribute_values(":more", AttributeValue::N(requests.to_string()))
            .expression_attribute_values(":expires_at", AttributeValue::N(expires_at.to_string()))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(TableError::unavailable("UpdateItem"))?;
        let count = counted.attributes.as_ref().and_then(|row| row.get("count"));
        count
            .and_then(|count| count.as_n().ok()?.parse().ok())
            .ok_or_else(|| item::unreadable(&key))
    }

    /// Writes an account: its policy and public keys. For operators; replaces what is there.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn save_account(&self, id: &AccountId, account: &Account) -> Result<(), TableError> {
        self.put(item::row(&Key::<Account>::account(id), account, None)?)
            .await
    }

    /// Says to which account a sending identity, configuration set or SES tenant belongs. For operators. `Conflict` if it
    /// belongs to another account.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn save_identity(
        &self,
        name: &str,
        account: &AccountId,
    ) -> Result<Commit, TableError> {
        let identity = Identity {
            account: account.clone(),
        };
        let saved = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item::row(&Key::identity(name), &identity, None)?))
            .condition_expression("attribute_not_exists(#account) OR #account = :account")
            .expression_attribute_names("#account", "account")
            .expression_attribute_values(":account", AttributeValue::S(account.to_string()))
            .send()
            .await;
        match saved {
            Ok(_) => Ok(Commit::Committed),
            Err(error) => conflict_or(
                error,
                PutItemError::is_conditional_check_failed_exception,
                "PutItem",
            ),
        }
    }

    async fn put(&self, row: Attributes) -> Result<(), TableError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(row))
            .send();
        put.await
            .map(drop)
            .map_err(TableError::unavailable("PutItem"))
    }

    /// Asks for an item that does not exist, so that the connection is open when the first event comes.
    pub(crate) async fn knock(&self) -> Result<(), TableError> {
        let knock = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(item::attributes("warm", "warm")))
            .send();
        knock
            .await
            .map(drop)
            .map_err(TableError::unavailable("GetItem"))
    }
}

/// The item of a stream's image, with its version.
pub(crate) fn read_image<T: Item>(image: serde_dynamo::Item) -> Result<Stored<T>, TableError> {
    Stored::read(image.into())
}

fn read<T: Item>(rows: Vec<Attributes>) -> Result<Loaded<T>, TableError> {
    let read = |row: Attributes| Ok((Key::read(&row)?, Stored::read(row)?));
    rows.into_iter().map(read).collect()
}

fn conflict_or<E>(
    error: SdkError<E>,
    is_conflict: impl FnOnce(&E) -> bool,
    operation: &'static str,
) -> Result<Commit, TableError>
where
    E: ProvideErrorMetadata + core::error::Error + Send + Sync + 'static,
{
    if error.as_service_error().is_some_and(is_conflict) {
        return Ok(Commit::Conflict);
    }
    Err(TableError::unavailable(operation)(error))
}
