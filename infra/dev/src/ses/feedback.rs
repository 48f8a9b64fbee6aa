//! What SES publishes about a message of which the same becomes at all its recipients, for worlds in which time and chance are simulated.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::notification::{Event, Schema, Sent};
use super::outcome::Outcome;

/// How long after its delivery a message is answered or complained of.
const ANSWERED_AFTER: Duration = Duration::from_millis(700);

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Mailed<'a> {
    /// SES's id of it.
    pub message: &'a str,
    /// When SES took it in.
    pub sent_at: Timestamp,
    /// The sender.
    pub from: &'a str,
    /// The recipients.
    pub to: &'a [&'a str],
    /// Its one tag, name and value.
    pub tag: (&'a str, &'a str),
}

/// An event, as both schemas tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// When it happened.
    pub at: Timestamp,
    /// The notification of a configuration set.
    pub by_configuration_set: String,
    /// The notification of the sending identity.
    pub by_identity: String,
}

impl Mailed<'_> {
    /// What is published when `outcome` becomes of the message at `at`.
    #[must_use]
    pub fn feedback(&self, outcome: Outcome, feedback_id: &str, at: Timestamp) -> Vec<Publication> {
        let recipients: Vec<String> = self.to.iter().map(|to| (*to).to_owned()).collect();
        let (name, value) = self.tag;
        let sent = Sent {
            message_id: self.message.to_owned(),
            accepted_at: self.sent_at,
            from: self.from.to_owned(),
            to: recipients.clone(),
            cc: Vec::new(),
            bcc: Vec::new(),
            subject: "simulated".to_owned(),
            headers: Vec::new(),
            tags: [(name.to_owned(), vec![value.to_owned()])].into(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
        };
        let pause = SignedDuration::try_from(ANSWERED_AFTER).unwrap_or_default();
        let answered_at = at.checked_add(pause).unwrap_or(at);
        let delivery = outcome
            .is_delivered()
            .then(|| Event::delivery(&recipients, at, self.sent_at));
        let bounce = outcome
            .bounce()
            .map(|bounce| Event::bounce(&bounce, &recipients, feedback_id, answered_at));
        let complaint = (outcome == Outcome::Complaint)
            .then(|| Event::complaint(outcome, &recipients, feedback_id, answered_at));
        let events = delivery.into_iter().chain(bounce).chain(complaint);
        let publication = |event: Event| {
            let [by_configuration_set, by_identity] = [Schema::EventPublishing, Schema::Identity]
                .map(|schema| event.publish(&sent, schema).map(|json| json.to_string()));
            Some(Publication {
                at: event.at,
                by_configuration_set: by_configuration_set?,
                by_identity: by_identity?,
            })
        };
        events.filter_map(publication).collect()
    }
}
