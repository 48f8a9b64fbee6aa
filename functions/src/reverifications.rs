//! Verifying by itself what could not be verified when it was saved: what is due, once a minute.
//!
//! A save whose verification finds nothing out leaves an item without an address in the due list of the table. When its time has
//! come, the lead's address of then is verified; what is found is applied as evidence, and the item goes. Where still nothing can be
//! found out, an item for later is written first. So a crash anywhere leaves at most something to be verified twice, which is
//! harmless, and so are two runs at once: both write the same keys.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use leadlight::account::AccountId;
use leadlight::address::AddressKey;
use leadlight::evidence::{AddressRecord, Fact, Piece};
use leadlight::lead::{Lead, LeadId};
use leadlight::verification::{InconclusiveCause, Verdict};
use serde::Serialize;

use crate::app::App;
use crate::apply::{ApplyError, Subject, addition, apply_evidence};
use crate::due;
use crate::invocation::Until;
use crate::problem::chain;
use crate::table::item::{DueVerification, Key, Stored};
use crate::table::{Consistency, Table, TableError};
use crate::verifier::{DEADLINE, Freshness, Verifier};

/// Minutes after a save at which it is verified again: after 1, 5 and 30 minutes more, after 2 hours more, then every 12 hours for
/// three days. A name server that is away for longer is not coming back, or is somebody's who does not mind.
const MINUTES_AFTER: [i64; 10] = [1, 6, 36, 156, 876, 1_596, 2_316, 3_036, 3_756, 4_476];
/// The most domains that are asked about at the same time: whoever answers slowly must not hold up the others, and name servers
/// are to be treated politely.
const DOMAINS_AT_ONCE: usize = 8;

/// What is due could not be read.
#[derive(Debug, thiserror::Error)]
#[error("read what is to be verified again")]
pub struct HandleError(#[from] TableError);

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
    /// Addresses that were verified, with a result.
    pub verified: usize,
    /// Items that nobody needed any more.
    pub needless: usize,
    /// Addresses of which still nothing could be found out.
    pub put_off: usize,
    /// Of those, the ones that will not be tried again.
    pub given_up: usize,
    /// Items that stay as they are, because something else failed or time was up.
    pub left: usize,
}

/// Notes that the address of `lead`, saved at `now`, is to be verified by itself.
pub(crate) async fn plan(
    table: &Table,
    account: &AccountId,
    lead: &LeadId,
    now: Timestamp,
) -> Result<(), TableError> {
    let Some(due_at) = next_due(now, now) else {
        return Ok(());
    };
    let due = DueVerification::new(account.clone(), lead.clone(), now, due_at);
    table.plan_verification(&due).await
}

fn next_due(since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    due::next(&MINUTES_AFTER, since, now)
}

/// Verifies what is due, until shortly before `deadline`.
///
/// # Errors
/// When the list of what is due cannot be read. What was not seen to stays due.
pub async fn handle(
    app: &App<Verifier>,
    deadline: Option<std::time::Instant>,
) -> Result<Report, HandleError> {
    handle_at(app, deadline, Timestamp::now()).await
}

/// Verifies what is due at `now`.
///
/// # Errors
/// As [`handle`].
pub async fn handle_at(
    app: &App<Verifier>,
    deadline: Option<std::time::Instant>,
    now: Timestamp,
) -> Result<Report, HandleError> {
    // A verification that is begun must be able to end, and be recorded.
    let until = Until::before(deadline, DEADLINE * 2);
    let run = Run { app, until, now };
    let mut report = Report::default();
    let mut after = None;
    loop {
        let page = app.table.due_verifications(now, after).await?;
        let (due, unreadable): (Vec<_>, Vec<_>) = page.due.into_iter().partition(Result::is_ok);
        for error in unreadable.into_iter().filter_map(Result::err) {
            tracing::error!(error = chain(&error), "could not read what is due");
            report.left += 1;
        }
        report.add(run.see_to(due.into_iter().flatten().collect()).await?);
        after = page.next;
        if after.is_none() || run.until.is_over() {
            break;
        }
    }
    if report != Report::default() {
        tracing::info!(
            verified = report.verified,
            needless = report.needless,
            put_off = report.put_off,
            given_up = report.given_up,
            left = report.left,
            "verified what was due"
        );
    }
    Ok(report)
}

