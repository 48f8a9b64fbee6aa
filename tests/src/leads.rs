//! Saving, showing and telling the story of a lead: what is verified, what is held, what sticks, and what a crash leaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use leadlight::api::{LogReply, SavedLead};
use leadlight::log::Entry;
use leadlight::policy::Policy;
use leadlight_functions::feedback;
use serde_json::{Value, json};

use crate::envelopes;
use crate::notifications::{
    GENERAL, MAILBOX_FULL, NO_EMAIL, bounce, complaint, delivery, subscription,
};
use crate::proxy::{Act, Call};
use crate::tokens::SERVER_SCOPE;
use crate::world::{
    ANN, World, answer, days_ago, lead_id, minutes_ago, on_both_engines, request, stable,
};

on_both_engines!(
    a_lead_is_created_shown_changed_and_saved_again,
    every_wrong_address_is_answered_with_its_error,
    saving_verifies_the_address,
    accounts_share_no_lead,
    leads_share_the_evidence_of_an_address,
    a_block_is_held_when_the_address_changes,
    the_former_address_cannot_block_the_lead_any_more,
    a_complaint_stays_with_the_lead_through_every_change,
    a_complaint_against_the_former_address_finds_the_lead,
    a_crash_between_the_writes_of_a_save_is_finished_by_the_next_try,
    a_save_whose_answer_got_lost_is_saved_once,
    saves_at_the_same_time_lose_nothing,
    a_complaint_during_the_save_wins,
    the_log_is_told_in_pages,
    the_log_says_what_happened_in_order,
    the_recipients_own_word_on_subscription_counts_if_it_is_newer,
    a_corrected_address_is_rechecked_by_itself_where_the_policy_says_so,
    a_table_that_is_away_is_said_to_be_away,
);

async fn a_lead_is_created_shown_changed_and_saved_again(world: World) {
    let body = json!({ "address": " Ann.Weber@LEAD.example ", "standing": "unconfirmed" });
    let created = world.put("crm:1.a-b_c~d", body.clone()).await;
    assert_eq!(created.status, 201, "{created:?}");
    insta::assert_json_snapshot!("created", stable(created.body));

    world.table_calls.take_calls();
    let again = world.put("crm:1.a-b_c~d", body).await;
    assert_eq!(again.status, 200, "{again:?}");
    insta::assert_json_snapshot!("saved_again", stable(again.body));
    let calls = world.table_calls.take_calls();
    assert!(
        calls.iter().all(|call| call.written().is_none()),
        "the same again writes nothing"
    );

    let other_case = json!({ "address": "ann.weber@lead.example", "standing": "active" });
    let changed = world.put("crm:1.a-b_c~d", other_case).await;
    assert_eq!(
        (changed.status, &changed.body["status"]),
        (200, &json!("active"))
    );
    let shown = world
        .call("GET", "/v1/leads/crm%3A1.a-b_c~d", json!(null))
        .await;
    assert_eq!(shown.status, 200);
    insta::assert_json_snapshot!("shown", stable(shown.body));
    let log = world
        .call("GET", "/v1/leads/crm:1.a-b_c~d/log", json!(null))
        .await;
    insta::assert_json_snapshot!("log_of_a_changed_lead", stable(log.body));
    world
        .call("GET", "/v1/leads/nobody", json!(null))
        .await
        .problem(404, "unknown-lead");
    world
        .call("GET", "/v1/leads/nobody/log", json!(null))
        .await
        .problem(404, "unknown-lead");
}

