//! `PUT` and `GET /v1/leads/{id}`, `GET /v1/leads/{id}/log`: saving verifies, showing assesses, the log is a projection.
//!
//! A save writes the link of a new address, then what its verification found (or that it is to be verified again, where nothing
//! could be found out), then the lead. A crash after any of them leaves a table that says nothing wrong, and the same call again
//! finishes what is missing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use lambda_http::http::{Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::address::{Address, AddressKey};
use leadlight::api::{LogReply, SaveLead, SavedLead};
use leadlight::evidence::{AddressRecord, Evidence, Fact, Piece};
use leadlight::lead::{Lead, LeadAssessment, LeadId, Save};
use leadlight::log::{Entry, entries};
use leadlight::verification::{Verdict, Verification};

use crate::access::{Caller, Scope, authorize};
use crate::app::{App, Checks};
use crate::apply::{
    ApplyError, Attempts, Known, Subject, addition, apply_evidence, assess_lead, evidence_of,
    own_source,
};
use crate::exchange::{self, Exchange};
use crate::problem::Refusal;
use crate::rechecks;
use crate::reverifications;
use crate::table::item::Key;
use crate::table::{Commit, Consistency, TableError};
use crate::verifier::Freshness;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(app: &App<Checks>, request: Request) -> Response<Body> {
    handle_at(app, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(app: &App<Checks>, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("leads");
    let answer = answer(app, &exchange, &request, now).await;
    exchange.finish(answer)
}

async fn answer(
    app: &App<Checks>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    match (exchange::segments(request).as_slice(), request.method()) {
        (["v1", "leads", id], &Method::PUT) => save(app, exchange, request, id, now).await,
        (["v1", "leads", id], &Method::GET) => show(app, exchange, request, id, now).await,
        (["v1", "leads", _], _) => Err(Refusal::method_not_allowed("GET, PUT")),
        (["v1", "leads", id, "log"], &Method::GET) => log(app, exchange, request, id, now).await,
        (["v1", "leads", _, "log"], _) => Err(Refusal::method_not_allowed("GET")),
        _ => Err(Refusal::no_such_route()),
    }
}

async fn save(
    app: &App<Checks>,
    exchange: &Exchange,
    request: &Request,
    id: &str,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let caller = authorize(app, exchange, request.headers(), Scope::LeadsWrite, now).await?;
    let id = exchange::lead_id(id)?;
    caller.permit_lead(&id)?;
    let save = read_save(request, now)?;

    let mut saving = Saving {
        app,
        caller: &caller,
        id: &id,
        save,
        now,
        source: own_source(),
        verification: None,
    };
    let mut attempts = Attempts::default();
    let saved = loop {
        match saving.attempt().await? {
            Some(saved) => break saved,
            None => attempts.pause().await.map_err(ApplyError::from)?,
        }
    };

    let mut reply = saved.reply(&caller, now);
    if caller.policy().recheck_on_save
        && saved.verification.is_some()
        && reply.status.may_check_again
    {
        reply.status = match rechecks::press(app, &caller, &id, now).await {
            Ok(pressed) => pressed.status,
            Err(refusal) => {
                tracing::warn!(
                    problem = refusal.problem().kind,
                    error = refusal.logged_cause(),
                    "the save's own recheck was refused"
                );
                reply.status
            }
        };
    }
    exchange::json(
        if saved.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        &reply,
    )
}

fn read_save(request: &Request, now: Timestamp) -> Result<Save, Refusal> {
    let SaveLead {
        address,
        standing,
        standing_since,
    } = exchange::read_json(request, &["address"])?;
    let address =
        Address::parse(&address).map_err(|error| Refusal::invalid_address("/address", &error))?;
    Ok(Save {
        address,
        standing,
        // A standing of the future would outweigh every unsubscription until then.
        standing_since: standing_since.map(|since| since.min(now)),
    })
}

/// One save, while others may save the same lead.
struct Saving<'a> {
    app: &'a App<Checks>,
    caller: &'a Caller,
    id: &'a LeadId,
    save: Save,
    now: Timestamp,
    /// Names the verification of this save, so that a lost race does not record it twice.
    source: String,
    verification: Option<Verification>,
}

struct Saved {
    lead: Lead,
    record: Option<AddressRecord>,
    verification: Option<Verification>,
    created: bool,
}

impl Saving<'_> {
    /// Saves the lead once; `None` if somebody else was faster.
    async fn attempt(&mut self) -> Result<Option<Saved>, Refusal> {
        let table = &self.app.table;
        let account = &self.caller.account;
        let lead_key = Key::lead(account, self.id);
        let stored = table.load(&lead_key, Consistency::Strong).await?;
        let key = self.app.address_secret.key_of(&self.save.address);
        let present = stored
            .as_ref()
            .map(|stored| self.app.address_secret.key_of(&stored.item.address));
        if present.as_ref() != Some(&key) {
            self.take_up(&key).await?;
        }

        // Only now, after the seconds that DNS may take: what is said of the present address decides about a hold.
        let evidence_keys: Vec<_> = present
            .iter()
            .chain([&key])
            .map(|key| Key::evidence(account, key))
            .collect();
        let mut records = table.load_many(&evidence_keys, Consistency::Strong).await?;
        let before = stored.as_ref().zip(present).map(|(stored, present)| {
            let record = records
                .get(&Key::evidence(account, &present))
                .map(|stored| &stored.item);
            let before = assess_lead(
                &stored.item,
                &evidence_of(record),
                self.caller.policy(),
                self.now,
            );
            (stored.item.clone(), before, present)
        });
        let created = before.is_none();
        let mut lead = self.saved(before);
        let record = records
            .remove(&Key::evidence(account, &key))
            .map(|stored| stored.item);
        // As a redelivery of the complaint would, at any time: whether one comes must make no difference.
        lead.mark_complaints(evidence_of(record.as_ref()).pieces());
        if stored.as_ref().is_none_or(|stored| stored.item != lead) {
            let read = stored.map(|stored| stored.version);
            if table.commit(&lead_key, &lead, read).await? == Commit::Conflict {
                return Ok(None);
            }
        }
        Ok(Some(Saved {
            lead,
            record,
            verification: self.verification.clone(),
            created,
        }))
    }

    fn saved(&self, before: Option<(Lead, LeadAssessment, AddressKey)>) -> Lead {
        match before {
            Some((lead, assessment, address)) => {
                lead.save(self.save.clone(), &assessment, &address, self.now)
            }
            None => Lead::new(self.id.clone(), self.save.clone(), self.now),
        }
    }

    /// Links an address that is new to the lead, verifies it, and records what was found. Nothing found out is nothing recorded.
    async fn take_up(&mut self, key: &AddressKey) -> Result<(), Refusal> {
        let table = &self.app.table;
        let account = &self.caller.account;
        let verify = async {
            match self.verification.clone() {
                Some(verification) => verification,
                None => {
                    self.app
                        .services
                        .verifier
                        .verify(&self.save.address, Freshness::Remembered)
                        .await
                }
            }
        };
        let (linked, verification) = futures_util::join!(table.link(account, key, self.id), verify);
        linked?;
        let verdict = verification.verdict.clone();
        self.verification = Some(verification);
        if let Verdict::Inconclusive { .. } = verdict {
            // The user is done. It is tried again without them; before the lead is saved, so that no crash can forget it.
            reverifications::plan(table, account, self.id, self.now).await?;
            return Ok(());
        }
        let piece = Piece::new(
            Fact::Verification { verdict },
            &self.source,
            key,
            self.now,
            self.now,
        );
        let addition = addition(&self.save.address, [piece]);
        let subject = Subject {
            account,
            policy: self.caller.policy(),
            address: key,
        };
        let loaded = table
            .load(&Key::evidence(account, key), Consistency::Strong)
            .await?;
        apply_evidence(table, subject, loaded, |_| addition.clone(), self.now).await?;
        Ok(())
    }
}

