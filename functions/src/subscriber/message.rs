//! A message of SNS as it comes by HTTPS: its fields, its time, and the text that is signed.
//!
//! Nothing in it is believed here. Shapes and the order of the signed fields after the SNS developer guide, *parse message formats*
//! and *verify message signatures*.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::problem::Refusal;

/// How old a message may be: SNS tries to deliver by HTTPS for an hour at most (SNS developer guide, *message delivery retries*).
const MOST_AGE: SignedDuration = SignedDuration::from_hours(1);
/// How far SNS's clock may be ahead of ours.
const MOST_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The fields without which nothing is a message of SNS. What is delivered raw has none of them, and no signature either.
pub(super) const REQUIRED: [&str; 8] = [
    "Type",
    "MessageId",
    "TopicArn",
    "Message",
    "Timestamp",
    "SignatureVersion",
    "Signature",
    "SigningCertURL",
];

/// A message of SNS. It may have other fields besides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Message {
    #[serde(rename = "Type")]
    pub(super) kind: Kind,
    #[serde(rename = "MessageId")]
    id: String,
    pub(super) topic_arn: String,
    #[serde(rename = "Message")]
    pub(super) text: String,
    timestamp: String,
    pub(super) signature_version: SignatureVersion,
    pub(super) signature: String,
    #[serde(rename = "SigningCertURL")]
    pub(super) certificate_url: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    pub(super) token: Option<String>,
    #[serde(rename = "SubscribeURL", default)]
    subscribe_url: Option<String>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Kind {
    /// Something was published to the topic.
    Notification,
    /// Somebody asks for the topic's messages to be delivered here.
    SubscriptionConfirmation,
    /// Somebody ended that.
    UnsubscribeConfirmation,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// How a message is signed: RSA with PKCS #1 v1.5 over one hash or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum SignatureVersion {
    /// SHA-1: what topics do unless told otherwise.
    #[serde(rename = "1")]
    One,
    /// SHA-256.
    #[serde(rename = "2")]
    Two,
}

impl Message {
    /// Refuses what could be read in two ways: the signed text has no lengths, so a line break in a short field could pass for the
    /// next one.
    pub(crate) fn check_lines(&self) -> Result<(), Refusal> {
        let lines = [
            ("/MessageId", Some(&self.id)),
            ("/TopicArn", Some(&self.topic_arn)),
            ("/Timestamp", Some(&self.timestamp)),
            ("/Subject", self.subject.as_ref()),
            ("/Token", self.token.as_ref()),
            ("/SubscribeURL", self.subscribe_url.as_ref()),
        ];
        let broken = lines
            .into_iter()
            .find(|(_, text)| text.is_some_and(|text| text.contains(char::is_control)));
        match broken {
            Some((field, _)) => Err(Refusal::invalid_field(
                field,
                "control_character",
                "must be one line",
            )),
            None => Ok(()),
        }
    }

    /// When it was published, if that is neither too long ago nor yet to come.
    pub(crate) fn published_at(&self, now: Timestamp) -> Result<Timestamp, Refusal> {
        let at: Timestamp = self.timestamp.parse().map_err(|_| {
            Refusal::invalid_field("/Timestamp", "invalid_value", "must be a time of RFC 3339")
        })?;
        let age = now.duration_since(at);
        if age > MOST_AGE || age < -MOST_AHEAD {
            return Err(Refusal::untrusted_message(
                "time",
                "/Timestamp",
                "it is more than an hour old, or more than five minutes ahead",
            ));
        }
        Ok(at)
    }

    /// What SNS signed: names and values of fields by turns, each with a line feed behind it, in the order of the names.
    pub(crate) fn signed_text(&self) -> String {
        let always = [
            ("Message", Some(self.text.as_str())),
            ("MessageId", Some(self.id.as_str())),
        ];
        let (before, after) = match self.kind {
            Kind::Notification => (("Subject", self.subject.as_deref()), None),
            Kind::SubscriptionConfirmation | Kind::UnsubscribeConfirmation => (
                ("SubscribeURL", self.subscribe_url.as_deref()),
                self.token.as_deref(),
            ),
        };
        let fields = always.into_iter().chain([
            before,
            ("Timestamp", Some(self.timestamp.as_str())),
            ("Token", after),
            ("TopicArn", Some(self.topic_arn.as_str())),
            ("Type", Some(self.kind.word())),
        ]);
        fields
            .filter_map(|(name, value)| Some([name, "\n", value?, "\n"].concat()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn message(changes: Value) -> Message {
        let mut fields = json!({
            "Type": "Notification", "MessageId": "id", "TopicArn": "arn", "Message": "one\ntwo", "Timestamp": "2026-11-22T10:00:00.000Z",
            "SignatureVersion": "1", "Signature": "c2lnbmVk", "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/",
            "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
        });
        let Value::Object(changes) = changes else {
            unreachable!("changes are an object")
        };
        fields.as_object_mut().unwrap().extend(changes);
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn each_kind_is_signed_with_its_own_fields() {
        let confirmation = "Message\none\ntwo\nMessageId\nid\nSubscribeURL\nhttps://s\nTimestamp\n2026-11-22T10:00:00.000Z\nToken\nt\nTopicArn\narn\nType\n";
        let rows = [
            (
                json!({}),
                "Message\none\ntwo\nMessageId\nid\nTimestamp\n2026-11-22T10:00:00.000Z\nTopicArn\narn\nType\nNotification\n".to_owned(),
            ),
            (
                json!({ "Subject": "S", "Token": "t", "SubscribeURL": "https://s" }),
                "Message\none\ntwo\nMessageId\nid\nSubject\nS\nTimestamp\n2026-11-22T10:00:00.000Z\nTopicArn\narn\nType\nNotification\n".to_owned(),
            ),
            (
                json!({ "Type": "SubscriptionConfirmation", "Subject": "S", "Token": "t", "SubscribeURL": "https://s" }),
                format!("{confirmation}SubscriptionConfirmation\n"),
            ),
            (
                json!({ "Type": "UnsubscribeConfirmation", "Token": "t", "SubscribeURL": "https://s" }),
                format!("{confirmation}UnsubscribeConfirmation\n"),
            ),
        ];
        for (changes, signed) in rows {
            assert_eq!(message(changes.clone()).signed_text(), signed, "{changes}");
        }
    }

    #[test]
    fn a_message_is_taken_for_an_hour() {
        let published: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let seconds = SignedDuration::from_secs;
        for (age, is_taken) in [
            (seconds(0), true),
            (seconds(3_600), true),
            (seconds(3_601), false),
            (seconds(-300), true),
            (seconds(-301), false),
        ] {
            let taken = message(json!({})).published_at(published + age);
            assert_eq!(taken.is_ok(), is_taken, "{age}");
        }
        let never = message(json!({ "Timestamp": "yesterday" }));
        assert_eq!(never.published_at(published).unwrap_err().status(), 422);
    }

    #[test]
    fn only_the_message_itself_may_have_lines() {
        assert!(message(json!({})).check_lines().is_ok());
        for field in [
            "MessageId",
            "TopicArn",
            "Timestamp",
            "Subject",
            "Token",
            "SubscribeURL",
        ] {
            let mut changes = json!({});
            changes[field] = json!("x\nTimestamp\ny");
            let refusal = message(changes).check_lines().unwrap_err();
            assert_eq!(refusal.problem().field, Some(format!("/{field}")));
        }
    }
}
