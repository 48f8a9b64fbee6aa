//! SES's own suppression lists: this AWS account's in this region, and an SES tenant's. They mirror what SES does; the record is ours.
//!
//! Entries keep the letter case they were made with, sending ignores it, and the list calls need the exact stored case (SES
//! developer guide, *tenant-level suppression list*). So every spelling that is known is asked for, one call after the other: SES
//! allows about one a second (*quotas*). SES's global list can be neither asked nor cleared.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::Config;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::delete_suppressed_destination::DeleteSuppressedDestinationError;
use aws_sdk_sesv2::operation::get_suppressed_destination::GetSuppressedDestinationError;
use aws_sdk_sesv2::primitives::DateTime;
use aws_sdk_sesv2::types::SuppressionListReason;
use jiff::Timestamp;
use leadlight::address::AddressKey;
use leadlight::evidence::{self, Attribution, Fact, Piece, Report};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::config::cause;

/// How often SES lets itself be asked about its lists (SES developer guide, *quotas*). Some burst is usual and not promised.
const QUOTA_INTERVAL: Duration = Duration::from_secs(1);
/// The longest that is waited on top of a whole interval, so that presses at the same moment do not meet again.
const JITTER: Duration = Duration::from_millis(120);
/// The longest pause where others use the quota up.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often a call is made before it is given up. Somebody who waits gives up earlier.
const MAX_ATTEMPTS: u32 = 8;
/// How long a page may take. It is longer than an entry, and nobody waits for it at a button.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most entries of a page (SES API v2 reference, `ListSuppressedDestinations`).
const PAGE_SIZE: i32 = 1_000;

/// SES's lists, reached by one client. Clones share what they know of the quota.
#[derive(Clone, Debug)]
pub struct SuppressionList {
    client: Client,
    /// When SES last let a call of this process pass.
    admitted_at: Arc<Mutex<Option<Instant>>>,
}

/// Which of SES's lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// The one of this SES tenant.
    Tenant(String),
    /// The one that the whole AWS account shares in this region.
    Account,
}

impl List {
    /// The lists that stand between an account's mail and its recipients. The tenant's first: where there is one, it is the
    /// likelier to hold an address.
    #[must_use]
    pub fn of(ses_tenant: Option<&str>) -> Vec<Self> {
        let tenant = ses_tenant.map(|name| Self::Tenant(name.to_owned()));
        tenant.into_iter().chain([Self::Account]).collect()
    }

    fn tenant(&self) -> Option<String> {
        match self {
            Self::Tenant(name) => Some(name.clone()),
            Self::Account => None,
        }
    }
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// On which list it stands.
    pub list: List,
    /// The spelling under which it stands.
    pub spelling: String,
    /// Whether it stands there for a complaint; else for a bounce, or for a reason that SES has added since.
    pub is_complaint: bool,
    /// The id of the complaint or bounce, else of the message, where SES knows one. A page of a list never has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// When it was put there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
}

impl Entry {
    /// The evidence that the entry is about the address `key`: a complaint, or that SES withholds mail. The same entry always
    /// makes the same piece, and that of the very complaint which SES published, if it names one.
    #[must_use]
    pub fn piece(&self, key: &AddressKey, now: Timestamp) -> Piece {
        let (list, classification) = match &self.list {
            List::Account => (
                evidence::SuppressionList::Account,
                "OnAccountSuppressionList",
            ),
            List::Tenant(_) => (evidence::SuppressionList::Tenant, "OnTenantSuppressionList"),
        };
        let report = Report {
            message: None,
            classification: classification.to_owned(),
            status: None,
            diagnostic: None,
        };
        let fact = if self.is_complaint {
            Fact::Complaint {
                attribution: Attribution::Certain,
                report,
            }
        } else {
            Fact::Withheld { list, report }
        };
        let source = self.source.as_deref().unwrap_or("ses-suppression-list");
        let at = self.since.map_or(now, |since| since.min(now));
        Piece::new(fact, source, key, at, now)
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its entries, in SES's order.
    pub entries: Vec<Entry>,
    /// Asks for the next page; `None` after the last.
    pub next: Option<String>,
}

/// A list could not be asked or cleared.
#[derive(Debug, thiserror::Error)]
#[error("ask SES ({operation})")]
pub struct SuppressionListError {
    operation: &'static str,
    fault: Fault,
    source: Box<dyn core::error::Error + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Above the quota.
    Throttled,
    /// No answer, or SES's own failure.
    Unavailable,
    /// An answer that will not change.
    Refused,
}

impl SuppressionListError {
    fn new<E>(operation: &'static str) -> impl FnOnce(SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + core::error::Error + Send + Sync + 'static,
    {
        move |error| Self {
            operation,
            fault: Fault::of(&error),
            source: cause(error),
        }
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self.fault {
            Fault::Throttled | Fault::Unavailable => true,
            Fault::Refused => false,
        }
    }
}

impl Fault {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Self {
        let code = error.as_service_error().and_then(|error| error.code());
        if code.is_some_and(|code| code.contains("Throttl") || code.contains("TooManyRequests")) {
            return Self::Throttled;
        }
        match error
            .raw_response()
            .map(|response| response.status().as_u16())
        {
            Some(429) => Self::Throttled,
            Some(500..) | None => Self::Unavailable,
            Some(_) => Self::Refused,
        }
    }
}

impl SuppressionList {
    /// The lists, reached by `client`, whose own repetitions are switched off: it does not know of the quota.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        let config = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled());
        Self {
            client: Client::from_conf(config.build()),
            admitted_at: Arc::default(),
        }
    }