async fn every_wrong_address_is_answered_with_its_error(world: World) {
    let long_label = format!("ann@{}.example", "a".repeat(64));
    let long_domain = format!("ann@{}.example", ["lead"; 60].join("."));
    let long_whole = format!(
        "{}@{}.example",
        "a".repeat(60),
        ["b".repeat(60).as_str(); 4].join(".")
    );
    let longest = "a".repeat(10_000);
    let rows = [
        ("", "empty", None),
        ("  \t ", "empty", None),
        ("Ann Weber <ann@lead.example>", "display_name", Some(ANN)),
        (
            "\"Weber, Ann\" <Ann@Lead.Example>",
            "display_name",
            Some("Ann@lead.example"),
        ),
        ("Ann <nobody>", "display_name", None),
        (
            "mailto:ann@lead.example?subject=Hello",
            "mailto_link",
            Some(ANN),
        ),
        ("MAILTO:nobody", "mailto_link", None),
        ("ann.lead.example", "missing_at", None),
        ("ann@lead@example.com", "second_at", None),
        ("@lead.example", "empty_local_part", None),
        ("ann@", "empty_domain", None),
        ("ann weber@lead.example", "unexpected_character", None),
        ("ann,bob@lead.example", "unexpected_character", None),
        ("ann\u{200b}@lead.example", "unexpected_character", None),
        ("ann..weber@lead.example", "misplaced_dot", None),
        (".ann@lead.example", "misplaced_dot", None),
        ("ann@lead..example", "misplaced_dot", None),
        ("\"ann weber\"@lead.example", "quoted_local_part", None),
        ("ann(work)@lead.example", "comment", None),
        ("ann@[192.0.2.1]", "domain_literal", None),
        ("ann@localhost", "dotless_domain", None),
        ("ann@192.0.2.1", "numeric_top_level_domain", None),
        ("ann@-lead-.example", "misplaced_hyphen", None),
        ("ann@le--ad.example", "misplaced_hyphen", None),
        ("ann@xn--zzzzzz.example", "invalid_a_label", None),
        ("ann@lead.test", "reserved_domain", None),
        ("ann@\u{301}lead.example", "invalid_domain", None),
        (&long_label, "label_too_long", None),
        (&long_domain, "domain_too_long", None),
        (&long_whole, "too_long", None),
        (&longest, "too_long", None),
    ];
    world.save("kept", ANN).await;
    let before = world.stored_lead("kept").await;
    for (address, code, suggestion) in rows {
        for lead in ["new", "kept"] {
            world.table_calls.take_calls();
            let reply = world.put(lead, json!({ "address": address })).await;
            let legal = ["quoted_local_part", "comment", "domain_literal"];
            let kind = if legal.contains(&code) {
                "unsupported-address"
            } else {
                "invalid-address"
            };
            let problem = reply.problem(422, kind);
            assert_eq!(problem.field.as_deref(), Some("/address"), "{address:.80}");
            assert_eq!(problem.code.as_deref(), Some(code), "{address:.80}");
            assert_eq!(problem.suggestion.as_deref(), suggestion, "{address:.80}");
            assert!(
                problem.detail.is_some_and(|text| text.len() < 200),
                "{address:.80}"
            );
            let calls = world.table_calls.take_calls();
            let is_count = |call: &Call| call.operation == "UpdateItem";
            assert!(
                calls
                    .iter()
                    .all(|call| call.written().is_none() || is_count(call)),
                "{address:.80}"
            );
        }
    }
    assert_eq!(
        (
            world.stored_lead("new").await,
            world.stored_lead("kept").await
        ),
        (None, before)
    );
    let codes: std::collections::BTreeSet<&str> = rows.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(codes.len(), 21, "a row for every error");
}

