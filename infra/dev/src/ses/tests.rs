//! The stand-in against the facts, through the official SDK, and against what Leadlight reads.

use aws_sdk_sesv2::error::ProvideErrorMetadata as _;
use aws_sdk_sesv2::types::{self, SuppressionListReason};
use leadlight::evidence::Fact;
use leadlight::feedback::{self, Published};

use super::*;
use crate::ledger::Ledger;
use crate::queue::{Consumer, QueueSettings};

struct Scene {
    ses: Ses,
    queue: Queue,
    client: aws_sdk_sesv2::Client,
}

async fn scene(settings: SesSettings) -> Scene {
    let queue = Queue::open(Ledger::memory().unwrap(), QueueSettings::default()).unwrap();
    let ses = Ses::start(queue.clone(), settings).await.unwrap();
    let client = crate::aws::sesv2(&ses.endpoint());
    Scene { ses, queue, client }
}

impl Scene {
    fn message(
        &self,
        to: &[&str],
    ) -> aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder {
        let content = |text: &str| types::Content::builder().data(text).build().unwrap();
        let message = types::Message::builder()
            .subject(content("Hello"))
            .body(types::Body::builder().text(content("Text")).build())
            .build();
        let to = to.iter().map(|address| (*address).to_owned()).collect();
        self.client
            .send_email()
            .from_email_address("Harbour <hello@harbour.example>")
            .destination(
                types::Destination::builder()
                    .set_to_addresses(Some(to))
                    .build(),
            )
            .content(types::EmailContent::builder().simple(message).build())
            .configuration_set_name("demo")
            .email_tags(
                types::MessageTag::builder()
                    .name("leadlight-lead")
                    .value("ann")
                    .build()
                    .unwrap(),
            )
    }

    async fn send(&self, to: &[&str]) {
        self.message(to).send().await.unwrap();
    }

    /// Every notification so far: the inner JSON, in the order of publication.
    async fn published(&self) -> Vec<Value> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&seen);
        let consumer: Consumer = Arc::new(move |event| {
            for record in event["Records"].as_array().unwrap() {
                let envelope: Value =
                    serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
                let inner =
                    serde_json::from_str::<Value>(envelope["Message"].as_str().unwrap()).unwrap();
                collected.lock().unwrap().push(inner);
            }
            Box::pin(async { Ok(Value::Null) })
        });
        let polling = self.queue.poll(&consumer);
        self.queue.drained().await.unwrap();
        drop(polling);
        seen.lock().unwrap().clone()
    }

    async fn kinds(&self) -> Vec<String> {
        let kind = |event: &Value| event["eventType"].as_str().unwrap_or("identity").to_owned();
        let mut kinds: Vec<String> = self.published().await.iter().map(kind).collect();
        kinds.sort();
        kinds
    }
}

#[tokio::test]
async fn the_simulator_does_what_its_addresses_say_and_puts_none_on_the_list() {
    let scene = scene(SesSettings::default()).await;
    let mailboxes = [
        "success",
        "bounce+a",
        "bounce+b",
        "ooto",
        "complaint",
        "suppressionlist",
    ];
    let to = mailboxes.map(|mailbox| format!("{mailbox}@{SIMULATOR}"));
    scene.send(&to.each_ref().map(String::as_str)).await;
    let events = scene.published().await;
    let bounces: Vec<(&str, &str, usize)> = events
        .iter()
        .filter(|event| event["eventType"] == "Bounce")
        .map(|event| &event["bounce"])
        .map(|bounce| {
            let recipients = bounce["bouncedRecipients"].as_array().unwrap().len();
            (
                bounce["bounceType"].as_str().unwrap(),
                bounce["bounceSubType"].as_str().unwrap(),
                recipients,
            )
        })
        .collect();
    let expected = [
        ("Permanent", "General", 2),
        ("Transient", "General", 1),
        ("Permanent", "Suppressed", 1),
    ];
    assert!(
        expected.iter().all(|bounce| bounces.contains(bounce)),
        "{bounces:?}"
    );
    let delivery = events
        .iter()
        .find(|event| event["eventType"] == "Delivery")
        .unwrap();
    assert_eq!(
        delivery["delivery"]["recipients"].as_array().unwrap().len(),
        3
    );
    assert_eq!(scene.ses.suppressed().unwrap(), []);
}

