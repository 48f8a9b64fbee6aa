//! Notifications in SES's own shape, and SNS's envelope around them. Pure: time and ids are arguments.
//!
//! After the SES developer guide, *Contents of event data* and *Amazon SNS notification contents*, and the SNS developer guide,
//! *HTTP/HTTPS notification JSON format*, which is also what SNS puts into a queue.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::outcome::{Bounce, Outcome};

/// Who publishes a notification, and therefore its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// A configuration set: `eventType`, with tags.
    EventPublishing,
    /// A sending identity: `notificationType`, without tags.
    Identity,
}

/// A message that was sent, as notifications speak of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) message_id: String,
    pub(super) accepted_at: Timestamp,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) bcc: Vec<String>,
    pub(super) subject: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) tags: BTreeMap<String, Vec<String>>,
    pub(super) region: String,
    pub(super) account: String,
}

/// One event, before it is put into either schema.
pub(super) struct Event {
    /// The type, and the key of the payload.
    kind: &'static str,
    key: &'static str,
    payload: Value,
    pub(super) at: Timestamp,
}

impl Sent {
    /// Every recipient, in the order of the headers.
    pub(super) fn destination(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    fn sender_domain(&self) -> &str {
        self.from
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain.trim_end_matches('>'))
    }

    fn mail(&self, schema: Schema) -> Value {
        let domain = self.sender_domain();
        let header = |(name, value): &(String, String)| json!({ "name": name, "value": value });
        let mut headers: Vec<Value> = self.headers.iter().map(header).collect();
        headers.insert(0, json!({ "name": "From", "value": self.from }));
        headers.insert(1, json!({ "name": "To", "value": self.to.join(", ") }));
        headers.insert(2, json!({ "name": "Subject", "value": self.subject }));
        headers.push(json!({ "name": "MIME-Version", "value": "1.0" }));
        let mut mail = json!({
            "timestamp": iso(self.accepted_at),
            "source": self.from,
            "sourceArn": format!("arn:aws:ses:{}:{}:identity/{domain}", self.region, self.account),
            "sendingAccountId": self.account,
            "messageId": self.message_id,
            "destination": self.destination().collect::<Vec<_>>(),
            "headersTruncated": false,
            "headers": headers,
            "commonHeaders": {
                "from": [self.from],
                "to": self.to,
                "messageId": self.message_id,
                "subject": self.subject,
            },
        });
        if let Some(mail) = mail.as_object_mut() {
            match schema {
                Schema::EventPublishing => {
                    mail.insert("tags".to_owned(), self.all_tags(domain));
                }
                Schema::Identity => {
                    mail.insert("sourceIp".to_owned(), "127.0.3.0".into());
                    mail.insert("callerIdentity".to_owned(), "leadlight-demo".into());
                }
            }
        }
        mail
    }

    fn all_tags(&self, domain: &str) -> Value {
        let mut tags: Map<String, Value> = self
            .tags
            .iter()
            .map(|(name, values)| (name.clone(), json!(values)))
            .collect();
        let own = [
            ("ses:operation", "SendEmail"),
            ("ses:source-ip", "127.0.3.0"),
            ("ses:from-domain", domain),
            ("ses:caller-identity", "leadlight-demo"),
            ("ses:source-tls-version", "TLSv1.3"),
        ];
        tags.extend(own.map(|(name, value)| (name.to_owned(), json!([value]))));
        Value::Object(tags)
    }
}

impl Event {
    /// The event as SES publishes it in `schema`; identities publish bounces, complaints and deliveries only.
    pub(super) fn publish(&self, sent: &Sent, schema: Schema) -> Option<Value> {
        let kind_key = match schema {
            Schema::EventPublishing => "eventType",
            Schema::Identity if matches!(self.kind, "Bounce" | "Complaint" | "Delivery") => {
                "notificationType"
            }
            Schema::Identity => return None,
        };
        let mut notification = Map::new();
        notification.insert(kind_key.to_owned(), self.kind.into());
        notification.insert(self.key.to_owned(), self.payload.clone());
        notification.insert("mail".to_owned(), sent.mail(schema));
        Some(Value::Object(notification))
    }

    pub(super) fn send(at: Timestamp) -> Self {
        Self {
            kind: "Send",
            key: "send",
            payload: json!({}),
            at,
        }
    }

    pub(super) fn reject(at: Timestamp) -> Self {
        Self {
            kind: "Reject",
            key: "reject",
            payload: json!({ "reason": "Bad content" }),
            at,
        }
    }

    pub(super) fn delivery(recipients: &[String], at: Timestamp, sent_at: Timestamp) -> Self {
        let payload = json!({
            "timestamp": iso(at),
            "processingTimeMillis": at.duration_since(sent_at).as_millis(),
            "recipients": recipients,
            "smtpResponse": "250 2.6.0 Message received",
            "remoteMtaIp": "127.0.2.0",
            "reportingMTA": "a8-70.smtp-out.amazonses.com",
        });
        Self {
            kind: "Delivery",
            key: "delivery",
            payload,
            at,
        }
    }

