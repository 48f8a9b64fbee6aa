//! What the page knows of its leads, and which of its rows show them: a pure reducer, from what was asked and answered to what is
//! drawn.
//!
//! It never asks the time and never talks to a server. Times are milliseconds since 1970, as the browser counts them. `S` is a
//! status as the server told it, kept for whoever wants more than its face.

use std::collections::HashMap;

use leadlight::api::MAX_STATUSES;
use leadlight::lead::LeadId;
use leadlight_view::face::Face;
use leadlight_view::fault::{Fault, Trouble};

/// How long a status is shown without asking again, in milliseconds: about as long as a person looks at one page.
pub(crate) const FRESH_MS: f64 = 60_000.0;
/// How long a failure is left alone, in milliseconds, so that moving over many bubbles asks no faster than this.
pub(crate) const RETRY_MS: f64 = 2_000.0;
/// How many leads more than were left last time are remembered before those out of sight are forgotten.
const MOST_UNSHOWN: usize = 2_000;
/// How many rows are asked about wherever they are. Those beyond are asked about when somebody scrolls to them.
const MOST_UNSEEN: usize = 1_000;

/// The number of a connected element; free to be given again once that is gone.
pub(crate) type Slot = u32;

/// A status that was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read<S> {
    pub(crate) lead: LeadId,
    pub(crate) face: Face,
    pub(crate) status: S,
}

/// What is to be drawn and told after something became known.
#[derive(Debug, PartialEq)]
pub(crate) struct Change<S> {
    /// The rows of the lead.
    pub(crate) slots: Vec<Slot>,
    pub(crate) face: Face,
    /// The status before, if it looks otherwise now.
    pub(crate) replaced: Option<S>,
    /// What went wrong, if nothing is known.
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug)]
struct Lead<S> {
    known: Option<Known<S>>,
    trouble: Option<(f64, Trouble)>,
    /// Whether it is queued or asked for.
    asked: bool,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Known<S> {
    face: Face,
    status: S,
    read_at: f64,
    /// Given by the page, which renews it by itself.
    preset: bool,
}

#[derive(Debug)]
struct Row {
    /// The lead, if the page named one that can exist.
    lead: Option<LeadId>,
    /// Whether it may be asked about without being looked at.
    seen: bool,
}

#[derive(Debug)]
struct Batch {
    request: u32,
    leads: Vec<LeadId>,
    sent_at: f64,
}

/// Everything that is known.
#[derive(Debug)]
pub(crate) struct Statuses<S> {
    leads: HashMap<LeadId, Lead<S>>,
    /// By slot.
    rows: Vec<Option<Row>>,
    connected: usize,
    queue: Vec<LeadId>,
    under_way: Vec<Batch>,
    /// The number of the last request.
    requests: u32,
    /// How many leads were left when those out of sight were last forgotten.
    kept: usize,
}

impl<S> Default for Statuses<S> {
    fn default() -> Self {
        Self {
            leads: HashMap::new(),
            rows: Vec::new(),
            connected: 0,
            queue: Vec::new(),
            under_way: Vec::new(),
            requests: 0,
            kept: 0,
        }
    }
}

impl<S> Default for Lead<S> {
    fn default() -> Self {
        Self {
            known: None,
            trouble: None,
            asked: false,
            slots: Vec::new(),
        }
    }
}

impl<S: Clone> Statuses<S> {
    /// A row of `lead` appeared, or was given to it. Says whether it is to be watched: whether to ask about it is decided when
    /// somebody scrolls to it.
    pub(crate) fn connect(&mut self, slot: Slot, lead: Option<LeadId>, now: f64) -> bool {
        self.disconnect(slot);
        let place = usize::try_from(slot).unwrap_or_default();
        if self.rows.len() <= place {
            self.rows.resize_with(place + 1, || None);
        }
        let seen = self.connected < MOST_UNSEEN;
        if let Some(row) = self.rows.get_mut(place) {
            *row = Some(Row {
                lead: lead.clone(),
                seen,
            });
            self.connected += 1;
        }
        let Some(lead) = lead else { return false };
        let entry = self.leads.entry(lead.clone()).or_default();
        entry.slots.push(slot);
        if seen {
            self.want(&lead, now);
            return false;
        }
        entry.known.is_none()
    }

