//! What SES publishes, and what it means for each recipient.
//!
//! Both schemas are read (`notificationType` of identity notifications, `eventType` of event publishing), tolerant of fields,
//! types and subtypes that are new. Every recipient is classified on its own (SES developer guide, *notification contents*).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::address::{Address, AddressKey};
use crate::evidence::{
    Attribution, BounceCause, Fact, MAX_DIAGNOSTIC_CHARACTERS, Message, Note, Piece, Report,
    SuppressionList,
};

/// What came out of a text that SES published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// A notification.
    Notification(Notification),
    /// The text that SES sends when a topic is attached. To be acknowledged, nothing more.
    Probe,
}

/// A notification, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The type as SES spells it, such as `Bounce` or `Rendering Failure`.
    pub kind: String,
    /// The message it is about.
    pub message: Option<Message>,
    /// The message's tags, event publishing only: name to values.
    pub tags: BTreeMap<String, Vec<String>>,
    /// The sending identities that the notification names, most specific first: of `sourceArn`, then address and domain of `source`.
    pub identities: Vec<String>,
    /// Its meaning, one per recipient; empty for types that say nothing about a recipient.
    pub feedback: Vec<Feedback>,
    /// How many recipients it names that are no addresses. They are worth a human's look: the notification is not done with.
    pub unreadable_recipients: usize,
}

/// The meaning of a notification for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The recipient.
    pub address: Address,
    /// SES's own spelling of it, for SES's list calls.
    pub spelling: String,
    /// SES's feedback id, else the message id.
    pub source: String,
    /// When it happened.
    pub at: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// Whether SES's time lay in our future, so that `at` is the time of receipt.
    pub clamped: bool,
    /// What it says.
    pub fact: Fact,
}

impl Feedback {
    /// The evidence that this is, about the address behind `key`.
    #[must_use]
    pub fn piece(&self, key: &AddressKey) -> Piece {
        let piece = Piece::new(
            self.fact.clone(),
            &self.source,
            key,
            self.at,
            self.received_at,
        );
        Piece {
            clamped: self.clamped,
            ..piece
        }
    }
}

/// Why a text is no notification of SES.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// Not JSON at all, and no probe either.
    #[error("read the notification as JSON")]
    NotJson,
    /// JSON, but neither schema of SES.
    #[error("find the type of the notification")]
    NotSes,
    /// A notification whose type promises a payload that is missing or of another shape.
    #[error("read the payload of the notification")]
    Payload,
}

/// Reads what SES published. `received_at` is when the notification reached us (the time SNS or SQS stamped on it, so that a
/// redelivery reads the same).
///
/// # Errors
/// When the text is nothing that SES publishes.
pub fn parse(text: &str, received_at: Timestamp) -> Result<Published, NotificationError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with(PROBE_TEXT) {
        return Ok(Published::Probe);
    }
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|_| NotificationError::NotJson)?;
    let wire::Head {
        event_type,
        notification_type,
    } = serde_json::from_value(value.clone()).map_err(|_| NotificationError::NotSes)?;
    let kind = event_type
        .or(notification_type)
        .ok_or(NotificationError::NotSes)?;
    if kind == PROBE_TYPE {
        return Ok(Published::Probe);
    }
    let event: wire::Event =
        serde_json::from_value(value).map_err(|_| NotificationError::Payload)?;
    Reading {
        received_at,
        mail: event.mail.clone().unwrap_or_default(),
    }
    .read(kind, event)
    .map(Published::Notification)
}

/// What event publishing sends when it is attached to a topic: plain text (seen by django-anymail).
const PROBE_TEXT: &str = "Successfully validated SNS topic for Amazon SES event publishing";
/// What identity notifications send when they are attached to a topic (seen by several handlers; not in SES's documentation).
const PROBE_TYPE: &str = "AmazonSnsSubscriptionSucceeded";
/// How far the source's clock may run ahead of ours before its time is not believed: longer than any server without a broken
/// clock is off, shorter than anything that a policy counts in.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(10);
/// The most octets of an id of SES's; real ones have 60. A longer one is none, since ids are kept whole.
const MAX_ID_OCTETS: usize = 200;
/// The most characters that are kept of SES's own words for types, subtypes and codes.
const MAX_WORD_CHARACTERS: usize = 60;

