//! The table's stream: evidence is archived and counted, and a lead whose status changed is told to `EventBridge` and the webhook.
//!
//! What was told of a lead is an item of its own ([`leadlight::change::Told`]). A record of a lead or of evidence changes that item;
//! the record of *that* change is the event. So an event's id follows from what is stored, copies of it are the same to the letter,
//! and a crash anywhere is finished by the stream. It never speaks to a receiver: it writes down what is to be delivered.

pub(crate) mod record;

use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::Diagnostic;
use leadlight::account::AccountId;
use leadlight::address::AddressKey;
use leadlight::change::{CloudEvent, SeenEvidence, SeenLead, Told, Written, follow};
use leadlight::evidence::{AddressRecord, Evidence, Piece};
use leadlight::lead::{Lead, LeadId};
use leadlight::policy::Policy;
use leadlight::reputation::MailboxProvider;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::App;
use crate::apply::{ApplyError, apply, evidence_of};
use crate::event_bus::{EventBus, EventBusError};
use crate::invocation::Until;
use crate::problem::chain;
use crate::table::item::{DueDelivery, Key, Place, Stored};
use crate::table::{ARCHIVED_AT_ONCE, Archived, Consistency, TableError};
use record::{Record, RecordError};

/// How many accounts are followed at the same time.
const CONCURRENCY: usize = 16;
/// How many leads of one address are loaded by one request.
const LOADED_AT_ONCE: usize = 100;
/// How long a stream keeps its records: a lead that is older will not come by as a record of its own.
const STREAM_KEEPS: SignedDuration = SignedDuration::from_hours(24);
/// What is not done this long before the deadline comes again.
const SPARE_TIME: Duration = Duration::from_millis(1_500);

/// The event is nothing that a stream of the table sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read the event")]
pub struct HandleError;

