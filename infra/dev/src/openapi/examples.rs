//! The examples of the description: one story, told by the domain itself, so that no example says what could not be.
//!
//! Pat's address bounced; Check again lifted it. Sam's lead complained.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use leadlight::account::AccountId;
use leadlight::address::{Address, AddressKey};
use leadlight::api::{
    Attachment, CheckRecipient, Header, LeadStatus, ListUnsubscribe, LogReply, Mailbox, Outcome,
    RecheckReply, RecipientAnswer, SaveLead, SaveWebhook, SavedLead, SendChecksReply,
    SendChecksRequest, SendRecipient, SendReply, SendRequest, StatusesReply, StatusesRequest,
    VerificationReply, VerifyRequest, WebhookReply, WebhookState,
};
use leadlight::assessment::assess;
use leadlight::evidence::{
    Attribution, Authority, BounceCause, Evidence, Fact, Message, Piece, Report,
};
use leadlight::gate::{GateDecision, Mode, Purpose, Recipient, decide};
use leadlight::lead::{Lead, LeadId, Save, Standing};
use leadlight::log::entries;
use leadlight::policy::Policy;
use leadlight::reputation::{Counted, MailboxProvider, Reputation};
use leadlight::verification::{
    Findings, InconclusiveCause, Listing, MailHosts, Verdict, Verification,
};
use leadlight::{log, reputation};
use leadlight_functions::permit::{PermitKey, Statement};
use serde_json::Value;

/// The Ed25519 key of RFC 8410 section 10.3, which is for examples only.
const PERMIT_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
/// When Pat's lead was saved.
const SAVED: &str = "2026-03-02T08:00:00Z";
/// When mail to Pat bounced.
const BOUNCED: &str = "2026-03-04T09:30:00Z";
/// When all of it is asked about.
const ASKED: &str = "2026-03-05T10:00:00Z";
/// SES's id of the message that is sent.
const MESSAGE: &str = "0107019602f1b4c2-6a1f7d5e-8c3b-4e1d-9f20-5b7a3c9d1e42-000000";
/// What names the request to send in SES's events.
pub(super) const REQUEST_TAG: &str = "5d41402abc4b2a76b9719d911017c592";

/// Somebody's lead, and what is known of it.
struct Person {
    lead: Lead,
    evidence: Evidence,
}

fn time(text: &str) -> anyhow::Result<Timestamp> {
    Ok(text.parse()?)
}

/// When all of it is asked about.
pub(super) fn now() -> anyhow::Result<Timestamp> {
    time(ASKED)
}

fn report(at: Timestamp, diagnostic: &str) -> Report {
    Report {
        message: Some(Message {
            id: MESSAGE.to_owned(),
            sent_at: at,
            sender: None,
        }),
        classification: String::new(),
        status: None,
        diagnostic: Some(diagnostic.to_owned()),
    }
}

impl Person {
    fn new(id: &str, address: &str) -> anyhow::Result<Self> {
        let save = Save {
            address: Address::parse(address)?,
            standing: Some(Standing::Active),
            standing_since: None,
        };
        Ok(Self {
            lead: Lead::new(LeadId::parse(id)?, save, time(SAVED)?),
            evidence: Evidence::default(),
        })
    }

    /// With one thing more that was told of the address.
    fn told(mut self, fact: Fact, source: &str, at: Timestamp) -> Self {
        let key = AddressKey::new("3f8a6c".to_owned());
        self.evidence = self
            .evidence
            .merge([Piece::new(fact, source, &key, at, at)]);
        self
    }

    /// Pat, before anything happened.
    fn pat() -> anyhow::Result<Self> {
        let deliverable = Fact::Verification {
            verdict: Verdict::Deliverable,
        };
        let pat = Self::new("lead-1042", "pat@harbour.example")?;
        Ok(pat.told(deliverable, "save-1", time(SAVED)?))
    }

    fn pat_bounced() -> anyhow::Result<Self> {
        let at = time(BOUNCED)?;
        let bounce = Fact::HardBounce {
            cause: BounceCause::Unspecified,
            report: report(at, "smtp; 550 5.0.0 mailbox unavailable"),
        };
        Ok(Self::pat()?.told(bounce, "0107019602f1b4c2-bounce", at))
    }