struct Reading {
    received_at: Timestamp,
    mail: wire::Mail,
}

/// A fact about one recipient, before it is known whether the recipient is an address.
struct Finding {
    recipient: String,
    fact: Fact,
}

impl Reading {
    fn read(&self, kind: String, event: wire::Event) -> Result<Notification, NotificationError> {
        let (source, time, findings) = match kind.as_str() {
            "Bounce" => {
                let bounce = event.bounce.ok_or(NotificationError::Payload)?;
                let at = self.time(bounce.timestamp.as_deref());
                (bounce.feedback_id.clone(), at, self.bounce(bounce, at.0))
            }
            "Complaint" => {
                let complaint = event.complaint.ok_or(NotificationError::Payload)?;
                let at = self.time(complaint.timestamp.as_deref());
                (
                    complaint.feedback_id.clone(),
                    at,
                    self.complaint(complaint, at.0),
                )
            }
            "Send" => {
                let at = self.time(self.mail.timestamp.as_deref());
                let findings = match self.message(at.0) {
                    Some(message) => self.sent(&message),
                    None => Vec::new(),
                };
                (None, at, findings)
            }
            "Delivery" => {
                let delivery = event.delivery.ok_or(NotificationError::Payload)?;
                let at = self.time(delivery.timestamp.as_deref());
                let message = self.message(at.0).ok_or(NotificationError::Payload)?;
                let fact = |recipient| Finding {
                    recipient,
                    fact: Fact::Delivery {
                        message: message.clone(),
                    },
                };
                (
                    None,
                    at,
                    delivery.recipients.into_iter().map(fact).collect(),
                )
            }
            "DeliveryDelay" => {
                let delay = event.delivery_delay.ok_or(NotificationError::Payload)?;
                let at = self.time(delay.timestamp.as_deref());
                (None, at, self.delay(delay, at.0))
            }
            "Subscription" => {
                let subscription = event.subscription.ok_or(NotificationError::Payload)?;
                let at = self.time(subscription.timestamp.as_deref());
                (None, at, self.subscription(&subscription))
            }
            // Open, Click, Reject, Rendering Failure, inbound Received, and whatever comes next: nothing in them says anything
            // about a recipient's address.
            _about_no_recipient => (None, (self.received_at, false), Vec::new()),
        };
        let source = source.or_else(|| self.mail.message_id.clone());
        let source = source.filter(|id| id.len() <= MAX_ID_OCTETS);
        let mut notification = Notification {
            kind,
            message: self.message(time.0),
            tags: self
                .mail
                .tags
                .iter()
                .map(|(name, values)| (name.clone(), values.0.clone()))
                .collect(),
            identities: self.identities(),
            feedback: Vec::new(),
            unreadable_recipients: 0,
        };
        if findings.is_empty() {
            return Ok(notification);
        }
        let source = source.ok_or(NotificationError::Payload)?;
        for Finding { recipient, fact } in findings {
            match Address::parse_mailbox(&recipient) {
                Ok(address) => notification.feedback.push(Feedback {
                    address,
                    spelling: bare(&recipient).to_owned(),
                    source: source.clone(),
                    at: time.0,
                    received_at: self.received_at,
                    clamped: time.1,
                    fact,
                }),
                Err(_) => notification.unreadable_recipients += 1,
            }
        }
        Ok(notification)
    }

    fn bounce(&self, bounce: wire::Bounce, at: Timestamp) -> Vec<Finding> {
        let kind = bounce.kind.unwrap_or_default();
        let subtype = bounce.subtype.unwrap_or_default();
        let fact = |recipient: wire::BouncedRecipient| {
            let status = Status::of(
                recipient.status.as_deref(),
                recipient.diagnostic_code.as_deref(),
            );
            let report = Report {
                message: self.message(at),
                classification: word(&[&kind, "/", &subtype].concat()),
                status: recipient
                    .status
                    .as_deref()
                    .map(word)
                    .or_else(|| status.map(|status| status.to_string())),
                diagnostic: recipient.diagnostic_code.as_deref().map(diagnostic),
            };
            let seen = Bounced {
                kind: &kind,
                subtype: &subtype,
                action: Action::of(&recipient),
                status,
            };
            Finding {
                recipient: recipient.email_address,
                fact: seen.fact(recipient.status.is_some(), report),
            }
        };
        bounce.bounced_recipients.into_iter().map(fact).collect()
    }

