//! Notifications of SES become evidence: from a queue, from SNS or from `EventBridge`, in every envelope they come in.
//!
//! A batch is read first and grouped by address: one load and one commit for each, however many notifications. What cannot be
//! read, or belongs to no known account, fails alone and with a logged reason, so that it ends in the dead-letter queue; the rest
//! is committed. Delivery is at least once and in any order, which merging makes harmless.

pub(crate) mod envelope;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use lambda_runtime::Diagnostic;
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use leadlight::evidence::AddressRecord;
use leadlight::feedback::{Feedback, Notification, NotificationError, Published, parse};
use leadlight::policy::Policy;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::Store;
use crate::apply::{ApplyError, Outcome, Subject, apply_evidence};
use crate::invocation::Until;
use crate::problem::chain;
use crate::table::item::{Key, Stored};
use crate::table::{Consistency, TableError};
use envelope::{Event, Letter};

/// The message tag that names the account.
pub const ACCOUNT_TAG: &str = "leadlight-account";
/// The message tag that names the lead. Feedback finds its leads by address; the tag is for people who read SES's events.
pub const LEAD_TAG: &str = "leadlight-lead";

/// How many addresses are written, and how many notifications are assigned to accounts, at a time. So many keep the share of a
/// processor busy that a function of 256 MB has; more would only hold more connections (`cargo dev bench lambda`).
const CONCURRENCY: usize = 8;
/// How many addresses are loaded by one request.
const LOADED_AT_ONCE: usize = 100;
/// What is not done this long before the deadline goes back to the queue: enough to answer, and for a write to be answered.
const SPARE_TIME: Duration = Duration::from_millis(1_500);

/// Why an event is to be delivered again as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// It is nothing that a trigger of this function sends.
    #[error("read the event")]
    UnknownEvent,
    /// Some of it could not be recorded, and its trigger takes one answer for all.
    #[error("record {failed} of {total} notifications")]
    Unrecorded {
        /// How many could not.
        failed: usize,
        /// Of how many.
        total: usize,
    },
}

