//! Feedback becomes evidence, and evidence a status: every fixture, every envelope, and everything that can go wrong on the way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use leadlight_functions::feedback::{self, HandleError};
use serde_json::{Value, json};

use crate::envelopes;
use crate::notifications::{
    GENERAL, MAILBOX_FULL, NO_EMAIL, auto_reply, bounce, bounce_of, complaint, delivery, fixture,
    fixture_text, of_account, of_nobody,
};
use crate::proxy::{Act, Misbehaviour};
use crate::world::{
    ANN, World, days_ago, failures, key_of, lead_id, minutes_ago, on_both_engines, redeliver,
};

on_both_engines!(
    every_fixture_means_what_its_row_says,
    every_envelope_carries_the_same_event,
    every_fixture_of_an_envelope_is_understood,
    ten_thousand_records_cost_one_load_and_one_commit_per_address,
    exactly_the_bad_records_of_a_batch_come_again,
    what_is_known_already_is_not_written_again,
    a_lost_race_loses_nothing,
    races_lost_time_after_time_send_the_record_back,
    a_throttled_table_sends_everything_back_and_loses_nothing,
    an_answer_that_got_lost_is_no_second_bounce,
    keys_left_unprocessed_are_asked_for_again,
    notifications_that_nobody_owns_come_again,
    an_account_is_found_by_tag_tenant_configuration_set_and_identity,
    the_readable_recipients_of_a_notification_are_recorded,
    without_a_queue_a_failure_is_an_error,
    a_complaint_reaches_the_leads_before_the_evidence,
    a_crash_between_leads_and_evidence_is_finished_by_the_redelivery,
    a_lead_linked_while_a_complaint_is_recorded_is_marked_too,
    a_complaint_reaches_the_leads_beyond_a_page_of_links,
    what_is_not_done_in_time_goes_back_to_the_queue,
    soft_bounces_block_by_days_and_a_newer_delivery_ends_them,
    feedback_of_one_account_never_touches_another,
);

/// What becomes of one recipient: the local part (the lead's id), the status with reason and cause, and what is new in the log.
type Expected = (&'static str, &'static str, &'static [&'static str]);