    fn pat_released() -> anyhow::Result<Self> {
        let pat = Self::pat_bounced()?;
        let release = Fact::Release {
            lead: pat.lead.id.clone(),
            authority: Authority::Recheck,
        };
        Ok(pat.told(release, "press-1", now()?))
    }

    /// Sam, who complained.
    fn sam() -> anyhow::Result<Self> {
        let at = time(BOUNCED)?;
        let complaint = Fact::Complaint {
            attribution: Attribution::Certain,
            report: report(at, "abuse"),
        };
        let sam = Self::new("lead-1043", "sam@quay.example")?;
        Ok(sam.told(complaint, "0107019602f1b4c2-complaint", at))
    }

    fn status(&self) -> anyhow::Result<LeadStatus> {
        let now = now()?;
        let of_address = assess(&self.evidence, &Policy::default(), now);
        let assessment = self.lead.assess(of_address, &self.evidence);
        Ok(LeadStatus::new(&self.lead, assessment, now))
    }

    fn saved(&self, verification: Option<&Verification>) -> anyhow::Result<SavedLead> {
        let now = now()?;
        let of_address = assess(&self.evidence, &Policy::default(), now);
        let assessment = self.lead.assess(of_address, &self.evidence);
        Ok(SavedLead::new(&self.lead, assessment, verification, now))
    }

    /// What the gate says of the person, who is named first and nowhere else.
    fn answer(&self, position: usize) -> anyhow::Result<RecipientAnswer> {
        let recipient = Recipient {
            address: &self.lead.address,
            lead: Some(&self.lead),
            evidence: &self.evidence,
        };
        let objection = decide(recipient, &Policy::default(), Purpose::Marketing, now()?);
        Ok(RecipientAnswer {
            address: self.lead.address.as_str().to_owned(),
            lead_id: Some(self.lead.id.clone()),
            positions: vec![position],
            decision: GateDecision::of(objection.as_ref()),
            blocked: objection.map(Into::into),
        })
    }
}

/// A verification of `address`, after its domain was looked up.
fn verification(address: &Address, mail_hosts: MailHosts) -> Verification {
    let findings = Findings {
        mail_hosts,
        listing: Listing::None,
        unchecked: Vec::new(),
    };
    Verification::new(address, findings)
}

pub(super) fn save_lead() -> Vec<(&'static str, SaveLead)> {
    let address = "pat@harbour.example".to_owned();
    let plain = SaveLead {
        address: address.clone(),
        standing: None,
        standing_since: None,
    };
    let unsubscribed = SaveLead {
        address,
        standing: Some(Standing::Unsubscribed),
        standing_since: SAVED.parse().ok(),
    };
    vec![("an_address", plain), ("with_a_standing", unsubscribed)]
}

pub(super) fn lead_created() -> anyhow::Result<Vec<(&'static str, SavedLead)>> {
    let pat = Person::pat()?;
    let verified = verification(&pat.lead.address, MailHosts::Mx);
    Ok(vec![("verified", pat.saved(Some(&verified))?)])
}

pub(super) fn lead_shown() -> anyhow::Result<Vec<(&'static str, SavedLead)>> {
    Ok(vec![
        ("active", Person::pat()?.saved(None)?),
        ("blocklisted", Person::pat_bounced()?.saved(None)?),
    ])
}

pub(super) fn log() -> anyhow::Result<Vec<(&'static str, LogReply)>> {
    let pat = Person::pat_released()?;
    let all: Vec<log::Entry> = entries(&pat.lead, &pat.evidence, &[]);
    let first: Vec<log::Entry> = all.iter().take(2).cloned().collect();
    let last = first.last().map(|entry| entry.at.as_nanosecond());
    let next_cursor = last.map(|at| URL_SAFE_NO_PAD.encode(format!("{at}.1")));
    let whole = LogReply {
        entries: all,
        next_cursor: None,
    };
    let page = LogReply {
        entries: first,
        next_cursor,
    };
    Ok(vec![("all_of_it", whole), ("a_page", page)])
}

pub(super) fn statuses_request() -> anyhow::Result<Vec<(&'static str, StatusesRequest)>> {
    let leads = ["lead-1042", "lead-1043", "lead-1044"];
    let leads = leads.iter().map(|id| LeadId::parse(id));
    let leads = leads.collect::<Result<_, _>>()?;
    Ok(vec![("a_page", StatusesRequest { leads })])
}

