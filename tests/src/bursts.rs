//! A thousand notifications in order, and the same thousand shuffled, doubled and delivered from all sides: the same end.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use leadlight::address::Address;
use leadlight::api::{LeadStatus, StatusesReply};
use leadlight::evidence::{AddressRecord, Fact, Piece};
use leadlight_dev::ses::sns_envelope;
use leadlight_functions::app::Leadlight;
use leadlight_functions::table::Consistency;
use leadlight_functions::table::item::Key;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::notifications::{
    GENERAL, INVALID_DOMAIN, MAILBOX_FULL, NO_EMAIL, ON_ACCOUNT_LIST, ON_GLOBAL_LIST, POLICY,
    auto_reply, bounce, bounce_of, complaint, complaint_of_type, delivery, of_account,
    subscription,
};
use crate::tokens::{Issuer, SERVER_SCOPE};
use crate::world::{World, answer, key_of, on_both_engines, redeliver, request};

on_both_engines!(any_order_and_any_number_of_copies_end_the_same);

const LEADS: usize = 120;
const NOTIFICATIONS: usize = 1_000;

async fn any_order_and_any_number_of_copies_end_the_same(world: World) {
    let mut random = StdRng::seed_from_u64(20_261_122);
    let now = Timestamp::now();
    let notifications: Vec<Value> = (0..NOTIFICATIONS)
        .map(|_| something(&mut random, now))
        .collect();
    for issuer in [&world.acme, &world.globex] {
        save_leads(&world, issuer, now).await;
    }

    // To one account as it happened, in the order of time, a hundred at a time.
    let mut in_order: Vec<&Value> = notifications.iter().collect();
    in_order.sort_by_key(|notification| time_of(notification));
    for batch in in_order.chunks(100) {
        let bodies: Vec<String> = batch.iter().map(|one| body(one, "acme", now)).collect();
        deliver(&world.app, bodies).await;
    }

    // To the other as it pleases the network: everything twice, in any order, in batches of any size, to two processes at once.
    let mut shuffled: Vec<&Value> = notifications.iter().chain(&notifications).collect();
    shuffled.shuffle(&mut random);
    let mut batches = Vec::new();
    while !shuffled.is_empty() {
        let size = random.random_range(1..=120).min(shuffled.len());
        let batch = shuffled.split_off(shuffled.len() - size);
        batches.push(
            batch
                .iter()
                .map(|one| body(one, "globex", now))
                .collect::<Vec<_>>(),
        );
    }
    stream::iter(batches.into_iter().enumerate())
        .for_each_concurrent(4, |(n, bodies)| {
            let app = if n % 2 == 0 { &world.app } else { &world.rival };
            deliver(app, bodies)
        })
        .await;

    let (acme, globex) = (
        statuses(&world, &world.acme, now).await,
        statuses(&world, &world.globex, now).await,
    );
    for (one, other) in acme.iter().zip(&globex) {
        assert_eq!(one, other);
    }
    for n in 0..LEADS {
        let (one, other) = (
            evidence(&world, &world.acme, n).await,
            evidence(&world, &world.globex, n).await,
        );
        assert_eq!(one, other, "the evidence of {}", address(n));
    }
    let kinds: BTreeSet<_> = acme
        .iter()
        .map(|status| (&status.status, &status.reason, &status.cause))
        .collect();
    assert!(kinds.len() >= 8, "the burst must lead somewhere: {kinds:?}");
}

fn address(n: usize) -> String {
    format!("lead{n}@lead.example")
}

/// Something that happens to one of the addresses within the last forty days.
fn something(random: &mut StdRng, now: Timestamp) -> Value {
    let at = now - SignedDuration::from_secs(random.random_range(60..40 * 86_400));
    let lead = random.random_range(0..LEADS);
    let (one, other) = (address(lead), address((lead + 1) % LEADS));
    match random.random_range(0..100) {
        0..=29 => delivery(&one, at),
        30..=69 => bounce(&one, MAILBOX_FULL, at),
        70..=74 => auto_reply(&one, at),
        75..=78 => bounce(&one, GENERAL, at),
        79 => bounce(&one, NO_EMAIL, at),
        80..=81 => bounce_of(&[&one, &other], MAILBOX_FULL, at),
        82 => bounce(&one, INVALID_DOMAIN, at),
        83..=85 => bounce(&one, POLICY, at),
        86..=87 => bounce(&one, ON_ACCOUNT_LIST, at),
        88 => bounce(&one, ON_GLOBAL_LIST, at),
        89 => complaint(&[&one], at),
        90 => complaint(&[&one, &other], at),
        91..=93 => complaint_of_type(&[&one], "not-spam", at),
        94..=96 => subscription(&one, true, at),
        _ => subscription(&one, false, at),
    }
}

/// When it happened, as its `bounce`, `complaint` and so on says.
fn time_of(notification: &Value) -> Timestamp {
    let payloads = notification.as_object().unwrap().values();
    let times = payloads.filter_map(|payload| payload["timestamp"].as_str());
    times.map(|time| time.parse().unwrap()).max().unwrap()
}

/// The text in the queue. A redelivery repeats SNS's own time.
fn body(notification: &Value, account: &str, received_at: Timestamp) -> String {
    let message = of_account(notification.clone(), account).to_string();
    sns_envelope(&message, received_at).to_string()
}

async fn deliver(app: &Leadlight, bodies: Vec<String>) {
    let dead = redeliver(app, bodies).await;
    assert_eq!(dead.len(), 0, "nothing may end in the dead-letter queue");
}

/// Every lead at its own address; every fifth has had the address of its neighbour before, and complaints find it there.
async fn save_leads(world: &World, issuer: &Issuer, now: Timestamp) {
    let long_ago = now - SignedDuration::from_hours(24 * 50);
    let authorization = issuer.token(SERVER_SCOPE, long_ago).bearer();
    for n in 0..LEADS {
        let former = (n % 5 == 0).then(|| address((n + 7) % LEADS));
        for address in former.into_iter().chain([address(n)]) {
            let body = json!({ "address": address, "standing_since": "2025-01-01T00:00:00Z" });
            let path = format!("/v1/leads/lead-{n}");
            let request = request("PUT", &path, Some(&authorization), body.to_string().into());
            let reply = answer(&world.app, request, long_ago).await;
            assert!(reply.status < 300, "{reply:?}");
        }
    }
}

async fn statuses(world: &World, issuer: &Issuer, now: Timestamp) -> Vec<LeadStatus> {
    let authorization = issuer.token(SERVER_SCOPE, now).bearer();
    let ids: Vec<String> = (0..LEADS).map(|n| format!("lead-{n}")).collect();
    let mut statuses = Vec::new();
    for ids in ids.chunks(100) {
        let body = json!({ "leads": ids }).to_string();
        let request = request("POST", "/v1/statuses", Some(&authorization), body.into());
        let reply = answer(&world.app, request, now).await;
        statuses.extend(reply.read::<StatusesReply>().statuses);
    }
    statuses
}

/// What is known of an address, less its verifications, whose ids are drawn.
async fn evidence(world: &World, issuer: &Issuer, n: usize) -> Vec<Piece> {
    let key = Key::<AddressRecord>::evidence(&issuer.account, &key_of(&address(n)));
    let stored = world
        .table()
        .load(&key, Consistency::Strong)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.item.address, Address::parse(&address(n)).unwrap());
    let is_feedback = |piece: &Piece| !matches!(piece.fact, Fact::Verification { .. });
    stored
        .item
        .evidence
        .into_iter()
        .filter(is_feedback)
        .collect()
}
