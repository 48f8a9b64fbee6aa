//! The gate: who is refused and what a refusal says, what a check costs, and that nothing is sent round it or twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::HeaderValue;
use leadlight::api::{RecipientAnswer, SendChecksReply, SendReply};
use leadlight::gate::GateDecision::{Allow, Refuse};
use leadlight_dev::ses::OutboxMessage;
use leadlight_functions::app::Leadlight;
use leadlight_functions::feedback;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::envelopes;
use crate::notifications::{GENERAL, NO_EMAIL, bounce, complaint, subscription};
use crate::proxy::{Act, Call};
use crate::tokens::{SERVER_SCOPE, WIDGET_SCOPE};
use crate::world::{
    ANN, Reply, World, answer, days_ago, minutes_ago, on_both_engines, request, stable,
};

const BOB: &str = "bob@lead.example";
const CLEO: &str = "cleo@lead.example";
const SENDER: &str = "crm@mail.acme.example";
/// When what is in snapshots happened.
const LONG_AGO: &str = "2025-03-01T12:00:00Z";
const SEND_EMAIL: &str = "POST /v2/email/outbound-emails";

on_both_engines!(
    a_check_says_who_is_refused_and_what_to_do,
    a_check_costs_one_read_for_each_hundred_keys,
    keys_that_a_batch_left_over_are_asked_for_again,
    what_cannot_be_checked_is_named,
    only_servers_may_ask_the_gate,
    one_blocked_recipient_stops_the_whole_message,
    skipping_sends_to_the_others,
    an_unsubscribed_lead_gets_no_marketing,
    a_lead_is_not_reached_round_its_saved_address,
    a_mailbox_is_refused_for_all_leads_or_none,
    a_table_that_is_away_sends_nothing,
    a_message_goes_out_as_it_was_meant,
    only_the_accounts_own_identities_send,
    two_hundred_retries_with_one_key_send_one_message,
    a_key_is_good_for_one_message,
    a_refusal_leaves_the_key_free,
    a_message_that_ses_took_without_a_word_is_never_repeated,
    a_send_that_died_before_its_answer_was_kept_is_never_repeated,
    a_connection_that_idled_loses_no_message,
    a_begun_send_whose_write_was_answered_late_goes_on,
    what_ses_refuses_is_typed_and_leaves_the_key_free,
    a_complaint_between_check_and_send_is_seen_or_came_after,
    a_permit_is_shown_and_checked_again,
);

fn long_ago() -> Timestamp {
    LONG_AGO.parse().unwrap()
}

fn to(addresses: &[&str]) -> Value {
    addresses
        .iter()
        .map(|address| json!({ "address": address }))
        .collect()
}

/// A recipient who is the lead of that name.
fn lead(address: &str) -> Value {
    json!({ "address": address, "lead_id": address.split_once('@').unwrap().0 })
}

fn message(to: Value) -> Value {
    json!({ "from": { "address": SENDER }, "to": to, "subject": "Hello", "text": "Hello you" })
}

/// `message` with other fields too.
fn with(mut message: Value, fields: Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    message.as_object_mut().unwrap().extend(fields);
    message
}

