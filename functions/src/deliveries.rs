//! Webhooks: what is due is delivered, signed as Standard Webhooks has it, and tried again until it arrives.
//!
//! Two things set it off: the record of a new delivery in the table's stream, tried at once, and a schedule, once a minute, which sees
//! to whatever is due. A delivery leaves the list when it arrived, and is written down for later before it leaves the list for now; so
//! it arrives at least once, perhaps twice, under one id. A receiver that is slow or away holds up nobody but itself.

mod courier;
mod signature;

use core::time::Duration;
use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Diagnostic;
use leadlight::account::AccountId;
use leadlight::api::DisabledBecause;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::apply::{ApplyError, apply};
use crate::changes::record;
use crate::due;
use crate::invocation::Until;
use crate::problem::chain;
use crate::table::item::{DeliveryFailure, Disabled, DueDelivery, Key, Place, Webhook};
use crate::table::{Consistency, TableError};
pub use courier::{Courier, Reach, Refused, UrlError, check_url};
pub(crate) use signature::new_secret;

/// Minutes after a change at which its delivery is tried again: Standard Webhooks' schedule of some three days, on whole minutes.
const MINUTES_AFTER: [i64; 9] = [1, 5, 35, 155, 455, 1_055, 1_895, 3_095, 4_535];
/// How long every delivery must fail before a webhook is not used any more: longer than one delivery is tried.
const FAILING_FOR: SignedDuration = SignedDuration::from_hours(5 * 24);
/// How many accounts' receivers are spoken to at the same time.
const ACCOUNTS_AT_ONCE: usize = 8;
/// How many deliveries one receiver gets at the same time, once it answered one.
const DELIVERIES_AT_ONCE: usize = 8;
/// What one delivery takes at most, with what is written about it.
const LONGEST_DELIVERY: Duration = Duration::from_secs(13);

/// What is due could not be read, or the event is none of ours.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The event is of the stream, but cannot be read.
    #[error("read the event")]
    UnknownEvent,
    /// The list cannot be read.
    #[error("read what is to be delivered")]
    Table(#[from] TableError),
}

impl From<HandleError> for Diagnostic {
    fn from(error: HandleError) -> Self {
        Self {
            error_type: "HandleError".to_owned(),
            error_message: chain(&error),
        }
    }
}

/// What one run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Deliveries that arrived.
    pub delivered: usize,
    /// Deliveries that failed and are tried again.
    pub put_off: usize,
    /// Deliveries that failed for the last time.
    pub given_up: usize,
    /// Deliveries that have nowhere to go any more: the webhook was removed or is disabled.
    pub dropped: usize,
    /// Deliveries that stay as they are: time was up, or the table failed.
    pub left: usize,
}

/// Handles an event: of the table's stream, else of the schedule. A stream is never held up: what is not delivered is due later.
///
/// # Errors
/// When the list cannot be read. What was not seen to stays due.
pub async fn handle(
    app: &App<Courier>,
    event: Value,
    deadline: Option<std::time::Instant>,
) -> Result<Value, HandleError> {
    let now = Timestamp::now();
    if event.get("Records").is_some() {
        deliver_new(app, event, deadline, now).await?;
        return Ok(json!({ "batchItemFailures": [] }));
    }
    deliver_due(app, deadline, now).await?;
    Ok(Value::Null)
}

/// Delivers what a stream says is new.
///
/// # Errors
/// When the event is none of a stream.
pub async fn deliver_new(
    app: &App<Courier>,
    event: Value,
    deadline: Option<std::time::Instant>,
    now: Timestamp,
) -> Result<Report, HandleError> {
    let records = record::open(event).ok_or(HandleError::UnknownEvent)?;
    let new = records
        .iter()
        .filter(|record| record.place == Place::Delivery && record.old.is_none());
    let due: Vec<DueDelivery> = new
        .filter_map(|record| record.new.read::<DueDelivery>().ok()?)
        .map(|stored| stored.item)
        // A delivery that was put off is written down as a new one, and its time is not now.
        .filter(DueDelivery::is_first)
        .collect();
    let run = Run::new(app, deadline, now);
    Ok(run.deliver(due, Occasion::New).await)
}

