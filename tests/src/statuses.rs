//! The widget's question: a hundred leads, two batched reads, nothing written.

use leadlight_dev::dns::Zone;
use serde_json::{Value, json};

use crate::notifications::{GENERAL, MAILBOX_FULL, NO_EMAIL, ON_GLOBAL_LIST, bounce, complaint};
use crate::proxy::Act;
use crate::world::{World, days_ago, on_both_engines, stable};

on_both_engines!(
    a_hundred_leads_cost_two_reads,
    keys_left_unprocessed_are_asked_for_again,
    every_status_has_its_shape,
    leads_are_answered_once_and_in_the_order_asked,
    a_wrong_question_is_told_what_is_wrong,
);

async fn a_hundred_leads_cost_two_reads(mut world: World) {
    world
        .dns
        .change(|_| Zone::default().mail("lead.example", [192, 0, 2, 10].into()));
    let ids: Vec<String> = (0..100).map(|n| format!("lead-{n:03}")).collect();
    for id in &ids {
        world.save(id, &address(id)).await;
    }
    let bounced: Vec<Value> = ids
        .iter()
        .step_by(3)
        .map(|id| bounce(&address(id), NO_EMAIL, days_ago(1)))
        .collect();
    world.deliver(&bounced).await;
    let asked: Vec<&str> = ids.iter().map(String::as_str).collect();
    world.rest().await;
    // The account is known by now, as it is in a Lambda that is warm.
    world.table_calls.take_calls();
    let statuses = world.statuses(&asked).await;
    assert_eq!(
        world.table_calls.take_operations(),
        ["BatchGetItem", "BatchGetItem"]
    );
    for (n, status) in statuses.iter().enumerate() {
        assert_eq!(status.lead.as_str(), ids[n]);
        assert_eq!(
            status.status,
            if n % 3 == 0 { "blocklisted" } else { "active" },
            "{n}"
        );
    }
}

fn address(lead: &str) -> String {
    format!("{lead}@lead.example")
}

async fn keys_left_unprocessed_are_asked_for_again(mut world: World) {
    let ids: Vec<String> = (0..20).map(|n| format!("lead-{n}")).collect();
    for id in &ids {
        world.save(id, &address(id)).await;
    }
    world
        .deliver(&[bounce(&address("lead-0"), NO_EMAIL, days_ago(1))])
        .await;
    world
        .deliver(&[bounce(&address("lead-19"), NO_EMAIL, days_ago(1))])
        .await;
    world.rest().await;
    world
        .table_calls
        .script(|_| Act::LeaveUnprocessed { read: 8 });
    world.table_calls.take_calls();
    let asked: Vec<&str> = ids.iter().map(String::as_str).collect();
    let statuses = world.statuses(&asked).await;
    assert_eq!(
        world.table_calls.take_operations().len(),
        6,
        "8, 8 and 4, twice"
    );
    for (n, status) in statuses.iter().enumerate() {
        let expected = if [0, 19].contains(&n) {
            "blocklisted"
        } else {
            "active"
        };
        assert_eq!(status.status, expected, "{n}");
    }
    world
        .table_calls
        .script(|_| Act::LeaveUnprocessed { read: 0 });
    let reply = world
        .call("POST", "/v1/statuses", json!({ "leads": asked }))
        .await;
    reply.problem(503, "unavailable");
}

async fn every_status_has_its_shape(world: World) {
    let leads = [
        "active",
        "unconfirmed",
        "unsubscribed",
        "soft",
        "missing",
        "refused",
        "complained",
        "suspected",
        "withheld",
        "typo",
    ];
    for lead in leads {
        let address = if lead == "typo" {
            "typo@nowhere.example".to_owned()
        } else {
            address(lead)
        };
        let standing = if ["unconfirmed", "unsubscribed"].contains(&lead) {
            lead
        } else {
            "active"
        };
        let reply = world
            .put(lead, json!({ "address": address, "standing": standing }))
            .await;
        assert_eq!(reply.status, 201);
    }
    let at = "2025-07-01T08:00:00Z".parse().unwrap();
    world
        .deliver(&[
            bounce(&address("missing"), NO_EMAIL, at),
            bounce(&address("refused"), GENERAL, at),
            bounce(&address("withheld"), ON_GLOBAL_LIST, at),
            complaint(&[&address("complained")], at),
            complaint(&[&address("suspected"), "somebody@lead.example"], at),
        ])
        .await;
    world
        .deliver(&[bounce(
            &address("soft"),
            MAILBOX_FULL,
            crate::world::minutes_ago(1),
        )])
        .await;
    let asked = [leads.as_slice(), &["never-saved"]].concat();
    let reply = world
        .call("POST", "/v1/statuses", json!({ "leads": asked }))
        .await;
    let mut body = stable(reply.body);
    // A soft bounce is told only while it is recent, so its id is another one in each run.
    body["statuses"][3]["because"] = json!(["[recent]"]);
    insta::assert_json_snapshot!("statuses", body);
}

async fn leads_are_answered_once_and_in_the_order_asked(world: World) {
    world.save("ann", "ann@lead.example").await;
    world.save("bob", "bob@lead.example").await;
    let statuses = world.statuses(&["zoe", "bob", "ann", "bob", "zoe"]).await;
    let ids: Vec<&str> = statuses.iter().map(|status| status.lead.as_str()).collect();
    assert_eq!(ids, ["zoe", "bob", "ann"]);
    assert_eq!(statuses[0].status, "unknown");
    let longest = "x".repeat(128);
    let many: Vec<String> = (0..100)
        .map(|n| format!("{n:03}{}", &longest[3..]))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        world.statuses(&many).await.len(),
        100,
        "the longest question there is fits"
    );
}

async fn a_wrong_question_is_told_what_is_wrong(world: World) {
    let ids = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let rows = [
        ("no leads at all", json!({}), "/leads"),
        ("none of them", json!({ "leads": [] }), "/leads"),
        ("101 of them", json!({ "leads": ids(101) }), "/leads"),
        ("1,000 of them", json!({ "leads": ids(1_000) }), "/leads"),
        ("no list", json!({ "leads": "ann" }), "/leads"),
        ("a null", json!({ "leads": null }), "/leads"),
        (
            "a number for an id",
            json!({ "leads": ["a", 7] }),
            "/leads/1",
        ),
        (
            "an empty id",
            json!({ "leads": ["a", "b", "c", ""] }),
            "/leads/3",
        ),
        (
            "an id that breaks out of a key",
            json!({ "leads": ["a#lead"] }),
            "/leads/0",
        ),
        (
            "an id of 129 characters",
            json!({ "leads": ["a", "b".repeat(129)] }),
            "/leads/1",
        ),
        (
            "a field that nobody knows",
            json!({ "leads": ["a"], "fields": ["status"] }),
            "/fields",
        ),
    ];
    for (why, body, field) in rows {
        world.table_calls.take_calls();
        let reply = world.call("POST", "/v1/statuses", body).await;
        let problem = reply.problem(422, "invalid-field");
        assert_eq!(problem.field.as_deref(), Some(field), "{why}: {problem:?}");
        let reads = world.table_calls.take_operations();
        assert!(
            !reads.contains(&"BatchGetItem".to_owned()),
            "{why}: nothing is read"
        );
    }
}
