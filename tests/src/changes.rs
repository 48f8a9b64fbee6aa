//! Changes of status, from the write to the event: nothing is lost, and what comes twice is the same to the letter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use leadlight::change::CloudEvent;
use leadlight::reputation::Reputation;
use leadlight_functions::changes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::notifications::{
    GENERAL, MAILBOX_FULL, NO_EMAIL, bounce, complaint, delivery, subscription,
};
use crate::proxy::{Act, Call};
use crate::world::{ANN, World, minutes_ago, on_both_engines};

on_both_engines!(
    a_bounce_is_told_on_the_bus,
    a_complaint_is_told_once_although_it_is_written_twice,
    a_block_that_lasts_no_second_is_told_as_well,
    a_lead_that_takes_a_blocklisted_address_is_told_of,
    a_hold_that_goes_along_is_no_change,
    a_standing_that_the_crm_or_the_recipient_changes_is_told,
    two_leads_of_one_address_are_told_of_both,
    what_cannot_be_published_comes_again,
    what_was_given_up_is_archived_with_the_next_write,
    what_meets_another_writer_of_the_same_counts_is_counted_once,
);

/// Follows the table's stream like its event source mapping does.
#[derive(Default)]
pub(crate) struct Follower {
    next: usize,
}

impl Follower {
    /// Hands everything that was written since to the function, one batch, until nothing more comes.
    pub(crate) async fn follow(&mut self, world: &World) {
        loop {
            let records = world.stream.records().await.unwrap();
            let new = records[self.next..].to_vec();
            if new.is_empty() {
                return;
            }
            self.next = records.len();
            let answer = hand_over(world, new).await;
            assert_eq!(answer, json!({ "batchItemFailures": [] }));
        }
    }
}

pub(crate) async fn hand_over(world: &World, records: Vec<Value>) -> Value {
    let event = json!({ "Records": records });
    changes::handle(&world.app.event_bus, event, None)
        .await
        .unwrap()
}

/// What was published, as events.
pub(crate) fn published(world: &World) -> Vec<CloudEvent> {
    let details = world.event_bus.published().details();
    let read = |detail: Value| serde_json::from_value(detail).unwrap();
    details.into_iter().map(read).collect()
}

/// Each change in words.
fn told(world: &World) -> Vec<String> {
    let status = |status: &leadlight::change::ToldStatus| match &status.reason {
        Some(reason) => format!("{} ({reason})", status.status),
        None => status.status.clone(),
    };
    let words = |event: &CloudEvent| {
        let change = &event.data;
        let (from, to) = (status(&change.from), status(&change.to));
        format!("{}: {from} -> {to}", change.lead)
    };
    published(world).iter().map(words).collect()
}

async fn a_bounce_is_told_on_the_bus(world: World) {
    let mut follower = Follower::default();
    world.save("ann", ANN).await;
    follower.follow(&world).await;
    assert_eq!(
        told(&world),
        [""; 0],
        "a new lead at its standing is no change"
    );

    let at = minutes_ago(1);
    world.deliver(&[bounce(ANN, NO_EMAIL, at)]).await;
    follower.follow(&world).await;
    let [event] = published(&world).try_into().unwrap();
    assert_eq!(event.specversion, "1.0");
    assert_eq!(event.kind, "dev.leadlight.lead.status_changed");
    assert_eq!(event.source, "/accounts/acme");
    assert_eq!(event.subject, "ann");
    assert_eq!(event.datacontenttype, "application/json");
    assert!(event.id.starts_with("msg_"), "{}", event.id);
    let status = world.status("ann").await;
    let change = serde_json::to_value(&event.data).unwrap();
    assert_eq!(change["from"], json!({ "status": "active" }));
    assert_eq!(
        change["to"],
        json!({ "status": "blocklisted", "reason": "hard_bounce", "cause": "mailbox_missing" })
    );
    assert_eq!(change["resolution"], "after_address_change");
    assert_eq!(change["since"], json!(status.since));
    assert_eq!(change["evidence"].as_array().unwrap().len(), 1);
    let mut whole = serde_json::to_value(&event).unwrap();
    // Ids of evidence repeat SES's feedback id, in which only these tests have put an address.
    whole["data"]["evidence"] = json!([]);
    assert!(
        !whole.to_string().contains('@'),
        "no address leaves: {whole}"
    );

    let [entry] = world.event_bus.published().entries().try_into().unwrap();
    assert_eq!(
        (entry.source.as_str(), entry.detail_type.as_str()),
        ("leadlight", "Lead Status Changed")
    );
    assert_eq!(entry.event_bus_name, leadlight_dev::event_bus::BUS);
}

