//! The drift report: our record of an account against SES's lists, address by address, and the repair of what differs.
//!
//! [`Drift::survey`] reads SES's lists page by page, and looks every entry up in our table by its key; it changes nothing. What
//! we block and SES does not list cannot be found that way, since nothing here scans the table: those addresses have to be named.
//! [`Drift::repair`] works a [`Plan`] off. It asks SES about every entry again and compares anew before it acts, so that what was
//! done before a crash, or by a person meanwhile, is not done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use jiff::Timestamp;
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use leadlight::assessment::Assessment;
use leadlight::evidence::AddressRecord;
use leadlight_functions::app::{App, Checks};
use leadlight_functions::apply::{ApplyError, Subject, apply_evidence};
use leadlight_functions::suppression_list::{Entry, List, SuppressionListError};
use leadlight_functions::table::item::{Account, Key, Stored};
use leadlight_functions::table::{Consistency, TableError};

use crate::comparison::{Case, Comparison, Difference, Repair, compare};
use crate::pace::Pace;
use crate::plan::{Failure, Item, Plan, PlanFile};

/// How many addresses one read of the table looks up, the most it can.
const LOOKED_UP_AT_ONCE: usize = 100;
/// How many such reads are made at a time.
const READS_AT_ONCE: usize = 4;
/// How often a bar that counts nothing yet shows that it lives.
const TICK: Duration = Duration::from_millis(100);

/// What happens when, for the operator to watch.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The pages of SES's lists.
    pub listing: ProgressBar,
    /// The addresses looked up in our table.
    pub lookup: ProgressBar,
    /// The addresses repaired.
    pub repair: ProgressBar,
}

impl Progress {
    /// Shows nothing.
    #[must_use]
    pub fn hidden() -> Self {
        Self {
            listing: ProgressBar::hidden(),
            lookup: ProgressBar::hidden(),
            repair: ProgressBar::hidden(),
        }
    }

    /// Takes everything off the terminal.
    pub fn clear(&self) {
        for bar in [&self.listing, &self.lookup, &self.repair] {
            bar.finish_and_clear();
        }
    }
}

/// One account, held against SES's lists.
#[derive(Debug)]
pub struct Drift<'a> {
    app: &'a App<Checks>,
    id: AccountId,
    account: Account,
    pace: Pace,
    clock: fn() -> Timestamp,
    progress: Progress,
}

/// What the survey found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Whose record was compared.
    pub account: AccountId,
    /// When.
    pub surveyed_at: Timestamp,
    /// SES's lists, and how many entries each has.
    pub lists: Vec<(List, usize)>,
    /// How many addresses both sides withhold.
    pub agreed: usize,
    /// How many addresses on the AWS account's list this account has nothing about: other accounts', or nobody's.
    pub strangers: usize,
    /// SES's entries that are no addresses to us, as SES spells them.
    pub unreadable: Vec<String>,
    /// The addresses about which the sides differ, worst difference first.
    pub findings: Vec<Finding>,
}

/// An address about which the sides differ.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The address.
    pub address: Address,
    /// SES's entries for it.
    pub entries: Vec<Entry>,
    /// What we say of it.
    pub assessment: Assessment,
    /// How the sides differ; never empty.
    pub differences: BTreeSet<Difference>,
    /// What would end that.
    pub repair: Repair,
}

impl Survey {
    /// What there is to repair.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let repairable = self
            .findings
            .iter()
            .filter(|finding| !finding.repair.is_empty());
        let item = |finding: &Finding| Item {
            entries: finding.entries.clone(),
        };
        Plan {
            account: self.account.clone(),
            surveyed_at: self.surveyed_at,
            open: repairable.map(item).collect(),
            repaired: 0,
            settled: 0,
            failed: Vec::new(),
        }
    }
}

/// Why an address could not be repaired.
#[derive(Debug, thiserror::Error)]
enum RepairError {
    #[error("read SES's spelling as an address")]
    Unreadable,
    #[error(transparent)]
    SuppressionList(#[from] SuppressionListError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl RepairError {
    /// Whether the same may succeed a little later. Then the whole repair is better continued later, too.
    fn is_temporary(&self) -> bool {
        match self {
            Self::Unreadable => false,
            Self::SuppressionList(error) => error.is_temporary(),
            Self::Table(error) | Self::Apply(ApplyError::Table(error)) => error.is_temporary(),
            Self::Apply(ApplyError::Contended(_)) => true,
        }
    }
}

/// An address and what SES has about it.
struct Listed {
    address: Address,
    entries: Vec<Entry>,
    /// Whether the operator named it.
    is_named: bool,
}

impl<'a> Drift<'a> {
    /// The account `id`. At most `rate` calls a second are made to SES.
    ///
    /// # Errors
    /// When there is no such account, or the table cannot be asked.
    pub async fn open(
        app: &'a App<Checks>,
        id: AccountId,
        rate: f64,
        clock: fn() -> Timestamp,
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let key = Key::account(&id);
        let stored = app.table.load(&key, Consistency::Strong).await;
        let stored = stored.context("read the account")?;
        let account = stored.with_context(|| format!("the table has no account {id}"))?;
        Ok(Self {
            app,
            id,
            account: account.item,
            pace: Pace::new(rate),
            clock,
            progress,
        })
    }