async fn check(world: &World, body: Value) -> SendChecksReply {
    let reply = world.call("POST", "/v1/send-checks", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.read()
}

async fn send(world: &World, message: &Value) -> Reply {
    world.call("POST", "/v1/sends", message.clone()).await
}

async fn sent(world: &World, message: &Value) -> SendReply {
    let reply = send(world, message).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.read()
}

/// Sends under an `Idempotency-Key`, by `app`.
pub(crate) async fn send_under(
    world: &World,
    app: &Leadlight,
    key: &str,
    message: &Value,
    now: Timestamp,
) -> Reply {
    let token = world.acme.token(SERVER_SCOPE, now).bearer();
    let mut request = request(
        "POST",
        "/v1/sends",
        Some(&token),
        message.to_string().into(),
    );
    let key = HeaderValue::from_str(key).unwrap();
    request.headers_mut().insert("idempotency-key", key);
    answer(app, request, now).await
}

async fn keyed(world: &World, key: &str, message: &Value) -> Reply {
    send_under(world, &world.app, key, message, Timestamp::now()).await
}

fn outbox(world: &World) -> Vec<OutboxMessage> {
    world.ses.outbox().unwrap()
}

/// Saves `ann`, `bob` and `cleo`.
async fn save_three(world: &World) {
    for address in [ANN, BOB, CLEO] {
        world
            .save(address.split_once('@').unwrap().0, address)
            .await;
    }
}

/// Reason and decision of each, as one line.
fn summary(recipients: &[RecipientAnswer]) -> Vec<String> {
    let line = |recipient: &RecipientAnswer| {
        let reason = recipient
            .blocked
            .as_ref()
            .map(|blocked| blocked.reason.as_str());
        format!("{} {}", recipient.address, reason.unwrap_or("allow"))
    };
    recipients.iter().map(line).collect()
}

async fn a_check_says_who_is_refused_and_what_to_do(world: World) {
    save_three(&world).await;
    world
        .put(
            "cleo",
            json!({ "address": CLEO, "standing": "unsubscribed" }),
        )
        .await;
    world
        .deliver(&[
            bounce(BOB, NO_EMAIL, long_ago()),
            complaint(&["dan@lead.example"], long_ago()),
        ])
        .await;
    let recipients = json!([
        lead(ANN), { "address": "Bob B. <Bob@Lead.example>", "lead_id": "bob" }, { "address": "dan@lead.example" },
        lead(CLEO), { "address": "\"Ann\" <ANN@lead.example>", "lead_id": "ann" }, { "address": ANN },
        { "address": ANN, "lead_id": "never-saved" },
    ]);
    let asked = json!({ "recipients": recipients });
    let reply = world.call("POST", "/v1/send-checks", asked).await;
    insta::assert_json_snapshot!("checked", stable(reply.body.clone()));
    let reply: SendChecksReply = reply.read();
    assert_eq!(reply.decision, Refuse);
    assert_eq!(reply.permit, None, "what is refused has no permit");
    assert_eq!(
        reply.recipients[0].positions,
        [0, 4],
        "the same mailbox and lead"
    );
    assert_eq!(
        summary(&reply.recipients),
        [
            "ann@lead.example allow",
            "Bob@lead.example hard_bounce",
            "dan@lead.example spam_complaint",
            "cleo@lead.example unsubscribed",
            "ann@lead.example allow",
            "ann@lead.example allow",
        ]
    );
    let blocked = reply.recipients[1].blocked.as_ref().unwrap();
    assert_eq!(blocked.because, world.status("bob").await.because);
    assert_eq!(
        blocked.what_to_do,
        "Correct the address and press Check again."
    );

    let clean = check(
        &world,
        json!({ "recipients": [lead(ANN), { "address": BOB.replace("bob", "new") }] }),
    )
    .await;
    assert_eq!(clean.decision, Allow);
}

async fn a_check_costs_one_read_for_each_hundred_keys(world: World) {
    // The account is read once a minute.
    check(&world, json!({ "recipients": to(&[ANN]) })).await;
    let address = |n: usize| format!("lead-{n}@lead.example");
    for (recipients, with_leads, calls) in [
        (1, false, 1),
        (100, false, 1),
        (101, false, 2),
        (50, true, 1),
        (51, true, 2),
        (1_000, false, 10),
        (1_000, true, 20),
    ] {
        let recipient = |n: usize| {
            let lead = with_leads.then(|| format!("lead-{n}"));
            json!({ "address": address(n), "lead_id": lead })
        };
        // Each twice, as far as a request goes: duplicates cost nothing.
        let twice = (0..recipients).chain(0..recipients.min(1_000 - recipients));
        let asked: Vec<Value> = twice.map(recipient).collect();
        world.table_calls.take_calls();
        let reply = check(&world, json!({ "recipients": asked })).await;
        assert_eq!(
            (reply.decision, reply.recipients.len()),
            (Allow, recipients)
        );
        // The SDK repeats a call that a busy engine answers late; that is the same call.
        let made: BTreeSet<(String, String)> = world
            .table_calls
            .take_calls()
            .into_iter()
            .map(|call| (call.operation, call.body.to_string()))
            .collect();
        let operations: Vec<&str> = made
            .iter()
            .map(|(operation, _)| operation.as_str())
            .collect();
        assert_eq!(
            operations,
            vec!["BatchGetItem"; calls],
            "{recipients} recipients"
        );
    }
}

async fn keys_that_a_batch_left_over_are_asked_for_again(world: World) {
    world
        .deliver(&[bounce("lead-90@lead.example", NO_EMAIL, days_ago(1))])
        .await;
    let mut left = 3;
    world.table_calls.script(move |call| {
        if call.operation != "BatchGetItem" || left == 0 {
            return Act::Pass;
        }
        left -= 1;
        Act::LeaveUnprocessed { read: 7 }
    });
    let recipients: Vec<Value> = (0..95)
        .map(|n| json!({ "address": format!("lead-{n}@lead.example") }))
        .collect();
    let reply = check(&world, json!({ "recipients": recipients })).await;
    let refused: Vec<&RecipientAnswer> = reply
        .recipients
        .iter()
        .filter(|recipient| recipient.decision == Refuse)
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].address, "lead-90@lead.example");
}