    /// A row went away.
    pub(crate) fn disconnect(&mut self, slot: Slot) {
        let place = usize::try_from(slot).unwrap_or_default();
        let Some(row) = self.rows.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.connected -= 1;
        if let Some(entry) = row.lead.and_then(|lead| self.leads.get_mut(&lead)) {
            entry.slots.retain(|other| *other != slot);
        }
        if self.leads.len() > self.kept + MOST_UNSHOWN {
            self.leads
                .retain(|_, lead| !lead.slots.is_empty() || lead.asked);
            self.kept = self.leads.len();
        }
    }

    /// Somebody scrolled to a row, or looks at it.
    pub(crate) fn see(&mut self, slot: Slot, now: f64) {
        if let Some(row) = self.row_mut(slot) {
            row.seen = true;
        }
        if let Some(lead) = self.lead(slot).cloned() {
            self.want(&lead, now);
        }
    }

    /// Queues `lead`, unless it is known well enough, is asked for already, or failed a moment ago.
    fn want(&mut self, lead: &LeadId, now: f64) {
        let entry = self.leads.entry(lead.clone()).or_default();
        let fresh = entry
            .known
            .as_ref()
            .is_some_and(|known| known.preset || now - known.read_at < FRESH_MS);
        let too_early = entry
            .trouble
            .is_some_and(|(at, trouble)| now < trouble.retry_at.unwrap_or(at + RETRY_MS));
        if !fresh && !too_early {
            self.ask(lead);
        }
    }

    /// Queues every lead that was seen and is not known well enough.
    pub(crate) fn want_seen(&mut self, now: f64) {
        let rows = self.rows.iter().flatten().filter(|row| row.seen);
        let leads: Vec<LeadId> = rows.filter_map(|row| row.lead.clone()).collect();
        for lead in leads {
            self.want(&lead, now);
        }
    }

    /// Queues the lead of a row, however well it is known.
    pub(crate) fn refresh(&mut self, slot: Slot) {
        if let Some(lead) = self.lead(slot).cloned() {
            self.ask(&lead);
        }
    }

    fn ask(&mut self, lead: &LeadId) {
        let entry = self.leads.entry(lead.clone()).or_default();
        if !entry.asked {
            entry.asked = true;
            self.queue.push(lead.clone());
        }
    }

    /// Forgets all failures: the page has new credentials.
    pub(crate) fn forgive(&mut self) {
        for lead in self.leads.values_mut() {
            lead.trouble = None;
        }
    }

    /// Takes note of a request for `leads` that left at `sent_at`, and numbers it.
    pub(crate) fn expect(&mut self, leads: Vec<LeadId>, sent_at: f64) -> u32 {
        for lead in &leads {
            self.leads.entry(lead.clone()).or_default().asked = true;
        }
        self.requests += 1;
        self.under_way.push(Batch {
            request: self.requests,
            leads,
            sent_at,
        });
        self.requests
    }

    /// Takes what is queued, as numbered requests of as many leads as one can carry.
    pub(crate) fn take_requests(&mut self, now: f64) -> Vec<(u32, Vec<LeadId>)> {
        let queue = std::mem::take(&mut self.queue);
        queue
            .chunks(MAX_STATUSES)
            .map(|leads| (self.expect(leads.to_vec(), now), leads.to_vec()))
            .collect()
    }

    /// A request is answered. One that nobody waits for any longer changes nothing.
    ///
    /// A lead of which something newer is known keeps that: its recheck may have overtaken this answer.
    pub(crate) fn answer(
        &mut self,
        request: u32,
        reply: Result<Vec<Read<S>>, Trouble>,
        now: f64,
    ) -> Vec<Change<S>> {
        let index = self
            .under_way
            .iter()
            .position(|batch| batch.request == request);
        let Some(batch) = index.map(|index| self.under_way.swap_remove(index)) else {
            return Vec::new();
        };
        let trouble = reply
            .as_ref()
            .err()
            .copied()
            .unwrap_or(Fault::Unavailable.into());
        let mut read = reply.unwrap_or_default();
        let mut changes = Vec::with_capacity(batch.leads.len());
        for lead in batch.leads {
            let entry = self.leads.entry(lead.clone()).or_default();
            entry.asked = false;
            let overtaken = entry
                .known
                .as_ref()
                .is_some_and(|known| known.read_at > batch.sent_at);
            let told = read.iter().position(|read| read.lead == lead);
            let change = match told.map(|index| read.swap_remove(index)) {
                Some(_) if overtaken => entry.change(None),
                Some(read) => entry.learn(read, now, false),
                None => {
                    entry.trouble = Some((now, trouble));
                    entry.change(None)
                }
            };
            changes.push(change);
        }
        changes
    }