/// Delivers what is due at `now`.
///
/// # Errors
/// When the list cannot be read.
pub async fn deliver_due(
    app: &App<Courier>,
    deadline: Option<std::time::Instant>,
    now: Timestamp,
) -> Result<Report, HandleError> {
    let run = Run::new(app, deadline, now);
    let (mut report, mut after) = (Report::default(), None);
    loop {
        let page = app.table.due_deliveries(now, after).await?;
        let mut due = Vec::new();
        for one in page.due {
            match one {
                Ok(one) => due.push(one),
                Err(error) => {
                    tracing::error!(error = chain(&error), "could not read what is due");
                    report.left += 1;
                }
            }
        }
        report.add(run.deliver(due, Occasion::Due).await);
        after = page.next;
        if after.is_none() || run.until.is_over() {
            break;
        }
    }
    if report != Report::default() {
        tracing::info!(
            delivered = report.delivered,
            put_off = report.put_off,
            given_up = report.given_up,
            dropped = report.dropped,
            left = report.left,
            "delivered what was due"
        );
    }
    Ok(report)
}

impl DueDelivery {
    /// The delivery of something that happened at `since`, as it is written down first.
    pub(crate) fn first(account: AccountId, id: String, body: String, since: Timestamp) -> Self {
        let due = Self {
            account,
            id,
            body,
            since,
            due_at: since,
            expires_at: 0,
        };
        let due_at = next_due(since, since).unwrap_or(since);
        due.at(due_at)
    }

    fn is_first(&self) -> bool {
        next_due(self.since, self.since).is_none_or(|first| self.due_at <= first)
    }
}

fn next_due(since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    due::next(&MINUTES_AFTER, since, now)
}

impl Report {
    fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.put_off += other.put_off;
        self.given_up += other.given_up;
        self.dropped += other.dropped;
        self.left += other.left;
    }

    fn count(&mut self, outcome: Result<Outcome, ApplyError>) {
        match outcome {
            Ok(Outcome::Delivered) => self.delivered += 1,
            Ok(Outcome::PutOff) => self.put_off += 1,
            Ok(Outcome::GivenUp) => self.given_up += 1,
            Ok(Outcome::Dropped) => self.dropped += 1,
            Err(error) => {
                tracing::error!(
                    error = chain(&error),
                    "could not write down what became of a delivery; it stays due"
                );
                self.left += 1;
            }
        }
    }
}

/// What brought a delivery about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    New,
    Due,
}

/// What became of a delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Delivered,
    PutOff,
    GivenUp,
    Dropped,
}

/// One invocation.
struct Run<'a> {
    app: &'a App<Courier>,
    until: Until,
    now: Timestamp,
}

impl<'a> Run<'a> {
    fn new(app: &'a App<Courier>, deadline: Option<std::time::Instant>, now: Timestamp) -> Self {
        // A delivery that is begun must be able to end, and be written down.
        let until = Until::before(deadline, LONGEST_DELIVERY);
        Self { app, until, now }
    }

    async fn deliver(&self, due: Vec<DueDelivery>, occasion: Occasion) -> Report {
        let mut by_account: BTreeMap<AccountId, Vec<DueDelivery>> = BTreeMap::new();
        for one in due {
            by_account.entry(one.account.clone()).or_default().push(one);
        }
        let accounts = by_account
            .into_iter()
            .map(|(account, due)| async move { self.deliver_to(&account, due, occasion).await });
        let mut reports = stream::iter(accounts).buffer_unordered(ACCOUNTS_AT_ONCE);
        let mut report = Report::default();
        while let Some(one) = reports.next().await {
            report.add(one);
        }
        report
    }

    /// One receiver: the first delivery shows whether it is there. If not, the others are put off untried.
    async fn deliver_to(
        &self,
        account: &AccountId,
        due: Vec<DueDelivery>,
        occasion: Occasion,
    ) -> Report {
        let mut report = Report::default();
        let key = Key::webhook(account);
        let webhook = match self.app.table.load(&key, Consistency::Strong).await {
            Ok(webhook) => webhook.map(|stored| stored.item),
            Err(error) => {
                tracing::error!(error = chain(&error), "could not read a webhook");
                report.left += due.len();
                return report;
            }
        };
        let Some(webhook) = webhook.filter(|webhook| webhook.disabled.is_none()) else {
            for one in &due {
                let dropped = self.app.table.settle_delivery(one).await;
                report.count(dropped.map(|()| Outcome::Dropped).map_err(Into::into));
            }
            return report;
        };
        if occasion == Occasion::New && webhook.failing_since.is_some() {
            // Whether it is back is found out once a minute, not once for each change.
            report.put_off += due.len();
            return report;
        }
        let mut due = due.into_iter();
        let Some(first) = due.next() else {
            return report;
        };
        let probe = self.try_one(&webhook, first).await;
        let arrives = matches!(probe, Ok(Outcome::Delivered));
        report.count(probe);
        let rest = due.map(|one| async {
            if self.until.is_over() {
                return None;
            }
            Some(if arrives {
                self.try_one(&webhook, one).await
            } else {
                self.put_off(one).await
            })
        });
        let mut outcomes = stream::iter(rest).buffer_unordered(DELIVERIES_AT_ONCE);
        while let Some(outcome) = outcomes.next().await {
            match outcome {
                Some(outcome) => report.count(outcome),
                None => report.left += 1,
            }
        }
        report
    }