async fn what_cannot_be_checked_is_named(world: World) {
    let many: Vec<Value> = (0..1_001)
        .map(|n| json!({ "address": format!("a{n}@b.example") }))
        .collect();
    for (recipients, field, code) in [
        (json!([]), "/recipients", "too_few"),
        (json!(many), "/recipients", "too_many"),
        (
            json!([{ "address": ANN }, { "address": "ann" }]),
            "/recipients/1/address",
            "missing_at",
        ),
        (
            json!([{ "address": "Ann <ann@@lead.example>" }]),
            "/recipients/0/address",
            "display_name",
        ),
        (
            json!([{ "address": ANN, "lead_id": "a#b" }]),
            "/recipients/0/lead_id",
            "invalid_value",
        ),
        (
            json!([{ "address": ANN, "lead": "ann" }]),
            "/recipients/0/lead",
            "invalid_value",
        ),
    ] {
        let reply = world
            .call(
                "POST",
                "/v1/send-checks",
                json!({ "recipients": recipients }),
            )
            .await;
        assert_eq!(reply.status, 422, "{reply:?}");
        let problem: leadlight::api::Problem = reply.read();
        assert_eq!(
            (problem.field.as_deref(), problem.code.as_deref()),
            (Some(field), Some(code))
        );
    }
    let wrong = json!({ "recipients": to(&[ANN]), "purpose": "spam" });
    let problem = world
        .call("POST", "/v1/send-checks", wrong)
        .await
        .problem(422, "invalid-field");
    assert_eq!(problem.field.as_deref(), Some("/purpose"));

    let injected = with(
        message(to(&[ANN])),
        json!({ "subject": "Hello\r\nBcc: eve@evil.example" }),
    );
    let problem = send(&world, &injected).await.problem(422, "invalid-field");
    assert_eq!(problem.field.as_deref(), Some("/subject"));
    let reply = keyed(&world, "two words", &message(to(&[ANN]))).await;
    assert_eq!(
        reply.problem(422, "invalid-field").field.as_deref(),
        Some("idempotency-key")
    );
    let get = world.call("GET", "/v1/sends", json!(null)).await;
    get.problem(405, "method-not-allowed");
    assert_eq!(get.headers["allow"], "POST");
    assert_eq!(outbox(&world), []);
}

async fn only_servers_may_ask_the_gate(world: World) {
    let now = Timestamp::now();
    let doors = [
        ("/v1/send-checks", json!({ "recipients": [lead(ANN)] })),
        ("/v1/sends", message(json!([lead(ANN)]))),
    ];
    let ask = async |path: &str, body: &Value, token: Option<String>| {
        let request = request("POST", path, token.as_deref(), body.to_string().into());
        answer(&world.app, request, now).await
    };
    for (path, body) in &doors {
        ask(path, body, None).await.problem(401, "unauthorized");
        let widget = world.acme.token(WIDGET_SCOPE, now).bearer();
        ask(path, body, Some(widget))
            .await
            .problem(403, "forbidden");
        let of_bob = world
            .acme
            .token("sends", now)
            .claim("leads", json!(["bob"]))
            .bearer();
        ask(path, body, Some(of_bob))
            .await
            .problem(403, "forbidden");
    }
    let of_ann = || {
        world
            .acme
            .token("sends", now)
            .claim("leads", json!(["ann"]))
            .bearer()
    };
    let nobodys = json!({ "recipients": [lead(ANN), { "address": ANN }] });
    ask("/v1/send-checks", &nobodys, Some(of_ann()))
        .await
        .problem(403, "forbidden");
    let reply = ask("/v1/send-checks", &doors[0].1, Some(of_ann())).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(outbox(&world), []);

    world.save("ann", ANN).await;
    world.deliver(&[complaint(&[ANN], days_ago(1))]).await;
    let by_globex = world.globex.token("sends", now).bearer();
    let reply: SendChecksReply = ask("/v1/send-checks", &doors[0].1, Some(by_globex))
        .await
        .read();
    assert_eq!(
        reply.decision, Allow,
        "another account's leads and evidence do not exist"
    );
}