/// One fixture: its file, what it means for whom, and why.
type Row = (&'static str, &'static [Expected], &'static str);

const FIXTURES: &[Row] = &[
    (
        "event_send.json",
        &[("send", "active", &[])],
        "sending says nothing about the address",
    ),
    (
        "event_reject.json",
        &[("reject", "active", &[])],
        "a virus is the message's fault",
    ),
    (
        "event_rendering_failure.json",
        &[("rendering", "active", &[])],
        "a template is the message's fault",
    ),
    (
        "event_open.json",
        &[("open", "active", &[])],
        "nobody knows who opened, or whether a bot did",
    ),
    (
        "event_click.json",
        &[("click", "active", &[])],
        "nobody knows who clicked",
    ),
    (
        "event_delivery.json",
        &[
            ("delivered.one", "active", &["delivered"]),
            ("Delivered.Two", "active", &["delivered"]),
            ("delivered.three", "active", &[]),
        ],
        "only the recipients of the delivery, not every destination; letter case is nothing",
    ),
    (
        "event_delivery_delay.json",
        &[("delayed", "active", &["delayed"])],
        "SES is still trying",
    ),
    (
        "event_delivery_delay_object.json",
        &[("delayed.object", "active", &["delayed"])],
        "the documented shape as well",
    ),
    (
        "event_subscription.json",
        &[("unsubscribed", "active", &["unsubscribed"])],
        "older than what the CRM said last; blocks nobody",
    ),
    (
        "event_unheard_of.json",
        &[("pigeon", "active", &[])],
        "an unknown type is kept, and never fatal",
    ),
    (
        "event_bounce_no_email.json",
        &[(
            "no.email",
            "blocklisted/hard_bounce/mailbox_missing",
            &["hard_bounce"],
        )],
        "the mailbox does not exist",
    ),
    (
        "event_bounce_general.json",
        &[(
            "general",
            "blocklisted/hard_bounce/unspecified",
            &["hard_bounce"],
        )],
        "refused for good",
    ),
    (
        "event_bounce_mixed.json",
        &[
            (
                "mixed.failed",
                "blocklisted/hard_bounce/mailbox_missing",
                &["hard_bounce"],
            ),
            ("mixed.delayed", "active", &["delayed"]),
            ("mixed.unnamed", "active", &[]),
        ],
        "per recipient: failed, only delayed, and not named at all",
    ),
    (
        "event_bounce_mailbox_full.json",
        &[("full", "active", &["soft_bounce"])],
        "soft, and too long ago to count",
    ),
    (
        "event_bounce_expired.json",
        &[("expired", "active", &["soft_bounce"])],
        "soft although the text holds a 5xx code",
    ),
    (
        "event_bounce_invalid_domain.json",
        &[(
            "typo",
            "blocklisted/hard_bounce/invalid_domain",
            &["hard_bounce"],
        )],
        "a typo that SES calls transient",
    ),
    (
        "event_bounce_auto_reply.json",
        &[("away", "active", &["auto_reply"])],
        "on holiday is not unreachable",
    ),
    (
        "event_bounce_message_too_large.json",
        &[("message.too.large", "active", &["message_fault"])],
        "the message's fault",
    ),
    (
        "event_bounce_content_rejected.json",
        &[("content.rejected", "active", &["message_fault"])],
        "the message's fault, whatever the code",
    ),
    (
        "event_bounce_attachment_rejected.json",
        &[("attachment.rejected", "active", &["message_fault"])],
        "the message's fault",
    ),
    (
        "event_bounce_custom_timeout.json",
        &[("custom.timeout", "active", &["message_fault"])],
        "the sender's own deadline",
    ),
    (
        "event_bounce_undetermined.json",
        &[("undetermined", "active", &["soft_bounce"])],
        "what cannot be classified counts as soft",
    ),
    (
        "event_bounce_policy.json",
        &[("policy", "active", &["sender_fault"])],
        "5.7.1 blames the sender",
    ),
    (
        "event_bounce_suppressed.json",
        &[(
            "suppressed",
            "blocklisted/withheld_by_provider/global",
            &["withheld"],
        )],
        "an echo, not a new bounce",
    ),
    (
        "event_bounce_on_account_list.json",
        &[(
            "account.list",
            "blocklisted/withheld_by_provider/account",
            &["withheld"],
        )],
        "an echo",
    ),
    (
        "event_bounce_on_tenant_list.json",
        &[(
            "tenant.list",
            "blocklisted/withheld_by_provider/tenant",
            &["withheld"],
        )],
        "an echo, owned by tenant",
    ),
    (
        "event_bounce_validation.json",
        &[(
            "validation",
            "blocklisted/withheld_by_provider/validation",
            &["withheld"],
        )],
        "an echo, owned by configuration set",
    ),
    (
        "event_bounce_unheard_of.json",
        &[(
            "moon",
            "blocklisted/hard_bounce/unspecified",
            &["hard_bounce"],
        )],
        "an unknown subtype goes by its type",
    ),
    (
        "event_bounce_display_name.json",
        &[(
            "ann.weber",
            "blocklisted/hard_bounce/mailbox_missing",
            &["hard_bounce"],
        )],
        "display name and letter case are stripped",
    ),
    (
        "event_complaint.json",
        &[(
            "complaint",
            "blocklisted/spam_complaint/certain",
            &["complaint"],
        )],
        "one recipient: certain",
    ),
    (
        "event_complaint_several.json",
        &[
            (
                "candidate.one",
                "blocklisted/spam_complaint/candidate",
                &["complaint"],
            ),
            (
                "candidate.two",
                "blocklisted/spam_complaint/candidate",
                &["complaint"],
            ),
        ],
        "several: any of them may be it",
    ),
    (
        "event_complaint_no_report.json",
        &[(
            "no.report",
            "blocklisted/spam_complaint/certain",
            &["complaint"],
        )],
        "a complaint without a report is one",
    ),
    (
        "event_complaint_not_spam.json",
        &[("not.spam", "active", &["not_spam"])],
        "the opposite of a complaint",
    ),
    (
        "event_complaint_auth_failure.json",
        &[("auth.failure", "active", &["auth_failure"])],
        "about the sender",
    ),
    (
        "event_complaint_withheld.json",
        &[(
            "withheld",
            "blocklisted/withheld_by_provider/account",
            &["withheld"],
        )],
        "nobody complained again",
    ),
    (
        "event_complaint_withheld_nobody.json",
        &[],
        "an echo that names nobody is no reason to crash",
    ),
    (
        "identity_bounce.json",
        &[
            (
                "identity.bounce",
                "blocklisted/hard_bounce/mailbox_missing",
                &["hard_bounce"],
            ),
            ("identity.unnamed", "active", &[]),
        ],
        "without tags, owned by identity",
    ),
    (
        "identity_bounce_no_dsn.json",
        &[
            (
                "no.dsn.one",
                "blocklisted/hard_bounce/unspecified",
                &["hard_bounce"],
            ),
            (
                "no.dsn.two",
                "blocklisted/hard_bounce/unspecified",
                &["hard_bounce"],
            ),
        ],
        "without a DSN, one id for two recipients",
    ),
    (
        "identity_bounce_odd_time.json",
        &[(
            "odd.time",
            "blocklisted/hard_bounce/mailbox_missing",
            &["hard_bounce"],
        )],
        "times as in SES's own example",
    ),
    (
        "identity_complaint.json",
        &[(
            "identity.complaint",
            "blocklisted/spam_complaint/certain",
            &["complaint"],
        )],
        "one of two destinations",
    ),
    (
        "identity_complaint_no_report.json",
        &[(
            "identity.no.report",
            "blocklisted/spam_complaint/certain",
            &["complaint"],
        )],
        "without a report",
    ),
    (
        "identity_delivery.json",
        &[("identity.delivered", "active", &["delivered"])],
        "the other schema",
    ),
    (
        "identity_received.json",
        &[],
        "inbound mail is nobody's feedback",
    ),
    ("identity_probe.json", &[], "acknowledged, nothing more"),
    (
        "event_probe.txt",
        &[],
        "acknowledged although it is no JSON",
    ),
];

async fn every_fixture_means_what_its_row_says(world: World) {
    for (file, expected, why) in FIXTURES {
        for (lead, ..) in *expected {
            let domain = if *lead == "typo" {
                "leed.example"
            } else {
                "lead.example"
            };
            world.save(lead, &format!("{lead}@{domain}")).await;
        }
        let text = fixture_text(file);
        let envelope = leadlight_dev::ses::sns_envelope(&text, Timestamp::now()).to_string();
        for delivery in ["first", "second"] {
            let answer = world
                .feed(envelopes::sqs(std::slice::from_ref(&envelope)))
                .await;
            let answer = answer.unwrap();
            assert_eq!(
                failures(&answer),
                Vec::<usize>::new(),
                "{file}: {why}, {delivery}"
            );
        }
        for (lead, status, events) in *expected {
            let found = world.status(lead).await;
            let codes = [Some(found.status), found.reason, found.cause];
            let codes: Vec<String> = codes.into_iter().flatten().collect();
            assert_eq!(codes.join("/"), *status, "{file} for {lead}: {why}");
            let log = world.events(lead).await;
            let new: Vec<&str> = log
                .iter()
                .map(|event| event.code())
                .filter(|code| !["created", "verified"].contains(code))
                .collect();
            assert_eq!(new, *events, "{file} for {lead}: {why}");
        }
    }
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")).unwrap();
    for file in files {
        let file = file.unwrap().file_name().into_string().unwrap();
        let is_published = ["event_", "identity_"]
            .iter()
            .any(|start| file.starts_with(start));
        let is_read_elsewhere = file == "event_bounce_unreadable_recipient.json";
        let is_known = FIXTURES.iter().any(|(known, ..)| *known == file);
        assert!(
            is_known || is_read_elsewhere || !is_published,
            "no row for {file}"
        );
    }
}

async fn every_envelope_carries_the_same_event(world: World) {
    world.save("ann", ANN).await;
    let notification = bounce(ANN, NO_EMAIL, days_ago(2));
    let in_eventbridge = envelopes::eventbridge(&notification);
    let ways = [
        (
            "SNS in SQS",
            envelopes::sqs(&[envelopes::sns(&notification)]),
        ),
        (
            "raw delivery",
            envelopes::sqs(&[format!("{notification}\n")]),
        ),
        (
            "a byte order mark",
            envelopes::sqs(&[format!("\u{feff}{notification}")]),
        ),
        (
            "EventBridge in SQS",
            envelopes::sqs(&[in_eventbridge.to_string()]),
        ),
        (
            "EventBridge in SNS in SQS",
            envelopes::sqs(&[envelopes::sns(&in_eventbridge)]),
        ),
        ("SNS to Lambda", envelopes::sns_to_lambda(&notification)),
        ("EventBridge to Lambda", in_eventbridge.clone()),
        (
            "SNS alone",
            serde_json::from_str(&envelopes::sns(&notification)).unwrap(),
        ),
        ("SES alone", notification.clone()),
    ];
    let mut before = None;
    for (way, event) in ways {
        world.table_calls.take_calls();
        let answer = world.feed(event).await;
        assert!(answer.is_ok(), "{way}: {answer:?}");
        let record = world.record(ANN).await.unwrap();
        assert_eq!(
            before.get_or_insert_with(|| record.clone()),
            &record,
            "{way}"
        );
        let writes = world.table_calls.take_calls();
        let writes = writes
            .iter()
            .filter(|call| call.written().is_some())
            .count();
        assert_eq!(
            writes,
            usize::from(way == "SNS in SQS"),
            "{way}: once is enough"
        );
    }
    assert_eq!(
        world.status("ann").await.reason.as_deref(),
        Some("hard_bounce")
    );
}

/// The fixtures of whole events: the lead they block, whether they are taken at all, and why.
const ENVELOPES: &[(&str, Option<&str>, bool, &str)] = &[
    (
        "envelope_sns_lambda.json",
        Some("sns.lambda"),
        true,
        "other spellings, a null subject",
    ),
    (
        "envelope_sns_sqs.json",
        Some("sns.sqs"),
        true,
        "decoded twice",
    ),
    (
        "envelope_sns_sqs_raw.json",
        Some("sns.sqs.raw"),
        true,
        "no envelope of SNS",
    ),
    (
        "envelope_eventbridge.json",
        Some("eventbridge"),
        true,
        "the detail is no text",
    ),
    (
        "envelope_eventbridge_sqs.json",
        Some("eventbridge.sqs"),
        true,
        "EventBridge through a queue",
    ),
    (
        "envelope_sns_bare.json",
        Some("sns.bare"),
        true,
        "SNS's JSON as the event",
    ),
    (
        "envelope_subscription_confirmation.json",
        None,
        true,
        "acknowledged, nothing fetched",
    ),
    (
        "envelope_unsubscribe_confirmation.json",
        None,
        true,
        "its URL would subscribe again",
    ),
    (
        "envelope_eventbridge_account.json",
        None,
        false,
        "SES's, but about no message: kept for a look",
    ),
];

async fn every_fixture_of_an_envelope_is_understood(world: World) {
    for (file, lead, is_taken, why) in ENVELOPES {
        let answer = world.feed(fixture(file)).await;
        let is_clean = answer.as_ref().is_ok_and(|answer| {
            answer["batchItemFailures"]
                .as_array()
                .is_none_or(Vec::is_empty)
        });
        assert_eq!(is_clean, *is_taken, "{file}: {why}: {answer:?}");
        if let Some(lead) = lead {
            world.save(lead, &format!("{lead}@lead.example")).await;
            let status = world.status(lead).await;
            assert_eq!(
                status.reason.as_deref(),
                Some("hard_bounce"),
                "{file}: {why}"
            );
            let log = world.log(lead).await;
            let bounce = log
                .iter()
                .find(|entry| entry.event.code() == "hard_bounce")
                .unwrap();
            assert_eq!(bounce.at.to_string(), "2025-06-01T09:00:41.669Z", "{file}");
        }
    }
}

async fn ten_thousand_records_cost_one_load_and_one_commit_per_address(world: World) {
    let at = minutes_ago(600);
    let address = |n: usize| format!("lead{}@lead.example", n % 500);
    let bodies: Vec<String> = (0..10_000)
        .map(|n| {
            let at = at + SignedDuration::from_secs(i64::try_from(n).unwrap());
            match n {
                // Some of every kind that cannot be recorded, spread over the batch.
                17 => "not JSON".to_owned(),
                2_999 => json!({ "hello": "world" }).to_string(),
                5_000 => of_nobody(bounce(&address(n), NO_EMAIL, at)).to_string(),
                7_777 => bounce("no address at all", NO_EMAIL, at).to_string(),
                9_999 => json!([1, 2, 3]).to_string(),
                n if n % 20 == 0 => envelopes::sns(&auto_reply(&address(n), at)),
                n => envelopes::sns(&delivery(&address(n), at)),
            }
        })
        .collect();
    let bad = [17, 2_999, 5_000, 7_777, 9_999].map(|n: usize| bodies[n].clone());
    world.table_calls.take_calls();
    let answer = world.feed(envelopes::sqs(&bodies)).await.unwrap();
    let calls = world.table_calls.take_calls();
    let count = |name: &str| calls.iter().filter(|call| call.operation == name).count();
    assert_eq!(
        count("BatchGetItem"),
        5,
        "addresses are loaded by the hundred"
    );
    let other = calls.len() - count("BatchGetItem") - count("PutItem");
    assert!(
        other <= 70,
        "beside them only accounts and identities are read: {other} calls"
    );

    // On a busy machine some writes may have run out of time; the queue delivers those records again.
    let failed = failures(&answer)
        .into_iter()
        .map(|place| bodies[place].clone());
    assert_eq!(redeliver(&world.app, failed.collect()).await, bad);
    let calls = [calls, world.table_calls.take_calls()].concat();
    let written: BTreeSet<(&str, &str)> = calls
        .iter()
        .filter(|call| call.operation == "PutItem")
        .map(|call| &call.body["Item"])
        .filter_map(|item| Some((item["pk"]["S"].as_str()?, item["version"]["N"].as_str()?)))
        .collect();
    assert_eq!(written.len(), 500, "one commit per address");
    assert!(
        written.iter().all(|(_, version)| *version == "1"),
        "and none a second time"
    );
    let record = world.record("lead1@lead.example").await.unwrap();
    assert_eq!(
        record.evidence.pieces().count(),
        4,
        "the newest four deliveries are kept"
    );

    assert_eq!(redeliver(&world.app, bodies).await, bad);
    let operations = world.table_calls.take_operations();
    assert!(
        !operations.contains(&"PutItem".to_owned()),
        "a redelivery writes nothing"
    );
}

async fn exactly_the_bad_records_of_a_batch_come_again(world: World) {
    let answer = world
        .feed(fixture("envelope_sqs_batch.json"))
        .await
        .unwrap();
    let bad =
        |n: u8| json!({ "itemIdentifier": format!("22222222-0000-4000-8000-00000000000{n}") });
    assert_eq!(answer, json!({ "batchItemFailures": [bad(2), bad(6)] }));
    for good in ["batch.one", "batch.two", "batch.three"] {
        let record = world.record(&format!("{good}@lead.example")).await;
        assert!(
            record.is_some(),
            "{good} must not suffer for its neighbours"
        );
    }
    let empty = world.feed(json!({ "Records": [] })).await.unwrap();
    assert_eq!(empty, json!({ "batchItemFailures": [] }));
}

async fn what_is_known_already_is_not_written_again(world: World) {
    world.save("ann", ANN).await;
    let at = days_ago(1);
    let notifications = [
        bounce(ANN, MAILBOX_FULL, at),
        complaint(&[ANN], at),
        delivery(ANN, at),
    ];
    world.deliver_once(&notifications).await;
    let (record, lead) = (world.record(ANN).await, world.stored_lead("ann").await);
    world.table_calls.take_calls();
    // The same event by another path: another SNS message, another schema, another batch.
    let mut by_identity = notifications[0].clone();
    by_identity["notificationType"] = by_identity["eventType"].take();
    by_identity.as_object_mut().unwrap().remove("eventType");
    by_identity["mail"].as_object_mut().unwrap().remove("tags");
    world.deliver_once(&notifications).await;
    world.deliver_once(&[by_identity]).await;
    world
        .deliver_once(&[notifications.to_vec(), notifications.to_vec()].concat())
        .await;
    let writes: Vec<_> = world.table_calls.take_calls();
    let writes = writes.iter().filter_map(|call| call.written()).count();
    assert_eq!(writes, 0);
    assert_eq!(
        (world.record(ANN).await, world.stored_lead("ann").await),
        (record, lead)
    );
}

/// Lets somebody else record `meanwhile` just before the first write of evidence is carried out.
fn overtake(world: &World, meanwhile: Value) {
    let rival = Arc::clone(&world.rival);
    let mut meanwhile = Some(meanwhile);
    world.table_calls.script(move |call| {
        if call.written() != Some("evidence") {
            return Act::Pass;
        }
        let Some(meanwhile) = meanwhile.take() else {
            return Act::Pass;
        };
        let rival = Arc::clone(&rival);
        Act::PassAfter(Box::pin(async move {
            feedback::handle(&rival, meanwhile, None).await.unwrap();
        }))
    });
}

async fn a_lost_race_loses_nothing(world: World) {
    world.save("ann", ANN).await;
    let (first, second) = (days_ago(3), days_ago(2));
    world.deliver_once(&[delivery(ANN, days_ago(9))]).await;
    overtake(&world, bounce(ANN, MAILBOX_FULL, first));
    world.table_calls.take_calls();
    world
        .deliver_once(&[bounce(ANN, MAILBOX_FULL, second)])
        .await;
    let operations = world.table_calls.take_operations();
    let puts = operations
        .iter()
        .filter(|operation| *operation == "PutItem")
        .count();
    assert_eq!(
        puts, 2,
        "the first write loses, the second is of what both said: {operations:?}"
    );
    let events = world.events("ann").await;
    let soft = events
        .iter()
        .filter(|event| event.code() == "soft_bounce")
        .count();
    assert_eq!(soft, 2, "{events:?}");

    // The same for an address that nobody knew: both want to be its first record.
    overtake(&world, bounce("bob@lead.example", MAILBOX_FULL, first));
    world
        .deliver_once(&[bounce("bob@lead.example", MAILBOX_FULL, second)])
        .await;
    let record = world.record("bob@lead.example").await.unwrap();
    assert_eq!(record.evidence.pieces().count(), 2);
}

async fn races_lost_time_after_time_send_the_record_back(world: World) {
    let rival = Arc::clone(&world.rival);
    let mut minute = 0;
    world.table_calls.script(move |call| {
        if call.written() != Some("evidence") {
            return Act::Pass;
        }
        minute += 1;
        let rival = Arc::clone(&rival);
        let meanwhile = bounce(ANN, MAILBOX_FULL, minutes_ago(minute));
        Act::PassAfter(Box::pin(async move {
            feedback::handle(&rival, meanwhile, None).await.unwrap();
        }))
    });
    let at = days_ago(1);
    let both = [
        bounce(ANN, NO_EMAIL, at),
        bounce_of(&["eve@other.example"], NO_EMAIL, at),
    ];
    world.table_calls.take_calls();
    let mut failed = world.deliver_some(&both[..1]).await;
    assert_eq!(failed, [0], "six lost races are enough for one delivery");
    let puts = world.table_calls.take_operations();
    assert_eq!(
        puts.iter()
            .filter(|operation| *operation == "PutItem")
            .count(),
        6
    );
    world.table_calls.behave();
    failed = world.deliver_some(&both).await;
    assert_eq!(failed, Vec::<usize>::new());
    world.save("ann", ANN).await;
    assert_eq!(
        world.status("ann").await.cause.as_deref(),
        Some("mailbox_missing")
    );
}

async fn a_throttled_table_sends_everything_back_and_loses_nothing(world: World) {
    world.save("ann", ANN).await;
    let batch = [
        bounce(ANN, NO_EMAIL, days_ago(1)),
        bounce("bob@lead.example", NO_EMAIL, days_ago(1)),
    ];
    world.deliver(&[delivery(ANN, days_ago(5))]).await;
    let faults: [(&str, Misbehaviour); 3] = [
        ("throttled", Act::throttle),
        ("cut off", || Act::CutBefore),
        ("failing", || {
            Act::Refuse(500, json!({ "__type": "InternalServerError" }))
        }),
    ];
    for (why, fault) in faults {
        for operation in ["BatchGetItem", "PutItem"] {
            world.table_calls.script(move |call| {
                if call.operation == operation {
                    fault()
                } else {
                    Act::Pass
                }
            });
            assert_eq!(
                world.deliver_some(&batch).await,
                [0, 1],
                "{why}: {operation}"
            );
        }
    }
    world.table_calls.behave();
    assert_eq!(
        world.status("ann").await.status,
        "active",
        "nothing was recorded yet"
    );
    world.deliver(&batch).await;
    assert_eq!(world.status("ann").await.status, "blocklisted");
}

async fn an_answer_that_got_lost_is_no_second_bounce(world: World) {
    world.save("ann", ANN).await;
    let mut cut = true;
    world.table_calls.script(move |call| {
        let is_first = call.written() == Some("evidence") && std::mem::take(&mut cut);
        if is_first { Act::CutAfter } else { Act::Pass }
    });
    world
        .deliver_once(&[bounce(ANN, MAILBOX_FULL, days_ago(1))])
        .await;
    let events = world.events("ann").await;
    let soft = events
        .iter()
        .filter(|event| event.code() == "soft_bounce")
        .count();
    assert_eq!(soft, 1, "{events:?}");
}

async fn keys_left_unprocessed_are_asked_for_again(world: World) {
    let address = |n: usize| format!("lead{n}@lead.example");
    let at = days_ago(1);
    let first: Vec<Value> = (0..90)
        .map(|n| bounce(&address(n), MAILBOX_FULL, at))
        .collect();
    world.deliver_once(&first).await;
    // A batch of reads answers at most 16 MB; the rest it leaves to be asked for again.
    world
        .table_calls
        .script(|call| match call.operation.as_str() {
            "BatchGetItem" => Act::LeaveUnprocessed { read: 37 },
            _ => Act::Pass,
        });
    world.table_calls.take_calls();
    let second: Vec<Value> = (0..90).map(|n| bounce(&address(n), NO_EMAIL, at)).collect();
    world.deliver_once(&second).await;
    let operations = world.table_calls.take_operations();
    let reads = operations
        .iter()
        .filter(|operation| *operation == "BatchGetItem")
        .count();
    let writes = operations
        .iter()
        .filter(|operation| *operation == "PutItem")
        .count();
    assert_eq!((reads, writes), (3, 90), "no address is written blindly");
    for n in [0, 36, 37, 89] {
        let record = world.record(&address(n)).await.unwrap();
        assert_eq!(record.evidence.pieces().count(), 2, "lead {n}");
    }
    // Time after time the same: the records go back.
    world
        .table_calls
        .script(|call| match call.operation.as_str() {
            "BatchGetItem" => Act::LeaveUnprocessed { read: 0 },
            _ => Act::Pass,
        });
    assert_eq!(world.deliver_some(&second[..2]).await, [0, 1]);
}

async fn notifications_that_nobody_owns_come_again(world: World) {
    let mut foreign = bounce(ANN, NO_EMAIL, days_ago(1));
    foreign["mail"]["sourceArn"] =
        json!("arn:aws:ses:eu-central-1:123456789012:identity/elsewhere.example");
    foreign["mail"]["source"] = json!("hello@elsewhere.example");
    foreign["mail"]["tags"] =
        json!({ "leadlight-account": ["nobody"], "ses:configuration-set": ["theirs"] });
    let mut odd = foreign.clone();
    odd["mail"]["tags"] = json!({ "leadlight-account": ["acme#lead#ann", ""] });
    let nameless = of_nobody(foreign.clone());
    assert_eq!(
        world.deliver_some(&[foreign.clone(), odd, nameless]).await,
        [0, 1, 2]
    );
    assert!(world.record(ANN).await.is_none());
    // An account that is made afterwards gets what came before, at once.
    let _new = world
        .table()
        .save_identity("elsewhere.example", &world.acme.account)
        .await
        .unwrap();
    world.deliver(&[foreign]).await;
    assert!(world.record(ANN).await.is_some());
}

async fn an_account_is_found_by_tag_tenant_configuration_set_and_identity(world: World) {
    for name in [
        "globex.example",
        "globex-set",
        "globex-tenant",
        "ceo@mail.acme.example",
    ] {
        let _new = world
            .table()
            .save_identity(name, &world.globex.account)
            .await
            .unwrap();
    }
    let arn = |name: &str| format!("arn:aws:ses:eu-central-1:123456789012:identity/{name}");
    let (acme, globex) = ("acme", "globex");
    let rows: [(&str, Value, String, &str, &str); 10] = [
        (
            "the tag wins",
            json!({ "leadlight-account": ["acme"], "ses:tenant-name": ["globex-tenant"] }),
            arn("globex.example"),
            "x@globex.example",
            acme,
        ),
        (
            "then the tenant",
            json!({ "ses:tenant-name": ["globex-tenant"], "ses:configuration-set": ["acme-news"] }),
            arn("mail.acme.example"),
            "x@mail.acme.example",
            globex,
        ),
        (
            "then the configuration set",
            json!({ "ses:configuration-set": ["globex-set"] }),
            arn("mail.acme.example"),
            "x@mail.acme.example",
            globex,
        ),
        (
            "then the identity of the ARN",
            json!({}),
            arn("globex.example"),
            "x@mail.acme.example",
            globex,
        ),
        (
            "then the sender's address",
            json!({}),
            arn("unknown.example"),
            "ceo@mail.acme.example",
            globex,
        ),
        (
            "then the sender's domain",
            json!({}),
            arn("unknown.example"),
            "Acme <Hello@Mail.ACME.example>",
            acme,
        ),
        (
            "an unknown tag falls through",
            json!({ "leadlight-account": ["nobody"], "ses:configuration-set": ["unknown"] }),
            arn("globex.example"),
            "x@y.example",
            globex,
        ),
        (
            "a tag that is no account falls through",
            json!({ "leadlight-account": ["ac me"] }),
            arn("mail.acme.example"),
            "x@y.example",
            acme,
        ),
        (
            "letter case of identities is nothing",
            json!({}),
            arn("GLOBEX.example"),
            "x@y.example",
            globex,
        ),
        (
            "a tag with two values: the first that exists",
            json!({ "leadlight-account": ["nobody", "globex"] }),
            arn("mail.acme.example"),
            "x@y.example",
            globex,
        ),
    ];
    for (n, (why, tags, arn, source, owner)) in rows.into_iter().enumerate() {
        let address = format!("owned{n}@lead.example");
        let mut notification = bounce(&address, NO_EMAIL, days_ago(1));
        notification["mail"]["tags"] = tags;
        notification["mail"]["sourceArn"] = arn.into();
        notification["mail"]["source"] = source.into();
        world.deliver(&[notification]).await;
        let is_acmes = world.record(&address).await.is_some();
        assert_eq!(if is_acmes { acme } else { globex }, owner, "{why}");
    }
}

async fn the_readable_recipients_of_a_notification_are_recorded(world: World) {
    let notification = fixture("event_bounce_unreadable_recipient.json");
    assert_eq!(
        world.deliver_some(&[notification]).await,
        [0],
        "a person has to look at it"
    );
    assert!(world.record("readable@lead.example").await.is_some());
}

async fn without_a_queue_a_failure_is_an_error(world: World) {
    let good = bounce(ANN, NO_EMAIL, days_ago(1));
    let one_failed = Err(HandleError::Unrecorded {
        failed: 1,
        total: 1,
    });
    let rows = [
        (
            "SNS, good",
            envelopes::sns_to_lambda(&good),
            Ok(Value::Null),
        ),
        (
            "SNS, nobody's",
            envelopes::sns_to_lambda(&of_nobody(good.clone())),
            one_failed.clone(),
        ),
        (
            "SNS, not SES",
            envelopes::sns_to_lambda(&json!({ "a": 1 })),
            one_failed.clone(),
        ),
        (
            "EventBridge, good",
            envelopes::eventbridge(&good),
            Ok(Value::Null),
        ),
        (
            "EventBridge, nobody's",
            envelopes::eventbridge(&of_nobody(good.clone())),
            one_failed.clone(),
        ),
        (
            "EventBridge, not SES",
            envelopes::eventbridge(&json!({})),
            one_failed,
        ),
    ];
    for (why, event, expected) in rows {
        assert_eq!(world.feed(event).await, expected, "{why}");
    }
    world.table_calls.script(|call| match call.written() {
        Some(_) => Act::throttle(),
        None => Act::Pass,
    });
    let another = bounce("bob@lead.example", NO_EMAIL, days_ago(1));
    assert!(
        world
            .feed(envelopes::sns_to_lambda(&another))
            .await
            .is_err(),
        "Lambda tries again"
    );
}

async fn a_complaint_reaches_the_leads_before_the_evidence(world: World) {
    for lead in ["ann", "ann-too"] {
        world.save(lead, ANN).await;
    }
    world.table_calls.take_calls();
    world.deliver_once(&[complaint(&[ANN], days_ago(1))]).await;
    let calls = world.table_calls.take_calls();
    let written: Vec<&str> = calls.iter().filter_map(|call| call.written()).collect();
    assert_eq!(written, ["lead", "lead", "evidence"]);
    let operations: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    let evidence = calls
        .iter()
        .position(|call| call.written() == Some("evidence"))
        .unwrap();
    assert!(
        operations[evidence..].contains(&"Query"),
        "leads are looked for once more: {operations:?}"
    );
    for lead in ["ann", "ann-too"] {
        let lead = world.stored_lead(lead).await.unwrap();
        assert_eq!(lead.complaints.len(), 1);
    }
}

async fn a_crash_between_leads_and_evidence_is_finished_by_the_redelivery(world: World) {
    for survives in 0..=3 {
        let address = format!("crash{survives}@lead.example");
        let leads = ["a", "b", "c"].map(|lead| format!("{lead}{survives}"));
        for lead in &leads {
            world.save(lead, &address).await;
        }
        let notification = [complaint(&[&address], days_ago(1))];
        let mut writes = 0;
        world.table_calls.script(move |call| {
            writes += usize::from(call.written().is_some());
            if writes > survives {
                Act::CutBefore
            } else {
                Act::Pass
            }
        });
        assert_eq!(
            world.deliver_some(&notification).await,
            [0],
            "cut after {survives} writes"
        );
        world.table_calls.behave();
        let marked = world.statuses(&leads.each_ref().map(String::as_str)).await;
        let marked = marked
            .iter()
            .filter(|status| status.status == "blocklisted")
            .count();
        assert_eq!(
            marked, survives,
            "what was written before the crash counts already"
        );

        world.deliver(&notification).await;
        for lead in &leads {
            world.save(lead, &format!("{lead}@new.example")).await;
            let status = world.status(lead).await;
            assert_eq!(
                status.reason.as_deref(),
                Some("spam_complaint"),
                "{lead} at its new address"
            );
        }
    }
    // A lead that was not marked although the evidence is there, because the process ended between: the redelivery sees to it.
    world.save("late", "late@new.example").await;
    let notification = [complaint(&[ANN], days_ago(1))];
    world.deliver(&notification).await;
    world
        .table()
        .link(&world.acme.account, &key_of(ANN), &lead_id("late"))
        .await
        .unwrap();
    assert_eq!(world.status("late").await.status, "active");
    world.deliver(&notification).await;
    assert_eq!(
        world.status("late").await.reason.as_deref(),
        Some("spam_complaint")
    );
}

async fn a_lead_linked_while_a_complaint_is_recorded_is_marked_too(world: World) {
    world.save("ann", ANN).await;
    world.save("bob", "bob@lead.example").await;
    let mut link = true;
    let shared = Arc::clone(&world.rival);
    let account = world.acme.account.clone();
    world.table_calls.script(move |call| {
        if call.written() != Some("evidence") || !std::mem::take(&mut link) {
            return Act::Pass;
        }
        let (app, account) = (Arc::clone(&shared), account.clone());
        Act::PassAfter(Box::pin(async move {
            app.table
                .link(&account, &key_of(ANN), &lead_id("bob"))
                .await
                .unwrap();
        }))
    });
    world.deliver_once(&[complaint(&[ANN], days_ago(1))]).await;
    assert_eq!(
        world.status("bob").await.reason.as_deref(),
        Some("spam_complaint")
    );
}

/// A page of a query ends at 1 MB (`DynamoDB` developer guide, *paginating table query results*).
async fn a_complaint_reaches_the_leads_beyond_a_page_of_links(world: World) {
    world.save("zoe", ANN).await;
    let linked = stream::iter(0..6_000)
        .map(async |n| {
            let lead = lead_id(&format!("{n:0128}"));
            let address = key_of(ANN);
            world
                .table()
                .link(&world.acme.account, &address, &lead)
                .await
        })
        .buffer_unordered(16);
    linked.try_collect::<Vec<()>>().await.unwrap();
    world.table_calls.take_calls();
    world.deliver_once(&[complaint(&[ANN], days_ago(1))]).await;
    let operations = world.table_calls.take_operations();
    let queries = operations.iter().filter(|name| *name == "Query").count();
    assert_eq!(queries, 4, "two pages, before the evidence and after it");
    let lead = world.stored_lead("zoe").await.unwrap();
    assert_eq!(lead.complaints.len(), 1);
}

async fn what_is_not_done_in_time_goes_back_to_the_queue(world: World) {
    world
        .deliver(&[
            delivery(ANN, days_ago(9)),
            delivery("bob@lead.example", days_ago(9)),
        ])
        .await;
    let stuck = key_of(ANN).as_str().to_owned();
    world.table_calls.script(move |call| {
        let is_anns = call.body["Item"]["pk"]["S"]
            .as_str()
            .is_some_and(|pk| pk.contains(&stuck));
        if is_anns {
            Act::PassAfter(Box::pin(std::future::pending()))
        } else {
            Act::Pass
        }
    });
    let batch = [
        bounce(ANN, NO_EMAIL, days_ago(1)),
        bounce("bob@lead.example", NO_EMAIL, days_ago(1)),
    ];
    let event = envelopes::sqs(&batch.each_ref().map(envelopes::sns));
    let started = Instant::now();
    let deadline = started + Duration::from_millis(2_500);
    let answer = feedback::handle(&world.app, event.clone(), Some(deadline))
        .await
        .unwrap();
    assert_eq!(failures(&answer), [0], "bob's was done");
    let spare = deadline.saturating_duration_since(Instant::now());
    assert!(
        spare > Duration::from_secs(1),
        "time must be left to answer: {spare:?}"
    );
    world
        .table_calls
        .script(|_| Act::PassAfter(Box::pin(std::future::pending())));
    let late = feedback::handle(&world.app, event, Some(started))
        .await
        .unwrap();
    assert_eq!(failures(&late), [0, 1]);
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "past the deadline nothing is waited for"
    );
    world.table_calls.behave();
    world.deliver(&batch).await;
    assert_eq!(
        world.record(ANN).await.unwrap().evidence.pieces().count(),
        2
    );
}