async fn saving_verifies_the_address(world: World) {
    let rows = [
        (
            "mx@lead.example",
            "active",
            json!({ "verdict": "deliverable" }),
        ),
        (
            "a@implicit.example",
            "active",
            json!({ "verdict": "risky", "flags": ["implicit_mx"] }),
        ),
        (
            "typo@nowhere.example",
            "blocklisted",
            json!({ "verdict": "undeliverable", "cause": "no_such_domain" }),
        ),
        (
            "null@null-mx.example",
            "blocklisted",
            json!({ "verdict": "undeliverable", "cause": "null_mx" }),
        ),
        (
            "none@empty.example",
            "blocklisted",
            json!({ "verdict": "undeliverable", "cause": "no_mail_server" }),
        ),
        (
            "inside@private.example",
            "blocklisted",
            json!({ "verdict": "undeliverable", "cause": "unreachable_mail_server" }),
        ),
        (
            "jürgen@lead.example",
            "blocklisted",
            json!({ "verdict": "undeliverable", "cause": "unsendable_local_part" }),
        ),
        (
            "x@failing.example",
            "active",
            json!({ "verdict": "inconclusive", "cause": "dns_failure" }),
        ),
        (
            "x@silent.example",
            "active",
            json!({ "verdict": "inconclusive", "cause": "dns_timeout" }),
        ),
    ];
    for (n, (address, status, verdict)) in rows.into_iter().enumerate() {
        let lead = format!("lead{n}");
        let started = Instant::now();
        let reply = world.put(&lead, json!({ "address": address })).await;
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{address}: {:?}",
            started.elapsed()
        );
        assert_eq!(reply.status, 201, "{address}: {reply:?}");
        let found = &reply.body["verification"];
        for member in ["verdict", "cause", "flags"] {
            assert_eq!(found[member], verdict[member], "{address}");
        }
        assert!(found["sentence"].is_string(), "{address}: {found}");
        assert_eq!(reply.body["status"], json!(status), "{address}");
        if status == "blocklisted" {
            assert_eq!(reply.body["reason"], "undeliverable", "{address}");
            assert_eq!(reply.body["cause"], verdict["cause"], "{address}");
        }
        let is_recorded = world
            .events(&lead)
            .await
            .iter()
            .any(|event| event.code() == "verified");
        assert_eq!(
            is_recorded,
            verdict["verdict"] != "inconclusive",
            "{address}"
        );
    }
    world.dns.listen().await.unwrap();
    let asked = world.dns.questions_about("lead.example");
    let reply = world
        .put("lead0", json!({ "address": "MX@lead.example" }))
        .await;
    assert_eq!(
        reply.body.get("verification"),
        None,
        "another spelling is not another address"
    );
    world.dns.listen().await.unwrap();
    assert_eq!(world.dns.questions_about("lead.example"), asked);
}

async fn accounts_share_no_lead(world: World) {
    world.save("ann", ANN).await;
    let now = Timestamp::now();
    let globex = world.globex.token(SERVER_SCOPE, now).bearer();
    let put = |address: &str| {
        let body = json!({ "address": address }).to_string();
        request("PUT", "/v1/leads/ann", Some(&globex), body.into())
    };
    let reply = answer(&world.app, put("other@new.example"), now).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(
        world.stored_lead("ann").await.unwrap().address.as_str(),
        ANN
    );
    world.deliver(&[bounce(ANN, NO_EMAIL, days_ago(1))]).await;
    assert_eq!(world.status("ann").await.status, "blocklisted");
    let reply = answer(&world.app, put(ANN), now).await;
    assert_eq!(reply.body["status"], "active", "acme's evidence is acme's");
}

async fn leads_share_the_evidence_of_an_address(world: World) {
    world.save("ann", ANN).await;
    world
        .deliver(&[bounce("ANN@Lead.Example", GENERAL, days_ago(1))])
        .await;
    world.save("ann-too", "Ann@lead.example").await;
    let both = world.statuses(&["ann", "ann-too"]).await;
    assert_eq!(
        (&both[0].reason, &both[0].because),
        (&both[1].reason, &both[1].because)
    );
    assert_eq!(both[1].reason.as_deref(), Some("hard_bounce"));
}

async fn a_block_is_held_when_the_address_changes(world: World) {
    world
        .put(
            "ann",
            json!({ "address": "anm@lead.example", "standing": "unconfirmed" }),
        )
        .await;
    let at: Timestamp = "2025-07-01T08:00:00Z".parse().unwrap();
    world
        .deliver(&[bounce("anm@lead.example", NO_EMAIL, at)])
        .await;
    let blocked = world.status("ann").await;
    assert_eq!(blocked.resolution.unwrap().code(), "after_address_change");
    assert!(!blocked.may_check_again);

    let reply = world.put("ann", json!({ "address": ANN })).await;
    assert_eq!(reply.status, 200);
    insta::assert_json_snapshot!("held", stable(reply.body));
    let held = world.status("ann").await;
    assert_eq!((held.since, &held.because), (Some(at), &blocked.because));
    assert!(held.may_check_again);

    // While it is held the CRM may still say what it likes of the lead, which lifts nothing.
    let reply = world
        .put("ann", json!({ "address": ANN, "standing": "unsubscribed" }))
        .await;
    assert_eq!(
        (&reply.body["status"], &reply.body["standing"]),
        (&json!("blocklisted"), &json!("unsubscribed"))
    );
    // Nor does a second change of the address, to whatever it is.
    let third = world.save("ann", "ann@new.example").await;
    assert_eq!(
        (third.status.reason.as_deref(), third.status.since),
        (Some("hard_bounce"), Some(at))
    );
    // Back at the address that bounced, the bounce itself speaks.
    let back = world.save("ann", "anm@lead.example").await;
    assert_eq!(
        back.status.resolution.unwrap().code(),
        "after_address_change"
    );
}