async fn one_blocked_recipient_stops_the_whole_message(world: World) {
    save_three(&world).await;
    world.deliver(&[bounce(BOB, NO_EMAIL, long_ago())]).await;
    let three = message(json!([lead(ANN), lead(BOB), lead(CLEO)]));
    let reply = send(&world, &three).await;
    let problem = reply.problem(409, "recipients-blocked");
    insta::assert_json_snapshot!("blocked", stable(reply.body.clone()));
    assert_eq!(summary(&problem.blocked), ["bob@lead.example hard_bounce"]);
    assert_eq!(problem.blocked[0].positions, [1]);
    assert_eq!(outbox(&world), []);

    let corrected = "bob@new.example";
    world.save("bob", corrected).await;
    let bob = json!({ "address": corrected, "lead_id": "bob" });
    let three = message(json!([lead(ANN), bob, lead(CLEO)]));
    let problem = send(&world, &three)
        .await
        .problem(409, "recipients-blocked");
    assert_eq!(
        summary(&problem.blocked),
        ["bob@new.example hard_bounce"],
        "a corrected lead is held until Check again"
    );

    world.recheck("bob").await;
    let reply = sent(&world, &three).await;
    let outbox = outbox(&world);
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].message_id, reply.message_id);
    assert_eq!(outbox[0].to, [ANN, corrected, CLEO]);
    assert_eq!(reply.skipped, []);
    let positions: Vec<usize> = reply
        .sent_to
        .iter()
        .flat_map(|recipient| recipient.positions.clone())
        .collect();
    assert_eq!(positions, [0, 1, 2]);
}

async fn skipping_sends_to_the_others(world: World) {
    save_three(&world).await;
    world
        .deliver(&[
            bounce(BOB, NO_EMAIL, days_ago(1)),
            complaint(&[CLEO], days_ago(1)),
        ])
        .await;
    let skip = |to: Value, cc: Value, bcc: Value| {
        with(
            message(to),
            json!({ "cc": cc, "bcc": bcc, "mode": "skip_blocked" }),
        )
    };
    let some = skip(
        json!([lead(BOB)]),
        json!([lead(ANN), lead(CLEO)]),
        to(&["dan@lead.example"]),
    );
    let reply = keyed(&world, "skip-1", &some).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let again = keyed(&world, "skip-1", &some).await;
    assert_eq!(
        again.body, reply.body,
        "the same answer, with those who were left out"
    );
    let reply: SendReply = reply.read();
    assert_eq!(
        summary(&reply.sent_to),
        ["ann@lead.example allow", "dan@lead.example allow"]
    );
    assert_eq!(
        summary(&reply.skipped),
        [
            "bob@lead.example hard_bounce",
            "cleo@lead.example spam_complaint"
        ]
    );
    let outbox_now = outbox(&world);
    assert_eq!(outbox_now.len(), 1);
    assert_eq!(
        (&outbox_now[0].to, &outbox_now[0].cc, &outbox_now[0].bcc),
        (
            &vec![],
            &vec![ANN.to_owned()],
            &vec!["dan@lead.example".to_owned()]
        )
    );

    let nobody = skip(json!([lead(BOB)]), json!([lead(CLEO)]), json!([]));
    let problem = send(&world, &nobody)
        .await
        .problem(409, "recipients-blocked");
    assert_eq!(problem.blocked.len(), 2);
    assert_eq!(outbox(&world).len(), 1);
}

async fn an_unsubscribed_lead_gets_no_marketing(world: World) {
    save_three(&world).await;
    world
        .put("bob", json!({ "address": BOB, "standing": "unsubscribed" }))
        .await;
    world
        .deliver(&[subscription(CLEO, true, Timestamp::now())])
        .await;
    let newsletter = message(json!([lead(ANN), lead(BOB), lead(CLEO)]));
    let problem = send(&world, &newsletter)
        .await
        .problem(409, "recipients-blocked");
    assert_eq!(
        summary(&problem.blocked),
        [
            "bob@lead.example unsubscribed",
            "cleo@lead.example unsubscribed"
        ]
    );
    let unnamed = send(&world, &message(to(&[CLEO])))
        .await
        .problem(409, "recipients-blocked");
    assert_eq!(
        summary(&unnamed.blocked),
        ["cleo@lead.example unsubscribed"]
    );
    assert_eq!(outbox(&world), []);

    let receipt = with(newsletter, json!({ "purpose": "transactional" }));
    sent(&world, &receipt).await;
    assert_eq!(outbox(&world).len(), 1);
}

async fn a_lead_is_not_reached_round_its_saved_address(world: World) {
    world.save("ann", ANN).await;
    world.deliver(&[bounce(ANN, NO_EMAIL, days_ago(1))]).await;
    let unsaved = message(json!([{ "address": "ann@new.example", "lead_id": "ann" }]));
    let problem = send(&world, &unsaved)
        .await
        .problem(409, "recipients-blocked");
    assert_eq!(
        summary(&problem.blocked),
        ["ann@new.example another_address"]
    );
    assert_eq!(outbox(&world), []);
}