pub(super) fn statuses() -> anyhow::Result<Vec<(&'static str, StatusesReply)>> {
    let statuses = vec![
        Person::pat_bounced()?.status()?,
        Person::sam()?.status()?,
        LeadStatus::unknown(LeadId::parse("lead-1044")?),
    ];
    Ok(vec![("a_page", StatusesReply { statuses })])
}

pub(super) fn recheck() -> anyhow::Result<Vec<(&'static str, RecheckReply)>> {
    let (before, after) = (Person::pat_bounced()?, Person::pat_released()?);
    let address = &before.lead.address;
    let passed = verification(address, MailHosts::Mx);
    let unclear = verification(address, MailHosts::Unknown(InconclusiveCause::DnsTimeout));
    let sent = RecheckReply {
        outcome: Outcome::Sent,
        status: after.status()?,
        verification: Some(VerificationReply::new(address, &passed)),
        kept_because: None,
    };
    let fail = RecheckReply {
        outcome: Outcome::Fail,
        status: before.status()?,
        verification: Some(VerificationReply::new(address, &unclear)),
        kept_because: None,
    };
    Ok(vec![("sent", sent), ("fail", fail)])
}

pub(super) fn verify() -> Vec<(&'static str, VerifyRequest)> {
    let request = |address: &str| VerifyRequest {
        address: address.to_owned(),
    };
    vec![
        ("an_address", request("pat@harbour.example")),
        ("a_slip", request("pat@gmial.com")),
        ("no_address", request("pat at harbour")),
    ]
}

pub(super) fn verified() -> anyhow::Result<Vec<(&'static str, VerificationReply)>> {
    let reply = |text: &str, mail_hosts| {
        Address::parse(text)
            .map(|address| VerificationReply::new(&address, &verification(&address, mail_hosts)))
    };
    let mut all = vec![
        ("deliverable", reply("pat@harbour.example", MailHosts::Mx)?),
        ("a_slip", reply("pat@gmial.com", MailHosts::NoSuchDomain)?),
        ("risky", reply("sales@quay.example", MailHosts::Implicit)?),
        (
            "inconclusive",
            reply(
                "pat@harbour.example",
                MailHosts::Unknown(InconclusiveCause::DnsTimeout),
            )?,
        ),
    ];
    if let Err(error) = Address::parse("pat at harbour") {
        all.push(("no_address", VerificationReply::not_an_address(&error)));
    }
    Ok(all)
}

pub(super) fn send_checks() -> anyhow::Result<Vec<(&'static str, SendChecksRequest)>> {
    let recipients = vec![
        CheckRecipient {
            address: "pat@harbour.example".to_owned(),
            lead_id: Some(LeadId::parse("lead-1042")?),
        },
        CheckRecipient {
            address: "Sam <sam@quay.example>".to_owned(),
            lead_id: Some(LeadId::parse("lead-1043")?),
        },
    ];
    let purpose = Purpose::Marketing;
    let request = SendChecksRequest {
        recipients,
        purpose,
    };
    Ok(vec![("two_leads", request)])
}

/// The key of the examples, as a deployment has one.
fn permit_key() -> anyhow::Result<PermitKey> {
    Ok(PermitKey::from_pem(PERMIT_KEY)?)
}

pub(super) fn permit_keys() -> anyhow::Result<Value> {
    Ok(serde_json::to_value(permit_key()?.public())?)
}

pub(super) fn sends_checked() -> anyhow::Result<Vec<(&'static str, SendChecksReply)>> {
    let (pat, sam) = (Person::pat_released()?, Person::sam()?);
    let purpose = Purpose::Marketing;
    let account = AccountId::parse("acme")?;
    let addresses = [&pat.lead.address];
    let statement = Statement::new(&account, &Policy::default(), purpose, addresses);
    let permit = permit_key()?.sign(statement, now()?)?;
    let reply = |decision, recipients, permit| SendChecksReply {
        decision,
        purpose,
        recipients,
        permit,
    };
    let allowed = reply(GateDecision::Allow, vec![pat.answer(0)?], Some(permit));
    let answers = vec![pat.answer(0)?, sam.answer(1)?];
    let refused = reply(GateDecision::Refuse, answers, None);
    Ok(vec![("allowed", allowed), ("refused", refused)])
}