async fn the_former_address_cannot_block_the_lead_any_more(world: World) {
    world.save("ann", ANN).await;
    world.save("ann", "ann@new.example").await;
    world
        .deliver(&[
            bounce(ANN, NO_EMAIL, Timestamp::now()),
            bounce(ANN, MAILBOX_FULL, minutes_ago(2)),
        ])
        .await;
    assert_eq!(world.status("ann").await.status, "active");
    let told = world.log("ann").await;
    assert!(
        !told.iter().any(|entry| entry.event.code() == "hard_bounce"),
        "not this lead's story"
    );
    assert!(
        told.iter().any(|entry| entry.event.code() == "soft_bounce"),
        "that happened before"
    );
}

async fn a_complaint_stays_with_the_lead_through_every_change(world: World) {
    world.save("ann", ANN).await;
    world.save("bob", "bob@lead.example").await;
    let at = days_ago(2);
    world
        .deliver(&[
            complaint(&[ANN], at),
            complaint(&["bob@lead.example", "eve@lead.example"], at),
        ])
        .await;
    for (lead, cause, resolution) in [
        ("ann", "certain", "never"),
        ("bob", "candidate", "support_only"),
    ] {
        for address in ["ann@new.example", "ann@implicit.example", ANN] {
            let saved = world.save(lead, &format!("{lead}.{address}")).await.status;
            assert_eq!(
                saved.reason.as_deref(),
                Some("spam_complaint"),
                "{lead} {address}"
            );
            assert_eq!(saved.cause.as_deref(), Some(cause), "{lead} {address}");
            assert_eq!(
                saved.resolution.unwrap().code(),
                resolution,
                "{lead} {address}"
            );
            assert!(!saved.may_check_again);
        }
        world
            .deliver(&[delivery(&format!("{lead}.{ANN}"), days_ago(1))])
            .await;
        let reply = world
            .put(
                lead,
                json!({ "address": format!("{lead}.{ANN}"), "standing": "active" }),
            )
            .await;
        assert_eq!(
            reply.body["reason"], "spam_complaint",
            "no delivery and no word of the CRM lifts it"
        );
    }
}

async fn a_complaint_against_the_former_address_finds_the_lead(world: World) {
    world.save("ann", "first@lead.example").await;
    world.save("ann", "second@lead.example").await;
    world.save("ann", "third@lead.example").await;
    world
        .deliver(&[complaint(&["first@lead.example"], minutes_ago(1))])
        .await;
    let status = world.status("ann").await;
    assert_eq!(status.reason.as_deref(), Some("spam_complaint"));
    assert_eq!(status.resolution.unwrap().code(), "never");
    let log = world.log("ann").await;
    let told = log
        .iter()
        .find(|entry| entry.event.code() == "complaint")
        .unwrap();
    assert!(told.former_address);
}