async fn a_mailbox_is_refused_for_all_leads_or_none(world: World) {
    world.save("ann", "former@lead.example").await;
    world
        .deliver(&[complaint(&["former@lead.example"], days_ago(1))])
        .await;
    world.save("ann", ANN).await;
    world.save("twin", ANN).await;
    let twin = json!({ "address": ANN, "lead_id": "twin" });
    sent(&world, &message(json!([twin]))).await;
    let both = message(json!([twin, lead(ANN), lead(BOB)]));
    let reply = sent(&world, &with(both, json!({ "mode": "skip_blocked" }))).await;
    assert_eq!(
        summary(&reply.skipped),
        [
            "ann@lead.example spam_complaint",
            "ann@lead.example spam_complaint"
        ]
    );
    assert_eq!(outbox(&world)[0].to, [BOB]);
}

async fn a_table_that_is_away_sends_nothing(world: World) {
    save_three(&world).await;
    let asked = json!({ "recipients": [lead(ANN)] });
    check(&world, asked.clone()).await;
    sent(&world, &message(json!([lead(ANN)]))).await;
    for away in [Act::throttle as fn() -> Act, || Act::CutBefore] {
        world.table_calls.script(move |_| away());
        for (path, body) in [
            ("/v1/send-checks", asked.clone()),
            ("/v1/sends", message(json!([lead(ANN)]))),
        ] {
            let reply = world.call("POST", path, body).await;
            reply.problem(503, "unavailable");
            assert!(reply.headers.contains_key("retry-after"), "{reply:?}");
        }
    }
    // The key cannot be taken, so nothing may be sent either.
    world.table_calls.script(|call| match call.written() {
        Some("answer") => Act::throttle(),
        _ => Act::Pass,
    });
    let reply = keyed(&world, "away", &message(json!([lead(ANN)]))).await;
    reply.problem(503, "unavailable");
    assert_eq!(outbox(&world).len(), 1, "nothing but the first message");
}

async fn a_message_goes_out_as_it_was_meant(world: World) {
    save_three(&world).await;
    let whole = with(
        message(json!([{ "address": ANN, "name": "Ann", "lead_id": "ann" }])),
        json!({
            "from": { "address": SENDER, "name": "Acme" },
            "reply_to": [{ "address": "help@acme.example" }],
            "html": "<p>Hello</p>",
            "attachments": [{ "name": "a.pdf", "content_type": "application/pdf", "content": "AAEC" }],
            "headers": [{ "name": "X-Campaign", "value": "spring" }],
            "list_unsubscribe": { "url": "https://acme.example/u" },
        }),
    );
    world.ses_calls.take_calls();
    let reply = sent(&world, &whole).await;
    let calls = world.ses_calls.take_calls();
    let [Call { operation, body }] = calls.as_slice() else {
        panic!("one call of SES: {calls:?}");
    };
    assert_eq!(operation, SEND_EMAIL);
    let mut body = body.clone();
    let tags = body["EmailTags"].as_array_mut().unwrap();
    for tag in tags
        .iter_mut()
        .filter(|tag| tag["Name"] == "leadlight-request")
    {
        assert_eq!(tag["Value"], reply.request_tag);
        tag["Value"] = "[tag]".into();
    }
    insta::assert_json_snapshot!("given_to_ses", body);
    let outbox = &outbox(&world)[0];
    assert_eq!(outbox.configuration_set.as_deref(), Some("acme-news"));
    assert_eq!(outbox.tags["leadlight-account"], "acme");

    sent(&world, &message(json!([lead(ANN), lead(BOB)]))).await;
    let tags = &self::outbox(&world)[0].tags;
    assert!(
        !tags.contains_key("leadlight-lead"),
        "two leads have no tag in common: {tags:?}"
    );
}

async fn only_the_accounts_own_identities_send(world: World) {
    let from = |address: &str| {
        with(
            message(to(&[ANN])),
            json!({ "from": { "address": address } }),
        )
    };
    let saved = world
        .table()
        .save_identity("boss@mail.acme.example", &world.globex.account)
        .await;
    let _new = saved.unwrap();
    let saved = world
        .table()
        .save_identity("crm@globex.example", &world.acme.account)
        .await;
    let _new = saved.unwrap();
    for address in [
        "crm@globex.example.com",
        "crm@acme.example",
        "other@globex.example",
        "boss@mail.acme.example",
        "crm@sub.mail.acme.example",
    ] {
        let problem = send(&world, &from(address))
            .await
            .problem(403, "foreign-sender");
        assert_eq!(problem.field.as_deref(), Some("/from/address"), "{address}");
    }
    assert_eq!(outbox(&world), []);
    for address in ["anybody@mail.acme.example", "CRM@globex.example"] {
        sent(&world, &from(address)).await;
    }
}

