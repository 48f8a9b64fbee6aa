//! What the page knows of its leads: a pure reducer, from what was asked and answered to what is shown.
//!
//! It never asks the time and never talks to a server. Times are milliseconds since 1970, as the browser counts them.

use std::collections::HashMap;

use leadlight::api::{LeadStatus, MAX_STATUSES, Outcome};
use leadlight::assessment::Resolution;
use leadlight::lead::LeadId;

/// How long a status is shown without asking again, in milliseconds: about as long as a person looks at one page.
pub(crate) const FRESH_MS: f64 = 60_000.0;
/// How long a failure is left alone, in milliseconds, so that moving over many bubbles asks no faster than this.
pub(crate) const RETRY_MS: f64 = 2_000.0;
/// How many leads more than were left last time are remembered before those out of sight are forgotten.
const MOST_UNSHOWN: usize = 2_000;

/// Why nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server could not be reached.
    Offline,
    /// No token, or one that the server does not accept.
    Unauthorised,
    /// A token that does not cover this.
    Forbidden,
    /// Too many requests.
    Busy,
    /// The server does not know the lead.
    NotFound,
    /// The server refused, because the status has changed since it was read.
    Refused,
    /// The server failed, or answered something else than a status.
    Unavailable,
    /// The page gave an id that no lead can have.
    InvalidLead,
}

/// A failure, and the time before which trying again is pointless.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) fault: Fault,
    pub(crate) retry_at: Option<f64>,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            retry_at: None,
        }
    }
}

/// A press of Check again, as its popover shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Check {
    /// Under way.
    Sending,
    /// The server answered.
    Done(Outcome),
    /// The server did not answer, or refused.
    Failed(Trouble),
}

/// What is to be shown of a lead.
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(
        clippy::large_enum_variant,
        reason = "nearly every view is a known one"
    )
)]
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum View {
    /// Not known yet.
    Loading,
    /// Known.
    Known(LeadStatus),
    /// Could not be found out.
    Failed(Fault),
}

/// A lead whose view may have changed.
#[derive(Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) lead: LeadId,
    /// The status before, if the status that is known has become another.
    pub(crate) replaced: Option<LeadStatus>,
}

#[derive(Debug, Default)]
struct Lead {
    known: Option<Known>,
    trouble: Option<(f64, Trouble)>,
    check: Option<Check>,
    /// Whether it is queued or asked for.
    asked: bool,
    shown: usize,
}

#[derive(Debug)]
struct Known {
    status: LeadStatus,
    read_at: f64,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct Statuses {
    leads: HashMap<LeadId, Lead>,
    queue: Vec<LeadId>,
    /// How many leads were left when those out of sight were last forgotten.
    kept: usize,
}

impl Statuses {
    /// A bubble of `lead` appeared.
    pub(crate) fn show(&mut self, lead: &LeadId, now: f64) {
        self.leads.entry(lead.clone()).or_default().shown += 1;
        self.want(lead, now);
    }

    /// A bubble of `lead` went away.
    pub(crate) fn hide(&mut self, lead: &LeadId) {
        if let Some(known) = self.leads.get_mut(lead) {
            known.shown = known.shown.saturating_sub(1);
        }
        if self.leads.len() > self.kept + MOST_UNSHOWN {
            self.leads.retain(|_, lead| {
                lead.shown > 0 || lead.asked || lead.check == Some(Check::Sending)
            });
            self.kept = self.leads.len();
        }
    }

    /// Queues `lead`, unless it is known well enough, is asked for already, or failed a moment ago.
    pub(crate) fn want(&mut self, lead: &LeadId, now: f64) {
        let entry = self.leads.entry(lead.clone()).or_default();
        let fresh = entry
            .known
            .as_ref()
            .is_some_and(|known| now - known.read_at < FRESH_MS);
        let too_early = entry
            .trouble
            .is_some_and(|(at, trouble)| now < trouble.retry_at.unwrap_or(at + RETRY_MS));
        if !fresh && !too_early {
            self.ask(lead);
        }
    }