#[tokio::test]
async fn a_listed_address_is_withheld_whatever_its_case_and_freed_only_by_its_exact_case() {
    let scene = scene(SesSettings::default()).await;
    scene
        .ses
        .script("Ann.Lee@acme.example", Outcome::HardBounce)
        .unwrap();
    scene.send(&["Ann.Lee@acme.example"]).await;
    scene
        .ses
        .script("ann.lee@acme.example", Outcome::Deliver)
        .unwrap();
    scene.send(&["ann.lee@acme.example"]).await;
    let events = scene.published().await;
    let subtypes: Vec<&str> = events
        .iter()
        .filter_map(|event| event["bounce"]["bounceSubType"].as_str())
        .collect();
    assert_eq!(subtypes, ["NoEmail", "OnAccountSuppressionList"]);

    let delete = |address: &str| {
        scene
            .client
            .delete_suppressed_destination()
            .email_address(address)
            .send()
    };
    let wrong_case = delete("ann.lee@acme.example").await.unwrap_err();
    assert!(
        wrong_case
            .as_service_error()
            .unwrap()
            .is_not_found_exception()
    );
    let found = scene
        .client
        .get_suppressed_destination()
        .email_address("Ann.Lee@acme.example")
        .send()
        .await
        .unwrap();
    let found = found.suppressed_destination.unwrap();
    assert_eq!(found.reason, SuppressionListReason::Bounce);
    assert!(found.attributes.unwrap().feedback_id.is_some());
    delete("Ann.Lee@acme.example").await.unwrap();
    scene.send(&["ann.lee@acme.example"]).await;
    assert!(scene.kinds().await.contains(&"Delivery".to_owned()));
}

#[tokio::test]
async fn mail_to_a_complainer_is_echoed_as_a_complaint() {
    let scene = scene(SesSettings::default()).await;
    scene.ses.suppress("ann@acme.example", "COMPLAINT").unwrap();
    scene.send(&["ann@acme.example"]).await;
    let events = scene.published().await;
    let complaint = events
        .iter()
        .find(|event| event["eventType"] == "Complaint")
        .unwrap();
    assert_eq!(
        complaint["complaint"]["complaintSubType"],
        "OnAccountSuppressionList"
    );
}

#[tokio::test]
async fn a_complaint_names_every_recipient_at_the_complainers_domain() {
    let scene = scene(SesSettings::default()).await;
    scene
        .ses
        .script("ann@acme.example", Outcome::Complaint)
        .unwrap();
    scene
        .send(&["ann@acme.example", "bob@acme.example", "eve@other.example"])
        .await;
    let events = scene.published().await;
    let complaint = events
        .iter()
        .find(|event| event["eventType"] == "Complaint")
        .unwrap();
    let expected =
        json!([{ "emailAddress": "ann@acme.example" }, { "emailAddress": "bob@acme.example" }]);
    assert_eq!(complaint["complaint"]["complainedRecipients"], expected);
}