async fn two_hundred_retries_with_one_key_send_one_message(world: World) {
    let world = &world;
    let message = &message(to(&[ANN]));
    let now = Timestamp::now();
    let tries = (0..200).map(|n| {
        let app = if n % 2 == 0 { &world.app } else { &world.rival };
        send_under(world, app, "order-17", message, now)
    });
    let replies = join_all(tries).await;
    let outbox = outbox(world);
    assert_eq!(outbox.len(), 1, "one message");
    let mut answered = 0;
    for reply in &replies {
        match reply.status {
            200 => {
                assert_eq!(reply.body["message_id"], outbox[0].message_id.as_str());
                answered += 1;
            }
            // So many at once may find the table too slow, or the first one not ready; nobody sends for that.
            409 => drop(reply.problem(409, "request-in-progress")),
            503 => drop(reply.problem(503, "unavailable")),
            _ => panic!("{reply:?}"),
        }
    }
    assert!(answered > 0, "somebody is told");
    let later = keyed(world, "order-17", message).await;
    assert_eq!(
        later.body["message_id"],
        outbox[0].message_id.as_str(),
        "{later:?}"
    );
    assert_eq!(self::outbox(world).len(), 1);
}

async fn a_key_is_good_for_one_message(world: World) {
    let one = message(to(&[ANN]));
    let now = Timestamp::now();
    let first = keyed(&world, "k-1", &one).await;
    assert_eq!(first.status, 200, "{first:?}");
    // Quoted as the draft wants it, fields in another order, defaults spelt out, by a process that has just started.
    let same = json!({
        "text": "Hello you", "subject": "Hello", "mode": "all_or_nothing", "purpose": "marketing",
        "to": to(&[ANN]), "from": { "address": SENDER },
    });
    let again = send_under(&world, &world.restarted(), "\"k-1\"", &same, now).await;
    assert_eq!((again.status, &again.body), (200, &first.body));

    let other = with(one.clone(), json!({ "subject": "Hello again" }));
    let problem = keyed(&world, "k-1", &other)
        .await
        .problem(422, "idempotency-key-reused");
    assert_eq!(problem.field.as_deref(), Some("idempotency-key"));
    assert_eq!(outbox(&world).len(), 1);

    // The answer stands although the recipient is blocked by now: the message was sent.
    world.deliver(&[complaint(&[ANN], now)]).await;
    let again = keyed(&world, "k-1", &one).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    keyed(&world, "k-2", &one)
        .await
        .problem(409, "recipients-blocked");

    let almost = now + SignedDuration::from_hours(24) - SignedDuration::from_secs(2);
    let kept = send_under(&world, &world.app, "k-1", &one, almost).await;
    assert_eq!(kept.body, first.body);
    let day_later = now + SignedDuration::from_hours(24) + SignedDuration::from_secs(1);
    let forgotten = send_under(&world, &world.app, "k-1", &one, day_later).await;
    forgotten.problem(409, "recipients-blocked");

    let bob = message(to(&[BOB]));
    let forgotten = send_under(&world, &world.app, "k-1", &bob, day_later).await;
    assert_eq!(
        forgotten.status, 200,
        "a key is free again after a day: {forgotten:?}"
    );
    assert_eq!(outbox(&world).len(), 2);
}

async fn a_refusal_leaves_the_key_free(world: World) {
    world.save("ann", ANN).await;
    world.deliver(&[bounce(ANN, GENERAL, days_ago(3))]).await;
    let message = message(json!([lead(ANN)]));
    keyed(&world, "free", &message)
        .await
        .problem(409, "recipients-blocked");
    world.recheck("ann").await;
    let reply = keyed(&world, "free", &message).await;
    assert_eq!(reply.status, 200, "the recipient was cleared: {reply:?}");
    assert_eq!(outbox(&world).len(), 1);
}

async fn a_message_that_ses_took_without_a_word_is_never_repeated(world: World) {
    let message = message(to(&[ANN]));
    world.ses_calls.script(|_| Act::CutAfter);
    let reply = keyed(&world, "lost", &message).await;
    let problem = reply.problem(502, "send-outcome-unknown");
    let tag = problem.request_tag.unwrap();
    world.ses_calls.behave();
    for _ in 0..3 {
        let again = keyed(&world, "lost", &message)
            .await
            .problem(409, "send-outcome-unknown");
        assert_eq!(again.request_tag.as_deref(), Some(tag.as_str()));
    }
    let outbox_now = outbox(&world);
    assert_eq!(outbox_now.len(), 1, "SES has it, once");
    assert_eq!(
        outbox_now[0].tags["leadlight-request"], tag,
        "and its events tell which request it was"
    );

    world.ses_calls.script(|_| Act::CutAfter);
    let unkeyed = send(&world, &self::message(to(&[BOB])))
        .await
        .problem(502, "send-outcome-unknown");
    assert_eq!(
        outbox(&world)[0].tags["leadlight-request"],
        unkeyed.request_tag.unwrap()
    );
}