    /// Compares SES's lists, and the addresses in `named`, with our record. Changes nothing.
    ///
    /// # Errors
    /// When SES or the table cannot be asked.
    pub async fn survey(&self, named: &[Address]) -> anyhow::Result<Survey> {
        let mut survey = Survey {
            account: self.id.clone(),
            surveyed_at: (self.clock)(),
            lists: Vec::new(),
            agreed: 0,
            strangers: 0,
            unreadable: Vec::new(),
            findings: Vec::new(),
        };
        let mut addresses: BTreeMap<AddressKey, Listed> = BTreeMap::new();
        self.progress.listing.enable_steady_tick(TICK);
        for list in List::of(self.account.ses_tenant.as_deref()) {
            let entries = self.entries(&list).await?;
            survey.lists.push((list, entries.len()));
            for entry in entries {
                let Ok(address) = Address::parse_mailbox(&entry.spelling) else {
                    survey.unreadable.push(entry.spelling);
                    continue;
                };
                self.listed(&mut addresses, &address).entries.push(entry);
            }
        }
        self.progress.listing.finish_and_clear();
        for address in named {
            self.listed(&mut addresses, address).is_named = true;
        }
        self.compare_all(addresses, &mut survey).await?;
        survey.findings.sort_by(|a, b| {
            let order = |finding: &Finding| (finding.differences.clone(), finding.address.clone());
            order(a).cmp(&order(b))
        });
        Ok(survey)
    }