impl From<HandleError> for Diagnostic {
    fn from(error: HandleError) -> Self {
        Self {
            error_type: "HandleError".to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Why a notification was not recorded. All of it is logged, and the notification is delivered again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Notification(#[from] NotificationError),
    #[error("find the account of the notification")]
    UnknownAccount,
    #[error("read {0} recipients of the notification as addresses")]
    UnreadableRecipients(usize),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("be done in time")]
    OutOfTime,
}

/// Handles one event. For a queue the answer lists the records that are to be delivered again.
///
/// # Errors
/// When the event is to be delivered again as a whole: it is none of ours, or something of it could not be recorded and the trigger
/// is no queue.
pub async fn handle(
    store: &Store,
    event: Value,
    deadline: Option<std::time::Instant>,
) -> Result<Value, HandleError> {
    handle_at(store, event, deadline, Timestamp::now()).await
}

/// Handles one event that arrived at `now`.
///
/// # Errors
/// As [`handle`].
pub async fn handle_at(
    store: &Store,
    event: Value,
    deadline: Option<std::time::Instant>,
    now: Timestamp,
) -> Result<Value, HandleError> {
    let until = Until::before(deadline, SPARE_TIME);
    let opened = envelope::open(&event);
    drop(event);
    match opened.ok_or(HandleError::UnknownEvent)? {
        Event::Queue(records) => {
            let (ids, letters): (Vec<_>, Vec<_>) = records
                .into_iter()
                .map(|record| (record.id, record.letter))
                .unzip();
            let failed = Batch { store, until, now }.record(letters).await;
            let failures = ids
                .iter()
                .enumerate()
                .filter_map(|(index, id)| failed.get(&index).map(|error| (id, error)));
            let failures: Vec<Value> = failures.map(|(id, error)| failure(id, error)).collect();
            Ok(json!({ "batchItemFailures": failures }))
        }
        Event::Direct(letters) => {
            let total = letters.len();
            let failed = Batch { store, until, now }.record(letters).await;
            for error in failed.values() {
                tracing::error!(
                    error = chain(error.as_ref()),
                    "could not record a notification; the event fails"
                );
            }
            match failed.len() {
                0 => Ok(Value::Null),
                failed => Err(HandleError::Unrecorded { failed, total }),
            }
        }
    }
}

/// Records one notification, that was published at `published_at`, within `time`.
pub(crate) async fn record_one(
    store: &Store,
    text: &str,
    published_at: Timestamp,
    time: Duration,
    now: Timestamp,
) -> Result<(), Arc<RecordError>> {
    let letter = envelope::parsed(text, Some(published_at));
    let until = Until::after(time);
    let mut failed = Batch { store, until, now }.record(vec![letter]).await;
    failed.remove(&0).map_or(Ok(()), Err)
}

/// Has one record delivered again. Repeated, it ends in the dead-letter queue, and this line says why.
fn failure(id: &str, error: &RecordError) -> Value {
    tracing::error!(
        record.id = id,
        error = chain(error),
        "could not record a notification; it goes back to the queue"
    );
    json!({ "itemIdentifier": id })
}

/// The letters of one event. Each is known by its place in it.
struct Batch<'a> {
    store: &'a Store,
    until: Until,
    now: Timestamp,
}

/// The letters of a batch that failed, and why.
type Failed = BTreeMap<usize, Arc<RecordError>>;

/// What a batch says about one address.
struct Group {
    policy: Arc<Policy>,
    address: Address,
    feedback: Vec<Feedback>,
    letters: BTreeSet<usize>,
}

type Groups = BTreeMap<(AccountId, AddressKey), Group>;

impl Batch<'_> {
    async fn record(&self, letters: Vec<Letter>) -> Failed {
        let started = Instant::now();
        let total = letters.len();
        let mut failed = Failed::new();
        let groups = self.group(letters, &mut failed).await;
        let addresses = groups.len();
        let committed = self.apply(groups, &mut failed).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            letters = total,
            addresses,
            committed,
            failed = failed.len(),
            duration_ms,
            "recorded a batch"
        );
        failed
    }

    /// Reads the letters, finds their accounts, and gathers what they say by address.
    async fn group(&self, letters: Vec<Letter>, failed: &mut Failed) -> Groups {
        let mut assigned = stream::iter(letters.into_iter().enumerate())
            .map(|(index, letter)| async move { (index, self.within(self.read(letter)).await) })
            .buffer_unordered(CONCURRENCY);
        let mut groups = Groups::new();
        while let Some((index, read)) = assigned.next().await {
            match read {
                Ok(Some((id, policy, notification))) => {
                    if notification.unreadable_recipients > 0 {
                        failed.insert(
                            index,
                            Arc::new(RecordError::UnreadableRecipients(
                                notification.unreadable_recipients,
                            )),
                        );
                    }
                    for feedback in notification.feedback {
                        let key = self.store.address_secret.key_of(&feedback.address);
                        let group = groups.entry((id.clone(), key)).or_insert_with(|| Group {
                            policy: Arc::clone(&policy),
                            address: feedback.address.clone(),
                            feedback: Vec::new(),
                            letters: BTreeSet::new(),
                        });
                        group.address = group.address.clone().max(feedback.address.clone());
                        group.feedback.push(feedback);
                        group.letters.insert(index);
                    }
                }
                Ok(None) => {}
                Err(error) => drop(failed.insert(index, Arc::new(error))),
            }
        }
        groups
    }

    /// Reads one letter and finds its account; `None` if there is nothing in it to record.
    async fn read(
        &self,
        letter: Letter,
    ) -> Result<Option<(AccountId, Arc<Policy>, Notification)>, RecordError> {
        let (text, received_at) = match letter {
            Letter::Published { text, received_at } => (text, received_at.unwrap_or(self.now)),
            Letter::Subscription { kind } => {
                tracing::warn!(
                    kind,
                    "a subscription of the topic was asked for or ended; nothing is fetched or confirmed"
                );
                return Ok(None);
            }
        };
        let notification = match parse(&text, received_at)? {
            Published::Notification(notification) => notification,
            Published::Probe => {
                tracing::info!("SES was attached to the topic");
                return Ok(None);
            }
        };
        if notification.feedback.is_empty() && notification.unreadable_recipients == 0 {
            tracing::debug!(
                kind = notification.kind,
                "the notification says nothing about a recipient"
            );
            return Ok(None);
        }
        let (id, policy) = self
            .find_account(&notification)
            .await?
            .ok_or(RecordError::UnknownAccount)?;
        Ok(Some((id, policy, notification)))
    }

    /// The account of a notification, with its policy: the first that exists of the one its tag names, and the owners of its SES tenant, of its
    /// configuration set and of its sending identities.
    async fn find_account(
        &self,
        notification: &Notification,
    ) -> Result<Option<(AccountId, Arc<Policy>)>, TableError> {
        let accounts = &self.store.accounts;
        let tags = |name| notification.tags.get(name).into_iter().flatten();
        for tag in tags(ACCOUNT_TAG) {
            let Ok(id) = AccountId::parse(tag) else {
                continue;
            };
            if let Some(policy) = accounts.policy(&id, self.now).await? {
                return Ok(Some((id, policy)));
            }
        }
        let names = tags("ses:tenant-name")
            .chain(tags("ses:configuration-set"))
            .chain(&notification.identities);
        for name in names {
            let Some(id) = accounts.owner(name, self.now).await? else {
                continue;
            };
            if let Some(policy) = accounts.policy(&id, self.now).await? {
                return Ok(Some((id, policy)));
            }
        }
        Ok(None)
    }

    /// Merges every group into the record of its address. Gives back how many records changed.
    async fn apply(&self, groups: Groups, failed: &mut Failed) -> usize {
        let mut applied = stream::iter(groups)
            .chunks(LOADED_AT_ONCE)
            .map(|chunk| self.load(chunk))
            // The next addresses are loaded while these are written.
            .buffered(2)
            .flat_map(stream::iter)
            .map(|loaded| self.apply_one(loaded))
            .buffer_unordered(CONCURRENCY);
        let mut committed = 0;
        while let Some((letters, result)) = applied.next().await {
            match result {
                Ok(Outcome::Committed) => committed += 1,
                Ok(Outcome::AlreadyKnown) => {}
                Err(error) => failed.extend(
                    letters
                        .into_iter()
                        .map(|letter| (letter, Arc::clone(&error))),
                ),
            }
        }
        committed
    }

    async fn load(&self, chunk: Vec<((AccountId, AddressKey), Group)>) -> Vec<Loaded> {
        let keys: Vec<_> = chunk
            .iter()
            .map(|((account, address), _)| Key::evidence(account, address))
            .collect();
        let load = async {
            Ok(self
                .store
                .table
                .load_many(&keys, Consistency::Strong)
                .await?)
        };
        let mut records: Result<HashMap<_, _>, Arc<RecordError>> =
            self.within(load).await.map_err(Arc::new);
        let loaded = chunk
            .into_iter()
            .zip(keys)
            .map(|(((account, address), group), key)| Loaded {
                record: match &mut records {
                    Ok(records) => Ok(records.remove(&key)),
                    Err(error) => Err(Arc::clone(error)),
                },
                account,
                address,
                group,
            });
        loaded.collect()
    }

    async fn apply_one(
        &self,
        loaded: Loaded,
    ) -> (BTreeSet<usize>, Result<Outcome, Arc<RecordError>>) {
        let Loaded {
            account,
            address,
            group,
            record,
        } = loaded;
        let Group {
            policy,
            address: written,
            feedback,
            letters,
        } = group;
        let spellings = feedback
            .iter()
            .map(|feedback| feedback.spelling.clone())
            .collect();
        let evidence = feedback
            .iter()
            .map(|feedback| feedback.piece(&address))
            .collect();
        // Merged rather than made, so that it is bounded like every record.
        let addition = AddressRecord::new(written.clone()).merge(AddressRecord {
            address: written,
            spellings,
            evidence,
        });
        let apply = async {
            let subject = Subject {
                account: &account,
                policy: &policy,
                address: &address,
            };
            let applied = apply_evidence(
                &self.store.table,
                subject,
                record?,
                |_| addition.clone(),
                self.now,
            )
            .await
            .map_err(RecordError::from);
            Ok(applied.map_err(Arc::new)?.outcome)
        };
        let outcome = self.until.allow(apply).await;
        let outcome = outcome.unwrap_or_else(|| Err(Arc::new(RecordError::OutOfTime)));
        (letters, outcome)
    }

    /// Runs `work` as long as there is time.
    fn within<T>(
        &self,
        work: impl Future<Output = Result<T, RecordError>>,
    ) -> impl Future<Output = Result<T, RecordError>> {
        let done = self.until.allow(work);
        done.map(|done| done.unwrap_or(Err(RecordError::OutOfTime)))
    }
}

/// A group with the record of its address, as loaded.
struct Loaded {
    account: AccountId,
    address: AddressKey,
    group: Group,
    record: Result<Option<Stored<AddressRecord>>, Arc<RecordError>>,
}