    fn complaint(&self, complaint: wire::Complaint, at: Timestamp) -> Vec<Finding> {
        let subtype = complaint.subtype.unwrap_or_default();
        let feedback_type = complaint.feedback_type.unwrap_or_default();
        let classification = word(
            &[
                "Complaint/",
                if subtype.is_empty() {
                    &feedback_type
                } else {
                    &subtype
                },
            ]
            .concat(),
        );
        let report = Report {
            message: self.message(at),
            classification,
            status: None,
            diagnostic: None,
        };
        let mailboxes: BTreeSet<String> = complaint
            .complained_recipients
            .iter()
            .map(|recipient| {
                Address::parse_mailbox(&recipient.email_address)
                    .map_or_else(|_| recipient.email_address.clone(), |a| a.key_form())
            })
            .collect();
        let attribution = if mailboxes.len() == 1 {
            Attribution::Certain
        } else {
            Attribution::Candidate
        };
        let fact = match (list(&subtype), feedback_type.as_str()) {
            (Some(list), _) => Fact::Withheld { list, report },
            (None, "not-spam") => Fact::Note {
                note: Note::NotSpam,
                report,
            },
            (None, "auth-failure") => Fact::Note {
                note: Note::AuthFailure,
                report,
            },
            (None, _) => Fact::Complaint {
                attribution,
                report,
            },
        };
        let finding = |recipient: wire::Recipient| Finding {
            recipient: recipient.email_address,
            fact: fact.clone(),
        };
        complaint
            .complained_recipients
            .into_iter()
            .map(finding)
            .collect()
    }

    /// One for each recipient of the envelope: here, unlike in a bounce, all of the destination are meant.
    fn sent(&self, message: &Message) -> Vec<Finding> {
        let finding = |recipient: &String| Finding {
            recipient: recipient.clone(),
            fact: Fact::Sent {
                message: message.clone(),
            },
        };
        self.mail.destination.iter().map(finding).collect()
    }

    fn delay(&self, delay: wire::DeliveryDelay, at: Timestamp) -> Vec<Finding> {
        let classification = word(
            &[
                "DeliveryDelay/",
                delay.delay_type.as_deref().unwrap_or_default(),
            ]
            .concat(),
        );
        let finding = |recipient: wire::BouncedRecipient| {
            let report = Report {
                message: self.message(at),
                classification: classification.clone(),
                status: recipient.status.as_deref().map(word),
                diagnostic: recipient.diagnostic_code.as_deref().map(diagnostic),
            };
            Finding {
                recipient: recipient.email_address,
                fact: Fact::Note {
                    note: Note::Delayed,
                    report,
                },
            }
        };
        delay
            .delayed_recipients
            .0
            .into_iter()
            .map(finding)
            .collect()
    }

    /// SES names the recipient of a subscription change only as the message's destination. List-managed messages have one
    /// (SES developer guide, *list management*); with several it is unknown who it was.
    fn subscription(&self, subscription: &wire::Subscription) -> Vec<Finding> {
        let preferences = subscription.new_topic_preferences.as_ref();
        let unsubscribed = preferences.and_then(|preferences| preferences.unsubscribe_all);
        match (self.mail.destination.as_slice(), unsubscribed) {
            ([recipient], Some(unsubscribed)) => {
                vec![Finding {
                    recipient: recipient.clone(),
                    fact: Fact::Subscription { unsubscribed },
                }]
            }
            _nobody_in_particular => Vec::new(),
        }
    }