async fn a_send_that_died_before_its_answer_was_kept_is_never_repeated(world: World) {
    let message = message(to(&[ANN]));
    let now = Timestamp::now();
    let mut writes = 0;
    world.table_calls.script(move |call| {
        writes += usize::from(call.written() == Some("answer"));
        match call.written() {
            Some("answer") if writes > 1 => Act::Refuse(
                400,
                json!({ "__type": "com.amazon.coral.validate#ValidationException" }),
            ),
            _ => Act::Pass,
        }
    });
    let reply = send_under(&world, &world.app, "died", &message, now).await;
    assert_eq!(
        reply.status, 200,
        "the caller is told all the same: {reply:?}"
    );
    world.table_calls.behave();

    let soon = send_under(&world, &world.app, "died", &message, now).await;
    soon.problem(409, "request-in-progress");
    assert!(soon.headers.contains_key("retry-after"));
    let late = now + SignedDuration::from_secs(30);
    let late = send_under(&world, &world.app, "died", &message, late).await;
    let problem = late.problem(409, "send-outcome-unknown");
    let outbox = outbox(&world);
    assert_eq!(outbox.len(), 1);
    assert_eq!(
        Some(&outbox[0].tags["leadlight-request"]),
        problem.request_tag.as_ref()
    );
}

async fn a_connection_that_idled_loses_no_message(world: World) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = world.with_ses_at(listener.local_addr().unwrap());
    let ses = tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_once(connection));
        }
    });
    for key in ["first", "second", "third"] {
        let now = Timestamp::now();
        let reply = send_under(&world, &app, key, &message(to(&[ANN])), now).await;
        assert_eq!(reply.status, 200, "{key}: {reply:?}");
    }
    ses.abort();
}

/// Takes one message in, keeps the connection, and closes it when anything more comes: as SES does to one that idled.
async fn answer_once(connection: TcpStream) {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        connection.read_line(&mut head).await.unwrap();
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.unwrap().1.parse().unwrap()];
    connection.read_exact(&mut body).await.unwrap();
    let taken = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"MessageId\":\"m\"}";
    connection.write_all(taken.as_bytes()).await.unwrap();
    // The end of the connection, or of patience with it.
    let _ = connection.read_u8().await;
}

async fn a_begun_send_whose_write_was_answered_late_goes_on(world: World) {
    let mut writes = 0;
    world.table_calls.script(move |call| {
        writes += usize::from(call.written() == Some("answer"));
        match call.written() {
            Some("answer") if writes == 1 => Act::CutAfter,
            _ => Act::Pass,
        }
    });
    let reply = keyed(&world, "late", &message(to(&[ANN]))).await;
    assert_eq!(reply.status, 200, "its own write is no rival: {reply:?}");
    assert_eq!(outbox(&world).len(), 1);
}

async fn what_ses_refuses_is_typed_and_leaves_the_key_free(world: World) {
    let message = message(to(&[ANN]));
    let cases = [
        (
            429,
            "TooManyRequestsException",
            429,
            "sending-too-fast",
            true,
        ),
        (
            400,
            "LimitExceededException",
            503,
            "sending-quota-used-up",
            true,
        ),
        (400, "MessageRejected", 422, "message-rejected", false),
        (400, "BadRequestException", 422, "message-rejected", false),
        (
            400,
            "MailFromDomainNotVerifiedException",
            422,
            "mail-from-not-verified",
            false,
        ),
        (
            400,
            "AccountSuspendedException",
            503,
            "sending-stopped",
            false,
        ),
        (400, "SendingPausedException", 503, "sending-stopped", false),
    ];
    for (status, error, expected, code, retry) in cases {
        let refusal = json!({ "__type": error, "message": "as the test says" });
        world
            .ses_calls
            .script(move |_| Act::Refuse(status, refusal.clone()));
        world.ses_calls.take_calls();
        let reply = keyed(&world, error, &message).await;
        reply.problem(expected, code);
        assert_eq!(reply.headers.contains_key("retry-after"), retry, "{error}");
        assert_eq!(
            world.ses_calls.take_calls().len(),
            1,
            "{error} is not tried again here"
        );
        world.ses_calls.behave();
        let again = keyed(&world, error, &message).await;
        assert_eq!(
            again.status, 200,
            "{error} sent nothing, so the key is free: {again:?}"
        );
    }
    assert_eq!(outbox(&world).len(), cases.len());

    let now = Timestamp::now();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr();
    let unreached = world.with_ses_at(nobody.unwrap());
    let unreachable = send_under(&world, &unreached, "unreached", &message, now).await;
    unreachable.problem(503, "unavailable");
    assert_eq!(
        keyed(&world, "unreached", &message).await.status,
        200,
        "nothing left the house"
    );

    let fault = json!({ "__type": "InternalServiceErrorException" });
    world
        .ses_calls
        .script(move |_| Act::Refuse(500, fault.clone()));
    keyed(&world, "fault", &message)
        .await
        .problem(502, "send-outcome-unknown");
    world.ses_calls.behave();
    keyed(&world, "fault", &message)
        .await
        .problem(409, "send-outcome-unknown");
}