    pub(super) fn delay(recipients: &[String], at: Timestamp) -> Self {
        let delayed = |address: &String| json!({ "emailAddress": address, "status": "4.4.1", "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host" });
        let expires = at
            .checked_add(jiff::SignedDuration::from_hours(14))
            .unwrap_or(at);
        let payload = json!({
            "delayType": "TransientCommunicationFailure",
            "delayedRecipients": recipients.iter().map(delayed).collect::<Vec<_>>(),
            "expirationTime": iso(expires),
            "reportingMTA": "a8-70.smtp-out.amazonses.com",
            "timestamp": iso(at),
        });
        Self {
            kind: "DeliveryDelay",
            key: "deliveryDelay",
            payload,
            at,
        }
    }

    /// One bounce for recipients that bounced alike.
    pub(super) fn bounce(
        bounce: &Bounce,
        recipients: &[String],
        feedback_id: &str,
        at: Timestamp,
    ) -> Self {
        let bounced = |address: &String| {
            let mut recipient = Map::from_iter([("emailAddress".to_owned(), json!(address))]);
            let details = [
                ("action", bounce.action),
                ("status", bounce.status),
                ("diagnosticCode", bounce.diagnostic),
            ];
            recipient.extend(
                details
                    .into_iter()
                    .filter_map(|(name, text)| Some((name.to_owned(), text?.into()))),
            );
            Value::Object(recipient)
        };
        let mut payload = Map::from_iter([
            ("bounceType".to_owned(), json!(bounce.kind)),
            ("bounceSubType".to_owned(), json!(bounce.subtype)),
            (
                "bouncedRecipients".to_owned(),
                recipients.iter().map(bounced).collect(),
            ),
            ("timestamp".to_owned(), json!(iso(at))),
            ("feedbackId".to_owned(), json!(feedback_id)),
        ]);
        if bounce.by_ses {
            payload.insert("reportingMTA".to_owned(), "dns; amazonses.com".into());
        } else if bounce.status.is_some() {
            payload.insert("remoteMtaIp".to_owned(), "127.0.2.0".into());
            payload.insert(
                "reportingMTA".to_owned(),
                "dns; a8-70.smtp-out.amazonses.com".into(),
            );
        }
        Self {
            kind: "Bounce",
            key: "bounce",
            payload: Value::Object(payload),
            at,
        }
    }

    /// A complaint. `recipients` are those of the message who might have complained.
    pub(super) fn complaint(
        outcome: Outcome,
        recipients: &[String],
        feedback_id: &str,
        at: Timestamp,
    ) -> Self {
        let complained: Vec<Value> = recipients
            .iter()
            .map(|address| json!({ "emailAddress": address }))
            .collect();
        let mut payload = json!({
            "feedbackId": feedback_id,
            "complaintSubType": null,
            "complainedRecipients": complained,
            "timestamp": iso(at),
        });
        if let Some(payload) = payload.as_object_mut() {
            if outcome == Outcome::WithheldComplaint {
                payload.insert(
                    "complaintSubType".to_owned(),
                    "OnAccountSuppressionList".into(),
                );
            } else {
                let kind = if outcome == Outcome::NotSpam {
                    "not-spam"
                } else {
                    "abuse"
                };
                payload.insert(
                    "userAgent".to_owned(),
                    "Amazon SES Mailbox Simulator".into(),
                );
                payload.insert("complaintFeedbackType".to_owned(), kind.into());
                payload.insert("arrivalDate".to_owned(), iso(at).into());
            }
        }
        Self {
            kind: "Complaint",
            key: "complaint",
            payload,
            at,
        }
    }
}

/// A time as SES writes it: to the millisecond, in UTC.
fn iso(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The topic that notifications are published to.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:leadlight-feedback";

/// SNS's envelope around `message`, as it lands in a queue without raw delivery. The signature is of the right shape and signs nothing.
#[must_use]
pub fn sns_envelope(message: &str, now: Timestamp) -> Value {
    let topic = TOPIC;
    json!({
        "Type": "Notification",
        "MessageId": uuid::Uuid::new_v4().to_string(),
        "TopicArn": topic,
        "Subject": "Amazon SES Email Event Notification",
        "Message": message,
        "Timestamp": iso(now),
        "SignatureVersion": "1",
        "Signature": "c3RhbmQtaW4gc2lnbmF0dXJl".repeat(14) + "c3RhbmQ=",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-00000000000000000000000000000000.pem",
        "UnsubscribeURL": format!("https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={topic}:{}", uuid::Uuid::nil()),
        "MessageAttributes": {},
    })
}
