//! The world that one run takes place in: its time, its chance, its queue, and what is true in it whatever the functions say.
//!
//! The functions never see it. It hears of every write that is carried out and of every message that SES takes in, and notes what
//! must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use leadlight::evidence::{AddressRecord, Authority, Evidence, Piece};
use leadlight::lead::Lead;
use leadlight::policy::Policy;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Plant;
use crate::model::{self, Complaint};

/// When every run begins: `2026-11-22T10:00:00Z`.
const BEGINNING_S: i64 = 1_795_341_600;

/// Everything outside the functions.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) plant: Option<Plant>,
    began: Instant,
    shows_trace: bool,
    state: Mutex<State>,
    /// Something came into the queue.
    pub(crate) queued: Notify,
}

/// What the world knows.
#[derive(Debug)]
pub(crate) struct State {
    random: StdRng,
    hasher: DefaultHasher,
    /// Counts what happens, so that before and after can be told where the clock stands still.
    moment: u64,
    is_calm: bool,
    pub(crate) violations: Vec<String>,
    /// What the table holds, by the key of the address and the id of the lead.
    pub(crate) records: BTreeMap<String, AddressRecord>,
    pub(crate) leads: BTreeMap<String, Lead>,
    pub(crate) links: BTreeSet<(String, String)>,
    /// When an address was last seen not to be blocked.
    clear_at: BTreeMap<String, u64>,
    /// What SES ever published, and which of it was acknowledged, by the key of the address.
    pub(crate) published: BTreeMap<String, Vec<Piece>>,
    acknowledged: BTreeMap<String, Vec<Piece>>,
    /// What support released, or tried to: lead, when, with what authority.
    pub(crate) released: Vec<(String, Timestamp, Authority)>,
    /// Saves that were answered: lead, key of the address, when begun, when answered.
    pub(crate) saves: Vec<Save>,
    pub(crate) queue: Vec<Letter>,
    pub(crate) mail: crate::mail::Mail,
    letters: u32,
}

/// A save that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Save {
    pub(crate) lead: String,
    pub(crate) address: String,
    pub(crate) begun: u64,
    pub(crate) answered: u64,
}

/// A message of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) sent_at: Timestamp,
    pub(crate) visible_at: Timestamp,
    /// What it says about each address, by the address's key.
    pub(crate) says: Vec<(String, Piece)>,
}

/// One invocation of a function, as the world sees it.
#[derive(Debug)]
pub(crate) struct Invocation {
    number: u32,
    /// When it began.
    pub(crate) begun: u64,
    /// The addresses that were blocked then.
    pub(crate) blocked: BTreeSet<String>,
    /// The leads of whose complaint Leadlight had been told then.
    pub(crate) complained: BTreeSet<String>,
    calls: AtomicU32,
    crash: Option<Crash>,
    pub(crate) crashed: Notify,
}

/// Where an invocation dies.
#[derive(Clone, Copy, Debug)]
struct Crash {
    call: u32,
    answered: bool,
}

impl Invocation {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Counts a request. The answer tells whether the invocation dies before it, and whether after it.
    pub(crate) fn call(&self) -> (bool, bool) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let dies = |answered| {
            self.crash
                .is_some_and(|crash| crash.call == call && crash.answered == answered)
        };
        (dies(false), dies(true))
    }
}

impl World {
    pub(crate) fn new(seed: u64, policy: Policy, plant: Option<Plant>, shows_trace: bool) -> Self {
        let state = State {
            random: StdRng::seed_from_u64(seed),
            hasher: DefaultHasher::new(),
            moment: 0,
            is_calm: false,
            violations: Vec::new(),
            records: BTreeMap::new(),
            leads: BTreeMap::new(),
            links: BTreeSet::new(),
            clear_at: BTreeMap::new(),
            published: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            released: Vec::new(),
            saves: Vec::new(),
            queue: Vec::new(),
            mail: crate::mail::Mail::default(),
            letters: 0,
        };
        Self {
            policy,
            plant,
            began: Instant::now(),
            shows_trace,
            state: Mutex::new(state),
            queued: Notify::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The simulated time, to the millisecond.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now =
            Timestamp::from_millisecond(BEGINNING_S.saturating_mul(1_000).saturating_add(elapsed));
        now.unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        self.state().random.random_range(0..end.max(1))
    }

    pub(crate) fn happens(&self, per_cent: u8) -> bool {
        self.state().random.random_range(0..100) < per_cent
    }

    pub(crate) fn pick<T: Clone>(&self, of: &[T]) -> Option<T> {
        of.get(self.below(of.len())).cloned()
    }

    pub(crate) fn millis(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.state().random.random_range(range))
    }

