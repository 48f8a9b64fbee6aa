//! The gate: `POST /v1/send-checks` asks whether a message may go, `POST /v1/sends` sends it if it may. It never fails open.
//!
//! A check reads the evidence of every recipient's address and every named lead at once, strongly consistent, in one
//! `BatchGetItem` for each 100 keys and nothing else; a table that cannot be read refuses. What it promises, and what it cannot:
//!
//! - **Whoever was blocked before the request came is not mailed.** The reads see every write that was answered before they began.
//! - A complaint that lands *while* a request is answered is seen or not seen. If its write came before the read, the answer is 409;
//!   if it came after, the message was on its way when the complaint arrived, the answer is 200, and the next request is refused.
//!   There is no third answer, and nothing is sent by a request that began after the complaint was recorded.
//! - **Under one `Idempotency-Key` at most one message is sent**, for 24 hours. A try that died between SES and the reply is never
//!   repeated: its key answers `send-outcome-unknown`, and SES's events carry the tag `leadlight-request`, by which the CRM learns
//!   whether the message went. What was refused, by the gate or by SES, was not sent and leaves the key free. Without a key every
//!   request is a message of its own.
//! - A [permit](crate::permit) shortens nothing: who shows one is checked again.

mod idempotency;
mod mailer;
mod message;

use std::collections::{BTreeSet, HashMap};

#[cfg(any(test, fuzzing))]
use aws_sdk_sesv2::operation::send_email::SendEmailInput;
use jiff::Timestamp;
use lambda_http::http::header::CACHE_CONTROL;
use lambda_http::http::{HeaderValue, Method, StatusCode};
use lambda_http::{Body, Request, Response};
use leadlight::address::{Address, AddressKey};
use leadlight::api::{
    Permit, RecipientAnswer, SendChecksReply, SendChecksRequest, SendReply, SendRequest,
};
use leadlight::gate::{self, GateDecision, MAX_CHECKED, Mode, Objection, Purpose};
use leadlight::lead::LeadId;

use crate::access::{Caller, Scope, authorize};
use crate::app::{App, Outbox};
use crate::apply::evidence_of;
use crate::exchange::{self, Exchange};
use crate::feedback::{ACCOUNT_TAG, LEAD_TAG};
use crate::permit::{PermitKey, Statement};
use crate::problem::Refusal;
use crate::table::Consistency;
use crate::table::item::{Key, SendOutcome, SkippedRecipient};
use idempotency::{IdempotencyKey, Promise, Sent, Turn};
use message::Draft;

pub use mailer::{MailError, Mailer};

/// The message tag that names the request, so that its feedback tells whether it was carried out.
pub const REQUEST_TAG: &str = "leadlight-request";
/// The most octets of a check: 1,000 recipients with the longest addresses and ids, and names before them.
const MAX_CHECK_OCTETS: usize = 1024 * 1024;
/// The most octets of a message: Lambda takes 6 MB as one event, and the body stands in it as JSON text.
const MAX_MESSAGE_OCTETS: usize = 5 * 1024 * 1024;
/// How long the public keys of permits may be kept by whoever asks for them.
const KEYS_KEPT: &str = "public, max-age=3600";

/// Answers one request. Never fails and never panics: every refusal is a problem document.
pub async fn handle(app: &App<Outbox>, request: Request) -> Response<Body> {
    handle_at(app, request, Timestamp::now()).await
}

/// Answers one request that arrived at `now`.
pub async fn handle_at(app: &App<Outbox>, request: Request, now: Timestamp) -> Response<Body> {
    let exchange = Exchange::begin("sends");
    let answer = answer(app, &exchange, &request, now).await;
    exchange.finish(answer)
}

async fn answer(
    app: &App<Outbox>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    match (exchange::segments(request).as_slice(), request.method()) {
        (["v1", "send-checks"], &Method::POST) => check(app, exchange, request, now).await,
        (["v1", "sends"], &Method::POST) => send(app, exchange, request, now).await,
        (["v1", "send-checks" | "sends"], _) => Err(Refusal::method_not_allowed("POST")),
        (["v1", "permit-keys"], &Method::GET) => permit_keys(app),
        (["v1", "permit-keys"], _) => Err(Refusal::method_not_allowed("GET")),
        _ => Err(Refusal::no_such_route()),
    }
}

/// Shows the public keys of permits. Whoever verifies one needs no token.
fn permit_keys(app: &App<Outbox>) -> Result<Response<Body>, Refusal> {
    let keys = app.services.permit_key.as_ref().map(PermitKey::public);
    let mut response = exchange::json(StatusCode::OK, &keys.unwrap_or_default())?;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(KEYS_KEPT));
    Ok(response)
}

