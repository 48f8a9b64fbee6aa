//! The list of what is to be delivered to webhooks, and the webhooks themselves.

use jiff::Timestamp;
use leadlight::account::AccountId;

use super::item::{self, DueDelivery, Key, Webhook};
use super::{DueCursor, DuePage, Table, TableError};

impl Table {
    /// Notes that something is to be delivered. Saying it again changes nothing.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn plan_delivery(&self, due: &DueDelivery) -> Result<(), TableError> {
        self.keep(&Key::due_delivery(due), due).await
    }

    /// A page of what was to be delivered by `now`.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        after: Option<DueCursor>,
    ) -> Result<DuePage<DueDelivery>, TableError> {
        self.due(item::due_deliveries_until(now), after).await
    }

    /// Takes something off the list of what is to be delivered. What is not there is as good.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn settle_delivery(&self, due: &DueDelivery) -> Result<(), TableError> {
        self.remove(&Key::due_delivery(due)).await
    }

    /// Forgets the webhook of an account.
    ///
    /// # Errors
    /// When the table cannot be asked.
    pub async fn remove_webhook(&self, account: &AccountId) -> Result<(), TableError> {
        self.remove(&Key::<Webhook>::webhook(account)).await
    }
}
