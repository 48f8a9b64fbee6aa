//! Amazon SES in a simulated world: takes messages in, keeps a suppression list, and publishes what becomes of them.
//!
//! It speaks the part of SES's API that the functions use. What it publishes has SES's own shape, by both schemas, late, twice and
//! in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use jiff::Timestamp;
use leadlight::address::Address;
use leadlight::feedback::{Published, parse};
use serde_json::{Value, json};

use crate::world::{Invocation, Letter, World, later};
use crate::{ACCOUNT, address_secret};
use leadlight_dev::faults;
use leadlight_dev::ses::{Mailed, Outcome, Publication, sns_envelope};

/// What becomes of messages, the likelier the oftener.
const OUTCOMES: [Outcome; 12] = [
    Outcome::Deliver,
    Outcome::Deliver,
    Outcome::Deliver,
    Outcome::Deliver,
    Outcome::MailboxFull,
    Outcome::MailboxFull,
    Outcome::SoftBounce,
    Outcome::HardBounceGeneral,
    Outcome::HardBounceGeneral,
    Outcome::HardBounce,
    Outcome::Complaint,
    Outcome::AutoReply,
];

/// What SES knows.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    /// The suppression list: spelling to reason and feedback id.
    listed: BTreeMap<String, Listed>,
    /// How many messages were taken in.
    messages: u32,
    feedback: u32,
    /// Subjects of messages that were taken in, with their ids.
    pub(crate) outbox: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Listed {
    reason: &'static str,
    feedback_id: String,
    since: Timestamp,
}

impl World {
    /// Answers a request to SES.
    pub(crate) fn answer_mail(
        &self,
        request: &HttpRequest,
        invocation: Option<&Invocation>,
    ) -> anyhow::Result<HttpResponse> {
        let uri: lambda_http::http::Uri = request
            .uri()
            .parse()
            .context("read the address of a call")?;
        let path = uri.path();
        if path == "/v2/email/outbound-emails" {
            let body = request.body().bytes().unwrap_or_default();
            let message: Value = serde_json::from_slice(body).context("read a message")?;
            let id = self.take_in(&message, invocation)?;
            return answer(200, &json!({ "MessageId": id }));
        }
        let spelling = path.strip_prefix("/v2/email/suppression/addresses/");
        let spelling = spelling.context("the simulated SES does not know this operation")?;
        let spelling = spelling.replace("%40", "@");
        let mut state = self.state();
        let found = if request.method() == "DELETE" {
            state.mail.listed.remove(&spelling).map(|_| json!({}))
        } else {
            state.mail.listed.get(&spelling).map(|listed| {
                json!({ "SuppressedDestination": {
                    "EmailAddress": spelling,
                    "Reason": listed.reason,
                    "LastUpdateTime": listed.since.as_duration().as_secs_f64(),
                    "Attributes": { "FeedbackId": listed.feedback_id, "MessageId": "m" },
                } })
            })
        };
        drop(state);
        if let Some(found) = found {
            return answer(200, &found);
        }
        let mut missing = answer(404, &json!({ "message": "not listed" }))?;
        let headers = missing.headers_mut();
        headers.insert("x-amzn-errortype", "NotFoundException");
        Ok(missing)
    }

    /// Takes a message in. Nothing may come here that was blocked before the invocation began.
    fn take_in(&self, message: &Value, invocation: Option<&Invocation>) -> anyhow::Result<String> {
        let strings = |pointer: &str| -> Vec<String> {
            let list = message.pointer(pointer).and_then(Value::as_array);
            let list = list.into_iter().flatten().filter_map(Value::as_str);
            list.map(str::to_owned).collect()
        };
        let to = strings("/Destination/ToAddresses");
        let subject = message.pointer("/Content/Simple/Subject/Data");
        let subject = subject.and_then(Value::as_str).context("find a subject")?;
        let tag = |name: &str| -> Option<&str> {
            let tags = message.get("EmailTags")?.as_array()?;
            let tag = tags
                .iter()
                .find(|tag| tag.get("Name").and_then(Value::as_str) == Some(name));
            tag?.get("Value")?.as_str()
        };
        let invocation = invocation.context("a message outside an invocation")?;
        let now = self.now();
        for address in &to {
            let key = address_secret()?.key_of(&Address::parse_mailbox(address)?);
            if self.state().blocked_since(key.as_str(), invocation) {
                self.violate(format!(
                    "{subject} goes to {address}, which was blocked before"
                ));
            }
        }
        if let Some(lead) = tag("leadlight-lead")
            && invocation.complained.contains(lead)
            && self.state().complained().contains(lead)
        {
            self.violate(format!(
                "{subject} goes to lead {lead}, who complained before"
            ));
        }
        let mut state = self.state();
        state.mail.messages += 1;
        let id = format!("message-{}", state.mail.messages);
        let is_second = state.mail.outbox.iter().any(|(sent, _)| sent == subject);
        state.mail.outbox.push((subject.to_owned(), id.clone()));
        drop(state);
        if is_second {
            self.violate(format!("{subject} is sent twice under one key"));
        }
        self.trace(&format!("SES takes {subject} in for {}", to.join(", ")));
        for address in to {
            let outcome = self.pick(&OUTCOMES).unwrap_or(Outcome::Deliver);
            let at = later(now, self.millis(20..600_000));
            self.befall(&id, now, &address, outcome, at)?;
        }
        Ok(id)
    }

