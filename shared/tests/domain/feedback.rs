//! What each notification of SES means for each recipient. Shapes after the SES developer guide, *Amazon SNS notification
//! contents* and *event data published to SNS*; the rows of the table are cases seen in the wild or documented there.

use jiff::Timestamp;
use leadlight::evidence::Fact;
use leadlight::feedback::{Feedback, Notification, NotificationError, Published, parse};
use serde_json::{Value, json};

use crate::{day, hour, key};

fn mail() -> Value {
    json!({
        "timestamp": "2026-03-01T11:59:00.000Z",
        "messageId": "0100-message",
        "source": "Acme <news@mail.acme.example>",
        "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/acme.example",
        "sendingAccountId": "123456789012",
        "destination": ["ann@example.com", "bob@example.com", "cc@example.com"],
        "tags": { "leadlight-account": ["acme"], "ses:configuration-set": ["crm"] },
    })
}

fn event(kind: &str, payload_key: &str, payload: Value) -> Value {
    json!({ "eventType": kind, "mail": mail(), payload_key: payload })
}

fn bounce(kind: &str, subtype: &str, recipients: Value) -> Value {
    let payload = json!({
        "bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": recipients,
        "timestamp": "2026-03-01T12:00:00.000Z", "feedbackId": "0100-feedback", "reportingMTA": "dsn; mta.example",
    });
    event("Bounce", "bounce", payload)
}

fn complaint(payload: Value) -> Value {
    let mut whole =
        json!({ "timestamp": "2026-03-01T12:00:00.000Z", "feedbackId": "0100-feedback" });
    whole
        .as_object_mut()
        .unwrap()
        .extend(payload.as_object().unwrap().clone());
    event("Complaint", "complaint", whole)
}

#[track_caller]
fn read(notification: &Value) -> Notification {
    match parse(&notification.to_string(), day(1)) {
        Ok(Published::Notification(notification)) => notification,
        other => panic!("{other:?}"),
    }
}

/// One line of codes per recipient: what the feedback says.
fn summary(feedback: &Feedback) -> String {
    let said = match &feedback.fact {
        Fact::Complaint { attribution, .. } => format!("complaint/{attribution}"),
        Fact::HardBounce { cause, .. } => format!("hard/{cause}"),
        Fact::SoftBounce { .. } => "soft".to_owned(),
        Fact::Withheld { list, .. } => format!("withheld/{list}"),
        Fact::Sent { .. } => "sent".to_owned(),
        Fact::Delivery { .. } => "delivery".to_owned(),
        Fact::Subscription { unsubscribed } => format!("unsubscribed={unsubscribed}"),
        Fact::Note { note, .. } => note.code().to_owned(),
        other => format!("{other:?}"),
    };
    format!("{} {said}", feedback.address.local_part())
}

fn summaries(notification: &Value) -> Vec<String> {
    read(notification).feedback.iter().map(summary).collect()
}