#[tokio::test]
async fn an_identity_publishes_the_same_feedback_again_in_its_own_schema() {
    let settings = SesSettings {
        identity_notifications: true,
        ..SesSettings::default()
    };
    let scene = scene(settings).await;
    scene
        .ses
        .script("ann@acme.example", Outcome::HardBounce)
        .unwrap();
    scene.send(&["ann@acme.example"]).await;
    let events = scene.published().await;
    let ids: Vec<&Value> = events
        .iter()
        .map(|event| &event["bounce"]["feedbackId"])
        .filter(|id| id.is_string())
        .collect();
    assert!(
        matches!(ids[..], [first, second] if first == second),
        "{ids:?}"
    );
    let identity = events
        .iter()
        .find(|event| event["notificationType"] == "Bounce")
        .unwrap();
    assert_eq!(
        (
            identity["mail"].get("tags"),
            identity["mail"]["sourceIp"].is_string()
        ),
        (None, true)
    );
    let published = events
        .iter()
        .find(|event| event["eventType"] == "Bounce")
        .unwrap();
    assert_eq!(published["mail"]["tags"]["leadlight-lead"], json!(["ann"]));
    assert_eq!(
        published["mail"]["tags"]["ses:configuration-set"],
        json!(["demo"])
    );
}

/// What Leadlight reads from what is published about a message with this outcome, less the delivery.
async fn read_back(outcome: Outcome, identity_only: bool) -> Vec<Fact> {
    let scene = scene(SesSettings::default()).await;
    let address = "Ann.Lee@acme.example";
    if outcome == Outcome::WithheldBounce {
        scene.ses.suppress(address, "BOUNCE").unwrap();
    } else if outcome == Outcome::WithheldComplaint {
        scene.ses.suppress(address, "COMPLAINT").unwrap();
    } else {
        scene.ses.script(address, outcome).unwrap();
    }
    let message = scene.message(&[address]);
    let message = message.set_configuration_set_name((!identity_only).then(|| "demo".to_owned()));
    message.send().await.unwrap();
    let mut facts = Vec::new();
    for event in scene.published().await {
        let read = feedback::parse(&event.to_string(), Timestamp::now()).unwrap();
        let Published::Notification(notification) = read else {
            panic!("{event} is no probe")
        };
        assert_eq!(notification.unreadable_recipients, 0);
        assert_eq!(
            notification.tags.contains_key("leadlight-lead"),
            !identity_only
        );
        assert!(
            notification
                .identities
                .contains(&"harbour.example".to_owned())
        );
        for feedback in notification.feedback {
            assert_eq!(
                (feedback.spelling.as_str(), feedback.clamped),
                (address, false)
            );
            facts.push(feedback.fact);
        }
    }
    facts.retain(|fact| !matches!(fact, Fact::Sent { .. } | Fact::Delivery { .. }));
    facts
}

/// A fact in two words: what it is, and what it says.
fn words(fact: &Fact) -> String {
    match fact {
        Fact::HardBounce { cause, .. } => format!("hard_bounce {cause}"),
        Fact::SoftBounce { .. } => "soft_bounce".to_owned(),
        Fact::Withheld { list, .. } => format!("withheld {list}"),
        Fact::Complaint { attribution, .. } => format!("complaint {attribution}"),
        Fact::Note { note, .. } => format!("note {note}"),
        Fact::ManualBlock { .. }
        | Fact::Verification { .. }
        | Fact::Release { .. }
        | Fact::Sent { .. }
        | Fact::Delivery { .. }
        | Fact::Subscription { .. } => panic!("SES says nothing of the kind: {fact:?}"),
    }
}

#[tokio::test]
async fn leadlight_reads_each_outcome_as_what_it_is() {
    let expected = [
        (Outcome::Deliver, ""),
        (Outcome::Reject, ""),
        (Outcome::HardBounce, "hard_bounce mailbox_missing"),
        (Outcome::HardBounceGeneral, "hard_bounce unspecified"),
        (Outcome::InvalidDomain, "hard_bounce invalid_domain"),
        (Outcome::SoftBounce, "soft_bounce"),
        (Outcome::MailboxFull, "soft_bounce"),
        (Outcome::Undetermined, "soft_bounce"),
        (Outcome::PolicyBounce, "note sender_fault"),
        (Outcome::MessageTooLarge, "note message_fault"),
        (Outcome::ContentRejected, "note message_fault"),
        (Outcome::AutoReply, "note auto_reply"),
        (Outcome::NotSpam, "note not_spam"),
        (Outcome::Complaint, "complaint certain"),
        (Outcome::Suppressed, "withheld global"),
        (Outcome::WithheldBounce, "withheld account"),
        (Outcome::WithheldComplaint, "withheld account"),
    ];
    for identity_only in [false, true] {
        for (outcome, words_expected) in expected {
            let facts = read_back(outcome, identity_only).await;
            let facts: Vec<String> = facts.iter().map(words).collect();
            assert_eq!(facts.join(", "), words_expected, "{outcome:?}");
        }
    }
    let delayed = read_back(Outcome::Delay, false).await;
    assert_eq!(
        delayed.iter().map(words).collect::<Vec<_>>(),
        ["note delayed"]
    );
}