    /// Queues every lead that is shown and not known well enough.
    pub(crate) fn want_shown(&mut self, now: f64) {
        let shown = self
            .leads
            .iter()
            .filter(|(_, lead)| lead.shown > 0)
            .map(|(id, _)| id.clone());
        for lead in shown.collect::<Vec<_>>() {
            self.want(&lead, now);
        }
    }

    /// Queues `lead`, however well it is known.
    pub(crate) fn ask(&mut self, lead: &LeadId) {
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

    /// Marks as asked for what is already on its way, so that it is not queued again.
    pub(crate) fn expect(&mut self, leads: &[LeadId]) {
        for lead in leads {
            self.leads.entry(lead.clone()).or_default().asked = true;
        }
    }

    /// Takes what is queued, in batches that one request can carry.
    pub(crate) fn take_batches(&mut self) -> Vec<Vec<LeadId>> {
        let queue = std::mem::take(&mut self.queue);
        queue.chunks(MAX_STATUSES).map(<[LeadId]>::to_vec).collect()
    }

    /// A batch that was sent at `sent_at` is answered.
    ///
    /// A lead of which something newer is known keeps that: its recheck may have overtaken this answer.
    pub(crate) fn answer(
        &mut self,
        batch: &[LeadId],
        sent_at: f64,
        reply: Result<Vec<LeadStatus>, Trouble>,
        now: f64,
    ) -> Vec<Change> {
        let trouble = reply
            .as_ref()
            .err()
            .copied()
            .unwrap_or(Fault::Unavailable.into());
        let mut statuses = reply.unwrap_or_default();
        let mut changes = Vec::with_capacity(batch.len());
        for lead in batch {
            let entry = self.leads.entry(lead.clone()).or_default();
            entry.asked = false;
            let status = statuses.iter().position(|status| status.lead == *lead);
            let replaced = match status.map(|index| statuses.swap_remove(index)) {
                Some(_)
                    if entry
                        .known
                        .as_ref()
                        .is_some_and(|known| known.read_at > sent_at) =>
                {
                    None
                }
                Some(status) => entry.learn(status, now),
                None => {
                    entry.trouble = Some((now, trouble));
                    None
                }
            };
            changes.push(Change {
                lead: lead.clone(),
                replaced,
            });
        }
        changes
    }

    /// Starts a press of Check again, if it is permitted and none is under way.
    pub(crate) fn start_check(&mut self, lead: &LeadId, now: f64) -> bool {
        let Some(entry) = self.leads.get_mut(lead) else {
            return false;
        };
        let permitted = entry
            .known
            .as_ref()
            .is_some_and(|known| may_check_again(&known.status, now));
        let start = permitted && entry.check != Some(Check::Sending);
        if start {
            entry.check = Some(Check::Sending);
        }
        start
    }

    /// A press of Check again ended.
    pub(crate) fn end_check(
        &mut self,
        lead: &LeadId,
        reply: Result<(Outcome, LeadStatus), Trouble>,
        now: f64,
    ) -> Change {
        let entry = self.leads.entry(lead.clone()).or_default();
        let replaced = match reply {
            Ok((outcome, status)) => {
                entry.check = Some(Check::Done(outcome));
                entry.learn(status, now)
            }
            Err(trouble) => {
                entry.check = Some(Check::Failed(trouble));
                None
            }
        };
        Change {
            lead: lead.clone(),
            replaced,
        }
    }

    /// Forgets how the last press of Check again ended: its popover was closed.
    pub(crate) fn forget_check(&mut self, lead: &LeadId) {
        if let Some(entry) = self.leads.get_mut(lead)
            && entry.check != Some(Check::Sending)
        {
            entry.check = None;
        }
    }

    /// What is to be shown of `lead`. A status that could not be renewed is still shown.
    pub(crate) fn view(&self, lead: &LeadId) -> View {
        let Some(entry) = self.leads.get(lead) else {
            return View::Loading;
        };
        match (&entry.known, entry.trouble) {
            (Some(known), _) => View::Known(known.status.clone()),
            (None, Some((_, trouble))) if !entry.asked => View::Failed(trouble.fault),
            (None, _) => View::Loading,
        }
    }

    /// How the press of Check again stands, if there was one.
    pub(crate) fn check(&self, lead: &LeadId) -> Option<Check> {
        self.leads.get(lead)?.check
    }
}

impl Lead {
    fn learn(&mut self, status: LeadStatus, now: f64) -> Option<LeadStatus> {
        self.trouble = None;
        let before = self.known.replace(Known {
            status,
            read_at: now,
        });
        let before = before.map(|known| known.status);
        before.filter(|before| {
            self.known
                .as_ref()
                .is_some_and(|known| known.status != *before)
        })
    }
}

/// Whether Check again is to be offered: the server said so, or the time that it named has come.
pub(crate) fn may_check_again(status: &LeadStatus, now: f64) -> bool {
    let waited = status
        .check_again_from
        .is_some_and(|from| milliseconds(from) <= now);
    status.may_check_again || (status.resolution == Some(Resolution::CheckAgain) && waited)
}

/// A time as the browser counts it.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of any date fit the 53 bits"
)]
pub(crate) fn milliseconds(time: jiff::Timestamp) -> f64 {
    time.as_millisecond() as f64
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn id(text: &str) -> LeadId {
        LeadId::parse(text).unwrap()
    }

    fn status(lead: &str, code: &str) -> LeadStatus {
        LeadStatus {
            status: code.to_owned(),
            ..LeadStatus::unknown(id(lead))
        }
    }

    fn blocked(lead: &str) -> LeadStatus {
        LeadStatus {
            reason: Some("hard_bounce".to_owned()),
            cause: Some("mailbox_missing".to_owned()),
            resolution: Some(Resolution::CheckAgain),
            may_check_again: true,
            ..status(lead, "blocklisted")
        }
    }

    #[track_caller]
    fn ask(statuses: &mut Statuses, now: f64, leads: &[&str]) -> Vec<LeadId> {
        for lead in leads {
            statuses.show(&id(lead), now);
        }
        statuses.take_batches().concat()
    }

    #[test]
    fn a_lead_shown_twice_is_asked_for_once() {
        let mut statuses = Statuses::default();
        assert_eq!(
            ask(&mut statuses, 0.0, &["a", "b", "a"]),
            [id("a"), id("b")]
        );
        assert_eq!(ask(&mut statuses, 1.0, &["a"]), [], "it is on its way");
    }

    #[test]
    fn a_request_carries_at_most_a_hundred_leads() {
        let mut statuses = Statuses::default();
        for lead in 0..250 {
            statuses.show(&id(&lead.to_string()), 0.0);
        }
        let sizes: Vec<usize> = statuses.take_batches().iter().map(Vec::len).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn what_is_fresh_is_not_asked_for_again() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["a"]);
        statuses.answer(&batch, 0.0, Ok(vec![status("a", "active")]), 10.0);
        assert_eq!(ask(&mut statuses, FRESH_MS, &["a"]), []);
        assert_eq!(ask(&mut statuses, FRESH_MS + 10.0, &["a"]), [id("a")]);
    }

    #[test]
    fn a_failure_is_left_alone_for_a_while_and_tried_again_on_the_next_intent() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["a"]);
        statuses.answer(&batch, 0.0, Err(Fault::Offline.into()), 100.0);
        assert_eq!(statuses.view(&id("a")), View::Failed(Fault::Offline));
        assert_eq!(ask(&mut statuses, 200.0, &["a"]), []);
        assert_eq!(ask(&mut statuses, 100.0 + RETRY_MS, &["a"]), [id("a")]);
        assert_eq!(statuses.view(&id("a")), View::Loading);
    }

    #[test]
    fn a_busy_server_is_asked_when_it_said() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["a"]);
        let trouble = Trouble {
            fault: Fault::Busy,
            retry_at: Some(30_000.0),
        };
        statuses.answer(&batch, 0.0, Err(trouble), 1.0);
        assert_eq!(ask(&mut statuses, 29_999.0, &["a"]), []);
        assert_eq!(ask(&mut statuses, 30_000.0, &["a"]), [id("a")]);
    }

    #[test]
    fn a_lead_that_the_answer_leaves_out_is_not_loading_for_ever() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["a", "b"]);
        statuses.answer(&batch, 0.0, Ok(vec![status("b", "active")]), 1.0);
        assert_eq!(statuses.view(&id("a")), View::Failed(Fault::Unavailable));
        assert_eq!(statuses.view(&id("b")), View::Known(status("b", "active")));
    }

    #[test]
    fn an_answer_overtaken_by_a_recheck_changes_nothing() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["a"]);
        statuses.answer(&batch, 0.0, Ok(vec![blocked("a")]), 1.0);
        statuses.ask(&id("a"));
        let batch = statuses.take_batches().concat();
        assert!(statuses.start_check(&id("a"), 3.0));
        let change = statuses.end_check(&id("a"), Ok((Outcome::Sent, status("a", "active"))), 4.0);
        assert_eq!(change.replaced, Some(blocked("a")));
        let changes = statuses.answer(&batch, 2.0, Ok(vec![blocked("a")]), 5.0);
        assert_eq!(
            changes,
            [Change {
                lead: id("a"),
                replaced: None
            }]
        );
        assert_eq!(statuses.view(&id("a")), View::Known(status("a", "active")));
    }

    #[test]
    fn a_status_that_could_not_be_renewed_is_still_shown() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["a"]);
        statuses.answer(&batch, 0.0, Ok(vec![blocked("a")]), 1.0);
        statuses.ask(&id("a"));
        let batch = statuses.take_batches().concat();
        statuses.answer(&batch, 2.0, Err(Fault::Offline.into()), 3.0);
        assert_eq!(statuses.view(&id("a")), View::Known(blocked("a")));
    }

    #[test]
    fn check_again_is_pressed_once_and_only_where_permitted() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["a", "b"]);
        statuses.answer(
            &batch,
            0.0,
            Ok(vec![blocked("a"), status("b", "active")]),
            1.0,
        );
        assert!(statuses.start_check(&id("a"), 2.0));
        assert!(!statuses.start_check(&id("a"), 2.0), "one is under way");
        assert!(!statuses.start_check(&id("b"), 2.0), "nothing to clear");
        assert!(!statuses.start_check(&id("c"), 2.0), "unknown");
        statuses.forget_check(&id("a"));
        assert_eq!(statuses.check(&id("a")), Some(Check::Sending));
        statuses.end_check(&id("a"), Err(Fault::Unavailable.into()), 3.0);
        assert_eq!(
            statuses.check(&id("a")),
            Some(Check::Failed(Fault::Unavailable.into()))
        );
        assert!(
            statuses.start_check(&id("a"), 4.0),
            "a failure may be tried again"
        );
    }

    #[test]
    fn check_again_is_offered_once_the_named_time_has_come() {
        let from = Timestamp::from_millisecond(1_000).unwrap();
        let waiting = LeadStatus {
            may_check_again: false,
            check_again_from: Some(from),
            ..blocked("a")
        };
        assert!(!may_check_again(&waiting, 999.0));
        assert!(may_check_again(&waiting, 1_000.0));
        let never = LeadStatus {
            resolution: Some(Resolution::Never),
            ..waiting
        };
        assert!(!may_check_again(&never, 2_000.0));
    }

    #[test]
    fn leads_that_scrolled_away_are_forgotten_in_the_end() {
        let mut statuses = Statuses::default();
        let batch = ask(&mut statuses, 0.0, &["kept"]);
        statuses.answer(&batch, 0.0, Ok(vec![status("kept", "active")]), 1.0);
        for lead in 0..3 * MOST_UNSHOWN {
            let lead = lead.to_string();
            let batch = ask(&mut statuses, 0.0, &[&lead]);
            statuses.answer(&batch, 0.0, Ok(vec![status(&lead, "active")]), 1.0);
            statuses.hide(&id(&lead));
        }
        assert!(statuses.leads.len() <= 2 + MOST_UNSHOWN);
        assert_eq!(
            statuses.view(&id("kept")),
            View::Known(status("kept", "active"))
        );
    }
}
