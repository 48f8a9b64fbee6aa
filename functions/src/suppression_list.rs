//! SES's own suppression list of this AWS account and region: looked up and cleared, one exact spelling at a time.
//!
//! Entries keep the letter case they were made with, sending ignores it, and the list calls need the exact stored case (SES
//! developer guide, *tenant-level suppression list*). So every spelling that is known has to be asked for. SES's global list can
//! be neither asked nor cleared.

use std::collections::BTreeSet;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::delete_suppressed_destination::DeleteSuppressedDestinationError;
use aws_sdk_sesv2::operation::get_suppressed_destination::GetSuppressedDestinationError;
use aws_sdk_sesv2::types::SuppressionListReason;
use jiff::Timestamp;

use crate::config::cause;

/// The list.
#[derive(Clone, Debug)]
pub struct SuppressionList {
    client: Client,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The spelling under which it stands.
    pub spelling: String,
    /// Whether it stands there for a complaint; else for a bounce, or for a reason that SES has added since.
    pub is_complaint: bool,
    /// The id of the complaint or bounce, else of the message, where SES knows one.
    pub source: Option<String>,
    /// When it was put there.
    pub since: Option<Timestamp>,
}

/// The list could not be asked or cleared.
#[derive(Debug, thiserror::Error)]
#[error("ask SES ({operation})")]
pub struct SuppressionListError {
    operation: &'static str,
    source: Box<dyn core::error::Error + Send + Sync>,
}

impl SuppressionListError {
    fn new<E>(operation: &'static str) -> impl FnOnce(SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + core::error::Error + Send + Sync + 'static,
    {
        move |error| Self {
            operation,
            source: cause(error),
        }
    }
}

impl SuppressionList {
    /// The list, reached by `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The entries under any of `spellings`. One after the other: SES allows one such call a second, with some burst (SES
    /// developer guide, *quotas*).
    ///
    /// # Errors
    /// When SES does not answer, or throttles time after time.
    pub async fn find(
        &self,
        spellings: &BTreeSet<String>,
    ) -> Result<Vec<Entry>, SuppressionListError> {
        let mut entries = Vec::new();
        for spelling in spellings {
            entries.extend(self.find_one(spelling).await?);
        }
        Ok(entries)
    }

    async fn find_one(&self, spelling: &str) -> Result<Option<Entry>, SuppressionListError> {
        let answer = match self
            .client
            .get_suppressed_destination()
            .email_address(spelling)
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetSuppressedDestinationError::is_not_found_exception) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(SuppressionListError::new("GetSuppressedDestination")(error)),
        };
        Ok(answer.suppressed_destination.map(|found| Entry {
            is_complaint: found.reason == SuppressionListReason::Complaint,
            since: Timestamp::new(found.last_update_time.secs(), 0).ok(),
            source: found
                .attributes
                .and_then(|attributes| attributes.feedback_id.or(attributes.message_id)),
            spelling: spelling.to_owned(),
        }))
    }

    /// Takes `spelling` off the list. One that is not there is as good.
    ///
    /// # Errors
    /// When SES does not answer, or throttles time after time.
    pub async fn remove(&self, spelling: &str) -> Result<(), SuppressionListError> {
        match self
            .client
            .delete_suppressed_destination()
            .email_address(spelling)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteSuppressedDestinationError::is_not_found_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(SuppressionListError::new("DeleteSuppressedDestination")(
                error,
            )),
        }
    }
}