    /// From now on nobody dies.
    pub(crate) fn calm(&self) {
        self.state().is_calm = true;
    }

    /// Adds a line to the trace.
    pub(crate) fn trace(&self, line: &str) {
        let elapsed_ms = self.began.elapsed().as_millis();
        let mut state = self.state();
        elapsed_ms.hash(&mut state.hasher);
        line.hash(&mut state.hasher);
        drop(state);
        if self.shows_trace {
            crate::show(&format!("{elapsed_ms:>12} ms  {line}"));
        }
    }

    /// The hash of the trace so far.
    pub(crate) fn hash(&self) -> u64 {
        self.state().hasher.finish()
    }

    /// Notes what must not be.
    pub(crate) fn violate(&self, what: String) {
        self.trace(&format!("VIOLATION {what}"));
        self.state().violations.push(what);
    }

    /// Begins an invocation; fate decides whether it will die.
    pub(crate) fn begin(&self, name: &'static str) -> Arc<Invocation> {
        let now = self.now();
        let mut state = self.state();
        let begun = state.next_moment();
        let is_blocked = |record: &AddressRecord| self.reason(&record.evidence, now).is_some();
        let blocked = state
            .records
            .iter()
            .filter(|(_, record)| is_blocked(record));
        let blocked = blocked.map(|(address, _)| address.clone()).collect();
        let complained = state.complained();
        let dies = !state.is_calm && state.random.random_range(0..100) < 12;
        let crash = dies.then(|| Crash {
            call: state.random.random_range(0..7),
            answered: state.random.random_range(0..2) == 1,
        });
        let invocation = Invocation {
            number: u32::try_from(begun).unwrap_or(u32::MAX),
            begun,
            blocked,
            complained,
            calls: AtomicU32::new(0),
            crash,
            crashed: Notify::new(),
        };
        drop(state);
        self.trace(&format!("{name} #{} begins", invocation.number));
        Arc::new(invocation)
    }