    async fn try_one(&self, webhook: &Webhook, due: DueDelivery) -> Result<Outcome, ApplyError> {
        if self.until.is_over() {
            return self.put_off(due).await;
        }
        let table = &self.app.table;
        let headers = signature::headers(&webhook.secrets, &due.id, &due.body, self.now);
        match self
            .app
            .services
            .deliver(&webhook.url, headers, due.body.clone())
            .await
        {
            Ok(()) => {
                if webhook.failing_since.is_some() {
                    self.note(&due.account, webhook, |noted| {
                        noted.failing_since = None;
                    })
                    .await?;
                }
                table.settle_delivery(&due).await?;
                Ok(Outcome::Delivered)
            }
            Err(refused) => {
                tracing::warn!(
                    account = %due.account,
                    event.id = due.id,
                    error = chain(&refused),
                    "a webhook did not take a delivery"
                );
                self.note_failure(&due.account, webhook, &refused).await?;
                if refused.is_gone() {
                    table.settle_delivery(&due).await?;
                    return Ok(Outcome::Dropped);
                }
                self.put_off(due).await
            }
        }
    }

    /// Writes down when it is tried again, and only then that this time is over.
    async fn put_off(&self, due: DueDelivery) -> Result<Outcome, ApplyError> {
        let table = &self.app.table;
        let Some(due_at) = next_due(due.since, self.now) else {
            tracing::error!(
                account = %due.account,
                event.id = due.id,
                "a delivery failed for three days; it is not tried again"
            );
            table.settle_delivery(&due).await?;
            return Ok(Outcome::GivenUp);
        };
        if due_at <= due.due_at {
            // It stands in the list for that time already.
            return Ok(Outcome::PutOff);
        }
        table.plan_delivery(&due.clone().at(due_at)).await?;
        table.settle_delivery(&due).await?;
        Ok(Outcome::PutOff)
    }

    async fn note_failure(
        &self,
        account: &AccountId,
        webhook: &Webhook,
        refused: &Refused,
    ) -> Result<(), ApplyError> {
        let failure = DeliveryFailure {
            at: self.now,
            what: refused.to_string(),
        };
        self.note(account, webhook, |noted| {
            let since = *noted.failing_since.get_or_insert(self.now);
            let is_new = noted.last_failure.as_ref().map(|last| &last.what) != Some(&failure.what);
            if is_new {
                noted.last_failure = Some(failure.clone());
            }
            let has_failed_for_days = self.now.duration_since(since) >= FAILING_FOR;
            let because = if refused.is_gone() {
                Some(DisabledBecause::Gone)
            } else {
                has_failed_for_days.then_some(DisabledBecause::Failing)
            };
            noted.disabled = because.map(|because| Disabled {
                at: self.now,
                because,
            });
        })
        .await
    }

    /// Changes what is noted of a webhook, unless the account changed it since: then what was found out is about another.
    async fn note(
        &self,
        account: &AccountId,
        webhook: &Webhook,
        change: impl Fn(&mut Webhook),
    ) -> Result<(), ApplyError> {
        let key = Key::webhook(account);
        let loaded = self.app.table.load(&key, Consistency::Strong).await?;
        let changed = |stored: Option<&Webhook>| {
            let is_same = |stored: &&Webhook| {
                stored.url == webhook.url
                    && stored.changed_at == webhook.changed_at
                    && stored.disabled.is_none()
            };
            let mut noted = stored.filter(is_same)?.clone();
            change(&mut noted);
            Some(noted)
        };
        apply(&self.app.table, &key, loaded, changed).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_ten_times_in_three_days() {
        let since: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let (mut now, mut tries) = (since, Vec::new());
        while let Some(next) = next_due(since, now) {
            tries.push(next.duration_since(since).as_mins());
            now = next;
        }
        assert_eq!(tries, MINUTES_AFTER);
        let first = DueDelivery::first(
            AccountId::parse("acme").unwrap(),
            "msg_1".to_owned(),
            "{}".to_owned(),
            since,
        );
        assert!(first.is_first());
        assert!(
            !first
                .at(next_due(since, now.min(since + SignedDuration::from_mins(2))).unwrap())
                .is_first()
        );
    }
}
