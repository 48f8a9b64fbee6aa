//! Notifications of event publishing, built for stories that need their own times, and the fixtures.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A way to bounce: type, subtype, and the recipient's status.
#[derive(Clone, Copy)]
pub(crate) struct Bounce(&'static str, &'static str, &'static str);

/// The mailbox does not exist.
pub(crate) const NO_EMAIL: Bounce = Bounce("Permanent", "NoEmail", "5.1.1");
/// Refused for good, with no cause given.
pub(crate) const GENERAL: Bounce = Bounce("Permanent", "General", "5.0.0");
/// A soft bounce.
pub(crate) const MAILBOX_FULL: Bounce = Bounce("Transient", "MailboxFull", "4.2.2");
/// A typo in the domain.
pub(crate) const INVALID_DOMAIN: Bounce = Bounce("Transient", "General", "5.4.4");
/// The sender's fault.
pub(crate) const POLICY: Bounce = Bounce("Permanent", "General", "5.7.1");
/// SES withheld the message: the address is on the AWS account's own list.
pub(crate) const ON_ACCOUNT_LIST: Bounce = Bounce("Permanent", "OnAccountSuppressionList", "5.1.1");
/// SES withheld the message: the address is on the list of all its customers.
pub(crate) const ON_GLOBAL_LIST: Bounce = Bounce("Permanent", "Suppressed", "5.1.1");

/// A bounce of `address` at `at`. The same arguments make the same notification.
pub(crate) fn bounce(address: &str, how: Bounce, at: Timestamp) -> Value {
    bounce_of(&[address], how, at)
}

/// A bounce of several recipients at once.
pub(crate) fn bounce_of(addresses: &[&str], how: Bounce, at: Timestamp) -> Value {
    let Bounce(kind, subtype, status) = how;
    let recipient = |address: &&str| {
        json!({
            "emailAddress": address, "action": "failed", "status": status,
            "diagnosticCode": format!("smtp; 550 {status} as the test says"),
        })
    };
    let payload = json!({
        "feedbackId": id(&format!("{kind}/{subtype}"), first(addresses), at),
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": addresses.iter().map(recipient).collect::<Vec<_>>(),
        "timestamp": at,
    });
    event("Bounce", "bounce", payload, addresses, at)
}

/// An automatic reply: a bounce that tells nothing but whose.
pub(crate) fn auto_reply(address: &str, at: Timestamp) -> Value {
    let mut notification = bounce(address, Bounce("Transient", "General", ""), at);
    notification["bounce"]["bouncedRecipients"] = json!([{ "emailAddress": address }]);
    notification
}

/// A complaint by one of `addresses`.
pub(crate) fn complaint(addresses: &[&str], at: Timestamp) -> Value {
    complaint_of_type(addresses, "abuse", at)
}

/// A report of another type than abuse.
pub(crate) fn complaint_of_type(addresses: &[&str], kind: &str, at: Timestamp) -> Value {
    let recipient = |address: &&str| json!({ "emailAddress": address });
    let payload = json!({
        "feedbackId": id(kind, first(addresses), at),
        "complaintSubType": null,
        "complainedRecipients": addresses.iter().map(recipient).collect::<Vec<_>>(),
        "complaintFeedbackType": kind,
        "timestamp": at,
    });
    event("Complaint", "complaint", payload, addresses, at)
}

/// A delivery to `address`.
pub(crate) fn delivery(address: &str, at: Timestamp) -> Value {
    let payload = json!({
        "timestamp": at, "processingTimeMillis": 546, "recipients": [address],
        "smtpResponse": "250 ok", "reportingMTA": "a8-70.smtp-out.amazonses.com",
    });
    event("Delivery", "delivery", payload, &[address], at)
}

/// An unsubscription from everything, or its opposite.
pub(crate) fn subscription(address: &str, unsubscribed: bool, at: Timestamp) -> Value {
    let payload = json!({
        "contactList": "acme", "timestamp": at, "source": "UnsubscribeHeader",
        "newTopicPreferences": { "unsubscribeAll": unsubscribed },
        "oldTopicPreferences": { "unsubscribeAll": !unsubscribed },
    });
    event("Subscription", "subscription", payload, &[address], at)
}

/// The message was sent a second before what is told of it.
fn event(kind: &str, key: &str, payload: Value, to: &[&str], at: Timestamp) -> Value {
    let sent_at = at - SignedDuration::from_secs(1);
    json!({
        "eventType": kind,
        key: payload,
        "mail": {
            "timestamp": sent_at,
            "source": "Harbour News <news@mail.acme.example>",
            "sourceArn": "arn:aws:ses:eu-central-1:123456789012:identity/mail.acme.example",
            "sendingAccountId": "123456789012",
            "messageId": id("message", first(to), at),
            "destination": to,
            "tags": { "leadlight-account": ["acme"] },
        },
    })
}

fn first<'a>(addresses: &[&'a str]) -> &'a str {
    addresses.first().copied().unwrap_or("nobody")
}

fn id(kind: &str, address: &str, at: Timestamp) -> String {
    format!("{kind}-{address}-{}", at.as_millisecond())
}

/// The account that the message's tag names, changed.
pub(crate) fn of_account(mut notification: Value, account: &str) -> Value {
    notification["mail"]["tags"] = json!({ "leadlight-account": [account] });
    notification
}

/// Without a word on who sent the message.
pub(crate) fn of_nobody(mut notification: Value) -> Value {
    notification["mail"] = json!({ "messageId": notification["mail"]["messageId"] });
    notification
}

/// The text of a fixture.
pub(crate) fn fixture_text(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A fixture.
pub(crate) fn fixture(name: &str) -> Value {
    serde_json::from_str(&fixture_text(name)).unwrap()
}
