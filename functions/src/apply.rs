//! The spine of every write: load, merge, assess, commit.
//!
//! A commit is one conditional write of one item. What is known already is not written again; a lost race loads and merges
//! again, a bounded number of times, with full jitter between. Complaints reach the leads of an address before they reach its
//! evidence, so that a crash between the two is finished by the redelivery.

use core::time::Duration;
use std::borrow::Cow;

use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use leadlight::assessment::{Assessment, Condition, assess};
use leadlight::evidence::{AddressRecord, Evidence, Piece};
use leadlight::lead::{Lead, LeadAssessment, LeadId};
use leadlight::policy::Policy;

use crate::app::Store;
use crate::table::item::{Item, Key, Stored};
use crate::table::{Commit, Consistency, Table, TableError};

/// How often a lost race is run again.
const MAX_RETRIES: u32 = 5;
/// The longest pause before the first repetition; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// Counts the repetitions of something that is tried against others.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    retries: u32,
}

/// Others were faster, time after time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("win a race for an item of the table")]
pub struct Contended;

impl Attempts {
    /// Waits a random part of the next pause, or says that it was enough.
    pub(crate) async fn pause(&mut self) -> Result<(), Contended> {
        if self.retries == MAX_RETRIES {
            return Err(Contended);
        }
        let longest = FIRST_PAUSE * 2_u32.pow(self.retries);
        self.retries += 1;
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        Ok(())
    }
}

/// Why something could not be applied. Trying the whole again later is safe.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The table failed.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Every race for the item was lost.
    #[error(transparent)]
    Contended(#[from] Contended),
}

/// How a change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Committed,
    /// The item says so already; nothing was written.
    AlreadyKnown,
}

/// Changes one item. `loaded` is the item as it was read, `change` says what it becomes; `None` leaves it as it is. After a
/// lost race `change` is asked again, of the item as the winner left it. Gives back the item as it stands then.
pub(crate) async fn apply<T: Item + Clone + PartialEq>(
    table: &Table,
    key: &Key<T>,
    mut loaded: Option<Stored<T>>,
    mut change: impl FnMut(Option<&T>) -> Option<T>,
) -> Result<(Outcome, Option<Stored<T>>), ApplyError> {
    let mut attempts = Attempts::default();
    loop {
        let before = loaded.as_ref().map(|stored| &stored.item);
        let Some(after) = change(before).filter(|after| Some(after) != before) else {
            return Ok((Outcome::AlreadyKnown, loaded));
        };
        let read = loaded.as_ref().map(|stored| stored.version);
        match table.commit(key, &after, read).await? {
            Commit::Committed => {
                return Ok((Outcome::Committed, Some(Stored::written(after, read))));
            }
            Commit::Conflict => attempts.pause().await?,
        }
        loaded = table.load(key, Consistency::Strong).await?;
    }
}

/// A lead with the evidence of its address, as loaded.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) lead: Stored<Lead>,
    pub(crate) address: AddressKey,
    pub(crate) record: Option<Stored<AddressRecord>>,
}

impl Known {
    /// Loads the lead `id` and the evidence of its address; `None` if the account has no such lead.
    pub(crate) async fn load(
        store: &Store,
        account: &AccountId,
        id: &LeadId,
        consistency: Consistency,
    ) -> Result<Option<Self>, TableError> {
        let Some(lead) = store
            .table
            .load(&Key::lead(account, id), consistency)
            .await?
        else {
            return Ok(None);
        };
        let address = store.address_secret.key_of(&lead.item.address);
        let record = store
            .table
            .load(&Key::evidence(account, &address), consistency)
            .await?;
        Ok(Some(Self {
            lead,
            address,
            record,
        }))
    }

    /// The evidence of the lead's address; empty if nothing is known of it.
    pub(crate) fn evidence(&self) -> Cow<'_, Evidence> {
        evidence_of(self.record.as_ref().map(|stored| &stored.item))
    }

    /// What is to be said of the lead.
    pub(crate) fn assess(&self, policy: &Policy, now: Timestamp) -> LeadAssessment {
        assess_lead(&self.lead.item, &self.evidence(), policy, now)
    }
}