async fn check(
    app: &App<Outbox>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let caller = authorize(app, exchange, request.headers(), Scope::Sends, now).await?;
    let asked: SendChecksRequest =
        exchange::read_long_json(request, &["recipients"], MAX_CHECK_OCTETS)?;
    let recipients = fold(app, &caller, read_recipients(&asked)?)?;
    let objections = object(app, &caller, &recipients, asked.purpose, now).await?;

    let decision = GateDecision::of(objections.iter().flatten().next());
    let permit = match decision {
        GateDecision::Allow => permit(app, &caller, &recipients, asked.purpose, now)?,
        GateDecision::Refuse => None,
    };
    let answers = recipients.iter().zip(objections);
    let reply = SendChecksReply {
        decision,
        purpose: asked.purpose,
        recipients: answers
            .map(|(recipient, objection)| recipient.answer(objection))
            .collect(),
        permit,
    };
    exchange::json(StatusCode::OK, &reply)
}

/// A message as SES would be given it, for trials that send nothing.
#[cfg(any(test, fuzzing))]
pub(crate) fn compose(asked: &SendRequest) -> Result<SendEmailInput, Refusal> {
    let draft = Draft::read(asked)?;
    let everybody = (0..draft.addressees.len()).collect();
    let composed = draft.compose(&everybody, Vec::new(), None);
    composed.map_err(|error| Refusal::internal(&error))
}

fn read_recipients(asked: &SendChecksRequest) -> Result<Vec<(Address, Option<LeadId>)>, Refusal> {
    let field = "/recipients";
    if asked.recipients.is_empty() {
        let detail = "at least one recipient is needed";
        return Err(Refusal::invalid_field(field, "too_few", detail));
    }
    if asked.recipients.len() > MAX_CHECKED {
        let detail = format!("at most {MAX_CHECKED} recipients");
        return Err(Refusal::invalid_field(field, "too_many", detail));
    }
    let read = asked.recipients.iter().enumerate().map(|(place, asked)| {
        let address = Address::parse_mailbox(&asked.address).map_err(|error| {
            Refusal::invalid_address(&format!("{field}/{place}/address"), &error)
        })?;
        Ok((address, asked.lead_id.clone()))
    });
    read.collect()
}