    /// Gives up everything that is queued or under way.
    pub(crate) fn give_up(&mut self, trouble: Trouble, now: f64) -> Vec<Change<S>> {
        self.take_requests(now);
        let requests: Vec<u32> = self.under_way.iter().map(|batch| batch.request).collect();
        requests
            .into_iter()
            .flat_map(|request| self.answer(request, Err(trouble), now))
            .collect()
    }

    /// Something was read otherwise: given by the page (`preset`), or the answer to a press of Check again.
    pub(crate) fn learn(&mut self, read: Read<S>, now: f64, preset: bool) -> Change<S> {
        let entry = self.leads.entry(read.lead.clone()).or_default();
        entry.learn(read, now, preset)
    }

    /// How a row is to be drawn.
    pub(crate) fn face(&self, slot: Slot) -> Face {
        match self.view(slot) {
            Ok(Some((face, _))) => face,
            Ok(None) => Face::Loading,
            Err(_) => Face::Failed,
        }
    }

    /// What is known of the lead of a row: nothing yet, a status, or why there is none. A status that could not be renewed is still
    /// shown.
    pub(crate) fn view(&self, slot: Slot) -> Result<Option<(Face, &S)>, Fault> {
        let lead = self.lead(slot).ok_or(Fault::InvalidLead)?;
        let Some(entry) = self.leads.get(lead) else {
            return Ok(None);
        };
        match (&entry.known, entry.fault()) {
            (Some(known), _) => Ok(Some((known.face, &known.status))),
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(None),
        }
    }

    fn lead(&self, slot: Slot) -> Option<&LeadId> {
        let row = self.rows.get(usize::try_from(slot).ok()?)?.as_ref()?;
        row.lead.as_ref()
    }

    fn row_mut(&mut self, slot: Slot) -> Option<&mut Row> {
        self.rows.get_mut(usize::try_from(slot).ok()?)?.as_mut()
    }
}

impl<S: Clone> Lead<S> {
    fn learn(&mut self, read: Read<S>, now: f64, preset: bool) -> Change<S> {
        self.trouble = None;
        let before = self.known.replace(Known {
            face: read.face,
            status: read.status,
            read_at: now,
            preset,
        });
        let replaced = before.filter(|before| before.face != read.face);
        self.change(replaced.map(|before| before.status))
    }

    fn change(&self, replaced: Option<S>) -> Change<S> {
        let fault = self.fault().filter(|_| self.known.is_none());
        Change {
            slots: self.slots.clone(),
            face: match (&self.known, fault) {
                (Some(known), _) => known.face,
                (None, Some(_)) => Face::Failed,
                (None, None) => Face::Loading,
            },
            replaced,
            fault,
        }
    }

    fn fault(&self) -> Option<Fault> {
        let (_, trouble) = self.trouble.filter(|_| !self.asked)?;
        Some(trouble.fault)
    }
}

#[cfg(test)]
mod tests {
    use leadlight::lead::{Standing, Status};

    use super::*;

    const ACTIVE: Face = Face::Status(Status::Standing(Standing::Active));
    const SOFT: Face = Face::Status(Status::SoftBouncing);

    fn id(text: &str) -> LeadId {
        LeadId::parse(text).unwrap()
    }

    fn read(lead: &str, face: Face) -> Read<&'static str> {
        Read {
            lead: id(lead),
            face,
            status: face.tone(),
        }
    }

    /// Shows `leads` in rows from `first` on, and answers what is asked for.
    #[track_caller]
    fn show(
        statuses: &mut Statuses<&'static str>,
        now: f64,
        first: Slot,
        leads: &[&str],
    ) -> Vec<(u32, Vec<LeadId>)> {
        for (slot, lead) in (first..).zip(leads) {
            statuses.connect(slot, Some(id(lead)), now);
        }
        statuses.take_requests(now)
    }

    #[track_caller]
    fn only(requests: impl AsRef<[(u32, Vec<LeadId>)]>) -> u32 {
        let requests = requests.as_ref();
        let [(request, _)] = requests else {
            panic!("not one request: {requests:?}");
        };
        *request
    }