impl Report {
    fn add(&mut self, other: Self) {
        self.verified += other.verified;
        self.needless += other.needless;
        self.put_off += other.put_off;
        self.given_up += other.given_up;
        self.left += other.left;
    }
}

/// One invocation.
struct Run<'a> {
    app: &'a App<Verifier>,
    until: Until,
    now: Timestamp,
}

/// Something due, with what the table has of it.
struct Task {
    due: DueVerification,
    lead: Lead,
    address: AddressKey,
    record: Option<Stored<AddressRecord>>,
}

impl Run<'_> {
    /// Sees to a page of what is due, domain by domain.
    async fn see_to(&self, due: Vec<DueVerification>) -> Result<Report, TableError> {
        let mut report = Report::default();
        let mut by_domain: BTreeMap<String, Vec<Task>> = BTreeMap::new();
        let (tasks, needless) = self.load(due).await?;
        for due in needless {
            match self.app.table.settle_verification(&due).await {
                Ok(()) => report.needless += 1,
                Err(error) => report.leave(&due, &error),
            }
        }
        for task in tasks {
            let domain = task.lead.address.domain().to_owned();
            by_domain.entry(domain).or_default().push(task);
        }
        let domains = by_domain.into_values().map(|tasks| self.verify_all(tasks));
        let mut reports = futures_util::stream::iter(domains).buffer_unordered(DOMAINS_AT_ONCE);
        while let Some(one) = reports.next().await {
            report.add(one);
        }
        Ok(report)
    }

    /// What is to be done, and what nobody needs: whose lead is gone, or whose present address was verified since.
    async fn load(
        &self,
        due: Vec<DueVerification>,
    ) -> Result<(Vec<Task>, Vec<DueVerification>), TableError> {
        let table = &self.app.table;
        let lead_keys: Vec<_> = due
            .iter()
            .map(|due| Key::lead(&due.account, &due.lead))
            .collect();
        let leads = table.load_many(&lead_keys, Consistency::Strong).await?;
        let (mut known, mut needless) = (Vec::new(), Vec::new());
        for (due, key) in due.into_iter().zip(&lead_keys) {
            match leads.get(key) {
                Some(lead) => {
                    let address = self.app.address_secret.key_of(&lead.item.address);
                    known.push((due, lead.item.clone(), address));
                }
                None => needless.push(due),
            }
        }
        let evidence_keys: Vec<_> = known
            .iter()
            .map(|(due, _, address)| Key::evidence(&due.account, address))
            .collect();
        let records = table.load_many(&evidence_keys, Consistency::Strong).await?;
        let mut tasks = Vec::new();
        for ((due, lead, address), key) in known.into_iter().zip(&evidence_keys) {
            let record = records.get(key).cloned();
            if record
                .as_ref()
                .is_some_and(|stored| is_verified_since(&stored.item, due.since))
            {
                needless.push(due);
            } else {
                tasks.push(Task {
                    due,
                    lead,
                    address,
                    record,
                });
            }
        }
        Ok((tasks, needless))
    }

    /// Verifies the addresses of one domain, one after the other: what the first found out is remembered for the others, and
    /// where nothing could be found out of the domain it is asked no more.
    async fn verify_all(&self, tasks: Vec<Task>) -> Report {
        let mut report = Report::default();
        let mut unknown = None;
        for task in tasks {
            if self.until.is_over() {
                report.left += 1;
                continue;
            }
            match self.verify(&task, &mut unknown).await {
                Ok(Outcome::Verified) => report.verified += 1,
                Ok(Outcome::Needless) => report.needless += 1,
                Ok(Outcome::PutOff) => report.put_off += 1,
                Ok(Outcome::GivenUp) => {
                    report.put_off += 1;
                    report.given_up += 1;
                }
                Err(error) => report.leave(&task.due, &error),
            }
        }
        report
    }

    async fn verify(
        &self,
        task: &Task,
        unknown: &mut Option<InconclusiveCause>,
    ) -> Result<Outcome, ApplyError> {
        if let Some(cause) = *unknown {
            return self.put_off(task, cause).await;
        }
        let due = &task.due;
        let Some(policy) = self.app.accounts.policy(&due.account, self.now).await? else {
            self.app.table.settle_verification(due).await?;
            return Ok(Outcome::Needless);
        };
        let verification = self
            .app
            .services
            .verify(&task.lead.address, Freshness::Remembered)
            .await;
        if let Verdict::Inconclusive { cause } = verification.verdict {
            *unknown = Some(cause);
            return self.put_off(task, cause).await;
        }
        let fact = Fact::Verification {
            verdict: verification.verdict,
        };
        let piece = Piece::new(fact, &self.source(due), &task.address, self.now, self.now);
        let subject = Subject {
            account: &due.account,
            policy: &policy,
            address: &task.address,
        };
        let mut is_known = false;
        let addition = |current: Option<&AddressRecord>| {
            // Somebody else was faster, or saved the lead again: one result is enough.
            is_known = current.is_some_and(|record| is_verified_since(record, due.since));
            let piece = (!is_known).then(|| piece.clone());
            addition(&task.lead.address, piece)
        };
        let loaded = task.record.clone();
        apply_evidence(&self.app.table, subject, loaded, addition, self.now).await?;
        self.app.table.settle_verification(due).await?;
        Ok(if is_known {
            Outcome::Needless
        } else {
            Outcome::Verified
        })
    }

    /// The same for whoever sees to the same item, so that evidence is not told twice.
    fn source(&self, due: &DueVerification) -> String {
        let key = format!("{:?}", Key::due(due));
        let mut source = self
            .app
            .address_secret
            .fingerprint("reverification", key.as_bytes());
        source.truncate(16);
        source
    }

    /// Writes down when it is tried again, and only then that this time is over.
    async fn put_off(&self, task: &Task, cause: InconclusiveCause) -> Result<Outcome, ApplyError> {
        let due = &task.due;
        let Some(due_at) = next_due(due.since, self.now) else {
            tracing::warn!(
                account = %due.account,
                address.key = %task.address,
                cause = cause.code(),
                "an address could not be verified for three days; it is not tried again"
            );
            self.app.table.settle_verification(due).await?;
            return Ok(Outcome::GivenUp);
        };
        let (account, lead) = (due.account.clone(), due.lead.clone());
        let later = DueVerification::new(account, lead, due.since, due_at);
        self.app.table.plan_verification(&later).await?;
        self.app.table.settle_verification(due).await?;
        Ok(Outcome::PutOff)
    }
}