#[test]
fn every_bounce_is_classified_for_each_recipient() {
    let failed = |status: &str| json!([{ "emailAddress": "ann@example.com", "action": "failed", "status": status, "diagnosticCode": "smtp; see status" }]);
    let bare = json!([{ "emailAddress": "ann@example.com" }]);
    let with = |action: &str, status: &str, diagnostic: &str| json!([{ "emailAddress": "ann@example.com", "action": action, "status": status, "diagnosticCode": diagnostic }]);
    let rows = [
        (
            "Permanent",
            "General",
            bare.clone(),
            "hard/unspecified",
            "refused for good, no cause given",
        ),
        (
            "Permanent",
            "NoEmail",
            bare.clone(),
            "hard/mailbox_missing",
            "SES says so itself",
        ),
        (
            "Permanent",
            "General",
            failed("5.1.1"),
            "hard/mailbox_missing",
            "the code names the cause",
        ),
        (
            "Permanent",
            "General",
            failed("5.1.10"),
            "hard/mailbox_missing",
            "details can have two digits",
        ),
        (
            "Permanent",
            "General",
            failed("5.1.2"),
            "hard/invalid_domain",
            "bad destination system",
        ),
        (
            "Permanent",
            "General",
            failed("5.2.1"),
            "hard/mailbox_disabled",
            "mailbox disabled",
        ),
        (
            "Permanent",
            "General",
            failed("5.5.0"),
            "hard/unspecified",
            "a protocol error tells nothing",
        ),
        (
            "Permanent",
            "General",
            failed("5.7.1"),
            "sender_fault",
            "policy: the sender is blamed",
        ),
        (
            "Permanent",
            "General",
            failed("5.7.26"),
            "sender_fault",
            "authentication: the sender is blamed",
        ),
        (
            "Permanent",
            "General",
            failed("5.7.13"),
            "hard/mailbox_disabled",
            "an account state, not policy",
        ),
        (
            "Permanent",
            "General",
            failed("5.7.17"),
            "hard/owner_changed",
            "an account state, not policy",
        ),
        (
            "Permanent",
            "NoEmail",
            failed("5.7.1"),
            "hard/mailbox_missing",
            "SES says NoEmail of mailboxes only",
        ),
        (
            "Permanent",
            "NoEmail",
            failed("5.5.0"),
            "hard/mailbox_missing",
            "the subtype outranks a vague code",
        ),
        (
            "Permanent",
            "General",
            with("delayed", "4.0.0", "try later"),
            "delayed",
            "SES's own example: marked Permanent, only delayed",
        ),
        (
            "Permanent",
            "General",
            with("relayed", "2.0.0", ""),
            "delayed",
            "handed on is no failure",
        ),
        (
            "Permanent",
            "General",
            with("expanded", "", ""),
            "delayed",
            "a list is no failure",
        ),
        (
            "Permanent",
            "General",
            failed("4.4.7"),
            "soft",
            "a 4.x code is not for good, whatever the event says",
        ),
        (
            "Permanent",
            "General",
            failed("2.0.0"),
            "delayed",
            "a 2.x code is a success",
        ),
        (
            "Permanent",
            "Suppressed",
            bare.clone(),
            "withheld/global",
            "SES's global list: nothing was tried",
        ),
        (
            "Permanent",
            "OnAccountSuppressionList",
            bare.clone(),
            "withheld/account",
            "an echo is no new bounce",
        ),
        (
            "Permanent",
            "OnTenantSuppressionList",
            bare.clone(),
            "withheld/tenant",
            "an echo is no new bounce",
        ),
        (
            "Permanent",
            "EmailValidationSuppressed",
            bare.clone(),
            "withheld/validation",
            "judged, not tried",
        ),
        (
            "Permanent",
            "OnSomeNewSuppressionList",
            bare.clone(),
            "withheld/other",
            "a list that is new to us",
        ),
        (
            "Permanent",
            "UnsubscribedRecipient",
            bare.clone(),
            "unsubscribed=true",
            "an opt-out blocks nobody",
        ),
        (
            "Permanent",
            "SomethingNew",
            bare.clone(),
            "hard/unspecified",
            "an unknown subtype goes by its type",
        ),
        (
            "Permanent",
            "ContentRejected",
            failed("5.6.0"),
            "message_fault",
            "the message's fault, whatever the type",
        ),
        (
            "Transient",
            "General",
            failed("4.2.1"),
            "soft",
            "a temporary failure",
        ),
        (
            "Transient",
            "General",
            with("Failed", "4.2.1", ""),
            "soft",
            "letter case of the action varies",
        ),
        (
            "Transient",
            "General",
            bare.clone(),
            "auto_reply",
            "no action, no status: an auto-reply",
        ),
        (
            "Transient",
            "General",
            with("", " ", ""),
            "auto_reply",
            "blank fields are absent ones",
        ),
        (
            "Transient",
            "General",
            failed("5.4.4"),
            "hard/invalid_domain",
            "a typo in the domain, called Transient",
        ),
        (
            "Transient",
            "General",
            failed("5.1.1"),
            "hard/mailbox_missing",
            "promoted",
        ),
        (
            "Transient",
            "General",
            failed("5.1.2"),
            "hard/invalid_domain",
            "promoted",
        ),
        (
            "Transient",
            "General",
            failed("5.1.3"),
            "hard/mailbox_missing",
            "promoted",
        ),
        (
            "Transient",
            "General",
            failed("5.1.6"),
            "hard/mailbox_missing",
            "promoted",
        ),
        (
            "Transient",
            "General",
            failed("5.1.10"),
            "hard/mailbox_missing",
            "promoted",
        ),
        (
            "Transient",
            "General",
            failed("5.3.0"),
            "soft",
            "other 5.x codes are not promoted",
        ),
        (
            "Transient",
            "General",
            failed("5.2.1"),
            "soft",
            "other 5.x codes are not promoted",
        ),
        (
            "Transient",
            "General",
            with(
                "failed",
                "4.4.7",
                "554 4.4.7 Message expired: unable to deliver in 840 minutes.<452 4.2.2 full>",
            ),
            "soft",
            "a 5xx in the text is not looked for",
        ),
        (
            "Transient",
            "General",
            failed("4.7.0"),
            "sender_fault",
            "greylisted or throttled for who sends",
        ),
        (
            "Transient",
            "General",
            with("delayed", "5.1.1", ""),
            "delayed",
            "still trying",
        ),
        (
            "Transient",
            "MailboxFull",
            failed("4.2.2"),
            "soft",
            "a full mailbox",
        ),
        (
            "Transient",
            "MailboxFull",
            bare.clone(),
            "soft",
            "only General without status is an auto-reply",
        ),
        (
            "Transient",
            "MailboxFull",
            failed("5.7.1"),
            "soft",
            "SES says MailboxFull of mailboxes only",
        ),
        (
            "Transient",
            "MessageTooLarge",
            failed("5.3.4"),
            "message_fault",
            "the message's fault",
        ),
        (
            "Transient",
            "ContentRejected",
            failed("5.7.1"),
            "message_fault",
            "the message's fault",
        ),
        (
            "Transient",
            "AttachmentRejected",
            failed("5.1.1"),
            "message_fault",
            "the message's fault beats the code",
        ),
        (
            "Transient",
            "CustomTimeoutExceeded",
            bare.clone(),
            "message_fault",
            "the sender's own time limit",
        ),
        (
            "Undetermined",
            "Undetermined",
            bare.clone(),
            "soft",
            "undetermined counts as soft",
        ),
        (
            "Undetermined",
            "Undetermined",
            failed("5.1.1"),
            "soft",
            "only Transient is promoted",
        ),
        (
            "Undetermined",
            "Undetermined",
            failed("5.7.1"),
            "sender_fault",
            "the sender is blamed",
        ),
        (
            "Sideways",
            "Loop",
            failed("5.1.1"),
            "soft",
            "an unknown type counts as undetermined",
        ),
        ("", "", bare, "soft", "no type at all"),
        (
            "Permanent",
            "General",
            json!([{ "emailAddress": "ann@example.com", "action": "failed", "diagnosticCode": "smtp; 550-5.1.1 The account does not exist" }]),
            "hard/mailbox_missing",
            "without a status, the first code of the text",
        ),
        (
            "Permanent",
            "General",
            with("failed", "5.0.0", "smtp; 550 5.1.1 unknown"),
            "hard/mailbox_missing",
            "a status that says nothing gives way to the text",
        ),
        (
            "Permanent",
            "General",
            with("failed", "5.0.0", "smtp; 450 4.1.1 unknown"),
            "hard/unspecified",
            "but not to a code of another class",
        ),
        (
            "Permanent",
            "General",
            with("failed", "5.5.1", "smtp; 550 5.1.1 unknown"),
            "hard/unspecified",
            "a status that says something stands",
        ),
        (
            "Permanent",
            "General",
            with("failed", "", "smtp; 550 host 5.1.1.9 said no"),
            "hard/unspecified",
            "a network address is no code",
        ),
    ];
    for (kind, subtype, recipients, expected, why) in rows {
        assert_eq!(
            summaries(&bounce(kind, subtype, recipients)),
            [format!("ann {expected}")],
            "{kind}/{subtype}: {why}"
        );
    }
}