    /// Lets `outcome` become of a message to `address` at `at`, and publishes it.
    pub(crate) fn befall(
        &self,
        message: &str,
        sent_at: Timestamp,
        address: &str,
        outcome: Outcome,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let mut state = self.state();
        let listed = state
            .mail
            .listed
            .keys()
            .any(|listed| listed.eq_ignore_ascii_case(address));
        let outcome = if listed {
            Outcome::WithheldBounce
        } else {
            outcome
        };
        state.mail.feedback += 1;
        let feedback_id = format!("feedback-{}", state.mail.feedback);
        if let Some(reason) = outcome.suppression() {
            let entry = Listed {
                reason,
                feedback_id: feedback_id.clone(),
                since: at,
            };
            state.mail.listed.insert(address.to_owned(), entry);
        }
        drop(state);
        self.tell((message, sent_at), &[address], outcome, &feedback_id, at)
    }

    /// Lets a recipient of a message complain at `at`; the provider does not say which, so that SES names them all.
    pub(crate) fn befall_one_of(
        &self,
        message: &str,
        sent_at: Timestamp,
        addresses: &[&str],
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let mut state = self.state();
        state.mail.feedback += 1;
        let feedback_id = format!("feedback-{}", state.mail.feedback);
        drop(state);
        let outcome = Outcome::Complaint;
        self.tell((message, sent_at), addresses, outcome, &feedback_id, at)
    }

    /// Publishes what became of a message.
    fn tell(
        &self,
        (message, sent_at): (&str, Timestamp),
        to: &[&str],
        outcome: Outcome,
        feedback_id: &str,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let mailed = Mailed {
            message,
            sent_at,
            from: "crm@acme.example",
            to,
            tag: ("leadlight-account", ACCOUNT),
        };
        let recipients = to.join(", ");
        self.trace(&format!("{outcome:?} befalls {message} to {recipients}"));
        for publication in mailed.feedback(outcome, feedback_id, at) {
            self.publish(&publication)?;
        }
        Ok(())
    }

    /// Publishes an event by either schema or by both, each once or twice, sooner or later.
    fn publish(&self, publication: &Publication) -> anyhow::Result<()> {
        let (set, identity) = (&publication.by_configuration_set, &publication.by_identity);
        let told: &[&String] = match self.below(4) {
            0 => &[set, identity],
            1 => &[identity],
            _ => &[set],
        };
        for text in told {
            for _ in 0..=usize::from(self.happens(30)) {
                let delay = match self.below(6) {
                    0 => self.millis(1..2_000),
                    1..=3 => self.millis(1_000..120_000),
                    4 => self.millis(60_000..3_600_000),
                    _ => self.millis(3_600_000..90_000_000),
                };
                let sent_at = later(publication.at, Duration::from_millis(1));
                let body = if self.happens(50) {
                    sns_envelope(text, sent_at).to_string()
                } else {
                    (*text).clone()
                };
                let letter = Letter {
                    id: self.letter_id(),
                    body,
                    sent_at,
                    visible_at: later(sent_at, delay),
                    says: says(text, sent_at)?,
                };
                let mut state = self.state();
                for (address, piece) in &letter.says {
                    let published = state.published.entry(address.clone()).or_default();
                    published.push(piece.clone());
                }
                drop(state);
                self.enqueue([letter]);
            }
        }
        Ok(())
    }
}

/// What a notification says about each address.
fn says(
    text: &str,
    received_at: Timestamp,
) -> anyhow::Result<Vec<(String, leadlight::evidence::Piece)>> {
    let Published::Notification(notification) = parse(text, received_at)? else {
        anyhow::bail!("SES publishes what is no notification");
    };
    let secret = address_secret()?;
    let piece = |feedback: &leadlight::feedback::Feedback| {
        let key = secret.key_of(&feedback.address);
        (key.as_str().to_owned(), feedback.piece(&key))
    };
    Ok(notification.feedback.iter().map(piece).collect())
}

fn answer(status: u16, body: &Value) -> anyhow::Result<HttpResponse> {
    Ok(faults::response(StatusCode::try_from(status)?, body))
}