#[tokio::test]
async fn refusals_are_the_sdks_own_errors() {
    let scene = scene(SesSettings::default()).await;
    scene.ses.throttle(1);
    let get = || {
        scene
            .client
            .get_suppressed_destination()
            .email_address("ann@acme.example")
            .send()
    };
    assert!(
        get()
            .await
            .unwrap_err()
            .as_service_error()
            .unwrap()
            .is_too_many_requests_exception()
    );
    assert!(
        get()
            .await
            .unwrap_err()
            .as_service_error()
            .unwrap()
            .is_not_found_exception()
    );
    let many: Vec<String> = (0..51).map(|n| format!("lead{n}@acme.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = scene.message(&many).send().await.unwrap_err();
    assert_eq!(
        refused.as_service_error().unwrap().code(),
        Some("BadRequestException")
    );
    scene
        .ses
        .script("slow@acme.example", Outcome::Throttle)
        .unwrap();
    let refused = scene
        .message(&["slow@acme.example"])
        .send()
        .await
        .unwrap_err();
    assert!(
        refused
            .as_service_error()
            .unwrap()
            .is_too_many_requests_exception()
    );
}

#[tokio::test]
async fn the_list_is_paged() {
    let scene = scene(SesSettings::default()).await;
    for n in 0..5 {
        scene
            .ses
            .suppress(&format!("{n}@acme.example"), "BOUNCE")
            .unwrap();
    }
    let mut pages = scene
        .client
        .list_suppressed_destinations()
        .page_size(2)
        .into_paginator()
        .send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().suppressed_destination_summaries().len());
    }
    assert_eq!(sizes, [2, 2, 1]);
}

#[tokio::test]
async fn a_tenant_has_a_list_of_its_own() {
    let scene = scene(SesSettings::default()).await;
    scene
        .ses
        .suppress_for("acme", "ann@acme.example", "BOUNCE")
        .unwrap();
    let get = || {
        scene
            .client
            .get_suppressed_destination()
            .email_address("ann@acme.example")
    };
    assert!(
        get().send().await.is_err(),
        "the account's list is another one"
    );
    get().tenant_name("acme").send().await.unwrap();
    let list = scene.client.list_suppressed_destinations();
    let page = list.tenant_name("acme").send().await.unwrap();
    assert_eq!(page.suppressed_destination_summaries().len(), 1);
    let delete = scene
        .client
        .delete_suppressed_destination()
        .email_address("ann@acme.example");
    delete.tenant_name("acme").send().await.unwrap();
    assert_eq!(scene.ses.suppressed_for("acme").unwrap(), []);
}

#[tokio::test]
async fn a_call_above_the_quota_is_refused_and_the_next_interval_is_open() {
    let scene = scene(SesSettings::default()).await;
    let interval = Duration::from_millis(300);
    scene.ses.limit(interval);
    let is_refused = async || {
        let list = scene.client.list_suppressed_destinations();
        list.send().await.is_err()
    };
    assert!(!is_refused().await);
    assert!(is_refused().await);
    tokio::time::sleep(interval).await;
    assert!(!is_refused().await);
}
