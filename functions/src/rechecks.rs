//! `POST /v1/leads/{id}/rechecks`: Check again, pressed for one lead.
//!
//! The address is verified now; if it can be delivered to (and SES, where it is asked, does not know better), it comes off SES's own
//! suppression lists and is released, in this order, so that no safelisting lies. Where nothing can be found out, nothing changes. The server decides by itself whether the press is
//! permitted, whatever the page offered.

use core::time::Duration;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::api::{LeadStatus, Outcome, RecheckReply, VerificationReply};
use leadlight::assessment::{Reason, objection};
use leadlight::evidence::{AddressRecord, Authority, Fact, Piece, SuppressionList};
use leadlight::lead::{Lead, LeadEvent, LeadId};
use leadlight::verification::{Verdict, Verification};
use tokio::time::timeout_at;

use crate::access::{Caller, Scope, authorize};
use crate::app::{App, Checks};
use crate::apply::{
    Contended, Known, Subject, addition, apply, apply_evidence, assess_lead, evidence_of,
    own_source,
};
use crate::exchange::{self, Exchange};
use crate::insights::{Mailbox, Opinion};
use crate::problem::{Refusal, chain};
use crate::suppression_list::List;
use crate::table::item::{Key, Limited, Stored};
use crate::table::{Commit, Consistency};
use crate::verifier::Freshness;