    fn listed<'m>(
        &self,
        addresses: &'m mut BTreeMap<AddressKey, Listed>,
        address: &Address,
    ) -> &'m mut Listed {
        let key = self.app.address_secret.key_of(address);
        addresses.entry(key).or_insert_with(|| Listed {
            address: address.clone(),
            entries: Vec::new(),
            is_named: false,
        })
    }

    /// All pages of a list.
    async fn entries(&self, list: &List) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut token = None;
        loop {
            self.pace.turn().await;
            let page = self
                .app
                .services
                .suppression_list
                .page(list, token.as_deref());
            let page = page.await.context("read SES's suppression list")?;
            self.progress
                .listing
                .inc(u64::try_from(page.entries.len()).unwrap_or_default());
            entries.extend(page.entries);
            token = page.next;
            if token.is_none() {
                return Ok(entries);
            }
        }
    }

    async fn compare_all(
        &self,
        addresses: BTreeMap<AddressKey, Listed>,
        survey: &mut Survey,
    ) -> anyhow::Result<()> {
        let bar = &self.progress.lookup;
        bar.set_length(u64::try_from(addresses.len()).unwrap_or_default());
        let mut addresses = addresses.into_iter().peekable();
        let chunks = std::iter::from_fn(|| {
            addresses.peek()?;
            Some(addresses.by_ref().take(LOOKED_UP_AT_ONCE).collect())
        });
        let mut loaded = stream::iter(chunks)
            .map(|chunk| self.look_up(chunk))
            .buffered(READS_AT_ONCE);
        while let Some(chunk) = loaded.try_next().await.context("read the table")? {
            for (key, listed, record) in chunk {
                self.judge(&key, listed, record.as_ref(), survey);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn look_up(
        &self,
        chunk: Vec<(AddressKey, Listed)>,
    ) -> Result<Vec<(AddressKey, Listed, Option<AddressRecord>)>, TableError> {
        let keys: Vec<_> = chunk
            .iter()
            .map(|(address, _)| Key::evidence(&self.id, address))
            .collect();
        let table = &self.app.table;
        let mut records = table.load_many(&keys, Consistency::Eventual).await?;
        let found = chunk.into_iter().zip(keys).map(|((address, listed), key)| {
            let record = records.remove(&key).map(|stored| stored.item);
            (address, listed, record)
        });
        Ok(found.collect())
    }

    fn judge(
        &self,
        key: &AddressKey,
        listed: Listed,
        record: Option<&AddressRecord>,
        survey: &mut Survey,
    ) {
        let Listed {
            address,
            entries,
            is_named,
        } = listed;
        // The AWS account's list is shared by all accounts, which share nothing: an address there is another's until we know
        // something of it, or the operator names it.
        let is_ours = is_named
            || record.is_some()
            || entries
                .iter()
                .any(|entry| matches!(entry.list, List::Tenant(_)));
        if !is_ours {
            survey.strangers += 1;
            return;
        }
        let case = Case {
            key,
            entries: &entries,
            record,
        };
        let Comparison {
            assessment,
            differences,
            repair,
        } = compare(case, &self.account.policy, survey.surveyed_at);
        if !differences.is_empty() {
            survey.findings.push(Finding {
                address,
                entries,
                assessment,
                differences,
                repair,
            });
        } else if !entries.is_empty() {
            survey.agreed += 1;
        }
    }

    /// Works `plan` off, and keeps it in `file` after each address. The file is gone when nothing is left.
    ///
    /// # Errors
    /// When SES or the table fails for a reason that may pass, or the file cannot be written. The plan is in the file then, and
    /// can be continued.
    pub async fn repair(&self, plan: &mut Plan, file: &PlanFile) -> anyhow::Result<()> {
        let count = |count: usize| u64::try_from(count).unwrap_or_default();
        let bar = &self.progress.repair;
        bar.set_length(count(plan.total()));
        bar.set_position(count(plan.done()));
        let failed = std::mem::take(&mut plan.failed);
        plan.open
            .extend(failed.into_iter().map(|failure| failure.item));
        file.save(plan)?;
        while let Some(item) = plan.open.front() {
            let outcome = self.repair_one(item).await;
            if let Err(error) = &outcome
                && error.is_temporary()
            {
                return outcome.map(drop).context("repair an address");
            }
            let Some(item) = plan.open.pop_front() else {
                break;
            };
            match outcome {
                Ok(Outcome::Repaired) => plan.repaired += 1,
                Ok(Outcome::Settled) => plan.settled += 1,
                Err(error) => plan.failed.push(Failure {
                    item,
                    why: format!("{:#}", anyhow::Error::from(error)),
                }),
            }
            file.save(plan)?;
            bar.inc(1);
        }
        if plan.failed.is_empty() {
            file.remove()?;
        }
        Ok(())
    }

    /// Compares one address anew, and does what is left to do: first our record, then SES's lists.
    async fn repair_one(&self, item: &Item) -> Result<Outcome, RepairError> {
        let mut entries = Vec::new();
        for entry in &item.entries {
            self.pace.turn().await;
            let lists = &self.app.services.suppression_list;
            entries.extend(lists.look(&entry.list, &entry.spelling).await?);
        }
        let Some(first) = entries.first() else {
            return Ok(Outcome::Settled);
        };
        let address =
            Address::parse_mailbox(&first.spelling).map_err(|_| RepairError::Unreadable)?;
        let key = self.app.address_secret.key_of(&address);
        let record: Option<Stored<AddressRecord>> = self
            .app
            .table
            .load(&Key::evidence(&self.id, &key), Consistency::Strong)
            .await?;
        let now = (self.clock)();
        let repair = |record: Option<&AddressRecord>| {
            let case = Case {
                key: &key,
                entries: &entries,
                record,
            };
            compare(case, &self.account.policy, now).repair
        };
        let planned = repair(record.as_ref().map(|stored| &stored.item));
        if planned.is_empty() {
            return Ok(Outcome::Settled);
        }
        let mut surplus = planned.surplus.clone();
        if !planned.pieces.is_empty() || !planned.spellings.is_empty() {
            let subject = Subject {
                account: &self.id,
                policy: &self.account.policy,
                address: &key,
            };
            // After a lost race the record is another one: what it lacks is asked again.
            let addition = |current: Option<&AddressRecord>| {
                let repair = repair(current);
                surplus.clone_from(&repair.surplus);
                repair.addition(address.clone())
            };
            apply_evidence(&self.app.table, subject, record, addition, now).await?;
        }
        for entry in &surplus {
            self.pace.turn().await;
            let lists = &self.app.services.suppression_list;
            lists.remove(&entry.list, &entry.spelling).await?;
        }
        Ok(Outcome::Repaired)
    }
}

/// How the turn of an address ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Something was done.
    Repaired,
    /// There was nothing to do any more.
    Settled,
}