    /// The entries under any of `spellings`, the likeliest of which stands first, on each of `lists`. A complaint ends the
    /// search. Where SES throttles, the first entry found on a list is enough: the next press finds the others, and a person
    /// waits.
    ///
    /// # Errors
    /// When SES does not answer, or throttles time after time.
    pub async fn find(
        &self,
        lists: &[List],
        spellings: &[String],
    ) -> Result<Vec<Entry>, SuppressionListError> {
        let mut entries = Vec::new();
        for list in lists {
            let mut is_found = false;
            for spelling in spellings {
                let asked = if is_found {
                    self.ask(list, spelling).await
                } else {
                    self.look(list, spelling).await
                };
                match asked {
                    Ok(None) => {}
                    Ok(Some(entry)) if entry.is_complaint => return Ok(vec![entry]),
                    Ok(Some(entry)) => {
                        entries.push(entry);
                        is_found = true;
                    }
                    Err(error) if is_found && error.fault == Fault::Throttled => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(entries)
    }

    /// The entry of `list` under exactly this spelling, with all that SES knows of it.
    ///
    /// # Errors
    /// When SES does not answer, or throttles time after time.
    pub async fn look(
        &self,
        list: &List,
        spelling: &str,
    ) -> Result<Option<Entry>, SuppressionListError> {
        self.patiently(|| self.ask(list, spelling)).await
    }

    async fn ask(
        &self,
        list: &List,
        spelling: &str,
    ) -> Result<Option<Entry>, SuppressionListError> {
        let answer = match self
            .client
            .get_suppressed_destination()
            .email_address(spelling)
            .set_tenant_name(list.tenant())
            .send()
            .await
        {
            Ok(answer) => answer,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(GetSuppressedDestinationError::is_not_found_exception) =>
            {
                self.admitted();
                return Ok(None);
            }
            Err(error) => return Err(SuppressionListError::new("GetSuppressedDestination")(error)),
        };
        self.admitted();
        Ok(answer.suppressed_destination.map(|found| Entry {
            list: list.clone(),
            spelling: spelling.to_owned(),
            is_complaint: found.reason == SuppressionListReason::Complaint,
            since: timestamp(found.last_update_time),
            source: found
                .attributes
                .and_then(|attributes| attributes.feedback_id.or(attributes.message_id)),
        }))
    }

    /// Takes `spelling` off `list`. One that is not there is as good.
    ///
    /// # Errors
    /// When SES does not answer, or throttles time after time.
    pub async fn remove(&self, list: &List, spelling: &str) -> Result<(), SuppressionListError> {
        self.patiently(|| self.delete(list, spelling)).await
    }

    async fn delete(&self, list: &List, spelling: &str) -> Result<(), SuppressionListError> {
        let deleted = self
            .client
            .delete_suppressed_destination()
            .email_address(spelling)
            .set_tenant_name(list.tenant())
            .send()
            .await;
        match deleted {
            Ok(_) => {}
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DeleteSuppressedDestinationError::is_not_found_exception) => {}
            Err(error) => {
                return Err(SuppressionListError::new("DeleteSuppressedDestination")(
                    error,
                ));
            }
        }
        self.admitted();
        Ok(())
    }

    /// The page of `list` that `token` asks for; without one the first.
    ///
    /// # Errors
    /// When SES does not answer, throttles time after time, or knows the tenant or the token no more.
    pub async fn page(
        &self,
        list: &List,
        token: Option<&str>,
    ) -> Result<Page, SuppressionListError> {
        self.patiently(|| self.list(list, token)).await
    }

    async fn list(&self, list: &List, token: Option<&str>) -> Result<Page, SuppressionListError> {
        let patience = TimeoutConfig::builder()
            .operation_attempt_timeout(PAGE_TIMEOUT)
            .operation_timeout(PAGE_TIMEOUT);
        let answer = self
            .client
            .list_suppressed_destinations()
            .page_size(PAGE_SIZE)
            .set_tenant_name(list.tenant())
            .set_next_token(token.map(str::to_owned))
            .customize()
            .config_override(Config::builder().timeout_config(patience.build()))
            .send()
            .await
            .map_err(SuppressionListError::new("ListSuppressedDestinations"))?;
        self.admitted();
        let summaries = answer.suppressed_destination_summaries.unwrap_or_default();
        let entries = summaries.into_iter().map(|summary| Entry {
            list: list.clone(),
            is_complaint: summary.reason == SuppressionListReason::Complaint,
            since: timestamp(summary.last_update_time),
            source: None,
            spelling: summary.email_address,
        });
        Ok(Page {
            entries: entries.collect(),
            next: answer.next_token,
        })
    }

    /// Makes a call until it is answered: again when the quota allows it, or after a moment.
    async fn patiently<T, F>(&self, call: impl Fn() -> F) -> Result<T, SuppressionListError>
    where
        F: Future<Output = Result<T, SuppressionListError>>,
    {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error) if error.is_temporary() && attempt < MAX_ATTEMPTS => attempt += 1,
                answer => return answer,
            }
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// Until the next interval of the quota, if it was we who used this one; else a random part of it.
    fn pause(&self) -> Duration {
        let admitted_at = *self
            .admitted_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let rest = admitted_at.and_then(|at| QUOTA_INTERVAL.checked_sub(at.elapsed()));
        match rest {
            Some(rest) => rest + JITTER.mul_f64(fastrand::f64()),
            None => LONGEST_PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0),
        }
    }

    fn admitted(&self) {
        *self
            .admitted_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// SES's time, to the millisecond that it has.
fn timestamp(time: DateTime) -> Option<Timestamp> {
    let rounded = time.as_nanos().checked_add(500_000)?.div_euclid(1_000_000);
    Timestamp::from_millisecond(i64::try_from(rounded).ok()?).ok()
}