    fn reason(&self, evidence: &Evidence, now: Timestamp) -> Option<&'static str> {
        model::reason(evidence, &self.policy, now, self.plant)
    }

    /// A record was stored.
    pub(crate) fn stored(&self, address: &str, record: AddressRecord) {
        let is_clear = self.reason(&record.evidence, self.now()).is_none();
        let mut state = self.state();
        let moment = state.next_moment();
        if is_clear {
            state.clear_at.insert(address.to_owned(), moment);
        }
        let lost = state.lost(address, Some(&record));
        state.records.insert(address.to_owned(), record);
        drop(state);
        for piece in lost {
            self.violate(format!("a write forgets {piece}, which was acknowledged"));
        }
    }

    /// A lead was stored by `invocation`. One that was blocklisted all the while stays so when it gets another address.
    pub(crate) fn stored_lead(&self, lead: &Lead, address: &str, invocation: &Invocation) {
        let mut state = self.state();
        state.next_moment();
        let id = lead.id.as_str().to_owned();
        let before = state.leads.insert(id.clone(), lead.clone());
        let Some(before) = before.filter(|before| !before.address.is_same_mailbox(&lead.address))
        else {
            return;
        };
        let former = lead
            .former_addresses
            .last()
            .map(|former| former.key.as_str().to_owned());
        let was_blocked = former.is_some_and(|former| state.blocked_since(&former, invocation));
        drop(state);
        if was_blocked && lead.hold.is_none() && lead.complaints.is_empty() {
            let from = before.address.domain();
            self.violate(format!(
                "lead {id} loses its block by leaving {from} for {address}"
            ));
        }
    }

    /// Feedback was acknowledged: it must be in the record, now and for ever.
    pub(crate) fn acknowledge(&self, letter: &Letter) {
        let mut state = self.state();
        state.next_moment();
        let mut lost = Vec::new();
        for (address, piece) in &letter.says {
            let known = state.acknowledged.entry(address.clone()).or_default();
            known.push(piece.clone());
            let record = state.records.get(address).cloned();
            lost.extend(state.lost(address, record.as_ref()));
        }
        drop(state);
        for piece in lost {
            self.violate(format!("{piece} was acknowledged and is not in the record"));
        }
    }

    /// The next place in the order of all that happens.
    pub(crate) fn moment(&self) -> u64 {
        self.state().next_moment()
    }

    /// A name for a letter.
    pub(crate) fn letter_id(&self) -> String {
        let mut state = self.state();
        state.letters += 1;
        format!("letter-{}", state.letters)
    }

    /// Takes letters that are due out of the queue, in no order.
    pub(crate) fn receive(&self, most: usize) -> Vec<Letter> {
        let now = self.now();
        let mut state = self.state();
        let mut batch = Vec::new();
        while batch.len() < most {
            let due: Vec<usize> = (0..state.queue.len())
                .filter(|place| {
                    state
                        .queue
                        .get(*place)
                        .is_some_and(|letter| letter.visible_at <= now)
                })
                .collect();
            let chosen = state.random.random_range(0..due.len().max(1));
            let Some(place) = due.get(chosen) else { break };
            batch.push(state.queue.swap_remove(*place));
        }
        batch
    }

    /// How long until a letter is due; `None` if there is none.
    pub(crate) fn next_letter_in(&self) -> Option<Duration> {
        let now = self.now();
        let next = self
            .state()
            .queue
            .iter()
            .map(|letter| letter.visible_at)
            .min()?;
        Some(Duration::try_from(next.duration_since(now)).unwrap_or_default())
    }

    /// Puts letters into the queue.
    pub(crate) fn enqueue(&self, letters: impl IntoIterator<Item = Letter>) {
        self.state().queue.extend(letters);
        self.queued.notify_waiters();
    }

    /// Puts letters back, to be seen a while later.
    pub(crate) fn put_back(&self, letters: Vec<Letter>) {
        let again_at = later(self.now(), self.millis(50..90_000));
        let again = letters.into_iter().map(|letter| Letter {
            visible_at: again_at,
            ..letter
        });
        self.enqueue(again);
    }
}

impl State {
    fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// The complaints that were acknowledged from any address that a lead has or had.
    pub(crate) fn complaints_of(&self, lead: &str) -> impl Iterator<Item = Complaint> {
        let saves = self.saves.iter().filter(move |save| save.lead == lead);
        let pieces = saves.filter_map(|save| self.acknowledged.get(&save.address));
        pieces.flatten().filter_map(Complaint::read)
    }

    /// Leads that complained, but for those of which support may have lifted that.
    pub(crate) fn complained(&self) -> BTreeSet<String> {
        let complains = |lead: &&String| {
            self.complaints_of(lead).any(|complaint| {
                let mut releases = self.released.iter().filter(|(of, ..)| of == *lead);
                !releases.any(|(_, at, authority)| complaint.is_lifted_by((*at, authority)))
            })
        };
        let leads: BTreeSet<&String> = self.saves.iter().map(|save| &save.lead).collect();
        leads.into_iter().filter(complains).cloned().collect()
    }

    /// Whether `address` was blocked when the invocation began, and has been ever since.
    pub(crate) fn blocked_since(&self, address: &str, invocation: &Invocation) -> bool {
        let clear_at = self.clear_at.get(address).copied().unwrap_or_default();
        invocation.blocked.contains(address) && clear_at < invocation.begun
    }

    /// Acknowledged pieces that a record lacks, although it has room for them.
    fn lost(&self, address: &str, record: Option<&AddressRecord>) -> Vec<String> {
        let evidence = record
            .map(|record| record.evidence.clone())
            .unwrap_or_default();
        let acknowledged = self.acknowledged.get(address).cloned().unwrap_or_default();
        let whole = evidence.clone().merge(acknowledged);
        let known: BTreeSet<&str> = evidence.pieces().map(|piece| piece.id.as_str()).collect();
        whole
            .pieces()
            .map(|piece| piece.id.as_str())
            .filter(|id| !known.contains(id))
            .map(str::to_owned)
            .collect()
    }
}

/// So much later.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or_default();
    at.checked_add(by).unwrap_or(at)
}