/// A complaint marks the lead first and reaches the evidence afterwards.
async fn a_complaint_is_told_once_although_it_is_written_twice(world: World) {
    let mut follower = Follower::default();
    world.save("ann", ANN).await;
    world.deliver(&[complaint(&[ANN], minutes_ago(1))]).await;
    follower.follow(&world).await;
    assert_eq!(
        told(&world),
        ["ann: active -> blocklisted (spam_complaint)"]
    );
}

async fn a_block_that_lasts_no_second_is_told_as_well(world: World) {
    world.save("ann", ANN).await;
    world.deliver(&[bounce(ANN, GENERAL, minutes_ago(1))]).await;
    assert_eq!(world.recheck("ann").await.status.status, "active");
    // The function is late: by now, nothing in the table is blocklisted.
    Follower::default().follow(&world).await;
    assert_eq!(
        told(&world),
        [
            "ann: active -> blocklisted (hard_bounce)",
            "ann: blocklisted (hard_bounce) -> active"
        ]
    );
}

async fn a_lead_that_takes_a_blocklisted_address_is_told_of(world: World) {
    let mut follower = Follower::default();
    world.save("ann", ANN).await;
    world
        .deliver(&[bounce(ANN, NO_EMAIL, minutes_ago(1))])
        .await;
    world.save("bob", "bob@new.example").await;
    follower.follow(&world).await;
    world.save("bob", ANN).await;
    world.save("cat", "cat@null-mx.example").await;
    follower.follow(&world).await;
    assert_eq!(
        told(&world),
        [
            "ann: active -> blocklisted (hard_bounce)",
            "bob: active -> blocklisted (hard_bounce)",
            "cat: active -> blocklisted (undeliverable)"
        ]
    );
}

async fn a_hold_that_goes_along_is_no_change(world: World) {
    let mut follower = Follower::default();
    world.save("ann", ANN).await;
    world.deliver(&[bounce(ANN, GENERAL, minutes_ago(1))]).await;
    world.save("ann", "ann@new.example").await;
    follower.follow(&world).await;
    assert_eq!(told(&world), ["ann: active -> blocklisted (hard_bounce)"]);
    world.recheck("ann").await;
    // What happens at the address that was left is not this lead's any more.
    world
        .deliver(&[bounce(ANN, NO_EMAIL, Timestamp::now())])
        .await;
    follower.follow(&world).await;
    assert_eq!(
        told(&world)[1..],
        ["ann: blocklisted (hard_bounce) -> active"]
    );
}

async fn a_standing_that_the_crm_or_the_recipient_changes_is_told(world: World) {
    let mut follower = Follower::default();
    world.save("ann", ANN).await;
    let unconfirmed = json!({ "address": ANN, "standing": "unconfirmed" });
    assert_eq!(world.put("ann", unconfirmed).await.status, 200);
    follower.follow(&world).await;
    let at = Timestamp::now() + SignedDuration::from_secs(1);
    world.deliver(&[subscription(ANN, true, at)]).await;
    follower.follow(&world).await;
    assert_eq!(
        told(&world),
        [
            "ann: active -> unconfirmed",
            "ann: unconfirmed -> unsubscribed"
        ]
    );
}

async fn two_leads_of_one_address_are_told_of_both(world: World) {
    world.save("ann", ANN).await;
    world.save("bob", ANN).await;
    world
        .deliver(&[bounce(ANN, NO_EMAIL, minutes_ago(1))])
        .await;
    Follower::default().follow(&world).await;
    let told: BTreeSet<String> = told(&world).into_iter().collect();
    assert_eq!(
        Vec::from_iter(told),
        [
            "ann: active -> blocklisted (hard_bounce)",
            "bob: active -> blocklisted (hard_bounce)"
        ]
    );
}

async fn what_cannot_be_published_comes_again(world: World) {
    world.save("ann", ANN).await;
    world
        .deliver(&[bounce(ANN, NO_EMAIL, minutes_ago(1))])
        .await;
    let seen = world.stream.records().await.unwrap();
    hand_over(&world, seen.clone()).await;
    let all = world.stream.records().await.unwrap();
    world.event_bus.published().refuse(1);
    let told = all[seen.len()..].to_vec();
    let answer = hand_over(&world, told.clone()).await;
    let failed = answer["batchItemFailures"][0]["itemIdentifier"].clone();
    let numbers: Vec<&Value> = told
        .iter()
        .map(|record| &record["dynamodb"]["SequenceNumber"])
        .collect();
    let from = numbers.iter().position(|number| **number == failed);
    let again = told[from.expect("a record of the batch fails")..].to_vec();
    assert_eq!(published(&world).len(), 0);
    hand_over(&world, again).await;
    assert_eq!(published(&world).len(), 1);
}