enum Outcome {
    Verified,
    Needless,
    PutOff,
    GivenUp,
}

impl Report {
    fn leave(&mut self, due: &DueVerification, error: &(dyn core::error::Error + 'static)) {
        self.left += 1;
        tracing::error!(error = chain(error), account = %due.account, "could not see to what is due");
    }
}

fn is_verified_since(record: &AddressRecord, since: Timestamp) -> bool {
    let is_verification = |piece: &Piece| matches!(piece.fact, Fact::Verification { .. });
    let mut pieces = record.evidence.pieces();
    pieces.any(|piece| is_verification(piece) && piece.at >= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_and_end_after_three_days() {
        let since: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut now = since;
        let mut pauses = Vec::new();
        while let Some(next) = next_due(since, now) {
            pauses.push(next.duration_since(now).as_mins());
            now = next;
        }
        assert_eq!(
            pauses,
            [1, 5, 30, 120, 720, 720, 720, 720, 720, 720],
            "in minutes"
        );
        assert_eq!(now.duration_since(since).as_hours(), 74);
    }

    #[test]
    fn what_was_slept_through_is_not_caught_up_with() {
        let since: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let next = |now: &str| next_due(since, now.parse().unwrap());
        assert_eq!(
            next("2026-11-22T11:00:00Z"),
            Some("2026-11-22T12:36:00Z".parse().unwrap())
        );
        assert_eq!(next("2026-11-25T12:36:00Z"), None);
    }
}
