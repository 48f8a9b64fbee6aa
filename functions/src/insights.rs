//! A second opinion from SES on whether a mailbox exists: `GetEmailAddressInsights`, without sending anything.
//!
//! It costs $0.01 a call (AWS price list of July 2026, *Recipients-Validation*), so it is asked only where an account's policy says
//! so, only by Check again, only after DNS has nothing against the address, and at most once a day for an address. It can keep a
//! block that stands; it never makes one. Not answering, and answering anything else than that there is no such mailbox, changes
//! nothing.

use core::time::Duration;

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::types::{EmailAddressInsightsConfidenceVerdict, EmailAddressInsightsVerdict};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use serde::{Deserialize, Serialize};

use crate::config::cause;
use crate::problem::chain;
use crate::table::item::{KeptOpinion, Key, Limited};
use crate::table::{Commit, Consistency, Table, TableError};

/// How long an opinion is kept: a second press on the same day learns nothing new, and costs as much.
const KEPT_S: i64 = 86_400;

/// How long SES has for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What SES says of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opinion {
    /// SES is sure that there is no such mailbox.
    NoSuchMailbox,
    /// Anything else: it exists, or SES cannot tell.
    Open,
}

impl Opinion {
    /// Every opinion there is.
    pub const ALL: &[Self] = &[Self::NoSuchMailbox, Self::Open];
}

/// SES, asked about mailboxes.
#[derive(Clone, Debug)]
pub struct Insights {
    client: Client,
}

/// SES could not be asked about a mailbox.
#[derive(Debug, thiserror::Error)]
enum InsightError {
    #[error("ask SES (GetEmailAddressInsights)")]
    Ses(#[source] Box<dyn core::error::Error + Send + Sync>),
    #[error(transparent)]
    Table(#[from] TableError),
}

impl InsightError {
    fn of<E>(error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + core::error::Error + Send + Sync + 'static,
    {
        Self::Ses(cause(error))
    }
}

/// An address of an account about which an opinion is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) address: &'a Address,
    pub(crate) key: &'a AddressKey,
}

impl Insights {
    /// SES, reached by `client`, whose own repetitions are switched off: each is paid for.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        let config = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(TIMEOUT)
                    .operation_timeout(TIMEOUT)
                    .build(),
            );
        Self {
            client: Client::from_conf(config.build()),
        }
    }

    /// SES's opinion on `mailbox`, remembered or asked for. `None` where there is none to be had: it is switched off, the day's
    /// calls are used up, or something is away.
    pub(crate) async fn opinion(
        &self,
        table: &Table,
        mailbox: Mailbox<'_>,
        most_per_day: u32,
        now: Timestamp,
    ) -> Option<Opinion> {
        if most_per_day == 0 {
            return None;
        }
        match self.ask_once(table, mailbox, most_per_day, now).await {
            Ok(opinion) => opinion,
            Err(error) => {
                tracing::warn!(error = chain(&error), address.key = %mailbox.key, "could not ask SES whether a mailbox exists");
                None
            }
        }
    }

    async fn ask_once(
        &self,
        table: &Table,
        mailbox: Mailbox<'_>,
        most_per_day: u32,
        now: Timestamp,
    ) -> Result<Option<Opinion>, InsightError> {
        let key = Key::opinion(mailbox.account, mailbox.key);
        let kept = table.load(&key, Consistency::Strong).await?;
        if let Some(kept) = kept.filter(|kept| kept.item.expires_at > now.as_second()) {
            return Ok(Some(kept.item.opinion));
        }
        let today = now.to_zoned(TimeZone::UTC).date();
        let limit = Limited::MailboxChecks;
        match table
            .count(mailbox.account, today, limit, most_per_day)
            .await?
        {
            Commit::Committed => {}
            Commit::Conflict => {
                tracing::info!(account = %mailbox.account, "the day's questions to SES about mailboxes are used up");
                return Ok(None);
            }
        }
        let opinion = self.ask(mailbox.address).await?;
        let kept = KeptOpinion {
            opinion,
            expires_at: now.as_second().saturating_add(KEPT_S),
        };
        table.keep(&key, &kept).await?;
        Ok(Some(opinion))
    }

    async fn ask(&self, address: &Address) -> Result<Opinion, InsightError> {
        let answer = self
            .client
            .get_email_address_insights()
            .email_address(address.as_str())
            .send()
            .await
            .map_err(InsightError::of)?;
        let validation = answer.mailbox_validation.as_ref();
        let exists = validation
            .and_then(|validation| validation.evaluations.as_ref())
            .and_then(|evaluations| evaluations.mailbox_exists.as_ref());
        let is_valid = validation.and_then(|validation| validation.is_valid.as_ref());
        Ok(read(exists, is_valid))
    }
}

/// High speaks for what is asked: a mailbox of whose existence there is weak indication or none, at an address that is valid with as
/// little, does not exist (SES API v2 reference, `EmailAddressInsightsVerdict`). One of both is no certainty.
fn read(
    exists: Option<&EmailAddressInsightsVerdict>,
    is_valid: Option<&EmailAddressInsightsVerdict>,
) -> Opinion {
    let is_low = |verdict: Option<&EmailAddressInsightsVerdict>| {
        let confidence = verdict.and_then(|verdict| verdict.confidence_verdict.as_ref());
        confidence == Some(&EmailAddressInsightsConfidenceVerdict::Low)
    };
    if is_low(exists) && is_low(is_valid) {
        Opinion::NoSuchMailbox
    } else {
        Opinion::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(exists: Option<&str>, is_valid: Option<&str>, expected: Opinion) {
        let verdict = |confidence: Option<&str>| {
            confidence.map(|confidence| {
                let verdict = EmailAddressInsightsVerdict::builder();
                verdict.confidence_verdict(confidence.into()).build()
            })
        };
        let opinion = read(verdict(exists).as_ref(), verdict(is_valid).as_ref());
        assert_eq!(opinion, expected, "{exists:?} {is_valid:?}");
    }

    #[test]
    fn only_certainty_that_there_is_no_mailbox_is_held_against_an_address() {
        check(Some("LOW"), Some("LOW"), Opinion::NoSuchMailbox);
        // The polarity: high is good for what is asked here.
        check(Some("HIGH"), Some("HIGH"), Opinion::Open);
        check(Some("MEDIUM"), Some("LOW"), Opinion::Open);
        check(Some("LOW"), Some("MEDIUM"), Opinion::Open);
        check(Some("LOW"), Some("HIGH"), Opinion::Open);
        check(Some("LOW"), None, Opinion::Open);
        check(None, Some("LOW"), Opinion::Open);
        check(Some("NONE"), Some("LOW"), Opinion::Open);
        check(None, None, Opinion::Open);
    }
}