/// What was counted of all messages: soft bounces, and deliveries.
async fn counted(world: &World) -> (u64, u64) {
    let reply = world.call("GET", "/v1/reputation", json!(null)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let total = reply.read::<Reputation>().total.counts;
    (total.soft_bounces, total.delivered)
}

/// Lambda gives a record up that fails for hours, and says where it lies in the stream.
async fn what_was_given_up_is_archived_with_the_next_write(world: World) {
    let records = async || world.stream.records().await.unwrap();
    world.deliver(&[delivery(ANN, minutes_ago(9))]).await;
    hand_over(&world, records().await).await;
    world.table_calls.take_calls();
    let is_archive = |operation: &String| operation == "TransactWriteItems";
    let mut written = records().await.len();
    let mut given_up = Vec::new();
    for minutes in [8, 7] {
        world
            .deliver(&[bounce(ANN, MAILBOX_FULL, minutes_ago(minutes))])
            .await;
        let all = records().await;
        given_up.extend_from_slice(&all[written..]);
        written = all.len();
    }
    assert_eq!(counted(&world).await, (0, 1));

    world.deliver(&[delivery(ANN, minutes_ago(6))]).await;
    let next = records().await[written..].to_vec();
    hand_over(&world, next.clone()).await;
    assert_eq!(counted(&world).await, (2, 2));
    // Handed in again by hand after all, and once more.
    hand_over(&world, given_up).await;
    hand_over(&world, next).await;
    assert_eq!(counted(&world).await, (2, 2));

    world.table_calls.take_calls();
    world.deliver(&[delivery(ANN, minutes_ago(5))]).await;
    hand_over(&world, records().await.split_off(written + 1)).await;
    let operations = world.table_calls.take_operations();
    assert_eq!(
        operations.iter().filter(|it| is_archive(it)).count(),
        1,
        "nothing was missing: {operations:?}"
    );
    assert_eq!(counted(&world).await, (2, 3));
}

/// What DynamoDB answers where somebody else writes one of the items at the same moment. No engine does.
fn conflict(call: &Call) -> Act {
    let actions = call.body["TransactItems"].as_array().unwrap().iter();
    let reason = |action: &Value| match action.get("Update") {
        Some(_) => {
            json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" })
        }
        None => json!({ "Code": "None" }),
    };
    let reasons: Vec<Value> = actions.map(reason).collect();
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    Act::Refuse(
        400,
        json!({ "__type": kind, "Message": "Transaction cancelled", "CancellationReasons": reasons }),
    )
}

async fn what_meets_another_writer_of_the_same_counts_is_counted_once(world: World) {
    let asked = Arc::new(AtomicUsize::new(0));
    let cancel = |times: usize| {
        let asked = Arc::clone(&asked);
        asked.store(0, Ordering::Relaxed);
        world.table_calls.script(move |call| {
            let is_archive = call.operation == "TransactWriteItems";
            if is_archive && asked.fetch_add(1, Ordering::Relaxed) < times {
                conflict(call)
            } else {
                Act::Pass
            }
        });
    };
    let at = minutes_ago(9);
    world
        .deliver(&[
            delivery(ANN, at),
            bounce("bob@new.example", MAILBOX_FULL, at),
        ])
        .await;
    let records = world.stream.records().await.unwrap();
    cancel(2);
    let answer = hand_over(&world, records.clone()).await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(
        asked.load(Ordering::Relaxed),
        3,
        "two that met another, and one that did not"
    );
    assert_eq!(counted(&world).await, (1, 1));

    // One that never gets its turn comes again, and nothing of it was counted.
    world.deliver(&[delivery(ANN, minutes_ago(8))]).await;
    let next = world
        .stream
        .records()
        .await
        .unwrap()
        .split_off(records.len());
    cancel(usize::MAX);
    let answer = hand_over(&world, next.clone()).await;
    let written = next.iter().map(|record| &record["dynamodb"]);
    let evidence = written
        .into_iter()
        .find(|written| written["Keys"]["sk"]["S"] == "evidence");
    let first = &evidence.unwrap()["SequenceNumber"];
    let failed = &answer["batchItemFailures"][0]["itemIdentifier"];
    assert_eq!(failed, first, "{answer}");
    assert!(asked.load(Ordering::Relaxed) > 3, "it was tried again");
    assert_eq!(counted(&world).await, (1, 1));
    cancel(0);
    hand_over(&world, next).await;
    assert_eq!(counted(&world).await, (1, 2));
}

/// What happens to some leads and addresses, some of it twice; drawn from `seed`, the same for each world.
async fn live(world: &World, seed: u64, step: usize) {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(step as u64));
    let lead = ["ann", "bob", "cat"][random.random_range(0..3_usize)];
    let address = ["ann@lead.example", "bob@new.example"][random.random_range(0..2_usize)];
    let at = Timestamp::from_second(1_790_000_000 + 60 * i64::try_from(step).unwrap()).unwrap();
    match random.random_range(0..9_u8) {
        0 => drop(world.put(lead, json!({ "address": address })).await),
        1 => drop(
            world
                .put(
                    lead,
                    json!({ "address": address, "standing": "unconfirmed" }),
                )
                .await,
        ),
        2 => world.deliver(&[bounce(address, GENERAL, at)]).await,
        3 => world.deliver(&[bounce(address, MAILBOX_FULL, at)]).await,
        4 => world.deliver(&[delivery(address, at)]).await,
        5 => world.deliver(&[subscription(address, true, at)]).await,
        6 => {
            world
                .deliver(&[delivery(address, at), bounce(address, NO_EMAIL, at)])
                .await;
        }
        7 if step > 30 => world.deliver(&[complaint(&[address], at)]).await,
        _ => drop(world.press(lead).await),
    }
}