#[test]
fn recipients_of_one_event_may_fare_differently() {
    let recipients = json!([
        { "emailAddress": "ann@example.com", "action": "failed", "status": "5.1.1", "diagnosticCode": "550 5.1.1" },
        { "emailAddress": "\"Bob B.\" <Bob@Example.com>", "action": "delayed", "status": "4.0.0" },
        { "emailAddress": "not an address" },
    ]);
    let notification = read(&bounce("Permanent", "General", recipients));
    let said: Vec<String> = notification.feedback.iter().map(summary).collect();
    assert_eq!(
        said,
        ["ann hard/mailbox_missing", "Bob delayed"],
        "and nobody else of mail.destination"
    );
    assert_eq!(
        notification.feedback[1].spelling, "Bob@Example.com",
        "SES's list calls need its own spelling"
    );
    assert_eq!(notification.unreadable_recipients, 1);
}

#[test]
fn a_complaint_is_what_it_says_it_is() {
    let ann = json!([{ "emailAddress": "ann@example.com" }]);
    let both =
        json!([{ "emailAddress": "ann@example.com" }, { "emailAddress": "bob@example.com" }]);
    let twice =
        json!([{ "emailAddress": "ann@example.com" }, { "emailAddress": "Ann <ANN@example.com>" }]);
    let rows = [
        (
            json!({ "complainedRecipients": ann }),
            vec!["ann complaint/certain"],
            "without a feedback type still a complaint",
        ),
        (
            json!({ "complainedRecipients": ann, "complaintFeedbackType": "abuse" }),
            vec!["ann complaint/certain"],
            "the usual one",
        ),
        (
            json!({ "complainedRecipients": ann, "complaintFeedbackType": "fraud" }),
            vec!["ann complaint/certain"],
            "fraud is one",
        ),
        (
            json!({ "complainedRecipients": ann, "complaintFeedbackType": "brand-new" }),
            vec!["ann complaint/certain"],
            "unknown types are taken as complaints",
        ),
        (
            json!({ "complainedRecipients": ann, "complaintSubType": null }),
            vec!["ann complaint/certain"],
            "null is no subtype",
        ),
        (
            json!({ "complainedRecipients": both }),
            vec!["ann complaint/candidate", "bob complaint/candidate"],
            "either may be the one",
        ),
        (
            json!({ "complainedRecipients": twice }),
            vec!["ann complaint/certain", "ANN complaint/certain"],
            "one person named twice",
        ),
        (
            json!({ "complainedRecipients": ann, "complaintFeedbackType": "not-spam" }),
            vec!["ann not_spam"],
            "the opposite of a complaint",
        ),
        (
            json!({ "complainedRecipients": ann, "complaintFeedbackType": "auth-failure" }),
            vec!["ann auth_failure"],
            "about the sender",
        ),
        (
            json!({ "complainedRecipients": ann, "complaintSubType": "OnAccountSuppressionList" }),
            vec!["ann withheld/account"],
            "an echo: nobody complained again",
        ),
        (
            json!({ "complainedRecipients": [], "complaintSubType": "OnAccountSuppressionList" }),
            vec![],
            "an echo that names nobody",
        ),
        (json!({}), vec![], "no recipients at all"),
    ];
    for (payload, expected, why) in rows {
        assert_eq!(summaries(&complaint(payload)), expected, "{why}");
    }
}

