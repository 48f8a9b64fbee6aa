//! What the page knows of its leads, and which of its rows show them: a pure reducer, from what was asked and answered to what is
//! drawn.
//!
//! It never asks the time and never talks to a server. Times are milliseconds since 1970, as the browser counts them. Leads and
//! rows go by numbers that the page gives; ids and whole statuses stay with the page.

use leadlight::api::MAX_STATUSES;
use leadlight_view::face::Face;
use leadlight_view::fault::{Fault, Trouble};

/// How long a status is shown without asking again, in milliseconds: about as long as a person looks at one page.
pub(crate) const FRESH_MS: f64 = 60_000.0;
/// How long a failure is left alone, in milliseconds, so that moving over many bubbles asks no faster than this.
pub(crate) const RETRY_MS: f64 = 2_000.0;
/// How often in a row what failed is tried again by itself; each wait is twice the one before. After two minutes or so it is up to
/// people, or to the network when it comes back.
const TRIES: i32 = 5;
/// How many leads more than were left last time are remembered before those out of sight are forgotten.
const MOST_UNSHOWN: usize = 2_000;
/// How many rows are asked about wherever they are. Those beyond are asked about when somebody scrolls to them.
const MOST_UNSEEN: usize = 1_000;

/// The number of a connected element; free to be given again once that is gone.
pub(crate) type Slot = u32;
/// The number of a lead; free to be given again once that is forgotten.
pub(crate) type Lead = u32;

/// What is to be drawn and told after something became known.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    /// The rows of the lead.
    pub(crate) slots: Vec<Slot>,
    pub(crate) face: Face,
    /// The lead, if what was told of it now is what is known.
    pub(crate) learned: Option<Lead>,
    /// Whether a known status has become another.
    pub(crate) replaced: bool,
    /// What went wrong, if nothing is known.
    pub(crate) fault: Option<Fault>,
    /// Whether that is what the page was told before, and only has shown again.
    pub(crate) repeated: bool,
}

#[derive(Debug, Default)]
struct Entry {
    known: Option<Known>,
    trouble: Option<(f64, Trouble)>,
    /// Whether it is queued or asked for.
    asked: bool,
    /// Whether that is because it failed, and the page knows.
    again: bool,
    slots: Vec<Slot>,
    /// Whether the page has a lead of this number.
    used: bool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    face: Face,
    read_at: f64,
    /// Given by the page, which renews it by itself.
    preset: bool,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// The lead, if the page named one that can exist.
    lead: Option<Lead>,
    /// Whether it may be asked about without being looked at.
    seen: bool,
    /// Whether the page was told nothing of it yet.
    new: bool,
}

#[derive(Debug)]
struct Batch {
    request: u32,
    leads: Vec<Lead>,
    sent_at: f64,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    /// By number.
    leads: Vec<Entry>,
    /// By slot.
    rows: Vec<Option<Row>>,
    connected: usize,
    used: usize,
    queue: Vec<Lead>,
    under_way: Vec<Batch>,
    /// The number of the last request.
    requests: u32,
    /// How many leads were left when those out of sight were last forgotten.
    kept: usize,
    /// When to try again what failed.
    due: Option<f64>,
    /// How often that was done since something else happened.
    tries: i32,
}

impl Statuses {
    /// A row of `lead` appeared, or was given to it. Says whether it is to be watched: whether to ask about it is decided when
    /// somebody scrolls to it.
    pub(crate) fn connect(&mut self, slot: Slot, lead: Option<Lead>, now: f64) -> bool {
        let new = at(&mut self.rows, slot).is_none_or(|row| row.new || row.lead != lead);
        self.disconnect(slot);
        let seen = self.connected < MOST_UNSEEN;
        *at(&mut self.rows, slot) = Some(Row { lead, seen, new });
        self.connected += 1;
        let Some(lead) = lead else { return false };
        let entry = self.entry(lead);
        entry.slots.push(slot);
        let unknown = entry.known.is_none();
        if seen {
            self.want(lead, now);
        }
        unknown && !seen
    }