impl From<HandleError> for Diagnostic {
    fn from(error: HandleError) -> Self {
        Self {
            error_type: "HandleError".to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Why a record comes again.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    EventBus(#[from] EventBusError),
    #[error("be done in time")]
    OutOfTime,
}

/// Handles a batch of stream records. The answer names the first that is to come again; with it come all after it.
///
/// # Errors
/// When the event is none of a stream.
pub async fn handle(
    app: &App<EventBus>,
    event: Value,
    deadline: Option<std::time::Instant>,
) -> Result<Value, HandleError> {
    let until = Until::before(deadline, SPARE_TIME);
    let records = record::open(event).ok_or(HandleError)?;
    let batch = Batch { app, until };
    let failed = batch.handle(&records).await;
    let failures: Vec<Value> = failed
        .into_iter()
        .filter_map(|index| records.get(index))
        .map(|record| json!({ "itemIdentifier": record.sequence }))
        .collect();
    Ok(json!({ "batchItemFailures": failures }))
}

/// What of a batch failed first.
#[derive(Debug, Default)]
struct Failed(Option<usize>);

impl Failed {
    fn note(&mut self, record: &Record, index: usize, error: &ChangeError) {
        tracing::error!(
            record.sequence,
            error = chain(error),
            "could not see to a record of the stream; it comes again"
        );
        self.0 = Some(self.0.map_or(index, |first| first.min(index)));
    }

    /// The same for the record at `index` of all.
    fn note_at(&mut self, records: &[Record], index: usize, error: &ChangeError) {
        if let Some(record) = records.get(index) {
            self.note(record, index, error);
        }
    }
}

struct Batch<'a> {
    app: &'a App<EventBus>,
    until: Until,
}

/// The records of one account, in their order, each with its place in the batch.
type OfOneAccount<'r> = Vec<(usize, &'r Record)>;

impl Batch<'_> {
    /// Every part is done for every record, whatever fails: what is done twice is known the second time.
    async fn handle(&self, records: &[Record]) -> Option<usize> {
        let started = Instant::now();
        let mut failed = Failed::default();
        let archived = self.archive(records, &mut failed).await;
        self.follow(records, &mut failed).await;
        let told = self.tell(records, &mut failed).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            records = records.len(),
            archived,
            told,
            failed_from = failed.0,
            duration_ms,
            "followed the table"
        );
        failed.0
    }

    /// Archives and counts what is new in the evidence of addresses.
    async fn archive(&self, records: &[Record], failed: &mut Failed) -> usize {
        let mut grown = Vec::new();
        for (index, record) in records.iter().enumerate() {
            match Grown::read(record) {
                Ok(one) => grown.extend(one.map(|one| (index, one))),
                Err(error) => failed.note(record, index, &error.into()),
            }
        }
        let pieces = match self.within(self.unarchived(&grown)).await {
            Ok(pieces) => pieces,
            Err(error) => {
                let first = grown.first().map_or(0, |(index, _)| *index);
                failed.note_at(records, first, &error);
                return 0;
            }
        };
        let mut archived = 0;
        for chunk in pieces.chunks(ARCHIVED_AT_ONCE) {
            let wanted: Vec<Archived> = chunk.iter().map(|(_, piece)| piece.clone()).collect();
            let write = async { Ok(self.app.table.archive(&wanted).await?) };
            match self.within(write).await {
                Ok(()) => archived += wanted.len(),
                Err(error) => {
                    let first = chunk.first().map_or(0, |(index, _)| *index);
                    failed.note_at(records, first, &error);
                    break;
                }
            }
        }
        archived
    }

    /// What is to be archived, each piece with its record: what came with the records, and what came before them where the last of
    /// that is not in the archive. The stream gave up a record then, and the next of its address makes up for it.
    async fn unarchived(
        &self,
        grown: &[(usize, Grown)],
    ) -> Result<Vec<(usize, Archived)>, ChangeError> {
        let mut seen = HashSet::new();
        let firsts = grown
            .iter()
            .filter(|(_, grown)| seen.insert((&grown.account, &grown.address)));
        let lasts: HashMap<usize, Key<Piece>> = firsts
            .filter_map(|(index, grown)| Some((*index, grown.last_before()?)))
            .collect();
        let known = self.app.table.archived(lasts.values()).await?;
        let is_behind = |index| {
            let last = lasts.get(index);
            last.is_some_and(|last| !known.contains(last))
        };
        let pieces = grown.iter().flat_map(|(index, grown)| {
            let missed = is_behind(index).then_some(&grown.before);
            let pieces = missed.into_iter().flatten().chain(&grown.new);
            pieces.map(|piece| (*index, grown.archived(piece)))
        });
        Ok(pieces.collect())
    }

    /// Follows the leads and addresses that were written: accounts at the same time, all of one account in their order. A lead and
    /// its address are two items whose records tell one story.
    async fn follow(&self, records: &[Record], failed: &mut Failed) {
        let mut accounts: BTreeMap<&AccountId, OfOneAccount<'_>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            if let Place::Evidence(account, _) | Place::Lead(account) = &record.place {
                accounts.entry(account).or_default().push((index, record));
            }
        }
        let accounts = accounts.into_values().map(|of_account| async move {
            for (index, record) in of_account {
                let followed = self.within(self.follow_record(record));
                if let Err(error) = Box::pin(followed).await {
                    return Some((index, record, error));
                }
            }
            None
        });
        let mut followed = stream::iter(accounts).buffer_unordered(CONCURRENCY);
        while let Some(outcome) = followed.next().await {
            if let Some((index, record, error)) = outcome {
                failed.note(record, index, &error);
            }
        }
    }

    async fn follow_record(&self, record: &Record) -> Result<(), ChangeError> {
        match &record.place {
            Place::Evidence(account, address) => {
                self.follow_evidence(record, account, address).await
            }
            Place::Lead(account) => self.follow_lead(record, account).await,
            Place::Told(_) | Place::Delivery | Place::Elsewhere => Ok(()),
        }
    }

    async fn policy(&self, account: &AccountId, now: Timestamp) -> Result<Policy, TableError> {
        let policy = self.app.accounts.policy(account, now).await?;
        // An account that is gone has nobody to tell; the default reads its evidence well enough.
        Ok(policy.map_or_else(Policy::default, |policy| Policy::clone(&policy)))
    }

    /// Tells the leads that have, had or are about to have the address what its evidence means for them.
    async fn follow_evidence(
        &self,
        record: &Record,
        account: &AccountId,
        address: &AddressKey,
    ) -> Result<(), ChangeError> {
        let Some(new) = record.new.read::<AddressRecord>()? else {
            return Ok(());
        };
        let now = record.at;
        let old = record.before::<AddressRecord>();
        let before = evidence_of(old.as_ref().map(|stored| &stored.item)).into_owned();
        let policy = self.policy(account, now).await?;
        let seen = SeenEvidence::new(address.clone(), new.version, &new.item.evidence);
        if !seen.differs(&before, &policy, now) {
            return Ok(());
        }
        let table = &self.app.table;
        let leads = table.linked_leads(account, address).await?;
        for chunk in leads.chunks(LOADED_AT_ONCE) {
            let keys: Vec<_> = chunk.iter().map(|lead| Key::told(account, lead)).collect();
            let mut known = table.load_many(&keys, Consistency::Strong).await?;
            for (lead, key) in chunk.iter().zip(&keys) {
                let told = known.remove(key);
                let is_new = told.as_ref().is_none_or(|told| told.item.lead.is_none());
                let old_lead = if is_new {
                    self.old_lead(account, lead, now).await?
                } else {
                    None
                };
                let old_evidence = old
                    .as_ref()
                    .map(|old| SeenEvidence::new(address.clone(), old.version, &before));
                let first = old_lead.map(|lead| Written::Lead(Box::new(lead), old_evidence));
                let written = Written::Evidence(seen.clone());
                self.fold(key, told, [first, Some(written)], &policy, now)
                    .await?;
            }
        }
        Ok(())
    }

    /// A lead that was written before the stream's memory, so that its own record will not come.
    async fn old_lead(
        &self,
        account: &AccountId,
        id: &LeadId,
        now: Timestamp,
    ) -> Result<Option<SeenLead>, TableError> {
        let key = Key::<Lead>::lead(account, id);
        let stored = self.app.table.load(&key, Consistency::Strong).await?;
        let is_old = |stored: &Stored<Lead>| {
            let last = stored.item.history.last();
            last.is_none_or(|last| now.duration_since(last.at) > STREAM_KEEPS)
        };
        Ok(stored.filter(is_old).map(|stored| self.seen(stored)))
    }

    fn seen(&self, stored: Stored<Lead>) -> SeenLead {
        let address = self.app.address_secret.key_of(&stored.item.address);
        SeenLead::new(address, stored.version, stored.item)
    }

    async fn follow_lead(&self, record: &Record, account: &AccountId) -> Result<(), ChangeError> {
        let Some(new) = record.new.read::<Lead>()? else {
            return Ok(());
        };
        let now = record.at;
        let new = self.seen(new);
        let old = record.before::<Lead>().map(|old| self.seen(old));
        if old.as_ref().is_some_and(|old| !new.differs(old)) {
            return Ok(());
        }
        let policy = self.policy(account, now).await?;
        let key = Key::told(account, &new.lead.id);
        let told = self.app.table.load(&key, Consistency::Strong).await?;
        let evidence = self.evidence(account, &new.address).await?;
        // A lead of which nothing was told, but which is not new: what it was is what it changes from.
        let is_new = told.as_ref().is_none_or(|told| told.item.lead.is_none());
        let first = match old.filter(|_| is_new) {
            Some(old) => {
                let evidence = self.evidence(account, &old.address).await?;
                Some(Written::Lead(Box::new(old), evidence))
            }
            None => None,
        };
        let written = Written::Lead(Box::new(new), evidence);
        self.fold(&key, told, [first, Some(written)], &policy, now)
            .await
    }

    async fn evidence(
        &self,
        account: &AccountId,
        address: &AddressKey,
    ) -> Result<Option<SeenEvidence>, TableError> {
        let key = Key::evidence(account, address);
        let stored = self.app.table.load(&key, Consistency::Strong).await?;
        Ok(stored.map(|stored| {
            SeenEvidence::new(address.clone(), stored.version, &stored.item.evidence)
        }))
    }

    /// Folds what was written into what was told of a lead.
    async fn fold(
        &self,
        key: &Key<Told>,
        loaded: Option<Stored<Told>>,
        written: [Option<Written>; 2],
        policy: &Policy,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let [first, second] = written;
        let change = |told: Option<&Told>| {
            // What something is said to have been before is of use for a lead of which nothing was told only.
            let is_new = told.is_none_or(|told| told.lead.is_none());
            let begun = first
                .clone()
                .filter(|_| is_new)
                .and_then(|first| follow(told, first, policy, now));
            let told = begun.as_ref().or(told);
            let followed = second
                .clone()
                .and_then(|second| follow(told, second, policy, now));
            followed.or(begun)
        };
        apply(&self.app.table, key, loaded, change).await?;
        Ok(())
    }

    /// Publishes what was told, and writes down what is to be delivered.
    async fn tell(&self, records: &[Record], failed: &mut Failed) -> usize {
        let mut events = Vec::new();
        for (index, record) in records.iter().enumerate() {
            match self.event(record) {
                Ok(Some((account, event))) => events.push((index, account, event)),
                Ok(None) => {}
                Err(error) => failed.note(record, index, &error.into()),
            }
        }
        let Some((first, _, _)) = events.first() else {
            return 0;
        };
        let first = *first;
        let all: Vec<&CloudEvent> = events.iter().map(|(_, _, event)| event).collect();
        let publish = async { Ok(self.app.services.publish(&all).await?) };
        if let Err(error) = self.within(publish).await {
            failed.note_at(records, first, &error);
        }
        for (index, account, event) in &events {
            if let Err(error) = self.within(self.plan_delivery(account, event)).await {
                failed.note_at(records, *index, &error);
            }
        }
        events.len()
    }

    /// The event that the record of what was told is, if the status changed with it.
    fn event(&self, record: &Record) -> Result<Option<(AccountId, CloudEvent)>, RecordError> {
        let Place::Told(account) = &record.place else {
            return Ok(None);
        };
        let changes = |told: Option<&Stored<Told>>| told.map_or(0, |told| told.item.changes);
        let (old, new) = (record.before::<Told>(), record.new.read::<Told>()?);
        let is_change = changes(new.as_ref()) > changes(old.as_ref());
        let Some((change, number)) = new
            .filter(|_| is_change)
            .and_then(|new| Some((new.item.change?, new.item.changes)))
        else {
            return Ok(None);
        };
        let named = format!("{account}#{}#{number}#{}", change.lead, change.changed_at);
        let mut id = self
            .app
            .address_secret
            .fingerprint("change", named.as_bytes());
        id.truncate(32);
        let id = ["msg_", &id].concat();
        let event = CloudEvent::new(id, account, change);
        Ok(Some((account.clone(), event)))
    }

    async fn plan_delivery(
        &self,
        account: &AccountId,
        event: &CloudEvent,
    ) -> Result<(), ChangeError> {
        let table = &self.app.table;
        let webhook = table
            .load(&Key::webhook(account), Consistency::Eventual)
            .await?;
        if webhook.is_none_or(|webhook| webhook.item.disabled.is_some()) {
            return Ok(());
        }
        let body = serde_json::to_string(event).map_err(RecordError::Unwritable)?;
        let due = DueDelivery::first(account.clone(), event.id.clone(), body, event.time);
        table.plan_delivery(&due).await?;
        Ok(())
    }

    /// Runs `work` as long as there is time.
    fn within<T>(
        &self,
        work: impl Future<Output = Result<T, ChangeError>>,
    ) -> impl Future<Output = Result<T, ChangeError>> {
        let done = self.until.allow(work);
        done.map(|done| done.unwrap_or(Err(ChangeError::OutOfTime)))
    }
}