    /// The event's own time, and whether it had to be clamped to the receipt. A missing or odd time is the receipt's.
    fn time(&self, text: Option<&str>) -> (Timestamp, bool) {
        match text.and_then(read_time) {
            Some(at) if at.duration_since(self.received_at) > CLOCK_TOLERANCE => {
                (self.received_at, true)
            }
            Some(at) => (at, false),
            None => (self.received_at, false),
        }
    }

    fn message(&self, at: Timestamp) -> Option<Message> {
        let id = self
            .mail
            .message_id
            .clone()
            .filter(|id| id.len() <= MAX_ID_OCTETS)?;
        // Nothing happens to a message before it is sent; a clock that says otherwise is off.
        let sent_at = self
            .mail
            .timestamp
            .as_deref()
            .and_then(read_time)
            .map_or(at, |sent_at| sent_at.min(at));
        let sender = self.source().map(|source| source.domain().to_owned());
        Some(Message {
            id,
            sent_at,
            sender,
        })
    }

    /// Who sent the message, where it is an address.
    fn source(&self) -> Option<Address> {
        Address::parse_mailbox(self.mail.source.as_deref()?).ok()
    }

    fn identities(&self) -> Vec<String> {
        let arn = self
            .mail
            .source_arn
            .as_deref()
            .and_then(|arn| arn.split_once(":identity/"))
            .map(|(_, name)| name.to_owned());
        let of_source = self
            .source()
            .into_iter()
            .flat_map(|address| [address.key_form(), address.domain().to_owned()]);
        let mut identities: Vec<String> = arn.into_iter().chain(of_source).collect();
        identities.dedup();
        identities
    }
}

/// What a bounce notification says about one recipient.
struct Bounced<'a> {
    kind: &'a str,
    subtype: &'a str,
    action: Action,
    status: Option<Status>,
}

impl Bounced<'_> {
    /// The steps are the policy, in this order: what SES withheld, whose fault the failure is, whether it is one at all, and
    /// only then how hard it is.
    fn fact(&self, has_status: bool, report: Report) -> Fact {
        if self.subtype == "UnsubscribedRecipient" {
            return Fact::Subscription { unsubscribed: true };
        }
        if let Some(list) = list(self.subtype) {
            return Fact::Withheld { list, report };
        }
        if [
            "MessageTooLarge",
            "ContentRejected",
            "AttachmentRejected",
            "CustomTimeoutExceeded",
        ]
        .contains(&self.subtype)
        {
            return Fact::Note {
                note: Note::MessageFault,
                report,
            };
        }
        let auto_reply = self.kind == "Transient"
            && self.subtype == "General"
            && self.action == Action::Absent
            && !has_status;
        if auto_reply {
            return Fact::Note {
                note: Note::AutoReply,
                report,
            };
        }
        if self.action == Action::Continues || self.status.is_some_and(|status| status.class == 2) {
            return Fact::Note {
                note: Note::Delayed,
                report,
            };
        }
        // SES says `NoEmail` only of the mailbox, whatever code the server chose; `MailboxFull` likewise.
        let about_the_mailbox = ["NoEmail", "MailboxFull"].contains(&self.subtype);
        if !about_the_mailbox && self.status.is_some_and(Status::blames_the_sender) {
            return Fact::Note {
                note: Note::SenderFault,
                report,
            };
        }
        match self.hard_cause() {
            Some(cause) => Fact::HardBounce { cause, report },
            None => Fact::SoftBounce { report },
        }
    }

    fn hard_cause(&self) -> Option<BounceCause> {
        let of_status = self.status.and_then(Status::bounce_cause);
        match self.kind {
            "Permanent" if self.status.is_some_and(|status| status.class == 4) => None,
            "Permanent" if self.subtype == "NoEmail" => Some(
                of_status
                    .filter(|cause| cause.is_about_the_address())
                    .unwrap_or(BounceCause::MailboxMissing),
            ),
            "Permanent" => Some(of_status.unwrap_or(BounceCause::Unspecified)),
            "Transient" if self.status.is_some_and(Status::is_hard_even_if_transient) => of_status,
            _transient_or_undetermined => None,
        }
    }
}