#[test]
fn the_other_types_of_event_say_what_they_say() {
    let delayed = json!([{ "emailAddress": "ann@example.com", "status": "4.4.1", "diagnosticCode": "timeout" }]);
    let mut one_destination = event(
        "Subscription",
        "subscription",
        json!({ "newTopicPreferences": { "unsubscribeAll": true } }),
    );
    one_destination["mail"]["destination"] = json!(["ann@example.com"]);
    let mut resubscribed = one_destination.clone();
    resubscribed["subscription"]["newTopicPreferences"]["unsubscribeAll"] = json!(false);
    let rows = [
        (
            event(
                "Delivery",
                "delivery",
                json!({ "recipients": ["ann@example.com", "bob@example.com"], "smtpResponse": "250 ok" }),
            ),
            vec!["ann delivery", "bob delivery"],
            "the recipients, not the destination",
        ),
        (
            event(
                "DeliveryDelay",
                "deliveryDelay",
                json!({ "delayType": "MailboxFull", "delayedRecipients": delayed }),
            ),
            vec!["ann delayed"],
            "a delay is no bounce",
        ),
        (
            event(
                "DeliveryDelay",
                "deliveryDelay",
                json!({ "delayedRecipients": delayed[0] }),
            ),
            vec!["ann delayed"],
            "an object, as SES documents it",
        ),
        (
            one_destination,
            vec!["ann unsubscribed=true"],
            "unsubscribed from everything",
        ),
        (resubscribed, vec!["ann unsubscribed=false"], "and back"),
        (
            event(
                "Subscription",
                "subscription",
                json!({ "newTopicPreferences": { "unsubscribeAll": true } }),
            ),
            vec![],
            "several destinations: unknown who",
        ),
        (
            event(
                "Subscription",
                "subscription",
                json!({ "newTopicPreferences": null }),
            ),
            vec![],
            "no preferences",
        ),
        (
            event("Send", "send", json!({})),
            vec!["ann sent", "bob sent", "cc sent"],
            "counted, of every recipient",
        ),
        (
            event("Open", "open", json!({ "isBotEvent": "Likely" })),
            vec![],
            "opens are no proof of anything",
        ),
        (
            event("Click", "click", json!({})),
            vec![],
            "about no recipient",
        ),
        (
            event("Reject", "reject", json!({ "reason": "Bad content" })),
            vec![],
            "SES refused the message; nobody's address",
        ),
        (
            event(
                "Rendering Failure",
                "failure",
                json!({ "errorMessage": "no attribute" }),
            ),
            vec![],
            "a template's fault",
        ),
        (
            event("Teleported", "teleported", json!({})),
            vec![],
            "a type that is new to us",
        ),
        (
            json!({ "notificationType": "Received", "mail": mail(), "content": "…" }),
            vec![],
            "inbound mail",
        ),
    ];
    for (notification, expected, why) in rows {
        assert_eq!(summaries(&notification), expected, "{why}");
    }
}