impl Saved {
    fn reply(&self, caller: &Caller, now: Timestamp) -> SavedLead {
        let evidence = evidence_of(self.record.as_ref());
        let assessment = assess_lead(&self.lead, &evidence, caller.policy(), now);
        SavedLead::new(&self.lead, assessment, self.verification.as_ref(), now)
    }
}

async fn show(
    app: &App<Checks>,
    exchange: &Exchange,
    request: &Request,
    id: &str,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let (caller, id) = authorize_reader(app, exchange, request, id, now).await?;
    let known = load(app, &caller, &id).await?;
    let assessment = known.assess(caller.policy(), now);
    let reply = SavedLead::new(&known.lead.item, assessment, None, now);
    exchange::json(StatusCode::OK, &reply)
}

async fn authorize_reader(
    app: &App<Checks>,
    exchange: &Exchange,
    request: &Request,
    id: &str,
    now: Timestamp,
) -> Result<(Caller, LeadId), Refusal> {
    let caller = authorize(app, exchange, request.headers(), Scope::LeadsRead, now).await?;
    let id = exchange::lead_id(id)?;
    caller.permit_lead(&id)?;
    Ok((caller, id))
}

async fn load(app: &App<Checks>, caller: &Caller, id: &LeadId) -> Result<Known, Refusal> {
    let known = Known::load(app, &caller.account, id, Consistency::Strong).await?;
    known.ok_or_else(Refusal::unknown_lead)
}

async fn log(
    app: &App<Checks>,
    exchange: &Exchange,
    request: &Request,
    id: &str,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let (caller, id) = authorize_reader(app, exchange, request, id, now).await?;
    let page = Page::read(request)?;
    let known = load(app, &caller, &id).await?;
    let former = load_former(app, &caller, &known).await?;
    let entries = entries(&known.lead.item, &known.evidence(), &former);
    exchange::json(StatusCode::OK, &page.cut(entries))
}