    /// A row went away.
    pub(crate) fn disconnect(&mut self, slot: Slot) {
        if let Some(row) = at(&mut self.rows, slot).take() {
            self.connected -= 1;
            if let Some(lead) = row.lead {
                self.entry(lead).slots.retain(|other| *other != slot);
            }
        }
    }

    /// The leads that no row shows any longer, if there are too many of them. They are forgotten, but for those whose status
    /// only the page can tell.
    pub(crate) fn forget(&mut self) -> Vec<Lead> {
        if self.used <= self.kept + MOST_UNSHOWN {
            return Vec::new();
        }
        let mut forgotten = Vec::new();
        for (lead, entry) in (0..).zip(&mut self.leads) {
            let is_preset = entry.known.is_some_and(|known| known.preset);
            if entry.used && entry.slots.is_empty() && !entry.asked && !is_preset {
                *entry = Entry::default();
                forgotten.push(lead);
            }
        }
        self.used -= forgotten.len();
        self.kept = self.used;
        forgotten
    }

    /// Somebody scrolled to a row, or looks at it.
    pub(crate) fn see(&mut self, slot: Slot, now: f64) {
        if let Some(row) = at(&mut self.rows, slot) {
            row.seen = true;
        }
        if let Some(lead) = self.lead(slot) {
            self.want(lead, now);
        }
    }

    /// Queues `lead`, unless it is known well enough, is asked for already, or failed a moment ago.
    fn want(&mut self, lead: Lead, now: f64) {
        let entry = self.entry(lead);
        let fresh = entry
            .known
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
        self.tries = 0;
        for lead in self.seen() {
            self.want(lead, now);
        }
    }

    /// Queues every lead that was seen and could not be read: the time that [`Statuses::due`] named has come.
    pub(crate) fn try_again(&mut self, now: f64) {
        self.due = None;
        self.tries += 1;
        for lead in self.seen() {
            let entry = self.entry(lead);
            let passes = entry
                .trouble
                .is_some_and(|(_, trouble)| trouble.fault.passes());
            if passes && !entry.asked {
                entry.again = true;
                self.want(lead, now);
            }
        }
    }

    fn seen(&self) -> Vec<Lead> {
        let rows = self.rows.iter().flatten().filter(|row| row.seen);
        rows.filter_map(|row| row.lead).collect()
    }

    /// Queues the lead of a row, however well it is known.
    pub(crate) fn refresh(&mut self, slot: Slot) {
        if let Some(lead) = self.lead(slot) {
            self.ask(lead);
        }
    }

    fn ask(&mut self, lead: Lead) {
        let entry = self.entry(lead);
        if !entry.asked {
            entry.asked = true;
            self.queue.push(lead);
        }
    }

    /// Forgets all failures: the page has new credentials.
    pub(crate) fn forgive(&mut self) {
        self.due = None;
        for entry in &mut self.leads {
            entry.trouble = None;
        }
    }