fn permit(
    app: &App<Outbox>,
    caller: &Caller,
    recipients: &[Recipient],
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Permit>, Refusal> {
    let Some(key) = &app.services.permit_key else {
        return Ok(None);
    };
    let signed = key.sign(statement(caller, recipients, purpose), now);
    signed.map(Some).map_err(|error| Refusal::internal(&error))
}

fn statement(caller: &Caller, recipients: &[Recipient], purpose: Purpose) -> Statement {
    let addresses = recipients.iter().map(|recipient| &recipient.address);
    Statement::new(&caller.account, caller.policy(), purpose, addresses)
}

/// A mailbox, for one lead or for none.
struct Recipient {
    address: Address,
    key: AddressKey,
    lead: Option<LeadId>,
    /// Where it was named.
    positions: Vec<usize>,
}

impl Recipient {
    fn answer(&self, objection: Option<Objection>) -> RecipientAnswer {
        RecipientAnswer {
            address: self.address.as_str().to_owned(),
            lead_id: self.lead.clone(),
            positions: self.positions.clone(),
            decision: GateDecision::of(objection.as_ref()),
            blocked: objection.map(Into::into),
        }
    }
}

/// Folds recipients with the same mailbox and lead, in the order they were named.
fn fold(
    app: &App<Outbox>,
    caller: &Caller,
    named: impl IntoIterator<Item = (Address, Option<LeadId>)>,
) -> Result<Vec<Recipient>, Refusal> {
    let mut places = HashMap::new();
    let mut recipients: Vec<Recipient> = Vec::new();
    for (position, (address, lead)) in named.into_iter().enumerate() {
        caller.permit_recipient(lead.as_ref())?;
        let key = app.address_secret.key_of(&address);
        let place = *places
            .entry((key.clone(), lead.clone()))
            .or_insert(recipients.len());
        match recipients.get_mut(place) {
            Some(recipient) => recipient.positions.push(position),
            None => recipients.push(Recipient {
                address,
                key,
                lead,
                positions: vec![position],
            }),
        }
    }
    Ok(recipients)
}

/// What stands against each recipient, by what the table holds now. Where a mailbox is named for several leads, what stands
/// against it for one stands against it for all: a message is to the mailbox.
async fn object(
    app: &App<Outbox>,
    caller: &Caller,
    recipients: &[Recipient],
    purpose: Purpose,
    now: Timestamp,
) -> Result<Vec<Option<Objection>>, Refusal> {
    let account = &caller.account;
    let evidence_key = |recipient: &Recipient| Key::evidence(account, &recipient.key);
    let lead_key = |recipient: &Recipient| Some(Key::lead(account, recipient.lead.as_ref()?));
    let evidence_keys: Vec<_> = recipients.iter().map(evidence_key).collect();
    let lead_keys: Vec<_> = recipients.iter().filter_map(lead_key).collect();
    let keys = (evidence_keys.as_slice(), lead_keys.as_slice());
    let (records, leads) = app.table.load_both(keys, Consistency::Strong).await?;

    let decide = |recipient: &Recipient| {
        let record = records.get(&evidence_key(recipient));
        let lead = lead_key(recipient).and_then(|key| leads.get(&key));
        let known = gate::Recipient {
            address: &recipient.address,
            lead: lead.map(|stored| &stored.item),
            evidence: &evidence_of(record.map(|stored| &stored.item)),
        };
        gate::decide(known, caller.policy(), purpose, now)
    };
    let objections: Vec<Option<Objection>> = recipients.iter().map(decide).collect();
    let mut by_mailbox = HashMap::new();
    for (recipient, objection) in recipients.iter().zip(&objections) {
        if let Some(objection) = objection {
            by_mailbox
                .entry(&recipient.key)
                .or_insert(objection.clone());
        }
    }
    let of_mailbox = |(recipient, own): (&Recipient, Option<Objection>)| {
        own.or_else(|| by_mailbox.get(&recipient.key).cloned())
    };
    Ok(recipients.iter().zip(objections).map(of_mailbox).collect())
}

async fn send(
    app: &App<Outbox>,
    exchange: &Exchange,
    request: &Request,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let caller = authorize(app, exchange, request.headers(), Scope::Sends, now).await?;
    let key = IdempotencyKey::read(request.headers())?;
    let mut asked: SendRequest =
        exchange::read_long_json(request, &["from", "subject"], MAX_MESSAGE_OCTETS)?;
    // A permit is about a message and no part of it: a retry may bring a fresh one.
    let permit = asked.permit.take();
    let draft = Draft::read(&asked)?;
    let named = draft
        .addressees
        .iter()
        .map(|addressee| (addressee.address.clone(), addressee.lead.clone()));
    let recipients = fold(app, &caller, named)?;
    permit_sender(app, &caller, &draft.from, now).await?;
    let promise = match &key {
        Some(key) => {
            let body = serde_json::to_vec(&asked).map_err(|error| Refusal::internal(&error))?;
            Some(Promise::new(app, &caller, key, &body, now))
        }
        None => None,
    };

    let sending = Sending {
        app,
        caller: &caller,
        recipients,
        request_tag: idempotency::tag(key.as_ref(), &app.address_secret),
        now,
    };
    if let Some(promise) = &promise
        && let Some(sent) = promise.answer().await?
    {
        return sending.reply(sent);
    }
    sending.admit(permit.as_deref(), asked.purpose)?;
    let skipped = sending.check(asked.purpose, asked.mode).await?;
    let sent = sending.send_once(draft, skipped, promise).await?;
    sending.reply(sent)
}

/// Refuses a sender that is not the account's: neither the address nor its domain is one of its identities. An address that is
/// somebody else's identity is not ours for its domain.
async fn permit_sender(
    app: &App<Outbox>,
    caller: &Caller,
    from: &Address,
    now: Timestamp,
) -> Result<(), Refusal> {
    let of_address = app.accounts.owner(from.as_str(), now);
    let of_domain = app.accounts.owner(from.domain(), now);
    let (of_address, of_domain) = futures_util::try_join!(of_address, of_domain)?;
    match of_address.or(of_domain) {
        Some(owner) if owner == caller.account => Ok(()),
        Some(_) | None => Err(Refusal::foreign_sender()),
    }
}

/// One request to send.
struct Sending<'a> {
    app: &'a App<Outbox>,
    caller: &'a Caller,
    recipients: Vec<Recipient>,
    request_tag: String,
    now: Timestamp,
}