    #[test]
    fn a_lead_shown_twice_is_asked_for_once() {
        let mut statuses = Statuses::default();
        let requests = show(&mut statuses, 0.0, 0, &["a", "b", "a"]);
        assert_eq!(requests, [(1, vec![id("a"), id("b")])]);
        assert_eq!(show(&mut statuses, 1.0, 3, &["a"]), [], "it is on its way");
        let changes = statuses.answer(1, Ok(vec![read("a", ACTIVE)]), 2.0);
        assert_eq!(changes[0].slots, [0, 2, 3], "all its rows are drawn");
    }

    #[test]
    fn a_request_carries_at_most_a_hundred_leads() {
        let mut statuses: Statuses<&str> = Statuses::default();
        for lead in 0..250 {
            statuses.connect(lead, Some(id(&lead.to_string())), 0.0);
        }
        let requests = statuses.take_requests(0.0);
        let sizes: Vec<usize> = requests.iter().map(|(_, leads)| leads.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn beyond_a_thousand_rows_a_lead_is_asked_for_when_it_is_seen() {
        let mut statuses: Statuses<&str> = Statuses::default();
        let watched: Vec<Slot> = (0..1_003)
            .filter(|slot| statuses.connect(*slot, Some(id(&slot.to_string())), 0.0))
            .collect();
        assert_eq!(watched, [1_000, 1_001, 1_002]);
        let asked: usize = statuses
            .take_requests(0.0)
            .iter()
            .map(|(_, leads)| leads.len())
            .sum();
        assert_eq!(asked, 1_000);
        statuses.want_seen(FRESH_MS);
        assert_eq!(statuses.take_requests(0.0), [], "nobody has seen them");
        statuses.see(1_001, 1.0);
        assert_eq!(statuses.take_requests(1.0), [(11, vec![id("1001")])]);
        statuses.see(1_001, 2.0);
        assert_eq!(statuses.take_requests(2.0), [], "it is on its way");
    }

    #[test]
    fn a_row_that_is_not_watched_makes_room_when_it_goes() {
        let mut statuses: Statuses<&str> = Statuses::default();
        for slot in 0..1_000 {
            statuses.connect(slot, Some(id(&slot.to_string())), 0.0);
        }
        statuses.disconnect(7);
        assert!(!statuses.connect(7, Some(id("another")), 1.0));
    }

    #[test]
    fn what_is_fresh_is_not_asked_for_again() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        statuses.answer(request, Ok(vec![read("a", ACTIVE)]), 10.0);
        assert_eq!(show(&mut statuses, FRESH_MS, 1, &["a"]), []);
        assert_eq!(
            show(&mut statuses, FRESH_MS + 10.0, 2, &["a"]),
            [(2, vec![id("a")])]
        );
    }

    #[test]
    fn what_the_page_gave_is_never_asked_for_unless_the_page_wants_it() {
        let mut statuses = Statuses::default();
        statuses.learn(read("a", ACTIVE), 0.0, true);
        assert_eq!(show(&mut statuses, 10.0 * FRESH_MS, 0, &["a"]), []);
        assert_eq!(statuses.face(0), ACTIVE);
        statuses.refresh(0);
        let request = only(statuses.take_requests(1.0));
        let changes = statuses.answer(request, Ok(vec![read("a", SOFT)]), 2.0);
        assert_eq!(changes[0].replaced, Some("active"));
        assert_eq!(statuses.face(0), SOFT);
    }

    #[test]
    fn a_failure_is_left_alone_for_a_while_and_tried_again_on_the_next_intent() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        let changes = statuses.answer(request, Err(Fault::Offline.into()), 100.0);
        assert_eq!(changes[0].fault, Some(Fault::Offline));
        assert_eq!(statuses.view(0), Err(Fault::Offline));
        statuses.see(0, 200.0);
        assert_eq!(statuses.take_requests(200.0), []);
        statuses.see(0, 100.0 + RETRY_MS);
        assert_eq!(statuses.take_requests(3_000.0), [(2, vec![id("a")])]);
        assert_eq!(statuses.face(0), Face::Loading);
    }