/// The suppression list that a subtype names, if it names one.
fn list(subtype: &str) -> Option<SuppressionList> {
    match subtype {
        "Suppressed" => Some(SuppressionList::Global),
        "OnAccountSuppressionList" => Some(SuppressionList::Account),
        "OnTenantSuppressionList" => Some(SuppressionList::Tenant),
        "EmailValidationSuppressed" => Some(SuppressionList::Validation),
        other => other.contains("Suppress").then_some(SuppressionList::Other),
    }
}

/// What the reporting server did with the message (RFC 3464 section 2.3.3). Letter case varies in the wild.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Absent,
    Failed,
    /// Delayed, relayed, expanded or delivered: whatever it is, it is no failure.
    Continues,
}

impl Action {
    fn of(recipient: &wire::BouncedRecipient) -> Self {
        match recipient
            .action
            .as_deref()
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("delayed" | "relayed" | "expanded" | "delivered") => Self::Continues,
            None => Self::Absent,
            Some(_failed_or_unheard_of) => Self::Failed,
        }
    }
}

/// An enhanced status code (RFC 3463): class, subject, detail.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Status {
    class: u16,
    subject: u16,
    detail: u16,
}

impl Status {
    /// The status of the report; where that is missing or says nothing (`5.0.0`), the first code in the server's text.
    fn of(status: Option<&str>, diagnostic: Option<&str>) -> Option<Self> {
        let stated = status.and_then(Self::first_in);
        match stated {
            Some(Self { subject: 1.., .. } | Self { detail: 1.., .. }) => stated,
            Some(vague) => diagnostic
                .and_then(Self::first_in)
                .filter(|found| found.class == vague.class)
                .or(stated),
            None => diagnostic.and_then(Self::first_in),
        }
    }

    fn first_in(text: &str) -> Option<Self> {
        text.split(|c: char| !c.is_ascii_digit() && c != '.')
            .find_map(|token| {
                let mut parts = token
                    .trim_matches('.')
                    .split('.')
                    .map(|part| part.parse::<u16>().ok().filter(|_| part.len() < 4));
                let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
                ([2, 4, 5].contains(&class) && parts.next().is_none()).then_some(Self {
                    class,
                    subject,
                    detail,
                })
            })
    }

    /// Policy and authentication (x.7.x), but for the states of the recipient's own account: disabled (13), changed hands (17, 18).
    fn blames_the_sender(self) -> bool {
        self.subject == 7 && ![13, 17, 18].contains(&self.detail)
    }

    /// The codes that a typo gets from SES although it calls the bounce `Transient` (seen by listmonk for 5.4.4).
    fn is_hard_even_if_transient(self) -> bool {
        self.class == 5
            && ((self.subject == 1 && [1, 2, 3, 6, 10].contains(&self.detail))
                || (self.subject, self.detail) == (4, 4))
    }

    /// The IANA registry's meaning of the code, where it tells what is wrong.
    fn bounce_cause(self) -> Option<BounceCause> {
        match (self.class, self.subject, self.detail) {
            (5, 1, 1 | 3 | 6 | 10) => Some(BounceCause::MailboxMissing),
            (5, 1, 2) | (5, 4, 4) => Some(BounceCause::InvalidDomain),
            (5, 2, 1) | (5, 7, 13) => Some(BounceCause::MailboxDisabled),
            (5, 7, 17 | 18) => Some(BounceCause::OwnerChanged),
            _no_particular_cause => None,
        }
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// SES's documentation and the wild have `2018-10-08T14:05:45 +0000` and times without a zone (UTC) beside RFC 3339.
fn read_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let joined = text
        .rsplit_once(' ')
        .filter(|(_, zone)| zone.starts_with(['+', '-']))
        .map(|(time, zone)| [time, zone].concat());
    let text = joined.as_deref().unwrap_or(text);
    text.parse()
        .ok()
        .or_else(|| [text, "Z"].concat().parse().ok())
}

/// The address as SES spells it, without display name and brackets.
fn bare(recipient: &str) -> &str {
    let recipient = recipient.trim();
    recipient
        .strip_suffix('>')
        .and_then(|rest| rest.rsplit_once('<'))
        .map_or(recipient, |(_, inner)| inner.trim())
}

fn word(text: &str) -> String {
    text.chars().take(MAX_WORD_CHARACTERS).collect()
}

fn diagnostic(text: &str) -> String {
    text.trim()
        .chars()
        .take(MAX_DIAGNOSTIC_CHARACTERS)
        .collect()
}

/// SES's own shapes, as far as we read them.
mod wire {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Head {
        pub(super) event_type: Option<String>,
        pub(super) notification_type: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Event {
        pub(super) mail: Option<Mail>,
        pub(super) bounce: Option<Bounce>,
        pub(super) complaint: Option<Complaint>,
        pub(super) delivery: Option<Delivery>,
        pub(super) delivery_delay: Option<DeliveryDelay>,
        pub(super) subscription: Option<Subscription>,
    }