/// How long a person waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_900);
/// How much of it DNS and SES may take; the rest is for the table.
const EXAMINED_WITHIN: Duration = Duration::from_millis(4_200);
/// When a second opinion has to be there, counted from the start: it is worth no failure.
const OPINION_WITHIN: Duration = Duration::from_secs(3);
/// What is said where a second opinion keeps a block.
const NO_SUCH_MAILBOX: &str =
    "Amazon SES is sure that there is no such mailbox, so the block stays.";

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(app: &App<Checks>, request: Request) -> Response<Body> {
    handle_at(app, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(app: &App<Checks>, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("rechecks");
    let answer = answer(app, &exchange, &request, now);
    let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
    exchange.finish(answer.unwrap_or_else(|_| Err(Refusal::out_of_time())))
}

async fn answer(
    app: &App<Checks>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let id = match (exchange::segments(request).as_slice(), request.method()) {
        (["v1", "leads", id, "rechecks"], &Method::POST) => *id,
        (["v1", "leads", _, "rechecks"], _) => return Err(Refusal::method_not_allowed("POST")),
        _ => return Err(Refusal::no_such_route()),
    };
    let caller = authorize(app, exchange, request.headers(), Scope::Rechecks, now).await?;
    let id = exchange::lead_id(id)?;
    caller.permit_lead(&id)?;
    exchange::json(StatusCode::OK, &press(app, &caller, &id, now).await?)
}

/// Presses Check again for the lead `id`.
pub(crate) async fn press(
    app: &App<Checks>,
    caller: &Caller,
    id: &LeadId,
    now: Timestamp,
) -> Result<RecheckReply, Refusal> {
    let known = Known::load(app, &caller.account, id, Consistency::Strong)
        .await?
        .ok_or_else(Refusal::unknown_lead)?;
    known
        .assess(caller.policy(), now)
        .may_check_again(now)
        .map_err(Refusal::check_again_refused)?;
    let lead = count(app, caller, &known, now).await?;
    if !lead.item.address.is_same_mailbox(&known.lead.item.address) {
        // Somebody saved another address just now: what was pressed for is gone.
        return Err(Refusal::unavailable(&Contended));
    }

    let press = Press {
        app,
        caller,
        known: Known { lead, ..known },
        source: own_source(),
        now,
    };
    let mut kept_because = None;
    let examination = tokio::time::timeout(EXAMINED_WITHIN, Box::pin(press.examine())).await;
    let (outcome, verification) = match examination.unwrap_or(Examination::Failed(None)) {
        Examination::Failed(verification) => {
            press.record_failure().await?;
            (Outcome::Fail, verification)
        }
        Examination::Passed(verification) => {
            press.release(&verification.verdict).await?;
            (Outcome::Sent, Some(verification))
        }
        Examination::Objectionable(verification) => {
            press.record(&verification.verdict, &[]).await?;
            (Outcome::Sent, Some(verification))
        }
        Examination::ComplainedOf(verification, complaints) => {
            press.record(&verification.verdict, &complaints).await?;
            (Outcome::Sent, Some(verification))
        }
        Examination::NoSuchMailbox(verification) => {
            press.record_beside_block(&verification.verdict).await?;
            kept_because = Some(NO_SUCH_MAILBOX.to_owned());
            (Outcome::Sent, Some(verification))
        }
    };
    let verified = &press.known.lead.item.address;
    let verification =
        verification.map(|verification| VerificationReply::new(verified, &verification));

    let known = Known::load(app, &caller.account, id, Consistency::Strong)
        .await?
        .ok_or_else(Refusal::unknown_lead)?;
    let status = LeadStatus::new(&known.lead.item, known.assess(caller.policy(), now), now);
    tracing::info!(
        account = %caller.account,
        address.key = %known.address,
        outcome = if outcome == Outcome::Sent { "sent" } else { "fail" },
        status.to = status.status,
        "rechecked"
    );
    Ok(RecheckReply {
        outcome,
        status,
        verification,
        kept_because,
    })
}

/// Counts the press against the limits of the lead and of the account.
async fn count(
    app: &App<Checks>,
    caller: &Caller,
    known: &Known,
    now: Timestamp,
) -> Result<Stored<Lead>, Refusal> {
    let policy = caller.policy();
    let mut next_press = None;
    let count = |lead: Option<&Lead>| {
        let mut lead = lead?.clone();
        next_press = lead
            .count_recheck(policy.rechecks_per_lead_per_hour, now)
            .err();
        next_press.is_none().then_some(lead)
    };
    let key = Key::lead(&caller.account, &known.lead.item.id);
    let (_, lead) = apply(&app.table, &key, Some(known.lead.clone()), count).await?;
    if let Some(next_press) = next_press {
        return Err(Refusal::too_many_rechecks("lead", next_press, now));
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    match app
        .table
        .count(
            &caller.account,
            today,
            Limited::Rechecks,
            policy.rechecks_per_account_per_day,
        )
        .await?
    {
        Commit::Committed => lead.ok_or_else(Refusal::unknown_lead),
        Commit::Conflict => {
            let tomorrow = today.tomorrow().and_then(|day| day.to_zoned(TimeZone::UTC));
            let next_press = tomorrow.map_or(now, |midnight| midnight.timestamp());
            Err(Refusal::too_many_rechecks("account", next_press, now))
        }
    }
}

/// What was found out about the address.
enum Examination {
    /// Nothing; the verdict is inconclusive, if there is one.
    Failed(Option<Verification>),
    /// It cannot be delivered to, or must not be.
    Objectionable(Verification),
    /// It could be delivered to, but SES knows of complaints.
    ComplainedOf(Verification, Vec<Piece>),
    /// DNS has nothing against it, but SES is sure that there is no such mailbox.
    NoSuchMailbox(Verification),
    /// It can be delivered to, and SES does not stand in the way any more.
    Passed(Verification),
}

/// One press that was permitted and counted.
struct Press<'a> {
    app: &'a App<Checks>,
    caller: &'a Caller,
    /// What the person who pressed could see.
    known: Known,
    /// Names the evidence of this press, so that a lost race does not record it twice.
    source: String,
    now: Timestamp,
}

impl Press<'_> {
    async fn examine(&self) -> Examination {
        let opinion_by = tokio::time::Instant::now() + OPINION_WITHIN;
        let address = &self.known.lead.item.address;
        let verification = self
            .app
            .services
            .verifier
            .verify(address, Freshness::Asked)
            .await;
        if let Verdict::Inconclusive { .. } = verification.verdict {
            return Examination::Failed(Some(verification));
        }
        if objection(&verification.verdict, self.caller.policy()).is_some() {
            return Examination::Objectionable(verification);
        }
        let tenant = self.caller.ses_tenant();
        let reason = self.known.assess(self.caller.policy(), self.now);
        if tenant.is_none()
            && reason.status.reason() == Some(Reason::WithheldByProvider(SuppressionList::Tenant))
        {
            tracing::error!(account = %self.caller.account, "an SES tenant withholds mail of an account whose item names no SES tenant");
            return Examination::Failed(None);
        }
        let lists = &self.app.services.suppression_list;
        let (among, spellings) = (List::of(tenant), self.spellings());
        let (entries, opinion) = futures_util::join!(
            lists.find(&among, &spellings),
            timeout_at(opinion_by, self.opinion()),
        );
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(error = chain(&error), address.key = %self.known.address, "could not ask SES about an address");
                return Examination::Failed(None);
            }
        };
        let complaints: Vec<Piece> = entries
            .iter()
            .filter(|entry| entry.is_complaint)
            .map(|entry| entry.piece(&self.known.address, self.now))
            .collect();
        if !complaints.is_empty() {
            return Examination::ComplainedOf(verification, complaints);
        }
        // Before the lists are cleared: SES is right to withhold mail from a mailbox that does not exist.
        if opinion == Ok(Some(Opinion::NoSuchMailbox)) {
            return Examination::NoSuchMailbox(verification);
        }
        for entry in &entries {
            if let Err(error) = lists.remove(&entry.list, &entry.spelling).await {
                tracing::warn!(error = chain(&error), address.key = %self.known.address, "could not clear an address with SES");
                return Examination::Failed(None);
            }
        }
        Examination::Passed(verification)
    }

    /// SES's opinion on the mailbox, where the account wants one.
    async fn opinion(&self) -> Option<Opinion> {
        let mailbox = Mailbox {
            account: &self.caller.account,
            address: &self.known.lead.item.address,
            key: &self.known.address,
        };
        let most = self.caller.policy().mailbox_checks_per_day;
        let insights = &self.app.services.insights;
        insights
            .opinion(&self.app.table, mailbox, most, self.now)
            .await
    }

    /// Every spelling under which SES may hold the address, likeliest first: those it used itself, and of them the one that
    /// the lead's mail is sent to.
    fn spellings(&self) -> Vec<String> {
        let address = &self.known.lead.item.address;
        let record = self.known.record.as_ref().map(|stored| &stored.item);
        let used = record.map(|record| &record.spellings);
        let known = record.map(|record| record.address.as_str().to_owned());
        let all: BTreeSet<String> = used
            .into_iter()
            .flatten()
            .cloned()
            .chain(known)
            .chain([address.as_str().to_owned(), address.key_form()])
            .collect();
        let mut all: Vec<String> = all.into_iter().collect();
        all.sort_by_key(|spelling| {
            let is_used = used.is_some_and(|used| used.contains(spelling));
            (!is_used, spelling != address.as_str())
        });
        all
    }

    fn verification(&self, verdict: &Verdict) -> Piece {
        let fact = Fact::Verification {
            verdict: verdict.clone(),
        };
        Piece::new(fact, &self.source, &self.known.address, self.now, self.now)
    }

    fn addition(&self, pieces: impl IntoIterator<Item = Piece>) -> AddressRecord {
        addition(&self.known.lead.item.address, pieces)
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            account: &self.caller.account,
            policy: self.caller.policy(),
            address: &self.known.address,
        }
    }

    /// Records what was found, without a release.
    async fn record(&self, verdict: &Verdict, complaints: &[Piece]) -> Result<(), Refusal> {
        let addition = self.addition(
            complaints
                .iter()
                .cloned()
                .chain([self.verification(verdict)]),
        );
        let loaded = self.known.record.clone();
        apply_evidence(
            &self.app.table,
            self.subject(),
            loaded,
            |_| addition.clone(),
            self.now,
        )
        .await?;
        Ok(())
    }

    /// Records what was found, but where that alone would lift the block: a newer verification replaces an older one.
    async fn record_beside_block(&self, verdict: &Verdict) -> Result<(), Refusal> {
        let assessment = self.known.assess(self.caller.policy(), self.now);
        if let Some(Reason::Undeliverable(_)) = assessment.status.reason() {
            return Ok(());
        }
        self.record(verdict, &[]).await
    }

    /// Records what was found and the release, in one write.
    ///
    /// Whatever landed since the person looked is assessed first: a complaint wins, and a second press finds nothing to lift. The
    /// release is newer than all that the person could see, and no newer.
    async fn release(&self, verdict: &Verdict) -> Result<(), Refusal> {
        let lead = &self.known.lead.item;
        let policy = self.caller.policy();
        let released_at = lead.release_time(&self.known.evidence(), self.now);
        let fact = Fact::Release {
            lead: lead.id.clone(),
            authority: Authority::Recheck,
        };
        let release = Piece::new(
            fact,
            &self.source,
            &self.known.address,
            released_at,
            self.now,
        );
        let addition = |current: Option<&AddressRecord>| {
            let still = assess_lead(lead, &evidence_of(current), policy, self.now)
                .may_check_again(self.now);
            let release = still.is_ok().then(|| release.clone());
            self.addition(release.into_iter().chain([self.verification(verdict)]))
        };
        let loaded = self.known.record.clone();
        let applied =
            apply_evidence(&self.app.table, self.subject(), loaded, addition, self.now).await?;
        if applied
            .record
            .evidence
            .pieces()
            .any(|piece| piece.id == release.id)
        {
            self.drop_hold(released_at).await;
        }
        Ok(())
    }

    /// Takes the hold that the release lifted off the lead, so that it cannot come back when the bounded evidence has forgotten
    /// the release. Should that fail, the hold is lifted all the same.
    async fn drop_hold(&self, released_at: Timestamp) {
        let released = &self.known.lead.item;
        let drop_hold = |lead: Option<&Lead>| {
            let lead = lead.filter(|lead| lead.address.is_same_mailbox(&released.address))?;
            lead.hold
                .as_ref()
                .filter(|hold| hold.taken_at < released_at)?;
            Some(Lead {
                hold: None,
                ..lead.clone()
            })
        };
        let key = Key::lead(&self.caller.account, &released.id);
        if let Err(error) = apply(
            &self.app.table,
            &key,
            Some(self.known.lead.clone()),
            drop_hold,
        )
        .await
        {
            tracing::warn!(
                error = chain(&error),
                "could not take a lifted hold off its lead"
            );
        }
    }

    async fn record_failure(&self) -> Result<(), Refusal> {
        let record = |lead: Option<&Lead>| {
            let mut lead = lead?.clone();
            lead.record(self.now, LeadEvent::RecheckFailed);
            Some(lead)
        };
        let key = Key::lead(&self.caller.account, &self.known.lead.item.id);
        apply(&self.app.table, &key, Some(self.known.lead.clone()), record).await?;
        Ok(())
    }
}