async fn soft_bounces_block_by_days_and_a_newer_delivery_ends_them(world: World) {
    world.save("ann", ANN).await;
    let soft = |days: &[i64]| -> Vec<Value> {
        days.iter()
            .map(|day| bounce(ANN, MAILBOX_FULL, days_ago(*day)))
            .collect()
    };
    world.deliver(&soft(&[9, 8])).await;
    assert_eq!(world.status("ann").await.status, "soft_bouncing");
    world.deliver(&soft(&[7, 6])).await;
    assert_eq!(
        world.status("ann").await.status,
        "soft_bouncing",
        "four are not five"
    );
    world
        .deliver(&[bounce(ANN, MAILBOX_FULL, days_ago(5))])
        .await;
    let blocked = world.status("ann").await;
    assert_eq!(blocked.reason.as_deref(), Some("repeated_soft_bounces"));
    assert_eq!(blocked.because.len(), 5, "every bounce is cited");
    world
        .deliver(&[
            auto_reply(ANN, days_ago(4)),
            delivery(ANN, days_ago(8) - SignedDuration::from_hours(12)),
        ])
        .await;
    let status = world.status("ann").await;
    assert_eq!(
        status.status, "soft_bouncing",
        "a late delivery ends only what is older than it"
    );
    world.deliver(&[delivery(ANN, days_ago(4))]).await;
    assert_eq!(
        world.status("ann").await.status,
        "active",
        "a newer delivery ends all"
    );
    world
        .deliver(&[
            bounce(ANN, GENERAL, days_ago(3)),
            delivery(ANN, days_ago(2)),
        ])
        .await;
    assert_eq!(
        world.status("ann").await.status,
        "blocklisted",
        "no delivery lifts a block"
    );
}

async fn feedback_of_one_account_never_touches_another(world: World) {
    world.save("ann", ANN).await;
    let foreign = of_account(complaint(&[ANN], days_ago(1)), "globex");
    world.deliver(&[foreign]).await;
    assert_eq!(world.status("ann").await.status, "active");
    assert_eq!(world.stored_lead("ann").await.unwrap().complaints.len(), 0);
}
