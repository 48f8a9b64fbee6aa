//! The accounts as this process knows them: read from the table, kept for a minute.
//!
//! Whether an account or identity exists is asked again each time it is not known, so that a new one works at once. A changed
//! policy or a revoked key is followed within [`KEPT_FOR`].

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use leadlight::account::AccountId;
use leadlight::policy::Policy;

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
            known: Kept::default(),
            policies: Kept::default(),
            owners: Kept::default(),
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

#[derive(Debug)]
struct Kept<K, V>(Mutex<HashMap<K, (Timestamp, V)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    fn find(&self, key: &K, now: Timestamp) -> Option<V> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(key)
            .filter(|(read_at, _)| now.duration_since(*read_at).abs() < KEPT_FOR)
            .map(|(_, value)| value.clone())
    }

    fn keep(&self, key: K, value: V, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        known.insert(key, (now, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_forgotten_after_a_minute() {
        let kept = Kept::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        kept.keep("a", 1, now);
        assert_eq!(
            kept.find(&"a", now + SignedDuration::from_secs(59)),
            Some(1)
        );
        assert_eq!(kept.find(&"a", now + KEPT_FOR), None);
        assert_eq!(kept.find(&"b", now), None);
    }
}
