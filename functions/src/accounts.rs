//! The accounts as this process knows them: read from the table, kept for a minute.
//!
//! Whether an account or identity exists is asked again each time it is not known, so that a new one works at once. A changed
//! policy or a revoked key is followed within [`KEPT_FOR`].

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use leadlight::account::AccountId;
use leadlight::policy::Policy;

use crate::kept::Kept;
use crate::table::item::{Account, Key};
use crate::table::{Consistency, Table, TableError};

/// How long an account is taken to be as it was read: a revoked key is refused within this time.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_secs(60);
/// The most accounts, and the most identities, kept at a time.
const MOST_KEPT: usize = 10_000;

/// The accounts, as read lately.
#[derive(Debug)]
pub struct Accounts {
    table: Table,
    known: Kept<AccountId, Arc<Account>>,
    policies: Kept<AccountId, Arc<Policy>>,
    owners: Kept<String, AccountId>,
}

impl Accounts {
    /// The accounts of `table`.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self {
            table,
            known: Kept::new(KEPT_FOR, MOST_KEPT),
            policies: Kept::new(KEPT_FOR, MOST_KEPT),
            owners: Kept::new(KEPT_FOR, MOST_KEPT),
        }
    }

    /// The account, if there is one.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn account(
        &self,
        id: &AccountId,
        now: Timestamp,
    ) -> Result<Option<Arc<Account>>, TableError> {
        if let Some(account) = self.known.find(id, now) {
            return Ok(Some(account));
        }
        let Some(stored) = self
            .table
            .load(&Key::account(id), Consistency::Eventual)
            .await?
        else {
            return Ok(None);
        };
        let account = Arc::new(stored.item);
        self.known.keep(id.clone(), Arc::clone(&account), now);
        Ok(Some(account))
    }

    /// The policy of the account, if there is such an account. Nothing else of it is read.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn policy(
        &self,
        id: &AccountId,
        now: Timestamp,
    ) -> Result<Option<Arc<Policy>>, TableError> {
        if let Some(policy) = self.policies.find(id, now) {
            return Ok(Some(policy));
        }
        let Some(policy) = self.table.load_policy(id).await? else {
            return Ok(None);
        };
        let policy = Arc::new(policy);
        self.policies.keep(id.clone(), Arc::clone(&policy), now);
        Ok(Some(policy))
    }

    /// The account to which a sending identity, configuration set or SES tenant belongs.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn owner(
        &self,
        identity: &str,
        now: Timestamp,
    ) -> Result<Option<AccountId>, TableError> {
        let identity = identity.to_lowercase();
        if let Some(owner) = self.owners.find(&identity, now) {
            return Ok(Some(owner));
        }
        let Some(stored) = self
            .table
            .load(&Key::identity(&identity), Consistency::Eventual)
            .await?
        else {
            return Ok(None);
        };
        self.owners.keep(identity, stored.item.account.clone(), now);
        Ok(Some(stored.item.account))
    }
}