async fn a_crash_between_the_writes_of_a_save_is_finished_by_the_next_try(world: World) {
    // A new lead writes link, evidence and lead; so does one that gets a new address, which takes a hold with it.
    for writes in 0..3 {
        let moved = format!("moved{writes}");
        let (old, new) = (
            format!("old{writes}@lead.example"),
            format!("new{writes}@lead.example"),
        );
        world.save(&moved, &old).await;
        world.deliver(&[bounce(&old, GENERAL, days_ago(1))]).await;
        for (lead, address) in [
            (format!("fresh{writes}"), format!("x{writes}@lead.example")),
            (moved, new),
        ] {
            let before = world.stored_lead(&lead).await;
            let mut done = 0;
            world.table_calls.script(move |call| {
                done += usize::from(call.written().is_some());
                if done > writes {
                    Act::CutBefore
                } else {
                    Act::Pass
                }
            });
            let reply = world.put(&lead, json!({ "address": address })).await;
            reply.problem(503, "unavailable");
            assert!(reply.headers.contains_key("retry-after"));
            assert_eq!(
                world.stored_lead(&lead).await,
                before,
                "{lead}: nothing is half saved"
            );
            world.table_calls.behave();

            let reply = world.put(&lead, json!({ "address": address })).await;
            assert_eq!(
                reply.status,
                if before.is_some() { 200 } else { 201 },
                "{lead}: {reply:?}"
            );
            let saved = world.stored_lead(&lead).await.unwrap();
            assert_eq!(saved.address.as_str(), address);
            assert_eq!(saved.hold.is_some(), before.is_some(), "{lead}");
            assert_eq!(
                saved.history.len(),
                1 + usize::from(before.is_some()),
                "{lead}: told once"
            );
            assert!(world.record(&address).await.is_some(), "{lead}: verified");
            world
                .deliver(&[complaint(&[&address], minutes_ago(1))])
                .await;
            let status = world.status(&lead).await;
            assert_eq!(
                status.reason.as_deref(),
                Some("spam_complaint"),
                "{lead}: linked"
            );
        }
    }
}

async fn a_save_whose_answer_got_lost_is_saved_once(world: World) {
    for kind in ["lead#ann", "evidence", "lead"] {
        let mut cut = true;
        world.table_calls.script(move |call| {
            let is_it = call.body["Item"]["sk"]["S"] == kind && std::mem::take(&mut cut);
            if is_it { Act::CutAfter } else { Act::Pass }
        });
        let address = format!(
            "ann@{}.example",
            if kind == "evidence" { "new" } else { "lead" }
        );
        let reply = world.put("ann", json!({ "address": address })).await;
        assert!(reply.status < 300, "{kind}: {reply:?}");
        assert_eq!(
            world.stored_lead("ann").await.unwrap().address.as_str(),
            address
        );
    }
    let events = world.events("ann").await;
    let count = |code: &str| events.iter().filter(|event| event.code() == code).count();
    assert_eq!(
        (count("created"), count("address_changed")),
        (1, 2),
        "{events:?}"
    );
}

async fn saves_at_the_same_time_lose_nothing(world: World) {
    world.save("ann", ANN).await;
    let rival = Arc::clone(&world.rival);
    let now = Timestamp::now();
    let authorization = world.acme.token(SERVER_SCOPE, now).bearer();
    let mut body = Some(json!({ "address": ANN, "standing": "unsubscribed" }).to_string());
    world.table_calls.script(move |call| {
        if call.body["Item"]["sk"]["S"] != "lead" {
            return Act::Pass;
        }
        let Some(body) = body.take() else {
            return Act::Pass;
        };
        let request = request("PUT", "/v1/leads/ann", Some(&authorization), body.into());
        let rival = Arc::clone(&rival);
        Act::PassAfter(Box::pin(async move {
            let reply = answer(&rival, request, now).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }))
    });
    world.save("ann", "ann@new.example").await;
    let lead = world.stored_lead("ann").await.unwrap();
    assert_eq!(
        (lead.address.as_str(), lead.standing.code()),
        ("ann@new.example", "unsubscribed")
    );

    let put = |n: usize| {
        let standing = ["active", "unconfirmed"][n % 2];
        let address = format!("ann{}@lead.example", n % 3);
        let world = &world;
        async move {
            world
                .put("crowd", json!({ "address": address, "standing": standing }))
                .await
        }
    };
    let replies = futures_util::future::join_all((0..6).map(put)).await;
    for reply in &replies {
        let is_answer = reply.status < 300 || reply.status == 503;
        assert!(is_answer, "saved, or asked to try again: {reply:?}");
    }
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(created, 1, "only one can have created it");
}