/// The evidence of an address that has more pieces than before.
struct Grown {
    account: AccountId,
    address: AddressKey,
    provider: MailboxProvider,
    before: Vec<Piece>,
    new: Vec<Piece>,
}

impl Grown {
    /// `None` where nothing came. What an item had and has no more was archived when it came.
    fn read(record: &Record) -> Result<Option<Self>, RecordError> {
        let Place::Evidence(account, address) = &record.place else {
            return Ok(None);
        };
        let Some(after) = record.new.read::<AddressRecord>()? else {
            return Ok(None);
        };
        let before = record.before::<AddressRecord>();
        let before = before.map_or_else(Evidence::default, |before| before.item.evidence);
        let provider = MailboxProvider::of(after.item.address.domain());
        let is_new = |piece: &Piece| before.pieces().all(|known| known.id != piece.id);
        let new: Vec<Piece> = after.item.evidence.into_iter().filter(is_new).collect();
        Ok((!new.is_empty()).then(|| Self {
            account: account.clone(),
            address: address.clone(),
            provider,
            before: before.into_iter().collect(),
            new,
        }))
    }

    /// The place in the archive of what came last before.
    fn last_before(&self) -> Option<Key<Piece>> {
        // Reversed, so that the least is the newest.
        let last = self.before.iter().min_by_key(|piece| piece.recorded_at)?;
        Some(Key::archived(&self.account, &self.address, last))
    }

    fn archived(&self, piece: &Piece) -> Archived {
        Archived {
            account: self.account.clone(),
            address: self.address.clone(),
            provider: self.provider,
            piece: piece.clone(),
        }
    }
}