impl Sending<'_> {
    /// Refuses a permit that is not for this message.
    fn admit(&self, permit: Option<&str>, purpose: Purpose) -> Result<(), Refusal> {
        let Some(permit) = permit else {
            return Ok(());
        };
        let Some(key) = &self.app.services.permit_key else {
            let detail = "this deployment signs no permits";
            return Err(Refusal::invalid_permit("foreign", detail));
        };
        let wanted = statement(self.caller, &self.recipients, purpose);
        key.verify(permit, &wanted, self.now)
            .map_err(|error| Refusal::invalid_permit(error.code(), error.to_string()))
    }

    /// Who has to be left out.
    async fn check(&self, purpose: Purpose, mode: Mode) -> Result<Vec<SkippedRecipient>, Refusal> {
        let objections = object(self.app, self.caller, &self.recipients, purpose, self.now).await?;
        let blocked: Vec<(&Recipient, Objection)> = self
            .recipients
            .iter()
            .zip(objections)
            .filter_map(|(recipient, objection)| Some((recipient, objection?)))
            .collect();
        let may_go = match mode {
            Mode::AllOrNothing => blocked.is_empty(),
            Mode::SkipBlocked => blocked.len() < self.recipients.len(),
        };
        if !may_go {
            let answers = blocked
                .into_iter()
                .map(|(recipient, objection)| recipient.answer(Some(objection)));
            return Err(Refusal::recipients_blocked(answers.collect()));
        }
        let skip = |(recipient, objection): (&Recipient, Objection)| SkippedRecipient {
            positions: recipient.positions.clone(),
            blocked: objection.into(),
        };
        Ok(blocked.into_iter().map(skip).collect())
    }

    /// Sends the message, unless it was sent under the same key.
    async fn send_once(
        &self,
        draft: Draft,
        skipped: Vec<SkippedRecipient>,
        promise: Option<Promise<'_>>,
    ) -> Result<Sent, Refusal> {
        let begun = match promise {
            None => None,
            Some(promise) => match promise.begin().await? {
                Turn::Answered(sent) => return Ok(sent),
                Turn::Ours(version) => Some((promise, version)),
            },
        };
        let sent = self.deliver(draft, &skipped).await;
        let (outcome, answer) = match sent {
            Ok(message_id) => {
                let outcome = SendOutcome::Sent {
                    message_id: message_id.clone(),
                    skipped: skipped.clone(),
                };
                let sent = Sent {
                    message_id,
                    skipped,
                };
                (outcome, Ok(sent))
            }
            Err(error) => {
                let outcome = if error.may_be_sent() {
                    SendOutcome::Unknown
                } else {
                    SendOutcome::Withdrawn
                };
                (outcome, Err(Refusal::mail(&error, &self.request_tag)))
            }
        };
        if let Some((promise, version)) = begun {
            promise.keep(version, outcome).await;
        }
        answer
    }

    async fn deliver(
        &self,
        draft: Draft,
        skipped: &[SkippedRecipient],
    ) -> Result<String, MailError> {
        let going: Vec<&Recipient> = self.going(skipped).collect();
        let positions: BTreeSet<usize> = going
            .iter()
            .flat_map(|recipient| recipient.positions.iter().copied())
            .collect();
        let leads: BTreeSet<Option<&LeadId>> = going
            .iter()
            .map(|recipient| recipient.lead.as_ref())
            .collect();
        let account = self.caller.account.as_str();
        let mut tags = vec![
            (ACCOUNT_TAG, account),
            (REQUEST_TAG, self.request_tag.as_str()),
        ];
        if let (1, Some(Some(lead))) = (leads.len(), leads.first()) {
            tags.push((LEAD_TAG, lead.as_str()));
        }
        let message = draft
            .compose(&positions, tags, self.caller.ses_tenant())
            .map_err(|error| MailError::Misconfigured(error.into()))?;
        let message_id = self.app.services.mailer.send(message).await?;
        tracing::info!(
            account,
            request = self.request_tag,
            message = message_id,
            recipients = going.len(),
            skipped = skipped.len(),
            "sent a message"
        );
        Ok(message_id)
    }

    fn going(&self, skipped: &[SkippedRecipient]) -> impl Iterator<Item = &Recipient> {
        self.recipients.iter().filter(|recipient| {
            skipped
                .iter()
                .all(|skipped| skipped.positions != recipient.positions)
        })
    }

    /// The answer, the same each time: who the recipients are is in the request, who was left out is kept.
    fn reply(&self, sent: Sent) -> Result<Response<Body>, Refusal> {
        let sent_to = self
            .going(&sent.skipped)
            .map(|recipient| recipient.answer(None))
            .collect();
        let left_out = |recipient: &Recipient| {
            let skipped = sent
                .skipped
                .iter()
                .find(|skipped| skipped.positions == recipient.positions)?;
            Some(RecipientAnswer {
                decision: GateDecision::Refuse,
                blocked: Some(skipped.blocked.clone()),
                ..recipient.answer(None)
            })
        };
        let reply = SendReply {
            message_id: sent.message_id,
            request_tag: self.request_tag.clone(),
            sent_to,
            skipped: self.recipients.iter().filter_map(left_out).collect(),
        };
        exchange::json(StatusCode::OK, &reply)
    }
}