pub(super) fn send() -> anyhow::Result<Vec<(&'static str, SendRequest)>> {
    let plain = SendRequest {
        from: Mailbox {
            address: "hello@harbour.example".to_owned(),
            name: Some("Harbour CRM".to_owned()),
        },
        to: vec![SendRecipient {
            address: "pat@harbour.example".to_owned(),
            name: Some("Pat Ferry".to_owned()),
            lead_id: Some(LeadId::parse("lead-1042")?),
        }],
        cc: Vec::new(),
        bcc: Vec::new(),
        reply_to: Vec::new(),
        subject: "Your berth in spring".to_owned(),
        text: Some("Dear Pat, …".to_owned()),
        html: None,
        attachments: Vec::new(),
        headers: Vec::new(),
        list_unsubscribe: None,
        mode: Mode::AllOrNothing,
        purpose: Purpose::Marketing,
        permit: None,
    };
    let whole = SendRequest {
        html: Some("<p>Dear Pat, …</p>".to_owned()),
        attachments: vec![Attachment {
            name: "prices.txt".to_owned(),
            content_type: Some("text/plain".to_owned()),
            content: STANDARD.encode("A berth is 12 a day.\n"),
        }],
        headers: vec![Header {
            name: "X-Campaign".to_owned(),
            value: "spring".to_owned(),
        }],
        list_unsubscribe: Some(ListUnsubscribe {
            url: Some("https://harbour.example/unsubscribe/lead-1042".to_owned()),
            mailto: None,
        }),
        mode: Mode::SkipBlocked,
        ..plain.clone()
    };
    Ok(vec![("a_text", plain), ("with_everything", whole)])
}

pub(super) fn sent() -> anyhow::Result<Vec<(&'static str, SendReply)>> {
    let (pat, sam) = (Person::pat_released()?, Person::sam()?);
    let reply = |skipped| -> anyhow::Result<SendReply> {
        Ok(SendReply {
            message_id: MESSAGE.to_owned(),
            request_tag: REQUEST_TAG.to_owned(),
            sent_to: vec![pat.answer(0)?],
            skipped,
        })
    };
    Ok(vec![
        ("to_all", reply(Vec::new())?),
        ("without_the_blocked", reply(vec![sam.answer(1)?])?),
    ])
}

/// Whom a message is refused for.
pub(super) fn blocked() -> anyhow::Result<Vec<RecipientAnswer>> {
    Ok(vec![Person::sam()?.answer(1)?])
}

pub(super) fn save_webhook() -> Vec<(&'static str, SaveWebhook)> {
    let save = |rotate_secret| SaveWebhook {
        url: "https://crm.harbour.example/leadlight".to_owned(),
        rotate_secret,
    };
    vec![("a_receiver", save(false)), ("a_new_secret", save(true))]
}

/// `secret` is shown to whoever made it.
pub(super) fn webhook(with_secret: bool) -> anyhow::Result<Vec<(&'static str, WebhookReply)>> {
    let secret = ["whsec_", &STANDARD.encode("an example; it signs nothing")].concat();
    let enabled = WebhookReply {
        url: "https://crm.harbour.example/leadlight".to_owned(),
        state: WebhookState::Enabled,
        disabled_because: None,
        disabled_at: None,
        failing_since: None,
        last_failure: None,
        changed_at: now()?,
        secret: with_secret.then_some(secret),
        former_secret_until: None,
    };
    let failing = WebhookReply {
        failing_since: Some(now()? + SignedDuration::from_hours(1)),
        last_failure: Some("status 500".to_owned()),
        ..enabled.clone()
    };
    let mut all = vec![("enabled", enabled)];
    if !with_secret {
        all.push(("failing", failing));
    }
    Ok(all)
}

pub(super) fn reputation() -> anyhow::Result<Vec<(&'static str, Reputation)>> {
    let day: Date = "2026-03-04".parse()?;
    let by = |provider, outcome| Counted {
        sender: "harbour.example".to_owned(),
        provider,
        outcome,
    };
    let counts = [
        (
            by(MailboxProvider::Google, reputation::Outcome::Sent),
            1_000,
        ),
        (
            by(MailboxProvider::Google, reputation::Outcome::Delivered),
            980,
        ),
        (
            by(MailboxProvider::Google, reputation::Outcome::HardBounce),
            20,
        ),
        (
            by(MailboxProvider::Google, reputation::Outcome::Complaint),
            1,
        ),
    ];
    let counted = [(day, counts.into())].into();
    Ok(vec![("a_day", Reputation::new(day, day, &counted))])
}