/// The changes of each lead in their order, and how often what became of messages was counted.
async fn outcome(world: &World) -> (BTreeMap<String, Vec<Value>>, Value) {
    let mut seen = BTreeMap::new();
    let mut order: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in published(world) {
        let whole = serde_json::to_value(&event).unwrap();
        if let Some(known) = seen.get(&event.id) {
            assert_eq!(*known, whole, "copies of one event differ");
            continue;
        }
        let change = json!({ "from": event.data.from, "to": event.data.to });
        order.entry(event.subject.clone()).or_default().push(change);
        seen.insert(event.id.clone(), whole);
    }
    let reply = world
        .call(
            "GET",
            "/v1/reputation?from=2026-09-01&to=2026-10-31",
            json!(null),
        )
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    (order, reply.body["total"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_a_stream_is_split_and_replayed_it_tells_and_counts_the_same() {
    for seed in 0..6_u64 {
        let calm = World::embedded().await;
        for step in 0..40 {
            live(&calm, seed, step).await;
        }
        Follower::default().follow(&calm).await;

        let wild = World::embedded().await;
        let mut random = StdRng::seed_from_u64(seed ^ 0xfeed);
        let mut done = 0;
        let failures = Arc::new(AtomicUsize::new(0));
        for step in 0..40 {
            live(&wild, seed, step).await;
            // Some calls of the function fail, before or after they had their effect.
            let (failed, mut calls) = (Arc::clone(&failures), random.random_range(3..12_u8));
            wild.table_calls.script(move |call| {
                let is_write = call.written().is_some() || call.operation == "TransactWriteItems";
                calls = calls.saturating_sub(1);
                match (calls, is_write) {
                    (0, true) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        calls = 9;
                        Act::Refuse(400, json!({ "__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException", "message": "no" }))
                    }
                    _ => Act::Pass,
                }
            });
            for _ in 0..random.random_range(0..3_u8) {
                step_somewhere(&wild, &mut done, &mut random).await;
            }
            wild.table_calls.behave();
        }
        while done < wild.stream.records().await.unwrap().len() {
            step_somewhere(&wild, &mut done, &mut random).await;
        }
        assert!(failures.load(Ordering::Relaxed) > 0, "nothing ever failed");
        let (calm, wild) = (outcome(&calm).await, outcome(&wild).await);
        assert_eq!(calm.1, wild.1, "counts, seed {seed}");
        assert_eq!(calm.0, wild.0, "changes, seed {seed}");
        assert!(
            calm.0.values().any(|changes| changes.len() > 2),
            "{:?}",
            calm.0
        );
    }
}

/// Hands over a batch of any length that begins at the first record that is not done, or anywhere before.
async fn step_somewhere(world: &World, done: &mut usize, random: &mut StdRng) {
    let records = world.stream.records().await.unwrap();
    let from = if random.random_bool(0.4) {
        random.random_range(0..=*done)
    } else {
        *done
    };
    let until = (from + random.random_range(1..30_usize)).min(records.len());
    let batch = records[from..until].to_vec();
    if batch.is_empty() {
        return;
    }
    let answer = hand_over(world, batch.clone()).await;
    let failed = answer["batchItemFailures"][0]["itemIdentifier"].as_str();
    let failed = failed.and_then(|failed| {
        batch
            .iter()
            .position(|record| record["dynamodb"]["SequenceNumber"] == failed)
    });
    *done = (*done).max(from + failed.unwrap_or(batch.len()));
}