    #[derive(Clone, Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    pub(super) struct Mail {
        pub(super) timestamp: Option<String>,
        pub(super) message_id: Option<String>,
        pub(super) source: Option<String>,
        pub(super) source_arn: Option<String>,
        #[serde(deserialize_with = "or_default")]
        pub(super) destination: Vec<String>,
        #[serde(deserialize_with = "or_default")]
        pub(super) tags: BTreeMap<String, OneOrMany<String>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Bounce {
        #[serde(rename = "bounceType")]
        pub(super) kind: Option<String>,
        #[serde(rename = "bounceSubType")]
        pub(super) subtype: Option<String>,
        #[serde(default, deserialize_with = "or_default")]
        pub(super) bounced_recipients: Vec<BouncedRecipient>,
        pub(super) timestamp: Option<String>,
        pub(super) feedback_id: Option<String>,
    }

    #[derive(Clone, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct BouncedRecipient {
        pub(super) email_address: String,
        #[serde(default, deserialize_with = "unless_blank")]
        pub(super) action: Option<String>,
        #[serde(default, deserialize_with = "unless_blank")]
        pub(super) status: Option<String>,
        #[serde(default, deserialize_with = "unless_blank")]
        pub(super) diagnostic_code: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Complaint {
        #[serde(default, deserialize_with = "or_default")]
        pub(super) complained_recipients: Vec<Recipient>,
        #[serde(rename = "complaintFeedbackType")]
        pub(super) feedback_type: Option<String>,
        #[serde(rename = "complaintSubType")]
        pub(super) subtype: Option<String>,
        pub(super) timestamp: Option<String>,
        pub(super) feedback_id: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Recipient {
        pub(super) email_address: String,
    }

    #[derive(Deserialize)]
    pub(super) struct Delivery {
        #[serde(default, deserialize_with = "or_default")]
        pub(super) recipients: Vec<String>,
        pub(super) timestamp: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct DeliveryDelay {
        pub(super) delay_type: Option<String>,
        /// An object by SES's documentation, an array by its examples.
        #[serde(default)]
        pub(super) delayed_recipients: OneOrMany<BouncedRecipient>,
        pub(super) timestamp: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Subscription {
        pub(super) timestamp: Option<String>,
        pub(super) new_topic_preferences: Option<TopicPreferences>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct TopicPreferences {
        pub(super) unsubscribe_all: Option<bool>,
    }

    #[derive(Clone)]
    pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

    impl<T> Default for OneOrMany<T> {
        fn default() -> Self {
            Self(Vec::new())
        }
    }

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            #[derive(Deserialize)]
            #[serde(untagged)]
            enum Shape<T> {
                Many(Vec<T>),
                One(T),
                Null,
            }
            Ok(Self(match Shape::deserialize(deserializer)? {
                Shape::Many(many) => many,
                Shape::One(one) => vec![one],
                Shape::Null => Vec::new(),
            }))
        }
    }

    /// A field that is there and blank says as much as one that is not there.
    fn unless_blank<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        Ok(text.filter(|text| !text.trim().is_empty()))
    }

    /// `null` where a list or a map should be.
    fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Option::deserialize(deserializer).map(Option::unwrap_or_default)
    }
}