    #[test]
    fn a_busy_server_is_asked_when_it_said() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        let trouble = Trouble {
            fault: Fault::Busy,
            retry_at: Some(30_000.0),
        };
        statuses.answer(request, Err(trouble), 1.0);
        statuses.see(0, 29_999.0);
        assert_eq!(statuses.take_requests(29_999.0), []);
        statuses.see(0, 30_000.0);
        assert_eq!(statuses.take_requests(30_000.0).len(), 1);
    }

    #[test]
    fn new_credentials_are_tried_at_once() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        statuses.answer(request, Err(Fault::Unauthorised.into()), 1.0);
        statuses.forgive();
        statuses.want_seen(2.0);
        assert_eq!(statuses.take_requests(2.0).len(), 1);
    }

    #[test]
    fn a_lead_that_the_answer_leaves_out_is_not_loading_for_ever() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a", "b"]));
        statuses.answer(request, Ok(vec![read("b", ACTIVE)]), 1.0);
        assert_eq!(statuses.view(0), Err(Fault::Unavailable));
        assert_eq!(statuses.view(1), Ok(Some((ACTIVE, &"active"))));
    }

    #[test]
    fn an_answer_overtaken_by_a_recheck_changes_nothing() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        statuses.answer(request, Ok(vec![read("a", SOFT)]), 1.0);
        statuses.refresh(0);
        let request = only(statuses.take_requests(2.0));
        let change = statuses.learn(read("a", ACTIVE), 4.0, false);
        assert_eq!(change.replaced, Some("soft-bouncing"));
        let changes = statuses.answer(request, Ok(vec![read("a", SOFT)]), 5.0);
        assert_eq!(changes[0].replaced, None);
        assert_eq!(statuses.face(0), ACTIVE);
    }

    #[test]
    fn a_status_that_could_not_be_renewed_is_still_shown() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        statuses.answer(request, Ok(vec![read("a", SOFT)]), 1.0);
        statuses.refresh(0);
        let request = only(statuses.take_requests(2.0));
        let changes = statuses.answer(request, Err(Fault::Offline.into()), 3.0);
        assert_eq!((changes[0].face, changes[0].fault), (SOFT, None));
        assert_eq!(statuses.face(0), SOFT);
    }

    #[test]
    fn a_row_that_is_given_to_another_lead_shows_that_one() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        let requests = show(&mut statuses, 1.0, 0, &["b"]);
        assert_eq!(requests, [(2, vec![id("b")])]);
        let changes = statuses.answer(request, Ok(vec![read("a", SOFT)]), 2.0);
        assert!(changes[0].slots.is_empty(), "no row shows it any longer");
        assert_eq!(statuses.face(0), Face::Loading);
        statuses.answer(2, Ok(vec![read("b", ACTIVE)]), 3.0);
        assert_eq!(statuses.face(0), ACTIVE);
    }

    #[test]
    fn a_row_without_a_lead_says_so() {
        let mut statuses: Statuses<&str> = Statuses::default();
        assert!(!statuses.connect(0, None, 0.0));
        assert_eq!(statuses.view(0), Err(Fault::InvalidLead));
        assert_eq!(statuses.take_requests(0.0), []);
    }

    #[test]
    fn what_is_given_up_fails_once_and_its_answer_comes_too_late() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["a"]));
        statuses.connect(1, Some(id("b")), 1.0);
        let changes = statuses.give_up(Fault::Unconfigured.into(), 2.0);
        assert_eq!(changes.len(), 2);
        assert_eq!(statuses.view(1), Err(Fault::Unconfigured));
        assert_eq!(statuses.answer(request, Ok(vec![read("a", SOFT)]), 3.0), []);
    }

    #[test]
    fn leads_that_scrolled_away_are_forgotten_in_the_end() {
        let mut statuses = Statuses::default();
        let request = only(show(&mut statuses, 0.0, 0, &["kept"]));
        statuses.answer(request, Ok(vec![read("kept", ACTIVE)]), 1.0);
        for lead in 0..3 * MOST_UNSHOWN {
            let lead = lead.to_string();
            let request = only(show(&mut statuses, 0.0, 1, &[&lead]));
            statuses.answer(request, Ok(vec![read(&lead, ACTIVE)]), 1.0);
            statuses.disconnect(1);
        }
        assert!(statuses.leads.len() <= 2 + MOST_UNSHOWN);
        assert_eq!(statuses.face(0), ACTIVE);
    }
}