/// What is to be said of `lead` on the evidence of its address.
pub(crate) fn assess_lead(
    lead: &Lead,
    evidence: &Evidence,
    policy: &Policy,
    now: Timestamp,
) -> LeadAssessment {
    lead.assess(assess(evidence, policy, now), evidence)
}

/// The evidence in a record; empty where there is no record.
pub(crate) fn evidence_of(record: Option<&AddressRecord>) -> Cow<'_, Evidence> {
    record.map_or_else(Cow::default, |record| Cow::Borrowed(&record.evidence))
}

/// The evidence of one address, and how its account reads it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// Its policy.
    pub policy: &'a Policy,
    /// The address.
    pub address: &'a AddressKey,
}

/// Evidence that was applied.
#[derive(Debug)]
pub struct Applied {
    /// How that ended.
    pub outcome: Outcome,
    /// The record as it stands then.
    pub record: AddressRecord,
}

/// Merges evidence into the record of an address. `loaded` is the record as it was read, `addition` what is merged into the
/// record as it stands; after a lost race it is asked again.
///
/// Complaints of the addition are put on every lead that has or had the address first, whether or not the evidence knows them
/// already, and once more afterwards, for leads that took the address meanwhile.
///
/// # Errors
/// When the table cannot be asked, or every race is lost. Trying again is safe.
pub async fn apply_evidence(
    table: &Table,
    subject: Subject<'_>,
    loaded: Option<Stored<AddressRecord>>,
    mut addition: impl FnMut(Option<&AddressRecord>) -> AddressRecord,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    let first = addition(loaded.as_ref().map(|stored| &stored.item));
    let complaints: Vec<Piece> = first
        .evidence
        .pieces()
        .filter(|piece| piece.fact.attribution().is_some())
        .cloned()
        .collect();
    mark_leads(table, subject, &complaints).await?;

    let assess = |record: &AddressRecord| assess(&record.evidence, subject.policy, now);
    let mut before = Assessment::clear();
    let merge = |current: Option<&AddressRecord>| {
        before = current.map_or_else(Assessment::clear, assess);
        let addition = addition(current);
        Some(match current {
            Some(record) => record.clone().merge(addition),
            None => addition,
        })
    };
    let key = Key::evidence(subject.account, subject.address);
    let (outcome, record) = apply(table, &key, loaded, merge).await?;
    let record = record.map_or(first, |stored| stored.item);
    let after = assess(&record);

    mark_leads(table, subject, &complaints).await?;
    if before.condition != after.condition {
        tracing::info!(
            account = %subject.account,
            address.key = %subject.address,
            status.from = condition(&before),
            status.to = condition(&after),
            "the evidence changed the status of an address"
        );
    }
    Ok(Applied { outcome, record })
}

/// Makes complaints stick to every lead that has or had the address.
async fn mark_leads(
    table: &Table,
    subject: Subject<'_>,
    complaints: &[Piece],
) -> Result<(), ApplyError> {
    if complaints.is_empty() {
        return Ok(());
    }
    let leads = table.linked_leads(subject.account, subject.address).await?;
    let keys: Vec<Key<Lead>> = leads
        .iter()
        .map(|lead| Key::lead(subject.account, lead))
        .collect();
    let mut loaded = table.load_many(&keys, Consistency::Strong).await?;
    // In the order of the links, so that whatever this does it does again.
    for key in keys {
        let Some(stored) = loaded.remove(&key) else {
            continue;
        };
        let mark = |lead: Option<&Lead>| {
            let mut lead = lead?.clone();
            lead.mark_complaints(complaints);
            Some(lead)
        };
        apply(table, &key, Some(stored), mark).await?;
    }
    Ok(())
}

fn condition(assessment: &Assessment) -> &'static str {
    match assessment.condition {
        Condition::Clear => "clear",
        Condition::SoftBouncing => "soft_bouncing",
        Condition::Blocklisted(reason) => reason.code(),
    }
}

/// What `pieces` add to the record of `address`.
pub(crate) fn addition(
    address: &Address,
    pieces: impl IntoIterator<Item = Piece>,
) -> AddressRecord {
    AddressRecord {
        evidence: pieces.into_iter().collect(),
        ..AddressRecord::new(address.clone())
    }
}

/// A source for evidence that we made ourselves. Random, so that it tells nothing about whoever caused it.
pub(crate) fn own_source() -> String {
    format!("{:016x}", fastrand::u64(..))
}