async fn a_complaint_during_the_save_wins(world: World) {
    world.save("moving", ANN).await;
    for (lead, address) in [
        ("moving", "moving@new.example"),
        ("fresh", "fresh@new.example"),
    ] {
        let rival = Arc::clone(&world.rival);
        let notification = complaint(&[address], minutes_ago(1));
        let mut event = Some(envelopes::sqs(&[envelopes::sns(&notification)]));
        world.table_calls.script(move |call| {
            if call.body["Item"]["sk"]["S"] != "lead" {
                return Act::Pass;
            }
            let Some(event) = event.take() else {
                return Act::Pass;
            };
            let rival = Arc::clone(&rival);
            Act::PassAfter(Box::pin(async move {
                feedback::handle(&rival, event, None).await.unwrap();
            }))
        });
        world.save(lead, address).await;
        world.table_calls.behave();
        assert_eq!(
            world.status(lead).await.reason.as_deref(),
            Some("spam_complaint"),
            "{lead}"
        );
        let moved = world.save(lead, &format!("{lead}@lead.example")).await;
        assert_eq!(
            moved.status.reason.as_deref(),
            Some("spam_complaint"),
            "{lead} moved on"
        );
    }
}

async fn the_log_is_told_in_pages(world: World) {
    world.save("ann", ANN).await;
    let at: Timestamp = "2025-07-01T08:00:00Z".parse().unwrap();
    // Twelve at one and the same moment, so that pages end within them.
    let notifications: Vec<Value> = (0..12)
        .map(|n| {
            let mut notification = bounce(ANN, MAILBOX_FULL, at);
            notification["bounce"]["feedbackId"] = json!(format!("feedback-{n}"));
            notification
        })
        .collect();
    world.deliver(&notifications).await;
    world
        .deliver(&[
            delivery(ANN, at - SignedDuration::from_hours(1)),
            bounce(ANN, NO_EMAIL, at + SignedDuration::from_hours(1)),
        ])
        .await;
    let all = world.log("ann").await;
    assert_eq!(all.len(), 16, "{all:?}");
    for limit in [1, 5, 7, 16, 100] {
        let mut told: Vec<Entry> = Vec::new();
        let mut path = format!("/v1/leads/ann/log?limit={limit}");
        loop {
            let reply = world.call("GET", &path, json!(null)).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let page: LogReply = reply.read();
            assert!(page.entries.len() <= limit && !page.entries.is_empty());
            told.extend(page.entries);
            let Some(cursor) = page.next_cursor else {
                break;
            };
            path = format!("/v1/leads/ann/log?cursor={cursor}&limit={limit}");
        }
        assert_eq!(told, all, "in pages of {limit}");
    }
    let first: LogReply = world
        .call("GET", "/v1/leads/ann/log?limit=4", json!(null))
        .await
        .read();
    world.deliver(&[delivery(ANN, Timestamp::now())]).await;
    let cursor = first.next_cursor.unwrap();
    let path = format!("/v1/leads/ann/log?cursor={cursor}&limit=4");
    let second: LogReply = world.call("GET", &path, json!(null)).await.read();
    assert_eq!(
        second.entries,
        all[4..8],
        "what comes meanwhile disturbs no page"
    );

    let wrong = [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("limit=1e2", "limit"),
        ("cursor=", "cursor"),
        ("cursor=!!", "cursor"),
        ("cursor=MTIz", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=////", "cursor"),
    ];
    for (query, field) in wrong {
        let reply = world
            .call("GET", &format!("/v1/leads/ann/log?{query}"), json!(null))
            .await;
        let problem = reply.problem(400, "invalid-parameter");
        assert_eq!(problem.field.as_deref(), Some(field), "{query}");
    }
}

async fn the_log_says_what_happened_in_order(world: World) {
    let at = |hour: i64| {
        let start: Timestamp = "2025-07-01T08:00:00Z".parse().unwrap();
        start + SignedDuration::from_hours(hour)
    };
    world.save("ann", "anm@lead.example").await;
    let events = [
        delivery("anm@lead.example", at(1)),
        bounce("anm@lead.example", MAILBOX_FULL, at(2)),
        bounce("anm@lead.example", NO_EMAIL, at(3)),
    ];
    world.deliver(&events).await;
    world.save("ann", ANN).await;
    assert_eq!(world.recheck("ann").await.status.status, "active");
    world
        .deliver(&[complaint(&["anm@lead.example"], at(4))])
        .await;
    let reply = world.call("GET", "/v1/leads/ann/log", json!(null)).await;
    insta::assert_json_snapshot!("log_of_a_story", stable(reply.body));
}

async fn the_recipients_own_word_on_subscription_counts_if_it_is_newer(world: World) {
    world
        .put(
            "ann",
            json!({ "address": ANN, "standing_since": "2025-01-01T00:00:00Z" }),
        )
        .await;
    world.deliver(&[subscription(ANN, true, days_ago(3))]).await;
    let status = world.status("ann").await;
    assert_eq!(
        (status.status.as_str(), status.may_check_again),
        ("unsubscribed", false)
    );
    world
        .deliver(&[subscription(ANN, false, days_ago(2))])
        .await;
    assert_eq!(world.status("ann").await.status, "active");
    world.deliver(&[subscription(ANN, true, days_ago(1))]).await;
    assert_eq!(world.status("ann").await.status, "unsubscribed");
    let again = json!({ "address": ANN, "standing": "active", "standing_since": Timestamp::now() });
    assert_eq!(
        world.put("ann", again).await.body["status"],
        "active",
        "the CRM's newer word"
    );
}

async fn a_corrected_address_is_rechecked_by_itself_where_the_policy_says_so(world: World) {
    let policy = Policy {
        recheck_on_save: true,
        ..Policy::default()
    };
    let world = world.with_policy(policy).await;
    world.save("ann", "anm@lead.example").await;
    world
        .deliver(&[bounce("anm@lead.example", NO_EMAIL, days_ago(1))])
        .await;
    let wrong_again = world.save("ann", "ann@nowhere.example").await;
    assert_eq!(
        wrong_again.status.reason.as_deref(),
        Some("undeliverable"),
        "verified, found wrong"
    );
    let saved = world.save("ann", ANN).await;
    assert_eq!(saved.status.status, "active");
    assert_eq!(world.status("ann").await.status, "active");
    assert_eq!(world.events("ann").await[0].code(), "safelisted");
    // A complaint is not among what a press could lift.
    world.deliver(&[complaint(&[ANN], minutes_ago(1))]).await;
    let moved = world.save("ann", "ann@new.example").await;
    assert_eq!(moved.status.reason.as_deref(), Some("spam_complaint"));
}

async fn a_table_that_is_away_is_said_to_be_away(world: World) {
    world.save("ann", ANN).await;
    for fault in [Act::throttle as fn() -> Act, || Act::CutBefore] {
        world.table_calls.script(move |call| {
            let is_account = call.body["Key"]["sk"]["S"] == "account";
            if is_account { Act::Pass } else { fault() }
        });
        for (method, path, body) in [
            ("GET", "/v1/leads/ann", json!(null)),
            ("GET", "/v1/leads/ann/log", json!(null)),
            (
                "PUT",
                "/v1/leads/ann",
                json!({ "address": "ann@new.example" }),
            ),
            ("POST", "/v1/statuses", json!({ "leads": ["ann"] })),
            ("POST", "/v1/leads/ann/rechecks", json!(null)),
        ] {
            let reply = world.call(method, path, body).await;
            reply.problem(503, "unavailable");
            assert!(
                reply.headers["retry-after"]
                    .to_str()
                    .unwrap()
                    .parse::<u32>()
                    .unwrap()
                    >= 1
            );
        }
    }
    world.table_calls.behave();
    let saved: SavedLead = world.call("GET", "/v1/leads/ann", json!(null)).await.read();
    assert_eq!(
        (saved.address.as_str(), saved.status.lead),
        (ANN, lead_id("ann"))
    );
}