/// The evidence of the addresses that the lead had before, each with the time when the lead left it.
async fn load_former(
    app: &App<Checks>,
    caller: &Caller,
    known: &Known,
) -> Result<Vec<(Timestamp, Evidence)>, TableError> {
    // An address that the lead left and took again is its present one, and told as that.
    let former = known
        .lead
        .item
        .former_addresses
        .iter()
        .filter(|former| former.key != known.address);
    let left: Vec<_> = former
        .map(|former| (former.left_at, Key::evidence(&caller.account, &former.key)))
        .collect();
    let keys: Vec<_> = left.iter().map(|(_, key)| key.clone()).collect();
    let mut records = app.table.load_many(&keys, Consistency::Eventual).await?;
    let with_evidence = |(left_at, key)| {
        records
            .remove(&key)
            .map(|stored| (left_at, stored.item.evidence))
    };
    Ok(left.into_iter().filter_map(with_evidence).collect())
}

/// Which entries of a log are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    limit: usize,
    after: Option<Cursor>,
}

/// The last entry that was shown: its time, and how many entries of just that time were shown up to it. Entries that come
/// meanwhile stand before it and disturb nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    at: Timestamp,
    shown: usize,
}

impl Page {
    fn read(request: &Request) -> Result<Self, Refusal> {
        let limit = match exchange::parameter(request, "limit") {
            None => DEFAULT_LIMIT,
            Some(text) => {
                let limit = text
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_LIMIT).contains(limit));
                limit.ok_or_else(|| {
                    Refusal::invalid_parameter(
                        "limit",
                        format!("must be a number from 1 to {MAX_LIMIT}"),
                    )
                })?
            }
        };
        let after = match exchange::parameter(request, "cursor") {
            None => None,
            Some(text) => Some(Cursor::read(&text).ok_or_else(|| {
                Refusal::invalid_parameter("cursor", "must be the next_cursor of an earlier page")
            })?),
        };
        Ok(Self { limit, after })
    }

    /// Cuts the page out of all entries, newest first.
    fn cut(self, mut entries: Vec<Entry>) -> LogReply {
        if let Some(Cursor { at, shown }) = self.after {
            let mut same = 0;
            entries.retain(|entry| {
                same += usize::from(entry.at == at);
                entry.at < at || (entry.at == at && same > shown)
            });
        }
        let is_last = entries.len() <= self.limit;
        entries.truncate(self.limit);
        let next = entries.last().filter(|_| !is_last).map(|last| {
            let shown = entries.iter().filter(|entry| entry.at == last.at).count();
            let before = self
                .after
                .filter(|after| after.at == last.at)
                .map_or(0, |after| after.shown);
            Cursor {
                at: last.at,
                shown: shown + before,
            }
        });
        LogReply {
            entries,
            next_cursor: next.map(Cursor::text),
        }
    }
}

impl Cursor {
    fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}", self.at.as_nanosecond(), self.shown))
    }

    fn read(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (at, shown) = text.split_once('.')?;
        Some(Self {
            at: Timestamp::from_nanosecond(at.parse().ok()?).ok()?,
            shown: shown.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leadlight::log::LogEvent;

    fn entry(second: i64, detail: &str) -> Entry {
        Entry {
            at: Timestamp::from_second(second).unwrap(),
            event: LogEvent::Delivered,
            detail: Some(detail.to_owned()),
            diagnostic: None,
            evidence: None,
            former_address: false,
        }
    }

    #[test]
    fn pages_show_every_entry_once_also_where_entries_share_a_time() {
        let all = vec![
            entry(9, "a"),
            entry(5, "b"),
            entry(5, "c"),
            entry(5, "d"),
            entry(5, "e"),
            entry(1, "f"),
        ];
        for limit in 1..=7 {
            let mut shown = Vec::new();
            let mut after = None;
            loop {
                let reply = Page { limit, after }.cut(all.clone());
                shown.extend(reply.entries);
                let Some(cursor) = reply.next_cursor else {
                    break;
                };
                after = Some(Cursor::read(&cursor).unwrap());
            }
            assert_eq!(shown, all, "in pages of {limit}");
        }
    }

    #[test]
    fn a_newer_entry_does_not_disturb_the_next_page() {
        let mut all = vec![entry(9, "a"), entry(5, "b"), entry(1, "c")];
        let first = Page {
            limit: 2,
            after: None,
        }
        .cut(all.clone());
        all.insert(0, entry(10, "new"));
        let after = first.next_cursor.as_deref().and_then(Cursor::read);
        let second = Page { limit: 2, after }.cut(all);
        assert_eq!(
            second,
            LogReply {
                entries: vec![entry(1, "c")],
                next_cursor: None
            }
        );
    }

    #[test]
    fn a_cursor_that_we_did_not_make_is_none() {
        for text in [
            "",
            "x",
            "!!",
            &URL_SAFE_NO_PAD.encode("1"),
            &URL_SAFE_NO_PAD.encode("1.x"),
            &URL_SAFE_NO_PAD.encode([0xff, 0x2e]),
        ] {
            assert_eq!(Cursor::read(text), None, "{text}");
        }
    }
}
