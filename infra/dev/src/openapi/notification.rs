//! A message of Amazon SNS as it comes by HTTPS: Amazon's type, which the function takes as it is (SNS developer guide, *parse message
//! formats*).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ses::TOPIC;

/// What Amazon SNS delivers, and signs. Members that are not described are passed over.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SnsMessage {
    /// What it is.
    #[serde(rename = "Type")]
    kind: Kind,
    /// The same for every delivery of one message.
    message_id: String,
    /// Only topics that the operator has listed are taken.
    topic_arn: String,
    /// A notification of SES, as JSON in a text, or words for people.
    message: String,
    /// When it was published; a message is taken for an hour.
    timestamp: Timestamp,
    /// How it is signed: by SHA-1, or by SHA-256.
    signature_version: SignatureVersion,
    /// The signature, in Base64.
    signature: String,
    /// The signer's certificate. Where it may be, the topic's Region says.
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    /// The subject, where a notification has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// What confirms the subscription; of messages about a subscription only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Of messages about a subscription only. It is not visited.
    #[serde(rename = "SubscribeURL")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscribe_url: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
enum SignatureVersion {
    #[serde(rename = "1")]
    One,
    #[serde(rename = "2")]
    Two,
}

/// Two messages, published at `now`; their signature is none.
pub(super) fn examples(now: Timestamp) -> Vec<(&'static str, SnsMessage)> {
    let bounce = json!({ "notificationType": "Bounce", "mail": { "source": "crm@harbour.example", "messageId": "m-1", "timestamp": now },
        "bounce": { "bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "f-1", "timestamp": now,
            "bouncedRecipients": [{ "emailAddress": "pat@harbour.example", "action": "failed", "status": "5.1.1" }] } });
    let published = SnsMessage {
        kind: Kind::Notification,
        message_id: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324".to_owned(),
        topic_arn: TOPIC.to_owned(),
        message: bounce.to_string(),
        timestamp: now,
        signature_version: SignatureVersion::Two,
        signature: "EXAMPLE+bm8gc2lnbmF0dXJl".to_owned(),
        signing_cert_url:
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0000000000.pem"
                .to_owned(),
        subject: Some("Amazon SES Email Event Notification".to_owned()),
        token: None,
        subscribe_url: None,
    };
    let asked = SnsMessage {
        kind: Kind::SubscriptionConfirmation,
        message: "You have chosen to subscribe to the topic.".to_owned(),
        subject: None,
        token: Some("2336412f37fb687f5d51e6e2425f004a".to_owned()),
        subscribe_url: Some(
            "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription".to_owned(),
        ),
        ..published.clone()
    };
    vec![("a_bounce", published), ("a_subscription", asked)]
}
