//! What SES publishes, and what it means for each recipient.
//!
//! Both schemas are read (`notificationType` of identity notifications, `eventType` of event publishing), tolerant of fields,
//! types and subtypes that are new. Every recipient is classified on its own (SES developer guide, *notification contents*).

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::address::{Address, AddressKey};
use crate::evidence::{Fact, Message, Piece};

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
        let piece = Piece::new(self.fact.clone(), &self.source, key, self.at, self.received_at);
        Piece { clamped: self.clamped, ..piece }
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
    let _ = (text, received_at);
    Err(NotificationError::NotJson)
}