/// Which answers are possible when a complaint lands in the middle of a request, and why neither breaks the promise: where the
/// check could see it, nothing is sent; where it could not, it was not there when the request was decided, and it stops the next.
async fn a_complaint_between_check_and_send_is_seen_or_came_after(world: World) {
    let land = |address: &'static str| {
        let rival = Arc::clone(&world.rival);
        Act::PassAfter(Box::pin(async move {
            let event = envelopes::sqs(&[envelopes::sns(&complaint(&[address], minutes_ago(1)))]);
            let answer = feedback::handle(&rival, event, None).await.unwrap();
            assert_eq!(answer["batchItemFailures"], json!([]));
        }))
    };

    // It is recorded just before the check reads.
    let landing = std::sync::Mutex::new(Some(land(ANN)));
    world.table_calls.script(move |call| {
        let landing = (call.operation == "BatchGetItem").then(|| landing.lock().unwrap().take());
        landing.flatten().unwrap_or(Act::Pass)
    });
    send(&world, &message(to(&[ANN])))
        .await
        .problem(409, "recipients-blocked");
    assert_eq!(
        outbox(&world),
        [],
        "what was recorded before the check is seen by it"
    );
    world.table_calls.behave();

    // It is recorded after the check has read, just before SES takes the message.
    let landing = std::sync::Mutex::new(Some(land(BOB)));
    world
        .ses_calls
        .script(move |_| landing.lock().unwrap().take().unwrap_or(Act::Pass));
    sent(&world, &message(to(&[BOB]))).await;
    assert_eq!(
        outbox(&world).len(),
        1,
        "the message was on its way when the complaint came"
    );
    send(&world, &message(to(&[BOB])))
        .await
        .problem(409, "recipients-blocked");
    assert_eq!(outbox(&world).len(), 1, "and it is the last");
}

async fn a_permit_is_shown_and_checked_again(world: World) {
    let asked = json!({ "recipients": [lead(ANN), lead(BOB)] });
    let permit = check(&world, asked.clone()).await.permit.expect("a permit");
    let message = |recipients: Value| with(message(recipients), json!({ "permit": permit.token }));
    let both = message(json!([lead(BOB), lead(ANN)]));
    sent(&world, &both).await;
    for (why, other) in [
        ("fewer recipients", message(json!([lead(ANN)]))),
        (
            "more recipients",
            message(json!([lead(ANN), lead(BOB), lead(CLEO)])),
        ),
        (
            "another purpose",
            with(both.clone(), json!({ "purpose": "transactional" })),
        ),
        (
            "no permit",
            with(both.clone(), json!({ "permit": "let-me-in" })),
        ),
    ] {
        let problem = send(&world, &other).await.problem(422, "invalid-permit");
        assert_eq!(problem.field.as_deref(), Some("/permit"), "{why}");
    }
    let late = Timestamp::now() + SignedDuration::from_mins(6);
    let reply = world.call_at("POST", "/v1/sends", both.clone(), late).await;
    assert_eq!(
        reply.problem(422, "invalid-permit").code.as_deref(),
        Some("expired")
    );
    world.deliver(&[complaint(&[BOB], minutes_ago(1))]).await;
    send(&world, &both).await.problem(409, "recipients-blocked");
    assert_eq!(outbox(&world).len(), 1, "a permit never replaces the check");

    let keys = request("GET", "/v1/permit-keys", None, "".into());
    let keys = answer(&world.app, keys, Timestamp::now()).await;
    assert_eq!(keys.status, 200);
    assert_eq!(keys.headers["cache-control"], "public, max-age=3600");
    let header = permit.token.split('.').next().unwrap();
    let header = jsonwebtoken::decode_header(&permit.token)
        .map_err(|_| header)
        .unwrap();
    let ids: BTreeSet<&str> = keys.body["keys"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|key| key["kid"].as_str())
        .collect();
    assert!(ids.contains(header.kid.as_deref().unwrap()));
}