#[test]
fn both_schemas_mean_the_same() {
    let published = bounce(
        "Permanent",
        "General",
        json!([{ "emailAddress": "ann@example.com" }]),
    );
    let mut identity = published.clone();
    let fields = identity.as_object_mut().unwrap();
    fields.remove("eventType");
    fields.insert("notificationType".to_owned(), json!("Bounce"));
    fields["mail"].as_object_mut().unwrap().remove("tags");
    let (published, identity) = (read(&published), read(&identity));
    assert_eq!(published.feedback, identity.feedback);
    assert_eq!(
        published.feedback[0].piece(&key()),
        identity.feedback[0].piece(&key()),
        "so it is counted once"
    );
    assert_eq!(published.tags["leadlight-account"], ["acme"]);
    assert!(
        identity.tags.is_empty(),
        "identity notifications carry none"
    );
    assert_eq!(
        identity.identities,
        [
            "acme.example",
            "news@mail.acme.example",
            "mail.acme.example"
        ]
    );
}

#[test]
fn times_are_the_events_own_and_read_leniently() {
    let with_time = |time: Value| {
        let mut notification = bounce(
            "Permanent",
            "General",
            json!([{ "emailAddress": "ann@example.com" }]),
        );
        notification["bounce"]["timestamp"] = time;
        let feedback = read(&notification).feedback.remove(0);
        (feedback.at, feedback.clamped)
    };
    let utc = |text: &str| text.parse::<Timestamp>().unwrap();
    let received = day(1);
    let rows = [
        (
            json!("2026-03-01T12:00:00.000Z"),
            (day(0), false),
            "RFC 3339",
        ),
        (
            json!("2026-03-01T12:00:00 +0000"),
            (day(0), false),
            "SES's own example has a blank before the zone",
        ),
        (
            json!("2026-03-01T05:00:00-07:00"),
            (day(0), false),
            "another zone",
        ),
        (
            json!("2026-03-01T12:00:00"),
            (day(0), false),
            "without a zone: UTC",
        ),
        (
            json!("1969-12-31T23:59:59Z"),
            (utc("1969-12-31T23:59:59Z"), false),
            "before the epoch",
        ),
        (
            json!("2026-03-02T12:09:59Z"),
            (utc("2026-03-02T12:09:59Z"), false),
            "a clock that runs a little ahead",
        ),
        (
            json!("2026-03-02T12:10:00Z"),
            (utc("2026-03-02T12:10:00Z"), false),
            "ten minutes are still believed",
        ),
        (
            json!("2026-03-02T12:10:01Z"),
            (received, true),
            "a clock that is plainly wrong: clamped and flagged",
        ),
        (
            json!("9999-12-01T00:00:00Z"),
            (received, true),
            "the far future",
        ),
        (
            json!("-005000-01-01T00:00:00Z"),
            (utc("-005000-01-01T00:00:00Z"), false),
            "the far past",
        ),
        (
            json!("yesterday"),
            (received, false),
            "unreadable: the receipt's",
        ),
        (Value::Null, (received, false), "absent: the receipt's"),
    ];
    for (time, expected, why) in rows {
        assert_eq!(with_time(time), expected, "{why}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    let no_payload = json!({ "eventType": "Bounce", "mail": mail() }).to_string();
    let odd_payload = event("Bounce", "bounce", json!("soon")).to_string();
    let odd_recipients = bounce("Permanent", "General", json!([{ "name": "Ann" }])).to_string();
    let mut nameless = bounce(
        "Permanent",
        "General",
        json!([{ "emailAddress": "ann@example.com" }]),
    );
    nameless["bounce"]["feedbackId"] = Value::Null;
    nameless["mail"]["messageId"] = Value::Null;
    let nameless = nameless.to_string();
    let mut endless = bounce(
        "Permanent",
        "General",
        json!([{ "emailAddress": "ann@example.com" }]),
    );
    endless["bounce"]["feedbackId"] = json!("f".repeat(201));
    let endless = endless.to_string();
    let rows = [
        ("", NotificationError::NotJson, "nothing"),
        ("hello", NotificationError::NotJson, "not JSON"),
        ("{\"eventType\":", NotificationError::NotJson, "half of it"),
        ("[1, 2]", NotificationError::NotSes, "JSON of another kind"),
        (
            "{\"eventType\": 7}",
            NotificationError::NotSes,
            "a type that is no text",
        ),
        (
            "{\"Type\": \"Notification\"}",
            NotificationError::NotSes,
            "somebody else's object",
        ),
        (
            &no_payload,
            NotificationError::Payload,
            "a bounce without a bounce",
        ),
        (
            &odd_payload,
            NotificationError::Payload,
            "a bounce of another shape",
        ),
        (
            &odd_recipients,
            NotificationError::Payload,
            "recipients without addresses",
        ),
        (
            &nameless,
            NotificationError::Payload,
            "nothing to tell a repetition by",
        ),
        (
            &endless,
            NotificationError::Payload,
            "an id too long to be kept",
        ),
    ];
    for (text, expected, why) in rows {
        assert_eq!(parse(text, day(1)), Err(expected), "{why}");
    }
}

#[test]
fn probes_are_no_notifications() {
    let identity = json!({ "notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have successfully subscribed" });
    let rows = [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        &identity.to_string(),
    ];
    for text in rows {
        assert_eq!(parse(text, day(1)), Ok(Published::Probe));
    }
}

#[test]
fn surroundings_do_not_matter() {
    let plain = bounce(
        "Permanent",
        "General",
        json!([{ "emailAddress": "ann@example.com" }]),
    );
    let mut more = plain.clone();
    more["mail"]["headersTruncated"] = json!("false");
    more["mail"]["commonHeaders"] = json!({ "to": "ann@example.com, bob@example.com" });
    more["brandNew"] = json!({ "field": [1, 2, 3] });
    let more = format!("\u{feff}{more}\n");
    let Ok(Published::Notification(read_more)) = parse(&more, day(1)) else {
        panic!("{more}")
    };
    assert_eq!(read_more, read(&plain));
}

#[test]
fn a_providers_text_is_kept_short() {
    let endless = "550 no ".repeat(10_000);
    let recipients = json!([{ "emailAddress": "ann@example.com", "action": "failed", "status": endless, "diagnosticCode": endless }]);
    let feedback = read(&bounce("Permanent", "General", recipients))
        .feedback
        .remove(0);
    let Fact::HardBounce { report, .. } = feedback.fact else {
        panic!("{feedback:?}")
    };
    assert_eq!(report.diagnostic.unwrap().chars().count(), 300);
    assert_eq!(report.status.unwrap().chars().count(), 60);
}

#[test]
fn a_message_is_never_sent_after_its_feedback() {
    let mut early = bounce(
        "Transient",
        "General",
        json!([{ "emailAddress": "ann@example.com" }]),
    );
    early["mail"]["timestamp"] = json!("2026-03-01T12:00:00.005Z");
    let message = read(&early).message.unwrap();
    assert_eq!(
        message.sent_at,
        hour(0),
        "auto-replies of the simulator are milliseconds early"
    );
}

#[test]
fn a_clamped_time_is_flagged_in_the_evidence() {
    let mut early = bounce(
        "Permanent",
        "NoEmail",
        json!([{ "emailAddress": "ann@example.com" }]),
    );
    for (time, clamped) in [
        ("2027-01-01T00:00:00Z", true),
        ("2026-03-01T12:00:00Z", false),
    ] {
        early["bounce"]["timestamp"] = json!(time);
        let feedback = read(&early).feedback.remove(0);
        assert_eq!(feedback.piece(&key()).clamped, clamped, "{time}");
    }
}

#[test]
fn a_missing_status_is_taken_from_the_servers_text() {
    let status = |diagnostic: &str| {
        let recipients = json!([{ "emailAddress": "ann@example.com", "action": "failed", "diagnosticCode": diagnostic }]);
        let feedback = read(&bounce("Permanent", "General", recipients))
            .feedback
            .remove(0);
        let Fact::HardBounce { report, .. } = feedback.fact else {
            panic!("{feedback:?}")
        };
        report.status
    };
    assert_eq!(status("smtp; 550-5.1.1 gone").as_deref(), Some("5.1.1"));
    assert_eq!(
        status("smtp; 550 5.1.1000 gone"),
        None,
        "details have three digits at most"
    );
    assert_eq!(status("smtp; 550 3.1.1 gone"), None, "there is no class 3");
}