    /// Takes note of a request for `leads` that left at `sent_at`, and numbers it.
    pub(crate) fn expect(&mut self, leads: Vec<Lead>, sent_at: f64) -> u32 {
        for lead in &leads {
            self.entry(*lead).asked = true;
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
    pub(crate) fn take_requests(&mut self, now: f64) -> Vec<(u32, Vec<Lead>)> {
        let queue = std::mem::take(&mut self.queue);
        queue
            .chunks(MAX_STATUSES)
            .map(|leads| (self.expect(leads.to_vec(), now), leads.to_vec()))
            .collect()
    }

    /// A request is answered with the faces of some leads. One that nobody waits for any longer changes nothing.
    ///
    /// A lead of which something newer is known keeps that: its recheck may have overtaken this answer. What could not be read is
    /// tried again after a while, which `chance`, from 0 to 1, makes longer, so that many pages do not come back at once.
    pub(crate) fn answer(
        &mut self,
        request: u32,
        reply: Result<&[(Lead, Face)], Trouble>,
        now: f64,
        chance: f64,
    ) -> Vec<Change> {
        let index = self
            .under_way
            .iter()
            .position(|batch| batch.request == request);
        let Some(batch) = index.map(|index| self.under_way.swap_remove(index)) else {
            return Vec::new();
        };
        let (told, trouble) = match reply {
            Ok(told) => (told, Fault::Unavailable.into()),
            Err(trouble) => (&[][..], trouble),
        };
        let mut changes = Vec::with_capacity(batch.leads.len());
        let mut failed = false;
        for lead in batch.leads {
            let entry = self.entry(lead);
            entry.asked = false;
            let again = std::mem::take(&mut entry.again);
            let overtaken = entry
                .known
                .is_some_and(|known| known.read_at > batch.sent_at);
            let told = told.iter().find(|(other, _)| *other == lead);
            changes.push(match told {
                Some(_) if overtaken => entry.change(),
                Some((_, face)) => entry.learn(lead, *face, now, false),
                None => {
                    failed = true;
                    let before = entry.trouble.replace((now, trouble));
                    let same = before.is_some_and(|(_, before)| before.fault == trouble.fault);
                    Change {
                        repeated: again && same,
                        ..entry.change()
                    }
                }
            });
        }
        for change in changes.iter().filter(|change| change.fault.is_some()) {
            for slot in &change.slots {
                if let Some(row) = at(&mut self.rows, *slot) {
                    row.new = false;
                }
            }
        }
        if !failed {
            self.tries = 0;
        } else if trouble.fault.passes() && self.tries < TRIES {
            let wait = RETRY_MS * (1.0 + chance);
            let at = match trouble.retry_at {
                Some(at) => at + wait - RETRY_MS,
                None => now + wait * 2_f64.powi(self.tries),
            };
            self.due = Some(self.due.map_or(at, |due| due.max(at)));
        }
        changes
    }

    /// When to call [`Statuses::try_again`].
    pub(crate) fn due(&self) -> Option<f64> {
        self.due
    }

    /// Gives up everything that is queued or under way, until the failures are forgotten.
    pub(crate) fn give_up(&mut self, fault: Fault, now: f64) -> Vec<Change> {
        let trouble = Trouble {
            fault,
            retry_at: Some(f64::INFINITY),
        };
        self.take_requests(now);
        let mut changes = Vec::new();
        while let Some(request) = self.under_way.first().map(|batch| batch.request) {
            changes.extend(self.answer(request, Err(trouble), now, 0.0));
        }
        changes
    }

    /// Something was told otherwise: by the page (`preset`), or in answer to a press of Check again.
    pub(crate) fn learn(&mut self, lead: Lead, face: Face, now: f64, preset: bool) -> Change {
        self.entry(lead).learn(lead, face, now, preset)
    }

    /// What is known of the lead of a row, and what went wrong if that is nothing. A status that could not be renewed is still shown.
    pub(crate) fn view(&mut self, slot: Slot) -> (Face, Option<Fault>) {
        match self.lead(slot) {
            Some(lead) => self.entry(lead).view(),
            None => (Face::FAILED, Some(Fault::InvalidLead)),
        }
    }

    /// The rows that appeared, or were given to another lead, since this was last asked, and have failed already.
    pub(crate) fn take_failed(&mut self) -> Vec<(Slot, Fault)> {
        let rows = (0..).zip(&mut self.rows);
        let new: Vec<Slot> = rows
            .filter_map(|(slot, row)| {
                let row = row.as_mut()?;
                std::mem::take(&mut row.new).then_some(slot)
            })
            .collect();
        new.into_iter()
            .filter_map(|slot| Some((slot, self.view(slot).1?)))
            .collect()
    }

    fn lead(&mut self, slot: Slot) -> Option<Lead> {
        at(&mut self.rows, slot).as_ref()?.lead
    }

    fn entry(&mut self, lead: Lead) -> &mut Entry {
        let entry = at(&mut self.leads, lead);
        if !entry.used {
            entry.used = true;
            self.used += 1;
        }
        entry
    }
}

impl Entry {
    fn learn(&mut self, lead: Lead, face: Face, now: f64, preset: bool) -> Change {
        self.trouble = None;
        let before = self.known.replace(Known {
            face,
            read_at: now,
            preset,
        });
        Change {
            learned: Some(lead),
            replaced: before.is_some_and(|before| before.face != face),
            ..self.change()
        }
    }

    fn view(&self) -> (Face, Option<Fault>) {
        let is_shown = !self.asked || self.again;
        let trouble = self.trouble.filter(|_| is_shown && self.known.is_none());
        let fault = trouble.map(|(_, trouble)| trouble.fault);
        let unknown = if fault.is_some() {
            Face::FAILED
        } else {
            Face::LOADING
        };
        (self.known.map_or(unknown, |known| known.face), fault)
    }

    fn change(&self) -> Change {
        let (face, fault) = self.view();
        Change {
            slots: self.slots.clone(),
            face,
            learned: None,
            replaced: false,
            fault,
            repeated: false,
        }
    }
}

/// The place of a number in a list that grows as the numbers do.
fn at<T: Default>(list: &mut Vec<T>, number: u32) -> &mut T {
    let place = usize::try_from(number).unwrap_or_default();
    if list.len() <= place {
        list.resize_with(place + 1, T::default);
    }
    #[expect(clippy::indexing_slicing, reason = "the list is at least that long")]
    &mut list[place]
}

#[cfg(test)]
mod tests {
    use leadlight::lead::LeadId;

    use super::*;

    // Which statuses they are is nothing to what is tested here.
    const ACTIVE: Face = Face::from_number(4);
    const SOFT: Face = Face::from_number(7);
    const A: Lead = 7;
    const B: Lead = 8;

    /// Shows `leads` in rows from `first` on, and answers what is asked for.
    fn show(
        statuses: &mut Statuses,
        now: f64,
        first: Slot,
        leads: &[Lead],
    ) -> Vec<(u32, Vec<Lead>)> {
        for (slot, lead) in (first..).zip(leads) {
            statuses.connect(slot, Some(*lead), now);
        }
        statuses.take_requests(now)
    }

    /// Shows a lead in row 0, and tells its face at time 10.
    fn showing(lead: Lead, face: Face) -> Statuses {
        let mut statuses = Statuses::default();
        assert_eq!(show(&mut statuses, 0.0, 0, &[lead]), [(1, vec![lead])]);
        statuses.answer(1, Ok(&[(lead, face)]), 10.0, 0.0);
        statuses
    }

    #[test]
    fn a_lead_shown_twice_is_asked_for_once() {
        let mut statuses = Statuses::default();
        let requests = show(&mut statuses, 0.0, 0, &[A, B, A]);
        assert_eq!(requests, [(1, vec![A, B])]);
        assert_eq!(show(&mut statuses, 1.0, 3, &[A]), [], "it is on its way");
        let changes = statuses.answer(1, Ok(&[(A, ACTIVE)]), 2.0, 0.0);
        assert_eq!(changes[0].slots, [0, 2, 3], "all its rows are drawn");
    }

    #[test]
    fn a_request_carries_at_most_a_hundred_leads() {
        let mut statuses = Statuses::default();
        let leads: Vec<Lead> = (0..250).collect();
        let requests = show(&mut statuses, 0.0, 0, &leads);
        let sizes: Vec<usize> = requests.iter().map(|(_, leads)| leads.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn beyond_a_thousand_rows_a_lead_is_asked_for_when_it_is_seen() {
        let mut statuses = Statuses::default();
        let watched: Vec<Slot> = (0..1_003)
            .filter(|slot| statuses.connect(*slot, Some(*slot), 0.0))
            .collect();
        assert_eq!(watched, [1_000, 1_001, 1_002]);
        let requests = statuses.take_requests(0.0);
        let asked: usize = requests.iter().map(|(_, leads)| leads.len()).sum();
        assert_eq!(asked, 1_000);
        statuses.want_seen(FRESH_MS);
        assert_eq!(statuses.take_requests(0.0), [], "nobody has seen them");
        statuses.see(1_001, 1.0);
        assert_eq!(statuses.take_requests(1.0), [(11, vec![1_001])]);
        statuses.see(1_001, 2.0);
        assert_eq!(statuses.take_requests(2.0), [], "it is on its way");
    }

    #[test]
    fn a_row_that_goes_makes_room_for_one_that_is_asked_about_at_once() {
        let mut statuses = Statuses::default();
        for slot in 0..1_000 {
            statuses.connect(slot, Some(slot), 0.0);
        }
        statuses.disconnect(7);
        assert!(!statuses.connect(7, Some(1_007), 1.0));
    }

    #[test]
    fn what_is_fresh_is_not_asked_for_again() {
        let mut statuses = showing(A, ACTIVE);
        assert_eq!(show(&mut statuses, FRESH_MS, 1, &[A]), []);
        assert_eq!(
            show(&mut statuses, FRESH_MS + 10.0, 2, &[A]),
            [(2, vec![A])]
        );
    }

    #[test]
    fn what_the_page_gave_is_never_asked_for_unless_the_page_wants_it() {
        let mut statuses = Statuses::default();
        statuses.learn(A, ACTIVE, 0.0, true);
        assert_eq!(show(&mut statuses, 10.0 * FRESH_MS, 0, &[A]), []);
        assert_eq!(statuses.view(0), (ACTIVE, None));
        statuses.refresh(0);
        assert_eq!(statuses.take_requests(1.0), [(1, vec![A])]);
        let changes = statuses.answer(1, Ok(&[(A, SOFT)]), 2.0, 0.0);
        assert!(changes[0].replaced);
        assert_eq!(statuses.view(0), (SOFT, None));
    }

    #[test]
    fn a_failure_is_left_alone_for_a_while_and_tried_again_on_the_next_intent() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A]);
        let changes = statuses.answer(1, Err(Fault::Offline.into()), 100.0, 0.0);
        assert_eq!(changes[0].fault, Some(Fault::Offline));
        assert_eq!(statuses.view(0), (Face::FAILED, Some(Fault::Offline)));
        statuses.see(0, 200.0);
        assert_eq!(statuses.take_requests(200.0), []);
        statuses.see(0, 100.0 + RETRY_MS);
        assert_eq!(statuses.take_requests(3_000.0), [(2, vec![A])]);
        assert_eq!(statuses.view(0), (Face::LOADING, None));
    }

    #[test]
    fn a_row_that_comes_after_the_failure_is_told_of_once() {
        let mut statuses = Statuses::default();
        let request = statuses.expect(vec![A], 0.0);
        let changes = statuses.answer(request, Err(Fault::Unauthorised.into()), 1.0, 0.0);
        assert!(changes[0].slots.is_empty(), "there is no row to tell of");
        statuses.connect(0, None, 2.0);
        statuses.connect(0, Some(A), 2.0);
        statuses.connect(1, Some(B), 2.0);
        statuses.connect(2, Some(A), 2.0);
        statuses.disconnect(2);
        assert_eq!(statuses.take_failed(), [(0, Fault::Unauthorised)]);
        statuses.connect(0, Some(A), 3.0);
        assert_eq!(statuses.take_failed(), [], "told of already");
        statuses.connect(0, None, 4.0);
        assert_eq!(statuses.take_failed(), [(0, Fault::InvalidLead)]);
        let request = statuses.expect(vec![B], 5.0);
        statuses.connect(3, Some(B), 5.0);
        let changes = statuses.answer(request, Err(Fault::Offline.into()), 6.0, 0.0);
        assert_eq!(changes[0].slots, [1, 3]);
        assert_eq!(statuses.take_failed(), [], "told of with the answer");
    }

    #[test]
    fn a_busy_server_is_asked_when_it_said() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A]);
        let trouble = Trouble {
            fault: Fault::Busy,
            retry_at: Some(30_000.0),
        };
        statuses.answer(1, Err(trouble), 1.0, 0.0);
        statuses.see(0, 29_999.0);
        assert_eq!(statuses.take_requests(29_999.0), []);
        statuses.see(0, 30_000.0);
        assert_eq!(statuses.take_requests(30_000.0), [(2, vec![A])]);
    }

    #[test]
    fn what_failed_is_tried_again_by_itself_ever_more_seldom_and_not_for_ever() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A]);
        let (mut now, mut waits, mut request) = (0.0, Vec::new(), 1);
        loop {
            let changes = statuses.answer(request, Err(Fault::Unavailable.into()), now, 0.5);
            assert_eq!(changes[0].face, Face::FAILED);
            assert_eq!(changes[0].repeated, request > 1, "told of once");
            let Some(due) = statuses.due() else { break };
            waits.push(due - now);
            now = due;
            statuses.try_again(now);
            let asked = statuses.take_requests(now);
            request += 1;
            assert_eq!(asked, [(request, vec![A])]);
        }
        assert_eq!(waits, [3_000.0, 6_000.0, 12_000.0, 24_000.0, 48_000.0]);
        // Somebody is back at the page: all begins anew.
        statuses.want_seen(now + RETRY_MS);
        assert_eq!(statuses.take_requests(now), [(7, vec![A])]);
        statuses.answer(7, Err(Fault::Offline.into()), now, 0.0);
        assert_eq!(statuses.due(), Some(now + RETRY_MS));
        statuses.try_again(now + RETRY_MS);
        statuses.take_requests(now + RETRY_MS);
        statuses.answer(8, Ok(&[(A, ACTIVE)]), now, 0.0);
        assert_eq!((statuses.due(), statuses.tries), (None, 0));
    }

    #[test]
    fn only_what_passes_is_tried_again_by_itself() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A]);
        let refused = [Fault::Unauthorised, Fault::Forbidden, Fault::Unconfigured];
        for (request, fault) in (1..).zip(refused) {
            statuses.answer(request, Err(fault.into()), 1.0, 0.0);
            assert_eq!(statuses.due(), None, "{fault:?}");
            statuses.refresh(0);
            statuses.take_requests(2.0);
        }
        let busy = Trouble {
            fault: Fault::Busy,
            retry_at: Some(30_000.0),
        };
        statuses.answer(4, Err(busy), 3.0, 0.25);
        assert_eq!(statuses.due(), Some(30_500.0), "when the server said");
        statuses.connect(1, Some(B), 4.0);
        statuses.take_requests(4.0);
        statuses.answer(5, Err(Fault::Offline.into()), 5.0, 0.0);
        assert_eq!(statuses.due(), Some(30_500.0), "and not before");
    }

    #[test]
    fn new_credentials_are_tried_at_once() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A]);
        statuses.answer(1, Err(Fault::Unauthorised.into()), 1.0, 0.0);
        statuses.forgive();
        statuses.want_seen(2.0);
        assert_eq!(statuses.take_requests(2.0), [(2, vec![A])]);
    }

    #[test]
    fn a_lead_that_the_answer_leaves_out_is_not_loading_for_ever() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A, B]);
        statuses.answer(1, Ok(&[(B, ACTIVE)]), 1.0, 0.0);
        assert_eq!(statuses.view(0), (Face::FAILED, Some(Fault::Unavailable)));
        assert_eq!(statuses.view(1), (ACTIVE, None));
    }

    #[test]
    fn an_answer_overtaken_by_a_recheck_changes_nothing() {
        let mut statuses = showing(A, SOFT);
        statuses.refresh(0);
        statuses.take_requests(20.0);
        assert!(statuses.learn(A, ACTIVE, 40.0, false).replaced);
        let changes = statuses.answer(2, Ok(&[(A, SOFT)]), 50.0, 0.0);
        assert_eq!((changes[0].learned, changes[0].replaced), (None, false));
        assert_eq!(statuses.view(0), (ACTIVE, None));
    }

    #[test]
    fn a_status_that_could_not_be_renewed_is_still_shown() {
        let mut statuses = showing(A, SOFT);
        statuses.refresh(0);
        statuses.take_requests(20.0);
        let changes = statuses.answer(2, Err(Fault::Offline.into()), 30.0, 0.0);
        assert_eq!((changes[0].face, changes[0].fault), (SOFT, None));
        assert_eq!(statuses.view(0), (SOFT, None));
    }

    #[test]
    fn a_row_that_is_given_to_another_lead_shows_that_one() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A]);
        assert_eq!(show(&mut statuses, 1.0, 0, &[B]), [(2, vec![B])]);
        let changes = statuses.answer(1, Ok(&[(A, SOFT)]), 2.0, 0.0);
        assert!(changes[0].slots.is_empty(), "no row shows it any longer");
        assert_eq!(statuses.view(0), (Face::LOADING, None));
        statuses.answer(2, Ok(&[(B, ACTIVE)]), 3.0, 0.0);
        assert_eq!(statuses.view(0), (ACTIVE, None));
    }

    #[test]
    fn a_row_without_a_lead_says_so() {
        let mut statuses = Statuses::default();
        assert!(!statuses.connect(0, None, 0.0));
        assert_eq!(statuses.view(0), (Face::FAILED, Some(Fault::InvalidLead)));
        assert_eq!(statuses.take_requests(0.0), []);
    }

    #[test]
    fn what_is_given_up_fails_once_and_its_answer_comes_too_late() {
        let mut statuses = Statuses::default();
        show(&mut statuses, 0.0, 0, &[A]);
        statuses.connect(1, Some(B), 1.0);
        assert_eq!(statuses.give_up(Fault::Unconfigured, 2.0).len(), 2);
        assert_eq!(statuses.view(1), (Face::FAILED, Some(Fault::Unconfigured)));
        assert_eq!(statuses.answer(1, Ok(&[(A, SOFT)]), 3.0, 0.0), []);
        statuses.see(0, FRESH_MS);
        assert_eq!(statuses.take_requests(FRESH_MS), [], "it would be in vain");
        statuses.forgive();
        statuses.see(0, FRESH_MS);
        assert_eq!(statuses.take_requests(FRESH_MS), [(3, vec![A])]);
    }

    #[test]
    fn leads_that_scrolled_away_are_forgotten_in_the_end() {
        let mut statuses = showing(A, ACTIVE);
        let mut free: Vec<Lead> = (100..100 + 3_000).collect();
        for round in 1..7_000 {
            let lead = free.pop().expect("numbers come back");
            statuses.connect(1, Some(lead), 0.0);
            for (request, leads) in statuses.take_requests(0.0) {
                statuses.answer(request, Ok(&[(leads[0], ACTIVE)]), f64::from(round), 0.0);
            }
            statuses.disconnect(1);
            free.extend(statuses.forget());
        }
        assert!(statuses.used <= 2 + MOST_UNSHOWN);
        assert_eq!(statuses.view(0), (ACTIVE, None), "what is shown is kept");
        assert!(!free.contains(&A));
    }

    #[test]
    fn what_the_page_has_told_is_not_forgotten() {
        let mut statuses = Statuses::default();
        for lead in 0..5_000 {
            statuses.learn(lead, SOFT, 0.0, true);
        }
        statuses.connect(0, Some(0), 0.0);
        statuses.disconnect(0);
        assert!(statuses.forget().is_empty());
        statuses.connect(0, Some(4_999), 1.0);
        assert_eq!(statuses.view(0), (SOFT, None));
        assert_eq!(statuses.take_requests(1.0), []);
    }

    #[test]
    fn the_page_takes_for_an_id_what_the_domain_takes_for_one() {
        let page = include_str!("../../embed/page.js");
        assert!(page.contains(r"const LEAD_ID = /^(?!\.\.?$)[\w.:~-]{1,128}$/;"));
        let is_id = |text: &str| LeadId::parse(text).is_ok();
        for character in '\0'..='\u{ff}' {
            let is_taken = character.is_ascii_alphanumeric() || "_.:~-".contains(character);
            assert_eq!(is_id(&format!("a{character}")), is_taken, "{character:?}");
        }
        assert!(!is_id(".") && !is_id("..") && is_id("...") && is_id(".a") && is_id("~"));
        assert!(!is_id("") && is_id(&"a".repeat(128)) && !is_id(&"a".repeat(129)));
    }
}
